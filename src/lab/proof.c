#include "lab/proof.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

/* A peer that gets nothing within this is told from one that gets it late. */
#define PATIENCE_MS 5000

static int fill(int file, char letter)
{
	char page[PROOF_BYTES];
	ssize_t n;

	memset(page, letter, sizeof(page));
	n = sys_pwrite(file, page, sizeof(page), 0);
	if (n < 0)
		return (int)n;
	return n == PROOF_BYTES ? 0 : -ENOSPC;
}

/* What the peer has, when it reads at last. */
static int read_all(int socket, char page[PROOF_BYTES])
{
	size_t got = 0;

	while (got < PROOF_BYTES) {
		struct pollfd fd = {.fd = socket, .events = POLLIN};
		ssize_t n = sys_poll(&fd, 1, PATIENCE_MS);

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = sys_recv(socket, page + got, PROOF_BYTES - got, 0);
		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		got += (size_t)n;
	}
	return 0;
}

static enum lab_proof judge(const char page[PROOF_BYTES])
{
	size_t changed = 0;

	for (size_t i = 0; i < PROOF_BYTES; i++)
		changed += page[i] == 'B';
	if (changed == PROOF_BYTES)
		return PROOF_BY_REFERENCE;
	return changed == 0 ? PROOF_COPIED : PROOF_MIXED;
}

static int send_file(enum leat_technique technique, int file, int socket, int null, struct err *err)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	int64_t n;

	options.technique = technique;
	if (technique == LEAT_TEE) {
		options.mirrors = &null;
		options.mirror_count = 1;
	}
	n = leat_transfer(file, 0, socket, PROOF_BYTES, &options, &report);
	return n < 0 ? err_set(err, (int)n, "%s", report.error) : 0;
}

static int prove(enum leat_technique technique, int file, const int ends[2], int null,
		 enum lab_proof *ret, struct err *err)
{
	char page[PROOF_BYTES];
	int r = fill(file, 'A');

	if (r == 0) {
		r = send_file(technique, file, ends[0], null, err);
		if (r < 0)
			return r;
		r = fill(file, 'B');
	}
	if (r == 0)
		r = read_all(ends[1], page);
	if (r < 0)
		return err_set(err, r, "the mutation proof: %s", strerrordesc_np(-r));
	*ret = judge(page);
	return 0;
}

int proof_run(enum leat_technique technique, const int ends[2], int null, enum lab_proof *ret,
	      struct err *err)
{
	int file = sys_memfd("leat-proof", 0), r;

	if (file < 0)
		return err_set(err, file, "no memory file: %s", strerrordesc_np(-file));
	r = prove(technique, file, ends, null, ret, err);
	sys_close(file);
	return r;
}
