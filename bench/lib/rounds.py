"""Contenders in interleaved rounds, and the table of what each unit of work cost them."""

import statistics
import subprocess

from lib.proc import BenchError
from lib.tables import Table, best_ratio_of, median_of, paired_ratios, ratio_of, spread_of

FAILURES = (BenchError, OSError, subprocess.SubprocessError)


def leave_out(options, notes, name, error):
    """A peer that fails here is a note under the table; leat failing is a failure of the run."""
    notes.append(f"{name}: left out, {error}")
    if not options.is_peer(name):
        options.failures.append(notes[-1])


def interleaved(options, runners, notes):
    """`runners`: {name: what measures it once}. {name: [sample, one a round]}; who fails is left out."""
    samples = {name: [] for name in runners}
    for number in range(options.rounds):
        # To and fro, so that nobody always runs after the same neighbour.
        for name in list(samples if number % 2 == 0 else reversed(samples)):
            try:
                samples[name].append(runners[name]())
            except FAILURES as error:
                leave_out(options, notes, name, error)
                samples.pop(name)
    return samples


def column(samples, name, key):
    return [sample[key] for sample in samples[name]]


def ratio(samples, name, base, key):
    """The median of the rounds' own ratios of one to the other."""
    return statistics.median(paired_ratios(column(samples, name, key), column(samples, base, key)))


def ratio_of_columns(samples, name, key, base):
    return statistics.median(paired_ratios(column(samples, name, key), column(samples, name, base)))


def cost_table(title, samples, base, notes):
    """Samples have `cost`, in CPU seconds per GB, and `rate`, in GB/s."""
    if base not in samples:
        raise BenchError(f"{title}: nothing to compare with, {base} failed")
    table = Table(title, ["", "CPU s/GB", "middle half", "to the floor", "best to best", "GB/s"], notes=notes,
                  data=samples)
    for name in samples:
        cost, floor = column(samples, name, "cost"), column(samples, base, "cost")
        table.add(name, median_of(cost), spread_of(cost), ratio_of(cost, floor), best_ratio_of(cost, floor),
                  f"{statistics.median(column(samples, name, 'rate')):.2f}")
    return table
