/*
 * The same work on many partitions by several threads: each takes the next one that nobody has
 * taken. For loading (the processor's work) and for closing and making them, which wait for syncs
 * that the disk does together.
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/store/internal.h"
#include "sys/sys.h"

#define THREADS_MAX 64u

struct crew {
	struct partition **partitions;
	size_t count;
	_Atomic size_t next;
	_Atomic int result;            /* the first failure */
	const _Atomic bool *cancelled; /* NULL: it can't be */
	crew_work work;
	struct load load; /* what each thread begins with */
};

static void *run(void *arg)
{
	struct crew *crew = arg;
	struct load load = crew->load;
	size_t nth;

	while ((nth = atomic_fetch_add(&crew->next, 1)) < crew->count) {
		bool cancelled = crew->cancelled && *crew->cancelled;
		int r = cancelled ? -ECANCELED : crew->work(crew->partitions[nth], &load), none = 0;

		if (r < 0)
			atomic_compare_exchange_strong(&crew->result, &none, r);
	}
	free(load.buffer.memory);
	return NULL;
}

static int start_crew(struct crew crew, unsigned threads)
{
	pthread_t started[THREADS_MAX];
	unsigned running = 0;

	/* This thread is one of them; threads that can't be had are done without. */
	while (running + 1 < min_u64(threads, THREADS_MAX) && running + 1 < crew.count &&
	       pthread_create(&started[running], NULL, run, &crew) == 0)
		running++;
	run(&crew);
	for (unsigned i = 0; i < running; i++)
		pthread_join(started[i], NULL);
	return crew.result;
}

int crew_run(struct partition **partitions, size_t count, unsigned threads, crew_work work,
	     bool clean, int64_t now_ms)
{
	return start_crew((struct crew){.partitions = partitions,
					.count = count,
					.work = work,
					.load = {.clean = clean, .now_ms = now_ms}},
			  threads);
}

int crew_run_until(struct partition **partitions, size_t count, unsigned threads, crew_work work,
		   int64_t now_ms, const _Atomic bool *cancelled)
{
	return start_crew((struct crew){.partitions = partitions,
					.count = count,
					.cancelled = cancelled,
					.work = work,
					.load = {.now_ms = now_ms}},
			  threads);
}

static size_t count_all(const struct store *store)
{
	size_t count = 0;

	for (uint32_t i = 0; i < store->topic_count; i++)
		count += (size_t)topic_partition_count(store->by_name[i]);
	return count;
}

int crew_run_all(struct store *store, unsigned threads, crew_work work, bool clean, int64_t now_ms)
{
	size_t count = count_all(store), at = 0;
	struct partition **partitions = malloc((count + 1) * sizeof(struct partition *));
	int r;

	if (!partitions)
		return -ENOMEM;
	for (uint32_t i = 0; i < store->topic_count; i++)
		for (int32_t j = 0; j < topic_partition_count(store->by_name[i]); j++)
			partitions[at++] = topic_partition(store->by_name[i], j);
	r = crew_run(partitions, count, threads, work, clean, now_ms);
	free(partitions);
	return r;
}
