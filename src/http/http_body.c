#include "http/http_body.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/chain.h"
#include "http/http_limits.h"
#include "sys/sys.h"

struct http_body *http_body_new(int fd, uint64_t offset, uint64_t length, bool copies)
{
	struct http_body *body = malloc(sizeof(*body));

	if (!body)
		return NULL;
	*body =
	    (struct http_body){.fd = fd, .at = offset, .end = offset + length, .pipe = {-1, -1}};
	if (copies)
		body->memory = malloc(HTTP_BODY_PIECE);
	if (copies && !body->memory) {
		free(body);
		return NULL;
	}
	return body;
}

static void close_pipe(struct http_body *body)
{
	for (int i = 0; i < 2; i++)
		if (body->pipe[i] >= 0)
			sys_close(body->pipe[i]);
	body->pipe[0] = body->pipe[1] = -1;
}

void http_body_free(struct http_body *body)
{
	if (!body)
		return;
	close_pipe(body);
	free(body->memory);
	free(body);
}

/* A user has pipes of 64 MiB without asking (pipe-user-pages-soft); beyond that they stay small,
 * which costs more steps. */
static int open_pipe(struct http_body *body)
{
	int r = body->pipe[0] >= 0 ? 0 : sys_pipe(body->pipe);

	if (r == 0)
		(void)sys_pipe_resize(body->pipe[1], HTTP_BODY_PIECE);
	return r;
}

static ssize_t splice_piece(struct http_body *body, size_t len)
{
	int64_t at = (int64_t)body->at;
	int r = open_pipe(body);

	return r < 0 ? r : sys_splice(body->fd, &at, body->pipe[1], NULL, len, 0);
}

static ssize_t read_piece(struct http_body *body, size_t len)
{
	if (!body->memory)
		body->memory = malloc(HTTP_BODY_PIECE);
	return body->memory ? sys_pread(body->fd, body->memory, len, body->at) : -ENOMEM;
}

int http_body_step(struct http_body *body)
{
	size_t len = (size_t)min_u64(body->end - body->at, HTTP_BODY_PIECE);
	ssize_t n = -EINVAL;

	CHECK(!http_body_done(body));
	if (!body->memory)
		n = splice_piece(body, len);
	/* No splice here (before 6.5 a file system has one or not), or no pipe. */
	if (n == -EINVAL || n == -EMFILE || n == -ENFILE)
		n = read_piece(body, len);
	if (n <= 0)
		return n == 0 ? -ENODATA : (int)n;
	body->length = (size_t)n;
	body->at += (uint64_t)n;
	return 0;
}

int http_body_add(const struct http_body *body, struct leat_chain *chain)
{
	if (body->memory)
		return leat_chain_add_memory(chain, body->memory, body->length, NULL, NULL);
	return chain_add_known_stream(chain, body->pipe[0], SOURCE_PIPE, body->length, NULL, NULL);
}
