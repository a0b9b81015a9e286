#include "unit/unit.h"

#include <string.h>

#include "copystat/copystat.h"

#define MIB (UINT64_C(1) << 20)

static const char *verdict(const struct copystat_counts *counts)
{
	static char memory[256];
	struct buf buf = buf_over(memory, sizeof(memory));

	copystat_verdict(&buf, counts);
	return buf_text(&buf);
}

/* 100 MiB by `call` to TCP. */
static struct copystat_counts sent_by(enum copystat_call call, uint64_t by_reference)
{
	struct copystat_counts counts = {.sockets = {{.sent = 100 * MIB,
						      .sent_copied = 100 * MIB - by_reference,
						      .sent_by_reference = by_reference}}};

	counts.calls[call].sent = 100 * MIB;
	return counts;
}

static void nothing_moved(void **state)
{
	const struct copystat_counts counts = {.file_read = MIB};

	assert_string_equal(verdict(&counts), "nothing sent or received");
}

static void a_receiver_copies_what_it_receives(void **state)
{
	struct copystat_counts counts = {
	    .sockets = {{.received = 2 * MIB, .received_copied = 2 * MIB}}};

	assert_string_equal(verdict(&counts), "2.0 MiB received, 1.00 copies per byte");
	counts.sockets[0].received_copied = 0;
	assert_string_equal(verdict(&counts), "2.0 MiB received, 0.00 copies per byte");
}

static void copies_and_references_are_told_apart(void **state)
{
	struct copystat_counts counts = sent_by(COPYSTAT_SENDFILE, 100 * MIB);

	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 100 % by reference, 0.00 copies per byte");
	counts = sent_by(COPYSTAT_SENDFILE, 99 * MIB);
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 99 % by reference, 0.01 copies per byte");
	counts = sent_by(COPYSTAT_WRITE, 0);
	counts.file_read = 100 * MIB;
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 0 % by reference, 2.00 copies per byte");
}

static void a_device_that_makes_the_kernel_copy_is_named(void **state)
{
	struct copystat_counts counts = sent_by(COPYSTAT_SENDFILE, 100 * MIB);

	counts.linearised = 100 * MIB;
	counts.device = (struct copystat_device){.name = "eth0", .checksum = 1};
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 0 % by reference, 1.00 copies per byte; sendfile is "
			    "used but eth0 has scatter-gather off: every byte is copied");
	counts.device = (struct copystat_device){.name = "eth1", .scatter_gather = 1};
	counts.linearised = 40 * MIB;
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 60 % by reference, 0.40 copies per byte; sendfile is "
			    "used but eth1 has checksum offload off: 40 % of its bytes are copied");
}

/* More than was sent: TCP sent some of it again. */
static void copies_of_what_is_sent_again_don_t_confuse(void **state)
{
	struct copystat_counts counts = sent_by(COPYSTAT_SPLICE, 100 * MIB);

	counts.linearised = 110 * MIB;
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 0 % by reference, 1.10 copies per byte; splice is "
			    "used but the route takes no references: every byte is copied");
}

static void zerocopy_on_loopback_is_explained(void **state)
{
	struct copystat_counts counts = sent_by(COPYSTAT_SEND, 100 * MIB);

	counts.unshared = 100 * MIB;
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 0 % by reference, 1.00 copies per byte; MSG_ZEROCOPY "
			    "is used but what stays on this machine can't keep the sender's pages: "
			    "every byte is copied");
}

static void a_file_system_without_pages_is_named(void **state)
{
	struct copystat_counts counts = sent_by(COPYSTAT_SENDFILE, 100 * MIB);

	counts.file_made_up = 100 * MIB;
	assert_string_equal(verdict(&counts),
			    "100.0 MiB sent, 0 % by reference, 1.00 copies per byte; sendfile is "
			    "used but the file system has no pages to refer to: every byte is "
			    "copied");
}

/* Also with the largest numbers, the text fits where it is put. */
static void every_verdict_fits(void **state)
{
	struct copystat_counts counts = sent_by(COPYSTAT_SENDFILE, 100 * MIB);

	counts.linearised = UINT64_MAX / 2;
	memset(counts.device.name, 'x', sizeof(counts.device.name) - 1);
	assert_non_null(verdict(&counts));
	counts.unshared = UINT64_MAX - 1;
	counts.linearised = 0;
	assert_non_null(verdict(&counts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_moved),
	    cmocka_unit_test(a_receiver_copies_what_it_receives),
	    cmocka_unit_test(copies_and_references_are_told_apart),
	    cmocka_unit_test(a_device_that_makes_the_kernel_copy_is_named),
	    cmocka_unit_test(copies_of_what_is_sent_again_don_t_confuse),
	    cmocka_unit_test(zerocopy_on_loopback_is_explained),
	    cmocka_unit_test(a_file_system_without_pages_is_named),
	    cmocka_unit_test(every_verdict_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
