/*
 * A pair: a client, its target, and the bytes between them.
 *
 *               accepted            connected: two links           both directions over
 *     (client) ─────────> CONNECTING ─────────────────> RELAYING ─────────────────────> ENDING
 *                  │    ^    │                             │                              │
 *                  │    └────┘ another target, or          │ a side breaks, idle          │
 *                  │           the same one later          v                              v
 *                  └── no target: the client is reset    ENDING ── both streams closed ─> freed
 *
 * Ends are handed on as what they are. A side that closes (FIN) makes the other's sending side close
 * behind the last byte, and the other direction goes on. A side that breaks (RST, a time-out of TCP)
 * makes the other side's connection break, after what had come before has been delivered: a stream
 * that was cut must not look complete. When a side can no longer be sent to, what it had said is
 * still delivered first: its direction ends by itself, or after the half-close deadline.
 *
 * A pair is freed when both its streams are closed; whoever closes one looks at `client` and
 * `target` for who is left. All on the pair's loop.
 */
#include "relay/relay_pair.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "reactor/address.h"
#include "relay/proxy_header.h"
#include "relay/relay_limits.h"
#include "sys/sys.h"

static struct relay_pair *relay_pair_of(struct stream *stream)
{
	return *(struct relay_pair **)stream_data(stream);
}

static uint64_t relay_now(const struct relay_pair *pair)
{
	return loop_now_ms(pair->loop->home.loop);
}

/* ---- the end ---- */

/* The first reason counts. */
static void relay_pair_ends(struct relay_pair *pair, enum relay_end end)
{
	if (pair->end == RELAY_END_NONE)
		pair->end = end;
}

static void relay_pair_log(const struct relay_pair *pair)
{
	uint64_t now = relay_now(pair);
	uint64_t connected = pair->connected_ms ? pair->connected_ms - pair->began_ms : 0;

	log_info("client=%s target=%s tries=%u connect_ms=%llu total_ms=%llu to_target=%llu "
		 "to_client=%llu end=%s",
		 pair->client_name, pair->peer_name ? pair->peer_name : "-", pair->tries,
		 (unsigned long long)connected, (unsigned long long)(now - pair->began_ms),
		 (unsigned long long)pair->there.linked.bytes,
		 (unsigned long long)pair->back.linked.bytes, relay_end_name(pair->end));
}

static void relay_pair_free(struct relay_pair *pair)
{
	struct relay_loop *loop = pair->loop;

	CHECK(!pair->peer && pair->end != RELAY_END_NONE);
	loop_timer_cancel(loop->home.loop, &pair->timer);
	counter_add(&loop->counters.ended[pair->end], 1);
	if (loop->server->options.log)
		relay_pair_log(pair);
	spare_give(&loop->pairs, pair);
}

/* A stream of it is closed. */
static void relay_pair_lost(struct relay_pair *pair)
{
	if (!pair->client && !pair->target)
		relay_pair_free(pair);
}

/* A broken connection delivers nothing any more, and counts what it had for ever. */
static bool relay_is_delivered(const struct stream *stream)
{
	return !stream || stream->error < 0 || (stream->hangup && !stream->unix_socket) ||
	       sys_unsent_bytes(conn_fd(stream->conn)) <= 0;
}

static void relay_pair_close(struct relay_pair *pair)
{
	struct stream *client = pair->client, *target = pair->target;
	bool clean = pair->end == RELAY_END_CLEAN;

	/* The pair may be gone after the second one. */
	if (client && clean)
		stream_close(client);
	else if (client)
		stream_reset(client);
	if (target && clean)
		stream_close(target);
	else if (target)
		stream_reset(target);
}

/* Now, or when what was sent before has arrived, so that the reset does not overtake it. */
static void relay_pair_finish(struct relay_pair *pair, enum relay_end end)
{
	relay_pair_ends(pair, end);
	if (pair->ending)
		return;
	pair->ending = true;
	pair->flush_until_ms = relay_now(pair) + RELAY_FLUSH_MS;
	/* Not here: this may be inside a turn of one of its streams. */
	loop_timer_set(pair->loop->home.loop, &pair->timer, 0);
}

static void relay_pair_end_due(struct relay_pair *pair)
{
	bool delivered = relay_is_delivered(pair->client) && relay_is_delivered(pair->target);

	if (delivered || pair->end == RELAY_END_CLEAN || relay_now(pair) >= pair->flush_until_ms)
		relay_pair_close(pair);
	else
		loop_timer_set(pair->loop->home.loop, &pair->timer, RELAY_FLUSH_LOOK_MS);
}

/* ---- the links ---- */

/* Bytes so far, both ways. */
static uint64_t relay_pair_bytes(const struct relay_pair *pair)
{
	return pair->there.linked.bytes + pair->back.linked.bytes +
	       (pair->target ? stream_link_bytes(pair->target) : 0) +
	       (pair->client ? stream_link_bytes(pair->client) : 0);
}

static void relay_pair_look(struct relay_pair *pair)
{
	uint64_t bytes = relay_pair_bytes(pair);

	if (bytes == pair->seen_bytes)
		return;
	pair->seen_bytes = bytes;
	pair->moved_ms = relay_now(pair);
}

static uint32_t relay_pair_patience(const struct relay_pair *pair)
{
	const struct relay_options *options = &pair->loop->server->options;

	return pair->there.over || pair->back.over ? options->half_close_ms : options->idle_ms;
}

static void relay_pair_set_timer(struct relay_pair *pair)
{
	uint64_t due = pair->moved_ms + relay_pair_patience(pair), now = relay_now(pair);

	loop_timer_set(pair->loop->home.loop, &pair->timer, due > now ? (uint32_t)(due - now) : 0);
}

/* A peer that reads slowly is not silent: what stands in its socket, which no byte passes us for any
 * more, gets less. Asked only when the time seems to be over. */
static bool relay_takes(const struct stream *stream, int *unsent)
{
	int before = *unsent;

	*unsent = stream ? sys_unsent_bytes(conn_fd(stream->conn)) : 0;
	return *unsent > 0 && *unsent != before;
}

static void relay_pair_idle_due(struct relay_pair *pair)
{
	bool half = pair->there.over || pair->back.over;
	bool client_takes = relay_takes(pair->client, &pair->client_unsent);
	bool target_takes = relay_takes(pair->target, &pair->target_unsent);

	relay_pair_look(pair);
	if (client_takes || target_takes)
		pair->moved_ms = relay_now(pair);
	if (relay_now(pair) < pair->moved_ms + relay_pair_patience(pair))
		relay_pair_set_timer(pair);
	else
		relay_pair_finish(pair, half ? RELAY_END_HALF_CLOSED : RELAY_END_IDLE);
}

static void relay_count_bytes(struct relay_pair *pair, const struct relay_way *way)
{
	uint64_t bytes = way->linked.bytes;

	if (way == &pair->there) {
		counter_add(&pair->loop->counters.bytes_to_target, bytes);
		atomic_fetch_add_explicit(&pair->peer->bytes_out, bytes, memory_order_relaxed);
	} else {
		counter_add(&pair->loop->counters.bytes_to_client, bytes);
		atomic_fetch_add_explicit(&pair->peer->bytes_in, bytes, memory_order_relaxed);
	}
}

/* Whose connection broke: the source of a link that could not be read, the sink of one that could not
 * be written to. */
static enum relay_end relay_end_of(const struct relay_pair *pair, const struct relay_way *way)
{
	bool client = way->linked.source == (way == &pair->there);

	return client ? RELAY_END_CLIENT_RESET : RELAY_END_TARGET_RESET;
}

/* One direction is over. */
static void relay_link_done(void *arg, struct stream *from, struct stream *to,
			    const struct stream_linked *linked)
{
	struct relay_way *way = arg;
	struct relay_pair *pair = way->pair;

	way->over = true;
	way->linked = *linked;
	relay_count_bytes(pair, way);
	pair->moved_ms = relay_now(pair);
	/* A stream of it is being closed, which somebody has decided. */
	if (!from || !to)
		return;
	if (linked->error < 0)
		relay_pair_ends(pair, relay_end_of(pair, way));
	/* A sink that failed may have said something before: the other way ends by itself. */
	if (linked->error < 0 && linked->source)
		relay_pair_finish(pair, pair->end);
	else if (pair->there.over && pair->back.over)
		relay_pair_finish(pair, RELAY_END_CLEAN);
	else if (!pair->ending)
		relay_pair_set_timer(pair);
}

static int relay_pair_link(struct relay_pair *pair)
{
	int r;

	pair->there.pair = pair->back.pair = pair;
	r = stream_link(pair->client, pair->target, LEAT_TO_END, true, relay_link_done,
			&pair->there);
	if (r == 0)
		r = stream_link(pair->target, pair->client, LEAT_TO_END, true, relay_link_done,
				&pair->back);
	if (r == 0)
		stream_again(pair->client);
	return r;
}

/* ---- connecting ---- */

static void relay_pair_refuse(struct relay_pair *pair, enum relay_end end)
{
	if (end == RELAY_END_NO_TARGET)
		log_limited(relay_now(pair) * 1000000, LOG_LEVEL_WARNING,
			    "no target could be connected to: a client is reset");
	else
		log_limited(relay_now(pair) * 1000000, LOG_LEVEL_WARNING, "%s: a client is reset",
			    end == RELAY_END_FULL ? "all targets are full"
						  : "out of memory or descriptors");
	relay_pair_finish(pair, end);
}

/* Not the target's fault, and of the moment: no port of ours is free for this target, its backlog is full. */
static bool relay_is_busy_error(int error)
{
	return error == -EADDRNOTAVAIL || error == -EAGAIN;
}

/* The target is given back; the pair goes on to another one, or later to the same. */
static void relay_pair_not_connected(struct relay_pair *pair, int error)
{
	struct upstream_peer *peer = pair->peer;

	pair->peer = NULL;
	log_limited(relay_now(pair) * 1000000, LOG_LEVEL_WARNING, "%s: can't connect: %s",
		    peer->name, strerrordesc_np(-error));
	if (relay_is_busy_error(error))
		upstream_give(peer);
	else if (upstream_failed(&pair->loop->server->group, peer, relay_now(pair)))
		log_warning("%s: down for %u s after %u failures", peer->name,
			    pair->loop->server->group.down_ms / 1000,
			    pair->loop->server->group.fails_max);
	/* Another one at once; the same one not before a moment has passed. */
	if (pair->client && !pair->ending)
		loop_timer_set(pair->loop->home.loop, &pair->timer, 0);
}

/* Of the address without the port: where a client comes from. */
static uint64_t relay_client_key(const struct stream *client)
{
	const struct sockaddr_storage *peer = conn_peer(client->conn);
	size_t start = 0, end = 0;

	if (peer->ss_family == AF_INET) {
		start = offsetof(struct sockaddr_in, sin_addr);
		end = start + sizeof(struct in_addr);
	} else if (peer->ss_family == AF_INET6) {
		start = offsetof(struct sockaddr_in6, sin6_addr);
		end = start + sizeof(struct in6_addr);
	}
	return hash_slice(slice_make((const char *)peer + start, end - start));
}

static uint64_t relay_random(struct relay_loop *loop)
{
	loop->random = loop->random * 6364136223846793005u + 1442695040888963407u;
	return loop->random ^ loop->random >> 32;
}

static int relay_pair_dial(struct relay_pair *pair)
{
	struct relay_loop *loop = pair->loop;
	struct upstream_peer *peer = pair->peer;

	pair->peer_name = peer->name;
	if (pair->tries++ > 0)
		counter_add(&loop->counters.retries, 1);
	return stream_connect(&loop->home, (struct sockaddr *)&peer->address, peer->address_len,
			      loop->server->options.connect_ms, &relay_target_ops, pair,
			      &pair->target);
}

/* Not the target's: another one would fare no better. */
static bool relay_is_own_error(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
	       error == -ENOSPC;
}

/* The next target, if there is one to be had. */
static void relay_pair_connect(struct relay_pair *pair)
{
	struct relay_loop *loop = pair->loop;
	struct upstream_group *group = &loop->server->group;
	bool full = false;
	int r;

	while (pair->tries < RELAY_TRIES) {
		pair->peer =
		    upstream_take(group, &loop->turns, relay_client_key(pair->client),
				  relay_random(loop), relay_now(pair), &pair->tried, &full);
		if (!pair->peer)
			break;
		r = relay_pair_dial(pair);
		if (r == 0)
			return;
		if (relay_is_own_error(r)) {
			upstream_give(pair->peer);
			pair->peer = NULL;
			relay_pair_refuse(pair, RELAY_END_FAILED);
			return;
		}
		relay_pair_not_connected(pair, r);
	}
	if (pair->tries == 0 || pair->tries >= RELAY_TRIES || full) {
		relay_pair_refuse(pair, full ? RELAY_END_FULL : RELAY_END_NO_TARGET);
		return;
	}
	/* All have been tried: once more from the beginning, a little later. */
	pair->tried = (struct upstream_tried){{0}};
	loop_timer_set(loop->home.loop, &pair->timer, RELAY_AGAIN_MS);
}

static void relay_pair_due(struct timer *timer)
{
	struct relay_pair *pair = timer->arg;

	if (pair->ending)
		relay_pair_end_due(pair);
	else if (pair->connected_ms)
		relay_pair_idle_due(pair);
	else if (!pair->target)
		relay_pair_connect(pair);
}

/* ---- the target's side ---- */

/* Who the client is, before its first byte. */
static int relay_target_greet(struct relay_pair *pair)
{
	struct sockaddr_storage local = {.ss_family = AF_UNSPEC};
	char header[PROXY_HEADER_MAX];
	socklen_t len;

	(void)sys_getsockname(conn_fd(pair->client->conn), &local, &len);
	return stream_put_bytes(pair->target, header,
				proxy_header_write(conn_peer(pair->client->conn), &local, header));
}

/* A peer that has vanished is found by TCP. */
static void relay_keep_alive(const struct stream *stream)
{
	if (stream->unix_socket)
		return;
	(void)sys_setsockopt_int(conn_fd(stream->conn), SOL_SOCKET, SO_KEEPALIVE, 1);
	(void)sys_setsockopt_int(conn_fd(stream->conn), IPPROTO_TCP, TCP_KEEPIDLE,
				 RELAY_KEEPALIVE_S);
}

static int relay_target_open(struct stream *stream)
{
	struct relay_pair *pair = stream->arg;
	int r = 0;

	relay_keep_alive(stream);
	*(struct relay_pair **)stream_data(stream) = pair;
	pair->target = stream;
	upstream_connected(pair->peer);
	counter_add(&pair->loop->counters.connected, 1);
	pair->connected_ms = pair->moved_ms = relay_now(pair);
	if (pair->loop->server->options.send_proxy)
		r = relay_target_greet(pair);
	if (r == 0)
		r = relay_pair_link(pair);
	if (r < 0) {
		relay_pair_refuse(pair, RELAY_END_FAILED);
		return 0;
	}
	relay_pair_set_timer(pair);
	return 0;
}

/* The bytes go by the links; what is left to see is a reset of a side that had closed before, which
 * no link reads from any more. */
static enum stream_turn relay_step(struct stream *stream)
{
	struct relay_pair *pair = relay_pair_of(stream);

	relay_pair_look(pair);
	if (!pair->connected_ms || !stream->hangup || stream->to || !stream->from || pair->ending)
		return STREAM_RESTS;
	/* A UNIX peer that closes says so by a hangup: nobody reads any more, but nothing was cut. */
	if (stream->unix_socket)
		relay_pair_finish(pair, RELAY_END_CLEAN);
	else
		relay_pair_finish(pair, stream == pair->client ? RELAY_END_CLIENT_RESET
							       : RELAY_END_TARGET_RESET);
	return STREAM_RESTS;
}

static void relay_target_closed(struct stream *stream)
{
	struct relay_pair *pair = stream->arg;

	pair->target = NULL;
	if (!pair->connected_ms && stream->error < 0) {
		relay_pair_not_connected(pair, stream->error);
	} else {
		upstream_give(pair->peer);
		pair->peer = NULL;
		relay_pair_ends(pair, RELAY_END_STOPPED);
		if (pair->end != RELAY_END_CLEAN)
			stream_reset_at_close(stream);
		if (pair->client)
			relay_pair_finish(pair, RELAY_END_STOPPED);
	}
	relay_pair_lost(pair);
}

/* What is in flight goes on; the reactor ends it when its patience is over. */
static void relay_drain(struct stream *stream)
{
}

const struct stream_ops relay_target_ops = {
    .conn = STREAM_CONN_OPS(sizeof(struct relay_pair *)),
    .duplex = true,
    .home = relay_home_of_pair,
    .open = relay_target_open,
    .step = relay_step,
    .drain = relay_drain,
    .closed = relay_target_closed,
};

/* ---- the client's side ---- */

static void relay_name_client(struct relay_pair *pair)
{
	const struct sockaddr_storage *peer = conn_peer(pair->client->conn);

	address_format(peer, sizeof(*peer), pair->client_name);
}

static int relay_client_open(struct stream *stream)
{
	struct relay_loop *loop = container_of(stream->home, struct relay_loop, home);
	struct relay_pair *pair = spare_take(&loop->pairs);

	if (!pair) {
		stream_reset_at_close(stream);
		return -ENOMEM;
	}
	relay_keep_alive(stream);
	*pair = (struct relay_pair){.loop = loop, .client = stream};
	pair->timer = (struct timer){.fired = relay_pair_due, .arg = pair};
	pair->began_ms = relay_now(pair);
	stream->write_ms = 0; /* the pair's idle time is the deadline */
	if (loop->server->options.log)
		relay_name_client(pair);
	*(struct relay_pair **)stream_data(stream) = pair;
	counter_add(&loop->counters.accepted, 1);
	relay_pair_connect(pair);
	return 0;
}

/* While no target is there it is not read from: nothing that was not delivered is acknowledged by us
 * as a relay. A client that breaks meanwhile is given up. */
static enum stream_turn relay_client_step(struct stream *stream)
{
	struct relay_pair *pair = relay_pair_of(stream);

	/* A UNIX client that has sent and closed has hung up, too: its bytes are there. */
	if (!pair->connected_ms && stream->hangup &&
	    !(stream->unix_socket && sys_readable_bytes(conn_fd(stream->conn)) > 0)) {
		relay_pair_ends(pair, RELAY_END_CLIENT_GONE);
		return STREAM_CLOSES;
	}
	return relay_step(stream);
}

static void relay_client_closed(struct stream *stream)
{
	struct relay_pair *pair = relay_pair_of(stream);

	pair->client = NULL;
	relay_pair_ends(pair, RELAY_END_STOPPED);
	if (pair->end != RELAY_END_CLEAN)
		stream_reset_at_close(stream);
	if (pair->target && !pair->connected_ms)
		stream_close(pair->target);
	else if (pair->target)
		relay_pair_finish(pair, RELAY_END_STOPPED);
	else
		relay_pair_lost(pair);
}

const struct stream_ops relay_client_ops = {
    .conn = STREAM_CONN_OPS(sizeof(struct relay_pair *)),
    .duplex = true,
    .home = relay_home_of_server,
    .open = relay_client_open,
    .step = relay_client_step,
    .drain = relay_drain,
    .closed = relay_client_closed,
};
