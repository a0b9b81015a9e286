#include "http/dir_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/http_limits.h"
#include "sys/sys.h"

#define READ_BYTES (64u * 1024u)
#define NAME_BYTES (64u * 1024u) /* a chunk of names */

struct names {
	struct names *next;
	size_t used;
	char text[NAME_BYTES];
};

struct scan {
	const struct http_site *site;
	struct slice path;
	int fd;
	struct http_entry *entries;
	size_t count, room;
	struct names *names;
	char *records; /* READ_BYTES */
};

static void scan_fini(struct scan *scan)
{
	while (scan->names) {
		struct names *names = scan->names;

		scan->names = names->next;
		free(names);
	}
	free(scan->entries);
	free(scan->records);
	if (scan->fd >= 0)
		sys_close(scan->fd);
}

static const char *keep_name(struct scan *scan, const char *name, size_t len)
{
	struct names *names = scan->names;
	char *kept;

	if (!names || NAME_BYTES - names->used < len) {
		names = malloc(sizeof(*names));
		if (!names)
			return NULL;
		names->next = scan->names;
		names->used = 0;
		scan->names = names;
	}
	kept = names->text + names->used;
	memcpy(kept, name, len);
	names->used += len;
	return kept;
}

static int add_entry(struct scan *scan, const char *name, const struct stat *st)
{
	size_t len = strlen(name);
	const char *kept;

	if (scan->count == scan->room) {
		size_t room = scan->room ? 2 * scan->room : 64;
		struct http_entry *entries = reallocarray(scan->entries, room, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		scan->entries = entries;
		scan->room = room;
	}
	kept = keep_name(scan, name, len);
	if (!kept)
		return -ENOMEM;
	scan->entries[scan->count++] = (struct http_entry){
	    .name = kept,
	    .name_len = (uint32_t)len,
	    .kind = S_ISDIR(st->st_mode)   ? HTTP_ENTRY_DIRECTORY
		    : S_ISREG(st->st_mode) ? HTTP_ENTRY_FILE
					   : HTTP_ENTRY_OTHER,
	    .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
	    .mtime = st->st_mtim.tv_sec,
	};
	return 0;
}

/* What a link leads to, if that is under the root. */
static int follow(struct scan *scan, const char *name, struct stat *ret)
{
	char path[PATH_MAX];
	int fd, r;

	r = snprintf(path, sizeof(path), "%.*s/%s", (int)scan->path.len, scan->path.ptr, name);
	if (r >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = file_open_beneath(scan->site, path, O_PATH, 0, FILE_LOAD_WAIT);
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, ret);
	sys_close(fd);
	return r;
}

static int look_at(struct scan *scan, const char *name)
{
	struct stat st;

	if (name[0] == '.')
		return 0;
	if (sys_fstatat(scan->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* gone since */
	if (S_ISLNK(st.st_mode) && follow(scan, name, &st) < 0)
		return 0;
	return add_entry(scan, name, &st);
}

/* The kernel's record; glibc's struct dirent64 has the same layout (getdents64(2)). */
static int read_names(struct scan *scan)
{
	ssize_t n;
	int r;

	while ((n = sys_getdents(scan->fd, scan->records, READ_BYTES)) > 0) {
		for (char *at = scan->records; at < scan->records + n;) {
			const struct dirent64 *record = (const void *)at;

			if (scan->count >= HTTP_LISTING_MAX) {
				log_limited(sys_now_coarse_ns(), LOG_LEVEL_WARNING,
					    "%.*s: more than %u names: the listing is cut",
					    (int)scan->path.len, scan->path.ptr, HTTP_LISTING_MAX);
				return 0;
			}
			r = look_at(scan, record->d_name);
			if (r < 0)
				return r;
			at += record->d_reclen;
		}
	}
	return (int)n;
}

static int write_text(struct http_listing *listing, char **ret_text, size_t *ret_len)
{
	size_t room = 0, len = 0, n;
	char *text = NULL, *larger;

	do {
		if (room - len < HTTP_LISTING_BUFFER_MIN) {
			room = 2 * room + 2 * HTTP_LISTING_BUFFER_MIN;
			larger = realloc(text, room);
			if (!larger) {
				free(text);
				return -ENOMEM;
			}
			text = larger;
		}
		n = http_listing_step(listing, text + len, room - len);
		len += n;
	} while (n > 0);
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* "/a/b/": how people see the path. */
static struct slice shown(struct slice path, char buf[PATH_MAX + 3])
{
	if (slice_eq(path, SLICE_LITERAL(".")))
		return SLICE_LITERAL("/");
	buf[0] = '/';
	memcpy(buf + 1, path.ptr, path.len);
	buf[path.len + 1] = '/';
	return slice_make(buf, path.len + 2);
}

int dir_list(const struct http_site *site, const struct dir_list_options *options, char **ret_text,
	     size_t *ret_len)
{
	CLEANUP(scan_fini) struct scan scan = {.site = site, .path = options->path, .fd = -1};
	struct http_listing listing;
	char path[PATH_MAX + 3];
	int r;

	if (options->path.len > PATH_MAX)
		return -ENAMETOOLONG;
	scan.fd = file_open_beneath(site, options->path.ptr, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0,
				    FILE_LOAD_WAIT);
	if (scan.fd < 0)
		return scan.fd;
	scan.records = malloc(READ_BYTES);
	if (!scan.records)
		return -ENOMEM;
	r = read_names(&scan);
	if (r < 0)
		return r;
	http_listing_sort(scan.entries, scan.count, options->order);
	http_listing_init(&listing,
			  &(struct http_listing_options){
			      .path = shown(options->path, path),
			      .order = options->order,
			      .json = options->json,
			  },
			  scan.entries, scan.count);
	return write_text(&listing, ret_text, ret_len);
}
