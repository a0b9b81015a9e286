/*
 * The helper threads, for calls that may block on a disk. A bounded queue under one lock: jobs cost
 * a disk access each, so the lock is not what is waited for. The threads are started as jobs come
 * and find nobody idle; a server that never needs one never has one.
 *
 * A finished job goes back by its loop's list of finished jobs, which can't be full. Loops leave
 * only when their jobs are done, so at the end the queue is empty and the threads can be joined.
 */
#include "reactor/internal.h"

#include <errno.h>

void helpers_init(struct helpers *helpers, unsigned max)
{
	*helpers =
	    (struct helpers){.max = (unsigned)min_u64(max ? max : HELPERS_DEFAULT, HELPERS_MAX)};
	pthread_mutex_init(&helpers->lock, NULL);
	pthread_cond_init(&helpers->work, NULL);
	helpers->end = &helpers->first;
}

/* NULL: the end. Waits with the lock held. */
static struct job *next_job(struct helpers *helpers)
{
	struct job *job;

	while (!helpers->first && !helpers->ending) {
		helpers->idle++;
		pthread_cond_wait(&helpers->work, &helpers->lock);
		helpers->idle--;
	}
	job = helpers->first;
	if (!job)
		return NULL;
	helpers->first = job->next;
	if (!helpers->first)
		helpers->end = &helpers->first;
	helpers->queued--;
	return job;
}

static void *helper_main(void *arg)
{
	struct helpers *helpers = arg;
	struct job *job;

	pthread_setname_np(pthread_self(), "leat-helper");
	pthread_mutex_lock(&helpers->lock);
	while ((job = next_job(helpers))) {
		pthread_mutex_unlock(&helpers->lock);
		job->run(job);
		loop_job_finished(job->loop, job);
		pthread_mutex_lock(&helpers->lock);
	}
	pthread_mutex_unlock(&helpers->lock);
	return NULL;
}

/* With the lock held: somebody will take the next job, or nobody can. */
static bool ensure_helper(struct helpers *helpers)
{
	if (helpers->idle > helpers->queued || helpers->started == helpers->max)
		return true;
	if (pthread_create(&helpers->threads[helpers->started], NULL, helper_main, helpers) == 0)
		helpers->started++;
	return helpers->started > 0;
}

static int enqueue(struct helpers *helpers, struct job *job)
{
	if (helpers->queued == HELPER_QUEUE_MAX || !ensure_helper(helpers))
		return -EAGAIN;
	job->next = NULL;
	*helpers->end = job;
	helpers->end = &job->next;
	helpers->queued++;
	pthread_cond_signal(&helpers->work);
	return 0;
}

int helpers_submit(struct loop *loop, struct job *job)
{
	struct helpers *helpers = &loop->reactor->helpers;
	int r;

	CHECK(loop == loop_current());
	job->loop = loop;
	pthread_mutex_lock(&helpers->lock);
	r = enqueue(helpers, job);
	pthread_mutex_unlock(&helpers->lock);
	if (r == 0) {
		loop->jobs++;
		stat_add(&loop->stats.helper_jobs, 1);
	}
	return r;
}

void helpers_stats(struct helpers *helpers, struct reactor_stats *ret)
{
	pthread_mutex_lock(&helpers->lock);
	ret->helper_queued = helpers->queued;
	ret->helper_threads = helpers->started;
	ret->helper_busy = helpers->started - helpers->idle;
	pthread_mutex_unlock(&helpers->lock);
}

void helpers_end(struct helpers *helpers)
{
	pthread_mutex_lock(&helpers->lock);
	helpers->ending = true;
	pthread_cond_broadcast(&helpers->work);
	pthread_mutex_unlock(&helpers->lock);
	for (unsigned i = 0; i < helpers->started; i++)
		pthread_join(helpers->threads[i], NULL);
	helpers->started = 0;
	helpers->ending = false;
}
