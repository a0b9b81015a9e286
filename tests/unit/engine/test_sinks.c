/*
 * Sinks that transform: a writer (struct chain_writer) and a socket with kTLS. Whatever brings the
 * bytes, the peer gets them all, in order and encrypted, and the ledger has them as transformed.
 *
 * A kernel without kTLS takes SINK_KTLS for what it is told: then the technique, the ledger and the
 * verdict are what is tested, on a plain socket. With it the bytes go through real records.
 */
#include "rig.h"

#include <linux/tls.h>

#include "cipher.h"
#include "sys/sys.h"

/* A chain to a writer over one end of a socket pair, and what has come out at the other. */
struct secret {
	struct leat_engine engine;
	struct leat_chain chain;
	struct cipher cipher;
	struct chain_writer writer;
	int ends[2];
	char *got;
	size_t got_len, got_max;
};

static void secret_open(struct secret *secret, enum leat_technique technique, size_t bytes)
{
	const struct chain_sink sink = {.kind = SINK_WRITER,
					.writer = &secret->writer,
					.technique = technique};
	struct chain_sink own = sink;
	int small = 4096;

	memset(secret, 0, sizeof(*secret));
	unix_pair(secret->ends);
	assert_int_equal(setsockopt(secret->ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
			 0);
	own.fd = secret->cipher.fd = secret->ends[0];
	secret->writer = (struct chain_writer){cipher_writev, &secret->cipher};
	engine_init(&secret->engine);
	chain_init(&secret->chain, &secret->engine, &own);
	secret->got_max = bytes;
	secret->got = malloc(bytes + 1);
	assert_non_null(secret->got);
}

/* At most `max` of what has arrived, in clear. */
static void secret_receive(struct secret *secret, size_t max)
{
	size_t room = min_size(max, secret->got_max + 1 - secret->got_len);
	size_t n = read_some(secret->ends[1], secret->got + secret->got_len, room);

	cipher_open(secret->got + secret->got_len, n, secret->got_len);
	secret->got_len += n;
}

/* What the peer and the loop do about a step; false: it is over. */
static bool secret_answer(struct secret *secret, int step)
{
	const struct leat_wait wait = chain_wait(&secret->chain);
	const struct leat_load load = chain_load(&secret->chain);

	if (step == LEAT_DONE || step < 0)
		return false;
	if (step == LEAT_WANT_WRITE) {
		assert_int_equal(wait.fd, secret->ends[0]);
		assert_true(wait.events == POLLIN || wait.events == POLLOUT);
		if (wait.events == POLLIN)
			assert_int_equal(write(secret->ends[1], "!", 1), 1);
		secret_receive(secret, (size_t)random() % 30000 + 1);
	} else if (step == LEAT_WANT_LOAD) {
		assert_int_equal(leat_load_run(&load), 0);
	} else {
		assert_int_equal(step, LEAT_MORE);
	}
	return true;
}

static int secret_run(struct secret *secret)
{
	int step;

	do
		step = leat_chain_step(&secret->chain, random() % 3 ? 0 : random() % 40000 + 1);
	while (secret_answer(secret, step));
	return step;
}

/* The end in the middle of a record. */
static struct leat_report secret_abandon(struct secret *secret)
{
	struct leat_report report = LEAT_REPORT_INIT;

	leat_chain_report(&secret->chain, &report);
	assert_int_equal(report.ledger.bytes_transformed, report.ledger.bytes);
	assert_sums(&report.ledger, report.ledger.bytes);
	chain_fini(&secret->chain);
	engine_fini(&secret->engine);
	close_pair(secret->ends);
	free(secret->got);
	return report;
}

/* Everything that was accounted for has arrived, and no more. */
static struct leat_report secret_close(struct secret *secret)
{
	size_t before;

	do {
		before = secret->got_len;
		secret_receive(secret, SIZE_MAX);
	} while (secret->got_len > before);
	assert_int_equal(secret->got_len, secret->chain.ledger.bytes);
	return secret_abandon(secret);
}

#define FILE_BYTES 300000u

/* Segments of every kind and length, of one pattern that goes on from each to the next. */
static size_t add_segments(struct leat_chain *chain, int file, const char *memory, int source)
{
	size_t at = 0;

	while (at < FILE_BYTES) {
		static const size_t longest[] = {50, 5000, 200000};
		size_t len = 1 + (size_t)random() % longest[random() % 3];

		len = min_size(len, FILE_BYTES - at);
		if (random() % 2)
			assert_int_equal(leat_chain_add_memory(chain, memory + at, len, NULL, NULL),
					 0);
		else
			assert_int_equal(leat_chain_add_file(chain, file, at, len, NULL, NULL), 0);
		at += len;
	}
	if (source >= 0)
		assert_int_equal(leat_chain_add_stream(chain, source, LEAT_TO_END, NULL, NULL), 0);
	return at;
}

#define STREAM_BYTES 50000u

/* A pipe with some bytes of the pattern in it, and its end. */
static int full_pipe(void)
{
	char *memory = pattern_memory(STREAM_BYTES, FILE_BYTES);
	int fds[2];

	pipe_pair(fds);
	assert_int_equal(write(fds[0], memory, STREAM_BYTES), STREAM_BYTES);
	close(fds[0]);
	free(memory);
	return fds[1];
}

static void a_writer_gets_everything_in_order_and_may_refuse_at_any_time(void **state)
{
	char *memory = pattern_memory(FILE_BYTES, 0);
	int file = pattern_file(FILE_BYTES);
	unsigned waited_in = 0, waited_out = 0;

	srandom(1);
	for (int round = 0; round < 40; round++) {
		int source = full_pipe();
		struct secret secret;
		struct leat_report report;

		secret_open(&secret, LEAT_AUTO, FILE_BYTES + STREAM_BYTES);
		secret.cipher.listen_at = round % 3 ? 7 : 0;
		secret.cipher.take_max = round % 4 ? 0 : 1 + (size_t)random() % 5000;
		add_segments(&secret.chain, file, memory, source);
		assert_int_equal(secret_run(&secret), LEAT_DONE);
		waited_in += secret.cipher.waited_in;
		waited_out += secret.cipher.waited_out;
		secret_receive(&secret, SIZE_MAX);
		assert_pattern(secret.got, secret.got_len, 0);
		report = secret_close(&secret);
		assert_int_equal(report.ledger.bytes, FILE_BYTES + STREAM_BYTES);
		assert_int_equal(report.technique, LEAT_COPY);
		assert_int_equal(report.verdict, LEAT_TRANSFORMED);
		close(source);
	}
	assert_true(waited_in > 0 && waited_out > 0);
	close(file);
	free(memory);
}

static void the_report_says_that_a_writer_made_other_bytes_and_why_they_were_read(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct leat_report report;
	struct secret secret;

	secret_open(&secret, LEAT_AUTO, FILE_BYTES);
	assert_int_equal(leat_chain_add_file(&secret.chain, file, 0, FILE_BYTES, NULL, NULL), 0);
	assert_int_equal(secret_run(&secret), LEAT_DONE);
	report = secret_close(&secret);
	assert_string_equal(report.reason, "the sink is a writer: it takes bytes, not pages");
	assert_non_null(strstr(report.evidence, "writer makes other bytes"));
	close(file);
}

/* A header and the file behind it go together, and so do many small ranges. */
static void neighbours_are_offered_together(void **state)
{
	char *memory = pattern_memory(100, 0);
	int file = pattern_file(FILE_BYTES);
	struct secret secret;

	secret_open(&secret, LEAT_AUTO, 1000);
	leat_chain_add_memory(&secret.chain, memory, 100, NULL, NULL);
	for (size_t at = 100; at < 1000; at += 100)
		leat_chain_add_file(&secret.chain, file, at, 100, NULL, NULL);
	assert_int_equal(secret_run(&secret), LEAT_DONE);
	assert_int_equal(secret.cipher.records, 1);
	secret_receive(&secret, SIZE_MAX);
	assert_pattern(secret.got, 1000, 0);
	secret_close(&secret);
	close(file);
	free(memory);
}

/* Steps until the writer has refused a file range, with much of it left. */
static void run_until_refused(struct secret *secret, int file)
{
	assert_int_equal(leat_chain_add_file(&secret->chain, file, 0, FILE_BYTES, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(&secret->chain, 0), LEAT_WANT_WRITE);
	assert_true(secret->cipher.refused > 0);
}

/* The buffer that files are read into belongs to the engine: a slow client costs nothing. */
static void a_refused_file_range_keeps_no_buffer_of_the_chain(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct secret secret;

	secret_open(&secret, LEAT_AUTO, FILE_BYTES);
	run_until_refused(&secret, file);
	assert_null(secret.chain.bounce.data);
	assert_int_equal(secret.chain.pipe.read_fd, -1);
	assert_true(secret.cipher.refused <= 65536);
	secret_abandon(&secret);
	close(file);
}

/* cipher_writev() checks that it gets no fewer bytes. */
static void what_was_refused_is_offered_again_whatever_the_budget(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct secret secret;

	secret_open(&secret, LEAT_AUTO, FILE_BYTES);
	run_until_refused(&secret, file);
	secret_receive(&secret, SIZE_MAX);
	assert_in_range(leat_chain_step(&secret.chain, 1), LEAT_MORE, LEAT_WANT_WRITE);
	assert_int_equal(secret_run(&secret), LEAT_DONE);
	secret_close(&secret);
	close(file);
}

/* Two pieces before it are in memory: without the refusal they would go alone. */
static void a_range_that_went_cold_while_it_was_refused_is_loaded_first(void **state)
{
	int hot = pattern_file(1000), file = pattern_file(FILE_BYTES);
	struct secret secret;

	assert_int_equal(fsync(file), 0);
	secret_open(&secret, LEAT_AUTO, 1001 + FILE_BYTES);
	leat_chain_add_memory(&secret.chain, "", 1, NULL, NULL);
	assert_int_equal(leat_chain_add_file(&secret.chain, hot, 0, 1000, NULL, NULL), 0);
	secret.cipher.listen_at = 1;
	run_until_refused(&secret, file);
	posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	secret.cipher.listen_at = 0;
	assert_int_equal(secret_run(&secret), LEAT_DONE);
	secret_receive(&secret, SIZE_MAX);
	assert_pattern(secret.got + 1, 1000, 0);
	assert_pattern(secret.got + 1001, FILE_BYTES, 0);
	secret_close(&secret);
	close(file);
	close(hot);
}

static void a_file_cut_short_ends_the_chain_after_its_last_byte(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct leat_report report;
	struct secret secret;

	secret_open(&secret, LEAT_AUTO, FILE_BYTES);
	assert_int_equal(leat_chain_add_file(&secret.chain, file, 0, FILE_BYTES, NULL, NULL), 0);
	assert_int_equal(ftruncate(file, 100001), 0);
	assert_int_equal(secret_run(&secret), -ENODATA);
	report = secret_close(&secret);
	assert_int_equal(report.ledger.bytes, 100001);
	assert_non_null(strstr(report.error, "file ended at 100001, expected 300000"));
	close(file);
}

/* A writer in the middle of a record can't be given fewer bytes, and must not be given others. */
static void a_file_cut_short_while_it_was_refused_is_an_error_and_no_call(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct leat_report report;
	struct secret secret;
	unsigned calls;

	secret_open(&secret, LEAT_AUTO, FILE_BYTES);
	run_until_refused(&secret, file);
	calls = secret.cipher.calls;
	assert_int_equal(ftruncate(file, 100), 0);
	assert_int_equal(leat_chain_step(&secret.chain, 0), -ENODATA);
	assert_int_equal(secret.cipher.calls, calls);
	report = secret_abandon(&secret);
	assert_non_null(strstr(report.error, "shorter now"));
	close(file);
}

static ssize_t take_nothing(void *arg, const struct iovec *pieces, int count, bool more,
			    short *ret_events)
{
	return 0;
}

static void a_writers_error_is_the_chains(void **state)
{
	for (int round = 0; round < 2; round++) {
		struct secret secret;

		secret_open(&secret, LEAT_AUTO, 4);
		secret.cipher.error = -ECONNRESET;
		if (round == 1)
			secret.writer.writev = take_nothing;
		leat_chain_add_memory(&secret.chain, "four", 4, NULL, NULL);
		assert_int_equal(leat_chain_step(&secret.chain, 0), round ? -EIO : -ECONNRESET);
		secret_close(&secret);
	}
}

static void a_writer_is_given_no_pages_even_when_they_are_asked_for(void **state)
{
	int file = pattern_file(FILE_BYTES);

	for (int i = LEAT_AUTO + 1; i < LEAT_TECHNIQUE_COUNT; i++) {
		struct secret secret;
		int step;

		secret_open(&secret, (enum leat_technique)i, FILE_BYTES);
		leat_chain_add_file(&secret.chain, file, 0, 1000, NULL, NULL);
		step = secret_run(&secret);
		assert_int_equal(step, i == LEAT_COPY ? LEAT_DONE : -EOPNOTSUPP);
		secret_close(&secret);
	}
	close(file);
}

/* ---- kTLS ---- */

/* Keys for one direction, the same at both ends. 0 or -errno. */
static int use_tls(int fd, int direction)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
	    .info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};
	int r = sys_setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));

	memset(keys.key, 7, sizeof(keys.key));
	return r < 0 ? r : sys_setsockopt(fd, SOL_TLS, direction, &keys, sizeof(keys));
}

/* A kernel with kTLS encrypts and decrypts; on another one the pair is plain. */
static bool tls_pair(int ends[2])
{
	tcp_pair(ends);
	if (use_tls(ends[0], TLS_TX) < 0)
		return false;
	assert_int_equal(use_tls(ends[1], TLS_RX), 0);
	return true;
}

static struct leat_report send_to_ktls(void (*add)(struct leat_chain *chain, void *arg), void *arg,
				       uint64_t bytes)
{
	struct leat_report report = LEAT_REPORT_INIT;
	struct leat_engine engine;
	struct leat_chain chain;
	struct reader reader;
	struct steps steps = {0};
	int ends[2];

	tls_pair(ends);
	engine_init(&engine);
	chain_init(&chain, &engine, &(struct chain_sink){.fd = ends[0], .kind = SINK_KTLS});
	reader_start(&reader, ends[1], 0);
	add(&chain, arg);
	assert_int_equal(step_to_end(&chain, 0, &steps), LEAT_DONE);
	leat_chain_report(&chain, &report);
	chain_fini(&chain);
	engine_fini(&engine);
	reader_finish(&reader, &ends[0], bytes);
	close_pair(ends);
	assert_sums(&report.ledger, bytes);
	assert_int_equal(report.ledger.bytes_transformed, bytes);
	assert_int_equal(report.verdict, LEAT_TRANSFORMED);
	assert_non_null(strstr(report.evidence, "kTLS"));
	return report;
}

static void add_header_and_file(struct leat_chain *chain, void *arg)
{
	static char header[200];

	pattern_fill(header, sizeof(header), 0);
	assert_int_equal(leat_chain_add_memory(chain, header, sizeof(header), NULL, NULL), 0);
	assert_int_equal(leat_chain_add_file(chain, *(int *)arg, sizeof(header), LEAT_TO_END, NULL,
					     NULL),
			 0);
}

static void add_stream(struct leat_chain *chain, void *arg)
{
	assert_int_equal(leat_chain_add_stream(chain, *(int *)arg, LEAT_TO_END, NULL, NULL), 0);
}

static void files_go_to_ktls_by_sendfile_and_are_transformed(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct leat_report report = send_to_ktls(add_header_and_file, &file, FILE_BYTES);

	assert_int_equal(report.technique, LEAT_SENDFILE);
	close(file);
}

static void streams_go_to_ktls_by_splice_and_are_transformed(void **state)
{
	char *memory = pattern_memory(STREAM_BYTES, 0);
	struct leat_report report;
	int fds[2];

	pipe_pair(fds);
	assert_int_equal(write(fds[0], memory, STREAM_BYTES), STREAM_BYTES);
	close(fds[0]);
	report = send_to_ktls(add_stream, &fds[1], STREAM_BYTES);
	assert_int_equal(report.technique, LEAT_SPLICE);
	close(fds[1]);
	free(memory);
}

static void a_socket_with_keys_is_known_for_one(void **state)
{
	enum sink_kind kind;
	int ends[2];
	bool encrypts = tls_pair(ends);

	assert_int_equal(sink_kind_of(ends[0], &kind), 0);
	assert_int_equal(kind, encrypts ? SINK_KTLS : SINK_TCP);
	assert_int_equal(sink_kind_of(ends[1], &kind), 0);
	assert_int_equal(kind, SINK_TCP); /* it decrypts, and sends in clear */
	close_pair(ends);
	if (!encrypts)
		unit_skip("this kernel has no kTLS (module tls)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_writer_gets_everything_in_order_and_may_refuse_at_any_time),
	    cmocka_unit_test(the_report_says_that_a_writer_made_other_bytes_and_why_they_were_read),
	    cmocka_unit_test(neighbours_are_offered_together),
	    cmocka_unit_test(a_refused_file_range_keeps_no_buffer_of_the_chain),
	    cmocka_unit_test(what_was_refused_is_offered_again_whatever_the_budget),
	    cmocka_unit_test(a_range_that_went_cold_while_it_was_refused_is_loaded_first),
	    cmocka_unit_test(a_file_cut_short_ends_the_chain_after_its_last_byte),
	    cmocka_unit_test(a_file_cut_short_while_it_was_refused_is_an_error_and_no_call),
	    cmocka_unit_test(a_writers_error_is_the_chains),
	    cmocka_unit_test(a_writer_is_given_no_pages_even_when_they_are_asked_for),
	    cmocka_unit_test(files_go_to_ktls_by_sendfile_and_are_transformed),
	    cmocka_unit_test(streams_go_to_ktls_by_splice_and_are_transformed),
	    cmocka_unit_test(a_socket_with_keys_is_known_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
