/*
 * What is to be unlinked later: first it gets a name that says so, which a start after a crash
 * knows as well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

void store_name_aside(struct slice topic, int32_t number, const char *suffix,
		      char ret[NAME_ASIDE_MAX])
{
	char rest[64];
	struct buf buf = buf_over(rest, sizeof(rest));
	uint8_t unique[16];
	uint64_t now = sys_now_ns();

	/* The name only has to be a new one. */
	if (sys_random(unique, sizeof(unique)) < 0) {
		memset(unique, 0, sizeof(unique));
		memcpy(unique, &now, sizeof(now));
	}
	buf_printf(&buf, "-%d.", number);
	for (unsigned i = 0; i < sizeof(unique); i++)
		buf_printf(&buf, "%02x", unique[i]);
	buf_add_text(&buf, suffix);
	snprintf(ret, NAME_ASIDE_MAX, "%.*s%.*s",
		 (int)min_size(topic.len, NAME_ASIDE_MAX - 1 - buf.len), topic.ptr, (int)buf.len,
		 buf.ptr);
}

int store_doom(struct store *store, const char *path, const char *renamed, bool folder,
	       int64_t due_ms)
{
	size_t len = strlen(renamed) + 1;
	struct doomed *doomed;
	int r = 0;

	if (strcmp(path, renamed) != 0)
		r = sys_renameat(store->fd, path, store->fd, renamed);
	/* A full disk may have no room for another name, but it takes one away. */
	if (r < 0 && r != -ENOENT && (!folder || reserve_helps(r))) {
		r = folder ? files_remove_folder(store->fd, path)
			   : sys_unlinkat(store->fd, path, 0);
		r = r == 0 ? -ENOENT : r;
	}
	if (r < 0 && r != -ENOENT)
		log_error("%s/%s: can't be renamed for deletion: %s", store->dir, path,
			  strerror(-r));
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	doomed = malloc(sizeof(*doomed) + len);
	/* Without memory the next start deletes it. */
	if (!doomed)
		return 0;
	doomed->due_ms = due_ms;
	doomed->folder = folder;
	memcpy(doomed->path, renamed, len);
	pthread_mutex_lock(&store->doomed.lock);
	list_push_back(&store->doomed.list, &doomed->in_list);
	pthread_mutex_unlock(&store->doomed.lock);
	return 0;
}

/* NULL: nothing is due. */
static struct doomed *take_due(struct store *store, int64_t now_ms)
{
	struct doomed *found = NULL;
	struct list *node;

	pthread_mutex_lock(&store->doomed.lock);
	list_for_each (node, &store->doomed.list) {
		struct doomed *doomed = container_of(node, struct doomed, in_list);

		if (doomed->due_ms <= now_ms) {
			found = doomed;
			list_remove(node);
			break;
		}
	}
	pthread_mutex_unlock(&store->doomed.lock);
	return found;
}

void store_reap(struct store *store, int64_t now_ms, uint64_t until_ns)
{
	struct doomed *doomed;

	while (sys_now_ns() <= until_ns && (doomed = take_due(store, now_ms))) {
		int r = doomed->folder ? files_remove_folder(store->fd, doomed->path)
				       : sys_unlinkat(store->fd, doomed->path, 0);

		/* It may have gone with its folder. */
		if (r < 0 && r != -ENOENT)
			log_warning("%s/%s: can't be deleted: %s", store->dir, doomed->path,
				    strerror(-r));
		free(doomed);
	}
}

void store_forget_doomed(struct store *store)
{
	struct list *node;

	while ((node = list_pop_front(&store->doomed.list)))
		free(container_of(node, struct doomed, in_list));
}
