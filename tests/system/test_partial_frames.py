"""Every request that changes something, cut at every byte, split in two, and dripped: a partial frame has no effect."""
import time

import pytest

import rpc
from helpers import eventually
from rpc import ref, request


def world(client):
    """Futures to aim at, which nothing but a request can change: the pool is paused."""
    client.call("pause", "one")
    done = client.call("submit", "shell", "true")
    client.call("wait", [done])
    pending = client.call("submit", "one", "true", [], {"stdin": True})
    return done, pending


def golden(done, pending):
    """One request of each kind that has an effect."""
    return {
        "submit": ("submit", "one", "true", ["a"], {"name": "n"}),
        "submit from a future": ("submit", "one", "true", [ref(done)]),
        "map": ("map", "one", "true", [["a"], ["b"]]),
        "call": ("call", "one", "true", [], {"deadline": 0}),
        "result with release": ("result", done, None, {"release": True}),
        "exception": ("exception", done, 0),
        "watch": ("watch", [pending], {"result": True}),
        "unwatch": ("unwatch", [pending]),
        "cancel": ("cancel", [pending], {"running": "kill"}),
        "release": ("release", [done]),
        "output": ("output", pending, {"follow": True}),
        "input": ("input", pending, b"x", {"eof": True}),
        "pause": ("pause", "shell"),
        "resume": ("resume", "one"),
        "resize": ("resize", "one", 7),
        "open_pool": ("open_pool", {"like": "one", "workers": 1}),
        "close_pool": ("close_pool", "one"),
        "retry": ("retry", [done]),
        "events": ("events", {}),
        "failures": ("failures", {"seen": True}),
        "drain": ("drain", 0),
        "hello": ("hello", {"protocol": 1, "client": "x"}),
        "shutdown": ("shutdown", {"cancel_futures": True}),
    }


NAMES = sorted(golden(1, 1))


def picture(client):
    pools = [{k: p[k] for k in ("name", "workers", "busy", "pending", "paused")} for p in client.call("pools")]
    return client.call("map", "one", "true", []), [(m["id"], m["state"]) for m in client.call("list")], pools


def test_a_request_cut_at_any_byte_has_no_effect(daemon, client):
    done, pending = world(client)
    idle, before = client.call("stats")["connections"], picture(client)
    slowest = 0
    for name, call in golden(done, pending).items():
        data = request(7, *call)
        for cut in range(1, len(data)):
            sock = rpc.open_socket(daemon.address)
            sock.sendall(data[:cut])
            sock.close()
        begun = time.monotonic()
        client.call("ping")
        slowest = max(slowest, time.monotonic() - begun)
        eventually(lambda: client.call("stats")["connections"] == idle)
        assert picture(client) == before, name
    assert slowest < 2


def test_a_cut_request_that_stays_open_has_no_effect(daemon, client):
    done, pending = world(client)
    before = picture(client)
    open_ones = []
    for call in golden(done, pending).values():
        data = request(7, *call)
        sock = rpc.open_socket(daemon.address)
        sock.sendall(data[:-1])
        open_ones.append(sock)
        client.call("ping")
    assert picture(client) == before
    for sock in open_ones:
        sock.close()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "shutdown"])
def test_a_request_split_in_two_is_answered_once(daemon, client, name):
    """A neighbour's call between the halves makes the daemon look at the first half alone."""
    for cut in _cuts(name):
        with daemon.client() as other:
            data = request(7, *golden(*_aims(client))[name])
            other.expect(7)
            other.send(data[:cut])
            client.call("ping")
            assert not other.is_answered(7)
            other.send(data[cut:])
            _any_answer(other)
            assert other.call("ping", 1) == 1


@pytest.mark.parametrize("name", [n for n in NAMES if n != "shutdown"])
def test_a_request_dripped_byte_by_byte_is_answered_once(daemon, client, name):
    with daemon.client() as other:
        data = request(7, *golden(*_aims(client))[name])
        other.expect(7)
        for n in range(len(data)):
            assert not other.is_answered(7)
            other.send(data[n:n + 1])
            client.call("ping")
        _any_answer(other)
        assert other.call("ping", 1) == 1


def test_many_requests_dripped_in_odd_pieces(daemon, client):
    client.call("pause", "one")
    data = b"".join(request(n, "submit", "one", "echo", ["x" * (n % 50)]) for n in range(1, 301))
    for n in range(1, 301):
        client.expect(n)
    other, at, size = daemon.client(), 0, 1
    while at < len(data):
        client.send(data[at:at + size])
        at, size = at + size, size % 97 + 7
        if at % 5 == 0:
            other.call("ping")
    ids = [client.answer(n) for n in range(1, 301)]
    assert ids == sorted(set(ids))


def test_a_partial_frame_keeps_no_client_waiting(daemon, client):
    """Forty connections in the middle of a frame; the neighbour's calls go on."""
    half = request(1, "submit", "shell", "true", ["x" * 1000])[:500]
    crowd = [rpc.open_socket(daemon.address) for _ in range(40)]
    for sock in crowd:
        sock.sendall(half)
    for n in range(200):
        assert client.call("ping", n) == n
    for sock in crowd:
        sock.close()


def _aims(client):
    """A finished and a pending future; new ones each time, since the request will use them up."""
    client.call("pause", "one")
    done = client.call("submit", "shell", "true")
    client.call("resume", "shell")
    client.call("wait", [done])
    return done, client.call("submit", "one", "true", [], {"stdin": True})


def _cuts(name):
    """First and last bytes, and some in the middle: the exhaustive list is in the test above."""
    size = len(request(7, *golden(1, 1)[name]))
    return sorted({1, 2, 3, 4, size // 3, size // 2, size - 2, size - 1})


def _any_answer(client):
    try:
        client.answer(7)
    except rpc.RpcError:
        pass
    assert client.owed[7] == 0
