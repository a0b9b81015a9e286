/*
 * Listings step by step: what a large directory costs, what changes under way do, and that what is
 * shown can be had.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/dir_list.h"
#include "http/http_limits.h"
#include "http/http_root.h"

struct fixture {
	char dir[64];
	int home;
	struct dir_list_account account;
	struct http_site site;
	struct file_systems systems;
	struct http_root root;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/leat-list-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->home = open(".", O_PATH);
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(mkdir("root", 0755), 0);
	snprintf(f->root.name, sizeof(f->root.name), "%s/root", f->dir);
	f->site = (struct http_site){
	    .root_fd = open("root", O_PATH | O_DIRECTORY),
	    .root_name = "root",
	    .lists = &f->account,
	    .systems = &f->systems,
	    .root = &f->root,
	};
	assert_int_equal(chdir("root"), 0);
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

	assert_int_equal(f->account.bytes, 0);
	assert_int_equal(f->account.kept, 0);
	close(f->site.root_fd);
	assert_int_equal(fchdir(f->home), 0);
	close(f->home);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void touch_many(unsigned count)
{
	char name[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		touch(name);
	}
}

static struct dir_list *list_new(struct fixture *f, const char *path, bool json, bool chunked)
{
	const struct dir_list_options options = {.path = slice_of(path),
						 .json = json,
						 .chunked = chunked};
	struct dir_list *list = dir_list_new(&f->site, &options);

	assert_non_null(list);
	return list;
}

struct text {
	char *ptr;
	size_t len;
	unsigned pieces;
};

static void take_piece(struct text *text, const struct dir_list *list)
{
	struct slice piece = dir_list_piece(list);

	assert_true(piece.len <= HTTP_LISTING_PIECE);
	text->ptr = realloc(text->ptr, text->len + piece.len + 1);
	memcpy(text->ptr + text->len, piece.ptr, piece.len);
	text->len += piece.len;
	text->ptr[text->len] = '\0';
	text->pieces += piece.len > 0;
}

static struct text finish(struct dir_list *list)
{
	struct text text = {0};

	while (!dir_list_done(list)) {
		assert_int_equal(dir_list_step(list), 0);
		take_piece(&text, list);
	}
	dir_list_free(list);
	return text;
}

static unsigned count(const char *text, const char *what)
{
	unsigned found = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		found++;
	return found;
}

static void a_small_directory_is_one_unframed_piece(void **state)
{
	struct dir_list *list = list_new(*state, ".", true, true);
	struct slice piece;

	touch("a");
	assert_int_equal(mkdir("b", 0755), 0);
	touch(".hidden");
	assert_int_equal(symlink("a", "inside"), 0);
	assert_int_equal(symlink("/etc/passwd", "outside"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(dir_list_step(list), 0);
	assert_true(dir_list_done(list));
	assert_true(dir_list_whole(list));
	piece = dir_list_piece(list);
	assert_true(slice_starts_with(piece, SLICE_LITERAL("[\n{ \"name\":\"b\", \"type\":\"dir")));
	assert_non_null(memmem(piece.ptr, piece.len, "\"a\"", 3));
	assert_non_null(memmem(piece.ptr, piece.len, "\"inside\"", 8));
	assert_null(memmem(piece.ptr, piece.len, "outside", 7));
	assert_null(memmem(piece.ptr, piece.len, "dangling", 8));
	assert_null(memmem(piece.ptr, piece.len, "hidden", 6));
	dir_list_free(list);
}

static void what_can_not_be_listed_says_why(void **state)
{
	static const struct {
		const char *path;
		int error;
	} rows[] = {{"none", -ENOENT}, {"file", -ENOTDIR}, {"out", -EXDEV}};

	touch("file");
	assert_int_equal(symlink("/tmp", "out"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dir_list *list = list_new(*state, rows[i].path, false, false);

		assert_int_equal(dir_list_step(list), rows[i].error);
		dir_list_free(list);
	}
}

static void a_large_directory_begins_at_once_and_is_whole(void **state)
{
	struct dir_list *list = list_new(*state, ".", false, false);
	struct text text = {0}, rest;

	touch_many(1200);
	assert_int_equal(dir_list_step(list), 0);
	assert_false(dir_list_done(list));
	take_piece(&text, list);
	assert_non_null(strstr(text.ptr, "Index of /"));
	assert_null(strstr(text.ptr, "name-"));
	rest = finish(list);
	assert_int_equal(count(rest.ptr, "<a href=\"name-"), 1200);
	assert_non_null(strstr(rest.ptr, "</html>"));
	assert_true(rest.pieces >= 1200 * 60 / HTTP_LISTING_PIECE);
	/* In order. */
	assert_true(strstr(rest.ptr, ">name-9<") < strstr(rest.ptr, ">name-10<"));
	assert_true(strstr(rest.ptr, ">name-1198<") < strstr(rest.ptr, ">name-1199<"));
	free(text.ptr);
	free(rest.ptr);
}

/* The lengths are right, and a chunk of none ends it. */
static struct text unchunk(struct text framed)
{
	struct text text = {.ptr = malloc(framed.len + 1)};
	char *at = framed.ptr, *data;
	unsigned long len;

	do {
		len = strtoul(at, &data, 16);
		assert_memory_equal(data, "\r\n", 2);
		data += 2;
		assert_true(data + len + 2 <= framed.ptr + framed.len);
		memcpy(text.ptr + text.len, data, len);
		text.len += len;
		assert_memory_equal(data + len, "\r\n", 2);
		at = data + len + 2;
	} while (len > 0);
	assert_ptr_equal(at, framed.ptr + framed.len);
	text.ptr[text.len] = '\0';
	free(framed.ptr);
	return text;
}

static void chunks_frame_the_same_text(void **state)
{
	struct text plain, framed;

	touch_many(1200);
	plain = finish(list_new(*state, ".", true, false));
	framed = unchunk(finish(list_new(*state, ".", true, true)));
	assert_string_equal(plain.ptr, framed.ptr);
	assert_int_equal(count(plain.ptr, "\"name\":"), 1200);
	free(plain.ptr);
	free(framed.ptr);
}

static void without_memory_for_all_names_it_is_sorted_in_parts(void **state)
{
	struct fixture *f = *state;
	struct text text;
	enum { MANY = 1400 };
	char name[220];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "name-%0200u", i);
		touch(name);
	}
	/* The others have everything. */
	f->account.bytes = HTTP_LISTINGS_BYTES;
	text = finish(list_new(f, ".", false, true));
	assert_int_equal(f->account.bytes, HTTP_LISTINGS_BYTES);
	f->account.bytes = 0;
	assert_non_null(strstr(text.ptr, "too large to be sorted as a whole"));
	assert_int_equal(count(text.ptr, "<a href=\"name-"), MANY);
	text = unchunk(text);
	for (unsigned i = 0; i < MANY; i += 99) {
		snprintf(name, sizeof(name), ">name-%0200u<", i);
		assert_int_equal(count(text.ptr, name), 1);
	}
	free(text.ptr);
}

static void names_that_go_under_way_are_left_out(void **state)
{
	struct dir_list *list = list_new(*state, ".", true, false);
	struct text text;
	char name[32];

	touch_many(1200);
	assert_int_equal(dir_list_step(list), 0);
	for (unsigned i = 0; i < 1200; i += 2) {
		snprintf(name, sizeof(name), "name-%u", i);
		assert_int_equal(unlink(name), 0);
	}
	text = finish(list);
	for (unsigned i = 1; i < 1200; i += 2) {
		snprintf(name, sizeof(name), "\"name-%u\"", i);
		assert_int_equal(count(text.ptr, name), 1);
	}
	assert_int_equal(count(text.ptr, "\"name\":"), 600);
	assert_int_equal(count(text.ptr, ",\n"), 599);
	free(text.ptr);
}

static void a_directory_that_goes_under_way_ends_the_list(void **state)
{
	struct dir_list *list = list_new(*state, "sub", true, false);
	struct text text = {0};

	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(chdir("sub"), 0);
	touch_many(1200);
	assert_int_equal(dir_list_step(list), 0);
	assert_int_equal(chdir(".."), 0);
	assert_int_equal(nftw("sub", remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	take_piece(&text, list);
	while (!dir_list_done(list)) {
		assert_int_equal(dir_list_step(list), 0);
		take_piece(&text, list);
	}
	assert_string_equal(text.ptr, "[\n]\n");
	free(text.ptr);
	dir_list_free(list);
}

static void only_so_many_are_kept(void **state)
{
	struct fixture *f = *state;
	struct dir_list *list = list_new(f, ".", false, false);

	f->account.kept = HTTP_LISTINGS_MAX;
	assert_int_equal(dir_list_keep(list), -EBUSY);
	f->account.kept = HTTP_LISTINGS_MAX - 1;
	assert_int_equal(dir_list_keep(list), 0);
	assert_int_equal(f->account.kept, HTTP_LISTINGS_MAX);
	dir_list_free(list);
	assert_int_equal(f->account.kept, HTTP_LISTINGS_MAX - 1);
	f->account.kept = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(a_small_directory_is_one_unframed_piece),
	    TEST(what_can_not_be_listed_says_why),
	    TEST(a_large_directory_begins_at_once_and_is_whole),
	    TEST(chunks_frame_the_same_text),
	    TEST(without_memory_for_all_names_it_is_sorted_in_parts),
	    TEST(names_that_go_under_way_are_left_out),
	    TEST(a_directory_that_goes_under_way_ends_the_list),
	    TEST(only_so_many_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
