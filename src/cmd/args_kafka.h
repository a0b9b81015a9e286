/*
 * The options of Kafka.
 */
#ifndef CMD_ARGS_KAFKA_H
#define CMD_ARGS_KAFKA_H

#include "cmd/args.h"
#include "kafka/broker/kafka_server.h"

struct args_kafka {
	struct kafka_options options;
	struct kafka_config config;
	const char *listen[ARGS_LIST_MAX];
	const char *settings[ARGS_LIST_MAX]; /* of -o */
	unsigned settings_count;
};

/* To the defaults; stays where it is. */
void args_kafka_init(struct args_kafka *args);
void args_kafka_fini(struct args_kafka *args);
/* Those that are called the same by every command: --option. */
struct args_set args_kafka_set(struct args_kafka *args);
/* Reads the settings of a server.properties; those of -o go before. EXIT_OK, or EXIT_USAGE once it has said why. */
int args_kafka_read(struct args_kafka *args, const char *command, const char *name,
		    const char *file);

#endif
