"""`leat kafka` and compressed batches: what is taken, what is refused and how, what is stored."""

import gzip
import hashlib
import signal
import socket
import struct
import time

import pytest
from kafka_batches import (COMPRESS, GREATEST, answer, batch, batch_of, crc32c, list_offset, produce_answer,
                           produce_request, record, records, request, send, send_one, zstd_frame)
from kafka_cases import (HOUR, INVALID_RECORD, INVALID_TIMESTAMP, NONE, TOO_LARGE, TOPICS, UNKNOWN, cases)
from kafka_server import consume, needs_kcat, produce, wait_until
from support import TIMEOUT, run

for module in ("snappy", "lz4.frame", "zstandard"):
    pytest.importorskip(module)

COMPRESSED = [codec for codec in COMPRESS if codec != "none"]


def make(broker, **topics):
    """Topics of one partition, each with settings."""
    admin = pytest.importorskip("confluent_kafka.admin")
    client = admin.AdminClient({"bootstrap.servers": broker.address})
    made = client.create_topics([admin.NewTopic(name, num_partitions=1, replication_factor=1, config=config)
                                 for name, config in topics.items()])
    for future in made.values():
        future.result(TIMEOUT)


def batches_in(data):
    found = []
    while data:
        size = 12 + struct.unpack_from(">i", data, 8)[0]
        found.append(data[:size])
        data = data[size:]
    return found


def log_of(broker, topic, partition=0):
    return broker.data / f"{topic}-{partition}" / f"{0:020}.log"


def stored(broker, topic):
    return batches_in(log_of(broker, topic).read_bytes())


def header(data):
    """(attributes, greatest time, whether the checksum is right) of a batch."""
    attributes, = struct.unpack_from(">h", data, 21)
    greatest, = struct.unpack_from(">q", data, 35)
    return attributes, greatest, struct.unpack_from(">I", data, 17)[0] == crc32c(data[21:])


def now_ms():
    return int(time.time() * 1000)


def noise(count):
    """Bytes that nothing compresses."""
    return b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(count // 32))


# ---- what is taken ----

def test_each_batch_gets_kafkas_answer(broker):
    make(broker, **TOPICS)
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


@pytest.mark.parametrize("codec", COMPRESS)
def test_times_are_set_right_and_nothing_else(broker, codec):
    make(broker, plain={}, append=TOPICS["append"])
    now = now_ms()
    good = batch_of(records(20), 20, codec, now=now)
    for sent in (good, batch_of(records(20), 20, codec, now=now, max_time=now + 5000),
                 batch_of(records(20), 20, codec, now=now, max_time=-1)):
        assert send_one(broker.address, "plain", sent).error == NONE
    one, two, three = stored(broker, "plain")
    assert one[17:] == good[17:] == two[17:] == three[17:]
    # A batch that says its times are the broker's has only one, and is the producer's all the same.
    assert send_one(broker.address, "plain", batch_of(records(20), 20, codec, now=now, attributes=8)).error == NONE
    assert stored(broker, "plain")[3][17:] == good[17:]
    outcome = send_one(broker.address, "append", good)
    kept, = stored(broker, "append")
    assert header(kept) == (header(good)[0] | 8, outcome.time, True)
    assert now - 1000 < outcome.time <= now_ms()
    assert kept[61:] == good[61:]


@pytest.mark.parametrize("level", ["relaxed", "header"])
def test_less_is_looked_at_if_so_wished(start_broker, level):
    broker = start_broker("-o", f"leat.produce.validation={level}")
    make(broker, plain={}, compact=TOPICS["compact"], append=TOPICS["append"],
         bounded={"message.timestamp.before.max.ms": str(HOUR)})
    now = now_ms()
    looks = level == "relaxed"
    for codec in COMPRESSED:
        damaged = batch(b"\x99no such thing", 20, codec, now=now)
        unset = batch(b"\x99no such thing", 20, codec, now=now, max_time=-1)
        assert send_one(broker.address, "plain", damaged).error == NONE
        assert send_one(broker.address, "append", unset).error == NONE
        for topic, data in (("plain", unset), ("compact", damaged), ("bounded", damaged)):
            assert send_one(broker.address, topic, data).error == (UNKNOWN if looks else NONE), (codec, topic)
        keyless = batch_of(record(0, key=None), 1, codec, now=now)
        assert send_one(broker.address, "compact", keyless).error == (INVALID_RECORD if looks else NONE)
        old = batch_of(record(0) + record(1, time=-2 * HOUR), 2, codec, now=now)
        assert send_one(broker.address, "bounded", old).error == (INVALID_TIMESTAMP if looks else NONE)
        # What the header says is looked at everywhere.
        late = batch_of(record(0), 1, codec, now=now, max_time=now + 3 * HOUR)
        assert send_one(broker.address, "plain", late).error == INVALID_TIMESTAMP
        early = batch_of(record(0), 1, codec, now=now - 3 * HOUR, max_time=now)
        assert send_one(broker.address, "bounded", early).error == INVALID_TIMESTAMP
        twice = batch_of(record(0), 1, codec, now=now, attributes=8)
        assert send_one(broker.address, "append", twice).error == INVALID_TIMESTAMP
    # And records that are not compressed are.
    assert send_one(broker.address, "compact", batch_of(record(0, key=None), 1, now=now)).error == INVALID_RECORD


@pytest.mark.parametrize("codec", COMPRESS)
def test_bounds_of_times_hold_for_each_record(broker, codec):
    make(broker, bounded={"message.timestamp.before.max.ms": str(HOUR), "message.timestamp.after.max.ms": str(HOUR)},
         free={"message.timestamp.after.max.ms": str(2**63 - 1)})
    now = now_ms()
    times = (0, -HOUR - 60000, HOUR + 60000, -HOUR + 60000, HOUR - 60000, -now - 1)  # the last says: none
    data = b"".join(record(n, time=time) for n, time in enumerate(times))
    outcome = send_one(broker.address, "bounded", batch_of(data, len(times), codec, now=now))
    assert (outcome.error, [index for index, _ in outcome.records]) == (INVALID_TIMESTAMP, [1, 2])
    assert "past" in outcome.records[0][1] and "future" in outcome.records[1][1]
    assert send_one(broker.address, "free", batch_of(data, len(times), codec, now=now)).error == NONE
    assert header(stored(broker, "free")[0])[1] == now + HOUR + 60000


def test_so_many_records_are_named(broker):
    make(broker, compact=TOPICS["compact"])
    count = 300
    data = b"".join(record(n, key=None) for n in range(count))
    outcome = send_one(broker.address, "compact", batch_of(data, count, "gzip", now=now_ms()))
    assert (outcome.error, [index for index, _ in outcome.records]) == (INVALID_RECORD, list(range(100)))


@pytest.mark.parametrize("arguments, value", [((), "strict"), (("-o", "leat.produce.validation=header"), "header")])
def test_the_setting_is_described(start_broker, arguments, value):
    admin = pytest.importorskip("confluent_kafka.admin")
    client = admin.AdminClient({"bootstrap.servers": start_broker(*arguments).address})
    resource = admin.ConfigResource(admin.ConfigResource.Type.BROKER, "1")
    entry = client.describe_configs([resource])[resource].result(TIMEOUT)["leat.produce.validation"]
    assert (entry.value, entry.is_default) == (value, not arguments)


# ---- what takes long ----

def large(codec, now, count=40, size=20000):
    """A batch that a loop leaves to a helper."""
    return batch_of(b"".join(record(n, value=noise(size), time=n) for n in range(count)), count, codec, now=now)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_large_batches_keep_their_order(broker, codec):
    make(broker, t={})
    now = now_ms()
    sent = [large(codec, now) if n % 3 == 0 else batch_of(records(5), 5, codec, now=now) for n in range(9)]
    with socket.create_connection(("127.0.0.1", broker.port), timeout=TIMEOUT) as connection:
        connection.sendall(b"".join(produce_request([("t", 0, data)]) for data in sent))
        outcomes = [produce_answer(answer(connection))[0] for _ in sent]
    counts = [40 if n % 3 == 0 else 5 for n in range(9)]
    assert [outcome.offset for outcome in outcomes] == [sum(counts[:n]) for n in range(9)]
    assert [data[17:] for data in stored(broker, "t")] == [data[17:] for data in sent]


def test_each_partition_of_a_large_request_has_its_answer(broker):
    make(broker, a={}, b={}, compact=TOPICS["compact"])
    now = now_ms()
    outcomes = send(broker.address, [
        ("a", 0, large("gzip", now)), ("nope-" + "x" * 200, 3, large("zstd", now)), ("b", 0, large("lz4", now)[:-1] + b"x"),
        ("compact", 0, batch_of(record(0, key=None), 1, "zstd", now=now)), ("b", 0, batch_of(records(3), 3, now=now))])
    assert [outcome.error for outcome in outcomes] == [0, 3, 2, INVALID_RECORD, 0]
    assert [index for index, _ in outcomes[3].records] == [0]
    assert [len(stored(broker, topic)) for topic in ("a", "b", "compact")] == [1, 1, 0]


def test_what_wants_no_answer_is_stored_though_the_client_has_left(broker):
    make(broker, t={})
    data = large("gzip", now_ms())
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", broker.port), timeout=TIMEOUT) as connection:
            connection.sendall(produce_request([("t", 0, data)], acks=0))
    wait_until(lambda: len(stored(broker, "t")) == 10)


def test_large_batches_wait_for_the_disk(start_broker):
    broker = start_broker("-o", "log.flush.interval.messages=1")
    make(broker, t={})
    data = large("zstd", now_ms())
    assert [send_one(broker.address, "t", data).offset for _ in range(3)] == [0, 40, 80]
    broker.restart(signal.SIGKILL)
    assert len(stored(broker, "t")) == 3


def test_small_batches_that_come_to_much_are_taken_as_well(broker):
    """What they come to shows on the way: a helper begins anew."""
    make(broker, t={}, compact=TOPICS["compact"])
    now = now_ms()
    for codec in ("gzip", "lz4", "zstd"):
        data = record(0) + record(1, key=None, value=bytes(2 * 1000 * 1000), time=7)
        small = batch_of(data, 2, codec, now=now, max_time=-1)
        assert len(small) < 10000 or codec == "lz4"
        first, second = send(broker.address, [("t", 0, small), ("compact", 0, small)])
        assert (first.error, second.error, [index for index, _ in second.records]) == (NONE, INVALID_RECORD, [1])
        assert header(stored(broker, "t")[-1])[1:] == (now + 7, True)


def resident_kib(broker):
    with open(f"/proc/{broker.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


@pytest.mark.release_only
def test_bombs_are_too_large_and_take_little_memory(broker):
    make(broker, t={})
    now = now_ms()
    before = resident_kib(broker)
    size = 200 * 1000 * 1000
    zeros = bytes(size)
    for compress, codec in ((lambda data: gzip.compress(data, 9), "gzip"), (zstd_frame, "zstd")):
        bomb = batch(compress(record(0, value=zeros)), 1, codec, now=now)
        assert len(bomb) < 1000 * 1000
        outcomes = send(broker.address, [("t", 0, bomb)] * 4)
        assert [outcome.error for outcome in outcomes] == [TOO_LARGE] * 4
    assert stored(broker, "t") == []
    assert resident_kib(broker) - before < 16 * 1024


# ---- ListOffsets ----

@pytest.mark.parametrize("codec", COMPRESS)
def test_a_time_is_found_to_the_record(broker, codec):
    make(broker, t={})
    now = now_ms() - 100000
    for n in range(3):
        data = b"".join(record(i, value=b"x" * 100, time=i * 10) for i in range(1000))
        sent = batch_of(data, 1000, codec, now=now + n * 10000, max_time=now + n * 10000 + 9990)
        assert send_one(broker.address, "t", sent).error == NONE
    for offset in (0, 1, 499, 999, 1000, 1001, 2500, 2999):
        assert list_offset(broker.address, "t", now + offset * 10) == (0, offset, now + offset * 10)
        assert list_offset(broker.address, "t", now + offset * 10 - 5) == (0, offset, now + offset * 10)
    assert list_offset(broker.address, "t", now + 29991) == (0, -1, -1)
    assert list_offset(broker.address, "t", GREATEST) == (0, 2999, now + 29990)
    # The greatest is not the last.
    sent = batch_of(record(0) + record(1, time=70) + record(2, time=70) + record(3, time=20), 4, codec, now=now + 50000)
    assert send_one(broker.address, "t", sent).error == NONE
    assert list_offset(broker.address, "t", GREATEST) == (0, 3001, now + 50070)
    assert list_offset(broker.address, "t", now + 50010) == (0, 3001, now + 50070)


def delete_records(broker, topic, offset):
    """DeleteRecords 0."""
    body = struct.pack(">ih", 1, len(topic)) + topic.encode() + struct.pack(">iiqi", 1, 0, offset, 10000)
    with socket.create_connection(("127.0.0.1", broker.port), timeout=TIMEOUT) as connection:
        connection.sendall(request(21, 0, body))
        assert struct.unpack(">qh", answer(connection)[-10:]) == (offset, 0)


@pytest.mark.parametrize("codec", COMPRESS)
def test_records_that_were_deleted_are_not_found(broker, codec):
    make(broker, t={})
    now = now_ms() - 100000
    for n in range(2):
        data = b"".join(record(i, time=i) for i in range(10))
        assert send_one(broker.address, "t", batch_of(data, 10, codec, now=now + 1000 * n)).error == NONE
    late = batch_of(record(0, time=500) + record(1), 2, codec, now=now + 3000, max_time=now + 3500)
    assert send_one(broker.address, "t", late).error == NONE
    delete_records(broker, "t", 7)
    assert list_offset(broker.address, "t", now) == (0, 7, now + 7)
    assert list_offset(broker.address, "t", now + 3) == (0, 7, now + 7)
    assert list_offset(broker.address, "t", now + 9) == (0, 9, now + 9)
    assert list_offset(broker.address, "t", now + 10) == (0, 10, now + 1000)
    # The only one of that time is gone, and its batch is not.
    delete_records(broker, "t", 21)
    assert list_offset(broker.address, "t", now + 3001) == (0, -1, -1)
    assert list_offset(broker.address, "t", now + 2999) == (0, 21, now + 3000)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_batches_whose_header_was_believed(start_broker, codec):
    broker = start_broker("-o", "leat.produce.validation=header")
    make(broker, t={}, damaged={})
    now = now_ms() - 100000
    for n in range(3):
        # They say that they have times up to 1000 ms later than they have.
        sent = batch_of(records(10), 10, codec, now=now + 500 * n, max_time=now + 500 * n + 1000)
        assert send_one(broker.address, "t", sent).error == NONE
    assert list_offset(broker.address, "t", now + 505) == (0, 15, now + 505)
    assert list_offset(broker.address, "t", now + 100) == (0, 10, now + 500)
    assert list_offset(broker.address, "t", now + 1600) == (0, -1, -1)
    assert send_one(broker.address, "damaged", batch(b"\x99no such thing", 20, codec, now=now)).error == NONE
    assert list_offset(broker.address, "damaged", now)[0] == UNKNOWN


# ---- groups ----

def compressed_anew(data, codec):
    """A batch that was not."""
    attributes, = struct.unpack_from(">h", data, 21)
    assert attributes & 7 == 0
    rest = struct.pack(">h", attributes | {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[codec]) + data[23:61]
    rest += COMPRESS[codec](data[61:])
    return data[:8] + struct.pack(">i", 9 + len(rest)) + data[12:17] + struct.pack(">I", crc32c(rest)) + rest


@needs_kcat
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_offsets_that_kafka_has_compressed_are_read(start_broker, codec):
    """offsets.topic.compression.codec of the broker that had the directory before."""
    broker = start_broker("-o", "offsets.topic.num.partitions=1")
    group = ["kcat", "-b", broker.address, "-X", "auto.offset.reset=earliest", "-G", "g", "-e", "-q", "t"]
    produce(broker, "t", [b"line %d" % n for n in range(100)])
    assert len(run(group).stdout.split(b"\n")) == 101
    assert broker.end() == 0
    log = log_of(broker, "__consumer_offsets")
    batches = batches_in(log.read_bytes())
    assert batches
    log.write_bytes(b"".join(compressed_anew(data, codec) for data in batches))
    # What points into it is made anew, as after a crash.
    for file in log.parent.glob("*index"):
        file.unlink()
    (broker.data / ".kafka_cleanshutdown").unlink()
    for checkpoint in broker.data.glob("recovery-point-offset-checkpoint"):
        checkpoint.unlink()
    broker.start()
    assert "not understood" not in broker.log()
    produce(broker, "t", [b"more"])
    assert run(group).stdout == b"more\n", broker.log()


# ---- clients ----

def lines(count=3000):
    return [b"%d %s" % (n, hashlib.sha256(b"%d" % (n // 3)).hexdigest().encode()) for n in range(count)]


LEVELS = [("gzip", range(10)), ("snappy", [0]), ("lz4", range(13)), ("zstd", range(1, 13))]


@needs_kcat
@pytest.mark.parametrize("codec, levels", LEVELS)
def test_kcat(broker, codec, levels):
    level = levels[-1]
    produce(broker, "t", lines(), "-p", "0", "-z", codec, "-X", f"compression.level={level}", "-X", "batch.size=1000000")
    assert consume(broker, "t", "-p", "0") == lines()
    assert any(header(data)[0] & 7 for data in stored(broker, "t"))


@needs_kcat
@pytest.mark.parametrize("codec, levels", LEVELS)
def test_confluent_kafka_at_each_level(broker, codec, levels):
    confluent_kafka = pytest.importorskip("confluent_kafka")
    make(broker, t={})
    producers = [confluent_kafka.Producer({"bootstrap.servers": broker.address, "compression.type": codec, "linger.ms": 20,
                                           "compression.level": level}) for level in levels]
    for producer in producers:
        for value in lines(400):
            producer.produce("t", value, partition=0)
    for producer in producers:
        assert producer.flush(TIMEOUT) == 0
    assert sorted(consume(broker, "t", "-p", "0")) == sorted(lines(400) * len(levels))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_kafka_python(broker, codec):
    kafka = pytest.importorskip("kafka")
    producer = kafka.KafkaProducer(bootstrap_servers=broker.address, compression_type=codec, linger_ms=50,
                                   batch_size=100000, api_version=(2, 5, 0))
    sent = [producer.send("t", value, b"key", partition=0) for value in lines()]
    producer.flush(TIMEOUT)
    producer.close(TIMEOUT)
    assert [future.get(TIMEOUT).offset for future in sent] == list(range(len(sent)))
    assert any(header(data)[0] & 7 for data in stored(broker, "t"))
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker.address, consumer_timeout_ms=TIMEOUT * 1000)
    consumer.assign([kafka.TopicPartition("t", 0)])
    consumer.seek_to_beginning()
    assert [next(consumer).value for _ in sent] == lines()
    consumer.close()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_confluent_kafka(broker, codec):
    confluent_kafka = pytest.importorskip("confluent_kafka")
    make(broker, t={}, compact=TOPICS["compact"])
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.address, "compression.type": codec, "linger.ms": 50,
                                         "enable.idempotence": True})
    outcomes = []

    def told(error, message):
        outcomes.append((error.name() if error else None, message.offset()))

    for value in lines():
        producer.produce("t", value, on_delivery=told)
        producer.poll(0)
    assert producer.flush(TIMEOUT) == 0
    assert outcomes == [(None, n) for n in range(len(lines()))]
    outcomes.clear()
    producer.produce("compact", b"a value without a key " * 20, on_delivery=told)
    assert producer.flush(TIMEOUT) == 0
    assert [name for name, _ in outcomes] == ["INVALID_RECORD"]
    assert stored(broker, "compact") == []
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest"})
    start = confluent_kafka.TopicPartition("t", 0, 0)
    consumer.assign([start])
    got = []
    while len(got) < len(lines()):
        got += [message.value() for message in consumer.consume(1000, TIMEOUT)]
    assert got == lines()
    consumer.close()
