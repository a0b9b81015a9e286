"""Helpers of the integration tests: processes with time limits, peers that read and write."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

TIMEOUT = 60  # for what takes milliseconds: only a hang reaches it, on any machine


def free_port(family=socket.AF_INET):
    """A port nobody uses now. Prefer port 0 and the announced port where that can be had."""
    with socket.socket(family) as probe:
        probe.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        return probe.getsockname()[1]


def run(command, timeout=TIMEOUT, **options):
    """Runs to the end; the result has returncode, stdout, stderr (stderr as text)."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    if "input" in options:
        del options["stdin"]
    ran = subprocess.run([str(word) for word in command], timeout=timeout, check=False, **options)
    if ran.stderr is not None:
        ran.stderr = ran.stderr.decode(errors="replace")
    assert "Sanitizer" not in (ran.stderr or ""), ran.stderr
    return ran


@contextlib.contextmanager
def tiny_disk(path, size):
    """A file system of this size, which can be full."""
    path.mkdir()
    ran = run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path])
    if ran.returncode:
        pytest.skip(f"can't mount a tmpfs here: {ran.stderr.strip()}")
    try:
        yield path
    finally:
        run(["umount", "-l", path])


@contextlib.contextmanager
def started(command, **options):
    """A process that is killed at the end of the block if it still runs."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def listening_port(process):
    """Waits for the line that says where the process listens; its stderr is a pipe."""
    for line in process.stderr:
        found = re.search(rb"listening on .*:(\d+)$", line.strip())
        if found:
            return int(found[1])
    raise AssertionError("the process ended without listening")


class Receiver:
    """A server on a thread that reads one connection to its end: `data`, or only `size` of it."""

    def __init__(self, address=("127.0.0.1", 0), family=socket.AF_INET, keep=True):
        self._listener = socket.socket(family)
        self._listener.bind(address)
        self._listener.listen(1)
        self._listener.settimeout(TIMEOUT)
        self._keep = keep
        self.address = self._listener.getsockname()
        self.data, self.size, self.error = b"", 0, None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self.address[1]

    def _read(self):
        pieces = []
        try:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(TIMEOUT)
                while piece := connection.recv(1 << 20):
                    self.size += len(piece)
                    if self._keep:
                        pieces.append(piece)
        except OSError as error:
            self.error = error
        self.data = b"".join(pieces)

    def finish(self):
        """Waits for the end of the connection; returns what came."""
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the sender did not close the connection"
        assert self.error is None, self.error
        return self.data

    def close(self):
        self._listener.close()


def as_nobody():
    """For subprocess's preexec_fn: the rest of the process's life without privileges."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
