/*
 * Loading a file range into the page cache, on a thread that may wait for the disk.
 *
 * sendfile(2) to /dev/null reads the pages and throws the references away: nothing is copied
 * (Kafka's warm-up trick). Where that is refused, the range is read. Thread-safe: no state.
 */
#include <errno.h>

#include "engine/technique.h"
#include "sys/sys.h"

static int load_by_reading(const struct leat_load *load, uint64_t done)
{
	char buf[16 * 1024];

	while (done < load->length) {
		size_t len = (size_t)min_u64(load->length - done, sizeof(buf));
		ssize_t n = sys_pread(load->fd, buf, len, load->offset + done);

		if (n <= 0)
			return (int)n;
		done += (uint64_t)n;
	}
	return 0;
}

int leat_load_run(const struct leat_load *load)
{
	int64_t offset = (int64_t)load->offset;
	uint64_t done = 0;
	int null = sys_open("/dev/null", O_WRONLY | O_CLOEXEC, 0);
	int r = 0;

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
