"""leat http on file systems that wait: no call of an event loop asks one, whatever is asked for.

The file system is the tests' own (fuse.py): it knows which thread each of its requests came from, and can hold
them back.
"""

import gzip
import signal
import time

import pytest
from fuse import FOREVER, Fuse
from http_client import Server, drop_from_page_cache, pattern, request
from test_http_stuck import WITHOUT_LEAK_CHECK

LARGE = pattern(700_000)
TREE = {
    "small": b"small",
    "empty": b"",
    "large": LARGE,
    "app.js": b"plain" * 100,
    "app.js.gz": gzip.compress(b"plain" * 100),
    "d": {"index.html": b"<p>index", "e": {"f": b"deep"}},
    "list": {f"n{i}": b"x" * i for i in range(50)},
}


def asked_by_loops(fs):
    """A loop's thread is the first one, which has the program's name, or is named so."""
    return [(r.op, r.name, r.comm) for r in fs.seen if r.comm == "leat" or r.comm.startswith("leat-loop")]


def ask_everything(client, fs, prefix):
    for _ in range(2):
        assert client.get(f"{prefix}/small").body == b"small"
        assert client.get(f"{prefix}/empty").body == b""
        whole = client.get(f"{prefix}/large")
        assert whole.body == LARGE
        assert client.get(f"{prefix}/large", method="HEAD").status == 200
        assert client.get(f"{prefix}/large", If_None_Match=whole["etag"]).status == 304
        assert client.get(f"{prefix}/large", Range="bytes=300000-").body == LARGE[300_000:]
        assert client.get(f"{prefix}/large", Range="bytes=0-9,20-29").status in (200, 206)
        assert client.get(f"{prefix}/app.js").body == b"plain" * 100
        assert gzip.decompress(client.get(f"{prefix}/app.js", Accept_Encoding="gzip").body) == b"plain" * 100
        assert client.get(f"{prefix}/d/").body == b"<p>index"
        assert client.get(f"{prefix}/d").status == 301
        assert client.get(f"{prefix}/d/e/f").body == b"deep"
        assert client.get(f"{prefix}/missing").status == 404
        assert client.get(f"{prefix}/small/below").status == 404
        assert b"n49" in client.get(f"{prefix}/list/?sort=size").body
        assert b"large" in client.get(f"{prefix}/").body
    # A change: right away where the kernel asks anew each time.
    if fs.valid == 0:
        fs.change("small", b"changed")
        assert client.get(f"{prefix}/small").body == b"changed"
        fs.remove("small")
        assert client.get(f"{prefix}/small").status == 404
        fs.put("small", b"small")
        assert client.get(f"{prefix}/small").body == b"small"


@pytest.mark.parametrize("direct_io", [False, True])
@pytest.mark.parametrize("valid", [0, FOREVER])
@pytest.mark.parametrize("place", ["below", "root"])
@pytest.mark.parametrize("arguments", [(), ("--technique", "copy", "--explain"), ("--explain",)])
def test_no_loop_asks_the_file_system(leat, root, place, valid, direct_io, arguments):
    path = root / "fs" if place == "below" else root
    path.mkdir(exist_ok=True)
    with Fuse(path, TREE, valid=valid, direct_io=direct_io) as fs:
        server = Server(leat, root, "--threads", "2", *arguments)
        try:
            fs.seen.clear()
            prefix = "/fs" if place == "below" else ""
            for _ in range(2):
                with server.connect() as client:
                    ask_everything(client, fs, prefix)
            assert client and any(r.comm == "leat-helper" for r in fs.seen)
            assert asked_by_loops(fs) == []
        finally:
            code = server.stop()
        assert code == 0, server.log()


@pytest.mark.parametrize("op, name", [("OPEN", "hang"), ("READ", "hang"), ("GETATTR", "hang"), ("FLUSH", "hang"),
                                      ("LOOKUP", "hang"), ("READDIR", "hangs"), ("RELEASE", "hang")])
def test_what_hangs_holds_up_nobody_else(leat, root, tmp_path, op, name):
    (root / "fs").mkdir()
    (root / "other").mkdir()
    (root / "cold").write_bytes(pattern(1 << 20))
    (root / "hot").write_bytes(b"hot")
    path = "/fs/hangs/" if name == "hangs" else "/fs/hang"
    with Fuse(root / "fs", {"hang": pattern(100_000), "hangs": {}}) as fs, Fuse(root / "other", {"a": LARGE}):
        server = Server(leat, root, "--threads", "2", "--drain-timeout", "1s", env=WITHOUT_LEAK_CHECK)
        try:
            assert server.get("/hot").body == b"hot"
            fs.hold = lambda r: r.op == op and r.name == name
            clients = [server.connect() for _ in range(20)]
            for client in clients:
                client.send(request(path))
            fs.wait_for_held()
            for i in range(10):
                drop_from_page_cache(root / "cold")
                assert server.get("/cold").body == pattern(1 << 20), i
                assert server.get("/hot").body == b"hot"
                assert server.get("/other/a").body == LARGE
                assert server.get("/missing").status == 404
                assert b"cold" in server.get("/").body
            fs.release()
            if name == "hang":
                for client in clients:
                    assert client.response().body == pattern(100_000)
        finally:
            fs.release()
            for client in clients:
                client.sock.close()
            code = server.stop()
        assert code == 0, server.log()


def test_the_process_gives_up_on_what_hangs(leat, root):
    (root / "fs").mkdir()
    with Fuse(root / "fs", {"hang": LARGE}) as fs:
        server = Server(leat, root, "--threads", "2", "--drain-timeout", "1s", env=WITHOUT_LEAK_CHECK)
        try:
            fs.hold = lambda r: r.op == "READ"
            client = server.connect()
            client.send(request("/fs/hang"))
            fs.wait_for_held()
            server.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 60
            while "ending without 1 jobs of helper threads" not in server.log():
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.05)
            # Nobody is listening any more, though the kernel keeps the process until the daemon answers.
            with pytest.raises(OSError):
                server.connect()
            client.sock.close()
            fs.release()
            assert server.process.wait(60) == 1
        finally:
            server.stop(signal.SIGKILL)


def test_an_idle_server_holds_nothing_that_could_hang(leat, root):
    (root / "fs").mkdir()
    with Fuse(root / "fs", {"large": LARGE, "small": b"small"}) as fs:
        server = Server(leat, root, "--threads", "2")
        try:
            with server.connect() as client:
                assert client.get("/fs/large").body == LARGE
                assert client.get("/fs/small").body == b"small"
            fs.hold = lambda r: True
            assert server.stop() == 0, server.log()
        finally:
            fs.release()
            server.stop(signal.SIGKILL)


def test_cold_bodies_are_read_in_large_steps(leat, root):
    (root / "fs").mkdir()
    size = 4 << 20
    with Fuse(root / "fs", {"cold": pattern(size)}, valid=FOREVER) as fs:
        server = Server(leat, root)
        try:
            assert server.get("/fs/cold").body == pattern(size)
        finally:
            assert server.stop() == 0
        reads = [r for r in fs.seen if r.op == "READ"]
        # 128 KiB each is what FUSE asks for at most, without FUSE_MAX_PAGES.
        assert len(reads) <= size // (128 << 10) + 8, len(reads)


def test_a_file_that_shrinks_ends_its_download(leat, root):
    (root / "fs").mkdir()
    with Fuse(root / "fs", {"a": LARGE}, direct_io=True) as fs:
        server = Server(leat, root)
        try:
            fs.hold = lambda r: r.op == "READ"
            with server.connect() as client:
                client.send(request("/fs/a"))
                fs.wait_for_held()
                fs.change("a", LARGE[:1000])
                fs.release()
                status, headers = client.head()
                assert status == 200 and int(headers["content-length"]) == len(LARGE)
                assert len(client.drain()) <= 1000
            assert "file ended at" in server.log()
        finally:
            assert server.stop() == 0


def test_a_root_on_it_is_followed_when_it_is_replaced(leat, root):
    (root / "fs").mkdir()
    (root / "link").symlink_to("fs/dist")
    with Fuse(root / "fs", {"dist": {"a": b"one"}}) as fs:
        server = Server(leat, root / "link", "--threads", "2", "--no-sandbox")
        try:
            fs.seen.clear()
            assert server.get("/a").body == b"one"
            fs.remove("dist")
            assert server.get("/a").status == 503
            assert server.get("/").status == 503
            fs.put("dist", {"a": b"two"})
            deadline = time.monotonic() + 60
            while (response := server.get("/a")).status == 503:
                assert time.monotonic() < deadline
            assert response.body == b"two"
            assert asked_by_loops(fs) == []
        finally:
            assert server.stop() == 0
