"""The same calls on pools of every kind: functions in C in processes and in threads, in Lua, and in a runtime of somebody else."""
import time

import pytest

from helpers import eventually, lines, refused
from kinds import FUNCTIONS, POOLS, hold, let_go, shown
from rpc import RpcError

CONFIG = {"pools": POOLS}
each = pytest.mark.parametrize("pool", FUNCTIONS)


@pytest.fixture
def here(shared_daemon, tmp_path):
    return str(tmp_path / "go")


@each
def test_call_submit_and_result(shared, pool):
    assert shared.call("call", pool, "add", [2, 3]) == 5
    assert shared.call("result", shared.call("submit", pool, "add", [2, 0.5])) == 2.5
    assert shared.call("call", pool, "noop") is None


@each
def test_map_keeps_the_order_of_its_elements(shared, pool):
    first, count = shared.call("map", pool, "add", [[n, 1] for n in range(500)])
    assert [shared.call("result", first + n) for n in range(count)] == list(range(1, 501))


@each
def test_values_cross_as_they_are(shared, pool):
    for value in [None, True, 0, -1, 2**63 - 1, 1.5, "häß", b"\0\xff", [1, [2, "x"]], {"a": [1]}, "x" * 100000]:
        back = shared.call("call", pool, "echo", [value])
        if pool == "lua" and isinstance(value, bytes):
            value = back if isinstance(back, bytes) else back.encode("utf-8", "surrogateescape")
        assert back == value


@each
def test_an_error_has_the_tasks_type_and_data(shared, pool):
    error = refused("CustomError", shared.call, "call", pool, "fail", [{"why": [1, 2]}])
    assert error["task"] is True and error["message"] == "it was me" and error["data"] == {"why": [1, 2]}
    future = shared.call("submit", pool, "fail", [7])
    shared.call("wait", [future])
    assert shared.call("exception", future)["data"] == 7
    assert shared.call("exception", future)["future"] == future


def test_an_error_in_lua_has_a_traceback(shared):
    error = refused("LuaError", shared.call, "call", "lua", "add", ["x", {}])
    assert "odd.lua" in error["message"] and "traceback" in error["traceback"]


@each
def test_an_unknown_function_is_the_tasks_error(shared, pool):
    error = refused("NameError", shared.call, "call", pool, "no_such_function")
    assert "no_such_function" in error["message"] and error["task"] is True


@each
def test_keyword_arguments_are_refused_at_submit(shared, pool):
    for method in "submit", "call":
        assert "kwargs" in refused("UnsupportedError", shared.call, method, pool, "noop", [], {"kwargs": {"a": 1}})["message"]


@pytest.mark.parametrize("option", [{"cwd": "/"}, {"env": {"A": "b"}}, {"umask": 0o22}, {"nice": 1}, {"stdin": b"x"}], ids=repr)
def test_what_only_commands_have_is_refused(shared, option):
    for pool in FUNCTIONS:
        refused(("UnsupportedError", "ValueError"), shared.call, "submit", pool, "noop", [], option)


@each
def test_progress_is_told_to_watchers(shared, here, pool):
    gate = hold(shared, pool, here, shown(shared, pool)["workers"])
    future = shared.call("submit", pool, "progress")
    shared.call("watch", [future])
    let_go(here)
    assert shared.notification("progress") == [future, 1, 4, "begun"]
    told = shared.notification("progress")
    assert told[:2] == [future, 2.5] and told[2] is None
    shared.call("wait", [future, *gate])


@each
def test_what_a_task_prints_is_its_output(shared, pool):
    future = shared.call("submit", pool, "print_all")
    shared.call("wait", [future])
    out, err = (shared.call("output", future, {"stream": s}) for s in ("stdout", "stderr"))
    assert out.startswith(b"print") and out.count(b"\n") >= 1
    assert err == b"to stderr\n"


def test_a_runtime_of_somebody_else_serves_the_same_calls(shared):
    assert shared.call("call", "toy", "add", [2, 3]) == 5
    assert shared.call("call", "toy", "add", [2], {"kwargs": {"b": 4}}) == 6
    error = refused("KeyError", shared.call, "call", "toy", "fail")
    assert error["task"] is True and "toys.py" in error["traceback"]
    future = shared.call("submit", "toy", "print_all")
    shared.call("wait", [future])
    assert shared.call("output", future, {"stream": "stdout"}) == b"printed\n"
    lost = refused("WorkerLostError", shared.call, "call", "toy", "leave", [3])
    assert lost["exit"] == 3 and lost["pid"] > 0
    assert shared.call("call", "toy", "echo", ["again"]) == "again"


def test_a_keyword_argument_nests_as_deep_as_any_other(shared):
    """It counted the map around it as well."""
    deep = []
    for _ in range(23):
        deep = [deep]
    assert shared.call("call", "toy", "echo", [deep]) == deep
    assert shared.call("call", "toy", "echo", [], {"kwargs": {"value": deep}}) == deep
    refused("ValueError", shared.call, "call", "toy", "echo", [], {"kwargs": {"value": [deep]}})


@each
def test_state_stays_with_the_worker(shared, pool):
    opened = shared.call("open_pool", {"like": pool, "workers": 1})
    shared.call("call", opened, "set_warmth", [21])
    assert shared.call("call", opened, "get_warmth") == 21
    shared.call("close_pool", opened)


def test_exec_and_eval_keep_to_their_interpreter(shared):
    opened = shared.call("open_pool", {"like": "lua", "workers": 1})
    shared.call("call", opened, "exec", ["x = ... + 1", 41])
    assert shared.call("call", opened, "eval", ["x"]) == 42
    shared.call("close_pool", opened)
    other = shared.call("open_pool", {"like": "lua", "workers": 1})
    assert shared.call("call", other, "eval", ["x"]) is None
    shared.call("close_pool", other)


# Stopping

@each
def test_ask_is_seen_by_the_task(shared, pool):
    future = shared.call("submit", pool, "until_stopped", [True])
    eventually(lambda: shared.call("state", [future]) == ["RUNNING"])
    assert shared.call("cancel", [future], {"running": "ask"}) == [False]
    refused("CancelledError", shared.call, "result", future)
    assert shared.call("state", [future]) == ["CANCELLED"]


@pytest.mark.parametrize("pool", ["cpu", "io"])
def test_one_that_was_asked_may_go_on(shared, pool):
    future = shared.call("submit", pool, "until_stopped", [False])
    eventually(lambda: shared.call("state", [future]) == ["RUNNING"])
    assert shared.call("cancel", [future], {"running": "ask"}) == [False]
    assert shared.call("result", future) == "went on"


def test_a_process_is_killed_and_replaced(shared, here):
    future, = hold(shared, "cpu", here)
    pid = shared.call("show", future)["pid"]
    assert shared.call("cancel", [future], {"running": "kill"}) == [True]
    refused("CancelledError", shared.call, "result", future)
    assert shared.call("call", "cpu", "add", [1, 1]) == 2
    assert pid not in [shared.call("show", f)["pid"] for f in hold(shared, "cpu", here, 2)]
    let_go(here)


def test_a_process_runs_no_longer_than_its_limit(shared, here):
    error = refused("TaskTimeoutError", shared.call, "call", "cpu", "until_file", [here], {"timeout": 0.1})
    assert "0.1" in error["message"]


@pytest.mark.parametrize("option", [{"timeout": 1}, {"deadline": 1}], ids=repr)
def test_a_thread_cannot_be_stopped_so_limits_are_refused_at_submit(shared, option):
    before = shared.call("map", "io", "noop", [])[0]
    for call in [("submit", "io", "noop", [], option), ("map", "io", "noop", [[]], option), ("call", "io", "noop", [], option)]:
        refused("UnsupportedError", shared.call, *call)
    assert shared.call("map", "io", "noop", [])[0] == before, "nothing was accepted"


def test_a_thread_cannot_be_killed(shared, here):
    future, = hold(shared, "io", here)
    refused("UnsupportedError", shared.call, "cancel", [future], {"running": "kill"})
    assert shared.call("state", [future]) == ["RUNNING"]
    let_go(here)
    shared.call("wait", [future])


def test_an_interpreter_is_interrupted_wherever_it_is(shared):
    neighbour = shared.call("submit", "lua", "until_stopped", [False])
    future = shared.call("submit", "lua", "spin")
    eventually(lambda: shared.call("state", [neighbour, future]) == ["RUNNING"] * 2)
    pid = shared.call("show", future)["pid"]
    assert shared.call("cancel", [future], {"running": "kill"}) == [True]
    refused("CancelledError", shared.call, "result", future)
    refused("TaskTimeoutError", shared.call, "call", "lua", "spin", [], {"timeout": 0.1})
    assert shared.call("show", neighbour)["pid"] == pid, "the neighbour was not hurt"
    shared.call("cancel", [neighbour], {"running": "ask"})
    assert shared.call("result", neighbour) == "went on"


def test_one_stuck_outside_lua_costs_the_host_after_grace(shared):
    neighbour = shared.call("submit", "lua", "until_stopped", [False])
    future = shared.call("submit", "lua", "stuck")
    eventually(lambda: shared.call("state", [neighbour, future]) == ["RUNNING"] * 2)
    begun = time.monotonic()
    assert shared.call("cancel", [future], {"running": "kill", "grace": 0.3}) == [True]
    refused("CancelledError", shared.call, "result", future)
    assert time.monotonic() - begun >= 0.3
    assert "could not be ended" in refused("WorkerLostError", shared.call, "result", neighbour)["message"]
    assert shared.call("call", "lua", "add", [1, 1]) == 2


def test_a_kill_that_is_asked_for_again_is_not_put_off(shared):
    """Each had its whole grace anew, so that whoever asked often enough never got rid of the task; and a longer one counted."""
    future = shared.call("submit", "lua", "stuck")
    eventually(lambda: shared.call("state", [future]) == ["RUNNING"])
    begun = time.monotonic()
    while shared.call("state", [future]) == ["RUNNING"]:
        assert shared.call("cancel", [future], {"running": "kill", "grace": 0.5}) == [True]
        assert shared.call("cancel", [future], {"running": "kill", "grace": 100}) == [True]
        assert time.monotonic() - begun < 5
    assert shared.call("state", [future]) == ["CANCELLED"]


@each
def test_what_waits_is_cancelled_and_never_runs(shared, here, pool, tmp_path):
    held = hold(shared, pool, here, 2)
    ledger = str(tmp_path / "ledger")
    first, count = shared.call("map", pool, "mark", [[ledger]] * 20)
    assert shared.call("cancel", [[first, count]]) == [True] * 20
    let_go(here)
    shared.call("wait", held)
    assert shared.call("call", pool, "add", [1, 1]) == 2
    assert lines(ledger) == []


@each
def test_retries_run_a_function_again(shared, pool):
    future = shared.call("submit", pool, "fail", [1], {"retries": 2})
    with pytest.raises(RpcError):
        shared.call("result", future)
    assert shared.call("show", future)["attempt"] == 3
