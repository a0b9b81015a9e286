"""What `leat kafka` keeps of groups in __consumer_offsets: written anew when it has grown, read again at the next start."""

import re
import shutil
import signal
import struct
import subprocess
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


def test_what_is_out_of_date_goes_once_the_new_is_on_disk(start_broker, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    broker, data = begin(start_broker, tmp_path)
    trace = tmp_path / "trace"
    strace = subprocess.Popen(["strace", "-f", "-y", "-s", "200", "-o", trace, "-e", "trace=pwrite64,pwritev,pwritev2,fdatasync,fsync",
                               "-p", str(broker.process.pid)], stderr=subprocess.PIPE)
    try:
        if b"attached" not in strace.stderr.readline():
            pytest.skip("strace may not attach here")
        with Client(broker.port) as client:
            grow(client)
            wait_until(lambda: log_bytes(data) < SMALL)
    finally:
        # Before the broker ends: what looks for leaks at its end can't do so under strace.
        strace.terminate()
        strace.wait(60)
        strace.stderr.close()
    last = {}  # what each thread has done to the log
    for line in trace.read_text().splitlines():
        thread, call = line.split(maxsplit=1)
        if "log-start-offset-checkpoint.tmp>" in call and "__consumer_offsets 0 " in call:
            break
        if done := re.match(r"(\w+)\(\d+<[^>]*/__consumer_offsets-0/\d+\.log>", call):
            last[thread] = done[1]
    else:
        raise AssertionError("nothing was deleted")
    # The thread that has written the log anew has synced it as well.
    assert last[thread] in ("fdatasync", "fsync")


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


# ---- offsets in transactions, as Kafka leaves them ----

def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def offset_key(group, partition):
    return struct.pack(">h", 1) + text(group) + text("t") + struct.pack(">i", partition)


def offset_value(offset):
    return struct.pack(">hqi", 3, offset, 4) + text("meta") + struct.pack(">q", int(time.time() * 1000))


class OffsetsLog:
    """Appends to the log of a broker that is stopped, as Apache Kafka writes there: 3.9 and 4.4, measured."""

    def __init__(self, data):
        self.log = max((data / "__consumer_offsets-0").glob("*.log"))
        self.mark = data / ".kafka_cleanshutdown"
        bytes_, at, self.next = self.log.read_bytes(), 0, int(self.log.stem)
        while at < len(bytes_):
            base, length = struct.unpack_from(">qi", bytes_, at)
            self.next = base + struct.unpack_from(">i", bytes_, at + 23)[0] + 1
            at += 12 + length

    def _append(self, key, values, **fields):
        with open(self.log, "ab") as file:
            file.write(record_batch(values, key=key, base=self.next, **fields))
        self.next += len(values)
        self.mark.unlink(missing_ok=True)

    def plain(self, group, partition, offset):
        self._append(offset_key(group, partition), [None if offset is None else offset_value(offset)], sequence=0)

    def staged(self, producer, group, partition, offset):
        self._append(offset_key(group, partition), [offset_value(offset)], producer=producer, epoch=0, sequence=0, attributes=0x10)

    def end(self, producer, commits):
        self._append(struct.pack(">hh", 0, int(commits)), [struct.pack(">hi", 0, 0)], producer=producer, epoch=0, sequence=-1, attributes=0x30)


def fetched(client, group, stable, partitions=range(10)):
    answer = client.call("OffsetFetch", 8, require_stable=stable, groups=[{"group_id": group, "topics": [
        {"name": "t", "partition_indexes": list(partitions)}]}])
    found = {each["partition_index"]: each for each in answer["groups"][0]["topics"][0]["partitions"]}
    for each in found.values():
        if each["error_code"] == 88:
            assert (each["committed_offset"], each["committed_leader_epoch"], each["metadata"]) == (-1, -1, "")
    return {number: each["error_code"] or each["committed_offset"] for number, each in found.items() if each["error_code"] or each["committed_offset"] >= 0}


def test_offsets_of_transactions_count_once_they_are_committed(start_broker, tmp_path):
    broker, data = begin(start_broker, tmp_path)
    with Client(broker.port) as client:
        assert commit(client, "g", [0, 1], 5, "") == {0}
    broker.end()
    log = OffsetsLog(data)
    log.staged(1, "g", 0, 100)      # aborted: 5 stays
    log.end(1, False)
    log.staged(2, "g", 1, 200)      # open: 5 stays, and is not stable
    log.staged(3, "g", 2, 7)        # a plain commit comes in between: 50 stays
    log.plain("g", 2, 50)
    log.end(3, True)
    log.staged(4, "g", 3, 9)        # committed, also where another transaction of this key is not
    log.staged(5, "g", 3, 10)
    log.staged(4, "g", 3, 11)
    log.end(4, True)
    log.end(5, False)
    log.plain("g", 4, 1)            # the key goes, and with it what is staged there
    log.staged(6, "g", 4, 2)
    log.plain("g", 4, None)
    log.end(6, True)
    log.staged(7, "only", 5, 3)     # of a group that has nothing else; open
    log.staged(2, "g", 6, 8)        # open, with nothing committed
    log.end(8, True)                # of nothing
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        broker.start()
        assert "3 offsets are part of transactions that are open" in broker.log()
        with Client(broker.port) as client:
            client.call("FindCoordinator", 4, coordinator_keys=["g"])
            assert fetched(client, "g", False) == {0: 5, 1: 5, 2: 50, 3: 11}
            assert fetched(client, "g", True) == {0: 5, 1: 88, 2: 50, 3: 11, 6: 88}
            assert fetched(client, "only", False) == {} and fetched(client, "only", True) == {5: 88}
            # All of a group: what is committed.
            answer = client.call("OffsetFetch", 7, group_id="g", topics=None, require_stable=True)
            found = {each["partition_index"]: each["error_code"] for each in answer["topics"][0]["partitions"]}
            assert found == {0: 0, 1: 88, 2: 0, 3: 0}
            assert "only" in {each["group_id"] for each in client.call("ListGroups", 4)["groups"]}
        broker.end(how)


def test_what_a_transaction_has_left_open_can_be_deleted(start_broker, tmp_path):
    broker, data = begin(start_broker, tmp_path)
    broker.end()
    log = OffsetsLog(data)
    for group in ("a", "b", "c"):
        log.plain(group, 0, 5)
        log.staged(1, group, 0, 100)
        log.staged(1, group, 1, 100)
    broker.start()
    with Client(broker.port) as client:
        client.call("FindCoordinator", 4, coordinator_keys=["a"])
        # A commit does not make it stable: the transaction might still end.
        assert commit(client, "a", [0, 2], 6, "") == {0}
        assert fetched(client, "a", True) == {0: 88, 1: 88, 2: 6}
        answer = client.call("OffsetDelete", 0, group_id="a", topics=[{"name": "t", "partitions": [{"partition_index": number} for number in (0, 1)]}])
        assert {each["error_code"] for each in answer["topics"][0]["partitions"]} == {0}
        assert fetched(client, "a", True) == {2: 6}
        assert client.call("DeleteGroups", 2, groups_names=["b"])["results"][0]["error_code"] == 0
        assert fetched(client, "b", True) == {}
    broker.restart(signal.SIGKILL)
    with Client(broker.port) as client:
        client.call("FindCoordinator", 4, coordinator_keys=["a"])
        assert fetched(client, "a", True) == {2: 6} and fetched(client, "b", True) == {}
        assert fetched(client, "c", True) == {0: 88, 1: 88}
        assert client.call("DeleteTopics", 4, topic_names=["t"], timeout_ms=30000)["responses"][0]["error_code"] == 0
        wait_until(lambda: fetched(client, "c", True) == {})


def test_what_a_transaction_has_left_open_keeps_offsets_from_expiring_and_the_log_whole(start_broker, tmp_path):
    broker, data = begin(start_broker, tmp_path, "-o", "offsets.retention.check.interval.ms=200")
    with Client(broker.port) as client:
        assert commit(client, "g", [0], 5, "") == {0} and commit(client, "h", [0], 5, "") == {0}
    broker.end()
    log = OffsetsLog(data)
    log.staged(1, "g", 0, 100)
    broker.start()
    with Client(broker.port) as client:
        client.call("FindCoordinator", 4, coordinator_keys=["g"])
        for group in ("g", "h"):
            client.call("OffsetCommit", 2, group_id=group, generation_id_or_member_epoch=-1, member_id="", retention_time_ms=1,
                        topics=[{"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 6, "committed_metadata": ""}]}])
        wait_until(lambda: fetched(client, "h", False) == {})
        assert fetched(client, "g", False) == {0: 6} and fetched(client, "g", True) == {0: 88}
        grow(client, "h")
        time.sleep(1.5)
        assert log_bytes(data) > SMALL
