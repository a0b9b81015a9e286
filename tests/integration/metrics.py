"""A scrape of the admin listener, read as strictly as promtool does."""

import re
import socket

from http_client import Client
from support import TIMEOUT

SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{([^}]*)\})? (-?[0-9.e+-]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\[\\"n])*)"')


class Metrics:
    """A scrape, read as strictly as promtool does; `m["name{label=value}"]` or 0."""

    def __init__(self, text):
        self.types, self.help, self.values, family = {}, {}, {}, None
        assert text.endswith("\n")
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family, self.help_text = line[7:].split(" ", 1)
                assert family not in self.help and self.help_text
                self.help[family] = self.help_text
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name == family and kind in ("counter", "gauge", "histogram")
                self.types[name] = kind
            else:
                self.add(family, line)
        for name, kind in self.types.items():
            assert (kind == "counter") == name.endswith("_total"), name
            if kind == "histogram":
                self.check_histogram(name)

    def add(self, family, line):
        match = SAMPLE.fullmatch(line)
        assert match, line
        suffix = match[1].removeprefix(family)
        assert match[1].startswith(family) and \
            suffix in (("_bucket", "_sum", "_count") if self.types[family] == "histogram" else ("",)), line
        labels = LABEL.findall(match[2] or "")
        assert ",".join(f'{name}="{value}"' for name, value in labels) == (match[2] or "")
        key = match[1] + ("{" + ",".join(f"{name}={value}" for name, value in labels) + "}" if labels else "")
        assert key not in self.values, key
        self.values[key] = float(match[3])

    def check_histogram(self, name):
        series = {}  # by the labels besides le, as text
        for key, value in self.values.items():
            if key.startswith(name + "_bucket"):
                labels = key[key.index("{") + 1:-1].split(",")
                assert labels[-1].startswith("le=")
                bound = float(labels.pop()[3:].replace("+Inf", "inf"))
                series.setdefault(",".join(labels), []).append((bound, value))
        for labels, buckets in series.items():
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
            assert [value for _, value in buckets] == sorted(value for _, value in buckets)
            rest = "{" + labels + "}" if labels else ""
            assert buckets[-1][1] == self.values[f"{name}_count{rest}"] and f"{name}_sum{rest}" in self.values

    def __getitem__(self, key):
        return self.values.get(key, 0)

    def sum(self, name):
        return sum(value for key, value in self.values.items() if key.startswith(name + "{"))


def admin_of(server):
    """A client of the admin listener of something that has a log()."""
    port = re.search(r"metrics at http://127.0.0.1:(\d+)/metrics", server.log())[1]
    return Client(socket.create_connection(("127.0.0.1", int(port)), TIMEOUT))


def scrape(server):
    with admin_of(server) as client:
        response = client.get("/metrics")
    assert response.status == 200
    assert response["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(response.body.decode())


def manual_entries(page):
    """{name: words} of a manual page's list of metrics."""
    text = " ".join(page.read_text().split())
    return dict(re.findall(r"\.It Va ((?:leat|process)_\w+) (.*?)(?= \.It Va | \.El)", text))
