"""leat run: HTTP and Kafka in one process, from its start to its end; and make run."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from http_client import Server, drop_from_page_cache, pattern, request
from inside import expect_little, need_confinement, status, thread, threads
from kafka_server import consume, needs_kcat, produce, wait_until
from kafka_wire import connect, fetch
from metrics import admin_of, manual_entries, scrape
from support import TIMEOUT, free_port, run
from test_http_stuck import WITHOUT_LEAK_CHECK, ask, close, dead_mount

ROOT = Path(__file__).resolve().parent.parent.parent


class Both(Server):
    """`leat run` with both on free ports; what the helpers of HTTP and of Kafka ask of a server."""

    def __init__(self, leat, root, data, *arguments, **popen):
        self.log_path = root.parent / f"log-{time.monotonic_ns()}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(leat), "run", "--threads", "2", "--http", str(root), "--http-listen", "127.0.0.1:0", "--kafka",
                 str(data), "--kafka-listen", "127.0.0.1:0", "-o", "group.initial.rebalance.delay.ms=0",
                 *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **popen)
        self.addresses = self.wait_for_addresses(1)
        self.port = int(re.search(r"Kafka clients are served at 127.0.0.1:(\d+) ", self.log())[1])
        self.broker_address = f"127.0.0.1:{self.port}"


class KafkaOf:
    """The broker in it, for produce() and consume()."""

    def __init__(self, both):
        self.both, self.address, self.port = both, both.broker_address, both.port

    def log(self):
        return self.both.log()


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    (path / "small.txt").write_bytes(b"small\n")
    (path / "large.bin").write_bytes(pattern(3 << 20))
    return path


@pytest.fixture
def start_both(leat, root, tmp_path):
    servers = []

    def start(*arguments, **options):
        servers.append(Both(leat, root, tmp_path / "data", *arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0, server.log()
        assert "ERROR: " not in server.log() and "runtime error" not in server.log(), server.log()


# ---- it serves both ----


@needs_kcat
def test_both_are_served_by_one_set_of_threads(start_both, root, tmp_path):
    both = start_both("--admin", "127.0.0.1:0")
    broker = KafkaOf(both)
    sent = [b"%05d" % n for n in range(1000)]
    for _ in range(3):
        assert both.get("/large.bin").body == pattern(3 << 20)
        produce(broker, "t", sent, "-p", "0")
    assert consume(broker, "t", "-p", "0") == sent * 3
    drop_from_page_cache(root / "large.bin")
    drop_from_page_cache(next((tmp_path / "data" / "t-0").glob("*.log")))
    assert both.get("/large.bin").body == pattern(3 << 20) and consume(broker, "t", "-p", "0") == sent * 3
    names = [Path(f"/proc/{both.process.pid}/task/{tid}/comm").read_text().strip() for tid in threads(both.process.pid)]
    assert sorted(name for name in names if name.startswith("leat-loop")) == ["leat-loop-1"]  # 0 is the process's first
    assert "leat-admin" in names
    assert set(names) <= {"leat", "leat-loop-1", "leat-admin", "leat-helper", "leat-watchdog"}


@needs_kcat
def test_each_family_of_metrics_is_there_once_and_is_about_both(start_both, root):
    both = start_both("--admin", "127.0.0.1:0", "--access-log", str(root.parent / "log"))
    broker = KafkaOf(both)
    size = (root / "large.bin").stat().st_size
    produce(broker, "t", [b"x" * 1000] * 500, "-p", "0")
    consume(broker, "t", "-p", "0")
    assert len(both.get("/large.bin").body) == size
    ended = lambda m: m["leat_kafka_connections_open"] == 0 == m["leat_http_connections_open"]
    # A name that is there twice is an error of the reader's.
    m = wait_until(lambda: m if ended(m := scrape(both)) else None)
    assert m["leat_http_requests_total"] == 1 and m["leat_kafka_produced_records_total"] == 500
    assert m["leat_technique_bytes_total{technique=sendfile}"] >= size + m["leat_kafka_fetched_bytes_total"] / 2
    assert m["leat_bytes_total{verdict=by-reference}"] == m["leat_technique_bytes_total{technique=sendfile}"]
    http, kafka = manual_entries(ROOT / "man" / "leat-http.1"), manual_entries(ROOT / "man" / "leat-kafka.1")
    assert m.help == {**http, **kafka}
    with admin_of(both) as client:
        found = json.loads(client.get("/status").body)
    assert found["http"]["requests"] == 1 and found["kafka"]["produced_records"] == 500
    assert found["http"]["bytes"]["sent"] == m["leat_bytes_total{verdict=by-reference}"] + \
        m["leat_bytes_total{verdict=copied}"] - found["kafka"]["bytes"]["sent"]


def test_one_of_them_is_enough(leat, root, tmp_path):
    for arguments, says in ((["--http", root, "--http-listen", "127.0.0.1:0"], "serving"),
                            (["--kafka", tmp_path / "data", "--kafka-listen", "127.0.0.1:0"], "Kafka clients")):
        log = tmp_path / f"log-{says}"
        with open(log, "wb") as stderr:
            process = subprocess.Popen([leat, "run", *arguments], stdin=subprocess.DEVNULL, stderr=stderr)
        try:
            wait_until(lambda: says in log.read_text())
        finally:
            process.terminate()
            assert process.wait(TIMEOUT) == 0, log.read_text()
        assert ("serving" in log.read_text()) != ("Kafka clients" in log.read_text())
        assert (tmp_path / "data").exists() == (says == "Kafka clients")


def test_settings_and_options_of_both_hold(start_both, tmp_path):
    properties = tmp_path / "server.properties"
    properties.write_text("num.partitions=3\nconnections.max.idle.ms=300\n")
    both = start_both("--kafka-config", properties, "-o", "node.id=7", "--kafka-advertise", "kafka.example:99",
                      "--autoindex", "off", "--header", "X-A: b")
    assert both.get("/").status == 403 and both.get("/small.txt")["x-a"] == "b"
    assert "they are told kafka.example:99" in both.log()
    with connect(both) as connection:
        assert connection.recv(1) == b""
    assert "node.id=7" in (tmp_path / "data" / "meta.properties").read_text()


# ---- its end ----


@needs_kcat
def test_one_signal_drains_both_and_the_logs_are_closed(start_both, root, tmp_path):
    (root / "huge").write_bytes(bytes(64 << 20))
    both = start_both()
    produce(KafkaOf(both), "t", [b"x"] * 100, "-p", "0")
    with both.connect(receive_buffer=65536) as client, connect(both) as waits:
        client.send(request("/huge", Connection="close"))
        client.more()
        waiting = threading.Thread(target=fetch_or_end, args=(waits,))
        waiting.start()
        time.sleep(0.2)
        both.process.send_signal(signal.SIGTERM)
        body = client.response().body
        assert len(body) == 64 << 20  # what is being sent is finished
        waiting.join(TIMEOUT)
        assert not waiting.is_alive()
    assert both.process.wait(TIMEOUT) == 0
    assert "requests on" in both.log() and "produced" in both.log()
    assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()
    assert "properly" not in start_both().log()


def fetch_or_end(connection):
    """A fetch that waits longer than anybody, or until its connection ends."""
    with contextlib.suppress(AssertionError, OSError):
        fetch(connection, 0, -1, [(0, 100)], 1000000)


@needs_kcat
def test_a_disk_that_hangs_under_http_costs_kafka_nothing_but_a_check(leat, root, tmp_path, start_both):
    (root / "dead").mkdir()
    with dead_mount(root / "dead"):
        both = Both(leat, root, tmp_path / "data", "--drain-timeout", "1s", env=WITHOUT_LEAK_CHECK)
        produce(KafkaOf(both), "t", [b"x"] * 100, "-p", "0")
        clients = ask(both, "/dead/x", 2)
        try:
            time.sleep(0.5)
            both.process.send_signal(signal.SIGTERM)
            assert both.process.wait(TIMEOUT) == 1, both.log()
            assert "ending without" in both.log() and "is left as it is" in both.log()
        finally:
            close(clients)
            both.stop(signal.SIGKILL)
    both = start_both()
    assert "had not been closed properly" in both.log()
    assert consume(KafkaOf(both), "t", "-p", "0") == [b"x"] * 100


@needs_kcat
def test_a_hangup_opens_the_log_anew_and_disturbs_nobody(start_both, tmp_path):
    log = tmp_path / "logs" / "access"
    log.parent.mkdir()
    both = start_both("--access-log", str(log))
    broker = KafkaOf(both)
    both.get("/small.txt?before")
    produce(broker, "t", [b"x"], "-p", "0")
    log.rename(log.with_suffix(".1"))
    both.process.send_signal(signal.SIGHUP)
    wait_until(log.exists)
    both.get("/small.txt?after")
    assert consume(broker, "t", "-p", "0") == [b"x"]
    assert both.stop() == 0
    assert "before" in log.with_suffix(".1").read_text() and "after" in log.read_text()


# ---- what can't be ----


@pytest.mark.parametrize("arguments, says", [
    ([], "what is to be served?"),
    (["--admin", "127.0.0.1:0"], "what is to be served?"),
    (["--kafka", "DATA", "--index", "a.html"], "no --http DIR"),
    (["--kafka", "DATA", "--http-listen", "127.0.0.1:0"], "no --http DIR"),
    (["--http", "ROOT", "-o", "num.partitions=2"], "no --kafka DATA_DIR"),
    (["--http", "ROOT", "--kafka-listen", "127.0.0.1:0"], "no --kafka DATA_DIR"),
    (["--http", "ROOT", "--kafka", "DATA", "ROOT"], "directories are given by --http and --kafka"),
    (["--http", "ROOT", "--kafka", "ROOT/data"], "HTTP would serve Kafka's logs"),
    (["--http", "ROOT", "--kafka", "ROOT/../root"], "HTTP would serve Kafka's logs"),
    (["--http", "ROOT", "--kafka", "LINK/data"], "HTTP would serve Kafka's logs"),
    (["--http", "ROOT", "--kafka", "."], "HTTP would serve Kafka's logs"),
    (["--http", "ROOT", "--kafka", "DATA", "-o", "no.such.setting=1"], "there is no setting"),
    (["--http", "ROOT", "--kafka", "DATA", "--threads", "0"], "--threads is a number"),
    (["--http", "ROOT", "--kafka", "DATA", "--listen", "127.0.0.1:0"], "there is no option --listen"),
    (["--http", "ROOT", "--kafka", "DATA", "--kafka-listen", "nonsense:x"], "nonsense:x"),
])
def test_what_makes_no_sense_is_refused_in_a_line(leat, root, tmp_path, arguments, says):
    (tmp_path / "link").symlink_to(root)
    words = [word.replace("ROOT", str(root)).replace("DATA", str(tmp_path / "data"))
             .replace("LINK", str(tmp_path / "link")) for word in arguments]
    ran = run([leat, "run", *words], cwd=tmp_path)
    assert ran.returncode == 2 and says in ran.stderr and ran.stderr.count("\n") == 1, ran.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("which", ["http", "kafka", "admin"])
def test_a_port_that_is_taken_leaves_nothing_running_and_nothing_made(leat, root, tmp_path, which):
    ports = {name: free_port() for name in ("http", "kafka", "admin")}
    socket_file = tmp_path / "socket"
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[which]))
        other.listen(1)
        ran = run([leat, "run", "--http", root, "--http-listen", f"127.0.0.1:{ports['http']}", "--http-listen",
                   f"unix:{socket_file}", "--kafka", tmp_path / "data", "--kafka-listen", f"127.0.0.1:{ports['kafka']}",
                   "--admin", f"127.0.0.1:{ports['admin']}"])
    assert ran.returncode == 1 and "already in use" in ran.stderr and ran.stderr.count("\n") == 1, ran.stderr
    assert not (tmp_path / "data").exists() and not socket_file.exists()


def test_a_folder_that_is_not_there_or_is_another_brokers_is_said(leat, root, tmp_path, start_both):
    common = ["--http-listen", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0"]
    ran = run([leat, "run", "--http", tmp_path / "missing", "--kafka", tmp_path / "data", *common])
    assert ran.returncode == 1 and "missing: No such file" in ran.stderr and ran.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
    ran = run([leat, "run", "--http", root, "--kafka", tmp_path / "a" / "b", *common])
    assert ran.returncode == 1 and "can't be made: No such file" in ran.stderr and ran.stderr.count("\n") == 1
    both = start_both()
    ran = run([leat, "run", "--http", root, "--kafka", tmp_path / "data", *common])
    assert ran.returncode == 1 and "locked by another process" in ran.stderr and ran.stderr.count("\n") == 1
    assert both.get("/small.txt").status == 200


# ---- confined ----


@needs_kcat
def test_it_reads_what_http_serves_and_writes_to_kafkas_logs_alone(start_both, root, tmp_path):
    (tmp_path / "secret").write_text("secret")
    # The folder above is a home, with too much in it to be allowed for what may replace the root.
    both = start_both("--admin", "127.0.0.1:0", env=dict(os.environ, HOME=str(tmp_path)))
    need_confinement(both)
    assert f"opens only what is below {root} and {tmp_path / 'data'}\n" in both.log()
    produce(KafkaOf(both), "t", [b"x"], "-p", "0")
    log = next((tmp_path / "data" / "t-0").glob("*.log"))
    pid = both.process.pid
    for tid in threads(pid):
        with thread(pid, tid) as inside:
            expect_little(inside)
            assert inside.opens(root / "small.txt") is True and inside.opens(log, os.O_RDWR) is True
            assert inside.opens(root / "small.txt", os.O_WRONLY) < 0
            assert inside.opens(root / "new", os.O_WRONLY | os.O_CREAT) < 0
            assert inside.opens(tmp_path / "secret") < 0 and inside.opens("/etc/passwd") < 0


def test_it_becomes_another_user(as_root, start_both, root, tmp_path):
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 65534, 65534)
    both = start_both("--user", "nobody")
    assert both.get("/small.txt").status == 200
    assert status(both.process.pid, "Uid") == ["65534"] * 4
    assert {path.stat().st_uid for path in (tmp_path / "data").rglob("*")} == {65534}


# ---- make run ----


@needs_kcat
@pytest.mark.release_only
def test_make_run_starts_both_and_its_lines_can_be_copied(leat, root, tmp_path):
    if not (leat.parent / "build.ninja").exists():
        pytest.skip("the program under test is not in its build folder")
    log = tmp_path / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            ["make", "run", f"BUILD={leat.parent}", f"DIR={root}", f"PORT={free_port()}", f"KAFKA_PORT={free_port()}",
             f"DATA={tmp_path / 'some' / 'data'}"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_until(lambda: "confined" in log.read_text() or process.poll() is not None, 600)
        lines = [line.strip() for line in log.read_text().splitlines()]
        curl, put, get = [next(line for line in lines if line.startswith(start))
                          for start in ("curl http", "echo hello | kcat", "kcat -b")]
        assert "small.txt" in run(["sh", "-c", curl]).stdout.decode()
        assert run(["sh", "-c", put]).returncode == 0
        assert b"hello\n" in run(["sh", "-c", get]).stdout
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(TIMEOUT)
    assert "produced" in log.read_text(), log.read_text()
