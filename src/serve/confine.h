/*
 * What a serving process gives up once everything is open: its user's rights for those of --user,
 * and all that it won't need (sys/sandbox.h). Before other threads are started.
 */
#ifndef SERVE_CONFINE_H
#define SERVE_CONFINE_H

#include <sys/socket.h>

#include "http/file_link.h"
#include "http/http_root.h"
#include "kafka/store/store.h"
#include "sys/sandbox.h"
#include "sys/user.h"

#define CONFINE_FOLDERS_MAX (4 + FILE_LINK_ROOTS_MAX)

/* What is to be kept, collected before the rights to open it are gone. Zeroed: nothing. */
struct confinement {
	struct sandbox_options places;
	const char *folders[CONFINE_FOLDERS_MAX]; /* for people */
	unsigned folders_count;
	char parents[2][PATH_MAX]; /* of the site's directory, which may be replaced in there */
	struct http_root *root;    /* the site's; NULL: there is none */
};

/* The files of a site, for reading, and what stands in the place of its directory one day, unless
 * its parent has too much in it (http_root_parents()). */
int confine_add_site(struct confinement *kept, const struct http_site *site, struct err *err);
/* The store's directory, and the calls that keep data. */
int confine_add_store(struct confinement *kept, const struct store *store, struct err *err);
/* Makes room for a listener's socket file, which is removed in the end; nothing for other
 * addresses. */
void confine_add_listener(struct confinement *kept, const char *name);
/* A log that may be opened anew; NULL and "-" are none. */
int confine_add_log(struct confinement *kept, const char *path, struct err *err);
/* Connections to this address, of TCP or a socket file; `name` is for people. */
int confine_add_target(struct confinement *kept, const struct sockaddr_storage *address,
		       const char *name, struct err *err);
/* Nothing but this from here on, and says what holds now. */
int confine_apply(struct confinement *kept, struct err *err);
void confine_fini(struct confinement *kept);

/* Becomes the user, and says so. */
int confine_become(const struct user *user, struct err *err);
/* A warning where the user, who the process is by now, can't read the site. */
void confine_check_site(const struct user *user, const struct http_site *site);

#endif
