#include "kafka/broker/flush.h"

#include <stdlib.h>

#include "base/log.h"
#include "kafka/broker/watch.h"

struct flush {
	struct job job;
	struct message message; /* from a helper to the loop */
	struct list node;       /* in kafka_loop.flushes_waiting */
	struct kafka_loop *loop;
	struct partition *partition;
	bool more;
};

static void run(struct job *job)
{
	struct flush *flush = container_of(job, struct flush, job);

	flush->more = partition_flush(flush->partition);
}

static void submit(struct flush *flush);

static void done(struct job *job)
{
	struct flush *flush = container_of(job, struct flush, job);

	partition_wake(flush->partition);
	if (flush->more) {
		submit(flush);
		return;
	}
	topic_unref(partition_topic(flush->partition));
	free(flush);
}

static void submit(struct flush *flush)
{
	flush->job.what = "a sync of a log";
	flush->job.run = run;
	flush->job.done = done;
	if (helpers_submit_sync(flush->loop->loop, &flush->job) < 0)
		list_push_back(&flush->loop->flushes_waiting, &flush->node);
}

/* At the end of the loop nobody waits any more, and store_close() syncs what is left. */
static void sent(struct message *message)
{
	struct flush *flush = container_of(message, struct flush, message);

	if (flush->loop->inbox.loop) {
		submit(flush);
		return;
	}
	topic_unref(partition_topic(flush->partition));
	free(flush);
}

void flush_begin(struct kafka_loop *loop, struct partition *partition)
{
	struct flush *flush = calloc(1, sizeof(*flush));

	if (!flush) {
		/* Nobody else will do it: here and now. */
		while (partition_flush(partition))
			;
		partition_wake(partition);
		return;
	}
	list_init(&flush->node);
	flush->loop = loop;
	flush->partition = partition;
	topic_ref(partition_topic(partition));
	flush->message.fn = sent;
	if (loop_current())
		submit(flush);
	else
		inbox_send(&loop->inbox, &flush->message);
}

void flush_once(struct kafka_loop *loop, struct partition *partition)
{
	if (partition_flush(partition))
		flush_begin(loop, partition);
	partition_wake(partition);
}

enum kafka_error flush_now(struct partition *partition, int64_t end)
{
	struct partition_ends ends;
	enum kafka_error error = partition_ends(partition, &ends);

	if (error != KAFKA_NONE || ends.durable_end >= end)
		return error;
	partition_make_durable(partition, end);
	partition_wake(partition);
	error = partition_ends(partition, &ends);
	if (error == KAFKA_NONE && ends.durable_end < end)
		error = KAFKA_KAFKA_STORAGE_ERROR;
	return error;
}

void flush_retry(struct kafka_loop *loop)
{
	struct list waiting, *node;

	list_init(&waiting);
	list_move_all(&waiting, &loop->flushes_waiting);
	while ((node = list_pop_front(&waiting)))
		submit(container_of(node, struct flush, node));
}
