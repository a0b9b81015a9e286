"""What a start finds after a crash, a damaged disk or a restored backup, and what clients are told of it."""

import shutil
import signal
import struct

import pytest
from kafka_messages import Client, record_batch
from kafka_server import Broker
from test_kafka_protocol import commit, fetch, make_topics, part, produce, use_groups


@pytest.fixture
def start(leat, tmp_path):
    brokers = []

    def run(*arguments, data=tmp_path / "data"):
        brokers.append(Broker(leat, data, *arguments))
        return brokers[-1]

    yield run
    for broker in brokers:
        broker.end(signal.SIGKILL)


def batches_of(path):
    """(position, length, first offset, epoch) of each batch in a segment."""
    data, at = path.read_bytes(), 0
    while at + 61 <= len(data):
        offset, length, epoch = struct.unpack_from(">qii", data, at)
        yield at, length + 12, offset, epoch
        at += length + 12


def epochs_of(data, folder="t-0"):
    return [tuple(map(int, line.split())) for line in (data / folder / "leader-epoch-checkpoint").read_text().splitlines()[2:]]


def leader_epoch(client, topic="t"):
    return client.call("Metadata", 9, topics=[{"name": topic}])["topics"][0]["partitions"][0]["leader_epoch"]


def end_of_epoch(client, epoch, current=-1, topic="t"):
    found = client.call("OffsetForLeaderEpoch", 3, replica_id=-1, topics=[{"topic": topic, "partitions": [
        {"partition": 0, "current_leader_epoch": current, "leader_epoch": epoch}]}])["topics"][0]["partitions"][0]
    return found["error_code"] or (found["leader_epoch"], found["end_offset"])


def listed(client, timestamp, topic="t"):
    found = client.call("ListOffsets", 6, replica_id=-1, isolation_level=0, topics=[{"name": topic, "partitions": [
        {"partition_index": 0, "current_leader_epoch": -1, "timestamp": timestamp}]}])["topics"][0]["partitions"][0]
    return found["offset"], found["leader_epoch"]


def check_that_eight_is_where_the_logs_part(client, epoch):
    """A consumer that has read up to 11 in epoch 0 is told that it parts from the log at 8."""
    assert leader_epoch(client) == epoch
    assert end_of_epoch(client, 0, current=epoch) == (0, 8)
    assert end_of_epoch(client, epoch) == (epoch, 14)
    assert end_of_epoch(client, 0, current=0) == 74 and end_of_epoch(client, 0, current=epoch + 1) == 75
    assert (listed(client, -2), listed(client, -1)) == ((0, 0), (14, epoch))
    assert fetch(client, {"t": [part(0, 11, current_leader_epoch=0)]})["t", 0]["error_code"] == 74
    found = fetch(client, {"t": [part(0, 11, current_leader_epoch=epoch, last_fetched_epoch=0)]}, version=12)["t", 0]
    assert (found["error_code"], found["diverging_epoch"], found["records"]) == (0, {"epoch": 0, "end_offset": 8}, b"")
    assert (found["high_watermark"], found["log_start_offset"]) == (14, 0)
    # At 8 it goes on, and sees what stands there now.
    found = fetch(client, {"t": [part(0, 8, current_leader_epoch=epoch, last_fetched_epoch=0)]}, version=12)["t", 0]
    assert found["error_code"] == 0 and struct.unpack_from(">q", found["records"])[0] == 8
    assert struct.unpack_from(">i", found["records"], 12)[0] == epoch
    # Of an epoch that this log has never been in nobody can say where it ended.
    assert end_of_epoch(client, epoch + 3) == (-1, -1)
    found = fetch(client, {"t": [part(0, 8, last_fetched_epoch=epoch + 3)]}, version=12)["t", 0]
    assert found["error_code"] == 1


def test_a_crash_that_cost_records_begins_an_epoch(start, tmp_path):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t")
        use_groups(client)
        for _ in range(11):
            assert produce(client, record_batch([b"before"]))["error_code"] == 0
        assert commit(client, "g", "t", 11, committed_leader_epoch=0) == 0
        assert leader_epoch(client) == 0
    broker.end(signal.SIGKILL)
    log = tmp_path / "data/t-0/00000000000000000000.log"
    ninth = list(batches_of(log))[8]
    with open(log, "r+b") as file:
        file.truncate(ninth[0])  # as a power cut leaves it that came before a sync
    broker.start()
    with Client(broker.port) as client:
        for _ in range(6):
            assert produce(client, record_batch([b"after"]))["error_code"] == 0
        check_that_eight_is_where_the_logs_part(client, 1)
        use_groups(client)
        found = client.call("OffsetFetch", 7, group_id="g", topics=[{"name": "t", "partition_indexes": [0]}])
        found = found["topics"][0]["partitions"][0]
        assert (found["committed_offset"], found["committed_leader_epoch"]) == (11, 0)
    assert epochs_of(tmp_path / "data") == [(0, 0), (1, 8)]
    # A clean stop loses nothing: the epoch goes on.
    broker.restart()
    with Client(broker.port) as client:
        check_that_eight_is_where_the_logs_part(client, 1)
    # Nothing was lost here, but nobody can know that.
    broker.restart(signal.SIGKILL)
    with Client(broker.port) as client:
        assert leader_epoch(client) == 2 and end_of_epoch(client, 1) == (1, 14)
    assert epochs_of(tmp_path / "data") == [(0, 0), (1, 8), (2, 14)]


def test_an_epoch_is_used_once_also_where_all_of_it_is_lost(start, tmp_path):
    broker = start()
    log = tmp_path / "data/t-0/00000000000000000000.log"
    with Client(broker.port) as client:
        make_topics(client, "t")
        for _ in range(3):
            produce(client, record_batch([b"x"]))
    broker.end(signal.SIGKILL)
    for epoch in (1, 2, 3):
        broker.start()
        with Client(broker.port) as client:
            assert leader_epoch(client) == epoch
            assert produce(client, record_batch([b"x"]))["base_offset"] == 3
        broker.end(signal.SIGKILL)
        assert [batch[3] for batch in batches_of(log)] == [0, 0, 0, epoch]
        assert epochs_of(tmp_path / "data") == [(0, 0), (epoch, 3)]
        # Nothing is left of it but the file that says that it was.
        with open(log, "r+b") as file:
            file.truncate(list(batches_of(log))[3][0])


def test_a_restored_backup_begins_an_epoch(start, tmp_path):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t")
        for _ in range(8):
            produce(client, record_batch([b"before"]))
    assert broker.end() == 0
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    broker.start()
    with Client(broker.port) as client:
        for _ in range(3):
            produce(client, record_batch([b"before"]))
        assert leader_epoch(client) == 0
    assert broker.end() == 0
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "backup").rename(tmp_path / "data")
    broker.start()
    assert "was copied, restored" in broker.log() and "recovered" not in broker.log()
    with Client(broker.port) as client:
        for _ in range(6):
            produce(client, record_batch([b"after"]))
        check_that_eight_is_where_the_logs_part(client, 1)
    # It is this directory's own stop now.
    broker.restart()
    with Client(broker.port) as client:
        assert leader_epoch(client) == 1


def test_a_partition_whose_folder_is_gone_begins_an_epoch(start, tmp_path):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t")
        for _ in range(8):
            produce(client, record_batch([b"before"]))
    assert broker.end() == 0
    shutil.rmtree(tmp_path / "data/t-0")
    broker.start()
    with Client(broker.port) as client:
        assert produce(client, record_batch([b"after"]))["base_offset"] == 0
        assert end_of_epoch(client, 0) == (0, 0) and leader_epoch(client) == 1
