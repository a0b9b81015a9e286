#include "lab/measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* More transfers in a round make it longer and not truer. */
#define TRANSFERS_MAX 4096

struct tally {
	double values[METRIC_COUNT][LAB_ROUNDS_MAX];
	uint32_t rounds;
};

/* Where copystat did not count: what the technique is known to do, for the bytes that the engine's
 * ledger says went this way. */
static void engine_copies(const struct round *round, enum leat_technique technique,
			  enum lab_proof proof, double ret[METRIC_COUNT])
{
	const struct leat_ledger *ledger = &round->sender.ledger;
	double bytes = (double)round->bytes;

	/* read + write copies twice, everything else that copies at the call does so once. */
	ret[METRIC_USER_COPIES] =
	    (technique == LEAT_COPY ? 2 : 1) * (double)ledger->bytes_copied / bytes;
	ret[METRIC_KERNEL_COPIES] = (double)ledger->bytes_copied_later / bytes;
	ret[METRIC_BY_REFERENCE] = (double)ledger->bytes_by_reference / bytes;
	/* What the engine has no evidence for (a second sink that is a device), the proof has. */
	if (proof == PROOF_BY_REFERENCE)
		ret[METRIC_BY_REFERENCE] += (double)ledger->bytes_unknown / bytes;
	ret[METRIC_RECEIVER_COPIES] = 1; /* recv(2) into memory */
}

void measure_figures(const struct round *round, enum leat_technique technique, enum lab_proof proof,
		     double ret[METRIC_COUNT])
{
	const struct usage *sender = &round->sender.usage, *receiver = &round->receiver.usage;
	double bytes = (double)round->bytes, mib = bytes / LAB_MIB, gb = bytes / LAB_GB;
	double wall_ns = (double)(receiver->end_ns - sender->start_ns);

	ret[METRIC_SYSCALLS] = (double)round->sender.ledger.syscalls / mib;
	ret[METRIC_SWITCHES] = 2 * ret[METRIC_SYSCALLS];
	ret[METRIC_CONTEXT_SWITCHES] = (double)sender->switches / mib;
	ret[METRIC_FAULTS] = (double)sender->faults / mib;
	ret[METRIC_SENDER_CPU] = (double)sender->cpu_ns / 1e9 / gb;
	ret[METRIC_RECEIVER_CPU] = (double)receiver->cpu_ns / 1e9 / gb;
	ret[METRIC_BOTH_CPU] = ret[METRIC_SENDER_CPU] + ret[METRIC_RECEIVER_CPU];
	ret[METRIC_RATE] = wall_ns > 0 ? bytes / wall_ns : NAN; /* bytes per ns are GB per s */
	ret[METRIC_DISK_DMA] = (double)sender->disk_bytes / bytes;
	if (round->counter == COUNTED_BY_COPYSTAT) {
		ret[METRIC_USER_COPIES] = (double)round->user_copied / bytes;
		ret[METRIC_KERNEL_COPIES] = (double)round->kernel_copied / bytes;
		ret[METRIC_BY_REFERENCE] = (double)round->by_reference / bytes;
		ret[METRIC_RECEIVER_COPIES] = (double)round->receiver_copied / bytes;
	} else {
		engine_copies(round, technique, proof, ret);
	}
	ret[METRIC_COPIES] = ret[METRIC_USER_COPIES] + ret[METRIC_KERNEL_COPIES];
}

static struct order order_of(const struct contest *contest, enum leat_technique technique)
{
	uint64_t count = contest->bytes / contest->size;

	count = count < 1 ? 1 : min_u64(count, TRANSFERS_MAX);
	return (struct order){
	    .kind = ORDER_SEND,
	    .technique = technique,
	    .file = contest->file,
	    .drop = contest->source == LAB_COLD,
	    .size = contest->size,
	    .count = (uint32_t)count,
	    .bytes = contest->size * count,
	};
}

static int one(struct session *session, const struct contest *contest,
	       enum leat_technique technique, struct tally *tally, struct err *err)
{
	const struct order order = order_of(contest, technique);
	double figures[METRIC_COUNT];
	struct round round;
	int r = session_round(session, &order, &round, err);

	if (r < 0 || !tally)
		return r;
	measure_figures(&round, technique, contest->proofs[technique], figures);
	for (unsigned m = 0; m < METRIC_COUNT; m++)
		tally->values[m][tally->rounds] = figures[m];
	tally->rounds++;
	return 0;
}

static const enum lab_metric copy_metrics[COUNTED_METRICS] = {METRIC_COPIES, METRIC_USER_COPIES,
							      METRIC_KERNEL_COPIES,
							      METRIC_RECEIVER_COPIES,
							      METRIC_BY_REFERENCE};

static int count_one(struct session *session, const struct contest *contest,
		     enum leat_technique technique, struct counted *ret, struct err *err)
{
	const struct order order = order_of(contest, technique);
	double figures[METRIC_COUNT];
	struct round round;
	int r = session_round(session, &order, &round, err);

	if (r < 0 || round.counter != COUNTED_BY_COPYSTAT)
		return r;
	measure_figures(&round, technique, contest->proofs[technique], figures);
	for (unsigned m = 0; m < COUNTED_METRICS; m++)
		ret->values[technique][m][ret->rounds[technique]] = figures[copy_metrics[m]];
	ret->rounds[technique]++;
	return 0;
}

int measure_copies(struct session *session, const struct contest *contest, struct counted *ret,
		   struct err *err)
{
	int r = 0;

	CHECK(contest->rounds_counted <= COUNTED_ROUNDS_MAX);
	for (uint32_t round = 0; round < contest->rounds_counted; round++)
		for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT && r == 0; t++)
			if (contest->techniques & 1u << t)
				r = count_one(session, contest, (enum leat_technique)t, ret, err);
	return r;
}

/* What copystat counted stands for what the ledger says in each timed round. */
static void put_counted(const struct counted *counted, struct lab_row *row)
{
	unsigned technique = row->technique;
	double values[COUNTED_ROUNDS_MAX];

	if (!counted || counted->rounds[technique] == 0)
		return;
	row->counter = COUNTED_BY_COPYSTAT;
	for (unsigned m = 0; m < COUNTED_METRICS; m++) {
		memcpy(values, counted->values[technique][m], sizeof(values));
		row->figures[copy_metrics[m]] = lab_figure_of(values, counted->rounds[technique]);
	}
}

/* Every technique once; every other round backwards, so that nobody always runs after the same
 * neighbour. The round before the first is for buffers to grow, and is not noted; it is left out with
 * what else there is no time for. */
static int turn(struct session *session, const struct contest *contest, unsigned round,
		struct tally *tallies, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < LEAT_TECHNIQUE_COUNT && r == 0; i++) {
		unsigned technique = round % 2 ? LEAT_TECHNIQUE_COUNT - 1 - i : i;

		if (contest->techniques & 1u << technique)
			r = one(session, contest, (enum leat_technique)technique,
				tallies ? &tallies[technique] : NULL, err);
	}
	return r;
}

static int add_rows(const struct session *session, const struct contest *contest,
		    struct tally *tallies, struct lab_result *result)
{
	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		struct tally *tally = &tallies[t];
		struct lab_row *row;

		if (tally->rounds == 0)
			continue;
		row = lab_result_add(result);
		if (!row)
			return -ENOMEM;
		row->technique = (enum leat_technique)t;
		row->transport = session->transport;
		row->source = contest->source;
		row->size = contest->size;
		row->transfers = order_of(contest, row->technique).count;
		row->rounds = tally->rounds;
		row->proof = contest->proofs[t];
		for (unsigned m = 0; m < METRIC_COUNT; m++)
			row->figures[m] = lab_figure_of(tally->values[m], tally->rounds);
		put_counted(contest->counted, row);
	}
	return 0;
}

int measure(struct session *session, const struct contest *contest, struct lab_result *result,
	    struct err *err)
{
	struct tally *tallies = calloc(LEAT_TECHNIQUE_COUNT, sizeof(*tallies));
	int r, added;

	if (!tallies)
		return err_set(err, -ENOMEM, "no memory");
	r = contest->rounds_min > 1 ? turn(session, contest, 0, NULL, err) : 0;
	for (unsigned round = 0; r == 0 && round < contest->rounds; round++) {
		if (round >= contest->rounds_min && sys_now_ns() > contest->until_ns)
			break;
		r = turn(session, contest, round, tallies, err);
	}
	added = add_rows(session, contest, tallies, result);
	free(tallies);
	return r < 0 ? r : added;
}
