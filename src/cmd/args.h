/*
 * Command lines that are put together of sets of options, so that commands which have options in
 * common share their parsing.
 */
#ifndef CMD_ARGS_H
#define CMD_ARGS_H

#include <getopt.h>

#include "cmd/cmd.h"

/* A set: its long options, of which those with a letter as `val` are short ones, too. */
struct args_set {
	const struct option *options;
	unsigned count;
	/* One of them, whose value is optarg. EXIT_OK, or EXIT_USAGE once it has said why. */
	int (*take)(void *arg, const char *command, int option);
	void *arg;
	bool used; /* one of them was there */
};

#define ARGS_SETS_MAX 4

struct args {
	const char *command; /* "http" */
	struct args_set sets[ARGS_SETS_MAX];
	unsigned sets_count;
	const char *help; /* what --help prints */
};

/* Up to the first word that is no option: optind. Values of `val` are the same in no two sets. False:
 * the command is over, with *ret_code: help was asked for, and printed, or an option makes no sense. */
bool args_parse(struct args *args, int argc, char **argv, int *ret_code);

/* ---- values: EXIT_OK, or EXIT_USAGE once it has said why ---- */

/* From 1 to `max`. */
int args_number(const char *command, const char *name, unsigned max, unsigned *ret);
/* From 1ms to 24h: 0 would mean the default, and never is no limit. */
int args_timeout(const char *command, const char *name, uint32_t *ret_ms);
int args_on_off(const char *command, const char *name, bool *ret);
/* One more of a list that has room for ARGS_LIST_MAX. */
#define ARGS_LIST_MAX 64
int args_list(const char *command, const char *name, const char **list, unsigned *count);

#endif
