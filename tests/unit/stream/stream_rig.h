/*
 * Streams on a reactor that runs in a thread of the test: a stream_loop and an engine for each loop,
 * and files to be sent.
 */
#ifndef TESTS_STREAM_RIG_H
#define TESTS_STREAM_RIG_H

#include "unit/reactor/rig.h"

#include "engine/engine.h"
#include "stream/stream.h"

enum { RIG_LOOPS_MAX = 4 };

struct stream_rig {
	struct rig rig;
	struct stream_loop home[RIG_LOOPS_MAX];
	struct leat_engine engine[RIG_LOOPS_MAX];
	size_t data_size_min;
	uint32_t write_ms; /* 0: a long one */
	unsigned threads;  /* 0: one */
};

/* There is one at a time; ops->home is stream_rig_home. */
void stream_rig_start(struct stream_rig *rig, const struct stream_ops *ops);
void stream_rig_stop(struct stream_rig *rig);
struct stream_loop *stream_rig_home(void *arg, struct loop *loop);

/* What streams of the test have had happen to them. */
extern _Atomic unsigned stream_rig_opened, stream_rig_closed;

/* `len` bytes that tell where they are, and whether they are those. */
void pattern_fill(char *buf, uint64_t offset, size_t len);
void pattern_check(const char *buf, uint64_t offset, size_t len);
/* Reads `len` bytes of the pattern from a client's socket. */
void client_read_pattern(int fd, uint64_t offset, uint64_t len);
void client_send_pattern(int fd, uint64_t offset, uint64_t len);
/* A file of it, without a name; not in memory if the file system allows. */
int pattern_file(uint64_t len);

#endif
