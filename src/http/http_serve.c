/*
 * A process that serves HTTP and nothing else: the server, a reactor, what is said at the start and
 * at the end.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <string.h>

#include "admin/admin.h"
#include "base/log.h"
#include "http/http_account.h"
#include "http/http_confine.h"
#include "http/http_metrics.h"
#include "http/http_server.h"
#include "reactor/address.h"
#include "sys/sys.h"

struct service {
	struct http_server *server;
	struct reactor *reactor;
	struct admin *admin; /* NULL: none */
};

/* ---- what is said at the start ---- */

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

static void say_start(const struct service *service)
{
	const struct reactor *reactor = service->reactor;
	char text[512];

	for (unsigned i = 0; reactor_listener_name(reactor, i, text, sizeof(text)) == 0; i++)
		log_info("serving %s at %s%s", http_server_site(service->server)->root_name,
			 strncmp(text, "unix:", 5) == 0 ? "" : "http://", text);
	if (service->admin && admin_address(service->admin, text, sizeof(text)) == 0) {
		bool unix_socket = strncmp(text, "unix:", 5) == 0;

		log_info("metrics at %s%s%s", unix_socket ? "" : "http://", text,
			 unix_socket ? "" : "/metrics");
	}
	leat_capabilities_text(text, sizeof(text));
	log_info("%s", text);
	for (unsigned i = 0; reactor_listener_name(reactor, i, text, sizeof(text)) == 0; i++)
		say_devices(text);
}

/* ---- start, run, end ---- */

static void service_fini(struct service *service)
{
	admin_free(service->admin);
	if (service->reactor && reactor_is_stuck(service->reactor)) {
		http_server_abandon(service->server);
		return;
	}
	reactor_free(service->reactor);
	http_server_free(service->server);
}

static int make_reactor(struct service *service, const struct http_options *options,
			struct err *err)
{
	const struct reactor_options reactor = {
	    .threads = options->threads,
	    .connections_max = options->connections_max,
	    .drain_ms = options->drain_ms,
	    .loop_open = http_loop_open,
	    .loop_close = http_loop_close,
	    .hangup = http_loop_hangup,
	    .arg = service->server,
	};

	return reactor_new(&reactor, &service->reactor, err);
}

static int make_admin(struct service *service, const char *where, struct err *err)
{
	int r = admin_new(where, service->reactor, &service->admin, err);

	if (r < 0)
		return r;
	http_metrics_add(service->server, service->admin);
	return 0;
}

/* Everything is open: the rest is given up. */
static int confine_service(const struct service *service, const struct http_options *options,
			   const struct user *user, struct err *err)
{
	struct confine_options confined = {
	    .site = http_server_site(service->server),
	    .user = options->user ? user : NULL,
	    .sandbox = options->sandbox,
	};
	char name[512];
	int r = confine_add_log(&confined, options->access_log, err);

	for (unsigned i = 0; reactor_listener_name(service->reactor, i, name, sizeof(name)) == 0;
	     i++)
		confine_add_listener(&confined, name);
	if (service->admin && admin_address(service->admin, name, sizeof(name)) == 0)
		confine_add_listener(&confined, name);
	return r == 0 ? confine(&confined, err) : r;
}

int http_serve(const struct http_options *options, struct err *err)
{
	CLEANUP(service_fini) struct service service = {0};
	struct user user;
	int r = options->user ? user_find(options->user, &user, err) : 0;

	if (r == 0)
		r = http_server_new(options, &service.server, err);
	if (r == 0)
		r = make_reactor(&service, options, err);
	if (r == 0)
		r = http_server_listen(service.server, service.reactor, err);
	if (r == 0 && options->admin)
		r = make_admin(&service, options->admin, err);
	if (r < 0)
		return r;
	/* Who reads that it serves may send a signal. */
	reactor_hold_signals(service.reactor);
	/* What it finds out about kernel and devices, too, is found out before. */
	say_start(&service);
	r = confine_service(&service, options, &user, err);
	if (r == 0)
		r = http_server_start(service.server, err);
	if (r == 0 && service.admin)
		r = admin_start(service.admin, err);
	if (r < 0)
		return r;
	if (options->ready)
		options->ready(options->ready_arg);
	r = reactor_run(service.reactor, err);
	http_account_say(service.server, service.reactor);
	return r;
}
