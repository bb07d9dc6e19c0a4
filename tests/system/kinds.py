"""Pools of all kinds, for tests that say the same to each: see POOLS. Functions that the native modules and the script share have
the same names there (tests/modules/testing.c, tests/lua/odd.lua)."""
import os

from helpers import BUILD, ROOT, eventually

MODULES = [os.path.join(BUILD, "modules", name + ".so") for name in ("work", "testing")]
SCRIPT = os.path.join(ROOT, "tests", "lua", "odd.lua")
RUNTIME = ["/usr/bin/python3", os.path.join(ROOT, "examples", "runtime", "runtime.py"), os.path.join(ROOT, "tests", "system", "toys.py")]

PROCESS = {"kind": "process", "runtime": "native", "modules": MODULES}
THREAD = {"kind": "thread", "runtime": "native", "modules": MODULES}
LUA = {"kind": "interpreter", "runtime": "lua", "script": SCRIPT}
TOY = {"kind": "process", "runtime": RUNTIME}

POOLS = {
    "shell": {"kind": "command", "workers": 2},
    "cpu": {**PROCESS, "workers": 2},
    "io": {**THREAD, "workers": 2},
    "lua": {**LUA, "workers": 2},
    "toy": {**TOY, "workers": 1},
}
FUNCTIONS = ["cpu", "io", "lua"]


def shown(client, name):
    """The pool's map, as `pools` says it."""
    return next(p for p in client.call("pools") if p["name"] == name)


def hold(client, pool, path, count=1):
    """Submits tasks that run until there is a file at path; returns their ids once all of them run."""
    first, _ = client.call("map", pool, "until_file", [[path]] * count)
    ids = list(range(first, first + count))
    eventually(lambda: client.call("state", ids) == ["RUNNING"] * count, what="all of them run")
    return ids


def let_go(path):
    with open(path, "w"):
        pass


def numbers(path):
    """The ids that tasks have marked in a file."""
    try:
        with open(path) as f:
            return [int(line) for line in f.read().split()]
    except FileNotFoundError:
        return []
