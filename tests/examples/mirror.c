/*
 * Mirrors: one source to several files by one chain, and what became of the bytes in each of them.
 *
 *     mirror SOURCE TARGET MIRROR...
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <leat/leat.h>

static int open_target(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		perror(name);
	return fd;
}

/* A file never says "not now": there is nothing to wait for. */
static int run(struct leat_chain *chain)
{
	int step;

	do
		step = leat_chain_step(chain, 0);
	while (step == LEAT_MORE);
	return step == LEAT_DONE ? 0 : step;
}

int main(int argc, char **argv)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_engine *engine;
	struct leat_chain *chain;
	int in, out, r;

	if (argc < 4) {
		fprintf(stderr, "usage: mirror SOURCE TARGET MIRROR...\n");
		return 2;
	}
	options.flags =
	    LEAT_MAY_LOAD; /* this program has nothing else to do than wait for the disk */
	in = open(argv[1], O_RDONLY | O_CLOEXEC);
	out = open_target(argv[2]);
	if (in < 0 || out < 0 || leat_engine_new(&engine) < 0)
		return 1;
	r = leat_chain_new(engine, out, &options, &chain);
	if (r < 0)
		return 1;
	for (int i = 3; r == 0 && i < argc; i++)
		r = leat_chain_add_mirror(chain, open_target(argv[i]), LEAT_MIRROR_WAIT);
	if (r == 0)
		r = leat_chain_add_file(chain, in, 0, LEAT_TO_END, NULL, NULL);
	if (r == 0)
		r = run(chain);
	for (int i = 3; i < argc; i++) {
		struct leat_mirror_report report = LEAT_MIRROR_REPORT_INIT;

		if (leat_chain_mirror_report(chain, (unsigned)i - 3, &report) == 0)
			printf("%s: %" PRIu64 " bytes, %s: %s\n", argv[i], report.ledger.bytes,
			       leat_verdict_name(report.verdict), report.evidence);
	}
	if (r < 0)
		fprintf(stderr, "mirror: %s\n", strerror(-r));
	leat_chain_free(chain);
	leat_engine_free(engine);
	return r < 0;
}
