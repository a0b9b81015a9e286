#include "http/file_entry.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http/core/etag.h"
#include "http/file_link.h"
#include "http/http_limits.h"
#include "http/http_root.h"
#include "sys/sys.h"

#define LEASE_STEP_MS 20

/* RESOLVE_CACHED came with 5.12; found out once, by doing it. */
static _Atomic bool resolve_cached_missing;

int file_open_beneath(const struct http_site *site, const char *path, uint64_t flags,
		      uint64_t resolve, enum file_load how)
{
	int fd;

	flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY);
	resolve |= RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
	if (site->no_symlinks)
		resolve |= RESOLVE_NO_SYMLINKS;
	if (how == FILE_LOAD_WAIT) {
		fd = sys_openat2(site->root_fd, path, flags, 0, resolve);
		if (fd != -EXDEV || (resolve & RESOLVE_NO_SYMLINKS))
			return fd;
		return file_link_open(site, path, flags);
	}
	/* Only O_PATH leaves the file system out: any other open asks it. */
	CHECK(flags & O_PATH);
	if (atomic_load_explicit(&resolve_cached_missing, memory_order_relaxed))
		return -EAGAIN;
	fd = sys_openat2(site->root_fd, path, flags, 0, resolve | RESOLVE_CACHED);
	if (fd == -EXDEV && !(resolve & RESOLVE_NO_SYMLINKS))
		return -EAGAIN; /* it may lead back */
	if (fd != -EINVAL)
		return fd;
	/* Flags are ours and valid: EINVAL is the unknown RESOLVE_CACHED. */
	atomic_store_explicit(&resolve_cached_missing, true, memory_order_relaxed);
	return -EAGAIN;
}

int file_open_name(const struct http_site *site, const char *path, enum file_load how,
		   bool *ret_by_link)
{
	int fd = file_open_beneath(site, path, O_PATH, RESOLVE_NO_SYMLINKS, how);

	*ret_by_link = fd == -ELOOP && !site->no_symlinks;
	return *ret_by_link ? file_open_beneath(site, path, O_PATH, 0, how) : fd;
}

int file_stat(const struct http_site *site, int fd, enum file_load how, struct stat *ret,
	      enum file_system *ret_system)
{
	struct sys_mount mount;
	struct stat cached;
	int r = sys_stat_cached(fd, "", &cached, &mount);

	if (r < 0)
		return r;
	*ret_system = file_system_known(site->systems, &cached, &mount);
	*ret = cached;
	return how == FILE_LOAD_WAIT ? sys_fstat(fd, ret) : 0;
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
			enum file_load how, struct file_id *ret)
{
	const char *path = entry->path.ptr;
	enum file_system system;
	struct stat st;
	bool by_link;
	int fd, r;

	if (entry->indirect && how == FILE_LOAD_CACHED)
		fd = file_link_look(site, path);
	else
		fd = file_open_name(site, path, how, &by_link);

	if (fd < 0)
		return fd;
	r = file_stat(site, fd, how, &st, &system);
	sys_close(fd);
	if (r < 0)
		return r;
	/* What the kernel has of others may be old. */
	if (how == FILE_LOAD_CACHED && system != FILE_SYSTEM_LOCAL && system != FILE_SYSTEM_LAYERED)
		return -EAGAIN;
	*ret = id_of(&st);
	return 0;
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

/* The whole body or -errno; -ENODATA: the file is shorter than it just was. */
static int read_body(int fd, char *body, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = sys_pread(fd, body + at, len - at, at);

		if (n <= 0)
			return n == 0 ? -ENODATA : (int)n;
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
static int fill_body(struct file_entry *entry, int fd, char *body, bool torn)
{
	int r = read_body(fd, body, (size_t)entry->id.size);

	if (r < 0 && r != -ENODATA)
		return r;
	if (unchanged(fd, &entry->id))
		return r < 0 ? -EIO : 0;
	if (r < 0 || !torn)
		return -ESTALE;
	entry->beyond_events = true;
	return 0;
}

/* What is to be loaded. */
struct wanted {
	struct slice path;
	enum http_coding coding;
	bool torn; /* fill_body() */
};

/* Takes `fd` over only on success. */
static int load_open(const struct http_site *site, const struct wanted *wanted, int fd,
		     struct file_entry **ret)
{
	struct file_siblings siblings = {0};
	enum file_system system;
	struct file_entry *entry;
	struct stat st;
	bool in_memory;
	char *body;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode)) /* exchanged since it was looked at */
		return -ENXIO;
	system = file_system_learn(site->systems, fd, &in_memory);
	if (wanted->coding == HTTP_IDENTITY)
		r = file_siblings_find(site, wanted->path, nanoseconds(&st.st_mtim), FILE_LOAD_WAIT,
				       in_memory, &siblings);
	if (r < 0)
		return r;
	entry = entry_new(site, wanted->path, &st, wanted->coding, &siblings, &body);
	if (!entry)
		return -ENOMEM;
	entry->system = (uint8_t)system;
	entry->place = file_system_place(system, &st);
	entry->names_in_memory = in_memory;
	entry->siblings_beyond_events |= system != FILE_SYSTEM_LOCAL;
	entry->beyond_events = st.st_nlink > 1 || entry->siblings_beyond_events;
	if (!body) {
		entry->fd = fd;
		/* The engine has cold ranges loaded by a helper. Without this the kernel's own
		 * readahead would allocate megabytes of pages, and wait for room in the disk's
		 * queue, within a loop's sendfile. Where it is refused, it is not needed; where
		 * helpers read (http_body.h), the readahead is welcome. */
		if (system == FILE_SYSTEM_LOCAL)
			(void)sys_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	} else {
		r = fill_body(entry, fd, body, wanted->torn);
		if (r < 0) {
			file_entry_free(entry);
			return r;
		}
		sys_close(fd);
	}
	*ret = entry;
	return 0;
}

/* What is served is a regular file. */
static int kind_error(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	return S_ISREG(st->st_mode) ? 0 : -ENXIO;
}

/* Attributes, and the file system, of a name that is not opened for reading. */
static int look(const struct http_site *site, const char *path, enum file_load how,
		struct stat *ret, enum file_system *ret_system, bool *ret_by_link)
{
	int fd = file_open_name(site, path, how, ret_by_link);
	int r;

	if (fd < 0)
		return fd;
	r = file_stat(site, fd, how, ret, ret_system);
	sys_close(fd);
	return r;
}

/* The end of the name's part before the slash number `slashes`, counted from 1; 0: the root. */
static size_t cut_at(struct slice path, unsigned slashes)
{
	size_t at = 0;

	for (unsigned seen = 0; at < path.len && seen < slashes; at++)
		seen += path.ptr[at] == '/';
	return slashes ? at - 1 : 0;
}

/* The place of the deepest directory on the way that the kernel has in memory: what is below it is
 * asked of the same file system, but for mounts that nobody has looked at yet. Found by halving,
 * since names can have thousands of directories. */
static uint64_t place_above(const struct http_site *site, struct slice path)
{
	uint64_t place = site->root->place;
	char name[PATH_MAX];
	unsigned low = 0, high = 0;

	for (size_t i = 0; i < path.len; i++)
		high += path.ptr[i] == '/';
	while (low < high && path.len < sizeof(name)) {
		unsigned middle = (low + high + 1) / 2;
		size_t len = cut_at(path, middle);
		enum file_system system;
		struct stat st;
		bool by_link;

		memcpy(name, path.ptr, len);
		name[len] = '\0';
		if (look(site, name, FILE_LOAD_CACHED, &st, &system, &by_link) < 0) {
			high = middle - 1;
			continue;
		}
		low = middle;
		place = file_system_place(system, &st);
	}
	return place;
}

int file_entry_look(const struct http_site *site, struct slice path, uint64_t *ret_place)
{
	enum file_system system;
	struct stat st;
	bool by_link;
	int r = look(site, path.ptr, FILE_LOAD_CACHED, &st, &system, &by_link);

	if (r == 0)
		r = kind_error(&st);
	if (r == 0) {
		*ret_place = file_system_place(system, &st);
		return -EAGAIN;
	}
	if (r == -EAGAIN)
		*ret_place = place_above(site, path);
	return r;
}

/* O_NONBLOCK: should it have become a FIFO since, nobody waits. So -EAGAIN is another program's
 * lease (Samba's, for a client that writes), which the attempt asked it to give up: that takes a
 * moment. */
static int open_to_read(const struct http_site *site, const char *path)
{
	int fd = -EAGAIN;

	for (unsigned waited_ms = 0; fd == -EAGAIN && waited_ms <= HTTP_LEASE_MS;
	     waited_ms += LEASE_STEP_MS) {
		if (waited_ms)
			(void)sys_poll(NULL, 0, LEASE_STEP_MS);
		fd = file_open_beneath(site, path, O_RDONLY | O_NONBLOCK, 0, FILE_LOAD_WAIT);
	}
	return fd;
}

static int load_once(const struct http_site *site, const struct wanted *wanted,
		     struct file_entry **ret)
{
	const char *path = wanted->path.ptr;
	enum file_system system;
	struct stat st;
	bool by_link;
	int fd, r = look(site, path, FILE_LOAD_WAIT, &st, &system, &by_link);

	if (r == 0)
		r = kind_error(&st);
	if (r < 0)
		return r;
	fd = open_to_read(site, path);
	if (fd < 0)
		return fd;
	r = load_open(site, wanted, fd, ret);
	if (r < 0) {
		sys_close(fd);
		return r;
	}
	(*ret)->beyond_events |= by_link;
	(*ret)->indirect = by_link && file_link_is_needed(site, path);
	return 0;
}

#define LOAD_TRIES 8 /* for a small file to hold still */

int file_entry_load(const struct http_site *site, struct slice path, enum http_coding coding,
		    struct file_entry **ret)
{
	struct wanted wanted = {.path = path, .coding = coding};
	int r = -ESTALE;

	for (int tries = 0; tries < 4 * LOAD_TRIES && r == -ESTALE; tries++) {
		wanted.torn = tries >= LOAD_TRIES;
		r = load_once(site, &wanted, ret);
	}
	return r == -ESTALE ? -EIO : r;
}

int file_entry_compare(const struct http_site *site, const struct file_entry *entry)
{
	struct file_id id;
	int r = file_entry_identify(site, entry, FILE_LOAD_WAIT, &id);

	if (r < 0)
		return r;
	if (!file_id_equal(&id, &entry->id))
		return -ESTALE;
	return file_siblings_compare(site, entry, FILE_LOAD_WAIT);
}

/* ---- the end ---- */

static void close_now(struct file_entry *entry)
{
	if (entry->fd >= 0)
		sys_close(entry->fd);
	free(entry);
}

static void close_run(struct job *job)
{
	struct file_entry *entry = container_of(job, struct file_entry, closing);

	sys_close(entry->fd);
	entry->fd = -1;
}

static void close_done(struct job *job)
{
	close_now(container_of(job, struct file_entry, closing));
}

/* close(2) flushes, also what was only read: FUSE tells its daemon and waits for the answer. */
void file_entry_free(struct file_entry *entry)
{
	struct loop *loop = loop_current();

	CHECK(!entry->cached);
	entry->closing = (struct job){.run = close_run, .done = close_done};
	if (entry->fd >= 0 && loop && entry->system != FILE_SYSTEM_LOCAL &&
	    helpers_submit_at(loop, &entry->closing, entry->place) == 0)
		return;
	close_now(entry);
}
