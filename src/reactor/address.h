/*
 * Where a listener listens, as text. Pure: no names are looked up, nothing is opened.
 *
 *     127.0.0.1:8080   [::1]:8080
 *     *:8080  :8080  8080           every address of this machine: 0.0.0.0 and [::]
 *     localhost:8080                127.0.0.1 and [::1]
 *     HOST:8080                     a name, which is to be looked up
 *     unix:/run/leat.sock           a socket file
 *     fd:3                          a listening socket that was handed over
 */
#ifndef REACTOR_ADDRESS_H
#define REACTOR_ADDRESS_H

#include <sys/socket.h>

#include "base/err.h"

/* "unix:" and a socket path, or an address, a port and the zero. */
#define ADDRESS_TEXT_MAX 128
/* A name of DNS, and the zero. */
#define ADDRESS_HOST_MAX 254
/* What one text may stand for. */
#define ADDRESSES_MAX 16

struct address {
	int fd; /* >= 0: handed over, and the rest is unset */
	socklen_t len;
	struct sockaddr_storage sockaddr;
};

/* Where there are several, one that this machine does not have may be left out. */
struct addresses {
	struct address all[ADDRESSES_MAX];
	unsigned count;              /* 0: `host` is to be looked up */
	char host[ADDRESS_HOST_MAX]; /* a name, also localhost; "" for everything else */
	uint16_t port;
};

/* -EINVAL with a text that says what was expected. */
int addresses_parse(const char *where, struct addresses *ret, struct err *err);
/* The same for what stands for one, as the names of listeners do; else the first. */
int address_parse(const char *where, struct address *ret, struct err *err);
/* "127.0.0.1:41233", "[::1]:80", "unix:/path"; "unix:" without a path for a socket without a name.
 */
void address_format(const struct sockaddr_storage *sockaddr, socklen_t len,
		    char ret_text[ADDRESS_TEXT_MAX]);
/* Of an internet address: 0 for all others. */
uint16_t address_port(const struct sockaddr_storage *sockaddr);
void address_set_port(struct sockaddr_storage *sockaddr, uint16_t port);

#endif
