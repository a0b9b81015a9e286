#include "http/http_root.h"

#include <errno.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "sys/sys.h"

#define OPEN_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

static void learn(struct http_site *site, struct http_root *root)
{
	bool in_memory;
	enum file_system system = file_system_learn(site->systems, site->root_fd, &in_memory);

	root->place = file_system_place(system, &root->now);
}

/* "dist" is what this name means from here, wherever that will be moved. */
static int make_absolute(const char *dir, char ret[PATH_MAX])
{
	char here[PATH_MAX] = "";
	int n;

	if (dir[0] != '/' && sys_getcwd(here, sizeof(here)) < 0)
		here[0] = '\0'; /* it was removed: then as it was given */
	if (strcmp(dir, ".") == 0 && here[0])
		dir = "";
	n = snprintf(ret, PATH_MAX, "%s%s%s", here, here[0] && dir[0] ? "/" : "", dir);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int http_root_open(const char *dir, struct http_site *site, struct err *err)
{
	struct http_root *root = site->root;
	int r = make_absolute(dir, root->name), fd = r;

	site->root_name = dir;
	pthread_mutex_init(&root->lock, NULL);
	if (r == 0)
		fd = sys_open(root->name, OPEN_FLAGS, 0);
	if (fd < 0)
		return err_set(err, fd, "%s: %s", dir,
			       fd == -ENOTDIR ? "not a directory" : strerror(-fd));
	site->root_fd = fd;
	/* A sandbox that forbids openat2(2) leaves no safe way to resolve names. */
	fd = file_open_beneath(site, ".", O_PATH | O_DIRECTORY, 0, FILE_LOAD_WAIT);
	if (fd == -ENOSYS || fd == -EPERM)
		return err_set(err, fd,
			       "openat2 is not available: leat http needs Linux 5.6, and a "
			       "container whose seccomp profile allows it");
	if (fd < 0)
		return err_set(err, fd, "%s: %s", dir, strerror(-fd));
	sys_close(fd);
	r = sys_stat_cached(site->root_fd, "", &root->now, &root->mount);
	if (r < 0)
		return err_set(err, r, "%s: %s", dir, strerror(-r));
	learn(site, root);
	return 0;
}

void http_root_close(struct http_site *site)
{
	if (site->root_fd >= 0)
		sys_close(site->root_fd);
	site->root_fd = -1;
}

/* ---- looking ---- */

static int open_name(const struct http_root *root, enum file_load how)
{
	uint64_t resolve = how == FILE_LOAD_CACHED ? RESOLVE_CACHED : 0;
	int fd = sys_openat2(AT_FDCWD, root->name, OPEN_FLAGS, 0, resolve);

	return fd == -EINVAL && how == FILE_LOAD_CACHED ? -EAGAIN : fd; /* before 5.12 */
}

/* Out of descriptors or memory the question can't be asked: then nothing has changed. */
static bool is_answer(int error)
{
	return error != -EAGAIN && error != -EMFILE && error != -ENFILE && error != -ENOMEM;
}

/* Under the lock. The line stands in the log once, not at each request. */
static int set_missing(struct http_root *root, int error)
{
	if (atomic_exchange(&root->error, error) != error) {
		if (error == -EXDEV)
			log_error("%s was replaced by a directory that the sandbox does not allow: "
				  "answering 503 until the server is restarted (--no-sandbox "
				  "follows it)",
				  root->name);
		else
			log_error("%s: %s: answering 503 until it is there", root->name,
				  strerror(-error));
	}
	return -ENODEV;
}

static bool is_same(const struct http_root *root, const struct stat *st,
		    const struct sys_mount *mount)
{
	return st->st_dev == root->now.st_dev && st->st_ino == root->now.st_ino &&
	       mount->id == root->mount.id;
}

/* Under the lock: `fd` becomes the root, unless it is. */
static int take_place(const struct http_site *site, struct http_root *root, int fd)
{
	struct sys_mount mount;
	struct stat st;
	int r = sys_stat_cached(fd, "", &st, &mount);

	if (r < 0)
		return set_missing(root, r);
	if (!is_same(root, &st, &mount)) {
		if (root->fixed)
			return set_missing(root, -EXDEV);
		r = sys_dup_onto(fd, site->root_fd);
		if (r < 0)
			return set_missing(root, r);
		root->now = st;
		root->mount = mount;
		root->place = file_system_place(file_system_known(site->systems, &st, &mount), &st);
		atomic_fetch_add(&root->generation, 1);
		log_info("%s is another directory now: serving that one", root->name);
	} else if (atomic_load(&root->error)) {
		log_info("%s is there again", root->name);
	}
	atomic_store(&root->error, 0);
	return 0;
}

int http_root_look(const struct http_site *site, enum file_load how)
{
	struct http_root *root = site->root;
	int fd = open_name(root, how), r;

	if (fd < 0 && !is_answer(fd))
		return fd == -EAGAIN && how == FILE_LOAD_CACHED ? -EAGAIN : 0;
	pthread_mutex_lock(&root->lock);
	r = fd < 0 ? set_missing(root, fd) : take_place(site, root, fd);
	pthread_mutex_unlock(&root->lock);
	if (fd >= 0)
		sys_close(fd);
	return r;
}

/* ---- for the sandbox ---- */

/* "/", what lies directly below it (/home, /var, /tmp), and a home have too much in them. */
static bool is_narrow(const char *folder)
{
	const char *home = getenv("HOME"), *second = strchr(folder + 1, '/');
	char real[PATH_MAX];

	if (folder[0] != '/' || !second || !second[1])
		return false;
	return !home || !realpath(home, real) || strcmp(real, folder) != 0;
}

static bool find_parent(const char *name, char ret[PATH_MAX])
{
	char copy[PATH_MAX], real[PATH_MAX];

	strcpy(copy, name);
	if (!realpath(dirname(copy), real) || !is_narrow(real))
		return false;
	strcpy(ret, real);
	return true;
}

unsigned http_root_parents(const struct http_site *site, char ret[2][PATH_MAX])
{
	char real[PATH_MAX];
	unsigned count = 0;

	if (!realpath(site->root->name, real))
		return 0;
	if (find_parent(site->root->name, ret[0]))
		count++;
	if (count && find_parent(real, ret[count]) && strcmp(ret[0], ret[count]) != 0)
		count++;
	return count;
}
