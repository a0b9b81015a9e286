/*
 * A fetch request: the partitions that it names, or those of its session.
 */
#include <stdlib.h>

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

/* Of the topic that was taken last. */
static void take_part(struct fetch *fetch, const struct session_part *from, bool by_id)
{
	struct fetch_topic *topic = &fetch->topics[fetch->topics_count - 1];
	struct fetch_part *to = &fetch->parts[fetch->parts_count++];

	topic->count++;
	*to = (struct fetch_part){
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

static void take_all(struct kafka_call *call, const struct kafka_fetch_request *request)
{
	size_t topics = (size_t)request->topics.count, parts = 0;
	bool by_id = call->header.version >= 13;
	struct fetch *fetch;

	for (int32_t i = 0; i < request->topics.count; i++)
		parts += (size_t)request->topics.at[i].partitions.count;
	fetch = begin(call, request, parts > topics ? parts : topics);
	for (int32_t i = 0; fetch && i < request->topics.count; i++) {
		const struct kafka_fetch_request_topic *topic = &request->topics.at[i];

		if (!take_topic(fetch, topic->topic, &topic->topic_id, by_id)) {
			give_up(call);
			return;
		}
		for (int32_t n = 0; n < topic->partitions.count; n++) {
			const struct session_part part = part_of(topic, &topic->partitions.at[n]);

			take_part(fetch, &part, by_id);
		}
	}
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
		take_part(fetch, part, session->by_id);
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

enum kafka_error fetch_request(struct kafka_call *call, const struct kafka_fetch_request *request)
{
	enum kafka_error error = take(call, request);

	counter_set(&call->home->counters.sessions, call->home->sessions.count);
	return error;
}
