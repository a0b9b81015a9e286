#include "admin/admin.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "admin/admin_limits.h"
#include "admin/admin_process.h"
#include "admin/admin_totals.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "engine/engine.h"
#include "http/core/authority.h"
#include "http/core/request.h"
#include "http/core/response.h"
#include "reactor/reactor.h"
#include "stream/stream.h"

struct admin {
	struct reactor *reactor; /* its own */
	const struct reactor *serving;
	struct admin_process process;
	struct admin_source sources[ADMIN_SOURCES_MAX];
	unsigned source_count;
	const char *const *hosts; /* names that are answered to */
	unsigned host_count;
	bool started;
	pthread_t thread;
	struct leat_engine engine; /* its loop's; what it sends is nobody's figure */
	struct stream_loop home;
	/* Its reactor listens, or can't: then start_error and start_text say why. */
	sem_t decided;
	bool listens;
	int start_error;
	struct err start_text;
};

/* ---- what there is to be read ---- */

static void write_totals(const struct admin *admin, struct buf *out)
{
	struct engine_account engines = {0};
	struct reactor_stats stats;

	for (unsigned i = 0; i < admin->source_count; i++)
		admin->sources[i].engines(admin->sources[i].arg, &engines);
	reactor_stats(admin->serving, &stats);
	admin_totals_metrics(&engines, &stats, out);
}

static void write_metrics(const struct admin *admin, struct buf *out)
{
	admin_process_metrics(&admin->process, out);
	write_totals(admin, out);
	for (unsigned i = 0; i < admin->source_count; i++)
		admin->sources[i].metrics(admin->sources[i].arg, out);
}

static void write_status(const struct admin *admin, struct buf *out)
{
	json_open(out, NULL);
	admin_process_status(&admin->process, out);
	for (unsigned i = 0; i < admin->source_count; i++) {
		json_open(out, admin->sources[i].name);
		admin->sources[i].status(admin->sources[i].arg, out);
		json_close(out);
	}
	json_close(out);
	buf_add_char(out, '\n');
}

static void write_health(const struct admin *admin, struct buf *out)
{
	uint64_t turn_ms = reactor_turn_ms(admin->serving);

	if (turn_ms >= ADMIN_TURN_MS) {
		buf_add_literal(out, "a thread that serves has not come round for ");
		buf_add_u64(out, turn_ms / 1000);
		buf_add_literal(out, " s\n");
	}
	for (unsigned i = 0; i < admin->source_count; i++)
		if (admin->sources[i].trouble)
			admin->sources[i].trouble(admin->sources[i].arg, out);
	if (out->len == 0)
		buf_add_literal(out, "ok\n");
}

static int health_status(struct slice page)
{
	return slice_eq(page, SLICE_LITERAL("ok\n")) ? 200 : 503;
}

static int always_well(struct slice page)
{
	(void)page;
	return 200;
}

static void write_index(const struct admin *admin, struct buf *out)
{
	buf_add_literal(
	    out, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
		 "<meta name=\"color-scheme\" content=\"light dark\">\n"
		 "<title>leat</title>\n<h1>leat</h1>\n<ul>\n"
		 "<li><a href=\"/metrics\">/metrics</a>: for Prometheus\n"
		 "<li><a href=\"/status\">/status</a>: the same, short, as JSON\n"
		 "<li><a href=\"/healthz\">/healthz</a>: says ok, or what is wrong\n</ul>\n");
}

static const struct page {
	struct slice path;
	struct slice type;
	void (*write)(const struct admin *admin, struct buf *out);
	int (*status)(struct slice page);
} pages[] = {
    {{"/metrics", 8}, {METRICS_TYPE, sizeof(METRICS_TYPE) - 1}, write_metrics, always_well},
    {{"/status", 7}, {"application/json", 16}, write_status, always_well},
    {{"/healthz", 8}, {"text/plain; charset=utf-8", 25}, write_health, health_status},
    {{"/", 1}, {"text/html; charset=utf-8", 24}, write_index, always_well},
};

static const struct page *find_page(struct slice path)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (slice_eq(pages[i].path, path))
			return &pages[i];
	return NULL;
}

/* ---- a connection: one request, one answer, and again ---- */

struct admin_conn {
	struct stream *stream;
	struct admin *admin;
	struct http_scan scan;
	size_t in_len;
	char *out; /* an answer that is being made: out_at to out_end */
	size_t out_at, out_end;
	bool sends, closes; /* an answer is on its way; it is the last */
	char in[ADMIN_REQUEST_BYTES];
};

/* Header blocks are shorter; room for one stands before each body. */
#define HEAD_ROOM 1024u

static void date_now(struct loop *loop, char date[HTTP_DATE_LEN])
{
	http_date_format(loop_wall(loop), date);
}

/* The page behind HEAD_ROOM bytes. NULL: no memory, or larger than anything can be. */
static char *render(const struct admin *admin, const struct page *page, size_t *ret_len)
{
	for (size_t size = 64 * 1024; size <= ADMIN_PAGE_BYTES_MAX; size *= 2) {
		char *memory = malloc(HEAD_ROOM + size);
		struct buf buf;

		if (!memory)
			return NULL;
		buf = buf_over(memory + HEAD_ROOM, size);
		page->write(admin, &buf);
		if (!buf.overflow) {
			*ret_len = buf.len;
			return memory;
		}
		free(memory);
	}
	return NULL;
}

static void put_head(struct admin_conn *c, const struct page *page, struct slice body,
		     enum http_connection connection)
{
	char block[HEAD_ROOM], emitted[HEAD_ROOM], date[HTTP_DATE_LEN];
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, page->status(body));
	http_put_header(&w, SLICE_LITERAL("Content-Type"), page->type);
	http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), body.len);
	http_put_literal(&w, "Cache-Control: no-store\r\n");
	http_head_end(&head, &w);
	http_writer_init(&w, emitted, sizeof(emitted));
	date_now(c->stream->home->loop, date);
	http_head_emit(&head, block, date, connection, slice_make(NULL, 0), &w);
	CHECK(!w.cut);
	c->out_at = HEAD_ROOM - http_written(&w);
	memcpy(c->out + c->out_at, emitted, http_written(&w));
}

/* False: no memory. */
static bool answer_page(struct admin_conn *c, const struct page *page, bool head_only,
			enum http_connection connection)
{
	size_t len;

	c->out = render(c->admin, page, &len);
	if (!c->out)
		return false;
	put_head(c, page, slice_make(c->out + HEAD_ROOM, len), connection);
	c->out_end = HEAD_ROOM + (head_only ? 0 : len);
	return true;
}

static bool answer_error(struct admin_conn *c, int status, struct slice detail, bool with_body,
			 enum http_connection connection)
{
	const struct http_error error = {
	    .status = status,
	    .detail = detail,
	    .extra = status == 405 ? SLICE_LITERAL("Allow: GET, HEAD\r\n") : slice_make(NULL, 0),
	    .with_body = with_body,
	    .connection = connection,
	};
	char date[HTTP_DATE_LEN];
	struct http_writer w;

	c->out = malloc(4 * HEAD_ROOM);
	if (!c->out)
		return false;
	http_writer_init(&w, c->out, 4 * HEAD_ROOM);
	date_now(c->stream->home->loop, date);
	http_put_error(&w, &error, date);
	CHECK(!w.cut);
	c->out_at = 0;
	c->out_end = http_written(&w);
	return true;
}

/* ---- whom it answers to ---- */

/* A dot at the end names the same host. */
static struct slice without_root(struct slice name)
{
	if (name.len > 1 && name.ptr[name.len - 1] == '.')
		name.len--;
	return name;
}

static bool is_known_host(const struct admin *admin, struct slice host)
{
	struct http_authority authority;
	struct slice name;

	if (!http_authority_parse(host, &authority))
		return false;
	if (http_authority_is_address(&authority))
		return true;
	name = without_root(authority.host);
	for (unsigned i = 0; i < admin->host_count; i++)
		if (slice_eq_nocase(name, without_root(slice_of(admin->hosts[i]))))
			return true;
	return slice_eq_nocase(name, SLICE_LITERAL("localhost"));
}

/* No browser is without a Host. */
static bool is_for_us(const struct admin_conn *c, const struct http_request *request)
{
	return request->host.len == 0 || c->stream->unix_socket ||
	       is_known_host(c->admin, request->host);
}

static bool answer(struct admin_conn *c, const struct http_request *request)
{
	const struct page *page = find_page(request->path);
	bool keep = request->keep_alive && request->framing == HTTP_BODY_NONE;
	enum http_connection connection = http_connection_of(request, keep);
	bool head_only = request->method == HTTP_HEAD;

	c->closes = !keep;
	if (!is_for_us(c, request))
		return answer_error(c, 421,
				    SLICE_LITERAL(
					"This is not a name of the admin listener: ask by "
					"address, or start with --admin-host NAME."),
				    !head_only, connection);
	if (request->method != HTTP_GET && !head_only)
		return answer_error(c, 405, slice_make(NULL, 0), true, connection);
	if (!page)
		return answer_error(c, 404, SLICE_LITERAL("There are /metrics, /status, /healthz."),
				    !head_only, connection);
	return answer_page(c, page, head_only, connection);
}

/* The answer is the stream's. */
static enum stream_turn admin_send(struct admin_conn *c)
{
	char *out = c->out;

	c->out = NULL;
	if (stream_add_memory(c->stream, out + c->out_at, c->out_end - c->out_at, free, out) < 0) {
		free(out);
		return STREAM_CLOSES;
	}
	c->sends = true;
	return STREAM_GOES_ON;
}

static enum stream_turn admin_receive(struct admin_conn *c)
{
	ssize_t n = stream_recv(c->stream, c->in + c->in_len, sizeof(c->in) - c->in_len);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	if (c->in_len == 0)
		stream_deadline(c->stream, ADMIN_REQUEST_MS);
	c->in_len += (size_t)n;
	return STREAM_GOES_ON;
}

static bool answer_bad(struct admin_conn *c, int status, const char *reason)
{
	c->closes = true;
	return answer_error(c, status, reason ? slice_of(reason) : slice_make(NULL, 0), true,
			    HTTP_CLOSE);
}

static enum stream_turn admin_take_request(struct admin_conn *c)
{
	struct http_request request;
	enum http_parse parse = http_parse_request(&c->scan, c->in, c->in_len, &request);
	bool answered;

	if (parse == HTTP_PARSE_MORE && c->in_len < sizeof(c->in))
		return admin_receive(c);
	if (parse == HTTP_PARSE_OK) {
		answered = answer(c, &request);
		c->in_len -= request.length;
		memmove(c->in, c->in + request.length, c->in_len);
	} else if (parse == HTTP_PARSE_MORE) {
		answered = answer_bad(c, 431, "the request is too long");
	} else {
		answered = answer_bad(c, request.status, request.reason);
	}
	return answered ? admin_send(c) : STREAM_CLOSES;
}

/* ---- the stream's calls ---- */

static int admin_opened(struct stream *stream)
{
	struct admin_conn *c = stream_data(stream);

	c->stream = stream;
	c->admin = stream->arg;
	/* A page has its time as a whole: a client that takes a byte now and then holds a place of
	 * few. */
	stream->whole_deadline = true;
	stream_deadline(stream, ADMIN_REQUEST_MS);
	return 0;
}

static enum stream_turn admin_step(struct stream *stream)
{
	struct admin_conn *c = stream_data(stream);

	if (c->sends) {
		c->sends = false;
		stream_deadline(stream, ADMIN_IDLE_MS);
		if (c->closes)
			return STREAM_CLOSES;
	}
	return admin_take_request(c);
}

static struct stream_loop *admin_home(void *arg, struct loop *loop)
{
	struct admin *admin = arg;

	return &admin->home;
}

static const struct stream_ops admin_ops = {
    .conn = STREAM_CONN_OPS(sizeof(struct admin_conn)),
    .home = admin_home,
    .open = admin_opened,
    .step = admin_step,
};

static int admin_loop_open(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	struct admin *admin = arg;

	engine_init(&admin->engine);
	stream_loop_init(&admin->home, loop, &admin->engine, ADMIN_REQUEST_MS);
	*ret_data = admin;
	return 0;
}

static void admin_loop_close(struct loop *loop, void *data)
{
	struct admin *admin = data;

	stream_loop_fini(&admin->home);
	engine_fini(&admin->engine);
}

/* ---- life ---- */

static int say_listening(void *arg, struct err *err)
{
	struct admin *admin = arg;

	admin->listens = true;
	sem_post(&admin->decided);
	return 0;
}

static int listen_at(struct admin *admin, const char *where, struct err *err)
{
	const struct reactor_options options = {
	    .threads = 1,
	    .helpers = 1,
	    .connections_max = ADMIN_CONNECTIONS_MAX,
	    .no_signals = true,
	    .last_descriptors = true,
	    .loop_open = admin_loop_open,
	    .loop_close = admin_loop_close,
	    .ready = say_listening,
	    .arg = admin,
	};
	const struct listener_options listener = {.ops = &admin_ops.conn,
						  .arg = admin,
						  .backlog = 64};
	int r = reactor_new(&options, &admin->reactor, err);

	return r < 0 ? r : reactor_listen(admin->reactor, where, &listener, err);
}

int admin_new(const char *where, const struct reactor *serving, struct admin **ret, struct err *err)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int r;

	if (!admin)
		return err_set(err, -ENOMEM, "out of memory");
	admin->serving = serving;
	sem_init(&admin->decided, 0, 0);
	admin_process_open(&admin->process);
	r = listen_at(admin, where, err);
	if (r < 0) {
		admin_free(admin);
		return r;
	}
	*ret = admin;
	return 0;
}

void admin_add(struct admin *admin, const struct admin_source *source)
{
	CHECK(admin->source_count < ADMIN_SOURCES_MAX && !admin->started);
	admin->sources[admin->source_count++] = *source;
}

int admin_allow_hosts(struct admin *admin, const char *const *names, unsigned count,
		      struct err *err)
{
	struct http_authority authority;

	CHECK(!admin->started);
	for (unsigned i = 0; i < count; i++)
		if (!http_authority_parse(slice_of(names[i]), &authority) ||
		    authority.host.len != strlen(names[i]))
			return err_set(
			    err, -EINVAL,
			    "--admin-host '%s': it is the name of a host, without a port",
			    names[i]);
	admin->hosts = names;
	admin->host_count = count;
	return 0;
}

static void *admin_main(void *arg)
{
	struct admin *admin = arg;
	struct err err = {""};
	int r;

	pthread_setname_np(pthread_self(), "leat-admin");
	r = reactor_run(admin->reactor, &err);
	if (!admin->listens) {
		admin->start_error = r;
		admin->start_text = err;
		sem_post(&admin->decided);
	} else if (r < 0) {
		log_error("the admin listener ends: %s", err.text);
	}
	return NULL;
}

int admin_start(struct admin *admin, struct err *err)
{
	sigset_t all, before;
	int error;

	/* Signals are for the reactor that serves. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&admin->thread, NULL, admin_main, admin);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return err_set(err, -error, "can't start a thread: %s", strerror(error));
	admin->started = true;
	while (sem_wait(&admin->decided) < 0)
		;
	return admin->listens ? 0 : err_set(err, admin->start_error, "%s", admin->start_text.text);
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	if (admin->started) {
		reactor_stop(admin->reactor);
		pthread_join(admin->thread, NULL);
	}
	reactor_free(admin->reactor);
	sem_destroy(&admin->decided);
	admin_process_close(&admin->process);
	free(admin);
}

int admin_address(const struct admin *admin, char *buf, size_t len)
{
	return reactor_listener_name(admin->reactor, 0, buf, len);
}
