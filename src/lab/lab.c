#include "lab/lab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "copystat/copystat.h"
#include "lab/crossover.h"
#include "lab/machine.h"
#include "lab/measure.h"
#include "lab/source.h"
#include "sys/sys.h"

#define SECOND_NS UINT64_C(1000000000)

/* How long, and how much: the quick run is for a look and for tests, the full one for figures. */
struct scale {
	uint64_t seconds; /* for everything: when they are over, what is left gets one round each */
	uint64_t round_bytes; /* small files are sent again and again until this is moved */
	uint32_t rounds, rounds_min, rounds_counted;
	uint32_t sources;    /* when none are named */
	uint64_t other_size; /* of the files on other file systems, and the cold one */
	unsigned size_count;
	uint64_t sizes[LAB_SIZES_MAX];
};

static const struct scale quick_scale = {
    .seconds = 12,
    .round_bytes = 4u << 20,
    .rounds = 5,
    .rounds_min = 2,
    .rounds_counted = 1,
    .sources = 1u << LAB_CACHED | 1u << LAB_COLD | 1u << LAB_TMPFS,
    .other_size = 1u << 20,
    .size_count = 3,
    .sizes = {4u << 10, 64u << 10, 1u << 20},
};

static const struct scale full_scale = {
    .seconds = 330,
    .round_bytes = 32u << 20,
    .rounds = 11,
    .rounds_min = 3,
    .rounds_counted = 3,
    .sources = (1u << LAB_SOURCE_COUNT) - 1,
    .other_size = 16u << 20,
    .size_count = 8,
    .sizes = {1u << 10, 4u << 10, 16u << 10, 64u << 10, 256u << 10, 1u << 20, 16u << 20,
	      256u << 20},
};

struct run {
	const struct lab_options *options;
	struct scale scale;
	struct lab_result *result;
	struct lab_files files;
	unsigned steps, steps_done; /* contests */
	uint64_t start_ns;
};

/* All contests of one transport: its sizes, and on the first transport the other files. */
struct program {
	struct contest contests[LAB_SIZES_MAX + LAB_SOURCE_COUNT];
	struct counted counted[LAB_SIZES_MAX + LAB_SOURCE_COUNT];
	unsigned count;
};

static bool stopped(const struct run *run)
{
	return run->options->stop && *run->options->stop;
}

static void tell(const struct run *run, const char *what)
{
	if (run->options->progress)
		run->options->progress(run->options->progress_arg, what,
				       run->steps ? (double)run->steps_done / run->steps : 0);
}

static void tell_contest(const struct run *run, enum lab_transport transport,
			 const struct contest *contest)
{
	char text[SIZE_TEXT_MAX], what[128];

	snprintf(what, sizeof(what), "%s, %s file, %s", lab_transport_title(transport),
		 lab_source_name(contest->source), size_format(contest->size, text));
	tell(run, what);
}

/* What is left of the time is shared by what is left to do. */
static void give_time(const struct run *run, struct contest *contest)
{
	uint64_t now_ns = sys_now_ns(), end_ns = run->start_ns + run->scale.seconds * SECOND_NS;
	unsigned left = run->steps > run->steps_done ? run->steps - run->steps_done : 1;

	contest->until_ns = now_ns;
	if (now_ns < end_ns)
		contest->until_ns += (end_ns - now_ns) / left;
	else
		contest->rounds_min = 1;
}

/* ---- what is to be measured ---- */

static void add_contest(const struct run *run, struct program *program, enum lab_source source,
			uint64_t size)
{
	struct contest *contest = &program->contests[program->count];

	*contest = (struct contest){
	    .techniques = run->options->techniques,
	    .source = source,
	    .file = run->files.fds[source],
	    .size = size,
	    .bytes = run->scale.round_bytes,
	    .rounds = run->scale.rounds,
	    .rounds_min = run->scale.rounds_min,
	    .rounds_counted = run->scale.rounds_counted,
	};
	program->count++;
}

static bool is_first(const struct run *run, enum lab_transport transport)
{
	return (run->options->transports & ((1u << transport) - 1)) == 0;
}

static void make_program(const struct run *run, enum lab_transport transport,
			 struct program *program)
{
	memset(program, 0, sizeof(*program));
	if (run->scale.sources & 1u << LAB_CACHED)
		for (unsigned i = 0; i < run->scale.size_count; i++)
			add_contest(run, program, LAB_CACHED, run->scale.sizes[i]);
	for (unsigned s = LAB_CACHED + 1; s < LAB_SOURCE_COUNT && is_first(run, transport); s++)
		if (run->scale.sources & 1u << s && run->files.fds[s] >= 0)
			add_contest(run, program, (enum lab_source)s, run->scale.other_size);
}

static unsigned count_steps(const struct run *run)
{
	unsigned steps = 0;

	for (unsigned t = 0; t < TRANSPORT_COUNT; t++) {
		struct program program;

		if (!(run->options->transports & 1u << t))
			continue;
		make_program(run, (enum lab_transport)t, &program);
		steps += program.count;
	}
	return steps;
}

/* ---- one transport ---- */

/* The proof of each technique; those that are refused drop out of all contests. */
static int prove_all(const struct run *run, struct session *session, struct program *program)
{
	enum lab_proof proofs[LEAT_TECHNIQUE_COUNT] = {PROOF_NOT_RUN};
	uint32_t techniques = run->options->techniques;

	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		struct err err = {.text = ""};
		int r;

		if (!(techniques & 1u << t))
			continue;
		r = session_prove(session, (enum leat_technique)t, &proofs[t], &err);
		if (r == 0)
			continue;
		if (stopped(run))
			return -EINTR;
		techniques &= ~(1u << t);
		lab_result_note(run->result, "%s: %s is left out: %s",
				lab_transport_name(session->transport),
				leat_technique_name((enum leat_technique)t), err.text);
	}
	for (unsigned i = 0; i < program->count; i++) {
		program->contests[i].techniques = techniques;
		memcpy(program->contests[i].proofs, proofs, sizeof(proofs));
	}
	return 0;
}

/* Every contest once under copystat, which then goes: the rounds that are timed don't pay for it.
 * Where it can't be had the engine's own ledger has to do. */
static int count_all(const struct run *run, struct session *session, struct program *program,
		     struct err *err)
{
	const struct copystat_options options = {.backend = COPYSTAT_BACKEND_AUTO};
	struct copystat *copystat;
	int r = copystat_new(&options, &copystat, err);

	if (r < 0) {
		lab_result_note(run->result, "copies are counted by the engine's own ledger: %s",
				err->text);
		return 0;
	}
	session_count(session, copystat);
	for (unsigned i = 0; i < program->count && r == 0; i++) {
		r = measure_copies(session, &program->contests[i], &program->counted[i], err);
		program->contests[i].counted = &program->counted[i];
	}
	session_count(session, NULL);
	copystat_free(copystat);
	return r;
}

static int time_all(struct run *run, struct session *session, struct program *program,
		    struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < program->count && r == 0; i++) {
		struct contest *contest = &program->contests[i];

		give_time(run, contest);
		tell_contest(run, session->transport, contest);
		r = measure(session, contest, run->result, err);
		run->steps_done++;
	}
	return r;
}

/* Where both ways are asked for, on loopback. */
static int find_crossover(const struct run *run, struct session *session, struct err *err)
{
	const uint32_t both = 1u << LEAT_COPY | 1u << LEAT_SENDFILE;

	if (session->transport != TRANSPORT_TCP || (run->options->techniques & both) != both)
		return 0;
	tell(run, "the crossover from read + write to sendfile");
	return crossover_measure(session, run->files.fds[LAB_CACHED], run->scale.rounds,
				 run->scale.round_bytes / 2, run->result, err);
}

static int run_transport(struct run *run, enum lab_transport transport, struct err *err)
{
	struct program program;
	struct session session;
	char what[128];
	int r;

	make_program(run, transport, &program);
	snprintf(what, sizeof(what), "%s, proofs and copies", lab_transport_title(transport));
	tell(run, what);
	r = session_open(&session, transport, run->options, err);
	if (r < 0)
		return r;
	r = prove_all(run, &session, &program);
	if (r == 0)
		r = count_all(run, &session, &program, err);
	if (r == 0)
		r = time_all(run, &session, &program, err);
	if (r == 0)
		r = find_crossover(run, &session, err);
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

/* ---- the whole ---- */

/* The crossover has sizes of its own, whatever is asked for: a threshold from some of them would be
 * the end of what was looked at. */
static uint64_t largest(const struct scale *scale)
{
	uint64_t size =
	    max_u64(CROSSOVER_LARGEST, scale->sources & 1u << LAB_COLD ? scale->other_size : 0);

	for (unsigned i = 0; i < scale->size_count; i++)
		size = max_u64(size, scale->sizes[i]);
	return size;
}

static void plan(struct run *run)
{
	const struct lab_options *options = run->options;

	run->scale = options->quick ? quick_scale : full_scale;
	if (options->sources != 0)
		run->scale.sources = options->sources;
	if (options->size_count > 0) {
		run->scale.size_count = options->size_count;
		memcpy(run->scale.sizes, options->sizes, sizeof(run->scale.sizes));
		run->scale.other_size = options->sizes[options->size_count - 1];
	}
}

int lab_run(const struct lab_options *options, struct lab_result *ret, struct err *err)
{
	struct run run = {.options = options, .result = ret, .start_ns = sys_now_ns()};
	int r;

	*ret = (struct lab_result){.quick = options->quick};
	machine_describe(ret);
	plan(&run);
	files_init(&run.files);
	tell(&run, "making files");
	r = files_make_cached(&run.files, largest(&run.scale), ret, err);
	if (r == 0) {
		files_make_others(&run.files, run.scale.sources, run.scale.other_size, ret);
		run.steps = count_steps(&run);
		run_transports(&run);
	}
	files_close(&run.files);
	ret->seconds = (double)(sys_now_ns() - run.start_ns) / 1e9;
	ret->interrupted = stopped(&run);
	if (ret->interrupted)
		lab_result_note(ret, "what had not been measured when the run was interrupted");
	return r == 0 && stopped(&run) ? -EINTR : r;
}
