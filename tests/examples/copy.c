/*
 * One call: copies a file to another and prints how it went.
 *
 *     copy SOURCE TARGET
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <leat/leat.h>

int main(int argc, char **argv)
{
	struct leat_report report = LEAT_REPORT_INIT;
	int in, out;
	int64_t n;

	if (argc != 3) {
		fprintf(stderr, "usage: copy SOURCE TARGET\n");
		return 2;
	}
	in = open(argv[1], O_RDONLY | O_CLOEXEC);
	out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (in < 0 || out < 0) {
		perror(in < 0 ? argv[1] : argv[2]);
		return 1;
	}
	n = leat_transfer(in, LEAT_CURRENT, out, LEAT_TO_END, NULL, &report);
	if (n < 0) {
		fprintf(stderr, "copy: %s: %s\n", strerror((int)-n), report.error);
		return 1;
	}
	printf("%" PRId64 " bytes by %s (%s)\n", n, leat_technique_name(report.technique),
	       report.reason);
	printf("verdict: %s, %s\n", leat_verdict_name(report.verdict), report.evidence);
	close(in);
	close(out);
	return 0;
}
