"""Workers that die, and hosts that misbehave: each costs what the table in the architecture says, and never more."""
import os
import random
import re
import signal
import time

import pytest

from helpers import HERE, children, eventually, is_alive, process_state, refused
from kinds import POOLS, PROCESS, TOY, hold, let_go, numbers, shown
from rpc import RpcError

CONFIG = {"pools": POOLS}
ROGUE = ["/usr/bin/python3", os.path.join(HERE, "rogue.py")]


def outcome(client, future):
    """The value, or the error's type."""
    try:
        return client.call("result", future)
    except RpcError as error:
        return error.type


# What the error carries

def test_a_segfault_says_pid_signal_and_last_words(shared):
    future = shared.call("submit", "cpu", "crash")
    error = refused("WorkerLostError", shared.call, "result", future)
    assert error["signal"] == signal.SIGSEGV and "exit" not in error and error["oom"] is False
    assert error["pid"] > 0 and not is_alive(error["pid"])
    assert error["stderr"].endswith(b"about to crash\n") and error["future"] == future and "task" not in error
    assert shared.call("call", "cpu", "add", [1, 1]) == 2


def test_an_exit_says_its_status(shared):
    error = refused("WorkerLostError", shared.call, "call", "cpu", "leave", [7])
    assert error["exit"] == 7 and "signal" not in error


def test_a_kill_from_outside_is_told(shared, tmp_path):
    future, = hold(shared, "cpu", str(tmp_path / "go"))
    pid = shared.call("show", future)["pid"]
    os.kill(pid, signal.SIGKILL)
    error = refused("WorkerLostError", shared.call, "result", future)
    assert error["signal"] == signal.SIGKILL and error["pid"] == pid
    assert shared.call("call", "cpu", "add", [1, 1]) == 2


def test_the_last_4_kib_of_stderr_come_with_it(shared):
    error = refused("WorkerLostError", shared.call, "call", "cpu", "shell", ["seq 2000 >&2; kill -KILL $PPID"])
    assert error["stderr"] == b"".join(b"%d\n" % n for n in range(1, 2001))[-4096:]


def test_retries_count_a_lost_worker(shared, tmp_path):
    mark = str(tmp_path / "once")
    future = shared.call("submit", "cpu", "shell", ["[ -e %s ] || { touch %s; kill -KILL $PPID; }" % (mark, mark)], {"retries": 1})
    assert shared.call("result", future) == 0
    assert shared.call("show", future)["attempt"] == 2


def test_without_retries_it_runs_once(shared, tmp_path):
    ledger = str(tmp_path / "ledger")
    future = shared.call("submit", "cpu", "shell", ["echo 1 >>%s; kill -SEGV $PPID; sleep 9" % ledger])
    refused("WorkerLostError", shared.call, "result", future)
    shared.call("call", "cpu", "noop")
    assert numbers(ledger) == [1]


# What it costs

def test_a_process_costs_its_task_alone(shared, tmp_path):
    neighbour, = hold(shared, "cpu", str(tmp_path / "go"))
    pid = shared.call("show", neighbour)["pid"]
    ids = [shared.call("submit", "cpu", fn, args) for fn, args in [("crash", []), ("add", [1, 2]), ("leave", [3]), ("add", [3, 4])]]
    assert [outcome(shared, i) for i in ids] == ["WorkerLostError", 3, "WorkerLostError", 7]
    assert shared.call("show", neighbour)["pid"] == pid
    let_go(str(tmp_path / "go"))
    assert shared.call("result", neighbour) is None


@pytest.mark.parametrize("pool, death", [("io", ("crash", [])), ("io", ("end_thread", [])), ("lua", ("crash", []))])
def test_a_shared_host_costs_what_runs_there_and_nothing_that_waits(shared, tmp_path, pool, death):
    neighbour, = hold(shared, pool, str(tmp_path / "go"))
    fatal = shared.call("submit", pool, *death)
    first, count = shared.call("map", pool, "mark", [[str(tmp_path / "ledger")]] * 50)
    refused("WorkerLostError", shared.call, "result", fatal)
    refused("WorkerLostError", shared.call, "result", neighbour)
    assert [outcome(shared, first + n) for n in range(count)] == [None] * count
    assert sorted(numbers(tmp_path / "ledger")) == list(range(first, first + count)), "each ran once"


@pytest.mark.parametrize("pool", ["cpu", "io"])
def test_a_crash_loses_no_answer_of_a_task_before_it(launch, pool):
    """Tasks are sent ahead, and answered one by one: what was done before the crash is done, what was not begun runs elsewhere."""
    daemon = launch({"pools": {pool: {**POOLS[pool], "workers": 1}}})
    client = daemon.client()
    ledger = daemon.path("ledger")
    client.call("call", pool, "noop")
    client.call("wait", [client.call("map", pool, "noop", [[]] * 200)])  # it knows now that they are short
    for _ in range(10):
        client.call("pause", pool)
        before = client.call("map", pool, "mark", [[ledger]] * 20)
        fatal = client.call("submit", pool, "crash")
        after = client.call("map", pool, "mark", [[ledger]] * 20)
        client.call("resume", pool)
        refused("WorkerLostError", client.call, "result", fatal)
        ids = [first + n for first, count in (before, after) for n in range(count)]
        assert [outcome(client, i) for i in ids] == [None] * 40
        assert sorted(numbers(ledger)[-40:]) == ids
    assert len(numbers(ledger)) == 400, "none ran twice"


def crashes_among(client, pool, good, bad, ledger):
    """Good tasks leave a mark each; returns what became of which."""
    every = (good + bad) // bad
    ids = {}
    for n in range(bad):
        ids[client.call("submit", pool, "leave", [9])] = "bad"
        first, count = client.call("map", pool, "mark", [[ledger]] * (every - 1))
        ids.update((first + k, "good") for k in range(count))
    client.call("wait", [[min(ids), len(ids)]], timeout=300)
    for future, kind in ids.items():
        assert outcome(client, future) == (None if kind == "good" else "WorkerLostError"), (future, kind)
    marks = numbers(ledger)
    assert sorted(marks) == sorted(i for i, kind in ids.items() if kind == "good")
    return len(marks)


def test_crashing_tasks_lose_no_good_one(daemon, client):
    assert crashes_among(client, "cpu", 1000, 100, daemon.path("ledger")) == 1000
    assert shown(client, "cpu")["broken"] is None


@pytest.mark.long
def test_a_thousand_crashing_tasks_among_ten_thousand_lose_no_good_one(daemon, client):
    assert crashes_among(client, "cpu", 10000, 1000, daemon.path("ledger")) == 10000
    assert shown(client, "cpu")["broken"] is None


@pytest.mark.long
def test_workers_killed_at_random_lose_only_what_they_ran(daemon, client):
    """Answers of 1 B to 4 MiB are under way when the signal comes."""
    rng = random.Random(7)
    killed = 0
    ids = [client.call("submit", "cpu", "bytes", [rng.choice([1, 1000, 70000, 4 << 20])]) for _ in range(3000)]
    while shown(client, "cpu")["pending"]:
        running = {f["pid"]: f["id"] for f in client.call("list", {"pool": "cpu", "state": "RUNNING"}) if f["pid"]}
        if running:
            pid = rng.choice(sorted(running))
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue  # it died of the last one
            if outcome(client, running[pid]) != "WorkerLostError":
                time.sleep(2.2)  # it had just answered: idle workers that keep dying, five in ten seconds, break a pool
    client.call("wait", ids)
    lost = [i for i in ids if outcome(client, i) == "WorkerLostError"]
    assert killed > 10 and len(lost) <= killed, (len(lost), killed)
    assert client.call("call", "cpu", "add", [1, 1]) == 2


# Hosts that break the worker contract: rogue.py does one wrong thing when it is told to

RINGS = {"ring_count": "ring", "ring_back": "ring", "ring_garbage": "ring", "ring_half": "ring", "ring_large": "ring", "ring_no_answer": "no answer",
         "ring_other_id": "not running", "ring_twice": "without a task|not running", "ring_all": "ring"}
WRONGS = {"garbage": "not MessagePack", "half": "", "unknown": "no answer", "other_id": "not running",
          "twice": "without a task|not running", "no_id": "no answer", "map": "no answer|message", "deep": "nested|deep|level", "control_garbage": "control",
          "control_unknown": "control", "close_slot": "", "close_control": "", "exit": "", "kill": "", "bad_error": "error map",
          "bad_output": "output", "other_stream": "output", "bad_done": "progress", "bad_total": "progress", "bad_note": "progress",
          "board": "", "half_then_exit": "", "huge": "large|limit|more bytes|longer"}


@pytest.fixture
def rogue(launch):
    daemon = launch({"pools": {"rogue": {"kind": "process", "runtime": ROGUE, "workers": 1},
                               "ring": {"kind": "process", "runtime": [*ROGUE, "ring"], "workers": 1},
                               "cpu": {**PROCESS, "workers": 1}}})
    return daemon


@pytest.mark.parametrize("pool, wrong", [("rogue", wrong) for wrong in sorted(WRONGS)] + [("ring", wrong) for wrong in sorted({**WRONGS, **RINGS})])
def test_a_host_that_breaks_the_contract_costs_its_task(rogue, pool, wrong):
    client = rogue.client()
    assert client.call("call", pool, "well", [1]) == "well"
    pid = client.call("call", pool, "pid")
    future = client.call("submit", pool, wrong)
    after = client.call("submit", pool, "pid")
    if wrong.endswith("twice"):
        assert outcome(client, future) == "well", "the first answer counts"
        assert outcome(client, after) != pid  # lost, if it had been sent when the second answer came
        assert client.call("call", pool, "pid") != pid
    else:
        error = refused("WorkerLostError", client.call, "result", future)
        assert error["pid"] == pid
        assert re.search({**WRONGS, **RINGS}[wrong], error["message"]), error["message"]
        assert client.call("result", after) != pid, "the host was replaced"
    assert not is_alive(pid)
    assert client.call("call", "cpu", "add", [1, 1]) == 2
    assert shown(client, pool)["broken"] is None


def test_what_a_host_says_of_progress_is_put_into_the_daemons_words(rogue):
    """It was passed on as it came: whatever a worker said, as deep and as long as it liked, was a notification that watchers had to take."""
    client = rogue.client()
    future = client.call("submit", "rogue", "odd_progress", [], {"watch": True})
    assert client.notification("progress") == [future, float(2**64), 0.5, "x" * 65536]
    assert client.notification("progress") == [future, 1, None, "a\ufffdb"]
    assert outcome(client, future) == "well"


def test_an_answer_in_the_ring_outlives_its_host(rogue):
    """Nobody woke the daemon for it: it hears it when the host has died."""
    client = rogue.client()
    future = client.call("submit", "ring", "answer_and_die")
    assert outcome(client, future) == "well"


def test_needless_wakes_cost_nothing(rogue):
    client = rogue.client()
    pid = client.call("call", "ring", "pid")
    assert client.call("call", "ring", "wakes") == "well"
    assert client.call("call", "ring", "pid") == pid


def test_a_host_without_a_ring_may_not_wake(rogue):
    client = rogue.client()
    refused("WorkerLostError", client.call, "call", "rogue", "wakes")


def test_a_host_that_closes_its_socket_between_tasks_costs_nothing(rogue):
    client = rogue.client()
    pid = client.call("call", "rogue", "pid")
    client.call("call", "rogue", "close_later")
    eventually(lambda: not is_alive(pid))
    assert client.call("call", "rogue", "well") == "well"


def test_a_shared_host_that_closes_the_socket_of_an_idle_slot_gets_nothing_more(launch):
    """It got slots in the place of those that it had closed, and tasks for them, before it was killed; and the pool went on looking at the slots that had
    been there."""
    daemon = launch({"pools": {"bad": {"kind": "thread", "runtime": [*ROGUE, "close_an_idle_slot"], "workers": 4}}})
    client = daemon.client()
    ids = [client.call("submit", "bad", "noop")]
    while daemon.log().count("is killed: it closed its sockets") < 3:
        ids.append(client.call("submit", "bad", "noop"))
        client.call("pools")
    client.call("cancel", ids)
    ended = [n for n, state in zip(ids, client.call("state", ids)) if state != "CANCELLED"]   # the fifth host broke the pool
    assert {client.call("exception", n)["type"] for n in ended} <= {"BrokenPoolError"}


@pytest.mark.long
@pytest.mark.parametrize("pool", ["shell", "cpu"])
def test_a_task_that_was_sent_to_a_worker_that_is_stopped_goes_to_another(launch, pool):
    """It waited for ever, for a worker that had not begun it."""
    daemon = launch({"pools": {pool: {**POOLS[pool], "workers": 1}}})
    client = daemon.client()
    task = ("true",) if pool == "shell" else ("noop",)
    client.call("call", pool, *task)
    host, = filter(is_alive, children(daemon.pid))
    os.kill(host, signal.SIGSTOP)
    eventually(lambda: process_state(host) == "T")
    future = client.call("submit", pool, *task)
    client.call("wait", [future], "ALL_COMPLETED", 80, timeout=80)
    assert client.call("show", future)["attempt"] == 1
    assert client.call("result", future) is None if pool == "cpu" else client.call("result", future)["exit"] == 0
    assert not is_alive(host)


@pytest.mark.long
def test_a_kill_ends_a_host_that_claims_the_next_task_without_an_answer(launch):
    """The answer to the first was taken to be under way, and was waited for without end."""
    daemon = launch({"pools": {"bad": {"kind": "process", "runtime": [*ROGUE, "claim_without_answering"], "workers": 1}}})
    client = daemon.client()
    client.call("wait", [client.call("map", "bad", "well", [[]] * 500)])  # they are known to be short
    ids = client.call("map", "bad", "never", [[]] * 2)
    first = ids[0]
    eventually(lambda: client.call("state", [first]) == ["RUNNING"])
    assert client.call("cancel", [first], {"running": "kill"}) == [True]
    refused("CancelledError", client.call, "result", first, timeout=15)
    refused("WorkerLostError", client.call, "result", first + 1)


def test_the_well_behaved_rogue_is_not_suspected(rogue):
    """The control: what the tests above catch is the wrong, not the host."""
    client = rogue.client()
    for pool in "rogue", "ring":
        pids = {client.call("call", pool, "pid") for _ in range(50)}
        assert len(pids) == 1


def test_a_worker_that_was_told_to_end_and_goes_deaf_is_not_waited_for(launch):
    """It had all the time that its task needs, and that was for ever."""
    daemon = launch({"pools": {"toy": {**TOY, "workers": 2}}})
    client = daemon.client()
    ids = [client.call("submit", "toy", "go_deaf", [daemon.path("go")]) for _ in range(2)]
    eventually(lambda: client.call("state", ids) == ["RUNNING"] * 2)
    client.call("resize", "toy", 1)
    let_go(daemon.path("go"))
    for future in ids:
        refused("WorkerLostError", client.call, "result", future)
    assert client.call("call", "toy", "add", [1, 2]) == 3


def test_a_task_that_closes_every_descriptor_costs_itself(daemon, client):
    future = client.call("submit", "cpu", "close_all")
    # its answer needs no descriptor, but the host that has none any more may end before it is given
    assert outcome(client, future) in (None, "WorkerLostError")
    assert client.call("call", "cpu", "add", [1, 1]) == 2
