#include "unit/stream/stream_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine.h"

static struct stream_rig *current;
_Atomic unsigned stream_rig_opened, stream_rig_closed;

static int rig_loop_open(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	struct stream_rig *rig = current;
	unsigned i = loop_index(loop);

	engine_init(&rig->engine[i]);
	stream_loop_init(&rig->home[i], loop, &rig->engine[i],
			 rig->write_ms ? rig->write_ms : 60000);
	return 0;
}

static void rig_loop_close(struct loop *loop, void *data)
{
	unsigned i = loop_index(loop);

	stream_loop_fini(&current->home[i]);
	engine_fini(&current->engine[i]);
}

struct stream_loop *stream_rig_home(void *arg, struct loop *loop)
{
	return &current->home[loop_index(loop)];
}

void stream_rig_start(struct stream_rig *rig, const struct stream_ops *ops)
{
	const struct reactor_options options = {.threads = rig->threads ? rig->threads : 1,
						.helpers = 2,
						.data_size_min = rig->data_size_min,
						.drain_ms = 200,
						.loop_open = rig_loop_open,
						.loop_close = rig_loop_close};

	current = rig;
	stream_rig_opened = stream_rig_closed = 0;
	rig_start(&rig->rig, &options, "127.0.0.1:0", &ops->conn);
}

void stream_rig_stop(struct stream_rig *rig)
{
	rig_stop(&rig->rig);
}

/* ---- the pattern ---- */

static char pattern_at(uint64_t offset)
{
	return (char)((offset * 2654435761u) >> 13);
}

void pattern_fill(char *buf, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = pattern_at(offset + i);
}

void pattern_check(const char *buf, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != pattern_at(offset + i))
			fail_msg("byte %llu is wrong", (unsigned long long)(offset + i));
}

void client_read_pattern(int fd, uint64_t offset, uint64_t len)
{
	char buf[65536];

	while (len > 0) {
		size_t n = len < sizeof(buf) ? (size_t)len : sizeof(buf);

		client_read(fd, buf, n);
		pattern_check(buf, offset, n);
		offset += n;
		len -= n;
	}
}

void client_send_pattern(int fd, uint64_t offset, uint64_t len)
{
	char buf[65536];

	while (len > 0) {
		size_t n = len < sizeof(buf) ? (size_t)len : sizeof(buf);

		pattern_fill(buf, offset, n);
		client_send(fd, buf, n);
		offset += n;
		len -= n;
	}
}

int pattern_file(uint64_t len)
{
	char name[] = "/var/tmp/leat-stream-XXXXXX", buf[65536];
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	for (uint64_t at = 0; at < len;) {
		size_t n = len - at < sizeof(buf) ? (size_t)(len - at) : sizeof(buf);

		pattern_fill(buf, at, n);
		assert_int_equal(write(fd, buf, n), n);
		at += n;
	}
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}
