#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char units[] = "kMGTPE";

const char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
	uint64_t scale = 1024, whole, tenths;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT_MAX, "%u B", (unsigned)bytes);
		return text;
	}
	while (unit + 1 < sizeof(units) - 1 && bytes / scale >= 1024) {
		scale *= 1024;
		unit++;
	}
	/* The remainder is scaled down first where times ten would overflow. */
	whole = bytes / scale;
	tenths = ((bytes % scale) / (scale / 1024) * 10 + 512) / 1024;
	if (tenths == 10) {
		whole++;
		tenths = 0;
	}
	if (whole == 1024 && unit + 1 < sizeof(units) - 1) {
		whole = 1;
		unit++;
	}
	snprintf(text, SIZE_TEXT_MAX, "%u.%u %ciB", (unsigned)whole, (unsigned)tenths,
		 unit == 0 ? 'K' : units[unit]);
	return text;
}

/* The power of 1024 that `*suffix` names, which is moved behind it; 0 for none. */
static unsigned take_unit(const char **suffix)
{
	const char *found;

	if (**suffix == '\0')
		return 0;
	for (found = units; *found; found++) {
		if (strncasecmp(found, *suffix, 1) == 0) {
			(*suffix)++;
			return (unsigned)(found - units) + 1;
		}
	}
	return 0;
}

/* *text is moved behind the digits. -EINVAL: there are none; -ERANGE. */
static int take_number(const char **text, uint64_t *ret)
{
	const char *c = *text;
	uint64_t value = 0;

	for (; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
			return -ERANGE;
	if (c == *text)
		return -EINVAL;
	*text = c;
	*ret = value;
	return 0;
}

int number_parse(const char *text, uint64_t *ret)
{
	const char *c = text;
	uint64_t value;
	int r = take_number(&c, &value);

	if (r < 0)
		return r;
	if (*c)
		return -EINVAL;
	*ret = value;
	return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	const char *c = text;
	uint64_t value;
	unsigned power;
	int r = take_number(&c, &value);

	if (r < 0)
		return r;
	power = take_unit(&c);
	if (strcmp(c, "") != 0 && strcmp(c, "B") != 0 && !(power > 0 && strcmp(c, "iB") == 0))
		return -EINVAL;
	while (power-- > 0)
		if (__builtin_mul_overflow(value, UINT64_C(1024), &value))
			return -ERANGE;
	*ret_bytes = value;
	return 0;
}

int duration_parse(const char *text, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} durations[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	const char *c = text;
	uint64_t value;
	size_t i;
	int r = take_number(&c, &value);

	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(durations); i++)
		if (strcmp(c, durations[i].name) == 0)
			break;
	if (i == ARRAY_SIZE(durations))
		return -EINVAL;
	if (__builtin_mul_overflow(value, durations[i].ms, &value))
		return -ERANGE;
	*ret_ms = value;
	return 0;
}
