/*
 * The ledger: sends a file through a socket pair by each technique, and prints what each of them
 * moved by reference, what it copied, and how many system calls it made.
 *
 *     ledger FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <leat/leat.h>

static void *discard(void *arg)
{
	char buf[65536];
	int fd = *(int *)arg;

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

static int send_by(enum leat_technique technique, int file)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	pthread_t reader;
	int ends[2];
	int64_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
	    pthread_create(&reader, NULL, discard, &ends[1]) != 0)
		return 1;
	options.technique = technique;
	n = leat_transfer(file, 0, ends[0], LEAT_TO_END, &options, &report);
	close(ends[0]);
	pthread_join(reader, NULL);
	close(ends[1]);
	if (n < 0)
		printf("%-10s %s\n", leat_technique_name(technique), report.error);
	else
		printf("%-10s %12" PRIu64 " %12" PRIu64 " %8" PRIu64 "  %s\n",
		       leat_technique_name(technique), report.ledger.bytes_by_reference,
		       report.ledger.bytes_copied, report.ledger.syscalls, report.evidence);
	return n < 0 && n != -EOPNOTSUPP /* not for a UNIX socket, or not on this kernel */;
}

int main(int argc, char **argv)
{
	char line[200];
	int status = 0;
	int file;

	if (argc != 2 || (file = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0)
		return 2;
	leat_capabilities_text(line, sizeof(line));
	printf("%s\n%-10s %12s %12s %8s\n", line, "technique", "by reference", "copied", "calls");
	for (int i = LEAT_AUTO; i < LEAT_TECHNIQUE_COUNT; i++)
		status |= send_by((enum leat_technique)i, file);
	close(file);
	return status;
}
