#include "kafka/wire/api.h"

#include "kafka/wire/messages.h"

const struct kafka_api *kafka_api_find(int16_t key)
{
	for (size_t i = 0; i < kafka_apis_count; i++)
		if (kafka_apis[i].key == key)
			return &kafka_apis[i];
	return NULL;
}

int32_t kafka_api_list(struct kafka_api_versions_response_api_key *ret, bool itself_only)
{
	int32_t count = 0;

	for (size_t i = 0; i < kafka_apis_count; i++) {
		const struct kafka_api *api = &kafka_apis[i];

		if ((itself_only && api->key != KAFKA_API_API_VERSIONS) ||
		    !kafka_api_is_listed(api))
			continue;
		ret[count].api_key = api->key;
		ret[count].min_version = api->advertised_first;
		ret[count].max_version = api->advertised_last;
		count++;
	}
	return count;
}
