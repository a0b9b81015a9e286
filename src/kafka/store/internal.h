/*
 * What the files of the store share: what a store, a topic and a partition are made of.
 *
 * Locks, in the order in which they are taken:
 *   store->change        one change of topics, one maintenance at a time; held across the disk
 *   store->producer_ids  one taking of producer ids at a time; held across the disk
 *   store->lock          which topics there are; readers and writers
 *   partition->sync      one sync of a partition at a time, or renaming of what leaves it; held
 *                        across the disk
 *   partition->lock      everything of a partition; never held across a sync
 *   store->doomed.lock   what is to be unlinked
 *   store->files.lock    which files are open
 *   store->flushes.lock  how long syncs took
 */
#ifndef KAFKA_STORE_INTERNAL_H
#define KAFKA_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "kafka/store/epochs.h"
#include "kafka/store/identity.h"
#include "kafka/store/image.h"
#include "kafka/store/log_reader.h"
#include "kafka/store/log_segment.h"
#include "kafka/store/producers.h"
#include "kafka/store/store.h"

struct load;

/* "TOPIC-2147483647" */
#define FOLDER_NAME_MAX (STORE_TOPIC_NAME_MAX + 12)
/* Of a topic; so that a number that lies does not cost the disk. */
#define PARTITIONS_MAX 100000

/* No log gets there: what is counted from an offset on does not run over. */
#define OFFSET_MAX (INT64_MAX - UINT32_MAX)

enum partition_state {
	PARTITION_GOOD,
	PARTITION_OFFLINE, /* the disk failed; until the next start */
	PARTITION_GONE,    /* its topic was deleted */
};

struct partition {
	struct topic *topic;
	int32_t number;
	char *folder; /* below the store's */

	pthread_mutex_t sync;
	pthread_mutex_t lock;
	/* By the lock, all of these. The last segment is the one that is written to; there is
	 * always one while the state is GOOD. */
	enum partition_state state;
	int failed; /* OFFLINE: why, -errno */
	struct log_segment **segments;
	uint32_t segment_count, segment_capacity;
	int64_t log_start, log_end, high_watermark, durable_end;
	/* Below it recovery does not look; what the checkpoint will say. */
	int64_t recovery_point;
	int64_t start_wanted; /* what the checkpoint is to say of log_start; 0: just that */
	int32_t leader_epoch;
	/* 0: leader-epoch-checkpoint has the leader epoch. Else why it has not, yet: nothing is
	 * appended until then. */
	int epoch_error;
	int64_t durable_wanted;  /* somebody was told to wait until the durable end is there */
	bool flush_running;      /* somebody was told flush_due */
	bool folder_dirty;       /* names were made that are not on disk */
	bool wants_sync;         /* a segment was completed */
	bool has_aborted;        /* a segment has a .txnindex; set when it is loaded */
	bool was_cut;            /* the last segment was made shorter, which is not on disk yet */
	int64_t dirty_since;     /* of the oldest byte that is not on disk; 0: none */
	int64_t snapshot_offset; /* of the newest .snapshot; -1: none */
	struct producers producers;
	struct epochs epochs;
	_Alignas(max_align_t) char user[];
};

struct partition_table {
	struct partition_table *older; /* readers may still be looking at it */
	int32_t count;
	struct partition *partitions[];
};

/* Files that are kept for the way out of a full disk. */
#define RESERVES 8u

/* What leat-topics is to say of a topic, before others see it. */
struct topic_plan {
	int32_t partitions; /* 0: as many as it has */
	bool deletion;
	const struct topic_config *config; /* NULL: its own */
};

struct topic {
	struct store *store;
	_Atomic uint32_t refs;
	_Atomic bool deleted;
	struct kafka_uuid id;
	_Atomic(struct partition_table *) table;
	/* Effective values, and which are its own (by store->lock). */
	_Atomic int64_t values[TOPIC_CONFIG_COUNT];
	uint64_t own;
	struct topic *next_leaving;
	int64_t deleted_ms;
	struct topic_plan planned; /* by store->change */
	size_t name_len;
	char name[];
};

/* A name below the store's folder that goes at its time. */
struct doomed {
	struct list in_list;
	int64_t due_ms;
	bool folder;
	char path[];
};

struct store {
	char *dir;   /* as it was given */
	char *path;  /* absolute */
	int fd;      /* of the folder */
	int lock_fd; /* of .lock */
	struct identity identity;
	struct topic_config defaults;
	int64_t producer_expiry_ms;
	int64_t retention_interval_ms;
	enum store_damage damage;
	unsigned syncing; /* threads that wait for the disk together */
	size_t user_bytes;
	void (*user_init)(void *user, struct partition *partition);
	void (*user_fini)(void *user);
	void (*moved)(struct partition *partition);

	pthread_mutex_t change;
	pthread_rwlock_t lock;
	struct topic **by_name, **by_id; /* sorted, the same ones */
	uint32_t topic_count, topic_capacity;
	/* Deleted, but some folder could not be renamed yet: leat-topics still names them. By
	 * `change`. */
	struct topic *leaving;
	struct log_files files;
	struct {
		pthread_mutex_t lock;
		struct list list;
	} doomed;
	struct {
		pthread_mutex_t lock; /* held for nothing else */
		struct histogram times;
	} flushes;
	uint64_t reserves[RESERVES]; /* bytes of leat-reserve.N; 0: there is none. By `change` */
	_Atomic int no_room; /* -errno of the last write that found none; 0: since then one did */
	_Atomic bool unsettled; /* leat-topics may say what has failed. By `change` */
	pthread_mutex_t producer_ids;
	int64_t next_producer_id; /* by it */
	/* leat-topics has what Kafka's metadata says before this offset; -1: nothing of it. */
	int64_t metadata_end;
	/* Of the broker in Kafka's metadata, which wants it back from a clean stop; -1. */
	int64_t broker_epoch;
	int64_t checkpoints_due_ms, producers_due_ms;
	/* Retention is for when so much time has gone by since then. */
	int64_t retention_since_ms, retention_wait_ms;
	size_t sync_turn; /* maintenance goes on with this one of those whose sync is due */
	_Atomic bool checkpoints_dirty;
	bool was_clean;
	/* It may be an older copy of what clients have seen: see store_mark.c. */
	bool was_moved;
	_Atomic bool folders_made; /* while loading: their names have to be synced */
	_Atomic uint64_t recovered_bytes;
	_Atomic unsigned cuts;
};

/* ---- partition.c ---- */

/* Not yet in a state to be used: partition_load() or partition_create() is next. NULL: no memory. */
struct partition *partition_new(struct topic *topic, int32_t number);
void partition_free(struct partition *partition);
/* Makes the folder, if it is not there, and its first, empty segment; durable. */
int partition_create(struct partition *partition, int64_t now_ms);

/* Under the lock: NONE, or why nothing can be done with it. */
enum kafka_error partition_check(const struct partition *partition);
/* Under the lock. Logged, once. */
void partition_fail(struct partition *partition, int error, const char *what);
/* Under the lock: the high watermark follows what it is bound to. */
void partition_advance(struct partition *partition);
void partition_fill_ends(const struct partition *partition, struct partition_ends *ret);
/* Under the lock: what partition.h says of the ends holds. Called by whoever has moved one. */
void partition_verify(const struct partition *partition);
static inline struct log_segment *partition_active(const struct partition *partition)
{
	return partition->segments[partition->segment_count - 1];
}
/* Under the lock: the segment that has the offset, or would have it; the first one where the offset
 * lies before all. */
uint32_t partition_segment_at(const struct partition *partition, int64_t offset);
/* Under the lock: the offset behind the nth segment. */
int64_t partition_segment_end(const struct partition *partition, uint32_t nth);
/* Room for one more in partition->segments. -ENOMEM. */
int partition_reserve_segment(struct partition *partition);
/* For a segment that is going to be written to: any time below segment.jitter.ms, so that the
 * partitions of a topic do not all begin a segment at once. */
int64_t partition_jitter(const struct partition *partition);
/* Under the lock: completes the segment and begins another at the log's end. */
int partition_roll(struct partition *partition, int64_t now_ms);
/* Under the lock: writes NNN.snapshot for the log's end, not yet synced. */
int partition_write_snapshot(struct partition *partition);

static inline int64_t partition_config(const struct partition *partition, enum topic_config_id id)
{
	return topic_config_value(partition->topic, id);
}

/* ---- partition_flush.c ---- */

/* Blocks; no lock held. What was appended before is on disk; a failure takes it offline. */
int partition_sync(struct partition *partition);
/* Blocks. The same, and the last segment's indexes and the snapshot: what a clean start relies on.
 * Nothing is appended any more. */
int partition_close(struct partition *partition, struct load *unused);

/* Blocks. The leader epoch is on disk, where it was not; 0 too where the partition is offline. A
 * crew_work. */
int partition_keep_epoch(struct partition *partition, struct load *unused);

/* ---- partition_epochs.c ---- */

/* While loading: reads the file; load->epochs_lost: the batches have to be asked. */
int partition_load_epochs(struct partition *partition, struct load *load);
/* While loading: a batch says of which epoch it is. -ENOMEM. */
int partition_learn_epoch(struct partition *partition, const struct record_batch *batch);
/* While loading, with the log's ends known: what the leader epoch is from now on. -ENOMEM. */
int partition_settle_epochs(struct partition *partition, const struct load *load);
/* Under the lock: batches are of this epoch from the log's end on. Room for it was reserved, and
 * partition_keep_epoch() is called soon. */
void partition_begin_epoch(struct partition *partition, int32_t epoch);

/* ---- partition_load.c, partition_leftovers.c, partition_scan.c ---- */

struct load {
	bool clean;
	/* Of the partition that is being loaded: records may be missing that clients have seen, and
	 * its epochs are learnt from the batches. */
	bool begins_epochs, epochs_lost;
	int64_t now_ms;
	struct log_buffer buffer; /* of the thread, for scanning */
};

/* Reads the folder; log_start and recovery_point are what the checkpoints say. A failure leaves it
 * offline, logged; returns 0 all the same. */
int partition_load(struct partition *partition, struct load *load);

/* The name is of a file that an end in the middle of something has left. */
bool partition_is_leftover(const char *name);
/* Puts what they are about in order. -EBADMSG: a file that was to take the place of others is not
 * whole. */
int partition_clear_leftovers(struct partition *partition, struct load *load);

/* What to do with the nth segment while loading. */
enum scan_depth {
	SCAN_HEADERS, /* believed */
	SCAN_SUMS,    /* checked, and cut where it is not good */
};

/* Walks the nth segment from `from` on: makes its indexes anew where `reindex`, and brings producers
 * and epochs up to it. Cuts what is not good and returns 1, with what comes behind being gone as
 * well; 0: all good. */
int partition_scan(struct partition *partition, struct load *load, uint32_t nth, uint32_t from,
		   enum scan_depth depth, bool reindex, bool producers);

/* ---- partition_damage.c ---- */

enum damage_kind {
	DAMAGE_TORN, /* the last write did not come to its end */
	DAMAGE_LOST, /* the disk never had it, but what is behind it */
	DAMAGE_ROT,  /* something has changed it */
};

struct damage {
	enum damage_kind kind;
	bool follows;        /* whole batches are behind it */
	uint64_t begin, end; /* positions */
	int64_t next_offset; /* of what is behind it, as far as that is known */
};

/* While loading, where the nth segment's scan came to what is not good. -errno. */
int partition_judge(const struct partition *partition, uint32_t nth, struct log_reader *reader,
		    struct damage *ret);
/* Why the partition is not served, and what can be done. */
void partition_tell_rot(const struct partition *partition, const struct log_segment *segment,
			const struct log_scan *scan, const struct damage *damage);
/* A copy of these bytes of the segment is on disk, in the folder. Many zeros at their
 * end are left out. */
int partition_set_aside(const struct partition *partition, struct log_segment *segment,
			uint64_t from, uint64_t to);
/* The segment's log leaves its name; what is in it stays, by another one. */
int partition_drop_segment(const struct partition *partition, const struct log_segment *segment);

/* Parts of a segment that are not good, and were gone past. */
struct log_gaps {
	struct log_gap {
		uint64_t begin, end;
	} * list;
	size_t count;
	uint64_t bytes;
};

int log_gaps_add(struct log_gaps *gaps, uint64_t begin, uint64_t end);
/* The segment's file becomes one without them, on disk. */
int partition_close_gaps(const struct partition *partition, struct log_segment *segment,
			 const struct log_gaps *gaps);

/* ---- partition_retain.c ---- */

/* Blocks. What has its time: retention, producers. True: and a sync has. */
struct upkeep {
	int64_t now_ms;
	bool retains; /* what topics' settings say may go */
	bool expires; /* and producers that are silent */
};

bool partition_maintain(struct partition *partition, const struct upkeep *upkeep);
/* Blocks. The sync: a crew_work. */
int partition_sync_and_tell(struct partition *partition, struct load *unused);

/* ---- topics.c ---- */

struct topic *topic_new(struct store *store, struct slice name, const struct kafka_uuid *id,
			const struct topic_config *own);
/* A table with so many partitions: the topic's, and new ones. NULL: no memory. */
struct partition_table *topic_extend(struct topic *topic, int32_t count);
/* The table is not wanted after all, nor its partitions from `count` on. */
void topic_shrink(struct partition_table *table, int32_t count);
struct slice topic_name_slice(const struct topic *topic);
bool store_has_topic(struct store *store, struct slice name);
/* The same by store->lock, or store->change. */
bool store_name_is_taken(const struct store *store, struct slice name);
/* All under store->lock for writing, or while nobody else is there. -ENOMEM; not where room was made for
 * as many before. */
int store_reserve_topics(struct store *store, uint32_t count);
int store_link_topic(struct store *store, struct topic *topic);
void store_unlink_topic(struct store *store, struct topic *topic);
/* `config` becomes the topic's own. By store->lock, or while nobody else sees the topic. */
void topic_set_config(struct topic *topic, const struct topic_config *config);

/* ---- topics_file.c ---- */

/* The line of leat-topics that is no topic's begins with it, and a number follows. */
#define TOPICS_METADATA_KEY "kafka-metadata: "

/* A line of leat-topics. */
struct topics_line {
	struct slice name;
	struct kafka_uuid id;
	int32_t partitions;
	bool deleted; /* its folders may still have to be renamed */
	struct topic_config config;
};

/* -EBADMSG, or -EPROTONOSUPPORT from checkpoint_open(). */
int topics_parse_line(struct slice line, struct topics_line *ret);
/* By store->change: the file, from what is linked, as planned, and those that join. `frees`: it may
 * take the reserve, for what makes room on the disk or takes something back. *ret_replaced (may be
 * NULL): true where others can see the new file, though it failed. */
int store_write_topics(struct store *store, struct topic *const *joining, uint32_t joining_count,
		       bool frees, bool *ret_replaced);
/* By store->change: the file says what is so. */
void store_settle_topics(struct store *store);
/* By store->change: tries again what topics that were deleted still need. */
void store_finish_deletions(struct store *store);
int store_write_producer_ids(struct store *store, int64_t next);

/* ---- reserve.c ---- */

/* The error is one of a full disk. */
bool reserve_helps(int error);
/* A write of something new has ended with `error`, or 0: is the disk full? */
void store_note_room(struct store *store, int error);
/* Now and then: others may have made room. */
void store_look_for_room(struct store *store);
/* By store->change: makes those that are missing, with room for a file of so many bytes. -errno where there
 * are too few to begin a change with. */
int reserve_make(struct store *store, size_t least);
/* While opening: those that an earlier start has left can be spent. Nothing is made. */
void reserve_find(struct store *store);
/* By store->change: the same as reserve_make(), for the files as long as they are now. */
int reserve_keep(struct store *store);
/* By store->change: durable; as store_write_topics() does it. Where it does not free anything there is a
 * reserve for it afterwards. */
int store_replace_file(struct store *store, const char *name, struct slice data, bool frees,
		       bool *ret_replaced);

/* ---- metadata_log.c ---- */

/* What Kafka's metadata says; free it by image_fini(). `since`: it is to be known what was said from
 * this offset on; -1: all the same. -ENOENT: there is none; -EBADMSG: it can't be used, which was
 * logged; -ENOMEM. */
int metadata_log_read(struct store *store, int64_t since, struct image *ret);

/* ---- metadata_merge.c ---- */

/* What Kafka has said since leat-topics was written goes into the topics that are linked. *ret_news:
 * there was something. -errno. */
int metadata_merge(struct store *store, struct image *image, bool *ret_news);

/* ---- folders.c ---- */

/* The id that a partition's folder says it is of. -ENOENT: it does not say, or is not there. */
int folder_id(const struct store *store, const char *topic, int32_t number, struct kafka_uuid *ret);
bool folder_exists(const struct store *store, const char *topic, int32_t number);
/* The folder is not this topic's: it gets a name with "-stray", as Kafka would do it. -errno. */
int folder_set_aside(struct store *store, const char *topic, int32_t number);
/* Topics whose folders are there and that are not linked. `image`: may be NULL. *ret_news: there were
 * some. -errno. */
int folders_adopt(struct store *store, int64_t now_ms, const struct image *image, bool *ret_news);

/* ---- store_mark.c ---- */

/* Whether it was closed properly, and is still as it was then: was_clean, was_moved, broker_epoch. */
void store_read_mark(struct store *store);
/* It is closed properly. -errno. */
int store_leave_mark(struct store *store);
/* From here on the files of partitions change: a start after a crash has to see that. */
int store_take_mark(struct store *store, struct err *err);

/* ---- store_load.c ---- */

/* A topic that is there already, with so many partitions. -ENOMEM. */
int store_link_known(struct store *store, struct slice name, const struct kafka_uuid *id,
		     int32_t partitions, const struct topic_config *config);

/* Everything that the folder has. -errno with `err`. */
int store_load(struct store *store, const struct store_options *options, struct err *err);

/* ---- crew.c ---- */

/* Syncs that wait together cost the disk one: far more threads than processors. */
#define CREW_SYNCING 32u

typedef int (*crew_work)(struct partition *partition, struct load *load);

/* The first failure, after all have had their turn. */
int crew_run(struct partition **partitions, size_t count, unsigned threads, crew_work work,
	     bool clean, int64_t now_ms);
/* The same, until *cancelled: -ECANCELED then. NULL: it can't be. */
int crew_run_until(struct partition **partitions, size_t count, unsigned threads, crew_work work,
		   int64_t now_ms, const _Atomic bool *cancelled);
/* Of all topics; store->change is held, or nobody else is there. */
int crew_run_all(struct store *store, unsigned threads, crew_work work, bool clean, int64_t now_ms);

/* ---- checkpoints.c ---- */

#define LOG_STARTS_FILE "log-start-offset-checkpoint"

/* By store->change: all of them; log starts alone, by the reserve if need be. */
int store_write_checkpoints(struct store *store);
int store_write_log_starts(struct store *store);
void store_read_checkpoints(struct store *store);

/* ---- doomed.c ---- */

/* What a folder is called that is no partition any more, as Kafka does it:
 * "TOPIC-N.UNIQUE-delete", at most as long as a name may be. */
#define NAME_ASIDE_MAX 256
void store_name_aside(struct slice topic, int32_t number, const char *suffix,
		      char ret[NAME_ASIDE_MAX]);

/* The name becomes `renamed` (which may be the same), and is unlinked when it is due. Below the
 * store's folder. 0 too when there is no such name; a file that can't be renamed is unlinked at once.
 * A failure is logged. */
int store_doom(struct store *store, const char *path, const char *renamed, bool folder,
	       int64_t due_ms);
/* Unlinks what is due, until the clock says so (sys_now_ns()); what is left has its turn later. */
void store_reap(struct store *store, int64_t now_ms, uint64_t until_ns);
void store_forget_doomed(struct store *store);

#endif
