/*
 * A hash table of things that carry their node. It has as many cells as things and grows by itself; where
 * there is no memory for that, it stays as it is and is slower. Whoever fills it from strangers' names
 * hashes these with a secret (base/hash.h). One thread at a time; the struct must not move.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdlib.h>

#include "base/check.h"

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table {
	struct table_node **cells; /* NULL: the one below */
	struct table_node *only;
	size_t size, count; /* size: a power of two, or 0 */
};

static inline struct table_node **table_cell(struct table *table, uint64_t hash)
{
	return table->cells ? &table->cells[hash & (table->size - 1)] : &table->only;
}

/* The first that may have the hash; further ones by `next`, and by a look at their hash. */
static inline struct table_node *table_first(const struct table *table, uint64_t hash)
{
	return table->cells ? table->cells[hash & (table->size - 1)] : table->only;
}

static inline void table_put(struct table *table, struct table_node *node)
{
	struct table_node **cell = table_cell(table, node->hash);

	node->next = *cell;
	*cell = node;
}

static inline void table_grow(struct table *table)
{
	struct table old = *table;
	size_t size = old.size ? old.size * 2 : 8;
	struct table_node **cells = calloc(size, sizeof(void *));

	if (!cells)
		return;
	*table = (struct table){.cells = cells, .size = size, .count = old.count};
	for (size_t i = 0; i < (old.cells ? old.size : 1); i++) {
		struct table_node *node = old.cells ? old.cells[i] : old.only, *next;

		for (; node; node = next) {
			next = node->next;
			table_put(table, node);
		}
	}
	free(old.cells);
}

static inline void table_add(struct table *table, struct table_node *node, uint64_t hash)
{
	if (table->count >= (table->size ? table->size : 4))
		table_grow(table);
	node->hash = hash;
	table_put(table, node);
	table->count++;
}

static inline void table_remove(struct table *table, struct table_node *node)
{
	struct table_node **at = table_cell(table, node->hash);

	while (*at != node) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = node->next;
	table->count--;
}

/* Empty. */
static inline void table_fini(struct table *table)
{
	CHECK(table->count == 0);
	free(table->cells);
	*table = (struct table){0};
}

#endif
