/*
 * Processes by name, from /proc.
 */
#include "copystat/copystat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

int copystat_name(pid_t pid, char ret_comm[static 16])
{
	char path[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	len = sys_read(fd, ret_comm, 15);
	sys_close(fd);
	if (len < 0)
		return (int)len;
	ret_comm[len] = '\0';
	ret_comm[strcspn(ret_comm, "\n")] = '\0';
	return 0;
}

bool copystat_name_matches(const char *name, const char *comm)
{
	return strncmp(name, comm, 15) == 0; /* what the kernel keeps of a name */
}

/* The records of one getdents64(2); see its manual page. */
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t size;
	uint8_t type;
	char name[];
};

static size_t find_in(const char *records, size_t len, const char *name, pid_t *ret, size_t max)
{
	size_t count = 0;

	for (size_t at = 0; at < len;) {
		const struct entry *entry = (const struct entry *)(const void *)(records + at);
		char comm[16];
		int pid = atoi(entry->name); /* 0: not a process */

		at += entry->size;
		if (pid > 0 && count < max && copystat_name(pid, comm) == 0 &&
		    copystat_name_matches(name, comm))
			ret[count++] = pid;
	}
	return count;
}

ssize_t copystat_find(const char *name, pid_t *ret, size_t max)
{
	_Alignas(uint64_t) char records[4096];
	size_t count = 0;
	ssize_t len;
	int dir = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (dir < 0)
		return dir;
	while ((len = sys_getdents(dir, records, sizeof(records))) > 0)
		count += find_in(records, (size_t)len, name, ret + count, max - count);
	sys_close(dir);
	return len < 0 ? len : (ssize_t)count;
}
