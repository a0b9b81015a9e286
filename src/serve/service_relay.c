#include "relay/relay_server.h"
#include "serve/service.h"

static int make_relay(const void *options, unsigned loops, void **ret, struct err *err)
{
	struct relay_server *server;
	int r = relay_server_new(options, &server, err);

	if (r == 0)
		*ret = server;
	return r;
}

static int listen_relay(void *server, struct reactor *reactor, struct err *err)
{
	return relay_server_listen(server, reactor, err);
}

static void add_relay_metrics(void *server, struct admin *admin)
{
	relay_metrics_add(server, admin);
}

/* It connects to its targets and to nobody else. */
static int keep_relay_targets(void *server, struct confinement *kept, struct err *err)
{
	const struct relay_server *relay = server;
	const struct upstream_group *group = &relay->group;
	int r = 0;

	for (unsigned i = 0; i < group->count && r == 0; i++)
		r = confine_add_target(kept, &group->peers[i].address, group->peers[i].name, err);
	return r;
}

static int open_relay_loop(void *server, struct loop *loop, struct err *err)
{
	return relay_loop_open(loop, server, err);
}

static void say_relay_start(void *server)
{
	relay_server_say_start(server);
}

static void close_relay_loop(void *server, struct loop *loop)
{
	relay_loop_close(loop, server);
}

static void say_relay_end(void *server)
{
	relay_server_say_end(server);
}

static void end_relay(void *server)
{
	relay_server_free(server);
}

/* No helper works for it. */
static void abandon_relay(void *server)
{
}

const struct service relay_service = {
    .make = make_relay,
    .listen = listen_relay,
    .add_metrics = add_relay_metrics,
    .keep_places = keep_relay_targets,
    .loop_open = open_relay_loop,
    .say_start = say_relay_start,
    .loop_close = close_relay_loop,
    .say_end = say_relay_end,
    .end = end_relay,
    .abandon = abandon_relay,
};
