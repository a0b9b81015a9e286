"""How long small produce requests wait: one at a time, with a sync each, and beside a consumer of cold data."""

import contextlib
import os
import time

from lib import cold, kafka_load, kafka_servers, rounds
from lib.kafka_load import GIB, KIB, MIB, TOPIC, floor_produce, hot, produce, small_produce
from lib.proc import BenchError
from lib.tables import Table, best_ratio_of, median_of, ratio_of

OURS = kafka_servers.OURS
SYNC_PRODUCERS = 64
COLD_TOPIC = "cold"
COLD_PARTITIONS = 4
QUIET_S = 1


def _start(options, stack, scratch, contenders, notes, **settings):
    """{name: broker}: with the topic, warmed up, and in a hurry (proc.py): other programs would only be noise."""
    running = {}
    for contender in contenders:
        try:
            broker = kafka_servers.Place(contender, scratch, **settings).start(stack)
            broker.create_topic(TOPIC)
            broker.hurry()
            hot(options, broker.port, small_produce(), 1, 0, kafka_servers.warm_ms(options, contender))
            running[contender.name] = broker
        except rounds.FAILURES as error:
            rounds.leave_out(options, notes, contender.name, error)
    return running


def _one_at_a_time(options, server, connections=1):
    return hot(options, server.port, small_produce(), connections, 0, 300 if options.quick else 2000)


# ---- acknowledged ----


def _latency_table(title, samples, floor, notes):
    table = Table(title, ["", "p50 us", "to the echo", "best to best", "p99 us", "to the echo", "best to best"],
                  notes=notes, data=samples)
    for name in samples:
        cells = []
        for key in ("p50_us", "p99_us"):
            values, base = rounds.column(samples, name, key), rounds.column(samples, floor, key)
            cells += [median_of(values), ratio_of(values, base), best_ratio_of(values, base)]
        table.add(name, *cells)
    return table


def run_latency(options, scratch):
    floor = "floor: TCP echo"
    contenders, notes = kafka_servers.lineup(options)
    with contextlib.ExitStack() as stack:
        echo = stack.enter_context(floor_produce(options, scratch, "echo", floor, scratch.new_path("floor")))
        echo.hurry()
        servers = {floor: echo, **_start(options, stack, scratch, contenders, notes)}
        runners = {name: lambda server=server: _one_at_a_time(options, server) for name, server in servers.items()}
        samples = rounds.interleaved(options, runners, notes)
    if floor not in samples:
        raise BenchError("nothing to compare with, the echo failed")
    table = _latency_table("Kafka: time to the acknowledgement of one record of 100 bytes, one at a time, acks=all",
                           samples, floor, notes)
    options.show(table)
    if OURS in samples:
        for name, key in (("p50", "p50_us"), ("p99", "p99_us")):
            options.targets.at_most(f"produce, one small request at a time: {name}",
                                    rounds.ratio(samples, OURS, floor, key), 1.5, against="a TCP echo")
    return [table]


# ---- synced ----


def _sync_once(options, server):
    one = _one_at_a_time(options, server)
    return {"p50_us": one["p50_us"], "p99_us": one["p99_us"], "rate": one["requests"] / one["wall_ns"] * 1e9}


def _sync_broker_once(options, server):
    many = _one_at_a_time(options, server, SYNC_PRODUCERS)
    return {**_sync_once(options, server), "rate_many": many["requests"] / many["wall_ns"] * 1e9}


def _sync_table(samples, floor, notes):
    table = Table("Kafka: one record of 100 bytes, durable before it is acknowledged (log.flush.interval.messages=1)",
                  ["", "p50 us", "to the floor", "best to best", "p99 us", "records/s",
                   f"of {SYNC_PRODUCERS} producers", "times"], notes=notes, data=samples)
    for name in samples:
        p50, base = rounds.column(samples, name, "p50_us"), rounds.column(samples, floor, "p50_us")
        rate = rounds.column(samples, name, "rate")
        row = [median_of(p50), ratio_of(p50, base), best_ratio_of(p50, base),
               median_of(rounds.column(samples, name, "p99_us")), median_of(rate)]
        if name != floor:
            many = rounds.column(samples, name, "rate_many")
            row += [median_of(many), ratio_of(many, rate)]
        table.add(name, *row, *["-"] * (7 - len(row)))
    return table


def run_sync(options, scratch):
    cold.need_disk(scratch, 0)
    floor = "floor: write, fdatasync"
    contenders, notes = kafka_servers.lineup(options)
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(floor_produce(options, scratch, "sync", floor, scratch.new_path("floor")))
        writer.hurry()
        brokers = _start(options, stack, scratch, contenders, notes, log_flush_interval_messages=1)
        runners = {floor: lambda: _sync_once(options, writer)}
        for name, broker in brokers.items():
            runners[name] = lambda broker=broker: _sync_broker_once(options, broker)
        samples = rounds.interleaved(options, runners, notes)
    if floor not in samples:
        raise BenchError("nothing to compare with, the floor failed")
    table = _sync_table(samples, floor, [f"{SYNC_PRODUCERS} producers write to one partition, each one at a time",
                                         *notes])
    options.show(table)
    if OURS in samples:
        options.targets.at_most("the same, with a sync each: p50", rounds.ratio(samples, OURS, floor, "p50_us"), 1.2,
                                against="write and fdatasync")
        options.targets.at_least(f"{SYNC_PRODUCERS} producers with syncs: records/s",
                                 rounds.ratio_of_columns(samples, OURS, "rate_many", "rate"), 20, against="one's")
    return [table]


# ---- beside cold data ----


def _drop_cold(broker):
    for partition in range(COLD_PARTITIONS):
        for segment in broker.segments(COLD_TOPIC, partition):
            cold.drop(segment)


def _fill_cold(options, broker, requests):
    broker.create_topic(COLD_TOPIC, COLD_PARTITIONS)
    produce(options, broker.port, COLD_TOPIC, requests, MIB, KIB, COLD_PARTITIONS, COLD_PARTITIONS)
    _drop_cold(broker)


def _cold_once(options, broker):
    _drop_cold(broker)
    # What the disk still does for others would show in the first of the two.
    os.sync()
    time.sleep(QUIET_S)
    pull = kafka_load.fetch_command(options, broker.port, COLD_TOPIC, cold.PULL_MS, MIB, KIB, COLD_PARTITIONS,
                                    COLD_PARTITIONS, once=True)

    def measure():
        return hot(options, broker.port, small_produce(), cold.HOT_CONNECTIONS, cold.HOT_RATE, cold.HOT_MS)

    return {"alone": measure(), "cold": cold.beside(pull, measure)}


def run_cold(options, scratch):
    size = 256 * MIB if options.quick else cold.COLD_BYTES
    contenders, notes = kafka_servers.lineup(options)
    cold.need_disk(scratch, size * len(contenders))
    with contextlib.ExitStack() as stack:
        brokers = _start(options, stack, scratch, contenders, notes)
        for name, broker in list(brokers.items()):
            try:
                _fill_cold(options, broker, size // MIB // COLD_PARTITIONS)
            except rounds.FAILURES as error:
                rounds.leave_out(options, notes, name, error)
                brokers.pop(name)
        runners = {name: lambda broker=broker: _cold_once(options, broker) for name, broker in brokers.items()}
        samples = rounds.interleaved(options, runners, notes)
    table = Table(f"Kafka: {cold.HOT_RATE:,} small produce requests a second beside consumers of cold data",
                  cold.COLUMNS)
    for name in samples:
        cold.add(table, name, samples[name])
    table.notes = [f"{COLD_PARTITIONS} consumers pull a partition each, {size / GIB:.2f} GiB together, once; the last "
                   "four columns are of the time beside them", *notes]
    if any(sample["cold"]["pull_over"] for all_ in samples.values() for sample in all_):
        table.notes.append("some pulls were over before the clock: part of the time nobody pulled")
    options.show(table)
    if OURS in table.data:
        options.targets.at_most("hot produce beside a cold consumer: p99", table.data[OURS]["ratio"], 2,
                                against="that without")
    return [table]
