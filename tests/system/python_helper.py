"""What the tests of the Python package share: its place, a configuration, an executor of each kind, scripts."""
import os
import subprocess
import sys

import pytest

import helpers

PACKAGE = os.path.join(helpers.ROOT, "client", "python")
sys.path.insert(0, PACKAGE)
import futured  # noqa: E402

CONFIG = {"pools": {"py": {"kind": "process", "runtime": "python", "workers": 2},
                    "pythread": {"kind": "thread", "runtime": "python", "workers": 2}}}
SHAPES = {"process": futured.ProcessPoolExecutor, "thread": futured.ThreadPoolExecutor}


@pytest.fixture(params=SHAPES)
def pool(request, shared_daemon):
    """An executor of each kind, two workers."""
    with SHAPES[request.param](2, address="unix:" + shared_daemon.address) as executor:
        yield executor


@pytest.fixture
def processes(shared_daemon):
    with futured.ProcessPoolExecutor(2, address="unix:" + shared_daemon.address) as executor:
        yield executor


def touch(path):
    with open(path, "w"):
        pass


def until_file(path):
    """A task; workers import this module."""
    helpers.eventually(lambda: os.path.exists(path), 20)
    return path


def run_script(daemon, text, *arguments, flags=(), **env):
    """A script in a file of its own, against that daemon: what it printed. It must end well, and quietly."""
    ended = try_script(daemon, text, *arguments, flags=flags, **env)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


def try_script(daemon, text, *arguments, flags=(), **env):
    path = daemon.path("script.py")
    with open(path, "w") as f:
        f.write(text)
    return subprocess.run(["/usr/bin/python3", *flags, path, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100,
                          env={**os.environ, "PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1", "FUTURED_ADDRESS": "unix:" + daemon.address, **env})
