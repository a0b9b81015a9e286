#include "kafka/store/topic_config.h"

#include <errno.h>
#include <stdio.h>

#define ROW(id, topic_name, server, kind_, words_, preset_, min_, max_, text_) \
	[TOPIC_CONFIG_##                                                       \
	    id] = {topic_name, server, TOPIC_CONFIG_##kind_, words_, preset_, min_, max_, text_},

const struct topic_config_info topic_configs[TOPIC_CONFIG_COUNT] = {TOPIC_CONFIGS(ROW)};

_Static_assert(TOPIC_CONFIG_COUNT <= 64, "struct topic_config has a bit for each");

int topic_config_find(struct slice name)
{
	for (int id = 0; id < TOPIC_CONFIG_COUNT; id++)
		if (slice_eq(name, slice_of(topic_configs[id].name)))
			return id;
	return -ENOENT;
}

int topic_config_find_server(struct slice name)
{
	for (int id = 0; id < TOPIC_CONFIG_COUNT; id++)
		if (topic_configs[id].server_name &&
		    slice_eq(name, slice_of(topic_configs[id].server_name)))
			return id;
	return -ENOENT;
}

/* Takes what stands before the next comma, and the comma. */
static bool take_word(struct slice *list, struct slice *ret)
{
	const char *comma;

	if (list->len == 0)
		return false;
	comma = memchr(list->ptr, ',', list->len);
	*ret = slice_make(list->ptr, comma ? (size_t)(comma - list->ptr) : list->len);
	*list = slice_make(list->ptr + ret->len, list->len - ret->len);
	if (comma)
		*list = slice_make(list->ptr + 1, list->len - 1);
	return true;
}

int config_word_parse(const char *words, struct slice text, int64_t *ret)
{
	struct slice rest = slice_of(words), word;

	for (int64_t i = 0; take_word(&rest, &word); i++)
		if (slice_eq(text, word)) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

struct slice config_word(const char *words, int64_t number)
{
	struct slice rest = slice_of(words), word;

	for (int64_t i = 0; take_word(&rest, &word); i++)
		if (i == number)
			return word;
	return slice_make(NULL, 0);
}

/* A word that is there twice counts once. */
static int parse_list(const char *words, struct slice text, int64_t *ret)
{
	struct slice word;
	int64_t list = 0, number;
	unsigned shift = 0;

	while (take_word(&text, &word)) {
		if (config_word_parse(words, slice_trim(word), &number) < 0)
			return -EINVAL;
		if (topic_config_lists(list, number + 1))
			continue;
		list |= (number + 1) << shift;
		shift += 4;
	}
	*ret = list;
	return 0;
}

/* "PARTITION:BROKER". */
static bool is_replica(struct slice word)
{
	const char *colon = memchr(word.ptr, ':', word.len);
	size_t before = colon ? (size_t)(colon - word.ptr) : 0;

	if (before == 0 || before + 1 == word.len)
		return false;
	for (size_t i = 0; i < word.len; i++)
		if (i != before && (word.ptr[i] < '0' || word.ptr[i] > '9'))
			return false;
	return true;
}

static bool has_word(struct slice list, struct slice word)
{
	struct slice each;

	while (take_word(&list, &each))
		if (slice_eq(each, word))
			return true;
	return false;
}

/* Adds those of `list` that are not in `without` to a list; false: it is too long. */
static bool add_words(struct slice list, struct slice without, struct buf *buf)
{
	struct slice word;

	while (take_word(&list, &word)) {
		word = slice_trim(word);
		if (word.len == 0 || has_word(without, word))
			continue;
		if (buf->len > 0)
			buf_add_char(buf, ',');
		buf_add_slice(buf, word);
	}
	return !buf->overflow;
}

/* All replicas, or some; without white space, as leat-topics wants it. */
static int parse_replicas(struct slice text, int64_t *ret)
{
	char memory[SETTING_TEXT_MAX];
	struct buf buf = buf_over(memory, sizeof(memory));
	struct slice rest, word;

	if (!add_words(text, slice_make(NULL, 0), &buf))
		return -ERANGE;
	rest = buf_slice(&buf);
	while (!slice_eq(buf_slice(&buf), SLICE_LITERAL("*")) && take_word(&rest, &word))
		if (!is_replica(word))
			return -EINVAL;
	return setting_text_number(buf_slice(&buf), ret);
}

static void format_list(const char *words, int64_t list, struct buf *buf)
{
	for (bool first = true; list > 0; list >>= 4, first = false) {
		if (!first)
			buf_add_char(buf, ',');
		buf_add_slice(buf, config_word(words, (list & 15) - 1));
	}
}

/* In any case, as with Kafka; other words are read as they are. */
static int parse_boolean(struct slice text, int64_t *ret)
{
	*ret = slice_eq_nocase(text, SLICE_LITERAL("true"));
	return *ret || slice_eq_nocase(text, SLICE_LITERAL("false")) ? 0 : -EINVAL;
}

static int parse_number(struct slice text, int64_t *ret)
{
	bool negative = text.len > 0 && text.ptr[0] == '-';
	int64_t value = 0;

	if (text.len == (size_t)negative)
		return -EINVAL;
	for (size_t i = negative; i < text.len; i++) {
		int digit = text.ptr[i] - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value))
			return -ERANGE;
	}
	if (!negative && value == INT64_MIN)
		return -ERANGE;
	*ret = negative ? value : -value;
	return 0;
}

#define RATIO_DIGITS 9
#define RATIO_ONE    1000000000

/* "0.5", ".5", "1". */
static int parse_ratio(struct slice text, int64_t *ret)
{
	int64_t value = 0, unit = RATIO_ONE;
	bool point = false, digits = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return -EINVAL;
		digits = true;
		if (point)
			unit /= 10;
		if (unit == 0)
			continue; /* finer than it matters */
		value = point ? value + (c - '0') * unit : value * 10 + (c - '0') * unit;
		if (value > 10ll * RATIO_ONE)
			return -ERANGE;
	}
	*ret = value;
	return digits ? 0 : -EINVAL;
}

static void format_ratio(int64_t value, struct buf *buf)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%lld.%0*lld", (long long)(value / RATIO_ONE),
			   RATIO_DIGITS, (long long)(value % RATIO_ONE));

	/* As Java writes it: at least one digit behind the point. */
	while (text[len - 1] == '0' && text[len - 2] != '.')
		len--;
	buf_add_slice(buf, slice_make(text, (size_t)len));
}

static int64_t join_words(int64_t list, int64_t more, bool append)
{
	int64_t result = 0, both = append ? more : 0;
	unsigned shift = 0;

	for (; list > 0 || both > 0; list > 0 ? (list >>= 4) : (both >>= 4)) {
		int64_t word = (list > 0 ? list : both) & 15;

		if (topic_config_lists(result, word) || (!append && topic_config_lists(more, word)))
			continue;
		result |= word << shift;
		shift += 4;
	}
	return result;
}

int topic_config_join(enum topic_config_id id, int64_t list, int64_t more, bool append,
		      int64_t *ret)
{
	char memory[SETTING_TEXT_MAX];
	struct buf buf = buf_over(memory, sizeof(memory));
	bool fits;

	if (topic_configs[id].words) {
		*ret = join_words(list, more, append);
		return 0;
	}
	if (append)
		fits = add_words(setting_text(list), slice_make(NULL, 0), &buf) &&
		       add_words(setting_text(more), setting_text(list), &buf);
	else
		fits = add_words(setting_text(list), setting_text(more), &buf);
	return fits ? parse_replicas(buf_slice(&buf), ret) : -ERANGE;
}

int topic_config_parse(enum topic_config_id id, struct slice text, int64_t *ret)
{
	const struct topic_config_info *info = &topic_configs[id];
	int64_t value = 0;
	int r;

	text = slice_trim(text);
	if (info->kind == TOPIC_CONFIG_LIST)
		r = info->words ? parse_list(info->words, text, &value)
				: parse_replicas(text, &value);
	else if (info->kind == TOPIC_CONFIG_BOOLEAN)
		r = parse_boolean(text, &value);
	else if (info->words)
		r = config_word_parse(info->words, text, &value);
	else if (info->kind == TOPIC_CONFIG_RATIO)
		r = parse_ratio(text, &value);
	else
		r = parse_number(text, &value);
	if (r < 0)
		return r;
	if (value < info->min || value > info->max)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* The least and the most there may be of a unit. */
static void explain_bounds(enum topic_config_id id, int64_t unit, struct buf *buf)
{
	const struct topic_config_info *info = &topic_configs[id];
	int64_t least = info->min, most = info->max;

	if (unit > 1) {
		least = least > 0 ? (least - 1) / unit + 1 : least;
		most /= unit;
	}
	buf_add_text(buf, "is from ");
	topic_config_format(id, least, buf);
	buf_add_text(buf, " to ");
	topic_config_format(id, most, buf);
}

void topic_config_explain(enum topic_config_id id, int64_t unit, struct slice text, int error,
			  struct buf *buf)
{
	const struct topic_config_info *info = &topic_configs[id];

	if (info->min == info->max) {
		buf_add_text(buf, "is always ");
		topic_config_format(id, info->min, buf);
		buf_add_text(buf, " here");
	} else if (info->kind == TOPIC_CONFIG_BOOLEAN) {
		buf_add_text(buf, "is true or false");
	} else if (info->words) {
		buf_printf(buf, "is %s%s",
			   info->kind == TOPIC_CONFIG_LIST ? "a list of " : "one of ", info->words);
	} else if (info->kind == TOPIC_CONFIG_LIST) {
		buf_printf(buf, "is * or a list of PARTITION:BROKER of at most %d bytes",
			   SETTING_TEXT_MAX);
		if (error == -ENOSPC)
			buf_printf(buf, ", %d different ones until the next start",
				   SETTING_TEXTS_MAX);
	} else if (error == -ERANGE) {
		explain_bounds(id, unit, buf);
	} else {
		buf_add_text(buf, "is a number");
	}
	buf_printf(buf, ", not '%.*s'", (int)min_size(text.len, TOPIC_CONFIG_SHOWN), text.ptr);
}

void topic_config_format(enum topic_config_id id, int64_t value, struct buf *buf)
{
	const struct topic_config_info *info = &topic_configs[id];

	if (info->kind == TOPIC_CONFIG_LIST && !info->words)
		buf_add_slice(buf, setting_text(value));
	else if (info->kind == TOPIC_CONFIG_LIST)
		format_list(info->words, value, buf);
	else if (info->kind == TOPIC_CONFIG_RATIO)
		format_ratio(value, buf);
	else if (info->words)
		buf_add_slice(buf, config_word(info->words, value));
	else
		buf_printf(buf, "%lld", (long long)value);
}

void topic_config_init(struct topic_config *ret)
{
	*ret = (struct topic_config){.set = 0};
	for (int id = 0; id < TOPIC_CONFIG_COUNT; id++)
		ret->values[id] = topic_configs[id].preset;
}
