/*
 * Sending a connection's flight: memory by one send, memory and file ranges by a chain.
 */
#ifndef HTTP_HTTP_SEND_H
#define HTTP_HTTP_SEND_H

#include "http/core/range.h"
#include "http/http_conn.h"

enum http_sent {
	HTTP_SENT_ALL,    /* the flight is gone */
	HTTP_SENT_SOME,   /* the socket is full, a helper loads, or the turn is over */
	HTTP_SENT_FAILED, /* close the connection */
};

enum http_sent http_send(struct http_conn *c);
/* Ends the flight, sent or not. */
void http_flight_free(struct http_conn *c);

/* What is in the flight's buffer, and then this, goes by a chain. 0 or -errno. The flight owns
 * `entry`'s reference and `list` from now on, also on failure. */
int http_flight_add_file(struct http_conn *c, struct file_entry *entry, uint64_t offset,
			 uint64_t length);
/* The same, where helpers read the file. */
int http_flight_add_body(struct http_conn *c, struct file_entry *entry, uint64_t offset,
			 uint64_t length);
/* What a helper did for the flight. False: it failed. */
bool http_flight_resume(struct http_conn *c, struct http_job *job);
/* The chain that the flight would have: to be asked what it would do. */
void http_flight_chain(struct http_conn *c, struct leat_chain *ret);
/* Parts: before the bytes of range i stands what is in the flight's buffer up to text_ends[i], from
 * the text before it ended; behind the last, the rest. */
int http_flight_add_parts(struct http_conn *c, struct file_entry *entry,
			  const struct http_ranges *ranges, const size_t *text_ends);
/* The list's piece, and those that follow until it is done. */
int http_flight_add_list(struct http_conn *c, struct dir_list *list);

#endif
