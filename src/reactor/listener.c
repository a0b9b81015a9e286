/*
 * Listeners: what a text stands for becomes sockets (bind.c), and all of these stand in one table.
 *
 * A text may stand for several addresses, of both families (address.h): each has a socket of its
 * own, so that a peer's address is what the peer says. Those that this machine does not have, such
 * as all of IPv6 where it is off, are left out as long as there is one; with port 0 all have the
 * same port. An address that another text names by itself belongs to that one, in whatever order
 * they come.
 *
 * Before the loops run, on the caller's thread. Closed by the last loop that stops accepting.
 */
#include "reactor/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

/* With port 0 the kernel chooses one for the first address, which somebody may have at another. */
#define PORT_TRIES 16

/* ---- names ---- */

static int look_up(const char *where, struct addresses *addresses, struct err *err)
{
	struct sockaddr_storage found[ADDRESSES_MAX];
	socklen_t lens[ADDRESSES_MAX];
	int count = sys_resolve(addresses->host, found, lens, ADDRESSES_MAX);

	if (count == -ENOENT)
		return err_set(err, count,
			       "%s: there is no host of that name; use an address, or * for all",
			       where);
	if (count < 0)
		return err_set(
		    err, count,
		    "%s: the host's name can't be looked up: %s; use an address, or * for all",
		    where, count == -EAGAIN ? "no name server answers" : strerror(-count));
	for (int i = 0; i < count; i++) {
		struct address *address = &addresses->all[addresses->count++];

		*address = (struct address){.fd = -1, .len = lens[i], .sockaddr = found[i]};
		address_set_port(&address->sockaddr, addresses->port);
	}
	return 0;
}

/* ---- sockets ---- */

static struct listener *find_by_name(struct reactor *reactor, const char *name)
{
	for (unsigned i = 0; i < reactor->listener_count; i++)
		if (strcmp(reactor->listeners[i].name, name) == 0)
			return &reactor->listeners[i];
	return NULL;
}

/* One of what a text stands for. */
struct request {
	const char *where;
	const struct listener_options *options;
	bool one_of_several;
};

static void set_options(struct listener *listener, const struct request *request)
{
	const struct listener_options *options = request->options;

	listener->ops = options->ops;
	listener->arg = options->arg;
	listener->backlog = options->backlog ? options->backlog : BACKLOG_DEFAULT;
	listener->one_of_several = request->one_of_several;
}

static int add_listener(struct reactor *reactor, const struct request *request,
			const struct address *address, struct err *err)
{
	struct listener *listener = &reactor->listeners[reactor->listener_count], *found = NULL;
	/* What is said of one of several names it. */
	char name[ADDRESS_TEXT_MAX], where[ADDRESS_TEXT_MAX + ADDRESS_HOST_MAX + 16];
	int r;

	if (address->fd < 0) {
		address_format(&address->sockaddr, address->len, name);
		found = find_by_name(reactor, name);
	}
	if (found && request->one_of_several)
		return 0;
	if (found && found->one_of_several) {
		set_options(found, request);
		return 0;
	}
	if (found)
		return err_set(err, -EADDRINUSE,
			       "%s: address already in use: it is there twice; name it once",
			       request->where);
	if (reactor->listener_count == LISTENERS_MAX)
		return err_set(err, -E2BIG, "%s: at most %d listeners", request->where,
			       LISTENERS_MAX);
	snprintf(where, sizeof(where), request->one_of_several ? "%s (%s)" : "%s", request->where,
		 name);
	*listener = (struct listener){.fd = -1};
	set_options(listener, request);
	r = listener_open(listener, where, address, err);
	if (r == 0)
		reactor->listener_count++;
	return r;
}

/* This machine has no such address, or no such protocol. */
static bool is_absent(int error)
{
	return error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

static void forget_from(struct reactor *reactor, unsigned first)
{
	while (reactor->listener_count > first)
		listener_close(&reactor->listeners[--reactor->listener_count]);
}

/* The port that the kernel chose for the last one. */
static uint16_t chosen_port(const struct reactor *reactor)
{
	struct address address;
	const char *name = reactor->listeners[reactor->listener_count - 1].name;

	return address_parse(name, &address, NULL) == 0 ? address_port(&address.sockaddr) : 0;
}

/* All or nothing, but for addresses that are absent. */
static int add_all(struct reactor *reactor, const struct request *request,
		   const struct addresses *addresses, struct err *err)
{
	unsigned first = reactor->listener_count, there = 0;
	uint16_t port = addresses->port;
	int r = -EADDRNOTAVAIL;

	for (unsigned i = 0; i < addresses->count; i++) {
		struct address address = addresses->all[i];

		address_set_port(&address.sockaddr, port);
		r = add_listener(reactor, request, &address, err);
		if (r == 0 && port == 0 && request->one_of_several)
			port = chosen_port(reactor);
		there += r == 0;
		if (r < 0 && !(request->one_of_several && is_absent(r))) {
			forget_from(reactor, first);
			return r;
		}
	}
	return there ? 0 : r;
}

int reactor_listen(struct reactor *reactor, const char *where,
		   const struct listener_options *options, struct err *err)
{
	struct request request = {.where = where, .options = options};
	struct addresses addresses;
	int r = addresses_parse(where, &addresses, err);

	CHECK(options->ops && options->ops->ready);
	if (r == 0 && addresses.count == 0)
		r = look_up(where, &addresses, err);
	if (r < 0)
		return r;
	request.one_of_several = addresses.count > 1;
	for (unsigned tries = 0; tries < PORT_TRIES; tries++) {
		r = add_all(reactor, &request, &addresses, err);
		if (r != -EADDRINUSE || addresses.port != 0 || !request.one_of_several)
			break;
	}
	return r;
}

int listeners_listen(struct reactor *reactor, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < reactor->listener_count && r == 0; i++)
		r = listener_listen(&reactor->listeners[i], err);
	return r;
}

unsigned reactor_listener_count(const struct reactor *reactor)
{
	return reactor->listener_count;
}

int reactor_listener_name(const struct reactor *reactor, unsigned index, char *buf, size_t len)
{
	if (index >= reactor->listener_count)
		return -ENOENT;
	return (size_t)snprintf(buf, len, "%s", reactor->listeners[index].name) < len ? 0 : -ENOSPC;
}

const void *reactor_listener_arg(const struct reactor *reactor, unsigned index)
{
	return index < reactor->listener_count ? reactor->listeners[index].arg : NULL;
}

void listeners_close(struct reactor *reactor)
{
	for (unsigned i = 0; i < reactor->listener_count; i++)
		listener_close(&reactor->listeners[i]);
}
