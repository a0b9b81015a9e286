/*
 * The line between the lab and its two worker processes: whole messages over a SOCK_SEQPACKET pair,
 * each with at most one descriptor.
 */
#ifndef LAB_CHANNEL_H
#define LAB_CHANNEL_H

#include "base/check.h"

/* `pass` -1: no descriptor. 0 or -errno. */
int channel_send(int channel, const void *data, size_t len, int pass);
/* Waits for one message of exactly `len` bytes. 1; 0 when the other side has gone; -EPROTO for
 * another length. *ret_fd: the descriptor that came, -1 for none; may be NULL when none is
 * expected. */
int channel_receive(int channel, void *data, size_t len, int *ret_fd);

#endif
