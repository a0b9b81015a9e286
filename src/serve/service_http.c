#include "http/http_account.h"
#include "http/http_loop.h"
#include "http/http_metrics.h"
#include "http/http_server.h"
#include "serve/service.h"

static int make_http(const void *options, unsigned loops, void **ret, struct err *err)
{
	struct http_server *server;
	int r = http_server_new(options, loops, &server, err);

	if (r == 0)
		*ret = server;
	return r;
}

static int listen_http(void *server, struct reactor *reactor, struct err *err)
{
	return http_server_listen(server, reactor, err);
}

static void add_http_metrics(void *server, struct admin *admin)
{
	http_metrics_add(server, admin);
}

static int keep_http_places(void *server, struct confinement *kept, struct err *err)
{
	int r = confine_add_site(kept, http_server_site(server), err);

	return r < 0 ? r : confine_add_log(kept, http_server_log_path(server), err);
}

static void check_http_user(void *server, const struct user *user)
{
	confine_check_site(user, http_server_site(server));
}

static int start_http(void *server, struct err *err)
{
	return http_server_start(server, err);
}

static int open_http_loop(void *server, struct loop *loop, struct err *err)
{
	return http_loop_open(loop, server, err);
}

static void say_http_start(void *server)
{
	http_server_say_start(server);
}

static void hangup_http(void *server, struct loop *loop)
{
	/* Once a process. */
	if (loop_index(loop) == 0)
		http_server_hangup(server);
}

static void close_http_loop(void *server, struct loop *loop)
{
	http_loop_close(loop, server);
}

static void say_http_end(void *server)
{
	http_account_say(server);
}

static void end_http(void *server)
{
	http_server_free(server);
}

static void abandon_http(void *server)
{
	http_server_abandon(server);
}

const struct service http_service = {
    .make = make_http,
    .listen = listen_http,
    .add_metrics = add_http_metrics,
    .keep_places = keep_http_places,
    .check_user = check_http_user,
    .start = start_http,
    .loop_open = open_http_loop,
    .say_start = say_http_start,
    .hangup = hangup_http,
    .loop_close = close_http_loop,
    .say_end = say_http_end,
    .end = end_http,
    .abandon = abandon_http,
};
