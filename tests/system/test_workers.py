"""Workers come when there is work, and go: by number of tasks, by memory, by idleness, by resize."""
import os
import subprocess
import time

import pytest

from conftest import yaml
from helpers import BUILD, descendants, eventually, is_alive, refused
from kinds import FUNCTIONS, LUA, POOLS, PROCESS, THREAD, TOY, hold, let_go, shown

KINDS = {"cpu": PROCESS, "io": THREAD, "lua": LUA}
each = pytest.mark.parametrize("pool", FUNCTIONS)


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


def ran_on(client, pool):
    """The process that ran a task."""
    future = client.call("submit", pool, "shell", ["echo $PPID"])
    client.call("wait", [future])
    return int(client.call("output", future, {"stream": "stdout"}))


@pytest.mark.parametrize("tasks", [1, 3])
def test_max_tasks_per_worker_is_exact(start, tasks):
    """No worker runs one more, also when they are sent ahead, and none is replaced before."""
    daemon, client = start("cpu", workers=1, max_tasks_per_worker=tasks)
    pids = [ran_on(client, "cpu") for _ in range(3 * tasks)]
    assert [pids.count(p) for p in dict.fromkeys(pids)] == [tasks] * 3
    first, count = client.call("map", "cpu", "shell", [["echo $PPID"]] * 10 * tasks)
    client.call("wait", [[first, count]])
    pids = [client.call("output", first + n, {"stream": "stdout"}) for n in range(count)]
    assert [pids.count(p) for p in dict.fromkeys(pids)] == [tasks] * 10
    assert shown(client, "cpu")["broken"] is None


@pytest.mark.parametrize("pool", ["io", "lua"])
def test_max_tasks_per_worker_is_for_processes(start, pool):
    daemon, client = start(pool, workers=1)
    refused("UnsupportedError", client.call, "open_pool", {"like": pool, "max_tasks_per_worker": 1})
    refused_at_start = launch_text(daemon, {"x": {**KINDS[pool], "max_tasks_per_worker": 1}})
    assert "max_tasks_per_worker" in refused_at_start and "share one process" in refused_at_start


def launch_text(daemon, pools):
    """What `futured -t` says about a configuration."""
    path = daemon.path("bad.yaml")
    with open(path, "w") as f:
        f.write("pools: %s\n" % yaml(pools))
    os.chmod(path, 0o600)
    return subprocess.run([os.path.join(BUILD, "bin", "futured"), "-t", "-c", path], capture_output=True, text=True).stderr


def test_an_opened_pool_has_its_own_max_tasks(start):
    daemon, client = start("cpu", workers=1)
    name = client.call("open_pool", {"like": "cpu", "workers": 1, "max_tasks_per_worker": 1})
    pids = {ran_on(client, name) for _ in range(3)}
    assert len(pids) == 3
    client.call("close_pool", name)


@each
def test_idle_workers_end_after_idle_timeout(start, pool):
    daemon, client = start(pool, workers=2, idle_timeout="200ms")
    client.call("call", pool, "noop")
    assert shown(client, pool)["alive"] > 0
    eventually(lambda: shown(client, pool)["alive"] == 0 and not descendants(daemon.pid), 5, "the workers end")
    assert client.call("call", pool, "add", [1, 2]) == 3, "and come again"


def test_idle_workers_stay_once_they_may_stay_for_ever(start):
    """All of them went, busy ones too, when the time came that had been set before."""
    daemon, client = start("cpu", workers=2, idle_timeout="500ms")
    go = daemon.path("go")
    held = hold(client, "cpu", go, 2)
    pids = {pid_of(client, i) for i in held}
    daemon.config["pools"]["cpu"]["idle_timeout"] = 0
    daemon.write_config()
    client.call("reload")
    time.sleep(0.8)
    let_go(go)
    client.call("wait", held)
    assert {pid_of(client, i) for i in hold(client, "cpu", go + "2", 2)} == pids
    let_go(go + "2")


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
    if pool != "lua":  # whose tasks wait in other programs
        assert len(descendants(daemon.pid)) == (3 if pool == "cpu" else 1)
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


@pytest.mark.parametrize("pool", ["io", pytest.param("lua", marks=pytest.mark.long)])
def test_places_in_a_shared_host_are_used_again(start, pool):
    """A host has 1,024 places; growing and shrinking more often than that must not use them up."""
    daemon, client = start(pool, workers=1)
    client.call("call", pool, "noop")
    pids = set()
    for n in range(18):
        client.call("resize", pool, 60)
        ids = hold(client, pool, daemon.path("go"), 60)
        pids.add(pid_of(client, ids[0]))
        client.call("resize", pool, 1)
        let_go(daemon.path("go"))
        client.call("wait", ids)
        eventually(lambda: shown(client, pool)["alive"] == 1)
        os.unlink(daemon.path("go"))
    assert len(pids) == 1, "one host, all the time"


def test_a_host_that_cannot_grow_gets_a_second_one_beside_it(launch):
    """The example runtime has one slot, whatever the kind."""
    daemon = launch({"pools": {"toy": {**TOY, "kind": "thread", "workers": 1}}})
    client = daemon.client()
    held = hold(client, "toy", daemon.path("go"))
    client.call("resize", "toy", 2)
    held += hold(client, "toy", daemon.path("go"))
    assert len({pid_of(client, i) for i in held}) == 2 and shown(client, "toy")["alive"] == 2
    client.call("resize", "toy", 1)
    let_go(daemon.path("go"))
    client.call("wait", held)
    eventually(lambda: len(descendants(daemon.pid)) == 1)
    assert client.call("call", "toy", "add", [1, 2]) == 3


@each
def test_resized_while_its_workers_start(start, pool):
    daemon, client = start(pool, workers=1)
    go = daemon.path("go")
    client.call("map", pool, "until_file", [[go]] * 4)
    client.call("resize", pool, 4)
    eventually(lambda: shown(client, pool)["running"] == 4, what="all four run")
    let_go(go)


def test_a_worker_grown_too_large_is_replaced_after_its_task(start):
    daemon, client = start("cpu", workers=1, max_rss="100MiB")
    pid = ran_on(client, "cpu")
    client.call("call", "cpu", "grow", [10 << 20])
    time.sleep(0.06)  # its size is read every 50 ms at most
    assert ran_on(client, "cpu") == pid, "a small one stays"
    assert client.call("call", "cpu", "grow", [200 << 20]) is None
    eventually(lambda: ran_on(client, "cpu") != pid, what="a new worker")
    assert shown(client, "cpu")["broken"] is None


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
