"""Apache Kafka's own classes, from Maven Central, kept in build/interop."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "build" / "interop"


@functools.cache
def jars(version="3.9.1"):
    """The class path; skips the test where there is no Java, no Maven or no network."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    folder = KEPT / version
    if not (folder / "complete").exists():
        ran = subprocess.run(["mvn", "-q", "-B", "-f", Path(__file__).with_name("pom.xml"), f"-Dkafka={version}",
                              "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
                             timeout=500, check=False, capture_output=True, text=True)
        if ran.returncode != 0:
            pytest.skip("Maven can't get Apache Kafka: " + (ran.stdout + ran.stderr).strip().split("\n")[0])
        (folder / "complete").touch()
    return f"{folder}/*"


def run(main_class, *arguments, version="3.9.1", timeout=120, check=True):
    """What the class prints."""
    ran = subprocess.run(["java", "-cp", jars(version), main_class, *map(str, arguments)], timeout=timeout,
                         check=False, capture_output=True, text=True)
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr
