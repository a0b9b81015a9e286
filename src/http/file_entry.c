#include "http/file_entry.h"

#include <errno.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http/core/etag.h"
#include "http/http_limits.h"
#include "sys/sys.h"

/* RESOLVE_CACHED came with 5.12; found out once, by doing it. */
static _Atomic bool resolve_cached_missing;

int file_open_beneath(const struct http_site *site, const char *path, uint64_t flags,
		      uint64_t resolve, enum file_load how)
{
	bool missing = atomic_load_explicit(&resolve_cached_missing, memory_order_relaxed);
	int fd;

	flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY);
	resolve |= RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
	if (site->no_symlinks)
		resolve |= RESOLVE_NO_SYMLINKS;
	if (how == FILE_LOAD_NOW && missing)
		return -EAGAIN;
	if (how == FILE_LOAD_WAIT || missing)
		return sys_openat2(site->root_fd, path, flags, 0, resolve);
	fd = sys_openat2(site->root_fd, path, flags, 0, resolve | RESOLVE_CACHED);
	if (fd != -EINVAL)
		return fd;
	/* Flags are ours and valid: EINVAL is the unknown RESOLVE_CACHED. */
	atomic_store_explicit(&resolve_cached_missing, true, memory_order_relaxed);
	return how == FILE_LOAD_NOW ? -EAGAIN : sys_openat2(site->root_fd, path, flags, 0, resolve);
}

int file_open_name(const struct http_site *site, const char *path, enum file_load how,
		   bool *ret_by_link)
{
	int fd = file_open_beneath(site, path, O_PATH, RESOLVE_NO_SYMLINKS, how);

	*ret_by_link = fd == -ELOOP && !site->no_symlinks;
	return *ret_by_link ? file_open_beneath(site, path, O_PATH, 0, how) : fd;
}

/* Before 1677 and after 2262, which file systems can have but nobody has files from, all is one
 * moment. */
static int64_t nanoseconds(const struct timespec *t)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)t->tv_sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)t->tv_nsec, &ns))
		return t->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

static struct file_id id_of(const struct stat *st)
{
	return (struct file_id){
	    .dev = st->st_dev,
	    .ino = st->st_ino,
	    .size = (uint64_t)st->st_size,
	    .mtime_ns = nanoseconds(&st->st_mtim),
	    .ctime_ns = nanoseconds(&st->st_ctim),
	};
}

int file_entry_identify(const struct http_site *site, const struct file_entry *entry,
			struct file_id *ret)
{
	bool by_link;
	int fd = file_open_name(site, entry->path.ptr, FILE_LOAD_WARM, &by_link);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	sys_close(fd);
	if (r == 0)
		*ret = id_of(&st);
	return r;
}

struct file_system {
	/* Every change is made through this kernel's own names, and so seen by inotify. Not so with
	 * network file systems, FUSE, and overlayfs, whose layers can be changed behind it. */
	bool local;
	/* A look at a name never waits, though the kernel can't promise it (RESOLVE_CACHED): what
	 * these do not have they forget at once (simple_lookup() in fs/libfs.c). */
	bool in_memory;
};

static struct file_system file_system_of(int fd)
{
	long magic;

	if (sys_statfs_type(fd, &magic) < 0)
		return (struct file_system){false, false};
	switch (magic) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		return (struct file_system){true, true};
	case EXT4_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case SQUASHFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case ISOFS_SUPER_MAGIC:
	case MSDOS_SUPER_MAGIC:
	case 0x2fc12fc1: /* ZFS, not in the kernel's headers */
		return (struct file_system){true, false};
	default:
		return (struct file_system){false, false};
	}
}

void file_entry_put_coding(const struct file_entry *entry, struct http_writer *w)
{
	if (entry->coding != HTTP_IDENTITY)
		http_put_header(w, SLICE_LITERAL("Content-Encoding"),
				slice_of(http_coding_name((enum http_coding)entry->coding)));
	else if (entry->gzipped)
		http_put_header(w, SLICE_LITERAL("Content-Encoding"), SLICE_LITERAL("gzip"));
}

void file_entry_put_vary(const struct file_entry *entry, struct http_writer *w)
{
	if (entry->coding != HTTP_IDENTITY || entry->siblings)
		http_put_header(w, SLICE_LITERAL("Vary"), SLICE_LITERAL("Accept-Encoding"));
}

void file_entry_put_explain(struct http_writer *w)
{
	http_put_literal(w, "Server-Timing: ");
	http_put_timing(w, leat_technique_name(LEAT_COPY),
			"kept in memory, one send with its header", leat_verdict_name(LEAT_COPIED));
	http_put_literal(w, "\r\n");
}

/* A body in memory is sent by copying: where another technique is forced, there are none. */
static bool in_memory(const struct http_site *site, const struct stat *st)
{
	if (site->technique != LEAT_AUTO && site->technique != LEAT_COPY)
		return st->st_size == 0;
	return (uint64_t)st->st_size <= HTTP_BODY_CACHE_MAX;
}

/* Returns where in the block the ETag's value stands. */
static size_t put_head(const struct http_site *site, struct slice path, const struct stat *st,
		       struct file_entry *entry, struct http_writer *w)
{
	time_t now = sys_wall_time();
	char etag[HTTP_ETAG_MAX];
	enum http_coding coding = (enum http_coding)entry->coding;
	struct slice suffix = http_coding_suffix(coding);
	size_t etag_len, etag_at;

	etag_len = http_etag_format(st->st_ino, (uint64_t)st->st_size, nanoseconds(&st->st_mtim),
				    suffix.len ? suffix.ptr + 1 : "", etag);
	entry->type = http_mime_type(site->mime, slice_make(path.ptr, path.len - suffix.len));
	/* RFC 9110 8.8.2.1: never later than the answer's Date. */
	entry->mtime = st->st_mtim.tv_sec < now ? st->st_mtim.tv_sec : now;
	http_head_begin(&entry->head, w, 200);
	http_put_header(w, SLICE_LITERAL("Content-Type"), entry->type);
	http_put_header_u64(w, SLICE_LITERAL("Content-Length"), (uint64_t)st->st_size);
	http_put_header_date(w, SLICE_LITERAL("Last-Modified"), entry->mtime);
	etag_at = http_written(w) + strlen("ETag: ");
	entry->etag.len = etag_len;
	http_put_header(w, SLICE_LITERAL("ETag"), slice_make(etag, etag_len));
	http_put_header(w, SLICE_LITERAL("Accept-Ranges"), SLICE_LITERAL("bytes"));
	file_entry_put_coding(entry, w);
	file_entry_put_vary(entry, w);
	http_put_slice(w, site->file_headers);
	if (site->explain && in_memory(site, st))
		file_entry_put_explain(w);
	http_head_end(&entry->head, w);
	return etag_at;
}

/* One allocation: the struct, the path, the header block, the body. */
static struct file_entry *entry_new(const struct http_site *site, struct slice path,
				    const struct stat *st, enum http_coding coding,
				    const struct file_siblings *siblings, char **ret_body)
{
	char text[HTTP_HEADER_BYTES];
	struct file_entry draft = {
	    .refs = 1,
	    .fd = -1,
	    .coding = (uint8_t)coding,
	    .gzipped = coding == HTTP_IDENTITY && http_mime_is_gzipped(path),
	    .siblings = siblings->codings,
	    .siblings_beyond_events = siblings->beyond_events,
	};
	struct file_entry *entry;
	struct http_writer w;
	size_t etag_at;
	char *at;

	http_writer_init(&w, text, sizeof(text));
	etag_at = put_head(site, path, st, &draft, &w);
	if (w.cut) /* a content type of kilobytes: mime.types is the user's */
		return NULL;
	draft.id = id_of(st);
	draft.bytes = sizeof(draft) + path.len + 1 + draft.head.length +
		      (in_memory(site, st) ? (size_t)st->st_size : 0);
	entry = malloc(draft.bytes);
	if (!entry)
		return NULL;
	*entry = draft;
	at = (char *)(entry + 1);
	memcpy(at, path.ptr, path.len);
	at[path.len] = '\0';
	entry->path = slice_make(at, path.len);
	at += path.len + 1;
	memcpy(at, text, draft.head.length);
	entry->block = at;
	entry->etag.ptr = at + etag_at;
	*ret_body = in_memory(site, st) ? at + draft.head.length : NULL;
	return entry;
}

/* The whole body or -errno; -EAGAIN: not all of it is in the page cache, or the file is shorter
 * than it just was. */
static int read_body(int fd, char *body, size_t len, enum file_load how)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = -EOPNOTSUPP;

		if (how != FILE_LOAD_WAIT)
			n = sys_pread_nowait(fd, body + at, len - at, at);
		/* A file system that can't say whether it would wait (tmpfs before 6.x): its
		 * contents were read a moment ago, or this is a helper. */
		if (n == -EOPNOTSUPP && how != FILE_LOAD_NOW)
			n = sys_pread(fd, body + at, len - at, at);
		if (n <= 0)
			return n == 0 || n == -EOPNOTSUPP ? -EAGAIN : (int)n;
		at += (size_t)n;
	}
	return 0;
}

static bool unchanged(int fd, const struct file_id *before)
{
	struct file_id now;
	struct stat st;

	if (sys_fstat(fd, &st) < 0)
		return false;
	now = id_of(&st);
	return file_id_equal(before, &now);
}

/* A whole body is one version when the file is the same before and after it was read. One that is
 * written to all the time never is: after enough tries what was read is served as it is (`torn`),
 * and looked at again at the next request. -ESTALE: try again. */
static int fill_body(struct file_entry *entry, int fd, char *body, enum file_load how, bool torn)
{
	int r = read_body(fd, body, (size_t)entry->id.size, how);

	if (r < 0 && r != -EAGAIN)
		return r;
	if (unchanged(fd, &entry->id))
		return r;
	if (r < 0 || !torn)
		return -ESTALE;
	entry->beyond_events = true;
	return 0;
}

/* What is to be loaded. */
struct wanted {
	struct slice path;
	enum http_coding coding;
	enum file_load how;
	bool torn; /* fill_body() */
};

/* Takes `fd` over only on success. */
static int load_open(const struct http_site *site, const struct wanted *wanted, int fd,
		     struct file_entry **ret)
{
	struct file_siblings siblings = {0};
	struct file_entry *entry;
	struct stat st;
	struct file_system system;
	char *body;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode)) /* exchanged since it was looked at */
		return -ENXIO;
	system = file_system_of(fd);
	if (wanted->coding == HTTP_IDENTITY)
		r = file_siblings_find(site, wanted->path, nanoseconds(&st.st_mtim),
				       system.in_memory ? FILE_LOAD_WAIT : wanted->how, &siblings);
	if (r < 0)
		return r;
	entry = entry_new(site, wanted->path, &st, wanted->coding, &siblings, &body);
	if (!entry)
		return -ENOMEM;
	entry->names_in_memory = system.in_memory;
	entry->siblings_beyond_events |= !system.local;
	entry->beyond_events = st.st_nlink > 1 || entry->siblings_beyond_events;
	if (!body) {
		entry->fd = fd;
		/* The engine has cold ranges loaded by a helper. Without this the kernel's own
		 * readahead would allocate megabytes of pages, and wait for room in the disk's
		 * queue, within a loop's sendfile. Where it is refused, it is not needed. */
		(void)sys_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	} else {
		r = fill_body(entry, fd, body, wanted->how, wanted->torn);
		if (r < 0) {
			file_entry_free(entry);
			return r;
		}
		sys_close(fd);
	}
	*ret = entry;
	return 0;
}

/* 0: it is a regular file. */
static int look(const struct http_site *site, const char *path, enum file_load how,
		bool *ret_by_link)
{
	struct stat st;
	int fd = file_open_name(site, path, how, ret_by_link);
	int r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	sys_close(fd);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return S_ISREG(st.st_mode) ? 0 : -ENXIO;
}

int file_entry_look(const struct http_site *site, struct slice path, enum file_load how)
{
	bool by_link;

	return look(site, path.ptr, how, &by_link);
}

static int load_once(const struct http_site *site, const struct wanted *wanted,
		     struct file_entry **ret)
{
	const char *path = wanted->path.ptr;
	bool by_link;
	int fd, r = look(site, path, wanted->how, &by_link);

	if (r < 0)
		return r;
	/* O_NONBLOCK: should it have become a FIFO since, nobody waits. */
	fd = file_open_beneath(site, path, O_RDONLY | O_NONBLOCK, 0, wanted->how);
	if (fd < 0)
		return fd;
	r = load_open(site, wanted, fd, ret);
	if (r < 0)
		sys_close(fd);
	else
		(*ret)->beyond_events |= by_link;
	return r;
}

#define LOAD_TRIES 8 /* for a small file to hold still */

int file_entry_load(const struct http_site *site, struct slice path, enum http_coding coding,
		    enum file_load how, struct file_entry **ret)
{
	struct wanted wanted = {.path = path, .coding = coding, .how = how};
	int r = -ESTALE;

	for (int tries = 0; tries < 4 * LOAD_TRIES && r == -ESTALE; tries++) {
		wanted.torn = tries >= LOAD_TRIES;
		r = load_once(site, &wanted, ret);
	}
	return r == -ESTALE ? -EIO : r;
}

void file_entry_free(struct file_entry *entry)
{
	CHECK(!entry->cached);
	if (entry->fd >= 0)
		sys_close(entry->fd);
	free(entry);
}
