/*
 * The admin listener: /metrics for Prometheus, /status as JSON, /healthz.
 *
 * It has a reactor of its own, with one thread and ADMIN_CONNECTIONS_MAX connections: whatever
 * scrapers do, the loops that serve notice nothing but their counters being read, and when those
 * are busy or at their limit of connections, the figures are still to be had.
 *
 * Services register what they have to say as a source; it is called on the admin's thread, and
 * reads what the service keeps for other threads. The sources stay until admin_free(). What is
 * true of the whole process (admin_process.h, admin_totals.h) is not theirs to say.
 *
 * It answers to addresses, to localhost, and to the names that it is told: a page in an operator's
 * browser, whose own name has been pointed at this machine meanwhile (DNS rebinding), would read it
 * otherwise. Sockets of files have no names.
 *
 * Threads: new, add, start and free are the process's main thread.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/buf.h"
#include "base/err.h"

struct admin;
struct engine_account;
struct reactor;

struct admin_source {
	const char *name; /* of its object in /status */
	/* Families of metrics, whole (base/metrics.h). */
	void (*metrics)(void *arg, struct buf *out);
	/* Members of its object (base/json.h). */
	void (*status)(void *arg, struct buf *out);
	/* A line for each thing that keeps it from doing what it is there for: /healthz then says 503,
	 * and these. NULL: there is never any. */
	void (*trouble)(void *arg, struct buf *out);
	/* Adds what its engines did. */
	void (*engines)(void *arg, struct engine_account *sum);
	void *arg;
};

#define ADMIN_SOURCES_MAX 8

/* Listens at `where`, as for reactor_listen(). Nobody is answered before admin_start(). `serving`:
 * the reactor of the services, whose figures these are. */
int admin_new(const char *where, const struct reactor *serving, struct admin **ret,
	      struct err *err);
void admin_add(struct admin *admin, const struct admin_source *source);
/* The names of hosts that it answers to; they stay the caller's, and there. Before admin_start().
 * -EINVAL: one is no name of a host. */
int admin_allow_hosts(struct admin *admin, const char *const *names, unsigned count,
		      struct err *err);
/* After the process has given up what it won't need, and when the services serve: whoever asks finds
 * what is said true. It listens when this returns 0. */
int admin_start(struct admin *admin, struct err *err);
/* NULL is fine. */
void admin_free(struct admin *admin);

/* "127.0.0.1:9090": port 0 resolved. */
int admin_address(const struct admin *admin, char *buf, size_t len);

#endif
