"""`leat kafka` through administration clients: topics, settings, groups, idempotent producers."""

import contextlib
import subprocess

import pytest
from kafka_server import consume, needs_kcat, produce, wait_until
from support import TIMEOUT, run, started


@pytest.fixture
def admin(broker):
    """confluent-kafka's."""
    return pytest.importorskip("confluent_kafka.admin").AdminClient({"bootstrap.servers": broker.address})


@pytest.fixture
def kafka_admin(broker):
    """kafka-python's."""
    kafka = pytest.importorskip("kafka.admin")
    client = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
    yield client
    client.close()


def outcome(futures):
    """Name to None, or to the name of the error."""
    found = {}
    for name, future in futures.items():
        try:
            future.result(TIMEOUT)
            found[name] = None
        except Exception as error:  # noqa: BLE001 (what the client raises is its own)
            found[name] = error.args[0].name()
    return found


def new_topic(name, partitions=3, replicas=1, **config):
    from confluent_kafka.admin import NewTopic
    return NewTopic(name, partitions, replicas, config={key.replace("_", "."): value for key, value in config.items()})


def test_topics_are_made_grown_and_removed(broker, admin):
    from confluent_kafka.admin import NewPartitions
    assert outcome(admin.create_topics([new_topic("a"), new_topic("b", 1, retention_ms="1000")])) == {"a": None, "b": None}
    assert outcome(admin.create_topics([new_topic("a"), new_topic("c", 0), new_topic("d", 1, 3), new_topic("e/f"),
                                        new_topic("g", 1, no_such="1"), new_topic("h", 1, retention_ms="x"),
                                        new_topic("__consumer_offsets", 1)])) == {
        "a": "TOPIC_ALREADY_EXISTS", "c": "INVALID_PARTITIONS", "d": "INVALID_REPLICATION_FACTOR",
        "e/f": "TOPIC_EXCEPTION", "g": "INVALID_CONFIG", "h": "INVALID_CONFIG", "__consumer_offsets": "TOPIC_EXCEPTION"}
    assert len(admin.list_topics(timeout=TIMEOUT).topics["a"].partitions) == 3
    assert outcome(admin.create_partitions([NewPartitions("a", 5)])) == {"a": None}
    assert outcome(admin.create_partitions([NewPartitions("a", 4)])) == {"a": "INVALID_PARTITIONS"}
    broker.restart()
    topics = admin.list_topics(timeout=TIMEOUT).topics
    assert {name: len(topics[name].partitions) for name in topics} == {"a": 5, "b": 1}
    assert outcome(admin.delete_topics(["a", "nope"])) == {"a": None, "nope": "UNKNOWN_TOPIC_OR_PART"}
    assert set(admin.list_topics(timeout=TIMEOUT).topics) == {"b"}


def test_settings_of_topics_are_described_and_changed(admin):
    from confluent_kafka.admin import ConfigResource
    outcome(admin.create_topics([new_topic("t", retention_ms="5000")]))

    def described(kind, name):
        return admin.describe_configs([ConfigResource(kind, name)])[ConfigResource(kind, name)].result(TIMEOUT)

    found = described("topic", "t")
    assert found["retention.ms"].value == "5000" and found["retention.ms"].source == 1
    assert found["segment.bytes"].value == "1073741824" and found["segment.bytes"].source == 5
    assert found["cleanup.policy"].value == "delete" and len(found) == 37
    resource = ConfigResource("topic", "t", set_config={"segment.bytes": "20000", "cleanup.policy": "compact,delete"})
    admin.alter_configs([resource])[resource].result(TIMEOUT)
    found = described("topic", "t")
    assert found["segment.bytes"].value == "20000" and found["cleanup.policy"].value in ("compact,delete", "delete,compact")
    assert found["retention.ms"].source == 5  # what is not named is as if it had never been set
    found = described("broker", "1")
    assert found["num.partitions"].value == "2" and found["num.partitions"].source == 4
    assert found["log.retention.ms"].value == "604800000" and found["log.retention.ms"].is_read_only


def test_groups_are_listed_described_and_removed(broker, kafka_admin):
    kafka = pytest.importorskip("kafka")
    produce(broker, "t", [b"x"] * 10)
    consumer = kafka.KafkaConsumer("t", bootstrap_servers=broker.address, group_id="g", auto_offset_reset="earliest",
                                   consumer_timeout_ms=2000)
    assert len(list(consumer)) == 10
    consumer.commit()
    assert ("g", "consumer") in kafka_admin.list_consumer_groups()
    described = kafka_admin.describe_consumer_groups(["g"])[0]
    assert described.state == "Stable" and len(described.members) == 1
    assert described.members[0].client_host == "/127.0.0.1"
    assert kafka_admin.delete_consumer_groups(["g"])[0][1].__name__ == "NonEmptyGroupError"
    offsets = kafka_admin.list_consumer_group_offsets("g")
    assert sum(offset.offset for offset in offsets.values()) == 10
    consumer.close()
    wait_until(lambda: kafka_admin.describe_consumer_groups(["g"])[0].state == "Empty")
    assert kafka_admin.delete_consumer_groups(["g"])[0][1].__name__ == "NoError"
    assert kafka_admin.delete_consumer_groups(["g"])[0][1].__name__ == "GroupIdNotFoundError"
    assert kafka_admin.list_consumer_groups() == []


@needs_kcat
def test_idempotent_producers(broker):
    sent = [b"%05d" % n for n in range(3000)]
    produce(broker, "t", sent, "-X", "enable.idempotence=true", "-p", "0")
    broker.restart()
    produce(broker, "t", sent, "-X", "enable.idempotence=true", "-p", "0")
    assert consume(broker, "t", "-p", "0") == sent + sent


@needs_kcat
def test_a_topic_that_is_removed_while_it_is_read(broker, admin):
    produce(broker, "t", [b"x" * 1000] * 1000, "-p", "0")
    assert outcome(admin.delete_topics(["t"])) == {"t": None}
    ran = run(["kcat", "-b", broker.address, "-C", "-t", "t", "-p", "0", "-e", "-q", "-X", "allow.auto.create.topics=false"])
    assert ran.returncode != 0 or ran.stdout == b""


@needs_kcat
def test_members_that_die_lose_nothing(start_broker, tmp_path):
    """Three members, one killed and one new in the middle: together they saw everything."""
    broker = start_broker("-o", "num.partitions=4")
    watcher = pytest.importorskip("confluent_kafka.admin").AdminClient({"bootstrap.servers": broker.address})
    sent = [b"%05d" % n for n in range(4000)]
    produce(broker, "t", [b"begin"])
    command = ["kcat", "-b", broker.address, "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000",
               "-X", "auto.commit.interval.ms=200", "-u", "-q", "-G", "g", "t"]
    files = [tmp_path / f"member{n}" for n in range(4)]
    with contextlib.ExitStack() as stack:
        def member(n):
            return stack.enter_context(started(command, stdout=stack.enter_context(open(files[n], "wb")),
                                               stderr=subprocess.DEVNULL))

        def seen():
            return set(b"".join(file.read_bytes() for file in files if file.exists()).split(b"\n"))

        def is_stable():
            found = watcher.list_groups("g", TIMEOUT)
            return found and found[0].state == "Stable" and len(found[0].members) == 3

        members = [member(n) for n in range(3)]
        wait_until(is_stable)
        for n in range(0, 4000, 400):
            produce(broker, "t", sent[n:n + 400])
            if n == 1200:
                members[0].kill()
            if n == 2000:
                member(3)
        wait_until(lambda: seen() >= set(sent))
    assert seen() - set(sent) <= {b"begin", b""}
