"""Apache Kafka as a program: its classes from Maven Central, kept in build/interop, and a broker of them. Used by the
tests here and by bench/."""

import functools
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "build" / "interop"
CLUSTER_ID = "eQCdAexjTYWqIINzNzvaZA"

# One node, broker and controller in one.
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{control}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


class Missing(Exception):
    """It can't be had here; the text says why."""


@functools.cache
def jars(version="3.9.1"):
    """The class path."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed")
    folder = KEPT / f"apache-kafka-{version}"
    if not (folder / "complete").exists():
        ran = subprocess.run(["mvn", "-q", "-B", "-f", Path(__file__).with_name("pom.xml"), f"-Dkafka={version}",
                              "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
                             timeout=500, check=False, capture_output=True, text=True)
        if ran.returncode != 0:
            raise Missing("Maven can't get Apache Kafka: " + (ran.stdout + ran.stderr).strip().split("\n")[0])
        (folder / "complete").touch()
    return f"{folder}/*"


def write_properties(path, port, control, data, **settings):
    """`settings` by their names, with _ for each dot."""
    lines = [f"{name.replace('_', '.')}={value}" for name, value in settings.items()]
    Path(path).write_text(PROPERTIES.format(port=port, control=control, data=data) + "\n".join(lines) + "\n")


def command(main_class, *arguments, version="3.9.1", options=()):
    """`options` are Java's."""
    return ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *options, "-cp", jars(version), main_class,
            *map(str, arguments)]


def format_command(properties, version="3.9.1"):
    """Before the first start of a broker."""
    return command("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties, version=version)


def broker_command(properties, version="3.9.1", options=()):
    return command("kafka.Kafka", properties, version=version, options=options)
