"""How many system calls an answer costs: counted by strace, so that none creeps in unseen."""

import contextlib
import shutil
import signal
import subprocess
import time

import pytest
from http_client import pattern, request


class Counted:
    def __init__(self):
        self.calls = {}
        self.seconds = 0.0

    def all_but_waiting(self):
        return sum(self.calls.values()) - self.calls.get("epoll_wait", 0)

    # What is done once in a while whatever the load: a file is compared with the file system each
    # second, and strace cuts into the calls that are under way as it comes and goes.
    def now_and_then(self):
        return 20 + 20 * self.seconds


@contextlib.contextmanager
def counting(server, tmp_path):
    """The system calls of all threads of the server within the block."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    out = tmp_path / "calls"
    counted = Counted()
    command = ["strace", "-f", "-c", "-U", "calls,name", "-o", out, "-p", str(server.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        try:
            line = strace.stderr.readline()
            if "attached" not in line:
                pytest.skip(f"strace can't attach: {line.strip()}")
            begin = time.monotonic()
            yield counted
            counted.seconds = time.monotonic() - begin
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=60)
    for line in out.read_text().splitlines():
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and words[1] != "total":
            counted.calls[words[1]] = int(words[0])


@pytest.fixture
def one_thread(serve, root):
    (root / "small").write_bytes(pattern(1024))
    (root / "large").write_bytes(pattern(100 * 1024))
    return serve("--threads", "1")


def test_a_small_cached_answer_costs_a_receive_and_a_send(one_thread, tmp_path):
    count = 1000
    with one_thread.connect() as client:
        for _ in range(5):
            assert client.get("/small").status == 200
        with counting(one_thread, tmp_path) as counted:
            for _ in range(count):
                assert client.get("/small").status == 200
    assert counted.calls["recvfrom"] <= count + 5
    assert counted.calls["sendto"] <= count + 5
    assert counted.calls["epoll_wait"] <= count + counted.now_and_then()
    assert counted.all_but_waiting() <= 2 * count + counted.now_and_then()


def test_pipelined_answers_share_their_receive_and_send(one_thread, tmp_path):
    count, depth = 200, 16
    with one_thread.connect() as client:
        assert client.get("/small").status == 200
        with counting(one_thread, tmp_path) as counted:
            for _ in range(count):
                client.send(request("/small") * depth)
                for _ in range(depth):
                    assert client.response().status == 200
    # Between the second and the first of them events of the file system are asked for.
    assert counted.all_but_waiting() <= 3 * count + counted.now_and_then()


def test_a_larger_file_costs_one_call_more(one_thread, tmp_path):
    count = 300
    with one_thread.connect() as client:
        for _ in range(5):
            assert client.get("/large").status == 200
        with counting(one_thread, tmp_path) as counted:
            for _ in range(count):
                assert client.get("/large").status == 200
    # recvfrom, sendto, sendfile. A peer that is slow to read makes some answers leave in two steps.
    assert counted.calls["sendfile"] <= 1.5 * count
    assert counted.all_but_waiting() <= 4 * count + counted.now_and_then()
