#include "kafka/broker/kafka_log.h"

#include <netinet/in.h>
#include <stdio.h>

#include "reactor/address.h"
#include "sys/sys.h"

static void format_peer(const struct sockaddr_storage *peer, char name[ADDRESS_TEXT_MAX])
{
	if (peer->ss_family == AF_INET)
		address_format(peer, sizeof(struct sockaddr_in), name);
	else if (peer->ss_family == AF_INET6)
		address_format(peer, sizeof(struct sockaddr_in6), name);
	else
		snprintf(name, ADDRESS_TEXT_MAX, "a UNIX socket");
}

const char *log_peer(const struct conn *conn, struct client_text *memory)
{
	char name[ADDRESS_TEXT_MAX];

	format_peer(conn_peer(conn), name);
	snprintf(memory->text, sizeof(memory->text), "%s", name);
	return memory->text;
}

const char *log_client(const struct kafka_call *call, struct client_text *memory)
{
	const struct slice id = call->client_noted
				    ? slice_make(call->client_shown, call->client_shown_len)
				    : call->header.client_id;
	/* A connection that ends gives its memory to the next one: helpers have a copy, and who answers
	 * for another loop does not look. */
	const struct conn *conn = call->apart ? NULL : conn_deref(call->conn);
	const struct sockaddr_storage *peer = call->blocks ? &call->peer
					      : conn       ? conn_peer(conn)
							   : NULL;
	char name[ADDRESS_TEXT_MAX] = "an address that is not known here";

	if (peer)
		format_peer(peer, name);
	snprintf(memory->text, sizeof(memory->text), "client '%.*s' at %s",
		 (int)min_size(id.len, CLIENT_ID_SHOWN), id.ptr ? id.ptr : "", name);
	return memory->text;
}

void log_refused_batch(const struct kafka_call *call, const struct topic *topic, struct slice name,
		       int32_t partition, size_t bytes, enum kafka_error error, const char *text)
{
	int64_t limit =
	    topic ? topic_config_value(topic, TOPIC_CONFIG_MAX_MESSAGE_BYTES) : INT64_MAX;
	const struct kafka_error_info *info = kafka_error_info((int)error);
	struct client_text client;

	log_client(call, &client);
	if (error == KAFKA_MESSAGE_TOO_LARGE && (int64_t)bytes > limit)
		log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
			    "%s: a batch of %zu bytes for %.*s-%d is refused: max.message.bytes of "
			    "the topic is %lld",
			    client.text, bytes, (int)name.len, name.ptr, partition,
			    (long long)limit);
	else
		log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
			    "%s: a batch for %.*s-%d is refused: %s: %s", client.text,
			    (int)name.len, name.ptr, partition, info->name,
			    text ? text : info->text);
}
