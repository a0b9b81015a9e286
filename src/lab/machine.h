/*
 * On what it was measured: kernel, processor, memory.
 */
#ifndef LAB_MACHINE_H
#define LAB_MACHINE_H

#include "lab/model.h"

/* Fills kernel, machine and capabilities. What can't be found out is "unknown". */
void machine_describe(struct lab_result *result);

/* The value of the first line that begins with `key`, in the form of /proc/cpuinfo ("key : value"),
 * into `ret`; false when there is none. Pure. */
bool machine_value(const char *text, const char *key, char *ret, size_t size);

#endif
