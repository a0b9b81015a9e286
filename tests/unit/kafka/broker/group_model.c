#include "unit/kafka/broker/group_model.h"

const char *const model_protocols[] = {"a", "ab", "ba", "cb", "abc", ""};

/* ---- looking ---- */

static struct model_member *by_id(struct model *m, int id)
{
	for (int i = 0; i < m->count; i++)
		if (m->members[i].id == id)
			return &m->members[i];
	return NULL;
}

static struct model_member *by_instance(struct model *m, int instance)
{
	for (int i = 0; i < m->count; i++)
		if (instance && m->members[i].instance == instance)
			return &m->members[i];
	return NULL;
}

bool model_has(struct model *m, int instance)
{
	return by_instance(m, instance) != NULL;
}

static int pending_index(struct model *m, int id)
{
	for (int i = 0; i < m->pending_count; i++)
		if (m->pending[i].id == id)
			return i;
	return -1;
}

static int identify(struct model *m, int id, int instance, struct model_member **ret)
{
	*ret = instance ? by_instance(m, instance) : by_id(m, id);
	if (!*ret)
		return KAFKA_UNKNOWN_MEMBER_ID;
	return (*ret)->id == id ? 0 : KAFKA_FENCED_INSTANCE_ID;
}

static int waiting(const struct model *m)
{
	int n = 0;

	for (int i = 0; i < m->count; i++)
		n += m->members[i].join != 0;
	return n;
}

static bool everyone_has(const struct model *m, char protocol)
{
	for (int i = 0; i < m->count; i++)
		if (!strchr(model_protocols[m->members[i].protocols], protocol))
			return false;
	return true;
}

static char elected(const struct model *m)
{
	int votes[128] = {0}, most = 0;
	char best = 0;

	for (int i = 0; i < m->count; i++)
		for (const char *p = model_protocols[m->members[i].protocols]; *p; p++)
			if (everyone_has(m, *p)) {
				votes[(int)*p]++;
				break;
			}
	for (const char *p = model_protocols[m->members[0].protocols]; *p; p++)
		if (everyone_has(m, *p) && (!best || votes[(int)*p] > most)) {
			best = *p;
			most = votes[(int)*p];
		}
	return best;
}

static int longest(const struct model *m)
{
	int ms = 0;

	for (int i = 0; i < m->count; i++)
		ms = m->members[i].rebalance > ms ? m->members[i].rebalance : ms;
	return ms;
}

/* ---- answering ---- */

static struct model_answer *answer(struct model *m, int waiter, int error)
{
	m->answers[waiter] = (struct model_answer){.given = true, .error = error};
	return &m->answers[waiter];
}

static void refuse(struct model *m, int waiter, int error, int member)
{
	struct model_answer *a = answer(m, waiter, error);

	a->generation = -1;
	a->member = member;
}

static struct model_answer *welcome(struct model *m, int waiter, const struct model_member *member)
{
	struct model_answer *a = answer(m, waiter, 0);

	a->generation = m->generation;
	a->leader = m->leader;
	a->member = member->id;
	a->protocol = m->protocol;
	a->count = m->leader == member->id ? m->count : 0;
	return a;
}

static void drop(struct model *m, struct model_member *member)
{
	int id = member->id;

	if (member->join)
		refuse(m, member->join, KAFKA_UNKNOWN_MEMBER_ID, id);
	if (member->sync)
		answer(m, member->sync, KAFKA_UNKNOWN_MEMBER_ID);
	m->count--;
	memmove(member, member + 1, (size_t)(m->members + m->count - member) * sizeof(*member));
	if (m->leader == id)
		m->leader = m->count ? m->members[0].id : 0;
}

static void drop_pending(struct model *m, int i)
{
	m->pending_count--;
	memmove(&m->pending[i], &m->pending[i + 1],
		(size_t)(m->pending_count - i) * sizeof(m->pending[0]));
}

static void renew(struct model_member *member, uint64_t now)
{
	member->deadline = now + (uint64_t)member->session;
}

/* ---- rebalancing ---- */

static void enter(struct model *m, enum group_state state)
{
	m->before = m->state;
	m->state = state;
}

static bool elect_leader(struct model *m)
{
	if (by_id(m, m->leader)->join)
		return true;
	for (int i = 0; i < m->count; i++)
		if (m->members[i].join) {
			m->leader = m->members[i].id;
			return true;
		}
	return false;
}

static void generation(struct model *m, uint64_t now)
{
	for (int i = m->count - 1; i >= 0; i--)
		if (!m->members[i].join && !m->members[i].instance)
			drop(m, &m->members[i]);
	if (m->count == 0) {
		m->generation++;
		m->protocol = 0;
		enter(m, GROUP_EMPTY);
		return;
	}
	if (!elect_leader(m)) {
		m->join_deadline = now + (uint64_t)longest(m);
		return;
	}
	m->generation++;
	m->protocol = elected(m);
	enter(m, GROUP_COMPLETING);
	m->sync_deadline = now + (uint64_t)longest(m);
	for (int i = 0; i < m->count; i++) {
		struct model_member *member = &m->members[i];

		if (member->join)
			welcome(m, member->join, member);
		member->join = 0;
		member->is_new = false;
		member->missing = true;
		renew(member, now);
	}
}

static void all_there(struct model *m, uint64_t now)
{
	if (m->state == GROUP_PREPARING && m->before != GROUP_EMPTY && waiting(m) == m->count &&
	    m->pending_count == 0)
		generation(m, now);
}

static void rebalance(struct model *m, uint64_t now)
{
	if (m->state == GROUP_PREPARING) {
		all_there(m, now);
		return;
	}
	for (int i = 0; i < m->count; i++) {
		m->members[i].missing = false;
		if (m->members[i].sync) {
			answer(m, m->members[i].sync, KAFKA_REBALANCE_IN_PROGRESS);
			m->members[i].sync = 0;
			renew(&m->members[i], now);
		}
	}
	if (m->state == GROUP_EMPTY) {
		m->newcomers = false;
		m->delay_left = longest(m) > MODEL_DELAY ? longest(m) - MODEL_DELAY : 0;
		m->join_deadline = now + MODEL_DELAY;
		enter(m, GROUP_PREPARING);
		return;
	}
	m->join_deadline = now + (uint64_t)longest(m);
	enter(m, GROUP_PREPARING);
	all_there(m, now);
}

void model_tick(struct model *m, uint64_t now)
{
	bool members_gone = false, pending_gone = false, missing = false;

	for (int i = m->count - 1; i >= 0; i--) {
		struct model_member *member = &m->members[i];

		if (member->deadline <= now &&
		    (member->is_new || (!member->join && !member->sync))) {
			drop(m, member);
			members_gone = true;
		}
	}
	for (int i = m->pending_count - 1; i >= 0; i--)
		if (m->pending[i].deadline <= now) {
			drop_pending(m, i);
			pending_gone = true;
		}
	if (members_gone)
		rebalance(m, now);
	else if (pending_gone)
		all_there(m, now);
	if (m->state == GROUP_PREPARING && m->join_deadline <= now) {
		if (m->before == GROUP_EMPTY && m->newcomers && m->delay_left > 0) {
			int more = m->delay_left < MODEL_DELAY ? m->delay_left : MODEL_DELAY;

			m->newcomers = false;
			m->delay_left -= more;
			m->join_deadline = now + (uint64_t)more;
		} else {
			generation(m, now);
		}
	}
	if ((m->state == GROUP_COMPLETING || m->state == GROUP_STABLE) && m->sync_deadline <= now) {
		for (int i = m->count - 1; i >= 0; i--)
			if (m->members[i].missing) {
				drop(m, &m->members[i]);
				missing = true;
			}
		if (missing)
			rebalance(m, now);
	}
}

/* ---- joining ---- */

static void add(struct model *m, const struct model_join *j, int id, uint64_t now)
{
	struct model_member *member = &m->members[m->count];

	if (m->state == GROUP_PREPARING && m->before == GROUP_EMPTY)
		m->newcomers = true;
	*member = (struct model_member){
	    .id = id,
	    .instance = j->instance,
	    .protocols = j->protocols,
	    .version = j->version,
	    .session = j->session,
	    .rebalance = j->rebalance,
	    .deadline = now + GROUP_NEW_MEMBER_MS,
	    .join = j->waiter,
	    .is_new = true,
	};
	m->count++;
	if (!m->leader)
		m->leader = id;
	rebalance(m, now);
}

static void take_over(struct model_member *member, const struct model_join *j)
{
	member->protocols = j->protocols;
	member->version = j->version;
	member->session = j->session;
	member->rebalance = j->rebalance;
}

static void come_back(struct model *m, const struct model_join *j, struct model_member *member,
		      uint64_t now)
{
	struct model_member old = *member;
	bool leads = m->leader == member->id;

	if (member->join)
		refuse(m, member->join, KAFKA_FENCED_INSTANCE_ID, old.id);
	if (member->sync)
		answer(m, member->sync, KAFKA_FENCED_INSTANCE_ID);
	member->join = member->sync = 0;
	take_over(member, j);
	member->id = j->fresh;
	if (leads)
		m->leader = member->id;
	renew(member, now);
	if (m->state == GROUP_STABLE && elected(m) == m->protocol) {
		struct model_answer *a;

		if (m->store_fails) {
			member->id = old.id;
			member->protocols = old.protocols;
			member->version = old.version;
			if (leads)
				m->leader = old.id;
			refuse(m, j->waiter, KAFKA_NOT_COORDINATOR, 0);
			return;
		}
		a = welcome(m, j->waiter, member);
		a->count = leads && j->skips ? m->count : 0;
		a->skip = leads && j->skips;
		if (leads && !j->skips)
			a->leader = old.id;
		return;
	}
	member->join = j->waiter;
	rebalance(m, now);
}

static void join_again(struct model *m, const struct model_join *j, struct model_member *member,
		       uint64_t now)
{
	bool same = member->protocols == j->protocols && member->version == j->version;

	if (same && (m->state == GROUP_COMPLETING ||
		     (m->state == GROUP_STABLE && m->leader != member->id))) {
		renew(member, now);
		welcome(m, j->waiter, member);
		return;
	}
	take_over(member, j);
	if (member->join)
		refuse(m, member->join, KAFKA_REBALANCE_IN_PROGRESS, member->id);
	member->join = j->waiter;
	rebalance(m, now);
}

static bool common_protocol(const struct model *m, int list)
{
	for (const char *p = model_protocols[list]; *p; p++)
		if (everyone_has(m, *p))
			return true;
	return false;
}

void model_join(struct model *m, const struct model_join *j, uint64_t now)
{
	struct model_member *known =
	    j->instance ? by_instance(m, j->instance) : by_id(m, j->member);
	int pending = pending_index(m, j->member), error;
	bool room = m->state == GROUP_PREPARING ? (known && known->join) || waiting(m) < MODEL_SIZE
						: known || m->count < MODEL_SIZE;

	if (j->session < MODEL_SESSION_MIN || j->session > MODEL_SESSION_MAX) {
		refuse(m, j->waiter, KAFKA_INVALID_SESSION_TIMEOUT, j->member);
	} else if (!room) {
		if (pending >= 0) {
			drop_pending(m, pending);
			all_there(m, now);
		}
		refuse(m, j->waiter, KAFKA_GROUP_MAX_SIZE_REACHED, 0);
	} else if (!common_protocol(m, j->protocols)) {
		refuse(m, j->waiter, KAFKA_INCONSISTENT_GROUP_PROTOCOL, j->member);
	} else if (j->member == 0 && known) {
		come_back(m, j, known, now);
	} else if (j->member == 0 && j->returns && !j->instance) {
		if (m->pending_count >=
		    MODEL_SIZE - (m->state == GROUP_PREPARING ? waiting(m) : m->count)) {
			refuse(m, j->waiter, KAFKA_GROUP_MAX_SIZE_REACHED, 0);
			return;
		}
		m->pending[m->pending_count] = (struct model_member){.id = j->fresh};
		m->pending[m->pending_count++].deadline = now + (uint64_t)j->session;
		refuse(m, j->waiter, KAFKA_MEMBER_ID_REQUIRED, j->fresh);
	} else if (j->member == 0) {
		add(m, j, j->fresh, now);
	} else if (pending >= 0 && !j->instance) {
		drop_pending(m, pending);
		add(m, j, j->member, now);
	} else {
		error = identify(m, j->member, j->instance, &known);
		if (error)
			refuse(m, j->waiter, error, j->member);
		else
			join_again(m, j, known, now);
	}
}

/* ---- the rest ---- */

void model_sync(struct model *m, int waiter, int id, int instance, int generation, int factor,
		uint64_t now)
{
	struct model_member *member;
	int error = identify(m, id, instance, &member);

	if (!error && generation != m->generation)
		error = KAFKA_ILLEGAL_GENERATION;
	if (!error && m->state == GROUP_PREPARING)
		error = KAFKA_REBALANCE_IN_PROGRESS;
	if (error) {
		answer(m, waiter, error);
		return;
	}
	member->missing = false;
	if (member->sync)
		answer(m, member->sync, KAFKA_REBALANCE_IN_PROGRESS);
	member->sync = 0;
	if (m->state == GROUP_STABLE) {
		renew(member, now);
		answer(m, waiter, 0)->assigned = member->assigned;
		return;
	}
	member->sync = waiter;
	if (m->leader != id)
		return;
	if (!m->store_fails)
		enter(m, GROUP_STABLE);
	for (int i = 0; i < m->count; i++) {
		struct model_member *each = &m->members[i];

		each->assigned = each->id * factor;
		if (!each->sync)
			continue;
		renew(each, now);
		answer(m, each->sync, m->store_fails ? KAFKA_NOT_COORDINATOR : 0)->assigned =
		    m->store_fails ? 0 : each->assigned;
		each->sync = 0;
	}
	if (m->store_fails)
		rebalance(m, now);
}

int model_heartbeat(struct model *m, int id, int instance, int generation, uint64_t now)
{
	struct model_member *member;
	int error = identify(m, id, instance, &member);

	if (error)
		return error;
	if (generation != m->generation)
		return KAFKA_ILLEGAL_GENERATION;
	renew(member, now);
	return m->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : 0;
}

int model_leave(struct model *m, int id, int instance, uint64_t now)
{
	struct model_member *member;
	int pending = pending_index(m, id), error = 0;

	if (pending >= 0 && !instance) {
		drop_pending(m, pending);
		all_there(m, now);
		return 0;
	}
	if (id == 0 && instance) {
		member = by_instance(m, instance);
		error = member ? 0 : KAFKA_UNKNOWN_MEMBER_ID;
	} else {
		error = identify(m, id, instance, &member);
	}
	if (error)
		return error;
	drop(m, member);
	rebalance(m, now);
	return 0;
}

int model_commit(struct model *m, int id, int instance, int generation, uint64_t now)
{
	struct model_member *member;
	int error;

	if (generation < 0 && m->state == GROUP_EMPTY)
		return 0;
	if (generation < 0 && id == 0 && !instance)
		return KAFKA_UNKNOWN_MEMBER_ID;
	error = identify(m, id, instance, &member);
	if (error)
		return error;
	if (generation != m->generation)
		return KAFKA_ILLEGAL_GENERATION;
	if (m->state == GROUP_COMPLETING)
		return KAFKA_REBALANCE_IN_PROGRESS;
	renew(member, now);
	return 0;
}
