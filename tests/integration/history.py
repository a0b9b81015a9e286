"""Checks what clients of a broker have seen against what Kafka promises.

A history is a list of events, dicts with `t` (one clock for all processes), `who` (a client's name; one
that was killed comes back under another) and `e`:

    hello      role: producer (idempotent) or consumer (group, topic)
    send       topic, partition, id           written down before it is sent
    acked      topic, partition, id, offset
    assigned   parts, generation (None where the client does not tell it)
    revoked    parts; or lost: the broker had given them to others
    read       topic, partition, offset, value
    committed  offsets, t0: when it was asked; it went well
    found      offsets, t0: what is committed, as the broker tells
    ended      the process is no more

and an end: {(topic, partition): Log} as it was read when all was over, and {(group, topic, partition):
committed offset}. The value of a record is the producer's name and the message's id. Partitions stand
in events as [topic, partition], offsets as [topic, partition, offset].

Each check yields a sentence for each thing that is wrong.
"""

import collections
import dataclasses


@dataclasses.dataclass
class Log:
    start: int
    end: int
    records: dict = dataclasses.field(default_factory=dict)  # offset: value
    forgets: bool = False  # records are deleted from its beginning, by age or on demand


def value_of(who, number):
    return f"{who}:{number}"


class History:
    def __init__(self, events, logs, committed):
        self.events = sorted(events, key=lambda event: event["t"])
        self.logs, self.committed = logs, committed
        self.hello = {event["who"]: event for event in self.events if event["e"] == "hello"}
        self.reads = {(event["group"], event["topic"]) for event in self.hello.values() if event.get("group")}

    def of(self, *kinds):
        return (event for event in self.events if event["e"] in kinds)

    def group(self, event):
        return self.hello[event["who"]]["group"]

    def log(self, event):
        """None: the topic was deleted."""
        return self.logs.get((event["topic"], event["partition"]))


def nothing_acknowledged_is_lost(history):
    for event in history.of("acked"):
        log = history.log(event)
        if log is None or event["offset"] < log.start:
            continue
        value = value_of(event["who"], event["id"])
        if log.records.get(event["offset"]) != value:
            yield (f"lost: {value} was acknowledged at {event['topic']}-{event['partition']} offset {event['offset']}, "
                   f"where there is {log.records.get(event['offset'])}")


def offsets_have_no_gaps(history):
    for (topic, partition), log in history.logs.items():
        missing = set(range(log.start, log.end)) - set(log.records)
        if missing or any(not log.start <= offset < log.end for offset in log.records):
            yield f"gap: {topic}-{partition} [{log.start}, {log.end}) lacks {sorted(missing)[:5]}"


def idempotent_producers_have_no_duplicates(history):
    for (topic, partition), log in history.logs.items():
        seen = {}
        for offset, value in sorted(log.records.items()):
            who = value.split(":")[0]
            if value in seen and history.hello[who]["idempotent"]:
                yield f"duplicate: {value} stands at {topic}-{partition} offsets {seen[value]} and {offset}"
            seen.setdefault(value, offset)


def each_producers_order_is_kept(history):
    """By the first time that each message stands there: who is not idempotent may have sent it again."""
    for (topic, partition), log in history.logs.items():
        last, seen = {}, set()
        for offset, value in sorted(log.records.items()):
            who, number = value.split(":")
            if value not in seen and int(number) < last.get(who, -1):
                yield f"order: {value} stands at {topic}-{partition} offset {offset}, behind {who}:{last[who]}"
            seen.add(value)
            last[who] = max(int(number), last.get(who, -1))


def only_what_was_sent_is_there(history):
    sent = {(event["topic"], event["partition"], value_of(event["who"], event["id"])) for event in history.of("send")}
    for (topic, partition), log in history.logs.items():
        for offset, value in log.records.items():
            if (topic, partition, value) not in sent:
                yield f"never sent: {value} stands at {topic}-{partition} offset {offset}"


def all_readers_see_the_same(history):
    first = {}
    for event in history.of("read"):
        place = (event["topic"], event["partition"], event["offset"])
        log = history.log(event)
        there = first.setdefault(place, event["value"])
        if log is not None and event["offset"] >= log.start:
            there = log.records.get(event["offset"])
        if event["value"] != there:
            yield f"{event['who']} read {event['value']} at {place}, where there is {there}"


def readers_skip_nothing(history):
    """While a member holds a partition, it reads one offset after another."""
    at = {}
    for event in history.of("assigned", "revoked", "lost", "read"):
        if event["e"] != "read":
            for topic, partition in event["parts"]:
                at.pop((event["who"], topic, partition), None)
            continue
        place = (event["who"], event["topic"], event["partition"])
        log = history.log(event)
        forgotten = log is None or (log.forgets and event["offset"] <= log.start)
        if place in at and event["offset"] != at[place] + 1 and not (forgotten and event["offset"] > at[place]):
            yield f"skipped: {place} read {event['offset']} after {at[place]}"
        at[place] = event["offset"]


def committed_offsets_never_go_back(history):
    """What was committed before something was asked is the least that it may be."""
    moments = []
    for order, event in enumerate(history.of("committed", "found")):
        moments += [(event["t0"], 0, order, event), (event["t"], 1, order, event)]
    known, least = {}, {}
    for _, done, order, event in sorted(moments, key=lambda moment: moment[:3]):
        for topic, partition, offset in event["offsets"]:
            place = (history.group(event), topic, partition)
            if not done:
                least[order, place] = known.get(place, -1)
                continue
            if offset < least[order, place] and (topic, partition) in history.logs:
                yield (f"went back: {event['who']} {event['e']} {offset} for {place}, where {least[order, place]} "
                       "was committed")
            known[place] = max(offset, known.get(place, -1))


def a_generation_has_one_owner(history):
    owners = {}
    for event in history.of("assigned"):
        if event["generation"] is None:
            continue
        for topic, partition in event["parts"]:
            place = (history.group(event), event["generation"], topic, partition)
            other = owners.setdefault(place, event["who"])
            if other != event["who"]:
                yield f"two owners: {place} is of {other} and of {event['who']}"


def spans(history):
    """When who held what, by its own account: {(group, topic, partition): [(from, to, who, how it ended)]}"""
    held, found = {}, collections.defaultdict(list)

    def end(event, parts):
        for topic, partition in parts:
            begin = held.pop((event["who"], topic, partition), None)
            if begin is not None:
                found[history.group(event), topic, partition].append((begin, event["t"], event["who"], event["e"]))

    for event in history.of("assigned", "revoked", "lost", "ended"):
        if "group" not in history.hello.get(event["who"], {}):
            continue
        if event["e"] == "assigned":
            held.update({(event["who"], *part): event["t"] for part in event["parts"]})
        elif event["e"] == "ended":
            end(event, [place[1:] for place in list(held) if place[0] == event["who"]])
        else:
            end(event, event["parts"])
    for (who, topic, partition), begin in held.items():
        found[history.hello[who]["group"], topic, partition].append((begin, float("inf"), who, "not at all"))
    return found


def nobody_holds_what_another_has_got(history):
    """But who was told that it had lost its partitions: it could not know before."""
    for place, owned in spans(history).items():
        owned.sort()
        for (_, until, who, how), (begin, _, other, _) in zip(owned, owned[1:]):
            if begin < until and how != "lost" and who != other:
                yield f"two owners: {place} was given to {other} before {who} gave it back ({how})"


def groups_have_caught_up(history):
    reads = collections.defaultdict(set)
    for event in history.of("read"):
        reads[history.group(event), event["topic"], event["partition"]].add(event["offset"])
    for group, asked in history.reads:
        for (topic, partition), log in history.logs.items():
            if topic != asked:
                continue
            committed = history.committed.get((group, topic, partition), -1)
            if log.end > log.start and committed != log.end:
                yield f"behind: {group} has committed {committed} of {topic}-{partition}, which ends at {log.end}"
            unread = set(log.records) - reads[group, topic, partition]
            if unread and not log.forgets:
                yield f"unread: nobody of {group} has read {sorted(unread)[:5]} of {topic}-{partition}"


CHECKS = [nothing_acknowledged_is_lost, offsets_have_no_gaps, idempotent_producers_have_no_duplicates,
          each_producers_order_is_kept, only_what_was_sent_is_there, all_readers_see_the_same, readers_skip_nothing,
          committed_offsets_never_go_back, a_generation_has_one_owner, nobody_holds_what_another_has_got,
          groups_have_caught_up]


def check(history):
    """All that is wrong, as sentences: of each kind the first few."""
    wrong = []
    for each in CHECKS:
        found = list(each(history))
        wrong += found[:5] + ([f"... and {len(found) - 5} more of the kind"] if len(found) > 5 else [])
    return wrong
