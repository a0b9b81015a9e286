/*
 * The techniques that are built in, for the table in technique.c.
 */
#ifndef ENGINE_TECHNIQUES_H
#define ENGINE_TECHNIQUES_H

#include "engine/technique.h"

extern const struct technique technique_copy;
extern const struct technique technique_sendfile;
extern const struct technique technique_splice;

#endif
