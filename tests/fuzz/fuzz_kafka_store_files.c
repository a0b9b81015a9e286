/*
 * The store's small files with any bytes in them: they are refused, or what was read is written
 * again and read again as the same. The last byte says which kind of file it is.
 */
#include "fuzz/fuzz.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/internal.h"

static void try_epochs(struct slice text)
{
	struct epochs epochs = {.count = 0}, again = {.count = 0};
	struct buf buf;

	if (epochs_parse(&epochs, text) == 0) {
		size_t size = 32 + (size_t)epochs.count * EPOCHS_TEXT_ENTRY;

		buf = buf_over(malloc(size), size);
		epochs_format(&epochs, &buf);
		HOLDS(!buf.overflow && epochs_parse(&again, buf_slice(&buf)) == 0);
		HOLDS(again.count == epochs.count);
		for (uint32_t i = 1; i < epochs.count; i++)
			HOLDS(epochs.entries[i - 1].epoch < epochs.entries[i].epoch &&
			      epochs.entries[i - 1].start < epochs.entries[i].start);
		free(buf.ptr);
	}
	epochs_fini(&epochs);
	epochs_fini(&again);
}

static void try_snapshot(struct slice bytes)
{
	struct producers producers = {.count = 0}, again = {.count = 0};

	if (producers_restore(&producers, bytes, INT64_MIN) == 0) {
		size_t size = producers_snapshot_size(&producers);
		char *copy = malloc(size);

		producers_snapshot(&producers, copy);
		HOLDS(producers_restore(&again, slice_make(copy, size), INT64_MIN) == 0);
		HOLDS(again.count == producers.count &&
		      producers_first_open(&again) == producers_first_open(&producers));
		free(copy);
	}
	producers_fini(&producers);
	producers_fini(&again);
}

static void try_checkpoint(struct slice text)
{
	struct checkpoint_reader reader;
	struct checkpoint_offset offset;
	struct topics_line topic;
	struct slice line;

	if (checkpoint_open(text, &reader) < 0)
		return;
	while (checkpoint_line(&reader, &line)) {
		(void)checkpoint_parse_offset(line, &offset);
		if (topics_parse_line(line, &topic) == 0)
			HOLDS(store_topic_name_valid(topic.name) && topic.partitions > 0);
	}
	(void)checkpoint_end(&reader);
}

static void try_identity(struct slice text)
{
	struct identity identity, again;
	char out[IDENTITY_TEXT_MAX];
	struct buf buf = buf_over(out, sizeof(out));
	struct err err;

	if (identity_parse(text, &identity, &err) < 0)
		return;
	identity_format(&identity, &buf);
	HOLDS(!buf.overflow && identity_parse(buf_slice(&buf), &again, &err) == 0);
	HOLDS(strcmp(identity.cluster_id, again.cluster_id) == 0 &&
	      identity.node_id == again.node_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct slice) = {try_epochs, try_snapshot, try_checkpoint,
						      try_identity};
	uint64_t kind = take_number(data, &size, 1) % ARRAY_SIZE(kinds);
	char *copy = heap_copy(data, size);

	kinds[kind](slice_make(copy, size));
	free(copy);
	return 0;
}
