/*
 * Where a recovery comes to what is not good: what it is, and what becomes of it.
 *
 *     below the recovery point             rot, whatever is behind it: all of it was on disk
 *     nothing good behind it               torn: the last write did not come to its end; cut
 *     batches behind it, zeros in between  lost: the power went before the disk had these blocks, and
 *                                          later ones were quicker; cut, as nobody was promised them
 *     batches behind it, no zeros          rot: the disk, or somebody, has changed what was written
 *
 * It is the first of these that is so. Where too much looks like batches to find out whether one is good,
 * it is rot as well.
 *
 * A batch behind it is a whole one, with its right checksum and an offset that may follow. A block that
 * was never written reads as zeros up to the end of a sector: a run of them that ends at one is the sign
 * of a lost write. What is rot, and the records behind it, were acknowledged, so it is for the operator
 * to say what they are worth: store_options.damage. By default the partition is not served.
 *
 * Nothing is cut before a copy of it is on disk, next to the log: OFFSET.log.POSITION.cut, with what
 * the segment had from that position on. Segments that lie behind a cut become OFFSET.log.0.cut.
 *
 * Going on behind a gap makes the segment anew without what is damaged, by a file that takes its name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/be.h"
#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define SECTOR     512u
#define ZEROS_MIN  8u
#define COPY_BYTES (256u * 1024u)
/* Of files that are called the same. */
#define COPIES_MAX 100u

/* ---- copies ---- */

static int write_part(int fd, const char *bytes, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = sys_pwrite(fd, bytes + done, len - done, at + done);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* [from, to) of a file go to `at` of another one. */
static int copy_range(int in, uint64_t from, uint64_t to, int out, uint64_t at)
{
	char *buffer = malloc(COPY_BYTES);
	int r = buffer ? 0 : -ENOMEM;

	while (r == 0 && from < to) {
		ssize_t n = sys_pread(in, buffer, min_u64(to - from, COPY_BYTES), from);

		r = n > 0 ? write_part(out, buffer, (size_t)n, at) : n < 0 ? (int)n : -EIO;
		if (r == 0) {
			from += (uint64_t)n;
			at += (uint64_t)n;
		}
	}
	free(buffer);
	return r;
}

/* Nothing but zeros is behind *ret: `from` or some way behind the last other byte, since batches may end
 * in zeros. */
static int find_end(int fd, uint64_t from, uint64_t to, uint64_t *ret)
{
	char *buffer = malloc(COPY_BYTES);
	int r = buffer ? 0 : -ENOMEM;

	while (r == 0 && to > from) {
		size_t len = (size_t)min_u64(to - from, COPY_BYTES);
		ssize_t n = sys_pread(fd, buffer, len, to - len);

		if (n != (ssize_t)len)
			r = n < 0 ? (int)n : -EIO;
		if (r == 0 && (buffer[0] != 0 || memcmp(buffer, buffer + 1, len - 1) != 0))
			break;
		to -= r == 0 ? len : 0;
	}
	free(buffer);
	*ret = to;
	return r;
}

/* A name that is not taken; `segment` and `position`: of what is set aside. */
static int open_aside(const struct partition *partition, int64_t segment, uint64_t position,
		      char ret_path[SEGMENT_PATH_MAX])
{
	int fd = -EEXIST;

	for (unsigned copy = 1; copy <= COPIES_MAX && fd == -EEXIST; copy++) {
		char more[16] = "";

		if (copy > 1)
			snprintf(more, sizeof(more), ".%u", copy);
		snprintf(ret_path, SEGMENT_PATH_MAX, "%s/%020lld.log.%llu%s.cut", partition->folder,
			 (long long)segment, (unsigned long long)position, more);
		fd = sys_openat(partition->topic->store->fd, ret_path, O_WRONLY | O_CREAT | O_EXCL,
				0644);
	}
	return fd;
}

int partition_set_aside(const struct partition *partition, struct log_segment *segment,
			uint64_t from, uint64_t to)
{
	struct store *store = partition->topic->store;
	char path[SEGMENT_PATH_MAX];
	int in = log_segment_use(segment, LOG_FILE_LOG, false), out, r;
	uint64_t end;

	if (in < 0)
		return in;
	r = find_end(in, from, to, &end);
	out = r == 0 && end > from ? open_aside(partition, segment->base_offset, from, path) : r;
	if (out < 0 || end == from) {
		log_segment_done(segment);
		return out;
	}
	r = copy_range(in, from, end, out, 0);
	if (r == 0)
		r = sys_fdatasync(out);
	sys_close(out);
	log_segment_done(segment);
	if (r == 0)
		r = files_sync_folder(store->fd, partition->folder);
	if (r < 0)
		(void)sys_unlinkat(store->fd, path, 0);
	else
		log_warning("%s/%s has the %llu bytes that are taken out of the log", store->dir,
			    path, (unsigned long long)(end - from));
	return r;
}

int partition_drop_segment(const struct partition *partition, const struct log_segment *segment)
{
	struct store *store = partition->topic->store;
	char path[SEGMENT_PATH_MAX], aside[SEGMENT_PATH_MAX];
	int fd, r;

	log_segment_path(partition->folder, segment->base_offset, LOG_FILE_LOG, path);
	if (segment->size == 0)
		return sys_unlinkat(store->fd, path, 0);
	fd = open_aside(partition, segment->base_offset, 0, aside);
	if (fd < 0)
		return fd;
	sys_close(fd);
	r = sys_renameat(store->fd, path, store->fd, aside);
	if (r == 0)
		log_warning("%s/%s has the %u bytes of segment %lld, which lies behind the cut",
			    store->dir, aside, segment->size, (long long)segment->base_offset);
	return r;
}

/* ---- what it is ---- */

struct zeros {
	uint64_t count; /* in a row, up to here */
	bool found;
};

static void count_zeros(struct zeros *zeros, const char *bytes, size_t len, uint64_t at)
{
	for (size_t i = 0; i < len; i++) {
		zeros->count = bytes[i] == 0 ? zeros->count + 1 : 0;
		zeros->found |= zeros->count >= ZEROS_MIN && (at + i + 1) % SECTOR == 0;
	}
}

/* 1: [from, to) was lost, or part of it. */
static int was_lost(int fd, uint64_t from, uint64_t to)
{
	char *buffer = malloc(COPY_BYTES);
	struct zeros zeros = {.count = 0};
	int r = buffer ? 0 : -ENOMEM;

	while (r == 0 && from < to && !zeros.found) {
		ssize_t n = sys_pread(fd, buffer, min_u64(to - from, COPY_BYTES), from);

		if (n <= 0) {
			r = n < 0 ? (int)n : -EIO;
			break;
		}
		count_zeros(&zeros, buffer, (size_t)n, from);
		from += (uint64_t)n;
	}
	free(buffer);
	return r < 0 ? r : zeros.found;
}

/* The file ends in the middle of the batch that the scan has come to. */
static bool is_cut_short(const struct log_reader *reader)
{
	uint64_t left = reader->scan.size - reader->scan.position;
	char head[12];

	if (left < RECORD_BATCH_HEADER || sys_pread(reader->fd, head, sizeof(head),
						    reader->scan.position) != (ssize_t)sizeof(head))
		return true;
	return be_load32(head + 8) + sizeof(head) > left;
}

/* Batches lie behind the damage in another segment. Not where the damage is what a failed append has
 * left, and the next segment goes on from there. */
static bool others_follow(const struct partition *partition, uint32_t nth,
			  const struct log_reader *reader)
{
	if (nth + 1 == partition->segment_count ||
	    partition->segments[nth + 1]->base_offset == reader->scan.next_offset)
		return false;
	for (uint32_t i = nth + 1; i < partition->segment_count; i++)
		if (partition->segments[i]->size > 0)
			return true;
	return false;
}

/* What lies below the recovery point. Not where that is no further than what was deleted, which moves it
 * without a sync. */
static bool was_on_disk(const struct partition *partition, const struct log_scan *scan)
{
	return scan->next_offset < partition->recovery_point &&
	       partition->recovery_point > partition->log_start;
}

int partition_judge(const struct partition *partition, uint32_t nth, struct log_reader *reader,
		    struct damage *ret)
{
	const struct log_scan *scan = &reader->scan;
	bool had_it = was_on_disk(partition, scan);
	int found = log_reader_find_good(reader, &ret->end, &ret->next_offset), lost;

	if (found < 0)
		return found;
	ret->begin = scan->position;
	if (found != 1) {
		ret->end = scan->size;
		ret->next_offset = nth + 1 < partition->segment_count
				       ? partition->segments[nth + 1]->base_offset
				       : max_i64(scan->next_offset + 1, partition->recovery_point);
	}
	ret->follows = found == 1 ||
		       ((had_it || !is_cut_short(reader)) && others_follow(partition, nth, reader));
	ret->kind = DAMAGE_ROT;
	if (had_it || found == LOG_READER_UNKNOWN)
		return 0;
	if (!ret->follows) {
		ret->kind = DAMAGE_TORN;
		return 0;
	}
	lost = was_lost(reader->fd, ret->begin, ret->end);
	if (lost == 1)
		ret->kind = DAMAGE_LOST;
	return lost < 0 ? lost : 0;
}

void partition_tell_rot(const struct partition *partition, const struct log_segment *segment,
			const struct log_scan *scan, const struct damage *damage)
{
	const struct store *store = partition->topic->store;

	log_error("%s/%s/%020lld.log is damaged from position %llu to %llu (offsets %lld to %lld: "
		  "%s), %s. The partition is offline and its files are as they "
		  "were: put the file of a backup in their place, or start with -o "
		  "leat.recovery.damage=skip, which goes on without these offsets",
		  store->dir, partition->folder, (long long)segment->base_offset,
		  (unsigned long long)damage->begin, (unsigned long long)damage->end,
		  (long long)scan->next_offset, (long long)damage->next_offset - 1, scan->why,
		  damage->follows                ? "and whole batches follow"
		  : was_on_disk(partition, scan) ? "which had been on disk"
						 : "and what follows looks like batches");
}

/* ---- without it ---- */

static int copy_without(int in, int out, const struct log_gaps *gaps, uint64_t size)
{
	uint64_t from = 0, at = 0;
	int r = 0;

	for (size_t i = 0; i <= gaps->count && r == 0; i++) {
		uint64_t to = i < gaps->count ? gaps->list[i].begin : size;

		r = copy_range(in, from, to, out, at);
		at += to - from;
		from = i < gaps->count ? gaps->list[i].end : size;
	}
	return r == 0 ? sys_fdatasync(out) : r;
}

int partition_close_gaps(const struct partition *partition, struct log_segment *segment,
			 const struct log_gaps *gaps)
{
	int dir = partition->topic->store->fd, in, out, r;
	char path[SEGMENT_PATH_MAX], other[SEGMENT_PATH_MAX + 4];

	log_segment_path(partition->folder, segment->base_offset, LOG_FILE_LOG, path);
	/* What an end in the middle of this has left of it goes with the next start. */
	snprintf(other, sizeof(other), "%s.tmp", path);
	out = sys_openat(dir, other, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (out < 0)
		return out;
	in = log_segment_use(segment, LOG_FILE_LOG, false);
	r = in < 0 ? in : copy_without(in, out, gaps, segment->size);
	sys_close(out);
	if (in >= 0)
		log_segment_done(segment);
	if (r == 0)
		r = sys_renameat(dir, other, dir, path);
	if (r < 0) {
		(void)sys_unlinkat(dir, other, 0);
		return r;
	}
	log_segment_close_files(segment);
	for (size_t i = 0; i < gaps->count; i++)
		segment->size -= (uint32_t)(gaps->list[i].end - gaps->list[i].begin);
	return files_sync_folder(dir, partition->folder);
}

int log_gaps_add(struct log_gaps *gaps, uint64_t begin, uint64_t end)
{
	struct log_gap *larger = realloc(gaps->list, (gaps->count + 1) * sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	gaps->list = larger;
	gaps->list[gaps->count++] = (struct log_gap){begin, end};
	gaps->bytes += end - begin;
	return 0;
}
