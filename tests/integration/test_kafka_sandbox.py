"""leat kafka confined: what it still does, what nobody in its place can do, and whose rights it has. That it does
all it should, the other tests of Kafka show: they run confined, too."""

import errno
import os
import signal

import pytest
from http_client import drop_from_page_cache
from inside import (AT_FDCWD, EXECVE, FSYNC, MKDIRAT, RENAMEAT, UNLINKAT, Ended, expect_little, need_confinement, status,
                    thread, threads)
from kafka_server import Broker, consume, needs_kcat, produce, wait_until
from support import as_nobody, run


@needs_kcat
def test_no_thread_opens_what_is_not_below_the_data(start_broker, tmp_path):
    (tmp_path / "secret").write_text("secret")
    broker = start_broker("--admin", "127.0.0.1:0", "-o", "log.flush.interval.messages=1")
    need_confinement(broker)
    produce(broker, "t", [b"x"], "-p", "0")  # so that there are helpers
    log = tmp_path / "data" / "t-0" / f"{0:020}.log"
    pid = broker.process.pid
    tids = threads(pid)
    assert len(tids) >= 4
    for tid in tids:
        with thread(pid, tid) as inside:
            expect_little(inside)
            assert inside.opens(log, os.O_RDWR) is True and inside.opens(log) is True
            for path in ("/etc/passwd", "/proc/self/environ", tmp_path / "secret", "/", tmp_path):
                assert inside.opens(path) == -errno.EACCES, path
            for path in (tmp_path / "secret", tmp_path / "new"):
                assert inside.opens(path, os.O_WRONLY | os.O_CREAT) == -errno.EACCES, path
            assert inside.opens(tmp_path / "secret", os.O_WRONLY | os.O_TRUNC) == -errno.EACCES
            assert inside.call(MKDIRAT, AT_FDCWD, os.fsencode(tmp_path / "new"), 0o755) == -errno.EACCES
            assert inside.call(UNLINKAT, AT_FDCWD, os.fsencode(tmp_path / "secret"), 0) == -errno.EACCES
            assert inside.call(RENAMEAT, AT_FDCWD, os.fsencode(log), AT_FDCWD, os.fsencode(tmp_path / "out")) < 0
    # And it goes on.
    assert (tmp_path / "secret").read_text() == "secret" and not (tmp_path / "out").exists()
    produce(broker, "t", [b"y"], "-p", "0")
    assert consume(broker, "t", "-p", "0") == [b"x", b"y"]


def test_an_intruder_that_starts_a_program_ends_the_process(leat, tmp_path):
    broker = Broker(leat, tmp_path / "data")
    try:
        need_confinement(broker)
        with thread(broker.process.pid, broker.process.pid) as inside:
            with pytest.raises(Ended) as ended:
                inside.call(EXECVE, b"/bin/true", 0, 0)
        assert ended.value.args[0] == signal.SIGSYS
    finally:
        broker.end(signal.SIGKILL)


def test_the_calls_of_a_store_are_not_for_http(serve):
    server = serve()
    need_confinement(server)
    with thread(server.process.pid, server.process.pid) as inside:
        assert inside.call(FSYNC, 2) == -errno.ENOSYS
        assert inside.call(MKDIRAT, AT_FDCWD, b"/tmp/new", 0o755) == -errno.ENOSYS


def test_without_sandbox_nothing_is_given_up(start_broker):
    broker = start_broker("--no-sandbox")
    assert status(broker.process.pid, "Seccomp") == ["0"] and status(broker.process.pid, "NoNewPrivs") == ["0"]
    assert "confined" not in broker.log()


@needs_kcat
def test_cold_data_rolled_segments_and_deleted_topics_work_confined(start_broker, tmp_path):
    broker = start_broker("-o", "log.segment.bytes=100000", "-o", "num.partitions=1",
                          "-o", "log.segment.delete.delay.ms=0")
    sent = [b"%05d" % n + b"x" * 1000 for n in range(2000)]
    produce(broker, "t", sent, "-X", "batch.num.messages=50")
    logs = sorted((tmp_path / "data" / "t-0").glob("*.log"))
    assert len(logs) > 5
    for log in logs:
        drop_from_page_cache(log)
    assert consume(broker, "t") == sent
    broker.restart(signal.SIGKILL)  # and is checked before it is confined
    assert consume(broker, "t") == sent
    broker.restart()
    assert "properly" not in broker.lines[-1]
    kafka = pytest.importorskip("kafka.admin")
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
    admin.delete_topics(["t"])
    admin.close()
    wait_until(lambda: not list((tmp_path / "data").glob("t-0*")))


# ---- another user ----


@needs_kcat
def test_it_becomes_another_user_before_it_makes_anything(as_root, leat, tmp_path):
    folder = tmp_path / "his"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    broker = Broker(leat, folder / "data", "--user", "nobody", "--admin", "127.0.0.1:0")
    try:
        produce(broker, "t", [b"x"], "-p", "0")
        assert "running as user nobody" in broker.log()
        for tid in threads(broker.process.pid):
            assert status(broker.process.pid, "Uid", tid) == ["65534"] * 4
            for field in ("CapEff", "CapPrm", "CapAmb"):
                assert int(status(broker.process.pid, field, tid)[0], 16) == 0
        made = [folder / "data", *(folder / "data").rglob("*")]
        assert len(made) > 5 and {path.stat().st_uid for path in made} == {65534}
        broker.restart()
        assert consume(broker, "t", "-p", "0") == [b"x"]
    finally:
        assert broker.end() == 0, broker.log()


def test_a_folder_that_the_user_may_not_make_is_said(as_root, leat, tmp_path):
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", "--user", "nobody", tmp_path / "data"])
    assert ran.returncode == 1 and "can't be made: Permission denied" in ran.stderr
    assert not (tmp_path / "data").exists()


def test_only_root_becomes_another_user_and_nothing_is_made(as_root, leat, tmp_path):
    tmp_path.chmod(0o777)
    ran = run([leat, "kafka", "--listen", "127.0.0.1:0", "--user", "daemon", tmp_path / "data"], preexec_fn=as_nobody)
    assert ran.returncode == 1 and "only root can become user 'daemon'" in ran.stderr
    assert not (tmp_path / "data").exists()
