/*
 * A chain from its first segment to its last: the ring that holds the segments, how they are added,
 * and how they go.
 *
 * Adding (leat_chain_add_...(), chain_add_known_...()) finds out what the descriptor is, unless the
 * caller knows, and ends in chain_append(): no byte moves. leat_chain_step() (chain_step.c) works
 * at the head, and calls chain_drop_head() when it is over, which is the one place where a segment
 * ends: the position of its descriptor, its mapping, its release, unless the kernel still reads its
 * memory (completion.c keeps the release then). A release may add segments.
 *
 * chain_fini() and leat_chain_reset() let go of everything in this order: techniques first, since
 * they know when the kernel is done with memory; then the segments; then pipe, buffer, mapping,
 * mirrors. chain_verify() states what holds between any two of these calls.
 */
#include "engine/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/border.h"
#include "engine/completion.h"
#include "engine/mirror.h"

/* Not a memset: the struct is 2 KiB, most of it texts and segments that are written before they
 * are read, and a connection makes one. */
void chain_init(struct leat_chain *chain, struct leat_engine *engine, const struct chain_sink *sink)
{
	CHECK((sink->kind == SINK_WRITER) == (sink->writer != NULL));
	chain->engine = engine;
	chain->sink = *sink;
	chain->segments = chain->inline_segments;
	chain->capacity = CHAIN_INLINE;
	chain->pipe = PIPE_NONE;
	chain->piped = 0;
	chain->bounce = (struct bounce){NULL, 0, 0};
	chain->refused = 0;
	chain->writer_events = 0;
	chain->mapping = (struct mapping){.fd = -1};
	chain->mirrors = NULL;
	chain->mirror_count = 0;
	chain->teed = 0;
	chain->sink_copies = false;
	chain->completions = NULL;
	chain->head = chain->count = 0;
	chain->reference_column = -1;
	chain->route_text[0] = '\0';
	chain->error = 0;
	chain->error_text[0] = chain->fallback_text[0] = '\0';
	chain->step = LEAT_DONE;
	chain->unsettled = false;
	chain->letting_go = false;
	chain->wait = (struct leat_wait)LEAT_WAIT_INIT;
	chain->load = (struct leat_load)LEAT_LOAD_INIT;
	chain->load_tries = 0;
	memset(&chain->ledger, 0, sizeof(chain->ledger));
	memset(&chain->published, 0, sizeof(chain->published));
	memset(chain->technique_bytes, 0, sizeof(chain->technique_bytes));
	memset(chain->technique_reason, 0, sizeof(chain->technique_reason));
	chain->payload_columns = chain->memory_columns = 0;
	chain->techniques_used = 0;
}

void chain_verify(const struct leat_chain *chain)
{
	const struct segment *head = chain->count > 0 ? chain_segment(chain, 0) : NULL;

	CHECK(ledger_sums(&chain->ledger));
	CHECK(chain->count <= chain->capacity && (chain->capacity & (chain->capacity - 1)) == 0);
	CHECK(chain->bounce.start <= chain->bounce.end && chain->bounce.end <= BOUNCE_BYTES);
	CHECK(chain->bounce.data || chain->bounce.end == 0);
	CHECK(chain->pipe.read_fd >= 0 || chain->piped == 0);
	CHECK(chain->teed <= chain->piped);
	CHECK(chain->refused == 0 || chain->sink.kind == SINK_WRITER);
	if (chain->error == 0) {
		CHECK(chain_held(chain) == (head ? head->taken - head->sent : 0));
		CHECK(!head || head->sent <= head->length);
		CHECK(chain->count < 2 || chain_segment(chain, 1)->taken == 0);
	}
	for (unsigned i = 0; i < chain->mirror_count; i++)
		mirror_verify(chain, &chain->mirrors[i]);
}

static void chain_stop_techniques(struct leat_chain *chain)
{
	for (unsigned id = 0; chain->techniques_used != 0 && id < LEAT_TECHNIQUE_COUNT; id++) {
		const struct technique *technique;

		if (!(chain->techniques_used & 1u << id))
			continue;
		technique = technique_find((enum leat_technique)id);
		if (technique->stop)
			technique->stop(chain);
	}
	chain->techniques_used = 0;
}

/* Everything that the chain holds of others goes back. First the techniques: they know when the
 * kernel has let go of the memory that release() gives away. A release that adds the next segment
 * is refused, or this would never end. */
static void chain_let_go(struct leat_chain *chain)
{
	chain->letting_go = true;
	chain_stop_techniques(chain);
	while (chain->count > 0)
		chain_drop_head(chain);
	for (unsigned i = 0; i < chain->mirror_count; i++)
		mirror_reset(chain, &chain->mirrors[i]);
	chain_give_pipe(chain);
	chain_give_bounce(chain);
	chain_unmap(chain);
	ledger_publish(&chain->engine->totals, &chain->ledger, &chain->published);
}

void chain_leave_sink(struct leat_chain *chain)
{
	chain_stop_techniques(chain);
	chain_fail(chain, -ECANCELED, "the sink is gone");
}

bool chain_failed_at_source(const struct leat_chain *chain)
{
	const struct segment *head = chain->count > 0 ? chain_segment(chain, 0) : NULL;

	return chain->error < 0 && head &&
	       (head->kind == SOURCE_SOCKET || head->kind == SOURCE_PIPE ||
		head->kind == SOURCE_OTHER) &&
	       chain_held(chain) == 0;
}

void chain_fini(struct leat_chain *chain)
{
	chain_let_go(chain);
	if (chain->segments != chain->inline_segments)
		free(chain->segments);
	chain->segments = NULL;
	free(chain->mirrors);
	chain->mirrors = NULL;
}

void leat_chain_reset(struct leat_chain *chain)
{
	struct segment *segments = chain->segments;
	struct mirror *mirrors = chain->mirrors;
	unsigned capacity = chain->capacity, mirror_count = chain->mirror_count;
	int reference_column = chain->reference_column;
	const struct chain_sink sink = chain->sink;
	char route_text[sizeof(chain->route_text)];

	chain_let_go(chain);
	memcpy(route_text, chain->route_text, sizeof(route_text));
	chain_init(chain, chain->engine, &sink);
	chain->segments = segments;
	chain->capacity = capacity;
	chain->mirrors = mirrors;
	chain->mirror_count = mirror_count;
	chain->reference_column = reference_column; /* the sink is still the same */
	memcpy(chain->route_text, route_text, sizeof(route_text));
	chain_verify(chain);
}

/* ---- The ring ---- */

static bool chain_grow_ring(struct leat_chain *chain)
{
	unsigned capacity = chain->capacity * 2;
	struct segment *segments = malloc(capacity * sizeof(*segments));

	if (!segments)
		return false;
	for (unsigned i = 0; i < chain->count; i++)
		segments[i] = *chain_segment(chain, i);
	if (chain->segments != chain->inline_segments)
		free(chain->segments);
	chain->segments = segments;
	chain->capacity = capacity;
	chain->head = 0;
	return true;
}

struct segment *chain_append(struct leat_chain *chain, enum source_kind kind, int fd,
			     uint64_t length, leat_release release, void *arg)
{
	struct segment *segment;

	if (chain->letting_go || (chain->count == chain->capacity && !chain_grow_ring(chain)))
		return NULL;
	segment = chain_segment(chain, chain->count++);
	/* Field by field: of a compound literal gcc 12 makes a "rep stos", the hottest instruction
	 * of bench/ledger-cost. */
	segment->kind = kind;
	segment->fd = fd;
	segment->memory = NULL;
	segment->offset = 0;
	segment->length = length;
	segment->taken = segment->sent = 0;
	segment->hot_until = segment->hot_since_ns = 0;
	segment->refused = 0;
	segment->may_end_early = segment->moves_position = segment->no_clone = false;
	segment->technique = NULL;
	segment->reason = NULL;
	segment->release = release;
	segment->release_arg = arg;
	chain_verify(chain);
	return segment;
}

/* Why there was no new segment. */
static int chain_why_not_appended(const struct leat_chain *chain)
{
	return chain->letting_go ? -ECANCELED : -ENOMEM;
}

void chain_drop_head(struct leat_chain *chain)
{
	struct segment *segment = chain_segment(chain, 0);
	leat_release release = segment->release;
	void *arg = segment->release_arg;
	bool held;

	if (segment->moves_position)
		sys_lseek(segment->fd, (int64_t)(segment->offset + segment->sent), SEEK_SET);
	if (chain->mapping.address)
		chain_unmap(
		    chain); /* its descriptor may be closed now, and the number used again */
	chain->load.fd = -1;
	chain->ledger.transfers++;
	held = completion_hold(chain, segment);
	chain->head = (chain->head + 1) & (chain->capacity - 1);
	chain->count--;
	if (release && !held)
		release(arg);
}

/* ---- Adding ---- */

int leat_chain_add_memory(struct leat_chain *chain, const void *data, size_t length,
			  leat_release release, void *arg)
{
	struct segment *segment;

	if (length > INT64_MAX)
		return -EINVAL;
	segment = chain_append(chain, SOURCE_MEMORY, -1, length, release, arg);
	if (!segment)
		return chain_why_not_appended(chain);
	segment->memory = data;
	return 0;
}

int chain_add_known_file(struct leat_chain *chain, int fd, uint64_t file, uint64_t offset,
			 uint64_t length, leat_release release, void *arg)
{
	struct segment *segment = chain_append(chain, SOURCE_FILE, fd, length, release, arg);

	if (!segment)
		return chain_why_not_appended(chain);
	segment->offset = offset;
	segment->file = file;
	return 0;
}

uint64_t chain_file(uint64_t device, uint64_t inode, int64_t ctime_ns)
{
	uint64_t hash = hash_mix(hash_mix(device ^ 0x9e3779b97f4a7c15u, inode | 1ull << 63),
				 (uint64_t)ctime_ns ^ 0xd6e8feb86659fd93u);

	return hash | 1ull << 63;
}

static uint64_t chain_file_of_stat(const struct stat *st)
{
	return chain_file(st->st_dev, st->st_ino,
			  (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec);
}

int chain_add_known_stream(struct leat_chain *chain, int fd, enum source_kind kind, uint64_t length,
			   leat_release release, void *arg)
{
	struct segment *segment = chain_append(chain, kind, fd, length, release, arg);

	if (!segment)
		return chain_why_not_appended(chain);
	segment->offset = SEGMENT_CURRENT;
	segment->may_end_early = true;
	return 0;
}

int leat_chain_add_file(struct leat_chain *chain, int fd, uint64_t offset, uint64_t length,
			leat_release release, void *arg)
{
	struct stat st;
	struct segment *segment;
	enum source_kind kind;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	r = source_kind_of_stat(fd, &st, &kind);
	if (r < 0)
		return r;
	if (kind != SOURCE_FILE && kind != SOURCE_PSEUDO)
		return -EINVAL;
	if (offset > INT64_MAX || (length != LEAT_TO_END && length > INT64_MAX - offset))
		return -EINVAL;
	if (kind == SOURCE_FILE) {
		uint64_t size = (uint64_t)st.st_size;

		if (length == LEAT_TO_END)
			length = size > offset ? size - offset : 0;
		return chain_add_known_file(chain, fd, chain_file_of_stat(&st), offset, length,
					    release, arg);
	}
	segment = chain_append(chain, SOURCE_PSEUDO, fd, length, release, arg);
	if (!segment)
		return chain_why_not_appended(chain);
	segment->offset = offset;
	segment->may_end_early = length == LEAT_TO_END;
	return 0;
}

/* A file at its own position: a range of it, and the position follows. */
static int chain_add_file_at_position(struct leat_chain *chain, int fd, const struct stat *st,
				      uint64_t length, leat_release release, void *arg)
{
	uint64_t size = (uint64_t)st->st_size;
	int64_t position = sys_lseek(fd, 0, SEEK_CUR);
	uint64_t left;
	int r;

	if (position < 0)
		return (int)position;
	left = max_u64(size, (uint64_t)position) - (uint64_t)position;
	r = chain_add_known_file(chain, fd, chain_file_of_stat(st), (uint64_t)position,
				 min_u64(length, left), release, arg);
	if (r < 0)
		return r;
	chain_segment(chain, chain->count - 1)->moves_position = true;
	chain_segment(chain, chain->count - 1)->may_end_early = true;
	return 0;
}

int leat_chain_add_stream(struct leat_chain *chain, int fd, uint64_t length, leat_release release,
			  void *arg)
{
	struct stat st;
	enum source_kind kind;
	int flags = sys_get_flags(fd);
	int r;

	if (flags < 0)
		return flags;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	r = source_kind_of_stat(fd, &st, &kind);
	if (r < 0)
		return r;
	if (kind == SOURCE_FILE)
		return chain_add_file_at_position(chain, fd, &st, length, release, arg);
	if (!(chain->sink.flags & LEAT_MAY_BLOCK) && !(flags & O_NONBLOCK) &&
	    (kind == SOURCE_PIPE || kind == SOURCE_SOCKET || sys_is_terminal(fd)))
		return -EINVAL;
	return chain_add_known_stream(chain, fd, kind, length, release, arg);
}

/* ---- The public face ---- */

int options_read(const struct leat_options *options, struct leat_options *ret)
{
	struct leat_options read = LEAT_OPTIONS_INIT;
	int r = options ? border_take(&read, options, sizeof(read)) : 0;

	if (r < 0)
		return r;
	if ((unsigned)read.technique >= LEAT_TECHNIQUE_COUNT)
		return -EINVAL;
	*ret = read;
	return 0;
}

int leat_chain_new(struct leat_engine *engine, int sink, const struct leat_options *options,
		   struct leat_chain **ret_chain)
{
	struct chain_sink known = {.fd = sink};
	struct leat_options read;
	struct leat_chain *chain;
	int r = sink_kind_of(sink, &known.kind);

	if (r < 0)
		return r;
	r = options_read(options, &read);
	if (r < 0)
		return r;
	known.flags = read.flags;
	known.technique = read.technique;
	if (sink_would_block(known.flags, sink, known.kind))
		return -EINVAL;
	chain = malloc(sizeof(*chain));
	if (!chain)
		return -ENOMEM;
	chain_init(chain, engine, &known);
	*ret_chain = chain;
	return 0;
}

void leat_chain_free(struct leat_chain *chain)
{
	if (!chain)
		return;
	chain_fini(chain);
	free(chain);
}

void leat_chain_wait(const struct leat_chain *chain, struct leat_wait *ret_wait)
{
	border_give(ret_wait, &chain->wait, sizeof(chain->wait));
}

void leat_chain_load(const struct leat_chain *chain, struct leat_load *ret_load)
{
	border_give(ret_load, &chain->load, sizeof(chain->load));
}

uint64_t leat_chain_pending(const struct leat_chain *chain)
{
	uint64_t pending = 0;

	for (unsigned i = 0; i < chain->count; i++) {
		uint64_t left = segment_left(chain_segment(chain, i));

		if (left == LEAT_TO_END)
			return LEAT_TO_END;
		pending += left;
	}
	return pending;
}
