/*
 * Whether a file range is in memory.
 *
 * sendfile(2) and splice(2) wait for the disk on a cold page, whatever the O_NONBLOCK of either
 * side (do_sendfile ignores it), and an event loop stands still with them. So before a chunk is
 * handed over the page cache is asked: cachestat(2) counts its pages (6.5), and preadv2 with
 * RWF_NOWAIT reads the last byte, since a page whose reading has only begun is counted too. Before
 * 6.5 the first and the last byte have to do (4.14; a file system without RWF_NOWAIT is believed to
 * be fast). A cold range is announced to the caller (LEAT_WANT_LOAD), who has it read by another
 * thread. Nothing here starts reading: POSIX_FADV_WILLNEED takes 1.6 ms for 4 MiB (measured, on a
 * fast disk: pages are allocated and the disk's queue may be full), and RWF_NOWAIT on a page that
 * is not there begins a readahead of its own.
 *
 * One question serves WINDOW_BYTES, for as long as RESIDENT_FRESH_NS, and every chain of the
 * engine: what was in memory a moment ago still is, and neither a slow client's many small steps
 * nor the hundredth client of a popular file must ask again.
 */
#include <errno.h>

#include "engine/chain_internal.h"

#define WINDOW_BYTES (4u * 1024u * 1024u)
/* Behind what is loaded: the disk works on it while the window goes out. */
#define AHEAD_BYTES       (4u * 1024u * 1024u)
#define RESIDENT_FRESH_NS 100000000u
/* After so many loads that changed nothing, the step goes ahead and may wait: the page cache does
 * not keep this range (a hole, O_DIRECT, DAX) or throws it out at once. */
#define LOADS_IN_VAIN_MAX 2u

/* 1, 0, or -errno when cachestat can't say. */
static int cached_by_count(struct leat_chain *chain, int fd, uint64_t start, uint64_t end)
{
	uint64_t page = chain->engine->page_bytes;
	uint64_t first = start / page, last = (end - 1) / page;
	int64_t cached;

	if (chain->engine->no_cachestat)
		return -ENOSYS;
	cached = sys_cached_pages(fd, start, end - start);
	chain_syscall(chain);
	if (cached == -ENOSYS)
		chain->engine->no_cachestat = true;
	if (cached < 0)
		return (int)cached;
	return (uint64_t)cached >= last - first + 1;
}

/* Past the file's end nothing is cold: there is nothing. */
static bool byte_is_cached(struct leat_chain *chain, int fd, uint64_t offset)
{
	char byte;

	chain_syscall(chain);
	return sys_pread_nowait(fd, &byte, 1, offset) != -EAGAIN;
}

static bool is_past_end(struct leat_chain *chain, int fd, uint64_t offset)
{
	struct stat st;

	chain_syscall(chain);
	return sys_fstat(fd, &st) == 0 && offset >= (uint64_t)st.st_size;
}

static bool is_cached(struct leat_chain *chain, int fd, uint64_t start, uint64_t end)
{
	int r = cached_by_count(chain, fd, start, end);

	/* Pages are missing: the disk has them, or the file has been cut short. */
	if (r == 0)
		return is_past_end(chain, fd, end - 1);
	return (r == 1 || byte_is_cached(chain, fd, start)) && byte_is_cached(chain, fd, end - 1);
}

bool chain_want_load(struct leat_chain *chain, struct segment *segment, uint64_t start,
		     uint64_t end)
{
	uint64_t range_end = segment->offset + segment->length;

	if (chain->load.fd == segment->fd && chain->load.offset == start)
		chain->load_tries++;
	else
		chain->load_tries = 1;
	if (chain->load_tries > LOADS_IN_VAIN_MAX)
		return false;
	end = min_u64(max_u64(end, start + WINDOW_BYTES), range_end);
	chain->load = (struct leat_load){
	    .size = sizeof(chain->load),
	    .fd = segment->fd,
	    .offset = start,
	    .length = end - start,
	    .ahead = min_u64(AHEAD_BYTES, range_end - end),
	};
	chain->ledger.loads++;
	return true;
}

static struct resident *memory_of(struct leat_chain *chain, uint64_t file, uint64_t offset)
{
	uint64_t place = file + offset / CHUNK_MAX;

	return &chain->engine->residents[place % ENGINE_RESIDENTS];
}

static bool is_remembered(const struct resident *resident, uint64_t file, uint64_t start,
			  uint64_t end, uint64_t now_ns)
{
	return resident->file == file && start >= resident->start && end <= resident->end &&
	       now_ns - resident->since_ns < RESIDENT_FRESH_NS;
}

static uint64_t end_of(const struct segment *segment, uint64_t max)
{
	return min_u64(segment->offset + segment->taken + max, segment->offset + segment->length);
}

bool chain_seems_resident(struct leat_chain *chain, struct segment *segment, uint64_t max)
{
	uint64_t start = segment->offset + segment->taken;
	uint64_t end = end_of(segment, max), window = end_of(segment, WINDOW_BYTES);
	struct resident *resident;
	uint64_t now_ns;

	if (segment->kind != SOURCE_FILE || (chain->sink.flags & LEAT_MAY_LOAD) || end <= start)
		return true;
	now_ns = sys_now_coarse_ns();
	if (end <= segment->hot_until && now_ns - segment->hot_since_ns < RESIDENT_FRESH_NS)
		return true;
	resident = memory_of(chain, segment->file, start);
	if (is_remembered(resident, segment->file, start, end, now_ns))
		return true;
	if (is_cached(chain, segment->fd, start, window))
		end = window;
	else if (end == window || !is_cached(chain, segment->fd, start, end))
		return false;
	segment->hot_until = end;
	segment->hot_since_ns = now_ns;
	*resident = (struct resident){segment->file, start, end, now_ns};
	return true;
}

bool chain_is_resident(struct leat_chain *chain, struct segment *segment, uint64_t max)
{
	uint64_t start = segment->offset + segment->taken;

	if (!chain_seems_resident(chain, segment, max)) {
		if (chain_want_load(chain, segment, start, end_of(segment, max)))
			return false;
		/* In vain, and too often. This stretch is not asked about again. */
		segment->hot_until = end_of(segment, max);
		segment->hot_since_ns = sys_now_coarse_ns();
	}
	chain->load.fd = -1; /* the tries are over, well or not */
	return true;
}
