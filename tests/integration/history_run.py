"""Makes a history: clients as processes, which are killed, paused and come back, while the broker is
killed now and then; then everything is left to settle and the end is read.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from history import History, Log, check
from history_client import value_in

CLIENT = Path(__file__).with_name("history_client.py")
SETTLED = 120  # seconds for groups to catch up once producers have ended


class Client:
    """A client that is started again under a new name each time it has ended."""

    def __init__(self, folder, spec):
        self.folder, self.spec, self.lives, self.process, self.paused = folder, spec, 0, None, False
        self.ends = []
        self.start()

    @property
    def name(self):
        return f"{self.spec['name']}.{self.lives}"

    @property
    def errors(self):
        return self.folder / f"{self.spec['name']}.stderr"

    def start(self):
        self.lives += 1
        spec = json.dumps({**self.spec, "name": self.name})
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen([sys.executable, "-B", CLIENT, spec, self.folder / f"{self.name}.jsonl"],
                                            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def kill(self):
        self.ends.append({"t": time.monotonic(), "who": self.name, "e": "ended"})
        self.process.kill()
        self.process.wait()

    def pause(self, on):
        self.paused = on
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def end(self, seconds=120):
        """Well, if it can."""
        if self.paused:
            self.pause(False)
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.ends.append({"t": time.monotonic(), "who": self.name, "e": "ended"})

    def events(self):
        found = list(self.ends)
        for path in self.folder.glob(f"{self.spec['name']}.*.jsonl"):
            for line in path.read_text().split("\n")[:-1]:  # the last may be half a line
                found.append(json.loads(line))
        return found


class Play:
    """Clients of one broker, and what is done to them. `chance` decides what."""

    def __init__(self, broker, folder, seed):
        self.broker, self.folder, self.chance = broker, folder, random.Random(seed)
        self.clients, self.topics, self.done = [], {}, []
        self.forgets = set()  # topics whose beginning is deleted meanwhile
        folder.mkdir(parents=True, exist_ok=True)

    def admin(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient({"bootstrap.servers": self.broker.address})

    def create(self, topic, partitions, **config):
        from confluent_kafka.admin import NewTopic
        admin = self.admin()  # what it is asked ends with it
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(60)
        self.topics[topic] = partitions

    def add(self, name, **spec):
        self.clients.append(Client(self.folder, {"name": name, "address": self.broker.address, **spec}))
        return self.clients[-1]

    def producer(self, name, topic, idempotent, library="confluent", rate=200, codec="none"):
        return self.add(name, role="producer", topic=topic, partitions=self.topics[topic], idempotent=idempotent,
                        library=library, rate=rate, codec=codec)

    def consumer(self, name, topic, group, library="confluent", instance=None, pace=500):
        return self.add(name, role="consumer", topic=topic, group=group, library=library, instance=instance, pace=pace)

    def tell(self, what):
        self.done.append(f"{time.monotonic():.1f} {what}")

    def of(self, role):
        return [client for client in self.clients if client.spec["role"] == role]

    # ---- what happens to them ----

    def kill_one(self, role):
        client = self.chance.choice(self.of(role))
        if not client.paused:
            self.tell(f"{client.name} is killed")
            client.kill()
            client.start()

    def leave_and_return(self):
        client = self.chance.choice(self.of("consumer"))
        if not client.paused:
            self.tell(f"{client.name} leaves")
            client.end()
            client.start()

    def pause_one(self):
        """For longer than its session lasts, at the next call it goes on."""
        paused = [client for client in self.clients if client.paused]
        for client in paused:
            self.tell(f"{client.name} goes on")
            client.pause(False)
        if not paused:
            client = self.chance.choice(self.of("consumer"))
            self.tell(f"{client.name} is paused")
            client.pause(True)

    def restart_broker(self, how):
        self.tell(f"the broker is ended by {how.name}")
        self.broker.restart(how)

    def revive(self):
        """Clients that ended by themselves."""
        for client in self.clients:
            if client.process.poll() is not None:
                self.tell(f"{client.name} has ended by itself ({client.process.returncode})")
                client.ends.append({"t": time.monotonic(), "who": client.name, "e": "ended"})
                client.start()

    def go_on(self, seconds, actions, every=(0.3, 1.7)):
        """`actions`: functions and their weights."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(self.chance.uniform(*every), max(0, until - time.monotonic())))
            self.revive()
            self.chance.choices(list(actions), weights=list(actions.values()))[0]()

    # ---- the end ----

    def settle(self):
        """Producers end, groups read all there is, consumers end."""
        self.tell("producers are ended")
        for client in self.of("producer"):
            client.process.terminate()
        for client in self.of("producer"):
            client.end()
        for client in self.clients:
            if client.paused:
                client.pause(False)
        self.tell("groups catch up")
        until = time.monotonic() + SETTLED
        while time.monotonic() < until and not self.is_level():
            self.revive_consumers()
            time.sleep(0.5)
        self.tell("consumers are ended")
        for client in self.of("consumer"):
            client.process.terminate()
        for client in self.of("consumer"):
            client.end()
        self.tell("all have ended")

    def revive_consumers(self):
        for client in self.of("consumer"):
            if client.process.poll() is not None:
                client.start()

    def groups(self):
        """{group: topics}"""
        found = {}
        for client in self.of("consumer"):
            found.setdefault(client.spec["group"], set()).add(client.spec["topic"])
        return found

    def committed(self):
        from confluent_kafka import Consumer, TopicPartition
        found = {}
        for group, topics in self.groups().items():
            consumer = Consumer({"bootstrap.servers": self.broker.address, "group.id": group})
            asked = [TopicPartition(topic, n) for topic in topics for n in range(self.topics[topic])]
            for part in consumer.committed(asked, 60):
                found[group, part.topic, part.partition] = max(part.offset, -1)
            consumer.close()
        return found

    def is_level(self):
        logs, committed = self.ends(), self.committed()
        return all(offset == logs[topic, partition].end or logs[topic, partition].end == logs[topic, partition].start
                   for (_, topic, partition), offset in committed.items())

    def ends(self):
        from confluent_kafka import Consumer, TopicPartition
        consumer = Consumer({"bootstrap.servers": self.broker.address, "group.id": "reader"})
        logs = {}
        for topic, partitions in self.topics.items():
            for n in range(partitions):
                logs[topic, n] = Log(*consumer.get_watermark_offsets(TopicPartition(topic, n), 60),
                                     forgets=topic in self.forgets)
        consumer.close()
        return logs

    def logs(self):
        """Every record of every topic."""
        from confluent_kafka import Consumer, TopicPartition
        logs = self.ends()
        consumer = Consumer({"bootstrap.servers": self.broker.address, "group.id": "reader", "enable.auto.commit": False,
                             "check.crcs": True, "auto.offset.reset": "error"})
        consumer.assign([TopicPartition(*place, log.start) for place, log in logs.items()])
        left = sum(log.end - log.start for log in logs.values())
        until = time.monotonic() + SETTLED
        while left > 0 and time.monotonic() < until:
            for message in consumer.consume(10000, 1):
                assert not message.error(), message.error()
                logs[message.topic(), message.partition()].records[message.offset()] = value_in(message.value())
                left -= 1
        consumer.close()
        return logs

    def history(self):
        """After settle()."""
        events = [event for client in self.clients for event in client.events()]
        return History(events, self.logs(), self.committed())

    def stop(self):
        for client in self.clients:
            if client.process.poll() is None:
                client.process.kill()
                client.process.wait()


def report(history, play):
    """What happened, in numbers."""
    count = {}
    for event in history.events:
        count[event["e"]] = count.get(event["e"], 0) + 1
    records = sum(len(log.records) for log in history.logs.values())
    return f"{records} records; " + ", ".join(f"{count[name]} {name}" for name in sorted(count)) \
        + f"; {len(play.done)} things were done"


def verdict(play):
    """What is wrong (sentences), and the report."""
    history = play.history()
    return check(history), report(history, play)
