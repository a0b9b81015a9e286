/*
 * A chain's writer for tests: it encrypts in the simplest way (XOR with the position), and behaves
 * as SSL_write() does. Of what it is offered it makes a record of at most 16 KiB; while the record
 * isn't sent whole it says -EAGAIN, and wants to see the same bytes, and no fewer, each time. Now
 * and then it has to hear from its peer first, as in a renegotiation: the peer says a byte.
 */
#ifndef TESTS_ENGINE_CIPHER_H
#define TESTS_ENGINE_CIPHER_H

#include "support.h"

#define RECORD_BYTES 16384u

struct cipher {
	int fd;
	size_t take_max;    /* of one call; 0: a record */
	unsigned listen_at; /* each so many calls it waits for its peer; 0: never */
	int error;          /* all calls say so; 0: none */

	unsigned calls, records, waited_out, waited_in;
	bool listens;
	unsigned char clear[RECORD_BYTES], secret[RECORD_BYTES];
	size_t len, sent;
	size_t refused; /* bytes that were offered in vain */
	uint64_t taken;
};

static inline unsigned char cipher_key(uint64_t at)
{
	return (unsigned char)(at * 167 + 0xa5);
}

static inline void cipher_open(char *buf, size_t len, uint64_t at)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)((unsigned char)buf[i] ^ cipher_key(at + i));
}

/* The first bytes of the pieces, as far as there is room. */
static inline size_t cipher_flatten(const struct iovec *pieces, int count, unsigned char *to,
				    size_t room)
{
	size_t len = 0;

	for (int i = 0; i < count && len < room; i++) {
		size_t part = min_size(pieces[i].iov_len, room - len);

		memcpy(to + len, pieces[i].iov_base, part);
		len += part;
	}
	return len;
}

static inline ssize_t cipher_refuse(struct cipher *cipher, size_t offered, short events,
				    short *ret_events)
{
	cipher->refused = offered;
	cipher->waited_in += events == POLLIN;
	cipher->waited_out += events == POLLOUT;
	*ret_events = events;
	return -EAGAIN;
}

static inline void cipher_encrypt(struct cipher *cipher, const struct iovec *pieces, int count)
{
	size_t room = cipher->take_max ? min_size(cipher->take_max, RECORD_BYTES) : RECORD_BYTES;

	cipher->len = cipher_flatten(pieces, count, cipher->clear, room);
	cipher->sent = 0;
	for (size_t i = 0; i < cipher->len; i++)
		cipher->secret[i] = cipher->clear[i] ^ cipher_key(cipher->taken + i);
	cipher->records++;
}

static inline void cipher_expect_the_same(const struct cipher *cipher, const struct iovec *pieces,
					  int count)
{
	unsigned char again[RECORD_BYTES];

	CHECK(cipher_flatten(pieces, count, again, cipher->len) == cipher->len);
	CHECK(memcmp(again, cipher->clear, cipher->len) == 0);
}

static inline ssize_t cipher_writev(void *arg, const struct iovec *pieces, int count, bool more,
				    short *ret_events)
{
	struct cipher *cipher = arg;
	size_t offered = 0;
	char byte;

	for (int i = 0; i < count; i++)
		offered += pieces[i].iov_len;
	CHECK(offered > 0 && offered >= cipher->refused);
	cipher->calls++;
	if (cipher->error < 0)
		return cipher->error;
	if (cipher->listen_at > 0 && cipher->calls % cipher->listen_at == 0)
		cipher->listens = true;
	if (cipher->listens && recv(cipher->fd, &byte, 1, MSG_DONTWAIT) != 1)
		return cipher_refuse(cipher, offered, POLLIN, ret_events);
	cipher->listens = false;
	if (cipher->len == 0)
		cipher_encrypt(cipher, pieces, count);
	else
		cipher_expect_the_same(cipher, pieces, count);
	while (cipher->sent < cipher->len) {
		ssize_t n = send(cipher->fd, cipher->secret + cipher->sent,
				 cipher->len - cipher->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return cipher_refuse(cipher, offered, POLLOUT, ret_events);
		if (n < 0)
			return -errno;
		cipher->sent += (size_t)n;
	}
	offered = cipher->len;
	cipher->taken += offered;
	cipher->len = cipher->refused = 0;
	return (ssize_t)offered;
}

#endif
