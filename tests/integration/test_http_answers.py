"""What `leat http` answers for a file: several ranges at once and its encodings, against plain references."""

import email
import email.policy
import gzip
import html
import json
import os
import random
import re
import resource
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from http_client import Client, Server, pattern, request
from kernels import lesser_kernel
from support import as_nobody, run

MIB = 1 << 20


# ---- several ranges ----


def reference_ranges(specs, size):
    """RFC 9110 14.1.2 and the rule of core/range.h, on sets: joined into the first that they touch; None: the whole."""
    found = []
    repeats = 0
    for first, last in specs:
        if first is None:
            if last == 0:
                continue
            first, last = max(size - last, 0), size - 1
        elif first >= size:
            continue
        else:
            last = size - 1 if last is None else min(last, size - 1)
        repeats += any(first <= b and a <= last for a, b in found)
        touched = [r for r in found if first <= r[1] + 1 and r[0] <= last + 1]
        joined = (min([first] + [a for a, _ in touched]), max([last] + [b for _, b in touched]))
        if touched:
            found[found.index(touched[0])] = joined
            found = [r for r in found if r == joined or r not in touched]
        else:
            found.append(joined)
    return None if repeats > 2 else found


def random_specs(chance, size):
    specs = []
    for _ in range(chance.choice([2, 2, 3, 5, 9, 64])):
        first = chance.randrange(size)
        kind = chance.random()
        if kind < 0.05:
            specs.append((None, chance.randrange(size + 5)))
        elif kind < 0.08:
            specs.append((first, None))
        elif kind < 0.12:
            specs.append((size + first, size + first + 1))
        else:
            specs.append((first, first + chance.randrange(1 + size // chance.choice([8, 200, 5000]))))
    return specs


def text_of(spec):
    return "-".join("" if value is None else str(value) for value in spec)


def check_multipart(response, data, ranges, kind):
    assert response.status == 206
    assert response["content-range"] is None
    head = f"Content-Type: {response['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + response.body, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/byteranges"
    boundary = message.get_boundary().encode()
    assert len(boundary) >= 16
    # Not by the parser's payloads, which would repair line ends: piece by piece.
    rest = response.body
    for first, last in ranges:
        text = (
            b"\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
            % (boundary, kind.encode(), first, last, len(data))
        )
        assert rest.startswith(text)
        rest = rest[len(text) :]
        assert rest.startswith(data[first : last + 1])
        rest = rest[last + 1 - first :]
    assert rest == b"\r\n--%s--\r\n" % boundary
    assert len(message.get_payload()) == len(ranges) and not message.defects


@pytest.mark.parametrize("size", [300, 28672, 28673, 65537, MIB + 7])
def test_several_ranges_are_the_bytes_that_a_reference_says(server, root, size):
    data = pattern(size, seed=size)
    (root / "r.txt").write_bytes(data)
    chance = random.Random(size)
    seen = set()
    with server.connect() as client:
        for _ in range(150):
            specs = random_specs(chance, size)
            response = client.get("/r.txt", Range="bytes=" + ",".join(map(text_of, specs)))
            ranges = reference_ranges(specs, size)
            if ranges is None:
                assert (response.status, response.body) == (200, data)
            elif not ranges:
                assert response.status == 416
            elif len(ranges) == 1:
                first, last = ranges[0]
                assert (response.status, response.body) == (206, data[first : last + 1])
            else:
                check_multipart(response, data, ranges, "text/plain; charset=utf-8")
            seen.add(None if ranges is None else min(len(ranges), 2))
    assert {None, 2} <= seen


def test_sixty_four_ranges_of_a_large_file_and_one_more(server, root):
    data = pattern(8 * MIB)
    (root / "r").write_bytes(data)
    ranges = [(i * 100001, i * 100001 + 50000) for i in range(64)]
    value = "bytes=" + ",".join(map(text_of, ranges))
    with server.connect() as client:
        check_multipart(client.get("/r", Range=value), data, ranges, "application/octet-stream")
        assert client.get("/r", Range=value + ",7000000-7000001").status == 200


def test_several_ranges_of_a_file_beyond_four_gigabytes(server, root):
    size = 5 << 30
    with open(root / "sparse", "wb") as file:
        file.seek((4 << 30) - 2)
        file.write(b"4GiB")
        file.truncate(size)
    response = server.get("/sparse", Range=f"bytes={(4 << 30) - 3}-{(4 << 30) + 2},-1,0-1")
    parts = response.body.split(b"\r\n\r\n")
    assert response.status == 206 and len(parts) == 4
    assert parts[1].startswith(b"\x004GiB\x00\r\n--")
    assert f"bytes {size - 1}-{size - 1}/{size}".encode() in parts[1]


def test_several_ranges_are_for_get_only_and_obey_conditions(server, root):
    (root / "r").write_bytes(b"0123456789")
    with server.connect() as client:
        etag = client.get("/r")["etag"]
        ranges = "bytes=0-1,5-6"
        assert client.get("/r", method="HEAD", Range=ranges).status == 200
        assert client.get("/r", Range=ranges, If_Range=etag).status == 206
        assert client.get("/r", Range=ranges, If_Range='"other"').status == 200
        assert client.get("/r", Range=ranges, If_None_Match=etag).status == 304
        assert client.get("/r", Range=ranges, If_Match='"other"').status == 412
        partial = client.get("/r", Range=ranges)
        assert partial["etag"] == etag and partial["last-modified"]


def test_several_ranges_between_pipelined_requests(server, root):
    data = {"small": pattern(20000), "large": pattern(MIB)}
    for name, content in data.items():
        (root / name).write_bytes(content)
    ranges = [(i * 250, i * 250 + 99) for i in range(64)]
    value = "bytes=" + ",".join(map(text_of, ranges))
    names = ["small", "large", "small", "small", "large"] * 4
    with server.connect() as client:
        client.send(b"".join(request("/" + name) + request("/" + name, Range=value) for name in names))
        for name in names:
            assert client.response().body == data[name]
            check_multipart(client.response(), data[name], ranges, "application/octet-stream")


@pytest.mark.parametrize("size", [100, 100000])
def test_each_answer_about_a_file_says_that_it_has_ranges(server, root, size):
    """Some clients look at the first answer they get, whichever it is."""
    (root / "r").write_bytes(pattern(size))
    with server.connect() as client:
        etag = client.get("/r")["etag"]
        for status, headers in [
            (200, {}),
            (206, {"Range": "bytes=0-1"}),
            (206, {"Range": "bytes=0-1,5-6"}),
            (304, {"If_None_Match": etag}),
        ]:
            response = client.get("/r", **headers)
            assert (response.status, response["accept-ranges"]) == (status, "bytes")


def test_boundaries_differ(server, root):
    (root / "r").write_bytes(b"0123456789")
    with server.connect() as client:
        kinds = {client.get("/r", Range="bytes=0-1,5-6")["content-type"] for _ in range(20)}
    assert len(kinds) == 20


def test_curl_gets_several_ranges(server, root, tmp_path):
    data = pattern(200000)
    (root / "r").write_bytes(data)
    head = tmp_path / "head"
    ran = subprocess.run(
        ["curl", "-sS", "--fail", "-D", head, "-r", "0-99,150000-199999,-7", f"{server.url}/r"],
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
    )
    assert "206 Partial Content" in head.read_text()
    assert data[150000:] in ran.stdout and data[:100] + b"\r\n--" in ran.stdout


# ---- encoded versions ----

SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "br": ".br"}


@pytest.fixture
def script(root):
    """app.js with all its encodings; what is in them says which it is."""
    (root / "app.js").write_bytes(b"plain " * 1000)
    for coding, suffix in SUFFIXES.items():
        (root / f"app.js{suffix}").write_bytes(f"this is {coding} ".encode() * 50)
    return root / "app.js"


def content_of(path, coding):
    return path.with_name(path.name + SUFFIXES.get(coding, "")).read_bytes()


@pytest.mark.parametrize(
    "accept, coding",
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate, zstd", "zstd"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("br;q=0, zstd;q=0, *", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("deflate", None),
    ],
)
def test_the_client_chooses_the_encoding(server, script, accept, coding):
    headers = {} if accept is None else {"Accept_Encoding": accept}
    with server.connect() as client:
        plain = client.get("/app.js")
        for method in ["GET", "HEAD", "GET"]:
            response = client.get("/app.js", method=method, **headers)
            content = content_of(script, coding)
            assert response.status == 200
            assert response["content-encoding"] == coding
            assert response["vary"] == "Accept-Encoding"
            assert response["content-length"] == str(len(content))
            assert response["content-type"] == plain["content-type"] and "javascript" in plain["content-type"]
            assert response["accept-ranges"] == "bytes"
            assert response.body == (b"" if method == "HEAD" else content)
            assert (response["etag"] == plain["etag"]) == (coding is None)
            assert not response["etag"].startswith("W/")


def test_each_encoding_has_its_own_tag(server, script):
    with server.connect() as client:
        tags = {client.get("/app.js", Accept_Encoding=coding)["etag"] for coding in [*SUFFIXES, "identity"]}
    assert len(tags) == 4


def test_an_encoded_file_asked_for_by_its_name_is_itself(server, script):
    with server.connect() as client:
        for _ in range(2):
            assert client.get("/app.js", Accept_Encoding="gzip")["content-encoding"] == "gzip"
            response = client.get("/app.js.gz", Accept_Encoding="gzip, br")
            assert response["content-encoding"] is None and response["vary"] is None
            assert "gzip" in response["content-type"]
            assert response.body == content_of(script, "gzip")


def test_conditions_and_ranges_are_about_the_chosen_encoding(server, script):
    content = content_of(script, "gzip")
    with server.connect() as client:

        def get(**headers):
            return client.get("/app.js", Accept_Encoding="gzip", **headers)

        ours = get()["etag"]
        plain = client.get("/app.js")["etag"]
        same = get(If_None_Match=ours)
        assert (same.status, same["etag"], same["vary"]) == (304, ours, "Accept-Encoding")
        assert get(If_None_Match=plain).status == 200
        same = client.get("/app.js", If_None_Match=f"{ours}, {plain}")
        assert (same.status, same["etag"], same["vary"]) == (304, plain, "Accept-Encoding")
        assert get(If_Match=plain).status == 412
        part = get(Range="bytes=5-9")
        assert (part.status, part.body, part["content-encoding"]) == (206, content[5:10], "gzip")
        assert part["content-range"] == f"bytes 5-9/{len(content)}"
        assert part["vary"] == "Accept-Encoding"
        assert get(Range="bytes=5-9", If_Range=ours).status == 206
        assert get(Range="bytes=5-9", If_Range=plain).status == 200
        assert get(Range=f"bytes={len(content)}-")["content-range"] == f"bytes */{len(content)}"
        # Content-Encoding has no good place in a multipart answer.
        whole = get(Range="bytes=0-1,5-9")
        assert (whole.status, whole.body) == (200, content)
        part = client.get("/app.js", Range="bytes=0-1,5-9")
        assert (part.status, part["vary"]) == (206, "Accept-Encoding")


def test_index_files_and_large_files_have_encodings_too(server, root):
    large = pattern(3 * MIB)
    (root / "index.html").write_bytes(b"index")
    (root / "index.html.br").write_bytes(b"encoded index")
    (root / "big.svg").write_bytes(b"x" * (9 * MIB))
    (root / "big.svg.zst").write_bytes(large)
    with server.connect() as client:
        for _ in range(2):
            index = client.get("/", Accept_Encoding="br")
            assert (index.body, index["content-encoding"]) == (b"encoded index", "br")
            assert "text/html" in index["content-type"]
            big = client.get("/big.svg", Accept_Encoding="zstd")
            assert (big.body == large, big["content-encoding"]) == (True, "zstd")
            assert big["content-type"].startswith("image/svg")


def test_a_file_without_encodings_does_not_vary(server, root):
    (root / "a.js").write_bytes(b"a")
    response = server.get("/a.js", Accept_Encoding="gzip")
    assert response["vary"] is None and response["content-encoding"] is None


def test_encodings_can_be_switched_off(serve, script):
    response = serve("--precompressed", "off").get("/app.js", Accept_Encoding="gzip")
    assert response["vary"] is None and response.body == script.read_bytes()


def test_a_compressed_picture_says_that_it_is_compressed(server, root):
    data = gzip.compress(b"<svg xmlns='http://www.w3.org/2000/svg'/>" + b" " * 100)
    (root / "a.svgz").write_bytes(data)
    (root / "a.svgz.br").write_bytes(b"not looked for")
    with server.connect() as client:
        for headers in [{}, {"Accept_Encoding": "br, gzip"}]:
            response = client.get("/a.svgz", **headers)
            assert (response.status, response.body) == (200, data)
            assert (response["content-type"], response["content-encoding"]) == ("image/svg+xml", "gzip")
            assert response["vary"] is None
        one = client.get("/a.svgz", Range="bytes=0-1")
        assert (one.status, one.body, one["content-encoding"]) == (206, data[:2], "gzip")
        assert client.get("/a.svgz", Range="bytes=0-1,5-6").status == 200


def test_types_are_those_of_the_program_unless_a_file_is_named(serve, root, tmp_path):
    for name in ["a.ts", "README", "unknown.zzz", "own.thing"]:
        (root / name).write_bytes(b"x")
    types = tmp_path / "types"
    types.write_text("text/x-thing thing\n")
    for arguments, want in [
        ([], ["video/mp2t", "text/plain; charset=utf-8", "application/octet-stream", "application/octet-stream"]),
        (
            ["--mime-types", str(types), "--default-type", "text/x-other", "--charset", "koi8-r"],
            ["video/mp2t"] + [f"text/{kind}; charset=koi8-r" for kind in ["plain", "x-other", "x-thing"]],
        ),
    ]:
        server = serve(*arguments)
        names = ["a.ts", "README", "unknown.zzz", "own.thing"]
        assert [server.get("/" + name)["content-type"] for name in names] == want


def test_an_encoding_without_its_file_is_nothing(server, root):
    (root / "a.js.gz").write_bytes(b"a")
    assert server.get("/a.js", Accept_Encoding="gzip").status == 404


def test_an_encoding_older_than_its_file_is_not_served(server, script):
    now = script.stat().st_mtime
    os.utime(f"{script}.br", (now - 2, now - 2))
    with server.connect() as client:
        assert client.get("/app.js", Accept_Encoding="br, gzip")["content-encoding"] == "gzip"
        assert client.get("/app.js", Accept_Encoding="br")["content-encoding"] is None
        assert "app.js.br is older than the file it was made from: not served" in server.log()
        os.utime(f"{script}.br", (now, now))
        assert client.get("/app.js", Accept_Encoding="br")["content-encoding"] == "br"
        # Made anew, and its encodings not yet: nobody gets the old one.
        script.write_bytes(b"new")
        os.utime(script, (now + 2, now + 2))
        assert client.get("/app.js", Accept_Encoding="gzip, br, zstd").body == b"new"


def test_times_that_do_not_fit_into_nanoseconds_are_late_or_early_ones(server, script):
    for year_2400, answered in ((13569465600, None), (-13569465600, "gzip")):
        os.utime(script, (year_2400, year_2400))
        response = server.get("/app.js", Accept_Encoding="gzip")
        assert (response.status, response["content-encoding"]) == (200, answered)


def test_what_is_no_file_is_no_encoding(server, root, tmp_path):
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "a.js").write_bytes(b"plain")
    os.mkfifo(root / "a.js.gz")
    (root / "a.js.br").mkdir()
    (root / "a.js.zst").symlink_to(tmp_path / "outside")
    with server.connect() as client:
        response = client.get("/a.js", Accept_Encoding="gzip, br, zstd")
        assert (response.body, response["content-encoding"], response["vary"]) == (b"plain", None, None)
        (root / "a.js.gz").unlink()
        # A link that leads to a file one day, without anything happening in its directory.
        (root / "there").mkdir()
        (root / "a.js.gz").symlink_to("there/a.gz")
        assert client.get("/a.js", Accept_Encoding="gzip").body == b"plain"
        (root / "there" / "a.gz").write_bytes(b"linked")
        assert client.get("/a.js", Accept_Encoding="gzip").body == b"linked"
        (root / "there" / "a.gz").unlink()
        assert client.get("/a.js", Accept_Encoding="gzip").body == b"plain"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the server somebody else")
def test_an_encoding_that_may_not_be_read_is_passed_over(leat, root, script):
    for folder in [root, *root.parents][:-1]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    os.chmod(f"{script}.br", 0)
    server = Server(leat, root, preexec_fn=as_nobody)
    try:
        response = server.get("/app.js", Accept_Encoding="br, gzip;q=0.5")
        assert (response["content-encoding"], response.body) == ("gzip", content_of(script, "gzip"))
    finally:
        assert server.stop() == 0


@pytest.mark.release_only  # the leak checker needs a thread of its own
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the server somebody else")
def test_without_a_helper_there_are_no_files_for_now(leat, root, script):
    """No thread can be started: each request is told so."""
    for folder in [root, *root.parents][:-1]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)

    def alone():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        as_nobody()

    server = Server(leat, root, "--threads", "1", preexec_fn=alone)
    try:
        with server.connect() as client:
            for _ in range(3):
                response = client.get("/app.js")
                assert (response.status, response["retry-after"]) == (503, "5")
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize(
    "kernel", [None] + [pytest.param(k, marks=pytest.mark.release_only) for k in ["uncertain", "old", "blind", "forgetful", "silent"]]
)
def test_every_change_of_encodings_is_seen_by_the_next_request(leat, root, kernel):
    """Random changes against a model: what there is now decides."""
    environment = dict(os.environ) if kernel is None else lesser_kernel(root.parent, kernel)
    server = Server(leat, root, env=environment)
    chance = random.Random(7)
    order = ["br", "zstd", "gzip", None]
    there = {}
    written = 0
    (root / "d").mkdir()

    def change(coding):
        nonlocal written
        path = root / "d" / ("f.txt" + SUFFIXES.get(coding, ""))
        kind = chance.choice(["write", "replace", "remove", "rename", "age"])
        if kind in ("write", "replace"):
            written += 1
            data = f"{coding} {written} ".encode() * chance.choice([1, 50, 10000])
            target = path if kind == "write" else root / "new"
            target.write_bytes(data)
            if kind == "replace":
                target.rename(path)
            there[coding] = (data, path.stat().st_mtime_ns // 10**9)
        elif kind == "remove" and coding in there:
            path.unlink()
            del there[coding]
        elif kind == "rename" and coding in there:
            path.rename(root / "d" / "elsewhere")
            del there[coding]
        elif kind == "age" and coding in there:
            age = chance.choice([1, 5, 100])
            os.utime(path, (age, age))
            there[coding] = (there[coding][0], age)

    with server.connect() as client:
        for _ in range(400):
            change(chance.choice(order))
            accepted = [coding for coding in order[:3] if chance.random() < 0.7]
            response = client.get("/d/f.txt", Accept_Encoding=", ".join(accepted))
            if None not in there:
                assert response.status == 404
                continue
            fit = [c for c in order[:3] if c in there and there[c][1] >= there[None][1]]
            best = next((c for c in fit if c in accepted), None)
            assert response["content-encoding"] == best
            assert response.body == there[best][0]
            assert response["vary"] == ("Accept-Encoding" if fit else None)
    assert server.stop() == 0


@pytest.mark.parametrize(
    "kernel", [None] + [pytest.param(k, marks=pytest.mark.release_only) for k in ["uncertain", "forgetful"]]
)
@pytest.mark.parametrize("size", [100, 100000])
def test_encodings_come_and_go_while_they_are_asked_for(leat, root, kernel, size):
    environment = dict(os.environ) if kernel is None else lesser_kernel(root.parent, kernel)
    contents = {coding: pattern(size, seed=i) for i, coding in enumerate([None, *SUFFIXES])}
    (root / "f").write_bytes(contents[None])
    server = Server(leat, root, env=environment)
    done = threading.Event()

    def come_and_go(coding, seed):
        chance = random.Random(seed)
        while not done.is_set():
            new = root.parent / f"new{coding}"
            new.write_bytes(contents[coding])
            new.rename(root / ("f" + SUFFIXES[coding]))
            done.wait(chance.random() / 1000)
            (root / ("f" + SUFFIXES[coding])).unlink()
            done.wait(chance.random() / 1000)

    threads = [threading.Thread(target=come_and_go, args=(coding, i)) for i, coding in enumerate(SUFFIXES)]
    for thread in threads:
        thread.start()
    seen = set()
    try:
        with server.connect() as client:
            for _ in range(600):
                client.send(request("/f", Accept_Encoding="gzip, zstd, br") * 2)
                for _ in range(2):
                    response = client.response()
                    assert response.status == 200
                    assert response.body == contents[response["content-encoding"]]
                    seen.add(response["content-encoding"])
    finally:
        done.set()
        for thread in threads:
            thread.join()
        assert server.stop() == 0, server.log()
    assert len(seen) >= 2


@pytest.mark.parametrize("where", [None, "/dev/shm"])
def test_a_file_without_encodings_is_cached(leat, root, where):
    """Also where the file system forgets at once which names it does not have."""
    with tempfile.TemporaryDirectory(dir=where or root) as folder:
        (Path(folder) / "a.js").write_bytes(b"plain")
        server = Server(leat, Path(folder), "--threads", "1")
        with server.connect() as client:
            for _ in range(100):
                assert client.get("/a.js", Accept_Encoding="gzip").body == b"plain"
        assert server.stop() == 0
        hits = int(re.search(r"(\d+) hits", server.log())[1])
        server.log_path.unlink()
    assert hits >= 95


@pytest.mark.release_only
def test_a_cached_file_with_encodings_costs_no_more_calls(leat, root, script):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    trace = root.parent / "trace"
    server = Server(leat, root, "--threads", "1")
    strace = subprocess.Popen(
        ["strace", "-f", "-o", trace, "-e", "trace=openat2,fstat,newfstatat,statx,pread64", "-p", str(server.process.pid)],
        stderr=subprocess.PIPE,
    )
    try:
        if b"attached" not in strace.stderr.readline():
            pytest.skip("strace may not attach here")
        with server.connect() as client:
            for _ in range(2):
                client.get("/app.js", Accept_Encoding="gzip")
            before = len(trace.read_text().splitlines())
            for _ in range(300):
                assert client.get("/app.js", Accept_Encoding="gzip")["content-encoding"] == "gzip"
            after = len(trace.read_text().splitlines())
    finally:
        server.stop()
        strace.wait(60)
        strace.stderr.close()
    # Each entry is compared once a second: a few calls, not one a request.
    assert before > 0
    assert after - before < 100


def test_curl_decodes_what_it_gets(server, root):
    data = pattern(50000)
    (root / "a.css").write_bytes(data)
    (root / "a.css.gz").write_bytes(gzip.compress(data))
    ran = subprocess.run(
        ["curl", "-sS", "--fail", "--compressed", f"{server.url}/a.css"], check=True, timeout=60, stdout=subprocess.PIPE
    )
    assert ran.stdout == data


# ---- the operator's headers ----


@pytest.mark.parametrize("size", [10, 200000])
def test_own_headers_are_on_all_answers_and_cache_control_on_those_of_files(serve, root, size):
    (root / "a.txt").write_bytes(pattern(size))
    (root / "d").mkdir()
    server = serve("--cache-control", " public, max-age=60 ", "--header", "X-One: 1", "--header", "X-Two:  b: c ")
    with server.connect() as client:

        def check(status, cached, path="/a.txt", method="GET", **headers):
            response = client.get(path, method=method, **headers)
            assert response.status == status
            assert response["x-one"] == "1"
            assert response["x-two"] == "b: c"
            assert response["cache-control"] == cached
            return response

        etag = check(200, "public, max-age=60")["etag"]
        check(200, "public, max-age=60", method="HEAD")
        check(206, "public, max-age=60", Range="bytes=1-2")
        check(206, "public, max-age=60", Range="bytes=1-2,5-6")
        check(304, "public, max-age=60", If_None_Match=etag)
        check(200, "no-cache", path="/d/")
        check(301, None, path="/d")
        check(200, None, path="/a.txt", method="OPTIONS")
        for path, method, status, headers in [
            ("/none", "GET", 404, {}),
            ("/a.txt", "GET", 416, {"Range": f"bytes={size}-"}),
            ("/a.txt", "GET", 412, {"If_Match": '"x"'}),
            ("/a.txt", "PUT", 405, {}),
        ]:
            check(status, None, path=path, method=method, **headers)
        client.send(b"GET /a.txt HTTP/1.1\r\nHost: a b\r\n\r\n")
        response = client.response()
        assert response.status == 400 and response["x-one"] == "1"



@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--header", "no colon"], "--header 'no colon': no colon"),
        (["--header", "a b: c"], "the name may have"),
        (["--header", "a: b\r\nc: d"], "line break"),
        (["--header", "Content-Length: 5"], "the server itself says that"),
        (["--header", "cache-control: no-store"], "that is --cache-control's"),
        (["--cache-control", "a\nb"], "line break"),
        (["--cache-control", " "], "missing"),
        (["--header", "a: " + "x" * 3000], "more than 2048 bytes"),
        (["--header", "a: b"] * 65, "--header at most 64 times"),
        (["--default-type", "text"], "--default-type 'text'"),
        (["--charset", "utf 8"], "--charset 'utf 8'"),
        (["--precompressed", "yes"], "--precompressed is on or off, not 'yes'"),
    ],
)
def test_bad_options_get_one_clear_line(leat, root, arguments, words):
    ran = run([leat, "http", *arguments, root])
    assert ran.returncode == 2
    assert words in ran.stderr and ran.stderr.count("\n") == 1


# ---- how a body goes ----


def test_explain_says_how_each_body_goes(serve, root):
    (root / "small").write_bytes(b"x" * 500)
    (root / "large").write_bytes(pattern(MIB))
    server = serve("--explain")
    small = 'leat;desc="copy: kept in memory, one send with its header: copied"'
    large = 'leat;desc="sendfile: file to TCP socket: '
    short = 'leat;desc="copy: short file range: one send with what stands before: copied"'
    with server.connect() as client:
        for method in ["GET", "HEAD", "GET"]:
            assert client.get("/small", method=method)["server-timing"] == small
            timing = client.get("/large", method=method)["server-timing"]
            assert timing.startswith(large)
            assert timing.endswith(('by-reference"', 'copied"', 'unknown"'))
        assert client.get("/small", Range="bytes=1-2")["server-timing"] == small
        assert client.get("/small", Range="bytes=1-2,5-6")["server-timing"] == small
        assert client.get("/large", Range="bytes=1-2")["server-timing"] == short
        assert client.get("/large", Range="bytes=1-2,100000-200000")["server-timing"] == f"{timing}, {short}"
        assert client.get("/large", Range="bytes=1-99999,200000-300000")["server-timing"] == timing
        again = client.get("/large", If_None_Match=client.get("/large")["etag"])
        assert (again.status, again["server-timing"]) == (304, None)
        assert client.get("/none")["server-timing"] is None
        client.send(request("/large", Connection="close"))
        assert client.response()["server-timing"] == timing
    # What is promised is what the account has in the end.
    if timing.endswith('by-reference"'):
        assert server.stop() == 0
        assert re.search(r"[\d.]+ MiB by reference", server.log())


def test_without_explain_nothing_is_said(server, root):
    (root / "a").write_bytes(b"a")
    (root / "b").write_bytes(pattern(MIB))
    assert server.get("/a")["server-timing"] is None
    assert server.get("/b")["server-timing"] is None


def test_explain_over_a_unix_socket(serve, root):
    (root / "large").write_bytes(pattern(MIB))
    where = root.parent / "s"
    serve("--explain", listen=[f"unix:{where}"])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(where))
        assert "sendfile: file to UNIX socket: " in Client(sock).get("/large")["server-timing"]


PROBE = """<!DOCTYPE html><title>probe</title><pre id="out">nothing</pre><script>
async function look() {
  const seen = {};
  for (const name of ["small.txt", "large.txt", "page.css"]) {
    const body = await (await fetch(name)).arrayBuffer();
    const entry = performance.getEntriesByName(new URL(name, location).href)[0];
    seen[name] = [body.byteLength, entry.serverTiming.map((t) => t.name + " " + t.description)];
  }
  document.getElementById("out").textContent = JSON.stringify(seen);
}
look().catch((e) => { document.getElementById("out").textContent = JSON.stringify({error: String(e)}); });
</script>"""


def test_a_browser_shows_how_bodies_went_and_decodes_them(serve, root, chromium):
    css = pattern(50000)
    (root / "probe.html").write_text(PROBE)
    (root / "small.txt").write_bytes(b"x" * 500)
    (root / "large.txt").write_bytes(pattern(MIB))
    (root / "page.css").write_bytes(css)
    (root / "page.css.gz").write_bytes(gzip.compress(css))
    ran = chromium("--virtual-time-budget=60000", "--dump-dom", serve("--explain").url + "/probe.html")
    found = re.search(r'<pre id="out">(.*?)</pre>', ran.stdout.decode(errors="replace"), re.S)
    if ran.returncode != 0 and not found:
        pytest.skip(f"chromium does not run here: {ran.stderr.decode(errors='replace')[-300:]}")
    seen = json.loads(html.unescape(found[1]))
    assert "error" not in seen, seen
    assert seen["small.txt"] == [500, ["leat copy: kept in memory, one send with its header: copied"]]
    length, timings = seen["large.txt"]
    assert length == MIB and len(timings) == 1
    assert timings[0].startswith("leat sendfile: file to TCP socket: ")
    assert seen["page.css"][0] == len(css)


@pytest.mark.parametrize("technique", ["auto", "copy", "mmap", "sendfile", "splice", "vmsplice", "zerocopy"])
def test_each_technique_sends_the_same_bytes(serve, root, technique):
    files = {f"f{size}": pattern(size, seed=size) for size in [0, 1, 5000, 30000, 70000, 3 * MIB]}
    for name, data in files.items():
        (root / name).write_bytes(data)
    server = serve("--technique", technique, "--explain")
    ranges = [(100000, 250000), (0, 5), (2 * MIB, 3 * MIB - 1)]
    with server.connect(receive_buffer=20000) as client:
        for _ in range(2):
            for name, data in files.items():
                response = client.get("/" + name)
                assert response.body == data
                if technique != "auto" and data and response["server-timing"].find("kept in memory") < 0:
                    assert response["server-timing"].startswith(f'leat;desc="{technique}: asked for: ')
                    assert client.get("/" + name, Range="bytes=-1").body == data[-1:]
        data = files[f"f{3 * MIB}"]
        response = client.get(f"/f{3 * MIB}", Range="bytes=" + ",".join(map(text_of, ranges)))
        check_multipart(response, data, ranges, "application/octet-stream")
        names = list(files) * 5
        client.send(b"".join(request("/" + name) for name in names))
        for name in names:
            assert client.response().body == files[name]


@pytest.mark.parametrize(
    "technique, words",
    [
        ("tee", "several sinks"),
        ("range-copy", "can't send files to sockets"),
        ("uring", "not for HTTP"),
        ("magic", "--technique is auto, copy, mmap"),
    ],
)
def test_techniques_that_send_no_files_are_refused_at_start(leat, root, technique, words):
    ran = run([leat, "http", "--technique", technique, root])
    assert ran.returncode == 2
    assert words in ran.stderr and technique in ran.stderr and ran.stderr.count("\n") == 1


def test_a_technique_that_a_listener_can_not_have_is_refused_at_start(leat, root):
    ran = run([leat, "http", "--technique", "zerocopy", "--listen", f"unix:{root.parent}/s", root])
    assert ran.returncode == 2
    assert "UNIX" in ran.stderr and ran.stderr.count("\n") == 1


# ---- what is no file ----


@pytest.fixture
def links(root, tmp_path):
    """A file and a folder, links to them, to nothing, and out of the root."""
    (root / "d").mkdir()
    (root / "d" / "a.txt").write_bytes(b"inside")
    (root / "file").symlink_to("d/a.txt")
    (root / "folder").symlink_to("d")
    (root / "nothing").symlink_to("none")
    (root / "loop").symlink_to("loop")
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "out").symlink_to(tmp_path / "outside")
    return root


def test_links_within_the_root_are_followed(server, links):
    with server.connect() as client:
        assert client.get("/file").body == client.get("/folder/a.txt").body == b"inside"
        assert client.get("/folder")["location"] == "folder/"
        for name in ["nothing", "loop", "out"]:
            assert client.get("/" + name).status == 404


def test_links_are_refused_when_asked_for(serve, links):
    server = serve("--no-symlinks")
    with server.connect() as client:
        for name in ["file", "folder", "folder/", "folder/a.txt", "nothing", "loop", "out"]:
            for _ in range(2):
                response = client.get("/" + name)
                assert response.status == 403, name
                assert b"secret" not in response.body and b"inside" not in response.body
        assert client.get("/d/a.txt").body == b"inside"
        assert client.get("/none").status == 404
        listing = client.get("/").body
        assert b'"d/"' in listing
        for name in [b"file", b"folder", b"nothing", b"loop", b"out"]:
            assert b'"' + name not in listing
        # A file becomes a link, and a file again, while it is kept in memory.
        for _ in range(5):
            (links / "d" / "a.txt").rename(links / "d" / "b.txt")
            (links / "d" / "a.txt").symlink_to("b.txt")
            assert client.get("/d/a.txt").status == 403
            (links / "d" / "b.txt").rename(links / "d" / "a.txt")
            assert client.get("/d/a.txt").body == b"inside"


def test_the_root_itself_may_be_a_link(leat, links, tmp_path):
    (tmp_path / "www").symlink_to(links)
    server = Server(leat, tmp_path / "www", "--no-symlinks")
    assert server.get("/d/a.txt").body == b"inside"
    assert server.stop() == 0


def make_devices(root):
    """Those that can be made here."""
    made = []
    for name, mode, device in [
        ("null", stat.S_IFCHR, os.makedev(1, 3)),
        ("tty", stat.S_IFCHR, os.makedev(5, 0)),
        ("ram", stat.S_IFBLK, os.makedev(1, 0)),
    ]:
        try:
            os.mknod(root / name, mode | 0o666, device)
            made.append(name)
        except PermissionError:
            pass
    return made


@pytest.mark.release_only
def test_fifos_sockets_and_devices_are_never_opened_for_reading(leat, root):
    """Not even when their names say index or encoding, or a file has just been there."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    names = make_devices(root) + ["fifo", "socket"]
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.open(".", os.O_RDONLY)
        os.chdir(root)
        try:
            sock.bind("socket")
        finally:
            os.fchdir(here)
            os.close(here)
        (root / "d").mkdir()
        os.mkfifo(root / "d" / "index.html")
        (root / "a.js").write_bytes(b"plain")
        os.mkfifo(root / "a.js.br")
        trace = root.parent / "trace"
        server = Server(leat, root, "--threads", "1")
        strace = subprocess.Popen(
            ["strace", "-f", "-o", trace, "-e", "trace=openat2,open,openat", "-p", str(server.process.pid)],
            stderr=subprocess.PIPE,
        )
        try:
            if b"attached" not in strace.stderr.readline():
                pytest.skip("strace may not attach here")
            with server.connect(timeout=20) as client:
                for name in names:
                    for path in [name, name + "/"]:
                        assert client.get("/" + path).status in (403, 404)
                assert client.get("/d/").status == 403
                assert client.get("/a.js", Accept_Encoding="br").body == b"plain"
                # A file that becomes a FIFO, in a storm.
                for i in range(100):
                    (root / "new").write_bytes(b"file")
                    (root / "new").rename(root / "x")
                    assert client.get("/x").body == b"file"
                    os.mkfifo(root / "new")
                    (root / "new").rename(root / "x")
                    assert client.get("/x").status == 403
        finally:
            server.stop()
            strace.wait(60)
            strace.stderr.close()
    special = [line for line in trace.read_text().splitlines() if re.search(r'"(null|tty|ram|fifo|socket|d/index.html|a.js.br)"', line)]
    assert special
    assert all("O_PATH" in line for line in special), special


# ---- requests that are rare ----


def test_targets_in_other_forms(server, root):
    (root / "a.txt").write_bytes(b"alpha")
    with server.connect() as client:
        for method in ["GET", "HEAD"]:
            response = client.get("http://elsewhere.example/a.txt?q", method=method)
            assert (response.status, response.body) == (200, b"alpha" if method == "GET" else b"")
        assert client.get("HTTP://elsewhere.example", method="GET").status == 200
        for target in ["*", "/a.txt", "http://elsewhere.example", "http://elsewhere.example/a.txt"]:
            response = client.get(target, method="OPTIONS")
            assert (response.status, response["allow"]) == (200, "GET, HEAD, OPTIONS")
            assert response["content-length"] == "0"
    for target in ["*", "ftp://elsewhere.example/a.txt", "elsewhere:80"]:
        with server.connect() as client:
            response = client.get(target)
            assert (response.status, response["connection"]) == (400, "close")


def test_an_expectation_that_can_not_be_met_is_refused(server, root):
    (root / "a").write_bytes(b"alpha")
    with server.connect() as client:
        assert client.get("/a", Expect="100-continue").body == b"alpha"
        response = client.get("/a", Expect="miracles", Content_Length=5)
        assert (response.status, response["connection"]) == (417, "close")
        client.send(b"hello")
        assert client.is_closed()
    with server.connect() as client:
        client.send(request("/a", version="1.0", Expect="miracles"))
        assert client.response().body == b"alpha"


@pytest.mark.parametrize("begun", [b"GET /a HT", b"GET /a HTTP/1.1\r\nHost: test\r\n", request("/a", Content_Length=5)])
def test_a_request_that_does_not_end_is_told_so(serve, root, begun):
    (root / "a").write_bytes(b"alpha")
    server = serve("--header-timeout", "300ms", "--body-timeout", "300ms", "--idle-timeout", "300ms")
    with server.connect() as client, server.connect() as idle:
        client.send(request("/a") + begun)
        assert client.response().body == b"alpha"
        response = client.response()
        assert (response.status, response["connection"]) == (408, "close")
        assert client.is_closed()
        # Nothing was begun here: nothing is said.
        assert idle.is_closed()


def test_a_field_that_may_be_there_once_means_nothing_twice(server, root):
    (root / "a").write_bytes(b"0123456789")
    known = server.get("/a")["last-modified"].encode()
    with server.connect() as client:
        for lines in [
            b"Range: bytes=0-1\r\nRange: bytes=2-3\r\n",
            b"If-Modified-Since: %s\r\nIf-Modified-Since: %s\r\n" % (known, known),
            b"If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n" * 2,
        ]:
            client.send(b"GET /a HTTP/1.1\r\nHost: test\r\n" + lines + b"\r\n")
            response = client.response()
            assert (response.status, response.body) == (200, b"0123456789"), lines
