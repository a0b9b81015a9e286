"""What a large directory costs: a file of it that nobody has asked for yet, and its listing."""

import contextlib
import os
import socket
import statistics
import time

from lib import http, rounds, servers
from lib.proc import BenchError
from lib.tables import Table, median_of, paired_ratios, ratio_of

FEW, MANY, MANY_QUICK = 10, 200_000, 20_000
# Only the first ones have bytes, so that the disk holds it.
FILES_ASKED = 8
TARGET = "target: leat answers as soon as in the small one"


def _fill(path, count):
    os.makedirs(path)
    for i in range(count):
        with open(os.path.join(path, f"file-{i:06d}.txt"), "wb") as file:
            if i < FEW:
                file.write(b"x" * 1024)


def _get(port, path):
    """(ns to the first bytes, ns to the last, bytes)"""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.settimeout(60)
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()
        begin = time.perf_counter_ns()
        client.sendall(request)
        head = client.recv(1 << 16)
        first = time.perf_counter_ns() - begin
        total = len(head)
        while True:
            piece = client.recv(1 << 18)
            if not piece:
                break
            total += len(piece)
        last = time.perf_counter_ns() - begin
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        raise BenchError(f"{path}: not a 200: {head[:60]!r}")
    return first, last, total


def _once(options, contender, site):
    """A server that has just been started."""
    found = {}
    with contextlib.ExitStack() as stack:
        server = http.start(stack, contender, site)
        server.hurry()
        for directory in ("few", "many"):
            files = [_get(server.port, f"/{directory}/file-{i:06d}.txt")[0]
                     for i in range(FILES_ASKED)]
            found[directory] = {"file_ns": statistics.median(files)}
        for directory in ("few", "many"):
            first, last, size = _get(server.port, f"/{directory}/")
            found[directory] |= {"first_ns": first, "last_ns": last, "bytes": size}
    return found


def _add(table, name, samples):
    def us(directory, key):
        return [sample[directory][key] / 1e3 for sample in samples]

    def pair(key):
        return [median_of(us("few", key)), median_of(us("many", key)),
                ratio_of(us("many", key), us("few", key))]

    last = [value / 1e3 for value in us("many", "last_ns")]
    table.add(name, *pair("file_ns"), *pair("first_ns"), median_of(last))
    table.data[name] = {
        "samples": samples,
        "file_ratio": statistics.median(paired_ratios(us("many", "file_ns"),
                                                      us("few", "file_ns"))),
    }


def run(options, scratch):
    count = MANY_QUICK if options.quick else MANY
    root = os.path.join(scratch.dir, "directories")
    _fill(os.path.join(root, "few"), FEW)
    _fill(os.path.join(root, "many"), count)
    site = servers.Site(scratch.dir, root, "few")
    contenders, notes = http.lineup(options, ())
    samples = {contender.name: [] for contender in contenders}
    for _ in range(options.rounds):
        for contender in contenders:
            if contender.name not in samples:
                continue
            try:
                samples[contender.name].append(_once(options, contender, site))
            except (BenchError, OSError) as error:
                samples.pop(contender.name)
                rounds.leave_out(options, notes, contender.name, error)
    table = Table(f"Directories: {FEW} files and {count:,} ({TARGET})",
                  ["server", "us to a file of few", "of many", "times",
                   "us to the listing's first byte, few", "many", "times", "ms to its end"])
    for name, results in samples.items():
        _add(table, name, results)
    table.notes = [f"{options.rounds} starts each; {FILES_ASKED} files, each asked for once, over a "
                   "new connection each", *notes]
    options.show(table)
    return [table]
