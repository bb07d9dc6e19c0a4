"""Corners of the durable store: what is refused after it came to its end already, what was let go and is still needed, answers to a peer that is slow."""
import errno
import os
import select
import signal
import sys

import pytest

import helpers
from helpers import HERE, eventually, refused, sh
from rpc import ref

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import shims   # noqa: E402

FAULTY = os.path.join(helpers.ROOT, "build-faults", "bin", "futured")
CONFIG = {"store": "sqlite", "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1},
                                        "native": {"kind": "process", "runtime": "native", "workers": 2,
                                                   "modules": [os.path.join(helpers.ROOT, helpers.BUILD, "modules", "work.so")]}}}


@pytest.fixture
def reborn(launch):
    def again(daemon, **config):
        daemon.kill()
        daemon.clients.clear()
        return launch(config, directory=daemon.directory)
    return again


@pytest.fixture
def on_disk(launch, tmp_path):
    """A daemon whose store's disk the test rules."""
    path = os.path.join(str(tmp_path), "store.db")
    disk = shims.disk(str(tmp_path), path)
    return launch({"store": "sqlite:" + path}, env=disk.env), disk


def payload_files(daemon):
    top = daemon.path("state")
    return sorted(f for name in os.listdir(top) if name.startswith("payload-") for f in os.listdir(os.path.join(top, name)))


def accepted(client, *task):
    try:
        return client.call("submit", *task)
    except helpers.RpcError as error:
        assert error.type == "StoreError", error.error
        return None


@pytest.mark.skipif(not os.path.exists(FAULTY), reason="no build with faults: make FAULTS=1 all")
def test_a_slow_reader_hears_nothing_before_its_commit(launch):
    """Its socket has room again in the very turn in which what it waits for is noted."""
    daemon = launch(start=False, env={"FUTURED_FAULT": "commit_late"})
    daemon.program = FAULTY
    daemon.start()
    client, slow = daemon.client(), daemon.client()
    big = client.call("submit", "native", "echo", [b"x" * (4 << 20)])
    client.call("wait", [big])
    future = client.call("submit", "one", "/bin/true", [], {"delay": 100})
    for _ in range(3):
        slow.request("result", big)
    asked = slow.request("result", future)
    assert select.select([slow.socket], [], [], 10)[0]
    client.call("ping")
    os.kill(daemon.pid, signal.SIGSTOP)
    client.request("cancel", [future])
    slow._read()
    slow._read()
    os.kill(daemon.pid, signal.SIGCONT)
    with pytest.raises(helpers.RpcError):
        slow.answer(asked)
    daemon.kill()
    daemon.clients.clear()
    assert launch(directory=daemon.directory).client().call("state", [future]) == ["CANCELLED"]
