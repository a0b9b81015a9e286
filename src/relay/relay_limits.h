/* The limits and deadlines of the relay, each with its reason. */
#ifndef RELAY_RELAY_LIMITS_H
#define RELAY_RELAY_LIMITS_H

/* One attempt to connect: a packet lost twice costs 3 s (RFC 6298: 1 s, then 2). */
#define RELAY_CONNECT_MS 5000u
/* No byte in either direction. Databases and shells are silent for long; what is dead is found by
 * keepalive, not by this. */
#define RELAY_IDLE_MS 3600000u
/* The same after one direction has ended: a peer that went without a word would hold the other for
 * the whole idle time. */
#define RELAY_HALF_CLOSE_MS 30000u
/* Attempts for one connection, the first included. */
#define RELAY_TRIES 4u
/* Before a peer is tried again for the same connection, when all have been tried. */
#define RELAY_AGAIN_MS 1000u
/* Silent for so long, a peer is asked by TCP whether it is there; nine times, 75 s apart, is the
 * kernel's own patience (tcp(7)). */
#define RELAY_KEEPALIVE_S 60
/* Failures in a row after which a target is down, and for how long. */
#define RELAY_FAILS_MAX 3u
#define RELAY_DOWN_MS   10000u
/* A reset would drop what the other side had sent before and the client has not got yet: so long it
 * may take to get that. */
#define RELAY_FLUSH_MS 5000u
/* How often it is looked whether it has. */
#define RELAY_FLUSH_LOOK_MS 10u
/* Pairs kept for the next use, a loop. */
#define RELAY_SPARE_MAX 64u

#endif
