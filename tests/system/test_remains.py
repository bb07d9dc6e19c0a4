"""Whatever is killed, nothing of it is left before the next daemon runs anything: the worst task we know, in every mode, and kill -9 of the
task, of its host, of the daemon, and of the daemon together with its hosts."""
import os
import signal
import subprocess

import pytest

from helpers import PROGRAMS, children, eventually, is_alive, refused, sh
from kinds import PROCESS

MODES = {
    "plain": [],
    "term-ignored": ["ignore"],
    "double-forked": ["ignore", "daemon"],
    "a-tree": ["ignore", "tree=3"],
    "holding-the-pipe": ["holdout"],
    "stopped": ["stopped"],
    "environment-cleared": ["clearenv", "ignore", "daemon"],
    "a-subreaper-of-its-own": ["ignore", "subreaper"],
}


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("nasty") / "nasty")
    subprocess.run(["gcc", "-O1", "-D_GNU_SOURCE", "-pthread", "-o", path, os.path.join(PROGRAMS, "nasty.c")], check=True)
    return path


def noting_its_pid(nasty, pids, modes):
    return sh("echo $$ >>%s; exec %s pids=%s %s say=ready" % (pids, nasty, pids, " ".join(modes)))


@pytest.fixture(params=MODES, ids=lambda mode: mode)
def task(request, daemon, client, nasty):
    """A nasty task that runs; (its future, the file that all its processes wrote their pids to, its leader)."""
    pids = daemon.path("pids")
    future = client.call("submit", "one", *noting_its_pid(nasty, pids, MODES[request.param]))
    eventually(lambda: b"ready" in client.call("output", future))
    assert len(survivors(pids)) >= 1 + ("daemon" in MODES[request.param])
    return future, pids, client.call("show", future)["pid"]


def processes(path):
    return [int(line) for line in open(path).read().split()]


def survivors(path):
    return [pid for pid in processes(path) if is_alive(pid)]


def nobody_is_left_when_the_next_daemon_runs_a_task(daemon, launch, path):
    """The next daemon's first task looks for itself."""
    second = launch(directory=daemon.directory)
    look = "for p in $(cat %s); do if [ -e /proc/$p ]; then grep -q 'State:.Z' /proc/$p/status || echo $p; fi; done" % path
    assert second.client().call("call", "shell", *sh(look))["stdout"] == b""


def test_kill_of_the_task_leaves_nobody(daemon, client, task):
    future, path, _ = task
    assert client.call("cancel", [future], {"running": "kill", "grace": 0.1}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert survivors(path) == []


def test_kill_9_of_the_host_leaves_nobody(daemon, client, task):
    future, path, host = task
    os.kill(host, signal.SIGKILL)
    assert refused("WorkerLostError", client.call, "result", future)["signal"] == signal.SIGKILL
    eventually(lambda: survivors(path) == [])
    assert client.call("call", "one", "true")["exit"] == 0


def test_kill_9_of_the_daemon_leaves_nobody(daemon, client, launch, task):
    _, path, _ = task
    daemon.kill()
    nobody_is_left_when_the_next_daemon_runs_a_task(daemon, launch, path)


def test_kill_9_of_the_daemon_and_its_hosts_together_leaves_nobody(daemon, client, launch, task):
    _, path, host = task
    os.kill(host, signal.SIGSTOP)  # so that it cannot tidy up while the daemon dies
    os.kill(daemon.pid, signal.SIGSTOP)
    os.kill(host, signal.SIGKILL)
    daemon.kill()
    nobody_is_left_when_the_next_daemon_runs_a_task(daemon, launch, path)


def test_the_check_finds_a_survivor(daemon, client, launch, nasty):
    """The control: a process that no daemon started is found by the very same look."""
    path = daemon.path("pids")
    program, args = noting_its_pid(nasty, path, [])[:2]
    stranger = subprocess.Popen([program] + args, stdout=subprocess.PIPE)
    try:
        stranger.stdout.readline()
        daemon.kill()
        with pytest.raises(AssertionError):
            nobody_is_left_when_the_next_daemon_runs_a_task(daemon, launch, path)
    finally:
        stranger.kill()
        stranger.wait()
        stranger.stdout.close()


@pytest.mark.config(store="memory", pools={"short": {**PROCESS, "workers": 2, "max_tasks_per_worker": 1}})
def test_the_lock_file_names_those_that_live_and_few_others(daemon, client):
    """Every host that was ever started stood there, and of a file that was too long nothing was read: what a dead daemon had left was not ended then."""
    long_lived = client.call("submit", "one", *sh("exec sleep 1000"))
    run = client.call("map", "short", "noop", [[]] * 260)
    client.call("wait", [run], "ALL_COMPLETED", 60, timeout=60)
    with open(daemon.address + ".lock") as f:
        lines = f.read().split("\n")
    assert lines[0].startswith("daemon %d " % daemon.pid) and lines[-1] == ""
    hosts = [line.split() for line in lines if line.startswith("host ")]
    assert len(hosts) < 150
    alive = {int(pid) for _, pid, _ in hosts if is_alive(int(pid))}
    assert client.call("show", long_lived)["pid"] in alive and {p for p in children(daemon.pid) if is_alive(p)} <= alive
