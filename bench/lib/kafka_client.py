"""The few things a benchmark asks of a broker besides loading it: topics, and whether it is ready."""

import contextlib
import socket
import struct
import time

from lib.proc import BenchError

API_LIST_OFFSETS, API_METADATA, API_CREATE_TOPICS, API_DELETE_TOPICS = 2, 3, 19, 20


def _string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, element):
        return [element() for _ in range(self.take("i"))]


def _ask(port, key, version, body, timeout=120):
    """The answer's body, over a connection of its own. Versions that are not flexible."""
    request = struct.pack(">hhi", key, version, 1) + _string("bench") + body
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as client:
            client.sendall(struct.pack(">i", len(request)) + request)
            stream = client.makefile("rb")
            size = struct.unpack(">i", stream.read(4))[0]
            answer = stream.read(size)
    except (OSError, struct.error) as error:
        raise BenchError(f"the broker does not answer: {error}") from error
    if len(answer) != size:
        raise BenchError("the broker closed the connection")
    return _Reader(answer[4:])


def _leaders(port, topic):
    """(error, [(partition's error, leader's port)]) of Metadata 1."""
    answer = _ask(port, API_METADATA, 1, struct.pack(">i", 1) + _string(topic))
    ports = {}
    for _ in range(answer.take("i")):
        node = answer.take("i")
        _, ports[node], _ = answer.string(), answer.take("i"), answer.string()
    answer.take("i")  # controller

    def partition():
        error, _, leader = answer.take("hii")
        answer.array(lambda: answer.take("i"))
        answer.array(lambda: answer.take("i"))
        return error, ports.get(leader)

    answer.take("i")  # one topic
    error = answer.take("h")
    answer.string()
    answer.take("b")
    return error, answer.array(partition)


def _ends(port, topic, partitions):
    """(error, end offset) of each, by ListOffsets 1."""
    asked = b"".join(struct.pack(">iq", partition, -1) for partition in range(partitions))
    body = struct.pack(">ii", -1, 1) + _string(topic) + struct.pack(">i", partitions) + asked
    answer = _ask(port, API_LIST_OFFSETS, 1, body)
    answer.take("i")  # one topic
    answer.string()
    ends = dict.fromkeys(range(partitions))

    def partition():
        number, error, _, offset = answer.take("ihqq")
        ends[number] = (error, offset)

    answer.array(partition)
    return list(ends.values())


def end_offsets(port, topic, partitions=1):
    ends = _ends(port, topic, partitions)
    if any(error for error, _ in ends):
        raise BenchError(f"the ends of {topic} can't be had: {ends[:5]}")
    return [offset for _, offset in ends]


def wait_for_topic(port, topic, partitions, limit_s=120):
    """Until this broker says that it leads all partitions, and knows it: Kafka may say so a little before."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        error, leaders = _leaders(port, topic)
        if (error == 0 and leaders == [(0, port)] * partitions and
                not any(error for error, _ in _ends(port, topic, partitions))):
            return
        time.sleep(0.02)
    raise BenchError(f"{topic} has no leader after {limit_s} s")


def create_topic(port, topic, partitions=1, **settings):
    """Settings by their names, with _ for each dot."""
    pairs = b"".join(_string(name.replace("_", ".")) + _string(str(value)) for name, value in settings.items())
    body = (struct.pack(">i", 1) + _string(topic) + struct.pack(">ihi", partitions, 1, 0) +
            struct.pack(">i", len(settings)) + pairs + struct.pack(">i?", 60000, False))
    answer = _ask(port, API_CREATE_TOPICS, 2, body)
    answer.take("ii")  # throttle time, one topic
    _, error, text = answer.string(), answer.take("h"), answer.string()
    if error:
        raise BenchError(f"{topic} can't be made: error {error}, {text}")
    wait_for_topic(port, topic, partitions)


def delete_topic(port, topic):
    answer = _ask(port, API_DELETE_TOPICS, 1, struct.pack(">i", 1) + _string(topic) + struct.pack(">i", 60000))
    answer.take("ii")
    _, error = answer.string(), answer.take("h")
    if error:
        raise BenchError(f"{topic} can't be deleted: error {error}")


def is_ready(port):
    """A broker that tells of itself: no topics are asked for."""
    with contextlib.suppress(BenchError):
        return _ask(port, API_METADATA, 1, struct.pack(">i", 0), 5).take("i") > 0
    return False
