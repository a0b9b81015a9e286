"""One directory, used by Apache Kafka and by leat in turn: records, committed offsets and the lock."""

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

TOPIC = "orders"
COUNT = 3000  # records, over two partitions
SETTINGS = {"offsets_topic_num_partitions": 3, "log_segment_bytes": 200000, "group_initial_rebalance_delay_ms": 0}


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
    def __init__(self, folder):
        self.data = folder / "data"
        self.properties = folder / "server.properties"
        self.port = free_port()
        apache_kafka.write_properties(self.properties, self.port, free_port(), self.data, **SETTINGS)

    def apache(self):
        return process(apache_kafka.broker_command(self.properties, options=["-Xmx512m"]))

    def leat(self):
        return process([BUILD / "leat", "kafka", self.data, "--listen", f"127.0.0.1:{self.port}"])

    def produce(self, first, count):
        producer = client(kafka.KafkaProducer, self.port, batch_size=3000)
        for i in range(first, first + count):
            producer.send(TOPIC, b"value %d " % i + b"x" * 200, partition=i % 2)
        producer.flush()
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


def test_kafka_then_leat_then_kafka(tmp_path):
    apache.jars()
    build("leat")
    directory = Directory(tmp_path)
    subprocess.run(apache_kafka.format_command(directory.properties), timeout=120, check=True, capture_output=True)
    with directory.apache():
        admin = client(kafka.KafkaAdminClient, directory.port)
        admin.create_topics([kafka.admin.NewTopic(TOPIC, 2, 1)])
        admin.close()
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
    with directory.apache():
        directory.consume(2 * COUNT)
        assert directory.committed("group") == [COUNT, COUNT]
