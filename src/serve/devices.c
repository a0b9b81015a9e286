#include "serve/devices.h"

#include <linux/ethtool.h>
#include <string.h>

#include "base/log.h"
#include "reactor/address.h"
#include "sys/sys.h"

/* More have their warnings repeated. */
#define SAID_MAX          32
#define DEVICE_NAME_BYTES 16

/* A device without scatter-gather or transmit checksums makes the kernel copy what sendfile hands
 * over, and nobody is told: so it is said here. */
static void say_device(int socket, const char *device)
{
	if (sys_ethtool_get(socket, device, ETHTOOL_GSG) == 0)
		log_warning("%s has no scatter-gather: what goes out by it is copied by the CPU "
			    "(ethtool -K %s sg on)",
			    device, device);
	else if (sys_ethtool_get(socket, device, ETHTOOL_GTXCSUM) == 0)
		log_warning("%s has no transmit checksums: what goes out by it is copied by the "
			    "CPU (ethtool -K %s tx on)",
			    device, device);
}

/* Those that have been said: listeners share devices. */
struct said {
	char names[SAID_MAX][DEVICE_NAME_BYTES];
	unsigned count;
};

static bool is_said(struct said *said, const char *device)
{
	for (unsigned i = 0; i < said->count; i++)
		if (strcmp(said->names[i], device) == 0)
			return true;
	if (said->count < SAID_MAX)
		memcpy(said->names[said->count++], device, DEVICE_NAME_BYTES);
	return false;
}

static void say_devices(struct said *said, const char *listener)
{
	char device[DEVICE_NAME_BYTES] = "";
	struct address address;
	int socket;

	if (address_parse(listener, &address, NULL) < 0 || address.fd >= 0)
		return;
	socket = sys_socket(AF_INET, SOCK_DGRAM, 0);
	if (socket < 0)
		return;
	for (unsigned nth = 0;
	     sys_device_of_address((const void *)&address.sockaddr, nth, device) == 0; nth++)
		if (!is_said(said, device))
			say_device(socket, device);
	sys_close(socket);
}

void devices_say(const struct reactor *reactor)
{
	struct said said = {.count = 0};
	char name[512];

	for (unsigned i = 0; i < reactor_listener_count(reactor); i++)
		if (reactor_listener_name(reactor, i, name, sizeof(name)) == 0)
			say_devices(&said, name);
}
