"""A task that does its worst (tests/programs/nasty.c): however it comes to be ended, nothing of it is left."""
import os
import select
import signal
import subprocess

import pytest

from helpers import PROGRAMS, all_processes, refused

CONFIG = {"stop_timeout": "100ms", "pools": {"shell": {"kind": "command", "workers": 2, "grace": "100ms"}}}
WORST = ["ignore", "block", "clearenv", "daemon", "holdout", "thread", "stopped", "subreaper", "tree=20", "chain=10", "sbomb=40"]


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("nasty") / "nasty")
    subprocess.run(["gcc", "-O1", "-D_GNU_SOURCE", "-pthread", "-o", path, os.path.join(PROGRAMS, "nasty.c")], check=True)
    return path


class Tree:
    """The processes of one nasty task. All hold the write end of a FIFO, whatever else they shed: end of file is the end of the last."""

    def __init__(self, daemon, client, program, pool, options):
        fifo = daemon.path("fifo")
        os.mkfifo(fifo)
        self.fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.future = client.call("submit", pool, program, ["fifo=" + fifo] + WORST + ["say=done"], options)
        said = client.call("output", self.future, {"follow": True})
        while b"done" not in said:
            said += client.notification("output")[3]
        assert not self.is_gone(0), "it does not even live"

    def is_gone(self, timeout):
        poll = select.poll()
        poll.register(self.fd, 0)
        return bool(poll.poll(timeout * 1000))


@pytest.fixture
def tree(daemon, client, nasty):
    trees = []

    def make(pool="shell", **options):
        trees.append(Tree(daemon, client, nasty, pool, options))
        return trees[-1]
    yield make
    for t in trees:
        os.close(t.fd)


def leader_and_host(daemon):
    """Hosts are children of the daemon; the leader is the first process of a nasty task under one."""
    parents = all_processes()
    for pid, host in sorted(parents.items()):
        if parents.get(host) == daemon.pid:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if b"nasty" in f.read():
                    return pid, host


def test_a_kill_leaves_nothing(client, tree):
    t = tree()
    assert client.call("cancel", [t.future], {"running": "kill"}) == [True]
    refused("CancelledError", client.call, "result", t.future)
    assert t.is_gone(0), "it is cancelled when it is really gone"


def test_a_timeout_leaves_nothing(client, tree):
    t = tree(timeout=1)
    refused("TaskTimeoutError", client.call, "result", t.future)
    assert t.is_gone(0)


def test_a_deadline_leaves_nothing(client, tree):
    t = tree(deadline=1)
    refused("TaskTimeoutError", client.call, "result", t.future)
    assert t.is_gone(0)


def test_the_death_of_its_leader_leaves_nothing(daemon, client, tree):
    t = tree()
    os.kill(leader_and_host(daemon)[0], signal.SIGKILL)
    assert refused("ExitError", client.call, "result", t.future)["signal"] == 9
    assert t.is_gone(0)


def test_the_death_of_its_host_leaves_nothing(daemon, client, tree):
    t = tree()
    _, host = leader_and_host(daemon)
    os.kill(host, signal.SIGKILL)
    assert refused("WorkerLostError", client.call, "result", t.future)["pid"] == host
    assert t.is_gone(5)
    assert client.call("call", "shell", "echo", ["healed"])["stdout"] == b"healed\n"


def test_the_end_of_the_daemon_leaves_nothing(daemon, tree):
    t = tree()
    assert daemon.stop() == 0
    assert t.is_gone(0)


def test_the_sudden_end_of_the_daemon_leaves_nothing(daemon, tree):
    t = tree()
    daemon.kill()
    assert t.is_gone(5)


def test_a_closed_pool_leaves_nothing(client, tree):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    t = tree(name)
    assert client.call("close_pool", name, {"kill": True}) is None
    refused("BrokenPoolError", client.call, "result", t.future)
    assert t.is_gone(5)
