"""Who is compared: the floors, leat, and the servers it wants to replace.

A contender knows how to make the command that serves one directory on one port with one thread.
Peers get the settings their own manuals give for speed; what is set is in the templates below.
"""

import dataclasses
import os
import shutil
import typing

from lib.proc import descriptor_limit

NGINX = """
daemon off;
user {user};
worker_processes 1;
{threads}
worker_rlimit_nofile {descriptors};
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log;
events {{ worker_connections {connections}; }}
http {{
	default_type application/octet-stream;
	access_log off;
	sendfile {sendfile};
	tcp_nopush {sendfile};
	aio {aio};
	keepalive_requests 1000000000;
	keepalive_timeout 600s;
	open_file_cache max=1000 inactive=600s;
	open_file_cache_valid 600s;
	client_body_temp_path {dir}/nginx-body;
	proxy_temp_path {dir}/nginx-proxy;
	fastcgi_temp_path {dir}/nginx-fastcgi;
	uwsgi_temp_path {dir}/nginx-uwsgi;
	scgi_temp_path {dir}/nginx-scgi;
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		root {root};
		autoindex on;
	}}
}}
"""

# max-keep-alive-requests is 16 bits wide: wrk connects anew after that many.
LIGHTTPD = """
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{dir}/lighttpd-error.log"
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 600
server.max-fds = {descriptors}
server.max-connections = {connections}
server.listen-backlog = 4096
server.modules += ( "mod_dirlisting" )
dir-listing.activate = "enable"
mimetype.assign = ( "" => "application/octet-stream" )
"""

H2O = """
listen:
  host: 127.0.0.1
  port: {port}
user: {user}
num-threads: 1
max-connections: {connections}
http1-request-timeout: 600
error-log: {dir}/h2o-error.log
hosts:
  default:
    paths:
      "/":
        file.dir: {root}
        file.dirlisting: ON
"""


@dataclasses.dataclass
class Site:
    """What is served: `root`/`name`, and a header for the floors (None: their own)."""

    dir: str  # scratch, removed by whoever made it
    root: str
    name: str
    head: typing.Optional[str] = None
    connections: int = 1024

    @property
    def path(self):
        return os.path.join(self.root, self.name)


@dataclasses.dataclass
class Contender:
    name: str
    program: typing.Optional[str]  # None: not there
    command: typing.Callable  # (site, port) -> argument list
    missing: str = "not installed"

    @property
    def present(self):
        return bool(self.program) and os.access(self.program, os.X_OK)


def _configured(program, template, name, arguments, **settings):
    def command(site, port):
        path = os.path.join(site.dir, f"{name}-{port}.conf")
        values = {
            "dir": site.dir,
            "root": site.root,
            "port": port,
            "connections": site.connections,
            # lighttpd takes half of its descriptors as connections.
            "descriptors": min(2 * site.connections + 512, descriptor_limit()),
            "user": "root" if os.getuid() == 0 else str(os.getuid()),
        }
        with open(path, "w") as file:
            file.write(template.format(**values, **settings))
        return [program, *(a.format(conf=path, **values) for a in arguments)]

    return command


def _which(name):
    """Debian keeps servers in /usr/sbin, which isn't in everybody's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def floor(build, mode):
    program = os.path.join(build, "bench", "floor-http")

    def command(site, port):
        return [program, mode, str(port), site.path, *([site.head] if site.head else [])]

    return Contender(f"floor: {mode}", program, command, "not built (meson -Dbench=true)")


def leat(build):
    program = os.path.join(build, "leat")

    def command(site, port):
        return [program, "http", site.root, "--listen", f"127.0.0.1:{port}", "--threads", "1"]

    return Contender("leat http", program, command, "not built")


def _nginx(name, key, sendfile, threads=""):
    program = _which("nginx")
    arguments = ["-p", "{dir}", "-e", "{dir}/nginx-start.log", "-c", "{conf}"]
    return Contender(name, program, _configured(
        program, NGINX, f"nginx-{key}", arguments, sendfile=sendfile, threads=threads,
        aio="threads" if threads else "off"))


def peers_for_disks():
    """Those who only differ from peers() in how they wait for a disk."""
    return [_nginx("nginx, sendfile on, aio threads", "aio", "on", "thread_pool default threads=8;")]


def peers():
    lighttpd, h2o = _which("lighttpd"), _which("h2o")
    return [
        _nginx("nginx, sendfile on", "on", "on"),
        _nginx("nginx, sendfile off", "off", "off"),
        Contender(
            "lighttpd",
            lighttpd,
            _configured(lighttpd, LIGHTTPD, "lighttpd", ["-D", "-f", "{conf}"]),
        ),
        Contender("h2o", h2o, _configured(h2o, H2O, "h2o", ["-c", "{conf}"])),
    ]
