"""The options retries and retry_delay: how often to run again after a failure or a lost worker."""
import os
import signal
import time

import pytest

from helpers import eventually, lines, parent_of, refused, sh

# Fails until it has run $2 times; leaves a line per run in $1.
FLAKY = 'echo run >>"$1"; [ $(wc -l <"$1") -ge "$2" ] && echo well'


def test_no_retry_by_default(daemon, client):
    log = daemon.path("log")
    refused("ExitError", client.call, "call", "shell", *sh(FLAKY, log, 2))
    assert lines(log) == ["run"]


def test_a_task_runs_again_until_it_goes_well(daemon, client):
    log = daemon.path("log")
    future = client.call("submit", "shell", *sh(FLAKY, log, 3), {"retries": 5, "retry_delay": 0.01})
    assert client.call("result", future)["stdout"] == b"well\n"
    assert len(lines(log)) == 3
    assert client.call("show", future)["attempt"] == 3


def test_the_last_failure_is_the_error(daemon, client):
    log = daemon.path("log")
    error = refused("ExitError", client.call, "call", "shell", *sh('echo run >>"$1"; exit $(wc -l <"$1")', log),
                    {"retries": 2, "retry_delay": 0})
    assert error["exit"] == 3 and len(lines(log)) == 3


def test_whoever_waits_is_told_once_at_the_end(daemon, client):
    log = daemon.path("log")
    future = client.call("submit", "shell", *sh(FLAKY, log, 3), {"retries": 5, "retry_delay": 0.01, "watch": True})
    assert client.notification("done")[:2] == [future, "FINISHED"]
    assert client.pending_notifications("done") == []


def test_the_pause_is_doubled_each_time(daemon, client):
    log = daemon.path("log")
    refused("ExitError", client.call, "call", "shell", *sh('date +%s.%N >>"$1"; exit 1', log), {"retries": 3, "retry_delay": 0.1})
    times = [float(t) for t in lines(log)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) == 3
    assert gaps[0] >= 0.1 and gaps[1] >= 0.2 and gaps[2] >= 0.4 and gaps[2] < 3


def test_between_attempts_it_is_pending_and_can_be_cancelled(daemon, client):
    log = daemon.path("log")
    future = client.call("submit", "shell", *sh(FLAKY, log, 9), {"retries": 5, "retry_delay": 1000})
    eventually(lambda: lines(log) and client.call("state", [future]) == ["PENDING"])
    assert client.call("cancel", [future]) == [True]
    assert client.call("state", [future]) == ["CANCELLED"] and len(lines(log)) == 1


def test_a_pause_between_attempts_holds_no_worker(daemon, client):
    log = daemon.path("log")
    client.call("submit", "one", *sh(FLAKY, log, 9), {"retries": 5, "retry_delay": 1000})
    eventually(lambda: lines(log))
    assert client.call("call", "one", "true")["exit"] == 0


def test_a_kill_ends_the_retries(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(), {"retries": 5, "retry_delay": 0})
    gate.await_start()
    assert client.call("cancel", [future], {"running": "kill"}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert gate.nobody_started()


def test_a_dependency_error_is_not_retried(daemon, client):
    log = daemon.path("log")
    bad = client.call("submit", "shell", "false")
    refused("DependencyError", client.call, "call", "shell", *sh('echo ran >>"$1"', log), {"after": [bad], "retries": 3, "retry_delay": 0})
    assert lines(log) == []


def test_a_run_limit_is_retried(daemon, client):
    log = daemon.path("log")
    refused("TaskTimeoutError", client.call, "call", "shell", *sh('echo run >>"$1"; sleep 1000', log),
            {"timeout": 0.1, "retries": 2, "retry_delay": 0})
    assert len(lines(log)) == 3


def test_a_lost_worker_is_retried(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo second time"), {"retries": 1, "retry_delay": 0})
    os.kill(parent_of(gate.await_start()), signal.SIGKILL)
    gate.await_start()
    gate.open()
    assert client.call("result", future)["stdout"] == b"second time\n"
    assert client.call("show", future)["attempt"] == 2


def test_attempts_share_one_output_stream(daemon, client):
    log = daemon.path("log")
    future = client.call("submit", "shell", *sh('echo run >>"$1"; n=$(wc -l <"$1"); echo attempt $n; [ $n -ge 3 ]', log),
                         {"retries": 3, "retry_delay": 0.01})
    assert client.call("result", future)["stdout"] == b"attempt 3\n", "the value is the last one's"
    assert client.call("output", future) == b"attempt 1\nattempt 2\nattempt 3\n"


def test_followers_see_all_attempts_with_growing_offsets(daemon, client, gate):
    log = daemon.path("log")
    first = client.call("submit", "one", *gate.task())
    future = client.call("submit", "shell", *sh('echo run >>"$1"; echo x; [ $(wc -l <"$1") -ge 3 ]', log),
                         {"retries": 3, "retry_delay": 0.01, "after": [first]})
    assert client.call("output", future, {"follow": True}) == b""
    gate.open()
    text, eof = b"", False
    while not eof:
        _, _, offset, data, eof = client.notification("output")
        assert offset == len(text)
        text += data
    assert text == b"x\nx\nx\n"


def test_the_attempt_is_visible_to_the_task(daemon, client):
    future = client.call("submit", "shell", *sh("echo $FUTURED_ATTEMPT; [ $FUTURED_ATTEMPT -ge 3 ]"), {"retries": 3})
    client.call("wait", [future])
    assert client.call("output", future) == b"1\n2\n3\n"


def test_a_dependent_waits_for_the_last_attempt(daemon, client):
    log = daemon.path("log")
    future = client.call("submit", "shell", *sh(FLAKY, log, 2), {"retries": 2, "retry_delay": 0.05})
    assert client.call("call", "shell", "true", [], {"after": [future]})["exit"] == 0


def test_the_first_pause_may_be_zero(daemon, client):
    log = daemon.path("log")
    begun = time.monotonic()
    refused("ExitError", client.call, "call", "shell", *sh(FLAKY, log, 99), {"retries": 5, "retry_delay": 0})
    assert len(lines(log)) == 6 and time.monotonic() - begun < 8


def test_many_retries_are_bounded(shared):
    refused("ValueError", shared.call, "submit", "shell", "true", [], {"retries": 2**62})


@pytest.mark.config(log={"level": "info"})
def test_failures_shows_only_the_final_failure(daemon, client):
    log = daemon.path("log2")
    future = client.call("submit", "shell", *sh(FLAKY, log, 2), {"retries": 2, "retry_delay": 0})
    client.call("wait", [future])
    assert client.call("failures") == []
