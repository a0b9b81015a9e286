#include "http/file_link.h"

#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/http_root.h"
#include "sys/sys.h"

/* As many as the kernel follows (MAXSYMLINKS). */
#define LINKS_MAX 40
/* Of names that are exchanged while they are resolved. */
#define TRIES_MAX 4

/* A name being resolved: `done` has no links, begins with a slash or is empty, which stands for /. */
struct walk {
	char done[PATH_MAX];
	size_t len;
	char rest[2 * PATH_MAX]; /* what is still to come */
	unsigned links;
};

static void go_up(struct walk *walk)
{
	while (walk->len > 0 && walk->done[--walk->len] != '/')
		;
	walk->done[walk->len] = '\0';
}

/* `target` comes before the rest. */
static int follow_link(struct walk *walk, const char *target, size_t len)
{
	size_t rest = strlen(walk->rest);

	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	if (len + 1 + rest + 1 > sizeof(walk->rest))
		return -ENAMETOOLONG;
	memmove(walk->rest + len + 1, walk->rest, rest + 1);
	memcpy(walk->rest, target, len);
	walk->rest[len] = '/';
	go_up(walk);
	if (target[0] == '/')
		walk->len = 0;
	walk->done[walk->len] = '\0';
	return 0;
}

static int go_down(struct walk *walk, const char *name, size_t len)
{
	char target[PATH_MAX];
	int r;

	if (walk->len + 1 + len + 1 > sizeof(walk->done))
		return -ENAMETOOLONG;
	walk->done[walk->len++] = '/';
	memcpy(walk->done + walk->len, name, len);
	walk->len += len;
	walk->done[walk->len] = '\0';
	r = sys_readlink(walk->done, target, sizeof(target));
	if (r == -EINVAL) /* no link */
		return 0;
	if (r == (int)sizeof(target))
		return -ENAMETOOLONG;
	return r < 0 ? r : follow_link(walk, target, (size_t)r);
}

/* Takes the first component off the rest. 0: there was none. */
static size_t next_name(struct walk *walk, char name[NAME_MAX + 1])
{
	size_t skip = strspn(walk->rest, "/"), len = strcspn(walk->rest + skip, "/");
	size_t kept = len < NAME_MAX ? len : NAME_MAX;

	memcpy(name, walk->rest + skip, kept);
	name[kept] = '\0';
	memmove(walk->rest, walk->rest + skip + len, strlen(walk->rest + skip + len) + 1);
	return len;
}

/* All of the rest. */
static int resolve(struct walk *walk)
{
	char name[NAME_MAX + 1];
	size_t len;
	int r = 0;

	while (r == 0 && (len = next_name(walk, name)) > 0) {
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if (strcmp(name, "..") == 0)
			go_up(walk);
		else if (strcmp(name, ".") != 0)
			r = go_down(walk, name, len);
	}
	return r;
}

static int begin(struct walk *walk, const char *name)
{
	size_t len = strlen(name);

	if (len >= sizeof(walk->rest))
		return -ENAMETOOLONG;
	memcpy(walk->rest, name, len + 1);
	return resolve(walk);
}

/* The part of `name` below `folder`, "." for itself; NULL: it is not below it. */
static const char *below(const char *name, const char *folder, size_t len)
{
	if (strncmp(name, folder, len) != 0)
		return NULL;
	if (name[len] == '\0')
		return ".";
	return name[len] == '/' ? name + len + 1 : NULL;
}

static int open_plain(int dir, const char *name, uint64_t flags)
{
	return sys_openat2(dir, name, flags | O_CLOEXEC, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

static int open_once(const struct http_site *site, const char *path, uint64_t flags)
{
	struct walk walk = {.links = 0};
	char root[PATH_MAX];
	const char *name;
	size_t root_len;
	int r = begin(&walk, site->root->name);

	if (r < 0)
		return r;
	root_len = walk.len;
	memcpy(root, walk.done, root_len + 1);
	walk.links = 0;
	r = begin(&walk, path);
	if (r < 0)
		return r;
	name = below(walk.done, root, root_len);
	if (name)
		return open_plain(site->root_fd, name, flags);
	for (unsigned i = 0; i < site->link_root_count; i++) {
		const struct file_link_root *other = &site->link_roots[i];

		name = below(walk.done, other->name, strlen(other->name));
		if (name)
			return open_plain(other->fd, name, flags);
	}
	log_limited(sys_now_coarse_ns(), LOG_LEVEL_WARNING,
		    "%s: a symbolic link leads to %s, out of the folder: not served "
		    "(--follow-symlinks names folders that may be led to)",
		    path, walk.done);
	return -EXDEV;
}

int file_link_open(const struct http_site *site, const char *path, uint64_t flags)
{
	int r = -ELOOP;

	/* -ELOOP: a link has come where there was none. */
	for (int tries = 0; tries < TRIES_MAX && r == -ELOOP; tries++)
		r = open_once(site, path, flags);
	return r;
}

bool file_link_is_needed(const struct http_site *site, const char *path)
{
	int fd = sys_openat2(site->root_fd, path, O_PATH | O_CLOEXEC, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

	if (fd >= 0)
		sys_close(fd);
	return fd == -EXDEV;
}

int file_link_look(const struct http_site *site, const char *path)
{
	return sys_openat2(site->root_fd, path, O_PATH | O_CLOEXEC, 0,
			   RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED);
}

/* ---- --follow-symlinks ---- */

int file_link_open_roots(struct http_site *site, const char *const *names, unsigned count,
			 struct err *err)
{
	if (count && site->no_symlinks)
		return err_set(err, -EINVAL, "--no-symlinks and --follow-symlinks: one of them");
	if (count > FILE_LINK_ROOTS_MAX)
		return err_set(err, -EINVAL, "--follow-symlinks: at most %d times",
			       FILE_LINK_ROOTS_MAX);
	if (count == 0)
		return 0;
	site->link_roots = calloc(count, sizeof(*site->link_roots));
	if (!site->link_roots)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < count; i++) {
		struct file_link_root *root = &site->link_roots[i];
		int fd = sys_open(names[i], O_PATH | O_DIRECTORY, 0);

		if (fd < 0)
			return err_set(err, fd, "--follow-symlinks %s: %s", names[i],
				       strerror(-fd));
		root->fd = fd;
		root->name = realpath(names[i], NULL);
		site->link_root_count++;
		if (!root->name)
			return err_set(err, -errno, "--follow-symlinks %s: %s", names[i],
				       strerror(errno));
		if (strcmp(root->name, "/") == 0)
			root->name[0] = '\0';
	}
	return 0;
}

void file_link_close_roots(struct http_site *site)
{
	for (unsigned i = 0; i < site->link_root_count; i++) {
		sys_close(site->link_roots[i].fd);
		free(site->link_roots[i].name);
	}
	free(site->link_roots);
	site->link_root_count = 0;
}
