/*
 * Which files of segments are open.
 *
 * A segment has open files, or none; those that have stand in `idle` while nobody uses them, and are
 * counted in `open` all the while. log_segment_use() takes one out of the list, log_segment_done()
 * puts it at its end. Whoever changes one of the two looks whether too many are open, and closes those
 * that were idle for the longest: so a load that had many open at once leaves no more than the limit
 * behind. What is in use is never closed; clients, who may keep a descriptor for minutes, are refused
 * more of them instead (log_segment_lend()), while appends and syncs, which keep theirs for a call, are
 * not.
 *
 * A log that has bytes which are not on disk yet must not lose its inode: the kernel reports a failed
 * writeback only through the inode, and one that nobody holds may be dropped with the error in it, and
 * read anew, clean (errseq_t; Documentation/core-api: "Filesystem wb_err"). Where such a file is closed,
 * a mapping of its first page holds the open file instead: that costs no descriptor, is never touched,
 * and goes with the sync that succeeds. Indexes are not held: a start finds a damaged one, and makes it
 * anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "kafka/store/log_segment.h"
#include "sys/sys.h"

/* Of a mapping that is never touched: the least that there is. */
#define PIN_BYTES 4096u

void log_files_init(struct log_files *files, int dir, unsigned open_max)
{
	*files = (struct log_files){.dir = dir, .open_max = open_max};
	list_init(&files->idle);
	pthread_mutex_init(&files->lock, NULL);
}

void log_files_fini(struct log_files *files)
{
	CHECK(list_empty(&files->idle) && files->open == 0);
	pthread_mutex_destroy(&files->lock);
}

/* ---- closing ---- */

static bool has_files(const struct log_segment *segment)
{
	for (unsigned i = 0; i < LOG_FILE_KEEPS; i++)
		if (segment->fds[i] >= 0)
			return true;
	return false;
}

/* What was taken out of a segment, to be closed without the lock. */
struct closing {
	struct log_segment *segment; /* a reference, while it may need a pin; NULL: none */
	int fds[LOG_FILE_KEEPS];
};

/* Under files->lock. */
static void take_fds(struct log_segment *segment, int ret[LOG_FILE_KEEPS])
{
	if (has_files(segment))
		segment->files->open--;
	list_remove(&segment->in_idle);
	for (unsigned i = 0; i < LOG_FILE_KEEPS; i++) {
		ret[i] = segment->fds[i];
		segment->fds[i] = -1;
	}
}

static void close_fds(const int fds[LOG_FILE_KEEPS])
{
	for (unsigned i = 0; i < LOG_FILE_KEEPS; i++)
		if (fds[i] >= 0)
			sys_close(fds[i]);
}

/* Under files->lock. */
static bool is_dirty(const struct log_segment *segment)
{
	return segment->writes_synced !=
	       atomic_load_explicit(&segment->writes, memory_order_relaxed);
}

/* Under files->lock: what is to be closed, if anything. */
static bool take_idle(struct log_files *files, bool all, struct closing *ret)
{
	struct log_segment *segment;

	if (list_empty(&files->idle) || (!all && files->open <= files->open_max))
		return false;
	segment = container_of(files->idle.next, struct log_segment, in_idle);
	CHECK(segment->users == 0);
	take_fds(segment, ret->fds);
	ret->segment = NULL;
	if (is_dirty(segment) && !segment->pin && ret->fds[LOG_FILE_LOG] >= 0) {
		log_segment_ref(segment);
		ret->segment = segment;
	}
	return true;
}

/* The open file has to outlive its descriptor. Without a mapping the descriptor stays, unless another
 * thread has opened the file again: then that one holds the inode. */
static void pin_log(struct closing *closing)
{
	struct log_segment *segment = closing->segment;
	int error;
	void *pin =
	    sys_mmap(PIN_BYTES, PROT_NONE, MAP_SHARED, closing->fds[LOG_FILE_LOG], 0, &error);
	void *unused = NULL;

	pthread_mutex_lock(&segment->files->lock);
	if (pin && !segment->pin && is_dirty(segment)) {
		segment->pin = pin;
	} else if (pin) {
		unused = pin;
	} else if (segment->fds[LOG_FILE_LOG] < 0) {
		if (!has_files(segment)) {
			segment->files->open++;
			list_push_back(&segment->files->idle, &segment->in_idle);
		}
		segment->fds[LOG_FILE_LOG] = closing->fds[LOG_FILE_LOG];
		closing->fds[LOG_FILE_LOG] = -1;
	}
	pthread_mutex_unlock(&segment->files->lock);
	if (unused)
		sys_munmap(unused, PIN_BYTES);
}

static void close_taken(struct closing *closing)
{
	if (closing->segment)
		pin_log(closing);
	close_fds(closing->fds);
	if (closing->segment)
		log_segment_unref(closing->segment);
}

bool log_files_trim(struct log_files *files, bool all)
{
	struct closing closing;
	bool closed = false, more = true;
	unsigned left;

	/* As many as there are now: one that could not be pinned comes back. */
	pthread_mutex_lock(&files->lock);
	left = files->open;
	pthread_mutex_unlock(&files->lock);
	for (; left > 0 && more; left--) {
		pthread_mutex_lock(&files->lock);
		more = take_idle(files, all, &closing);
		pthread_mutex_unlock(&files->lock);
		if (more)
			close_taken(&closing);
		closed |= more;
	}
	return closed;
}

/* ---- references ---- */

void log_segment_ref(struct log_segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void log_segment_unref(struct log_segment *segment)
{
	int fds[LOG_FILE_KEEPS];

	if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1)
		return;
	CHECK(segment->users == 0);
	pthread_mutex_lock(&segment->files->lock);
	take_fds(segment, fds);
	pthread_mutex_unlock(&segment->files->lock);
	close_fds(fds);
	if (segment->pin)
		sys_munmap(segment->pin, PIN_BYTES);
	free(segment->tail);
	free(segment);
}

void log_segment_close_files(struct log_segment *segment)
{
	int fds[LOG_FILE_KEEPS];

	pthread_mutex_lock(&segment->files->lock);
	CHECK(segment->users == 0);
	take_fds(segment, fds);
	pthread_mutex_unlock(&segment->files->lock);
	close_fds(fds);
}

/* ---- use ---- */

int log_segment_open(const struct log_segment *segment, enum log_file file, int flags)
{
	char path[SEGMENT_PATH_MAX];
	int fd;

	log_segment_path(segment->folder, segment->base_offset, file, path);
	fd = sys_openat(segment->files->dir, path, O_RDWR | flags, 0644);
	if (log_files_lack(fd) && log_files_trim(segment->files, true))
		fd = sys_openat(segment->files->dir, path, O_RDWR | flags, 0644);
	return fd;
}

/* Under files->lock. */
static void begin_use(struct log_segment *segment)
{
	segment->users++;
	list_remove(&segment->in_idle);
}

int log_segment_adopt(struct log_segment *segment, enum log_file file, int fd)
{
	struct log_files *files = segment->files;
	struct closing closing;
	bool close;
	int kept;

	pthread_mutex_lock(&files->lock);
	if (!has_files(segment))
		files->open++;
	if (segment->fds[file] < 0) {
		segment->fds[file] = fd;
		fd = -1;
	}
	kept = segment->fds[file];
	begin_use(segment);
	close = take_idle(files, false, &closing);
	pthread_mutex_unlock(&files->lock);
	/* Another thread was first. */
	if (fd >= 0)
		sys_close(fd);
	if (close)
		close_taken(&closing);
	return kept;
}

/* `lent`: only within the limit. */
static int use_file(struct log_segment *segment, enum log_file file, bool nowait, bool lent)
{
	struct log_files *files = segment->files;
	bool full = false;
	int fd;

	pthread_mutex_lock(&files->lock);
	fd = segment->fds[file];
	if (fd >= 0)
		begin_use(segment);
	else if (lent && !has_files(segment))
		full = files->open >= files->open_max && list_empty(&files->idle);
	pthread_mutex_unlock(&files->lock);
	if (fd >= 0)
		return fd;
	if (full)
		return -EMFILE;
	if (nowait)
		return -EAGAIN;
	fd = log_segment_open(segment, file, 0);
	/* It may have been of another topic, which has taken the name since. */
	if (fd >= 0 && segment->dropped) {
		sys_close(fd);
		return -ENOENT;
	}
	return fd < 0 ? fd : log_segment_adopt(segment, file, fd);
}

int log_segment_use(struct log_segment *segment, enum log_file file, bool nowait)
{
	return use_file(segment, file, nowait, false);
}

int log_segment_lend(struct log_segment *segment, bool nowait)
{
	return use_file(segment, LOG_FILE_LOG, nowait, true);
}

void log_segment_done(struct log_segment *segment)
{
	struct log_files *files = segment->files;
	struct closing closing;
	bool close;

	pthread_mutex_lock(&files->lock);
	CHECK(segment->users > 0 && has_files(segment));
	if (--segment->users == 0)
		list_push_back(&files->idle, &segment->in_idle);
	close = take_idle(files, false, &closing);
	pthread_mutex_unlock(&files->lock);
	if (close)
		close_taken(&closing);
}

void log_segment_is_synced(struct log_segment *segment, uint64_t writes)
{
	void *pin = NULL;

	pthread_mutex_lock(&segment->files->lock);
	if (writes > segment->writes_synced)
		segment->writes_synced = writes;
	if (!is_dirty(segment)) {
		pin = segment->pin;
		segment->pin = NULL;
	}
	pthread_mutex_unlock(&segment->files->lock);
	if (pin)
		sys_munmap(pin, PIN_BYTES);
}
