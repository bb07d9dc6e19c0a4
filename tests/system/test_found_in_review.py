"""What a stranger found who read the daemon to break it: each is the shortest conversation that once broke it."""
import os
import signal

import pytest

import rpc
from helpers import eventually, refused, sh
from rpc import ref, request



@pytest.mark.config(limits={"memory": "1MiB"}, store="memory")
def test_a_reference_to_a_future_that_is_evicted_by_the_same_submit_is_an_error(daemon, client):
    ids = [client.call("submit", "shell", *sh("head -c 700000 /dev/zero")) for _ in range(2)]
    client.call("wait", ids)
    refused(("ExpiredFutureError", "QueueFullError"), client.call, "submit", "shell", "cat", [ref(ids[0])])
    assert client.call("ping", 1) == 1


@pytest.mark.parametrize("how", ["after", "stdin"])
def test_a_map_whose_dependency_is_released_while_it_is_made_fails_its_futures(daemon, client, how):
    source = client.call("submit", "shell", "echo", ["x"])
    client.call("wait", [source])
    options = {"after": [source]} if how == "after" else {"stdin": ref(source)}
    client.expect(500), client.expect(501)
    client.send(request(500, "map", "shell", "true", [[]] * 18000, options) + request(501, "result", source, None, {"release": True}))
    first, count = client.answer(500)
    client.answer(501)
    client.call("pause", "shell")
    eventually(lambda: client.call("state", [first + count - 1]) == ["FINISHED"] or client.call("show", first + count - 1)["why"])
    assert client.call("ping", 1) == 1


def test_a_map_whose_reference_is_released_while_it_is_made_is_refused_once(daemon, client):
    """It was answered a second time, with another error."""
    source = client.call("submit", "shell", "echo", ["x"])
    client.call("wait", [source])
    client.expect(500), client.expect(501)
    client.send(request(500, "map", "shell", "true", [[ref(source)]] * 18000) + request(501, "release", [source]))
    refused("ExpiredFutureError", client.answer, 500)
    client.answer(501)
    assert client.call("list") == []
    assert client.call("ping", 1) == 1


def test_input_to_a_task_that_is_cancelled_before_it_runs_is_forgotten_with_it(daemon, client):
    client.call("pause", "one")
    future = client.call("submit", "one", "cat", [], {"stdin": True})
    client.call("input", future, b"x")
    assert client.call("cancel", [future]) == [True]
    client.call("release", [future])
    client.call("resume", "one")
    assert client.call("call", "one", "true")["exit"] == 0


def test_a_blocked_feeder_is_told_when_the_task_is_cancelled(daemon, client):
    client.call("pause", "one")
    future = client.call("submit", "one", "cat", [], {"stdin": True})
    client.call("input", future, b"x" * (1 << 20))
    asked = client.request("input", future, b"more")
    client.call("cancel", [future])
    refused("InvalidStateError", client.answer, asked)


@pytest.mark.parametrize("how", ["show", "pools"])
def test_an_answer_to_a_feeder_never_stands_in_the_middle_of_another(daemon, client, how):
    """Whoever looks at a task may be the first to see that it has begun: then what feeders waited to say goes to it, and they are answered."""
    for _ in range(30):
        client.call("pause", "one")
        future = client.call("submit", "one", "cat", [], {"stdin": True})
        client.call("input", future, b"x" * (1 << 20))
        asked = client.request("input", future, b"more", {"eof": True})
        client.call("resume", "one")
        while not client.is_answered(asked):
            assert client.call(how, *([future] if how == "show" else []))
        client.answer(asked)
        client.call("result", future, None, {"release": True})


def test_events_never_stand_in_the_middle_of_an_answer(daemon, client):
    client.call("events")
    for _ in range(60):
        ids = [client.call("submit", "shell", "true") for _ in range(4)]
        assert isinstance(client.call("pools"), list)
        client.call("show", ids[0])
        client.call("stats")
        client.call("wait", ids)


def test_the_event_of_a_submit_comes_behind_its_answer(daemon):
    sock = rpc.open_socket(daemon.address)
    sock.sendall(request(1, "events") + request(2, "submit", "shell", "true"))
    text = b""
    while b"event" not in text:
        text += sock.recv(65536)
    assert text.index(b"\x94\x01\x02\xc0") < text.index(b"event")
    sock.close()


def test_a_list_of_long_names_is_bounded_and_paged(daemon, client):
    client.call("pause", "one")
    first, count = client.call("map", "one", "/" + "x" * 1000000, [[]] * 200)
    rows = client.call("list")
    assert len(rows) == count and all(len(row["fn"]) < 2000 for row in rows)
    client.call("cancel", [[first, count]])


@pytest.mark.config(limits={"message": "4MiB"})
def test_references_that_add_up_beyond_a_message_fail_the_task_without_being_added_up(daemon, client):
    source = client.call("submit", "shell", *sh("head -c 900000 /dev/zero | tr '\\0' x"))
    client.call("wait", [source])
    before = daemon.rss()
    future = client.call("submit", "shell", "echo", [ref(source)] * 1000)
    refused("ValueError", client.call, "result", future)
    assert daemon.rss() - before < 32 << 20


def test_a_pool_cannot_be_paused_once_the_daemon_is_shutting_down(daemon, client, gate):
    future = client.call("submit", "one", *gate.task())
    gate.await_start()
    other = daemon.client()
    asked = client.request("shutdown")
    eventually(lambda: _ending(other))
    refused("ShutdownError", other.call, "pause", "one")
    gate.open()
    assert client.answer(asked) is None
    assert future
    daemon.await_end()


def _ending(client):
    try:
        client.call("submit", "one", "true", [], {"bound": True})
    except rpc.RpcError as error:
        return error.type == "ShutdownError"
    return False


def test_one_who_asks_for_much_does_not_take_anothers_turn(daemon, client):
    client.call("pause", "one")
    run = client.call("map", "one", "true", [[]] * 50000)
    greedy = rpc.open_socket(daemon.address)
    greedy.sendall(b"".join(request(n, "list", {"name": "nosuch"}) for n in range(1000)))
    watched = client.call("submit", "shell", *sh("true"), {"watch": True})
    while client.notification("done")[0] != watched:
        pass
    greedy.close()
    client.call("cancel", [run])


def test_many_waits_on_one_future_are_cheap(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    asked = [client.request("wait", [future]) for _ in range(5000)]
    assert client.call("ping", 1) == 1
    gate.open()
    assert all(client.answer(n)["done"] == [future] for n in asked)


def test_two_pipelined_maps_with_one_key_are_one_map(daemon, client):
    client.call("pause", "one")
    client.expect(700), client.expect(701)
    client.send(b"".join(request(n, "map", "one", "true", [[]] * 30000, {"key": "k"}) for n in (700, 701)))
    run = client.answer(700)
    assert client.answer(701) == run
    assert client.call("cancel", [run]) == [True] * 30000


@pytest.mark.config(pools={"one-1": {"kind": "command", "workers": 1}})
def test_an_opened_pool_never_has_the_name_of_another(daemon, client):
    name = client.call("open_pool", {"like": "one"})
    assert name != "one-1" and name in [p["name"] for p in client.call("pools")]
    client.call("close_pool", name)


def test_an_opened_pool_is_not_resized_beyond_its_bound(daemon, client):
    name = client.call("open_pool", {"like": "one"})
    refused("LimitError", client.call, "resize", name, 1000)
    client.call("close_pool", name)


def test_a_slot_goes_on_after_many_tasks_were_taken_back(daemon, client, gate):
    future = client.call("submit", "one", *gate.task())
    host = int(client.call("show", future)["pid"]) if gate.await_start() else 0
    gate.open()
    client.call("wait", [future])
    os.kill(host, signal.SIGSTOP)
    try:
        for _ in range(70):
            taken = client.call("submit", "one", "true")
            client.call("cancel", [taken])
    finally:
        os.kill(host, signal.SIGCONT)
    assert client.call("call", "one", "true")["exit"] == 0
