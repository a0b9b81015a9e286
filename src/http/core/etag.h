/*
 * Entity tags of files.
 *
 * Inode, size and modification time to the nanosecond name one version of a file as well as a file
 * system can: a replaced file has another inode, an edited one another time. The kernel stamps
 * changes with its coarse clock (a tick of 1 to 10 ms; finer since 6.13 once the time was asked
 * for), so two edits in place in one tick that keep the size can share a tag. As with every server
 * that doesn't read the file: publish by rename.
 */
#ifndef HTTP_CORE_ETAG_H
#define HTTP_CORE_ETAG_H

#include "base/slice.h"

#define HTTP_ETAG_MAX 64 /* with the quotes and a suffix of up to 8 bytes */

/* Writes `"inode-size-mtime"` in hex, with its quotes, and returns its length. `suffix` ("" or such
 * as "gz") tells the encodings of one file apart: each representation has its own tag. */
size_t http_etag_format(uint64_t inode, uint64_t size, int64_t mtime_ns, const char *suffix,
			char out[HTTP_ETAG_MAX]);

#endif
