#include "unit/unit.h"

#include "base/json.h"

static void commas_come_by_themselves(void **state)
{
	char memory[256];
	struct buf buf = buf_over(memory, sizeof(memory));

	json_open(&buf, NULL);
	json_text(&buf, "a", "x\"\\\n\xff\xc3\xbc");
	json_u64(&buf, "b", 7);
	json_open(&buf, "c");
	json_close(&buf);
	json_open(&buf, "d");
	json_u64(&buf, "e", 0);
	json_text(&buf, "f", "");
	json_close(&buf);
	json_close(&buf);
	assert_string_equal(buf_text(&buf), "{\"a\":\"x\\\"\\\\\\u000a\\ufffd\xc3\xbc\",\"b\":7,"
					    "\"c\":{},\"d\":{\"e\":0,\"f\":\"\"}}");
}

static void too_little_room_is_an_overflow(void **state)
{
	char memory[16];
	struct buf buf = buf_over(memory, sizeof(memory));

	json_open(&buf, NULL);
	json_text(&buf, "name", "a long value");
	json_close(&buf);
	assert_true(buf.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(commas_come_by_themselves),
	    cmocka_unit_test(too_little_room_is_an_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
