"""What a process takes: memory and descriptors, from /proc."""

import os
import re
import threading
import time
from pathlib import Path


def taken(pid):
    """{name: number}; sockets, files and deleted (files) are descriptors, memory is resident, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {"memory": int(re.search(r"VmRSS:\s+(\d+)", status)[1]), "sockets": 0, "files": 0,
             "deleted": 0, "threads": int(re.search(r"Threads:\s+(\d+)", status)[1])}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        found["sockets"] += target.startswith("socket:")
        found["files"] += target.startswith("/")
        found["deleted"] += target.endswith(" (deleted)")
    return found


class Watch:
    """Samples a broker each second, over its restarts, and keeps the most of each."""

    def __init__(self, broker):
        self.broker, self.most, self.samples, self.over = broker, {}, 0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.wait(1):
            try:
                found = taken(self.broker.process.pid)
            except (OSError, TypeError):  # it is being restarted
                continue
            self.samples += 1
            for name, value in found.items():
                self.most[name] = max(value, self.most.get(name, 0))

    def end(self):
        self.over.set()
        self.thread.join()

    def quiet(self):
        """What is taken once nobody is connected any more, or after a while."""
        for _ in range(100):
            found = taken(self.broker.process.pid)
            if not self.broker.connections(found):
                break
            time.sleep(0.2)
        return found
