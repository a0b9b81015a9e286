/*
 * The check of a store's folder: the small files, then the folders of partitions one by one; check_log.c
 * has the segments. It stands apart from loading on purpose: that one mends what it can, and goes by the
 * recovery point.
 */
#include "kafka/store/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka/store/check_internal.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "sys/sys.h"

#define SMALL_BYTES_MAX    (1u << 28)
#define SNAPSHOT_BYTES_MAX (1u << 30)
#define NAME_DIGITS        20u

void check_tell(struct check *check, const char *name, const char *fmt, ...)
{
	struct err line, what;
	va_list args;

	va_start(args, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, args);
	va_end(args);
	(void)err_set(&line, 0, "%s/%s: %s", check->dir, name, what.text);
	check->totals->wrong++;
	check->tell(line.text);
}

/* ---- small files ---- */

static int line_is_offset(struct slice line)
{
	struct checkpoint_offset offset;

	return checkpoint_parse_offset(line, &offset);
}

static int line_is_topic(struct slice line)
{
	struct topics_line topic;
	int64_t number;

	if (slice_starts_with(line, SLICE_LITERAL(TOPICS_METADATA_KEY)))
		return checkpoint_number(slice_make(line.ptr + sizeof(TOPICS_METADATA_KEY) - 1,
						    line.len - (sizeof(TOPICS_METADATA_KEY) - 1)),
					 &number);
	return topics_parse_line(line, &topic);
}

static int line_is_id(struct slice line)
{
	struct slice word;
	int64_t number;

	return checkpoint_word(&line, &word) ? checkpoint_number(line, &number) : -EBADMSG;
}

static int line_is_any(struct slice line)
{
	return 0;
}

static int line_is_epoch(struct slice line)
{
	struct slice word;
	int64_t number;
	int r = checkpoint_word(&line, &word) ? checkpoint_number(word, &number) : -EBADMSG;

	return r == 0 ? checkpoint_number(line, &number) : r;
}

static void check_lines(struct check *check, const char *path, struct slice text,
			int (*is_good)(struct slice line))
{
	struct checkpoint_reader reader;
	struct slice line;
	unsigned number = 2;
	int r = checkpoint_open(text, &reader);

	if (r < 0) {
		check_tell(check, path,
			   r == -EPROTONOSUPPORT ? "it is of a version that is not known here"
						 : "its first two lines are no version and count");
		return;
	}
	while (r == 0 && checkpoint_line(&reader, &line)) {
		number++;
		r = is_good(line);
	}
	if (r < 0)
		check_tell(check, path, "line %u makes no sense: \"%.*s\"", number,
			   (int)min_size(line.len, 80), line.ptr);
	else if (checkpoint_end(&reader) < 0)
		check_tell(check, path, "it has not as many lines as it says");
}

/* One that is not there is no fault. */
static void check_text(struct check *check, const char *path, int (*is_good)(struct slice line))
{
	size_t len;
	char *text;
	int r = files_read(check->fd, path, SMALL_BYTES_MAX, &text, &len);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		check_tell(check, path, "can't be read: %s", strerror(-r));
		return;
	}
	check_lines(check, path, slice_make(text, len), is_good);
	free(text);
}

static void check_small_files(struct check *check)
{
	check_text(check, "leat-topics", line_is_topic);
	check_text(check, "leat-producer-ids", line_is_id);
	check_text(check, "leat-clean-stop", line_is_any);
	check_text(check, "recovery-point-offset-checkpoint", line_is_offset);
	check_text(check, "replication-offset-checkpoint", line_is_offset);
	check_text(check, "log-start-offset-checkpoint", line_is_offset);
}

/* ---- partitions ---- */

struct bases {
	int64_t *list;
	size_t count, capacity;
	struct check *check;
	const char *folder;
};

static int compare_bases(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void check_snapshot(struct check *check, const char *folder, const char *name)
{
	struct producers producers = {.table = NULL};
	char path[SEGMENT_PATH_MAX], *bytes;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	r = files_read(check->fd, path, SNAPSHOT_BYTES_MAX, &bytes, &len);
	if (r == 0) {
		r = producers_restore(&producers, slice_make(bytes, len), INT64_MIN);
		free(bytes);
	}
	if (r == -EBADMSG)
		check_tell(check, path, "it is damaged: a start leaves it out");
	else if (r == -ENOMEM)
		check->error = r;
	else if (r < 0)
		check_tell(check, path, "can't be read: %s", strerror(-r));
	producers_fini(&producers);
}

static int see_file(void *arg, const char *name)
{
	struct bases *bases = arg;
	const char *dot = strchr(name, '.');
	size_t capacity = bases->capacity ? 2 * bases->capacity : 8;
	int64_t *larger, base;

	if (!dot || dot - name != NAME_DIGITS ||
	    checkpoint_number(slice_make(name, NAME_DIGITS), &base) < 0 || base < 0 ||
	    base > OFFSET_MAX)
		return 0;
	if (strcmp(dot, log_file_suffixes[LOG_FILE_SNAPSHOT]) == 0)
		check_snapshot(bases->check, bases->folder, name);
	if (strcmp(dot, log_file_suffixes[LOG_FILE_LOG]) != 0)
		return 0;
	if (bases->count == bases->capacity) {
		larger = realloc(bases->list, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		bases->list = larger;
		bases->capacity = capacity;
	}
	bases->list[bases->count++] = base;
	return 0;
}

static void check_segments(struct check *check, const char *folder, const struct bases *bases)
{
	int64_t next = -1;

	for (size_t i = 0; i < bases->count && check->error == 0; i++) {
		char path[SEGMENT_PATH_MAX];

		log_segment_path(folder, bases->list[i], LOG_FILE_LOG, path);
		/* Offsets that are missing may have been compacted, and are a start's to judge. */
		if (next > bases->list[i])
			check_tell(check, path, "the segment before it ends only at offset %lld",
				   (long long)next - 1);
		check_segment(check, folder, bases->list[i], &next);
	}
}

static void check_metadata(struct check *check, const char *folder)
{
	static const char key[] = "topic_id: ";
	char path[SEGMENT_PATH_MAX], *text;
	struct kafka_uuid id;
	const char *at;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/partition.metadata", folder);
	r = files_read(check->fd, path, SMALL_BYTES_MAX, &text, &len);
	if (r < 0) {
		if (r != -ENOENT)
			check_tell(check, path, "can't be read: %s", strerror(-r));
		return;
	}
	at = memmem(text, len, key, sizeof(key) - 1);
	if (!at || (size_t)(text + len - at) < sizeof(key) - 1 + STORE_UUID_TEXT ||
	    store_uuid_parse(slice_make(at + sizeof(key) - 1, STORE_UUID_TEXT), &id) < 0)
		check_tell(check, path, "it has no topic id");
	free(text);
}

void check_partition(struct check *check, const char *folder)
{
	struct bases bases = {.check = check, .folder = folder};
	char path[SEGMENT_PATH_MAX];
	int r = files_list(check->fd, folder, see_file, &bases);

	check->totals->partitions++;
	snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", folder);
	if (r == -ENOMEM)
		check->error = r;
	else if (r < 0)
		check_tell(check, folder, "can't be read: %s", strerror(-r));
	if (r == 0) {
		check_text(check, path, line_is_epoch);
		check_metadata(check, folder);
		if (bases.count > 1)
			qsort(bases.list, bases.count, sizeof(int64_t), compare_bases);
		check_segments(check, folder, &bases);
	}
	free(bases.list);
}

/* ---- the folder ---- */

/* A partition's: TOPIC-N; Kafka's metadata log is one as well. */
static int see_folder(void *arg, const char *name)
{
	struct check *check = arg;
	const char *dash = strrchr(name, '-');
	struct stat st;
	int64_t number;

	if (!dash || !store_topic_name_valid(slice_make(name, (size_t)(dash - name))) ||
	    dash[1] < '0' || dash[1] > '9' || checkpoint_number(slice_of(dash + 1), &number) < 0 ||
	    number > INT32_MAX || sys_fstatat(check->fd, name, &st, 0) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	check_partition(check, name);
	return check->error;
}

static int check_identity(struct check *check, struct err *err)
{
	struct identity identity;
	struct err why = {""};
	size_t len;
	char *text;
	int r = files_read(check->fd, "meta.properties", SMALL_BYTES_MAX, &text, &len);

	if (r == -ENOENT)
		return err_set(err, r,
			       "%s: it has no meta.properties, so it is no directory of "
			       "topics",
			       check->dir);
	if (r == 0) {
		r = identity_parse(slice_make(text, len), &identity, &why);
		free(text);
	} else {
		(void)err_set(&why, r, "can't be read: %s", strerror(-r));
	}
	if (r < 0)
		check_tell(check, "meta.properties", "%s", why.text);
	return 0;
}

/* The lock, so that nobody changes what is looked at; -1 where it can't be had without writing. */
static int take_lock(const struct check *check, int *ret_fd, struct err *err)
{
	int r;

	*ret_fd = sys_openat(check->fd, ".lock", O_RDWR, 0);
	if (*ret_fd < 0)
		return 0;
	r = sys_lock_file(*ret_fd);
	if (r == -EAGAIN)
		return err_set(err, -EBUSY, "%s: in use by another process: stop it first",
			       check->dir);
	return 0;
}

int store_check(const char *dir, void (*tell)(const char *line), struct check_totals *ret,
		struct err *err)
{
	struct check check = {.dir = dir, .tell = tell, .totals = ret};
	int lock = -1, r;

	*ret = (struct check_totals){.wrong = 0};
	check.fd = sys_open(dir, O_RDONLY | O_DIRECTORY, 0);
	if (check.fd < 0)
		return err_set(err, check.fd, "%s: can't be opened: %s", dir, strerror(-check.fd));
	r = take_lock(&check, &lock, err);
	if (r == 0)
		r = check_identity(&check, err);
	if (r == 0) {
		check_small_files(&check);
		r = files_list(check.fd, ".", see_folder, &check);
		if (r < 0)
			(void)err_set(err, r, "%s: can't be read: %s", dir, strerror(-r));
	}
	free(check.buffer.memory);
	if (lock >= 0)
		sys_close(lock);
	sys_close(check.fd);
	return r;
}
