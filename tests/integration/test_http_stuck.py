"""leat http on a file system that does not answer: the rest is served, and the process can be ended.

The file system is FUSE without a daemon: whoever asks it waits, until it is killed.
"""

import contextlib
import ctypes
import os
import signal
import threading
import time

import pytest
from http_client import Server, drop_from_page_cache, pattern, request

MNT_DETACH = 2
# At exit LeakSanitizer stops all threads to look for leaks, and one that is stuck does not stop.
WITHOUT_LEAK_CHECK = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0",
                          TSAN_OPTIONS=os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0")


@contextlib.contextmanager
def dead_mount(path):
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fd = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"/dev/fuse: {error}")
    data = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"dead", os.fsencode(path), b"fuse", 0, data) != 0:
        error = os.strerror(ctypes.get_errno())
        os.close(fd)
        pytest.skip(f"mounting FUSE: {error}")
    try:
        yield
    finally:
        libc.umount2(os.fsencode(path), MNT_DETACH)
        os.close(fd)


@pytest.fixture
def dead(root):
    (root / "dead").mkdir()
    with dead_mount(root / "dead"):
        yield root / "dead"


def ask(server, path, count):
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.send(request(path))
    return clients


def close(clients):
    for client in clients:
        client.sock.close()


def test_stuck_names_do_not_hold_up_others(leat, root, dead):
    (root / "cold").write_bytes(pattern(1 << 20))
    server = Server(leat, root, "--threads", "2", "--drain-timeout", "1s")
    # Less than there are helpers.
    clients = ask(server, "/dead/x", 3)
    try:
        for i in range(20):
            drop_from_page_cache(root / "cold")
            assert server.get("/cold").body == pattern(1 << 20), i
        assert server.get("/missing").status == 404
    finally:
        close(clients)
        server.stop(signal.SIGKILL)


def test_stuck_listings_leave_helpers_for_files(leat, root, dead):
    (root / "cold").write_bytes(pattern(1 << 20))
    server = Server(leat, root, "--threads", "2", "--drain-timeout", "1s")
    # More than there are helpers.
    clients = ask(server, "/dead/", 20)
    try:
        time.sleep(0.2)
        for i in range(20):
            drop_from_page_cache(root / "cold")
            assert server.get("/cold").body == pattern(1 << 20), i
        assert b"dead/" in server.get("/").body
    finally:
        close(clients)
        server.stop(signal.SIGKILL)


@pytest.mark.parametrize("path", ["/dead/x", "/dead/"])
@pytest.mark.parametrize("signals", [1, 2])
def test_a_stuck_helper_does_not_keep_the_process_from_ending(leat, root, dead, path, signals):
    drain = "1s" if signals == 1 else "1h"
    server = Server(leat, root, "--threads", "2", "--drain-timeout", drain, env=WITHOUT_LEAK_CHECK)
    clients = ask(server, path, 2)
    try:
        time.sleep(0.5)
        ended = threading.Event()
        for _ in range(signals):
            server.process.send_signal(signal.SIGTERM)
            ended.wait(0.3)
        assert server.process.wait(60) == 1, server.log()
        assert "ending without" in server.log() and "a call for" in server.log()
    finally:
        close(clients)
        server.stop(signal.SIGKILL)
