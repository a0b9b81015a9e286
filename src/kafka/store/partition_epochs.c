/*
 * A partition's leader epochs: which there were, and when a new one begins.
 *
 * Consumers remember in which epoch the record was that they read last, and ask where that epoch
 * ended. If it ended before their offset, what they read is gone, and other records stand there now.
 * So whenever records that somebody may have seen can be missing, a new epoch begins at the log's end:
 * after a start that was not clean, after a cut, where the folder was made anew, and where the store
 * may be an older copy of itself. No epoch is used for two different things: the number is on disk
 * before the first batch has it (partition->epoch_error keeps appends away until then), and it is
 * above every one that the file or a batch has named, also where those batches are cut.
 *
 * leader-epoch-checkpoint only says what the batches say too, except for epochs without a batch. If
 * it can't be used, the batches are asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"

#define EPOCHS_BYTES_MAX (1u << 24)

static bool has_bytes(const struct partition *partition)
{
	for (uint32_t i = 0; i < partition->segment_count; i++)
		if (partition->segments[i]->size > 0)
			return true;
	return false;
}

int partition_load_epochs(struct partition *partition, struct load *load)
{
	const char *dir = partition->topic->store->dir;
	char path[SEGMENT_PATH_MAX], *text;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", partition->folder);
	r = files_read(partition->topic->store->fd, path, EPOCHS_BYTES_MAX, &text, &len);
	if (r == 0) {
		r = epochs_parse(&partition->epochs, slice_make(text, len));
		free(text);
	}
	load->epochs_lost = r == -ENOENT && has_bytes(partition);
	if (r == 0 || r == -ENOENT)
		return 0;
	if (r == -EBADMSG)
		log_warning("%s/%s is damaged: it is made anew from the batches", dir, path);
	else if (r == -EPROTONOSUPPORT)
		log_warning("%s/%s is of a version that this program does not know: it is made "
			    "anew from the batches",
			    dir, path);
	else if (r == -EFBIG)
		log_warning("%s/%s is larger than any such file: it is made anew from the batches",
			    dir, path);
	else
		return r;
	load->epochs_lost = true;
	return 0;
}

int partition_learn_epoch(struct partition *partition, const struct record_batch *batch)
{
	int r = epochs_reserve(&partition->epochs);

	if (r < 0)
		return r;
	/* An earlier start has begun a later epoch here, where the log ended then. But its cut was not
	 * on the disk when the power went, and the batches have come back. Those that follow say what
	 * else there is, and the number is not used again. */
	if (batch->leader_epoch >= 0 &&
	    epochs_of(&partition->epochs, batch->base_offset) > batch->leader_epoch) {
		partition->leader_epoch =
		    (int32_t)max_i64(partition->leader_epoch, epochs_latest(&partition->epochs));
		epochs_cut_later(&partition->epochs, batch->leader_epoch);
	}
	epochs_assign(&partition->epochs, batch->leader_epoch, batch->base_offset);
	return 0;
}

int partition_settle_epochs(struct partition *partition, const struct load *load)
{
	/* Kafka's metadata may know of a later one, in which nothing was written. */
	int32_t latest =
	    (int32_t)max_i64(max_i64(epochs_latest(&partition->epochs), partition->leader_epoch),
			     0);
	int r;

	epochs_cut_end(&partition->epochs, partition->log_end);
	epochs_cut_start(&partition->epochs, partition->log_start);
	partition->leader_epoch = latest;
	if (load->clean && !load->begins_epochs && !load->epochs_lost && !partition->was_cut)
		return 0;
	r = epochs_reserve(&partition->epochs);
	if (r == 0 && latest < INT32_MAX)
		partition_begin_epoch(partition, latest + 1);
	return r;
}

void partition_begin_epoch(struct partition *partition, int32_t epoch)
{
	CHECK(epoch > partition->leader_epoch);
	partition->leader_epoch = epoch;
	epochs_assign(&partition->epochs, epoch, partition->log_end);
	partition->epoch_error = -EAGAIN;
}

int32_t partition_start_epoch(struct partition *partition)
{
	int32_t epoch;

	pthread_mutex_lock(&partition->lock);
	epoch = epochs_of(&partition->epochs, partition->log_start);
	pthread_mutex_unlock(&partition->lock);
	return epoch;
}

enum kafka_error partition_set_leader_epoch(struct partition *partition, int32_t epoch)
{
	enum kafka_error error;

	pthread_mutex_lock(&partition->lock);
	error = partition_check(partition);
	if (error == KAFKA_NONE && epoch < partition->leader_epoch)
		error = KAFKA_FENCED_LEADER_EPOCH;
	if (error == KAFKA_NONE && epoch > partition->leader_epoch) {
		if (epochs_reserve(&partition->epochs) == 0)
			partition_begin_epoch(partition, epoch);
		else
			error = KAFKA_KAFKA_STORAGE_ERROR;
	}
	pthread_mutex_unlock(&partition->lock);
	if (error == KAFKA_NONE && partition_keep_epoch(partition, NULL) < 0)
		error = KAFKA_KAFKA_STORAGE_ERROR;
	return error;
}
