/*
 * The receiving process: takes what comes into a buffer of its own, as any program would, and so
 * copies each byte once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/channel.h"
#include "lab/worker.h"
#include "sys/sys.h"

#define BUFFER_BYTES (256u * 1024u)

static int take(int socket, char *buffer, uint64_t bytes, struct answer *answer)
{
	uint64_t left = bytes;

	usage_begin(&answer->usage);
	while (left > 0) {
		ssize_t n = sys_recv(socket, buffer, min_u64(left, BUFFER_BYTES), 0);

		answer->calls++;
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EPIPE;
		left -= (uint64_t)n;
	}
	usage_end(&answer->usage);
	return 0;
}

static void answer_error(struct answer *answer, int r)
{
	answer->error = r;
	if (r < 0)
		strncpy(answer->text, strerrordesc_np(-r), sizeof(answer->text) - 1);
}

void receiver_main(int channel)
{
	char *buffer = malloc(BUFFER_BYTES);
	int socket = -1, fd = -1;
	struct order order = {.kind = ORDER_TAKE};

	if (!buffer)
		return;
	memset(buffer, 1, BUFFER_BYTES); /* its page faults are not the transfers' */
	while (channel_receive(channel, &order, sizeof(order), &fd) > 0) {
		struct answer answer = {0};

		if (fd >= 0) {
			if (socket >= 0)
				sys_close(socket);
			socket = fd;
		}
		answer_error(&answer, take(socket, buffer, order.bytes, &answer));
		if (channel_send(channel, &answer, sizeof(answer), -1) < 0)
			break;
	}
	free(buffer);
}
