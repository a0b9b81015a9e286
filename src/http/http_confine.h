/*
 * What a server gives up once it has its listeners and its logs: its user's rights for those of
 * --user, and all that it won't need (sys/sandbox.h). Before other threads are started.
 */
#ifndef HTTP_HTTP_CONFINE_H
#define HTTP_HTTP_CONFINE_H

#include "http/http_server.h"
#include "sys/sandbox.h"
#include "sys/user.h"

struct confine_options {
	const struct http_site *site;
	const struct user *user; /* NULL: it stays who it is */
	bool sandbox;
	struct sandbox_options places; /* besides the site: what has to be written later */
};

/* Makes room for a listener's socket file, which is removed in the end; nothing for other
 * addresses. */
void confine_add_listener(struct confine_options *options, const char *name);
/* A log that may be opened anew; NULL and "-" are none. */
int confine_add_log(struct confine_options *options, const char *path, struct err *err);
/* And says what holds now. */
int confine(struct confine_options *options, struct err *err);

#endif
