"""What one request may cost: no loop for more than a few milliseconds, no helper for long without a look whether anybody
waits, and no memory that no account knows. Counted in elements of arrays, and not in time.
"""

import contextlib
import re
import struct
import threading
from pathlib import Path

import pytest
from kafka_messages import APIS, Client, framed, record_batch, request, request_body, uvarint
from kafka_server import wait_until
from kafka_wire import connect
from metrics import scrape

COUNT = 100_000
TURN, FETCH_TURN, STEP = 2048, 8192, 3 * 1024  # kafka_limits.h; a step may begin with what one before has left
HELD = ("fetches", "sessions", "groups", "offsets")


def spoken(api):
    version = api.versions[1]
    return version if api.advertised[0] > api.advertised[1] else min(version, api.advertised[1])


def arrays_of(struct_, version, path=()):
    """The path of each array in a message: which fields lead there."""
    for field in struct_.fields:
        if field.versions[0] <= version <= field.versions[1]:
            if field.array:
                yield (*path, field.name)
            if field.struct and field.name != "cursor":
                yield from arrays_of(field.struct, version, (*path, field.name))


ARRAYS = [pytest.param(name, path, id=name + "." + ".".join(path)) for name, api in sorted(APIS.items())
          for path in arrays_of(api.parts["request"].root, spoken(api))]

# What is there, where a request may name it; and what keeps it from changing anything, or from waiting.
NAMES = {"name": "t", "topic": "t", "topic_name": "t", "group_id": "g", "group": "g", "groups": "g", "groups_names": "g", "resource_name": "t",
         "protocol_type": "consumer", "coordinator_keys": "g", "software_name": "x", "client_software_name": "x", "client_software_version": "1"}
NUMBERS = {"resource_type": 2, "max_wait_ms": 0, "acks": -1, "generation_id_or_member_epoch": -1, "replica_id": -1, "current_leader_epoch": -1,
           "session_timeout_ms": 6000, "rebalance_timeout_ms": 6000, "session_epoch": -1, "partition_max_bytes": 1, "max_bytes": 1 << 20,
           "validate_only": True, "retention_time_ms": -1, "partition_index": 0, "index": 0, "partition": 0, "partition_indexes": 0,
           "partitions": 0, "timestamp": 0, "response_partition_limit": 2000, "allow_auto_topic_creation": False, "node_id": -1, "num_partitions": 1,
           "replication_factor": 1, "count": 9, "election_type": 0, "timeout_ms": 1000, "offset": 0, "fetch_offset": 0, "committed_offset": 1,
           "producer_id": -1}


def one_of(field, version, path, count, ids):
    """A value for the field; the array at the end of `path` has `count` of the same elements."""
    if field.struct:
        one = fields_of(field.struct, version, path[1:] if path and path[0] == field.name else (), count, ids)
    elif field.kind == "string":
        one = NAMES.get(field.name, "x")
    elif field.kind == "uuid":
        one = ids.get("t", 0)
    else:
        one = {"bytes": b"", "records": record_batch([b"x"], time_ms=1000)}.get(field.kind, NUMBERS.get(field.name, 0))
    return [one] * (count if path == (field.name,) else 1) if field.array else one


def fields_of(struct_, version, path, count, ids):
    values = {}
    for field in struct_.fields:
        if field.tag >= 0 and field.name not in path or not field.versions[0] <= version <= field.versions[1] or field.name == "cursor":
            continue
        # Of those that are named by a name or an id, and of arrays that exclude each other, the one that is asked for.
        if field.name in ("cluster_id", "transactional_id", "group_instance_id", "member_id", "assignments") and field.name not in path:
            continue
        values[field.name] = one_of(field, version, path, count, ids)
    return values


def request_with_many(name, path, ids, count=COUNT):
    api = APIS[name]
    version = spoken(api)
    few = request_body(name, version, **fields_of(api.parts["request"].root, version, path, 2, ids))
    many = request_body(name, version, **fields_of(api.parts["request"].root, version, path, count, ids))
    assert len(many) > len(few) + count - 3, "nothing is there a hundred thousand times"
    return framed(api.key, version, many, flexible=version >= api.flexible)


def resident_mib(broker, what="VmRSS"):
    return int(re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{broker.process.pid}/status").read_text())[1]) // 1024


def comes_down_to(broker, mib):
    """What is resident; not with a sanitizer, which keeps what was freed."""
    if "libasan" not in Path(f"/proc/{broker.process.pid}/maps").read_text():
        wait_until(lambda: resident_mib(broker) < mib)


@pytest.fixture(scope="module")
def many(leat, tmp_path_factory):
    """A broker for all of them, with a topic, a group and what else they name."""
    from kafka_server import Broker
    broker = Broker(leat, tmp_path_factory.mktemp("cost") / "data", "--admin", "127.0.0.1:0", "-o", "num.partitions=2")
    with Client(broker.port) as client:
        topic = client.call("Metadata", 12, topics=[{"name": "t", "topic_id": 0}], allow_auto_topic_creation=True)["topics"][0]
        broker.ids = {"t": topic["topic_id"]}
        client.call("FindCoordinator", 4, coordinator_keys=["g"])
        client.call("OffsetCommit", 7, group_id="g", generation_id_or_member_epoch=-1, topics=[
            {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 1}]}])
    yield broker
    assert broker.end() == 0, broker.log()


def is_fine(broker):
    with Client(broker.port) as client:
        assert client.call("Metadata", 9, topics=[])["brokers"]
    assert "CHECK" not in broker.log() and "Sanitizer" not in broker.log()


def check_costs(broker):
    found = scrape(broker)
    assert 0 < found["leat_kafka_turn_elements_max"] <= FETCH_TURN
    assert found["leat_kafka_step_elements_max"] <= STEP
    for kind in HELD:
        assert found[f"leat_kafka_held_bytes{{for={kind}}}"] < 1 << 20
    is_fine(broker)


@pytest.mark.parametrize(("name", "path"), ARRAYS)
def test_a_hundred_thousand_of_the_same(many, name, path):
    """Each array of each request. It is answered, or its connection ends, and somebody else is served."""
    data = request_with_many(name, path, many.ids)
    before = scrape(many)["leat_kafka_connections_total"]
    with connect(many) as connection, connect(many) as leaves, Client(many.port) as other:
        leaves.sendall(data)
        leaves.close()
        connection.sendall(data)
        assert other.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=False)["topics"][0]["error_code"] == 0
        with contextlib.suppress(ConnectionResetError):
            head = connection.recv(4, 0x100)  # MSG_WAITALL
            if head:
                left = struct.unpack(">i", head)[0]
                while left > 0 and (piece := connection.recv(min(left, 1 << 20))):
                    left -= len(piece)
                assert left == 0
    # Whoever has left has been forgotten.
    wait_until(lambda: scrape(many)["leat_kafka_connections_open"] == 0)
    wait_until(lambda: scrape(many)["leat_helper_jobs_queued"] == 0)
    assert scrape(many)["leat_kafka_connections_total"] == before + 3
    check_costs(many)
    assert many.process.poll() is None


def test_every_array_is_in_the_table():
    """An API that is added is added to it by its schema."""
    assert len(ARRAYS) > 50 and {param.values[0] for param in ARRAYS} >= {"Fetch", "Produce", "JoinGroup", "DescribeConfigs", "LeaveGroup"}


def test_a_fetch_that_names_one_partition_very_often(start_broker):
    """600,000 times, and would wait for weeks. It is one partition, and what it was named with last holds."""
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "num.partitions=2")
    count = 600_000
    head = struct.pack(">iiiib", -1, 2**31 - 1, 1, 1 << 20, 0) + struct.pack(">i", 1) + b"\0\1t" + struct.pack(">i", count + 1)
    body = head + struct.pack(">iqi", 0, 7, 1 << 20) * count + struct.pack(">iqi", 0, 0, 1 << 20)
    with contextlib.ExitStack() as stack:
        client, *fetching = [stack.enter_context(Client(broker.port)) for _ in range(9)]
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        before = resident_mib(broker)
        for each in fetching:
            each.raw(framed(1, 4, body))
        wait_until(lambda: scrape(broker)["leat_kafka_fetches_waiting"] == 8)
        check_costs(broker)
        comes_down_to(broker, before + 60)
        batch = record_batch([b"x" * 100])
        client.call("Produce", 7, acks=-1, timeout_ms=1000, transactional_id=None, topic_data=[
            {"name": "t", "partition_data": [{"index": 0, "records": batch}]}])
        for each in fetching:
            frame = each.frame()
            assert len(frame) < 1000 and frame.endswith(batch[-40:])


def test_fetches_that_wait_for_many_partitions(start_broker):
    """As many as a loop does not read at once: a helper does, and each append costs a look at one of them."""
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "num.partitions=3000")
    parts = [{"partition": number, "fetch_offset": 0, "partition_max_bytes": 1 << 20} for number in range(3000)]
    fields = {"replica_id": -1, "min_bytes": 400, "max_bytes": 1 << 24, "session_id": 0, "topics": [{"topic": "t", "partitions": parts}]}
    batch = record_batch([b"x" * 100])
    with Client(broker.port) as client, Client(broker.port) as fetching, Client(broker.port) as leaving:
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        fetching.send("Fetch", 11, max_wait_ms=2**31 - 1, session_epoch=-1, **fields)
        leaving.send("Fetch", 11, max_wait_ms=2**31 - 1, session_epoch=0, **fields)
        wait_until(lambda: scrape(broker)["leat_kafka_fetches_waiting"] == 2)
        assert scrape(broker)["leat_kafka_held_bytes{for=fetches}"] > 100_000
        leaving.close()
        wait_until(lambda: scrape(broker)["leat_kafka_fetches_waiting"] == 1)
        for number in (5, 2999, 5):
            client.call("Produce", 7, acks=-1, timeout_ms=1000, transactional_id=None, topic_data=[
                {"name": "t", "partition_data": [{"index": number, "records": batch}]}])
        found = {part["partition_index"]: len(part["records"] or b"") for part in fetching.answer()["responses"][0]["partitions"]}
        assert len(found) == 3000 and {number: size for number, size in found.items() if size} == {5: 2 * len(batch), 2999: len(batch)}
        # And by its time, with what there is.
        fetching.send("Fetch", 11, max_wait_ms=300, session_epoch=-1, **{**fields, "min_bytes": 1 << 20})
        assert sum(len(part["records"] or b"") for part in fetching.answer()["responses"][0]["partitions"]) == 3 * len(batch)
        assert scrape(broker)["leat_kafka_held_bytes{for=fetches}"] == 0
        check_costs(broker)


def test_joins_whose_connections_end_leave_nothing(start_broker):
    """60 with 10 MB each, of which nobody has an id: they are gone with their connections."""
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "group.initial.rebalance.delay.ms=60000")
    with Client(broker.port) as client:
        client.call("FindCoordinator", 0, key="g")
    data = request("JoinGroup", 3, group_id="g", session_timeout_ms=60000, rebalance_timeout_ms=600000, protocol_type="consumer",
                   protocols=[{"name": "range", "metadata": bytes(10 << 20)}])

    def join_and_leave():
        with connect(broker) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(data)

    for _ in range(10):
        threads = [threading.Thread(target=join_and_leave) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wait_until(lambda: scrape(broker)["leat_kafka_requests_total{api=JoinGroup}"] == 60)
    wait_until(lambda: scrape(broker)["leat_kafka_held_bytes{for=groups}"] == 0)
    comes_down_to(broker, 100)
    check_costs(broker)


def test_ids_for_members_that_do_not_come_back(start_broker):
    """20,000, and as many that leave who were never there."""
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "group.max.size=500")
    fields = {"group_id": "g", "session_timeout_ms": 60000, "rebalance_timeout_ms": 60000, "protocol_type": "consumer",
              "protocols": [{"name": "range", "metadata": b""}]}
    with Client(broker.port) as client:
        client.call("FindCoordinator", 0, key="g")
        errors = [client.call("JoinGroup", 4, **fields)["error_code"] for _ in range(600)]
        assert errors == [79] * 500 + [81] * 100
        left = client.call("LeaveGroup", 3, group_id="g", members=[{"member_id": f"x{number}"} for number in range(20_000)])
        assert {each["error_code"] for each in left["members"]} == {25} and len(left["members"]) == 20_000
    check_costs(broker)


def test_large_commits_in_steps(start_broker):
    """More than a loop handles: each partition as it should be, with an error for those that are not there."""
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "num.partitions=3000", "-o", "log.flush.interval.messages=1")
    parts = [{"partition_index": number % 3500, "committed_offset": number} for number in range(7000)]
    with Client(broker.port) as client:
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        client.call("FindCoordinator", 0, key="g")
        answer = client.call("OffsetCommit", 7, group_id="g", generation_id_or_member_epoch=-1, topics=[{"name": "t", "partitions": parts}])
        found = answer["topics"][0]["partitions"]
        assert [each["error_code"] for each in found] == [0 if number % 3500 < 3000 else 3 for number in range(7000)]
        fetched = client.call("OffsetFetch", 5, group_id="g", topics=[{"name": "t", "partition_indexes": list(range(3500))}])
        assert [each["committed_offset"] for each in fetched["topics"][0]["partitions"]] == list(range(3500, 6500)) + [-1] * 500
        everything = client.call("OffsetFetch", 5, group_id="g", topics=None)
        assert len(everything["topics"][0]["partitions"]) == 3000
        deleted = client.call("OffsetDelete", 0, group_id="g", topics=[{"name": "t", "partitions": [
            {"partition_index": number} for number in range(2500)] * 2}])
        assert {each["error_code"] for each in deleted["topics"][0]["partitions"]} == {0}
        assert len(client.call("OffsetFetch", 5, group_id="g", topics=None)["topics"][0]["partitions"]) == 500
        assert client.call("DeleteGroups", 0, groups_names=["g"])["results"][0]["error_code"] == 0
    check_costs(broker)


def test_a_request_with_more_elements_than_anybody_needs(start_broker):
    broker = start_broker("--admin", "127.0.0.1:0")
    with connect(broker) as connection:
        connection.sendall(framed(15, 5, uvarint(1_100_001) + b"\1" * 1_100_000 + b"\0\0", flexible=True))
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    is_fine(broker)
    assert "elements in its arrays" in broker.log()


@pytest.mark.release_only
def test_what_was_taken_for_a_load_is_given_back(start_broker):
    """Answers of 100 MB, and then nobody: the process is small again."""
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "num.partitions=1")
    with Client(broker.port) as client:
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        client.call("FindCoordinator", 0, key="g")
        client.call("OffsetCommit", 7, group_id="g", generation_id_or_member_epoch=-1, topics=[{"name": "t", "partitions": [
            {"partition_index": 0, "committed_offset": 1, "committed_metadata": "m" * 4000}]}])
        before = resident_mib(broker)
        ask = request("OffsetFetch", 8, groups=[{"group_id": "g", "topics": None}] * 20_000)
        for _ in range(3):
            client.raw(ask)
            assert len(client.frame()) > 80_000_000
    assert resident_mib(broker, "VmHWM") > before + 80
    comes_down_to(broker, before + 30)
