"""kafka-dump-log of Apache Kafka reads every file that the store writes, without a complaint."""

import re
import subprocess

import apache
import pytest

BUILD = apache.ROOT / "build" / "interop" / "leat"


def build(target):
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", "-Dtests=true", "-Db_lto=false", BUILD, apache.ROOT], check=True,
                       capture_output=True, timeout=120)
    subprocess.run(["ninja", "-C", BUILD, target], check=True, capture_output=True, timeout=500)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    apache.jars()
    build("tests/interop/write_store")
    folder = tmp_path_factory.mktemp("store")
    subprocess.run([BUILD / "tests" / "interop" / "write_store", folder], check=True, timeout=60)
    return folder


def dump(files, *options):
    out = apache.run("kafka.tools.DumpLogSegments", *options, "--files", ",".join(str(file) for file in files))
    for complaint in ("Found timestamp mismatch", "Mismatches in", "Found out of order", "Non-consecutive", "Exception",
                      "isvalid: false", "Could not find", "not found", "No such", "corrupt", "Invalid"):
        assert complaint not in out, out[:4000]
    return out


def test_segments(store):
    for folder in sorted(store.glob("*-?")):
        logs = sorted(folder.glob("*.log"))
        out = dump(logs, "--deep-iteration")
        offsets = [int(found) for found in re.findall(r"^\| offset: (\d+)", out, re.M)]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        assert len(offsets) > 5
    assert len(list(store.glob("orders-0/*.log"))) > 4


def test_indexes(store):
    indexes = sorted([*store.glob("*/*.index"), *store.glob("*/*.timeindex")])
    assert len(indexes) > 10
    dump(indexes)
    # Entry by entry against the log: each of its sanity check's complaints is an exception.
    dump([file for file in indexes if file.suffix == ".index"], "--index-sanity-check")


def test_producer_snapshots(store):
    snapshots = sorted(store.glob("*/*.snapshot"))
    assert len(snapshots) > 4
    out = dump(snapshots)
    assert out.count("producerId: 1000") == len(snapshots)
