"""Brokers that are compared: leat and Apache Kafka, each with one node, a folder and a port of its own.

Apache Kafka runs as it comes, but for what makes the comparison fair or possible:

- one network thread and one I/O thread, as leat gets one thread: with more of them on the one CPU that
  every contender gets it would only switch more often;
- its own start script's options for Java, and a heap of 1 GiB, all of it from the start;
- a deleted topic's files go at once, so that a round does not pay for the one before;
- whatever a topic of the benchmark sets, it sets for both.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
import typing

from lib import kafka_client
from lib.proc import BenchError, Running, free_port

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                                "tests", "interop"))
import apache_kafka  # noqa: E402

JAVA_OPTIONS = ["-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
                "-Djava.awt.headless=true"]
APACHE_SETTINGS = {"num_network_threads": 1, "num_io_threads": 1, "log_segment_delete_delay_ms": 0}
LEAT_SETTINGS = {"log_segment_delete_delay_ms": 0}
OURS, PEER = "leat kafka", "Apache Kafka"


def is_peer(name):
    return name.startswith(PEER)


@dataclasses.dataclass
class Contender:
    name: str
    prepare: typing.Callable = None  # (folder, port, settings): before the first start in a folder
    command: typing.Callable = None  # (folder, port, settings) -> argument list; the data is in folder/data
    missing: typing.Optional[str] = None

    @property
    def is_peer(self):
        return is_peer(self.name)


def leat(build):
    program = os.path.join(build, "leat")

    def command(folder, port, settings):
        options = [word for name, value in {**LEAT_SETTINGS, **settings}.items()
                   for word in ("-o", f"{name.replace('_', '.')}={value}")]
        return [program, "kafka", "--listen", f"127.0.0.1:{port}", "--threads", "1", *options,
                os.path.join(folder, "data")]

    return Contender(OURS, lambda *_: None, command, None if os.access(program, os.X_OK) else "not built")


def apache(version):
    name = f"{PEER} {version}"
    try:
        apache_kafka.jars(version)
    except (apache_kafka.Missing, subprocess.TimeoutExpired) as missing:
        return Contender(name, missing=str(missing))

    def properties(folder):
        return os.path.join(folder, "server.properties")

    def prepare(folder, port, settings):
        apache_kafka.write_properties(properties(folder), port, free_port(), os.path.join(folder, "data"),
                                      **APACHE_SETTINGS, **settings)
        subprocess.run(apache_kafka.format_command(properties(folder), version), check=True, capture_output=True,
                       timeout=120)

    def command(folder, _port, _settings):
        return apache_kafka.broker_command(properties(folder), version, JAVA_OPTIONS)

    return Contender(name, prepare, command)


def warm_ms(options, contender):
    """How long the load goes on before anything counts: Java needs some time until its code is compiled."""
    if not contender.is_peer:
        return 500
    return 2000 if options.quick else 20000


def lineup(options, every_version=False):
    """(contenders that are there, notes about those that aren't); of Apache Kafka the last version named, or all."""
    versions = options.kafka if every_version else options.kafka[-1:]
    wanted = [leat(options.build), *(apache(version) for version in versions)]
    return [c for c in wanted if not c.missing], [f"{c.name}: left out, {c.missing}" for c in wanted if c.missing]


class Broker(Running):
    start_limit_s, stop_limit_s = 180, 60

    def __init__(self, place, **options):
        self.data = place.data
        super().__init__(place.contender.name, place.command(), place.port, os.path.join(place.folder, "log"),
                         **options)

    def is_ready(self):
        return kafka_client.is_ready(self.port)

    def segments(self, topic, partition=0):
        folder = os.path.join(self.data, f"{topic}-{partition}")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".log"))

    def create_topic(self, topic, partitions=1, **settings):
        kafka_client.create_topic(self.port, topic, partitions, **settings)

    def delete_topic(self, topic):
        """And wait until its files are gone."""
        kafka_client.delete_topic(self.port, topic)
        deadline = time.monotonic() + 60
        while any(name.startswith((topic + "-", topic + ".")) for name in os.listdir(self.data)):
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} keeps the files of {topic}")
            time.sleep(0.02)


class Place:
    """A folder and a port for one broker, which may be started there again and again."""

    def __init__(self, contender, scratch, **settings):
        self.contender, self.settings, self.port = contender, settings, free_port()
        self.folder = scratch.new_path("broker")
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.data)
        contender.prepare(self.folder, self.port, settings)

    def command(self):
        return self.contender.command(self.folder, self.port, self.settings)

    def start(self, stack, **options):
        """Ended with the stack."""
        return stack.enter_context(Broker(self, **options))

    def remove(self):
        shutil.rmtree(self.folder)
