"""aiokafka with one broker: aio.py HOST:PORT SCENARIO. Ends with 0, or raises."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete

ADDRESS, SCENARIO = sys.argv[1:]


async def until(what):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if value := await what():
            return value
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")


async def fails(awaitable):
    try:
        await asyncio.wait_for(awaitable, 30)
    except asyncio.TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 (each client has its own)
        return error
    raise AssertionError("it went well")


async def member(group, seen):
    consumer = AIOKafkaConsumer("t", bootstrap_servers=ADDRESS, group_id=group, auto_offset_reset="earliest",
                                session_timeout_ms=6000, heartbeat_interval_ms=500, auto_commit_interval_ms=200,
                                metadata_max_age_ms=1000)
    await consumer.start()

    async def read():
        async for record in consumer:
            seen.append(record)

    consumer.reading = asyncio.ensure_future(read())
    return consumer


async def leave(consumer):
    consumer.reading.cancel()
    await consumer.stop()


async def produce(admin):
    await admin.create_topics([NewTopic("t", 2, 1)])
    codecs = [None, "gzip", "snappy", "lz4", "zstd"]
    for idempotent in (False, True):
        for codec in codecs:
            async with AIOKafkaProducer(bootstrap_servers=ADDRESS, compression_type=codec,
                                        enable_idempotence=idempotent) as producer:
                sent = [await producer.send("t", b"%s %d %d" % (str(codec).encode(), idempotent, n), key=b"%d" % n,
                                            headers=[("from", b"aio")]) for n in range(200)]
                assert all(each.offset >= 0 for each in await asyncio.gather(*sent))
    seen = []
    consumer = await member("g", seen)

    async def complete():
        return len(seen) >= 2000

    await until(complete)
    await leave(consumer)
    assert len(seen) == 2000 and len({record.value for record in seen}) == 2000
    assert all(record.headers == (("from", b"aio"),) for record in seen)
    for partition in range(2):
        offsets = [record.offset for record in seen if record.partition == partition]
        assert offsets == list(range(len(offsets)))


async def group(admin):
    await admin.create_topics([NewTopic("t", 4, 1)])
    seen = []
    first = await member("g", seen)
    second = await member("g", seen)

    async def shared():
        return len(first.assignment()) == 2 and len(second.assignment()) == 2

    await until(shared)
    assert not first.assignment() & second.assignment()
    async with AIOKafkaProducer(bootstrap_servers=ADDRESS) as producer:
        for n in range(500):
            await producer.send("t", b"%d" % n, key=b"%d" % n)
        await producer.flush()

        async def complete():
            return len({record.value for record in seen}) == 500

        await until(complete)
        await leave(first)

        async def taken():
            return len(second.assignment()) == 4

        await until(taken)
        for n in range(500, 600):
            await producer.send("t", b"%d" % n, key=b"%d" % n)

        async def more():
            return len({record.value for record in seen}) == 600

        await until(more)
    await leave(second)
    offsets = await admin.list_consumer_group_offsets("g")
    assert sum(each.offset for each in offsets.values()) == 600


async def settings(admin):
    await admin.create_topics([NewTopic("t", 2, 1, topic_configs={"retention.ms": "7200000"})])
    await admin.create_partitions({"t": NewPartitions(3)})
    assert await admin.list_topics() == ["t"]
    described = await admin.describe_topics(["t"])
    assert len(described[0]["partitions"]) == 3
    resource = ConfigResource(ConfigResourceType.TOPIC, "t")
    found = await admin.describe_configs([resource])
    values = {entry[0]: entry[1] for entry in found[0].resources[0][4]}
    assert values["retention.ms"] == "7200000"
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "t", configs={"segment.bytes": "1048576"})])
    found = await admin.describe_configs([resource])
    values = {entry[0]: entry[1] for entry in found[0].resources[0][4]}
    assert values["segment.bytes"] == "1048576" and values["retention.ms"] == "604800000"
    assert len((await admin.describe_cluster())["brokers"]) == 1
    async with AIOKafkaProducer(bootstrap_servers=ADDRESS) as producer:
        for n in range(30):
            await producer.send_and_wait("t", b"%d" % n, partition=n % 3)
    await admin.delete_records({TopicPartition("t", 0): RecordsToDelete(before_offset=4)})
    seen = []
    consumer = await member("g", seen)

    async def complete():
        return len(seen) == 26

    await until(complete)
    assert (await consumer.beginning_offsets([TopicPartition("t", 0)]))[TopicPartition("t", 0)] == 4
    assert (await consumer.end_offsets([TopicPartition("t", 0)]))[TopicPartition("t", 0)] == 10
    assert (await consumer.offsets_for_times({TopicPartition("t", 1): 1000}))[TopicPartition("t", 1)].offset == 0
    assert (await admin.describe_consumer_groups(["g"]))[0].groups[0][2] == "Stable"
    assert ("g", "consumer") in await admin.list_consumer_groups()
    await leave(consumer)
    await admin.delete_topics(["t"])
    assert await admin.list_topics() == ["__consumer_offsets"]


async def absent(admin):
    producer = AIOKafkaProducer(bootstrap_servers=ADDRESS, transactional_id="x")
    await fails(producer.start())
    await producer.stop()


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=ADDRESS)
    await admin.start()
    await {"produce": produce, "group": group, "admin": settings, "absent": absent}[SCENARIO](admin)
    await admin.close()


asyncio.run(main())
