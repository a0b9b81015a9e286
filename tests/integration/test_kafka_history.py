"""Histories of clients that are killed, paused and restarted, of a broker that is killed: nothing
acknowledged is lost, idempotent producers leave no duplicates, order is kept, groups have one owner for
each partition, committed offsets never go back. history.py has the checks."""

import os
import random
import signal
import sys

import pytest
from history_run import Play, verdict

SECONDS = int(os.environ.get("HISTORY_SECONDS", "20"))


@pytest.fixture
def play(start_broker, tmp_path, request):
    for library in ("confluent_kafka", "kafka"):
        pytest.importorskip(library)
    seed = int(os.environ.get("HISTORY_SEED", random.randrange(1 << 32)))
    print("seed", seed)
    play = Play(start_broker(*request.param), tmp_path / "history", seed)
    yield play
    play.stop()
    print("\n".join(play.done), file=sys.stderr)


def cut_a_log(broker, folder):
    """What a broker must never do: the last record of a partition that has some is gone."""
    broker.end(signal.SIGKILL)
    log = max(folder.glob("data/t-*/*.log"), key=lambda path: path.stat().st_size)
    os.truncate(log, log.stat().st_size - 1)
    broker.start()


@pytest.mark.parametrize("play", [()], indirect=True)
def test_a_broker_that_loses_a_record_is_found_out(play, tmp_path):
    play.create("t", 2)
    play.producer("one", "t", idempotent=True)
    play.consumer("reader", "t", "g")
    play.go_on(2, {lambda: None: 1})
    play.clients[0].end()
    cut_a_log(play.broker, tmp_path)
    play.clients[0].start()
    play.go_on(1, {lambda: None: 1})
    play.settle()
    wrong, _ = verdict(play)
    assert any("lost: one.1:" in each for each in wrong), wrong


@pytest.mark.parametrize("play", [(), ("-o", "log.flush.interval.messages=1", "-o", "log.segment.bytes=200000")],
                         ids=["cached", "flushed"], indirect=True)
def test_a_history_with_everything_in_it(play):
    play.create("t", 6)
    play.producer("one", "t", idempotent=True)
    play.producer("two", "t", idempotent=True, codec="lz4")
    play.producer("three", "t", idempotent=False, codec="snappy")
    play.producer("four", "t", idempotent=False, library="python", rate=100)
    for n in range(2):
        play.consumer(f"eager{n}", "t", "confluent")
        play.consumer(f"python{n}", "t", "python", library="python")
        play.consumer(f"static{n}", "t", "static", instance=f"i{n}")
    play.go_on(SECONDS, {
        lambda: play.kill_one("consumer"): 4,
        lambda: play.kill_one("producer"): 1,
        play.leave_and_return: 2,
        play.pause_one: 1,
        lambda: play.restart_broker(signal.SIGKILL): 2,
        lambda: play.restart_broker(signal.SIGTERM): 1,
    })
    play.settle()
    wrong, told = verdict(play)
    print(told)
    assert not wrong, "\n".join(wrong)
