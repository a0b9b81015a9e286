/*
 * What copystat counts for a process. Shared by the eBPF programs, which add to it, and everybody
 * who reads it: only numbers, the same in both.
 *
 * Bytes are counted where the kernel moves them, all threads of a process together. All columns only
 * grow. Of each kind of socket `sent` is `sent_copied` + `sent_by_reference`: how the bytes left
 * the call. What the kernel copied on the way all the same is counted apart, once for each copy:
 *
 *     file --file_read--> process memory --sent_copied--> socket --linearised, unshared--> device
 *     file ---------------sent_by_reference-------------> socket --linearised, unshared--> device
 *        \_file_made_up
 */
#ifndef COPYSTAT_COUNTS_H
#define COPYSTAT_COUNTS_H

#include <stdint.h>

enum copystat_kind {
	COPYSTAT_TCP,
	COPYSTAT_UNIX,
	COPYSTAT_OTHER_SOCKET, /* UDP ...; not netlink, which is talk with the kernel */
	COPYSTAT_KINDS,
};

/* System calls, in families. */
enum copystat_call {
	COPYSTAT_OTHER_CALL, /* everything that is not named below */
	COPYSTAT_READ,       /* read, pread, readv, preadv, preadv2 */
	COPYSTAT_WRITE,      /* their opposites */
	COPYSTAT_SEND,       /* sendto, sendmsg, sendmmsg */
	COPYSTAT_RECV,       /* recvfrom, recvmsg, recvmmsg */
	COPYSTAT_SENDFILE,
	COPYSTAT_SPLICE,
	COPYSTAT_TEE,
	COPYSTAT_VMSPLICE,
	COPYSTAT_COPY_RANGE, /* copy_file_range */
	COPYSTAT_URING,      /* io_uring_enter, and what io_uring's workers do */
	COPYSTAT_WAIT,       /* epoll_wait, poll, select and their like */
	COPYSTAT_CALLS,
};

struct copystat_socket_counts {
	uint64_t sent;
	uint64_t sent_copied;       /* by the CPU, inside the call */
	uint64_t sent_by_reference; /* sendfile, splice, MSG_ZEROCOPY: as the call left them */
	uint64_t received;
	uint64_t received_copied; /* into the process's memory; less where splice received */
};

struct copystat_call_counts {
	uint64_t calls;    /* that have returned */
	uint64_t sent;     /* bytes to sockets */
	uint64_t received; /* bytes from sockets */
};

/* The device that made the kernel copy, the last one if there were several. */
struct copystat_device {
	char name[16]; /* "": there was none */
	uint32_t scatter_gather, checksum;
};

struct copystat_counts {
	struct copystat_socket_counts sockets[COPYSTAT_KINDS];
	struct copystat_call_counts calls[COPYSTAT_CALLS];
	uint64_t file_read;         /* copied from the page cache into the process's memory */
	uint64_t file_read_direct;  /* O_DIRECT: written there by the device */
	uint64_t file_by_reference; /* taken from files by sendfile and splice */
	uint64_t file_written;      /* copied from the process's memory into the page cache */
	uint64_t file_made_up; /* of that: by file systems that copy it into pages of its own */
	uint64_t linearised;   /* copied into linear buffers for a device, or by TCP for it */
	uint64_t unshared;     /* MSG_ZEROCOPY pages copied, since they came back to this host */
	struct copystat_device device;
};

#endif
