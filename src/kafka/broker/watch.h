/*
 * Who waits for a partition to get on: fetches for data, produce requests for the disk.
 *
 * Each partition has a list of watchers. An append, a flush or a deletion sends each of them its
 * message, once until the message has been handled; the woken look for themselves what there is.
 * Who begins to watch and then looks misses nothing.
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

struct waiter {
	struct message message; /* `fn` begins by waiter_woken() */
	struct inbox *home;
	_Atomic bool posted; /* the message is under way */
};

/* One for each partition that a waiter watches. */
struct watcher {
	struct list node;
	struct waiter *waiter;
};

void watcher_add(struct watcher *watcher, struct partition *partition, struct waiter *waiter);
void watcher_remove(struct watcher *watcher, struct partition *partition);
/* From here on the next event sends the message again. */
void waiter_woken(struct waiter *waiter);
/* Without watchers: may its memory go? If not, the message is still to come, and then it may. */
bool waiter_is_idle(struct waiter *waiter);

/* Any thread. */
void partition_wake(struct partition *partition);

#endif
