"""drain [timeout=nil, {"pool": name}]: answers once nothing runs; holds new and pending work back until then."""
import pytest

from helpers import refused
from rpc import ref


def draining(client, *params):
    msgid = client.request("drain", *params)
    client.call("ping")
    return msgid


def test_drain_of_an_idle_daemon_answers_at_once(client):
    assert client.call("drain") is None
    assert client.call("call", "shell", "true")["exit"] == 0


@pytest.mark.parametrize("params", [[0], [-1], [0, {"pool": "one"}]], ids=repr)
def test_where_nothing_runs_at_once_is_soon_enough(shared, params):
    """It was a TimeoutError: "0 tasks still run"."""
    assert shared.call("drain", *params) is None


def test_drain_waits_for_what_runs(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    gate.await_start()
    asked = draining(client)
    assert not client.is_answered(asked)
    gate.open()
    assert client.answer(asked) is None


def test_a_draining_daemon_takes_no_submits_but_from_then_on_again(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    gate.await_start()
    asked = draining(client)
    other = daemon.client()
    for method, params in (("submit", ["one", "true"]), ("map", ["one", "true", [[]]]), ("call", ["shell", "true"])):
        refused("ShutdownError", other.call, method, *params)
    gate.open()
    client.answer(asked)
    assert other.call("call", "one", "true")["exit"] == 0


def test_no_pool_is_opened_while_all_are_drained(daemon, client, gate):
    """It was not drained, took submits and ran them."""
    client.call("submit", "one", *gate.task())
    gate.await_start()
    other, asked = daemon.client(), draining(client)
    refused("ShutdownError", other.call, "open_pool", {"like": "shell", "workers": 1})
    gate.open()
    client.answer(asked)
    assert other.call("call", other.call("open_pool", {"like": "shell", "workers": 1}), "true")["exit"] == 0


def test_pending_ones_wait_meanwhile_and_go_on_afterwards(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", *gate.task("echo went on"))
    asked = draining(client)
    gate.open()
    assert client.answer(asked) is None
    gate.await_start()
    gate.open()
    assert client.call("result", pending)["stdout"] == b"went on\n"


@pytest.mark.parametrize("timeout", [0, -1, 0.1])
def test_a_drain_that_ran_out_is_a_timeout_error_and_all_goes_on(daemon, client, gate, timeout):
    running = client.call("submit", "one", *gate.task("echo fine"))
    gate.await_start()
    pending = client.call("submit", "one", *gate.task("echo fine too"))
    assert refused("TimeoutError", client.call, "drain", timeout).get("task") is None
    later = client.call("submit", "one", *gate.task())
    gate.open(3)
    assert client.call("result", running)["stdout"] == b"fine\n"
    assert client.call("result", pending)["stdout"] == b"fine too\n"
    assert client.call("result", later)["exit"] == 0


def test_drain_of_one_pool_leaves_the_others_alone(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    asked = draining(client, None, {"pool": "one"})
    assert client.call("call", "shell", "true")["exit"] == 0
    refused("ShutdownError", client.call, "submit", "one", "true")
    assert not client.is_answered(asked)
    gate.open()
    assert client.answer(asked) is None


def test_drain_of_one_pool_does_not_wait_for_another(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    assert client.call("drain", 5, {"pool": "shell"}) is None
    gate.open()


def test_two_may_drain_at_once(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    gate.await_start()
    other = daemon.client()
    first, second = draining(client), draining(other)
    gate.open()
    assert client.answer(first) is None and other.answer(second) is None
    assert client.call("call", "shell", "true")["exit"] == 0


def test_a_drain_that_ran_out_leaves_another_in_force(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    gate.await_start()
    other = daemon.client()
    asked = draining(client)
    refused("TimeoutError", other.call, "drain", 0)
    refused("ShutdownError", other.call, "submit", "shell", "true")
    gate.open()
    assert client.answer(asked) is None


def test_a_drainer_that_disconnects_no_longer_drains(daemon, client, gate):
    from helpers import eventually
    client.call("submit", "one", *gate.task())
    gate.await_start()
    with daemon.client() as other:
        draining(other)
        refused("ShutdownError", client.call, "submit", "shell", "true")

    def is_open_again():
        try:
            return client.call("submit", "shell", "true")
        except Exception as error:
            assert error.type == "ShutdownError"
    eventually(is_open_again)
    gate.open()


def test_a_known_key_is_answered_while_draining(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(), {"key": "k"})
    gate.await_start()
    asked = draining(client)
    assert client.call("submit", "shell", "true", [], {"key": "k"}) == future
    gate.open()
    client.answer(asked)


def test_a_pool_that_is_paused_is_still_paused_after_a_drain(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "true")
    assert client.call("drain") is None
    assert client.call("state", [future]) == ["PENDING"]
    client.call("resume", "shell")
    client.call("wait", [future])


@pytest.mark.parametrize("params", [["1"], [True], [[]], [{}], [float("nan")], [float("inf")], [2e9], [None, 7], [None, []],
                                    [None, {"nosuch": 1}], [None, {"pool": 1}], [None, {}, 1], [ref(1)]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "drain", *params)


def test_an_unknown_pool_is_refused(shared):
    refused("UnknownPoolError", shared.call, "drain", None, {"pool": "nosuch"})
