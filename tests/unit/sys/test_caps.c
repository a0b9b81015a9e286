#include "unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sys/caps.h"
#include "sys/sys.h"

#define BYTES 65536

/* A connected TCP pair over loopback: the probe itself uses a UNIX pair. */
static void tcp_pair(int ret[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	ret[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(ret[0], (struct sockaddr *)&addr, len), 0);
	ret[1] = accept(listener, NULL, NULL);
	assert_true(ret[1] >= 0);
	close(listener);
}

/* 'B': the peer read what the file holds now. 'A': what it held when it was sent. */
static char letter_after_mutation(void)
{
	static char bytes[BYTES];
	int pair[2], file = memfd_create("proof", 0);
	off_t offset = 0;

	tcp_pair(pair);
	memset(bytes, 'A', BYTES);
	assert_int_equal(pwrite(file, bytes, BYTES, 0), BYTES);
	assert_int_equal(sendfile(pair[0], file, &offset, BYTES), BYTES);
	memset(bytes, 'B', BYTES);
	assert_int_equal(pwrite(file, bytes, BYTES, 0), BYTES);
	assert_int_equal(recv(pair[1], bytes, BYTES, MSG_WAITALL), BYTES);
	for (size_t i = 1; i < BYTES; i++)
		assert_int_equal(bytes[i], bytes[0]);
	close(pair[0]);
	close(pair[1]);
	close(file);
	return bytes[0];
}

static void sendfile_answer_agrees_with_a_proof_by_hand(void **state)
{
	enum caps_answer by_hand = letter_after_mutation() == 'B' ? CAPS_YES : CAPS_NO;

	assert_int_equal(caps_get()->sendfile_by_reference, by_hand);
}

static void kernel_is_uname_release(void **state)
{
	struct utsname names;

	uname(&names);
	assert_string_equal(caps_get()->kernel, names.release);
}

static void pipe_size_is_what_a_pipe_can_be_grown_to(void **state)
{
	int pipe[2];
	uint32_t max = caps_get()->pipe_bytes_max;

	assert_int_equal(sys_pipe(pipe), 0);
	assert_true(max >= 4096);
	assert_int_equal(sys_pipe_resize(pipe[1], (int)max), max);
	close(pipe[0]);
	close(pipe[1]);
}

/* Runs first: the probe has not been made yet. */
static void probe_leaves_no_descriptor_open(void **state)
{
	int before = dup(0), after;
	const struct caps *caps;

	close(before);
	caps = caps_get();
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
	assert_ptr_equal(caps_get(), caps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(probe_leaves_no_descriptor_open),
	    cmocka_unit_test(sendfile_answer_agrees_with_a_proof_by_hand),
	    cmocka_unit_test(kernel_is_uname_release),
	    cmocka_unit_test(pipe_size_is_what_a_pipe_can_be_grown_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
