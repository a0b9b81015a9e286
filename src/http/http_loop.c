#include "http/http_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "http/http_record.h"
#include "http/http_root.h"
#include "sys/sys.h"

const char *http_loop_date(struct http_loop *loop)
{
	int64_t now = loop_wall(loop->loop);

	if (unlikely(now != loop->date_second)) {
		http_date_format(now, loop->date);
		loop->date_second = now;
	}
	return loop->date;
}

/* ---- the root ---- */

static void forget_old_root(struct http_loop *loop)
{
	const struct http_root *root = http_server_site(loop->server)->root;
	unsigned generation = atomic_load(&root->generation);

	if (generation == loop->root_generation)
		return;
	loop->root_generation = generation;
	file_cache_forget(loop->cache);
}

static void root_run(struct job *job)
{
	struct http_loop *loop = container_of(job, struct http_loop, root_job);

	(void)http_root_look(http_server_site(loop->server), FILE_LOAD_WAIT);
}

static void root_done(struct job *job)
{
	struct http_loop *loop = container_of(job, struct http_loop, root_job);

	loop->root_asked = false;
}

/* Nobody waits for the answer: the next requests have it. */
static void ask_for_root(struct http_loop *loop)
{
	const struct http_root *root = http_server_site(loop->server)->root;

	if (loop->root_asked)
		return;
	loop->root_job = (struct job){.run = root_run, .done = root_done};
	loop->root_asked = helpers_submit_at(loop->loop, &loop->root_job, root->place) == 0;
}

int http_loop_look_root(struct http_loop *loop, bool now)
{
	const struct http_site *site = http_server_site(loop->server);
	uint64_t now_ms = loop_now_ms(loop->loop);
	bool missing = atomic_load_explicit(&site->root->error, memory_order_relaxed);
	int r = 0;

	if (now || missing || now_ms - loop->root_looked_ms >= HTTP_CACHE_FRESH_MS) {
		loop->root_looked_ms = now_ms;
		r = http_root_look(site, FILE_LOAD_CACHED);
		if (r == -EAGAIN && (!now || missing))
			ask_for_root(loop);
	}
	forget_old_root(loop);
	return atomic_load_explicit(&site->root->error, memory_order_relaxed) ? -ENODEV : r;
}

/* ---- the loop's state ---- */

static void files_changed(struct watch *watch, uint32_t events)
{
	struct http_loop *loop = watch->arg;

	file_cache_sync(loop->cache);
}

/* Without inotify (fs.inotify.max_user_instances, 128 a user) every file is looked at again for
 * each request: slower, and as right. */
static void watch_files(struct http_loop *loop)
{
	loop->cache_watch = (struct watch){
	    .fd = file_cache_fd(loop->cache),
	    .first = true,
	    .ready = files_changed,
	    .arg = loop,
	};
	if (loop->cache_watch.fd >= 0 && loop_watch(loop->loop, &loop->cache_watch, EPOLLIN) == 0)
		return;
	loop->cache_watch.fd = -1;
	file_cache_unwatch(loop->cache);
	log_warning("no inotify for this thread: files are compared at each request");
}

int http_loop_open(struct loop *reactor_loop, struct http_server *server, struct err *err)
{
	struct http_loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return err_set(err, -ENOMEM, "out of memory");
	loop->server = server;
	loop->timeouts = *http_server_timeouts(server);
	loop->loop = reactor_loop;
	loop->date_second = INT64_MIN;
	spare_init(&loop->flights, sizeof(struct http_flight), HTTP_SPARE_MAX);
	spare_init(&loop->kept_small, HTTP_KEEP_SMALL, HTTP_SPARE_MAX);
	spare_init(&loop->kept_large, HTTP_KEEP_LARGE, HTTP_SPARE_MAX);
	spare_init(&loop->jobs, sizeof(struct http_job), HTTP_SPARE_MAX);
	r = leat_engine_new(&loop->engine);
	if (r == 0)
		r = file_cache_new(http_server_site(server), http_server_cache_limits(server),
				   &loop->cache);
	if (r == 0)
		r = http_server_record(server, loop);
	if (r < 0) {
		http_loop_free(loop);
		return err_set(err, r, "a thread can't start: %s", strerror(-r));
	}
	watch_files(loop);
	http_server_set_loop(server, loop_index(reactor_loop), loop);
	return 0;
}

void http_loop_close(struct loop *reactor_loop, const struct http_server *server)
{
	struct http_loop *loop = http_server_loop(server, loop_index(reactor_loop));

	if (loop->cache_watch.fd >= 0)
		loop_unwatch(reactor_loop, &loop->cache_watch);
}

void http_loop_free(struct http_loop *loop)
{
	if (!loop)
		return;
	file_cache_free(loop->cache);
	leat_engine_free(loop->engine);
	spare_fini(&loop->flights);
	spare_fini(&loop->kept_small);
	spare_fini(&loop->kept_large);
	spare_fini(&loop->jobs);
	http_recorder_free(loop->recorder);
	free(loop);
}
