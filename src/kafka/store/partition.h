/*
 * A partition: a log of record batches, appended at its end, read anywhere, cut at its start.
 *
 * On disk it is a folder of segments, named by their first offset: %020d.log (batches as they go
 * over the wire), .index (offset to position), .timeindex (time to offset), .snapshot (what is known
 * of producers at this offset); leader-epoch-checkpoint; partition.metadata.
 *
 *     log start <= last stable <= high watermark <= log end
 *                                                   durable end <= log end
 *
 * The high watermark bounds what consumers see. There is one replica, so it is the log's end; but
 * where flush.messages is 1 it is the durable end: nobody sees what a power cut may take back.
 *
 * One lock, held while bytes are handed to the page cache or ends are read, never across a sync of
 * the disk or a wait. All functions from any thread. Those marked "blocks" wait for the disk.
 *
 * Outcomes are Kafka's error codes. Wherever one is returned it may be UNKNOWN_TOPIC_OR_PARTITION
 * (the topic has been deleted) or KAFKA_STORAGE_ERROR (the disk failed: once a sync has failed, or a
 * write in a way that leaves the log unknown, the partition is offline until the next start; logged
 * once with the reason). A full disk is KAFKA_STORAGE_ERROR as well, but the log is as it was and
 * the next append may succeed.
 */
#ifndef KAFKA_STORE_PARTITION_H
#define KAFKA_STORE_PARTITION_H

#include "base/slice.h"
#include "kafka/wire/error.h"

struct topic;
struct partition;
struct log_segment;

struct topic *partition_topic(const struct partition *partition);
int32_t partition_number(const struct partition *partition);
/* The bytes that store_options.user_bytes asked for. */
void *partition_user(struct partition *partition);

struct partition_ends {
	int64_t log_start, last_stable, high_watermark, log_end;
	int64_t durable_end; /* what lies below survives a power cut */
	int32_t leader_epoch;
};

enum kafka_error partition_ends(struct partition *partition, struct partition_ends *ret);
/* Bytes of its segments; for DescribeLogDirs. */
uint64_t partition_bytes(struct partition *partition);

/* ---- append ---- */

struct partition_appended {
	int64_t base_offset, last_offset;
	int64_t log_start;
	int64_t timestamp; /* of a duplicate: the max timestamp that the batch was stored with */
	/* The batch was there already (an idempotent producer's retry): base_offset is that of
	 * then, nothing was appended. */
	bool duplicate;
	/* By flush.messages the log is due for a sync, and nobody has taken it on yet: the caller
	 * has a helper call partition_flush(). True for one of all who append meanwhile. */
	bool flush_due;
	/* Answer acks=1 and acks=all only once durable_end > last_offset (flush.messages is 1). For
	 * duplicates too. */
	bool wait_durable;
	int error; /* with KAFKA_STORAGE_ERROR: the -errno */
};

/* Appends the batches in `records` (one or more, whole ones), in one write. They have been checked
 * by record_batch_check_produced() or made by ourselves; LogAppendTime and the like are in them.
 * Their base offsets and leader epochs are set here, in place: the memory is changed.
 *
 * Checks max.message.bytes (MESSAGE_TOO_LARGE), segment.bytes (RECORD_LIST_TOO_LARGE) and, for
 * batches with a producer id, the sequence: OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH.
 * Unless it returns NONE nothing was appended. Goes to the page cache; may wait for the disk only
 * where the kernel throttles writers. */
enum kafka_error partition_append(struct partition *partition, char *records, size_t len,
				  int64_t now_ms, struct partition_appended *ret);

/* Blocks. Makes durable everything appended before the call (one sync for all who wait), and with
 * that moves durable_end, and the high watermark where flush.messages is 1: the caller then answers
 * producers and wakes consumers by partition_ends(). True: more became due meanwhile, call it again
 * (behind other jobs in the queue). After a failure the ends stay and partition_ends() says
 * KAFKA_STORAGE_ERROR. For want of descriptors, memory or room for a small file it is put off, to the
 * next append or store_maintain(). Only for who was told flush_due. */
bool partition_flush(struct partition *partition);
/* Blocks, and for anybody: what lies before `end` becomes durable, unless that fails; partition_ends()
 * says. Who was told flush_due has it to do all the same. */
void partition_make_durable(struct partition *partition, int64_t end);

/* ---- read ---- */

enum partition_isolation {
	PARTITION_READ_UNCOMMITTED, /* up to the high watermark */
	PARTITION_READ_COMMITTED,   /* up to the last stable offset */
	PARTITION_READ_ALL,         /* up to the log's end: for ourselves, before anybody is told */
};

/* Bytes of one segment, to be sent as they are. The descriptor stays open and the bytes stay what
 * they are until partition_slice_release(), whatever happens to the partition. */
struct partition_slice {
	struct log_segment *segment; /* NULL: there is nothing to hold */
	int fd;
	uint64_t file; /* a number that no other segment of the process has had */
	uint64_t position;
	size_t len;          /* may end inside of a batch */
	int64_t base_offset; /* of the first batch: at most the offset asked for */
	bool at_bound;       /* nothing below the bound lies behind it */
	bool newest_segment; /* else more data follows at once, however few these are */
	struct partition_ends ends;
};

struct partition_read {
	int64_t offset;
	size_t max_bytes;
	bool whole_first; /* the first batch, even if it alone is more than max_bytes */
	/* Where something isn't in memory (a file not open, an index, headers) the answer is
	 * -EAGAIN, and a helper does the same read without it. */
	bool nowait;
	/* The slice is kept for long, by a client that may be slow: where too many files are open
	 * already it is empty. */
	bool lent;
	enum partition_isolation isolation;
};

/* From the batch that has `offset` on. 0: look at *ret_error, and at *ret if it is NONE:
 * OFFSET_OUT_OF_RANGE (below the log's start, above the high watermark) fills ret->ends too. At the
 * bound: NONE and an empty slice. Without whole_first, and the first batch longer than max_bytes:
 * empty as well. -EAGAIN with nowait only. Blocks without nowait. Whether the slice's own bytes are
 * in memory is not looked at: that is for who sends them. */
int partition_read(struct partition *partition, const struct partition_read *read,
		   struct partition_slice *ret, enum kafka_error *ret_error);

/* Any thread; once. Of an empty slice: nothing. */
void partition_slice_release(struct partition_slice *slice);

/* Aborted transactions that a read_committed fetch of [from, to) must be told of: Kafka's
 * .txnindex. Fills at most `max`, returns how many there are. Blocks where the log has such files
 * (Kafka's transactions: leat makes none), else it costs nothing. */
struct partition_aborted {
	int64_t producer_id, first_offset;
};

unsigned partition_aborted(struct partition *partition, int64_t from, int64_t to,
			   struct partition_aborted *ret, unsigned max);

/* ---- find ---- */

#define PARTITION_NOT_FOUND (-1)

struct partition_found {
	int64_t offset, timestamp; /* both -1: there is none */
	int32_t leader_epoch;
	/* The record is in a compressed batch, whose base offset and max timestamp these are;
	 * `batch` (release it) has its bytes, for a caller that expands them and looks closer. */
	bool compressed;
	struct partition_slice batch;
};

/* Blocks. The first record with this timestamp or a later one. */
enum kafka_error partition_find_time(struct partition *partition, int64_t timestamp,
				     struct partition_found *ret);
/* The same among those with an offset of `from` or higher: for a caller that has found none in a
 * compressed batch. */
enum kafka_error partition_find_time_from(struct partition *partition, int64_t timestamp,
					  int64_t from, struct partition_found *ret);
/* Blocks. The record with the greatest timestamp of all. */
enum kafka_error partition_find_latest(struct partition *partition, struct partition_found *ret);

/* The greatest epoch that is at most `epoch`, and where it ended; of one from before all that are
 * known: itself, and where these begin. -1 and -1: a later one than any. */
enum kafka_error partition_epoch_end(struct partition *partition, int32_t epoch, int32_t *ret_epoch,
				     int64_t *ret_end);
/* The epoch of the log's start; -1: not known. */
int32_t partition_start_epoch(struct partition *partition);

/* ---- change ---- */

/* Blocks. DeleteRecords: everything below `offset` (-1: the high watermark) is gone, also after a
 * crash. OFFSET_OUT_OF_RANGE: above the high watermark. */
enum kafka_error partition_delete_records(struct partition *partition, int64_t offset,
					  int64_t *ret_log_start);
/* Blocks. From now on batches carry this epoch; it never goes down (FENCED_LEADER_EPOCH). It is on disk
 * when this returns; appends in between are refused. KAFKA_STORAGE_ERROR: and those that follow, until
 * maintenance could write it. */
enum kafka_error partition_set_leader_epoch(struct partition *partition, int32_t epoch);

/* ---- idempotent producers, for DescribeProducers ---- */

struct partition_producer {
	int64_t id;
	int64_t last_timestamp;
	int64_t transaction_start; /* -1: no transaction is open */
	int32_t last_sequence;
	int32_t coordinator_epoch;
	int16_t epoch;
};

/* At most `max`, in no order; returns how many there are. */
unsigned partition_producers(struct partition *partition, struct partition_producer *ret,
			     unsigned max);

#endif
