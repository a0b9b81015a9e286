/*
 * leat copystat: shows what processes copy and what they move by reference.
 *
 * One loop: it waits for the next interval or a signal, looks at the ledger, shows what happened.
 * Ctrl-C is the usual end, and what comes after it is the summary. A command is started stopped,
 * watched, and let go; its end is ours, and its exit status too.
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "cmd/copystat_rows.h"
#include "cmd/copystat_view.h"
#include "sys/sys.h"

#define SECOND_NS    UINT64_C(1000000000)
#define PIDS_MAX     1024 /* given by number or found by name */
#define ROWS_TOP     20   /* lines of --top: what the smallest terminals show */
#define ROWS_A_TITLE 20
#define LEFTOVERS_MS 100

struct watcher {
	/* what is asked */
	pid_t pids[PIDS_MAX];
	size_t pid_count;
	const char *name, *output;
	char **command;
	bool json, top;
	double interval, duration; /* seconds; 0: for ever */
	struct copystat_options options;
	/* what is going on */
	struct copystat *cs;
	FILE *out;
	int signals, output_fd; /* -1: not open */
	struct sys_command child;
	int child_status;
	bool child_ended, stopping, over;
	unsigned rows_shown;
	struct rows rows;
	uint64_t start_ns, shown_ns;
	struct err err;
};

static const char help[] =
    "Usage: leat copystat [OPTIONS] -p PID[,PID...]\n"
    "       leat copystat [OPTIONS] --name NAME\n"
    "       leat copystat [OPTIONS] --all\n"
    "       leat copystat [OPTIONS] -- COMMAND [ARGUMENTS]\n"
    "\n"
    "Shows how many bytes processes send and receive, how many of them the CPU copied, and how\n"
    "many went by reference; live, and as a summary at the end (Ctrl-C). Needs root, or CAP_BPF\n"
    "and CAP_PERFMON.\n"
    "\n"
    "  -p, --pid PID[,PID]   these processes\n"
    "  -n, --name NAME       all processes of this name, also those that start later\n"
    "  -a, --all             every process\n"
    "      -- COMMAND        runs it, and watches it and its children until it ends\n"
    "  -i, --interval SEC    time between two looks [1]\n"
    "  -d, --duration SEC    ends after that [Ctrl-C, or the end of all processes]\n"
    "      --top             a table that stays in place, who sends most first\n"
    "      --json            one JSON object a process and interval, no summary\n"
    "  -o, --output FILE     writes there [standard output; with a COMMAND, standard error]\n"
    "      --backend NAME    auto, tracepoint or fexit [auto]\n"
    "  -h, --help            this text\n"
    "\n"
    "SENT, RECV and FILES are bytes a second to sockets, from sockets, and read from files; BY "
    "REF\n"
    "is the part of what was sent that left the call as a reference, LATER the part of that which\n"
    "the kernel copied all the same; COPIES are copies by the CPU for each byte sent.\n"
    "\n"
    "Examples\n"
    "  leat copystat --name nginx\n"
    "  leat copystat -p 1234 --interval 5 --duration 60 --json > log\n"
    "  leat copystat --all --top\n"
    "  leat copystat -- python3 -m http.server\n";

/* ---- what is asked ---- */

enum option_id { OPT_TOP = 256, OPT_JSON, OPT_BACKEND };

static int parse_seconds(const char *option, const char *text, double *ret)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.01 && seconds <= 1e9))
		return usage_error("copystat", "%s '%s': seconds, such as 1 or 0.5", option, text);
	*ret = seconds;
	return 0;
}

static int parse_pids(struct watcher *w, const char *text)
{
	const char *at = text;

	for (;;) {
		char *end;
		long pid = strtol(at, &end, 10);

		if (end == at || pid <= 0 || pid > INT32_MAX || (*end && *end != ','))
			return usage_error("copystat", "-p '%s': process ids, such as 1234,1235",
					   text);
		if (w->pid_count == PIDS_MAX)
			return usage_error("copystat", "-p: more than %d processes", PIDS_MAX);
		w->pids[w->pid_count++] = (pid_t)pid;
		if (!*end)
			return 0;
		at = end + 1;
	}
}

static int parse_backend(struct watcher *w, const char *text)
{
	static const char *const names[] = {
	    [COPYSTAT_BACKEND_AUTO] = "auto",
	    [COPYSTAT_BACKEND_TRACEPOINT] = "tracepoint",
	    [COPYSTAT_BACKEND_FEXIT] = "fexit",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], text) == 0) {
			w->options.backend = (enum copystat_backend)i;
			return 0;
		}
	return usage_error("copystat", "there is no backend '%s': auto, tracepoint or fexit", text);
}

/* 0 or an exit code. */
static int parse_option(struct watcher *w, int found, char *const *argv)
{
	switch (found) {
	case 'p':
		return parse_pids(w, optarg);
	case 'n':
		w->name = optarg;
		return *optarg ? 0 : usage_error("copystat", "--name needs a name");
	case 'a':
		w->options.all = true;
		return 0;
	case 'i':
		return parse_seconds("--interval", optarg, &w->interval);
	case 'd':
		return parse_seconds("--duration", optarg, &w->duration);
	case 'o':
		w->output = optarg;
		return 0;
	case OPT_TOP:
		w->top = true;
		return 0;
	case OPT_JSON:
		w->json = true;
		return 0;
	case OPT_BACKEND:
		return parse_backend(w, optarg);
	default:
		return usage_error_option("copystat", argv, found);
	}
}

static int check_arguments(const struct watcher *w)
{
	int whom = (w->pid_count > 0) + (w->name != NULL) + w->options.all + (w->command != NULL);

	if (whom == 0)
		return usage_error("copystat",
				   "which process? -p PID, --name NAME, --all or -- COMMAND");
	if (whom > 1)
		return usage_error("copystat",
				   "one of -p, --name, --all and -- COMMAND, not several");
	if (w->json && w->top)
		return usage_error("copystat", "--json and --top don't go together");
	return 0;
}

/* 0 or an exit code. */
static int parse_arguments(struct watcher *w, int argc, char **argv, bool *ret_help)
{
	static const struct option options[] = {
	    {"pid", required_argument, NULL, 'p'},
	    {"name", required_argument, NULL, 'n'},
	    {"all", no_argument, NULL, 'a'},
	    {"interval", required_argument, NULL, 'i'},
	    {"duration", required_argument, NULL, 'd'},
	    {"top", no_argument, NULL, OPT_TOP},
	    {"json", no_argument, NULL, OPT_JSON},
	    {"output", required_argument, NULL, 'o'},
	    {"backend", required_argument, NULL, OPT_BACKEND},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int found, code;

	opterr = 0;
	while ((found = getopt_long(argc, argv, "+:p:n:ai:d:o:h", options, NULL)) != -1) {
		if (found == 'h') {
			*ret_help = true;
			return 0;
		}
		code = parse_option(w, found, argv);
		if (code != 0)
			return code;
	}
	if (optind < argc)
		w->command = argv + optind;
	return check_arguments(w);
}

/* ---- beginning ---- */

static int watch_given(struct watcher *w)
{
	for (size_t i = 0; i < w->pid_count; i++) {
		int r = copystat_watch(w->cs, w->pids[i], false);

		if (r == -ESRCH)
			return err_set(&w->err, r, "there is no process %d", w->pids[i]);
		if (r < 0)
			return err_set(&w->err, r, "process %d: %s", w->pids[i], strerror(-r));
	}
	return 0;
}

/* Those that have the name now; children are followed by the ledger, strangers found next time. */
static int watch_named(struct watcher *w)
{
	pid_t found[PIDS_MAX];
	ssize_t count = copystat_find(w->name, found, PIDS_MAX);

	if (count < 0)
		return err_set(&w->err, (int)count, "/proc: %s", strerror((int)-count));
	for (ssize_t i = 0; i < count; i++) {
		int r = copystat_watch(w->cs, found[i], true);

		if (r < 0 && r != -ESRCH) /* it has ended meanwhile */
			return err_set(&w->err, r, "process %d: %s", found[i], strerror(-r));
	}
	return (int)count;
}

static int start_command(struct watcher *w)
{
	int r = sys_command_start(w->command, &w->child);

	if (r < 0)
		return err_set(&w->err, r, "%s: %s", w->command[0], strerror(-r));
	r = copystat_watch(w->cs, w->child.pid, true);
	if (r < 0) {
		sys_command_drop(&w->child);
		return err_set(&w->err, r, "%s: %s", w->command[0], strerror(-r));
	}
	r = sys_command_go(&w->child);
	if (r < 0)
		return err_set(&w->err, r, "%s: %s", w->command[0], strerror(-r));
	return 0;
}

static int watch(struct watcher *w)
{
	int r = 0;

	if (w->command)
		r = start_command(w);
	else if (w->name) {
		r = watch_named(w);
		if (r == 0)
			return err_set(&w->err, -ESRCH, "there is no process called '%s'", w->name);
	} else
		r = watch_given(w);
	return r < 0 ? r : 0;
}

static int take_signals(struct watcher *w)
{
	static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		sigaddset(&signals, taken[i]);
		sys_signal_block(taken[i]);
	}
	w->signals = sys_signalfd(&signals);
	return w->signals < 0 ? err_set(&w->err, w->signals, "signalfd: %s", strerror(-w->signals))
			      : 0;
}

/* The file takes the place of our standard output; a command has been forked by then and keeps its
 * own. */
static int redirect(struct watcher *w)
{
	int r;

	w->out = w->command && !w->json && !w->output ? stderr : stdout;
	if (!w->output)
		return 0;
	r = sys_dup_onto(w->output_fd, 1);
	return r < 0 ? err_set(&w->err, r, "%s: %s", w->output, strerror(-r)) : 0;
}

static int open_output(struct watcher *w)
{
	if (!w->output)
		return 0;
	w->output_fd = sys_open(w->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return w->output_fd < 0
		   ? err_set(&w->err, w->output_fd, "%s: %s", w->output, strerror(-w->output_fd))
		   : 0;
}

/* ---- the loop ---- */

static void show_json(struct watcher *w)
{
	for (size_t i = 0; i < w->rows.count; i++) {
		const struct row *row = &w->rows.row[i];

		if (row_active(row) || (!row->last && !w->options.all))
			copystat_view_json(w->out, &row->process, &row->between,
					   copystat_backend(w->cs));
	}
}

static void show_table(struct watcher *w, double seconds)
{
	unsigned lines = 0;

	if (w->top) {
		rows_sort_by_sent(&w->rows, false);
		fputs("\033[H\033[J", w->out); /* home, clear: ECMA-48 */
		copystat_view_head(w->out);
	}
	for (size_t i = 0; i < w->rows.count && !(w->top && lines == ROWS_TOP); i++) {
		const struct row *row = &w->rows.row[i];

		if (!row_active(row))
			continue;
		if (!w->top && w->rows_shown++ % ROWS_A_TITLE == 0)
			copystat_view_head(w->out);
		copystat_view_row(w->out, &row->process, &row->between, seconds);
		lines++;
	}
}

static int look(struct watcher *w, uint64_t now_ns)
{
	int r = w->name ? watch_named(w) : 0;

	if (r >= 0)
		r = rows_update(&w->rows, w->cs, w->name);
	if (r < 0)
		return err_set(&w->err, r, "reading the ledger: %s", strerror(-r));
	if (w->json)
		show_json(w);
	else
		show_table(w, (double)(now_ns - w->shown_ns) / SECOND_NS);
	w->shown_ns = now_ns;
	if (fflush(w->out) != 0)
		return err_set(&w->err, -errno, "%s: %m", w->output ? w->output : "output");
	return 0;
}

/* Ends what there is to end: the command first, if it listens. */
static void stop(struct watcher *w, int signal, bool command_knows)
{
	if (!w->command || w->stopping)
		w->over = true;
	else if (!command_knows)
		sys_command_signal(&w->child, signal);
	w->stopping = true;
}

static void read_signals(struct watcher *w)
{
	struct signalfd_siginfo info;

	while (sys_read(w->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			/* Who presses Ctrl-C sends it to the command too; kill(1) does not. */
			stop(w, (int)info.ssi_signo, info.ssi_code == SI_KERNEL);
}

static bool is_over(struct watcher *w, uint64_t now_ns, uint64_t end_ns)
{
	if (w->command && sys_command_ended(&w->child, &w->child_status))
		return w->child_ended = true;
	if (now_ns >= end_ns && !w->stopping)
		stop(w, SIGTERM, false);
	return w->over;
}

static int poll_until(struct watcher *w, uint64_t until_ns)
{
	struct pollfd fd = {.fd = w->signals, .events = POLLIN};
	uint64_t now_ns = sys_now_ns(), wait_ms = 0;

	if (until_ns > now_ns)
		wait_ms = (until_ns - now_ns) / 1000000 + 1;
	return sys_poll(&fd, 1, (int)min_u64(wait_ms, INT32_MAX));
}

/* What processes have left in their sockets is sent when they have ended, and may be copied then. */
static int look_once_more(struct watcher *w)
{
	for (size_t i = 0; i < w->rows.count; i++)
		if (copystat_sum(&w->rows.row[i].total).sent_by_reference > 0) {
			sys_poll(NULL, 0, LEFTOVERS_MS);
			return look(w, sys_now_ns());
		}
	return 0;
}

static int run(struct watcher *w)
{
	const uint64_t interval_ns = (uint64_t)(w->interval * SECOND_NS);
	const uint64_t end_ns =
	    w->duration > 0 ? w->start_ns + (uint64_t)(w->duration * SECOND_NS) : UINT64_MAX;
	uint64_t next_ns = w->start_ns + interval_ns;
	bool over = false;
	int r = 0;

	while (r == 0 && !over) {
		uint64_t now_ns;

		poll_until(w, w->stopping ? next_ns : min_u64(next_ns, end_ns));
		read_signals(w);
		now_ns = sys_now_ns();
		over = is_over(w, now_ns, end_ns);
		if (!over && now_ns < next_ns)
			continue;
		r = look(w, now_ns);
		over = over || (w->pid_count > 0 && rows_running(&w->rows) == 0);
		next_ns = max_u64(next_ns + interval_ns, now_ns);
	}
	return r == 0 && rows_running(&w->rows) == 0 ? look_once_more(w) : r;
}

/* ---- the end ---- */

static void summary(struct watcher *w)
{
	unsigned quiet = 0;

	fprintf(w->out, "\n%.1f s, backend %s\n", (double)(sys_now_ns() - w->start_ns) / SECOND_NS,
		copystat_backend(w->cs));
	rows_sort_by_sent(&w->rows, true);
	for (size_t i = 0; i < w->rows.count; i++) {
		const struct row *row = &w->rows.row[i];
		struct copystat_sums sums = copystat_sum(&row->total);

		if (!w->options.all)
			copystat_view_summary(w->out, &row->process, &row->total);
		else if (sums.sent > 0 || sums.received > 0)
			copystat_view_verdict(w->out, &row->process, &row->total);
		else
			quiet++;
	}
	if (quiet > 0)
		fprintf(w->out, "%u others sent and received nothing\n", quiet);
}

/* What a shell would say. */
static int code_of_command(struct watcher *w)
{
	int status = w->child_status;

	if (!w->child_ended)
		return EXIT_FAILED;
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "leat copystat: %s was ended by signal %d (%s)\n", w->command[0],
			WTERMSIG(status), strsignal(WTERMSIG(status)));
		return EXIT_SIGNAL + WTERMSIG(status);
	}
	if (WEXITSTATUS(status) != 0)
		fprintf(stderr, "leat copystat: %s ended with exit status %d\n", w->command[0],
			WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

static int watch_and_show(struct watcher *w)
{
	int r = open_output(w);

	if (r == 0)
		r = take_signals(w);
	if (r == 0)
		r = copystat_new(&w->options, &w->cs, &w->err);
	if (r == 0)
		r = watch(w);
	if (r == 0)
		r = redirect(w);
	if (r < 0)
		return r;
	fprintf(stderr, "leat copystat: watching, backend %s%s\n", copystat_backend(w->cs),
		w->command || w->duration > 0 ? "" : "; Ctrl-C ends it");
	w->start_ns = w->shown_ns = sys_now_ns();
	r = run(w);
	if (r == 0 && !w->json)
		summary(w);
	if (r == 0 && fflush(w->out) != 0)
		r = err_set(&w->err, -errno, "%s: %m", w->output ? w->output : "output");
	return r;
}

int cmd_copystat(int argc, char **argv)
{
	static struct watcher w = {.interval = 1};
	bool wants_help = false;
	int code = parse_arguments(&w, argc, argv, &wants_help);

	if (code != 0)
		return code;
	if (wants_help) {
		fputs(help, stdout);
		return EXIT_OK;
	}
	w.signals = w.output_fd = -1;
	if (watch_and_show(&w) < 0) {
		fprintf(stderr, "leat copystat: %s\n", w.err.text);
		code = EXIT_FAILED;
	} else if (w.command)
		code = code_of_command(&w);
	copystat_free(w.cs);
	rows_free(&w.rows);
	if (w.signals >= 0)
		sys_close(w.signals);
	if (w.output_fd >= 0)
		sys_close(w.output_fd);
	return code;
}
