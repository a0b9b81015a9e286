/*
 * Every message in every version: against golden bytes, there and back, cut, mutated, lying.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka/wire/messages.h"
#include "unit/kafka/values.h"

#define ARENA_SIZE (1 << 20)
#define WIRE_SIZE  (1 << 18)

static const char *golden_path, *defaults_path, *captured_path;
static struct arena values_arena, decode_arena;
static uint64_t message_memory[2][512];
static char wire[WIRE_SIZE], wire_again[WIRE_SIZE];

static struct arena arena_new(void)
{
	return arena_over(malloc(ARENA_SIZE), ARENA_SIZE);
}

static int set_up(void **state)
{
	values_arena = arena_new();
	decode_arena = arena_new();
	for (size_t i = 0; i < kafka_messages_count; i++)
		if (kafka_messages[i]->root->size > sizeof(message_memory[0]))
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	free(values_arena.memory);
	free(decode_arena.memory);
	return 0;
}

static struct slice encoded(const struct kafka_message *message, int version, const void *value,
			    char *memory)
{
	struct kafka_writer writer = kafka_writer_over(memory, WIRE_SIZE);

	kafka_encode(message, version, value, &writer);
	assert_true(kafka_writer_fits(&writer));
	return slice_make(memory, writer.len);
}

/* From memory of exactly that size, so that AddressSanitizer sees a read beyond. */
static int decode_copy(const struct kafka_message *message, int version, struct slice bytes,
		       void *ret, char **ret_copy)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);
	struct slice rest = slice_make(copy, bytes.len);

	memcpy(copy, bytes.ptr, bytes.len);
	arena_reset(&decode_arena);
	int result = kafka_decode(message, version, &rest, &decode_arena, ret);
	if (result == 0 && rest.len > 0)
		result = 1;
	*ret_copy = copy;
	return result;
}

static void fill(const struct kafka_message *message, int version, bool random, uint64_t seed)
{
	struct values values = {.random = random, .seed = seed, .arena = &values_arena};

	arena_reset(&values_arena);
	values_fill(&values, message, version, message_memory[0]);
}

static unsigned nibble(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static size_t from_hex(const char *hex, char *out)
{
	size_t len = 0;

	for (; hex[0] && hex[0] != '\n' && hex[0] != '-'; hex += 2)
		out[len++] = (char)(nibble(hex[0]) << 4 | nibble(hex[1]));
	return len;
}

/* "name version hex": what of which the bytes are, in `wire_again`. */
static const struct kafka_message *parse_line(const char *line, int *ret_version,
					      struct slice *ret_bytes)
{
	const char *space = strchr(line, ' ');
	const struct kafka_message *message;
	char *hex;

	assert_non_null(space);
	message = values_message(line, (size_t)(space - line));
	if (!message)
		fail_msg("no message: %s", line);
	*ret_version = (int)strtol(space, &hex, 10);
	*ret_bytes = slice_make(wire_again, from_hex(hex + 1, wire_again));
	return message;
}

/* Of each message its versions that golden.txt has. */
static uint32_t seen[256];

static void check_golden(const char *line)
{
	int version;
	struct slice want;
	const struct kafka_message *message = parse_line(line, &version, &want);
	char *copy;

	for (size_t i = 0; i < kafka_messages_count; i++)
		if (kafka_messages[i] == message) {
			if (seen[i] & 1u << version)
				fail_msg("%s version %d is there twice", message->name, version);
			seen[i] |= 1u << version;
		}
	fill(message, version, false, 0);
	struct slice got = encoded(message, version, message_memory[0], wire);
	if (!slice_eq(got, want))
		fail_msg("%s version %d is written otherwise", message->name, version);
	assert_int_equal(decode_copy(message, version, want, message_memory[1], &copy), 0);
	if (!values_equal(message, message_memory[0], message_memory[1]))
		fail_msg("%s version %d is read otherwise", message->name, version);
	free(copy);
}

static void check_default(const char *line)
{
	int version;
	struct slice want;
	const struct kafka_message *message = parse_line(line, &version, &want);

	kafka_init(message, message_memory[0]);
	if (!slice_eq(encoded(message, version, message_memory[0], wire), want))
		fail_msg("%s version %d has other defaults", message->name, version);
}

static unsigned for_lines(const char *path, void (*check)(const char *line))
{
	FILE *file = fopen(path, "r");
	unsigned lines = 0;
	char *line = NULL;
	size_t size = 0;

	assert_non_null(file);
	while (getline(&line, &size, file) > 0)
		if (*line != '#') {
			check(line);
			lines++;
		}
	free(line);
	fclose(file);
	return lines;
}

static void all_versions_are_as_kafka_defines_them(void **state)
{
	assert_true(kafka_messages_count <= sizeof(seen) / sizeof(*seen));
	for_lines(golden_path, check_golden);
	for (size_t i = 0; i < kafka_messages_count; i++) {
		const struct kafka_message *message = kafka_messages[i];

		for (int version = message->first; version <= message->last; version++)
			if (!(seen[i] & 1u << version))
				fail_msg("%s version %d has no golden bytes", message->name,
					 version);
	}
}

static void defaults_are_as_kafka_defines_them(void **state)
{
	assert_true(for_lines(defaults_path, check_default) >= 372);
}

/* Read and written again, it is the same. */
static void check_captured(const char *line)
{
	int version;
	struct slice bytes;
	const struct kafka_message *message = parse_line(line, &version, &bytes);
	char *copy;

	assert_int_equal(decode_copy(message, version, bytes, message_memory[1], &copy), 0);
	assert_true(slice_eq(encoded(message, version, message_memory[1], wire), bytes));
	free(copy);
}

static void what_a_client_wrote_is_understood(void **state)
{
	assert_true(for_lines(captured_path, check_captured) >= 150);
}

typedef void (*visitor)(const struct kafka_message *message, int version, struct slice bytes,
			uint64_t seed);

/* Random messages of every kind and version, as bytes; message_memory[0] is what they mean. */
static void for_all(visitor visit, unsigned times)
{
	for (size_t i = 0; i < kafka_messages_count; i++) {
		const struct kafka_message *message = kafka_messages[i];

		for (int version = message->first; version <= message->last; version++)
			for (unsigned n = 0; n < times; n++) {
				uint64_t seed = i * 1000003 + (unsigned)version * 1009 + n;

				fill(message, version, true, seed);
				visit(message, version,
				      encoded(message, version, message_memory[0], wire), seed);
			}
	}
}

static void comes_back(const struct kafka_message *message, int version, struct slice bytes,
		       uint64_t seed)
{
	char *copy;

	assert_int_equal(decode_copy(message, version, bytes, message_memory[1], &copy), 0);
	assert_true(values_equal(message, message_memory[0], message_memory[1]));
	assert_true(slice_eq(encoded(message, version, message_memory[1], wire_again), bytes));
	free(copy);
}

static void random_messages_come_back(void **state)
{
	for_all(comes_back, 50);
}

static void is_malformed_when_cut(const struct kafka_message *message, int version,
				  struct slice bytes, uint64_t seed)
{
	for (size_t len = 0; len < bytes.len; len++) {
		char *copy;
		int result = decode_copy(message, version, slice_make(bytes.ptr, len),
					 message_memory[1], &copy);

		free(copy);
		assert_int_equal(result, -EBADMSG);
	}
}

static void every_truncation_is_malformed(void **state)
{
	for_all(is_malformed_when_cut, 2);
}

static void mutate(struct values *values, char *bytes, size_t len)
{
	static const char extremes[] = {0, 1, (char)0x7f, (char)0x80, (char)0xff};
	unsigned times = 1 + (unsigned)(values_random(values) % 3);

	for (; times > 0 && len > 0; times--) {
		uint64_t n = values_random(values);

		bytes[n % len] =
		    n >> 40 & 1 ? extremes[(n >> 48) % sizeof(extremes)] : (char)(n >> 48);
	}
}

/* Whatever it is now: if it can be read, then what was read can be written and read again. */
static void survives_mutation(const struct kafka_message *message, int version, struct slice bytes,
			      uint64_t seed)
{
	struct values values = {.seed = seed};
	char *copy, *again;

	mutate(&values, wire, bytes.len);
	if (decode_copy(message, version, bytes, message_memory[1], &copy) >= 0) {
		struct slice written = encoded(message, version, message_memory[1], wire_again);
		struct arena used = decode_arena;

		decode_arena = values_arena;
		assert_int_equal(decode_copy(message, version, written, message_memory[0], &again),
				 0);
		assert_true(values_equal(message, message_memory[0], message_memory[1]));
		values_arena = decode_arena;
		decode_arena = used;
		free(again);
	}
	free(copy);
}

static void mutated_messages_do_no_harm(void **state)
{
	for_all(survives_mutation, 100);
}

static void measures_what_it_takes(const struct kafka_message *message, int version,
				   struct slice bytes, uint64_t seed)
{
	struct kafka_writer nowhere = {0};
	struct kafka_writer half = kafka_writer_over(wire_again, bytes.len / 2);

	wire_again[bytes.len / 2] = 'x';
	kafka_encode(message, version, message_memory[0], &nowhere);
	kafka_encode(message, version, message_memory[0], &half);
	assert_int_equal(nowhere.len, bytes.len);
	assert_int_equal(half.len, bytes.len);
	assert_int_equal(kafka_writer_fits(&half), bytes.len == 0);
	assert_int_equal(wire_again[bytes.len / 2], 'x');
}

static void a_full_writer_says_how_much_it_takes(void **state)
{
	for_all(measures_what_it_takes, 2);
}

static void defaults_come_back(void **state)
{
	for (size_t i = 0; i < kafka_messages_count; i++) {
		const struct kafka_message *message = kafka_messages[i];
		char *copy;

		kafka_init(message, message_memory[0]);
		struct slice bytes = encoded(message, message->last, message_memory[0], wire);
		assert_int_equal(decode_copy(message, message->last, bytes, message_memory[1],
					     &copy),
				 0);
		assert_true(slice_eq(encoded(message, message->last, message_memory[1], wire_again),
				     bytes));
		free(copy);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_versions_are_as_kafka_defines_them),
	    cmocka_unit_test(defaults_are_as_kafka_defines_them),
	    cmocka_unit_test(what_a_client_wrote_is_understood),
	    cmocka_unit_test(random_messages_come_back),
	    cmocka_unit_test(every_truncation_is_malformed),
	    cmocka_unit_test(mutated_messages_do_no_harm),
	    cmocka_unit_test(a_full_writer_says_how_much_it_takes),
	    cmocka_unit_test(defaults_come_back),
	};

	if (argc != 4)
		return 1;
	golden_path = argv[1];
	defaults_path = argv[2];
	captured_path = argv[3];
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
