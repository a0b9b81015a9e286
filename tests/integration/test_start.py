"""From the first answer of a port on the server serves, whatever it serves, and handles signals."""

import os
import signal
import socket
import subprocess

import pytest
from inside import status
from kafka_server import wait_until
from support import TIMEOUT, free_port, run
from test_http_stuck import dead_mount

# How each is started; PORT is a free one.
SERVERS = {
    "http": ["http", "-l", "127.0.0.1:PORT", "DIR/site"],
    "kafka": ["kafka", "-l", "127.0.0.1:PORT", "DIR/data"],
    "http's admin": ["http", "-l", "127.0.0.1:0", "--admin", "127.0.0.1:PORT", "DIR/site"],
    "kafka's admin": ["kafka", "-l", "127.0.0.1:0", "--admin", "127.0.0.1:PORT", "DIR/data"],
    "run, http": ["run", "--http", "DIR/site", "--http-listen", "127.0.0.1:PORT",
                  "--kafka", "DIR/data", "--kafka-listen", "127.0.0.1:0"],
    "run, kafka": ["run", "--http", "DIR/site", "--http-listen", "127.0.0.1:0",
                   "--kafka", "DIR/data", "--kafka-listen", "127.0.0.1:PORT"],
}  # fmt: skip


def start(leat, folder, words, port, **popen):
    (folder / "site").mkdir(exist_ok=True)
    words = [word.replace("PORT", str(port)).replace("DIR", str(folder)) for word in words]
    return subprocess.Popen([str(leat), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, **popen)


def ended(process):
    """The exit code, and what it said."""
    said = process.communicate(timeout=TIMEOUT)[0].decode()
    return process.returncode, said


def wait_for_answer(process, port):
    """Asks again and again, as those who wait for a server do."""
    while process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(ended(process))


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("words", SERVERS.values(), ids=SERVERS.keys())
def test_who_gets_an_answer_may_send_a_signal(leat, tmp_path, words, sign):
    for _ in range(5):
        port = free_port()
        process = start(leat, tmp_path, words, port)
        wait_for_answer(process, port)
        process.send_signal(sign)
        code, said = ended(process)
        assert code == 0, said
        assert "requests" in said.splitlines()[-1], said


def test_a_hangup_right_after_the_answer_ends_nothing(leat, tmp_path):
    port = free_port()
    process = start(leat, tmp_path, SERVERS["http"], port)
    wait_for_answer(process, port)
    process.send_signal(signal.SIGHUP)
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    process.terminate()
    assert ended(process)[0] == 0


def test_a_hangup_during_a_long_start_ends_nothing_and_the_rest_ends_it_at_once(leat, tmp_path):
    """Its disk does not answer: who rotates logs does no harm, no port answers, and it can be ended."""
    port = free_port()
    (tmp_path / "data").mkdir()
    with dead_mount(tmp_path / "data"):
        process = start(leat, tmp_path, ["kafka", "-l", "127.0.0.1:PORT", "DIR/data/x"], port)
        wait_until(lambda: int(status(process.pid, "SigBlk")[0], 16) >> (signal.SIGHUP - 1) & 1)
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == -signal.SIGTERM


@pytest.mark.parametrize("words", SERVERS.values(), ids=SERVERS.keys())
def test_what_is_said_to_serve_has_all_its_threads_and_ports(leat, tmp_path, words):
    """To people and to the service manager, in the last line of the start."""
    port = free_port()
    notified = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notified))
        manager.settimeout(TIMEOUT)
        process = start(leat, tmp_path, [*words, "--threads", "3"], port, env=dict(os.environ, NOTIFY_SOCKET=str(notified)))
        try:
            assert manager.recv(64) == b"READY=1"
            names = [open(f"/proc/{process.pid}/task/{tid}/comm", encoding="ascii").read().strip()
                     for tid in os.listdir(f"/proc/{process.pid}/task")]
            assert {"leat-loop-1", "leat-loop-2"} <= set(names), names
            assert ("leat-admin" in names) == ("--admin" in words)
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
        finally:
            process.terminate()
            code, said = ended(process)
        assert code == 0, said
        lines = said.splitlines()
        serving = [n for n, line in enumerate(lines) if "serving" in line or "served at" in line]
        assert serving and all("onfined" not in line and "Linux" not in line for line in lines[serving[0]:]), said


def test_a_start_that_fails_opens_no_port(leat, tmp_path):
    """The admin listener's port is taken: nobody was answered by what did not start."""
    (tmp_path / "site").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run([leat, "http", "-l", "127.0.0.1:0", "--admin", f"127.0.0.1:{taken.getsockname()[1]}", tmp_path / "site"])
    assert ran.returncode == 1 and "address already in use" in ran.stderr and "serving" not in ran.stderr
