#include "kafka/broker/watch.h"

void partition_watch_init(void *user, struct partition *partition)
{
	struct partition_watch *watch = user;

	pthread_mutex_init(&watch->lock, NULL);
	list_init(&watch->watchers);
}

void partition_watch_fini(void *user)
{
	struct partition_watch *watch = user;

	CHECK(list_empty(&watch->watchers));
	pthread_mutex_destroy(&watch->lock);
}

void watcher_add(struct watcher *watcher, struct partition *partition, struct waiter *waiter)
{
	struct partition_watch *watch = partition_user(partition);

	watcher->waiter = waiter;
	pthread_mutex_lock(&watch->lock);
	list_push_back(&watch->watchers, &watcher->node);
	pthread_mutex_unlock(&watch->lock);
}

void watcher_remove(struct watcher *watcher, struct partition *partition)
{
	struct partition_watch *watch = partition_user(partition);

	pthread_mutex_lock(&watch->lock);
	list_remove(&watcher->node);
	pthread_mutex_unlock(&watch->lock);
}

void waiter_woken(struct waiter *waiter)
{
	atomic_store(&waiter->posted, false);
}

bool waiter_is_idle(struct waiter *waiter)
{
	return !atomic_load(&waiter->posted);
}

void partition_wake(struct partition *partition)
{
	struct partition_watch *watch = partition_user(partition);
	struct list *node;

	pthread_mutex_lock(&watch->lock);
	list_for_each (node, &watch->watchers) {
		struct waiter *waiter = container_of(node, struct watcher, node)->waiter;

		if (!atomic_exchange(&waiter->posted, true))
			inbox_send(waiter->home, &waiter->message);
	}
	pthread_mutex_unlock(&watch->lock);
}
