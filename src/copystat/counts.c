#include "copystat/copystat.h"

#include <string.h>

/* Everything before the device is a row of 64-bit numbers: see counts.h. */
#define NUMBERS (offsetof(struct copystat_counts, device) / sizeof(uint64_t))

static const char *const call_names[COPYSTAT_CALLS] = {
    [COPYSTAT_OTHER_CALL] = "others", [COPYSTAT_READ] = "read",
    [COPYSTAT_WRITE] = "write",       [COPYSTAT_SEND] = "send",
    [COPYSTAT_RECV] = "recv",         [COPYSTAT_SENDFILE] = "sendfile",
    [COPYSTAT_SPLICE] = "splice",     [COPYSTAT_TEE] = "tee",
    [COPYSTAT_VMSPLICE] = "vmsplice", [COPYSTAT_COPY_RANGE] = "copy_file_range",
    [COPYSTAT_URING] = "io_uring",    [COPYSTAT_WAIT] = "waits",
};

const char *copystat_call_name(enum copystat_call call)
{
	CHECK(call < COPYSTAT_CALLS);
	return call_names[call];
}

const char *copystat_kind_name(enum copystat_kind kind)
{
	static const char *const names[COPYSTAT_KINDS] = {"TCP", "UNIX", "other"};

	CHECK(kind < COPYSTAT_KINDS);
	return names[kind];
}

struct copystat_sums copystat_sum(const struct copystat_counts *counts)
{
	struct copystat_sums sums = {.copied_later = counts->file_made_up + counts->linearised +
						     counts->unshared,
				     .file_read = counts->file_read};

	for (int i = 0; i < COPYSTAT_KINDS; i++) {
		const struct copystat_socket_counts *socket = &counts->sockets[i];

		sums.sent += socket->sent;
		sums.sent_copied += socket->sent_copied;
		sums.sent_by_reference += socket->sent_by_reference;
		sums.received += socket->received;
		sums.received_copied += socket->received_copied;
	}
	for (int i = 0; i < COPYSTAT_CALLS; i++)
		sums.calls += counts->calls[i].calls;
	return sums;
}

/* The numbers of the counts as one row. */
static void numbers_get(const struct copystat_counts *counts, uint64_t row[static NUMBERS])
{
	memcpy(row, counts, NUMBERS * sizeof(*row));
}

static void numbers_set(struct copystat_counts *counts, const uint64_t row[static NUMBERS])
{
	memcpy(counts, row, NUMBERS * sizeof(*row));
}

struct copystat_counts copystat_since(const struct copystat_counts *now,
				      const struct copystat_counts *before)
{
	struct copystat_counts between = *now;
	uint64_t row[NUMBERS], less[NUMBERS];

	numbers_get(now, row);
	numbers_get(before, less);
	for (size_t i = 0; i < NUMBERS; i++)
		row[i] -= min_u64(row[i], less[i]);
	numbers_set(&between, row);
	return between;
}

void copystat_add(struct copystat_counts *sum, const struct copystat_counts *more)
{
	uint64_t row[NUMBERS], added[NUMBERS];

	numbers_get(sum, row);
	numbers_get(more, added);
	for (size_t i = 0; i < NUMBERS; i++)
		row[i] += added[i];
	numbers_set(sum, row);
	if (more->device.name[0])
		sum->device = more->device;
}

double copystat_copies_per_sent_byte(const struct copystat_counts *counts)
{
	struct copystat_sums sums = copystat_sum(counts);
	uint64_t copied_in = min_u64(sums.file_read + sums.received_copied, sums.sent_copied);

	if (sums.sent == 0)
		return 0;
	return (double)(copied_in + sums.sent_copied + sums.copied_later) / (double)sums.sent;
}
