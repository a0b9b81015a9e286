/*
 * A fetch request: the partitions that it names, or those of its session.
 *
 * What is named more than once is one partition, with what was said of it last, where it was named
 * first: as with Kafka. So a fetch, and what it costs to wake it, is no larger than what there is to be
 * watched. A session's partitions are each there once by themselves (core/fetch_session.h); for others
 * distinct_take() finds out.
 *
 * Sessions are the loop's. A request that is too large for a loop gets none, and its client goes on
 * without.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "kafka/broker/kafka_fetch.h"

/* ---- partitions ---- */

static bool take_topic(struct fetch *fetch, struct slice name, const struct kafka_uuid *id,
		       bool by_id)
{
	struct fetch_topic *to = &fetch->topics[fetch->topics_count++];
	struct store *store = fetch->call->server->store;

	*to = (struct fetch_topic){.id = *id};
	to->topic = by_id ? store_topic_by_id(store, id) : store_topic(store, name);
	if (to->topic) {
		to->name = slice_of(topic_name(to->topic));
		return true;
	}
	if (by_id)
		return true;
	/* It outlives the request. */
	to->own_name = malloc(name.len + 1);
	if (!to->own_name)
		return false;
	memcpy(to->own_name, name.ptr, name.len);
	to->name = slice_make(to->own_name, name.len);
	return true;
}

static void take_part(struct fetch *fetch, unsigned number, const struct session_part *from,
		      bool by_id)
{
	struct fetch_topic *topic = &fetch->topics[number];
	struct fetch_part *to = &fetch->parts[fetch->parts_count++];

	*to = (struct fetch_part){
	    .topic = number,
	    .partition = topic->topic ? topic_partition(topic->topic, from->partition) : NULL,
	    .number = from->partition,
	    .epoch = from->leader_epoch,
	    .last_epoch = from->last_epoch,
	    .diverging = {-1, -1},
	    .offset = from->offset,
	    .max_bytes = from->max_bytes < 0 ? 0 : from->max_bytes,
	};
	list_init(&to->watcher.node);
	fetch_no_slice(to);
	if (!to->partition)
		to->unknown = by_id && !topic->topic ? KAFKA_UNKNOWN_TOPIC_ID
						     : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static struct session_part part_of(const struct kafka_fetch_request_topic *topic,
				   const struct kafka_fetch_request_partition *partition)
{
	return (struct session_part){
	    .topic = topic->topic.ptr ? topic->topic : slice_make("", 0),
	    .id = topic->topic_id,
	    .partition = partition->partition,
	    .leader_epoch = partition->current_leader_epoch,
	    .last_epoch = partition->last_fetched_epoch,
	    .max_bytes = partition->partition_max_bytes,
	    .offset = partition->fetch_offset,
	};
}

static void take_options(struct fetch *fetch, const struct kafka_fetch_request *request)
{
	int32_t max = (int32_t)config_value(fetch->call->server->config, KAFKA_CONFIG_FETCH_MAX);

	fetch->wait_ms = request->max_wait_ms;
	fetch->max_bytes = request->max_bytes < 0     ? 0
			   : request->max_bytes > max ? max
						      : request->max_bytes;
	/* More than fits would never come. */
	fetch->min_bytes = request->min_bytes < 0                  ? 0
			   : request->min_bytes > fetch->max_bytes ? fetch->max_bytes
								   : request->min_bytes;
	/* There are no followers; consumers are -1, and -2 where they debug. */
	fetch->by_follower = request->replica_id >= 0 || request->replica_state.replica_id >= 0;
	fetch->isolation =
	    request->isolation_level == 1 ? PARTITION_READ_COMMITTED : PARTITION_READ_UNCOMMITTED;
}

static struct fetch *begin(struct kafka_call *call, const struct kafka_fetch_request *request,
			   size_t partitions)
{
	struct fetch *fetch = fetch_new(call, partitions);

	if (!fetch)
		return NULL;
	call->state = fetch;
	call->release_state = fetch_release;
	fetch->until_ms =
	    call_now_ms(call) + (uint64_t)(request->max_wait_ms < 0 ? 0 : request->max_wait_ms);
	take_options(fetch, request);
	return fetch;
}

/* No memory in the middle of it: as if it had not begun. */
static void give_up(struct kafka_call *call)
{
	fetch_release(call);
	call->state = NULL;
	call->release_state = NULL;
}

/* ---- without a session ---- */

struct named {
	unsigned topic;
	const struct kafka_fetch_request_partition *partition;
};

/* What a request names, each once. The tables have places in the arrays, + 1, and are at most half
 * full. */
struct distinct {
	struct kafka_call *call;
	const struct kafka_fetch_request_topic **topics;
	struct named *parts;
	unsigned topics_count, parts_count;
	uint32_t *topics_at, *parts_at;
	size_t topics_cells, parts_cells;
};

static uint32_t *take_table(struct kafka_call *call, size_t count, size_t *ret_cells)
{
	size_t cells = 8;

	while (cells < 2 * count)
		cells *= 2;
	*ret_cells = cells;
	return call_take(call, cells, sizeof(uint32_t));
}

static bool is_same_topic(const struct kafka_fetch_request_topic *a,
			  const struct kafka_fetch_request_topic *b)
{
	return slice_eq(a->topic, b->topic) && memcmp(&a->topic_id, &b->topic_id, 16) == 0;
}

static unsigned distinct_topic(struct distinct *d, const struct kafka_fetch_request_topic *topic)
{
	const struct slice id = slice_make((const char *)&topic->topic_id, sizeof(topic->topic_id));
	uint64_t at = hash_slice_from(hash_slice_from(d->call->server->secret, topic->topic), id);

	for (;; at++) {
		uint32_t *cell = &d->topics_at[at & (d->topics_cells - 1)];

		if (*cell == 0) {
			d->topics[d->topics_count] = topic;
			*cell = ++d->topics_count;
			return *cell - 1;
		}
		if (is_same_topic(d->topics[*cell - 1], topic))
			return *cell - 1;
	}
}

static void distinct_part(struct distinct *d, unsigned topic,
			  const struct kafka_fetch_request_partition *partition)
{
	uint64_t at = hash_mix(d->call->server->secret ^ (uint32_t)partition->partition,
			       (topic + 1ull) * 0x9e3779b97f4a7c15u);

	for (;; at++) {
		uint32_t *cell = &d->parts_at[at & (d->parts_cells - 1)];
		struct named *part = &d->parts[*cell ? *cell - 1 : d->parts_count];

		if (*cell != 0 &&
		    (part->topic != topic || part->partition->partition != partition->partition))
			continue;
		if (*cell == 0)
			*cell = ++d->parts_count;
		*part = (struct named){topic, partition};
		return;
	}
}

/* false: no memory, or nobody waits any more. */
static bool distinct_take(struct distinct *d, const struct kafka_fetch_request *request)
{
	size_t topics = (size_t)request->topics.count, parts = 0;

	for (int32_t i = 0; i < request->topics.count; i++)
		parts += (size_t)request->topics.at[i].partitions.count;
	d->topics = call_take(d->call, topics, sizeof(void *));
	d->parts = call_take(d->call, parts, sizeof(*d->parts));
	d->topics_at = take_table(d->call, topics, &d->topics_cells);
	d->parts_at = take_table(d->call, parts, &d->parts_cells);
	if (!d->topics || !d->parts || !d->topics_at || !d->parts_at)
		return false;
	for (int32_t i = 0; i < request->topics.count; i++) {
		const struct kafka_fetch_request_topic *topic = &request->topics.at[i];
		unsigned number = distinct_topic(d, topic);

		if (!call_step(d->call, 1))
			return false;
		for (int32_t n = 0; n < topic->partitions.count; n++) {
			if (!call_step(d->call, 1))
				return false;
			distinct_part(d, number, &topic->partitions.at[n]);
		}
	}
	return true;
}

static void take_all(struct kafka_call *call, const struct kafka_fetch_request *request)
{
	bool by_id = call->header.version >= 13, fits = true;
	struct distinct d = {.call = call};
	struct fetch *fetch = NULL;

	if (distinct_take(&d, request))
		fetch = begin(call, request,
			      d.parts_count > d.topics_count ? d.parts_count : d.topics_count);
	for (unsigned i = 0; fetch && fits && i < d.topics_count; i++)
		fits = take_topic(fetch, d.topics[i]->topic, &d.topics[i]->topic_id, by_id);
	for (unsigned i = 0; fetch && fits && i < d.parts_count; i++) {
		const struct session_part part =
		    part_of(d.topics[d.parts[i].topic], d.parts[i].partition);

		take_part(fetch, d.parts[i].topic, &part, by_id);
	}
	if (!fits)
		give_up(call);
}

/* ---- with one ---- */

static bool update(struct fetch_session *session, const struct kafka_fetch_request *request)
{
	for (int32_t i = 0; i < request->topics.count; i++) {
		const struct kafka_fetch_request_topic *topic = &request->topics.at[i];

		for (int32_t n = 0; n < topic->partitions.count; n++) {
			const struct session_part part = part_of(topic, &topic->partitions.at[n]);

			if (!fetch_session_put(session, &part))
				return false;
		}
	}
	for (int32_t i = 0; i < request->forgotten_topics_data.count; i++) {
		const struct kafka_fetch_request_forgotten_topics_data *topic =
		    &request->forgotten_topics_data.at[i];
		struct slice name = topic->topic.ptr ? topic->topic : slice_make("", 0);

		for (int32_t n = 0; n < topic->partitions.count; n++)
			fetch_session_forget(session, name, &topic->topic_id,
					     topic->partitions.at[n]);
	}
	return fetch_session_settle(session);
}

/* The fetch keeps the session, in whose order its partitions are. */
static void take_session(struct kafka_call *call, const struct kafka_fetch_request *request,
			 struct fetch_session *session, bool incremental)
{
	struct fetch *fetch = begin(call, request, session->count);
	const struct session_part *before = NULL;

	if (!fetch) {
		fetch_session_done(session);
		return;
	}
	fetch->session = session;
	fetch->incremental = incremental;
	for (uint32_t i = 0; i < session->count; i++) {
		const struct session_part *part = &session->parts[i];
		bool same = before && slice_eq(before->topic, part->topic) &&
			    memcmp(&before->id, &part->id, sizeof(part->id)) == 0;

		if (!same && !take_topic(fetch, part->topic, &part->id, session->by_id)) {
			give_up(call);
			return;
		}
		take_part(fetch, fetch->topics_count - 1, part, session->by_id);
		before = part;
	}
}

static enum kafka_error use_session(struct kafka_call *call,
				    const struct kafka_fetch_request *request)
{
	struct fetch_sessions *sessions = &call->home->sessions;
	struct fetch_session *session;
	enum kafka_error error =
	    fetch_session_use(sessions, request->session_id, request->session_epoch,
			      call->header.version >= 13, call_now_ms(call), &session);

	if (error != KAFKA_NONE)
		return error;
	if (!update(session, request)) {
		fetch_session_end(sessions, session->id);
		fetch_session_done(session);
		return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
	}
	take_session(call, request, session, true);
	return KAFKA_NONE;
}

static enum kafka_error take(struct kafka_call *call, const struct kafka_fetch_request *request)
{
	struct fetch_sessions *sessions = &call->home->sessions;
	struct fetch_session *session = NULL;

	if (request->session_epoch != FETCH_EPOCH_NEW && request->session_epoch != FETCH_EPOCH_NONE)
		return use_session(call, request);
	if (request->session_id != 0)
		fetch_session_end(sessions, request->session_id);
	if (request->session_epoch == FETCH_EPOCH_NEW && request->topics.count > 0)
		session =
		    fetch_session_new(sessions, call->header.version >= 13, call_now_ms(call));
	if (session && !update(session, request)) {
		fetch_session_end(sessions, session->id);
		fetch_session_done(session);
		session = NULL;
	}
	if (session)
		take_session(call, request, session, false);
	else
		take_all(call, request);
	return KAFKA_NONE;
}

/* Its client learns that there is no session, and forgets the one it had, if any. */
static enum kafka_error take_apart(struct kafka_call *call,
				   const struct kafka_fetch_request *request)
{
	if (request->session_epoch != FETCH_EPOCH_NEW && request->session_epoch != FETCH_EPOCH_NONE)
		return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
	take_all(call, request);
	return KAFKA_NONE;
}

enum kafka_error fetch_request(struct kafka_call *call, const struct kafka_fetch_request *request)
{
	enum kafka_error error;

	if (call->apart)
		return take_apart(call, request);
	error = take(call, request);
	counter_set(&call->home->counters.sessions, call->home->sessions.count);
	return error;
}
