"""release [ids]: forgets finished futures; lets go of unfinished ones when they finish."""
import pytest

from helpers import eventually, lines, refused, sh
from rpc import ref


def done(client, count=1, *options):
    first, _ = client.call("map", "shell", "true", [[]] * count, *options)
    client.call("wait", [[first, count]])
    return first


def test_release_says_how_many_were_forgotten(shared):
    first = done(shared, 3)
    assert shared.call("release", [[first, 3]]) == 3


def test_a_released_future_is_expired_for_every_method(shared):
    first = done(shared)
    shared.call("release", [first])
    for method, *params in (("result", first), ("exception", first), ("state", [first]), ("wait", [first]), ("watch", [first]),
                            ("unwatch", [first]), ("cancel", [first]), ("show", first), ("output", first),
                            ("input", first, b""), ("retry", [first])):
        assert refused("ExpiredFutureError", shared.call, method, *params)["future"] == first, method


def test_release_passes_over_expired_ones(shared):
    first = done(shared, 3)
    assert shared.call("release", [first + 1]) == 1
    assert shared.call("release", [[first, 3]]) == 2
    assert shared.call("release", [[first, 3], first]) == 0


def test_release_of_an_unknown_one_releases_nothing(shared):
    first = done(shared)
    refused("UnknownFutureError", shared.call, "release", [first, first + 1])
    assert shared.call("state", [first]) == ["FINISHED"]


def test_release_counts_a_duplicate_once(shared):
    first = done(shared)
    assert shared.call("release", [first, first]) == 1


def test_release_of_nothing_is_zero(shared):
    assert shared.call("release", []) == 0


def test_an_unfinished_future_stays_known_until_it_is_final(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    client.call("release", [running, pending])
    assert client.call("state", [running, pending]) == ["RUNNING", "PENDING"]
    gate.open()
    eventually(lambda: not client.call("list"))
    refused("ExpiredFutureError", client.call, "state", [pending])


def test_a_released_pending_task_still_runs(daemon, client, gate):
    marker = daemon.path("marker")
    client.call("submit", "one", *gate.task())
    future = client.call("submit", "one", *sh('echo ran >"$1"', marker))
    client.call("release", [future])
    gate.open()
    eventually(lambda: lines(marker) == ["ran"])


def test_whoever_waits_is_answered_before_a_released_future_goes(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo value"))
    waiting = client.request("result", future)
    client.call("release", [future])
    gate.open()
    assert client.answer(waiting)["stdout"] == b"value\n"


def test_a_released_future_still_serves_those_after_it(daemon, client, gate):
    future = client.call("submit", "one", *gate.task("echo piped"))
    reader = client.call("submit", "shell", "cat", [], {"stdin": ref(future)})
    behind = client.call("submit", "shell", "true", [], {"after": [future]})
    client.call("release", [future])
    gate.open()
    assert client.call("result", reader)["stdout"] == b"piped\n"
    assert client.call("result", behind)["exit"] == 0


def test_a_finished_future_released_at_once_serves_one_that_still_waits(daemon, client, gate):
    """Data flow holds what it needs until it is handed over."""
    source = client.call("submit", "shell", "echo", ["held"])
    client.call("wait", [source])
    client.call("submit", "one", *gate.task())
    gate.await_start()
    reader = client.call("submit", "one", "cat", [], {"stdin": ref(source)})
    assert client.call("release", [source]) == 1
    refused("ExpiredFutureError", client.call, "result", source)
    gate.open()
    assert client.call("result", reader)["stdout"] == b"held\n"


def test_released_futures_leave_lists_and_failures(shared):
    future = shared.call("submit", "shell", "false", [], {"name": "failed and released"})
    shared.call("wait", [future])
    shared.call("release", [future])
    assert shared.call("list", {"name": "failed and released"}) == []
    assert future not in [m["id"] for m in shared.call("failures")]


def test_a_released_id_is_never_given_again(shared):
    first = done(shared)
    shared.call("release", [first])
    assert shared.call("submit", "shell", "true") > first


@pytest.mark.parametrize("params", [[], [[], 1], [[], {"x": 1}], [1], ["1"]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "release", *params)
