#include "kafka/broker/kafka_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/size.h"
#include "kafka/broker/kafka_account.h"
#include "kafka/broker/kafka_conn.h"
#include "kafka/broker/watch.h"
#include "sys/sys.h"

#define DIR_DEFAULT "leat-data"

bool kafka_topic_is_internal(struct slice name)
{
	return slice_eq(name, SLICE_LITERAL("__consumer_offsets")) ||
	       slice_eq(name, SLICE_LITERAL("__transaction_state"));
}

/* ---- start and end ---- */

static int open_store(struct kafka_server *server, struct err *err)
{
	const char *configured = config_text(server->config, KAFKA_TEXT_LOG_DIRS),
		   *dir = server->options->dir;
	const struct kafka_config *config = server->config;
	const bool node_set = config->set >> KAFKA_CONFIG_NODE_ID & 1;
	const struct store_options options = {
	    .node_id = node_set ? (int32_t)config_value(config, KAFKA_CONFIG_NODE_ID) : -1,
	    .now_ms = sys_wall_ms(),
	    .retention_delay_ms = config_value(config, KAFKA_CONFIG_LOG_DELAY),
	    .retention_interval_ms = config_value(config, KAFKA_CONFIG_LOG_RETENTION_CHECK),
	    .damage = (enum store_damage)config_value(config, KAFKA_CONFIG_DAMAGE),
	    .producer_expiry_ms = config_value(config, KAFKA_CONFIG_PRODUCER_EXPIRY),
	    .defaults = &config->topics,
	    .user_bytes = sizeof(struct partition_watch),
	    .user_init = partition_watch_init,
	    .user_fini = partition_watch_fini,
	    .moved = partition_wake,
	};

	if (!dir)
		dir = configured ? configured : DIR_DEFAULT;
	if (strchr(dir, ','))
		return err_set(err, -EINVAL, "log.dirs: one directory, not '%s'", dir);
	return store_open(dir, &options, &server->store, err);
}

static int make_loops(struct kafka_server *server, unsigned count, struct err *err)
{
	server->loops = calloc(count, sizeof(void *));
	if (!server->loops)
		return err_set(err, -ENOMEM, "out of memory");
	for (; server->loops_count < count; server->loops_count++) {
		struct kafka_loop *loop = kafka_loop_new(server, server->loops_count, count);

		if (!loop)
			return err_set(err, -ENOMEM, "out of memory");
		server->loops[server->loops_count] = loop;
	}
	return 0;
}

/* Topics that ask for what is not done. */
static void say_undone(const struct kafka_server *server)
{
	char first[STORE_TOPIC_NAME_MAX + 1] = "", last[STORE_TOPIC_NAME_MAX + 1];
	struct slice after = slice_make(NULL, 0);
	unsigned count = 0;

	for (struct topic *topic; (topic = store_topic_next(server->store, after));) {
		snprintf(last, sizeof(last), "%s", topic_name(topic));
		after = slice_of(last);
		if (topic_config_lists(topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY),
				       TOPIC_CLEANUP_COMPACT) &&
		    !kafka_topic_is_internal(after) && count++ == 0)
			memcpy(first, last, sizeof(first));
		topic_unref(topic);
	}
	if (count > 0)
		log_warning("%u topics ask for compaction, %s first: nothing is compacted yet",
			    count, first);
}

void kafka_server_say_start(const struct kafka_server *server)
{
	struct store_stats stats;
	char name[300], size[SIZE_TEXT_MAX];

	store_stats(server->store, &stats);
	log_info("%s: %u topics, %u partitions, %s%s", store_dir(server->store), stats.topics,
		 stats.partitions, size_format(stats.bytes, size),
		 stats.was_clean ? "" : "; it had not been closed properly, and was checked");
	say_undone(server);
	for (unsigned i = 0; i < reactor_listener_count(server->reactor); i++) {
		const struct kafka_listener *listener =
		    kafka_listener_of(server, reactor_listener_arg(server->reactor, i));

		if (listener && reactor_listener_name(server->reactor, i, name, sizeof(name)) == 0)
			log_info("Kafka clients are served at %s (they are told %s:%d)", name,
				 listener->host, listener->port);
	}
}

void kafka_server_say_end(const struct kafka_server *server)
{
	char in[SIZE_TEXT_MAX], out[SIZE_TEXT_MAX];
	struct kafka_account sum;

	kafka_account_loops(server, &sum);
	log_info("%llu requests on %llu connections; %s produced, %s fetched",
		 (unsigned long long)sum.requests, (unsigned long long)sum.counters.opened,
		 size_format(sum.counters.produced.bytes, in),
		 size_format(sum.counters.fetched_bytes, out));
}

int kafka_server_new(const struct kafka_options *options, struct kafka_server **ret,
		     struct err *err)
{
	struct kafka_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return err_set(err, -ENOMEM, "out of memory");
	server->options = options;
	server->config = options->config;
	expanders_init(&server->expanders);
	pthread_mutex_init(&server->making, NULL);
	pthread_mutex_init(&server->producer_ids_lock, NULL);
	server->places.max = config_value(server->config, KAFKA_CONFIG_CONNECTIONS_MAX);
	r = kafka_peer_places_init(&server->peers, server->config, err);
	if (r < 0) {
		kafka_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

int kafka_server_listen(struct kafka_server *server, struct reactor *reactor, struct err *err)
{
	server->reactor = reactor;
	return kafka_listeners_open(server, err);
}

int kafka_server_open(struct kafka_server *server, struct err *err)
{
	int r = open_store(server, err);

	if (r == 0 && sys_random(&server->secret, sizeof(server->secret)) < 0)
		r = err_set(err, -EIO, "no random numbers");
	if (r == 0)
		r = make_loops(server, reactor_loop_count(server->reactor), err);
	if (r == 0)
		r = coordinator_new(server, &server->coordinator, err);
	return r;
}

void kafka_server_abandon(struct kafka_server *server)
{
	log_warning("%s is left as it is: the next start will check it", store_dir(server->store));
}

void kafka_server_free(struct kafka_server *server)
{
	if (!server)
		return;
	coordinator_end(server->coordinator);
	for (unsigned i = 0; i < server->loops_count; i++)
		kafka_loop_free(server->loops[i]);
	coordinator_free(server->coordinator);
	free(server->loops);
	if (server->store && store_close(server->store) < 0)
		log_warning("the store was not closed properly: the next start will check it");
	expanders_fini(&server->expanders);
	kafka_peer_places_fini(&server->peers);
	pthread_mutex_destroy(&server->making);
	pthread_mutex_destroy(&server->producer_ids_lock);
	free(server);
}
