"""The runtime `python` as a host of the worker contract: what comes that Python cannot take."""
import msgpack
import pytest

from helpers import refused

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
