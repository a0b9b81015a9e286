/*
 * May what a producer has sent be appended? Each batch is looked at as Kafka looks at it, in the
 * same order and with the same errors; nothing is changed before all that a request has is settled.
 *
 * Records that are compressed are expanded, and each of them is checked (leat.produce.validation:
 * strict), or only where the header can't answer (relaxed), or never (header). What is expanded is
 * bounded (kafka_limits.h).
 *
 * No system calls; any thread.
 */
#ifndef KAFKA_BROKER_KAFKA_VALIDATE_H
#define KAFKA_BROKER_KAFKA_VALIDATE_H

#include "kafka/broker/expanders.h"
#include "kafka/codec/expanded_records.h"
#include "kafka/store/store.h"

/* leat.produce.validation, in the order of its words. */
enum kafka_validation { KAFKA_VALIDATE_STRICT, KAFKA_VALIDATE_RELAXED, KAFKA_VALIDATE_HEADER };

/* For the batches of one request. */
struct validator {
	struct expanders *expanders;
	struct expander *expander; /* taken when it is needed */
	enum kafka_validation level;
	int16_t version; /* of the request */
	int64_t now_ms;
	size_t expand_left;             /* bytes that its records may still come to */
	struct records_summary summary; /* of the last batch */
};

struct validated {
	enum kafka_error error;
	const char *text;  /* of the error; NULL: the code says it all */
	uint32_t objected; /* records that are refused: validator.summary has the first of them */
	bool left_off;     /* expand_left was the reason */
	bool malformed;    /* it is no batch that a log could take */
	/* Without error: the batch, and the times that it must be given. */
	char *batch;
	size_t len;
	int32_t count; /* of its records */
	bool set_append_time, set_max;
	int64_t max_timestamp;
};

void validate_batch(struct validator *validator, const struct topic *topic, struct slice records,
		    struct validated *ret);
void validator_end(struct validator *validator);
/* Gives the batch its times. */
void validated_settle(const struct validated *validated, int64_t now_ms);

/* How many bytes there are to expand, as far as can be told without looking closely. */
size_t validate_bytes(const struct topic *topic, struct slice records, enum kafka_validation level,
		      int64_t now_ms);

#endif
