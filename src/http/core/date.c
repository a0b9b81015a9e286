#include "http/core/date.h"

#include <errno.h>

#include "http/core/chars.h"

#define DAY_SECONDS 86400
/* 0000-01-01 00:00:00 and 9999-12-31 23:59:59 */
#define TIME_MIN INT64_C(-62167219200)
#define TIME_MAX INT64_C(253402300799)

static const char weekdays[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
				     "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Days and dates by 400-year eras that begin on 1 March, so that the leap day is the last of its
 * year: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
#define ERA_DAYS   146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t days_of(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - EPOCH_DAYS;
}

static int64_t seconds_of(const struct http_time *time)
{
	return days_of(time->year, time->month, time->day) * DAY_SECONDS + time->hour * 3600 +
	       time->minute * 60 + time->second;
}

void http_time_split(int64_t seconds, struct http_time *ret)
{
	seconds = seconds < TIME_MIN ? TIME_MIN : seconds > TIME_MAX ? TIME_MAX : seconds;

	int64_t days = seconds / DAY_SECONDS;
	int of_day = (int)(seconds % DAY_SECONDS);
	if (of_day < 0) {
		of_day += DAY_SECONDS;
		days--;
	}
	int64_t z = days + EPOCH_DAYS;
	int64_t era = (z >= 0 ? z : z - (ERA_DAYS - 1)) / ERA_DAYS;
	int64_t doe = z - era * ERA_DAYS;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = (int)(doe - (365 * yoe + yoe / 4 - yoe / 100));
	int month = (5 * doy + 2) / 153; /* 0: March */

	ret->day = doy - (153 * month + 2) / 5 + 1;
	ret->month = month < 10 ? month + 3 : month - 9;
	ret->year = (int)(yoe + era * 400) + (ret->month <= 2);
	ret->weekday = (int)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
	ret->hour = of_day / 3600;
	ret->minute = of_day / 60 % 60;
	ret->second = of_day % 60;
}

static char *put_two(char *out, int value)
{
	out[0] = (char)('0' + value / 10);
	out[1] = (char)('0' + value % 10);
	return out + 2;
}

static char *put_four(char *out, int value)
{
	return put_two(put_two(out, value / 100), value % 100);
}

static char *put_text(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

void http_date_format(int64_t seconds, char out[HTTP_DATE_LEN])
{
	struct http_time t;

	http_time_split(seconds, &t);
	out = put_text(out, weekdays[t.weekday], 3);
	out = put_text(out, ", ", 2);
	out = put_two(out, t.day);
	*out++ = ' ';
	out = put_text(out, months[t.month - 1], 3);
	*out++ = ' ';
	out = put_four(out, t.year);
	*out++ = ' ';
	out = put_two(out, t.hour);
	*out++ = ':';
	out = put_two(out, t.minute);
	*out++ = ':';
	out = put_two(out, t.second);
	put_text(out, " GMT", 4);
}

void http_minute_format(int64_t seconds, char out[HTTP_MINUTE_LEN])
{
	struct http_time t;

	http_time_split(seconds, &t);
	out = put_four(out, t.year);
	*out++ = '-';
	out = put_two(out, t.month);
	*out++ = '-';
	out = put_two(out, t.day);
	*out++ = ' ';
	out = put_two(out, t.hour);
	*out++ = ':';
	put_two(out, t.minute);
}

/* ---- reading: each take_ eats from the front of *text, or says false ---- */

static bool take(struct slice *text, const char *literal)
{
	struct slice s = slice_of(literal);

	if (!slice_starts_with(*text, s))
		return false;
	text->ptr += s.len;
	text->len -= s.len;
	return true;
}

static bool take_digits(struct slice *text, size_t count, int *ret)
{
	int value = 0;

	if (text->len < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!http_is(text->ptr[i], HTTP_DIGIT))
			return false;
		value = value * 10 + (text->ptr[i] - '0');
	}
	text->ptr += count;
	text->len -= count;
	*ret = value;
	return true;
}

static bool take_month(struct slice *text, int *ret)
{
	for (int i = 0; i < 12; i++) {
		if (take(text, months[i])) {
			*ret = i + 1;
			return true;
		}
	}
	return false;
}

/* A whole name, or its first three letters. */
static bool take_weekday(struct slice *text, bool *ret_long)
{
	for (int i = 0; i < 7; i++) {
		if (take(text, weekdays[i])) {
			*ret_long = true;
			return true;
		}
		if (slice_starts_with(*text, slice_make(weekdays[i], 3))) {
			text->ptr += 3;
			text->len -= 3;
			*ret_long = false;
			return true;
		}
	}
	return false;
}

static bool take_clock(struct slice *text, struct http_time *t)
{
	return take_digits(text, 2, &t->hour) && take(text, ":") &&
	       take_digits(text, 2, &t->minute) && take(text, ":") &&
	       take_digits(text, 2, &t->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool take_imf(struct slice *text, struct http_time *t)
{
	return take(text, ", ") && take_digits(text, 2, &t->day) && take(text, " ") &&
	       take_month(text, &t->month) && take(text, " ") && take_digits(text, 4, &t->year) &&
	       take(text, " ") && take_clock(text, t) && take(text, " GMT");
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool take_rfc850(struct slice *text, struct http_time *t)
{
	return take(text, ", ") && take_digits(text, 2, &t->day) && take(text, "-") &&
	       take_month(text, &t->month) && take(text, "-") && take_digits(text, 2, &t->year) &&
	       take(text, " ") && take_clock(text, t) && take(text, " GMT");
}

/* "Sun Nov  6 08:49:37 1994" */
static bool take_asctime(struct slice *text, struct http_time *t)
{
	if (!take(text, " ") || !take_month(text, &t->month) || !take(text, " "))
		return false;
	if (take(text, " ") ? !take_digits(text, 1, &t->day) : !take_digits(text, 2, &t->day))
		return false;
	return take(text, " ") && take_clock(text, t) && take(text, " ") &&
	       take_digits(text, 4, &t->year);
}

static bool exists(const struct http_time *t)
{
	static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
	int last = days[t->month - 1] + (t->month == 2 && leap);

	/* 60: a leap second, RFC 5322 has them */
	return t->day >= 1 && t->day <= last && t->hour < 24 && t->minute < 60 && t->second <= 60;
}

/* Two digits: of this century, or of the last if that is more than 50 years ahead. */
static void complete_year(struct http_time *t, int64_t now)
{
	struct http_time limit;

	http_time_split(now, &limit);
	t->year += limit.year / 100 * 100;
	limit.year += 50;
	if (seconds_of(t) > seconds_of(&limit) && t->year >= 100)
		t->year -= 100;
}

int http_date_parse(struct slice text, int64_t now, int64_t *ret)
{
	struct http_time t = {0};
	bool long_name, good;

	if (!take_weekday(&text, &long_name))
		return -EINVAL;
	if (long_name)
		good = take_rfc850(&text, &t);
	else if (text.len && *text.ptr == ',')
		good = take_imf(&text, &t);
	else
		good = take_asctime(&text, &t);
	if (!good || text.len)
		return -EINVAL;
	if (long_name)
		complete_year(&t, now);
	if (!exists(&t))
		return -EINVAL;
	*ret = seconds_of(&t);
	return 0;
}
