#include "cmd/args_kafka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define CONFIG_FILE_MAX (1024 * 1024)

static const struct option long_options[] = {{"option", required_argument, NULL, 'o'}};

static int failed(const char *command, const struct err *err)
{
	fprintf(stderr, "leat %s: %s\n", command, err->text);
	return EXIT_USAGE;
}

static int set(struct args_kafka *args, const char *command, const char *setting)
{
	const char *equals = strchr(setting, '=');
	struct err err = {0};

	if (!equals)
		return usage_error(command, "-o takes NAME=VALUE, not '%s'", setting);
	if (kafka_config_set(&args->config, slice_make(setting, (size_t)(equals - setting)),
			     slice_of(equals + 1), "-o", &err) < 0)
		return failed(command, &err);
	return EXIT_OK;
}

static int take(void *arg, const char *command, int option)
{
	struct args_kafka *args = arg;
	int code = args_list(command, "option", args->settings, &args->settings_count);

	return code == EXIT_OK ? set(args, command, optarg) : code;
}

/* They go before a file, also before one that comes later on the command line. */
static int set_again(struct args_kafka *args, const char *command)
{
	int code = EXIT_OK;

	for (unsigned i = 0; i < args->settings_count && code == EXIT_OK; i++)
		code = set(args, command, args->settings[i]);
	return code;
}

int args_kafka_read(struct args_kafka *args, const char *command, const char *name,
		    const char *file)
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
		err_set(&err, r, "--%s %s: %s", name, file, strerror(-r));
	else
		r = kafka_config_parse(&args->config, slice_make(text, len), file, &err);
	free(text);
	return r < 0 ? failed(command, &err) : set_again(args, command);
}

void args_kafka_init(struct args_kafka *args)
{
	*args = (struct args_kafka){
	    .options = {.config = &args->config, .listen = args->listen},
	};
	kafka_config_init(&args->config);
}

void args_kafka_fini(struct args_kafka *args)
{
	kafka_config_fini(&args->config);
}

struct args_set args_kafka_set(struct args_kafka *args)
{
	return (struct args_set){long_options, ARRAY_SIZE(long_options), take, args, false};
}
