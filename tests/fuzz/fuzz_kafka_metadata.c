/*
 * Kafka's metadata log or a snapshot, of any bytes: what is good of it goes into the image, which
 * stays in order whatever the records say.
 *
 * The last byte: whether checksums are put right, so that more than they are tried.
 */
#include "fuzz/fuzz.h"
#include "fuzz/kafka_batches.h"
#include "kafka/store/image.h"
#include "kafka/store/log_scan.h"

static void check(struct image *image)
{
	for (size_t i = 0; i < image->topic_count; i++) {
		const struct image_topic *topic = &image->topics[i];

		HOLDS(image_topic(image, slice_of(topic->name)) == topic);
		HOLDS(topic->partitions >= 0 && topic->partitions <= topic->capacity);
		for (uint32_t n = 0; n < topic->settings.count; n++)
			HOLDS(topic->settings.list[n].name);
	}
}

static int apply(struct image *image, const struct record_batch *batch)
{
	struct slice records = batch->records;
	struct record record;
	int r = 0;

	if (record_batch_codec(batch) != RECORD_CODEC_NONE || batch->magic != 2 ||
	    (batch->attributes & RECORD_ATTRIBUTE_CONTROL))
		return 0;
	while (r == 0 && record_next(batch, &records, &record) == RECORD_BATCH_OK)
		r = image_apply(image, record.offset, record.value);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t flags = take_number(data, &size, 1);
	char *copy = heap_copy(data, size);
	struct log_scan scan = {.size = size};
	struct record_batch batch;
	struct image image;
	size_t want;
	int r = 0;

	if (flags & 1)
		put_checksums_right(copy, size);
	image_init(&image, 1);
	while (r == 0 &&
	       log_scan_next(&scan, slice_make(copy + scan.position, size - scan.position), &batch,
			     &want) == LOG_SCAN_BATCH)
		r = apply(&image, &batch);
	if (r == 0)
		check(&image);
	image_fini(&image);
	free(copy);
	return 0;
}
