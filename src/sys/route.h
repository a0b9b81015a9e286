/*
 * By which device does a connected socket send, and will that device take pages by reference?
 *
 * sendfile and splice hand page references to TCP. A device without scatter-gather or without
 * transmit checksums can't use them: the kernel then copies every byte into a linear buffer and
 * tells nobody (netdev features NETIF_F_SG, NETIF_F_HW_CSUM; seen on veth: 2.8 x the CPU). So the
 * route is asked.
 *
 * The answer (RTM_GETROUTE) is cached for ROUTE_TTL_MS by the pair of addresses, the features by
 * device: a peer that is known costs getpeername, getsockname and getsockopt, one on this machine
 * the first two, a new one four calls more. It is not cached by route prefix: a remembered default
 * route would answer for every address that has a route of its own. One cache a process; any
 * thread.
 */
#ifndef SYS_ROUTE_H
#define SYS_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#define ROUTE_TTL_MS 10000

struct route_features {
	char device[16]; /* "" when it could not be found out */
	bool known;      /* the features below were read */
	bool scatter_gather;
	bool checksum;
	bool loopback;
};

/* For a connected TCP socket; 0 or -errno. An unknown answer is an answer: known == false. */
int route_features_of(int socket, struct route_features *ret);

#endif
