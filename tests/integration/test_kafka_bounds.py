"""`leat kafka` and clients that want more than their share: what others need is left."""

import os
from pathlib import Path

from kafka_batches import batch, record
from kafka_messages import Client
from kafka_server import Broker
from kafka_wire import connect, fetch, send_batch


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
