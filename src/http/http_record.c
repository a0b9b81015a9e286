#include "http/http_record.h"

#include <errno.h>
#include <stdlib.h>

#include "http/http_proxies.h"
#include "sys/sys.h"

/* What a saved record has room for: nearly all requests; all that a line shows of any. */
#define SAVED_SMALL         1024u
#define SAVED_LARGE(fields) ((3u + (fields)) * HTTP_LOG_FIELD_MAX)

int http_recorder_new(struct access_log *log, enum http_log_format format,
		      const struct http_log_pattern *pattern, struct http_recorder **ret)
{
	struct http_recorder *recorder = malloc(sizeof(*recorder));
	int r;

	if (!recorder)
		return -ENOMEM;
	r = access_log_ring_new(log, &recorder->ring);
	if (r < 0) {
		free(recorder);
		return r;
	}
	recorder->format = format;
	recorder->pattern = pattern;
	recorder->time = recorder->iso = (struct http_log_time){.second = 0};
	recorder->count = 0;
	spare_init(&recorder->saved_small, sizeof(struct http_saved) + SAVED_SMALL, HTTP_SPARE_MAX);
	spare_init(&recorder->saved_large,
		   sizeof(struct http_saved) + SAVED_LARGE(pattern->field_count), HTTP_SPARE_MAX);
	*ret = recorder;
	return 0;
}

void http_recorder_free(struct http_recorder *recorder)
{
	if (!recorder)
		return;
	spare_fini(&recorder->saved_small);
	spare_fini(&recorder->saved_large);
	free(recorder);
}

/* ---- time ---- */

void http_record_received(struct http_conn *c)
{
	struct http_loop *loop = c->loop;
	uint64_t turn = loop_turns(loop->loop);

	if (!loop->timed)
		return;
	if (loop->turn != turn) {
		loop->turn = turn;
		loop->turn_ns = sys_now_ns();
	}
	c->received_ns = loop->turn_ns;
}

static uint64_t time_taken(const struct http_conn *c)
{
	return c->loop->timed ? sys_now_ns() - c->received_ns : 0;
}

/* ---- lines ---- */

/* How the flight went. */
struct outcome {
	uint64_t sent; /* bytes of it */
	uint64_t duration_ns;
	const char *technique, *verdict;
};

static void add_line(struct http_conn *c, struct http_log_entry *entry, struct buf *buf)
{
	struct http_recorder *recorder = c->loop->recorder;
	int64_t second = loop_wall(c->loop->loop);

	if (recorder->format == HTTP_LOG_JSON) {
		entry->wall_ms = sys_wall_ms();
		second = entry->wall_ms / 1000;
	}
	http_log_time_set(&recorder->time, recorder->format, second);
	http_log_line(buf, recorder->format, &recorder->time, entry);
}

static void add_own_line(struct http_conn *c, const struct http_record *record,
			 struct http_log_entry *entry, struct buf *buf)
{
	struct http_recorder *recorder = c->loop->recorder;
	struct http_address address = http_peer_address(conn_peer(c->conn));
	char peer[HTTP_ADDRESS_TEXT_MAX];

	entry->peer = http_address_format(&address, peer);
	entry->wall_ms = sys_wall_ms();
	http_log_time_set(&recorder->time, HTTP_LOG_COMBINED, entry->wall_ms / 1000);
	http_log_time_set(&recorder->iso, HTTP_LOG_JSON, entry->wall_ms / 1000);
	entry->local = &recorder->time;
	entry->iso = &recorder->iso;
	memcpy(entry->fields, record->fields, sizeof(entry->fields));
	http_log_pattern_line(buf, recorder->pattern, entry);
}

static void write_line(struct http_conn *c, const struct http_record *record, uint64_t bytes,
		       const struct outcome *outcome)
{
	struct http_recorder *recorder = c->loop->recorder;
	struct buf buf = buf_over(recorder->line, sizeof(recorder->line));
	char client[HTTP_ADDRESS_TEXT_MAX];
	struct http_log_entry entry = {
	    .client = http_address_format(&record->client, client),
	    .line = record->line,
	    .referer = record->referer,
	    .user_agent = record->user_agent,
	    .status = record->status,
	    .bytes = bytes,
	    .duration_ns = outcome->duration_ns,
	    .technique = outcome->technique,
	    .verdict = outcome->verdict,
	};

	if (recorder->format == HTTP_LOG_OWN)
		add_own_line(c, record, &entry, &buf);
	else
		add_line(c, &entry, &buf);
	CHECK(!buf.overflow);
	access_log_add(recorder->ring, buf.ptr, buf.len, loop_now_ms(c->loop->loop) * 1000000);
}

/* Of an answer that lies in the buffer whole. */
static void write_buffered(struct http_conn *c, const struct http_record *record,
			   const struct outcome *outcome)
{
	uint64_t end = min_u64(record->end, outcome->sent);
	struct outcome copied = *outcome;

	copied.technique = leat_technique_name(LEAT_COPY);
	copied.verdict = leat_verdict_name(LEAT_COPIED);
	write_line(c, record, end > record->body_at ? end - record->body_at : 0, &copied);
}

/* ... and of the last one, which goes by a chain behind the buffer. */
static void write_chained(struct http_conn *c, const struct http_record *record,
			  const struct outcome *outcome)
{
	uint64_t sent = outcome->sent;

	write_line(c, record, sent > record->body_at ? sent - record->body_at : 0, outcome);
}

/* ---- records ---- */

/* Where the body of the answer in [start, end) begins. */
static size_t find_body(const char *out, size_t start, size_t end)
{
	const char *found = memmem(out + start, end - start, "\r\n\r\n", 4);

	return found ? (size_t)(found - out) + 4 : end;
}

static struct slice field_of(const struct http_request *request, enum http_field field)
{
	struct slice value = {NULL, 0};

	if (request)
		http_request_field(request, field, &value);
	return value;
}

static struct http_address client_of(const struct http_conn *c, const struct http_request *request)
{
	const struct http_proxies *proxies = http_server_proxies(c->loop->server);
	struct http_address peer = c->is_told ? c->told : http_peer_address(conn_peer(c->conn));

	if (!request || proxies->trusted.count == 0)
		return peer;
	return http_forwarded_client(request, proxies->header, &proxies->trusted, &peer);
}

static void take_fields(const struct http_log_pattern *pattern, const struct http_request *request,
			struct slice fields[HTTP_LOG_FIELDS_MAX])
{
	for (unsigned i = 0; request && i < pattern->field_count; i++)
		for (unsigned n = 0; n < request->header_count && !fields[i].ptr; n++)
			if (http_log_field_is(pattern->fields[i], request->headers[n].name))
				fields[i] = request->headers[n].value;
}

void http_record_answer(struct http_conn *c, const struct http_request *request, struct slice line,
			int status, size_t start, size_t body_at)
{
	struct http_recorder *recorder = c->loop->recorder;
	struct http_flight *flight = c->flight;
	struct http_record *record;

	flight->answers++;
	if (!recorder)
		return;
	if (recorder->count == HTTP_RECORDS_MAX)
		http_record_keep(c);
	record = &recorder->records[recorder->count++];
	*record = (struct http_record){
	    .line = line,
	    .referer = field_of(request, HTTP_FIELD_REFERER),
	    .user_agent = field_of(request, HTTP_FIELD_USER_AGENT),
	    .body_at = (uint32_t)(body_at ? body_at : find_body(flight->out, start, flight->len)),
	    .end = (uint32_t)flight->len,
	    .status = status,
	    .client = client_of(c, request),
	};
	take_fields(recorder->pattern, request, record->fields);
}

/* Appends what a line shows of `text` at most. */
static struct slice save_text(struct slice text, char *at)
{
	size_t len = min_size(text.len, HTTP_LOG_FIELD_MAX);

	if (len)
		memcpy(at, text.ptr, len);
	return slice_make(at, len);
}

static size_t text_length(const struct http_record *record, unsigned fields)
{
	size_t length = record->line.len + record->referer.len + record->user_agent.len;

	for (unsigned i = 0; i < fields; i++)
		length += record->fields[i].len;
	return length;
}

/* Without memory the line shows what is certain. */
static void save(struct http_conn *c, const struct http_record *record)
{
	struct http_recorder *recorder = c->loop->recorder;
	unsigned fields = recorder->pattern->field_count;
	bool large = text_length(record, fields) > SAVED_SMALL;
	struct http_saved *saved =
	    spare_take(large ? &recorder->saved_large : &recorder->saved_small);
	char *at;

	c->flight->saved = saved;
	if (!saved)
		return;
	at = saved->text;
	saved->large = large;
	saved->record = *record;
	saved->record.line = save_text(record->line, at);
	at += saved->record.line.len;
	saved->record.referer = save_text(record->referer, at);
	at += saved->record.referer.len;
	saved->record.user_agent = save_text(record->user_agent, at);
	at += saved->record.user_agent.len;
	for (unsigned i = 0; i < fields; i++) {
		saved->record.fields[i] = save_text(record->fields[i], at);
		at += saved->record.fields[i].len;
	}
}

void http_record_keep(struct http_conn *c)
{
	struct http_recorder *recorder = c->loop->recorder;
	struct outcome outcome = {.sent = UINT64_MAX};
	unsigned count = recorder ? recorder->count : 0;
	bool chained = c->flight && c->flight->chained;

	if (count == 0)
		return;
	outcome.duration_ns = time_taken(c);
	for (unsigned i = 0; i < count; i++) {
		if (chained && i + 1 == count)
			save(c, &recorder->records[i]);
		else
			write_buffered(c, &recorder->records[i], &outcome);
	}
	recorder->count = 0;
}

/* ---- the end of a flight ---- */

static void ask_chain(const struct leat_chain *chain, struct outcome *outcome)
{
	struct leat_report report = LEAT_REPORT_INIT;

	leat_chain_report(chain, &report);
	outcome->technique = leat_technique_name(report.technique);
	outcome->verdict = leat_verdict_name(report.verdict);
}

static void end_saved(struct http_conn *c, const struct outcome *outcome)
{
	struct http_recorder *recorder = c->loop->recorder;
	struct http_saved *saved = c->flight->saved;

	write_chained(c, &saved->record, outcome);
	spare_give(saved->large ? &recorder->saved_large : &recorder->saved_small, saved);
	c->flight->saved = NULL;
}

static void end_records(struct http_conn *c, const struct outcome *outcome)
{
	struct http_recorder *recorder = c->loop->recorder;

	for (unsigned i = 0; i < recorder->count; i++) {
		if (c->flight->chained && i + 1 == recorder->count)
			write_chained(c, &recorder->records[i], outcome);
		else
			write_buffered(c, &recorder->records[i], outcome);
	}
	recorder->count = 0;
}

static bool is_sent(const struct http_flight *flight)
{
	if (flight->chained)
		return leat_chain_pending(&flight->chain) == 0 && !flight->listing;
	return flight->sent == flight->len;
}

void http_record_flight(struct http_conn *c)
{
	struct http_loop *loop = c->loop;
	struct http_flight *flight = c->flight;
	struct outcome outcome = {.sent = flight->sent};

	if (!loop->timed && !loop->recorder)
		return;
	outcome.duration_ns = time_taken(c);
	if (flight->chained)
		outcome.sent = flight->chain.ledger.bytes;
	if (loop->timed && is_sent(flight))
		histogram_add_times(&loop->durations, outcome.duration_ns, flight->answers);
	if (!loop->recorder)
		return;
	if (flight->chained && loop->recorder->format != HTTP_LOG_COMBINED)
		ask_chain(&flight->chain, &outcome);
	if (flight->saved)
		end_saved(c, &outcome);
	end_records(c, &outcome);
}
