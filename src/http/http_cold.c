#include "http/http_cold.h"

static unsigned cold_slot(uint64_t device)
{
	return (unsigned)(device % HTTP_COLD_DEVICES);
}

static void cold_note(struct http_cold *cold, uint64_t device, bool fast)
{
	cold->devices[cold_slot(device)].device = device;
	cold->devices[cold_slot(device)].fast = fast;
}

bool http_cold_is_fast(const struct http_cold *cold, uint64_t device)
{
	return cold->devices[cold_slot(device)].device == device &&
	       cold->devices[cold_slot(device)].fast;
}

void http_cold_loaded(struct http_cold *cold, uint64_t device, uint64_t bytes, uint64_t ns)
{
	/* Of a short load it is the latency that counts. */
	uint64_t pieces = bytes / HTTP_COLD_BYTES;

	cold_note(cold, device, ns / (pieces ? pieces : 1) <= HTTP_COLD_FAST_NS);
}

void http_cold_waited(struct http_cold *cold, uint64_t device, uint64_t ns)
{
	if (ns > HTTP_COLD_LATE_NS)
		cold_note(cold, device, false);
}
