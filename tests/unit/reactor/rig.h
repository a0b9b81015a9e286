/*
 * A reactor that runs in a thread of the test, with rooms made of a few callbacks, and clients with
 * blocking sockets. Clients give up after CLIENT_PATIENCE_S, so that a test fails instead of
 * hanging.
 */
#ifndef TESTS_REACTOR_RIG_H
#define TESTS_REACTOR_RIG_H

#include "unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "reactor/reactor.h"

enum { CLIENT_PATIENCE_S = 60 };

struct rig {
	struct reactor *reactor;
	pthread_t thread;
	int result;
	int (*ready)(void *arg, struct err *err); /* the options' own; `arg` is the rig */
	sem_t listening;                          /* or it has ended */
	char where[128];                          /* the first listener */
};

/* Makes a reactor with a listener of these ops; runs it in a thread. It listens then. */
void rig_start(struct rig *rig, const struct reactor_options *options, const char *where,
	       const struct conn_ops *ops);
/* In two steps, for what has to be done between. */
void rig_make(struct rig *rig, const struct reactor_options *options, const char *where,
	      const struct conn_ops *ops);
void rig_run(struct rig *rig);
/* Stops, joins, asserts that it ended well, frees. */
void rig_stop(struct rig *rig);
/* Joins one that ends by itself. */
void rig_join(struct rig *rig);
struct reactor_stats rig_stats(const struct rig *rig);
/* Waits until *counter is at least `value`; fails the test if it never is. */
void wait_for(const _Atomic unsigned *counter, unsigned value);

/* Connected, blocking, with a receive timeout. -1 when refused. */
int client_connect(const char *where);
int client_open(const struct rig *rig);
void client_send(int fd, const void *data, size_t len);
/* Reads exactly len bytes. */
void client_read(int fd, void *buf, size_t len);
/* The peer has closed: end of file or a reset. */
void client_expect_end(int fd);

/* Sends back what arrives, until the peer ends; drains by closing. */
extern const struct conn_ops echo_ops;
void echo_ready(struct conn *conn, unsigned events);

#endif
