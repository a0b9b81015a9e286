#include "kafka/broker/kafka_log.h"

#include <netinet/in.h>
#include <stdio.h>

#include "reactor/address.h"

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
	const struct slice id = call->header.client_id;
	/* A connection that ends gives its memory to the next one: helpers have a copy. */
	const struct conn *conn = call->blocks ? NULL : conn_deref(call->conn);
	const struct sockaddr_storage *peer = call->blocks ? &call->peer
					      : conn       ? conn_peer(conn)
							   : NULL;
	char name[ADDRESS_TEXT_MAX] = "an address that is gone";

	if (peer)
		format_peer(peer, name);
	snprintf(memory->text, sizeof(memory->text), "client '%.*s' at %s",
		 (int)min_size(id.len, CLIENT_ID_SHOWN), id.ptr ? id.ptr : "", name);
	return memory->text;
}
