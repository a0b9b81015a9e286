/*
 * Cold ranges on the loop itself: how fast devices have shown to be.
 *
 * A helper that reads what is not in memory costs a hand-over there and back, and, where it shares the
 * loop's CPU, the loop's time as well: small answers wait for it. From a fast disk 64 KiB come sooner
 * than a helper gets to run. So a loop sends up to HTTP_COLD_BYTES a turn of what is cold by itself,
 * and waits for them, but only
 *
 *   - from a local file system (file_system.h): others may hang;
 *   - from a device whose last reading was fast: helpers time what they load, loops what they wait
 *     for; a slow one sends the device back to the helpers, whose next fast load brings it back;
 *   - one connection a turn: the others' small answers wait for one such piece at most.
 *
 * The loop's own, no locks.
 */
#ifndef HTTP_HTTP_COLD_H
#define HTTP_HTTP_COLD_H

#include <stdbool.h>
#include <stdint.h>

/* What a loop waits for at once; sendfile(2) moves no more through its own pipe at a time. */
#define HTTP_COLD_BYTES (64u * 1024u)
/* For so much. A disk that gives 1 GB/s needs 64 us; what takes longer is a disk that seeks, or one
 * that others keep busy. */
#define HTTP_COLD_FAST_NS 500000u
/* Of a loop's own waiting a longer time is forgiven: it may have been switched away. */
#define HTTP_COLD_LATE_NS 2000000u

#define HTTP_COLD_DEVICES 8u

struct http_cold {
	struct {
		uint64_t device;
		bool fast;
	} devices[HTTP_COLD_DEVICES]; /* by number; those that don't fit replace each other */
	uint64_t turn;                /* in which the loop has waited: loop_turns() */
};

bool http_cold_is_fast(const struct http_cold *cold, uint64_t device);
/* A helper has read so much in so long. */
void http_cold_loaded(struct http_cold *cold, uint64_t device, uint64_t bytes, uint64_t ns);
/* The loop has waited so long for one piece. */
void http_cold_waited(struct http_cold *cold, uint64_t device, uint64_t ns);

#endif
