"""leat http as an operator sees it: limits, access log, metrics."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from http_client import Client, Closed, Server, pattern, request
from metrics import Metrics, admin_of, manual_entries, scrape
from support import TIMEOUT, run, tiny_disk


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    (path / "small.txt").write_bytes(b"small\n")
    (path / "large.bin").write_bytes(pattern(3 << 20))
    return path


# ---- limits on the command line ----


def closed_after(client):
    """Seconds until the server has closed it."""
    start = time.monotonic()
    with pytest.raises((Closed, ConnectionResetError)):
        client.more()
    return time.monotonic() - start


def test_timeouts_are_those_of_the_command_line(serve):
    server = serve("--header-timeout", "300ms", "--idle-timeout", "1", "--write-timeout", "1s")
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost:")
        start = time.monotonic()
        assert client.response().status == 408
        assert closed_after(client) < 20 and time.monotonic() - start < 20  # by default 30
    with server.connect() as client:
        assert client.get("/small.txt").status == 200
        assert closed_after(client) < 60  # by default 75
    with server.connect(receive_buffer=4096) as client:
        for _ in range(20):
            client.send(request("/large.bin"))
        time.sleep(3)
        with pytest.raises((Closed, ConnectionResetError)):
            while True:
                client.more()
                client.buffer.clear()


def test_a_pause_of_the_process_is_not_the_clients_silence(serve):
    server = serve("--header-timeout", "400ms", "--idle-timeout", "400ms", "--threads", "2")
    with contextlib.ExitStack() as stack:
        idle, begun = ([stack.enter_context(server.connect()) for _ in range(20)] for _ in range(2))
        for client in idle:
            assert client.get("/small.txt").status == 200
        for client in begun:
            client.send(b"GET /small.txt HTTP/1.1\r\nHost:")
        server.process.send_signal(signal.SIGSTOP)
        try:
            for client in idle:
                client.send(request("/small.txt"))
            for client in begun:
                client.send(b" test\r\n\r\n")
            time.sleep(1.2)
        finally:
            server.process.send_signal(signal.SIGCONT)
        for client in idle + begun:
            assert client.response().status == 200


def test_a_body_has_its_own_time_also_behind_a_head_in_pieces(serve):
    server = serve("--header-timeout", "500ms", "--body-timeout", "30s")
    with server.connect() as client:
        client.send(b"GET /small.txt HTTP/1.1\r\nHost:")
        time.sleep(0.1)
        client.send(b" test\r\nContent-Length: 5\r\n\r\n1")
        time.sleep(1.5)
        client.send(b"2345")
        assert client.response().status == 200


def test_the_drain_timeout_ends_what_is_not_taken(serve):
    server = serve("--drain-timeout", "200ms")
    with server.connect(receive_buffer=4096) as client:
        for _ in range(20):
            client.send(request("/large.bin"))
        client.more()
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 8  # by default 10


@pytest.mark.parametrize("arguments, says", [
    (["--idle-timeout", "0"], "--idle-timeout is a time"),
    (["--idle-timeout", "5 s"], "--idle-timeout is a time"),
    (["--drain-timeout", "25h"], "--drain-timeout is a time"),
    (["--cache-entries", "0"], "--cache-entries is a number"),
    (["--cache-bytes", "12x"], "--cache-bytes is a size"),
])
def test_limits_that_make_no_sense_are_refused(leat, root, arguments, says):
    ran = run([leat, "http", *arguments, root])
    assert ran.returncode == 2
    assert says in ran.stderr and ran.stderr.count("\n") == 1


def test_a_cache_of_one_entry_still_serves_everything(serve, root):
    for i in range(10):
        (root / f"f{i}").write_text(str(i))
    server = serve("--cache-entries", "1", "--cache-bytes", "4k")
    with server.connect() as client:
        for _ in range(3):
            for i in range(10):
                assert client.get(f"/f{i}").body == str(i).encode()


# ---- access log ----

COMBINED = re.compile(
    r'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"')


def wait_for(condition, what, seconds=TIMEOUT):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def lines_of(path, count):
    """The log's lines, once there are so many."""
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= count, f"{count} lines in {path}")
    lines = path.read_bytes().decode("ascii").split("\n")
    assert lines.pop() == "" and len(lines) == count, lines
    return lines


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


def test_each_kind_of_answer_has_its_line(serve, root, log):
    (root / "folder").mkdir()
    (root / "empty").touch()
    server = serve("--access-log", str(log))
    size = (root / "large.bin").stat().st_size
    asked = []

    def ask(client, path, method="GET", line=None, **headers):
        response = client.get(path, method=method, **headers)
        asked.append((line or f"{method} {path} HTTP/1.1", response.status, len(response.body)))
        return response

    with server.connect() as client:
        ask(client, "/small.txt")
        etag = ask(client, "/large.bin")["etag"]
        ask(client, "/large.bin", method="HEAD")
        ask(client, "/large.bin", **{"Range": "bytes=5-1000004"})
        ask(client, "/large.bin", **{"Range": "bytes=0-9,100-199"})
        ask(client, "/large.bin", **{"Range": f"bytes=0-999999,{size - 1000000}-"})
        ask(client, "/large.bin", **{"Range": f"bytes={size}-"})
        ask(client, "/large.bin", **{"If-None-Match": etag})
        ask(client, "/large.bin", **{"If-Match": '"other"'})
        ask(client, "/empty")
        ask(client, "/folder")
        ask(client, "/folder/")
        ask(client, "/missing?with=query")
        ask(client, "/small.txt", method="OPTIONS")
        ask(client, "/small.txt", method="DELETE")
    statuses = [status for _, status, _ in asked]
    assert statuses == [200, 200, 200, 206, 206, 206, 416, 304, 412, 200, 301, 200, 404, 200, 405]
    found = [COMBINED.fullmatch(line) for line in lines_of(log, len(asked))]
    assert [(m[3], int(m[4]), int(m[5])) for m in found] == asked
    assert {m[1] for m in found} == {"127.0.0.1"}
    written = time.mktime(time.strptime(found[0][2][:20], "%d/%b/%Y:%H:%M:%S"))
    assert abs(written - time.time()) < 3600


def test_pipelined_requests_have_a_line_each_with_their_own_bytes(serve, root, log):
    server = serve("--threads", "1", "--access-log", str(log))
    paths = (["/small.txt", "/missing", "/small.txt", "/large.bin"] * 30)
    with server.connect() as client:
        client.send(b"".join(request(path, Referer="http://a/", **{"User-Agent": f"n{i}"})
                             for i, path in enumerate(paths)))
        answers = [client.response() for _ in paths]
    found = [COMBINED.fullmatch(line) for line in lines_of(log, len(paths))]
    assert [(int(m[4]), int(m[5]), m[7]) for m in found] == \
        [(answer.status, len(answer.body), f"n{i}") for i, answer in enumerate(answers)]
    assert {m[6] for m in found} == {"http://a/"}


def test_what_can_not_be_understood_is_logged_without_breaking_the_line(serve, log):
    server = serve("--threads", "1", "--access-log", str(log))
    asked = [
        (b"GET /a\"b\\c HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"GET /agent HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: a\" 200 \xe4\\\r\n\r\n", 404),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ]
    for data, status in asked:
        with server.connect() as client:
            client.send(data)
            assert client.response().status == status
    lines = lines_of(log, len(asked))
    found = [COMBINED.fullmatch(line) for line in lines]
    assert [int(m[4]) for m in found] == [status for _, status in asked]
    assert found[0][3] == "GET /a\\x22b\\x5Cc HTTP/1.1"
    assert found[2][3] == "NONSENSE"
    assert found[4][3] == "GET /chunks HTTP/1.1"
    assert found[5][7] == "a\\x22 200 \\xE4\\x5C"


def test_json_says_how_it_went(serve, root, log):
    server = serve("--access-log", str(log), "--log-format", "json")
    with server.connect() as client:
        client.get("/small.txt", **{"User-Agent": 'q"\\\u00fc'})
        client.get("/large.bin?a b" .replace(" ", "%20"))
        client.send(b"BAD\r\n\r\n")
        client.response()
    small, large, bad = [json.loads(line) for line in lines_of(log, 3)]
    assert (small["method"], small["path"], small["protocol"]) == ("GET", "/small.txt", "HTTP/1.1")
    assert (small["status"], small["bytes"], small["client"]) == (200, 6, "127.0.0.1")
    assert small["user_agent"].startswith('q"\\')
    assert (small["technique"], small["verdict"]) == ("copy", "copied")
    assert 0 < small["duration"] < 60
    assert large["path"] == "/large.bin?a%20b" and large["bytes"] == (root / "large.bin").stat().st_size
    assert (large["technique"], large["verdict"]) == ("sendfile", "by-reference")
    assert bad["request"] == "BAD" and bad["status"] == 400
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", small["time"])


def test_a_peer_that_leaves_early_is_logged_with_what_it_got(serve, root, log):
    (root / "huge").write_bytes(bytes(64 << 20))
    server = serve("--access-log", str(log))
    with server.connect(receive_buffer=4096) as client:
        client.send(request("/huge", Referer="http://early/"))
        while len(client.buffer) < 100000:
            client.more()
    with server.connect() as client:
        client.get("/small.txt")
    found = [COMBINED.fullmatch(line) for line in lines_of(log, 2)]
    early = next(m for m in found if "huge" in m[3])
    assert early[4] == "200" and early[6] == "http://early/"
    assert 90000 < int(early[5]) < 64 << 20


def test_clients_have_their_address(serve, tmp_path, log):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    path = tmp_path / "socket"
    server = serve("--access-log", str(log), listen=("[::1]:0", f"unix:{path}"))
    with socket.socket(socket.AF_INET6) as sock:
        sock.connect(server.address)
        Client(sock).get("/small.txt")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        Client(sock).get("/small.txt")
    assert sorted(line.split()[0] for line in lines_of(log, 2)) == ["::1", "unix:"]


def test_a_format_of_ones_own_has_nginxs_variables(serve, root, log):
    format = '$remote_addr|$request|$status|$body_bytes_sent|$request_time|$msec|$host|$http_x_id|$technique|$http_referer'
    server = serve("--access-log", str(log), "--log-format", format)
    with server.connect() as client:
        client.get("/small.txt", X_ID='a"b', host="Site.example:80")
        assert client.get("/large.bin", X_Id="y" * 3000, Referer="http://r/").status == 200
        client.send(b"BAD\r\n\r\n")
        client.response()
    small, large, bad = [line.split("|") for line in lines_of(log, 3)]
    assert small[:4] == ["127.0.0.1", "GET /small.txt HTTP/1.1", "200", "6"]
    assert re.fullmatch(r"\d+\.\d{3}", small[4]) and abs(float(small[5]) - time.time()) < 3600
    assert small[6:] == ["Site.example", "a\\x22b", "copy", "-"]
    assert large[6:] == ["localhost", "y" * 3000, "sendfile", "http://r/"]
    assert bad[:3] == ["127.0.0.1", "BAD", "400"] and bad[6:8] == ["-", "-"]


def test_the_client_is_who_a_trusted_proxy_names(serve, log, tmp_path):
    path = tmp_path / "socket"
    server = serve(
        "--access-log", str(log), "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "192.0.2.0/24",
        "--trusted-proxy", "unix:", listen=("127.0.0.1:0", f"unix:{path}"),
    )  # fmt: skip
    with server.connect() as client:
        client.get("/small.txt", X_Forwarded_For="203.0.113.66, 198.51.100.7, 192.0.2.9")
        client.get("/large.bin", X_Forwarded_For="2001:db8::7")
        client.get("/small.txt", X_Forwarded_For="nobody", X_Real_IP="203.0.113.66")
        client.get("/none")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        Client(sock).get("/small.txt", X_Forwarded_For="198.51.100.8")
    clients = sorted(line.split()[0] for line in lines_of(log, 5))  # of two loops, in no order
    assert clients == ["127.0.0.1", "127.0.0.1", "198.51.100.7", "198.51.100.8", "2001:db8::7"]


@pytest.mark.parametrize("arguments", [[], ["--trusted-proxy", "192.0.2.1"], ["--trusted-proxy", "unix:"]])
def test_whoever_is_not_trusted_names_nobody(serve, log, arguments):
    server = serve("--access-log", str(log), *arguments)
    server.get("/small.txt", X_Forwarded_For="203.0.113.66")
    assert lines_of(log, 1)[0].split()[0] == "127.0.0.1"


def test_another_header_can_be_believed(serve, log):
    server = serve("--access-log", str(log), "--trusted-proxy", "127.0.0.1", "--client-header", "forwarded")
    with server.connect() as client:
        client.get("/small.txt", Forwarded='for="[2001:db8::1]:80";proto=https', X_Forwarded_For="203.0.113.66")
    assert lines_of(log, 1)[0].split()[0] == "2001:db8::1"


PROXIED = {
    b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n": "198.51.100.7",
    b"PROXY UNKNOWN\r\n": "127.0.0.1",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x08\xc0\0\2\1\x12\x67\0\x50": "198.51.100.8",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0": "127.0.0.1",
}


@pytest.mark.parametrize("trusted, believed", [("127.0.0.1", True), ("192.0.2.1", False)])
def test_connections_begin_with_a_proxy_header(serve, log, trusted, believed):
    server = serve("--access-log", str(log), "--trusted-proxy", trusted, "--proxy-protocol", "on")
    want = []
    for begin, client_address in PROXIED.items():
        for pieces in (1, len(begin)):
            with server.connect() as client:
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if pieces == 1:
                    client.send(begin + request("/small.txt") * 2)
                else:
                    for i in range(len(begin)):
                        client.send(begin[i : i + 1])
                    client.send(request("/small.txt") * 2)
                for _ in range(2):
                    assert client.response().body == b"small\n"
            want += [client_address if believed else "127.0.0.1"] * 2
    lines = lines_of(log, len(want))
    assert sorted(line.split()[0] for line in lines) == sorted(want)


def test_what_is_no_proxy_header_is_refused_and_one_that_does_not_end_is_ended(serve, log):
    server = serve(
        "--access-log", str(log), "--trusted-proxy", "127.0.0.1", "--proxy-protocol", "on", "--header-timeout", "500ms"
    )
    for sent in [request("/small.txt"), b"PROXY nonsense\r\n" + request("/small.txt"), b"\r\n\r\n\0\r\nQUIX\n"]:
        with server.connect() as client:
            client.send(sent)
            assert client.response().status == 400
            closed_after(client)
    for sent in [b"PROXY TCP4 198.51.100.7", b""]:
        with server.connect() as client:
            client.send(sent)
            if sent:
                assert client.response().status == 408
            assert closed_after(client) < 20  # by default 30
    server = serve("--trusted-proxy", "127.0.0.1")  # not asked for: it is no HTTP
    with server.connect() as client:
        client.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n" + request("/small.txt"))
        assert client.response().status == 400


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--trusted-proxy", "10.0.0.1/8"], "--trusted-proxy '10.0.0.1/8'"),
        (["--trusted-proxy", "proxy.example"], "--trusted-proxy 'proxy.example'"),
        (["--client-header", "X-Real-IP"], "--client-header needs --trusted-proxy"),
        (["--proxy-protocol", "on"], "--proxy-protocol on needs --trusted-proxy"),
        (["--trusted-proxy", "::1", "--client-header", "a b"], "--client-header 'a b'"),
        (["--log-format", "$status $nothing"], "there is no variable $nothing"),
    ],
)
def test_what_is_said_of_proxies_and_formats_makes_sense_or_is_refused(leat, root, arguments, says):
    ran = run([leat, "http", "--listen", "127.0.0.1:0", *arguments, root])
    assert ran.returncode == 2
    assert says in ran.stderr and ran.stderr.count("\n") == 1


def test_times_are_local_ones(serve, log):
    zone = Path("/usr/share/zoneinfo/Asia/Kolkata")
    if not zone.exists():
        pytest.skip("no time zones here")
    # The zone's file is read before the server confines itself.
    server = serve("--access-log", str(log), env={**os.environ, "TZ": f":{zone}"})
    server.get("/small.txt")
    assert " +0530] " in lines_of(log, 1)[0]


def test_standard_output_gets_the_lines(leat, root, tmp_path):
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen([leat, "http", "--listen", "127.0.0.1:0", "--access-log", "-", str(root)],
                                   stdout=subprocess.PIPE, stderr=stderr)
    try:
        says = lambda: re.search(r"at http://127.0.0.1:(\d+)\n", (tmp_path / "stderr").read_text())
        port = wait_for(says, "the address")[1]
        with socket.create_connection(("127.0.0.1", int(port)), TIMEOUT) as sock:
            Client(sock).get("/small.txt")
        line = process.stdout.readline().decode()
        assert COMBINED.fullmatch(line.rstrip("\n"))[3] == "GET /small.txt HTTP/1.1"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        process.stdout.close()


class Load:
    """Clients that ask for numbered names until told to stop; `asked` counts the answers."""

    def __init__(self, server, clients=4):
        self.server, self.asked, self.ended = server, [0] * clients, False
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        with self.server.connect() as client:
            while not self.ended:
                batch = range(self.asked[i], self.asked[i] + 50)
                client.send(b"".join(request(f"/c{i}-{n}") for n in batch))
                for _ in batch:
                    client.response()
                self.asked[i] += len(batch)

    def stop(self):
        self.ended = True
        for thread in self.threads:
            thread.join(TIMEOUT)
        return {f"/c{i}-{n}" for i, count in enumerate(self.asked) for n in range(count)}


def test_rotation_loses_and_doubles_nothing(serve, log):
    server = serve("--threads", "2", "--access-log", str(log))
    load = Load(server)
    old = []
    for n in range(8):
        time.sleep(0.15)
        old.append(log.with_suffix(f".{n}"))
        log.rename(old[-1])
        server.process.send_signal(signal.SIGHUP)
        wait_for(log.exists, "the new log")
    asked = load.stop()
    assert server.stop() == 0
    logged = [line for path in old + [log] for line in path.read_text().splitlines()]
    names = [COMBINED.fullmatch(line)[3].split()[1] for line in logged]
    assert len(names) == len(set(names)), "a line is there twice"
    assert set(names) == asked
    assert sum(path.stat().st_size > 0 for path in old) > 2


def test_without_a_place_for_the_new_log_the_old_one_goes_on(serve, log, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "access.log"
    server = serve("--access-log", str(log))
    server.get("/small.txt")  # it has confined itself, for which the folder has to be there
    moved = tmp_path / "moved.log"
    log.rename(moved)
    folder.rmdir()
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "can't open" in server.log(), "the complaint")
    assert "No such file or directory: lines go on to the file that is open" in server.log()
    server.get("/small.txt")
    lines_of(moved, 2)


def stuck(server, load_seconds=60):
    """Asks until the server says that lines are lost; returns how many answers there were."""
    with server.connect() as client:
        deadline, count = time.monotonic() + load_seconds, 0
        filler = {"User-Agent": "x" * 900}
        while "lines are lost" not in server.log():
            assert time.monotonic() < deadline
            client.send(b"".join(request("/small.txt", **filler) for _ in range(50)))
            for _ in range(50):
                assert client.response().status == 200
            count += 50
    return count


def test_a_log_that_nobody_reads_holds_nothing_up(leat, root, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ran = run([leat, "http", "--listen", "127.0.0.1:0", "--access-log", fifo, root])
    assert ran.returncode == 1 and "FIFO that nobody reads" in ran.stderr
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server = Server(leat, root, "--threads", "1", "--access-log", str(fifo))
    try:
        stuck(server)
        assert server.get("/small.txt").status == 200
        start = time.monotonic()
        assert server.stop() == 0  # though the log still takes nothing
        assert time.monotonic() - start < 50
        assert "given up" in server.log()
    finally:
        os.close(reader)
        if server.process.poll() is None:
            server.process.kill()


def test_a_full_disk_cuts_no_line_for_good(leat, root, tmp_path):
    with tiny_disk(tmp_path / "disk", "64k") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(40 << 10))
        log = disk / "access.log"
        server = Server(leat, root, "--threads", "1", "--access-log", str(log))
        try:
            agent = {"User-Agent": "x" * 700}
            with server.connect() as client:
                for _ in range(100):
                    assert client.get("/small.txt", **agent).status == 200
                wait_for(lambda: "can't write" in server.log(), "the complaint")
                assert client.get("/small.txt", **agent).status == 200
            ballast.unlink()
            run(["mount", "-o", "remount,size=1m", disk])
            wait_for(lambda: log.read_bytes().count(b"\n") == 101, "all lines")
            assert all(COMBINED.fullmatch(line) for line in log.read_text().splitlines())
            assert server.stop() == 0
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


@pytest.mark.parametrize("arguments, code, says", [
    (["--access-log", "/no/such/folder/log"], 1, "--access-log /no/such/folder/log: No such file"),
    (["--access-log", "/"], 1, "--access-log /: Is a directory"),
    (["--log-format", "xml"], 2, "--log-format is combined, json or a text"),
])
def test_logs_that_can_not_be_are_refused(leat, root, arguments, code, says):
    ran = run([leat, "http", "--listen", "127.0.0.1:0", *arguments, root])
    assert ran.returncode == code
    assert says in ran.stderr and ran.stderr.count("\n") == 1


# ---- metrics ----

class Observed(Server):
    """A server with an admin listener."""

    def __init__(self, leat, root, *arguments, **options):
        super().__init__(leat, root, "--admin", "127.0.0.1:0", *arguments, **options)

    def admin(self):
        return admin_of(self)

    def metrics(self):
        return scrape(self)


@pytest.fixture
def observe(leat, root):
    servers = []

    def start(*arguments, **options):
        servers.append(Observed(leat, root, *arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0, server.log()
        assert "ERROR: " not in server.log() and "runtime error" not in server.log(), server.log()


def test_the_counts_are_exactly_what_was_asked_for(observe, root, log):
    server = observe("--threads", "2", "--access-log", str(log))
    size = (root / "large.bin").stat().st_size
    for _ in range(3):
        with server.connect() as client:
            for _ in range(10):
                assert client.get("/small.txt").status == 200
            for _ in range(4):
                assert len(client.get("/large.bin").body) == size
            assert client.get("/missing").status == 404
            client.get("/large.bin", **{"Range": "bytes=0-999999"})
    # Counted when the last byte is with the kernel, which is before the client has it; a connection's end is not.
    m = wait_for(lambda: (found := server.metrics())["leat_http_connections_open"] == 0 and found, "the ends")
    assert m["leat_http_requests_total"] == 48
    assert m["leat_http_responses_total{status=200}"] == 42
    assert m["leat_http_responses_total{status=404}"] == 3
    assert m["leat_http_responses_total{status=206}"] == 3
    assert m.sum("leat_http_responses_total") == 48
    assert m["leat_http_connections_total"] == 3
    assert m["leat_http_request_duration_seconds_count"] == 48
    assert m["leat_access_log_lines_total"] == 48 and m["leat_access_log_lost_lines_total"] == 0
    assert m["leat_bytes_total{verdict=by-reference}"] == 12 * size + 3 * 1000000
    assert m["leat_technique_bytes_total{technique=sendfile}"] == 12 * size + 3 * 1000000
    assert m.sum("leat_technique_bytes_total") == m.sum("leat_bytes_total")
    assert m["leat_http_cache_entries"] in (2, 3, 4)  # two files, each thread its own
    assert m["leat_http_cache_hits_total"] + m["leat_http_cache_misses_total"] >= 48
    assert m["process_open_fds"] > 5 and m["process_resident_memory_bytes"] > 1 << 20
    assert abs(m["process_start_time_seconds"] - time.time()) < 3600
    assert m["leat_build_info{version=0.1.0,kernel=" + os.uname().release + "}"] == 1


def test_open_connections_and_deadlines_are_seen(observe):
    server = observe("--idle-timeout", "200ms", "--header-timeout", "300ms")
    with server.connect() as idle, server.connect() as slow:
        idle.get("/small.txt")
        slow.send(b"GET /")
        wait_for(lambda: server.metrics()["leat_http_timeouts_total{deadline=header}"] == 1, "the slow one's end")
        m = wait_for(lambda: (found := server.metrics())["leat_http_connections_open"] == 0 and found, "the ends")
        assert m["leat_http_timeouts_total{deadline=idle}"] == 1
        assert m["leat_http_connections_total"] == 2


def test_counters_only_grow_while_they_are_read(observe):
    server = observe("--threads", "2")
    load = Load(server)
    before = server.metrics()
    with server.admin() as client:
        for _ in range(30):
            now = Metrics(client.get("/metrics").body.decode())
            for key, value in before.values.items():
                if now.types.get(key.split("{")[0]) == "counter":
                    assert now[key] >= value, key
            before = now
    asked = load.stop()
    assert server.metrics()["leat_http_requests_total"] == len(asked)


def test_the_status_is_json(observe, root):
    server = observe()
    server.get("/small.txt")
    with server.admin() as client:
        response = client.get("/status")
        assert response["content-type"] == "application/json"
        status = json.loads(response.body)
        assert client.get("/healthz").body == b"ok\n"
    assert status["pid"] == server.process.pid
    assert status["http"]["directory"] == str(root)
    assert status["http"]["statuses"] == {"200": 1} and status["http"]["requests"] == 1


def test_what_the_admin_listener_says_to_other_requests(observe):
    server = observe()
    with server.admin() as client:
        assert client.get("/metrics", method="HEAD").body == b""
        assert client.get("/other").status == 404
        assert client.get("/../etc/passwd").status == 404
        response = client.get("/metrics", method="DELETE")
        assert response.status == 405 and response["allow"] == "GET, HEAD"
    with server.admin() as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000)
        assert client.response().status == 431
        closed_after(client)
    with server.admin() as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.response().status == 400
        closed_after(client)
    with server.admin() as client:
        client.send(request("/metrics") * 20)
        for _ in range(20):
            assert client.response().status == 200
    assert server.get("/metrics").status == 404  # not for the public


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:9090", 200),
        ("[::1]:1", 200),
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("Metrics.Example:9090", 200),
        ("metrics.example.", 200),
        ("rebound.example", 421),
        ("metrics.example.rebound.example", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("metrics.example:x", 400),
    ],
)
def test_the_admin_listener_answers_to_addresses_and_its_names_only(observe, host, status):
    server = observe("--admin-host", "metrics.example")
    with server.admin() as client:
        for path in ["/metrics", "/status", "/healthz", "/"]:
            client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            response = client.response()
            assert response.status == status
            assert status == 200 or b"leat_" not in response.body
            if status == 400:
                break
    with server.admin() as client:
        client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.response().status == 200


@pytest.mark.parametrize("name", ["a:80", "", "a b", "[::1", "u@a"])
def test_names_of_the_admin_listener_that_are_none_are_refused(leat, root, name):
    ran = run([leat, "http", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-host", name, root])
    assert ran.returncode == 2 and "--admin-host" in ran.stderr and ran.stderr.count("\n") == 1


def test_scrapers_are_bounded_and_the_limit_of_clients_does_not_shut_them_out(observe):
    server = observe("--max-connections", "2", "--threads", "1")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(server.connect())
        clients = [stack.enter_context(server.admin()) for _ in range(24)]
        for client in clients:
            client.send(request("/metrics"))
        for client in clients[:16]:
            assert client.response().status == 200
        for client in clients[:16]:
            client.sock.close()
        for client in clients[16:]:
            assert client.response().status == 200
        wait_for(lambda: server.metrics()["leat_connections_refused_total"] > 0, "the limit")


def test_lost_lines_are_counted(leat, root, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server = Observed(leat, root, "--threads", "1", "--access-log", str(fifo))
    try:
        count = stuck(server)

        def all_counted():
            m = server.metrics()
            return m if m["leat_access_log_lines_total"] + m["leat_access_log_lost_lines_total"] == count else None

        m = wait_for(all_counted, "the last lines")  # they are counted when they are sent, which the client may see first
        assert m["leat_access_log_lost_lines_total"] > 0
        # Somebody reads again: what was kept arrives whole, and the log goes on.
        data = bytearray()

        def drain():
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(reader, 1 << 16):
                    data.extend(piece)
            return data.count(b"\n") == m["leat_access_log_lines_total"]

        wait_for(drain, "the kept lines")
        server.get("/small.txt?after")
        m.values["leat_access_log_lines_total"] += 1
        wait_for(drain, "the line after")
        assert all(COMBINED.fullmatch(line) for line in data.decode().splitlines())
        assert server.stop() == 0
    finally:
        os.close(reader)
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def test_the_manual_page_has_every_metric_in_the_same_words(observe, log):
    page = Path(__file__).resolve().parent.parent.parent / "man" / "leat-http.1"
    m = observe("--access-log", str(log)).metrics()
    assert len(m.help) > 30
    assert manual_entries(page) == m.help


def test_an_admin_address_that_is_taken_is_refused(leat, root, observe):
    server = observe()
    port = server.admin().sock.getpeername()[1]
    ran = run([leat, "http", "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{port}", root])
    assert ran.returncode == 1 and "address already in use" in ran.stderr and ran.stderr.count("\n") == 1


# ---- behind a service manager ----


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_when_it_is_ready(serve, tmp_path, abstract):
    name = f"\0leat-{os.getpid()}-{time.monotonic_ns()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(TIMEOUT)
        server = serve(env={**os.environ, "NOTIFY_SOCKET": name.replace("\0", "@")})
        assert manager.recv(100) == b"READY=1"
        assert server.get("/small.txt").status == 200


def test_a_manager_that_is_not_there_does_not_matter(serve, tmp_path):
    server = serve(env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert server.get("/small.txt").status == 200
    assert "can't tell" in server.log()


def test_the_units_are_such_that_systemd_understands_them(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    packaging = Path(__file__).resolve().parent.parent.parent / "packaging"
    for name in ("leat.service.in", "leat-kafka.service.in", "leat.socket"):
        text = (packaging / name).read_text().replace("@bindir@/leat", "/bin/true")
        (tmp_path / name.removesuffix(".in")).write_text(text)
    ran = run(["systemd-analyze", "verify", "--man=no", tmp_path / "leat.service", tmp_path / "leat-kafka.service",
               tmp_path / "leat.socket"],
              env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    ours = [line for line in ran.stderr.splitlines() if "leat" in line]
    assert ours == []


def test_the_admin_listener_may_be_a_socket_file(serve, tmp_path):
    path = tmp_path / "admin"
    server = serve("--admin", f"unix:{path}")
    assert f"metrics at unix:{path}\n" in server.log()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        assert Client(sock).get("/healthz").body == b"ok\n"
    assert server.stop() == 0
    assert not path.exists()
