"""`leat kafka` with the clients that people have: kcat, kafka-python, confluent-kafka."""

import contextlib
import hashlib
import re
import signal
import struct
import time
from pathlib import Path

import pytest
from kafka_messages import Client
from kafka_server import Broker, consume, needs_kcat, produce, wait_until
from kafka_wire import answer, batch_of, connect, fetch, request, send_batch
from support import TIMEOUT, run

def messages(count, size=40):
    return [b"%06d " % n + hashlib.sha256(b"%d" % n).hexdigest().encode()[:size] for n in range(count)]


# ---- kcat ----

@needs_kcat
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_was_produced_is_consumed(broker, codec):
    sent = messages(2000)
    produce(broker, "t", sent, "-z", codec, "-p", "0")
    assert consume(broker, "t", "-p", "0") == sent
    # In the middle of a batch, too.
    assert consume(broker, "t", "-p", "0", "-o", "1234") == sent[1234:]
    assert consume(broker, "t", "-p", "1") == []


@needs_kcat
def test_large_messages_come_back_to_the_byte(broker):
    sent = [hashlib.sha256(b"%d" % n).hexdigest().encode() * 12000 for n in range(12)]
    produce(broker, "large", sent, "-p", "0")
    assert consume(broker, "large", "-p", "0") == sent


@needs_kcat
def test_offsets_by_time(broker):
    produce(broker, "t", [b"a", b"b"], "-p", "0")
    time.sleep(0.05)
    now = int(time.time() * 1000)
    time.sleep(0.05)
    produce(broker, "t", [b"c"], "-p", "0")
    for timestamp, offset in ((now, 2), (0, 0), (now + 3600000, -1)):
        ran = run(["kcat", "-b", broker.address, "-Q", "-t", f"t:0:{timestamp}"])
        assert f"t [0] offset {offset}" in ran.stdout.decode(), (timestamp, ran.stdout)


@needs_kcat
def test_a_group_goes_on_where_it_was_also_after_a_restart(broker):
    group = ["kcat", "-b", broker.address, "-X", "auto.offset.reset=earliest", "-G", "g", "-e", "-q", "t"]
    produce(broker, "t", messages(100))
    assert sorted(run(group).stdout.split(b"\n")[:-1]) == messages(100)
    assert run(group).stdout == b""
    for how in (signal.SIGTERM, signal.SIGKILL):
        broker.restart(how)
        produce(broker, "t", [b"more"])
        assert run(group).stdout == b"more\n", broker.log()
        assert run(group).stdout == b""


@needs_kcat
def test_what_was_acknowledged_survives_kill(start_broker):
    broker = start_broker("-o", "log.flush.interval.messages=1")
    sent = []
    for round_ in range(3):
        lines = [b"%d %s" % (round_, line) for line in messages(500)]
        produce(broker, "t", lines, "-X", "acks=all", "-p", "0")
        sent += lines
        broker.restart(signal.SIGKILL)
        assert consume(broker, "t", "-p", "0") == sent


@needs_kcat
def test_a_fetch_waits_for_data(broker):
    produce(broker, "t", [b"first"], "-p", "0")
    with pytest.raises(Exception) as timeout:
        # Nothing comes: it must not spin.
        run(["kcat", "-b", broker.address, "-C", "-t", "t", "-p", "0", "-o", "end", "-c", "1"], timeout=2)
    assert "timed out" in str(timeout.value)
    assert "closed" not in broker.log()


@needs_kcat
def test_metadata_names_topics_partitions_and_the_broker(broker):
    produce(broker, "t", [b"x"])
    listing = run(["kcat", "-b", broker.address, "-L"]).stdout.decode()
    assert f"broker 1 at {broker.address} (controller)" in listing
    assert 'topic "t" with 2 partitions' in listing


# ---- kafka-python ----

def test_kafka_python_produces_and_consumes(broker):
    kafka = pytest.importorskip("kafka")
    producer = kafka.KafkaProducer(bootstrap_servers=broker.address)
    futures = [producer.send("t", key=b"k%d" % n, value=b"v%d" % n, headers=[("h", b"%d" % n)])
               for n in range(500)]
    assert all(future.get(timeout=TIMEOUT) for future in futures)
    producer.close()
    consumer = kafka.KafkaConsumer("t", bootstrap_servers=broker.address, group_id="g", auto_offset_reset="earliest",
                                   consumer_timeout_ms=5000)
    seen = {}
    for record in consumer:
        seen[record.key] = (record.value, record.headers)
        if len(seen) == 500:
            break
    consumer.commit()
    committed = [consumer.committed(kafka.TopicPartition("t", n)) for n in range(2)]
    consumer.close()
    assert sum(committed) == 500
    assert seen == {b"k%d" % n: (b"v%d" % n, [("h", b"%d" % n)]) for n in range(500)}


# ---- confluent-kafka ----

def confluent_consumer(confluent, broker, group, **options):
    return confluent.Consumer({"bootstrap.servers": broker.address, "group.id": group, "auto.offset.reset": "earliest",
                               "session.timeout.ms": 6000, **options})


def test_members_share_the_partitions_and_take_over(start_broker):
    confluent = pytest.importorskip("confluent_kafka")
    broker = start_broker("-o", "num.partitions=4")
    producer = confluent.Producer({"bootstrap.servers": broker.address})
    producer.produce("t", value=b"0")
    producer.flush(TIMEOUT)
    first, second = (confluent_consumer(confluent, broker, "g") for _ in range(2))
    first.subscribe(["t"])
    wait_until(lambda: first.poll(0.1) is None and len(first.assignment()) == 4)
    second.subscribe(["t"])

    def shared():
        first.poll(0.1)
        second.poll(0.1)
        return len(first.assignment()) == 2 and len(second.assignment()) == 2

    wait_until(shared)
    first.close()
    wait_until(lambda: second.poll(0.1) is None and len(second.assignment()) == 4)
    second.close()


# ---- by hand ----

def is_alive(broker):
    with connect(broker) as connection:
        connection.sendall(request(18, 0))
        return struct.unpack(">ih", answer(connection)[:6]) == (7, 0)


@pytest.mark.parametrize("bytes_", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    bytes.fromhex("16030100f4010000f00303") + bytes(240),
    struct.pack(">i", -1),
    struct.pack(">i", 2**31 - 1),
    struct.pack(">i", 4) + b"\0\x03\0\x01",
    request(99, 0),
    request(3, 99),
    request(3, 1, struct.pack(">i", 2**30)),
    request(0, 7, b"\xff" * 40),
    request(4, 0),
])
def test_what_is_no_request_ends_the_connection(broker, bytes_):
    with connect(broker) as connection:
        connection.sendall(bytes_)
        assert connection.recv(1) == b""
    assert is_alive(broker)


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(broker):
    with connect(broker) as connection:
        connection.sendall(request(18, 77))
        correlation, error, count, key, lowest, highest = struct.unpack(">ihihhh", answer(connection))
        assert (correlation, error, count, key, lowest) == (7, 35, 1, 18, 0) and highest >= 3
        connection.sendall(request(18, 0))
        assert answer(connection)[4:6] == b"\0\0"


def test_pipelined_requests_are_answered_in_order(broker):
    with connect(broker) as connection:
        connection.sendall(b"".join(request(18, 0, correlation=n) for n in range(300)))
        assert [struct.unpack(">i", answer(connection)[:4])[0] for _ in range(300)] == list(range(300))
        # And byte by byte.
        for byte in request(18, 0, correlation=5):
            connection.sendall(bytes([byte]))
        assert struct.unpack(">i", answer(connection)[:4])[0] == 5


@needs_kcat
def test_fetch_sessions_tell_only_what_is_new(broker):
    produce(broker, "t", [b"one"], "-p", "0")
    with connect(broker) as connection:
        error, session, found = fetch(connection, 0, 0, [(0, 0), (1, 0)])
        assert error == 0 and session > 0 and found[0][:2] == (0, 1) and found[0][2] > 0 and found[1] == (0, 0, 0)
        # The same again, without naming it; then from behind what there is.
        assert fetch(connection, session, 1, []) == (0, session, {0: found[0]})
        assert fetch(connection, session, 2, [(0, 1)]) == (0, session, {})
        produce(broker, "t", [b"two"], "-p", "1")
        assert fetch(connection, session, 3, [])[2][1][:2] == (0, 1)
        assert fetch(connection, session, 4, [], forgotten=[1]) == (0, session, {})
        assert fetch(connection, session, 4, [])[0] == 71  # the epoch was used
        assert fetch(connection, session + 1000, 1, [])[0] == 70
        # It ends.
        assert fetch(connection, session, -1, [(0, 0)])[:2] == (0, 0)
        assert fetch(connection, session, 5, [])[0] == 70


@needs_kcat
def test_a_damaged_batch_is_refused(broker):
    produce(broker, "t", [b"x"], "-p", "0")
    batch = bytearray(struct.pack(">qiib", 0, 50, -1, 2) + bytes(4) + bytes(41))
    with connect(broker) as connection:
        assert send_batch(connection, batch) == 2
    assert consume(broker, "t", "-p", "0") == [b"x"]


@needs_kcat
def test_all_producers_of_a_partition_are_described(broker):
    produce(broker, "t", [b"x"], "-p", "0")
    count = 1500
    with connect(broker) as connection:
        for producer in range(count):
            assert send_batch(connection, batch_of(producer)) == 0
        # Version 0, flexible: tags behind the header and each struct, counts are one more.
        connection.sendall(request(61, 0, b"\0" + b"\2\2t\2" + struct.pack(">i", 0) + b"\0\0"))
        data = answer(connection)
    at = 4 + 1 + 4 + len(b"\2\2t\2")
    number, error = struct.unpack(">ih", data[at:at + 6])
    assert (number, error, data[at + 6]) == (0, 0, 0)
    assert data[at + 7] & 0x7F | data[at + 8] << 7 == count + 1
    entries = data[at + 9:-3]
    each = struct.calcsize(">qiiqiq") + 1
    assert len(entries) == count * each
    found = [struct.unpack(">qiiqiq", entries[n * each:(n + 1) * each - 1])[:3] for n in range(count)]
    assert sorted(found) == [(producer, 0, 0) for producer in range(count)]


@needs_kcat
def test_no_list_of_a_described_partition_is_null(broker):
    """Kafka's Java client takes them for lists, whatever the schema allows."""
    produce(broker, "t", [b"x"], "-p", "0")
    with connect(broker) as connection:
        connection.sendall(request(75, 0, b"\0" + b"\2\2t\0" + struct.pack(">ib", 1, -1) + b"\0"))
        data = answer(connection)
    # The first partition: error, number, leader, epoch, replicas, in sync, eligible, last known, offline.
    at = data.index(b"\2t") + 2 + 16 + 1 + 1
    assert struct.unpack(">hiii", data[at:at + 14]) == (0, 0, 1, 0)
    one = b"\2" + struct.pack(">i", 1)
    assert data[at + 14:at + 28] == one + one + b"\1\1\1\0"


def test_the_second_broker_over_a_directory_is_refused(broker, leat, tmp_path):
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", tmp_path / "data"])
    assert ran.returncode == 1 and len(ran.stderr.strip().split("\n")) == 1, ran.stderr
    ran = run([leat, "kafka", "--listen", broker.address, tmp_path / "other"])
    assert ran.returncode == 1 and len(ran.stderr.strip().split("\n")) == 1, ran.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("option,word", [
    ("no.such.thing=1", "no setting"),
    ("num.partitions=x", "number"),
    ("num.partitions=0", "from 1"),
    ("default.replication.factor=3", "always 1"),
    ("ssl.keystore.location=x", "TLS"),
    ("authorizer.class.name=x", "access"),
    ("log.cleanup.policy=burn", "burn"),
    ("nothing", "NAME=VALUE"),
])
def test_settings_that_make_no_sense_are_refused(leat, tmp_path, option, word):
    ran = run([leat, "kafka", "-o", option, tmp_path / "data"])
    assert ran.returncode == 2 and word in ran.stderr, ran.stderr
    assert not (tmp_path / "data").exists()


def test_server_properties_are_read(leat, tmp_path):
    file = tmp_path / "server.properties"
    file.write_text("# Kafka's\nbroker.id=5\nlisteners=PLAINTEXT://127.0.0.1:0\nnum.network.threads=3\n"
                    f"log.dirs={tmp_path / 'logs'}\nlog.retention.hours=1\n\n")
    broker = Broker(leat, "", "--config", file, listen=False)
    assert is_alive(broker)
    assert broker.end() == 0
    assert "num.network.threads has no effect" in broker.log()
    assert "node.id=5" in (tmp_path / "logs" / "meta.properties").read_text()


@pytest.mark.parametrize("first", [True, False])
def test_options_go_before_a_file(leat, tmp_path, first):
    """Wherever they stand on the command line."""
    file = tmp_path / "server.properties"
    file.write_text("num.partitions = 5\nbroker.rack: a\\\n  b\nlog.retention.hours 2\n")
    options = ["-o", "num.partitions=3", "-o", "log.retention.ms=7"]
    arguments = [*options, "--config", file] if first else ["--config", file, *options]
    broker = Broker(leat, tmp_path / "data", *arguments)
    with Client(broker.port) as client:
        found = client.call("DescribeConfigs", 4, include_synonyms=True, resources=[
            {"resource_type": 4, "resource_name": "1", "configuration_keys": ["num.partitions", "broker.rack", "log.retention.ms"]}])
        assert client.call("Metadata", 9, topics=[])["brokers"][0]["rack"] == "ab"
        assert client.call("DescribeCluster", 1)["brokers"][0]["rack"] == "ab"
    found = {each["name"]: each for each in found["results"][0]["configs"]}
    assert {name: each["value"] for name, each in found.items()} == {
        "num.partitions": "3", "broker.rack": "ab", "log.retention.ms": "7"}
    assert [(each["value"], each["source"]) for each in found["num.partitions"]["synonyms"]] == [("3", 4), ("1", 5)]
    assert broker.end() == 0


def test_the_page_lists_what_is_announced(broker):
    """docs/kafka.md and ApiVersions say the same."""
    page = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text()
    listed = {}
    for key, first, last in re.findall(r"^\| (\d+) \| \w+ \| (\d+)(?:-(\d+))?", page, re.M):
        listed[int(key)] = (int(first), int(last or first))
    with connect(broker) as connection:
        connection.sendall(request(18, 0))
        data = answer(connection)
    count = struct.unpack(">i", data[6:10])[0]
    announced = {key: (first, last) for key, first, last in struct.iter_unpack(">hhh", data[10:10 + 6 * count])}
    announced[0] = (3, announced[0][1])  # the page says why
    assert announced == listed


def resident_kib(broker):
    status = Path(f"/proc/{broker.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def stand_still(connection):
    """Asks for all of t again and again, and reads nothing."""
    body = struct.pack(">iiiibii", -1, 0, 1, 1 << 26, 0, 0, -1) + struct.pack(">i", 1) + b"\0\1t"
    body += struct.pack(">iiqqi", 1, 0, 0, -1, 1 << 26) + struct.pack(">i", 0)
    connection.sendall(request(1, 7, body) * 100)


@needs_kcat
def test_who_does_not_read_holds_up_nobody(broker):
    sent = [b"x" * 9000] * 1000
    produce(broker, "t", sent, "-p", "0")
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stand_still(stack.enter_context(connect(broker)))
        assert consume(broker, "t", "-p", "0") == sent


@needs_kcat
def test_members_are_not_missed_while_the_broker_ends(start_broker):
    """They can't reach it: who is there when it starts again goes on as the member that it was."""
    broker = start_broker("--drain-timeout", "8s", "-o", "group.min.session.timeout.ms=1000")
    produce(broker, "t", [b"x" * 9000] * 1000, "-p", "0")
    with connect(broker) as slow, Client(broker.port) as client:
        client.call("FindCoordinator", 4, coordinator_keys=["g"])
        member = client.call("JoinGroup", 3, group_id="g", session_timeout_ms=5000, rebalance_timeout_ms=5000,
                             protocol_type="consumer", protocols=[{"name": "range", "metadata": b""}])
        asked = {"group_id": "g", "member_id": member["member_id"], "generation_id": member["generation_id"]}
        assert client.call("SyncGroup", 2, assignments=[], **asked)["error_code"] == 0
        # The end waits for this one until the limit, longer than the member's session.
        stand_still(slow)
        broker.restart()
    with Client(broker.port) as client:
        assert client.call("Heartbeat", 2, **asked)["error_code"] == 0, broker.log()


@pytest.mark.release_only
def test_idle_connections_and_announced_requests_take_little_memory(broker):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(broker)) for _ in range(800)]
        for connection in connections:
            connection.sendall(request(18, 0))
            answer(connection)
        # A size of 100 MiB, and then silence.
        for connection in connections[:100]:
            connection.sendall(struct.pack(">i", 100 << 20) + b"\0\0\0\7")
        assert is_alive(broker)
        assert resident_kib(broker) < 30 * 1024
