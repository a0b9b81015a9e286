"""What a gigabyte costs a broker: produced in large requests, fetched while in memory, and produced by clients that
batch small records."""

import contextlib
import os
import resource
import shutil
import time

from lib import kafka_client, kafka_load, kafka_servers, rounds
from lib.kafka_load import KIB, MIB, TOPIC, fetch, floor_fetch, floor_produce, produce
from lib.proc import BenchError, run_load
from lib.tables import Table, median_of, ratio_of

OURS = kafka_servers.OURS
SETTLE_S = 0.1  # what a broker still does for work that is answered
PRODUCE_CONNECTIONS = FETCH_CONNECTIONS = 4
FETCH_BATCH = 64 * KIB


def _spent(server, load):
    """What `load` says, and the server's CPU nanoseconds meanwhile."""
    before = server.cpu_ns()
    result = load()
    time.sleep(SETTLE_S)
    return result, server.cpu_ns() - before


def _cost(server, load):
    result, spent = _spent(server, load)
    return {"cost": spent / result["bytes"], "rate": result["bytes"] / result["wall_ns"]}


def _start(options, stack, scratch, contenders, notes, warm):
    """{name: broker}, each warmed up with what it will be measured with: Java needs some time."""
    running = {}
    for contender in contenders:
        try:
            broker = kafka_servers.Place(contender, scratch).start(stack)
            deadline = time.monotonic() + kafka_servers.warm_ms(options, contender) / 1000
            while time.monotonic() < deadline:
                warm(broker)
            running[contender.name] = broker
        except rounds.FAILURES as error:
            rounds.leave_out(options, notes, contender.name, error)
    return running


def _targets(options, what, samples, floor, floor_limit, peer_limit):
    """To the floor, and to the cheapest Apache Kafka there is."""
    if OURS not in samples:
        return
    options.targets.at_most(what, rounds.ratio(samples, OURS, floor, "cost"), floor_limit, against="the floor")
    peers = [rounds.ratio(samples, OURS, name, "cost") for name in samples if options.is_peer(name)]
    if peers:
        options.targets.at_most(what, max(peers), peer_limit, against=kafka_servers.PEER)
    else:
        options.targets.not_measured(what + ", to " + kafka_servers.PEER, "it is not there")


# ---- produce ----


def _produce_load(options, server, record, requests=None):
    """512 MiB: below what makes the kernel write back at once on a machine of some size."""
    requests = requests or (32 if options.quick else 128)
    return produce(options, server.port, TOPIC, requests, MIB, record, PRODUCE_CONNECTIONS)


def _produce_once(options, broker, record):
    """To a topic of its own, so that each round begins with an empty file, and none leaves anything."""
    broker.create_topic(TOPIC)
    try:
        return _cost(broker, lambda: _produce_load(options, broker, record))
    finally:
        broker.delete_topic(TOPIC)


def _produce_floor_once(options, scratch, name, record):
    path = scratch.new_path("floor")
    with floor_produce(options, scratch, "write", name, path, MIB, record) as floor:
        _produce_load(options, floor, record, 2)  # its memory is there, as a broker's is
        sample = _cost(floor, lambda: _produce_load(options, floor, record))
    os.unlink(path)
    return sample


def run_produce(options, scratch):
    tables = []
    floor = "floor: recv, CRC-32C, write"
    contenders, missing = kafka_servers.lineup(options, every_version=True)
    with contextlib.ExitStack() as stack:
        notes = []
        brokers = _start(options, stack, scratch, contenders, notes, lambda b: _produce_once(options, b, KIB))
        for record in (KIB, 100):
            runners = {floor: lambda record=record: _produce_floor_once(options, scratch, floor, record)}
            for name, broker in brokers.items():
                runners[name] = lambda broker=broker, record=record: _produce_once(options, broker, record)
            samples = rounds.interleaved(options, runners, notes)
            title = f"Kafka: produce, requests of 1 MiB with records of {record} bytes"
            tables.append(rounds.cost_table(title, samples, floor, [*notes, *missing]))
            options.show(tables[-1])
            _targets(options, f"produce, 1 MiB, records of {record} bytes: CPU", samples, floor, 1.25, 0.25)
    return tables


# ---- fetch ----


def run_fetch(options, scratch):
    floor = "floor: sendfile"
    contenders, notes = kafka_servers.lineup(options, every_version=True)
    requests = (64 if options.quick else 256) * MIB // FETCH_BATCH
    milliseconds = 300 if options.quick else 1000

    def load(server):
        return fetch(options, server.port, TOPIC, milliseconds, FETCH_BATCH, KIB, FETCH_CONNECTIONS)

    def fill_and_fetch(broker):
        if TOPIC not in filled.get(broker.name, ()):
            broker.create_topic(TOPIC)
            produce(options, broker.port, TOPIC, requests, FETCH_BATCH)
            filled[broker.name] = TOPIC
        load(broker)

    filled = {}
    with contextlib.ExitStack() as stack:
        brokers = _start(options, stack, scratch, contenders, notes, fill_and_fetch)
        if OURS not in brokers:
            raise BenchError("there is no log to fetch from: " + "; ".join(notes))
        # The very file that leat sends from, so that both find the same pages.
        segment = brokers[OURS].segments(TOPIC)[0]
        servers = {floor: stack.enter_context(floor_fetch(options, scratch, floor, segment, FETCH_BATCH, KIB)),
                   **brokers}
        runners = {name: lambda server=server: _cost(server, lambda: load(server))
                   for name, server in servers.items()}
        samples = rounds.interleaved(options, runners, notes)
    table = rounds.cost_table("Kafka: fetch of what is in memory, 1 MiB at a time", samples, floor, notes)
    options.show(table)
    _targets(options, "fetch of hot data: CPU", samples, floor, 1.10, 0.25)
    return [table]


# ---- clients ----


def _client_librdkafka(options, port, records, _file):
    return kafka_load.run(options, "client-produce", port, TOPIC, 100, records)["cpu_ns"]


def _client_kcat(_options, port, _records, file):
    def children_ns():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (used.ru_utime + used.ru_stime) * 1e9

    before = children_ns()
    run_load(["kcat", "-P", "-b", f"127.0.0.1:{port}", "-t", TOPIC, "-p", "0", "-l", file], 600)
    return children_ns() - before


CLIENTS = {"librdkafka": _client_librdkafka, "kcat": _client_kcat}


def _clients_there(options, notes):
    programs = {"librdkafka": os.path.join(options.build, "bench", "client-produce"), "kcat": shutil.which("kcat")}
    for client in CLIENTS:
        if programs[client] and os.path.exists(programs[client]):
            yield client
        else:
            notes.append(f"{client}: left out, not installed (tools/setup bench)")
            options.targets.not_measured(f"records of 100 bytes by {client}: broker's CPU", "it is not there")


def _client_once(options, broker, client, records, file):
    broker.create_topic(TOPIC)
    begin = time.monotonic()
    client_ns, broker_ns = _spent(broker, lambda: CLIENTS[client](options, broker.port, records, file))
    seconds = time.monotonic() - begin - SETTLE_S
    if kafka_client.end_offsets(broker.port, TOPIC) != [records]:
        raise BenchError(f"{client} has not produced everything")
    broker.delete_topic(TOPIC)
    return {"client": client_ns / 1e9, "broker": broker_ns / 1e9, "rate": records / seconds,
            "busy": broker_ns / 1e9 / seconds}


def run_client(options, scratch):
    records = 100_000 if options.quick else 2_000_000
    file = os.path.join(scratch.dir, "records")
    with open(file, "w") as lines:
        lines.writelines(f"{number:099d}\n" for number in range(records))
    contenders, notes = kafka_servers.lineup(options)
    table = Table("Kafka: produce, records of 100 bytes by clients that batch them",
                  ["client, broker", "client CPU s", "broker CPU s", "broker to client", "broker busy", "records/s"])
    with contextlib.ExitStack() as stack:
        brokers = _start(options, stack, scratch, contenders, notes, lambda b: _produce_once(options, b, 100))
        for client in _clients_there(options, notes):
            runners = {name: lambda broker=broker, client=client: _client_once(options, broker, client, records, file)
                       for name, broker in brokers.items()}
            samples = rounds.interleaved(options, runners, notes)
            for name in samples:
                values = {key: rounds.column(samples, name, key) for key in ("client", "broker", "rate", "busy")}
                table.add(f"{client}, {name}", median_of(values["client"]), median_of(values["broker"]),
                          ratio_of(values["broker"], values["client"]), median_of(values["busy"]),
                          median_of(values["rate"]))
                table.data[f"{client}, {name}"] = samples[name]
            if OURS in samples:
                options.targets.at_most(f"records of 100 bytes by {client}: broker's CPU",
                                        rounds.ratio_of_columns(samples, OURS, "broker", "client"), 0.2,
                                        against="the client's")
    table.notes = [f"{records:,} records, the clients' own defaults, all acknowledged", *notes]
    options.show(table)
    return [table]
