/*
 * Loading a file range into the page cache, on a thread that may wait for the disk.
 *
 * First all of it is asked for (POSIX_FADV_WILLNEED), so that the disk has its queue full; then
 * sendfile(2) to /dev/null waits for the pages and throws the references away: nothing is copied
 * (Kafka's warm-up trick). Where that is refused, the range is read. Thread-safe: no state.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/border.h"
#include "engine/technique.h"
#include "sys/sys.h"

/* WILLNEED of one call ends at the larger of the device's largest transfer and its readahead
 * (force_page_cache_ra(), 6.12), without a word: 128 KiB is what devices have by default, and what
 * lies behind it would be read a few pages at a time. And on one CPU, under a kernel that doesn't
 * preempt, a loop waits until the call is over. */
#define ASK_BYTES (128u * 1024u)
/* What a call reads at once: as much as is asked for, where the advice was not taken. */
#define READ_BYTES (128u * 1024u)

static void ask_for(int fd, uint64_t offset, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += ASK_BYTES)
		if (sys_fadvise(fd, offset + at, min_u64(ASK_BYTES, length - at),
				POSIX_FADV_WILLNEED) < 0)
			return; /* then reading has to do */
}

static int load_by_reading(const struct leat_load *load, uint64_t done)
{
	char little[16 * 1024], *buf = malloc(READ_BYTES);
	size_t size = buf ? READ_BYTES : sizeof(little);
	ssize_t n = 1;

	while (done < load->length && n > 0) {
		size_t len = (size_t)min_u64(load->length - done, size);

		n = sys_pread(load->fd, buf ? buf : little, len, load->offset + done);
		if (n > 0)
			done += (uint64_t)n;
	}
	free(buf);
	return n < 0 ? (int)n : 0;
}

static int load_range(const struct leat_load *load)
{
	int64_t offset = (int64_t)load->offset;
	uint64_t done = 0;
	int null = sys_open("/dev/null", O_WRONLY | O_CLOEXEC, 0);
	int r = 0;

	ask_for(load->fd, load->offset, load->length + load->ahead);
	if (null < 0) /* a sandbox without it */
		return load_by_reading(load, 0);
	while (done < load->length) {
		ssize_t n = sys_sendfile(null, load->fd, &offset,
					 (size_t)min_u64(load->length - done, CHUNK_MAX));

		if (n == 0) /* the file is shorter by now: that is for the chain to tell */
			break;
		if (n < 0) {
			r = policy_is_refusal(LEAT_SENDFILE, (int)n) ? load_by_reading(load, done)
								     : (int)n;
			break;
		}
		done += (uint64_t)n;
	}
	sys_close(null);
	return r;
}

int leat_load_run(const struct leat_load *load)
{
	struct leat_load known = LEAT_LOAD_INIT;
	int r = border_take(&known, load, sizeof(known));

	return r < 0 ? r : load_range(&known);
}
