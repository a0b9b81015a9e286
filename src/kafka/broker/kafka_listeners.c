#include "kafka/broker/kafka_listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "kafka/broker/kafka_conn.h"
#include "reactor/address.h"

#define LISTEN_DEFAULT "127.0.0.1:9092"

/* ---- the configuration ---- */

/* The next of a list, without white space; false: no more. */
static bool take_entry(struct slice *list, struct slice *ret)
{
	while (list->len > 0) {
		const char *comma = memchr(list->ptr, ',', list->len);
		size_t len = comma ? (size_t)(comma - list->ptr) : list->len;

		*ret = slice_trim(slice_make(list->ptr, len));
		len += comma != NULL;
		*list = slice_make(list->ptr + len, list->len - len);
		if (ret->len > 0)
			return true;
	}
	return false;
}

static bool is_in_list(const char *list, struct slice name)
{
	struct slice rest = slice_of(list ? list : ""), entry;

	while (take_entry(&rest, &entry))
		if (slice_eq_nocase(entry, name))
			return true;
	return false;
}

/* "NAME://WHERE". */
static int split(struct slice entry, const char *setting, struct slice *ret_name,
		 struct slice *ret_where, struct err *err)
{
	const char *at = memmem(entry.ptr, entry.len, "://", 3);
	size_t len = at ? (size_t)(at - entry.ptr) : 0;

	if (!at || len == 0 || len >= KAFKA_LISTENER_NAME_MAX ||
	    entry.len - len - 3 >= KAFKA_LISTENER_WHERE_MAX)
		return err_set(err, -EINVAL, "%s: '%.*s' is not of the form PLAINTEXT://HOST:PORT",
			       setting, (int)entry.len, entry.ptr);
	*ret_name = slice_make(entry.ptr, len);
	*ret_where = slice_make(at + 3, entry.len - len - 3);
	return 0;
}

/* What the name stands for; ptr NULL: nothing. Protocols are names for themselves unless there is a
 * map. */
static struct slice protocol_of(const struct kafka_config *config, struct slice name)
{
	const char *map = config_text(config, KAFKA_TEXT_PROTOCOLS);
	struct slice rest = slice_of(map ? map
					 : "PLAINTEXT:PLAINTEXT,SSL:SSL,"
					   "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"),
		     entry;

	while (take_entry(&rest, &entry)) {
		const char *colon = memchr(entry.ptr, ':', entry.len);
		size_t len = colon ? (size_t)(colon - entry.ptr) : entry.len;

		if (colon && slice_eq_nocase(slice_trim(slice_make(entry.ptr, len)), name))
			return slice_trim(slice_make(colon + 1, entry.len - len - 1));
	}
	return slice_make(NULL, 0);
}

static int check_protocol(const struct kafka_config *config, struct slice name, struct err *err)
{
	struct slice protocol = protocol_of(config, name);

	if (!protocol.ptr)
		return err_set(err, -EINVAL,
			       "listeners: listener.security.protocol.map does not say what %.*s "
			       "stands for",
			       (int)name.len, name.ptr);
	if (slice_eq_nocase(protocol, SLICE_LITERAL("PLAINTEXT")))
		return 0;
	if (slice_eq_nocase(protocol, name))
		return err_set(err, -EINVAL, "listeners: %.*s: only PLAINTEXT is supported",
			       (int)name.len, name.ptr);
	return err_set(err, -EINVAL, "listeners: %.*s is for %.*s: only PLAINTEXT is supported",
		       (int)name.len, name.ptr, (int)protocol.len, protocol.ptr);
}

static bool is_controllers(const struct kafka_config *config, struct slice name)
{
	return slice_eq_nocase(name, SLICE_LITERAL("CONTROLLER")) ||
	       is_in_list(config_text(config, KAFKA_TEXT_CONTROLLERS), name);
}

static struct kafka_listener *find(struct kafka_listener *listeners, unsigned count,
				   struct slice name)
{
	for (unsigned i = 0; i < count; i++)
		if (slice_eq_nocase(slice_of(listeners[i].name), name))
			return &listeners[i];
	return NULL;
}

static void put_text(char *to, struct slice text, bool upper)
{
	for (size_t i = 0; i < text.len; i++)
		to[i] = upper && text.ptr[i] >= 'a' && text.ptr[i] <= 'z'
			    ? (char)(text.ptr[i] - 'a' + 'A')
			    : text.ptr[i];
	to[text.len] = '\0';
}

static int add(const struct kafka_config *config, struct slice entry, struct kafka_listener *ret,
	       unsigned *count, struct err *err)
{
	struct slice name, where;
	int r = split(entry, "listeners", &name, &where, err);

	if (r < 0 || is_controllers(config, name))
		return r;
	r = check_protocol(config, name, err);
	if (r < 0)
		return r;
	if (find(ret, *count, name))
		return err_set(err, -EINVAL, "listeners: %.*s is there twice", (int)name.len,
			       name.ptr);
	if (*count == KAFKA_LISTENERS_MAX)
		return err_set(err, -EINVAL, "listeners: at most %d", KAFKA_LISTENERS_MAX);
	ret[*count] = (struct kafka_listener){0};
	put_text(ret[*count].name, name, true);
	put_text(ret[(*count)++].where, where, false);
	return 0;
}

static int tell(const struct kafka_config *config, struct slice entry,
		struct kafka_listener *listeners, unsigned count, struct err *err)
{
	struct slice name, where;
	char text[KAFKA_LISTENER_WHERE_MAX];
	int r = split(entry, "advertised.listeners", &name, &where, err);

	if (r < 0 || is_controllers(config, name))
		return r;
	if (!find(listeners, count, name))
		return err_set(err, -EINVAL, "advertised.listeners: there is no listener %.*s",
			       (int)name.len, name.ptr);
	put_text(text, where, false);
	return kafka_listener_tell(find(listeners, count, name), "advertised.listeners", text, err);
}

int kafka_listeners_parse(const struct kafka_config *config, struct kafka_listener *ret,
			  unsigned *ret_count, struct err *err)
{
	const char *listeners = config_text(config, KAFKA_TEXT_LISTENERS);
	const char *advertised = config_text(config, KAFKA_TEXT_ADVERTISED);
	struct slice rest = slice_of(listeners ? listeners : ""), entry;
	int r = 0;

	*ret_count = 0;
	while (r == 0 && take_entry(&rest, &entry))
		r = add(config, entry, ret, ret_count, err);
	if (r == 0 && listeners && *ret_count == 0)
		return err_set(err, -EINVAL, "listeners: there is none for clients");
	rest = slice_of(listeners && advertised ? advertised : "");
	while (r == 0 && take_entry(&rest, &entry))
		r = tell(config, entry, ret, *ret_count, err);
	return r;
}

/* An address that stands for all of a machine's own, in any of its spellings: nobody can go there. */
static bool is_wildcard(const char *host)
{
	static const unsigned char zeros[sizeof(struct in6_addr)];
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct in6_addr in6;
	struct in_addr in;

	if (strcmp(host, "*") == 0)
		return true;
	if (inet_aton(host, &in))
		return in.s_addr == 0;
	if (inet_pton(AF_INET6, host, &in6) != 1 || memcmp(&in6.s6_addr[12], zeros, 4) != 0)
		return false;
	return memcmp(in6.s6_addr, zeros, sizeof(mapped)) == 0 ||
	       memcmp(in6.s6_addr, mapped, sizeof(mapped)) == 0;
}

int kafka_listener_tell(struct kafka_listener *listener, const char *setting, const char *text,
			struct err *err)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint64_t port = 0;

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len == 0 || len >= KAFKA_HOST_MAX || number_parse(colon + 1, &port) < 0 || port == 0 ||
	    port > 65535)
		return err_set(err, -EINVAL,
			       "%s: what clients are told must be HOST:PORT, not '%s'", setting,
			       text);
	memcpy(listener->host, host, len);
	listener->host[len] = '\0';
	if (is_wildcard(listener->host))
		return err_set(err, -EINVAL,
			       "%s: %s is no address that clients can go to: tell them one with "
			       "advertised.listeners or --advertise HOST:PORT",
			       setting, text);
	listener->port = (int32_t)port;
	return 0;
}

/* ---- the command line ---- */

/* Those of the options; without any, one. */
static int take_options(struct kafka_server *server, struct err *err)
{
	const struct kafka_options *options = server->options;
	const char *const *listen = options->listen;
	static const char *const preset[] = {LISTEN_DEFAULT};
	unsigned count = options->listen_count;

	if (count == 0) {
		listen = preset;
		count = 1;
	}
	for (unsigned i = 0; i < count; i++) {
		struct kafka_listener *listener = &server->listeners[server->listeners_count++];

		if (server->listeners_count > KAFKA_LISTENERS_MAX ||
		    strlen(listen[i]) >= sizeof(listener->where))
			return err_set(err, -EINVAL, "--listen %s: too many, or too long",
				       listen[i]);
		put_text(listener->where, slice_of(listen[i]), false);
	}
	return 0;
}

/* Of a configuration that has no listeners, or whose listeners the command line has replaced: one
 * for all. */
static int tell_all(struct kafka_server *server, struct err *err)
{
	const char *advertise = server->options->advertise, *setting = "--advertise";
	const char *advertised = config_text(server->config, KAFKA_TEXT_ADVERTISED);
	struct slice rest = slice_of(advertised ? advertised : ""), entry, more, name, where;
	char text[KAFKA_LISTENER_WHERE_MAX];
	int r = 0;

	if (!advertise && take_entry(&rest, &entry)) {
		if (take_entry(&rest, &more))
			return err_set(
			    err, -EINVAL,
			    "advertised.listeners: which of them holds for --listen? Say "
			    "it with --advertise HOST:PORT");
		setting = "advertised.listeners";
		r = split(entry, setting, &name, &where, err);
		if (r < 0)
			return r;
		put_text(text, where, false);
		advertise = text;
	}
	for (unsigned i = 0; advertise && i < server->listeners_count && r == 0; i++)
		r = kafka_listener_tell(&server->listeners[i], setting, advertise, err);
	return r;
}

/* What the command line has replaced must be right all the same: it may hold at the next start. */
static int check_replaced(const struct kafka_config *config, struct err *err)
{
	struct kafka_listener *scratch = calloc(KAFKA_LISTENERS_MAX, sizeof(*scratch));
	const char *advertised = config_text(config, KAFKA_TEXT_ADVERTISED);
	struct slice rest = slice_of(advertised ? advertised : ""), entry, name, where;
	char text[KAFKA_LISTENER_WHERE_MAX];
	unsigned count;
	int r = scratch ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (r == 0 && config_text(config, KAFKA_TEXT_LISTENERS))
		r = kafka_listeners_parse(config, scratch, &count, err);
	while (r == 0 && take_entry(&rest, &entry)) {
		r = split(entry, "advertised.listeners", &name, &where, err);
		if (r < 0 || is_controllers(config, name))
			continue;
		put_text(text, where, false);
		r = kafka_listener_tell(scratch, "advertised.listeners", text, err);
	}
	free(scratch);
	return r;
}

/* ---- opening ---- */

/* The name of its first socket. */
static int find_place(const struct kafka_server *server, const struct kafka_listener *listener,
		      char *name, size_t len)
{
	for (unsigned i = 0; i < reactor_listener_count(server->reactor); i++)
		if (reactor_listener_arg(server->reactor, i) == listener)
			return reactor_listener_name(server->reactor, i, name, len);
	return -ENOENT;
}

const struct kafka_listener *kafka_listener_of(const struct kafka_server *server, const void *arg)
{
	for (unsigned i = 0; i < server->listeners_count; i++)
		if (&server->listeners[i] == arg)
			return &server->listeners[i];
	return NULL;
}

bool kafka_listener_admit(void *arg)
{
	struct kafka_listener *listener = arg;

	if (!kafka_places_take(&listener->server->places))
		return false;
	if (kafka_places_take(&listener->places))
		return true;
	kafka_places_give(&listener->server->places);
	return false;
}

void kafka_listener_leave(void *arg)
{
	struct kafka_listener *listener = arg;

	kafka_places_give(&listener->places);
	kafka_places_give(&listener->server->places);
}

/* listener.name.NAME.max.connections; one of the command line has no name. */
static int64_t places_of(const struct kafka_config *config, const struct kafka_listener *listener)
{
	for (unsigned i = 0; i < config->limits_count; i++)
		if (slice_eq_nocase(slice_of(config->limits[i].name), slice_of(listener->name)))
			return config->limits[i].max;
	return INT32_MAX;
}

static int open_one(struct kafka_server *server, struct kafka_listener *listener, struct err *err)
{
	const struct listener_options options = {.ops = &kafka_conn_ops,
						 .arg = listener,
						 .admit = kafka_listener_admit,
						 .leave = kafka_listener_leave};
	char name[KAFKA_LISTENER_WHERE_MAX], told[KAFKA_LISTENER_WHERE_MAX];
	struct addresses addresses;
	int r;

	listener->server = server;
	listener->places.max = places_of(server->config, listener);
	r = reactor_listen(server->reactor, listener->where, &options, err);
	if (r < 0 || listener->port > 0)
		return r;
	r = find_place(server, listener, name, sizeof(name));
	if (r < 0 || strncmp(name, "unix:", 5) == 0)
		return 0;
	/* A name is what others know it by; its addresses may be of a network of containers. */
	if (addresses_parse(listener->where, &addresses, NULL) == 0 && addresses.host[0]) {
		snprintf(told, sizeof(told), "%s%s", addresses.host, strrchr(name, ':'));
		return kafka_listener_tell(listener, "listeners", told, err);
	}
	return kafka_listener_tell(listener, "listeners", name, err);
}

/* A UNIX socket's clients are told where the others go. */
static int tell_rest(struct kafka_server *server, struct err *err)
{
	const struct kafka_listener *told = NULL;

	for (unsigned i = 0; i < server->listeners_count; i++)
		if (!told && server->listeners[i].port > 0)
			told = &server->listeners[i];
	if (!told)
		return err_set(err, -EINVAL,
			       "clients must be told an address: --advertise HOST:PORT");
	for (unsigned i = 0; i < server->listeners_count; i++) {
		struct kafka_listener *listener = &server->listeners[i];

		if (listener->port > 0)
			continue;
		memcpy(listener->host, told->host, sizeof(listener->host));
		listener->port = told->port;
	}
	return 0;
}

int kafka_listeners_open(struct kafka_server *server, struct err *err)
{
	const struct kafka_options *options = server->options;
	bool configured =
	    options->listen_count == 0 && config_text(options->config, KAFKA_TEXT_LISTENERS);
	int r = check_replaced(options->config, err);

	if (r == 0)
		r = configured ? kafka_listeners_parse(options->config, server->listeners,
						       &server->listeners_count, err)
			       : take_options(server, err);
	if (r == 0 && (!configured || options->advertise))
		r = tell_all(server, err);
	for (unsigned i = 0; i < server->listeners_count && r == 0; i++)
		r = open_one(server, &server->listeners[i], err);
	return r < 0 ? r : tell_rest(server, err);
}
