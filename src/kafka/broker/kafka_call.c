#include "kafka/broker/kafka_call.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/broker/kafka_conn.h"
#include "kafka/broker/kafka_log.h"
#include "sys/sys.h"

struct kafka_call *call_new(struct kafka_loop *home, struct conn *conn,
			    const struct kafka_request_header *header, struct slice body)
{
	struct kafka_call *call = spare_take(&home->calls);

	if (!call)
		return NULL;
	memset(call, 0, offsetof(struct kafka_call, chain));
	call->server = home->server;
	call->home = home;
	call->conn = conn_ref(conn);
	call->listener = conn_arg(conn);
	call->header = *header;
	call->body = body;
	call->work = &home->work;
	arena_reset(&home->work);
	return call;
}

static void free_chunks(struct kafka_call *call)
{
	if (call->chunks_bytes > KAFKA_WORK_BYTES)
		atomic_fetch_add(&call->server->freed_bytes, call->chunks_bytes);
	while (call->chunks) {
		struct call_chunk *chunk = call->chunks;

		call->chunks = chunk->next;
		free(chunk);
	}
	call->chunks_bytes = 0;
	call->own_work = (struct arena){0};
}

void call_free(struct kafka_call *call)
{
	if (call->chained)
		chain_fini(&call->chain);
	if (call->release_state)
		call->release_state(call);
	if (call->free_bytes)
		free(call->bytes);
	atomic_fetch_sub(&call->server->answers_bytes, call->answer_reserved);
	if (call->answer_reserved > 0)
		atomic_fetch_add(&call->server->freed_bytes, call->answer_reserved);
	kafka_request_give(call->home, call->body_copy, call->body_size);
	free(call->client_copy);
	kafka_requests_give(call->server, call->reserved);
	free_chunks(call);
	spare_give(&call->home->calls, call);
}

/* ---- reading and answering ---- */

/* More memory, of the call's own: for what is large or made elsewhere. */
static bool widen(struct kafka_call *call, size_t size)
{
	struct call_chunk *chunk;

	size = size < KAFKA_CHUNK_BYTES ? KAFKA_CHUNK_BYTES : size;
	if (size > KAFKA_WORK_BYTES_MAX - call->chunks_bytes)
		return false;
	/* Touched only as far as it is used. */
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return false;
	chunk->next = call->chunks;
	call->chunks = chunk;
	call->chunks_bytes += size;
	call->own_work = arena_over(chunk->memory, size);
	call->work = &call->own_work;
	return true;
}

void *call_take(struct kafka_call *call, size_t count, size_t size)
{
	void *memory = arena_take_array(call->work, count, size);

	/* Rounded up. */
	if (!memory && count <= KAFKA_WORK_BYTES_MAX / size &&
	    widen(call, count * size + ARENA_ALIGN))
		memory = arena_take_array(call->work, count, size);
	if (memory)
		memset(memory, 0, count * size);
	return memory;
}

struct slice call_keep(struct kafka_call *call, struct slice s)
{
	char *memory = call_take(call, s.len + 1, 1);

	if (memory && s.len)
		memcpy(memory, s.ptr, s.len);
	return slice_make(memory, s.len);
}

const char *call_printf(struct kafka_call *call, const char *format, ...)
{
	char text[CALL_TEXT_MAX + 1], *memory;
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* No half of a character at the end. */
	if (len > CALL_TEXT_MAX) {
		for (len = CALL_TEXT_MAX; len > 0 && (text[len - 1] & 0xc0) == 0x80; len--)
			;
		text[len > 0 && (text[len - 1] & 0x80) ? len - 1 : len] = '\0';
	}
	memory = call_take(call, strlen(text) + 1, 1);
	if (memory)
		strcpy(memory, text);
	return memory;
}

struct slice call_error_text(enum kafka_error error, const char *text)
{
	if (text)
		return slice_of(text);
	return error == KAFKA_NONE ? slice_make(NULL, 0) : slice_of(kafka_error_info(error)->text);
}

void call_renew_work(struct kafka_call *call)
{
	free_chunks(call);
	call->work = call->apart ? &call->own_work : &call->home->work;
	if (!call->apart)
		arena_reset(call->work);
}

/* By whichever thread has the call: the most elements that were handled without a look. */
static void count_elements(struct kafka_call *call, size_t elements)
{
	_Atomic uint64_t *most =
	    call->may_block ? &call->server->step_elements : &call->server->turn_elements;
	uint64_t before = atomic_load_explicit(most, memory_order_relaxed);

	while (elements > before && !atomic_compare_exchange_weak(most, &before, elements))
		;
}

bool call_work(struct kafka_call *call, size_t elements)
{
	call->elements += elements;
	if (call->may_block) {
		if (call->elements < KAFKA_ELEMENTS_A_STEP)
			return true;
		count_elements(call, call->elements);
		call->elements = 0;
		return !call_is_cancelled(call);
	}
	if (call->elements > KAFKA_ELEMENTS_ON_LOOP) {
		call->heavy = true;
		return false;
	}
	count_elements(call, call->elements);
	return true;
}

enum handled call_unless_heavy(struct kafka_call *call, enum handled handled)
{
	bool ended = handled == CALL_CLOSES || handled == CALL_ENDS;

	/* What goes to a helper before it is read is judged by its size. */
	if (handled == CALL_BLOCKS && !call->blocking && !call->is_change &&
	    call->body.len > KAFKA_HEAVY_BYTES)
		call->heavy = true;
	if (!call->heavy || call->may_block || (!ended && handled != CALL_BLOCKS))
		return handled;
	call->is_long = true;
	return CALL_BLOCKS;
}

/* Not malformed, and yet no answer. */
static void refuse_elements(void)
{
	log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
		    "a request with more than %u elements in its arrays: connection closed",
		    KAFKA_ELEMENTS_MAX);
}

bool call_decode_most(struct kafka_call *call, void *ret, size_t on_loop)
{
	const struct kafka_message *message = call->header.api->request;
	/* Untouched memory costs nothing, so the request is read at most twice. */
	size_t most = min_size(call->body.len * KAFKA_WORK_FACTOR, KAFKA_WORK_BYTES_MAX / 2);
	size_t limit = call->may_block ? KAFKA_ELEMENTS_MAX : on_loop, elements = 0;
	int r = -ENOBUFS;

	if (call->apart)
		call_renew_work(call);
	for (int tries = 0; tries < 2 && r == -ENOBUFS; tries++) {
		struct slice body = call->body;

		if (tries > 0 && !widen(call, most))
			return false;
		elements = limit;
		r = kafka_decode_bounded(message, call->header.version, &body, call->work, ret,
					 &elements);
		/* Bytes behind the request are not looked at, as by Kafka. */
	}
	if (r == -E2BIG && call->may_block)
		refuse_elements();
	else if (r == -E2BIG)
		call->heavy = true;
	if (r < 0)
		return false;
	call->elements = call->may_block ? 0 : elements + 1;
	if (!call->may_block)
		count_elements(call, call->elements);
	return true;
}

bool call_decode(struct kafka_call *call, void *ret)
{
	return call_decode_most(call, ret, KAFKA_ELEMENTS_ON_LOOP);
}

static int encode(struct kafka_call *call, const void *response, struct kafka_writer *writer)
{
	kafka_response_begin(writer, &call->header);
	kafka_encode(call->header.api->response, call->header.answer, response, writer);
	return kafka_frame_end(writer);
}

/* Any thread. NULL: there is no memory, or clients that don't read have it. */
static char *take_answer(struct kafka_call *call)
{
	_Atomic uint64_t *used = &call->server->answers_bytes;

	if (call->len > KAFKA_OUT_BYTES) {
		call->answer_reserved = call->len;
		if (atomic_fetch_add(used, call->len) + call->len > KAFKA_ANSWERS_BYTES) {
			log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
				    "too many large answers wait for their clients: connection "
				    "closed");
			return NULL;
		}
	}
	return malloc(call->len);
}

/* The store says what has failed, this which client has noticed. */
static void log_storage_error(const struct kafka_call *call)
{
	struct client_text client;

	log_limited(sys_now_ns(), LOG_LEVEL_ERROR, "%s: %s is answered with KAFKA_STORAGE_ERROR",
		    log_client(call, &client), call->header.api->name);
}

/* In the loop's buffer, from which it leaves with others. Not behind an answer that the socket has not
 * taken yet: that one waits in memory of its own, and what follows it too. */
static bool answers_in_place(const struct kafka_call *call, unsigned gaps_size)
{
	const struct conn *conn = call->apart || gaps_size > 0 ? NULL : conn_deref(call->conn);

	return conn && !((struct kafka_conn *)conn_data((struct conn *)conn))->flight;
}

enum handled call_answer_ranges(struct kafka_call *call, const void *response,
				struct kafka_gap *gaps, unsigned gaps_size)
{
	struct kafka_loop *loop = call->home;
	struct kafka_writer writer = {
	    .gaps = gaps,
	    .gaps_size = gaps_size,
	    .errors = count_errors(call),
	};
	uint64_t failures = kafka_error_counted(writer.errors, KAFKA_KAFKA_STORAGE_ERROR);
	bool in_place = answers_in_place(call, gaps_size);

	if (in_place) {
		writer.ptr = loop->out + loop->out_len;
		writer.size = sizeof(loop->out) - loop->out_len;
	}
	if (encode(call, response, &writer) < 0)
		return CALL_ENDS;
	if (unlikely(kafka_error_counted(writer.errors, KAFKA_KAFKA_STORAGE_ERROR) != failures))
		log_storage_error(call);
	CHECK(writer.gaps_count <= gaps_size);
	call->bytes = writer.ptr;
	call->len = writer.len;
	if (in_place && kafka_writer_fits(&writer))
		return CALL_ANSWERED;
	call->own_bytes = true;
	call->free_bytes = call->len > call->room_size;
	call->bytes = call->free_bytes ? take_answer(call) : call->room;
	if (!call->bytes)
		return CALL_ENDS;
	writer = (struct kafka_writer){.ptr = call->bytes,
				       .size = call->len,
				       .gaps = gaps,
				       .gaps_size = gaps_size};
	CHECK(encode(call, response, &writer) == 0 && kafka_writer_fits(&writer));
	return CALL_ANSWERED;
}

enum handled call_answer(struct kafka_call *call, const void *response)
{
	return call_answer_ranges(call, response, NULL, 0);
}

enum kafka_error call_partition_ends(struct partition *partition, int32_t epoch,
				     struct partition_ends *ret)
{
	enum kafka_error error;

	*ret = (struct partition_ends){-1, -1, -1, -1, -1, -1};
	if (!partition)
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	error = partition_ends(partition, ret);
	if (error != KAFKA_NONE || epoch < 0 || epoch == ret->leader_epoch)
		return error;
	return epoch < ret->leader_epoch ? KAFKA_FENCED_LEADER_EPOCH : KAFKA_UNKNOWN_LEADER_EPOCH;
}

enum kafka_error call_check_place(struct kafka_call *call, const int32_t *nodes, int32_t count,
				  const char **ret_text)
{
	int32_t here = store_node_id(call->server->store);
	const char *text = NULL;

	if (count == 0)
		text = "a partition has a replica";
	for (int32_t i = 0; i < count && !text; i++)
		if (nodes[i] != here)
			text = call_printf(call, "there is no broker %d", nodes[i]);
		else if (i > 0)
			text = call_printf(call, "broker %d is named twice for a partition", here);
	if (!text)
		return KAFKA_NONE;
	*ret_text = text;
	return KAFKA_INVALID_REPLICA_ASSIGNMENT;
}

uint64_t call_now_ms(const struct kafka_call *call)
{
	return sys_now_coarse_ns() / 1000000;
}

int64_t call_wall_ms(void)
{
	return sys_wall_ms();
}

struct slice call_client_host(struct kafka_call *call)
{
	struct conn *conn = conn_deref(call->conn);
	const struct sockaddr_storage *peer = conn ? conn_peer(conn) : NULL;
	char text[INET6_ADDRSTRLEN] = "";
	char *memory = call_take(call, 1, sizeof(text) + 1);

	if (!memory)
		return slice_of("/");
	if (peer && peer->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, text,
			  sizeof(text));
	else if (peer && peer->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, text,
			  sizeof(text));
	snprintf(memory, sizeof(text) + 1, "/%s", text);
	return slice_of(memory);
}

/* ---- elsewhere, and later ---- */

static void run_on_helper(struct job *job)
{
	struct kafka_call *call = container_of(job, struct kafka_call, job);
	enum handled (*run)(struct kafka_call *) =
	    call->blocking ? call->blocking : kafka_handler(call->header.api->key);

	/* It may have waited long for its turn. */
	call->handled =
	    (call->is_change || call->heavy) && call_is_cancelled(call) ? CALL_ENDS : run(call);
	CHECK(call->handled != CALL_BLOCKS && call->handled != CALL_WAITS);
}

static int submit_call(struct kafka_call *call)
{
	struct loop *loop = call->home->loop;

	if (call->is_change) {
		call->job.what = "a change of topics";
		return helpers_submit_serial(loop, &call->job);
	}
	return call->is_long ? helpers_submit_bulk(loop, &call->job)
			     : helpers_submit(loop, &call->job);
}

/* Its client is there, as far as that can be seen. */
static bool is_awaited(const struct kafka_call *call)
{
	struct conn *conn = conn_deref(call->conn);

	return conn && !((struct kafka_conn *)conn_data(conn))->ended;
}

static void helper_done(struct job *job)
{
	struct kafka_call *call = container_of(job, struct kafka_call, job);
	enum handled handled;

	if (call->handled == CALL_CONTINUES) {
		call->ending = loop_is_draining(call->home->loop);
		call->handled = CALL_ENDS;
		if (is_awaited(call) && submit_call(call) == 0)
			return;
	}
	call->blocks = false;
	handled = call->handled;
	if (call->resume) {
		call->apart = call->may_block = false;
		call_renew_work(call);
		/* Not to call->handled: what waits in there may have been answered by another
		 * thread before this returns, and that stands there. */
		handled = call->resume(call);
		count_handled(call); /* its connection may be gone */
	}
	call_answered(call, handled);
}

/* The request's bytes go when the connection's turn is over; unless they have a buffer of their own
 * there, with nothing behind them. */
bool call_keep_body(struct kafka_call *call)
{
	struct conn *conn = conn_deref(call->conn);

	if (call->body_copy)
		return true;
	if (conn)
		call->body_copy =
		    kafka_conn_give(conn_data(conn), call->body, &call->body_size, &call->reserved);
	if (call->body_copy)
		return true;
	call->body_size = call->body.len + 1;
	if (!kafka_requests_take(call->server, call->body_size, true))
		return false;
	call->reserved = call->body_size;
	call->body_copy = kafka_request_take(call->home, call->body_size);
	if (!call->body_copy)
		return false;
	memcpy(call->body_copy, call->body.ptr, call->body.len);
	call->body.ptr = call->body_copy;
	if (call->header.client_id.ptr) {
		call->client_copy = malloc(call->header.client_id.len + 1);
		if (!call->client_copy)
			return false;
		memcpy(call->client_copy, call->header.client_id.ptr, call->header.client_id.len);
		call->header.client_id.ptr = call->client_copy;
	}
	return true;
}

void call_note_client(struct kafka_call *call)
{
	const struct slice id = call->header.client_id;

	if (call->client_noted)
		return;
	call->client_noted = true;
	call->client_shown_len = id.ptr ? min_size(id.len, CLIENT_ID_SHOWN) : 0;
	if (call->client_shown_len > 0)
		memcpy(call->client_shown, id.ptr, call->client_shown_len);
}

enum handled call_change(struct kafka_call *call)
{
	call->is_change = true;
	return CALL_BLOCKS;
}

enum handled call_in_steps(struct kafka_call *call, enum handled (*step)(struct kafka_call *call),
			   void *state)
{
	CHECK(call->may_block && call->is_change);
	call->blocking = step;
	call->state = state;
	return step(call);
}

void call_drop_body(struct kafka_call *call)
{
	kafka_request_give(call->home, call->body_copy, call->body_size);
	call->body_copy = NULL;
	call->body = slice_make(NULL, 0);
	kafka_requests_give(call->server, call->reserved);
	call->reserved = 0;
}

int call_to_helper(struct kafka_call *call)
{
	struct conn *conn;

	call_note_client(call);
	if (!call->blocking && !call_keep_body(call))
		return -ENOMEM;
	conn = conn_deref(call->conn);
	call->peer = conn ? *conn_peer(conn) : (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	call->elements = 0;
	call->may_block = true;
	call->blocks = call->apart = true;
	call->job.run = run_on_helper;
	call->job.done = helper_done;
	return submit_call(call);
}

void call_answered(struct kafka_call *call, enum handled handled)
{
	struct conn *conn = conn_deref(call->conn);
	struct kafka_conn *c = conn ? conn_data(conn) : NULL;

	if (!c) {
		call_free(call);
		return;
	}
	CHECK(c->call == call);
	c->call = NULL;
	count_woken(call);
	kafka_conn_answered(c, call, handled);
}
