/*
 * What the eBPF programs know of the kernel: the members that they read, and nothing else.
 *
 * The offsets are not these: libbpf takes them from the running kernel's BTF when it loads the
 * programs (CO-RE), so one build fits 6.1 to 6.18. Members of anonymous structs and unions are
 * found by name wherever they are.
 */
#ifndef COPYSTAT_KERNEL_BPF_H
#define COPYSTAT_KERNEL_BPF_H

#include <asm/unistd.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* ---- what differs by processor: a system call's registers, O_DIRECT ---- */

#if defined(COPYSTAT_AARCH64)
struct pt_regs {
	uint64_t regs[31];
	uint64_t orig_x0;
	int syscallno;
};
#define regs_call(regs) ((long)(regs)->syscallno)
#define regs_arg1(regs) ((regs)->orig_x0)
#define regs_arg2(regs) ((regs)->regs[1])
#define regs_arg3(regs) ((regs)->regs[2])
#define regs_arg4(regs) ((regs)->regs[3])
#define O_DIRECT        0200000
#else /* x86-64; meson.build lets no other pass */
struct pt_regs {
	unsigned long r10, dx, si, di, orig_ax;
};
#define regs_call(regs) ((long)(regs)->orig_ax)
#define regs_arg1(regs) ((regs)->di)
#define regs_arg2(regs) ((regs)->si)
#define regs_arg3(regs) ((regs)->dx)
#define regs_arg4(regs) ((regs)->r10)
#define O_DIRECT        040000
#endif

/* ---- files ---- */

struct super_block {
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	unsigned int i_flags;
	struct super_block *i_sb;
};

struct file_operations {
	void *splice_read;
};

struct file {
	struct inode *f_inode;
	const struct file_operations *f_op;
	void *private_data; /* of a socket's file: its struct socket */
	unsigned int f_flags;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

/* ---- tasks ---- */

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads that have not begun to exit */
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	struct task_struct *group_leader;
	struct files_struct *files;
	struct signal_struct *signal;
	void *worker_private; /* of an io_uring worker: its struct io_worker */
	char comm[16];
};

#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD   0x00200000

struct io_wq_work;

struct io_worker {
	struct io_wq_work *cur_work;
};

struct io_kiocb {
	uint8_t opcode;
	struct {
		int cancel_seq;
	} work;
};

/* ---- sockets ---- */

struct sock_common {
	unsigned short skc_family;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	uint16_t sk_type, sk_protocol;
	uint64_t sk_route_caps;
};

enum sock_flags { SOCK_ZEROCOPY = 0 }; /* its number is the kernel's */

struct socket {
	struct sock *sk;
};

struct msghdr {
	unsigned int msg_flags;
};

#define AF_UNIX          1
#define AF_INET          2
#define AF_INET6         10
#define AF_NETLINK       16
#define SOCK_STREAM      1
#define IPPROTO_TCP      6
#define MSG_PEEK         0x2
#define MSG_ERRQUEUE     0x2000
#define MSG_ZEROCOPY     0x4000000
#define MSG_SPLICE_PAGES 0x8000000 /* 6.5 */

/* ---- packets and devices ---- */

struct sk_buff {
	struct sock *sk;
	unsigned int len, data_len;
	uint16_t transport_header, network_header;
	unsigned int end;
	unsigned char *head, *data;
};

struct skb_shared_info {
	uint8_t flags;
	void *destructor_arg; /* of MSG_ZEROCOPY pages: their struct ubuf_info */
};

#define SKBFL_ZEROCOPY_ENABLE 1

struct rtnl_link_ops {
	const char *kind;
};

struct net_device {
	char name[16];
	unsigned int flags;
	uint64_t features;
	const struct rtnl_link_ops *rtnl_link_ops;
};

#define IFF_LOOPBACK 0x8

/* Bits of net_device.features and sock.sk_route_caps (include/linux/netdev_features.h). */
#define NETIF_F_SG        (1ull << 0)
#define NETIF_F_CSUM_MASK (1ull << 1 | 1ull << 3 | 1ull << 4) /* IPv4, any, IPv6 */

#pragma clang attribute pop

#endif
