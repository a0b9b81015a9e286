"""A newer librdkafka than Debian's with one broker: librdkafka.py HOST:PORT SCENARIO. Ends with 0, or raises."""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka import ConsumerGroupState, TopicCollection
from confluent_kafka.admin import (AclBindingFilter, AclOperation, AclPermissionType, AdminClient, AlterConfigOpType,
                                   ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourcePatternType,
                                   ResourceType)

ADDRESS, SCENARIO = sys.argv[1:]
COMMON = {"bootstrap.servers": ADDRESS}
TIMEOUT = 30


def until(what):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if value := what():
            return value
    raise AssertionError("it did not happen in time")


def results(futures):
    return {key: future.result(TIMEOUT) for key, future in futures.items()}


def fails(act):
    try:
        act()
    except KafkaException as error:
        return error.args[0]
    raise AssertionError("it went well")


def create(admin, topic, partitions, **options):
    results(admin.create_topics([NewTopic(topic, partitions, 1, **options)]))


def send(producer, values, **options):
    wrong = []
    for n, value in enumerate(values):
        producer.produce("t", value, key=b"%d" % n, on_delivery=lambda error, _: wrong.append(error) if error else None,
                         **options)
    assert producer.flush(TIMEOUT) == 0 and not wrong, wrong


class Member:
    def __init__(self, group, **options):
        self.seen = []
        self.consumer = Consumer({**COMMON, "group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
                                  "auto.commit.interval.ms": 200, **options})
        self.consumer.subscribe(["t"])

    def poll(self):
        message = self.consumer.poll(0.05)
        if message:
            assert not message.error(), message.error()
            self.seen.append(message)
        return [each.partition for each in self.consumer.assignment()]


def produce(admin):
    create(admin, "t", 2)
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    for idempotent in (False, True):
        for codec in codecs:
            producer = Producer({**COMMON, "compression.codec": codec, "enable.idempotence": idempotent})
            send(producer, [b"%s %d %d" % (codec.encode(), idempotent, n) for n in range(200)], headers={"from": b"rd"})
    member = Member("g", **{"isolation.level": "read_committed", "check.crcs": True})
    until(lambda: member.poll() is not None and len(member.seen) >= 2000)
    member.consumer.close()
    assert len(member.seen) == 2000 and len({each.value() for each in member.seen}) == 2000
    assert all(each.headers() == [("from", b"rd")] for each in member.seen)
    for partition in range(2):
        offsets = [each.offset() for each in member.seen if each.partition() == partition]
        assert offsets == list(range(len(offsets)))


def share(first, second, cooperative):
    def shared():
        mine, yours = first.poll(), second.poll()
        return len(mine) == 2 and len(yours) == 2 and not set(mine) & set(yours)

    until(shared)
    producer = Producer({**COMMON, "linger.ms": 5})
    send(producer, [b"%s %d" % (cooperative, n) for n in range(300)])

    def complete():
        first.poll()
        second.poll()
        found = {each.value() for each in first.seen + second.seen}
        return len([value for value in found if value.startswith(cooperative + b" ")]) == 300

    until(complete)
    first.consumer.close()
    until(lambda: len(second.poll()) == 4)
    second.consumer.close()


def group(admin):
    create(admin, "t", 4)
    share(Member("g"), Member("g"), b"eager")
    options = {"partition.assignment.strategy": "cooperative-sticky"}
    share(Member("c", **options), Member("c", **options), b"cooperative")
    # Static members: one that comes back as who it was finds its partitions, without a rebalance.
    static = Member("s", **{"group.instance.id": "a"})
    until(lambda: len(static.poll()) == 4)
    send(Producer(COMMON), [b"static %d" % n for n in range(50)])
    until(lambda: static.poll() and len(static.seen) == 650)
    static.consumer.commit(asynchronous=False)
    static.consumer.close()
    again = Member("s", **{"group.instance.id": "a"})
    until(lambda: len(again.poll()) == 4)
    committed = again.consumer.committed([TopicPartition("t", n) for n in range(4)], TIMEOUT)
    assert sum(each.offset for each in committed) == 650
    again.consumer.close()


def settings(admin):
    create(admin, "t", 2, config={"retention.ms": "7200000"})
    assert fails(lambda: create(admin, "t", 2)).name() == "TOPIC_ALREADY_EXISTS"
    results(admin.create_partitions([NewPartitions("t", 3)]))
    described = admin.describe_topics(TopicCollection(["t"]))["t"].result(TIMEOUT)
    assert [each.leader.id for each in described.partitions] == [1, 1, 1]
    assert admin.describe_cluster().result(TIMEOUT).controller.id == 1
    resource = ConfigResource(ConfigResource.Type.TOPIC, "t")

    def value(name):
        return results(admin.describe_configs([resource]))[resource][name].value

    assert value("retention.ms") == "7200000"
    change = ConfigEntry("segment.bytes", "1048576", incremental_operation=AlterConfigOpType.SET)
    results(admin.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, "t", incremental_configs=[change])]))
    assert value("segment.bytes") == "1048576" and value("retention.ms") == "7200000"
    producer = Producer(COMMON)
    for n in range(30):
        producer.produce("t", b"%d" % n, partition=n % 3)
    assert producer.flush(TIMEOUT) == 0
    results(admin.delete_records([TopicPartition("t", 0, 4)]))
    for spec, offset in ((OffsetSpec.latest(), 10), (OffsetSpec.earliest(), 4), (OffsetSpec.for_timestamp(1000), 4)):
        found = admin.list_offsets({TopicPartition("t", 0): spec})
        assert results(found)[TopicPartition("t", 0)].offset == offset
    assert 0 <= results(admin.list_offsets({TopicPartition("t", 0): OffsetSpec.max_timestamp()}))[
        TopicPartition("t", 0)].offset < 10
    member = Member("g")
    until(lambda: member.poll() is not None and len(member.seen) == 26)
    found = results(admin.describe_consumer_groups(["g"]))["g"]
    assert found.state == ConsumerGroupState.STABLE and len(found.members[0].assignment.topic_partitions) == 3
    listed = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(TIMEOUT)
    assert [each.group_id for each in listed.valid] == ["g"] and not listed.errors
    assert fails(lambda: results(admin.delete_consumer_groups(["g"]))).name() == "NON_EMPTY_GROUP"
    member.consumer.close()
    results(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("g", [TopicPartition("t", 1, 7)])]))
    offsets = results(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("g")]))["g"].topic_partitions
    assert {each.partition: each.offset for each in offsets} == {0: 10, 1: 7, 2: 10}
    results(admin.delete_consumer_groups(["g"]))
    results(admin.delete_topics(["t"]))
    assert set(admin.list_topics(timeout=TIMEOUT).topics) == {"__consumer_offsets"}


def absent(admin):
    # librdkafka asks again until its time is over, whatever it is told but "not allowed".
    producer = Producer({**COMMON, "transactional.id": "x"})
    fails(lambda: producer.init_transactions(5))
    anything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                                AclPermissionType.ANY)
    # It takes SECURITY_DISABLED for an empty list.
    assert admin.describe_acls(anything, request_timeout=10).result(TIMEOUT) == []
    # As with transactions it is with the new group protocol; it lets go when told to.
    create(admin, "t", 1)
    consumer = Consumer({**COMMON, "group.id": "n", "group.protocol": "consumer"})
    consumer.subscribe(["t"])
    assert consumer.poll(2) is None and not consumer.assignment()
    consumer.close()


{"produce": produce, "group": group, "admin": settings, "absent": absent}[SCENARIO](AdminClient(COMMON))
