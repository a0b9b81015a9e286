/*
 * Encoded versions beside a file: for "app.js" the siblings "app.js.gz", "app.js.zst" and
 * "app.js.br".
 *
 * A file that was changed after its sibling was made would be served in its old version to whoever
 * takes the encoding. So a sibling that is older than its file, by whole seconds (archives and
 * copying programs keep no more), is not served, and the log says so.
 *
 * Most siblings do not exist, and a file system that forgets such names (FUSE, as a rule) is asked
 * at each request, by a helper.
 */
#include <errno.h>
#include <linux/openat2.h>

#include "base/log.h"
#include "http/file_entry.h"
#include "sys/sys.h"

bool file_sibling_name(struct slice path, enum http_coding coding, char buf[PATH_MAX],
		       struct slice *ret)
{
	struct slice suffix = http_coding_suffix(coding);
	size_t len = path.len + suffix.len;

	if (len >= PATH_MAX)
		return false;
	memcpy(buf, path.ptr, path.len);
	memcpy(buf + path.len, suffix.ptr, suffix.len);
	buf[len] = '\0';
	*ret = slice_make(buf, len);
	return true;
}

static bool is_fit(const char *name, const struct stat *st, int64_t mtime_ns)
{
	if (!S_ISREG(st->st_mode))
		return false;
	if (st->st_mtim.tv_sec >= mtime_ns / 1000000000)
		return true;
	log_limited(sys_now_coarse_ns(), LOG_LEVEL_WARNING,
		    "%s is older than the file it was made from: not served", name);
	return false;
}

/* A name that is in no memory is none at all on such a file system (`in_memory`): asking it for one
 * can't wait. A link leads elsewhere. */
static int open_sibling(const struct http_site *site, const char *name, enum file_load how,
			bool in_memory, bool *ret_by_link)
{
	enum file_load first = in_memory ? FILE_LOAD_WAIT : how;
	int fd = file_open_beneath(site, name, O_PATH, RESOLVE_NO_SYMLINKS, first);

	*ret_by_link = fd == -ELOOP && !site->no_symlinks;
	return *ret_by_link ? file_open_beneath(site, name, O_PATH, 0, how) : fd;
}

/* 1, 0, or -errno where it could not be found out. */
static int has_sibling(const struct http_site *site, const char *name, int64_t mtime_ns,
		       enum file_load how, bool in_memory, bool *ret_by_link)
{
	int r, fd = open_sibling(site, name, how, in_memory, ret_by_link);
	enum file_system system;
	struct stat st;

	if (fd == -EAGAIN || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd;
	if (fd < 0)
		return 0;
	r = file_stat(site, fd, how, &st, &system);
	sys_close(fd);
	return r == 0 && is_fit(name, &st, mtime_ns);
}

int file_siblings_find(const struct http_site *site, struct slice path, int64_t mtime_ns,
		       enum file_load how, bool in_memory, struct file_siblings *ret)
{
	struct file_siblings siblings = {0};
	char name[PATH_MAX];
	struct slice ignored;

	/* What is encoded already has no encodings of its own. */
	if (!site->precompressed || http_coding_of(path) != HTTP_IDENTITY ||
	    http_mime_is_gzipped(path)) {
		*ret = siblings;
		return 0;
	}
	for (int i = HTTP_IDENTITY + 1; i < HTTP_CODING_COUNT; i++) {
		bool by_link = false;
		int r;

		if (!file_sibling_name(path, (enum http_coding)i, name, &ignored))
			continue;
		r = has_sibling(site, name, mtime_ns, how, in_memory, &by_link);
		if (r < 0)
			return r;
		if (r > 0)
			siblings.codings |= (uint8_t)(1u << i);
		siblings.beyond_events |= by_link;
	}
	*ret = siblings;
	return 0;
}

int file_siblings_compare(const struct http_site *site, const struct file_entry *entry,
			  enum file_load how)
{
	struct file_siblings siblings;
	int r;

	if (entry->coding != HTTP_IDENTITY)
		return 0;
	r = file_siblings_find(site, entry->path, entry->id.mtime_ns, how, entry->names_in_memory,
			       &siblings);
	if (r < 0)
		return r;
	return siblings.codings == entry->siblings ? 0 : -ESTALE;
}
