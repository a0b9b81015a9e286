#include "http/http_account.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/size.h"

static void add_cache(struct file_cache_stats *sum, const struct file_cache_stats *more)
{
	sum->hits += more->hits;
	sum->misses += more->misses;
	sum->dropped += more->dropped;
	sum->evicted += more->evicted;
	sum->compared += more->compared;
	sum->entries += more->entries;
	sum->fds += more->fds;
	sum->bytes += more->bytes;
	sum->watches += more->watches;
}

static void add_loop(struct http_account *sum, const struct http_loop *loop)
{
	const struct http_counters *counters = &loop->counters;
	struct file_cache_stats cache;

	engine_account_add(&sum->engine, loop->engine);
	histogram_merge(&sum->durations, &loop->durations);
	file_cache_stats(loop->cache, &cache);
	add_cache(&sum->cache, &cache);
	sum->requests += counter_get(&counters->requests);
	sum->truncated += counter_get(&counters->truncated);
	sum->opened += counter_get(&counters->opened);
	sum->closed += counter_get(&counters->closed);
	for (unsigned i = 0; i < HTTP_DEADLINE_COUNT; i++)
		sum->expired[i] += counter_get(&counters->expired[i]);
	for (unsigned i = 0; i < HTTP_STATUS_MAX; i++)
		sum->status[i] += counter_get(&counters->status[i]);
}

void http_account(const struct http_server *server, struct http_account *ret)
{
	const struct http_loop *loop;

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; (loop = http_server_loop(server, i)); i++)
		add_loop(ret, loop);
}

static void add_size(struct buf *buf, uint64_t bytes, const char *what)
{
	char text[SIZE_TEXT_MAX];

	buf_printf(buf, "%s%s", size_format(bytes, text), what);
}

void http_account_say(const struct http_server *server)
{
	struct http_account sum;
	char line[LOG_LINE_MAX];
	struct buf buf = buf_over(line, sizeof(line));
	const struct leat_ledger *l = &sum.engine.ledger;
	const struct file_cache_stats *c = &sum.cache;

	http_account(server, &sum);
	buf_printf(&buf, "%llu requests on %llu connections", (unsigned long long)sum.requests,
		   (unsigned long long)sum.opened);
	for (unsigned i = 0; i < HTTP_STATUS_MAX; i++)
		if (sum.status[i])
			buf_printf(&buf, ", %u: %llu", i, (unsigned long long)sum.status[i]);
	buf_add_literal(&buf, "; ");
	add_size(&buf, l->bytes, " sent: ");
	add_size(&buf, l->bytes_by_reference, " by reference, ");
	add_size(&buf, l->bytes_copied + l->bytes_copied_later, " copied, ");
	add_size(&buf, l->bytes_unknown, " unknown");
	buf_printf(&buf, "; %llu sends, %llu fallbacks, %llu cold ranges",
		   (unsigned long long)l->syscalls, (unsigned long long)l->fallbacks,
		   (unsigned long long)l->loads);
	buf_printf(&buf, "; files: %llu hits, %llu misses, %llu changed, %llu evicted",
		   (unsigned long long)c->hits, (unsigned long long)c->misses,
		   (unsigned long long)c->dropped, (unsigned long long)c->evicted);
	if (sum.truncated)
		buf_printf(&buf, ", %llu shrank in flight", (unsigned long long)sum.truncated);
	log_info("%.*s", (int)buf.len, buf.ptr);
}
