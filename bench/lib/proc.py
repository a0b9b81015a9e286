"""Processes as the benchmark sees them: started pinned, measured through /proc, ended by pid."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time

CPUS = sorted(os.sched_getaffinity(0))
CPU_MEASURED = CPUS[0]
CPU_LOAD = CPUS[1] if len(CPUS) > 1 else CPUS[0]


class BenchError(Exception):
    """Something that makes a figure meaningless; its text is for people."""


def descriptor_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def raise_descriptor_limit():
    """For us and for everything started."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor_limit(), descriptor_limit()))


def cpu_ticks():
    """What all CPUs have done so far, as /proc/stat has it: user, nice, system, idle, iowait, irq, softirq, steal..."""
    with open("/proc/stat") as file:
        return [int(word) for word in file.readline().split()[1:]]


def stolen_ms():
    """What the hypervisor has taken from all CPUs so far."""
    return cpu_ticks()[7] * 1000 / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    """The process and its descendants: nginx works in a child."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    found += tree(int(child))
    return found


def cpu_ns(pid):
    """CPU time of all threads of the tree: sum_exec_runtime of each, user and system, in ns; with the
    threads that have ended, which /proc/PID/task has no more."""
    # What clock_getcpuclockid(3) gives for a process: CPUCLOCK_SCHED is 2.
    return sum(time.clock_gettime_ns(~process << 3 | 2) for process in tree(pid))


def memory_kib(pid):
    """(VmRSS, RssAnon) summed over the tree."""
    sums = {"VmRSS:": 0, "RssAnon:": 0}
    for process in tree(pid):
        with open(f"/proc/{process}/status") as file:
            for line in file:
                words = line.split()
                if words[0] in sums:
                    sums[words[0]] += int(words[1])
    return sums["VmRSS:"], sums["RssAnon:"]


def pinned(cpu):
    """For preexec_fn: the child runs on that CPU only."""
    return lambda: os.sched_setaffinity(0, {cpu})


def on_disk(folder):
    """Not in memory alone, where nothing is ever cold and a sync costs nothing."""
    done = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
    return done.stdout.strip() not in ("tmpfs", "ramfs", "rootfs")


def run_load(command, timeout):
    """A load generator on the other CPU, to its end; its stdout."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        preexec_fn=pinned(CPU_LOAD),
    )
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Running:
    """A server process from start() until stop(); the pid is ours, so nobody else is ever ended."""

    start_limit_s, stop_limit_s = 15, 5

    def __init__(self, name, command, port, log_path, cpu=CPU_MEASURED):
        """`cpu` None: wherever it likes."""
        self.name = name
        self.port = port
        self.log_path = log_path
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=None if cpu is None else pinned(cpu),
            )

    def __enter__(self):
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def cpu_ns(self):
        return cpu_ns(self.pid)

    def hurry(self):
        """The first thread of each process, which is the event loop of every server here, runs as
        soon as it can, where that is allowed; its helper threads stay as they are. For questions
        in which other programs' wish for the CPU would only be noise."""
        for pid in tree(self.pid):
            with contextlib.suppress(OSError):
                os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK,
                                      os.sched_param(1))

    def _log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-600:].strip()

    def is_ready(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def _wait_until_ready(self):
        deadline = time.monotonic() + self.start_limit_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended at start: {self._log_tail()}")
            if self.is_ready():
                return
            time.sleep(0.01)
        raise BenchError(f"{self.name} does not listen: {self._log_tail()}")

    def kill(self):
        """As a crash does."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is not None:
            return
        members = tree(self.pid)
        self.process.terminate()
        try:
            self.process.wait(self.stop_limit_s)
        except subprocess.TimeoutExpired:
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            self.process.wait()
