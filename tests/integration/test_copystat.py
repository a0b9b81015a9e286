"""leat copystat: what it says of known workloads is true, and of servers that others wrote."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import TIMEOUT, Receiver, as_nobody, free_port, run, started

MIB = 1 << 20
SIZE = 64 * MIB
KEYS = ["pid", "comm", "sent_bytes", "sent_copied_bytes", "sent_by_reference_bytes", "copied_later_bytes",
        "received_bytes", "received_copied_bytes", "file_read_bytes", "copies_per_sent_byte", "verdict", "backend"]


@pytest.fixture(scope="module")
def allowed(leat):
    """Skips where eBPF is not built in or not allowed, with what copystat itself says."""
    ran = run([leat, "copystat", "--all", "--duration", "0.1"])
    if ran.returncode != 0:
        pytest.skip(ran.stderr.strip())


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A file of SIZE bytes, in the page cache."""
    path = tmp_path_factory.mktemp("www") / "big"
    path.write_bytes(os.urandom(MIB) * (SIZE // MIB))
    path.parent.chmod(0o755)
    return path


def about(number, expected):
    return number == pytest.approx(expected, rel=0.01, abs=SIZE * 0.01 if expected == 0 or expected > 100 else 0.01)


class Watched:
    """copystat in JSON, from where it says that it watches; `total` of what it said."""

    def __init__(self, process):
        self.process = process
        for line in process.stderr:
            if b"watching" in line:
                return
        raise AssertionError("copystat ended without watching")

    def finish(self, signo=None):
        if signo:
            self.process.send_signal(signo)
        out, err = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0, err
        return total(out)


def total(output):
    """Sums over all objects, and copies for each byte sent as the manual page defines them."""
    objects = [json.loads(line) for line in output.splitlines()]
    for one in objects:
        assert list(one) == KEYS
        assert one["sent_copied_bytes"] + one["sent_by_reference_bytes"] == one["sent_bytes"]
    sums = {key: sum(one[key] for one in objects) for key in KEYS if key.endswith("_bytes")}
    copied_in = min(sums["file_read_bytes"] + sums["received_copied_bytes"], sums["sent_copied_bytes"])
    copies = copied_in + sums["sent_copied_bytes"] + sums["copied_later_bytes"]
    return {**sums, "copies": copies / sums["sent_bytes"] if sums["sent_bytes"] else 0,
            "verdicts": [one["verdict"] for one in objects]}


@contextlib.contextmanager
def watching(leat, *pids):
    names = ",".join(str(pid) for pid in pids)
    with started([leat, "copystat", "--json", "--interval", "0.5", "-p", names]) as process:
        yield Watched(process)


# ---- known workloads ----

# Sends the file by one technique, once a line has come; or receives.
WORKER = """
import mmap, os, socket, sys
technique, family, address, path = sys.argv[1:]
unix = family == "unix"
peer = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
peer.connect(address if unix else ("127.0.0.1", int(address)))
file = os.open(path, os.O_RDONLY)
size = os.fstat(file).st_size
print("ready", flush=True)
sys.stdin.readline()
if technique == "read":
    while piece := os.read(file, 65536):
        peer.sendall(piece)
elif technique == "mmap":
    with mmap.mmap(file, size, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
        peer.sendall(view)
elif technique == "sendfile":
    at = 0
    while at < size:
        at += os.sendfile(peer.fileno(), file, at, size - at)
elif technique == "splice":
    out, into = os.pipe()
    while n := os.splice(file, into, 65536):
        while n > 0:
            n -= os.splice(out, peer.fileno(), n)
elif technique == "receive":
    while peer.recv(65536):
        pass
"""


def work(leat, big, technique, family, address):
    command = [sys.executable, "-c", WORKER, technique, family, str(address), big]
    with started(command, stdin=subprocess.PIPE) as worker:
        assert worker.stdout.readline() == b"ready\n", worker.stderr.read()
        with watching(leat, worker.pid) as watched:
            worker.stdin.write(b"\n")
            worker.stdin.flush()
            assert worker.wait(TIMEOUT) == 0, worker.stderr.read()
            return watched.finish()


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("technique, copies, file_read", [
    ("read", 2, SIZE), ("mmap", 1, 0), ("sendfile", 0, 0), ("splice", 0, 0)])
def test_senders_copy_as_often_as_the_theory_says(leat, allowed, big, tmp_path, technique, copies, file_read, family):
    path = str(tmp_path / "s")
    if family == "unix":
        receiver = Receiver(path, socket.AF_UNIX, keep=False)
    else:
        receiver = Receiver(keep=False)
    with contextlib.closing(receiver):
        told = work(leat, big, technique, family, path if family == "unix" else receiver.port)
        receiver.finish()
        assert receiver.size == SIZE
    assert about(told["sent_bytes"], SIZE)
    assert about(told["copies"], copies)
    assert about(told["file_read_bytes"], file_read)
    assert about(told["sent_by_reference_bytes"], 0 if copies else SIZE)
    assert told["received_bytes"] == 0


def test_a_receiver_copies_once(leat, allowed, big):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        command = [sys.executable, "-c", WORKER, "receive", "tcp", str(listener.getsockname()[1]), big]
        with started(command, stdin=subprocess.PIPE) as worker:
            peer, _ = listener.accept()
            with peer, open(big, "rb") as file:
                assert worker.stdout.readline() == b"ready\n"
                with watching(leat, worker.pid) as watched:
                    worker.stdin.write(b"\n")
                    worker.stdin.flush()
                    peer.settimeout(TIMEOUT)
                    peer.sendfile(file)
                    peer.shutdown(socket.SHUT_WR)
                    worker.wait(TIMEOUT)
                    told = watched.finish()
    assert about(told["received_bytes"], SIZE)
    assert about(told["received_copied_bytes"], SIZE)
    assert told["sent_bytes"] == 0
    assert any("received, 1.00 copies per byte" in verdict for verdict in told["verdicts"])


@pytest.mark.parametrize("technique, copies", [("uring", 0), ("vmsplice", 0), ("zerocopy", 1)])
def test_rarer_techniques(leat, allowed, big, technique, copies):
    """io_uring splices in a worker thread; MSG_ZEROCOPY's pages are copied on loopback."""
    with contextlib.closing(Receiver(keep=False)) as receiver:
        ran = run([leat, "copystat", "--json", "--", leat, "copy", "--technique", technique, big,
                   f"tcp:127.0.0.1:{receiver.port}"])
        if ran.returncode != 0:
            pytest.skip(ran.stderr.strip())
        receiver.finish()
    told = total(ran.stdout)
    assert about(told["sent_by_reference_bytes"], SIZE)
    # What TCP sends again is copied again.
    assert copies - 0.01 <= told["copies"] <= 2 * copies + 0.01


# ---- a device that makes the kernel copy ----

def ip(*arguments):
    ran = run(["ip", *arguments])
    if ran.returncode != 0:
        pytest.skip(f"ip {' '.join(arguments)}: {ran.stderr.strip()}")


@pytest.fixture
def two_hosts():
    """Two network namespaces with a pair of devices between them: 10.9.8.1 and 10.9.8.2."""
    if os.getuid() != 0:
        pytest.skip("network namespaces need root")
    if not shutil.which("ip") or not shutil.which("ethtool"):
        pytest.skip("needs iproute2 and ethtool")
    names = [f"leat-cs-{os.getpid()}-{i}" for i in (1, 2)]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "cs1", "type", "veth", "peer", "name", "cs2", "netns", names[1])
        for i, name in enumerate(names, 1):
            ip("-n", name, "addr", "add", f"10.9.8.{i}/24", "dev", f"cs{i}")
            ip("-n", name, "link", "set", f"cs{i}", "up")
        yield names
    finally:
        for name in names:
            run(["ip", "netns", "del", name])


def copy_between(leat, big, hosts, technique="sendfile"):
    """What copystat tells of `leat copy` that sends from the first host to the second."""
    port = free_port()
    with started(["ip", "netns", "exec", hosts[1], leat, "copy", f"tcp-listen:10.9.8.2:{port}", "/dev/null"]) as sink:
        for line in sink.stderr:
            if b"listening" in line:
                break
        ran = run([leat, "copystat", "--json", "--", "ip", "netns", "exec", hosts[0],
                   leat, "copy", "--technique", technique, big, f"tcp:10.9.8.2:{port}"])
        assert ran.returncode == 0, ran.stderr
        sink.wait(TIMEOUT)
    return total(ran.stdout)


def test_sendfile_to_a_device_with_scatter_gather_copies_nothing(leat, allowed, big, two_hosts):
    told = copy_between(leat, big, two_hosts)
    assert about(told["sent_by_reference_bytes"], SIZE)
    assert about(told["copies"], 0)


@pytest.mark.parametrize("feature, words", [("sg", "scatter-gather"), ("tx", "checksum offload")])
def test_a_device_that_makes_sendfile_copy_is_named(leat, allowed, big, two_hosts, feature, words):
    ran = run(["ip", "netns", "exec", two_hosts[0], "ethtool", "-K", "cs1", feature, "off"])
    if ran.returncode != 0:
        pytest.skip(f"ethtool: {ran.stderr.strip()}")
    told = copy_between(leat, big, two_hosts)
    assert about(told["sent_by_reference_bytes"], SIZE)
    # What is still in the socket when the command ends is sent, and copied, after copystat's last look.
    assert told["copied_later_bytes"] >= 0.9 * SIZE
    assert told["copies"] >= 0.9
    verdict = rf"sendfile is used but cs1 has {words} off: (every byte is|\d+ % of its bytes are) copied"
    assert any(re.search(verdict, said) for said in told["verdicts"])


# ---- servers that others wrote ----

def needs(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


@contextlib.contextmanager
def serving(command, port, **options):
    """The process, once it accepts connections."""
    with started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options) as process:
        deadline = time.monotonic() + TIMEOUT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT):
                break
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)
        yield process


def download(port):
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as peer:
        peer.sendall(b"GET /big HTTP/1.0\r\nHost: x\r\n\r\n")
        size = 0
        while piece := peer.recv(MIB):
            size += len(piece)
    assert SIZE < size < SIZE + 4096


def told_of(leat, process, port):
    """What copystat tells of a server while it sends `big`."""
    with watching(leat, process.pid) as watched:
        download(port)
        return watched.finish(signal.SIGINT)


@contextlib.contextmanager
def nginx(tmp_path, big, sendfile):
    port = free_port()
    conf = tmp_path / f"nginx-{port}.conf"
    conf.write_text(f"""daemon off; master_process off; pid {tmp_path}/nginx-{port}.pid; error_log /dev/null;
events {{ }}
http {{
  access_log off; sendfile {sendfile};
  client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path}; fastcgi_temp_path {tmp_path};
  uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};
  server {{ listen 127.0.0.1:{port}; root {big.parent}; }}
}}
""")
    with serving([needs("nginx"), "-p", tmp_path, "-e", "/dev/null", "-c", conf], port) as process:
        yield process, port


@pytest.mark.parametrize("sendfile, copies", [("on", 0), ("off", 2)])
def test_nginx(leat, allowed, big, tmp_path, sendfile, copies):
    with nginx(tmp_path, big, sendfile) as (process, port):
        told = told_of(leat, process, port)
    assert about(told["sent_bytes"], SIZE)
    assert about(told["copies"], copies)
    assert about(told["sent_by_reference_bytes"], 0 if copies else SIZE)


def test_lighttpd(leat, allowed, big, tmp_path):
    port = free_port()
    conf = tmp_path / "lighttpd.conf"
    conf.write_text(f'server.document-root = "{big.parent}"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n'
                    'server.network-backend = "sendfile"\n')
    with serving([needs("lighttpd"), "-D", "-f", conf], port) as process:
        told = told_of(leat, process, port)
    assert about(told["sent_bytes"], SIZE)
    assert about(told["copies"], 0)


@pytest.mark.parametrize("splice", [False, True])
def test_haproxy(leat, allowed, big, tmp_path, splice):
    """Without splice it receives and sends by copy; with it, it copies what came before it began."""
    program, port = needs("haproxy"), free_port()
    with nginx(tmp_path, big, "on") as (_, behind):
        conf = tmp_path / "haproxy.conf"
        conf.write_text(f"""global
  nbthread 1
  maxconn 100
  maxpipes 10
defaults
  mode tcp
  timeout connect {TIMEOUT}s
  timeout client {TIMEOUT}s
  timeout server {TIMEOUT}s
listen relay
  bind 127.0.0.1:{port}
  {"option splice-response" if splice else ""}
  server nginx 127.0.0.1:{behind}
""")
        with serving([program, "-db", "-f", conf], port) as process:
            told = told_of(leat, process, port)
    assert about(told["sent_bytes"], SIZE)
    assert about(told["received_bytes"], SIZE)
    if splice:
        assert told["sent_by_reference_bytes"] > 0.9 * SIZE
        assert told["copies"] < 0.2
    else:
        assert about(told["copies"], 2)


def test_python_http_server(leat, allowed, big):
    port = free_port()
    with serving([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port,
                 cwd=big.parent) as process:
        told = told_of(leat, process, port)
    assert about(told["sent_bytes"], SIZE)
    assert about(told["copies"], 2)


def test_leat_http(leat, allowed, big):
    port = free_port()
    with serving([leat, "http", "-l", f"127.0.0.1:{port}", big.parent], port) as process:
        told = told_of(leat, process, port)
    assert about(told["sent_bytes"], SIZE)
    assert about(told["copies"], 0)


# ---- whom it watches ----

SEND_3 = "import socket; a, b = socket.socketpair(); a.send(b'abc'); b.recv(9)"


def test_a_command_is_watched_with_its_children(leat, allowed):
    ran = run([leat, "copystat", "--json", "--", "sh", "-c", f'{sys.executable} -c "{SEND_3}"; true'])
    assert ran.returncode == 0
    told = total(ran.stdout)
    assert (told["sent_bytes"], told["received_bytes"], told["received_copied_bytes"]) == (3, 3, 3)


def test_processes_of_a_name_are_watched_also_those_that_start_later(leat, allowed, tmp_path):
    name = f"cs{os.getpid()}"
    (tmp_path / name).symlink_to(sys.executable)
    program = [tmp_path / name, "-c", f"input(); {SEND_3}; print('done', flush=True); input()"]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(started(program, stdin=subprocess.PIPE))
        while Path(f"/proc/{first.pid}/comm").read_text().strip() != name:
            time.sleep(0.01)
        process = stack.enter_context(started([leat, "copystat", "--json", "--interval", "0.1", "--name", name]))
        watched = Watched(process)
        second = stack.enter_context(started(program, stdin=subprocess.PIPE))
        seen = set()
        for line in process.stdout:  # both are found
            seen.add(json.loads(line)["pid"])
            if {first.pid, second.pid} <= seen:
                break
        for one in (first, second):
            one.stdin.write(b"\n")
            one.stdin.flush()
            assert one.stdout.readline() == b"done\n"
        told = watched.finish(signal.SIGINT)
    assert told["sent_bytes"] == 6


def test_all_sees_who_sends(leat, allowed):
    with started([leat, "copystat", "--all", "--json", "--interval", "0.2"]) as process:
        watched = Watched(process)
        with started([sys.executable, "-c", SEND_3]) as sender:
            sender.wait(TIMEOUT)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=TIMEOUT)
    mine = [json.loads(line) for line in out.splitlines() if json.loads(line)["pid"] == sender.pid]
    assert watched.process.returncode == 0
    assert sum(one["sent_bytes"] for one in mine) == 3


# ---- what is shown ----

def test_ctrl_c_prints_the_summary(leat, allowed):
    with started([sys.executable, "-c", f"input(); {SEND_3}; print('done', flush=True); input()"],
                 stdin=subprocess.PIPE) as sender:
        with started([leat, "copystat", "-p", str(sender.pid)]) as process:
            watched = Watched(process)
            sender.stdin.write(b"\n")
            sender.stdin.flush()
            assert sender.stdout.readline() == b"done\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=TIMEOUT)
    assert watched.process.returncode == 0, err
    text = out.decode()
    assert f"({sender.pid}): 3 B sent, 0 % by reference, " in text
    assert "UNIX       sent 3 B: 3 B copied at the call, 0 B by reference" in text
    assert "send: 1 call, 3 B sent" in text


def test_it_ends_when_the_process_ends(leat, allowed):
    with started([sys.executable, "-c", f"input(); {SEND_3}"], stdin=subprocess.PIPE) as sender:
        with watching(leat, sender.pid) as watched:
            sender.stdin.write(b"\n")
            sender.stdin.flush()
            sender.wait(TIMEOUT)
            assert watched.finish()["sent_bytes"] == 3


def test_the_output_goes_where_it_is_sent(leat, allowed, tmp_path):
    ran = run([leat, "copystat", "--", sys.executable, "-c", f"{SEND_3}; print('mine')"])
    assert ran.stdout == b"mine\n"
    assert "3 B sent" in ran.stderr
    ran = run([leat, "copystat", "-o", tmp_path / "log", "--json", "--", "echo", "mine"])
    assert ran.stdout == b"mine\n"
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["comm"] == "echo"
    ran = run([leat, "copystat", "--top", "--all", "--duration", "0.2", "--interval", "0.1"])
    assert ran.stdout.startswith(b"\033[H\033[J    PID COMMAND")


def test_the_exit_status_of_the_command_is_reported(leat, allowed):
    ran = run([leat, "copystat", "--", "sh", "-c", "exit 7"])
    assert ran.returncode == 7 and "sh ended with exit status 7" in ran.stderr
    ran = run([leat, "copystat", "--", "sh", "-c", "kill -TERM $$"])
    assert ran.returncode == 128 + signal.SIGTERM and "was ended by signal 15" in ran.stderr
    ran = run([leat, "copystat", "--duration", "0.1", "--", "sleep", str(TIMEOUT)])
    assert ran.returncode == 128 + signal.SIGTERM


def test_signals_reach_the_command(leat, allowed):
    with started([leat, "copystat", "--", "sh", "-c", "trap 'exit 9' INT; echo up; while :; do sleep 0.05; done"]) as process:
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 9
    assert b"sh (" in err


# ---- bad input ----

@pytest.mark.parametrize("arguments, words", [
    ([], "which process?"),
    (["-p", "x"], "-p 'x'"),
    (["-p", "1,"], "-p '1,'"),
    (["-p", "0"], "-p '0'"),
    (["--nope"], "--nope"),
    (["-p", "1", "--all"], "not several"),
    (["--all", "--interval", "0"], "--interval '0'"),
    (["--all", "--interval", "nan"], "--interval 'nan'"),
    (["--all", "--backend", "magic"], "no backend 'magic'"),
    (["--all", "--json", "--top"], "don't go together"),
    (["--name", ""], "needs a name"),
])
def test_nonsense_is_refused_in_one_line(leat, arguments, words):
    ran = run([leat, "copystat", *arguments])
    assert ran.returncode == 2
    assert words in ran.stderr and len(ran.stderr.splitlines()) == 1 and ran.stdout == b""


@pytest.mark.parametrize("arguments, words", [
    (["-p", str(2**31 - 1)], "there is no process 2147483647"),
    (["--name", "no-such-name"], "there is no process called 'no-such-name'"),
    (["--", "/no/such/command"], "/no/such/command: No such file or directory"),
    (["-o", "/no/such/folder/file", "--all"], "/no/such/folder/file: No such file or directory"),
])
def test_what_is_not_there_is_said_in_one_line(leat, allowed, arguments, words):
    ran = run([leat, "copystat", *arguments])
    assert ran.returncode == 1
    assert words in ran.stderr and len(ran.stderr.splitlines()) == 1 and ran.stdout == b""


def test_a_thread_is_no_process(leat, allowed):
    thread = f"import threading, sys; t = threading.Thread(target=input); t.start(); print(t.native_id, flush=True)"
    with started([sys.executable, "-c", thread], stdin=subprocess.PIPE) as process:
        number = process.stdout.readline().decode().strip()
        ran = run([leat, "copystat", "-p", number])
    assert ran.returncode == 1 and f"there is no process {number}" in ran.stderr


def test_without_rights_it_says_what_it_needs(leat, allowed, tmp_path):
    if os.getuid() != 0:
        pytest.skip("needs root, to give it up")
    program = shutil.copy(leat, tmp_path / "leat")
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    ran = run([program, "copystat", "--all"], preexec_fn=as_nobody)
    assert ran.returncode == 1
    assert "CAP_BPF and CAP_PERFMON" in ran.stderr and len(ran.stderr.splitlines()) == 1


def unshared(*command):
    """In mounts of its own, whatever else: what is mounted there is gone with it."""
    if os.getuid() != 0 or run(["unshare", "--mount", "--propagation", "private", "true"]).returncode != 0:
        pytest.skip("unshare --mount is not allowed")
    return run(["unshare", "--mount", "--propagation", "private", *command])


def test_without_btf_it_says_so(leat, allowed):
    ran = unshared("sh", "-c", f"mount --bind /dev/null /sys/kernel/btf/vmlinux && exec {leat} copystat --all -d 1")
    assert ran.returncode == 1
    assert "/sys/kernel/btf/vmlinux" in ran.stderr and len(ran.stderr.splitlines()) == 1


def test_in_a_container_it_says_so(leat, allowed):
    ran = unshared("--pid", "--fork", "--mount-proc", leat, "copystat", "--all", "-d", "1")
    assert ran.returncode == 1
    assert "--pid=host" in ran.stderr and len(ran.stderr.splitlines()) == 1


def test_a_full_disk_is_a_failure(leat, allowed):
    ran = run([leat, "copystat", "--all", "--json", "-d", "0.3", "-o", "/dev/full"])
    text = run([leat, "copystat", "--all", "-d", "0.3", "-o", "/dev/full"])
    assert text.returncode == 1 and "No space left on device" in text.stderr
    assert ran.returncode in (0, 1)  # nobody may have sent anything


def test_a_reader_that_goes_away_ends_it(leat, allowed):
    with started([leat, "copystat", "--json", "--interval", "0.05", "-p", str(os.getpid())]) as process:
        assert json.loads(process.stdout.readline())["pid"] == os.getpid()
        process.stdout.close()
        process.wait(TIMEOUT)
        assert b"Broken pipe" in process.stderr.read()
    assert process.returncode == 1
