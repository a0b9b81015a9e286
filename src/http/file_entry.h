/*
 * One file as it is served: its identity, its validators, the header block of its 200 answer, and
 * its body (small files) or a descriptor (large ones). Made by file_entry_load(), on a helper,
 * which is the only place that opens files for reading; never changed afterwards, only dropped and
 * made anew.
 *
 * A loop only looks: with O_PATH, at names that the kernel has in memory (RESOLVE_CACHED), and at
 * attributes that it has in memory (AT_STATX_DONT_SYNC). None of these asks a file system, so none
 * can wait for one (file_system.h). Descriptors that may flush when they are closed are closed by
 * a helper.
 *
 * Names are resolved by openat2(2) under the root's descriptor: RESOLVE_BENEATH keeps every way
 * out (.., absolute links, links through a parent) closed even while names are being exchanged, and
 * RESOLVE_NO_MAGICLINKS keeps /proc's links out. A name is looked at with O_PATH first and only
 * opened for reading when it is a regular file: opening a FIFO would wake its writer, opening a
 * device may do anything.
 *
 * An entry belongs to one thread at a time: the loop, or the helper thread that is just making it.
 * Oldest kernel: 5.6 (openat2); before 5.12 (RESOLVE_CACHED) a loop can't look at all, and asks a
 * helper.
 */
#ifndef HTTP_FILE_ENTRY_H
#define HTTP_FILE_ENTRY_H

#include <limits.h>
#include <sys/queue.h>

#include "base/slice.h"
#include "http/core/accept.h"
#include "http/core/mime.h"
#include "http/core/response.h"
#include "http/file_system.h"
#include "leat/leat.h"
#include "reactor/reactor.h"

struct dir_list_account;
struct http_root;
struct file_link_root;

/* What is served, the same for all threads, never changed after start. */
struct http_site {
	int root_fd;         /* O_PATH of the directory */
	uint64_t root_place; /* of its file system, for helpers_submit_at() */
	const char *root_name;
	struct http_mime *mime; /* NULL: the built-in table */
	struct slice index;     /* the name tried in a directory; one path component */
	bool autoindex;
	bool dotfiles; /* names that begin with a dot are served, and listed */
	/* The operator's header lines, finished: of files (Cache-Control before the others), and of
	 * all answers. */
	struct slice file_headers, headers;
	enum leat_technique technique;     /* for bodies; but for LEAT_AUTO, also of small files */
	struct file_link_root *link_roots; /* file_link.h */
	unsigned link_root_count;
	bool no_symlinks;   /* names with a symbolic link on the way are refused */
	bool explain;       /* Server-Timing says how the body goes */
	bool precompressed; /* encoded versions beside a file are served (file_sibling.c) */
	/* What of it changes, atomically. */
	struct dir_list_account *lists;
	struct file_systems *systems;
	struct http_root *root;
};

/* Two looks at a name with equal ids saw the same version of the same file: ctime moves with every
 * change of contents, mode or links, and user space can't set it. */
struct file_id {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

struct watched_dir;

struct file_entry {
	/* file_cache.c's */
	LIST_ENTRY(file_entry) in_bucket;
	LIST_ENTRY(file_entry) in_dir;
	TAILQ_ENTRY(file_entry) in_order;
	struct watched_dir *dir; /* whose events tell of changes; NULL: asked at each request */
	uint64_t hash;
	uint64_t checked_ms; /* loop_now_ms() when it was last compared with what the kernel has */
	uint64_t asked_ms;   /* when a helper last asked the file system */
	unsigned refs;
	bool cached; /* in the table; else only its references keep it */
	bool used;   /* since the eviction hand came by */

	/* Events of its directory don't tell all: a symbolic link on the way, further hard links,
	 * a file system that others change. */
	bool beyond_events;
	/* Over links that lead out of the root and back (file_link.h): what they lead over is looked
	 * at once a second. */
	bool indirect;
	bool siblings_beyond_events; /* which siblings there are; then the other too */
	bool names_in_memory;        /* its file system never waits for a disk to know one */
	uint8_t system;              /* enum file_system */
	uint64_t place;              /* of helpers_submit_at(), for what asks its file system */
	struct job closing;          /* of fd */
	uint8_t siblings;            /* encoded versions of it: bits (1u << coding) */
	uint8_t coding;              /* enum http_coding: this is an encoded version */
	bool gzipped;                /* it is encoded as it is, for everyone: .svgz */
	int fd;                      /* -1: the body is in memory */
	struct file_id id;
	struct slice type, etag; /* type is the site's, etag lies in the block */
	int64_t mtime;           /* seconds; not in the future */
	struct http_head head;
	const char *block; /* the 200 answer: header block, then the body if there is no fd */
	size_t bytes;      /* of memory, for the cache's account */
	struct slice path; /* terminated */
};

enum file_load {
	FILE_LOAD_CACHED, /* on a loop: what would wait is -EAGAIN */
	FILE_LOAD_WAIT,   /* on a helper thread */
};

/* On a helper. With one reference. `path`: relative to the root, terminated, as from
 * http_path_decode(). With a `coding`, `path` is the name of the encoded version, and the type
 * that of the name before the suffix. Errors are what is to be said of the name: -EISDIR, -ENXIO
 * (neither file nor directory), -ENOENT, -ENOTDIR, -ENAMETOOLONG, -ELOOP, -EXDEV (leads out of the
 * root), -EACCES, -EMFILE, -ENFILE, -ENOMEM, -EAGAIN (another program has it for itself: a write
 * lease), -EIO... */
int file_entry_load(const struct http_site *site, struct slice path, enum http_coding coding,
		    struct file_entry **ret);
/* On a helper: whether the file system still has what the entry has: 0, or what file_entry_load()
 * would be needed for. */
int file_entry_compare(const struct http_site *site, const struct file_entry *entry);
void file_entry_free(struct file_entry *entry);

/* On a loop: what file_entry_load() would say of the name, or -EAGAIN: a helper has to be asked,
 * and *ret_place is which (helpers_submit_at()). */
int file_entry_look(const struct http_site *site, struct slice path, uint64_t *ret_place);

/* What the name is now: 0, -EAGAIN (would wait), or why there is no such file. */
int file_entry_identify(const struct http_site *site, const struct file_entry *entry,
			enum file_load how, struct file_id *ret);

/* Content-Encoding, if it is encoded; Vary, if there is a choice of encodings. */
void file_entry_put_coding(const struct file_entry *entry, struct http_writer *w);
void file_entry_put_vary(const struct file_entry *entry, struct http_writer *w);

/* Server-Timing of a body that is in memory. */
void file_entry_put_explain(struct http_writer *w);

static inline bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
	return a->ino == b->ino && a->ctime_ns == b->ctime_ns && a->mtime_ns == b->mtime_ns &&
	       a->size == b->size && a->dev == b->dev;
}

static inline const char *file_entry_body(const struct file_entry *entry)
{
	return entry->fd < 0 ? entry->block + entry->head.length : NULL;
}

static inline struct file_entry *file_entry_ref(struct file_entry *entry)
{
	entry->refs++;
	return entry;
}

static inline void file_entry_unref(struct file_entry *entry)
{
	CHECK(entry->refs > 0);
	if (--entry->refs == 0)
		file_entry_free(entry);
}

/* ---- file_sibling.c ---- */

struct file_siblings {
	uint8_t codings;    /* bits (1u << coding) of those that can be served */
	bool beyond_events; /* one is a symbolic link: events of the directory don't tell all */
};

/* What stands beside `path`, whose file has `mtime_ns`. `in_memory`: file_entry.names_in_memory. 0,
 * -EAGAIN (would wait), -EMFILE, -ENFILE, -ENOMEM. */
int file_siblings_find(const struct http_site *site, struct slice path, int64_t mtime_ns,
		       enum file_load how, bool in_memory, struct file_siblings *ret);
/* Whether the entry's file has the same siblings: 0, -ESTALE, or as above. */
int file_siblings_compare(const struct http_site *site, const struct file_entry *entry,
			  enum file_load how);
/* The name of one: in `buf`, terminated. false: too long to exist. */
bool file_sibling_name(struct slice path, enum http_coding coding, char buf[PATH_MAX],
		       struct slice *ret);

/* A name as it is, not opened for reading. */
int file_open_name(const struct http_site *site, const char *path, enum file_load how,
		   bool *ret_by_link);
/* openat2(2) as everything here is opened: under the root, close-on-exec, never a controlling
 * terminal. `resolve` adds to RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, and RESOLVE_NO_SYMLINKS for
 * --no-symlinks: -ELOOP. */
int file_open_beneath(const struct http_site *site, const char *path, uint64_t flags,
		      uint64_t resolve, enum file_load how);
/* fstat(2) of an O_PATH descriptor from file_open_name(): FILE_LOAD_CACHED asks no file system. */
int file_stat(const struct http_site *site, int fd, enum file_load how, struct stat *ret,
	      enum file_system *ret_system);

#endif
