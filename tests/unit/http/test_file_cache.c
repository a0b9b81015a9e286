/*
 * The file cache against a real file system: whatever changes, the very next request sees it.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/file_cache.h"
#include "http/http_limits.h"
#include "http/http_root.h"

struct fixture {
	char dir[64];
	int home; /* the directory that the test came from */
	struct http_site site;
	struct file_systems systems;
	struct http_root root;
	struct file_cache *cache;
	uint64_t now_ms;
};

static const struct file_cache_limits roomy = {.entries = 1000, .fds = 100, .bytes = 1 << 20};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/leat-cache-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->home = open(".", O_PATH);
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(mkdir("root", 0755), 0);
	snprintf(f->root.name, sizeof(f->root.name), "%s/root", f->dir);
	f->site = (struct http_site){
	    .root_fd = open("root", O_PATH | O_DIRECTORY),
	    .root_name = "root",
	    .systems = &f->systems,
	    .root = &f->root,
	};
	assert_int_equal(chdir("root"), 0);
	f->now_ms = 1000000;
	assert_int_equal(file_cache_new(&f->site, &roomy, &f->cache), 0);
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

	file_cache_free(f->cache);
	close(f->site.root_fd);
	assert_int_equal(fchdir(f->home), 0);
	close(f->home);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void limit(struct fixture *f, struct file_cache_limits limits)
{
	file_cache_free(f->cache);
	assert_int_equal(file_cache_new(&f->site, &limits, &f->cache), 0);
}

static void write_at(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void put(const char *path, const char *text)
{
	write_at(path, O_TRUNC, text);
}

static void replace(const char *path, const char *text)
{
	put("../new", text);
	assert_int_equal(rename("../new", path), 0);
}

/* As the loop does: events first, then the request, with a helper where it would wait. */
static int get(struct fixture *f, const char *path, struct file_entry **ret)
{
	struct file_entry *entry = NULL;
	struct file_ask ask;
	bool same = false;
	int r;

	file_cache_sync(f->cache);
	r = file_cache_get(f->cache, slice_of(path), HTTP_IDENTITY, f->now_ms, ret, &ask);
	if (r != -EAGAIN)
		return r;
	if (ask.known && file_entry_compare(&f->site, ask.known) == 0) {
		same = true;
		entry = ask.known;
		r = 0;
	} else {
		if (ask.known)
			file_entry_unref(ask.known);
		r = file_entry_load(&f->site, slice_of(path), HTTP_IDENTITY, &entry);
	}
	file_cache_settle(f->cache, slice_of(path), HTTP_IDENTITY, entry, same, f->now_ms);
	*ret = entry;
	return r;
}

static void assert_serves(struct fixture *f, const char *path, const char *text)
{
	struct file_entry *entry;

	assert_int_equal(get(f, path, &entry), 0);
	assert_int_equal(entry->id.size, strlen(text));
	assert_non_null(file_entry_body(entry));
	assert_memory_equal(file_entry_body(entry), text, strlen(text));
	file_entry_unref(entry);
}

static void assert_fails(struct fixture *f, const char *path, int error)
{
	struct file_entry *entry;

	assert_int_equal(get(f, path, &entry), error);
}

static struct file_cache_stats stats(struct fixture *f)
{
	struct file_cache_stats s;

	file_cache_stats(f->cache, &s);
	return s;
}

/* A second request is answered from memory: without looking at the file system at all. */
static void assert_hit_without_comparing(struct fixture *f, const char *path, const char *text)
{
	struct file_cache_stats before = stats(f), after;

	assert_serves(f, path, text);
	after = stats(f);
	assert_int_equal(after.hits, before.hits + 1);
	assert_int_equal(after.compared, before.compared);
}

static void unchanged_files_are_served_from_memory(void **state)
{
	struct fixture *f = *state;

	put("a", "alpha");
	assert_int_equal(mkdir("d", 0755), 0);
	put("d/b", "beta");
	assert_serves(f, "a", "alpha");
	assert_serves(f, "d/b", "beta");
	assert_hit_without_comparing(f, "a", "alpha");
	assert_hit_without_comparing(f, "d/b", "beta");
	assert_int_equal(stats(f).misses, 2);
}

static void replacing_by_rename_is_seen(void **state)
{
	struct fixture *f = *state;
	char text[32];

	put("a", "0");
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		replace("a", text);
		assert_serves(f, "a", text);
	}
}

static void editing_in_place_is_seen(void **state)
{
	struct fixture *f = *state;

	put("a", "one");
	assert_serves(f, "a", "one");
	write_at("a", 0, "two");
	assert_serves(f, "a", "two");
	write_at("a", O_APPEND, " three");
	assert_serves(f, "a", "two three");
	assert_int_equal(truncate("a", 3), 0);
	assert_serves(f, "a", "two");
	assert_int_equal(truncate("a", 0), 0);
	assert_serves(f, "a", "");
}

static void deleting_is_seen(void **state)
{
	struct fixture *f = *state;

	put("a", "alpha");
	assert_serves(f, "a", "alpha");
	assert_int_equal(unlink("a"), 0);
	assert_fails(f, "a", -ENOENT);
	assert_int_equal(stats(f).entries, 0);
	put("a", "again");
	assert_serves(f, "a", "again");
}

static void losing_the_right_to_read_is_seen(void **state)
{
	struct fixture *f = *state;

	put("a", "alpha");
	assert_serves(f, "a", "alpha");
	assert_int_equal(chmod("a", 0), 0);
	/* Root may read everything. */
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_fails(f, "a", -EACCES);
	assert_int_equal(seteuid(getuid()), 0);
}

static void renaming_a_directory_is_seen_at_any_depth(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(mkdir("d/e", 0755), 0);
	put("d/e/a", "first");
	assert_int_equal(mkdir("x", 0755), 0);
	assert_int_equal(mkdir("x/e", 0755), 0);
	put("x/e/a", "second");
	assert_serves(f, "d/e/a", "first");
	assert_serves(f, "x/e/a", "second");
	assert_int_equal(rename("d", "old"), 0);
	assert_fails(f, "d/e/a", -ENOENT);
	assert_int_equal(rename("x", "d"), 0);
	assert_serves(f, "d/e/a", "second");
	assert_serves(f, "old/e/a", "first");
	assert_fails(f, "x/e/a", -ENOENT);
	/* Its new name is watched now. */
	write_at("old/e/a", 0, "FIRST");
	assert_serves(f, "old/e/a", "FIRST");
}

static void deleting_a_directory_is_seen(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir("d", 0755), 0);
	put("d/a", "alpha");
	assert_serves(f, "d/a", "alpha");
	assert_int_equal(unlink("d/a"), 0);
	assert_int_equal(rmdir("d"), 0);
	assert_fails(f, "d/a", -ENOENT);
	assert_int_equal(mkdir("d", 0755), 0);
	put("d/a", "beta");
	assert_serves(f, "d/a", "beta");
	assert_hit_without_comparing(f, "d/a", "beta");
}

static void exchanging_a_symbolic_link_is_seen(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir("v1", 0755), 0);
	assert_int_equal(mkdir("v2", 0755), 0);
	put("v1/a", "one");
	put("v2/a", "two");
	assert_int_equal(symlink("v1", "now"), 0);
	assert_serves(f, "now/a", "one");
	assert_int_equal(symlink("v2", "next"), 0);
	assert_int_equal(rename("next", "now"), 0);
	assert_serves(f, "now/a", "two");
	/* And what the link leads to. */
	write_at("v2/a", 0, "TWO");
	assert_serves(f, "now/a", "TWO");
}

static void editing_through_another_hard_link_is_seen(void **state)
{
	struct fixture *f = *state;

	put("../outside", "one");
	assert_int_equal(link("../outside", "a"), 0);
	assert_serves(f, "a", "one");
	write_at("../outside", 0, "two");
	assert_serves(f, "a", "two");
}

static void storing_through_a_mapping_is_seen_within_a_second(void **state)
{
	struct fixture *f = *state;
	char *map;
	int fd;

	put("a", "one");
	assert_serves(f, "a", "one");
	fd = open("a", O_RDWR);
	map = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	/* mtime moves by the first store to a clean page, at the clock's tick. */
	usleep(20000);
	memcpy(map, "two", 3);
	msync(map, 3, MS_SYNC);
	f->now_ms += HTTP_CACHE_FRESH_MS;
	assert_serves(f, "a", "two");
	munmap(map, 3);
	close(fd);
}

static void without_events_changes_are_seen_all_the_same(void **state)
{
	struct fixture *f = *state;

	replace("a", "alpha");
	assert_serves(f, "a", "alpha");
	file_cache_unwatch(f->cache);
	assert_int_equal(file_cache_fd(f->cache), -1);
	assert_int_equal(stats(f).entries + stats(f).watches, 0);
	assert_serves(f, "a", "alpha");
	replace("a", "beta");
	assert_serves(f, "a", "beta");
	assert_int_equal(stats(f).watches, 0);
}

static void more_events_than_the_queue_holds_drop_everything(void **state)
{
	struct fixture *f = *state;
	int a, b;

	put("a", "one");
	put("b", "one");
	put("c", "one");
	assert_serves(f, "c", "one");
	a = open("a", O_WRONLY);
	b = open("b", O_WRONLY);
	/* Alternately, since equal events in a row are one. */
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(pwrite(a, "x", 1, 0), 1);
		assert_int_equal(pwrite(b, "x", 1, 0), 1);
	}
	write_at("c", 0, "two");
	assert_serves(f, "c", "two");
	close(a);
	close(b);
}

static void a_reference_keeps_its_version(void **state)
{
	struct fixture *f = *state;
	struct file_entry *entry;

	put("a", "one");
	assert_int_equal(get(f, "a", &entry), 0);
	replace("a", "two");
	assert_serves(f, "a", "two");
	assert_memory_equal(file_entry_body(entry), "one", 3);
	file_entry_unref(entry);
}

static void bodies_are_in_memory_up_to_the_limit(void **state)
{
	struct fixture *f = *state;
	struct file_entry *entry;

	put("a", "");
	assert_int_equal(truncate("a", HTTP_BODY_CACHE_MAX), 0);
	assert_int_equal(get(f, "a", &entry), 0);
	assert_int_equal(entry->fd, -1);
	file_entry_unref(entry);
	assert_int_equal(truncate("a", HTTP_BODY_CACHE_MAX + 1), 0);
	assert_int_equal(get(f, "a", &entry), 0);
	assert_true(entry->fd >= 0);
	assert_null(file_entry_body(entry));
	file_entry_unref(entry);
	assert_int_equal(stats(f).fds, 1);
	assert_int_equal(file_cache_shed(f->cache), 1);
	assert_int_equal(stats(f).fds, 0);
}

static void entries_bytes_and_descriptors_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct file_entry *entry;
	char name[16];

	limit(f, (struct file_cache_limits){.entries = 4, .fds = 2, .bytes = 1 << 20});
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		put(name, name);
		assert_serves(f, name, name);
		snprintf(name, sizeof(name), "l%d", i);
		put(name, "");
		assert_int_equal(truncate(name, HTTP_BODY_CACHE_MAX + 1), 0);
		assert_int_equal(get(f, name, &entry), 0);
		file_entry_unref(entry);
		assert_true(stats(f).entries <= 4);
		assert_true(stats(f).fds <= 2);
	}
	assert_true(stats(f).evicted >= 14);
	limit(f, (struct file_cache_limits){.entries = 100, .fds = 2, .bytes = 100000});
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		put(name, "");
		assert_int_equal(truncate(name, 25000), 0);
		assert_int_equal(get(f, name, &entry), 0);
		file_entry_unref(entry);
		assert_true(stats(f).bytes <= 100000);
	}
	assert_int_equal(stats(f).entries, 3);
}

static void what_is_used_stays_when_others_go(void **state)
{
	struct fixture *f = *state;
	char name[16];

	limit(f, (struct file_cache_limits){.entries = 4, .fds = 2, .bytes = 1 << 20});
	put("hot", "hot");
	for (int i = 0; i < 40; i++) {
		assert_serves(f, "hot", "hot");
		snprintf(name, sizeof(name), "s%d", i);
		put(name, name);
		assert_serves(f, name, name);
	}
	assert_true(stats(f).hits >= 38);
}

static void watches_go_with_their_last_entry(void **state)
{
	struct fixture *f = *state;
	char path[64] = "";

	for (int i = 0; i < 5; i++) {
		strcat(path, "d");
		assert_int_equal(mkdir(path, 0755), 0);
		strcat(path, "/");
	}
	strcat(path, "a");
	put(path, "deep");
	assert_serves(f, path, "deep");
	assert_int_equal(stats(f).watches, 6);
	assert_int_equal(unlink(path), 0);
	assert_fails(f, path, -ENOENT);
	assert_int_equal(stats(f).watches, 1);
}

static void names_without_a_file_make_no_watches_and_no_events(void **state)
{
	struct fixture *f = *state;
	struct pollfd events = {.fd = file_cache_fd(f->cache), .events = POLLIN};

	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(mkdir("d/e", 0755), 0);
	assert_int_equal(mkdir("d/e/f", 0755), 0);
	assert_fails(f, "d/e/f/missing", -ENOENT);
	assert_fails(f, "d/e/f", -EISDIR);
	/* A watch that is taken back says so (IN_IGNORED). */
	assert_int_equal(poll(&events, 1, 0), 0);
	put("d/e/f/a", "there");
	assert_serves(f, "d/e/f/a", "there");
	assert_hit_without_comparing(f, "d/e/f/a", "there");
}

static void nothing_outside_the_root_is_opened(void **state)
{
	struct fixture *f = *state;

	put("../secret", "secret");
	assert_int_equal(symlink("../secret", "up"), 0);
	assert_int_equal(symlink("/etc/passwd", "absolute"), 0);
	assert_int_equal(symlink("..", "parent"), 0);
	assert_int_equal(symlink("/proc/self/root", "magic"), 0);
	assert_int_equal(symlink("self", "self"), 0);
	assert_fails(f, "up", -EXDEV);
	assert_fails(f, "absolute", -EXDEV);
	assert_fails(f, "parent/secret", -EXDEV);
	assert_fails(f, "../secret", -EXDEV);
	assert_fails(f, "magic/etc/passwd", -EXDEV);
	assert_fails(f, "self", -ELOOP);
}

static void what_is_no_file_is_never_opened(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifo("fifo", 0666), 0);
	assert_fails(f, "fifo", -ENXIO);
	/* A reader would make this succeed. */
	assert_int_equal(open("fifo", O_WRONLY | O_NONBLOCK), -1);
	assert_int_equal(errno, ENXIO);
	assert_int_equal(mkdir("d", 0755), 0);
	assert_fails(f, "d", -EISDIR);
	assert_fails(f, ".", -EISDIR);
	put("a", "alpha");
	assert_fails(f, "a/b", -ENOTDIR);
}

static void a_change_while_a_helper_loads_is_seen_by_the_next_request(void **state)
{
	struct fixture *f = *state;
	struct file_entry *entry;
	struct file_ask ask;

	put("a", "one");
	assert_int_equal(mkdir("d", 0755), 0);
	put("d/a", "one");
	for (int i = 0; i < 2; i++) {
		const char *path = i ? "d/a" : "a";

		assert_int_equal(file_cache_get(f->cache, slice_of(path), HTTP_IDENTITY, f->now_ms,
						&entry, &ask),
				 -EAGAIN);
		assert_null(ask.known);
		assert_int_equal(file_entry_load(&f->site, slice_of(path), HTTP_IDENTITY, &entry),
				 0);
		replace(path, "two");
		file_cache_settle(f->cache, slice_of(path), HTTP_IDENTITY, entry, false, f->now_ms);
		assert_memory_equal(file_entry_body(entry), "one", 3);
		file_entry_unref(entry);
		assert_serves(f, path, "two");
		assert_hit_without_comparing(f, path, "two");
	}
}

/* Out of descriptors a file can't be looked at: what events cover is still served. */
static void files_in_memory_are_served_without_a_descriptor_left(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;

	put("a", "alpha");
	assert_serves(f, "a", "alpha");
	f->now_ms += HTTP_CACHE_FRESH_MS;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_serves(f, "a", "alpha");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(stats(f).compared, 1);
	replace("a", "beta");
	assert_serves(f, "a", "beta");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(unchanged_files_are_served_from_memory),
	    TEST(files_in_memory_are_served_without_a_descriptor_left),
	    TEST(replacing_by_rename_is_seen),
	    TEST(editing_in_place_is_seen),
	    TEST(deleting_is_seen),
	    TEST(losing_the_right_to_read_is_seen),
	    TEST(renaming_a_directory_is_seen_at_any_depth),
	    TEST(deleting_a_directory_is_seen),
	    TEST(exchanging_a_symbolic_link_is_seen),
	    TEST(editing_through_another_hard_link_is_seen),
	    TEST(storing_through_a_mapping_is_seen_within_a_second),
	    TEST(without_events_changes_are_seen_all_the_same),
	    TEST(more_events_than_the_queue_holds_drop_everything),
	    TEST(a_reference_keeps_its_version),
	    TEST(bodies_are_in_memory_up_to_the_limit),
	    TEST(entries_bytes_and_descriptors_are_bounded),
	    TEST(what_is_used_stays_when_others_go),
	    TEST(watches_go_with_their_last_entry),
	    TEST(names_without_a_file_make_no_watches_and_no_events),
	    TEST(nothing_outside_the_root_is_opened),
	    TEST(what_is_no_file_is_never_opened),
	    TEST(a_change_while_a_helper_loads_is_seen_by_the_next_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
