/*
 * HTTP dates (RFC 9110 5.6.7): written as IMF-fixdate, read in all three forms. Seconds since 1970,
 * UTC, proleptic Gregorian calendar, years 0 to 9999; no time zone data, no locale, no libc time.
 */
#ifndef HTTP_CORE_DATE_H
#define HTTP_CORE_DATE_H

#include "base/slice.h"

#define HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

struct http_time {
	int year;    /* 0 to 9999 */
	int month;   /* 1 to 12 */
	int day;     /* 1 to 31 */
	int weekday; /* 0: Sunday */
	int hour, minute, second;
};

/* Times outside of the years 0 to 9999 are moved to the nearest one inside. */
void http_time_split(int64_t seconds, struct http_time *ret);

/* Not terminated. */
void http_date_format(int64_t seconds, char out[HTTP_DATE_LEN]);

/* IMF-fixdate, RFC 850 and asctime form. `now` decides the century of RFC 850's two-digit years: no
 * date is more than 50 years in the future. The weekday must be one, but is not held against the
 * date. 0 or -EINVAL. */
int http_date_parse(struct slice text, int64_t now, int64_t *ret);

/* "2026-11-22 20:38": for listings. */
#define HTTP_MINUTE_LEN 16
void http_minute_format(int64_t seconds, char out[HTTP_MINUTE_LEN]);

#endif
