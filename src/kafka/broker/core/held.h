/*
 * The account of memory that is held for clients beyond a request and its answer: what waits, what
 * they may come back to, what is kept for them. Each kind has a bound of its own, so that whoever uses
 * one up does not take the others' too; what does not fit is answered with an error, or without
 * waiting. Small things that each connection may have once are not in it.
 *
 * Pure; any thread.
 */
#ifndef KAFKA_BROKER_CORE_HELD_H
#define KAFKA_BROKER_CORE_HELD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum held_kind {
	HELD_FETCHES,  /* that wait, of more than a few partitions: else answered at once */
	HELD_SESSIONS, /* fetch sessions: else the client does without */
	HELD_GROUPS, /* members, those to come, and their metadata: else COORDINATOR_NOT_AVAILABLE */
	HELD_OFFSETS, /* that groups have committed: else the same */
	HELD_KINDS,
};

/* Of a gigabyte. Ten thousand partitions take a waiting fetch 4 MB and a session 1 MB; an offset with
 * its topic some 100 bytes; a member of a consumer group a few hundred, and what it subscribes to. */
#define HELD_FETCHES_MAX  (256ull * 1024u * 1024u)
#define HELD_SESSIONS_MAX (128ull * 1024u * 1024u)
#define HELD_GROUPS_MAX   (256ull * 1024u * 1024u)
#define HELD_OFFSETS_MAX  (384ull * 1024u * 1024u)

struct held {
	_Atomic uint64_t bytes[HELD_KINDS];
	_Atomic uint64_t refused[HELD_KINDS]; /* times that there was no room */
};

extern const char *const held_names[HELD_KINDS];

/* false: there is no room, and nothing was taken. `held` NULL, here and below: nobody counts. */
bool held_take(struct held *held, enum held_kind kind, uint64_t bytes);
/* Is there room? For what is added when it has been made to last elsewhere. */
bool held_has_room(struct held *held, enum held_kind kind, uint64_t bytes);
/* What is there already, as from a log at the start. */
void held_add(struct held *held, enum held_kind kind, uint64_t bytes);
void held_give(struct held *held, enum held_kind kind, uint64_t bytes);

#endif
