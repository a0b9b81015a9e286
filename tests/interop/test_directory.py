"""One directory, used by Apache Kafka and by leat in turn: records, committed offsets, topics and their settings,
producers and the lock."""

import contextlib
import signal
import socket
import subprocess
import time

import apache
import apache_kafka
import pytest
from test_dump_log import BUILD, build

kafka = pytest.importorskip("kafka", reason="python3-kafka is not installed")
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic  # noqa: E402

VERSIONS = ["3.9.2", "4.4.0"]
TOPIC = "orders"
COUNT = 3000  # records, over two partitions
SETTINGS = {"offsets_topic_num_partitions": 3, "log_segment_bytes": 1048576, "group_initial_rebalance_delay_ms": 0,
            "metadata_log_max_record_bytes_between_snapshots": 3000}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def client(kind, port, **options):
    """Tries until the broker answers."""
    for _ in range(120):
        try:
            return kind(bootstrap_servers=f"127.0.0.1:{port}", api_version=(2, 5, 0), **options)
        except kafka.errors.KafkaError:
            time.sleep(0.5)
    raise AssertionError("no broker answers")


@contextlib.contextmanager
def process(command):
    """Ends by SIGTERM, cleanly; is killed if it does not."""
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as running:
        try:
            yield running
            running.send_signal(signal.SIGTERM)
            running.wait(60)
        finally:
            running.kill()


class Directory:
    def __init__(self, folder, version):
        self.data, self.version = folder / "data", version
        self.properties = folder / "server.properties"
        self.port = free_port()
        apache_kafka.write_properties(self.properties, self.port, free_port(), self.data, **SETTINGS)
        subprocess.run(apache_kafka.format_command(self.properties, version), timeout=120, check=True,
                       capture_output=True)

    def apache(self):
        return process(apache_kafka.broker_command(self.properties, self.version, ["-Xmx512m"]))

    def leat(self):
        return process([BUILD / "leat", "kafka", self.data, "--listen", f"127.0.0.1:{self.port}"])

    @contextlib.contextmanager
    def admin(self):
        admin = client(kafka.KafkaAdminClient, self.port)
        yield admin
        admin.close()

    def settings(self, admin, topic):
        """Those that are the topic's own."""
        answer, = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {name: value for name, value, _, source, *_ in answer.resources[0][4] if source == 1}

    def alter(self, admin, topic, **settings):
        """In place of all that were its own."""
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic,
                                            {name.replace("_", "."): str(value) for name, value in settings.items()})])

    def snapshots(self):
        return [file for file in self.data.glob("__cluster_metadata-0/*.checkpoint") if not file.name.startswith("0" * 20)]

    def produce(self, first, count):
        # A topic just made may not have its leader yet: what is refused then is sent again, and stays in its order.
        producer = client(kafka.KafkaProducer, self.port, batch_size=3000, retries=100,
                          max_in_flight_requests_per_connection=1)
        sent = [producer.send(TOPIC, b"value %d " % i + b"x" * 200, partition=i % 2) for i in range(first, first + count)]
        producer.flush()
        assert all(future.succeeded() for future in sent)
        producer.close()

    def consume(self, count, group=None):
        """Each partition from its beginning: every record in its place. Commits for the group."""
        consumer = client(kafka.KafkaConsumer, self.port, group_id=group, enable_auto_commit=False,
                          consumer_timeout_ms=20000)
        partitions = [kafka.TopicPartition(TOPIC, i) for i in range(2)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        seen = [0, 0]
        for record in consumer:
            assert record.offset == seen[record.partition]
            assert record.value.startswith(b"value %d " % (2 * record.offset + record.partition))
            seen[record.partition] += 1
            if sum(seen) == count:
                break
        if group:
            consumer.commit()
        consumer.close()
        assert seen == [count // 2, count // 2]

    def committed(self, group):
        consumer = client(kafka.KafkaConsumer, self.port, group_id=group)
        offsets = [consumer.committed(kafka.TopicPartition(TOPIC, i)) for i in range(2)]
        consumer.close()
        return offsets


@pytest.fixture(params=VERSIONS)
def directory(request, tmp_path):
    apache.jars(request.param)
    build("leat")
    return Directory(tmp_path, request.param)


def test_kafka_then_leat_then_kafka(directory):
    with directory.apache():
        with directory.admin() as admin:
            admin.create_topics([NewTopic(TOPIC, 2, 1)])
        directory.produce(0, COUNT)
        directory.consume(COUNT, "group")
        # Two at once would ruin it.
        refused = subprocess.run([BUILD / "leat", "kafka", directory.data, "--listen", "127.0.0.1:0"], timeout=60,
                                 capture_output=True, text=True, check=False)
        assert refused.returncode == 1 and "locked by another process" in refused.stderr
    with directory.leat():
        assert directory.committed("group") == [COUNT // 2, COUNT // 2]
        directory.consume(COUNT)
        directory.produce(COUNT, COUNT)
        directory.consume(2 * COUNT, "group")
        other = directory.properties.with_name("other.properties")
        apache_kafka.write_properties(other, free_port(), free_port(), directory.data, **SETTINGS)
        refused = subprocess.run(apache_kafka.broker_command(other, directory.version), timeout=60,
                                 capture_output=True, check=False)
        assert refused.returncode != 0
        directory.consume(2 * COUNT)
    with directory.apache():
        directory.consume(2 * COUNT)
        assert directory.committed("group") == [COUNT, COUNT]


def test_either_goes_on_where_the_other_was_killed(directory):
    with directory.apache():
        with directory.admin() as admin:
            admin.create_topics([NewTopic(TOPIC, 2, 1)])
        directory.produce(0, COUNT)
    with directory.leat() as leat:
        directory.produce(COUNT, COUNT)
        leat.kill()
    with directory.apache() as kafka_broker:
        directory.consume(2 * COUNT)
        directory.produce(2 * COUNT, COUNT)
        kafka_broker.kill()
    with directory.leat():
        directory.consume(3 * COUNT)


def test_indexes_are_those_that_kafka_makes(directory):
    with directory.apache():
        with directory.admin() as admin:
            admin.create_topics([NewTopic(TOPIC, 2, 1)])
        directory.produce(0, 20000)
    indexes = {file: file.read_bytes() for file in directory.data.glob(f"{TOPIC}-*/*index")}
    assert len(indexes) >= 8
    # As after a crash that has left none of them.
    for file in [*indexes, directory.data / ".kafka_cleanshutdown", directory.data / "recovery-point-offset-checkpoint"]:
        file.unlink()
    with directory.leat():
        directory.consume(20000)
    for file, kafkas in indexes.items():
        assert file.read_bytes() == kafkas, file


def wait_for(what):
    for _ in range(240):
        if what():
            return
        time.sleep(0.25)
    raise AssertionError("in vain")


def prepare(directory):
    """Topics with settings, some of them changed, and one deleted, behind and before a snapshot."""
    with directory.apache(), directory.admin() as admin:
        admin.create_topics([NewTopic(TOPIC, 2, 1, topic_configs={"retention.ms": "1000000", "segment.ms": "700000"}),
                             NewTopic("deleted", 1, 1), NewTopic("doomed", 1, 1),
                             NewTopic("wide", 1, 1, topic_configs={"max.message.bytes": "2000000"})])
        directory.alter(admin, TOPIC, retention_ms=2000000, flush_messages=5)
        admin.create_partitions({"wide": NewPartitions(3)})
        admin.delete_topics(["deleted"])
        directory.produce(0, COUNT)
        # An idempotent producer: its id was given away.
        ran = subprocess.run(["kcat", "-P", "-b", f"127.0.0.1:{directory.port}", "-t", "doomed", "-X",
                              "enable.idempotence=true"], input=b"one\ntwo\n", timeout=60, check=False)
        assert ran.returncode == 0
        wait_for(directory.snapshots)
    with directory.apache(), directory.admin() as admin:
        directory.alter(admin, "doomed", retention_ms=5000000)


def test_topics_and_settings_go_there_and_back(directory):
    prepare(directory)
    ids = {folder.name: (folder / "partition.metadata").read_text() for folder in directory.data.glob("*-[0-9]")}
    with directory.leat(), directory.admin() as admin:
        assert set(admin.list_topics()) >= {TOPIC, "doomed", "wide"}
        assert "deleted" not in admin.list_topics()
        assert directory.settings(admin, TOPIC) == {"retention.ms": "2000000", "flush.messages": "5"}
        assert directory.settings(admin, "wide") == {"max.message.bytes": "2000000"}
        assert directory.settings(admin, "doomed") == {"retention.ms": "5000000"}
        assert len(next(iter(admin.describe_topics(["wide"])))["partitions"]) == 3
        directory.consume(COUNT)
        # Now leat changes things, of which Kafka's metadata will know nothing.
        directory.alter(admin, TOPIC, retention_ms=3000000, flush_messages=5)
        admin.create_topics([NewTopic("leats", 1, 1)])
        admin.create_partitions({"wide": NewPartitions(4)})
        admin.delete_topics(["doomed"])
    assert ids == {folder.name: (folder / "partition.metadata").read_text()
                   for folder in directory.data.glob("*-[0-9]") if folder.name in ids} | {
                       name: text for name, text in ids.items() if name.startswith("doomed")}
    with directory.apache(), directory.admin() as admin:
        assert directory.settings(admin, TOPIC) == {"retention.ms": "2000000", "flush.messages": "5"}
        assert "leats" not in admin.list_topics()
        directory.consume(COUNT)
        directory.alter(admin, TOPIC, retention_ms=2000000, flush_messages=5, segment_ms=800000)
        admin.create_topics([NewTopic("later", 1, 1, topic_configs={"retention.bytes": "123456789"})])
    # Kafka has set aside what it did not know, with all that was in it.
    assert list(directory.data.glob("leats-0.*-stray")) and list(directory.data.glob("wide-3.*-stray"))
    with directory.leat(), directory.admin() as admin:
        topics = set(admin.list_topics())
        # For Kafka it was still there, so it has made its folder again, empty.
        assert topics >= {TOPIC, "wide", "later", "doomed"} and not topics & {"leats", "deleted"}
        # What was set last, in whichever of them; for Kafka its alteration changed segment.ms alone.
        assert directory.settings(admin, TOPIC) == {"retention.ms": "3000000", "flush.messages": "5",
                                                    "segment.ms": "800000"}
        assert directory.settings(admin, "later") == {"retention.bytes": "123456789"}
        directory.consume(COUNT)
