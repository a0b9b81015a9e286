"""leat http, from outside: what clients get, byte by byte, and what they can't get."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin

import pytest
from http_client import Client, Closed, Server, drop_from_page_cache, pattern, request
from kernels import lesser_kernel

SIZES = [0, 1, 1023, 4096, 28671, 28672, 28673, 65537, (1 << 20) + 1]
GIB = 1 << 30


@pytest.fixture
def sizes(root):
    files = {}
    for size in SIZES:
        files[f"f{size}"] = pattern(size, seed=size)
        (root / f"f{size}").write_bytes(files[f"f{size}"])
    return files


# ---- whole files, by many clients ----


def test_files_of_all_sizes_arrive_unchanged_on_one_connection(server, sizes):
    with server.connect() as client:
        for _ in range(2):
            for name, data in sizes.items():
                response = client.get("/" + name)
                assert response.status == 200
                assert response["content-length"] == str(len(data))
                assert response["accept-ranges"] == "bytes"
                assert response.body == data


@pytest.mark.parametrize("tool", ["curl", "wget", "aria2c"])
def test_downloading_programs_get_the_same_bytes(server, sizes, tmp_path, tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    out = tmp_path / "out"
    out.mkdir()
    sizes["large"] = pattern(40 << 20)
    (server.log_path.parent / "root" / "large").write_bytes(sizes["large"])
    urls = [f"{server.url}/{name}" for name in sizes]
    command = {
        "curl": ["curl", "-sS", "--fail", "--remote-name-all"] + urls,
        "wget": ["wget", "-q", "--no-proxy"] + urls,
        "aria2c": ["aria2c", "-q", "-x16", "-s16", "-k1M", "-j4", "--file-allocation=none", "-Z"] + urls,
    }[tool]
    subprocess.run(command, cwd=out, check=True, timeout=120)
    for name, data in sizes.items():
        assert (out / name).read_bytes() == data


@pytest.fixture
def sparse(root):
    """5 GiB that take no room, with marks at both ends and across the 4 GiB line."""
    with open(root / "sparse", "wb") as file:
        file.write(b"begin")
        file.seek(4 * GIB - 2)
        file.write(b"4GiB")
        file.truncate(5 * GIB - 3)
        file.seek(5 * GIB - 3)
        file.write(b"end")
    return root / "sparse"


def test_ranges_beyond_four_gigabytes(server, sparse):
    with server.connect() as client:
        response = client.get("/sparse", Range="bytes=-3")
        assert (response.status, response.body) == (206, b"end")
        assert response["content-range"] == f"bytes {5 * GIB - 3}-{5 * GIB - 1}/{5 * GIB}"
        response = client.get("/sparse", Range=f"bytes={4 * GIB - 3}-{4 * GIB + 2}")
        assert response.body == b"\x004GiB\x00"
        response = client.get("/sparse", Range=f"bytes={5 * GIB - 1}-{9 * GIB}")
        assert response.body == b"d"


@pytest.mark.release_only
def test_a_file_of_five_gigabytes_arrives_whole(server, sparse):
    with server.connect() as client:
        client.send(request("/sparse", Connection="close"))
        status, headers = client.head()
        assert status == 200 and headers["content-length"] == str(5 * GIB)
        count = len(client.buffer)
        tail = client.buffer[-3:]
        block = bytearray(1 << 20)
        while n := client.sock.recv_into(block):
            count += n
            tail = (tail + block[max(0, n - 3) : n])[-3:]
        assert count == 5 * GIB
        assert tail == b"end"


def test_head_has_the_headers_of_get_and_no_body(server, sizes):
    with server.connect() as client:
        for name in list(sizes) + ["", "none"]:
            whole = client.get("/" + name)
            head = client.get("/" + name, method="HEAD")
            assert head.status == whole.status
            assert head.body == b""
            for field in ("content-length", "content-type", "etag", "last-modified", "accept-ranges"):
                assert head[field] == whole[field]


def test_many_clients_at_once_get_their_own_files(server, sizes):
    failures = []

    def work(seed):
        try:
            with server.connect() as client:
                for i in range(40):
                    name = list(sizes)[(i * 7 + seed) % len(sizes)]
                    assert client.get("/" + name).body == sizes[name]
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# ---- connections ----


def test_a_hundred_requests_in_one_write_are_answered_in_order(server, sizes):
    names = [list(sizes)[i % len(sizes)] for i in range(100)]
    with server.connect() as client:
        sender = threading.Thread(target=client.send, args=(b"".join(request("/" + n) for n in names),))
        sender.start()
        for name in names:
            assert client.response().body == sizes[name]
        sender.join()


def test_requests_that_came_together_are_answered_in_one_packet(server, root):
    (root / "a").write_bytes(b"alpha")
    with server.connect() as client:
        client.get("/a")
        client.send(request("/a") * 10)
        data = client.sock.recv(1 << 16)
        assert data.count(b"alpha") == 10


def test_a_request_may_be_cut_anywhere(server, root):
    (root / "a").write_bytes(b"alpha")
    (root / "b").write_bytes(b"beta")
    text = request("/a", User_Agent="cut") + request("/b")
    with server.connect() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(text)):
            client.send(text[:cut])
            time.sleep(0.001)
            client.send(text[cut:])
            assert client.response().body == b"alpha"
            assert client.response().body == b"beta"
        for byte in text:
            client.send(bytes([byte]))
        assert client.response().body == b"alpha"
        assert client.response().body == b"beta"


def test_versions_and_connection_options(server, root):
    (root / "a").write_bytes(b"alpha")
    for text, stays in [
        (request("/a"), True),
        (request("/a", Connection="close"), False),
        (request("/a", version="1.0"), False),
        (request("/a", version="1.0", host=None), False),
        (request("/a", version="1.0", Connection="keep-alive"), True),
        (request("/a", Connection="foo, Close"), False),
    ]:
        with server.connect() as client:
            client.send(text)
            response = client.response()
            assert response.body == b"alpha"
            if stays:
                assert response["connection"] in (None, "keep-alive")
                assert client.get("/a").body == b"alpha"
            else:
                assert response["connection"] == "close"
                assert client.is_closed()


def test_last_modified_is_not_in_the_future(server, root):
    (root / "tomorrow").write_bytes(b"x")
    os.utime(root / "tomorrow", times=(time.time() + 86400,) * 2)
    with server.connect() as client:
        response = client.get("/tomorrow")
        assert parsedate_to_datetime(response["last-modified"]) <= parsedate_to_datetime(response["date"])
        assert client.get("/tomorrow", If_Modified_Since=response["date"]).status == 304


def test_the_last_answer_is_whole_though_the_client_sends_on(server, root):
    data = pattern(8 << 20)
    (root / "large").write_bytes(data)
    with server.connect(receive_buffer=4096) as client:
        client.send(request("/large", Connection="close"))
        client.more()  # it is on its way, and can't have left
        client.send(request("/too-late"))
        assert client.response().body == data
        assert client.is_closed()


def test_a_client_that_has_closed_its_side_gets_its_answers(server, sizes):
    with server.connect() as client:
        client.send(request("/f1023") + request("/f65537"))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.response().body == sizes["f1023"]
        assert client.response().body == sizes["f65537"]
        assert client.is_closed()


def test_a_slow_reader_gets_everything(server, root):
    data = pattern(3 << 20)
    (root / "big").write_bytes(data)
    (root / "small").write_bytes(data[:60000])
    with server.connect(receive_buffer=4096) as client:
        client.send(request("/small") * 5 + request("/big") + request("/small"))
        for _ in range(5):
            assert client.response().body == data[:60000]
        time.sleep(0.2)
        client.head()
        while len(client.buffer) < len(data):
            client.buffer += client.sock.recv(20000)
            if len(client.buffer) < 400000:
                time.sleep(0.002)
        assert client.buffer[: len(data)] == data
        del client.buffer[: len(data)]
        assert client.response().body == data[:60000]


def test_others_are_served_while_one_does_not_read(serve, root):
    server = serve("--threads", "1")
    (root / "big").write_bytes(bytes(64 << 20))
    (root / "a").write_bytes(b"alpha")
    with server.connect(receive_buffer=4096) as stuck, server.connect() as client:
        stuck.send(request("/big"))
        for _ in range(100):
            assert client.get("/a").body == b"alpha"


# ---- what is asked ----


@pytest.fixture
def known(root):
    """A file with known validators."""
    (root / "a.txt").write_bytes(b"0123456789")
    os.utime(root / "a.txt", (1000000000, 1000000000))
    return "Sun, 09 Sep 2001 01:46:40 GMT"


def test_conditional_requests(server, known):
    with server.connect() as client:
        first = client.get("/a.txt")
        etag = first["etag"]
        assert first["last-modified"] == known and etag.startswith('"')
        earlier, later = "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:41 GMT"
        for status, headers in [
            (304, {"If_None_Match": etag}),
            (304, {"If_None_Match": "W/" + etag}),
            (304, {"If_None_Match": '"x", ' + etag}),
            (304, {"If_None_Match": "*"}),
            (200, {"If_None_Match": '"x"'}),
            (304, {"If_Modified_Since": known}),
            (304, {"If_Modified_Since": later}),
            (200, {"If_Modified_Since": earlier}),
            (200, {"If_Modified_Since": "nonsense"}),
            (200, {"If_None_Match": '"x"', "If_Modified_Since": known}),
            (304, {"If_None_Match": etag, "If_Modified_Since": earlier}),
            (412, {"If_Match": '"x"'}),
            (412, {"If_Match": "W/" + etag}),
            (200, {"If_Match": etag}),
            (200, {"If_Match": "*"}),
            (412, {"If_Unmodified_Since": earlier}),
            (200, {"If_Unmodified_Since": known}),
            (206, {"Range": "bytes=0-1", "If_Range": etag}),
            (200, {"Range": "bytes=0-1", "If_Range": '"x"'}),
            (206, {"Range": "bytes=0-1", "If_Range": known}),
            (200, {"Range": "bytes=0-1", "If_Range": earlier}),
            (304, {"Range": "bytes=0-1", "If_None_Match": etag}),
        ]:
            response = client.get("/a.txt", **headers)
            assert response.status == status, headers
            if status == 304:
                assert response["etag"] == etag and response["last-modified"] == known
                assert response["content-type"] is None
            elif status == 200:
                assert response.body == b"0123456789"


@pytest.mark.parametrize("size", [10, 100000])
def test_ranges(server, root, size):
    data = pattern(size)
    (root / "r").write_bytes(data)
    with server.connect() as client:
        for value, first, last in [
            ("bytes=0-0", 0, 0),
            ("bytes=0-", 0, size - 1),
            ("bytes=3-7", 3, 7),
            ("bytes=5-99999999999", 5, size - 1),
            ("bytes=-4", size - 4, size - 1),
            ("bytes=-99999999999999999999", 0, size - 1),
            (f"bytes={size - 1}-", size - 1, size - 1),
        ]:
            response = client.get("/r", Range=value)
            assert response.status == 206, value
            assert response["content-range"] == f"bytes {first}-{last}/{size}"
            assert response.body == data[first : last + 1]
        for value in ["bytes=7-3", "bytes=x-", "lines=1-2", "bytes=", "bytes=1", "0-1"]:
            response = client.get("/r", Range=value)
            assert (response.status, response.body) == (200, data), value
        for value in [f"bytes={size}-", "bytes=-0", f"bytes={size + 5}-{size + 9}"]:
            response = client.get("/r", Range=value)
            assert response.status == 416, value
            assert response["content-range"] == f"bytes */{size}"
        assert client.get("/r", Range="bytes=0-1", method="HEAD").status == 200


def test_types_come_from_the_name(server, root):
    for name, kind in [("a.html", "text/html"), ("a.JS", "javascript"), ("a.png", "image/png"), ("a", "octet-stream")]:
        (root / name).write_bytes(b"x")
        assert kind in server.get("/" + name)["content-type"]


def test_types_from_a_file_of_the_users(serve, root, tmp_path):
    (tmp_path / "types").write_text("chemical/x-pdb pdb\n")
    (root / "a.pdb").write_bytes(b"x")
    assert serve("--mime-types", str(tmp_path / "types")).get("/a.pdb")["content-type"] == "chemical/x-pdb"


def test_methods(server, known):
    with server.connect() as client:
        response = client.get("/a.txt", method="OPTIONS")
        assert response.status == 200 and response["allow"] == "GET, HEAD, OPTIONS"
        assert client.get("*", method="OPTIONS").status == 200
        response = client.get("/a.txt", method="DELETE")
        assert response.status == 405 and response["allow"] == "GET, HEAD, OPTIONS"
        assert client.get("/a.txt", method="BREW").status == 501


# ---- directories ----


def test_a_directory_is_its_index_or_a_redirect_or_a_listing(server, root):
    (root / "with").mkdir()
    (root / "with" / "index.html").write_bytes(b"<p>index")
    (root / "a dir").mkdir()
    (root / "a dir" / "one & two").write_bytes(b"x" * 2048)
    (root / "a dir" / ".hidden").write_bytes(b"")
    with server.connect() as client:
        assert client.get("/with/").body == b"<p>index"
        assert client.get("/with/index.html").body == b"<p>index"
        response = client.get("/with")
        assert response.status == 301 and response["location"] == "with/"
        assert client.get("/a%20dir?x=%20y")["location"] == "a%20dir/?x=%20y"
        assert client.get("//a%20dir")["location"] == "a%20dir/"
        page = client.get("/a%20dir/")
        assert page.status == 200 and page["content-type"] == "text/html; charset=utf-8"
        assert b"one%20%26%20two" in page.body and b"one &amp; two" in page.body
        assert b".hidden" not in page.body
        names = {entry["name"]: entry for entry in json.loads(client.get("/", Accept="application/json").body)}
        assert names["with"]["type"] == "directory" and names["a dir"]["type"] == "directory"
        assert client.get("/a%20dir/.hidden").status == 404
        # New names are listed, an index that came is taken.
        (root / "new").write_bytes(b"")
        assert b">new<" in client.get("/").body
        (root / "index.html").write_bytes(b"root index")
        assert client.get("/").body == b"root index"
        (root / "index.html").unlink()
        assert b">new<" in client.get("/").body


def test_a_large_listing_is_complete(server, root):
    for i in range(3000):
        (root / f"file-{i}").touch()
    response = server.get("/")
    assert response.status == 200
    assert all(f'"file-{i}"'.encode() in response.body for i in range(3000))


def test_listing_and_index_by_option(serve, root):
    (root / "d").mkdir()
    (root / "start.htm").write_bytes(b"start")
    server = serve("--autoindex", "off", "--index", "start.htm")
    assert server.get("/").body == b"start"
    assert server.get("/d/").status == 403


# ---- what is refused ----


@pytest.mark.parametrize(
    "status, text",
    [
        (400, b"GARBAGE\r\n\r\n"),
        (400, b"GET /\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        (400, b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 33000 + b"\r\n\r\n"),
    ],
)
def test_bad_requests_are_answered_and_the_connection_closed(server, root, status, text):
    (root / "secret").write_bytes(b"smuggled")
    with server.connect() as client:
        # What follows must not be taken as a request.
        client.send(text + request("/secret"))
        response = client.response()
        assert response.status == status
        if status != 400 or b"%" not in text:
            assert response["connection"] == "close"
            assert b"smuggled" not in client.drain()


def test_the_answer_survives_a_client_that_goes_on_sending(server):
    for _ in range(20):
        with server.connect() as client:
            client.send(b"GARBAGE\r\n\r\n" + b"x" * 100000)
            assert client.response().status == 400
            assert client.is_closed()


def test_bodies_nobody_wants(server, root):
    (root / "a").write_bytes(b"alpha")
    with server.connect() as client:
        client.send(request("/a", Content_Length=60000) + b"x" * 60000 + request("/a"))
        assert client.response().body == b"alpha"
        assert client.response().body == b"alpha"
        body = b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"
        client.send(request("/a", Transfer_Encoding="chunked") + body + request("/a"))
        assert client.response().body == b"alpha"
        assert client.response().body == b"alpha"
        for byte in request("/a", Content_Length=3) + b"abc":
            client.send(bytes([byte]))
        assert client.response().body == b"alpha"
        client.send(request("/a", Content_Length=5, Expect="100-continue"))
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().body == b"alpha"
        client.send(request("/a", Content_Length=70000))
        assert client.response()["connection"] == "close"
        client.send(b"x" * 70000)
        assert client.is_closed()
    with server.connect() as client:
        client.send(request("/a", method="POST", Content_Length=5, Expect="100-continue"))
        response = client.response()
        assert response.status == 405 and response["connection"] == "close"


def test_nothing_outside_of_the_root_comes_out(server, root):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root.parent / "root-secret").write_bytes(b"secret")
    (root / "up").symlink_to("../outside")
    (root / "file").symlink_to("../outside/secret")
    (root / "absolute").symlink_to(outside / "secret")
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "proc").symlink_to("/proc/self/root")
    (root / "loop").symlink_to("loop")
    (root / "inside").symlink_to("dir")
    (root / "dir").mkdir()
    (root / "dir" / "a").write_bytes(b"alpha")
    with server.connect() as client:
        for path in [
            "/../outside/secret",
            "/..%2foutside%2fsecret",
            "/%2e%2e/outside/secret",
            "/dir/../../outside/secret",
            "/dir/%2e%2e%2f..%2f../outside/secret",
            "/..%5c..%5coutside/secret",
            "/../root-secret",
            "//../outside/secret",
            "/up/secret",
            "/up/",
            "/file",
            "/absolute",
            "/passwd",
            "/proc/etc/passwd",
            "/loop",
            "/dir/a/../../../outside/secret",
        ]:
            response = client.get(path)
            assert response.status == 404, path
            assert b"secret" not in response.body.replace(path.encode(), b"") and b"root:" not in response.body
        assert client.get("/inside/a").body == b"alpha"
        assert client.get("/dir/../dir/./a").body == b"alpha"
        names = {entry["name"] for entry in json.loads(client.get("/", Accept="application/json").body)}
        assert names == {"inside", "dir"}


def test_what_is_no_file_is_refused_and_never_opened(server, root):
    os.mkfifo(root / "fifo")
    unix = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(root)
    try:
        unix.bind("socket")
    finally:
        os.chdir(here)
    with server.connect() as client:
        assert client.get("/fifo").status == 403
        assert client.get("/socket").status == 403
        # A reader would have let this in.
        with pytest.raises(OSError):
            os.open(root / "fifo", os.O_WRONLY | os.O_NONBLOCK)
        assert client.get("/none").status == 404
        assert client.get("/fifo/x").status == 404
        assert client.get("/" + "n" * 300).status == 404
        assert client.get("/" + "d/" * 3000).status == 404
    unix.close()


def test_what_may_not_be_read_is_refused(leat, root):
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    (root / "a").write_bytes(b"alpha")
    (root / "b").write_bytes(b"beta")
    (root / "b").chmod(0)
    (root / "closed").mkdir(mode=0)
    for parent in list(root.parents)[:-2]:
        if parent.stat().st_uid == 0 and parent != parent.parent:
            os.chmod(parent, parent.stat().st_mode | 0o055)
    # Somebody else may not be allowed to reach the build folder.
    program = shutil.copy(leat, root.parent / "leat-of-everybody")
    server = Server(program, root, user=65534, group=65534, extra_groups=[])
    assert server.get("/a").status == 200
    assert server.get("/b").status == 403
    assert server.get("/closed/").status == 403
    assert server.get("/closed/x").status == 403
    (root / "a").chmod(0)
    assert server.get("/a").status == 403
    assert server.stop() == 0


# ---- files that change ----


def test_every_change_is_seen_by_the_next_request(server, root):
    with server.connect() as client:
        for size in (10, 100000):
            path = root / f"f{size}"
            for i in range(30):
                data = pattern(size + i, seed=i)
                new = root.parent / "new"
                new.write_bytes(data)
                new.rename(path)
                assert client.get(f"/f{size}").body == data
                data = pattern(size + i, seed=1000 + i)
                path.write_bytes(data)
                assert client.get(f"/f{size}").body == data
            path.unlink()
            assert client.get(f"/f{size}").status == 404


@pytest.mark.parametrize("size", [2000, 300000])
def test_under_replacement_every_response_is_exactly_one_version(server, root, size):
    versions = [bytes([65 + i]) * (size + i) for i in range(26)]
    path = root / "f"
    path.write_bytes(versions[0])
    done = threading.Event()

    def replace():
        i = 0
        while not done.is_set():
            i = (i + 1) % len(versions)
            new = root.parent / "new"
            new.write_bytes(versions[i])
            new.rename(path)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        etags = {}
        with server.connect() as client:
            for _ in range(500):
                response = client.get("/f")
                assert response.status == 200
                assert response.body in versions
                # One tag never names two versions.
                assert etags.setdefault(response["etag"], response.body) == response.body
    finally:
        done.set()
        writer.join()


@pytest.mark.parametrize("size", [2000, 300000])
def test_under_edits_in_place_lengths_are_right_and_the_end_is_fresh(server, root, size):
    path = root / "f"
    path.write_bytes(b"A" * size)
    done = threading.Event()

    def edit():
        i = 0
        with open(path, "r+b", buffering=0) as file:
            while not done.is_set():
                i = (i + 1) % 26
                os.pwrite(file.fileno(), bytes([65 + i]) * size, 0)

    writer = threading.Thread(target=edit)
    writer.start()
    try:
        with server.connect() as client:
            for _ in range(300):
                response = client.get("/f")
                assert response.status == 200 and len(response.body) == size
                assert set(response.body) <= set(range(65, 91))
    finally:
        done.set()
        writer.join()
    assert server.get("/f").body == path.read_bytes()


def test_a_file_that_shrinks_in_flight_ends_the_connection_and_is_logged(server, root):
    size = 64 << 20
    (root / "shrinks").write_bytes(pattern(size))
    with server.connect(receive_buffer=4096) as client:
        client.send(request("/shrinks"))
        status, headers = client.head()
        assert headers["content-length"] == str(size)
        os.truncate(root / "shrinks", 1000)
        with pytest.raises((Closed, ConnectionResetError)):
            while len(client.buffer) < size:
                client.more()
                if len(client.buffer) > 1 << 20:
                    size -= len(client.buffer)
                    client.buffer.clear()
    deadline = time.monotonic() + 20
    while "shrinks" not in server.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    line = next(line for line in server.log().split("\n") if "shrank" in line)
    assert "shrinks" in line and str(64 << 20) in line and "1000" in line
    assert len(server.get("/shrinks").body) == 1000


def test_redirects_to_the_slash_keep_a_prefix_that_a_proxy_has_cut_off(server, root):
    (root / "a" / "b:c d").mkdir(parents=True)
    (root / "\\evil.example").mkdir()
    with server.connect() as client:
        for asked, want in [
            ("/a", "/prefix/a/"),
            ("/a/b:c%20d?x=/y", "/prefix/a/b%3Ac%20d/?x=/y"),
            ("/./a", "/prefix/a/"),
            ("/x/../a", "/prefix/a/"),
            ("/a//b%3ac%20d", "/prefix/a/b%3Ac%20d/"),
            ("/%61", "/prefix/a/"),
            ("/\\evil.example", "/prefix/%5Cevil.example/"),
        ]:
            response = client.get(asked)
            assert response.status == 301
            assert urljoin("http://public/prefix" + asked, response["location"]) == "http://public" + want
        # An encoded slash is one to the server and none to the client: the path as the server sees it.
        assert client.get("/a%2fb:c%20d")["location"] == "/a/b%3Ac%20d/"


DOT_NAMES = [".env", ".git/config", "sub/.htpasswd", "sub/.cache/x", "...", ".well-known/.secret", ".well-knownx/y"]


def make_dot_names(root):
    for name in [*DOT_NAMES, ".well-known/acme-challenge/token", "sub/.well-known/x", "a.b/c.d"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"contents")


def test_names_that_begin_with_a_dot_are_not_found(server, root):
    make_dot_names(root)
    with server.connect() as client:
        for name in [*DOT_NAMES, "sub/.well-known/x", ".git/", ".git", "%2egit/config", "x/../.env", "sub%2f.htpasswd", ".none"]:
            assert client.get("/" + name).status == 404, name
        for name in [".well-known/acme-challenge/token", "a.b/c.d", ".env/../a.b/c.d"]:
            assert client.get("/" + name).body == b"contents"
        assert client.get("/.well-known/").status == 200
        assert client.get("/.well-known")["location"] == ".well-known/"
        page = client.get("/").body
        assert b'"a.b/"' in page and b".git" not in page and b".well-known" not in page


def test_names_that_begin_with_a_dot_are_served_and_listed_when_asked_for(serve, root):
    make_dot_names(root)
    server = serve("--dotfiles", "on")
    with server.connect() as client:
        for name in [*DOT_NAMES, "sub/.well-known/x"]:
            assert client.get("/" + name).body == b"contents", name
        names = {entry["name"] for entry in json.loads(client.get("/", Accept="application/json").body)}
        assert names == {".env", ".git", "sub", "...", ".well-known", ".well-knownx", "a.b"}


def test_a_file_that_ends_before_its_size_is_not_called_shrunk(serve, root):
    """Files of the kernel say 4096 bytes and have fewer, as files over a network may."""
    short = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not short.exists() or short.stat().st_size <= len(short.read_bytes()):
        pytest.skip("no such file here")
    root.rmdir()
    root.symlink_to(short.parent)
    server = serve("--technique", "sendfile", "--no-sandbox")
    with pytest.raises((Closed, ConnectionResetError)):
        server.get("/enabled")
    deadline = time.monotonic() + 20
    while "enabled: " not in server.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    line = next(line for line in server.log().split("\n") if "enabled: " in line)
    assert "shrank" not in line and "file ended at" in line and "expected 4096" in line, line


def test_a_cold_file_arrives_while_hot_ones_are_served(serve, root):
    server = serve("--threads", "1")
    data = pattern(48 << 20)
    (root / "cold").write_bytes(data)
    (root / "hot").write_bytes(b"hot")
    drop_from_page_cache(root / "cold")
    with server.connect() as cold, server.connect() as hot:
        assert hot.get("/hot").body == b"hot"
        cold.send(request("/cold"))
        status, _ = cold.head()
        while len(cold.buffer) < len(data):
            cold.more()
            if len(cold.buffer) % 5 == 0:
                assert hot.get("/hot").body == b"hot"
        assert cold.buffer == data


def test_a_cold_small_file_is_served(server, root):
    (root / "cold").write_bytes(b"cold")
    with server.connect() as client:
        for _ in range(5):
            drop_from_page_cache(root / "cold")
            os.utime(root / "cold")
            client.send(request("/cold") * 3)
            for _ in range(3):
                assert client.response().body == b"cold"


@pytest.mark.release_only
@pytest.mark.parametrize("kernel", ["uncertain", "old", "blind", "silent"])
def test_kernels_and_file_systems_that_can_do_less(leat, root, sizes, kernel):
    (root / "d").mkdir()
    (root / "d" / "index.html").write_bytes(b"index")
    (root / "out").symlink_to("/etc/passwd")
    server = Server(leat, root, env=lesser_kernel(root.parent, kernel))
    with server.connect() as client:
        for name in list(sizes) * 2:
            client.send(request("/" + name) * 2)
            assert client.response().body == sizes[name]
            assert client.response().body == sizes[name]
        for i in range(20):
            (root.parent / "new").write_bytes(pattern(1000 + i, seed=i))
            (root.parent / "new").rename(root / "a")
            assert client.get("/a").body == pattern(1000 + i, seed=i)
            (root / "a").write_bytes(pattern(1000, seed=-i))
            assert client.get("/a").body == pattern(1000, seed=-i)
        assert client.get("/d/").body == b"index"
        assert client.get("/d")["location"] == "d/"
        assert b"f1023" in client.get("/").body
        assert client.get("/out").status == 404
        assert client.get("/f1/x").status == 404
    assert server.stop() == 0
    assert ("inotify" in server.log()) == (kernel == "blind")


# ---- limits and the end ----


def test_running_out_of_descriptors_is_survived(leat, root):
    for i in range(100):
        (root / f"f{i}").write_bytes(bytes(70000))

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))

    server = Server(leat, root, "--threads", "1", preexec_fn=limit)
    clients = []
    try:
        for _ in range(60):
            clients.append(server.connect(timeout=5))
        statuses = set()
        for i, client in enumerate(clients[:8]):
            for j in range(12):
                statuses.add(client.get(f"/f{(i * 12 + j) % 100}").status)
        assert statuses <= {200, 503}
    finally:
        for client in clients:
            client.sock.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if server.get("/f1").status == 200:
                break
        except (Closed, OSError):
            time.sleep(0.1)
    assert len(server.get("/f2").body) == 70000
    assert server.stop() == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_a_graceful_stop_finishes_what_is_in_flight(leat, root, sign):
    data = pattern(30 << 20)
    (root / "big").write_bytes(data)
    server = Server(leat, root)
    with server.connect(receive_buffer=65536) as client, server.connect() as idle:
        idle.get("/")
        client.send(request("/big"))
        status, _ = client.head()
        server.process.send_signal(sign)
        assert idle.is_closed()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                server.connect().sock.close()
                time.sleep(0.02)
            except (ConnectionRefusedError, ConnectionResetError):  # reset: while it was being closed
                break
        while len(client.buffer) < len(data):
            client.more()
        assert client.buffer == data
    assert server.process.wait(30) == 0
    assert "1 requests" in server.log() or "2 requests" in server.log()


def test_two_listeners_and_ipv6(serve, root):
    (root / "a").write_bytes(b"alpha")
    server = serve(listen=("127.0.0.1:0", "127.0.0.1:0"))
    ports = {int(url.rsplit(":", 1)[1]) for url in server.addresses}
    assert len(ports) == 2
    for port in ports:
        with Client(socket.create_connection(("127.0.0.1", port), 60)) as client:
            assert client.get("/a").body == b"alpha"
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    server = serve(listen=("[::1]:0",))
    assert "[::1]" in server.url
    with Client(socket.create_connection(server.address, 60)) as client:
        assert client.get("/a").body == b"alpha"


def test_a_unix_socket(serve, root, sizes):
    path = root.parent / "sock"
    serve(listen=(f"unix:{path}",))
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(path))
    with Client(sock) as client:
        for name, data in sizes.items():
            assert client.get("/" + name).body == data


def test_socket_activation(leat, root):
    (root / "a").write_bytes(b"alpha")
    listener = socket.create_server(("127.0.0.1", 0))
    # LISTEN_PID is the server's own: set between fork and exec, as systemd does.
    wrapper = root.parent / "activate"
    wrapper.write_text(f'#!/bin/bash\nexec 3<&{listener.fileno()}\nLISTEN_PID=$$ LISTEN_FDS=1 exec "{leat}" "$@"\n')
    wrapper.chmod(0o755)
    server = Server(wrapper, root, listen=("fd:3",), pass_fds=[listener.fileno()])
    address = listener.getsockname()
    listener.close()
    with Client(socket.create_connection(address, 60)) as client:
        assert client.get("/a").body == b"alpha"
    assert server.stop() == 0


def test_a_device_that_makes_the_kernel_copy_is_named_at_start(leat, root):
    script = """
import array, fcntl, os, socket, struct, subprocess, sys
for command in ("link add one type veth peer name two", "addr add 192.0.2.1/24 dev one", "link set one up"):
    subprocess.run(["ip", *command.split()], check=True)
value = array.array("I", [0x19, 0])  # ETHTOOL_SSG
request = struct.pack("16sP", b"one", value.buffer_info()[0]) + bytes(16)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)
os.execv(sys.argv[1], sys.argv[1:])
"""
    wrapper = root.parent / "in-namespace"
    wrapper.write_text(f'#!/bin/sh\nexec unshare -n /usr/bin/python3 -c \'{script}\' "{leat}" "$@"\n')
    wrapper.chmod(0o755)
    if subprocess.run(["unshare", "-n", "ip", "link"], capture_output=True).returncode != 0:
        pytest.skip("no network namespaces here")
    server = Server(wrapper, root, listen=("*:8080",))
    deadline = time.monotonic() + 20
    while "scatter-gather" not in server.log() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.stop() == 0
    assert server.log().count("one has no scatter-gather") == 1


# ---- the command line ----


@pytest.mark.parametrize(
    "code, arguments, words",
    [
        (2, ["--bogus"], "bogus"),
        (2, ["--threads", "0"], "--threads"),
        (2, ["--listen", "nonsense"], "nonsense"),
        (2, ["--autoindex", "maybe"], "maybe"),
        (2, ["--index", "a/b"], "a/b"),
        (2, ["a", "b"], "b"),
        (1, ["/nonexistent-directory"], "/nonexistent-directory"),
        (1, ["/etc/passwd"], "not a directory"),
        (1, ["--mime-types", "/nonexistent", "."], "/nonexistent"),
    ],
)
def test_bad_command_lines_get_one_clear_line(leat, code, arguments, words):
    done = subprocess.run([leat, "http", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == code
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_taken_port_is_said(leat, root, server):
    host, port = server.address
    done = subprocess.run(
        [leat, "http", "--listen", f"{host}:{port}", root], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert str(port) in done.stderr and done.stderr.count("\n") == 1


def test_help_shows_examples(leat):
    done = subprocess.run([leat, "http", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "Examples:" in done.stdout


@pytest.mark.release_only
def test_it_starts_small_and_an_idle_connection_costs_little(serve, root):
    server = serve("--threads", "1")
    (root / "a").write_bytes(b"alpha")

    def resident():
        with open(f"/proc/{server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    assert resident() < 8 * 1024
    clients = [server.connect() for _ in range(100)]
    before = resident()
    clients += [server.connect() for _ in range(700)]
    for client in clients:
        assert client.get("/a").body == b"alpha"
    assert resident() - before < 700 * 2
    for client in clients:
        client.sock.close()
