"""The runtime `python` as a host of the worker contract: what comes that Python cannot take, and slots that come and go."""
import os

import msgpack
import pytest

from helpers import HERE, eventually, refused
from kinds import shown

PYTHON = {"kind": "process", "runtime": "python", "workers": 1}
THREADS = {**PYTHON, "kind": "thread"}
CONFIG = {"pools": {"process": PYTHON, "thread": THREADS}}
each = pytest.mark.parametrize("pool", ["process", "thread"])

RAW = {"an array as a key": b"\x81\x91\x01\x02", "a map as a key": b"\x81\x80\x02", "a time of another length": b"\xc7\x03\xffabc",
       "a time with too many nanoseconds": b"\xd7\xff" + b"\xff" * 8}


def submit(client, msgid, pool, fn, raw, behind=b""):
    """One whose only argument comes as bytes; with `behind` a second argument of that many bytes."""
    client.expect(msgid)
    args = b"\x92" + raw + msgpack.packb(behind) if behind else b"\x91" + raw
    client.send(b"\x94\x00" + msgpack.packb(msgid) + msgpack.packb("submit") + b"\x93" + msgpack.packb(pool) + msgpack.packb(fn) + args)
    return client.answer(msgid)


@each
@pytest.mark.parametrize("behind", [0, 300000])
def test_arguments_that_no_python_object_can_be_are_an_error_of_their_task(daemon, client, pool, behind):
    """They ended the thread that read them, and its host; the next one got them, and so on for ever."""
    client.call("call", pool, "len", ["warm"])
    client.call("pause", pool)
    before = client.call("map", pool, "len", [["x" * n] for n in range(5)])
    wrong = [submit(client, 1000 + n, pool, "len", raw, b"x" * behind) for n, raw in enumerate(RAW.values())]
    after = client.call("map", pool, "len", [["x" * n] for n in range(50)])
    client.call("resume", pool)
    assert [client.call("result", before[0] + n) for n in range(5)] == list(range(5))
    for future in wrong:
        assert "cannot be decoded" in refused("ValueError", client.call, "result", future)["message"]
    assert [client.call("result", after[0] + n) for n in range(50)] == list(range(50))
    assert "died" not in daemon.log()


ODD = """
started = 0

def start():
    global started
    started += 1
    if started == 2:
        raise RuntimeError("not the second time")
"""


def test_a_slot_that_comes_later_and_cannot_be_initialized_costs_the_host(launch, tmp_path):
    """It was there and served by nobody: what was sent to it waited for ever once the pool had healed."""
    (tmp_path / "odd.py").write_text(ODD)
    path = "%s:%s" % (tmp_path, os.path.join(HERE, "..", "..", "client", "python"))
    daemon = launch({"pools": {"odd": {**THREADS, "initializer": "odd.start", "env": {"PYTHONPATH": path}}}})
    client = daemon.client()
    assert client.call("call", "odd", "abs", [-1]) == 1
    running = client.call("submit", "odd", "time.sleep", [1000])
    eventually(lambda: client.call("state", [running]) == ["RUNNING"])
    client.call("resize", "odd", 2)
    waiting = client.call("submit", "odd", "abs", [-2])
    assert "not the second time" in refused("BrokenPoolError", client.call, "result", waiting)["message"]
    refused("WorkerLostError", client.call, "result", running)
    client.call("resize", "odd", 1)
    eventually(lambda: shown(client, "odd")["broken"] is None, 10, "the pool heals")
    assert [client.call("call", "odd", "abs", [-n]) for n in range(20)] == list(range(20))


def test_slots_that_go_are_closed(daemon, client):
    """They left a descriptor here and there, and a host has 1,024 places: a pool that lent a worker as often as that needed another host."""
    def descriptors():
        return len(os.listdir("/proc/%d/fd" % daemon.pid))
    client.call("call", "thread", "abs", [1])
    before = descriptors()
    for _ in range(20):
        client.call("resize", "thread", 3)
        ids = client.call("map", "thread", "time.sleep", [[0.01]] * 6)
        client.call("wait", [ids])
        client.call("resize", "thread", 1)
        eventually(lambda: shown(client, "thread")["alive"] == 1)
    eventually(lambda: descriptors() <= before + 8, 5, "they are closed")
    assert client.call("call", "thread", "abs", [-3]) == 3
