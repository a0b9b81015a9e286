/*
 * The two worker processes of a transport: one sends, one receives, so that CPU time, faults,
 * switches and copies are each one's own. They wait for orders on a channel, one at a time, and end
 * when it closes; the kernel ends them when the lab goes (PR_SET_PDEATHSIG).
 *
 * The sending process owns the transport (link.h), and uses the public header like any program.
 */
#ifndef LAB_WORKER_H
#define LAB_WORKER_H

#include <sys/types.h>

#include "lab/model.h"

enum order_kind {
	ORDER_OPEN,  /* the sender: make the transport, hand over the receiver's end */
	ORDER_PROVE, /* the sender: the mutation proof of one technique */
	ORDER_SEND,  /* the sender: `count` transfers of `size` bytes of `file` */
	ORDER_CROSS, /* the sender: the same, each with a header before it, see crossover.h */
	ORDER_TAKE,  /* the receiver: `bytes`, on the descriptor that came along, if one did */
};

#define ORDER_CROSS_HEADER 200 /* bytes: about what a small HTTP answer has */

struct order {
	enum order_kind kind;
	enum leat_technique technique;
	enum lab_transport transport;
	int file;
	bool drop; /* the file's pages leave the page cache before each transfer */
	uint64_t size;
	uint32_t count;
	uint64_t bytes;
	uint32_t copy_below; /* ORDER_CROSS */
};

/* Of one order: what it took. */
struct usage {
	uint64_t cpu_ns, start_ns, end_ns; /* CLOCK_MONOTONIC, the same in all processes */
	uint64_t faults, switches;
	uint64_t disk_bytes; /* read from a device */
};

struct answer {
	int error; /* 0 or -errno, then with text */
	char text[ERR_TEXT_MAX];
	struct usage usage;
	struct leat_ledger ledger; /* the sender's */
	enum lab_proof proof;
	uint64_t calls; /* the receiver's recv(2) */
};

struct worker {
	int pid; /* 0: there is none */
	int channel;
};

/* Called in the child; serves orders until the channel closes. */
typedef void (*worker_main)(int channel);

int worker_start(struct worker *worker, worker_main main, struct err *err);
/* Kills it if it still runs. */
void worker_end(struct worker *worker);

void sender_main(int channel);
void receiver_main(int channel);

/* Between two of these lies what an order took. */
void usage_begin(struct usage *usage);
void usage_end(struct usage *usage);

#endif
