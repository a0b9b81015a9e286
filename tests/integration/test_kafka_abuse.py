"""`leat kafka` against clients that send nonsense, lie about lengths, ask for too much or go away in the middle."""

import contextlib
import random
import re
import struct
import threading
import time
from pathlib import Path

import pytest
from kafka_messages import APIS, Client, framed, record_batch, request, request_body, response_of
from kafka_server import wait_until
from kafka_wire import answer, connect
from metrics import scrape

BROKER_SECONDS = 60


def is_fine(broker):
    """It answers, and has nothing to say of itself."""
    with Client(broker.port) as client:
        assert client.call("Metadata", 9, topics=[])["brokers"]
    assert "Sanitizer" not in broker.log() and "CHECK" not in broker.log()


def spoken():
    """Each API and version that is answered."""
    for name, api in sorted(APIS.items()):
        for version in range(api.versions[0], api.versions[1] + 1):
            if api.advertised[0] > api.advertised[1] or version <= api.advertised[1]:
                yield name, version


def a_body(name, version):
    """With something in each array, so that there is something to be wrong about."""
    def filled(struct_, depth=0):
        values = {}
        for field in struct_.fields:
            if field.tag >= 0 or not field.versions[0] <= version <= field.versions[1]:
                continue
            one = filled(field.struct, depth + 1) if field.struct else {
                "string": "t", "bytes": b"x", "records": None, "uuid": 0, "bool": False}.get(field.kind, 1)
            values[field.name] = [one] if field.array else one
        return values

    root = APIS[name].parts["request"].root
    return request_body(name, version, **filled(root))


def send(broker, data, answer=False):
    """On a connection of its own, which the broker may end; None: it did."""
    with connect(broker) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if answer:
                return connection.recv(1 << 16) or None
        with contextlib.suppress(OSError):
            connection.shutdown(1)
    return None


def test_every_request_cut_anywhere_does_no_harm(broker):
    """Of each API in its first and last version. What is cut is no request: the connection ends."""
    bounds = {}
    for name, version in spoken():
        bounds.setdefault(name, []).append(version)
    for name, versions in bounds.items():
        for version in {versions[0], versions[-1]}:
            body = a_body(name, version)
            api = APIS[name]
            with contextlib.ExitStack() as stack:
                for size in range(0, len(body), max(1, len(body) // 12)):
                    connection = stack.enter_context(connect(broker))
                    connection.sendall(framed(api.key, version, body[:size], flexible=version >= api.flexible))
                    connection.shutdown(1)
    is_fine(broker)


def test_bytes_behind_a_request_are_not_looked_at(broker):
    """As with Kafka: clients of later minor versions have sent them."""
    with Client(broker.port) as client:
        for version in (1, 9, 12):
            body = request_body("Metadata", version, topics=[])
            client.raw(framed(3, version, body + b"rest", flexible=version >= 9))
            assert client.frame()


@pytest.mark.parametrize("seed", range(4))
def test_changed_requests_do_no_harm(broker, seed):
    """Bytes of good requests changed at random: answered, or the connection ends; nothing else."""
    dice = random.Random(seed)
    # What would make topics without end, wait, or take the disk is left out.
    calm = [(name, version) for name, version in spoken() if name not in ("CreateTopics", "CreatePartitions", "JoinGroup", "SyncGroup")]
    for _ in range(400):
        name, version = dice.choice(calm)
        api = APIS[name]
        body = bytearray(a_body(name, version))
        for _ in range(dice.randint(1, 4)):
            if body:
                body[dice.randrange(len(body))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        send(broker, framed(api.key, version, bytes(body), flexible=version >= api.flexible))
    is_fine(broker)


@pytest.mark.parametrize("lie", [2**31 - 1, -2, 2**30, 1 << 24])
def test_counts_that_lie_end_the_connection(broker, lie):
    """An array says more elements than bytes are left. Nothing is taken for them."""
    before = resident_kib(broker)
    for key, version, head in ((3, 1, b""), (1, 4, struct.pack(">iiiib", -1, 0, 0, 0, 0)), (0, 7, struct.pack(">hhi", -1, 1, 0)),
                               (2, 1, struct.pack(">i", -1)), (19, 2, b""), (8, 2, b"\0\1g" + struct.pack(">i", -1) + b"\0\0" + struct.pack(">q", -1))):
        if (key, lie) == (3, -2):
            continue  # below 0 is null, as with Kafka: all topics
        with connect(broker) as connection:
            connection.sendall(framed(key, version, head + struct.pack(">i", lie) + bytes(20)))
            assert connection.recv(1) == b""
    # Compact: a varint, one more than there are.
    with connect(broker) as connection:
        connection.sendall(framed(3, 9, b"\xff\xff\xff\xff\x07" + bytes(20), flexible=True))
        assert connection.recv(1) == b""
    is_fine(broker)
    assert resident_kib(broker) - before < 8 * 1024


@pytest.mark.parametrize("version", [0, 4, 5, 9])
def test_the_longest_names_of_members(broker, version):
    """A member's id begins with the client's name, or its own: that of the greatest length leaves no room for the rest."""
    longest = "\N{GREEK SMALL LETTER ALPHA}" * (0x7FFF // 2) + "x"
    with Client(broker.port) as client:
        client.call("FindCoordinator", 0, key="g")
    for instance in (None, longest) if version >= 5 else (None,):
        fields = {"group_id": "g", "session_timeout_ms": 6000, "rebalance_timeout_ms": 6000, "protocol_type": "consumer",
                  "protocols": [{"name": "range", "metadata": b""}], **({"group_instance_id": instance} if instance else {})}
        with connect(broker) as connection:
            connection.sendall(request("JoinGroup", version, client=longest.encode(), **fields))
            joined = response_of("JoinGroup", version, answer(connection))[1]
            assert joined["error_code"] == (79 if version >= 4 and not instance else 0)
            assert 0x7FF0 < len(joined["member_id"].encode()) <= 0x7FFF
            fields["member_id"] = joined["member_id"]
            if joined["error_code"]:
                connection.sendall(request("JoinGroup", version, client=longest.encode(), **fields))
                joined = response_of("JoinGroup", version, answer(connection))[1]
                assert (joined["error_code"], joined["member_id"]) == (0, fields["member_id"])
            connection.sendall(request("LeaveGroup", 0, group_id="g", member_id=joined["member_id"]))
            assert response_of("LeaveGroup", 0, answer(connection))[1]["error_code"] == 0
    is_fine(broker)


def resident_kib(broker, what="VmRSS"):
    return int(re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{broker.process.pid}/status").read_text())[1])


@pytest.mark.release_only
def test_huge_arrays_take_bounded_memory(start_broker):
    """20 MB of the smallest elements there are, for each API that has some; several at once."""
    broker = start_broker()
    count = 4_000_000
    names = struct.pack(">i", count) + b"\0\0" * count
    requests = [
        framed(3, 8, names + b"\0\0\0"),
        framed(3, 12, b"\x81\x92\xf4\x01" + bytes(18 * 1_000_000)[:18 * 999_999] + bytes(30), flexible=True),
        framed(15, 0, names),
        framed(42, 0, names),
        framed(20, 1, names + struct.pack(">i", 1000)),
        framed(1, 4, struct.pack(">iiiib", -1, 0, 0, 0, 0) + struct.pack(">i", 1) + b"\0\1t" + struct.pack(">i", count // 4) + bytes(16 * (count // 4))),
        framed(2, 1, struct.pack(">ii", -1, 1) + b"\0\1t" + struct.pack(">i", count // 4) + bytes(12 * (count // 4))),
        framed(32, 1, struct.pack(">i", 500_000) + b"\2\0\0\xff\xff\xff\xff" * 500_000 + b"\0"),
        framed(19, 2, struct.pack(">i", 500_000) + (b"\0\0" + bytes(14)) * 500_000 + bytes(5)),
    ]
    threads = [threading.Thread(target=send, args=(broker, data, True)) for data in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BROKER_SECONDS)
        assert not thread.is_alive()
    is_fine(broker)
    # 256 MiB for what one request takes, on each loop and helper; and the requests themselves.
    assert resident_kib(broker, "VmHWM") < 1536 * 1024


@pytest.mark.release_only
def test_members_that_wait_take_little_memory(start_broker):
    """What they ask with is forgotten meanwhile: here 400,000 assignments, by members that have none to make."""
    member = {"group_id": "g", "session_timeout_ms": 60000, "rebalance_timeout_ms": 60000, "protocol_type": "consumer",
              "protocols": [{"name": "range", "metadata": b""}]}
    count = 400_000
    broker = start_broker("--admin", "127.0.0.1:0")
    with contextlib.ExitStack() as stack:
        leader, *others = [stack.enter_context(Client(broker.port)) for _ in range(13)]
        leader.call("FindCoordinator", 0, key="g")
        first = leader.call("JoinGroup", 3, **member)["member_id"]
        for each in others:
            each.send("JoinGroup", 3, **member)
        wait_until(lambda: len(leader.call("DescribeGroups", 5, groups=["g"])["groups"][0]["members"]) == 13)
        generation = leader.call("JoinGroup", 3, **member, member_id=first)["generation_id"]
        ids = [each.answer()["member_id"] for each in others]
        before = resident_kib(broker)
        for each, name in zip(others, ids):
            body = request_body("SyncGroup", 3, group_id="g", generation_id=generation, member_id=name, assignments=[])
            each.raw(framed(14, 3, body[:-4] + struct.pack(">i", count) + bytes(6 * count)))
        wait_until(lambda: scrape(broker)['leat_kafka_requests_total{api=SyncGroup}'] == len(others))
        # Each came to 12 MiB, beside the request itself.
        assert resident_kib(broker) - before < 100 * 1024
        assert leader.call("SyncGroup", 3, group_id="g", generation_id=generation, member_id=first, assignments=[])["error_code"] == 0
        assert [response_of("SyncGroup", 3, each.frame())[1]["error_code"] for each in others] == [0] * len(others)
    is_fine(broker)


def test_the_longest_request_is_taken_and_no_longer_one(start_broker):
    broker = start_broker("-o", "socket.request.max.bytes=2000")
    head = len(framed(18, 0)) - 4
    with connect(broker) as connection:
        connection.sendall(framed(18, 0, bytes(2000 - head)))
        assert connection.recv(10)
    with connect(broker) as connection:
        connection.sendall(struct.pack(">i", 2001))
        assert connection.recv(1) == b""
    is_fine(broker)


def test_requests_that_are_announced_and_do_not_come(start_broker):
    """More than there is memory for, and now and then a byte of them: others are served all the same, and so are they."""
    broker = start_broker("-o", "num.partitions=1")
    produced = request("Produce", 7, acks=-1, timeout_ms=1000, transactional_id=None, topic_data=[
        {"name": "t", "partition_data": [{"index": 0, "records": record_batch([b"x" * 900_000])}]}])

    def offset(data):
        part = response_of("Produce", 7, data)[1]["responses"][0]["partition_responses"][0]
        assert part["error_code"] == 0
        return part["base_offset"]

    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(broker.port))
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        slow = [stack.enter_context(connect(broker)) for _ in range(540)]
        ended, sent = threading.Event(), 8
        for connection in slow:
            connection.sendall(produced[:sent])

        def trickle():
            nonlocal sent
            while not ended.wait(2):
                for connection in slow:
                    connection.sendall(produced[sent:sent + 1])
                sent += 1

        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            client.raw(produced)
            assert offset(client.frame()) == 0
        finally:
            ended.set()
            trickling.join()
        # One of them goes on after all, at its own pace.
        for first, last in ((sent, 100_000), (100_000, 400_000), (400_000, len(produced))):
            time.sleep(1.5)
            slow[0].sendall(produced[first:last])
        assert offset(answer(slow[0])) == 1
    is_fine(broker)


@pytest.mark.release_only
def test_large_answers_that_nobody_reads(start_broker):
    """One group's offsets, again and again: 100 MB for each of 12 connections."""
    broker = start_broker("-o", "num.partitions=1")
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(broker.port))
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        client.call("FindCoordinator", 0, key="g")
        assert client.call("OffsetCommit", 7, group_id="g", generation_id_or_member_epoch=-1, topics=[{"name": "t", "partitions": [
            {"partition_index": 0, "committed_offset": 1, "committed_metadata": "m" * 4000}]}])["topics"][0]["partitions"][0]["error_code"] == 0
        ask = request("OffsetFetch", 8, groups=[{"group_id": "g", "topics": None}] * 25_000)
        slow = []
        for _ in range(12):
            slow.append(stack.enter_context(connect(broker)))
            slow[-1].sendall(ask)
            # It has been answered, or closed.
            with contextlib.suppress(ConnectionResetError):
                slow[-1].recv(1)
        assert resident_kib(broker) < 700 * 1024
        for connection in slow:
            connection.close()

    def is_answered():
        """Whoever reads is served, as soon as there is room."""
        with Client(broker.port) as another, contextlib.suppress(AssertionError, ConnectionError):
            another.raw(ask)
            return len(another.frame()) > 100_000_000
        return False

    wait_until(is_answered)
    assert "too many large answers wait for their clients" in broker.log()
    is_fine(broker)


def test_what_is_no_kafka_is_counted_and_said_seldom(start_broker):
    broker = start_broker("--admin", "127.0.0.1:0")
    for number in range(300):
        data = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes.fromhex("16030100f4010000f00303") + bytes(240), framed(99, 0))[number % 3]
        with connect(broker) as connection:
            connection.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    lines = [line for line in broker.lines if "connection closed" in line]
    assert 0 < len(lines) < 100
    wait_until(lambda: scrape(broker)["leat_kafka_not_kafka_total"] == 300)


# ---- clients that go away in the middle ----

def storm(broker, seed, rounds, failures):
    """Connections that do something and end, at any moment of it."""
    dice = random.Random(seed)
    batch = record_batch([b"x" * 100])
    try:
        for _ in range(rounds):
            with contextlib.suppress(ConnectionError, AssertionError, OSError), Client(broker.port) as client:
                client.connection.settimeout(20)
                member = ""
                for _ in range(dice.randint(1, 6)):
                    kind = dice.randrange(6)
                    if kind == 0:
                        client.send("Fetch", 11, replica_id=-1, max_wait_ms=dice.choice((0, 20, 200)), min_bytes=1 << 20, max_bytes=1 << 24,
                                    session_id=0, session_epoch=dice.choice((0, -1)), topics=[{"topic": name, "partitions": [
                                        {"partition": number, "fetch_offset": 0, "partition_max_bytes": 1 << 20} for number in range(4)]} for name in "tu"])
                    elif kind == 1:
                        client.send("Produce", 7, acks=dice.choice((-1, 1)), timeout_ms=1000, transactional_id=None, topic_data=[
                            {"name": dice.choice("tu"), "partition_data": [{"index": dice.randrange(4), "records": batch}]}])
                    elif kind in (2, 3):
                        client.send("JoinGroup", 5, group_id=f"g{dice.randrange(3)}", session_timeout_ms=6000, rebalance_timeout_ms=100,
                                    member_id=member, protocol_type="consumer", protocols=[{"name": "range", "metadata": b""}],
                                    group_instance_id=dice.choice((None, f"i{dice.randrange(3)}")))
                    elif kind == 4:
                        client.send("OffsetCommit", 7, group_id=f"s{dice.randrange(9)}", generation_id_or_member_epoch=-1, topics=[
                            {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 1}]}])
                    else:
                        client.send("ListOffsets", 5, replica_id=-1, topics=[
                            {"name": "t", "partitions": [{"partition_index": 0, "timestamp": dice.choice((-1, 5))}]}])
                    if dice.random() < 0.5:
                        member = client.answer().get("member_id", member)
                if dice.random() < 0.3:
                    client.connection.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
    except Exception as error:  # noqa: BLE001 (of any kind: it fails the test)
        failures.append(error)


@pytest.mark.parametrize("flush", [[], ["-o", "log.flush.interval.messages=1"]])
def test_connections_that_end_at_any_moment(start_broker, flush):
    """Fetches and joins that wait, acknowledgements that wait for the disk, answers that nobody reads."""
    broker = start_broker("-o", "num.partitions=4", *flush)
    with Client(broker.port) as client:
        client.call("Metadata", 9, topics=[{"name": name} for name in "tu"], allow_auto_topic_creation=True)
        client.call("FindCoordinator", 4, coordinator_keys=["g"])
    failures = []
    threads = [threading.Thread(target=storm, args=(broker, seed, 40, failures)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    is_fine(broker)
    with Client(broker.port) as client:
        # Whoever is still thought to be there goes by its session's end; the groups answer meanwhile.
        assert {each["error_code"] for each in client.call("DescribeGroups", 5, groups=["g0", "g1", "g2"])["groups"]} == {0}


def test_large_requests_with_much_in_them_are_answered(broker):
    """Tens of thousands of elements, of usual length: no abuse."""
    with Client(broker.port) as client:
        names = [f"topic-{number:05}-with-a-name-of-a-usual-length" for number in range(60000)]
        found = client.call("Metadata", 4, topics=[{"name": name} for name in names], allow_auto_topic_creation=False)["topics"]
        assert len(found) == 60000 and {each["error_code"] for each in found} == {3}
        client.call("FindCoordinator", 4, coordinator_keys=["g"])
        found = client.call("OffsetCommit", 7, group_id="g", generation_id_or_member_epoch=-1, topics=[
            {"name": name, "partitions": [{"partition_index": number, "committed_offset": 1, "committed_metadata": "m" * 100}
                                          for number in range(3)]} for name in names[:15000]])["topics"]
        assert len(found) == 15000 and {part["error_code"] for each in found for part in each["partitions"]} == {3}
