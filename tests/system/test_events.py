"""events [{"pool":…}]: nil, then notifications `event [map]`."""
import time

import pytest

from helpers import refused


def gather(client, future, until):
    """The events of one future up to one for which `until` is true."""
    found = []
    while True:
        (event,) = client.notification("event")
        assert isinstance(event, dict) and all(isinstance(k, str) for k in event)
        if event.get("id") == future:
            assert event["pool"] and abs(event["time"] - time.time()) < 60
            found.append(event)
            if until(event):
                return found


def is_final(event):
    return event.get("state") in ("FINISHED", "CANCELLED")


def test_events_answers_nil_first(client):
    client.trace = []
    assert client.call("events") is None
    client.call("call", "shell", "true")
    client.notification("event")
    assert client.trace[0][0] == 1


def test_the_life_of_a_future_is_told_in_order(daemon, client):
    client.call("events")
    future = client.call("submit", "shell", "true")
    states = [e["state"] for e in gather(client, future, is_final) if "state" in e]
    assert states[0] == "PENDING" and states[-1] == "FINISHED"
    assert [s for s in ("PENDING", "RUNNING", "FINISHED") if s in states] == sorted(set(states), key=["PENDING", "RUNNING", "FINISHED"].index)


def test_a_cancel_is_an_event(daemon, client):
    client.call("pause", "shell")
    client.call("events")
    future = client.call("submit", "shell", "true")
    client.call("cancel", [future])
    assert gather(client, future, is_final)[-1]["state"] == "CANCELLED"


def test_events_of_one_pool_only(daemon, client):
    client.call("events", {"pool": "one"})
    other = client.call("submit", "shell", "true")
    client.call("result", other)
    mine = client.call("submit", "one", "true")
    gather(client, mine, is_final)
    assert [e for e in client.pending_notifications("event") if e[0].get("id") == other] == []


def test_events_of_other_clients_are_told_too(daemon, client):
    client.call("events")
    future = daemon.client().call("submit", "shell", "true")
    assert gather(client, future, is_final)


def test_events_end_with_the_connection(daemon, client):
    with daemon.client() as other:
        other.call("events")
    client.call("call", "shell", "true")
    assert client.pending_notifications("event") == []


@pytest.mark.config(limits={"output": "64KiB"})
def test_one_who_falls_behind_is_told_how_much_was_lost(daemon, client):
    lazy = daemon.client()
    lazy.call("events")
    client.call("pause", "shell")
    for _ in range(20):
        first, count = client.call("map", "shell", "true", [[]] * 2000)
        client.call("cancel", [[first, count]])
        client.call("release", [[first, count]])
    seen, lost = 0, 0
    while seen + lost < 1 or not lost:
        (event,) = lazy.notification("event")
        if "lost" in event:
            lost += event["lost"]
        else:
            seen += 1
    assert lost > 0
    assert lazy.call("ping", 1) == 1, "and it goes on"


@pytest.mark.parametrize("params", [[7], ["x"], [[]], [{"pool": 1}], [{"nosuch": 1}], [{}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "events", *params)


def test_an_unknown_pool_is_refused(shared):
    refused("UnknownPoolError", shared.call, "events", {"pool": "nosuch"})
