"""What one user may take: each bound at one below, at it, and one above, with an error that names it and its value; and a greedy user
beside a polite one."""
import os
import signal
import time

import msgpack
import pytest

import rpc
from helpers import Closed, eventually, refused, sh
from people import ANN, BOB, DAEMON, acting_as, connect, launch_shared, needs_root

pytestmark = needs_root


def house(launch, **user):
    return launch_shared(launch, {"limits": {"user": user}} if user else {})


# ---- pending ----

@pytest.mark.parametrize("bound", [1, 2, 300])
def test_pending_futures_at_the_bound_and_one_above(launch, bound):
    daemon = house(launch, pending=bound)
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    for pool in ("shell", "one"):
        root.call("pause", pool)
    ids = [ann.call("submit", ("shell", "one")[i % 2], "true") for i in range(bound)]
    message = refused("LimitError", ann.call, "submit", "shell", "true")["message"]
    assert "limits.user.pending" in message and "at most %d" % bound in message and "uid:%d" % ANN in message
    refused("LimitError", ann.call, "map", "one", "true", [[]])
    refused("LimitError", connect(daemon, ANN).call, "call", "one", "true")
    assert ann.call("map", "one", "true", [])[1] == 0
    assert bob.call("map", "shell", "true", [[]] * bound)[1] == bound
    assert root.call("map", "shell", "true", [[]] * (bound + 1))[1] == bound + 1, "admins are not bound"
    ann.call("cancel", ids[:1])
    assert ann.call("submit", "shell", "true")
    refused("LimitError", ann.call, "submit", "shell", "true")


def test_a_map_counts_whole(launch):
    daemon = house(launch, pending=100)
    ann = connect(daemon, ANN)
    connect(daemon, 0).call("pause", "shell")
    message = refused("LimitError", ann.call, "map", "shell", "true", [[]] * 101)["message"]
    assert "101 more" in message
    assert ann.call("map", "shell", "true", [[]] * 99)[1] == 99
    refused("LimitError", ann.call, "map", "shell", "true", [[]] * 2)
    ann.call("submit", "shell", "true")
    refused("LimitError", ann.call, "submit", "shell", "true")


def test_retries_count(launch):
    daemon = house(launch, pending=3)
    ann, root = connect(daemon, ANN), connect(daemon, 0)
    ids = [ann.call("submit", "shell", "true") for _ in range(3)]
    ann.call("wait", ids)
    root.call("pause", "shell")
    ann.call("submit", "shell", "true")
    refused("LimitError", ann.call, "retry", ids)
    assert len(ann.call("retry", ids[:2])) == 2
    assert len(root.call("retry", ids)) == 3, "an admin's are not bound, though they are ann's"
    assert len(ann.call("list", {"state": "PENDING"})) == 6


def test_blocked_behind_ones_own_map_that_is_refused(launch):
    daemon = house(launch, pending=20001)
    ann = connect(daemon, ANN)
    ann.expect(700), ann.expect(701)
    ann.send(rpc.request(700, "map", "shell", "true", [[]] * 20000 + ["no array"]) + rpc.request(701, "submit", "shell", "true", [], {"block": True}))
    refused("ValueError", ann.answer, 700)
    assert ann.call("result", ann.answer(701))["exit"] == 0


@pytest.mark.parametrize("pool_wide", [False, True])
def test_maps_sent_in_one_write_do_not_pass_the_bound_together(launch, pool_wide):
    """Each is made in slices over turns: those under way count."""
    daemon = launch_shared(launch, {"limits": {"queue": 150000} if pool_wide else {"user": {"pending": 150000}}})
    ann = connect(daemon, 0 if pool_wide else ANN)
    connect(daemon, 0).call("pause", "shell")
    wanted = [rpc.request(i, "map", "shell", "true", [[]] * 60000) for i in range(8)]
    for i in range(8):
        ann.expect(i)
    ann.send(b"".join(wanted))
    outcomes = []
    for i in range(8):
        try:
            outcomes.append(ann.answer(i)[1])
        except rpc.RpcError as error:
            outcomes.append(error.type)
    assert sorted(map(str, outcomes)) == ["60000"] * 2 + ["QueueFullError" if pool_wide else "LimitError"] * 6


def test_block_waits_for_ones_own_futures_and_keeps_nobody_else_waiting(launch):
    daemon = house(launch, pending=2)
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    root.call("pause", "one")
    ids = [ann.call("submit", "one", "true") for _ in range(2)]
    blocked = [ann.request("submit", "shell", "true", [], {"block": True}) for _ in range(3)]
    ann.call("ping")
    assert not any(ann.is_answered(m) for m in blocked)
    assert bob.call("call", "shell", "true", [], {"block": True})["exit"] == 0
    refused("LimitError", ann.call, "submit", "shell", "true")
    refused("LimitError", ann.call, "map", "shell", "true", [[]] * 3, {"block": True})
    ann.call("cancel", ids[:1])
    given = [ann.answer(m) for m in blocked]  # each ends soon, and the next is let in
    assert sorted(given) == given
    ann.call("wait", given)


def test_one_who_waits_behind_ones_own_map_that_is_not_made_after_all_is_let_in(launch):
    daemon = house(launch, pending=100000)
    ann, other = connect(daemon, ANN), connect(daemon, ANN)
    connect(daemon, 0).call("pause", "shell")
    ann.expect(500)
    ann.send(rpc.request(500, "map", "shell", "true", [[]] * 99999 + [[1]]))
    blocked = other.request("submit", "shell", "true", [], {"block": True})
    refused("ValueError", ann.answer, 500)
    assert other.answer(blocked)


@pytest.mark.parametrize("how", ["close", "drain", "shutdown", "SIGTERM", "disconnect"])
def test_a_submit_blocked_by_ones_own_bound_is_let_go(launch, how):
    daemon = house(launch, pending=1)
    ann, root = connect(daemon, ANN), connect(daemon, 0)
    root.call("pause", "one")
    ann.call("submit", "one", "true")
    pool = ann.call("open_pool", {"like": "shell", "workers": 1})
    other = connect(daemon, ANN)
    blocked = other.request("submit", pool, "true", [], {"block": True})
    other.call("ping")
    assert not other.is_answered(blocked)
    if how == "close":
        ann.call("close_pool", pool)
    elif how == "drain":
        ann.request("drain", 5, {"pool": pool})
    elif how == "shutdown":
        root.call("shutdown", {"wait": False})
    elif how == "SIGTERM":
        daemon.process.send_signal(signal.SIGTERM)
    else:
        other.close()
        eventually(lambda: root.call("stats")["connections"] == 2)
        assert root.call("ping", 1) == 1
        return
    refused("ShutdownError", other.answer, blocked)


# ---- bytes ----

def test_bytes_held_at_the_bound_and_one_above(launch):
    bound = 64 * 1024
    daemon = house(launch, bytes="64KiB")
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    root.call("pause", "shell")
    overhead = 1 + 3  # the array's header, the bin's

    def of(size):
        return [b"x" * (size - overhead)]
    assert ann.call("submit", "shell", "true", of(bound // 2))
    message = refused("LimitError", ann.call, "submit", "shell", "true", of(bound // 2 + 1))["message"]
    assert "limits.user.bytes" in message and str(bound) in message and str(bound // 2 + 1) in message
    last = ann.call("submit", "shell", "true", of(bound // 2))
    assert ann.call("stats")["bytes"] == bound
    refused("LimitError", ann.call, "submit", "shell", "true")
    refused("LimitError", ann.call, "map", "shell", "true", [[b"x"]])
    assert bob.call("stats")["bytes"] == 0
    assert bob.call("submit", "shell", "true", of(bound))
    assert root.call("submit", "shell", "true", of(bound + 100))
    ann.call("cancel", [last])
    ann.call("release", [last])
    assert ann.call("stats")["bytes"] == bound // 2
    assert ann.call("map", "shell", "true", [[b"x" * 100]] * 100)[1] == 100
    refused("LimitError", ann.call, "submit", "shell", "true", of(bound // 2), {})


def test_what_stdin_holds_counts_too(launch):
    daemon = house(launch, bytes="64KiB")
    ann = connect(daemon, ANN)
    connect(daemon, 0).call("pause", "shell")
    assert ann.call("submit", "shell", "cat", [], {"stdin": b"x" * 40000})
    refused("LimitError", ann.call, "submit", "shell", "cat", [], {"stdin": b"y" * 40000})
    assert ann.call("submit", "shell", "true")
    assert ann.call("stats")["bytes"] < 64 * 1024


@pytest.mark.parametrize("what", ["fn", "env", "tags", "cwd", "after"])
def test_what_else_a_submit_holds_counts_too(launch, what):
    """None of it is an argument, and all of it is kept as long as the future is."""
    daemon = launch_shared(launch, {"limits": {"memory": "4MiB", "user": {"bytes": "64KiB"}}})
    ann, root = connect(daemon, ANN), connect(daemon, 0)
    root.call("pause", "shell")

    def submit(client, n, first):
        fn = ("%d" % n).ljust(40000, "x") if what == "fn" else "true"
        options = {"fn": {}, "env": {"env": {"N": ("%d" % n).ljust(40000, "x")}}, "tags": {"tags": [("%d" % n).ljust(1000, "x")] * 40},
                   "cwd": {"cwd": ("/%d" % n).ljust(4000, "x")}, "after": {"after": [first] * (9000 + n)}}[what]
        return client.call("submit", "shell", fn, [], options)

    def greedy(client, ids):
        ids.append(client.call("submit", "shell", "true"))
        for n in range(2000):
            ids.append(submit(client, n % 900, ids[0]))
    ids = []
    assert "limits.user.bytes" in refused("LimitError", greedy, ann, ids)["message"]
    assert 64 * 1024 - 41000 < ann.call("stats")["bytes"] <= 64 * 1024
    ann.call("cancel", ids)
    ann.call("release", ids)
    assert ann.call("stats")["bytes"] < 1024
    assert submit(ann, 1, ann.call("submit", "shell", "true"))
    assert "limits.memory" in refused("QueueFullError", greedy, root, [])["message"]


def test_input_that_no_task_takes_yet_counts(launch):
    daemon = house(launch, bytes="64KiB")
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    root.call("pause", "one")
    own, running = ann.call("submit", "one", "wc", ["-c"], {"stdin": True}), ann.call("submit", "shell", "wc", ["-c"], {"stdin": True})
    eventually(lambda: ann.call("state", [running]) == ["RUNNING"])
    ann.call("input", own, b"x" * 40000)
    assert 40000 <= ann.call("stats")["bytes"] < 41000 and root.call("stats")["bytes"] >= 40000
    error = refused("LimitError", ann.call, "input", own, b"x" * 40000)
    assert "limits.user.bytes" in error["message"] and error["future"] == own
    root.call("input", own, b"x" * 40000)  # admins are not bound
    refused("LimitError", ann.call, "input", own, b"x")
    ann.call("input", running, b"x" * 1000, {"eof": True})
    assert ann.call("result", running)["stdout"] == b"1000\n", "what is taken at once is not held"
    theirs = bob.call("submit", "one", "wc", ["-c"], {"stdin": True})
    bob.call("input", theirs, b"x" * 60000)
    root.call("resume", "one")
    eventually(lambda: ann.call("stats")["bytes"] < 41000)
    ann.call("input", own, b"", {"eof": True})
    assert ann.call("result", own)["stdout"] == b"80000\n"
    bob.call("cancel", [theirs], {"running": "kill", "grace": 0})
    eventually(lambda: bob.call("state", [theirs]) == ["CANCELLED"])
    ann.call("release", [own, running])
    bob.call("release", [theirs])
    for client in (ann, bob):
        assert client.call("stats")["bytes"] == 0


def test_what_waits_for_room_to_be_input_counts(launch):
    daemon = house(launch, bytes="4MiB")
    ann = connect(daemon, ANN)
    connect(daemon, 0).call("pause", "one")
    own = ann.call("submit", "one", "wc", ["-c"], {"stdin": True})
    ann.call("input", own, b"x" * 1100000)
    waiting = ann.request("input", own, b"x" * 2000000)
    ann.call("ping")
    assert not ann.is_answered(waiting) and ann.call("stats")["bytes"] >= 3100000
    refused("LimitError", ann.call, "input", own, b"x" * 2000000)
    other = connect(daemon, ANN)
    second = other.request("input", own, b"x" * 1000000)
    other.call("ping")
    assert not other.is_answered(second) and ann.call("stats")["bytes"] >= 4100000
    other.close()
    eventually(lambda: ann.call("stats")["bytes"] < 3200000)
    ann.call("cancel", [own])
    refused("InvalidStateError", ann.answer, waiting)
    ann.call("release", [own])
    assert ann.call("stats")["bytes"] == 0


@pytest.mark.parametrize("whose", ["own", "pool"])
def test_submits_that_wait_for_room_count(launch, whose):
    """They are kept as they came, whatever they are full of."""
    daemon = launch_shared(launch, {"limits": {"memory": "2MiB", "user": {"bytes": "100KiB", "pending": 1 if whose == "own" else 1000}},
                                    "pools": {"shell": {"kind": "command", "workers": 2, "queue": 1}}})
    ann, other, root = connect(daemon, ANN), connect(daemon, ANN), connect(daemon, 0)
    root.call("pause", "shell")
    first = ann.call("submit", "shell", "true")
    waiting = [ann.request("submit", "shell", "true", [b"x" * 30000], {"block": True}),
               ann.request("submit", "shell", "wc", ["-c"], {"block": True, "stdin": b"x" * 60000})]
    ann.call("ping")
    assert not any(ann.is_answered(m) for m in waiting)
    assert 90000 < ann.call("stats")["bytes"] < 92000
    error = refused("LimitError", other.call, "submit", "shell", "true", [b"x" * 30000], {"block": True})
    assert "limits.user.bytes" in error["message"]
    assert not other.is_answered(other.request("submit", "shell", "true", [b"x" * 1000], {"block": True}))
    other.close()
    if whose == "pool":  # an admin has no bound but that of all
        asked = [root.request("submit", "shell", "true", [b"x" * 60000], {"block": True}) for _ in range(40)]
        root.call("ping")
        assert "limits.memory" in refused("QueueFullError", root.answer, asked[-1])["message"]
        root.close()
        root = connect(daemon, 0)
    root.call("resume", "shell")
    ids = [first, *(ann.answer(m) for m in waiting)]
    assert ann.call("result", ids[2])["stdout"] == b"60000\n"
    ann.call("wait", ids)
    ann.call("submit", "shell", "true")
    ann.call("release", ids)
    assert ann.call("stats")["bytes"] < 1024


def test_what_a_retry_shares_with_the_first_counts_as_long_as_either_is_there(launch):
    daemon = house(launch, bytes="64KiB")
    ann = connect(daemon, ANN)
    first = ann.call("submit", "shell", "wc", ["-c"], {"stdin": b"x" * 40000, "watch": True})
    ann.call("wait", [first])
    again, = ann.call("retry", [first])
    assert ann.call("result", again)["stdout"] == b"40000\n"
    ann.call("release", [first])
    assert 40000 < ann.call("stats")["bytes"] < 42000
    ann.call("release", [again])
    assert ann.call("stats")["bytes"] < 1024


def test_ones_own_finished_futures_make_room_and_nobody_elses(launch):
    daemon = house(launch, bytes="64KiB")
    ann, bob = connect(daemon, ANN), connect(daemon, BOB)
    theirs = bob.call("submit", "shell", "true", [b"x" * 60000])
    bob.call("wait", [theirs])
    own = []
    for _ in range(10):
        own.append(ann.call("submit", "shell", "true", [b"x" * 20000]))
        ann.call("wait", own[-1:])
    assert 1 <= len(ann.call("list")) <= 3
    assert bob.call("result", theirs)["exit"] == 0
    failed = [ann.call("submit", "shell", "false", [b"x" * 20000]) for _ in range(3)]
    ann.call("wait", failed)
    refused("LimitError", ann.call, "submit", "shell", "true", [b"x" * 20000])  # errors that nobody saw stay
    ann.call("failures", {"seen": True})
    assert ann.call("submit", "shell", "true", [b"x" * 20000])


def test_who_holds_more_than_a_share_is_forgotten_first(launch):
    """Results are not refused. When memory is full, those of the greedy one make room, though others' are older."""
    daemon = launch_shared(launch, {"store": "memory", "limits": {"memory": "2MiB", "user": {"bytes": "512KiB"}},
                                    "pools": {"lua": {"kind": "interpreter", "workers": 1}}})
    ann, bob = connect(daemon, ANN), connect(daemon, BOB)
    old = bob.call("submit", "lua", "eval", ["string.rep('b', 300000)"])
    bob.call("wait", [old])
    first, count = ann.call("map", "lua", "eval", [["string.rep('a', 400000)"]] * 5)  # at once: a later submit would meet results
    ann.call("wait", [[first, count]])
    assert ann.call("stats")["bytes"] > 5 * 400000
    new = bob.call("submit", "lua", "eval", ["1"])
    assert bob.call("result", new) == 1 and len(bob.call("result", old)) == 300000
    left = [m["id"] for m in ann.call("list")]
    assert len(left) <= 4 and first + count - 1 in left


def test_what_was_charged_is_given_back(launch):
    daemon = house(launch)
    ann = connect(daemon, ANN)
    pool = ann.call("open_pool", {"like": "shell"})
    first, _ = ann.call("map", "shell", "echo", [[b"x" * 1000]] * 50)
    ids = [ann.call("submit", "shell", "false", [b"y" * 500], {"retries": 2}), ann.call("submit", "shell", "cat", [], {"stdin": b"z" * 1000}),
           ann.call("submit", pool, "true", [rpc.ref(first)])]
    refused("ExitError", ann.call, "call", "shell", "false", [b"x" * 100])
    ann.call("wait", [[first, 50], *ids])
    ann.call("retry", [first])
    ann.call("close_pool", pool)
    held = ann.call("stats")
    assert held["bytes"] > 50 * 2000 and held["totals"]["submitted"] == 55
    eventually(lambda: ann.call("stats")["futures"]["FINISHED"] == 54)
    ann.call("release", [[1, ids[-1] + 2]])
    eventually(lambda: ann.call("stats")["futures"] == {"PENDING": 0, "RUNNING": 0, "CANCELLED": 0, "FINISHED": 0})
    rest = ann.call("submit", "shell", "true")  # the last spec, with its stdin, is the connection's until the next
    ann.call("wait", [rest])
    ann.call("release", [rest])
    assert ann.call("stats")["bytes"] == 0


# ---- connections ----

def test_connections_at_the_bound_and_one_above(launch):
    daemon = house(launch, connections=3)
    crowd = [connect(daemon, ANN) for _ in range(3)]
    for c in crowd:
        assert c.call("ping", 1) == 1
    with acting_as(ANN):
        above = rpc.open_socket(daemon.address)
    above.settimeout(10)
    said = b"".join(iter(lambda: above.recv(4096), b""))
    above.close()
    kind, msgid, error, _ = msgpack.unpackb(said)
    assert (kind, msgid, error["type"]) == (1, 0, "LimitError")
    assert "limits.user.connections" in error["message"] and "3" in error["message"]
    assert "libevent" not in daemon.log(), "a line for each, of events that there were not"
    assert connect(daemon, BOB).call("ping", 1) == 1
    assert [connect(daemon, 0).call("ping", i) for i in range(5)] == list(range(5))
    crowd[0].close()
    eventually(lambda: connect(daemon, 0).call("stats")["connections"] <= 12)

    def another():
        try:
            return connect(daemon, ANN).call("ping", 1) == 1
        except (AssertionError, Closed):  # told with msgid 0 that it is one too many
            return False
    eventually(another)


def test_a_tasks_connection_counts_as_its_owners(launch):
    daemon = house(launch, connections=2)
    ann = connect(daemon, ANN)
    task = ann.call("submit", "shell", *sh("echo $FUTURED_TASK; read x"), {"stdin": True})
    secret = eventually(lambda: ann.call("output", task)).decode().strip()
    inside = connect(daemon, DAEMON)
    inside.call("hello", {"protocol": 1, "task": secret})
    assert inside.call("stats")["connections"] == 2
    second = connect(daemon, DAEMON)
    assert "limits.user.connections" in refused("LimitError", second.call, "hello", {"protocol": 1, "task": secret})["message"]
    second.await_close()
    ann.call("cancel", [task], {"running": "kill", "grace": 0})


# ---- what each is told about itself ----

def test_stats_tell_a_user_of_its_own_only(launch):
    daemon = house(launch)
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    ids = [ann.call("submit", "shell", "true"), ann.call("submit", "shell", "false")]
    ann.call("wait", ids)
    own, theirs, all_of_it = ann.call("stats"), bob.call("stats"), root.call("stats")
    assert own["futures"]["FINISHED"] == 2 and own["totals"] == {"submitted": 2, "succeeded": 1, "failed": 1, "cancelled": 0, "retried": 0}
    assert own["failures"] == 1 and own["connections"] == 1 and "rss" not in own and "store" not in own
    assert theirs["futures"]["FINISHED"] == 0 and theirs["totals"]["submitted"] == 0 and theirs["failures"] == 0
    assert all_of_it["futures"]["FINISHED"] == 2 and all_of_it["connections"] == 3


# ---- fair shares ----

def test_owners_take_turns_in_a_pool(launch, gate_of):
    """The greedy one was there first, with a hundred."""
    daemon = house(launch)
    gate = gate_of(daemon)
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    held = root.call("submit", "one", *gate.task())
    gate.await_start()
    mark = daemon.path("order")
    open(mark, "w").close()
    os.chmod(mark, 0o666)
    ann.call("map", "one", "/bin/sh", [["-c", "echo a >>%s" % mark]] * 100)
    bob.call("map", "one", "/bin/sh", [["-c", "echo b >>%s" % mark]] * 10)
    gate.open()
    root.call("wait", [held])
    eventually(lambda: len(open(mark).read()) == 220, 20)
    order = open(mark).read().split()
    assert order[:20].count("b") >= 9, "".join(order)


def test_control_the_order_is_first_come_first_served_for_one_owner(launch, gate_of):
    daemon = house(launch)
    gate = gate_of(daemon)
    ann, root = connect(daemon, ANN), connect(daemon, 0)
    root.call("submit", "one", *gate.task())
    gate.await_start()
    first, _ = ann.call("map", "one", "true", [[]] * 20)
    last = connect(daemon, ANN).call("submit", "one", "true")
    gate.open()
    done = ann.call("wait", [[first, 20], last], "ALL_COMPLETED")
    times = {m["id"]: m["started"] for m in ann.call("list")}
    assert max(times, key=times.get) == last and len(done["done"]) == 21


@pytest.fixture
def gate_of():
    def make(daemon):
        gate = daemon.gate()
        for path in (gate.started, gate.go):
            os.chmod(path, 0o666)
        return gate
    return make


def test_owners_take_turns_where_they_wait_for_room(launch):
    """A pool whose queue one user has filled, with twenty more in the line; another comes."""
    daemon = launch_shared(launch, {"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 2}}})
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    root.call("pause", "tiny")
    for _ in range(2):
        ann.call("submit", "tiny", "true")
    greedy = [ann.request("submit", "tiny", "true", [], {"block": True}) for _ in range(20)]
    ann.call("ping")
    polite = [bob.request("submit", "tiny", "true", [], {"block": True}) for _ in range(3)]
    bob.call("ping")
    root.call("resume", "tiny")
    theirs, own = [ann.answer(m) for m in greedy], [bob.answer(m) for m in polite]
    assert theirs == sorted(theirs) and own == sorted(own), "each owner's are in order"
    assert own[0] < theirs[1] and own[1] < theirs[2] and own[2] < theirs[3], (own, theirs)
    again = bob.call("submit", "tiny", "true", [], {"block": True})
    bob.call("wait", [again])


def percentile(waits, share):
    return sorted(waits)[int(len(waits) * share)]


@pytest.mark.long
def test_a_greedy_user_beside_a_polite_one(launch):
    """The polite one asks for one short task after another. Beside one who has filled the queue it may wait for a task of the greedy one's
    in each of its turns, and no longer: its 99th percentile stays within three times of what it is beside one greedy task at a time."""
    daemon = house(launch)
    bob = connect(daemon, BOB)
    task = sh("sleep 0.005")

    def waits(count=150):
        found = []
        for _ in range(count):
            begun = time.monotonic()
            bob.call("call", "one", *task)
            found.append(time.monotonic() - begun)
        return found
    waits(20)
    ann = connect(daemon, ANN)
    ratios = []
    while not ratios or (min(ratios) >= 3 and len(ratios) < 3):  # another program may disturb one round
        alone = percentile(waits(), 0.99)
        first, count = ann.call("map", "one", task[0], [task[1]] * 100000)
        beside = percentile(waits(), 0.99)
        ann.call("cancel", [[first, count]])
        eventually(lambda: ann.call("stats")["futures"]["RUNNING"] == 0)
        print("p99 alone %.1f ms, beside 100,000 of another's %.1f ms: %.2f times" % (1e3 * alone, 1e3 * beside, beside / alone))
        ratios.append(beside / alone)
    assert min(ratios) < 3


@pytest.mark.long
def test_control_a_greedy_crowd_of_one_owner_is_noticed(launch):
    """The same, by one user alone: its later tasks wait for all of its earlier ones, so the measure is not blind."""
    daemon = house(launch)
    ann, again = connect(daemon, ANN), connect(daemon, ANN)
    task = sh("sleep 0.005")
    ann.call("map", "one", task[0], [task[1]] * 1000)
    refused("TimeoutError", again.call, "result", again.call("submit", "one", *task), 1)
