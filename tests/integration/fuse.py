"""A file system of the tests: FUSE spoken directly (linux/fuse.h), so that each request can be held back,
and whoever made it be named.

    with Fuse(path, {"a": b"alpha", "d": {"b": b"beta"}}) as fs:
        fs.hold = lambda request: request.op == "OPEN" and request.name == "a"
        ...
        fs.release()

The daemon is a thread of the test. It never looks at its own mount, and neither should the test while
something is held.
"""

import ctypes
import errno
import os
import select
import stat
import struct
import threading
import time
from pathlib import Path

import pytest

MNT_DETACH = 2
OPS = {1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 5: "READLINK", 14: "OPEN", 15: "READ", 17: "STATFS", 18: "RELEASE",
       22: "GETXATTR", 25: "FLUSH", 26: "INIT", 27: "OPENDIR", 28: "READDIR", 29: "RELEASEDIR", 34: "ACCESS",
       36: "INTERRUPT", 38: "DESTROY", 42: "BATCH_FORGET"}
UNANSWERED = {"FORGET", "BATCH_FORGET", "INTERRUPT"}
ASYNC_READ, AUTO_INVAL_DATA = 1, 1 << 12
FOPEN_DIRECT_IO = 1
FOREVER = 10 ** 6


class Node:
    def __init__(self, ino, content):
        self.ino, self.content = ino, content
        self.changed_ns = time.time_ns()

    @property
    def is_dir(self):
        return isinstance(self.content, dict)

    def attr(self):
        size = 0 if self.is_dir else len(self.content)
        seconds, ns = divmod(self.changed_ns, 10 ** 9)
        mode = stat.S_IFDIR | 0o755 if self.is_dir else stat.S_IFREG | 0o644
        return struct.pack("<6Q10I", self.ino, size, (size + 511) // 512, seconds, seconds, seconds, ns, ns, ns, mode,
                           2 if self.is_dir else 1, 0, 0, 0, 4096, 0)


class Request:
    def __init__(self, fs, data):
        _, opcode, self.unique, self.nodeid, _, _, self.thread, _ = struct.unpack("<IIQQIIII", data[:40])
        self.op = OPS.get(opcode, str(opcode))
        self.body = data[40:]
        self.node = fs.nodes.get(self.nodeid)
        self.name = self.body.rstrip(b"\0").decode() if self.op == "LOOKUP" else fs.name_of(self.nodeid)
        self.comm = ""
        if self.op not in UNANSWERED and self.thread:
            try:
                self.comm = Path(f"/proc/{self.thread}/comm").read_text().strip()
            except OSError:
                pass  # a work queue's request: nobody waits


class Fuse:
    def __init__(self, path, tree, valid=0, direct_io=False):
        """`valid`: for how many seconds the kernel may believe names and attributes."""
        self.path, self.valid, self.direct_io = path, valid, direct_io
        self.lock = threading.RLock()
        self.nodes, self.names = {}, {}
        self.next_ino = 1
        self.add(tree, "/")
        self.hold = lambda request: False
        self.held, self.seen = [], []
        self.ending = False

    # ---- what there is ----

    def add(self, content, name):
        node = Node(self.next_ino, {} if isinstance(content, dict) else content)
        self.next_ino += 1
        self.nodes[node.ino], self.names[node.ino] = node, name
        if isinstance(content, dict):
            for child, inner in content.items():
                node.content[child] = self.add(inner, child)
        return node

    def name_of(self, nodeid):
        return self.names.get(nodeid, "?")

    def find(self, path):
        node = self.nodes[1]
        for name in path.split("/"):
            node = node.content[name]
        return node

    def change(self, path, data):
        with self.lock:
            node = self.find(path)
            node.content, node.changed_ns = data, time.time_ns()

    def put(self, path, data):
        folder, _, name = path.rpartition("/")
        with self.lock:
            (self.find(folder) if folder else self.nodes[1]).content[name] = self.add(data, name)

    def remove(self, path):
        folder, _, name = path.rpartition("/")
        with self.lock:
            del (self.find(folder) if folder else self.nodes[1]).content[name]

    # ---- the protocol ----

    def entry(self, node):
        return struct.pack("<QQQQII", node.ino, 0, self.valid, self.valid, 0, 0) + node.attr()

    def answer(self, request):
        """Bytes, or a negative errno."""
        node, body = request.node, request.body
        if request.op == "INIT":
            _, minor, readahead, flags = struct.unpack("<IIII", body[:16])
            return struct.pack("<IIIIHHIIHHI7I", 7, min(minor, 31), readahead, flags & (ASYNC_READ | AUTO_INVAL_DATA),
                               16, 12, 1 << 17, 1, 0, 0, 0, *[0] * 7)
        if request.op == "LOOKUP":
            found = node.content.get(request.name) if node.is_dir else None
            return self.entry(found) if found else -errno.ENOENT
        if request.op == "GETATTR":
            return struct.pack("<QII", self.valid, 0, 0) + node.attr()
        if request.op in ("OPEN", "OPENDIR"):
            direct = self.direct_io and request.op == "OPEN"
            return struct.pack("<QII", 0, FOPEN_DIRECT_IO if direct else 0, 0)
        if request.op == "READ":
            _, offset, size = struct.unpack("<QQI", body[:20])
            return node.content[offset:offset + size]
        if request.op == "READDIR":
            return self.read_dir(node, *struct.unpack("<QQI", body[:20])[1:])
        if request.op == "STATFS":
            return struct.pack("<5Q10I", 0, 0, 0, 0, 0, 4096, 255, 4096, *[0] * 7)
        if request.op in ("RELEASE", "RELEASEDIR", "FLUSH", "ACCESS"):
            return b""
        return -errno.ENOSYS

    @staticmethod
    def read_dir(node, offset, size):
        out = b""
        for at, (name, child) in enumerate(node.content.items()):
            text = name.encode()
            kind = 4 if child.is_dir else 8
            record = struct.pack("<QQII", child.ino, at + 1, len(text), kind) + text
            record += b"\0" * (-len(record) % 8)
            if at >= offset and len(out) + len(record) <= size:
                out += record
        return out

    def reply(self, request):
        answer = self.answer(request)
        error, data = (answer, b"") if isinstance(answer, int) else (0, answer)
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), error, request.unique) + data)
        except OSError:
            pass  # it was interrupted, or the mount is gone

    def handle(self, data):
        with self.lock:
            request = Request(self, data)
            if request.op in UNANSWERED:
                return
            self.seen.append(request)
            if self.hold(request):
                self.held.append(request)
            else:
                self.reply(request)

    def serve(self):
        while not self.ending:
            if not select.select([self.fd], [], [], 0.05)[0]:
                continue
            try:
                self.handle(os.read(self.fd, 1 << 18))
            except BlockingIOError:
                continue
            except OSError:
                return  # unmounted

    def release(self):
        """Answers what was held, and holds nothing any more."""
        with self.lock:
            self.hold = lambda request: False
            held, self.held = self.held, []
            for request in held:
                self.reply(request)

    def wait_for_held(self, count=1, seconds=60):
        deadline = time.monotonic() + seconds
        while len(self.held) < count:
            assert time.monotonic() < deadline, "nothing was asked for"
            time.sleep(0.01)

    # ---- mounting ----

    def __enter__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            pytest.skip(f"/dev/fuse: {error}")
        data = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"tests", os.fsencode(self.path), b"fuse", 0, data) != 0:
            error = os.strerror(ctypes.get_errno())
            os.close(self.fd)
            pytest.skip(f"mounting FUSE: {error}")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        ctypes.CDLL(None).umount2(os.fsencode(self.path), MNT_DETACH)
        self.ending = True
        self.thread.join()
        # With the last descriptor of it the connection ends, and whoever waits gets an error.
        os.close(self.fd)
