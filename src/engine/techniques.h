/*
 * The techniques that are built in, for the table in technique.c.
 */
#ifndef ENGINE_TECHNIQUES_H
#define ENGINE_TECHNIQUES_H

#include "engine/technique.h"

extern const struct technique technique_copy;
extern const struct technique technique_mmap;
extern const struct technique technique_sendfile;
extern const struct technique technique_splice;
extern const struct technique technique_tee;
extern const struct technique technique_vmsplice;
extern const struct technique technique_zerocopy;
extern const struct technique technique_range_copy;
extern const struct technique technique_uring; /* with liburing only */

#endif
