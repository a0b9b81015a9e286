/*
 * Where a listener listens, as text. Pure: no names are looked up, nothing is opened.
 *
 *     127.0.0.1:8080   [::1]:8080   localhost:8080 (127.0.0.1)
 *     *:8080  :8080  8080           every IPv4 address; [::]:8080 is every IPv6 address
 *     unix:/run/leat.sock           a socket file
 *     fd:3                          a listening socket that was handed over
 */
#ifndef REACTOR_ADDRESS_H
#define REACTOR_ADDRESS_H

#include <sys/socket.h>

#include "base/err.h"

/* "unix:" and a socket path, or an address, a port and the zero. */
#define ADDRESS_TEXT_MAX 128

struct address {
	int fd; /* >= 0: handed over, and the rest is unset */
	socklen_t len;
	struct sockaddr_storage sockaddr;
};

/* -EINVAL with a text that says what was expected. */
int address_parse(const char *where, struct address *ret, struct err *err);
/* "127.0.0.1:41233", "[::1]:80", "unix:/path"; "unix:" without a path for a socket without a name.
 */
void address_format(const struct sockaddr_storage *sockaddr, socklen_t len,
		    char ret_text[ADDRESS_TEXT_MAX]);

#endif
