"""The engine against raw system calls: CPU seconds per GB at the sender or relay, in pairs."""

import json
import os
import statistics
import subprocess

from lib.proc import BenchError
from lib.tables import Table, best_ratio_of, median_of, paired_ratios, ratio_of, spread_of

TOTAL_BYTES = 512 << 20
SENDFILE_TARGET = 1.03

MIB = 1 << 20
PAIRS = (
    # what, floor program and mode, engine program and mode
    ("leat_transfer(), blocking socket", ("floor-sendfile", "blocking"),
     ("engine-sendfile", "transfer")),
    ("chain, non-blocking socket", ("floor-sendfile", "poll"), ("engine-sendfile", "chain")),
)


def _program(build, name):
    return os.path.join(build, "bench", name)


def _measure(command):
    """One run on its own pins; CPU seconds per GB."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise BenchError(f"{os.path.basename(command[0])} failed: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    return result["cpu_ns"] / result["bytes"]  # ns per byte is s per GB


def _cases(build, scratch):
    """(name, floor command, engine command); the files are made here."""
    for size, label in ((MIB, "1 MiB"), (256 * MIB, "256 MiB")):
        path = scratch.file(size)
        for what, floor, engine in PAIRS:
            yield (f"sendfile {label}, {what}",
                   [_program(build, floor[0]), floor[1], path, str(TOTAL_BYTES)],
                   [_program(build, engine[0]), engine[1], path, str(TOTAL_BYTES)])
    yield ("splice relay, chain with a stream",
           [_program(build, "floor-splice"), str(TOTAL_BYTES)],
           [_program(build, "engine-splice"), str(TOTAL_BYTES)])


def _interleave(cases, rounds):
    """Floor and engine next to each other, who goes first alternating; {command: samples}."""
    samples = {}
    for number in range(rounds):
        for _, *commands in cases:
            for command in commands if number % 2 == 0 else reversed(commands):
                samples.setdefault(tuple(command), []).append(_measure(command))
    return samples


def _ledger_table(build):
    """The price of accounting, from the engine's own driver."""
    program = _program(build, "ledger-cost")
    if not os.access(program, os.X_OK):
        return None
    done = subprocess.run([program], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise BenchError(f"ledger-cost failed: {done.stderr.strip()}")
    table = Table("Engine: the ledger and the policy (target: under 100 ns a transfer)",
                  ["ledger-cost says"])
    for line in done.stdout.splitlines():
        table.add(line.strip())
    return table


def run(options, scratch):
    cases = list(_cases(options.build, scratch))
    if not os.access(_program(options.build, "engine-sendfile"), os.X_OK):
        raise BenchError("engine-sendfile is not built (meson -Dbench=true)")
    samples = _interleave(cases, 3 * options.rounds)
    table = Table("Engine against the raw loop: CPU seconds per GB "
                  f"(target: at most {SENDFILE_TARGET} times)",
                  ["what", "raw loop", "middle half", "engine", "middle half", "ratio",
                   "best to best"])
    for name, floor, engine in cases:
        base, ours = samples[tuple(floor)], samples[tuple(engine)]
        table.add(name, median_of(base), spread_of(base), median_of(ours), spread_of(ours),
                  ratio_of(ours, base), best_ratio_of(ours, base))
        table.data[name] = {
            "floor_cpu_s_per_gb": base,
            "engine_cpu_s_per_gb": ours,
            "ratio": statistics.median(paired_ratios(ours, base)),
        }
    table.notes.append(f"{3 * options.rounds} rounds of {TOTAL_BYTES >> 20} MiB each; the ratio is "
                       "the median of the rounds' own ratios")
    tables = [found for found in (table, _ledger_table(options.build)) if found]
    for found in tables:
        options.show(found)
    return tables
