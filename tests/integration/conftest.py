"""What the integration tests share: the program under test, and servers of it.

`LEAT` names it (tools/check runs everything twice, with the release and with the ASan build); by
hand it is build/leat. A test whose claim only holds for the release (memory, start-up time) is
marked `@pytest.mark.release_only`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from http_client import Server
from kafka_server import Broker

ROOT = Path(__file__).resolve().parent.parent.parent


def pytest_configure(config):
    config.addinivalue_line("markers", "release_only: not for sanitizer builds")


@pytest.fixture(scope="session")
def leat():
    """Path of the program under test."""
    path = Path(os.environ.get("LEAT", ROOT / "build" / "leat")).resolve()
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return path


@pytest.fixture
def root(tmp_path):
    """The directory that `serve` serves."""
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def serve(leat, root):
    """Starts servers of `root`; each must end well."""
    servers = []

    def start(*arguments, **options):
        servers.append(Server(leat, root, *arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0, server.log()
        assert "ERROR: " not in server.log() and "runtime error" not in server.log(), server.log()


@pytest.fixture
def server(serve):
    return serve("--threads", "2")


@pytest.fixture
def as_root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    # pytest's folders are for their owner only.
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)


@pytest.fixture
def chromium(tmp_path):
    """Starts a browser without a window; what it prints is in the result."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("chromium is not installed")

    def start(*arguments):
        return subprocess.run(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path / 'profile'}", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180, check=False,
        )  # fmt: skip

    return start


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
