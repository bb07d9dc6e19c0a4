"""pools [], pause, resume [pool], resize [pool, workers]."""
import pytest

from helpers import eventually, refused, sh
from rpc import ref


def pool(client, name):
    return next(p for p in client.call("pools") if p["name"] == name)


def test_pools_lists_the_configured_ones(shared):
    assert {p["name"] for p in shared.call("pools")} == {"shell", "one"}


def test_a_pool_map_says_what_it_is(shared):
    shown = pool(shared, "shell")
    assert shown["kind"] == "command" and shown["workers"] == 2
    assert shown["paused"] is False and shown["broken"] is None
    assert shown["runtime"] == "command"


def test_busy_and_pending_are_counted(daemon, client, gate):
    assert (pool(client, "shell")["busy"], pool(client, "shell")["pending"]) == (0, 0)
    ids = [client.call("submit", "shell", *gate.task()) for _ in range(5)]
    gate.await_start(), gate.await_start()
    assert (pool(client, "shell")["busy"], pool(client, "shell")["pending"]) == (2, 3)
    assert (pool(client, "one")["busy"], pool(client, "one")["pending"]) == (0, 0)
    gate.open(5)
    client.call("wait", ids)
    eventually(lambda: (pool(client, "shell")["busy"], pool(client, "shell")["pending"]) == (0, 0))


@pytest.mark.parametrize("method", ["pause", "resume"])
@pytest.mark.parametrize("params", [[], [None], [1], [True], [b"shell"], [[]], [{}], ["shell", 1], [ref(1)]], ids=repr)
def test_a_bad_parameter_of_pause_and_resume_is_a_value_error(shared, method, params):
    refused("ValueError", shared.call, method, *params)


@pytest.mark.parametrize("call", [("pause", "nosuch"), ("resume", "nosuch"), ("resize", "nosuch", 2)], ids=repr)
def test_an_unknown_pool_is_named(shared, call):
    assert "nosuch" in refused("UnknownPoolError", shared.call, *call)["message"]


def test_pools_takes_no_parameter(shared):
    refused("ValueError", shared.call, "pools", 1)


# pause and resume

def test_a_paused_pool_starts_nothing(daemon, client, gate):
    assert client.call("pause", "shell") is None
    assert pool(client, "shell")["paused"] is True and pool(client, "one")["paused"] is False
    ids = [client.call("submit", "shell", *gate.task()) for _ in range(3)]
    client.call("call", "one", "true")
    assert gate.nobody_started() and client.call("state", ids) == ["PENDING"] * 3
    assert client.call("resume", "shell") is None
    assert pool(client, "shell")["paused"] is False
    gate.await_start()
    gate.open(3)
    client.call("wait", ids)


def test_pause_lets_running_tasks_finish(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo finished"))
    gate.await_start()
    client.call("pause", "shell")
    gate.open()
    assert client.call("result", future)["stdout"] == b"finished\n"


def test_pausing_twice_and_resuming_twice_is_once(daemon, client):
    client.call("pause", "shell"), client.call("pause", "shell")
    future = client.call("submit", "shell", "true")
    client.call("resume", "shell"), client.call("resume", "shell")
    assert client.call("result", future)["exit"] == 0


def test_a_paused_pools_tasks_can_be_cancelled(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "true")
    assert client.call("cancel", [future]) == [True]


def test_resuming_goes_on_in_order(daemon, client):
    log = daemon.path("log")
    client.call("pause", "one")
    first, count = client.call("map", "one", "/bin/sh", [["-c", 'echo $0 >>"$1"', str(n), log] for n in range(10)])
    client.call("resume", "one")
    client.call("wait", [[first, count]])
    assert open(log).read().split() == [str(n) for n in range(10)]


# resize

def test_a_grown_pool_runs_more_at_once(daemon, client, gate):
    ids = [client.call("submit", "one", *gate.task()) for _ in range(4)]
    gate.await_start()
    assert client.call("resize", "one", 3) is None
    gate.await_start(), gate.await_start()
    assert client.call("state", ids) == ["RUNNING"] * 3 + ["PENDING"]
    assert pool(client, "one")["workers"] == 3
    gate.open(4)
    client.call("wait", ids)


def test_shrinking_lets_running_tasks_finish(daemon, client, gate):
    client.call("resize", "shell", 4)
    running = [client.call("submit", "shell", *gate.task("echo x")) for _ in range(4)]
    for _ in range(4):
        gate.await_start()
    later = daemon.gate("later")
    pending = [client.call("submit", "shell", *later.task("echo x")) for _ in range(2)]
    assert client.call("resize", "shell", 1) is None
    assert client.call("state", running) == ["RUNNING"] * 4
    gate.open(4)
    client.call("wait", running)
    later.await_start()
    assert client.call("state", pending) == ["RUNNING", "PENDING"] and later.nobody_started()
    later.open(2)
    assert [client.call("result", i)["stdout"] for i in running + pending] == [b"x\n"] * 6
    assert pool(client, "shell")["workers"] == 1


def test_resizing_again_and_again_loses_no_task(daemon, client):
    first, count = client.call("map", "shell", "true", [[]] * 60)
    for workers in (5, 1, 3, 2, 6, 1, 2):
        client.call("resize", "shell", workers)
        client.call("call", "one", "true")
    assert client.call("wait", [[first, count]])["not_done"] == []
    assert [m for m in client.call("failures")] == []


@pytest.mark.parametrize("workers", [None, "2", b"2", 1.5, True, [], {}, -1, 0, 1025, 10**6, 2**63, ref(1)], ids=repr)
def test_workers_of_a_wrong_type_or_size_are_a_value_error(shared, workers):
    refused("ValueError", shared.call, "resize", "one", workers)
    assert pool(shared, "one")["workers"] == 1


@pytest.mark.parametrize("params", [[], ["one"], [1, 1], ["one", 1, 1]], ids=repr)
def test_a_bad_parameter_of_resize_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "resize", *params)


def test_totals_and_the_mean_run_time(daemon, client):
    before = pool(client, "shell")
    assert before["totals"] == {"submitted": 0, "succeeded": 0, "failed": 0, "cancelled": 0} and before["mean_run_time"] is None
    client.call("call", "shell", *sh("sleep 0.05"))
    client.call("wait", [client.call("submit", "shell", "false")])
    client.call("cancel", [client.call("submit", "shell", "true", [], {"delay": 1000})])
    after = pool(client, "shell")
    assert after["totals"] == {"submitted": 3, "succeeded": 1, "failed": 1, "cancelled": 1}
    assert 0 < after["mean_run_time"] < 5
