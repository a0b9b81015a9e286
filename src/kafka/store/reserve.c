/*
 * Room on the disk for a way out: leat-reserve.0 and so on.
 *
 * Where the disk is full, deleting a topic and lowering its retention must work; both begin with a
 * file that is written anew. A reserve is as much room as that takes, allocated beforehand: where there
 * is none for the new file a reserve is written to in its place, which needs no further blocks, and gets
 * the file's name, which needs no further entry. What the old file had is free then, and a new reserve
 * is made of it, or later, by maintenance. File systems may take their time with what was freed (xfs,
 * btrfs), and so there are several.
 *
 * For the same reason nothing that takes room is begun without them: a change that fails half-way is
 * taken back by one (topics_change.c), and the last one is left for those that free something.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

/* At least; and twice what is in the file that is to be written, for what comes to it. */
#define RESERVE_BYTES (16u * 1024u)
/* A disk with so much left is not taken for full any more before something was written. */
#define ROOM_AGAIN (1024u * 1024u)
/* One that the change may need to be taken back, one that stays. */
#define RESERVES_TO_BEGIN 2u

bool reserve_helps(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

void store_note_room(struct store *store, int error)
{
	if (reserve_helps(error))
		atomic_store_explicit(&store->no_room, error, memory_order_relaxed);
	else if (error == 0 && atomic_load_explicit(&store->no_room, memory_order_relaxed) != 0)
		atomic_store_explicit(&store->no_room, 0, memory_order_relaxed);
}

/* What a quota leaves is not known before the next write. */
void store_look_for_room(struct store *store)
{
	uint64_t total, usable;

	if (atomic_load_explicit(&store->no_room, memory_order_relaxed) == -ENOSPC &&
	    sys_statfs_bytes(store->fd, &total, &usable) == 0 && usable >= ROOM_AGAIN)
		store_note_room(store, 0);
}

static void name_reserve(unsigned nth, char ret[32])
{
	snprintf(ret, 32, "leat-reserve.%u", nth);
}

/* Where the file system can't allocate, its bytes are written. */
static int fill_reserve(int fd, size_t bytes)
{
	char *zeros = calloc(1, bytes);
	int r = zeros ? files_write_at_once(fd, slice_make(zeros, bytes)) : -ENOMEM;

	free(zeros);
	return r;
}

static int allocate(int fd, size_t bytes)
{
	int r = sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes);

	return r == -EOPNOTSUPP || r == -ENOSYS ? fill_reserve(fd, bytes) : r;
}

/* Also what an earlier start has left: xfs on a full disk would not even allocate that again. */
static uint64_t room_of(int fd)
{
	struct stat st;

	return sys_fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* There is room for `bytes` now, or at least for `least`: *ret. */
static int make_room(int fd, size_t bytes, size_t least, uint64_t *ret)
{
	uint64_t room = room_of(fd);
	int r = room >= bytes ? 0 : allocate(fd, bytes);

	/* Of a full disk the old file is all that there is. */
	if (reserve_helps(r) && (least > 0 || room > 0)) {
		bytes = least;
		r = room >= least ? 0 : allocate(fd, least);
	}
	*ret = max_u64(bytes, room_of(fd));
	return r;
}

static int make_one(struct store *store, unsigned nth, size_t least)
{
	size_t bytes = (size_t)max_u64(2 * least, RESERVE_BYTES);
	uint64_t room;
	char name[32];
	int fd, r;

	name_reserve(nth, name);
	fd = sys_openat(store->fd, name, O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return fd;
	r = make_room(fd, bytes, least, &room);
	sys_close(fd);
	if (r == 0)
		store->reserves[nth] = room;
	else if (store->reserves[nth] == 0)
		(void)sys_unlinkat(store->fd, name, 0);
	return r;
}

int reserve_make(struct store *store, size_t least)
{
	unsigned there = 0;
	int r = 0;

	/* Each, also where one has failed: the next may be there from an earlier start. */
	for (unsigned i = 0; i < RESERVES; i++) {
		int one = store->reserves[i] < max_u64(least, 1) ? make_one(store, i, least) : 0;

		there += one == 0;
		r = r < 0 ? r : one;
	}
	return there >= RESERVES_TO_BEGIN ? 0 : r;
}

void reserve_find(struct store *store)
{
	char name[32];

	for (unsigned i = 0; i < RESERVES; i++) {
		int fd;

		name_reserve(i, name);
		fd = sys_openat(store->fd, name, O_RDONLY, 0);
		if (fd < 0)
			continue;
		store->reserves[i] = room_of(fd);
		sys_close(fd);
	}
}

/* Of the files that are written anew where something is to be freed. */
static const char *const spent_for[] = {"leat-topics", LOG_STARTS_FILE};

int reserve_keep(struct store *store)
{
	uint64_t least = 0;

	for (unsigned i = 0; i < sizeof(spent_for) / sizeof(spent_for[0]); i++) {
		int fd = sys_openat(store->fd, spent_for[i], O_RDONLY, 0);
		struct stat st;

		if (fd < 0)
			continue;
		if (sys_fstat(fd, &st) == 0)
			least = max_u64(least, (uint64_t)st.st_size);
		sys_close(fd);
	}
	return reserve_make(store, (size_t)least);
}

static int spend_one(struct store *store, unsigned nth, const char *name, struct slice data)
{
	char reserve[32];
	int fd, r;

	name_reserve(nth, reserve);
	fd = sys_openat(store->fd, reserve, O_RDWR, 0);
	if (fd < 0)
		return fd;
	r = files_write_at_once(fd, data);
	if (r == 0)
		r = sys_ftruncate(fd, data.len);
	if (r == 0)
		r = sys_fdatasync(fd);
	sys_close(fd);
	if (r == 0)
		r = sys_renameat(store->fd, reserve, store->fd, name);
	if (r == 0)
		store->reserves[nth] = 0;
	return r;
}

static int spend(struct store *store, const char *name, struct slice data)
{
	int r = -ENOSPC;

	for (unsigned i = 0; i < RESERVES && r < 0; i++)
		if (store->reserves[i] >= max_u64(data.len, 1))
			r = spend_one(store, i, name, data);
	return r;
}

int store_replace_file(struct store *store, const char *name, struct slice data, bool frees,
		       bool *ret_replaced)
{
	int r = frees ? 0 : reserve_make(store, data.len);

	if (r == 0)
		r = files_replace(store->fd, name, data);
	if (reserve_helps(r) && frees)
		r = spend(store, name, data);
	if (r < 0)
		return r;
	if (ret_replaced)
		*ret_replaced = true;
	r = files_sync_folder(store->fd, ".");
	if (r == 0)
		(void)reserve_make(store, data.len);
	return r;
}
