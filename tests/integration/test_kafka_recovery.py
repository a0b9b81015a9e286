"""What a start finds after a crash, a damaged disk or a restored backup, and what clients are told of it."""

import shutil
import signal
import struct

import pytest
from kafka_messages import Client, record_batch
from kafka_server import Broker
from support import run
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


# ---- damaged disks ----

def flip(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 4]))


def offsets_served(client, topic="t"):
    """The first offsets of all batches from the log's start on."""
    offsets, offset = [], 0
    while True:
        found = fetch(client, {topic: [part(0, offset)]})[topic, 0]
        assert found["error_code"] == 0
        if not found["records"]:
            return offsets
        at = 0
        while at + 61 <= len(found["records"]):
            base, length = struct.unpack_from(">qi", found["records"], at)
            if at + 12 + length > len(found["records"]):
                break
            if base >= offset:
                offsets.append(base)
            offset = base + struct.unpack_from(">i", found["records"], at + 23)[0] + 1
            at += 12 + length


@pytest.fixture
def damaged(start, tmp_path):
    """A broker that was killed, and of whose 200 batches the one at 8 has a flipped bit, or its length has."""

    def run(in_batch=70):
        broker = start()
        with Client(broker.port) as client:
            make_topics(client, "t", "good")
            for number in range(200):
                assert produce(client, record_batch([b"%04d" % number * 40]))["error_code"] == 0
        broker.end(signal.SIGKILL)
        log = tmp_path / "data/t-0/00000000000000000000.log"
        where = list(batches_of(log))[8]
        # As if nothing had been known to be on disk.
        (tmp_path / "data/recovery-point-offset-checkpoint").unlink(missing_ok=True)
        flip(log, where[0] + in_batch)
        return broker, log, where

    return run


@pytest.mark.parametrize("in_batch", [70, 16, 11, 9, 3])
def test_damage_in_the_middle_is_for_the_operator(damaged, in_batch):
    broker, log, where = damaged(in_batch)
    before = log.read_bytes()
    for _ in range(2):
        broker.start()
        assert f"{log.parent.name}/{log.name} is damaged from position {where[0]} to {where[0] + where[1]} (offsets 8 to 8: " in broker.log()
        assert "leat.recovery.damage=skip" in broker.log()
        with Client(broker.port) as client:
            assert fetch(client, {"t": [part(0)]})["t", 0]["error_code"] == 56
            assert produce(client, record_batch([b"x"]))["error_code"] == 56
            assert produce(client, record_batch([b"x"]), topic="good")["error_code"] == 0
        broker.end(signal.SIGKILL)
    assert log.read_bytes() == before and not list(log.parent.glob("*.cut"))
    # Once it is whole again all is there.
    flip(log, where[0] + in_batch)
    broker.start()
    with Client(broker.port) as client:
        assert offsets_served(client) == list(range(200))


def test_going_on_behind_a_gap(damaged):
    broker, log, where = damaged()
    before = log.read_bytes()
    broker.arguments += ["-o", "leat.recovery.damage=skip"]
    broker.start()
    assert "offsets 8 to 8 are taken out" in broker.log()
    aside = log.parent / f"{log.name}.{where[0]}.cut"
    assert aside.read_bytes() == before[where[0]:where[0] + where[1]]
    wanted = [offset for offset in range(201) if offset != 8]
    with Client(broker.port) as client:
        assert produce(client, record_batch([b"behind"]))["base_offset"] == 200
        assert offsets_served(client) == wanted
    # As it is now it is whole: no start finds anything.
    del broker.arguments[-2:]
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        broker.restart(how)
        with Client(broker.port) as client:
            assert offsets_served(client) == wanted
    assert broker.log().count("taken out") == 2 and [path.name for path in log.parent.glob("*.cut")] == [aside.name]
    # The damage was looked for with a copy of it there already.
    broker.end(signal.SIGKILL)
    log.write_bytes(before)
    broker.arguments += ["-o", "leat.recovery.damage=skip"]
    broker.start()
    assert (log.parent / f"{log.name}.{where[0]}.2.cut").read_bytes() == aside.read_bytes()


def test_a_log_that_is_cut_at_the_damage(damaged):
    broker, log, where = damaged()
    before = log.read_bytes()
    broker.arguments += ["-o", "leat.recovery.damage=cut"]
    broker.start()
    assert (log.parent / f"{log.name}.{where[0]}.cut").read_bytes() == before[where[0]:]
    with Client(broker.port) as client:
        assert produce(client, record_batch([b"behind"]))["base_offset"] == 8
        assert offsets_served(client) == list(range(9)) and leader_epoch(client) == 1


def test_a_torn_end_is_cut_and_set_aside(damaged):
    broker, log, where = damaged()
    flip(log, where[0] + 70)
    before = log.read_bytes()
    log.write_bytes(before[:-5])
    last = [*batches_of(log)][198]
    broker.start()
    end = last[0] + last[1]
    assert (log.parent / f"{log.name}.{end}.cut").read_bytes() == before[end:-5]
    with Client(broker.port) as client:
        assert offsets_served(client) == list(range(199))


def test_a_block_that_the_disk_never_had_is_no_damage(damaged):
    broker, log, where = damaged()
    flip(log, where[0] + 70)
    data = bytearray(log.read_bytes())
    data[1024:2048] = bytes(1024)  # the power went before it was written, and after what is behind it
    log.write_bytes(data)
    broker.start()
    (aside,) = log.parent.glob("*.cut")
    position = int(aside.name.split(".")[2])
    assert position < 1024 and aside.read_bytes() == data[position:]
    with Client(broker.port) as client:
        served = offsets_served(client)
        assert served == list(range(len(served))) and 0 < len(served) < 9


def test_damage_with_only_other_segments_behind(start, tmp_path):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t", segment_bytes="1048576")
        for _ in range(3):
            assert produce(client, record_batch([b"x" * 600000]))["error_code"] == 0
    broker.end(signal.SIGKILL)
    # As if nothing had been known to be on disk.
    (tmp_path / "data/recovery-point-offset-checkpoint").unlink(missing_ok=True)
    log = tmp_path / "data/t-0/00000000000000000001.log"
    flip(log, 300000)
    broker.start()
    assert "t-0/00000000000000000001.log is damaged from position 0 to 600" in broker.log()
    broker.arguments += ["-o", "leat.recovery.damage=skip"]
    broker.restart(signal.SIGKILL)
    for _ in range(2):
        with Client(broker.port) as client:
            assert fetch(client, {"t": [part(0, 1)]})["t", 0]["records"][:8] == struct.pack(">q", 2)
        broker.restart(signal.SIGKILL)
    broker.end(signal.SIGKILL)
    broker.arguments[-1] = "leat.recovery.damage=cut"
    flip(tmp_path / "data/t-0/00000000000000000000.log", 300000)
    (tmp_path / "data/recovery-point-offset-checkpoint").unlink(missing_ok=True)
    last = (tmp_path / "data/t-0/00000000000000000002.log").read_bytes()
    broker.start()
    assert (tmp_path / "data/t-0/00000000000000000002.log.0.cut").read_bytes() == last
    with Client(broker.port) as client:
        assert offsets_served(client) == []


@pytest.fixture
def on_disk(start, tmp_path):
    """A broker that was killed, with 20 batches that are mostly zeros, all of them known to be on disk."""
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t")
        for _ in range(20):
            assert produce(client, record_batch([bytes(3000)]))["error_code"] == 0
    broker.end(signal.SIGKILL)
    (tmp_path / "data/recovery-point-offset-checkpoint").write_text("0\n1\nt 0 20\n")
    return broker, tmp_path / "data/t-0/00000000000000000000.log"


def test_zeros_in_what_was_on_disk_are_no_lost_write(on_disk):
    broker, log = on_disk
    where = list(batches_of(log))[8]
    flip(log, where[0] + 70)
    before = log.read_bytes()
    broker.start()
    assert f"is damaged from position {where[0]} to {where[0] + where[1]} (offsets 8 to 8: " in broker.log()
    with Client(broker.port) as client:
        assert fetch(client, {"t": [part(0)]})["t", 0]["error_code"] == 56
    broker.end(signal.SIGKILL)
    assert log.read_bytes() == before and not list(log.parent.glob("*.cut"))
    broker.arguments += ["-o", "leat.recovery.damage=skip"]
    broker.start()
    with Client(broker.port) as client:
        assert offsets_served(client) == [offset for offset in range(20) if offset != 8]


def test_an_end_that_was_on_disk_is_not_cut_as_torn(on_disk):
    broker, log = on_disk
    before = log.read_bytes()[:-5]
    log.write_bytes(before)
    last = list(batches_of(log))[18]
    end = last[0] + last[1]
    broker.start()
    assert f"is damaged from position {end} to {len(before)} (offsets 19 to 19: " in broker.log()
    assert "which had been on disk" in broker.log()
    with Client(broker.port) as client:
        assert fetch(client, {"t": [part(0)]})["t", 0]["error_code"] == 56
    broker.end(signal.SIGKILL)
    assert log.read_bytes() == before
    broker.arguments += ["-o", "leat.recovery.damage=skip"]
    broker.start()
    aside = (log.parent / f"{log.name}.{end}.cut").read_bytes()
    assert aside and before[end:].startswith(aside) and not before[end + len(aside):].strip(b"\0")
    with Client(broker.port) as client:
        assert offsets_served(client) == list(range(19))
        assert produce(client, record_batch([b"x" * 3000]))["base_offset"] == 19
    # That one was not on disk, though another one of its offset was.
    broker.end(signal.SIGKILL)
    assert (log.parents[1] / "recovery-point-offset-checkpoint").read_text().splitlines()[2] == "t 0 19"
    log.write_bytes(log.read_bytes()[:-5])
    del broker.arguments[-2:]
    broker.start()
    with Client(broker.port) as client:
        assert offsets_served(client) == list(range(19))


def test_what_was_deleted_need_not_have_been_on_disk(on_disk):
    """DeleteRecords moves the recovery point along, with no sync."""
    broker, log = on_disk
    (log.parents[1] / "log-start-offset-checkpoint").write_text("0\n1\nt 0 20\n")
    log.write_bytes(log.read_bytes()[:1000])
    broker.start()
    with Client(broker.port) as client:
        assert produce(client, record_batch([b"x"]))["base_offset"] == 20


def test_what_can_not_be_told_from_batches_is_not_cut(leat, start, tmp_path):
    broker = start()
    # Headers of batches, each of a length that takes its time to look at.
    header = struct.pack(">qiib", 1000, 100000, 0, 2)
    with Client(broker.port) as client:
        make_topics(client, "t")
        for value in (b"x", header * 12000):
            assert produce(client, record_batch([value]))["error_code"] == 0
    broker.end(signal.SIGKILL)
    (tmp_path / "data/recovery-point-offset-checkpoint").unlink(missing_ok=True)
    log = tmp_path / "data/t-0/00000000000000000000.log"
    before = log.read_bytes()[:-5]
    log.write_bytes(before)
    broker.start()
    assert "and what follows looks like batches" in broker.log()
    with Client(broker.port) as client:
        assert fetch(client, {"t": [part(0)]})["t", 0]["error_code"] == 56
    broker.end(signal.SIGKILL)
    assert log.read_bytes() == before
    code, lines, _ = check(leat, tmp_path / "data")
    assert code == 1 and "nothing that is whole was found in " in lines[0]
    broker.arguments += ["-o", "leat.recovery.damage=cut"]
    broker.start()
    with Client(broker.port) as client:
        assert offsets_served(client) == [0]


# ---- small files that can't be read ----

@pytest.mark.parametrize("text, why", [("7\n1\n0 0\n", "of a version that this program does not know"), ("0\n9\n0 0\n", "damaged"),
                                       ("\x1b[2J\n\nleat: info: fine\n", "damaged"), ("0\n1\n0 -5\n", "damaged")])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_epochs_are_learnt_from_the_batches(start, tmp_path, text, why, how):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t")
        produce(client, record_batch([b"x"]))
    for _ in range(2):
        broker.restart(signal.SIGKILL)
        with Client(broker.port) as client:
            produce(client, record_batch([b"x"]))
    broker.end(how)
    (tmp_path / "data/t-0/leader-epoch-checkpoint").write_text(text)
    broker.start()
    assert why in broker.log() and "t-0/leader-epoch-checkpoint" in broker.log() and "made anew from the batches" in broker.log()
    with Client(broker.port) as client:
        assert [end_of_epoch(client, epoch) for epoch in range(4)] == [(0, 1), (1, 2), (2, 3), (3, 3)]
        assert leader_epoch(client) == 3
    assert broker.end() == 0
    assert epochs_of(tmp_path / "data") == [(0, 0), (1, 1), (2, 2), (3, 3)]


CHECKPOINTS = ["recovery-point-offset-checkpoint", "replication-offset-checkpoint", "log-start-offset-checkpoint"]


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("text", ["3\n0\n", "0\n2\nt 0 1\nt \x1b[31m 5\n", "\x00\x9b31m\n"])
def test_checkpoints_that_can_not_be_read(start, tmp_path, name, text):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t")
        produce(client, record_batch([b"x"]))
    assert broker.end() == 0
    (tmp_path / "data" / name).write_text(text)
    broker.start()
    assert f"{name} can't be used: it is " in broker.log() and "and it is written anew" in broker.log()
    with Client(broker.port) as client:
        assert offsets_served(client) == [0]


@pytest.mark.parametrize("name", ["leat-topics", "leat-producer-ids", "meta.properties"])
@pytest.mark.parametrize("text", ["9\n0\n", "\x1b[2Jevil\rx\n\x7f\u0085\u202e", "version=1\nnode.id=\x1b]0;x\x07\n"])
def test_what_a_start_needs_is_named_with_the_remedy(leat, start, tmp_path, name, text):
    broker = start()
    assert broker.end() == 0
    (tmp_path / "data" / name).write_text(text)
    found = run([leat, "kafka", "-l", "127.0.0.1:0", tmp_path / "data"])
    assert found.returncode == 1 and f"/{name}: " in found.stderr
    assert all(char == "\n" or char.isprintable() for char in found.stderr), found.stderr
    assert len(found.stderr.splitlines()) == 1


# ---- the check ----

def check(leat, data):
    found = run([leat, "kafka", "--check", data])
    text = found.stdout.decode()
    assert all(char == "\n" or char.isprintable() for char in text)
    return found.returncode, text.splitlines()[:-1], found.stderr


def everything(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def stopped(start, tmp_path):
    broker = start()
    with Client(broker.port) as client:
        make_topics(client, "t", segment_bytes="1048576", index_interval_bytes="100")
        producer = client.call("InitProducerId", 1, transactional_id=None, transaction_timeout_ms=60000)["producer_id"]
        for number in range(12):
            assert produce(client, record_batch([b"x" * 200000], producer=producer, epoch=0, sequence=number))["error_code"] == 0
        use_groups(client)
    assert broker.end() == 0
    return tmp_path / "data"


def test_the_check_of_what_is_fine(leat, stopped, tmp_path):
    before = everything(stopped)
    assert check(leat, stopped) == (0, [], "")
    assert everything(stopped) == before
    # Neither is a log that a kill has left.
    broker = Broker(leat, stopped)
    with Client(broker.port) as client:
        produce(client, record_batch([b"x"]))
        code, lines, stderr = check(leat, stopped)
        assert (code, lines) == (2, []) and "in use by another process" in stderr
    broker.end(signal.SIGKILL)
    assert check(leat, stopped)[:2] == (0, [])
    for wrong in ([], [stopped, stopped], ["--listen", "127.0.0.1:0", stopped]):
        assert run([leat, "kafka", "--check", *wrong]).returncode == 2
    assert check(leat, tmp_path / "none")[0] == 2
    assert "no directory of topics" in check(leat, tmp_path)[2]


def test_the_check_says_what_is_wrong_where(leat, stopped):
    folder = stopped / "t-0"
    first, second = sorted(folder.glob("*.log"))[:2]
    where = list(batches_of(first))
    flip(first, where[1][0] + 1000)
    flip(first, where[3][0] + 1000)
    flip(second, list(batches_of(second))[-1][0] + 1000)
    index = sorted(folder.glob("*.index"))[2]
    flip(index, 6)
    (folder / "leader-epoch-checkpoint").write_text("0\n1\n0 zero\x1b\n")
    (stopped / "recovery-point-offset-checkpoint").write_text("0\n3\nt 0 1\n")
    (stopped / "leat-topics").write_text("5\n")
    snapshot = sorted(folder.glob("*.snapshot"))[-1]
    flip(snapshot, 10)
    before = everything(stopped)
    code, lines, stderr = check(leat, stopped)
    assert code == 1 and not stderr and everything(stopped) == before
    text = "\n".join(lines)
    for path, what in [
            (first, f"position {where[1][0]} (offset 1): the checksum is wrong; whole batches follow from position {where[2][0]} (offset 2) on"),
            (first, f"position {where[3][0]} (offset 3): the checksum is wrong; whole batches follow"),
            (second, "nothing that is whole follows in"), (index, "lead to no batch"), (snapshot, "it is damaged"),
            (folder / "leader-epoch-checkpoint", 'line 3 makes no sense: "0 zero\\x1b"'),
            (stopped / "recovery-point-offset-checkpoint", "not as many lines"),
            (stopped / "leat-topics", "of a version that is not known here")]:
        assert f"{path}: " in text and what in text, (what, text)
    assert len(lines) == 8
