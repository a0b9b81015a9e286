#include "cmd/copystat_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rows_free(struct rows *rows)
{
	free(rows->row);
	*rows = (struct rows){0};
}

/* The row of a process that the ledger has not forgotten; a new one. NULL: no memory. */
static struct row *row_of(struct rows *rows, const struct copystat_process *process)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->row[i].process.pid == process->pid && !rows->row[i].last)
			return &rows->row[i];
	if (rows->count == rows->room) {
		size_t room = rows->room * 2 + 16;
		struct row *grown = realloc(rows->row, room * sizeof(*grown));

		if (!grown)
			return NULL;
		rows->row = grown;
		rows->room = room;
	}
	rows->row[rows->count] = (struct row){.process.pid = process->pid};
	return &rows->row[rows->count++];
}

bool row_active(const struct row *row)
{
	struct copystat_sums sums = copystat_sum(&row->between);

	return sums.sent > 0 || sums.received > 0;
}

static bool is_worth_keeping(const struct row *row)
{
	struct copystat_sums sums = copystat_sum(&row->total);

	return !row->closed || sums.sent > 0 || sums.received > 0;
}

/* What was last has been shown since. Of --all, thousands end that did nothing. */
static void close_ended(struct rows *rows)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		struct row *row = &rows->row[i];

		row->closed = row->last;
		row->between = (struct copystat_counts){0};
		if (is_worth_keeping(row))
			rows->row[kept++] = *row;
	}
	rows->count = kept;
}

static int update(struct rows *rows, struct copystat *cs, const struct copystat_process *process)
{
	struct copystat_counts now;
	struct row *row;

	if (copystat_read(cs, process->pid, &now) < 0)
		return 0; /* its counts are about to be made */
	row = row_of(rows, process);
	if (!row)
		return -ENOMEM;
	row->last = row->process.ended;
	row->process = *process;
	row->between = copystat_since(&now, &row->total);
	row->total = now;
	if (row->last)
		copystat_unwatch(cs, process->pid);
	return 0;
}

/* As many as there are, in memory of the caller's; -ENOMEM. */
static ssize_t list(struct copystat *cs, struct copystat_process **ret)
{
	size_t room = 64;

	for (;;) {
		struct copystat_process *processes = malloc(room * sizeof(*processes));
		ssize_t count;

		if (!processes)
			return -ENOMEM;
		count = copystat_processes(cs, processes, room);
		if (count >= 0 && (size_t)count <= room) {
			*ret = processes;
			return count;
		}
		free(processes);
		if (count < 0)
			return count;
		room = (size_t)count + 64;
	}
}

int rows_update(struct rows *rows, struct copystat *cs, const char *name)
{
	struct copystat_process *processes;
	ssize_t count = list(cs, &processes);
	int r = 0;

	if (count < 0)
		return (int)count;
	close_ended(rows);
	for (ssize_t i = 0; r == 0 && i < count; i++) {
		if (name && !copystat_name_matches(name, processes[i].comm))
			copystat_unwatch(cs, processes[i].pid);
		else
			r = update(rows, cs, &processes[i]);
	}
	free(processes);
	return r;
}

size_t rows_running(const struct rows *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++)
		count += !rows->row[i].process.ended;
	return count;
}

static int descending(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int more_sent_lately_first(const void *a, const void *b)
{
	return descending(copystat_sum(&((const struct row *)a)->between).sent,
			  copystat_sum(&((const struct row *)b)->between).sent);
}

static int more_sent_first(const void *a, const void *b)
{
	return descending(copystat_sum(&((const struct row *)a)->total).sent,
			  copystat_sum(&((const struct row *)b)->total).sent);
}

void rows_sort_by_sent(struct rows *rows, bool in_all)
{
	if (rows->count > 0)
		qsort(rows->row, rows->count, sizeof(*rows->row),
		      in_all ? more_sent_first : more_sent_lately_first);
}
