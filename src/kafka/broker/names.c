#include "kafka/broker/names.h"

#include <stdlib.h>

struct slice *names_of_topics(struct kafka_call *call, int32_t *ret_count)
{
	struct slice *names, after = slice_make(NULL, 0);
	int32_t count = 0, room;
	struct store_stats stats;
	struct topic *topic;

	store_stats(call->server->store, &stats);
	/* A few may come meanwhile. */
	room = (int32_t)stats.topics + 16;
	names = call_take(call, (size_t)room, sizeof(*names));
	if (!call_work(call, stats.topics))
		return NULL;
	while (names && count < room && (topic = store_topic_next(call->server->store, after))) {
		after = call_keep(call, slice_of(topic_name(topic)));
		topic_unref(topic);
		if (!after.ptr)
			return NULL;
		names[count++] = after;
	}
	*ret_count = count;
	return names;
}

static int by_name(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

int32_t names_settle(struct slice *names, int32_t count)
{
	int32_t kept = 0;

	qsort(names, (size_t)count, sizeof(*names), by_name);
	for (int32_t i = 0; i < count; i++)
		if (kept == 0 || !slice_eq(names[i], names[kept - 1]))
			names[kept++] = names[i];
	return kept;
}

struct place {
	struct slice name;
	int32_t at;
};

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = slice_compare(x->name, y->name);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

const enum name_twin *names_twins(struct kafka_call *call, const struct slice *names, int32_t count)
{
	struct place *places = call_take(call, (size_t)count, sizeof(*places));
	enum name_twin *twins = call_take(call, (size_t)count, sizeof(*twins));

	if (!places || !twins)
		return NULL;
	for (int32_t i = 0; i < count; i++)
		places[i] = (struct place){names[i], i};
	qsort(places, (size_t)count, sizeof(*places), by_place);
	for (int32_t i = 1; i < count; i++) {
		if (!slice_eq(places[i].name, places[i - 1].name))
			continue;
		twins[places[i].at] = NAME_AGAIN;
		if (twins[places[i - 1].at] == NAME_ALONE)
			twins[places[i - 1].at] = NAME_FIRST;
	}
	return twins;
}
