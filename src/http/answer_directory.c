/*
 * The answer for a directory: its index file, or a listing made by a helper.
 */
#include "http/answer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "http/core/accept.h"

/* One that fits into a piece has a length; a larger one goes out as it is made, in chunks, or to
 * HTTP/1.0 until the connection ends. Takes the list unless there is no room. */
static enum http_answered put_listing(struct answer *a, struct dir_list *list, bool json)
{
	bool whole = dir_list_whole(list), chunked = !whole && a->request->minor > 0;
	char block[HTTP_HEADER_BYTES];
	enum http_answered answered;
	struct http_head head;
	struct http_writer w;

	if (!whole && !chunked) {
		a->keep = false;
		a->connection = HTTP_CLOSE;
	}

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 200);
	http_put_header(&w, SLICE_LITERAL("Content-Type"), http_listing_type(json));
	if (whole)
		http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), dir_list_piece(list).len);
	if (chunked)
		http_put_header(&w, SLICE_LITERAL("Transfer-Encoding"), SLICE_LITERAL("chunked"));
	http_put_header(&w, SLICE_LITERAL("Cache-Control"), SLICE_LITERAL("no-cache"));
	http_put_header(&w, SLICE_LITERAL("Vary"), SLICE_LITERAL("Accept"));
	http_put_slice(&w, answer_site(a)->headers);
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, slice_make(NULL, 0), &a->w);
	answered = answer_commit(a, 200);
	if (answered == HTTP_NO_ROOM)
		return answered;
	if (a->head)
		dir_list_free(list);
	else if (http_flight_add_list(a->c, list) < 0)
		answered = HTTP_FAILED;
	return answered;
}

static struct dir_list *new_list(const struct answer *a, struct slice path)
{
	const struct dir_list_options options = {
	    .path = path,
	    .order = http_order_parse(a->request->query),
	    .json = http_accepts_json(a->request),
	    .chunked = a->request->minor > 0,
	};

	return dir_list_new(http_server_site(a->c->loop->server), &options);
}

static enum http_answered answer_listing(struct answer *a, struct slice path)
{
	bool json = http_accepts_json(a->request);
	struct http_conn *c = a->c;
	enum http_answered answered;
	struct http_job *job;

	if (c->found.kind == HTTP_FOUND_LISTING) {
		struct http_found found = answer_take_found(c);

		if (found.error < 0)
			answered = answer_errno(a, found.error);
		else
			answered = put_listing(a, found.list, json);
		if (answered == HTTP_NO_ROOM)
			c->found = found;
		return answered;
	}
	job = http_job_new(c->loop, c->conn, HTTP_JOB_LISTING);
	if (job) {
		job->list = new_list(a, path);
		/* A directory is no file: this only says which helpers. */
		(void)file_entry_look(answer_site(a), path, &job->place);
	}
	if (job && !job->list) {
		http_job_free(job);
		job = NULL;
	}
	return answer_submit(a, job, path);
}

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

enum http_answered answer_directory(struct answer *a, const struct http_path *path, char *buf,
				    size_t size)
{
	const struct http_site *site = answer_site(a);
	struct slice directory = path->text, index;
	struct file_entry *entry;
	struct file_ask ask;
	char name[PATH_MAX];
	int r;

	if (directory.len >= sizeof(name))
		return answer_errno(a, -ENAMETOOLONG);
	/* The index's path is built over the directory's, which is needed after it. */
	memcpy(name, directory.ptr, directory.len + 1);
	directory.ptr = name;
	if (a->c->found.kind == HTTP_FOUND_LISTING)
		return answer_listing(a, directory);
	if (!join_index(path, site->index, buf, size, &index))
		return answer_errno(a, -ENAMETOOLONG);
	r = answer_get_file(a->c, index, &entry, &ask);
	if (r == 0)
		return answer_file(a, entry);
	if (r == -EINPROGRESS)
		return answer_submit_file(a, index, HTTP_IDENTITY, &ask);
	if (r != -ENOENT && r != -EISDIR)
		return answer_errno(a, r);
	if (!site->autoindex)
		return answer_errno(a, -EACCES);
	return answer_listing(a, directory);
}
