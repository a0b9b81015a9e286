#include "lab/classic.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

const struct classic_claim classic_claims[CLASSIC_CLAIMS] = {
    {"read + write", LEAT_COPY, 4, 2, 4}, {"mmap + write", LEAT_MMAP, 3, 1, 4},
    {"sendfile", LEAT_SENDFILE, 3, 1, 2}, {"sendfile with scatter-gather", LEAT_SENDFILE, 2, 0, 2},
    {"splice", LEAT_SPLICE, 2, 0, 2},
};

/* The claim of sendfile that copies is about a device without scatter-gather. */
static bool needs_no_gather(const struct classic_claim *claim)
{
	return claim->technique == LEAT_SENDFILE && claim->cpu_copies > 0;
}

static bool is_nearer(uint64_t size, const struct lab_row *than)
{
	double distance = fabs(log2((double)size / CLASSIC_SIZE));

	return !than || distance < fabs(log2((double)than->size / CLASSIC_SIZE));
}

/* The row of the size that is nearest to one buffer. */
static const struct lab_row *nearest(const struct lab_result *result, enum leat_technique technique,
				     enum lab_transport transport)
{
	const struct lab_row *found = NULL;

	for (size_t i = 0; i < result->row_count; i++) {
		const struct lab_row *row = &result->rows[i];

		if (row->technique == technique && row->transport == transport &&
		    row->source == LAB_CACHED && is_nearer(row->size, found))
			found = row;
	}
	return found;
}

static const struct lab_row *row_of(const struct lab_result *result,
				    const struct classic_claim *claim)
{
	static const enum lab_transport transports[] = {TRANSPORT_VETH, TRANSPORT_TCP,
							TRANSPORT_UNIX, TRANSPORT_VETH_GSO_OFF};
	const struct lab_row *row = NULL;

	if (needs_no_gather(claim))
		return nearest(result, claim->technique, TRANSPORT_VETH_SG_OFF);
	for (size_t i = 0; i < ARRAY_SIZE(transports) && !row; i++)
		row = nearest(result, claim->technique, transports[i]);
	return row;
}

/* ---- why ---- */

static void say(struct classic_verdict *verdict, const char *text)
{
	size_t used = strlen(verdict->sentence);

	snprintf(verdict->sentence + used, sizeof(verdict->sentence) - used, "%s%s",
		 used ? " " : "", text);
}

static void explain_copies(struct classic_verdict *verdict)
{
	const struct lab_row *row = verdict->row;
	bool more = verdict->cpu_copies > verdict->claim->cpu_copies;

	if (more && verdict->claim->cpu_copies == 0 && row->proof == PROOF_COPIED)
		say(verdict, "This kernel turns what is handed over by reference into a copy: the "
			     "mutation proof says so too.");
	else if (more && row->figures[METRIC_KERNEL_COPIES].median > 0.5)
		say(verdict, "The kernel copied the bytes once more behind the call: the device "
			     "takes no pages.");
	else if (!more && needs_no_gather(verdict->claim))
		say(verdict, "The device took pages although its scatter-gather is off.");
	else
		say(verdict, "No known reason fits: the rows above and --json have the details.");
}

static void explain_switches(struct classic_verdict *verdict)
{
	enum leat_technique technique = verdict->claim->technique;
	char text[256];

	if (verdict->row->size > 2 * CLASSIC_SIZE)
		say(verdict, "A transfer of this size takes several calls; --size 64k shows one.");
	else if (technique == LEAT_SPLICE && verdict->switches >= 3.5)
		say(verdict, "splice needs two calls, file to pipe and pipe to socket; the table "
			     "repeats the count of sendfile.");
	else if (technique == LEAT_MMAP && verdict->switches >= 5.5) {
		snprintf(text, sizeof(text),
			 "The table counts mmap and write; leat also asks for the file's size, so "
			 "that a file cut short is not sent as zeros, and takes the mapping down "
			 "again: %.0f calls.",
			 verdict->switches / 2);
		say(verdict, text);
	} else if (verdict->switches > verdict->claim->switches)
		say(verdict, "The socket was full now and then, and what did not fit took another "
			     "call.");
	else
		say(verdict, "Fewer calls than the table has: no known reason fits.");
}

static void judge(const struct lab_result *result, const struct classic_claim *claim,
		  struct classic_verdict *ret)
{
	*ret = (struct classic_verdict){.claim = claim, .row = row_of(result, claim)};
	if (!ret->row) {
		snprintf(ret->sentence, sizeof(ret->sentence), "Not measured%s.",
			 needs_no_gather(claim)
			     ? ": it takes a device without scatter-gather (veth-sg-off)"
			     : " in this run");
		return;
	}
	ret->cpu_copies = ret->row->figures[METRIC_COPIES].median;
	ret->switches =
	    ret->row->figures[METRIC_SWITCHES].median * (double)ret->row->size / LAB_MIB;
	ret->copies_hold = fabs(ret->cpu_copies - claim->cpu_copies) < 0.1;
	ret->switches_hold = fabs(ret->switches - claim->switches) < 0.5;
	if (!ret->copies_hold)
		explain_copies(ret);
	if (!ret->switches_hold)
		explain_switches(ret);
}

void classic_judge(const struct lab_result *result, struct classic_verdict ret[CLASSIC_CLAIMS])
{
	for (unsigned i = 0; i < CLASSIC_CLAIMS; i++)
		judge(result, &classic_claims[i], &ret[i]);
}

/* ---- the maintainers' question ---- */

static bool all_at(const struct lab_result *result, uint64_t size, struct classic_gain *gain)
{
	const struct {
		enum leat_technique technique;
		enum lab_transport transport;
		struct lab_figure *figure;
	} parts[] = {
	    {LEAT_COPY, TRANSPORT_VETH_GSO_OFF, &gain->copy},
	    {LEAT_MMAP, TRANSPORT_VETH_GSO_OFF, &gain->mmap},
	    {LEAT_SENDFILE, TRANSPORT_VETH_SG_OFF, &gain->copied},
	    {LEAT_SENDFILE, TRANSPORT_VETH_GSO_OFF, &gain->by_reference},
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct lab_row *row = lab_result_find(result, parts[i].technique,
							    parts[i].transport, LAB_CACHED, size);

		if (!row)
			return false;
		*parts[i].figure = row->figures[METRIC_BOTH_CPU];
	}
	return true;
}

static bool overlap(const struct lab_figure *a, const struct lab_figure *b)
{
	return a->low <= b->high && b->low <= a->high;
}

/* How much of `whole` is still saved at this cost: "43 %", "nothing", "all". */
static const char *kept(const struct classic_gain *gain, const struct lab_figure *figure,
			double whole, char text[16])
{
	double part = (gain->copy.median - figure->median) / whole;

	if (part <= 0 || part >= 1)
		snprintf(text, 16, "%s", part <= 0 ? "nothing" : "all");
	else
		snprintf(text, 16, "%.0f %%", 100 * part);
	return text;
}

static void answer(struct classic_gain *gain)
{
	double whole = gain->copy.median - gain->by_reference.median;
	char size[SIZE_TEXT_MAX], at_the_call[16], by_packet[16];

	size_format(gain->size, size);
	if (whole <= 0 || overlap(&gain->copy, &gain->by_reference)) {
		snprintf(gain->sentence, sizeof(gain->sentence),
			 "With transfers of %s the gain of sendfile is smaller than the spread of "
			 "the rounds: no answer from this run.",
			 size);
		return;
	}
	snprintf(
	    gain->sentence, sizeof(gain->sentence),
	    "With transfers of %s sendfile saves %.2f CPU seconds a GB against read + write. Of "
	    "that mmap + write, which copies once, at the call, keeps %s; sendfile that the "
	    "kernel copies once, packet by packet for the device, keeps %s. That part is the "
	    "avoided user memory and calls; the rest is the copy that is avoided by reference.",
	    size, whole, kept(gain, &gain->mmap, whole, at_the_call),
	    kept(gain, &gain->copied, whole, by_packet));
}

void classic_gain(const struct lab_result *result, struct classic_gain *ret)
{
	*ret = (struct classic_gain){.known = false};
	for (size_t i = 0; i < result->row_count; i++) {
		uint64_t size = result->rows[i].size;
		struct classic_gain gain = {.known = true, .size = size};

		/* Small transfers are all calls: the largest size says most about bytes. */
		if (size > ret->size && all_at(result, size, &gain))
			*ret = gain;
	}
	if (ret->known)
		answer(ret);
	else
		snprintf(ret->sentence, sizeof(ret->sentence),
			 "Not measured: it needs copy, mmap and sendfile over veth-gso-off and "
			 "veth-sg-off.");
}
