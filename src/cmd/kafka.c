/*
 * leat kafka: the command line of the Kafka broker.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/args_kafka.h"
#include "cmd/args_serve.h"
#include "kafka/store/check.h"

static const char help[] =
    "A log broker for Kafka clients.\n"
    "\n"
    "Usage: leat kafka [OPTIONS] [DATA_DIR]\n"
    "       leat kafka --check DATA_DIR\n"
    "\n"
    "DATA_DIR holds the topics, in Kafka's own format [./leat-data]; it is made if it is not "
    "there.\n"
    "Messages lie on disk as they go over the wire, so that fetching them is sendfile.\n"
    "\n"
    "  -l, --listen WHERE       address and port, may be given more than once [127.0.0.1:9092];\n"
    "                           also [::1]:9092, localhost:9092, *:9092 or 9092 for everyone,\n"
    "                           and fd:3 (systemd)\n"
    "      --advertise ADDRESS  HOST:PORT that clients are told to go to [where it listens]\n"
    "      --config FILE        a server.properties of Kafka's\n"
    "  -o, --option NAME=VALUE  one setting of such a file, may be given more than once\n"
    "  -t, --threads N          threads [one a CPU]\n"
    "      --max-connections N  at most so many at once [what the descriptor limit allows]\n"
    "      --drain-timeout T    after SIGTERM, wait for what is being sent [10s]; also 500ms, 2m\n"
    "      --admin WHERE        address for /metrics (Prometheus), /status (JSON), /healthz\n"
    "      --admin-host NAME    a name it answers to, beside addresses and localhost\n"
    "  -u, --user NAME[:GROUP]  become this user once it has its addresses (for root); DATA_DIR\n"
    "                           has to be his\n"
    "      --no-sandbox         don't give up what it won't need: by default it can open nothing "
    "but\n"
    "                           what is below DATA_DIR, and make few system calls\n"
    "      --check DATA_DIR     read all that is there, and say what is wrong and where; nothing "
    "is\n"
    "                           changed, nothing served\n"
    "  -h, --help               this text\n"
    "\n"
    "SIGTERM, SIGINT and SIGQUIT end it: everything is made durable first.\n"
    "\n"
    "Examples:\n"
    "  leat kafka                                         for this machine, data in ./leat-data\n"
    "  leat kafka -l '*:9092' --advertise kafka.example:9092 /srv/kafka\n"
    "  leat kafka -o num.partitions=4 -o log.flush.interval.messages=1\n"
    "  echo hello | kcat -b 127.0.0.1:9092 -P -t test; kcat -b 127.0.0.1:9092 -C -t test -e\n";

enum { OPTION_ADVERTISE = 320, OPTION_CONFIG, OPTION_CHECK };

static const struct option own_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"advertise", required_argument, NULL, OPTION_ADVERTISE},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"check", required_argument, NULL, OPTION_CHECK},
};

/* The command's own: what its options are about. */
struct command {
	struct args_kafka kafka;
	const char *check; /* the directory that is looked at, and not served; NULL */
};

static int take_own(void *arg, const char *name, int option)
{
	struct command *command = arg;
	struct args_kafka *kafka = &command->kafka;

	switch (option) {
	case 'l':
		return args_list(name, "listen", kafka->listen, &kafka->options.listen_count);
	case OPTION_ADVERTISE:
		kafka->options.advertise = optarg;
		return EXIT_OK;
	case OPTION_CHECK:
		command->check = optarg;
		return EXIT_OK;
	default:
		return args_kafka_read(kafka, name, "config", optarg);
	}
}

/* ---- --check ---- */

static void print_wrong(const char *line)
{
	puts(line);
}

static int check_dir(const char *dir)
{
	struct check_totals totals;
	struct err err;

	if (store_check(dir, print_wrong, &totals, &err) < 0) {
		fprintf(stderr, "leat kafka: %s\n", err.text);
		return EXIT_USAGE;
	}
	printf("%llu partitions, %llu segments, %llu batches, %llu bytes: %llu %s wrong\n",
	       (unsigned long long)totals.partitions, (unsigned long long)totals.segments,
	       (unsigned long long)totals.batches, (unsigned long long)totals.bytes,
	       (unsigned long long)totals.wrong, totals.wrong == 1 ? "thing is" : "things are");
	return fflush(stdout) == 0 && totals.wrong == 0 ? EXIT_OK : EXIT_FAILED;
}

static int run(struct args *args, struct command *command, struct serve_options *options, int argc,
	       char **argv)
{
	int code;

	if (!args_parse(args, argc, argv, &code))
		return code;
	/* "--check=DIR" or "--check DIR". */
	if (command->check && argc != (strncmp(argv[1], "--check=", 8) == 0 ? 2 : 3))
		return usage_error("kafka", "--check takes a directory, and nothing else");
	if (command->check)
		return check_dir(command->check);
	if (optind + 1 < argc)
		return usage_error("kafka", "one directory, not also '%s'", argv[optind + 1]);
	if (optind < argc)
		command->kafka.options.dir = argv[optind];
	return args_serve_run("kafka", options);
}

int cmd_kafka(int argc, char **argv)
{
	struct command command = {.check = NULL};
	struct serve_options options = {.parts = {{&kafka_service, &command.kafka.options}},
					.sandbox = true};
	struct args args = {
	    .command = "kafka",
	    .help = help,
	    .sets = {{own_options, ARRAY_SIZE(own_options), take_own, &command, false},
		     args_kafka_set(&command.kafka),
		     args_serve_set(&options)},
	    .sets_count = 3,
	};
	int code;

	args_kafka_init(&command.kafka);
	code = run(&args, &command, &options, argc, argv);
	args_kafka_fini(&command.kafka);
	return code;
}
