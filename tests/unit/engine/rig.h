/*
 * What the tests of single techniques share, beside support.h: a reader thread that compares, a
 * loop that steps a chain to its end, and the account it has to give.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#include "support.h"

#include <pthread.h>

/* Reads `fd` until its end, in another thread, and compares with the pattern from `from` on. */
struct reader {
	int fd;
	uint64_t from, bytes;
	bool differs;
	pthread_t thread;
};

static inline void *reader_main(void *arg)
{
	struct reader *reader = arg;
	static __thread char buf[65536];

	for (;;) {
		struct pollfd wait = {.fd = reader->fd, .events = POLLIN};
		ssize_t n;

		if (poll(&wait, 1, PATIENCE_MS) != 1)
			break;
		n = read(reader->fd, buf, sizeof(buf));
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		for (ssize_t i = 0; i < n; i++)
			reader->differs |= buf[i] != pattern_at(reader->from + reader->bytes + i);
		reader->bytes += n > 0 ? n : 0;
	}
	return NULL;
}

static inline void reader_start(struct reader *reader, int fd, uint64_t from)
{
	*reader = (struct reader){.fd = fd, .from = from};
	assert_int_equal(pthread_create(&reader->thread, NULL, reader_main, reader), 0);
}

/* Closes the writing end first, so that the reader ends; what it got is a prefix. */
static inline void reader_join(struct reader *reader, int *write_end)
{
	close(*write_end);
	*write_end = -1;
	assert_int_equal(pthread_join(reader->thread, NULL), 0);
	assert_false(reader->differs);
}

static inline void reader_finish(struct reader *reader, int *write_end, uint64_t bytes)
{
	reader_join(reader, write_end);
	assert_int_equal(reader->bytes, bytes);
}

/* How often each step was said. */
struct steps {
	unsigned want_read, want_write, want_completion, want_load;
};

/* Steps and waits until the chain is done or has failed: LEAT_DONE or -errno. */
static inline int step_to_end(struct leat_chain *chain, size_t budget, struct steps *steps)
{
	for (;;) {
		int step = leat_chain_step(chain, budget);
		struct leat_wait wait = chain_wait(chain);
		struct leat_load load = chain_load(chain);
		struct pollfd fd = {.fd = wait.fd, .events = wait.events};

		if (step < 0 || step == LEAT_DONE)
			return step;
		if (step == LEAT_MORE)
			continue;
		steps->want_read += step == LEAT_WANT_READ;
		steps->want_write += step == LEAT_WANT_WRITE;
		steps->want_completion += step == LEAT_WANT_COMPLETION;
		steps->want_load += step == LEAT_WANT_LOAD;
		if (step == LEAT_WANT_LOAD)
			assert_int_equal(leat_load_run(&load), 0);
		else if (poll(&fd, 1, PATIENCE_MS) != 1)
			fail_msg("step %d: descriptor %d did not poll for %d", step, fd.fd,
				 fd.events);
	}
}

static inline void assert_sums(const struct leat_ledger *ledger, uint64_t bytes)
{
	assert_int_equal(ledger->bytes, bytes);
	assert_int_equal(ledger->bytes_by_reference + ledger->bytes_copied +
			     ledger->bytes_copied_later + ledger->bytes_transformed +
			     ledger->bytes_unknown,
			 bytes);
}

static inline char *pattern_memory(size_t len, uint64_t from)
{
	char *memory = malloc(len);

	assert_non_null(memory);
	pattern_fill(memory, len, from);
	return memory;
}

/* An engine and a chain with a forced technique (or LEAT_AUTO). */
struct rig {
	struct leat_engine *engine;
	struct leat_chain *chain;
	struct steps steps;
};

static inline void rig_open(struct rig *rig, int sink, enum leat_technique technique)
{
	struct leat_options options = LEAT_OPTIONS_INIT;

	options.technique = technique;
	*rig = (struct rig){0};
	assert_int_equal(leat_engine_new(&rig->engine), 0);
	assert_int_equal(leat_chain_new(rig->engine, sink, &options, &rig->chain), 0);
}

static inline struct leat_report rig_close(struct rig *rig)
{
	struct leat_report report = LEAT_REPORT_INIT;

	leat_chain_report(rig->chain, &report);
	leat_chain_free(rig->chain);
	leat_engine_free(rig->engine);
	return report;
}

/* Sends a range of a pattern file to a socket or pipe with a small buffer and a reader behind it.
 */
static inline struct leat_report send_file_range(enum leat_technique technique, int ends[2],
						 uint64_t offset, uint64_t length,
						 struct steps *ret_steps)
{
	int file = pattern_file(offset + length + 777);
	struct leat_report report;
	struct reader reader;
	struct rig rig;

	rig_open(&rig, ends[0], technique);
	reader_start(&reader, ends[1], offset);
	assert_int_equal(leat_chain_add_file(rig.chain, file, offset, length, NULL, NULL), 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	*ret_steps = rig.steps;
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], length);
	close_pair(ends);
	close(file);
	assert_sums(&report.ledger, length);
	return report;
}

#endif
