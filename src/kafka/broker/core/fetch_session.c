#include "kafka/broker/core/fetch_session.h"

#include <stdlib.h>

#include "base/hash.h"

/* ---- the cache ---- */

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t max, int32_t first_id,
			 int32_t id_step)
{
	*sessions = (struct fetch_sessions){.max = max, .first_id = first_id, .id_step = id_step};
	list_init(&sessions->sessions);
}

/* What is held for one of its partitions, with its places in the table. */
static uint64_t part_bytes(struct slice topic)
{
	return sizeof(struct session_part) + 2 * sizeof(uint32_t) + topic.len;
}

static void part_free(struct fetch_session *session, struct session_part *part)
{
	held_give(session->held, HELD_SESSIONS, part_bytes(part->topic));
	free((void *)part->topic.ptr);
}

static void session_free(struct fetch_session *session)
{
	for (uint32_t i = 0; i < session->count; i++)
		part_free(session, &session->parts[i]);
	free(session->parts);
	free(session->index);
	free(session);
}

/* id == first_id + sequence * id_step, and a slot is a sequence modulo their number. */
static uint32_t slot_of(const struct fetch_sessions *sessions, int32_t id)
{
	return (uint32_t)((id - sessions->first_id) / sessions->id_step) % sessions->max;
}

static void take_out(struct fetch_sessions *sessions, struct fetch_session *session)
{
	list_remove(&session->node);
	sessions->count--;
	sessions->slots[slot_of(sessions, session->id)] = NULL;
	session->ended = true;
	if (session->users == 0)
		session_free(session);
}

void fetch_sessions_fini(struct fetch_sessions *sessions)
{
	while (!list_empty(&sessions->sessions))
		take_out(sessions,
			 container_of(sessions->sessions.next, struct fetch_session, node));
	free(sessions->slots);
	sessions->slots = NULL;
}

static struct fetch_session *find(struct fetch_sessions *sessions, int32_t id)
{
	struct fetch_session *session = NULL;

	if (sessions->slots && id >= sessions->first_id)
		session = sessions->slots[slot_of(sessions, id)];
	return session && session->id == id ? session : NULL;
}

/* The next id whose slot is free: there is one. */
static int32_t next_id(struct fetch_sessions *sessions)
{
	int32_t id;

	do {
		sessions->sequence =
		    (sessions->sequence + 1) %
		    (uint32_t)((INT32_MAX - sessions->first_id) / sessions->id_step);
		id = sessions->first_id + (int32_t)sessions->sequence * sessions->id_step;
	} while (sessions->slots[slot_of(sessions, id)]);
	return id;
}

static bool make_room(struct fetch_sessions *sessions, uint64_t now_ms)
{
	struct fetch_session *oldest;

	if (sessions->count < sessions->max)
		return true;
	if (sessions->max == 0)
		return false;
	oldest = container_of(sessions->sessions.next, struct fetch_session, node);
	if (oldest->users > 0 || now_ms - oldest->used_ms < FETCH_SESSION_IDLE_MS)
		return false;
	take_out(sessions, oldest);
	return true;
}

struct fetch_session *fetch_session_new(struct fetch_sessions *sessions, bool by_id,
					uint64_t now_ms)
{
	struct fetch_session *session = NULL;

	if (!make_room(sessions, now_ms))
		return NULL;
	if (!sessions->slots)
		sessions->slots = calloc(sessions->max, sizeof(void *));
	session = sessions->slots ? calloc(1, sizeof(*session)) : NULL;
	if (!session)
		return NULL;
	session->held = sessions->held;
	session->secret = sessions->secret;
	session->id = next_id(sessions);
	sessions->slots[slot_of(sessions, session->id)] = session;
	session->epoch = 1;
	session->by_id = by_id;
	session->users = 1;
	session->used_ms = now_ms;
	list_push_back(&sessions->sessions, &session->node);
	sessions->count++;
	return session;
}

enum kafka_error fetch_session_use(struct fetch_sessions *sessions, int32_t id, int32_t epoch,
				   bool by_id, uint64_t now_ms, struct fetch_session **ret)
{
	struct fetch_session *session = find(sessions, id);

	if (!session)
		return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
	if (session->by_id != by_id)
		return KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
	if (session->epoch != epoch || session->users > 0)
		return KAFKA_INVALID_FETCH_SESSION_EPOCH;
	session->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
	session->used_ms = now_ms;
	session->users = 1;
	list_remove(&session->node);
	list_push_back(&sessions->sessions, &session->node);
	*ret = session;
	return KAFKA_NONE;
}

void fetch_session_done(struct fetch_session *session)
{
	session->users--;
	if (session->ended && session->users == 0)
		session_free(session);
}

void fetch_session_end(struct fetch_sessions *sessions, int32_t id)
{
	struct fetch_session *session = find(sessions, id);

	if (session)
		take_out(sessions, session);
}

/* ---- partitions ---- */

static uint64_t hash_of(uint64_t secret, struct slice topic, const struct kafka_uuid *id,
			int32_t partition)
{
	uint64_t hash =
	    hash_slice_from(secret, topic.len ? topic : slice_make((const char *)id, sizeof(*id)));

	return hash_mix(hash ^ (uint32_t)partition, 0x9e3779b97f4a7c15u);
}

static bool is_part(const struct session_part *part, struct slice topic,
		    const struct kafka_uuid *id, int32_t partition)
{
	return part->partition == partition && slice_eq(part->topic, topic) &&
	       memcmp(&part->id, id, sizeof(*id)) == 0;
}

/* Where it stands in the table, or the free place for it. */
static uint32_t *place(const struct fetch_session *session, struct slice topic,
		       const struct kafka_uuid *id, int32_t partition)
{
	uint64_t at = hash_of(session->secret, topic, id, partition);

	for (;; at++) {
		uint32_t *cell = &session->index[at & (session->index_size - 1)];

		if (*cell == 0 || is_part(&session->parts[*cell - 1], topic, id, partition))
			return cell;
	}
}

static bool rebuild_index(struct fetch_session *session, uint32_t size)
{
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	free(session->index);
	session->index = index;
	session->index_size = size;
	for (uint32_t i = 0; i < session->count; i++) {
		const struct session_part *part = &session->parts[i];

		*place(session, part->topic, &part->id, part->partition) = i + 1;
	}
	return true;
}

static bool grow(struct fetch_session *session)
{
	uint32_t size = session->size ? session->size * 2 : 8;
	struct session_part *parts;

	if (session->count < session->size)
		return true;
	parts = realloc(session->parts, size * sizeof(*parts));
	if (!parts)
		return false;
	session->parts = parts;
	session->size = size;
	/* At most half full: searches stay short. */
	return rebuild_index(session, size * 2);
}

bool fetch_session_put(struct fetch_session *session, const struct session_part *part)
{
	struct session_part *to;
	uint32_t *cell =
	    session->count ? place(session, part->topic, &part->id, part->partition) : NULL;
	char *name;

	if (cell && *cell != 0) {
		to = &session->parts[*cell - 1];
		to->leader_epoch = part->leader_epoch;
		to->last_epoch = part->last_epoch;
		to->max_bytes = part->max_bytes;
		to->offset = part->offset;
		to->gone = false;
		return true;
	}
	if (session->count >= FETCH_SESSION_PARTITIONS_MAX || !grow(session))
		return false;
	if (!held_take(session->held, HELD_SESSIONS, part_bytes(part->topic)))
		return false;
	name = malloc(part->topic.len + 1);
	if (!name) {
		held_give(session->held, HELD_SESSIONS, part_bytes(part->topic));
		return false;
	}
	if (part->topic.len)
		memcpy(name, part->topic.ptr, part->topic.len);
	to = &session->parts[session->count++];
	*to = *part;
	to->topic = slice_make(name, part->topic.len);
	to->high_watermark = to->log_start = -2;
	to->gone = false;
	*place(session, to->topic, &to->id, to->partition) = session->count;
	return true;
}

void fetch_session_forget(struct fetch_session *session, struct slice topic,
			  const struct kafka_uuid *id, int32_t partition)
{
	uint32_t *cell = session->count ? place(session, topic, id, partition) : NULL;

	if (cell && *cell != 0)
		session->parts[*cell - 1].gone = true;
}

/* Who got nothing of a full answer comes first. */
static bool be_fair(struct fetch_session *session)
{
	struct session_part *ordered = malloc(session->size * sizeof(*ordered));
	uint32_t count = 0;

	if (!ordered)
		return false;
	for (int served = 0; served < 2; served++)
		for (uint32_t i = 0; i < session->count; i++)
			if (session->parts[i].served == (served == 1))
				ordered[count++] = session->parts[i];
	free(session->parts);
	session->parts = ordered;
	return true;
}

bool fetch_session_settle(struct fetch_session *session)
{
	uint32_t kept = 0;
	bool unfair = session->unfair;

	for (uint32_t i = 0; i < session->count; i++) {
		if (session->parts[i].gone)
			part_free(session, &session->parts[i]);
		else
			session->parts[kept++] = session->parts[i];
	}
	if (kept == session->count && !unfair)
		return true;
	session->count = kept;
	session->unfair = false;
	if (unfair && !be_fair(session))
		return false;
	return rebuild_index(session, session->index_size);
}
