#include "http/core/accept.h"

#include "http/core/chars.h"

#define WEIGHT_MAX 1000 /* thousandths: what a q-value can say */

/* "0", "0.125", "1", "1.000" (RFC 9110 12.4.2); -1: none of these. */
static int weight_of(struct slice text)
{
	int weight, unit = WEIGHT_MAX / 10;

	if (text.len == 0 || text.len > 5 || (*text.ptr != '0' && *text.ptr != '1'))
		return -1;
	weight = (*text.ptr - '0') * WEIGHT_MAX;
	if (text.len > 1 && text.ptr[1] != '.')
		return -1;
	for (size_t i = 2; i < text.len; i++, unit /= 10) {
		if (!http_is(text.ptr[i], HTTP_DIGIT))
			return -1;
		weight += (text.ptr[i] - '0') * unit;
	}
	return weight > WEIGHT_MAX ? -1 : weight;
}

/* Up to the next `by`; *rest is what comes after it. */
static struct slice split(struct slice *rest, char by)
{
	const char *at = rest->len ? memchr(rest->ptr, by, rest->len) : NULL;
	size_t len = at ? (size_t)(at - rest->ptr) : rest->len;
	struct slice part = slice_trim(slice_make(rest->ptr, len));
	size_t eaten = at ? len + 1 : len;

	rest->ptr += eaten;
	rest->len -= eaten;
	return part;
}

/* "name;param=x;q=0.5": the name, and the weight (-1: malformed). Other parameters are not looked
 * at. */
static int parse_member(struct slice member, struct slice *ret_name)
{
	int weight = WEIGHT_MAX;

	*ret_name = split(&member, ';');
	while (member.len) {
		struct slice parameter = split(&member, ';');
		struct slice name = split(&parameter, '=');

		if (slice_eq_nocase(name, SLICE_LITERAL("q"))) {
			weight = weight_of(parameter);
			if (weight < 0)
				return -1;
		}
	}
	return ret_name->len ? weight : -1;
}

/* Calls `each` for the well-formed members of all lines of `field`. */
static void each_member(const struct http_request *request, enum http_field field,
			void (*each)(void *arg, struct slice name, int weight), void *arg)
{
	for (unsigned i = http_request_next(request, field, 0); i < request->header_count;
	     i = http_request_next(request, field, i + 1)) {
		struct slice rest = request->headers[i].value, member, name;

		while (http_list_next(&rest, &member)) {
			int weight = parse_member(member, &name);

			if (weight < 0)
				break;
			each(arg, name, weight);
		}
	}
}

/* ---- Accept-Encoding ---- */

const char *http_coding_name(enum http_coding coding)
{
	static const char *const names[HTTP_CODING_COUNT] = {"identity", "gzip", "zstd", "br"};

	return names[coding];
}

struct slice http_coding_suffix(enum http_coding coding)
{
	static const struct slice suffixes[HTTP_CODING_COUNT] = {{"", 0},
								 {".gz", 3},
								 {".zst", 4},
								 {".br", 3}};

	return suffixes[coding];
}

enum http_coding http_coding_of(struct slice path)
{
	for (int i = HTTP_IDENTITY + 1; i < HTTP_CODING_COUNT; i++) {
		struct slice suffix = http_coding_suffix((enum http_coding)i);

		/* "a.gz", not ".gz" and "a/.gz": there has to be a name before it. */
		if (path.len <= suffix.len || path.ptr[path.len - suffix.len - 1] == '/')
			continue;
		if (memcmp(path.ptr + path.len - suffix.len, suffix.ptr, suffix.len) == 0)
			return (enum http_coding)i;
	}
	return HTTP_IDENTITY;
}

struct codings {
	int weight[HTTP_CODING_COUNT]; /* -1: not mentioned */
	int other;                     /* of "*"; -1: not mentioned */
};

static void note_coding(void *arg, struct slice name, int weight)
{
	struct codings *codings = arg;

	if (slice_eq(name, SLICE_LITERAL("*")))
		codings->other = weight;
	if (slice_eq_nocase(name, SLICE_LITERAL("x-gzip"))) /* RFC 9110 8.4.1.3 */
		name = SLICE_LITERAL("gzip");
	for (int i = 0; i < HTTP_CODING_COUNT; i++)
		if (slice_eq_nocase(name, slice_of(http_coding_name((enum http_coding)i))))
			codings->weight[i] = weight;
}

/* Of a coding, all said and done. What isn't mentioned isn't wanted, but for identity, which is the
 * least of what is acceptable. */
static int weight_in(const struct codings *codings, enum http_coding coding)
{
	if (codings->weight[coding] >= 0)
		return codings->weight[coding];
	if (coding == HTTP_IDENTITY)
		return codings->other == 0 ? 0 : 1;
	return codings->other >= 0 ? codings->other : 0;
}

enum http_coding http_accept_coding(const struct http_request *request, unsigned available)
{
	struct codings codings = {{-1, -1, -1, -1}, -1};
	enum http_coding best = HTTP_IDENTITY;

	if ((available & ~(1u << HTTP_IDENTITY)) == 0 ||
	    !http_request_has(request, HTTP_FIELD_ACCEPT_ENCODING))
		return HTTP_IDENTITY;
	each_member(request, HTTP_FIELD_ACCEPT_ENCODING, note_coding, &codings);
	for (int i = HTTP_IDENTITY + 1; i < HTTP_CODING_COUNT; i++) {
		enum http_coding coding = (enum http_coding)i;
		int weight = weight_in(&codings, coding);

		if ((available & (1u << i)) && weight > 0 && weight >= weight_in(&codings, best))
			best = coding;
	}
	return best;
}

/* ---- Accept ---- */

/* The most specific range that fits decides: type/subtype before type/ * before * / *. */
struct wish {
	const char *range[3];
	int weight[3]; /* -1: not mentioned */
};

static void note_types(void *arg, struct slice name, int weight)
{
	struct wish *wishes = arg;

	for (int i = 0; i < 2; i++)
		for (int level = 0; level < 3; level++)
			if (slice_eq_nocase(name, slice_of(wishes[i].range[level])))
				wishes[i].weight[level] = weight;
}

static int wished(const struct wish *wish)
{
	for (int level = 0; level < 3; level++)
		if (wish->weight[level] >= 0)
			return wish->weight[level];
	return 0;
}

bool http_accepts_json(const struct http_request *request)
{
	struct wish wishes[2] = {
	    {{"application/json", "application/*", "*/*"}, {-1, -1, -1}},
	    {{"text/html", "text/*", "*/*"}, {-1, -1, -1}},
	};

	if (!http_request_has(request, HTTP_FIELD_ACCEPT))
		return false;
	each_member(request, HTTP_FIELD_ACCEPT, note_types, wishes);
	return wished(&wishes[0]) > wished(&wishes[1]);
}
