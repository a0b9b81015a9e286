#include "lab/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "lab/mount.h"
#include "sys/sys.h"

void files_init(struct lab_files *files)
{
	for (unsigned i = 0; i < LAB_SOURCE_COUNT; i++)
		files->fds[i] = -1;
}

void files_close(struct lab_files *files)
{
	for (unsigned i = 0; i < LAB_SOURCE_COUNT; i++)
		if (files->fds[i] >= 0 && i != LAB_COLD)
			sys_close(files->fds[i]);
	files_init(files);
}

static void fill_noise(uint64_t *words, size_t count, uint64_t *state)
{
	for (size_t i = 0; i < count; i++) {
		*state ^= *state << 13; /* xorshift64 */
		*state ^= *state >> 7;
		*state ^= *state << 17;
		words[i] = *state;
	}
}

int file_fill(int fd, uint64_t size)
{
	static uint64_t block[32 * 1024];
	uint64_t state = 88172645463325252u;

	for (uint64_t done = 0; done < size;) {
		size_t len = (size_t)min_u64(size - done, sizeof(block));
		ssize_t n;

		fill_noise(block, ARRAY_SIZE(block), &state);
		n = sys_pwrite(fd, block, len, done);
		if (n <= 0)
			return n < 0 ? (int)n : -ENOSPC;
		done += (uint64_t)n;
	}
	/* Only clean pages can be dropped from the page cache. */
	return sys_fdatasync(fd);
}

int file_unnamed(const char *folder)
{
	char name[256];
	int fd = sys_open(folder, O_TMPFILE | O_RDWR, 0600);

	if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL)
		return fd;
	snprintf(name, sizeof(name), "%s/.leat-lab-%d", folder, sys_pid());
	fd = sys_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd >= 0)
		sys_unlink(name);
	return fd;
}

static int filled(int fd, uint64_t size)
{
	int r;

	if (fd < 0)
		return fd;
	r = file_fill(fd, size);
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

int files_make_cached(struct lab_files *files, uint64_t size, struct lab_result *notes,
		      struct err *err)
{
	char text[SIZE_TEXT_MAX];
	int fd = filled(file_unnamed("."), size);

	files->fds[LAB_COLD] = fd;
	if (fd < 0) {
		lab_result_note(
		    notes,
		    "the current folder takes no file of %s (%s): its place takes one in "
		    "memory, and the cold file is left out; run it in another folder",
		    size_format(size, text), strerrordesc_np(-fd));
		files->fds[LAB_COLD] = -1;
		fd = filled(sys_memfd("leat-lab", 0), size);
	}
	if (fd < 0)
		return err_set(err, fd, "no room for a file of %s, neither here nor in memory: %s",
			       size_format(size, text), strerrordesc_np(-fd));
	files->fds[LAB_CACHED] = fd;
	return 0;
}

void files_make_others(struct lab_files *files, uint32_t wanted, uint64_t size,
		       struct lab_result *notes)
{
	for (unsigned i = LAB_EXT4; i < LAB_SOURCE_COUNT; i++) {
		enum lab_source source = (enum lab_source)i;
		struct err err = {.text = ""};
		int fd;

		if (!(wanted & 1u << i))
			continue;
		if (source == LAB_TMPFS) {
			fd = filled(sys_memfd("leat-lab", 0), size);
			if (fd < 0)
				err_set(&err, fd, "%s", strerrordesc_np(-fd));
		} else {
			fd = mount_file(source, size, &err);
		}
		files->fds[i] = fd < 0 ? -1 : fd;
		if (fd < 0)
			lab_result_note(notes, "a file on %s is left out: %s",
					lab_source_name(source), err.text);
	}
}
