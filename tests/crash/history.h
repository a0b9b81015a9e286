/*
 * What has been done to a store, and what must therefore be found in it.
 *
 * The model remembers every batch that an append was acknowledged for, and every promise: how far a
 * log is durable, where its start was moved to, which topics there are, what was set. A check opens
 * nothing and closes nothing: it compares a store with the model, and the model then is what the
 * store has.
 */
#ifndef TESTS_CRASH_HISTORY_H
#define TESTS_CRASH_HISTORY_H

#include "unit/kafka/store/kit.h"

#define PARTITIONS_MAX 4
#define PRODUCERS      3
#define TOPICS         4
/* Batches in one append, at most; they are there together or not at all. */
#define TOGETHER 3

extern uint64_t seed;

/* Says the seed: crash_store SEED 1 does it again. */
#define HOLDS(cond)                                                                         \
	do {                                                                                \
		if (!(cond)) {                                                              \
			fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)seed, \
				__func__, __LINE__, #cond);                                 \
			abort();                                                            \
		}                                                                           \
	} while (0)

struct stored {
	int64_t base, last;
	char *bytes;
	size_t len;
	int32_t sequence; /* -1: of no producer */
	int32_t leader_epoch;
	int16_t epoch; /* the producer's */
	bool on_disk;  /* after the power cut */
	uint8_t producer;
};

struct log_model {
	struct stored *list;
	size_t count, capacity;
	/* What an append was doing when the process ended: it may be there or not. */
	struct stored maybe[TOGETHER];
	unsigned maybe_count;
	/* What failed appends had written was cut off again: until that is on disk as well, a power
	 * cut may bring it back, in place of what was appended there since. */
	struct stored *taken_back;
	unsigned taken_back_count;
	int64_t end;     /* of what was acknowledged */
	int64_t durable; /* of what was said to be safe */
	int64_t start;   /* of the log; behind it, it may be by retention */
	int64_t deleted; /* by DeleteRecords, which was answered */
	int64_t mark;    /* the high watermark that was shown */
	int32_t leader_epoch;
	/* The epochs of acknowledged batches that were lost, and where the log ended then. */
	struct lost {
		int64_t end;
		int32_t epoch;
	} * lost;
	size_t lost_count;
	bool offline;   /* in this life */
	bool flush_due; /* somebody is to call partition_flush() */
	struct {
		int32_t sequence;
		int16_t epoch;
	} producers[PRODUCERS];
};

struct topic_model {
	const char *name;
	bool there;
	bool doubt; /* whether it is there: that failed, or was under way */
	int32_t partitions, partitions_maybe;
	/* What was set, and what may have been. */
	int64_t retention_ms, retention_maybe;
	int64_t flush_messages, flush_maybe;
	struct log_model logs[PARTITIONS_MAX];
};

/* safe: always flush.messages=1. lazy: never, little retention. temp: comes and goes. mixed: now so,
 * now so. */
enum { SAFE, LAZY, TEMP, MIXED };
extern struct topic_model topics[TOPICS];
extern int64_t ids_given; /* producer ids below */

struct topic_config config_of(const struct topic_model *topic);

void log_add(struct log_model *log, const struct stored *stored);
void log_reset(struct log_model *log);
void log_took_back(struct log_model *log, const struct stored *stored);
void history_reset(void);
/* The process has ended. `broken`: and at that something failed, we don't know where. */
void history_ended(bool broken);
/* And what it left is on disk. */
void history_stopped(void);

/* The next end is not a clean one: what retention has deleted may come back. */
void history_killed(void);

/* What the store says of itself now is a promise. `whole`: nothing has gone wrong since. */
void history_note(struct store *store, bool failed);
/* The power is back: what the disk has of each log, before a start looks at it. */
void history_remember(const char *folder);
/* After a start, or several that did not come to their end: all of that is in the log, or was set aside. */
void history_check_aside(struct store *store, const char *folder);
/* After a power cut: a partition is not served, as if something had changed what was written. A few
 * times that is so: where bytes had been cut off, and that was not on the disk yet, some of them come
 * back in the middle of what was written in their place. */
bool history_has_rot(struct store *store);
/* After a start. `kept`: the process was killed, or closed properly, and what was written is there;
 * else the power was gone. */
void history_check(struct store *store, int64_t now_ms, bool kept);

#endif
