#include "cmd/copystat_view.h"

#include <jansson.h>

#include "base/size.h"

#define VERDICT_MAX 256

/* A name is what the process says it is: no control characters for the terminal, and ASCII, which is
 * UTF-8 for JSON. */
static const char *printable(const struct copystat_process *process, char text[static 16])
{
	snprintf(text, 16, "%s", process->comm);
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return text;
}

static const char *verdict(const struct copystat_counts *counts, char text[static VERDICT_MAX])
{
	struct buf buf = buf_over(text, VERDICT_MAX);

	copystat_verdict(&buf, counts);
	return buf_text(&buf);
}

/* ---- the table ---- */

void copystat_view_head(FILE *out)
{
	fprintf(out, "%7s %-15s %10s %6s %6s %10s %10s %6s\n", "PID", "COMMAND", "SENT/s", "BY REF",
		"LATER", "RECV/s", "FILES/s", "COPIES");
}

static const char *rate(uint64_t bytes, double seconds, char text[static SIZE_TEXT_MAX])
{
	return size_format(seconds > 0 ? (uint64_t)((double)bytes / seconds) : 0, text);
}

static const char *percent(uint64_t bytes, uint64_t of, char text[static 8])
{
	double part = of > 0 ? 100 * (double)bytes / (double)of : 0;

	if (of == 0)
		snprintf(text, 8, "-");
	else
		snprintf(text, 8, "%u %%", part < 999 ? (unsigned)(part + 0.5) : 999);
	return text;
}

void copystat_view_row(FILE *out, const struct copystat_process *process,
		       const struct copystat_counts *between, double seconds)
{
	struct copystat_sums sums = copystat_sum(between);
	char name[16], sent[SIZE_TEXT_MAX], received[SIZE_TEXT_MAX], files[SIZE_TEXT_MAX];
	char by_reference[8], later[8], copies[16] = "-";

	if (sums.sent > 0)
		snprintf(copies, sizeof(copies), "%.2f", copystat_copies_per_sent_byte(between));
	fprintf(out, "%7d %-15s %10s %6s %6s %10s %10s %6s\n", process->pid,
		printable(process, name), rate(sums.sent, seconds, sent),
		percent(sums.sent_by_reference, sums.sent, by_reference),
		percent(sums.copied_later, sums.sent_by_reference, later),
		rate(sums.received, seconds, received), rate(sums.file_read, seconds, files),
		copies);
}

/* ---- the closing summary ---- */

static void print_sent_and_received(FILE *out, const char *name,
				    const struct copystat_socket_counts *socket)
{
	char all[SIZE_TEXT_MAX], one[SIZE_TEXT_MAX], other[SIZE_TEXT_MAX];

	if (socket->sent > 0)
		fprintf(out, "  %-10s sent %s: %s copied at the call, %s by reference\n", name,
			size_format(socket->sent, all), size_format(socket->sent_copied, one),
			size_format(socket->sent_by_reference, other));
	if (socket->received > 0)
		fprintf(out, "  %-10s received %s: %s copied\n", name,
			size_format(socket->received, all),
			size_format(socket->received_copied, one));
}

static void print_copied(FILE *out, uint64_t bytes, const char *why)
{
	char size[SIZE_TEXT_MAX];

	if (bytes > 0)
		fprintf(out, "  %-10s copied %s: %s\n", "later", size_format(bytes, size), why);
}

static void print_files(FILE *out, const struct copystat_counts *counts)
{
	char read[SIZE_TEXT_MAX], direct[SIZE_TEXT_MAX], reference[SIZE_TEXT_MAX],
	    written[SIZE_TEXT_MAX];

	fprintf(out, "  %-10s read %s by copy, %s by O_DIRECT, %s by reference; written %s\n",
		"files", size_format(counts->file_read, read),
		size_format(counts->file_read_direct, direct),
		size_format(counts->file_by_reference, reference),
		size_format(counts->file_written, written));
}

static void print_calls(FILE *out, const struct copystat_counts *counts)
{
	for (int i = 0; i < COPYSTAT_CALLS; i++) {
		const struct copystat_call_counts *call = &counts->calls[i];
		char sent[SIZE_TEXT_MAX], received[SIZE_TEXT_MAX];

		if (call->calls == 0 && call->sent == 0 && call->received == 0)
			continue;
		fprintf(out, "  %-10s %s: %llu call%s", "",
			copystat_call_name((enum copystat_call)i), (unsigned long long)call->calls,
			call->calls == 1 ? "" : "s");
		if (call->sent > 0)
			fprintf(out, ", %s sent", size_format(call->sent, sent));
		if (call->received > 0)
			fprintf(out, ", %s received", size_format(call->received, received));
		fputc('\n', out);
	}
}

void copystat_view_verdict(FILE *out, const struct copystat_process *process,
			   const struct copystat_counts *counts)
{
	char name[16], text[VERDICT_MAX];

	fprintf(out, "%s (%d): %s\n", printable(process, name), process->pid,
		verdict(counts, text));
}

void copystat_view_summary(FILE *out, const struct copystat_process *process,
			   const struct copystat_counts *counts)
{
	copystat_view_verdict(out, process, counts);
	for (int i = 0; i < COPYSTAT_KINDS; i++)
		print_sent_and_received(out, copystat_kind_name((enum copystat_kind)i),
					&counts->sockets[i]);
	print_copied(out, counts->file_made_up, "the file system has no pages to refer to");
	print_copied(out, counts->linearised, "into linear buffers, for the device");
	print_copied(out, counts->unshared, "the sender's MSG_ZEROCOPY pages, for this machine");
	print_files(out, counts);
	print_calls(out, counts);
}

/* ---- JSON ---- */

void copystat_view_json(FILE *out, const struct copystat_process *process,
			const struct copystat_counts *between, const char *backend)
{
	struct copystat_sums sums = copystat_sum(between);
	char name[16], text[VERDICT_MAX];
	json_t *object =
	    json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:s, s:s}", "pid",
		      process->pid, "comm", printable(process, name), "sent_bytes",
		      (json_int_t)sums.sent, "sent_copied_bytes", (json_int_t)sums.sent_copied,
		      "sent_by_reference_bytes", (json_int_t)sums.sent_by_reference,
		      "copied_later_bytes", (json_int_t)sums.copied_later, "received_bytes",
		      (json_int_t)sums.received, "received_copied_bytes",
		      (json_int_t)sums.received_copied, "file_read_bytes",
		      (json_int_t)sums.file_read, "copies_per_sent_byte",
		      copystat_copies_per_sent_byte(between), "verdict", verdict(between, text),
		      "backend", backend);

	CHECK(object);
	json_dumpf(object, out, JSON_PRESERVE_ORDER | JSON_COMPACT | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(object);
}
