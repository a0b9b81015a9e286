/*
 * What stands before each request and response.
 *
 * A request: int16 key, int16 version, int32 correlation id, nullable string client id (with an
 * int16 length in all versions) and, if the API's version is flexible, tagged fields. A response:
 * the correlation id and, if flexible, tagged fields; but never those for ApiVersions, so that a
 * client can read it before it knows what we speak.
 *
 * A client that asks ApiVersions in a version we don't speak gets an answer in version 0, with
 * UNSUPPORTED_VERSION and the range for ApiVersions itself, and asks again (KIP-511). Any other
 * request that we don't speak ends the connection, as with Kafka.
 */
#ifndef KAFKA_WIRE_HEADER_H
#define KAFKA_WIRE_HEADER_H

#include "kafka/wire/api.h"

struct kafka_request_header {
	const struct kafka_api *api;
	int16_t version;  /* of the request */
	int16_t answer;   /* the version to answer in */
	bool unsupported; /* ApiVersions only: do not read the body, answer with the error */
	int32_t correlation_id;
	struct slice client_id; /* ptr NULL: null */
};

/* Takes the header off the front of a request (without its size). -EPROTONOSUPPORT: an API or
 * version we don't speak; -EBADMSG: malformed. On failure nothing changes. */
MUST_CHECK int kafka_request_header_decode(struct slice *bytes, struct kafka_request_header *ret);

/* For tests and tools, which ask. `client_id.ptr` may be NULL. */
void kafka_request_begin(struct kafka_writer *writer, const struct kafka_api *api, int16_t version,
			 int32_t correlation_id, struct slice client_id);

/* The size, which kafka_frame_end() fills in, and the header. Begins at the writer's start. */
void kafka_response_begin(struct kafka_writer *writer, const struct kafka_request_header *request);
/* -EMSGSIZE: with what the gaps stand for, it is larger than an int32 can say. */
MUST_CHECK int kafka_frame_end(struct kafka_writer *writer);

/* Takes the header off a response to the given API and version. */
MUST_CHECK int kafka_response_header_decode(struct slice *bytes, const struct kafka_api *api,
					    int16_t version, int32_t *ret_correlation_id);

#endif
