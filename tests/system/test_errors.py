"""What a command's failure carries, and which error is which."""
import os
import signal
import uuid

import pytest

from helpers import eventually, is_alive, marked, parent_of, refused, sh
from rpc import ref


# ExitError

@pytest.mark.parametrize("status", [1, 2, 42, 125, 255])
def test_a_nonzero_exit_is_an_exit_error_with_its_status(shared, status):
    error = refused("ExitError", shared.call, "call", "shell", *sh("exit %d" % status))
    assert error["exit"] == status and error.get("signal") is None


def test_an_exit_error_carries_both_outputs(shared):
    error = refused("ExitError", shared.call, "call", "shell", *sh("echo out; echo err >&2; exit 1"))
    assert (error["stdout"], error["stderr"]) == (b"out\n", b"err\n")


def test_an_exit_error_is_not_something_that_a_task_raised(shared):
    assert "task" not in refused("ExitError", shared.call, "call", "shell", "false")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGUSR1, signal.SIGPIPE])
def test_a_task_that_a_signal_ended_says_its_number(shared, number):
    error = refused("ExitError", shared.call, "call", "shell", *sh("kill -%d $$" % number))
    assert error["signal"] == int(number) and type(error["signal"]) is int and error.get("exit") is None


def test_a_task_that_kills_itself_costs_only_itself(daemon, client, gate):
    other = client.call("submit", "shell", *gate.task("echo lives"))
    gate.await_start()
    refused("ExitError", client.call, "call", "shell", *sh("kill -9 $$"))
    gate.open()
    assert client.call("result", other)["stdout"] == b"lives\n"


def test_a_program_that_is_not_found_is_exit_127_with_its_path(shared):
    for program in ("no-such-program-anywhere", "/no/such/program"):
        error = refused("ExitError", shared.call, "call", "shell", program)
        assert error["exit"] == 127 and program in error["message"]


def test_a_program_that_cannot_be_executed_is_exit_126_with_its_path(daemon, client):
    plain = daemon.path("plain")
    with open(plain, "w") as f:
        f.write("#!/bin/sh\n")
    os.chmod(plain, 0o644)
    for program in (plain, daemon.directory):
        error = refused("ExitError", client.call, "call", "shell", program)
        assert error["exit"] == 126 and program in error["message"]


def test_a_script_without_its_interpreter_fails_the_task_only(daemon, client):
    script = daemon.path("script")
    with open(script, "w") as f:
        f.write("#!/no/such/interpreter\n")
    os.chmod(script, 0o755)
    assert refused("ExitError", client.call, "call", "shell", script)["exit"] in (126, 127)


def test_a_program_that_is_no_program_is_126(daemon, client):
    junk = daemon.path("junk")
    with open(junk, "wb") as f:
        f.write(b"\x7fELF\0\0\0 this is not")
    os.chmod(junk, 0o755)
    assert refused("ExitError", client.call, "call", "shell", junk)["exit"] == 126


def test_a_pool_goes_on_after_a_thousand_failures(daemon, client):
    first, count = client.call("map", "shell", "/no/such/program", [[]] * 300)
    client.call("wait", [[first, count]])
    assert client.call("call", "shell", "true")["exit"] == 0


# WorkerLostError

def host_of(pid):
    return parent_of(pid)


def test_a_task_whose_host_dies_fails_with_worker_lost_error(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    host = host_of(gate.await_start())
    assert host != daemon.pid, "the daemon itself starts no task"
    os.kill(host, signal.SIGKILL)
    error = refused("WorkerLostError", client.call, "result", future)
    assert (error["pid"], error["signal"], error["future"]) == (host, 9, future)
    assert error["oom"] is False and isinstance(error["stderr"], bytes)


def test_what_a_dead_host_leaves_is_killed(daemon, client, gate):
    mark = uuid.uuid4().hex
    future = client.call("submit", "shell", *gate.task(before="trap '' TERM; setsid sh -c 'sleep 1000 & sleep 1000' &"),
                         {"env": {"MARK": mark}})
    pid = gate.await_start()
    os.kill(host_of(pid), signal.SIGKILL)
    refused("WorkerLostError", client.call, "result", future)
    eventually(lambda: marked(mark) == [])


def test_only_the_task_of_the_dead_host_fails_and_the_pool_heals(daemon, client, gate):
    ids = [client.call("submit", "shell", *gate.task("echo lives")) for _ in range(2)]
    pids = [gate.await_start() for _ in ids]
    pending = client.call("submit", "shell", "echo", ["ran"])
    os.kill(host_of(pids[0]), signal.SIGKILL)
    assert client.call("result", pending)["stdout"] == b"ran\n"
    gate.open()
    outcomes = sorted(_outcome(client, i) for i in ids)
    assert outcomes == ["WorkerLostError", "lives"]
    busy = [client.call("submit", "shell", *gate.task()) for _ in range(2)]
    gate.await_start(), gate.await_start()
    gate.open(2)
    client.call("wait", busy)


def _outcome(client, future):
    try:
        return client.call("result", future)["stdout"].decode().strip()
    except Exception as error:
        return error.type


def test_an_idle_host_that_dies_costs_no_task(daemon, client):
    from helpers import descendants
    client.call("call", "one", "true")
    for pid in descendants(daemon.pid):
        os.kill(pid, signal.SIGKILL)
    assert client.call("call", "one", "echo", ["x"])["stdout"] == b"x\n"


def test_a_lost_task_is_not_run_again_without_retries(daemon, client, gate):
    future = client.call("submit", "one", *gate.task())
    os.kill(host_of(gate.await_start()), signal.SIGKILL)
    refused("WorkerLostError", client.call, "result", future)
    client.call("call", "one", "true")
    assert gate.nobody_started()


def test_a_pool_whose_idle_workers_keep_dying_says_so_and_heals(daemon, client, gate):
    """The respawn budget: a worker that dies without a task costs a start; five in ten seconds break the pool, visibly."""
    def kill_one():
        future = client.call("submit", "one", *gate.task())
        asked = client.request("wait", [future])
        host = host_of(gate.await_start())
        gate.open()
        client.answer(asked)
        os.kill(host, signal.SIGKILL)
        eventually(lambda: not is_alive(host))
        eventually(lambda: client.call("stats") and not os.path.exists("/proc/%d" % host))
    for _ in range(5):
        assert not _broken(client, "one")
        kill_one()
    eventually(lambda: _broken(client, "one"))
    assert _broken(client, "one")["type"] == "BrokenPoolError"
    refused("BrokenPoolError", client.call, "submit", "one", "true")
    assert client.call("call", "shell", "true")["exit"] == 0
    eventually(lambda: not _broken(client, "one"))
    assert client.call("call", "one", "true")["exit"] == 0


def test_workers_killed_by_their_tasks_do_not_break_the_pool(daemon, client, gate):
    for _ in range(8):
        future = client.call("submit", "one", *gate.task())
        os.kill(host_of(gate.await_start()), signal.SIGKILL)
        refused("WorkerLostError", client.call, "result", future)
    assert client.call("call", "one", "true")["exit"] == 0


def _broken(client, name):
    return next(p for p in client.call("pools") if p["name"] == name)["broken"]


def test_a_task_that_stops_itself_can_still_be_killed(daemon, client):
    future = client.call("submit", "shell", *sh("kill -STOP $$"))
    eventually(lambda: client.call("state", [future]) == ["RUNNING"])
    client.call("cancel", [future], {"running": "kill", "grace": 0.1})
    refused("CancelledError", client.call, "result", future)


# Which error

def test_unknown_is_above_the_last_id_and_expired_is_up_to_it(shared):
    first, count = shared.call("map", "shell", "true", [[]] * 3)
    shared.call("wait", [[first, count]])
    shared.call("release", [[first, count]])
    refused("ExpiredFutureError", shared.call, "result", first + 2)
    refused("UnknownFutureError", shared.call, "result", first + 3)


def test_messages_are_one_sentence_for_a_person(shared):
    for call in (("submit", "nosuch", "true"), ("submit", "shell", 7), ("result", 2**52), ("nosuch",), ("call", "shell", "false")):
        try:
            shared.call(*call)
        except Exception as error:
            assert "\n" not in error.error["message"] and len(error.error["message"]) < 400


def test_a_long_program_name_does_not_make_a_long_message(shared):
    error = refused("ExitError", shared.call, "call", "shell", "/" + "x" * 100000)
    assert error["exit"] in (126, 127) and len(error["message"].encode()) <= 4096 + 64


def test_an_error_of_bytes_that_are_no_utf8_is_said_in_utf8(shared):
    """unicode_errors of the client is surrogateescape, so a raw byte in a str would show."""
    error = refused(("ExitError", "ValueError"), shared.call, "call", "shell", "/bin/sh", ["-c", b"exit 1 #\xff\xfe"])
    error["message"].encode("utf-8")


def test_control_characters_of_a_program_name_are_no_harm(shared):
    error = refused("ExitError", shared.call, "call", "shell", "/\x1b[31m\x07")
    assert error["exit"] == 127


@pytest.mark.parametrize("method", ["reload", "stats", "pools"])
def test_methods_without_parameters_take_none(shared, method):
    refused("ValueError", shared.call, method, ref(1))


def test_a_task_that_is_gone_has_no_living_pid(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    pid = gate.await_start()
    gate.open()
    client.call("wait", [future])
    assert not is_alive(pid)
