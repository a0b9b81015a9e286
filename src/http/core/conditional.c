#include "http/core/conditional.h"

#include "http/core/chars.h"
#include "http/core/date.h"

struct tag {
	struct slice opaque; /* with its quotes */
	bool weak;
};

static void skip(struct slice *text, size_t len)
{
	text->ptr += len;
	text->len -= len;
}

/* An entity tag at the front of *text (RFC 9110 8.8.3). */
static bool take_tag(struct slice *text, struct tag *ret)
{
	bool weak = slice_starts_with(*text, SLICE_LITERAL("W/"));

	if (weak)
		skip(text, 2);
	if (text->len < 2 || *text->ptr != '"')
		return false;
	const char *end = http_run(text->ptr + 1, text->ptr + text->len, HTTP_ETAG);
	if (end == text->ptr + text->len || *end != '"')
		return false;
	ret->opaque = slice_make(text->ptr, (size_t)(end + 1 - text->ptr));
	ret->weak = weak;
	skip(text, ret->opaque.len);
	return true;
}

static bool tag_of(struct slice text, struct tag *ret)
{
	return take_tag(&text, ret) && text.len == 0;
}

static bool same_tag(const struct tag *a, const struct tag *b, bool strong)
{
	return slice_eq(a->opaque, b->opaque) && !(strong && (a->weak || b->weak));
}

/* Whether one line's list names our tag; what comes after a member that is no tag is not read. */
static bool list_matches(struct slice list, const struct tag *ours, bool strong)
{
	struct tag tag;

	for (;;) {
		while (list.len && (*list.ptr == ' ' || *list.ptr == '\t' || *list.ptr == ','))
			skip(&list, 1);
		if (!take_tag(&list, &tag))
			return false;
		list = slice_trim(list);
		if (list.len && *list.ptr != ',')
			return false;
		if (same_tag(&tag, ours, strong))
			return true;
	}
}

/* "*" matches whatever exists, and what we are asked about exists. */
static bool field_matches(const struct http_request *request, enum http_field field,
			  const struct http_validators *validators, bool strong)
{
	struct tag ours;
	bool have_tag = tag_of(validators->etag, &ours);

	for (unsigned i = http_request_next(request, field, 0); i < request->header_count;
	     i = http_request_next(request, field, i + 1)) {
		struct slice value = request->headers[i].value;

		if (slice_eq(value, SLICE_LITERAL("*")))
			return true;
		if (have_tag && list_matches(value, &ours, strong))
			return true;
	}
	return false;
}

static bool field_date(const struct http_request *request, enum http_field field, int64_t now,
		       int64_t *ret)
{
	struct slice value;

	return http_request_single(request, field, &value) && http_date_parse(value, now, ret) == 0;
}

/* RFC 9110 13.1.5. A date is a strong validator only once its second has passed (8.8.2.2): until
 * then the file can change again without its date. */
static bool if_range_matches(const struct http_request *request,
			     const struct http_validators *validators, int64_t now)
{
	struct slice value;
	struct tag theirs, ours;
	int64_t date;

	if (!http_request_single(request, HTTP_FIELD_IF_RANGE, &value))
		return false;
	if (tag_of(value, &theirs))
		return tag_of(validators->etag, &ours) && same_tag(&theirs, &ours, true);
	return http_date_parse(value, now, &date) == 0 && date == validators->mtime &&
	       validators->mtime < now;
}

static bool is_precondition_failed(const struct http_request *request,
				   const struct http_validators *validators, int64_t now)
{
	int64_t date;

	if (http_request_has(request, HTTP_FIELD_IF_MATCH))
		return !field_matches(request, HTTP_FIELD_IF_MATCH, validators, true);
	return field_date(request, HTTP_FIELD_IF_UNMODIFIED_SINCE, now, &date) &&
	       validators->mtime > date;
}

static bool is_not_modified(const struct http_request *request,
			    const struct http_validators *validators, int64_t now, bool safe)
{
	int64_t date;

	if (http_request_has(request, HTTP_FIELD_IF_NONE_MATCH))
		return field_matches(request, HTTP_FIELD_IF_NONE_MATCH, validators, false);
	return safe && field_date(request, HTTP_FIELD_IF_MODIFIED_SINCE, now, &date) &&
	       validators->mtime <= date;
}

enum http_condition http_conditional(const struct http_request *request,
				     const struct http_validators *validators, int64_t now)
{
	bool safe = request->method == HTTP_GET || request->method == HTTP_HEAD;

	if (is_precondition_failed(request, validators, now))
		return HTTP_CONDITION_PRECONDITION_FAILED;
	if (is_not_modified(request, validators, now, safe))
		return safe ? HTTP_CONDITION_NOT_MODIFIED : HTTP_CONDITION_PRECONDITION_FAILED;
	if (request->method == HTTP_GET && http_request_has(request, HTTP_FIELD_RANGE) &&
	    http_request_has(request, HTTP_FIELD_IF_RANGE) &&
	    !if_range_matches(request, validators, now))
		return HTTP_CONDITION_WHOLE;
	return HTTP_CONDITION_PASS;
}
