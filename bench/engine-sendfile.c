/*
 * The engine against floor-sendfile, through the public header only. `transfer` is one
 * leat_transfer() a file over a blocking socket; `chain` is one chain for the connection, to which
 * the file is added again each time, stepped without blocking, poll(2) where the chain says that it
 * waits.
 */
#include <errno.h>
#include <string.h>

#include <leat/leat.h>

#include "sender.h"

static struct leat_engine *engine;
static struct leat_chain *chain;

static void check(int64_t result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
	die_text("the engine failed");
}

static void send_transfer(int socket, int file, size_t size)
{
	check(leat_transfer(file, 0, socket, size, NULL, NULL), "leat_transfer");
}

static void open_chain(int socket)
{
	check(leat_engine_new(&engine), "leat_engine_new");
	check(leat_chain_new(engine, socket, NULL, &chain), "leat_chain_new");
}

static void serve(int step)
{
	struct leat_wait wait = LEAT_WAIT_INIT;
	struct leat_load load = LEAT_LOAD_INIT;

	switch (step) {
	case LEAT_WANT_READ:
	case LEAT_WANT_WRITE:
	case LEAT_WANT_COMPLETION:
		leat_chain_wait(chain, &wait);
		wait_for(wait.fd, wait.events);
		break;
	case LEAT_WANT_LOAD:
		leat_chain_load(chain, &load);
		check(leat_load_run(&load), "leat_load_run");
		break;
	default: /* LEAT_MORE: nobody else has a turn here */
		check(step, "leat_chain_step");
	}
}

static void send_chain(int socket, int file, size_t size)
{
	int step;

	(void)socket;
	check(leat_chain_add_file(chain, file, 0, size, NULL, NULL), "leat_chain_add_file");
	while ((step = leat_chain_step(chain, 0)) != LEAT_DONE)
		serve(step);
}

static void close_chain(void)
{
	leat_chain_free(chain);
	leat_engine_free(engine);
}

const struct sender_mode engine_modes[] = {
    {.name = "transfer", .send_file = send_transfer},
    {.name = "chain",
     .nonblocking = true,
     .open = open_chain,
     .close = close_chain,
     .send_file = send_chain},
    {.name = NULL},
};
