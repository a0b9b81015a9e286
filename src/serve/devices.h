/*
 * What is known at the start of the devices that answers leave by.
 */
#ifndef SERVE_DEVICES_H
#define SERVE_DEVICES_H

#include "reactor/reactor.h"

/* A warning for each device of a listener's that makes the kernel copy what is handed over by
 * reference. */
void devices_say(const struct reactor *reactor);

#endif
