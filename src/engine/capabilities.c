/*
 * The public view of sys/caps.h.
 */
#include <stdio.h>
#include <string.h>

#include "engine/border.h"
#include "leat/leat.h"
#include "sys/caps.h"

static enum leat_answer caps_answer_of(enum caps_answer caps)
{
	switch (caps) {
	case CAPS_NO:
		return LEAT_NO;
	case CAPS_YES:
		return LEAT_YES;
	case CAPS_UNPROVEN:
		break;
	}
	return LEAT_UNPROVEN;
}

int leat_capabilities(struct leat_capabilities *ret)
{
	const struct caps *caps = caps_get();
	struct leat_capabilities all = {
	    .sendfile_by_reference = caps_answer_of(caps->sendfile_by_reference),
	    .splice_by_reference = caps_answer_of(caps->splice_by_reference),
	    .copy_file_range = caps_answer_of(caps->copy_file_range),
	    .zerocopy = caps_answer_of(caps->zerocopy),
	    .uring = caps_answer_of(caps->uring),
	    .ktls = caps_answer_of(caps->ktls),
	    .cachestat = caps_answer_of(caps->cachestat),
	    .openat2 = caps_answer_of(caps->openat2),
	    .pipe_bytes_max = caps->pipe_bytes_max,
	};

	memcpy(all.kernel, caps->kernel, sizeof(all.kernel));
	border_give(ret, &all, sizeof(all));
	return 0;
}

static const char *caps_reference_word(enum caps_answer caps)
{
	static const char *const words[] = {
	    [CAPS_NO] = "copied",
	    [CAPS_YES] = "by reference",
	    [CAPS_UNPROVEN] = "unproven",
	};

	return words[caps];
}

static const char *caps_yes_no_word(enum caps_answer caps)
{
	static const char *const words[] = {
	    [CAPS_NO] = "no",
	    [CAPS_YES] = "yes",
	    [CAPS_UNPROVEN] = "unproven",
	};

	return words[caps];
}

int leat_capabilities_text(char *buf, size_t len)
{
	const struct caps *caps = caps_get();

	return snprintf(buf, len,
			"Linux %s: sendfile %s, splice %s, io_uring %s, kTLS %s, cachestat %s",
			caps->kernel, caps_reference_word(caps->sendfile_by_reference),
			caps_reference_word(caps->splice_by_reference),
			caps_yes_no_word(caps->uring), caps_yes_no_word(caps->ktls),
			caps_yes_no_word(caps->cachestat));
}
