#include "http/http_site.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/policy.h"
#include "http/core/own_header.h"
#include "http/http_limits.h"

/* How much of it an error message shows: what fits, and no line breaks. */
static int shown(const char *text)
{
	return (int)min_size(strcspn(text, "\r\n"), 80);
}

static int put_cache_control(struct http_writer *w, const char *text, struct err *err)
{
	struct slice value = slice_trim(slice_of(text));
	const char *wrong = http_own_header_check_value(value);

	if (value.len == 0)
		wrong = "the value is missing";
	if (wrong)
		return err_set(err, -EINVAL, "--cache-control '%.*s': %s", shown(text), text,
			       wrong);
	http_put_header(w, SLICE_LITERAL("Cache-Control"), value);
	return 0;
}

static int put_own_header(struct http_writer *w, const char *text, struct err *err)
{
	struct slice name, value;
	const char *wrong = http_own_header_parse(slice_of(text), &name, &value);

	if (wrong)
		return err_set(err, -EINVAL, "--header '%.*s': %s", shown(text), text, wrong);
	http_put_header(w, name, value);
	return 0;
}

int http_site_set_headers(struct http_site *site, const struct http_options *options,
			  struct err *err)
{
	char text[HTTP_OWN_HEADER_BYTES], *lines;
	struct http_writer w;
	size_t own;
	int r = 0;

	http_writer_init(&w, text, sizeof(text));
	if (options->cache_control)
		r = put_cache_control(&w, options->cache_control, err);
	own = http_written(&w);
	for (unsigned i = 0; i < options->header_count && r == 0; i++)
		r = put_own_header(&w, options->headers[i], err);
	if (r == 0 && w.cut)
		r = err_set(err, -EINVAL, "--header, --cache-control: more than %u bytes together",
			    HTTP_OWN_HEADER_BYTES);
	if (r < 0)
		return r;
	lines = malloc(http_written(&w) + 1);
	if (!lines)
		return err_set(err, -ENOMEM, "out of memory");
	memcpy(lines, text, http_written(&w));
	site->file_headers = slice_make(lines, http_written(&w));
	site->headers = slice_make(lines + own, http_written(&w) - own);
	return 0;
}

void http_site_free_headers(struct http_site *site)
{
	free((char *)site->file_headers.ptr);
}

/* NULL: `technique` can send a file to such a socket, as far as can be known before. */
static const char *cant(enum leat_technique technique, enum sink_kind sink)
{
	struct leat_capabilities can = {.size = sizeof(can)};
	const struct policy_input input = {
	    .source = SOURCE_FILE,
	    .sink = sink,
	    .length = LEAT_TO_END,
	    .asked = technique,
	    .limits = &policy_default_limits,
	};

	if (technique == LEAT_AUTO)
		return NULL;
	/* Its completions come by a descriptor of each chain's own, which no loop here waits for. */
	if (technique == LEAT_URING)
		return "not for HTTP";
	if (technique == LEAT_TEE)
		return "that is for several sinks";
	if (policy_choose(&input).error < 0)
		return sink == SINK_UNIX ? "it can't send files to UNIX sockets"
					 : "it can't send files to sockets";
	leat_capabilities(&can);
	return technique == LEAT_ZEROCOPY && can.zerocopy == LEAT_NO
		   ? "this kernel does not have it"
		   : NULL;
}

int http_site_set_technique(struct http_site *site, const struct http_options *options,
			    struct err *err)
{
	const char *why = cant(options->technique, SINK_TCP);

	for (unsigned i = 0; i < options->listen_count && !why; i++)
		if (strncmp(options->listen[i], "unix:", 5) == 0)
			why = cant(options->technique, SINK_UNIX);
	if (why)
		return err_set(err, -EINVAL, "--technique %s: %s",
			       leat_technique_name(options->technique), why);
	site->technique = options->technique;
	return 0;
}
