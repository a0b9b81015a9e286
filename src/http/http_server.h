/*
 * The HTTP server: what all its loops share, and the pieces to start it with.
 *
 *     http_server_new()       reads the folder and the files it needs, opens nothing to the world
 *     http_server_listen()    its listeners, in a reactor
 *     http_server_start()     its own threads: after the process has given up what it won't need
 *     http_loop_open/close()  its state on each loop (http_loop.h), by reactor_options' hooks
 *     http_server_free()      after the reactor's loops have ended
 *
 * serve() (serve/serve.h) puts them together.
 *
 * A connection finds its server by its listener's arg and its loop's state by the loop's number, so
 * that other services may have connections on the same loops. The loops' state stays until
 * http_server_free(), so that it may be read from other threads (http_account.h) as long as there
 * is a server.
 */
#ifndef HTTP_HTTP_SERVER_H
#define HTTP_HTTP_SERVER_H

#include "base/err.h"
#include "http/access_log.h"
#include "http/core/log_line.h"
#include "http/file_cache.h"

struct http_server;
struct http_proxies;
struct http_loop;
struct loop;
struct reactor;

/* How long a connection may take, milliseconds; 0: the default in http_limits.h, where the reasons
 * are. */
struct http_timeouts {
	uint32_t header_ms, body_ms, idle_ms, write_ms;
};

struct http_options {
	const char *dir;
	const char *const *listen; /* as for reactor_listen(); none: 127.0.0.1:8080 */
	unsigned listen_count;
	const char *index; /* a file name */
	bool autoindex;
	bool dotfiles;                 /* serve and list names that begin with a dot */
	bool precompressed;            /* .gz, .zst, .br beside a file */
	enum leat_technique technique; /* for bodies; LEAT_AUTO: the engine chooses */
	bool explain;                  /* Server-Timing says how a body goes */
	bool no_symlinks;
	const char *const *link_dirs; /* links may lead into these, too */
	unsigned link_dir_count;
	const char *cache_control;  /* of files; NULL: none */
	const char *const *headers; /* "Name: value", for all answers */
	unsigned header_count;
	const char *mime_types;             /* a file; NULL: only what is built in */
	const char *default_type, *charset; /* as in http_mime_options */
	struct http_timeouts timeouts;
	unsigned cache_entries; /* of each thread; 0: the default */
	uint64_t cache_bytes;   /* of each thread; 0: the default */
	const char *access_log; /* a path, "-"; NULL: none */
	enum http_log_format log_format;
	const char *log_pattern; /* of HTTP_LOG_OWN */
	/* Proxies that are believed (http_proxies.h), and how they name clients; NULL:
	 * X-Forwarded-For. */
	const char *const *trusted;
	unsigned trusted_count;
	const char *client_header;
	bool proxy_protocol;
};

/* `options` and what it points to must stay. `loops`: how many it will run on. */
int http_server_new(const struct http_options *options, unsigned loops, struct http_server **ret,
		    struct err *err);
int http_server_listen(struct http_server *server, struct reactor *reactor, struct err *err);
int http_server_start(struct http_server *server, struct err *err);
/* Somebody will read how long answers take. Before the loops run. */
void http_server_observe(struct http_server *server);
void http_server_say_start(const struct http_server *server);
/* NULL is fine. */
void http_server_free(struct http_server *server);
/* Instead, where helpers are stuck (reactor_is_stuck()): writes what is to be written, and leaves
 * them what they may still touch. */
void http_server_abandon(struct http_server *server);

const struct http_site *http_server_site(const struct http_server *server);
/* Where its log goes, as in http_options. */
const char *http_server_log_path(const struct http_server *server);
/* All set: the defaults are filled in. */
const struct http_timeouts *http_server_timeouts(const struct http_server *server);
/* Of each loop's cache. */
const struct file_cache_limits *http_server_cache_limits(const struct http_server *server);

const struct http_proxies *http_server_proxies(const struct http_server *server);

/* SIGHUP: the log is opened anew. */
void http_server_hangup(const struct http_server *server);
/* NULL: there is none. */
const struct access_log *http_server_access_log(const struct http_server *server);

/* The loop records what the server's options ask for. -ENOMEM. */
int http_server_record(const struct http_server *server, struct http_loop *loop);
/* The server's state on a loop. */
void http_server_set_loop(struct http_server *server, unsigned index, struct http_loop *loop);
/* NULL: not open yet, or there is no such loop. Any thread. */
struct http_loop *http_server_loop(const struct http_server *server, unsigned index);

#endif
