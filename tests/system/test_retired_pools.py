"""A pool that the configuration does not name any more: what runs there finishes, what waits waits for its return, and nothing else does."""
import os

import pytest

from helpers import BUILD, descendants, eventually, refused
from kinds import RUNTIME, let_go


@pytest.fixture
def house(launch):
    """A daemon with one pool more; its `retire` takes that out of the configuration, and its `bring_back` puts it there again."""
    def start(pool, **keys):
        daemon = launch({"pools": {"gone": pool}, **keys})
        whole = daemon.config["pools"]

        def change(pools):
            daemon.config["pools"] = pools
            daemon.write_config()
            daemon.client().call("reload")
        daemon.retire = lambda: change({name: p for name, p in whole.items() if name != "gone"})
        daemon.bring_back = lambda: change(whole)
        return daemon, daemon.client()
    return start


def test_a_submit_that_waits_for_room_is_refused(house):
    daemon, client = house({"kind": "command", "workers": 1, "queue": 1})
    client.call("submit", "gone", "true", [], {"delay": 1000})
    blocked = client.request("submit", "gone", "true", [], {"block": True})
    client.call("ping")
    daemon.retire()
    refused("UnknownPoolError", client.answer, blocked)


def late_host(mark):
    """A host that cannot start before there is a file."""
    return {"kind": "process", "workers": 1, "runtime": ["/bin/sh", "-c", "[ -e %s ] || exit 1; exec %s %s %s" % (mark, *RUNTIME)]}


def test_a_broken_one_fails_nothing_meanwhile_and_heals_when_it_is_back(house, tmp_path):
    """It failed what came to the end of its delay, and stayed broken for ever: the time of its next try had passed while it was away."""
    daemon, client = house(late_host(tmp_path / "good"))
    due, later = (client.call("submit", "gone", "echo", [n], {"delay": n}) for n in (1.5, 3))
    refused("BrokenPoolError", client.call, "call", "gone", "echo", [1])
    daemon.retire()
    eventually(lambda: client.call("show", due)["why"]["code"] == "no_pool", 3)
    assert client.call("state", [due, later]) == ["PENDING"] * 2
    let_go(tmp_path / "good")
    daemon.bring_back()
    assert client.call("call", "gone", "echo", [7]) == 7
    assert [client.call("result", i) for i in (due, later)] == [1.5, 3]


def test_a_worker_that_fails_while_it_is_away_breaks_nothing(house, tmp_path):
    loading = "until [ -e %s ]; do sleep 0.01; done; exec %s" % (tmp_path / "go", os.path.join(BUILD, "libexec", "futured-worker"))
    daemon, client = house({"kind": "process", "workers": 1, "runtime": ["/bin/sh", "-c", loading], "modules": ["/nonexistent.so"]})
    future = client.call("submit", "gone", "echo", [1])
    eventually(lambda: descendants(daemon.pid))
    daemon.retire()
    let_go(tmp_path / "go")
    eventually(lambda: not descendants(daemon.pid))
    assert client.call("state", [future]) == ["PENDING"]
    client.call("cancel", [future])


def test_a_worker_that_hangs_while_it_starts_has_no_more_than_the_grace(house, tmp_path):
    daemon, client = house({"kind": "process", "workers": 1, "grace": "300ms", "runtime": ["/bin/sh", "-c", "exec sleep 1000"]})
    future = client.call("submit", "gone", "echo", [1])
    eventually(lambda: descendants(daemon.pid))
    daemon.retire()
    eventually(lambda: not descendants(daemon.pid), 5, "the worker is ended")
    client.call("cancel", [future])


def test_its_tasks_are_shown_in_full_before_and_after_a_restart(launch, house):
    daemon, client = house({"kind": "command", "env": {"POOLS": "secret"}}, store="sqlite")
    future = client.call("submit", "gone", "true", [], {"env": {"MINE": "1"}, "cwd": "/tmp", "delay": 1000})
    daemon.retire()
    shown = client.call("show", future)
    assert (shown["state"], shown["cwd"], shown["env"]["MINE"]) == ("PENDING", "/tmp", "1")
    daemon.stop()
    shown = launch({"store": "sqlite"}, directory=daemon.directory).client().call("show", future)
    assert (shown["state"], shown["cwd"], shown["env"]["MINE"]) == ("PENDING", "/tmp", "1")
