/*
 * The sending process: a program that uses libleat as any other, with a technique forced.
 *
 * One chain serves an order, so that what is measured is the transfers and not the making of
 * engines; tee has no chains and is a leat_transfer() with /dev/null as its second sink.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lab/channel.h"
#include "lab/link.h"
#include "lab/proof.h"
#include "lab/worker.h"
#include "sys/sys.h"

struct sender {
	struct lab_link link;
	int socket; /* -1: no transport yet */
	int null;
};

static void fail(struct answer *answer, int error, const char *text)
{
	answer->error = error;
	snprintf(answer->text, sizeof(answer->text), "%s",
		 text && text[0] ? text : strerrordesc_np(-error));
}

/* ---- transfers ---- */

/* Steps the chain to its end, waiting where it wants to: 0 or -errno. */
static int run_chain(struct leat_chain *chain)
{
	for (;;) {
		int step = leat_chain_step(chain, 0);
		struct leat_wait wait = LEAT_WAIT_INIT;
		struct pollfd fd;

		if (step < 0)
			return step;
		if (step == LEAT_DONE)
			return 0;
		if (step == LEAT_MORE)
			continue;
		if (step == LEAT_WANT_LOAD) {
			struct leat_load load = LEAT_LOAD_INIT;

			leat_chain_load(chain, &load);
			step = leat_load_run(&load);
			if (step < 0)
				return step;
			continue;
		}
		leat_chain_wait(chain, &wait);
		fd = (struct pollfd){.fd = wait.fd, .events = wait.events};
		sys_poll(&fd, 1, -1);
	}
}

static void drop_pages(const struct order *order)
{
	if (order->drop)
		sys_fadvise(order->file, 0, 0, POSIX_FADV_DONTNEED);
}

static int send_by_chain(struct leat_chain *chain, const struct order *order)
{
	static const char header[ORDER_CROSS_HEADER];
	int r = 0;

	for (uint32_t i = 0; i < order->count && r == 0; i++) {
		drop_pages(order);
		if (order->kind == ORDER_CROSS)
			r = leat_chain_add_memory(chain, header, sizeof(header), NULL, NULL);
		if (r == 0)
			r = leat_chain_add_file(chain, order->file, 0, order->size, NULL, NULL);
		if (r == 0)
			r = run_chain(chain);
	}
	return r;
}

static void send_chained(const struct sender *sender, const struct order *order,
			 struct answer *answer)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	struct leat_engine *engine;
	struct leat_chain *chain;
	int r;

	options.technique = order->technique;
	options.flags = LEAT_MAY_BLOCK | LEAT_MAY_LOAD;
	if (order->kind == ORDER_CROSS) {
		struct leat_thresholds thresholds = {.size = sizeof(thresholds)};

		leat_thresholds_get(&thresholds);
		thresholds.copy_below = order->copy_below;
		leat_thresholds_set(&thresholds);
		options.flags =
		    LEAT_MAY_BLOCK; /* as a server: it asks whether the range is there */
	}
	r = leat_engine_new(&engine);
	if (r < 0) {
		fail(answer, r, NULL);
		return;
	}
	r = leat_chain_new(engine, sender->socket, &options, &chain);
	if (r == 0) {
		usage_begin(&answer->usage);
		r = send_by_chain(chain, order);
		usage_end(&answer->usage);
		leat_chain_report(chain, &report);
		leat_chain_free(chain);
	}
	leat_engine_free(engine);
	answer->ledger = report.ledger;
	if (r < 0)
		fail(answer, r, report.error);
}

static void add_ledger(struct leat_ledger *to, const struct leat_ledger *from)
{
	to->bytes += from->bytes;
	to->bytes_by_reference += from->bytes_by_reference;
	to->bytes_copied += from->bytes_copied;
	to->bytes_copied_later += from->bytes_copied_later;
	to->bytes_unknown += from->bytes_unknown;
	to->syscalls += from->syscalls;
}

static void send_teed(const struct sender *sender, const struct order *order, struct answer *answer)
{
	struct leat_options options = LEAT_OPTIONS_INIT;

	options.technique = LEAT_TEE;
	options.mirrors = &sender->null;
	options.mirror_count = 1;
	usage_begin(&answer->usage);
	for (uint32_t i = 0; i < order->count; i++) {
		struct leat_report report = LEAT_REPORT_INIT;
		int64_t n;

		drop_pages(order);
		n = leat_transfer(order->file, 0, sender->socket, order->size, &options, &report);
		add_ledger(&answer->ledger, &report.ledger);
		if (n < 0) {
			fail(answer, (int)n, report.error);
			return;
		}
	}
	usage_end(&answer->usage);
}

/* ---- orders ---- */

/* The receiver's end, for the lab to pass on; -1 after an error. */
static int open_link(struct sender *sender, const struct order *order, struct answer *answer)
{
	struct err err;
	int ends[2];
	int r = link_open(&sender->link, order->transport, &err);

	if (r == 0)
		r = link_pair(&sender->link, ends, &err);
	if (r < 0) {
		fail(answer, r, err.text);
		return -1;
	}
	sender->socket = ends[0];
	return ends[1];
}

static void prove(const struct sender *sender, const struct order *order, struct answer *answer)
{
	struct err err;
	int ends[2];
	int r = link_pair(&sender->link, ends, &err);

	if (r < 0) {
		fail(answer, r, err.text);
		return;
	}
	r = proof_run(order->technique, ends, sender->null, &answer->proof, &err);
	if (r < 0)
		fail(answer, r, err.text);
	sys_close(ends[0]);
	sys_close(ends[1]);
}

static int obey(struct sender *sender, const struct order *order, struct answer *answer)
{
	switch (order->kind) {
	case ORDER_OPEN:
		return open_link(sender, order, answer);
	case ORDER_PROVE:
		prove(sender, order, answer);
		break;
	case ORDER_SEND:
	case ORDER_CROSS:
		if (order->technique == LEAT_TEE)
			send_teed(sender, order, answer);
		else
			send_chained(sender, order, answer);
		break;
	case ORDER_TAKE:
		break;
	}
	return -1;
}

void sender_main(int channel)
{
	struct sender sender = {.socket = -1, .null = sys_open("/dev/null", O_WRONLY, 0)};
	struct order order = {.kind = ORDER_OPEN};

	while (channel_receive(channel, &order, sizeof(order), NULL) > 0) {
		struct answer answer = {0};
		int pass = obey(&sender, &order, &answer);
		int r = channel_send(channel, &answer, sizeof(answer), pass);

		if (pass >= 0)
			sys_close(pass);
		if (r < 0)
			break;
	}
}
