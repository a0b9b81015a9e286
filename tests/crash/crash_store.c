/*
 * The store on a disk that loses power, fails and fills up, under a process that is killed at any
 * moment; seed by seed.
 *
 * Each seed makes a random history (appends of several producers, syncs that come late, appends while
 * a sync is under way, retention, DeleteRecords, topics made, grown, configured and deleted, leader
 * epochs, clean restarts, full disks, syncs and writes that fail), ends it in the middle by a kill or
 * a power cut, ends the starts after that in the middle as well, and looks at what is left; several
 * times over. What must hold:
 *   - everything below an end that was called durable is there, byte for byte; after a kill
 *     everything that was acknowledged is;
 *   - everything that is there was appended at just that offset, without a gap: torn tails are cut;
 *   - what is cut off is set aside first: every batch that the disk had is in the log, or next to it;
 *   - hardly ever a lost write is taken for a damaged disk, and never without a power cut;
 *   - ends do not go below what was durable, starts not below what was deleted;
 *   - where flush.messages is 1, the high watermark is never above what is durable;
 *   - topics that were made are there with their partitions and settings, deleted ones are not;
 *   - a producer's newest batch in the log is known as a duplicate, and its next one goes on;
 *   - epochs end where their batches do, begin with each start that was not clean, and tell who has
 *     read what was lost where the log has left it;
 *   - producer ids are given only once;
 *   - the store opens, takes appends, closes cleanly and is then the same.
 *
 *     crash_store            as a test: SEEDS of them, or LEAT_CRASH_SEEDS
 *     crash_store FIRST N    seeds FIRST to FIRST + N - 1, to look closer at one
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "crash/actions.h"
#include "crash/disk.h"

#define SEEDS 2000
#define LIVES 3
#define STEPS 60

/* ---- histories ---- */

static struct topic_model *any_topic(void)
{
	return &topics[disk_random(TOPICS)];
}

/* Another thread, while a sync is under way. */
static void meanwhile(void)
{
	struct topic_model *topic = any_topic();

	if (!busy && topic->there && !topic->doubt && chance(30))
		append(topic, (int32_t)disk_random((uint64_t)topic->partitions));
}

static void change_topics(struct topic_model *topic, uint64_t what)
{
	busy = true;
	if (what < 3)
		configure(topic);
	else if (what < 5)
		grow(topic);
	else if (topic == &topics[TEMP] && !topic->doubt)
		delete_topic(topic);
	busy = false;
}

static void trouble(void)
{
	switch (disk_random(4)) {
	case 0:
		/* What a failed write has left can't be taken back. */
		disk_break_cut(1);
		disk_break_write(1 + (unsigned)disk_random(4));
		break;
	case 1:
		disk_fill(1 + (unsigned)disk_random(4));
		break;
	case 2:
		disk_break_sync(1 + (unsigned)disk_random(6));
		break;
	default:
		disk_break_write(1 + (unsigned)disk_random(10));
		break;
	}
}

static int64_t flush_of(const struct topic_model *topic)
{
	return topic == &topics[SAFE] || (topic == &topics[MIXED] && chance(50)) ? 1 : NO_FLUSH;
}

static void step(void)
{
	struct topic_model *topic = any_topic();
	uint64_t what = disk_random(100);
	int32_t nth;

	now += (int64_t)disk_random(2000);
	if (!topic->there) {
		busy = true;
		if (!topic->doubt)
			create(topic, flush_of(topic));
		busy = false;
		return;
	}
	nth = (int32_t)disk_random((uint64_t)topic->partitions);
	if (what < 45)
		append(topic, nth);
	else if (what < 60)
		flush(topic, nth);
	else if (what < 70)
		store_maintain(store, now);
	else if (what < 75)
		delete_records(topic, nth);
	else if (what < 82)
		change_topics(topic, what - 75);
	else if (what < 85)
		take_ids();
	else if (what < 89)
		next_epoch(topic, nth);
	else if (what < 93)
		read_some(topic, nth);
	else if (what < 96)
		trouble();
	else if (what < 98 && close_store() == 0)
		/* If something had failed, what the next start finds is looked at first. */
		(void)open_store();
}

/* A history until the process ends, or it is over: then it is closed, as far as that can be. */
static void live(void)
{
	disk_fail_after(chance(75) ? 1 + disk_random(chance(50) ? 600 : 60) : 0);
	if (!open_store())
		return;
	for (int i = 0; i < STEPS && store && !disk_failed(); i++) {
		step();
		if (!store || disk_failed())
			break;
		history_note(store, false);
	}
	if (store && disk_failed())
		history_note(store, true);
	if (store)
		(void)close_store();
}

/* The process is gone. False: and with it what was not safe. */
static bool end(void)
{
	if (chance(50)) {
		disk_keep();
		return true;
	}
	power_cycle();
	return false;
}

static uint64_t cuts_of_power, rots;

static void check(bool kept)
{
	HOLDS(open_store());
	cuts_of_power += !kept;
	if (!kept && history_has_rot(store)) {
		rots++;
		HOLDS(close_store() < 0);
		damage = STORE_DAMAGE_CUT;
		HOLDS(open_store());
		damage = STORE_DAMAGE_OFFLINE;
	}
	if (!kept)
		history_check_aside(store, folder);
	history_check(store, now, kept);
}

static void run_life(void)
{
	struct store_stats stats;
	bool kept;

	live();
	kept = end();
	if (!kept)
		history_remember(folder);
	/* Starts that don't come to their end. */
	while (chance(50)) {
		disk_fail_after(1 + disk_random(40));
		if (open_store())
			(void)close_store();
		kept = end() && kept;
	}
	check(kept);
	/* What this start has called durable is so at once. */
	if (chance(30)) {
		history_killed();
		kill_process();
		power_cycle();
		check(false);
	}
	if (chance(50)) {
		HOLDS(close_store() == 0);
		/* A clean stop is lasting as well. */
		power_cycle();
		check(true);
		store_stats(store, &stats);
		HOLDS(stats.was_clean && stats.was_moved);
	}
	HOLDS(close_store() == 0);
}

static void begin_seed(uint64_t number)
{
	seed = number;
	disk_seed(seed);
	now = KIT_NOW;
	kit_folder(folder);
	disk_attach(folder);
}

static void end_seed(void)
{
	disk_recover(NULL);
	kit_remove(folder);
	history_reset();
}

static void run_seed(uint64_t number)
{
	begin_seed(number);
	disk_on_sync(meanwhile);
	for (int life = 0; life < LIVES; life++)
		run_life();
	disk_on_sync(NULL);
	end_seed();
}

static void nothing_is_lost_that_was_promised(void **state)
{
	const char *wanted = getenv("LEAT_CRASH_SEEDS");
	uint64_t count = wanted ? strtoull(wanted, NULL, 10) : SEEDS;

	cuts_of_power = rots = 0;
	for (uint64_t i = 0; i < count; i++)
		run_seed(i);
	HOLDS(rots <= 1 + cuts_of_power / 100);
}

/* Every moment of a start after a clean stop at which it may be killed, and of the start after it,
 * which is cut off by the power. */
static void starts_may_end_at_any_moment(void **state)
{
	bool all = false;

	for (uint64_t moment = 1; !all; moment++)
		for (uint64_t outcome = 0; outcome < 4; outcome++) {
			begin_seed(moment * 1000 + outcome);
			HOLDS(open_store());
			create(&topics[SAFE], 1);
			create(&topics[LAZY], NO_FLUSH);
			for (int i = 0; i < 10; i++) {
				append(&topics[i % 2], 0);
				flush(&topics[i % 2], 0);
			}
			HOLDS(close_store() == 0);
			disk_fail_after(moment);
			if (open_store())
				(void)close_store();
			all = !disk_failed();
			disk_keep();
			HOLDS(open_store());
			kill_process();
			power_cycle();
			check(true);
			HOLDS(close_store() == 0);
			end_seed();
		}
}

/* The disk is full after so many writes and names, and stays so; then the process is killed. False: the
 * change was done before that. */
static bool fill_in_the_middle(void (*change)(struct topic_model *topic), unsigned room)
{
	struct topic_model *topic = &topics[TEMP], before = *topic;
	bool done;

	disk_fill_after(room);
	change(topic);
	disk_fill(0);
	HOLDS(!topic->doubt);
	done = topic->there != before.there ||
	       (topic->there && (topic->partitions != before.partitions ||
				 topic->retention_ms != before.retention_ms));
	HOLDS(topic->partitions_maybe == topic->partitions &&
	      topic->retention_maybe == topic->retention_ms);
	kill_process();
	check(true);
	return !done;
}

static void create_safe(struct topic_model *topic)
{
	create(topic, 1);
}

/* What takes room fails as a whole, at whatever moment there is none, and a start after a kill knows
 * nothing of it. */
static void a_disk_fills_up_while_a_topic_is_made(void **state)
{
	bool filled = true;

	for (unsigned room = 0; filled; room++) {
		begin_seed(room);
		HOLDS(open_store());
		filled = fill_in_the_middle(create_safe, room);
		HOLDS(close_store() == 0);
		end_seed();
		HOLDS(room < 100);
	}
}

static void a_disk_fills_up_while_a_topic_grows(void **state)
{
	bool filled = true;

	for (unsigned room = 0; filled; room++) {
		begin_seed(room);
		HOLDS(open_store());
		create(&topics[TEMP], 1);
		filled = fill_in_the_middle(grow, room);
		HOLDS(close_store() == 0);
		end_seed();
		HOLDS(room < 100);
	}
}

/* What makes room goes on. */
static void a_full_disk_has_a_way_out(void **state)
{
	for (unsigned room = 0; room < 20; room++) {
		begin_seed(room);
		HOLDS(open_store());
		create(&topics[TEMP], 1);
		append(&topics[TEMP], 0);
		flush(&topics[TEMP], 0);
		HOLDS(!fill_in_the_middle(configure, room));
		HOLDS(!fill_in_the_middle(delete_topic, room));
		HOLDS(close_store() == 0);
		end_seed();
	}
}

/* An append whose producer is told to wait, and then nobody wants syncs any more. */
static void no_more_syncs(void)
{
	struct topic_model *topic = &topics[MIXED];

	struct topic *found = store_topic(store, slice_of(topic->name));
	struct topic_config config;

	disk_on_sync(NULL);
	append(topic, 0);
	topic->flush_messages = NO_FLUSH;
	config = config_of(topic);
	HOLDS(store_topic_configure(store, found, &config) == KAFKA_NONE);
	topic_unref(found);
}

static void who_was_told_to_wait_is_not_forgotten(void **state)
{
	struct topic_model *topic = &topics[MIXED];
	struct partition_ends ends;
	struct partition *partition;

	begin_seed(1);
	HOLDS(open_store());
	create(topic, 1);
	partition = kit_partition(store, topic->name, 0);
	append(topic, 0);
	HOLDS(topic->logs[0].flush_due);
	disk_on_sync(no_more_syncs);
	HOLDS(partition_flush(partition));
	HOLDS(!partition_flush(partition));
	HOLDS(partition_ends(partition, &ends) == KAFKA_NONE);
	HOLDS(ends.durable_end == topic->logs[0].end);
	HOLDS(close_store() == 0);
	end_seed();
}

static void create_temp(void)
{
	create(&topics[TEMP], 1);
}

static void delete_temp(void)
{
	delete_topic(&topics[TEMP]);
}

static void grow_temp(void)
{
	grow(&topics[TEMP]);
}

static void configure_temp(void)
{
	configure(&topics[TEMP]);
}

/* False: the change came to its end before. */
static bool end_in_the_middle(void (*change)(void), bool from_nothing, uint64_t moment)
{
	bool ended;

	HOLDS(open_store());
	create(&topics[SAFE], 1);
	if (!from_nothing) {
		create(&topics[TEMP], 1);
		append(&topics[TEMP], 0);
		flush(&topics[TEMP], 0);
		history_note(store, false);
	}
	disk_fail_after(moment);
	change();
	ended = disk_failed();
	(void)close_store();
	return ended;
}

/* Every moment at which a change of topics may be cut off, by a kill or by the power: then it was
 * done as a whole, or not at all, and if it was answered it was done. */
static void changes_of_topics_may_end_at_any_moment(void **state)
{
	static void (*const changes[])(void) = {create_temp, delete_temp, grow_temp,
						configure_temp};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		bool ended = true;

		for (uint64_t moment = 1; ended; moment++)
			for (uint64_t outcome = 0; outcome < 8; outcome++) {
				begin_seed(i * 100000 + moment * 100 + outcome);
				ended = end_in_the_middle(changes[i], i == 0, moment);
				check(end());
				if (outcome % 2)
					kill_process();
				else
					HOLDS(close_store() == 0);
				power_cycle();
				check(true);
				HOLDS(close_store() == 0);
				end_seed();
			}
	}
}

/* A new store's folder is a name in another one. */
static void the_folder_of_a_new_store_stays(void **state)
{
	for (uint64_t outcome = 0; outcome < 20; outcome++) {
		char before[64], after[64];

		begin_seed(outcome);
		strcpy(before, folder);
		strcat(folder, "/data");
		HOLDS(open_store());
		create(&topics[SAFE], 1);
		append(&topics[SAFE], 0);
		flush(&topics[SAFE], 0);
		history_note(store, false);
		kill_process();
		kit_folder(after);
		disk_recover(after);
		kit_remove(before);
		strcpy(folder, after);
		strcat(folder, "/data");
		check(false);
		HOLDS(close_store() == 0);
		strcpy(folder, after);
		end_seed();
	}
}

/* A start finds a topic of which the power cut has left no folders, makes them, and takes records. */
static void what_a_start_has_made_stays(void **state)
{
	struct topic_model *topic = &topics[TEMP];
	struct topic *found;
	unsigned made = 0;

	for (uint64_t outcome = 0; outcome < 300; outcome++) {
		begin_seed(outcome);
		(void)end_in_the_middle(create_temp, true, 1 + disk_random(12));
		power_cycle();
		HOLDS(open_store());
		found = store_topic(store, slice_of(topic->name));
		if (found) {
			topic_unref(found);
			made++;
			topic->there = true;
			topic->doubt = false;
			append(topic, 0);
			flush(topic, 0);
			history_note(store, false);
		}
		kill_process();
		power_cycle();
		check(false);
		HOLDS(close_store() == 0);
		end_seed();
	}
	HOLDS(made > 0);
}

/* What a full disk had taken of an append, which was cut off again, a kill, a start that finds
 * nothing wrong, a clean stop, a power cut. */
static void what_was_taken_back_stays_away(void **state)
{
	for (uint64_t outcome = 0; outcome < 300; outcome++) {
		begin_seed(outcome);
		HOLDS(open_store());
		create(&topics[SAFE], 1);
		disk_fill(4);
		append(&topics[SAFE], 0);
		kill_process();
		HOLDS(open_store());
		HOLDS(close_store() == 0);
		power_cycle();
		check(true);
		HOLDS(close_store() == 0);
		end_seed();
	}
}

/* What a start has dropped that was killed: segments behind one that a power cut has taken from. The
 * start after it finds nothing wrong, and is stopped. */
static void what_was_dropped_stays_away(void **state)
{
	for (uint64_t outcome = 0; outcome < 300; outcome++) {
		begin_seed(outcome);
		HOLDS(open_store());
		create(&topics[LAZY], NO_FLUSH);
		for (int i = 0; i < 20; i++)
			append(&topics[LAZY], 0);
		kill_process();
		power_cycle();
		disk_fail_after(1 + disk_random(40));
		if (open_store())
			(void)close_store();
		disk_keep();
		check(false);
		HOLDS(close_store() == 0);
		power_cycle();
		check(true);
		HOLDS(close_store() == 0);
		end_seed();
	}
}

/* Retention, and DeleteRecords, on a disk that is full just then, and at every moment of which the
 * process may end. */
static void deletion_leaves_no_gaps(void **state)
{
	struct topic_model *topic = &topics[LAZY];
	bool all = false;

	for (uint64_t moment = 1; !all; moment++)
		for (unsigned outcome = 0; outcome < 6; outcome++) {
			begin_seed(outcome);
			HOLDS(open_store());
			create(topic, 1);
			for (int i = 0; i < 120; i++) {
				append(topic, 0);
				flush(topic, 0);
			}
			if (outcome % 2)
				delete_records(topic, 0);
			history_note(store, false);
			disk_fill(outcome / 2);
			disk_fail_after(moment);
			store_maintain(store, now);
			all = !disk_failed();
			history_killed();
			kill_process();
			check(true);
			history_killed();
			kill_process();
			power_cycle();
			check(false);
			HOLDS(close_store() == 0);
			end_seed();
		}
}

static void say(void *arg, enum log_level level, const char *line, size_t len)
{
	fprintf(stderr, "%.*s", (int)len, line);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_was_told_to_wait_is_not_forgotten),
	    cmocka_unit_test(a_disk_fills_up_while_a_topic_is_made),
	    cmocka_unit_test(a_disk_fills_up_while_a_topic_grows),
	    cmocka_unit_test(a_full_disk_has_a_way_out),
	    cmocka_unit_test(starts_may_end_at_any_moment),
	    cmocka_unit_test(changes_of_topics_may_end_at_any_moment),
	    cmocka_unit_test(the_folder_of_a_new_store_stays),
	    cmocka_unit_test(what_a_start_has_made_stays),
	    cmocka_unit_test(what_was_taken_back_stays_away),
	    cmocka_unit_test(what_was_dropped_stays_away),
	    cmocka_unit_test(deletion_leaves_no_gaps),
	    cmocka_unit_test(nothing_is_lost_that_was_promised),
	};

	/* In memory, where there is one: the disk is ours. */
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	if (argc == 3) {
		log_set_sink(say, NULL, LOG_LEVEL_INFO);
		uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);

		for (uint64_t i = first; i < first + count; i++)
			run_seed(i);
		printf("%llu of %llu power cuts looked like damage\n", (unsigned long long)rots,
		       (unsigned long long)cuts_of_power);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
