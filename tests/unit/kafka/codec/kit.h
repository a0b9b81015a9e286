/*
 * The lines of golden.txt and clients.txt, and what their bytes expand to.
 */
#ifndef TESTS_KAFKA_CODEC_KIT_H
#define TESTS_KAFKA_CODEC_KIT_H

#include "unit/unit.h"

#include "kafka/codec/expander.h"

#define KIT_WORDS 5

/* Calls `fn` with the words of each line; returns how many there were. */
unsigned kit_lines(const char *path, unsigned words, void (*fn)(char *words[], void *arg),
		   void *arg);
/* In place; the bytes' count. */
size_t kit_from_hex(char *hex);
enum record_codec kit_codec(const char *name);

struct kit_outcome {
	enum expanded end; /* END, or what was wrong */
	size_t len;
	uint32_t crc;
};

/* From a copy of exactly the input's size, checking what expander_next() promises. */
struct kit_outcome kit_expand(struct expander *expander, enum record_codec codec, const char *in,
			      size_t len, size_t limit);

#endif
