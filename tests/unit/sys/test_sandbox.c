/*
 * Confinement, in forked children: each confines itself and then tries what it should not be able
 * to do, and what it must be.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/sandbox.h"
#include "sys/sys.h"
#include "sys/user.h"

struct fixture {
	char dir[64];
	int home;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	strcpy(f->dir, "/tmp/leat-sandbox-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->home = open(".", O_PATH);
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(mkdir("root", 0755) + mkdir("root/sub", 0755) + mkdir("log", 0755) +
			     mkdir("run", 0755),
			 0);
	fd = open("root/sub/file", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "inside", 6), 6);
	close(fd);
	fd = open("log/access", O_WRONLY | O_CREAT, 0644);
	close(fd);
	fd = open("outside", O_WRONLY | O_CREAT, 0644);
	close(fd);
	assert_int_equal(symlink("../outside", "root/link"), 0);
	assert_int_equal(mknod("run/socket", S_IFREG | 0600, 0), 0);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fchdir(f->home), 0);
	close(f->home);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* What a child says by its exit code. */
enum { WELL = 0, NOT_CONFINED = 77, BROKEN = 98 };

static struct sandbox_report confine_here(int *ret_root)
{
	struct sandbox_options options = {.count = 0};
	struct sandbox_report report;
	struct err err = {""};
	int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || sandbox_add_open(&options, root, SANDBOX_READ) < 0 ||
	    sandbox_add_place(&options, "log/access", SANDBOX_WRITE) < 0 ||
	    sandbox_add_place(&options, "run/socket", SANDBOX_REMOVE) < 0 ||
	    sandbox_apply(&options, &report, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(BROKEN);
	}
	*ret_root = root;
	return report;
}

/* The status of a child that confines itself and calls `attempt`. */
static int confined(int (*attempt)(int root), bool needs_landlock)
{
	int status, root;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = {0, 0};
		struct sandbox_report report;

		setrlimit(RLIMIT_CORE, &none);
		report = confine_here(&root);
		if (report.sanitizer || report.seccomp < 0 ||
		    (needs_landlock && report.landlock < 0))
			_exit(NOT_CONFINED);
		_exit(attempt(root));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define assert_confined(attempt, landlock)                                            \
	do {                                                                          \
		int status = confined(attempt, landlock);                             \
		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)         \
			unit_skip("this kernel or build has no sandbox to try");      \
		if (!WIFEXITED(status) || WEXITSTATUS(status) != WELL)                \
			fail_msg("the child ended with status %x", (unsigned)status); \
	} while (0)

/* Which of a child's attempts went wrong, by its line. */
#define need(condition)                                                                     \
	do {                                                                                \
		if (!(condition)) {                                                         \
			dprintf(2, "line %d: %s, errno %d\n", __LINE__, #condition, errno); \
			return 1;                                                           \
		}                                                                           \
	} while (0)

/* ---- files ---- */

static int opens_what_is_below(int root)
{
	char text[8];
	struct stat st;
	int fd;

	fd = sys_openat2(root, "sub/file", O_RDONLY | O_CLOEXEC, 0, RESOLVE_BENEATH);
	need(fd >= 0 && read(fd, text, sizeof(text)) == 6);
	need(fstat(fd, &st) == 0 && st.st_size == 6);
	need(open("root/sub/file", O_RDONLY) >= 0);
	fd = open("root/sub", O_RDONLY | O_DIRECTORY);
	need(fd >= 0 && sys_getdents(fd, (char[4096]){0}, 4096) > 0);
	return WELL;
}

static int opens_nothing_else(int root)
{
	struct open_how how = {.flags = O_RDONLY};

	need(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	need(open("outside", O_RDONLY) < 0 && errno == EACCES);
	need(open("root/../outside", O_RDONLY) < 0 && errno == EACCES);
	need(openat(root, "link", O_RDONLY) < 0 && errno == EACCES);
	need(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how)) < 0 &&
	     errno == EACCES);
	need(open("/proc/self/mem", O_RDWR) < 0 && errno == EACCES);
	need(open("/proc/self/environ", O_RDONLY) < 0 && errno == EACCES);
	need(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	need(open("log/access", O_RDONLY) < 0 && errno == EACCES);
	return WELL;
}

static int changes_nothing(int root)
{
	need(open("root/sub/file", O_WRONLY) < 0 && errno == EACCES);
	need(open("root/sub/file", O_RDWR) < 0 && errno == EACCES);
	need(open("root/new", O_WRONLY | O_CREAT, 0644) < 0 && errno == EACCES);
	need(unlink("root/sub/file") < 0 && errno == EACCES);
	need(unlink("outside") < 0 && errno == EACCES);
	need(rename("outside", "inside") < 0);
	need(symlink("/etc", "root/etc") < 0);
	need(mkdir("root/more", 0755) < 0);
	need(chmod("root/sub/file", 0777) < 0);
	return WELL;
}

static int writes_its_log(int root)
{
	int fd = open("log/access", O_WRONLY | O_APPEND | O_CREAT, 0640);

	need(fd >= 0 && write(fd, "line", 4) == 4);
	fd = open("log/access.new", O_WRONLY | O_APPEND | O_CREAT, 0640);
	need(fd >= 0 && write(fd, "line", 4) == 4);
	need(unlink("log/access") < 0 && errno == EACCES);
	return WELL;
}

static int removes_its_socket(int root)
{
	need(unlink("run/socket") == 0);
	return WELL;
}

static void only_what_is_below_the_root_is_opened(void **state)
{
	assert_confined(opens_what_is_below, false);
	assert_confined(opens_nothing_else, true);
}

static void nothing_is_changed(void **state)
{
	assert_confined(changes_nothing, true);
}

static void the_log_is_opened_anew_and_the_socket_is_removed(void **state)
{
	assert_confined(writes_its_log, false);
	assert_confined(removes_its_socket, false);
}

/* ---- calls ---- */

static int talks_to_nobody(int root)
{
	need(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	need(socket(AF_INET6, SOCK_DGRAM, 0) < 0 && errno == EPERM);
	need(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
	need(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	need(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	need(connect(0, &(struct sockaddr){.sa_family = AF_INET}, sizeof(struct sockaddr)) < 0 &&
	     errno == ENOSYS);
	return WELL;
}

static int makes_no_code_and_changes_no_limits(int root)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rlimit limit;

	need(page != MAP_FAILED);
	need(mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EPERM);
	need(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		 MAP_FAILED &&
	     errno == EPERM);
	need(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	need(setrlimit(RLIMIT_NOFILE, &limit) < 0 && errno == EPERM);
	need(prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EPERM);
	need(prctl(PR_SET_NAME, "leat-test") == 0);
	need(kill(getppid(), 0) < 0 && errno == ENOSYS);
	need(setuid(0) < 0 && errno == ENOSYS);
	need(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	return WELL;
}

static void *opens_outside(void *arg)
{
	*(int *)arg = open("outside", O_RDONLY) < 0 ? errno : 0;
	return NULL;
}

static int threads_are_confined_too(int root)
{
	pthread_t thread;
	int error = 0;

	need(pthread_create(&thread, NULL, opens_outside, &error) == 0);
	pthread_join(thread, NULL);
	need(error == EACCES);
	return WELL;
}

static int processes_are_not_started(int root)
{
	need(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) < 0 && errno == EPERM);
	return WELL;
}

static void only_known_calls_are_made(void **state)
{
	assert_confined(talks_to_nobody, false);
	assert_confined(makes_no_code_and_changes_no_limits, false);
	assert_confined(processes_are_not_started, false);
}

static void threads_started_later_are_confined(void **state)
{
	assert_confined(threads_are_confined_too, true);
}

static int execs(int root)
{
	char *arguments[] = {(char *)"true", NULL};

	execv("/bin/true", arguments);
	return 1;
}

static int traces(int root)
{
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	return 1;
}

static int enters_namespaces(int root)
{
	unshare(CLONE_NEWUSER);
	return 1;
}

static int opens_by_handle(int root)
{
	syscall(SYS_open_by_handle_at, root, NULL, O_RDONLY);
	return 1;
}

static void hostile_calls_end_the_process(void **state)
{
	static int (*const attempts[])(int root) = {execs, traces, enters_namespaces,
						    opens_by_handle};

	for (unsigned i = 0; i < ARRAY_SIZE(attempts); i++) {
		int status = confined(attempts[i], false);

		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
			unit_skip("this kernel or build has no sandbox to try");
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

/* ---- users ---- */

static void users_are_found_by_name_and_number(void **state)
{
	struct user user;
	struct err err = {""};

	assert_int_equal(user_find("root", &user, &err), 0);
	assert_int_equal(user.uid, 0);
	assert_int_equal(user_find("12345:54321", &user, &err), 0);
	assert_int_equal(user.uid, 12345);
	assert_int_equal(user.gid, 54321);
	assert_int_equal(user.group_count, 1);
	assert_int_equal(user.groups[0], 54321);
	assert_int_equal(user_find("root:12", &user, &err), 0);
	assert_int_equal(user.gid, 12);
	assert_int_equal(user_find("no such user", &user, &err), -EINVAL);
	assert_string_equal(err.text, "there is no user 'no such user'");
	assert_int_equal(user_find("root:no such group", &user, &err), -EINVAL);
	assert_int_equal(user_find("4294967295", &user, &err), -EINVAL);
	assert_int_equal(user_find("", &user, &err), -EINVAL);
	assert_int_equal(user_find(":root", &user, &err), -EINVAL);
	assert_int_equal(user_find("root:", &user, &err), -EINVAL);
}

static int become_12345(void)
{
	struct user user;
	struct err err = {""};
	gid_t groups[8];

	need(user_find("12345:54321", &user, &err) == 0);
	need(user_become(&user, &err) == 0);
	need(getuid() == 12345 && geteuid() == 12345 && getgid() == 54321 && getegid() == 54321);
	need(getgroups(8, groups) == 1 && groups[0] == 54321);
	need(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0);
	need(user_become(&user, &err) == 0); /* again: nothing to do */
	need(user_find("12346", &user, &err) == 0);
	need(user_become(&user, &err) == -EPERM);
	return WELL;
}

static void root_becomes_another_user_for_good(void **state)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		unit_skip("only root can try");
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(become_12345());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(only_what_is_below_the_root_is_opened),
	    TEST(nothing_is_changed),
	    TEST(the_log_is_opened_anew_and_the_socket_is_removed),
	    TEST(only_known_calls_are_made),
	    TEST(threads_started_later_are_confined),
	    TEST(hostile_calls_end_the_process),
	    cmocka_unit_test(users_are_found_by_name_and_number),
	    cmocka_unit_test(root_becomes_another_user_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
