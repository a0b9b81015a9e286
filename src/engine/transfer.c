/*
 * leat_transfer(): one call from a descriptor to a descriptor. A chain with one segment on an
 * engine of its own, and a poll(2) wherever the chain wants to wait.
 */
#include <errno.h>
#include <string.h>

#include "engine/mirror.h"

struct transfer {
	struct leat_engine engine;
	struct leat_chain chain;
	struct leat_options options;
	uint64_t moved; /* last told to progress() */
};

/* A regular file with a size: a range of it. */
static int transfer_add_file(struct transfer *transfer, int in, int64_t offset, uint64_t size,
			     uint64_t length)
{
	int64_t position = offset == LEAT_CURRENT ? sys_lseek(in, 0, SEEK_CUR) : offset;
	struct segment *segment;

	if (position < 0)
		return (int)position;
	segment = chain_append(&transfer->chain, SOURCE_FILE, in, length, NULL, NULL);
	if (!segment)
		return -ENOMEM;
	segment->offset = (uint64_t)position;
	segment->moves_position = offset == LEAT_CURRENT;
	if (length == LEAT_TO_END) {
		/* sysfs files say 4096 and have less: "to the end" ends where the file does. */
		segment->may_end_early = true;
		segment->length = size > segment->offset ? size - segment->offset : 0;
	}
	return 0;
}

static int transfer_add_source(struct transfer *transfer, int in, int64_t offset, uint64_t length)
{
	enum source_kind kind;
	struct segment *segment;
	struct stat st;
	int flags = sys_get_flags(in);
	int r;

	if (flags < 0)
		return flags;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (offset < LEAT_CURRENT ||
	    (offset > 0 && length != LEAT_TO_END && length > INT64_MAX - (uint64_t)offset))
		return -EINVAL;
	r = sys_fstat(in, &st);
	if (r < 0)
		return r;
	r = source_kind_of_stat(in, &st, &kind);
	if (r < 0)
		return r;
	if (kind == SOURCE_FILE)
		return transfer_add_file(transfer, in, offset, (uint64_t)st.st_size, length);
	if (offset != LEAT_CURRENT && (kind == SOURCE_PIPE || kind == SOURCE_SOCKET))
		return -ESPIPE;
	segment = chain_append(&transfer->chain, kind, in, length, NULL, NULL);
	if (!segment)
		return -ENOMEM;
	segment->offset = offset == LEAT_CURRENT ? SEGMENT_CURRENT : (uint64_t)offset;
	return 0;
}

static int transfer_add_mirrors(struct transfer *transfer)
{
	const struct leat_options *options = &transfer->options;
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->mirror_count; i++)
		r = leat_chain_add_mirror(&transfer->chain, options->mirrors[i], LEAT_MIRROR_WAIT);
	return r;
}

/* Nobody will read the ledger. */
static void transfer_ask_no_route(struct leat_chain *chain)
{
	chain->reference_column = COLUMN_UNKNOWN;
	for (unsigned i = 0; i < chain->mirror_count; i++)
		chain->mirrors[i].reference_column = COLUMN_UNKNOWN;
}

/* Waits for what the chain wants. While it waits for the source, a sink that breaks wakes it too:
 * nothing more could be delivered. */
static int transfer_wait_for(struct leat_chain *chain, int step)
{
	struct pollfd fds[2] = {{.fd = chain->wait.fd, .events = chain->wait.events},
				{.fd = chain->sink.fd, .events = 0}};
	int r;

	chain_syscall(chain);
	r = sys_poll(fds, step == LEAT_WANT_READ ? 2 : 1, -1);
	if (r < 0)
		return r;
	/* A pipe without a reader says ERR; a UNIX socket whose peer has gone says HUP alone, and
	 * at once each time. */
	if (step == LEAT_WANT_READ && (fds[1].revents & (POLLERR | POLLHUP)))
		return chain_fail(chain, -EPIPE,
				  "the sink was closed while waiting for the source");
	return 0;
}

static int transfer_tell_progress(struct transfer *transfer)
{
	const struct leat_options *options = &transfer->options;
	uint64_t moved = transfer->chain.ledger.bytes;

	if (!options->progress || moved == transfer->moved)
		return 0;
	transfer->moved = moved;
	if (options->progress(options->progress_arg, moved) != 0)
		return chain_fail(&transfer->chain, -ECANCELED,
				  "stopped by the progress function after %llu bytes",
				  (unsigned long long)moved);
	return 0;
}

static int transfer_run(struct transfer *transfer)
{
	for (;;) {
		int step = leat_chain_step(&transfer->chain, CHUNK_MAX);
		int r;

		if (step < 0)
			return step;
		r = transfer_tell_progress(transfer);
		if (r < 0)
			return r;
		if (step == LEAT_DONE)
			return 0;
		if (step != LEAT_MORE) {
			r = transfer_wait_for(&transfer->chain, step);
			if (r < 0)
				return r;
		}
	}
}

static void transfer_fill_report(const struct transfer *transfer, struct leat_report *report,
				 uint64_t wall_ns, uint64_t cpu_ns)
{
	struct leat_report full = LEAT_REPORT_INIT;

	leat_chain_report(&transfer->chain, &full);
	full.wall_ns = wall_ns;
	full.cpu_ns = cpu_ns;
	report_give(&full, report);
}

int64_t leat_transfer(int in, int64_t offset, int out, uint64_t length,
		      const struct leat_options *options, struct leat_report *report)
{
	uint64_t wall_ns = report ? sys_now_ns() : 0, cpu_ns = report ? sys_thread_cpu_ns() : 0;
	struct transfer transfer = {.options = LEAT_OPTIONS_INIT};
	struct chain_sink sink = {.fd = out, .flags = LEAT_MAY_BLOCK | LEAT_MAY_LOAD};
	int r = options_read(options, &transfer.options);
	int64_t moved;

	if (r == 0)
		r = sink_kind_of(out, &sink.kind);
	sink.technique = transfer.options.technique;
	engine_init(&transfer.engine);
	chain_init(&transfer.chain, &transfer.engine, &sink);
	if (r == 0)
		r = transfer_add_mirrors(&transfer);
	if (!report)
		transfer_ask_no_route(&transfer.chain);
	if (r == 0)
		r = transfer_add_source(&transfer, in, offset, length);
	if (r == 0)
		r = transfer_run(&transfer);
	else
		chain_fail(&transfer.chain, r, "these descriptors can't be used: %s",
			   strerrordesc_np(-r));
	moved = (int64_t)transfer.chain.ledger.bytes;
	if (report)
		transfer_fill_report(&transfer, report, sys_now_ns() - wall_ns,
				     sys_thread_cpu_ns() - cpu_ns);
	chain_fini(&transfer.chain);
	engine_fini(&transfer.engine);
	return r < 0 ? r : moved;
}
