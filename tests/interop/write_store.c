/*
 * Writes a store for Kafka's own tools to read: segments that were rolled, idempotent producers,
 * batches of many sizes, a torn tail that a recovery has cut, deleted records.
 *
 *     write_store FOLDER
 */
#include "unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/kafka/store/kit.h"

/* A new epoch of the producer each time. */
static void fill(struct partition *partition, int16_t epoch, unsigned batches, int64_t from)
{
	int32_t sequence = 0;

	for (unsigned i = 0; i < batches; i++) {
		struct kit_batch batch = KIT_PLAIN(1 + (int32_t)(i % 20), 10 + i * 37 % 3000,
						   from + (int64_t)(i * 10) - (i % 3) * 25);

		if (i % 4 == 0) {
			batch.producer_id = 1000;
			batch.epoch = epoch;
			batch.sequence = sequence;
			sequence += batch.records;
		}
		CHECK(kit_append(partition, &batch, NULL) == KAFKA_NONE);
	}
}

static void tear(const char *folder, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_APPEND);
	CHECK(fd >= 0 && write(fd, "\0\0\0\0torn", 8) == 8);
	close(fd);
	snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", folder);
	unlink(path);
}

int main(int argc, char **argv)
{
	struct topic_config config;
	struct store *store;
	int64_t start;

	CHECK(argc == 2);
	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 1 << 20);
	store = kit_open(argv[1], &config);
	CHECK(store_topic_create(store, slice_of("orders"), 2, NULL, NULL) == KAFKA_NONE);
	CHECK(store_topic_create(store, slice_of("torn"), 1, NULL, NULL) == KAFKA_NONE);
	fill(kit_partition(store, "orders", 0), 3, 400, KIT_NOW);
	fill(kit_partition(store, "orders", 1), 3, 3, KIT_NOW);
	fill(kit_partition(store, "torn", 0), 3, 20, KIT_NOW);
	CHECK(store_close(store) == 0);
	/* On with it, after an end that was not clean. */
	tear(argv[1], "torn-0/00000000000000000000.log");
	store = kit_open(argv[1], &config);
	CHECK(partition_set_leader_epoch(kit_partition(store, "torn", 0), 4) == KAFKA_NONE);
	fill(kit_partition(store, "orders", 0), 4, 100, KIT_NOW + 1000000);
	fill(kit_partition(store, "torn", 0), 4, 1, KIT_NOW + 1000000);
	CHECK(partition_delete_records(kit_partition(store, "orders", 1), 2, &start) == KAFKA_NONE);
	CHECK(store_close(store) == 0);
	return 0;
}
