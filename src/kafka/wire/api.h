/*
 * The APIs that leat speaks: one table, made from the schemas, used for answering ApiVersions, for
 * reading headers and for documentation.
 */
#ifndef KAFKA_WIRE_API_H
#define KAFKA_WIRE_API_H

#include "kafka/wire/message.h"

struct kafka_api {
	int16_t key;
	const char *name;
	int8_t first, last; /* the versions we can read and write */
	/* What ApiVersions says. It may begin below `first` where a client looks for a version that
	 * it would never send (librdkafka turns compression off without Produce 0). Nothing, where
	 * the first is above the last. */
	int8_t advertised_first, advertised_last;
	int8_t flexible; /* the first flexible version; 127: none */
	const struct kafka_message *request, *response;
};

/* By key, upwards. */
extern const struct kafka_api kafka_apis[];
extern const size_t kafka_apis_count;

/* NULL: not spoken. */
const struct kafka_api *kafka_api_find(int16_t key);

struct kafka_api_versions_response_api_key;

/* The list in an ApiVersions response: all of them, or ApiVersions by itself (with the error
 * UNSUPPORTED_VERSION). `ret` has room for kafka_apis_count; returns how many there are. */
int32_t kafka_api_list(struct kafka_api_versions_response_api_key *ret, bool itself_only);

static inline bool kafka_api_is_listed(const struct kafka_api *api)
{
	return api->advertised_first <= api->advertised_last;
}

/* Is a request of this version read and answered? */
static inline bool kafka_api_speaks(const struct kafka_api *api, int16_t version)
{
	return version >= api->first && version <= api->last &&
	       (version <= api->advertised_last || !kafka_api_is_listed(api));
}

#endif
