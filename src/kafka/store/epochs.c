#include "kafka/store/epochs.h"

#include <errno.h>
#include <stdlib.h>

#include "kafka/store/checkpoint.h"

void epochs_fini(struct epochs *epochs)
{
	free(epochs->entries);
	*epochs = (struct epochs){.entries = NULL};
}

int epochs_reserve(struct epochs *epochs)
{
	uint32_t capacity = epochs->capacity ? 2 * epochs->capacity : 1;
	struct epoch_entry *larger;

	if (epochs->count < epochs->capacity)
		return 0;
	larger = realloc(epochs->entries, capacity * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	epochs->entries = larger;
	epochs->capacity = capacity;
	return 0;
}

int32_t epochs_latest(const struct epochs *epochs)
{
	return epochs->count > 0 ? epochs->entries[epochs->count - 1].epoch : -1;
}

void epochs_assign(struct epochs *epochs, int32_t epoch, int64_t offset)
{
	if (epoch <= epochs_latest(epochs))
		return;
	/* An epoch that wrote nothing leaves no trace. */
	while (epochs->count > 0 && epochs->entries[epochs->count - 1].start >= offset)
		epochs->count--;
	CHECK(epochs->count < epochs->capacity);
	epochs->entries[epochs->count++] = (struct epoch_entry){.start = offset, .epoch = epoch};
	epochs->dirty = true;
}

void epochs_cut_end(struct epochs *epochs, int64_t end)
{
	/* One that begins just there stays: an epoch does not go back because all that was written
	 * in it is gone. */
	while (epochs->count > 0 && epochs->entries[epochs->count - 1].start > end) {
		epochs->count--;
		epochs->dirty = true;
	}
}

void epochs_cut_later(struct epochs *epochs, int32_t epoch)
{
	while (epochs_latest(epochs) > epoch) {
		epochs->count--;
		epochs->dirty = true;
	}
}

void epochs_cut_start(struct epochs *epochs, int64_t start)
{
	uint32_t gone = 0;

	while (gone + 1 < epochs->count && epochs->entries[gone + 1].start <= start)
		gone++;
	if (gone > 0) {
		epochs->count -= gone;
		memmove(epochs->entries, epochs->entries + gone,
			epochs->count * sizeof(*epochs->entries));
		epochs->dirty = true;
	}
	if (epochs->count > 0 && epochs->entries[0].start < start) {
		epochs->entries[0].start = start;
		epochs->dirty = true;
	}
}

void epochs_end_of(const struct epochs *epochs, int32_t epoch, int64_t log_end, int32_t *ret_epoch,
		   int64_t *ret_end)
{
	uint32_t at = epochs->count;

	while (at > 0 && epochs->entries[at - 1].epoch > epoch)
		at--;
	/* One from before all that are known ended, at the latest, where these begin. */
	*ret_epoch = at > 0 ? epochs->entries[at - 1].epoch : epoch;
	*ret_end = at == epochs->count ? log_end : epochs->entries[at].start;
	/* A newer epoch than any: the leader knows nothing of it. */
	if (epoch < 0 || epoch > epochs_latest(epochs)) {
		*ret_epoch = -1;
		*ret_end = -1;
	}
}

int32_t epochs_of(const struct epochs *epochs, int64_t offset)
{
	uint32_t at = epochs->count;

	while (at > 0 && epochs->entries[at - 1].start > offset)
		at--;
	return at > 0 ? epochs->entries[at - 1].epoch : -1;
}

void epochs_format(const struct epochs *epochs, struct buf *buf)
{
	checkpoint_begin(buf, epochs->count);
	for (uint32_t i = 0; i < epochs->count; i++)
		buf_printf(buf, "%d %lld\n", epochs->entries[i].epoch,
			   (long long)epochs->entries[i].start);
}

static int parse_entry(struct slice line, struct epoch_entry *ret)
{
	struct slice word;
	int64_t epoch;

	if (!checkpoint_word(&line, &word) || checkpoint_number(word, &epoch) < 0 || epoch < 0 ||
	    epoch > INT32_MAX || !checkpoint_word(&line, &word) ||
	    checkpoint_number(word, &ret->start) < 0 || ret->start < 0 || line.len > 0)
		return -EBADMSG;
	ret->epoch = (int32_t)epoch;
	return 0;
}

int epochs_parse(struct epochs *epochs, struct slice text)
{
	struct checkpoint_reader reader;
	struct epoch_entry entry;
	struct slice line;
	int r = checkpoint_open(text, &reader);

	epochs_fini(epochs);
	while (r == 0 && checkpoint_line(&reader, &line)) {
		r = parse_entry(line, &entry);
		if (r == 0)
			r = epochs_reserve(epochs);
		if (r == 0)
			epochs_assign(epochs, entry.epoch, entry.start);
	}
	if (r == 0)
		r = checkpoint_end(&reader);
	if (r < 0)
		epochs_fini(epochs);
	epochs->dirty = false;
	return r;
}
