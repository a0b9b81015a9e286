"""What a broker takes when it has nothing to do: time to start, memory, and time to recover after a crash."""

import contextlib
import json
import os
import statistics
import subprocess
import time

from lib import cold, drivers, kafka_client, kafka_servers, rounds
from lib.kafka_load import GIB, KIB, MIB, TOPIC, produce
from lib.proc import BenchError, CPU_LOAD, descriptor_limit, memory_kib, pinned
from lib.tables import Table, median_of, number, spread_of

OURS = kafka_servers.OURS
PARTITIONS, PARTITIONS_QUICK = 1000, 50
# The smallest segments that Kafka 4 takes, and batches of which two don't fit into one.
SEGMENT, SEGMENT_BATCH, SEGMENTS = MIB, 600 * KIB, 3
IDLE_CONNECTIONS = 10_000
IDLE_S = 2.5  # brokers do some things once a second or so


def _partitions(options):
    return PARTITIONS_QUICK if options.quick else PARTITIONS


def _write_back(paths):
    """So that nobody has to wait for the disk later; and into the page cache, if it is not there."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            while file.read(4 * MIB):
                pass


def _fill(options, broker):
    """Many partitions with some segments each. Over one connection: what a broker keeps of its requests' memory is not
    the partitions'."""
    count = _partitions(options)
    broker.create_topic(TOPIC, count, segment_bytes=SEGMENT)
    produce(options, broker.port, TOPIC, SEGMENTS * count, SEGMENT_BATCH, KIB, 1, count, 1)
    for partition in range(count):
        segments = broker.segments(TOPIC, partition)
        if len(segments) != SEGMENTS:
            raise BenchError(f"{broker.name}: {len(segments)} segments in a partition, not {SEGMENTS}")
        _write_back(segments)
    time.sleep(IDLE_S)


def _each(options, notes, contenders, work):
    """What `work` finds out about each; who fails is left out."""
    found = {}
    for contender in contenders:
        try:
            found[contender.name] = work(contender)
        except rounds.FAILURES as error:
            rounds.leave_out(options, notes, contender.name, error)
    return found


# ---- start ----


def _start_once(options, place):
    done = subprocess.run([drivers.path(options.build, "start-cost"), str(place.port), "kafka", *place.command()],
                          capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip())
    return json.loads(done.stdout)


def _starts(options, scratch, contender):
    """{what: [sample]}"""
    times = options.rounds if contender.is_peer else 2 * options.rounds
    samples = {"a new folder": [], "no topic": [], "many partitions": []}
    for _ in range(times):
        place = kafka_servers.Place(contender, scratch)
        samples["a new folder"].append(_start_once(options, place))
        samples["no topic"].append(_start_once(options, place))
        place.remove()
    place = kafka_servers.Place(contender, scratch)
    with contextlib.ExitStack() as stack:
        _fill(options, place.start(stack))
    for _ in range(times):
        samples["many partitions"].append(_start_once(options, place))
    place.remove()
    return samples


def run_start(options, scratch):
    """Not pinned: both sides want a CPU at the same moment, as in life."""
    contenders, notes = kafka_servers.lineup(options)
    cold.need_disk(scratch, _partitions(options) * SEGMENTS * SEGMENT_BATCH)
    found = _each(options, notes, contenders, lambda contender: _starts(options, scratch, contender))
    table = Table("Kafka: from fork to the first answer, after a clean stop",
                  ["", "ms to first answer", "middle half", "resident MiB", "ms to end"], data=found)
    many = f"{_partitions(options):,} partitions"
    for name, samples in found.items():
        for what, results in samples.items():
            milliseconds = [result["start_ns"] / 1e6 for result in results]
            what = many if what == "many partitions" else what
            table.add(f"{name}, {what}", median_of(milliseconds), spread_of(milliseconds),
                      median_of([result["rss_kib"] / 1024 for result in results]),
                      median_of([result["stop_ns"] / 1e6 for result in results]))
            if name == OURS:
                options.targets.at_most(f"start, {what}", statistics.median(milliseconds),
                                        200 if what == many else 20, " ms")
    table.notes = [f"{SEGMENTS} segments a partition; first answer: of ApiVersions", *notes]
    options.show(table)
    return [table]


# ---- memory ----


def _idle_rss(broker):
    time.sleep(IDLE_S)
    return memory_kib(broker.pid)[0]


def _with_connections(options, broker, count):
    with subprocess.Popen([drivers.path(options.build, "idle"), str(broker.port), "kafka", str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=pinned(CPU_LOAD)) as client:
        ready = client.stdout.readline()
        rss = _idle_rss(broker)
        _, complaint = client.communicate()
    if not ready:
        raise BenchError(complaint.strip())
    return rss


def _memory(options, scratch, contender, connections):
    found = {}
    place = kafka_servers.Place(contender, scratch)
    with contextlib.ExitStack() as stack:
        broker = place.start(stack)
        found["empty"] = _idle_rss(broker)
        found["connections"] = _with_connections(options, broker, connections)
    with contextlib.ExitStack() as stack:
        broker = place.start(stack)
        found["before"] = _idle_rss(broker)
        _fill(options, broker)
        found["written"] = _idle_rss(broker)
    with contextlib.ExitStack() as stack:
        found["started"] = _idle_rss(place.start(stack))
    place.remove()
    return found


def run_memory(options, scratch):
    connections = min(1000 if options.quick else IDLE_CONNECTIONS, descriptor_limit() - 512)
    partitions = _partitions(options)
    contenders, notes = kafka_servers.lineup(options)
    cold.need_disk(scratch, partitions * SEGMENTS * SEGMENT_BATCH)
    found = _each(options, notes, contenders, lambda contender: _memory(options, scratch, contender, connections))
    table = Table("Kafka: resident memory",
                  ["", "empty, MiB", "KiB a connection", "KiB a partition after a start", "after writing to all"],
                  data=found)
    for name, kib in found.items():
        connection = (kib["connections"] - kib["empty"]) / connections
        started = (kib["started"] - kib["before"]) / partitions
        written = (kib["written"] - kib["before"]) / partitions
        table.add(name, number(kib["empty"] / 1024), number(connection), number(started), number(written))
        if name == OURS:
            options.targets.at_most("resident memory, empty", kib["empty"] / 1024, 10, " MiB")
            options.targets.at_most(f"{partitions:,} idle partitions after a start, each", started, 4, " KiB")
            options.targets.at_most(f"{partitions:,} idle partitions after writing, each", written, 4, " KiB")
            options.targets.at_most(f"{connections:,} idle connections, each", connection, 2, " KiB")
    table.notes = [f"{partitions:,} partitions with {SEGMENTS} segments each; {connections:,} connections that have asked "
                   "ApiVersions", *notes]
    options.show(table)
    return [table]


# ---- recovery ----

RECOVERY_PARTITIONS = 10
# All of a partition's in one segment: what is behind the recovery point begins with the last one.
RECOVERY_REQUESTS = 1000


def _make_unclean(place):
    """As if nothing had been written to disk for certain: all is looked at."""
    for name in ("recovery-point-offset-checkpoint", ".kafka_cleanshutdown"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(place.data, name))


def _cached_share(paths):
    size = sum(os.path.getsize(path) for path in paths)
    return sum(cold.cached_bytes(path) for path in paths) / size


def _recover_once(place, expected):
    """Bytes a nanosecond, from fork to the first answer; wherever it likes to run."""
    _make_unclean(place)
    with contextlib.ExitStack() as stack:
        begin = time.perf_counter_ns()
        broker = place.start(stack, cpu=None)
        kafka_client.wait_for_topic(place.port, TOPIC, RECOVERY_PARTITIONS)
        took = time.perf_counter_ns() - begin
        ends = kafka_client.end_offsets(place.port, TOPIC, RECOVERY_PARTITIONS)
        broker.kill()
    if ends != expected:
        raise BenchError(f"after recovery the log ends at {ends}, not {expected}")
    return took


def _recovery(options, scratch, contender, requests):
    place = kafka_servers.Place(contender, scratch)
    with contextlib.ExitStack() as stack:
        broker = place.start(stack)
        broker.create_topic(TOPIC, RECOVERY_PARTITIONS)
        made = produce(options, place.port, TOPIC, requests, MIB, KIB, RECOVERY_PARTITIONS, RECOVERY_PARTITIONS)
        expected = kafka_client.end_offsets(place.port, TOPIC, RECOVERY_PARTITIONS)
        segments = [path for i in range(RECOVERY_PARTITIONS) for path in broker.segments(TOPIC, i)]
        broker.kill()
    _write_back(segments)
    cached = _cached_share(segments)
    times = [_recover_once(place, expected)
             for _ in range(min(2, options.rounds) if contender.is_peer else options.rounds)]
    place.remove()
    return {"bytes": made["bytes"], "cached": cached, "ns": times}


def run_recovery(options, scratch):
    requests = 25 if options.quick else RECOVERY_REQUESTS
    contenders, notes = kafka_servers.lineup(options)
    cold.need_disk(scratch, requests * RECOVERY_PARTITIONS * MIB)
    found = _each(options, notes, contenders, lambda contender: _recovery(options, scratch, contender, requests))
    table = Table("Kafka: recovery after a crash, all of the log",
                  ["", "GB", "in memory", "seconds", "middle half", "GB/s"], data=found)
    for name, result in found.items():
        seconds = [ns / 1e9 for ns in result["ns"]]
        speed = result["bytes"] / 1e9 / statistics.median(seconds)
        table.add(name, number(result["bytes"] / 1e9), f"{result['cached']:.0%}", median_of(seconds),
                  spread_of(seconds), number(speed))
        if name == OURS:
            options.targets.at_least("recovery", speed, 1.5, " GB/s")
    table.notes = [f"{RECOVERY_PARTITIONS} partitions; from fork until all of them are led; any CPU", *notes]
    options.show(table)
    return [table]
