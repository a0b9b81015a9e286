/*
 * Texts that settings of topics have for values, as numbers: each different text is kept once, for the
 * life of the process, so that values are numbers everywhere and nobody has to give them back.
 *
 * Clients choose the texts: there is room for so many, and then new ones are refused. What uses them
 * are lists of replicas whose replication is to be slowed down, which here have no effect.
 *
 * Any thread.
 */
#ifndef KAFKA_STORE_SETTING_TEXTS_H
#define KAFKA_STORE_SETTING_TEXTS_H

#include "base/slice.h"

#define SETTING_TEXT_MAX  4000
#define SETTING_TEXTS_MAX 1024

/* -ERANGE: too long; -ENOSPC: too many; -ENOMEM. The empty text is number 0. */
int setting_text_number(struct slice text, int64_t *ret);
/* It stays. */
struct slice setting_text(int64_t number);

#endif
