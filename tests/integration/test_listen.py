"""Where servers listen: "for everyone" and localhost are of both families, in every option that names an address."""

import ctypes
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest
from support import TIMEOUT, free_port, run

# The option, with WHERE; and what is said of an address in the log.
OPTIONS = {
    "http": ["http", "-l", "WHERE", "DIR/site"],
    "http's admin": ["http", "-l", "127.0.0.1:0", "--admin", "WHERE", "DIR/site"],
    "kafka": ["kafka", "--advertise", "kafka.example:9092", "-l", "WHERE", "DIR/data"],
    "kafka's listeners": ["kafka", "-o", "listeners=PLAINTEXT://WHERE",
                          "-o", "advertised.listeners=PLAINTEXT://kafka.example:9092", "DIR/data"],
    "kafka's admin": ["kafka", "-l", "127.0.0.1:0", "--admin", "WHERE", "DIR/data"],
    "run, http": ["run", "--http", "DIR/site", "--http-listen", "WHERE"],
    "run, kafka": ["run", "--kafka", "DIR/data", "--kafka-listen", "WHERE", "--kafka-advertise", "kafka.example:9092"],
}  # fmt: skip


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not have_ipv6(), reason="no IPv6 loopback address here")


class Process:
    def __init__(self, leat, folder, words, where, **popen):
        (folder / "site").mkdir(exist_ok=True)
        words = [word.replace("WHERE", where).replace("DIR", str(folder)) for word in words]
        self.log_path = folder / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(leat), *words], stdin=subprocess.DEVNULL, stderr=log, **popen)
        end = time.monotonic() + TIMEOUT
        while not re.search(r"serving|served at", self.log()):
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.01)

    def log(self):
        return self.log_path.read_text()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(TIMEOUT) == 0, self.log()


def answers(host, port):
    try:
        socket.create_connection((host, port), TIMEOUT).close()
        return True
    except ConnectionRefusedError:
        return False


@needs_ipv6
@pytest.mark.parametrize("where", ["*:PORT", ":PORT", "localhost:PORT"])
@pytest.mark.parametrize("words", OPTIONS.values(), ids=OPTIONS.keys())
def test_both_families_are_served(leat, tmp_path, words, where):
    port = free_port()
    server = Process(leat, tmp_path, words, where.replace("PORT", str(port)))
    try:
        assert answers("127.0.0.1", port) and answers("::1", port), server.log()
    finally:
        server.end()


@needs_ipv6
@pytest.mark.parametrize("where", ["*:0", "0", "localhost:0"])
def test_any_port_is_the_same_for_both(leat, tmp_path, where):
    server = Process(leat, tmp_path, OPTIONS["http"], where)
    try:
        ports = set(re.findall(r"serving .*:(\d+)\n", server.log()))
        assert len(ports) == 1 and len(re.findall("serving", server.log())) == 2, server.log()
        port = int(ports.pop())
        assert answers("127.0.0.1", port) and answers("::1", port)
    finally:
        server.end()


@needs_ipv6
@pytest.mark.parametrize("order", [1, -1])
def test_what_was_written_before_for_both_still_holds(leat, tmp_path, order):
    port = free_port()
    words = ["http"]
    for where in (f"*:{port}", f"[::]:{port}")[::order]:
        words += ["-l", where]
    server = Process(leat, tmp_path, [*words, "DIR/site"], "")
    try:
        assert answers("127.0.0.1", port) and answers("::1", port)
        assert len(re.findall("serving", server.log())) == 2
    finally:
        server.end()


@needs_ipv6
@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_address_that_is_taken_is_named(leat, tmp_path, family, host):
    (tmp_path / "site").mkdir()
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        ran = run([leat, "http", "-l", f"localhost:{port}", tmp_path / "site"])
    name = f"127.0.0.1:{port}" if family == socket.AF_INET else f"[::1]:{port}"
    assert ran.returncode == 1 and f"localhost:{port} ({name}): address already in use" in ran.stderr, ran.stderr


# ---- names ----


def test_kafka_listens_at_a_name_and_tells_it(leat, tmp_path):
    """As compose files have it: PLAINTEXT://broker:9092."""
    name = socket.gethostname()
    try:
        family, _, _, _, address = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)[0]
    except OSError:
        pytest.skip("this machine does not know its own name")
    port = free_port()
    server = Process(leat, tmp_path, ["kafka", "-o", f"listeners=PLAINTEXT://{name}:{port}", "DIR/data"], "")
    try:
        assert answers(address[0], port), (server.log(), family)
        assert f"they are told {name}:{port}" in server.log()
    finally:
        server.end()


def test_kafka_tells_localhost_as_it_is_written(leat, tmp_path):
    server = Process(leat, tmp_path, ["kafka", "-l", "localhost:0", "DIR/data"], "")
    try:
        told = re.findall(r"served at \S+:(\d+) \(they are told localhost:(\d+)\)", server.log())
        assert told and all(port == other for port, other in told), server.log()
    finally:
        server.end()


@pytest.mark.parametrize("words", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_name_that_does_not_resolve_is_said(leat, tmp_path, words):
    (tmp_path / "site").mkdir()
    words = [word.replace("WHERE", "no-such-host.invalid:1").replace("DIR", str(tmp_path)) for word in words]
    ran = run([leat, *words])
    assert ran.returncode == 1 and "no-such-host.invalid:1: " in ran.stderr and "use an address" in ran.stderr, ran.stderr


# ---- without IPv6 ----


def without_ipv6():
    """For preexec_fn: in a network of its own, where lo has no address of IPv6."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:
        os._exit(77)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS: up
    for name in ("all", "default", "lo"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")


def without_the_protocol():
    """For preexec_fn: socket(AF_INET6) says EAFNOSUPPORT, as with ipv6.disable=1."""
    code = struct.pack(
        "HBBI" * 6,
        0x20, 0, 0, 0,  # the number
        0x15, 0, 3, 41,  # socket
        0x20, 0, 0, 16,  # the family
        0x15, 0, 1, socket.AF_INET6,
        0x06, 0, 0, 0x00050000 | 97,
        0x06, 0, 0, 0x7FFF0000,
    )  # fmt: skip
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 6, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None)
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, program, 0, 0) != 0:
        os._exit(99)


@pytest.mark.skipif(os.geteuid() != 0 or os.uname().machine != "x86_64", reason="needs root, and x86-64's numbers")
@pytest.mark.parametrize("kernel", [without_ipv6, without_the_protocol])
@pytest.mark.parametrize("where", ["*:0", "localhost:0"])
@pytest.mark.parametrize("words", OPTIONS.values(), ids=OPTIONS.keys())
def test_where_ipv6_is_off_nobody_notices(leat, tmp_path, words, where, kernel):
    server = Process(leat, tmp_path, words, where, preexec_fn=kernel)
    try:
        assert "IPv6" not in server.log() and "address" not in server.log() and "rror" not in server.log(), server.log()
        # The wildcard may be there: it is of no use, and harms nobody.
        assert re.search(r"(127\.0\.0\.1|0\.0\.0\.0):\d+", server.log()), server.log()
    finally:
        server.end()
