"""open_pool and close_pool: what an Executor object is to a client."""
import os
import signal
import time

import pytest

from helpers import BUILD, Hang, children, eventually, is_alive, lines, process_state, refused, sh
from kinds import LUA, PROCESS
from rpc import request

CONFIG = {"client_pools": {"enabled": True, "workers": 4, "max": 3}}


def names(client):
    return {p["name"] for p in client.call("pools")}


def test_an_opened_pool_runs_tasks_with_its_own_workers(daemon, client, gate):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    assert isinstance(name, str) and name in names(client)
    ids = [client.call("submit", "shell", *gate.task()) for _ in range(2)]
    gate.await_start(), gate.await_start()
    assert client.call("call", name, "echo", ["mine"])["stdout"] == b"mine\n"
    gate.open(2)
    client.call("wait", ids)
    client.call("close_pool", name)


def test_it_is_of_the_same_kind(shared):
    name = shared.call("open_pool", {"like": "shell", "workers": 3})
    pools = {p["name"]: p for p in shared.call("pools")}
    assert pools[name]["kind"] == "command" and pools[name]["workers"] == 3
    shared.call("close_pool", name)


def test_each_has_a_new_name(shared):
    opened = {shared.call("open_pool", {"like": "shell"}) for _ in range(2)}
    assert len(opened) == 2
    for name in opened:
        shared.call("close_pool", name)


def test_more_than_the_configured_number_is_a_limit_error(shared):
    opened = [shared.call("open_pool", {"like": "shell", "workers": 1}) for _ in range(3)]
    refused("LimitError", shared.call, "open_pool", {"like": "shell", "workers": 1})
    for name in opened:
        shared.call("close_pool", name)


def test_more_workers_than_configured_are_refused(shared):
    refused("LimitError", shared.call, "open_pool", {"like": "shell", "workers": 5})


@pytest.mark.config(client_pools={"enabled": False})
def test_opening_may_be_forbidden(client):
    refused("PermissionError", client.call, "open_pool", {"like": "shell"})


def test_like_an_unknown_pool(shared):
    refused("UnknownPoolError", shared.call, "open_pool", {"like": "nosuch"})


@pytest.mark.parametrize("params", [[], [7], [None], [{}], [{"like": 1}], [{"like": "shell", "workers": "1"}],
                                    [{"like": "shell", "workers": -1}], [{"like": "shell", "workers": 1.5}],
                                    [{"like": "shell", "bound": 1}], [{"like": "shell", "nosuch": 1}],
                                    [{"like": "shell", "initializer": "cut\0here"}],
                                    [{"like": "shell", "max_tasks_per_worker": "1"}], [{"like": "shell"}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "open_pool", *params)


def test_a_command_pool_has_no_initializer(shared):
    refused("UnsupportedError", shared.call, "open_pool", {"like": "shell", "initializer": "f"})


def test_a_bound_pool_goes_with_its_connection(daemon, client):
    with daemon.client() as other:
        name = other.call("open_pool", {"like": "shell", "workers": 1, "bound": True})
        assert name in names(client)
    eventually(lambda: name not in names(client))


def test_a_bound_pool_goes_although_a_map_was_being_made_in_it(daemon, client):
    """It stayed in the table for ever, and counted as one of those that a client may open."""
    other = daemon.client()
    name = other.call("open_pool", {"like": "shell", "workers": 1, "bound": True})
    other.send(request(500, "map", name, "true", [[]] * 18000))
    other.close()
    eventually(lambda: name not in names(client), what="the pool goes")


def test_a_pool_that_is_not_bound_stays(daemon, client):
    with daemon.client() as other:
        name = other.call("open_pool", {"like": "shell", "workers": 1})
    client.call("ping")
    assert client.call("call", name, "true")["exit"] == 0
    client.call("close_pool", name)


# close_pool

def test_close_waits_for_pending_work(daemon, client, gate):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    ids = [client.call("submit", name, *gate.task("echo x")) for _ in range(3)]
    closing = client.request("close_pool", name)
    client.call("ping")
    assert not client.is_answered(closing)
    gate.open(3)
    assert client.answer(closing) is None
    assert client.call("state", ids) == ["FINISHED"] * 3
    assert name not in names(client)


def test_results_outlive_their_pool(daemon, client):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    future = client.call("submit", name, "echo", ["kept"])
    client.call("close_pool", name)
    assert client.call("result", future)["stdout"] == b"kept\n"


def test_close_without_wait_answers_at_once_and_pending_work_still_runs(daemon, client, gate):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    ids = [client.call("submit", name, *gate.task("echo x")) for _ in range(3)]
    gate.await_start()
    assert client.call("close_pool", name, {"wait": False}) is None
    gate.open(3)
    assert [client.call("result", i)["stdout"] for i in ids] == [b"x\n"] * 3


def test_a_closing_pool_takes_no_new_work(daemon, client, gate):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    future = client.call("submit", name, *gate.task())
    gate.await_start()
    client.call("close_pool", name, {"wait": False})
    refused("ShutdownError", client.call, "submit", name, "true")
    assert client.call("call", "shell", "true")["exit"] == 0
    gate.open()
    client.call("wait", [future])


def test_cancel_futures_cancels_what_waits_and_lets_running_finish(daemon, client, gate):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    ids = [client.call("submit", name, *gate.task("echo x")) for _ in range(3)]
    gate.await_start()
    closing = client.request("close_pool", name, {"cancel_futures": True})
    refused("CancelledError", client.call, "result", ids[1])
    assert client.call("state", ids) == ["RUNNING", "CANCELLED", "CANCELLED"]
    gate.open()
    assert client.answer(closing) is None
    assert client.call("result", ids[0])["stdout"] == b"x\n"


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_terminate_and_kill_break_what_runs_and_cancel_what_waits(daemon, client, gate, how):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    ids = [client.call("submit", name, *gate.task()) for _ in range(2)]
    pid = gate.await_start()
    assert client.call("close_pool", name, {how: True}) is None
    refused("BrokenPoolError", client.call, "result", ids[0])
    refused("CancelledError", client.call, "result", ids[1])
    eventually(lambda: not is_alive(pid))


@pytest.mark.parametrize("how", ["cancel_futures", "terminate", "kill"])
def test_a_queue_longer_than_a_turn_is_cancelled_to_its_end_and_none_of_it_begins(daemon, client, gate, how):
    name, ledger = client.call("open_pool", {"like": "shell", "workers": 2}), daemon.path("ledger")
    gates = [client.call("submit", name, *gate.task()) for _ in range(2)]
    gate.await_start(), gate.await_start()
    first, count = client.call("map", name, "sh", [["-c", 'echo ran >>"$0"; exec sleep 1000', ledger]] * 30000)
    closing = client.request("close_pool", name, {how: True})
    gate.open(2)
    assert client.answer(closing) is None
    assert set(client.call("state", [[first, count]])) == {"CANCELLED"} and lines(ledger) == []
    assert client.call("state", gates) == ["FINISHED"] * 2


def closed_behind_a_map(client, fn, arguments, count, options):
    """The states of its futures, when the pool is closed that is told so while the map is being made."""
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    client.expect(500), client.expect(501)
    client.send(request(500, "map", name, fn, [arguments] * count) + request(501, "close_pool", name, options))
    run = client.answer(500)
    client.answer(501, 30)
    return client.call("state", [run])


@pytest.mark.parametrize("count", [10000, 25000])   # of which one turn makes 4,000, and looks at 20,000
@pytest.mark.parametrize("how", ["cancel_futures", "terminate", "kill"])
def test_a_map_that_is_being_made_when_its_pool_is_closed_is_cancelled_whole(daemon, client, how, count):
    """Its futures came when all others had been cancelled, and ran; or came to a pool that had gone, and waited for ever."""
    assert set(closed_behind_a_map(client, "sleep", ["100"], count, {how: True})) == {"CANCELLED"}


def test_a_map_that_is_being_made_when_its_pool_is_closed_runs_to_its_end(launch):
    daemon = launch({"pools": {"shell": {**PROCESS, "workers": 2}}})
    assert set(closed_behind_a_map(daemon.client(), "add", [1, 2], 25000, {})) == {"FINISHED"}


def test_kill_does_not_wait_for_one_that_ignores_term(daemon, client, gate):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    future = client.call("submit", name, *gate.task(before="trap '' TERM"))
    gate.await_start()
    begun = time.monotonic()
    client.call("close_pool", name, {"kill": True})
    refused("BrokenPoolError", client.call, "result", future)
    assert time.monotonic() - begun < 4


@pytest.mark.long
@pytest.mark.skipif("address" in BUILD or "thread" in BUILD, reason="nothing is short there, and sent ahead")
@pytest.mark.parametrize("like", ["lua", "cpu"])
@pytest.mark.config(pools={"lua": {**LUA, "workers": 1}, "cpu": {**PROCESS, "workers": 1}})
def test_kill_ends_a_task_that_begins_at_that_moment(daemon, client, like):
    """The one before it was done, and not heard of yet: that was stopped, and this one was not and ran to its end."""
    name = client.call("open_pool", {"like": like, "workers": 1})
    client.call("wait", [client.call("map", name, "noop", [[]] * 500)])  # they are known to be short, and sent ahead
    host, = filter(is_alive, children(daemon.pid))
    os.kill(host, signal.SIGSTOP)
    eventually(lambda: process_state(host) == "T")
    done = client.call("submit", name, "noop")
    last = client.call("submit", name, "shell", ["touch %s; exec sleep 1000" % daemon.path("begun")])
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        os.kill(host, signal.SIGCONT)
        eventually(lambda: os.path.exists(daemon.path("begun")), 10)
        closing = client.request("close_pool", name, {"kill": True})
    except Hang:
        pytest.skip("this machine is so busy that they were not short")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert client.answer(closing) is None
    assert client.call("result", done) is None
    refused("BrokenPoolError", client.call, "result", last)


def test_a_configured_pool_cannot_be_closed(shared):
    refused("ValueError", shared.call, "close_pool", "shell")
    assert shared.call("call", "shell", "true")["exit"] == 0


def test_closing_an_unknown_pool(shared):
    refused("UnknownPoolError", shared.call, "close_pool", "nosuch")


@pytest.mark.parametrize("params", [[], [1], [None], ["x", 7], ["x", []], ["x", {"wait": 1}], ["x", {"cancel_futures": "yes"}],
                                    ["x", {"terminate": 1}], ["x", {"kill": 1}], ["x", {"nosuch": True}], ["x", {}, 1]], ids=repr)
def test_a_bad_parameter_of_close_is_a_value_error(shared, params):
    name = shared.call("open_pool", {"like": "shell", "workers": 1})
    params = [name if p == "x" else p for p in params]
    refused("ValueError", shared.call, "close_pool", *params)
    shared.call("close_pool", name)


def test_pause_and_resize_work_on_opened_pools(daemon, client):
    log = daemon.path("log")
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    client.call("pause", name)
    future = client.call("submit", name, *sh('echo ran >>"$1"', log))
    client.call("resize", name, 2)
    assert lines(log) == []
    client.call("resume", name)
    client.call("wait", [future])
    assert lines(log) == ["ran"]
    client.call("close_pool", name)
