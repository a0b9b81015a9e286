/*
 * Every technique that takes a file to a TCP socket, each forced, in the frame of sender.h: one
 * leat_transfer() a file over a blocking socket. There is no floor: they are compared with each
 * other.
 *
 *     pair-techniques FILE TURN_BYTES ROUNDS copy mmap sendfile splice vmsplice zerocopy uring
 */
#include <string.h>

#include <leat/leat.h>

#include "sender.h"

static void send_by(enum leat_technique technique, int socket, int file, size_t size)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;

	options.technique = technique;
	if (leat_transfer(file, 0, socket, size, &options, &report) == (int64_t)size)
		return;
	fprintf(stderr, "%s: %s\n", leat_technique_name(technique), report.error);
	die_text("the engine failed");
}

#define MODE(name, technique)                                      \
	static void send_##name(int socket, int file, size_t size) \
	{                                                          \
		send_by(technique, socket, file, size);            \
	}

MODE(copy, LEAT_COPY)
MODE(mmap, LEAT_MMAP)
MODE(sendfile, LEAT_SENDFILE)
MODE(splice, LEAT_SPLICE)
MODE(vmsplice, LEAT_VMSPLICE)
MODE(zerocopy, LEAT_ZEROCOPY)
MODE(uring, LEAT_URING)

const struct sender_mode floor_modes[] = {{.name = NULL}};
const struct sender_mode engine_modes[] = {
    {.name = "copy", .send_file = send_copy},
    {.name = "mmap", .send_file = send_mmap},
    {.name = "sendfile", .send_file = send_sendfile},
    {.name = "splice", .send_file = send_splice},
    {.name = "vmsplice", .send_file = send_vmsplice},
    {.name = "zerocopy", .send_file = send_zerocopy},
    {.name = "uring", .send_file = send_uring},
    {.name = NULL},
};
