#include "unit/unit.h"

#include "base/crc32.h"

static void the_checks_of_the_catalogue(void **state)
{
	assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926u);
	assert_int_equal(crc32_ieee(0, "The quick brown fox jumps over the lazy dog", 43),
			 0x414fa339u);
	assert_int_equal(crc32_ieee(0, NULL, 0), 0);
}

static void a_checksum_goes_on_where_it_was(void **state)
{
	assert_int_equal(crc32_ieee(crc32_ieee(0, "1234", 4), "56789", 5), 0xcbf43926u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_checks_of_the_catalogue),
	    cmocka_unit_test(a_checksum_goes_on_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
