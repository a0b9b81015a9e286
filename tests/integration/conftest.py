"""What the integration tests share: the program under test.

`LEAT` names it (tools/check runs everything twice, with the release and with the ASan build); by
hand it is build/leat. A test whose claim only holds for the release (memory, start-up time) is
marked `@pytest.mark.release_only`.
"""

import os
from pathlib import Path

import pytest

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
