#include "http/file_system.h"

#include <linux/magic.h>
#include <sys/sysmacros.h>

#include "base/check.h"
#include "base/hash.h"

#define KIND_MASK 3ull

/* Before 6.8 a mount that has come in the place of another may have its number and, without a block
 * device, its device: then what is known is good for a second only. */
#define TRUST_NS 1000000000u

static uint64_t key_of(const struct stat *st, const struct sys_mount *mount)
{
	uint64_t key = hash_mix(st->st_dev ^ 0xd6e8feb86659fd93u, mount->id ^ 0xa0761d6478bd642fu);

	if (!mount->unique && major(st->st_dev) == 0)
		key = hash_mix(key, sys_now_coarse_ns() / TRUST_NS + 1);
	return key & ~KIND_MASK;
}

static _Atomic uint64_t *slot_of(struct file_systems *systems, uint64_t key)
{
	return &systems->known[key >> 32 & (ARRAY_SIZE(systems->known) - 1)];
}

enum file_system file_system_known(const struct file_systems *systems, const struct stat *st,
				   const struct sys_mount *mount)
{
	uint64_t key = key_of(st, mount);
	uint64_t value = atomic_load_explicit(slot_of((struct file_systems *)systems, key),
					      memory_order_relaxed);

	return (value & ~KIND_MASK) == key ? (enum file_system)(value & KIND_MASK)
					   : FILE_SYSTEM_UNKNOWN;
}

/* LOCAL: every change is made through this kernel's own names, and so seen by inotify. */
static enum file_system kind_of(long magic)
{
	switch (magic) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case EXT4_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case SQUASHFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case ISOFS_SUPER_MAGIC:
	case MSDOS_SUPER_MAGIC:
	case 0x2fc12fc1: /* ZFS, not in the kernel's headers */
		return FILE_SYSTEM_LOCAL;
	case OVERLAYFS_SUPER_MAGIC:
		return FILE_SYSTEM_LAYERED;
	default:
		return FILE_SYSTEM_WAITS;
	}
}

enum file_system file_system_learn(struct file_systems *systems, int fd, bool *ret_in_memory)
{
	enum file_system system = FILE_SYSTEM_WAITS;
	struct sys_mount mount;
	struct stat st;
	long magic = 0;
	uint64_t key;

	if (sys_statfs_type(fd, &magic) == 0)
		system = kind_of(magic);
	/* What these do not have they forget at once (simple_lookup() in fs/libfs.c). */
	*ret_in_memory = magic == TMPFS_MAGIC || magic == RAMFS_MAGIC;
	if (sys_stat_cached(fd, "", &st, &mount) < 0)
		return system;
	key = key_of(&st, &mount);
	atomic_store_explicit(slot_of(systems, key), key | (uint64_t)system, memory_order_relaxed);
	return system;
}
