"""`make install`: what it puts where, and that other programs can use it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.release_only


def run(*command, **options):
    """Its output; a failure shows everything it said."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def stage(leat, tmp_path_factory):
    """A folder with everything installed below it."""
    if not (leat.parent / "build.ninja").exists():
        pytest.skip("the program under test is not in its build folder")
    stage = tmp_path_factory.mktemp("stage")
    run("meson", "install", "-C", leat.parent, "--no-rebuild", env={**os.environ, "DESTDIR": str(stage)})
    return stage


@pytest.fixture(scope="module")
def libdir(stage):
    found = list(stage.glob("**/libleat.so"))
    assert len(found) == 1
    return found[0].parent


def pkg_config(stage, libdir, *what):
    env = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(stage), "PKG_CONFIG_PATH": str(libdir / "pkgconfig")}
    return run("pkg-config", *what, "leat", env=env).split()


def test_everything_is_there(stage):
    names = {path.name for path in stage.rglob("*") if not path.is_dir()}
    assert {"leat", "leat.h", "libleat.a", "libleat.so", "leat.pc", "leat.service", "leat.socket",
            "leat-kafka.service", "leat.1", "leat-http.1", "leat-kafka.1", "leat-relay.1", "leat-run.1", "leat-copy.1",
            "leat-kafka.conf.5", "libleat.3"} <= names


def test_nothing_in_it_names_the_build_folder(stage):
    for path in [*stage.rglob("*.pc"), *stage.rglob("*.service"), *stage.rglob("*.h")]:
        assert str(ROOT) not in path.read_text(), path


def test_the_library_shows_only_its_own_names(libdir):
    symbols = run("nm", "-D", "--defined-only", libdir / "libleat.so").split("\n")
    names = {line.split()[-1] for line in symbols if line}
    assert "leat_transfer@@LEAT_0" in names
    # The version itself is a symbol, too.
    assert not {name for name in names - {"LEAT_0"} if not re.fullmatch(r"leat_\w+@@LEAT_0", name)}


@pytest.mark.parametrize("compiler", ["gcc", "clang-14"])
@pytest.mark.parametrize("kind", ["shared", "static"])
def test_another_program_can_use_it(stage, libdir, tmp_path, compiler, kind):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    cflags = pkg_config(stage, libdir, "--cflags")
    if kind == "shared":
        libs = pkg_config(stage, libdir, "--libs")
    else:
        private = [word for word in pkg_config(stage, libdir, "--static", "--libs") if word != "-lleat"]
        libs = [libdir / "libleat.a", *private]
    program = tmp_path / "copy"
    run(compiler, "-Wall", "-Werror", *cflags, ROOT / "tests/examples/copy.c", "-o", program, *libs)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(100_000))
    run(program, source, target, env={**os.environ, "LD_LIBRARY_PATH": str(libdir)})
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("language", ["c99", "c17", "c++11", "c++20"])
def test_the_header_and_its_initializers_bring_no_warning(stage, tmp_path, language):
    source = tmp_path / "use.c"
    source.write_text("#include <leat/leat.h>\n"
                      "int main(void)\n{\n"
                      "\tstruct leat_options options = LEAT_OPTIONS_INIT;\n"
                      "\tstruct leat_report report = LEAT_REPORT_INIT;\n"
                      "\treturn options.size == 0 || report.size == 0;\n}\n")
    include = next(stage.rglob("leat/leat.h")).parent.parent
    if not shutil.which("clang-14"):
        pytest.skip("no clang-14 here")
    run("clang-14", "-x", "c++" if "++" in language else "c", f"-std={language}", "-Wall", "-Wextra", "-Wpedantic",
        "-Werror", f"-I{include}", "-fsyntax-only", source)


@pytest.mark.parametrize("page", ["man1/leat.1", "man1/leat-copy.1", "man1/leat-http.1", "man1/leat-kafka.1",
                                  "man1/leat-run.1"])
def test_a_manual_page_names_every_option_of_its_command(stage, leat, page):
    """What --help lists and the page does not is a page that was forgotten."""
    command = re.findall(r"leat-(\w+)", page)
    text = run(leat, *command, "--help")
    options = {word.strip("[,.]`'") for word in text.split() if word.startswith("--")} - {"--help", "--"}
    manual = next(stage.glob(f"**/{page}")).read_text()
    missing = {option for option in options if f"Fl Fl {option[2:]}" not in manual}
    assert not missing
