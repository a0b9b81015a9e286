#include "kafka/broker/durable.h"

#include <stdlib.h>

#include "kafka/broker/watch.h"

struct durable {
	struct waiter waiter;
	struct watcher watcher;
	struct kafka_call *call; /* NULL: only the message is still to come */
	struct partition *partition;
	int64_t offset;
	bool watching;
};

static void stop(struct durable *durable)
{
	if (durable->watching)
		watcher_remove(&durable->watcher, durable->partition);
	durable->watching = false;
}

static void release(struct kafka_call *call)
{
	struct durable *durable = call->state;

	stop(durable);
	topic_unref(partition_topic(durable->partition));
	durable->call = NULL;
	if (waiter_is_idle(&durable->waiter))
		free(durable);
}

/* CALL_WAITS: not yet. */
static enum handled look(const struct durable *durable)
{
	struct partition_ends ends;

	if (partition_ends(durable->partition, &ends) != KAFKA_NONE)
		return CALL_ENDS;
	return ends.durable_end > durable->offset ? CALL_ANSWERED : CALL_WAITS;
}

static void woken(struct message *message)
{
	struct durable *durable = container_of(message, struct durable, waiter.message);
	enum handled handled;

	waiter_woken(&durable->waiter);
	if (!durable->call) {
		free(durable);
		return;
	}
	/* A wake that came while the call was being answered: it may still be leaving. */
	if (!durable->watching)
		return;
	handled = look(durable);
	if (handled == CALL_WAITS)
		return;
	stop(durable);
	durable->call->abandoned = NULL;
	call_answered(durable->call, handled);
}

static void abandoned(struct kafka_call *call)
{
	call_free(call);
}

enum handled durable_wait(struct kafka_call *call, struct partition *partition, int64_t offset)
{
	struct durable *durable = calloc(1, sizeof(*durable));
	enum handled handled;

	CHECK(call->own_bytes && !call->state);
	if (!durable)
		return CALL_ENDS;
	topic_ref(partition_topic(partition));
	durable->call = call;
	durable->partition = partition;
	durable->offset = offset;
	durable->waiter.home = &call->home->inbox;
	durable->waiter.message.fn = woken;
	durable->watching = true;
	list_init(&durable->watcher.node);
	call->state = durable;
	call->release_state = release;
	call->abandoned = abandoned;
	watcher_add(&durable->watcher, partition, &durable->waiter);
	handled = look(durable);
	if (handled != CALL_WAITS) {
		stop(durable);
		call->abandoned = NULL;
	}
	return handled;
}
