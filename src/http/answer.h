/*
 * Making one answer: what http_answer.c and the files of answer_*.c share.
 *
 *     http_answer.c      which method and path, and everything that has no file behind it
 *     answer_file.c      a file: conditions, one range, the whole
 *     answer_parts.c     several ranges of it
 *     answer_explain.c   how its body goes
 *     answer_directory.c an index file or a listing
 *
 * Each attempt writes behind what the flight holds already, and only a whole answer moves the
 * flight's end (answer_commit()): an attempt that has no room, or has to wait for a helper, leaves
 * no trace.
 */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include "http/core/path.h"
#include "http/core/range.h"
#include "http/http_send.h"

struct answer {
	struct http_conn *c;
	const struct http_request *request;
	struct http_flight *flight;
	struct http_writer w;
	enum http_connection connection;
	const char *date;
	bool keep;
	bool head;            /* HEAD: no body */
	struct slice line;    /* of the request, for the log */
	size_t header_length; /* where it is known; else 0 */
};

/* The site that is served. */
const struct http_site *answer_site(const struct answer *a);

/* The header, or all of the answer, is written: it counts from here on. */
enum http_answered answer_commit(struct answer *a, int status);

/* A page that says what is wrong. `extra`: finished header lines, or empty. */
enum http_answered answer_error(struct answer *a, int status, struct slice detail,
				struct slice extra);
enum http_answered answer_status(struct answer *a, int status);
/* Says why there is no file. */
enum http_answered answer_errno(struct answer *a, int error);

/* A file that answer_get_file() was -EINPROGRESS for. */
enum http_answered answer_submit_file(struct answer *a, struct slice path, enum http_coding coding,
				      struct file_ask *ask);
/* Gives the job to a helper; the request is answered when it is done. `job` NULL: no memory. */
enum http_answered answer_submit(struct answer *a, struct http_job *job, struct slice path);
/* What the helper found, taken over. */
struct http_found answer_take_found(struct http_conn *c);

/* With a reference. -EINPROGRESS: a helper has to be asked: answer_submit_file(), which takes what
 * is in *ret_ask. */
int answer_get_file(struct http_conn *c, struct slice path, struct file_entry **ret,
		    struct file_ask *ret_ask);
int answer_get_coded(struct http_conn *c, struct slice path, enum http_coding coding,
		     struct file_entry **ret, struct file_ask *ret_ask);

/* Takes the reference. */
enum http_answered answer_file(struct answer *a, struct file_entry *entry);

/* Last-Modified, ETag, Accept-Ranges, Vary, the operator's lines: what a 200, a 206 and a 304 have
 * in common. Accept-Ranges is about the resource, not about this answer's bytes (RFC 9110 14.3): a
 * 206 has it as Apache's has, since there are clients that look at the first answer they get,
 * whichever; a 304 may have it, and changes nothing in what a cache has kept of the 200. */
void answer_put_validators(const struct answer *a, const struct file_entry *entry,
			   struct http_writer *w);
/* Server-Timing, if it is wanted. The lengths are those of the body's pieces. */
void answer_put_explain(struct answer *a, const struct file_entry *entry, uint64_t shortest,
			uint64_t longest, struct http_writer *w);
/* 200. Takes the reference. */
enum http_answered answer_whole(struct answer *a, struct file_entry *entry);
/* 206 with several ranges. Takes the reference. */
enum http_answered answer_parts(struct answer *a, struct file_entry *entry,
				const struct http_ranges *ranges);

/* `path` lies in `buf`, which has room for the index's name behind it, and is overwritten. */
enum http_answered answer_directory(struct answer *a, const struct http_path *path, char *buf,
				    size_t size);

#endif
