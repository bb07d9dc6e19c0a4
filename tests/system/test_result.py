"""result [id, timeout=nil, {"release": bool}]: the value, or the future's error, when there is one."""
import socket
import time

import pytest

from helpers import eventually, refused, sh
from rpc import ref


def test_result_of_a_finished_future_is_its_value(shared):
    future = shared.call("submit", "shell", "echo", ["x"])
    shared.call("wait", [future])
    assert shared.call("result", future, 0)["stdout"] == b"x\n"


def test_result_waits_until_the_future_is_done(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo late"))
    asked = client.request("result", future)
    gate.await_start()
    client.call("ping")
    assert not client.is_answered(asked)
    gate.open()
    assert client.answer(asked)["stdout"] == b"late\n"


def test_result_of_a_failed_future_is_its_error_with_its_id(shared):
    future = shared.call("submit", "shell", *sh("exit 9"))
    error = refused("ExitError", shared.call, "result", future)
    assert error["exit"] == 9 and error["future"] == future


def test_result_may_be_asked_any_number_of_times(shared):
    future = shared.call("submit", "shell", "echo", ["again"])
    assert [shared.call("result", future)["stdout"] for _ in range(3)] == [b"again\n"] * 3


def test_the_error_may_be_asked_any_number_of_times(shared):
    future = shared.call("submit", "shell", "false")
    first = refused("ExitError", shared.call, "result", future)
    assert refused("ExitError", shared.call, "result", future) == first


def test_many_may_wait_for_one_result(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo all"))
    others = [daemon.client() for _ in range(5)]
    asked = [(c, c.request("result", future)) for c in others for _ in range(2)]
    gate.await_start()
    gate.open()
    assert [c.answer(m)["stdout"] for c, m in asked] == [b"all\n"] * 10


@pytest.mark.parametrize("timeout", [0, -1, -0.5, 0.0])
def test_a_timeout_of_zero_or_less_is_over_at_once(daemon, client, gate, timeout):
    future = client.call("submit", "shell", *gate.task())
    error = refused("TimeoutError", client.call, "result", future, timeout)
    assert error.get("task") is None
    gate.open()


def test_a_timeout_runs_out_and_the_task_goes_on(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo went on"))
    refused("TimeoutError", client.call, "result", future, 0.1)
    gate.await_start()
    assert client.call("state", [future]) == ["RUNNING"]
    gate.open()
    assert client.call("result", future, 9)["stdout"] == b"went on\n"


def test_a_done_future_ignores_the_timeout(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    assert shared.call("result", future, -5)["exit"] == 0


def test_nil_timeout_means_none(shared):
    future = shared.call("submit", "shell", *sh("echo x"))
    assert shared.call("result", future, None)["stdout"] == b"x\n"


def test_a_task_that_exits_while_a_timeout_runs_answers_with_its_value(shared):
    assert shared.call("result", shared.call("submit", "shell", "echo", ["x"]), 5)["stdout"] == b"x\n"


def test_release_forgets_the_future_once_answered(shared):
    future = shared.call("submit", "shell", "echo", ["once"])
    assert shared.call("result", future, None, {"release": True})["stdout"] == b"once\n"
    assert refused("ExpiredFutureError", shared.call, "result", future)["future"] == future


def test_release_forgets_a_failed_future_too(shared):
    future = shared.call("submit", "shell", "false")
    refused("ExitError", shared.call, "result", future, None, {"release": True})
    refused("ExpiredFutureError", shared.call, "result", future)


def test_release_false_keeps_it(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("result", future, None, {"release": False})
    assert shared.call("result", future)["exit"] == 0


def test_a_result_that_timed_out_releases_nothing(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo still"))
    refused("TimeoutError", client.call, "result", future, 0, {"release": True})
    gate.open()
    assert client.call("result", future)["stdout"] == b"still\n"


def test_all_who_wait_are_answered_though_one_releases(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo shared"))
    other = daemon.client()
    asked = [other.request("result", future), other.request("result", future)]
    other.call("ping")
    releasing = client.request("result", future, None, {"release": True})
    client.call("ping")
    gate.open()
    assert client.answer(releasing)["stdout"] == b"shared\n"
    assert [other.answer(m)["stdout"] for m in asked] == [b"shared\n"] * 2


def test_whoever_waits_is_told_of_a_cancel(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    future = client.call("submit", "one", "true")
    asked = client.request("result", future)
    assert daemon.client().call("cancel", [future]) == [True]
    assert refused("CancelledError", client.answer, asked)["future"] == future
    gate.open()


def test_result_of_a_cancelled_future_is_cancelled_error(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    future = client.call("submit", "one", "true")
    client.call("cancel", [future])
    assert refused("CancelledError", client.call, "result", future)["future"] == future
    gate.open()


def test_an_id_never_given_is_unknown(shared):
    future = shared.call("submit", "shell", "true")
    assert refused("UnknownFutureError", shared.call, "result", future + 1)["future"] == future + 1
    refused("UnknownFutureError", shared.call, "result", 2**53 - 1)


@pytest.mark.parametrize("wrong", [None, True, "1", b"1", 1.5, 1.0, -1, 0, [], {}, ref(1)], ids=repr)
def test_an_id_of_a_wrong_type_is_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "result", wrong)


@pytest.mark.parametrize("big", [2**53, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_id_beyond_the_largest_is_a_value_error(shared, big):
    refused("ValueError", shared.call, "result", big)


@pytest.mark.parametrize("wrong", [True, "1", b"1", [], {}, ref(1), float("nan"), float("inf"), 1e10],
                         ids=repr)
def test_a_timeout_of_a_wrong_type_is_a_value_error(shared, wrong):
    future = shared.call("submit", "shell", "true")
    refused("ValueError", shared.call, "result", future, wrong)


@pytest.mark.parametrize("wrong", [{"release": 1}, {"release": "yes"}, {"nosuch": True}, {"timeout": 1}, 7, []], ids=repr)
def test_wrong_options_are_a_value_error(shared, wrong):
    future = shared.call("submit", "shell", "true")
    refused("ValueError", shared.call, "result", future, None, wrong)


def test_id_has_no_default_and_too_many_parameters_are_refused(shared):
    refused("ValueError", shared.call, "result")
    refused("ValueError", shared.call, "result", 1, None, {}, 1)


def test_a_waiter_that_disconnects_is_forgotten(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo fine"))
    with daemon.client() as other:
        other.request("result", future)
        other.call("ping")
    gate.await_start()
    gate.open()
    assert client.call("result", future)["stdout"] == b"fine\n"


def test_a_large_value_arrives_whole(shared):
    future = shared.call("submit", "shell", *sh("head -c 900000 /dev/zero | tr '\\0' x"))
    assert shared.call("result", future)["stdout"] == b"x" * 900000


def test_retained_values_expire(shared):
    future = shared.call("submit", "shell", "true", [], {"retain": 0.05})
    shared.call("wait", [future])

    def has_expired():
        try:
            shared.call("result", future)
        except Exception as error:
            return error.type == "ExpiredFutureError"
    eventually(has_expired)


@pytest.mark.long
@pytest.mark.config(pools={"shell": {"kind": "command", "output": "16MiB"}})
def test_one_that_has_said_end_of_input_may_read_slowly(daemon, client):
    """It was cut off 30 s after its end of input, though it had taken something every second."""
    future = client.call("submit", "shell", *sh("head -c 8000000 /dev/zero"))
    client.call("wait", [future])
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asked = client.request("result", future)
    client.end()
    for _ in range(36):
        time.sleep(1)   # so slowly
        client.unpacker.feed(client.socket.recv(50000))
    assert len(client.answer(asked)["stdout"]) == 8000000
