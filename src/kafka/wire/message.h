/*
 * Kafka's messages in C: what the structs of messages.h are made of, and how they are read and
 * written.
 *
 * tools/kafka-gen makes the structs and, for each, a table of its fields; decode.c and encode.c
 * walk the tables. So one decoder stands for all messages and versions, and what is proven of it
 * (that it never reads beyond its input, never takes more than its arena, always ends) is proven of
 * all.
 *
 * Decoding is zero-copy: strings, bytes and records are slices of the input, which must outlive the
 * struct; arrays and optional structs are taken from the arena. A slice whose ptr is NULL is null,
 * an array whose count is -1, an optional struct whose pointer is NULL.
 *
 * Pure; any thread.
 */
#ifndef KAFKA_WIRE_MESSAGE_H
#define KAFKA_WIRE_MESSAGE_H

#include "base/arena.h"
#include "base/slice.h"

struct kafka_uuid {
	uint8_t bytes[16];
};

/* What an array member looks like to the tables. */
struct kafka_array {
	void *at;
	int32_t count;
};

/* Those of a fixed size first. */
enum kafka_kind {
	KAFKA_BOOL,
	KAFKA_INT8,
	KAFKA_INT16,
	KAFKA_INT32,
	KAFKA_INT64,
	KAFKA_UUID,
	KAFKA_STRING,
	KAFKA_BYTES,
	KAFKA_RECORDS,
	KAFKA_STRUCT,
};

struct kafka_field {
	const char *name;
	enum kafka_kind kind; /* of the elements, where it is an array */
	bool array;
	int8_t tag;                   /* -1: stands in line */
	int8_t first, last;           /* the versions that have it; 127: and all later */
	int8_t null_first, null_last; /* in which it may be null; first > last: never */
	uint16_t offset;
	bool is_error;                 /* an int16 that is one of Kafka's error codes */
	const struct kafka_struct *of; /* KAFKA_STRUCT */
	int64_t preset; /* the default: a number, or -1 for null where that is none */
};

struct kafka_struct {
	const struct kafka_field *fields; /* those in line, then those with tags */
	uint16_t plain, tagged;
	uint16_t wire_min; /* no version takes fewer bytes for one */
	uint16_t size;
};

/* A request, a response or a stored record: decode and encode it by its own functions. */
struct kafka_message {
	const char *name;
	const struct kafka_struct *root;
	int8_t first, last; /* the versions there are */
	int8_t flexible;    /* the first flexible one; 127: none */
};

/* All there are, for tests and tools. */
extern const struct kafka_message *const kafka_messages[];
extern const size_t kafka_messages_count;

static inline bool kafka_message_has(const struct kafka_message *message, int version)
{
	return version >= message->first && version <= message->last;
}

/* Takes a message off the front of *bytes. Fields that the version does not have get their default;
 * unknown tagged fields are skipped. -EBADMSG: malformed; -ENOBUFS: the arena is too small;
 * -EPROTONOSUPPORT: no such version. On failure *bytes is untouched, *ret undefined. */
MUST_CHECK int kafka_decode(const struct kafka_message *message, int version, struct slice *bytes,
			    struct arena *arena, void *ret);
/* The same with at most *elements in all arrays together, and then there are *elements in them. -E2BIG:
 * there are more. What is to be done for a message is in proportion to them, not to its bytes. */
MUST_CHECK int kafka_decode_bounded(const struct kafka_message *message, int version,
				    struct slice *bytes, struct arena *arena, void *ret,
				    size_t *elements);

/* Everything at its default. */
void kafka_init(const struct kafka_message *message, void *ret);

/* A place where records belong that were not written. */
struct kafka_gap {
	size_t at;            /* behind so many bytes of the writer's */
	struct slice records; /* as they were in the message */
};

/*
 * Bytes out, into memory of the caller's with a bound. It counts on when the memory is full, so
 * that `len` then says how much it takes; so does gaps_count.
 *
 * With `errors`, error codes that are not 0 are counted there (kafka_error_count()).
 *
 * With `gaps`, records are not copied: their length is written, their place noted, and what goes
 * there is the caller's business; a file's range, say (the slice's ptr is then any token that is
 * not NULL, its len what will be sent). Without, they are written like bytes.
 */
struct kafka_writer {
	char *ptr;
	size_t size, len;
	struct kafka_gap *gaps;
	uint32_t gaps_size, gaps_count;
	uint64_t gap_bytes; /* how much belongs into the gaps */
	uint64_t *errors;   /* NULL: nobody counts them */
};

static inline struct kafka_writer kafka_writer_over(void *memory, size_t size)
{
	return (struct kafka_writer){.ptr = memory, .size = size};
}

/* Everything that was written is there. */
static inline bool kafka_writer_fits(const struct kafka_writer *writer)
{
	return writer->len <= writer->size &&
	       (!writer->gaps || writer->gaps_count <= writer->gaps_size);
}

void kafka_put(struct kafka_writer *writer, const void *data, size_t len);
void kafka_put_i16(struct kafka_writer *writer, int16_t n);
void kafka_put_i32(struct kafka_writer *writer, int32_t n);

/* What the version does not have is left out. What may not be null in it is written empty. Strings
 * are at most INT16_MAX bytes long, other lengths and counts fit in 31 bits: checked. */
void kafka_encode(const struct kafka_message *message, int version, const void *value,
		  struct kafka_writer *writer);

#endif
