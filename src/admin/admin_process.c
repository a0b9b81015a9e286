#include "admin/admin_process.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/metrics.h"
#include "config.h"
#include "sys/sys.h"

static const struct metric metric_build = {"leat_build_info", METRIC_GAUGE,
					   "Always 1; its labels say what runs: version, kernel."};
static const struct metric metric_cpu = {"process_cpu_seconds_total", METRIC_COUNTER,
					 "CPU time of the process, user and system."};
static const struct metric metric_resident = {"process_resident_memory_bytes", METRIC_GAUGE,
					      "Memory of the process that is in RAM."};
static const struct metric metric_virtual = {"process_virtual_memory_bytes", METRIC_GAUGE,
					     "Addresses of the process, reserved ones too."};
static const struct metric metric_fds = {"process_open_fds", METRIC_GAUGE, "Open descriptors."};
static const struct metric metric_fds_max = {"process_max_fds", METRIC_GAUGE,
					     "How many descriptors may be open."};
static const struct metric metric_started = {"process_start_time_seconds", METRIC_GAUGE,
					     "When it was started, seconds since 1970."};

void admin_process_open(struct admin_process *process)
{
	*process = (struct admin_process){
	    .statm = sys_open("/proc/self/statm", O_RDONLY, 0),
	    .fds = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY, 0),
	    .started = sys_wall_time(),
	    .started_ns = sys_now_ns(),
	};
	if (sys_kernel_release(process->kernel) < 0)
		strcpy(process->kernel, "unknown");
}

void admin_process_close(struct admin_process *process)
{
	if (process->statm >= 0)
		sys_close(process->statm);
	if (process->fds >= 0)
		sys_close(process->fds);
}

/* False: unknown. */
static bool read_memory(const struct admin_process *process, uint64_t *ret_virtual,
			uint64_t *ret_resident)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char text[128], *end;
	ssize_t n = process->statm < 0 ? -1 : sys_pread(process->statm, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	*ret_virtual = strtoull(text, &end, 10) * page;
	*ret_resident = strtoull(end, NULL, 10) * page;
	return true;
}

/* By counting: before Linux 6.2 (f1f1f2569901) the directory's size does not say it. */
static uint64_t count_entries(int dir)
{
	char records[4096];
	uint64_t count = 0;
	ssize_t n;

	if (sys_lseek(dir, 0, SEEK_SET) < 0)
		return 0;
	while ((n = sys_getdents(dir, records, sizeof(records))) > 0)
		for (ssize_t at = 0; at < n; count++)
			at += ((const struct dirent64 *)(const void *)(records + at))->d_reclen;
	return count > 2 ? count - 2 : 0; /* without the two dots */
}

/* 0: unknown. */
static uint64_t open_fds(const struct admin_process *process)
{
	struct stat st;

	if (process->fds < 0 || sys_fstat(process->fds, &st) < 0)
		return 0;
	return st.st_size > 0 ? (uint64_t)st.st_size : count_entries(process->fds);
}

void admin_process_metrics(const struct admin_process *process, struct buf *out)
{
	uint64_t virtual, resident, fds = open_fds(process);

	metric_begin(out, &metric_build);
	metric_sample(out, &metric_build,
		      &(struct metric_labels){"version", LEAT_VERSION, "kernel", process->kernel},
		      1);
	metric_put_ns(out, &metric_cpu, sys_process_cpu_ns());
	if (read_memory(process, &virtual, &resident)) {
		metric_put(out, &metric_resident, resident);
		metric_put(out, &metric_virtual, virtual);
	}
	if (fds)
		metric_put(out, &metric_fds, fds);
	metric_put(out, &metric_fds_max, sys_fd_limit());
	metric_put(out, &metric_started, (uint64_t)process->started);
}

void admin_process_status(const struct admin_process *process, struct buf *out)
{
	uint64_t virtual, resident;

	json_text(out, "version", LEAT_VERSION);
	json_text(out, "kernel", process->kernel);
	json_u64(out, "pid", (uint64_t)sys_pid());
	json_u64(out, "started", (uint64_t)process->started);
	json_u64(out, "uptime_seconds", (sys_now_ns() - process->started_ns) / 1000000000);
	json_u64(out, "cpu_milliseconds", sys_process_cpu_ns() / 1000000);
	if (read_memory(process, &virtual, &resident))
		json_u64(out, "resident_bytes", resident);
	json_u64(out, "open_fds", open_fds(process));
}
