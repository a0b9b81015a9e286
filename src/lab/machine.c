#include "lab/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "sys/sys.h"

bool machine_value(const char *text, const char *key, char *ret, size_t size)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) != 0)
			continue;
		line += len + strspn(line + len, " \t:");
		snprintf(ret, size, "%.*s", (int)strcspn(line, "\n"), line);
		return true;
	}
	return false;
}

/* The beginning of a file of /proc, terminated; "" when it can't be read. */
static void read_proc(const char *path, char *buf, size_t size)
{
	int fd = sys_open(path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? -1 : sys_read(fd, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		sys_close(fd);
}

void machine_describe(struct lab_result *result)
{
	char text[4096], model[96] = "unknown processor", memory[32] = "", size[SIZE_TEXT_MAX];
	char kind[65];

	if (sys_kernel_release(result->kernel) < 0)
		snprintf(result->kernel, sizeof(result->kernel), "unknown");
	if (sys_machine(kind) < 0)
		snprintf(kind, sizeof(kind), "unknown");
	read_proc("/proc/cpuinfo", text, sizeof(text));
	machine_value(text, "model name", model, sizeof(model));
	read_proc("/proc/meminfo", text, sizeof(text));
	machine_value(text, "MemTotal", memory, sizeof(memory));
	snprintf(result->machine, sizeof(result->machine), "%s, %s, %d CPUs, %s of memory", kind,
		 model, sys_cpu_count(),
		 size_format(strtoull(memory, NULL, 10) * UINT64_C(1024), size));
	leat_capabilities_text(result->capabilities, sizeof(result->capabilities));
}
