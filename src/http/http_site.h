/*
 * What a site is made of beside its files: the header lines that the operator adds, and the
 * technique that he forces.
 *
 * Which answers carry them: all, errors too (nginx's add_header with "always"), for what is added
 * this way (CORS, HSTS, security policies) holds for the whole site. Cache-Control is for files
 * only: 200, 206 and 304; a listing says no-cache, since it is made at each request.
 */
#ifndef HTTP_HTTP_SITE_H
#define HTTP_HTTP_SITE_H

#include "http/http_server.h"

/* 0, -ENOMEM, or -EINVAL with the option in `err`. */
int http_site_set_headers(struct http_site *site, const struct http_options *options,
			  struct err *err);
void http_site_free_headers(struct http_site *site);

/* 0, or -EINVAL with the reason in `err`: it can't send files to sockets, or not here. */
int http_site_set_technique(struct http_site *site, const struct http_options *options,
			    struct err *err);

#endif
