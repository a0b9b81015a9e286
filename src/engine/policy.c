/*
 * The table of decisions. policy_choose() goes through `rules` from the top and takes the first
 * that fits source, sink and length, and was not refused: so the order is the preference, and a
 * refusal leads on to the next. A forced technique passes the rules by; `able` says whether it can
 * do it at all. What counts as a refusal is at the end, policy_is_refusal().
 */
#include "engine/policy.h"

#include <errno.h>

const struct policy_limits policy_default_limits = {
    /* bench/crossover on loopback: reading and one send cost 0.9 of send + sendfile at 6 KiB, 1.4
     * at 8 KiB. */
    .copy_below = 8 * 1024,
    /* No real network device has been measured; on loopback every completion said "copied". */
    .zerocopy_above = ZEROCOPY_NEVER,
};

#define BIT(n) (1u << (n))

/* Sets of kinds. */
#define MEMORY BIT(SOURCE_MEMORY)
#define FILES  BIT(SOURCE_FILE)
#define PSEUDO BIT(SOURCE_PSEUDO)
#define PIPE   BIT(SOURCE_PIPE)
#define SOCKET BIT(SOURCE_SOCKET)
#define DEVICE BIT(SOURCE_OTHER)
#define ANY    (BIT(SOURCE_KIND_COUNT) - 1)

#define TO_TCP    BIT(SINK_TCP)
#define TO_UNIX   BIT(SINK_UNIX)
#define TO_KTLS   BIT(SINK_KTLS)
#define TO_WRITER BIT(SINK_WRITER)
#define TO_SOCKET (TO_TCP | TO_UNIX | TO_KTLS)
#define TO_PIPE   BIT(SINK_PIPE)
#define TO_FILE   BIT(SINK_FILE)
#define TO_APPEND BIT(SINK_APPEND)
#define TO_DEVICE BIT(SINK_OTHER)
#define TO_ANY    (BIT(SINK_KIND_COUNT) - 1)
/* Every sink that has a splice_write: the kernel refuses files in append mode. */
#define TO_SPLICE (TO_ANY & ~(TO_APPEND | TO_WRITER))
/* Those that may be given pages which somebody else holds, too. kTLS encrypts a record when it is
 * full, which may be after the call that brought the pages: those of user memory could have changed
 * by then, and no completion would say when it is over. */
#define TO_SHARED (TO_SPLICE & ~TO_KTLS)

enum when { ALWAYS, SHORT, LONG, MIRRORED };

struct rule {
	uint32_t sources, sinks;
	enum when when;
	enum leat_technique technique;
	const char *reason;
};

/* The decision table of LEAT_AUTO: the first rule that fits and was not refused. The last one of
 * each half fits everything, so that there is always an answer. */
static const struct rule rules[] = {
    {ANY & ~MEMORY, TO_SHARED, MIRRORED, LEAT_TEE, "one source to several sinks"},
    {ANY & ~MEMORY, TO_ANY, MIRRORED, LEAT_COPY, "several sinks, and pages can't be shared"},
    {MEMORY, TO_ANY, MIRRORED, LEAT_COPY, "memory to several sinks"},

    {ANY, TO_WRITER, ALWAYS, LEAT_COPY, "the sink is a writer: it takes bytes, not pages"},

    {MEMORY, TO_TCP, LONG, LEAT_ZEROCOPY, "long memory to a TCP socket"},
    {MEMORY, TO_ANY, ALWAYS, LEAT_COPY, "memory: one send with its neighbours"},

    {FILES, TO_SOCKET, SHORT, LEAT_COPY, "short file range: one send with what stands before"},
    {FILES, TO_TCP, ALWAYS, LEAT_SENDFILE, "file to TCP socket"},
    {FILES, TO_UNIX, ALWAYS, LEAT_SENDFILE, "file to UNIX socket"},
    {FILES, TO_KTLS, ALWAYS, LEAT_SENDFILE, "file to kTLS socket: encrypted from the page cache"},
    {FILES, TO_PIPE, ALWAYS, LEAT_SPLICE, "file to pipe"},
    {FILES, TO_FILE, ALWAYS, LEAT_RANGE_COPY, "file to file"},
    {FILES, TO_SPLICE, ALWAYS, LEAT_SENDFILE, "file to a descriptor"},
    {FILES, TO_SPLICE, ALWAYS, LEAT_SPLICE, "file to a descriptor, through a pipe"},

    {PIPE | SOCKET, TO_SPLICE, ALWAYS, LEAT_SPLICE, "stream to a descriptor, through a pipe"},

    {PSEUDO, TO_ANY, ALWAYS, LEAT_COPY, "source is a pseudo-file: its size is not known"},
    {DEVICE, TO_ANY, ALWAYS, LEAT_COPY, "source is a device: it has no pages to hand over"},
    {ANY, TO_APPEND, ALWAYS, LEAT_COPY, "sink is in append mode: the kernel takes no pages"},
    {ANY, TO_ANY, ALWAYS, LEAT_COPY, "nothing better is left"},
};

/* What a technique can do at all, for when it is forced. Not mmap to a writer: it would touch the
 * mapping in this process, and a file that becomes shorter meanwhile would be SIGBUS. */
static const struct {
	uint32_t sources, sinks;
} able[LEAT_TECHNIQUE_COUNT] = {
    [LEAT_COPY] = {ANY, TO_ANY},
    [LEAT_MMAP] = {FILES, TO_ANY & ~TO_WRITER},
    [LEAT_SENDFILE] = {FILES | PSEUDO, TO_SPLICE},
    [LEAT_SPLICE] = {ANY & ~MEMORY, TO_SPLICE},
    [LEAT_TEE] = {ANY & ~MEMORY, TO_SHARED},
    [LEAT_VMSPLICE] = {MEMORY | FILES, TO_SHARED},
    [LEAT_ZEROCOPY] = {MEMORY | FILES, TO_TCP},
    [LEAT_RANGE_COPY] = {FILES, TO_FILE},
    [LEAT_URING] = {ANY, TO_SHARED},
};

static bool policy_condition_holds(enum when when, const struct policy_input *input)
{
	if (input->mirrored != (when == MIRRORED))
		return false;
	switch (when) {
	case SHORT:
		return input->length < input->limits->copy_below;
	case LONG:
		return input->limits->zerocopy_above != ZEROCOPY_NEVER &&
		       input->length >= input->limits->zerocopy_above;
	case ALWAYS:
	case MIRRORED:
		break;
	}
	return true;
}

static struct policy_choice policy_choose_forced(const struct policy_input *input)
{
	enum leat_technique asked = input->asked;

	if (!(able[asked].sources & BIT(input->source)))
		return (struct policy_choice){asked, "asked for, but not for such a source",
					      -EOPNOTSUPP};
	if (!(able[asked].sinks & BIT(input->sink)))
		return (struct policy_choice){asked, "asked for, but not for such a sink",
					      -EOPNOTSUPP};
	if (input->mirrored && asked != LEAT_COPY && asked != LEAT_TEE)
		return (struct policy_choice){asked, "asked for, but not for several sinks",
					      -EOPNOTSUPP};
	if (input->refused & BIT(asked))
		return (struct policy_choice){asked, "asked for, but refused", -EOPNOTSUPP};
	return (struct policy_choice){asked, "asked for", 0};
}

struct policy_choice policy_choose(const struct policy_input *input)
{
	if (input->asked != LEAT_AUTO)
		return policy_choose_forced(input);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *rule = &rules[i];

		if (rule->sources & BIT(input->source) && rule->sinks & BIT(input->sink) &&
		    !(input->refused & BIT(rule->technique)) &&
		    policy_condition_holds(rule->when, input))
			return (struct policy_choice){rule->technique, rule->reason, 0};
	}
	return (struct policy_choice){LEAT_COPY, "everything was refused", -EOPNOTSUPP};
}

/*
 * The first call of a technique that says one of these has said "not for these descriptors":
 *   EINVAL      no splice_read or splice_write, O_APPEND, a sealed sink
 *   ENOSYS      an old kernel, or a seccomp filter
 *   EOPNOTSUPP  MSG_ZEROCOPY on a UNIX socket, FICLONERANGE
 *   EXDEV       copy_file_range between file systems before 5.3 (and some after)
 *   EPERM       seccomp, cifs;  EACCES: cephfs's copy_file_range, mmap of a file without read right
 *   EBADF       copy_file_range into a file in append mode
 *   ENODEV      a file that can't be mapped
 *   ESPIPE      an offset for what can't seek
 *   EMFILE, ENFILE, ENOMEM  no pipe, ring or mapping to be had: reading and writing needs none
 * Sources: kernel 6.12, and the fallbacks of libuv, Rust's std and OpenJDK, found in years of use.
 */
bool policy_is_refusal(enum leat_technique technique, int error)
{
	if (technique == LEAT_COPY || technique == LEAT_AUTO)
		return false;
	switch (error) {
	case -EINVAL:
	case -ENOSYS:
	case -EOPNOTSUPP:
	case -EXDEV:
	case -EPERM:
	case -EACCES:
	case -ESPIPE:
		return true;
	case -EBADF:
		return technique == LEAT_RANGE_COPY;
	case -ENODEV:
		return technique == LEAT_MMAP || technique == LEAT_VMSPLICE ||
		       technique == LEAT_ZEROCOPY;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return technique != LEAT_SENDFILE && technique != LEAT_RANGE_COPY;
	default:
		return false;
	}
}
