"""list [{pool, state, name, tag, limit, after}]: future maps, by id, never more than 10,000."""
import pytest

from helpers import refused, sh
from rpc import ref


def ids(client, *options):
    return [m["id"] for m in client.call("list", *options)]


def test_list_shows_all_futures_in_order_of_id(daemon, client):
    first, count = client.call("map", "shell", "true", [[]] * 5)
    assert ids(client) == list(range(first, first + count))
    assert ids(client, {}) == ids(client, None) == ids(client)


def test_list_of_nothing_is_empty(client):
    assert client.call("list") == []


def test_list_by_pool(daemon, client):
    a = client.call("submit", "shell", "true")
    b = client.call("submit", "one", "true")
    assert ids(client, {"pool": "shell"}) == [a]
    assert ids(client, {"pool": "one"}) == [b]


def test_list_by_an_unknown_pool_finds_nothing(client):
    assert client.call("list", {"pool": "nosuch"}) == []


def test_a_limit_of_zero_is_none(daemon, client):
    client.call("submit", "shell", "true")
    assert client.call("list", {"limit": 0}) == []


def test_list_by_state(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    cancelled = client.call("submit", "one", "true")
    client.call("cancel", [cancelled])
    finished = client.call("submit", "shell", "true")
    client.call("wait", [finished])
    assert ids(client, {"state": "RUNNING"}) == [running]
    assert ids(client, {"state": "PENDING"}) == [pending]
    assert ids(client, {"state": "CANCELLED"}) == [cancelled]
    assert ids(client, {"state": "FINISHED"}) == [finished]
    gate.open()


def test_list_by_name(daemon, client):
    a = client.call("submit", "shell", "true", [], {"name": "a"})
    client.call("submit", "shell", "true", [], {"name": "ab"})
    client.call("submit", "shell", "true")
    assert ids(client, {"name": "a"}) == [a]


def test_list_by_tag(daemon, client):
    a = client.call("submit", "shell", "true", [], {"tags": ["x", "y"]})
    b = client.call("submit", "shell", "true", [], {"tags": ["y"]})
    client.call("submit", "shell", "true", [], {"tags": []})
    assert ids(client, {"tag": "x"}) == [a]
    assert ids(client, {"tag": "y"}) == [a, b]
    assert ids(client, {"tag": "z"}) == []


def test_filters_hold_together(daemon, client):
    client.call("submit", "shell", "true", [], {"name": "n"})
    b = client.call("submit", "one", "true", [], {"name": "n", "tags": ["t"]})
    client.call("submit", "one", "true", [], {"name": "n"})
    assert ids(client, {"pool": "one", "name": "n", "tag": "t"}) == [b]


def test_limit_and_after_walk_the_list(daemon, client):
    first, count = client.call("map", "shell", "true", [[]] * 10)
    assert ids(client, {"limit": 3}) == [first, first + 1, first + 2]
    assert ids(client, {"limit": 3, "after": first + 2}) == [first + 3, first + 4, first + 5]
    assert ids(client, {"after": first + count - 1}) == []
    assert ids(client, {"after": 2**53 - 1}) == []
    assert ids(client, {"after": 0, "limit": 100}) == list(range(first, first + count))


def test_limit_counts_matches_not_futures(daemon, client):
    client.call("map", "shell", "true", [[]] * 5)
    first, _ = client.call("map", "one", "true", [[]] * 5)
    assert ids(client, {"pool": "one", "limit": 2}) == [first, first + 1]


def test_never_more_than_ten_thousand(daemon, client):
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 10050)
    assert ids(client, {}) == list(range(first, first + 10000))
    assert len(ids(client, {"limit": 10000})) == len(ids(client, {"limit": 10**9})) == 10000
    assert ids(client, {"after": first + 9999}) == list(range(first + 10000, first + count))


def test_a_future_map_says_what_it_is(daemon, client):
    future = client.call("submit", "shell", *sh("exit 0"), {"name": "n", "tags": ["t"]})
    client.call("wait", [future])
    (entry,) = client.call("list")
    assert (entry["id"], entry["pool"], entry["fn"], entry["name"], entry["state"]) == (future, "shell", "/bin/sh", "n", "FINISHED")


@pytest.mark.parametrize("options", [
    7, "x", [], {"nosuch": 1}, {"pool": 1}, {"pool": b"shell"}, {"state": "DONE"}, {"state": 1}, {"name": 1}, {"name": []}, {"name": "a\0b"}, {"pool": "shell\0"}, {"tag": "a\0b"},
    {"tag": 1}, {"tag": ["x"]}, {"limit": "1"}, {"limit": -1}, {"limit": 1.5}, {"limit": True}, {"after": "1"}, {"after": -1},
    {"after": 1.5}, {"after": True}, {"after": ref(1)}], ids=repr)
def test_wrong_options_are_a_value_error(shared, options):
    refused("ValueError", shared.call, "list", options)


def test_too_many_parameters_are_a_value_error(shared):
    refused("ValueError", shared.call, "list", {}, 1)
