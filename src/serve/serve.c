/*
 * A process that serves: its start, its run, its end (serve.h has the order). What a service does
 * at each step stands in its struct service; here is only when, and for all of them.
 *
 * The start may stop at any step: serving_fini() takes back what there is. A service's end() is
 * called before the reactor is freed, which it may still have connections in; where helpers are
 * stuck in the kernel, nothing that they could touch is freed.
 */
#include "serve/serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "admin/admin.h"
#include "base/log.h"
#include "leat/leat.h"
#include "serve/confine.h"
#include "serve/devices.h"
#include "sys/sys.h"

#define DRAIN_MS_DEFAULT 10000u

/* One of the services, made. */
struct part {
	const struct service *service;
	const void *options;
	void *server; /* NULL: not yet */
};

struct serving {
	const struct serve_options *options;
	struct part parts[SERVE_PARTS_MAX];
	unsigned parts_count;
	struct reactor *reactor;
	struct admin *admin; /* NULL: none */
	struct confinement kept;
};

static void serving_init(struct serving *serving, const struct serve_options *options)
{
	*serving = (struct serving){.options = options};
	for (unsigned i = 0; i < SERVE_PARTS_MAX && options->parts[i].service; i++)
		serving->parts[serving->parts_count++] = (struct part){
		    .service = options->parts[i].service,
		    .options = options->parts[i].options,
		};
}

/* ---- what is said ---- */

static void say_admin(const struct admin *admin)
{
	char text[512];
	bool unix_socket;

	if (admin_address(admin, text, sizeof(text)) < 0)
		return;
	unix_socket = strncmp(text, "unix:", 5) == 0;
	log_info("metrics at %s%s%s", unix_socket ? "" : "http://", text,
		 unix_socket ? "" : "/metrics");
}

/* What is found out about kernel and devices, for which a confined process would not have the
 * calls. */
static void say_machine(const struct serving *serving)
{
	char text[512];

	leat_capabilities_text(text, sizeof(text));
	log_info("%s", text);
	devices_say(serving->reactor);
}

static void say_start(const struct serving *serving)
{
	if (serving->admin)
		say_admin(serving->admin);
	for (unsigned i = 0; i < serving->parts_count; i++)
		serving->parts[i].service->say_start(serving->parts[i].server);
}

static void say_end(const struct serving *serving)
{
	for (unsigned i = 0; i < serving->parts_count; i++)
		serving->parts[i].service->say_end(serving->parts[i].server);
}

/* ---- the reactor's calls ---- */

/* Those of the first `count`, the last one first. */
static void close_parts(struct serving *serving, unsigned count, struct loop *loop)
{
	while (count-- > 0)
		serving->parts[count].service->loop_close(serving->parts[count].server, loop);
}

static void close_loop(struct loop *loop, void *data)
{
	struct serving *serving = data;

	close_parts(serving, serving->parts_count, loop);
}

static int open_loop(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	struct serving *serving = arg;

	for (unsigned i = 0; i < serving->parts_count; i++) {
		struct part *part = &serving->parts[i];
		int r = part->service->loop_open(part->server, loop, err);

		if (r == 0)
			continue;
		close_parts(serving, i, loop);
		return r;
	}
	*ret_data = serving;
	return 0;
}

/* The last step of the start, when everything else stands. */
static int tell_ready(void *arg, struct err *err)
{
	struct serving *serving = arg;
	int r = serving->admin ? admin_start(serving->admin, err) : 0;

	if (r < 0)
		return r;
	say_start(serving);
	if (serving->options->ready)
		serving->options->ready(serving->options->ready_arg);
	return 0;
}

static void hangup(struct loop *loop, void *data)
{
	struct serving *serving = data;

	for (unsigned i = 0; i < serving->parts_count; i++)
		if (serving->parts[i].service->hangup)
			serving->parts[i].service->hangup(serving->parts[i].server, loop);
}

/* ---- steps of the start ---- */

static int make_reactor(struct serving *serving, struct err *err)
{
	const struct serve_options *options = serving->options;
	uint32_t drain_ms = options->drain_ms ? options->drain_ms : DRAIN_MS_DEFAULT;
	struct reactor_options reactor = {
	    .threads = options->threads,
	    .connections_max = options->connections_max,
	    .drain_ms = drain_ms,
	    .loop_open = open_loop,
	    .loop_close = close_loop,
	    .ready = tell_ready,
	    .hangup = hangup,
	    .arg = serving,
	};

	for (unsigned i = 0; i < serving->parts_count; i++)
		if (serving->parts[i].service->syncs)
			reactor.helpers_ms = drain_ms;
	return reactor_new(&reactor, &serving->reactor, err);
}

static int make_servers(struct serving *serving, struct err *err)
{
	unsigned loops = reactor_loop_count(serving->reactor);
	int r = 0;

	for (unsigned i = 0; i < serving->parts_count && r == 0; i++) {
		struct part *part = &serving->parts[i];

		r = part->service->make(part->options, loops, &part->server, err);
	}
	return r;
}

static int listen_all(struct serving *serving, struct err *err)
{
	const struct serve_options *options = serving->options;
	int r = 0;

	for (unsigned i = 0; i < serving->parts_count && r == 0; i++)
		r = serving->parts[i].service->listen(serving->parts[i].server, serving->reactor,
						      err);
	if (r == 0 && options->admin)
		r = admin_new(options->admin, serving->reactor, &serving->admin, err);
	if (r == 0 && serving->admin)
		r = admin_allow_hosts(serving->admin, options->admin_hosts,
				      options->admin_host_count, err);
	for (unsigned i = 0; i < serving->parts_count && r == 0 && serving->admin; i++)
		serving->parts[i].service->add_metrics(serving->parts[i].server, serving->admin);
	return r;
}

/* While the rights to open it are there. */
static int keep_places(struct serving *serving, struct err *err)
{
	struct confinement *kept = &serving->kept;
	char name[512];
	int r = 0;

	for (unsigned i = 0; i < serving->parts_count && r == 0; i++)
		if (serving->parts[i].service->keep_places)
			r = serving->parts[i].service->keep_places(serving->parts[i].server, kept,
								   err);
	for (unsigned i = 0; i < reactor_listener_count(serving->reactor); i++)
		if (reactor_listener_name(serving->reactor, i, name, sizeof(name)) == 0)
			confine_add_listener(kept, name);
	if (serving->admin && admin_address(serving->admin, name, sizeof(name)) == 0)
		confine_add_listener(kept, name);
	return r;
}

static int serving_become(struct serving *serving, const struct user *user, struct err *err)
{
	int r = confine_become(user, err);

	for (unsigned i = 0; i < serving->parts_count && r == 0; i++)
		if (serving->parts[i].service->check_user)
			serving->parts[i].service->check_user(serving->parts[i].server, user);
	return r;
}

/* As who, and where: what can be said before anything is made. */
static int open_doors(struct serving *serving, struct err *err)
{
	const struct serve_options *options = serving->options;
	struct user user;
	int r = options->user ? user_find(options->user, &user, err) : 0;

	if (r == 0)
		r = make_reactor(serving, err);
	if (r == 0)
		r = make_servers(serving, err);
	if (r == 0)
		r = listen_all(serving, err);
	if (r == 0 && options->sandbox)
		r = keep_places(serving, err);
	if (r == 0 && options->user)
		r = serving_become(serving, &user, err);
	return r;
}

static int open_services(struct serving *serving, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < serving->parts_count && r == 0; i++) {
		const struct part *part = &serving->parts[i];

		if (part->service->open)
			r = part->service->open(part->server, err);
		if (r == 0 && part->service->keep_opened && serving->options->sandbox)
			r = part->service->keep_opened(part->server, &serving->kept, err);
	}
	return r;
}

static int start_services(struct serving *serving, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < serving->parts_count && r == 0; i++)
		if (serving->parts[i].service->start)
			r = serving->parts[i].service->start(serving->parts[i].server, err);
	return r;
}

static int serving_start(struct serving *serving, struct err *err)
{
	int r;

	/* Whoever rotates logs sends it at any time, and means no harm. */
	sys_signal_block(SIGHUP);
	r = open_doors(serving, err);
	if (r == 0)
		r = open_services(serving, err);
	if (r < 0)
		return r;
	/* Threads are started from here on. Until now the signals that end the process do so at once,
	 * and harm nobody: no port has answered yet, and the recovery of a large store would take
	 * minutes to notice them. */
	reactor_hold_signals(serving->reactor);
	say_machine(serving);
	if (serving->options->sandbox)
		r = confine_apply(&serving->kept, err);
	return r < 0 ? r : start_services(serving, err);
}

/* ---- the end ---- */

static void serving_fini(struct serving *serving)
{
	bool stuck = serving->reactor && reactor_is_stuck(serving->reactor);

	confine_fini(&serving->kept);
	admin_free(serving->admin);
	for (unsigned i = serving->parts_count; i-- > 0;) {
		const struct part *part = &serving->parts[i];

		if (part->server && stuck)
			part->service->abandon(part->server);
		else if (part->server)
			part->service->end(part->server);
	}
	reactor_free(serving->reactor);
}

int serve(const struct serve_options *options, struct err *err)
{
	CLEANUP(serving_fini) struct serving serving;
	int r;

	serving_init(&serving, options);
	r = serving_start(&serving, err);
	if (r < 0)
		return r;
	r = reactor_run(serving.reactor, err);
	say_end(&serving);
	return r;
}
