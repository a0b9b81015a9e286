/*
 * leat http: the command line of the HTTP server.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/notify.h"
#include "http/http_server.h"

#define LISTEN_MAX 64
#define HEADER_MAX 64

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
    "                           also [::1]:8080, *:8080, 8080, unix:/path, and fd:3 for a socket\n"
    "                           handed over by systemd\n"
    "  -t, --threads N          threads [one a CPU]\n"
    "      --index NAME         file served for a directory [index.html]\n"
    "      --autoindex on|off   list directories that have no index [on]\n"
    "      --precompressed on|off\n"
    "                           serve a file's .gz, .zst or .br to clients that take it [on]\n"
    "      --cache-control VALUE\n"
    "                           Cache-Control of files, such as 'public, max-age=3600'\n"
    "      --header 'NAME: VALUE'\n"
    "                           a header of all answers that are no error; may be given more than\n"
    "                           once\n"
    "      --mime-types FILE    content types by extension [/etc/mime.types, nginx's, built in]\n"
    "      --no-symlinks        refuse names that lead over a symbolic link\n"
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
    "      --log-format F       combined (as nginx and Apache have it) or json [combined]\n"
    "      --admin WHERE        address for /metrics (Prometheus), /status (JSON), /healthz\n"
    "  -u, --user NAME[:GROUP]  become this user once it listens (for root)\n"
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
    "  leat http -l 127.0.0.1:8080 -l '[::1]:8080' --autoindex off site\n"
    "  leat http -l unix:/run/leat.sock /srv/www   behind a proxy\n";

enum {
	OPTION_INDEX = 256,
	OPTION_AUTOINDEX,
	OPTION_PRECOMPRESSED,
	OPTION_CACHE_CONTROL,
	OPTION_HEADER,
	OPTION_TECHNIQUE,
	OPTION_EXPLAIN,
	OPTION_NO_SYMLINKS,
	OPTION_MIME_TYPES,
	OPTION_MAX_CONNECTIONS,
	OPTION_CACHE_ENTRIES,
	OPTION_CACHE_BYTES,
	OPTION_HEADER_TIMEOUT,
	OPTION_BODY_TIMEOUT,
	OPTION_IDLE_TIMEOUT,
	OPTION_WRITE_TIMEOUT,
	OPTION_DRAIN_TIMEOUT,
	OPTION_ACCESS_LOG,
	OPTION_LOG_FORMAT,
	OPTION_ADMIN,
	OPTION_NO_SANDBOX,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"threads", required_argument, NULL, 't'},
    {"index", required_argument, NULL, OPTION_INDEX},
    {"autoindex", required_argument, NULL, OPTION_AUTOINDEX},
    {"precompressed", required_argument, NULL, OPTION_PRECOMPRESSED},
    {"cache-control", required_argument, NULL, OPTION_CACHE_CONTROL},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"technique", required_argument, NULL, OPTION_TECHNIQUE},
    {"explain", no_argument, NULL, OPTION_EXPLAIN},
    {"no-symlinks", no_argument, NULL, OPTION_NO_SYMLINKS},
    {"mime-types", required_argument, NULL, OPTION_MIME_TYPES},
    {"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
    {"cache-entries", required_argument, NULL, OPTION_CACHE_ENTRIES},
    {"cache-bytes", required_argument, NULL, OPTION_CACHE_BYTES},
    {"header-timeout", required_argument, NULL, OPTION_HEADER_TIMEOUT},
    {"body-timeout", required_argument, NULL, OPTION_BODY_TIMEOUT},
    {"idle-timeout", required_argument, NULL, OPTION_IDLE_TIMEOUT},
    {"write-timeout", required_argument, NULL, OPTION_WRITE_TIMEOUT},
    {"drain-timeout", required_argument, NULL, OPTION_DRAIN_TIMEOUT},
    {"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"user", required_argument, NULL, 'u'},
    {"no-sandbox", no_argument, NULL, OPTION_NO_SANDBOX},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct arguments {
	struct http_options options;
	const char *listen[LISTEN_MAX], *headers[HEADER_MAX];
	bool help;
};

/* From 1 to `max`. */
static bool parse_number(const char *text, unsigned max, unsigned *ret)
{
	uint64_t value;

	if (number_parse(text, &value) < 0 || value == 0 || value > max)
		return false;
	*ret = (unsigned)value;
	return true;
}

static int need_number(const char *name, const char *text, unsigned max, unsigned *ret)
{
	if (parse_number(text, max, ret))
		return EXIT_OK;
	return usage_error("http", "--%s is a number from 1 to %u, not '%s'", name, max, text);
}

/* 0 would mean the default, and never is no limit. */
#define TIMEOUT_MAX_MS (24u * 3600u * 1000u)

static int parse_timeout(const char *name, const char *text, uint32_t *ret_ms)
{
	uint64_t ms;

	if (duration_parse(text, &ms) < 0 || ms == 0 || ms > TIMEOUT_MAX_MS)
		return usage_error("http",
				   "--%s is a time from 1ms to 24h such as 30s, 500ms or 2m, not "
				   "'%s'",
				   name, text);
	*ret_ms = (uint32_t)ms;
	return EXIT_OK;
}

/* At least a page: one small file. */
#define CACHE_BYTES_MIN 4096u

static int parse_cache_bytes(const char *text, uint64_t *ret)
{
	if (size_parse(text, ret) < 0 || *ret < CACHE_BYTES_MIN || *ret > SIZE_MAX / 2)
		return usage_error("http",
				   "--cache-bytes is a size from 4k up such as 64M or 1G, not '%s'",
				   text);
	return EXIT_OK;
}

static int parse_on_off(const char *name, const char *text, bool *ret)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return usage_error("http", "--%s is on or off, not '%s'", name, text);
	*ret = strcmp(text, "on") == 0;
	return EXIT_OK;
}

static int parse_index(const char *text, const char **ret)
{
	if (text[0] == '\0' || strchr(text, '/') || strlen(text) > NAME_MAX ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return usage_error("http", "--index is a file name, not '%s'", text);
	*ret = text;
	return EXIT_OK;
}

static int parse_log_format(const char *text, enum http_log_format *ret)
{
	if (strcmp(text, "combined") != 0 && strcmp(text, "json") != 0)
		return usage_error("http", "--log-format is combined or json, not '%s'", text);
	*ret = strcmp(text, "json") == 0 ? HTTP_LOG_JSON : HTTP_LOG_COMBINED;
	return EXIT_OK;
}

static int parse_technique(const char *text, enum leat_technique *ret)
{
	if (leat_technique_parse(text, ret) == 0)
		return EXIT_OK;
	return usage_error("http",
			   "--technique is auto, copy, mmap, sendfile, splice, vmsplice or "
			   "zerocopy, not '%s'",
			   text);
}

static int parse_limit(struct http_options *o, int option)
{
	switch (option) {
	case OPTION_MAX_CONNECTIONS:
		return need_number("max-connections", optarg, INT_MAX, &o->connections_max);
	case OPTION_CACHE_ENTRIES:
		return need_number("cache-entries", optarg, 1u << 24, &o->cache_entries);
	case OPTION_CACHE_BYTES:
		return parse_cache_bytes(optarg, &o->cache_bytes);
	case OPTION_HEADER_TIMEOUT:
		return parse_timeout("header-timeout", optarg, &o->timeouts.header_ms);
	case OPTION_BODY_TIMEOUT:
		return parse_timeout("body-timeout", optarg, &o->timeouts.body_ms);
	case OPTION_IDLE_TIMEOUT:
		return parse_timeout("idle-timeout", optarg, &o->timeouts.idle_ms);
	case OPTION_WRITE_TIMEOUT:
		return parse_timeout("write-timeout", optarg, &o->timeouts.write_ms);
	default:
		return parse_timeout("drain-timeout", optarg, &o->drain_ms);
	}
}

static int parse_observing(struct http_options *o, int option)
{
	switch (option) {
	case OPTION_ACCESS_LOG:
		o->access_log = optarg;
		return EXIT_OK;
	case OPTION_ADMIN:
		o->admin = optarg;
		return EXIT_OK;
	default:
		return parse_log_format(optarg, &o->log_format);
	}
}

static int parse_option(struct arguments *arguments, int option, char *const *argv)
{
	struct http_options *o = &arguments->options;

	switch (option) {
	case 'l':
		if (o->listen_count == LISTEN_MAX)
			return usage_error("http", "--listen at most %d times", LISTEN_MAX);
		arguments->listen[o->listen_count++] = optarg;
		return EXIT_OK;
	case 't':
		return need_number("threads", optarg, 1024, &o->threads);
	case OPTION_INDEX:
		return parse_index(optarg, &o->index);
	case OPTION_AUTOINDEX:
		return parse_on_off("autoindex", optarg, &o->autoindex);
	case OPTION_PRECOMPRESSED:
		return parse_on_off("precompressed", optarg, &o->precompressed);
	case OPTION_CACHE_CONTROL:
		o->cache_control = optarg;
		return EXIT_OK;
	case OPTION_HEADER:
		if (o->header_count == HEADER_MAX)
			return usage_error("http", "--header at most %d times", HEADER_MAX);
		arguments->headers[o->header_count++] = optarg;
		return EXIT_OK;
	case OPTION_TECHNIQUE:
		return parse_technique(optarg, &o->technique);
	case OPTION_NO_SYMLINKS:
		o->no_symlinks = true;
		return EXIT_OK;
	case OPTION_EXPLAIN:
		o->explain = true;
		return EXIT_OK;
	case OPTION_MIME_TYPES:
		o->mime_types = optarg;
		return EXIT_OK;
	case OPTION_MAX_CONNECTIONS:
	case OPTION_CACHE_ENTRIES:
	case OPTION_CACHE_BYTES:
	case OPTION_HEADER_TIMEOUT:
	case OPTION_BODY_TIMEOUT:
	case OPTION_IDLE_TIMEOUT:
	case OPTION_WRITE_TIMEOUT:
	case OPTION_DRAIN_TIMEOUT:
		return parse_limit(o, option);
	case OPTION_ACCESS_LOG:
	case OPTION_ADMIN:
	case OPTION_LOG_FORMAT:
		return parse_observing(o, option);
	case 'u':
		o->user = optarg;
		return EXIT_OK;
	case OPTION_NO_SANDBOX:
		o->sandbox = false;
		return EXIT_OK;
	case 'h':
		arguments->help = true;
		return EXIT_OK;
	default:
		return usage_error_option("http", argv, option);
	}
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	int option, code = EXIT_OK;

	opterr = 0;
	optind = 1;
	while (code == EXIT_OK && !arguments->help &&
	       (option = getopt_long(argc, argv, ":l:t:u:h", long_options, NULL)) != -1)
		code = parse_option(arguments, option, argv);
	if (code != EXIT_OK || arguments->help)
		return code;
	if (optind + 1 < argc)
		return usage_error("http", "one directory, not also '%s'", argv[optind + 1]);
	if (optind < argc)
		arguments->options.dir = argv[optind];
	return EXIT_OK;
}

int cmd_http(int argc, char **argv)
{
	struct arguments arguments = {
	    .options = {.dir = ".",
			.index = "index.html",
			.autoindex = true,
			.precompressed = true,
			.sandbox = true},
	};
	struct notify notify;
	struct err err = {0};
	int code, r;

	arguments.options.listen = arguments.listen;
	arguments.options.headers = arguments.headers;
	code = parse(&arguments, argc, argv);
	if (code != EXIT_OK)
		return code;
	if (arguments.help) {
		fputs(help, stdout);
		return EXIT_OK;
	}
	notify_open(&notify);
	arguments.options.ready = notify_ready;
	arguments.options.ready_arg = &notify;
	r = http_serve(&arguments.options, &err);
	if (r == 0)
		return EXIT_OK;
	fprintf(stderr, "leat http: %s\n", err.text);
	/* An address or a file of types that can't be read as such. */
	return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}
