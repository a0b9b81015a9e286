/*
 * Loading all partitions by several threads: each takes the next one that nobody has taken.
 */
#include <stdlib.h>

#include "kafka/store/internal.h"
#include "sys/sys.h"

#define THREADS_MAX 64u

struct crew {
	struct store *store;
	struct partition **partitions;
	size_t count;
	_Atomic size_t next;
	int64_t now_ms;
};

static void *work(void *arg)
{
	struct crew *crew = arg;
	struct load load = {.clean = crew->store->was_clean, .now_ms = crew->now_ms};
	size_t nth;

	while ((nth = atomic_fetch_add(&crew->next, 1)) < crew->count)
		partition_load(crew->partitions[nth], &load);
	free(load.buffer);
	return NULL;
}

static size_t count_all(const struct store *store)
{
	size_t count = 0;

	for (uint32_t i = 0; i < store->topic_count; i++)
		count += (size_t)topic_partition_count(store->by_name[i]);
	return count;
}

/* Without memory for the list: one after the other. */
static void load_alone(struct crew *crew)
{
	struct load load = {.clean = crew->store->was_clean, .now_ms = crew->now_ms};

	for (uint32_t i = 0; i < crew->store->topic_count; i++)
		for (int32_t j = 0; j < topic_partition_count(crew->store->by_name[i]); j++)
			partition_load(topic_partition(crew->store->by_name[i], j), &load);
	free(load.buffer);
}

void store_load_partitions(struct store *store, int64_t now_ms, unsigned threads)
{
	struct crew crew = {.store = store, .count = count_all(store), .now_ms = now_ms};
	pthread_t started[THREADS_MAX];
	unsigned count = 0;
	size_t at = 0;

	crew.partitions = malloc((crew.count + 1) * sizeof(struct partition *));
	if (!crew.partitions) {
		load_alone(&crew);
		return;
	}
	for (uint32_t i = 0; i < store->topic_count; i++)
		for (int32_t j = 0; j < topic_partition_count(store->by_name[i]); j++)
			crew.partitions[at++] = topic_partition(store->by_name[i], j);
	threads = threads ? threads : (unsigned)sys_cpu_count();
	/* This thread is one of them; threads that can't be had are done without. */
	while (count + 1 < min_u64(threads, THREADS_MAX) && count + 1 < crew.count &&
	       pthread_create(&started[count], NULL, work, &crew) == 0)
		count++;
	work(&crew);
	for (unsigned i = 0; i < count; i++)
		pthread_join(started[i], NULL);
	free(crew.partitions);
}
