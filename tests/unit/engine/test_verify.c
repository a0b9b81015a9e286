/*
 * chain_verify(): each invariant that chain.h and mirror.h state, broken once, stops the program.
 */
#include "support.h"

#include <sys/wait.h>

#include "engine/mirror.h"

struct broken {
	struct leat_engine engine;
	struct leat_chain chain;
	int ends[2], mirror[2];
};

static void columns_do_not_sum(struct broken *b)
{
	b->chain.ledger.bytes_copied++;
}

static void ring_is_overfull(struct broken *b)
{
	b->chain.count = b->chain.capacity + 1;
}

static void buffer_ends_before_it_begins(struct broken *b)
{
	b->chain.bounce.start = b->chain.bounce.end + 1;
}

static void bytes_are_held_in_no_buffer(struct broken *b)
{
	chain_segment(&b->chain, 0)->taken = b->chain.bounce.end = 10;
}

static void bytes_are_held_in_no_pipe(struct broken *b)
{
	chain_segment(&b->chain, 0)->taken = b->chain.piped = 10;
}

static void more_was_shared_than_is_in_the_pipe(struct broken *b)
{
	b->chain.teed = 1;
}

static void a_descriptor_has_refused_bytes(struct broken *b)
{
	b->chain.refused = 1;
}

static void taken_bytes_are_nowhere(struct broken *b)
{
	chain_segment(&b->chain, 0)->taken = 1;
}

static void more_was_sent_than_there_is(struct broken *b)
{
	struct segment *head = chain_segment(&b->chain, 0);

	head->taken = head->sent = head->length + 1;
}

static void the_second_segment_has_begun(struct broken *b)
{
	chain_segment(&b->chain, 1)->taken = 1;
}

static void a_dropped_mirror_holds_bytes(struct broken *b)
{
	assert_int_equal(mirror_take_pipe(&b->chain, &b->chain.mirrors[0]), 0);
	b->chain.mirrors[0].piped = 1;
	b->chain.mirrors[0].error = -EAGAIN;
}

static void a_mirror_holds_bytes_in_no_pipe(struct broken *b)
{
	b->chain.mirrors[0].piped = 1;
}

static void a_mirror_waits_for_bytes_that_are_not_there(struct broken *b)
{
	b->chain.mirrors[0].unwritten = 1;
}

static void a_mirrors_columns_do_not_sum(struct broken *b)
{
	b->chain.mirrors[0].ledger.bytes = 1;
}

static void (*const breaks[])(struct broken *b) = {
    columns_do_not_sum,
    ring_is_overfull,
    buffer_ends_before_it_begins,
    bytes_are_held_in_no_buffer,
    bytes_are_held_in_no_pipe,
    more_was_shared_than_is_in_the_pipe,
    a_descriptor_has_refused_bytes,
    taken_bytes_are_nowhere,
    more_was_sent_than_there_is,
    the_second_segment_has_begun,
    a_dropped_mirror_holds_bytes,
    a_mirror_holds_bytes_in_no_pipe,
    a_mirror_waits_for_bytes_that_are_not_there,
    a_mirrors_columns_do_not_sum,
};

static void open_whole(struct broken *b)
{
	unix_pair(b->ends);
	unix_pair(b->mirror);
	engine_init(&b->engine);
	chain_init(&b->chain, &b->engine,
		   &(struct chain_sink){.fd = b->ends[0], .kind = SINK_UNIX});
	assert_int_equal(leat_chain_add_mirror(&b->chain, b->mirror[0], LEAT_MIRROR_DROP), 0);
	assert_int_equal(leat_chain_add_memory(&b->chain, "first", 5, NULL, NULL), 0);
	assert_int_equal(leat_chain_add_memory(&b->chain, "second", 6, NULL, NULL), 0);
}

/* In a process of its own: how that ended, as waitpid(2) says. */
static int verify_broken(struct broken *b, void (*harm)(struct broken *b))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		if (harm)
			harm(b);
		chain_verify(&b->chain);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void every_invariant_is_checked(void **state)
{
	struct broken b;

	signal(SIGABRT, SIG_DFL);
	open_whole(&b);
	assert_int_equal(verify_broken(&b, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
		int status = verify_broken(&b, breaks[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			fail_msg("number %zu was not noticed", i);
	}
	chain_fini(&b.chain);
	engine_fini(&b.engine);
	close_pair(b.ends);
	close_pair(b.mirror);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_invariant_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
