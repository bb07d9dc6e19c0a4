"""The controls of test_golden.py, test_boxes.py and test_users.py: a daemon that does one thing wrong (make FAULTS=1) must be found out by what they ask."""
import os
import pwd
import signal

import pytest

import test_boxes
import test_golden
import test_users
from helpers import ROOT, children, descendants, is_alive, process_state

FAULTY = os.path.join(ROOT, "build-faults", "bin", "futured")
pytestmark = [pytest.mark.long, test_golden.ROOT_ONLY]


@pytest.fixture
def faulty(launch):
    assert os.path.exists(FAULTY), "make FAULTS=1 all programs makes the daemon for the controls"

    def start(fault, *layers, env=None):
        daemon = launch(*layers, start=False)
        daemon.program, daemon.env = FAULTY, {"FUTURED_FAULT": fault, **(env or {})}
        return daemon.start()
    return start


def golden(daemon, pool, name="root", group=None):
    user = pwd.getpwnam(name)
    test_golden.check(daemon, test_golden.dumps(daemon.client(), pool, 1)[0], pool, user, user.pw_gid,
                      os.getgroups() if name == "root" else os.getgrouplist(name, user.pw_gid))


def test_a_daemon_without_a_fault_passes(faulty):
    golden(faulty("none", {"pools": test_golden.POOLS}), "strict")
    golden(faulty("none", {"pools": test_golden.OTHER}), "other", "nobody")


def test_an_environment_that_leaks_is_seen(faulty):
    daemon = faulty("environment_leaks", {"pools": test_golden.POOLS}, env={"SECRET": "of the daemon"})
    with pytest.raises(AssertionError, match="SECRET"):
        golden(daemon, "strict")


def test_a_group_too_many_is_seen(faulty):
    daemon = faulty("groups_too_many", {"pools": test_golden.OTHER})
    with pytest.raises(AssertionError):
        golden(daemon, "other", "nobody")


def test_limits_that_can_be_loosened_are_seen(faulty):
    client = faulty("limits_loosened", test_boxes.CONFIG).client()
    with pytest.raises(pytest.fail.Exception):
        test_boxes.test_a_task_that_asks_for_more_is_refused_with_the_bound(client, "files", 200, 201)


def test_a_umask_that_can_be_loosened_is_seen(faulty):
    with pytest.raises(AssertionError):
        test_boxes.test_the_pools_umask_is_added_to_the_tasks(faulty("umask_loosened", test_boxes.CONFIG).client())


def test_a_lock_that_hosts_may_write_is_seen(faulty):
    with pytest.raises(AssertionError):
        test_users.test_a_host_of_another_user_cannot_write_what_the_next_daemon_believes(lambda: faulty("lock_writable", test_users.POOLS))


@test_boxes.needs_cgroups
def test_a_worker_that_tasks_can_look_into_is_seen(faulty):
    with pytest.raises(AssertionError):
        test_users.test_a_task_cannot_look_into_its_worker(lambda: faulty("worker_readable", test_users.POOLS))


@test_boxes.needs_cgroups
def test_a_host_outside_its_cgroup_is_seen(faulty):
    daemon = faulty("box_not_joined")
    client = daemon.client()
    with pytest.raises((AssertionError, StopIteration)):
        test_boxes.test_a_task_has_a_cgroup_apart_from_its_hosts(daemon, client, daemon.gate())


def test_a_kill_that_is_taken_for_want_of_memory_is_seen(faulty):
    daemon = faulty("oom_for_any_kill", {"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1}}})
    error = test_boxes.refused("WorkerLostError", daemon.client().call, "call", "py", "os.system", ["kill -KILL $PPID"])
    assert error["oom"] is True, "what test_boxes asks for is that it is not"


def test_strays_that_are_spared_are_seen(faulty):
    daemon = faulty("strays_spared")
    daemon.must_end_well = False
    gate = daemon.gate()
    daemon.client().call("submit", "one", *gate.task(before="setsid sleep 1000 &"))
    pid = gate.await_start()
    host = next(p for p in children(daemon.pid) if pid in descendants(p))
    tree = descendants(host)
    os.kill(host, signal.SIGKILL)
    with pytest.raises(Exception, match="never came true"):
        test_boxes.eventually(lambda: not any(is_alive(p) for p in tree), 1)
    for p in tree:
        if process_state(p):
            os.kill(p, signal.SIGKILL)

