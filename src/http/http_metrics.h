/*
 * What an HTTP server tells the admin listener. The table of its metrics is in http_metrics.c; the
 * manual page has the same names and words (tests/integration/test_http_ops.py compares them).
 */
#ifndef HTTP_HTTP_METRICS_H
#define HTTP_HTTP_METRICS_H

#include "http/admin.h"
#include "http/http_server.h"

/* Both stay until the admin listener is gone. */
struct http_metrics {
	const struct http_server *server;
	const struct reactor *reactor;
};

void http_metrics_add(struct http_metrics *metrics, struct admin *admin);

#endif
