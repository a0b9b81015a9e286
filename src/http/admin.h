/*
 * The admin listener: /metrics for Prometheus, /status as JSON, /healthz.
 *
 * It has a reactor of its own, with one thread and ADMIN_CONNECTIONS_MAX connections: whatever
 * scrapers do, the loops that serve notice nothing but their counters being read, and when those
 * are busy or at their limit of connections, the figures are still to be had.
 *
 * Services register what they have to say as a source; it is called on the admin's thread, and
 * reads what the service keeps for other threads. The sources stay until admin_free().
 *
 * Threads: new, add, start and free are the process's main thread.
 */
#ifndef HTTP_ADMIN_H
#define HTTP_ADMIN_H

#include "base/buf.h"
#include "base/err.h"

struct admin;

struct admin_source {
	const char *name; /* of its object in /status */
	/* Families of metrics, whole (base/metrics.h). */
	void (*metrics)(void *arg, struct buf *out);
	/* Members of its object (base/json.h). */
	void (*status)(void *arg, struct buf *out);
	void *arg;
};

#define ADMIN_SOURCES_MAX 8

/* Listens at `where`, as for reactor_listen(). Nothing is answered before admin_start(). */
int admin_new(const char *where, struct admin **ret, struct err *err);
void admin_add(struct admin *admin, const struct admin_source *source);
/* After the process has given up what it won't need. */
int admin_start(struct admin *admin, struct err *err);
/* NULL is fine. */
void admin_free(struct admin *admin);

/* "127.0.0.1:9090": port 0 resolved. */
int admin_address(const struct admin *admin, char *buf, size_t len);

#endif
