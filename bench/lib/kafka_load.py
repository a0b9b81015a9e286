"""The drivers for Kafka as functions: they run on the load's CPU, and end with an error if any answer was not good."""

import json

from lib import drivers
from lib.proc import Running, free_port, run_load

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TOPIC = "bench"  # the floors' only one


def run(options, name, *arguments, timeout=600):
    return json.loads(run_load([drivers.path(options.build, name), *map(str, arguments)], timeout))


def produce(options, port, topic, requests, batch=MIB, record=KIB, connections=1, partitions=1, depth=2):
    """`requests`: of each connection."""
    return run(options, "kafka-produce", port, topic, partitions, connections, depth, batch, record, requests)


def fetch_command(options, port, topic, milliseconds, batch=MIB, record=KIB, connections=1, partitions=1,
                  max_bytes=MIB, once=False):
    return [drivers.path(options.build, "kafka-fetch"), *map(str, (port, topic, partitions, connections, max_bytes,
                                                                   batch, record, milliseconds)),
            *(["once"] if once else [])]


def fetch(options, *arguments, **settings):
    return json.loads(run_load(fetch_command(options, *arguments, **settings), 600))


def hot(options, port, question, connections, rate, milliseconds):
    """Percentiles of how long small requests take; `rate` 0: each connection one after the other."""
    return run(options, "hot", port, question, connections, rate, milliseconds, timeout=120)


def small_produce(topic=TOPIC, record=100):
    """A question for hot(): one record."""
    return f"produce:{topic}:{record}"


class Floor(Running):
    """floor-produce or floor-fetch."""

    def __init__(self, options, scratch, name, title, *arguments):
        """Of the arguments, None stands for the port."""
        port = free_port()
        words = [str(port if word is None else word) for word in arguments]
        super().__init__(title, [drivers.path(options.build, name), *words], port, scratch.new_path("log"))


def floor_produce(options, scratch, mode, title, file, batch=0, record=100):
    """`mode`: echo, write or sync. Makes `file`."""
    return Floor(options, scratch, "floor-produce", title, mode, None, file, batch, record, TOPIC)


def floor_fetch(options, scratch, title, segment, batch, record):
    return Floor(options, scratch, "floor-fetch", title, None, segment, batch, record, TOPIC)
