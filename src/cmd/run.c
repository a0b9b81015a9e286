/*
 * leat run: HTTP and Kafka in one process, over one set of threads.
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/args_http.h"
#include "cmd/args_kafka.h"
#include "cmd/args_serve.h"

static const char help[] =
    "Serve HTTP and Kafka in one process.\n"
    "\n"
    "Usage: leat run [--http DIR] [--kafka DATA_DIR] [OPTIONS]\n"
    "\n"
    "One of them, or both, over one set of threads, with one address for operators and one end.\n"
    "\n"
    "      --http DIR           serve this directory over HTTP\n"
    "      --http-listen WHERE  address and port, may be given more than once [127.0.0.1:8080];\n"
    "                           also [::1]:8080, localhost:8080, *:8080 or 8080 for everyone,\n"
    "                           unix:/path, and fd:3 for a socket handed over by systemd\n"
    "      --kafka DATA_DIR     be a Kafka broker with its logs in this directory, which is made "
    "if "
    "it\n"
    "                           is not there\n"
    "      --kafka-listen WHERE\n"
    "                           address and port, may be given more than once [127.0.0.1:9092]\n"
    "      --kafka-advertise ADDRESS\n"
    "                           HOST:PORT that Kafka clients are told to go to [where it listens]\n"
    "      --kafka-config FILE  a server.properties of Kafka's\n"
    "  -o, --option NAME=VALUE  one setting of such a file, may be given more than once\n"
    "  -t, --threads N          threads [one a CPU]\n"
    "      --max-connections N  at most so many at once [what the descriptor limit allows]\n"
    "      --drain-timeout T    after SIGTERM, wait for what is being sent [10s]; also 500ms, 2m\n"
    "      --admin WHERE        address for /metrics (Prometheus), /status (JSON), /healthz\n"
    "      --admin-host NAME    a name it answers to, beside addresses and localhost\n"
    "  -u, --user NAME[:GROUP]  become this user once it has its addresses (for root)\n"
    "      --no-sandbox         don't give up what it won't need\n"
    "  -h, --help               this text\n"
    "\n"
    "The other options of leat http are there, too, and are HTTP's: --index, --access-log, ...\n"
    "\n"
    "SIGTERM, SIGINT and SIGQUIT end it: what is being sent is finished, everything is made "
    "durable.\n"
    "\n"
    "Examples:\n"
    "  leat run --http /srv/www --kafka /srv/kafka        both, for this machine only\n"
    "  leat run --http site --http-listen '*:80' --kafka data --kafka-listen '*:9092' \\\n"
    "           --kafka-advertise kafka.example:9092 --admin 127.0.0.1:9090\n"
    "  curl http://127.0.0.1:8080/; echo hello | kcat -b 127.0.0.1:9092 -P -t test\n";

enum {
	OPTION_HTTP = 352,
	OPTION_HTTP_LISTEN,
	OPTION_KAFKA,
	OPTION_KAFKA_LISTEN,
	OPTION_KAFKA_ADVERTISE,
	OPTION_KAFKA_CONFIG,
};

static const struct option own_options[] = {
    {"http", required_argument, NULL, OPTION_HTTP},
    {"http-listen", required_argument, NULL, OPTION_HTTP_LISTEN},
    {"kafka", required_argument, NULL, OPTION_KAFKA},
    {"kafka-listen", required_argument, NULL, OPTION_KAFKA_LISTEN},
    {"kafka-advertise", required_argument, NULL, OPTION_KAFKA_ADVERTISE},
    {"kafka-config", required_argument, NULL, OPTION_KAFKA_CONFIG},
};

enum { SET_OWN, SET_HTTP, SET_KAFKA, SET_SERVE, SET_COUNT };

struct run {
	struct args args;
	struct args_http http;
	struct args_kafka kafka;
	struct serve_options options;
	const char *dir, *data_dir; /* NULL: not that one */
	bool kafka_config;          /* one was named */
};

static int take_own(void *arg, const char *command, int option)
{
	struct run *run = arg;
	struct kafka_options *kafka = &run->kafka.options;

	switch (option) {
	case OPTION_HTTP:
		run->dir = optarg;
		return EXIT_OK;
	case OPTION_HTTP_LISTEN:
		return args_list(command, "http-listen", run->http.listen,
				 &run->http.options.listen_count);
	case OPTION_KAFKA:
		run->data_dir = optarg;
		return EXIT_OK;
	case OPTION_KAFKA_LISTEN:
		return args_list(command, "kafka-listen", run->kafka.listen, &kafka->listen_count);
	case OPTION_KAFKA_ADVERTISE:
		kafka->advertise = optarg;
		return EXIT_OK;
	default:
		run->kafka_config = true;
		return args_kafka_read(&run->kafka, command, "kafka-config", optarg);
	}
}

/* ---- what makes no sense ---- */

/* Without links; what is not there yet by the folder that it will be in. */
static bool real_name(const char *name, char ret[PATH_MAX])
{
	char parent[PATH_MAX], last[PATH_MAX], folder[PATH_MAX];

	if (realpath(name, ret))
		return true;
	if (strlen(name) >= PATH_MAX)
		return false;
	strcpy(parent, name);
	strcpy(last, name);
	if (!realpath(dirname(parent), folder))
		return false;
	return snprintf(ret, PATH_MAX, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
			basename(last)) < PATH_MAX;
}

static bool is_below(const char *name, const char *folder)
{
	size_t len = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

	return strncmp(name, folder, len) == 0 && (name[len] == '/' || name[len] == '\0');
}

/* What a broker keeps is not for everyone who can ask for a file. */
static int check_apart(const struct run *run)
{
	char dir[PATH_MAX], data_dir[PATH_MAX];

	/* A name that leads nowhere is an error of those who open it. */
	if (!run->dir || !run->data_dir || !real_name(run->dir, dir) ||
	    !real_name(run->data_dir, data_dir))
		return EXIT_OK;
	if (is_below(data_dir, dir) || is_below(dir, data_dir))
		return usage_error("run",
				   "HTTP would serve Kafka's logs: --kafka %s and --http %s must "
				   "not be one below the other",
				   run->data_dir, run->dir);
	return EXIT_OK;
}

static int check(const struct run *run, int argc, char **argv)
{
	const struct kafka_options *kafka = &run->kafka.options;
	bool for_http = run->args.sets[SET_HTTP].used || run->http.options.listen_count > 0;
	bool for_kafka = run->args.sets[SET_KAFKA].used || run->kafka_config ||
			 kafka->listen_count > 0 || kafka->advertise;

	if (optind < argc)
		return usage_error("run",
				   "what is '%s'? directories are given by --http and --kafka",
				   argv[optind]);
	if (for_http && !run->dir)
		return usage_error("run", "there are options for HTTP, but no --http DIR");
	if (for_kafka && !run->data_dir)
		return usage_error("run", "there are options for Kafka, but no --kafka DATA_DIR");
	if (!run->dir && !run->data_dir)
		return usage_error("run", "what is to be served? --http DIR, --kafka DATA_DIR, or "
					  "both");
	return check_apart(run);
}

/* ---- all of it ---- */

static int parse_and_serve(struct run *run, int argc, char **argv)
{
	struct serve_part *part = run->options.parts;
	int code;

	if (args_parse(&run->args, argc, argv, &code))
		code = check(run, argc, argv);
	else
		return code;
	if (code != EXIT_OK)
		return code;
	run->http.options.dir = run->dir;
	run->kafka.options.dir = run->data_dir;
	if (run->data_dir)
		*part++ = (struct serve_part){&kafka_service, &run->kafka.options};
	if (run->dir)
		*part = (struct serve_part){&http_service, &run->http.options};
	return args_serve_run("run", &run->options);
}

int cmd_run(int argc, char **argv)
{
	struct run run = {.options = {.sandbox = true}};
	int code;

	run.args = (struct args){
	    .command = "run",

	    .help = help,
	    .sets =
		{
		    [SET_OWN] = {own_options, ARRAY_SIZE(own_options), take_own, &run, false},
		    [SET_HTTP] = args_http_set(&run.http),
		    [SET_KAFKA] = args_kafka_set(&run.kafka),
		    [SET_SERVE] = args_serve_set(&run.options),
		},
	    .sets_count = SET_COUNT,
	};
	args_http_init(&run.http);
	args_kafka_init(&run.kafka);
	code = parse_and_serve(&run, argc, argv);
	args_kafka_fini(&run.kafka);
	return code;
}
