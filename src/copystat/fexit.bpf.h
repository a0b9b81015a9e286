/*
 * The fexit backend: what TCP and UNIX streams send, taken from the functions that take references,
 * where the tracepoints only tell what the call asked for. Needs a kernel that lets its functions be
 * traced (fentry, fexit); functions that it does not have are left out by copystat.c.
 *
 *     tcp_sendmsg_locked,         sent; what none of the following took was copied
 *     unix_stream_sendmsg
 *     skb_splice_from_iter        by reference: sendfile and splice, 6.5 and newer
 *     do_tcp_sendpages,           by reference and sent: sendfile and splice before 6.5
 *     unix_stream_sendpage
 *     skb_zerocopy_iter_stream    by reference: MSG_ZEROCOPY, also io_uring's
 *     skb_copy_ubufs              unshared: the kernel gives up the sender's pages
 *
 * The last arguments of some have come and gone between kernels, so their results are asked for by
 * bpf_get_func_ret() (5.17), which knows where they are.
 */
#ifndef COPYSTAT_FEXIT_BPF_H
#define COPYSTAT_FEXIT_BPF_H

#include "copystat/ledger.bpf.h"

/* Whose pages they are, by the kernel's record of a MSG_ZEROCOPY send (struct ubuf_info). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, uint64_t);
	__type(value, uint32_t);
} zerocopy_owner_of SEC(".maps");

static __always_inline int64_t result_of(void *ctx)
{
	__u64 result = 0;

	bpf_get_func_ret(ctx, &result);
	return (int64_t)result;
}

/* ---- a send, from its beginning to its end ---- */

static __always_inline void stream_begins(struct sock *sk, bool tcp)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t tid = (uint32_t)task->pid;
	struct sending sending = {0};

	if (!counts_of_current(task))
		return;
	if (tcp)
		own(sk, task); /* before its first packet */
	bpf_map_update_elem(&sending_of, &tid, &sending, BPF_ANY);
}

static __always_inline void references_taken(void *ctx)
{
	uint32_t tid = (uint32_t)bpf_get_current_pid_tgid();
	struct sending *sending = bpf_map_lookup_elem(&sending_of, &tid);
	int64_t bytes = result_of(ctx);

	if (sending && bytes > 0)
		sending->by_reference += (uint32_t)bytes;
}

static __always_inline void count_stream(uint32_t kind, uint64_t bytes, uint64_t by_reference)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct copystat_counts *counts = counts_of_current(task);
	struct copystat_socket_counts *socket;

	if (!counts)
		return;
	if (by_reference > bytes) /* taken, and given up by an error */
		by_reference = bytes;
	socket = &counts->sockets[kind];
	add(counts->calls[call_of_current(task)].sent, bytes);
	add(socket->sent, bytes);
	add(socket->sent_by_reference, by_reference);
	add(socket->sent_copied, bytes - by_reference);
}

static __always_inline void stream_ends(uint32_t kind, int bytes)
{
	uint32_t tid = (uint32_t)bpf_get_current_pid_tgid();
	struct sending *sending = bpf_map_lookup_elem(&sending_of, &tid);

	if (sending && bytes > 0)
		count_stream(kind, (uint32_t)bytes, sending->by_reference);
	bpf_map_delete_elem(&sending_of, &tid);
}

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(tcp_sendmsg_enter, struct sock *sk)
{
	stream_begins(sk, true);
	return 0;
}

SEC("fexit/tcp_sendmsg_locked")
int BPF_PROG(tcp_sendmsg_exit, struct sock *sk)
{
	stream_ends(COPYSTAT_TCP, (int)result_of(ctx));
	return 0;
}

SEC("fentry/unix_stream_sendmsg")
int BPF_PROG(unix_sendmsg_enter, struct socket *socket)
{
	stream_begins(NULL, false);
	return 0;
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(unix_sendmsg_exit, struct socket *socket)
{
	stream_ends(COPYSTAT_UNIX, (int)result_of(ctx));
	return 0;
}

/* ---- references ---- */

SEC("fexit/skb_splice_from_iter")
int BPF_PROG(spliced)
{
	references_taken(ctx);
	return 0;
}

SEC("fexit/skb_zerocopy_iter_stream")
int BPF_PROG(zerocopied)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t tgid = (uint32_t)task->tgid;
	__u64 record = 0;

	references_taken(ctx);
	bpf_get_func_arg(ctx, 4, &record);
	if (counts_of_current(task) && record != 0)
		bpf_map_update_elem(&zerocopy_owner_of, &record, &tgid, BPF_ANY);
	return 0;
}

SEC("fentry/do_tcp_sendpages")
int BPF_PROG(tcp_sendpages_enter, struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (counts_of_current(task))
		own(sk, task);
	return 0;
}

SEC("fexit/do_tcp_sendpages")
int BPF_PROG(tcp_sendpages_exit)
{
	int64_t bytes = result_of(ctx);

	if (bytes > 0)
		count_stream(COPYSTAT_TCP, (uint64_t)bytes, (uint64_t)bytes);
	return 0;
}

SEC("fexit/unix_stream_sendpage")
int BPF_PROG(unix_sendpage_exit)
{
	int64_t bytes = result_of(ctx);

	if (bytes > 0)
		count_stream(COPYSTAT_UNIX, (uint64_t)bytes, (uint64_t)bytes);
	return 0;
}

/* In whatever process the packet is: the sender's, the receiver's, or none. */
SEC("fentry/skb_copy_ubufs")
int BPF_PROG(unshared, struct sk_buff *skb)
{
	struct skb_shared_info *info = (struct skb_shared_info *)(skb->head + skb->end);
	uint64_t record = (uint64_t)BPF_CORE_READ(info, destructor_arg);
	uint32_t *owner = bpf_map_lookup_elem(&zerocopy_owner_of, &record);
	struct copystat_counts *counts = owner ? bpf_map_lookup_elem(&counts_of, owner) : NULL;

	if (counts)
		add(counts->unshared, skb->data_len);
	return 0;
}

#endif
