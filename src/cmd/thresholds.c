#include "cmd/thresholds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config.h"
#include "sys/sys.h"

#define DEFAULT_FOLDER LEAT_SYSCONFDIR "/leat"
#define DEFAULT_PATH   DEFAULT_FOLDER "/thresholds"
#define TEXT_MAX       4096
#define PATH_ROOM      4096

const char *thresholds_path(void)
{
	const char *path = getenv("LEAT_THRESHOLDS");

	if (!path)
		return DEFAULT_PATH;
	return *path ? path : NULL;
}

/* "copy_below 8192"; what stands behind a '#' and empty lines say nothing. */
static int parse_line(const char *line, size_t len, struct leat_thresholds *thresholds)
{
	char text[128];
	unsigned long long value;
	int end = 0;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, line, len);
	text[len] = '\0';
	text[strcspn(text, "#")] = '\0';
	if (text[strspn(text, " \t\r")] == '\0')
		return 0;
	if (sscanf(text, " copy_below %llu %n", &value, &end) != 1 || text[end] != '\0' ||
	    value > UINT32_MAX || strchr(text, '-'))
		return -EINVAL;
	thresholds->copy_below = (uint32_t)value;
	return 0;
}

int thresholds_parse(const char *text, struct leat_thresholds *thresholds, struct err *err)
{
	struct leat_thresholds parsed = *thresholds;

	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");

		if (parse_line(text, len, &parsed) < 0)
			return err_set(err, -EINVAL,
				       "line %u makes no sense: copy_below and a number of bytes",
				       number);
		text += len + (text[len] == '\n');
	}
	*thresholds = parsed;
	return 0;
}

void thresholds_load(void)
{
	struct leat_thresholds thresholds = {.size = sizeof(thresholds)};
	const char *path = thresholds_path();
	char text[TEXT_MAX];
	struct err err;
	ssize_t n;
	int fd;

	if (!path)
		return;
	fd = sys_open(path, O_RDONLY, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return;
	n = fd < 0 ? fd : sys_read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		sys_close(fd);
	if (n < 0) {
		log_warning("%s: %s: the built-in thresholds are used", path,
			    strerrordesc_np((int)-n));
		return;
	}
	text[n] = '\0';
	leat_thresholds_get(&thresholds);
	if (thresholds_parse(text, &thresholds, &err) < 0)
		log_warning("%s: %s: the built-in thresholds are used", path, err.text);
	else
		leat_thresholds_set(&thresholds);
}

static int write_file(const char *path, const char *text, size_t len)
{
	int fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_write(fd, text, len);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -ENOSPC;
}

static int no_name(struct err *err)
{
	return err_set(err, -ENOENT, "LEAT_THRESHOLDS is empty: name a file in it");
}

static int refused(const char *path, int r, struct err *err)
{
	return err_set(err, r,
		       "%s can't be written (%s): run as root, or name a file of yours in "
		       "LEAT_THRESHOLDS",
		       path, strerrordesc_np(-r));
}

int thresholds_try(struct err *err)
{
	const char *path = thresholds_path();
	char new_path[PATH_ROOM];
	bool made_folder;
	int r;

	if (!path)
		return no_name(err);
	made_folder =
	    strcmp(path, DEFAULT_PATH) == 0 && sys_mkdirat(AT_FDCWD, DEFAULT_FOLDER, 0755) == 0;
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	r = write_file(new_path, "", 0);
	if (r == 0)
		sys_unlink(new_path);
	if (made_folder)
		sys_unlinkat(AT_FDCWD, DEFAULT_FOLDER, AT_REMOVEDIR);
	return r < 0 ? refused(path, r, err) : 0;
}

int thresholds_save(uint64_t copy_below, const char *comment, struct err *err)
{
	const char *path = thresholds_path();
	char text[TEXT_MAX], new_path[PATH_ROOM];
	int len, r;

	if (!path)
		return no_name(err);
	len = snprintf(text, sizeof(text), "# leat lab --calibrate: %s\ncopy_below %llu\n", comment,
		       (unsigned long long)copy_below);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	if (strcmp(path, DEFAULT_PATH) == 0)
		sys_mkdirat(AT_FDCWD, DEFAULT_FOLDER, 0755);
	r = write_file(new_path, text, (size_t)len);
	if (r == 0)
		r = sys_renameat(AT_FDCWD, new_path, AT_FDCWD, path);
	if (r < 0)
		sys_unlink(new_path);
	return r < 0 ? refused(path, r, err) : 0;
}
