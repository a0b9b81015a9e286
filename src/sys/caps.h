/*
 * What this kernel can do, found out by doing it: probed once a process (pthread_once), under a
 * millisecond, no privileges. Version numbers are never asked: distributions backport, and upstream
 * has talked of turning sendfile and splice into copies.
 */
#ifndef SYS_CAPS_H
#define SYS_CAPS_H

#include <stdbool.h>
#include <stdint.h>

enum caps_answer { CAPS_NO, CAPS_YES, CAPS_UNPROVEN };

struct caps {
	char kernel[65];
	enum caps_answer sendfile_by_reference; /* mutation proof: memfd, socketpair, sendfile,
						   overwrite, read */
	enum caps_answer splice_by_reference;   /* the same through a pipe */
	enum caps_answer copy_file_range;
	enum caps_answer zerocopy;
	enum caps_answer uring; /* io_uring_setup works and the probe names SPLICE and SEND_ZC */
	enum caps_answer ktls;
	enum caps_answer cachestat;
	enum caps_answer openat2;
	uint32_t pipe_bytes_max;
};

/* Never fails: what could not be asked is CAPS_UNPROVEN. Thread-safe. */
const struct caps *caps_get(void);

#endif
