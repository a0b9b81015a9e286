/* A stream's turns: input, output, files, deadlines, other ops in mid-life, the end. */
#include "unit/stream/stream_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- an echo: what comes goes back; one line of control ---- */

struct echo {
	uint64_t echoed;
};

static int echo_open(struct stream *stream)
{
	CHECK(((struct echo *)stream_data(stream))->echoed == 0);
	atomic_fetch_add(&stream_rig_opened, 1);
	return 0;
}

static void echo_closed(struct stream *stream)
{
	atomic_fetch_add(&stream_rig_closed, 1);
}

static enum stream_turn echo_step(struct stream *stream)
{
	struct echo *echo = stream_data(stream);
	size_t room;
	char *at = stream_room(stream, &room);
	ssize_t n = stream_recv(stream, at, room);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	echo->echoed += (uint64_t)n;
	stream_put(stream, (size_t)n);
	return STREAM_GOES_ON;
}

static const struct stream_ops echo = {
    .conn = STREAM_CONN_OPS(sizeof(struct echo)),
    .home = stream_rig_home,
    .open = echo_open,
    .step = echo_step,
    .closed = echo_closed,
};

static void what_comes_in_small_pieces_goes_back(void **state)
{
	struct stream_rig rig = {0};
	int fd;

	stream_rig_start(&rig, &echo);
	fd = client_open(&rig.rig);
	for (unsigned i = 0; i < 100; i++) {
		client_send_pattern(fd, i * 37, 37);
		client_read_pattern(fd, i * 37, 37);
	}
	close(fd);
	wait_for(&stream_rig_closed, 1);
	stream_rig_stop(&rig);
}

static void the_end_that_came_with_the_last_bytes_is_seen(void **state)
{
	struct stream_rig rig = {0};
	int fd;

	stream_rig_start(&rig, &echo);
	fd = client_open(&rig.rig);
	client_send_pattern(fd, 0, 1000);
	shutdown(fd, SHUT_WR);
	client_read_pattern(fd, 0, 1000);
	client_expect_end(fd);
	close(fd);
	stream_rig_stop(&rig);
	assert_int_equal(stream_rig_closed, 1);
}

/* The client sends without reading until nothing goes any more, and then reads: nothing is lost,
 * and another client was served meanwhile. */
static void a_client_that_does_not_read_stops_nobody_else(void **state)
{
	struct stream_rig rig = {0};
	uint64_t sent = 0;
	char buf[65536];
	int slow, other;

	stream_rig_start(&rig, &echo);
	slow = client_open(&rig.rig);
	other = client_open(&rig.rig);
	for (unsigned quiet = 0; quiet < 20;) {
		ssize_t n;

		pattern_fill(buf, sent, sizeof(buf));
		n = send(slow, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			quiet++;
			client_send_pattern(other, 0, 10);
			client_read_pattern(other, 0, 10);
		} else {
			sent += (uint64_t)n;
		}
	}
	client_read_pattern(slow, 0, sent);
	close(slow);
	close(other);
	stream_rig_stop(&rig);
}

static void a_socket_that_takes_nothing_has_a_deadline(void **state)
{
	struct stream_rig rig = {.write_ms = 100};
	char buf[65536] = {0};
	int fd;

	stream_rig_start(&rig, &echo);
	fd = client_open(&rig.rig);
	for (;;) {
		ssize_t n = send(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break; /* it was closed */
		if (n < 0)
			usleep(1000);
	}
	wait_for(&stream_rig_closed, 1);
	close(fd);
	stream_rig_stop(&rig);
}

/* ---- files ---- */

enum { FILE_BYTES = 12 * 1024 * 1024 + 77 };
static int file = -1;
static uint64_t file_bytes;
static _Atomic unsigned released, failed;
static char failure[200];

static void file_released(void *arg)
{
	atomic_fetch_add(&released, 1);
}

/* Each byte that comes asks for "head", the file, "tail". */
static enum stream_turn files_step(struct stream *stream)
{
	char c;
	ssize_t n = stream_recv(stream, &c, 1);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	CHECK(stream_put_bytes(stream, "head", 4) == 0);
	CHECK(stream_add_file(stream, file, 7, 0, file_bytes, file_released, NULL) == 0);
	CHECK(stream_put_bytes(stream, "tail", 4) == 0);
	CHECK(stream_pending(stream) == file_bytes + 8);
	return STREAM_GOES_ON;
}

static void files_failed(struct stream *stream, int error, const char *text)
{
	snprintf(failure, sizeof(failure), "%d %s", error, text);
	atomic_fetch_add(&failed, 1);
}

static const struct stream_ops files = {
    .conn = STREAM_CONN_OPS(0),
    .home = stream_rig_home,
    .step = files_step,
    .failed = files_failed,
    .closed = echo_closed,
};

static void files_start(struct stream_rig *rig, uint64_t bytes)
{
	released = failed = 0;
	file_bytes = bytes;
	file = pattern_file(bytes);
	stream_rig_start(rig, &files);
}

static void files_stop(struct stream_rig *rig)
{
	stream_rig_stop(rig);
	close(file);
}

static void a_cold_file_goes_between_its_head_and_its_tail(void **state)
{
	struct stream_rig rig = {0};
	char word[4];
	int fd;

	files_start(&rig, FILE_BYTES);
	fd = client_open(&rig.rig);
	for (unsigned i = 0; i < 3; i++) {
		client_send(fd, "x", 1);
		client_read(fd, word, 4);
		assert_memory_equal(word, "head", 4);
		client_read_pattern(fd, 0, FILE_BYTES);
		client_read(fd, word, 4);
		assert_memory_equal(word, "tail", 4);
	}
	close(fd);
	wait_for(&stream_rig_closed, 1);
	assert_int_equal(released, 3);
	files_stop(&rig);
	assert_int_equal(failed, 0);
}

/* Also while a helper reads for them. */
static void clients_that_leave_in_mid_file_leave_nothing_behind(void **state)
{
	struct stream_rig rig = {0};

	files_start(&rig, FILE_BYTES);
	for (unsigned i = 0; i < 30; i++) {
		int fd = client_open(&rig.rig);

		if (i % 3 == 0)
			posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
		client_send(fd, "x", 1);
		if (i % 2)
			client_read_pattern(fd, 0, 0);
		close(fd);
	}
	wait_for(&stream_rig_closed, 30);
	files_stop(&rig);
	assert_int_equal(rig.rig.result, 0);
}

static void a_file_that_shrank_is_told_and_ends_the_stream(void **state)
{
	struct stream_rig rig = {0};
	char word[4];
	int fd;

	files_start(&rig, 100000);
	file_bytes = 200000;
	fd = client_open(&rig.rig);
	client_send(fd, "x", 1);
	client_read(fd, word, 4);
	client_read_pattern(fd, 0, 100000);
	client_expect_end(fd);
	close(fd);
	files_stop(&rig);
	assert_int_equal(failed, 1);
	assert_int_equal(released, 1);
	if (!strstr(failure, "-61 ") || !strstr(failure, "100000"))
		fail_msg("%s", failure);
}

/* ---- other ops in mid-life ---- */

struct preface {
	char line[8];
	size_t len;
};

/* Up to a newline, received in pieces larger than the line: the rest is the echo's. */
static enum stream_turn preface_step(struct stream *stream)
{
	struct preface *preface = stream_data(stream);
	char buf[64], *end;
	ssize_t n = stream_recv(stream, buf, sizeof(buf));

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	preface->len += (size_t)n;
	end = memchr(buf, '\n', (size_t)n);
	if (!end)
		return STREAM_GOES_ON;
	CHECK(stream_unread(stream, end + 1, (size_t)(buf + n - end - 1)) == 0);
	return stream_become(stream, &echo, NULL) < 0 ? STREAM_CLOSES : STREAM_GOES_ON;
}

static const struct stream_ops preface = {
    .conn = STREAM_CONN_OPS(sizeof(struct preface)),
    .home = stream_rig_home,
    .step = preface_step,
};

static void a_preface_gives_back_what_is_not_its_own(void **state)
{
	struct stream_rig rig = {0};
	char text[] = "ab\n", rest[50];
	int fd;

	stream_rig_start(&rig, &preface);
	fd = client_open(&rig.rig);
	pattern_fill(rest, 0, sizeof(rest));
	for (unsigned i = 0; i < 2; i++)
		client_send(fd, text + i, 1);
	/* The newline and what is behind it in one piece. */
	client_send(fd, "\n", 1);
	client_send(fd, rest, sizeof(rest));
	client_read_pattern(fd, 0, sizeof(rest));
	client_send_pattern(fd, 0, 5000);
	client_read_pattern(fd, 0, 5000);
	assert_int_equal(stream_rig_opened, 1);
	close(fd);
	wait_for(&stream_rig_closed, 1);
	stream_rig_stop(&rig);
}

/* Gives back each byte twice over, in two calls, once. */
static enum stream_turn twice_step(struct stream *stream)
{
	char buf[8];
	ssize_t n = stream_recv(stream, buf, 4);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	CHECK(n == 4);
	CHECK(stream_unread(stream, buf + 2, 2) == 0);
	CHECK(stream_unread(stream, buf, 2) == 0);
	CHECK(stream_recv(stream, buf, 3) == 3);
	CHECK(stream_unread(stream, buf + 1, 2) == 0);
	CHECK(stream_put_bytes(stream, buf, 1) == 0);
	return stream_become(stream, &echo, NULL) < 0 ? STREAM_CLOSES : STREAM_GOES_ON;
}

static const struct stream_ops twice = {.conn = STREAM_CONN_OPS(0),
					.home = stream_rig_home,
					.step = twice_step};

static void what_was_given_back_twice_comes_in_order(void **state)
{
	struct stream_rig rig = {.data_size_min = STREAM_BYTES + sizeof(struct echo)};
	char buf[4];
	int fd;

	stream_rig_start(&rig, &twice);
	fd = client_open(&rig.rig);
	client_send(fd, "abcd", 4);
	client_read(fd, buf, 4);
	assert_memory_equal(buf, "abcd", 4);
	close(fd);
	stream_rig_stop(&rig);
}

struct large {
	char data[4096];
};

static const struct stream_ops large = {.conn = STREAM_CONN_OPS(sizeof(struct large)),
					.home = stream_rig_home,
					.step = echo_step};
static _Atomic unsigned too_large;

static enum stream_turn becomes_large_step(struct stream *stream)
{
	char c;

	if (stream_recv(stream, &c, 1) == -EAGAIN)
		return STREAM_RESTS;
	atomic_store(&too_large, stream_become(stream, &large, NULL) == -ENOSPC);
	return STREAM_CLOSES;
}

static const struct stream_ops becomes_large = {.conn = STREAM_CONN_OPS(0),
						.home = stream_rig_home,
						.step = becomes_large_step};

static void ops_whose_data_has_no_room_are_refused(void **state)
{
	struct stream_rig rig = {0};
	int fd;

	stream_rig_start(&rig, &becomes_large);
	fd = client_open(&rig.rig);
	client_send(fd, "x", 1);
	client_expect_end(fd);
	close(fd);
	stream_rig_stop(&rig);
	assert_int_equal(too_large, 1);
}

/* ---- ends ---- */

static int refuse_open(struct stream *stream)
{
	return -ENOMEM;
}

static const struct stream_ops refusing = {.conn = STREAM_CONN_OPS(0),
					   .home = stream_rig_home,
					   .open = refuse_open,
					   .step = echo_step,
					   .closed = echo_closed};

static void what_does_not_open_is_closed_without_a_word(void **state)
{
	struct stream_rig rig = {0};
	int fd;

	stream_rig_start(&rig, &refusing);
	fd = client_open(&rig.rig);
	client_expect_end(fd);
	close(fd);
	stream_rig_stop(&rig);
	assert_int_equal(stream_rig_closed, 0);
}

/* Says "bye" and shuts; goes on reading. */
static enum stream_turn bye_step(struct stream *stream)
{
	char buf[64];
	ssize_t n = stream_recv(stream, buf, sizeof(buf));

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	if (!stream->shuts) {
		CHECK(stream_put_bytes(stream, "bye", 3) == 0);
		stream_shut(stream);
	}
	return STREAM_GOES_ON;
}

static const struct stream_ops bye = {.conn = STREAM_CONN_OPS(0),
				      .home = stream_rig_home,
				      .step = bye_step,
				      .closed = echo_closed};

static void the_sending_side_is_closed_behind_the_last_byte(void **state)
{
	struct stream_rig rig = {0};
	char buf[4];
	int fd;

	stream_rig_start(&rig, &bye);
	fd = client_open(&rig.rig);
	client_send(fd, "x", 1);
	client_read(fd, buf, 3);
	assert_memory_equal(buf, "bye", 3);
	assert_int_equal(recv(fd, buf, 1, 0), 0);
	assert_int_equal(stream_rig_closed, 0);
	client_send(fd, "more", 4);
	close(fd);
	wait_for(&stream_rig_closed, 1);
	stream_rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_comes_in_small_pieces_goes_back),
	    cmocka_unit_test(the_end_that_came_with_the_last_bytes_is_seen),
	    cmocka_unit_test(a_client_that_does_not_read_stops_nobody_else),
	    cmocka_unit_test(a_socket_that_takes_nothing_has_a_deadline),
	    cmocka_unit_test(a_cold_file_goes_between_its_head_and_its_tail),
	    cmocka_unit_test(clients_that_leave_in_mid_file_leave_nothing_behind),
	    cmocka_unit_test(a_file_that_shrank_is_told_and_ends_the_stream),
	    cmocka_unit_test(a_preface_gives_back_what_is_not_its_own),
	    cmocka_unit_test(what_was_given_back_twice_comes_in_order),
	    cmocka_unit_test(ops_whose_data_has_no_room_are_refused),
	    cmocka_unit_test(what_does_not_open_is_closed_without_a_word),
	    cmocka_unit_test(the_sending_side_is_closed_behind_the_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
