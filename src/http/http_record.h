/*
 * What becomes of the answers: their lines in the access log, and how long they took.
 *
 * An answer is a record from answer_commit() until its flight is over, which mostly is in the same
 * turn: the request still stands in the loop's receive buffer, so a record is slices and offsets,
 * and the line is made once, when all is known of it. Where the flight outlives the turn (a slow
 * peer, a cold file), http_record_keep() makes the lines of what left in the buffer, and copies
 * what the line of the last answer, the one that goes by a chain, will need (struct http_saved).
 *
 * The bytes of an answer are what the flight sent between the end of its header and its own end.
 * The time of an answer is from the turn in which its request was received whole to the last byte
 * with the kernel. The clock is read once a turn with requests in it, and once a flight: 50 ns
 * where clock_gettime() needs no system call, for all the answers that leave together.
 *
 * One loop's thread.
 */
#ifndef HTTP_HTTP_RECORD_H
#define HTTP_HTTP_RECORD_H

#include "http/access_log.h"
#include "http/core/address.h"
#include "http/core/log_pattern.h"
#include "http/http_conn.h"

struct http_record {
	struct slice line, referer, user_agent;
	struct slice fields[HTTP_LOG_FIELDS_MAX]; /* of the pattern */
	struct http_address client;
	uint32_t body_at, end; /* in the flight's buffer */
	int status;
};

/* Of an answer whose flight goes on after the turn. */
struct http_saved {
	struct http_record record;
	bool large;
	char text[];
};

/* One a loop, where there is an access log. */
struct http_recorder {
	struct access_log_ring *ring;
	enum http_log_format format;
	const struct http_log_pattern *pattern; /* of HTTP_LOG_OWN */
	struct http_log_time time, iso;         /* the latter of HTTP_LOG_OWN */
	struct spare saved_small, saved_large;
	unsigned count;
	struct http_record records[HTTP_RECORDS_MAX];
	char line[HTTP_LOG_LINE_MAX];
};

/* -ENOMEM. */
int http_recorder_new(struct access_log *log, enum http_log_format format,
		      const struct http_log_pattern *pattern, struct http_recorder **ret);
/* NULL is fine. The ring is the log's. */
void http_recorder_free(struct http_recorder *recorder);

/* The request's bytes have just been received. */
void http_record_received(struct http_conn *c);
/* An answer stands in the flight's buffer from `start` to its end; its body begins at `body_at`, 0:
 * behind the first empty line. `request` NULL: there is only a line. */
void http_record_answer(struct http_conn *c, const struct http_request *request, struct slice line,
			int status, size_t start, size_t body_at);
/* The turn ends, the requests are about to be overwritten. */
void http_record_keep(struct http_conn *c);
/* The flight is over, sent or not. */
void http_record_flight(struct http_conn *c);

#endif
