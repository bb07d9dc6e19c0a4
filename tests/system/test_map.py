"""map [pool, fn, [args, …], options={}]: one future per element, with consecutive ids; all accepted or none."""
import pytest

import kinds
from helpers import lines, refused, sh
from rpc import ref, request

CONFIG = {"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 2}, "cpu": {**kinds.PROCESS, "workers": 1}}}


def next_id(client):
    return client.call("map", "shell", "true", [])[0]


def test_map_gives_the_first_id_and_the_count(shared):
    first, count = shared.call("map", "shell", "echo", [["a"], ["b"], ["c"]])
    assert count == 3
    values = [shared.call("result", n)["stdout"] for n in range(first, first + 3)]
    assert values == [b"a\n", b"b\n", b"c\n"]


def test_the_ids_of_a_map_are_consecutive_beside_other_submits(shared_daemon, shared):
    other = shared_daemon.client()
    before = other.call("submit", "shell", "true")
    first, count = shared.call("map", "shell", "true", [[]] * 50)
    after = other.call("submit", "shell", "true")
    assert before < first and after >= first + count


def test_map_of_nothing_is_the_next_id_and_zero(shared):
    first, count = shared.call("map", "shell", "true", [])
    assert count == 0
    assert shared.call("submit", "shell", "true") == first


def test_map_of_nothing_still_checks_its_pool(shared):
    refused("UnknownPoolError", shared.call, "map", "nosuch", "true", [])


def test_map_of_nothing_still_checks_its_options(shared):
    refused("ValueError", shared.call, "map", "shell", "true", [], {"nosuch": 1})


def test_the_options_hold_for_every_element(shared):
    first, count = shared.call("map", "shell", "pwd", [[], []], {"cwd": "/usr", "name": "both"})
    assert [shared.call("result", n)["stdout"] for n in (first, first + 1)] == [b"/usr\n"] * 2
    assert {m["name"] for m in shared.call("list", {"name": "both"})} == {"both"}


@pytest.mark.parametrize("wrong", [7, "x", b"x", True, {}, ref(1)], ids=repr)
def test_a_bad_element_refuses_all_and_is_named_by_its_index(shared, wrong):
    before = next_id(shared)
    error = refused("ValueError", shared.call, "map", "shell", "true", [[], [], wrong, []])
    assert "2" in error["message"]
    assert next_id(shared) == before


def test_the_elements_have_no_default(shared):
    refused("ValueError", shared.call, "map", "shell", "true")


@pytest.mark.parametrize("wrong", [7, "x", b"x", True, {}, 1.5], ids=repr)
def test_elements_that_are_no_array_are_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "map", "shell", "true", wrong)


def test_too_many_parameters_are_a_value_error(shared):
    refused("ValueError", shared.call, "map", "shell", "true", [], {}, 1)


def test_a_map_that_can_never_fit_the_queue_is_refused_at_once(shared):
    before = next_id(shared)
    refused("QueueFullError", shared.call, "map", "tiny", "true", [[]] * 50)
    refused("QueueFullError", shared.call, "map", "tiny", "true", [[]] * 50, {"block": True})
    assert next_id(shared) == before


def test_a_map_that_does_not_fit_now_accepts_none(daemon, client):
    client.call("pause", "tiny")
    client.call("submit", "tiny", "true")
    before = next_id(client)
    refused("QueueFullError", client.call, "map", "tiny", "true", [[], []])
    assert next_id(client) == before
    assert client.call("map", "tiny", "true", [[]]) == [before, 1]


def test_a_map_appears_in_one_step(shared_daemon, shared):
    """A neighbour that looks meanwhile sees none or all of it."""
    other = shared_daemon.client()
    shared.call("pause", "one")
    msgid = shared.request("map", "one", "true", [[]] * 5000, {"name": "step"})
    seen = set()
    while not shared.is_answered(msgid):
        seen.add(len(other.call("list", {"name": "step"})))
    first, count = shared.answer(msgid)
    assert seen <= {0, 5000}
    shared.call("cancel", [[first, count]])
    shared.call("resume", "one")


def test_a_key_stands_for_the_whole_run(shared):
    run = shared.call("map", "shell", "echo", [["1"], ["2"]], {"key": "map-run"})
    assert shared.call("map", "shell", "echo", [["1"], ["2"]], {"key": "map-run"}) == run
    assert shared.call("map", "shell", "false", [[]] * 5, {"key": "map-run"}) == run


def test_a_map_whose_reference_is_released_while_it_is_made_is_refused_once(daemon, client):
    """Its refusal was followed by a second answer, that there was no memory."""
    source = client.call("submit", "shell", "echo", ["x"])
    client.call("wait", [source])
    client.expect(500), client.expect(501)
    client.send(request(500, "map", "shell", "true", [[ref(source)]] + [[]] * 30000) + request(501, "release", [source]))
    refused("ExpiredFutureError", client.answer, 500)
    assert client.answer(501) == 1
    assert client.call("call", "shell", "true")["exit"] == 0   # some turns
    assert client.call("list") == []


def test_the_tasks_of_a_delayed_map_begin_in_their_order(daemon, client):
    """They are due at the same moment, and the heap of timers gave the last one out second."""
    out = daemon.path("order")
    client.call("wait", [client.call("map", "one", "/bin/sh", [sh('echo "$1" >>"$2"', n, out)[1] for n in range(20)], {"delay": 0.1})])
    assert lines(out) == [str(n) for n in range(20)]


@pytest.mark.parametrize("options", [{}, {"deadline": 1000}], ids=["plain", "with a deadline"])
def test_what_is_submitted_while_a_large_map_is_made_stands_behind_it(daemon, client, options):
    """The map has its ids, and its places in the queue, from the moment when making it begins."""
    out, other = daemon.path("marks"), daemon.client()
    client.call("pause", "cpu")
    msgid, singles = client.request("map", "cpu", "mark", [[out]] * 30000, options), []
    while not client.is_answered(msgid):
        singles.append(other.call("submit", "cpu", "mark", [out]))
    run = client.answer(msgid)
    assert any(id > run[0] for id in singles), "some came while it was made"
    client.call("resume", "cpu")
    client.call("wait", [run, *singles])
    assert kinds.numbers(out) == sorted([*range(run[0], run[0] + 30000), *singles])
