"""leat http as an operator sees it: limits, access log, metrics."""

import time

import pytest
from http_client import Closed, Server, pattern, request
from support import run


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    (path / "small.txt").write_bytes(b"small\n")
    (path / "large.bin").write_bytes(pattern(3 << 20))
    return path


@pytest.fixture
def serve(leat, root):
    """Starts servers of `root`; each must end well."""
    servers = []

    def start(*arguments, **options):
        servers.append(Server(leat, root, *arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0, server.log()
        assert "ERROR: " not in server.log() and "runtime error" not in server.log(), server.log()


# ---- limits on the command line ----


def closed_after(client):
    """Seconds until the server has closed it."""
    start = time.monotonic()
    with pytest.raises((Closed, ConnectionResetError)):
        client.more()
    return time.monotonic() - start


def test_timeouts_are_those_of_the_command_line(serve):
    server = serve("--header-timeout", "300ms", "--idle-timeout", "1", "--write-timeout", "1s")
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost:")
        assert closed_after(client) < 20  # by default 30
    with server.connect() as client:
        assert client.get("/small.txt").status == 200
        assert closed_after(client) < 60  # by default 75
    with server.connect(receive_buffer=4096) as client:
        for _ in range(20):
            client.send(request("/large.bin"))
        time.sleep(3)
        with pytest.raises((Closed, ConnectionResetError)):
            while True:
                client.more()
                client.buffer.clear()


def test_the_drain_timeout_ends_what_is_not_taken(serve):
    server = serve("--drain-timeout", "200ms")
    with server.connect(receive_buffer=4096) as client:
        for _ in range(20):
            client.send(request("/large.bin"))
        client.more()
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 8  # by default 10


@pytest.mark.parametrize("arguments, says", [
    (["--idle-timeout", "0"], "--idle-timeout is a time"),
    (["--idle-timeout", "5 s"], "--idle-timeout is a time"),
    (["--drain-timeout", "25h"], "--drain-timeout is a time"),
    (["--cache-entries", "0"], "--cache-entries is a number"),
    (["--cache-bytes", "12x"], "--cache-bytes is a size"),
])
def test_limits_that_make_no_sense_are_refused(leat, root, arguments, says):
    ran = run([leat, "http", *arguments, root])
    assert ran.returncode == 2
    assert says in ran.stderr and ran.stderr.count("\n") == 1


def test_a_cache_of_one_entry_still_serves_everything(serve, root):
    for i in range(10):
        (root / f"f{i}").write_text(str(i))
    server = serve("--cache-entries", "1", "--cache-bytes", "4k")
    with server.connect() as client:
        for _ in range(3):
            for i in range(10):
                assert client.get(f"/f{i}").body == str(i).encode()
