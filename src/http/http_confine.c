#include "http/http_confine.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "sys/sys.h"

void confine_add_listener(struct confine_options *options, const char *name)
{
	/* An abstract socket (unix:@name) has no file. One whose directory we can't even name was
	 * made by somebody else (systemd), who removes it. */
	if (options->sandbox && strncmp(name, "unix:", 5) == 0 && name[5] != '@')
		(void)sandbox_add_place(&options->places, name + 5, SANDBOX_REMOVE);
}

int confine_add_log(struct confine_options *options, const char *path, struct err *err)
{
	int r = 0;

	if (options->sandbox && path && strcmp(path, "-") != 0)
		r = sandbox_add_place(&options->places, path, SANDBOX_WRITE);
	return r < 0 ? err_set(err, r, "the directory of %s: %s", path, strerror(-r)) : 0;
}

static int become(const struct confine_options *options, struct err *err)
{
	int r = user_become(options->user, err), fd;

	if (r < 0)
		return r;
	log_info("running as user %s", options->user->name);
	fd = file_open_beneath(options->site, ".", O_RDONLY | O_DIRECTORY, 0, FILE_LOAD_WAIT);
	if (fd < 0)
		log_warning("user %s can't read %s: %s", options->user->name,
			    options->site->root_name, strerror(-fd));
	else
		sys_close(fd);
	return 0;
}

static void say_missing(const char *what, int error, const char *means)
{
	log_warning("%s: %s", what,
		    error == -EOPNOTSUPP || error == -ENOSYS || error == -EINVAL
			? "this kernel has none"
			: strerror(-error));
	log_warning("%s", means);
}

static void say(const struct confine_options *options, const struct sandbox_report *report)
{
	if (report->sanitizer) {
		log_info("not confined: built with a sanitizer");
		return;
	}
	if (report->landlock < 0)
		say_missing("Landlock", report->landlock,
			    "the process is not confined to the files it serves");
	else
		log_info("confined by Landlock (version %d): opens only what is below %s",
			 report->landlock, options->site->root_name);
	if (report->seccomp < 0)
		say_missing("seccomp", report->seccomp, "every system call is open to the process");
	else
		log_info("confined by seccomp: %d system calls", report->seccomp);
}

int confine(struct confine_options *options, struct err *err)
{
	struct sandbox_report report;
	int r = 0;

	if (options->user)
		r = become(options, err);
	if (r < 0 || !options->sandbox)
		return r;
	r = sandbox_add_open(&options->places, options->site->root_fd, SANDBOX_READ);
	if (r < 0)
		return err_set(err, r, "%s: %s", options->site->root_name, strerror(-r));
	r = sandbox_apply(&options->places, &report, err);
	if (r == 0)
		say(options, &report);
	return r;
}
