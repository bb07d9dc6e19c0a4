"""The nth allocation of the daemon fails, for every n, in flows that each use other parts of it: the call fails or succeeds, the connection may
end, and the daemon goes on; what it acknowledged is there."""
import os
import sys
import tempfile

import pytest

from helpers import HERE
from kinds import PROCESS
from rpc import Closed, Hang, RpcError

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import shims   # noqa: E402

CONFIG = {"pools": {"shell": {"kind": "command", "workers": 1}, "cpu": {**PROCESS, "workers": 1}}, "limits": {"message": "1MiB"}}
MOST = 3000     # allocations that a flow may need


def greet(client, _):
    client.call("hello", {"protocol": 1, "client": "memory"})
    client.call("stats")
    client.call("pools")


def submit(client, seen):
    seen.append(client.call("submit", "cpu", "add", [1, 2], {"tags": ["a", "b"], "priority": 3, "name": "n"}))


def submit_with_all(client, seen):
    first = client.call("submit", "shell", "true", [], {"retries": 2, "delay": 0.001, "deadline": 100, "retain": 100, "env": {"A": "b"}})
    seen.append(first)
    seen.append(client.call("submit", "shell", "true", [], {"after": [first], "key": "k%d" % first, "limits": {"files": 100}}))


def run_command(client, seen):
    future = client.call("submit", "shell", "/bin/sh", ["-c", "echo out; echo err >&2; head -c 100000 /dev/zero"])
    seen.append(future)
    client.call("result", future)
    client.call("output", future, {"stream": "both"})


def watch_many(client, seen):
    first, count = client.call("map", "cpu", "add", [[n, 1] for n in range(40)], {"watch": True})
    seen += range(first, first + count)
    client.call("wait", [[first, count]])
    for _ in range(count):
        client.notification("done")


def watch(client, seen):
    """On two pages of the registry, with a wait beside it on each."""
    client.call("events")
    client.call("pause", "cpu")
    try:
        first, count = client.call("map", "cpu", "add", [[n, 1] for n in range(300)])
        seen += range(first, first + count)
        client.request("wait", [[first, count]])
        done = client.call("watch", [[first, count]], {"result": True})["done"]
    finally:
        client.call("resume", "cpu")
    for _ in range(count - len(done)):
        client.notification("done")


def cancel(client, seen):
    client.call("pause", "cpu")
    try:
        first, count = client.call("map", "cpu", "add", [[n, 1] for n in range(40)])
        seen += range(first, first + count)
        client.call("cancel", [[first, count]])
    finally:
        client.call("resume", "cpu")


def look(client, seen):
    future = client.call("submit", "cpu", "fail")
    seen.append(future)
    client.call("wait", [future])
    client.call("show", future)
    client.call("list", {"limit": 50})
    client.call("failures")
    client.call("exception", future)
    client.call("retry", [future])


def pipe(client, seen):
    future = client.call("submit", "shell", "cat", [], {"stdin": True})
    seen.append(future)
    client.call("output", future, {"follow": True})
    client.call("input", future, b"x" * 50000, {"eof": True})
    client.call("result", future)


def close(client, seen):
    name = client.call("open_pool", {"like": "shell", "workers": 1, "bound": True})
    first, count = client.call("map", name, "sleep", [["100"]] * 3)
    seen += range(first, first + count)
    client.call("close_pool", name, {"kill": True})


def leave(client, seen):
    """Bound futures, which go with the connection."""
    seen += [client.call("submit", "shell", "sleep", ["100"], {"bound": True}) for _ in range(20)]
    client.end()
    client.await_close()


FLOWS = [greet, submit, submit_with_all, run_command, watch_many, watch, cancel, look, pipe, close, leave]


def stages(launch, tmp_path, config):
    shim = shims.Shim("malloc", str(tmp_path))
    return launch(config, env=shim.env), shim


def nth_fails(launch, tmp_path, flow, config, step=1, most=MOST):
    """For each n: the flow on a connection of its own; then memory is there again, and all is well. Returns how many n there were."""
    daemon, shim = stages(launch, tmp_path, config)
    steady = daemon.client(patience=30)
    steady.call("call", "cpu", "add", [1, 1])
    flow(daemon.client(patience=30), [])
    for n in range(1, most, step):
        seen = []
        client = daemon.client(patience=30)
        shim.count, shim.failed, shim.left = 1, 0, n
        try:
            flow(client, seen)
        except RpcError as error:
            assert error.type in ("LimitError", "QueueFullError", "StoreError", "ValueError", "WorkerLostError", "ShutdownError", "UnknownPoolError",
                                  "ExitError", "BrokenPoolError", "DependencyError"), error.error
        except Closed:
            pass
        shim.left = 0
        client.close()
        assert daemon.is_running(), "it ended with %s at n = %d" % (daemon.process.returncode, n)
        for pool in ("cpu", "shell"):
            steady.call("resume", pool)
        assert steady.call("call", "cpu", "add", [n, 1]) == n + 1
        for future, state in zip(seen, steady.call("state", seen)):
            assert state in ("PENDING", "RUNNING", "FINISHED", "CANCELLED"), future
        unheard = [f["id"] for state in ("PENDING", "RUNNING") for f in steady.call("list", {"state": state}) if f["id"] not in seen]
        steady.call("cancel", unheard, {"running": "ask"})   # the connection ended before it was told their ids
        if flow is not leave:
            steady.call("cancel", seen, {"running": "ask"})   # one that waits for input that was refused would wait for ever
        assert steady.call("wait", seen, "ALL_COMPLETED", 20)["not_done"] == [], "n = %d: something hangs" % n
        steady.call("release", seen)
        if not shim.failed:
            return n
    return most


def test_a_submit_survives_the_want_of_memory_at_every_point(launch, tmp_path):
    assert nth_fails(launch, tmp_path, submit, {}) > 2, "the control: some allocation was refused"


@pytest.mark.long
@pytest.mark.parametrize("flow", FLOWS, ids=lambda f: f.__name__)
def test_every_flow_survives_the_want_of_memory_at_every_point(launch, tmp_path, flow):
    assert nth_fails(launch, tmp_path, flow, {}) > 2, "the control: some allocation was refused"
