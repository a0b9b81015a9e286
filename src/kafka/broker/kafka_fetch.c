/*
 * Fetch.
 *
 *     read what there is --enough, or an error--------------------> answer
 *        |      |                                                    ^
 *        |      +--something is not in memory--> a helper reads -----+
 *        v                                                           |
 *     watch the partitions --time is up: what there is---------------+
 *        ^      | an append, a deletion                              |
 *        |      v                                                    |
 *        +-- look at those partitions alone --together enough: read--+
 *
 * While it waits, a fetch knows of each partition how many bytes were ready when it was looked at last,
 * and an append costs it a look at one partition, however many it watches.
 *
 * Where it has more partitions than a loop reads in a turn, a helper does each step that goes over all
 * of them: it reads, watches, reads again and answers, or leaves the waiting to the loop
 * (fetch_blocking(), fetch_resume()). Events that come meanwhile are looked at then.
 *
 * Within a session the partitions are the session's, and the answer leaves out those of which there
 * is nothing new to tell (core/fetch_session.h).
 *
 * The answer is a chain: bytes, a range of a segment, bytes... A range holds its segment until it
 * has left.
 */
#include "kafka/broker/kafka_fetch.h"

#include <errno.h>
#include <stdlib.h>

#include "kafka/broker/core/fetch_session.h"
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/watch.h"

static void woken(struct message *message);

size_t fetch_size(size_t partitions)
{
	return sizeof(struct fetch) +
	       partitions * (sizeof(struct fetch_topic) + sizeof(struct fetch_part) +
			     sizeof(struct call_range));
}

/* ---- life ---- */

struct fetch *fetch_new(struct kafka_call *call, size_t partitions)
{
	/* What lies ready is the loop's. */
	bool large = partitions > KAFKA_INLINE_PARTITIONS || call->apart;
	size_t room = large ? partitions : KAFKA_INLINE_PARTITIONS;
	struct fetch *fetch = NULL;

	if (!large)
		fetch = spare_take(&call->home->fetches);
	else if (fetch_size(partitions) <= KAFKA_WORK_BYTES_MAX)
		fetch = malloc(fetch_size(partitions));
	if (!fetch)
		return NULL;
	memset(fetch, 0, large ? fetch_size(partitions) : offsetof(struct fetch, head));
	fetch->call = call;
	fetch->loop = call->home;
	fetch->large = large;
	fetch->topics = (struct fetch_topic *)(fetch + 1);
	fetch->parts = (struct fetch_part *)(fetch->topics + room);
	fetch->ranges = (struct call_range *)(fetch->parts + room);
	fetch->waiter.home = &call->home->inbox;
	return fetch;
}

static void give_back(struct fetch *fetch)
{
	if (fetch->large)
		free(fetch);
	else
		spare_give(&fetch->loop->fetches, fetch);
}

static void release_slices(struct fetch *fetch)
{
	for (unsigned i = 0; i < fetch->parts_count; i++)
		partition_slice_release(&fetch->parts[i].slice);
}

static void unwatch(struct fetch *fetch)
{
	if (!fetch->watching)
		return;
	for (unsigned i = 0; i < fetch->parts_count; i++)
		if (fetch->parts[i].partition)
			watcher_remove(&fetch->parts[i].watcher, fetch->parts[i].partition);
	waiter_forget(&fetch->waiter);
	fetch->watching = false;
}

static void watch(struct fetch *fetch)
{
	fetch->waiter.message.fn = woken;
	fetch->watching = true;
	for (unsigned i = 0; i < fetch->parts_count; i++)
		if (fetch->parts[i].partition)
			watcher_add(&fetch->parts[i].watcher, fetch->parts[i].partition,
				    &fetch->waiter);
}

void fetch_release(struct kafka_call *call)
{
	struct fetch *fetch = call->state;

	unwatch(fetch);
	held_give(&fetch->loop->server->held, HELD_FETCHES, fetch->held);
	release_slices(fetch);
	for (unsigned i = 0; i < call->ranges_count; i++)
		partition_slice_release(&call->ranges[i].slice);
	for (unsigned i = 0; i < fetch->topics_count; i++) {
		if (fetch->topics[i].topic)
			topic_unref(fetch->topics[i].topic);
		free(fetch->topics[i].own_name);
	}
	if (fetch->session)
		fetch_session_done(fetch->session);
	fetch->session = NULL;
	fetch->call = NULL;
	if (waiter_is_idle(&fetch->waiter))
		give_back(fetch);
}

/* ---- reading ---- */

void fetch_no_slice(struct fetch_part *part)
{
	part->slice = (struct partition_slice){.fd = -1};
	part->slice.ends = (struct partition_ends){-1, -1, -1, -1, -1, -1};
}

/* The client's log and ours part before its offset (KIP-595): it gets no records, but is told where. */
static bool fetch_diverges(struct fetch_part *part)
{
	int32_t epoch = -1;
	int64_t end = -1;

	part->diverging.epoch = -1;
	part->diverging.end = -1;
	if (part->last_epoch < 0)
		return false;
	part->error = partition_epoch_end(part->partition, part->last_epoch, &epoch, &end);
	if (part->error == KAFKA_NONE && epoch < 0)
		part->error = KAFKA_OFFSET_OUT_OF_RANGE;
	if (part->error != KAFKA_NONE)
		return true;
	if (epoch == part->last_epoch && end >= part->offset)
		return false;
	part->diverging.epoch = epoch;
	part->diverging.end = end;
	part->error = partition_ends(part->partition, &part->slice.ends);
	return true;
}

static int read_part(const struct fetch *fetch, struct fetch_part *part,
		     struct partition_read *read)
{
	struct partition_ends ends;

	part->error = part->unknown;
	if (part->error == KAFKA_NONE && fetch->by_follower)
		part->error = KAFKA_NOT_LEADER_OR_FOLLOWER;
	fetch_no_slice(part);
	if (part->error == KAFKA_NONE && part->epoch >= 0)
		part->error = call_partition_ends(part->partition, part->epoch, &ends);
	if (part->error != KAFKA_NONE || fetch_diverges(part))
		return 0;
	read->offset = part->offset;
	return partition_read(part->partition, read, &part->slice, &part->error);
}

/* One part, of which at most `left` bytes are wanted. -EAGAIN: not without waiting for the disk. Else: is
 * there no use in waiting for more? */
static int look_at_part(struct fetch *fetch, struct fetch_part *part, size_t left, bool nowait)
{
	struct partition_read read = {
	    .max_bytes = min_size((size_t)part->max_bytes, left),
	    .whole_first = fetch->ready == 0,
	    .nowait = nowait,
	    .lent = true,
	    .isolation = fetch->isolation,
	};
	int r = read_part(fetch, part, &read);

	if (r < 0)
		return r;
	part->ready = part->slice.len;
	fetch->ready += part->ready;
	return (part->error != KAFKA_NONE && part->unknown == KAFKA_NONE) ||
	       part->diverging.epoch >= 0 || (part->slice.len > 0 && !part->slice.newest_segment);
}

/* -EAGAIN: not without waiting for the disk. -ECANCELED: nobody waits for it any more. Else: is it
 * enough? */
static int fetch_read(struct fetch *fetch, bool nowait)
{
	size_t left = (size_t)fetch->max_bytes;
	bool at_once = fetch->wait_ms <= 0;
	unsigned unknown = 0, slices_left = store_slices_max(fetch->call->server->store);

	fetch->ready = 0;
	for (unsigned i = 0; i < fetch->parts_count; i++) {
		struct fetch_part *part = &fetch->parts[i];
		int r = look_at_part(fetch, part, slices_left ? left : 0, nowait);

		if (r < 0)
			return r;
		at_once |= r > 0;
		left -= min_size(left, part->slice.len);
		slices_left -= part->slice.len > 0;
		if (fetch->session)
			fetch->session->parts[i].served = part->slice.len > 0;
		unknown += part->unknown != KAFKA_NONE;
		if (!call_step(fetch->call, 1))
			return -ECANCELED;
	}
	/* A topic that is not there keeps nobody from waiting for others: its consumer would ask
	 * again and again. */
	if (unknown == fetch->parts_count)
		at_once = true;
	if (fetch->session)
		fetch->session->unfair = left == 0 || slices_left == 0;
	return at_once || fetch->ready >= (size_t)fetch->min_bytes;
}

/* Of those alone whose partitions have got on, which are at most as many as a loop reads. As
 * fetch_read(). */
static int fetch_read_noted(struct fetch *fetch)
{
	struct watcher *watcher;
	unsigned looks = 0;
	bool at_once = false;

	while ((watcher = waiter_take(&fetch->waiter))) {
		struct fetch_part *part = container_of(watcher, struct fetch_part, watcher);
		int r;

		if (++looks > KAFKA_ELEMENTS_ON_LOOP)
			return -EAGAIN;
		fetch->ready -= part->ready;
		part->ready = 0;
		r = look_at_part(fetch, part, (size_t)fetch->max_bytes, true);
		partition_slice_release(&part->slice);
		fetch_no_slice(part);
		if (r < 0)
			return r;
		at_once |= r > 0;
	}
	return at_once || fetch->ready >= (size_t)fetch->min_bytes;
}

/* ---- waiting ---- */

static bool is_for_helper(const struct fetch *fetch)
{
	return fetch->parts_count > KAFKA_ELEMENTS_ON_LOOP;
}

/* May it wait with the memory that it has? That of a few partitions is the connection's due. */
static bool hold(struct fetch *fetch)
{
	uint64_t bytes = fetch->large ? fetch_size(fetch->parts_count) : 0;

	if (fetch->held > 0 || bytes == 0)
		return true;
	if (bytes > KAFKA_WAIT_BYTES_MAX ||
	    !held_take(&fetch->loop->server->held, HELD_FETCHES, bytes))
		return false;
	fetch->held = bytes;
	return true;
}

static enum handled fetch_resume(struct kafka_call *call);

/* On a helper: answered with what there is, unless it may wait. */
static enum handled fetch_blocking(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	bool waits = fetch->waits && fetch->wait_ms > 0 && hold(fetch);
	int r;

	call_renew_work(call);
	if (waits && !fetch->watching)
		watch(fetch);
	/* What came before the watch was there. */
	r = fetch_read(fetch, false);
	if (r == -ECANCELED)
		return CALL_ENDS;
	if (r == 0 && waits) {
		release_slices(fetch);
		call->resume = fetch_resume;
		return CALL_ENDS; /* unless the loop says otherwise */
	}
	unwatch(fetch);
	return fetch_answer(call);
}

static enum handled fetch_blocks(struct kafka_call *call, bool waits)
{
	struct fetch *fetch = call->state;

	if (!waits)
		unwatch(fetch);
	release_slices(fetch);
	fetch->waits = waits;
	call->expired = NULL;
	call->abandoned = NULL;
	call->resume = NULL;
	call->blocking = fetch_blocking;
	call->heavy = call->is_long = is_for_helper(fetch);
	return CALL_BLOCKS;
}

/* All of it, for the answer. */
static enum handled fetch_again(struct kafka_call *call)
{
	struct fetch *fetch = call->state;

	unwatch(fetch);
	call->abandoned = NULL;
	if (is_for_helper(fetch) || fetch_read(fetch, true) < 0)
		return fetch_blocks(call, false);
	return fetch_answer(call);
}

/* CALL_WAITS: not yet. */
static enum handled fetch_look_again(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	int r = fetch_read_noted(fetch);

	call_renew_work(call);
	if (r < 0)
		return fetch_blocks(call, is_for_helper(fetch));
	return r > 0 ? fetch_again(call) : CALL_WAITS;
}

static void woken(struct message *message)
{
	struct fetch *fetch = container_of(message, struct fetch, waiter.message);
	enum handled handled;

	waiter_woken(&fetch->waiter);
	if (!fetch->call) {
		give_back(fetch);
	} else if (fetch->call->blocks) {
		fetch->again = true;
	} else if (fetch->watching) {
		handled = fetch_look_again(fetch->call);
		if (handled != CALL_WAITS)
			call_answered(fetch->call, handled);
	}
}

static void expired(struct kafka_call *call)
{
	call_renew_work(call);
	call_answered(call, fetch_again(call));
}

static void abandoned(struct kafka_call *call)
{
	call_free(call);
}

static enum handled wait_for_more(struct kafka_call *call)
{
	const struct fetch *fetch = call->state;
	uint64_t now_ms = call_now_ms(call);

	call->expired = expired;
	call->abandoned = abandoned;
	call->wait_ms = fetch->until_ms > now_ms ? (uint32_t)(fetch->until_ms - now_ms) : 1;
	return CALL_WAITS;
}

/* Back on the loop, watching: if the connection is still there. */
static enum handled fetch_resume(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	enum handled handled = CALL_WAITS;

	call->resume = NULL;
	call->heavy = false;
	if (!conn_deref(call->conn))
		return CALL_ENDS;
	call_drop_body(call);
	if (fetch->again)
		handled = fetch_look_again(call);
	fetch->again = false;
	return handled == CALL_WAITS ? wait_for_more(call) : handled;
}

static enum handled fetch_wait(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	int r;

	if (!hold(fetch))
		return fetch_answer(call);
	release_slices(fetch);
	watch(fetch);
	/* What came before the watch was there. */
	r = fetch_read(fetch, true);
	if (r < 0)
		return fetch_blocks(call, false);
	if (r > 0) {
		unwatch(fetch);
		return fetch_answer(call);
	}
	release_slices(fetch);
	return wait_for_more(call);
}

/* ---- the request ---- */

static enum handled refuse(struct kafka_call *call, enum kafka_error error)
{
	struct kafka_fetch_response response;

	kafka_fetch_response_init(&response);
	response.error_code = (int16_t)error;
	return call_answer(call, &response);
}

enum handled handle_fetch(struct kafka_call *call)
{
	struct kafka_fetch_request request;
	enum kafka_error error;
	struct fetch *fetch;
	int r;

	if (!call_decode_most(call, &request, KAFKA_FETCH_ELEMENTS_ON_LOOP))
		return CALL_CLOSES;
	error = fetch_request(call, &request);
	fetch = call->state;
	if (error != KAFKA_NONE)
		return refuse(call, error);
	if (!fetch)
		return CALL_ENDS;
	fetch->waits = true;
	call->elements += fetch->parts_count;
	if (call->apart)
		return fetch_blocking(call);
	if (is_for_helper(fetch))
		return fetch_blocks(call, true);
	r = fetch_read(fetch, true);
	if (r < 0)
		return fetch_blocks(call, false);
	return r > 0 ? fetch_answer(call) : fetch_wait(call);
}
