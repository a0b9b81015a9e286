/*
 * Rounds into rows: which transfers, how often, and what their answers mean.
 */
#ifndef LAB_MEASURE_H
#define LAB_MEASURE_H

#include "lab/session.h"
#include "lab/stats.h"

/* What copystat counted, per byte. Under a heavy load it loses a packet now and then, so a full run
 * counts several rounds. */
#define COUNTED_ROUNDS_MAX 3
#define COUNTED_METRICS    5

struct counted {
	uint32_t rounds[LEAT_TECHNIQUE_COUNT];
	double values[LEAT_TECHNIQUE_COUNT][COUNTED_METRICS][COUNTED_ROUNDS_MAX];
};

/* Techniques side by side over the same bytes. */
struct contest {
	uint32_t techniques; /* bit (1u << technique) */
	enum lab_source source;
	int file;
	uint64_t size;   /* of a transfer */
	uint64_t bytes;  /* about as many in a round */
	uint32_t rounds; /* at most, if the time allows */
	uint32_t rounds_min;
	uint32_t rounds_counted; /* by copystat, before the others; at most COUNTED_ROUNDS_MAX */
	uint64_t until_ns;
	enum lab_proof proofs[LEAT_TECHNIQUE_COUNT];
	const struct counted *counted; /* NULL: the engine's ledger has to do */
};

/* Rounds of each technique, counted (session_count()). */
int measure_copies(struct session *session, const struct contest *contest, struct counted *ret,
		   struct err *err);

/* Runs the rounds in turn, to and fro, and adds a row for each technique. On an error the rounds so
 * far count, if there were enough of them. */
int measure(struct session *session, const struct contest *contest, struct lab_result *result,
	    struct err *err);

/* The figures of one round; `proof` speaks where the engine's ledger has no evidence. */
void measure_figures(const struct round *round, enum leat_technique technique, enum lab_proof proof,
		     double ret[METRIC_COUNT]);

#endif
