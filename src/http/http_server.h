/*
 * `leat http`: a directory served over HTTP/1.1. Start, run, and the line at the end.
 */
#ifndef HTTP_HTTP_SERVER_H
#define HTTP_HTTP_SERVER_H

#include "base/err.h"
#include "http/file_cache.h"

struct http_options {
	const char *dir;
	const char *const *listen; /* as for reactor_listen(); none: 127.0.0.1:8080 */
	unsigned listen_count;
	unsigned threads;         /* 0: one a CPU */
	unsigned connections_max; /* 0: from the descriptor limit */
	const char *index;        /* a file name */
	bool autoindex;
	const char *mime_types; /* NULL: the system's, if it has one */
};

/* Serves until SIGTERM, SIGQUIT or SIGINT. 0, or -errno with the reason in `err`. */
int http_serve(const struct http_options *options, struct err *err);

struct http_server;
struct http_loop;
const struct http_site *http_server_site(const struct http_server *server);
/* Of each loop's cache. */
const struct file_cache_limits *http_server_cache_limits(const struct http_server *server);
/* A loop that ends adds its counters to the server's. */
void http_server_sum(const struct http_server *server, const struct http_loop *loop);

#endif
