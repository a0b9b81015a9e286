#include "http/http_server.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/file_link.h"
#include "http/http_conn.h"
#include "http/core/log_pattern.h"
#include "http/http_proxies.h"
#include "http/http_site.h"
#include "http/http_limits.h"
#include "http/http_record.h"
#include "http/http_root.h"
#include "sys/sys.h"

#define MIME_FILE_MAX  (4u * 1024u * 1024u)
#define LISTEN_DEFAULT "127.0.0.1:8080"

struct http_server {
	const struct http_options *options;
	struct http_site site;
	struct http_timeouts timeouts;
	struct file_cache_limits cache_limits;
	struct access_log *log; /* NULL: none */
	struct http_log_pattern pattern;
	struct http_proxies proxies;
	const struct reactor *reactor;
	bool observed;
	_Atomic(struct http_loop *) loops[REACTOR_LOOPS_MAX];
	struct dir_list_account lists;
	struct file_systems systems;
	struct http_root root;
};

const struct http_site *http_server_site(const struct http_server *server)
{
	return &server->site;
}

const char *http_server_log_path(const struct http_server *server)
{
	return server->options->access_log;
}

const struct http_proxies *http_server_proxies(const struct http_server *server)
{
	return &server->proxies;
}

const struct http_timeouts *http_server_timeouts(const struct http_server *server)
{
	return &server->timeouts;
}

const struct file_cache_limits *http_server_cache_limits(const struct http_server *server)
{
	return &server->cache_limits;
}

void http_server_set_loop(struct http_server *server, unsigned index, struct http_loop *loop)
{
	CHECK(index < ARRAY_SIZE(server->loops));
	atomic_store_explicit(&server->loops[index], loop, memory_order_release);
}

struct http_loop *http_server_loop(const struct http_server *server, unsigned index)
{
	if (index >= ARRAY_SIZE(server->loops))
		return NULL;
	return atomic_load_explicit(&server->loops[index], memory_order_acquire);
}

/* ---- what it serves ---- */

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

static int load_mime(struct http_site *site, const struct http_options *options, struct err *err)
{
	struct http_mime_options mime = {
	    .name = options->mime_types,
	    .default_type = options->default_type,
	    .charset = options->charset,
	};
	char *text = NULL;
	size_t len = 0;
	int r = mime.name ? read_file(mime.name, &text, &len) : 0;

	if (r < 0)
		return err_set(err, r, "--mime-types %s: %s", mime.name, strerror(-r));
	mime.text = slice_make(text, len);
	r = http_mime_new(&mime, &site->mime, err);
	free(text);
	return r;
}

/* ---- limits ---- */

static uint32_t or_default(uint32_t value, uint32_t standard)
{
	return value ? value : standard;
}

/* A quarter of the descriptors for what the caches keep open, half for connections (the reactor's
 * default), the rest for files that are being sent and for everything else. */
static void set_limits(struct http_server *server, const struct http_options *options,
		       unsigned loops)
{
	uint64_t fds = sys_fd_limit_raise() / 4 / loops;

	server->cache_limits = (struct file_cache_limits){
	    .entries = or_default(options->cache_entries, HTTP_CACHE_ENTRIES),
	    .fds = (unsigned)min_u64(HTTP_CACHE_FDS, max_u64(fds, 1)),
	    .bytes = options->cache_bytes ? options->cache_bytes : HTTP_CACHE_BYTES,
	};
	server->timeouts = (struct http_timeouts){
	    .header_ms = or_default(options->timeouts.header_ms, HTTP_HEADER_MS),
	    .body_ms = or_default(options->timeouts.body_ms, HTTP_BODY_MS),
	    .idle_ms = or_default(options->timeouts.idle_ms, HTTP_IDLE_MS),
	    .write_ms = or_default(options->timeouts.write_ms, HTTP_WRITE_MS),
	};
}

/* ---- start and end ---- */

int http_server_new(const struct http_options *options, unsigned loops, struct http_server **ret,
		    struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return err_set(err, -ENOMEM, "out of memory");
	server->options = options;
	server->site.root_fd = -1;
	server->site.index = slice_of(options->index);
	server->site.autoindex = options->autoindex;
	server->site.dotfiles = options->dotfiles;
	server->site.precompressed = options->precompressed;
	server->site.lists = &server->lists;
	server->site.systems = &server->systems;
	server->site.root = &server->root;
	server->site.explain = options->explain;
	server->site.no_symlinks = options->no_symlinks;
	set_limits(server, options, loops);
	r = http_root_open(options->dir, &server->site, err);
	if (r == 0)
		r = file_link_open_roots(&server->site, options->link_dirs, options->link_dir_count,
					 err);
	if (r == 0)
		r = load_mime(&server->site, options, err);
	if (r == 0)
		r = http_site_set_headers(&server->site, options, err);
	if (r == 0)
		r = http_site_set_technique(&server->site, options, err);
	if (r == 0)
		r = http_proxies_init(&server->proxies, options, err);
	if (r == 0 && options->log_format == HTTP_LOG_OWN)
		r = http_log_pattern_parse(options->log_pattern, &server->pattern, err);
	if (r == 0 && options->access_log)
		r = access_log_new(options->access_log, &server->log, err);
	if (r < 0) {
		http_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

int http_server_listen(struct http_server *server, struct reactor *reactor, struct err *err)
{
	static const char *const standard[] = {LISTEN_DEFAULT};
	const struct http_options *options = server->options;
	const char *const *where = options->listen_count ? options->listen : standard;
	unsigned count = options->listen_count ? options->listen_count : 1;
	const struct listener_options listener = {.ops = &http_conn_ops, .arg = server};
	int r = 0;

	server->reactor = reactor;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = reactor_listen(reactor, where[i], &listener, err);
	return r;
}

void http_server_say_start(const struct http_server *server)
{
	char name[512];

	for (unsigned i = 0; i < reactor_listener_count(server->reactor); i++)
		if (reactor_listener_arg(server->reactor, i) == server &&
		    reactor_listener_name(server->reactor, i, name, sizeof(name)) == 0)
			log_info("serving %s at %s%s", server->site.root_name,
				 strncmp(name, "unix:", 5) == 0 ? "" : "http://", name);
}

int http_server_start(struct http_server *server, struct err *err)
{
	return server->log ? access_log_start(server->log, err) : 0;
}

void http_server_observe(struct http_server *server)
{
	server->observed = true;
}

void http_server_hangup(const struct http_server *server)
{
	if (server->log)
		access_log_reopen(server->log);
}

const struct access_log *http_server_access_log(const struct http_server *server)
{
	return server->log;
}

int http_server_record(const struct http_server *server, struct http_loop *loop)
{
	enum http_log_format format = server->options->log_format;

	loop->timed = server->observed || (server->log && format != HTTP_LOG_COMBINED);
	return server->log
		   ? http_recorder_new(server->log, format, &server->pattern, &loop->recorder)
		   : 0;
}

void http_server_abandon(struct http_server *server)
{
	access_log_free(server->log);
	server->log = NULL;
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	access_log_free(server->log);
	for (unsigned i = 0; i < ARRAY_SIZE(server->loops); i++)
		http_loop_free(http_server_loop(server, i));
	http_mime_free(server->site.mime);
	http_site_free_headers(&server->site);
	file_link_close_roots(&server->site);
	http_root_close(&server->site);
	http_proxies_fini(&server->proxies);
	free(server);
}
