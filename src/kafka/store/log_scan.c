#include "kafka/store/log_scan.h"

#include "base/be.h"
#include "kafka/wire/old_message.h"

static enum log_scan_step cut(struct log_scan *scan, const char *why)
{
	scan->why = why;
	return LOG_SCAN_CUT;
}

static enum log_scan_step more(struct slice window, size_t want, size_t *ret_want)
{
	CHECK(want > window.len);
	*ret_want = want;
	return LOG_SCAN_MORE;
}

/* The offsets: inside of what the segment can address, and never back. */
static const char *misplaced(const struct log_scan *scan, const struct record_batch *batch)
{
	int64_t last = record_batch_last_offset(batch);

	if (batch->base_offset < scan->next_offset)
		return "offsets go back";
	if (last < batch->base_offset || last - scan->base_offset > INT32_MAX)
		return "an offset is too far from the segment's first one";
	return NULL;
}

static enum log_scan_step take(struct log_scan *scan, const struct record_batch *batch)
{
	const char *why = misplaced(scan, batch);

	if (why)
		return cut(scan, why);
	if (batch->base_offset != scan->next_offset || batch->count - 1 != batch->last_offset_delta)
		scan->sparse = true;
	scan->position += batch->bytes.len;
	scan->next_offset = record_batch_last_offset(batch) + 1;
	return LOG_SCAN_BATCH;
}

/* The batch is framed; is it good? */
static enum log_scan_step judge(struct log_scan *scan, const struct record_batch *batch)
{
	enum record_batch_fault fault =
	    scan->headers_only ? record_batch_check_header(batch) : record_batch_check(batch);

	return fault == RECORD_BATCH_OK ? take(scan, batch) : cut(scan, record_batch_text(fault));
}

/* `length` bytes of it are in the file. A torn batch whose magic is a zero that was never written
 * looks like an old message at first. */
static enum log_scan_step judge_old(struct log_scan *scan, struct slice window, size_t length,
				    struct record_batch *ret, size_t *ret_want)
{
	size_t want = scan->headers_only ? OLD_MESSAGE_HEADER : length;

	if (window.len < want)
		return more(window, want, ret_want);
	if (!scan->headers_only && !old_message_check(slice_make(window.ptr, length)))
		return cut(scan, "a message of format 0 or 1 is damaged, or a batch's header torn");
	old_message_load(window.ptr, (int64_t)length, ret);
	return take(scan, ret);
}

/* Less than a batch's header is left: a torn one, or a short message of an old format. */
static enum log_scan_step judge_short(struct log_scan *scan, struct slice window, size_t left,
				      struct record_batch *ret, size_t *ret_want)
{
	int64_t length = record_batch_length(window);

	if (window.len < left)
		return more(window, left, ret_want);
	if (length > 0 && (size_t)length <= left && (uint8_t)window.ptr[16] < 2)
		return judge_old(scan, window, (size_t)length, ret, ret_want);
	return cut(scan, "only part of a batch's header is there");
}

enum log_scan_step log_scan_next(struct log_scan *scan, struct slice window,
				 struct record_batch *ret, size_t *ret_want)
{
	uint64_t left = scan->size - scan->position;
	int64_t length = record_batch_length(window);
	enum record_batch_fault fault;
	struct slice stream;

	CHECK(window.len <= left);
	if (left == 0)
		return LOG_SCAN_END;
	if (left < RECORD_BATCH_HEADER)
		return judge_short(scan, window, (size_t)left, ret, ret_want);
	if (window.len < RECORD_BATCH_HEADER)
		return more(window, RECORD_BATCH_HEADER, ret_want);
	/* A length that lies must not make the caller read all of a large file. */
	if (length > 0 && (uint64_t)length > left)
		return cut(scan, record_batch_text(RECORD_BATCH_CUT));
	/* Only its first bytes are looked at for this. */
	stream = slice_make(window.ptr, length > 0 ? (size_t)length : window.len);
	fault = record_batch_next(&stream, ret);
	if (fault == RECORD_BATCH_OLD_MAGIC)
		return judge_old(scan, window, (size_t)length, ret, ret_want);
	if (fault != RECORD_BATCH_OK)
		return cut(scan, record_batch_text(fault));
	if (window.len < (size_t)length &&
	    (!scan->headers_only || (ret->attributes & RECORD_ATTRIBUTE_CONTROL)))
		return more(window, (size_t)length, ret_want);
	return judge(scan, ret);
}
