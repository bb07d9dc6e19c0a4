"""command, env and cwd of open_pool: workers that are the client's own interpreter."""
import os

import pytest

import helpers
from helpers import refused

PACKAGE = os.path.join(helpers.ROOT, "client", "python")
COMMAND = ["/usr/bin/python3", "-c", "import sys; sys.path.insert(0, %r); from futured.worker import main; main([])" % PACKAGE]
CONFIG = {"pools": {"py": {"kind": "process", "runtime": "python", "env": {"FROM_POOL": "1", "BOTH": "pool"}}}}


def test_workers_are_what_the_client_says(shared, tmp_path):
    pool = shared.call("open_pool", {"like": "py", "workers": 1, "command": COMMAND, "cwd": str(tmp_path), "bound": True,
                                     "env": {"MINE": "2", "BOTH": b"mine", "PATH": "/nowhere", "HOME": None}})
    assert shared.call("call", pool, "os.getcwd") == str(tmp_path)
    for name, value in [("MINE", "2"), ("FROM_POOL", "1"), ("BOTH", "mine"), ("PATH", "/nowhere")]:
        assert shared.call("call", pool, "os.getenv", [name]) == value
    assert shared.call("call", pool, "os.getenv", ["FUTURED_SLOTS"]) == "1"
    assert shared.call("call", pool, "os.getenv", ["HOME"]) is None and shared.call("call", pool, "os.getenv", ["USER"])
    shared.call("close_pool", pool)


@pytest.mark.parametrize("option, value", [
    ("command", []), ("command", "python3"), ("command", ["python3"]), ("command", ["/bin/true", 1]), ("command", [b"/bin/a\0b"]),
    ("env", []), ("env", {"": "x"}), ("env", {"A=B": "x"}), ("env", {"A": 1}), ("env", {"A": "x\0"}),
    ("cwd", "relative"), ("cwd", ""), ("cwd", 1), ("cwd", "/" + 5000 * "x")], ids=repr)
def test_a_bad_value_is_a_value_error(shared, option, value):
    before = len(shared.call("pools"))
    assert option in refused("ValueError", shared.call, "open_pool", {"like": "py", option: value})["message"]
    assert len(shared.call("pools")) == before


def test_commands_have_no_such_options(shared):
    refused("UnsupportedError", shared.call, "open_pool", {"like": "shell", "command": COMMAND})


def test_a_program_that_is_not_there_breaks_its_pool_alone(shared):
    pool = shared.call("open_pool", {"like": "py", "command": ["/nonexistent/python"], "bound": True})
    refused("BrokenPoolError", shared.call, "call", pool, "os.getpid")
    assert shared.call("call", "py", "os.getpid") > 0
    shared.call("close_pool", pool, {"kill": True})
