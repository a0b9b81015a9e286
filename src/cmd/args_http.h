/*
 * The options of HTTP.
 */
#ifndef CMD_ARGS_HTTP_H
#define CMD_ARGS_HTTP_H

#include "cmd/args.h"
#include "http/http_server.h"

struct args_http {
	struct http_options options;
	const char *listen[ARGS_LIST_MAX], *headers[ARGS_LIST_MAX], *trusted[ARGS_LIST_MAX];
	const char *links[ARGS_LIST_MAX];
};

/* To the defaults; stays where it is. */
void args_http_init(struct args_http *args);
/* All but where it listens, which is called differently by different commands. */
struct args_set args_http_set(struct args_http *args);

#endif
