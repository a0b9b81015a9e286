#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/endpoint.h"
#include "sys/sys.h"

static void expect(const char *text, enum endpoint_kind kind, const char *path, const char *host,
		   const char *port)
{
	struct endpoint endpoint;
	struct err err;

	assert_int_equal(endpoint_parse(text, &endpoint, &err), 0);
	assert_int_equal(endpoint.kind, kind);
	assert_string_equal(endpoint.text, text);
	if (path)
		assert_string_equal(endpoint.path, path);
	else
		assert_null(endpoint.path);
	assert_string_equal(endpoint.host, host);
	assert_string_equal(endpoint.port, port);
}

static void every_kind_is_understood(void **state)
{
	expect("-", ENDPOINT_STANDARD, NULL, "", "");
	expect("a/b", ENDPOINT_FILE, "a/b", "", "");
	expect("./tcp:x", ENDPOINT_FILE, "./tcp:x", "", "");
	expect("unixes", ENDPOINT_FILE, "unixes", "", "");
	expect("tcp:example.org:80", ENDPOINT_TCP, NULL, "example.org", "80");
	expect("tcp:[::1]:65535", ENDPOINT_TCP, NULL, "::1", "65535");
	expect("tcp-listen::0", ENDPOINT_TCP_LISTEN, NULL, "", "0");
	expect("tcp-listen:0.0.0.0:9000", ENDPOINT_TCP_LISTEN, NULL, "0.0.0.0", "9000");
	expect("unix:/run/x.sock", ENDPOINT_UNIX, "/run/x.sock", "", "");
	expect("unix-listen:x", ENDPOINT_UNIX_LISTEN, "x", "", "");
}

static void nonsense_is_refused_by_name(void **state)
{
	static const char *const wrong[] = {
	    "",           "tcp:",          "tcp:host",
	    "tcp:host:",  "tcp:host:http", "tcp:host:65536",
	    "tcp:host:0", "tcp:host:-1",   "tcp:host:000080",
	    "tcp::80",    "tcp:::1:80",    "tcp-listen:9000",
	    "unix:",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct endpoint endpoint;
		struct err err = {""};

		assert_int_equal(endpoint_parse(wrong[i], &endpoint, &err), -EINVAL);
		assert_non_null(strstr(err.text, wrong[i]));
	}
}

static void names_that_are_too_long_are_refused(void **state)
{
	struct endpoint endpoint;
	char text[400];
	struct err err;

	snprintf(text, sizeof(text), "unix:%0108d", 0);
	assert_int_equal(endpoint_parse(text, &endpoint, &err), -EINVAL);
	snprintf(text, sizeof(text), "tcp:%0256d:80", 0);
	assert_int_equal(endpoint_parse(text, &endpoint, &err), -EINVAL);
	snprintf(text, sizeof(text), "unix:%0107d", 0);
	assert_int_equal(endpoint_parse(text, &endpoint, &err), 0);
}

/* ---- with a folder of its own ---- */

static char folder[] = "/tmp/leat-endpoint-XXXXXX";

static int enter_folder(void **state)
{
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static int open_named(const char *text, enum endpoint_role role, bool append, struct err *err)
{
	struct endpoint endpoint;

	assert_int_equal(endpoint_parse(text, &endpoint, err), 0);
	return endpoint_open(&endpoint, role, append, err);
}

static void file_sink_is_created_by_umask_and_emptied_only_when_told(void **state)
{
	struct endpoint endpoint;
	struct err err;
	struct stat st;
	mode_t before = umask(027);
	int fd = open_named("new", ENDPOINT_SINK, false, &err);

	umask(before);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);

	assert_int_equal(endpoint_parse("new", &endpoint, &err), 0);
	fd = endpoint_open(&endpoint, ENDPOINT_SINK, false, &err);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(endpoint_truncate(&endpoint, fd, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	close(fd);
	unlink("new");
}

static void append_opens_for_appending(void **state)
{
	struct err err;
	int fd = open_named("log", ENDPOINT_SINK, true, &err);

	assert_true(fd >= 0);
	assert_true(sys_get_flags(fd) & O_APPEND);
	close(fd);
	unlink("log");
}

static void errors_name_the_endpoint(void **state)
{
	static const struct {
		const char *text;
		enum endpoint_role role;
		int error;
	} cases[] = {
	    {"missing", ENDPOINT_SOURCE, -ENOENT},
	    {"missing/x", ENDPOINT_SINK, -ENOENT},
	    {"/tmp", ENDPOINT_SOURCE, -EISDIR},
	    {"/tmp", ENDPOINT_SINK, -EISDIR},
	    {"unix:missing.sock", ENDPOINT_SINK, -ENOENT},
	    {"unix-listen:/tmp", ENDPOINT_SOURCE, -EADDRINUSE},
	    {"tcp:host.invalid:80", ENDPOINT_SINK, -EHOSTUNREACH},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {""};

		assert_int_equal(open_named(cases[i].text, cases[i].role, false, &err),
				 cases[i].error);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_null(strchr(err.text, '\n'));
	}
}

static void standard_input_is_duplicated(void **state)
{
	struct err err;
	int fd = open_named("-", ENDPOINT_SOURCE, false, &err);

	assert_true(fd > 2);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_is_understood),
	    cmocka_unit_test(nonsense_is_refused_by_name),
	    cmocka_unit_test(names_that_are_too_long_are_refused),
	    cmocka_unit_test(file_sink_is_created_by_umask_and_emptied_only_when_told),
	    cmocka_unit_test(append_opens_for_appending),
	    cmocka_unit_test(errors_name_the_endpoint),
	    cmocka_unit_test(standard_input_is_duplicated),
	};

	return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
