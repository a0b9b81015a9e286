/*
 * What the loops of an HTTP server did, summed. Each loop's thread counts for itself, with plain
 * stores that any thread may read: figures are current, but not all of one moment.
 */
#ifndef HTTP_HTTP_ACCOUNT_H
#define HTTP_HTTP_ACCOUNT_H

#include "engine/engine.h"
#include "http/http_loop.h"

struct http_account {
	uint64_t requests;
	uint64_t status[HTTP_STATUS_MAX];
	uint64_t truncated;
	uint64_t opened, closed;
	uint64_t expired[HTTP_DEADLINE_COUNT];
	struct engine_account engine;
	struct histogram durations;
	struct file_cache_stats cache;
};

/* Any thread, while there is a server. */
void http_account(const struct http_server *server, struct http_account *ret);
/* The line at the end. */
void http_account_say(const struct http_server *server);

#endif
