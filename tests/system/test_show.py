"""show [id]: everything about one future; and, while it is pending, why."""
import time

import pytest

from helpers import eventually, is_alive, refused, sh
from rpc import ref


def why(client, future):
    shown = client.call("show", future)
    assert shown["state"] == "PENDING"
    reason = shown["why"]
    assert isinstance(reason["code"], str) and reason["code"], reason
    assert isinstance(reason["message"], str) and reason["message"], reason
    return reason["code"]


def test_show_says_what_was_submitted(shared):
    future = shared.call("submit", "shell", "echo", ["x"], {"name": "me", "tags": ["a", "b"], "priority": 7})
    shared.call("wait", [future])
    shown = shared.call("show", future)
    assert shown["id"] == future and shown["pool"] == "shell" and shown["fn"] == "echo"
    assert shown["name"] == "me" and shown["tags"] == ["a", "b"] and shown["priority"] == 7
    assert shown["state"] == "FINISHED"


def test_priority_defaults_to_zero(shared):
    assert shared.call("show", shared.call("submit", "shell", "true"))["priority"] == 0


def test_show_has_an_owner(shared):
    assert shared.call("show", shared.call("submit", "shell", "true"))["owner"] is not None


def test_show_has_the_times_in_their_order(shared):
    before = time.time()
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    shown = shared.call("show", future)
    assert before - 1 < shown["submitted"] <= shown["started"] <= shown["finished"] < time.time() + 1


def test_the_times_are_those_of_the_events_however_long_the_daemon_slept_before(shared):
    # The handlers of an event were told the time at which the loop had gone to sleep: a task of 0.3 s ended when it had begun.
    time.sleep(0.3)
    before = time.time()
    future = shared.call("submit", "shell", "sleep", ["0.3"])
    shared.call("wait", [future])
    shown = shared.call("show", future)
    assert shown["submitted"] >= before - 0.1 and shown["finished"] - shown["started"] >= 0.29


def test_a_pending_future_has_neither_started_nor_finished(daemon, client):
    client.call("pause", "shell")
    shown = client.call("show", client.call("submit", "shell", "true"))
    assert shown.get("started") is None and shown.get("finished") is None


def test_show_has_the_pid_of_a_running_task(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    gate.await_start()
    shown = client.call("show", future)
    assert shown["state"] == "RUNNING" and is_alive(shown["pid"])
    gate.open()


def test_show_has_the_rusage_of_a_finished_command(shared):
    future = shared.call("submit", "shell", *sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))
    shared.call("wait", [future])
    usage = shared.call("show", future)["rusage"]
    assert usage["utime"] + usage["stime"] > 0 and usage["maxrss"] > 100000


def test_the_first_attempt_is_counted(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    assert shared.call("show", future)["attempt"] == 1


def test_the_queue_position_falls_as_others_go(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    first, count = client.call("map", "one", gate.task()[0], [gate.task()[1]] * 4)
    places = [client.call("show", first + n)["position"] for n in range(count)]
    assert places == sorted(places) and len(set(places)) == count
    gate.open()
    gate.await_start()
    assert client.call("show", first + 3)["position"] < places[3]
    gate.open(4)


def test_a_finished_future_has_no_place_in_the_queue(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    shown = shared.call("show", future)
    assert shown.get("position") is None and shown.get("why") is None


def test_each_reason_to_be_pending_has_its_own_code(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    assert why(client, client.call("submit", "one", "true")) == "workers"
    assert why(client, client.call("submit", "shell", "true", [], {"after": [running]})) == "after"
    assert why(client, client.call("submit", "shell", "cat", [], {"stdin": ref(running)})) == "after"
    assert why(client, client.call("submit", "shell", "true", [], {"delay": 1000})) == "delay"
    client.call("pause", "shell")
    assert why(client, client.call("submit", "shell", "true")) == "paused"
    gate.open()


def test_a_pending_one_says_that_the_daemon_drains(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    asked = client.request("drain")
    assert why(client, pending) == "draining"
    gate.open()
    client.answer(asked)


def test_the_reason_changes_with_the_pool(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "true")
    assert why(client, future) == "paused"
    client.call("resume", "shell")
    client.call("wait", [future])
    assert client.call("show", future).get("why") is None


def test_between_retries_a_future_is_pending_and_says_why(daemon, client):
    future = client.call("submit", "shell", "false", [], {"retries": 1, "retry_delay": 1000})
    eventually(lambda: (client.call("show", future).get("why") or {}).get("code") == "retry")
    shown = client.call("show", future)
    assert (shown["state"], shown["attempt"]) == ("PENDING", 1)
    client.call("cancel", [future])


def test_an_attempt_counts_when_it_has_begun(daemon, client):
    """A task handed to a worker that has not begun it is PENDING, and has been begun no time. Looked at on its way, many times."""
    for _ in range(100):
        future = client.call("submit", "one", "true")
        while True:
            shown = client.call("show", future)
            if shown["state"] != "PENDING":
                break
            assert shown["attempt"] == 0
        client.call("wait", [future])


def test_show_of_a_failed_future_says_finished(shared):
    future = shared.call("submit", "shell", *sh("exit 1"))
    shared.call("wait", [future])
    assert shared.call("show", future)["state"] == "FINISHED"


def test_show_of_unknown_and_expired(shared):
    future = shared.call("submit", "shell", "true")
    refused("UnknownFutureError", shared.call, "show", future + 1)
    shared.call("wait", [future])
    shared.call("release", [future])
    refused("ExpiredFutureError", shared.call, "show", future)


@pytest.mark.parametrize("params", [[], [None], [True], ["1"], [b"1"], [1.5], [-1], [[1]], [{}], [ref(1)], [1, 2], [1, {"x": 1}]],
                         ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "show", *params)


def test_show_has_the_options_with_which_it_was_submitted(daemon, client):
    first = client.call("submit", "shell", "true", [], {"delay": 1000})
    options = {"timeout": 1.5, "deadline": 5000, "delay": 100, "retry_delay": 2, "retries": 3, "retain": 77, "after": [first, [first, 1]], "key": "once", "cwd": "/tmp",
               "umask": 0o77, "nice": 3, "limits": {"files": 99, "cpu": 7}, "env": {"MINE": "x y", "RAW": b"\xff"}}
    shown = client.call("show", client.call("submit", "shell", "true", [], options))
    assert {name: shown[name] for name in options} == options


def test_show_has_what_holds_where_nothing_was_said(shared):
    shown = shared.call("show", shared.call("submit", "shell", "true"))
    assert [shown[name] for name in ("timeout", "deadline", "delay", "after", "key", "kwargs", "nice")] == [None] * 7
    assert shown["cwd"] == "/" and shown["env"] == {} and shown["retain"] > 0


@pytest.mark.config(pools={"shell": {"kind": "command", "env": {"SECRET": "the pool's", "GONE": "too", "KEPT": "1"}}})
def test_the_environment_shown_is_what_the_submit_brought(client):
    future = client.call("submit", "shell", "true", [], {"env": {"MINE": "1", "SECRET": "mine", "GONE": None, "KEPT": "1"}})
    assert client.call("show", future)["env"] == {"MINE": "1", "SECRET": "mine", "GONE": None}
    large = client.call("submit", "shell", "true", [], {"env": {"LARGE": "x" * 70000}})
    assert client.call("show", large)["env"] is None and client.call("show", large)["cwd"] == "/"
