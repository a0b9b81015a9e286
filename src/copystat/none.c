/*
 * copystat where it was left out of the build: says what to install.
 */
#include "copystat/copystat.h"

#include <errno.h>

int copystat_new(const struct copystat_options *options, struct copystat **ret, struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		       "leat was built without copystat: install clang, bpftool and libbpf-dev, "
		       "then build again with `meson configure -Dcopystat=enabled`");
}

void copystat_free(struct copystat *cs)
{
}

const char *copystat_backend(const struct copystat *cs)
{
	return "none";
}

int copystat_watch(struct copystat *cs, pid_t pid, bool children)
{
	return -EOPNOTSUPP;
}

int copystat_unwatch(struct copystat *cs, pid_t pid)
{
	return -EOPNOTSUPP;
}

int copystat_read(struct copystat *cs, pid_t pid, struct copystat_counts *ret)
{
	return -EOPNOTSUPP;
}

ssize_t copystat_processes(struct copystat *cs, struct copystat_process *ret, size_t max)
{
	return -EOPNOTSUPP;
}
