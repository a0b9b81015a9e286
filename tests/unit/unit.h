/*
 * What every cmocka test includes: cmocka needs these four headers before its own.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Ends the test function it stands in, as skipped, with the reason: cmocka's own skip() has no room
 * for one, and prints what TAP readers take for a failure. tools/check counts it. */
#define unit_skip(...)                      \
	do {                                \
		print_message("# skip: ");  \
		print_message(__VA_ARGS__); \
		print_message("\n");        \
		return;                     \
	} while (0)

#endif
