#include "cmd/args_http.h"

#include <limits.h>
#include <string.h>

#include "base/size.h"

enum {
	OPTION_INDEX = 288,
	OPTION_AUTOINDEX,
	OPTION_DOTFILES,
	OPTION_PRECOMPRESSED,
	OPTION_CACHE_CONTROL,
	OPTION_HEADER,
	OPTION_TECHNIQUE,
	OPTION_EXPLAIN,
	OPTION_NO_SYMLINKS,
	OPTION_FOLLOW_SYMLINKS,
	OPTION_MIME_TYPES,
	OPTION_DEFAULT_TYPE,
	OPTION_CHARSET,
	OPTION_CACHE_ENTRIES,
	OPTION_CACHE_BYTES,
	OPTION_HEADER_TIMEOUT,
	OPTION_BODY_TIMEOUT,
	OPTION_IDLE_TIMEOUT,
	OPTION_WRITE_TIMEOUT,
	OPTION_ACCESS_LOG,
	OPTION_LOG_FORMAT,
	OPTION_TRUSTED_PROXY,
	OPTION_CLIENT_HEADER,
	OPTION_PROXY_PROTOCOL,
};

static const struct option long_options[] = {
    {"index", required_argument, NULL, OPTION_INDEX},
    {"autoindex", required_argument, NULL, OPTION_AUTOINDEX},
    {"dotfiles", required_argument, NULL, OPTION_DOTFILES},
    {"precompressed", required_argument, NULL, OPTION_PRECOMPRESSED},
    {"cache-control", required_argument, NULL, OPTION_CACHE_CONTROL},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"technique", required_argument, NULL, OPTION_TECHNIQUE},
    {"explain", no_argument, NULL, OPTION_EXPLAIN},
    {"no-symlinks", no_argument, NULL, OPTION_NO_SYMLINKS},
    {"follow-symlinks", required_argument, NULL, OPTION_FOLLOW_SYMLINKS},
    {"mime-types", required_argument, NULL, OPTION_MIME_TYPES},
    {"default-type", required_argument, NULL, OPTION_DEFAULT_TYPE},
    {"charset", required_argument, NULL, OPTION_CHARSET},
    {"cache-entries", required_argument, NULL, OPTION_CACHE_ENTRIES},
    {"cache-bytes", required_argument, NULL, OPTION_CACHE_BYTES},
    {"header-timeout", required_argument, NULL, OPTION_HEADER_TIMEOUT},
    {"body-timeout", required_argument, NULL, OPTION_BODY_TIMEOUT},
    {"idle-timeout", required_argument, NULL, OPTION_IDLE_TIMEOUT},
    {"write-timeout", required_argument, NULL, OPTION_WRITE_TIMEOUT},
    {"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"trusted-proxy", required_argument, NULL, OPTION_TRUSTED_PROXY},
    {"client-header", required_argument, NULL, OPTION_CLIENT_HEADER},
    {"proxy-protocol", required_argument, NULL, OPTION_PROXY_PROTOCOL},
};

/* At least a page: one small file. */
#define CACHE_BYTES_MIN 4096u

static int parse_cache_bytes(const char *command, uint64_t *ret)
{
	if (size_parse(optarg, ret) < 0 || *ret < CACHE_BYTES_MIN || *ret > SIZE_MAX / 2)
		return usage_error(command,
				   "--cache-bytes is a size from 4k up such as 64M or 1G, not '%s'",
				   optarg);
	return EXIT_OK;
}

static int parse_index(const char *command, const char **ret)
{
	if (optarg[0] == '\0' || strchr(optarg, '/') || strlen(optarg) > NAME_MAX ||
	    strcmp(optarg, ".") == 0 || strcmp(optarg, "..") == 0)
		return usage_error(command, "--index is a file name, not '%s'", optarg);
	*ret = optarg;
	return EXIT_OK;
}

static int parse_log_format(const char *command, struct http_options *o)
{
	if (strcmp(optarg, "combined") == 0)
		o->log_format = HTTP_LOG_COMBINED;
	else if (strcmp(optarg, "json") == 0)
		o->log_format = HTTP_LOG_JSON;
	else if (strchr(optarg, '$'))
		o->log_format = HTTP_LOG_OWN;
	else
		return usage_error(
		    command,
		    "--log-format is combined, json or a text with variables such as "
		    "$remote_addr, not '%s'",
		    optarg);
	o->log_pattern = optarg;
	return EXIT_OK;
}

static int parse_technique(const char *command, enum leat_technique *ret)
{
	if (leat_technique_parse(optarg, ret) == 0)
		return EXIT_OK;
	return usage_error(command,
			   "--technique is auto, copy, mmap, sendfile, splice, vmsplice or "
			   "zerocopy, not '%s'",
			   optarg);
}

static int take_limit(struct http_options *o, const char *command, int option)
{
	switch (option) {
	case OPTION_CACHE_ENTRIES:
		return args_number(command, "cache-entries", 1u << 24, &o->cache_entries);
	case OPTION_CACHE_BYTES:
		return parse_cache_bytes(command, &o->cache_bytes);
	case OPTION_HEADER_TIMEOUT:
		return args_timeout(command, "header-timeout", &o->timeouts.header_ms);
	case OPTION_BODY_TIMEOUT:
		return args_timeout(command, "body-timeout", &o->timeouts.body_ms);
	case OPTION_IDLE_TIMEOUT:
		return args_timeout(command, "idle-timeout", &o->timeouts.idle_ms);
	default:
		return args_timeout(command, "write-timeout", &o->timeouts.write_ms);
	}
}

/* The log, and whose requests it says they are. */
static int take_log(struct args_http *args, const char *command, int option)
{
	struct http_options *o = &args->options;

	switch (option) {
	case OPTION_ACCESS_LOG:
		o->access_log = optarg;
		return EXIT_OK;
	case OPTION_LOG_FORMAT:
		return parse_log_format(command, o);
	case OPTION_TRUSTED_PROXY:
		return args_list(command, "trusted-proxy", args->trusted, &o->trusted_count);
	case OPTION_CLIENT_HEADER:
		o->client_header = optarg;
		return EXIT_OK;
	case OPTION_PROXY_PROTOCOL:
		return args_on_off(command, "proxy-protocol", &o->proxy_protocol);
	default:
		return take_limit(o, command, option);
	}
}

static int take(void *arg, const char *command, int option)
{
	struct args_http *args = arg;
	struct http_options *o = &args->options;

	switch (option) {
	case OPTION_INDEX:
		return parse_index(command, &o->index);
	case OPTION_AUTOINDEX:
		return args_on_off(command, "autoindex", &o->autoindex);
	case OPTION_DOTFILES:
		return args_on_off(command, "dotfiles", &o->dotfiles);
	case OPTION_PRECOMPRESSED:
		return args_on_off(command, "precompressed", &o->precompressed);
	case OPTION_CACHE_CONTROL:
		o->cache_control = optarg;
		return EXIT_OK;
	case OPTION_HEADER:
		return args_list(command, "header", args->headers, &o->header_count);
	case OPTION_TECHNIQUE:
		return parse_technique(command, &o->technique);
	case OPTION_NO_SYMLINKS:
		o->no_symlinks = true;
		return EXIT_OK;
	case OPTION_FOLLOW_SYMLINKS:
		return args_list(command, "follow-symlinks", args->links, &o->link_dir_count);
	case OPTION_EXPLAIN:
		o->explain = true;
		return EXIT_OK;
	case OPTION_MIME_TYPES:
		o->mime_types = optarg;
		return EXIT_OK;
	case OPTION_DEFAULT_TYPE:
		o->default_type = optarg;
		return EXIT_OK;
	case OPTION_CHARSET:
		o->charset = optarg;
		return EXIT_OK;
	default:
		return take_log(args, command, option);
	}
}

void args_http_init(struct args_http *args)
{
	*args = (struct args_http){
	    .options = {.dir = ".",
			.listen = args->listen,
			.headers = args->headers,
			.trusted = args->trusted,
			.link_dirs = args->links,
			.index = "index.html",
			.autoindex = true,
			.precompressed = true},
	};
}

struct args_set args_http_set(struct args_http *args)
{
	return (struct args_set){long_options, ARRAY_SIZE(long_options), take, args, false};
}
