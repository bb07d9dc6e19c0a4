"""What one request may cost in one turn of the loop: a million futures are walked in slices, and a neighbour gets its turn."""
import time

import pytest

import rpc
from helpers import eventually, refused

TURN_FUTURES = 20000
TURN_BYTES = 4 << 20


def bounded(client):
    stats = client.call("stats")
    assert stats["turn_futures_max"] <= TURN_FUTURES, stats
    assert stats["turn_bytes_max"] <= TURN_BYTES, stats
    return stats


def with_neighbour(daemon, client, timeout, method, *params):
    """The result of a large call, and the longest that a neighbour waited for a ping meanwhile."""
    other, slowest = daemon.client(), 0
    msgid = client.request(method, *params)
    until = time.monotonic() + timeout
    while not client.is_answered(msgid):
        begun = time.monotonic()
        other.call("ping")
        slowest = max(slowest, time.monotonic() - begun)
        assert time.monotonic() < until, method
    other.close()
    return client.answer(msgid), slowest


def large(daemon, client, count, timeout):
    client.call("pause", "shell")
    client.patience = timeout

    def ask(method, *params):
        result, slowest = with_neighbour(daemon, client, timeout, method, *params)
        assert slowest < 5, "a neighbour waited %.1f s during %s" % (slowest, method)
        bounded(client)
        return result
    first, got = ask("map", "shell", "true", [[]] * count)
    assert got == count
    run = [[first, count]]
    assert ask("state", run) == ["PENDING"] * count
    answer = ask("wait", run, "ALL_COMPLETED", 0)
    assert answer["done"] == [] and answer["not_done"] == list(range(first, first + count))
    assert ask("watch", run) == {"done": []}
    assert ask("unwatch", run) is None
    assert len(ask("list", {"limit": 10000})) == 10000
    waiting = client.request("wait", run)
    cancelled = ask("cancel", run)
    assert cancelled == [True] * count
    assert len(client.answer(waiting)["done"]) == count
    assert ask("release", run) == count
    assert client.call("list") == []


def test_a_hundred_thousand_futures(daemon, client):
    large(daemon, client, 100000, 20)


@pytest.mark.long
def test_a_million_futures(daemon, client):
    large(daemon, client, 1000000, 120)


@pytest.mark.long
def test_memory_comes_back_after_a_million_futures(daemon, client):
    client.patience = 120
    client.call("pause", "shell")
    sizes = []
    for _ in range(3):
        run = client.call("map", "shell", "true", [[]] * 1000000)
        client.call("cancel", [run])
        client.call("release", [run])
        sizes.append(daemon.rss())
    assert sizes[2] - sizes[1] < 16 << 20


def test_fifty_watchers_that_never_read_a_small_map(daemon, client):
    never_read(daemon, client, 5000, 64 << 20)


@pytest.mark.long
def test_fifty_watchers_that_never_read_a_hundred_thousand_completions(daemon, client):
    client.patience = 120
    never_read(daemon, client, 100000, 256 << 20)


def never_read(daemon, client, count, most):
    client.call("pause", "shell")
    first, _ = client.call("map", "shell", "true", [[]] * count)
    watchers = [daemon.client(patience=60) for _ in range(50)]
    for w in watchers:
        w.call("watch", [[first, count]], {"result": True})
    before = daemon.rss()
    assert client.call("cancel", [[first, count]]) == [True] * count
    assert client.call("ping", 1) == 1
    assert daemon.rss() - before < most
    bounded(client)
    assert client.call("state", [[first, count]]) == ["CANCELLED"] * count
    # One of them reads after all: however slowly one reads, none is lost.
    for n in range(count):
        assert watchers[7].notification("done")[:2] == [first + n, "CANCELLED"]
    for w in watchers:
        w.close()
    eventually(lambda: client.call("stats")["connections"] == 1, 20)


@pytest.mark.config(limits={"queue": 50000})
def test_a_full_queue_of_fifty_thousand_is_refused_whole(daemon, client):
    client.call("pause", "shell")
    refused("QueueFullError", client.call, "map", "shell", "true", [[]] * 50001)
    first, count = client.call("map", "shell", "true", [[]] * 50000)
    refused("QueueFullError", client.call, "submit", "shell", "true")
    client.call("cancel", [[first, count]])
    assert client.call("submit", "shell", "true") == first + count


def test_a_bound_map_of_fifty_thousand_goes_with_its_connection(daemon, client):
    client.call("pause", "shell")
    with daemon.client() as other:
        run = other.call("map", "shell", "true", [[]] * 50000, {"bound": True})
    begun = time.monotonic()
    eventually(lambda: client.call("state", [[run[0] + 49999, 1]]) == ["CANCELLED"], 10)
    eventually(lambda: set(client.call("state", [run])) == {"CANCELLED"}, 10)
    assert time.monotonic() - begun < 10
    bounded(client)


def test_fifty_thousand_behind_one(daemon, client, gate):
    """A head that fails takes its dependents with it, in slices."""
    head = client.call("submit", "one", *gate.task("exit 1"))
    first, count = client.call("map", "shell", "true", [[]] * 50000, {"after": [head]})
    gate.await_start()
    gate.open()
    assert len(client.call("wait", [[first, count]])["done"]) == count
    bounded(client)
    assert refused("DependencyError", client.call, "result", first + count - 1)["cause"]["future"] == head


def test_fifty_thousand_that_expire_at_once(daemon, client):
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 50000, {"retain": 0.1})
    client.call("cancel", [[first, count]])
    eventually(lambda: client.call("list", {"limit": 1}) == [], 10)
    bounded(client)


def test_fifty_thousand_deadlines_that_pass_at_once(daemon, client):
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 50000, {"deadline": 0.3})
    assert len(client.call("wait", [[first, count]])["done"]) == count
    bounded(client)


def test_short_tasks_flow(daemon, client):
    """Not a benchmark: two hundred commands in a row take seconds at most."""
    begun = time.monotonic()
    first, count = client.call("map", "shell", "true", [[]] * 200)
    client.call("wait", [[first, count]])
    assert time.monotonic() - begun < 10
