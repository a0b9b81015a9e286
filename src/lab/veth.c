#include "lab/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>

#include "sys/sys.h"

#define SENDER_DEVICE   "leat0"
#define RECEIVER_DEVICE "leat1"
/* Both are asked for, in namespaces that have nothing but lo. */
#define DEVICE_INDEX 64

/* A request that grows; what it holds is far below its room. */
struct request {
	struct nlmsghdr header;
	char room[512];
};

static void add_bytes(struct request *request, const void *data, size_t len)
{
	char *end = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

	CHECK(end + len <= (char *)(request + 1));
	memcpy(end, data, len);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)len;
}

static void add(struct request *request, uint16_t type, const void *data, size_t len)
{
	struct rtattr attr = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

	add_bytes(request, &attr, sizeof(attr));
	add_bytes(request, data, len);
}

/* An attribute that holds others: begun here, and its length set when they are in. */
static struct rtattr *begin(struct request *request, uint16_t type)
{
	struct rtattr attr = {.rta_len = RTA_LENGTH(0), .rta_type = type};
	char *at = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

	add_bytes(request, &attr, sizeof(attr));
	return (struct rtattr *)(void *)at;
}

static void end(const struct request *request, struct rtattr *attr)
{
	attr->rta_len =
	    (uint16_t)((const char *)request + request->header.nlmsg_len - (char *)attr);
}

static struct request request_of(uint16_t type, uint16_t flags)
{
	return (struct request){
	    .header = {.nlmsg_len = NLMSG_LENGTH(0),
		       .nlmsg_type = type,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)}};
}

/* Sends it in the namespace the process is in now, and waits for the kernel's word. */
static int ask(const struct request *request)
{
	union {
		struct nlmsghdr header;
		char room[1024];
	} reply;
	struct nlmsgerr answer;
	int fd = sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_send(fd, request, request->header.nlmsg_len, 0);
	if (n >= 0)
		n = sys_recv(fd, &reply, sizeof(reply), 0);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	if ((size_t)n < NLMSG_LENGTH(sizeof(answer)) || reply.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	memcpy(&answer, reply.room + NLMSG_LENGTH(0), sizeof(answer));
	return answer.error;
}

/* `ip link add leat0 type veth peer name leat1 netns RECEIVER` */
static int make_pair(int receiver_net)
{
	const struct ifinfomsg device = {.ifi_index = DEVICE_INDEX};
	struct request request = request_of(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct rtattr *info, *data, *peer;

	add_bytes(&request, &device, sizeof(device));
	add(&request, IFLA_IFNAME, SENDER_DEVICE, sizeof(SENDER_DEVICE));
	info = begin(&request, IFLA_LINKINFO);
	add(&request, IFLA_INFO_KIND, "veth", 4);
	data = begin(&request, IFLA_INFO_DATA);
	peer = begin(&request, VETH_INFO_PEER);
	add_bytes(&request, &device, sizeof(device));
	add(&request, IFLA_IFNAME, RECEIVER_DEVICE, sizeof(RECEIVER_DEVICE));
	add(&request, IFLA_NET_NS_FD, &receiver_net, sizeof(receiver_net));
	end(&request, peer);
	end(&request, data);
	end(&request, info);
	return ask(&request);
}

/* `ip addr add ADDRESS/24 dev ...; ip link set ... up` */
static int bring_up(const char *address)
{
	const struct ifaddrmsg place = {.ifa_family = AF_INET,
					.ifa_prefixlen = 24,
					.ifa_index = DEVICE_INDEX};
	const struct ifinfomsg up = {.ifi_index = DEVICE_INDEX,
				     .ifi_flags = IFF_UP,
				     .ifi_change = IFF_UP};
	struct request request = request_of(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct in_addr local;
	int r;

	inet_pton(AF_INET, address, &local);
	add_bytes(&request, &place, sizeof(place));
	add(&request, IFA_LOCAL, &local, sizeof(local));
	add(&request, IFA_ADDRESS, &local, sizeof(local));
	r = ask(&request);
	if (r < 0)
		return r;
	request = request_of(RTM_NEWLINK, 0);
	add_bytes(&request, &up, sizeof(up));
	return ask(&request);
}

static int new_net(int *ret_net)
{
	int r = sys_unshare(CLONE_NEWNET);

	if (r < 0)
		return r;
	r = sys_open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC, 0);
	if (r < 0)
		return r;
	*ret_net = r;
	return 0;
}

/* Root, or a user namespace in which one is. */
static int two_nets(int *ret_sender_net, int *ret_receiver_net)
{
	int r = new_net(ret_receiver_net);

	if (r == -EPERM) {
		r = sys_unshare(CLONE_NEWUSER);
		if (r == 0)
			r = new_net(ret_receiver_net);
	}
	return r < 0 ? r : new_net(ret_sender_net);
}

int veth_make(int *ret_sender_net, int *ret_receiver_net, struct err *err)
{
	int sender = -1, receiver = -1;
	int r = two_nets(&sender, &receiver);

	if (r == -ENOSPC)
		return err_set(err, r,
			       "no more network namespaces may be made: raise the sysctl "
			       "user.max_net_namespaces");
	if (r < 0)
		return err_set(err, r,
			       "no network namespaces here (%s): run as root, and in a container "
			       "with CAP_SYS_ADMIN and CAP_NET_ADMIN",
			       strerrordesc_np(-r));
	r = make_pair(receiver);
	if (r == 0)
		r = bring_up(VETH_SENDER_ADDRESS);
	if (r == 0)
		r = sys_setns(receiver, CLONE_NEWNET);
	if (r == 0)
		r = bring_up(VETH_RECEIVER_ADDRESS);
	if (r == 0)
		r = sys_setns(sender, CLONE_NEWNET);
	if (r < 0)
		return err_set(err, r, "no veth pair here (%s): does the kernel have veth?",
			       strerrordesc_np(-r));
	*ret_sender_net = sender;
	*ret_receiver_net = receiver;
	return 0;
}

static int turn_off(uint32_t command, const char *what, struct err *err)
{
	int fd = sys_socket(AF_INET, SOCK_DGRAM, 0), r;

	if (fd < 0)
		return err_set(err, fd, "no socket: %s", strerrordesc_np(-fd));
	r = sys_ethtool_set(fd, SENDER_DEVICE, command, 0);
	sys_close(fd);
	if (r < 0)
		return err_set(err, r, "the veth's %s can't be turned off: %s", what,
			       strerrordesc_np(-r));
	return 0;
}

int veth_scatter_gather_off(struct err *err)
{
	return turn_off(ETHTOOL_SSG, "scatter-gather", err);
}

int veth_segmentation_off(struct err *err)
{
	int r = turn_off(ETHTOOL_STSO, "TCP segmentation", err);

	return r < 0 ? r : turn_off(ETHTOOL_SGSO, "segmentation offload", err);
}
