/*
 * What an operator sees of the whole process, whatever it serves: what became of the bytes of all
 * engines together, and what the reactor's loops and helpers do. So these families stand once in
 * /metrics, however many services there are. And parts of /status that services have in common.
 */
#ifndef ADMIN_ADMIN_TOTALS_H
#define ADMIN_ADMIN_TOTALS_H

#include "base/buf.h"
#include "base/histogram.h"
#include "engine/engine.h"
#include "reactor/reactor.h"

void admin_totals_metrics(const struct engine_account *engines, const struct reactor_stats *reactor,
			  struct buf *out);

/* Members "bytes" and "duration_microseconds" of a service's object. */
void admin_status_bytes(struct buf *out, const struct leat_ledger *ledger);
void admin_status_durations(struct buf *out, const struct histogram *histogram);

#endif
