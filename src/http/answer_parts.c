/*
 * The answer with several ranges of a file: 206, multipart/byteranges.
 *
 * The text between the parts is written into the flight's buffer behind the header, all of it
 * before anything is sent: it fits, however many ranges and however long the type (asserted below).
 * The slices of the file go out from where they are, in one chain with that text; a body in memory
 * is copied between it where all fits.
 */
#include "http/answer.h"

#include "http/core/multipart.h"
#include "sys/sys.h"

_Static_assert(HTTP_HEADER_BYTES + (HTTP_RANGES_MAX + 1) * HTTP_PART_TEXT_MAX <= HTTP_OUT_BYTES,
	       "an empty flight has room for a header and the text of all parts");

static void put_explain(struct answer *a, const struct file_entry *entry,
			const struct http_ranges *ranges, struct http_writer *w)
{
	uint64_t shortest = UINT64_MAX, longest = 0;

	for (unsigned i = 0; i < ranges->count; i++) {
		uint64_t length = ranges->range[i].last - ranges->range[i].first + 1;

		shortest = min_u64(shortest, length);
		longest = max_u64(longest, length);
	}
	answer_put_explain(a, entry, shortest, longest, w);
}

static void put_head(struct answer *a, const struct file_entry *entry,
		     const struct http_multipart *multipart, uint64_t length)
{
	char block[HTTP_HEADER_BYTES];
	struct http_head head;
	struct http_writer w;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 206);
	http_put_multipart_type(&w, multipart);
	http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), length);
	answer_put_validators(a, entry, &w);
	put_explain(a, entry, &multipart->ranges, &w);
	http_head_end(&head, &w);
	CHECK(!w.cut);
	http_head_emit(&head, block, a->date, a->connection, slice_make(NULL, 0), &a->w);
}

/* Text and bytes side by side. */
static enum http_answered put_copied(struct answer *a, struct file_entry *entry,
				     const struct http_multipart *multipart)
{
	const struct http_ranges *ranges = &multipart->ranges;

	for (unsigned i = 0; i < ranges->count; i++) {
		const struct http_range *range = &ranges->range[i];

		http_put_multipart_text(&a->w, multipart, i);
		http_put(&a->w, file_entry_body(entry) + range->first,
			 range->last - range->first + 1);
	}
	http_put_multipart_text(&a->w, multipart, ranges->count);
	file_entry_unref(entry);
	return answer_commit(a, 206);
}

static enum http_answered put_chained(struct answer *a, struct file_entry *entry,
				      const struct http_multipart *multipart)
{
	const struct http_ranges *ranges = &multipart->ranges;
	size_t ends[HTTP_RANGES_MAX];
	enum http_answered answered;

	for (unsigned i = 0; i < ranges->count; i++) {
		http_put_multipart_text(&a->w, multipart, i);
		ends[i] = a->flight->len + http_written(&a->w);
	}
	http_put_multipart_text(&a->w, multipart, ranges->count);
	answered = answer_commit(a, 206);
	if (answered != HTTP_ANSWERED) {
		file_entry_unref(entry);
		return answered;
	}
	return http_flight_add_parts(a->c, entry, ranges, ends) < 0 ? HTTP_FAILED : HTTP_ANSWERED;
}

enum http_answered answer_parts(struct answer *a, struct file_entry *entry,
				const struct http_ranges *ranges)
{
	struct http_multipart multipart = {
	    .ranges = *ranges,
	    .size = entry->id.size,
	    .type = entry->type,
	};
	uint64_t chance[2], length;

	/* Without chance no boundary is safe, and the whole is always allowed (RFC 9110 14.2). */
	if (sys_random(chance, sizeof(chance)) < 0)
		return answer_whole(a, entry);
	http_multipart_boundary(chance, multipart.boundary);
	length = http_multipart_length(&multipart);
	put_head(a, entry, &multipart, length);
	a->header_length = http_written(&a->w);
	if (entry->fd < 0 && length <= HTTP_BODY_CACHE_MAX)
		return put_copied(a, entry, &multipart);
	return put_chained(a, entry, &multipart);
}
