"""Full queues: QueueFullError, or with the option block an answer once there is room."""
import pytest

from helpers import refused
from rpc import request

CONFIG = {"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 2}, "wide": {"kind": "command", "workers": 1, "queue": 100000}}}


@pytest.fixture
def full(daemon, client):
    """The pool `tiny`, paused and with two of two pending."""
    client.call("pause", "tiny")
    return [client.call("submit", "tiny", "true") for _ in range(2)]


def blocked(client, *params, method="submit"):
    msgid = client.request(method, *params)
    client.call("ping")
    assert not client.is_answered(msgid)
    return msgid


def test_a_full_queue_refuses(daemon, client, full):
    message = refused("QueueFullError", client.call, "submit", "tiny", "true")["message"]
    assert message == "pool tiny: its queue holds 2 of at most 2 pending futures; 1 more do not fit: with `block` it waits for room"
    assert "block" not in refused("QueueFullError", client.call, "map", "tiny", "true", [[]] * 3)["message"]   # there will never be so much
    refused("QueueFullError", client.call, "call", "tiny", "true")
    refused("QueueFullError", client.call, "submit", "tiny", "true", [], {"block": False})


def test_other_pools_are_not_full(daemon, client, full):
    assert client.call("call", "shell", "true")["exit"] == 0


def test_a_cancelled_one_makes_room(daemon, client, full):
    client.call("cancel", full[:1])
    assert client.call("submit", "tiny", "true") > full[1]


def test_what_runs_does_not_count(daemon, client, gate):
    client.call("submit", "tiny", *gate.task())
    gate.await_start()
    ids = [client.call("submit", "tiny", "true") for _ in range(2)]
    refused("QueueFullError", client.call, "submit", "tiny", "true")
    gate.open()
    client.call("wait", ids)


def test_block_answers_once_there_is_room(daemon, client, full):
    asked = blocked(client, "tiny", "true", [], {"block": True})
    client.call("cancel", full[:1])
    assert client.answer(asked) > full[1]


def test_block_answers_when_tasks_finish(daemon, client, full):
    asked = blocked(client, "tiny", "echo", ["x"], {"block": True})
    client.call("resume", "tiny")
    assert client.call("result", client.answer(asked))["stdout"] == b"x\n"


def test_block_with_room_answers_at_once(daemon, client):
    assert client.call("result", client.call("submit", "tiny", "true", [], {"block": True}))["exit"] == 0


def test_blocked_submits_are_served_in_order(daemon, client, full):
    other = daemon.client()
    asked = []
    for n in range(6):
        who = (client, other)[n % 2]
        asked.append((who, blocked(who, "tiny", "true", [], {"block": True})))
    client.call("resume", "tiny")
    ids = [who.answer(msgid) for who, msgid in asked]
    assert ids == sorted(ids)


def test_one_who_does_not_block_does_not_overtake(daemon, client, full):
    asked = blocked(client, "tiny", "true", [], {"block": True})
    client.call("cancel", full[:1])
    refused("QueueFullError", client.call, "submit", "tiny", "true")
    client.answer(asked)


def test_a_blocked_map_waits_until_all_fit(daemon, client, full):
    asked = blocked(client, "tiny", "true", [[], []], {"block": True}, method="map")
    client.call("cancel", full[:1])
    client.call("ping")
    assert not client.is_answered(asked)
    client.call("cancel", full[1:])
    assert client.answer(asked)[1] == 2


def test_a_map_that_can_never_fit_is_queue_full_at_once(daemon, client, full):
    refused("QueueFullError", client.call, "map", "tiny", "true", [[]] * 5, {"block": True})


def test_a_blocked_call_is_answered_with_its_value(daemon, client, full):
    asked = blocked(client, "tiny", "echo", ["x"], {"block": True}, method="call")
    client.call("resume", "tiny")
    assert client.answer(asked)["stdout"] == b"x\n"


def test_a_blocked_client_can_do_other_things(daemon, client, full):
    asked = blocked(client, "tiny", "true", [], {"block": True})
    assert client.call("call", "shell", "true")["exit"] == 0
    client.call("resume", "tiny")
    client.answer(asked)


def test_a_blocked_submit_goes_with_its_connection(daemon, client, full):
    with daemon.client() as other:
        blocked(other, "tiny", "true", [], {"block": True, "name": "ghost"})
    client.call("ping")
    client.call("resume", "tiny")
    client.call("wait", full)
    client.call("call", "tiny", "true")
    assert client.call("list", {"name": "ghost"}) == []


def test_a_blocked_submit_is_refused_when_the_daemon_ends(daemon, client, full):
    asked = blocked(client, "tiny", "true", [], {"block": True})
    client.call("shutdown", {"wait": False, "cancel_futures": True})
    refused("ShutdownError", client.answer, asked)
    assert daemon.await_end() == 0


def test_a_blocked_submit_is_refused_when_its_pool_drains(daemon, client, full):
    asked = blocked(client, "tiny", "true", [], {"block": True})
    client.call("drain", None, {"pool": "tiny"})
    refused("ShutdownError", client.answer, asked)


def test_a_bad_submit_that_would_block_is_refused_at_once(daemon, client, full):
    refused("ValueError", client.call, "submit", "tiny", "true", [], {"block": True, "nosuch": 1})


@pytest.mark.config(limits={"queue": 3}, pools={"tiny": {"kind": "command", "workers": 1, "queue": 5}})
def test_limits_queue_bounds_each_pool_unless_it_has_its_own(daemon, client):
    for pool, room in (("shell", 3), ("one", 3), ("tiny", 5)):
        client.call("pause", pool)
        assert client.call("map", pool, "true", [[]] * room)[1] == room
        refused("QueueFullError", client.call, "submit", pool, "true")


def test_one_who_waits_behind_a_map_that_is_not_made_after_all_is_let_in(daemon, client):
    """A map that filled the queue while it was made, and then was not, as its connection ended, woke nobody."""
    client.call("pause", "wide")
    other = daemon.client()
    other.expect(500)
    other.send(request(500, "map", "wide", "true", [[]] * 100000))
    asked = client.request("submit", "wide", "true", [], {"block": True})
    other.close()
    assert client.answer(asked)


@pytest.mark.config(pools={"wide": {"kind": "command", "workers": 1, "queue": 20001}})
def test_blocked_behind_a_map_that_is_refused(daemon, client):
    """The map's places counted while its elements were looked at, and nobody was told that they are free again."""
    client.expect(700), client.expect(701)
    client.send(request(700, "map", "wide", "true", [[]] * 20000 + ["no array"]) + request(701, "submit", "wide", "true", [], {"block": True}))
    refused("ValueError", client.answer, 700)
    assert client.call("result", client.answer(701))["exit"] == 0
