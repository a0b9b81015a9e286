#include "http/http_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/http_proxies.h"
#include "http/http_record.h"
#include "http/http_send.h"
#include "sys/sys.h"

/* What a step of a connection says. After GONE it must not be touched. */
enum turn {
	TURN_GOES_ON,
	TURN_RESTS, /* until an event, a helper or a deadline */
	TURN_GONE,
};

/* ---- kept input ---- */

static void forget_kept(struct http_conn *c)
{
	if (c->kept)
		spare_give(c->kept_large ? &c->loop->kept_large : &c->loop->kept_small, c->kept);
	c->kept = NULL;
	c->kept_len = 0;
}

static bool keep(struct http_conn *c, const char *data, size_t len)
{
	if (len == 0)
		return true;
	c->kept_large = len > HTTP_KEEP_SMALL;
	c->kept = spare_take(c->kept_large ? &c->loop->kept_large : &c->loop->kept_small);
	if (!c->kept)
		return false;
	memcpy(c->kept, data, len);
	c->kept_len = (uint32_t)len;
	return true;
}

/* ---- ends ---- */

static enum turn gone(struct http_conn *c)
{
	conn_close(c->conn);
	return TURN_GONE;
}

/* Reads away what the peer goes on sending, within bounds. */
static enum turn linger(struct http_conn *c)
{
	for (;;) {
		ssize_t n =
		    sys_recv(conn_fd(c->conn), c->loop->received, sizeof(c->loop->received), 0);

		if (n == -EAGAIN)
			return TURN_RESTS;
		if (n <= 0)
			return gone(c);
		c->lingered += (uint32_t)n;
		if (c->lingered > HTTP_LINGER_BYTES)
			return gone(c);
	}
}

/* Everything is sent, and it was the last. */
static enum turn end(struct http_conn *c)
{
	forget_kept(c);
	/* More may have come while the answer went out. */
	if (c->ending == HTTP_CLOSES && c->readable)
		c->ending = HTTP_LINGERS;
	if (c->ending == HTTP_CLOSES || c->eof)
		return gone(c);
	if (c->ending == HTTP_LINGERS) {
		if (sys_shutdown(conn_fd(c->conn), SHUT_WR) < 0)
			return gone(c);
		c->ending = HTTP_LINGERING;
		conn_deadline(c->conn, HTTP_LINGER_MS);
	}
	return linger(c);
}

/* Nothing to do until the peer says more. */
static enum turn rest(struct http_conn *c)
{
	if (c->eof || (c->draining && c->kept_len == 0))
		return gone(c);
	if (!c->spoken) /* the deadline of its first request runs */
		return TURN_RESTS;
	if (c->kept_len == 0) {
		c->late = false;
		conn_deadline(c->conn, c->loop->timeouts.idle_ms);
	} else if (!c->late) {
		c->late = true;
		conn_deadline(c->conn, c->skim_head ? c->loop->timeouts.body_ms
						    : c->loop->timeouts.header_ms);
	}
	return TURN_RESTS;
}

/* For the socket (http_send() has set the deadline), or for a helper, who has none. */
static enum turn waits(struct http_conn *c)
{
	c->late = false;
	if (!c->flight)
		conn_deadline(c->conn, 0);
	return TURN_RESTS;
}

/* ---- requests ---- */

struct http_flight *http_conn_flight(struct http_conn *c)
{
	struct http_flight *flight = c->flight;

	if (flight)
		return flight;
	flight = spare_take(&c->loop->flights);
	if (!flight)
		return NULL;
	flight->len = 0;
	flight->sent = 0;
	flight->chained = false;
	flight->waiting = false;
	flight->entry = NULL;
	flight->answers = 0;
	flight->saved = NULL;
	flight->list = NULL;
	flight->listing = false;
	flight->body = NULL;
	flight->reading = false;
	flight->unsent_bounded = false;
	c->flight = flight;
	return flight;
}

/* The bytes at hand. `head` is where the request under way begins. */
struct input {
	char *data;
	size_t head, len;
};

static enum http_answered bad(struct http_conn *c, struct input *in, struct slice line, int status,
			      const char *reason)
{
	enum http_answered r = http_answer_bad(c, line, status, reason);

	if (r == HTTP_ANSWERED)
		in->head = in->len;
	return r;
}

static enum http_answered put_continue(struct http_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_flight *flight = http_conn_flight(c);

	if (!flight)
		return HTTP_FAILED;
	if (sizeof(flight->out) - flight->len < sizeof(text))
		return HTTP_NO_ROOM;
	memcpy(flight->out + flight->len, text, sizeof(text) - 1);
	flight->len += sizeof(text) - 1;
	return HTTP_ANSWERED;
}

/* Reads the body away, from behind its head, which stays. HTTP_PARSE_OK: it is gone, or the request
 * is answered without it. */
static enum http_parse skim(struct http_conn *c, struct input *in)
{
	char *body = in->data + in->head + c->skim_head;
	size_t used, len = in->len - in->head - c->skim_head;
	enum http_parse parse = http_skim_step(&c->skim, body, len, &used);

	if (parse == HTTP_PARSE_BAD)
		return parse;
	memmove(body, body + used, len - used);
	in->len -= used;
	if (parse == HTTP_PARSE_MORE && c->skim.bytes > HTTP_BODY_DROP_MAX) {
		c->body_left = true;
		parse = HTTP_PARSE_OK;
	}
	if (parse == HTTP_PARSE_OK) {
		c->body_done = true;
		c->skim_head = 0;
	}
	return parse;
}

/* A request with a body is answered when the body has been read away, so that bad chunking is
 * answered as such; not read are bodies of requests that are refused, and large ones. */
static bool skims(struct http_conn *c, const struct http_request *request)
{
	if (request->framing == HTTP_BODY_NONE || c->body_done)
		return false;
	if (request->content_length > HTTP_BODY_DROP_MAX || request->method > HTTP_OPTIONS) {
		c->body_left = true;
		return false;
	}
	return true;
}

enum progress {
	PROGRESS,      /* one request is answered, or looked at anew */
	PROGRESS_MORE, /* not complete */
	PROGRESS_FULL, /* send first */
	PROGRESS_WAITS,
	PROGRESS_FAILED,
};

static enum progress progress_of(enum http_answered answered)
{
	switch (answered) {
	case HTTP_ANSWERED:
		return PROGRESS;
	case HTTP_NO_ROOM:
		return PROGRESS_FULL;
	case HTTP_WAITS:
		return PROGRESS_WAITS;
	case HTTP_FAILED:
		break;
	}
	return PROGRESS_FAILED;
}

/* The request line, or what stands in its place. */
static struct slice first_line(const struct input *in)
{
	return http_first_line(in->data + in->head, in->len - in->head);
}

/* What a proxy says before the first request. */
static enum progress begin_proxied(struct http_conn *c, struct input *in)
{
	const struct http_proxies *proxies = http_server_proxies(c->loop->server);
	enum http_parse parse =
	    http_proxies_begin(proxies, conn_peer(c->conn), slice_make(in->data, in->len),
			       &in->head, &c->told);

	if (parse == HTTP_PARSE_MORE)
		return PROGRESS_MORE;
	c->awaits_proxy = false;
	c->is_told = parse == HTTP_PARSE_OK;
	if (parse == HTTP_PARSE_OK)
		return PROGRESS;
	return progress_of(bad(c, in, first_line(in), 400, "no PROXY header"));
}

static enum progress continue_body(struct http_conn *c, struct input *in)
{
	switch (skim(c, in)) {
	case HTTP_PARSE_OK:
		return PROGRESS;
	case HTTP_PARSE_MORE:
		return PROGRESS_MORE;
	case HTTP_PARSE_BAD:
		break;
	}
	return progress_of(bad(c, in, first_line(in), 400, "bad chunked framing"));
}

static enum progress begin_body(struct http_conn *c, struct input *in,
				const struct http_request *request)
{
	bool nothing_yet = in->len - in->head == request->length;
	enum http_answered r = HTTP_ANSWERED;

	if (request->expect_continue && nothing_yet)
		r = put_continue(c);
	if (r != HTTP_ANSWERED)
		return progress_of(r);
	http_skim_init(&c->skim, request);
	c->skim_head = (uint32_t)request->length;
	c->late = false; /* the body has its own time */
	return PROGRESS;
}

static enum progress one_request(struct http_conn *c, struct input *in)
{
	struct http_request *request = &c->loop->request;
	enum http_answered answered;
	size_t length;

	if (unlikely(c->awaits_proxy))
		return begin_proxied(c, in);
	if (c->skim_head)
		return continue_body(c, in);
	switch (http_parse_request(&c->scan, in->data + in->head, in->len - in->head, request)) {
	case HTTP_PARSE_MORE:
		return PROGRESS_MORE;
	case HTTP_PARSE_BAD:
		return progress_of(bad(c, in, request->line, request->status, request->reason));
	case HTTP_PARSE_OK:
		break;
	}
	if (skims(c, request))
		return begin_body(c, in, request);
	length = request->length;
	answered = http_answer(c, request);
	if (answered == HTTP_ANSWERED) {
		in->head += length;
		c->late = false; /* the next one has its own time */
		c->body_done = false;
		c->body_left = false;
		/* What is behind the last request will not be looked at. */
		if (c->ending == HTTP_CLOSES && in->head < in->len)
			c->ending = HTTP_LINGERS;
	}
	return progress_of(answered);
}

static enum turn turn_of(enum http_sent sent)
{
	switch (sent) {
	case HTTP_SENT_ALL:
		return TURN_GOES_ON;
	case HTTP_SENT_SOME:
		return TURN_RESTS;
	case HTTP_SENT_FAILED:
		break;
	}
	return TURN_GONE;
}

/* Answers what is complete, as many as fit, and sends in between when they don't. Without output
 * left over it ends with an incomplete request, a helper at work, or the last answer. */
static enum turn answer_all(struct http_conn *c, struct input *in)
{
	unsigned answered = 0;
	enum turn turn = TURN_GOES_ON;
	enum progress progress;

	do {
		/* Requests that came together may have changes between them that no event batch
		 * separates: seen once more, before the second one. */
		if (answered++ == 1)
			file_cache_sync(c->loop->cache);
		progress = one_request(c, in);
		if (progress == PROGRESS_FAILED)
			return TURN_GONE;
		if (progress == PROGRESS_FULL || (c->flight && c->flight->chained))
			turn = turn_of(http_send(c));
		if (turn == TURN_GOES_ON && c->loop->turn_left == 0) {
			conn_again(c->conn);
			turn = TURN_RESTS;
		}
	} while (turn == TURN_GOES_ON && !c->ending && in->head < in->len &&
		 (progress == PROGRESS || progress == PROGRESS_FULL));
	if (turn == TURN_GOES_ON && c->flight)
		turn = turn_of(http_send(c));
	return turn;
}

/* More bytes, behind those at hand. false: the connection has failed. */
static bool receive(struct http_conn *c, struct input *in)
{
	size_t room = sizeof(c->loop->received) - in->len;
	ssize_t n;

	if (!c->readable || room == 0)
		return true;
	n = sys_recv(conn_fd(c->conn), in->data + in->len, room, 0);
	if (n == -EAGAIN) {
		c->readable = false;
		return true;
	}
	if (n < 0)
		return false;
	/* A short read has taken everything, and the next bytes will be announced; the peer's end
	 * that is there already will not. */
	if (n == 0)
		c->eof = true;
	if (n == 0 || ((size_t)n < room && !c->ended))
		c->readable = false;
	in->len += (size_t)n;
	c->spoken = true;
	http_record_received(c);
	return true;
}

/* One receive and its answers. */
static enum turn take_input(struct http_conn *c)
{
	struct input in = {.data = c->loop->received, .len = c->kept_len};
	enum turn turn;

	if (c->kept_len)
		memcpy(in.data, c->kept, c->kept_len);
	forget_kept(c);
	if (!receive(c, &in))
		return gone(c);
	turn = in.len ? answer_all(c, &in) : TURN_GOES_ON;
	if (turn != TURN_GONE)
		http_record_keep(c);
	if (turn == TURN_GONE)
		return gone(c);
	if (!c->ending && !keep(c, in.data + in.head, in.len - in.head))
		return gone(c);
	if (turn == TURN_RESTS || c->job)
		return waits(c);
	return c->readable || c->ending ? TURN_GOES_ON : rest(c);
}

/* ---- turns ---- */

static enum turn step(struct http_conn *c)
{
	enum turn turn = TURN_GOES_ON;

	if (c->flight)
		turn = turn_of(http_send(c));
	if (turn == TURN_GONE)
		return gone(c);
	if (turn == TURN_RESTS || c->job)
		return waits(c);
	if (c->ending)
		return end(c);
	return take_input(c);
}

static size_t turn_bytes(const struct http_loop *loop)
{
	bool mixed = loop_now_ms(loop->loop) - loop->small_ms < HTTP_TURN_MIXED_MS;

	return mixed ? HTTP_TURN_MIXED_BYTES : HTTP_TURN_BYTES;
}

static void http_turn(struct http_conn *c)
{
	enum turn turn = TURN_GOES_ON;

	c->loop->turn_left = turn_bytes(c->loop);
	for (int steps = 0; steps < 16 && turn == TURN_GOES_ON; steps++)
		turn = step(c);
	if (turn == TURN_GOES_ON)
		conn_again(c->conn);
}

static void take_found(struct http_conn *c, struct http_job *job)
{
	if (job->coding != HTTP_IDENTITY) {
		CHECK(!c->coded);
		c->coded = job->entry;
		c->coded_error = job->error;
		c->coded_same = job->same;
		c->coded_as = (uint8_t)job->coding;
		job->entry = NULL;
		return;
	}
	CHECK(c->found.kind == HTTP_FOUND_NOTHING);
	c->found = (struct http_found){
	    .kind = job->kind == HTTP_JOB_FILE ? HTTP_FOUND_FILE : HTTP_FOUND_LISTING,
	    .error = job->error,
	    .same = job->same,
	};
	/* A list that is not whole waits for the client from here on. */
	if (job->error == 0 && job->list && !dir_list_whole(job->list))
		c->found.error = dir_list_keep(job->list);
	if (c->found.error < 0)
		return;
	c->found.entry = job->entry;
	c->found.list = job->list;
	job->entry = NULL;
	job->list = NULL;
}

void http_conn_job_done(struct conn *conn, struct http_job *job)
{
	struct http_conn *c = conn_data(conn);

	CHECK(c->job == job);
	c->job = NULL;
	if (job->kind == HTTP_JOB_FILE || job->kind == HTTP_JOB_LISTING) {
		take_found(c, job);
	} else if (!http_flight_resume(c, job)) {
		conn_close(conn);
		return;
	}
	http_turn(c);
}

/* ---- the reactor's calls ---- */

static int opened(struct conn *conn)
{
	struct http_conn *c = conn_data(conn);

	c->conn = conn;
	c->loop = http_server_loop(conn_arg(conn), loop_index(conn_loop(conn)));
	c->reference_column = -1;
	c->unix_socket = conn_peer(conn)->ss_family == AF_UNIX;
	c->awaits_proxy = http_server_proxies(c->loop->server)->protocol;
	/* Answers leave whole: there is nothing to wait for, and Nagle's algorithm would hold a
	 * second answer until the peer's delayed acknowledgement of the first. */
	if (!c->unix_socket)
		sys_setsockopt_int(conn_fd(conn), IPPROTO_TCP, TCP_NODELAY, 1);
	http_count(&c->loop->counters.opened, 1);
	conn_deadline(conn, c->loop->timeouts.header_ms);
	return 0;
}

static void ready(struct conn *conn, unsigned events)
{
	struct http_conn *c = conn_data(conn);

	if (events & (CONN_READABLE | CONN_ENDED | CONN_HANGUP))
		c->readable = true;
	if (events & (CONN_ENDED | CONN_HANGUP))
		c->ended = true;
	http_turn(c);
}

static enum http_deadline deadline_of(const struct http_conn *c)
{
	if (c->ending == HTTP_LINGERING)
		return HTTP_DEADLINE_LINGER;
	if (c->flight)
		return HTTP_DEADLINE_WRITE;
	if (c->skim_head)
		return HTTP_DEADLINE_BODY;
	return c->kept_len || !c->spoken ? HTTP_DEADLINE_HEADER : HTTP_DEADLINE_IDLE;
}

/* A peer that takes nothing would not see the end either: it lies behind the bytes that it does not
 * read, and the kernel would keep both for minutes. A reset gives the memory back at once. */
static void reset_at_close(struct http_conn *c)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	sys_setsockopt(conn_fd(c->conn), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* A request that has begun is answered (RFC 9110 15.5.9), so that a person on a slow line, the log
 * and the counters know what happened. False: there is none, or no memory. */
static bool answer_late(struct http_conn *c)
{
	static const char reason[] = "the request did not come to its end in time";

	if (!c->late || c->kept_len == 0 || c->flight || c->job || c->ending)
		return false;
	if (http_answer_bad(c, http_first_line(c->kept, c->kept_len), 408, reason) != HTTP_ANSWERED)
		return false;
	http_record_keep(c);
	return true;
}

static void expired(struct conn *conn)
{
	struct http_conn *c = conn_data(conn);

	http_count(&c->loop->counters.expired[deadline_of(c)], 1);
	if (answer_late(c)) {
		http_turn(c);
		return;
	}
	if (c->flight)
		reset_at_close(c);
	conn_close(conn);
}

static void drain(struct conn *conn)
{
	struct http_conn *c = conn_data(conn);

	c->draining = true;
	/* A request may have arrived that no event has told of yet. */
	c->readable = true;
	http_turn(c);
}

static void closed(struct conn *conn)
{
	struct http_conn *c = conn_data(conn);

	http_count(&c->loop->counters.closed, 1);
	forget_kept(c);
	if (c->job)
		http_job_forget(c->job);
	if (c->flight)
		http_flight_free(c);
	http_answer_forget(c);
}

const struct conn_ops http_conn_ops = {
    .data_size = sizeof(struct http_conn),
    .open = opened,
    .ready = ready,
    .expired = expired,
    .drain = drain,
    .closed = closed,
};
