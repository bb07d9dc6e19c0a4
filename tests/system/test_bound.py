"""The option bound: cancelled when the submitting connection closes."""
import os
import signal

import pytest

from helpers import eventually, is_alive, lines, sh
from kinds import THREAD


def states(client, ids):
    return client.call("state", ids)


def test_a_bound_pending_task_is_cancelled_and_never_runs(daemon, client, gate):
    log = daemon.path("log")
    client.call("submit", "one", *gate.task())
    gate.await_start()
    with daemon.client() as other:
        future = other.call("submit", "one", *sh('echo ran >>"$1"', log), {"bound": True})
    eventually(lambda: states(client, [future]) == ["CANCELLED"])
    gate.open()
    client.call("call", "one", "true")
    assert lines(log) == []


def test_a_bound_running_task_is_killed(daemon, client, gate):
    with daemon.client() as other:
        future = other.call("submit", "shell", *gate.task(), {"bound": True})
        pid = gate.await_start()
    client.call("wait", [future])
    assert states(client, [future]) == ["CANCELLED"] and not is_alive(pid)


@pytest.mark.config(pools={"shell": {"kind": "command", "workers": 2, "grace": "200ms"}})
def test_grace_holds_for_bound_too(daemon, client, gate):
    with daemon.client() as other:
        future = other.call("submit", "shell", *gate.task(before="trap '' TERM"), {"bound": True})
        pid = gate.await_start()
    client.call("wait", [future])
    assert states(client, [future]) == ["CANCELLED"] and not is_alive(pid)


def test_a_bound_task_between_retries_is_cancelled(daemon, client):
    log = daemon.path("log")
    with daemon.client() as other:
        future = other.call("submit", "shell", *sh('echo run >>"$1"; exit 1', log), {"bound": True, "retries": 3, "retry_delay": 1000})
        eventually(lambda: lines(log) and states(client, [future]) == ["PENDING"])
    eventually(lambda: states(client, [future]) == ["CANCELLED"])


def test_a_bound_thread_that_could_not_be_stopped_is_not_tried_again(launch, tmp_path):
    """It was asked to stop, and ran once more when it had failed, for a connection that had gone."""
    daemon = launch({"pools": {"io": {**THREAD, "workers": 1}}})
    client, path = daemon.client(), str(tmp_path / "go")
    with daemon.client() as other:
        future = other.call("submit", "io", "until_file", [path], {"bound": True, "retries": 3})
        eventually(lambda: states(client, [future]) == ["RUNNING"])
    eventually(lambda: client.call("stats")["connections"] == 1)
    assert states(client, [future]) == ["RUNNING"]
    os.kill(client.call("show", future)["pid"], signal.SIGKILL)
    client.call("wait", [future])
    assert states(client, [future]) == ["CANCELLED"] and client.call("show", future)["attempt"] == 1


def test_a_bound_delayed_task_is_cancelled(daemon, client):
    with daemon.client() as other:
        future = other.call("submit", "shell", "true", [], {"bound": True, "delay": 1000})
    eventually(lambda: states(client, [future]) == ["CANCELLED"])


def test_a_bound_map_is_cancelled_whole(daemon, client):
    client.call("pause", "shell")
    with daemon.client() as other:
        run = other.call("map", "shell", "true", [[]] * 3000, {"bound": True})
    eventually(lambda: set(states(client, [run])) == {"CANCELLED"})


def test_a_finished_bound_task_keeps_its_result(daemon, client):
    with daemon.client() as other:
        future = other.call("submit", "shell", "echo", ["x"], {"bound": True})
        other.call("result", future)
    client.call("ping")
    assert client.call("result", future)["stdout"] == b"x\n"


def test_other_connections_do_not_matter(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo x"), {"bound": True})
    gate.await_start()
    with daemon.client() as other:
        other.call("watch", [future])
    client.call("ping")
    gate.open()
    assert client.call("result", future)["stdout"] == b"x\n"


def test_bound_false_outlives_the_connection(daemon, client, gate):
    with daemon.client() as other:
        future = other.call("submit", "shell", *gate.task("echo x"), {"bound": False})
        gate.await_start()
    client.call("ping")
    gate.open()
    assert client.call("result", future)["stdout"] == b"x\n"


def test_end_of_input_is_the_end_of_the_connection(daemon, client, gate):
    other = daemon.client()
    future = other.call("submit", "shell", *gate.task(), {"bound": True})
    gate.await_start()
    other.end()
    client.call("wait", [future])
    assert states(client, [future]) == ["CANCELLED"]


def test_answers_already_made_are_still_sent_after_end_of_input(daemon):
    import rpc
    sock = rpc.open_socket(daemon.address)
    sock.sendall(b"".join(rpc.request(n, "ping", n) for n in range(100)))
    sock.shutdown(1)
    unpacker, got = rpc.unpacker(), []
    while True:
        data = sock.recv(65536)
        if not data:
            break
        unpacker.feed(data)
        got += list(unpacker)
    sock.close()
    assert sorted(frame[1] for frame in got) == list(range(100))


def test_a_protocol_error_ends_the_connection_and_its_bound_tasks(daemon, client, gate):
    other = daemon.client()
    future = other.call("submit", "shell", *gate.task(), {"bound": True})
    gate.await_start()
    other.send(b"\xc1")
    other.await_protocol_error()
    client.call("wait", [future])
    assert states(client, [future]) == ["CANCELLED"]


def test_a_watcher_elsewhere_is_told(daemon, client, gate):
    with daemon.client() as other:
        future = other.call("submit", "shell", *gate.task(), {"bound": True})
        gate.await_start()
        client.call("watch", [future])
    assert client.notification("done")[:2] == [future, "CANCELLED"]
