/*
 * Loads the ledger's programs into the kernel, leaves out those that this kernel has nothing to
 * attach to, and reads the maps they write. One struct copystat a thread.
 */
#include "copystat/copystat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ledger.skel.h>

#include "copystat/shared.h"
#include "sys/sys.h"

struct copystat {
	struct ledger *ledger;
	enum copystat_backend backend;
	int cpus;
	struct copystat_counts *by_cpu; /* as many, for one process: what the kernel hands over */
};

/* ---- which programs ---- */

/* Without these there is nothing to tell; the others are there or replaced. */
static const char *const needed[] = {"sys_exit", "skb_copy_datagram_iovec", "net_dev_queue",
				     "net_dev_start_xmit"};

static bool has_tracepoint(const struct btf *kernel, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(kernel, type, BTF_KIND_TYPEDEF) > 0;
}

static bool has_function(const struct btf *kernel, const char *name)
{
	return btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) > 0;
}

/* A program's section names what it attaches to: "tp_btf/sys_exit", "fexit/unix_stream_sendmsg". */
static bool program_fits(const struct btf *kernel, const char *section, bool fexit)
{
	const char *name = strchr(section, '/');

	CHECK(name);
	name++;
	if (strcmp(section, "tp_btf/tcp_sendmsg_locked") == 0 && fexit)
		return false; /* the function itself is traced */
	if (strncmp(section, "tp_btf/", 7) == 0)
		return has_tracepoint(kernel, name);
	return fexit && has_function(kernel, name);
}

static void choose_programs(struct ledger *ledger, const struct btf *kernel, bool fexit)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, ledger->obj)
	{
		const char *section = bpf_program__section_name(program);

		bpf_program__set_autoload(program, program_fits(kernel, section, fexit));
	}
}

/* ---- what they are told ---- */

static const struct {
	uint16_t number;
	uint8_t call;
} known_calls[] = {
    {SYS_read, COPYSTAT_READ},
    {SYS_pread64, COPYSTAT_READ},
    {SYS_readv, COPYSTAT_READ},
    {SYS_preadv, COPYSTAT_READ},
    {SYS_preadv2, COPYSTAT_READ},
    {SYS_write, COPYSTAT_WRITE},
    {SYS_pwrite64, COPYSTAT_WRITE},
    {SYS_writev, COPYSTAT_WRITE},
    {SYS_pwritev, COPYSTAT_WRITE},
    {SYS_pwritev2, COPYSTAT_WRITE},
    {SYS_sendto, COPYSTAT_SEND},
    {SYS_sendmsg, COPYSTAT_SEND},
    {SYS_sendmmsg, COPYSTAT_SEND},
    {SYS_recvfrom, COPYSTAT_RECV},
    {SYS_recvmsg, COPYSTAT_RECV},
    {SYS_recvmmsg, COPYSTAT_RECV},
    {SYS_sendfile, COPYSTAT_SENDFILE},
    {SYS_splice, COPYSTAT_SPLICE},
    {SYS_tee, COPYSTAT_TEE},
    {SYS_vmsplice, COPYSTAT_VMSPLICE},
    {SYS_copy_file_range, COPYSTAT_COPY_RANGE},
    {SYS_io_uring_enter, COPYSTAT_URING},
    {SYS_epoll_pwait, COPYSTAT_WAIT},
    {SYS_epoll_pwait2, COPYSTAT_WAIT},
    {SYS_ppoll, COPYSTAT_WAIT},
    {SYS_pselect6, COPYSTAT_WAIT},
#ifdef SYS_epoll_wait /* not on newer processors */
    {SYS_epoll_wait, COPYSTAT_WAIT},
    {SYS_poll, COPYSTAT_WAIT},
    {SYS_select, COPYSTAT_WAIT},
#endif
};

static void tell(struct ledger *ledger, const struct btf *kernel, bool all, bool fexit)
{
	ledger->rodata->all_processes = all;
	ledger->rodata->own_tgid = (uint32_t)sys_pid();
	ledger->rodata->no_sock_length = !has_tracepoint(kernel, "sock_send_length");
	ledger->rodata->late_owners = !fexit && !has_tracepoint(kernel, "tcp_sendmsg_locked");
	ledger->rodata->fexit = fexit;
	for (size_t i = 0; i < ARRAY_SIZE(known_calls); i++)
		ledger->rodata->call_of[known_calls[i].number] = known_calls[i].call;
}

/* ---- loading ---- */

/* libbpf's last complaint, for errors that we have no words of our own for. */
static char complaint[ERR_TEXT_MAX];

PRINTF_LIKE(2, 0)
static int keep_complaint(enum libbpf_print_level level, const char *fmt, va_list args)
{
	/* Verifier logs have many lines; the complaint itself has one. */
	if (level == LIBBPF_WARN && !strstr(fmt, "LOG")) {
		vsnprintf(complaint, sizeof(complaint), fmt, args);
		complaint[strcspn(complaint, "\n")] = '\0';
	}
	return 0;
}

static int explain(int error, bool fexit, struct err *err)
{
	if (error == -EPERM && fexit)
		return err_set(
		    err, error,
		    "fexit: not permitted: needs root, or CAP_BPF and CAP_PERFMON, and a "
		    "kernel that is not locked down (--backend tracepoint may be allowed)");
	if (error == -EPERM)
		return err_set(
		    err, error,
		    "not permitted to load eBPF: run it as root, or with CAP_BPF and CAP_PERFMON");
	return err_set(err, error, "the kernel refuses the programs: %s (%s)", strerror(-error),
		       complaint);
}

static int load(const struct copystat_options *options, const struct btf *kernel, bool fexit,
		struct ledger **ret, struct err *err)
{
	struct ledger *ledger = ledger__open();
	int r;

	if (!ledger)
		return explain(-errno, fexit, err);
	choose_programs(ledger, kernel, fexit);
	tell(ledger, kernel, options->all, fexit);
	r = ledger__load(ledger);
	if (r == 0)
		r = ledger__attach(ledger);
	if (r < 0) {
		ledger__destroy(ledger);
		return explain(r, fexit, err);
	}
	*ret = ledger;
	return 0;
}

static int load_either(const struct copystat_options *options, const struct btf *kernel,
		       struct copystat *cs, struct err *err)
{
	/* Without tcp_sendmsg_locked (6.16) tracepoints learn late whose a socket is. */
	bool fexit = options->backend == COPYSTAT_BACKEND_FEXIT ||
		     (options->backend == COPYSTAT_BACKEND_AUTO &&
		      !has_tracepoint(kernel, "tcp_sendmsg_locked"));
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!has_tracepoint(kernel, needed[i]))
			return err_set(err, -EOPNOTSUPP, "this kernel has no tracepoint %s",
				       needed[i]);
	r = fexit && !has_function(kernel, "tcp_sendmsg_locked")
		? err_set(err, -EOPNOTSUPP, "fexit: this kernel has no function tcp_sendmsg_locked")
		: load(options, kernel, fexit, &cs->ledger, err);
	if (r < 0 && fexit && options->backend == COPYSTAT_BACKEND_AUTO) {
		fexit = false;
		r = load(options, kernel, fexit, &cs->ledger, err);
	}
	cs->backend = fexit ? COPYSTAT_BACKEND_FEXIT : COPYSTAT_BACKEND_TRACEPOINT;
	return r;
}

/* The programs see the machine's process ids; PROC_PID_INIT_INO of linux/proc_ns.h. */
static int check_pid_namespace(struct err *err)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, "/proc/self/ns/pid", &st, 0) < 0 || st.st_ino == 0xEFFFFFFC)
		return 0;
	return err_set(err, -EOPNOTSUPP,
		       "runs in a container with process ids of its own: run it on the host, or "
		       "start the container with --pid=host");
}

static int load_with_btf(const struct copystat_options *options, struct copystat *cs,
			 struct err *err)
{
	libbpf_print_fn_t print = libbpf_set_print(keep_complaint);
	struct btf *kernel = btf__load_vmlinux_btf();
	int r;

	if (kernel)
		r = load_either(options, kernel, cs, err);
	else
		r = err_set(err, -EOPNOTSUPP,
			    "this kernel does not describe itself: no /sys/kernel/btf/vmlinux "
			    "(CONFIG_DEBUG_INFO_BTF)");
	btf__free(kernel);
	libbpf_set_print(print);
	return r;
}

int copystat_new(const struct copystat_options *options, struct copystat **ret, struct err *err)
{
	struct copystat *cs = calloc(1, sizeof(*cs));
	int r = check_pid_namespace(err);

	if (r == 0 && cs)
		cs->cpus = libbpf_num_possible_cpus();
	if (r == 0 && cs && cs->cpus > 0)
		cs->by_cpu = calloc((size_t)cs->cpus, sizeof(*cs->by_cpu));
	if (r == 0 && (!cs || !cs->by_cpu))
		r = err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = load_with_btf(options, cs, err);
	if (r < 0) {
		copystat_free(cs);
		return r;
	}
	*ret = cs;
	return 0;
}

void copystat_free(struct copystat *cs)
{
	if (!cs)
		return;
	ledger__destroy(cs->ledger);
	free(cs->by_cpu);
	free(cs);
}

const char *copystat_backend(const struct copystat *cs)
{
	return cs->backend == COPYSTAT_BACKEND_FEXIT ? "fexit" : "tracepoint";
}

/* ---- processes ---- */

/* Not a thread of one. */
static bool is_process(pid_t pid)
{
	char path[32], text[1024];
	const char *tgid;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	len = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[len > 0 ? len : 0] = '\0';
	tgid = strstr(text, "\nTgid:\t");
	return tgid && atoi(tgid + 7) == pid;
}

int copystat_watch(struct copystat *cs, pid_t pid, bool children)
{
	struct copystat_entry entry = {.children = children};
	uint32_t key = (uint32_t)pid;
	int r;

	if (pid <= 0 || !is_process(pid))
		return -ESRCH;
	copystat_name(pid, entry.comm);
	memset(cs->by_cpu, 0, (size_t)cs->cpus * sizeof(*cs->by_cpu));
	r = bpf_map__update_elem(cs->ledger->maps.processes, &key, sizeof(key), &entry,
				 sizeof(entry), BPF_ANY);
	if (r == 0)
		r = bpf_map__update_elem(cs->ledger->maps.counts_of, &key, sizeof(key), cs->by_cpu,
					 (size_t)cs->cpus * sizeof(*cs->by_cpu), BPF_NOEXIST);
	return r == -EEXIST ? 0 : r;
}

int copystat_unwatch(struct copystat *cs, pid_t pid)
{
	uint32_t key = (uint32_t)pid;

	bpf_map__delete_elem(cs->ledger->maps.processes, &key, sizeof(key), 0);
	return bpf_map__delete_elem(cs->ledger->maps.counts_of, &key, sizeof(key), 0) < 0 ? -ESRCH
											  : 0;
}

int copystat_read(struct copystat *cs, pid_t pid, struct copystat_counts *ret)
{
	struct copystat_counts sum = {0};
	uint32_t key = (uint32_t)pid;
	int r = bpf_map__lookup_elem(cs->ledger->maps.counts_of, &key, sizeof(key), cs->by_cpu,
				     (size_t)cs->cpus * sizeof(*cs->by_cpu), 0);

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	for (int cpu = 0; cpu < cs->cpus; cpu++)
		copystat_add(&sum, &cs->by_cpu[cpu]);
	*ret = sum;
	return 0;
}

ssize_t copystat_processes(struct copystat *cs, struct copystat_process *ret, size_t max)
{
	const struct bpf_map *map = cs->ledger->maps.processes;
	uint32_t key, *previous = NULL;
	size_t count = 0;

	while (bpf_map__get_next_key(map, previous, &key, sizeof(key)) == 0) {
		struct copystat_entry entry;

		previous = &key;
		if (bpf_map__lookup_elem(map, &key, sizeof(key), &entry, sizeof(entry), 0) < 0)
			continue;
		if (count < max) {
			struct copystat_process *process = &ret[count];

			*process =
			    (struct copystat_process){.pid = (pid_t)key, .ended = entry.ended != 0};
			memcpy(process->comm, entry.comm, sizeof(process->comm));
			if (!entry.ended)
				copystat_name(process->pid, process->comm); /* after an exec */
		}
		count++;
	}
	return (ssize_t)count;
}
