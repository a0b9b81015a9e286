#include "cmd/args.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define OPTIONS_MAX    64u
#define TIMEOUT_MAX_MS (24u * 3600u * 1000u)

/* ---- the sets as getopt_long() wants them ---- */

static void join(const struct args *args, struct option all[OPTIONS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < args->sets_count; i++) {
		CHECK(count + args->sets[i].count + 2 <= OPTIONS_MAX);
		memcpy(&all[count], args->sets[i].options,
		       args->sets[i].count * sizeof(struct option));
		count += args->sets[i].count;
	}
	all[count++] = (struct option){"help", no_argument, NULL, 'h'};
	all[count] = (struct option){NULL, 0, NULL, 0};
}

/* ":" first: what is missing is told from what is unknown. */
static void put_letters(const struct option *all, char letters[3 * OPTIONS_MAX])
{
	char *at = letters;

	*at++ = ':';
	for (; all->name; all++) {
		if (all->val > 'z')
			continue;
		*at++ = (char)all->val;
		if (all->has_arg == required_argument)
			*at++ = ':';
	}
	*at = '\0';
}

static struct args_set *set_of(struct args *args, int option)
{
	for (unsigned i = 0; i < args->sets_count; i++)
		for (unsigned n = 0; n < args->sets[i].count; n++)
			if (args->sets[i].options[n].val == option)
				return &args->sets[i];
	return NULL;
}

bool args_parse(struct args *args, int argc, char **argv, int *ret_code)
{
	char letters[3 * OPTIONS_MAX];
	struct option all[OPTIONS_MAX];
	int option, code = EXIT_OK;

	join(args, all);
	put_letters(all, letters);
	opterr = 0;
	optind = 1;
	while (code == EXIT_OK && (option = getopt_long(argc, argv, letters, all, NULL)) != -1) {
		struct args_set *set = set_of(args, option);

		if (option == 'h') {
			fputs(args->help, stdout);
			*ret_code = EXIT_OK;
			return false;
		}
		code = set ? set->take(set->arg, args->command, option)
			   : usage_error_option(args->command, argv, option);
		if (set)
			set->used = true;
	}
	*ret_code = code;
	return code == EXIT_OK;
}

/* ---- values ---- */

int args_number(const char *command, const char *name, unsigned max, unsigned *ret)
{
	uint64_t value;

	if (number_parse(optarg, &value) < 0 || value == 0 || value > max)
		return usage_error(command, "--%s is a number from 1 to %u, not '%s'", name, max,
				   optarg);
	*ret = (unsigned)value;
	return EXIT_OK;
}

int args_timeout(const char *command, const char *name, uint32_t *ret_ms)
{
	uint64_t ms;

	if (duration_parse(optarg, &ms) < 0 || ms == 0 || ms > TIMEOUT_MAX_MS)
		return usage_error(command,
				   "--%s is a time from 1ms to 24h such as 30s, 500ms or 2m, not "
				   "'%s'",
				   name, optarg);
	*ret_ms = (uint32_t)ms;
	return EXIT_OK;
}

int args_on_off(const char *command, const char *name, bool *ret)
{
	if (strcmp(optarg, "on") != 0 && strcmp(optarg, "off") != 0)
		return usage_error(command, "--%s is on or off, not '%s'", name, optarg);
	*ret = strcmp(optarg, "on") == 0;
	return EXIT_OK;
}

int args_list(const char *command, const char *name, const char **list, unsigned *count)
{
	if (*count == ARGS_LIST_MAX)
		return usage_error(command, "--%s at most %d times", name, ARGS_LIST_MAX);
	list[(*count)++] = optarg;
	return EXIT_OK;
}
