/*
 * Who waits for a partition to get on: fetches for data, produce requests for the disk.
 *
 * Each partition has a list of watchers. An append, a flush or a deletion notes each of them with its
 * waiter, and sends the waiter its message, once until the message has been handled. The woken look
 * for themselves what there is, at the partitions whose watchers have been noted and at no others:
 * waiter_take(). Who begins to watch and then looks misses nothing.
 *
 * A waiter watches a partition once: an event costs so much a waiter, whatever its client has asked.
 */
#ifndef KAFKA_BROKER_WATCH_H
#define KAFKA_BROKER_WATCH_H

#include <stdatomic.h>

#include "kafka/broker/inbox.h"
#include "kafka/store/store.h"

/* Lies in the store's partition: partition_user(). */
struct partition_watch {
	pthread_mutex_t lock;
	struct list watchers;
};

/* For store_options. */
void partition_watch_init(void *user, struct partition *partition);
void partition_watch_fini(void *user);

struct watcher;

struct waiter {
	struct message message; /* `fn` begins by waiter_woken() */
	struct inbox *home;
	_Atomic bool posted;             /* the message is under way */
	_Atomic(struct watcher *) noted; /* a stack of those whose partitions have got on */
};

/* One for each partition that a waiter watches. */
struct watcher {
	struct list node;
	struct waiter *waiter;
	struct watcher *next; /* in `noted` */
	_Atomic bool is_noted;
};

void watcher_add(struct watcher *watcher, struct partition *partition, struct waiter *waiter);
void watcher_remove(struct watcher *watcher, struct partition *partition);
/* One of those noted, which may be noted again from now on; NULL: no more. By whoever owns the waiter,
 * before it looks at the partition. */
struct watcher *waiter_take(struct waiter *waiter);
/* Its watchers have been removed: none is noted any more. */
void waiter_forget(struct waiter *waiter);
/* From here on the next event sends the message again. */
void waiter_woken(struct waiter *waiter);
/* Without watchers: may its memory go? If not, the message is still to come, and then it may. */
bool waiter_is_idle(struct waiter *waiter);

/* Any thread. */
void partition_wake(struct partition *partition);

#endif
