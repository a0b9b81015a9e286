/*
 * What a driver asks a server again and again, one small request after the other, and how it knows
 * the answer: the same drivers serve for HTTP and for Kafka.
 */
#ifndef BENCH_QUESTION_H
#define BENCH_QUESTION_H

#include <stddef.h>

#define QUESTION_MAX 4096
/* How much of an answer has to be there for answer_size(). */
#define QUESTION_START 4096

#define QUESTION_USAGE "/PATH|kafka|produce:TOPIC:RECORD_BYTES"

struct question {
	char bytes[QUESTION_MAX];
	size_t len;
	/* How long the answer is in all that begins so; 0: it is not a good one. */
	size_t (*answer_size)(const char *start, size_t len);
	/* What is wrong with a whole answer, or NULL. No function: the first one stands for all. */
	const char *(*fault)(const char *answer, size_t len);
};

/*
 * From a word of the command line, or the end of the program:
 *     /PATH                        HTTP: GET
 *     kafka                        Kafka: ApiVersions, the first thing that any client asks
 *     produce:TOPIC:RECORD_BYTES   Kafka: one record to partition 0, acks=all
 */
void question_parse(const char *what, struct question *ret);

#endif
