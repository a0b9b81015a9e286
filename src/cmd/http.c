/*
 * leat http: the command line of the HTTP server.
 */
#include <stdio.h>

#include "cmd/args_http.h"
#include "cmd/args_serve.h"

static const char help[] =
    "Serve a directory over HTTP.\n"
    "\n"
    "Usage: leat http [OPTIONS] [DIR]\n"
    "\n"
    "DIR is the directory to serve, by default the one you are in. Files go out straight from the\n"
    "page cache; what changes on disk is served changed at the next request. Publish by rename: a\n"
    "file edited in place can change under a download that is on its way.\n"
    "\n"
    "  -l, --listen WHERE       address and port, may be given more than once [127.0.0.1:8080];\n"
    "                           also [::1]:8080, localhost:8080, *:8080 or 8080 for everyone,\n"
    "                           unix:/path, and fd:3 for a socket handed over by systemd\n"
    "  -t, --threads N          threads [one a CPU]\n"
    "      --index NAME         file served for a directory [index.html]\n"
    "      --autoindex on|off   list directories that have no index [on]\n"
    "      --dotfiles on|off    serve and list names that begin with a dot [off, but .well-known]\n"
    "      --precompressed on|off\n"
    "                           serve a file's .gz, .zst or .br to clients that take it [on]\n"
    "      --cache-control VALUE\n"
    "                           Cache-Control of files, such as 'public, max-age=3600'\n"
    "      --header 'NAME: VALUE'\n"
    "                           a header of all answers, errors too; may be given more than once\n"
    "      --mime-types FILE    content types by extension, before those that are built in; as\n"
    "                           /etc/mime.types or nginx's\n"
    "      --default-type TYPE  of files of no known type [application/octet-stream]\n"
    "      --charset NAME|off   of texts [utf-8]\n"
    "      --no-symlinks        refuse names that lead over a symbolic link\n"
    "      --follow-symlinks DIR  symbolic links may lead into DIR, too (any number)\n"
    "      --technique NAME     send bodies by copy, mmap, sendfile, splice, vmsplice or zerocopy\n"
    "                           [auto: what is best for each]\n"
    "      --explain            say in each answer how its body goes (Server-Timing)\n"
    "      --max-connections N  at most so many at once [what the descriptor limit allows]\n"
    "      --cache-entries N    files kept ready, for each thread [65536]\n"
    "      --cache-bytes SIZE   memory for small files, for each thread [128M]\n"
    "      --header-timeout T   a request must be complete after T [30s]; also 500ms, 2m\n"
    "      --body-timeout T     and its body, which is read and dropped [30s]\n"
    "      --idle-timeout T     wait for the next request of a connection [75s]\n"
    "      --write-timeout T    wait for a client that takes nothing [60s]\n"
    "      --drain-timeout T    after SIGTERM, wait for what is being sent [10s]\n"
    "      --access-log FILE    a line for each request; - is standard output; SIGHUP opens it "
    "anew\n"
    "      --log-format F       combined (as nginx and Apache have it), json, or a text with\n"
    "                           variables, such as '$remote_addr \"$request\" $status' [combined]\n"
    "      --trusted-proxy NET  believe what this proxy says of its clients: an address, a "
    "network\n"
    "                           such as 10.0.0.0/8, or unix:; may be given more than once\n"
    "      --client-header NAME\n"
    "                           where it says so, also X-Real-IP or Forwarded [X-Forwarded-For]\n"
    "      --proxy-protocol on|off\n"
    "                           connections begin with a PROXY header, version 1 or 2 [off]\n"
    "      --admin WHERE        address for /metrics (Prometheus), /status (JSON), /healthz\n"
    "      --admin-host NAME    a name it answers to, beside addresses and localhost\n"
    "  -u, --user NAME[:GROUP]  become this user once it has its addresses (for root)\n"
    "      --no-sandbox         don't give up what it won't need: by default it can open nothing "
    "but\n"
    "                           what is below DIR, and make few system calls\n"
    "  -h, --help               this text\n"
    "\n"
    "SIGTERM, SIGINT and SIGQUIT end it: what is being sent is finished first.\n"
    "\n"
    "Examples:\n"
    "  leat http                                   the current directory, for this machine only\n"
    "  leat http --listen '*:80' /srv/www          for everyone\n"
    "  leat http -l localhost:8080 --autoindex off site\n"
    "  leat http -l unix:/run/leat.sock --trusted-proxy unix: /srv/www   behind a proxy\n";

static const struct option own_options[] = {{"listen", required_argument, NULL, 'l'}};

static int take_listen(void *arg, const char *command, int option)
{
	struct args_http *http = arg;

	return args_list(command, "listen", http->listen, &http->options.listen_count);
}

int cmd_http(int argc, char **argv)
{
	struct args_http http;
	struct serve_options options = {.parts = {{&http_service, &http.options}}, .sandbox = true};
	struct args args = {
	    .command = "http",
	    .help = help,
	    .sets = {{own_options, ARRAY_SIZE(own_options), take_listen, &http, false},
		     args_http_set(&http),
		     args_serve_set(&options)},
	    .sets_count = 3,
	};
	int code;

	args_http_init(&http);
	if (!args_parse(&args, argc, argv, &code))
		return code;
	if (optind + 1 < argc)
		return usage_error("http", "one directory, not also '%s'", argv[optind + 1]);
	if (optind < argc)
		http.options.dir = argv[optind];
	return args_serve_run("http", &options);
}
