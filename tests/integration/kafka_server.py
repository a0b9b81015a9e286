"""A broker under test, and kcat."""

import contextlib
import re
import signal
import shutil
import subprocess
import threading
import time

import pytest
from support import TIMEOUT, run

needs_kcat = pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed")


class Broker:
    """`leat kafka` on a free port. Restarts keep the port and the data."""

    def __init__(self, leat, data, *arguments, listen=True):
        self.leat, self.data, self.port = leat, data, 0
        self.listen = listen  # else its arguments say where
        self.arguments = [str(word) for word in arguments]
        self.lines = []
        self.start()

    def start(self):
        command = [str(self.leat), "kafka", "--threads", "2", "-o", "group.initial.rebalance.delay.ms=0"]
        if self.listen:
            command += ["--listen", f"127.0.0.1:{self.port}"]
        command += self.arguments + ([str(self.data)] if self.data else [])
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in self.process.stderr:
            line = line.decode(errors="replace").strip()
            self.lines.append(line)
            if found := re.search(r"served at 127\.0\.0\.1:(\d+) ", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("\n".join(self.lines))
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream):
        with contextlib.suppress(ValueError):
            for line in stream:
                self.lines.append(line.decode(errors="replace").strip())

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def log(self):
        return "\n".join(self.lines)

    def end(self, how=signal.SIGTERM):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        self.process.stderr.close()
        return code

    def restart(self, how=signal.SIGTERM):
        code = self.end(how)
        assert code == (0 if how == signal.SIGTERM else -how), self.log()
        self.start()


def produce(broker, topic, lines, *arguments):
    """Each line a message, by kcat."""
    ran = run(["kcat", "-b", broker.address, "-P", "-t", topic, *arguments],
              input=b"".join(line + b"\n" for line in lines))
    assert ran.returncode == 0, ran.stderr + broker.log()


def consume(broker, topic, *arguments):
    """All there is, by kcat: lines."""
    ran = run(["kcat", "-b", broker.address, "-C", "-t", topic, "-e", "-q", *arguments])
    assert ran.returncode == 0, ran.stderr + broker.log()
    return ran.stdout.split(b"\n")[:-1]


def wait_until(what, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
