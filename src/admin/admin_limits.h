/*
 * The limits of the admin listener, each with its reason.
 */
#ifndef ADMIN_ADMIN_LIMITS_H
#define ADMIN_ADMIN_LIMITS_H

/* Some scrapers and people; further ones wait to be accepted. */
#define ADMIN_CONNECTIONS_MAX 16u
/* Scrapers send half a KiB. */
#define ADMIN_REQUEST_BYTES 4096u
/* For a request, and for taking its answer. */
#define ADMIN_REQUEST_MS 10000u
/* Scrapers come every 15 to 60 s, and keep their connection. */
#define ADMIN_IDLE_MS 120000u
/* A turn of a loop that lasts so long is one that waits where it must not: /healthz says so. */
#define ADMIN_TURN_MS 5000u
/* All metrics of HTTP are 10 KiB. */
#define ADMIN_PAGE_BYTES_MAX (16u * 1024u * 1024u)

#endif
