#include "cmd/args_serve.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "cmd/notify.h"

enum {
	OPTION_MAX_CONNECTIONS = 256,
	OPTION_DRAIN_TIMEOUT,
	OPTION_ADMIN,
	OPTION_ADMIN_HOST,
	OPTION_NO_SANDBOX
};

static const struct option long_options[] = {
    {"threads", required_argument, NULL, 't'},
    {"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
    {"drain-timeout", required_argument, NULL, OPTION_DRAIN_TIMEOUT},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"admin-host", required_argument, NULL, OPTION_ADMIN_HOST},
    {"user", required_argument, NULL, 'u'},
    {"no-sandbox", no_argument, NULL, OPTION_NO_SANDBOX},
};

static int add_admin_host(struct serve_options *o, const char *command)
{
	if (o->admin_host_count == SERVE_ADMIN_HOSTS_MAX)
		return usage_error(command, "--admin-host at most %d times", SERVE_ADMIN_HOSTS_MAX);
	o->admin_hosts[o->admin_host_count++] = optarg;
	return EXIT_OK;
}

static int take(void *arg, const char *command, int option)
{
	struct serve_options *o = arg;

	switch (option) {
	case 't':
		return args_number(command, "threads", 1024, &o->threads);
	case OPTION_MAX_CONNECTIONS:
		return args_number(command, "max-connections", INT_MAX, &o->connections_max);
	case OPTION_DRAIN_TIMEOUT:
		return args_timeout(command, "drain-timeout", &o->drain_ms);
	case OPTION_ADMIN:
		o->admin = optarg;
		break;
	case OPTION_ADMIN_HOST:
		return add_admin_host(o, command);
	case 'u':
		o->user = optarg;
		break;
	default:
		o->sandbox = false;
		break;
	}
	return EXIT_OK;
}

struct args_set args_serve_set(struct serve_options *options)
{
	return (struct args_set){long_options, ARRAY_SIZE(long_options), take, options, false};
}

int args_serve_run(const char *command, struct serve_options *options)
{
	struct notify notify;
	struct err err = {0};
	int r;

	notify_open(&notify);
	options->ready = notify_ready;
	options->ready_arg = &notify;
	r = serve(options, &err);
	if (r == 0)
		return EXIT_OK;
	fprintf(stderr, "leat %s: %s\n", command, err.text);
	/* An address or a file of types that can't be read as such. */
	return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}
