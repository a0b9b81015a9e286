"""`leat kafka` and clients that want more than their share: what others need is left."""

import contextlib
import os
import re
import select
import socket
import struct
import time
from pathlib import Path

import pytest

from kafka_batches import batch, record
from kafka_messages import Client
from kafka_server import Broker, wait_until
from kafka_wire import connect, fetch, send_batch
from metrics import scrape


def limited(leat, folder, descriptors):
    """The program, with so many descriptors at the most."""
    script = folder / "limited"
    script.write_text(f'#!/bin/sh\nulimit -n {descriptors}\nexec "{leat}" "$@"\n')
    script.chmod(0o755)
    return script


def descriptors_of(broker):
    return len(os.listdir(f"/proc/{broker.process.pid}/fd"))


def test_a_fetch_of_many_partitions_leaves_descriptors(leat, tmp_path):
    """What it can't have now is empty, and comes with the next; when it has been answered all is as before."""
    limit, many = 512, 600
    broker = Broker(limited(leat, tmp_path, limit), Path(tmp_path / "data"), "-o", f"num.partitions={many}")
    with connect(broker) as connection, Client(broker.port) as client:
        client.call("Metadata", 4, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        for number in range(many):
            assert send_batch(connection, batch(record(0, value=b"x"), 1, now=1000), number) == 0
        left = set(range(many))
        while left:
            _, _, found = fetch(connection, 0, -1, [(number, 0) for number in sorted(left)])
            assert {error for error, _, _ in found.values()} == {0}
            had = {number for number, (_, _, size) in found.items() if size}
            assert had and had <= left
            left -= had
        assert descriptors_of(broker) < limit / 2
        with Client(broker.port) as other:
            assert other.call("Metadata", 9, topics=[])["brokers"]
    assert broker.end() == 0, broker.log()


NEW = {"num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}
NOT_CONTROLLER, UNKNOWN_TOPIC = 41, 3
A_STEP = 64


def create(client, names, wait=True):
    fields = {"topics": [{"name": name, **NEW} for name in names], "timeout_ms": 60000, "validate_only": False}
    if wait:
        return [topic["error_code"] for topic in client.call("CreateTopics", 5, **fields)["topics"]]
    client.send("CreateTopics", 5, **fields)


def names_of(client):
    return {topic["name"] for topic in client.call("Metadata", 4, topics=None, allow_auto_topic_creation=False)["topics"]}


def ask_for(client, names):
    client.send("Metadata", 4, topics=[{"name": name} for name in names], allow_auto_topic_creation=True)


def test_topics_made_by_asking_are_few_at_once(start_broker):
    """Of 2,000 names a request makes some, and says of the others that they are not there: clients ask again."""
    broker = start_broker("-o", "log.flush.interval.messages=1")
    names = [f"asked{i}" for i in range(2000)]
    with Client(broker.port) as client, connect(broker) as connection:
        assert create(client, ["t"]) == [0]
        for round_ in range(1, 4):
            ask_for(client, names)
            assert send_batch(connection, batch(record(0, value=b"x"), 1, now=1000)) == 0
            told = client.answer()["topics"]
            assert [topic["error_code"] for topic in told].count(0) == round_ * A_STEP
            assert {topic["error_code"] for topic in told} == {0, UNKNOWN_TOPIC}
        assert len(names_of(client)) == 3 * A_STEP + 1


def test_clients_that_have_left_get_no_more_topics(start_broker):
    """Each change is a step; what nobody waits for any more is not begun."""
    broker = start_broker("-o", "log.flush.interval.messages=1")
    with Client(broker.port) as client, connect(broker) as connection:
        assert create(client, ["t"]) == [0]
        for number in range(8):
            with Client(broker.port) as other:
                create(other, [f"left{number}-{i}" for i in range(2000)], wait=False)
        # Others have their turn in between.
        assert send_batch(connection, batch(record(0, value=b"x"), 1, now=1000)) == 0
        assert create(client, ["after"]) == [0]
        assert create(client, ["again"]) == [0]
        made = len(names_of(client))
        assert made < 8 * 2000 / 4
        assert create(client, ["later"]) == [0]
        assert len(names_of(client)) == made + 1


def test_an_end_does_not_wait_for_changes(start_broker):
    """What is not begun is refused, what has been answered is there, and the store is closed properly."""
    broker = start_broker()
    with Client(broker.port) as client, Client(broker.port) as other:
        create(client, [f"end{i}" for i in range(5000)], wait=False)
        wait_until(lambda: names_of(other))
        broker.process.terminate()
        told = {topic["name"]: topic["error_code"] for topic in client.answer()["topics"]}
    assert broker.end() == 0
    assert set(told.values()) == {0, NOT_CONTROLLER}
    assert "closed properly" not in broker.log()
    broker.start()
    assert "closed properly" not in broker.log()
    with Client(broker.port) as client:
        assert names_of(client) == {name for name, error in told.items() if error == 0}


def test_many_changes_in_one_request(start_broker):
    """Over many steps each has its answer, in order."""
    broker = start_broker()
    names = [f"t{i}" for i in range(200)]
    with Client(broker.port) as client:
        assert create(client, names) == [0] * 200
        assert create(client, [*names[:100], "new"]) == [36] * 100 + [0]
        grown = client.call("CreatePartitions", 1, topics=[{"name": name, "count": 2, "assignments": None} for name in names],
                            timeout_ms=1000, validate_only=False)["results"]
        assert [(each["name"], each["error_code"]) for each in grown] == [(name, 0) for name in names]
        altered = client.call("IncrementalAlterConfigs", 1, validate_only=False, resources=[
            {"resource_type": 2, "resource_name": name,
             "configs": [{"name": "retention.ms", "config_operation": 0, "value": "70000"}]} for name in names])["responses"]
        assert [(each["resource_name"], each["error_code"]) for each in altered] == [(name, 0) for name in names]
        cut = client.call("DeleteRecords", 1, timeout_ms=1000, topics=[
            {"name": name, "partitions": [{"partition_index": i, "offset": 0} for i in range(3)]} for name in names])["topics"]
        assert [[part["error_code"] for part in topic["partitions"]] for topic in cut] == [[0, 0, UNKNOWN_TOPIC]] * 200
        gone = client.call("DeleteTopics", 3, topic_names=[*names, "never"], timeout_ms=1000)["responses"]
        assert [(each["name"], each["error_code"]) for each in gone] == [(name, 0) for name in names] + [("never", UNKNOWN_TOPIC)]
        assert names_of(client) == {"new"}


def test_a_byte_now_and_then_keeps_no_connection(broker):
    """A request has its time as a whole: a small one, and one that announces much."""
    starts = [struct.pack(">i", 1000) + b"\0\3", struct.pack(">i", 50_000_000) + b"\0\0"]
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(broker)) for _ in starts]
        for connection, start in zip(slow, starts):
            connection.sendall(start)
        left, end = set(slow), time.monotonic() + 120
        while left and time.monotonic() < end:
            for connection in left:
                with contextlib.suppress(ConnectionError):
                    connection.send(b"\0")
            for connection in select.select(list(left), [], [], 3)[0]:
                left.discard(connection)
        assert not left
        with Client(broker.port) as client:
            assert client.call("Metadata", 9, topics=[])["brokers"]


@pytest.mark.release_only
def test_incomplete_requests_take_bounded_memory(start_broker):
    """Of each connection 120 KB have come, which would be 240 MB. All is given back when they close."""
    broker = start_broker("--admin", "127.0.0.1:0")

    def resident_kib():
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{broker.process.pid}/status").read_text())[1])

    def kept():
        return scrape(broker)["leat_kafka_request_memory_bytes"]

    before = resident_kib()
    piece = struct.pack(">i", 127_000) + bytes(120_000)
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", broker.port)))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                connection.send(piece)
        with Client(broker.port) as client:
            assert client.call("Metadata", 9, topics=[])["brokers"]
        assert kept() <= 128 << 20
        assert resident_kib() - before < 160 * 1024
    wait_until(lambda: kept() == 0)
