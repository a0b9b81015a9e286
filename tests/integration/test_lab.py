"""leat lab: the invariants of the table, and that bad input and Ctrl-C end well. No timings."""

import json
import os
import shutil
import signal
import struct
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from support import TIMEOUT, Receiver, as_nobody, run, started

FIGURES = ["syscalls_per_mib", "mode_switches_per_mib", "sender_copies_per_byte", "sender_user_copies_per_byte",
           "sender_kernel_copies_per_byte", "receiver_copies_per_byte", "by_reference_per_byte", "sender_cpu_s_per_gb",
           "receiver_cpu_s_per_gb", "gb_per_s"]
VETH = ["veth", "veth-gso-off", "veth-sg-off"]
LAB_TIMEOUT = 3 * TIMEOUT  # a quick run takes 20 s on an idle machine


def lab(leat, *arguments, **options):
    return run([leat, "lab", "--quick", *arguments], timeout=LAB_TIMEOUT, **options)


@pytest.fixture(scope="module")
def quick_run(leat, tmp_path_factory):
    """One quick run of everything, one size: what it printed, and its page."""
    where = tmp_path_factory.mktemp("lab")
    ran = lab(leat, "--json", "--html", "report.html", "--size", "64k", cwd=where)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, where / "report.html"


@pytest.fixture(scope="module")
def report(quick_run):
    return json.loads(quick_run[0])


@pytest.fixture(scope="module")
def page(quick_run):
    return quick_run[1]


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
        assert each["rounds"] >= 1
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
    # Under a heavy load copystat loses a packet now and then.
    assert median(each, "sender_kernel_copies_per_byte") == pytest.approx(1, abs=0.15)
    assert median(each, "by_reference_per_byte") == pytest.approx(0, abs=0.15)
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
    assert "read + write                   4 (2 by the CPU)               2.00          4        4.0" in text


def test_markdown_has_the_classic_table(leat, tmp_path):
    ran = lab(leat, "--markdown", "--only", "copy", "--transport", "unix", "--size", "64k", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(b"# leat lab\n") and b"| read + write | 4 (2 by the CPU) | 2.00 | 4 | 4.0 |" in ran.stdout


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
        assert any("interrupted" in line for line in found["left_out"]), "the tables say it too"
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


def test_the_classic_table_has_a_verdict_for_each_claim(report):
    claims = {each["claim"]: each for each in report["verdicts"]}
    assert list(claims) == ["read + write", "mmap + write", "sendfile", "sendfile with scatter-gather", "splice"]
    for claim in ("read + write", "mmap + write"):
        assert claims[claim]["copies_hold"] is True
    assert claims["read + write"]["measured"]["cpu_copies"] == pytest.approx(2, abs=0.05)
    for each in claims.values():
        different = each["measured"] is None or not (each["copies_hold"] and each["switches_hold"])
        assert bool(each["sentence"]) == different, each


def test_the_crossover_has_points_and_a_threshold(report):
    sizes = [point["size"] for point in report["crossover"]["points"]]
    assert sizes == sorted(sizes) and len(sizes) >= 5
    assert sizes[0] <= report["crossover"]["copy_below"] <= sizes[-1] + 1


def used_loops():
    return {str(path.parent) for path in Path("/sys/block").glob("loop*/loop/backing_file") if "leat" in path.read_text()}


SOURCES = ["cold", "tmpfs", "overlay", "ext4", "xfs", "btrfs"]


@pytest.fixture(scope="module")
def other_files(leat, tmp_path_factory):
    mounts, loops = Path("/proc/self/mounts").read_text(), used_loops()
    ran = lab(leat, "--json", "--only", "copy,sendfile", "--transport", "unix", "--size", "64k", "--source",
              ",".join(SOURCES), cwd=tmp_path_factory.mktemp("files"))
    assert ran.returncode == 0, ran.stderr
    assert Path("/proc/self/mounts").read_text() == mounts
    assert used_loops() <= loops
    return json.loads(ran.stdout)


@pytest.mark.parametrize("source", SOURCES)
def test_files_of_other_file_systems_go_by_reference_too(other_files, source):
    left_out = [line for line in other_files["left_out"] if f"a file on {source}" in line]
    if left_out:
        pytest.skip(left_out[0])
    sendfile, copy = (row(other_files, technique=name, source=source) for name in ("sendfile", "copy"))
    assert median(copy, "sender_copies_per_byte") == pytest.approx(2, abs=0.05)
    if sendfile["mutation_proof"] == "by-reference":
        assert median(sendfile, "sender_copies_per_byte") == pytest.approx(0, abs=0.05)


def test_calibrate_writes_what_the_policy_then_uses(leat, tmp_path):
    path = tmp_path / "thresholds"
    env = {**os.environ, "LEAT_THRESHOLDS": str(path)}
    arguments = ["--only", "copy,sendfile", "--transport", "tcp", "--size", "4k", "--json"]
    ran = lab(leat, "--calibrate", *arguments, env=env, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    crossover = json.loads(ran.stdout)["crossover"]
    below = crossover["copy_below"]
    assert crossover["points"][-1]["size"] == 65536, "the crossover's sizes are not those of --size"
    assert f"copy_below {below}\n" in path.read_text() and str(path) in ran.stderr
    path.write_text("copy_below 100\n")
    source = tmp_path / "source"
    source.write_bytes(bytes(5000))
    for threshold, technique in ((100, "sendfile"), (6000, "copy")):
        path.write_text(f"copy_below {threshold}\n")
        receiver = Receiver(keep=False)
        ran = run([leat, "copy", "--json", source, f"tcp:127.0.0.1:{receiver.port}"], env=env)
        receiver.finish()
        receiver.close()
        assert json.loads(ran.stdout)["technique"] == technique


def test_calibrate_says_what_it_needs_and_where_it_may_not_write(leat, tmp_path):
    ran = lab(leat, "--calibrate", "--transport", "unix")
    assert ran.returncode == 2 and "--calibrate needs" in ran.stderr
    env = {**os.environ, "LEAT_THRESHOLDS": str(tmp_path / "no" / "thresholds")}
    ran = lab(leat, "--calibrate", "--only", "copy,sendfile", "--transport", "tcp", "--size", "64k", "--json", env=env,
              cwd=tmp_path)
    assert ran.returncode == 1 and "name a file of yours in LEAT_THRESHOLDS" in ran.stderr
    assert ran.stderr.count("\n") == 1 and not ran.stdout, "it is said before minutes are spent"


def test_a_thresholds_file_that_makes_no_sense_is_a_warning(leat, tmp_path):
    path = tmp_path / "thresholds"
    path.write_text("copy_below lots\n")
    ran = run([leat, "--version"], env={**os.environ, "LEAT_THRESHOLDS": str(path)})
    assert ran.returncode == 0
    assert "line 1 makes no sense" in ran.stderr and ran.stderr.count("\n") == 1


def test_the_page_is_whole_and_asks_nobody(page):
    text = page.read_text()
    assert "</html>" in text and "prefers-color-scheme:dark" in text
    for word in ("http:", "https:", "<script", "<link", "url("):
        assert word not in text
    for svg in text.split("<svg")[1:]:
        xml.fromstring("<svg" + svg.split("</svg>")[0] + "</svg>")


def test_a_browser_shows_the_page(page, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("no chromium here")
    shot = tmp_path / "shot.png"
    ran = run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars", "--window-size=1100,1600",
               f"--screenshot={shot}", page.as_uri()], timeout=LAB_TIMEOUT)
    assert shot.exists(), ran.stderr
    header = shot.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", header[16:]) == (1100, 1600)
    assert shot.stat().st_size > 20000  # an empty page is smaller


def test_a_page_that_cannot_be_written_is_said_at_once(leat, tmp_path):
    ran = run([leat, "lab", "--html", tmp_path / "no" / "report.html"])
    assert ran.returncode == 1
    assert "No such file or directory" in ran.stderr and ran.stderr.count("\n") == 1
