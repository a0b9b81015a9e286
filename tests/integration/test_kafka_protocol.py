"""`leat kafka`, request by request: what Apache Kafka answers, in each version that matters."""

import re
import signal
import time
import uuid

import kafka_settings
import pytest
from kafka_messages import Client, framed, record_batch
from kafka_server import Broker, wait_until
from support import run


@pytest.fixture
def client(broker):
    with Client(broker.port) as connection:
        yield connection


def make_topics(client, *names, partitions=1, **configs):
    made = client.call("CreateTopics", 4, timeout_ms=30000, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": 1,
         "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}
        for name in names])
    assert [topic["error_code"] for topic in made["topics"]] == [0] * len(names)


def use_groups(client):
    """The coordinator is there once somebody has looked for it."""
    assert client.call("FindCoordinator", 4, coordinator_keys=["g"])["coordinators"][0]["error_code"] == 0


# ---- groups ----

def commit(client, group, topic, offset, partition=0, version=8, generation=-1, member="", **fields):
    answer = client.call("OffsetCommit", version, group_id=group, generation_id_or_member_epoch=generation,
                         member_id=member, topics=[{"name": topic, "partitions": [
                             {"partition_index": partition, "committed_offset": offset, **fields}]}])
    return answer["topics"][0]["partitions"][0]["error_code"]


def committed(client, group, topic, partition=0):
    answer = client.call("OffsetFetch", 7, group_id=group, topics=[{"name": topic, "partition_indexes": [partition]}])
    assert answer["error_code"] == 0
    return answer["topics"][0]["partitions"][0]["committed_offset"]


def test_what_was_committed_of_a_topic_goes_with_it(broker, client):
    make_topics(client, "t", "other")
    use_groups(client)
    assert [commit(client, group, topic, 7) for group in "gh" for topic in ("t", "other")] == [0] * 4
    assert client.call("DeleteTopics", 4, topic_names=["t"], timeout_ms=30000)["responses"][0]["error_code"] == 0
    make_topics(client, "t")
    assert [committed(client, group, "t") for group in "gh"] == [-1, -1]
    assert [committed(client, group, "other") for group in "gh"] == [7, 7]
    broker.restart()
    with Client(broker.port) as again:
        assert [committed(again, group, "t") for group in "gh"] == [-1, -1]
        assert [committed(again, group, "other") for group in "gh"] == [7, 7]


CONSUMER = [{"name": "range", "metadata": b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"}]  # subscribes to t


def join(client, group, version=5, member="", **fields):
    fields = {"session_timeout_ms": 30000, "rebalance_timeout_ms": 30000, "protocol_type": "consumer",
              "protocols": CONSUMER, **fields}
    return client.call("JoinGroup", version, group_id=group, member_id=member, **fields)


def a_member(client, group, **fields):
    """Of a stable group, alone: its id and generation."""
    member = join(client, group, **fields)["member_id"]
    joined = join(client, group, member=member, **fields)
    assert joined["error_code"] == 0
    synced = client.call("SyncGroup", 3, group_id=group, generation_id=joined["generation_id"], member_id=member,
                         assignments=[{"member_id": member, "assignment": b"all"}])
    assert (synced["error_code"], synced["assignment"]) == (0, b"all")
    return member, joined["generation_id"]


def test_a_pause_of_the_process_is_not_the_members_silence(start_broker):
    broker = start_broker("-o", "group.min.session.timeout.ms=500", "--threads", "2")
    clients = [Client(broker.port) for _ in range(8)]
    try:
        use_groups(clients[0])
        members = [a_member(client, f"g{i}", session_timeout_ms=2500) for i, client in enumerate(clients)]
        broker.process.send_signal(signal.SIGSTOP)
        try:
            for i, client in enumerate(clients):
                client.send("Heartbeat", 3, group_id=f"g{i}", generation_id=members[i][1], member_id=members[i][0])
            time.sleep(3.5)
        finally:
            broker.process.send_signal(signal.SIGCONT)
        assert [client.answer()["error_code"] for client in clients] == [0] * len(clients)
        # And then it is: whoever says nothing any more is forgotten.
        wait_until(lambda: all(f"member {member} " in broker.log() for member, _ in members))
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("version", [0, 4, 6, 9])
def test_who_may_not_join(client, version):
    use_groups(client)
    assert join(client, "", version)["error_code"] == 24
    assert join(client, "g", version, "stranger")["error_code"] == 25
    assert join(client, "g", version, "stranger", session_timeout_ms=5)["error_code"] == 26
    assert join(client, "g", version, session_timeout_ms=1800001)["error_code"] == 26
    assert join(client, "g", version, protocols=[])["error_code"] == 23
    refused = join(client, "g", version, protocol_type="")
    assert (refused["error_code"], refused["generation_id"], refused["members"]) == (23, -1, [])
    assert join(client, "", version).get("protocol_name") == (None if version >= 7 else "")


@pytest.mark.parametrize("version", range(6))
def test_a_sync_from_version_5_on_names_the_protocol(client, version):
    use_groups(client)
    asked = {"group_id": "g", "generation_id": 1, "member_id": "m"}
    assert client.call("SyncGroup", version, **asked)["error_code"] == (23 if version == 5 else 25)
    assert client.call("SyncGroup", version, protocol_type="consumer", protocol_name="range", **asked)["error_code"] == 25


def test_commits_for_generations_of_unknown_groups(client):
    make_topics(client, "t")
    use_groups(client)
    assert commit(client, "unknown", "t", 1, version=8, generation=3, member="m") == 22
    assert commit(client, "unknown", "t", 1, version=9, generation=3, member="m") == 69
    assert commit(client, "", "t", 1) == 0  # for old consumers, which had no group
    assert committed(client, "", "t") == 1
    assert client.call("DeleteGroups", 2, groups_names=["", "unknown"])["results"] == [
        {"group_id": "", "error_code": 0}, {"group_id": "unknown", "error_code": 69}]


def test_offsets_before_there_is_a_coordinator(client):
    asked = [{"name": "t", "partition_indexes": [0, 1]}]
    # A client that overlooks the error would begin anew: where there is no other place it stands at each partition.
    old = client.call("OffsetFetch", 1, group_id="g", topics=asked)
    assert [part["error_code"] for part in old["topics"][0]["partitions"]] == [16, 16]
    assert client.call("OffsetFetch", 2, group_id="g", topics=asked)["error_code"] == 16
    assert client.call("OffsetFetch", 8, groups=[{"group_id": "g", "topics": asked}])["groups"][0]["error_code"] == 16


def delete_offsets(client, group, topic, *partitions):
    answer = client.call("OffsetDelete", 0, group_id=group, topics=[
        {"name": topic, "partitions": [{"partition_index": number} for number in partitions]}])
    return answer["error_code"], [part["error_code"] for topic in answer["topics"] for part in topic["partitions"]]


def test_offsets_that_members_need_are_not_deleted(client):
    make_topics(client, "t", "u")
    use_groups(client)
    assert delete_offsets(client, "", "t", 0) == (24, [])
    assert delete_offsets(client, "unknown", "t", 0) == (69, [])
    member, generation = a_member(client, "g")
    for topic in "tu":
        assert commit(client, "g", topic, 5, generation=generation, member=member) == 0
    assert delete_offsets(client, "g", "t", 0, 1) == (0, [86, 3])
    assert delete_offsets(client, "g", "u", 0, 9) == (0, [0, 3])
    assert delete_offsets(client, "g", "nope", 0) == (0, [3])
    assert (committed(client, "g", "t"), committed(client, "g", "u")) == (5, -1)
    a_member(client, "connectors", protocol_type="connect")
    assert delete_offsets(client, "connectors", "t", 0) == (68, [])
    assert client.call("LeaveGroup", 3, group_id="g", members=[{"member_id": member}])["members"][0]["error_code"] == 0
    assert delete_offsets(client, "g", "t", 0) == (0, [0])
    assert committed(client, "g", "t") == -1


# ---- what may be done ----

@pytest.mark.parametrize("version", [8, 10, 13])
def test_without_access_control_everything_may_be_done(client, version):
    make_topics(client, "t")
    asked = {"topics": [{"name": "t"}]}
    found = client.call("Metadata", version, include_topic_authorized_operations=True,
                        include_cluster_authorized_operations=True, **asked)
    assert found["topics"][0]["topic_authorized_operations"] == 3576
    assert found.get("cluster_authorized_operations", 8096) == 8096
    assert client.call("Metadata", version, **asked)["topics"][0]["topic_authorized_operations"] == -2**31
    found = client.call("DescribeCluster", 1, include_cluster_authorized_operations=True)
    assert found["cluster_authorized_operations"] == 8096
    assert client.call("DescribeTopicPartitions", 0, **asked)["topics"][0]["topic_authorized_operations"] == 3576
    use_groups(client)
    a_member(client, "g")
    found = client.call("DescribeGroups", 6, groups=["g", "unknown"], include_authorized_operations=True)["groups"]
    assert [group["authorized_operations"] for group in found] == [3400, -2**31]
    assert found[1]["error_code"] == 69 and found[1]["error_message"]


def test_partitions_are_described_page_by_page(client):
    make_topics(client, "a", "b", partitions=3)

    def page(topics, limit=2000, cursor=None):
        answer = client.call("DescribeTopicPartitions", 0, topics=[{"name": name} for name in topics],
                             response_partition_limit=limit, cursor=cursor and dict(zip(("topic_name", "partition_index"), cursor)))
        after = answer["next_cursor"]
        return ([(topic["name"], topic["error_code"], [part["partition_index"] for part in topic["partitions"]])
                 for topic in answer["topics"]], after and tuple(after.values()))

    everything = [("a", 0, [0, 1, 2]), ("b", 0, [0, 1, 2])]
    assert page([]) == (everything, None)
    assert page(["b", "a", "b"]) == (everything, None)
    assert page(["b", "nope", "x/y"]) == ([everything[1], ("nope", 3, []), ("x/y", 17, [])], None)
    assert page(["a", "b"], 4) == ([everything[0], ("b", 0, [0])], ("b", 1))
    assert page(["a", "b"], 4, ("b", 1)) == ([("b", 0, [1, 2])], None)
    assert page(["a", "b"], 0) == page(["a", "b"], -7) == ([("a", 0, [0])], ("a", 1))
    assert page(["a", "b"], 3) == ([everything[0]], ("b", 0))
    # Cursors that no page had.
    assert page(["a", "b"], 4, ("b", -1)) == page(["a", "b"], 4, ("c", 0)) == ([("a", 42, []), ("b", 42, [])], None)


def test_clusters_are_asked_at_the_right_endpoint(client):
    for endpoint, error in ((0, 115), (1, 0), (2, 114), (3, 115)):
        found = client.call("DescribeCluster", 2, endpoint_type=endpoint)
        assert (found["error_code"], found["endpoint_type"], bool(found["error_message"])) == (error, 1, error != 0)


# ---- topics ----

def topic(name, partitions=1, replicas=1, assignments=(), **configs):
    return {"name": name, "num_partitions": partitions, "replication_factor": replicas,
            "assignments": [{"partition_index": number, "broker_ids": nodes} for number, nodes in assignments],
            "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}


def by_hand(name, *assignments):
    return topic(name, -1, -1, assignments)


def creation(client, topics, version=7, validate_only=False):
    """Name to error; what fails says why and has no settings."""
    made = client.call("CreateTopics", version, topics=topics, timeout_ms=30000, validate_only=validate_only)["topics"]
    for each in made:
        assert bool(each["error_message"]) == (each["error_code"] != 0)
        if version >= 5:
            assert (each["num_partitions"] > 0) == bool(each["configs"]) == (each["error_code"] == 0)
    assert len({each["name"] for each in made}) == len(made)
    return {each["name"]: each["error_code"] for each in made}


def test_which_topics_are_made(client):
    make_topics(client, "there", "with_dot")
    assert creation(client, [
        topic("there"), topic("with.dot"), topic("a" * 249), topic("a" * 250), topic("x/y"), topic("."), topic(".."),
        topic(""), topic("__consumer_offsets")]) == {
        "there": 36, "with.dot": 17, "a" * 249: 0, "a" * 250: 17, "x/y": 17, ".": 17, "..": 17, "": 17,
        "__consumer_offsets": 17}
    assert creation(client, [topic("p0", 0), topic("p-2", -2), topic("r0", 1, 0),
                             topic("r2", 1, 2), topic("r-2", 1, -2), topic("default", -1, -1)]) == {
        "p0": 37, "p-2": 37, "r0": 38, "r2": 38, "r-2": 38, "default": 0}
    assert creation(client, [topic("few"), topic("many", 10001)]) == {"few": 44, "many": 44}
    assert creation(client, [topic("twice"), topic("once"), topic("twice"), topic("twice")]) == {"twice": 42, "once": 0}
    # What is only looked at is not made, and is looked at in full.
    looked = [topic("v", 2), topic("there"), topic("with.dot"), topic("c", no_such="1")]
    assert creation(client, looked, validate_only=True) == {"v": 0, "there": 36, "with.dot": 17, "c": 40}
    assert creation(client, [topic("v")], version=4) == {"v": 0}


def test_replicas_placed_by_hand(client):
    assert creation(client, [
        by_hand("good", (1, [1]), (0, [1])), topic("counted", 2, -1, [(0, [1])]), topic("factor", -1, 1, [(0, [1])]),
        by_hand("elsewhere", (0, [2])), by_hand("gap", (1, [1])), by_hand("again", (0, [1]), (0, [1])),
        by_hand("nowhere", (0, [])), by_hand("double", (0, [1, 1])), by_hand("negative", (-1, [1]))]) == {
        "good": 0, "counted": 42, "factor": 42, "elsewhere": 39, "gap": 39, "again": 39, "nowhere": 39, "double": 39,
        "negative": 39}
    assert len(client.call("Metadata", 9, topics=[{"name": "good"}])["topics"][0]["partitions"]) == 2


@pytest.mark.parametrize(("name", "value", "error"), [
    ("no.such", "1", 40), ("retention.ms", "x", 40), ("retention.ms", None, 40), ("retention.ms", "-2", 40),
    ("retention.ms", " 5 ", 0), ("cleanup.policy", "shrink", 40), ("cleanup.policy", "", 0),
    ("cleanup.policy", " delete , compact", 0), ("compression.type", "GZIP", 40), ("preallocate", "TRUE", 0),
    ("preallocate", "yes", 40), ("message.timestamp.type", "logappendtime", 40), ("min.insync.replicas", "3", 0)])
def test_which_settings_new_topics_take(client, name, value, error):
    assert creation(client, [{**topic("t"), "configs": [{"name": name, "value": value}]}]) == {"t": error}


def test_which_topics_are_removed(broker, client):
    def removal(version=6, **fields):
        answers = client.call("DeleteTopics", version, timeout_ms=30000, **fields)["responses"]
        assert all(bool(each["error_message"]) == (each["error_code"] != 0) for each in answers if version >= 5)
        return [(each["name"], each["error_code"]) for each in answers]

    make_topics(client, "a", "b", "c", "d")
    ids = {each["name"]: each["topic_id"] for each in client.call("Metadata", 12, topics=None)["topics"]}
    assert removal(topics=[{"name": "a"}, {"name": "nope"}, {"name": "a"}]) == [("a", 42), ("nope", 3)]
    assert removal(topics=[{"name": None}, {"name": "a", "topic_id": ids["a"]}]) == [(None, 42), ("a", 42)]
    by_id = [{"name": None, "topic_id": ids[name]} for name in "ab"]
    assert removal(topics=[*by_id, by_id[1]]) == [("a", 0), (None, 42)]
    assert removal(topics=by_id) == [(None, 100), ("b", 0)]
    assert removal(5, topic_names=["c", "x/y", "c"]) == [("c", 42), ("x/y", 3)]
    assert removal(1, topic_names=["c"]) == [("c", 0)]
    broker.arguments += ["-o", "delete.topic.enable=false"]
    broker.restart()
    with Client(broker.port) as client:
        assert removal(topics=[{"name": "d"}, {"name": "nope"}]) == [("d", 73), ("nope", 73)]
        assert removal(2, topic_names=["d"]) == [("d", 42)]


def test_which_topics_grow(client):
    def growth(*topics, **fields):
        answers = client.call("CreatePartitions", 3, timeout_ms=30000, topics=[
            {"name": name, "count": count, "assignments": nodes and [{"broker_ids": each} for each in nodes]}
            for name, count, nodes in topics], **fields)["results"]
        assert all(bool(each["error_message"]) == (each["error_code"] != 0) for each in answers)
        return [(each["name"], each["error_code"]) for each in answers]

    make_topics(client, "a", "b", partitions=2)
    assert growth(("a", 3, None), ("b", 2, None), ("nope", 3, None)) == [("a", 0), ("b", 37), ("nope", 3)]
    assert growth(("a", 4, None), ("b", 3, None), ("a", 5, None)) == [("a", 42), ("b", 0)]
    for count, nodes, error in ((1, None, 37), (0, None, 37), (-1, None, 37), (20000, None, 44), (4, [], 39),
                                (4, [[2]], 39), (4, [[]], 39), (4, [[1], [1]], 39), (4, [[1]], 0)):
        assert growth(("a", count, nodes), validate_only=True) == [("a", error)]
    assert len(client.call("Metadata", 9, topics=[{"name": "a"}])["topics"][0]["partitions"]) == 3


# ---- settings ----

TOPIC, BROKER, LOGGER = 2, 4, 8
SET, DELETE, APPEND, SUBTRACT = range(4)


def alteration(client, *resources, **fields):
    """Errors of AlterConfigs."""
    answers = client.call("AlterConfigs", 2, resources=[
        {"resource_type": kind, "resource_name": name, "configs": [{"name": key, "value": value} for key, value in configs]}
        for kind, name, configs in resources], **fields)["responses"]
    assert all(bool(each["error_message"]) == (each["error_code"] != 0) for each in answers)
    return [each["error_code"] for each in answers]


def increment(client, *resources, **fields):
    answers = client.call("IncrementalAlterConfigs", 1, resources=[
        {"resource_type": kind, "resource_name": name, "configs": [
            {"name": key, "config_operation": operation, "value": value} for key, operation, value in configs]}
        for kind, name, configs in resources], **fields)["responses"]
    assert all(bool(each["error_message"]) == (each["error_code"] != 0) for each in answers)
    return [each["error_code"] for each in answers]


def setting(client, topic, name, kind=2):
    found = client.call("DescribeConfigs", 4, resources=[
        {"resource_type": kind, "resource_name": topic, "configuration_keys": [name]}])["results"][0]["configs"]
    return found[0]["value"], found[0]["config_source"]


def test_which_settings_are_altered(client):
    make_topics(client, "t", retention_ms="1")
    assert alteration(client, (TOPIC, "t", [("segment.ms", "5")])) == [0]
    assert (setting(client, "t", "segment.ms"), setting(client, "t", "retention.ms")) == (("5", 1), ("604800000", 5))
    assert alteration(client, (TOPIC, "t", [("segment.ms", "7")]), validate_only=True) == [0]
    for resource, error in (
            ((TOPIC, "t", [("segment.ms", "x")]), 40), ((TOPIC, "t", [("segment.ms", None)]), 42),
            ((TOPIC, "t", [("nope", "1")]), 40), ((TOPIC, "t", [("segment.ms", "1"), ("segment.ms", "2")]), 42),
            ((TOPIC, "nope", [("segment.ms", "1")]), 3), ((TOPIC, "x/y", [("segment.ms", "1")]), 17),
            ((TOPIC, "", [("segment.ms", "1")]), 42), ((BROKER, "1", [("log.retention.ms", "1")]), 42),
            ((BROKER, "", [("log.retention.ms", "1")]), 42), ((BROKER, "2", [("log.retention.ms", "1")]), 42),
            ((BROKER, "x", [("log.retention.ms", "1")]), 42), ((LOGGER, "1", [("root", "INFO")]), 42),
            ((99, "t", [("segment.ms", "1")]), 42), ((0, "t", [("segment.ms", "1")]), 42)):
        assert alteration(client, resource) == [error], resource
    assert alteration(client, (TOPIC, "t", [("segment.ms", "6")]), (TOPIC, "t", [("segment.ms", "7")])) == [42, 42]
    assert setting(client, "t", "segment.ms") == ("5", 1)
    assert alteration(client, (TOPIC, "t", [])) == [0]
    assert setting(client, "t", "segment.ms") == ("604800000", 5)


def test_which_settings_are_altered_one_by_one(client):
    make_topics(client, "t")
    for name, operation, value, error in (
            ("retention.ms", SET, "7", 0), ("retention.ms", SET, "x", 40), ("retention.ms", SET, None, 42),
            ("nope", SET, "1", 40), ("nope", DELETE, None, 0), ("retention.ms", APPEND, "5", 40),
            ("retention.ms", 4, "5", 42), ("retention.ms", -1, "5", 42), ("cleanup.policy", APPEND, None, 42),
            ("cleanup.policy", APPEND, "shrink", 40), ("", SET, "", 40)):
        assert increment(client, (TOPIC, "t", [(name, operation, value)])) == [error], (name, operation)
    assert setting(client, "t", "retention.ms") == ("7", 1)
    assert increment(client, (TOPIC, "t", [("retention.ms", DELETE, "x")])) == [0]
    assert setting(client, "t", "retention.ms") == ("604800000", 5)
    for operation, value, after in ((APPEND, "compact", "delete,compact"), (APPEND, "compact,delete", "delete,compact"),
                                    (SUBTRACT, "delete", "compact"), (SUBTRACT, "delete", "compact"),
                                    (SUBTRACT, "compact", ""), (APPEND, "delete", "delete")):
        assert increment(client, (TOPIC, "t", [("cleanup.policy", operation, value)])) == [0]
        assert setting(client, "t", "cleanup.policy") == (after, 1)
    assert increment(client, (TOPIC, "t", [("retention.ms", SET, "1"), ("retention.ms", SET, "2")])) == [42]
    assert increment(client, (TOPIC, "t", [("retention.ms", SET, "1")]), (TOPIC, "u", [("retention.ms", SET, "2")]),
                     (TOPIC, "t", [("retention.ms", SET, "2")])) == [42, 3, 42]
    assert setting(client, "t", "retention.ms") == ("604800000", 5)


# ---- records ----

def produce(client, batch, topic="t", partition=0, version=8, acks=-1):
    answer = client.call("Produce", version, acks=acks, timeout_ms=30000, transactional_id=None, topic_data=[
        {"name": topic, "partition_data": [{"index": partition, "records": batch}]}])
    return answer["responses"][0]["partition_responses"][0]


def fetch_fields(topics, **fields):
    return {"replica_id": -1, "max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20, **fields, "topics": [
        {"topic": name, "partitions": [{"partition_max_bytes": 1 << 20, **part} for part in parts]}
        for name, parts in topics.items()]}


def fetch(client, topics, version=11, **fields):
    """{(topic, partition): answer}"""
    answer = client.call("Fetch", version, **fetch_fields(topics, **fields))
    assert answer["error_code"] == 0
    return {(topic["topic"], part["partition_index"]): part for topic in answer["responses"] for part in topic["partitions"]}


def part(number, offset=0, **fields):
    return {"partition": number, "fetch_offset": offset, **fields}


def test_fetches_that_find_an_error(client):
    make_topics(client, "t")
    assert produce(client, record_batch([b"x"] * 3))["base_offset"] == 0
    found = fetch(client, {"t": [part(0, 4), part(7)], "nope": [part(0)]})
    assert {where: answer["error_code"] for where, answer in found.items()} == {("t", 0): 1, ("t", 7): 3, ("nope", 0): 3}
    for answer in found.values():
        assert (answer["high_watermark"], answer["last_stable_offset"], answer["log_start_offset"]) == (-1, -1, -1)
        assert not answer["records"]
    assert fetch(client, {"t": [part(0, -1)]})["t", 0]["error_code"] == 1
    assert fetch(client, {"t": [part(0, 3)]})["t", 0]["error_code"] == 0
    for epoch, error in ((-1, 0), (0, 0), (1, 75)):
        assert fetch(client, {"t": [part(0, current_leader_epoch=epoch)]})["t", 0]["error_code"] == error
    # Followers have nothing to follow here.
    for replica, error in ((-1, 0), (-2, 0), (0, 6), (1, 6), (5, 6)):
        assert fetch(client, {"t": [part(0)]}, replica_id=replica)["t", 0]["error_code"] == error
    follower = client.call("Fetch", 15, **{**fetch_fields({}), "replica_state": {"replica_id": 5}, "topics": [
        {"topic_id": topic_ids(client)["t"], "partitions": [part(0, partition_max_bytes=1 << 20)]}]})
    assert follower["responses"][0]["partitions"][0]["error_code"] == 6


def topic_ids(client):
    return {each["name"]: each["topic_id"] for each in client.call("Metadata", 12, topics=None)["topics"]}


def test_topics_fetched_by_an_id_that_nothing_has(client):
    make_topics(client, "t")
    fields = fetch_fields({})
    fields["topics"] = [{"topic_id": topic_id, "partitions": [part(number, partition_max_bytes=1 << 20)]}
                        for topic_id, number in ((uuid.UUID(int=7), 0), (topic_ids(client)["t"], 0), (topic_ids(client)["t"], 9))]
    answer = client.call("Fetch", 13, **fields)
    # Partitions of one topic that follow each other are told together, as by Kafka.
    assert [[part["error_code"] for part in each["partitions"]] for each in answer["responses"]] == [[100], [0, 3]]


def test_limits_of_fetches(client):
    make_topics(client, "t", partitions=2)
    one = record_batch([b"x" * 100])
    for number in (0, 1):
        for _ in range(5):
            assert produce(client, one, partition=number)["error_code"] == 0
    both = {"t": [part(0), part(1)]}

    def sizes(topics, **fields):
        return [len(answer["records"] or b"") // len(one) for answer in fetch(client, topics, **fields).values()]

    assert sizes(both) == [5, 5]
    # The first batch comes whole, whatever the limits say, and only the first.
    assert sizes(both, max_bytes=0) == sizes(both, max_bytes=1) == [1, 0]
    assert sizes({"t": [part(0, partition_max_bytes=0), part(1, partition_max_bytes=1)]}) == [1, 0]
    assert sizes(both, max_bytes=2 * len(one)) == [2, 0]
    assert sizes({"t": [part(0, partition_max_bytes=2 * len(one)), part(1)]}) == [2, 5]
    # What is asked for can't be more than what fits: nobody waits for it.
    started_at = time.monotonic()
    assert sizes(both, max_wait_ms=30000, min_bytes=1 << 30, max_bytes=len(one)) == [1, 0]
    assert sizes(both, max_wait_ms=30000, min_bytes=-1) == [5, 5]
    assert time.monotonic() - started_at < 25


def test_a_topic_that_is_not_there_makes_no_fetch_hasty(broker, client):
    """A consumer of a removed topic would otherwise ask without a pause."""
    make_topics(client, "t")
    assert fetch(client, {"nope": [part(0)]}, max_wait_ms=30000)["nope", 0]["error_code"] == 3
    client.send("Fetch", 11, **fetch_fields({"nope": [part(0)], "t": [part(0)]}, max_wait_ms=50000))
    client.connection.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.frame()
    client.connection.settimeout(60)
    with Client(broker.port) as other:
        assert produce(other, record_batch([b"x"]))["error_code"] == 0
    answer = client.answer()
    assert [each["partitions"][0]["error_code"] for each in answer["responses"]] == [3, 0]
    assert answer["responses"][1]["partitions"][0]["records"]


def test_a_fetch_of_a_thousand_partitions(client):
    make_topics(client, "t", partitions=1000)
    assert produce(client, record_batch([b"x"]), partition=999)["error_code"] == 0
    found = fetch(client, {"t": [part(number) for number in range(1000)]}, max_wait_ms=30000)
    assert len(found) == 1000 and [where for where, answer in found.items() if answer["records"]] == [("t", 999)]


def test_sequences_of_idempotent_producers(client):
    make_topics(client, "t", "u", "wraps")

    def identity():
        made = client.call("InitProducerId", 4, transactional_id=None, transaction_timeout_ms=1000)
        assert (made["error_code"], made["producer_epoch"]) == (0, 0)
        return made["producer_id"]

    def send(count, epoch, sequence, topic="t"):
        answer = produce(client, record_batch([b"x"] * count, producer=producer, epoch=epoch, sequence=sequence), topic)
        return answer["error_code"] or answer["base_offset"]

    producer = identity()
    assert [send(5, 0, 0), send(5, 0, 0), send(5, 0, 5), send(5, 0, 20), send(5, 0, 0)] == [0, 0, 5, 45, 0]
    assert [send(1, 0, sequence) for sequence in range(10, 16)] == [10, 11, 12, 13, 14, 15]
    assert send(5, 0, 0) == 45  # more than five batches ago
    assert send(2, 0, 15) == 45  # half of it was there
    assert [send(1, 1, 5), send(1, 1, 0), send(1, 0, 16)] == [45, 16, 47]
    # Of whom nothing is known the first sequence is believed.
    assert [send(1, 1, 7, "u"), send(1, 1, 8, "u"), send(1, 1, 2, "u"), send(1, 5, 3, "u")] == [0, 1, 45, 45]
    producer = identity()
    assert [send(3, 0, 2**31 - 2, "wraps"), send(1, 0, 1, "wraps"), send(3, 0, 2**31 - 2, "wraps")] == [0, 3, 0]


def test_who_gets_a_producer_id(client):
    def error(**fields):
        return client.call("InitProducerId", 4, **{"transactional_id": None, "transaction_timeout_ms": 1000, **fields})["error_code"]

    assert error() == 0
    assert error(producer_id=7, producer_epoch=3) == 0  # it is given another one
    assert [error(producer_id=7), error(producer_epoch=3), error(transactional_id="")] == [42, 42, 42]
    assert error(transactional_id="t") == 53  # there are no transactions, and nobody is to ask again


def test_one_replica_is_enough(client):
    """min.insync.replicas is held against the replicas that there are."""
    make_topics(client, "t", min_insync_replicas="3")
    assert produce(client, record_batch([b"x"]))["error_code"] == 0


def test_offsets_of_times(client):
    make_topics(client, "t")
    for time_ms in (1000, 2000, 1500):
        assert produce(client, record_batch([b"x", b"y"], time_ms=time_ms))["error_code"] == 0

    def offset(version, timestamp, **fields):
        answer = client.call("ListOffsets", version, replica_id=-1, topics=[
            {"name": "t", "partitions": [{"partition_index": 0, "timestamp": timestamp, **fields}]}])
        found = answer["topics"][0]["partitions"][0]
        return found["error_code"] or found["offset"], found["timestamp"], found.get("leader_epoch")

    for version in range(1, 12):
        epoch = 0 if version >= 4 else None
        none = -1 if version >= 4 else None
        assert offset(version, -1) == (6, -1, epoch)
        assert offset(version, -2) == (0, -1, epoch)
        assert offset(version, 1001) == (2, 2000, epoch)
        assert offset(version, 2001) == (-1, -1, none)
        assert offset(version, -3) == ((2, 2000, epoch) if version >= 7 else (35, -1, none))
        assert offset(version, -4) == ((0, -1, epoch) if version >= 8 else (35, -1, none))
        assert offset(version, -5) == ((-1 if version >= 9 else 35), -1, none)
        assert offset(version, -6) == ((-1 if version >= 11 else 35), -1, none)
        assert offset(version, -7) == (35, -1, none)
    assert [offset(7, -1, current_leader_epoch=epoch)[0] for epoch in (-1, 0, 5)] == [6, 6, 75]


def test_a_partition_whose_offset_is_asked_for_twice(client):
    """In one topic or in two of the same name. And a time that nobody knows comes before a topic that nobody knows."""
    make_topics(client, "t", "u", partitions=2)

    def errors(*topics):
        answer = client.call("ListOffsets", 7, replica_id=-1, topics=[
            {"name": name, "partitions": [{"partition_index": number, "timestamp": timestamp} for number, timestamp in asked]}
            for name, *asked in topics])
        return [[each["error_code"] for each in topic["partitions"]] for topic in answer["topics"]]

    assert errors(("t", (0, -1), (1, -1), (0, -2)), ("u", (0, -1))) == [[42, 0, 42], [0]]
    assert errors(("t", (0, -1)), ("u", (0, -1)), ("t", (1, -1), (0, 5))) == [[42], [0], [0, 42]]
    assert errors(("nobody", (0, -7), (1, -1), (2, -7), (2, -1))) == [[35, 3, 42, 42]]


def test_a_topic_that_is_asked_for_twice_is_told_once(client):
    make_topics(client, "t", "u", partitions=3)

    def topics(version, *asked):
        answer = client.call("Metadata", version, topics=[
            {"topic_id": each} if isinstance(each, uuid.UUID) else {"name": each} for each in asked], allow_auto_topic_creation=False)
        return [(each["name"], each["error_code"], len(each["partitions"])) for each in answer["topics"]]

    for version in (4, 9, 12):
        assert topics(version, "t", "u", "t", "nobody", "u", "nobody", "t") == [("t", 0, 3), ("u", 0, 3), ("nobody", 3, 0)]
    ids = {each["name"]: each["topic_id"] for each in client.call("Metadata", 12, topics=None)["topics"]}
    assert topics(12, ids["u"], uuid.UUID(int=5), ids["t"], ids["u"], uuid.UUID(int=5)) == [("u", 0, 3), (None, 100, 0), ("t", 0, 3)]


# ---- small things, as a Kafka that was asked the same ----

def test_what_was_refused_by_the_log_tells_where_that_begins(client):
    make_topics(client, "t", max_message_bytes="200")
    good = record_batch([b"x"] * 3)
    assert produce(client, good)["base_offset"] == 0
    assert client.call("DeleteRecords", 1, timeout_ms=1000, topics=[{"name": "t", "partitions": [{"partition_index": 0, "offset": 2}]}])
    late = int(time.time() * 1000) + 10**8
    corrupt = good[:-1] + bytes([good[-1] ^ 1])
    for batch, version, error, start in (
            (record_batch([b"x"], time_ms=late), 8, 32, 2), (record_batch([b"x"], attributes=0x20), 8, 87, 2),
            (record_batch([b"x"], attributes=1), 8, -1, 2), (record_batch([b"x" * 500]), 8, 10, -1), (corrupt, 8, 2, -1),
            (good + good, 8, 87, -1), (record_batch([b"x"], attributes=4), 5, 76, -1)):
        found = produce(client, batch, version=version)
        assert (found["error_code"], found["base_offset"], found["log_start_offset"]) == (error, -1, start)
    assert produce(client, record_batch([b"x"], producer=1, epoch=0, sequence=5))["error_code"] == 0
    found = produce(client, record_batch([b"x"], producer=1, epoch=0, sequence=55))
    assert (found["error_code"], found["log_start_offset"]) == (45, 2)
    assert produce(client, good, topic="nope")["log_start_offset"] == -1


def test_a_transactional_batch_without_an_id_refuses_the_request(client):
    make_topics(client, "t", "u")
    batches = [{"name": name, "partition_data": [{"index": 0, "records": record_batch([b"x"], **fields)}]}
               for name, fields in (("u", {}), ("t", {"attributes": 0x10, "producer": 1, "epoch": 0, "sequence": 0}), ("nope", {}))]
    for version in (7, 9, 11):
        answer = client.call("Produce", version, acks=-1, timeout_ms=30000, transactional_id=None, topic_data=batches)
        assert [each["partition_responses"][0]["error_code"] for each in answer["responses"]] == [53] * 3
    answer = client.call("Produce", 9, acks=-1, timeout_ms=30000, transactional_id="x", topic_data=batches)
    assert [each["partition_responses"][0]["error_code"] for each in answer["responses"]] == [0, 48, 3]


def test_records_that_can_not_be_deleted_have_no_low_watermark(client):
    make_topics(client, "t")
    produce(client, record_batch([b"x"] * 3))
    for offset, error, low in ((9, 1, -1), (-5, 1, -1), (2, 0, 2), (0, 0, 2), (9, 1, -1)):
        found = client.call("DeleteRecords", 1, timeout_ms=1000, topics=[{"name": "t", "partitions": [{"partition_index": 0, "offset": offset}]}])
        part = found["topics"][0]["partitions"][0]
        assert (part["error_code"], part["low_watermark"]) == (error, low)


def test_what_one_request_may_make(client):
    def made(version, *counts):
        found = client.call("CreateTopics", version, timeout_ms=30000, validate_only=True, topics=[
            {"name": f"t{number}", "num_partitions": count, "replication_factor": 1} for number, count in enumerate(counts)])
        return [(each["error_code"], each.get("topic_id", uuid.UUID(int=0)).int != 0) for each in found["topics"]]

    assert made(7, 1, 2) == [(0, True)] * 2, "an id as for a topic that would be made"
    assert made(5, 5000, 5000) == [(0, False)] * 2
    assert made(5, 5000, 0, 5001) == [(44, False)] * 3
    assert made(5, 10001) == [(44, False)]
    make_topics(client, "a", "b")
    for counts, error in (((5000, 5001), 0), ((5001, 5002), 44), ((10002, 1), 44)):
        found = client.call("CreatePartitions", 1, timeout_ms=30000, validate_only=True, topics=[
            {"name": name, "count": count, "assignments": None} for name, count in zip("ab", counts)])
        assert [each["error_code"] for each in found["results"]] == [error] * 2


def test_a_group_that_has_committed_nothing_stays_until_it_is_looked_for(client):
    make_topics(client, "t")
    use_groups(client)
    member, _ = a_member(client, "g")
    assert client.call("LeaveGroup", 3, group_id="g", members=[{"member_id": member}])["error_code"] == 0
    time.sleep(2.5)  # maintenance comes once a second
    assert [each["group_state"] for each in client.call("DescribeGroups", 5, groups=["g"])["groups"]] == ["Empty"]
    assert client.call("DeleteGroups", 1, groups_names=["g"])["results"][0]["error_code"] == 0


# ---- the log tells who did what ----

def test_the_log_tells_who_changed_what(broker, client):
    make_topics(client, "t")
    assert increment(client, (TOPIC, "t", [("retention.ms", SET, "5000"), ("cleanup.policy", SET, "delete")])) == [0]
    assert increment(client, (TOPIC, "t", [("retention.ms", DELETE, None)])) == [0]
    assert client.call("CreatePartitions", 1, timeout_ms=30000, topics=[{"name": "t", "count": 3, "assignments": None}])["results"][0]["error_code"] == 0
    produce(client, record_batch([b"x"] * 3))
    client.call("DeleteRecords", 1, timeout_ms=1000, topics=[{"name": "t", "partitions": [{"partition_index": 0, "offset": 2}]}])
    client.call("DeleteTopics", 4, topic_names=["t"], timeout_ms=30000)
    who = r"client 'test' at 127\.0\.0\.1:\d+"
    for line in (f"topic t was made with 1 partitions by {who}", f"topic t: cleanup.policy=delete, retention.ms=5000: set by {who}",
                 f"topic t: retention.ms by default: set by {who}", f"topic t: 3 partitions, before 1: {who}",
                 f"t-0: what lies before 2 was deleted by {who}", f"topic t was deleted by {who}"):
        wait_until(lambda line=line: re.search(line, broker.log()))


def test_the_log_names_the_limits_of_groups(leat, tmp_path):
    broker = Broker(leat, tmp_path / "data", "-o", "group.max.size=1", "-o", "offset.metadata.max.bytes=10")
    who = r"client 'test' at 127\.0\.0\.1:\d+: "
    with Client(broker.port) as client:
        make_topics(client, "t")
        use_groups(client)
        assert commit(client, "h", "t", 1, committed_metadata="x" * 11) == 12
        assert join(client, "g", session_timeout_ms=5)["error_code"] == 26
        a_member(client, "g")
        assert join(client, "g")["error_code"] == 81
    for line in ("11 bytes of metadata with an offset are refused: offset.metadata.max.bytes is 10",
                 "its session timeout is refused: group.min.session.timeout.ms is 6000, group.max.session.timeout.ms 1800000",
                 "its group takes no more members: group.max.size is 1"):
        wait_until(lambda line=line: re.search(who + line, broker.log()))
    assert broker.end() == 0


def test_the_log_tells_what_retention_deletes(leat, tmp_path):
    broker = Broker(leat, tmp_path / "data", "-o", "log.initial.task.delay.ms=0", "-o", "log.retention.check.interval.ms=100")
    with Client(broker.port) as client:
        make_topics(client, "t", segment_bytes="1024", retention_bytes="1500")
        for _ in range(5):
            assert produce(client, record_batch([b"x" * 900]))["error_code"] == 0
    line = wait_until(lambda: re.search(r"data/t-0: by its retention (\d+) segments go: it begins at (\d+), before at 0", broker.log()))
    assert line[1] == line[2] and int(line[1]) >= 1
    assert broker.end() == 0


def test_the_log_tells_why_a_group_rebalances(broker, client):
    make_topics(client, "t")
    use_groups(client)
    first = join(client, "g", 9, reason="needs partitions")["member_id"]
    joined = join(client, "g", 9, first, reason="needs partitions")
    client.call("SyncGroup", 3, group_id="g", generation_id=joined["generation_id"], member_id=first,
                assignments=[{"member_id": first, "assignment": b"all"}])
    assert joined["error_code"] == 0
    with Client(broker.port) as other:
        second = join(other, "g", 9, session_timeout_ms=6000)["member_id"]
        other.send("JoinGroup", 9, group_id="g", member_id=second, session_timeout_ms=6000, rebalance_timeout_ms=30000,
                   protocol_type="consumer", protocols=CONSUMER)
        wait_until(lambda: client.call("Heartbeat", 3, group_id="g", generation_id=1, member_id=first)["error_code"] == 27)
        joined = join(client, "g", 9, first)
        client.call("SyncGroup", 3, group_id="g", generation_id=joined["generation_id"], member_id=first, assignments=[])
    wait_until(lambda: f"group g: member {second} (client 'test' at /127.0.0.1) was not heard of until its session ended" in broker.log())
    assert client.call("LeaveGroup", 5, group_id="g", members=[{"member_id": first, "reason": "goes home"}])["error_code"] == 0
    for line in (f"group g: member {first} (client 'test' at /127.0.0.1) joined: needs partitions", f"(client 'test' at /127.0.0.1) left: goes home",
                 "group g, generation 0, 1 members: rebalances, as a member joined", "generation 1, 2 members: rebalances, as a member joined",
                 "generation 2, 1 members: rebalances, as a member was not heard of"):
        wait_until(lambda line=line: line in broker.log())


def test_the_log_tells_whose_request_was_refused_and_by_which_limit(leat, tmp_path):
    broker = Broker(leat, tmp_path / "data", "-o", "socket.request.max.bytes=5000")
    with Client(broker.port) as client:
        make_topics(client, "t", max_message_bytes="200")
        assert produce(client, record_batch([b"x" * 500]))["error_code"] == 10
        wait_until(lambda: re.search(r"client 'test' at 127\.0\.0\.1:\d+: a batch of \d+ bytes for t-0 is refused: max.message.bytes of the topic is 200",
                                     broker.log()))
        time.sleep(1.1)  # a line a second
        assert produce(client, record_batch([b"x"], attributes=0x20))["error_code"] == 87
        wait_until(lambda: re.search(r"a batch for t-0 is refused: INVALID_RECORD: ", broker.log()))
        with pytest.raises((AssertionError, OSError)):
            produce(client, record_batch([b"x" * 6000]))
    wait_until(lambda: re.search(r"127\.0\.0\.1:\d+: a request of 6\d\d\d bytes, where socket.request.max.bytes is 5000: connection closed",
                                 broker.log()))
    assert broker.end() == 0


# ---- what there is nothing of ----

def test_what_clients_call_themselves(client):
    def answer(version=3, name="a", release="1", **fields):
        found = client.call("ApiVersions", version, client_software_name=name, client_software_version=release, **fields)
        return found["error_code"], len(found["api_keys"]) > 0

    for name, release in (("a", "1"), ("Apache-Kafka.x", "1.2-rc"), ("a" * 3000, "1")):
        assert answer(name=name, release=release) == (0, True)
    for name, release in (("", "1"), ("a", ""), ("a b", "1"), ("a", "1 "), (".a", "1"), ("a-", "1"), ("a", "-1"), ("a_b", "1"), ("é", "1")):
        assert answer(name=name, release=release) == (42, False)
    ours = client.call("Metadata", 9, topics=[])["cluster_id"]
    for whom, error in (({}, 0), ({"cluster_id": ours, "node_id": 1}, 0), ({"cluster_id": ours, "node_id": 2}, 129),
                        ({"cluster_id": "other", "node_id": 1}, 129), ({"cluster_id": ours}, 42), ({"node_id": 1}, 42)):
        assert answer(5, **whom) == (error, error == 0)


@pytest.mark.parametrize("version", [0, 1])
def test_who_comes_with_a_password_is_told(client, version):
    assert client.call("SaslHandshake", version, mechanism="PLAIN") == {"error_code": 34, "mechanisms": []}
    assert client.call("SaslAuthenticate", version, auth_bytes=b"\0user\0secret")["error_code"] == 34
    listed = {each["api_key"] for each in client.call("ApiVersions", 0)["api_keys"]}
    assert {17, 36} <= listed, "tools take a broker without them for 0.9"
    assert client.call("Metadata", 9, topics=[])["brokers"]


def test_access_control_is_off(client):
    rule = {"resource_type": 2, "resource_name": "t", "principal": "User:a", "host": "*", "operation": 3, "permission_type": 3}
    for version in (1, 2, 3):
        assert client.call("DescribeAcls", version, resource_type_filter=1, operation=1, permission_type=1)["error_code"] == 54
        assert [each["error_code"] for each in client.call("CreateAcls", version, creations=[rule, rule])["results"]] == [54, 54]
        filters = [{"resource_type_filter": 2, "operation": 1, "permission_type": 1}]
        assert [each["error_code"] for each in client.call("DeleteAcls", version, filters=filters)["filter_results"]] == [54]


def test_there_are_no_quotas_and_no_passwords(client):
    def quotas(*components):
        found = client.call("DescribeClientQuotas", 1, components=list(components))
        return found["error_code"], found["entries"]

    assert quotas() == quotas({"entity_type": "user", "match_type": 0, "match": "a"}) == (0, [])
    assert quotas({"entity_type": "shoe", "match_type": 2, "match": None}) == (35, None)
    assert quotas({"entity_type": "ip", "match_type": 0, "match": None}) == (42, None)
    assert quotas({"entity_type": "ip", "match_type": 9, "match": None}) == (42, None)
    assert client.call("DescribeUserScramCredentials", 0, users=[])["results"] == []
    found = client.call("DescribeUserScramCredentials", 0, users=[{"name": name} for name in "abac"])["results"]
    assert [(each["user"], each["error_code"]) for each in found] == [("a", 92), ("b", 91), ("c", 91)]


def test_there_are_no_transactions(client):
    found = client.call("FindCoordinator", 4, key_type=1, coordinator_keys=["t"])["coordinators"][0]
    assert (found["error_code"], found["node_id"]) == (53, -1), "clients ask again after anything else"
    assert "transactions are not supported" in found["error_message"]
    for version in (0, 2, 4):
        found = [client.call("InitProducerId", version, transactional_id=name, transaction_timeout_ms=1000) for name in ("t", "", None)]
        assert [each["error_code"] for each in found] == [53, 42, 0]
    found = client.call("DescribeTransactions", 0, transactional_ids=["t", ""])["transaction_states"]
    assert [each["error_code"] for each in found] == [105, 42]
    for version in (0, 1, 2):
        found = client.call("ListTransactions", version, state_filters=["Ongoing", "Lost"])
        assert (found["error_code"], found["unknown_state_filters"], found["transaction_states"]) == (0, ["Lost"], [])
    make_topics(client, "t")
    assert produce(client, record_batch([b"x"], attributes=0x10, producer=1, epoch=0, sequence=0))["error_code"] == 53


def test_there_are_no_other_replicas(client):
    make_topics(client, "t")
    asked = [{"topic": "t", "partitions": [0, 9]}, {"topic": "nope", "partitions": [0]}]
    for version in (0, 1, 2):
        found = client.call("ElectLeaders", version, topic_partitions=asked)["replica_election_results"]
        assert [part["error_code"] for each in found for part in each["partition_result"]] == [84, 3, 3]
    assert client.call("ElectLeaders", 2, topic_partitions=None)["error_code"] == 0
    assert client.call("ElectLeaders", 2, topic_partitions=None, election_type=7)["error_code"] == 42
    assert client.call("ListPartitionReassignments", 0, topics=None)["topics"] == []


def test_a_list_is_told_as_it_was_set(broker, client):
    make_topics(client, "t", cleanup_policy="compact,delete")
    make_topics(client, "u", cleanup_policy="delete, compact")
    assert [setting(client, name, "cleanup.policy")[0] for name in "tu"] == ["compact,delete", "delete,compact"]
    for operation in (SUBTRACT, APPEND):
        assert increment(client, (TOPIC, "u", [("cleanup.policy", operation, "delete")])) == [0]
    assert setting(client, "u", "cleanup.policy")[0] == "compact,delete"
    broker.restart()
    with Client(broker.port) as again:
        assert [setting(again, name, "cleanup.policy")[0] for name in "tu"] == ["compact,delete"] * 2


def test_settings_that_every_kafka_takes_are_kept(broker, client):
    values = {"leader.replication.throttled.replicas": "0:1,1:1", "follower.replication.throttled.replicas": "*",
              "max.decompressed.message.bytes": "1000", "errors.deadletterqueue.group.enable": "true",
              "remote.copy.lag.ms": "5", "remote.copy.lag.bytes": "7"}
    make_topics(client, "t", "u")
    assert increment(client, (TOPIC, "t", [(name, SET, value) for name, value in values.items()])) == [0]
    assert increment(client, (TOPIC, "u", [("leader.replication.throttled.replicas", APPEND, "5:1")])) == [0]
    assert increment(client, (TOPIC, "u", [("leader.replication.throttled.replicas", APPEND, "6:1")])) == [0]
    assert increment(client, (TOPIC, "u", [("leader.replication.throttled.replicas", SET, "what")])) == [40]
    broker.restart()
    with Client(broker.port) as again:
        assert {name: setting(again, "t", name) for name in values} == {name: (value, 1) for name, value in values.items()}
        assert setting(again, "u", "leader.replication.throttled.replicas") == ("5:1,6:1", 1)
        assert setting(again, "u", "follower.replication.throttled.replicas") == ("", 5)
        assert increment(again, (TOPIC, "t", [(name, DELETE, None) for name in values])) == [0]
        assert setting(again, "t", "leader.replication.throttled.replicas") == ("", 5)


def test_what_the_broker_was_not_given_can_be_taken_away(client):
    for name in ("1", ""):
        assert increment(client, (BROKER, name, [("leader.replication.throttled.rate", DELETE, None), ("nope", DELETE, None)])) == [0]
        assert increment(client, (BROKER, name, [("leader.replication.throttled.rate", DELETE, None),
                                                 ("log.retention.ms", SET, "5")])) == [42]
    assert increment(client, (BROKER, "2", [("leader.replication.throttled.rate", DELETE, None)])) == [42]
    assert alteration(client, (BROKER, "1", [])) == [0]


def test_all_settings_of_the_broker_are_told_as_they_are_in_force(leat, tmp_path):
    broker = Broker(leat, tmp_path / "data", "-o", "num.io.threads=77", "-o", "log.cleaner.enable=true", "-o", "log.retention.minutes=90",
                    "-o", "listeners=PLAINTEXT://127.0.0.1:1", "-o", "log.dirs=/elsewhere")
    with Client(broker.port) as client:
        found = client.call("DescribeConfigs", 4, include_synonyms=True, resources=[{"resource_type": BROKER, "resource_name": "1", "configuration_keys": None}])
        found = found["results"][0]["configs"]
        told = {each["name"]: each for each in found}
        assert len(found) == len(told) >= 351
        values = {name: each["value"] for name, each in told.items()}
        for name, value in (("num.io.threads", "8"), ("log.cleaner.enable", "false"), ("num.network.threads", "2"), ("broker.id", "1"),
                            ("log.retention.ms", "5400000"), ("log.retention.minutes", "90"), ("log.retention.hours", "1"),
                            ("log.roll.hours", "168"), ("ssl.keystore.password", None), ("process.roles", "broker"),
                            ("log.dirs", str(tmp_path / "data")), ("log.dir", str(tmp_path / "data")),
                            ("advertised.listeners", f"PLAINTEXT://{broker.address}"), ("listeners", "PLAINTEXT://127.0.0.1:0")):
            assert values[name] == value, name
        assert told["ssl.keystore.password"]["is_sensitive"] and not told["num.io.threads"]["is_sensitive"]
        assert all(each["read_only"] for each in found)
        assert setting(client, "1", "num.io.threads", BROKER) == ("8", 5)
    assert broker.end() == 0


def test_compaction_that_is_asked_for_is_said_not_to_be(leat, tmp_path):
    broker = Broker(leat, tmp_path / "data")
    with Client(broker.port) as client:
        make_topics(client, "t", "v")
        make_topics(client, "u", cleanup_policy="compact")
        assert increment(client, (TOPIC, "t", [("cleanup.policy", SET, "compact,delete")])) == [0]
        use_groups(client)
    wait_until(lambda: "topic t: its cleanup.policy asks for compaction: nothing is compacted yet, old records go by retention" in broker.log())
    assert "topic u: its cleanup.policy asks for compaction: nothing is compacted yet, all its records are kept" in broker.log()
    broker.lines.clear()
    broker.restart()
    assert "2 topics ask for compaction, t first: nothing is compacted yet" in broker.log()
    assert broker.end() == 0
    broker = Broker(leat, tmp_path / "other", "-o", "log.cleanup.policy=compact")
    assert "log.cleanup.policy asks for compaction: nothing is compacted yet" in broker.log()
    assert broker.end() == 0


def test_a_partition_is_moved_to_where_it_is(client):
    make_topics(client, "t")

    def moved(version, name, *parts):
        found = client.call("AlterPartitionReassignments", version, topics=[{"name": name, "partitions": [
            {"partition_index": number, "replicas": replicas} for number, replicas in parts]}])
        assert (found["error_code"], found["error_message"]) == (0, None)
        return [each["error_code"] for each in found["responses"][0]["partitions"]]

    for version in (0, 1):
        assert moved(version, "t", (0, [1]), (0, None), (0, []), (0, [2]), (0, [1, 2]), (0, [1, 1]), (9, [1]), (9, None)) == [
            0, 85, 39, 39, 39, 39, 3, 3]
        assert moved(version, "nope", (0, [1])) == [3]
        assert client.call("AlterPartitionReassignments", version, topics=[])["responses"] == []


def test_the_quorum_is_this_broker(broker, client):
    def asked(version, *topics):
        return client.call("DescribeQuorum", version, topics=[{"topic_name": name, "partitions": [
            {"partition_index": number} for number in numbers]} for name, *numbers in topics])

    for version in (0, 1, 2):
        found = asked(version, ("__cluster_metadata", 0))
        assert found["error_code"] == 0 and len(found["topics"]) == 1
        part = found["topics"][0]["partitions"][0]
        assert (part["error_code"], part["leader_id"], part["observers"]) == (0, 1, [])
        assert [each["replica_id"] for each in part["current_voters"]] == [1]
        for topics in ([("t", 0)], [("__cluster_metadata", 1)], [("__cluster_metadata", 0, 1)], [("__cluster_metadata", 0), ("t", 0)]):
            refused = asked(version, *topics)
            assert [[part["error_code"] for part in each["partitions"]] for each in refused["topics"]] == [[3] * len(each[1:]) for each in topics]
    assert found["nodes"] == [{"node_id": 1, "listeners": [{"name": "PLAINTEXT", "host": "127.0.0.1", "port": (broker.port + 2**15) % 2**16 - 2**15}]}]
    assert asked(2)["topics"] == []


def test_no_features_and_no_other_brokers(client):
    for version in (0, 1, 2):
        found = client.call("UpdateFeatures", version, feature_updates=[])
        assert (found["error_code"], found["error_message"]) == (0, None)
        found = client.call("UpdateFeatures", version, feature_updates=[{"feature": "metadata.version", "max_version_level": 7}])
        assert found["error_code"] == 95 and "metadata.version" in found["error_message"]
    assert [client.call("UnregisterBroker", 0, broker_id=number)["error_code"] for number in (2, -1, 1)] == [102, 102, 42]


def test_what_has_settings(client):
    make_topics(client, "t", "u")

    def listed(version=1, *types):
        found = client.call("ListConfigResources", version, resource_types=list(types))
        return found["error_code"] or [(each.get("resource_type"), each["resource_name"]) for each in found["config_resources"]]

    assert listed(0) == []
    assert listed() == [(4, "1"), (2, "t"), (2, "u")]
    assert listed(1, 2) == [(2, "t"), (2, "u")]
    assert listed(1, 4, 8, 16, 32) == [(4, "1")]
    assert listed(1, 2, 99) == 35

    def described(kind, name):
        found = client.call("DescribeConfigs", 4, resources=[
            {"resource_type": kind, "resource_name": name, "configuration_keys": None}])["results"][0]
        assert bool(found["error_message"]) == (found["error_code"] != 0)
        return found["error_code"] or len(found["configs"]) > 0

    assert described(2, "t") is True and described(4, "1") is True
    for kind, name in ((4, ""), (8, "1"), (16, "m"), (32, "g")):
        assert described(kind, name) is False
    for kind, name, error in ((2, "nope", 3), (2, "x/y", 17), (2, "", 17), (4, "2", 42), (4, "x", 42), (8, "", 42), (8, "2", 42),
                              (16, "", 42), (32, "", 42), (0, "a", 42), (99, "a", 42)):
        assert described(kind, name) == error


@pytest.mark.parametrize(("key", "version"), [
    (24, 3), (25, 3), (26, 3), (28, 3), (27, 1), (34, 2), (38, 3), (49, 1), (51, 0), (68, 0), (69, 0),
    (71, 0), (72, 0), (76, 1), (77, 1), (78, 1), (79, 1), (88, 0), (52, 0), (4, 0), (5, 0), (6, 0), (7, 0)])
def test_what_is_not_there_ends_the_connection(broker, client, key, version):
    """Transactions, tokens, other replicas, newer kinds of groups, brokers among themselves: never listed."""
    assert key not in {each["api_key"] for each in client.call("ApiVersions", 0)["api_keys"]}
    with Client(broker.port) as other:
        other.raw(framed(key, version, bytes(64)))
        assert other.has_ended()
    assert client.call("Metadata", 9, topics=[])["brokers"]


def test_settings_are_described_with_all_there_is_to_say(client):
    make_topics(client, "t", retention_ms="1000")
    answer = client.call("DescribeConfigs", 4, include_synonyms=True, include_documentation=True, resources=[
        {"resource_type": kind, "resource_name": name, "configuration_keys": None} for kind, name in ((TOPIC, "t"), (BROKER, "1"))])
    of_topic, of_broker = ({each["name"]: each for each in found["configs"]} for found in answer["results"])
    assert set(of_topic) == {each.name for each in kafka_settings.of_topics()}
    assert set(of_broker) > ({each.name for each in kafka_settings.own()} | {name for name, _ in kafka_settings.texts()} |
                              {each.server_name for each in kafka_settings.of_topics()} - {""})
    assert all(each["documentation"] for found in (of_topic, of_broker) for each in found.values())
    assert not any(each["read_only"] for each in of_topic.values()) and all(each["read_only"] for each in of_broker.values())
    # A client reads values by these: boolean 1, string 2, int 3, short 4, long 5, double 6, list 7.
    assert {name: (of_topic[name]["config_type"], of_topic[name]["value"]) for name in (
        "preallocate", "compression.type", "segment.bytes", "retention.ms", "min.cleanable.dirty.ratio", "cleanup.policy")} == {
        "preallocate": (1, "false"), "compression.type": (2, "producer"), "segment.bytes": (3, "1073741824"),
        "retention.ms": (5, "1000"), "min.cleanable.dirty.ratio": (6, "0.5"), "cleanup.policy": (7, "delete")}
    assert [(each["name"], each["value"], each["source"]) for each in of_topic["retention.ms"]["synonyms"]] == [
        ("retention.ms", "1000", 1), ("log.retention.ms", "604800000", 5)]
    assert of_topic["remote.storage.enable"]["synonyms"] == []
    assert of_broker["broker.rack"]["value"] is None
    # Without being asked for it, and of some alone.
    few = client.call("DescribeConfigs", 4, resources=[
        {"resource_type": TOPIC, "resource_name": "t", "configuration_keys": ["retention.ms", "nope"]}])["results"][0]["configs"]
    assert [(each["name"], each["documentation"], each["synonyms"]) for each in few] == [("retention.ms", None, [])]
    assert [creation(client, [topic(f"t{n}", **{name: value})], 4).popitem()[1] for n, (name, value) in enumerate((
        ("min_cleanable_dirty_ratio", "0.01"), ("min_cleanable_dirty_ratio", "2"), ("compression_zstd_level", "-7"),
        ("remote_storage_enable", "false"), ("remote_storage_enable", "true")))] == [0, 40, 0, 0, 40]


# ---- where clients are told to go ----

def told(port):
    """By each API that says it."""
    with Client(port) as client:
        use_groups(client)
        places = [client.call("Metadata", 9, topics=[])["brokers"][0], client.call("DescribeCluster", 1)["brokers"][0],
                  client.call("FindCoordinator", 2, key="g"), client.call("FindCoordinator", 4, coordinator_keys=["g"])["coordinators"][0]]
    assert len({(each["host"], each["port"]) for each in places}) == 1
    return places[0]["host"], places[0]["port"]


def ports(broker, count):
    """Where its listeners are; the first is not the only one that is announced."""
    wait_until(lambda: len(re.findall(r"served at", broker.log())) == count)
    return [int(port) for port in re.findall(r"served at 127\.0\.0\.1:(\d+) ", broker.log())]


def test_each_listener_tells_its_own_address(leat, tmp_path):
    file = tmp_path / "server.properties"
    file.write_text("listeners=INTERNAL://127.0.0.1:0,CONTROLLER://127.0.0.1:1,EXTERNAL://127.0.0.1:0,THIRD://127.0.0.1:0\n"
                    "advertised.listeners=INTERNAL://broker:29092,EXTERNAL://localhost:19092\n"
                    "listener.security.protocol.map=INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,THIRD:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
                    "controller.listener.names=CONTROLLER\nprocess.roles=broker,controller\n")
    broker = Broker(leat, tmp_path / "data", "--config", file, listen=False)
    first, second, third = ports(broker, 3)
    assert [told(port) for port in (first, second, third)] == [("broker", 29092), ("localhost", 19092), ("127.0.0.1", third)]
    assert broker.end() == 0


def test_the_command_line_goes_before_listeners(leat, tmp_path):
    settings = ["-o", "listeners=PLAINTEXT://127.0.0.1:1", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]
    broker = Broker(leat, tmp_path / "data", *settings, listen=False)
    assert [told(port)[1] for port in ports(broker, 2)] == ports(broker, 2)
    assert broker.end() == 0
    broker = Broker(leat, tmp_path / "data", *settings, "--advertise", "here.example:7", listen=False)
    assert {told(port) for port in ports(broker, 2)} == {("here.example", 7)}
    assert broker.end() == 0
    broker = Broker(leat, tmp_path / "data", *settings, "-o", "advertised.listeners=PLAINTEXT://there:8", listen=False)
    assert {told(port) for port in ports(broker, 2)} == {("there", 8)}
    assert broker.end() == 0


@pytest.mark.parametrize(("words", "says"), [
    (["--advertise", "0.0.0.0:9"], "--advertise: 0.0.0.0:9 is no address that clients can go to"),
    (["--advertise", "[::]:9"], "no address that clients can go to"),
    (["-o", "advertised.listeners=PLAINTEXT://0.0.0.0:9"], "advertised.listeners: 0.0.0.0:9 is no address"),
    # What --listen and --advertise replace is looked at all the same.
    (["-o", "advertised.listeners=PLAINTEXT://0.0.0.0:9", "--advertise", "h:1"], "advertised.listeners: 0.0.0.0:9 is no address"),
    (["-o", "advertised.listeners=PLAINTEXT://h", "--advertise", "h:1"], "must be HOST:PORT"),
    (["-o", "listeners=WHAT://127.0.0.1:1"], "does not say what WHAT stands for"),
    (["-o", "listeners=127.0.0.1:1"], "not of the form"),
    (["-o", "log.retention.hours=x", "-o", "log.retention.ms=5"], "log.retention.hours is a number, not 'x'"),
])
def test_what_clients_can_not_be_told(leat, tmp_path, words, says):
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", *words], cwd=tmp_path)
    assert ran.returncode in (1, 2) and says in ran.stderr and ran.stderr.count("\n") == 1, ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("settings", "says"), [
    (["listeners=SSL://127.0.0.1:0"], "only PLAINTEXT is supported"),
    (["listeners=PLAINTEXT://127.0.0.1:0", "advertised.listeners=OTHER://h:1"], "there is no listener OTHER"),
    (["listeners=PLAINTEXT://:0"], "or --advertise HOST:PORT"),
    (["listeners=A://127.0.0.1:0"], "does not say what A stands for"),
    (["process.roles=controller"], "this is a broker"),
    (["log.dirs=/a,/b"], "one directory"),
])
def test_listeners_that_can_not_be(leat, tmp_path, settings, says):
    command = [leat, "kafka", *(word for setting in settings for word in ("-o", setting))]
    ran = run(command, cwd=tmp_path)
    assert ran.returncode in (1, 2) and says in ran.stderr and ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# ---- what the coordinator keeps ----

def java_hash(text):
    value = 0
    for character in text:
        value = (value * 31 + ord(character)) % 2**32
    return abs(value - 2**32 if value >= 2**31 else value)


def commit_all(client, group, offset, count, metadata):
    answer = client.call("OffsetCommit", 8, group_id=group, generation_id_or_member_epoch=-1, topics=[
        {"name": "t", "partitions": [{"partition_index": number, "committed_offset": offset, "committed_metadata": metadata}
                                     for number in range(count)]}])
    assert {part["error_code"] for part in answer["topics"][0]["partitions"]} == {0}


@pytest.mark.parametrize("flush", [[], ["-o", "log.flush.interval.messages=1"]])
def test_the_log_of_offsets_is_written_anew_when_most_of_it_is_old(start_broker, flush):
    """What is committed meanwhile is kept like what was there; nothing of it is lost at the next start."""
    broker = start_broker("-o", "offsets.topic.num.partitions=3", *flush)
    with Client(broker.port) as client:
        make_topics(client, "t", partitions=100)
        use_groups(client)
        number = java_hash("g") % 3
        other = next(name for name in (f"other{n}" for n in range(9)) if java_hash(name) % 3 == number)

        def begins():
            answer = client.call("ListOffsets", 5, replica_id=-1, topics=[
                {"name": "__consumer_offsets", "partitions": [{"partition_index": number, "timestamp": -2}]}])
            return answer["topics"][0]["partitions"][0]["offset"]

        assert commit(client, other, "t", 5) == 0
        for offset in range(60):  # 400 KB each
            commit_all(client, "g", offset, 100, "m" * 4000)
        commit_all(client, "g", 60, 10, "later")
        while begins() == 0:
            commit_all(client, "g", 60, 10, "later")
        commit_all(client, "g", 61, 1, "last")
    for how in (signal.SIGTERM, signal.SIGKILL) if flush else (signal.SIGTERM,):
        broker.restart(how)
        with Client(broker.port) as client:
            assert begins() > 0
            assert committed(client, other, "t") == 5
            assert [committed(client, "g", "t", part) for part in (0, 1, 9, 10, 99)] == [61, 60, 60, 59, 59]


@pytest.mark.parametrize("given", ["data", "./data/", "link//"])
def test_the_directory_is_told_as_an_absolute_path(leat, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    broker = Broker(leat, given)
    try:
        with Client(broker.port) as client:
            told = client.call("DescribeLogDirs", 1, topics=None)["results"][0]["log_dir"]
        assert told == str(tmp_path) + "/" + given.rstrip("/")
    finally:
        assert broker.end() == 0, broker.log()


def test_the_directory_tells_its_sizes(broker, client):
    make_topics(client, "t", partitions=2)
    assert produce(client, record_batch([b"x" * 1000]), partition=1)["error_code"] == 0

    def described(topics, version=4):
        found = client.call("DescribeLogDirs", version, topics=topics)["results"]
        assert len(found) == 1 and found[0]["error_code"] == 0
        return found[0]

    found = described(None)
    assert found["log_dir"] == str(broker.data)
    assert 0 < found["usable_bytes"] <= found["total_bytes"]
    sizes = {part["partition_index"]: part["partition_size"] for part in found["topics"][0]["partitions"]}
    assert sizes[0] == 0 and sizes[1] > 1000
    for asked, there in (([0, 1, 7], [0, 1]), ([7], None), ([], None)):
        found = described([{"topic": "t", "partitions": asked}, {"topic": "nope", "partitions": [0]}], 1)["topics"]
        assert [[part["partition_index"] for part in each["partitions"]] for each in found] == ([there] if there else [])
