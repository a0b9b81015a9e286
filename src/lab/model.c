#include "lab/model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct lab_metric_info lab_metrics[METRIC_COUNT] = {
    [METRIC_SYSCALLS] = {"syscalls_per_mib", "calls",
			 "system calls that move bytes or wait for them, per MiB", 1},
    [METRIC_SWITCHES] = {"mode_switches_per_mib", "switches",
			 "switches between user and kernel mode, two a call, per MiB", 1},
    [METRIC_CONTEXT_SWITCHES] = {"context_switches_per_mib", "context",
				 "times the sender gave up its CPU or lost it, per MiB", 1},
    [METRIC_FAULTS] = {"page_faults_per_mib", "faults", "page faults of the sender, per MiB", 1},
    [METRIC_COPIES] = {"sender_copies_per_byte", "copies",
		       "copies by the CPU at the sender, per byte delivered", 2},
    [METRIC_USER_COPIES] = {"sender_user_copies_per_byte", "user",
			    "of these, between user memory and the kernel", 2},
    [METRIC_KERNEL_COPIES] = {"sender_kernel_copies_per_byte", "kernel",
			      "of these, inside the kernel, after the call", 2},
    [METRIC_RECEIVER_COPIES] = {"receiver_copies_per_byte", "receiver",
				"copies by the CPU at the receiver, per byte delivered", 2},
    [METRIC_BY_REFERENCE] = {"by_reference_per_byte", "by ref.",
			     "bytes that arrived without any copy at the sender", 2},
    [METRIC_SENDER_CPU] = {"sender_cpu_s_per_gb", "CPU",
			   "CPU seconds of the sending process per GB", 3},
    [METRIC_RECEIVER_CPU] = {"receiver_cpu_s_per_gb", "recv CPU",
			     "CPU seconds of the receiving process per GB", 3},
    [METRIC_BOTH_CPU] = {"cpu_s_per_gb", "both CPU", "CPU seconds of both processes per GB", 3},
    [METRIC_RATE] = {"gb_per_s", "GB/s", "from the first call to the last byte at the receiver", 2},
    [METRIC_DISK_DMA] = {"disk_dma_per_byte", "disk DMA",
			 "bytes that the disk wrote into the page cache, per byte delivered", 2},
};

static const struct {
	const char *name, *title;
} transports[TRANSPORT_COUNT] = {
    [TRANSPORT_TCP] = {"tcp", "TCP over loopback"},
    [TRANSPORT_UNIX] = {"unix", "UNIX socket"},
    [TRANSPORT_VETH] = {"veth", "TCP over a veth pair"},
    [TRANSPORT_VETH_GSO_OFF] = {"veth-gso-off", "TCP over a veth pair, segmentation offload off"},
    [TRANSPORT_VETH_SG_OFF] = {"veth-sg-off", "TCP over a veth pair, scatter-gather off"},
};

static const char *const sources[LAB_SOURCE_COUNT] = {
    [LAB_CACHED] = "cached", [LAB_COLD] = "cold",   [LAB_EXT4] = "ext4",       [LAB_XFS] = "xfs",
    [LAB_BTRFS] = "btrfs",   [LAB_TMPFS] = "tmpfs", [LAB_OVERLAY] = "overlay",
};

const char *lab_transport_name(enum lab_transport transport)
{
	return transports[transport].name;
}

const char *lab_transport_title(enum lab_transport transport)
{
	return transports[transport].title;
}

int lab_transport_parse(const char *name, enum lab_transport *ret)
{
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		if (strcmp(transports[i].name, name) == 0) {
			*ret = (enum lab_transport)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *lab_source_name(enum lab_source source)
{
	return sources[source];
}

int lab_source_parse(const char *name, enum lab_source *ret)
{
	for (unsigned i = 0; i < LAB_SOURCE_COUNT; i++) {
		if (strcmp(sources[i], name) == 0) {
			*ret = (enum lab_source)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *lab_proof_name(enum lab_proof proof)
{
	static const char *const names[] = {
	    [PROOF_NOT_RUN] = "not-run",
	    [PROOF_BY_REFERENCE] = "by-reference",
	    [PROOF_COPIED] = "copied",
	    [PROOF_MIXED] = "mixed",
	};

	return names[proof];
}

const char *lab_counter_name(enum lab_counter counter)
{
	return counter == COUNTED_BY_COPYSTAT ? "copystat" : "engine";
}

void lab_result_free(struct lab_result *result)
{
	free(result->rows);
}

struct lab_row *lab_result_add(struct lab_result *result)
{
	if (result->row_count == result->row_room) {
		size_t room = result->row_room ? result->row_room * 2 : 64;
		struct lab_row *rows = reallocarray(result->rows, room, sizeof(*rows));

		if (!rows)
			return NULL;
		result->rows = rows;
		result->row_room = room;
	}
	struct lab_row *row = &result->rows[result->row_count++];

	memset(row, 0, sizeof(*row));
	return row;
}

void lab_result_note(struct lab_result *result, const char *fmt, ...)
{
	struct lab_note note = {{0}};
	va_list args;

	va_start(args, fmt);
	vsnprintf(note.text, sizeof(note.text), fmt, args);
	va_end(args);
	for (size_t i = 0; i < result->note_count; i++)
		if (strcmp(result->notes[i].text, note.text) == 0)
			return;
	if (result->note_count < ARRAY_SIZE(result->notes))
		result->notes[result->note_count++] = note;
}

const struct lab_row *lab_result_find(const struct lab_result *result,
				      enum leat_technique technique, enum lab_transport transport,
				      enum lab_source source, uint64_t size)
{
	const struct lab_row *found = NULL;

	for (size_t i = 0; i < result->row_count; i++) {
		const struct lab_row *row = &result->rows[i];

		if (row->technique != technique || row->transport != transport ||
		    row->source != source || (size != 0 && row->size != size))
			continue;
		if (!found || row->size > found->size)
			found = row;
	}
	return found;
}
