#include "http/dir_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/http_limits.h"
#include "sys/sys.h"

#define READ_BYTES (32u * 1024u) /* of the kernel's records, about a thousand */
#define NAME_BYTES (64u * 1024u) /* a block of names */
#define STEP_NS    50000000u

/* A chunk's frame: its length in five hexadecimal digits, and what follows the last one. */
#define FRAME_HEAD 7u
#define FRAME_TAIL 7u
#define PIECE_TEXT (HTTP_LISTING_PIECE - FRAME_HEAD - FRAME_TAIL)
_Static_assert(HTTP_LISTING_PIECE <= 0xfffff, "five digits");
_Static_assert(PIECE_TEXT >= HTTP_LISTING_BUFFER_MIN, "a row fits");

struct names {
	struct names *next;
	size_t used;
	char text[NAME_BYTES];
};

struct dir_list {
	const struct http_site *site;
	struct http_listing listing;
	enum { LIST_NEW, LIST_READING, LIST_SORTING, LIST_WRITING, LIST_DONE } state;
	bool chunked, kept;
	bool whole;
	bool at_end; /* of the directory: this part is the last */
	unsigned parts;
	int fd;
	bool local; /* attributes that the kernel has are those of the file */
	uint64_t place;

	char *records; /* what getdents(2) said: from `record` to `records_end` not looked at yet */
	size_t record, records_end;

	struct http_name *sorted; /* the part in memory */
	size_t count, room, next;
	struct names *names;
	uint64_t charged; /* to the account */

	char *piece; /* HTTP_LISTING_PIECE, cut to its length when the list is done */
	size_t piece_at, piece_len;

	size_t path_len;
	char path[];
};

/* ---- memory ---- */

/* Every list may have a little: what a small directory needs is never refused. */
static bool charge(struct dir_list *list, uint64_t bytes)
{
	struct dir_list_account *account = list->site->lists;
	uint64_t before;

	if (list->charged + bytes > HTTP_LISTING_BYTES)
		return false;
	before = atomic_fetch_add_explicit(&account->bytes, bytes, memory_order_relaxed);
	if (before + bytes > HTTP_LISTINGS_BYTES &&
	    list->charged + bytes > HTTP_LISTING_BYTES_MIN) {
		atomic_fetch_sub_explicit(&account->bytes, bytes, memory_order_relaxed);
		return false;
	}
	list->charged += bytes;
	return true;
}

static void forget_names(struct dir_list *list)
{
	while (list->names) {
		struct names *names = list->names;

		list->names = names->next;
		free(names);
	}
	free(list->sorted);
	list->sorted = NULL;
	list->count = list->room = list->next = 0;
	atomic_fetch_sub_explicit(&list->site->lists->bytes, list->charged, memory_order_relaxed);
	list->charged = 0;
}

/* What is not needed to send the last piece. */
static void let_go(struct dir_list *list)
{
	forget_names(list);
	free(list->records);
	list->records = NULL;
	if (list->fd >= 0)
		sys_close(list->fd);
	list->fd = -1;
}

struct dir_list *dir_list_new(const struct http_site *site, const struct dir_list_options *options)
{
	struct dir_list *list = calloc(1, sizeof(*list) + options->path.len + 1);

	if (!list)
		return NULL;
	list->site = site;
	list->listing.order = options->order;
	list->listing.json = options->json;
	list->chunked = options->chunked;
	list->fd = -1;
	list->path_len = options->path.len;
	memcpy(list->path, options->path.ptr, options->path.len);
	return list;
}

void dir_list_free(struct dir_list *list)
{
	if (!list)
		return;
	let_go(list);
	if (list->kept)
		atomic_fetch_sub_explicit(&list->site->lists->kept, 1, memory_order_relaxed);
	free(list->piece);
	free(list);
}

int dir_list_keep(struct dir_list *list)
{
	struct dir_list_account *account = list->site->lists;

	CHECK(!list->kept);
	if (atomic_fetch_add_explicit(&account->kept, 1, memory_order_relaxed) >=
	    HTTP_LISTINGS_MAX) {
		atomic_fetch_sub_explicit(&account->kept, 1, memory_order_relaxed);
		return -EBUSY;
	}
	list->kept = true;
	return 0;
}

/* ---- reading ---- */

/* What a link leads to, if that is under the root. */
static int follow(const struct dir_list *list, const char *name, struct stat *ret)
{
	char path[PATH_MAX];
	int fd, r;

	r = snprintf(path, sizeof(path), "%s/%s", list->path, name);
	if (r >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = file_open_beneath(list->site, path, O_PATH, 0, FILE_LOAD_WAIT);
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, ret);
	sys_close(fd);
	return r;
}

static enum http_entry_kind kind_of(mode_t mode)
{
	return S_ISDIR(mode)   ? HTTP_ENTRY_DIRECTORY
	       : S_ISREG(mode) ? HTTP_ENTRY_FILE
			       : HTTP_ENTRY_OTHER;
}

/* A name in a local directory may be the root of another file system, which hangs. */
static int stat_name(const struct dir_list *list, const char *name, struct stat *ret)
{
	struct sys_mount mount;

	if (list->local)
		return sys_stat_cached(list->fd, name, ret, &mount);
	return sys_fstatat(list->fd, name, ret, AT_SYMLINK_NOFOLLOW);
}

/* What a name is, and what it is sorted by. Asked of the file only where the directory does not
 * say it. Negative: it is not to be listed. */
static int look_at(const struct dir_list *list, const struct dirent64 *record, bool *ret_by_link,
		   enum http_entry_kind *ret_kind, uint64_t *ret_key)
{
	struct http_order order = list->listing.order;
	bool by_name = order.by == HTTP_SORT_NAME;
	unsigned char type = record->d_type;
	struct stat st = {0};
	int r = 0;

	if (type == DT_UNKNOWN || (!by_name && type != DT_LNK))
		r = stat_name(list, record->d_name, &st);
	else if (type != DT_LNK)
		st.st_mode = DTTOIF(type);
	*ret_by_link = type == DT_LNK || (r == 0 && S_ISLNK(st.st_mode));
	if (*ret_by_link)
		r = follow(list, record->d_name, &st);
	if (r < 0)
		return r;
	*ret_kind = kind_of(st.st_mode);
	*ret_key = http_order_key(order, *ret_kind, (uint64_t)st.st_size, st.st_mtim.tv_sec);
	return 0;
}

/* False: this part is full, unless nothing is in it yet. */
static bool make_room(struct dir_list *list, size_t record_bytes)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct http_name *sorted;

		if (!charge(list, (room - list->room) * sizeof(*sorted)))
			return false;
		sorted = reallocarray(list->sorted, room, sizeof(*sorted));
		if (!sorted)
			return false;
		list->sorted = sorted;
		list->room = room;
	}
	if (!list->names || NAME_BYTES - list->names->used < record_bytes) {
		struct names *names;

		if (!charge(list, sizeof(*names)))
			return false;
		names = malloc(sizeof(*names));
		if (!names)
			return false;
		names->next = list->names;
		names->used = 0;
		list->names = names;
	}
	return true;
}

static bool is_left_out(const struct dir_list *list, const char *name)
{
	if (name[0] != '.')
		return false;
	return !list->site->dotfiles || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* 0, or -ENOSPC: this part is full. */
static int add_name(struct dir_list *list, const struct dirent64 *found)
{
	size_t len = strlen(found->d_name);
	struct http_kept_name *record;
	enum http_entry_kind kind;
	bool by_link;
	uint64_t key;

	if (len > UINT8_MAX || is_left_out(list, found->d_name))
		return 0;
	if (!make_room(list, sizeof(*record) + len))
		return -ENOSPC;
	if (look_at(list, found, &by_link, &kind, &key) < 0)
		return 0;
	record = (void *)(list->names->text + list->names->used);
	record->kind = (uint8_t)kind;
	record->by_link = by_link;
	record->len = (uint8_t)len;
	memcpy(record->name, found->d_name, len);
	list->names->used += sizeof(*record) + len;
	list->sorted[list->count++] = (struct http_name){key, record};
	return 0;
}

/* The bytes of further records; 0: the directory's end. One that was removed has none
 * (iterate_dir() says -ENOENT then). */
static ssize_t read_records(struct dir_list *list)
{
	ssize_t n = sys_getdents(list->fd, list->records, READ_BYTES);

	list->record = 0;
	list->records_end = n > 0 ? (size_t)n : 0;
	return n == -ENOENT ? 0 : n;
}

/* The names of the records at hand. */
static int take_names(struct dir_list *list, uint64_t until_ns)
{
	while (list->record < list->records_end && sys_now_coarse_ns() < until_ns) {
		/* The kernel's record; glibc's struct dirent64 has the same layout
		 * (getdents64(2)). */
		const struct dirent64 *record = (const void *)(list->records + list->record);

		if (add_name(list, record) < 0) {
			list->state = LIST_SORTING;
			return list->count ? 0 : -ENOMEM;
		}
		list->record += record->d_reclen;
	}
	return 0;
}

/* Until the directory ends, the part is full, or the time is over. The first step doesn't read on
 * in a large directory: whoever waits is shown that the list has begun. */
static int read_names(struct dir_list *list, bool first, uint64_t until_ns)
{
	unsigned reads = 0;
	int r = 0;

	while (r == 0 && list->state == LIST_READING && sys_now_coarse_ns() < until_ns) {
		if (list->record == list->records_end) {
			ssize_t n = read_records(list);

			if (n < 0)
				return (int)n;
			list->at_end = n == 0;
			if (n == 0)
				list->state = LIST_SORTING;
			if (first && reads++ > 0)
				break;
		}
		r = take_names(list, until_ns);
	}
	return r;
}

/* ---- writing ---- */

/* "/a/b/": how people see the path. */
static struct slice shown(const struct dir_list *list, char buf[PATH_MAX + 3])
{
	if (strcmp(list->path, ".") == 0)
		return SLICE_LITERAL("/");
	buf[0] = '/';
	memcpy(buf + 1, list->path, list->path_len);
	buf[list->path_len + 1] = '/';
	return slice_make(buf, list->path_len + 2);
}

static int find_system(struct dir_list *list)
{
	struct sys_mount mount;
	struct stat st;
	bool in_memory;
	enum file_system system = file_system_learn(list->site->systems, list->fd, &in_memory);
	int r = sys_stat_cached(list->fd, "", &st, &mount);

	list->local = system == FILE_SYSTEM_LOCAL;
	if (r == 0)
		list->place = file_system_place(system, &st);
	return r;
}

static int begin(struct dir_list *list, struct http_writer *w)
{
	char path[PATH_MAX + 3];
	int r;

	if (list->path_len > PATH_MAX)
		return -ENAMETOOLONG;
	list->fd = file_open_beneath(list->site, list->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0,
				     FILE_LOAD_WAIT);
	if (list->fd < 0)
		return list->fd;
	r = find_system(list);
	if (r < 0)
		return r;
	list->records = malloc(READ_BYTES);
	if (!list->records)
		return -ENOMEM;
	list->listing.path = shown(list, path);
	http_listing_top(&list->listing, w);
	list->listing.path = slice_make(NULL, 0);
	CHECK(!w->cut);
	list->state = LIST_READING;
	return 0;
}

/* The file as it is now. */
static int look_again(const struct dir_list *list, const struct http_kept_name *record,
		      struct http_entry *ret)
{
	char name[UINT8_MAX + 1];
	struct stat st;
	int r;

	memcpy(name, record->name, record->len);
	name[record->len] = '\0';
	r = record->by_link ? follow(list, name, &st) : stat_name(list, name, &st);
	if (r < 0)
		return r;
	*ret = (struct http_entry){
	    .name = slice_make(record->name, record->len),
	    .kind = kind_of(st.st_mode),
	    .size = (uint64_t)st.st_size,
	    .mtime = st.st_mtim.tv_sec,
	};
	return 0;
}

/* False: the piece is full. */
static bool write_rows(struct dir_list *list, struct http_writer *w, uint64_t until_ns)
{
	for (; list->next < list->count; list->next++) {
		struct http_entry entry;

		if (sys_now_coarse_ns() >= until_ns)
			return false;
		if (look_again(list, list->sorted[list->next].record, &entry) < 0)
			continue; /* gone since */
		if (!http_listing_row(&list->listing, w, &entry))
			return false;
	}
	if (!list->at_end) {
		forget_names(list);
		list->state = LIST_READING;
		return true;
	}
	if (!http_listing_end(&list->listing, w, list->parts))
		return false;
	list->state = LIST_DONE;
	return true;
}

/* ---- steps ---- */

static int fill(struct dir_list *list, struct http_writer *w, uint64_t until_ns)
{
	bool first = list->state == LIST_NEW;
	int r = 0;

	if (first)
		r = begin(list, w);
	while (r == 0 && list->state != LIST_DONE && sys_now_coarse_ns() < until_ns) {
		if (list->state == LIST_READING) {
			r = read_names(list, first, until_ns);
			if (first && list->state == LIST_READING)
				break;
		} else if (list->state == LIST_SORTING) {
			http_names_sort(list->sorted, list->count, list->listing.order.descending);
			list->parts++;
			list->state = LIST_WRITING;
		} else if (!write_rows(list, w, until_ns)) {
			break;
		}
	}
	return r;
}

static void put_length(char at[FRAME_HEAD], size_t len)
{
	for (unsigned i = 0; i < 5; i++)
		at[i] = "0123456789abcdef"[len >> (16 - 4 * i) & 15];
	at[5] = '\r';
	at[6] = '\n';
}

/* Around the text, where there is one; the last piece ends the body. */
static void frame(struct dir_list *list)
{
	struct http_writer tail;

	http_writer_init(&tail, list->piece + list->piece_at + list->piece_len, FRAME_TAIL);
	if (list->piece_len) {
		put_length(list->piece, list->piece_len);
		http_put_literal(&tail, "\r\n");
		list->piece_at = 0;
		list->piece_len += FRAME_HEAD;
	}
	if (list->state == LIST_DONE)
		http_put_literal(&tail, "0\r\n\r\n");
	CHECK(!tail.cut);
	list->piece_len += http_written(&tail);
}

/* A small list waits for its client with no more than its text. */
static void finish(struct dir_list *list)
{
	char *shorter;

	let_go(list);
	shorter = realloc(list->piece, list->piece_at + list->piece_len);
	if (shorter)
		list->piece = shorter;
}

int dir_list_step(struct dir_list *list)
{
	uint64_t until_ns = sys_now_coarse_ns() + STEP_NS;
	bool first = list->state == LIST_NEW;
	struct http_writer w;
	int r;

	CHECK(list->state != LIST_DONE);
	if (!list->piece)
		list->piece = malloc(HTTP_LISTING_PIECE);
	if (!list->piece)
		return -ENOMEM;
	http_writer_init(&w, list->piece + FRAME_HEAD, PIECE_TEXT);
	r = fill(list, &w, until_ns);
	if (r < 0) {
		let_go(list);
		return r;
	}
	list->piece_at = FRAME_HEAD;
	list->piece_len = http_written(&w);
	list->whole = first && list->state == LIST_DONE;
	if (list->chunked && !list->whole)
		frame(list);
	if (list->state == LIST_DONE)
		finish(list);
	return 0;
}

struct slice dir_list_piece(const struct dir_list *list)
{
	return slice_make(list->piece + list->piece_at, list->piece_len);
}

bool dir_list_done(const struct dir_list *list)
{
	return list->state == LIST_DONE;
}

bool dir_list_whole(const struct dir_list *list)
{
	return list->whole;
}

const char *dir_list_path(const struct dir_list *list)
{
	return list->path;
}

uint64_t dir_list_place(const struct dir_list *list)
{
	return list->place;
}
