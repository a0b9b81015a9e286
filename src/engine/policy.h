/*
 * The policy: which technique moves these bytes, and why. Pure: no system call, no state.
 *
 * It is asked once a segment, and again with one more bit in `refused` each time the kernel turned
 * a technique down before a byte had moved. The decision table stands in policy.c and nowhere else.
 */
#ifndef ENGINE_POLICY_H
#define ENGINE_POLICY_H

#include "base/check.h"
#include "leat/leat.h"

enum source_kind {
	SOURCE_MEMORY,
	SOURCE_FILE,   /* regular file with a size: a range of it */
	SOURCE_PSEUDO, /* regular file that claims 0 bytes, or is made at each read (procfs, sysfs):
			  read until it ends */
	SOURCE_PIPE,
	SOURCE_SOCKET,
	SOURCE_OTHER, /* terminal, character device */
	SOURCE_KIND_COUNT,
};

enum sink_kind {
	SINK_TCP,
	SINK_UNIX, /* stream socket of the UNIX family */
	SINK_PIPE,
	SINK_FILE,
	SINK_APPEND, /* file opened with O_APPEND: sendfile, splice and copy_file_range refuse it */
	SINK_OTHER,  /* terminal, character device, another socket family */
	SINK_KTLS,   /* TCP socket whose kernel encrypts what is sent (TLS_TX) */
	SINK_WRITER, /* a function that makes other bytes of them, such as TLS in this process */
	SINK_KIND_COUNT,
};

/* The sink sends other bytes than it gets: whatever technique brings them, they count as
 * transformed. */
static inline bool sink_transforms(enum sink_kind sink)
{
	return sink == SINK_KTLS || sink == SINK_WRITER;
}

/* Measured thresholds; the defaults stand in policy.c with their measurements,
 * leat_thresholds_set() replaces them. */
struct policy_limits {
	uint32_t copy_below;     /* file ranges shorter than this are read and sent with what stands
				    before */
	uint32_t zerocopy_above; /* MSG_ZEROCOPY is not worth its completion below this */
};
#define ZEROCOPY_NEVER UINT32_MAX

struct policy_input {
	enum source_kind source;
	enum sink_kind sink;
	uint64_t length;           /* LEAT_TO_END when unknown */
	enum leat_technique asked; /* LEAT_AUTO or forced */
	uint32_t refused; /* bit (1u << technique): the kernel refused it for this segment */
	bool mirrored;    /* there are mirrors: every byte has to go to several sinks */
	const struct policy_limits *limits;
};

struct policy_choice {
	enum leat_technique technique; /* never LEAT_AUTO */
	const char *reason;            /* constant */
	int error; /* 0, or -EOPNOTSUPP: forced, and can't do this pair at all */
};

extern const struct policy_limits policy_default_limits;

struct policy_choice policy_choose(const struct policy_input *input);

/* Whether an error of a technique's first call means "not for these descriptors" (so that the next
 * technique may try), and not "this transfer has failed". */
bool policy_is_refusal(enum leat_technique technique, int error);

#endif
