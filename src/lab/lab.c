#include "lab/lab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "copystat/copystat.h"
#include "lab/machine.h"
#include "lab/measure.h"
#include "lab/source.h"
#include "sys/sys.h"

#define SECOND_NS UINT64_C(1000000000)

/* How long, and how much: the quick run is for a look and for tests, the full one for figures. */
struct scale {
	uint64_t seconds;     /* for everything; a limit for the number of rounds, not a goal */
	uint64_t round_bytes; /* small files are sent again and again until this is moved */
	uint32_t rounds, rounds_min;
	unsigned size_count;
	uint64_t sizes[LAB_SIZES_MAX];
};

static const struct scale quick_scale = {
    .seconds = 20,
    .round_bytes = 4u << 20,
    .rounds = 5,
    .rounds_min = 2,
    .size_count = 3,
    .sizes = {4u << 10, 64u << 10, 1u << 20},
};

static const struct scale full_scale = {
    .seconds = 420,
    .round_bytes = 32u << 20,
    .rounds = 11,
    .rounds_min = 3,
    .size_count = 8,
    .sizes = {1u << 10, 4u << 10, 16u << 10, 64u << 10, 256u << 10, 1u << 20, 16u << 20,
	      256u << 20},
};

struct run {
	const struct lab_options *options;
	struct scale scale;
	struct lab_result *result;
	struct lab_files files;
	struct copystat *copystat;  /* NULL: not here */
	unsigned steps, steps_done; /* contests */
	uint64_t start_ns;
};

static bool stopped(const struct run *run)
{
	return run->options->stop && *run->options->stop;
}

static void tell(const struct run *run, enum lab_transport transport, enum lab_source source,
		 uint64_t size)
{
	char text[SIZE_TEXT_MAX], what[128];

	if (!run->options->progress)
		return;
	snprintf(what, sizeof(what), "%s, %s file, %s", lab_transport_title(transport),
		 lab_source_name(source), size_format(size, text));
	run->options->progress(run->options->progress_arg, what,
			       run->steps ? (double)run->steps_done / run->steps : 0);
}

/* What is left of the time, shared by what is left to do. */
static uint64_t share_until(const struct run *run)
{
	uint64_t now_ns = sys_now_ns(), end_ns = run->start_ns + run->scale.seconds * SECOND_NS;
	unsigned left = run->steps > run->steps_done ? run->steps - run->steps_done : 1;

	return now_ns + (end_ns > now_ns ? (end_ns - now_ns) / left : 0);
}

/* The proof of each technique; those that are refused drop out. */
static int prove_all(const struct run *run, struct session *session, struct contest *contest,
		     struct err *err)
{
	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		int r;

		if (!(contest->techniques & 1u << t))
			continue;
		r = session_prove(session, (enum leat_technique)t, &contest->proofs[t], err);
		if (r == -EINTR)
			return r;
		if (r == 0)
			continue;
		contest->techniques &= ~(1u << t);
		lab_result_note(run->result, "%s: %s is left out: %s",
				lab_transport_name(session->transport),
				leat_technique_name((enum leat_technique)t), err->text);
	}
	return 0;
}

static int run_sizes(struct run *run, struct session *session, struct contest *contest,
		     struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < run->scale.size_count && r == 0 && !stopped(run); i++) {
		contest->size = run->scale.sizes[i];
		contest->until_ns = share_until(run);
		tell(run, session->transport, contest->source, contest->size);
		r = measure(session, contest, run->result, err);
		run->steps_done++;
	}
	return r;
}

static int run_transport(struct run *run, enum lab_transport transport, struct err *err)
{
	struct contest contest = {
	    .techniques = run->options->techniques,
	    .source = LAB_CACHED,
	    .file = run->files.fds[LAB_CACHED],
	    .bytes = run->scale.round_bytes,
	    .rounds = run->scale.rounds,
	    .rounds_min = run->scale.rounds_min,
	};
	struct session session;
	int r = session_open(&session, transport, run->options, run->copystat, err);

	if (r < 0)
		return r;
	r = prove_all(run, &session, &contest, err);
	if (r == 0)
		r = run_sizes(run, &session, &contest, err);
	session_close(&session);
	return r;
}

/* One transport that can't be had, or breaks, is a line; the others go on. */
static void run_transports(struct run *run)
{
	for (unsigned t = 0; t < TRANSPORT_COUNT && !stopped(run); t++) {
		struct err err = {.text = ""};
		int r;

		if (!(run->options->transports & 1u << t))
			continue;
		r = run_transport(run, (enum lab_transport)t, &err);
		if (r < 0 && !stopped(run)) /* Ctrl-C ends the workers too */
			lab_result_note(run->result, "%s is left out: %s",
					lab_transport_name((enum lab_transport)t), err.text);
	}
}

static void open_copystat(struct run *run)
{
	const struct copystat_options options = {.backend = COPYSTAT_BACKEND_AUTO};
	struct err err = {.text = ""};
	int r = copystat_new(&options, &run->copystat, &err);

	if (r == 0)
		return;
	run->copystat = NULL;
	lab_result_note(run->result, "copies are counted by the engine's own ledger: %s", err.text);
}

static uint64_t largest(const struct scale *scale)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < scale->size_count; i++)
		size = max_u64(size, scale->sizes[i]);
	return size;
}

static void plan(struct run *run)
{
	run->scale = run->options->quick ? quick_scale : full_scale;
	if (run->options->size_count > 0) {
		run->scale.size_count = run->options->size_count;
		memcpy(run->scale.sizes, run->options->sizes, sizeof(run->scale.sizes));
	}
	run->steps = (unsigned)__builtin_popcount(run->options->transports) * run->scale.size_count;
}

int lab_run(const struct lab_options *options, struct lab_result *ret, struct err *err)
{
	struct run run = {.options = options, .result = ret, .start_ns = sys_now_ns()};
	int r;

	*ret = (struct lab_result){.quick = options->quick};
	machine_describe(ret);
	plan(&run);
	files_init(&run.files);
	r = files_make_cached(&run.files, largest(&run.scale), ret, err);
	if (r == 0) {
		open_copystat(&run);
		run_transports(&run);
		copystat_free(run.copystat);
	}
	files_close(&run.files);
	ret->seconds = (double)(sys_now_ns() - run.start_ns) / 1e9;
	ret->interrupted = stopped(&run);
	return r == 0 && stopped(&run) ? -EINTR : r;
}
