"""The option deadline: seconds from now for waiting and running together."""
import time

from helpers import lines, refused, sh


def test_a_task_within_its_deadline_is_left_alone(shared):
    assert shared.call("call", "shell", "true", [], {"deadline": 30})["exit"] == 0


def test_a_deadline_that_passes_in_the_queue_never_starts_the_task(daemon, client, gate):
    log = daemon.path("log")
    client.call("submit", "one", *gate.task())
    gate.await_start()
    future = client.call("submit", "one", *sh('echo ran >>"$1"', log), {"deadline": 0.15})
    begun = time.monotonic()
    error = refused("TaskTimeoutError", client.call, "result", future)
    assert error["deadline"] is True and error["future"] == future
    assert time.monotonic() - begun < 3, "told when it passes, not when a worker is free"
    gate.open()
    client.call("call", "one", "true")
    assert lines(log) == []
    assert client.call("state", [future]) == ["FINISHED"]


def test_a_deadline_that_passes_while_running_stops_the_task(shared):
    error = refused("TaskTimeoutError", shared.call, "call", "shell", "sleep", ["1000"], {"deadline": 0.2})
    assert error["deadline"] is True


def test_waiting_and_running_count_together(daemon, client, gate):
    client.call("submit", "one", *gate.task("sleep 0.3"))
    gate.await_start()
    future = client.call("submit", "one", "sleep", ["1000"], {"deadline": 0.6})
    begun = time.monotonic()
    gate.open()
    assert refused("TaskTimeoutError", client.call, "result", future)["deadline"] is True
    assert time.monotonic() - begun < 3


def test_a_deadline_passes_while_waiting_for_another(daemon, client, gate):
    first = client.call("submit", "shell", *gate.task())
    error = refused("TaskTimeoutError", client.call, "call", "shell", "true", [], {"after": [first], "deadline": 0.1})
    assert error["deadline"] is True
    gate.open()


def test_a_deadline_shorter_than_the_delay(shared):
    error = refused("TaskTimeoutError", shared.call, "call", "shell", "true", [], {"delay": 1000, "deadline": 0.1})
    assert error["deadline"] is True


def test_a_deadline_passes_in_a_paused_pool(daemon, client):
    client.call("pause", "shell")
    refused("TaskTimeoutError", client.call, "call", "shell", "true", [], {"deadline": 0.1})


def test_a_deadline_of_zero_never_starts(daemon, client):
    log = daemon.path("log")
    refused("TaskTimeoutError", client.call, "call", "shell", *sh('echo ran >>"$1"', log), {"deadline": 0})
    assert lines(log) == []


def test_a_deadline_ends_the_retries(daemon, client):
    log = daemon.path("log")
    error = refused("TaskTimeoutError", client.call, "call", "shell", *sh('echo ran >>"$1"; sleep 1000', log),
                    {"deadline": 0.3, "retries": 5, "retry_delay": 0})
    assert error["deadline"] is True and lines(log) == ["ran"]


def test_a_run_limit_without_deadline_says_nothing_of_a_deadline(shared):
    error = refused("TaskTimeoutError", shared.call, "call", "shell", "sleep", ["1000"], {"timeout": 0.1, "deadline": 100})
    assert not error.get("deadline")


def test_an_expired_one_gives_its_place_in_the_queue_back(launch):
    daemon = launch({"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 1}}})
    client = daemon.client()
    client.call("pause", "tiny")
    future = client.call("submit", "tiny", "true", [], {"deadline": 0.05})
    client.call("wait", [future])
    assert client.call("submit", "tiny", "true") > future
