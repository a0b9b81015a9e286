"""Clients from npm, PyPI and the Go module proxy, pinned here and kept in build/interop."""

import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent.parent / "build" / "interop"
PYTHON_PACKAGES = ["confluent-kafka==2.16.1", "aiokafka==0.14.0", "cramjam==2.14.0"]


def attempt(what, *command, **options):
    """Skips the test where the command does not end well: there may be no network."""
    ran = subprocess.run([str(word) for word in command], timeout=500, check=False, capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, **options)
    if ran.returncode != 0:
        pytest.skip(f"{what}: " + " ".join((ran.stdout + ran.stderr).split())[-300:])


def kept(name, *wanted):
    """A folder of build/interop for what `wanted` says, and whether it is there already."""
    digest = hashlib.sha256(b"".join(text if isinstance(text, bytes) else text.encode() for text in wanted))
    folder = KEPT / f"{name}-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder, (folder / "complete").exists()


@functools.cache
def node():
    """A folder with node's packages and our scripts; its node is newer than that of Debian."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder, complete = kept("node", (HERE / "node" / "package.json").read_bytes())
    shutil.copytree(HERE / "node", folder, dirs_exist_ok=True)
    if not complete:
        attempt("npm can't get the packages", "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
        (folder / "complete").touch()
    return folder


@functools.cache
def python():
    """An interpreter with newer clients than Debian has."""
    folder, complete = kept("python", *PYTHON_PACKAGES)
    if not complete:
        attempt("a virtual environment can't be made", "/usr/bin/python3", "-m", "venv", folder)
        attempt("pip can't get the packages", folder / "bin" / "pip", "install", "-q", *PYTHON_PACKAGES)
        (folder / "complete").touch()
    return folder / "bin" / "python"


@functools.cache
def go():
    """The program of tests/interop/go, built."""
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    sources = sorted((HERE / "go").iterdir())
    folder, complete = kept("go", *(source.read_bytes() for source in sources))
    if not complete:
        attempt("go can't get the modules or build", "go", "build", "-o", folder / "clients", ".", cwd=HERE / "go")
        (folder / "complete").touch()
    return folder / "clients"
