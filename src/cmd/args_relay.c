#include "cmd/args_relay.h"

enum {
	OPTION_BALANCE = 384,
	OPTION_CONNECT_TIMEOUT,
	OPTION_IDLE_TIMEOUT,
	OPTION_HALF_CLOSE_TIMEOUT,
	OPTION_SEND_PROXY,
	OPTION_LOG,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"balance", required_argument, NULL, OPTION_BALANCE},
    {"connect-timeout", required_argument, NULL, OPTION_CONNECT_TIMEOUT},
    {"idle-timeout", required_argument, NULL, OPTION_IDLE_TIMEOUT},
    {"half-close-timeout", required_argument, NULL, OPTION_HALF_CLOSE_TIMEOUT},
    {"send-proxy", no_argument, NULL, OPTION_SEND_PROXY},
    {"log", no_argument, NULL, OPTION_LOG},
};

static int args_relay_take(void *arg, const char *command, int option)
{
	struct args_relay *args = arg;
	struct relay_options *o = &args->options;

	switch (option) {
	case 'l':
		return args_list(command, "listen", args->listen, &o->listen_count);
	case OPTION_BALANCE:
		if (upstream_method_parse(optarg, &o->method) == 0)
			return EXIT_OK;
		return usage_error(command,
				   "--balance is round-robin, least, random or hash, not '%s'",
				   optarg);
	case OPTION_CONNECT_TIMEOUT:
		return args_timeout(command, "connect-timeout", &o->connect_ms);
	case OPTION_IDLE_TIMEOUT:
		return args_timeout(command, "idle-timeout", &o->idle_ms);
	case OPTION_HALF_CLOSE_TIMEOUT:
		return args_timeout(command, "half-close-timeout", &o->half_close_ms);
	case OPTION_SEND_PROXY:
		o->send_proxy = true;
		return EXIT_OK;
	default:
		o->log = true;
		return EXIT_OK;
	}
}

void args_relay_init(struct args_relay *args)
{
	*args = (struct args_relay){.options = {.listen = args->listen}};
}

struct args_set args_relay_set(struct args_relay *args)
{
	return (struct args_set){long_options, ARRAY_SIZE(long_options), args_relay_take, args,
				 false};
}
