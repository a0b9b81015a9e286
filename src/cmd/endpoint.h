/*
 * The ends of a `leat copy`: how they are written, and how they become descriptors.
 *
 *     PATH                    a file, pipe, device
 *     -                       standard input or output
 *     tcp:HOST:PORT           connects; HOST may be [IPv6]
 *     tcp-listen:ADDR:PORT    waits for one connection; ADDR may be empty, PORT 0
 *     unix:PATH               connects to a UNIX stream socket
 *     unix-listen:PATH        waits for one connection; the path is removed again
 */
#ifndef CMD_ENDPOINT_H
#define CMD_ENDPOINT_H

#include "base/check.h"
#include "base/err.h"

enum endpoint_kind {
	ENDPOINT_FILE,
	ENDPOINT_STANDARD,
	ENDPOINT_TCP,
	ENDPOINT_TCP_LISTEN,
	ENDPOINT_UNIX,
	ENDPOINT_UNIX_LISTEN,
};

enum endpoint_role { ENDPOINT_SOURCE, ENDPOINT_SINK };

struct endpoint {
	enum endpoint_kind kind;
	const char *text; /* as it was written; borrowed */
	const char *path; /* of FILE, UNIX, UNIX_LISTEN: in `text` */
	char host[256];   /* of TCP, TCP_LISTEN */
	char port[6];
};

/* 0 or -EINVAL with `err` saying how it is written. */
int endpoint_parse(const char *text, struct endpoint *ret, struct err *err);

/* A blocking descriptor that the caller closes, or -errno with `err` naming the endpoint and what
 * to do. Waits for connections. A file sink is created if need be, and not truncated: see
 * endpoint_truncate(). `append`: a file sink is opened with O_APPEND. */
int endpoint_open(const struct endpoint *endpoint, enum endpoint_role role, bool append,
		  struct err *err);

/* Empties a regular file sink that was named by its path; what is not one is left alone. */
int endpoint_truncate(const struct endpoint *endpoint, int fd, struct err *err);

/* Ends a sink so that its reader sees the end, and closes it: only now may some errors of writing
 * show. 0 or -errno. */
int endpoint_close_sink(const struct endpoint *endpoint, int fd, struct err *err);

/* What messages call it: as it was written, or "standard input". */
const char *endpoint_name(const struct endpoint *endpoint, enum endpoint_role role);

/* What to do about an error of this endpoint, or what the system calls it. */
const char *endpoint_advice(const struct endpoint *endpoint, enum endpoint_role role, int error);

#endif
