/*
 * Fetch sessions (KIP-227): a client that fetches many partitions again and again says only what has
 * changed, and is told only what has.
 *
 *     full, epoch 0  --begin--> a new session, if there is room      answered with its id
 *     session, epoch n -------> the partitions that were named are put in, those forgotten are
 *                               taken out; the next epoch is n + 1
 *     full, epoch -1 ---------> no session, and the one that was named ends
 *
 * Each loop has a cache of its own: a client that comes back to another one is told that its session
 * is not known, and begins anew. Bounded: so many sessions, so many partitions each.
 *
 * Pure; one thread.
 */
#ifndef KAFKA_BROKER_CORE_FETCH_SESSION_H
#define KAFKA_BROKER_CORE_FETCH_SESSION_H

#include "base/list.h"
#include "base/slice.h"
#include "kafka/broker/core/held.h"
#include "kafka/wire/error.h"
#include "kafka/wire/message.h"

#define FETCH_EPOCH_NEW  0
#define FETCH_EPOCH_NONE (-1)

/* Above this a session costs more than it saves. */
#define FETCH_SESSION_PARTITIONS_MAX 10000
/* One that was not used for so long may have to go for another. */
#define FETCH_SESSION_IDLE_MS 120000

struct session_part {
	struct slice topic; /* its own; empty where topics go by id */
	struct kafka_uuid id;
	int32_t partition, leader_epoch, last_epoch, max_bytes;
	int64_t offset;
	/* What the client was told last; -2: nothing yet. */
	int64_t high_watermark, log_start;
	bool gone;   /* forgotten; taken out before anybody sees it */
	bool served; /* the last answer had data of it */
};

struct fetch_session {
	struct held *held;
	uint64_t secret;
	struct list node; /* the cache's, the one used last at the end */
	int32_t id, epoch;
	bool by_id;
	bool ended;  /* out of the cache; goes with its last user */
	bool unfair; /* the last answer was full: who was served goes to the end */
	unsigned users;
	uint64_t used_ms;
	struct session_part *parts; /* in the order they are served */
	uint32_t count, size;
	uint32_t *index; /* hash table of places in `parts`, + 1 */
	uint32_t index_size;
};

struct fetch_sessions {
	struct list sessions;
	struct fetch_session **slots; /* by id; made for the first session */
	uint32_t count, max;
	int32_t first_id, id_step; /* so that the ids of loops differ */
	uint32_t sequence;
	uint64_t secret;   /* of hashes: strangers choose the names */
	struct held *held; /* what sessions take is counted there; NULL: nowhere */
};

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t max, int32_t first_id,
			 int32_t id_step);
void fetch_sessions_fini(struct fetch_sessions *sessions);

/* A new one, used by the caller; NULL: there is no room, or no memory. */
struct fetch_session *fetch_session_new(struct fetch_sessions *sessions, bool by_id,
					uint64_t now_ms);
/* The one of that id at that epoch, used by the caller, at its next epoch. */
enum kafka_error fetch_session_use(struct fetch_sessions *sessions, int32_t id, int32_t epoch,
				   bool by_id, uint64_t now_ms, struct fetch_session **ret);
void fetch_session_done(struct fetch_session *session);
/* The client does not want it any more; nothing if there is none. */
void fetch_session_end(struct fetch_sessions *sessions, int32_t id);

/* false: too many partitions, no memory, or none in the account; end it. `part->topic` is copied. */
bool fetch_session_put(struct fetch_session *session, const struct session_part *part);
void fetch_session_forget(struct fetch_session *session, struct slice topic,
			  const struct kafka_uuid *id, int32_t partition);
/* After puts and forgets: those forgotten leave the array, and its order is made fair. false: no
 * memory; end it. */
bool fetch_session_settle(struct fetch_session *session);

#endif
