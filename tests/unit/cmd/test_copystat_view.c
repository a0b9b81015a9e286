#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cmd/copystat_view.h"

#define MIB (UINT64_C(1) << 20)

static const struct copystat_process nginx = {.pid = 1234, .comm = "nginx"};

static char *text;
static size_t length;

static FILE *begin(void)
{
	return open_memstream(&text, &length);
}

static void expect(FILE *out, const char *expected)
{
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static struct copystat_counts served(void)
{
	struct copystat_counts counts = {
	    .sockets = {{.sent = 10 * MIB,
			 .sent_copied = MIB,
			 .sent_by_reference = 9 * MIB,
			 .received = 2048,
			 .received_copied = 2048}},
	    .file_read = MIB,
	    .file_by_reference = 9 * MIB,
	};

	counts.calls[COPYSTAT_SENDFILE] = (struct copystat_call_counts){9, 9 * MIB, 0};
	counts.calls[COPYSTAT_WRITE] = (struct copystat_call_counts){1, MIB, 0};
	return counts;
}

static void rows_stand_under_their_titles(void **state)
{
	const struct copystat_counts counts = served(), nothing = {0};
	FILE *out = begin();

	copystat_view_head(out);
	copystat_view_row(out, &nginx, &counts, 2);
	copystat_view_row(out, &nginx, &nothing, 2);
	expect(out,
	       "    PID COMMAND             SENT/s BY REF  LATER     RECV/s    FILES/s COPIES\n"
	       "   1234 nginx              5.0 MiB   90 %    0 %    1.0 KiB  512.0 KiB   0.20\n"
	       "   1234 nginx                  0 B      -      -        0 B        0 B      -\n");
}

static void rows_fit_a_terminal_whatever_the_numbers(void **state)
{
	const struct copystat_process process = {.pid = INT32_MAX, .comm = "fifteen_letters"};
	struct copystat_counts counts = {.linearised = UINT64_C(1) << 62};

	counts.sockets[0].sent = counts.sockets[0].sent_copied = UINT64_C(1) << 62;
	counts.sockets[1].sent = counts.sockets[1].sent_by_reference = 1;
	for (int i = 0; i < 3; i++) {
		FILE *out = begin();

		copystat_view_row(out, &process, &counts, i);
		fclose(out);
		assert_in_range(length, 70, 84);
		free(text);
	}
}

static void the_summary_has_the_verdict_and_all_columns(void **state)
{
	struct copystat_counts counts = served();
	FILE *out = begin();

	counts.file_made_up = MIB;
	counts.linearised = 2048;
	counts.unshared = 3072;

	copystat_view_summary(out, &nginx, &counts);
	expect(out,
	       "nginx (1234): 10.0 MiB sent, 80 % by reference, 0.30 copies per byte; sendfile is "
	       "used "
	       "but the file system has no pages to refer to: 11 % of its bytes are copied\n"
	       "  TCP        sent 10.0 MiB: 1.0 MiB copied at the call, 9.0 MiB by reference\n"
	       "  TCP        received 2.0 KiB: 2.0 KiB copied\n"
	       "  later      copied 1.0 MiB: the file system has no pages to refer to\n"
	       "  later      copied 2.0 KiB: into linear buffers, for the device\n"
	       "  later      copied 3.0 KiB: the sender's MSG_ZEROCOPY pages, for this machine\n"
	       "  files      read 1.0 MiB by copy, 0 B by O_DIRECT, 9.0 MiB by reference; "
	       "written 0 B\n"
	       "             write: 1 call, 1.0 MiB sent\n"
	       "             sendfile: 9 calls, 9.0 MiB sent\n");
}

static void json_has_the_documented_names_and_one_line(void **state)
{
	static const char *const names[] = {"pid",
					    "comm",
					    "sent_bytes",
					    "sent_copied_bytes",
					    "sent_by_reference_bytes",
					    "copied_later_bytes",
					    "received_bytes",
					    "received_copied_bytes",
					    "file_read_bytes",
					    "copies_per_sent_byte",
					    "verdict",
					    "backend"};
	struct copystat_counts counts = served();
	FILE *out = begin();
	json_t *object;
	const char *key;
	json_t *value;
	size_t at = 0;

	counts.linearised = 3;
	counts.unshared = 4;
	copystat_view_json(out, &nginx, &counts, "tracepoint");
	fclose(out);
	assert_ptr_equal(strchr(text, '\n'), text + length - 1);
	object = json_loads(text, 0, NULL);
	assert_non_null(object);
	json_object_foreach(object, key, value)
	{
		assert_true(at < ARRAY_SIZE(names));
		assert_string_equal(key, names[at++]);
	}
	assert_int_equal(at, ARRAY_SIZE(names));
	assert_int_equal(json_integer_value(json_object_get(object, "sent_bytes")), 10 * MIB);
	assert_int_equal(json_integer_value(json_object_get(object, "copied_later_bytes")), 7);
	assert_string_equal(json_string_value(json_object_get(object, "backend")), "tracepoint");
	json_decref(object);
	free(text);
}

static void names_can_t_harm_a_terminal_or_json(void **state)
{
	const struct copystat_process process = {.pid = 1, .comm = "\033[2J\xff\n"};
	const struct copystat_counts nothing = {0};
	FILE *out = begin();

	copystat_view_verdict(out, &process, &nothing);
	expect(out, "?[2J?? (1): nothing sent or received\n");
	out = begin();
	copystat_view_json(out, &process, &nothing, "fexit");
	fclose(out);
	assert_non_null(strstr(text, "\"comm\":\"?[2J??\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_stand_under_their_titles),
	    cmocka_unit_test(rows_fit_a_terminal_whatever_the_numbers),
	    cmocka_unit_test(the_summary_has_the_verdict_and_all_columns),
	    cmocka_unit_test(json_has_the_documented_names_and_one_line),
	    cmocka_unit_test(names_can_t_harm_a_terminal_or_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
