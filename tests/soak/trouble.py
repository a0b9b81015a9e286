"""What else happens to a broker while its clients work: each function goes round until `over` is set,
and counts in `count` what it did. Errors of connections are expected: the broker is killed, too."""

import contextlib
import os
import random
import socket
import struct
import time

from kafka_wire import answer, connect, request

REFUSED = (OSError, AssertionError, struct.error)


def storm(broker, over, count):
    """Hundreds of connections at once, which go as they came: some in the middle of a request, some by reset."""
    while not over.wait(random.uniform(1, 4)):
        connections = []
        with contextlib.suppress(*REFUSED):
            for n in range(300):
                connections.append(connect(broker))
                if n % 3:
                    connections[-1].sendall(request(18, 0)[:random.choice((3, 30))])
        count["connections in storms"] += len(connections)
        for n, connection in enumerate(connections):
            if n % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()


def garbage(broker, over, count):
    """Bytes that are no requests, and requests whose bodies are not."""
    while not over.wait(0.2):
        data = os.urandom(random.choice((1, 10, 1000, 20000)))
        if random.random() < 0.7:
            data = request(random.randrange(76), random.randrange(14), data)
        elif random.random() < 0.5:
            data = struct.pack(">i", len(data)) + data
        with contextlib.suppress(*REFUSED), connect(broker) as connection:
            connection.settimeout(0.2)
            connection.sendall(data)
            count["connections with garbage"] += 1
            connection.recv(100)


def standstill(broker, over, count, topic="t"):
    """Consumers that ask for megabytes again and again and read nothing."""
    name = topic.encode()
    body = struct.pack(">iiiibii", -1, 0, 1, 1 << 26, 0, 0, -1) + struct.pack(">ih", 1, len(name)) + name
    body += struct.pack(">iiqqi", 1, 0, 0, -1, 1 << 26) + struct.pack(">i", 0)
    while not over.wait(2):
        with contextlib.suppress(*REFUSED), contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(connect(broker)).sendall(request(1, 7, body) * 50)
                count["consumers that stand still"] += 1
            over.wait(20)


def delete_records(broker, over, count, topic="short"):
    """From the beginning of a topic's partitions, up to near their ends."""
    name = topic.encode()
    while not over.wait(3):
        with contextlib.suppress(*REFUSED), connect(broker) as connection:
            for partition in range(2):
                body = struct.pack(">iiih", -1, 1, 1, len(name)) + name + struct.pack(">iiq", 1, partition, -1)
                connection.sendall(request(2, 1, body[:4] + body[8:]))
                offset = struct.unpack(">q", answer(connection)[-8:])[0]
                body = struct.pack(">ih", 1, len(name)) + name
                body += struct.pack(">iiqi", 1, partition, max(0, offset - 2000), 10000)
                connection.sendall(request(21, 0, body))
                if struct.unpack(">h", answer(connection)[-2:])[0] == 0:
                    count["deletions of records"] += 1


def topics_come_and_go(broker, over, count):
    """Made, written, read and deleted; what is read must be what was written."""
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
    common = {"bootstrap.servers": broker.address, "log_level": 0}
    for n in range(1 << 30):
        if over.wait(0.5):
            return
        topic = f"comes-and-goes-{n % 7}"
        admin = AdminClient(common)
        try:
            admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(20)
            producer = Producer(common)
            for number in range(300):
                producer.produce(topic, b"%d" % number, partition=number % 3)
            if producer.flush(20) == 0:
                consumer = Consumer({**common, "group.id": "unused"})
                consumer.assign([TopicPartition(topic, number, 0) for number in range(3)])
                values = []
                until = time.monotonic() + 20
                while len(values) < 300 and time.monotonic() < until and not over.is_set():
                    values += [message.value() for message in consumer.consume(300, 0.5) if not message.error()]
                consumer.close()
                if len(values) == 300 and set(values) != {b"%d" % number for number in range(300)}:
                    count["topics with other records than were written"] += 1
            admin.delete_topics([topic])[topic].result(20)
            count["topics made and deleted"] += 1
        except (KafkaException, TimeoutError):
            # The broker was killed in the middle: the topic may be there.
            with contextlib.suppress(KafkaException, TimeoutError):
                admin.delete_topics([topic])[topic].result(20)


ALL = [storm, garbage, standstill, delete_records, topics_come_and_go]
