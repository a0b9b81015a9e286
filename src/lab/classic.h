/*
 * The table that everybody repeats, with the measured numbers beside its claims:
 *
 *     read + write                    4 copies   4 switches
 *     mmap + write                    3 copies   4 switches
 *     sendfile                        3 copies   2 switches
 *     sendfile with scatter-gather    2 copies   2 switches
 *     splice                          2 copies   2 switches
 *
 * Two of the copies are the disk's and the network card's DMA, which no CPU makes: the lab counts
 * the others. Switches are counted for a transfer of one buffer. Pure: from rows to sentences.
 */
#ifndef LAB_CLASSIC_H
#define LAB_CLASSIC_H

#include "lab/model.h"

#define CLASSIC_CLAIMS 5
#define CLASSIC_SIZE   (64u * 1024u) /* of a transfer: one buffer of read + write */

struct classic_claim {
	const char *name; /* "read + write" */
	enum leat_technique technique;
	unsigned copies, cpu_copies, switches; /* as the table has them */
};
extern const struct classic_claim classic_claims[CLASSIC_CLAIMS];

struct classic_verdict {
	const struct classic_claim *claim;
	const struct lab_row *row; /* NULL: not measured */
	double cpu_copies, switches;
	bool copies_hold, switches_hold;
	char sentence[400]; /* what came out different, and why; "" when nothing did */
};

void classic_judge(const struct lab_result *result, struct classic_verdict ret[CLASSIC_CLAIMS]);

/* What the maintainers of the kernel ask: how much of sendfile's gain is the copy that it avoids,
 * and how much the user memory and the calls? CPU seconds per GB of both processes, over a veth pair
 * without segmentation offload, so that scatter-gather is all that differs between the last two. */
struct classic_gain {
	bool known;
	uint64_t size;
	struct lab_figure copy, mmap, copied, by_reference; /* the last two by sendfile */
	char sentence[600];
};

void classic_gain(const struct lab_result *result, struct classic_gain *ret);

#endif
