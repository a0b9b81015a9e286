#include "kafka/store/checkpoint.h"

#include <errno.h>

static bool take_until(struct slice *from, char end, struct slice *ret)
{
	const char *found;

	if (from->len == 0)
		return false;
	found = memchr(from->ptr, end, from->len);
	*ret = slice_make(from->ptr, found ? (size_t)(found - from->ptr) : from->len);
	*from = slice_make(from->ptr + ret->len, from->len - ret->len);
	if (found)
		*from = slice_make(from->ptr + 1, from->len - 1);
	return true;
}

int checkpoint_number(struct slice word, int64_t *ret)
{
	bool negative = word.len > 0 && word.ptr[0] == '-';
	int64_t value = 0;

	if (word.len == (size_t)negative)
		return -EBADMSG;
	for (size_t i = negative; i < word.len; i++) {
		int digit = word.ptr[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -EBADMSG;
	}
	*ret = negative ? -value : value;
	return 0;
}

int checkpoint_open(struct slice text, struct checkpoint_reader *ret)
{
	struct slice line;
	int64_t version, count;

	if (!take_until(&text, '\n', &line) || checkpoint_number(line, &version) < 0)
		return -EBADMSG;
	if (version != 0)
		return version > 0 ? -EPROTONOSUPPORT : -EBADMSG;
	if (!take_until(&text, '\n', &line) || checkpoint_number(line, &count) < 0 || count < 0)
		return -EBADMSG;
	*ret = (struct checkpoint_reader){.rest = text, .left = (uint64_t)count};
	return 0;
}

bool checkpoint_line(struct checkpoint_reader *reader, struct slice *ret)
{
	if (reader->left == 0 || !take_until(&reader->rest, '\n', ret))
		return false;
	reader->left--;
	return true;
}

int checkpoint_end(const struct checkpoint_reader *reader)
{
	return reader->left == 0 && reader->rest.len == 0 ? 0 : -EBADMSG;
}

bool checkpoint_word(struct slice *line, struct slice *ret)
{
	return take_until(line, ' ', ret) && ret->len > 0;
}

void checkpoint_begin(struct buf *buf, uint64_t count)
{
	buf_add_literal(buf, "0\n");
	buf_add_u64(buf, count);
	buf_add_char(buf, '\n');
}

int checkpoint_parse_offset(struct slice line, struct checkpoint_offset *ret)
{
	struct slice word;
	int64_t partition;

	if (!checkpoint_word(&line, &ret->topic) || !checkpoint_word(&line, &word) ||
	    checkpoint_number(word, &partition) < 0 || partition < 0 || partition > INT32_MAX ||
	    !checkpoint_word(&line, &word) || checkpoint_number(word, &ret->offset) < 0 ||
	    line.len > 0)
		return -EBADMSG;
	ret->partition = (int32_t)partition;
	return 0;
}
