/*
 * The options of a process that serves, whatever it serves, and its life.
 */
#ifndef CMD_ARGS_SERVE_H
#define CMD_ARGS_SERVE_H

#include "cmd/args.h"
#include "serve/serve.h"

/* --threads, --max-connections, --drain-timeout, --admin, --user, --no-sandbox. */
struct args_set args_serve_set(struct serve_options *options);

/* Serves, and tells the service manager when it does; the program's exit code. */
int args_serve_run(const char *command, struct serve_options *options);

#endif
