/*
 * A fetch's answer: of what was read, the partitions of which there is something to tell, and their
 * records as ranges of segments.
 */
#include "kafka/broker/kafka_fetch.h"

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
	unsigned topic; /* the one that was answered last */
	size_t bytes;
};

/* Partitions of one topic that follow each other stand together. */
static struct kafka_fetch_response_response *answer_topic(struct fetch *fetch, struct answering *a,
							  unsigned number)
{
	const struct fetch_topic *topic = &fetch->topics[number];
	struct kafka_fetch_response_response *to;

	if (a->response.responses.count > 0 && a->topic == number)
		return &a->topics[a->response.responses.count - 1];
	a->topic = number;
	to = &a->topics[a->response.responses.count++];
	to->topic = topic->name;
	to->topic_id = topic->id;
	to->partitions.at = &a->parts[a->parts_count];
	return to;
}

static bool answer_parts(struct kafka_call *call, struct fetch *fetch, struct answering *a)
{
	for (unsigned i = 0; i < fetch->parts_count; i++) {
		struct fetch_part *part = &fetch->parts[i];

		if (!call_step(call, 1))
			return false;
		if (!is_news(fetch, i))
			continue;
		answer_topic(fetch, a, part->topic)->partitions.count++;
		if (!put_part(call, fetch, part, &a->parts[a->parts_count++]))
			return false;
		a->bytes += part->slice.len;
	}
	return true;
}

enum handled fetch_answer(struct kafka_call *call)
{
	struct fetch *fetch = call->state;
	struct answering a = {
	    .parts = call_take(call, fetch->parts_count, sizeof(*a.parts)),
	    .topics = call_take(call, fetch->parts_count, sizeof(*a.topics)),
	    .gaps = call_take(call, fetch->parts_count, sizeof(*a.gaps)),
	};
	enum handled handled;

	if (!a.parts || !a.topics || !a.gaps)
		return CALL_ENDS;
	kafka_fetch_response_init(&a.response);
	a.response.session_id = fetch->session ? fetch->session->id : 0;
	a.response.responses.at = a.topics;
	if (!answer_parts(call, fetch, &a))
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
