#include "cmd/copy_report.h"

#include <jansson.h>

#include "base/check.h"
#include "base/size.h"

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void column(FILE *out, const char **separator, uint64_t bytes, const char *name)
{
	if (bytes == 0)
		return;
	fprintf(out, "%s%llu %s", *separator, (unsigned long long)bytes, name);
	*separator = ", ";
}

/* What the columns of the ledger say; those that are 0 are left out. */
static void columns(FILE *out, const struct leat_ledger *ledger)
{
	const char *separator = ": ";

	fprintf(out, "  bytes      %llu", (unsigned long long)ledger->bytes);
	column(out, &separator, ledger->bytes_by_reference, "by reference");
	column(out, &separator, ledger->bytes_copied, "copied");
	column(out, &separator, ledger->bytes_copied_later, "copied later by the kernel");
	column(out, &separator, ledger->bytes_transformed, "transformed");
	column(out, &separator, ledger->bytes_unknown, "unknown");
	fputc('\n', out);
}

void copy_report_text(FILE *out, const struct leat_report *report)
{
	const struct leat_ledger *ledger = &report->ledger;
	char size[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX];
	double wall = seconds(report->wall_ns);

	fprintf(out, "leat: %s in %.3f s (%s/s), CPU %.3f s\n", size_format(ledger->bytes, size),
		wall, size_format(wall > 0 ? (uint64_t)((double)ledger->bytes / wall) : 0, rate),
		seconds(report->cpu_ns));
	fprintf(out, "  technique  %s: %s\n", leat_technique_name(report->technique),
		report->reason);
	fprintf(out, "  verdict    %s%s%s\n", leat_verdict_name(report->verdict),
		report->evidence[0] ? ": " : "", report->evidence);
	columns(out, ledger);
	fprintf(out, "  calls      %llu system calls, %llu of them in vain\n",
		(unsigned long long)ledger->syscalls, (unsigned long long)ledger->would_block);
	if (ledger->fallbacks > 0)
		fprintf(out, "  fallbacks  %llu: %s\n", (unsigned long long)ledger->fallbacks,
			report->fallback);
}

void copy_report_json(FILE *out, const struct leat_report *report, const char *error)
{
	const struct leat_ledger *ledger = &report->ledger;
	const uint64_t copied = ledger->bytes_copied + ledger->bytes_copied_later;
	json_t *object = json_pack(
	    "{s:I, s:f, s:f, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", /* in the documented order */
	    "bytes", (json_int_t)ledger->bytes, "seconds", seconds(report->wall_ns), "cpu_seconds",
	    seconds(report->cpu_ns), "technique", leat_technique_name(report->technique), "reason",
	    report->reason, "verdict", leat_verdict_name(report->verdict), "evidence",
	    report->evidence, "bytes_by_reference", (json_int_t)ledger->bytes_by_reference,
	    "bytes_copied", (json_int_t)copied, "fallbacks", (json_int_t)ledger->fallbacks,
	    "syscalls", (json_int_t)ledger->syscalls);

	CHECK(object);
	/* A file name may be no UTF-8, which JSON can't carry. */
	if (error && json_object_set_new(object, "error", json_string(error)) < 0)
		json_object_set_new(object, "error", json_string("failed"));
	json_dumpf(object, out, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	fputc('\n', out);
	json_decref(object);
}
