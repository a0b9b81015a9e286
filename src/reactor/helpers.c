/*
 * The helper threads, for calls that may block on a disk. Queues under one lock: jobs cost a disk
 * access each, so the lock is not what is waited for. A queue is never full: a job lies in the
 * memory of whoever submits it, a connection has at most one under way, and so the connections are
 * what bounds the queue. The threads are started as jobs come and find nobody idle; a server that
 * never needs one never has one.
 *
 * Two classes, a queue each: quick jobs, which somebody's answer waits for (a name, a cold range),
 * and bulk ones (a directory of a million names). Bulk jobs have at most half of the threads, quick
 * ones all but one, so that neither class waits for the other's disk.
 *
 * Two more have threads of their own beside these: syncs, so that nothing that keeps the others busy
 * keeps what was written from becoming durable, and serial jobs, of which one runs at a time.
 *
 * Jobs of file systems that may hang have queues and threads of their own, beside these two
 * classes, too: a place each while it has jobs, HELPERS_A_PLACE threads a place. What hangs takes those
 * and no others.
 *
 * A finished job goes back by its loop's list of finished jobs, which can't be full. Loops leave
 * only when their jobs are done, so at the end the queues are empty and the threads can be joined;
 * or they have given up (loop.c): then whoever is stuck in the kernel is left there.
 */
#include "reactor/internal.h"

#include <errno.h>

#include "sys/sys.h"

static void queue_init(struct job_queue *queue, unsigned limit)
{
	*queue = (struct job_queue){.limit = limit ? limit : 1};
	queue->end = &queue->first;
}

void helpers_init(struct helpers *helpers, unsigned max)
{
	*helpers =
	    (struct helpers){.max = (unsigned)min_u64(max ? max : HELPERS_DEFAULT, HELPERS_MAX)};
	pthread_mutex_init(&helpers->lock, NULL);
	pthread_cond_init(&helpers->work, NULL);
	queue_init(&helpers->quick, helpers->max - 1);
	queue_init(&helpers->bulk, helpers->max / 2);
	queue_init(&helpers->syncs, HELPERS_SYNCS);
	queue_init(&helpers->serial, 1);
	for (unsigned i = 0; i < HELPERS_PLACES; i++)
		queue_init(&helpers->places[i], HELPERS_A_PLACE);
}

static bool has_turn(const struct job_queue *queue)
{
	return queue->first && queue->running < queue->limit;
}

/* The class with fewer threads at work first; where both have as many, they take turns. */
static struct job_queue *choose_class(struct helpers *helpers)
{
	struct job_queue *quick = &helpers->quick, *bulk = &helpers->bulk;

	if (quick->running + bulk->running >= helpers->max)
		return NULL;
	if (!has_turn(quick) || !has_turn(bulk))
		return has_turn(quick) ? quick : has_turn(bulk) ? bulk : NULL;
	if (quick->running != bulk->running)
		return quick->running < bulk->running ? quick : bulk;
	return helpers->last == quick ? bulk : quick;
}

static struct job_queue *choose_place(struct helpers *helpers)
{
	for (unsigned i = 0; i < HELPERS_PLACES; i++) {
		unsigned place = (helpers->next_place + i) % HELPERS_PLACES;

		if (!has_turn(&helpers->places[place]))
			continue;
		helpers->next_place = place + 1;
		return &helpers->places[place];
	}
	return NULL;
}

/* NULL: there is nothing that may run now. There are threads for all of them, so none goes first for
 * long. */
static struct job_queue *choose(struct helpers *helpers)
{
	struct job_queue *queue;

	if (has_turn(&helpers->syncs))
		return &helpers->syncs;
	if (has_turn(&helpers->serial))
		return &helpers->serial;
	queue = choose_class(helpers);
	if (queue)
		helpers->last = queue;
	return queue ? queue : choose_place(helpers);
}

/* Waits with the lock held. NULL: the end. A thread that finishes a job comes here again, so a job
 * that its class has no thread for is not forgotten by those that wait. */
static struct job *next_job(struct helpers *helpers, struct job_queue **ret_queue)
{
	struct job_queue *queue;
	struct job *job;

	while (!(queue = choose(helpers)) && !helpers->ending) {
		helpers->idle++;
		pthread_cond_wait(&helpers->work, &helpers->lock);
		helpers->idle--;
	}
	if (!queue)
		return NULL;
	job = queue->first;
	queue->first = job->next;
	if (!queue->first)
		queue->end = &queue->first;
	queue->queued--;
	queue->running++;
	*ret_queue = queue;
	return job;
}

static void *helper_main(void *arg)
{
	struct helper *own = arg;
	struct helpers *helpers = own->helpers;
	struct job_queue *queue;
	struct job *job;

	pthread_setname_np(pthread_self(), "leat-helper");
	pthread_mutex_lock(&helpers->lock);
	while ((job = next_job(helpers, &queue))) {
		own->what = job->what ? job->what : "a call";
		own->since_ns = sys_now_ns();
		pthread_mutex_unlock(&helpers->lock);
		job->run(job);
		loop_job_finished(job->loop, job);
		pthread_mutex_lock(&helpers->lock);
		own->what = NULL;
		queue->running--;
	}
	pthread_mutex_unlock(&helpers->lock);
	return NULL;
}

/* Threads that the queue's jobs can keep at work. */
static unsigned employs(const struct job_queue *queue)
{
	return (unsigned)min_u64(queue->running + queue->queued, queue->limit);
}

/* With the lock held, the new job is counted: somebody will take it, or nobody can. */
static bool ensure_helper(struct helpers *helpers)
{
	unsigned wanted =
	    (unsigned)min_u64(employs(&helpers->quick) + employs(&helpers->bulk), helpers->max);
	struct helper *next = &helpers->threads[helpers->started];

	wanted += employs(&helpers->syncs) + employs(&helpers->serial);
	for (unsigned i = 0; i < HELPERS_PLACES; i++)
		wanted += employs(&helpers->places[i]);
	if (helpers->started >= wanted)
		return true;
	CHECK(helpers->started < ARRAY_SIZE(helpers->threads));
	*next = (struct helper){.helpers = helpers};
	if (pthread_create(&next->thread, NULL, helper_main, next) == 0)
		helpers->started++;
	return helpers->started > 0;
}

static int enqueue(struct helpers *helpers, struct job_queue *queue, struct job *job)
{
	queue->queued++;
	if (!ensure_helper(helpers)) {
		queue->queued--;
		return -ENOMEM;
	}
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
	pthread_cond_signal(&helpers->work);
	return 0;
}

/* The queue that a place has, or a free one. With more places at work than there are queues some
 * share one, and their fate. */
static struct job_queue *queue_of_place(struct helpers *helpers, uint64_t place)
{
	struct job_queue *unused = NULL;

	for (unsigned i = 0; i < HELPERS_PLACES; i++) {
		struct job_queue *queue = &helpers->places[i];

		if (queue->place == place)
			return queue;
		if (queue->queued + queue->running == 0)
			unused = queue;
	}
	if (!unused)
		return &helpers->places[place % HELPERS_PLACES];
	unused->place = place;
	return unused;
}

/* `queue` NULL: that of `place`. */
static int submit(struct loop *loop, struct job_queue *queue, uint64_t place, struct job *job)
{
	struct helpers *helpers = &loop->reactor->helpers;
	int r;

	CHECK(loop == loop_current());
	job->loop = loop;
	pthread_mutex_lock(&helpers->lock);
	r = enqueue(helpers, queue ? queue : queue_of_place(helpers, place), job);
	pthread_mutex_unlock(&helpers->lock);
	if (r == 0) {
		loop->jobs++;
		stat_add(&loop->stats.helper_jobs, 1);
	}
	return r;
}

int helpers_submit(struct loop *loop, struct job *job)
{
	return submit(loop, &loop->reactor->helpers.quick, 0, job);
}

int helpers_submit_bulk(struct loop *loop, struct job *job)
{
	return submit(loop, &loop->reactor->helpers.bulk, 0, job);
}

int helpers_submit_sync(struct loop *loop, struct job *job)
{
	return submit(loop, &loop->reactor->helpers.syncs, 0, job);
}

int helpers_submit_serial(struct loop *loop, struct job *job)
{
	return submit(loop, &loop->reactor->helpers.serial, 0, job);
}

int helpers_submit_at(struct loop *loop, struct job *job, uint64_t place)
{
	return submit(loop, NULL, place, job);
}

static unsigned queued(const struct helpers *helpers)
{
	unsigned sum = helpers->quick.queued + helpers->bulk.queued + helpers->syncs.queued +
		       helpers->serial.queued;

	for (unsigned i = 0; i < HELPERS_PLACES; i++)
		sum += helpers->places[i].queued;
	return sum;
}

void helpers_stats(struct helpers *helpers, struct reactor_stats *ret)
{
	pthread_mutex_lock(&helpers->lock);
	ret->helper_queued = queued(helpers);
	ret->helper_threads = helpers->started;
	ret->helper_busy = helpers->started - helpers->idle;
	pthread_mutex_unlock(&helpers->lock);
}

void helpers_describe(struct helpers *helpers, struct buf *buf)
{
	uint64_t now_ns = sys_now_ns();
	unsigned waiting;

	pthread_mutex_lock(&helpers->lock);
	for (unsigned i = 0; i < helpers->started; i++) {
		const struct helper *helper = &helpers->threads[i];

		if (helper->what)
			buf_printf(buf, "%s%s for %llu s", buf->len ? ", " : "", helper->what,
				   (unsigned long long)((now_ns - helper->since_ns) / 1000000000));
	}
	waiting = queued(helpers);
	pthread_mutex_unlock(&helpers->lock);
	if (waiting)
		buf_printf(buf, "%s%u more that no helper has begun", buf->len ? "; and " : "",
			   waiting);
}

void helpers_end(struct helpers *helpers, bool stuck)
{
	pthread_mutex_lock(&helpers->lock);
	helpers->ending = true;
	pthread_cond_broadcast(&helpers->work);
	pthread_mutex_unlock(&helpers->lock);
	if (stuck)
		return;
	for (unsigned i = 0; i < helpers->started; i++)
		pthread_join(helpers->threads[i].thread, NULL);
	helpers->started = 0;
	helpers->ending = false;
}
