"""shutdown [{wait, cancel_futures}], SIGTERM, SIGKILL: how a daemon ends, and that nothing of it is left."""
import os
import signal
import time
import uuid

import pytest

from helpers import Closed, eventually, is_alive, lines, marked, refused, sh
from kinds import PROCESS
from rpc import request

CONFIG = {"pools": {"cpu": {**PROCESS, "workers": 2}}}


def test_shutdown_of_an_idle_daemon_answers_and_ends_it(daemon, client):
    assert client.call("shutdown") is None
    assert daemon.await_end() == 0


def test_shutdown_waits_for_running_and_pending_work(daemon, client, gate):
    log = daemon.path("log")
    client.call("submit", "one", *gate.task("echo a >>%s" % log))
    client.call("submit", "one", *sh('echo b >>"$1"', log))
    gate.await_start()
    asked = client.request("shutdown", {"wait": True, "cancel_futures": False})
    other = daemon.client()
    refused("ShutdownError", other.call, "submit", "shell", "true")
    assert not client.is_answered(asked) and daemon.is_running()
    gate.open()
    assert client.answer(asked) is None
    assert daemon.await_end() == 0
    assert lines(log) == ["a", "b"]


def test_what_waits_for_a_pool_that_is_gone_is_not_waited_for(daemon, client):
    """Nor what waits for that in turn: none of it can run. The rest is."""
    log = daemon.path("log")
    client.call("pause", "one")
    left = client.call("submit", "one", "true")
    behind = client.call("submit", "shell", "true", [], {"after": [left]})
    client.call("submit", "cpu", "noop", [], {"after": [behind]})
    client.call("submit", "shell", *sh('echo ran >>"$1"', log), {"after": [client.call("submit", "cpu", "wait", [0.2])]})
    daemon.config["pools"] = {name: pool for name, pool in daemon.config["pools"].items() if name != "one"}
    daemon.write_config()
    client.call("reload")
    assert client.call("shutdown") is None
    assert daemon.await_end() == 0
    assert lines(log) == ["ran"]


def test_results_can_be_had_until_the_end(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo last"))
    gate.await_start()
    waiting = client.request("result", future)
    asked = client.request("shutdown")
    gate.open()
    assert client.answer(waiting)["stdout"] == b"last\n"
    client.answer(asked)
    assert daemon.await_end() == 0


def test_cancel_futures_cancels_what_waits(daemon, client, gate):
    log = daemon.path("log")
    client.call("submit", "one", *gate.task("echo ran >>%s" % log))
    gate.await_start()
    pending = client.call("submit", "one", *sh('echo never >>"$1"', log))
    asked = client.request("shutdown", {"cancel_futures": True})
    refused("CancelledError", client.call, "result", pending)
    gate.open()
    assert client.answer(asked) is None
    assert daemon.await_end() == 0
    assert lines(log) == ["ran"]


def test_cancel_futures_cancels_a_queue_longer_than_a_turn(daemon, client, gate):
    """In a pool that was paused, so that without it the queue would be run."""
    log = daemon.path("log")
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "sh", [["-c", 'echo never >>"$0"; sleep 1000', log]] * 30000, {"watch": True})
    asked = client.request("shutdown", {"cancel_futures": True})
    assert {client.notification("done")[1] for _ in range(count)} == {"CANCELLED"}
    assert client.answer(asked) is None
    assert daemon.await_end() == 0 and lines(log) == []


@pytest.mark.parametrize("count", [10000, 50000])   # of which one turn makes 4,000, and looks at 20,000
@pytest.mark.parametrize("cancel", [False, True])
def test_a_map_that_is_being_made_is_answered_and_comes_to_its_end(daemon, client, cancel, count):
    """The daemon ended without it, or ran all of it although it was to be cancelled."""
    pool = "one" if cancel else "cpu"
    client.expect(500), client.expect(501)
    client.send(request(500, "map", pool, *(("sleep", [["100"]] * count) if cancel else ("add", [[1, 2]] * count)), {"watch": True}) +
                request(501, "shutdown", {"cancel_futures": cancel}))
    assert client.answer(500, 30)[1] == count
    assert client.answer(501, 30) is None
    for _ in range(count):
        assert client.notification("done")[1] == ("CANCELLED" if cancel else "FINISHED")
    assert daemon.await_end() == 0


def test_without_wait_it_answers_at_once_and_pending_work_still_runs(daemon, client, gate):
    log = daemon.path("log")
    client.call("submit", "one", *gate.task("echo a >>%s" % log))
    client.call("submit", "one", *sh('echo b >>"$1"', log))
    gate.await_start()
    assert client.call("shutdown", {"wait": False}) is None
    assert daemon.is_running()
    gate.open()
    assert daemon.await_end() == 0
    assert lines(log) == ["a", "b"]


def test_shutting_down_twice_is_once(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    gate.await_start()
    other = daemon.client()
    first, second = client.request("shutdown"), other.request("shutdown")
    refused("ShutdownError", other.call, "submit", "shell", "true")
    gate.open()
    assert client.answer(first) is None and other.answer(second) is None
    assert daemon.await_end() == 0


@pytest.mark.config(pools={"shell": {"kind": "command", "output": "16MiB"}})
def test_shutting_down_while_the_last_words_are_sent_is_answered(daemon, client):
    """The first was answered, and the daemon ended before the second was."""
    future = client.call("submit", "shell", *sh("head -c 10000000 /dev/zero"))
    client.call("wait", [future])
    client.request("result", future)   # which nobody reads: it is waited for a second
    other = daemon.client()
    assert other.call("shutdown") is None and other.call("shutdown") is None
    assert daemon.await_end() == 0


def test_the_text_is_that_of_concurrent_futures(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    gate.await_start()
    client.call("shutdown", {"wait": False})
    error = refused("ShutdownError", client.call, "submit", "shell", "true")
    assert error["message"] == "cannot schedule new futures after shutdown: the daemon is ending"
    gate.open()
    daemon.await_end()


def test_the_socket_is_gone_after_shutdown(daemon, client):
    client.call("shutdown")
    daemon.await_end()
    assert not os.path.exists(daemon.address)


def test_clients_that_wait_are_disconnected_at_the_end(daemon, client, gate):
    """A pool that is paused never finishes: with cancel_futures its waiters are told before the daemon goes."""
    client.call("pause", "shell")
    future = client.call("submit", "shell", "true")
    waiting = daemon.client()
    asked = waiting.request("result", future)
    waiting.call("ping")
    client.call("shutdown", {"cancel_futures": True})
    refused("CancelledError", waiting.answer, asked)
    assert daemon.await_end() == 0


@pytest.mark.parametrize("params", [[7], ["x"], [[]], [{"wait": 1}], [{"cancel_futures": "yes"}], [{"nosuch": True}], [{}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error_and_ends_nothing(shared, params):
    refused("ValueError", shared.call, "shutdown", *params)
    assert shared.call("call", "shell", "true")["exit"] == 0


# SIGTERM

def test_sigterm_ends_an_idle_daemon_with_status_0(daemon):
    assert daemon.stop() == 0


def test_sigint_does_too(daemon):
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.await_end() == 0


@pytest.mark.config(stop_timeout="8s")
def test_sigterm_lets_running_tasks_finish(daemon, client, gate):
    log = daemon.path("log")
    future = client.call("submit", "shell", *gate.task("echo finished >>%s" % log))
    waiting = client.request("result", future)
    gate.await_start()
    daemon.process.send_signal(signal.SIGTERM)
    gate.open()
    assert client.answer(waiting)["exit"] == 0
    assert daemon.await_end() == 0
    assert lines(log) == ["finished"]


@pytest.mark.config(pools={"tiny": {"kind": "command", "workers": 1, "queue": 1}})
def test_sigterm_refuses_blocked_submits(daemon, client):
    """They had no answer where nothing else happened any more. More than one turn lets in."""
    client.call("pause", "tiny")
    client.call("submit", "tiny", "true")
    asked = [client.request("submit", "tiny", "true", [], {"block": True}) for _ in range(2500)]
    client.call("ping")
    daemon.process.send_signal(signal.SIGTERM)
    for msgid in asked:
        refused("ShutdownError", client.answer, msgid)
    assert daemon.await_end() == 0


@pytest.mark.config(stop_timeout="200ms", pools={"shell": {"kind": "command", "workers": 2, "grace": "100ms"}})
def test_sigterm_kills_what_does_not_end_in_time(daemon, client, gate):
    mark = uuid.uuid4().hex
    client.call("submit", "shell", *gate.task(before="trap '' TERM; setsid sleep 1000 &"), {"env": {"MARK": mark}})
    gate.await_start()
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < 8
    assert marked(mark) == []


@pytest.mark.config(stop_timeout="100ms", store="memory")  # from a durable one it would run again
def test_what_is_killed_at_the_end_says_why(daemon, client, gate):
    """It was told that its pool was terminated, which nobody had done."""
    future = client.call("submit", "shell", *gate.task(), {"retries": 2})
    gate.await_start()
    waiting = client.request("result", future)
    client.call("ping")
    daemon.process.send_signal(signal.SIGTERM)
    error = refused("BrokenPoolError", client.answer, waiting)
    assert "the daemon was told to stop" in error["message"] and "stop_timeout" in error["message"]
    assert daemon.await_end() == 0


@pytest.mark.config(stop_timeout="100ms")
def test_pending_ones_are_counted_in_the_log_as_lost(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    client.call("map", "one", "true", [[]] * 17)
    assert daemon.stop() == 0
    assert any("17" in line for line in daemon.log().splitlines())


@pytest.mark.config(stop_timeout="30s")
def test_a_second_sigterm_does_not_wait(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    pid = gate.await_start()
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: _refuses(daemon))
    begun = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    daemon.await_end()
    assert time.monotonic() - begun < 10 and not is_alive(pid)
    daemon.must_end_well = False


def _refuses(daemon):
    try:
        with daemon.client() as client:
            client.call("submit", "shell", "true")
    except (OSError, Closed):
        return True
    except Exception as error:
        return getattr(error, "type", None) == "ShutdownError"


def test_answers_already_made_are_still_sent_at_the_end(daemon, client):
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 2000, {"watch": True})
    asked = client.request("shutdown", {"cancel_futures": True})
    assert len([client.notification("done") for _ in range(count)]) == count
    assert client.answer(asked) is None
    assert daemon.await_end() == 0


@pytest.mark.config(pools={"shell": {"kind": "command", "output": "16MiB"}})
def test_a_large_answer_is_sent_to_its_end(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("head -c 10000000 /dev/zero"))
    gate.await_start()
    asked = client.request("result", future)
    other = daemon.client()
    ending = other.request("shutdown")
    gate.open()
    other.answer(ending)
    assert len(client.answer(asked)["stdout"]) == 10000000
    assert daemon.await_end() == 0


@pytest.mark.config(pools={"shell": {"kind": "command", "output": "16MiB"}})
def test_a_large_answer_is_sent_to_its_end_to_one_that_asks_nothing_more(daemon, client):
    """It has said end of input, and reads on."""
    future = client.call("submit", "shell", *sh("head -c 10000000 /dev/zero"))
    client.call("wait", [future])
    asked = client.request("result", future)
    client.end()
    other = daemon.client()
    eventually(lambda: other.call("stats")["connections"] == 1)
    daemon.process.send_signal(signal.SIGTERM)
    assert len(client.answer(asked)["stdout"]) == 10000000
    assert daemon.await_end() == 0


def test_who_does_not_read_does_not_keep_it_from_ending(daemon, client):
    client.call("pause", "shell")
    client.call("map", "shell", "true", [[]] * 30000, {"watch": True})
    other = daemon.client()
    assert other.call("shutdown", {"cancel_futures": True}) is None
    assert daemon.await_end() == 0


# SIGKILL

def test_after_kill_9_of_the_daemon_no_task_is_left(daemon, client, gate):
    mark = uuid.uuid4().hex
    client.call("submit", "shell", *gate.task(before="trap '' TERM; setsid sh -c 'sleep 1000 & sleep 1000' &"), {"env": {"MARK": mark}})
    client.call("submit", "shell", *gate.task(), {"env": {"MARK": mark}})
    gate.await_start(), gate.await_start()
    eventually(lambda: len(marked(mark)) >= 4)
    daemon.kill()
    eventually(lambda: marked(mark) == [], 5)


def test_a_new_daemon_takes_over_the_socket_of_a_killed_one(launch):
    first = launch()
    first.client().call("ping")
    first.kill()
    assert os.path.exists(first.address)
    second = launch(directory=first.directory)
    assert second.client().call("call", "shell", "true")["exit"] == 0


# Two daemons on one socket

def test_a_second_daemon_on_the_same_socket_refuses_to_start(daemon, client, launch):
    second = launch(directory=daemon.directory, start=False)
    second.log_path = daemon.path("log2")
    second.expected_status = second.spawn().await_end()
    assert second.expected_status not in (0, None) and second.expected_status > 0
    assert second.log().strip(), "it says why"
    assert client.call("call", "shell", "true")["exit"] == 0
    assert daemon.client().call("ping", 1) == 1


def test_a_stale_socket_file_is_taken_over(launch):
    import socket
    daemon = launch(start=False)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(daemon.address)
    stale.close()
    daemon.start()
    assert daemon.client().call("ping", 1) == 1


def test_a_file_that_is_no_socket_is_never_removed(launch):
    daemon = launch(start=False)
    with open(daemon.address, "w") as f:
        f.write("precious")
    daemon.expected_status = daemon.spawn().await_end()
    assert daemon.expected_status > 0
    assert open(daemon.address).read() == "precious"


def test_each_instance_has_its_own_name(launch):
    first = launch({"store": "memory"})
    one = first.client().call("hello", {"protocol": 1, "client": "test"})["instance"]
    first.stop()
    second = launch({"store": "memory"}, directory=first.directory)
    assert second.client().call("hello", {"protocol": 1, "client": "test"})["instance"] != one
