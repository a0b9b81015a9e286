"""The engine against raw system calls: CPU seconds per GB at the sender or relay, in pairs."""

import json
import statistics

from lib import drivers
from lib.tables import Table, best_ratio_of, median_of, number, paired_ratios, ratio_of, spread_of

KIB, MIB = 1 << 10, 1 << 20
TARGET = "target: at most 1.03 times"
DRIVERS = (
    ("ledger-cost", "Engine: its own work a transfer (target: under 100 ns)"),
    ("crossover", "Engine: where sendfile begins to pay"),
)

# What is compared in one process: (what, floor's mode, engine's mode).
SENDFILE_PAIRS = (
    ("leat_transfer(), blocking socket", "blocking", "transfer"),
    ("chain, non-blocking socket", "poll", "chain"),
)
SPLICE_PAIRS = (("chain with a stream", "floor", "engine"),)


def _turns(options, command, rounds, modes):
    """{mode: [CPU nanoseconds per byte, which is seconds per GB, one a round]}. Not pinned here: the
    pair programs put each side on its CPU themselves."""
    # Several processes: where memory and the two CPUs' caches end up differs from one to the next.
    processes = 2 if options.quick else 3
    samples = {mode: [] for mode in modes}
    for _ in range(processes):
        result = json.loads(drivers.run([*command, str(rounds), *modes]))
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
        command = [drivers.path(options.build, "pair-sendfile"), scratch.file(size), str(turn)]
        samples = _turns(options, command, rounds * options.rounds, sendfile_modes)
        _add_pairs(table, f"sendfile of {size // MIB} MiB", SENDFILE_PAIRS, samples)
    command = [drivers.path(options.build, "pair-splice"), str(64 * MIB)]
    samples = _turns(options, command, 4 * options.rounds, splice_modes)
    _add_pairs(table, "splice, socket to socket", SPLICE_PAIRS, samples)
    table.notes.append("turns of 64 MiB (256 MiB for the large file) in rotation on one connection")
    return table


def _call_table(options, scratch):
    """What one use of the engine costs beyond its bytes: small enough that the call shows, large
    enough that the policy chooses sendfile."""
    size = 64 * KIB
    command = [drivers.path(options.build, "pair-sendfile"), scratch.file(size), str(1000 * size)]
    modes = [mode for _, *modes in SENDFILE_PAIRS for mode in modes]
    samples = _turns(options, command, 4 * options.rounds, modes)
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


def run(options, scratch):
    tables = []
    for make in (_throughput_table, _call_table):
        tables.append(make(options, scratch))
        options.show(tables[-1])
    for name, title in () if options.quick else DRIVERS:
        tables.append(drivers.table(options, name, title))
    return tables
