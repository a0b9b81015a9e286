#include "lab/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "sys/sys.h"

static void read_usage(struct usage *usage)
{
	struct rusage now;

	if (sys_usage(&now) < 0)
		return;
	usage->faults = (uint64_t)(now.ru_minflt + now.ru_majflt);
	usage->switches = (uint64_t)(now.ru_nvcsw + now.ru_nivcsw);
	usage->disk_bytes = (uint64_t)now.ru_inblock * 512;
}

void usage_begin(struct usage *usage)
{
	*usage = (struct usage){0};
	read_usage(usage);
	usage->start_ns = sys_now_ns();
	usage->cpu_ns = sys_process_cpu_ns();
}

void usage_end(struct usage *usage)
{
	struct usage now = {.cpu_ns = sys_process_cpu_ns(), .end_ns = sys_now_ns()};

	read_usage(&now);
	usage->cpu_ns = now.cpu_ns - usage->cpu_ns;
	usage->end_ns = now.end_ns;
	usage->faults = now.faults - usage->faults;
	usage->switches = now.switches - usage->switches;
	usage->disk_bytes = now.disk_bytes - usage->disk_bytes;
}

static _Noreturn void live(worker_main main, int channel, int parent)
{
	/* The lab's own handlers are not for its workers: Ctrl-C ends them at once. */
	sys_signal_handle(SIGINT, SIG_DFL);
	sys_signal_handle(SIGTERM, SIG_DFL);
	if (sys_die_with_parent(parent) == 0)
		main(channel);
	sys_exit(0);
}

int worker_start(struct worker *worker, worker_main main, struct err *err)
{
	int ends[2], parent = sys_pid();
	int pid, r = sys_socketpair(AF_UNIX, SOCK_SEQPACKET, ends);

	if (r < 0)
		return err_set(err, r, "no channel to a worker: %s", strerrordesc_np(-r));
	pid = sys_fork();
	if (pid == 0) {
		sys_close(ends[0]);
		live(main, ends[1], parent);
	}
	sys_close(ends[1]);
	if (pid < 0) {
		sys_close(ends[0]);
		return err_set(err, pid, "no worker process: %s", strerrordesc_np(-pid));
	}
	*worker = (struct worker){.pid = pid, .channel = ends[0]};
	return 0;
}

void worker_end(struct worker *worker)
{
	int status;

	if (worker->pid == 0)
		return;
	sys_close(worker->channel);
	/* It may be deep in a transfer that nobody takes any more. */
	sys_kill(worker->pid, SIGKILL);
	sys_wait_for(worker->pid, &status);
	worker->pid = 0;
}
