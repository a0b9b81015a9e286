#include "http/http_server.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/size.h"
#include "http/http_conn.h"
#include "reactor/address.h"
#include "sys/sys.h"

#define MIME_FILE_MAX  (4u * 1024u * 1024u)
#define LISTEN_DEFAULT "127.0.0.1:8080"

/* What all loops together did; each adds its own when it ends. */
struct totals {
	_Atomic uint64_t requests;
	_Atomic uint64_t status[HTTP_STATUS_MAX];
	_Atomic uint64_t bytes, by_reference, copied, unknown, fallbacks, syscalls, loads;
	_Atomic uint64_t hits, misses, dropped, evicted;
	_Atomic uint64_t truncated;
};

struct http_server {
	struct http_site site;
	struct file_cache_limits cache_limits;
	struct reactor *reactor;
	struct totals *totals;
};

const struct http_site *http_server_site(const struct http_server *server)
{
	return &server->site;
}

const struct file_cache_limits *http_server_cache_limits(const struct http_server *server)
{
	return &server->cache_limits;
}

/* ---- the account ---- */

static void add(_Atomic uint64_t *total, uint64_t n)
{
	atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

static uint64_t value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void http_server_sum(const struct http_server *server, const struct http_loop *loop)
{
	const struct http_counters *counters = &loop->counters;
	struct totals *totals = server->totals;
	struct file_cache_stats cache;
	struct leat_ledger ledger;

	leat_engine_ledger(loop->engine, &ledger);
	file_cache_stats(loop->cache, &cache);
	add(&totals->requests, value(&counters->requests));
	for (unsigned i = 0; i < HTTP_STATUS_MAX; i++)
		add(&totals->status[i], value(&counters->status[i]));
	add(&totals->truncated, value(&counters->truncated));
	add(&totals->bytes, ledger.bytes);
	add(&totals->by_reference, ledger.bytes_by_reference);
	add(&totals->copied, ledger.bytes_copied + ledger.bytes_copied_later);
	add(&totals->unknown, ledger.bytes_unknown);
	add(&totals->fallbacks, ledger.fallbacks);
	add(&totals->syscalls, ledger.syscalls);
	add(&totals->loads, ledger.loads);
	add(&totals->hits, cache.hits);
	add(&totals->misses, cache.misses);
	add(&totals->dropped, cache.dropped);
	add(&totals->evicted, cache.evicted);
}

static void add_size(struct buf *buf, const _Atomic uint64_t *bytes, const char *what)
{
	char text[SIZE_TEXT_MAX];

	buf_printf(buf, "%s%s", size_format(value(bytes), text), what);
}

static void say_account(const struct http_server *server)
{
	const struct totals *t = server->totals;
	struct reactor_stats stats;
	char line[LOG_LINE_MAX];
	struct buf buf = buf_over(line, sizeof(line));

	reactor_stats(server->reactor, &stats);
	buf_printf(&buf, "%llu requests on %llu connections",
		   (unsigned long long)value(&t->requests), (unsigned long long)stats.accepted);
	for (unsigned i = 0; i < HTTP_STATUS_MAX; i++)
		if (value(&t->status[i]))
			buf_printf(&buf, "%s%u: %llu",
				   buf.len && line[buf.len - 1] == '(' ? "" : ", ", i,
				   (unsigned long long)value(&t->status[i]));
	buf_add_literal(&buf, "; ");
	add_size(&buf, &t->bytes, " sent: ");
	add_size(&buf, &t->by_reference, " by reference, ");
	add_size(&buf, &t->copied, " copied, ");
	add_size(&buf, &t->unknown, " unknown");
	buf_printf(&buf, "; %llu sends, %llu fallbacks, %llu cold ranges",
		   (unsigned long long)value(&t->syscalls),
		   (unsigned long long)value(&t->fallbacks), (unsigned long long)value(&t->loads));
	buf_printf(&buf, "; files: %llu hits, %llu misses, %llu changed, %llu evicted",
		   (unsigned long long)value(&t->hits), (unsigned long long)value(&t->misses),
		   (unsigned long long)value(&t->dropped), (unsigned long long)value(&t->evicted));
	if (value(&t->truncated))
		buf_printf(&buf, ", %llu shrank in flight",
			   (unsigned long long)value(&t->truncated));
	log_info("%.*s", (int)buf.len, buf.ptr);
}

/* ---- start ---- */

static int read_file(const char *name, char **ret_text, size_t *ret_len)
{
	int fd = sys_open(name, O_RDONLY | O_NONBLOCK, 0), r;
	struct stat st;
	char *text;
	ssize_t n = 0;
	size_t len = 0;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size > (off_t)MIME_FILE_MAX))
		r = -EINVAL;
	text = r == 0 ? malloc((size_t)st.st_size + 1) : NULL;
	if (r == 0 && !text)
		r = -ENOMEM;
	while (r == 0 && len < (size_t)st.st_size) {
		n = sys_read(fd, text + len, (size_t)st.st_size - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	sys_close(fd);
	if (r == 0 && n < 0)
		r = (int)n;
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int load_mime_file(struct http_site *site, const char *name, struct err *err)
{
	size_t len;
	char *text;
	int r = read_file(name, &text, &len);

	if (r < 0)
		return err_set(err, r, "--mime-types %s: %s", name, strerror(-r));
	r = http_mime_new(slice_make(text, len), name, &site->mime, err);
	free(text);
	return r;
}

/* The user's, or the first of the system's that can be read, or only what is built in. */
static int load_mime(struct http_site *site, const char *name, struct err *err)
{
	static const char *const system[] = {"/etc/mime.types", "/etc/nginx/mime.types"};
	struct err ignored;

	if (name)
		return load_mime_file(site, name, err);
	for (size_t i = 0; i < ARRAY_SIZE(system); i++)
		if (load_mime_file(site, system[i], &ignored) == 0)
			break;
	return 0;
}

static int open_root(struct http_site *site, const char *dir, struct err *err)
{
	int fd = sys_open(dir, O_PATH | O_DIRECTORY, 0);

	if (fd < 0)
		return err_set(err, fd, "%s: %s", dir,
			       fd == -ENOTDIR ? "not a directory" : strerror(-fd));
	site->root_fd = fd;
	site->root_name = dir;
	/* A sandbox that forbids openat2(2) leaves no safe way to resolve names. */
	fd = file_open_beneath(site, ".", O_PATH | O_DIRECTORY, 0, FILE_LOAD_WAIT);
	if (fd == -ENOSYS || fd == -EPERM)
		return err_set(err, fd,
			       "openat2 is not available: leat http needs Linux 5.6, and a "
			       "container whose seccomp profile allows it");
	if (fd < 0)
		return err_set(err, fd, "%s: %s", dir, strerror(-fd));
	sys_close(fd);
	return 0;
}

/* A quarter of the descriptors for what the caches keep open, half for connections (the reactor's
 * default), the rest for files that are being sent and for everything else. */
static void limit_caches(struct http_server *server, unsigned threads)
{
	uint64_t fds = sys_fd_limit() / 4 / (threads ? threads : (unsigned)sys_cpu_count());

	server->cache_limits = (struct file_cache_limits){
	    .entries = HTTP_CACHE_ENTRIES,
	    .fds = (unsigned)min_u64(HTTP_CACHE_FDS, max_u64(fds, 1)),
	    .bytes = HTTP_CACHE_BYTES,
	};
}

static int listen_all(struct http_server *server, const struct http_options *options,
		      struct err *err)
{
	static const char *const standard[] = {LISTEN_DEFAULT};
	const char *const *where = options->listen_count ? options->listen : standard;
	unsigned count = options->listen_count ? options->listen_count : 1;
	const struct listener_options listener = {.ops = &http_conn_ops};
	int r = 0;

	for (unsigned i = 0; i < count && r == 0; i++)
		r = reactor_listen(server->reactor, where[i], &listener, err);
	return r;
}

/* A device without scatter-gather or transmit checksums makes the kernel copy what sendfile hands
 * over, and nobody is told: so it is said here. */
static void say_device(int socket, const char *device)
{
	if (sys_ethtool_get(socket, device, ETHTOOL_GSG) == 0)
		log_warning("%s has no scatter-gather: what goes out by it is copied by the CPU "
			    "(ethtool -K %s sg on)",
			    device, device);
	else if (sys_ethtool_get(socket, device, ETHTOOL_GTXCSUM) == 0)
		log_warning("%s has no transmit checksums: what goes out by it is copied by the "
			    "CPU (ethtool -K %s tx on)",
			    device, device);
}

static void say_devices(const char *listener)
{
	char device[16] = "", last[16] = "";
	struct address address;
	int socket;

	if (address_parse(listener, &address, NULL) < 0 || address.fd >= 0)
		return;
	socket = sys_socket(AF_INET, SOCK_DGRAM, 0);
	if (socket < 0)
		return;
	for (unsigned nth = 0;
	     sys_device_of_address((const void *)&address.sockaddr, nth, device) == 0; nth++) {
		/* A device with several addresses is found several times, in a row. */
		if (strcmp(device, last) != 0)
			say_device(socket, device);
		memcpy(last, device, sizeof(last));
	}
	sys_close(socket);
}

static void say_start(const struct http_server *server)
{
	char text[512];

	for (unsigned i = 0; reactor_listener_name(server->reactor, i, text, sizeof(text)) == 0;
	     i++)
		log_info("serving %s at %s%s", server->site.root_name,
			 strncmp(text, "unix:", 5) == 0 ? "" : "http://", text);
	leat_capabilities_text(text, sizeof(text));
	log_info("%s", text);
	for (unsigned i = 0; reactor_listener_name(server->reactor, i, text, sizeof(text)) == 0;
	     i++)
		say_devices(text);
}

static void server_fini(struct http_server *server)
{
	reactor_free(server->reactor);
	http_mime_free(server->site.mime);
	if (server->site.root_fd >= 0)
		sys_close(server->site.root_fd);
	free(server->totals);
}

int http_serve(const struct http_options *options, struct err *err)
{
	CLEANUP(server_fini) struct http_server server = {.site.root_fd = -1};
	const struct reactor_options reactor = {
	    .threads = options->threads,
	    .connections_max = options->connections_max,
	    .loop_open = http_loop_open,
	    .loop_close = http_loop_close,
	    .arg = &server,
	};
	int r;

	server.site.index = slice_of(options->index);
	server.site.autoindex = options->autoindex;
	server.totals = calloc(1, sizeof(*server.totals));
	if (!server.totals)
		return err_set(err, -ENOMEM, "out of memory");
	r = open_root(&server.site, options->dir, err);
	if (r == 0)
		r = load_mime(&server.site, options->mime_types, err);
	if (r == 0)
		r = reactor_new(&reactor, &server.reactor, err);
	if (r == 0)
		r = listen_all(&server, options, err);
	if (r < 0)
		return r;
	limit_caches(&server, options->threads);
	say_start(&server);
	r = reactor_run(server.reactor, err);
	say_account(&server);
	return r;
}
