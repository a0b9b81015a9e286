"""leat http and clients that take their time: each deadline ends its own kind, and nobody else waits."""

import os
import select
import shutil
import subprocess
import time

import pytest
from http_client import pattern, request


def test_a_request_that_never_ends_is_ended(serve, root):
    (root / "a").write_bytes(b"alpha")
    server = serve("--threads", "1", "--header-timeout", "1s", "--body-timeout", "1s")
    for begin, drop in ((b"GET /a HTTP/1.1\r\nHost: t\r\n", b"X"), (request("/a", Content_Length=60000), b"x")):
        with server.connect() as client:
            client.send(begin)
            # A byte at a time does not move the deadline.
            began = time.monotonic()
            try:
                while not select.select([client.sock], [], [], 0.05)[0]:
                    client.send(drop)
                    assert time.monotonic() - began < 60
                client.drain()
            except (ConnectionResetError, BrokenPipeError):
                pass
    assert server.get("/a").body == b"alpha"


def test_a_client_that_does_not_read_is_ended(serve, root):
    (root / "large").write_bytes(pattern(32 << 20))
    (root / "small").write_bytes(pattern(1000))
    server = serve("--threads", "1", "--write-timeout", "1s")
    for text in (request("/large"), request("/small") * 5000, request("/") * 2000):
        with server.connect(receive_buffer=4096) as client:
            client.sock.setblocking(False)
            try:
                client.sock.send(text)
            except BlockingIOError:
                pass
            poll = select.poll()
            poll.register(client.sock, select.POLLHUP | select.POLLERR)
            assert poll.poll(60000), "the server has not ended the connection"
    assert server.get("/small").status == 200


@pytest.mark.parametrize("kind", [["-H"], ["-B"], ["-X"], ["-R"]], ids=["header", "body", "read", "ranges"])
def test_slowhttptest_does_not_take_the_server_down(serve, root, kind):
    tool = shutil.which("slowhttptest")
    if not tool:
        pytest.skip("slowhttptest is not installed")
    (root / "a").write_bytes(pattern(300000))
    server = serve("--threads", "1", "--header-timeout", "2s", "--body-timeout", "2s", "--write-timeout", "2s")
    options = ["-c", "400", "-r", "200", "-i", "1", "-l", "6", "-p", "5", "-u", server.url + "/a", "-s", "60000"]
    ran = subprocess.Popen([tool, *kind, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asked = 0
        while ran.poll() is None:
            assert len(server.get("/a").body) == 300000
            asked += 1
            time.sleep(0.05)
        assert asked > 0
    finally:
        if ran.poll() is None:
            ran.kill()
        ran.wait()
    deadline = time.monotonic() + 60
    while len(os.listdir(f"/proc/{server.process.pid}/fd")) > 40 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) <= 40, "connections are left over"
