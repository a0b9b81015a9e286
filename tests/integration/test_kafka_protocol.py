"""`leat kafka`, request by request: what Apache Kafka answers, in each version that matters."""

import pytest
from kafka_messages import Client


@pytest.fixture
def client(broker):
    with Client(broker.port) as connection:
        yield connection


def make_topics(client, *names, partitions=1, **configs):
    made = client.call("CreateTopics", 4, timeout_ms=30000, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": 1,
         "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}
        for name in names])
    assert [topic["error_code"] for topic in made["topics"]] == [0] * len(names)


def use_groups(client):
    """The coordinator is there once somebody has looked for it."""
    assert client.call("FindCoordinator", 4, coordinator_keys=["g"])["coordinators"][0]["error_code"] == 0


# ---- groups ----

def commit(client, group, topic, offset, partition=0, version=8, generation=-1, member="", **fields):
    answer = client.call("OffsetCommit", version, group_id=group, generation_id_or_member_epoch=generation,
                         member_id=member, topics=[{"name": topic, "partitions": [
                             {"partition_index": partition, "committed_offset": offset, **fields}]}])
    return answer["topics"][0]["partitions"][0]["error_code"]


def committed(client, group, topic, partition=0):
    answer = client.call("OffsetFetch", 7, group_id=group, topics=[{"name": topic, "partition_indexes": [partition]}])
    assert answer["error_code"] == 0
    return answer["topics"][0]["partitions"][0]["committed_offset"]


def test_what_was_committed_of_a_topic_goes_with_it(broker, client):
    make_topics(client, "t", "other")
    use_groups(client)
    assert [commit(client, group, topic, 7) for group in "gh" for topic in ("t", "other")] == [0] * 4
    assert client.call("DeleteTopics", 4, topic_names=["t"], timeout_ms=30000)["responses"][0]["error_code"] == 0
    make_topics(client, "t")
    assert [committed(client, group, "t") for group in "gh"] == [-1, -1]
    assert [committed(client, group, "other") for group in "gh"] == [7, 7]
    broker.restart()
    with Client(broker.port) as again:
        assert [committed(again, group, "t") for group in "gh"] == [-1, -1]
        assert [committed(again, group, "other") for group in "gh"] == [7, 7]
