#include "kafka/wire/api.h"

const struct kafka_api *kafka_api_find(int16_t key)
{
	for (size_t i = 0; i < kafka_apis_count; i++)
		if (kafka_apis[i].key == key)
			return &kafka_apis[i];
	return NULL;
}
