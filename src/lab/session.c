#include "lab/session.h"

#include <errno.h>
#include <string.h>

#include "copystat/copystat.h"
#include "lab/channel.h"
#include "sys/sys.h"

/* An order that is not done by then never will be: on the slowest machine the largest takes
 * seconds. */
#define PATIENCE_NS UINT64_C(60000000000)
#define LOOK_MS     200

static bool interrupted(const struct session *session)
{
	return session->options->stop && *session->options->stop;
}

/* 0, or -errno: of waiting, or of what the worker was told to do. */
static int await(const struct session *session, const struct worker *worker, struct answer *answer,
		 int *ret_fd, struct err *err)
{
	uint64_t until_ns = sys_now_ns() + PATIENCE_NS;
	struct pollfd fd = {.fd = worker->channel, .events = POLLIN};
	int r = 0;

	while (r == 0) {
		if (interrupted(session))
			return err_set(err, -EINTR, "interrupted");
		if (sys_now_ns() > until_ns)
			return err_set(err, -ETIMEDOUT, "a transfer did not end");
		r = sys_poll(&fd, 1, LOOK_MS);
	}
	if (r > 0)
		r = channel_receive(worker->channel, answer, sizeof(*answer), ret_fd);
	if (r <= 0)
		return err_set(err, r < 0 ? r : -EPIPE, "a worker process has ended");
	return answer->error < 0 ? err_set(err, answer->error, "%s", answer->text) : 0;
}

static int tell(const struct worker *worker, const struct order *order, int pass, struct err *err)
{
	int r = channel_send(worker->channel, order, sizeof(*order), pass);

	return r < 0 ? err_set(err, r, "a worker process has ended") : 0;
}

static int start(struct session *session, struct err *err)
{
	const struct order open = {.kind = ORDER_OPEN, .transport = session->transport};
	struct answer answer = {0};
	int r = worker_start(&session->receiver, receiver_main, err);

	if (r == 0)
		r = worker_start(&session->sender, sender_main, err);
	if (r == 0)
		r = tell(&session->sender, &open, -1, err);
	if (r == 0)
		r = await(session, &session->sender, &answer, &session->receiver_end, err);
	return r;
}

int session_open(struct session *session, enum lab_transport transport,
		 const struct lab_options *options, struct err *err)
{
	int r;

	*session = (struct session){.transport = transport, .options = options, .receiver_end = -1};
	r = start(session, err);
	if (r < 0)
		session_close(session);
	return r;
}

void session_close(struct session *session)
{
	worker_end(&session->sender);
	worker_end(&session->receiver);
	if (session->receiver_end >= 0)
		sys_close(session->receiver_end);
	session->receiver_end = -1;
}

void session_count(struct session *session, struct copystat *copystat)
{
	session->copystat = copystat;
	if (copystat && (copystat_watch(copystat, session->sender.pid, false) < 0 ||
			 copystat_watch(copystat, session->receiver.pid, false) < 0))
		session->copystat = NULL;
}

int session_prove(struct session *session, enum leat_technique technique, enum lab_proof *ret,
		  struct err *err)
{
	const struct order order = {.kind = ORDER_PROVE, .technique = technique};
	struct answer answer = {0};
	int r = tell(&session->sender, &order, -1, err);

	if (r == 0)
		r = await(session, &session->sender, &answer, NULL, err);
	if (r == 0)
		*ret = answer.proof;
	return r;
}

/* ---- counting ---- */

struct counts {
	struct copystat_counts sender, receiver;
	bool known;
};

static struct counts count(const struct session *session)
{
	struct counts counts = {.known = false};

	counts.known =
	    session->copystat &&
	    copystat_read(session->copystat, session->sender.pid, &counts.sender) == 0 &&
	    copystat_read(session->copystat, session->receiver.pid, &counts.receiver) == 0;
	return counts;
}

/* The workers' own messages are counted too: one order in and one answer out each. */
static uint64_t without(uint64_t counted, size_t own)
{
	return counted > own ? counted - own : 0;
}

static void count_copies(const struct counts *before, const struct counts *after, struct round *ret)
{
	struct copystat_counts sent, received;
	struct copystat_sums sums;

	if (!before->known || !after->known)
		return;
	sent = copystat_since(&after->sender, &before->sender);
	received = copystat_since(&after->receiver, &before->receiver);
	sums = copystat_sum(&sent);
	ret->counter = COUNTED_BY_COPYSTAT;
	ret->user_copied = sums.file_read + without(sums.sent_copied, sizeof(struct answer));
	ret->kernel_copied = sums.copied_later;
	ret->by_reference = sums.sent_by_reference > sums.copied_later
				? sums.sent_by_reference - sums.copied_later
				: 0;
	ret->receiver_copied =
	    without(copystat_sum(&received).received_copied, sizeof(struct order));
}

int session_round(struct session *session, const struct order *order, struct round *ret,
		  struct err *err)
{
	struct order take = {.kind = ORDER_TAKE, .bytes = order->bytes};
	struct counts before = count(session), after;
	int r;

	*ret = (struct round){.bytes = order->bytes};
	r = tell(&session->receiver, &take, session->receiver_end, err);
	if (session->receiver_end >= 0)
		sys_close(session->receiver_end);
	session->receiver_end = -1;
	if (r == 0)
		r = tell(&session->sender, order, -1, err);
	if (r == 0)
		r = await(session, &session->sender, &ret->sender, NULL, err);
	if (r == 0)
		r = await(session, &session->receiver, &ret->receiver, NULL, err);
	if (r < 0)
		return r;
	after = count(session);
	count_copies(&before, &after, ret);
	return 0;
}
