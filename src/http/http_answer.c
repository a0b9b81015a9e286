/*
 * From a request to its answer in the flight: which file, which status, which bytes.
 *
 * Each attempt writes behind what the flight holds already, and only a whole answer moves the
 * flight's end: an attempt that has no room, or has to wait for a helper, leaves no trace.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/core/accept.h"
#include "http/core/conditional.h"
#include "http/core/path.h"
#include "http/core/range.h"
#include "http/http_send.h"
#include "sys/sys.h"

#define ALLOW "Allow: GET, HEAD, OPTIONS\r\n"

/* A body is copied behind its header up to this size, and sent from the cache by the same sendmsg
 * above it. */
#define COPY_BODY_MAX (HTTP_OUT_BYTES - HTTP_HEADER_BYTES)

struct answer {
	struct http_conn *c;
	const struct http_request *request;
	struct http_flight *flight;
	struct http_writer w;
	enum http_connection connection;
	const char *date;
	bool keep;
	bool head; /* HEAD: no body */
};

/* ---- beginning and end ---- */

static bool begin(struct answer *a, struct http_conn *c, const struct http_request *request)
{
	struct http_flight *flight = http_conn_flight(c);

	if (!flight)
		return false;
	*a = (struct answer){
	    .c = c,
	    .request = request,
	    .flight = flight,
	    .date = http_loop_date(c->loop),
	    .connection = HTTP_CLOSE,
	};
	http_writer_init(&a->w, flight->out + flight->len, sizeof(flight->out) - flight->len);
	if (request) {
		a->keep = request->keep_alive && !c->draining && !c->body_left;
		a->connection = http_connection_of(request, a->keep);
		a->head = request->method == HTTP_HEAD;
	}
	return true;
}

static enum http_answered no_room(struct answer *a)
{
	/* What does not fit into the empty buffer never will: our buffers are wrong. */
	CHECK(a->flight->len > 0);
	return HTTP_NO_ROOM;
}

static void count(struct answer *a, int status)
{
	http_count(&a->c->loop->counters.requests, 1);
	http_count(&a->c->loop->counters.status[status], 1);
}

/* The header, or all of the answer, is written. */
static enum http_answered commit(struct answer *a, int status)
{
	struct http_conn *c = a->c;

	if (a->w.cut)
		return no_room(a);
	a->flight->len += http_written(&a->w);
	if (!a->keep)
		c->ending = c->body_left || !a->request ? HTTP_LINGERS : HTTP_CLOSES;
	count(a, status);
	return HTTP_ANSWERED;
}

/* ---- small answers ---- */

static enum http_answered put_error(struct answer *a, int status, struct slice detail,
				    struct slice extra)
{
	const struct http_error error = {
	    .status = status,
	    .detail = detail,
	    .extra = extra,
	    .with_body = !a->head,
	    .connection = a->connection,
	};

	http_put_error(&a->w, &error, a->date);
	return commit(a, status);
}

static enum http_answered put_status(struct answer *a, int status)
{
	return put_error(a, status, slice_make(NULL, 0), slice_make(NULL, 0));
}

/* Says why there is no file. */
static enum http_answered put_errno(struct answer *a, int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -ELOOP:
	case -EXDEV: /* out of the root: nobody is told that there is something */
		return put_status(a, 404);
	case -EACCES:
	case -EPERM:
	case -ENXIO:
		return put_status(a, 403);
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -EAGAIN:
		return put_status(a, 503);
	default:
		log_limited(loop_now_ms(a->c->loop->loop) * 1000000, LOG_LEVEL_ERROR,
			    "%.*s: error %d", (int)a->request->path.len, a->request->path.ptr,
			    -error);
		return put_status(a, 500);
	}
}

static enum http_answered put_options(struct answer *a)
{
	char block[HTTP_HEADER_BYTES];
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 200);
	http_put_literal(&w, ALLOW "Content-Length: 0\r\n");
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, &a->w);
	return commit(a, 200);
}

/* To the same path with a slash at its end. The path begins with exactly one slash, so that it
 * can't name another host. */
static enum http_answered put_redirect(struct answer *a, const struct http_path *path)
{
	struct http_writer w;
	struct slice query = a->request->query;

	http_writer_init(&w, a->c->loop->location, sizeof(a->c->loop->location));
	http_put_literal(&w, "Location: /");
	http_put_encoded(&w, path->text, true);
	http_put_literal(&w, "/");
	if (query.ptr)
		http_put_literal(&w, "?");
	http_put_slice(&w, query);
	http_put_literal(&w, "\r\n");
	if (w.cut)
		return put_status(a, 414);
	return put_error(a, 301, slice_make(NULL, 0), slice_make(w.start, http_written(&w)));
}

/* ---- files ---- */

/* The bytes of [offset, offset + length) behind the header that is written. Takes the reference. */
static enum http_answered send_entry(struct answer *a, int status, struct file_entry *entry,
				     uint64_t offset, uint64_t length)
{
	bool in_memory = entry->fd < 0;
	enum http_answered answered;
	int r;

	if (in_memory && length <= COPY_BODY_MAX)
		http_put(&a->w, file_entry_body(entry) + offset, length);
	answered = commit(a, status);
	if (answered != HTTP_ANSWERED || length == 0 || (in_memory && length <= COPY_BODY_MAX)) {
		file_entry_unref(entry);
		return answered;
	}
	if (in_memory)
		r = http_flight_add_body(a->c, entry, offset, length);
	else
		r = http_flight_add_file(a->c, entry, offset, length);
	return r < 0 ? HTTP_FAILED : HTTP_ANSWERED;
}

static void put_validators(struct http_writer *w, const struct file_entry *entry)
{
	http_put_header_date(w, SLICE_LITERAL("Last-Modified"), entry->mtime);
	http_put_header(w, SLICE_LITERAL("ETag"), entry->etag);
}

static enum http_answered put_not_modified(struct answer *a, struct file_entry *entry)
{
	char block[HTTP_HEADER_BYTES];
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 304);
	put_validators(&w, entry);
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, &a->w);
	file_entry_unref(entry);
	return commit(a, 304);
}

static enum http_answered put_unsatisfiable(struct answer *a, struct file_entry *entry)
{
	char range[HTTP_CONTENT_RANGE_MAX], line[HTTP_CONTENT_RANGE_MAX + 32];
	struct http_writer w;
	size_t len = http_content_range_unsatisfiable(entry->id.size, range);

	file_entry_unref(entry);
	http_writer_init(&w, line, sizeof(line));
	http_put_header(&w, SLICE_LITERAL("Content-Range"), slice_make(range, len));
	return put_error(a, 416, slice_make(NULL, 0), slice_make(line, http_written(&w)));
}

static enum http_answered put_partial(struct answer *a, struct file_entry *entry,
				      const struct http_range *range)
{
	char block[HTTP_HEADER_BYTES], text[HTTP_CONTENT_RANGE_MAX];
	uint64_t length = range->last - range->first + 1;
	size_t len = http_content_range(range, entry->id.size, text);
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 206);
	http_put_header(&w, SLICE_LITERAL("Content-Type"), entry->type);
	http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), length);
	http_put_header(&w, SLICE_LITERAL("Content-Range"), slice_make(text, len));
	put_validators(&w, entry);
	http_head_end(&head, &w);
	if (w.cut) {
		file_entry_unref(entry);
		return put_status(a, 500);
	}
	http_head_emit(&head, block, a->date, a->connection, &a->w);
	return send_entry(a, 206, entry, range->first, length);
}

/* The hot path: header and body lie side by side, sent as they are but for the date. */
static enum http_answered put_whole(struct answer *a, struct file_entry *entry)
{
	uint64_t length = a->head ? 0 : entry->id.size;
	char *at = a->w.at;

	if (likely(a->connection == HTTP_KEEP)) {
		http_put(&a->w, entry->block, entry->head.length);
		if (!a->w.cut)
			http_head_stamp(&entry->head, at, a->date);
	} else {
		http_head_emit(&entry->head, entry->block, a->date, a->connection, &a->w);
	}
	return send_entry(a, 200, entry, 0, length);
}

static enum http_answered put_ranged(struct answer *a, struct file_entry *entry)
{
	struct http_ranges ranges;
	struct slice value;

	http_request_field(a->request, HTTP_FIELD_RANGE, &value);
	if (a->request->repeated & (1u << HTTP_FIELD_RANGE))
		return put_whole(a, entry);
	switch (http_range_parse(value, entry->id.size, &ranges)) {
	case HTTP_RANGE_WHOLE:
		break;
	case HTTP_RANGE_UNSATISFIABLE:
		return put_unsatisfiable(a, entry);
	case HTTP_RANGE_PARTIAL:
		/* More than one would be multipart/byteranges; RFC 9110 14.2 allows to send the
		 * whole instead. */
		if (ranges.count == 1)
			return put_partial(a, entry, &ranges.range[0]);
		break;
	}
	return put_whole(a, entry);
}

static enum http_answered put_file(struct answer *a, struct file_entry *entry)
{
	const struct http_validators validators = {.etag = entry->etag, .mtime = entry->mtime};

	switch (http_conditional(a->request, &validators, loop_wall(a->c->loop->loop))) {
	case HTTP_CONDITION_PASS:
		/* RFC 9110 14.2: Range is for GET only. */
		if (http_request_has(a->request, HTTP_FIELD_RANGE) && !a->head)
			return put_ranged(a, entry);
		return put_whole(a, entry);
	case HTTP_CONDITION_WHOLE:
		return put_whole(a, entry);
	case HTTP_CONDITION_NOT_MODIFIED:
		return put_not_modified(a, entry);
	case HTTP_CONDITION_PRECONDITION_FAILED:
		break;
	}
	file_entry_unref(entry);
	return put_status(a, 412);
}

/* ---- helpers at work ---- */

static enum http_answered submit(struct answer *a, struct http_job *job, struct slice path)
{
	if (!job)
		return put_errno(a, -ENOMEM);
	if (!http_job_set_path(job, path)) {
		http_job_free(job);
		return put_errno(a, -ENAMETOOLONG);
	}
	if (http_job_submit(job) < 0)
		return put_errno(a, -EAGAIN);
	a->c->job = job;
	return HTTP_WAITS;
}

static struct http_found take_found(struct http_conn *c)
{
	struct http_found found = c->found;

	c->found = (struct http_found){.kind = HTTP_FOUND_NOTHING};
	return found;
}

/* With a reference. -EINPROGRESS: a helper should load it. */
static int get_file(struct http_conn *c, struct slice path, struct file_entry **ret)
{
	uint64_t now_ms = loop_now_ms(c->loop->loop);
	bool warm = c->found.kind == HTTP_FOUND_FILE;
	struct http_found found;
	int r;

	r = file_cache_get(c->loop->cache, path, now_ms, warm, ret);
	if ((r == -EMFILE || r == -ENFILE) && file_cache_shed(c->loop->cache) > 0)
		r = file_cache_get(c->loop->cache, path, now_ms, warm, ret);
	if (!warm)
		return r == -EAGAIN ? -EINPROGRESS : r;
	found = take_found(c);
	if (r == -EAGAIN) {
		/* A file system that always might wait: what the helper got, for this once. */
		*ret = found.entry;
		return found.error;
	}
	if (found.entry)
		file_entry_unref(found.entry);
	return r;
}

/* ---- directories ---- */

static enum http_answered put_listing(struct answer *a, struct http_found *found, bool json)
{
	char block[HTTP_HEADER_BYTES];
	size_t body = a->head ? 0 : found->text_len;
	enum http_answered answered;
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 200);
	http_put_header(&w, SLICE_LITERAL("Content-Type"), http_listing_type(json));
	http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), found->text_len);
	http_put_header(&w, SLICE_LITERAL("Cache-Control"), SLICE_LITERAL("no-cache"));
	http_put_header(&w, SLICE_LITERAL("Vary"), SLICE_LITERAL("Accept"));
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, &a->w);
	answered = commit(a, 200);
	if (answered != HTTP_ANSWERED || body == 0)
		return answered;
	if (http_flight_add_text(a->c, found->text, body) < 0)
		answered = HTTP_FAILED;
	found->text = NULL;
	return answered;
}

static enum http_answered answer_listing(struct answer *a, struct slice path)
{
	bool json = http_accepts_json(a->request);
	struct http_conn *c = a->c;
	enum http_answered answered;
	struct http_job *job;

	if (c->found.kind == HTTP_FOUND_LISTING) {
		struct http_found found = take_found(c);

		if (found.error < 0)
			answered = put_errno(a, found.error);
		else
			answered = put_listing(a, &found, json);
		if (answered == HTTP_NO_ROOM)
			c->found = found;
		else
			free(found.text);
		return answered;
	}
	job = http_job_new(c->loop, c->conn, HTTP_JOB_LISTING);
	if (job) {
		job->listing.json = json;
		job->listing.order = http_order_parse(a->request->query);
	}
	return submit(a, job, path);
}

/* ---- what is asked for ---- */

/* The index file's path behind the directory's; false: too long to exist. */
static bool join_index(const struct http_path *path, struct slice index, char *buf, size_t size,
		       struct slice *ret)
{
	size_t len = path->is_root ? 0 : path->text.len;

	if (len + 1 + index.len + 1 > size)
		return false;
	if (len)
		buf[len++] = '/';
	memcpy(buf + len, index.ptr, index.len);
	buf[len + index.len] = '\0';
	*ret = slice_make(buf, len + index.len);
	return true;
}

static enum http_answered answer_directory(struct answer *a, const struct http_path *path,
					   char *buf, size_t size)
{
	const struct http_site *site = http_server_site(a->c->loop->server);
	struct slice directory = path->text, index;
	struct file_entry *entry;
	char name[PATH_MAX];
	int r;

	if (directory.len >= sizeof(name))
		return put_errno(a, -ENAMETOOLONG);
	/* The index's path is built over the directory's, which is needed after it. */
	memcpy(name, directory.ptr, directory.len + 1);
	directory.ptr = name;
	if (a->c->found.kind == HTTP_FOUND_LISTING)
		return answer_listing(a, directory);
	if (!join_index(path, site->index, buf, size, &index))
		return put_errno(a, -ENAMETOOLONG);
	r = get_file(a->c, index, &entry);
	if (r == 0)
		return put_file(a, entry);
	if (r == -EINPROGRESS)
		return submit(a, http_job_new(a->c->loop, a->c->conn, HTTP_JOB_FILE), index);
	if (r != -ENOENT && r != -EISDIR)
		return put_errno(a, r);
	if (!site->autoindex)
		return put_errno(a, -EACCES);
	return answer_listing(a, directory);
}

static enum http_answered answer_path(struct answer *a)
{
	/* Room for the index's name behind the longest request line. */
	char buf[HTTP_LINE_MAX + NAME_MAX + 2];
	struct http_path path;
	struct file_entry *entry;
	int r;

	r = http_path_decode(a->request->path, buf, sizeof(buf), &path);
	if (r < 0)
		return put_status(a, r == -ENAMETOOLONG ? 414 : 400);
	if (path.wants_dir || path.is_root)
		return answer_directory(a, &path, buf, sizeof(buf));
	r = get_file(a->c, path.text, &entry);
	if (r == 0)
		return put_file(a, entry);
	if (r == -EINPROGRESS)
		return submit(a, http_job_new(a->c->loop, a->c->conn, HTTP_JOB_FILE), path.text);
	if (r == -EISDIR)
		return put_redirect(a, &path);
	return put_errno(a, r);
}

enum http_answered http_answer(struct http_conn *c, const struct http_request *request)
{
	struct answer a;

	if (!begin(&a, c, request))
		return HTTP_FAILED;
	switch (request->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		return answer_path(&a);
	case HTTP_OPTIONS:
		return put_options(&a);
	case HTTP_METHOD_UNKNOWN:
		return put_status(&a, 501);
	case HTTP_POST:
	case HTTP_PUT:
	case HTTP_DELETE:
	case HTTP_PATCH:
	case HTTP_TRACE:
	case HTTP_CONNECT:
		break;
	}
	return put_error(&a, 405, slice_make(NULL, 0), SLICE_LITERAL(ALLOW));
}

enum http_answered http_answer_bad(struct http_conn *c, int status, const char *reason)
{
	struct answer a;

	if (!begin(&a, c, NULL))
		return HTTP_FAILED;
	return put_error(&a, status, reason ? slice_of(reason) : slice_make(NULL, 0),
			 slice_make(NULL, 0));
}
