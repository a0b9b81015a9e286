/*
 * A call: one request, from its arrival until its answer has left.
 *
 *     call_new() -> handler --ANSWERED--------------------------------> sent -> call_free()
 *                     |  |                                               ^
 *                     |  +-BLOCKS--> a helper runs it again, allowed to -+
 *                     |              wait for the disk, or `blocking`,   |
 *                     |              and the loop then `resume`          |
 *                     +----WAITS---> until call_answered() --------------+
 *
 * A handler first runs on its connection's loop. What would block makes it say BLOCKS, and a helper
 * runs `blocking` (or the handler from its beginning) with may_block set: so up to that point it has
 * changed nothing. What the loop has to do after the helper is `resume`: it is called whether the
 * connection is still there or not. What waits for an event (a fetch for data, a join for others) keeps what it needs
 * and says WAITS; the request's bytes are gone then.
 *
 * Changes of topics are done one by one, by a helper of their own (call_change()), and in steps: a handler
 * that says CONTINUES has its next turn behind the changes of others, and none where its client has left
 * meanwhile.
 * What a request costs is in proportion to the elements of its arrays, so these are counted: where
 * there are more than a loop should handle in a turn, call_decode() or call_work() fail, and a bulk
 * helper runs the handler again. There call_work() looks whether somebody still waits for it.
 *
 * A connection has at most one call that blocks or waits, and reads no further requests meanwhile:
 * answers keep their order, and one client's memory is bounded.
 *
 * The connection may end before its call: then the call is told by `abandoned` (if it wants to
 * know), and freed when it would be answered.
 */
#ifndef KAFKA_BROKER_KAFKA_CALL_H
#define KAFKA_BROKER_KAFKA_CALL_H

#include "engine/chain.h"
#include "kafka/broker/inbox.h"
#include "kafka/broker/kafka_loop.h"
#include "kafka/broker/kafka_server.h"
#include "kafka/store/partition.h"
#include "kafka/wire/header.h"
#include "kafka/wire/messages.h"

/* What a client may do, as versions that tell it have it: a bit for each operation. Nobody's access is
 * controlled: everything that there is to do. */
#define OPERATIONS_UNKNOWN    INT32_MIN
#define OPERATIONS_ON_TOPIC   0xdf8  /* read, write, create, delete, alter, describe, configs */
#define OPERATIONS_ON_GROUP   0xd48  /* read, delete, describe, configs */
#define OPERATIONS_ON_CLUSTER 0x1fa0 /* create, alter, describe, act, configs, write idempotently */

enum handled {
	CALL_ANSWERED,
	CALL_SILENT, /* there is no answer to it */
	CALL_BLOCKS,
	CALL_WAITS,
	CALL_CONTINUES, /* on a helper: by `blocking`, when others have had their turn */
	CALL_CLOSES,    /* not understood: the connection has earned no answer */
	CALL_ENDS,      /* understood, but the connection ends */
};

/* A range of a segment that goes into the answer behind so many bytes. */
struct call_range {
	size_t at;
	struct partition_slice slice;
};

struct call_chunk {
	struct call_chunk *next;
	_Alignas(ARENA_ALIGN) char memory[];
};

struct shard;

/* As much of a client's name is told to operators. */
#define CLIENT_ID_SHOWN 64

struct kafka_call {
	struct kafka_server *server;
	struct kafka_loop *home;
	struct conn_ref conn;
	const struct kafka_listener *listener; /* that it came by */
	struct kafka_request_header header;
	struct slice body;
	char *body_copy; /* NULL: it lies in the connection's input */
	size_t body_size;
	uint64_t reserved; /* for it, of the server's memory for large requests */
	char *client_copy;
	bool client_noted; /* client_shown has the name: the header's may be gone */
	size_t client_shown_len;
	struct sockaddr_storage peer; /* of the connection, while a helper has it */

	struct arena *work; /* of structs for the request and its answer */
	struct arena own_work;
	struct call_chunk *chunks; /* its memory */
	size_t chunks_bytes;
	bool may_block;
	bool blocks;      /* a helper has it */
	bool waits;       /* for other clients */
	bool apart;       /* answered from another thread: the loop's buffers are not for it */
	uint32_t wait_ms; /* of CALL_WAITS: when `expired` is called; 0: never */
	enum handled handled;
	bool is_long;           /* for a helper: one of those that leave others free */
	bool is_change;         /* for the helper that changes topics */
	bool ending;            /* the process is: what is not begun is refused */
	bool heavy;             /* too many elements for a loop */
	size_t elements;        /* that were handled; on a helper, since it has looked last */
	_Atomic bool cancelled; /* a helper has it, and nobody waits for it any more */
	enum handled (*blocking)(struct kafka_call *call); /* NULL: the handler */
	enum handled (*resume)(struct kafka_call *call);   /* NULL: the helper's word stands */

	uint64_t since_ns; /* when it was taken up; 0: is not timed */
	struct kafka_produced produced;

	/* While it waits, on the loop; either may be NULL. */
	void (*expired)(struct kafka_call *call);
	void (*abandoned)(struct kafka_call *call);
	void *state; /* of the handler's */
	struct shard
	    *shard; /* of a join or a sync that waits: `state` is its member, by this one's lock */
	struct message message;
	struct job job;

	/* The answer. */
	char *bytes; /* in the loop's `out` unless `own_bytes` */
	size_t len;
	bool own_bytes;
	bool free_bytes;
	uint64_t answer_reserved; /* for them, of the server's memory for large answers */
	char *room; /* of the state's, for an answer that can't be in `out`; NULL: none */
	size_t room_size;
	struct call_range *ranges; /* the state's memory */
	unsigned ranges_count;
	void (*release_state)(
	    struct kafka_call *call); /* when the answer has left, or nobody wants it */

	struct kafka_call *next; /* what leaves after it */
	bool chained;
	bool loading; /* a helper reads a cold range of it */
	struct leat_load load;
	struct leat_chain chain; /* zeroed up to here by call_new() */
	char client_shown[CLIENT_ID_SHOWN];
};

/* Before the request's bytes go: the client's name for the log. Once. */
void call_note_client(struct kafka_call *call);
/* The call's work memory, cleared; NULL: none left (CALL_ENDS). */
void *call_take(struct kafka_call *call, size_t count, size_t size);
/* An array of a message: {at, count}, cleared; false: no memory. */
#define call_array(call, array, n)                                                    \
	((array)->count = (int32_t)(n),                                               \
	 (array)->at = call_take(call, (size_t)(array)->count, sizeof(*(array)->at)), \
	 (array)->at != NULL)
/* A copy that lives as long; ptr NULL: no memory. */
struct slice call_keep(struct kafka_call *call, struct slice s);
/* A text of at most CALL_TEXT_MAX bytes (what is longer is cut); NULL: no memory. */
const char *call_printf(struct kafka_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#define CALL_TEXT_MAX 400
/* What an answer says of an error: `text` if there is one, else what the code means; null for NONE. */
struct slice call_error_text(enum kafka_error error, const char *text);
/* The answer is made later, or on another thread: nothing taken so far is valid any more. */
void call_renew_work(struct kafka_call *call);
/* The request gets memory that lasts as long as the call, and call->body moves there. What `blocking`
 * is set for must see to that itself. */
bool call_keep_body(struct kafka_call *call);
/* On the loop: what CALL_BLOCKS is said for is a change of topics. */
enum handled call_change(struct kafka_call *call);
/* On a helper: the first step; `state` is the call's memory. */
enum handled call_in_steps(struct kafka_call *call, enum handled (*step)(struct kafka_call *call),
			   void *state);
/* On the loop, with nothing left that points there: what waits does so without it. */
void call_drop_body(struct kafka_call *call);
/* Reads the request; false when it is malformed, or too much for a loop: CALL_CLOSES. */
bool call_decode(struct kafka_call *call, void *ret);
/* With another limit than KAFKA_ELEMENTS_ON_LOOP. */
bool call_decode_most(struct kafka_call *call, void *ret, size_t on_loop);
/* So many more elements are about to be handled, of what is told or changed. false: too many for a
 * loop, and then nothing may have been changed so far; or nobody waits for it any more. CALL_ENDS. */
bool call_work(struct kafka_call *call, size_t elements);
static inline bool call_is_cancelled(const struct kafka_call *call)
{
	return atomic_load_explicit(&call->cancelled, memory_order_relaxed);
}
/* As they are handled, of those that call_decode() has counted: a look on a helper, nothing on a loop. */
static inline bool call_step(struct kafka_call *call, size_t elements)
{
	return !call->may_block || call_work(call, elements);
}
/* CALL_BLOCKS where the handler (or what a handler is part of) ended as it was too much for a loop. */
enum handled call_unless_heavy(struct kafka_call *call, enum handled handled);
/* Encodes the answer: CALL_ANSWERED, or CALL_ENDS without memory. */
enum handled call_answer(struct kafka_call *call, const void *response);
/* With ranges in place of records, in the order of their gaps: `gaps` has room for as many. */
enum handled call_answer_ranges(struct kafka_call *call, const void *response,
				struct kafka_gap *gaps, unsigned gaps_size);

/* A partition's ends (-1 unless NONE), if the client's idea of its leader's epoch is right (-1: it
 * has none). NULL: there is no such partition. */
enum kafka_error call_partition_ends(struct partition *partition, int32_t epoch,
				     struct partition_ends *ret);

/* Where a partition is to be, by hand: there is one place. INVALID_REPLICA_ASSIGNMENT with a text. */
enum kafka_error call_check_place(struct kafka_call *call, const int32_t *nodes, int32_t count,
				  const char **ret_text);

/* Monotonic, and wall clock. Any thread. */
uint64_t call_now_ms(const struct kafka_call *call);
int64_t call_wall_ms(void);
/* "/10.0.0.1", as Kafka writes it. */
struct slice call_client_host(struct kafka_call *call);

/* ---- for kafka_conn.c ---- */

struct kafka_call *call_new(struct kafka_loop *home, struct conn *conn,
			    const struct kafka_request_header *header, struct slice body);
void call_free(struct kafka_call *call);
/* -EAGAIN: the helpers have too much to do. */
int call_to_helper(struct kafka_call *call);
/* A waiting call has got its answer (or CALL_SILENT, CALL_CLOSES). On its home loop. */
void call_answered(struct kafka_call *call, enum handled handled);

/* ---- the handlers: kafka_api.c has the table ---- */

enum handled (*kafka_handler(int16_t key))(struct kafka_call *);
/* The APIs of the table, for ApiVersions; `ret` has room for kafka_apis_count. */
int32_t kafka_api_advertised(struct kafka_api_versions_response_api_key *ret, bool itself_only);

enum handled handle_produce(struct kafka_call *call);
enum handled handle_fetch(struct kafka_call *call);
enum handled handle_list_offsets(struct kafka_call *call);
enum handled handle_metadata(struct kafka_call *call);
enum handled handle_offset_commit(struct kafka_call *call);
enum handled handle_offset_fetch(struct kafka_call *call);
enum handled handle_find_coordinator(struct kafka_call *call);
enum handled handle_join_group(struct kafka_call *call);
enum handled handle_heartbeat(struct kafka_call *call);
enum handled handle_leave_group(struct kafka_call *call);
enum handled handle_sync_group(struct kafka_call *call);
enum handled handle_describe_groups(struct kafka_call *call);
enum handled handle_list_groups(struct kafka_call *call);
enum handled handle_api_versions(struct kafka_call *call);
enum handled handle_delete_groups(struct kafka_call *call);
enum handled handle_offset_delete(struct kafka_call *call);
enum handled handle_create_topics(struct kafka_call *call);
enum handled handle_delete_topics(struct kafka_call *call);
enum handled handle_delete_records(struct kafka_call *call);
enum handled handle_init_producer_id(struct kafka_call *call);
enum handled handle_offset_for_leader_epoch(struct kafka_call *call);
enum handled handle_describe_configs(struct kafka_call *call);
enum handled handle_alter_configs(struct kafka_call *call);
enum handled handle_describe_log_dirs(struct kafka_call *call);
enum handled handle_create_partitions(struct kafka_call *call);
enum handled handle_incremental_alter_configs(struct kafka_call *call);
enum handled handle_describe_cluster(struct kafka_call *call);
enum handled handle_describe_producers(struct kafka_call *call);
enum handled handle_describe_topic_partitions(struct kafka_call *call);
enum handled handle_sasl_handshake(struct kafka_call *call);
enum handled handle_sasl_authenticate(struct kafka_call *call);
enum handled handle_describe_acls(struct kafka_call *call);
enum handled handle_create_acls(struct kafka_call *call);
enum handled handle_delete_acls(struct kafka_call *call);
enum handled handle_describe_client_quotas(struct kafka_call *call);
enum handled handle_describe_user_scram_credentials(struct kafka_call *call);
enum handled handle_elect_leaders(struct kafka_call *call);
enum handled handle_list_partition_reassignments(struct kafka_call *call);
enum handled handle_describe_transactions(struct kafka_call *call);
enum handled handle_list_transactions(struct kafka_call *call);
enum handled handle_list_config_resources(struct kafka_call *call);
enum handled handle_describe_quorum(struct kafka_call *call);
enum handled handle_update_features(struct kafka_call *call);
enum handled handle_unregister_broker(struct kafka_call *call);
enum handled handle_alter_partition_reassignments(struct kafka_call *call);

#endif
