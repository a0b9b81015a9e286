"""A server under test, and a client that shows the bytes: no library in between that repairs things."""

import os
import re
import signal
import socket
import subprocess
import time


class Server:
    """`leat http` with a document root, stopped (and its exit code looked at) at the end."""

    def __init__(self, leat, root, *arguments, listen=("127.0.0.1:0",), **popen):
        command = [str(leat), "http"]
        for where in listen:
            command += ["--listen", where]
        self.log_path = root.parent / f"log-{time.monotonic_ns()}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command + list(arguments) + [str(root)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **popen
            )
        self.addresses = self.wait_for_addresses(len(listen))

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_addresses(self, count):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = re.findall(r"serving .* at (\S+)\n", self.log())
            if len(found) >= count:
                return found
            if self.process.poll() is not None:
                raise RuntimeError(f"leat http ended with {self.process.returncode}: {self.log()}")
            time.sleep(0.01)
        raise RuntimeError(f"leat http did not start: {self.log()}")

    @property
    def url(self):
        return self.addresses[0]

    @property
    def address(self):
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host.strip("[]"), int(port)

    def connect(self, timeout=60, receive_buffer=None):
        sock = socket.socket(socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect(self.address)
        return Client(sock)

    def get(self, path="/", **headers):
        with self.connect() as client:
            return client.get(path, **headers)

    def stop(self, sign=signal.SIGTERM, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def __getitem__(self, name):
        return self.headers.get(name.lower())


class Closed(Exception):
    """The connection ended within a response, or before one."""


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise Closed(bytes(self.buffer[:200]))
        self.buffer += data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        end = self.buffer.index(b"\r\n\r\n")
        head = bytes(self.buffer[:end])
        del self.buffer[: end + 4]
        lines = head.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z -]+", lines[0]), lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, line
            headers[name.lower()] = value
        return int(lines[0][9:12]), headers

    def response(self, method="GET"):
        status, headers = self.head()
        if status >= 200:
            assert "date" in headers
        if method == "HEAD" or status in (100, 204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            body = b"".join(self.chunks())
        else:
            body = self.take(int(headers.get("content-length", 0)))
        return Response(status, headers, body)

    def take(self, length):
        while len(self.buffer) < length:
            self.more()
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        return data

    def chunks(self):
        """The pieces of a chunked body, as they come."""
        while True:
            while b"\r\n" not in self.buffer:
                self.more()
            size = self.take(self.buffer.index(b"\r\n") + 2)
            assert re.fullmatch(rb"[0-9A-Fa-f]+\r\n", size), size
            chunk = self.take(int(size, 16))
            assert self.take(2) == b"\r\n"
            if not chunk:
                return
            yield chunk

    def get(self, path="/", method="GET", **headers):
        self.send(request(path, method, **headers))
        return self.response(method)

    def is_closed(self):
        """Nothing more comes, and the peer has ended it."""
        assert not self.buffer
        return self.sock.recv(1) == b""

    def drain(self):
        """Everything until the peer ends it."""
        while True:
            try:
                self.more()
            except Closed:
                data = bytes(self.buffer)
                self.buffer.clear()
                return data


def request(path="/", method="GET", version="1.1", host="localhost", **headers):
    lines = [f"{method} {path} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines + ["", ""]).encode("latin-1")


def pattern(size, seed=0):
    """Bytes that say where they are, so that a shifted or repeated piece shows."""
    words = b"".join((i * 2654435761 + seed & 0xFFFFFFFF).to_bytes(4, "little") for i in range(4096))
    out = bytearray()
    block = 0
    while len(out) < size:
        out += block.to_bytes(8, "little") + words
        block += 1
    return bytes(out[:size])


def drop_from_page_cache(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
