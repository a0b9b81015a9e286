/*
 * What an HTTP server tells the admin listener. The table of its metrics is in http_metrics.c; the
 * manual page has the same names and words (tests/integration/test_http_ops.py compares them).
 */
#ifndef HTTP_HTTP_METRICS_H
#define HTTP_HTTP_METRICS_H

#include "admin/admin.h"
#include "http/http_server.h"

/* The server stays until the admin listener is gone. */
void http_metrics_add(struct http_server *server, struct admin *admin);

#endif
