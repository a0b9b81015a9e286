"""One client of a history, as a process of its own: writes down what it does, a line of JSON an event.

    history_client.py SPEC LOG        SPEC is JSON: address, name, library, and

        role producer: topic, partitions, idempotent, rate (messages a second), codec
        role consumer: topic, group, instance (its group.instance.id, or null), pace (messages a poll)

An event is in the file before what comes after it happens, so a client may be killed at any time.
SIGTERM ends it well: producers wait for what is under way, consumers commit and leave.
"""

import json
import os
import signal
import sys
import threading
import time

from history import value_of


class Notes:
    def __init__(self, path, who):
        self.file, self.who, self.lines = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), who, []
        self.lock = threading.Lock()  # kafka-python acknowledges from a thread of its own

    def add(self, kind, **fields):
        line = json.dumps({"t": time.monotonic(), "who": self.who, "e": kind, **fields})
        with self.lock:
            self.lines.append(line)

    def write(self):
        with self.lock:
            if self.lines:
                os.write(self.file, "".join(line + "\n" for line in self.lines).encode())
                self.lines = []

    def now(self, kind, **fields):
        self.add(kind, **fields)
        self.write()


class Ending:
    asked = False

    @classmethod
    def ask(cls, *_):
        cls.asked = True


PADDING = "".join(chr(ord("a") + n % 26) for n in range(60))


def payload(who, number):
    return f"{value_of(who, number)} {PADDING[:number % 60]}".encode()


def value_in(payload_):
    return payload_.split(b" ")[0].decode()


# ---- producers ----

class ConfluentProducer:
    def __init__(self, spec, acked):
        import confluent_kafka
        self.topic, self.acked = spec["topic"], acked
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": spec["address"], "enable.idempotence": spec["idempotent"], "acks": "all", "linger.ms": 5,
            "compression.codec": spec["codec"], "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 500,
            "max.in.flight.requests.per.connection": 5 if spec["idempotent"] else 1, "log_level": 0})

    def send(self, partition, number, value):
        def delivered(error, message):
            if not error:
                self.acked(partition, number, message.offset())

        while True:
            try:
                return self.producer.produce(self.topic, value, partition=partition, on_delivery=delivered)
            except BufferError:
                self.producer.poll(0.05)

    def rest(self, seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.producer.poll(left)

    def end(self):
        self.producer.flush(100)


class PythonProducer:
    def __init__(self, spec, acked):
        import kafka
        self.topic, self.acked = spec["topic"], acked
        self.producer = kafka.KafkaProducer(bootstrap_servers=spec["address"], acks="all", retries=1000000, linger_ms=5,
                                            max_in_flight_requests_per_connection=1, retry_backoff_ms=100,
                                            reconnect_backoff_max_ms=500, api_version=(2, 5, 0))

    def send(self, partition, number, value):
        future = self.producer.send(self.topic, value, partition=partition)
        future.add_callback(lambda record: self.acked(partition, number, record.offset))

    def rest(self, seconds):
        time.sleep(seconds)

    def end(self):
        self.producer.flush(100)
        self.producer.close(5)


def produce(spec, notes):
    def acked(partition, number, offset):
        notes.add("acked", topic=spec["topic"], partition=partition, id=number, offset=offset)

    producer = {"confluent": ConfluentProducer, "python": PythonProducer}[spec["library"]](spec, acked)
    burst = max(1, spec["rate"] // 20)
    number = 0
    while not Ending.asked:
        numbers = range(number, number + burst)
        for number in numbers:
            notes.add("send", topic=spec["topic"], partition=number % spec["partitions"], id=number)
        notes.write()
        for number in numbers:
            producer.send(number % spec["partitions"], number, payload(spec["name"], number))
        number += 1
        producer.rest(0.05)
        notes.write()
    producer.end()
    notes.write()


# ---- consumers ----

class ConfluentConsumer:
    def __init__(self, spec, notes):
        import confluent_kafka
        self.kafka, self.notes, self.topic = confluent_kafka, notes, spec["topic"]
        self.places = {}  # partition: the offset to commit
        settings = {"bootstrap.servers": spec["address"], "group.id": spec["group"], "enable.auto.commit": False,
                    "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                    "reconnect.backoff.max.ms": 500, "fetch.wait.max.ms": 100, "log_level": 0, "check.crcs": True}
        if spec["instance"]:
            settings["group.instance.id"] = spec["instance"]
        self.consumer = confluent_kafka.Consumer(settings)
        self.consumer.subscribe([self.topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost)

    def parts(self, partitions):
        return [[each.topic, each.partition] for each in partitions]

    def assigned(self, consumer, partitions):
        self.notes.now("assigned", parts=self.parts(partitions), generation=None)
        self.places = {}
        begun = time.monotonic()
        try:
            found = consumer.committed(partitions, 10)
        except self.kafka.KafkaException:
            return
        self.notes.now("found", t0=begun, offsets=[[each.topic, each.partition, max(each.offset, -1)] for each in found
                                                   if not each.error])

    def revoked(self, consumer, partitions):
        self.commit()
        self.places = {}
        self.notes.now("revoked", parts=self.parts(partitions))

    def lost(self, consumer, partitions):
        self.places = {}
        self.notes.now("lost", parts=self.parts(partitions))

    def poll(self, pace):
        read = [each for each in self.consumer.consume(pace, 0.1) if not each.error()]
        for each in read:
            self.notes.add("read", topic=each.topic(), partition=each.partition(), offset=each.offset(),
                           value=value_in(each.value()))
            self.places[each.partition()] = each.offset() + 1
        self.notes.write()

    def commit(self):
        if not self.places:
            return
        begun = time.monotonic()
        offsets = [self.kafka.TopicPartition(self.topic, *place) for place in self.places.items()]
        try:
            done = self.consumer.commit(offsets=offsets, asynchronous=False)
        except self.kafka.KafkaException:
            return
        self.notes.now("committed", t0=begun, offsets=[[each.topic, each.partition, each.offset] for each in done
                                                       if not each.error])

    def close(self):
        self.consumer.close()


class PythonConsumer:
    """kafka-python tells its generation."""

    def __init__(self, spec, notes):
        import kafka
        self.kafka, self.notes, self.topic = kafka, notes, spec["topic"]
        self.places = {}
        self.consumer = kafka.KafkaConsumer(
            bootstrap_servers=spec["address"], group_id=spec["group"], enable_auto_commit=False,
            auto_offset_reset="earliest", session_timeout_ms=6000, heartbeat_interval_ms=500, retry_backoff_ms=100,
            reconnect_backoff_max_ms=500, fetch_max_wait_ms=100, api_version=(2, 5, 0))

        class Listener(kafka.ConsumerRebalanceListener):
            on_partitions_assigned = staticmethod(self.assigned)
            on_partitions_revoked = staticmethod(self.revoked)

        self.consumer.subscribe([self.topic], listener=Listener())

    def generation(self):
        """Below 0: it is no member, or no longer."""
        return self.consumer._coordinator._generation.generation_id

    def parts(self, partitions):
        return [[each.topic, each.partition] for each in sorted(partitions)]

    def assigned(self, partitions):
        self.notes.now("assigned", parts=self.parts(partitions), generation=self.generation())
        self.places = {}

    def revoked(self, partitions):
        # It does not tell these from partitions that were lost.
        kept = self.generation() >= 0 and self.commit()
        self.places = {}
        self.notes.now("revoked" if kept else "lost", parts=self.parts(partitions))

    def poll(self, pace):
        for partition, records in self.consumer.poll(timeout_ms=100, max_records=pace).items():
            for each in records:
                self.notes.add("read", topic=each.topic, partition=each.partition, offset=each.offset,
                               value=value_in(each.value))
                self.places[each.partition] = each.offset + 1
        self.notes.write()

    def commit(self):
        """False: it did not go well."""
        if not self.places:
            return True
        begun, places = time.monotonic(), dict(self.places)
        try:
            self.consumer.commit({self.kafka.TopicPartition(self.topic, partition): self.kafka.OffsetAndMetadata(offset, "")
                                  for partition, offset in places.items()})
        except self.kafka.errors.KafkaError:
            return False
        self.notes.now("committed", t0=begun, offsets=[[self.topic, *place] for place in places.items()])
        return True

    def close(self):
        # Nobody is told of these: the listener is not called.
        self.revoked(self.consumer.assignment())
        self.consumer.close(autocommit=False)


def consume(spec, notes):
    consumer = {"confluent": ConfluentConsumer, "python": PythonConsumer}[spec["library"]](spec, notes)
    while not Ending.asked:
        consumer.poll(spec["pace"])
        consumer.commit()
    consumer.commit()
    consumer.close()


def main():
    spec, path = json.loads(sys.argv[1]), sys.argv[2]
    notes = Notes(path, spec["name"])
    signal.signal(signal.SIGTERM, Ending.ask)
    if spec["role"] == "producer":
        notes.now("hello", role="producer", idempotent=spec["idempotent"])
        produce(spec, notes)
    else:
        notes.now("hello", role="consumer", group=spec["group"], topic=spec["topic"])
        consume(spec, notes)


if __name__ == "__main__":
    main()
