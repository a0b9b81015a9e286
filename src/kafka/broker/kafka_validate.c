#include "kafka/broker/kafka_validate.h"

#include "kafka/broker/kafka_limits.h"

static void refuse(struct validated *validated, enum kafka_error error, const char *text)
{
	validated->error = error;
	validated->text = text;
}

static void refuse_fault(struct validated *validated, enum record_batch_fault fault)
{
	refuse(validated, record_batch_error(fault), record_batch_text(fault));
}

static void refuse_objection(struct validated *validated, enum kafka_error error,
			     enum record_objection why)
{
	refuse(validated, error, record_objection_text(why));
}

/* ---- what the topic wants ---- */

static int64_t saturated_add(int64_t a, int64_t b)
{
	int64_t sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return b > 0 ? INT64_MAX : INT64_MIN;
}

static struct records_rules rules_of(const struct topic *topic, int64_t now_ms)
{
	struct records_rules rules = RECORDS_ANY;

	rules.needs_keys =
	    topic_config_lists(topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY),
			       TOPIC_CLEANUP_COMPACT);
	rules.append_time = topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_TYPE) == 1;
	if (rules.append_time)
		return rules;
	rules.latest =
	    saturated_add(now_ms, topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_AFTER_MAX_MS));
	/* The default is no bound, also for times before 1970. */
	if (topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_BEFORE_MAX_MS) < INT64_MAX)
		rules.earliest =
		    saturated_add(now_ms,
				  -topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_BEFORE_MAX_MS));
	return rules;
}

/* ---- compressed records ---- */

/* The header has the greatest time and the first; not the least, and nothing of keys. */
static bool header_answers(const struct record_batch *batch, const struct records_rules *rules)
{
	if (rules->needs_keys)
		return false;
	return rules->append_time || (batch->max_timestamp >= 0 && rules->earliest == INT64_MIN);
}

static bool wants_records(enum kafka_validation level, const struct record_batch *batch,
			  const struct records_rules *rules)
{
	if (record_batch_codec(batch) == RECORD_CODEC_NONE)
		return true;
	return level == KAFKA_VALIDATE_STRICT ||
	       (level == KAFKA_VALIDATE_RELAXED && !header_answers(batch, rules));
}

size_t validate_bytes(const struct topic *topic, struct slice records, enum kafka_validation level,
		      int64_t now_ms)
{
	const struct records_rules rules = rules_of(topic, now_ms);
	struct record_batch batch;

	if (record_batch_next(&records, &batch) != RECORD_BATCH_OK ||
	    record_batch_codec(&batch) == RECORD_CODEC_NONE ||
	    !wants_records(level, &batch, &rules))
		return 0;
	return batch.bytes.len;
}

static enum record_batch_fault expand(struct validator *validator, const struct record_batch *batch,
				      const struct records_rules *rules, bool *ret_left_off)
{
	size_t limit = validator->expand_left < KAFKA_EXPANDED_BATCH_MAX ? validator->expand_left
									 : KAFKA_EXPANDED_BATCH_MAX;
	enum record_batch_fault fault;
	size_t size;

	if (!validator->expander)
		validator->expander = expanders_take(validator->expanders);
	if (!validator->expander)
		return RECORD_BATCH_NO_MEMORY;
	fault = expanded_records_check(validator->expander, batch, limit, rules,
				       &validator->summary, &size);
	*ret_left_off = fault == RECORD_BATCH_EXPANDED && limit < KAFKA_EXPANDED_BATCH_MAX;
	validator->expand_left -= size;
	return fault;
}

/* ---- records, or what the header says of them ---- */

static void check_records(struct validator *validator, const struct record_batch *batch,
			  const struct records_rules *rules, struct validated *ret)
{
	struct records_summary *summary = &validator->summary;
	enum record_batch_fault fault;

	if (record_batch_codec(batch) == RECORD_CODEC_NONE)
		fault = records_check(batch, batch->records, rules, summary);
	else
		fault = expand(validator, batch, rules, &ret->left_off);
	if (fault != RECORD_BATCH_OK) {
		refuse_fault(ret, fault);
		return;
	}
	ret->objected = summary->objected;
	ret->max_timestamp = summary->max_timestamp;
	if (summary->objected > 0)
		refuse_objection(ret, summary->error, summary->first[0].why);
}

static void check_header(const struct record_batch *batch, const struct records_rules *rules,
			 struct validated *ret)
{
	bool marked = batch->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME;
	int64_t first = marked ? batch->max_timestamp : batch->base_timestamp;

	ret->max_timestamp = batch->max_timestamp;
	if (marked && (rules->append_time || batch->max_timestamp == -1))
		refuse_objection(ret, KAFKA_INVALID_TIMESTAMP, RECORD_APPEND_TIME);
	else if (first != -1 && first < rules->earliest)
		refuse_objection(ret, KAFKA_INVALID_TIMESTAMP, RECORD_TOO_EARLY);
	else if (batch->max_timestamp > rules->latest)
		refuse_objection(ret, KAFKA_INVALID_TIMESTAMP, RECORD_TOO_LATE);
}

/* ---- a batch ---- */

static enum record_batch_fault check_batch(const struct validator *validator,
					   const struct topic *topic, struct slice records,
					   struct record_batch *batch, struct validated *ret)
{
	int64_t max = topic_config_value(topic, TOPIC_CONFIG_MAX_MESSAGE_BYTES);
	enum record_batch_fault fault = record_batch_only(records, batch);

	ret->malformed = true;
	if (fault != RECORD_BATCH_OK)
		return fault;
	if (record_batch_codec(batch) == RECORD_CODEC_ZSTD && validator->version < 7) {
		refuse(ret, KAFKA_UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 7 of Produce");
		return RECORD_BATCH_OK;
	}
	ret->malformed = false;
	fault = record_batch_check_produced(batch, (size_t)max);
	if (fault == RECORD_BATCH_OK && batch->attributes & RECORD_ATTRIBUTE_TRANSACTIONAL)
		refuse(ret, KAFKA_INVALID_TXN_STATE, "transactions are not supported");
	return fault;
}

void validate_batch(struct validator *validator, const struct topic *topic, struct slice records,
		    struct validated *ret)
{
	const struct records_rules rules = rules_of(topic, validator->now_ms);
	struct record_batch batch;
	enum record_batch_fault fault;

	*ret = (struct validated){.error = KAFKA_NONE};
	fault = check_batch(validator, topic, records, &batch, ret);
	if (fault != RECORD_BATCH_OK)
		refuse_fault(ret, fault);
	if (ret->error != KAFKA_NONE)
		return;
	if (wants_records(validator->level, &batch, &rules))
		check_records(validator, &batch, &rules, ret);
	else
		check_header(&batch, &rules, ret);
	/* The request's memory is ours. */
	ret->batch = (char *)(uintptr_t)batch.bytes.ptr;
	ret->len = batch.bytes.len;
	ret->count = batch.count;
	ret->set_append_time = rules.append_time;
	ret->set_max = batch.attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME ||
		       ret->max_timestamp != batch.max_timestamp;
}

void validator_end(struct validator *validator)
{
	if (validator->expander)
		expanders_give(validator->expanders, validator->expander);
}

void validated_settle(const struct validated *validated, int64_t now_ms)
{
	if (validated->set_append_time)
		record_batch_set_log_append_time(validated->batch, validated->len, now_ms);
	else if (validated->set_max)
		record_batch_set_max_timestamp(validated->batch, validated->len,
					       validated->max_timestamp);
}
