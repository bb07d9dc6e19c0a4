"""Nothing hangs: 25 scenes in which the daemon, a client or a future could wait for ever. Each plays one round, and is over when all that is owed has
been said and the daemon has ended well; else there is a Hang.

`make check` plays one round of each, check-all five; HANGS_ROUNDS=200 is the full run (make system TESTS=tests/system/test_hangs.py WHICH=long).
Rounds take turns with the stores. The controls: a daemon that forgets to tell somebody something (make FAULTS=1) does hang."""
import errno
import os
import select
import signal
import ssl
import subprocess
import sys
import time
import uuid

import pytest

import helpers
import tls_helper
from cli_helper import Fut
from conftest import FLEET
from helpers import HERE, Closed, Hang, RpcError, eventually, is_alive, marked, refused, sh
from kinds import POOLS, PROCESS, TOY, let_go, shown
from nested import task
from rpc import ref, request

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import shims   # noqa: E402

PATIENCE = 30
ROUNDS = int(os.environ.get("HANGS_ROUNDS", 5))
FAULTY = os.path.join(helpers.ROOT, "build-faults", "bin", "futured")
MIB = 1 << 20
QUICK = {"kind": "command", "workers": 1, "grace": "100ms"}
MUTE = {"kind": "process", "runtime": ["/bin/sh", "-c", "printf '\\222\\245ready\\200' >&3; exec sleep 1000"], "workers": 1}  # reads nothing, says nothing


class Scene:
    """What one round happens in: its daemons, and clients that wait for PATIENCE seconds at most."""

    def __init__(self, start, number=0, store=None, patience=PATIENCE):
        self.start, self.number, self.store, self.patience = start, number, store, patience

    def launch(self, *layers, **keys):
        return self.start({"pools": POOLS}, {"store": self.store} if self.store else {}, *layers, **keys)

    def begin(self, *layers, **keys):
        """A daemon, and a client of it."""
        daemon = self.launch(*layers, **keys)
        return daemon, self.client(daemon)

    def client(self, daemon):
        return daemon.client(patience=self.patience)

    def end(self, daemon):
        assert daemon.await_end(self.patience) == 0


SCENES = {}


def scene(play):
    SCENES[play.__name__] = play
    return play


def fate(client, future):
    """How it ended."""
    try:
        client.call("result", future)
        return "FINISHED"
    except RpcError as error:
        return error.type


def fates(client, ids):
    return {fate(client, future) for future in ids}


def answers(client, msgids):
    """What each of these requests was answered: the result, or the type of the error."""
    said = []
    for msgid in msgids:
        try:
            said.append(client.answer(msgid))
        except RpcError as error:
            said.append(error.type)
    return said


def packed(client, calls):
    """The requests for these calls (method, *params) as bytes, and their msgids, which are owed answers from now on."""
    msgids = list(range(client.next_msgid, client.next_msgid + len(calls)))
    client.next_msgid += len(calls)
    for msgid in msgids:
        client.expect(msgid)
    return b"".join(request(msgid, *call) for msgid, call in zip(msgids, calls)), msgids


def in_one_write(client, *calls):
    """Their msgids."""
    data, msgids = packed(client, calls)
    client.send(data)
    return msgids


def write_blindly(client, data):
    """Writes all of it, and reads nothing meanwhile."""
    view = memoryview(data)
    while view:
        if not select.select([], [client.socket], [], client.patience)[1]:
            raise Hang("the daemon does not take our bytes")
        view = view[client.socket.send(view):]


def write_until_full(client, data, other):
    """Writes as long as the daemon reads, and reads nothing meanwhile; returns what is left."""
    view, asked = memoryview(data), 0
    while view and asked < 5:
        try:
            view, asked = view[client.socket.send(view):], 0
        except BlockingIOError:
            other.call("ping")
            asked += 1
    return view


def read_to_the_end(client):
    """Whatever is said until the daemon closes the connection."""
    try:
        client.await_close()
    except Closed:
        pass


def follow(client, future, stream="stdout"):
    """How many bytes there are of a stream that is followed, to its end."""
    total = len(client.call("output", future, {"stream": stream, "follow": True}))
    while True:
        id, which, offset, data, eof = client.notification("output")
        assert (id, which, offset) == (future, stream, total)
        total += len(data)
        if eof:
            return total


def take_away(daemon, client, *pools):
    """Another configuration, without these pools."""
    configure(daemon, client, {name: keys for name, keys in daemon.config["pools"].items() if name not in pools})


def configure(daemon, client, pools):
    daemon.config = {**daemon.config, "pools": pools}
    daemon.write_config()
    client.call("reload")


# Clients and their pipes

@scene
def ten_thousand_submits_in_one_write(scene):
    daemon, client = scene.begin()
    data, msgids = packed(client, [("submit", "cpu", "noop", [], {"watch": True})] * 10000)
    write_blindly(client, data)
    ids = [client.answer(msgid) for msgid in msgids]
    assert sorted(client.notification("done")[0] for _ in ids) == sorted(ids)


@scene
def both_pipes_of_a_client_are_full(scene):
    """It writes before it reads, and so does the daemon, which then stops reading: until the client reads."""
    daemon, client = scene.begin({"limits": {"output": "256KiB"}})
    other = scene.client(daemon)
    word = b"x" * 200000
    data, msgids = packed(client, [("ping", word)] * 50)
    rest = write_until_full(client, data, other)
    assert rest, "the pipes are full"
    assert other.call("call", "shell", "true")["exit"] == 0
    client.send(rest)
    assert all(client.answer(msgid) == word for msgid in msgids)


@scene
def a_connection_ends_with_everything_under_way(scene):
    """End of input while calls wait, submits are blocked, and a kill is in its grace."""
    daemon, client = scene.begin({"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 1}, "one": QUICK}})
    gate, other = daemon.gate(), scene.client(daemon)
    client.call("pause", "tiny")
    full = client.call("submit", "tiny", "true")
    stubborn = other.call("submit", "one", *gate.task(before="trap '' TERM"), {"bound": True})
    pid = gate.await_start(scene.patience)
    assert other.call("cancel", [stubborn], {"running": "kill", "grace": 0.2}) == [True]
    queued = other.call("submit", "one", "sleep", ["1000"], {"bound": True})
    delayed = other.call("submit", "shell", "true", [], {"bound": True, "delay": 1000})
    kept = other.call("submit", "shell", *gate.task("echo kept"))
    for method, params in (("wait", [[stubborn, delayed]]), ("result", [stubborn]), ("call", ["io", "until_stopped", [True]]), ("watch", [[kept]]),
                           ("submit", ["tiny", "true", [], {"block": True}]), ("drain", [None, {"pool": "one"}]), ("map", ["cpu", "noop", [[]] * 5000]),
                           ("output", [kept, {"follow": True}]), ("input", [kept, b"x"]), ("wait", [[kept]])):
        other.request(method, *params)
    other.end()
    read_to_the_end(other)
    assert client.call("wait", [stubborn, queued, delayed])["not_done"] == []
    assert client.call("state", [stubborn, queued, delayed]) == ["CANCELLED"] * 3 and not is_alive(pid)
    gate.open()
    assert client.call("result", kept)["stdout"] == b"kept\n"
    client.call("resume", "tiny")
    assert fate(client, full) == "FINISHED" and client.call("call", "one", "true")["exit"] == 0


@scene
def a_client_is_stopped_and_goes_on(scene):
    daemon, client = scene.begin()
    with open(daemon.path("printed"), "wb") as f:
        process = Fut(daemon.directory, daemon.address).start("run", "-p", "shell", "--", "seq", "300000", stdout=f)
    future = eventually(lambda: client.call("list", {"state": "RUNNING"}), scene.patience)[0]["id"]
    process.send_signal(signal.SIGSTOP)
    assert client.call("wait", [future])["done"] == [future]
    assert client.call("call", "shell", "true")["exit"] == 0
    process.send_signal(signal.SIGCONT)
    assert process.wait(scene.patience) == 0
    with open(daemon.path("printed"), "rb") as f:
        assert f.read() == b"".join(b"%d\n" % n for n in range(1, 300001))


# What tasks read and write

@scene
def more_goes_through_a_task_than_all_pipes_hold(scene):
    """10 MB into cat and out of it; one follows at once, another reads what it is told only when all is over."""
    daemon, client = scene.begin()
    late = scene.client(daemon)
    size, piece = 10 * MIB, 640 * 1024
    future = client.call("submit", "shell", "cat", [], {"stdin": True})
    late.call("output", future, {"follow": True})
    asked = [client.request("input", future, b"x" * piece, {"eof": at + piece >= size}) for at in range(0, size, piece)]
    assert follow(client, future) == size
    assert answers(client, asked) == [None] * len(asked)
    assert client.call("result", future)["stdout_cut"] == size - len(client.call("result", future)["stdout"])
    total = 0
    while True:
        _, _, offset, data, eof = late.notification("output")
        assert offset == total
        total += len(data)
        if eof:
            break
    assert total == size


@scene
def two_tasks_feed_each_other(scene):
    """What one prints is the other's input, with more under way than all the pipes between them hold."""
    daemon, client = scene.begin()
    pair = [client.call("submit", "shell", "cat", [], {"stdin": True}) for _ in range(2)]
    for future in pair:
        client.call("output", future, {"follow": True})
    client.request("input", pair[0], b"x" * (2 * MIB))
    passed, ended = 0, []
    while len(ended) < 2:
        future, _, _, data, eof = client.notification("output")
        other = pair[future == pair[0]]
        passed += len(data)
        if passed < 8 * MIB:
            client.request("input", other, data)
        elif passed - len(data) < 8 * MIB:
            client.request("input", pair[0], b"", {"eof": True})
        if eof:
            ended.append(future)
            if len(ended) == 1:
                client.request("input", pair[1], b"", {"eof": True})
    assert [client.call("result", future)["exit"] for future in pair] == [0, 0]


@scene
def tasks_flood_and_nobody_listens(scene):
    """Both streams of a command at once; output and progress of functions before their answer, with a watcher who does not read."""
    daemon, client = scene.begin()
    deaf = scene.client(daemon)
    flood = client.call("submit", "shell", *sh("head -c 3000000 /dev/zero & head -c 3000000 /dev/zero >&2; wait"))
    printing = [client.call("submit", pool, "print_many", [2000000]) for pool in ("cpu", "io")]
    telling = client.call("map", "cpu", "progress", [[]] * 300)
    deaf.call("watch", [flood, *printing, telling], {"result": True})
    for stream in "stdout", "stderr":
        assert follow(client, flood, stream) == 3000000
    assert fates(client, [flood, *printing]) == {"FINISHED"}
    assert client.call("wait", [telling])["not_done"] == []
    while len([n for n in deaf.notes if n[0] == "done"]) < 303:
        assert deaf.pump(time.monotonic() + scene.patience), "a future that is watched was not told"


@scene
def a_follower_stops_reading(scene):
    daemon, client = scene.begin()
    deaf = scene.client(daemon)
    future = client.call("submit", "shell", "yes")
    asked = deaf.request("output", future, {"follow": True})
    waiting = deaf.request("wait", [future])
    eventually(lambda: len(client.call("output", future, {"offset": 4 * MIB})) > 0, scene.patience)
    assert client.call("cancel", [future], {"running": "kill"}) == [True]
    assert fate(client, future) == "CancelledError"
    assert client.call("release", [future]) == 1
    deaf.answer(asked)
    while not deaf.notification("output")[4]:
        pass
    assert deaf.answer(waiting)["not_done"] == []


# Workers

@scene
def a_worker_reads_nothing(scene):
    """Its sockets are full of what it was sent; what waits behind it is cancelled, what it was given is killed, what has a limit runs into it."""
    daemon, client = scene.begin({"pools": {"mute": {**MUTE, "grace": "100ms"}}})
    for how in "kill", "timeout":
        ids = [client.call("submit", "mute", "noop", [b"x" * (4 * MIB)], {"timeout": 0.3} if how == "timeout" and n == 0 else {}) for n in range(3)]
        waiting = client.request("wait", ids)
        eventually(lambda: client.call("state", ids[:1]) != ["PENDING"], scene.patience)
        assert client.call("cancel", ids[how == "timeout":], {"running": "kill"}) == [True] * (3 - (how == "timeout"))
        assert client.answer(waiting)["not_done"] == []
        assert fate(client, ids[0]) == {"kill": "CancelledError", "timeout": "TaskTimeoutError"}[how]
    first, count = client.call("map", "toy", "echo", [[b"%d" % n * MIB] for n in range(8)])
    assert all(client.call("result", first + n) == b"%d" % n * MIB for n in range(count))


@scene
def a_worker_closes_its_sockets_and_goes_on(scene):
    """As it is, or told to end because its pool shrank, or because that is gone."""
    daemon, client = scene.begin({"pools": {"toy": {**TOY, "workers": 2}, "gone": TOY}})
    ids = [client.call("submit", pool, "go_deaf", [daemon.path("go")]) for pool in ("toy", "toy", "gone")]
    eventually(lambda: client.call("state", ids) == ["RUNNING"] * 3, scene.patience)
    client.call("resize", "toy", 1)
    take_away(daemon, client, "gone")
    let_go(daemon.path("go"))
    assert fates(client, ids) == {"WorkerLostError"}
    assert client.call("call", "toy", "add", [1, 2]) == 3


@scene
def a_worker_is_stopped_and_killed(scene):
    daemon, client = scene.begin({"pools": {"cpu": {**PROCESS, "workers": 2}, "one": QUICK}})
    ids = [client.call("submit", "cpu", "until_file", [daemon.path("never")]) for _ in range(2)]
    eventually(lambda: client.call("state", ids) == ["RUNNING"] * 2, scene.patience)
    behind = client.call("map", "cpu", "add", [[n, 1] for n in range(20)])
    pids = [client.call("show", future)["pid"] for future in ids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    assert client.call("cancel", ids[:1], {"running": "kill"}) == [True]
    os.kill(pids[1], signal.SIGKILL)
    assert [fate(client, future) for future in ids] == ["CancelledError", "WorkerLostError"]
    assert [client.call("result", behind[0] + n) for n in range(20)] == [n + 1 for n in range(20)]
    gate = daemon.gate()
    future = client.call("submit", "one", *gate.task(before="trap 'kill -STOP $$' TERM"))
    os.kill(gate.await_start(scene.patience), signal.SIGSTOP)
    assert client.call("cancel", [future], {"running": "kill"}) == [True]
    assert fate(client, future) == "CancelledError"


@scene
def a_task_ignores_term_and_its_children_hold_the_pipes(scene):
    daemon, client = scene.begin({"pools": {"shell": {**QUICK, "workers": 2}}})
    mark, gate = uuid.uuid4().hex, daemon.gate()
    before = "trap '' TERM; setsid sh -c 'sleep 1000 & sleep 1000' & sleep 1000 &"
    ids = [client.call("submit", "shell", *gate.task(before=before, then=then), {"env": {"MARK": mark}, "timeout": timeout})
           for then, timeout in (("", 1000), ("", 0.5))]
    gate.await_start(scene.patience), gate.await_start(scene.patience)
    following = client.call("output", ids[0], {"follow": True})
    assert client.call("cancel", ids[:1], {"running": "kill"}) == [True] and following == b""
    assert [fate(client, future) for future in ids] == ["CancelledError", "TaskTimeoutError"]
    assert client.notification("output")[4]
    leaves = client.call("call", "shell", *sh("(trap '' TERM; sleep 1000; :) & echo left"), {"env": {"MARK": mark}})
    assert leaves["stdout"] == b"left\n"
    eventually(lambda: not marked(mark), scene.patience, "all of it is gone")


# Pools and the end, while all is not well

@scene
def pools_are_drained_while_tasks_fail_and_retry(scene):
    daemon, client = scene.begin()
    other, third = scene.client(daemon), scene.client(daemon)
    retried = {"retries": 3, "retry_delay": 0.02}
    ways = {"ExitError": ("shell", "false"), "CustomError": ("cpu", "fail"), "WorkerLostError": ("cpu", "leave", [3])}
    ids = [client.call("submit", *way, *[[]] * (3 - len(way)), retried) for way in ways.values() for _ in range(5)]
    behind = [client.call("submit", "shell", "true", [], {"after": ids[n:n + 1]}) for n in range(5)]
    asked = []
    for n in range(10):
        asked += [(who, who.request("drain", *params)) for who, params in ((other, []), (client, [None, {"pool": "cpu"}]), (other, [0]))]
        third.request("drain")
    third.close()
    assert {answer for who, msgid in asked for answer in answers(who, [msgid])} <= {None, "TimeoutError"}
    assert fates(client, ids) == set(ways)
    assert fates(client, behind) == {"DependencyError"}
    assert client.call("drain") is None and client.call("call", "cpu", "add", [1, 2]) == 3


@scene
def the_daemon_shuts_down_while_tasks_fail_and_retry(scene):
    daemon, client = scene.begin({"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 2}}})
    gate, held, other = daemon.gate(), daemon.gate("held"), scene.client(daemon)
    failing = client.call("submit", "shell", *gate.task("exit 3"), {"retries": 2, "retry_delay": 0.05})
    lost = client.call("submit", "cpu", "leave", [9], {"retries": 2, "retry_delay": 0.05})
    behind = [client.call("submit", "shell", "true", [], {"after": [failing]}), client.call("submit", "shell", "cat", [ref(failing)])]
    late = client.call("submit", "shell", "true", [], {"delay": 0.3})
    for pool in "tiny", "one":
        client.call("submit", pool, *held.task())
        held.await_start(scene.patience)
    expires = client.call("submit", "one", "true", [], {"deadline": 0.2})
    last = [client.call("submit", "tiny", "echo", ["last"]) for _ in range(2)]
    blocked = [other.request("submit", "tiny", "true", [], {"block": True}) for _ in range(2)]
    everything = client.request("wait", [failing, lost, *behind, late, expires, *last])
    client.call("ping"), other.call("ping")
    asked = [who.request("shutdown", {"wait": True}) for who in (client, other)]
    assert answers(other, blocked) == ["ShutdownError"] * 2
    results = [client.request("result", future) for future in (failing, lost, *behind, late, expires)]
    assert fate(client, expires) == "TaskTimeoutError"
    held.open(2)
    gate.open(3)
    assert [a if type(a) is str else a["exit"] for a in answers(client, results)] == [
        "ExitError", "WorkerLostError", "DependencyError", "DependencyError", 0, "TaskTimeoutError"]
    assert client.answer(everything)["not_done"] == []
    assert answers(client, asked[:1]) + answers(other, asked[1:]) == [None, None]
    scene.end(daemon)


@scene
def the_daemon_shuts_down_and_cancels_all_that_waits(scene):
    """More than a turn can touch, what depends on it, and a map that is still being made."""
    daemon, client = scene.begin()
    gate, other = daemon.gate(), scene.client(daemon)
    running = client.call("submit", "one", *gate.task("echo ran"))
    gate.await_start(scene.patience)
    queued = client.call("map", "one", "sleep", [["1000"]] * 12000)
    behind = client.call("map", "cpu", "noop", [[]] * 3000, {"after": [queued[0]], "watch": True})
    mixed = client.call("submit", "shell", "cat", [ref(behind[0])], {"after": [running]})
    delayed = client.call("map", "io", "noop", [[]] * 100, {"delay": 1000})
    everything = other.request("wait", [queued, behind, delayed, mixed])
    result = other.request("result", running)
    other.call("ping")
    making, ending = in_one_write(client, ("map", "one", "sleep", [["1000"]] * 30000), ("shutdown", {"cancel_futures": True}))
    assert client.answer(making)[1] == 30000
    assert other.answer(everything)["not_done"] == []
    gate.open()
    assert other.answer(result)["stdout"] == b"ran\n"
    assert client.answer(ending) is None
    read_to_the_end(client)
    assert len([n for n in client.notes if n[0] == "done"]) == 3000
    scene.end(daemon)


@scene
def opened_pools_close_with_submits_blocked(scene):
    """One runs out and one is killed, each with a full queue, blocked submits and two who close it; another is full of what waits."""
    daemon, client = scene.begin({"pools": {"one": {**QUICK, "queue": 3}, "shell": QUICK}, "client_pools": {"enabled": True}})
    other = scene.client(daemon)
    for how in {}, {"kill": True}, {"terminate": True}:
        name, gate = client.call("open_pool", {"like": "one", "workers": 1}), daemon.gate("gate%d" % len(daemon.gates))
        ids = [client.call("submit", name, *gate.task(before="trap '' TERM"))]
        gate.await_start(scene.patience)
        ids += [client.call("submit", name, "true") for _ in range(3)]
        blocked = [other.request("submit", name, "true", [], {"block": True}) for _ in range(3)]
        other.call("ping")
        closing = [(who, who.request("close_pool", name, how)) for who in (client, other)]
        assert answers(other, blocked) == ["ShutdownError"] * 3
        if not how:
            gate.open()
        assert fates(client, ids) == ({"BrokenPoolError", "CancelledError"} if how else {"FINISHED"})
        assert [answers(who, [msgid])[0] for who, msgid in closing if who is client] == [None]
        assert answers(other, [closing[1][1]])[0] in (None, "UnknownPoolError")
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    full = client.call("map", name, "sleep", [["1000"]] * 12000)
    making, closing = in_one_write(client, ("map", name, "sleep", [["1000"]] * 30000), ("close_pool", name, {"kill": True}))
    more = client.answer(making)
    assert client.answer(closing) is None
    assert client.call("wait", [full, more])["not_done"] == []


@scene
def the_daemon_ends_while_a_pool_is_broken(scene):
    """One pool's initializer fails, another's workers die; what waits there is told; both are in the pause before the next try, or in it."""
    daemon, client = scene.begin({"stop_timeout": "200ms", "pools": {"cold": {**PROCESS, "workers": 2, "initializer": "set_warmth", "initargs": [-5]},
                                                                     "dying": {"kind": "process", "runtime": ["/bin/sh", "-c", "exit 3"], "workers": 1}}})
    other, gate = scene.client(daemon), daemon.gate()
    client.call("pause", "cold")
    waiting = client.call("map", "cold", "noop", [[]] * 5000, {"retries": 5})
    behind = client.call("submit", "shell", "true", [], {"after": [waiting[0] + 4999]})
    client.call("submit", "one", *gate.task())
    gate.await_start(scene.patience)
    client.call("resume", "cold")
    asked = [client.request("result", waiting[0] + n) for n in (0, 4999)] + [client.request("call", "dying", "noop")]
    assert answers(client, asked) == ["BrokenPoolError"] * 3
    assert fate(client, behind) == "DependencyError"
    assert client.call("wait", [waiting])["not_done"] == []
    if scene.number % 2 == 0:
        daemon.process.send_signal(signal.SIGTERM)
    else:
        ending = other.request("shutdown", {"cancel_futures": True})
        gate.open()
        assert other.answer(ending) is None
    scene.end(daemon)


@scene
def parents_and_children_share_full_pools(scene):
    """A task waits for one of another kind, that for the next, and the last for one of the first pool: each has one worker."""
    daemon, client = scene.begin({"pools": {"one": QUICK, **{name: {**POOLS[name], "workers": 1} for name in ("cpu", "io", "lua")}}})
    order = ["cpu", "io", "lua", "one"]
    order = order[scene.number % 4:] + order[:scene.number % 4]
    value = client.call("call", *task(("result", "wait", "watch", "call")[scene.number % 4], ",".join(order), 5), timeout=2 * scene.patience)
    assert value == 0 or value["exit"] == 0
    eventually(lambda: all(shown(client, name)["alive"] <= 1 for name in order), scene.patience, "what was lent has gone")


# Futures that wait for futures

@scene
def dependencies_fail_or_are_forgotten(scene):
    """A chain through all kinds by `after` and by references, its head cancelled, some of it released before; and one that fails, in its middle."""
    daemon, client = scene.begin()
    pools = ["shell", "cpu", "io", "lua"]
    for head in "cancelled", "failed", "released":
        client.call("pause", "one")
        first = client.call("submit", "one", "false" if head == "failed" else "true")
        chain = [first]
        for n in range(100):
            pool, before = pools[n % 4], chain[-1]
            fn, args = ("true", []) if pool == "shell" else ("noop", []) if pool != "lua" else ("add", [1, 2])
            chain.append(client.call("submit", pool, fn, args if n % 3 else [ref(before)], {"after": [before, first]} if n % 3 else {}))
        fan = client.call("map", "cpu", "noop", [[]] * 2000, {"after": chain[1:50]})
        waiting = [client.request("wait", [*chain, fan]), client.request("wait", chain[1:], "FIRST_EXCEPTION"), client.request("result", chain[-1])]
        assert client.call("release", chain[10:90:7]) == len(chain[10:90:7])
        if head == "cancelled":
            assert client.call("cancel", [first]) == [True]
        elif head == "released":
            client.request("release", [first])
            client.request("cancel", [first])
        client.call("resume", "one")
        assert answers(client, waiting[2:]) == ["DependencyError"]
        assert client.answer(waiting[0])["not_done"] == [] and client.answer(waiting[1])["done"]
        client.call("release", [fan])


@scene
def a_pool_goes_with_all_who_wait_there(scene):
    """By reload: with a running task, a full queue, blocked submits, drains, waits and dependants; it returns, goes again, and then the daemon ends."""
    daemon, client = scene.begin({"pools": {"tiny": {"kind": "command", "workers": 1, "queue": 2}}})
    gate, other = daemon.gate(), scene.client(daemon)
    whole = daemon.config["pools"]
    running = client.call("submit", "tiny", *gate.task("echo ran"))
    gate.await_start(scene.patience)
    pending = [client.call("submit", "tiny", "echo", [str(n)], {"watch": True}) for n in range(2)]
    behind = client.call("submit", "shell", "cat", [], {"stdin": ref(pending[1])})
    blocked = [other.request("submit", "tiny", "true", [], {"block": True}) for _ in range(2)]
    draining, waiting = other.request("drain", None, {"pool": "tiny"}), client.request("wait", [running, *pending, behind])
    other.call("ping")
    take_away(daemon, client, "tiny")
    assert set(answers(other, blocked)) <= {"UnknownPoolError", "ShutdownError"}
    gate.open()
    assert client.call("result", running)["stdout"] == b"ran\n" and other.answer(draining) is None
    configure(daemon, client, whole)
    assert client.answer(waiting)["not_done"] == [] and client.call("result", behind)["stdout"] == b"1\n"
    assert {client.notification("done")[0] for _ in range(2)} == set(pending)
    client.call("pause", "tiny")
    left = client.call("submit", "tiny", "true")
    behind = client.call("submit", "shell", "true", [], {"after": [left]})
    waiting = client.request("wait", [left, behind])
    take_away(daemon, client, "tiny")
    cancel = scene.number % 2 == 0
    assert other.call("shutdown", {"cancel_futures": cancel}) is None
    if cancel:
        assert client.answer(waiting)["not_done"] == []
    read_to_the_end(client)
    scene.end(daemon)


@scene
def a_hundred_thousand_are_waited_for_while_they_end(scene):
    """And are forgotten, by one write."""
    daemon, client = scene.begin()
    other = scene.client(daemon)
    client.call("pause", "one")
    first, count = client.call("map", "one", "true", [[]] * 100000)
    every, last, others = [[first, count]], [first + count - 1], [[first, count - 1]]
    slow = other.request("wait", every, "FIRST_EXCEPTION", 1000)
    other.call("ping")
    said = answers(client, in_one_write(
        client, ("wait", every), ("release", last), ("wait", every, "FIRST_COMPLETED"), ("watch", [[first, 1000]]), ("cancel", last), ("wait", others),
        ("cancel", others), ("wait", others, "FIRST_COMPLETED"), ("release", every), ("ping",)))
    assert len(said[0]["done"]) == count and last[0] in said[2]["done"] and said[4] == [True] and len(said[5]["done"]) == count - 1
    assert len({client.notification("done")[0] for _ in range(1000)}) == 1000
    assert other.answer(slow)["not_done"] == []


# Disks, networks, listeners

def on_a_disk(scene):
    """A daemon whose store lies on a disk that the scene rules."""
    daemon = scene.launch(start=False)
    daemon.config["store"] = "sqlite:" + daemon.path("store.db")
    disk = shims.disk(daemon.directory, daemon.path("store.db"))
    daemon.env = {**(daemon.env or {}), **disk.env}
    return daemon.start(), scene.client(daemon), disk


@scene
def the_disk_fails_with_everybody_waiting(scene):
    """While a commit lasts more is said than the store may be behind, and then it fails; and once it can be written again, all goes on."""
    daemon, client, disk = on_a_disk(scene)
    other, gate = scene.client(daemon), daemon.gate()
    running = other.call("submit", "shell", *gate.task("echo ran"))
    behind = other.call("submit", "shell", "true", [], {"after": [running]})
    gate.await_start(scene.patience)
    waiting = [other.request("result", running), other.request("wait", [running, behind])]
    other.call("ping")
    client.call("pause", "one")
    disk.delay_us = 500000
    shims.fail(disk, shims.SYNC, errno.EIO)
    msgids = in_one_write(client, *[("submit", "one", "true")] * 25000)
    gate.open()
    assert set(answers(client, msgids)) == {"StoreError"}
    disk.delay_us = 0
    assert client.call("ping", 1) == 1 and not any(map(other.is_answered, waiting))
    shims.heal(disk)
    assert other.answer(waiting[0])["stdout"] == b"ran\n" and other.answer(waiting[1])["not_done"] == []
    eventually(lambda: fate_of_a_submit(client) == "FINISHED", scene.patience)
    shims.fail(disk, shims.WRITE | shims.SYNC, errno.ENOSPC)
    client.request("submit", "shell", "true")
    client.request("shutdown")
    scene.end(daemon)
    shims.heal(disk)


def fate_of_a_submit(client):
    try:
        return fate(client, client.call("submit", "shell", "true"))
    except RpcError as error:
        return error.type


@scene
def the_disk_is_slow_and_the_daemon_ends(scene):
    """Each commit takes 100 ms: who submitted, cancelled, killed, waits or has hung up is told all the same."""
    daemon, client, disk = on_a_disk(scene)
    gate, other, leaver = daemon.gate(), scene.client(daemon), scene.client(daemon)
    disk.delay_us = 100000
    running = client.call("submit", "shell", *gate.task("echo ran"))
    killed = client.call("submit", "shell", "sleep", ["1000"])
    gate.await_start(scene.patience)
    eventually(lambda: client.call("state", [killed]) == ["RUNNING"], scene.patience)
    results = [other.request("result", future) for future in (running, killed)]
    left = in_one_write(leaver, *[("submit", "cpu", "noop")] * 100)
    leaver.call("ping")
    leaver.end()
    asked = [client.request("cancel", [killed], {"running": "kill", "grace": 0}), client.request("map", "cpu", "noop", [[]] * 500),
             client.request("call", "io", "add", [1, 2])]
    gate.open()
    ending = client.request("shutdown")
    assert client.answer(asked[0]) == [True] and client.answer(asked[1])[1] == 500 and client.answer(asked[2]) == 3
    first, second = answers(other, results)
    assert first["stdout"] == b"ran\n" and second == "CancelledError"
    read_to_the_end(leaver)
    assert all(type(answer) is int for answer in answers(leaver, left))
    assert client.answer(ending) is None
    scene.end(daemon)


@scene
def tls_peers_stop_in_the_middle(scene):
    """Of the handshake, of a record, of reading: the others are served, and the daemon ends."""
    net = tls_helper.Network(scene.launch, listeners=("tls",), limits={"hello_timeout": "60s"}, client_pools={"enabled": True})
    token = net.tokens.add("somebody")
    client = scene.client(net.daemon)
    client.call("reload")
    sockets = [tls_helper.socket.create_connection(("127.0.0.1", net.ports["tls"]), scene.patience) for _ in range(3)]
    sockets[0].sendall(b"\x16\x03\x01\x02\x00\x01")
    for sock, pings in (sockets[1], 1), (sockets[2], 400):
        peer, outgoing = handshake(sock)
        peer.write(request(1, "hello", {"protocol": 1, "token": token}) + request(2, "ping", b"x" * 12000) * pings)
        sock.setblocking(False)
        sock.send(outgoing.read()[:-100])  # of much only what the pipe takes
    reader = net.tls(token, patience=scene.patience)
    assert reader.call("call", "shell", "echo", ["x"])["stdout"] == b"x\n"
    running = reader.request("call", "shell", *sh("head -c 2000000 /dev/zero"))
    assert reader.answer(running)["exit"] == 0
    assert client.call("shutdown") is None
    scene.end(net.daemon)
    for sock in sockets:
        sock.close()


def handshake(sock):
    """TLS by hand, so that a record can be cut."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = tls_helper.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            peer.do_handshake()
            sock.sendall(outgoing.read())
            return peer, outgoing
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))


@scene
def nobody_reads_what_the_daemon_says(scene):
    """Not its events, not its notifications, not its log; and it ends."""
    daemon = scene.launch({"log": {"level": "debug", "tasks": "all"}}, start=False)
    ordinary, daemon.log_path = daemon.log_path, daemon.path("fifo")
    os.mkfifo(daemon.log_path)
    reader = os.open(daemon.log_path, os.O_RDONLY | os.O_NONBLOCK)
    daemon.start()
    daemon.log_path = ordinary
    client, subscriber, watcher = (scene.client(daemon) for _ in range(3))
    subscriber.call("events")
    watcher.call("events", {"pool": "cpu"})
    first, count = client.call("map", "cpu", "noop", [[]] * 5000)
    watcher.request("watch", [[first, count]], {"result": True})
    assert client.call("wait", [[first, count]])["not_done"] == []
    later = client.call("map", "cpu", "noop", [[]] * 1000)
    waiting = client.request("wait", [later])
    asked = client.request("shutdown")
    assert client.answer(waiting)["not_done"] == [] and client.answer(asked) is None
    scene.end(daemon)
    os.close(reader)


# The rounds

class Stage:
    """Plays rounds of a scene. What a round started has ended well before the next one begins."""

    def __init__(self):
        self.daemons = []
        self.program, self.env = None, {}

    def start(self, *layers, start=True, env=None, **keys):
        daemon = FLEET.launch(*layers, start=False, env={**self.env, **(env or {})}, **keys)
        daemon.program = self.program or daemon.program
        self.daemons.append(daemon)
        return daemon.start() if start else daemon

    def play(self, name, rounds=1):
        for number in range(rounds):
            SCENES[name](Scene(self.start, number, ("memory", "sqlite")[number % 2] if rounds > 1 else None))
            wrong = self.clear()
            assert not wrong, "round %d: %s" % (number, "; ".join(wrong))

    def clear(self):
        daemons, self.daemons = self.daemons, []
        return FLEET.land(daemons)


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.clear()


@pytest.mark.parametrize("name", SCENES)
def test_nothing_hangs(stage, name):
    stage.play(name)


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
def test_nothing_hangs_in_many_rounds(stage, name):
    stage.play(name, ROUNDS)


def test_there_are_25_scenes():
    assert len(SCENES) == 25


# Controls

@pytest.fixture
def faulty(stage):
    assert os.path.exists(FAULTY), "make FAULTS=1 all programs makes the daemon for the controls"
    stage.program = FAULTY
    return stage


CAUGHT = {
    "cancel_not_told": "a_follower_stops_reading",                      # who waits for a future that is cancelled
    "stays_paused": "both_pipes_of_a_client_are_full",                  # a client that was not read from is not read from again
    "room_not_told": "a_pool_goes_with_all_who_wait_there",             # blocked submits
    "taken_not_heard": "more_goes_through_a_task_than_all_pipes_hold",  # that a task has read what it was fed
    "nobody_lent": "parents_and_children_share_full_pools",
    "swept_once": "opened_pools_close_with_submits_blocked",            # of many that wait only the first are cancelled
}


@pytest.mark.long
@pytest.mark.parametrize("fault", CAUGHT)
def test_a_daemon_that_forgets_somebody_hangs(faulty, fault):
    faulty.play(CAUGHT[fault])
    faulty.env = {"FUTURED_FAULT": fault}
    with pytest.raises(Hang):
        SCENES[CAUGHT[fault]](Scene(faulty.start, patience=5))


@pytest.mark.long
def test_no_other_build_has_faults():
    points = os.path.join(helpers.ROOT, "scripts", "points")
    names = [subprocess.check_output([points, program, "fault_names"], text=True).split()
             for program in (FAULTY, os.path.join(helpers.BUILD, "bin", "futured"))]
    assert set(CAUGHT) <= set(names[0]) and names[1] == []
