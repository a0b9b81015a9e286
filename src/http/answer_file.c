/*
 * The answer that is a file: first which of its encodings, then conditions (RFC 9110 13.2.2), then
 * Range, then the whole.
 */
#include "http/answer.h"

#include <errno.h>

#include "http/core/conditional.h"

/* The bytes of [offset, offset + length) behind the header that is written. Takes the reference. */
static enum http_answered send_entry(struct answer *a, int status, struct file_entry *entry,
				     uint64_t offset, uint64_t length)
{
	bool in_memory = entry->fd < 0;
	enum http_answered answered;

	a->header_length = http_written(&a->w);
	if (in_memory)
		http_put(&a->w, file_entry_body(entry) + offset, length);
	answered = answer_commit(a, status);
	if (answered != HTTP_ANSWERED || length == 0 || in_memory) {
		file_entry_unref(entry);
		return answered;
	}
	if (entry->system != FILE_SYSTEM_LOCAL)
		return http_flight_add_body(a->c, entry, offset, length) < 0 ? HTTP_FAILED
									     : HTTP_ANSWERED;
	return http_flight_add_file(a->c, entry, offset, length) < 0 ? HTTP_FAILED : HTTP_ANSWERED;
}

void answer_put_validators(const struct answer *a, const struct file_entry *entry,
			   struct http_writer *w)
{
	http_put_header_date(w, SLICE_LITERAL("Last-Modified"), entry->mtime);
	http_put_header(w, SLICE_LITERAL("ETag"), entry->etag);
	http_put_header(w, SLICE_LITERAL("Accept-Ranges"), SLICE_LITERAL("bytes"));
	file_entry_put_vary(entry, w);
	http_put_slice(w, answer_site(a)->file_headers);
}

static enum http_answered put_not_modified(struct answer *a, struct file_entry *entry)
{
	char block[HTTP_HEADER_BYTES];
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 304);
	answer_put_validators(a, entry, &w);
	http_head_end(&head, &w);
	http_head_emit(&head, block, a->date, a->connection, slice_make(NULL, 0), &a->w);
	file_entry_unref(entry);
	return answer_commit(a, 304);
}

static enum http_answered put_unsatisfiable(struct answer *a, struct file_entry *entry)
{
	char range[HTTP_CONTENT_RANGE_MAX], line[HTTP_CONTENT_RANGE_MAX + 32];
	struct http_writer w;
	size_t len = http_content_range_unsatisfiable(entry->id.size, range);

	file_entry_unref(entry);
	http_writer_init(&w, line, sizeof(line));
	http_put_header(&w, SLICE_LITERAL("Content-Range"), slice_make(range, len));
	return answer_error(a, 416, slice_make(NULL, 0), slice_make(line, http_written(&w)));
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
	file_entry_put_coding(entry, &w);
	answer_put_validators(a, entry, &w);
	answer_put_explain(a, entry, length, length, &w);
	http_head_end(&head, &w);
	if (w.cut) {
		file_entry_unref(entry);
		return answer_status(a, 500);
	}
	http_head_emit(&head, block, a->date, a->connection, slice_make(NULL, 0), &a->w);
	return send_entry(a, 206, entry, range->first, length);
}

static void emit_head(struct answer *a, const struct file_entry *entry)
{
	char line[HTTP_HEADER_BYTES];
	struct http_writer w;

	http_writer_init(&w, line, sizeof(line));
	if (entry->fd >= 0) /* of a body in memory it is in the block */
		answer_put_explain(a, entry, entry->id.size, entry->id.size, &w);
	http_head_emit(&entry->head, entry->block, a->date, a->connection,
		       slice_make(line, http_written(&w)), &a->w);
}

/* The hot path. Header and body lie side by side, sent as they are but for the date. */
enum http_answered answer_whole(struct answer *a, struct file_entry *entry)
{
	uint64_t length = a->head ? 0 : entry->id.size;
	char *at = a->w.at;

	if (likely(a->connection == HTTP_KEEP && (entry->fd < 0 || !answer_site(a)->explain))) {
		http_put(&a->w, entry->block, entry->head.length);
		if (!a->w.cut)
			http_head_stamp(&entry->head, at, a->date);
	} else {
		emit_head(a, entry);
	}
	return send_entry(a, 200, entry, 0, length);
}

static enum http_answered put_ranged(struct answer *a, struct file_entry *entry)
{
	struct http_ranges ranges;
	struct slice value;

	if (!http_request_single(a->request, HTTP_FIELD_RANGE, &value))
		return answer_whole(a, entry);
	switch (http_range_parse(value, entry->id.size, &ranges)) {
	case HTTP_RANGE_WHOLE:
		break;
	case HTTP_RANGE_UNSATISFIABLE:
		return put_unsatisfiable(a, entry);
	case HTTP_RANGE_PARTIAL:
		if (ranges.count == 1)
			return put_partial(a, entry, &ranges.range[0]);
		/* Content-Encoding above a multipart body would say that all of it is encoded, and
		 * within the parts nobody looks for it: the whole, which is always allowed. */
		if (entry->coding != HTTP_IDENTITY || entry->gzipped)
			break;
		/* Helpers read one range (http_body.h). */
		if (entry->fd >= 0 && entry->system != FILE_SYSTEM_LOCAL)
			break;
		return answer_parts(a, entry, &ranges);
	}
	return answer_whole(a, entry);
}

static enum http_answered wait_for_coded(struct answer *a, struct slice path,
					 enum http_coding coding, struct file_entry *entry,
					 struct file_ask *ask)
{
	/* The file itself need not be looked for again. */
	a->c->found = (struct http_found){.kind = HTTP_FOUND_FILE, .settled = true, .entry = entry};
	return answer_submit_file(a, path, coding, ask);
}

/* *entry becomes the encoding that the client likes best. False: it is not to be had now, and *ret
 * is what came of the request. A sibling that can't be had at all is as if there were none. */
static bool choose_coding(struct answer *a, struct file_entry **entry, enum http_answered *ret)
{
	unsigned available = (*entry)->siblings & ~(unsigned)a->c->refused;
	enum http_coding coding;

	while ((coding = http_accept_coding(a->request, available)) != HTTP_IDENTITY) {
		struct file_entry *coded;
		struct file_ask ask;
		char name[PATH_MAX];
		struct slice path;
		int r = -ENAMETOOLONG;

		if (file_sibling_name((*entry)->path, coding, name, &path))
			r = answer_get_coded(a->c, path, coding, &coded, &ask);
		if (r == -EINPROGRESS) {
			*ret = wait_for_coded(a, path, coding, *entry, &ask);
			return false;
		}
		if (r == 0) {
			file_entry_unref(*entry);
			*entry = coded;
			break;
		}
		a->c->refused |= (uint8_t)(1u << coding);
		available &= ~(1u << coding);
	}
	return true;
}

static enum http_answered answer_chosen(struct answer *a, struct file_entry *entry)
{
	const struct http_validators validators = {.etag = entry->etag, .mtime = entry->mtime};

	switch (http_conditional(a->request, &validators, loop_wall(a->c->loop->loop))) {
	case HTTP_CONDITION_PASS:
		/* RFC 9110 14.2: Range is for GET only. */
		if (http_request_has(a->request, HTTP_FIELD_RANGE) && !a->head)
			return put_ranged(a, entry);
		return answer_whole(a, entry);
	case HTTP_CONDITION_WHOLE:
		return answer_whole(a, entry);
	case HTTP_CONDITION_NOT_MODIFIED:
		return put_not_modified(a, entry);
	case HTTP_CONDITION_PRECONDITION_FAILED:
		break;
	}
	file_entry_unref(entry);
	return answer_status(a, 412);
}

enum http_answered answer_file(struct answer *a, struct file_entry *entry)
{
	enum http_answered instead;

	if (entry->siblings && !choose_coding(a, &entry, &instead))
		return instead;
	return answer_chosen(a, entry);
}
