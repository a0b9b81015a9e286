"""Drivers that measure one thing on their own and print lines for people: shown as they are."""

import os
import subprocess

from lib.proc import CPU_MEASURED, BenchError, pinned
from lib.tables import Table


def path(build, name):
    found = os.path.join(build, "bench", name)
    if not os.access(found, os.X_OK):
        raise BenchError(f"{name} is not built (meson -Dbench=true)")
    return found


def run(command, cpu=None):
    """Its stdout; `cpu`: pinned there."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                          preexec_fn=None if cpu is None else pinned(cpu))
    if done.returncode != 0:
        raise BenchError(f"{os.path.basename(command[0])} failed: {done.stderr.strip()}")
    return done.stdout


def table(options, name, title):
    shown = Table(title, [f"{name} says"])
    if not os.path.exists(os.path.join(options.build, "bench", name)):
        shown.notes = [f"{name}: left out, not built"]
        options.show(shown)
        return shown
    for line in run([path(options.build, name)], CPU_MEASURED).splitlines():
        if line.strip():
            shown.add(line.rstrip())
    shown.data["output"] = [row[0] for row in shown.rows]
    options.show(shown)
    return shown
