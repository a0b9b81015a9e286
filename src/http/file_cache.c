#include "http/file_cache.h"

#include <errno.h>
#include <stdlib.h>

#include "base/counter.h"
#include "base/hash.h"
#include "http/file_watch.h"
#include "http/http_limits.h"

LIST_HEAD(bucket, file_entry);

struct file_cache {
	const struct http_site *site;
	struct file_cache_limits limits;
	struct file_watch *watch; /* NULL: no inotify */
	/* New ones at the head, the hand takes from the tail. */
	TAILQ_HEAD(entry_order, file_entry) order;
	struct file_cache_stats stats;
	uint64_t mask;
	struct bucket buckets[];
};

/* ---- dropping ---- */

/* Out of the table, and given up by it. */
static void drop(struct file_cache *cache, struct file_entry *entry)
{
	struct watched_dir *dir = entry->dir;

	CHECK(entry->cached);
	entry->cached = false;
	entry->dir = NULL;
	if (dir)
		LIST_REMOVE(entry, in_dir);
	LIST_REMOVE(entry, in_bucket);
	TAILQ_REMOVE(&cache->order, entry, in_order);
	counter_add(&cache->stats.entries, -1ull);
	counter_add(&cache->stats.bytes, -(uint64_t)(entry->bytes));
	counter_add(&cache->stats.fds, -(uint64_t)(entry->fd >= 0));
	file_entry_unref(entry);
	if (dir)
		file_watch_release(cache->watch, dir);
}

static uint64_t hash_of(struct slice path, enum http_coding coding)
{
	return hash_slice(path) + (uint64_t)coding;
}

static struct file_entry *find(struct file_cache *cache, struct slice path, enum http_coding coding)
{
	uint64_t hash = hash_of(path, coding);
	struct file_entry *entry;

	LIST_FOREACH(entry, &cache->buckets[hash & cache->mask], in_bucket)
	if (entry->hash == hash && entry->coding == coding && slice_eq(entry->path, path))
		return entry;
	return NULL;
}

static void entry_changed(struct file_cache *cache, struct slice path, enum http_coding coding)
{
	struct file_entry *entry = find(cache, path, coding);

	if (!entry)
		return;
	counter_add(&cache->stats.dropped, 1);
	drop(cache, entry);
}

static void name_changed(void *arg, struct slice path)
{
	enum http_coding coding = http_coding_of(path);
	struct file_cache *cache = arg;

	entry_changed(cache, path, HTTP_IDENTITY);
	if (coding == HTTP_IDENTITY)
		return;
	entry_changed(cache, path, coding);
	path.len -= http_coding_suffix(coding).len;
	entry_changed(cache, path, HTTP_IDENTITY);
}

static void dir_gone(void *arg, struct watched_dir *dir)
{
	struct file_cache *cache = arg;
	struct file_entry *entry, *next;

	for (entry = LIST_FIRST(&dir->entries); entry; entry = next) {
		next = LIST_NEXT(entry, in_dir);
		counter_add(&cache->stats.dropped, 1);
		drop(cache, entry);
	}
}

static void drop_all(void *arg)
{
	struct file_cache *cache = arg;
	struct file_entry *entry;

	while ((entry = TAILQ_FIRST(&cache->order))) {
		counter_add(&cache->stats.dropped, 1);
		drop(cache, entry);
	}
}

/* ---- room ---- */

/* The next entry to go; `with_fd`: only those that hold a descriptor. */
static struct file_entry *victim(struct file_cache *cache, bool with_fd)
{
	/* Each entry is passed over at most once for having been used, and once for its kind. */
	for (uint64_t n = 2 * cache->stats.entries; n > 0; n--) {
		struct file_entry *entry = TAILQ_LAST(&cache->order, entry_order);

		if (!entry->used && (!with_fd || entry->fd >= 0))
			return entry;
		entry->used = false;
		TAILQ_REMOVE(&cache->order, entry, in_order);
		TAILQ_INSERT_HEAD(&cache->order, entry, in_order);
	}
	return NULL;
}

static void evict(struct file_cache *cache, bool with_fd)
{
	struct file_entry *entry = victim(cache, with_fd);

	if (!entry)
		return;
	counter_add(&cache->stats.evicted, 1);
	drop(cache, entry);
}

static void make_room(struct file_cache *cache)
{
	while (cache->stats.fds > cache->limits.fds)
		evict(cache, true);
	while (cache->stats.entries > cache->limits.entries ||
	       cache->stats.bytes > cache->limits.bytes)
		evict(cache, false);
}

unsigned file_cache_shed(struct file_cache *cache)
{
	struct file_entry *entry, *next;
	unsigned closed = 0;

	for (entry = TAILQ_FIRST(&cache->order); entry; entry = next) {
		next = TAILQ_NEXT(entry, in_order);
		if (entry->fd < 0 || entry->refs > 1)
			continue;
		counter_add(&cache->stats.evicted, 1);
		drop(cache, entry);
		closed++;
	}
	return closed;
}

/* ---- getting ---- */

/* Takes a reference of its own; `dir` may be NULL. */
static void insert(struct file_cache *cache, struct file_entry *entry, struct watched_dir *dir,
		   uint64_t now_ms)
{
	entry->hash = hash_of(entry->path, (enum http_coding)entry->coding);
	entry->checked_ms = now_ms;
	entry->cached = true;
	entry->dir = dir;
	if (dir)
		LIST_INSERT_HEAD(&dir->entries, entry, in_dir);
	LIST_INSERT_HEAD(&cache->buckets[entry->hash & cache->mask], entry, in_bucket);
	TAILQ_INSERT_HEAD(&cache->order, entry, in_order);
	counter_add(&cache->stats.entries, 1);
	counter_add(&cache->stats.bytes, entry->bytes);
	counter_add(&cache->stats.fds, entry->fd >= 0);
	file_entry_ref(entry);
	make_room(cache);
}

/* The watch comes first, then the file: a change in between is an event that drops the entry. But
 * no watch is made for a name that has no file: it would go at once, at the price of many system
 * calls and an event for each directory on the way, as often as somebody asks. */
static int load(struct file_cache *cache, struct slice path, enum http_coding coding,
		uint64_t now_ms, bool warm, struct file_entry **ret)
{
	enum file_load how = warm ? FILE_LOAD_WARM : FILE_LOAD_NOW;
	struct watched_dir *dir = NULL;
	struct file_entry *entry;
	int r = 0;

	if (cache->watch && !file_watch_has(cache->watch, path))
		r = file_entry_look(cache->site, path, how);
	if (r < 0)
		return r;
	if (cache->watch)
		r = file_watch_dir(cache->watch, path, how, &dir);
	if (r == -EAGAIN)
		return r;
	r = file_entry_load(cache->site, path, coding, how, &entry);
	if (r == 0)
		insert(cache, entry, dir, now_ms);
	else if (dir)
		file_watch_release(cache->watch, dir);
	if (r == 0)
		*ret = entry;
	return r;
}

/* Whether the same siblings stand beside it, where no event would tell: 0, or -errno; -ESTALE: no.
 */
static int compare_siblings(struct file_cache *cache, const struct file_entry *entry)
{
	struct file_siblings siblings;
	int r;

	if (entry->coding != HTTP_IDENTITY || (entry->dir && !entry->siblings_beyond_events))
		return 0;
	r = file_siblings_find(cache->site, entry->path, entry->id.mtime_ns,
			       entry->names_in_memory ? FILE_LOAD_WAIT : FILE_LOAD_WARM, &siblings);
	if (r < 0)
		return r;
	return siblings.codings == entry->siblings ? 0 : -ESTALE;
}

/* Whether the file system still has what the entry has; else it is dropped. */
static bool compare(struct file_cache *cache, struct file_entry *entry, uint64_t now_ms)
{
	struct file_id id;
	int r = file_entry_identify(cache->site, entry, &id);

	counter_add(&cache->stats.compared, 1);
	if (r == 0)
		r = file_id_equal(&id, &entry->id) ? compare_siblings(cache, entry) : -ESTALE;
	if (r == 0) {
		entry->checked_ms = now_ms;
		return true;
	}
	/* Out of descriptors the question can't be asked: where events would have told of a change,
	 * the entry is good until it can. */
	if ((r == -EMFILE || r == -ENFILE) && entry->dir && !entry->beyond_events)
		return true;
	counter_add(&cache->stats.dropped, 1);
	drop(cache, entry);
	return false;
}

int file_cache_get(struct file_cache *cache, struct slice path, enum http_coding coding,
		   uint64_t now_ms, bool warm, struct file_entry **ret)
{
	struct file_entry *entry = find(cache, path, coding);

	if (likely(entry)) {
		bool known = entry->dir && !entry->beyond_events &&
			     now_ms - entry->checked_ms < HTTP_CACHE_FRESH_MS;

		if (likely(known) || compare(cache, entry, now_ms)) {
			counter_add(&cache->stats.hits, 1);
			entry->used = true;
			*ret = file_entry_ref(entry);
			return 0;
		}
	}
	counter_add(&cache->stats.misses, 1);
	return load(cache, path, coding, now_ms, warm, ret);
}

int file_cache_fd(const struct file_cache *cache)
{
	return cache->watch ? file_watch_fd(cache->watch) : -1;
}

void file_cache_unwatch(struct file_cache *cache)
{
	drop_all(cache);
	file_watch_free(cache->watch);
	cache->watch = NULL;
}

void file_cache_sync(struct file_cache *cache)
{
	if (cache->watch)
		file_watch_read(cache->watch);
}

/* ---- life ---- */

int file_cache_new(const struct http_site *site, const struct file_cache_limits *limits,
		   struct file_cache **ret)
{
	static const struct file_watch_ops ops = {name_changed, dir_gone, drop_all};
	struct file_cache *cache;
	uint64_t buckets = 64;

	while (buckets < limits->entries)
		buckets *= 2;
	/* Zeroed by the kernel: pages are taken as entries come. */
	cache = calloc(1, sizeof(*cache) + buckets * sizeof(struct bucket));
	if (!cache)
		return -ENOMEM;
	cache->site = site;
	cache->limits = *limits;
	cache->mask = buckets - 1;
	TAILQ_INIT(&cache->order);
	if (file_watch_new(site, &ops, cache, &cache->watch) < 0)
		cache->watch = NULL;
	*ret = cache;
	return 0;
}

void file_cache_free(struct file_cache *cache)
{
	if (!cache)
		return;
	drop_all(cache);
	file_watch_free(cache->watch);
	free(cache);
}

void file_cache_stats(const struct file_cache *cache, struct file_cache_stats *ret)
{
	const struct file_cache_stats *stats = &cache->stats;

	*ret = (struct file_cache_stats){
	    .hits = counter_get(&stats->hits),
	    .misses = counter_get(&stats->misses),
	    .dropped = counter_get(&stats->dropped),
	    .evicted = counter_get(&stats->evicted),
	    .compared = counter_get(&stats->compared),
	    .entries = counter_get(&stats->entries),
	    .fds = counter_get(&stats->fds),
	    .bytes = counter_get(&stats->bytes),
	};
	ret->watches = cache->watch ? file_watch_count(cache->watch) : 0;
}
