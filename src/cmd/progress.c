#include "cmd/progress.h"

#include "base/size.h"
#include "sys/sys.h"

#define DRAW_EVERY_NS UINT64_C(100000000)
#define SECOND_NS     UINT64_C(1000000000)
#define BAR_COLUMNS   16

static void add_bar(struct buf *line, uint64_t bytes, uint64_t total)
{
	double part = total > 0 ? (double)bytes / (double)total : 1;

	if (part > 1) /* a file that grows */
		part = 1;
	buf_add_literal(line, " [");
	for (int i = 0; i < BAR_COLUMNS; i++)
		buf_add_char(line, i < (int)(part * BAR_COLUMNS) ? '#' : ' ');
	buf_printf(line, "] %3d %%", (int)(part * 100));
}

static void add_time(struct buf *line, uint64_t seconds)
{
	if (seconds >= 100 * 3600)
		buf_add_literal(line, "-:--:--");
	else if (seconds >= 3600)
		buf_printf(line, "%u:%02u:%02u", (unsigned)(seconds / 3600),
			   (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
	else
		buf_printf(line, "%u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
}

void progress_text(struct buf *line, uint64_t bytes, uint64_t total, uint64_t elapsed_ns)
{
	double rate = elapsed_ns > 0 ? (double)bytes * SECOND_NS / (double)elapsed_ns : 0;
	char text[SIZE_TEXT_MAX];

	buf_add_text(line, size_format(bytes, text));
	if (total != PROGRESS_UNKNOWN) {
		buf_printf(line, " of %s", size_format(total, text));
		add_bar(line, bytes, total);
	}
	buf_printf(line, "  %s/s  ",
		   size_format(rate < 1e18 ? (uint64_t)rate : (uint64_t)1e18, text));
	if (total == PROGRESS_UNKNOWN) {
		add_time(line, elapsed_ns / SECOND_NS);
	} else if (bytes < total && rate >= 1) {
		double left = (double)(total - bytes) / rate;

		add_time(line, left < 1e9 ? (uint64_t)left : (uint64_t)1e9);
		buf_add_literal(line, " left");
	}
}

void progress_start(struct progress *progress, int terminal, uint64_t total)
{
	uint64_t now_ns = sys_now_ns();

	*progress = (struct progress){.terminal = terminal,
				      .total = total,
				      .start_ns = now_ns,
				      .drawn_ns = now_ns};
}

void progress_update(struct progress *progress, uint64_t bytes)
{
	char memory[256];
	struct buf line = buf_over(memory, sizeof(memory));
	uint64_t now_ns;

	if (progress->terminal < 0)
		return;
	now_ns = sys_now_coarse_ns();
	if (now_ns < progress->drawn_ns + DRAW_EVERY_NS)
		return;
	progress->drawn_ns = now_ns;
	progress->visible = true;
	/* "\033[K" clears what a longer line has left behind (ECMA-48, EL). */
	buf_add_literal(&line, "\r");
	progress_text(&line, bytes, progress->total, now_ns - progress->start_ns);
	buf_add_literal(&line, "\033[K");
	(void)!sys_write(progress->terminal, line.ptr, line.len);
}

void progress_end(struct progress *progress)
{
	static const char wipe[] = "\r\033[K";

	if (progress->visible)
		(void)!sys_write(progress->terminal, wipe, sizeof(wipe) - 1);
	progress->visible = false;
}
