/*
 * An intrusive, circular, doubly linked list: the node lives inside the thing that is listed, so
 * linking and unlinking never allocate and never fail. A head is a node of its own; an empty list
 * and a node that is in no list point at themselves.
 *
 * One thread at a time: no locking here.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node;
	node->prev = node;
}

/* For a head: nothing is listed. For a node: it is in no list. */
static inline bool list_empty(const struct list *node)
{
	return node->next == node;
}

/* `node` must be in no list. */
static inline void list_push_back(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Does nothing to a node that is in no list. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first node, taken off; NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_remove(node);
	return node;
}

/* Everything in `from` goes to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* `node` may not be removed while it is visited; where that can happen, pop from a moved list. */
#define list_for_each(node, head) \
	for ((node) = (head)->next; (node) != (head); (node) = (node)->next)

#endif
