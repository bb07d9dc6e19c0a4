#!/usr/bin/python3
"""What a task runs that submits tasks itself: nested.py HOW POOL DEPTH. At depth 0 it is done; else it submits one of depth - 1 to
the pool (several, separated by commas, take turns) and waits for it, in the way that HOW names: call, result, wait or watch."""
import json
import os
import shlex
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402


def task(how, pools, depth):
    """Pool, fn and args of a task of this depth; the first pool runs it."""
    pools = pools.split(",")
    words = ["/usr/bin/python3", os.path.abspath(__file__), how, ",".join(pools[1:] + pools[:1]), str(depth)]
    if pools[0] in ("shell", "one"):
        return pools[0], words[0], words[1:]
    return pools[0], "shell_as_task", [shlex.join(words) + " </dev/null"]


def main():
    how, pools, depth = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if depth == 0:
        return
    client = rpc.Client(os.environ["FUTURED_ADDRESS"], patience=60)
    client.call("hello", {"protocol": 1, "client": "nested", "task": os.environ["FUTURED_TASK"]})
    child = task(how, pools, depth - 1)
    if how == "call":
        value = client.call("call", *child)
    elif how == "watch":
        client.call("submit", *child, {"watch": True})
        _, state, error, value = client.notification("done")
        assert (state, error) == ("FINISHED", None)
    else:
        future = client.call("submit", *child)
        if how == "wait":
            assert client.call("wait", [future])["not_done"] == []
        value = client.call("result", future)
    assert value == 0 or value["exit"] == 0, json.dumps(value, default=str)


if __name__ == "__main__":
    main()
