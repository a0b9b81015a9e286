/*
 * Opening and closing the store, and what it does in between from time to time.
 */
#include "kafka/store/store.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

/* As many segments have descriptors open, but of all that the process may have an eighth, two each. */
#define SEGMENTS_OPEN_DEFAULT 8192u
#define SEGMENTS_OPEN_PART    8u
/* And a reader of those an eighth, but enough for a consumer of a few topics. */
#define SLICES_PART        8u
#define SLICES_MIN         16u
#define PRODUCER_EXPIRY_MS INT64_C(86400000)
/* How often checkpoints are written where something moved, and silent producers forgotten. */
#define CHECKPOINTS_MS 10000
#define PRODUCERS_MS   600000
/* A call of store_maintain() begins nothing new after this long: the next one goes on, and a stop
 * need not wait. */
#define MAINTAIN_NS UINT64_C(500000000)

/* ---- whose directory it is ---- */

static int check_identity(const struct store_options *options, const struct identity *identity,
			  const char *dir, struct err *err)
{
	if (options->cluster_id && strcmp(options->cluster_id, identity->cluster_id) != 0)
		return err_set(err, -EPERM,
			       "%s/meta.properties: it is of cluster %s, not %s: give the right "
			       "directory or cluster id",
			       dir, identity->cluster_id, options->cluster_id);
	if (options->node_id >= 0 && options->node_id != identity->node_id)
		return err_set(err, -EPERM,
			       "%s/meta.properties: it is of node %d, not %d: give the right "
			       "directory or node id",
			       dir, identity->node_id, options->node_id);
	return 0;
}

/* 1: there is none yet. */
static int read_identity(struct store *store, const struct store_options *options, struct err *err)
{
	struct err why = {""};
	size_t len;
	char *text;
	int r = files_read(store->fd, "meta.properties", 65536, &text, &len);

	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return err_set(err, r, "%s/meta.properties: %s", store->dir, strerror(-r));
	r = identity_parse(slice_make(text, len), &store->identity, &why);
	free(text);
	if (r < 0)
		return err_set(err, r, "%s/meta.properties: %s", store->dir, why.text);
	return check_identity(options, &store->identity, store->dir, err);
}

static int random_text(char ret[STORE_UUID_TEXT + 1])
{
	struct kafka_uuid id;
	int r;

	do {
		r = sys_random(&id, sizeof(id));
		store_uuid_format(&id, ret);
	} while (r == 0 && ret[0] == '-');
	return r;
}

/* The name of a new store's folder: in the folder that it is in. That one may be none that we can read,
 * or that can be synced (the folder is a volume's), which is no reason not to start. */
static int sync_name(const struct store *store)
{
	char *parent = strdup(store->path), *slash;
	int r;

	if (!parent)
		return -ENOMEM;
	slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	r = files_sync_folder(AT_FDCWD, slash ? parent : ".");
	free(parent);
	return r == -EIO ? r : 0;
}

static int write_identity(struct store *store, const struct store_options *options, struct err *err)
{
	struct identity *identity = &store->identity;
	char text[IDENTITY_TEXT_MAX];
	struct buf buf = buf_over(text, sizeof(text));
	int r;

	if (options->cluster_id && strlen(options->cluster_id) > STORE_CLUSTER_ID_MAX)
		return err_set(err, -EINVAL, "the cluster id is longer than %d characters",
			       STORE_CLUSTER_ID_MAX);
	r = random_text(identity->cluster_id);
	if (r == 0)
		r = random_text(identity->directory_id);
	if (r < 0)
		return err_set(err, r, "no random numbers for ids: %s", strerror(-r));
	if (options->cluster_id)
		memcpy(identity->cluster_id, options->cluster_id, strlen(options->cluster_id) + 1);
	identity->node_id = options->node_id >= 0 ? options->node_id : 1;
	identity_format(identity, &buf);
	r = sync_name(store);
	if (r == 0)
		r = files_write(store->fd, "meta.properties", buf_slice(&buf));
	return r < 0 ? err_set(err, r, "%s: can't be written to: %s", store->dir, strerror(-r)) : 0;
}

static int lock(struct store *store, struct err *err)
{
	int r;

	store->lock_fd = sys_openat(store->fd, ".lock", O_RDWR | O_CREAT, 0644);
	if (store->lock_fd < 0)
		return err_set(err, store->lock_fd, "%s: can't be written to: %s", store->dir,
			       strerror(-store->lock_fd));
	r = sys_lock_file(store->lock_fd);
	if (r == -EAGAIN)
		return err_set(err, -EBUSY, "%s: locked by another process", store->dir);
	return r < 0 ? err_set(err, r, "%s/.lock: %s", store->dir, strerror(-r)) : 0;
}

/* ---- opening ---- */

static int open_folder(struct store *store, struct err *err)
{
	int fd = sys_open(store->dir, O_RDONLY | O_DIRECTORY, 0);
	long magic;

	if (fd == -ENOENT) {
		int r = sys_mkdirat(AT_FDCWD, store->dir, 0755);

		if (r < 0 && r != -EEXIST)
			return err_set(err, r, "%s: can't be made: %s", store->dir, strerror(-r));
		fd = sys_open(store->dir, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return err_set(err, fd, "%s: can't be opened: %s", store->dir, strerror(-fd));
	store->fd = fd;
	store->files.dir = fd;
	store->files.in_memory =
	    sys_statfs_type(fd, &magic) == 0 && (magic == TMPFS_MAGIC || magic == RAMFS_MAGIC);
	return 0;
}

static int open_store(struct store *store, const struct store_options *options, struct err *err)
{
	int r = open_folder(store, err), fresh = 0;

	if (r == 0)
		r = fresh = read_identity(store, options, err);
	if (r >= 0)
		r = lock(store, err);
	/* Somebody may have made it in between. */
	if (r == 0 && fresh)
		r = read_identity(store, options, err);
	if (r == 1)
		r = write_identity(store, options, err);
	if (r < 0)
		return r;
	store_read_mark(store);
	reserve_find(store);
	r = store_load(store, options, err);
	/* A folder that was empty had nothing to recover. */
	store->was_clean |= fresh && store->topic_count == 0;
	return r;
}

/* NULL: no memory. Where the working directory has no name any more it stays relative. */
static char *absolute(const char *dir)
{
	char folder[PATH_MAX] = "", *path;
	size_t len;

	if (dir[0] == '/' || sys_getcwd(folder, sizeof(folder)) < 0)
		path = strdup(dir);
	else if (asprintf(&path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, dir) < 0)
		path = NULL;
	len = path ? strlen(path) : 0;
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	return path;
}

static struct store *store_new(const char *dir, const struct store_options *options)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->dir = strdup(dir);
	store->path = absolute(dir);
	if (!store->dir || !store->path) {
		free(store->dir);
		free(store->path);
		free(store);
		return NULL;
	}
	store->fd = -1;
	store->lock_fd = -1;
	store->metadata_end = -1;
	store->broker_epoch = -1;
	topic_config_init(&store->defaults);
	if (options->defaults)
		store->defaults = *options->defaults;
	store->producer_expiry_ms =
	    options->producer_expiry_ms ? options->producer_expiry_ms : PRODUCER_EXPIRY_MS;
	store->damage = options->damage;
	store->syncing = options->threads == 1 ? 1 : CREW_SYNCING;
	store->user_bytes = options->user_bytes;
	store->user_init = options->user_init;
	store->user_fini = options->user_fini;
	store->moved = options->moved;
	pthread_mutex_init(&store->change, NULL);
	pthread_mutex_init(&store->producer_ids, NULL);
	pthread_rwlock_init(&store->lock, NULL);
	pthread_mutex_init(&store->doomed.lock, NULL);
	pthread_mutex_init(&store->flushes.lock, NULL);
	list_init(&store->doomed.list);
	log_files_init(&store->files, -1,
		       options->segments_open
			   ? options->segments_open
			   : (unsigned)min_u64(SEGMENTS_OPEN_DEFAULT,
					       sys_fd_limit() / SEGMENTS_OPEN_PART));
	return store;
}

static void store_free(struct store *store)
{
	for (uint32_t i = 0; i < store->topic_count; i++) {
		CHECK(store->by_name[i]->refs == 1);
		topic_unref(store->by_name[i]);
	}
	while (store->leaving) {
		struct topic *topic = store->leaving;

		store->leaving = topic->next_leaving;
		topic_unref(topic);
	}
	free(store->by_name);
	free(store->by_id);
	store_forget_doomed(store);
	log_files_fini(&store->files);
	if (store->lock_fd >= 0)
		sys_close(store->lock_fd);
	if (store->fd >= 0)
		sys_close(store->fd);
	pthread_mutex_destroy(&store->flushes.lock);
	pthread_mutex_destroy(&store->doomed.lock);
	pthread_rwlock_destroy(&store->lock);
	pthread_mutex_destroy(&store->producer_ids);
	pthread_mutex_destroy(&store->change);
	free(store->dir);
	free(store->path);
	free(store);
}

int store_open(const char *dir, const struct store_options *options, struct store **ret,
	       struct err *err)
{
	struct store *store = store_new(dir, options);
	int r;

	if (!store)
		return err_set(err, -ENOMEM, "%s: not enough memory", dir);
	r = open_store(store, options, err);
	if (r < 0) {
		store_free(store);
		return r;
	}
	(void)reserve_keep(store);
	store->checkpoints_due_ms = options->now_ms + CHECKPOINTS_MS;
	store->retention_since_ms = options->now_ms;
	store->retention_wait_ms = options->retention_delay_ms;
	store->retention_interval_ms = options->retention_interval_ms;
	store->producers_due_ms = options->now_ms + PRODUCERS_MS;
	*ret = store;
	return 0;
}

/* ---- closing ---- */

int store_close(struct store *store)
{
	int r = crew_run_all(store, store->syncing, partition_close, false, 0);
	int r2 = store_write_checkpoints(store);

	r = r < 0 ? r : r2;
	if (r == 0)
		r = store_leave_mark(store);
	if (r < 0)
		log_warning("%s: not closed cleanly (%s): the next start will recover", store->dir,
			    strerror(-r));
	store_free(store);
	return r;
}

/* ---- while it is open ---- */

const char *store_cluster_id(const struct store *store)
{
	return store->identity.cluster_id;
}

int32_t store_node_id(const struct store *store)
{
	return store->identity.node_id;
}

const char *store_dir(const struct store *store)
{
	return store->dir;
}

const char *store_path(const struct store *store)
{
	return store->path;
}

int store_dir_fd(const struct store *store)
{
	return store->fd;
}

const struct topic_config *store_defaults(const struct store *store)
{
	return &store->defaults;
}

unsigned store_slices_max(const struct store *store)
{
	return (unsigned)max_u64(store->files.open_max / SLICES_PART, SLICES_MIN);
}

static void add_stats(struct partition *partition, struct store_stats *stats)
{
	pthread_mutex_lock(&partition->lock);
	stats->partitions++;
	stats->partitions_offline += partition->state == PARTITION_OFFLINE;
	stats->segments += partition->segment_count;
	for (uint32_t i = 0; i < partition->segment_count; i++)
		stats->bytes += partition->segments[i]->size;
	pthread_mutex_unlock(&partition->lock);
}

void store_stats(struct store *store, struct store_stats *ret)
{
	*ret = (struct store_stats){.was_clean = store->was_clean,
				    .was_moved = store->was_moved,
				    .recovered_bytes = store->recovered_bytes,
				    .cuts = store->cuts,
				    .no_room = store->no_room != 0,
				    .unsettled = store->unsettled};
	pthread_rwlock_rdlock(&store->lock);
	ret->topics = store->topic_count;
	for (uint32_t i = 0; i < store->topic_count; i++)
		for (int32_t j = 0; j < topic_partition_count(store->by_name[i]); j++)
			add_stats(topic_partition(store->by_name[i], j), ret);
	pthread_rwlock_unlock(&store->lock);
	pthread_mutex_lock(&store->files.lock);
	ret->segments_open = store->files.open;
	pthread_mutex_unlock(&store->files.lock);
}

void store_flush_times(struct store *store, struct histogram *sum)
{
	pthread_mutex_lock(&store->flushes.lock);
	histogram_merge(sum, &store->flushes.times);
	pthread_mutex_unlock(&store->flushes.lock);
}

/* Partitions whose sync has its time. Their topics are held. */
struct due {
	struct partition **list;
	size_t count, capacity;
};

/* Without memory it has to wait for the next time. */
static void add_due(struct due *due, struct partition *partition)
{
	size_t capacity = due->capacity ? 2 * due->capacity : CREW_SYNCING;
	struct partition **larger;

	if (due->count == due->capacity) {
		larger = realloc(due->list, capacity * sizeof(struct partition *));
		if (!larger)
			return;
		due->list = larger;
		due->capacity = capacity;
	}
	topic_ref(partition->topic);
	due->list[due->count++] = partition;
}

/* As many together as the disk does as one. What there is no time for is the first the next time: each
 * has its turn, however slow the disk. */
static void sync_due(struct store *store, const struct due *due, uint64_t until_ns)
{
	size_t first = due->count ? store->sync_turn % due->count : 0, done = 0;

	while (done < due->count && sys_now_ns() <= until_ns) {
		struct partition *together[CREW_SYNCING];
		size_t count = min_size(due->count - done, CREW_SYNCING);

		for (size_t i = 0; i < count; i++)
			together[i] = due->list[(first + done + i) % due->count];
		(void)crew_run(together, count, store->syncing, partition_sync_and_tell, false, 0);
		done += count;
	}
	store->sync_turn = done < due->count ? first + done : 0;
}

static void maintain_topic(struct topic *topic, const struct upkeep *upkeep, struct due *due)
{
	for (int32_t i = 0; i < topic_partition_count(topic); i++) {
		struct partition *partition = topic_partition(topic, i);

		if (partition_maintain(partition, upkeep))
			add_due(due, partition);
	}
}

static void maintain_partitions(struct store *store, const struct upkeep *upkeep, uint64_t until_ns)
{
	struct topic *topic, *before = NULL;
	struct due due = {.count = 0};

	/* One by one, by name: changes of topics are not kept waiting for all of them. */
	while ((topic = store_topic_next(store, before ? topic_name_slice(before)
						       : slice_make(NULL, 0)))) {
		maintain_topic(topic, upkeep, &due);
		if (before)
			topic_unref(before);
		before = topic;
	}
	if (before)
		topic_unref(before);
	sync_due(store, &due, until_ns);
	for (size_t i = 0; i < due.count; i++)
		topic_unref(due.list[i]->topic);
	free(due.list);
}

/* By store->change. */
static void maintain_files(struct store *store)
{
	if (store->unsettled)
		store_settle_topics(store);
	if (store->checkpoints_dirty) {
		store_finish_deletions(store);
		(void)store_write_checkpoints(store);
	}
	/* Without it nothing that takes room can be begun: who tries says so. */
	(void)reserve_keep(store);
}

/* Also when the clock was set back: then nobody knows how long it has been. */
static bool takes_turn_of_retention(struct store *store, int64_t now_ms)
{
	int64_t age = now_ms - store->retention_since_ms;

	if (age < store->retention_wait_ms && age > -store->retention_wait_ms)
		return false;
	store->retention_since_ms = now_ms;
	store->retention_wait_ms = store->retention_interval_ms;
	return true;
}

void store_maintain(struct store *store, int64_t now_ms)
{
	uint64_t until_ns = sys_now_ns() + MAINTAIN_NS;
	const struct upkeep upkeep = {.now_ms = now_ms,
				      .retains = takes_turn_of_retention(store, now_ms),
				      .expires = now_ms >= store->producers_due_ms};

	maintain_partitions(store, &upkeep, until_ns);
	if (upkeep.expires)
		store->producers_due_ms = now_ms + PRODUCERS_MS;
	if (now_ms >= store->checkpoints_due_ms) {
		pthread_mutex_lock(&store->change);
		maintain_files(store);
		pthread_mutex_unlock(&store->change);
		store->checkpoints_due_ms = now_ms + CHECKPOINTS_MS;
	}
	store_look_for_room(store);
	store_reap(store, now_ms, until_ns);
	(void)log_files_trim(&store->files, false);
}

int store_take_producer_ids(struct store *store, int64_t count, int64_t *ret_first)
{
	int r;

	/* Not behind changes of topics. */
	pthread_mutex_lock(&store->producer_ids);
	r = store_write_producer_ids(store, store->next_producer_id + count);
	if (r == 0) {
		*ret_first = store->next_producer_id;
		store->next_producer_id += count;
	}
	pthread_mutex_unlock(&store->producer_ids);
	return r;
}
