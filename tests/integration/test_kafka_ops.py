"""leat kafka as an operator sees it: metrics and status."""

import contextlib
import json
import socket
import struct
import threading
from pathlib import Path

import pytest
from kafka_server import consume, needs_kcat, produce, wait_until
from kafka_wire import answer, batch_of, connect, fetch, request, send_batch
from metrics import Metrics, admin_of, manual_entries, scrape
from support import TIMEOUT, run

MAN = Path(__file__).resolve().parent.parent.parent / "man"


@pytest.fixture
def observe(start_broker):
    def start(*arguments):
        broker = start_broker("--admin", "127.0.0.1:0", *arguments)
        wait_until(lambda: "metrics at" in broker.log())
        return broker

    return start


def settled(broker, condition):
    """The metrics, once the condition holds of them: ends of connections and of waits are seen a moment later."""

    def look():
        m = scrape(broker)
        return m if condition(m) else None

    return wait_until(look)


def no_connections(m):
    return m["leat_kafka_connections_open"] == 0


@needs_kcat
def test_the_counts_are_exactly_what_was_asked_for(observe):
    broker = observe()
    lines = [b"%05d" % n for n in range(3000)]
    produce(broker, "t", lines[:2000], "-p", "0")
    produce(broker, "t", lines[2000:], "-p", "0", "-z", "gzip")
    assert consume(broker, "t", "-p", "0") == lines
    m = settled(broker, no_connections)
    assert m["leat_kafka_produced_records_total"] == 3000
    assert m["leat_kafka_requests_total{api=Produce}"] == m["leat_kafka_produced_batches_total"] >= 2
    # Each byte that was appended was read once, as it lies in the log; kcat may ask for some twice.
    assert m["leat_kafka_produced_bytes_total"] == m["leat_kafka_log_bytes"] <= m["leat_kafka_fetched_bytes_total"]
    assert m["leat_bytes_total{verdict=by-reference}"] + m["leat_bytes_total{verdict=copied}"] == \
        m.sum("leat_technique_bytes_total") > m["leat_kafka_fetched_bytes_total"]
    for api, name in (("Produce", "Produce"), ("Fetch", "Fetch")):
        assert m[f"leat_kafka_request_duration_seconds_count{{api={name}}}"] <= \
            m[f"leat_kafka_requests_total{{api={api}}}"]
    assert m["leat_kafka_request_duration_seconds_count{api=Produce}"] == m["leat_kafka_requests_total{api=Produce}"]
    assert 0 < m["leat_kafka_request_duration_seconds_sum{api=Produce}"] < 60
    assert m["leat_kafka_topics"] == 1 and m["leat_kafka_partitions"] == 1 and m["leat_kafka_segments"] == 1
    assert m["leat_kafka_partitions_offline"] == 0
    assert m["leat_kafka_not_kafka_total"] == 0 and m.sum("leat_kafka_errors_total") <= 2  # a topic that is being made


def test_each_request_is_timed_once_also_when_many_are_answered_together(observe):
    broker = observe("--threads", "1")
    count = 1000
    with connect(broker) as connection:
        connection.sendall(request(18, 0) * count)
        for _ in range(count):
            answer(connection)
    m = settled(broker, no_connections)
    assert m["leat_kafka_requests_total{api=ApiVersions}"] == count
    assert m["leat_kafka_request_duration_seconds_count{api=other}"] == count
    assert m["leat_kafka_connections_total"] == 1


@needs_kcat
def test_errors_are_counted_by_api_and_name(observe):
    broker = observe("-o", "num.partitions=1")
    produce(broker, "t", [b"x"], "-p", "0")
    damaged = struct.pack(">qiib", 0, 50, -1, 2) + bytes(45)
    before = scrape(broker)
    with connect(broker) as connection:
        for _ in range(3):
            assert send_batch(connection, damaged) == 2
        assert send_batch(connection, batch_of(7), partition=5) == 3
        assert fetch(connection, 0, -1, [(0, 99), (4, 0)])[2] == {0: (1, -1, 0), 4: (3, -1, 0)}
        # Nobody hears of this one but the counters.
        assert send_batch(connection, damaged, acks=0) is None
        assert connection.recv(1) == b""
    m = scrape(broker)

    def grown(api, error):
        key = f"leat_kafka_errors_total{{api={api},error={error}}}"
        return m[key] - before[key]

    assert grown("Produce", "CORRUPT_MESSAGE") == 4
    assert grown("Produce", "UNKNOWN_TOPIC_OR_PARTITION") == 1
    assert grown("Fetch", "OFFSET_OUT_OF_RANGE") == 1 and grown("Fetch", "UNKNOWN_TOPIC_OR_PARTITION") == 1
    assert m["leat_kafka_produced_batches_total"] == 1


def test_who_is_no_client_and_who_is_silent_is_seen(observe):
    broker = observe("-o", "connections.max.idle.ms=300")
    with connect(broker) as silent, connect(broker) as stranger, connect(broker):
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stranger.recv(1) == b"" == silent.recv(1)
        m = settled(broker, no_connections)
    assert m["leat_kafka_not_kafka_total"] == 1
    assert m["leat_kafka_timeouts_total{deadline=idle}"] == 2
    assert m["leat_kafka_connections_total"] == 3


@needs_kcat
def test_a_fetch_that_waits_is_seen_and_is_not_slow(observe):
    broker = observe("-o", "num.partitions=1")
    produce(broker, "t", [b"x"], "-p", "0")
    with connect(broker) as connection:
        waiting = threading.Thread(target=fetch, args=(connection, 0, -1, [(0, 1)], 50000))
        waiting.start()
        settled(broker, lambda m: m["leat_kafka_fetches_waiting"] == 1)
        run(["sleep", "1.2"])
        produce(broker, "t", [b"y"], "-p", "0")
        waiting.join(60)
    m = settled(broker, lambda m: m["leat_kafka_fetches_waiting"] == 0)
    assert m["leat_kafka_fetches_waited_total"] == 1
    assert m["leat_kafka_request_duration_seconds_count{api=Fetch}"] == 1
    # From the append on: what came before was its client's wish.
    assert m["leat_kafka_request_duration_seconds_sum{api=Fetch}"] < 1.2
    # One whose client is gone waits no more.
    with connect(broker) as connection:
        connection.sendall(request(1, 7, struct.pack(">iiiibii", -1, 600, 1, 1 << 20, 0, 0, -1) + bytes(8)))
    settled(broker, no_connections)
    assert scrape(broker)["leat_kafka_fetches_waiting"] == 0


@needs_kcat
def test_fetch_sessions_are_counted(observe):
    broker = observe("-o", "num.partitions=1")
    produce(broker, "t", [b"x"], "-p", "0")
    before = scrape(broker)["leat_kafka_fetch_sessions"]
    with connect(broker) as connection:
        session = fetch(connection, 0, 0, [(0, 0)])[1]
        assert scrape(broker)["leat_kafka_fetch_sessions"] == before + 1
        fetch(connection, session, -1, [(0, 0)])
        assert scrape(broker)["leat_kafka_fetch_sessions"] == before


def test_producers_ids_and_duplicates_are_counted(observe):
    broker = observe("-o", "num.partitions=1", "-o", "log.flush.interval.messages=1")
    with connect(broker) as connection:
        connection.sendall(request(3, 4, struct.pack(">i", 1) + b"\0\1t" + b"\1"))  # Metadata makes the topic
        answer(connection)
        ids = []
        for _ in range(3):
            connection.sendall(request(22, 0, struct.pack(">hi", -1, 1000)))
            ids.append(struct.unpack(">q", answer(connection)[10:18])[0])
        wait_until(lambda: send_batch(connection, batch_of(ids[0])) == 0)
        assert send_batch(connection, batch_of(ids[0])) == 0
        assert send_batch(connection, batch_of(ids[1])) == 0
    m = scrape(broker)
    assert m["leat_kafka_producer_ids_total"] == 3
    assert m["leat_kafka_produced_batches_total"] == 2 and m["leat_kafka_duplicate_batches_total"] == 1
    assert m["leat_kafka_produced_bytes_total"] == 2 * len(batch_of(0))
    # Each of them waited for the disk, and says so.
    assert m["leat_kafka_flush_duration_seconds_count"] >= 2
    assert m["leat_kafka_request_duration_seconds_sum{api=Produce}"] > 0


def test_groups_are_counted_by_state(observe):
    confluent = pytest.importorskip("confluent_kafka")
    broker = observe("-o", "num.partitions=1")
    producer = confluent.Producer({"bootstrap.servers": broker.address})
    producer.produce("t", value=b"0")
    producer.flush(60)
    consumer = confluent.Consumer({"bootstrap.servers": broker.address, "group.id": "g",
                                   "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(["t"])
    message = wait_until(lambda: consumer.poll(0.2))
    consumer.commit(message, asynchronous=False)
    m = settled(broker, lambda m: m["leat_kafka_groups{state=Stable}"] == 1)
    assert m["leat_kafka_group_members"] == 1 and m["leat_kafka_rebalances_total{reason=joined}"] == m.sum("leat_kafka_rebalances_total") == 1
    assert m["leat_kafka_committed_offsets"] == 1
    consumer.close()
    m = settled(broker, lambda m: m["leat_kafka_groups{state=Empty}"] == 1)
    assert m["leat_kafka_group_members"] == 0 and m.sum("leat_kafka_groups") == 1
    broker.restart()
    wait_until(lambda: broker.log().count("metrics at") == 2)
    m = scrape_new(broker)
    assert m["leat_kafka_groups{state=Empty}"] == 1 and m.sum("leat_kafka_rebalances_total") == 0


def scrape_new(broker):
    """After a restart the log names two admin listeners: the last one holds."""
    lines = broker.lines
    broker.lines = lines[max(n for n, line in enumerate(lines) if "metrics at" in line):]
    return scrape(broker)


def test_memory_for_announced_requests_is_seen(observe):
    broker = observe()
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(connect(broker))
            connection.sendall(struct.pack(">i", 100 << 20) + b"\0\0\0\7")
        m = settled(broker, lambda m: m["leat_kafka_request_memory_waits_total"] > 0)
        assert 500 << 20 <= m["leat_kafka_request_memory_bytes"] <= 512 << 20
    settled(broker, lambda m: m["leat_kafka_request_memory_bytes"] == 0)


@needs_kcat
def test_counters_only_grow_while_they_are_read(observe):
    broker = observe()
    ended = threading.Event()

    def load():
        while not ended.is_set():
            produce(broker, "t", [b"x" * 100] * 500)
            consume(broker, "t")

    loads = [threading.Thread(target=load) for _ in range(2)]
    for thread in loads:
        thread.start()
    try:
        before = scrape(broker)
        with admin_of(broker) as client:
            for _ in range(30):
                now = Metrics(client.get("/metrics").body.decode())
                for key, value in before.values.items():
                    if now.types.get(key.split("{")[0]) == "counter":
                        assert now[key] >= value, key
                before = now
    finally:
        ended.set()
        for thread in loads:
            thread.join(60)
    m = settled(broker, no_connections)
    assert m["leat_kafka_produced_records_total"] % 500 == 0 < m["leat_kafka_produced_records_total"]


@needs_kcat
def test_the_status_is_json(observe, tmp_path):
    broker = observe()
    produce(broker, "t", [b"x"] * 10)
    with admin_of(broker) as client:
        response = client.get("/status")
        assert response["content-type"] == "application/json"
        status = json.loads(response.body)
        assert client.get("/healthz").body == b"ok\n"
    assert status["pid"] == broker.process.pid
    kafka = status["kafka"]
    assert kafka["directory"] == str(tmp_path / "data") and kafka["node_id"] == 1
    assert kafka["produced_records"] == 10 and kafka["topics"] == 1 and kafka["partitions"] == 1
    timed = kafka["apis"]["Produce"]
    assert timed["requests"] >= 1 and timed["duration_microseconds"]["max"] > 0
    assert "http" not in status


def test_the_manual_page_has_every_metric_in_the_same_words(observe):
    m = scrape(observe())
    own, shared = manual_entries(MAN / "leat-kafka.1"), manual_entries(MAN / "leat-http.1")
    assert len(own) > 25
    assert {name: words for name, words in m.help.items() if name.startswith("leat_kafka_")} == own
    assert {name: words for name, words in m.help.items() if not name.startswith("leat_kafka_")}.items() <= \
        shared.items()


def test_the_service_manager_hears_when_it_is_ready(start_broker, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(TIMEOUT)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        start_broker()
        assert manager.recv(100) == b"READY=1"


def test_an_admin_address_that_is_taken_is_refused_and_nothing_is_made(leat, observe, tmp_path):
    broker = observe()
    with admin_of(broker) as client:
        port = client.sock.getpeername()[1]
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{port}", tmp_path / "new"])
    assert ran.returncode == 1 and "address already in use" in ran.stderr and ran.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()
