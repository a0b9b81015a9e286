/*
 * leat copy: one transfer between two endpoints, with a report of how it went.
 *
 * Ctrl-C (and SIGTERM) has to end a transfer that waits inside leat_transfer() for a peer, and
 * still get its report. The handler therefore breaks the descriptors: every socket, pipe or device
 * of the transfer is replaced, under its number, by the end of a pipe that has no other end. The
 * call that was interrupted is made again and finds an end of file or a closed reader; no byte is
 * counted that was not moved. A file never waits, so a transfer between files stops at its next
 * progress call. A second Ctrl-C kills.
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cmd/copy_report.h"
#include "cmd/endpoint.h"
#include "cmd/progress.h"
#include "leat/leat.h"
#include "sys/sys.h"

#define SINKS_MAX 16 /* DST and --tee: more is a mistake, and each tee costs a pipe */

struct copy {
	struct endpoint source, sinks[SINKS_MAX]; /* sinks[0] is DST */
	int source_fd, sink_fds[SINKS_MAX];       /* -1: not open */
	unsigned sink_count;
	int64_t offset;
	uint64_t length;
	enum leat_technique technique;
	bool append, json;
	struct progress progress;
	struct leat_report report;
	struct err err;
};

/* ---- what is asked ---- */

static const char help[] =
    "Usage: leat copy [OPTIONS] SRC DST\n"
    "\n"
    "Moves bytes from SRC to DST without copying them where the kernel can, and says how it went.\n"
    "\n"
    "SRC and DST are\n"
    "  PATH                   a file, pipe or device (./tcp:x for a file of such a name)\n"
    "  -                      standard input or output\n"
    "  tcp:HOST:PORT          connects; an IPv6 address stands in brackets\n"
    "  tcp-listen:ADDR:PORT   waits for one connection; ADDR may be empty, PORT 0\n"
    "  unix:PATH              connects to a UNIX stream socket\n"
    "  unix-listen:PATH       waits for one connection, then removes PATH\n"
    "A DST file is created, or emptied first.\n"
    "\n"
    "Options\n"
    "      --offset N         start N bytes into SRC, which must be able to seek\n"
    "      --length N         move exactly N bytes; without it, all until SRC ends\n"
    "                         (N may end in k, M, G or T: powers of 1024)\n"
    "      --technique NAME   auto, copy, mmap, sendfile, splice, tee, vmsplice, zerocopy,\n"
    "                         range-copy or uring: this one or none at all\n"
    "      --tee DST          send the same bytes there too; may be repeated\n"
    "      --append           write behind what DST files have\n"
    "      --json             report as one JSON object on standard output\n"
    "                         (on standard error when - is a destination)\n"
    "  -h, --help             this text\n"
    "\n"
    "Examples\n"
    "  leat copy disk.img backup.img                    one file to another, by reflink if it can\n"
    "  leat copy disk.img tcp:backup.example:9000       a file to a waiting receiver\n"
    "  leat copy tcp-listen::9000 disk.img              that receiver\n"
    "  leat copy --offset 1G --length 64M disk.img -    a piece of a file to standard output\n"
    "  producer | leat copy --tee log.txt - unix:/run/consumer.sock\n"
    "  leat copy --technique splice --json big.iso tcp:127.0.0.1:9000\n"
    "\n"
    "Ends with 0; with 1 when something failed; with 2 when the arguments make no sense; with 130\n"
    "after Ctrl-C. The report tells what was moved in each case.\n";

enum option_id { OPT_OFFSET = 256, OPT_LENGTH, OPT_TECHNIQUE, OPT_TEE, OPT_APPEND, OPT_JSON };

static int parse_size(const char *option, const char *text, uint64_t *ret)
{
	/* Offsets are signed to the kernel. */
	if (size_parse(text, ret) < 0 || *ret > INT64_MAX)
		return usage_error("copy", "%s '%s': a number, perhaps with k, M, G or T", option,
				   text);
	return 0;
}

static int add_sink(struct copy *copy, const char *text)
{
	int r;

	if (copy->sink_count == SINKS_MAX)
		return usage_error("copy", "more than %d destinations", SINKS_MAX);
	r = endpoint_parse(text, &copy->sinks[copy->sink_count], &copy->err);
	if (r < 0)
		return usage_error("copy", "%s", copy->err.text);
	copy->sink_count++;
	return 0;
}

/* 0 or an exit code. */
static int parse_option(struct copy *copy, int found, char *const *argv)
{
	uint64_t bytes = 0;
	int code = 0;

	switch (found) {
	case OPT_OFFSET:
		code = parse_size("--offset", optarg, &bytes);
		copy->offset = (int64_t)bytes;
		return code;
	case OPT_LENGTH:
		return parse_size("--length", optarg, &copy->length);
	case OPT_TECHNIQUE:
		if (leat_technique_parse(optarg, &copy->technique) < 0)
			return usage_error("copy", "there is no technique '%s'", optarg);
		return 0;
	case OPT_TEE:
		return add_sink(copy, optarg);
	case OPT_APPEND:
		copy->append = true;
		return 0;
	case OPT_JSON:
		copy->json = true;
		return 0;
	default:
		return usage_error_option("copy", argv, found);
	}
}

/* What can be seen to be wrong before anything is opened. */
static int check_arguments(const struct copy *copy)
{
	bool file = false;
	unsigned standard = 0;

	for (unsigned i = 0; i < copy->sink_count; i++) {
		file = file || copy->sinks[i].kind == ENDPOINT_FILE;
		standard += copy->sinks[i].kind == ENDPOINT_STANDARD;
	}
	if (standard > 1)
		return usage_error("copy", "standard output is named twice");
	if (copy->append && !file)
		return usage_error("copy", "--append is for files, and no destination is one");
	return 0;
}

/* 0 or an exit code. */
static int parse_arguments(struct copy *copy, int argc, char **argv, bool *ret_help)
{
	static const struct option options[] = {
	    {"offset", required_argument, NULL, OPT_OFFSET},
	    {"length", required_argument, NULL, OPT_LENGTH},
	    {"technique", required_argument, NULL, OPT_TECHNIQUE},
	    {"tee", required_argument, NULL, OPT_TEE},
	    {"append", no_argument, NULL, OPT_APPEND},
	    {"json", no_argument, NULL, OPT_JSON},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int found, code;

	opterr = 0;
	copy->sink_count = 1; /* sinks[0] is for DST, which comes last */
	while ((found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (found == 'h') {
			*ret_help = true;
			return 0;
		}
		code = parse_option(copy, found, argv);
		if (code != 0)
			return code;
	}
	if (argc - optind != 2)
		return usage_error("copy", "%s",
				   argc - optind < 2 ? "SRC and DST are needed"
						     : "one SRC and one DST, not more");
	if (endpoint_parse(argv[optind], &copy->source, &copy->err) < 0 ||
	    endpoint_parse(argv[optind + 1], &copy->sinks[0], &copy->err) < 0)
		return usage_error("copy", "%s", copy->err.text);
	return check_arguments(copy);
}

/* ---- opening ---- */

/* Two names of one file: what is read would be overwritten. Devices may be named twice. */
static bool same_file(int a, int b)
{
	struct stat x, y;

	return sys_fstat(a, &x) == 0 && sys_fstat(b, &y) == 0 && S_ISREG(x.st_mode) &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int check_not_the_same(struct copy *copy, unsigned sink)
{
	const char *name = endpoint_name(&copy->sinks[sink], ENDPOINT_SINK);

	if (same_file(copy->source_fd, copy->sink_fds[sink]))
		return err_set(&copy->err, -EINVAL, "%s: is the source itself: name another file",
			       name);
	for (unsigned i = 0; i < sink; i++)
		if (same_file(copy->sink_fds[i], copy->sink_fds[sink]))
			return err_set(&copy->err, -EINVAL,
				       "%s: is the same file as %s: name it once", name,
				       endpoint_name(&copy->sinks[i], ENDPOINT_SINK));
	return 0;
}

static int check_offset(struct copy *copy)
{
	if (copy->offset == LEAT_CURRENT || sys_lseek(copy->source_fd, 0, SEEK_CUR) >= 0)
		return 0;
	return err_set(&copy->err, -ESPIPE, "%s: can't seek: leave --offset out",
		       endpoint_name(&copy->source, ENDPOINT_SOURCE));
}

/* Nothing is emptied before all is open and checked. */
static int open_all(struct copy *copy)
{
	int r = endpoint_open(&copy->source, ENDPOINT_SOURCE, false, &copy->err);

	if (r < 0)
		return r;
	copy->source_fd = r;
	r = check_offset(copy);
	for (unsigned i = 0; r >= 0 && i < copy->sink_count; i++) {
		r = endpoint_open(&copy->sinks[i], ENDPOINT_SINK, copy->append, &copy->err);
		if (r < 0)
			return r;
		copy->sink_fds[i] = r;
		r = check_not_the_same(copy, i);
	}
	for (unsigned i = 0; r >= 0 && i < copy->sink_count && !copy->append; i++)
		r = endpoint_truncate(&copy->sinks[i], copy->sink_fds[i], &copy->err);
	return r < 0 ? r : 0;
}

static int close_all(struct copy *copy)
{
	int first = 0;

	for (unsigned i = 0; i < copy->sink_count; i++) {
		struct err err;
		int r = copy->sink_fds[i] < 0
			    ? 0
			    : endpoint_close_sink(&copy->sinks[i], copy->sink_fds[i], &err);

		if (r < 0 && first == 0) {
			first = r;
			copy->err = err;
		}
	}
	if (copy->source_fd >= 0)
		sys_close(copy->source_fd);
	return first;
}

/* ---- Ctrl-C ---- */

static struct {
	volatile sig_atomic_t signal;       /* that came; 0: none */
	int ended_source, closed_sink;      /* ends of pipes without another end */
	int source_fd, sink_fds[SINKS_MAX]; /* -1: need not be broken */
	unsigned sink_count;
} stop = {.ended_source = -1, .closed_sink = -1, .source_fd = -1};

/* Only shutdown(2) and dup3(2), which are async-signal-safe. */
static void break_off(int signal)
{
	int saved = errno;

	stop.signal = signal;
	if (stop.source_fd >= 0) {
		/* io_uring holds the socket itself, whatever its number means now. */
		sys_shutdown(stop.source_fd, SHUT_RD);
		sys_dup_onto(stop.ended_source, stop.source_fd);
	}
	for (unsigned i = 0; i < stop.sink_count; i++)
		if (stop.sink_fds[i] >= 0)
			sys_dup_onto(stop.closed_sink, stop.sink_fds[i]);
	errno = saved;
}

static int if_it_can_wait(int fd)
{
	struct stat st;

	return sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? -1 : fd;
}

/* Without the pipes (no descriptors left) Ctrl-C simply kills. */
static void stop_on_signals(const struct copy *copy)
{
	int ended[2], closed[2];

	if (sys_pipe(ended) < 0)
		return;
	if (sys_pipe(closed) < 0) {
		sys_close(ended[0]);
		sys_close(ended[1]);
		return;
	}
	sys_close(ended[1]);
	sys_close(closed[0]);
	stop.ended_source = ended[0];
	stop.closed_sink = closed[1];
	stop.source_fd = if_it_can_wait(copy->source_fd);
	for (unsigned i = 0; i < copy->sink_count; i++)
		stop.sink_fds[i] = if_it_can_wait(copy->sink_fds[i]);
	stop.sink_count = copy->sink_count;
	/* A shell ignores SIGINT for jobs in the background: they stay deaf. */
	if (!sys_signal_ignored(SIGINT))
		sys_signal_handle(SIGINT, break_off);
	if (!sys_signal_ignored(SIGTERM))
		sys_signal_handle(SIGTERM, break_off);
}

/* The descriptors will be others': from now on a signal is only noted. */
static void stop_breaking_off(void)
{
	stop.source_fd = -1;
	stop.sink_count = 0;
	if (stop.ended_source >= 0) {
		sys_close(stop.ended_source);
		sys_close(stop.closed_sink);
	}
	stop.ended_source = stop.closed_sink = -1;
}

/* ---- the transfer ---- */

static int on_progress(void *arg, uint64_t bytes)
{
	progress_update(arg, bytes);
	return stop.signal;
}

/* Bytes that are expected, for the bar. */
static uint64_t expected(const struct copy *copy)
{
	struct stat st;
	int64_t from = copy->offset;

	if (copy->length != LEAT_TO_END)
		return copy->length;
	if (sys_fstat(copy->source_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return PROGRESS_UNKNOWN;
	if (from == LEAT_CURRENT)
		from = sys_lseek(copy->source_fd, 0, SEEK_CUR);
	return from < 0 || from > st.st_size ? 0 : (uint64_t)(st.st_size - from);
}

/* Whose other side is gone, for errors that don't say of which descriptor they are; NULL if none
 * can be found out. Sockets and pipes only: a full disk can't be polled for. */
static const struct endpoint *broken_end(const struct copy *copy, enum endpoint_role *ret_role)
{
	struct pollfd ends[SINKS_MAX + 1];

	for (unsigned i = 0; i < copy->sink_count; i++)
		ends[i] = (struct pollfd){.fd = copy->sink_fds[i]};
	ends[copy->sink_count] = (struct pollfd){.fd = copy->source_fd};
	if (sys_poll(ends, copy->sink_count + 1, 0) <= 0)
		return NULL;
	for (unsigned i = 0; i <= copy->sink_count; i++) {
		if (!(ends[i].revents & (POLLERR | POLLHUP)))
			continue;
		*ret_role = i < copy->sink_count ? ENDPOINT_SINK : ENDPOINT_SOURCE;
		return i < copy->sink_count ? &copy->sinks[i] : &copy->source;
	}
	return NULL;
}

/* The one line that says what went wrong. The engine's text has offsets and sizes, but knows no
 * names. */
static void explain(struct copy *copy, int error)
{
	const struct leat_report *report = &copy->report;
	const char *source = endpoint_name(&copy->source, ENDPOINT_SOURCE);
	const char *sink = endpoint_name(&copy->sinks[0], ENDPOINT_SINK);
	const char *engine = report->error[0] ? report->error : strerrordesc_np(-error);
	unsigned long long bytes = report->ledger.bytes;
	enum endpoint_role role = ENDPOINT_SINK;
	const struct endpoint *end = copy->sink_count == 1 ? &copy->sinks[0] : NULL;

	switch (-error) {
	case ENODATA:
		err_set(&copy->err, error, "%s: ended before --length: %s", source, engine);
		return;
	case EOPNOTSUPP:
		err_set(&copy->err, error, "%s to %s: %s: try another technique, or auto", source,
			sink, engine);
		return;
	case EPIPE:
	case ECONNRESET:
		end = broken_end(copy, &role);
		break;
	case ENOSPC:
	case EDQUOT:
		break;
	default:
		end = NULL;
	}
	if (end)
		err_set(&copy->err, error, "%s: %s, after %llu bytes", endpoint_name(end, role),
			endpoint_advice(end, role, error), bytes);
	else
		err_set(&copy->err, error, "%s to %s%s: %s", source, sink,
			copy->sink_count > 1 ? " and --tee" : "", engine);
}

static int transfer(struct copy *copy)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	int64_t r;

	options.technique = copy->technique;
	options.flags = LEAT_MAY_BLOCK | LEAT_MAY_LOAD;
	options.progress = on_progress;
	options.progress_arg = &copy->progress;
	options.mirrors = copy->sink_fds + 1;
	options.mirror_count = copy->sink_count - 1;
	stop_on_signals(copy);
	progress_start(&copy->progress, sys_is_terminal(2) ? 2 : -1, expected(copy));
	r = leat_transfer(copy->source_fd, copy->offset, copy->sink_fds[0], copy->length, &options,
			  &copy->report);
	stop_breaking_off();
	progress_end(&copy->progress);
	if (stop.signal)
		return err_set(&copy->err, -EINTR, "%s to %s: interrupted",
			       endpoint_name(&copy->source, ENDPOINT_SOURCE),
			       endpoint_name(&copy->sinks[0], ENDPOINT_SINK));
	if (r < 0) {
		explain(copy, (int)r);
		return (int)r;
	}
	return 0;
}

static void print_report(const struct copy *copy, bool moved, int error)
{
	FILE *out = stdout;

	if (error)
		fprintf(stderr, "leat copy: %s\n", copy->err.text);
	if (!copy->json) {
		if (moved)
			copy_report_text(stderr, &copy->report);
		return;
	}
	for (unsigned i = 0; i < copy->sink_count; i++)
		if (copy->sinks[i].kind == ENDPOINT_STANDARD)
			out = stderr;
	copy_report_json(out, &copy->report, error ? copy->err.text : NULL);
}

int cmd_copy(int argc, char **argv)
{
	struct copy copy = {.source_fd = -1,
			    .offset = LEAT_CURRENT,
			    .length = LEAT_TO_END,
			    .report = LEAT_REPORT_INIT};
	bool show_help = false, moved = false;
	int r, code = parse_arguments(&copy, argc, argv, &show_help);

	if (show_help) {
		fputs(help, stdout);
		return EXIT_OK;
	}
	if (code != 0)
		return code;
	copy.report.reason = "nothing was moved";
	copy.report.verdict = LEAT_UNKNOWN;
	for (unsigned i = 0; i < SINKS_MAX; i++)
		copy.sink_fds[i] = -1;
	r = open_all(&copy);
	if (r == 0) {
		r = transfer(&copy);
		moved = true;
	}
	code = close_all(&copy);
	if (r == 0)
		r = code;
	print_report(&copy, moved, r);
	if (stop.signal)
		return EXIT_SIGNAL + stop.signal;
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
