/*
 * What is done to a store, and noted in the model: see history.h.
 */
#ifndef TESTS_CRASH_ACTIONS_H
#define TESTS_CRASH_ACTIONS_H

#include "crash/history.h"

#define NO_FLUSH INT64_C(1000000)

extern char folder[64];
extern struct store *store; /* NULL: it is closed */
extern int64_t now;
extern enum store_damage damage;
extern bool busy; /* the store is opening, closing or changing topics */

bool chance(uint64_t percent);

/* One or several batches, of a producer or of nobody; they may fail where the disk does. */
void append(struct topic_model *topic, int32_t nth);
/* Where somebody was told to. */
void flush(struct topic_model *topic, int32_t nth);
void delete_records(struct topic_model *topic, int32_t nth);
void next_epoch(struct topic_model *topic, int32_t nth);
void create(struct topic_model *topic, int64_t flush_messages);
void delete_topic(struct topic_model *topic);
void grow(struct topic_model *topic);
void configure(struct topic_model *topic);
void take_ids(void);
/* What consumers are shown is what was appended. */
void read_some(struct topic_model *topic, int32_t nth);

/* ---- the process, and its disk ---- */

/* False: it did not open. */
bool open_store(void);
/* < 0: not cleanly. */
int close_store(void);
/* All that is open is gone; the disk has what it had. */
void power_cycle(void);
/* What was written stays. */
void kill_process(void);

#endif
