"""A worker dies at every named point of a task's way, with others sent ahead behind it: what is reported agrees with a ledger that tasks write."""
import os
import signal

import pytest

from helpers import PROGRAMS, refused, sh

POINTS = pytest.mark.config(pools={"points": {"kind": "process", "workers": 1, "runtime": ["/usr/bin/python3", os.path.join(PROGRAMS, "points.py")]}})
pytestmark = POINTS


@pytest.fixture
def ledger(daemon):
    return daemon.path("ledger")


def begun(ledger):
    """How often each task began, by id."""
    counts = {}
    for line in open(ledger).read().splitlines():
        task = int(line.split()[0])
        counts[task] = counts.get(task, 0) + 1
    return counts


def crowd(daemon, client, ledger, point, options=None):
    """One task that dies at the point, between plain ones; all of them short, so that they are sent ahead. (it, the others)"""
    plain = [ledger, "", daemon.path("unused")]
    warm, count = client.call("map", "points", "mark", [plain] * 30)
    client.call("wait", [[warm, count]])
    client.call("pause", "points")
    before, n = client.call("map", "points", "mark", [plain] * 3)
    it = client.call("submit", "points", "mark", [ledger, point, daemon.path("died")], options or {})
    behind, m = client.call("map", "points", "mark", [plain] * 6)
    client.call("resume", "points")
    others = list(range(before, before + n)) + list(range(behind, behind + m))
    client.call("wait", [it] + others)
    assert os.path.exists(daemon.path("died")), "the point was reached"
    return it, others


def others_ran_once(client, ledger, others):
    assert [client.call("result", i) for i in others] == [1] * len(others)
    counts = begun(ledger)
    assert [counts.get(i) for i in others] == [1] * len(others)
    return counts


def test_sent_and_not_claimed_it_has_not_begun_and_runs_on_another_worker(daemon, client, ledger):
    it, others = crowd(daemon, client, ledger, "sent")
    assert client.call("result", it) == 1, "the attempt that never began is not counted"
    assert others_ran_once(client, ledger, others)[it] == 1


@pytest.mark.parametrize("point, times", [("claimed", 0), ("begun", 1), ("done", 1)])
def test_from_the_claim_on_it_counts_as_begun_and_is_lost_with_its_worker(daemon, client, ledger, point, times):
    it, others = crowd(daemon, client, ledger, point)
    error = refused("WorkerLostError", client.call, "result", it)
    assert error["signal"] == signal.SIGKILL
    assert others_ran_once(client, ledger, others).get(it, 0) == times


def test_once_answered_it_is_done_whatever_becomes_of_its_worker(daemon, client, ledger):
    it, others = crowd(daemon, client, ledger, "answered")
    assert client.call("result", it) == 1
    assert others_ran_once(client, ledger, others)[it] == 1


@pytest.mark.parametrize("point, times", [("claimed", 1), ("begun", 2), ("done", 2)])
def test_with_retries_what_was_lost_runs_again(daemon, client, ledger, point, times):
    it, others = crowd(daemon, client, ledger, point, {"retries": 1})
    assert client.call("result", it) == 2
    assert others_ran_once(client, ledger, others)[it] == times


MEMORY = "/sys/fs/cgroup/memory"


@pytest.mark.skipif(not os.access(os.path.join(MEMORY, "memory.limit_in_bytes"), os.W_OK), reason="no cgroup v1 memory controller that we may write")
def test_a_command_that_the_kernel_ends_for_want_of_memory_says_so(daemon, client):
    group = os.path.join(MEMORY, "futured-test-%d" % os.getpid())
    os.mkdir(group)
    try:
        with open(os.path.join(group, "memory.limit_in_bytes"), "w") as f:
            f.write("64M")
        script = "echo $$ >%s/cgroup.procs && exec /usr/bin/python3 -c 'x = bytearray(300 << 20)'" % group
        error = refused("ExitError", client.call, "call", "shell", *sh(script))
        assert error["signal"] == signal.SIGKILL and error["oom"] is True and "memory ran out" in error["message"]
        killed = refused("ExitError", client.call, "call", "shell", *sh("kill -9 $$"))
        assert killed["signal"] == signal.SIGKILL and not killed.get("oom"), "the control: another KILL is none"
    finally:
        os.rmdir(group)
