/*
 * The store's pure parts: producers against a model that remembers everything, recovery's scan with
 * every cut and every flipped byte, epochs, indexes, ids.
 */
#include "unit/unit.h"

#include "kit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/be.h"
#include "kafka/store/epochs.h"
#include "kafka/store/identity.h"
#include "kafka/store/log_index.h"
#include "kafka/store/log_scan.h"
#include "kafka/store/producers.h"

static uint64_t dice = 1;

static uint64_t roll(uint64_t below)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (dice >> 33) % below;
}

/* ---- producers ---- */

#define IDS   40
#define TRIES 40000

struct remembered {
	int16_t epoch;
	int32_t next;
	struct producer_batch batches[PRODUCER_BATCHES];
	unsigned count;
	bool known;
};

static struct record_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t count,
				    int64_t offset)
{
	return (struct record_batch){.base_offset = offset,
				     .last_offset_delta = count - 1,
				     .count = count,
				     .max_timestamp = KIT_NOW,
				     .producer_id = id,
				     .producer_epoch = epoch,
				     .base_sequence = sequence};
}

/* What Kafka says, written down as plainly as can be. */
static enum kafka_error expected(const struct remembered *model, const struct record_batch *batch,
				 int64_t *ret_duplicate)
{
	*ret_duplicate = -1;
	if (!model->known)
		return KAFKA_NONE;
	if (batch->producer_epoch < model->epoch)
		return KAFKA_INVALID_PRODUCER_EPOCH;
	if (batch->producer_epoch > model->epoch)
		return batch->base_sequence == 0 ? KAFKA_NONE : KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
	for (unsigned i = 0; i < model->count; i++) {
		const struct producer_batch *seen = &model->batches[i];
		int64_t first = (int64_t)seen->last_sequence - seen->offset_delta;

		/* They count in a circle of 2^31. */
		if (first < 0)
			first += INT64_C(1) << 31;
		if (first == batch->base_sequence && seen->offset_delta == batch->last_offset_delta)
			*ret_duplicate = seen->last_offset;
	}
	if (*ret_duplicate >= 0 || batch->base_sequence == model->next)
		return KAFKA_NONE;
	return KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static void remember(struct remembered *model, const struct record_batch *batch)
{
	if (!model->known || batch->producer_epoch != model->epoch)
		*model = (struct remembered){.known = true, .epoch = batch->producer_epoch};
	if (model->count == PRODUCER_BATCHES)
		memmove(model->batches, model->batches + 1,
			sizeof(model->batches[0]) * --model->count);
	int64_t last = (int64_t)batch->base_sequence + batch->last_offset_delta;

	model->batches[model->count++] = (struct producer_batch){
	    .last_offset = record_batch_last_offset(batch),
	    .last_sequence = (int32_t)(last & INT32_MAX),
	    .offset_delta = batch->last_offset_delta,
	};
	model->next = (int32_t)((last + 1) & INT32_MAX);
}

/* A likely batch: the next one, an old one, one with a gap, another epoch. */
static struct record_batch propose(const struct remembered *model, int64_t id, int64_t offset)
{
	int32_t count = 1 + (int32_t)roll(5), sequence = model->known ? model->next : 0;
	int16_t epoch = model->epoch;

	if (!model->known && roll(4) == 0)
		sequence = INT32_MAX - (int32_t)roll(8);
	else if (roll(4) == 0 && model->count > 0) {
		const struct producer_batch *old = &model->batches[roll(model->count)];

		count = old->offset_delta + 1;
		sequence = (int32_t)(((int64_t)old->last_sequence - old->offset_delta) & INT32_MAX);
	} else if (roll(8) == 0) {
		sequence = (int32_t)(((uint32_t)sequence + 1 + (uint32_t)roll(3)) & INT32_MAX);
	} else if (roll(10) == 0) {
		epoch = (int16_t)(epoch + (int)roll(3) - 1);
		sequence = roll(2) ? 0 : sequence;
	}
	return batch_of(id, epoch < 0 ? 0 : epoch, sequence, count, offset);
}

static void forget_all_but_the_last(struct remembered *models)
{
	for (unsigned i = 0; i < IDS; i++)
		if (models[i].count > 1) {
			models[i].batches[0] = models[i].batches[models[i].count - 1];
			models[i].count = 1;
		}
}

static void restart(struct producers *producers, struct remembered *models)
{
	size_t size = producers_snapshot_size(producers);
	char *bytes = malloc(size);

	producers_snapshot(producers, bytes);
	assert_int_equal(producers_restore(producers, slice_make(bytes, size), 0), 0);
	bytes[roll(size)] ^= 1;
	assert_int_equal(producers_restore(&(struct producers){.count = 0}, slice_make(bytes, size),
					   0),
			 -EBADMSG);
	free(bytes);
	forget_all_but_the_last(models);
}

static void producers_are_judged_as_kafka_does(void **state)
{
	struct remembered models[IDS] = {{.known = false}};
	struct producers producers = {.count = 0};
	int64_t offset = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		int64_t id = (int64_t)roll(IDS), duplicate;
		struct record_batch batch = propose(&models[id], id, offset);
		const struct producer_batch *found;
		enum kafka_error error = producers_check(&producers, &batch, &found);

		assert_int_equal(error, expected(&models[id], &batch, &duplicate));
		assert_int_equal(found ? found->last_offset : -1, duplicate);
		if (error == KAFKA_NONE && !found) {
			assert_int_equal(producers_reserve(&producers), 0);
			producers_update(&producers, &batch);
			remember(&models[id], &batch);
			offset += batch.count;
		}
		if (roll(2000) == 0)
			restart(&producers, models);
	}
	assert_int_equal(producers.count, IDS);
	producers_expire(&producers, KIT_NOW + 1);
	assert_int_equal(producers.count, 0);
	producers_fini(&producers);
}

static void an_open_transaction_holds_the_last_stable_offset(void **state)
{
	struct producers producers = {.count = 0};
	struct record_batch batch = batch_of(1, 0, 0, 3, 100);

	batch.attributes = RECORD_ATTRIBUTE_TRANSACTIONAL;
	producers_reserve(&producers);
	producers_update(&producers, &batch);
	batch = batch_of(1, 0, 3, 3, 103);
	batch.attributes = RECORD_ATTRIBUTE_TRANSACTIONAL;
	producers_update(&producers, &batch);
	assert_int_equal(producers_first_open(&producers), 100);
	/* Who has one open is not forgotten. */
	producers_expire(&producers, INT64_MAX);
	assert_int_equal(producers_first_open(&producers), 100);
	batch = batch_of(1, 0, -1, 1, 106);
	batch.attributes = RECORD_ATTRIBUTE_TRANSACTIONAL | RECORD_ATTRIBUTE_CONTROL;
	producers_update(&producers, &batch);
	assert_int_equal(producers_first_open(&producers), -1);
	producers_fini(&producers);
}

/* ---- recovery's scan ---- */

#define STREAM_BATCHES 4

static size_t make_stream(char **ret, size_t ends[STREAM_BATCHES])
{
	size_t len = 0, batch_len;
	char *stream = malloc(4096);
	int64_t offset = 1000;

	for (unsigned i = 0; i < STREAM_BATCHES; i++) {
		char *batch = kit_batch(&KIT_PLAIN(2, 30 * i, KIT_NOW), &batch_len);

		record_batch_place(batch, offset, 0);
		memcpy(stream + len, batch, batch_len);
		free(batch);
		len += batch_len;
		ends[i] = len;
		offset += 2;
	}
	*ret = stream;
	return len;
}

static struct log_scan scan_all(const char *stream, size_t len, enum log_scan_step *ret)
{
	struct log_scan scan = {.base_offset = 1000, .next_offset = 1000, .size = len};
	struct record_batch batch;
	size_t want;

	do
		*ret = log_scan_next(&scan, slice_make(stream + scan.position, len - scan.position),
				     &batch, &want);
	while (*ret == LOG_SCAN_BATCH);
	return scan;
}

static unsigned whole_before(const size_t ends[STREAM_BATCHES], size_t position)
{
	unsigned count = 0;

	while (count < STREAM_BATCHES && ends[count] <= position)
		count++;
	return count;
}

static void every_cut_is_found_where_it_is(void **state)
{
	size_t ends[STREAM_BATCHES], len;
	enum log_scan_step step;
	char *stream;

	len = make_stream(&stream, ends);
	for (size_t cut = 0; cut <= len; cut++) {
		unsigned good = whole_before(ends, cut);
		struct log_scan scan = scan_all(stream, cut, &step);

		assert_int_equal(scan.position, good ? ends[good - 1] : 0);
		assert_int_equal(scan.next_offset, 1000 + 2 * good);
		assert_int_equal(step, scan.position == cut ? LOG_SCAN_END : LOG_SCAN_CUT);
	}
	free(stream);
}

static void every_flipped_byte_ends_the_log_before_its_batch(void **state)
{
	size_t ends[STREAM_BATCHES], len;
	enum log_scan_step step;
	char *stream;

	len = make_stream(&stream, ends);
	for (size_t at = 0; at < len; at++) {
		unsigned good = whole_before(ends, at);
		size_t in_batch = at - (good ? ends[good - 1] : 0);
		struct log_scan scan;

		/* The offset and the leader epoch are not under the checksum. */
		if (in_batch < 8 || (in_batch >= 12 && in_batch < 16))
			continue;
		stream[at] ^= 0x40;
		scan = scan_all(stream, len, &step);
		assert_int_equal(step, LOG_SCAN_CUT);
		assert_int_equal(scan.position, good ? ends[good - 1] : 0);
		stream[at] ^= 0x40;
	}
	free(stream);
}

static void old_messages_are_gone_through_like_batches(void **state)
{
	char messages[100];
	enum log_scan_step step;
	struct log_scan scan;
	size_t len = 0, one;

	for (int64_t i = 0; i < 3; i++)
		len += kit_old_message(messages + len, i == 1, 1000 + i, KIT_NOW, "ab");
	one = len / 3;
	scan = scan_all(messages, len, &step);
	assert_int_equal(step, LOG_SCAN_END);
	assert_true(scan.next_offset == 1003 && !scan.sparse);
	/* What is torn or damaged is cut. */
	for (size_t cut = 1; cut < len; cut++) {
		scan = scan_all(messages, cut, &step);
		assert_true(step == LOG_SCAN_END ? scan.position == cut : scan.position < cut);
	}
	messages[len - 1] ^= 1;
	scan = scan_all(messages, len, &step);
	assert_true(step == LOG_SCAN_CUT && scan.next_offset == 1002 && scan.position > one);
	/* As is what a torn write leaves of a batch of ours, whose magic is a zero. */
	memset(messages, 0, sizeof(messages));
	be_store64(messages, 1000);
	be_store32(messages + 8, sizeof(messages) - 12);
	scan_all(messages, sizeof(messages), &step);
	assert_int_equal(step, LOG_SCAN_CUT);
}

static void offsets_that_go_back_end_the_log(void **state)
{
	size_t ends[STREAM_BATCHES], len;
	enum log_scan_step step;
	struct log_scan scan;
	char *stream;

	len = make_stream(&stream, ends);
	be_store64(stream + ends[1], 1003);
	scan = scan_all(stream, len, &step);
	assert_int_equal(step, LOG_SCAN_CUT);
	assert_int_equal(scan.position, ends[1]);
	/* A gap is what compaction leaves. */
	be_store64(stream + ends[1], 1004);
	be_store64(stream + ends[2], 1100);
	scan = scan_all(stream, len, &step);
	assert_int_equal(step, LOG_SCAN_END);
	assert_true(scan.sparse && scan.next_offset == 1102);
	free(stream);
}

/* ---- the rest ---- */

static void index_entries_are_made_as_kafka_makes_them(void **state)
{
	struct log_indexer indexer = LOG_INDEXER_INIT;
	struct log_index_entry index;
	struct log_time_entry time;

	/* 4096 and no more do not make one. */
	assert_int_equal(log_indexer_note(&indexer, 4096, (struct log_index_entry){9, 0}, 4096, 50,
					  &index, &time),
			 0);
	assert_int_equal(log_indexer_note(&indexer, 4096, (struct log_index_entry){19, 4096}, 100,
					  40, &index, &time),
			 0);
	assert_int_equal(log_indexer_note(&indexer, 4096, (struct log_index_entry){29, 4196}, 100,
					  45, &index, &time),
			 LOG_INDEX_NEW | LOG_TIME_NEW);
	assert_true(index.offset == 29 && index.position == 4196);
	assert_true(time.timestamp == 50 && time.offset == 9);
	/* No greater time since: nothing new for that index. */
	assert_int_equal(log_indexer_note(&indexer, 10, (struct log_index_entry){39, 4296}, 100, 45,
					  &index, &time),
			 LOG_INDEX_NEW);
	assert_false(log_indexer_finish(&indexer, &time));
	log_indexer_note(&indexer, 4096, (struct log_index_entry){49, 4396}, 100, 51, &index,
			 &time);
	assert_true(log_indexer_finish(&indexer, &time));
	assert_true(time.timestamp == 51 && time.offset == 49);
}

static void epochs_answer_where_they_end(void **state)
{
	struct epochs epochs = {.count = 0};
	int32_t epoch;
	int64_t end;

	assert_int_equal(epochs_parse(&epochs, SLICE_LITERAL("0\n3\n0 0\n2 100\n5 300\n")), 0);
	epochs_end_of(&epochs, 0, 500, &epoch, &end);
	assert_true(epoch == 0 && end == 100);
	epochs_end_of(&epochs, 4, 500, &epoch, &end);
	assert_true(epoch == 2 && end == 300);
	epochs_end_of(&epochs, 5, 500, &epoch, &end);
	assert_true(epoch == 5 && end == 500);
	epochs_end_of(&epochs, 6, 500, &epoch, &end);
	assert_true(epoch == -1 && end == -1);
	assert_int_equal(epochs_of(&epochs, 299), 2);
	epochs_end_of(&epochs, -1, 500, &epoch, &end);
	assert_true(epoch == -1 && end == -1);
	/* One that begins at the end stays, so that the epoch does not go back. */
	epochs_cut_end(&epochs, 300);
	assert_int_equal(epochs_latest(&epochs), 5);
	epochs_cut_end(&epochs, 299);
	assert_int_equal(epochs_latest(&epochs), 2);
	epochs_cut_start(&epochs, 150);
	assert_true(epochs.count == 1 && epochs.entries[0].start == 150 && epochs.dirty);
	/* Older than any that is known: as Kafka answers. */
	epochs_end_of(&epochs, 1, 500, &epoch, &end);
	assert_true(epoch == 1 && end == 150);
	epochs_fini(&epochs);
	assert_int_equal(epochs_parse(&epochs, SLICE_LITERAL("0\n2\n0 0\n")), -EBADMSG);
	assert_int_equal(epochs_parse(&epochs, SLICE_LITERAL("1\n0\n")), -EPROTONOSUPPORT);
}

static void ids_are_written_as_kafka_writes_them(void **state)
{
	struct kafka_uuid id, back;
	char text[STORE_UUID_TEXT + 1];

	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned j = 0; j < sizeof(id.bytes); j++)
			id.bytes[j] = (uint8_t)roll(256);
		store_uuid_format(&id, text);
		assert_int_equal(store_uuid_parse(slice_of(text), &back), 0);
		assert_memory_equal(&id, &back, sizeof(id));
	}
	memset(&id, 0, sizeof(id));
	id.bytes[15] = 1;
	store_uuid_format(&id, text);
	/* Kafka's id of its metadata topic. */
	assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
	assert_int_equal(store_uuid_parse(SLICE_LITERAL("AAAAAAAAAAAAAAAAAAAAA="), &back), -EINVAL);
	assert_int_equal(store_uuid_parse(SLICE_LITERAL("short"), &back), -EINVAL);
}

static void newer_and_broken_identities_are_refused(void **state)
{
	struct identity identity;
	struct err err;

	assert_int_equal(identity_parse(SLICE_LITERAL("#Sat\n#\nversion=1\r\ncluster.id = abc\n"
						      "node.id=7\nfuture=1\n"),
					&identity, &err),
			 0);
	assert_string_equal(identity.cluster_id, "abc");
	assert_int_equal(identity.node_id, 7);
	assert_int_equal(identity_parse(SLICE_LITERAL("version=0\nbroker.id=3\ncluster.id=abc"),
					&identity, &err),
			 0);
	assert_int_equal(identity.node_id, 3);
	assert_int_equal(identity_parse(SLICE_LITERAL("version=2\nnode.id=7\ncluster.id=abc"),
					&identity, &err),
			 -EPROTONOSUPPORT);
	assert_int_equal(identity_parse(SLICE_LITERAL("version=1\nnode.id=7\n"), &identity, &err),
			 -EBADMSG);
	assert_int_equal(identity_parse(SLICE_LITERAL("nonsense"), &identity, &err), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(producers_are_judged_as_kafka_does),
	    cmocka_unit_test(an_open_transaction_holds_the_last_stable_offset),
	    cmocka_unit_test(every_cut_is_found_where_it_is),
	    cmocka_unit_test(every_flipped_byte_ends_the_log_before_its_batch),
	    cmocka_unit_test(old_messages_are_gone_through_like_batches),
	    cmocka_unit_test(offsets_that_go_back_end_the_log),
	    cmocka_unit_test(index_entries_are_made_as_kafka_makes_them),
	    cmocka_unit_test(epochs_answer_where_they_end),
	    cmocka_unit_test(ids_are_written_as_kafka_writes_them),
	    cmocka_unit_test(newer_and_broken_identities_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
