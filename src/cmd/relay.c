/*
 * leat relay: the command line of the relay.
 */
#include <stdio.h>

#include "cmd/args_relay.h"
#include "cmd/args_serve.h"

static const char help[] =
    "Relay TCP connections to one of several targets.\n"
    "\n"
    "Usage: leat relay [OPTIONS] LISTEN TARGET...\n"
    "\n"
    "Bulk goes from socket to socket by splice, messages by one receive and one send. A side that\n"
    "closes is closed on the other side, behind its last byte; one that breaks is reset there, so\n"
    "that a stream that was cut does not look complete.\n"
    "\n"
    "LISTEN is an address and port, as 127.0.0.1:5432, '*:5432', 5432, or unix:/path.\n"
    "TARGET is HOST:PORT, [IPv6]:PORT or unix:/path, with options behind commas:\n"
    "    weight=N   share of the connections, 0 to 256; 0: none [1]\n"
    "    max=N      connections at once [no limit]\n"
    "    backup     only when no other target is up\n"
    "\n"
    "  -l, --listen WHERE       a further address to listen at, may be given more than once\n"
    "      --balance HOW        round-robin, least (connections), random (the better of two), "
    "hash\n"
    "                           (of the client's address) [round-robin]\n"
    "      --connect-timeout T  for one attempt to connect; up to four are made [5s]\n"
    "      --idle-timeout T     nothing comes in either direction [1h]\n"
    "      --half-close-timeout T\n"
    "                           the same when one side has closed [30s]\n"
    "      --send-proxy         tell targets who the client is (PROXY protocol, version 2)\n"
    "      --log                a line for each connection\n"
    "  -t, --threads N          threads [one a CPU]\n"
    "      --max-connections N  at most so many at once [what the descriptor limit allows]\n"
    "      --drain-timeout T    after SIGTERM, wait for connections to end [10s]\n"
    "      --admin WHERE        address for /metrics (Prometheus), /status (JSON), /healthz\n"
    "  -u, --user NAME[:GROUP]  become this user once it has its addresses (for root)\n"
    "      --no-sandbox         don't give up what it won't need: by default it can open no file,\n"
    "                           connect to no port but those of its targets, and make few system\n"
    "                           calls\n"
    "  -h, --help               this text\n"
    "\n"
    "Examples:\n"
    "  leat relay 127.0.0.1:5432 db1:5432 db2:5432,backup\n"
    "  leat relay '*:443' 10.0.0.1:443,weight=3 10.0.0.2:443 --balance least --admin 9090\n";

/* LISTEN, then the targets. */
static int take_words(struct args_relay *relay, int argc, char **argv)
{
	if (optind == argc)
		return usage_error("relay", "where to listen, and which targets?");
	if (optind + 1 == argc)
		return usage_error("relay", "%s is where to listen: which targets?", argv[optind]);
	/* The list was bounded with room for one more. */
	relay->listen[relay->options.listen_count++] = argv[optind];
	relay->options.targets = (const char *const *)&argv[optind + 1];
	relay->options.target_count = (unsigned)(argc - optind - 1);
	return EXIT_OK;
}

int cmd_relay(int argc, char **argv)
{
	struct args_relay relay;
	struct serve_options options = {.parts = {{&relay_service, &relay.options}},
					.sandbox = true};
	struct args args = {
	    .command = "relay",
	    .help = help,
	    .sets = {args_relay_set(&relay), args_serve_set(&options)},
	    .sets_count = 2,
	};
	int code;

	args_relay_init(&relay);
	if (!args_parse(&args, argc, argv, &code))
		return code;
	code = take_words(&relay, argc, argv);
	return code != EXIT_OK ? code : args_serve_run("relay", &options);
}
