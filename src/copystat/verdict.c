/*
 * The verdict in words, from the counts alone.
 */
#include "copystat/copystat.h"

#include "base/size.h"

/* Less than this part of the bytes sent is not worth a word: headers, retransmissions. */
#define WORTH_A_WORD 0.01

static double part(uint64_t bytes, uint64_t of)
{
	return of > 0 ? (double)bytes / (double)of : 0;
}

/* The call that the references came from, as users know it. */
static const char *reference_call(const struct copystat_counts *counts)
{
	static const enum copystat_call calls[] = {COPYSTAT_SENDFILE, COPYSTAT_SPLICE,
						   COPYSTAT_SEND, COPYSTAT_URING};
	enum copystat_call most = COPYSTAT_SENDFILE;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (counts->calls[calls[i]].sent > counts->calls[most].sent)
			most = calls[i];
	return most == COPYSTAT_SEND ? "MSG_ZEROCOPY" : copystat_call_name(most);
}

static const char *how_many(uint64_t bytes, uint64_t of, char text[static 32])
{
	struct buf buf = buf_over(text, 32);

	if (part(bytes, of) >= 1 - WORTH_A_WORD)
		return "every byte is";
	buf_printf(&buf, "%.0f %% of its bytes are", 100 * part(bytes, of));
	return buf_text(&buf);
}

/* Why references became copies. */
static void add_reason(struct buf *out, const struct copystat_counts *counts, uint64_t by_reference)
{
	const struct copystat_device *device = &counts->device;
	const char *call = reference_call(counts);
	char many[32];

	buf_printf(out, "; %s is used but ", call);
	if (counts->file_made_up > counts->linearised + counts->unshared)
		buf_printf(out, "the file system has no pages to refer to: %s copied",
			   how_many(counts->file_made_up, by_reference, many));
	else if (counts->unshared > counts->linearised)
		buf_printf(out,
			   "what stays on this machine can't keep the sender's pages: %s copied",
			   how_many(counts->unshared, by_reference, many));
	else if (device->name[0])
		buf_printf(out, "%s has %s off: %s copied", device->name,
			   device->scatter_gather ? "checksum offload" : "scatter-gather",
			   how_many(counts->linearised, by_reference, many));
	else
		buf_printf(out, "the route takes no references: %s copied",
			   how_many(counts->linearised, by_reference, many));
}

void copystat_verdict(struct buf *out, const struct copystat_counts *counts)
{
	struct copystat_sums sums = copystat_sum(counts);
	uint64_t kept = sums.sent_by_reference - min_u64(sums.copied_later, sums.sent_by_reference);
	char size[SIZE_TEXT_MAX];

	if (sums.sent == 0 && sums.received == 0) {
		buf_add_text(out, "nothing sent or received");
		return;
	}
	if (sums.sent == 0) {
		buf_printf(out, "%s received, %.2f copies per byte",
			   size_format(sums.received, size),
			   part(sums.received_copied, sums.received));
		return;
	}
	buf_printf(out, "%s sent, %.0f %% by reference, %.2f copies per byte",
		   size_format(sums.sent, size), 100 * part(kept, sums.sent),
		   copystat_copies_per_sent_byte(counts));
	if (sums.sent_by_reference > 0 &&
	    part(sums.copied_later, sums.sent_by_reference) > WORTH_A_WORD)
		add_reason(out, counts, sums.sent_by_reference);
}
