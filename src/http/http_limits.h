/*
 * The limits of the HTTP server, in one place, each with its reason. What the parser limits (line,
 * header block, number of headers) stands with the parser in http/core.
 */
#ifndef HTTP_HTTP_LIMITS_H
#define HTTP_HTTP_LIMITS_H

/* ---- deadlines, milliseconds ---- */

/* A request that has begun must be complete: a person's slow line takes seconds, a slow-header
 * attack takes for ever. Not moved by further bytes. */
#define HTTP_HEADER_MS 30000u
/* Between requests: browsers keep connections for 60 to 115 s and ask again within seconds; nginx
 * has 75 s, and an idle connection costs little here. */
#define HTTP_IDLE_MS 75000u
/* Without one byte taken by the peer: TCP's own retransmissions have backed off to tens of seconds
 * by then. Moved by each progress. */
#define HTTP_WRITE_MS 60000u
/* A request body that is thrown away. */
#define HTTP_BODY_MS 30000u
/* After an error: how long the peer may go on sending before the answer counts as read. */
#define HTTP_LINGER_MS 5000u

/* ---- a connection ---- */

/* Received in one call, and the longest request with what was pipelined behind it: a request line
 * of 8 KiB and a header block of 32 KiB fit with room for a burst of pipelined requests. One such
 * buffer a loop. */
#define HTTP_RECV_BYTES (64u * 1024u)
/* What a connection keeps of a request that is not complete: one packet mostly, at times more. */
#define HTTP_KEEP_SMALL 2048u
#define HTTP_KEEP_LARGE HTTP_RECV_BYTES
/* Answers that leave together in one send. A socket buffer is 16 KiB at first and grows. */
#define HTTP_OUT_BYTES (32u * 1024u)
/* The header block of an answer: Content-Type is bounded, the operator's own lines are, the rest
 * is short. */
#define HTTP_HEADER_BYTES (4u * 1024u)
/* What --header and --cache-control add to it, all together. */
#define HTTP_OWN_HEADER_BYTES 2048u
/* A redirect's Location: a path of 4 KiB with every byte escaped, and a query. */
#define HTTP_LOCATION_BYTES (24u * 1024u)
/* Bytes for one connection before the others have their turn: as much as one call moves, a third
 * of a millisecond of CPU. While small answers go out too, a small one waits for the turns of all
 * large ones before it, so they are shorter then, at the price of more calls. */
#define HTTP_TURN_BYTES       (1024u * 1024u)
#define HTTP_TURN_MIXED_BYTES (128u * 1024u)
/* So long after a small answer. */
#define HTTP_TURN_MIXED_MS 100u
/* A request body that nobody wants is read and dropped up to this, so that the connection can go
 * on; beyond it closing is cheaper. */
#define HTTP_BODY_DROP_MAX (64u * 1024u)
/* While lingering: a peer that goes on sending is cut off after this many bytes. */
#define HTTP_LINGER_BYTES (256u * 1024u)
/* Buffers kept for the next use, each kind, a loop: more than this many answers are in flight only
 * in front of slow peers, and then their memory should go back. */
#define HTTP_SPARE_MAX 64u

/* ---- the file cache, each loop its own ---- */

/* Bodies up to this size live in memory and are copied behind their header into one send; larger
 * ones go by sendfile. Measured with wrk over loopback, sendfile to copying, CPU time of the server
 * per request: 12 KiB 1.12, 20 KiB 1.06, 32 KiB 1.01, 48 KiB 0.85, 64 KiB (bare calls) 0.75. A
 * network card makes copies dearer, and so do more files than the CPU's caches hold; on the other
 * side each file above this needs a descriptor. */
#define HTTP_BODY_CACHE_MAX (HTTP_OUT_BYTES - HTTP_HEADER_BYTES)
/* Entries, bytes of bodies, and open descriptors (files above HTTP_BODY_CACHE_MAX; for all loops
 * together also bounded by a quarter of the descriptor limit). A site of 50,000 small files stays
 * cached; the memory is taken only as entries come. */
#define HTTP_CACHE_ENTRIES 65536u
#define HTTP_CACHE_BYTES   (128u * 1024u * 1024u)
#define HTTP_CACHE_FDS     4096u
/* Directories watched; the kernel gives a user 8192 watches at least, for all his processes. */
#define HTTP_CACHE_WATCHES 16384u
/* An entry older than this is compared with the file system before it is used: stores through a
 * shared mapping, mounts, and edits through a hard link made later send no event. */
#define HTTP_CACHE_FRESH_MS 1000u

/* How long a helper waits for another program to give up its lease of a file. */
#define HTTP_LEASE_MS 1000u
/* What a helper reads at once of a file whose file system may wait: what FUSE asks of its daemon at
 * once (128 KiB), and what a slow client keeps in memory. */
#define HTTP_BODY_PIECE (128u * 1024u)

/* ---- the access log ---- */

/* Lines of one loop that the writer has not written yet: 80 ms of 100,000 requests a second. The
 * writer is woken at the half, so this is for a machine that does not let it run at once, and for a
 * disk that hangs. */
#define ACCESS_LOG_RING_BYTES (1024u * 1024u)
/* How long the first line waits for others. */
#define ACCESS_LOG_FLUSH_MS 200
/* After a write that failed; the second while a ring is more than half full. */
#define ACCESS_LOG_RETRY_MS 1000
#define ACCESS_LOG_HURRY_MS 20
/* At the end: for a disk that hangs. */
#define ACCESS_LOG_END_MS 5000u
/* Answers of one turn whose lines are made when they are sent; further ones when they are made. */
#define HTTP_RECORDS_MAX 64u

/* ---- listings ---- */

/* What is made and sent at once. The peer has HTTP_WRITE_MS for each: 1 KiB a second. */
#define HTTP_LISTING_PIECE (64u * 1024u)
/* Names in memory, about 40 bytes each: of one listing, and of all together. Half a million names
 * are sorted as a whole within 20 MiB; what does not fit is sorted in parts. */
#define HTTP_LISTING_BYTES  (64u * 1024u * 1024u)
#define HTTP_LISTINGS_BYTES (256u * 1024u * 1024u)
/* So much each listing gets, whatever the others have: parts of thousands of names. */
#define HTTP_LISTING_BYTES_MIN (256u * 1024u)
/* Listings under way that are larger than a piece, each with an open directory and at most 0.4 MiB
 * besides the above. Further ones get 503: they can't wait behind peers who read slowly. */
#define HTTP_LISTINGS_MAX 256u
/* What Retry-After says with each 503, seconds. */
#define HTTP_RETRY_AFTER "5"

#endif
