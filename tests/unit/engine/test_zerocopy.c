#include "rig.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define LENGTH (6u * 1024 * 1024 + 123)

static unsigned released[2048];
static unsigned released_count;

static void note_release(void *arg)
{
	released[released_count++ % ARRAY_SIZE(released)] = (unsigned)(uintptr_t)arg;
}

/* The sender takes far more than the receiver has room for: that stays unacknowledged until the
 * receiver reads. (A small SO_RCVBUF would make a window below loopback's segment size, which lets
 * a few kilobytes pass every 200 ms.) */
static bool lopsided_pair(int ends[2])
{
	released_count = 0;
	tcp_pair(ends);
	if (grow_send_buffer(ends[0], 4 * 1024 * 1024))
		return true;
	close_pair(ends);
	return false;
}

static void rig_open_zerocopy(struct rig *rig, int ends[2])
{
	rig_open(rig, ends[0], LEAT_ZEROCOPY);
}

static int step_until_stuck(struct rig *rig)
{
	int step;

	do
		step = leat_chain_step(rig->chain, 0);
	while (step == LEAT_MORE);
	return step;
}

static void memory_arrives_and_loopback_is_reported_as_copied_later(void **state)
{
	char *memory = pattern_memory(LENGTH + 1, 0);
	struct leat_report report;
	struct reader reader;
	struct rig rig;
	int ends[2];

	tcp_pair(ends);
	released_count = 0;
	rig_open_zerocopy(&rig, ends);
	reader_start(&reader, ends[1], 1);
	assert_int_equal(leat_chain_add_memory(rig.chain, memory + 1, LENGTH, note_release, NULL),
			 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	assert_int_equal(released_count, 1);
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], LENGTH);
	assert_sums(&report.ledger, LENGTH);
	assert_int_equal(report.technique, LEAT_ZEROCOPY);
	assert_int_equal(report.ledger.bytes_copied_later, LENGTH);
	assert_int_equal(report.verdict, LEAT_COPIED);
	close_pair(ends);
	free(memory);
}

static void a_mapped_file_arrives_whole(void **state)
{
	struct leat_report report;
	struct steps steps;
	int ends[2];

	tcp_pair(ends);
	report = send_file_range(LEAT_ZEROCOPY, ends, 3, LENGTH, &steps);
	assert_int_equal(report.ledger.bytes_copied_later, LENGTH);
}

static void memory_is_released_only_when_completed_and_in_order(void **state)
{
	enum { SEGMENTS = 30, SIZE = 65536 };
	struct reader reader;
	struct rig rig;
	int ends[2];
	char *memory;

	if (!lopsided_pair(ends))
		unit_skip("net.core.wmem_max is too small");
	memory = pattern_memory(SEGMENTS * SIZE, 0);
	rig_open_zerocopy(&rig, ends);
	for (uintptr_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(leat_chain_add_memory(rig.chain, memory + i * SIZE, SIZE,
						       note_release, (void *)i),
				 0);
	/* All is accepted, the receiver has room for less. */
	assert_int_equal(step_until_stuck(&rig), LEAT_WANT_COMPLETION);
	assert_int_equal(leat_chain_pending(rig.chain), 0);
	assert_int_equal(chain_wait(rig.chain).fd, ends[0]);
	assert_int_equal(chain_wait(rig.chain).events, 0);
	assert_true(released_count < SEGMENTS);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	assert_int_equal(released_count, SEGMENTS);
	for (unsigned i = 0; i < SEGMENTS; i++)
		assert_int_equal(released[i], i);
	rig_close(&rig);
	reader_finish(&reader, &ends[0], SEGMENTS * SIZE);
	close_pair(ends);
	free(memory);
}

/* Every send needs room for its completion, and there is room for a few hundred at most. */
static void many_outstanding_sends_wait_for_completions(void **state)
{
	enum { SEGMENTS = 2000, SIZE = 997 };
	struct leat_report report;
	struct reader reader;
	struct rig rig;
	int ends[2];
	char *memory;

	if (!lopsided_pair(ends))
		unit_skip("net.core.wmem_max is too small");
	memory = pattern_memory(SEGMENTS * SIZE, 0);
	rig_open_zerocopy(&rig, ends);
	for (uintptr_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(leat_chain_add_memory(rig.chain, memory + i * SIZE, SIZE,
						       note_release, (void *)i),
				 0);
	assert_int_equal(step_until_stuck(&rig), LEAT_WANT_COMPLETION);
	assert_true(leat_chain_pending(rig.chain) > 0);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	assert_int_equal(released_count, SEGMENTS);
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], SEGMENTS * SIZE);
	assert_int_equal(report.ledger.fallbacks, 0);
	assert_int_equal(report.ledger.bytes_copied, 0);
	close_pair(ends);
	free(memory);
}

struct adder {
	struct leat_chain *chain;
	const char *memory;
	unsigned left;
};

/* Adds two for each that is released: the chain's ring of segments has to grow meanwhile. */
static void add_more(void *arg)
{
	struct adder *adder = arg;

	for (unsigned i = 0; i < 2 && adder->left > 0; i++, adder->left--)
		assert_int_equal(leat_chain_add_memory(adder->chain, adder->memory, 10000, add_more,
						       adder),
				 0);
}

static void a_release_may_add_segments(void **state)
{
	enum { SEGMENTS = 600 };
	char *memory = pattern_memory(10000, 0);
	struct adder adder = {.memory = memory, .left = SEGMENTS};
	struct leat_report report;
	struct rig rig;
	int ends[2];
	char got[10000];

	tcp_pair(ends);
	rig_open_zerocopy(&rig, ends);
	adder.chain = rig.chain;
	add_more(&adder);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		assert_true(leat_chain_step(rig.chain, 0) >= 0);
		read_whole(ends[1], got, sizeof(got));
		assert_memory_equal(got, memory, sizeof(got));
	}
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	report = rig_close(&rig);
	assert_sums(&report.ledger, SEGMENTS * 10000);
	close_pair(ends);
	free(memory);
}

static void a_second_chain_on_the_same_socket_finds_its_completions(void **state)
{
	char *memory = pattern_memory(300000, 0);
	struct reader reader;
	int ends[2];

	tcp_pair(ends);
	released_count = 0;
	reader_start(&reader, ends[1], 0);
	for (unsigned i = 0; i < 3; i++) {
		struct rig rig;

		rig_open_zerocopy(&rig, ends);
		assert_int_equal(leat_chain_add_memory(rig.chain, memory + i * 100000, 100000,
						       note_release, NULL),
				 0);
		assert_int_equal(step_to_end(rig.chain, 20000, &rig.steps), LEAT_DONE);
		assert_int_equal(released_count, i + 1);
		rig_close(&rig);
	}
	reader_finish(&reader, &ends[0], 300000);
	close_pair(ends);
	free(memory);
}

static void freeing_gives_up_on_a_peer_that_never_reads(void **state)
{
	enum { SIZE = 2000000 };
	struct rig rig;
	int ends[2];
	char *memory;

	if (!lopsided_pair(ends))
		unit_skip("net.core.wmem_max is too small");
	memory = pattern_memory(SIZE, 0);
	rig_open_zerocopy(&rig, ends);
	assert_int_equal(leat_chain_add_memory(rig.chain, memory, SIZE, note_release, NULL), 0);
	assert_int_equal(step_until_stuck(&rig), LEAT_WANT_COMPLETION);
	assert_int_equal(released_count, 0);
	rig_close(&rig);
	assert_int_equal(released_count, 1);
	close_pair(ends);
	free(memory);
}

static void a_reset_peer_fails_the_chain_and_frees_the_memory(void **state)
{
	enum { SIZE = 32000000 };
	int ends[2], step, r;
	struct rig rig;
	char *memory;

	if (!lopsided_pair(ends))
		unit_skip("net.core.wmem_max is too small");
	memory = pattern_memory(SIZE, 0);
	rig_open_zerocopy(&rig, ends);
	assert_int_equal(leat_chain_add_memory(rig.chain, memory, SIZE, note_release, NULL), 0);
	/* The sink is full, or for a user without CAP_IPC_LOCK all pages that may be pinned are. */
	step = step_until_stuck(&rig);
	assert_true(step == LEAT_WANT_WRITE || step == LEAT_WANT_COMPLETION);
	close(ends[1]); /* with unread bytes: RST */
	ends[1] = -1;
	r = step_to_end(rig.chain, 0, &rig.steps);
	assert_true(r == -ECONNRESET || r == -EPIPE);
	rig_close(&rig);
	assert_int_equal(released_count, 1);
	close_pair(ends);
	free(memory);
}

static void unix_sockets_refuse(void **state)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	int file = pattern_file(100000), ends[2];

	options.technique = LEAT_ZEROCOPY;
	unix_pair(ends);
	assert_int_equal(leat_transfer(file, 0, ends[0], 100000, &options, NULL), -EOPNOTSUPP);
	close_pair(ends);
	close(file);
}

/* ---- LEAT_AUTO ---- */

static struct leat_report send_auto(uint32_t zerocopy_above, unsigned segments, size_t size)
{
	char *memory = pattern_memory(segments * size, 0);
	struct leat_report report;
	struct reader reader;
	struct rig rig;
	int ends[2];

	tcp_pair(ends);
	released_count = 0;
	rig_open(&rig, ends[0], LEAT_AUTO);
	rig.engine->limits.zerocopy_above = zerocopy_above;
	reader_start(&reader, ends[1], 0);
	for (unsigned i = 0; i < segments; i++) {
		assert_int_equal(leat_chain_add_memory(rig.chain, memory + i * size, size,
						       note_release, NULL),
				 0);
		assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	}
	assert_int_equal(released_count, segments);
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], segments * size);
	assert_sums(&report.ledger, segments * size);
	close_pair(ends);
	free(memory);
	return report;
}

static void auto_does_not_pin_short_memory(void **state)
{
	struct leat_report report = send_auto(100000, 3, 99999);

	assert_int_equal(report.technique, LEAT_COPY);
	assert_int_equal(report.ledger.bytes_copied, 3 * 99999);
}

static void auto_gives_up_where_everything_is_copied(void **state)
{
	enum { SEGMENTS = 40, SIZE = 100000 };
	struct leat_report report = send_auto(SIZE, SEGMENTS, SIZE);

	assert_true(report.ledger.bytes_copied_later > 0);
	assert_true(report.ledger.bytes_copied > 0);
	assert_true(report.ledger.fallbacks > 0);
	assert_non_null(strstr(report.fallback, "zerocopy refused"));
}

/* ---- ENOBUFS: the limit of pinned pages ---- */

/* Without CAP_IPC_LOCK RLIMIT_MEMLOCK counts. Only this thread's effective set is changed. */
static int set_ipc_lock(bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	if (on)
		data[0].effective |= data[0].permitted & 1u << CAP_IPC_LOCK;
	else
		data[0].effective &= ~(1u << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static struct rlimit memlock_before;

static int limit_pinned_pages(void **state)
{
	struct rlimit small;

	if (getrlimit(RLIMIT_MEMLOCK, &memlock_before) < 0)
		return -1;
	small = (struct rlimit){65536, memlock_before.rlim_max};
	return setrlimit(RLIMIT_MEMLOCK, &small) < 0 || set_ipc_lock(false) < 0 ? -1 : 0;
}

static int unlimit_pinned_pages(void **state)
{
	return setrlimit(RLIMIT_MEMLOCK, &memlock_before) < 0 || set_ipc_lock(true) < 0 ? -1 : 0;
}

static void forced_waits_or_asks_for_less_when_no_pages_may_be_pinned(void **state)
{
	struct leat_report report;
	struct steps steps;
	int ends[2];

	tcp_pair(ends);
	report = send_file_range(LEAT_ZEROCOPY, ends, 0, LENGTH, &steps);
	assert_int_equal(report.ledger.bytes_copied_later, LENGTH);
	assert_int_equal(report.ledger.fallbacks, 0);
}

static void auto_sends_the_plain_way_when_no_pages_may_be_pinned(void **state)
{
	struct leat_report report = send_auto(1, 1, LENGTH);

	/* A last piece may be short enough to be pinned. */
	assert_true(report.ledger.bytes_copied > LENGTH / 2);
	assert_int_equal(report.ledger.bytes_fallen_back, report.ledger.bytes_copied);
	assert_true(report.ledger.fallbacks > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_arrives_and_loopback_is_reported_as_copied_later),
	    cmocka_unit_test(a_mapped_file_arrives_whole),
	    cmocka_unit_test(memory_is_released_only_when_completed_and_in_order),
	    cmocka_unit_test(many_outstanding_sends_wait_for_completions),
	    cmocka_unit_test(a_release_may_add_segments),
	    cmocka_unit_test(a_second_chain_on_the_same_socket_finds_its_completions),
	    cmocka_unit_test(freeing_gives_up_on_a_peer_that_never_reads),
	    cmocka_unit_test(a_reset_peer_fails_the_chain_and_frees_the_memory),
	    cmocka_unit_test(unix_sockets_refuse),
	    cmocka_unit_test(auto_does_not_pin_short_memory),
	    cmocka_unit_test(auto_gives_up_where_everything_is_copied),
	    cmocka_unit_test_setup_teardown(
		forced_waits_or_asks_for_less_when_no_pages_may_be_pinned, limit_pinned_pages,
		unlimit_pinned_pages),
	    cmocka_unit_test_setup_teardown(auto_sends_the_plain_way_when_no_pages_may_be_pinned,
					    limit_pinned_pages, unlimit_pinned_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
