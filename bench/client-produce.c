/*
 * A producer as an application has it: librdkafka with its defaults, records of the same size as
 * fast as it takes them.
 *
 *     client-produce PORT TOPIC RECORD_BYTES RECORDS
 *
 * Prints {"records":..., "cpu_ns":..., "wall_ns":...}: CPU time of all of its threads. A record that
 * could not be delivered ends it with a message.
 */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "support.h"

static uint64_t delivered;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *arg)
{
	if (message->err)
		die_text(rd_kafka_err2str(message->err));
	delivered++;
}

static void set(rd_kafka_conf_t *settings, const char *name, const char *value)
{
	char error[256];

	if (rd_kafka_conf_set(settings, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		die_text(error);
}

static rd_kafka_t *connect_to(uint64_t port)
{
	rd_kafka_conf_t *settings = rd_kafka_conf_new();
	char address[32], error[256];
	rd_kafka_t *client;

	snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)port);
	set(settings, "bootstrap.servers", address);
	rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, settings, error, sizeof(error));
	if (!client)
		die_text(error);
	return client;
}

static void produce(rd_kafka_t *client, rd_kafka_topic_t *topic, const char *value, size_t size)
{
	while (rd_kafka_produce(topic, 0, 0, (void *)value, size, NULL, 0, NULL) < 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die_text(rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(client, 100);
	}
	rd_kafka_poll(client, 0);
}

int main(int argc, char **argv)
{
	rd_kafka_topic_t *topic;
	uint64_t begin, records;
	rd_kafka_t *client;
	size_t size;
	char *value;

	if (argc != 5) {
		fprintf(stderr, "usage: %s PORT TOPIC RECORD_BYTES RECORDS\n", argv[0]);
		return 2;
	}
	size = parse_number(argv[3], 1, 1u << 20);
	records = parse_number(argv[4], 1, UINT32_MAX);
	value = malloc(size);
	if (!value)
		die("malloc");
	for (size_t i = 0; i < size; i++)
		value[i] = (char)random();
	client = connect_to(parse_number(argv[1], 1, UINT16_MAX));
	topic = rd_kafka_topic_new(client, argv[2], NULL);
	begin = wall_ns();
	for (uint64_t i = 0; i < records; i++)
		produce(client, topic, value, size);
	rd_kafka_flush(client, 60000);
	if (delivered != records)
		die_text("not all records were delivered within a minute");
	printf("{\"records\": %llu, \"cpu_ns\": %llu, \"wall_ns\": %llu}\n",
	       (unsigned long long)records, (unsigned long long)cpu_ns(),
	       (unsigned long long)(wall_ns() - begin));
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(client);
	free(value);
	return 0;
}
