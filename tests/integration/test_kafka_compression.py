"""`leat kafka` and compressed batches: what is taken, what is refused and how, what is stored."""

import struct
import time

import pytest
from kafka_batches import COMPRESS, batch, batch_of, record, records, send, send_one
from kafka_cases import TOPICS, cases
from kafka_server import consume, needs_kcat, produce

for module in ("snappy", "lz4.frame", "zstandard"):
    pytest.importorskip(module)

COMPRESSED = [codec for codec in COMPRESS if codec != "none"]


@pytest.fixture
def topics(broker):
    """Those of the table."""
    admin = pytest.importorskip("confluent_kafka.admin")
    client = admin.AdminClient({"bootstrap.servers": broker.address})
    made = client.create_topics([admin.NewTopic(name, num_partitions=1, replication_factor=1, config=config)
                                 for name, config in TOPICS.items()])
    for future in made.values():
        future.result(60)


def stored(broker, topic, partition=0):
    """The batches of the log."""
    data = (broker.data / f"{topic}-{partition}" / f"{0:020}.log").read_bytes()
    found = []
    while data:
        size = 12 + struct.unpack_from(">i", data, 8)[0]
        found.append(data[:size])
        data = data[size:]
    return found


def now_ms():
    return int(time.time() * 1000)


def test_each_batch_gets_kafkas_answer(broker, topics):
    taken = {name: 0 for name in TOPICS}
    wrong = []
    for case in cases(now_ms()):
        outcome = send_one(broker.address, case.topic, case.data)
        if (outcome.error, tuple(index for index, _ in outcome.records)) != (case.error, case.records):
            wrong.append(f"{case}: {outcome}")
        taken[case.topic] += outcome.error == 0
        # What was refused left nothing behind.
        assert len(stored(broker, case.topic)) == taken[case.topic], case
    assert not wrong, "\n".join(wrong)
    assert sum(taken.values()) > 70
