/*
 * Telling the service manager that a server is ready (sd_notify(3), Type=notify): a datagram to the
 * socket that NOTIFY_SOCKET names. Without the variable nothing happens.
 *
 * Opened at the start, sent on when the server listens: it may have confined itself since.
 */
#ifndef CMD_NOTIFY_H
#define CMD_NOTIFY_H

#include "base/check.h"

struct notify {
	int fd; /* -1: nobody wants to know */
};

void notify_open(struct notify *notify);
/* For http_options.ready: `arg` is the struct notify, closed afterwards. */
void notify_ready(void *arg);

#endif
