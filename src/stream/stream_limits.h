/* The limits of streams, each with its reason. */
#ifndef STREAM_STREAM_LIMITS_H
#define STREAM_STREAM_LIMITS_H

/* Small things that leave together in one send: a socket's buffer is 16 KiB at first and grows. */
#define STREAM_BUFFER_BYTES (32u * 1024u)
/* Queues kept for the next use, a loop: more are in use only in front of slow peers, and then their
 * memory should go back. */
#define STREAM_SPARE_MAX 64u
/* Steps of one stream before the others have their turn. */
#define STREAM_STEPS 16
/* Bytes of one stream before the others have their turn: as much as one call moves, a third of a
 * millisecond of CPU. While small things go out too, a small one waits for the turns of all large
 * ones before it, so they are shorter then, at the price of more calls. */
#define STREAM_TURN_BYTES       (1024u * 1024u)
#define STREAM_TURN_MIXED_BYTES (128u * 1024u)
/* So long after something small has left. */
#define STREAM_TURN_MIXED_MS 100u

/* A link's receive. Copying costs what splicing does up to messages of this size, and less calls; a
 * receive that fills it means that one receive no longer empties the socket. */
#define STREAM_LINK_BYTES (16u * 1024u)
/* Turns in a row in which splicing moved less: then it is messages again. */
#define STREAM_LINK_SHORTS 3u

#endif
