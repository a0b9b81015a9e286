/*
 * What the lab measures and what it found: plain data, the names of everything, and nothing else.
 * The table of metrics stands in model.c; the JSON, the tables and the page are made from it.
 *
 * Pure. One thread.
 */
#ifndef LAB_MODEL_H
#define LAB_MODEL_H

#include "base/check.h"
#include "base/err.h"
#include "leat/leat.h"

#define LAB_GB  1e9
#define LAB_MIB 1048576.0

enum lab_transport {
	TRANSPORT_TCP,          /* loopback */
	TRANSPORT_UNIX,         /* a socket pair */
	TRANSPORT_VETH,         /* a veth pair between two network namespaces */
	TRANSPORT_VETH_GSO_OFF, /* the same, its segments cut before they are sent: the control that
				   differs from the next in scatter-gather alone */
	TRANSPORT_VETH_SG_OFF,  /* the same without scatter-gather: the kernel copies everything */
	TRANSPORT_COUNT,
};

enum lab_source {
	LAB_CACHED, /* a file in the page cache, on the current file system */
	LAB_COLD,   /* the same, dropped from the page cache before each transfer */
	LAB_EXT4,   /* made for the lab, in the page cache */
	LAB_XFS,
	LAB_BTRFS,
	LAB_TMPFS,
	LAB_OVERLAY,
	LAB_SOURCE_COUNT,
};

/* In the order of the reports. */
enum lab_metric {
	METRIC_SYSCALLS,
	METRIC_SWITCHES,
	METRIC_CONTEXT_SWITCHES,
	METRIC_FAULTS,
	METRIC_COPIES, /* at the sender: the sum of the next two */
	METRIC_USER_COPIES,
	METRIC_KERNEL_COPIES,
	METRIC_RECEIVER_COPIES,
	METRIC_BY_REFERENCE,
	METRIC_SENDER_CPU,
	METRIC_RECEIVER_CPU,
	METRIC_BOTH_CPU, /* of both processes: the kernel does the one's work in the other's time */
	METRIC_RATE,
	METRIC_DISK_DMA,
	METRIC_COUNT,
};

struct lab_metric_info {
	const char *name; /* in the JSON */
	const char *head; /* of a column: a word or two */
	const char *what; /* a line that explains it */
	int digits;       /* after the point */
};
extern const struct lab_metric_info lab_metrics[METRIC_COUNT];

/* The median of the rounds and their middle half; all NAN: not measured. */
struct lab_figure {
	double median, low, high;
};

enum lab_proof {
	PROOF_NOT_RUN,
	PROOF_BY_REFERENCE, /* the peer got what the file held after it was sent */
	PROOF_COPIED,       /* the peer got what the file held when it was sent */
	PROOF_MIXED,
};

/* Who counted the copies. */
enum lab_counter { COUNTED_BY_ENGINE, COUNTED_BY_COPYSTAT };

struct lab_row {
	enum leat_technique technique;
	enum lab_transport transport;
	enum lab_source source;
	uint64_t size;      /* of one transfer */
	uint32_t transfers; /* in a round */
	uint32_t rounds;
	enum lab_proof proof;
	enum lab_counter counter;
	struct lab_figure figures[METRIC_COUNT];
};

/* What was not measured, why, and how to get it: one line. */
struct lab_note {
	char text[256];
};

/* One answer with a header and a file of this size, by either way: CPU time of the sender. */
struct lab_crossover_point {
	uint64_t size;
	struct lab_figure copy_us, sendfile_us;
};
#define LAB_CROSSOVER_POINTS 10

struct lab_crossover {
	bool measured;
	uint64_t copy_below; /* from this size on sendfile costs less */
	unsigned count;
	struct lab_crossover_point points[LAB_CROSSOVER_POINTS];
};

struct lab_result {
	char kernel[65];
	char machine[160];
	char capabilities[256];
	bool quick, interrupted;
	double seconds;
	struct lab_row *rows;
	size_t row_count, row_room;
	struct lab_note notes[32];
	size_t note_count;
	struct lab_crossover crossover;
};

void lab_result_free(struct lab_result *result);
/* A zeroed row at the end; NULL when there is no memory. */
struct lab_row *lab_result_add(struct lab_result *result);
/* The same line is kept once; what has no room is dropped. */
void lab_result_note(struct lab_result *result, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* NULL when there is none. `size` 0: the largest. */
const struct lab_row *lab_result_find(const struct lab_result *result,
				      enum leat_technique technique, enum lab_transport transport,
				      enum lab_source source, uint64_t size);

/* "tcp", "unix", "veth", "veth-gso-off", "veth-sg-off". */
const char *lab_transport_name(enum lab_transport transport);
/* For people: "TCP over loopback". */
const char *lab_transport_title(enum lab_transport transport);
int lab_transport_parse(const char *name, enum lab_transport *ret);
const char *lab_source_name(enum lab_source source);
int lab_source_parse(const char *name, enum lab_source *ret);
/* "by-reference", "copied", "mixed", "not-run". */
const char *lab_proof_name(enum lab_proof proof);
/* "copystat", "engine". */
const char *lab_counter_name(enum lab_counter counter);

/* What can move a file to a socket: bit (1u << technique). */
#define LAB_TECHNIQUES                                                                 \
	(1u << LEAT_COPY | 1u << LEAT_MMAP | 1u << LEAT_SENDFILE | 1u << LEAT_SPLICE | \
	 1u << LEAT_TEE | 1u << LEAT_VMSPLICE | 1u << LEAT_ZEROCOPY | 1u << LEAT_URING)

#endif
