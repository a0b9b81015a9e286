#!/usr/bin/python3
"""Do the floors and drivers work? Each once, with a little load: seconds, for every build. Prints TAP.

    bench/smoke.py BUILD_DIRECTORY
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import drivers, kafka_client, kafka_servers  # noqa: E402
from lib.kafka_load import KIB, TOPIC, fetch, floor_fetch, floor_produce, hot, produce, run, small_produce  # noqa: E402
from lib.proc import BenchError, Running, free_port, raise_descriptor_limit  # noqa: E402
from lib.scratch import Scratch  # noqa: E402

BATCH, RECORD, REQUESTS, CONNECTIONS = 64 * KIB, KIB, 10, 2


def expect(found, what):
    if not found:
        raise BenchError(what)


def expect_failure(text, function, *arguments, **settings):
    try:
        function(*arguments, **settings)
    except BenchError as error:
        expect(text in str(error), f"failed otherwise: {error}")
    else:
        raise BenchError("it should have failed")


def eventually(measure):
    """What `measure` gives for some milliseconds, once there is any: the machine may be busy."""
    for milliseconds in (50, 500, 5000, 20000):
        found = measure(milliseconds)
        if found > 0:
            return
    raise BenchError("nothing at all within 20 s")


def expect_produced(result):
    expect(result["requests"] == REQUESTS * CONNECTIONS, result)
    expect(result["bytes"] == REQUESTS * CONNECTIONS * result["batch_bytes"], result)
    expect(BATCH - 2 * RECORD < result["batch_bytes"] <= BATCH, result)


@contextlib.contextmanager
def broker(options, scratch):
    with contextlib.ExitStack() as stack:
        running = kafka_servers.Place(kafka_servers.leat(options.build), scratch).start(stack)
        running.create_topic(TOPIC)
        yield running


def load(options, server):
    return produce(options, server.port, TOPIC, REQUESTS, BATCH, RECORD, CONNECTIONS)


# ---- what is tested ----


def produce_to_leat_and_fetch(options, scratch):
    with broker(options, scratch) as leat:
        expect_produced(load(options, leat))
        segment = leat.segments(TOPIC)[0]
        once = fetch(options, leat.port, TOPIC, 20000, BATCH, RECORD, 2, once=True)
        expect(once["bytes"] == 2 * os.path.getsize(segment), once)
        with floor_fetch(options, scratch, "floor", segment, BATCH, RECORD) as floor:
            same = fetch(options, floor.port, TOPIC, 20000, BATCH, RECORD, 2, once=True)
            expect(same["bytes"] == once["bytes"] and same["answers"] == once["answers"], (same, once))
            eventually(lambda ms: fetch(options, floor.port, TOPIC, ms, BATCH, RECORD, 2)["bytes"])
        expect_failure("other batches", fetch, options, leat.port, TOPIC, 100, BATCH, RECORD + 1)


def produce_to_several_partitions(options, scratch):
    with broker(options, scratch) as leat:
        leat.create_topic("several", 5)
        produce(options, leat.port, "several", 10, BATCH, RECORD, 2, 5)
        ends = kafka_client.end_offsets(leat.port, "several", 5)
        expect(len(set(ends)) == 1 and ends[0] > 0, ends)
        leat.delete_topic("several")


def produce_to_nowhere(options, scratch):
    with broker(options, scratch) as leat:
        expect_failure("UNKNOWN_TOPIC_OR_PARTITION", produce, options, leat.port, TOPIC, 2, BATCH, RECORD, 1, 2)
        expect_failure("UNKNOWN_TOPIC_OR_PARTITION", hot, options, leat.port, small_produce("nowhere"), 1, 0, 100)


def floors_of_producing(options, scratch):
    for mode in ("write", "sync"):
        path = scratch.new_path("file")
        with floor_produce(options, scratch, mode, mode, path, BATCH, RECORD) as floor:
            result = load(options, floor)
            expect_produced(result)
            expect(os.path.getsize(path) == result["bytes"], "not everything was written")
            # Another size is no other request of the same kind.
            expect_failure("closed", produce, options, floor.port, TOPIC, 1, BATCH // 2, RECORD)
    with floor_produce(options, scratch, "echo", "echo", scratch.new_path("file")) as floor:
        expect(hot(options, floor.port, small_produce(), 2, 0, 100)["requests"] >= 2, "no echo")


def small_requests(options, scratch):
    with broker(options, scratch) as leat:
        expect(hot(options, leat.port, "kafka", 3, 100, 200)["requests"] == 20, "not as many as the rate says")
        before = kafka_client.end_offsets(leat.port, TOPIC)[0]
        result = hot(options, leat.port, small_produce(), 2, 0, 100)
        expect(result["wall_ns"] >= 100e6 and result["p50_us"] <= result["p99_us"] <= result["max_us"], result)
        # And one of each connection that is not counted.
        expect(kafka_client.end_offsets(leat.port, TOPIC)[0] - before == result["requests"] + 2, result)


def client(options, scratch):
    if not os.path.exists(os.path.join(options.build, "bench", "client-produce")):
        return "librdkafka was not there when it was built"
    with broker(options, scratch) as leat:
        expect(run(options, "client-produce", leat.port, TOPIC, 100, 1000)["records"] == 1000, "not all were produced")
        expect(kafka_client.end_offsets(leat.port, TOPIC) == [1000], "not all are there")
    return None


def start_and_idle(options, scratch):
    place = kafka_servers.Place(kafka_servers.leat(options.build), scratch)
    output = drivers.run([drivers.path(options.build, "start-cost"), str(place.port), "kafka", *place.command()])
    expect(json.loads(output)["start_ns"] > 0 and json.loads(output)["status"] == 0, output)
    with contextlib.ExitStack() as stack:
        leat = place.start(stack)
        idle(options, leat.port, "kafka")


def idle(options, port, question):
    with subprocess.Popen([drivers.path(options.build, "idle"), str(port), question, "20"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        expect(json.loads(process.stdout.readline())["connections"] == 20, "not as many connections")
        process.stdin.close()
        expect(process.wait(30) == 0, "idle failed")


def http(options, scratch):
    path = scratch.file(KIB)
    for mode in ("send", "sendfile"):
        port = free_port()
        command = [drivers.path(options.build, "floor-http"), mode, str(port), path]
        with Running(mode, command, port, scratch.new_path("log")):
            expect(hot(options, port, "/x", 2, 100, 200)["requests"] == 20, "not as many as the rate says")
            expect(hot(options, port, "/x", 2, 0, 50)["requests"] >= 2, "no answers")
            command = [drivers.path(options.build, "drain"), str(port), "/x", "2"]
            eventually(lambda ms, command=command: json.loads(drivers.run([*command, str(ms)]))["responses"])
            idle(options, port, "/x")
            expect_failure("neither", hot, options, port, "x", 1, 0, 50)


TESTS = (produce_to_leat_and_fetch, produce_to_several_partitions, produce_to_nowhere, floors_of_producing,
         small_requests, client, start_and_idle, http)


def attempt(test, options):
    """(passed, reason for a skip)"""
    scratch = Scratch()
    try:
        return True, test(options, scratch)
    except Exception:  # whatever it is, the others run
        traceback.print_exc()
        return False, None
    finally:
        scratch.remove()


def main():
    options = argparse.Namespace(build=os.path.abspath(sys.argv[1]), quick=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    raise_descriptor_limit()
    print(f"1..{len(TESTS)}")
    failed = 0
    for number, test in enumerate(TESTS, 1):
        passed, skipped = attempt(test, options)
        if skipped:
            print(f"# skip: {skipped}")
        print(f"{'ok' if passed else 'not ok'} {number} - {test.__name__}", flush=True)
        failed += not passed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
