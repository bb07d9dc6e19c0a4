"""Records of the store, as they are and as they should not be."""
import os
import sqlite3

import pytest

import helpers
from helpers import sh

CONFIG = {"store": "sqlite", "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1},
                                       "native": {"kind": "process", "runtime": "native", "workers": 2, "modules": [os.path.join(helpers.ROOT, helpers.BUILD, "modules", "work.so")]}}}


@pytest.fixture
def damage(launch):
    """Kills the daemon, has the statements executed on its store, and starts the next one."""
    def again(daemon, *statements):
        daemon.kill()
        daemon.clients.clear()
        db = sqlite3.connect(daemon.path("state/futured.db"))
        for sql, *values in statements:
            db.execute(sql, values)
        db.commit()
        db.close()
        return launch(directory=daemon.directory)
    return again


def rows(daemon, sql):
    """With no daemon there."""
    db = sqlite3.connect(daemon.path("state/futured.db"))
    found = db.execute(sql).fetchall()
    db.close()
    return found


def test_a_value_outlives_the_file_of_its_arguments(daemon, client, damage):
    """It was taken for gone with it."""
    future = client.call("submit", "native", "noop", [os.urandom(1 << 20)])
    value = client.call("result", future)
    state = daemon.path("state")
    daemon.kill()
    for name in os.listdir(state):
        if name.startswith("payload-"):
            os.unlink(os.path.join(state, name, "%d.args" % future))
    assert damage(daemon).client().call("result", future) == value


def test_a_key_with_a_nul_is_that_key_after_a_restart(daemon, client, damage):
    """It was stored up to there."""
    future = client.call("submit", "shell", *sh("true"), {"key": "a\0b"})
    client.call("wait", [future])
    client = damage(daemon).client()
    assert client.call("submit", "shell", *sh("true"), {"key": "a\0b"}) == future
    assert client.call("submit", "shell", *sh("true"), {"key": "a"}) != future
