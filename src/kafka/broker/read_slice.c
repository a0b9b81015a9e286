#include "kafka/broker/read_slice.h"

#include <errno.h>
#include <stdlib.h>

#include "sys/sys.h"

int read_slice(const struct partition_slice *slice, char **buffer, size_t *size)
{
	size_t done = 0;

	if (slice->len > *size) {
		char *more = realloc(*buffer, slice->len);

		if (!more)
			return -ENOMEM;
		*buffer = more;
		*size = slice->len;
	}
	while (done < slice->len) {
		ssize_t n =
		    sys_pread(slice->fd, *buffer + done, slice->len - done, slice->position + done);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}
