/*
 * The public view of sys/caps.h.
 */
#include <stdio.h>
#include <string.h>

#include "engine/border.h"
#include "leat/leat.h"
#include "sys/caps.h"

static enum leat_answer answer(enum caps_answer caps)
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
	    .sendfile_by_reference = answer(caps->sendfile_by_reference),
	    .splice_by_reference = answer(caps->splice_by_reference),
	    .copy_file_range = answer(caps->copy_file_range),
	    .zerocopy = answer(caps->zerocopy),
	    .uring = answer(caps->uring),
	    .ktls = answer(caps->ktls),
	    .cachestat = answer(caps->cachestat),
	    .openat2 = answer(caps->openat2),
	    .pipe_bytes_max = caps->pipe_bytes_max,
	};

	memcpy(all.kernel, caps->kernel, sizeof(all.kernel));
	border_give(ret, &all, sizeof(all));
	return 0;
}

static const char *by_reference(enum caps_answer caps)
{
	static const char *const words[] = {
	    [CAPS_NO] = "copied",
	    [CAPS_YES] = "by reference",
	    [CAPS_UNPROVEN] = "unproven",
	};

	return words[caps];
}

static const char *yes_no(enum caps_answer caps)
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
			caps->kernel, by_reference(caps->sendfile_by_reference),
			by_reference(caps->splice_by_reference), yes_no(caps->uring),
			yes_no(caps->ktls), yes_no(caps->cachestat));
}
