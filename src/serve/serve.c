#include "serve/serve.h"

#include <errno.h>
#include <string.h>

#include "admin/admin.h"
#include "base/log.h"
#include "http/http_account.h"
#include "http/http_metrics.h"
#include "kafka/broker/kafka_loop.h"
#include "kafka/broker/kafka_metrics.h"
#include "serve/confine.h"
#include "serve/devices.h"

#define DRAIN_MS_DEFAULT 10000u

struct service {
	struct reactor *reactor;
	struct http_server *http;   /* NULL: none */
	struct kafka_server *kafka; /* NULL: none */
	struct admin *admin;        /* NULL: none */
	const struct serve_options *options;
	struct confinement kept;
};

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

/* What is found out about kernel and devices, for which a confined process would not have the calls. */
static void say_machine(const struct service *service)
{
	char text[512];

	leat_capabilities_text(text, sizeof(text));
	log_info("%s", text);
	devices_say(service->reactor);
}

static void say_start(const struct service *service)
{
	if (service->admin)
		say_admin(service->admin);
	if (service->kafka)
		kafka_server_say_start(service->kafka);
	if (service->http)
		http_server_say_start(service->http);
}

static void say_end(const struct service *service)
{
	if (service->http)
		http_account_say(service->http);
	if (service->kafka)
		kafka_server_say_end(service->kafka);
}

/* ---- the services on a loop ---- */

static void close_loop(struct loop *loop, void *data)
{
	struct service *service = data;

	if (service->kafka)
		kafka_loop_close(loop, service->kafka);
	if (service->http)
		http_loop_close(loop, service->http);
}

static int open_loop(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	struct service *service = arg;
	int r = service->http ? http_loop_open(loop, service->http, err) : 0;

	if (r < 0)
		return r;
	if (service->kafka)
		kafka_loop_open(loop, service->kafka);
	*ret_data = service;
	return 0;
}

/* The last step of the start, when everything else stands. */
static int tell_ready(void *arg, struct err *err)
{
	struct service *service = arg;
	int r = service->admin ? admin_start(service->admin, err) : 0;

	if (r < 0)
		return r;
	say_start(service);
	if (service->options->ready)
		service->options->ready(service->options->ready_arg);
	return 0;
}

static void hangup(struct loop *loop, void *data)
{
	struct service *service = data;

	/* Once a process. */
	if (service->http && loop_index(loop) == 0)
		http_server_hangup(service->http);
}

/* ---- start, run, end ---- */

static void service_fini(struct service *service)
{
	confine_fini(&service->kept);
	admin_free(service->admin);
	if (service->reactor && reactor_is_stuck(service->reactor)) {
		if (service->http)
			http_server_abandon(service->http);
		if (service->kafka)
			kafka_server_abandon(service->kafka);
		return;
	}
	/* What still waits looks for its connection, which is the reactor's memory. */
	kafka_server_free(service->kafka);
	reactor_free(service->reactor);
	http_server_free(service->http);
}

static int make_reactor(struct service *service, const struct serve_options *options,
			struct err *err)
{
	uint32_t drain_ms = options->drain_ms ? options->drain_ms : DRAIN_MS_DEFAULT;
	const struct reactor_options reactor = {
	    .threads = options->threads,
	    .connections_max = options->connections_max,
	    .drain_ms = drain_ms,
	    /* A sync of a log may wait behind much that others write; given up, it would make the next
	     * start check all logs. */
	    .helpers_ms = options->kafka ? drain_ms : 0,
	    .loop_open = open_loop,
	    .loop_close = close_loop,
	    .ready = tell_ready,
	    .hangup = hangup,
	    .arg = service,
	};

	return reactor_new(&reactor, &service->reactor, err);
}

static int make_servers(struct service *service, const struct serve_options *options,
			struct err *err)
{
	unsigned loops = reactor_loop_count(service->reactor);
	int r = 0;

	if (options->http)
		r = http_server_new(options->http, loops, &service->http, err);
	if (r == 0 && options->kafka)
		r = kafka_server_new(options->kafka, &service->kafka, err);
	return r;
}

static int listen_all(struct service *service, const struct serve_options *options, struct err *err)
{
	int r = 0;

	if (service->http)
		r = http_server_listen(service->http, service->reactor, err);
	/* Before its store: two brokers over one directory are told apart by the port, too. */
	if (r == 0 && service->kafka)
		r = kafka_server_listen(service->kafka, service->reactor, err);
	if (r < 0 || !options->admin)
		return r;
	r = admin_new(options->admin, service->reactor, &service->admin, err);
	if (r == 0)
		r = admin_allow_hosts(service->admin, options->admin_hosts,
				      options->admin_host_count, err);
	if (r == 0 && service->http)
		http_metrics_add(service->http, service->admin);
	if (r == 0 && service->kafka)
		kafka_metrics_add(service->kafka, service->admin);
	return r;
}

/* While the rights to open it are there. */
static int keep_places(struct service *service, const struct serve_options *options,
		       struct err *err)
{
	struct confinement *kept = &service->kept;
	char name[512];
	int r = 0;

	if (options->http)
		r = confine_add_site(kept, http_server_site(service->http), err);
	if (r == 0 && options->http)
		r = confine_add_log(kept, options->http->access_log, err);
	for (unsigned i = 0; i < reactor_listener_count(service->reactor); i++)
		if (reactor_listener_name(service->reactor, i, name, sizeof(name)) == 0)
			confine_add_listener(kept, name);
	if (service->admin && admin_address(service->admin, name, sizeof(name)) == 0)
		confine_add_listener(kept, name);
	return r;
}

/* As who, and where: what can be said before anything is made. */
static int open_doors(struct service *service, const struct serve_options *options, struct err *err)
{
	struct user user;
	int r = options->user ? user_find(options->user, &user, err) : 0;

	if (r == 0)
		r = make_reactor(service, options, err);
	if (r == 0)
		r = make_servers(service, options, err);
	if (r == 0)
		r = listen_all(service, options, err);
	if (r == 0 && options->sandbox)
		r = keep_places(service, options, err);
	if (r == 0 && options->user)
		r = confine_become(&user, service->http ? http_server_site(service->http) : NULL,
				   err);
	return r;
}

static int start(struct service *service, const struct serve_options *options, struct err *err)
{
	int r = open_doors(service, options, err);

	if (r == 0 && service->kafka)
		r = kafka_server_open(service->kafka, err);
	if (r == 0 && service->kafka && options->sandbox)
		r = confine_add_store(&service->kept, service->kafka->store, err);
	if (r < 0)
		return r;
	/* Threads are started from here on. Until now a signal ends the process, and harms nobody: no
	 * port has answered yet, and the recovery of a large store would take minutes to notice. */
	reactor_hold_signals(service->reactor);
	say_machine(service);
	if (options->sandbox)
		r = confine_apply(&service->kept, err);
	if (r == 0 && service->http)
		r = http_server_start(service->http, err);
	return r;
}

int serve(const struct serve_options *options, struct err *err)
{
	CLEANUP(service_fini) struct service service = {.options = options};
	int r = start(&service, options, err);

	if (r < 0)
		return r;
	r = reactor_run(service.reactor, err);
	say_end(&service);
	return r;
}
