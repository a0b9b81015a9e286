#include "kafka/broker/inbox.h"

void inbox_init(struct inbox *inbox)
{
	pthread_mutex_init(&inbox->lock, NULL);
	list_init(&inbox->messages);
	inbox->loop = NULL;
	inbox->posted = false;
}

void inbox_fini(struct inbox *inbox)
{
	CHECK(list_empty(&inbox->messages));
	pthread_mutex_destroy(&inbox->lock);
}

void inbox_deliver(struct inbox *inbox)
{
	struct list messages, *node;

	list_init(&messages);
	pthread_mutex_lock(&inbox->lock);
	list_move_all(&messages, &inbox->messages);
	inbox->posted = false;
	pthread_mutex_unlock(&inbox->lock);
	while ((node = list_pop_front(&messages))) {
		struct message *message = container_of(node, struct message, node);

		message->fn(message);
	}
}

static void arrived(void *inbox)
{
	inbox_deliver(inbox);
}

/* With the lock held. */
static void post(struct inbox *inbox)
{
	if (inbox->loop && !inbox->posted && !list_empty(&inbox->messages))
		inbox->posted = loop_post(inbox->loop, arrived, inbox) == 0;
}

void inbox_open(struct inbox *inbox, struct loop *loop)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->loop = loop;
	post(inbox);
	pthread_mutex_unlock(&inbox->lock);
}

void inbox_close(struct inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->loop = NULL;
	pthread_mutex_unlock(&inbox->lock);
}

void inbox_send(struct inbox *inbox, struct message *message)
{
	pthread_mutex_lock(&inbox->lock);
	list_push_back(&inbox->messages, &message->node);
	post(inbox);
	pthread_mutex_unlock(&inbox->lock);
}
