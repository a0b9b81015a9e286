#include "kafka/store/log_scan.h"

#include "base/be.h"

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

/* The batch is framed; is it good? */
static enum log_scan_step judge(struct log_scan *scan, const struct record_batch *batch)
{
	enum record_batch_fault fault =
	    scan->headers_only ? record_batch_check_header(batch) : record_batch_check(batch);
	const char *why =
	    fault == RECORD_BATCH_OK ? misplaced(scan, batch) : record_batch_text(fault);

	if (why)
		return cut(scan, why);
	if (batch->base_offset != scan->next_offset || batch->count - 1 != batch->last_offset_delta)
		scan->sparse = true;
	scan->position += batch->bytes.len;
	scan->next_offset = record_batch_last_offset(batch) + 1;
	return LOG_SCAN_BATCH;
}

/*
 * A message of format 0 or 1, whole: its lengths add up. A torn batch whose magic is a zero that
 * was never written looks like one at first.
 *
 *     0 offset 8, size 4, crc 4, magic 1, attributes 1, (format 1: timestamp 8,) key 4 + n, value 4 + n
 */
static bool is_old_message(struct slice message)
{
	size_t at = message.ptr[16] == 0 ? 18 : 26;

	for (unsigned i = 0; i < 2; i++) {
		int32_t len;

		if (message.len - at < 4)
			return false;
		len = (int32_t)be_load32(message.ptr + at);
		at += 4;
		if (len < -1 || (len > 0 && (size_t)len > message.len - at))
			return false;
		at += len > 0 ? (size_t)len : 0;
	}
	return at == message.len;
}

/* Less than a header is left: a torn one, or a short message of an old format. */
static enum log_scan_step judge_short(struct log_scan *scan, struct slice window, size_t left,
				      size_t *ret_want)
{
	int64_t length = record_batch_length(window);

	if (window.len < left)
		return more(window, left, ret_want);
	if (length > 0 && (size_t)length <= left && (uint8_t)window.ptr[16] < 2 &&
	    is_old_message(slice_make(window.ptr, (size_t)length)))
		return LOG_SCAN_FOREIGN;
	return cut(scan, "only part of a batch's header is there");
}

/* `length` bytes of it are in the file. */
static enum log_scan_step judge_old(struct log_scan *scan, struct slice window, size_t length,
				    size_t *ret_want)
{
	if (window.len < length)
		return more(window, length, ret_want);
	if (is_old_message(slice_make(window.ptr, length)))
		return LOG_SCAN_FOREIGN;
	return cut(scan, "the batch's header was not written whole");
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
		return judge_short(scan, window, (size_t)left, ret_want);
	if (window.len < RECORD_BATCH_HEADER)
		return more(window, RECORD_BATCH_HEADER, ret_want);
	/* A length that lies must not make the caller read all of a large file. */
	if (length > 0 && (uint64_t)length > left)
		return cut(scan, record_batch_text(RECORD_BATCH_CUT));
	/* Only its first bytes are looked at for this. */
	stream = slice_make(window.ptr, length > 0 ? (size_t)length : window.len);
	fault = record_batch_next(&stream, ret);
	if (fault == RECORD_BATCH_OLD_MAGIC)
		return judge_old(scan, window, (size_t)length, ret_want);
	if (fault != RECORD_BATCH_OK)
		return cut(scan, record_batch_text(fault));
	if (window.len < (size_t)length &&
	    (!scan->headers_only || (ret->attributes & RECORD_ATTRIBUTE_CONTROL)))
		return more(window, (size_t)length, ret_want);
	return judge(scan, ret);
}
