"""cancel [ids, {"running": "no"|"ask"|"kill", "grace": s}]: a pending one never runs; a running one is stopped, whole."""
import sys
import time
import uuid

import pytest

from helpers import eventually, is_alive, lines, marked, refused, sh
from rpc import ref

# A tree that does not want to die: new sessions, double forks, TERM ignored. Each names itself in the file $2.
STUBBORN = """
trap '' TERM HUP INT
setsid sh -c 'trap "" TERM HUP; echo $$ >>"$0"; while :; do sleep 100; done' "$1" &
( ( setsid sh -c 'echo $$ >>"$0"; exec sleep 1000' "$1" & ) & )
sh -c 'trap "" TERM; echo $$ >>"$0"; while :; do sleep 100; done' "$1" &
while [ "$(wc -l <"$1")" -lt 3 ]; do sleep 0.01; done
echo ready >>"$1"
while :; do sleep 100; done
"""


def blocked(client, gate, *task):
    """A pending future behind a running one in the pool `one`."""
    running = client.call("submit", "one", *gate.task())
    gate.await_start()
    return running, client.call("submit", "one", *(task or ("true",)))


def test_a_pending_one_is_cancelled(daemon, client, gate):
    _, future = blocked(client, gate)
    assert client.call("cancel", [future]) == [True]
    assert client.call("state", [future]) == ["CANCELLED"]
    gate.open()


def test_a_cancelled_task_never_runs(daemon, client, gate):
    marker = daemon.path("marker")
    client.call("submit", "one", *gate.task())
    gate.await_start()
    first, count = client.call("map", "one", "/bin/sh", [["-c", 'echo $0 >>"$1"', str(n), marker] for n in range(100)])
    odd = list(range(first + 1, first + count, 2))
    assert client.call("cancel", odd) == [True] * len(odd)
    gate.open()
    client.call("wait", [[first, count]])
    assert lines(marker) == [str(n) for n in range(0, 100, 2)]


def test_what_cancel_said_is_what_ran(daemon, client):
    """Cancels race with tasks that begin: those that were told true have not run, all others have."""
    marker = daemon.path("marker")
    first, count = client.call("map", "shell", "/bin/sh", [["-c", 'echo $0 >>"$1"', str(n), marker] for n in range(150)])
    cancelled = set()
    for n in reversed(range(count)):
        if client.call("cancel", [first + n]) == [True]:
            cancelled.add(n)
    client.call("wait", [[first, count]])
    states = client.call("state", [[first, count]])
    assert {n for n in range(count) if states[n] == "CANCELLED"} == cancelled
    assert sorted(map(int, lines(marker))) == sorted(set(range(count)) - cancelled)


def test_a_running_one_is_not_cancelled_by_default(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo done"))
    gate.await_start()
    assert client.call("cancel", [future]) == [False]
    assert client.call("cancel", [future], {"running": "no"}) == [False]
    gate.open()
    assert client.call("result", future)["stdout"] == b"done\n"


def test_a_finished_one_is_not_cancelled(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    for how in ("no", "ask", "kill"):
        assert shared.call("cancel", [future], {"running": how}) == [False]
    assert shared.call("state", [future]) == ["FINISHED"]


def test_a_cancelled_one_is_cancelled_again(daemon, client, gate):
    _, future = blocked(client, gate)
    assert client.call("cancel", [future]) == [True]
    assert client.call("cancel", [future]) == [True]
    assert client.call("cancel", [future], {"running": "kill"}) == [True]
    gate.open()


def test_each_element_is_answered_duplicates_too(daemon, client, gate):
    running, future = blocked(client, gate)
    assert client.call("cancel", [future, running, future, [running, 2]]) == [True, False, True, False, True]
    gate.open()


def test_an_unknown_id_cancels_nothing(daemon, client, gate):
    _, future = blocked(client, gate)
    refused("UnknownFutureError", client.call, "cancel", [future, future + 1])
    assert client.call("state", [future]) == ["PENDING"]
    gate.open()


def test_cancel_of_nothing_is_nothing(shared):
    assert shared.call("cancel", []) == []


def test_ask_sends_term_and_answers_false(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    gate.await_start()
    assert client.call("cancel", [future], {"running": "ask"}) == [False]
    refused("CancelledError", client.call, "result", future)
    assert client.call("state", [future]) == ["CANCELLED"]


def test_ask_lets_a_task_go_on_that_ignores_term(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo ignored it", before="trap '' TERM"))
    gate.await_start()
    assert client.call("cancel", [future], {"running": "ask"}) == [False]
    client.call("ping")
    assert client.call("state", [future]) == ["RUNNING"]
    gate.open()
    assert client.call("result", future)["stdout"] == b"ignored it\n"


def test_ask_cancels_a_pending_one_as_usual(daemon, client, gate):
    _, future = blocked(client, gate)
    assert client.call("cancel", [future], {"running": "ask"}) == [True]
    assert client.call("state", [future]) == ["CANCELLED"]
    gate.open()


def test_each_ask_is_one_term(daemon, client, gate):
    log = daemon.path("terms")
    future = client.call("submit", "shell", *sh(
        "trap 'echo term >>%s' TERM; echo $$ >%s; while [ ! -e %s ]; do sleep 0.02; done"
        % (log, gate.started, daemon.path("enough"))))
    gate.await_start()
    for n in (1, 2):
        assert client.call("cancel", [future], {"running": "ask"}) == [False]
        eventually(lambda: len(lines(log)) >= n)
    open(daemon.path("enough"), "w").close()
    client.call("wait", [future])
    assert lines(log) == ["term"] * 2


def test_kill_stops_a_running_one(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task())
    pid = gate.await_start()
    assert client.call("cancel", [future], {"running": "kill"}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert not is_alive(pid)
    assert client.call("state", [future]) == ["CANCELLED"]


def test_kill_sends_term_first(daemon, client, gate):
    log = daemon.path("terms")
    future = client.call("submit", "shell", *sh(
        "trap 'echo term >>%s; exit 0' TERM; echo $$ >%s; while :; do sleep 0.02; done" % (log, gate.started)))
    gate.await_start()
    assert client.call("cancel", [future], {"running": "kill"}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert lines(log) == ["term"]


def test_kill_waits_for_grace_then_kills(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(before="trap '' TERM"))
    pid = gate.await_start()
    begun = time.monotonic()
    assert client.call("cancel", [future], {"running": "kill", "grace": 0.3}) == [True]
    assert client.call("state", [future]) == ["RUNNING"] and is_alive(pid)
    refused("CancelledError", client.call, "result", future)
    assert 0.25 < time.monotonic() - begun < 4
    assert not is_alive(pid)


def test_kill_without_grace_kills_at_once(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(before="trap '' TERM"))
    gate.await_start()
    client.call("cancel", [future], {"running": "kill", "grace": 0})
    refused("CancelledError", client.call, "result", future, 3)


def test_a_shorter_grace_may_follow_a_longer_one(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(before="trap '' TERM"))
    gate.await_start()
    assert client.call("cancel", [future], {"running": "kill", "grace": 600}) == [True]
    assert client.call("cancel", [future], {"running": "kill", "grace": 0}) == [True]
    refused("CancelledError", client.call, "result", future, 5)


def test_kill_takes_the_whole_tree_whatever_it_did(daemon, client):
    mark, pids = uuid.uuid4().hex, daemon.path("pids")
    future = client.call("submit", "shell", *sh(STUBBORN, pids), {"env": {"MARK": mark}})
    eventually(lambda: "ready" in lines(pids))
    assert len(marked(mark)) >= 4
    assert client.call("cancel", [future], {"running": "kill", "grace": 0.1}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert marked(mark) == []


# Twenty processes in sessions of their own that only wait, and a chain whose every link forks the next and ends.
FORKING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for n in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
if os.fork() == 0:
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        time.sleep(0.002)
open(sys.argv[1], "w").write("%d\\n" % os.getpid())
signal.pause()
"""


def test_kill_takes_a_tree_that_forks_all_the_time(daemon, client, gate):
    mark = uuid.uuid4().hex
    future = client.call("submit", "shell", sys.executable, ["-c", FORKING, gate.started], {"env": {"MARK": mark}})
    gate.await_start()
    eventually(lambda: len(marked(mark)) > 10)
    client.call("cancel", [future], {"running": "kill", "grace": 0.1})
    refused("CancelledError", client.call, "result", future)
    assert marked(mark) == []


def test_the_slot_is_free_after_a_kill(daemon, client, gate):
    future = client.call("submit", "one", *gate.task())
    gate.await_start()
    client.call("cancel", [future], {"running": "kill"})
    assert client.call("call", "one", "echo", ["next"])["stdout"] == b"next\n"


def test_kill_of_one_leaves_the_others_running(daemon, client, gate):
    ids = [client.call("submit", "shell", *gate.task("echo lives")) for _ in range(2)]
    gate.await_start(), gate.await_start()
    client.call("cancel", [ids[0]], {"running": "kill"})
    refused("CancelledError", client.call, "result", ids[0])
    gate.open()
    assert client.call("result", ids[1])["stdout"] == b"lives\n"


def test_what_a_killed_task_printed_stays_readable(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(before="echo before"))
    gate.await_start()
    client.call("cancel", [future], {"running": "kill"})
    refused("CancelledError", client.call, "result", future)
    assert client.call("output", future) == b"before\n"


def test_kill_and_finish_race_to_one_final_state(daemon, client):
    first, count = client.call("map", "shell", "true", [[]] * 100, {"watch": True})
    said = client.call("cancel", [[first, count]], {"running": "kill"})
    client.call("wait", [[first, count]])
    told = [client.notification("done") for _ in range(count)]
    states = client.call("state", [[first, count]])
    assert sorted(t[0] for t in told) == list(range(first, first + count))
    assert {t[0]: t[1] for t in told} == {first + n: states[n] for n in range(count)}
    assert client.pending_notifications("done") == []
    assert all(state in ("FINISHED", "CANCELLED") for state in states)
    assert all(s == "CANCELLED" for s, ok in zip(states, said) if ok)


def test_a_true_is_a_promise_though_the_task_ends_by_itself(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("exit 0", before="trap '' TERM"))
    gate.await_start()
    assert client.call("cancel", [future], {"running": "kill", "grace": 60}) == [True]
    assert client.call("state", [future]) == ["RUNNING"]
    gate.open()
    refused("CancelledError", client.call, "result", future)


@pytest.mark.parametrize("options", [7, "kill", [], {"running": "maybe"}, {"running": 1}, {"running": True},
                                     {"running": b"kill"}, {"grace": "5"}, {"grace": True}, {"grace": -1},
                                     {"grace": float("nan")}, {"grace": float("inf")}, {"grace": 2e9}, {"kill": True},
                                     {"running": ref(1)}], ids=repr)
def test_wrong_options_are_a_value_error_and_cancel_nothing(daemon, client, gate, options):
    _, future = blocked(client, gate)
    refused("ValueError", client.call, "cancel", [future], options)
    assert client.call("state", [future]) == ["PENDING"]
    gate.open()


def test_too_many_parameters_are_a_value_error(shared):
    refused("ValueError", shared.call, "cancel", [], {}, 1)


def test_cancelled_futures_are_no_failures(daemon, client, gate):
    _, future = blocked(client, gate)
    client.call("cancel", [future])
    assert client.call("failures") == []
    gate.open()
