"""wait [ids, return_when="ALL_COMPLETED", timeout=nil]: {"done", "not_done"}; never an error on timeout."""
import pytest

from helpers import refused, sh
from rpc import request


def waiting(client, *params):
    msgid = client.request("wait", *params)
    client.call("ping")
    return msgid


def test_wait_answers_when_all_are_done(daemon, client):
    one, two = daemon.gate("one"), daemon.gate("two")
    ids = [client.call("submit", "shell", *one.task()), client.call("submit", "shell", *two.task())]
    asked = waiting(client, ids)
    one.await_start(), two.await_start()
    one.open()
    client.call("result", ids[0])
    assert not client.is_answered(asked)
    two.open()
    assert client.answer(asked) == {"done": ids, "not_done": []}


def test_nil_return_when_means_all_completed(shared):
    future = shared.call("submit", "shell", "true")
    assert shared.call("wait", [future], None, None) == {"done": [future], "not_done": []}


def test_first_completed_answers_at_the_first(daemon, client, gate):
    slow = client.call("submit", "shell", *gate.task())
    fast = client.call("submit", "shell", "true")
    assert client.call("wait", [slow, fast], "FIRST_COMPLETED") == {"done": [fast], "not_done": [slow]}
    gate.open()


def test_first_completed_is_content_with_one_that_was_done_before(daemon, client, gate):
    fast = client.call("submit", "shell", "true")
    client.call("result", fast)
    slow = client.call("submit", "shell", *gate.task())
    assert client.call("wait", [slow, fast], "FIRST_COMPLETED") == {"done": [fast], "not_done": [slow]}
    gate.open()


def test_first_completed_is_content_with_one_that_was_released_before_it_was_looked_at(daemon, client):
    """A wait for many is begun over turns. It waited for another, for ever."""
    done = client.call("submit", "shell", "true")
    client.call("wait", [done])
    client.call("pause", "one")
    run = client.call("map", "one", "true", [[]] * 40000)
    client.expect(500), client.expect(501)
    client.send(request(500, "wait", [run, done], "FIRST_COMPLETED") + request(501, "release", [done]))
    assert client.answer(500)["done"] == [done]
    assert client.answer(501) == 1


def test_first_completed_counts_a_cancelled_one(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    asked = waiting(client, [running, pending], "FIRST_COMPLETED")
    client.call("cancel", [pending])
    assert client.answer(asked) == {"done": [pending], "not_done": [running]}
    gate.open()


def test_first_exception_answers_at_the_first_failure(daemon, client, gate):
    slow = client.call("submit", "shell", *gate.task())
    well = client.call("submit", "shell", "true")
    bad = client.call("submit", "shell", "false")
    answer = client.call("wait", [slow, well, bad], "FIRST_EXCEPTION")
    assert bad in answer["done"] and slow in answer["not_done"]
    gate.open()


def test_first_exception_passes_over_successes(daemon, client, gate):
    well = client.call("submit", "shell", "true")
    slow = client.call("submit", "shell", *gate.task("exit 1"))
    asked = waiting(client, [well, slow], "FIRST_EXCEPTION")
    client.call("result", well)
    assert not client.is_answered(asked)
    gate.open()
    assert client.answer(asked) == {"done": [well, slow], "not_done": []}


def test_first_exception_passes_over_cancelled_ones(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    asked = waiting(client, [running, pending], "FIRST_EXCEPTION")
    client.call("cancel", [pending])
    client.call("ping")
    assert not client.is_answered(asked)
    gate.open()
    assert client.answer(asked) == {"done": [running, pending], "not_done": []}


def test_first_exception_without_one_is_all_completed(shared):
    first, _ = shared.call("map", "shell", "true", [[], []])
    assert shared.call("wait", [[first, 2]], "FIRST_EXCEPTION") == {"done": [first, first + 1], "not_done": []}


def test_a_timeout_is_no_error(daemon, client, gate):
    done = client.call("submit", "shell", "true")
    client.call("result", done)
    slow = client.call("submit", "shell", *gate.task())
    for timeout in (0, -3, 0.05):
        assert client.call("wait", [slow, done], "ALL_COMPLETED", timeout) == {"done": [done], "not_done": [slow]}
    gate.open()


def test_results_list_ids_in_the_order_asked_duplicates_once(daemon, client, gate):
    first, _ = client.call("map", "shell", "true", [[]] * 4)
    client.call("wait", [[first, 4]])
    slow = client.call("submit", "one", *gate.task())
    later = client.call("submit", "one", "true")
    answer = client.call("wait", [first + 2, later, [first, 3], slow, later, first + 2], "ALL_COMPLETED", 0)
    assert answer == {"done": [first + 2, first, first + 1], "not_done": [later, slow]}
    gate.open()


def test_ids_are_told_singly(shared):
    first, _ = shared.call("map", "shell", "true", [[]] * 3)
    assert shared.call("wait", [[first, 3]])["done"] == [first, first + 1, first + 2]


def test_wait_for_nothing_is_over_at_once(shared):
    for when in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"):
        assert shared.call("wait", [], when) == {"done": [], "not_done": []}


def test_wait_does_not_count_as_looking_at_an_error(shared):
    future = shared.call("submit", "shell", "false")
    shared.call("wait", [future])
    assert future in [m["id"] for m in shared.call("failures")]


def test_the_same_wait_from_many_connections(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    asked = [(c, waiting(c, [future])) for c in (daemon.client() for _ in range(10))]
    gate.open()
    assert [c.answer(m)["done"] for c, m in asked] == [[future]] * 10


def test_a_waiting_client_may_leave(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    with daemon.client() as other:
        waiting(other, [future])
    gate.open()
    assert client.call("wait", [future])["done"] == [future]


def test_a_released_future_still_completes_a_wait(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    asked = waiting(client, [future])
    client.call("release", [future])
    gate.open()
    assert client.answer(asked) == {"done": [future], "not_done": []}


@pytest.mark.parametrize("when", ["all_completed", "", "FIRST", 1, True, [], {}, b"ALL_COMPLETED"], ids=repr)
def test_a_wrong_return_when_is_a_value_error(daemon, client, gate, when):
    future = client.call("submit", "shell", *gate.task())
    refused("ValueError", client.call, "wait", [future], when)
    gate.open()


@pytest.mark.parametrize("timeout", [True, "1", b"", [], {}, float("nan"), float("inf"), 2e9], ids=repr)
def test_a_wrong_timeout_is_a_value_error(shared, timeout):
    refused("ValueError", shared.call, "wait", [], "ALL_COMPLETED", timeout)


def test_too_many_parameters_are_a_value_error(shared):
    refused("ValueError", shared.call, "wait", [], "ALL_COMPLETED", None, {}, 1)


def test_three_thousand_futures_are_awaited_in_one_call(daemon, client):
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 3000)
    asked = waiting(client, [[first, count]])
    client.call("cancel", [[first, count]])
    assert client.answer(asked)["done"] == list(range(first, first + count))


def test_a_task_that_fails_is_done_for_wait(shared):
    future = shared.call("submit", "shell", *sh("exit 3"))
    assert shared.call("wait", [future])["done"] == [future]
