/*
 * InitProducerId: an id for an idempotent producer that nobody had before. Transactions are not
 * there: who names one is told so for good.
 */
#include "kafka/broker/kafka_call.h"

/* -1: the store must be asked, and that waits for the disk. */
static int64_t next_id(struct kafka_server *server, bool may_block)
{
	int64_t id = -1;

	pthread_mutex_lock(&server->producer_ids_lock);
	if (server->producer_ids_left == 0 && may_block &&
	    store_take_producer_ids(server->store, KAFKA_PRODUCER_IDS, &server->next_producer_id) ==
		0)
		server->producer_ids_left = KAFKA_PRODUCER_IDS;
	if (server->producer_ids_left > 0) {
		server->producer_ids_left--;
		server->producer_ids_given++;
		id = server->next_producer_id++;
	}
	pthread_mutex_unlock(&server->producer_ids_lock);
	return id;
}

uint64_t kafka_producer_ids_given(struct kafka_server *server)
{
	uint64_t given;

	pthread_mutex_lock(&server->producer_ids_lock);
	given = server->producer_ids_given;
	pthread_mutex_unlock(&server->producer_ids_lock);
	return given;
}

static enum kafka_error check_request(const struct kafka_init_producer_id_request *request)
{
	if (request->transactional_id.len > 0)
		return KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	/* A client that names an id of its own names its epoch. It is given a new one all the same. */
	if (request->transactional_id.ptr ||
	    (request->producer_id == -1) != (request->producer_epoch == -1))
		return KAFKA_INVALID_REQUEST;
	return KAFKA_NONE;
}

enum handled handle_init_producer_id(struct kafka_call *call)
{
	struct kafka_init_producer_id_request request;
	struct kafka_init_producer_id_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_init_producer_id_response_init(&response);
	response.producer_epoch = -1;
	response.error_code = (int16_t)check_request(&request);
	if (response.error_code != KAFKA_NONE)
		return call_answer(call, &response);
	response.producer_id = next_id(call->server, call->may_block);
	if (response.producer_id < 0 && !call->may_block)
		return CALL_BLOCKS;
	if (response.producer_id < 0)
		response.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
	else
		response.producer_epoch = 0;
	return call_answer(call, &response);
}
