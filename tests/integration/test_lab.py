"""leat lab: the invariants of the table, and that bad input and Ctrl-C end well. No timings."""

import json
import os
import signal
import time

import pytest

from support import TIMEOUT, as_nobody, run, started

FIGURES = ["syscalls_per_mib", "mode_switches_per_mib", "sender_copies_per_byte", "sender_user_copies_per_byte",
           "sender_kernel_copies_per_byte", "receiver_copies_per_byte", "by_reference_per_byte", "sender_cpu_s_per_gb",
           "receiver_cpu_s_per_gb", "gb_per_s"]
VETH = ["veth", "veth-gso-off", "veth-sg-off"]
LAB_TIMEOUT = 3 * TIMEOUT  # a quick run takes 20 s on an idle machine


def lab(leat, *arguments, **options):
    return run([leat, "lab", "--quick", *arguments], timeout=LAB_TIMEOUT, **options)


@pytest.fixture(scope="module")
def report(leat, tmp_path_factory):
    """One quick run of everything, one size."""
    ran = lab(leat, "--json", "--size", "64k", cwd=tmp_path_factory.mktemp("lab"))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def rows(report, **wanted):
    return [row for row in report["rows"] if all(row[key] == value for key, value in wanted.items())]


def row(report, **wanted):
    found = rows(report, **wanted)
    if not found and wanted.get("transport") in VETH:
        pytest.skip("no network namespaces here: " + "; ".join(report["left_out"]))
    assert len(found) == 1, (wanted, report["left_out"])
    return found[0]


def median(row, figure):
    return row[figure]["median"]


def test_a_row_has_every_figure_as_median_and_spread(report):
    assert {"kernel", "machine", "rows", "verdicts", "crossover"} <= set(report)
    assert len(report["rows"]) >= 8
    for each in report["rows"]:
        assert {"technique", "transport", "source", "size", "rounds", "mutation_proof", "measured_by"} <= set(each)
        assert each["measured_by"] in ("copystat", "engine")
        assert each["rounds"] >= 2
        for figure in FIGURES:
            low, high = each[figure]["spread"]
            assert low <= median(each, figure) <= high, (each["technique"], figure)


@pytest.mark.parametrize("transport", ["tcp", "unix", *VETH])
def test_read_and_write_copy_twice(report, transport):
    each = row(report, transport=transport, technique="copy", source="cached")
    assert median(each, "sender_user_copies_per_byte") == pytest.approx(2, abs=0.05)
    assert median(each, "by_reference_per_byte") == pytest.approx(0, abs=0.05)
    assert each["mutation_proof"] == "copied"


@pytest.mark.parametrize("transport", ["tcp", "unix", *VETH])
def test_mmap_copies_once(report, transport):
    each = row(report, transport=transport, technique="mmap", source="cached")
    assert median(each, "sender_user_copies_per_byte") == pytest.approx(1, abs=0.05)
    assert each["mutation_proof"] == "copied"


@pytest.mark.parametrize("technique", ["sendfile", "splice", "tee", "vmsplice"])
@pytest.mark.parametrize("transport", ["tcp", "unix", "veth", "veth-gso-off"])
def test_by_reference_the_cpu_copies_nothing(report, transport, technique):
    each = row(report, transport=transport, technique=technique, source="cached")
    if each["mutation_proof"] == "copied":
        pytest.skip("this kernel turns it into a copy")
    assert each["mutation_proof"] == "by-reference"
    assert median(each, "sender_copies_per_byte") == pytest.approx(0, abs=0.05)
    assert median(each, "by_reference_per_byte") == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("technique", ["sendfile", "splice", "tee", "vmsplice", "zerocopy"])
def test_without_scatter_gather_the_kernel_copies(report, technique):
    each = row(report, transport="veth-sg-off", technique=technique, source="cached")
    assert median(each, "sender_kernel_copies_per_byte") == pytest.approx(1, abs=0.05)
    assert median(each, "by_reference_per_byte") == pytest.approx(0, abs=0.05)
    assert each["mutation_proof"] == "copied"


def test_the_receiver_copies_once(report):
    for each in report["rows"]:
        assert median(each, "receiver_copies_per_byte") == pytest.approx(1, abs=0.05)


def test_sendfile_needs_half_the_calls_of_read_and_write(report):
    copy, sendfile = (row(report, transport="tcp", technique=name, source="cached") for name in ("copy", "sendfile"))
    assert median(copy, "syscalls_per_mib") >= 2 * 16
    assert 16 <= median(sendfile, "syscalls_per_mib") < 24
    assert median(copy, "mode_switches_per_mib") == pytest.approx(2 * median(copy, "syscalls_per_mib"))


def test_only_what_is_asked_for_is_measured(leat, tmp_path):
    ran = lab(leat, "--json", "--only", "copy,splice", "--transport", "tcp,unix", "--size", "4k,8192", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["rows"]
    assert {each["technique"] for each in found} == {"copy", "splice"}
    assert {each["transport"] for each in found} == {"tcp", "unix"}
    assert {each["size"] for each in found} == {4096, 8192}


def test_the_table_names_what_it_shows(leat, tmp_path):
    ran = lab(leat, "--only", "copy,sendfile", "--transport", "unix", "--size", "64k", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    text = ran.stdout.decode()
    assert "UNIX socket" in text and "sendfile" in text and "64.0 KiB" in text


@pytest.mark.parametrize("arguments, complaint", [
    (["--only", "teleport"], "there is no technique 'teleport'"),
    (["--only", "copy,"], "there is no technique ''"),
    (["--only", "range-copy"], "'range-copy' does not move a file to a socket"),
    (["--transport", "pigeon"], "there is no transport 'pigeon'"),
    (["--size", "0"], "--size '0'"),
    (["--size", "5T"], "--size '5T'"),
    (["--size", "1k,many"], "--size 'many'"),
    (["extra"], "'extra': there is nothing to name"),
    (["--fast"], "there is no option --fast"),
])
def test_bad_input_is_one_line_and_exit_2(leat, arguments, complaint):
    ran = run([leat, "lab", *arguments])
    assert ran.returncode == 2
    assert complaint in ran.stderr and ran.stderr.count("\n") == 1
    assert ran.stdout == b""


def test_ctrl_c_prints_what_there_is_and_leaves_nothing(leat, tmp_path):
    with started([leat, "lab", "--json", "--transport", "unix,tcp"], cwd=tmp_path, start_new_session=True) as process:
        for line in process.stderr:
            if b"TCP" in line or b"64.0 KiB" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 128 + signal.SIGINT
        found = json.loads(out)
        assert found["interrupted"] is True
        deadline = time.monotonic() + TIMEOUT
        while True:  # the workers are in the same session
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            assert time.monotonic() < deadline, "a worker is left"
            time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_without_privileges_it_does_what_it_can(leat, tmp_path):
    tmp_path.chmod(0o777)
    ran = lab(leat, "--json", "--only", "copy,sendfile", "--size", "64k", cwd=tmp_path, preexec_fn=as_nobody)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert {"tcp", "unix"} <= {each["transport"] for each in found["rows"]}
    measured = {each["transport"] for each in found["rows"]}
    for transport in VETH:
        assert transport in measured or any(transport in line for line in found["left_out"])


def test_a_folder_that_takes_no_file_is_named_and_memory_serves(leat, tmp_path):
    if os.getuid() == 0:
        where = "/proc"  # where root can't write either
    else:
        where = tmp_path
        where.chmod(0o555)
    ran = lab(leat, "--json", "--only", "copy", "--transport", "unix", "--size", "4k", cwd=where)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["rows"] and any("the current folder takes no file" in line for line in found["left_out"])
