/*
 * What the engine's own work costs per transfer, without the kernel's: the policy's decision, the
 * ledger, and the whole way of one memory segment through a chain (add, policy, gather, write,
 * ledger, release, publish) less the raw write(2) that it makes. /dev/null is the sink: its write
 * does nothing, so that the difference is ours.
 *
 * Rounds of all parts are interleaved, and the median of each is told (of the last also the
 * difference of the best rounds: a busy machine makes everything slower). Target: under 100 ns.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/chain.h"
#include "engine/engine.h"
#include "micro.h"
#include "sys/sys.h"

#define ROUNDS 41
#define LOOPS  20000

enum part { POLICY, LEDGER, RAW, CHAIN, PARTS };

static const char bytes[200];
static int null;

/* Keeps the compiler from knowing what is in memory. */
static void hide(const void *pointer)
{
	__asm__ volatile("" : : "r"(pointer) : "memory");
}

static void run_policy(void)
{
	struct policy_input input = {.source = SOURCE_FILE,
				     .sink = SINK_TCP,
				     .length = 1 << 20,
				     .limits = &policy_default_limits};

	for (int i = 0; i < LOOPS; i++) {
		struct policy_choice choice;

		hide(&input);
		choice = policy_choose(&input);
		hide(&choice);
	}
}

static void run_ledger(void)
{
	struct leat_ledger totals = {0}, now = {0}, published = {0};

	for (int i = 0; i < LOOPS; i++) {
		ledger_account(&now, COLUMN_COPIED, 200);
		now.syscalls++;
		now.transfers++;
		ledger_publish(&totals, &now, &published);
		published = now;
		hide(&totals);
	}
}

static void run_raw(void)
{
	for (int i = 0; i < LOOPS; i++)
		if (sys_write(null, bytes, sizeof(bytes)) != sizeof(bytes))
			abort();
}

static void run_chain(struct leat_chain *chain)
{
	for (int i = 0; i < LOOPS; i++)
		if (leat_chain_add_memory(chain, bytes, sizeof(bytes), NULL, NULL) != 0 ||
		    leat_chain_step(chain, 0) != LEAT_DONE)
			abort();
}

static double run(enum part part, struct leat_chain *chain)
{
	uint64_t start = sys_thread_cpu_ns();

	switch (part) {
	case POLICY:
		run_policy();
		break;
	case LEDGER:
		run_ledger();
		break;
	case RAW:
		run_raw();
		break;
	case CHAIN:
		run_chain(chain);
		break;
	case PARTS:
		break;
	}
	return (double)(sys_thread_cpu_ns() - start) / LOOPS;
}

int main(void)
{
	static double ns[PARTS][ROUNDS], difference[ROUNDS];
	struct leat_engine *engine;
	struct leat_chain *chain;

	signal(SIGPIPE, SIG_IGN);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0 || leat_engine_new(&engine) < 0 ||
	    leat_chain_new(engine, null, NULL, &chain) < 0)
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		for (int part = 0; part < PARTS; part++)
			ns[part][round] = run((enum part)part, chain);
		difference[round] = ns[CHAIN][round] - ns[RAW][round];
	}
	for (int part = 0; part < PARTS; part++)
		qsort(ns[part], ROUNDS, sizeof(double), micro_by_value);
	qsort(difference, ROUNDS, sizeof(double), micro_by_value);
	printf("policy                 %6.1f ns a decision\n", ns[POLICY][ROUNDS / 2]);
	printf("ledger                 %6.1f ns an account and a publishing\n",
	       ns[LEDGER][ROUNDS / 2]);
	printf("policy and ledger      %6.1f ns a transfer\n",
	       ns[POLICY][ROUNDS / 2] + ns[LEDGER][ROUNDS / 2]);
	printf("write(2) to /dev/null  %6.1f ns\n", ns[RAW][ROUNDS / 2]);
	printf("the same by a chain    %6.1f ns\n", ns[CHAIN][ROUNDS / 2]);
	printf("the engine's share     %6.1f ns a transfer, at best %.1f\n", difference[ROUNDS / 2],
	       ns[CHAIN][0] - ns[RAW][0]);
	leat_chain_free(chain);
	leat_engine_free(engine);
	close(null);
	return 0;
}
