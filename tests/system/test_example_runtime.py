"""The example runtime: what docs/worker-contract.md promises to a stranger is enough to write one."""
import os
import signal
import sys

import pytest

import helpers
from worker_host import CLAIMED, SENT, Host

RUNTIME = os.path.join(helpers.ROOT, "examples", "runtime", "runtime.py")
TASKS = """
import os, time

def add(a, b=10):
    return a + b

def fail(message):
    raise KeyError(message)

def leave():
    raise SystemExit(3)

def crash():
    os._exit(7)

def show(*lines):
    for line in lines:
        print(line)

def until_file(path):
    while not os.path.exists(path):
        time.sleep(0.001)

def unsendable():
    return object()

def warm(n):
    global warmth
    warmth = 100 // n

def get_warmth():
    return warmth
"""


@pytest.fixture
def start(tmp_path):
    hosts = []

    def start(**keys):
        directory = tmp_path / str(len(hosts))
        directory.mkdir()
        (directory / "tasks.py").write_text(TASKS)
        hosts.append(Host(str(directory), "process", program=["/usr/bin/python3", RUNTIME, str(directory / "tasks.py")], **keys))
        return hosts[-1]
    yield start
    for host in hosts:
        host.finish()


def test_it_says_little_and_so_gets_one_task_at_a_time(start):
    assert start().ready() == {"name": "example"}


def test_values_errors_and_output(start):
    host = start()
    host.ready()
    slot = host.slot
    assert slot.call("add", 1, 2) == 3
    assert slot.call("add", 1, options={"kwargs": {"b": 4}, "secret": "s"}) == 5
    assert slot.call("add", [1], ["ä", b"\xff", None, 1.5]) == [1, "ä", b"\xff", None, 1.5]
    error = slot.error("fail", "gone")
    assert (error["type"], error["message"]) == ("KeyError", "'gone'") and "in fail" in error["traceback"]
    assert slot.error("nope")["type"] == "KeyError"
    assert slot.error("leave")["type"] == "SystemExit"
    assert slot.error("unsendable")["type"] == "TypeError"
    assert slot.ask("show", "a", "x" * 100000) == ["ok", None]
    assert slot.printed() == b"a\n" + b"x" * 100000 + b"\n"
    assert all(len(m[3]) <= 65536 for m in slot.said)


def test_board_is_left_alone(start):
    host = start()
    host.ready()
    id, entry = host.slot.run("add", 1)
    assert host.slot.answer(id) == ["ok", 11]
    assert host.slot.state(entry)[0] == SENT


def test_initializer(start):
    host = start(initializer="warm", initargs=[4])
    host.ready()
    assert host.slot.call("get_warmth") == 25
    assert start(initializer="warm", initargs=[0]).failed()["type"] == "ZeroDivisionError"


def test_end_comes_after_the_running_task(start, tmp_path):
    host = start()
    host.ready()
    id, _ = host.slot.run("show", "begun")
    host.slot.answer(id)
    id, _ = host.slot.run("until_file", str(tmp_path / "go"))
    host.slot.host.control.send(["end"])
    assert host.slot.silent(0.1)
    (tmp_path / "go").touch()
    assert host.slot.receive() == ["ok", id, None]
    assert host.await_end() == 0
    idle = start()
    idle.ready()
    assert idle.end() == 0


def test_end_of_the_daemon_ends_it_whatever_it_runs(start):
    host = start()
    host.ready()
    host.slot.run("until_file", "/nowhere/at/all")
    host.control.close()
    assert host.await_end() == 0


def test_crash_is_seen_at_the_slot(start):
    host = start()
    host.ready()
    host.slot.run("crash")
    assert host.slot.receive() is None and host.await_end() == 7
