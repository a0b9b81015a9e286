/*
 * leat kafka: the command line of the Kafka broker.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cmd/cmd.h"
#include "kafka/broker/kafka_server.h"
#include "sys/sys.h"

#define LISTEN_MAX      64
#define CONFIG_FILE_MAX (1024 * 1024)

static const char help[] =
    "A log broker for Kafka clients.\n"
    "\n"
    "Usage: leat kafka [OPTIONS] [DATA_DIR]\n"
    "\n"
    "DATA_DIR holds the topics, in Kafka's own format [./leat-data]; it is made if it is not "
    "there.\n"
    "Messages lie on disk as they go over the wire, so that fetching them is sendfile.\n"
    "\n"
    "  -l, --listen WHERE       address and port, may be given more than once [127.0.0.1:9092];\n"
    "                           also [::1]:9092, *:9092, 9092 and fd:3 (systemd)\n"
    "      --advertise ADDRESS  HOST:PORT that clients are told to go to [where it listens]\n"
    "      --config FILE        a server.properties of Kafka's\n"
    "  -o, --option NAME=VALUE  one setting of such a file, may be given more than once\n"
    "  -t, --threads N          threads [one a CPU]\n"
    "  -h, --help               this text\n"
    "\n"
    "SIGTERM, SIGINT and SIGQUIT end it: everything is made durable first.\n"
    "\n"
    "Examples:\n"
    "  leat kafka                                         for this machine, data in ./leat-data\n"
    "  leat kafka -l '*:9092' --advertise kafka.example:9092 /srv/kafka\n"
    "  leat kafka -o num.partitions=4 -o log.flush.interval.messages=1\n"
    "  echo hello | kcat -b 127.0.0.1:9092 -P -t test; kcat -b 127.0.0.1:9092 -C -t test -e\n";

enum { OPTION_ADVERTISE = 256, OPTION_CONFIG };

static const struct option long_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"advertise", required_argument, NULL, OPTION_ADVERTISE},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"option", required_argument, NULL, 'o'},
    {"threads", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct arguments {
	struct kafka_options options;
	struct kafka_config config;
	const char *listen[LISTEN_MAX];
	bool help;
};

static int parse_threads(const char *text, unsigned *ret)
{
	uint64_t value;

	if (number_parse(text, &value) < 0 || value == 0 || value > 1024)
		return usage_error("kafka", "--threads is a number from 1 to 1024, not '%s'", text);
	*ret = (unsigned)value;
	return EXIT_OK;
}

static int failed(const struct err *err)
{
	fprintf(stderr, "leat kafka: %s\n", err->text);
	return EXIT_USAGE;
}

static int set_option(struct kafka_config *config, const char *text)
{
	const char *equals = strchr(text, '=');
	struct err err = {0};

	if (!equals)
		return usage_error("kafka", "-o takes NAME=VALUE, not '%s'", text);
	if (kafka_config_set(config, slice_make(text, (size_t)(equals - text)),
			     slice_of(equals + 1), "-o", &err) < 0)
		return failed(&err);
	return EXIT_OK;
}

static int read_config(struct kafka_config *config, const char *file)
{
	int fd = sys_open(file, O_RDONLY, 0), r = fd;
	char *text = malloc(CONFIG_FILE_MAX);
	struct err err = {0};
	size_t len = 0;
	ssize_t n = 1;

	while (fd >= 0 && text && n > 0 && len < CONFIG_FILE_MAX) {
		n = sys_read(fd, text + len, CONFIG_FILE_MAX - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0) {
		sys_close(fd);
		r = !text ? -ENOMEM : n < 0 ? (int)n : len == CONFIG_FILE_MAX ? -EFBIG : 0;
	}
	if (r < 0)
		err_set(&err, r, "--config %s: %s", file, strerror(-r));
	else
		r = kafka_config_parse(config, slice_make(text, len), file, &err);
	free(text);
	return r < 0 ? failed(&err) : EXIT_OK;
}

static int parse_option(struct arguments *arguments, int option, char *const *argv)
{
	struct kafka_options *o = &arguments->options;

	switch (option) {
	case 'l':
		if (o->listen_count == LISTEN_MAX)
			return usage_error("kafka", "--listen at most %d times", LISTEN_MAX);
		arguments->listen[o->listen_count++] = optarg;
		return EXIT_OK;
	case 't':
		return parse_threads(optarg, &o->threads);
	case 'o':
		return set_option(&arguments->config, optarg);
	case OPTION_ADVERTISE:
		o->advertise = optarg;
		return EXIT_OK;
	case OPTION_CONFIG:
		return read_config(&arguments->config, optarg);
	case 'h':
		arguments->help = true;
		return EXIT_OK;
	default:
		return usage_error_option("kafka", argv, option);
	}
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	int option, code = EXIT_OK;

	opterr = 0;
	optind = 1;
	while (code == EXIT_OK && !arguments->help &&
	       (option = getopt_long(argc, argv, ":l:t:o:h", long_options, NULL)) != -1)
		code = parse_option(arguments, option, argv);
	if (code != EXIT_OK || arguments->help)
		return code;
	if (optind + 1 < argc)
		return usage_error("kafka", "one directory, not also '%s'", argv[optind + 1]);
	if (optind < argc)
		arguments->options.dir = argv[optind];
	return EXIT_OK;
}

static int run(struct arguments *arguments)
{
	struct err err = {0};
	int r = kafka_serve(&arguments->options, &err);

	if (r == 0)
		return EXIT_OK;
	fprintf(stderr, "leat kafka: %s\n", err.text);
	/* An address that can't be read as such. */
	return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

int cmd_kafka(int argc, char **argv)
{
	struct arguments arguments = {0};
	int code;

	kafka_config_init(&arguments.config);
	arguments.options.config = &arguments.config;
	arguments.options.listen = arguments.listen;
	code = parse(&arguments, argc, argv);
	if (code == EXIT_OK && arguments.help)
		fputs(help, stdout);
	else if (code == EXIT_OK)
		code = run(&arguments);
	kafka_config_fini(&arguments.config);
	return code;
}
