/*
 * The program's commands: each parses its own arguments, wires the rooms and returns an exit code.
 * A new command is a function here and a line of the table in main.c.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/check.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,   /* something could not be done */
	EXIT_USAGE = 2,    /* what was asked makes no sense */
	EXIT_SIGNAL = 128, /* + the signal's number, as shells count */
};

/* argv[0] is the command's own name. SIGPIPE is ignored. */
int cmd_copy(int argc, char **argv);
int cmd_copystat(int argc, char **argv);
int cmd_http(int argc, char **argv);
int cmd_kafka(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_relay(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* One line on stderr, "leat COMMAND: text (leat COMMAND --help explains)"; returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What getopt_long() stumbled over, as such a line. For option strings that begin with ':' (after
 * any '+'), with opterr 0; `found` is what it returned: '?' or ':'. */
int usage_error_option(const char *command, char *const *argv, int found);

#endif
