"""Apache Kafka for tests: what can't be had skips them."""

import subprocess

import apache_kafka
import pytest

ROOT = apache_kafka.ROOT


def jars(version="3.9.1"):
    """The class path; skips the test where there is no Java, no Maven or no network."""
    try:
        return apache_kafka.jars(version)
    except apache_kafka.Missing as missing:
        pytest.skip(str(missing))


def run(main_class, *arguments, version="3.9.1", timeout=120, check=True):
    """What the class prints."""
    jars(version)
    ran = subprocess.run(apache_kafka.command(main_class, *arguments, version=version), timeout=timeout, check=False,
                         capture_output=True, text=True)
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr
