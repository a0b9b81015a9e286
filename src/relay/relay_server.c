/*
 * relay_server.h: the server's life, its state on each loop, the sums over them, and what it says.
 */
#include "relay/relay_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/size.h"
#include "relay/relay_limits.h"
#include "relay/relay_pair.h"
#include "sys/sys.h"

static const char *const relay_end_names[RELAY_END_COUNT] = {
    [RELAY_END_NONE] = "none",
    [RELAY_END_CLEAN] = "closed",
    [RELAY_END_CLIENT_RESET] = "client-reset",
    [RELAY_END_TARGET_RESET] = "target-reset",
    [RELAY_END_CLIENT_GONE] = "client-gone",
    [RELAY_END_NO_TARGET] = "no-target",
    [RELAY_END_FULL] = "full",
    [RELAY_END_IDLE] = "idle",
    [RELAY_END_HALF_CLOSED] = "half-closed",
    [RELAY_END_STOPPED] = "stopped",
    [RELAY_END_FAILED] = "failed",
};

const char *relay_end_name(enum relay_end end)
{
	return relay_end_names[end];
}

/* ---- life ---- */

static void relay_set_defaults(struct relay_options *options)
{
	if (!options->connect_ms)
		options->connect_ms = RELAY_CONNECT_MS;
	if (!options->idle_ms)
		options->idle_ms = RELAY_IDLE_MS;
	if (!options->half_close_ms)
		options->half_close_ms = RELAY_HALF_CLOSE_MS;
}

int relay_server_new(const struct relay_options *options, struct relay_server **ret,
		     struct err *err)
{
	struct relay_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return err_set(err, -ENOMEM, "out of memory");
	server->options = *options;
	relay_set_defaults(&server->options);
	server->group = (struct upstream_group){.method = options->method,
						.fails_max = RELAY_FAILS_MAX,
						.down_ms = RELAY_DOWN_MS};
	r = upstream_group_init(&server->group, options->targets, options->target_count, err);
	if (r < 0) {
		free(server);
		return r;
	}
	*ret = server;
	return 0;
}

int relay_server_listen(struct relay_server *server, struct reactor *reactor, struct err *err)
{
	const struct listener_options listener = {.ops = &relay_client_ops.conn, .arg = server};
	int r = 0;

	server->reactor = reactor;
	for (unsigned i = 0; i < server->options.listen_count && r == 0; i++)
		r = reactor_listen(reactor, server->options.listen[i], &listener, err);
	return r;
}

void relay_server_free(struct relay_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < REACTOR_LOOPS_MAX; i++) {
		struct relay_loop *loop = server->loops[i];

		if (!loop)
			continue;
		engine_fini(&loop->engine);
		free(loop);
	}
	upstream_group_fini(&server->group);
	free(server);
}

/* ---- loops ---- */

int relay_loop_open(struct loop *loop, struct relay_server *server, struct err *err)
{
	struct relay_loop *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return err_set(err, -ENOMEM, "out of memory");
	relay->server = server;
	engine_init(&relay->engine);
	stream_loop_init(&relay->home, loop, &relay->engine, 0);
	spare_init(&relay->pairs, sizeof(struct relay_pair), RELAY_SPARE_MAX);
	/* Loops must not choose alike; nobody is to guess anything from it. */
	if (sys_random(&relay->random, sizeof(relay->random)) < 0)
		relay->random = sys_now_ns() ^ loop_index(loop);
	atomic_store(&server->loops[loop_index(loop)], relay);
	return 0;
}

void relay_loop_close(struct loop *loop, struct relay_server *server)
{
	struct relay_loop *relay = atomic_load(&server->loops[loop_index(loop)]);

	/* Its figures stay to be read. */
	stream_loop_fini(&relay->home);
	spare_fini(&relay->pairs);
}

struct stream_loop *relay_home_of_server(void *arg, struct loop *loop)
{
	struct relay_server *server = arg;

	return &server->loops[loop_index(loop)]->home;
}

struct stream_loop *relay_home_of_pair(void *arg, struct loop *loop)
{
	struct relay_pair *pair = arg;

	return &pair->loop->home;
}

/* ---- figures ---- */

static void relay_account_loop(struct relay_account *sum, const struct relay_loop *loop)
{
	const struct relay_counters *c = &loop->counters;

	engine_account_add(&sum->engine, &loop->engine);
	sum->counters.accepted += counter_get(&c->accepted);
	sum->counters.connected += counter_get(&c->connected);
	sum->counters.retries += counter_get(&c->retries);
	sum->counters.bytes_to_target += counter_get(&c->bytes_to_target);
	sum->counters.bytes_to_client += counter_get(&c->bytes_to_client);
	for (unsigned i = 0; i < RELAY_END_COUNT; i++)
		sum->counters.ended[i] += counter_get(&c->ended[i]);
}

void relay_account(const struct relay_server *server, struct relay_account *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < REACTOR_LOOPS_MAX; i++) {
		const struct relay_loop *loop = atomic_load(&server->loops[i]);

		if (loop)
			relay_account_loop(ret, loop);
	}
}

void relay_server_say_start(const struct relay_server *server)
{
	const struct upstream_group *group = &server->group;
	char name[512];

	for (unsigned i = 0; i < reactor_listener_count(server->reactor); i++)
		if (reactor_listener_arg(server->reactor, i) == server &&
		    reactor_listener_name(server->reactor, i, name, sizeof(name)) == 0)
			log_info("relaying %s to %s%s", name, group->peers[0].name,
				 group->count > 1 ? " and others" : "");
	log_info("%u target%s, %s", group->count, group->count == 1 ? "" : "s",
		 upstream_method_name(group->method));
}

void relay_server_say_end(const struct relay_server *server)
{
	char line[LOG_LINE_MAX], there[SIZE_TEXT_MAX], back[SIZE_TEXT_MAX];
	struct buf buf = buf_over(line, sizeof(line));
	struct relay_account sum;

	relay_account(server, &sum);
	buf_printf(&buf, "%llu connections; %s to targets, %s to clients",
		   (unsigned long long)sum.counters.accepted,
		   size_format(sum.counters.bytes_to_target, there),
		   size_format(sum.counters.bytes_to_client, back));
	for (unsigned i = RELAY_END_CLEAN; i < RELAY_END_COUNT; i++)
		if (sum.counters.ended[i])
			buf_printf(&buf, ", %s: %llu", relay_end_name((enum relay_end)i),
				   (unsigned long long)sum.counters.ended[i]);
	log_info("%.*s", (int)buf.len, buf.ptr);
}
