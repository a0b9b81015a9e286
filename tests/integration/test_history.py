"""history.py itself: it finds nothing in a good history, and each planted fault in a bad one."""

import copy

import pytest
from history import History, Log, check

PART = ["t", 0]


def good():
    """An idempotent and another producer; a group of two members, of which the second takes over."""
    events = [{"t": 0, "who": "p", "e": "hello", "role": "producer", "idempotent": True},
              {"t": 0, "who": "q", "e": "hello", "role": "producer", "idempotent": False},
              {"t": 0, "who": "a", "e": "hello", "role": "consumer", "group": "g", "topic": "t"},
              {"t": 0, "who": "b", "e": "hello", "role": "consumer", "group": "g", "topic": "t"}]
    log = Log(0, 20)
    for offset in range(20):
        who, number = "pq"[offset % 2], offset // 2
        log.records[offset] = f"{who}:{number}"
        part = {"topic": "t", "partition": 0}
        events += [{"t": 1 + offset, "who": who, "e": "send", "id": number, **part},
                   {"t": 1.5 + offset, "who": who, "e": "acked", "id": number, "offset": offset, **part}]
        events.append({"t": 31 + offset, "who": "ab"[offset >= 10], "e": "read", "offset": offset,
                       "value": f"{who}:{number}", **part})
    events += [{"t": 30, "who": "a", "e": "assigned", "parts": [PART], "generation": 1},
               {"t": 40.2, "who": "a", "e": "committed", "t0": 40.1, "offsets": [["t", 0, 10]]},
               {"t": 40.3, "who": "a", "e": "revoked", "parts": [PART]},
               {"t": 40.4, "who": "b", "e": "assigned", "parts": [PART], "generation": 2},
               {"t": 40.6, "who": "b", "e": "found", "t0": 40.5, "offsets": [["t", 0, 10]]},
               {"t": 52, "who": "b", "e": "committed", "t0": 51, "offsets": [["t", 0, 20]]},
               {"t": 60, "who": "b", "e": "ended"}]
    return events, {("t", 0): log}, {("g", "t", 0): 20}


def find(events, **fields):
    return next(event for event in events if all(event.get(name) == value for name, value in fields.items()))


def lose(events, logs, committed):
    """The last record, acknowledged and read."""
    logs["t", 0].end = 19
    del logs["t", 0].records[19]


def overwrite(events, logs, committed):
    logs["t", 0].records[4] = "q:77"


def swallow(events, logs, committed):
    del logs["t", 0].records[4]


def repeat(events, logs, committed):
    logs["t", 0].end = 21
    logs["t", 0].records[20] = "p:9"


def reorder(events, logs, committed):
    records = logs["t", 0].records
    records[4], records[6] = records[6], records[4]


def invent(events, logs, committed):
    logs["t", 0].end = 21
    logs["t", 0].records[20] = "p:10"


def misread(events, logs, committed):
    find(events, e="read", offset=5)["value"] = "p:2"


def skip(events, logs, committed):
    events.remove(find(events, e="read", offset=5))


def commit_back(events, logs, committed):
    find(events, e="committed", who="b")["offsets"] = [["t", 0, 9]]


def forget_commit(events, logs, committed):
    find(events, e="found")["offsets"] = [["t", 0, -1]]


def share(events, logs, committed):
    find(events, e="assigned", who="b")["generation"] = 1


def overlap(events, logs, committed):
    find(events, e="revoked")["t"] = 40.45


def hold_on(events, logs, committed):
    events.remove(find(events, e="revoked"))


def fall_behind(events, logs, committed):
    committed["g", "t", 0] = 19


def leave_unread(events, logs, committed):
    find(events, e="read", offset=19)["e"] = "ignored"


def test_nothing_is_wrong_with_a_good_history():
    assert check(History(*good())) == []


@pytest.mark.parametrize("fault,sentences", [
    (lose, ["lost:", "read q:9"]), (overwrite, ["lost:", "never sent:", "read p:2"]), (swallow, ["gap:", "lost:"]),
    (repeat, ["duplicate:"]), (reorder, ["order:", "lost:"]), (invent, ["never sent:"]), (misread, ["a read p:2"]),
    (skip, ["skipped:", "unread:"]), (commit_back, ["went back:"]), (forget_commit, ["went back:"]),
    (share, ["two owners:"]), (overlap, ["two owners:"]), (hold_on, ["two owners:"]), (fall_behind, ["behind:"]),
    (leave_unread, ["unread:"]),
])
def test_planted_faults_are_found(fault, sentences):
    events, logs, committed = good()
    fault(events, logs, committed)
    found = check(History(events, logs, committed))
    for sentence in sentences:
        assert any(sentence in each for each in found), found


def test_who_is_not_idempotent_may_send_again():
    events, logs, committed = good()
    logs["t", 0].records[20] = "q:9"
    logs["t", 0].end = committed["g", "t", 0] = 21
    events.append({"t": 51, "who": "b", "e": "read", "topic": "t", "partition": 0, "offset": 20, "value": "q:9"})
    assert check(History(events, logs, committed)) == []


def test_who_had_lost_its_partitions_could_not_know():
    events, logs, committed = good()
    find(events, e="revoked").update(e="lost", t=41)
    assert check(History(events, logs, committed)) == []


def test_what_is_deleted_from_the_beginning_is_not_missed():
    events, logs, committed = good()
    late = copy.deepcopy([event for event in events if event["e"] == "read" and event["offset"] in (2, 8)])
    events += [{**event, "t": event["t"] + 100} for event in late]
    events += [{"t": 130, "who": "b", "e": "lost", "parts": [PART]}]
    log = logs["t", 0]
    for offset in range(8):
        del log.records[offset]
    log.start = 8
    assert any("skipped:" in each for each in check(History(events, logs, committed)))
    log.forgets = True
    assert check(History(events, logs, committed)) == []
