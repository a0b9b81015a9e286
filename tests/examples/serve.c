/*
 * An event loop: a header and a file go to every client that connects, on non-blocking sockets, in
 * one thread, and no client waits for another. The file is sent by reference, and a cold file does
 * not stop the loop (here it is loaded in place; a server would give it to another thread).
 *
 *     serve FILE CLIENTS      prints the port, serves so many clients, and ends
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <leat/leat.h>

#define CLIENTS_MAX 16

static const char header[] = "leat example\n";

struct client {
	int socket;
	struct leat_chain *chain;
};

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, CLIENTS_MAX) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return -1;
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

static int start(struct leat_engine *engine, struct client *client, int listener, int file)
{
	int r;

	client->socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client->socket < 0)
		return -1;
	r = leat_chain_new(engine, client->socket, NULL, &client->chain);
	if (r == 0)
		r = leat_chain_add_memory(client->chain, header, sizeof(header) - 1, NULL, NULL);
	if (r == 0)
		r = leat_chain_add_file(client->chain, file, 0, LEAT_TO_END, NULL, NULL);
	return r;
}

/* Steps the chain until it has to wait. 1: it is over. Fills what to poll for. */
static int go_on(struct client *client, struct pollfd *ret_wait)
{
	for (;;) {
		int step = leat_chain_step(client->chain, 0);
		struct leat_load load = LEAT_LOAD_INIT;
		struct leat_wait wait = LEAT_WAIT_INIT;

		if (step < 0 || step == LEAT_DONE)
			return step < 0 ? step : 1;
		if (step == LEAT_MORE)
			continue;
		if (step == LEAT_WANT_LOAD) {
			int r;

			leat_chain_load(client->chain, &load);
			r = leat_load_run(&load);
			if (r < 0)
				return r;
			continue;
		}
		leat_chain_wait(client->chain, &wait);
		*ret_wait = (struct pollfd){.fd = wait.fd, .events = wait.events};
		return 0;
	}
}

static void end(struct client *client, int status)
{
	if (status < 0) {
		struct leat_report report = LEAT_REPORT_INIT;

		leat_chain_report(client->chain, &report);
		fprintf(stderr, "serve: %s\n", report.error);
	}
	leat_chain_free(client->chain);
	close(client->socket);
	client->chain = NULL;
}

static int serve(struct leat_engine *engine, int listener, int file, int clients_left)
{
	struct client clients[CLIENTS_MAX] = {{0}};
	struct pollfd fds[CLIENTS_MAX + 1] = {{0}};
	int active = 0;

	for (int i = 0; i < CLIENTS_MAX; i++)
		fds[i].fd = -1;
	while (clients_left > 0 || active > 0) {
		int room = active < CLIENTS_MAX && clients_left > 0;

		fds[CLIENTS_MAX] = (struct pollfd){.fd = room ? listener : -1, .events = POLLIN};
		if (poll(fds, CLIENTS_MAX + 1, -1) < 0)
			return 1;
		for (int i = 0; i < CLIENTS_MAX; i++) {
			int status = 0;

			if (clients[i].chain && fds[i].revents) {
				status = go_on(&clients[i], &fds[i]);
			} else if (!clients[i].chain && fds[CLIENTS_MAX].revents) {
				fds[CLIENTS_MAX].revents = 0;
				if (start(engine, &clients[i], listener, file) < 0)
					return 1;
				clients_left--;
				active++;
				status = go_on(&clients[i], &fds[i]);
			}
			if (status != 0) {
				end(&clients[i], status);
				fds[i].fd = -1;
				active--;
			}
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct leat_engine *engine;
	int listener, file, status;

	if (argc != 3)
		return 2;
	signal(SIGPIPE, SIG_IGN); /* spares the library two system calls a step */
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	listener = listen_on_loopback();
	if (file < 0 || listener < 0 || leat_engine_new(&engine) < 0)
		return 1;
	status = serve(engine, listener, file, atoi(argv[2]));
	leat_engine_free(engine);
	close(listener);
	close(file);
	return status;
}
