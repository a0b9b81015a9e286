#include "floor.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "support.h"

static void accept_all(int epoll, int listener, uint32_t events)
{
	struct epoll_event event = {.events = events};
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= FLOOR_FD_MAX)
			die_text("too many connections");
		set_nodelay(fd);
		event.data.fd = fd;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			die("epoll_ctl");
	}
}

noreturn void floor_run(uint16_t port, uint32_t wanted, void (*serve)(int fd))
{
	struct epoll_event events[256];
	int listener = listen_loopback(&port);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
	set_nonblocking(listener, true);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		die("epoll");
	for (;;) {
		int count = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == listener)
				accept_all(epoll, listener, wanted);
			else
				serve(events[i].data.fd);
		}
	}
}
