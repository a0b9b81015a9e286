#include "base/log.h"

#include <stdio.h>

#include "base/buf.h"

static struct {
	log_sink sink;
	void *arg;
	enum log_level max;
} out;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

void log_set_sink(log_sink sink, void *arg, enum log_level max)
{
	out.sink = sink;
	out.arg = arg;
	out.max = max;
}

bool log_wants(enum log_level level)
{
	return out.sink && level <= out.max;
}

/* Cuts a message that is too long; room for the count and the newline is kept free. */
PRINTF_LIKE(2, 0) static void add_message(struct buf *line, const char *fmt, va_list args)
{
	char raw[LOG_LINE_MAX];

	vsnprintf(raw, sizeof(raw), fmt, args);
	buf_add_printable(line, slice_of(raw));
	line->overflow = false;
}

PRINTF_LIKE(3, 0)
static void emit(enum log_level level, uint32_t dropped, const char *fmt, va_list args)
{
	char memory[LOG_LINE_MAX];
	struct buf line = buf_over(memory, sizeof(memory) - 64);

	buf_printf(&line, "leat: %s: ", level_names[level]);
	add_message(&line, fmt, args);
	line.size = sizeof(memory);
	if (dropped > 0)
		buf_printf(&line, " (and %u more like it)", dropped);
	buf_add_char(&line, '\n');
	out.sink(out.arg, level, line.ptr, line.len);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, fmt);
	emit(level, 0, fmt, args);
	va_end(args);
}

void log_write_limited(struct log_limit *limit, uint64_t now_ns, enum log_level level,
		       const char *fmt, ...)
{
	uint64_t due = atomic_load_explicit(&limit->due_ns, memory_order_relaxed), next;
	va_list args;

	if (!log_wants(level))
		return;
	/* Of the threads that get here together, each moves the time by its own line. */
	do {
		if (due > now_ns + (limit->burst - 1) * limit->every_ns) {
			atomic_fetch_add_explicit(&limit->dropped, 1, memory_order_relaxed);
			return;
		}
		next = (due > now_ns ? due : now_ns) + limit->every_ns;
	} while (!atomic_compare_exchange_weak(&limit->due_ns, &due, next));
	va_start(args, fmt);
	emit(level, atomic_exchange(&limit->dropped, 0), fmt, args);
	va_end(args);
}
