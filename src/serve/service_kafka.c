#include "kafka/broker/kafka_loop.h"
#include "kafka/broker/kafka_metrics.h"
#include "kafka/broker/kafka_server.h"
#include "serve/service.h"

static int make_kafka(const void *options, unsigned loops, void **ret, struct err *err)
{
	struct kafka_server *server;
	int r = kafka_server_new(options, &server, err);

	if (r == 0)
		*ret = server;
	return r;
}

/* Before its store: two brokers over one directory are told apart by the port, too. */
static int listen_kafka(void *server, struct reactor *reactor, struct err *err)
{
	return kafka_server_listen(server, reactor, err);
}

static void add_kafka_metrics(void *server, struct admin *admin)
{
	kafka_metrics_add(server, admin);
}

static int open_kafka(void *server, struct err *err)
{
	return kafka_server_open(server, err);
}

static int keep_kafka_store(void *server, struct confinement *kept, struct err *err)
{
	const struct kafka_server *kafka = server;

	return confine_add_store(kept, kafka->store, err);
}

static int open_kafka_loop(void *server, struct loop *loop, struct err *err)
{
	kafka_loop_open(loop, server);
	return 0;
}

static void say_kafka_start(void *server)
{
	kafka_server_say_start(server);
}

static void close_kafka_loop(void *server, struct loop *loop)
{
	kafka_loop_close(loop, server);
}

static void say_kafka_end(void *server)
{
	kafka_server_say_end(server);
}

static void end_kafka(void *server)
{
	kafka_server_free(server);
}

static void abandon_kafka(void *server)
{
	kafka_server_abandon(server);
}

const struct service kafka_service = {
    .syncs = true,
    .make = make_kafka,
    .listen = listen_kafka,
    .add_metrics = add_kafka_metrics,
    .open = open_kafka,
    .keep_opened = keep_kafka_store,
    .loop_open = open_kafka_loop,
    .say_start = say_kafka_start,
    .loop_close = close_kafka_loop,
    .say_end = say_kafka_end,
    .end = end_kafka,
    .abandon = abandon_kafka,
};
