"""What the integration tests share: the program under test, and servers of it.

`LEAT` names it (tools/check runs everything twice, with the release and with the ASan build); by
hand it is build/leat. A test whose claim only holds for the release (memory, start-up time) is
marked `@pytest.mark.release_only`.
"""

import os
from pathlib import Path

import pytest
from http_client import Server

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
