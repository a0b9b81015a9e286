/*
 * The mark of a clean stop, .kafka_cleanshutdown, and whether the folder is still what that stop has
 * left.
 *
 * The mark itself is Kafka's, and a copy of the folder has it too. So leat-clean-stop says which file
 * the mark was: its device, inode and the time of its last change, which no copy and no restored
 * backup shares. Where it does not fit (a copy, a backup, a Kafka that ran since) everything is
 * believed as after any clean stop, but clients may have seen records that are not there: partitions
 * begin new leader epochs. A disk that was set back as a whole looks the same as ever: that is not
 * noticed.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define MARK_BYTES_MAX  4096u
#define STAMP_BYTES_MAX 160u

static const char mark_name[] = ".kafka_cleanshutdown";
static const char stamp_name[] = "leat-clean-stop";

/* What leat-clean-stop says of the mark that is there. */
static int format_stamp(const struct store *store, struct buf *buf)
{
	struct stat st;
	int r = sys_fstatat(store->fd, mark_name, &st, 0);

	if (r < 0)
		return r;
	checkpoint_begin(buf, 1);
	buf_printf(buf, "%llu %llu %lld.%09ld\n", (unsigned long long)st.st_dev,
		   (unsigned long long)st.st_ino, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return 0;
}

static bool is_stamped(const struct store *store)
{
	char memory[STAMP_BYTES_MAX], *text;
	struct buf stamp = buf_over(memory, sizeof(memory));
	size_t len;
	bool same;

	if (format_stamp(store, &stamp) < 0 ||
	    files_read(store->fd, stamp_name, STAMP_BYTES_MAX, &text, &len) < 0)
		return false;
	same = slice_eq(slice_make(text, len), buf_slice(&stamp));
	free(text);
	return same;
}

/* The mark says, too, which broker epoch Kafka had: its controllers take a stop for a clean one if
 * they get it back. */
void store_read_mark(struct store *store)
{
	static const char key[] = "\"brokerEpoch\":";
	const char *at;
	size_t len;
	char *text;
	int64_t epoch;

	if (files_read(store->fd, mark_name, MARK_BYTES_MAX, &text, &len) < 0)
		return;
	at = memmem(text, len, key, sizeof(key) - 1);
	if (at) {
		size_t digits = 0;

		at += sizeof(key) - 1;
		while (at + digits < text + len && at[digits] >= '0' && at[digits] <= '9')
			digits++;
		if (checkpoint_number(slice_make(at, digits), &epoch) == 0)
			store->broker_epoch = epoch;
	}
	free(text);
	store->was_clean = true;
	store->was_moved = !is_stamped(store);
	if (store->was_moved)
		log_info("%s was copied, restored or used by another program since its last clean "
			 "stop: partitions begin new leader epochs",
			 store->dir);
}

int store_leave_mark(struct store *store)
{
	char text[STAMP_BYTES_MAX];
	struct buf buf = buf_over(text, sizeof(text));
	int r;

	buf_printf(&buf, "{\"version\":0,\"brokerEpoch\":%lld}", (long long)store->broker_epoch);
	r = files_write(store->fd, mark_name, buf_slice(&buf));
	if (r < 0)
		return r;
	buf = buf_over(text, sizeof(text));
	r = format_stamp(store, &buf);
	return r == 0 ? files_write(store->fd, stamp_name, buf_slice(&buf)) : r;
}

int store_take_mark(struct store *store, struct err *err)
{
	int r = sys_unlinkat(store->fd, mark_name, 0);

	/* Also where it is not there: a start that was killed may have taken it, and a power cut
	 * would bring it back. */
	if (r == 0 || r == -ENOENT)
		r = files_sync_folder(store->fd, ".");
	return r < 0 ? err_set(err, r, "%s/%s: %s", store->dir, mark_name, strerror(-r)) : 0;
}
