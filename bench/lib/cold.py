"""How long small requests wait while other clients pull a large file from the disk."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import time

from lib import http, rounds, servers
from lib.proc import BenchError, CPU_LOAD, on_disk, pinned, run_load, stolen_ms
from lib.tables import Table, best_ratio_of, median_of, paired_ratios, ratio_of

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
COLD_BYTES = 4 * GIB
PULLERS = 4
HOT_CONNECTIONS, HOT_RATE = 16, 2000
HOT_MS = 2000
PULL_MS = HOT_MS + 400  # it begins earlier
TARGET = "target: p99 beside the cold pull at most 2 times that alone"


def need_disk(scratch, size):
    """Room for `size` bytes, on a disk."""
    free = shutil.disk_usage(scratch.dir).free
    if free < size + GIB:
        raise BenchError(f"{scratch.dir} has {free / GIB:.1f} GiB free, {size / GIB + 1:.0f} "
                         "are needed: set TMPDIR")
    if not on_disk(scratch.dir):
        raise BenchError(f"{scratch.dir} is in memory: set TMPDIR to a folder on a disk")


def _make_cold_file(scratch):
    """As large as it says also on disk, and never compressible."""
    need_disk(scratch, COLD_BYTES)
    path = scratch.file(COLD_BYTES)
    drop(path)
    return path


def cached_bytes(path):
    done = subprocess.run(["fincore", "-b", "-n", "-o", "RES", path], capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise BenchError(f"fincore: {done.stderr.strip() or 'failed'}")
    return int(done.stdout)


def drop(path):
    """Out of the page cache; pages that somebody is still sending stay, so it is tried again."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        for _ in range(50):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if cached_bytes(path) < 16 * MIB:
                return
            time.sleep(0.1)
    raise BenchError(f"{path} stays in the page cache: set TMPDIR to a folder on a disk")


def hot(options, server, name, milliseconds=HOT_MS):
    """Percentiles of small requests at a steady rate."""
    return json.loads(run_load(
        [os.path.join(options.build, "bench", "hot"), str(server.port), "/" + name,
         str(HOT_CONNECTIONS), str(HOT_RATE), str(milliseconds)], timeout=120))


def beside(pull_command, measure):
    """What `measure` gives while the command pulls; adds what the pull got, in MB/s."""
    with subprocess.Popen(pull_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=pinned(CPU_LOAD)) as pull:
        try:
            time.sleep(0.2)
            stolen = stolen_ms()
            result = measure()
            result["stolen_ms"] = stolen_ms() - stolen
            output, complaint = pull.communicate(timeout=60)
        finally:
            if pull.poll() is None:
                pull.kill()
    if pull.returncode != 0:
        raise BenchError(f"{os.path.basename(pull_command[0])}: {complaint.strip()}")
    pulled = json.loads(output)
    result["pull_mb_s"] = pulled["bytes"] / pulled["wall_ns"] * 1e3
    # A disk so fast that the pull was over before the clock: part of the time nobody pulled.
    result["pull_over"] = pulled["wall_ns"] < HOT_MS * 1e6
    return result


def _once(options, server, small, cold):
    drop(cold)
    pull = [os.path.join(options.build, "bench", "drain"), str(server.port),
            "/" + os.path.basename(cold), str(PULLERS), str(PULL_MS), str(os.path.getsize(cold))]
    return {"alone": hot(options, server, small),
            "cold": beside(pull, lambda: hot(options, server, small))}


COLUMNS = ["server", "p99 us alone", "p99 us beside", "times", "best to best", "p99.9 ms",
           "worst ms", "pulled MB/s", "stolen ms"]


def add(table, name, samples):
    """A row of COLUMNS."""
    def values(load, key):
        return [sample[load][key] for sample in samples]

    alone, cold = values("alone", "p99_us"), values("cold", "p99_us")
    table.add(name, median_of(alone), median_of(cold), ratio_of(cold, alone),
              best_ratio_of(cold, alone), median_of([us / 1e3 for us in values("cold", "p999_us")]),
              median_of([us / 1e3 for us in values("cold", "max_us")]),
              median_of(values("cold", "pull_mb_s")), median_of(values("cold", "stolen_ms")))
    table.data[name] = {"samples": samples,
                        "ratio": statistics.median(paired_ratios(cold, alone))}


def run(options, scratch):
    contenders, notes = http.lineup(options, ())
    contenders += [c for c in servers.peers_for_disks() if c.present]
    small = scratch.file(KIB)
    cold = _make_cold_file(scratch)
    site = servers.Site(scratch.dir, os.path.dirname(small), os.path.basename(small))
    samples = {}
    with contextlib.ExitStack() as stack:
        running = []
        for contender in contenders:
            try:
                running.append(http.start(stack, contender, site))
                running[-1].hurry()
            except BenchError as error:
                rounds.leave_out(options, notes, contender.name, error)
        for number_ in range(options.rounds):
            for server in list(running if number_ % 2 == 0 else reversed(running)):
                try:
                    sample = _once(options, server, site.name, cold)
                    samples.setdefault(server.name, []).append(sample)
                except (BenchError, OSError, subprocess.TimeoutExpired) as error:
                    rounds.leave_out(options, notes, server.name, error)
                    running.remove(server)
                    samples.pop(server.name, None)
    table = Table(f"Waiting: {HOT_RATE:,} small requests a second beside {PULLERS} clients that "
                  f"pull a cold file ({TARGET})",
                  COLUMNS)
    for contender in contenders:
        if contender.name in samples:
            add(table, contender.name, samples[contender.name])
    table.notes = [f"{options.rounds} rounds of {HOT_MS // 1000} s each; each client pulls its own "
                   f"quarter of {COLD_BYTES // GIB} GiB; the last four columns are of the pull",
                   *notes]
    if any(s["cold"]["pull_over"] for all_ in samples.values() for s in all_):
        table.notes.append("some cold pulls were over before the clock: the disk is too fast")
    options.show(table)
    return [table]
