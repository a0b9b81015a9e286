/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * The ledger of bytes: eBPF programs that count what processes copy and what they move by
 * reference. (The kernel lends its helpers only to programs that say they are under the GPL, so
 * these files may be had under either licence.)
 *
 * How a byte is counted (the columns are those of counts.h):
 *
 *     sys_exit                  calls; file_read and file_written by the type of the descriptor's
 *                               file; file_by_reference, and file_made_up by how the file is
 *                               spliced from; received where splice received
 *     sock_send_length          sent, once for each message, from all kinds of calls, io_uring and
 *                               kernel threads. By reference if the call was sendfile or splice, or
 *                               asked for MSG_ZEROCOPY on a socket that allows it
 *     sock_recv_length          received
 *     skb_copy_datagram_iovec   received_copied: the kernel's only way from packets to user memory
 *     net_dev_queue,            linearised: payload of TCP lies in page fragments (since 5.17 all of
 *     net_dev_start_xmit        it) until a device can't take them. What is linear when the device
 *                               gets the packet, and was not when it was queued, was copied between
 *
 * Tracepoints only: they need no function of the kernel to be patched, which locked-down kernels
 * forbid. Programs that a kernel has no tracepoint for are left out by copystat.c. With the fexit
 * backend fexit.bpf.h replaces what streams send and unshare.
 */
#include "copystat/fexit.bpf.h"
#include "copystat/ledger.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- sending ---- */

/* Numbers of include/uapi/linux/io_uring.h. */
#define IORING_OP_SPLICE     30
#define IORING_OP_SEND_ZC    47
#define IORING_OP_SENDMSG_ZC 48

/* What an io_uring worker is at. */
static __always_inline uint8_t worker_opcode(struct task_struct *task)
{
	struct io_worker *worker = task->worker_private;
	void *work = BPF_CORE_READ(worker, cur_work);

	if (!work)
		return 0;
	return BPF_CORE_READ((struct io_kiocb *)(work -
						 bpf_core_field_offset(struct io_kiocb, work)),
			     opcode);
}

static __always_inline bool uring_by_reference(struct task_struct *task)
{
	uint32_t tid = (uint32_t)task->pid;
	struct sending *sending;
	uint8_t opcode;

	if (task->flags & PF_IO_WORKER) { /* splice always comes here */
		opcode = worker_opcode(task);
		return opcode == IORING_OP_SPLICE || opcode == IORING_OP_SEND_ZC ||
		       opcode == IORING_OP_SENDMSG_ZC;
	}
	sending = bpf_map_lookup_elem(&sending_of, &tid);
	return sending && sending->flags & (MSG_ZEROCOPY | MSG_SPLICE_PAGES);
}

/* The flags argument of sendto, sendmsg and sendmmsg. */
static __always_inline uint64_t send_flags(struct pt_regs *regs)
{
	long call = regs_call(regs);

	return call == __NR_sendmsg ? regs_arg3(regs) : regs_arg4(regs);
}

/* The socket allows MSG_ZEROCOPY; on others the flag means nothing. */
static __always_inline bool allows_zerocopy(struct sock *sk)
{
	uint64_t bit = 1ull << bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY);

	return is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)) &&
	       BPF_CORE_READ(sk, __sk_common.skc_flags) & bit;
}

/* Does what is sent now go as a reference, as far as the call is concerned? */
static __always_inline bool by_reference(struct task_struct *task, struct sock *sk, uint32_t call)
{
	if (call == COPYSTAT_SENDFILE || call == COPYSTAT_SPLICE)
		return true;
	if (call == COPYSTAT_URING)
		return uring_by_reference(task);
	return call == COPYSTAT_SEND && send_flags(regs_of(task)) & MSG_ZEROCOPY &&
	       allows_zerocopy(sk);
}

static __always_inline void count_sent(struct copystat_counts *counts, struct task_struct *task,
				       struct sock *sk, uint32_t kind, uint64_t bytes)
{
	uint32_t call = call_of_current(task);
	struct copystat_socket_counts *socket;

	if (kind >= COPYSTAT_KINDS)
		return;
	socket = &counts->sockets[kind];
	add(counts->calls[call].sent, bytes);
	add(socket->sent, bytes);
	if (!by_reference(task, sk, call)) {
		add(socket->sent_copied, bytes);
		return;
	}
	add(socket->sent_by_reference, bytes);
	/* TCP copies references for a route that can't scatter-gather (tcp_sendmsg_locked). */
	if (kind == COPYSTAT_TCP && !(BPF_CORE_READ(sk, sk_route_caps) & NETIF_F_SG))
		add(counts->linearised, bytes);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int bytes, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct copystat_counts *counts = counts_of_current(task);
	uint32_t kind;

	if (!counts || bytes <= 0)
		return 0;
	kind = kind_of(sk);
	if (fexit && is_stream(kind, sk->sk_type))
		return 0;
	if (late_owners && kind == COPYSTAT_TCP)
		own(sk, task);
	count_sent(counts, task, sk, kind, (uint32_t)bytes);
	return 0;
}

/* 6.16. Before the first packet of a send: from here on its socket is ours. */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tcp_sendmsg_begins, struct sock *sk, struct msghdr *msg)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t tid = (uint32_t)task->pid;

	if (!counts_of_current(task))
		return 0;
	own(sk, task);
	if (call_of_current(task) == COPYSTAT_URING && !(task->flags & PF_IO_WORKER)) {
		struct sending sending = {.flags = msg->msg_flags};

		bpf_map_update_elem(&sending_of, &tid, &sending, BPF_ANY);
	}
	return 0;
}

/* ---- receiving ---- */

static __always_inline void count_received(struct copystat_counts *counts, struct task_struct *task,
					   uint32_t kind, uint64_t bytes)
{
	if (kind >= COPYSTAT_KINDS)
		return;
	add(counts->calls[call_of_current(task)].received, bytes);
	add(counts->sockets[kind].received, bytes);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, struct sock *sk, int bytes, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct copystat_counts *counts = counts_of_current(task);
	uint32_t kind;

	if (!counts || bytes <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	kind = kind_of(sk);
	if (late_owners && kind == COPYSTAT_TCP)
		own(sk, task); /* a server's answer goes where its request came from */
	count_received(counts, task, kind, (uint32_t)bytes);
	return 0;
}

/* A received packet of TCP or UDP belongs to no socket any more; one of a UNIX socket to its sender. */
static __always_inline uint32_t kind_received(struct sk_buff *skb)
{
	uint8_t header[10];
	unsigned char *at = skb->head + skb->network_header;
	struct sock *sk = skb->sk; /* once: the verifier forgets what it has checked */

	if (sk)
		return kind_of(sk);
	if (bpf_probe_read_kernel(header, sizeof(header), at) < 0)
		return COPYSTAT_OTHER_SOCKET;
	return (header[0] >> 4 == 4 ? header[9] : header[6]) == IPPROTO_TCP ? COPYSTAT_TCP
									    : COPYSTAT_OTHER_SOCKET;
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(skb_copied, struct sk_buff *skb, int bytes)
{
	struct copystat_counts *counts = counts_of_current(bpf_get_current_task_btf());
	uint32_t kind;

	if (!counts || bytes <= 0)
		return 0;
	kind = kind_received(skb);
	if (kind < COPYSTAT_KINDS)
		add(counts->sockets[kind].received_copied, (uint32_t)bytes);
	return 0;
}

/* ---- what packets look like on their way to a device ---- */

/* Bytes of TCP payload outside of page fragments. */
static __always_inline uint64_t linear_payload(struct sk_buff *skb)
{
	unsigned char *transport = skb->head + skb->transport_header;
	uint8_t offset = 0; /* the header's length in words, in the upper half */
	int64_t linear;

	bpf_probe_read_kernel(&offset, sizeof(offset), transport + 12);
	linear = (int64_t)(skb->len - skb->data_len) -
		 (int64_t)(transport + (offset >> 4) * 4 - skb->data);
	return linear > 0 ? (uint64_t)linear : 0;
}

/* The socket that the running task sends to, if it is in such a call. */
static __always_inline struct sock *sock_of_current(struct task_struct *task)
{
	struct pt_regs *regs = regs_of(task);
	struct file *file;

	switch (call_of_current(task)) {
	case COPYSTAT_WRITE:
	case COPYSTAT_SEND:
	case COPYSTAT_SENDFILE:
		file = file_of(task, regs_arg1(regs));
		break;
	case COPYSTAT_SPLICE:
		file = file_of(task, regs_arg3(regs));
		break;
	default:
		return NULL;
	}
	return file_type(file) == S_IFSOCK ? sock_of(file) : NULL;
}

/* Where nothing is traced before a send's first packet, that packet tells whose socket it is: it
 * leaves inside the call. */
static __always_inline uint32_t *own_late(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!counts_of_current(task) || sock_of_current(task) != sk)
		return NULL;
	own(sk, task);
	return bpf_sk_storage_get(&owner_of, sk, 0, 0);
}

static __always_inline uint32_t *owner_of_packet(struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	uint32_t *owner;

	if (!sk)
		return NULL;
	owner = bpf_sk_storage_get(&owner_of, sk, 0, 0);
	return owner || !late_owners ? owner : own_late(sk);
}

/* Packets that devices of these kinds take come back to a socket of this host, before which the
 * kernel copies pages that user space still owns (skb_orphan_frags_rx, skb_copy_ubufs). */
#define SHORT_NAME(a, b, c, d) ((a) | (b) << 8 | (c) << 16 | (d) << 24) /* little-endian */

static __always_inline bool comes_back(struct net_device *dev)
{
	uint64_t kind = 0;
	const struct rtnl_link_ops *ops = dev->rtnl_link_ops;

	if (dev->flags & IFF_LOOPBACK)
		return true;
	if (!ops)
		return false;
	bpf_probe_read_kernel_str(&kind, sizeof(kind), BPF_CORE_READ(ops, kind));
	return kind == SHORT_NAME('v', 'e', 't', 'h') || kind == SHORT_NAME('t', 'u', 'n', 0);
}

static __always_inline bool has_user_pages(struct sk_buff *skb)
{
	struct skb_shared_info *info = (struct skb_shared_info *)(skb->head + skb->end);

	return BPF_CORE_READ(info, flags) & SKBFL_ZEROCOPY_ENABLE;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
	uint32_t *owner = owner_of_packet(skb);
	struct copystat_counts *counts;
	uint64_t linear;

	if (!owner)
		return 0;
	linear = linear_payload(skb);
	if (linear == 0) /* nearly always */
		return 0;
	counts = bpf_map_lookup_elem(&counts_of, owner);
	if (counts)
		add(counts->linearised, -linear);
	return 0;
}

static __always_inline void count_linear(struct copystat_counts *counts, struct net_device *dev,
					 uint64_t bytes)
{
	bool gather = dev->features & NETIF_F_SG, checksum = dev->features & NETIF_F_CSUM_MASK;

	add(counts->linearised, bytes);
	if (gather && checksum)
		return;
	bpf_probe_read_kernel_str(counts->device.name, sizeof(counts->device.name), dev->name);
	counts->device.scatter_gather = gather;
	counts->device.checksum = checksum;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(net_dev_start_xmit, struct sk_buff *skb, struct net_device *dev)
{
	uint32_t *owner = owner_of_packet(skb);
	struct copystat_counts *counts;
	uint64_t linear;
	bool unshares;

	if (!owner)
		return 0;
	linear = linear_payload(skb);
	unshares = !fexit && skb->data_len > 0 && has_user_pages(skb) && comes_back(dev);
	if (linear == 0 && !unshares) /* nearly always */
		return 0;
	counts = bpf_map_lookup_elem(&counts_of, owner);
	if (!counts)
		return 0;
	if (linear > 0)
		count_linear(counts, dev, linear);
	if (unshares)
		add(counts->unshared, skb->data_len);
	return 0;
}

/* ---- system calls on files ---- */

/* Descriptors whose sockets have no tracepoints on this kernel. Not sendmmsg and recvmmsg, which
 * return numbers of messages. */
static __always_inline void sockets_without_tracepoints(struct copystat_counts *counts,
							struct task_struct *task, struct file *file,
							bool sends, uint64_t bytes)
{
	struct sock *sk = sock_of(file);
	uint32_t kind = kind_of_found(sk);

	if (!sends)
		count_received(counts, task, kind, bytes);
	else if (!(fexit && is_stream(kind, BPF_CORE_READ(sk, sk_type))))
		count_sent(counts, task, sk, kind, bytes);
}

static __always_inline void count_in(struct copystat_counts *counts, struct task_struct *task,
				     uint32_t call, uint64_t fd, uint64_t bytes)
{
	struct file *file = file_of(task, fd);
	uint32_t type = file_type(file);

	if (is_file(type) && call != COPYSTAT_READ) {
		add(counts->file_by_reference, bytes);
		if (is_made_up(file))
			add(counts->file_made_up, bytes);
	} else if (is_file(type) && BPF_CORE_READ(file, f_flags) & O_DIRECT)
		add(counts->file_read_direct, bytes);
	else if (is_file(type))
		add(counts->file_read, bytes);
	else if (type == S_IFSOCK && call == COPYSTAT_SPLICE) /* has no tracepoint anywhere */
		count_received(counts, task, kind_of_found(sock_of(file)), bytes);
	else if (type == S_IFSOCK && no_sock_length)
		sockets_without_tracepoints(counts, task, file, false, bytes);
}

static __always_inline void count_out(struct copystat_counts *counts, struct task_struct *task,
				      uint64_t fd, uint64_t bytes)
{
	struct file *file = file_of(task, fd);
	uint32_t type = file_type(file);

	if (is_file(type) && !(BPF_CORE_READ(file, f_flags) & O_DIRECT))
		add(counts->file_written, bytes);
	else if (type == S_IFSOCK && no_sock_length)
		sockets_without_tracepoints(counts, task, file, true, bytes);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct copystat_counts *counts = counts_of_current(task);
	uint32_t call;

	if (!counts)
		return 0;
	call = call_by_number(regs_call(regs));
	if (call >= COPYSTAT_CALLS)
		return 0;
	add(counts->calls[call].calls, 1);
	if (result <= 0)
		return 0;
	switch (call) {
	case COPYSTAT_READ:
		count_in(counts, task, call, regs_arg1(regs), (uint64_t)result);
		break;
	case COPYSTAT_WRITE:
		count_out(counts, task, regs_arg1(regs), (uint64_t)result);
		break;
	case COPYSTAT_SENDFILE:
		count_in(counts, task, call, regs_arg2(regs), (uint64_t)result);
		count_out(counts, task, regs_arg1(regs), (uint64_t)result);
		break;
	case COPYSTAT_SPLICE:
		count_in(counts, task, call, regs_arg1(regs), (uint64_t)result);
		count_out(counts, task, regs_arg3(regs), (uint64_t)result);
		break;
	case COPYSTAT_RECV:
	case COPYSTAT_SEND:
		if (!no_sock_length || regs_call(regs) == __NR_sendmmsg ||
		    regs_call(regs) == __NR_recvmmsg)
			break;
		if (call == COPYSTAT_SEND)
			count_out(counts, task, regs_arg1(regs), (uint64_t)result);
		else
			count_in(counts, task, COPYSTAT_READ, regs_arg1(regs), (uint64_t)result);
		break;
	}
	return 0;
}

/* ---- lives of processes ---- */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	uint32_t tgid = (uint32_t)parent->tgid;
	struct copystat_entry *entry;

	if (child->pid != child->tgid) /* a thread */
		return 0;
	entry = bpf_map_lookup_elem(&processes, &tgid);
	if (entry && entry->children)
		counts_begin(child, (uint32_t)child->tgid, 1);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	uint32_t tgid = (uint32_t)task->tgid;
	struct copystat_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	if (!entry || BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	BPF_CORE_READ_STR_INTO(&entry->comm, task, group_leader, comm);
	entry->ended = 1;
	return 0;
}
