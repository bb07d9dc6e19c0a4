"""examples/python: each runs as it is, and prints what it says. Where it matters, so does a script of the standard library."""
import os
import subprocess

import pytest

import helpers

CONFIG = {"pools": {"py": {"kind": "process", "runtime": "python"}, "pythread": {"kind": "thread", "runtime": "python"}}}
EXAMPLES = os.path.join(helpers.ROOT, "examples", "python")
SAYS = {
    "orders": ["order 7: 49 items", "order 8: 64 items", "order 9: 81 items", "order 1: 1 items", "order 2: 4 items",
               "order 3 failed: the shop hung up", "order 4: 16 items", "order 5: 25 items"],
    "primes": ["2000 303", "10 4", "500 95", "1465"],
    "fastest": ["first: near", "cancelled: True"],
    "warm": ["the quick brown fox"],
    "pipeline": ["222750"],
    "isolated": ["[285, 328350]", "kept is 42", "NameError: name 'kept' is not defined", "14"],
    "awaited": ["[0, 2, 4, 6, 8]", "42"],
    "beyond": ["done", "TaskTimeoutError", "killed: True", "5 (3, 3, 'step')", "3", "lost, with status 7", "16"],
}


def run(daemon, *command):
    env = {**os.environ, "FUTURED_ADDRESS": "unix:" + daemon.address, "PYTHONDONTWRITEBYTECODE": "1",
           "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python")}
    return subprocess.run(["/usr/bin/python3", *command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_prints_what_it_says(shared_daemon, name):
    ended = run(shared_daemon, os.path.join(EXAMPLES, name + ".py"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.splitlines()) == sorted(SAYS[name])


def test_every_example_is_run():
    assert {f[:-3] for f in os.listdir(EXAMPLES) if f.endswith(".py")} == set(SAYS)


@pytest.mark.parametrize("name", ["orders", "primes", "fastest", "warm", "pipeline", "awaited"])
def test_the_import_line_is_all_that_changes(tmp_path, name):
    with open(os.path.join(EXAMPLES, name + ".py")) as f:
        text = f.read()
    assert text.count("from futured import") == 1
    script = tmp_path / "script.py"
    script.write_text(text.replace("from futured import", "from concurrent.futures import"))
    ended = subprocess.run(["/usr/bin/python3", str(script)], capture_output=True, text=True, timeout=60)
    assert sorted(ended.stdout.splitlines()) == sorted(SAYS[name]), ended.stderr
