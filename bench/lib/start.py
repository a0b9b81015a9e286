"""What a server costs before it has served anything to speak of: start, memory, idle connections."""

import contextlib
import json
import os
import subprocess

from lib import cold, http, rounds, servers
from lib.proc import BenchError, CPU_LOAD, descriptor_limit, free_port, memory_kib, pinned
from lib.tables import Table, median_of, spread_of

IDLE_CONNECTIONS = 10_000


def _start_once(options, contender, site):
    port = free_port()
    done = subprocess.run(
        [os.path.join(options.build, "bench", "start-cost"), str(port), "/" + site.name,
         *contender.command(site, port)],
        capture_output=True, text=True, timeout=60,
    )
    if done.returncode != 0:
        raise BenchError(done.stderr.strip())
    return json.loads(done.stdout)


def run(options, scratch):
    """Not pinned: both sides want a CPU at the same moment, as in life."""
    contenders, notes = http.lineup(options, ("send",))
    path = scratch.file(1024)
    site = servers.Site(scratch.dir, os.path.dirname(path), os.path.basename(path))
    samples = {contender.name: [] for contender in contenders}
    for _ in range(2 * options.rounds):
        for contender in contenders:
            if contender.name not in samples:
                continue
            try:
                samples[contender.name].append(_start_once(options, contender, site))
            except BenchError as error:
                samples.pop(contender.name)
                rounds.leave_out(options, notes, contender.name, error)
    table = Table("Start: from fork to the first answer, and memory then "
                  "(target: leat under 20 ms, under 8 MiB resident)",
                  ["server", "ms to first answer", "middle half", "resident MiB",
                   "of it anonymous MiB", "ms to end"])
    for name, results in samples.items():
        milliseconds = [result["start_ns"] / 1e6 for result in results]
        table.add(name, median_of(milliseconds), spread_of(milliseconds),
                  median_of([result["rss_kib"] / 1024 for result in results]),
                  median_of([result["anon_kib"] / 1024 for result in results]),
                  median_of([result["stop_ns"] / 1e6 for result in results]))
        table.data[name] = results
    table.notes = [f"{2 * options.rounds} starts each", *notes]
    options.show(table)
    return [table]


def _idle_cost(options, server, name, count):
    """(resident KiB, anonymous KiB) that `count` idle connections added to the server, and the
    latency of other connections before and beside them."""
    times = 1 if options.quick else 3
    alone = [cold.hot(options, server, name, 1000) for _ in range(times)]
    rss_before, anon_before = memory_kib(server.pid)
    with subprocess.Popen(
        [os.path.join(options.build, "bench", "idle"), str(server.port), "/" + name, str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=pinned(CPU_LOAD),
    ) as client:
        ready = client.stdout.readline()
        rss, anon = memory_kib(server.pid)
        beside = [cold.hot(options, server, name, 1000) for _ in range(times if ready else 0)]
        _, complaint = client.communicate()
    if not ready:
        raise BenchError(complaint.strip())
    return {"rss_kib": rss - rss_before, "anon_kib": anon - anon_before, "connections": count,
            "alone": alone, "beside": beside}


def run_idle(options, scratch):
    count = 1000 if options.quick else IDLE_CONNECTIONS
    count = min(count, descriptor_limit() - 512)
    contenders, notes = http.lineup(options, ("send",))
    path = scratch.file(1024)
    site = servers.Site(scratch.dir, os.path.dirname(path), os.path.basename(path),
                        connections=count + 256)
    table = Table(f"Idle: {count:,} keep-alive connections, one request on each before (target: "
                  "leat at most 2 KiB, and other requests take as long as without)",
                  ["server", "KiB a connection", "of it anonymous KiB", "p50 us without", "beside",
                   "p99 us without", "beside"])
    for contender in contenders:
        try:
            with contextlib.ExitStack() as stack:
                server = http.start(stack, contender, site)
                http.check_body(server, site.name, site.path)
                server.hurry()
                found = _idle_cost(options, server, site.name, count)
        except BenchError as error:
            rounds.leave_out(options, notes, contender.name, error)
            continue
        table.add(contender.name, f"{found['rss_kib'] / count:.2f}",
                  f"{found['anon_kib'] / count:.2f}",
                  *(median_of([sample[key] for sample in found[load]])
                    for key in ("p50_us", "p99_us") for load in ("alone", "beside")))
        table.data[contender.name] = found
    table.notes = ["the process's own memory; the kernel's sockets are the same for all", *notes]
    options.show(table)
    return [table]
