#include "serve/devices.h"

#include <linux/ethtool.h>
#include <string.h>

#include "base/log.h"
#include "reactor/address.h"
#include "sys/sys.h"

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

static void say_devices(const char *listener)
{
	char device[16] = "", last[16] = "";
	struct address address;
	int socket;

	if (address_parse(listener, &address, NULL) < 0 || address.fd >= 0)
		return;
	socket = sys_socket(AF_INET, SOCK_DGRAM, 0);
	if (socket < 0)
		return;
	for (unsigned nth = 0;
	     sys_device_of_address((const void *)&address.sockaddr, nth, device) == 0; nth++) {
		/* A device with several addresses is found several times, in a row. */
		if (strcmp(device, last) != 0)
			say_device(socket, device);
		memcpy(last, device, sizeof(last));
	}
	sys_close(socket);
}

void devices_say(const struct reactor *reactor)
{
	char name[512];

	for (unsigned i = 0; reactor_listener_name(reactor, i, name, sizeof(name)) == 0; i++)
		say_devices(name);
}
