/*
 * What the HTTP connections of one loop share: the file cache, the engine, buffers, the date,
 * counters. Everything but the counters belongs to the loop's thread.
 */
#ifndef HTTP_HTTP_LOOP_H
#define HTTP_HTTP_LOOP_H

#include "base/counter.h"
#include "base/histogram.h"
#include "http/core/request.h"
#include "http/file_cache.h"
#include "http/http_server.h"
#include "http/http_limits.h"
#include "base/spare.h"
#include "leat/leat.h"
#include "reactor/reactor.h"

#define HTTP_STATUS_MAX 600

/* Which deadline ended a connection. */
enum http_deadline {
	HTTP_DEADLINE_HEADER,
	HTTP_DEADLINE_BODY,
	HTTP_DEADLINE_IDLE,
	HTTP_DEADLINE_WRITE,
	HTTP_DEADLINE_LINGER,
	HTTP_DEADLINE_COUNT,
};

/* Written by the loop's thread, read by any (counter.h). */
struct http_counters {
	uint64_t requests;
	uint64_t status[HTTP_STATUS_MAX];
	uint64_t truncated;      /* files that shrank while they went out */
	uint64_t opened, closed; /* connections */
	uint64_t expired[HTTP_DEADLINE_COUNT];
};

static inline void http_count(uint64_t *counter, uint64_t n)
{
	counter_add(counter, n);
}

struct http_loop {
	const struct http_server *server;
	struct http_timeouts timeouts;
	struct loop *loop;
	struct leat_engine *engine;
	struct file_cache *cache;
	struct watch cache_watch; /* fd -1: none */
	uint64_t root_looked_ms;  /* when its name was last looked up */
	unsigned root_generation; /* what the cache has is of this one */
	struct job root_job;      /* a helper looks */
	bool root_asked;          /* it is under way */

	struct spare flights, kept_small, kept_large, jobs;

	int64_t date_second; /* what `date` says */
	char date[HTTP_DATE_LEN];
	struct http_counters counters;

	struct http_recorder *recorder; /* NULL: no access log */
	bool timed;                     /* somebody wants to know how long answers took */
	uint64_t turn, turn_ns;         /* that turn's time */
	struct histogram durations;     /* of answers, nanoseconds; if timed */

	size_t turn_left;                   /* bytes for the connection whose turn it is */
	uint64_t small_ms;                  /* when an answer last left from memory */
	struct http_request request;        /* the one that is being answered */
	char location[HTTP_LOCATION_BYTES]; /* of a redirect */
	char received[HTTP_RECV_BYTES];
};

/* On the loop's thread, before its first connection. */
int http_loop_open(struct loop *loop, struct http_server *server, struct err *err);
/* Its connections are gone. What other threads may read stays until http_loop_free(). */
void http_loop_close(struct loop *loop, const struct http_server *server);
/* The server's, in its end. NULL is fine. */
void http_loop_free(struct http_loop *loop);

/* The root's name is looked up if it is time, or `now`: 0, -EAGAIN (a helper has to, before it
 * looks for a file), -ENODEV (there is none: 503). What the cache has of another root is gone
 * then. */
int http_loop_look_root(struct http_loop *loop, bool now);
/* The Date of answers made now. */
const char *http_loop_date(struct http_loop *loop);

#endif
