#!/usr/bin/python3
"""No-op tasks a second, through a daemon, from one client: a map of a million, and calls that are pipelined.

    bench/noop.py [COUNT]        (`make` first; FUTURED_BUILD names another build)

Frames are encoded before the clock starts and answers are counted by their bytes, so that the client costs next to nothing. Beside the
rate: the processor time of the daemon and its hosts for one task."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "system"))
import conftest  # noqa: E402
import helpers  # noqa: E402
import kinds  # noqa: E402
import rpc  # noqa: E402

POOLS = {"cpu": {**kinds.PROCESS, "workers": 2}, "io": {**kinds.THREAD, "workers": 2}, "lua": {**kinds.LUA, "workers": 2}}


def processor_time(daemon):
    hosts = sum(helpers.cpu_seconds(pid) for pid in helpers.descendants(daemon.pid))
    return helpers.cpu_seconds(daemon.pid), hosts


def mapped(client, pool, count):
    frame = rpc.request(1, "map", pool, "noop", [[]] * count)
    client.next_msgid = 2
    client.expect(1)
    begin = time.monotonic()
    client.send(frame)
    run = client.answer(1)
    client.call("wait", [run], timeout=120)
    seconds = time.monotonic() - begin
    client.call("release", [run], timeout=60)
    return seconds


def called(client, pool, count):
    frames = rpc.request(7, "call", pool, "noop", []) * count
    want = len(rpc.pack([1, 7, None, None])) * count
    client.socket.setblocking(True)
    begin = time.monotonic()
    sender = threading.Thread(target=client.socket.sendall, args=[frames])
    sender.start()
    while want > 0:
        got = client.socket.recv(1 << 20)
        assert got, "the daemon closed the connection"
        want -= len(got)
    seconds = time.monotonic() - begin
    sender.join()
    client.socket.setblocking(False)
    return seconds


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
    daemon = conftest.FLEET.launch({"pools": POOLS, "limits": {"requests": 1000000, "queue": 2000000}})
    print("%d processors, %d tasks" % (os.cpu_count(), count))
    try:
        for pool in POOLS:
            for how in mapped, called:
                client = daemon.client()
                client.call("call", pool, "noop")
                before = processor_time(daemon)
                seconds = how(client, pool, count)
                spent = [b - a for a, b in zip(before, processor_time(daemon))]
                print("%-4s %-7s %9.0f tasks/s   %.2f µs of daemon, %.2f µs of hosts a task" % (
                    pool, how.__name__, count / seconds, spent[0] * 1e6 / count, spent[1] * 1e6 / count), flush=True)
                client.close()
    finally:
        daemon.expected_status = None
        daemon.finish()
        daemon.remove()


main()
