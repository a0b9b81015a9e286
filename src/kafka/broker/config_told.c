#include "kafka/broker/config_told.h"

#define TOLD_ROW(name, kind, value) {name, TOPIC_CONFIG_##kind, value},
const struct kafka_config_told kafka_configs_told[] = {KAFKA_CONFIGS_TOLD(TOLD_ROW)};
#undef TOLD_ROW

const size_t kafka_configs_told_count = ARRAY_SIZE(kafka_configs_told);
