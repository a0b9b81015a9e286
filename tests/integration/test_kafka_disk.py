"""`leat kafka` on disks that are full or can't be written to, and over one directory twice."""

import contextlib
import os
import re
import signal
import time
import urllib.error
import urllib.request

import pytest
from kafka_batches import batch, record
from kafka_messages import Client, record_batch
from kafka_server import Broker, consume, needs_kcat, produce, wait_until
from kafka_wire import connect, send_batch
from support import run, tiny_disk
from test_kafka_protocol import make_topics
from test_kafka_protocol import produce as sent

STORAGE_ERROR = 56


def large():
    """A batch that takes pages of its own."""
    return batch(record(0, value=b"x" * 20000), 1, now=int(time.time() * 1000))


def tree(folder):
    """All that is there, to the last byte."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refusal(leat, data):
    """The one line that a start ends with."""
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", data])
    assert ran.returncode == 1, ran.stderr
    line, = ran.stderr.strip().split("\n")
    return line


@contextlib.contextmanager
def running(leat, data, *arguments):
    broker = Broker(leat, data, *arguments)
    try:
        yield broker
        assert broker.end() == 0, broker.log()
    finally:
        broker.process.kill()


def fill(disk):
    """Leaves nothing."""
    with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(1 << 16))
    with contextlib.suppress(OSError), (disk / "ballast").open("ab", buffering=0) as ballast:
        while True:
            ballast.write(b"x")


@needs_kcat
def test_a_read_only_directory_is_refused_as_it_is(leat, tmp_path):
    data = tmp_path / "disk" / "data"
    with tiny_disk(tmp_path / "disk", "16m"):
        with running(leat, data) as broker:
            produce(broker, "t", [b"one"])
        before = tree(data)
        if run(["mount", "-o", "remount,ro", tmp_path / "disk"]).returncode:
            pytest.skip("can't mount it read-only here")
        assert "Read-only file system" in refusal(leat, data)
        assert "Read-only file system" in refusal(leat, tmp_path / "disk" / "new")
        assert tree(data) == before and not (tmp_path / "disk" / "new").exists()


def test_a_new_directory_on_a_full_disk_is_refused(leat, tmp_path):
    with tiny_disk(tmp_path / "disk", "1m") as disk:
        (disk / "data").mkdir()
        fill(disk)
        assert "No space left on device" in refusal(leat, disk / "data")
        (disk / "ballast").unlink()
        with running(leat, disk / "data"):
            pass


@needs_kcat
def test_a_full_disk_is_read_from_and_taken_up_again(leat, tmp_path):
    with tiny_disk(tmp_path / "disk", "8m") as disk:
        with running(leat, disk / "data") as broker:
            produce(broker, "t", [b"one", b"two"])
            fill(disk)
            # While it runs: the producer hears of it, and nothing else has changed.
            with connect(broker) as client:
                assert send_batch(client, large()) == STORAGE_ERROR
                assert consume(broker, "t") == [b"one", b"two"]
                (disk / "ballast").unlink()
                assert send_batch(client, large()) == 0
            assert "can't append: No space left on device" in broker.log()
            assert len(consume(broker, "t")) == 3
            produce(broker, "t", [b"three"])
        # And from the start: what is there can be had, so that room can be made.
        fill(disk)
        with running(leat, disk / "data") as broker:
            assert consume(broker, "t")[-1] == b"three"
            with connect(broker) as client:
                assert send_batch(client, large()) == STORAGE_ERROR
            (disk / "ballast").unlink()
            produce(broker, "t", [b"four"])
            assert consume(broker, "t")[-1] == b"four"


@needs_kcat
def test_a_full_disk_after_a_kill(leat, tmp_path):
    with tiny_disk(tmp_path / "disk", "8m") as disk:
        broker = Broker(leat, disk / "data")
        produce(broker, "t", [b"%d" % n + b"x" * 200 for n in range(2000)], "-X", "batch.size=3000")
        fill(disk)
        broker.process.kill()
        broker.process.wait()
        # Without room for the indexes it still has the records.
        for index in (disk / "data").glob("t-0/*index"):
            index.unlink()
        fill(disk)
        with running(leat, disk / "data") as broker:
            assert len(consume(broker, "t")) == 2000
            (disk / "ballast").unlink()
        with running(leat, disk / "data") as broker:
            assert len(consume(broker, "t")) == 2000


@needs_kcat
def test_a_directory_by_another_name_is_the_same(leat, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with running(leat, tmp_path / "link") as broker:
        produce(broker, "t", [b"one"])
        for name in ("real", "link", "real/../link/."):
            assert "locked by another process" in refusal(leat, tmp_path / name)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "t-0").is_dir()
    with running(leat, tmp_path / "real") as broker:
        assert consume(broker, "t") == [b"one"]


@pytest.mark.parametrize("name,text,word", [
    ("meta.properties", "version=2\nnode.id=1\ncluster.id=x\n", "newer"),
    ("meta.properties", "version=1\nnode.id=1\n", "missing"),
    ("meta.properties", "version=1\nnode.id=7\ncluster.id=x\n", "node 7"),
    ("leat-topics", "1\n0\n", "does not know"),
    ("leat-producer-ids", "1\n1\nnext 5\n", "does not know"),
    ("leat-topics", "0\n1\nt what 1 live\n", "damaged"),
    ("leat-producer-ids", "0\n1\nnext many\n", "damaged"),
])
def test_what_does_not_belong_here_is_refused_as_it_is(leat, tmp_path, name, text, word):
    with running(leat, tmp_path / "data"):
        pass
    (tmp_path / "data" / name).write_text(text)
    before = tree(tmp_path / "data")
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", "-o", "node.id=1", tmp_path / "data"])
    assert ran.returncode == 1 and word in ran.stderr, ran.stderr
    assert ran.stderr.count("\n") == 1
    assert tree(tmp_path / "data") == before


@needs_kcat
def test_room_is_reserved_also_once_it_serves(leat, tmp_path):
    probe = tmp_path / "probe"
    with probe.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, 1 << 20)
        except OSError as error:
            pytest.skip(f"the file system reserves no room: {error}")
    size = 2 << 20
    with running(leat, tmp_path / "data", "-o", "log.preallocate=true", "-o", f"log.segment.bytes={size}") as broker:
        produce(broker, "t", [b"%04d" % n + b"x" * 1000 for n in range(3000)])
        first, last = sorted(tmp_path.glob("data/t-0/*.log"))
        assert last.stat().st_blocks * 512 >= size > last.stat().st_size
        assert first.stat().st_blocks * 512 < size + (1 << 20)
    assert last.stat().st_blocks * 512 < size


@needs_kcat
def test_thousands_of_partitions_start_and_stop(leat, tmp_path):
    with running(leat, tmp_path / "data", "-o", "num.partitions=3000") as broker:
        produce(broker, "t", [b"%d" % n for n in range(300)])
    start = time.monotonic()
    with running(leat, tmp_path / "data") as broker:
        assert "3000 partitions" in broker.log()
        assert len(consume(broker, "t")) == 300
    # Far more than it takes; only something quadratic gets there.
    assert time.monotonic() - start < 120


def change(client, name, version, **fields):
    """The one error code of the answer."""
    answer = client.call(name, version, **fields)
    return answer[{"CreateTopics": "topics", "CreatePartitions": "results"}.get(name, "responses")][0]["error_code"]


def test_a_full_disk_and_partitions_that_are_offline_are_not_healthy(leat, tmp_path):
    def health(broker):
        address = re.findall(r"metrics at http://(127.0.0.1:\d+)", broker.log())[-1]
        try:
            with urllib.request.urlopen(f"http://{address}/healthz") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    with tiny_disk(tmp_path / "disk", "8m") as disk:
        broker = Broker(leat, disk / "data", "--admin", "127.0.0.1:0")
        wait_until(lambda: "metrics at" in broker.log())
        with Client(broker.port) as client:
            assert change(client, "CreateTopics", 2, timeout_ms=1000, validate_only=False, topics=[
                {"name": "t", "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}]) == 0
            assert health(broker) == (200, "ok\n")
            fill(disk)
            part = client.call("Produce", 8, acks=-1, timeout_ms=1000, transactional_id=None, topic_data=[
                {"name": "t", "partition_data": [{"index": 0, "records": large()}]}])["responses"][0]["partition_responses"][0]
            assert (part["error_code"], part["error_message"]) == (STORAGE_ERROR, "the disk is full")
            wait_until(lambda: "KAFKA_STORAGE_ERROR: the disk is full" in broker.log())
            wait_until(lambda: re.search(r"client 'test' at 127.0.0.1:\d+: Produce is answered with KAFKA_STORAGE_ERROR", broker.log()))
            assert health(broker) == (503, f"the disk is full: {disk / 'data'}\n")
            (disk / "ballast").unlink()
            wait_until(lambda: health(broker) == (200, "ok\n"))
        assert broker.end() == 0
        broker.listen = True
        # What can't be read is offline: a file in a segment's place that is none.
        for index in (disk / "data" / "t-0").glob("*.log"):
            index.unlink()
            index.mkdir()
        broker.start()
        wait_until(lambda: broker.log().count("metrics at") == 2)
        status, text = health(broker)
        assert status == 503 and "1 of 1 partitions are offline until the next start" in text, text
        broker.end(signal.SIGKILL)


def test_a_full_disk_has_a_way_out(leat, tmp_path):
    """Deleting and lower retention work where nothing else does; what has failed is not there after a kill."""
    retention = {"resources": [{"resource_type": 2, "resource_name": "kept", "configs": [{"name": "retention.ms", "value": "1000"}]}],
                 "validate_only": False}
    new = {"num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}

    def names(client):
        return {topic["name"] for topic in client.call("Metadata", 4, topics=None, allow_auto_topic_creation=False)["topics"]}

    with tiny_disk(tmp_path / "disk", "16m") as disk:
        broker = Broker(leat, disk / "data")
        with Client(broker.port) as client:
            for name in ("kept", "one", "two"):
                assert change(client, "CreateTopics", 2, topics=[{"name": name, **new}], timeout_ms=1000, validate_only=False) == 0
        for victim in ("one", "two"):
            fill(disk)
            with Client(broker.port) as client:
                assert change(client, "CreateTopics", 2, topics=[{"name": "new", **new}], timeout_ms=1000, validate_only=False) == STORAGE_ERROR
                assert change(client, "CreatePartitions", 0, topics=[{"name": "kept", "count": 2, "assignments": None}],
                              timeout_ms=1000, validate_only=False) == STORAGE_ERROR
                assert change(client, "AlterConfigs", 0, **retention) == 0
                assert change(client, "DeleteTopics", 1, topic_names=[victim], timeout_ms=1000) == 0
            broker.restart(signal.SIGKILL)
            with Client(broker.port) as client:
                there = names(client)
                assert "new" not in there and victim not in there and "kept" in there
                described = client.call("DescribeConfigs", 1, resources=[{"resource_type": 2, "resource_name": "kept",
                                                                          "configuration_keys": ["retention.ms"]}])
                assert described["results"][0]["configs"][0]["value"] == "1000"
        (disk / "ballast").unlink()
        assert broker.end() == 0, broker.log()


def test_a_full_disk_has_a_way_out_after_a_start_too(leat, tmp_path):
    """The reserves that an earlier start has left are counted for what they are."""
    long = "x" * 200
    names = [f"{long}{number}" for number in range(100)]
    with tiny_disk(tmp_path / "disk", "32m") as disk:
        broker = Broker(leat, disk / "data")
        with Client(broker.port) as client:
            make_topics(client, *names)
        assert broker.end() == 0
        assert (disk / "data/leat-topics").stat().st_size > 20000
        # A topic that somebody has put there: leat-topics is to be written before anything else.
        (disk / "data/adopted-0").mkdir()
        (disk / "data/adopted-0/00000000000000000000.log").touch()
        fill(disk)
        broker.start()
        with Client(broker.port) as client:
            for name in names[:5]:
                assert change(client, "DeleteTopics", 1, topic_names=[name], timeout_ms=1000) == 0
            there = {topic["name"] for topic in client.call("Metadata", 4, topics=None, allow_auto_topic_creation=False)["topics"]}
            assert there == {*names[5:], "adopted"}
        (disk / "ballast").unlink()
        assert broker.end() == 0, broker.log()


def test_records_can_be_deleted_on_a_full_disk_where_many_begin_late(leat, tmp_path):
    """The file of the logs' starts is longer than leat-topics by far, and than the least that is reserved."""
    topic, partitions = "x" * 200, 100

    def delete_records(client, numbers):
        answer = client.call("DeleteRecords", 1, timeout_ms=30000, topics=[{"name": topic, "partitions": [
            {"partition_index": number, "offset": 1} for number in numbers]}])
        return {part["error_code"] for part in answer["topics"][0]["partitions"]}

    with tiny_disk(tmp_path / "disk", "32m") as disk:
        broker = Broker(leat, disk / "data")
        with Client(broker.port) as client:
            make_topics(client, topic, partitions=partitions)
            for number in range(partitions):
                assert sent(client, record_batch([b"x"]), topic=topic, partition=number)["error_code"] == 0
            assert delete_records(client, range(1, partitions)) == {0}
        assert broker.end() == 0
        for reserve in (disk / "data").glob("leat-reserve.*"):
            reserve.unlink()
        broker.start()
        fill(disk)
        with Client(broker.port) as client:
            assert delete_records(client, [0]) == {0}
        (disk / "ballast").unlink()
        assert broker.end() == 0, broker.log()
