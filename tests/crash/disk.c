#include "crash/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/sys.h"

#define FDS_MAX       4096
#define NAME_MAX_HERE 256
#define SECTOR        512u

/* A change of a file that has not been synced. */
struct change {
	bool truncate;
	uint64_t at; /* or the new size */
	size_t len;
	char *bytes;
};

struct node;

struct entry {
	char name[NAME_MAX_HERE];
	struct node *node;
};

struct entries {
	struct entry *list;
	size_t count, capacity;
};

/* A change of a folder: `from` away (unless ""), `to` there (unless ""). */
struct naming {
	char from[NAME_MAX_HERE], to[NAME_MAX_HERE];
	struct node *node;
};

struct node {
	struct node *next; /* of all, to be freed */
	bool folder;
	/* A file: what is on disk, and what came after. */
	char *bytes;
	size_t size, capacity;
	struct change *changes;
	size_t change_count, change_capacity;
	/* A folder. */
	struct entries live, safe;
	struct naming *namings;
	size_t naming_count, naming_capacity;
};

static struct {
	char path[128];
	struct node *root, *all;
	struct node *fds[FDS_MAX];
	uint64_t random;
	uint64_t left; /* changes until the power goes; 0: it does not */
	bool failed;
	unsigned full;
} disk;

void disk_seed(uint64_t seed)
{
	disk.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

uint64_t disk_random(uint64_t below)
{
	/* splitmix64 */
	uint64_t z = disk.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return below ? (z ^ z >> 31) % below : 0;
}

static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return list;
	*capacity = *capacity ? 2 * *capacity : 8;
	list = realloc(list, *capacity * size);
	CHECK(list);
	return list;
}

/* ---- the model ---- */

static struct node *node_new(bool folder)
{
	struct node *node = calloc(1, sizeof(*node));

	CHECK(node);
	node->folder = folder;
	node->next = disk.all;
	disk.all = node;
	return node;
}

static struct entry *find(struct entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0)
			return &entries->list[i];
	return NULL;
}

static void set(struct entries *entries, const char *name, struct node *node)
{
	struct entry *entry = find(entries, name);

	if (!entry) {
		entries->list =
		    grow(entries->list, entries->count, &entries->capacity, sizeof(struct entry));
		entry = &entries->list[entries->count++];
		snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	entry->node = node;
}

static void unset(struct entries *entries, const char *name)
{
	struct entry *entry = find(entries, name);

	if (entry)
		*entry = entries->list[--entries->count];
}

static void apply_naming(struct entries *entries, const struct naming *naming)
{
	if (naming->from[0])
		unset(entries, naming->from);
	if (naming->to[0])
		set(entries, naming->to, naming->node);
}

static void name_change(struct node *folder, const char *from, const char *to, struct node *node)
{
	struct naming naming = {.node = node};

	snprintf(naming.from, sizeof(naming.from), "%s", from);
	snprintf(naming.to, sizeof(naming.to), "%s", to);
	folder->namings =
	    grow(folder->namings, folder->naming_count, &folder->naming_capacity, sizeof(naming));
	folder->namings[folder->naming_count++] = naming;
	apply_naming(&folder->live, &naming);
}

static void apply_change(struct node *node, const struct change *change, size_t len)
{
	size_t end = change->truncate ? change->at : change->at + len;

	if (end > node->capacity) {
		node->capacity = end * 2;
		node->bytes = realloc(node->bytes, node->capacity);
		CHECK(node->bytes);
	}
	if (end > node->size)
		memset(node->bytes + node->size, 0, end - node->size);
	if (change->truncate || end > node->size)
		node->size = end;
	if (len > 0)
		memcpy(node->bytes + change->at, change->bytes, len);
}

static void add_change(struct node *node, struct change change, const void *bytes)
{
	if (change.len > 0) {
		change.bytes = malloc(change.len);
		CHECK(change.bytes);
		memcpy(change.bytes, bytes, change.len);
	}
	node->changes =
	    grow(node->changes, node->change_count, &node->change_capacity, sizeof(change));
	node->changes[node->change_count++] = change;
}

static void sync_node(struct node *node)
{
	for (size_t i = 0; i < node->change_count; i++) {
		apply_change(node, &node->changes[i], node->changes[i].len);
		free(node->changes[i].bytes);
	}
	node->change_count = 0;
	for (size_t i = 0; i < node->naming_count; i++)
		apply_naming(&node->safe, &node->namings[i]);
	node->naming_count = 0;
}

/* The folder of a path, and its last word. NULL: not one of ours. */
static struct node *locate(int dir, const char *path, char ret_name[NAME_MAX_HERE])
{
	struct node *folder = NULL;
	const char *slash;

	if (dir == AT_FDCWD) {
		if (disk.root && strcmp(path, disk.path) == 0) {
			strcpy(ret_name, ".");
			return disk.root;
		}
		return NULL;
	}
	folder = dir >= 0 && dir < FDS_MAX ? disk.fds[dir] : NULL;
	while (folder && (slash = strchr(path, '/'))) {
		char word[NAME_MAX_HERE];
		struct entry *entry;

		snprintf(word, sizeof(word), "%.*s", (int)(slash - path), path);
		entry = find(&folder->live, word);
		folder = entry ? entry->node : NULL;
		path = slash + 1;
	}
	if (folder)
		snprintf(ret_name, NAME_MAX_HERE, "%s", path);
	return folder;
}

/* Whether a change may be made: not once the power is gone. */
static bool powered(void)
{
	if (disk.failed)
		return false;
	if (disk.left > 0 && --disk.left == 0) {
		disk.failed = true;
		return false;
	}
	return true;
}

void disk_fail_after(uint64_t changes)
{
	disk.left = changes;
}

bool disk_failed(void)
{
	return disk.failed;
}

void disk_fill(unsigned count)
{
	disk.full = count;
}

/* ---- the wrappers ---- */

int __real_sys_open(const char *path, int flags, mode_t mode);
int __wrap_sys_open(const char *path, int flags, mode_t mode);
int __real_sys_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_sys_openat(int dir, const char *path, int flags, mode_t mode);
int __real_sys_close(int fd);
int __wrap_sys_close(int fd);
ssize_t __real_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
ssize_t __wrap_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
int __real_sys_ftruncate(int fd, uint64_t size);
int __wrap_sys_ftruncate(int fd, uint64_t size);
int __wrap_sys_fdatasync(int fd);
int __wrap_sys_fsync(int fd);
int __real_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_sys_unlinkat(int dir, const char *path, int flags);
int __wrap_sys_unlinkat(int dir, const char *path, int flags);
int __real_sys_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_sys_mkdirat(int dir, const char *path, mode_t mode);

static int note_open(int fd, struct node *folder, const char *name, int flags)
{
	struct entry *entry;

	if (fd < 0 || !folder)
		return fd;
	CHECK(fd < FDS_MAX);
	if (strcmp(name, ".") == 0) {
		disk.fds[fd] = folder;
		return fd;
	}
	entry = find(&folder->live, name);
	if (!entry) {
		name_change(folder, "", name, node_new(false));
		entry = find(&folder->live, name);
	} else if (flags & O_TRUNC) {
		add_change(entry->node, (struct change){.truncate = true}, NULL);
	}
	disk.fds[fd] = entry->node;
	return fd;
}

int __wrap_sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(dir, path, name);

	if (folder && (flags & (O_CREAT | O_TRUNC)) && !powered())
		return -EIO;
	return note_open(__real_sys_openat(dir, path, flags, mode), folder, name, flags);
}

int __wrap_sys_open(const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(AT_FDCWD, path, name);

	return note_open(__real_sys_open(path, flags, mode), folder, name, flags);
}

int __wrap_sys_close(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		disk.fds[fd] = NULL;
	return __real_sys_close(fd);
}

ssize_t __wrap_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	struct node *node = disk.fds[fd];

	if (!powered())
		return -EIO;
	if (disk.full > 0 && --disk.full == 0)
		return -ENOSPC;
	/* A disk that fills up takes some of it first. */
	if (disk.full > 0 && len > 1)
		len = 1 + disk_random(len - 1);
	if (node)
		add_change(node, (struct change){.at = offset, .len = len}, buf);
	return __real_sys_pwrite(fd, buf, len, offset);
}

int __wrap_sys_ftruncate(int fd, uint64_t size)
{
	if (!powered())
		return -EIO;
	if (disk.fds[fd])
		add_change(disk.fds[fd], (struct change){.truncate = true, .at = size}, NULL);
	return __real_sys_ftruncate(fd, size);
}

int __wrap_sys_fdatasync(int fd)
{
	if (!powered())
		return -EIO;
	if (disk.fds[fd])
		sync_node(disk.fds[fd]);
	return 0;
}

int __wrap_sys_fsync(int fd)
{
	return __wrap_sys_fdatasync(fd);
}

int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char from_name[NAME_MAX_HERE], to_name[NAME_MAX_HERE];
	struct node *folder = locate(from_dir, from, from_name);
	struct entry *entry;
	int r;

	if (!powered())
		return -EIO;
	r = __real_sys_renameat(from_dir, from, to_dir, to);
	if (r < 0 || !folder)
		return r;
	CHECK(locate(to_dir, to, to_name) == folder);
	entry = find(&folder->live, from_name);
	CHECK(entry);
	name_change(folder, from_name, to_name, entry->node);
	return r;
}

int __wrap_sys_unlinkat(int dir, const char *path, int flags)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(dir, path, name);
	int r;

	if (!powered())
		return -EIO;
	r = __real_sys_unlinkat(dir, path, flags);
	if (r == 0 && folder)
		name_change(folder, name, "", NULL);
	return r;
}

int __wrap_sys_mkdirat(int dir, const char *path, mode_t mode)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(dir, path, name);
	int r;

	if (!powered())
		return -EIO;
	r = __real_sys_mkdirat(dir, path, mode);
	if (r == 0 && folder)
		name_change(folder, "", name, node_new(true));
	return r;
}

/* ---- power off, power on ---- */

void disk_attach(const char *folder)
{
	snprintf(disk.path, sizeof(disk.path), "%s", folder);
	if (!disk.root)
		disk.root = node_new(true);
	disk.failed = false;
	disk.left = 0;
	disk.full = 0;
}

static void lose_changes(struct node *node)
{
	/* Mostly all or nothing, as one moment of writeback or none; else each for itself. */
	uint64_t mood = disk_random(4);

	for (size_t i = 0; i < node->change_count; i++) {
		struct change *change = &node->changes[i];
		uint64_t fate = mood == 0 ? 0 : mood == 1 ? 1 : disk_random(3);
		size_t len = change->len;

		if (fate == 2 && len > 0)
			len =
			    disk_random(2) ? disk_random(len) : disk_random(len) / SECTOR * SECTOR;
		if (fate != 0)
			apply_change(node, change, len);
		free(change->bytes);
	}
	node->change_count = 0;
}

static void lose_namings(struct node *node)
{
	size_t kept = (size_t)disk_random(node->naming_count + 1);

	for (size_t i = 0; i < kept; i++)
		apply_naming(&node->safe, &node->namings[i]);
	node->naming_count = 0;
	node->live.count = 0;
	for (size_t i = 0; i < node->safe.count; i++)
		set(&node->live, node->safe.list[i].name, node->safe.list[i].node);
}

static void write_out(const struct node *node, const char *path)
{
	char below[512];

	for (size_t i = 0; i < node->safe.count; i++) {
		const struct entry *entry = &node->safe.list[i];

		snprintf(below, sizeof(below), "%s/%s", path, entry->name);
		if (entry->node->folder) {
			CHECK(mkdir(below, 0755) == 0);
			write_out(entry->node, below);
		} else {
			int fd = open(below, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

			CHECK(fd >= 0 && write(fd, entry->node->bytes, entry->node->size) ==
					     (ssize_t)entry->node->size);
			close(fd);
		}
	}
}

static void mark(struct node *node, struct node **kept)
{
	for (struct node **at = &disk.all; *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			node->next = *kept;
			*kept = node;
			break;
		}
	for (size_t i = 0; i < node->safe.count; i++)
		mark(node->safe.list[i].node, kept);
}

static void node_free(struct node *node)
{
	for (size_t i = 0; i < node->change_count; i++)
		free(node->changes[i].bytes);
	free(node->changes);
	free(node->bytes);
	free(node->live.list);
	free(node->safe.list);
	free(node->namings);
	free(node);
}

void disk_recover(const char *into)
{
	struct node *kept = NULL, *next;

	for (struct node *node = disk.all; node; node = node->next) {
		lose_changes(node);
		if (node->folder)
			lose_namings(node);
	}
	if (into) {
		write_out(disk.root, into);
		mark(disk.root, &kept);
	}
	for (struct node *node = disk.all; node; node = next) {
		next = node->next;
		node_free(node);
	}
	disk.all = kept;
	if (!into)
		disk.root = NULL;
	memset(disk.fds, 0, sizeof(disk.fds));
	if (into)
		disk_attach(into);
}
