"""Any request of Kafka's in any version, from the schemas of src/kafka/wire/schema.

    with Client(port) as client:
        client.call("Metadata", 9, topics=[{"name": "t"}])["topics"][0]["error_code"]

Messages are dictionaries; what is not named has its default. The schemas are read by tools/kafka-gen, the bytes
are made and taken apart here: a second codec, which shares no code with the one in C.
"""

import contextlib
import importlib.machinery
import importlib.util
import socket
import struct
import sys
import time
import uuid
from pathlib import Path

from kafka_wire import crc32c, read_exactly
from support import TIMEOUT

ROOT = Path(__file__).resolve().parent.parent.parent
FORMATS = {"int8": ">b", "int16": ">h", "int32": ">i", "int64": ">q", "bool": ">?"}


def _generator():
    loader = importlib.machinery.SourceFileLoader("kafka_gen", str(ROOT / "tools" / "kafka-gen"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("kafka_gen", loader))
    sys.modules["kafka_gen"] = module
    loader.exec_module(module)
    return module


def _apis():
    generator, apis, messages = _generator(), [], []
    for path in sorted((ROOT / "src/kafka/wire/schema").glob("*.schema")):
        generator.parse(path, apis, messages)
    return {api.name: api for api in apis}


APIS = _apis()


def _within(version, pair):
    return pair[0] <= version <= pair[1]


def uvarint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


class Writer:
    def __init__(self, version, flexible):
        self.version, self.flexible = version, flexible

    def length(self, n, short=False):
        return uvarint(n + 1) if self.flexible else struct.pack(">h" if short else ">i", n)

    def plain(self, kind, value):
        if kind in FORMATS:
            return struct.pack(FORMATS[kind], value)
        if kind == "uuid":
            return value.bytes if isinstance(value, uuid.UUID) else bytes(value or 16)
        if value is None:
            return self.length(-1, kind == "string")
        data = value.encode() if isinstance(value, str) else bytes(value)
        return self.length(len(data), kind == "string") + data

    def default(self, field):
        if field.preset == -1 and (field.array or field.struct or field.kind in ("string", "bytes", "records")):
            return None
        if field.array:
            return []
        return {} if field.struct else {"string": "", "bytes": b"", "uuid": 0, "records": None}.get(field.kind, field.preset)

    def value(self, field, value):
        if field.array:
            if value is None:
                return self.length(-1)
            return self.length(len(value)) + b"".join(self.one(field, each) for each in value)
        if field.struct and _within(self.version, field.null):
            return b"\xff" if value is None else b"\1" + self.one(field, value)
        return self.one(field, value)

    def one(self, field, value):
        return self.struct(field.struct, value) if field.struct else self.plain(field.kind, value)

    def struct(self, kind, values):
        values, out, tagged = dict(values), b"", {}
        for field in kind.fields:
            value = values.pop(field.name, self.default(field))
            if not _within(self.version, field.versions):
                continue
            if field.tag < 0:
                out += self.value(field, value)
            elif value != self.default(field):
                tagged[field.tag] = self.value(field, value)
        assert not values, f"{kind.name} has no {', '.join(values)}"
        if self.flexible:
            out += uvarint(len(tagged))
            for tag, data in sorted(tagged.items()):
                out += uvarint(tag) + uvarint(len(data)) + data
        return out


class Reader:
    def __init__(self, data, version, flexible):
        self.data, self.at, self.version, self.flexible = data, 0, version, flexible

    def take(self, size):
        assert 0 <= size <= len(self.data) - self.at, "the message is shorter than it says"
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, kind):
        return struct.unpack(FORMATS[kind], self.take(struct.calcsize(FORMATS[kind])))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, short=False):
        return self.uvarint() - 1 if self.flexible else self.number("int16" if short else "int32")

    def plain(self, kind):
        if kind in FORMATS:
            return self.number(kind)
        if kind == "uuid":
            return uuid.UUID(bytes=bytes(self.take(16)))
        size = self.length(kind == "string")
        data = None if size < 0 else self.take(size)
        return data.decode() if kind == "string" and data is not None else data

    def one(self, field):
        return self.struct(field.struct) if field.struct else self.plain(field.kind)

    def value(self, field):
        if field.array:
            count = self.length()
            return None if count < 0 else [self.one(field) for _ in range(count)]
        if field.struct and _within(self.version, field.null) and self.number("int8") < 0:
            return None
        return self.one(field)

    def struct(self, kind):
        there = [field for field in kind.fields if _within(self.version, field.versions)]
        found = {field.name: self.value(field) for field in there if field.tag < 0}
        for _ in range(self.uvarint() if self.flexible else 0):
            tag, size = self.uvarint(), self.uvarint()
            end = self.at + size
            for field in there:
                if field.tag == tag:
                    found[field.name] = self.value(field)
            assert self.at <= end
            self.at = end
        return found


def request_body(name, version, **fields):
    api = APIS[name]
    return Writer(version, version >= api.flexible).struct(api.parts["request"].root, fields)


def framed(key, version, body=b"", correlation=7, client=b"test", flexible=False):
    """A request of bytes, with its header."""
    head = struct.pack(">hhi", key, version, correlation)
    head += struct.pack(">h", -1) if client is None else struct.pack(">h", len(client)) + client
    data = head + b"\0" * flexible + body
    return struct.pack(">i", len(data)) + data


def request(name, version, correlation=7, client=b"test", **fields):
    api = APIS[name]
    return framed(api.key, version, request_body(name, version, **fields), correlation, client, version >= api.flexible)


def response_of(name, version, data):
    """The correlation id and the message."""
    api = APIS[name]
    flexible = version >= api.flexible
    head = Reader(data, version, flexible)
    correlation = head.number("int32")
    if flexible and name != "ApiVersions":
        assert head.uvarint() == 0
    body = Reader(data[head.at:], version, flexible)
    message = body.struct(api.parts["response"].root)
    assert body.at == len(body.data), "there is more than the message"
    return correlation, message


# ---- records ----

def varint(n):
    return uvarint((n << 1 ^ n >> 63) & 2**64 - 1)


def _bytes(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record_batch(values, key=b"k", time_ms=None, producer=-1, epoch=-1, sequence=-1, attributes=0, **lies):
    """A batch of format 2, not compressed. `lies`: what its header says instead of the truth (magic, base, count,
    last_delta, max_timestamp)."""
    time_ms = int(time.time() * 1000) if time_ms is None else time_ms
    records = b""
    for number, value in enumerate(values):
        record = b"\0" + varint(0) + varint(number) + _bytes(key) + _bytes(value) + varint(0)
        records += varint(len(record)) + record
    rest = struct.pack(">hiqqqhii", attributes, lies.get("last_delta", len(values) - 1), time_ms,
                       lies.get("max_timestamp", time_ms), producer, epoch, sequence, lies.get("count", len(values)))
    rest += records
    return struct.pack(">qiibI", lies.get("base", 0), 9 + len(rest), -1, lies.get("magic", 2), crc32c(rest)) + rest


# ---- connections ----

class Client:
    """A connection. `call` asks and waits; `send` and `answer` do it apart, for what waits."""

    def __init__(self, port, client=b"test", host="127.0.0.1"):
        self.connection = socket.create_connection((host, port), timeout=TIMEOUT)
        self.client, self.correlation, self.asked = client, 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def send(self, name, version, **fields):
        self.correlation += 1
        self.asked.append((name, version, self.correlation))
        self.connection.sendall(request(name, version, self.correlation, self.client, **fields))

    def answer(self):
        name, version, correlation = self.asked.pop(0)
        found, message = response_of(name, version, self.frame())
        assert found == correlation
        return message

    def call(self, name, version, **fields):
        self.send(name, version, **fields)
        return self.answer()

    def frame(self):
        return read_exactly(self.connection, struct.unpack(">i", read_exactly(self.connection, 4))[0])

    def raw(self, data):
        self.connection.sendall(data)

    def has_ended(self):
        """The broker has closed it, without a word."""
        with contextlib.suppress(ConnectionResetError):
            return self.connection.recv(1) == b""
        return True
