/*
 * The file cache of one loop: entries by path, never stale.
 *
 * What is found here is what the file system has: an entry is dropped by the events of its
 * directory (file_watch.h), which the loop handles before the requests that came after them. Where
 * events don't tell all (file_entry.beyond_events, or a directory that can't be watched) it is
 * compared by identity at each request, and every entry is compared once in HTTP_CACHE_FRESH_MS,
 * since stores through a mapping send no event. Comparing is three system calls that ask the
 * kernel's memory; a plain hit makes none. Where that memory may be old (FUSE, network file
 * systems), a helper compares.
 *
 * Nothing here waits for a file system: files are loaded by helpers.
 *
 *     file_cache_get() ── 0 ──> the entry
 *          │ -EAGAIN, struct file_ask
 *          v
 *     a helper: file_entry_compare(ask.known), file_entry_load()
 *          │
 *          v
 *     file_cache_settle() ──> the entry, kept for the next request if its changes can be seen
 *
 * An entry knows which encoded siblings stand beside its file: an event of a sibling's name drops
 * both. A sibling served as an encoding is an entry of its own, another than the one of the same
 * file asked for by its name.
 *
 * Bounded in entries, bytes and descriptors; eviction is second chance (an entry that was used
 * since the hand came by is passed over once). Names that don't exist are not kept.
 *
 * One thread, no locks; references are counted without atomics. A reference keeps the entry's
 * descriptor and bytes through eviction and change: an answer under way is one version.
 */
#ifndef HTTP_FILE_CACHE_H
#define HTTP_FILE_CACHE_H

#include "http/file_entry.h"

struct file_cache;

struct file_cache_limits {
	unsigned entries;
	unsigned fds;
	size_t bytes;
};

struct file_cache_stats {
	uint64_t hits, misses, dropped, evicted, compared;
	uint64_t entries, fds, bytes, watches;
};

/* -ENOMEM. */
int file_cache_new(const struct http_site *site, const struct file_cache_limits *limits,
		   struct file_cache **ret);
/* NULL is fine. Entries with references live on. */
void file_cache_free(struct file_cache *cache);

/* A descriptor to be polled for reading and handled by file_cache_sync() before anything else;
 * -1: there is no inotify here, every entry is compared at each request. */
int file_cache_fd(const struct file_cache *cache);
/* That descriptor can't be polled: from here on as if there were none. */
void file_cache_unwatch(struct file_cache *cache);
/* Drops everything. */
void file_cache_forget(struct file_cache *cache);
/* Drops what has changed until now. */
void file_cache_sync(struct file_cache *cache);

/* What a helper is asked. */
struct file_ask {
	struct file_entry *known; /* is it still so? With a reference; or NULL */
	uint64_t place;           /* of which helpers: helpers_submit_at() */
	bool looks_at_root;       /* the caller's: first at what the root is */
};

/* With a reference; or what is to be said of the name; or -EAGAIN, and what a helper is to be
 * asked: see above. */
int file_cache_get(struct file_cache *cache, struct slice path, enum http_coding coding,
		   uint64_t now_ms, struct file_entry **ret, struct file_ask *ret_ask);
/* What a helper says: `entry` is what it loaded, or what it was asked about (`same`), or NULL:
 * there is no such file. Borrowed. */
void file_cache_settle(struct file_cache *cache, struct slice path, enum http_coding coding,
		       struct file_entry *entry, bool same, uint64_t now_ms);
/* Descriptors have run out: closes those that only the cache holds. How many. */
unsigned file_cache_shed(struct file_cache *cache);

/* Any thread, while there is a cache. */
void file_cache_stats(const struct file_cache *cache, struct file_cache_stats *ret);

#endif
