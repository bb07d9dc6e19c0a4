"""retry [ids]: the same tasks accepted again, with new ids."""
from helpers import lines, refused, sh


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
