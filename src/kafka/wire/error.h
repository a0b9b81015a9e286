/*
 * The error codes of Kafka's protocol: one table.
 *
 * X(code, NAME, retriable, text): `retriable` is what clients make of it. The codes, their names
 * and whether they are worth another try are the protocol's; the texts are what our answers say
 * where a message has room for one.
 */
#ifndef KAFKA_WIRE_ERROR_H
#define KAFKA_WIRE_ERROR_H

#include "base/check.h"

#define KAFKA_ERRORS(X)                                                                            \
	X(-1, UNKNOWN_SERVER_ERROR, false, "the broker failed in a way it did not expect")         \
	X(0, NONE, false, "no error")                                                              \
	X(1, OFFSET_OUT_OF_RANGE, false, "the offset is outside of what the partition holds")      \
	X(2, CORRUPT_MESSAGE, true, "checksum or size of the records is wrong")                    \
	X(3, UNKNOWN_TOPIC_OR_PARTITION, true, "no such topic or partition here")                  \
	X(4, INVALID_FETCH_SIZE, false, "the size to fetch is invalid")                            \
	X(5, LEADER_NOT_AVAILABLE, true, "the partition has no leader yet")                        \
	X(6, NOT_LEADER_OR_FOLLOWER, true, "this broker does not lead the partition")              \
	X(7, REQUEST_TIMED_OUT, true, "the request took too long")                                 \
	X(8, BROKER_NOT_AVAILABLE, false, "the broker is not available")                           \
	X(9, REPLICA_NOT_AVAILABLE, true, "the replica is not available")                          \
	X(10, MESSAGE_TOO_LARGE, false, "the batch is larger than the topic allows")               \
	X(11, STALE_CONTROLLER_EPOCH, false, "the controller has moved")                           \
	X(12, OFFSET_METADATA_TOO_LARGE, false, "the metadata of the offset is too long")          \
	X(13, NETWORK_EXCEPTION, true, "the connection ended before the answer")                   \
	X(14, COORDINATOR_LOAD_IN_PROGRESS, true, "the coordinator is still loading")              \
	X(15, COORDINATOR_NOT_AVAILABLE, true, "the coordinator is not available")                 \
	X(16, NOT_COORDINATOR, true, "this broker is not the coordinator")                         \
	X(17, INVALID_TOPIC_EXCEPTION, false, "the topic's name is invalid, or it is not for you") \
	X(18, RECORD_LIST_TOO_LARGE, false, "the records are larger than a segment")               \
	X(19, NOT_ENOUGH_REPLICAS, true, "too few replicas are in sync")                           \
	X(20, NOT_ENOUGH_REPLICAS_AFTER_APPEND, true, "written, but to too few replicas")          \
	X(21, INVALID_REQUIRED_ACKS, false, "acks must be -1, 0 or 1")                             \
	X(22, ILLEGAL_GENERATION, false, "this is not the group's generation")                     \
	X(23, INCONSISTENT_GROUP_PROTOCOL, false, "no protocol that all members have")             \
	X(24, INVALID_GROUP_ID, false, "the group's name is invalid")                              \
	X(25, UNKNOWN_MEMBER_ID, false, "the group has no such member")                            \
	X(26, INVALID_SESSION_TIMEOUT, false, "the session timeout is outside of what is allowed") \
	X(27, REBALANCE_IN_PROGRESS, false, "the group is rebalancing: join again")                \
	X(28, INVALID_COMMIT_OFFSET_SIZE, false, "the offset's data is too large")                 \
	X(29, TOPIC_AUTHORIZATION_FAILED, false, "not allowed for this topic")                     \
	X(30, GROUP_AUTHORIZATION_FAILED, false, "not allowed for this group")                     \
	X(31, CLUSTER_AUTHORIZATION_FAILED, false, "not allowed for this cluster")                 \
	X(32, INVALID_TIMESTAMP, false, "a timestamp is outside of what the topic accepts")        \
	X(33, UNSUPPORTED_SASL_MECHANISM, false, "no such SASL mechanism")                         \
	X(34, ILLEGAL_SASL_STATE, false, "not in this state of the SASL exchange")                 \
	X(35, UNSUPPORTED_VERSION, false, "this version of the API is not spoken")                 \
	X(36, TOPIC_ALREADY_EXISTS, false, "the topic exists")                                     \
	X(37, INVALID_PARTITIONS, false, "the number of partitions is invalid")                    \
	X(38, INVALID_REPLICATION_FACTOR, false, "the replication factor is invalid")              \
	X(39, INVALID_REPLICA_ASSIGNMENT, false, "the assignment of replicas is invalid")          \
	X(40, INVALID_CONFIG, false, "the configuration is invalid")                               \
	X(41, NOT_CONTROLLER, true, "this broker is not the controller")                           \
	X(42, INVALID_REQUEST, false, "the request makes no sense")                                \
	X(43, UNSUPPORTED_FOR_MESSAGE_FORMAT, false, "not with this format of messages")           \
	X(44, POLICY_VIOLATION, false, "a policy forbids it")                                      \
	X(45, OUT_OF_ORDER_SEQUENCE_NUMBER, false, "the producer's sequence has a gap")            \
	X(46, DUPLICATE_SEQUENCE_NUMBER, false, "the producer's sequence was there before")        \
	X(47, INVALID_PRODUCER_EPOCH, false, "a newer producer has taken over this id")            \
	X(48, INVALID_TXN_STATE, false, "not in this state of the transaction")                    \
	X(49, INVALID_PRODUCER_ID_MAPPING, false, "the producer id is not that transaction's")     \
	X(50, INVALID_TRANSACTION_TIMEOUT, false, "the transaction's timeout is too long")         \
	X(51, CONCURRENT_TRANSACTIONS, true, "the last transaction is still being finished")       \
	X(52, TRANSACTION_COORDINATOR_FENCED, false, "another coordinator has taken over")         \
	X(53, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, false, "not allowed for this transaction id") \
	X(54, SECURITY_DISABLED, false, "security features are off")                               \
	X(55, OPERATION_NOT_ATTEMPTED, false, "not tried, as another part failed")                 \
	X(56, KAFKA_STORAGE_ERROR, true, "the disk is full, or failed")                            \
	X(57, LOG_DIR_NOT_FOUND, false, "no such log directory")                                   \
	X(58, SASL_AUTHENTICATION_FAILED, false, "authentication failed")                          \
	X(59, UNKNOWN_PRODUCER_ID, false, "nothing is known of this producer")                     \
	X(60, REASSIGNMENT_IN_PROGRESS, false, "the partition is being moved")                     \
	X(61, DELEGATION_TOKEN_AUTH_DISABLED, false, "delegation tokens are off")                  \
	X(62, DELEGATION_TOKEN_NOT_FOUND, false, "no such delegation token")                       \
	X(63, DELEGATION_TOKEN_OWNER_MISMATCH, false, "not the token's owner")                     \
	X(64, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, false, "no tokens over this connection")       \
	X(65, DELEGATION_TOKEN_AUTHORIZATION_FAILED, false, "not allowed for this token")          \
	X(66, DELEGATION_TOKEN_EXPIRED, false, "the token has expired")                            \
	X(67, INVALID_PRINCIPAL_TYPE, false, "the principal's type is not supported")              \
	X(68, NON_EMPTY_GROUP, false, "the group has members")                                     \
	X(69, GROUP_ID_NOT_FOUND, false, "no such group")                                          \
	X(70, FETCH_SESSION_ID_NOT_FOUND, true, "no such fetch session")                           \
	X(71, INVALID_FETCH_SESSION_EPOCH, true, "the fetch session is at another epoch")          \
	X(72, LISTENER_NOT_FOUND, true, "the leader has no listener like this one")                \
	X(73, TOPIC_DELETION_DISABLED, false, "deleting topics is off")                            \
	X(74, FENCED_LEADER_EPOCH, true, "the leader epoch is older than the partition's")         \
	X(75, UNKNOWN_LEADER_EPOCH, true, "the leader epoch is newer than the partition's")        \
	X(76, UNSUPPORTED_COMPRESSION_TYPE, false, "the codec is not supported here")              \
	X(77, STALE_BROKER_EPOCH, false, "the broker epoch has changed")                           \
	X(78, OFFSET_NOT_AVAILABLE, true, "the leader does not know its offset yet")               \
	X(79, MEMBER_ID_REQUIRED, false, "join again with the member id given here")               \
	X(80, PREFERRED_LEADER_NOT_AVAILABLE, true, "the preferred leader is not available")       \
	X(81, GROUP_MAX_SIZE_REACHED, false, "the group is full")                                  \
	X(82, FENCED_INSTANCE_ID, false, "another member has this instance id")                    \
	X(83, ELIGIBLE_LEADERS_NOT_AVAILABLE, true, "no replica can lead")                         \
	X(84, ELECTION_NOT_NEEDED, true, "the partition has its leader")                           \
	X(85, NO_REASSIGNMENT_IN_PROGRESS, false, "the partition is not being moved")              \
	X(86, GROUP_SUBSCRIBED_TO_TOPIC, false, "the group reads this topic")                      \
	X(87, INVALID_RECORD, false, "the records are not as they must be")                        \
	X(88, UNSTABLE_OFFSET_COMMIT, true, "a transaction's offsets are not settled")             \
	X(89, THROTTLING_QUOTA_EXCEEDED, true, "the quota is used up")                             \
	X(90, PRODUCER_FENCED, false, "a newer producer has this transaction id")                  \
	X(91, RESOURCE_NOT_FOUND, false, "no such resource")                                       \
	X(92, DUPLICATE_RESOURCE, false, "the resource was named twice")                           \
	X(93, UNACCEPTABLE_CREDENTIAL, false, "the credential is not good enough")                 \
	X(94, INCONSISTENT_VOTER_SET, false, "the sets of voters differ")                          \
	X(95, INVALID_UPDATE_VERSION, false, "the version to update to is invalid")                \
	X(96, FEATURE_UPDATE_FAILED, false, "features could not be updated")                       \
	X(97, PRINCIPAL_DESERIALIZATION_FAILURE, false, "the forwarded principal is unreadable")   \
	X(98, SNAPSHOT_NOT_FOUND, false, "no such snapshot")                                       \
	X(99, POSITION_OUT_OF_RANGE, false, "the position is outside of the snapshot")             \
	X(100, UNKNOWN_TOPIC_ID, true, "no topic with this id")                                    \
	X(101, DUPLICATE_BROKER_REGISTRATION, false, "the broker id is taken")                     \
	X(102, BROKER_ID_NOT_REGISTERED, false, "the broker id is not registered")                 \
	X(103, INCONSISTENT_TOPIC_ID, true, "the topic has another id")                            \
	X(104, INCONSISTENT_CLUSTER_ID, false, "this is another cluster")                          \
	X(105, TRANSACTIONAL_ID_NOT_FOUND, false, "no such transaction id")                        \
	X(106, FETCH_SESSION_TOPIC_ID_ERROR, true, "the session mixes topic names and ids")        \
	X(107, INELIGIBLE_REPLICA, false, "the replica may not be in sync")                        \
	X(108, NEW_LEADER_ELECTED, false, "another leader was elected meanwhile")                  \
	X(109, OFFSET_MOVED_TO_TIERED_STORAGE, false, "the offset is in tiered storage")           \
	X(110, FENCED_MEMBER_EPOCH, false, "the member's epoch is over")                           \
	X(111, UNRELEASED_INSTANCE_ID, false, "the instance id is still in use")                   \
	X(112, UNSUPPORTED_ASSIGNOR, false, "the assignor is not known here")                      \
	X(113, STALE_MEMBER_EPOCH, false, "the member's epoch is old")                             \
	X(114, MISMATCHED_ENDPOINT_TYPE, false, "this endpoint is for others")                     \
	X(115, UNSUPPORTED_ENDPOINT_TYPE, false, "no such type of endpoint")                       \
	X(116, UNKNOWN_CONTROLLER_ID, false, "no such controller")                                 \
	X(117, UNKNOWN_SUBSCRIPTION_ID, false, "no such subscription")                             \
	X(118, TELEMETRY_TOO_LARGE, false, "the telemetry is too large")                           \
	X(119, INVALID_REGISTRATION, false, "the registration is invalid")                         \
	X(120, TRANSACTION_ABORTABLE, false, "the transaction must be aborted")                    \
	X(121, INVALID_RECORD_STATE, false, "the record is not in that state")                     \
	X(122, SHARE_SESSION_NOT_FOUND, true, "no such share session")                             \
	X(123, INVALID_SHARE_SESSION_EPOCH, true, "the share session is at another epoch")         \
	X(124, FENCED_STATE_EPOCH, false, "the state's epoch is over")                             \
	X(125, INVALID_VOTER_KEY, false, "the voter's key does not fit")                           \
	X(126, DUPLICATE_VOTER, false, "the voter is there")                                       \
	X(127, VOTER_NOT_FOUND, false, "no such voter")                                            \
	X(128, INVALID_REGULAR_EXPRESSION, false, "the regular expression is invalid")             \
	X(129, REBOOTSTRAP_REQUIRED, false, "start over from the bootstrap servers")               \
	X(130, STREAMS_INVALID_TOPOLOGY, false, "the topology is invalid")                         \
	X(131, STREAMS_INVALID_TOPOLOGY_EPOCH, false, "the topology's epoch is invalid")           \
	X(132, STREAMS_TOPOLOGY_FENCED, false, "the topology's epoch is over")                     \
	X(133, SHARE_SESSION_LIMIT_REACHED, true, "too many share sessions")

#define KAFKA_ERROR_ENUM(code, name, retriable, text) KAFKA_##name = (code),
enum kafka_error { KAFKA_ERRORS(KAFKA_ERROR_ENUM) };
#undef KAFKA_ERROR_ENUM

/* Their places in the table. */
#define KAFKA_ERROR_ROW(code, name, retriable, text) KAFKA_ERROR_ROW_##name,
enum kafka_error_row { KAFKA_ERRORS(KAFKA_ERROR_ROW) KAFKA_ERROR_CODES };
#undef KAFKA_ERROR_ROW

struct kafka_error_info {
	int16_t code;
	bool retriable;
	const char *name, *text;
};

/* What a code means; that of UNKNOWN_SERVER_ERROR for one that is not in the table. */
const struct kafka_error_info *kafka_error_info(int code);

/* One more of it, in an array of KAFKA_ERROR_CODES that any thread may count in: as the table is. */
void kafka_error_count(uint64_t *counts, int code);
uint64_t kafka_error_counted(const uint64_t *counts, int code);
/* The nth of the table. */
const struct kafka_error_info *kafka_error_nth(unsigned nth);

#endif
