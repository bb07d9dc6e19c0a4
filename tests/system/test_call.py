"""call [pool, fn, args=[], options={}]: submit, result and release in one round trip."""
import pytest

from helpers import eventually, is_alive, lines, refused, sh
from rpc import ref


def test_call_answers_with_the_value(shared):
    assert shared.call("call", "shell", "echo", ["hi"]) == {"exit": 0, "stdout": b"hi\n", "stderr": b""}


def test_call_answers_with_the_error_of_the_task(shared):
    error = refused("ExitError", shared.call, "call", "shell", *sh("echo out; echo err >&2; exit 3"))
    assert (error["exit"], error["stdout"], error["stderr"]) == (3, b"out\n", b"err\n")


def test_call_defaults_args_and_options(shared):
    assert shared.call("call", "shell", "true")["exit"] == 0
    assert shared.call("call", "shell", "true", None, None)["exit"] == 0


def test_a_slow_call_does_not_block_a_fast_one(daemon, client, gate):
    slow = client.request("call", "shell", *gate.task())
    gate.await_start()
    assert client.call("call", "shell", "echo", ["fast"])["stdout"] == b"fast\n"
    assert not client.is_answered(slow)
    gate.open()
    assert client.answer(slow)["exit"] == 0


def test_a_call_is_released_when_it_is_answered(shared):
    shared.call("call", "shell", "true", [], {"name": "gone"})
    assert shared.call("list", {"name": "gone"}) == []


def test_a_call_may_watch_its_future(daemon, client, gate):
    """The option was accepted and did nothing. What it is for: progress, and the id of what is called."""
    other = daemon.client()
    asked = client.request("call", "one", *gate.task("echo x"), {"watch": True})
    gate.await_start()
    (running,) = other.call("list", {"state": "RUNNING"})
    client.trace = []
    gate.open()
    value = {"exit": 0, "stdout": b"x\n", "stderr": b""}
    assert client.notification("done") == [running["id"], "FINISHED", None, value]
    assert client.trace[0] == [1, asked, None, value] and client.answer(asked) == value, "the answer comes first"
    assert other.call("list") == [], "it is released all the same"


def test_a_call_leaves_nothing_in_failures(shared):
    refused("ExitError", shared.call, "call", "shell", "false", [], {"name": "looked at"})
    assert [m for m in shared.call("failures") if m["name"] == "looked at"] == []


def test_a_call_ends_with_its_connection(daemon, gate):
    with daemon.client() as first:
        first.request("call", "shell", *gate.task())
        pid = gate.await_start()
    eventually(lambda: not is_alive(pid), 10, "the task of a closed caller ends")


def test_a_pending_call_never_runs_after_its_connection_has_closed(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    marker = daemon.path("marker")
    with daemon.client() as first:
        first.request("call", "one", *sh('echo ran >"$1"', marker), {"name": "bound"})
        eventually(lambda: client.call("list", {"name": "bound"}))
    eventually(lambda: not client.call("list", {"name": "bound", "state": "PENDING"}))
    gate.open()
    client.call("call", "one", "true")
    assert lines(marker) == []


@pytest.mark.parametrize("method, params", [("result", []), ("exception", []), ("wait", ["ALL_COMPLETED"])], ids=lambda v: v if isinstance(v, str) else "")
def test_a_call_and_who_waits_for_its_future_end_with_one_connection(daemon, client, method, params):
    # The cancel of the call's future woke the other call of the connection that had just gone, and the daemon died.
    other = daemon.client()
    client.call("pause", "one")
    other.request("call", "one", "true")
    (row,) = eventually(lambda: client.call("list", {"state": "PENDING"}))
    future = [row["id"]] if method == "wait" else row["id"]
    other.request(method, future, *params)
    other.call("ping")
    other.close()
    eventually(lambda: client.call("stats")["connections"] == 1)
    eventually(lambda: client.call("list", {"state": "PENDING"}) == [])
    assert client.call("stats")["futures"]["CANCELLED"] == 0, "and nothing of it is left"


def test_a_call_that_is_not_bound_goes_on_without_its_connection(daemon, client, gate):
    marker = daemon.path("marker")
    with daemon.client() as first:
        first.request("call", "shell", *gate.task('echo ran >%s' % marker), {"bound": False})
        gate.await_start()
    client.call("ping")
    gate.open()
    eventually(lambda: lines(marker) == ["ran"])


def test_a_call_with_a_key_is_not_released(shared):
    shared.call("call", "shell", "echo", ["1"], {"key": "call-key", "name": "keyed"})
    assert [m["state"] for m in shared.call("list", {"name": "keyed"})] == ["FINISHED"]
    assert shared.call("call", "shell", "echo", ["2"], {"key": "call-key"})["stdout"] == b"1\n"


def test_a_call_with_a_key_is_not_bound(daemon, client, gate):
    with daemon.client() as first:
        first.request("call", "shell", *gate.task("echo kept"), {"key": "k"})
        gate.await_start()
    client.call("ping")
    gate.open()
    assert client.call("call", "shell", "false", [], {"key": "k"})["stdout"] == b"kept\n"


def test_a_call_that_is_cancelled_answers_cancelled_error(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    waiting = client.request("call", "one", "true", [], {"name": "victim"})
    other = daemon.client()
    victim = eventually(lambda: other.call("list", {"name": "victim"}))[0]["id"]
    assert other.call("cancel", [victim]) == [True]
    assert refused("CancelledError", client.answer, waiting).get("future") in (None, victim)
    gate.open()


@pytest.mark.parametrize("params", [[], ["shell"], ["shell", 1], [1, "true"], ["shell", "true", "x"],
                                    ["shell", "true", [], 7], ["shell", "true", [], {"nosuch": 1}],
                                    ["shell", "true", [], {}, 1], ["shell", "true", ref(1)]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "call", *params)


def test_an_unknown_pool_is_refused(shared):
    refused("UnknownPoolError", shared.call, "call", "nosuch", "true")
