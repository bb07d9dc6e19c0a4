"""reload and backup: what an operator asks of a running daemon."""
import os
import signal

import pytest

from helpers import is_alive, refused, sh
from kinds import THREAD, hold, let_go


def rewrite(daemon, **changes):
    """Another configuration in the same file."""
    from conftest import merged, yaml
    with open(daemon.config_path, "w") as f:
        for key, value in merged(daemon.config, changes).items():
            f.write("%s: %s\n" % (key, yaml(value)))


def names(client):
    return sorted(p["name"] for p in client.call("pools"))


def test_reload_of_the_same_configuration_changes_nothing(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo x"))
    gate.await_start()
    assert client.call("reload") == []
    gate.open()
    assert client.call("result", future)["stdout"] == b"x\n"


def test_a_new_pool_is_there_after_reload(daemon, client):
    rewrite(daemon, pools={"fresh": {"kind": "command", "workers": 1}})
    assert client.call("reload") == []
    assert names(client) == ["fresh", "one", "shell"]
    assert client.call("call", "fresh", "echo", ["x"])["stdout"] == b"x\n"


def test_a_pool_may_grow_by_reload(daemon, client, gate):
    rewrite(daemon, pools={"one": {"kind": "command", "workers": 2}})
    assert client.call("reload") == []
    ids = [client.call("submit", "one", *gate.task()) for _ in range(2)]
    gate.await_start(), gate.await_start()
    gate.open(2)
    client.call("wait", ids)


def test_a_mistake_changes_nothing_and_is_told(daemon, client):
    rewrite(daemon, pools={"fresh": {"kind": "nosuch"}, "one": {"kind": "command", "workers": 7}})
    refused("ValueError", client.call, "reload")
    assert names(client) == ["one", "shell"]
    assert client.call("call", "one", "true")["exit"] == 0


def test_what_needs_a_restart_is_told(daemon, client):
    rewrite(daemon, state_dir=daemon.path("elsewhere"))
    told = client.call("reload")
    assert len(told) == 1 and "state_dir" in told[0]


def test_futures_of_a_pool_that_is_gone_stay_pending_until_it_returns(daemon, client):
    client.call("pause", "one")
    future = client.call("submit", "one", "echo", ["x"])
    whole = dict(daemon.config)
    daemon.config = {**whole, "pools": {"shell": whole["pools"]["shell"]}}
    rewrite(daemon)
    client.call("reload")
    shown = client.call("show", future)
    assert shown["state"] == "PENDING" and shown["why"]["code"] == "no_pool"
    refused("UnknownPoolError", client.call, "submit", "one", "true")
    daemon.config = whole
    rewrite(daemon)
    client.call("reload")
    client.call("resume", "one")
    assert client.call("result", future)["stdout"] == b"x\n"


def test_a_pending_future_of_a_pool_that_is_gone_can_be_cancelled(daemon, client):
    client.call("pause", "one")
    future = client.call("submit", "one", "echo", ["x"])
    daemon.config = {**daemon.config, "pools": {"shell": daemon.config["pools"]["shell"]}}
    rewrite(daemon)
    client.call("reload")
    assert names(client) == ["shell"]
    assert client.call("cancel", [future]) == [True]
    assert client.call("state", [future]) == ["CANCELLED"]


def test_running_tasks_of_a_pool_that_is_gone_finish(daemon, client, gate):
    future = client.call("submit", "one", *gate.task("echo finished"))
    gate.await_start()
    daemon.config = {**daemon.config, "pools": {"shell": daemon.config["pools"]["shell"]}}
    rewrite(daemon)
    client.call("reload")
    assert names(client) == ["shell"]
    gate.open()
    assert client.call("result", future)["stdout"] == b"finished\n"


def without_one(daemon, client):
    """The configuration loses the pool `one`."""
    daemon.config = {**daemon.config, "pools": {"shell": daemon.config["pools"]["shell"]}}
    rewrite(daemon)
    client.call("reload")


@pytest.mark.parametrize("cancel", [False, True])
def test_what_waits_for_the_return_of_a_pool_does_not_keep_the_daemon_from_ending(daemon, client, cancel):
    """It never ended, since what can never run had not run; and cancel_futures passed over it."""
    client.call("pause", "one")
    client.call("submit", "one", "true", [], {"watch": cancel})
    without_one(daemon, client)
    assert client.call("shutdown", {"cancel_futures": cancel}) is None
    if cancel:
        assert client.notification("done")[1] == "CANCELLED"
    assert daemon.await_end() == 0


@pytest.mark.config(stop_timeout="20s")
@pytest.mark.parametrize("how", ["SIGTERM", "shutdown", "drain"])
def test_the_running_tasks_of_a_pool_that_is_gone_are_waited_for(daemon, client, gate, how):
    future = client.call("submit", "one", *gate.task("echo finished"))
    gate.await_start()
    without_one(daemon, client)
    waiting = client.request("result", future)
    if how == "SIGTERM":
        daemon.process.send_signal(signal.SIGTERM)
    else:
        asked = client.request(how)
    client.call("ping")
    assert how == "SIGTERM" or not client.is_answered(asked)
    gate.open()
    assert client.answer(waiting)["stdout"] == b"finished\n"
    if how != "SIGTERM":
        client.answer(asked)
    if how != "drain":
        assert daemon.await_end(5) == 0


@pytest.mark.config(stop_timeout="100ms", pools={"one": {"kind": "command", "workers": 1, "grace": "100ms"}})
def test_the_running_tasks_of_a_pool_that_is_gone_are_stopped_with_the_others(daemon, client, gate):
    """The daemon left their worker behind after 15 s."""
    client.call("submit", "one", *gate.task())
    pid = gate.await_start()
    without_one(daemon, client)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.await_end(5) == 0
    assert not is_alive(pid)


def test_a_running_task_of_a_pool_that_is_gone_is_still_known(daemon, client, gate):
    secret = daemon.path("secret")
    client.call("submit", "one", *gate.task(before='echo $FUTURED_TASK >%s' % secret))
    gate.await_start()
    without_one(daemon, client)
    with open(secret) as f:
        assert daemon.client().call("hello", {"protocol": 1, "task": f.read().strip()})["identity"]
    gate.open()


def test_a_running_thread_of_a_pool_that_is_gone_can_still_not_be_killed(launch, tmp_path):
    daemon = launch({"pools": {"io": {**THREAD, "workers": 1}}})
    client, path = daemon.client(), str(tmp_path / "go")
    ids = hold(client, "io", path)
    daemon.config = {**daemon.config, "pools": {"shell": daemon.config["pools"]["shell"]}}
    rewrite(daemon)
    client.call("reload")
    refused("UnsupportedError", client.call, "cancel", ids, {"running": "kill"})
    let_go(path)
    assert client.call("wait", ids)["done"] == ids


def test_who_waits_for_room_in_a_pool_that_is_gone_is_refused(launch):
    daemon = launch({"pools": {"one": {"kind": "command", "workers": 1, "queue": 1}}})
    client = daemon.client()
    client.call("pause", "one")
    client.call("submit", "one", "true")
    asked = client.request("submit", "one", "true", [], {"block": True})
    client.call("ping")
    without_one(daemon, client)
    refused("UnknownPoolError", client.answer, asked)


@pytest.mark.config(store="memory")
def test_a_memory_store_has_no_backup(daemon, client):
    path = daemon.path("backup.db")
    refused("UnsupportedError", client.call, "backup", path)
    assert not os.path.exists(path)


@pytest.mark.parametrize("params", [[], [7], [None], [True], [b"/x"], ["relative"], [""], ["/tmp/x", 1]], ids=repr)
def test_a_bad_path_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "backup", *params)


def test_a_task_may_ask_for_its_pools_by_itself(daemon, client):
    """The address in a task's environment is the one that it may talk to."""
    value = client.call("call", "shell", *sh("echo $FUTURED_ADDRESS"))
    assert value["stdout"].decode().strip() == "unix:" + daemon.address
