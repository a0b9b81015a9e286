/*
 * Fetch.
 *
 *     read what there is --enough, or an error--------------------> answer
 *        ^      |  |                                                 ^
 *        |      |  +--something is not in memory--> a helper reads --+
 *        |      v                                                    |
 *        |   watch the partitions --time is up: what there is--------+
 *        +------+ an append, a deletion
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

size_t fetch_size(size_t partitions)
{
	return sizeof(struct fetch) +
	       partitions * (sizeof(struct fetch_topic) + sizeof(struct fetch_part) +
			     sizeof(struct call_range));
}

/* ---- life ---- */

struct fetch *fetch_new(struct kafka_call *call, size_t partitions)
{
	bool large = partitions > KAFKA_INLINE_PARTITIONS;
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
	fetch->watching = false;
}

void fetch_release(struct kafka_call *call)
{
	struct fetch *fetch = call->state;

	unwatch(fetch);
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

/* -EAGAIN: not without waiting for the disk. Else: is it enough? */
static int fetch_read(struct fetch *fetch, bool nowait)
{
	size_t left = (size_t)fetch->max_bytes, bytes = 0;
	bool at_once = fetch->wait_ms <= 0;
	unsigned unknown = 0, slices_left = store_slices_max(fetch->call->server->store);

	for (unsigned i = 0; i < fetch->parts_count; i++) {
		struct fetch_part *part = &fetch->parts[i];
		struct partition_read read = {
		    .max_bytes = slices_left ? min_size((size_t)part->max_bytes, left) : 0,
		    .whole_first = bytes == 0,
		    .nowait = nowait,
		    .lent = true,
		    .isolation = fetch->isolation,
		};
		int r = read_part(fetch, part, &read);

		if (r < 0)
			return r;
		bytes += part->slice.len;
		left -= min_size(left, part->slice.len);
		slices_left -= part->slice.len > 0;
		if (fetch->session)
			fetch->session->parts[i].served = part->slice.len > 0;
		unknown += part->unknown != KAFKA_NONE;
		if ((part->error != KAFKA_NONE && part->unknown == KAFKA_NONE) ||
		    part->diverging.epoch >= 0 ||
		    (part->slice.len > 0 && !part->slice.newest_segment))
			at_once = true;
	}
	/* A topic that is not there keeps nobody from waiting for others: its consumer would ask
	 * again and again. */
	if (unknown == fetch->parts_count)
		at_once = true;
	if (fetch->session)
		fetch->session->unfair = left == 0 || slices_left == 0;
	return at_once || bytes >= (size_t)fetch->min_bytes;
}

/* ---- the answer ---- */

static bool put_aborted(struct kafka_call *call, const struct fetch *fetch, struct fetch_part *part,
			struct kafka_fetch_response_partition *to)
{
	int64_t from = part->slice.base_offset, to_offset = part->slice.ends.last_stable;
	struct partition_aborted *found, none;
	unsigned room, count;

	to->aborted_transactions.count = -1;
	if (fetch->isolation != PARTITION_READ_COMMITTED || part->error != KAFKA_NONE)
		return true;
	to->aborted_transactions.count = 0;
	if (part->slice.len == 0)
		return true;
	/* Up to the last stable offset: a few too many do no harm, they end before. */
	room = partition_aborted(part->partition, from, to_offset, &none, 0);
	if (room == 0)
		return true;
	found = call_take(call, room, sizeof(*found));
	if (!found)
		return false;
	count = partition_aborted(part->partition, from, to_offset, found, room);
	_Static_assert(sizeof(*found) == sizeof(*to->aborted_transactions.at), "the same fields");
	to->aborted_transactions.at = (void *)found;
	to->aborted_transactions.count = (int32_t)min_u64(count, room);
	return true;
}

static bool put_part(struct kafka_call *call, const struct fetch *fetch, struct fetch_part *part,
		     struct kafka_fetch_response_partition *to)
{
	bool good = part->error == KAFKA_NONE;

	to->partition_index = part->number;
	to->error_code = (int16_t)part->error;
	to->high_watermark = good ? part->slice.ends.high_watermark : -1;
	to->last_stable_offset = good ? part->slice.ends.last_stable : -1;
	to->log_start_offset = good ? part->slice.ends.log_start : -1;
	to->diverging_epoch.epoch = good ? part->diverging.epoch : -1;
	to->diverging_epoch.end_offset = good ? part->diverging.end : -1;
	to->current_leader.leader_id = -1;
	to->current_leader.leader_epoch = -1;
	to->snapshot_id.end_offset = -1;
	to->snapshot_id.epoch = -1;
	to->preferred_read_replica = -1;
	/* The token by which its gap is found again. */
	to->records = slice_make((const char *)part, part->slice.len);
	return put_aborted(call, fetch, part, to);
}

/* Parts change hands: from the fetch to the answer's ranges. */
static void take_ranges(struct kafka_call *call, struct fetch *fetch, const struct kafka_gap *gaps)
{
	call->ranges = fetch->ranges;
	for (unsigned i = 0; i < fetch->parts_count; i++) {
		struct fetch_part *part = &fetch->parts[i];

		/* Empty ones leave no gap. */
		if (part->slice.len == 0)
			continue;
		CHECK(gaps->records.ptr == (const char *)part);
		fetch->ranges[call->ranges_count++] =
		    (struct call_range){.at = gaps->at, .slice = part->slice};
		gaps++;
		fetch_no_slice(part);
	}
}

/* Is there anything of it that the client does not know? */
static bool is_news(struct fetch *fetch, unsigned number)
{
	const struct fetch_part *part = &fetch->parts[number];
	const struct partition_ends *ends = &part->slice.ends;
	struct session_part *told = fetch->session ? &fetch->session->parts[number] : NULL;
	bool news = !fetch->incremental || part->slice.len > 0 || part->error != KAFKA_NONE ||
		    part->diverging.epoch >= 0;

	if (!told)
		return news;
	news |= told->high_watermark != ends->high_watermark || told->log_start != ends->log_start;
	told->high_watermark = ends->high_watermark;
	told->log_start = ends->log_start;
	return news;
}

struct answering {
	struct kafka_fetch_response response;
	struct kafka_fetch_response_partition *parts;
	struct kafka_fetch_response_response *topics;
	struct kafka_gap *gaps;
	unsigned parts_count;
	size_t bytes;
};

static bool answer_topic(struct kafka_call *call, struct fetch *fetch, struct answering *a,
			 unsigned number, unsigned first)
{
	const struct fetch_topic *topic = &fetch->topics[number];
	struct kafka_fetch_response_response *to = &a->topics[a->response.responses.count];

	to->topic = topic->name;
	to->topic_id = topic->id;
	to->partitions.at = &a->parts[a->parts_count];
	for (unsigned i = first; i < first + topic->count; i++) {
		if (!is_news(fetch, i))
			continue;
		if (!put_part(call, fetch, &fetch->parts[i], &a->parts[a->parts_count++]))
			return false;
		a->bytes += fetch->parts[i].slice.len;
		to->partitions.count++;
	}
	if (to->partitions.count > 0 || !fetch->incremental)
		a->response.responses.count++;
	return true;
}

static enum handled fetch_answer(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	struct answering a = {
	    .parts = call_take(call, fetch->parts_count, sizeof(*a.parts)),
	    .topics = call_take(call, fetch->topics_count, sizeof(*a.topics)),
	    .gaps = call_take(call, fetch->parts_count, sizeof(*a.gaps)),
	};
	enum handled handled;
	unsigned first = 0;

	if (!a.parts || !a.topics || !a.gaps)
		return CALL_ENDS;
	kafka_fetch_response_init(&a.response);
	a.response.session_id = fetch->session ? fetch->session->id : 0;
	a.response.responses.at = a.topics;
	for (unsigned i = 0; i < fetch->topics_count; first += fetch->topics[i++].count)
		if (!answer_topic(call, fetch, &a, i, first))
			return CALL_ENDS;
	if (a.bytes == 0)
		return call_answer(call, &a.response);
	call->room = fetch->head;
	call->room_size = sizeof(fetch->head);
	handled = call_answer_ranges(call, &a.response, a.gaps, fetch->parts_count);
	if (handled == CALL_ANSWERED)
		take_ranges(call, fetch, a.gaps);
	return handled;
}

/* ---- waiting ---- */

/* On a helper: answered with what there is. */
static enum handled fetch_blocking(struct kafka_call *call)
{
	struct fetch *fetch = call->state;

	call_renew_work(call);
	fetch_read(fetch, false);
	return fetch_answer(call);
}

static enum handled fetch_blocks(struct kafka_call *call)
{
	struct fetch *fetch = call->state;

	unwatch(fetch);
	release_slices(fetch);
	call->expired = NULL;
	call->abandoned = NULL;
	call->blocking = fetch_blocking;
	return CALL_BLOCKS;
}

static void look_again(struct fetch *fetch, bool time_is_up)
{
	struct kafka_call *call = fetch->call;
	int r = fetch_read(fetch, true);

	call_renew_work(call);
	if (r < 0) {
		call_answered(call, fetch_blocks(call));
	} else if (r > 0 || time_is_up) {
		unwatch(fetch);
		call->abandoned = NULL;
		call_answered(call, fetch_answer(call));
	} else {
		release_slices(fetch);
	}
}

static void woken(struct message *message)
{
	struct fetch *fetch = container_of(message, struct fetch, waiter.message);

	waiter_woken(&fetch->waiter);
	if (!fetch->call)
		give_back(fetch);
	else if (fetch->watching)
		look_again(fetch, false);
}

static void expired(struct kafka_call *call)
{
	look_again(call->state, true);
}

static void abandoned(struct kafka_call *call)
{
	call_free(call);
}

static enum handled fetch_wait(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	int r;

	release_slices(fetch);
	fetch->waiter.message.fn = woken;
	fetch->watching = true;
	for (unsigned i = 0; i < fetch->parts_count; i++)
		if (fetch->parts[i].partition)
			watcher_add(&fetch->parts[i].watcher, fetch->parts[i].partition,
				    &fetch->waiter);
	/* What came before the watch was there. */
	r = fetch_read(fetch, true);
	if (r < 0)
		return fetch_blocks(call);
	if (r > 0) {
		unwatch(fetch);
		return fetch_answer(call);
	}
	release_slices(fetch);
	call->expired = expired;
	call->abandoned = abandoned;
	call->wait_ms = (uint32_t)fetch->wait_ms;
	return CALL_WAITS;
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

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	error = fetch_request(call, &request);
	fetch = call->state;
	if (error != KAFKA_NONE)
		return refuse(call, error);
	if (!fetch)
		return CALL_ENDS;
	r = fetch_read(fetch, true);
	if (r < 0)
		return fetch_blocks(call);
	return r > 0 ? fetch_answer(call) : fetch_wait(call);
}
