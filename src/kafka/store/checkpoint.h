/*
 * Kafka's text files: a version (0), a count, then so many lines of words. Pure.
 */
#ifndef KAFKA_STORE_CHECKPOINT_H
#define KAFKA_STORE_CHECKPOINT_H

#include "base/buf.h"

struct checkpoint_reader {
	struct slice rest;
	uint64_t left; /* lines */
};

/* -EBADMSG: it is none; -EPROTONOSUPPORT: of a newer version. */
int checkpoint_open(struct slice text, struct checkpoint_reader *ret);
/* False: that was all. */
bool checkpoint_line(struct checkpoint_reader *reader, struct slice *ret);
/* -EBADMSG: lines are missing, or more follow than were counted. */
int checkpoint_end(const struct checkpoint_reader *reader);

/* Takes the next word, and the blank behind it. */
bool checkpoint_word(struct slice *line, struct slice *ret);
/* A decimal number, perhaps below 0; -EBADMSG. */
int checkpoint_number(struct slice word, int64_t *ret);

void checkpoint_begin(struct buf *buf, uint64_t count);

/* A line "topic partition offset". -EBADMSG. */
struct checkpoint_offset {
	struct slice topic;
	int32_t partition;
	int64_t offset;
};

int checkpoint_parse_offset(struct slice line, struct checkpoint_offset *ret);

#endif
