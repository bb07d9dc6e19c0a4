"""Tasks are sent ahead of time, and still: what is reported cancelled never ran, and what ran is not reported cancelled.

Each task appends its id to a file (O_APPEND), which the tests compare with what the daemon says. The seed is fixed; the races are not."""
import random

import pytest

from helpers import eventually
from kinds import LUA, PROCESS, THREAD, hold, let_go, numbers, shown
from rpc import RpcError, request

CONFIG = {"pools": {"cpu": {**PROCESS, "workers": 2}, "io": {**THREAD, "workers": 2}, "lua": {**LUA, "workers": 2}}}


def racing_cancels(client, pool, ledger, tasks, rng):
    """Cancels in random order, while the tasks run; in some rounds more than in others. Returns (ran, cancelled)."""
    cancelled = set()
    first = last = None
    done = 0
    while done < tasks:
        count = rng.choice([50, 300, 1000])
        run = client.call("map", pool, "mark", [[ledger]] * count)
        ids = list(range(run[0], run[0] + count))
        rng.shuffle(ids)
        asked, data = [], b""
        for i in ids[:rng.randrange(count)]:
            msgid = client.next_msgid
            client.next_msgid += 1
            client.expect(msgid)
            data += request(msgid, "cancel", [i])
            asked.append((msgid, i))
            if rng.random() < 0.05:
                client.send(data)
                data = b""
        client.send(data)
        cancelled |= {i for msgid, i in asked if client.answer(msgid) == [True]}
        assert client.call("wait", [run], timeout=60)["not_done"] == []
        states = client.call("state", [run])
        assert {i for i, s in zip(range(run[0], run[0] + count), states) if s == "CANCELLED"} == \
            {i for i in cancelled if run[0] <= i < run[0] + count}, "true means cancelled, and nothing else does"
        assert set(states) <= {"CANCELLED", "FINISHED"}
        first, last = first or run[0], run[0] + count
        done += count
    marks = numbers(ledger)
    assert len(marks) == len(set(marks)), "none ran twice"
    assert set(marks) == set(range(first, last)) - cancelled, "what ran is what was not cancelled"
    return len(marks), len(cancelled)


@pytest.mark.parametrize("pool", ["cpu", "io", "lua"])
def test_a_cancelled_task_never_ran_and_one_that_ran_is_not_cancelled(daemon, client, pool):
    ran, cancelled = racing_cancels(client, pool, daemon.path("ledger"), 5000, random.Random(1))
    assert ran > 500 and cancelled > 50, "the race is one"


@pytest.mark.long
@pytest.mark.parametrize("pool", ["cpu", "io", "lua"])
def test_a_cancelled_task_never_ran_at_length(daemon, client, pool):
    racing_cancels(client, pool, daemon.path("ledger"), 60000, random.Random(2))


def test_running_is_only_what_executes(launch):
    daemon = launch({"pools": {"cpu": {**PROCESS, "workers": 1}}})
    client = daemon.client()
    client.call("wait", [client.call("map", "cpu", "noop", [[]] * 3000)])  # known to be short: they are sent ahead
    ledger, go = daemon.path("ledger"), daemon.path("go")
    client.send(request(9001, "submit", "cpu", "until_file", [go]) + request(9002, "map", "cpu", "mark", [[ledger]] * 30))
    client.expect(9001), client.expect(9002)
    long, run = client.answer(9001), client.answer(9002)
    eventually(lambda: client.call("state", [long]) == ["RUNNING"])
    assert client.call("state", [run]) == ["PENDING"] * 30
    assert client.call("cancel", [run]) == [True] * 30
    let_go(go)
    client.call("result", long)
    client.call("call", "cpu", "noop")
    assert numbers(ledger) == []


@pytest.mark.parametrize("pool", ["cpu", "io", "lua"])
def test_no_more_run_than_there_are_workers(shared, pool):
    """In one moment, that is: the states of so many are those of several."""
    run = shared.call("map", pool, "noop", [[]] * 30000)
    most = 0
    while shared.call("wait", [run], "ALL_COMPLETED", 0)["not_done"]:
        most = max(most, shared.call("stats")["futures"]["RUNNING"], shown(shared, pool)["busy"])
    assert most <= 2


@pytest.mark.parametrize("pool", ["cpu", "io", "lua"])
def test_long_tasks_among_short_ones_keep_no_slot_idle(daemon, client, pool):
    """One of two slots is taken by a long task: the other does all the rest, what was sent ahead behind the long one as well."""
    client.call("wait", [client.call("map", pool, "noop", [[]] * 3000)])
    for n in range(5):
        go = daemon.path("go%d" % n)
        data, ids = b"", []
        for k in range(200):
            fn, args = ("until_file", [go]) if k == 20 * n + 3 else ("noop", [])
            data += request(10000 + k, "submit", pool, fn, args)
            client.expect(10000 + k)
        client.send(data)
        ids = [client.answer(10000 + k) for k in range(200)]
        long = ids.pop(20 * n + 3)
        assert client.call("wait", ids, "ALL_COMPLETED", 8)["not_done"] == []
        eventually(lambda: client.call("state", [long]) == ["RUNNING"])  # its worker may be the last to be scheduled
        let_go(go)
        client.call("wait", [long])


def test_finish_timeout_and_cancel_race_to_one_final_state(daemon, client):
    """Tasks that take as long as they may, while they are killed: each is done once, in one of the states, and told once."""
    rng = random.Random(3)
    ids = []
    for _ in range(150):
        ids.append(client.call("submit", "cpu", "wait", [rng.choice([0, 0.001, 0.004])], {"timeout": 0.004, "watch": True}))
        if rng.random() < 0.5:
            client.call("cancel", [rng.choice(ids)], {"running": rng.choice(["no", "ask", "kill"]), "grace": 0})
    client.call("wait", ids, timeout=60)
    told = {}
    for _ in ids:
        future, state, error, value = client.notification("done")
        assert future not in told, "told twice"
        told[future] = (state, error and error["type"])
    assert set(told) == set(ids) and not client.pending_notifications("done")
    assert set(told.values()) <= {("FINISHED", None), ("CANCELLED", "CancelledError"), ("CANCELLED", None), ("FINISHED", "TaskTimeoutError")}
    assert dict(zip(ids, client.call("state", ids))) == {i: s for i, (s, _) in told.items()}
    assert client.call("call", "cpu", "add", [1, 1]) == 2


def test_a_kill_never_hits_the_next_task(daemon, client):
    """A process is killed to end one task; the one that it may have gone on to meanwhile must not pay for it."""
    rng, ledger, cancelled, ids = random.Random(4), daemon.path("ledger"), set(), []
    for _ in range(60):
        run = client.call("map", "cpu", "mark", [[ledger]] * 200)
        mine = list(range(run[0], run[0] + run[1]))
        asked = {}
        for i in sorted(rng.sample(mine, 6)):  # while they run, one after the other
            while client.call("state", [i - 1]) == ["PENDING"]:
                pass
            asked[client.request("cancel", [i], {"running": "kill", "grace": 0})] = i
        cancelled |= {i for msgid, i in asked.items() if client.answer(msgid) == [True]}
        assert client.call("wait", [run], timeout=60)["not_done"] == []
        ids += mine
    states = dict(zip(ids, client.call("state", ids)))
    assert {i for i, s in states.items() if s == "CANCELLED"} == cancelled
    assert [client.call("exception", i) for i in ids if i not in cancelled] == [None] * (len(ids) - len(cancelled))
    marks = numbers(ledger)
    assert len(marks) == len(set(marks)) and set(ids) - cancelled <= set(marks), "each of the others ran, once"


def test_a_busy_pool_pauses_exactly(daemon, client):
    """Pausing takes back what was sent ahead: after its answer only what had begun goes on."""
    ledger = daemon.path("ledger")
    run = client.call("map", "cpu", "mark", [[ledger]] * 5000)
    client.call("pause", "cpu")
    eventually(lambda: shown(client, "cpu")["busy"] == 0)
    ran = numbers(ledger)
    states = client.call("state", [run])
    assert states.count("FINISHED") == len(ran) and states.count("PENDING") == 5000 - len(ran)
    client.call("resume", "cpu")
    client.call("wait", [run])
    assert sorted(numbers(ledger)) == list(range(run[0], run[0] + 5000))


def test_tasks_of_one_worker_run_in_order(launch):
    daemon = launch({"pools": {"cpu": {**PROCESS, "workers": 1}}})
    client = daemon.client()
    ledger = daemon.path("ledger")
    client.call("wait", [client.call("map", "cpu", "noop", [[]] * 1000)])
    run = client.call("map", "cpu", "mark", [[ledger]] * 3000)
    for _ in range(20):
        client.call("pause", "cpu")
        client.call("resume", "cpu")
    client.call("wait", [run])
    assert numbers(ledger) == list(range(run[0], run[0] + 3000)), "taken back or not"


# Positive control: the same comparison finds a daemon that lies.

def test_the_ledger_tells_a_cancelled_task_that_ran(daemon, client):
    class Liar:
        """Says of some tasks that ran that they were cancelled."""

        def __init__(self, client):
            self.client = client

        def __getattr__(self, name):
            return getattr(self.client, name)

        @property
        def next_msgid(self):
            return self.client.next_msgid

        @next_msgid.setter
        def next_msgid(self, value):
            self.client.next_msgid = value

        def call(self, method, *params, **options):
            result = self.client.call(method, *params, **options)
            if method == "map":  # so that some have run when they are cancelled, however slow their workers are today
                self.client.call("wait", [result], timeout=60)
            return result

        def answer(self, msgid):
            self.client.answer(msgid)
            return [True]
    with pytest.raises(AssertionError):
        racing_cancels(Liar(client), "cpu", daemon.path("ledger"), 5000, random.Random(1))
