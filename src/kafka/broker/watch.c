/*
 * A partition's lock guards its list of watchers. A watcher is noted with its waiter under it, and the
 * waiter, which has others on other partitions, takes what is noted without: a stack to which any
 * thread adds, and from which the waiter's alone takes.
 */
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
	atomic_init(&watcher->is_noted, false);
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

static void note(struct watcher *watcher)
{
	struct waiter *waiter = watcher->waiter;

	if (atomic_exchange(&watcher->is_noted, true))
		return;
	watcher->next = atomic_load(&waiter->noted);
	while (!atomic_compare_exchange_weak(&waiter->noted, &watcher->next, watcher))
		;
}

/* The owner is the only one who takes off: what is on top stays there until it does, so `next` is what
 * it was. */
struct watcher *waiter_take(struct waiter *waiter)
{
	struct watcher *watcher = atomic_load(&waiter->noted);

	while (watcher && !atomic_compare_exchange_weak(&waiter->noted, &watcher, watcher->next))
		;
	if (watcher)
		atomic_store(&watcher->is_noted, false);
	return watcher;
}

void waiter_forget(struct waiter *waiter)
{
	atomic_store(&waiter->noted, NULL);
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
		struct watcher *watcher = container_of(node, struct watcher, node);
		struct waiter *waiter = watcher->waiter;

		note(watcher);
		if (!atomic_exchange(&waiter->posted, true))
			inbox_send(waiter->home, &waiter->message);
	}
	pthread_mutex_unlock(&watch->lock);
}
