/*
 * A service, as serve() sees it: one constant for each that there is. serve() knows no protocol;
 * it calls these in the order in which they stand, for all services in the order in which they
 * were asked for, and takes everything back in the opposite order. Those that not every service
 * needs may be NULL: keep_places, check_user, open, keep_opened, start, hangup.
 *
 * `server` is what make() made. Everything is called on the process's main thread, but for
 * loop_open, loop_close and hangup, which run on the thread of each loop.
 */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include "admin/admin.h"
#include "reactor/reactor.h"
#include "serve/confine.h"

struct service {
	/* The end waits for its helpers as long as for what is being sent: a sync of a log may wait
	 * behind much that others write, and given up it would make the next start check all logs. */
	bool syncs;

	/* Looks at what is to be served, and opens nothing to the world. `options`: its own, which
	 * stay. */
	int (*make)(const void *options, unsigned loops, void **ret, struct err *err);
	/* Its listeners, in the reactor. */
	int (*listen)(void *server, struct reactor *reactor, struct err *err);
	/* What operators read of it; only where there is an admin listener. */
	void (*add_metrics)(void *server, struct admin *admin);
	/* What it needs of a confined process, while the rights to open it are there. */
	int (*keep_places)(void *server, struct confinement *kept, struct err *err);
	/* The process is this user now: says what he may not. */
	void (*check_user)(void *server, const struct user *user);
	/* What it makes and keeps, by the rights that it will run with. */
	int (*open)(void *server, struct err *err);
	/* What open() has opened, as keep_places(). */
	int (*keep_opened)(void *server, struct confinement *kept, struct err *err);
	/* Its own threads, in a confined process. */
	int (*start)(void *server, struct err *err);
	/* Its state on a loop, before the loop's first connection. */
	int (*loop_open)(void *server, struct loop *loop, struct err *err);
	/* It serves. */
	void (*say_start)(void *server);

	/* SIGHUP; on each loop. */
	void (*hangup)(void *server, struct loop *loop);

	/* The loop's connections are gone. */
	void (*loop_close)(void *server, struct loop *loop);
	void (*say_end)(void *server);
	/* Before the reactor is freed: what still waits looks for its connection. */
	void (*end)(void *server);
	/* Instead of end(), where helpers are stuck and may still touch what is the server's. */
	void (*abandon)(void *server);
};

/* Each with its options: struct http_options, struct kafka_options, struct relay_options. */
extern const struct service http_service, kafka_service, relay_service;

#endif
