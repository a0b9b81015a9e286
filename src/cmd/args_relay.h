/* The options of the relay. */
#ifndef CMD_ARGS_RELAY_H
#define CMD_ARGS_RELAY_H

#include "cmd/args.h"
#include "relay/relay_server.h"

struct args_relay {
	struct relay_options options;
	const char *listen[ARGS_LIST_MAX + 1]; /* with LISTEN */
};

void args_relay_init(struct args_relay *args);
struct args_set args_relay_set(struct args_relay *args);

#endif
