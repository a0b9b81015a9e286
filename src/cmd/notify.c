#include "cmd/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/log.h"
#include "sys/sys.h"

/* "/path", or "@name" in the abstract namespace. */
static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd, r;

	if ((name[0] != '/' && name[0] != '@') || len >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	r = sys_connect(fd, (const struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	if (r < 0) {
		sys_close(fd);
		return r;
	}
	return fd;
}

void notify_open(struct notify *notify)
{
	const char *name = getenv("NOTIFY_SOCKET");

	notify->fd = -1;
	if (!name)
		return;
	notify->fd = connect_to(name);
	if (notify->fd < 0)
		log_warning("can't tell %s that the server is ready", name);
}

void notify_ready(void *arg)
{
	static const char ready[] = "READY=1";
	struct notify *notify = arg;

	if (notify->fd < 0)
		return;
	if (sys_send(notify->fd, ready, sizeof(ready) - 1, 0) < 0)
		log_warning("the service manager does not hear that the server is ready");
	sys_close(notify->fd);
	notify->fd = -1;
}
