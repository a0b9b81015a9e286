#include "lab/report.h"

#include <math.h>

const enum lab_metric report_columns[] = {
    METRIC_SYSCALLS,        METRIC_SWITCHES,     METRIC_CONTEXT_SWITCHES,
    METRIC_FAULTS,          METRIC_USER_COPIES,  METRIC_KERNEL_COPIES,
    METRIC_RECEIVER_COPIES, METRIC_BY_REFERENCE, METRIC_SENDER_CPU,
    METRIC_RECEIVER_CPU,    METRIC_RATE,         METRIC_COUNT,
};

const char report_dma[] =
    "The other two copies are DMA: the disk's into the page cache, and the network card's out of "
    "memory. The lab counts what the CPU copies. The disk's is measured for cold files "
    "(disk_dma_per_byte); the card's is not measured: loopback and veth have none.";

const char *report_figure(enum lab_metric metric, const struct lab_figure *figure,
			  char text[FIGURE_TEXT_MAX])
{
	if (isnan(figure->median))
		snprintf(text, FIGURE_TEXT_MAX, "-");
	else
		snprintf(text, FIGURE_TEXT_MAX, "%.*f", lab_metrics[metric].digits, figure->median);
	return text;
}

const char *report_spread(enum lab_metric metric, const struct lab_figure *figure,
			  char text[2 * FIGURE_TEXT_MAX])
{
	int digits = lab_metrics[metric].digits;

	if (isnan(figure->median))
		snprintf(text, (size_t)2 * FIGURE_TEXT_MAX, "-");
	else
		snprintf(text, (size_t)2 * FIGURE_TEXT_MAX, "%.*f (%.*f to %.*f)", digits,
			 figure->median, digits, figure->low, digits, figure->high);
	return text;
}

bool report_begins_table(const struct lab_row *row, const struct lab_row *before)
{
	return !before || before->transport != row->transport || before->source != row->source;
}

const char *report_claim(const struct classic_claim *claim, char text[FIGURE_TEXT_MAX])
{
	snprintf(text, FIGURE_TEXT_MAX, "%u (%s by the CPU)", claim->copies,
		 claim->cpu_copies == 0   ? "none"
		 : claim->cpu_copies == 1 ? "1"
					  : "2");
	return text;
}
