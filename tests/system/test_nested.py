"""A task that submits tasks and waits for them: it learns where the daemon is and who it is, and never waits for its own worker."""
import os
import signal
import subprocess

import pytest

from helpers import BUILD, eventually, refused, sh
from kinds import LUA, PROCESS, THREAD, hold, let_go, shown
from nested import task

CONFIG = {"pools": {"one": {"kind": "command", "workers": 1}, "cpu": {**PROCESS, "workers": 1}, "io": {**THREAD, "workers": 1},
                    "lua": {**LUA, "workers": 1}, "other": {**PROCESS, "workers": 1}}}
ALL = ["one", "cpu", "io", "lua"]


def lender(daemon, client, pool):
    """A running task of the pool, and a connection that speaks for it."""
    future = client.call("submit", pool, "lend_secret", [daemon.path("secret"), daemon.path("go")])
    path = daemon.path("secret.%d" % future)
    secret = eventually(lambda: os.path.exists(path) and open(path).read(), what="the secret").strip()
    speaker = daemon.client()
    speaker.call("hello", {"protocol": 1, "task": secret})
    return future, speaker, secret


def test_a_task_knows_where_the_daemon_is_and_who_it_is(shared):
    for pool in "cpu", "io", "lua":
        future = shared.call("submit", pool, "context")
        number, attempt, name, address, secret = shared.call("result", future)
        assert (number, attempt, name) == (future, 1, pool) and address.startswith("unix:/") and len(secret) == 32
        refused("AuthenticationError", shared.call, "hello", {"protocol": 1, "task": secret})
    future = shared.call("submit", "one", *sh("echo $FUTURED_ID $FUTURED_ATTEMPT $FUTURED_ADDRESS ${#FUTURED_TASK}"))
    assert shared.call("result", future)["stdout"].decode().split() == [str(future), "1", address, "32"]


def test_the_secret_is_anothers_in_each_attempt(shared):
    assert len({shared.call("call", "cpu", "context")[4] for _ in range(50)}) == 50


def test_speaking_for_a_task_ends_with_it(daemon, client):
    future, speaker, secret = lender(daemon, client, "cpu")
    assert client.call("hello", {"protocol": 1, "task": secret})
    let_go(daemon.path("go"))
    client.call("wait", [future])
    refused("AuthenticationError", client.call, "hello", {"protocol": 1, "task": secret})


@pytest.mark.parametrize("how", ["call", "result", "wait", "watch"])
@pytest.mark.parametrize("pool", ALL)
def test_a_task_may_wait_for_one_of_its_own_full_pool(shared, pool, how):
    """The deadlock of nested submits to one worker: a worker is lent while the parent waits, and taken back."""
    value = shared.call("call", *task(how, pool, 1), timeout=30)
    assert value == 0 or value["exit"] == 0
    eventually(lambda: shown(shared, pool)["alive"] == 1, what="the lent worker goes")


@pytest.mark.parametrize("pool", ALL)
def test_and_that_one_for_another(shared, pool):
    value = shared.call("call", *task("call", pool, 4), timeout=60)
    assert value == 0 or value["exit"] == 0
    eventually(lambda: shown(shared, pool)["alive"] == 1)


@pytest.mark.parametrize("pools", ["cpu,io", "lua,one", "cpu,io,lua,one"])
def test_a_circle_through_several_full_pools(shared, pools):
    value = shared.call("call", *task("result", pools, 6), timeout=60)
    assert value == 0 or value["exit"] == 0


@pytest.mark.config(pools={"cpu": {**PROCESS, "workers": 2}})
def test_several_parents_at_once(daemon, client):
    ids = [client.call("submit", *task("result", "cpu", 2)) for _ in range(6)]
    assert [client.call("result", i, 60, timeout=60) for i in ids] == [0] * 6
    eventually(lambda: shown(client, "cpu")["alive"] <= 2)


def test_a_worker_is_lent_only_while_the_parent_waits(daemon, client):
    """A pool of one worker runs one task at a time, as long as that task does not wait for others."""
    parent, speaker, _ = lender(daemon, client, "cpu")
    child = speaker.call("submit", "cpu", "until_file", [daemon.path("go2")])
    second = speaker.call("submit", "cpu", "noop")
    speaker.call("ping"), client.call("ping")
    assert client.call("state", [parent, child, second]) == ["RUNNING", "PENDING", "PENDING"]
    assert shown(client, "cpu")["alive"] == 1
    waiting = speaker.request("result", child)
    eventually(lambda: client.call("state", [child]) == ["RUNNING"], what="a worker is lent")
    assert client.call("state", [parent, second]) == ["RUNNING", "PENDING"], "one, not more"
    let_go(daemon.path("go2"))
    speaker.answer(waiting)
    eventually(lambda: shown(client, "cpu")["alive"] == 1)
    let_go(daemon.path("go"))
    client.call("wait", [parent, second])


def test_a_wait_that_ran_out_is_none(daemon, client):
    parent, speaker, _ = lender(daemon, client, "cpu")
    child = speaker.call("submit", "cpu", "noop", [], {"delay": 0.3})
    refused("TimeoutError", speaker.call, "result", child, 0.05)
    refused("TimeoutError", speaker.call, "result", child, 0)
    eventually(lambda: client.call("show", child)["why"]["code"] != "delay")
    assert client.call("state", [child]) == ["PENDING"] and shown(client, "cpu")["alive"] == 1
    let_go(daemon.path("go"))
    client.call("wait", [parent, child])


def test_a_connection_that_ends_waits_no_longer(daemon, client):
    parent, speaker, _ = lender(daemon, client, "cpu")
    child = speaker.call("submit", "cpu", "until_file", [daemon.path("go2")])
    more = speaker.call("submit", "cpu", "noop")
    speaker.request("result", child)
    eventually(lambda: client.call("state", [child]) == ["RUNNING"])
    speaker.close()
    let_go(daemon.path("go2"))
    client.call("wait", [child])
    eventually(lambda: shown(client, "cpu")["alive"] == 1)
    assert client.call("state", [parent, more]) == ["RUNNING", "PENDING"]
    let_go(daemon.path("go"))
    client.call("wait", [parent, more])


def test_a_task_may_wait_for_a_child_that_had_to_wait_for_room(launch):
    """A submit that was let in later waited no longer, and that it watched from then on was told to nobody: its worker was not lent."""
    daemon = launch({"pools": {"cpu": {**PROCESS, "workers": 1, "queue": 1}}})
    client = daemon.client()
    _, speaker, _ = lender(daemon, client, "cpu")
    filler = client.call("submit", "cpu", "add", [1, 2], {"delay": 1000})
    asked = speaker.request("submit", "cpu", "add", [1, 2], {"block": True, "watch": True})
    client.call("cancel", [filler])
    child = speaker.answer(asked)
    assert speaker.notification("done") == [child, "FINISHED", None, 3]
    let_go(daemon.path("go"))


def test_a_connection_may_speak_for_one_task_after_another(daemon, client):
    """Since it waited when it spoke for the first, nobody was told that it waited for the second."""
    client.call("pause", "other")
    pending = client.call("submit", "other", "add", [1, 2])
    first, speaker, _ = lender(daemon, client, "cpu")
    speaker.call("watch", [pending])
    client.call("cancel", [first], {"running": "kill"})
    client.call("wait", [first])
    _, _, secret = lender(daemon, client, "cpu")
    speaker.call("hello", {"protocol": 1, "task": secret})
    assert speaker.call("result", speaker.call("submit", "cpu", "add", [1, 2])) == 3
    let_go(daemon.path("go"))


def test_one_that_spoke_for_an_earlier_attempt_does_not_end_the_waiting_of_a_later(daemon, client):
    client.call("pause", "other")
    pending = client.call("submit", "other", "add", [1, 2])
    future = client.call("submit", "cpu", "lend_secret", [daemon.path("secret"), daemon.path("go")], {"retries": 1})
    speakers = []
    for attempt in 1, 2:
        path = daemon.path("secret.%d" % future)
        secret = eventually(lambda: os.path.exists(path) and open(path).read(), what="the secret").strip()
        speakers.append(daemon.client())
        speakers[-1].call("hello", {"protocol": 1, "task": secret})
        speakers[-1].call("watch", [pending])
        if attempt == 1:
            os.remove(path)
            os.kill(client.call("show", future)["pid"], signal.SIGKILL)
    speakers[0].close()
    assert speakers[1].call("result", speakers[1].call("submit", "cpu", "add", [1, 2])) == 3
    let_go(daemon.path("go"))


@pytest.mark.config(pools={"io": {**THREAD, "workers": 2}})
def test_a_child_sent_ahead_behind_its_parent_goes_to_a_free_slot(daemon, client):
    client.call("wait", [client.call("map", "io", "noop", [[]] * 5000)])  # they are known to be short
    held = hold(client, "io", daemon.path("go2"))
    parent, speaker, _ = lender(daemon, client, "io")
    children = speaker.call("map", "io", "noop", [[]] * 20)
    waiting = speaker.request("wait", [children])
    let_go(daemon.path("go2"))
    assert speaker.answer(waiting)["not_done"] == []
    assert client.call("state", [parent]) == ["RUNNING"]
    let_go(daemon.path("go"))
    client.call("wait", [parent, *held])


@pytest.mark.parametrize("pool", ["cpu", "io"])
@pytest.mark.long
def test_lending_has_an_end_and_it_is_an_error_not_a_hang(daemon, client, pool):
    """Each of 257 tasks waits for the next, in a pool of one worker: the last one is refused a worker."""
    speakers = []
    for _ in range(257):
        future, speaker, _ = lender(daemon, client, pool)
        speakers.append(speaker)
        speaker.request("result", client.call("submit", "other", "until_file", [daemon.path("go2")]))
    child = client.call("submit", pool, "noop")
    assert "257 of its tasks wait" in refused("LimitError", client.call, "result", child)["message"]
    let_go(daemon.path("go"))
    let_go(daemon.path("go2"))
    eventually(lambda: shown(client, pool)["running"] == 0, 30)


def test_fut_run_in_fut_run_of_one_worker(daemon):
    fut = os.path.join(BUILD, "bin", "fut")
    done = subprocess.run([fut, "-a", "unix:" + daemon.address, "run", "-p", "one", "--", fut, "run", "-p", "one", "--", "echo", "hi"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.returncode == 0 and done.stdout == b"hi\n", done


def test_a_child_of_another_pool_needs_no_lending(daemon, client):
    parent, speaker, _ = lender(daemon, client, "cpu")
    assert speaker.call("call", "io", "add", [1, 2]) == 3
    assert shown(client, "cpu")["alive"] == 1
    let_go(daemon.path("go"))
    client.call("wait", [parent])
