/*
 * leat lab: measures every technique on this machine.
 *
 * Ctrl-C (and SIGTERM) only sets a flag: what was measured so far is still printed. A second one
 * kills; what the lab made is gone then too (lab.h).
 */
#include "lab/lab.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/thresholds.h"
#include "lab/report.h"
#include "sys/sys.h"

enum form { FORM_TEXT, FORM_JSON, FORM_MARKDOWN };

struct lab {
	struct lab_options options;
	enum form form;
	int html_fd;
	const char *html; /* the file of the page; NULL: none */
	bool calibrate, terminal;
	char shown[160]; /* the last line of progress */
};

static volatile sig_atomic_t stop;

static const char help[] =
    "Usage: leat lab [OPTIONS]\n"
    "\n"
    "Sends files over sockets by every technique there is, and measures what it cost: system "
    "calls,\n"
    "copies by the CPU, CPU time of sender and receiver. Ends with the table of copies and "
    "switches\n"
    "that everybody repeats, and the measured number beside each claim. As root it measures more.\n"
    "\n"
    "Options\n"
    "      --quick            under 30 seconds; without it, under 10 minutes\n"
    "      --only NAME,...    these techniques: copy, mmap, sendfile, splice, tee, vmsplice,\n"
    "                         zerocopy, uring\n"
    "      --transport NAME,...  these transports: tcp, unix, veth, veth-gso-off, veth-sg-off\n"
    "      --source NAME,...  these files: cached, cold, ext4, xfs, btrfs, tmpfs, overlay\n"
    "      --size N,...       transfers of N bytes (N may end in k, M or G: powers of 1024)\n"
    "      --json             one JSON object on standard output instead of tables\n"
    "      --markdown         tables for a web page or an issue, on standard output\n"
    "      --html FILE        one page with charts besides, for any browser\n"
    "      --calibrate        writes down from which length on sendfile pays, for all leat\n"
    "                         programs of this machine\n"
    "  -h, --help             this text\n"
    "\n"
    "Examples\n"
    "  sudo leat lab --quick\n"
    "  sudo leat lab --html report.html\n"
    "  leat lab --only copy,sendfile --transport tcp --size 64k,1M --json\n"
    "\n"
    "Ends with 0; with 1 when nothing could be measured; with 2 when the arguments make no sense;\n"
    "with 130 after Ctrl-C.\n";

enum option_id {
	OPT_QUICK = 256,
	OPT_ONLY,
	OPT_TRANSPORT,
	OPT_SOURCE,
	OPT_SIZE,
	OPT_JSON,
	OPT_MARKDOWN,
	OPT_HTML,
	OPT_CALIBRATE,
};

/* ---- what is asked ---- */

/* Calls `add` for each word between commas; 0 or an exit code. */
static int for_each_word(struct lab *lab, char *list, int (*add)(struct lab *lab, const char *word))
{
	int code = 0;

	for (char *word; code == 0 && (word = strsep(&list, ","));)
		code = add(lab, word);
	return code;
}

static int add_technique(struct lab *lab, const char *word)
{
	enum leat_technique technique;

	if (leat_technique_parse(word, &technique) < 0)
		return usage_error("lab", "there is no technique '%s'", word);
	if (!(LAB_TECHNIQUES & 1u << technique))
		return usage_error("lab", "'%s' does not move a file to a socket", word);
	lab->options.techniques |= 1u << technique;
	return 0;
}

static int add_transport(struct lab *lab, const char *word)
{
	enum lab_transport transport;

	if (lab_transport_parse(word, &transport) < 0)
		return usage_error("lab", "there is no transport '%s'", word);
	lab->options.transports |= 1u << transport;
	return 0;
}

static int add_source(struct lab *lab, const char *word)
{
	enum lab_source source;

	if (lab_source_parse(word, &source) < 0)
		return usage_error("lab", "there is no source '%s'", word);
	lab->options.sources |= 1u << source;
	return 0;
}

#define SIZE_MAX_GB 4 /* two of them may stand in memory at once */

static int add_size(struct lab *lab, const char *word)
{
	uint64_t size;

	if (size_parse(word, &size) < 0 || size == 0 || size > (uint64_t)SIZE_MAX_GB << 30)
		return usage_error("lab", "--size '%s': 1 to %dG bytes, perhaps with k, M or G",
				   word, SIZE_MAX_GB);
	if (lab->options.size_count == LAB_SIZES_MAX)
		return usage_error("lab", "more than %d sizes", LAB_SIZES_MAX);
	lab->options.sizes[lab->options.size_count++] = size;
	return 0;
}

static int parse_option(struct lab *lab, int found, char *const *argv)
{
	switch (found) {
	case OPT_QUICK:
		lab->options.quick = true;
		return 0;
	case OPT_ONLY:
		return for_each_word(lab, optarg, add_technique);
	case OPT_TRANSPORT:
		return for_each_word(lab, optarg, add_transport);
	case OPT_SOURCE:
		return for_each_word(lab, optarg, add_source);
	case OPT_SIZE:
		return for_each_word(lab, optarg, add_size);
	case OPT_JSON:
		lab->form = FORM_JSON;
		return 0;
	case OPT_CALIBRATE:
		lab->calibrate = true;
		return 0;
	case OPT_HTML:
		lab->html = optarg;
		return 0;
	case OPT_MARKDOWN:
		lab->form = FORM_MARKDOWN;
		return 0;
	default:
		return usage_error_option("lab", argv, found);
	}
}

/* What was not named is everything. 0 or an exit code. */
static int complete(struct lab *lab)
{
	const uint32_t both = 1u << LEAT_COPY | 1u << LEAT_SENDFILE;

	if (lab->options.techniques == 0)
		lab->options.techniques = LAB_TECHNIQUES;
	if (lab->options.transports == 0)
		lab->options.transports = (1u << TRANSPORT_COUNT) - 1;
	if (lab->calibrate && ((lab->options.techniques & both) != both ||
			       !(lab->options.transports & 1u << TRANSPORT_TCP)))
		return usage_error(
		    "lab", "--calibrate needs copy, sendfile and tcp among what is measured");
	return 0;
}

/* 0 or an exit code. */
static int parse_arguments(struct lab *lab, int argc, char **argv, bool *ret_help)
{
	static const struct option options[] = {
	    {"quick", no_argument, NULL, OPT_QUICK},
	    {"only", required_argument, NULL, OPT_ONLY},
	    {"transport", required_argument, NULL, OPT_TRANSPORT},
	    {"source", required_argument, NULL, OPT_SOURCE},
	    {"size", required_argument, NULL, OPT_SIZE},
	    {"json", no_argument, NULL, OPT_JSON},
	    {"markdown", no_argument, NULL, OPT_MARKDOWN},
	    {"html", required_argument, NULL, OPT_HTML},
	    {"calibrate", no_argument, NULL, OPT_CALIBRATE},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int found, code;

	opterr = 0;
	while ((found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (found == 'h') {
			*ret_help = true;
			return 0;
		}
		code = parse_option(lab, found, argv);
		if (code != 0)
			return code;
	}
	if (optind < argc)
		return usage_error("lab", "'%s': there is nothing to name", argv[optind]);
	return complete(lab);
}

/* ---- progress ---- */

/* On a terminal one line, drawn over itself; else a line for each thing. */
static void on_progress(void *arg, const char *what, double part)
{
	struct lab *lab = arg;

	if (lab->terminal)
		fprintf(stderr, "\r%3d %%  %s\033[K", (int)(part * 100), what);
	else if (strcmp(lab->shown, what) != 0)
		fprintf(stderr, "leat lab: %3d %%  %s\n", (int)(part * 100), what);
	snprintf(lab->shown, sizeof(lab->shown), "%s", what);
}

static void end_progress(const struct lab *lab)
{
	if (lab->terminal && lab->shown[0])
		fputs("\r\033[K", stderr);
}

static void on_signal(int signal)
{
	stop = signal;
}

/* ---- results ---- */

/* EXIT_OK or EXIT_FAILED. */
static int write_page(int fd, const char *path, const struct lab_result *result)
{
	char *page = NULL;
	size_t len = 0, done = 0;
	FILE *out = open_memstream(&page, &len);
	ssize_t n = 1;

	if (!out)
		return EXIT_FAILED;
	report_html(out, result);
	if (fclose(out) != 0)
		n = -ENOMEM;
	while (done < len && n > 0) {
		n = sys_write(fd, page + done, len - done);
		done += n > 0 ? (size_t)n : 0;
	}
	free(page);
	if (n > 0)
		return EXIT_OK;
	fprintf(stderr, "leat lab: %s: %s\n", path, strerrordesc_np(n < 0 ? (int)-n : ENOSPC));
	return EXIT_FAILED;
}

static int print(const struct lab *lab, const struct lab_result *result)
{
	if (lab->form == FORM_JSON)
		report_json(stdout, result);
	else if (lab->form == FORM_MARKDOWN)
		report_markdown(stdout, result);
	else
		report_text(stdout, result);
	return lab->html ? write_page(lab->html_fd, lab->html, result) : EXIT_OK;
}

/* Before minutes are spent: a page that can't be written is said at once. */
static int open_page(struct lab *lab)
{
	if (!lab->html)
		return EXIT_OK;
	lab->html_fd = sys_open(lab->html, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (lab->html_fd >= 0)
		return EXIT_OK;
	fprintf(stderr, "leat lab: %s: %s\n", lab->html, strerrordesc_np(-lab->html_fd));
	return EXIT_FAILED;
}

/* For the same reason. */
static int try_thresholds(const struct lab *lab)
{
	struct err err = {.text = ""};

	if (!lab->calibrate || thresholds_try(&err) == 0)
		return EXIT_OK;
	fprintf(stderr, "leat lab: %s\n", err.text);
	return EXIT_FAILED;
}

/* What --calibrate is for. */
static int write_thresholds(const struct lab_result *result)
{
	struct err err = {.text = "the crossover could not be measured"};
	char comment[256];
	int r = -EIO;

	snprintf(comment, sizeof(comment), "Linux %s, %s", result->kernel, result->machine);
	if (result->crossover.measured)
		r = thresholds_save(result->crossover.copy_below, comment, &err);
	if (r < 0) {
		fprintf(stderr, "leat lab: %s\n", err.text);
		return EXIT_FAILED;
	}
	fprintf(stderr, "leat lab: %s now has copy_below %llu; remove it to undo this\n",
		thresholds_path(), (unsigned long long)result->crossover.copy_below);
	return EXIT_OK;
}

/* EXIT_OK, EXIT_FAILED or EXIT_SIGNAL and more. */
static int run(struct lab *lab)
{
	struct lab_result result = {.quick = false};
	struct err err = {.text = ""};
	int code, r;

	sys_signal_handle(SIGINT, on_signal);
	sys_signal_handle(SIGTERM, on_signal);
	r = lab_run(&lab->options, &result, &err);
	end_progress(lab);
	if (r < 0 && r != -EINTR) {
		fprintf(stderr, "leat lab: %s\n", err.text);
		code = EXIT_FAILED;
	} else {
		code = print(lab, &result);
	}
	if (stop)
		code = EXIT_SIGNAL + stop;
	else if (lab->calibrate && code == EXIT_OK)
		code = write_thresholds(&result);
	else if (result.row_count == 0)
		code = EXIT_FAILED;
	lab_result_free(&result);
	return code;
}

int cmd_lab(int argc, char **argv)
{
	struct lab lab = {.options = {.stop = &stop}, .html_fd = -1};
	bool show_help = false;
	int code = parse_arguments(&lab, argc, argv, &show_help);

	if (show_help) {
		fputs(help, stdout);
		return EXIT_OK;
	}
	if (code != 0)
		return code;
	lab.terminal = sys_is_terminal(2);
	lab.options.progress = on_progress;
	lab.options.progress_arg = &lab;
	code = try_thresholds(&lab);
	if (code == EXIT_OK)
		code = open_page(&lab);
	if (code == EXIT_OK)
		code = run(&lab);
	if (lab.html_fd >= 0)
		sys_close(lab.html_fd);
	return code;
}
