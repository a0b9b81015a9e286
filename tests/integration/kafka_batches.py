"""Record batches by hand, whole and damaged, compressed by other people's libraries; and Produce."""

import gzip
import io
import socket
import struct

from kafka_wire import answer, crc32c, request

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
XERIAL = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)

def varint(value):
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def counted(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(offset, value=b"value", key=b"key", time=0, headers=(), attributes=0, size=None, tail=b""):
    """`time` is relative to the batch's; `size` is what it says of itself."""
    body = bytes([attributes]) + varint(time) + varint(offset) + counted(key) + counted(value) + varint(len(headers))
    body += b"".join(counted(name) + counted(content) for name, content in headers) + tail
    return varint(len(body) if size is None else size) + body


def records(count, **more):
    return b"".join(record(n, value=b"value number %d" % n, time=n, **more) for n in range(count))


def snappy_raw(data):
    import snappy
    return snappy.compress(data)


def snappy_xerial(data, block=32 * 1024):
    """As Java's snappy: a header, then blocks, each behind its length."""
    blocks = [snappy_raw(data[at:at + block]) for at in range(0, len(data), block)]
    return XERIAL + b"".join(struct.pack(">i", len(one)) + one for one in blocks)


def lz4_frame(data, **more):
    import lz4.frame
    return lz4.frame.compress(data, **{"block_linked": False, **more})


def zstd_frame(data, level=3):
    """A frame that doesn't say how long its content is, as clients' streams make them."""
    import zstandard
    out = io.BytesIO()
    with zstandard.ZstdCompressor(level=level).stream_writer(out, closefd=False) as stream:
        stream.write(data)
    return out.getvalue()


COMPRESS = {
    "none": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "snappy": snappy_raw,
    "xerial": snappy_xerial,
    "lz4": lz4_frame,
    "zstd": zstd_frame,
}


def codec_number(codec):
    return CODECS.index({"xerial": "snappy"}.get(codec, codec))


def batch(payload, count, codec="none", *, now, last=None, max_time=None, attributes=0, producer=(-1, -1, -1), base_offset=0):
    """Around a payload that is compressed already. `now` is the time of the first record."""
    rest = struct.pack(">hiqqqhii", codec_number(codec) | attributes, count - 1 if last is None else last, now,
                       now + count - 1 if max_time is None else max_time, *producer, count) + payload
    return struct.pack(">qiib", base_offset, 9 + len(rest), -1, 2) + struct.pack(">I", crc32c(rest)) + rest


def batch_of(data, count, codec="none", **more):
    return batch(COMPRESS[codec](data), count, codec, **more)


# ---- Produce ----

def text(data):
    return struct.pack(">h", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        size = struct.calcsize(">" + form)
        found = struct.unpack_from(">" + form, self.data, self.at)
        self.at += size
        return found[0] if len(found) == 1 else found

    def text(self):
        size = self.take("h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()


class Outcome:
    """Of one partition."""

    def __init__(self, reader):
        self.partition, self.error, self.offset, self.time, self.start = reader.take("ihqqq")
        self.records = [(reader.take("i"), reader.text()) for _ in range(reader.take("i"))]
        self.message = reader.text()

    def __repr__(self):
        return f"error {self.error} offset {self.offset} records {self.records} message {self.message!r}"


def produce_request(batches, acks=-1, version=8):
    """`batches`: (topic, partition, bytes)."""
    body = struct.pack(">hhi", -1, acks, 10000) + struct.pack(">i", len(batches))
    for topic, partition, data in batches:
        body += text(topic.encode()) + struct.pack(">iii", 1, partition, len(data)) + data
    return request(0, version, body)


def produce_answer(data):
    reader = Reader(data)
    assert reader.take("i") == 7
    found = []
    for _ in range(reader.take("i")):
        reader.text()
        found += [Outcome(reader) for _ in range(reader.take("i"))]
    return found


def send(address, batches, timeout=60):
    """Produce 8; the outcome of each partition."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(produce_request(batches))
        return produce_answer(answer(connection))


def send_one(address, topic, data, partition=0):
    return send(address, [(topic, partition, data)])[0]


# ---- ListOffsets ----

GREATEST = -3


def list_offset(address, topic, timestamp, partition=0):
    """ListOffsets 7: (error, offset, timestamp)."""
    def compact(data):
        return bytes([len(data) + 1]) + data

    body = b"\0" + struct.pack(">ib", -1, 0) + b"\2" + compact(topic.encode())
    body += b"\2" + struct.pack(">iiq", partition, -1, timestamp) + b"\0\0\0"
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request(2, 7, body))
        found = answer(connection)
    # Correlation, tags, throttling, a topic's name, a partition's number.
    error, timestamp, offset = struct.unpack_from(">hqq", found, 4 + 1 + 4 + 1 + 1 + len(topic) + 1 + 4)
    return error, offset, timestamp
