"""Kafka's protocol by hand: requests as bytes."""

import socket
import struct

from support import TIMEOUT

_CRC = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ 0x82F63B78 * (_byte & 1)
    _CRC.append(_byte)


def request(key, version, body=b"", correlation=7, client=b"test"):
    head = struct.pack(">hhih", key, version, correlation, len(client)) + client
    return struct.pack(">i", len(head + body)) + head + body


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, "the connection ended"
        data += piece
    return data


def answer(connection):
    return read_exactly(connection, struct.unpack(">i", read_exactly(connection, 4))[0])


def connect(broker):
    connection = socket.create_connection(("127.0.0.1", broker.port), timeout=TIMEOUT)
    connection.settimeout(TIMEOUT)
    return connection


def fetch(connection, session, epoch, partitions, wait_ms=0, forgotten=()):
    """Fetch 7 of topic t: (error, session, {partition: (error, high watermark, bytes of records)})."""
    body = struct.pack(">iiiibii", -1, wait_ms, 1, 1 << 20, 0, session, epoch)
    body += struct.pack(">i", len(partitions) > 0)
    if partitions:
        body += b"\0\1t" + struct.pack(">i", len(partitions))
        body += b"".join(struct.pack(">iqqi", number, offset, -1, 1 << 20) for number, offset in partitions)
    body += struct.pack(">i", len(forgotten) > 0)
    if forgotten:
        body += b"\0\1t" + struct.pack(">i", len(forgotten)) + struct.pack(f">{len(forgotten)}i", *forgotten)
    connection.sendall(request(1, 7, body))
    data = answer(connection)
    error, session, topics = struct.unpack(">hii", data[8:18])
    found, at = {}, 18
    for _ in range(topics):
        at += 3
        count = struct.unpack(">i", data[at:at + 4])[0]
        at += 4
        for _ in range(count):
            number, failed, mark, _, _, aborted, size = struct.unpack(">ihqqqii", data[at:at + 38])
            assert aborted in (0, -1)
            found[number] = (failed, mark, max(size, 0))
            at += 38 + max(size, 0)
    return error, session, found


def send_batch(connection, batch, partition=0, acks=-1):
    """Produce 7 of one batch to topic t: the error code; None where no answer was asked for."""
    body = struct.pack(">hhii", -1, acks, 1000, 1) + b"\0\1t"
    body += struct.pack(">iii", 1, partition, len(batch)) + batch
    connection.sendall(request(0, 7, body))
    return struct.unpack(">h", answer(connection)[19:21])[0] if acks else None


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def batch_of(producer):
    """One record, as the first of an idempotent producer."""
    record = bytes([14, 0, 0, 0, 1, 2]) + b"v\0"
    rest = struct.pack(">hiqqqhii", 0, 0, 1000, 1000, producer, 0, 0, 1) + record
    return struct.pack(">qiib", 0, 9 + len(rest), -1, 2) + struct.pack(">I", crc32c(rest)) + rest
