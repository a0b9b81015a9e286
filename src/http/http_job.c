#include "http/http_job.h"

#include <errno.h>

#include "http/http_root.h"

struct http_job *http_job_new(struct http_loop *loop, struct conn *conn, enum http_job_kind kind)
{
	struct http_job *job = spare_take(&loop->jobs);

	if (!job)
		return NULL;
	/* Not the path: it is a page long. */
	memset(job, 0, offsetof(struct http_job, path));
	job->loop = loop;
	job->conn = conn_ref(conn);
	job->kind = kind;
	return job;
}

bool http_job_set_path(struct http_job *job, struct slice path)
{
	if (path.len >= sizeof(job->path))
		return false;
	memcpy(job->path, path.ptr, path.len);
	job->path[path.len] = '\0';
	return true;
}

void http_job_free(struct http_job *job)
{
	if (job->known)
		file_entry_unref(job->known);
	if (job->entry)
		file_entry_unref(job->entry);
	http_body_free(job->body);
	dir_list_free(job->list);
	spare_give(&job->loop->jobs, job);
}

/* References are the loop's: here they only change hands. */
static int load_file(struct http_job *job)
{
	const struct http_site *site = http_server_site(job->loop->server);

	if (job->known && file_entry_compare(site, job->known) == 0) {
		job->same = true;
		job->entry = job->known;
		job->known = NULL;
		return 0;
	}
	return file_entry_load(site, slice_of(job->path), job->coding, &job->entry);
}

/* On a helper thread. */
static void run(struct job *base)
{
	struct http_job *job = container_of(base, struct http_job, job);

	/* It may have waited behind many others: nobody is there any more to take the result. */
	if (atomic_load_explicit(&job->forgotten, memory_order_relaxed)) {
		job->error = -ECANCELED;
		return;
	}
	if (job->looks_at_root)
		job->error = http_root_look(http_server_site(job->loop->server), FILE_LOAD_WAIT);
	if (job->error < 0)
		return;
	switch (job->kind) {
	case HTTP_JOB_FILE:
		job->error = load_file(job);
		break;
	case HTTP_JOB_LISTING:
	case HTTP_JOB_PIECE:
		job->error = dir_list_step(job->list);
		break;
	case HTTP_JOB_READ:
		job->error = http_body_step(job->body);
		break;
	case HTTP_JOB_LOAD:
		job->error = leat_load_run(&job->load);
		break;
	}
}

static void done(struct job *base)
{
	struct http_job *job = container_of(base, struct http_job, job);
	struct conn *conn = conn_deref(job->conn);

	if (conn)
		http_conn_job_done(conn, job);
	http_job_free(job);
}

int http_job_submit(struct http_job *job)
{
	bool bulk = job->kind == HTTP_JOB_LISTING || job->kind == HTTP_JOB_PIECE;
	struct loop *loop = job->loop->loop;
	int r;

	job->job.run = run;
	job->job.done = done;
	/* Long listings of a place have helpers of their own, too. */
	if (job->place)
		r = helpers_submit_at(loop, &job->job, bulk ? ~job->place : job->place);
	else
		r = bulk ? helpers_submit_bulk(loop, &job->job) : helpers_submit(loop, &job->job);
	if (r < 0)
		http_job_free(job);
	return r;
}

void http_job_forget(struct http_job *job)
{
	atomic_store_explicit(&job->forgotten, true, memory_order_relaxed);
}
