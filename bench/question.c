#include "question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "kafka.h"
#include "support.h"

/* ---- HTTP ---- */

static size_t http_answer_size(const char *start, size_t len)
{
	char head[QUESTION_START + 1];
	const char *end, *length;

	if (len > QUESTION_START)
		len = QUESTION_START;
	memcpy(head, start, len);
	head[len] = '\0';
	end = strstr(head, "\r\n\r\n");
	length = strcasestr(head, "\r\ncontent-length:");
	if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || !end || !length)
		return 0;
	return (size_t)(end + 4 - head) +
	       strtoull(length + strlen("\r\ncontent-length:"), NULL, 10);
}

static void get(struct question *question, const char *path)
{
	question->len = (size_t)snprintf(question->bytes, sizeof(question->bytes),
					 "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
	if (question->len >= sizeof(question->bytes))
		die_text("the path is too long");
	question->answer_size = http_answer_size;
}

/* ---- Kafka ---- */

static size_t kafka_answer_size(const char *start, size_t len)
{
	return len < KAFKA_SIZE_BYTES ? 0 : (size_t)be_load32(start) + KAFKA_SIZE_BYTES;
}

static size_t api_versions_answer_size(const char *start, size_t len)
{
	/* Size, correlation id, error. */
	if (len < 10 || be_load16(start + 8) != 0)
		return 0;
	return kafka_answer_size(start, len);
}

static void api_versions(struct question *question)
{
	/* Key 18, version 0, correlation id 0, no client id. */
	static const char request[] = "\0\0\0\12\0\22\0\0\0\0\0\0\377\377";

	question->len = sizeof(request) - 1;
	memcpy(question->bytes, request, question->len);
	question->answer_size = api_versions_answer_size;
}

static const char *produce_fault(const char *answer, size_t len)
{
	return produce_answer_fault(answer, len, 0);
}

static void produce(struct question *question, const char *what)
{
	const char *bytes = strchr(what, ':');
	static struct batch batch;
	char topic[KAFKA_TOPIC_MAX];
	struct head head;

	if (!bytes || bytes - what >= KAFKA_TOPIC_MAX)
		die_text("produce:TOPIC:RECORD_BYTES is wanted");
	snprintf(topic, sizeof(topic), "%.*s", (int)(bytes - what), what);
	batch = batch_make(0, parse_number(bytes + 1, 0, QUESTION_MAX));
	produce_request(&head, topic, 0, batch.bytes.len);
	question->len = head.len + batch.bytes.len;
	if (question->len > sizeof(question->bytes))
		die_text("the record is not small");
	memcpy(question->bytes, head.bytes, head.len);
	memcpy(question->bytes + head.len, batch.bytes.ptr, batch.bytes.len);
	question->answer_size = kafka_answer_size;
	question->fault = produce_fault;
}

void question_parse(const char *what, struct question *ret)
{
	*ret = (struct question){0};
	if (what[0] == '/')
		get(ret, what);
	else if (strcmp(what, "kafka") == 0)
		api_versions(ret);
	else if (strncmp(what, "produce:", 8) == 0)
		produce(ret, what + 8);
	else
		die_text("neither " QUESTION_USAGE);
}
