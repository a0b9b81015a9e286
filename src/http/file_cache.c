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

static int compare_siblings(struct file_cache *cache, const struct file_entry *entry)
{
	/* Events tell. */
	if (entry->dir && !entry->siblings_beyond_events)
		return 0;
	return file_siblings_compare(cache->site, entry, FILE_LOAD_CACHED);
}

/* Whether the kernel has the file as the entry has it. 0, -ESTALE, -EAGAIN (a helper has to ask),
 * or why there is no such file. */
static int compare_cached(struct file_cache *cache, const struct file_entry *entry, uint64_t now_ms)
{
	struct file_id id;
	int r;

	if (entry->system == FILE_SYSTEM_WAITS)
		return -EAGAIN;
	if ((entry->system == FILE_SYSTEM_LAYERED || entry->indirect) &&
	    now_ms - entry->asked_ms >= HTTP_CACHE_FRESH_MS)
		return -EAGAIN;
	r = file_entry_identify(cache->site, entry, FILE_LOAD_CACHED, &id);
	if (r == 0 && !file_id_equal(&id, &entry->id))
		return -ESTALE;
	/* Over such links siblings can't be looked for here: once a second, with the links. */
	return r < 0 || entry->indirect ? r : compare_siblings(cache, entry);
}

/* 0: it is good. -EAGAIN: a helper has to ask. Otherwise it is dropped. */
static int compare(struct file_cache *cache, struct file_entry *entry, uint64_t now_ms)
{
	int r = compare_cached(cache, entry, now_ms);

	counter_add(&cache->stats.compared, 1);
	if (r == 0)
		entry->checked_ms = now_ms;
	/* Out of descriptors the question can't be asked: where events would have told of a change,
	 * the entry is good until it can. */
	if ((r == -EMFILE || r == -ENFILE) && entry->dir && !entry->beyond_events)
		r = 0;
	if (r == 0 || r == -EAGAIN)
		return r;
	counter_add(&cache->stats.dropped, 1);
	drop(cache, entry);
	return r;
}

static struct file_entry *hit(struct file_cache *cache, struct file_entry *entry)
{
	counter_add(&cache->stats.hits, 1);
	entry->used = true;
	return file_entry_ref(entry);
}

int file_cache_get(struct file_cache *cache, struct slice path, enum http_coding coding,
		   uint64_t now_ms, struct file_entry **ret, struct file_ask *ret_ask)
{
	struct file_entry *entry = find(cache, path, coding);
	int r = -ESTALE;

	if (likely(entry)) {
		bool known = entry->dir && !entry->beyond_events &&
			     now_ms - entry->checked_ms < HTTP_CACHE_FRESH_MS;

		r = likely(known) ? 0 : compare(cache, entry, now_ms);
	}
	if (likely(r == 0)) {
		*ret = hit(cache, entry);
		return 0;
	}
	if (r == -EAGAIN) {
		*ret_ask = (struct file_ask){file_entry_ref(entry), entry->place};
		return r;
	}
	counter_add(&cache->stats.misses, 1);
	*ret_ask = (struct file_ask){NULL, 0};
	return file_entry_look(cache->site, path, &ret_ask->place);
}

/* ---- what helpers say ---- */

/* The watch comes first, then a look at the file: a change since the helper loaded it is seen by
 * the look, later ones are events. NULL: there is none, and the entry is compared at each request.
 * False: it has changed already. */
static bool watch_changes(struct file_cache *cache, const struct file_entry *entry,
			  struct watched_dir **ret)
{
	struct file_id id;

	*ret = NULL;
	if (!cache->watch || entry->system != FILE_SYSTEM_LOCAL ||
	    file_watch_dir(cache->watch, entry->path, ret) < 0)
		return true;
	if (file_entry_identify(cache->site, entry, FILE_LOAD_CACHED, &id) == 0 &&
	    file_id_equal(&id, &entry->id) &&
	    file_siblings_compare(cache->site, entry, FILE_LOAD_CACHED) == 0)
		return true;
	file_watch_release(cache->watch, *ret);
	return false;
}

/* Descriptors of file systems that may hang are not kept: closing them could wait for ever, and the
 * process could not end (FUSE's flush can't be interrupted, not even by SIGKILL). */
static bool may_keep(const struct file_entry *entry)
{
	return entry->fd < 0 || entry->system == FILE_SYSTEM_LOCAL;
}

void file_cache_settle(struct file_cache *cache, struct slice path, enum http_coding coding,
		       struct file_entry *entry, bool same, uint64_t now_ms)
{
	struct file_entry *old = find(cache, path, coding);
	struct watched_dir *dir;

	if (same) {
		entry->checked_ms = entry->asked_ms = now_ms;
		counter_add(&cache->stats.hits, 1);
		entry->used = true;
		return;
	}
	if (old) {
		counter_add(&cache->stats.dropped, 1);
		drop(cache, old);
	}
	if (!entry || !may_keep(entry) || !watch_changes(cache, entry, &dir))
		return;
	entry->asked_ms = now_ms;
	insert(cache, entry, dir, now_ms);
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

void file_cache_forget(struct file_cache *cache)
{
	if (cache->watch)
		file_watch_forget(cache->watch);
	drop_all(cache);
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
