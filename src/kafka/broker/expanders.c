#include "kafka/broker/expanders.h"

void expanders_init(struct expanders *expanders)
{
	expanders->count = 0;
	pthread_mutex_init(&expanders->lock, NULL);
}

void expanders_fini(struct expanders *expanders)
{
	while (expanders->count > 0)
		expander_free(expanders->idle[--expanders->count]);
	pthread_mutex_destroy(&expanders->lock);
}

struct expander *expanders_take(struct expanders *expanders)
{
	struct expander *expander = NULL;

	pthread_mutex_lock(&expanders->lock);
	if (expanders->count > 0)
		expander = expanders->idle[--expanders->count];
	pthread_mutex_unlock(&expanders->lock);
	return expander ? expander : expander_new();
}

void expanders_give(struct expanders *expanders, struct expander *expander)
{
	pthread_mutex_lock(&expanders->lock);
	if (expanders->count < ARRAY_SIZE(expanders->idle)) {
		expanders->idle[expanders->count++] = expander;
		expander = NULL;
	}
	pthread_mutex_unlock(&expanders->lock);
	expander_free(expander);
}
