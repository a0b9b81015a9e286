"""What Apache Kafka and leat say to the same batches, and what each has in its log afterwards."""

import subprocess
import sys
import time

import apache
import apache_kafka
import pytest
from test_directory import client, free_port, process
from test_dump_log import BUILD, build

sys.path.insert(0, str(apache.ROOT / "tests" / "integration"))
from kafka_batches import send_one  # noqa: E402
from kafka_cases import HOUR, TOPICS, cases  # noqa: E402

kafka_admin = pytest.importorskip("kafka.admin", reason="python3-kafka is not installed")
for module in ("snappy", "lz4.frame", "zstandard"):
    pytest.importorskip(module)


class Pair:
    def __init__(self, folder):
        self.folder = folder
        self.ports = {name: free_port() for name in ("kafka", "leat")}
        self.properties = folder / "server.properties"
        # The default of version 4.
        apache_kafka.write_properties(self.properties, self.ports["kafka"], free_port(), folder / "kafka",
                                      log_message_timestamp_after_max_ms=HOUR)

    def send(self, name, topic, data):
        return send_one(f"127.0.0.1:{self.ports[name]}", topic, data)

    def log(self, name, topic):
        return (self.folder / name / f"{topic}-0" / f"{0:020}.log").read_bytes()


def make_topics(port):
    admin = client(kafka_admin.KafkaAdminClient, port)
    admin.create_topics([kafka_admin.NewTopic(name, 1, 1, topic_configs=config) for name, config in TOPICS.items()])
    admin.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    apache.jars()
    build("leat")
    pair = Pair(tmp_path_factory.mktemp("pair"))
    subprocess.run(apache_kafka.format_command(pair.properties), check=True, capture_output=True, timeout=120)
    leat = [BUILD / "leat", "kafka", "--listen", f"127.0.0.1:{pair.ports['leat']}", pair.folder / "leat"]
    with process(apache_kafka.broker_command(pair.properties, options=["-Xmx512m"])), process(leat):
        for port in pair.ports.values():
            make_topics(port)
        yield pair


def same_from_the_magic_on(one, other):
    return one[16:] == other[16:]


def test_answers_and_logs_are_the_same(pair):
    """Where leat is stricter, kafka_cases.py says so."""
    now = int(time.time() * 1000)
    before = {name: {topic: 0 for topic in TOPICS} for name in pair.ports}
    differ, compared = [], 0
    for case in cases(now):
        kafka = pair.send("kafka", case.topic, case.data)
        leat = pair.send("leat", case.topic, case.data)
        wanted = case.error if case.kafka is None else case.kafka
        indexes = [index for index, _ in kafka.records]
        if (kafka.error, indexes) != (wanted, [] if case.kafka is not None else list(case.records)):
            differ.append(f"{case}: Kafka says {kafka}")
        if (leat.error, [index for index, _ in leat.records]) != (case.error, list(case.records)):
            differ.append(f"{case}: leat says {leat}")
        new = {}
        for name in pair.ports:
            log = pair.log(name, case.topic)
            new[name] = log[before[name][case.topic]:]
            before[name][case.topic] = len(log)
        # The broker's times are different ones.
        if case.kafka is None and case.topic != "append":
            compared += len(new["kafka"]) > 0
            if not same_from_the_magic_on(new["kafka"], new["leat"]):
                differ.append(f"{case}: the logs differ")
    assert not differ, "\n".join(differ)
    assert compared > 60
