#include "http/http_job.h"

#include <errno.h>
#include <stdlib.h>

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
	list_init(&job->waiting);
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
	if (job->entry)
		file_entry_unref(job->entry);
	dir_list_free(job->list);
	spare_give(&job->loop->jobs, job);
}

/* On a helper thread. */
static void run(struct job *base)
{
	struct http_job *job = container_of(base, struct http_job, job);
	const struct http_site *site = http_server_site(job->loop->server);

	switch (job->kind) {
	case HTTP_JOB_FILE:
		job->error = file_entry_load(site, slice_of(job->path), job->coding, FILE_LOAD_WAIT,
					     &job->entry);
		break;
	case HTTP_JOB_LISTING:
	case HTTP_JOB_PIECE:
		job->error = dir_list_step(job->list);
		break;
	case HTTP_JOB_LOAD:
		job->error = leat_load_run(&job->load);
		break;
	}
}

static struct http_job_queue *queue_of(struct http_job *job)
{
	bool bulk = job->kind == HTTP_JOB_LISTING || job->kind == HTTP_JOB_PIECE;

	return bulk ? &job->loop->bulk : &job->loop->quick;
}

static int start(struct http_job *job)
{
	struct http_loop *loop = job->loop;
	struct http_job_queue *queue = queue_of(job);
	int r = queue == &loop->bulk ? helpers_submit_bulk(loop->loop, &job->job)
				     : helpers_submit(loop->loop, &job->job);

	if (r == 0)
		queue->running++;
	return r;
}

static void finish(struct http_job *job)
{
	struct conn *conn = conn_deref(job->conn);

	if (conn)
		http_conn_job_done(conn, job);
	http_job_free(job);
}

/* A job that comes back makes the next one start. Where none of ours is under way the queue is full
 * with those of other loops, which nobody tells us of: then time will. */
static void start_waiting(struct http_loop *loop, struct http_job_queue *queue)
{
	while (!list_empty(&queue->waiting)) {
		struct http_job *job = container_of(queue->waiting.next, struct http_job, waiting);
		int r = conn_deref(job->conn) ? start(job) : -ECANCELED;

		if (r == -EAGAIN)
			break;
		list_remove(&job->waiting);
		if (r < 0) {
			job->error = r;
			finish(job);
		}
	}
	if (!list_empty(&queue->waiting) && queue->running == 0)
		loop_timer_set(loop->loop, &loop->jobs_timer, HTTP_JOBS_AGAIN_MS);
}

static void try_again(struct timer *timer)
{
	struct http_loop *loop = timer->arg;

	start_waiting(loop, &loop->quick);
	start_waiting(loop, &loop->bulk);
}

static void done(struct job *base)
{
	struct http_job *job = container_of(base, struct http_job, job);
	struct http_job_queue *queue = queue_of(job);

	queue->running--;
	start_waiting(job->loop, queue);
	finish(job);
}

int http_job_submit(struct http_job *job)
{
	struct http_job_queue *queue = queue_of(job);
	int r = -EAGAIN;

	job->job.run = run;
	job->job.done = done;
	if (list_empty(&queue->waiting))
		r = start(job);
	if (r == 0)
		return 0;
	if (r != -EAGAIN) {
		http_job_free(job);
		return r;
	}
	list_push_back(&queue->waiting, &job->waiting);
	if (queue->running == 0)
		loop_timer_set(job->loop->loop, &job->loop->jobs_timer, HTTP_JOBS_AGAIN_MS);
	return 0;
}

void http_jobs_init(struct http_loop *loop)
{
	list_init(&loop->quick.waiting);
	list_init(&loop->bulk.waiting);
	loop->jobs_timer = (struct timer){.fired = try_again, .arg = loop};
}

static void free_waiting(struct http_job_queue *queue)
{
	while (!list_empty(&queue->waiting)) {
		struct list *node = list_pop_front(&queue->waiting);

		http_job_free(container_of(node, struct http_job, waiting));
	}
}

void http_jobs_fini(struct http_loop *loop)
{
	loop_timer_cancel(loop->loop, &loop->jobs_timer);
	free_waiting(&loop->quick);
	free_waiting(&loop->bulk);
}
