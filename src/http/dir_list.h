/*
 * A directory listing as one text. Blocks: for helper threads.
 *
 * Names that begin with a dot are left out, as are links that lead out of the root or nowhere.
 */
#ifndef HTTP_DIR_LIST_H
#define HTTP_DIR_LIST_H

#include "http/core/listing.h"
#include "http/file_entry.h"

struct dir_list_options {
	struct slice path; /* as for file_entry_load() */
	struct http_order order;
	bool json;
};

/* *ret_text is the caller's, to be freed. -ENOENT, -ENOTDIR, -EACCES, -ENOMEM... */
int dir_list(const struct http_site *site, const struct dir_list_options *options, char **ret_text,
	     size_t *ret_len);

#endif
