"""failures [{"seen": bool=false}]: futures whose error nobody has looked at yet."""
import pytest

from helpers import eventually, refused, sh
from kinds import PROCESS
from rpc import request


def ids(client, *options):
    return [m["id"] for m in client.call("failures", *options)]


def failed(client, count=1):
    first, _ = client.call("map", "shell", "false", [[]] * count)
    client.call("wait", [[first, count]])
    return list(range(first, first + count))


def test_failures_lists_failed_futures_nobody_has_looked_at(daemon, client):
    bad = failed(client, 2)
    client.call("result", client.call("submit", "shell", "true"))
    assert ids(client) == bad
    assert ids(client, {"seen": False}) == bad


def test_there_are_none_at_first(client):
    assert client.call("failures") == []


@pytest.mark.parametrize("look", ["result", "exception"])
def test_looking_takes_one_off(daemon, client, look):
    one, two = failed(client, 2)
    try:
        client.call(look, one)
    except Exception as error:
        assert error.type == "ExitError"
    assert ids(client) == [two]


def test_what_does_not_look_keeps_them(daemon, client):
    bad = failed(client)
    client.call("wait", bad), client.call("state", bad), client.call("show", bad[0]), client.call("list"), client.call("watch", bad)
    assert ids(client) == bad


def test_a_result_that_ran_out_of_time_has_not_looked(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("exit 1"))
    refused("TimeoutError", client.call, "result", future, 0)
    gate.open()
    client.call("wait", [future])
    assert ids(client) == [future]


def test_seen_marks_what_it_returns(daemon, client):
    bad = failed(client, 3)
    assert ids(client, {"seen": True}) == bad
    assert ids(client) == [] and ids(client, {"seen": True}) == []
    assert client.call("state", bad) == ["FINISHED"] * 3


def test_a_later_failure_is_listed_after_seen(daemon, client):
    failed(client)
    client.call("failures", {"seen": True})
    bad = failed(client)
    assert ids(client) == bad


def test_a_waiter_that_disconnected_has_not_looked(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("exit 1"))
    with daemon.client() as other:
        other.request("result", future)
        other.call("ping")
    client.call("ping")
    gate.open()
    client.call("wait", [future])
    assert ids(client) == [future]


def test_what_was_to_be_returned_to_one_that_disconnected_is_not_marked(launch):
    """An answer of several turns: what the first of them had found was lost."""
    daemon = launch({"pools": {"cpu": {**PROCESS, "workers": 2}}})
    client, other, count = daemon.client(), daemon.client(), 5000
    run = client.call("map", "cpu", "fail", [[]] * count)
    assert client.call("wait", [run], timeout=30)["not_done"] == []
    other.send(request(1, "failures", {"seen": True}))
    other.close()
    eventually(lambda: client.call("stats")["connections"] == 1)
    assert len(client.call("failures", {"seen": True})) == count
    assert client.call("failures") == []


def test_a_dependency_error_is_a_failure_too(daemon, client):
    bad = client.call("submit", "shell", "false")
    behind = client.call("submit", "shell", "true", [], {"after": [bad]})
    client.call("wait", [behind])
    assert ids(client) == [bad, behind]


def test_an_entry_says_what_failed(daemon, client):
    future = client.call("submit", "shell", *sh("exit 1"), {"name": "n"})
    client.call("wait", [future])
    (entry,) = client.call("failures")
    assert (entry["id"], entry["name"], entry["pool"], entry["state"]) == (future, "n", "shell", "FINISHED")
    assert (entry["error"]["type"], entry["error"]["exit"], entry["error"]["future"]) == ("ExitError", 1, future)


@pytest.mark.config(retain="50ms", log={"level": "info"})
def test_an_error_nobody_looked_at_is_logged_when_it_expires(daemon, client):
    from helpers import eventually
    client.call("submit", "shell", "false")
    eventually(lambda: client.call("list") == [] or None)
    eventually(lambda: any("expired" in line for line in daemon.log().splitlines()))


@pytest.mark.parametrize("params", [[7], ["x"], [[]], [{"seen": 1}], [{"seen": "yes"}], [{"nosuch": True}], [{}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "failures", *params)
