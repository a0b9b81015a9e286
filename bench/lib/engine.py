"""The engine against raw system calls: CPU seconds per GB at the sender or relay, in pairs."""

import json
import os
import statistics
import subprocess

from lib.proc import BenchError
from lib.tables import Table, best_ratio_of, median_of, number, paired_ratios, ratio_of, spread_of

KIB, MIB = 1 << 10, 1 << 20
TARGET = "target: at most 1.03 times"
LEDGER_TARGET = "target: under 100 ns a transfer"

# What is compared in one process: (what, floor's mode, engine's mode).
SENDFILE_PAIRS = (
    ("leat_transfer(), blocking socket", "blocking", "transfer"),
    ("chain, non-blocking socket", "poll", "chain"),
)
SPLICE_PAIRS = (("chain with a stream", "floor", "engine"),)


def _program(build, name):
    path = os.path.join(build, "bench", name)
    if not os.access(path, os.X_OK):
        raise BenchError(f"{name} is not built (meson -Dbench=true)")
    return path


def _run(command):
    """Not pinned here: the pair programs put each side on its CPU themselves."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise BenchError(f"{os.path.basename(command[0])} failed: {done.stderr.strip()}")
    return done.stdout


def _turns(command, rounds, modes):
    """{mode: [CPU nanoseconds per byte, which is seconds per GB, one a round]}"""
    # Three processes: where memory and the two CPUs' caches end up differs from one to the next.
    samples = {mode: [] for mode in modes}
    for _ in range(3):
        result = json.loads(_run([*command, str(rounds), *modes]))
        for mode in modes:
            samples[mode] += [ns / result["bytes"] for ns in result["cpu_ns"][mode]]
    return samples


def _add_pairs(table, label, pairs, samples):
    for what, floor, engine in pairs:
        base, ours = samples[floor], samples[engine]
        table.add(f"{label}, {what}", median_of(base), spread_of(base), median_of(ours),
                  spread_of(ours), ratio_of(ours, base), best_ratio_of(ours, base))
        table.data[f"{label}, {what}"] = {
            "floor_cpu_s_per_gb": base,
            "engine_cpu_s_per_gb": ours,
            "ratio": statistics.median(paired_ratios(ours, base)),
        }


def _throughput_table(options, scratch):
    table = Table(f"Engine against the raw loop: CPU seconds per GB ({TARGET})",
                  ["what", "raw loop", "middle half", "engine", "middle half", "ratio",
                   "best to best"])
    sendfile_modes = [mode for _, *modes in SENDFILE_PAIRS for mode in modes]
    splice_modes = [mode for _, *modes in SPLICE_PAIRS for mode in modes]
    for size, turn, rounds in ((MIB, 64 * MIB, 4), (256 * MIB, 256 * MIB, 1)):
        command = [_program(options.build, "pair-sendfile"), scratch.file(size), str(turn)]
        samples = _turns(command, rounds * options.rounds, sendfile_modes)
        _add_pairs(table, f"sendfile of {size // MIB} MiB", SENDFILE_PAIRS, samples)
    command = [_program(options.build, "pair-splice"), str(64 * MIB)]
    samples = _turns(command, 4 * options.rounds, splice_modes)
    _add_pairs(table, "splice, socket to socket", SPLICE_PAIRS, samples)
    table.notes.append("turns of 64 MiB (256 MiB for the large file) in rotation on one connection")
    return table


def _call_table(options, scratch):
    """What one use of the engine costs beyond its bytes: small enough that the call shows, large
    enough that the policy chooses sendfile."""
    size = 64 * KIB
    command = [_program(options.build, "pair-sendfile"), scratch.file(size), str(1000 * size)]
    modes = [mode for _, *modes in SENDFILE_PAIRS for mode in modes]
    samples = _turns(command, 4 * options.rounds, modes)
    table = Table("Engine against the raw loop: CPU microseconds per file of 64 KiB",
                  ["what", "raw loop", "engine", "more a call, median", "more a call, best"])
    for what, floor, engine in SENDFILE_PAIRS:
        base = [cost * size / 1e3 for cost in samples[floor]]
        ours = [cost * size / 1e3 for cost in samples[engine]]
        table.add(what, median_of(base), median_of(ours),
                  number(statistics.median(a - b for a, b in zip(ours, base))),
                  number(min(ours) - min(base)))
        table.data[what] = {"floor_us": base, "engine_us": ours}
    return table


def _ledger_table(options):
    """The price of accounting alone, from a driver that moves no bytes."""
    table = Table(f"Engine: the ledger and the policy ({LEDGER_TARGET})", ["ledger-cost says"])
    for line in _run([_program(options.build, "ledger-cost")]).splitlines():
        table.add(line.strip())
    table.data["output"] = [row[0] for row in table.rows]
    return table


def run(options, scratch):
    tables = []
    for make in (_throughput_table, _call_table):
        tables.append(make(options, scratch))
        options.show(tables[-1])
    if os.path.exists(os.path.join(options.build, "bench", "ledger-cost")):
        tables.append(_ledger_table(options))
        options.show(tables[-1])
    return tables
