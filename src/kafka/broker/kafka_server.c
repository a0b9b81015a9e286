#include "kafka/broker/kafka_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/size.h"
#include "kafka/broker/kafka_account.h"
#include "kafka/broker/kafka_conn.h"
#include "kafka/broker/watch.h"
#include "reactor/address.h"
#include "sys/sys.h"

#define LISTEN_DEFAULT "127.0.0.1:9092"
#define DIR_DEFAULT    "leat-data"

bool kafka_topic_is_internal(struct slice name)
{
	return slice_eq(name, SLICE_LITERAL("__consumer_offsets")) ||
	       slice_eq(name, SLICE_LITERAL("__transaction_state"));
}

/* ---- where clients find us ---- */

/* Kafka's "NAME://HOST:PORT": what stands behind the slashes, which for listeners may be ":PORT".
 * Other protocols than PLAINTEXT would need encryption or passwords. */
static int strip_protocol(char *listener, const char **ret, struct err *err)
{
	char *at = strstr(listener, "://");

	if (!at)
		return err_set(err, -EINVAL,
			       "listener '%s' is not of the form PLAINTEXT://HOST:PORT", listener);
	if (strncmp(listener, "SSL", 3) == 0 || strncmp(listener, "SASL", 4) == 0)
		return err_set(err, -EINVAL, "listener '%s': only PLAINTEXT is supported",
			       listener);
	*ret = at + 3;
	return 0;
}

/* HOST:PORT, [HOST]:PORT. */
static int parse_advertised(struct kafka_server *server, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	const char *host = text;
	uint64_t port = 0;

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(server->host) || number_parse(colon + 1, &port) < 0 ||
	    port == 0 || port > 65535)
		return err_set(err, -EINVAL, "what clients are told must be HOST:PORT, not '%s'",
			       text);
	memcpy(server->host, host, len);
	server->host[len] = '\0';
	server->port = (int32_t)port;
	return 0;
}

/* The nth of its own. */
static bool listener_name(const struct kafka_server *server, unsigned nth, char *buf, size_t len)
{
	return nth < server->listeners_count &&
	       reactor_listener_name(server->reactor, server->first_listener + nth, buf, len) == 0;
}

/* Where it listens; a wildcard address is no place to go to. */
static int advertise(struct kafka_server *server, struct err *err)
{
	const struct kafka_options *options = server->options;
	char name[300];
	const char *configured;
	int r;

	if (options->advertise)
		return parse_advertised(server, options->advertise, err);
	if (config_text(options->config, KAFKA_TEXT_ADVERTISED)) {
		if (strchr(config_text(options->config, KAFKA_TEXT_ADVERTISED), ','))
			return err_set(err, -EINVAL, "advertised.listeners: one, not several");
		r = strip_protocol(options->config->texts[KAFKA_TEXT_ADVERTISED], &configured, err);
		return r < 0 ? r : parse_advertised(server, configured, err);
	}
	for (unsigned i = 0; listener_name(server, i, name, sizeof(name)); i++) {
		if (strncmp(name, "unix:", 5) == 0)
			continue;
		r = parse_advertised(server, name, err);
		if (r == 0 &&
		    (strcmp(server->host, "0.0.0.0") == 0 || strcmp(server->host, "::") == 0))
			return err_set(err, -EINVAL,
				       "%s is no address that clients can go to: tell them one "
				       "with --advertise HOST:PORT",
				       name);
		return r;
	}
	return err_set(err, -EINVAL, "clients must be told an address: --advertise HOST:PORT");
}

static int listen_configured(struct kafka_server *server, char *listeners,
			     const struct listener_options *listener, struct err *err)
{
	char *save, *text = strtok_r(listeners, ", ", &save);
	int r = 0;

	if (!text)
		return err_set(err, -EINVAL, "listeners is empty");
	for (; text && r == 0; text = strtok_r(NULL, ", ", &save)) {
		const char *where;

		r = strip_protocol(text, &where, err);
		/* KRaft's controllers are talked to by brokers of a cluster: there is none. */
		if (r == 0 && strncmp(text, "CONTROLLER", 10) != 0)
			r = reactor_listen(server->reactor, where, listener, err);
	}
	return r;
}

static int listen_all(struct kafka_server *server, struct err *err)
{
	const struct listener_options listener = {.ops = &kafka_conn_ops, .arg = server};
	const struct kafka_options *options = server->options;
	char *configured = options->config->texts[KAFKA_TEXT_LISTENERS];
	int r = 0;

	for (unsigned i = 0; i < options->listen_count && r == 0; i++)
		r = reactor_listen(server->reactor, options->listen[i], &listener, err);
	if (options->listen_count > 0)
		return r;
	if (!configured)
		return reactor_listen(server->reactor, LISTEN_DEFAULT, &listener, err);
	configured = strdup(configured);
	if (!configured)
		return err_set(err, -ENOMEM, "out of memory");
	r = listen_configured(server, configured, &listener, err);
	free(configured);
	return r;
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

void kafka_server_say_start(const struct kafka_server *server)
{
	struct store_stats stats;
	char name[300], size[SIZE_TEXT_MAX];

	store_stats(server->store, &stats);
	log_info("%s: %u topics, %u partitions, %s%s", store_dir(server->store), stats.topics,
		 stats.partitions, size_format(stats.bytes, size),
		 stats.was_clean ? "" : "; it had not been closed properly, and was checked");
	for (unsigned i = 0; listener_name(server, i, name, sizeof(name)); i++)
		log_info("Kafka clients are served at %s (they are told %s:%d)", name, server->host,
			 server->port);
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

	if (!server)
		return err_set(err, -ENOMEM, "out of memory");
	server->options = options;
	server->config = options->config;
	expanders_init(&server->expanders);
	pthread_mutex_init(&server->making, NULL);
	pthread_mutex_init(&server->producer_ids_lock, NULL);
	*ret = server;
	return 0;
}

int kafka_server_listen(struct kafka_server *server, struct reactor *reactor, struct err *err)
{
	int r;

	server->reactor = reactor;
	server->first_listener = reactor_listener_count(reactor);
	r = listen_all(server, err);
	server->listeners_count = reactor_listener_count(reactor) - server->first_listener;
	return r < 0 ? r : advertise(server, err);
}

int kafka_server_open(struct kafka_server *server, struct err *err)
{
	int r = open_store(server, err);

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
	pthread_mutex_destroy(&server->making);
	pthread_mutex_destroy(&server->producer_ids_lock);
	free(server);
}
