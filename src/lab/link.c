#include "lab/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>

#include "lab/veth.h"
#include "sys/sys.h"

int link_open(struct lab_link *link, enum lab_transport transport, struct err *err)
{
	*link = (struct lab_link){.transport = transport, .sender_net = -1, .receiver_net = -1};
	if (transport == TRANSPORT_TCP || transport == TRANSPORT_UNIX)
		return 0;
	int r = veth_make(&link->sender_net, &link->receiver_net, err);

	if (r == 0 && transport == TRANSPORT_VETH_SG_OFF)
		r = veth_scatter_gather_off(err);
	if (r == 0 && transport == TRANSPORT_VETH_GSO_OFF)
		r = veth_segmentation_off(err);
	return r;
}

static int enter(int net)
{
	return net < 0 ? 0 : sys_setns(net, CLONE_NEWNET);
}

/* The listener, where the receiver lives. */
static int listen_at(const char *address, struct sockaddr_in *ret_address)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct sockaddr_storage bound;
	socklen_t len;
	int fd = sys_socket(AF_INET, SOCK_STREAM, 0), r;

	if (fd < 0)
		return fd;
	inet_pton(AF_INET, address, &any.sin_addr);
	r = sys_bind(fd, (const struct sockaddr *)&any, sizeof(any));
	if (r == 0)
		r = sys_listen(fd, 1);
	if (r == 0)
		r = sys_getsockname(fd, &bound, &len);
	if (r < 0) {
		sys_close(fd);
		return r;
	}
	memcpy(ret_address, &bound, sizeof(*ret_address));
	return fd;
}

static int connect_to(int listener, const struct sockaddr_in *address, int ret_ends[2])
{
	int fd = sys_socket(AF_INET, SOCK_STREAM, 0), conn, r;

	if (fd < 0)
		return fd;
	r = sys_connect(fd, (const struct sockaddr *)address, sizeof(*address));
	conn = r < 0 ? r : sys_accept_blocking(listener);
	if (conn < 0) {
		sys_close(fd);
		return conn;
	}
	ret_ends[0] = fd;
	ret_ends[1] = conn;
	return 0;
}

static int tcp_pair(const struct lab_link *link, int ret_ends[2])
{
	const char *where = link->receiver_net < 0 ? "127.0.0.1" : VETH_RECEIVER_ADDRESS;
	struct sockaddr_in address;
	int r = enter(link->receiver_net), listener;

	if (r < 0)
		return r;
	listener = listen_at(where, &address);
	r = enter(link->sender_net);
	if (listener < 0)
		return listener;
	if (r == 0)
		r = connect_to(listener, &address, ret_ends);
	sys_close(listener);
	return r;
}

int link_pair(const struct lab_link *link, int ret_ends[2], struct err *err)
{
	int r = link->transport == TRANSPORT_UNIX ? sys_socketpair(AF_UNIX, SOCK_STREAM, ret_ends)
						  : tcp_pair(link, ret_ends);

	if (r < 0)
		return err_set(err, r, "no connection: %s", strerrordesc_np(-r));
	return 0;
}
