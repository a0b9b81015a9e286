#include "http/http_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/log.h"
#include "engine/engine.h"
#include "http/http_record.h"
#include "sys/sys.h"

/* How much the kernel takes beyond what it may send now: without a bound a socket's buffer grows to
 * megabytes (net.ipv4.tcp_wmem), and a listing would wait there instead of not being made. 0: no
 * bound, for files, whose pages cost nothing. */
static void bound_unsent(struct http_conn *c, int bytes)
{
	if (!c->unix_socket)
		sys_setsockopt_int(conn_fd(c->conn), IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

void http_flight_free(struct http_conn *c)
{
	struct http_flight *flight = c->flight;

	http_record_flight(c);
	if (flight->chained)
		chain_fini(&flight->chain);
	if (flight->unsent_bounded)
		bound_unsent(c, 0);
	if (flight->entry)
		file_entry_unref(flight->entry);
	dir_list_free(flight->list);
	http_body_free(flight->body);
	spare_give(&c->loop->flights, flight);
	c->flight = NULL;
}

void http_flight_chain(struct http_conn *c, struct leat_chain *ret)
{
	const struct chain_sink sink = {
	    .fd = conn_fd(c->conn),
	    .kind = c->unix_socket ? SINK_UNIX : SINK_TCP,
	    .technique = http_server_site(c->loop->server)->technique,
	    .memory_is_free = true,
	};

	chain_init(ret, c->loop->engine, &sink);
	/* The device on the way to this peer: asked once a connection, not once an answer. */
	ret->reference_column = c->reference_column;
}

/* With the first `len` bytes of the flight's buffer. */
static int begin_chain(struct http_conn *c, size_t len)
{
	struct http_flight *flight = c->flight;

	CHECK(!flight->chained && flight->sent == 0);
	http_flight_chain(c, &flight->chain);
	flight->chained = true;
	return leat_chain_add_memory(&flight->chain, flight->out, len, NULL, NULL);
}

static uint64_t file_of(const struct file_entry *entry)
{
	return chain_file(entry->id.dev, entry->id.ino, entry->id.ctime_ns);
}

int http_flight_add_file(struct http_conn *c, struct file_entry *entry, uint64_t offset,
			 uint64_t length)
{
	int r = begin_chain(c, c->flight->len);

	c->flight->entry = entry;
	if (r < 0)
		return r;
	return chain_add_known_file(&c->flight->chain, entry->fd, file_of(entry), offset, length,
				    NULL, NULL);
}

int http_flight_add_body(struct http_conn *c, struct file_entry *entry, uint64_t offset,
			 uint64_t length)
{
	enum leat_technique technique = http_server_site(c->loop->server)->technique;
	bool copies = technique != LEAT_AUTO && technique != LEAT_SPLICE;
	struct http_flight *flight = c->flight;
	int r = begin_chain(c, flight->len);

	flight->entry = entry;
	if (r < 0)
		return r;
	flight->body = http_body_new(entry->fd, offset, length, copies);
	flight->reading = true;
	return flight->body ? 0 : -ENOMEM;
}

static int add_read(struct http_conn *c, struct http_body *body)
{
	c->flight->body = body;
	c->flight->reading = !http_body_done(body);
	return http_body_add(body, &c->flight->chain);
}

static int add_slice(struct leat_chain *chain, const struct file_entry *entry,
		     const struct http_range *range)
{
	uint64_t length = range->last - range->first + 1;

	if (entry->fd >= 0)
		return chain_add_known_file(chain, entry->fd, file_of(entry), range->first, length,
					    NULL, NULL);
	return leat_chain_add_memory(chain, file_entry_body(entry) + range->first, length, NULL,
				     NULL);
}

int http_flight_add_parts(struct http_conn *c, struct file_entry *entry,
			  const struct http_ranges *ranges, const size_t *text_ends)
{
	struct http_flight *flight = c->flight;
	int r = begin_chain(c, text_ends[0]);

	flight->entry = entry;
	for (unsigned i = 0; i < ranges->count && r == 0; i++) {
		size_t next = i + 1 < ranges->count ? text_ends[i + 1] : flight->len;

		r = add_slice(&flight->chain, entry, &ranges->range[i]);
		if (r == 0)
			r = leat_chain_add_memory(&flight->chain, flight->out + text_ends[i],
						  next - text_ends[i], NULL, NULL);
	}
	return r;
}

static int add_piece(struct http_conn *c, struct dir_list *list)
{
	struct http_flight *flight = c->flight;
	struct slice piece = dir_list_piece(list);

	flight->list = list;
	flight->listing = !dir_list_done(list);
	if (piece.len == 0)
		return 0;
	return leat_chain_add_memory(&flight->chain, piece.ptr, piece.len, NULL, NULL);
}

int http_flight_add_list(struct http_conn *c, struct dir_list *list)
{
	int r = begin_chain(c, c->flight->len);

	if (r < 0) {
		c->flight->list = list;
		return r;
	}
	if (!dir_list_whole(list)) {
		c->flight->unsent_bounded = true;
		bound_unsent(c, HTTP_LISTING_PIECE);
	}
	return add_piece(c, list);
}

/* The socket takes no more. Each byte it took moves the deadline, but for a listing: one is dear to
 * keep, so each piece has its time as a whole. */
static enum http_sent wait_writable(struct http_conn *c, bool moved)
{
	if ((moved && !c->flight->list) || !c->flight->waiting)
		conn_deadline(c->conn, c->loop->timeouts.write_ms);
	c->flight->waiting = true;
	return HTTP_SENT_SOME;
}

static void use_turn(struct http_conn *c, uint64_t bytes)
{
	c->loop->turn_left -= min_u64(bytes, c->loop->turn_left);
}

/* One send for all answers in the buffer. Until -EAGAIN, so that the event that says "more room" is
 * certain to come. */
static enum http_sent send_buffer(struct http_conn *c)
{
	struct http_flight *flight = c->flight;
	size_t before = flight->sent;

	while (flight->sent < flight->len) {
		ssize_t n = engine_send(c->loop->engine, conn_fd(c->conn),
					flight->out + flight->sent, flight->len - flight->sent);

		if (n == -EAGAIN)
			return wait_writable(c, flight->sent > before);
		if (n < 0)
			return HTTP_SENT_FAILED;
		flight->sent += (size_t)n;
		use_turn(c, (uint64_t)n);
	}
	c->loop->small_ms = loop_now_ms(c->loop->loop);
	return HTTP_SENT_ALL;
}

/* A helper does what the flight needs next; the connection goes on when it has. */
static enum http_sent wait_for(struct http_conn *c, struct http_job *job)
{
	if (http_job_submit(job) < 0)
		return HTTP_SENT_FAILED;
	c->job = job;
	/* The peer is not asked for anything meanwhile; afterwards its time begins anew. */
	c->flight->waiting = false;
	conn_deadline(c->conn, 0);
	return HTTP_SENT_SOME;
}

/* The cold range is read. */
static enum http_sent load(struct http_conn *c)
{
	struct http_job *job = http_job_new(c->loop, c->conn, HTTP_JOB_LOAD);

	if (!job)
		return HTTP_SENT_FAILED;
	job->load = chain_load(&c->flight->chain);
	job->entry = file_entry_ref(c->flight->entry);
	return wait_for(c, job);
}

/* The listing's next piece is made. */
static enum http_sent next_piece(struct http_conn *c)
{
	struct http_job *job = http_job_new(c->loop, c->conn, HTTP_JOB_PIECE);

	if (!job)
		return HTTP_SENT_FAILED;
	http_job_set_path(job, slice_of(dir_list_path(c->flight->list)));
	job->list = c->flight->list;
	job->place = dir_list_place(job->list);
	c->flight->list = NULL;
	return wait_for(c, job);
}

/* The body's next piece is read. */
static enum http_sent read_on(struct http_conn *c)
{
	struct http_job *job = http_job_new(c->loop, c->conn, HTTP_JOB_READ);

	if (!job)
		return HTTP_SENT_FAILED;
	job->entry = file_entry_ref(c->flight->entry);
	job->place = c->flight->entry->place;
	job->body = c->flight->body;
	c->flight->body = NULL;
	return wait_for(c, job);
}

/* What its size is by now only a call could tell that may wait for its file system. */
static void say_ended(struct http_conn *c, uint64_t at)
{
	const struct file_entry *entry = c->flight->entry;

	log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
		    "%s: file ended at %llu while it was being sent, expected %llu: connection "
		    "closed",
		    entry->path.ptr, (unsigned long long)at, (unsigned long long)entry->id.size);
}

bool http_flight_resume(struct http_conn *c, struct http_job *job)
{
	bool loaded = job->kind != HTTP_JOB_PIECE;

	if (job->error == 0 && job->kind == HTTP_JOB_PIECE) {
		job->error = add_piece(c, job->list);
		job->list = NULL;
	}
	if (job->error == 0 && job->kind == HTTP_JOB_READ) {
		job->error = add_read(c, job->body);
		job->body = NULL;
	}
	if (job->error == 0)
		return true;
	if (job->error == -ENODATA) {
		http_count(&c->loop->counters.truncated, 1);
		say_ended(c, job->body ? job->body->at : 0);
		return false;
	}
	log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_ERROR,
		    "%s: can't be read: %s: connection closed",
		    loaded ? job->entry->path.ptr : job->path, strerror(-job->error));
	return false;
}

static enum http_sent chain_failed(struct http_conn *c, int error)
{
	struct http_flight *flight = c->flight;
	struct stat st;
	bool shrank;

	if (error == -EPIPE || error == -ECONNRESET)
		return HTTP_SENT_FAILED;
	/* A file can end early all the same: file systems over a network give what they have, and
	 * one that shrank may have grown again. */
	shrank = error == -ENODATA && flight->entry && sys_fstat(flight->entry->fd, &st) == 0 &&
		 (uint64_t)st.st_size < flight->entry->id.size;
	if (error == -ENODATA && flight->entry)
		http_count(&c->loop->counters.truncated, 1);
	if (shrank) {
		log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
			    "%s: file shrank while it was being sent, from %llu to %llu bytes: "
			    "connection closed",
			    flight->entry->path.ptr, (unsigned long long)flight->entry->id.size,
			    (unsigned long long)st.st_size);
	} else {
		log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
			    "%s: %s: connection closed",
			    flight->entry ? flight->entry->path.ptr : "listing",
			    flight->chain.error_text);
	}
	return HTTP_SENT_FAILED;
}

static enum http_sent send_chain(struct http_conn *c)
{
	struct http_flight *flight = c->flight;
	uint64_t before = leat_chain_pending(&flight->chain), moved;
	int step;

	if (c->loop->turn_left == 0) {
		conn_again(c->conn);
		return HTTP_SENT_SOME;
	}
	step = leat_chain_step(&flight->chain, c->loop->turn_left);
	if (step < 0)
		return chain_failed(c, step);
	moved = before - leat_chain_pending(&flight->chain);
	use_turn(c, moved);
	switch ((enum leat_step)step) {
	case LEAT_DONE:
		if (flight->reading)
			return read_on(c);
		return flight->listing ? next_piece(c) : HTTP_SENT_ALL;
	case LEAT_WANT_LOAD:
		return load(c);
	case LEAT_MORE:
		conn_again(c->conn);
		break;
	case LEAT_WANT_READ:
	case LEAT_WANT_WRITE:
	case LEAT_WANT_COMPLETION:
		break;
	}
	return wait_writable(c, moved > 0);
}

enum http_sent http_send(struct http_conn *c)
{
	enum http_sent sent;

	if (c->job && c->job->kind != HTTP_JOB_FILE && c->job->kind != HTTP_JOB_LISTING)
		return HTTP_SENT_SOME;
	if (c->flight->chained) {
		sent = send_chain(c);
		c->reference_column = (int8_t)c->flight->chain.reference_column;
	} else {
		sent = send_buffer(c);
	}
	if (sent == HTTP_SENT_ALL)
		http_flight_free(c);
	return sent;
}
