/*
 * What an end in the middle of something has left in a partition's folder.
 *
 *     .deleted   on its way out
 *     .tmp       was being written
 *     .cleaned   Kafka was compacting into it
 *     .swap      Kafka had compacted into it, and was about to put it in the place of segments that it
 *                covers. Unless a .cleaned one lies at or before it: then they were to come together,
 *                and the old ones stay.
 *
 * As Kafka does it: swaps are put in place, everything else goes. A start that ends in the middle of
 * this leaves what the next one can go on with.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define OFFSET_DIGITS 20u
#define SWAP          ".swap"

struct leftovers {
	struct partition *partition;
	struct load *load;
	char **names;
	size_t count, capacity;
	int64_t first_cleaned;
	/* What the swaps cover. */
	int64_t covered_from, covered_to;
};

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

bool partition_is_leftover(const char *name)
{
	return ends_with(name, ".deleted") || ends_with(name, ".tmp") ||
	       ends_with(name, ".cleaned") || ends_with(name, SWAP);
}

/* Of names that begin with one. */
static bool offset_of(const char *name, int64_t *ret)
{
	return strlen(name) > OFFSET_DIGITS &&
	       checkpoint_number(slice_make(name, OFFSET_DIGITS), ret) == 0 && *ret >= 0;
}

static int see_name(void *arg, const char *name)
{
	struct leftovers *left = arg;
	size_t capacity = left->capacity ? 2 * left->capacity : 8;
	int64_t offset;
	char **larger;

	if (!partition_is_leftover(name))
		return 0;
	if (ends_with(name, ".cleaned") && offset_of(name, &offset) && offset < left->first_cleaned)
		left->first_cleaned = offset;
	if (left->count == left->capacity) {
		larger = realloc(left->names, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		left->names = larger;
		left->capacity = capacity;
	}
	left->names[left->count] = strdup(name);
	return left->names[left->count++] ? 0 : -ENOMEM;
}

static void path_of(const struct leftovers *left, const char *name, char ret[SEGMENT_PATH_MAX])
{
	snprintf(ret, SEGMENT_PATH_MAX, "%s/%s", left->partition->folder, name);
}

static int dir_of(const struct leftovers *left)
{
	return left->partition->topic->store->fd;
}

static bool is_valid_swap(const struct leftovers *left, const char *name)
{
	int64_t offset;

	return ends_with(name, SWAP) && offset_of(name, &offset) && offset < left->first_cleaned;
}

/* Where the segment that is swapped in ends. -EBADMSG: it is not whole. */
static int end_of(const struct leftovers *left, const char *name, int64_t base, int64_t *ret)
{
	struct log_reader reader = {.buffer = &left->load->buffer};
	char path[SEGMENT_PATH_MAX];
	enum log_scan_step step = LOG_SCAN_END;
	struct record_batch batch;
	struct stat st;
	int r;

	path_of(left, name, path);
	reader.fd = sys_openat(dir_of(left), path, O_RDONLY, 0);
	if (reader.fd < 0)
		return reader.fd;
	r = sys_fstat(reader.fd, &st);
	reader.scan = (struct log_scan){.base_offset = base,
					.next_offset = base,
					.size = r == 0 ? (uint64_t)st.st_size : 0,
					.headers_only = true};
	while (r == 0 && (r = log_reader_next(&reader, &batch, &step)) == 0 &&
	       step == LOG_SCAN_BATCH)
		;
	sys_close(reader.fd);
	*ret = reader.scan.next_offset;
	return r == 0 && step == LOG_SCAN_CUT ? -EBADMSG : r;
}

static int measure_swaps(struct leftovers *left)
{
	for (size_t i = 0; i < left->count; i++) {
		int64_t base, end;
		int r;

		if (!is_valid_swap(left, left->names[i]) ||
		    !ends_with(left->names[i], ".log" SWAP) || !offset_of(left->names[i], &base))
			continue;
		r = end_of(left, left->names[i], base, &end);
		if (r < 0)
			return r;
		if (base < left->covered_from)
			left->covered_from = base;
		if (end > left->covered_to)
			left->covered_to = end;
	}
	return 0;
}

/* A segment's file that a swap covers; the names are left for later. */
static int drop_covered(void *arg, const char *name)
{
	struct leftovers *left = arg;
	char path[SEGMENT_PATH_MAX];
	int64_t offset;
	int r;

	if (partition_is_leftover(name) || ends_with(name, ".snapshot") ||
	    ends_with(name, ".cut") || !offset_of(name, &offset) || offset < left->covered_from ||
	    offset >= left->covered_to)
		return 0;
	path_of(left, name, path);
	r = sys_unlinkat(dir_of(left), path, 0);
	return r == -ENOENT ? 0 : r;
}

static int put_in_place(const struct leftovers *left, const char *name)
{
	char path[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];

	path_of(left, name, path);
	path_of(left, name, to);
	to[strlen(to) - strlen(SWAP)] = '\0';
	return sys_renameat(dir_of(left), path, dir_of(left), to);
}

static int finish_swaps(struct leftovers *left)
{
	struct partition *partition = left->partition;
	int r = measure_swaps(left);

	if (r == 0 && left->covered_to > left->covered_from) {
		log_warning("%s/%s: Kafka was stopped while it compacted: what it has made is put "
			    "in the place of offsets %lld to %lld",
			    partition->topic->store->dir, partition->folder,
			    (long long)left->covered_from, (long long)left->covered_to - 1);
		r = files_list(dir_of(left), partition->folder, drop_covered, left);
	}
	for (size_t i = 0; i < left->count && r == 0; i++)
		if (is_valid_swap(left, left->names[i]))
			r = put_in_place(left, left->names[i]);
	return r;
}

static void remove_others(struct leftovers *left)
{
	char path[SEGMENT_PATH_MAX];

	/* One that stays goes with the next start. */
	for (size_t i = 0; i < left->count; i++)
		if (!is_valid_swap(left, left->names[i])) {
			path_of(left, left->names[i], path);
			(void)sys_unlinkat(dir_of(left), path, 0);
		}
}

int partition_clear_leftovers(struct partition *partition, struct load *load)
{
	struct leftovers left = {.partition = partition,
				 .load = load,
				 .first_cleaned = INT64_MAX,
				 .covered_from = INT64_MAX};
	int r = files_list(dir_of(&left), partition->folder, see_name, &left);

	if (r == 0)
		r = finish_swaps(&left);
	if (r == 0)
		remove_others(&left);
	for (size_t i = 0; i < left.count; i++)
		free(left.names[i]);
	free(left.names);
	return r;
}
