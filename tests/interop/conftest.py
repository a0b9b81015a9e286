"""What the scripts here share: leat as a broker, as the integration tests start it."""

import os
import sys
from pathlib import Path

import apache
import pytest
from test_dump_log import BUILD, build

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from kafka_server import Broker  # noqa: E402 (it is found by the line above)


@pytest.fixture(scope="session")
def leat():
    """Path of the program under test: $LEAT, or built here."""
    if "LEAT" in os.environ:
        return Path(os.environ["LEAT"]).resolve()
    build("leat")
    return BUILD / "leat"


@pytest.fixture
def start_broker(leat, tmp_path):
    """Starts brokers over one directory; each must end well."""
    brokers = []

    def begin(*arguments):
        brokers.append(Broker(leat, tmp_path / "data", *arguments))
        return brokers[-1]

    yield begin
    for broker in brokers:
        code = broker.end()
        assert "Sanitizer" not in broker.log() and "runtime error" not in broker.log(), broker.log()
        assert code == 0, broker.log()


@pytest.fixture
def broker(start_broker):
    return start_broker("-o", "num.partitions=2")


@pytest.fixture(params=apache.VERSIONS)
def tools(request, broker):
    """Apache Kafka's tools, of each version in turn."""
    apache.jars(request.param)
    return apache.Tools(request.param, broker)
