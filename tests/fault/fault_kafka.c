/*
 * The Kafka broker with each of its system calls failing in turn: start with an admin listener, a
 * topic that is made, a batch in and out again, metrics, the end; and beside HTTP in one process.
 *
 * What must hold after every run:
 *   - the broker ends when told to, or did not start and says why;
 *   - what a client got is a sequence of whole answers, each to its question;
 *   - the store opens again, and has what was acknowledged;
 *   - a fetch that brought something brought that;
 *   - unharmed, every answer is there and without an error, and the metrics have them;
 *   - no descriptor and no memory is lost (fault.c looks).
 *
 * As in fault_http.c the broker runs in the calling thread, the client in one of its own, and they
 * end by SIGTERM.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/be.h"
#include "base/log.h"
#include "fault/fault.h"
#include "kafka/wire/header.h"
#include "kafka/wire/messages.h"
#include "http/http_server.h"
#include "kafka/broker/kafka_server.h"
#include "serve/serve.h"
#include "unit/kafka/store/kit.h"

#define RECORDS     5
#define ANSWER_MAX  65536u
#define ARENA_BYTES 65536u
#define SCRAPED_MAX 65536u

struct visit {
	bool with_http;
	char folder[64], root[64];
	struct kafka_config config;
	pthread_t client;
	bool client_runs;
	_Atomic bool ended;
	_Atomic unsigned port, admin_port, http_port; /* 0: not known yet */
	char *batch;
	size_t batch_len;

	/* What the client found. */
	unsigned answers;
	bool produced, fetched, http_answered;
	const char *wrong; /* NULL: nothing */
	char *answer, *arena;
	char *scraped;
	char complaint[160];
};

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

static bool read_exactly(int fd, char *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(fd, to + done, len - done, 0);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* One question and its answer, decoded into `ret`; false: the connection ended. */
static bool ask(struct visit *visit, int fd, int16_t key, int16_t version, const void *request,
		void *ret)
{
	const struct kafka_api *api = kafka_api_find(key);
	struct arena arena = arena_over(visit->arena, ARENA_BYTES);
	char out[4096], size[4];
	struct kafka_writer writer = kafka_writer_over(out, sizeof(out));
	int32_t correlation = 0, number = (int32_t)visit->answers + 1;
	struct slice bytes;

	kafka_request_begin(&writer, api, version, number, slice_of("fault"));
	kafka_encode(api->request, version, request, &writer);
	CHECK(kafka_frame_end(&writer) == 0 && kafka_writer_fits(&writer));
	if (send(fd, out, writer.len, MSG_NOSIGNAL) < 0 || !read_exactly(fd, size, sizeof(size)))
		return false;
	bytes = slice_make(visit->answer, be_load32(size));
	if (bytes.len > ANSWER_MAX) {
		visit->wrong = "an answer has no sensible size";
		return false;
	}
	if (!read_exactly(fd, visit->answer, bytes.len))
		return false;
	if (kafka_response_header_decode(&bytes, api, version, &correlation) < 0 ||
	    correlation != number ||
	    kafka_decode(api->response, version, &bytes, &arena, ret) < 0 || bytes.len > 0) {
		visit->wrong = "an answer is not to its question";
		return false;
	}
	visit->answers++;
	return true;
}

static bool ask_versions(struct visit *visit, int fd)
{
	struct kafka_api_versions_request request;
	struct kafka_api_versions_response response;

	kafka_api_versions_request_init(&request);
	return ask(visit, fd, KAFKA_API_API_VERSIONS, 0, &request, &response);
}

/* Makes the topic. */
static bool ask_metadata(struct visit *visit, int fd)
{
	struct kafka_metadata_request_topic topic = {.name = slice_of("t")};
	struct kafka_metadata_request request;
	struct kafka_metadata_response response;

	kafka_metadata_request_init(&request);
	request.topics.at = &topic;
	request.topics.count = 1;
	request.allow_auto_topic_creation = true;
	return ask(visit, fd, KAFKA_API_METADATA, 9, &request, &response);
}

static bool ask_produce(struct visit *visit, int fd)
{
	struct kafka_produce_request_partition_data partition = {
	    .records = slice_make(visit->batch, visit->batch_len)};
	struct kafka_produce_request_topic_data topic = {.name = slice_of("t"),
							 .partition_data = {&partition, 1}};
	struct kafka_produce_request request;
	struct kafka_produce_response response;

	kafka_produce_request_init(&request);
	request.acks = -1;
	request.timeout_ms = 1000;
	request.topic_data.at = &topic;
	request.topic_data.count = 1;
	if (!ask(visit, fd, KAFKA_API_PRODUCE, 9, &request, &response))
		return false;
	if (response.responses.count != 1 ||
	    response.responses.at[0].partition_responses.count != 1)
		visit->wrong = "a produce response has not the partition";
	else
		visit->produced =
		    response.responses.at[0].partition_responses.at[0].error_code == KAFKA_NONE;
	return !visit->wrong;
}

static bool ask_fetch(struct visit *visit, int fd)
{
	struct kafka_fetch_request_partition partition = {.current_leader_epoch = -1,
							  .last_fetched_epoch = -1,
							  .partition_max_bytes = 100000};
	struct kafka_fetch_request_topic topic = {.topic = slice_of("t"),
						  .partitions = {&partition, 1}};
	const struct kafka_fetch_response_partition *got;
	struct kafka_fetch_request request;
	struct kafka_fetch_response response;

	kafka_fetch_request_init(&request);
	request.max_bytes = 100000;
	request.session_epoch = -1;
	request.topics.at = &topic;
	request.topics.count = 1;
	if (!ask(visit, fd, KAFKA_API_FETCH, 12, &request, &response))
		return false;
	if (response.responses.count != 1 || response.responses.at[0].partitions.count != 1)
		return true;
	got = response.responses.at[0].partitions.at;
	if (got->records.len == 0)
		return true;
	/* The base offset and the epoch in front are the broker's. */
	if (got->records.len != visit->batch_len ||
	    memcmp(got->records.ptr + 16, visit->batch + 16, visit->batch_len - 16) != 0)
		visit->wrong = "a fetch brought something else";
	visit->fetched = true;
	return true;
}

/* All that came until the other side closed. */
static size_t get(unsigned port, const char *path, char *to, size_t size)
{
	char request[64];
	int fd = client_connect(port);
	size_t len = 0;
	ssize_t n;

	snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
	n = fd < 0 ? -1 : send(fd, request, strlen(request), MSG_NOSIGNAL);
	while (n > 0 && len < size - 1) {
		n = recv(fd, to + len, size - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return len;
}

static void talk(struct visit *visit)
{
	char page[512] = "";
	int fd = client_connect(visit->port);

	if (fd >= 0) {
		(void)(ask_versions(visit, fd) && ask_metadata(visit, fd) &&
		       ask_produce(visit, fd) && ask_fetch(visit, fd));
		close(fd);
	}
	if (visit->http_port) {
		get(visit->http_port, "/", page, sizeof(page));
		visit->http_answered = strncmp(page, "HTTP/1.1 200", 12) == 0;
	}
	if (visit->admin_port)
		get(visit->admin_port, "/metrics", visit->scraped, SCRAPED_MAX);
}

static void *client_main(void *arg)
{
	struct visit *visit = arg;

	while (!visit->ended && visit->port == 0)
		usleep(200);
	if (!visit->ended)
		talk(visit);
	if (!visit->ended)
		kill(getpid(), SIGTERM);
	return NULL;
}

/* ---- the scenario ---- */

static unsigned number_behind(const char *line, size_t len, const char *text)
{
	const char *found = memmem(line, len, text, strlen(text));

	return found ? (unsigned)atoi(found + strlen(text)) : 0;
}

static void hear(void *arg, enum log_level level, const char *line, size_t len)
{
	struct visit *visit = arg;
	unsigned port;

	if (memmem(line, len, "serving ", 8))
		visit->http_port = number_behind(line, len, " at http://127.0.0.1:");
	if ((port = number_behind(line, len, "metrics at http://127.0.0.1:")))
		visit->admin_port = port;
	if ((port = number_behind(line, len, "served at 127.0.0.1:")))
		visit->port = port;
}

static void *prepare(void *arg)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	struct kit_batch batch = KIT_PLAIN(RECORDS, 100, KIT_NOW);

	visit->with_http = arg;
	kit_folder(visit->folder);
	kit_folder(visit->root);
	kafka_config_init(&visit->config);
	visit->batch = kit_batch(&batch, &visit->batch_len);
	visit->answer = malloc(ANSWER_MAX);
	visit->arena = malloc(ARENA_BYTES);
	visit->scraped = calloc(1, SCRAPED_MAX);
	log_set_sink(hear, visit, LOG_LEVEL_INFO);
	return visit;
}

static int run(void *state)
{
	struct visit *visit = state;
	const char *const listen[] = {"127.0.0.1:0"};
	const struct http_options http = {.dir = visit->root,
					  .listen = listen,
					  .listen_count = 1,
					  .index = "index.html",
					  .autoindex = true};
	const struct kafka_options kafka = {.config = &visit->config,
					    .dir = visit->folder,
					    .listen = listen,
					    .listen_count = 1};
	const struct serve_options options = {
	    .parts = {{&kafka_service, &kafka}, {visit->with_http ? &http_service : NULL, &http}},
	    .threads = 1,
	    .connections_max = 16,
	    .admin = "127.0.0.1:0"};
	struct err err = {""};
	int r;

	visit->client_runs = pthread_create(&visit->client, NULL, client_main, visit) == 0;
	r = serve(&options, &err);
	visit->ended = true;
	if (r < 0 && err.text[0] == '\0')
		snprintf(visit->complaint, sizeof(visit->complaint), "it did not say why");
	return r;
}

/* ---- the oracle ---- */

/* Opened again, unharmed. */
static fault_complaint check_store(const struct visit *visit)
{
	struct store_options options = {.node_id = -1, .now_ms = KIT_NOW, .threads = 1};
	struct partition_ends ends = {.log_end = 0};
	struct err err = {""};
	struct topic *topic;
	struct store *store;

	if (store_open(visit->folder, &options, &store, &err) < 0)
		return "the store does not open again";
	topic = store_topic(store, slice_of("t"));
	if (topic) {
		(void)!partition_ends(topic_partition(topic, 0), &ends);
		topic_unref(topic);
	}
	(void)!store_close(store);
	if (visit->produced && ends.log_end != RECORDS)
		return "what was acknowledged is not there";
	return NULL;
}

static fault_complaint check_unharmed(const struct visit *visit)
{
	if (visit->answers != 4 || !visit->produced || !visit->fetched)
		return "an answer is missing, or an error";
	if (visit->with_http && !visit->http_answered)
		return "HTTP did not answer";
	if (!strstr(visit->scraped, "\nleat_kafka_produced_records_total 5\n") ||
	    !strstr(visit->scraped, "\nleat_kafka_requests_total{api=\"Fetch\"} 1\n"))
		return "the metrics do not have the requests";
	if (visit->with_http != (strstr(visit->scraped, "\nleat_http_requests_total 1\n") != NULL))
		return "the metrics do not have the request of HTTP, or one too many";
	return NULL;
}

static fault_complaint check(void *state, int result, bool hit)
{
	struct visit *visit = state;
	fault_complaint complaint = NULL;

	if (visit->client_runs)
		pthread_join(visit->client, NULL);
	if (visit->complaint[0])
		return visit->complaint;
	if (visit->wrong)
		return visit->wrong;
	if (!hit)
		complaint = check_unharmed(visit);
	return complaint ? complaint : check_store(visit);
}

static void clean(void *state)
{
	struct visit *visit = state;
	const struct timespec now = {0};
	sigset_t term;

	/* It may have come too late for the broker. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	while (sigtimedwait(&term, NULL, &now) > 0)
		;
	kit_remove(visit->folder);
	kit_remove(visit->root);
	kafka_config_fini(&visit->config);
	free(visit->batch);
	free(visit->answer);
	free(visit->arena);
	free(visit->scraped);
	free(visit);
}

/* ---- the tests ---- */

static void try_broker(const char *name, bool with_http)
{
	static bool yes;

	fault_each(&(struct fault_scenario){.name = name,
					    .prepare = prepare,
					    .run = run,
					    .check = check,
					    .clean = clean,
					    .arg = with_http ? &yes : NULL,
					    /* It drains for 10 s where a client does not go. */
					    .seconds_max = 60,
					    /* A listener that never accepts leaves the client
					     * waiting, and that is right. */
					    .once_only = true});
}

static void a_batch_in_and_out_observed(void **state)
{
	try_broker("a_batch_in_and_out_observed", false);
}

static void beside_http(void **state)
{
	try_broker("beside_http", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_batch_in_and_out_observed),
	    cmocka_unit_test(beside_http),
	};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
