"""No byte on any socket reveals what is not committed. With a store made to commit late (300 ms), whatever asks about a change, or is told of it, hears
nothing until its commit; control: the gate off, where it does. These need the build with faults."""
import os
import select
import time

import pytest

import helpers
from helpers import sh

FAULTY = os.path.join(helpers.ROOT, "build-faults", "bin", "futured")
CONFIG = {"store": "sqlite", "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1}}}
EARLY = 0.15  # of the 300 ms that a commit takes

pytestmark = [pytest.mark.long, pytest.mark.skipif(not os.path.exists(FAULTY), reason="no build with faults: make FAULTS=1 all")]


class Stage:
    def __init__(self, launch, faults):
        self.daemon = launch(start=False, env={"FUTURED_FAULT": faults})
        self.daemon.program = FAULTY
        self.daemon.start()
        self.listeners = {}

    def listen(self, name, *request):
        client = self.daemon.client()
        if request:
            client.request(*request)
        self.listeners[name] = client
        return client

    def heard(self, seconds):
        """Who got any byte within that time."""
        until, early = time.monotonic() + seconds, set()
        while time.monotonic() < until:
            sockets = {c.socket: name for name, c in self.listeners.items() if name not in early}
            ready, _, _ = select.select(list(sockets), [], [], max(0, until - time.monotonic()))
            early |= {sockets[s] for s in ready}
        return early


def questions(stage, id):
    """Everybody who may ask about a future, or be told of it."""
    for name, request in {
            "state": ("state", [id]), "show": ("show", id), "wait": ("wait", [id], "ALL_COMPLETED", 0), "result": ("result", id, 0),
            "exception": ("exception", id, 0), "list": ("list", {}), "cancel": ("cancel", [id]), "failures": ("failures",)}.items():
        stage.listen(name, *request)


def submitted(stage):
    stage.listen("submit", "submit", "one", "/bin/true", [], {"watch": True, "delay": 100})
    stage.listen("map", "map", "one", "/bin/true", [[], []], {"delay": 100})
    stage.daemon.client().call("ping", 1)
    stage.listen("list", "list", {})
    stage.listen("pools", "pools")


def cancelled(stage):
    client = stage.daemon.client()
    id = client.call("submit", "one", "/bin/true", [], {"delay": 100})
    watcher = stage.daemon.client()
    watcher.call("watch", [id])
    teller = stage.daemon.client()
    teller.call("events")
    client.request("cancel", [id])
    stage.listeners.update(cancelling=client, watcher=watcher, events=teller)
    questions(stage, id)


def released(stage):
    client = stage.daemon.client()
    id = client.call("submit", "shell", "/bin/true", [])
    client.call("wait", [id])
    client.request("release", [id])
    stage.listeners["releasing"] = client
    questions(stage, id)


def finished(stage):
    """The task itself says when it has run."""
    client = stage.daemon.client()
    fifo = stage.daemon.path("fifo")
    os.mkfifo(fifo)
    id = client.call("submit", "shell", *sh('echo value; echo over >"$1"', fifo))
    client.request("result", id)
    watcher = stage.daemon.client()
    watcher.request("watch", [id], {"result": True})
    with open(fifo) as f:
        assert f.read() == "over\n"
    time.sleep(0.05)  # its answer is under way
    for c in (client, watcher):
        while c.socket in select.select([c.socket], [], [], 0)[0]:
            c._read()  # what was said before the end
    stage.listeners.update(result=client, watcher=watcher)
    questions(stage, id)


HISTORIES = [submitted, cancelled, released, finished]


@pytest.mark.parametrize("history", HISTORIES)
def test_nothing_is_told_before_its_commit(launch, history):
    stage = Stage(launch, "commit_late")
    history(stage)
    pinger = stage.daemon.client()
    assert pinger.call("ping", "still here") == "still here"
    assert stage.heard(EARLY) == set()
    assert stage.heard(2) == set(stage.listeners)  # and all of it is told then


@pytest.mark.parametrize("history", HISTORIES)
def test_with_the_gate_off_it_is_told_at_once(launch, history):
    """The control."""
    stage = Stage(launch, "commit_late,gate_off")
    history(stage)
    assert stage.heard(EARLY) != set()
