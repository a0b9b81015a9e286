#include "http/answer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/http_record.h"
#include "http/http_root.h"

#define ALLOW "Allow: GET, HEAD, OPTIONS\r\n"

/* ---- beginning and end ---- */

static bool begin(struct answer *a, struct http_conn *c, const struct http_request *request,
		  struct slice line)
{
	struct http_flight *flight = http_conn_flight(c);

	if (!flight)
		return false;
	*a = (struct answer){
	    .c = c,
	    .request = request,
	    .line = line,
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

const struct http_site *answer_site(const struct answer *a)
{
	return http_server_site(a->c->loop->server);
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
enum http_answered answer_commit(struct answer *a, int status)
{
	struct http_conn *c = a->c;
	size_t start;

	if (a->w.cut)
		return no_room(a);
	start = a->flight->len;
	a->flight->len += http_written(&a->w);
	if (!a->keep)
		c->ending = c->body_left || !a->request ? HTTP_LINGERS : HTTP_CLOSES;
	count(a, status);
	http_record_answer(c, a->request, a->line, status, start,
			   a->header_length ? start + a->header_length : 0);
	return HTTP_ANSWERED;
}

/* ---- small answers ---- */

enum http_answered answer_error(struct answer *a, int status, struct slice detail,
				struct slice extra)
{
	const struct http_error error = {
	    .status = status,
	    .detail = detail,
	    .extra = extra,
	    .own = answer_site(a)->headers,
	    .with_body = !a->head,
	    .connection = a->connection,
	};

	http_put_error(&a->w, &error, a->date);
	return answer_commit(a, status);
}

enum http_answered answer_status(struct answer *a, int status)
{
	return answer_error(a, status, slice_make(NULL, 0), slice_make(NULL, 0));
}

/* Each time, so that an operator can find out why clients are sent away. */
static void say_refused(const struct answer *a, int status, int error)
{
	const struct slice path = a->request->path;

	log_limited(loop_now_ms(a->c->loop->loop) * 1000000, LOG_LEVEL_ERROR,
		    "%.*s: answered with %d: %s", (int)path.len, path.ptr, status,
		    error == -EBUSY ? "too many large listings are under way" : strerror(-error));
}

/* Says why there is no file. */
enum http_answered answer_errno(struct answer *a, int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -EXDEV: /* out of the root: nobody is told that there is something */
		return answer_status(a, 404);
	case -ELOOP: /* as nginx has it, with disable_symlinks and without */
		return answer_status(a, answer_site(a)->no_symlinks ? 403 : 404);
	case -EACCES:
	case -EPERM:
	case -ENXIO:
		return answer_status(a, 403);
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -EAGAIN:
	case -EBUSY:
	case -ENODEV: /* no root */
		say_refused(a, 503, error);
		return answer_error(a, 503, slice_make(NULL, 0),
				    SLICE_LITERAL("Retry-After: " HTTP_RETRY_AFTER "\r\n"));
	default:
		say_refused(a, 500, error);
		return answer_status(a, 500);
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
	http_put_slice(&w, answer_site(a)->headers);
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, slice_make(NULL, 0), &a->w);
	return answer_commit(a, 200);
}

/* The last name, relative to the path that was asked for: a proxy that serves this site below a
 * prefix of its own need not rewrite it. Where an encoded slash hides which name that is, the whole
 * path. Each begins so that it can't name another host: with a name, or with exactly one slash. */
static void put_location(struct http_writer *w, struct slice asked, struct slice path)
{
	const char *slash = memrchr(asked.ptr, '/', asked.len);
	struct slice raw = slice_make(slash + 1, (size_t)(asked.ptr + asked.len - slash) - 1);
	const char *last = memrchr(path.ptr, '/', path.len);
	bool hidden = memmem(raw.ptr, raw.len, "%2f", 3) || memmem(raw.ptr, raw.len, "%2F", 3);

	if (hidden)
		http_put_literal(w, "/");
	else if (last)
		path = slice_make(last + 1, (size_t)(path.ptr + path.len - last) - 1);
	http_put_encoded(w, path, hidden);
	http_put_literal(w, "/");
}

/* To the same path with a slash at its end. */
static enum http_answered put_redirect(struct answer *a, const struct http_path *path)
{
	struct http_writer w;
	struct slice query = a->request->query;

	http_writer_init(&w, a->c->loop->location, sizeof(a->c->loop->location));
	http_put_literal(&w, "Location: ");
	put_location(&w, a->request->path, path->text);
	if (query.ptr)
		http_put_literal(&w, "?");
	http_put_slice(&w, query);
	http_put_literal(&w, "\r\n");
	if (w.cut)
		return answer_status(a, 414);
	return answer_error(a, 301, slice_make(NULL, 0), slice_make(w.start, http_written(&w)));
}

/* ---- helpers at work ---- */

enum http_answered answer_submit(struct answer *a, struct http_job *job, struct slice path)
{
	if (!job)
		return answer_errno(a, -ENOMEM);
	if (!http_job_set_path(job, path)) {
		http_job_free(job);
		return answer_errno(a, -ENAMETOOLONG);
	}
	if (http_job_submit(job) < 0)
		return answer_errno(a, -EAGAIN);
	a->c->job = job;
	return HTTP_WAITS;
}

enum http_answered answer_submit_file(struct answer *a, struct slice path, enum http_coding coding,
				      struct file_ask *ask)
{
	struct http_job *job = http_job_new(a->c->loop, a->c->conn, HTTP_JOB_FILE);

	if (job) {
		job->coding = coding;
		job->place = ask->place;
		job->known = ask->known;
		job->looks_at_root = ask->looks_at_root;
	} else if (ask->known) {
		file_entry_unref(ask->known);
	}
	return answer_submit(a, job, path);
}

struct http_found answer_take_found(struct http_conn *c)
{
	struct http_found found = c->found;

	c->found = (struct http_found){.kind = HTTP_FOUND_NOTHING};
	return found;
}

static void forget_coded(struct http_conn *c)
{
	if (c->coded)
		file_entry_unref(c->coded);
	c->coded = NULL;
	c->coded_error = 0;
	c->coded_same = false;
	c->coded_as = HTTP_IDENTITY;
}

void http_answer_forget(struct http_conn *c)
{
	struct http_found found = answer_take_found(c);

	if (found.entry)
		file_entry_unref(found.entry);
	dir_list_free(found.list);
	forget_coded(c);
	c->refused = 0;
}

static int get_from_cache(struct http_conn *c, struct slice path, enum http_coding coding,
			  struct file_entry **ret, struct file_ask *ret_ask)
{
	struct file_cache *cache = c->loop->cache;
	uint64_t now_ms = loop_now_ms(c->loop->loop);
	int r = file_cache_get(cache, path, coding, now_ms, ret, ret_ask);

	if ((r == -EMFILE || r == -ENFILE) && file_cache_shed(cache) > 0)
		r = file_cache_get(cache, path, coding, now_ms, ret, ret_ask);
	return r == -EAGAIN ? -EINPROGRESS : r;
}

static void drop_ask(struct file_ask *ask)
{
	if (ask->known)
		file_entry_unref(ask->known);
	ask->known = NULL;
}

/* A miss may be one because the directory is another by now, or gone. */
static int get_cached(struct http_conn *c, struct slice path, enum http_coding coding,
		      struct file_entry **ret, struct file_ask *ret_ask)
{
	unsigned generation = c->loop->root_generation;
	int r = get_from_cache(c, path, coding, ret, ret_ask), root;

	if (r == 0)
		return 0;
	root = http_loop_look_root(c->loop, true);
	if (root == -ENODEV || generation != c->loop->root_generation) {
		if (r == -EINPROGRESS)
			drop_ask(ret_ask);
		if (root == -ENODEV)
			return root;
		r = get_from_cache(c, path, coding, ret, ret_ask);
	}
	if (root < 0 && r < 0) {
		if (r != -EINPROGRESS)
			*ret_ask = (struct file_ask){
			    .place = http_server_site(c->loop->server)->root->place};
		ret_ask->looks_at_root = true;
		r = -EINPROGRESS;
	}
	return r;
}

/* What a helper found; the reference is the caller's. -EINPROGRESS: it ran out of descriptors, and
 * there are some now. */
static int settle(struct http_conn *c, struct slice path, enum http_coding coding, int error,
		  bool same, struct file_entry *entry, struct file_ask *ret_ask)
{
	struct file_cache *cache = c->loop->cache;

	if ((error == -EMFILE || error == -ENFILE) && file_cache_shed(cache) > 0) {
		*ret_ask = (struct file_ask){NULL, 0};
		return -EINPROGRESS;
	}
	file_cache_settle(cache, path, coding, entry, same, loop_now_ms(c->loop->loop));
	return error;
}

int answer_get_file(struct http_conn *c, struct slice path, struct file_entry **ret,
		    struct file_ask *ret_ask)
{
	struct http_found found;

	if (c->found.kind != HTTP_FOUND_FILE)
		return get_cached(c, path, HTTP_IDENTITY, ret, ret_ask);
	found = answer_take_found(c);
	*ret = found.entry;
	if (found.settled)
		return 0;
	return settle(c, path, HTTP_IDENTITY, found.error, found.same, found.entry, ret_ask);
}

int answer_get_coded(struct http_conn *c, struct slice path, enum http_coding coding,
		     struct file_entry **ret, struct file_ask *ret_ask)
{
	int error;

	/* Siblings came or went while a helper was at work: another one is the best by now. */
	if (c->coded_as != coding)
		forget_coded(c);
	if (c->coded_as == HTTP_IDENTITY)
		return get_cached(c, path, coding, ret, ret_ask);
	*ret = c->coded;
	error = settle(c, path, coding, c->coded_error, c->coded_same, c->coded, ret_ask);
	c->coded = NULL;
	forget_coded(c);
	return error;
}

/* ---- what is asked for ---- */

static enum http_answered answer_path(struct answer *a)
{
	/* Room for the index's name behind the longest request line. */
	char buf[HTTP_LINE_MAX + NAME_MAX + 2];
	struct http_path path;
	struct file_entry *entry;
	struct file_ask ask;
	int r;

	if (http_loop_look_root(a->c->loop, false) == -ENODEV)
		return answer_errno(a, -ENODEV);
	r = http_path_decode(a->request->path, buf, sizeof(buf), &path);
	if (r < 0)
		return answer_status(a, r == -ENAMETOOLONG ? 414 : 400);
	if (!answer_site(a)->dotfiles && !path.is_root && http_path_is_hidden(path.text))
		return answer_status(a, 404);
	if (path.wants_dir || path.is_root)
		return answer_directory(a, &path, buf, sizeof(buf));
	r = answer_get_file(a->c, path.text, &entry, &ask);
	if (r == 0)
		return answer_file(a, entry);
	if (r == -EINPROGRESS)
		return answer_submit_file(a, path.text, HTTP_IDENTITY, &ask);
	if (r == -EISDIR)
		return put_redirect(a, &path);
	return answer_errno(a, r);
}

static enum http_answered answer_request(struct answer *a)
{
	switch (a->request->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		return answer_path(a);
	case HTTP_OPTIONS:
		return put_options(a);
	case HTTP_METHOD_UNKNOWN:
		return answer_status(a, 501);
	case HTTP_POST:
	case HTTP_PUT:
	case HTTP_DELETE:
	case HTTP_PATCH:
	case HTTP_TRACE:
	case HTTP_CONNECT:
		break;
	}
	return answer_error(a, 405, slice_make(NULL, 0), SLICE_LITERAL(ALLOW));
}

enum http_answered http_answer(struct http_conn *c, const struct http_request *request)
{
	enum http_answered answered;
	struct answer a;

	if (!begin(&a, c, request, request->line))
		return HTTP_FAILED;
	answered = answer_request(&a);
	/* What was found for this request is nothing to the next one. */
	if (unlikely(answered == HTTP_ANSWERED &&
		     (c->found.kind != HTTP_FOUND_NOTHING || c->coded_as || c->refused)))
		http_answer_forget(c);
	return answered;
}

enum http_answered http_answer_bad(struct http_conn *c, struct slice line, int status,
				   const char *reason)
{
	struct answer a;

	if (!begin(&a, c, NULL, line))
		return HTTP_FAILED;
	return answer_error(&a, status, reason ? slice_of(reason) : slice_make(NULL, 0),
			    slice_make(NULL, 0));
}
