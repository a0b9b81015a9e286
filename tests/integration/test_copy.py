"""leat copy: bytes arrive as they are, by every technique, and the report tells the truth."""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from support import TIMEOUT, Receiver, as_nobody, free_port, listening_port, run, started

SIZES = [0, 1, 4095, 4096, 4097, (1 << 20) + 3]
KEYS = ["bytes", "seconds", "cpu_seconds", "technique", "reason", "verdict", "evidence", "bytes_by_reference",
        "bytes_copied", "fallbacks", "syscalls"]
VERDICTS = {"by-reference", "copied", "transformed", "unknown"}

# What a file can be sent by, for each kind of sink.
TECHNIQUES = {
    "file": ["auto", "copy", "mmap", "sendfile", "splice", "vmsplice", "range-copy", "uring"],
    "stdout": ["auto", "copy", "mmap", "sendfile", "splice", "vmsplice", "uring"],
    "tcp": ["auto", "copy", "mmap", "sendfile", "splice", "vmsplice", "zerocopy", "uring"],
    "unix": ["auto", "copy", "mmap", "sendfile", "splice", "vmsplice", "uring"],
}

# Not tried with a file of 0 bytes: forced, they refuse it, since it may be one of procfs's, which say
# so and have bytes.
NEEDS_SIZE = {"mmap", "vmsplice", "zerocopy", "range-copy"}


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def report_of(text):
    """The JSON report, checked for what must always be true of one."""
    report = json.loads(text)
    assert [key for key in report if key != "error"] == KEYS
    assert report["verdict"] in VERDICTS
    assert report["seconds"] >= 0 and report["cpu_seconds"] >= 0
    moved = report["bytes_by_reference"] + report["bytes_copied"]
    if report["verdict"] in ("by-reference", "copied"):
        assert moved == report["bytes"]
    else:
        assert moved <= report["bytes"]
    return report


@pytest.fixture
def copy(leat, tmp_path):
    """Runs leat copy in a folder of its own, with a short name: a UNIX socket's path is limited."""

    def call(*arguments, **options):
        options.setdefault("cwd", tmp_path)
        return run([leat, "copy", *arguments], **options)

    return call


@pytest.fixture
def receiver():
    with contextlib.ExitStack() as stack:
        def make(*arguments, **options):
            made = Receiver(*arguments, **options)
            stack.callback(made.close)
            return made

        yield make


def skip_if_not_built(ran):
    if ran.returncode == 1 and "not built into this library" in ran.stderr:
        pytest.skip("this technique is not built into this library")


class ToFile:
    def __init__(self, folder, receiver):
        self.path = folder / "out"
        self.name = self.path

    def received(self, ran):
        return self.path.read_bytes()


class ToStdout:
    name = "-"

    def __init__(self, folder, receiver):
        pass

    def received(self, ran):
        return ran.stdout


class ToTcp:
    def __init__(self, folder, receiver):
        self.receiver = receiver()
        self.name = f"tcp:127.0.0.1:{self.receiver.port}"

    def received(self, ran):
        return self.receiver.finish()


class ToUnix:
    def __init__(self, folder, receiver):
        path = os.path.relpath(folder / "s")  # bind() takes 107 bytes
        self.receiver = receiver(path if len(path) < 100 else str(folder / "s"), socket.AF_UNIX)
        self.name = f"unix:{folder / 's'}"

    def received(self, ran):
        return self.receiver.finish()


SINKS = {"file": ToFile, "stdout": ToStdout, "tcp": ToTcp, "unix": ToUnix}


# ---- bytes ----


@pytest.mark.parametrize("kind, technique, size", [
    (kind, name, size) for kind in SINKS for name in TECHNIQUES[kind] for size in SIZES
    if size > 0 or name not in NEEDS_SIZE])
def test_a_file_arrives_as_it_is(copy, receiver, tmp_path, kind, technique, size):
    data = content(size)
    (tmp_path / "in").write_bytes(data)
    sink = SINKS[kind](tmp_path, receiver)
    ran = copy("--json", "--technique", technique, "in", sink.name)
    skip_if_not_built(ran)
    assert ran.returncode == 0, ran.stderr
    assert sink.received(ran) == data
    report = report_of(ran.stderr if kind == "stdout" else ran.stdout)
    assert report["bytes"] == size
    assert "error" not in report
    if technique != "auto" and size > 0:
        assert report["technique"] == technique
        assert report["fallbacks"] == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("technique", ["auto", "copy", "splice", "uring"])
@pytest.mark.parametrize("kind", SINKS)
def test_a_pipe_arrives_as_it_is(copy, receiver, tmp_path, kind, technique, size):
    data = content(size)
    sink = SINKS[kind](tmp_path, receiver)
    ran = copy("--technique", technique, "-", sink.name, input=data)
    assert ran.returncode == 0, ran.stderr
    assert sink.received(ran) == data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("listen", ["tcp-listen:127.0.0.1:0", "tcp-listen::0", "tcp-listen:[::1]:0"])
def test_a_listener_takes_one_connection(leat, tmp_path, listen, size):
    data = content(size)
    host = "::1" if "::1" in listen else "127.0.0.1"
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with started([leat, "copy", listen, tmp_path / "out"]) as process:
        with socket.create_connection((host, listening_port(process)), TIMEOUT) as connection:
            connection.sendall(data)
        assert process.wait(TIMEOUT) == 0
    assert (tmp_path / "out").read_bytes() == data


def test_a_listening_socket_path_is_removed_again(leat, copy, tmp_path):
    data = content(100000)
    (tmp_path / "in").write_bytes(data)
    with started([leat, "copy", "unix-listen:s", "out"], cwd=tmp_path) as process:
        assert b"listening on s" in process.stderr.readline()
        assert copy("in", "unix:s").returncode == 0
        assert process.wait(TIMEOUT) == 0
    assert (tmp_path / "out").read_bytes() == data
    assert not (tmp_path / "s").exists()


def test_a_socket_can_be_source_and_sink(leat, receiver):
    """A relay of one connection."""
    data = content(3 << 20)
    sink = receiver()
    with started([leat, "copy", "tcp-listen:127.0.0.1:0", f"tcp:127.0.0.1:{sink.port}"]) as process:
        with socket.create_connection(("127.0.0.1", listening_port(process)), TIMEOUT) as connection:
            connection.sendall(data)
        assert process.wait(TIMEOUT) == 0
    assert sink.finish() == data


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """3 GiB: more than one call of the kernel moves (0x7ffff000). On tmpfs, if there is one, where
    holes are never filled with pages."""
    shm = Path("/dev/shm")
    path = (shm if os.access(shm, os.W_OK) else tmp_path_factory.mktemp("sparse")) / f"leat-test-{os.getpid()}"
    with open(path, "wb") as file:
        file.truncate(3 << 30)
        file.seek((3 << 30) - 5)
        file.write(b"[end]")
    yield path
    path.unlink()


def test_more_than_2_gib_go_to_a_socket(copy, receiver, sparse):
    sink = receiver(keep=False)
    ran = copy("--json", sparse, f"tcp:127.0.0.1:{sink.port}", timeout=300)
    assert ran.returncode == 0, ran.stderr
    sink.finish()
    assert sink.size == report_of(ran.stdout)["bytes"] == 3 << 30


def test_more_than_2_gib_go_to_a_device(copy, sparse):
    with open("/dev/null", "wb") as null:
        ran = copy("--json", sparse, "-", stdout=null, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert report_of(ran.stderr)["bytes"] == 3 << 30


def test_a_range_beyond_2_gib_is_found(copy, sparse):
    ran = copy("--offset", (3 << 30) - 8, "--length", 8, sparse, "-")
    assert ran.stdout == b"\0\0\0[end]"


@pytest.mark.parametrize("offset, length, expected", [
    ("0", "5", slice(0, 5)), ("4095", "2", slice(4095, 4097)), ("4k", "64k", slice(4096, 69632)),
    ("1M", "3", slice(1 << 20, None)), (str((1 << 20) + 3), "0", slice(0, 0)), ("7", None, slice(7, None)),
    (None, "4097", slice(0, 4097)),
])
@pytest.mark.parametrize("technique", ["auto", "copy", "mmap", "sendfile", "splice"])
def test_offset_and_length_choose_a_range(copy, tmp_path, technique, offset, length, expected):
    data = content((1 << 20) + 3)
    (tmp_path / "in").write_bytes(data)
    options = (["--offset", offset] if offset else []) + (["--length", length] if length else [])
    ran = copy("--technique", technique, *options, "in", "-")
    skip_if_not_built(ran)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == data[expected]


def test_standard_input_is_taken_from_where_it_stands(leat, tmp_path):
    (tmp_path / "in").write_bytes(b"0123456789")
    with open(tmp_path / "in", "rb", buffering=0) as file:
        file.seek(4)
        assert run([leat, "copy", "--length", "3", "-", "-"], stdin=file).stdout == b"456"
        assert file.tell() == 7


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", ["file", "pipe"])
@pytest.mark.parametrize("technique", ["auto", "copy", "tee"])
def test_tee_gives_every_sink_all_bytes(copy, receiver, tmp_path, technique, source, size):
    data = content(size)
    (tmp_path / "in").write_bytes(data)
    tcp = receiver()
    arguments = ["--tee", "copy1", "--tee", f"tcp:127.0.0.1:{tcp.port}", "in" if source == "file" else "-", "-"]
    ran = copy("--json", "--technique", technique, *arguments, **({"input": data} if source == "pipe" else {}))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == data
    assert (tmp_path / "copy1").read_bytes() == data
    assert tcp.finish() == data
    assert report_of(ran.stderr)["bytes"] == size


def test_a_slow_tee_holds_nothing_back_from_being_whole(copy, leat, tmp_path):
    """One sink that reads late, one that reads at once: both get everything."""
    data = content(8 << 20)
    (tmp_path / "in").write_bytes(data)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with started([leat, "copy", "--tee", f"tcp:127.0.0.1:{port}", "in", "-"], cwd=tmp_path) as process:
            connection, _ = listener.accept()
            got = bytearray()
            reader = threading.Thread(target=lambda: got.extend(process.stdout.read()))
            reader.start()
            late = bytearray()
            with connection:
                connection.settimeout(TIMEOUT)
                while piece := connection.recv(4096):
                    late += piece
            reader.join(TIMEOUT)
            assert process.wait(TIMEOUT) == 0
    assert late == data
    assert got == data


# ---- odd files ----


def test_a_pseudo_file_without_size_is_read_to_its_end(copy):
    with open("/proc/version", "rb") as file:
        assert copy("/proc/version", "-").stdout == file.read()


def test_a_source_without_splice_read_falls_back(copy, tmp_path):
    """/proc/self/maps can't be spliced: it is read instead."""
    ran = copy("--json", "/proc/self/maps", "out")
    assert ran.returncode == 0, ran.stderr
    assert report_of(ran.stdout)["bytes"] == (tmp_path / "out").stat().st_size > 0
    assert b"[stack]" in (tmp_path / "out").read_bytes()


def test_append_writes_behind_what_is_there(copy, tmp_path):
    (tmp_path / "log").write_bytes(b"first\n")
    (tmp_path / "in").write_bytes(content(100000))
    assert copy("--append", "in", "log").returncode == 0
    assert (tmp_path / "log").read_bytes() == b"first\n" + content(100000)


@pytest.mark.parametrize("source", ["in", "-"])
def test_standard_output_in_append_mode_takes_bytes(copy, tmp_path, source):
    """A shell's >>: sendfile, splice and copy_file_range refuse such a file."""
    (tmp_path / "in").write_bytes(content(100000))
    (tmp_path / "log").write_bytes(b"first\n")
    with open(tmp_path / "log", "ab") as log:
        ran = copy(source, "-", stdout=log, **({"input": content(100000)} if source == "-" else {}))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "log").read_bytes() == b"first\n" + content(100000)


def test_a_forced_technique_never_falls_back(copy, tmp_path):
    (tmp_path / "in").write_bytes(b"x")
    (tmp_path / "log").write_bytes(b"first\n")
    ran = copy("--json", "--append", "--technique", "sendfile", "in", "log")
    assert ran.returncode == 1
    assert "in to log" in ran.stderr and "sendfile" in ran.stderr
    report = report_of(ran.stdout)
    assert report["bytes"] == 0 and "sendfile" in report["error"]
    assert (tmp_path / "log").read_bytes() == b"first\n"


def test_a_longer_file_is_emptied_first(copy, tmp_path):
    (tmp_path / "in").write_bytes(b"short")
    (tmp_path / "out").write_bytes(content(100000))
    assert copy("in", "out").returncode == 0
    assert (tmp_path / "out").read_bytes() == b"short"


def test_a_new_file_has_the_mode_of_the_umask(copy, tmp_path):
    (tmp_path / "in").write_bytes(b"x")
    assert copy("in", "out", preexec_fn=lambda: os.umask(0o027)).returncode == 0
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


# ---- the report ----


def test_sendfile_over_loopback_is_by_reference(copy, receiver, tmp_path):
    (tmp_path / "in").write_bytes(content(1 << 20))
    sink = receiver()
    report = report_of(copy("--json", "in", f"tcp:127.0.0.1:{sink.port}").stdout)
    sink.finish()
    assert report["technique"] == "sendfile"
    if report["verdict"] == "copied" and "self-probe" in report["evidence"]:
        pytest.skip("this kernel's sendfile copies")
    assert report["verdict"] == "by-reference"
    assert report["bytes_by_reference"] == 1 << 20


def test_the_text_report_stands_on_stderr(copy, tmp_path):
    (tmp_path / "in").write_bytes(content(1536))
    ran = copy("in", "-")
    assert ran.stdout == content(1536)
    for word in ("1.5 KiB", "CPU", "technique", "verdict", "system calls"):
        assert word in ran.stderr
    assert "\r" not in ran.stderr, "no progress bar where nobody looks"


def test_a_terminal_gets_a_progress_bar(leat):
    leader, follower = os.openpty()
    with started([leat, "copy", "/dev/zero", "/dev/null"], stderr=follower) as process:
        os.close(follower)
        shown = b""
        while b"/s" not in shown:
            shown += os.read(leader, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
    os.close(leader)
    assert shown.startswith(b"\r")


@pytest.fixture
def two_hosts(tmp_path):
    """Two network namespaces joined by a veth pair; the device of the first is called `out`."""
    here, there = f"leat-{os.getpid()}-a", f"leat-{os.getpid()}-b"
    commands = [
        f"netns add {here}", f"netns add {there}",
        f"link add out netns {here} type veth peer name in netns {there}",
        f"-n {here} addr add 10.99.7.1/24 dev out", f"-n {there} addr add 10.99.7.2/24 dev in",
        f"-n {here} link set out up", f"-n {there} link set in up",
    ]
    try:
        for command in commands:
            if not shutil.which("ip") or run(["ip", *command.split()]).returncode != 0:
                pytest.skip("no network namespaces or veth devices here")
        yield here, there
    finally:
        for name in (here, there):
            if shutil.which("ip"):
                run(["ip", "netns", "del", name])


@pytest.mark.parametrize("technique", ["sendfile", "splice"])
@pytest.mark.parametrize("feature, verdict", [(None, "by-reference"), ("sg", "copied"), ("tx", "copied")])
def test_the_verdict_knows_the_device(leat, tmp_path, two_hosts, technique, feature, verdict):
    """Without scatter-gather or checksums the kernel copies what sendfile hands over, and tells
    nobody: the device was asked. The proof is the peer's: it reads after the file has changed.

    The bytes fit the first congestion window (10 segments): without checksums the kernel copies when
    it transmits (skb_checksum_help), so what still waits in the socket follows the file."""
    here, there = two_hosts
    size = 8192
    (tmp_path / "in").write_bytes(b"A" * size)
    if feature and run(["ip", "netns", "exec", here, "ethtool", "-K", "out", feature, "off"]).returncode != 0:
        pytest.skip("the device's features can't be changed here")
    peer = """if True:
        import socket, sys
        with socket.create_server(("10.99.7.2", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            connection, _ = listener.accept()
        sys.stdin.read(1)
        data = b""
        while piece := connection.recv(1 << 20):
            data += piece
        print("".join(sorted(set(data.decode()))), len(data))
    """
    command = ["ip", "netns", "exec", there, "/usr/bin/python3", "-c", peer]
    with started(command, stdin=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        ran = run(["ip", "netns", "exec", here, leat, "copy", "--json", "--technique", technique, tmp_path / "in",
                   f"tcp:10.99.7.2:{port}"])
        assert ran.returncode == 0, ran.stderr
        with open(tmp_path / "in", "r+b") as file:
            file.write(b"B" * size)
        letters, count = process.communicate(b"\n", TIMEOUT)[0].split()
    report = report_of(ran.stdout)
    assert int(count) == report["bytes"] == size
    assert report["verdict"] == verdict, report["evidence"]
    assert letters == (b"B" if verdict == "by-reference" else b"A")


# ---- errors ----


@pytest.mark.parametrize("arguments, said", [
    ([], "SRC and DST"), (["in"], "SRC and DST"), (["in", "a", "b"], "one SRC"),
    (["--nonsense", "in", "out"], "--nonsense"), (["-x", "in", "out"], "-x"), (["--length"], "--length"),
    (["--length", "many", "in", "out"], "many"), (["--offset", "-1", "in", "out"], "-1"),
    (["--technique", "magic", "in", "out"], "magic"), (["in", "tcp:host"], "tcp:host"),
    (["in", "tcp:host:port"], "port"), (["unix:", "out"], "unix:"), (["--append", "in", "-"], "--append"),
    (["--tee", "-", "in", "-"], "standard output"), (["--json=1", "in", "out"], "--json"),
    ([word for i in range(17) for word in ("--tee", f"t{i}")] + ["in", "out"], "16"),
])
def test_arguments_without_sense_end_with_2_and_touch_nothing(copy, tmp_path, arguments, said):
    (tmp_path / "in").write_bytes(b"x")
    ran = copy(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("arguments, said", [
    (["missing", "out"], "missing"), (["in", "missing/out"], "missing/out"), (["in", "."], "directory"),
    ([".", "out"], "directory"), (["in", "unix:missing"], "unix:missing"),
    (["in", "tcp:nobody.invalid:80"], "nobody.invalid"), (["in", "in"], "source itself"),
    (["in", "./link"], "source itself"), (["--tee", "same", "in", "./same"], "same"),
])
def test_what_can_not_be_opened_ends_with_1_and_a_line_that_names_it(copy, tmp_path, arguments, said):
    (tmp_path / "in").write_bytes(b"precious")
    os.link(tmp_path / "in", tmp_path / "link")
    ran = copy(*arguments)
    assert ran.returncode == 1
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert (tmp_path / "in").read_bytes() == b"precious"


def test_a_refused_connection_says_what_to_do(copy, tmp_path):
    (tmp_path / "in").write_bytes(b"x")
    ran = copy("--json", "in", f"tcp:127.0.0.1:{free_port()}")
    assert ran.returncode == 1
    assert "nobody listens" in ran.stderr
    assert "nobody listens" in report_of(ran.stdout)["error"]


def test_offset_into_a_pipe_is_refused(copy):
    ran = copy("--offset", "1", "-", "-", input=b"abc")
    assert ran.returncode == 1
    assert "can't seek" in ran.stderr
    assert ran.stdout == b""


def test_a_source_that_ends_before_length_fails_and_reports(copy, tmp_path):
    (tmp_path / "in").write_bytes(content(5000))
    ran = copy("--json", "--length", "5001", "in", "out")
    assert ran.returncode == 1
    assert "5000" in ran.stderr
    report = report_of(ran.stdout)
    assert report["bytes"] == (tmp_path / "out").stat().st_size
    assert "5000" in report["error"]


def test_a_full_disk_is_an_error_of_the_sink(copy, tmp_path):
    (tmp_path / "in").write_bytes(content(100000))
    ran = copy("in", "/dev/full")
    assert ran.returncode == 1
    assert "/dev/full: no space left" in ran.stderr


def test_the_limit_of_file_sizes_is_an_error_and_no_signal(copy, tmp_path):
    (tmp_path / "in").write_bytes(content(300000))
    ran = copy("in", "out", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
    assert ran.returncode == 1
    assert "EFBIG" in ran.stderr
    assert (tmp_path / "out").stat().st_size == 100000


@pytest.mark.parametrize("technique", TECHNIQUES["stdout"])
def test_a_closed_reader_is_an_error_and_no_death_by_signal(leat, sparse, technique):
    with started([leat, "copy", "--technique", technique, sparse, "-"]) as process:
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        process.stdout = None
        assert process.wait(TIMEOUT) == 1
        assert b"standard output: the reader closed it" in process.stderr.read()


@pytest.mark.parametrize("technique", TECHNIQUES["tcp"])
def test_a_closed_peer_is_an_error_that_names_it(leat, sparse, technique):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        with started([leat, "copy", "--technique", technique, sparse, name]) as process:
            connection, _ = listener.accept()
            connection.settimeout(TIMEOUT)
            assert connection.recv(1000)
            connection.close()
            assert process.wait(TIMEOUT) == 1
            assert process.stderr.readline().startswith(f"leat copy: {name}: the reader closed it".encode())


def test_a_closed_tee_is_an_error_that_names_it(leat, sparse):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        with started([leat, "copy", "--tee", name, sparse, "/dev/null"]) as process:
            connection, _ = listener.accept()
            connection.settimeout(TIMEOUT)
            assert connection.recv(1000)
            connection.close()
            assert process.wait(TIMEOUT) == 1
            assert process.stderr.readline().startswith(f"leat copy: {name}: the reader closed it".encode())


def test_a_full_tee_is_not_blamed_on_the_destination(copy, tmp_path):
    (tmp_path / "in").write_bytes(content(100000))
    ran = copy("--tee", "/dev/full", "in", "out")
    assert ran.returncode == 1
    assert "out and --tee" in ran.stderr


def test_a_source_that_breaks_is_named(leat, tmp_path):
    """A reset, not an end: what came before is kept, and the transfer has failed."""
    command = [leat, "copy", "--technique", "copy", "tcp-listen:127.0.0.1:0", "out"]
    with started(command, cwd=tmp_path) as process:
        connection = socket.create_connection(("127.0.0.1", listening_port(process)), TIMEOUT)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"hello")
        while not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size < 5:
            assert process.poll() is None
        connection.close()
        assert process.wait(TIMEOUT) == 1
        assert b"tcp-listen:127.0.0.1:0: the other side broke the connection" in process.stderr.read()


# ---- Ctrl-C ----


@pytest.mark.parametrize("technique", ["auto", "copy", "splice", "tee", "uring"])
def test_ctrl_c_while_the_source_is_silent_reports_what_came(leat, tmp_path, technique):
    command = [leat, "copy", "--json", "--technique", technique, "tcp-listen:127.0.0.1:0", "out"]
    with started(command, cwd=tmp_path) as process:
        with socket.create_connection(("127.0.0.1", listening_port(process)), TIMEOUT) as connection:
            connection.sendall(b"hello")
            while not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size < 5:
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
        report = report_of(process.stdout.read())
    assert report["bytes"] == 5
    assert "interrupted" in report["error"]
    assert (tmp_path / "out").read_bytes() == b"hello"


@pytest.mark.parametrize("technique", TECHNIQUES["tcp"])
def test_ctrl_c_while_the_sink_takes_nothing_counts_what_it_took(leat, sparse, technique):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        with started([leat, "copy", "--json", "--technique", technique, sparse, name]) as process:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(TIMEOUT)
                size = len(connection.recv(1))  # the transfer is under way
                process.send_signal(signal.SIGINT)
                assert process.wait(TIMEOUT) == 130
                while piece := connection.recv(1 << 20):
                    size += len(piece)
            assert report_of(process.stdout.read())["bytes"] == size


def test_ctrl_c_that_the_shell_turned_off_stays_off(leat, tmp_path):
    """Background jobs of scripts: they must not be stopped by what is meant for the foreground."""
    with started([leat, "copy", "-", "out"], cwd=tmp_path, stdin=subprocess.PIPE,
                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) as process:
        process.stdin.write(b"a")
        process.stdin.flush()
        while not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stdin.write(b"b")
        process.stdin.close()
        process.stdin = None
        assert process.wait(TIMEOUT) == 0
    assert (tmp_path / "out").read_bytes() == b"ab"


def test_ctrl_c_between_files_stops(leat, tmp_path):
    with started([leat, "copy", "--json", "--technique", "copy", "/dev/zero", "out"], cwd=tmp_path) as process:
        while not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 143
        report = report_of(process.stdout.read())
    assert report["bytes"] == (tmp_path / "out").stat().st_size


# ---- without privileges ----


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become nobody")
def test_a_user_without_privileges_has_all_of_it(leat, tmp_path, receiver):
    """The program is copied to a place that nobody may read."""
    data = content(3 << 20)
    folder = tmp_path / "open"
    folder.mkdir()
    for parent in [folder, *folder.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o777)
    program = shutil.copy(leat, folder / "leat")
    (folder / "in").write_bytes(data)
    sink = receiver()
    ran = run([program, "copy", "--json", "in", f"tcp:127.0.0.1:{sink.port}"], cwd=folder, preexec_fn=as_nobody)
    assert ran.returncode == 0, ran.stderr
    assert sink.finish() == data
    assert report_of(ran.stdout)["verdict"] in ("by-reference", "copied")
    ran = run([program, "copy", "in", "out"], cwd=folder, preexec_fn=as_nobody)
    assert ran.returncode == 0, ran.stderr
    assert (folder / "out").read_bytes() == data
    (folder / "in").chmod(0)
    ran = run([program, "copy", "in", "out"], cwd=folder, preexec_fn=as_nobody)
    assert ran.returncode == 1
    assert "in: permission denied" in ran.stderr


# ---- the program ----


def test_help_and_version_go_to_standard_output(leat):
    assert b"Examples" in run([leat, "copy", "--help"]).stdout
    assert b"leat copy" in run([leat, "--help"]).stdout
    assert run([leat, "--version"]).stdout.startswith(b"leat ")


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_an_unknown_command_ends_with_2_and_one_line(leat, arguments):
    ran = run([leat, *arguments])
    assert ran.returncode == 2
    assert ran.stdout == b"" and ran.stderr.count("\n") == 1


def test_a_report_that_can_not_be_written_is_a_failure(leat, tmp_path):
    (tmp_path / "in").write_bytes(b"x")
    with open("/dev/full", "wb") as full:
        assert run([leat, "copy", "--json", "in", "out"], cwd=tmp_path, stdout=full).returncode == 1
    assert run([leat, "--version"], stdout=subprocess.DEVNULL).returncode == 0


def test_closed_standard_descriptors_are_not_taken_for_the_files(leat, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    for closed in ("2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        command = f'"$0" copy --tee "$2" "$1" "$3" {closed}'
        ran = run(["sh", "-c", command, leat, tmp_path / "a", tmp_path / "t1", tmp_path / "t2"])
        assert ran.returncode == 0
        assert (tmp_path / "t1").read_bytes() == (tmp_path / "t2").read_bytes() == b"content"
    ran = run(["sh", "-c", '"$0" copy "$1" - >&-', leat, tmp_path / "a"])
    assert ran.returncode == 1 and "source itself" not in ran.stderr
    ran = run(["sh", "-c", '"$0" copy - "$1" <&-', leat, tmp_path / "t1"])
    assert ran.returncode == 1
