"""leat http serves what the name of its directory means now, and not what it meant at the start."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from http_client import Server
from inside import need_confinement
from support import TIMEOUT, run


@pytest.fixture
def dist(tmp_path):
    folder = tmp_path / "app" / "dist"
    folder.mkdir(parents=True)
    build(folder, "one")
    return folder


def build(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "a").write_text(text)
    (folder / "sub" / "b").write_text(text * 20_000)


def remove_and_make(dist):
    shutil.rmtree(dist)
    build(dist, "two")


def rename_over(dist):
    build(dist.with_name("new"), "two")
    dist.rename(dist.with_name("old"))
    dist.with_name("new").rename(dist)


def served(server):
    with server.connect() as client:
        names = sorted(entry for entry in (b"a", b"sub") if entry in client.get("/").body)
        assert names == [b"a", b"sub"]
        return client.get("/a").body.decode(), client.get("/sub/b").body.decode()[:3]


def eventually(check, what):
    deadline = time.monotonic() + TIMEOUT
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.parametrize("replace", [remove_and_make, rename_over])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("arguments", [(), ("--no-sandbox",)])
def test_a_folder_made_anew_is_served(leat, dist, replace, warm, arguments):
    server = Server(leat, dist, "--threads", "2", *arguments)
    try:
        if warm:
            for _ in range(4):
                assert served(server) == ("one", "one")
        replace(dist)
        assert served(server) == ("two", "two")
        assert "another directory now" in server.log()
    finally:
        assert server.stop() == 0


def test_a_link_that_is_pointed_elsewhere_is_followed(leat, tmp_path):
    releases = tmp_path / "app" / "releases"
    releases.mkdir(parents=True)
    for name, text in (("1", "one"), ("2", "two")):
        build(releases / name, text)
    current = tmp_path / "app" / "current"
    current.symlink_to(releases / "1")
    server = Server(leat, current, "--threads", "2")
    try:
        assert served(server) == ("one", "one")
        (tmp_path / "app" / "next").symlink_to("releases/2")
        (tmp_path / "app" / "next").rename(current)
        # Nothing tells of it: what is in memory is compared once a second.
        eventually(lambda: served(server) == ("two", "two"), "the new release")
    finally:
        assert server.stop() == 0


def test_a_file_system_mounted_over_it_is_served(leat, dist):
    server = Server(leat, dist, "--no-sandbox")
    try:
        assert served(server) == ("one", "one")
        if run(["mount", "-t", "tmpfs", "tmpfs", dist]).returncode:
            pytest.skip("can't mount a tmpfs here")
        try:
            build(dist, "two")
            eventually(lambda: served(server) == ("two", "two"), "what was mounted")
        finally:
            run(["umount", "-l", dist])
        eventually(lambda: served(server) == ("one", "one"), "what was there before")
    finally:
        assert server.stop() == 0


def test_while_it_is_missing_the_answer_is_503_and_the_log_says_why(leat, dist):
    server = Server(leat, dist, "--threads", "2")
    try:
        assert served(server) == ("one", "one")
        shutil.rmtree(dist)
        for path in ("/a", "/", "/sub/b", "/missing"):
            response = server.get(path)
            assert (response.status, response["retry-after"]) == (503, "5"), path
        assert f"{dist}: No such file or directory: answering 503" in server.log()
        assert server.log().count("answering 503") == 1
        build(dist, "two")
        assert served(server) == ("two", "two")
    finally:
        assert server.stop() == 0


def test_a_relative_name_means_what_it_meant_from_there(leat, dist):
    with open(dist.parent / "log", "wb") as log:
        process = subprocess.Popen([str(leat), "http", "--listen", f"unix:{dist.parent}/socket", "."], cwd=dist,
                                   stdout=log, stderr=log)
    curl = ["curl", "-sS", "--unix-socket", dist.parent / "socket", "http://x/a"]
    try:
        eventually((dist.parent / "socket").exists, "it listens")
        eventually(lambda: run(curl).stdout == b"one", "it serves")
        remove_and_make(dist)
        assert run(curl).stdout == b"two"
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_what_the_sandbox_does_not_allow_is_said(leat, dist):
    """The folder above has too much in it to be allowed as a whole: here it is a home."""
    server = Server(leat, dist, env=dict(os.environ, HOME=str(dist.parent)))
    try:
        need_confinement(server)
        assert served(server) == ("one", "one")
        remove_and_make(dist)
        assert server.get("/a").status == 503
        assert "the sandbox does not allow" in server.log()
        assert f"opens only what is below {dist}\n" in server.log()
    finally:
        assert server.stop() == 0


def test_many_replacements_under_load_never_mix_nor_fail_for_long(leat, dist):
    server = Server(leat, dist, "--threads", "2")
    try:
        for i in range(30):
            build(Path(f"{dist}.new"), f"{i:03}")
            dist.rename(f"{dist}.old{i}")
            Path(f"{dist}.new").rename(dist)
            assert server.get("/sub/b").body.decode()[:3] in (f"{i:03}", f"{i - 1:03}")
            eventually(lambda i=i: server.get("/a").body.decode() == f"{i:03}", "the new one")
    finally:
        assert server.stop() == 0


# ---- symbolic links ----


@pytest.fixture
def linked(tmp_path):
    """An application as deploy tools lay it out: links with absolute targets, and some that lead out."""
    app = tmp_path / "app"
    public = app / "releases" / "1" / "public"
    public.mkdir(parents=True)
    (app / "shared" / "uploads").mkdir(parents=True)
    (app / "shared" / "uploads" / "u").write_text("upload")
    (public / "real").mkdir()
    (public / "real" / "f").write_text("inside")
    (public / "absolute").symlink_to(public / "real" / "f")
    (public / "folder").symlink_to(public / "real")
    (public / "round").symlink_to("../public/real/f")
    (public / "through").symlink_to(app / "current" / "absolute")
    (public / "uploads").symlink_to(app / "shared" / "uploads")
    (public / "out").symlink_to("../../../shared/uploads/u")
    (public / "passwd").symlink_to("/etc/passwd")
    (public / "proc").symlink_to("/proc/self/root")
    (public / "near").symlink_to(f"{public}-other")
    Path(f"{public}-other").write_text("another folder whose name begins alike")
    (public / "first").symlink_to(public / "second")
    (public / "second").symlink_to(public / "first")
    (app / "current").symlink_to(public)
    return app


INSIDE = ["/real/f", "/absolute", "/round", "/folder/f", "/through"]
OUTSIDE = ["/uploads/u", "/out"]
NEVER = ["/passwd", "/proc/etc/passwd", "/near", "/first"]


@pytest.mark.parametrize("name", ["current", "releases/1/public"])
def test_links_that_lead_back_in_are_followed_and_others_are_not(leat, linked, name):
    server = Server(leat, linked / name, "--threads", "2")
    try:
        with server.connect() as client:
            for _ in range(3):
                for path in INSIDE:
                    assert client.get(path).body == b"inside", path
                for path in OUTSIDE + NEVER:
                    assert client.get(path).status == 404, path
            listing = client.get("/").body
            assert b"absolute" in listing and b"uploads" not in listing and b"passwd" not in listing
            assert b'"f"' in client.get("/folder/", Accept="application/json").body
        assert f"a symbolic link leads to {linked}/shared/uploads/u, out of the folder" in server.log()
    finally:
        assert server.stop() == 0


def test_links_may_lead_into_further_folders(leat, linked):
    server = Server(leat, linked / "current", "--follow-symlinks", str(linked / "shared"))
    try:
        need = "confined by Landlock" in server.log()
        with server.connect() as client:
            for _ in range(3):
                for path in INSIDE:
                    assert client.get(path).body == b"inside", path
                for path in OUTSIDE:
                    assert client.get(path).body == b"upload", path
                for path in NEVER:
                    assert client.get(path).status == 404, path
            assert b"uploads/" in client.get("/").body
            # A change of what it leads to is seen at the next request.
            (linked / "shared" / "uploads" / "u").write_text("changed")
            assert client.get("/uploads/u").body == b"changed"
        assert not need or f"{linked}/shared" in server.log()
    finally:
        assert server.stop() == 0


def test_links_may_lead_anywhere_when_asked_for(leat, linked):
    server = Server(leat, linked / "current", "--follow-symlinks", "/")
    try:
        assert server.get("/passwd").body == Path("/etc/passwd").read_bytes()
        assert server.get("/first").status == 404
    finally:
        assert server.stop() == 0


def test_a_link_that_comes_to_lead_out_is_refused(leat, linked):
    server = Server(leat, linked / "current", "--threads", "2")
    link, outside = linked / "current" / "absolute", linked / "shared" / "uploads" / "u"
    try:
        for i in range(10):
            assert server.get("/absolute").body == b"inside", i
            link.unlink()
            link.symlink_to(outside)
            assert server.get("/absolute").status == 404, i
            link.unlink()
            link.symlink_to(linked / "current" / "real" / "f")
        # The folder is moved out, and the link follows it: the file itself has not changed.
        (linked / "current" / "folder").unlink()
        (linked / "current" / "moved").symlink_to(linked / "current" / "real")
        assert server.get("/moved/f").body == b"inside"
        (linked / "current" / "real").rename(linked / "shared" / "real")
        (linked / "current" / "new").symlink_to(linked / "shared" / "real")
        (linked / "current" / "new").rename(linked / "current" / "moved")
        eventually(lambda: server.get("/moved/f").status == 404, "the link leads out")
    finally:
        assert server.stop() == 0


def test_both_options_about_links_contradict(leat, linked):
    ran = run([leat, "http", "--no-symlinks", "--follow-symlinks", "/", linked])
    assert ran.returncode != 0 and "--follow-symlinks" in ran.stderr


# ---- leases ----


def lease(path, give_up):
    """Another program's write lease, as Samba takes one; given up when it is asked for, if at all."""
    fd = os.open(path, os.O_RDWR)

    def asked(*_):
        if give_up:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    before = signal.signal(signal.SIGIO, asked)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        pytest.skip(f"no lease here: {error}")
    return fd, before


@pytest.mark.parametrize("give_up", [True, False])
def test_a_leased_file_is_waited_for_a_moment(leat, dist, give_up):
    server = Server(leat, dist)
    fd, before = lease(dist / "a", give_up)
    try:
        response = server.get("/a")
        assert response.status == (200 if give_up else 503)
        assert server.get("/sub/b").status == 200
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, before)
        assert server.stop() == 0
