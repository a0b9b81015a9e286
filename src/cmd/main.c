/*
 * leat: finds the command and runs it. Everything that is true for the whole process is set here:
 * SIGPIPE and SIGXFSZ are ignored (a closed peer, a file too large are errors of their calls), log
 * lines go to stderr.
 */
#include "base/err.h"
#include "cmd/cmd.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/thresholds.h"
#include "config.h"
#include "leat/leat.h"
#include "sys/sys.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
    {"copy", cmd_copy, "move bytes between files, pipes and sockets, and say how it went"},
    {"copystat", cmd_copystat, "show what any process copies and what goes by reference"},
    {"http", cmd_http, "serve a directory over HTTP"},
    {"kafka", cmd_kafka, "a log broker for Kafka clients"},
    {"lab", cmd_lab,
     "measure every technique on this machine, and the table that everybody repeats"},
    {"relay", cmd_relay, "relay TCP connections to one of several targets, by splice"},
    {"run", cmd_run, "serve HTTP and Kafka in one process"},
};

int usage_error(const char *command, const char *fmt, ...)
{
	char raw[512];
	struct err text;
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	(void)err_set(&text, 0, "%s", raw);
	fprintf(stderr, "leat %s: %s (leat %s --help explains)\n", command, text.text, command);
	return EXIT_USAGE;
}

int usage_error_option(const char *command, char *const *argv, int found)
{
	const char *word = argv[optind - 1];

	/* A wrong letter in a bundle such as -xv is in optopt only. */
	if (strncmp(word, "--", 2) != 0 && optopt > 0)
		return usage_error(command,
				   found == ':' ? "-%c needs a value" : "there is no option -%c",
				   optopt);
	if (found == ':')
		return usage_error(command, "%s needs a value", word);
	if (optopt != 0)
		return usage_error(command, "%s takes no value", word);
	return usage_error(command, "there is no option %s, or it is short for several", word);
}

/* One write(2) a line, so that lines of several threads don't mix. A log that can't be written has
 * nowhere to complain. */
static void log_to_stderr(void *arg, enum log_level level, const char *line, size_t len)
{
	(void)!sys_write(2, line, len);
}

static int print_help(void)
{
	printf("leat: a zero-copy data server for Linux\n\nUsage: leat COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  leat %-8s %s\n", commands[i].name, commands[i].summary);
	printf(
	    "\n  leat --version\n  leat --help\n\n`leat COMMAND --help` shows a command's options "
	    "and examples.\n");
	return EXIT_OK;
}

static int print_version(void)
{
	char capabilities[256];

	leat_capabilities_text(capabilities, sizeof(capabilities));
	printf("leat %s\n%s\n", LEAT_VERSION, capabilities);
	return EXIT_OK;
}

static int dispatch(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "leat: which command? (leat --help lists them)\n");
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return print_version();
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "leat: there is no command '%s' (leat --help lists them)\n", argv[1]);
	return EXIT_USAGE;
}

/* A closed stdin, stdout or stderr would give its number to the next file that is opened, and what
 * is printed would land in there. The number is taken by something that refuses the use of it. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = sys_open("/dev/null", sys_get_flags(0) < 0 ? O_WRONLY : O_RDONLY, 0);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		sys_close(fd);
}

int main(int argc, char **argv)
{
	int code;

	occupy_standard_descriptors();
	sys_signal_handle(SIGPIPE, SIG_IGN);
	sys_signal_handle(SIGXFSZ, SIG_IGN);
	log_set_sink(log_to_stderr, NULL, LOG_LEVEL_INFO);
	thresholds_load();
	code = dispatch(argc, argv);
	/* What was printed must have arrived: --json into a full disk is not a success. */
	if (fflush(stdout) != 0 && code == EXIT_OK) {
		fprintf(stderr, "leat: standard output: %m\n");
		code = EXIT_FAILED;
	}
	return code;
}
