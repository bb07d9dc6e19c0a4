"""state [ids]: the states in the order asked; and what every method that takes `ids` makes of them."""
import time

import pytest

from helpers import refused, sh
from rpc import ref

WITH_IDS = ["state", "wait", "watch", "unwatch", "cancel", "release", "retry"]


def finished(client, count=1):
    first, _ = client.call("map", "shell", "true", [[]] * count)
    client.call("wait", [[first, count]])
    return first


def test_states_of_a_life(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    cancelled = client.call("submit", "one", "true")
    client.call("cancel", [cancelled])
    assert client.call("state", [running, pending, cancelled]) == ["RUNNING", "PENDING", "CANCELLED"]
    gate.open()
    client.call("wait", [pending])
    assert client.call("state", [running, pending, cancelled]) == ["FINISHED", "FINISHED", "CANCELLED"]


def test_a_failed_future_is_finished(shared):
    future = shared.call("submit", "shell", "false")
    shared.call("wait", [future])
    assert shared.call("state", [future]) == ["FINISHED"]


def test_states_are_told_per_element_duplicates_too(daemon, client, gate):
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    pending = client.call("submit", "one", "true")
    assert client.call("state", [pending, running, pending, pending]) == ["PENDING", "RUNNING", "PENDING", "PENDING"]
    gate.open()


def test_a_pair_stands_for_a_run_of_ids(shared):
    first = finished(shared, 5)
    assert shared.call("state", [[first, 5]]) == ["FINISHED"] * 5
    assert shared.call("state", [first, [first + 1, 2], first]) == ["FINISHED"] * 4


def test_a_run_of_none_is_none(shared):
    first = finished(shared)
    assert shared.call("state", [[first, 0]]) == []
    assert shared.call("state", [shared.call("map", "shell", "true", [])]) == []
    assert shared.call("wait", [[2**52, 0]]) == {"done": [], "not_done": []}


def test_state_of_nothing_is_nothing(shared):
    assert shared.call("state", []) == []


@pytest.mark.parametrize("method", WITH_IDS)
def test_an_unknown_id_makes_the_call_that_error(shared, method):
    first = finished(shared)
    assert refused("UnknownFutureError", shared.call, method, [first, first + 1])["future"] == first + 1


@pytest.mark.parametrize("method", WITH_IDS)
def test_a_run_that_ends_in_unknown_ids_is_refused_before_it_is_walked(shared, method):
    first = finished(shared, 3)
    begun = time.monotonic()
    refused("UnknownFutureError", shared.call, method, [[first, 900000]])
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("method", [m for m in WITH_IDS if m != "release"])
def test_a_released_id_makes_the_call_expired_future_error(shared, method):
    first = finished(shared, 2)
    shared.call("release", [first])
    assert refused("ExpiredFutureError", shared.call, method, [first + 1, first])["future"] == first


@pytest.mark.parametrize("method", WITH_IDS)
def test_more_than_a_million_ids_are_a_value_error(shared, method):
    first = finished(shared)
    refused("ValueError", shared.call, method, [[first, 1000001]])
    refused("ValueError", shared.call, method, [[first, 600000], [first, 600000]])
    refused(("ValueError", "UnknownFutureError"), shared.call, method, [[1, 2**53 - 1], [1, 2**53 - 1]])


@pytest.mark.parametrize("method", WITH_IDS)
@pytest.mark.parametrize("wrong", [None, True, 1, "1", b"1", 1.5, {}, ref(1), [None], [True], ["1"], [b"1"], [1.5], [{}],
                                   [-1], [[]], [[1]], [[1, 1, 1]], [[1, -1]], [["1", 1]], [[1, 1.5]], [[1, None]],
                                   [[[1, 1], 1]], [ref(1)]], ids=repr)
def test_ids_of_a_wrong_shape_are_a_value_error(shared, method, wrong):
    finished(shared)
    refused("ValueError", shared.call, method, wrong)


@pytest.mark.parametrize("method", WITH_IDS)
def test_ids_have_no_default(shared, method):
    refused("ValueError", shared.call, method)


@pytest.mark.parametrize("method", ["state", "unwatch", "release", "retry"])
def test_more_than_the_ids_is_too_much(shared, method):
    refused("ValueError", shared.call, method, [], {}, 1)


@pytest.mark.parametrize("number", [0, 2**53, 2**63, 2**64 - 1])
def test_what_is_no_id_is_a_value_error(shared, number):
    refused("ValueError", shared.call, "state", [number])


def test_running_means_that_the_task_has_begun(daemon, client, gate):
    """One worker: whatever is sent ahead of time, at most one future is RUNNING, and the others can be cancelled."""
    ids = [client.call("submit", "one", *gate.task())] + [client.call("submit", "one", *sh("exit 7")) for _ in range(20)]
    gate.await_start()
    assert client.call("state", ids) == ["RUNNING"] + ["PENDING"] * 20
    assert client.call("cancel", ids) == [False] + [True] * 20
    gate.open()
