"""What being watched costs: nginx without copystat, beside it, and under it, in interleaved rounds."""

import contextlib
import os
import subprocess

from lib import http, servers
from lib.proc import BenchError, CPU_LOAD, pinned, tree
from lib.tables import Table, best_ratio_of, median_of, ratio_of, spread_of

STATES = ("not there", "watches another", "watches it")


@contextlib.contextmanager
def _watching(options, pid):
    """copystat on the load's CPU; it looks once, at its end."""
    command = [os.path.join(options.build, "leat"), "copystat", "--interval", "3600", "-o", os.devnull, "-p", str(pid)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          preexec_fn=pinned(CPU_LOAD)) as process:
        line = process.stderr.readline()
        try:
            if "watching" not in line:
                raise BenchError(line.strip() or "copystat ended")
            yield
        finally:
            process.terminate()


def _table(options, topic, contender, site):
    samples = {state: [] for state in STATES}
    with contextlib.ExitStack() as stack:
        server = http.start(stack, contender, site)
        http.check_body(server, site.name, site.path)
        members = {STATES[1]: os.getpid(), STATES[2]: ",".join(map(str, tree(server.pid)))}
        for number in range(options.rounds):
            for state in STATES if number % 2 == 0 else reversed(STATES):
                watching = _watching(options, members[state]) if state in members else contextlib.nullcontext()
                with watching:
                    samples[state].append(http.measure(options, topic, server, site.name, 1)["cost"])
    table = Table(f"{contender.name}, {topic.title}, {topic.connections} connections",
                  ["copystat", "CPU us/request", "middle half", "to none", "best to best"], data=samples)
    for state, cost in samples.items():
        table.add(state, median_of(cost), spread_of(cost), ratio_of(cost, samples[STATES[0]]),
                  best_ratio_of(cost, samples[STATES[0]]))
    table.notes = [f"{options.rounds} rounds of 1 s"]
    return table


def run(options, scratch):
    tables = []
    contenders = [peer for peer in servers.peers() if peer.name.startswith("nginx")]
    for topic in [topic for topic in http.TOPICS if topic.load == "wrk" and topic.quick]:
        path = scratch.file(topic.size)
        site = servers.Site(scratch.dir, os.path.dirname(path), os.path.basename(path))
        for contender in contenders:
            if not contender.present:
                raise BenchError(f"{contender.name}: {contender.missing}")
            tables.append(_table(options, topic, contender, site))
            options.show(tables[-1])
    return tables
