"""The option key: while a future with this key is known, submit returns its id and starts nothing."""
import pytest

from helpers import eventually, lines, refused, sh
from rpc import ref


def test_the_same_key_gives_the_same_id_and_runs_once(daemon, client):
    log = daemon.path("log")
    ids = {client.call("submit", "shell", *sh('echo ran >>"$1"', log), {"key": "k"}) for _ in range(5)}
    assert len(ids) == 1
    client.call("wait", list(ids))
    assert lines(log) == ["ran"]


def test_another_key_is_another_future(shared):
    assert shared.call("submit", "shell", "true", [], {"key": "a1"}) != shared.call("submit", "shell", "true", [], {"key": "a2"})


def test_nothing_else_is_compared(shared):
    future = shared.call("submit", "shell", "echo", ["first"], {"key": "cmp"})
    assert shared.call("submit", "one", "echo", ["second"], {"key": "cmp", "priority": 9, "name": "other"}) == future
    assert shared.call("result", future)["stdout"] == b"first\n"


def test_a_key_is_known_over_connections(shared_daemon, shared):
    future = shared.call("submit", "shell", "true", [], {"key": "conn"})
    other = shared_daemon.client()
    assert other.call("submit", "shell", "true", [], {"key": "conn"}) == future
    other.close()


def test_a_key_of_a_failed_future_is_still_known(shared):
    future = shared.call("submit", "shell", "false", [], {"key": "bad"})
    shared.call("wait", [future])
    assert shared.call("submit", "shell", "true", [], {"key": "bad"}) == future


def test_a_key_is_free_again_after_release(shared):
    future = shared.call("submit", "shell", "true", [], {"key": "rel"})
    shared.call("wait", [future])
    shared.call("release", [future])
    assert shared.call("submit", "shell", "true", [], {"key": "rel"}) > future


def test_a_key_is_free_again_after_it_expired(shared):
    future = shared.call("submit", "shell", "true", [], {"key": "exp", "retain": 0.05})
    shared.call("wait", [future])
    again = eventually(lambda: (lambda i: i != future and i)(shared.call("submit", "shell", "true", [], {"key": "exp", "retain": 0.05})))
    assert again > future


def test_a_key_of_a_cancelled_future_is_known(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "true", [], {"key": "c"})
    client.call("cancel", [future])
    assert client.call("submit", "shell", "true", [], {"key": "c"}) == future


@pytest.mark.config(pools={"tiny": {"kind": "command", "workers": 1, "queue": 1}})
def test_a_known_key_is_answered_even_when_full(daemon, client):
    client.call("pause", "tiny")
    future = client.call("submit", "tiny", "true", [], {"key": "k"})
    refused("QueueFullError", client.call, "submit", "tiny", "true", [], {"key": "other"})
    assert client.call("submit", "tiny", "true", [], {"key": "k"}) == future


def test_a_refused_submit_leaves_no_key(shared):
    refused("UnknownPoolError", shared.call, "submit", "nosuch", "true", [], {"key": "ghost"})
    refused("ValueError", shared.call, "submit", "shell", "true", [], {"key": "ghost", "nosuch": 1})
    assert shared.call("call", "shell", "echo", ["x"], {"key": "ghost"})["stdout"] == b"x\n"


def test_a_key_of_a_map_stands_for_the_run(daemon, client):
    log = daemon.path("log")
    run = client.call("map", "shell", "/bin/sh", [["-c", 'echo $0 >>"$1"', str(n), log] for n in range(4)], {"key": "run"})
    assert client.call("map", "shell", "true", [], {"key": "run"}) == run
    client.call("wait", [run])
    assert sorted(lines(log)) == ["0", "1", "2", "3"]


def test_pipelined_submits_with_one_key_start_one_task(daemon, client):
    log = daemon.path("log")
    asked = [client.request("submit", "shell", *sh('echo ran >>"$1"', log), {"key": "pipe"}) for _ in range(50)]
    ids = {client.answer(m) for m in asked}
    assert len(ids) == 1
    client.call("wait", list(ids))
    assert lines(log) == ["ran"]


def test_a_key_may_be_any_text_and_is_not_cut(shared):
    keys = ["", " ", "ü", "a" * 200, "a" * 199 + "b", "x\0y", "x\0z"]
    accepted = []
    for key in keys:
        try:
            accepted.append(shared.call("submit", "shell", "true", [], {"key": key}))
        except Exception as error:
            assert error.type == "ValueError"
    assert len(set(accepted)) == len(accepted) >= 5


@pytest.mark.parametrize("method, args", [("submit", []), ("map", [[]])])
def test_a_known_key_is_answered_though_what_it_waited_for_is_gone(shared, method, args):
    """One who submits again after a lost connection names the same futures, which others may have released."""
    first = shared.call("submit", "shell", "true")
    options = {"key": "after " + method, "after": [first]}
    answer = shared.call(method, "shell", "true", args, options)
    shared.call("wait", [first])
    shared.call("release", [first])
    assert shared.call(method, "shell", "true", args, options) == answer
    assert shared.call("submit", "shell", "cat", [], {"key": "after " + method, "stdin": ref(first)})
    refused("ExpiredFutureError", shared.call, method, "shell", "true", args, {"after": [first]})
    refused("ExpiredFutureError", shared.call, "submit", "shell", "cat", [], {"stdin": ref(first)})


def test_key_together_with_bound_is_refused(shared):
    for method in ("submit", "call"):
        refused("ValueError", shared.call, method, "shell", "true", [], {"key": "kb", "bound": True})
    refused("ValueError", shared.call, "map", "shell", "true", [[]], {"key": "kb", "bound": True})


def test_watch_on_the_key_of_a_map_watches_the_run(daemon, client):
    """Nobody was told of anything: who submits again after a lost connection waited for ever. Longer than a turn, half of it done."""
    count = 9000
    client.call("pause", "one")
    asked = ("map", "one", "true", [[]] * count, {"key": "k", "watch": True})
    first, _ = client.call(*asked)
    client.call("cancel", [[first, count // 2]])
    other = daemon.client()
    other.trace = []
    assert other.call(*asked) == [first, count]
    client.call("cancel", [[first, count]])
    for n in range(count):
        assert other.notification("done") == [first + n, "CANCELLED", {"type": "CancelledError", "future": first + n,
                                              "message": "future %d was cancelled" % (first + n)}, None]
    assert other.trace[0][:2] == [1, 1], "the answer comes first"
    client.call("ping")
    assert other.pending_notifications() == []
