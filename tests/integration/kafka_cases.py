"""Batches whole and damaged, and what a broker says to each: the table that `leat kafka` is held to, and that
tests/interop holds Apache Kafka to.
"""

import dataclasses
import gzip
import struct
import zlib

from kafka_batches import (COMPRESS, XERIAL, batch, batch_of, lz4_frame, record, records, snappy_raw, snappy_xerial,
                           varint, zstd_frame)

NONE, CORRUPT, TOO_LARGE, INVALID_TIMESTAMP, UNKNOWN, INVALID_RECORD = 0, 2, 10, 32, -1, 87

HOUR = 3600 * 1000
TOPICS = {"plain": {}, "compact": {"cleanup.policy": "compact"}, "append": {"message.timestamp.type": "LogAppendTime"}}


@dataclasses.dataclass
class Case:
    name: str
    data: bytes
    error: int = NONE
    records: tuple = ()  # the indexes that the answer names
    topic: str = "plain"
    kafka: int = None  # what Apache Kafka says, where that is something else

    def __str__(self):
        return self.name


def of_any_codec(codec, now):
    """What is the same for all, also where nothing is compressed."""
    good = records(20)
    whole = batch_of(good, 20, codec, now=now)
    compressed = codec != "none"

    def case(name, data, error=NONE, named=(), topic="plain", **more):
        return Case(f"{codec}: {name}", data, error, named, topic, **more)

    yield case("good", whole)
    yield case("too few counted", batch_of(good, 19, codec, now=now), INVALID_RECORD)
    yield case("too many counted", batch_of(good, 21, codec, now=now), INVALID_RECORD)
    yield case("last offset wrong", batch_of(good, 20, codec, now=now, last=25), INVALID_RECORD)
    yield case("none counted", batch_of(good, 0, codec, now=now), INVALID_RECORD)
    # Kafka stores the one, and fails to write the other anew.
    yield case("offsets with a gap", batch_of(record(0) + record(5), 2, codec, now=now), INVALID_RECORD,
               kafka=UNKNOWN if compressed else NONE)
    # Of compressed records Kafka does not look at the length.
    for size in (4, 40):
        yield case(f"a record that says {size}", batch_of(record(0) + record(1, size=size), 2, codec, now=now), INVALID_RECORD,
                   kafka=NONE if compressed else None)
    yield case("bytes behind a record", batch_of(record(0) + record(1, tail=b"xx"), 2, codec, now=now), INVALID_RECORD)
    yield case("headers below 0", batch_of(record(0)[:-1] + varint(-1), 1, codec, now=now), INVALID_RECORD)
    yield case("a header without a name", batch_of(record(0, headers=[(None, b"x")]), 1, codec, now=now), INVALID_RECORD)
    yield case("a number without an end", batch_of(b"\xff" * 30, 1, codec, now=now), INVALID_RECORD,
               kafka=None if compressed else UNKNOWN)
    yield case("greatest time wrong", batch_of(good, 20, codec, now=now, max_time=now + 5000))
    yield case("no greatest time", batch_of(good, 20, codec, now=now, max_time=-1))
    yield case("a header of tomorrow", batch_of(good, 20, codec, now=now, max_time=now + 24 * HOUR))
    late = record(0) + record(1, time=10 * HOUR) + record(2)
    yield case("a record of tomorrow", batch_of(late, 3, codec, now=now, max_time=now), INVALID_TIMESTAMP, (1,))
    yield case("a record before 1970", batch_of(record(0, time=-now - 5), 1, codec, now=now))
    yield case("no times", batch_of(record(0), 1, codec, now=-1, max_time=-1))
    yield case("the broker's time, by a producer", batch_of(good, 20, codec, now=now, attributes=8))
    yield case("control", batch_of(good, 20, codec, now=now, attributes=32), INVALID_RECORD)
    yield case("producer without sequence", batch_of(good, 20, codec, now=now, producer=(5, 0, -1)), INVALID_RECORD)
    yield case("base offset", batch_of(good, 20, codec, now=now, base_offset=3), INVALID_RECORD)
    damaged = bytearray(whole)
    damaged[-1] ^= 1
    yield case("checksum", bytes(damaged), CORRUPT)
    keyless = record(0) + record(1, key=None) + record(2, key=None)
    yield case("no keys", batch_of(keyless, 3, codec, now=now), INVALID_RECORD, (1, 2), "compact")
    yield case("keys", whole, topic="compact")
    both = record(0) + record(1, key=None) + record(2, time=10 * HOUR)
    yield case("no key, and tomorrow", batch_of(both, 3, codec, now=now), INVALID_TIMESTAMP, (1, 2), "compact")
    yield case("the broker's time, said again", batch_of(good, 20, codec, now=now, attributes=8), INVALID_TIMESTAMP,
               tuple(range(20)), "append")
    yield case("tomorrow, where the broker's time counts", batch_of(late, 3, codec, now=now, max_time=now), topic="append")


def of_any_compression(codec, now):
    good = records(20)
    whole = COMPRESS[codec](good)

    def case(name, payload, error=UNKNOWN, **more):
        return Case(f"{codec}: {name}", batch(payload, 20, codec, now=now), error, **more)

    yield case("nothing", b"", INVALID_RECORD if codec == "zstd" else UNKNOWN)
    yield case("garbage", b"\x99\x12garbage that is nothing" * 3)
    for by in (1, 9, len(whole) // 2, len(whole) - 5):
        yield case(f"cut by {by}", whole[:-by])
    halves = COMPRESS[codec](good[:100]) + COMPRESS[codec](good[100:])
    yield case("in two", halves, {"snappy": UNKNOWN, "lz4": INVALID_RECORD}.get(codec, NONE))
    behind = whole + b"garbage, and more than the 26 bytes that Java looks at"
    yield case("garbage behind", behind, NONE if codec in ("gzip", "lz4") else UNKNOWN)
    yield Case(f"{codec}: 20 MB in one record", batch_of(record(0, value=bytes(20 * 1000 * 1000)), 1, codec, now=now))


def of_formats(now):
    """What one of the formats has, or may not have."""
    import lz4.frame
    import zstandard
    good, many = records(20), records(5000)

    def case(codec, name, payload, error=NONE, count=20, **more):
        return Case(f"{codec}: {name}", batch(payload, count, codec, now=now), error, **more)

    def changed(data, at, bits=1):
        data = bytearray(data)
        data[at] ^= bits
        return bytes(data)

    whole = gzip.compress(good, mtime=0)
    yield case("gzip", "wrong checksum", changed(whole, -8), UNKNOWN)
    yield case("gzip", "wrong length", changed(whole, -1), UNKNOWN)
    yield case("gzip", "zlib's format", zlib.compress(good), UNKNOWN)
    member = b"\x1f\x8b\x08\0\0\0\0\0\0\0"
    yield case("gzip", "another member, cut", whole + member)
    yield case("gzip", "another member, damaged", whole + member + b"\xff" * 30, UNKNOWN)
    yield case("gzip", "half, and garbage", gzip.compress(good[:200]) + b"g" * 40, INVALID_RECORD)

    whole = snappy_xerial(good)
    yield case("xerial", "another version", whole[:8] + struct.pack(">ii", 0, 9) + whole[16:])
    yield case("xerial", "header only", XERIAL, INVALID_RECORD)
    yield case("xerial", "block of -1", XERIAL + b"\xff" * 4, UNKNOWN)
    yield case("xerial", "block of 0", XERIAL + bytes(4) + whole[16:], UNKNOWN)
    yield case("xerial", "block of nothing", XERIAL + struct.pack(">i", 1) + b"\0" + whole[16:])
    yield case("xerial", "3 bytes behind", whole + b"\0\0\0")
    yield case("xerial", "small blocks", snappy_xerial(good, 10))
    for size in (b"\xff\xff\xff\xff\x07", b"\xff\xff\xff\xff\x0c"):
        yield case("snappy", f"a claim of {size.hex()}", size + b"\0abc", UNKNOWN)

    yield case("lz4", "blocks that refer to each other", lz4_frame(many, block_linked=True), UNKNOWN, 5000)
    yield case("lz4", "checksums", lz4_frame(many, content_checksum=True, block_checksum=True), NONE, 5000)
    yield case("lz4", "blocks of 4 MiB", lz4_frame(many, block_size=lz4.frame.BLOCKSIZE_MAX4MB), NONE, 5000)
    # Kafka does not look at it; librdkafka's consumers do.
    yield case("lz4", "wrong checksum of all", changed(lz4_frame(good, content_checksum=True), -1), UNKNOWN, kafka=NONE)
    yield case("lz4", "wrong checksum of a block", changed(lz4_frame(good, block_checksum=True), -5), UNKNOWN)
    yield case("lz4", "wrong checksum of the header", changed(lz4_frame(good), 14), UNKNOWN)
    yield case("lz4", "no end", lz4_frame(good)[:-4], UNKNOWN)
    skipped = struct.pack("<II", 0x184D2A50, 3) + b"abc"
    yield case("lz4", "a frame to skip", skipped + lz4_frame(good), UNKNOWN)

    checked = zstandard.ZstdCompressor(write_checksum=True).compress(good)
    yield case("zstd", "checksum", checked)
    yield case("zstd", "wrong checksum", changed(checked, -1), UNKNOWN)
    yield case("zstd", "frames to skip", skipped + zstd_frame(good) + skipped)
    for log, error in ((27, NONE), (28, UNKNOWN)):
        parameters = zstandard.ZstdCompressionParameters(window_log=log, write_content_size=False)
        one = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        yield case("zstd", f"window of 2^{log}", one.compress(good) + one.flush(), error)
    for codec in (5, 6, 7):
        yield Case(f"codec {codec}", batch(good, 20, now=now, attributes=codec), UNKNOWN)


def cases(now):
    for codec in ("none", *[codec for codec in COMPRESS if codec != "none"]):
        yield from of_any_codec(codec, now)
        if codec != "none":
            yield from of_any_compression(codec, now)
    yield from of_formats(now)
    yield Case("none: more than max.message.bytes", batch(bytes(2 * 1000 * 1000), 1, now=now), TOO_LARGE)
