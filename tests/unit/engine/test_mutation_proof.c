/*
 * The mutation proof: a file range is handed to a peer that does not read, the file is overwritten,
 * then the peer reads. What it gets says how the bytes went: the new ones, by reference; the old
 * ones, copied. The ledger has to say the same.
 *
 * Where the kernel's self-probe says that it copies what sendfile and splice hand over, all of this
 * is expected to be copied.
 */
#include "config.h"
#include "rig.h"

#include <sched.h>
#include <sys/wait.h>

/* Fits an idle peer's buffers at once. */
static size_t length = 65536;

static int file_of(char letter)
{
	int fd = pattern_file(1);
	char *data = malloc(length);

	assert_non_null(data);
	memset(data, letter, length);
	assert_int_equal(pwrite(fd, data, length, 0), length);
	free(data);
	return fd;
}

static void overwrite(int fd, char letter)
{
	char *data = malloc(length);

	assert_non_null(data);
	memset(data, letter, length);
	assert_int_equal(pwrite(fd, data, length, 0), length);
	free(data);
}

/* All of `fd` is one letter: it. */
static char letter_from(int fd)
{
	char *got = malloc(length);
	char letter;

	assert_non_null(got);
	read_whole(fd, got, length);
	letter = got[0];
	for (size_t i = 0; i < length; i++)
		if (got[i] != letter)
			fail_msg("a mixed answer: byte %zu is '%c' and not '%c'", i, got[i],
				 letter);
	free(got);
	return letter;
}

/* Sends 'A', overwrites with 'B': true when the peer reads 'B'. */
static bool goes_by_reference(enum leat_technique technique, int ends[2],
			      struct leat_report *ret_report)
{
	int file = file_of('A');
	struct rig rig;
	char letter;

	rig_open(&rig, ends[0], technique);
	assert_int_equal(leat_chain_add_file(rig.chain, file, 0, length, NULL, NULL), 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	overwrite(file, 'B');
	letter = letter_from(ends[1]);
	*ret_report = rig_close(&rig);
	assert_sums(&ret_report->ledger, length);
	assert_int_equal(ret_report->technique, technique);
	close_pair(ends);
	close(file);
	return letter == 'B';
}

static bool probe_says_by_reference(void)
{
	struct leat_capabilities caps = {.size = sizeof(caps)};

	assert_int_equal(leat_capabilities(&caps), 0);
	return caps.sendfile_by_reference == LEAT_YES && caps.splice_by_reference == LEAT_YES;
}

static bool has_uring(void)
{
	struct leat_capabilities caps = {.size = sizeof(caps)};

	return HAVE_URING && leat_capabilities(&caps) == 0 && caps.uring == LEAT_YES;
}

static void expect_by_reference(enum leat_technique technique, int ends[2])
{
	struct leat_report report;

	if (!probe_says_by_reference()) {
		assert_false(goes_by_reference(technique, ends, &report));
		assert_int_equal(report.ledger.bytes_by_reference, 0);
		return;
	}
	assert_true(goes_by_reference(technique, ends, &report));
	assert_int_equal(report.ledger.bytes_by_reference, length);
	assert_int_equal(report.verdict, LEAT_BY_REFERENCE);
}

static void expect_copied(enum leat_technique technique, int ends[2])
{
	struct leat_report report;

	assert_false(goes_by_reference(technique, ends, &report));
	assert_int_equal(report.ledger.bytes_copied, length);
	assert_int_equal(report.verdict, LEAT_COPIED);
}

/* Handed over by reference, and then copied: with the device or the completions as evidence. */
static void expect_copied_later(enum leat_technique technique, int ends[2], const char *evidence)
{
	struct leat_report report;

	assert_false(goes_by_reference(technique, ends, &report));
	assert_int_equal(report.ledger.bytes_copied_later, length);
	assert_int_equal(report.verdict, LEAT_COPIED);
	if (!strstr(report.evidence, evidence))
		fail_msg("evidence: %s", report.evidence);
}

static const enum leat_technique by_reference[] = {LEAT_SENDFILE, LEAT_SPLICE, LEAT_VMSPLICE};
static const enum leat_technique copying[] = {LEAT_COPY, LEAT_MMAP};

static void over(void (*pair)(int[2]))
{
	int ends[2];

	for (size_t i = 0; i < ARRAY_SIZE(by_reference); i++) {
		pair(ends);
		expect_by_reference(by_reference[i], ends);
	}
	for (size_t i = 0; i < ARRAY_SIZE(copying); i++) {
		pair(ends);
		expect_copied(copying[i], ends);
	}
	if (has_uring()) {
		pair(ends);
		expect_by_reference(LEAT_URING, ends);
	}
}

static void over_tcp_loopback(void **state)
{
	over(tcp_pair);
}

static void over_a_unix_socket(void **state)
{
	over(unix_pair);
}

static void zerocopy_over_loopback_is_copied_and_its_completions_say_so(void **state)
{
	int ends[2];

	tcp_pair(ends);
	expect_copied_later(LEAT_ZEROCOPY, ends, "completions");
}

static void tee_hands_both_sinks_the_same_pages(void **state)
{
	int file = file_of('A'), main_ends[2], mirror_ends[2];
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	char want = probe_says_by_reference() ? 'B' : 'A';

	tcp_pair(main_ends);
	unix_pair(mirror_ends);
	options.mirrors = &mirror_ends[0];
	options.mirror_count = 1;
	assert_int_equal(leat_transfer(file, 0, main_ends[0], length, &options, &report), length);
	assert_int_equal(report.technique, LEAT_TEE);
	overwrite(file, 'B');
	assert_int_equal(letter_from(main_ends[1]), want);
	assert_int_equal(letter_from(mirror_ends[1]), want);
	close_pair(main_ends);
	close_pair(mirror_ends);
	close(file);
}

/* ---- Over a veth pair between two network namespaces
 * --------------------------------------------- */

#define CHILD_SKIPS  77
#define COMMANDS_MAX 512

/* Sender and receiver; the descriptors keep the namespaces alive. */
static int sender_net, receiver_net;

PRINTF_LIKE(1, 2) static bool run_commands(const char *fmt, ...)
{
	char command[COMMANDS_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	return system(command) == 0;
}

static bool enter(int net)
{
	return setns(net, CLONE_NEWNET) == 0;
}

static int new_net(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Ends in the sender's namespace. */
static bool make_veth(void)
{
	receiver_net = new_net();
	sender_net = new_net();
	if (receiver_net < 0 || sender_net < 0)
		return false;
	if (!run_commands("{ ip link add leat0 type veth peer name leat1 && "
			  "ip link set leat1 netns /proc/%d/fd/%d && "
			  "ip addr add 10.213.7.1/24 dev leat0 && ip link set leat0 up; } "
			  ">/dev/null 2>&1",
			  (int)getpid(), receiver_net))
		return false;
	return enter(receiver_net) &&
	       run_commands("{ ip addr add 10.213.7.2/24 dev leat1 && ip link set leat1 up; } "
			    ">/dev/null 2>&1") &&
	       enter(sender_net);
}

static void veth_pair(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int listener;

	assert_int_equal(inet_pton(AF_INET, "10.213.7.2", &address.sin_addr), 1);
	assert_true(enter(receiver_net));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_true(enter(sender_net));
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&address, sizeof(address)), 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(ends[1] >= 0);
	set_nonblock(ends[0]);
	close(listener);
}

static int prove_over_a_good_device(void)
{
	int ends[2];

	if (!make_veth())
		return CHILD_SKIPS;
	over(veth_pair);
	veth_pair(ends);
	expect_copied_later(LEAT_ZEROCOPY, ends, "completions");
	return 0;
}

/* The device can't take pages: everything is copied, whatever the technique, and the calls and even
 * MSG_ZEROCOPY's completions do not tell. The copy is made when the device takes a packet, so all
 * has to leave at once: less than the first congestion window. */
static int prove_over_a_bad_device(const char *feature, const char *evidence)
{
	int ends[2];

	length = 8192;
	if (!make_veth() || !run_commands("ethtool -K leat0 %s off >/dev/null 2>&1", feature))
		return CHILD_SKIPS;
	for (size_t i = 0; i < ARRAY_SIZE(by_reference); i++) {
		veth_pair(ends);
		expect_copied_later(by_reference[i], ends, evidence);
	}
	veth_pair(ends);
	expect_copied_later(LEAT_ZEROCOPY, ends, evidence);
	for (size_t i = 0; i < ARRAY_SIZE(copying); i++) {
		veth_pair(ends);
		expect_copied(copying[i], ends);
	}
	return 0;
}

static int prove_without_scatter_gather(void)
{
	return prove_over_a_bad_device("sg", "leat0 has no scatter-gather");
}

static int prove_without_checksums(void)
{
	return prove_over_a_bad_device("tx", "leat0 has no");
}

/* Namespaces, devices and all go with the child. */
static void in_child(int (*prove)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion ends the child */
		_exit(prove());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
		unit_skip("no network namespaces, ip or ethtool here");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void over_veth(void **state)
{
	in_child(prove_over_a_good_device);
}

static void over_veth_without_scatter_gather_everything_is_copied(void **state)
{
	in_child(prove_without_scatter_gather);
}

static void over_veth_without_checksums_everything_is_copied(void **state)
{
	in_child(prove_without_checksums);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(over_tcp_loopback),
	    cmocka_unit_test(over_a_unix_socket),
	    cmocka_unit_test(zerocopy_over_loopback_is_copied_and_its_completions_say_so),
	    cmocka_unit_test(tee_hands_both_sinks_the_same_pages),
	    cmocka_unit_test(over_veth),
	    cmocka_unit_test(over_veth_without_scatter_gather_everything_is_copied),
	    cmocka_unit_test(over_veth_without_checksums_everything_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
