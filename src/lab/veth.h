/*
 * A veth pair between two network namespaces that have no name: they live as long as a process or a
 * socket is in them, and the kernel takes them down, with the devices, when the last one goes. No
 * privilege is needed where user namespaces are allowed.
 */
#ifndef LAB_VETH_H
#define LAB_VETH_H

#include "base/err.h"

/* Of the test range of RFC 2544: in namespaces of their own they meet nobody. */
#define VETH_SENDER_ADDRESS   "198.18.0.1"
#define VETH_RECEIVER_ADDRESS "198.18.0.2"

/* The calling process, which must be single-threaded, ends up in the sender's namespace. */
int veth_make(int *ret_sender_net, int *ret_receiver_net, struct err *err);
/* For the sender's device, from the sender's namespace. */
int veth_scatter_gather_off(struct err *err);
int veth_segmentation_off(struct err *err);

#endif
