/*
 * The relay: what all its loops share, and the pieces to start it with.
 *
 *     relay_server_new()       looks names up, opens nothing to the world
 *     relay_server_listen()    its listeners, in a reactor
 *     relay_loop_open/close()  its state on each loop, by reactor_options' hooks
 *     relay_server_free()      after the reactor's loops have ended
 *
 * A connection that is accepted becomes a pair (relay_pair.c): the client's stream, a target of the
 * group, and a link in each direction.
 */
#ifndef RELAY_RELAY_SERVER_H
#define RELAY_RELAY_SERVER_H

#include "base/spare.h"
#include "engine/engine.h"
#include "stream/stream.h"
#include "upstream/upstream.h"

struct admin;

/* What a pair ended with; the first reason counts. */
enum relay_end {
	RELAY_END_NONE,
	RELAY_END_CLEAN,        /* both sides have closed */
	RELAY_END_CLIENT_RESET, /* the client's connection broke */
	RELAY_END_TARGET_RESET, /* the target's did */
	RELAY_END_CLIENT_GONE,  /* while no target was connected yet */
	RELAY_END_NO_TARGET,    /* none could be connected to */
	RELAY_END_FULL,         /* all targets have the connections they may have */
	RELAY_END_IDLE,         /* nothing came for too long */
	RELAY_END_HALF_CLOSED, /* one side had closed, and nothing came from the other for too long */
	RELAY_END_STOPPED,     /* the process ended */
	RELAY_END_FAILED,      /* no memory or descriptors here */
	RELAY_END_COUNT,
};

const char *relay_end_name(enum relay_end end);

struct relay_options {
	const char *const *listen; /* as for reactor_listen() */
	unsigned listen_count;
	const char *const *targets; /* as for upstream_group_init() */
	unsigned target_count;
	enum upstream_method method;
	uint32_t connect_ms, idle_ms, half_close_ms; /* 0: the default */
	bool send_proxy; /* the targets are told who the client is: PROXY protocol, version 2 */
	bool log;        /* a line for each connection */
};

/* One writer, the loop's thread. */
struct relay_counters {
	uint64_t accepted, connected, retries;
	uint64_t bytes_to_target, bytes_to_client;
	uint64_t ended[RELAY_END_COUNT];
};

struct relay_server;

struct relay_loop {
	struct relay_server *server;
	struct stream_loop home;
	struct leat_engine engine;
	struct spare pairs;
	struct upstream_turns turns;
	uint64_t random;
	struct relay_counters counters;
};

struct relay_server {
	struct relay_options options; /* with the defaults filled in */
	struct upstream_group group;
	const struct reactor *reactor;
	_Atomic(struct relay_loop *) loops[REACTOR_LOOPS_MAX];
};

/* `options` and what it points to must stay. Blocks while names are looked up. */
int relay_server_new(const struct relay_options *options, struct relay_server **ret,
		     struct err *err);
int relay_server_listen(struct relay_server *server, struct reactor *reactor, struct err *err);
int relay_loop_open(struct loop *loop, struct relay_server *server, struct err *err);
void relay_loop_close(struct loop *loop, struct relay_server *server);
void relay_server_say_start(const struct relay_server *server);
void relay_server_say_end(const struct relay_server *server);
/* What it has to tell operators. */
void relay_metrics_add(struct relay_server *server, struct admin *admin);
/* NULL is fine. */
void relay_server_free(struct relay_server *server);

/* What the loops did, summed. Any thread. */
struct relay_account {
	struct relay_counters counters;
	struct engine_account engine;
};
void relay_account(const struct relay_server *server, struct relay_account *ret);

/* relay_pair.c: the client's side. */
extern const struct stream_ops relay_client_ops;

#endif
