/*
 * The HTTP server with each of its system calls failing in turn: start, listening, opening files,
 * answers by one send, by sendfile, directory listings, keep-alive, the end.
 *
 * What must hold after every run:
 *   - the server ends when told to, or did not start and says why;
 *   - what a client got is a sequence of answers, the last of which may be cut short;
 *   - an answer of 200 or 206 has the file's bytes and no others: a failure may cost an answer,
 * never its truth;
 *   - a listing that ends as it should has no name that is not there, and unharmed it has all;
 *   - unharmed, every answer is there and has the status that it should;
 *   - no descriptor and no memory is lost (fault.c looks).
 *
 * The server runs in the calling thread, the client in one of its own. They end by SIGTERM, like a
 * real one: it is blocked here, so that it can only be read from the server's signalfd.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "fault/fault.h"
#include "http/http_server.h"
#include "serve/serve.h"

#define SMALL_BYTES 1000u
#define BIG_BYTES   300000u
#define GOT_MAX     (4u * BIG_BYTES)
#define ASKS_MAX    4u

/* One request, and what its answer should be. `from`, `len`: the part of big.bin or small.txt that
 * a 200 or 206 must have; len 0 where the body is the server's own. */
struct ask {
	const char *request;
	unsigned status;
	unsigned harmed; /* a status below 400 that a failure may lead to; 0: none */
	const char *file;
	const char *otherwise; /* harmed it may be that one instead; or NULL */
	size_t from, len;
	bool no_body;
	unsigned rows; /* a listing: of so many names */
};

/* The requests of one connection, all sent at once. The last one closes. */
struct talk {
	struct ask asks[ASKS_MAX];
	unsigned count;
	bool log;      /* with an access log, and an admin listener that is asked at the end */
	unsigned many; /* names in the folder /many */
	bool explain;  /* the server says how bodies go: it asks for routes */
};

struct visit {
	const struct talk *talk;
	char folder[32], log[48];
	pthread_t client;
	bool client_runs;
	_Atomic bool ended;
	_Atomic unsigned port, admin_port; /* 0: not known yet */
	char scraped[16384];
	char *got;
	size_t got_len;
	char complaint[160];
};

static char small[SMALL_BYTES], big[BIG_BYTES];

static const char *file_bytes(const char *name)
{
	return strcmp(name, "big.bin") == 0 ? big : small;
}

/* ---- the client ---- */

static int client_connect(unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 60}; /* longer than the alarm: waiting is a hang */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void client_talk(struct visit *visit, int fd)
{
	for (unsigned i = 0; i < visit->talk->count; i++) {
		const char *request = visit->talk->asks[i].request;

		if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
			return;
	}
	while (visit->got_len < GOT_MAX) {
		ssize_t n = recv(fd, visit->got + visit->got_len, GOT_MAX - visit->got_len, 0);

		if (n <= 0)
			return;
		visit->got_len += (size_t)n;
	}
}

static void client_scrape(struct visit *visit)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	int fd = client_connect(visit->admin_port);
	size_t len = 0;
	ssize_t n = fd < 0 ? -1 : send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);

	while (n > 0 && len < sizeof(visit->scraped) - 1) {
		n = recv(fd, visit->scraped + len, sizeof(visit->scraped) - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
}

static void *client_main(void *arg)
{
	struct visit *visit = arg;
	int fd = -1;

	while (!visit->ended && visit->port == 0)
		usleep(200);
	if (!visit->ended)
		fd = client_connect(visit->port);
	if (fd >= 0) {
		client_talk(visit, fd);
		close(fd);
		if (visit->admin_port)
			client_scrape(visit);
	}
	if (!visit->ended)
		kill(getpid(), SIGTERM);
	return NULL;
}

/* ---- the scenario ---- */

static void put_file(const struct visit *visit, const char *name, const char *data, size_t len)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", visit->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

/* "serving DIR at http://127.0.0.1:PORT" */
static void hear(void *arg, enum log_level level, const char *line, size_t len)
{
	static const char at[] = " at http://127.0.0.1:", metrics[] = "leat: info: metrics at";
	const char *found = memmem(line, len, at, sizeof(at) - 1);
	struct visit *visit = arg;
	unsigned port = found ? (unsigned)atoi(found + sizeof(at) - 1) : 0;

	if (!found)
		return;
	if (memmem(line, len, metrics, sizeof(metrics) - 1))
		visit->admin_port = port;
	else
		visit->port = port;
}

/* With so long names two reads of the directory and two pieces of text. */
static void many_name(const struct visit *visit, unsigned i, char name[PATH_MAX])
{
	snprintf(name, PATH_MAX, "%s/many/%0*u", visit->folder, 250, i);
}

static void put_many(const struct visit *visit)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/many", visit->folder);
	CHECK(mkdir(path, 0755) == 0);
	for (unsigned i = 0; i < visit->talk->many; i++) {
		many_name(visit, i, path);
		CHECK(mknod(path, S_IFREG | 0644, 0) == 0);
	}
}

static void *prepare(void *arg)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	char path[64];

	visit->talk = arg;
	visit->got = malloc(GOT_MAX);
	strcpy(visit->folder, "/tmp/leat-fault-XXXXXX");
	CHECK(mkdtemp(visit->folder));
	put_file(visit, "small.txt", small, sizeof(small));
	put_file(visit, "small.txt.gz", big, SMALL_BYTES);
	put_file(visit, "big.bin", big, sizeof(big));
	snprintf(path, sizeof(path), "%s/folder", visit->folder);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(visit->log, sizeof(visit->log), "%s.log", visit->folder);
	put_many(visit);
	log_set_sink(hear, visit, LOG_LEVEL_INFO);
	return visit;
}

static int run(void *state)
{
	struct visit *visit = state;
	const char *const listen[] = {"127.0.0.1:0"};
	struct http_options http = {.dir = visit->folder,
				    .listen = listen,
				    .listen_count = 1,
				    .index = "index.html",
				    .autoindex = true,
				    .precompressed = true,
				    .explain = visit->talk->explain};
	struct serve_options options = {.parts = {{&http_service, &http}},
					.threads = 1,
					.connections_max = 16};
	struct err err = {""};
	int r;

	if (visit->talk->log) {
		http.access_log = visit->log;
		options.admin = "127.0.0.1:0";
	}
	visit->client_runs = pthread_create(&visit->client, NULL, client_main, visit) == 0;
	r = serve(&options, &err);
	visit->ended = true;
	if (r < 0 && err.text[0] == '\0')
		snprintf(visit->complaint, sizeof(visit->complaint), "it did not say why");
	return r;
}

/* ---- the oracle ---- */

struct answer {
	unsigned status;
	const char *body;
	size_t len;   /* as announced */
	size_t have;  /* of the body */
	size_t whole; /* header and announced body */
	unsigned rows;
};

#define ROW "<tr><td><a href=\""

static unsigned count_rows(const char *text, size_t len)
{
	const char *at = text, *end = text + len, *found;
	unsigned rows = 0;

	while ((found = memmem(at, (size_t)(end - at), ROW, sizeof(ROW) - 1))) {
		at = found + 1;
		rows++;
	}
	return rows;
}

/* A chunked body: as long as its chunks, or longer than what came. A row may lie on the border
 * between chunks, but here each chunk is of whole rows. */
static void answer_chunks(struct answer *ret, const char *end)
{
	const char *at = ret->body;
	unsigned long chunk = 1;

	while (chunk > 0) {
		const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);

		chunk = line ? strtoul(at, NULL, 16) : 0;
		if (!line || (size_t)(end - line) < chunk + 4) {
			ret->len = (size_t)(end - ret->body) + 1;
			return;
		}
		CHECK(memcmp(line + 2 + chunk, "\r\n", 2) == 0);
		ret->rows += count_rows(line + 2, chunk);
		at = line + 2 + chunk + 2;
	}
	ret->len = (size_t)(at - ret->body);
}

/* False: the header is not complete. */
static bool answer_parse(const char *at, size_t len, bool no_body, struct answer *ret)
{
	const char *end = memmem(at, len, "\r\n\r\n", 4), *field;

	if (!end)
		return false;
	CHECK(strncmp(at, "HTTP/1.1 ", 9) == 0);
	ret->status = (unsigned)atoi(at + 9);
	ret->body = end + 4;
	field = memmem(at, (size_t)(end - at), "\r\nContent-Length: ", 18);
	ret->rows = 0;
	ret->len = field && !no_body ? strtoul(field + 18, NULL, 10) : 0;
	if (!no_body && memmem(at, (size_t)(end - at), "\r\nTransfer-Encoding: chunked", 28))
		answer_chunks(ret, at + len);
	ret->have = min_size(ret->len, len - (size_t)(ret->body - at));
	if (field && ret->have == ret->len)
		ret->rows = count_rows(ret->body, ret->len);
	ret->whole = (size_t)(ret->body - at) + ret->len;
	return true;
}

static bool has_bytes_of(const struct ask *ask, const char *file, const struct answer *answer)
{
	return file && memcmp(answer->body, file_bytes(file) + ask->from, answer->have) == 0;
}

static bool answer_is_true(const struct ask *ask, const struct answer *answer, bool unharmed)
{
	if (answer->status != ask->status)
		return answer->status >= 400 || answer->status == ask->harmed;
	if (answer->rows > ask->rows)
		return false;
	if (!ask->file || ask->no_body)
		return true;
	return answer->len == ask->len &&
	       (has_bytes_of(ask, ask->file, answer) ||
		(!unharmed && has_bytes_of(ask, ask->otherwise, answer)));
}

static fault_complaint complain(struct visit *visit, unsigned i, const char *what)
{
	snprintf(visit->complaint, sizeof(visit->complaint), "answer %u %s", i + 1, what);
	return visit->complaint;
}

static fault_complaint check_answers(struct visit *visit, bool all_expected)
{
	const char *at = visit->got;
	size_t left = visit->got_len;

	for (unsigned i = 0; i < visit->talk->count; i++) {
		const struct ask *ask = &visit->talk->asks[i];
		struct answer answer;

		if (left >= 9 && strncmp(at, "HTTP/1.1 ", 9) != 0)
			return complain(visit, i, "does not begin where the one before ended");
		if (!answer_parse(at, left, ask->no_body, &answer))
			return all_expected ? complain(visit, i, "is missing") : NULL;
		if (!answer_is_true(ask, &answer, all_expected))
			return complain(visit, i, "has the wrong bytes or status");
		if (all_expected && (answer.status != ask->status || answer.have != answer.len ||
				     answer.rows != ask->rows))
			return complain(visit, i, "is not what it should be");
		if (left < answer.whole)
			return NULL;
		at += answer.whole;
		left -= answer.whole;
	}
	return left > 0 ? "bytes behind the last answer" : NULL;
}

/* Every answer has its line, and only whole lines are there. */
static fault_complaint check_log(const struct visit *visit)
{
	unsigned lines = 0;
	char text[4096];
	int fd = open(visit->log, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	if (len > 0 && text[len - 1] != '\n')
		return "the log ends inside a line";
	return lines == visit->talk->count ? NULL : "the log has not a line for each answer";
}

static fault_complaint check(void *state, int result, bool hit)
{
	struct visit *visit = state;

	if (visit->client_runs)
		pthread_join(visit->client, NULL);
	if (visit->complaint[0])
		return visit->complaint;
	if (visit->talk->log && !hit) {
		fault_complaint complaint = check_log(visit);

		if (!strstr(visit->scraped, "\nleat_http_requests_total 2\n"))
			return "the metrics do not have the two requests";

		if (complaint)
			return complaint;
	}
	return check_answers(visit, !hit);
}

static void clean(void *state)
{
	struct visit *visit = state;
	static const char *const names[] = {"small.txt", "small.txt.gz", "big.bin"};
	const struct timespec now = {0};
	sigset_t term;
	char path[PATH_MAX];

	/* It may have come too late for the server. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	while (sigtimedwait(&term, NULL, &now) > 0)
		;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", visit->folder, names[i]);
		unlink(path);
	}
	for (unsigned i = 0; i < visit->talk->many; i++) {
		many_name(visit, i, path);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/many", visit->folder);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/folder", visit->folder);
	rmdir(path);
	rmdir(visit->folder);
	unlink(visit->log);
	free(visit->got);
	free(visit);
}

/* ---- the tests ---- */

static void try_talk(const char *name, const struct talk *talk)
{
	fault_each(&(struct fault_scenario){.name = name,
					    .prepare = prepare,
					    .run = run,
					    .check = check,
					    .clean = clean,
					    .arg = (void *)talk,
					    /* It drains for 10 s where a client does not go. */
					    .seconds_max = 60,
					    /* A listener that never accepts leaves the client
					     * waiting, and that is right. */
					    .once_only = true});
}

#define HOST       "Host: a\r\n"
#define LAST       HOST "Connection: close\r\n\r\n"
#define GET(path)  "GET " path " HTTP/1.1\r\n"
#define HEAD(path) "HEAD " path " HTTP/1.1\r\n"

static void small_files_pipelined(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request = GET("/small.txt") HOST "\r\n",
		      .status = 200,
		      .file = "small.txt",
		      .len = SMALL_BYTES},
		     {.request = HEAD("/small.txt") HOST "\r\n", .status = 200, .no_body = true},
		     {.request = GET("/missing") HOST "\r\n", .status = 404},
		     {.request = GET("/small.txt") "Range: bytes=10-19\r\n" LAST,
		      .status = 206,
		      .file = "small.txt",
		      .from = 10,
		      .len = 10}},
	    .count = 4,
	};

	try_talk("small_files_pipelined", &talk);
}

static void a_small_and_a_big_file_logged(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request = GET("/small.txt") HOST "\r\n",
		      .status = 200,
		      .file = "small.txt",
		      .len = SMALL_BYTES},
		     {.request = GET("/big.bin") LAST,
		      .status = 200,
		      .file = "big.bin",
		      .len = BIG_BYTES}},
	    .count = 2,
	    .log = true,
	};

	try_talk("a_small_and_a_big_file_logged", &talk);
}

static void a_big_file_and_a_range_of_it(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request = GET("/big.bin") HOST "\r\n",
		      .status = 200,
		      .file = "big.bin",
		      .len = BIG_BYTES},
		     {.request = GET("/big.bin") "Range: bytes=100000-299999\r\n" LAST,
		      .status = 206,
		      .file = "big.bin",
		      .from = 100000,
		      .len = 200000}},
	    .count = 2,
	};

	try_talk("a_big_file_and_a_range_of_it", &talk);
}

static void several_ranges(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request =
			  GET("/big.bin") "Range: bytes=0-9,100000-199999,-5\r\n" HOST "\r\n",
		      .status = 206,
		      .harmed = 200},
		     {.request = GET("/small.txt") "Range: bytes=0-9,20-29\r\n" LAST,
		      .status = 206,
		      .harmed = 200}},
	    .count = 2,
	    .explain = true,
	};

	try_talk("several_ranges", &talk);
}

/* What is in it are the first bytes of big.bin; without it the file itself is as good. */
static void an_encoded_version(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request = GET("/small.txt") HOST "Accept-Encoding: gzip\r\n\r\n",
		      .status = 200,
		      .file = "big.bin",
		      .otherwise = "small.txt",
		      .len = SMALL_BYTES},
		     {.request = GET("/small.txt") LAST,
		      .status = 200,
		      .file = "small.txt",
		      .len = SMALL_BYTES}},
	    .count = 2,
	};

	try_talk("an_encoded_version", &talk);
}

static void a_listing(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request = GET("/folder") HOST "\r\n", .status = 301},
		     {.request = GET("/") LAST, .status = 200, .rows = 5}},
	    .count = 2,
	};

	try_talk("a_listing", &talk);
}

static void a_listing_in_pieces(void **state)
{
	static const struct talk talk = {
	    .asks = {{.request = HEAD("/many/") HOST "\r\n", .status = 200, .no_body = true},
		     {.request = GET("/many/") LAST, .status = 200, .rows = 126}},
	    .count = 2,
	    .many = 125,
	};

	try_talk("a_listing_in_pieces", &talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_files_pipelined),
	    cmocka_unit_test(a_small_and_a_big_file_logged),
	    cmocka_unit_test(a_big_file_and_a_range_of_it),
	    cmocka_unit_test(several_ranges),
	    cmocka_unit_test(an_encoded_version),
	    cmocka_unit_test(a_listing),
	    cmocka_unit_test(a_listing_in_pieces),
	};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (char)(i * 7 ^ i >> 9);
	for (size_t i = 0; i < SMALL_BYTES; i++)
		small[i] = (char)('a' + i % 26);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
