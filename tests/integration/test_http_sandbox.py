"""leat http confined: what it still does, what nobody in its place can do, and whose rights it has."""

import ctypes
import errno
import gzip
import json
import os
import re
import signal
import socket
import struct
import time

import pytest
from http_client import Client, Server, drop_from_page_cache, pattern, request
from inside import EXECVE, Ended, expect_little, need_confinement, status, thread, threads
from support import as_nobody, run

LANDLOCK_CREATE_RULESET, SECCOMP = 444, 317


# ---- from inside ----


def test_no_thread_opens_what_is_not_below_the_root(serve, root, tmp_path):
    (root / "file").write_bytes(pattern(1 << 20))
    (root / "link").symlink_to("/etc/passwd")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "logs").mkdir()
    # The folder above is a home, with too much in it to be allowed for what may replace the root.
    server = serve("--threads", "2", "--admin", "127.0.0.1:0", "--access-log", str(tmp_path / "logs" / "log"),
                   env=dict(os.environ, HOME=str(tmp_path)))
    need_confinement(server)
    # So that there are helpers.
    drop_from_page_cache(root / "file")
    assert server.get("/file").body == pattern(1 << 20)
    server.get("/")
    pid = server.process.pid
    tids = threads(pid)
    assert len(tids) >= 4
    for tid in tids:
        with thread(pid, tid) as inside:
            expect_little(inside)
            assert inside.opens(root / "file") is True
            assert inside.opens(root, os.O_RDONLY | os.O_DIRECTORY) is True
            for path in ("/etc/passwd", "/proc/self/environ", tmp_path / "secret", root / "link", "/", tmp_path):
                assert inside.opens(path) == -errno.EACCES, path
            for path in (root / "file", root / "new", tmp_path / "secret", tmp_path / "new"):
                assert inside.opens(path, os.O_WRONLY | os.O_CREAT) == -errno.EACCES, path
    # And it goes on.
    assert server.get("/file").body == pattern(1 << 20)


def test_an_intruder_that_starts_a_program_ends_the_process(leat, root):
    server = Server(leat, root)
    try:
        need_confinement(server)
        pid = server.process.pid
        with thread(pid, pid) as inside:
            with pytest.raises(Ended) as ended:
                inside.call(EXECVE, b"/bin/true", 0, 0)
        assert ended.value.args[0] == signal.SIGSYS
    finally:
        server.stop(signal.SIGKILL)


def test_without_sandbox_nothing_is_given_up(serve, root):
    server = serve("--no-sandbox")
    assert status(server.process.pid, "Seccomp") == ["0"] and status(server.process.pid, "NoNewPrivs") == ["0"]
    assert "confined" not in server.log()


# ---- what still works ----


def test_everything_works_confined(leat, root, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (root / "sub").mkdir()
    (root / "sub" / "a.txt").write_bytes(b"a" * 3000)
    (root / "sub" / "a.txt.gz").write_bytes(gzip.compress(b"a" * 3000, mtime=0))
    os.utime(root / "sub" / "a.txt.gz")
    (root / "inside").symlink_to("sub/a.txt")
    (root / "outside").symlink_to("/etc/passwd")
    (root / "large").write_bytes(pattern(5 << 20))
    log = tmp_path / "logs" / "access"
    log.parent.mkdir()
    server = Server(
        leat, root, "--threads", "3", "--access-log", str(log), "--admin", "127.0.0.1:0", "--explain",
        listen=(f"unix:{folder}/socket", "127.0.0.1:0"),
    )  # fmt: skip
    try:
        need_confinement(server)
        server.addresses.reverse()
        with server.connect() as client:
            assert client.get("/inside").body == b"a" * 3000
            assert client.get("/outside").status == 404
            encoded = client.get("/sub/a.txt", Accept_Encoding="gzip")
            assert encoded["content-encoding"] == "gzip" and gzip.decompress(encoded.body) == b"a" * 3000
            names = [entry["name"] for entry in json.loads(client.get("/", Accept="application/json").body)]
            assert names == ["sub", "inside", "large"]
            for _ in range(3):
                drop_from_page_cache(root / "large")
                assert client.get("/large").body == pattern(5 << 20)
            assert client.get("/large", Range="bytes=1-2,100-200").status == 206
            # Changes are seen.
            (root / "sub" / "new").write_bytes(b"b" * 3000)
            (root / "sub" / "new").rename(root / "sub" / "a.txt")
            assert client.get("/sub/a.txt").body == b"b" * 3000
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"{folder}/socket")
            assert Client(sock).get("/sub/a.txt").status == 200
        admin = re.search(r"metrics at http://127.0.0.1:(\d+)/", server.log())[1]
        assert b"leat_build_info" in run(["curl", "-sS", f"http://127.0.0.1:{admin}/metrics"]).stdout
        # The log is rotated.
        log.rename(tmp_path / "logs" / "access.1")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while not log.exists():
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.01)
        server.get("/last")
    finally:
        assert server.stop() == 0, server.log()
    assert "/last" in log.read_text() and "/inside" in (tmp_path / "logs" / "access.1").read_text()
    assert not (folder / "socket").exists()


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/null", "logs/access", "fifo"])
def test_logs_of_all_kinds_are_written_and_opened_anew_confined(serve, root, tmp_path, place):
    (root / "file").write_bytes(b"file")
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        # Relative to where it was started, but for those of /dev.
        server = serve("--access-log", place, cwd=tmp_path)
        assert server.get("/file").status == 200
        server.process.send_signal(signal.SIGHUP)
        assert server.get("/file").status == 200
        assert server.stop() == 0, server.log()
        assert "access log" not in server.log(), server.log()
        # Of /dev/stdout nothing can be said here: the messages go to the same file, over each other.
        if place == "fifo":
            assert os.read(reader, 1 << 16).count(b"GET /file") == 2
        if place == "logs/access":
            assert (tmp_path / place).read_text().count("GET /file") == 2
    finally:
        os.close(reader)


@pytest.mark.parametrize("technique", ["copy", "mmap", "sendfile", "splice", "vmsplice", "zerocopy"])
def test_each_technique_works_confined(serve, root, technique):
    (root / "large").write_bytes(pattern(3 << 20))
    server = serve("--technique", technique)
    with server.connect() as client:
        for _ in range(2):
            assert client.get("/large").body == pattern(3 << 20)


def refused(number, error):
    """For preexec_fn: this system call fails from here on, as on a kernel without it."""

    def install():
        code = struct.pack(
            "HBBI" * 4,
            0x20, 0, 0, 0,  # the number
            0x15, 0, 1, number,
            0x06, 0, 0, 0x00050000 | error,
            0x06, 0, 0, 0x7FFF0000,
        )  # fmt: skip
        buffer = ctypes.create_string_buffer(code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
        libc = ctypes.CDLL(None)
        libc.prctl(38, 1, 0, 0, 0)
        if libc.prctl(22, 2, program, 0, 0) != 0:
            os._exit(99)

    return install


@pytest.mark.parametrize("number, error, says", [
    (LANDLOCK_CREATE_RULESET, errno.ENOSYS, "Landlock: this kernel has none"),
    (LANDLOCK_CREATE_RULESET, errno.EPERM, "Landlock: Operation not permitted"),
    (SECCOMP, errno.ENOSYS, "seccomp: this kernel has none"),
])  # fmt: skip
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_a_kernel_without_it_is_said_and_served_all_the_same(serve, root, number, error, says):
    (root / "file").write_bytes(b"file")
    server = serve(preexec_fn=refused(number, error))
    assert server.get("/file").body == b"file"
    if "sanitizer" in server.log():
        pytest.skip("built with a sanitizer")
    assert says in server.log()


# ---- another user ----


@pytest.mark.parametrize("user, uid, gid, groups", [
    ("nobody", "65534", "65534", ["65534"]),
    ("12345:54321", "12345", "54321", ["54321"]),
])  # fmt: skip
def test_it_becomes_another_user_for_good(serve, as_root, root, user, uid, gid, groups):
    (root / "everyone's").write_bytes(b"everyone's")
    (root / "root's").write_bytes(b"root's")
    (root / "root's").chmod(0o600)
    server = serve("--user", user, "--threads", "2", "--admin", "127.0.0.1:0")
    assert server.get("/everyone's").body == b"everyone's"
    assert server.get("/root's").status == 403
    assert f"running as user {user}" in server.log()
    pid = server.process.pid
    for tid in threads(pid):
        assert status(pid, "Uid", tid) == [uid] * 4 and status(pid, "Gid", tid) == [gid] * 4
        assert status(pid, "Groups", tid) == groups
        for field in ("CapEff", "CapPrm", "CapAmb"):
            assert int(status(pid, field, tid)[0], 16) == 0
    # Changes are seen by him, too.
    (root / "everyone's").write_bytes(b"changed")
    assert server.get("/everyone's").body == b"changed"


def test_a_folder_that_the_user_can_not_read_is_said(serve, as_root, root):
    root.chmod(0o700)
    server = serve("--user", "nobody")
    assert f"user nobody can't read {root}: Permission denied" in server.log()
    assert server.get("/").status == 403


def test_users_that_make_no_sense_are_refused(leat, root, as_root):
    for user, says in (("no-such-user", "there is no user"), ("nobody:no-such-group", "there is no group"), ("", "NAME")):
        ran = run([leat, "http", "--listen", "127.0.0.1:0", "--user", user, root])
        assert ran.returncode == 2 and says in ran.stderr, ran.stderr
    root.chmod(0o755)
    ran = run([leat, "http", "--listen", "127.0.0.1:0", "--user", "daemon", root], preexec_fn=as_nobody)
    assert ran.returncode == 1 and "only root can become user 'daemon'" in ran.stderr
