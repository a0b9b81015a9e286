#include "kafka/broker/kafka_count.h"

#include "kafka/broker/kafka_call.h"
#include "sys/sys.h"

/* ---- time ---- */

static enum kafka_timed kind_of(const struct kafka_call *call)
{
	switch (call->header.api->key) {
	case KAFKA_API_PRODUCE:
		return KAFKA_TIMED_PRODUCE;
	case KAFKA_API_FETCH:
		return KAFKA_TIMED_FETCH;
	default:
		return KAFKA_TIMED_OTHER;
	}
}

/* 0: nobody wants to know. */
static uint64_t turn_ns(struct kafka_loop *loop)
{
	struct kafka_timing *timing = &loop->timing;
	uint64_t turn = loop_turns(loop->loop);

	if (!loop->server->observed)
		return 0;
	if (timing->turn != turn) {
		timing->turn = turn;
		timing->turn_ns = sys_now_ns();
	}
	return timing->turn_ns;
}

void count_buffered(const struct kafka_call *call)
{
	struct kafka_timing *timing = &call->home->timing;

	if (call->since_ns == 0)
		return;
	if (timing->buffered_count == KAFKA_TIMED_MAX)
		count_buffer_left(call->home);
	timing->buffered[timing->buffered_count].since_ns = call->since_ns;
	timing->buffered[timing->buffered_count++].kind = kind_of(call);
}

void count_buffer_left(struct kafka_loop *loop)
{
	struct kafka_timing *timing = &loop->timing;
	uint64_t now = timing->buffered_count > 0 ? sys_now_ns() : 0;

	for (unsigned i = 0; i < timing->buffered_count; i++)
		histogram_add(&timing->durations[timing->buffered[i].kind],
			      now - timing->buffered[i].since_ns);
	timing->buffered_count = 0;
}

void count_buffer_lost(struct kafka_loop *loop)
{
	loop->timing.buffered_count = 0;
}

void count_sent(const struct kafka_call *call)
{
	if (call->since_ns)
		histogram_add(&call->home->timing.durations[kind_of(call)],
			      sys_now_ns() - call->since_ns);
}

/* ---- what calls were ---- */

uint64_t *count_errors(struct kafka_call *call)
{
	return call->server->errors[call->header.api - kafka_apis];
}

void count_error(struct kafka_call *call, enum kafka_error error)
{
	if (error != KAFKA_NONE)
		kafka_error_count(count_errors(call), error);
}

void count_begin(struct kafka_call *call)
{
	struct kafka_loop *loop = call->home;

	counter_add(&loop->counters.requests[call->header.api - kafka_apis], 1);
	call->since_ns = turn_ns(loop);
}

void count_handled(struct kafka_call *call)
{
	struct kafka_produced *sum = &call->home->counters.produced;

	if (call->produced.batches + call->produced.duplicates == 0)
		return;
	counter_add(&sum->bytes, call->produced.bytes);
	counter_add(&sum->batches, call->produced.batches);
	counter_add(&sum->records, call->produced.records);
	counter_add(&sum->duplicates, call->produced.duplicates);
	call->produced = (struct kafka_produced){0};
}

void count_waits(struct kafka_call *call)
{
	struct kafka_counters *counters = &call->home->counters;
	int16_t key = call->header.api->key;

	call->waits =
	    key == KAFKA_API_FETCH || key == KAFKA_API_JOIN_GROUP || key == KAFKA_API_SYNC_GROUP;
	if (key != KAFKA_API_FETCH)
		return;
	counter_add(&counters->waited, 1);
	counter_add(&counters->waiting, 1);
}

void count_woken(struct kafka_call *call)
{
	if (!call->waits)
		return;
	call->waits = false;
	call->since_ns = turn_ns(call->home);
	if (call->header.api->key == KAFKA_API_FETCH)
		counter_add(&call->home->counters.waiting, (uint64_t)-1);
}
