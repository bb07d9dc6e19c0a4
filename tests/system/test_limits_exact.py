"""Each bound of the protocol and of the configuration: one below it and at it all is well, one above it is the named error, and the connection,
the daemon and its other clients go on. (limits.user: test_quota.py.)"""
import pytest

import rpc
from helpers import Closed, refused
from people import ANN, BOB, connect, launch_shared, needs_root

CONFIG = {
    "limits": {"message": "4MiB", "requests": 12},
    "client_pools": {"workers": 4, "max": 6},
    "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1}, "tiny": {"kind": "command", "workers": 1, "queue": 5},
              "wide": {"kind": "command", "workers": 1}},
}
MESSAGE = 4 * 1024 * 1024


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture(scope="module")
def held(shared_daemon):
    """A client of a daemon whose pools hold what they get, and the first of 10,001 futures."""
    client = shared_daemon.client()
    for pool in ("one", "tiny"):
        client.call("pause", pool)
    first, _ = client.call("map", "one", "true", [[]] * 10001)
    return first


def submit(client, **options):
    id = client.call("submit", "one", "true", [], options)
    client.call("cancel", [id])
    client.call("release", [id])


# What is done n times, or with n; the bound; the error above it; whether its message says the bound.
BOUNDS = {
    "a name": (lambda c, n: submit(c, name="x" * n), 1024, "ValueError"),
    "a key": (lambda c, n: submit(c, key="x" * n), 1024, "ValueError"),
    "a tag": (lambda c, n: submit(c, tags=["x" * n]), 1024, "ValueError"),
    "tags": (lambda c, n: submit(c, tags=["x"] * n), 64, "ValueError"),
    "priority": (lambda c, n: submit(c, priority=n), 32767, "ValueError"),
    "retries": (lambda c, n: submit(c, retries=n), 10000, "ValueError"),
    "delay": (lambda c, n: submit(c, delay=n), 10**9, "ValueError"),
    "timeout": (lambda c, n: submit(c, timeout=n), 10**9, "ValueError"),
    "retain": (lambda c, n: submit(c, retain=n), 10**9, "ValueError"),
    "nice": (lambda c, n: submit(c, nice=n), 19, "ValueError"),
    "umask": (lambda c, n: submit(c, umask=n), 0o777, "ValueError"),
    "a cwd": (lambda c, n: submit(c, cwd="/" * n), 4096, "ValueError"),
    "fn": (lambda c, n: c.call("release", [c.call("submit", "one", "/" * n)]), 1024 * 1024, "ValueError"),
    "workers of a pool": (lambda c, n: c.call("resize", "wide", n), 1024, "ValueError"),
    "workers of an opened pool": (lambda c, n: c.call("close_pool", c.call("open_pool", {"like": "shell", "workers": n})), 4, "LimitError"),
}


@pytest.mark.parametrize("what", BOUNDS)
def test_a_value_at_its_bound(shared, held, what):
    act, bound, error = BOUNDS[what]
    for n in (bound - 1, bound):
        act(shared, n)
    message = refused(error, act, shared, bound + 1)["message"]
    if what not in ("a cwd", "fn", "delay", "timeout", "retain", "umask"):  # which say it in other words
        assert str(bound) in message
    act(shared, bound)


def test_ids_of_after(shared, held):
    for n in (9999, 10000):
        submit(shared, after=[[held, n]])
    assert "10000" in refused("ValueError", submit, shared, after=[[held, 10001]])["message"]


def test_ids_of_one_call(shared, held):
    for n in (999_999, 1_000_000):
        refused(("UnknownFutureError", "ExpiredFutureError"), shared.call, "state", [[held, n]])
    assert "1000000" in refused("ValueError", shared.call, "state", [[held, 1_000_001]])["message"]


def test_futures_of_one_answer(shared, held):
    assert [len(shared.call("list", {"limit": n})) for n in (9_999, 10_000, 10_001)] == [9_999, 10_000, 10_000]


def frame(size):
    """A ping of so many bytes."""
    head = len(rpc.request(1, "ping", b"x" * 70000)) - 70000
    made = rpc.request(1, "ping", b"x" * (size - head))
    assert len(made) == size
    return made


def test_a_message(shared_daemon):
    client = shared_daemon.client()
    for size in (MESSAGE - 1, MESSAGE):
        client.expect(1)
        client.send(frame(size))
        client.answer(1)
    try:
        client.send(frame(MESSAGE + 1))
    except Closed:
        pass
    client.await_protocol_error()
    assert shared_daemon.client().call("ping", 1) == 1


@pytest.mark.parametrize("depth, good", [(29, True), (30, True), (31, False)])
def test_nesting_of_a_frame(shared_daemon, depth, good):
    """The frame's array is level 1, params are level 2."""
    client = shared_daemon.client()
    if good:
        assert client.call("ping", nested(depth)) == nested(depth)
    else:
        client.request("ping", nested(depth))
        client.await_protocol_error()


@pytest.mark.parametrize("depth, good", [(23, True), (24, True), (25, False)])
def test_nesting_of_a_value(launch, depth, good):
    client = launch({"pools": {"lua": {"kind": "interpreter", "workers": 1}}}).client()
    if good:
        assert client.call("call", "lua", "eval", ["1", nested(depth)]) == 1
    else:
        refused("ValueError", client.call, "call", "lua", "eval", ["1", nested(depth)])


def test_pending_futures_of_a_pool(shared, held):
    ids = [shared.call("submit", "tiny", "true") for _ in range(5)]
    message = refused("QueueFullError", shared.call, "submit", "tiny", "true")["message"]
    assert "tiny" in message and "5" in message
    shared.call("cancel", ids[:1])
    ids.append(shared.call("submit", "tiny", "true"))
    refused("QueueFullError", shared.call, "map", "tiny", "true", [[]])
    shared.call("cancel", ids)


def test_unfinished_calls(shared_daemon, shared, held):
    asked = [shared.request("result", held) for _ in range(12)]
    assert "12" in refused("LimitError", shared.call, "result", held)["message"]
    assert shared.call("ping", 1) == 1
    shared_daemon.client().call("cancel", [held])
    for m in asked:
        refused("CancelledError", shared.answer, m)
    refused("CancelledError", shared.call, "result", held)


def test_opened_pools(shared, held):
    opened = [shared.call("open_pool", {"like": "shell", "workers": 1}) for _ in range(6)]
    assert "6" in refused("LimitError", shared.call, "open_pool", {"like": "shell", "workers": 1})["message"]
    shared.call("close_pool", opened.pop())
    opened.append(shared.call("open_pool", {"like": "shell", "workers": 1}))
    for name in opened:
        shared.call("close_pool", name)


@needs_root
def test_one_user_opens_half_of_the_pools(launch):
    daemon = launch_shared(launch, CONFIG)
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    opened = [ann.call("open_pool", {"like": "shell", "workers": 1}) for _ in range(3)]
    message = refused("LimitError", ann.call, "open_pool", {"like": "shell", "workers": 1})["message"]
    assert "uid:%d" % ANN in message and "3" in message and "6" in message
    bob.call("open_pool", {"like": "shell", "workers": 1})
    for _ in range(2):
        root.call("open_pool", {"like": "shell", "workers": 1})
    refused("LimitError", bob.call, "open_pool", {"like": "shell", "workers": 1})
    ann.call("close_pool", opened[0])
    assert ann.call("open_pool", {"like": "shell", "workers": 1})
