"""exception [id, timeout=nil]: the future's error as the result; nil when it went well."""
import pytest

from helpers import refused, sh
from rpc import check_error, ref


def test_exception_of_a_success_is_nil(shared):
    assert shared.call("exception", shared.call("submit", "shell", "true")) is None


def test_exception_of_a_failure_is_its_error_map_as_the_result(shared):
    future = shared.call("submit", "shell", *sh("echo why >&2; exit 4"))
    error = shared.call("exception", future)
    check_error(error)
    assert (error["type"], error["exit"], error["stderr"], error["future"]) == ("ExitError", 4, b"why\n", future)


def test_exception_equals_the_error_of_result(shared):
    future = shared.call("submit", "shell", "false")
    assert shared.call("exception", future) == refused("ExitError", shared.call, "result", future)


def test_exception_waits_and_its_timeout_runs_out(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("exit 5"))
    refused("TimeoutError", client.call, "exception", future, 0)
    refused("TimeoutError", client.call, "exception", future, 0.05)
    asked = client.request("exception", future)
    gate.open()
    assert client.answer(asked)["exit"] == 5


def test_exception_of_a_cancelled_future_is_the_error_cancelled_error(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    future = client.call("submit", "one", "true")
    client.call("cancel", [future])
    assert refused("CancelledError", client.call, "exception", future)["future"] == future
    gate.open()


def test_exception_counts_as_looking_at_the_error(shared):
    future = shared.call("submit", "shell", "false")
    shared.call("wait", [future])
    assert future in [m["id"] for m in shared.call("failures")]
    shared.call("exception", future)
    assert future not in [m["id"] for m in shared.call("failures")]


def test_unknown_and_released_futures_are_told_apart(shared):
    future = shared.call("submit", "shell", "true")
    refused("UnknownFutureError", shared.call, "exception", future + 1)
    shared.call("wait", [future])
    shared.call("release", [future])
    refused("ExpiredFutureError", shared.call, "exception", future)


@pytest.mark.parametrize("params", [[], [None], ["1"], [b"1"], [1.5], [-1], [[1]], [ref(1)], [1, "0"], [1, []],
                                    [1, float("nan")], [1, None, {"release": True}], [1, None, {}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "exception", *params)
