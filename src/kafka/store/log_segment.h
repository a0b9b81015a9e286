/*
 * A segment: one .log file with its indexes.
 *
 * Its files are opened when they are needed: log_segment_use() gives a descriptor that stays until
 * log_segment_done(). Those that nobody uses stay open for the next time, and the ones that were not
 * used for the longest are closed where more than `open_max` segments have open files: when a file is
 * opened, when it is given back, and by maintenance. log_files.c has it.
 *
 * References: the partition's list has one, each slice has one. The files' names may go while
 * references are held; descriptors that are in use stay good.
 *
 * Who guards what: `files` (users, descriptors, the list) has a lock of its own, taken last. All
 * else is the partition's lock's; what is set when the segment is made (base_offset) anybody may
 * read, and size and index_entries of a segment that is complete.
 */
#ifndef KAFKA_STORE_LOG_SEGMENT_H
#define KAFKA_STORE_LOG_SEGMENT_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/list.h"
#include "kafka/store/log_index.h"
#include "kafka/wire/record_batch.h"

#define SEGMENT_UNKNOWN  UINT32_MAX
#define SEGMENT_NAME_MAX 64 /* %020d and the longest suffix */

/* The files that a segment may have; what KEEPS are kept open. */
enum log_file {
	LOG_FILE_LOG,
	LOG_FILE_INDEX,
	LOG_FILE_KEEPS,
	LOG_FILE_TIME = LOG_FILE_KEEPS,
	LOG_FILE_TRANSACTIONS,
	LOG_FILE_SNAPSHOT, /* named by an offset, not part of a segment, but goes with it */
	LOG_FILE_COUNT,
};

extern const char *const log_file_suffixes[LOG_FILE_COUNT];

/* The segments of a store that have open files. */
struct log_files {
	pthread_mutex_t lock;
	struct list idle; /* those that nobody uses, the longest unused first */
	unsigned open, open_max;
	int dir; /* the store's folder */
	/* It is in memory: nothing there waits for a disk, also where the kernel does not say so. */
	bool in_memory;
};

/* Entries that are not in the files yet, of the segment that is written to. */
#define TAIL_ENTRIES 32u
/* Where the last appends began: consumers at the tail ask just for these. */
#define TAIL_STARTS 16u

struct log_tail {
	uint32_t index_count, time_count;
	uint32_t start_count; /* ever; those that were overwritten as well */
	/* As the files have them. */
	char index[TAIL_ENTRIES * LOG_INDEX_ENTRY];
	char time[TAIL_ENTRIES * LOG_TIME_ENTRY];
	struct log_index_entry starts[TAIL_STARTS]; /* first offset and position */
};

struct log_segment {
	struct list in_idle; /* of struct log_files, by its lock */
	struct log_files *files;
	const char *folder; /* the partition's, which has to be there where files are opened */
	int64_t base_offset;
	uint64_t number;  /* in the order in which the process made them, from 1 */
	bool has_aborted; /* there is a .txnindex */
	_Atomic uint32_t refs;
	uint32_t users;
	int fds[LOG_FILE_KEEPS]; /* -1: not open */
	/* Begun on the log; and how many of them are on disk, by the lock of `files`. */
	_Atomic uint64_t writes;
	uint64_t writes_synced;
	void *pin;     /* of a log that was closed before it was synced; NULL: none */
	uint32_t size; /* bytes of the log that count */
	/* In the files; SEGMENT_UNKNOWN: not looked at yet. */
	_Atomic uint32_t index_entries;
	_Atomic uint32_t time_entries;
	bool synced;                     /* complete, and all of it on disk */
	_Atomic bool dropped;            /* its names are going, or gone */
	_Atomic int64_t max_timestamp;   /* -1: none; SEGMENT_TIME_UNKNOWN */
	_Atomic int64_t first_timestamp; /* of the first batch; -1: none; SEGMENT_TIME_UNKNOWN */
	bool reserved;                   /* the disk has room for more than is in it */
	int64_t created_ms;              /* or found */
	int64_t written_ms;         /* for the last time; of one that was found, as its file says */
	int64_t jitter_ms;          /* it is completed so much earlier than segment.ms says */
	struct log_indexer indexer; /* while it is written to */
	struct log_tail *tail;      /* of the one that is written to, once it was */
};

#define SEGMENT_TIME_UNKNOWN INT64_MIN

void log_files_init(struct log_files *files, int dir, unsigned open_max);
void log_files_fini(struct log_files *files);
/* Closes those that nobody uses, where too many are open; or where the process has no descriptors left,
 * all of them. False: there was nothing to close. */
bool log_files_trim(struct log_files *files, bool all);
/* The error is one of having no descriptor: closing others may help. */
static inline bool log_files_lack(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

/* "%020d" and the suffix. */
void log_segment_name(int64_t offset, enum log_file file, char ret[SEGMENT_NAME_MAX]);
/* "folder/name" below the store's folder. */
#define SEGMENT_PATH_MAX (256 + SEGMENT_NAME_MAX)
void log_segment_path(const char *folder, int64_t offset, enum log_file file,
		      char ret[SEGMENT_PATH_MAX]);

/* One reference; no file is touched. NULL: no memory. */
struct log_segment *log_segment_new(struct log_files *files, const char *folder, int64_t base);
/* Makes the .log, empty; with room for so many bytes, where the disk can. */
int log_segment_create(struct log_segment *segment, uint64_t reserve);
void log_segment_ref(struct log_segment *segment);
void log_segment_unref(struct log_segment *segment);

/* A descriptor to use; -EAGAIN with nowait when the file is not open, -ENOENT where there is none. */
int log_segment_use(struct log_segment *segment, enum log_file file, bool nowait);
void log_segment_done(struct log_segment *segment);
/* Nobody uses it: its files are others now. */
void log_segment_close_files(struct log_segment *segment);
/* The log, for a client that may take long to read it: such users don't open files beyond the limit,
 * so that what others need is left. -EMFILE: not now. */
int log_segment_lend(struct log_segment *segment, bool nowait);
/* A descriptor of one's own; closes unused files where the process has none left. */
int log_segment_open(const struct log_segment *segment, enum log_file file, int flags);
/* The descriptor is the segment's now, as after log_segment_use(). */
int log_segment_adopt(struct log_segment *segment, enum log_file file, int fd);
/* So many writes are on disk. */
void log_segment_is_synced(struct log_segment *segment, uint64_t writes);

/* ---- writing: the partition's lock is held ---- */

/* All of it, at the end. On failure the file is as it was, -errno; *ret_broken: it is not. */
int log_segment_write(struct log_segment *segment, const char *data, size_t len, bool *ret_broken);
/* The tail exists, or -ENOMEM. */
int log_segment_tail(struct log_segment *segment);
/* A batch was written at `position`. Index entries that find no room on disk are left out. -ENOMEM
 * only where there is no tail yet. */
int log_segment_note(struct log_segment *segment, const struct record_batch *batch,
		     uint32_t position, uint64_t interval);
/* Entries of the tail go to the files. */
int log_segment_write_tail(struct log_segment *segment);
/* The same, and the files have just these entries and no old ones behind them. */
int log_segment_trim(struct log_segment *segment);
/* Nothing more is written: the last entries, the files at their exact lengths, no tail. */
int log_segment_finish(struct log_segment *segment);
/* Blocks. The log alone, or all files. */
int log_segment_sync(struct log_segment *segment, bool all_files);

/* Where to begin looking for an offset: the start of some batch at or before its batch. False: the
 * tail does not know. */
bool log_segment_lookup_tail(const struct log_segment *segment, int64_t offset,
			     uint32_t *ret_position);

/* ---- looking: no lock is needed ---- */

/* The same by the file. `end`: the offset behind the segment, for guessing; `size`: of the log, as
 * it was under the lock. */
int log_segment_lookup(struct log_segment *segment, int64_t offset, int64_t end, uint32_t size,
		       bool nowait, uint32_t *ret_position);

struct log_place {
	uint32_t position;
	uint32_t length; /* of the batch */
	int64_t base_offset, last_offset, max_timestamp;
	int32_t leader_epoch;
	int16_t attributes;
	bool old; /* a message of format 0 or 1; a compressed one begins at base_offset or later */
};

/* The batch at a position. -ENODATA: the end; -EBADMSG: that is no batch. */
int log_segment_place(struct log_segment *segment, uint32_t position, uint32_t size, bool nowait,
		      struct log_place *ret);
/* The first batch from `from` on, which is not to lie behind it, below `size`, whose last offset is
 * `offset` or later. -ENODATA. */
int log_segment_find(struct log_segment *segment, uint32_t from, uint32_t size, int64_t offset,
		     bool nowait, struct log_place *ret);
/* The first whose max timestamp is `timestamp` or later. The one at `from` has the offset `begin`, or lies
 * before it; INT64_MAX: it lies behind one that was found. */
int log_segment_find_time(struct log_segment *segment, uint32_t from, uint32_t size, int64_t begin,
			  int64_t timestamp, struct log_place *ret);
/* The last entry of the time index before a timestamp (INT64_MAX: of all); timestamp -1: none. */
int log_segment_time(struct log_segment *segment, int64_t timestamp, struct log_time_entry *ret);
/* Learns max_timestamp and first_timestamp from the files. */
int log_segment_learn_times(struct log_segment *segment);

#endif
