/*
 * Files and folders of the simulated disk: what is on it for good, and what came after.
 */
#ifndef TESTS_CRASH_NODES_H
#define TESTS_CRASH_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_HERE 256

/* A change of a file that has not been synced. */
struct change {
	bool truncate;
	uint64_t at; /* or the new size */
	size_t len;
	char *bytes;
};

struct node;

struct entry {
	char name[NAME_MAX_HERE];
	struct node *node;
};

struct entries {
	struct entry *list;
	size_t count, capacity;
};

/* A change of a folder: `from` away (unless ""), `to` there (unless ""). */
struct naming {
	char from[NAME_MAX_HERE], to[NAME_MAX_HERE];
	struct node *node;
};

struct node {
	struct node *next; /* of all, to be freed */
	bool folder;
	uint64_t allocated; /* of a file: so far the disk has room, also where it is full */
	/* A file: what is on disk, and what came after. */
	char *bytes;
	size_t size, capacity;
	struct change *changes;
	size_t change_count, change_capacity;
	/* A folder. */
	struct entries live, safe;
	struct naming *namings;
	size_t naming_count, naming_capacity;
};

/* All of them are kept until nodes_lose(), or nodes_free(). */
struct node *node_new(bool folder);
struct entry *node_find(struct entries *entries, const char *name);
/* In a folder: `from` away (unless ""), `to` there (unless ""). */
void node_name(struct node *folder, const char *from, const char *to, struct node *node);
/* Of a file, with a copy of `bytes`. */
void node_change(struct node *node, struct change change, const void *bytes);
/* The first `len` bytes of a change are on the disk. */
void node_apply(struct node *node, const struct change *change, size_t len);
void node_sync(struct node *node);
/* Each change is on the disk or not, and nobody tries again. */
void node_fail_sync(struct node *node);

/* The power goes: what is not on the disk for good is there or not. What `root` does not lead to is
 * gone. */
void nodes_lose(struct node *root);
void node_write_out(const struct node *node, const char *path);
void nodes_free(void);

#endif
