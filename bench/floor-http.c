/*
 * The floor for an HTTP server: the smallest epoll loop that answers each request with one
 * prepared response. Nothing is parsed, no header is looked at, no path is resolved.
 *
 *     floor-http MODE PORT FILE [HEAD]
 *
 *     send      recv + one send of header and body
 *     sendfile  recv + send(MSG_MORE) of the header + sendfile of the body
 *     pipeline  recv + one send that answers every request that arrived together
 *
 * HEAD is a file with the header to send (the one that leat sends for FILE, so that both put the
 * same bytes on the wire); without it a typical one is made. One thread, pinned by whoever starts
 * it. Edge-triggered: a connection either waits for requests or is in the middle of its answers,
 * `left` bytes of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "floor.h"
#include "support.h"

#define HEAD_MAX       4096
#define PIPELINE_MAX   64
#define SENDFILE_PIECE (1u << 20)

enum mode { MODE_SEND, MODE_SENDFILE, MODE_PIPELINE };

static struct {
	enum mode mode;
	char *bytes; /* header and body, PIPELINE_MAX times for MODE_PIPELINE */
	size_t head, size;
	int file;
} response;

static struct {
	size_t left; /* of the answers under way */
	/* MODE_PIPELINE: all requests of a connection are the same, so the length of the first is
	 * that of each; the bytes of one that hasn't arrived whole. */
	size_t request, remainder;
} conns[FLOOR_FD_MAX];

static char inbox[65536];

static size_t requests_in(int fd, size_t bytes)
{
	const char *end;

	if (response.mode != MODE_PIPELINE)
		return 1;
	if (conns[fd].request == 0) {
		end = memmem(inbox, bytes, "\r\n\r\n", 4);
		if (!end)
			die_text("the first request is incomplete");
		conns[fd].request = (size_t)(end + 4 - inbox);
	}
	bytes += conns[fd].remainder;
	conns[fd].remainder = bytes % conns[fd].request;
	return bytes / conns[fd].request;
}

static void hang_up(int fd)
{
	memset(&conns[fd], 0, sizeof(conns[fd]));
	close(fd);
}

/* Sends a piece of what is left; false when the socket takes no more. */
static bool send_piece(int fd)
{
	size_t sent = response.size - conns[fd].left % response.size;
	off_t offset;
	ssize_t n;

	if (sent == response.size)
		sent = 0;
	if (response.mode != MODE_SENDFILE) {
		n = send(fd, response.bytes + sent, conns[fd].left, MSG_NOSIGNAL);
	} else if (sent < response.head) {
		n = send(fd, response.bytes + sent, response.head - sent, MSG_MORE | MSG_NOSIGNAL);
	} else {
		offset = (off_t)(sent - response.head);
		n = sendfile(fd, response.file, &offset,
			     conns[fd].left < SENDFILE_PIECE ? conns[fd].left : SENDFILE_PIECE);
	}
	if (n > 0)
		conns[fd].left -= (size_t)n;
	return n > 0;
}

/* All of the answers, or as much as the socket takes. */
static bool answer(int fd)
{
	while (conns[fd].left > 0)
		if (!send_piece(fd))
			return errno == EAGAIN;
	return true;
}

static void serve(int fd)
{
	ssize_t n;

	if (!answer(fd)) {
		hang_up(fd);
		return;
	}
	while (conns[fd].left == 0) {
		n = recv(fd, inbox, sizeof(inbox), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			hang_up(fd);
			return;
		}
		if (n < 0)
			return;
		conns[fd].left = requests_in(fd, (size_t)n) * response.size;
		if (conns[fd].left > PIPELINE_MAX * response.size)
			die_text("more pipelined requests than the floor has answers prepared");
		if (!answer(fd)) {
			hang_up(fd);
			return;
		}
		/* A short read emptied the socket: the next request is a new edge. */
		if (conns[fd].left == 0 && (size_t)n < sizeof(inbox))
			return;
	}
}

static size_t read_head(const char *path, char *head)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		die(path);
	n = read(fd, head, HEAD_MAX);
	if (n <= 0 || n == HEAD_MAX)
		die_text("the header is empty or too long");
	close(fd);
	return (size_t)n;
}

static size_t make_head(size_t body, char *head)
{
	return (size_t)snprintf(head, HEAD_MAX,
				"HTTP/1.1 200 OK\r\n"
				"Server: floor\r\n"
				"Date: Sun, 22 Nov 2026 11:00:00 GMT\r\n"
				"Content-Type: application/octet-stream\r\n"
				"Content-Length: %zu\r\n"
				"Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
				"ETag: \"65a1b2c3d4e5f607-400\"\r\n"
				"Accept-Ranges: bytes\r\n\r\n",
				body);
}

static void prepare(const char *path, const char *head_path)
{
	char head[HEAD_MAX];
	size_t body, copies = response.mode == MODE_PIPELINE ? PIPELINE_MAX : 1;
	struct stat st;

	response.file = open(path, O_RDONLY | O_CLOEXEC);
	if (response.file < 0 || fstat(response.file, &st) < 0)
		die(path);
	body = (size_t)st.st_size;
	response.head = head_path ? read_head(head_path, head) : make_head(body, head);
	response.size = response.head + body;
	response.bytes =
	    malloc(response.mode == MODE_SENDFILE ? response.head : response.size * copies);
	if (!response.bytes)
		die("malloc");
	memcpy(response.bytes, head, response.head);
	if (response.mode == MODE_SENDFILE)
		return;
	if (pread(response.file, response.bytes + response.head, body, 0) != st.st_size)
		die(path);
	for (size_t i = 1; i < copies; i++)
		memcpy(response.bytes + i * response.size, response.bytes, response.size);
}

static enum mode parse_mode(const char *name)
{
	static const char *const names[] = {"send", "sendfile", "pipeline"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum mode)i;
	fprintf(stderr, "no mode '%s'\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: %s send|sendfile|pipeline PORT FILE [HEAD]\n", argv[0]);
		return 2;
	}
	response.mode = parse_mode(argv[1]);
	prepare(argv[3], argc == 5 ? argv[4] : NULL);
	limit_descriptors_to_max();
	floor_run((uint16_t)parse_number(argv[2], 0, UINT16_MAX),
		  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, serve);
}
