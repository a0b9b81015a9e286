#!/usr/bin/python3
"""A broker for an hour (SOAK_SECONDS), with clients that are killed and come back, and with trouble.

The time is cut into acts. In each, producers and groups of consumers work on topics that are new, things
are done to them as in the histories of tests/integration (the broker is killed in the first third of
the acts, and lives from then on), and trouble.py goes on beside them. At the end of an act the history is
checked, topics and groups are deleted, everybody goes, and what the broker takes is noted. It may not have
grown since the first such moment of its life.

LEAT names the program. Prints a report, exits with 0 if nothing was wrong.
"""

import collections
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import trouble  # noqa: E402 (these are found by the line above)
from history_run import Play, verdict  # noqa: E402
from kafka_server import Broker  # noqa: E402
from watch import Watch  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("SOAK_SEED", time.time()))
LEAT = Path(os.environ.get("LEAT", ROOT / "build" / "leat"))
GROWTH_KIB = 16 << 10  # what memory may be more at the end of an act than after the life's first one
MOST_KIB = 256 << 10  # and at any time
FILES = 150  # log and index of each partition that was used: there are 50 of __consumer_offsets


class SoakedBroker(Broker):
    def connections(self, found):
        return found["sockets"] > self.sockets

    sockets = 0  # when nobody is connected


def new_act(broker, folder, seed):
    play = Play(broker, folder, seed)
    play.create("t", 6)
    play.create("short", 2, **{"segment.bytes": "100000", "retention.bytes": "400000", "file.delete.delay.ms": "1000"})
    play.forgets = {"short"}
    for n, codec in enumerate(["none", "lz4", "zstd"]):
        play.producer(f"idempotent{n}", "t", idempotent=True, codec=codec, rate=100)
    play.producer("other", "t", idempotent=False, codec="snappy", rate=100)
    play.producer("python", "t", idempotent=False, library="python", rate=60)
    play.producer("short", "short", idempotent=True, rate=400)
    for n in range(3):
        play.consumer(f"eager{n}", "t", "confluent")
        play.consumer(f"static{n}", "t", "static", instance=f"i{n}")
    for n in range(2):
        play.consumer(f"python{n}", "t", "python", library="python")
        play.consumer(f"short{n}", "short", "short")
    return play


def actions(play, kills):
    found = {
        lambda: play.kill_one("consumer"): 4,
        lambda: play.kill_one("producer"): 2,
        play.leave_and_return: 3,
        play.pause_one: 1,
    }
    if kills:
        found[lambda: play.restart_broker(signal.SIGKILL)] = 1
        found[lambda: play.restart_broker(signal.SIGTERM)] = 0.5
    return found


def clear(play):
    """Topics and groups of an act."""
    import kafka.admin
    admin = play.admin()
    for future in admin.delete_topics(list(play.topics)).values():
        future.result(60)
    client = kafka.admin.KafkaAdminClient(bootstrap_servers=play.broker.address, api_version=(2, 5, 0))
    groups = set(play.groups())
    for _ in range(60):  # static members are missed only when their sessions end
        groups = {group for group, error in client.delete_consumer_groups(list(groups)) if error.errno}
        if not groups:
            break
        time.sleep(0.5)
    client.close()
    assert not groups, groups


class Soak:
    def __init__(self, folder):
        self.folder = folder
        self.broker = SoakedBroker(LEAT, folder / "data", "-o", "num.partitions=3", "-o", "group.min.session.timeout.ms=1000",
                                   "-o", "log.initial.task.delay.ms=0", "-o", "log.retention.check.interval.ms=1000")
        self.watch = Watch(self.broker)
        self.start = self.watch.quiet()
        SoakedBroker.sockets = self.start["sockets"]
        self.count, self.wrong, self.quiet = collections.Counter(), [], []
        print(f"seed {SEED}, {SECONDS} s; an idle broker takes {self.start}", flush=True)

    def trouble(self):
        over = threading.Event()
        threads = [threading.Thread(target=each, args=(self.broker, over, self.count), daemon=True) for each in trouble.ALL]
        for thread in threads:
            thread.start()
        return over, threads

    def act(self, number, seconds, kills):
        play = new_act(self.broker, self.folder / f"act{number}", SEED + number)
        over, threads = self.trouble()
        try:
            play.go_on(seconds, actions(play, kills))
            over.set()
            for thread in threads:
                thread.join(60)
            play.settle()
            wrong, told = verdict(play)
            clear(play)
        finally:
            play.stop()
        self.wrong += [f"act {number}: {each}" for each in wrong]
        found = {**self.watch.quiet(), "life": self.broker.process.pid}
        self.quiet.append(found)
        print(f"act {number}{' with kills' if kills else ''}: {told}; then it takes {found}", flush=True)
        if wrong:
            print("\n".join(wrong + play.done), flush=True)
        else:
            shutil.rmtree(play.folder)

    def run(self):
        begun, seconds = time.monotonic(), min(300, max(20, SECONDS // 20))
        number = 0
        while (passed := time.monotonic() - begun) < SECONDS:
            self.act(number, min(seconds, SECONDS - passed), kills=passed < SECONDS / 3)
            number += 1
        self.watch.end()

    def judge(self):
        last = self.quiet[-1]
        life = [each for each in self.quiet if each["life"] == last["life"]]
        if last["sockets"] != self.start["sockets"]:
            self.wrong.append(f"{last['sockets']} sockets are open, {self.start['sockets']} were at the start")
        if last["files"] > FILES or last["deleted"]:
            self.wrong.append(f"{last['files']} files are open, {last['deleted']} of which are deleted")
        if last["memory"] > life[0]["memory"] + GROWTH_KIB:
            self.wrong.append(f"memory grew from {life[0]['memory']} to {last['memory']} KiB within {len(life)} acts")
        if self.watch.most["memory"] > MOST_KIB:
            self.wrong.append(f"memory reached {self.watch.most['memory']} KiB")
        if self.count["topics with other records than were written"]:
            self.wrong.append("topics had other records than were written")
        code = self.broker.end()
        if code != 0:
            self.wrong.append(f"the broker ended with {code}")
        self.wrong += [f"the broker said: {line}" for line in self.broker.lines if re.search("rror: |Sanitizer", line)][:10]

    def report(self):
        print(f"\nat most: {self.watch.most} in {self.watch.samples} samples")
        for name, value in sorted(self.count.items()):
            print(f"{value:8} {name}")
        said = collections.Counter(re.sub(r"[0-9]+", "N", line) for line in self.broker.lines)
        print("the broker said, numbers aside:")
        for line, times in said.most_common(25):
            print(f"{times:8} {line}")
        print("\n".join(["", *(f"WRONG: {each}" for each in self.wrong)]) if self.wrong else "\nnothing was wrong")


def main():
    folder = Path(tempfile.mkdtemp(prefix="leat-soak-"))
    soak = Soak(folder)
    try:
        soak.run()
        soak.judge()
        soak.report()
    finally:
        soak.broker.end(signal.SIGKILL)
    if soak.wrong:
        print(f"histories and data are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


sys.exit(main())
