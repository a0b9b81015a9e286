/*
 * What all programs stand on: the maps, and how they find the process, the call, the file and the
 * socket that an event belongs to. See ledger.bpf.c.
 */
#ifndef COPYSTAT_LEDGER_BPF_H
#define COPYSTAT_LEDGER_BPF_H

#include "copystat/kernel.bpf.h"

#include "copystat/counts.h"
#include "copystat/shared.h"

/* ---- set before loading ---- */

const volatile bool all_processes;  /* not only those in the map */
const volatile uint32_t own_tgid;   /* never watched by that */
const volatile bool no_sock_length; /* before 6.3: sends and receives by sys_exit */
const volatile bool late_owners;    /* no tcp_sendmsg_locked: see counts_of_packet() */
const volatile bool fexit;          /* what streams send is counted by fexit.bpf.h */
const volatile uint8_t call_of[COPYSTAT_CALL_NUMBERS]; /* enum copystat_call by number */

/* ---- maps ---- */

/* Each CPU adds to counts of its own. Programs of softirqs break in, so they add atomically. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, COPYSTAT_PROCESSES_MAX);
	__type(key, uint32_t);
	__type(value, struct copystat_counts);
} counts_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COPYSTAT_PROCESSES_MAX);
	__type(key, uint32_t);
	__type(value, struct copystat_entry);
} processes SEC(".maps");

/* Whose packets a TCP socket sends: the process that used it last. Gone with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, uint32_t);
} owner_of SEC(".maps");

/* By thread, while it is inside a send: flags the kernel sends with, bytes spliced. */
struct sending {
	uint32_t flags;
	uint32_t by_reference;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, uint32_t);
	__type(value, struct sending);
} sending_of SEC(".maps");

#define add(column, bytes) __sync_fetch_and_add(&(column), (bytes))

/* ---- processes ---- */

static const struct copystat_counts no_counts;

static __always_inline struct copystat_counts *counts_begin(struct task_struct *task, uint32_t tgid,
							    uint32_t children)
{
	struct copystat_entry entry = {.children = children};

	BPF_CORE_READ_STR_INTO(&entry.comm, task, group_leader, comm);
	if (bpf_map_update_elem(&processes, &tgid, &entry, BPF_NOEXIST) < 0)
		return NULL;
	bpf_map_update_elem(&counts_of, &tgid, &no_counts, BPF_NOEXIST);
	return bpf_map_lookup_elem(&counts_of, &tgid);
}

/* Of the process that is running; NULL when it is not watched. */
static __always_inline struct copystat_counts *counts_of_current(struct task_struct *task)
{
	uint32_t tgid = (uint32_t)task->tgid;
	struct copystat_counts *counts = bpf_map_lookup_elem(&counts_of, &tgid);

	if (counts || !all_processes || tgid == own_tgid || tgid == 0)
		return counts;
	return counts_begin(task, tgid, 0);
}

/* ---- system calls ---- */

static __always_inline struct pt_regs *regs_of(struct task_struct *task)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

static __always_inline uint32_t call_by_number(long number)
{
	return number >= 0 && number < COPYSTAT_CALL_NUMBERS ? call_of[number]
							     : COPYSTAT_OTHER_CALL;
}

/* The call that the running task is in. */
static __always_inline uint32_t call_of_current(struct task_struct *task)
{
	uint32_t call;

	if (task->flags & PF_IO_WORKER)
		return COPYSTAT_URING;
	if (task->flags & PF_KTHREAD)
		return COPYSTAT_OTHER_CALL;
	call = call_by_number(regs_call(regs_of(task)));
	return call < COPYSTAT_CALLS ? call : COPYSTAT_OTHER_CALL;
}

/* ---- files ---- */

/* Nothing read here is trusted to be there: the verifier lets it be read all the same. */
static __always_inline struct file *file_of(struct task_struct *task, uint64_t fd)
{
	struct fdtable *table = task->files->fdt;
	struct file *file = NULL;

	fd = (uint32_t)fd;
	if (fd < table->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file;
}

#define S_IFMT   0170000
#define S_IFBLK  0060000
#define S_IFREG  0100000
#define S_IFSOCK 0140000

static __always_inline uint32_t file_type(struct file *file)
{
	return file ? BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT : 0;
}

/* Its pages are in the page cache. */
static __always_inline bool is_file(uint32_t type)
{
	return type == S_IFREG || type == S_IFBLK;
}

/* What file systems without a page cache read by, for splice: into fresh pages (6.5). */
extern const void copy_splice_read __ksym __weak;

#define S_DAX            (1 << 13) /* the file is memory itself */
#define PROC_SUPER_MAGIC 0x9fa0
#define SYSFS_MAGIC      0x62656572

/* The CPU copies what splice and sendfile take from this file. */
static __always_inline bool is_made_up(struct file *file)
{
	uint64_t magic = BPF_CORE_READ(file, f_inode, i_sb, s_magic);
	const void *splice_read = BPF_CORE_READ(file, f_op, splice_read);

	return (&copy_splice_read && splice_read == &copy_splice_read) ||
	       magic == PROC_SUPER_MAGIC || magic == SYSFS_MAGIC ||
	       BPF_CORE_READ(file, f_inode, i_flags) & S_DAX;
}

/* ---- sockets ---- */

/* `file`: a socket's. */
static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return BPF_CORE_READ(socket, sk);
}

static __always_inline bool is_inet(uint16_t family)
{
	return family == AF_INET || family == AF_INET6;
}

/* Talk with the kernel about itself is nothing that anybody sends. */
#define NOBODYS COPYSTAT_KINDS

static __always_inline uint32_t kind_by_numbers(uint16_t family, uint16_t type, uint16_t protocol)
{
	if (family == AF_UNIX)
		return COPYSTAT_UNIX;
	if (family == AF_NETLINK)
		return NOBODYS;
	return is_inet(family) && protocol == IPPROTO_TCP && type == SOCK_STREAM
		   ? COPYSTAT_TCP
		   : COPYSTAT_OTHER_SOCKET;
}

/* enum copystat_kind, or NOBODYS. `sk` as the kernel gave it to a program. */
static __always_inline uint32_t kind_of(struct sock *sk)
{
	return kind_by_numbers(sk->__sk_common.skc_family, sk->sk_type, sk->sk_protocol);
}

/* `sk` as found behind a descriptor. */
static __always_inline uint32_t kind_of_found(struct sock *sk)
{
	return kind_by_numbers(BPF_CORE_READ(sk, __sk_common.skc_family),
			       BPF_CORE_READ(sk, sk_type), BPF_CORE_READ(sk, sk_protocol));
}

/* What the fexit backend counts. */
static __always_inline bool is_stream(uint32_t kind, uint16_t type)
{
	return kind == COPYSTAT_TCP || (kind == COPYSTAT_UNIX && type == SOCK_STREAM);
}

/* `sk` as the kernel gave it to a program. */
static __always_inline void own(struct sock *sk, struct task_struct *task)
{
	uint32_t tgid = (uint32_t)task->tgid, *owner;

	owner = bpf_sk_storage_get(&owner_of, sk, &tgid, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner && *owner != tgid)
		*owner = tgid;
}

#endif
