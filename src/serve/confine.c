#include "serve/confine.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "sys/sys.h"

/* ---- what is kept ---- */

static void name_folder(struct confinement *kept, const char *name)
{
	CHECK(kept->folders_count < CONFINE_FOLDERS_MAX);
	kept->folders[kept->folders_count++] = name;
}

int confine_add_site(struct confinement *kept, const struct http_site *site, struct err *err)
{
	unsigned parents = http_root_parents(site, kept->parents);
	int r = sandbox_add_open(&kept->places, site->root_fd, SANDBOX_READ);

	for (unsigned i = 0; i < parents && r == 0; i++)
		r = sandbox_add_folder(&kept->places, kept->parents[i], SANDBOX_READ);
	for (unsigned i = 0; i < site->link_root_count && r == 0; i++)
		r = sandbox_add_open(&kept->places, site->link_roots[i].fd, SANDBOX_READ);
	if (r < 0)
		return err_set(err, r, "%s: %s", site->root_name, strerror(-r));
	for (unsigned i = 0; i < site->link_root_count; i++)
		name_folder(kept, site->link_roots[i].name[0] ? site->link_roots[i].name : "/");
	if (parents == 0)
		name_folder(kept, site->root_name);
	for (unsigned i = 0; i < parents; i++)
		name_folder(kept, kept->parents[i]);
	kept->root = site->root;
	kept->root->fixed = parents == 0;
	return 0;
}

int confine_add_store(struct confinement *kept, const struct store *store, struct err *err)
{
	int r = sandbox_add_open(&kept->places, store_dir_fd(store), SANDBOX_KEEP);

	if (r < 0)
		return err_set(err, r, "%s: %s", store_dir(store), strerror(-r));
	name_folder(kept, store_dir(store));
	kept->places.needs |= SANDBOX_STORES;
	return 0;
}

void confine_add_listener(struct confinement *kept, const char *name)
{
	/* An abstract socket (unix:@name) has no file. One whose directory we can't even name was
	 * made by somebody else (systemd), who removes it. */
	if (strncmp(name, "unix:", 5) == 0 && name[5] != '@')
		(void)sandbox_add_place(&kept->places, name + 5, SANDBOX_REMOVE);
}

int confine_add_log(struct confinement *kept, const char *path, struct err *err)
{
	int r = 0;

	if (path && strcmp(path, "-") != 0)
		r = sandbox_add_place(&kept->places, path, SANDBOX_WRITE);
	return r < 0 ? err_set(err, r, "the directory of %s: %s", path, strerror(-r)) : 0;
}

int confine_add_target(struct confinement *kept, const struct sockaddr_storage *address,
		       const char *name, struct err *err)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	int r = 0;

	kept->places.needs |= SANDBOX_CALLERS;
	/* The port stands at the same place in both families. */
	if (address->ss_family == AF_INET || address->ss_family == AF_INET6)
		r = sandbox_add_port(&kept->places, ntohs(in->sin_port));
	return r < 0 ? err_set(err, r, "%s: more than %u ports to connect to", name,
			       SANDBOX_PORTS_MAX)
		     : 0;
}

void confine_fini(struct confinement *kept)
{
	sandbox_close(&kept->places);
}

/* ---- giving up ---- */

static void say_missing(const char *what, int error, const char *means)
{
	log_warning("%s: %s", what,
		    error == -EOPNOTSUPP || error == -ENOSYS || error == -EINVAL
			? "this kernel has none"
			: strerror(-error));
	log_warning("%s", means);
}

static void say_landlock(const struct confinement *kept, int version)
{
	char text[LOG_LINE_MAX];
	struct buf buf = buf_over(text, sizeof(text));

	for (unsigned i = 0; i < kept->folders_count; i++) {
		if (i > 0)
			buf_add_literal(&buf, " and ");
		buf_add_text(&buf, kept->folders[i]);
	}
	if (kept->folders_count == 0)
		log_info("confined by Landlock (version %d): opens no file", version);
	else
		log_info("confined by Landlock (version %d): opens only what is below %.*s",
			 version, (int)buf.len, buf.ptr);
}

static void say(const struct confinement *kept, const struct sandbox_report *report)
{
	if (report->sanitizer) {
		log_info("not confined: built with a sanitizer");
		return;
	}
	if (report->landlock < 0)
		say_missing("Landlock", report->landlock,
			    "the process is not confined to the files it serves");
	else
		say_landlock(kept, report->landlock);
	if (report->seccomp < 0)
		say_missing("seccomp", report->seccomp, "every system call is open to the process");
	else
		log_info("confined by seccomp: %d system calls", report->seccomp);
}

int confine_apply(struct confinement *kept, struct err *err)
{
	struct sandbox_report report;
	int r = sandbox_apply(&kept->places, &report, err);

	if (r < 0)
		return r;
	say(kept, &report);
	if (kept->root && (report.sanitizer || report.landlock < 0))
		kept->root->fixed = false;
	return 0;
}

int confine_become(const struct user *user, struct err *err)
{
	int r = user_become(user, err);

	if (r == 0)
		log_info("running as user %s", user->name);
	return r;
}

void confine_check_site(const struct user *user, const struct http_site *site)
{
	int fd = file_open_beneath(site, ".", O_RDONLY | O_DIRECTORY, 0, FILE_LOAD_WAIT);

	if (fd < 0)
		log_warning("user %s can't read %s: %s", user->name, site->root_name,
			    strerror(-fd));
	else
		sys_close(fd);
}
