"""Workers come when there is work, and go: by number of tasks, by memory, by idleness, by resize."""
import os
import time

import pytest

from helpers import eventually, is_alive, refused
from kinds import FUNCTIONS, LUA, POOLS, PROCESS, THREAD, hold, let_go, shown
from helpers import descendants

KINDS = {"cpu": PROCESS, "io": THREAD, "lua": LUA}
each = pytest.mark.parametrize("pool", FUNCTIONS)
PID = {"cpu": ("shell", ["exit 0"]), "io": ("shell", ["exit 0"]), "lua": ("shell", ["exit 0"])}


def pid_of(client, future):
    return client.call("show", future)["pid"]


@pytest.fixture
def start(launch):
    def start(pool, **keys):
        daemon = launch({"pools": {pool: {**KINDS[pool], **keys}}, "client_pools": {"enabled": True}})
        return daemon, daemon.client()
    return start


@each
def test_workers_start_when_there_is_work(start, pool):
    daemon, client = start(pool, workers=2)
    assert shown(client, pool)["alive"] == 0 and descendants(daemon.pid) == set()
    client.call("call", pool, "noop")
    assert shown(client, pool)["alive"] == (1 if pool == "cpu" else 2)
    assert len(descendants(daemon.pid)) == 1


def test_no_more_processes_than_tasks_are_started(start):
    daemon, client = start("cpu", workers=8)
    go = daemon.path("go")
    hold(client, "cpu", go, 3)
    assert shown(client, "cpu")["alive"] == 3 and len(descendants(daemon.pid)) == 3
    let_go(go)


@pytest.mark.parametrize("tasks", [1, 3])
@each
def test_max_tasks_per_worker_is_exact(start, pool, tasks):
    """Each worker counts the tasks it has run: none ever runs one more, and none is replaced before."""
    daemon, client = start(pool, workers=2, max_tasks_per_worker=tasks)
    count = tasks * 12
    if pool == "lua":
        first, _ = client.call("map", pool, "exec", [["n = (n or 0) + 1 print(n)"]] * count)
        ids = range(first, first + count)
        client.call("wait", [[first, count]])
        seen = [int(client.call("output", i, {"stream": "stdout"})) for i in ids]
        assert max(seen) == tasks and seen.count(1) >= count // tasks
    else:
        first, _ = client.call("map", pool, "get_warmth", [[]] * count)
        client.call("wait", [[first, count]])
    assert [client.call("state", [[first, count]])] == [["FINISHED"] * count]
    if pool == "cpu":
        pids = []
        for n in range(tasks * 3):
            future = client.call("submit", pool, "shell", ["echo $PPID"])
            client.call("wait", [future])
            pids.append(client.call("output", future, {"stream": "stdout"}))
        assert max(pids.count(p) for p in pids) <= tasks
    assert shown(client, pool)["broken"] is None


def test_an_opened_pool_has_its_own_max_tasks(start):
    daemon, client = start("cpu", workers=1)
    name = client.call("open_pool", {"like": "cpu", "workers": 1, "max_tasks_per_worker": 1})
    pids = set()
    for _ in range(3):
        future = client.call("submit", name, "shell", ["echo $PPID"])
        client.call("wait", [future])
        pids.add(client.call("output", future, {"stream": "stdout"}))
    assert len(pids) == 3
    client.call("close_pool", name)


@each
def test_idle_workers_end_after_idle_timeout(start, pool):
    daemon, client = start(pool, workers=2, idle_timeout="200ms")
    client.call("call", pool, "noop")
    assert shown(client, pool)["alive"] > 0
    eventually(lambda: shown(client, pool)["alive"] == 0 and not descendants(daemon.pid), 5, "the workers end")
    assert client.call("call", pool, "add", [1, 2]) == 3, "and come again"


def test_interpreters_stay_by_default(start):
    daemon, client = start("lua", workers=1)
    client.call("call", "lua", "set_warmth", [3])
    assert "idle_timeout" not in KINDS["lua"]
    time.sleep(0.5)
    assert client.call("call", "lua", "get_warmth") == 3


@each
def test_a_busy_pool_grows(start, pool):
    daemon, client = start(pool, workers=1)
    go = daemon.path("go")
    held = hold(client, pool, go)
    assert client.call("resize", pool, 3) is None
    held += hold(client, pool, go, 2)
    assert shown(client, pool)["workers"] == 3 and shown(client, pool)["alive"] == 3
    assert len(descendants(daemon.pid)) - (3 if pool == "lua" else 0) <= (3 if pool == "cpu" else 1)
    more = client.call("submit", pool, "add", [1, 1])
    assert client.call("state", [more]) == ["PENDING"]
    let_go(go)
    assert client.call("result", more) == 2
    client.call("wait", held)
    assert [client.call("exception", i) for i in held] == [None] * 3


@each
def test_a_busy_pool_shrinks_when_its_tasks_have_ended(start, pool):
    daemon, client = start(pool, workers=3)
    go = daemon.path("go")
    held = hold(client, pool, go, 3)
    first, count = client.call("map", pool, "add", [[n, 0] for n in range(50)])
    client.call("resize", pool, 1)
    assert client.call("state", held) == ["RUNNING"] * 3, "running tasks finish"
    let_go(go)
    assert [client.call("result", first + n) for n in range(count)] == list(range(count))
    assert [client.call("result", i) for i in held] == [None] * 3
    eventually(lambda: shown(client, pool)["alive"] == 1 and len(descendants(daemon.pid)) == 1)
    go = daemon.path("go2")
    one = client.call("submit", pool, "until_file", [go])
    eventually(lambda: client.call("state", [one]) == ["RUNNING"])
    two = client.call("submit", pool, "noop")
    assert client.call("state", [two]) == ["PENDING"]
    let_go(go)
    client.call("wait", [one, two])


@each
def test_resizing_again_and_again_loses_nothing(start, pool):
    daemon, client = start(pool, workers=2)
    first, count = client.call("map", pool, "add", [[n, 0] for n in range(20000)])
    for n in range(40):
        client.call("resize", pool, 1 + n * 7 % 5)
    assert [client.call("result", first + n) for n in range(0, count, 97)] == list(range(0, count, 97))
    client.call("wait", [[first, count]])
    assert shown(client, pool)["totals"]["succeeded"] == count
    client.call("resize", pool, 4)
    hold(client, pool, daemon.path("go"), 4)
    let_go(daemon.path("go"))


@pytest.mark.parametrize("pool", ["io", "lua"])
def test_places_in_a_shared_host_are_used_again(start, pool):
    """A host has 1,024 places; growing and shrinking more often than that must not use them up."""
    daemon, client = start(pool, workers=1)
    client.call("call", pool, "noop")
    for _ in range(60):
        client.call("resize", pool, 21)
        client.call("resize", pool, 1)
        eventually(lambda: shown(client, pool)["alive"] == 1)
        client.call("call", pool, "noop")
    client.call("resize", pool, 3)
    hold(client, pool, daemon.path("go"), 3)
    let_go(daemon.path("go"))


@each
def test_resized_while_its_workers_start(start, pool):
    daemon, client = start(pool, workers=1)
    go = daemon.path("go")
    client.call("map", pool, "until_file", [[go]] * 4)
    client.call("resize", pool, 4)
    eventually(lambda: shown(client, pool)["running"] == 4, what="all four run")
    let_go(go)


def test_a_worker_grown_too_large_is_replaced_after_its_task(start):
    daemon, client = start("lua", workers=1, max_rss="40MiB")
    assert client.call("call", "lua", "eval", ["x"]) is None
    client.call("call", "lua", "exec", ["x = 1"])
    assert client.call("call", "lua", "eval", ["x"]) == 1, "a small one stays"
    assert client.call("call", "lua", "exec", ["x = string.rep('x', 60 << 20)"]) is None
    time.sleep(0.1)  # its size is read every 50 ms at most
    eventually(lambda: client.call("call", "lua", "eval", ["x"]) is None, what="a new worker")
    assert shown(client, "lua")["broken"] is None


def test_workers_auto_is_as_in_concurrent_futures(launch):
    daemon = launch({"pools": {name: {k: v for k, v in keys.items() if k != "workers"} for name, keys in POOLS.items()}})
    client = daemon.client()
    cpus = len(os.sched_getaffinity(0))
    assert shown(client, "io")["workers"] == min(32, cpus + 4) or cgroup_quota() < cpus
    for name in "shell", "cpu", "lua", "toy":
        assert shown(client, name)["workers"] == min(cpus, cgroup_quota())


def cgroup_quota():
    """CPUs that the cgroup leaves us, as `auto` counts them."""
    try:
        quota, period = open("/sys/fs/cgroup/cpu.max").read().split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return 1 << 20


# Opened pools

@each
def test_an_opened_pool_has_workers_of_its_own(start, pool):
    daemon, client = start(pool, workers=1)
    name = client.call("open_pool", {"like": pool, "workers": 2})
    mine, = hold(client, pool, daemon.path("go"))
    theirs = hold(client, name, daemon.path("go"), 2)
    assert pid_of(client, mine) not in [pid_of(client, i) for i in theirs]
    let_go(daemon.path("go"))
    client.call("close_pool", name)
    eventually(lambda: len(descendants(daemon.pid)) == 1)


@each
def test_terminate_and_kill_end_what_runs(start, pool):
    """A thread cannot be ended: its host is, since the pool goes anyway."""
    for how in "terminate", "kill":
        daemon, client = start(pool, workers=1)
        name = client.call("open_pool", {"like": pool, "workers": 1})
        running, = hold(client, name, daemon.path("go"))
        pid = pid_of(client, running)
        waiting = client.call("submit", name, "noop")
        assert client.call("close_pool", name, {how: True}, timeout=9) is None
        refused("BrokenPoolError", client.call, "result", running)
        refused("CancelledError", client.call, "result", waiting)
        eventually(lambda: not is_alive(pid))


@each
def test_close_with_cancel_futures_lets_running_finish(start, pool):
    daemon, client = start(pool, workers=1)
    name = client.call("open_pool", {"like": pool, "workers": 1})
    running, = hold(client, name, daemon.path("go"))
    waiting = client.call("map", name, "noop", [[]] * 20)
    closing = client.request("close_pool", name, {"cancel_futures": True})
    assert client.call("wait", [waiting])["not_done"] == []
    assert client.call("state", [waiting]) == ["CANCELLED"] * 20 and not client.is_answered(closing)
    refused("ShutdownError", client.call, "submit", name, "noop")
    let_go(daemon.path("go"))
    assert client.answer(closing) is None and client.call("result", running) is None


@each
def test_a_bound_pools_workers_go_with_the_connection(start, pool):
    daemon, client = start(pool, workers=1)
    with daemon.client() as other:
        name = other.call("open_pool", {"like": pool, "workers": 1, "bound": True})
        other.call("call", name, "noop")
        assert len(descendants(daemon.pid)) == 1
    eventually(lambda: not descendants(daemon.pid) and name not in [p["name"] for p in client.call("pools")])
