/*
 * Records without their contents: where a batch's records begin and end, their offsets and times,
 * and whether they have a key. What is between is skipped, so that a compressed batch is looked at
 * as it is expanded, piece by piece, in constant memory; one that is not compressed is one piece.
 *
 *     record_walk      one record after another, out of pieces of any size
 *     records_check    every record of a produced batch, by it
 *
 * A record that lies in a piece whole is read at once. What crosses the end of one goes field by
 * field, and the walk remembers where it was.
 *
 * Pure; any thread.
 */
#ifndef KAFKA_WIRE_RECORD_WALK_H
#define KAFKA_WIRE_RECORD_WALK_H

#include "kafka/wire/record_batch.h"

struct record_head {
	int64_t timestamp; /* absolute */
	int32_t delta;     /* of its offset to the batch's */
	bool has_key;
};

struct record_walk {
	const struct record_batch *batch;
	uint8_t field; /* the one that comes next, or is being skipped */
	uint8_t shift; /* of its number's next byte: 0 unless that is cut */
	uint64_t number;
	int32_t left;    /* of the record */
	int32_t skip;    /* of a key, a value... */
	int32_t headers; /* still to come */
	struct record_head head;
};

void record_walk_begin(struct record_walk *walk, const struct record_batch *batch);
/* Takes the next record off the front of *piece. OK; END: the piece is used up, the next one goes
 * on; RECORD: malformed, and the walk is over. */
enum record_batch_fault record_walk_next(struct record_walk *walk, struct slice *piece,
					 struct record_head *ret);
/* Between two records: the last one is not cut. */
bool record_walk_is_between(const struct record_walk *walk);

/* ---- what a producer may send ---- */

struct records_rules {
	bool needs_keys;          /* the topic is compacted */
	bool append_time;         /* its times are the broker's: a batch may not say so itself */
	int64_t earliest, latest; /* times (-1: none, goes always); INT64_MIN and INT64_MAX: any */
};

#define RECORDS_ANY ((struct records_rules){.earliest = INT64_MIN, .latest = INT64_MAX})

/* X(NAME, the error a producer gets, text) */
#define RECORD_OBJECTIONS(X)                                                               \
	X(WITHOUT_KEY, INVALID_RECORD, "a compacted topic takes no records without a key") \
	X(TOO_EARLY, INVALID_TIMESTAMP, "the timestamp is too far in the past")            \
	X(TOO_LATE, INVALID_TIMESTAMP, "the timestamp is too far in the future")           \
	X(APPEND_TIME, INVALID_TIMESTAMP, "producers may not say that the broker set the time")

#define RECORD_OBJECTION_ENUM(name, error, text) RECORD_##name,
enum record_objection { RECORD_OBJECTIONS(RECORD_OBJECTION_ENUM) };
#undef RECORD_OBJECTION_ENUM

const char *record_objection_text(enum record_objection objection);

/* A producer is told of so many records of a batch; the answer stays small, and what is wrong with
 * the others it finds out in the same way. */
#define RECORDS_OBJECTED_MAX 100u

struct records_summary {
	int64_t max_timestamp;  /* -1: none has one */
	uint32_t objected;      /* records that break a rule */
	enum kafka_error error; /* for all of them; NONE: there are none */
	struct record_objected {
		int32_t index;
		enum record_objection why;
	} first[RECORDS_OBJECTED_MAX];
};

struct records_check {
	const struct record_batch *batch;
	const struct records_rules *rules;
	struct record_walk walk;
	int32_t seen;
	struct records_summary *summary;
};

/* `batch`, `rules` and `ret` stay until the end; *ret is valid when that says OK. */
void records_check_begin(struct records_check *check, const struct record_batch *batch,
			 const struct records_rules *rules, struct records_summary *ret);
/* After a fault there is nothing more to be fed. */
enum record_batch_fault records_check_feed(struct records_check *check, struct slice piece);
enum record_batch_fault records_check_end(const struct records_check *check);

/* All of it: `records` are the batch's, expanded. */
enum record_batch_fault records_check(const struct record_batch *batch, struct slice records,
				      const struct records_rules *rules,
				      struct records_summary *ret);

#endif
