"""What `leat http` answers for a file: several ranges at once, byte by byte against a plain reference."""

import email
import email.policy
import random
import subprocess

import pytest
from http_client import pattern, request

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


@pytest.mark.parametrize("size", [300, 30000, 65536, 65537, MIB + 7])
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
