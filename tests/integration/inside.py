"""System calls made by a thread of another process: what an intruder in it could do. x86-64, ptrace(2)."""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import re
import signal
import socket
import struct
import time

import pytest

PTRACE_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 9, 12, 13, 16, 17
WALL = 0x40000000
REGISTERS = """r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss
    fs_base gs_base ds es fs gs""".split()
AT_FDCWD = -100
CLOSE, SOCKET, EXECVE, FSYNC, OPENAT, MKDIRAT, UNLINKAT, RENAMEAT = 3, 41, 59, 74, 257, 258, 263, 264

# What a confined server's threads may ask for and what not: the call, its arguments, and 0 or the error. Signals go to
# process 1, as signal 0; what is set is set on standard error.
SETSOCKOPT, IOCTL, KILL, FCNTL, PRCTL, TKILL, SETPRIORITY, SCHED_SETAFFINITY, TGKILL = 54, 16, 62, 72, 157, 200, 141, 203, 234
CAPSET, PRLIMIT, PIDFD_SEND_SIGNAL, BIND, CONNECT = 126, 302, 424, 49, 42
ATTEMPTS = {
    "TCP": (SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0, -errno.EPERM),
    "UDP": (SOCKET, socket.AF_INET6, socket.SOCK_DGRAM, 0, -errno.EPERM),
    "UNIX": (SOCKET, socket.AF_UNIX, socket.SOCK_STREAM, 0, -errno.EPERM),
    "netfilter": (SOCKET, socket.AF_NETLINK, socket.SOCK_RAW, 12, -errno.EPERM),
    "generic netlink": (SOCKET, socket.AF_NETLINK, socket.SOCK_RAW, 16, -errno.EPERM),
    "routes": (SOCKET, socket.AF_NETLINK, socket.SOCK_RAW, 0, 0),
    "connect": (CONNECT, 2, 0, 0, -errno.ENOSYS),
    "bind": (BIND, 2, 0, 0, -errno.ENOSYS),
    "SO_MARK": (SETSOCKOPT, 2, socket.SOL_SOCKET, 36, 0, 0, -errno.EPERM),
    "SO_ATTACH_FILTER": (SETSOCKOPT, 2, socket.SOL_SOCKET, 26, 0, 0, -errno.EPERM),
    "iptables": (SETSOCKOPT, 2, socket.IPPROTO_IP, 64, 0, 0, -errno.EPERM),
    "F_SETOWN": (FCNTL, 2, fcntl.F_SETOWN, 1, -errno.EPERM),
    "F_SETSIG": (FCNTL, 2, 10, signal.SIGKILL, -errno.EPERM),
    "O_ASYNC": (FCNTL, 2, fcntl.F_SETFL, os.O_ASYNC, -errno.EPERM),
    "F_GETFD": (FCNTL, 2, fcntl.F_GETFD, 0),
    "FIOSETOWN": (IOCTL, 2, 0x8901, 0, -errno.EPERM),
    "tgkill": (TGKILL, 1, 1, 0, -errno.EPERM),
    "tkill": (TKILL, 1, 0, -errno.ENOSYS),
    "kill": (KILL, 1, 0, -errno.ENOSYS),
    "pidfd_send_signal": (PIDFD_SEND_SIGNAL, 2, 0, 0, 0, -errno.ENOSYS),
    "limits of others": (PRLIMIT, 1, 7, 0, 0, -errno.EPERM),
    "CPUs of others": (SCHED_SETAFFINITY, 1, 0, 0, -errno.ENOSYS),
    "priority of others": (SETPRIORITY, 0, 1, 0, -errno.ENOSYS),
    "PR_SET_DUMPABLE": (PRCTL, 4, 1, -errno.EPERM),
    "capset": (CAPSET, 0, 0, -errno.ENOSYS),
}  # fmt: skip
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what root's server keeps.
FILES_ONLY = 1 << 1 | 1 << 2

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Ended(Exception):
    """The process is gone, by this signal."""


class Thread:
    """A stopped thread."""

    def __init__(self, pid, tid):
        self.pid, self.tid = pid, tid
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
            # Anything mapped from a file and executable: libc makes system calls.
            code = [re.match(r"(\w+)-(\w+) r-xp .* (/.*libc.*)", line) for line in maps]
        start, end, _ = next(found for found in code if found).groups()
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(int(start, 16))
            self.instruction = int(start, 16) + memory.read(int(end, 16) - int(start, 16)).index(b"\x0f\x05")

    def registers(self):
        buffer = ctypes.create_string_buffer(8 * len(REGISTERS))
        self.ask(PTRACE_GETREGS, buffer)
        return dict(zip(REGISTERS, struct.unpack(f"{len(REGISTERS)}Q", buffer.raw)))

    def set_registers(self, registers):
        values = [registers[name] & (1 << 64) - 1 for name in REGISTERS]
        self.ask(PTRACE_SETREGS, ctypes.create_string_buffer(struct.pack(f"{len(REGISTERS)}Q", *values)))

    def ask(self, request, data=None):
        if libc.ptrace(request, self.tid, None, data) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace({request})")

    def call(self, number, *arguments):
        """The call's result, negative: -errno. Arguments that are bytes are put below the stack."""
        before = self.registers()
        place = before["rsp"] - 16384
        now = dict(before, rip=self.instruction, rax=number, orig_rax=-1)
        for name, argument in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), arguments):
            if isinstance(argument, bytes):
                with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
                    memory.seek(place)
                    memory.write(argument + b"\0")
                argument, place = place, place + len(argument) + 1
            now[name] = argument
        self.set_registers(now)
        self.ask(PTRACE_SINGLESTEP)
        _, status = os.waitpid(self.tid, WALL)
        if not os.WIFSTOPPED(status):
            raise Ended(os.WTERMSIG(status))
        result = self.registers()["rax"]
        self.set_registers(before)
        return result - (1 << 64) if result >> 63 else result

    def opens(self, path, flags=os.O_RDONLY):
        """True, or why not: -errno."""
        fd = self.call(OPENAT, AT_FDCWD, os.fsencode(path), flags)
        if fd >= 0:
            self.call(CLOSE, fd)
        return True if fd >= 0 else fd


@contextlib.contextmanager
def thread(pid, tid):
    if platform.machine() != "x86_64":
        pytest.skip("knows only x86-64's registers")
    if libc.ptrace(PTRACE_ATTACH, tid, None, None) < 0:
        pytest.skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
    os.waitpid(tid, WALL)
    try:
        yield Thread(pid, tid)
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


def threads(pid):
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]


def status(pid, field, tid=None):
    with open(f"/proc/{pid}/task/{tid or pid}/status", encoding="ascii") as text:
        return re.search(rf"^{field}:\s+(.*)$", text.read(), re.M)[1].split()


def expect_little(inside):
    """A thread of a confined server: what it can ask for, and whose rights it has."""
    for name, (number, *arguments, expected) in ATTEMPTS.items():
        result = inside.call(number, *arguments)
        assert (0 if result >= 0 else result) == expected, name
        if number == SOCKET and result >= 0:
            inside.call(CLOSE, result)
    pid, tid = inside.pid, inside.tid
    root = status(pid, "Uid", tid)[1] == "0"
    assert status(pid, "Seccomp", tid) == ["2"] and status(pid, "NoNewPrivs", tid) == ["1"]
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        kept = int(status(pid, name, tid)[0], 16)
        assert kept & ~(FILES_ONLY if root and name in ("CapEff", "CapPrm") else 0) == 0, name
    if int(status(os.getpid(), "CapEff")[0], 16) >> 8 & 1:  # CAP_SETPCAP: the server had it, too
        assert int(status(pid, "CapBnd", tid)[0], 16) == 0


def need_confinement(server):
    """Skips where kernel or build have none."""
    time.sleep(0.1)
    deadline = time.monotonic() + 30
    while "confined" not in server.log():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.01)
    for part in ("Landlock", "seccomp"):
        if f"confined by {part}" not in server.log():
            pytest.skip(server.log())
