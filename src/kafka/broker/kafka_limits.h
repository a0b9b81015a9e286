/*
 * The limits of the Kafka broker that are no settings of Kafka's, each with its reason. What Kafka
 * has a name for stands in config.h.
 */
#ifndef KAFKA_BROKER_KAFKA_LIMITS_H
#define KAFKA_BROKER_KAFKA_LIMITS_H

/* Received in one call; requests that are in it whole are answered from there. Larger ones get a
 * buffer of their own. One such buffer a loop. */
#define KAFKA_RECV_BYTES (128u * 1024u)
/* After a large request another is likely: of that only so much is received into the loop's buffer
 * (and copied), the rest goes straight into its own. */
#define KAFKA_RECV_FIRST (8u * 1024u)
/* Buffers of such requests, up to what clients send by default (1 MiB of records), have one of these
 * sizes and are kept for the next ones: from malloc() anew each would cost a fault for every page.
 * Those that nobody needed for KAFKA_MAINTAIN_MS go. */
#define KAFKA_REQUEST_SIZES                               \
	{                                                 \
		256u * 1024u, 512u * 1024u, 1088u * 1024u \
	}
#define KAFKA_REQUEST_SIZES_MAX 3u
/* As many, of each size, a loop. */
#define KAFKA_REQUEST_SPARE_MAX 8u
/* Answers that leave together in one send. What is larger goes by itself. */
#define KAFKA_OUT_BYTES (64u * 1024u)
/* Structs of a request and its answer. What needs more gets memory of its own, for the request at most
 * KAFKA_WORK_FACTOR times what was received (the smallest element of an array takes 2 bytes on the
 * wire, an empty array, flexible, and some 80 in memory), and half of KAFKA_WORK_BYTES_MAX; the rest
 * is for the answer. */
#define KAFKA_WORK_BYTES     (256u * 1024u)
#define KAFKA_WORK_FACTOR    128u
#define KAFKA_WORK_BYTES_MAX (256u * 1024u * 1024u)
/* Elements of arrays, of a request and of what is told for them, that a loop handles at once, in one
 * turn of a connection: a millisecond or two. What has more is done by a helper, which looks whether
 * anybody still waits for it each time it has handled KAFKA_ELEMENTS_A_STEP. */
#define KAFKA_ELEMENTS_ON_LOOP 2048u
#define KAFKA_ELEMENTS_A_STEP  1024u
/* A request for a helper that has more bytes than this is taken for one of so many elements. */
#define KAFKA_HEAVY_BYTES (16u * 1024u)
/* Of a fetch, whose partitions may become those of a session, which are its loop's: four milliseconds,
 * once for each session. */
#define KAFKA_FETCH_ELEMENTS_ON_LOOP 8192u
/* No request has more: its reading can't be stopped, and takes a helper a tenth of a second or two.
 * Kafka has no such limit, and no client that is known comes near. */
#define KAFKA_ELEMENTS_MAX (1024u * 1024u)
/* The least that is taken at once of such memory: below what malloc gives a mapping of its own. */
#define KAFKA_CHUNK_BYTES (16u * 1024u)
/* Of all incomplete requests above KAFKA_RECV_BYTES together, as they announce themselves: five of
 * the largest that Kafka allows by default. Beyond it connections wait before they are read on. */
#define KAFKA_REQUESTS_BYTES (512ull * 1024u * 1024u)
/* Of all answers above KAFKA_OUT_BYTES together, without the records in them, until their clients have
 * taken them: each is read at once by whoever wants it. Beyond it connections are closed. */
#define KAFKA_ANSWERS_BYTES (512ull * 1024u * 1024u)
/* Of smaller ones together, and of those that wait for a helper, in the same way: as much for each of some
 * thousand connections as one sends at once. What has come already, of those that find no more room, may be
 * as much again (KAFKA_RECV_FIRST each); then connections are closed. */
#define KAFKA_SMALL_REQUESTS_BYTES (64ull * 1024u * 1024u)
/* How long a connection that had to wait for that memory sleeps before it asks again. */
#define KAFKA_HUNGRY_MS 20u
/* While so much of a request comes in such a time, its memory stays its own. Else it keeps what has
 * come, and room for half as much as this, and asks again when that is full: who announces much and
 * sends little must not keep others waiting. */
#define KAFKA_GETS_ON_BYTES KAFKA_RECV_BYTES
#define KAFKA_GETS_ON_MS    1000u
/* A request that has begun must come to its end: in so long, and what its bytes take at so many in a
 * millisecond (a slow modem), however they are spread. */
#define KAFKA_REQUEST_MS   30000u
#define KAFKA_REQUEST_RATE 8u
/* Bytes for one connection before the others have their turn: with as few calls as may be where all
 * of them want much; and where one of the others had a small answer just now, which does not want to
 * wait, some 40 us of work. */
#define KAFKA_TURN_BYTES       (1024u * 1024u)
#define KAFKA_TURN_MIXED_BYTES (128u * 1024u)
#define KAFKA_TURN_MIXED_MS    20u
/* Of what a fetch may hold while it waits: some 40,000 partitions. One that has more is answered with
 * what there is. */
#define KAFKA_WAIT_BYTES_MAX (16u * 1024u * 1024u)
/* Calls and the like kept for the next use, each kind, a loop. */
#define KAFKA_SPARE_MAX 64u
/* Partitions of a fetch or produce request for which memory lies ready. */
#define KAFKA_INLINE_PARTITIONS 16u
/* So much has been freed, and then no more than the other within KAFKA_MAINTAIN_MS: the load is over, and
 * the memory goes back to the kernel. While it lasts it would be wanted again at once. */
#define KAFKA_TRIM_BYTES      (16u * 1024u * 1024u)
#define KAFKA_TRIM_IDLE_BYTES (1024u * 1024u)
/* How often what has its time is done: retention, checkpoints, offsets that expire. */
#define KAFKA_MAINTAIN_MS 1000u
/* Of one member: clients name those that they know to assign partitions by, a handful. */
#define KAFKA_GROUP_PROTOCOLS_MAX 256
/* Producer ids that are taken from the store at once: each taking is a write to disk. */
#define KAFKA_PRODUCER_IDS 1000
/* Partitions of one topic that a client may ask for: each is a folder with open files. */
#define KAFKA_PARTITIONS_MAX 10000
/* Changes of topics between which others have their turn: so many share one writing of the list of topics,
 * and so many new partitions, each of which is a folder with two syncs, 32 at once. */
#define KAFKA_CHANGES_A_STEP    64u
#define KAFKA_PARTITIONS_A_STEP 256
/* What the records of one batch may come to when they are expanded: a request of Kafka's default
 * limit (100 MiB) could not carry more if they were not compressed, and consumers by librdkafka give
 * up at 100 MB. A batch that comes to more is too large (MESSAGE_TOO_LARGE); Java's producers divide
 * it then. */
#define KAFKA_EXPANDED_BATCH_MAX (128u * 1024u * 1024u)
/* And those of all batches of a request: a helper has a second or two to do for it. */
#define KAFKA_EXPANDED_REQUEST_MAX (1024u * 1024u * 1024u)
/* A loop expands so many bytes of a request itself, or as many as they come to, and leaves more to a
 * helper. That takes it 120 us with gzip, which is the slowest, and 60 with zstd
 * (bench/kafka-expand); a helper costs 30 us of CPU time for it, and 50 until it has begun and ended.
 */
#define KAFKA_EXPAND_ON_LOOP   (16u * 1024u)
#define KAFKA_EXPANDED_ON_LOOP (128u * 1024u)
/* Expanders that are kept: a few for loops, the rest for helpers, of which there are 8. */
#define KAFKA_EXPANDERS_IDLE 16u

#endif
