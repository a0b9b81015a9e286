#include "lab/mount.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "lab/channel.h"
#include "lab/source.h"
#include "sys/sys.h"

/* mkfs.xfs takes nothing below 300 MiB; what is not written takes no memory. */
#define IMAGE_BYTES (UINT64_C(512) << 20)

struct reply {
	int error;
	char text[ERR_TEXT_MAX];
};

/* ---- in the child ---- */

static _Noreturn void exec_mkfs(const char *type, const char *device)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};
	const char *force = strcmp(type, "ext4") == 0 ? "-F" : "-f";
	char path[64], *const argv[] = {path, (char *)"-q", (char *)force, (char *)device, NULL};
	int null = sys_open("/dev/null", O_RDWR, 0);

	for (int fd = 0; fd <= 2; fd++)
		sys_dup_onto(null, fd);
	for (int fd = 0; fd <= 2; fd++) /* dup3 sets close-on-exec */
		sys_clear_cloexec(fd);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/mkfs.%s", folders[i], type);
		sys_exec(path, argv);
	}
	sys_exit(127);
}

static int run_mkfs(const char *type, const char *device, struct err *err)
{
	int status, pid = sys_fork(), r;

	if (pid == 0)
		exec_mkfs(type, device);
	r = pid < 0 ? pid : sys_wait_for(pid, &status);
	if (r < 0)
		return err_set(err, r, "mkfs.%s: %s", type, strerrordesc_np(-r));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, -ENOENT, "mkfs.%s is not installed", type);
	if (status != 0)
		return err_set(err, -EIO, "mkfs.%s failed", type);
	return 0;
}

/* Something that is there on every system, hidden by what is mounted on it here. */
static const char place[] = "/tmp";

static int mount_image(const char *type, struct err *err)
{
	char device[32];
	int image = sys_memfd("leat-image", 0), loop, r;

	if (image < 0)
		return err_set(err, image, "no image in memory: %s", strerrordesc_np(-image));
	r = sys_ftruncate(image, IMAGE_BYTES);
	loop = r < 0 ? r : sys_loop_over(image, device);
	sys_close(image);
	if (loop < 0)
		return err_set(err, loop, "no loop device: %s", strerrordesc_np(-loop));
	r = run_mkfs(type, device, err);
	if (r == 0) {
		r = sys_mount(device, place, type, MS_NOATIME, NULL);
		if (r < 0)
			err_set(err, r, "it can't be mounted: %s", strerrordesc_np(-r));
	}
	sys_close(loop); /* mounted: the mount holds it */
	return r;
}

/* A new file with a name, `size` bytes. */
static int named_file(const char *path, uint64_t size)
{
	int fd = sys_open(path, O_CREAT | O_RDWR, 0600), r;

	if (fd < 0)
		return fd;
	r = file_fill(fd, size);
	sys_close(fd);
	return r;
}

/* A file of the lower layer, seen through the overlay: a descriptor or -errno. */
static int overlay_file(uint64_t size, struct err *err)
{
	static const char *const folders[] = {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/all"};
	int r = sys_mount("none", place, "tmpfs", 0, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(folders) && r == 0; i++)
		r = sys_mkdirat(AT_FDCWD, folders[i], 0700);
	if (r == 0)
		r = named_file("/tmp/lower/file", size);
	if (r == 0)
		r = sys_mount("none", "/tmp/all", "overlay", 0,
			      "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work");
	if (r == 0)
		r = sys_open("/tmp/all/file", O_RDONLY, 0);
	if (r < 0)
		return err_set(err, r, "it can't be mounted: %s", strerrordesc_np(-r));
	return r;
}

static int image_file(const char *type, uint64_t size, struct err *err)
{
	int r = mount_image(type, err), fd;

	if (r < 0)
		return r;
	fd = file_unnamed(place);
	r = fd < 0 ? fd : file_fill(fd, size);
	if (r < 0)
		return err_set(err, r, "no file in it: %s", strerrordesc_np(-r));
	return fd;
}

static int make(enum lab_source source, uint64_t size, struct err *err)
{
	int r = sys_unshare(CLONE_NEWNS);

	if (r == 0) /* nothing of what follows reaches anybody else */
		r = sys_mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (r == -ENOSPC)
		return err_set(err, r,
			       "no more mount namespaces may be made: raise the sysctl "
			       "user.max_mnt_namespaces");
	if (r < 0)
		return err_set(err, r, "no mount namespace (%s): run as root", strerrordesc_np(-r));
	if (source == LAB_OVERLAY)
		return overlay_file(size, err);
	return image_file(lab_source_name(source), size, err);
}

static _Noreturn void child(int channel, int parent, enum lab_source source, uint64_t size)
{
	struct reply reply = {0};
	struct err err = {.text = ""};
	int fd = sys_die_with_parent(parent);

	if (fd == 0)
		fd = make(source, size, &err);
	reply.error = fd < 0 ? fd : 0;
	memcpy(reply.text, err.text, sizeof(reply.text));
	channel_send(channel, &reply, sizeof(reply), fd);
	sys_exit(0);
}

/* ---- in the lab ---- */

int mount_file(enum lab_source source, uint64_t size, struct err *err)
{
	struct reply reply = {.error = -EPIPE, .text = "it ended early"};
	int ends[2], fd = -1, status, parent = sys_pid(), pid;
	int r = sys_socketpair(AF_UNIX, SOCK_SEQPACKET, ends);

	if (r < 0)
		return err_set(err, r, "no channel: %s", strerrordesc_np(-r));
	pid = sys_fork();
	if (pid == 0)
		child(ends[1], parent, source, size);
	sys_close(ends[1]);
	if (pid < 0) {
		reply.error = pid;
	} else {
		r = channel_receive(ends[0], &reply, sizeof(reply), &fd);
		sys_wait_for(pid, &status);
	}
	sys_close(ends[0]);
	if (reply.error < 0)
		return err_set(err, reply.error, "%s", reply.text);
	return fd;
}
