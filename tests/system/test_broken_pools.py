"""A pool whose workers cannot start says why, fails what waits, does not spin, and heals by itself."""
import os
import re
import time

import pytest

from helpers import BUILD, HERE, descendants, eventually, refused
from kinds import LUA, PROCESS, RUNTIME, SCRIPT, THREAD, shown

MODULE = os.path.join(BUILD, "modules", "%s.so")


def pool(**keys):
    return pytest.mark.config(pools={"bad": keys})


@pytest.fixture
def bad(daemon, client):
    """A call on the pool `bad` fails; its reason is also what `pools` and the log say."""
    def call():
        error = refused("BrokenPoolError", client.call, "call", "bad", "noop")
        assert shown(client, "bad")["broken"]["message"] == error["message"]
        assert "broken" in daemon.log()
        return error["message"]
    return call


@pytest.mark.parametrize("kind", ["process", "thread"])
@pytest.mark.parametrize("module, reason", [("wrong_abi", "ABI"), ("no_symbol", "futured_module"), ("from_the_future", "futured_from_the_future"),
                                            ("nosuch", "nosuch.so")])
def test_a_module_that_cannot_be_loaded_is_named(launch, kind, module, reason):
    daemon = launch({"pools": {"bad": {"kind": kind, "runtime": "native", "modules": [MODULE % module], "workers": 2}}})
    client = daemon.client()
    message = refused("BrokenPoolError", client.call, "call", "bad", "noop")["message"]
    assert module + ".so" in message and reason.lower() in message.lower(), message
    assert shown(client, "bad")["broken"]["message"] == message
    assert module + ".so" in daemon.log()
    assert client.call("call", "shell", "true")["exit"] == 0, "the other pools do not care"


@pool(kind="process", runtime="native", modules=[MODULE % "crash_at_load"], workers=2)
def test_a_module_that_crashes_while_loading_is_no_crash_loop(daemon, client, bad):
    message = bad()
    assert "before" in message and "ready" in message and "signal 11" in message, message
    starts = daemon.log().count("ended before it was ready")
    assert starts <= 6
    time.sleep(0.7)  # within the pause nothing is tried
    assert daemon.log().count("ended before it was ready") == starts


@pool(kind="process", runtime=["/bin/sh", "-c", "echo no licence found >&2; exit 3"], workers=1)
def test_the_reason_has_the_last_words_of_a_worker(bad):
    message = bad()
    assert "status 3" in message and "no licence found" in message


@pool(kind="process", runtime=["/usr/bin/python3", os.path.join(HERE, "rogue.py"), "shy"], workers=1)
def test_a_worker_that_ends_when_it_is_given_a_task_is_no_crash_loop(daemon, client, bad):
    """The task had not begun, so it was given to the next one, for ever."""
    bad()
    assert daemon.log().count("died (status 3)") <= 6


@pytest.mark.long
@pool(kind="process", runtime=["/bin/sh", "-c", "sleep 2.6; exit 3"], workers=1)
def test_one_whose_workers_fail_slowly_is_broken_too(client):
    """Five failures in ten seconds break a pool. One that took longer was tried for ever, and nobody was told."""
    assert "status 3" in refused("BrokenPoolError", client.call, "call", "bad", "noop", timeout=30)["message"]


@pytest.mark.long
def test_a_broken_pool_tries_no_more_when_the_daemon_ends(launch, tmp_path):
    """A worker that was started so was not told to end, and the daemon waited for it, and left it behind."""
    mark = str(tmp_path / "mark")
    daemon = launch({"pools": {"bad": {"kind": "process", "runtime": ["/bin/sh", "-c", "[ -e %s ] && exec sleep 1000; exit 3" % mark], "workers": 1},
                               "deaf": {"kind": "process", "runtime": ["/bin/sh", "-c", "exec sleep 1000"], "workers": 1}}})
    client = daemon.client()
    client.call("cancel", [client.call("submit", "deaf", "noop")])
    refused("BrokenPoolError", client.call, "call", "bad", "noop")
    open(mark, "w").close()
    assert shown(client, "deaf")["alive"] == 1, "it does not hear that it is to end, and is killed after 5 s"
    daemon.stop(30)
    assert "do not end" not in daemon.log()


@pool(kind="process", runtime=["/nonexistent/runtime"], workers=1)
def test_a_runtime_that_is_not_there_is_named(bad):
    assert "No such file" in bad()


@pool(**{**LUA, "script": SCRIPT + ".nosuch"})
def test_a_script_that_is_not_there_is_named(bad):
    assert "nosuch" in bad()


@pytest.mark.parametrize("like, kind", [(PROCESS, "process"), (THREAD, "thread"), (LUA, "interpreter")], ids=["process", "thread", "lua"])
def test_a_failing_initializer_breaks_the_pool(launch, like, kind):
    daemon = launch({"pools": {"bad": {**like, "workers": 2, "initializer": "set_warmth", "initargs": [-5]}}})
    client = daemon.client()
    client.call("pause", "bad")
    waiting = client.call("map", "bad", "noop", [[]] * 10)
    client.call("resume", "bad")
    for n in range(10):
        error = refused("BrokenPoolError", client.call, "result", waiting[0] + n)
        assert "-5 degrees" in error["message"] and "bad" in error["message"]
    assert shown(client, "bad")["broken"]["type"] == "BrokenPoolError"
    refused("BrokenPoolError", client.call, "submit", "bad", "noop")
    refused("BrokenPoolError", client.call, "map", "bad", "noop", [[]])


@pytest.mark.parametrize("like", [PROCESS, THREAD, LUA], ids=["process", "thread", "lua"])
def test_every_worker_is_initialized_once_before_its_first_task(launch, like):
    daemon = launch({"pools": {"warm": {**like, "workers": 3, "initializer": "set_warmth", "initargs": [21]}}})
    client = daemon.client()
    first, count = client.call("map", "warm", "get_warmth", [[]] * 300)
    assert {client.call("result", first + n) for n in range(count)} == {21}


@pytest.mark.config(client_pools={"enabled": True})
@pool(**PROCESS)
def test_an_opened_pools_initializer_gets_its_arguments(daemon, client):
    name = client.call("open_pool", {"like": "bad", "workers": 2, "initializer": "set_warmth", "initargs": [7]})
    assert client.call("call", name, "get_warmth") == 7
    assert client.call("call", "bad", "get_warmth") == 0
    client.call("close_pool", name)
    name = client.call("open_pool", {"like": "bad", "workers": 1, "initializer": "set_warmth", "initargs": [-1]})
    assert "-1 degrees" in refused("BrokenPoolError", client.call, "call", name, "noop")["message"]
    assert client.call("call", "bad", "get_warmth") == 0, "the pool that it is like is well"
    client.call("close_pool", name)
    name = client.call("open_pool", {"like": "bad", "workers": 1, "initializer": "no_such_function"})
    assert "no_such_function" in refused("BrokenPoolError", client.call, "call", name, "noop")["message"]
    client.call("close_pool", name)


@pytest.mark.parametrize("kind", ["process", "interpreter"])
def test_a_pool_heals_when_its_workers_start_again(launch, tmp_path, kind):
    script = tmp_path / "late.lua"
    keys = {"kind": "interpreter", "runtime": "lua", "script": str(script), "workers": 2}
    if kind == "process":
        program = tmp_path / "host"
        program.write_text('#!/bin/sh\n[ -e "%s" ] || { echo not yet >&2; exit 1; }\n' % script +
                           'exec /usr/bin/python3 %s %s\n' % tuple(RUNTIME[1:]))
        program.chmod(0o700)
        keys = {"kind": "process", "runtime": [str(program)], "workers": 2}
    daemon = launch({"pools": {"bad": keys}})
    client = daemon.client()
    refused("BrokenPoolError", client.call, "call", "bad", "echo", [1])
    script.write_text("function echo(value) return value end")
    eventually(lambda: shown(client, "bad")["broken"] is None, 10, "the pool heals")
    assert client.call("call", "bad", "echo", [1]) == 1
    assert "healed" in daemon.log()


@pool(kind="interpreter", runtime="lua", script=SCRIPT + ".nosuch", workers=4)
def test_the_pause_between_tries_doubles(daemon, client, bad):
    bad()
    eventually(lambda: "next try is in 2 s" in daemon.log(), 5)
    assert daemon.log().count("next try is in 1 s") == 1


def test_a_worker_killed_while_it_starts_is_replaced(launch, tmp_path):
    """Its slots were counted off twice, and the pool waited for ever for a start that was none."""
    mark = str(tmp_path / "mark")
    script = "[ -e %s ] || { : >%s; printf '\\301' >&3; exec sleep 1000; }; exec %s" % (mark, mark, os.path.join(BUILD, "libexec", "futured-worker"))
    daemon = launch({"pools": {"late": {"kind": "process", "runtime": ["/bin/sh", "-c", script], "modules": [MODULE % "work"], "workers": 1}}})
    client = daemon.client()
    assert client.call("call", "late", "add", [1, 2]) == 3
    assert "no message" in daemon.log()


def test_a_worker_that_closes_its_control_socket_while_it_starts_is_replaced(launch, tmp_path):
    mark = str(tmp_path / "mark")
    script = "[ -e %s ] || { : >%s; exec 3>&-; exec sleep 1000; }; exec %s" % (mark, mark, os.path.join(BUILD, "libexec", "futured-worker"))
    daemon = launch({"pools": {"late": {"kind": "process", "runtime": ["/bin/sh", "-c", script], "modules": [MODULE % "work"], "workers": 1}}})
    client = daemon.client()
    assert client.call("call", "late", "add", [1, 2]) == 3
    assert "closed its sockets" in daemon.log()


@pytest.mark.parametrize("wrong, sign", [("die_of_a_task", "died (status 3)"), ("close_after_ready", "is killed: it closed its sockets"),
                                         ("close_before_ready", "is killed: it closed its sockets before it was ready")])
def test_workers_that_end_before_they_begin_a_task_are_no_loop(launch, wrong, sign):
    """What had been sent to them counted as a task that they ran, and was sent to the next one, and so on for ever. One that closed a socket and was
    ready only then healed the pool each time, and stayed, of no use."""
    daemon = launch({"pools": {"bad": {"kind": "process", "runtime": ["/usr/bin/python3", os.path.join(HERE, "rogue.py"), wrong], "workers": 1}}})
    client = daemon.client()
    error = refused("BrokenPoolError", client.call, "call", "bad", "noop")
    assert re.search("begin a task .status 3|closed its sockets|are ready", error["message"])
    assert 5 <= daemon.log().count(sign) <= 7
    eventually(lambda: not descendants(daemon.pid), 2, "none is left")
