"""Apache Kafka's own Java clients and command-line tools with `leat kafka`: every tool does its work,
and what leat has not ends as it does with a Kafka where it is switched off: soon, with a sentence."""

import json
import re
import signal
import time

import pytest
from kafka_server import wait_until


def numbers(first, count):
    return "".join(f"{n}\n" for n in range(first, first + count))


KEYED = ("--property", "parse.key=true")


def keyed(count):
    """For every partition of a topic some."""
    return "".join(f"key{n}\t{n}\n" for n in range(count))


def table(text):
    """The rows of what kafka-consumer-groups prints, by the names of its columns."""
    rows, names = [], None
    for line in text.split("\n"):
        words = line.split()
        if words and words[0] in ("GROUP", "TOPIC"):
            names = line.replace("COORDINATOR (ID)", "COORDINATOR").split()
        elif names and len(words) >= len(names):
            rows.append(dict(zip(names, words)))
    return rows


def events(running, name):
    """Of a verifiable producer or consumer."""
    found = []
    for line in list(running.lines):
        if line.startswith("{"):
            event = json.loads(line)
            if event["name"] == name:
                found.append(event)
    return found


# ---- topics, settings, the broker ----

def test_topics_are_made_listed_described_grown_and_removed(tools):
    assert "Created topic orders." in tools("kafka-topics", "--create", "--topic", "orders", "--partitions", 3,
                                            "--replication-factor", 1, "--config", "retention.ms=7200000")
    assert "Created topic other." in tools("kafka-topics", "--create", "--topic", "other")
    assert tools("kafka-topics", "--list").split() == ["orders", "other"]
    shown = tools("kafka-topics", "--describe", "--topic", "orders")
    assert re.search(r"Topic: orders\s+TopicId: \S{22}\s+PartitionCount: 3\s+ReplicationFactor: 1\s+"
                     r"Configs: retention.ms=7200000\n", shown), shown
    assert len(re.findall(r"Topic: orders\s+Partition: \d\s+Leader: 1\s+Replicas: 1\s+Isr: 1\b", shown)) == 3
    assert tools("kafka-topics", "--describe").count("PartitionCount") == 2
    for only in ("--under-replicated-partitions", "--unavailable-partitions", "--at-min-isr-partitions",
                 "--under-min-isr-partitions"):
        assert ("Partition:" in tools("kafka-topics", "--describe", only)) == (only == "--at-min-isr-partitions")
    tools("kafka-topics", "--alter", "--topic", "orders", "--partitions", 5)
    assert "PartitionCount: 5" in tools("kafka-topics", "--describe", "--topic", "orders")
    tools("kafka-topics", "--create", "--topic", "orders", "--if-not-exists")
    tools("kafka-topics", "--delete", "--topic", "ord.*")
    assert tools("kafka-topics", "--list").split() == ["other"]


@pytest.mark.parametrize("arguments,sentence", [
    (("--create", "--topic", "there"), "exists"),
    (("--create", "--topic", "bad/name"), "InvalidTopicException"),
    (("--create", "--topic", "new", "--replication-factor", "3"), "(?i)replication factor"),
    (("--create", "--topic", "new", "--config", "retention.ms=much"), "retention.ms"),
    (("--create", "--topic", "new", "--config", "no.such=1"), "no.such"),
    (("--alter", "--topic", "there", "--partitions", "1"), "(?i)partitions"),
    (("--describe", "--topic", "missing"), "does not exist"),
    (("--delete", "--topic", "missing"), "does not exist"),
])
def test_what_can_not_be_done_to_topics_is_said(tools, arguments, sentence):
    tools("kafka-topics", "--create", "--topic", "there")
    assert re.search(sentence, tools.fails("kafka-topics", *arguments))
    assert tools("kafka-topics", "--list").split() == ["there"]


def test_settings_of_topics(tools):
    topic = ("--entity-type", "topics", "--entity-name", "orders")
    tools("kafka-topics", "--create", "--topic", "orders")
    tools("kafka-configs", *topic, "--alter", "--add-config", "retention.ms=7200000,cleanup.policy=[compact,delete]")
    shown = tools("kafka-configs", *topic, "--describe")
    assert "retention.ms=7200000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=7200000, " in shown
    assert re.search("cleanup.policy=(compact,delete|delete,compact) ", shown) and "segment.bytes" not in shown
    tools("kafka-configs", *topic, "--alter", "--delete-config", "retention.ms")
    every = tools("kafka-configs", *topic, "--describe", "--all")
    assert "  retention.ms=604800000 sensitive=false synonyms={DEFAULT_CONFIG:log.retention.ms=604800000}" in every
    assert "  segment.bytes=1073741824 " in every and len(re.findall("^  ", every, re.M)) >= 22
    refused = tools.fails("kafka-configs", *topic, "--alter", "--add-config", "retention.ms=much")
    assert "InvalidConfigurationException" in refused and "retention.ms" in refused
    assert "Dynamic configs for topic orders are" in tools("kafka-configs", "--entity-type", "topics", "--describe")


def test_settings_of_the_broker(tools):
    every = tools("kafka-configs", "--entity-type", "brokers", "--entity-name", 1, "--describe", "--all")
    assert re.search(r"^  num.partitions=2 sensitive=false", every, re.M)
    assert re.search(r"^  log.retention.ms=604800000 sensitive=false", every, re.M)
    shown = tools("kafka-configs", "--entity-type", "brokers", "--describe")
    assert "Dynamic configs for broker 1 are:" in shown and "Default configs for brokers in the cluster are:" in shown
    for which in (("--entity-name", "1"), ("--entity-default",)):
        refused = tools.fails("kafka-configs", "--entity-type", "brokers", *which, "--alter", "--add-config",
                              "log.retention.ms=2000")
        assert "InvalidRequestException" in refused or "InvalidConfigurationException" in refused


def test_the_cluster_is_described(tools):
    shown = tools("kafka-broker-api-versions")
    assert f"{tools.broker.address} (id: 1 rack: null" in shown
    assert re.search(r"Fetch\(1\): 4 to \d+ \[usable: ", shown) and "AddPartitionsToTxn(24): UNSUPPORTED" in shown
    assert re.search(r"Cluster ID: \S{22}$", tools.to("kafka-cluster", "cluster-id").strip())
    # No feature is finalized, as with a Kafka of old.
    assert tools("kafka-features", "describe").strip() == ""
    shown = json.loads(tools("kafka-log-dirs", "--describe").strip().split("\n")[-1])
    assert [(each["broker"], each["logDirs"][0]["error"]) for each in shown["brokers"]] == [(1, None)]


# ---- records ----

@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_console_producer_and_consumer(tools, codec):
    sent = "".join(f"from:{codec},empty:\tkey{n}\tvalue {n}\n" for n in range(3000))
    before = int(time.time() * 1000)
    tools("kafka-console-producer", "--topic", "t", "--compression-codec", codec, "--property", "parse.key=true",
          "--property", "parse.headers=true", stdin=sent)
    shown = tools("kafka-console-consumer", "--topic", "t", "--from-beginning", "--max-messages", 3000, "--timeout-ms",
                  60000, *(word for name in ("key", "headers", "timestamp", "partition", "offset")
                           for word in ("--property", f"print.{name}=true")))
    rows = [line.split("\t") for line in shown.split("\n") if line.startswith("CreateTime:")]
    assert sorted((row[3], row[4], row[5]) for row in rows) \
        == sorted(tuple(line.split("\t")) for line in sent.strip().split("\n"))
    assert all(before <= int(row[0].removeprefix("CreateTime:")) <= time.time() * 1000 for row in rows)
    for partition in range(2):
        offsets = [int(row[2].removeprefix("Offset:")) for row in rows if row[1] == f"Partition:{partition}"]
        assert offsets == list(range(len(offsets))) and offsets


def test_console_consumer_in_a_group_goes_on_where_it_was(tools):
    group = ("--topic", "t", "--group", "readers", "--from-beginning", "--timeout-ms", 8000)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(0, 100))
    assert set(numbers(0, 100).split()) <= set(tools("kafka-console-consumer", *group, "--max-messages", 100).split())
    tools.broker.restart(signal.SIGKILL)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(100, 50))
    shown = [word for word in tools("kafka-console-consumer", *group).split("\n") if word.isdigit()]
    assert sorted(map(int, shown)) == list(range(100, 150))


def test_console_consumer_reads_one_partition_from_an_offset_and_what_is_committed(tools):
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 1)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(0, 50))
    shown = tools("kafka-console-consumer", "--topic", "t", "--partition", 0, "--offset", 40, "--max-messages", 10,
                  "--timeout-ms", 60000, "--isolation-level", "read_committed")
    assert [word for word in shown.split("\n") if word.isdigit()] == numbers(40, 10).split()


def test_offsets_are_found_by_time(tools):
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 1)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(0, 10))
    middle = int(time.time() * 1000) + 1
    time.sleep(0.01)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(10, 5))

    def found(*arguments):
        return re.findall(r"^t:0:(\d+)$", tools("kafka-get-offsets", *arguments), re.M)

    t = ("--topic", "t", "--time")
    assert found("--topic", "t") == found(*t, "latest") == found(*t, -1) == ["15"]
    assert found(*t, "earliest") == found(*t, -2) == found(*t, 1000) == ["0"]
    assert found(*t, middle) == ["10"] and found(*t, middle + 3600000) == []
    assert len(found(*t, "max-timestamp")) == len(found(*t, -3)) == 1 and int(found(*t, -3)[0]) >= 10
    assert found("--topic-partitions", "t:0", "--time", "latest") == ["15"]
    # Of tiers there are none: all is here.
    assert found(*t, "earliest-local") == ["0"]


def test_records_are_deleted(tools, tmp_path):
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 1)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(0, 50))
    file = tmp_path / "offsets.json"

    def delete(offset):
        file.write_text(json.dumps({"version": 1, "partitions": [{"topic": "t", "partition": 0, "offset": offset}]}))
        return tools("kafka-delete-records", "--offset-json-file", file, check=False)

    assert re.search(r"partition: t-0\s+low_watermark: 20", delete(20))
    assert "OffsetOutOfRangeException" in delete(1000)
    assert "t:0:20" in tools("kafka-get-offsets", "--topic", "t", "--time", "earliest")
    shown = tools("kafka-console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", 60000, "--max-messages", 30)
    assert [word for word in shown.split("\n") if word.isdigit()] == numbers(20, 30).split()
    assert re.search(r"partition: t-0\s+low_watermark: 50", delete(-1))


def test_perf_tests(tools):
    shown = tools("kafka-producer-perf-test", "--topic", "t", "--num-records", 20000, "--record-size", 200,
                  "--throughput", -1, "--producer-props", f"bootstrap.servers={tools.broker.address}",
                  "compression.type=lz4", server=None)
    assert "20000 records sent" in shown
    shown = tools("kafka-consumer-perf-test", "--topic", "t", "--messages", 20000, "--timeout", 60000)
    assert re.search(r", 20000, [\d.]+, ", shown), shown
    shown = tools("kafka-e2e-latency", tools.broker.address, "t", 20, "all", 100, server=None)
    assert "Avg latency:" in shown


# ---- groups ----

def test_groups_are_listed_described_reset_and_removed(tools, tmp_path):
    groups = "kafka-consumer-groups"
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 2)
    tools("kafka-console-producer", "--topic", "t", *KEYED, stdin=keyed(100))
    with tools.started("kafka-verifiable-consumer", "--topic", "t", "--group-id", "g") as member:
        wait_until(lambda: sum(event["count"] for event in events(member, "records_consumed")) == 100)
        assert [row["STATE"] for row in table(tools(groups, "--list", "--state")) if row["GROUP"] == "g"] == ["Stable"]
        rows = sorted(table(tools(groups, "--describe", "--group", "g")), key=lambda row: row["PARTITION"])
        assert [(row["TOPIC"], row["PARTITION"], row["LAG"], row["HOST"]) for row in rows] \
            == [("t", "0", "0", "/127.0.0.1"), ("t", "1", "0", "/127.0.0.1")]
        assert sum(int(row["CURRENT-OFFSET"]) for row in rows) == 100
        state = table(tools(groups, "--describe", "--group", "g", "--state"))[0]
        assert "Stable" in state.values() and tools.broker.address in state.values()
        assert re.search(r"[(:](0,1|1,0)\b", tools(groups, "--describe", "--group", "g", "--members", "--verbose"))
        # What needs an empty group says so.
        assert "is not empty" in tools(groups, "--delete", "--group", "g", check=False)
        assert "inactive" in tools(groups, "--reset-offsets", "--group", "g", "--topic", "t", "--to-earliest", "--execute",
                                   check=False)
        assert re.search(r"(?i)subscribed|error", tools(groups, "--delete-offsets", "--group", "g", "--topic", "t:0",
                                                        check=False))
        member.process.terminate()
        member.wait()
    assert [row["STATE"] for row in table(tools(groups, "--list", "--state")) if row["GROUP"] == "g"] == ["Empty"]
    assert "g" in tools(groups, "--list", "--type", "classic").split()

    def committed():
        rows = table(tools(groups, "--describe", "--group", "g", "--offsets"))
        return sum(int(row["CURRENT-OFFSET"]) for row in rows), sum(int(row["LAG"]) for row in rows)

    def reset(*how):
        """What is committed and the lag, after it."""
        tools(groups, "--reset-offsets", "--group", "g", "--execute", *how)
        return committed()

    every = ("--topic", "t")
    assert reset(*every, "--to-earliest") == (0, 100)
    assert reset(*every, "--to-latest") == (100, 0)
    assert reset(*every, "--to-offset", 10) == (20, 80)
    assert reset(*every, "--shift-by", -3) == (14, 86)
    assert reset("--all-topics", "--to-latest") == (100, 0)
    assert reset(*every, "--by-duration", "PT1H") == (0, 100)
    assert reset("--topic", "t:0,1", "--to-latest") == (100, 0)
    assert reset(*every, "--to-datetime", "2020-01-01T00:00:00.000") == (0, 100)
    assert reset(*every, "--to-current") == (0, 100)
    plan = tools(groups, "--reset-offsets", "--group", "g", *every, "--to-latest", "--export", "--dry-run")
    file = tmp_path / "plan.csv"
    file.write_text("".join(line + "\n" for line in plan.split("\n") if re.match(r'^"?t"?,\d', line)))
    assert committed() == (0, 100) and reset("--from-file", file) == (100, 0)
    tools("kafka-console-producer", "--topic", "t", *KEYED, stdin=keyed(7))
    assert committed() == (100, 7)
    assert "Successful" in tools(groups, "--delete-offsets", "--group", "g", "--topic", "t:0")
    assert [row["PARTITION"] for row in table(tools(groups, "--describe", "--group", "g"))] == ["1"]
    assert "successful" in tools(groups, "--delete", "--group", "g")
    assert "does not exist" in tools(groups, "--delete", "--group", "g", check=False)
    assert re.search("does not exist|GroupIdNotFoundException", tools(groups, "--describe", "--group", "g", check=False))


def test_verifiable_consumers_share_a_topic_and_take_over_from_one_that_is_killed(tools):
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 4)
    group = ("--topic", "t", "--group-id", "g", "--session-timeout", 6000, "--reset-policy", "earliest")

    def holds(member):
        assigned = events(member, "partitions_assigned")
        return {each["partition"] for each in assigned[-1]["partitions"]} if assigned else set()

    with tools.started("kafka-verifiable-consumer", *group) as first, \
            tools.started("kafka-verifiable-consumer", *group) as second:
        wait_until(lambda: len(holds(first)) == 2 and len(holds(second)) == 2 and not holds(first) & holds(second))
        with tools.started("kafka-verifiable-producer", "--topic", "t", "--max-messages", 3000, "--throughput",
                           500, "--repeating-keys", 40) as producer:
            wait_until(lambda: len(events(producer, "producer_send_success")) > 500)
            first.process.kill()
            producer.wait()
            acknowledged = events(producer, "tool_data")[0]["acked"]
        assert acknowledged == 3000
        wait_until(lambda: len(holds(second)) == 4)

        def reached():
            """Both together have read every partition to its end: {partition: last offset}."""
            last = {}
            for member in (first, second):
                for event in events(member, "records_consumed"):
                    for part in event["partitions"]:
                        last[part["partition"]] = max(last.get(part["partition"], -1), part["maxOffset"])
            return sum(offset + 1 for offset in last.values())

        wait_until(lambda: reached() == 3000)
        wait_until(lambda: all(row["LAG"] == "0"
                               for row in table(tools("kafka-consumer-groups", "--describe", "--group", "g"))))


# ---- idempotence ----

@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_producer_goes_on_through_restarts_of_the_broker(tools, how, tmp_path):
    """Each message that was sent is there once, in order, though its request may have been sent again."""
    settings = tmp_path / "producer.properties"
    settings.write_text("enable.idempotence=true\nacks=all\nretries=2147483647\nbatch.size=500\n")
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 1)
    option = "--producer.config" if tools.version.startswith("3") else "--command-config"
    with tools.started("kafka-verifiable-producer", "--topic", "t", "--max-messages", 6000, "--throughput", 1500, option,
                       settings) as producer:
        for limit in (500, 2500):
            wait_until(lambda: len(events(producer, "producer_send_success")) > limit)
            tools.broker.restart(how)
        assert producer.wait() == 0
    assert events(producer, "tool_data")[0]["acked"] == 6000 and not events(producer, "producer_send_error")
    shown = tools("kafka-console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", 10000)
    assert [int(word) for word in shown.split("\n") if word.isdigit()] == list(range(6000))


def test_producers_of_a_partition_are_described(tools):
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 1)
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(0, 10))
    shown = tools("kafka-transactions", "describe-producers", "--topic", "t", "--partition", 0)
    assert re.search(r"^\d+\s+0\s+-1\s+9\s+\d{13}\s+None", shown, re.M), shown
    assert "Could not find any open transactions" in tools.fails("kafka-transactions", "abort", "--topic", "t",
                                                                 "--partition", 0, "--start-offset", 0)
    tools("kafka-transactions", "find-hanging", "--topic", "t")


# ---- what is not there ----

# What would change what is not there; what asks about it.
REFUSED = [
    ("kafka-acls", ("--list",), "SecurityDisabledException"),
    ("kafka-configs", ("--entity-type", "clients", "--entity-name", "x", "--alter", "--add-config",
                       "producer_byte_rate=1000"), "ALTER_CLIENT_QUOTAS"),
    ("kafka-configs", ("--entity-type", "users", "--entity-name", "x", "--alter", "--add-config",
                       "SCRAM-SHA-256=[password=x]"), "ALTER_USER_SCRAM_CREDENTIALS"),
    ("kafka-features", ("upgrade", "--metadata", "3.9"), "metadata.version"),
    ("kafka-transactions", ("describe", "--transactional-id", "x"), "FindCoordinator request for transactionalId"),
]
EMPTY = [
    ("kafka-client-metrics", ("--list",), r"\s*"),
    ("kafka-configs", ("--entity-type", "users", "--describe"), r"\s*"),
    ("kafka-configs", ("--entity-type", "broker-loggers", "--entity-name", "1", "--describe"), r"Dynamic configs.*are:\s*"),
    ("kafka-leader-election", ("--election-type", "preferred", "--all-topic-partitions"), r"\s*"),
    ("kafka-reassign-partitions", ("--list",), r"No partition reassignments found.\s*"),
    ("kafka-transactions", ("list",), r"TransactionalId\s+Coordinator\s+ProducerId\s+TransactionState\s*"),
]


def names(cases):
    return [f"{script}-{arguments[1] if script == 'kafka-configs' else arguments[0]}" for script, arguments, _ in cases]


@pytest.mark.parametrize("script,arguments,word", REFUSED, ids=names(REFUSED))
def test_what_leat_has_not_ends_with_a_sentence(tools, script, arguments, word):
    assert word in tools.fails(script, *arguments)


@pytest.mark.parametrize("script,arguments,shown", EMPTY, ids=names(EMPTY))
def test_of_what_leat_has_not_there_is_none(tools, script, arguments, shown):
    assert re.fullmatch(shown, tools(script, *arguments))


def test_a_partition_is_moved_to_where_it_is(tools, tmp_path):
    tools("kafka-topics", "--create", "--topic", "t", "--partitions", 1)
    plan = tmp_path / "plan.json"
    plan.write_text('{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}')
    assert "Successfully started" in tools("kafka-reassign-partitions", "--execute", "--reassignment-json-file", plan)
    assert "t-0 is completed" in tools("kafka-reassign-partitions", "--verify", "--reassignment-json-file", plan)
    assert "None of the specified" in tools("kafka-reassign-partitions", "--cancel", "--reassignment-json-file", plan)


def test_the_quorum_is_this_broker(tools):
    assert re.search(r"LeaderId:\s+1\n", tools("kafka-metadata-quorum", "describe", "--status"))


def test_a_transactional_producer_is_told_at_once(tools):
    told = tools.fails("kafka-producer-perf-test", "--topic", "t", "--num-records", 100, "--record-size", 100,
                       "--throughput", -1, "--producer-props", f"bootstrap.servers={tools.broker.address}",
                       "--transactional-id", "x", "--transaction-duration-ms", 100, server=None)
    assert "TransactionalIdAuthorizationException" in told


def test_the_new_group_protocols_are_refused_at_once(tools):
    tools("kafka-console-producer", "--topic", "t", stdin=numbers(0, 10))
    told = tools("kafka-console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", 50000, "--group", "g",
                 "--consumer-property", "group.protocol=consumer", timeout=45)
    assert "does not support CONSUMER_GROUP_HEARTBEAT" in told and "Processed a total of 0 messages" in told
    if not tools.version.startswith("3"):
        told = tools("kafka-console-share-consumer", "--topic", "t", "--group", "s", "--timeout-ms", 10000)
        assert "does not support SHARE_GROUP_HEARTBEAT" in told
