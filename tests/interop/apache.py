"""Apache Kafka for tests: its clients and tools. What can't be had skips the test."""

import contextlib
import subprocess
import threading
import time

import apache_kafka
import pytest

ROOT = apache_kafka.ROOT
VERSIONS = ["3.9.1", "4.4.0"]

# The scripts of Apache Kafka's bin folder: the class each starts. Some have moved since 3.9.
TOOLS = "org.apache.kafka.tools."
CLASSES = {
    "kafka-acls": TOOLS + "AclCommand",
    "kafka-broker-api-versions": TOOLS + "BrokerApiVersionsCommand",
    "kafka-client-metrics": TOOLS + "ClientMetricsCommand",
    "kafka-cluster": TOOLS + "ClusterTool",
    "kafka-configs": TOOLS + "ConfigCommand",
    "kafka-console-consumer": TOOLS + "consumer.ConsoleConsumer",
    "kafka-console-producer": TOOLS + "ConsoleProducer",
    "kafka-console-share-consumer": TOOLS + "consumer.ConsoleShareConsumer",
    "kafka-consumer-groups": TOOLS + "consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": TOOLS + "ConsumerPerformance",
    "kafka-delete-records": TOOLS + "DeleteRecordsCommand",
    "kafka-e2e-latency": TOOLS + "EndToEndLatency",
    "kafka-features": TOOLS + "FeatureCommand",
    "kafka-get-offsets": TOOLS + "GetOffsetShell",
    "kafka-groups": TOOLS + "GroupsCommand",
    "kafka-leader-election": TOOLS + "LeaderElectionCommand",
    "kafka-log-dirs": TOOLS + "LogDirsCommand",
    "kafka-metadata-quorum": TOOLS + "MetadataQuorumCommand",
    "kafka-producer-perf-test": TOOLS + "ProducerPerformance",
    "kafka-reassign-partitions": TOOLS + "reassign.ReassignPartitionsCommand",
    "kafka-topics": TOOLS + "TopicCommand",
    "kafka-transactions": TOOLS + "TransactionsCommand",
    "kafka-verifiable-consumer": TOOLS + "VerifiableConsumer",
    "kafka-verifiable-producer": TOOLS + "VerifiableProducer",
}
CLASSES_3 = {
    "kafka-acls": "kafka.admin.AclCommand",
    "kafka-broker-api-versions": "kafka.admin.BrokerApiVersionsCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-producer": "kafka.tools.ConsoleProducer",
    "kafka-e2e-latency": "kafka.tools.EndToEndLatency",
}
# These are for minutes of work: what takes the time is the start of the machine.
JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]


def jars(version=VERSIONS[0]):
    """The class path; skips the test where there is no Java, no Maven or no network."""
    try:
        return apache_kafka.jars(version)
    except apache_kafka.Missing as missing:
        pytest.skip(str(missing))


def run(main_class, *arguments, version=VERSIONS[0], timeout=120, check=True, stdin=""):
    """What the class prints."""
    jars(version)
    ran = subprocess.run(apache_kafka.command(main_class, *arguments, version=version, options=JAVA), timeout=timeout,
                         check=False, capture_output=True, text=True, input=stdin)
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


class Running:
    """A tool that runs beside the test; `lines` grows as it prints."""

    def __init__(self, command):
        self.lines = []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, timeout=120):
        """The exit code, once everything it printed is in `lines`."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code


class Tools:
    """Apache Kafka's tools of one version, talking to one broker."""

    def __init__(self, version, broker):
        self.version, self.broker = version, broker

    def name(self, script):
        old = CLASSES_3 if self.version.startswith("3") else {}
        return old.get(script, CLASSES[script])

    def __call__(self, script, *arguments, server="--bootstrap-server", **options):
        """What the script prints; `server`: the option that names the broker, or None."""
        if server:
            arguments = (server, self.broker.address, *arguments)
        return run(self.name(script), *arguments, version=self.version, **options)

    def to(self, script, command, *arguments, **options):
        """Of a script whose first word is a command, before the options."""
        return self(script, command, "--bootstrap-server", self.broker.address, *arguments, server=None, **options)

    def fails(self, script, *arguments, **options):
        """The same, of one that must end soon and not well."""
        start = time.monotonic()
        with pytest.raises(AssertionError) as failed:
            self(script, *arguments, timeout=60, **options)
        assert time.monotonic() - start < 60
        return str(failed.value)

    @contextlib.contextmanager
    def started(self, script, *arguments):
        running = Running(apache_kafka.command(self.name(script), "--bootstrap-server", self.broker.address, *arguments,
                                               version=self.version, options=JAVA))
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait()
            running.process.stdout.close()
