#!/usr/bin/python3
"""Writes down what a client sends: lines for tests/unit/kafka/captured.txt.

    record.py LEAT TITLE COMMAND...

Runs the command with a broker and a proxy between them; ADDRESS in a word of it stands for the proxy's.
With a word SCENARIO it is run three times, for those of test_clients.py. Of each API and version that it
used, a request is printed without its header: the longest that is not long. For maintainers, when a
client's new version is to be kept; what leat does not speak is left out.
"""

import re
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from kafka_server import Broker  # noqa: E402 (it is found by the line above)
from kafka_wire import read_exactly  # noqa: E402


LONG = 200


def apis():
    """{key: (name of the request, versions, first flexible one)} of our schema."""
    found = {}
    for path in sorted((ROOT / "src" / "kafka" / "wire" / "schema").glob("*.schema")):
        for key, name, rest in re.findall(r"^api (\d+) (\w+)\n((?:.*\n)*?)request", path.read_text(), re.M):
            flexible = re.search(r"^flexible (\d+)\+", rest, re.M)
            first, last = re.search(r"^versions (\d+)-?(\d*)", rest, re.M).groups()
            snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
            found[int(key)] = (f"kafka_{snake}_request", range(int(first), int(last or first) + 1),
                               int(flexible[1]) if flexible else 1 << 15)
    return found


class Recorder:
    def __init__(self):
        self.apis, self.found, self.port = apis(), {}, None
        self.listener = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self):
        return "127.0.0.1:%d" % self.listener.getsockname()[1]

    def note(self, frame):
        key, version, _, client = struct.unpack(">hhih", frame[:10])
        name, versions, flexible = self.apis.get(key, ("", (), 0))
        if version not in versions:
            return
        body = frame[10 + max(client, 0):]
        if version >= flexible:
            assert body[0] == 0, "tags in a header"
            body = body[1:]
        known = self.found.get((name, version), b"")
        if len(known) < len(body) <= LONG or LONG < len(body) < len(known) or not known:
            self.found[name, version] = body

    def up(self, client, server):
        try:
            while True:
                size = read_exactly(client, 4)
                frame = read_exactly(client, struct.unpack(">i", size)[0])
                self.note(frame)
                server.sendall(size + frame)
        except (OSError, AssertionError):
            server.close()
            client.close()

    def down(self, server, client):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass
        client.close()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.port))
            for target, ends in ((self.up, (client, server)), (self.down, (server, client))):
                threading.Thread(target=target, args=ends, daemon=True).start()


def run_once(recorder, leat, command):
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(leat, folder, "-o", "num.partitions=2", "--advertise", recorder.address)
        recorder.port = broker.port
        try:
            ran = subprocess.run([word.replace("ADDRESS", recorder.address) for word in command], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
        finally:
            broker.end()
    if ran.returncode != 0:
        print(f"{shlex.join(command)}:\n{ran.stdout.decode(errors='replace')}", file=sys.stderr)


def main():
    leat, title, *command = sys.argv[1:]
    recorder = Recorder()
    threading.Thread(target=recorder.run, daemon=True).start()
    for scenario in ("produce", "group", "admin") if "SCENARIO" in command else ("",):
        run_once(recorder, leat, [word if word != "SCENARIO" else scenario for word in command])
    print(f"# Written by {title}: message, version, bytes.")
    for (name, version), body in sorted(recorder.found.items()):
        print(name, version, body.hex())


main()
