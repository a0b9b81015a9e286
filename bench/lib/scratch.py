"""Where a run keeps its files."""

import os
import shutil
import tempfile


class Scratch:
    """A folder for files, configurations and logs; gone at the end."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="leat-bench-")
        os.chmod(self.dir, 0o755)  # servers drop privileges
        self.names = 0

    def file(self, size):
        """A file of random bytes in the page cache; made once a size."""
        root = os.path.join(self.dir, "www")
        os.makedirs(root, exist_ok=True)
        path = os.path.join(root, f"{size}.bin")
        if not os.path.exists(path):
            block = os.urandom(min(size, 1 << 20))
            with open(path, "wb") as file:
                for _ in range(size // len(block)):
                    file.write(block)
        return path

    def new_path(self, name):
        """For what the caller makes there."""
        self.names += 1
        return os.path.join(self.dir, f"{name}-{self.names}")

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
