/*
 * The transports: connected pairs of sockets. A link belongs to the sending process, which is where
 * its devices live: a veth pair makes that process a member of a new network namespace, and goes
 * with it.
 */
#ifndef LAB_LINK_H
#define LAB_LINK_H

#include "lab/model.h"

struct lab_link {
	enum lab_transport transport;
	int sender_net, receiver_net; /* namespaces; -1: none of its own */
};

/* 0, or -errno with one line of why and what to do. Once a process, single-threaded. */
int link_open(struct lab_link *link, enum lab_transport transport, struct err *err);
/* Blocking stream sockets: [0] sends, [1] receives. */
int link_pair(const struct lab_link *link, int ret_ends[2], struct err *err);

#endif
