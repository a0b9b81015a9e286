#include "crash/nodes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "crash/disk.h"

#define SECTOR 512u

static struct node *all;

static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return list;
	*capacity = *capacity ? 2 * *capacity : 8;
	list = realloc(list, *capacity * size);
	CHECK(list);
	return list;
}

struct node *node_new(bool folder)
{
	struct node *node = calloc(1, sizeof(*node));

	CHECK(node);
	node->folder = folder;
	node->next = all;
	all = node;
	return node;
}

struct entry *node_find(struct entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0)
			return &entries->list[i];
	return NULL;
}

static void set(struct entries *entries, const char *name, struct node *node)
{
	struct entry *entry = node_find(entries, name);

	if (!entry) {
		entries->list =
		    grow(entries->list, entries->count, &entries->capacity, sizeof(struct entry));
		entry = &entries->list[entries->count++];
		snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	entry->node = node;
}

static void unset(struct entries *entries, const char *name)
{
	struct entry *entry = node_find(entries, name);

	if (entry)
		*entry = entries->list[--entries->count];
}

static void apply_naming(struct entries *entries, const struct naming *naming)
{
	if (naming->from[0])
		unset(entries, naming->from);
	if (naming->to[0])
		set(entries, naming->to, naming->node);
}

void node_name(struct node *folder, const char *from, const char *to, struct node *node)
{
	struct naming naming = {.node = node};

	snprintf(naming.from, sizeof(naming.from), "%s", from);
	snprintf(naming.to, sizeof(naming.to), "%s", to);
	folder->namings =
	    grow(folder->namings, folder->naming_count, &folder->naming_capacity, sizeof(naming));
	folder->namings[folder->naming_count++] = naming;
	apply_naming(&folder->live, &naming);
}

void node_apply(struct node *node, const struct change *change, size_t len)
{
	size_t end = change->truncate ? change->at : change->at + len;

	if (end > node->capacity) {
		node->capacity = end * 2;
		node->bytes = realloc(node->bytes, node->capacity);
		CHECK(node->bytes);
	}
	if (end > node->size)
		memset(node->bytes + node->size, 0, end - node->size);
	if (change->truncate || end > node->size)
		node->size = end;
	if (len > 0)
		memcpy(node->bytes + change->at, change->bytes, len);
}

void node_change(struct node *node, struct change change, const void *bytes)
{
	if (change.len > 0) {
		change.bytes = malloc(change.len);
		CHECK(change.bytes);
		memcpy(change.bytes, bytes, change.len);
	}
	node->changes =
	    grow(node->changes, node->change_count, &node->change_capacity, sizeof(change));
	node->changes[node->change_count++] = change;
}

void node_sync(struct node *node)
{
	for (size_t i = 0; i < node->change_count; i++) {
		node_apply(node, &node->changes[i], node->changes[i].len);
		free(node->changes[i].bytes);
	}
	node->change_count = 0;
	for (size_t i = 0; i < node->naming_count; i++)
		apply_naming(&node->safe, &node->namings[i]);
	node->naming_count = 0;
}

/* The part of a change from its nth byte to before `to`. */
static void apply_part(struct node *node, const struct change *change, size_t from, size_t to)
{
	struct change part = *change;

	if (from >= to)
		return;
	part.at += from;
	part.bytes += from;
	node_apply(node, &part, to - from);
}

/* What of the nth change has not come to the disk is there all the same where it shares a sector with
 * a later change that has: the page has both. Bytes of the change from `*from` on are missing. */
static void apply_shared(struct node *node, size_t nth, const size_t *done, size_t from)
{
	const struct change *change = &node->changes[nth];
	size_t end = change->at + change->len, sector = end / SECTOR * SECTOR;

	for (size_t later = nth + 1; later < node->change_count; later++) {
		const struct change *other = &node->changes[later];

		/* From there on it is another file. */
		if (other->truncate)
			return;
		if (done[later] == 0 || other->at >= sector + SECTOR)
			continue;
		if (end % SECTOR != 0 && other->at >= change->at)
			apply_part(node, change,
				   sector > change->at + from ? sector - change->at : from,
				   change->len);
		return;
	}
}

/* Of each change so many bytes are on the disk. */
static void apply_done(struct node *node, const size_t *done)
{
	for (size_t i = 0; i < node->change_count; i++) {
		const struct change *change = &node->changes[i];

		if (change->truncate && done[i] > 0)
			node_apply(node, change, 0);
		else if (done[i] > 0)
			apply_part(node, change, 0, done[i]);
		if (!change->truncate && done[i] < change->len)
			apply_shared(node, i, done, done[i]);
	}
	for (size_t i = 0; i < node->change_count; i++)
		free(node->changes[i].bytes);
	node->change_count = 0;
}

/* All of it; of a truncate, 1. */
static size_t whole(const struct change *change)
{
	return change->truncate ? 1 : change->len;
}

void node_fail_sync(struct node *node)
{
	size_t *done = calloc(node->change_count + 1, sizeof(*done));

	CHECK(done);
	for (size_t i = 0; i < node->change_count; i++)
		done[i] = disk_random(2) ? whole(&node->changes[i]) : 0;
	apply_done(node, done);
	free(done);
}

/* So much of a change that was under way: up to a sector's end; the last one up to any byte. */
static size_t torn(const struct node *node, size_t nth)
{
	const struct change *change = &node->changes[nth];
	size_t len = disk_random(change->len), end = (change->at + len) / SECTOR * SECTOR;

	if (nth + 1 == node->change_count && disk_random(2))
		return len;
	return end > change->at ? end - change->at : 0;
}

static void lose_changes(struct node *node)
{
	/* Mostly all or nothing, as one moment of writeback or none; else each for itself. */
	uint64_t mood = disk_random(4);
	size_t *done = calloc(node->change_count + 1, sizeof(*done));

	CHECK(done);
	for (size_t i = 0; i < node->change_count; i++) {
		const struct change *change = &node->changes[i];
		uint64_t fate = mood == 0 ? 0 : mood == 1 ? 1 : disk_random(3);

		if (fate == 2 && change->len > 0)
			done[i] = torn(node, i);
		else if (fate != 0)
			done[i] = whole(change);
	}
	apply_done(node, done);
	free(done);
}

static void lose_namings(struct node *node)
{
	size_t kept = (size_t)disk_random(node->naming_count + 1);

	for (size_t i = 0; i < kept; i++)
		apply_naming(&node->safe, &node->namings[i]);
	node->naming_count = 0;
	node->live.count = 0;
	for (size_t i = 0; i < node->safe.count; i++)
		set(&node->live, node->safe.list[i].name, node->safe.list[i].node);
}

void node_write_out(const struct node *node, const char *path)
{
	char below[512];

	for (size_t i = 0; i < node->safe.count; i++) {
		const struct entry *entry = &node->safe.list[i];

		snprintf(below, sizeof(below), "%s/%s", path, entry->name);
		if (entry->node->folder) {
			CHECK(mkdir(below, 0755) == 0);
			node_write_out(entry->node, below);
		} else {
			int fd = open(below, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

			CHECK(fd >= 0 && write(fd, entry->node->bytes, entry->node->size) ==
					     (ssize_t)entry->node->size);
			close(fd);
		}
	}
}

static void mark(struct node *node, struct node **kept)
{
	for (struct node **at = &all; *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			node->next = *kept;
			*kept = node;
			break;
		}
	for (size_t i = 0; i < node->safe.count; i++)
		mark(node->safe.list[i].node, kept);
}

static void node_free(struct node *node)
{
	for (size_t i = 0; i < node->change_count; i++)
		free(node->changes[i].bytes);
	free(node->changes);
	free(node->bytes);
	free(node->live.list);
	free(node->safe.list);
	free(node->namings);
	free(node);
}

void nodes_lose(struct node *root)
{
	struct node *kept = NULL;

	for (struct node *node = all; node; node = node->next) {
		lose_changes(node);
		if (node->folder)
			lose_namings(node);
	}
	mark(root, &kept);
	nodes_free();
	all = kept;
}

void nodes_free(void)
{
	struct node *next;

	for (struct node *node = all; node; node = next) {
		next = node->next;
		node_free(node);
	}
	all = NULL;
}
