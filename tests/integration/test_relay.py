"""leat relay: what comes out at the other end, how ends are handed on, which target is taken."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from metrics import admin_of, manual_entries, scrape
from support import TIMEOUT, free_port, run

MAN = Path(__file__).resolve().parent.parent.parent / "man"


class Relay:
    """A relay to these targets, stopped at the end."""

    def __init__(self, leat, tmp_path, *targets, listen="127.0.0.1:0", options=()):
        self.log_path = tmp_path / f"relay-{time.monotonic_ns()}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(leat), "relay", *options, listen, *targets], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.where = self.wait_for(r"relaying (\S+) to ")
        if not self.where.startswith("unix:"):
            host, port = self.where.rsplit(":", 1)
            self.address = (host.strip("[]"), int(port))

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for(self, pattern, count=1):
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            found = re.findall(pattern, self.log())
            if len(found) >= count:
                return found[-1]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"waited for {pattern}: {self.log()}")

    def connect(self):
        sock = socket.create_connection(self.address, timeout=TIMEOUT)
        return sock

    def stop(self, sign=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(TIMEOUT)


@pytest.fixture
def relay(leat, tmp_path):
    relays = []

    def start(*targets, **more):
        relays.append(Relay(leat, tmp_path, *[where(target) for target in targets], **more))
        return relays[-1]

    yield start
    for one in relays:
        assert one.stop() == 0, one.log()
        assert "ERROR: " not in one.log() and "runtime error" not in one.log(), one.log()


def where(target):
    return target if isinstance(target, str) else "%s:%d" % target.getsockname()[:2]


@pytest.fixture
def target():
    """A listening socket; accept() gives the relay's connections."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(TIMEOUT)
        yield sock


def accept(target):
    sock, _ = target.accept()
    sock.settimeout(TIMEOUT)
    return sock


def pair(relay, target):
    client = relay.connect()
    return client, accept(target)


def read_all(sock):
    parts = []
    while data := sock.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def read_exactly(sock, size):
    parts = bytearray()
    while len(parts) < size:
        data = sock.recv(size - len(parts))
        assert data, f"the end after {len(parts)} of {size} bytes"
        parts += data
    return bytes(parts)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# ---- bytes ----


def test_messages_go_both_ways(relay, target):
    client, server = pair(relay(target), target)
    for i in range(100):
        client.sendall(b"question %d" % i)
        assert read_exactly(server, len(b"question %d" % i)) == b"question %d" % i
        server.sendall(b"answer %d" % i)
        assert read_exactly(client, len(b"answer %d" % i)) == b"answer %d" % i
    client.close()
    server.close()


def test_bulk_arrives_whole_in_both_directions_at_once(relay, target):
    client, server = pair(relay(target), target)
    there, back = os.urandom(1 << 20) * 40, os.urandom(1 << 20) * 40

    def send(sock, data):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=send, args=(client, there)), threading.Thread(target=send, args=(server, back))]
    got = {}
    threads += [threading.Thread(target=lambda: got.update(server=read_all(server))),
                threading.Thread(target=lambda: got.update(client=read_all(client)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got["server"] == there and got["client"] == back
    client.close()
    server.close()


def test_a_client_that_does_not_read_holds_up_nobody(relay, target):
    door = relay(target, options=("--threads", "1"))
    slow, slow_server = pair(door, target)
    slow_server.settimeout(0.2)
    sent = 0
    try:
        while True:
            sent += slow_server.send(b"x" * 65536)
    except TimeoutError:
        pass
    client, server = pair(door, target)
    for _ in range(50):
        client.sendall(b"ping")
        assert read_exactly(server, 4) == b"ping"
    assert read_exactly(slow, sent) == b"x" * sent
    for sock in (slow, slow_server, client, server):
        sock.close()


# ---- ends ----


def test_a_client_that_closes_its_side_still_gets_the_answer(relay, target):
    client, server = pair(relay(target), target)
    client.sendall(b"all of it")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"all of it"
    server.sendall(b"y" * 5_000_000)
    server.close()
    assert read_all(client) == b"y" * 5_000_000
    client.close()


def test_a_target_that_closes_its_side_still_gets_the_rest(relay, target):
    client, server = pair(relay(target), target)
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    client.sendall(b"z" * 3_000_000)
    client.close()
    assert read_all(server) == b"z" * 3_000_000
    server.close()


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_reset_of_one_side_reaches_the_other_behind_its_bytes(relay, target, who):
    door = relay(target, options=("--log",))
    client, server = pair(door, target)
    breaks, hears = (client, server) if who == "client" else (server, client)
    breaks.sendall(b"a" * 1000)
    assert read_exactly(hears, 1000)
    reset(breaks)
    with pytest.raises(ConnectionResetError):
        hears.recv(1)
    door.wait_for(f"end={who}-reset")
    hears.close()


def test_what_was_said_before_a_reset_is_delivered(relay, target):
    """The peer has not read it yet when the reset comes."""
    client, server = pair(relay(target), target)
    server.sendall(b"b" * 200_000)
    time.sleep(0.3)
    reset(server)
    got = 0
    with pytest.raises(ConnectionResetError):
        while data := client.recv(65536):
            got += len(data)
    assert got == 200_000
    client.close()


def test_late_readers_get_everything_of_a_target_that_closed(relay, target):
    client, server = pair(relay(target), target)
    server.settimeout(TIMEOUT)
    thread = threading.Thread(target=lambda: (server.sendall(b"c" * 8_000_000), server.close()))
    thread.start()
    time.sleep(0.5)
    assert read_all(client) == b"c" * 8_000_000
    thread.join()
    client.close()


def test_nothing_for_too_long_ends_both_by_a_reset(relay, target):
    door = relay(target, options=("--idle-timeout", "200ms", "--log"))
    client, server = pair(door, target)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    door.wait_for("end=idle")


def test_what_moves_is_not_idle(relay, target):
    door = relay(target, options=("--idle-timeout", "1s", "--log"))
    client, server = pair(door, target)
    for _ in range(15):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        time.sleep(0.1)
    client.close()
    server.close()
    door.wait_for("end=closed")


def test_a_side_that_never_closes_is_given_up_after_the_other_has(relay, target):
    door = relay(target, options=("--half-close-timeout", "200ms", "--log"))
    client, server = pair(door, target)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    door.wait_for("end=half-closed")
    server.close()


def test_who_reads_slowly_is_not_silent(relay, target):
    """The target has closed, and all of its answer stands in the client's socket: no byte passes the relay."""
    door = relay(target, options=("--half-close-timeout", "1s", "--log"))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.settimeout(TIMEOUT)
        client.connect(door.address)
        server = accept(target)
        server.sendall(b"e" * 1_500_000)
        server.close()
        got = 0
        while got < 1_500_000:
            data = client.recv(20_000)
            assert data, f"the end after {got} bytes"
            got += len(data)
            time.sleep(0.03)
        assert client.recv(1) == b""
    door.wait_for("end=closed")


def test_the_end_of_the_process_is_a_reset_for_what_it_cuts(relay, target):
    door = relay(target, options=("--drain-timeout", "100ms"))
    client, server = pair(door, target)
    server.sendall(b"half")
    assert read_exactly(client, 4) == b"half"
    assert door.stop() == 0
    for sock in (client, server):
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_unix_client_that_sends_and_closes_is_heard(relay, target, tmp_path):
    door = relay(target, listen=f"unix:{tmp_path}/door", options=("--log",))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))
        client.sendall(b"one line\n")
    server = accept(target)
    assert read_exactly(server, 9) == b"one line\n"
    server.close()
    door.wait_for("end=c")


# ---- targets ----


def test_without_a_target_the_client_is_reset(relay):
    door = relay(f"127.0.0.1:{free_port()}", options=("--log",))
    client = door.connect()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    door.wait_for(r"tries=4 .*end=no-target")
    assert "can't connect: Connection refused" in door.log()


def test_a_target_that_refuses_is_passed_over_at_once(relay, target):
    door = relay(f"127.0.0.1:{free_port()}", target, options=("--threads", "1", "--log"))
    for _ in range(6):
        client, server = pair(door, target)
        client.close()
        server.close()
    door.wait_for("end=closed", 6)
    assert "down for 10 s after 3 failures" in door.log()
    assert len(re.findall(r"tries=2", door.log())) == 3


def test_a_target_that_comes_back_is_used_again(relay):
    port = free_port()
    door = relay(f"127.0.0.1:{port}")
    client = door.connect()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_server(("127.0.0.1", port)) as target:
        target.settimeout(TIMEOUT)
        client, server = pair(door, target)
        client.sendall(b"there?")
        assert read_exactly(server, 6) == b"there?"
        client.close()
        server.close()


def test_round_robin_follows_the_weights(relay, target):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(TIMEOUT)
        door = relay(where(target) + ",weight=3", other, options=("--threads", "1", "--admin", "127.0.0.1:0"))
        socks = [door.connect() for _ in range(8)]
        for sock in [accept(target) for _ in range(6)] + [accept(other) for _ in range(2)] + socks:
            sock.close()
        deadline = time.monotonic() + TIMEOUT
        while (metrics := scrape(door))["leat_relay_ended_total{how=closed}"] < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        name = where(target)
        assert metrics[f"leat_relay_target_connections_total{{target={name},address={name}}}"] == 6


def test_a_backup_is_for_when_nobody_else_is_there(relay, target):
    with socket.create_server(("127.0.0.1", 0)) as main:
        main.settimeout(TIMEOUT)
        door = relay(where(target) + ",backup", main, options=("--threads", "1"))
        for _ in range(3):
            client, server = pair(door, main)
            client.close()
            server.close()
        main.close()
        client, server = pair(door, target)
        client.close()
        server.close()


def test_the_same_client_gets_the_same_target_by_hash(relay, target):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(TIMEOUT)
        door = relay(target, other, options=("--balance", "hash", "--admin", "127.0.0.1:0"))
        for _ in range(10):
            door.connect().close()
        deadline = time.monotonic() + TIMEOUT
        while (metrics := scrape(door))["leat_relay_connections_total"] < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        counts = [value for name, value in metrics.values.items()
                  if name.startswith("leat_relay_target_connections_total")]
        assert sorted(count > 0 for count in counts) == [False, True]


def test_a_full_target_resets_the_client(relay, target):
    door = relay(where(target) + ",max=1", options=("--threads", "1", "--log"))
    client, server = pair(door, target)
    with door.connect() as refused, pytest.raises(ConnectionResetError):
        refused.recv(1)
    door.wait_for("end=full")
    client.close()
    server.close()


def test_the_target_is_told_who_the_client_is(relay, target):
    client, server = pair(relay(target, options=("--send-proxy",)), target)
    client.sendall(b"hello")
    header = read_exactly(server, 28)
    assert header[:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    assert socket.inet_ntoa(header[16:20]) == socket.inet_ntoa(header[20:24]) == "127.0.0.1"
    assert struct.unpack(">HH", header[24:]) == (client.getsockname()[1], client.getpeername()[1])
    assert read_exactly(server, 5) == b"hello"
    client.close()
    server.close()


def test_socket_files_on_both_sides(relay, tmp_path):
    with socket.socket(socket.AF_UNIX) as target:
        target.bind(str(tmp_path / "target"))
        target.listen()
        target.settimeout(TIMEOUT)
        door = relay(f"unix:{tmp_path}/target", listen=f"unix:{tmp_path}/door")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(str(tmp_path / "door"))
            server = accept(target)
            client.sendall(b"d" * 100_000)
            client.shutdown(socket.SHUT_WR)
            assert read_all(server) == b"d" * 100_000
            server.close()
        assert door.stop() == 0
        assert not (tmp_path / "door").exists()


# ---- the process ----


def test_sigterm_waits_for_what_is_in_flight(relay, target):
    door = relay(target)
    client, server = pair(door, target)
    door.process.send_signal(signal.SIGTERM)
    client.sendall(b"still")
    assert read_exactly(server, 5) == b"still"
    client.close()
    server.close()
    assert door.process.wait(TIMEOUT) == 0


def test_it_tells_operators(relay, target):
    door = relay(target, options=("--admin", "127.0.0.1:0"))
    client, server = pair(door, target)
    metrics = scrape(door)
    assert metrics["leat_relay_connections_open"] == 1
    assert metrics[f"leat_relay_target_up{{target={where(target)},address={where(target)}}}"] == 1
    with admin_of(door) as operator:
        status = json.loads(operator.get("/status").body)
    assert status["relay"]["targets"][where(target)]["connections_open"] == 1
    client.close()
    server.close()


@pytest.mark.parametrize("words, says", [
    ([], "where to listen, and which targets?"),
    (["127.0.0.1:0"], "which targets?"),
    (["--balance", "best", "127.0.0.1:0", "127.0.0.1:1"], "--balance is round-robin"),
    (["--idle-timeout", "never", "127.0.0.1:0", "127.0.0.1:1"], "--idle-timeout"),
    (["127.0.0.1:0", "localhost"], "localhost: expected HOST:PORT"),
    (["127.0.0.1:0", "127.0.0.1:1,heavy"], "'heavy' is no option of a target"),
    (["127.0.0.1:x", "127.0.0.1:1"], "127.0.0.1:x"),
])
def test_what_makes_no_sense_is_a_usage_error(leat, words, says):
    ran = run([leat, "relay", *words])
    assert ran.returncode == 2
    assert says in ran.stderr and ran.stderr.count("\n") == 1


def test_a_name_that_is_not_known_is_a_failure_at_the_start(leat):
    ran = run([leat, "relay", "127.0.0.1:0", "no-such-host.invalid:80"])
    assert ran.returncode == 1
    assert "no-such-host.invalid:80: the name can't be looked up" in ran.stderr


def test_the_manual_page_has_every_metric_in_the_same_words(relay, target):
    m = scrape(relay(target, options=("--admin", "127.0.0.1:0")))
    own = {name: words for name, words in m.help.items() if name.startswith("leat_relay_")}
    assert len(own) > 10
    assert manual_entries(MAN / "leat-relay.1") == own


def test_a_confined_relay_calls_nobody_but_its_targets(relay, target):
    """The kernel's filter says so for the process; that it still relays is what the other tests show."""
    door = relay(target)
    status = Path(f"/proc/{door.process.pid}/status").read_text()
    if "not confined" in door.log():
        pytest.skip("built with a sanitizer")
    assert "Seccomp:\t2" in status
    assert "opens no file" in door.log() or "Landlock" not in door.log()
