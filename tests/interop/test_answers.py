"""What Apache Kafka and leat answer to the same requests, one after the other: field by field, but for texts and ids."""

import subprocess
import sys
import time
import uuid

import apache
import apache_kafka
import pytest
from test_directory import free_port, process
from test_dump_log import BUILD, build

sys.path.insert(0, str(apache.ROOT / "tests" / "integration"))
import kafka_settings  # noqa: E402
from kafka_messages import Client, record_batch  # noqa: E402
from kafka_server import wait_until  # noqa: E402

VERSION = "4.4.0"
NOW = int(time.time() * 1000)
# Texts are each broker's own, as are ids, where it keeps its data, and what it has of settings (another test).
OWN = {"error_message", "producer_id", "log_dir", "total_bytes", "usable_bytes", "configs", "cluster_id",
       "eligible_leader_replicas", "last_known_elr", "supported_features", "finalized_features", "finalized_features_epoch",
       "api_keys", "session_id", "batch_index_error_message"}
KEYS = ("name", "partition_index", "partition", "index", "group_id", "resource_name", "topic", "api_key", "user")


class Pair:
    def __init__(self, folder):
        self.folder = folder
        self.ports = {"kafka": free_port(), "leat": free_port()}
        self.properties = folder / "server.properties"
        apache_kafka.write_properties(self.properties, self.ports["kafka"], free_port(), folder / "kafka",
                                      group_initial_rebalance_delay_ms=0, num_partitions=1)

    def ask(self, name, version, fields):
        """Both answers; None where the connection ended."""
        answers = {}
        for who, port in self.ports.items():
            with Client(port) as client:
                try:
                    answers[who] = self.plain(client.call(name, version, **fields))
                except AssertionError:
                    answers[who] = None
        return answers

    def plain(self, value, key=""):
        if isinstance(value, dict):
            return {name: self.plain(each, name) for name, each in value.items() if name not in OWN}
        if isinstance(value, list):
            values = [self.plain(each, key) for each in value]
            if values and isinstance(values[0], dict):
                values.sort(key=lambda each: [str(each.get(name)) for name in KEYS])
            return values
        if isinstance(value, uuid.UUID):
            return "an id" if value.int else "none"
        if key == "port" and value in self.ports.values():
            return "its port"
        return len(value) if isinstance(value, bytes) else value

    def topics(self):
        with Client(self.ports["leat"]) as client:
            return [each["name"] for each in client.call("Metadata", 9, topics=None)["topics"] if each["name"][0] != "_"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    apache.jars(VERSION)
    build("leat")
    pair = Pair(tmp_path_factory.mktemp("answers"))
    subprocess.run(apache_kafka.format_command(pair.properties, VERSION), check=True, capture_output=True, timeout=120)
    leat = [BUILD / "leat", "kafka", "--listen", f"127.0.0.1:{pair.ports['leat']}", "-o", "group.initial.rebalance.delay.ms=0",
            pair.folder / "leat"]
    with process(apache_kafka.broker_command(pair.properties, VERSION, ["-Xmx512m"])), process(leat):
        for port in pair.ports.values():
            wait_until(lambda port=port: answers(port))
        yield pair


def answers(port):
    """Also for groups and producers, whose state is loaded in its own time."""
    try:
        with Client(port) as client:
            return (client.call("FindCoordinator", 4, coordinator_keys=["g"])["coordinators"][0]["error_code"] == 0 and
                    client.call("InitProducerId", 4, transactional_id=None, transaction_timeout_ms=1)["error_code"] == 0)
    except (OSError, AssertionError):
        return False


@pytest.fixture
def compare(pair):
    """Asks both; what differs fails at the end, all of it."""
    differ = []

    def ask(name, versions, **fields):
        for version in [versions] if isinstance(versions, int) else versions:
            found = pair.ask(name, version, fields)
            if found["kafka"] != found["leat"]:
                differ.append(f"{name} {version} {str(fields)[:300]}\n  Kafka: {found['kafka']}\n  leat:  {found['leat']}")

    # Topics of the test before.
    for port in pair.ports.values():
        with Client(port) as client:
            client.call("DeleteTopics", 4, topic_names=pair.topics(), timeout_ms=30000)
            client.call("CreateTopics", 4, timeout_ms=30000, topics=[
                topic("t", 2), topic("u"), topic("compacted", cleanup_policy="compact")])
            wait_until(lambda client=client: all(each["error_code"] == 0 for each in client.call(
                "Metadata", 9, topics=[{"name": name} for name in ("t", "u", "compacted")])["topics"]))
    yield ask
    assert not differ, "\n".join(differ)


def topic(name, partitions=1, replicas=1, assignments=(), **configs):
    return {"name": name, "num_partitions": partitions, "replication_factor": replicas,
            "assignments": [{"partition_index": number, "broker_ids": nodes} for number, nodes in assignments],
            "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}


def test_topics(compare):
    def create(versions, *topics, **fields):
        compare("CreateTopics", versions, topics=list(topics), timeout_ms=30000, **fields)

    create(5, topic("aa"))
    create(6, topic("a" * 249), topic("b" * 250), topic("x/y"), topic("."), topic(".."), topic(""), topic("a_b"))
    create(6, topic("a.b"), topic("aa"), topic("z", 0), topic("z1", -2), topic("z2", 1, 0), topic("z3", 1, 2), topic("z5", -1, -1))
    create(6, topic("d"), topic("d"), topic("e"))
    create(6, topic("many", 10001))
    for number, (name, value) in enumerate((
            ("nope", "1"), ("retention_ms", "x"), ("retention_ms", None), ("retention_ms", "-2"), ("cleanup_policy", ""),
            ("cleanup_policy", "foo"), ("cleanup_policy", " delete , compact"), ("compression_type", "GZIP"),
            ("preallocate", "yes"), ("preallocate", "TRUE"), ("min_insync_replicas", "3"), ("remote_storage_enable", "true"),
            ("min_cleanable_dirty_ratio", "0.25"), ("min_cleanable_dirty_ratio", "1.5"), ("compression_lz4_level", "18"))):
        create(6, topic(f"config{number}", **{name: value}))
    create(6, topic("h1", -1, -1, [(0, [1]), (1, [1])]), topic("h2", 2, -1, [(0, [1])]), topic("h3", -1, 1, [(0, [1])]),
           topic("h4", -1, -1, [(0, [2])]), topic("h5", -1, -1, [(1, [1])]), topic("h6", -1, -1, [(0, [1]), (0, [1])]),
           topic("h7", -1, -1, [(0, [])]), topic("h8", -1, -1, [(0, [1, 1])]))
    create(6, topic("v1", 2), topic("aa", 2), topic("v2", nope="1"), validate_only=True)
    for topics in ([("aa", 3, None), ("nope", 3, None), ("d", 1, None)], [("aa", 4, None), ("aa", 5, None)], [("aa", 0, None)],
                   [("aa", 20000, None)], [("aa", 4, [])], [("aa", 4, [[2]])], [("aa", 4, [[]])], [("aa", 4, [[1]])]):
        compare("CreatePartitions", 3, timeout_ms=30000, topics=[
            {"name": name, "count": count, "assignments": nodes and [{"broker_ids": each} for each in nodes]}
            for name, count, nodes in topics])
    compare("DeleteTopics", 6, timeout_ms=30000, topics=[{"name": "aa"}, {"name": "nope"}, {"name": "aa"}])
    compare("DeleteTopics", 6, timeout_ms=30000, topics=[{"name": "aa", "topic_id": uuid.UUID(int=5)}, {"name": "nope"}])
    compare("DeleteTopics", 6, timeout_ms=30000, topics=[{"name": None, "topic_id": uuid.UUID(int=5)}])
    compare("DeleteTopics", (1, 5), timeout_ms=30000, topic_names=["nope", "x/y"])
    compare("DeleteRecords", 2, timeout_ms=30000, topics=[
        {"name": name, "partitions": [{"partition_index": number, "offset": offset}]}
        for name, number, offset in (("u", 0, 0), ("t", 9, 0), ("nope", 0, 0), ("compacted", 0, 0))])
    compare("DeleteRecords", 2, timeout_ms=30000, topics=[
        {"name": "t", "partitions": [{"partition_index": number, "offset": offset} for number, offset in ((0, -1), (1, -2))]}])


def test_what_there_is(compare):
    for version in range(14):
        compare("Metadata", version, topics=[{"name": "t"}], include_topic_authorized_operations=True,
                include_cluster_authorized_operations=True)
    compare("Metadata", 1, topics=[])
    compare("Metadata", 9, allow_auto_topic_creation=False, topics=[{"name": name} for name in ("t", "x/y", "", "nope")])
    compare("Metadata", 12, topics=[{"name": None, "topic_id": uuid.UUID(int=5)}])
    compare("DescribeCluster", (0, 1, 2), include_cluster_authorized_operations=True)
    for endpoint in (0, 2, 3):
        compare("DescribeCluster", 2, endpoint_type=endpoint)
    for fields in ({}, {"response_partition_limit": 1}, {"response_partition_limit": -1},
                   {"response_partition_limit": 1, "cursor": {"topic_name": "t", "partition_index": 1}},
                   {"response_partition_limit": 10, "cursor": {"topic_name": "t", "partition_index": -1}},
                   {"response_partition_limit": 10, "cursor": {"topic_name": "tt", "partition_index": 0}}):
        twins = "t" * ("cursor" not in fields)  # a refusal has both
        compare("DescribeTopicPartitions", 0, topics=[{"name": name} for name in ("u", "t", "nope", "x/y", *twins)], **fields)
    for name, number in (("t", 0), ("t", 7), ("nope", 0)):
        compare("DescribeLogDirs", (1, 4), topics=[{"topic": name, "partitions": [number]}])
        compare("DescribeProducers", 0, topics=[{"name": name, "partition_indexes": [number]}])
        compare("ElectLeaders", (0, 1, 2), topic_partitions=[{"topic": name, "partitions": [number]}])
        for current, epoch in ((-1, 0), (0, 0), (5, 0), (0, 7), (0, -1)):
            compare("OffsetForLeaderEpoch", 4, replica_id=-1, topics=[{"topic": name, "partitions": [
                {"partition": number, "current_leader_epoch": current, "leader_epoch": epoch}]}])
    for name in ("", "a", "a b", "a-", "-a", "a_b", "x.y-1"):
        compare("ApiVersions", (3, 4, 5), client_software_name=name, client_software_version="1")
    for fields in ({"transactional_id": ""}, {"transactional_id": None, "producer_id": 5},
                   {"transactional_id": None, "producer_id": 5, "producer_epoch": 1}):
        compare("InitProducerId", 4, transaction_timeout_ms=1000, **fields)


def test_what_there_is_nothing_of(compare):
    rule = {"resource_type": 2, "resource_name": "t", "principal": "User:a", "host": "*", "operation": 3, "permission_type": 3}
    filters = {"resource_type_filter": 2, "operation": 1, "permission_type": 1}
    compare("DescribeAcls", (1, 3), **filters)
    compare("CreateAcls", (1, 3), creations=[rule, rule])
    compare("DeleteAcls", (1, 3), filters=[filters])
    compare("SaslHandshake", (0, 1), mechanism="PLAIN")
    compare("SaslAuthenticate", (0, 1, 2), auth_bytes=b"x")
    compare("ListPartitionReassignments", 0, topics=None)
    for name, number, replicas in (("t", 0, [1]), ("t", 0, []), ("t", 0, None), ("t", 0, [2]), ("t", 0, [1, 1]), ("t", 9, [1]), ("nope", 0, [1])):
        compare("AlterPartitionReassignments", (0, 1), topics=[{"name": name, "partitions": [{"partition_index": number, "replicas": replicas}]}])
    for name, number in (("t", 0), ("__cluster_metadata", 1)):
        compare("DescribeQuorum", (0, 1, 2), topics=[{"topic_name": name, "partitions": [{"partition_index": number}]}])
    for updates in ([], [{"feature": "nope", "max_version_level": 1}]):
        compare("UpdateFeatures", (0, 1, 2), feature_updates=updates)
    compare("UnregisterBroker", 0, broker_id=2)
    for component in ({"entity_type": "user", "match_type": 0, "match": "a"}, {"entity_type": "shoe", "match_type": 0, "match": "a"},
                      {"entity_type": "user", "match_type": 9, "match": "a"}, {"entity_type": "user", "match_type": 0, "match": None}):
        compare("DescribeClientQuotas", (0, 1), components=[component])
    compare("DescribeUserScramCredentials", 0, users=[{"name": name} for name in ("a", "b", "a", "")])
    compare("ListTransactions", (0, 1, 2), state_filters=["Ongoing", "Lost"])
    for kind in (16, 32):
        compare("ListConfigResources", 1, resource_types=[kind])
    compare("ListConfigResources", 1, resource_types=[99])
    for key_type in (2, 9):
        compare("FindCoordinator", (2, 4), key="x", coordinator_keys=["x"], key_type=key_type)


def test_settings(pair, compare):
    def alter(kind, name, *configs, **fields):
        compare("AlterConfigs", (0, 2), resources=[{"resource_type": kind, "resource_name": name, "configs": [
            {"name": key, "value": value} for key, value in configs]}], **fields)

    def increment(*configs, kind=2, name="t"):
        compare("IncrementalAlterConfigs", (0, 1), resources=[{"resource_type": kind, "resource_name": name, "configs": [
            {"name": key, "config_operation": operation, "value": value} for key, operation, value in configs]}])

    for kind, name, configs in (
            (2, "t", [("retention.ms", "5")]), (2, "t", [("retention.ms", None)]), (2, "t", [("nope", "1")]),
            (2, "t", [("retention.ms", "1"), ("retention.ms", "2")]), (2, "nope", [("retention.ms", "5")]),
            (2, "x/y", [("retention.ms", "5")]), (2, "", [("retention.ms", "5")]), (4, "2", [("log.retention.ms", "1")]),
            (4, "x", [("log.retention.ms", "1")]), (4, "1", [("node.id", "1")]), (99, "1", [("a", "b")]), (2, "t", [])):
        alter(kind, name, *configs)
    alter(2, "t", ("retention.ms", "5"), validate_only=True)
    for operation, name, value in (
            (0, "retention.ms", "7"), (0, "retention.ms", "x"), (0, "retention.ms", None), (0, "nope", "1"),
            (1, "retention.ms", None), (1, "nope", None), (2, "retention.ms", "5"), (2, "cleanup.policy", "compact"),
            (2, "cleanup.policy", "foo"), (3, "cleanup.policy", "delete"), (3, "cleanup.policy", "compact"), (0, "", "")):
        increment((name, operation, value))
    increment(("retention.ms", 0, "5"), ("retention.ms", 0, "6"))
    increment(("node.id", 0, "5"), kind=4, name="1")
    increment(("retention.ms", 0, "5"), name="nope")
    # Where one type is asked for which there is not the other is not asked, either.
    for kind, name in ((2, "nope"), (2, "x/y"), (4, "2"), (4, "x"), (8, ""), (16, ""), (32, ""), (0, "a"), (99, "a")):
        compare("DescribeConfigs", (1, 4), resources=[{"resource_type": kind, "resource_name": name, "configuration_keys": None}])
    found = {}
    for who, port in pair.ports.items():
        with Client(port) as client:
            results = client.call("DescribeConfigs", 4, resources=[
                {"resource_type": kind, "resource_name": name, "configuration_keys": None} for kind, name in ((2, "u"), (4, "1"))])["results"]
        found[who] = [{each["name"]: each for each in result["configs"]} for result in results]
    for number in (0, 1):
        for name, ours in found["leat"][number].items():
            theirs = found["kafka"][number].get(name)
            if name.startswith("leat."):
                continue
            assert theirs, f"Kafka has no setting {name}"
            texts = {text for text, _ in kafka_settings.texts()}
            assert name in texts or ours["config_type"] == theirs["config_type"], name
            assert number or ours["value"] == theirs["value"], name
            assert number or ours["read_only"] == theirs["read_only"], name


def part(number, offset=0, **fields):
    return {"partition": number, "fetch_offset": offset, "partition_max_bytes": 1 << 20, **fields}


def test_records(pair, compare):
    def produce(version=8, acks=-1, name="t", number=0, batch=None):
        batch = record_batch([b"v"] * 3, time_ms=NOW) if batch is None else batch
        compare("Produce", version, acks=acks, timeout_ms=30000, transactional_id=None, topic_data=[
            {"name": name, "partition_data": [{"index": number, "records": batch}]}])

    for version in (3, 5, 7, 8, 9, 10, 11):
        produce(version)
    for name, number in (("nope", 0), ("t", 9), ("x/y", 0), ("__consumer_offsets", 0)):
        produce(7, name=name, number=number)
    produce(acks=2)
    produce(6, batch=record_batch([b"v"], attributes=4))
    produce(name="u", batch=record_batch([b"x" * 2000], time_ms=NOW))
    for version in range(1, 12):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, NOW, NOW + 1, 0):
            compare("ListOffsets", version, replica_id=-1, topics=[{"name": "t", "partitions": [{"partition_index": 0, "timestamp": timestamp}]}])
    for fields in ({"partition_index": 9}, {"partition_index": 0, "current_leader_epoch": 0}, {"partition_index": 0, "current_leader_epoch": 5}):
        compare("ListOffsets", 7, replica_id=-1, topics=[{"name": "t", "partitions": [{"timestamp": -1, **fields}]}])

    def fetch(versions, *topics, **fields):
        compare("Fetch", versions, **{"replica_id": -1, "max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20, **fields},
                topics=[{"topic": name, "partitions": parts} for name, parts in topics])

    fetch((4, 5, 7, 9, 11, 12), ("t", [part(0), part(1)]), ("u", [part(0)]))
    for offset in (21, 22, -1, 4):
        fetch(11, ("t", [part(0, offset)]))
    fetch(11, ("t", [part(0, current_leader_epoch=0), part(1, current_leader_epoch=3)]))
    fetch(11, ("t", [part(0, partition_max_bytes=0), part(1)]))
    for fields in ({"max_bytes": 0}, {"max_bytes": 100}, {"max_bytes": 100, "min_bytes": 1 << 20, "max_wait_ms": 30000},
                   {"isolation_level": 1}, {"replica_id": 5}, {"replica_id": -2}, {"session_id": 77, "session_epoch": 5},
                   {"session_id": 77, "session_epoch": 0}, {"session_id": 0, "session_epoch": 5}):
        fetch(11, ("t", [part(0), part(1)]), **fields)
    producer = {}
    for who, port in pair.ports.items():
        with Client(port) as client:
            producer[who] = client.call("InitProducerId", 4, transactional_id=None, transaction_timeout_ms=1)["producer_id"]
    said = {who: [sequence(port, producer[who], *step) for step in SEQUENCES] for who, port in pair.ports.items()}
    assert said["kafka"] == said["leat"]


# Topic, records, epoch, first sequence.
SEQUENCES = [("u", 5, 0, 0), ("u", 5, 0, 0), ("u", 5, 0, 5), ("u", 5, 0, 20), ("u", 5, 0, 0)] + [("u", 1, 0, n) for n in range(10, 16)] + [
    ("u", 5, 0, 0), ("u", 2, 0, 15), ("u", 1, 1, 5), ("u", 1, 1, 0), ("u", 1, 0, 16), ("t", 1, 1, 7), ("t", 1, 1, 8), ("t", 1, 1, 2),
    ("t", 1, 5, 3), ("compacted", 3, 0, 2**31 - 2), ("compacted", 1, 0, 1), ("compacted", 3, 0, 2**31 - 2)]


def sequence(port, producer, name, count, epoch, first):
    with Client(port) as client:
        answer = client.call("Produce", 8, acks=-1, timeout_ms=30000, transactional_id=None, topic_data=[{"name": name, "partition_data": [
            {"index": 0, "records": record_batch([b"x"] * count, producer=producer, epoch=epoch, sequence=first)}]}])
    part = answer["responses"][0]["partition_responses"][0]
    return part["error_code"], part["base_offset"]


def test_offsets_and_groups_from_outside(compare):
    def commit(versions, group, topics, generation=-1, member=""):
        compare("OffsetCommit", versions, group_id=group, generation_id_or_member_epoch=generation, member_id=member, topics=[
            {"name": name, "partitions": [{"partition_index": number, "committed_offset": offset, "committed_metadata": text}]}
            for name, number, offset, text in topics])

    commit((2, 8, 9), "unknown", [("t", 0, 5, "m")], 1, "x")
    commit((2, 8, 9), "simple", [("t", 0, 5, "m"), ("u", 0, 1, "m" * 5000), ("nope", 0, 1, "")])
    commit(9, "simple", [("t", 9, 5, "m"), ("u", 0, 5, "m")])
    commit(9, "", [("t", 0, 5, "m")])
    commit(9, "simple", [("t", 0, 5, "m")], -1, "zz")
    commit(9, "simple", [("t", 0, -5, None)])
    commit(9, "simple", [("t", 0, 6, "m")], 1, "zz")
    asked = [{"name": "t", "partition_indexes": [0, 1, 9]}]
    for version in (1, 2, 7):
        for group in ("simple", "unknown", ""):
            compare("OffsetFetch", version, group_id=group, topics=asked)
            if version > 1:
                compare("OffsetFetch", version, group_id=group, topics=None)
    compare("OffsetFetch", (8, 9), groups=[{"group_id": group, "topics": topics} for group in ("simple", "unknown", "") for topics in (asked, None)])
    for group, name in (("", "t"), ("unknown", "t"), ("simple", "t"), ("simple", "nope")):
        compare("OffsetDelete", 0, group_id=group, topics=[{"name": name, "partitions": [{"partition_index": number} for number in (0, 9)]}])
    commit(9, "simple", [("t", 0, 5, "m")])
    compare("DescribeGroups", (0, 5, 6), groups=["simple", "nobody"], include_authorized_operations=True)
    compare("ListGroups", 5, states_filter=["nonsense"])
    compare("ListGroups", 5, types_filter=["consumer"])
    compare("DeleteGroups", (0, 1, 2), groups_names=["simple", "nobody"])
    for version in (0, 9):
        for fields in ({"group_id": ""}, {"session_timeout_ms": 5}, {"member_id": "x"}, {"member_id": "x", "session_timeout_ms": 5},
                       {"protocols": []}, {"protocol_type": ""}):
            compare("JoinGroup", version, **{**JOIN, "group_id": "nobody", **fields})
    for group in ("nobody", ""):
        compare("Heartbeat", (0, 4), group_id=group, generation_id=1, member_id="x")
        compare("SyncGroup", (0, 4, 5), group_id=group, generation_id=1, member_id="x")
        compare("SyncGroup", 5, group_id=group, generation_id=1, member_id="x", protocol_type="consumer", protocol_name="range")
        compare("LeaveGroup", (0, 2, 3, 5), group_id=group, member_id="x", members=[{"member_id": "x"}, {"group_instance_id": "i"}])


# ---- groups in motion ----

def protocols(*names):
    return [{"name": name, "metadata": b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"} for name in names]


JOIN = {"session_timeout_ms": 20000, "rebalance_timeout_ms": 20000, "protocol_type": "consumer", "protocols": protocols("range")}


class Group:
    """Members over a connection each, and what they were told; their ids go by the names they have here."""

    def __init__(self, port, group, version):
        self.port, self.group, self.version = port, group, version
        self.connections, self.ids, self.told = {}, {}, []

    def connection(self, who):
        if who not in self.connections:
            self.connections[who] = Client(self.port, client=b"client")
        return self.connections[who]

    def name(self, member):
        names = [name for name, known in self.ids.items() if known == member]
        return names[-1] if names else "somebody" if member else ""

    def tell(self, answer):
        answer = {key: self.name(value) if key in ("member_id", "leader") else value for key, value in answer.items()}
        if "members" in answer:
            answer["members"] = sorted((self.name(each["member_id"]), each.get("error_code", 0), each.get("group_instance_id") or "")
                                       for each in answer["members"])
        self.told.append(answer)

    def ask(self, who, api, version, later, fields):
        self.connection(who).send(api, version, group_id=self.group, **fields)
        if not later:
            self.answer(who)

    def answer(self, who):
        answer = self.connection(who).answer()
        if answer.get("member_id") and answer["member_id"] not in self.ids.values():
            self.ids[who] = answer["member_id"]
        self.tell(answer)

    def join(self, who, later=False, member=None, **fields):
        self.ask(who, "JoinGroup", self.version, later, {**JOIN, "member_id": self.ids.get(who, "") if member is None else member, **fields})

    def sync(self, who, generation, assign=(), later=False, **fields):
        version = min(self.version, 5)
        named = {"protocol_type": "consumer", "protocol_name": "range"} if version == 5 else {}
        self.ask(who, "SyncGroup", version, later, {"generation_id": generation, "member_id": self.ids[who], "assignments": [
            {"member_id": self.ids[other], "assignment": other.encode()} for other in assign], **named, **fields})

    def beat(self, who, generation, **fields):
        self.ask(who, "Heartbeat", 4, False, {"generation_id": generation, "member_id": self.ids[who], **fields})

    def commit(self, who, generation, **fields):
        self.ask(who, "OffsetCommit", 8, False, {"generation_id_or_member_epoch": generation, "member_id": self.ids[who], "topics": [
            {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 1}]}], **fields})

    def leave(self, who, *members):
        self.ask(who, "LeaveGroup", 5, False, {"members": [
            {"member_id": self.ids.get(name, name), "group_instance_id": instance} for name, instance in members]})

    def wait_for(self, state):
        wait_until(lambda: self.described()["group_state"] == state)

    def described(self):
        with Client(self.port) as client:
            return client.call("DescribeGroups", 5, groups=[self.group])["groups"][0]

    def describe(self):
        found = self.described()
        self.told.append((found["group_state"], found["protocol_type"], found["protocol_data"], sorted(
            (self.name(each["member_id"]), each["group_instance_id"] or "", len(each["member_metadata"]), each["member_assignment"],
             each["client_id"], each["client_host"]) for each in found["members"])))


def two_members(g):
    """One joins a stable group; both go again."""
    g.join("a")
    g.join("a")
    g.sync("a", 1, "a")
    g.beat("a", 1)
    g.describe()
    g.join("b")
    g.join("b", later=True)
    g.wait_for("PreparingRebalance")
    g.describe()
    g.beat("a", 1)
    g.sync("a", 1)
    g.commit("a", 1)
    g.join("a", later=True)
    g.answer("a")
    g.answer("b")
    g.describe()
    for who, generation in (("a", 2), ("b", 2), ("b", 1)):
        g.beat(who, generation)
    g.commit("b", 2)
    g.join("b")
    g.sync("b", 2, later=True)
    g.sync("a", 2, "ab")
    g.answer("b")
    g.describe()
    g.sync("b", 2)
    g.sync("b", 1)
    g.join("b")
    g.commit("b", 2)
    g.commit("b", -1)
    g.commit("b", -1, member_id="")
    g.join("a", later=True)
    g.wait_for("PreparingRebalance")
    g.beat("b", 2)
    g.leave("b", ("b", None), ("stranger", None), ("", "i"))
    g.answer("a")
    g.describe()
    g.sync("a", 3, "a")
    g.leave("a", ("a", None))
    g.describe()
    g.beat("a", 3)
    g.sync("a", 4)
    g.join("a")
    g.commit("a", -1, member_id="")
    g.commit("a", 4)


def static_members(g):
    """They come back under their names, in each state."""
    one, two = {"group_instance_id": "one"}, {"group_instance_id": "two"}
    g.join("a", **one)
    g.sync("a", 1, "a", **one)
    g.describe()
    g.join("a2", **one)
    g.describe()
    g.beat("a", 1, **one)
    g.beat("a2", 1, **one)
    g.beat("a2", 1)
    g.commit("a", 1, **one)
    g.commit("a2", 1, **one)
    g.sync("a2", 1, ["a2"], **one)
    g.sync("a", 1, **one)
    g.join("b", later=True, **two)
    g.wait_for("PreparingRebalance")
    g.join("a2", later=True, **one)
    g.answer("a2")
    g.answer("b")
    g.sync("b", 2, later=True, **two)
    g.sync("a2", 2, ["a2", "b"], **one)
    g.answer("b")
    g.join("b2", **two)
    g.describe()
    g.beat("b2", 2, **two)
    g.beat("b", 2, **two)
    g.join("a2", later=True, **one)
    g.wait_for("PreparingRebalance")
    g.join("b3", later=True, **two)
    g.answer("a2")
    g.answer("b3")
    g.describe()
    g.join("b4", later=True, **two)
    g.wait_for("PreparingRebalance")
    g.beat("a2", 3, **one)
    g.join("a2", later=True, **one)
    g.answer("a2")
    g.answer("b4")
    g.describe()
    g.sync("a2", 4, ["a2", "b4"], **one)
    g.join("b5", protocols=protocols("range", "other"), **two)
    g.describe()
    g.join("a2", member="stranger", **one)
    g.leave("a2", ("", "two"), ("", "nobody"), ("b", "one"))
    g.describe()
    g.leave("a2", ("a2", "one"))
    g.describe()


def no_common_protocol(g):
    g.join("a")
    g.join("b", protocols=protocols("other"))
    g.join("b", protocol_type="other")
    g.join("b", protocols=[])
    g.describe()


@pytest.mark.parametrize(("scenario", "version"), [(two_members, 5), (two_members, 9), (static_members, 5), (static_members, 9),
                                                   (no_common_protocol, 3)])
def test_groups_in_motion(pair, compare, scenario, version):
    told = {}
    for who, port in pair.ports.items():
        group = Group(port, f"{scenario.__name__}-{version}", version)
        scenario(group)
        told[who] = group.told
        for connection in group.connections.values():
            connection.close()
    assert len(told["kafka"]) == len(told["leat"]) > 4
    for number, (kafka, leat) in enumerate(zip(told["kafka"], told["leat"])):
        assert kafka == leat, f"step {number}"
