/*
 * Listeners: what a text stands for becomes sockets (bind.c), and all of these stand in one table.
 *
 * A text may stand for several addresses, of both families (address.h): each has a socket of its
 * own, so that a peer's address is what the peer says. Those that this machine does not have, such
 * as all of IPv6 where it is off, are left out as long as there is one; with port 0 all have the
 * same port. An address that another text names by itself belongs to that one, in whatever order
 * they come.
 *
 * They can be added and taken away while the loops run, by any thread: what changes is the table,
 * by its lock, and a command has each loop look at it (accept.c). The last loop that lets go of a
 * listener closes it, so that none waits on a descriptor whose number has become another file's.
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

/* ---- the table, with its lock held ---- */

static struct listener *find_by_name(struct reactor *reactor, const char *name)
{
	for (unsigned i = 0; i < reactor->listener_count; i++) {
		struct listener *listener = &reactor->listeners[i];

		if (listener->state != LISTENER_FREE && strcmp(listener->name, name) == 0)
			return listener;
	}
	return NULL;
}

static struct listener *find_free(struct reactor *reactor)
{
	for (unsigned i = 0; i < reactor->listener_count; i++)
		if (reactor->listeners[i].state == LISTENER_FREE)
			return &reactor->listeners[i];
	return reactor->listener_count < LISTENERS_MAX
		   ? &reactor->listeners[reactor->listener_count++]
		   : NULL;
}

static void listener_free(struct listener *listener)
{
	CHECK(listener->holders == 0);
	listener_close(listener);
	listener->state = LISTENER_FREE;
}

void listener_let_go(struct listener *listener)
{
	CHECK(listener->holders > 0 && listener->state != LISTENER_FREE);
	if (--listener->holders == 0)
		listener_free(listener);
}

void listeners_free_unheld(struct reactor *reactor)
{
	for (unsigned i = 0; i < reactor->listener_count; i++) {
		struct listener *listener = &reactor->listeners[i];

		if (listener->state != LISTENER_FREE && listener->holders == 0)
			listener_free(listener);
	}
}

static void trim_table(struct reactor *reactor)
{
	while (reactor->listener_count > 0 &&
	       reactor->listeners[reactor->listener_count - 1].state == LISTENER_FREE)
		reactor->listener_count--;
}

/* ---- sockets ---- */

/* What a text stands for, and what became of it. */
struct request {
	struct reactor *reactor;
	const char *where;
	const struct listener_options *options;
	bool one_of_several;
	struct listener *added[ADDRESSES_MAX];
	unsigned added_count;
};

static void set_options(struct listener *listener, const struct request *request)
{
	const struct listener_options *options = request->options;

	snprintf(listener->where, sizeof(listener->where), "%s", request->where);
	listener->ops = options->ops;
	listener->admit = options->admit;
	listener->leave = options->leave;
	listener->arg = options->arg;
	listener->backlog = options->backlog ? options->backlog : BACKLOG_DEFAULT;
	listener->one_of_several = request->one_of_several;
}

/* It is there already. */
static int add_known(struct listener *found, const struct request *request, struct err *err)
{
	if (request->one_of_several)
		return 0;
	if (found->state == LISTENER_CLOSING)
		return err_set(err, -EADDRINUSE, "%s: address already in use: it is being closed",
			       request->where);
	if (!found->one_of_several || request->reactor->listening)
		return err_set(err, -EADDRINUSE,
			       "%s: address already in use: it is there twice; name it once",
			       request->where);
	set_options(found, request);
	return 0;
}

static int add_listener(struct request *request, const struct address *address, struct err *err)
{
	struct listener *listener, *found = NULL;
	/* What is said of one of several names it. */
	char name[ADDRESS_TEXT_MAX] = "", where[ADDRESS_TEXT_MAX + LISTENER_WHERE_MAX];
	int r;

	if (address->fd < 0) {
		address_format(&address->sockaddr, address->len, name);
		found = find_by_name(request->reactor, name);
	}
	if (found)
		return add_known(found, request, err);
	listener = find_free(request->reactor);
	if (!listener)
		return err_set(err, -E2BIG, "%s: at most %d listeners", request->where,
			       LISTENERS_MAX);
	*listener = (struct listener){.fd = -1};
	set_options(listener, request);
	snprintf(where, sizeof(where), request->one_of_several ? "%s (%s)" : "%s", request->where,
		 name);
	r = listener_open(listener, where, address, err);
	if (r == 0 && request->reactor->listening)
		r = listener_listen(listener, err);
	if (r < 0) {
		listener_free(listener);
		return r;
	}
	listener->state = LISTENER_OPEN;
	request->added[request->added_count++] = listener;
	return 0;
}

/* This machine has no such address, or no such protocol. */
static bool is_absent(int error)
{
	return error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

static void forget_added(struct request *request)
{
	while (request->added_count > 0)
		listener_free(request->added[--request->added_count]);
}

/* The port that the kernel chose for the first one; 0: there is none yet. */
static uint16_t chosen_port(const struct request *request)
{
	struct address address;

	if (request->added_count == 0 || address_parse(request->added[0]->name, &address, NULL) < 0)
		return 0;
	return address_port(&address.sockaddr);
}

/* All or nothing, but for addresses that are absent. */
static int add_all(struct request *request, const struct addresses *addresses, struct err *err)
{
	unsigned there = 0;
	int r = -EADDRNOTAVAIL;

	for (unsigned i = 0; i < addresses->count; i++) {
		struct address address = addresses->all[i];

		if (addresses->port == 0 && request->one_of_several)
			address_set_port(&address.sockaddr, chosen_port(request));
		r = add_listener(request, &address, err);
		there += r == 0;
		if (r < 0 && !(request->one_of_several && is_absent(r))) {
			forget_added(request);
			return r;
		}
	}
	return there ? 0 : r;
}

static int add_with_any_port(struct request *request, const struct addresses *addresses,
			     struct err *err)
{
	unsigned tries = addresses->port == 0 && request->one_of_several ? PORT_TRIES : 1;
	int r = -EADDRINUSE;

	while (r == -EADDRINUSE && tries-- > 0)
		r = add_all(request, addresses, err);
	return r;
}

/* ---- added and taken away ---- */

static int check_time(const struct reactor *reactor, const struct request *request, struct err *err)
{
	if (reactor->ending)
		return err_set(err, -ESHUTDOWN, "%s: the server is about to end", request->where);
	if (reactor->slot_size > 0 &&
	    conn_slot_size(request->options->ops->data_size) > reactor->slot_size)
		return err_set(err, -ENOBUFS,
			       "%s: its connections are larger than the reactor was made for",
			       request->where);
	return 0;
}

int reactor_listen(struct reactor *reactor, const char *where,
		   const struct listener_options *options, struct err *err)
{
	struct request request = {.reactor = reactor, .where = where, .options = options};
	struct addresses addresses;
	bool tell;
	int r = addresses_parse(where, &addresses, err);

	CHECK(options->ops && options->ops->ready);
	/* Not with the lock: it may take seconds. */
	if (r == 0 && addresses.count == 0)
		r = look_up(where, &addresses, err);
	if (r < 0)
		return r;
	request.one_of_several = addresses.count > 1;
	pthread_mutex_lock(&reactor->listeners_lock);
	r = check_time(reactor, &request, err);
	if (r == 0)
		r = add_with_any_port(&request, &addresses, err);
	trim_table(reactor);
	tell = reactor->listening && request.added_count > 0;
	pthread_mutex_unlock(&reactor->listeners_lock);
	if (tell)
		reactor_command_all(reactor, COMMAND_LISTENERS);
	return r;
}

int reactor_unlisten(struct reactor *reactor, const char *where)
{
	unsigned found = 0;
	bool tell;

	pthread_mutex_lock(&reactor->listeners_lock);
	for (unsigned i = 0; i < reactor->listener_count; i++) {
		struct listener *listener = &reactor->listeners[i];

		if (listener->state != LISTENER_OPEN || strcmp(listener->where, where) != 0)
			continue;
		found++;
		/* Not yet held: then no loop will. */
		if (listener->holders == 0)
			listener_free(listener);
		else
			listener->state = LISTENER_CLOSING;
	}
	trim_table(reactor);
	tell = reactor->listening && found > 0;
	pthread_mutex_unlock(&reactor->listeners_lock);
	if (tell)
		reactor_command_all(reactor, COMMAND_LISTENERS);
	return found ? 0 : -ENOENT;
}

int listeners_listen(struct reactor *reactor, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&reactor->listeners_lock);
	for (unsigned i = 0; i < reactor->listener_count && r == 0; i++)
		if (reactor->listeners[i].state == LISTENER_OPEN)
			r = listener_listen(&reactor->listeners[i], err);
	reactor->listening = true;
	pthread_mutex_unlock(&reactor->listeners_lock);
	return r;
}

void listeners_end(struct reactor *reactor)
{
	pthread_mutex_lock(&reactor->listeners_lock);
	reactor->ending = true;
	pthread_mutex_unlock(&reactor->listeners_lock);
}

void listeners_close(struct reactor *reactor)
{
	pthread_mutex_lock(&reactor->listeners_lock);
	reactor->ending = true;
	/* Loops that did not run have let go of nothing. */
	for (unsigned i = 0; i < reactor->listener_count; i++)
		reactor->listeners[i].holders = 0;
	listeners_free_unheld(reactor);
	pthread_mutex_unlock(&reactor->listeners_lock);
}

/* ---- asking ---- */

unsigned reactor_listener_count(const struct reactor *reactor)
{
	pthread_mutex_t *lock = &((struct reactor *)reactor)->listeners_lock;
	unsigned count;

	pthread_mutex_lock(lock);
	count = reactor->listener_count;
	pthread_mutex_unlock(lock);
	return count;
}

int reactor_listener_name(const struct reactor *reactor, unsigned index, char *buf, size_t len)
{
	pthread_mutex_t *lock = &((struct reactor *)reactor)->listeners_lock;
	int r = -ENOENT;

	pthread_mutex_lock(lock);
	if (index < reactor->listener_count && reactor->listeners[index].state != LISTENER_FREE)
		r = (size_t)snprintf(buf, len, "%s", reactor->listeners[index].name) < len
			? 0
			: -ENOSPC;
	pthread_mutex_unlock(lock);
	return r;
}

const void *reactor_listener_arg(const struct reactor *reactor, unsigned index)
{
	pthread_mutex_t *lock = &((struct reactor *)reactor)->listeners_lock;
	const void *arg = NULL;

	pthread_mutex_lock(lock);
	if (index < reactor->listener_count && reactor->listeners[index].state != LISTENER_FREE)
		arg = reactor->listeners[index].arg;
	pthread_mutex_unlock(lock);
	return arg;
}
