/*
 * A body that helpers read: of a file whose file system may wait (file_system.h), where a loop
 * can't even ask whether it would.
 *
 *     new --step (a helper)--> a piece --sent--> step --> ... --> done
 *
 * A piece lies in a pipe, by reference to the file's pages; where the file can't be spliced, or
 * another technique than splice is forced, in memory. Steps and the sending of pieces take turns,
 * so that a body belongs to one thread at a time, and a client that reads nothing makes nothing be
 * read.
 */
#ifndef HTTP_HTTP_BODY_H
#define HTTP_HTTP_BODY_H

#include "engine/chain.h"

struct http_body {
	int fd; /* the file's; the entry keeps it open */
	uint64_t at, end;
	int pipe[2];  /* -1: none */
	char *memory; /* NULL: the piece is in the pipe */
	size_t length;
};

/* [offset, offset + length) of `fd`. NULL: no memory. */
struct http_body *http_body_new(int fd, uint64_t offset, uint64_t length, bool copies);
void http_body_free(struct http_body *body);
/* The next piece, when the one before has been sent. 0 or -errno; -ENODATA: the file is shorter. */
int http_body_step(struct http_body *body);
/* The piece, to the end of a chain. */
int http_body_add(const struct http_body *body, struct leat_chain *chain);

static inline bool http_body_done(const struct http_body *body)
{
	return body->at == body->end;
}

#endif
