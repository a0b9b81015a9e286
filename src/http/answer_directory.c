/*
 * The answer for a directory: its index file, or a listing made by a helper.
 */
#include "http/answer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "http/core/accept.h"

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
	http_put_slice(&w, answer_site(a)->headers);
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, &a->w);
	answered = answer_commit(a, 200);
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
		struct http_found found = answer_take_found(c);

		if (found.error < 0)
			answered = answer_errno(a, found.error);
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
	r = answer_get_file(a->c, index, &entry);
	if (r == 0)
		return answer_file(a, entry);
	if (r == -EINPROGRESS)
		return answer_submit(a, http_job_new(a->c->loop, a->c->conn, HTTP_JOB_FILE), index);
	if (r != -ENOENT && r != -EISDIR)
		return answer_errno(a, r);
	if (!site->autoindex)
		return answer_errno(a, -EACCES);
	return answer_listing(a, directory);
}
