"""retry [ids]: the same tasks accepted again, with new ids."""
import os
import pytest
from helpers import eventually, lines, refused, sh
from people import ANN, connect, launch_shared, needs_root
from rpc import ref


def test_retry_gives_a_new_id_and_runs_the_same_task(daemon, client):
    log = daemon.path("log")
    future = client.call("submit", "shell", *sh('echo ran >>"$1"; exit 3', log), {"name": "n", "tags": ["t"], "env": {"A": "1"}})
    client.call("wait", [future])
    (again,) = client.call("retry", [future])
    assert again > future
    assert refused("ExitError", client.call, "result", again)["exit"] == 3
    assert lines(log) == ["ran", "ran"]
    shown = client.call("show", again)
    assert (shown["name"], shown["tags"], shown["fn"]) == ("n", ["t"], "/bin/sh")


def test_the_old_future_keeps_its_outcome(daemon, client):
    marker = daemon.path("marker")
    future = client.call("submit", "shell", *sh('[ -e "$1" ]', marker))
    refused("ExitError", client.call, "result", future)
    open(marker, "w").close()
    (again,) = client.call("retry", [future])
    assert client.call("result", again)["exit"] == 0
    refused("ExitError", client.call, "result", future)


def test_many_are_retried_in_the_order_asked(shared):
    first, count = shared.call("map", "shell", "echo", [[str(n)] for n in range(5)])
    shared.call("wait", [[first, count]])
    new = shared.call("retry", [first + 4, [first, 2]])
    assert new == sorted(new)
    assert [shared.call("result", i)["stdout"] for i in new] == [b"4\n", b"0\n", b"1\n"]


def test_a_cancelled_task_may_be_retried(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "echo", ["x"])
    client.call("cancel", [future])
    (again,) = client.call("retry", [future])
    client.call("resume", "shell")
    assert client.call("result", again)["stdout"] == b"x\n"
    assert client.call("state", [future]) == ["CANCELLED"]


def test_retry_of_nothing_is_nothing(shared):
    assert shared.call("retry", []) == []


def test_an_unknown_id_retries_none(shared):
    future = shared.call("submit", "shell", "false")
    shared.call("wait", [future])
    before = shared.call("map", "shell", "true", [])
    refused("UnknownFutureError", shared.call, "retry", [future, future + 1])
    assert shared.call("map", "shell", "true", []) == before


def test_what_is_not_final_cannot_be_retried(daemon, client):
    client.call("pause", "shell")
    done, pending = client.call("submit", "one", "true"), client.call("submit", "shell", "true")
    client.call("wait", [done])
    before = client.call("map", "shell", "true", [])
    refused("InvalidStateError", client.call, "retry", [done, pending])
    assert client.call("map", "shell", "true", []) == before


def test_duplicates_are_retried_once(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    assert len(shared.call("retry", [future, [future, 1]])) == 1


def test_what_belonged_to_the_call_is_not_repeated(daemon, client):
    bad = client.call("submit", "shell", "false")
    future = client.call("submit", "shell", "echo", ["x"], {"after": [bad], "watch": True})
    client.notification("done")
    (again,) = client.call("retry", [future])
    assert client.call("result", again)["stdout"] == b"x\n"
    assert client.pending_notifications("done") == []
    keyed = client.call("submit", "shell", "true", [], {"key": "k"})
    client.call("wait", [keyed])
    (again,) = client.call("retry", [keyed])
    assert again != keyed and client.call("submit", "shell", "true", [], {"key": "k"}) == keyed


def test_a_reference_to_what_has_expired_cannot_be_retried(shared):
    from rpc import ref
    source = shared.call("submit", "shell", "echo", ["x"])
    reader = shared.call("submit", "shell", "cat", [], {"stdin": ref(source)})
    shared.call("wait", [reader])
    shared.call("release", [source])
    assert refused("ExpiredFutureError", shared.call, "retry", [reader])["future"] == source


def test_options_are_kept(shared):
    future = shared.call("submit", "shell", "cat", [], {"stdin": b"fed", "priority": 5, "cwd": "/usr"})
    shared.call("wait", [future])
    (again,) = shared.call("retry", [future])
    assert shared.call("result", again)["stdout"] == b"fed"
    assert shared.call("show", again)["priority"] == 5


def submitted(client):
    return client.call("stats")["totals"]["submitted"]


def test_where_one_cannot_be_retried_none_is(daemon, client):
    """Those in front of one whose reference had expired ran, and their ids were told to nobody."""
    source = client.call("submit", "shell", "echo", ["x"])
    ids = [client.call("submit", "shell", "true", args) for args in ([], [ref(source)])]
    client.call("wait", ids)
    client.call("release", [source])
    before = submitted(client)
    assert refused("ExpiredFutureError", client.call, "retry", ids)["future"] == source
    assert submitted(client) == before


@pytest.mark.config(pools={"tiny": {"kind": "command", "workers": 1, "queue": 3}, "small": {"kind": "command", "workers": 1, "queue": 2}})
def test_the_queue_has_room_for_all_of_them_or_none_is_retried(daemon, client):
    ids = [client.call("submit", pool, "true", [], {"block": True}) for pool in ("tiny", "small") * 3]
    client.call("wait", ids)
    client.call("pause", "tiny"), client.call("pause", "small")
    assert "small" in refused("QueueFullError", client.call, "retry", ids)["message"]
    assert client.call("list", {"state": "PENDING"}) == []
    assert len(client.call("retry", ids[:5])) == 5
    refused("QueueFullError", client.call, "retry", ids[:1])


@pytest.mark.config(pools={"tiny": {"kind": "command", "workers": 1, "queue": 2}})
def test_a_retry_does_not_overtake_those_who_wait_for_room(daemon, client):
    done = client.call("submit", "tiny", "true")
    client.call("wait", [done])
    client.call("pause", "tiny")
    client.call("submit", "tiny", "true")
    asked = client.request("map", "tiny", "true", [[], []], {"block": True})
    refused("QueueFullError", client.call, "retry", [done])
    client.call("resume", "tiny")
    assert client.answer(asked)[1] == 2


@needs_root
def test_a_retry_does_not_wait_for_room_although_the_first_did(launch):
    """`block` belonged to that call."""
    daemon = launch_shared(launch, {"limits": {"user": {"pending": 1}}})
    ann = connect(daemon, ANN)
    done = ann.call("submit", "shell", "true", [], {"block": True})
    ann.call("wait", [done])
    connect(daemon, 0).call("pause", "shell")
    ann.call("submit", "shell", "true")
    refused("LimitError", ann.call, "retry", [done])


@pytest.mark.config(limits={"memory": "1MiB"}, store="memory")
def test_a_retry_holds_no_more_memory_than_there_may_be(daemon, client):
    failed = client.call("submit", "shell", "false", ["x" * 100000])
    client.call("wait", [failed])
    client.call("pause", "shell")
    for _ in range(10):
        client.call("submit", "shell", "true", ["x" * 100000])
    assert "limits.memory" in refused("QueueFullError", client.call, "retry", [failed])["message"]


def test_all_are_retried_or_none(daemon, client):
    """Those before the one that cannot be ran, under ids that nobody was told."""
    from rpc import ref
    log = daemon.path("log")
    first = client.call("submit", "shell", *sh('echo ran >>"$1"', log))
    source = client.call("submit", "shell", "echo", ["x"])
    reader = client.call("submit", "shell", "echo", [ref(source)])
    client.call("wait", [first, reader])
    client.call("release", [source])
    before = client.call("map", "shell", "true", [])
    refused("ExpiredFutureError", client.call, "retry", [first, reader])
    assert client.call("map", "shell", "true", []) == before and lines(log) == ["ran"]


@pytest.mark.config(pools={"tiny": {"kind": "command", "workers": 1, "queue": 3}})
def test_what_does_not_fit_into_the_queue_together_is_not_retried(daemon, client):
    done = []
    for _ in range(4):
        done.append(client.call("submit", "tiny", "true"))
        client.call("wait", done)
    client.call("pause", "tiny")
    before = client.call("map", "shell", "true", [])
    refused("QueueFullError", client.call, "retry", done)
    assert client.call("map", "shell", "true", []) == before
    assert len(client.call("retry", done[:3])) == 3
    refused("QueueFullError", client.call, "submit", "tiny", "true")


@pytest.mark.config(limits={"memory": "1MiB"})
def test_at_the_bound_of_memory_nothing_is_retried(daemon, client):
    """The copies of arguments were held beyond it."""
    big = os.urandom(100000)
    client.call("pause", "one")
    failed = client.call("submit", "shell", *sh("exit 1", "x" * 100000))
    eventually(lambda: client.call("failures"))
    held = []
    with pytest.raises(Exception) as caught:
        for _ in range(100):
            held.append(client.call("submit", "one", "cat", [], {"stdin": big}))
    assert caught.value.type == "QueueFullError"
    assert "limits.memory" in refused("QueueFullError", client.call, "retry", [failed])["message"]
    client.call("cancel", held)
    client.call("release", held)
    client.call("wait", client.call("retry", [failed]))
