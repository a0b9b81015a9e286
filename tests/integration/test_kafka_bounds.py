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
from support import TIMEOUT, run
from kafka_wire import answer, connect, fetch, request, send_batch
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


def produce_many(batch_, times):
    """Produce 7 to partition 0 of topic t: more batches than a loop appends in a turn."""
    parts = (struct.pack(">ii", 0, len(batch_)) + batch_) * times
    return request(0, 7, struct.pack(">hhii", -1, -1, 1000, 1) + b"\0\1t" + struct.pack(">i", times) + parts)


def test_others_wait_for_no_flush_of_a_large_request(start_broker):
    """What its batches have made due is done, although nobody had to wait for it so far."""
    broker = start_broker("-o", "log.flush.interval.messages=1000", "-o", "num.partitions=1")
    one = batch(record(0, value=b"x"), 1, now=1000)
    with Client(broker.port) as client, connect(broker) as connection:
        client.call("Metadata", 4, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        connection.sendall(produce_many(one, 3000))
        answer(connection)
        altered = client.call("IncrementalAlterConfigs", 1, validate_only=False, resources=[
            {"resource_type": 2, "resource_name": "t",
             "configs": [{"name": "flush.messages", "config_operation": 0, "value": "1"}]}])["responses"]
        assert altered[0]["error_code"] == 0
        for _ in range(3):
            assert send_batch(connection, one) == 0


def test_others_wait_for_no_flush_of_a_client_that_has_left(start_broker):
    """It leaves in the middle of its batches: what they have made due is done all the same."""
    broker = start_broker("-o", "log.flush.interval.messages=1", "-o", "num.partitions=1")
    one = batch(record(0, value=b"x"), 1, now=1000)
    with Client(broker.port) as client, connect(broker) as connection:
        client.call("Metadata", 4, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        log, = (Path(broker.data) / "t-0").glob("*.log")
        for _ in range(3):
            before = log.stat().st_size
            with connect(broker) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                other.sendall(produce_many(one, 100_000))
                wait_until(lambda: log.stat().st_size > before)
            assert send_batch(connection, one) == 0


def test_an_end_does_not_wait_for_changes(start_broker):
    """What is not begun is refused, what has been answered is there, and the store is closed properly."""
    broker = start_broker()
    with Client(broker.port) as client, Client(broker.port) as other:
        create(client, [f"end{i}" for i in range(5000)], wait=False)
        wait_until(lambda: names_of(other))
        broker.process.terminate()
        told = {topic["name"]: topic["error_code"] for topic in client.answer()["topics"]}
    # A second signal would end it at once.
    assert broker.process.wait(TIMEOUT) == 0
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


def answers(connection, seconds=TIMEOUT):
    """It is served: an answer has come in time. None: the broker has closed it."""
    connection.sendall(request(18, 0))
    if not select.select([connection], [], [], seconds)[0]:
        return False
    with contextlib.suppress(ConnectionError):
        return bool(connection.recv(1)) or None
    return None


def test_connections_above_the_limit_wait(start_broker):
    """As with Kafka: they are accepted when others have left."""
    broker = start_broker("-o", "max.connections=3")
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(connect(broker)) for _ in range(3)]
        assert all(answers(connection) for connection in served)
        waiting = [stack.enter_context(connect(broker)) for _ in range(3)]
        assert not any(answers(connection, 0.5) for connection in waiting)
        for connection in served:
            connection.close()
        for connection in waiting:
            assert select.select([connection], [], [], TIMEOUT)[0]


def test_connections_of_one_listener_wait_alone(leat, tmp_path):
    """listener.name.NAME.max.connections; the other listener goes on."""
    conf = tmp_path / "server.properties"
    conf.write_text("listeners=PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0\nlistener.name.other.max.connections=1\n"
                    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT\n")
    broker = Broker(leat, tmp_path / "data", "--config", conf, listen=False)
    ports = wait_until(lambda: len(found := re.findall(r"served at 127\.0\.0\.1:(\d+) ", broker.log())) == 2 and found)
    with contextlib.ExitStack() as stack:
        def to(port):
            return stack.enter_context(socket.create_connection(("127.0.0.1", int(port)), timeout=TIMEOUT))

        several = [to(ports[0]) for _ in range(3)]
        first, second = to(ports[1]), to(ports[1])
        assert all(answers(connection) for connection in [*several, first])
        assert not answers(second, 0.5)
        assert answers(to(ports[0]))
        first.close()
        assert select.select([second], [], [], TIMEOUT)[0]
    assert broker.end() == 0, broker.log()


@pytest.mark.parametrize("settings, most", [
    (("max.connections.per.ip=2",), 2),
    (("max.connections.per.ip=1", "max.connections.per.ip.overrides=10.0.0.1:7, 127.0.0.1:3"), 3),
    (("max.connections.per.ip.overrides=localhost:2",), 2),
    (("max.connections.per.ip=0", "max.connections.per.ip.overrides=127.0.0.1:1"), 1),
])
def test_connections_of_one_address_are_closed_above_its_limit(start_broker, settings, most):
    broker = start_broker(*(word for setting in settings for word in ("-o", setting)))
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(connect(broker)) for _ in range(most)]
        assert all(answers(connection) for connection in served)
        with connect(broker) as refused:
            assert answers(refused) is None
        served[0].close()

        def again():
            connection = stack.enter_context(connect(broker))
            with contextlib.suppress(ConnectionError):
                return answers(connection)

        wait_until(again)
    wait_until(lambda: "max.connections.per.ip lets it have" in broker.log())


@pytest.mark.parametrize("settings, says", [
    (("max.connections.per.ip=0",), "0 lets nobody in"),
    (("max.connections.per.ip.overrides=127.0.0.1",), "HOST:COUNT"),
    (("max.connections.per.ip.overrides=127.0.0.1:x",), "no number of connections"),
    (("max.connections.per.ip.overrides=no such:1",), "no host"),
    (("max.connections.per.ip.overrides=nowhere.invalid:1",), "its address is not known"),
    (("max.connections=-1",), "max.connections is"),
    (("listener.name.x.max.connections=many",), "listener.name.x.max.connections is"),
])
def test_limits_of_connections_that_are_wrong(leat, tmp_path, settings, says):
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", *(word for setting in settings for word in ("-o", setting)),
               tmp_path / "data"])
    assert ran.returncode != 0 and says in ran.stderr
    assert not (tmp_path / "data").exists()
