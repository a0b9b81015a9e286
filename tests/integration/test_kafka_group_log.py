"""What `leat kafka` keeps of groups in __consumer_offsets: written anew when it has grown, read again at the next start."""

import signal
import struct
import time

import pytest
from kafka_messages import Client, record_batch
from kafka_server import wait_until

SMALL = 8 << 20  # the log is written anew from 16 MiB on


def log_bytes(data):
    return sum(path.stat().st_size for path in data.glob("__consumer_offsets-*/*.log"))


def commit(client, group, partitions, offset, metadata="m" * 4000):
    answer = client.call("OffsetCommit", 7, group_id=group, generation_id_or_member_epoch=-1, topics=[{
        "name": "t", "partitions": [{"partition_index": number, "committed_offset": offset, "committed_metadata": metadata}
                                    for number in partitions]}])
    return {each["error_code"] for each in answer["topics"][0]["partitions"]}


def committed(client, group):
    answer = client.call("OffsetFetch", 7, group_id=group, topics=None)
    return {each["partition_index"]: each["committed_offset"] for topic in answer["topics"] for each in topic["partitions"]}


def begin(start_broker, tmp_path, *arguments):
    broker = start_broker("-o", "num.partitions=400", "-o", "offsets.topic.num.partitions=1",
                          "-o", "offsets.topic.segment.bytes=4194304", "-o", "log.segment.delete.delay.ms=100", *arguments)
    with Client(broker.port) as client:
        client.call("Metadata", 9, topics=[{"name": "t"}], allow_auto_topic_creation=True)
        client.call("FindCoordinator", 4, coordinator_keys=["g"])
    return broker, tmp_path / "data"


def grow(client, group="g"):
    """Beyond 16 MiB, of which 1.6 are true: more than one batch takes."""
    for offset in range(12):
        assert commit(client, group, range(200), offset) == {0}
        assert commit(client, group, range(200, 400), offset) == {0}


def test_a_group_of_more_offsets_than_a_batch_takes_is_written_anew(start_broker, tmp_path):
    broker, data = begin(start_broker, tmp_path)
    with Client(broker.port) as client:
        assert commit(client, "another", range(10), 7) == {0}
        grow(client)
        wait_until(lambda: log_bytes(data) < SMALL)
    assert "could not be rewritten" not in broker.log()
    broker.restart(signal.SIGKILL)
    with Client(broker.port) as client:
        assert committed(client, "g") == {number: 11 for number in range(400)}
        assert committed(client, "another") == {number: 7 for number in range(10)}


def test_a_group_of_more_offsets_than_a_batch_takes_can_go(start_broker, tmp_path):
    """Deleted, or its topic is: neither comes back with the next start."""
    broker, _ = begin(start_broker, tmp_path, "-o", "message.max.bytes=1200")
    with Client(broker.port) as client:
        for group in ("g", "h"):
            for first in range(0, 400, 10):
                assert commit(client, group, range(first, first + 10), 5, "") == {0}
        assert [each["error_code"] for each in client.call("DeleteGroups", 1, groups_names=["g"])["results"]] == [0]
    broker.restart(signal.SIGKILL)
    with Client(broker.port) as client:
        assert committed(client, "g") == {}
        assert committed(client, "h") == {number: 5 for number in range(400)}
        assert [each["error_code"] for each in client.call("DeleteTopics", 4, topic_names=["t"])["responses"]] == [0]
        assert committed(client, "h") == {}
    broker.restart(signal.SIGKILL)
    with Client(broker.port) as client:
        assert committed(client, "h") == {}


def test_what_cannot_be_written_anew_is_not_tried_all_the_time(start_broker, tmp_path):
    """Offsets that are larger than what their log takes by now: each try would append the others once more."""
    broker, data = begin(start_broker, tmp_path)
    with Client(broker.port) as client:
        assert commit(client, "g", range(200), 1) == {0}
    broker.end()
    broker.arguments += ["-o", "message.max.bytes=2000"]
    broker.start()
    with Client(broker.port) as client:
        for offset in range(12000):
            assert commit(client, "small", [0], offset, "m" * 1500) == {0}
        wait_until(lambda: "could not be rewritten" in broker.log())
        time.sleep(3)  # it is looked at each second
        assert committed(client, "small") == {0: 11999}
    assert broker.log().count("could not be rewritten") == 1
    assert log_bytes(data) > SMALL


def test_a_rebalance_is_not_kept_as_if_it_had_ended(start_broker, tmp_path):
    """The log is written anew while the leader assigns, then the broker dies: members must not be told that they have nothing."""
    broker, data = begin(start_broker, tmp_path)
    member = {"group_id": "r", "session_timeout_ms": 60000, "rebalance_timeout_ms": 60000, "protocol_type": "consumer",
              "protocols": [{"name": "range", "metadata": b"x"}]}
    with Client(broker.port) as client:
        joined = client.call("JoinGroup", 3, **member)
        assert joined["error_code"] == 0 and joined["leader"] == joined["member_id"]
        grow(client)
        wait_until(lambda: log_bytes(data) < SMALL)
    broker.restart(signal.SIGKILL)
    with Client(broker.port) as client:
        synced = client.call("SyncGroup", 3, group_id="r", generation_id=joined["generation_id"], member_id=joined["member_id"], assignments=[])
        assert synced["error_code"] == 25  # UNKNOWN_MEMBER_ID
        joined_again = client.call("JoinGroup", 3, **member)
        assert joined_again["error_code"] == 0 and joined_again["generation_id"] > joined["generation_id"]


def string(text):
    return struct.pack(">h", len(text)) + text


@pytest.mark.parametrize("count", [3, 30000])
def test_a_group_of_many_members_is_read(start_broker, tmp_path, count):
    """As Kafka writes it."""
    broker, data = begin(start_broker, tmp_path)
    broker.end()
    value = struct.pack(">h", 3) + string(b"consumer") + struct.pack(">i", 42) + string(b"range") + string(b"m0") + struct.pack(">q", 1)
    value += struct.pack(">i", count)
    for number in range(count):
        value += string(b"m%d" % number) + struct.pack(">h", -1) + string(b"") + string(b"") + struct.pack(">iiii", 60000, 60000, 0, 0)
    (log,) = data.glob("__consumer_offsets-0/*.log")
    log.write_bytes(record_batch([value], key=struct.pack(">h", 2) + string(b"many")))
    # What points into it is made anew, as after a crash.
    for file in [*log.parent.glob("*index"), *data.glob("recovery-point-offset-checkpoint"), data / ".kafka_cleanshutdown"]:
        file.unlink()
    broker.start()
    assert "not understood" not in broker.log()
    with Client(broker.port) as client:
        beat = client.call("Heartbeat", 3, group_id="many", generation_id=42, member_id=f"m{count - 1}")
        assert beat["error_code"] == 0
