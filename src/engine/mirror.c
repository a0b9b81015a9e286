/*
 * What becomes of a mirror's bytes once tee.c has shared them or copy.c has read them: the ways
 * out, the rest that is put aside for one that is slow, and the end of one that is dropped.
 *
 * tee.c and copy.c ask every mirror at each move (mirror_drain(), mirror_write()), before the sink.
 * "Full" of a mirror that is waited for is the move's SINK_FULL; of another one nobody waits, until
 * mirrors_settle() at the very end. All failures go through mirror_gives_up().
 */
#include "engine/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/border.h"

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* ---- A way out ---- */

static size_t outlet_held(const struct outlet *outlet)
{
	return *outlet->piped + (outlet->bounce->end - outlet->bounce->start);
}

/* read + write; what the sink did not take stays in the bounce buffer. */
static ssize_t outlet_drain_copied(struct leat_chain *chain, const struct outlet *outlet)
{
	struct bounce *bounce = outlet->bounce;
	ssize_t n;

	if (!bounce->data) {
		bounce->data = engine_take_bounce(chain->engine);
		if (!bounce->data)
			return -ENOMEM;
		bounce->start = bounce->end = 0;
	}
	if (bounce->start == bounce->end) {
		chain_syscall(chain);
		n = sys_read(outlet->pipe->read_fd, bounce->data,
			     min_size(*outlet->piped, BOUNCE_BYTES));
		if (n <= 0)
			return n < 0 ? n : -EIO;
		*outlet->piped -= (size_t)n;
		bounce->start = 0;
		bounce->end = (size_t)n;
	}
	chain_syscall(chain);
	n = sys_write(outlet->fd, bounce->data + bounce->start, bounce->end - bounce->start);
	if (n > 0)
		bounce->start += (size_t)n;
	return n != 0 ? n : -EIO;
}

/* Bytes that the sink took, or -errno. */
static ssize_t outlet_drain_once(struct leat_chain *chain, const struct outlet *outlet)
{
	ssize_t n;

	if (!*outlet->copies) {
		chain_syscall(chain);
		n = sys_splice(outlet->pipe->read_fd, NULL, outlet->fd, NULL, *outlet->piped,
			       FLAGS);
		if (n > 0)
			*outlet->piped -= (size_t)n;
		if (n > 0 || !policy_is_refusal(LEAT_SPLICE, (int)n))
			return n != 0 ? n : -EIO; /* takes nothing and says nothing: don't spin */
		*outlet->copies = true;
	}
	return outlet_drain_copied(chain, outlet);
}

int outlet_drain(struct leat_chain *chain, const struct outlet *outlet, size_t *ret_bytes)
{
	while (outlet_held(outlet) > 0) {
		ssize_t n = outlet_drain_once(chain, outlet);

		if (n < 0)
			return (int)n;
		*ret_bytes += (size_t)n;
	}
	return 0;
}

/* ---- Beginning and end ---- */

void mirror_verify(const struct leat_chain *chain, const struct mirror *mirror)
{
	CHECK(ledger_sums(&mirror->ledger));
	CHECK(mirror->unwritten <= chain->bounce.end);
	CHECK(mirror->piped == 0 || mirror->pipe.read_fd >= 0);
	CHECK(mirror->bounce.start <= mirror->bounce.end);
	CHECK(mirror->bounce.end == 0 || mirror->bounce.data);
	CHECK(mirror_is_on(mirror) || mirror_behind(mirror) == 0);
}

static void mirror_let_go(struct leat_chain *chain, struct mirror *mirror)
{
	if (mirror->pipe.read_fd >= 0)
		engine_give_pipe(chain->engine, &mirror->pipe, mirror->piped == 0);
	if (mirror->bounce.data)
		engine_give_bounce(chain->engine, mirror->bounce.data);
	mirror->bounce = (struct bounce){NULL, 0, 0};
	mirror->piped = mirror->unwritten = 0;
	mirror->put_aside = false;
}

void mirror_reset(struct leat_chain *chain, struct mirror *mirror)
{
	mirror_let_go(chain, mirror);
	mirror->error = 0;
	mirror->ledger = (struct leat_ledger)LEAT_LEDGER_INIT;
}

int leat_chain_add_mirror(struct leat_chain *chain, int fd, enum leat_mirror_policy policy)
{
	struct mirror *mirrors, *mirror;
	enum sink_kind kind;
	int r = sink_kind_of(fd, &kind);

	if (r < 0)
		return r;
	if ((policy != LEAT_MIRROR_WAIT && policy != LEAT_MIRROR_DROP) ||
	    sink_would_block(chain->sink.flags, fd, kind))
		return -EINVAL;
	if (chain->count > 0 || chain->letting_go)
		return -EBUSY;
	mirrors = reallocarray(chain->mirrors, chain->mirror_count + 1, sizeof(*mirrors));
	if (!mirrors)
		return -ENOMEM;
	chain->mirrors = mirrors;
	mirror = &mirrors[chain->mirror_count++];
	*mirror = (struct mirror){
	    .fd = fd,
	    .kind = kind,
	    .policy = policy,
	    .pipe = PIPE_NONE,
	    .copies = kind == SINK_APPEND || sink_transforms(kind),
	    .reference_column = -1,
	    .ledger = LEAT_LEDGER_INIT,
	};
	chain->reference_column = -1; /* the worst of all sinks: this one counts, too */
	chain_verify(chain);
	return 0;
}

int mirror_gives_up(struct leat_chain *chain, struct mirror *mirror, int error)
{
	unsigned number = (unsigned)(mirror - chain->mirrors) + 1;
	const char *text = error == -EAGAIN ? "it fell behind" : strerrordesc_np(-error);

	if (mirror->policy == LEAT_MIRROR_WAIT)
		return chain_fail(chain, error, "mirror %u (descriptor %d): %s", number, mirror->fd,
				  text);
	snprintf(chain->fallback_text, sizeof(chain->fallback_text),
		 "mirror %u (descriptor %d) was dropped after %llu bytes: %s", number, mirror->fd,
		 (unsigned long long)mirror->ledger.bytes, text);
	mirror_let_go(chain, mirror);
	mirror->error = error;
	return 0;
}

/* ---- Bytes ---- */

static enum column mirror_copy_column(const struct mirror *mirror)
{
	return sink_transforms(mirror->kind) ? COLUMN_TRANSFORMED : COLUMN_COPIED;
}

static enum column mirror_pipe_column(struct leat_chain *chain, struct mirror *mirror)
{
	if (mirror->copies || mirror->put_aside)
		return mirror_copy_column(mirror);
	return mirror_reference_column(chain, mirror);
}

/* After a call of its sink: 0, or how the mirror ended. */
static int mirror_said(struct leat_chain *chain, struct mirror *mirror, int r, bool *ret_full)
{
	if (r == -EAGAIN) {
		mirror->ledger.would_block++;
		*ret_full = true;
		return 0;
	}
	return r < 0 ? mirror_gives_up(chain, mirror, r) : 0;
}

int mirror_take_pipe(struct leat_chain *chain, struct mirror *mirror)
{
	if (mirror->pipe.read_fd >= 0)
		return 0;
	return engine_take_pipe(chain->engine, &mirror->pipe);
}

int mirror_drain(struct leat_chain *chain, struct mirror *mirror, bool *ret_full)
{
	const struct outlet outlet = {mirror->fd, &mirror->pipe, &mirror->piped, &mirror->bounce,
				      &mirror->copies};
	uint64_t calls = chain->ledger.syscalls;
	size_t bytes = 0;
	int r = outlet_drain(chain, &outlet, &bytes);

	if (bytes > 0)
		ledger_account(&mirror->ledger, mirror_pipe_column(chain, mirror), bytes);
	mirror->ledger.syscalls += chain->ledger.syscalls - calls;
	if (mirror->piped == 0 && mirror->bounce.start == mirror->bounce.end)
		mirror->put_aside = false;
	return mirror_said(chain, mirror, r, ret_full);
}

int mirror_write(struct leat_chain *chain, struct mirror *mirror, bool *ret_full)
{
	int r = mirror_drain(chain, mirror, ret_full);

	while (r == 0 && mirror_is_on(mirror) && !*ret_full && mirror->unwritten > 0) {
		ssize_t n;

		chain_syscall(chain);
		mirror->ledger.syscalls++;
		n = sys_write(mirror->fd,
			      chain->bounce.data + chain->bounce.end - mirror->unwritten,
			      mirror->unwritten);
		if (n > 0) {
			mirror->unwritten -= (size_t)n;
			ledger_account(&mirror->ledger, mirror_copy_column(mirror), (uint64_t)n);
		}
		r = mirror_said(chain, mirror, n == 0 ? -EIO : n < 0 ? (int)n : 0, ret_full);
	}
	return r;
}

int mirror_put_aside(struct leat_chain *chain, struct mirror *mirror)
{
	ssize_t n;
	int r;

	if (mirror->unwritten == 0)
		return 0;
	r = mirror_take_pipe(chain, mirror);
	if (r < 0)
		return mirror_gives_up(chain, mirror, r);
	chain_syscall(chain);
	mirror->ledger.syscalls++;
	n = sys_write(mirror->pipe.write_fd,
		      chain->bounce.data + chain->bounce.end - mirror->unwritten,
		      mirror->unwritten);
	if (n < (ssize_t)mirror->unwritten)
		return mirror_gives_up(chain, mirror, n < 0 ? (int)n : -EAGAIN);
	mirror->piped += mirror->unwritten;
	mirror->unwritten = 0;
	mirror->put_aside = true;
	return 0;
}

/* ---- All of them ---- */

int mirrors_settle(struct leat_chain *chain, struct moved *ret)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];
		int r;

		if (mirror_behind(mirror) == 0)
			continue;
		if (chain->count == 1)
			return stop_at(chain, mirror->fd, POLLOUT, STOP_SINK_FULL, ret);
		r = mirror_put_aside(chain, mirror);
		if (r < 0)
			return r;
	}
	return 0;
}

bool mirrors_hold_segment(const struct leat_chain *chain)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		const struct mirror *mirror = &chain->mirrors[i];

		if (mirror->unwritten > 0 ||
		    (mirror_behind(mirror) > 0 &&
		     (mirror->policy == LEAT_MIRROR_WAIT || chain->count == 1)))
			return true;
	}
	return false;
}

bool mirrors_hold_bounce(const struct leat_chain *chain)
{
	for (unsigned i = 0; i < chain->mirror_count; i++)
		if (chain->mirrors[i].unwritten > 0)
			return true;
	return false;
}
