/*
 * A process that serves: one service or several (service.h) over one reactor, with one set of
 * loops and helpers, one admin listener and one end. What a service is to do is in its own
 * options.
 *
 * The start has an order, and either all of it runs or nothing:
 *
 *     the reactor; what is served is looked at; all addresses are taken, so that errors come early
 *     another user's rights (--user): what is made from here on is his
 *     the store, whose recovery has threads of its own, which have ended by then
 *     everything is open: the rest is given up (confine.h)
 *     threads: of the access log, and the loops, each with its caches
 *     the ports answer; the admin listener; it is said that it serves; the loops turn
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "serve/service.h"

enum { SERVE_PARTS_MAX = 4 };

struct serve_part {
	const struct service *service; /* NULL: no more */
	const void *options;           /* its own; they stay until serve() returns */
};

#define SERVE_ADMIN_HOSTS_MAX 16

struct serve_options {
	struct serve_part parts[SERVE_PARTS_MAX];

	unsigned threads;         /* 0: one a CPU */
	unsigned connections_max; /* of all services; 0: from the descriptor limit */
	/* For what is being sent at the end, and then as long for Kafka's disk; 0: 10 seconds. */
	uint32_t drain_ms;
	const char *admin; /* where the admin listener listens; NULL: there is none */
	const char *admin_hosts[SERVE_ADMIN_HOSTS_MAX]; /* names it answers to, beside addresses */
	unsigned admin_host_count;
	const char *user; /* NAME or NAME:GROUP to become after the start; NULL: stays */
	bool sandbox;     /* confines itself after the start: for good, the whole process */
	/* Called when it serves: it listens, and whatever it needs has been made; may be NULL. */
	void (*ready)(void *arg);
	void *ready_arg;
};

/* Serves until SIGTERM, SIGQUIT or SIGINT. 0, or -errno with the reason in `err`. */
int serve(const struct serve_options *options, struct err *err);

#endif
