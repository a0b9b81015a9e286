"""Whole servers over HTTP: CPU time per request, or per GB, in interleaved rounds."""

import contextlib
import dataclasses
import json
import os
import socket
import statistics

from lib import drivers, servers
from lib.proc import BenchError, Running, free_port, run_load
from lib.rounds import leave_out
from lib.tables import Table, best_ratio_of, median_of, paired_ratios, ratio_of, spread_of

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KIB, MIB = 1 << 10, 1 << 20


@dataclasses.dataclass(frozen=True)
class Topic:
    title: str
    size: int
    connections: int
    load: str  # "wrk", "pipeline", "drain"
    floors: tuple  # modes of floor-http; the first is what ratios are taken to
    quick: bool  # part of --quick
    target: str = ""

    @property
    def per_gb(self):
        return self.load == "drain"


TOPICS = (
    Topic("1 KiB", KIB, 64, "wrk", ("send", "sendfile"), True,
          "target: leat at most 1.15 times the floor"),
    Topic("10 KiB", 10 * KIB, 64, "wrk", ("send", "sendfile"), False),
    Topic("100 KiB", 100 * KIB, 64, "wrk", ("send", "sendfile"), False),
    Topic("1 MiB", MIB, 64, "wrk", ("sendfile", "send"), True),
    Topic("1 KiB, pipelined by 16", KIB, 64, "pipeline", ("pipeline",), True),
    Topic("256 MiB", 256 * MIB, 4, "drain", ("sendfile", "send"), False),
)


def _url(server, name):
    return f"http://127.0.0.1:{server.port}/{name}"


def _wrk(options, topic, server, name, seconds):
    script = "pipeline.lua" if topic.load == "pipeline" else "report.lua"
    output = run_load(
        ["wrk", "-t1", f"-c{topic.connections}", f"-d{seconds}s", "-s",
         os.path.join(HERE, script), _url(server, name)],
        timeout=60 + seconds,
    )
    result = json.loads(output.strip().splitlines()[-1])
    if result["not_2xx"] or result["errors"] or result["requests"] == 0:
        raise BenchError(f"{server.name}: wrk saw {result}")
    return {"units": result["requests"], "rate": result["requests"] / result["duration_us"] * 1e6}


def _drain(options, topic, server, name, seconds):
    output = run_load(
        [os.path.join(options.build, "bench", "drain"), str(server.port), "/" + name,
         str(topic.connections), str(int(seconds * 1000))],
        timeout=60 + seconds,
    )
    result = json.loads(output)
    return {"units": result["bytes"] / 1e9, "rate": result["bytes"] / result["wall_ns"]}


def measure(options, topic, server, name, seconds):
    """CPU microseconds per request (wrk) or CPU seconds per GB (drain), and the rate."""
    before = server.cpu_ns()
    load = _drain if topic.per_gb else _wrk
    result = load(options, topic, server, name, seconds)
    spent_ns = server.cpu_ns() - before
    return {
        "cost": spent_ns / 1e9 / result["units"] * (1 if topic.per_gb else 1e6),
        "rate": result["rate"],
    }


def response_head(port, name):
    """The header of a GET, byte for byte."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(f"GET /{name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            piece = client.recv(65536)
            if not piece:
                raise BenchError("the connection ended within a header")
            data += piece
    head = data[: data.index(b"\r\n\r\n") + 4]
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"not a 200: {head[:60]!r}")
    return head


def check_body(server, name, path):
    """Who serves other bytes, or another length, is not a contender."""
    with open(path, "rb") as file:
        expected = file.read(KIB)
    head = response_head(server.port, name).decode("latin-1").lower()
    if f"\r\ncontent-length: {os.path.getsize(path)}\r\n" not in head:
        raise BenchError(f"{server.name}: wrong Content-Length in {head!r}")
    with socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        stream = client.makefile("rb")
        while stream.readline() not in (b"\r\n", b""):
            pass
        if stream.read(len(expected)) != expected:
            raise BenchError(f"{server.name}: wrong body")


def start(stack, contender, site):
    port = free_port()
    log = os.path.join(site.dir, f"log-{port}")
    return stack.enter_context(Running(contender.name, contender.command(site, port), port, log))


def lineup(options, floors):
    """(contenders that are there, notes about those that aren't); floors first."""
    wanted = [servers.floor(options.build, mode) for mode in floors]
    wanted += [servers.leat(options.build), *servers.peers()]
    present = [contender for contender in wanted if contender.present]
    return present, [f"{c.name}: left out, {c.missing}" for c in wanted if not c.present]


def _site(options, scratch, size):
    """The floors send the header that leat sends, so that both put the same bytes on the wire."""
    path = scratch.file(size)
    site = servers.Site(scratch.dir, os.path.dirname(path), os.path.basename(path))
    ours = servers.leat(options.build)
    head = None
    if ours.present:
        with contextlib.suppress(BenchError, OSError), contextlib.ExitStack() as stack:
            head = response_head(start(stack, ours, site).port, site.name)
    if head:
        site.head = os.path.join(scratch.dir, f"head-{size}")
        with open(site.head, "wb") as file:
            file.write(head)
    return site


def _rounds(options, topic, site, contenders, notes):
    """{name: [samples]}: all servers run all the time, one of them is under load at a time."""
    samples = {}
    with contextlib.ExitStack() as stack:
        running = []
        for contender in contenders:
            try:
                server = start(stack, contender, site)
                check_body(server, site.name, site.path)
                _drain(options, dataclasses.replace(topic, connections=4), server, site.name, 0.1)
            except (BenchError, OSError) as error:
                leave_out(options, notes, contender.name, error)
                continue
            running.append(server)
        for number in range(options.rounds):
            # To and fro, so that nobody always runs after the same neighbour.
            for server in list(running if number % 2 == 0 else reversed(running)):
                try:
                    sample = measure(options, topic, server, site.name, 1)
                    samples.setdefault(server.name, []).append(sample)
                except (BenchError, OSError) as error:
                    leave_out(options, notes, server.name, error)
                    running.remove(server)
                    samples.pop(server.name, None)
    return samples


def _table(topic, contenders, samples, rounds, notes):
    unit = "CPU s/GB" if topic.per_gb else "CPU us/request"
    rate = "GB/s" if topic.per_gb else "requests/s"
    table = Table(f"HTTP: {topic.title}, {topic.connections} connections"
                  + (f" ({topic.target})" if topic.target else ""),
                  ["server", unit, "middle half", "to the floor", "best to best", rate])
    if contenders[0].name not in samples:
        raise BenchError(f"{topic.title}: nothing to compare with, the floor failed")
    floor = [sample["cost"] for sample in samples[contenders[0].name]]
    for contender in contenders:
        if contender.name not in samples:
            continue
        cost = [sample["cost"] for sample in samples[contender.name]]
        speed = statistics.median(sample["rate"] for sample in samples[contender.name])
        table.add(contender.name, median_of(cost), spread_of(cost), ratio_of(cost, floor),
                  best_ratio_of(cost, floor), f"{speed:.2f}" if topic.per_gb else f"{speed:,.0f}")
        table.data[contender.name] = {
            "cost": cost,
            "rate": [sample["rate"] for sample in samples[contender.name]],
            "ratio": statistics.median(paired_ratios(cost, floor)),
        }
    table.notes = [f"{rounds} rounds of 1 s", *notes]
    return table


def run(options, scratch):
    tables = []
    for topic in TOPICS:
        if options.quick and not topic.quick:
            continue
        contenders, notes = lineup(options, topic.floors)
        site = _site(options, scratch, topic.size)
        samples = _rounds(options, topic, site, contenders, notes)
        tables.append(_table(topic, contenders, samples, options.rounds, notes))
        options.show(tables[-1])
    if not options.quick:
        tables.append(drivers.table(options, "parse", "HTTP: what the pure core costs a request"))
    return tables
