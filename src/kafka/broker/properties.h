/*
 * Files of settings as Java reads them (java.util.Properties):
 *
 *     # a comment, or ! one
 *     name = value            the separator is '=', ':' or white space
 *     name.goes.on = a,\
 *         b                   a line that ends in a backslash goes on, without the white space of the next
 *     path = C:\\dir\t\u00e4  escapes: \t \n \r \f, \uXXXX, and any character that is to stand for itself
 *
 * Bytes that are not ASCII are left as they are. Pure.
 */
#ifndef KAFKA_BROKER_PROPERTIES_H
#define KAFKA_BROKER_PROPERTIES_H

#include "base/slice.h"

struct properties {
	struct slice rest;
	unsigned line;            /* of the last property: where it began */
	unsigned lines;           /* that were read */
	char *memory;             /* as large as the text */
	struct slice name, value; /* in it, until the next */
};

/* -ENOMEM. */
int properties_init(struct properties *properties, struct slice text);
void properties_fini(struct properties *properties);
/* 1: `name` and `value` are there; 0: the end; -EINVAL: an escape that is none, in `line`. */
int properties_next(struct properties *properties);

#endif
