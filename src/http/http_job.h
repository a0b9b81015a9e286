/*
 * What an HTTP connection has done by a helper thread because it would block the loop: loading a
 * file whose name or bytes are not in memory, listing a directory, reading a cold range.
 *
 *     free --http_job_submit()--> queued --> running --> done --http_conn_job_done()--> free
 *
 * Between submit and done the job is the helpers'. The connection may end meanwhile: then a job
 * that no helper has begun does nothing, nobody takes the result, and it is freed. Results are
 * taken by setting the field to NULL.
 */
#ifndef HTTP_HTTP_JOB_H
#define HTTP_HTTP_JOB_H

#include <limits.h>
#include <stdatomic.h>

#include "http/dir_list.h"
#include "http/http_body.h"
#include "http/http_loop.h"

enum http_job_kind {
	/* For a request that waits: it is looked at anew. */
	HTTP_JOB_FILE,
	HTTP_JOB_LISTING, /* the first piece */
	/* For a flight. */
	HTTP_JOB_LOAD,
	HTTP_JOB_PIECE, /* of a listing, the next one */
	HTTP_JOB_READ,  /* of a body that helpers read, the next piece */
};

struct http_job {
	struct job job;
	struct http_loop *loop;
	struct conn_ref conn;
	_Atomic bool forgotten; /* its connection is gone */
	enum http_job_kind kind;
	int error; /* 0 or -errno: the result */

	uint64_t place;           /* what it asks may hang: helpers_submit_at(); 0: a local disk */
	bool looks_at_root;       /* first: its name may mean another directory */
	enum http_coding coding;  /* HTTP_JOB_FILE: of what `path` names */
	struct file_entry *known; /* HTTP_JOB_FILE: is it still so? Or NULL */
	bool same;                /* the result: it is, and `entry` is it */
	/* HTTP_JOB_FILE: the result. HTTP_JOB_LOAD, HTTP_JOB_READ: keeps the descriptor open. */
	struct file_entry *entry;
	struct http_body *body; /* HTTP_JOB_READ */
	struct leat_load load;
	struct dir_list *list; /* HTTP_JOB_LISTING, HTTP_JOB_PIECE */
	char path[PATH_MAX];
};

/* NULL: no memory. The caller fills in what its kind needs. */
struct http_job *http_job_new(struct http_loop *loop, struct conn *conn, enum http_job_kind kind);
/* `path` is copied; false: too long for any file. */
bool http_job_set_path(struct http_job *job, struct slice path);
/* A helper runs it. -ENOMEM: there are no helpers; the job is freed. */
int http_job_submit(struct http_job *job);
/* Of a connection that ends: what no helper has begun need not be done. */
void http_job_forget(struct http_job *job);
void http_job_free(struct http_job *job);

/* http_conn.c: on the connection's loop. */
void http_conn_job_done(struct conn *conn, struct http_job *job);

#endif
