"""Records of the store that cannot be as a daemon wrote them, each damaged in its own way: it costs the future that it is about, and no other; nobody hears what is no MessagePack,
and the daemon starts. (Bytes of the file: test_store_faults.py; anything at all: the fuzz target `store`.)"""
import os
import sqlite3

import pytest

import helpers
from helpers import refused, sh
from rpc import RpcError

CONFIG = {"store": "sqlite", "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1},
                                       "native": {"kind": "process", "runtime": "native", "workers": 2, "modules": [os.path.join(helpers.ROOT, helpers.BUILD, "modules", name) for name in ("work.so", "testing.so")]}}}
MOST, LEAST = 2 ** 63 - 1, -2 ** 63

# What becomes of a pending task (`tasks t`, its spec `s`, its gate `g`): it fails with StoreError, runs as if nothing were, or is not to be had any more.
FAILS, RUNS, LOST = "fails", "runs", "lost"
PENDING = {
    "args cut": ("t", "args = x'92a161'", FAILS), "args that are none": ("t", "args = x'01'", FAILS), "no args": ("t", "args = NULL", FAILS), "args of a text": ("t", "args = 'text'", FAILS),
    "checksum": ("t", "sum = 1", FAILS), "no checksum": ("t", "sum = 'x'", FAILS), "attempt": ("t", "attempt = 70000", FAILS), "attempt below": ("t", "attempt = -1", FAILS),
    "submitted long ago": ("t", "submitted_us = %d" % LEAST, RUNS), "submitted in the end": ("t", "submitted_us = %d" % MOST, RUNS), "submitted never": ("t", "submitted_us = 'x'", RUNS),
    "not before the end": ("t", "not_before_us = %d" % MOST, RUNS), "not before the beginning": ("t", "not_before_us = %d" % LEAST, RUNS), "a file that is not there": ("t", "args_file = 3", FAILS),
    "gate not there": ("t", "gate = 999999", FAILS), "spec not there": ("t", "spec = 999999", LOST), "no spec": ("t", "spec = NULL", LOST),
    "id far away": ("t", "id = %d" % 2 ** 52, LOST), "id beyond": ("t", "id = %d" % MOST, LOST), "id below": ("t", "id = -5", LOST), "id 0": ("t", "id = 0", LOST),
    "no fn": ("s", "fn = NULL", FAILS), "fn with NUL": ("s", "fn = cast(x'610062' AS TEXT)", FAILS), "fn not UTF-8": ("s", "fn = cast(x'ff' AS TEXT)", FAILS), "no pool": ("s", "pool = NULL", FAILS),
    "pool not UTF-8": ("s", "pool = cast(x'ff' AS TEXT)", FAILS), "no owner": ("s", "owner = NULL", FAILS), "long owner": ("s", "owner = printf('%.400c', 'x')", FAILS),
    "env cut": ("s", "env = x'92a3413d62'", FAILS), "env that is none": ("s", "env = x'01'", FAILS), "run that is none": ("s", "run = x'c1', run_pairs = 1", FAILS), "run pairs": ("s", "run_pairs = -1", FAILS),
    "stdin kind": ("s", "stdin_kind = 7", FAILS), "stdin of itself": ("s", "stdin_kind = 3, stdin_future = %d" % 2 ** 60, FAILS), "retries": ("s", "retries = -1", FAILS),
    "timeout": ("s", "timeout_us = -1", FAILS), "deadline": ("s", "deadline_us = %d" % LEAST, FAILS), "delay": ("s", "delay_us = %d" % MOST, FAILS), "retry delay": ("s", "retry_delay_us = -1", FAILS),
    "retain": ("s", "retain_us = -1", FAILS), "kind": ("s", "kind = 'what'", RUNS), "priority": ("s", "priority = %d" % MOST, RUNS), "tags cut": ("s", "tags = x'92a161'", RUNS),
    "tags that are none": ("s", "tags = x'c1'", RUNS), "tags not UTF-8": ("s", "tags = x'91a1ff'", RUNS), "name not UTF-8": ("s", "name = cast(x'ff' AS TEXT)", RUNS),
    "no gate": ("g", "ids = NULL", FAILS), "gate cut": ("g", "ids = '[1,'", FAILS), "gate empty": ("g", "ids = '[]'", FAILS), "gate of 0": ("g", "ids = '[0]'", FAILS),
    "gate beyond": ("g", "ids = '[1,99999999999999999999]'", FAILS), "gate of later ones": ("g", "ids = '[%d]'" % 2 ** 50, FAILS), "gate with NUL": ("g", "ids = cast(x'5b31002c325d' AS TEXT)", FAILS),
    "gate of none below": ("g", "ids = '[-0]'", FAILS), "gate twice below": ("g", "ids = '[--1]'", FAILS), "gate far below": ("g", "ids = '[%d]'" % LEAST, FAILS),
    "passed before time": ("g", "passed_us = -1", FAILS), "passed in the end": ("g", "passed_us = %d" % MOST, RUNS), "passed at no time": ("g", "passed_us = 'x'", RUNS), "fed": ("t", "fed = 'x'", RUNS),
}
WHERE = {"t": "UPDATE tasks SET %s WHERE id = ?1", "s": "UPDATE specs SET %s WHERE id = (SELECT spec FROM tasks WHERE id = ?1)", "g": "UPDATE gates SET %s WHERE id = (SELECT gate FROM tasks WHERE id = ?1)"}

# Of a finished one without a checksum: whether its value is still to be had. What is summed is not, where that is wrong.
KEPT, GONE = "kept", "gone"
FINISHED = {
    "no value": ("value = NULL", GONE), "empty value": ("value = x''", GONE), "value cut": ("value = x'93'", GONE), "two values": ("value = x'0102'", GONE), "never a value": ("value = x'c1'", GONE),
    "a claim": ("value = x'dd7fffffff'", GONE), "too deep": ("value = x'" + "91" * 60 + "01'", GONE), "an error that is none": ("failed = 1", GONE), "a file that is not there": ("value_file = 0", GONE),
    "rusage": ("rusage = x'c1'", KEPT), "rusage cut": ("rusage = x'81'", KEPT), "started": ("started_us = %d" % MOST, KEPT), "finished late": ("finished_us = %d" % MOST, KEPT),
    "attempt": ("attempt = -1", KEPT), "seen": ("seen = 'x'", KEPT), "state": ("state = 'WHAT'", KEPT), "no state": ("state = x''", KEPT),
}
SUMMED = ("rusage", "rusage cut", "state", "no state")


@pytest.fixture
def damage(launch):
    """Kills the daemon, has the statements executed on its store, and starts the next one."""
    def again(daemon, *statements):
        daemon.kill()
        daemon.clients.clear()
        db = sqlite3.connect(daemon.path("state/futured.db"))
        for sql, *values in statements:
            db.execute(sql, values)
        db.commit()
        db.close()
        return launch(directory=daemon.directory)
    return again


def rows(daemon, sql):
    """With no daemon there."""
    db = sqlite3.connect(daemon.path("state/futured.db"))
    found = db.execute(sql).fetchall()
    db.close()
    return found


def mark(daemon, word):
    return sh('echo "$1" >>"$2"', word, daemon.path("ledger"))


def marks(daemon):
    with open(daemon.path("ledger")) as f:
        return sorted(f.read().splitlines())


def look_at_all(client):
    """Everything that the daemon says of anybody is MessagePack, and text."""
    there = client.call("list")
    for future in there:
        client.call("show", future["id"])
    client.call("failures")
    client.call("pools")
    return {future["id"]: future for future in there}


def outcome(client, future, there):
    if future not in there:
        return LOST
    try:
        client.call("result", future)
    except RpcError as error:
        return FAILS if error.type == "StoreError" and "damaged" in error.error["message"] else error.error
    return RUNS


def test_each_damaged_record_costs_its_own_future(daemon, client, damage):
    first = client.call("submit", "shell", *mark(daemon, "first"))
    client.call("wait", [first])
    client.call("pause", "shell")
    victims = {name: client.call("submit", "shell", *mark(daemon, name), {"name": name, "tags": [name], "env": {"A": name}, **({"after": [first]} if place == "g" else {})})
               for name, (place, _, _) in PENDING.items()}
    others = [client.call("submit", "shell", *mark(daemon, "other%d" % n)) for n in range(3)]
    daemon = damage(daemon, *[(WHERE[place] % change, victims[name]) for name, (place, change, _) in PENDING.items()])
    client = daemon.client()
    client.call("resume", "shell")
    client.call("wait", others)
    there = look_at_all(client)
    assert {name: outcome(client, future, there) for name, future in victims.items()} == {name: what for name, (_, _, what) in PENDING.items()}
    assert there[victims["tags cut"]]["tags"] == [] and there[victims["name not UTF-8"]]["name"] is None
    assert marks(daemon) == sorted(["first", "other0", "other1", "other2"] + [name for name, (_, _, what) in PENDING.items() if what == RUNS])
    assert client.call("submit", "shell", *mark(daemon, "later")) > others[-1]
    there = look_at_all(damage(daemon).client())
    assert {name for name, (_, _, what) in PENDING.items() if what != LOST} == {name for name, future in victims.items() if future in there}


@pytest.mark.parametrize("also", [", sum = NULL", ""], ids=["no checksum", "checksum"])
def test_each_damaged_result_costs_its_own_value(daemon, client, damage, also):
    """Stores of earlier daemons have results without a checksum."""
    values = {name: client.call("submit", "native", "echo", [name]) for name in FINISHED}
    failed = client.call("submit", "shell", *sh("exit 3"))
    client.call("wait", list(values.values()) + [failed])
    daemon = damage(daemon, *[("UPDATE results SET %s WHERE id = ?" % (change + also), values[name]) for name, (change, _) in FINISHED.items()],
                    ("UPDATE results SET value = x'80'%s WHERE id = ?" % also, failed))
    client = daemon.client()
    look_at_all(client)
    for name, (_, what) in FINISHED.items():
        if what == KEPT and (also or name not in SUMMED):
            assert client.call("result", values[name]) == name
        else:
            refused("StoreError", client.call, "result", values[name])
    refused("StoreError", client.call, "result", failed)


def test_damaged_output_costs_what_it_says(daemon, client, damage):
    changes = {"kept": "cut = 5", "no cut": "cut = -1", "cut far above": "cut = %d" % MOST, "no bytes": "bytes = NULL", "stream": "stream = 7", "none": "bytes = NULL, cut = 'x'"}
    futures = {name: client.call("submit", "native", "print_all", []) for name in changes}
    client.call("wait", list(futures.values()))
    client = damage(daemon, *[("UPDATE outputs SET %s WHERE id = ? AND stream = 0" % change, futures[name]) for name, change in changes.items()]).client()
    look_at_all(client)
    found = {name: client.call("output", future) for name, future in futures.items()}
    assert found == {name: b"" if name in ("no bytes", "stream", "none") else found["kept"] for name in changes} and found["kept"]


def test_a_value_outlives_the_file_of_its_arguments(daemon, client, damage):
    """It was taken for gone with it."""
    future = client.call("submit", "native", "noop", [os.urandom(1 << 20)])
    value = client.call("result", future)
    state = daemon.path("state")
    daemon.kill()
    for name in os.listdir(state):
        if name.startswith("payload-"):
            os.unlink(os.path.join(state, name, "%d.args" % future))
    assert damage(daemon).client().call("result", future) == value


@pytest.mark.parametrize("change", [
    "DELETE FROM daemon WHERE name = 'next_id'", "UPDATE daemon SET value = 'x' WHERE name = 'next_id'", "UPDATE daemon SET value = -1 WHERE name = 'next_id'",
    "UPDATE daemon SET value = %d WHERE name = 'next_id'" % 2 ** 53, "UPDATE daemon SET value = NULL WHERE name = 'instance'", "UPDATE daemon SET value = x'ff' WHERE name = 'instance'",
    "UPDATE daemon SET value = 'short' WHERE name = 'instance'"])
def test_a_store_that_does_not_know_what_it_gave_is_another_instance(daemon, client, damage, change):
    """No id is given twice by one instance, and that one is kept."""
    futures = [client.call("submit", "shell", *sh("true")) for _ in range(3)]
    client.call("wait", futures)
    client.call("release", futures[2:])
    before = client.call("hello", {"protocol": 1})["instance"]
    daemon = damage(daemon, (change,))
    client = daemon.client()
    assert client.call("state", futures[:2]) == ["FINISHED"] * 2
    after, future = client.call("hello", {"protocol": 1})["instance"], client.call("submit", "shell", *sh("true"))
    assert after != before and len(after) == 32
    assert futures[2] < future < 2 ** 53
    daemon = damage(daemon)
    assert daemon.client().call("hello", {"protocol": 1})["instance"] == after
    assert daemon.client().call("submit", "shell", *sh("true")) > future


def test_a_mark_that_is_too_low_repeats_no_id(daemon, client, damage):
    future = client.call("submit", "shell", *sh("echo kept"))
    client.call("wait", [future])
    client = damage(daemon, ("UPDATE daemon SET value = 1 WHERE name = 'next_id'",)).client()
    assert client.call("submit", "shell", *sh("true")) > future
    assert client.call("result", future)["stdout"] == b"kept\n"


KEYS = {
    "count": "count = %d" % MOST, "count above": "count = %d" % 2 ** 40, "count below": "count = -1", "no count": "count = 0", "first 0": "first = 0", "first below": "first = -1", "first above": "first = %d" % MOST,
    "no owner": "owner = NULL", "another owner": "owner = 'uid:4242'", "no key": "key = NULL", "long": "key = printf('%.2000c', 'x')"}


def test_each_damaged_key_costs_itself(daemon, client, damage):
    """A count was counted down one by one."""
    futures = {name: client.call("submit", "shell", *sh("true"), {"key": name}) for name in ["kept", *KEYS]}
    client.call("wait", list(futures.values()))
    client = damage(daemon, *[("UPDATE keys SET %s WHERE first = ?" % change, futures[name]) for name, change in KEYS.items()]).client()
    assert client.call("state", list(futures.values())) == ["FINISHED"] * len(futures)
    again = {name: client.call("submit", "shell", *sh("true"), {"key": name}) for name in futures}
    assert again["kept"] == futures["kept"]
    assert all(again[name] == futures[name] or again[name] > max(futures.values()) for name in futures)


def test_a_key_with_a_nul_is_that_key_after_a_restart(daemon, client, damage):
    """It was stored up to there."""
    future = client.call("submit", "shell", *sh("true"), {"key": "a\0b"})
    client.call("wait", [future])
    client = damage(daemon).client()
    assert client.call("submit", "shell", *sh("true"), {"key": "a\0b"}) == future
    assert client.call("submit", "shell", *sh("true"), {"key": "a"}) != future


POOLS = {"no what": "what = NULL", "what": "what = x'c1'", "what cut": "what = x'81'", "no name": "name = NULL", "name not UTF-8": "name = cast(x'ff' AS TEXT)", "a name that is taken": "name = 'shell'",
         "so many words": "what = x'83a46c696b65a66e6174697665a56f776e6572a57569643a30a7636f6d6d616e64dd7fffffff'"}


def test_each_damaged_pool_costs_itself(daemon, client, damage):
    """Its tasks wait for its return. `command` claimed memory for as many words as its array promised."""
    pools = {name: client.call("open_pool", {"like": "native", "workers": 1}) for name in ["kept", "row", "row below", *POOLS]}
    for pool in pools.values():
        client.call("pause", pool)
    futures = {name: client.call("submit", pool, "echo", [name]) for name, pool in pools.items()}
    client = damage(daemon, *[("UPDATE pools SET %s WHERE name = ?" % change, pools[name]) for name, change in {**POOLS, "row": "id = %d" % MOST, "row below": "id = -1"}.items()]).client()
    look_at_all(client)
    for name in ("kept", "row", "row below"):
        client.call("resume", pools[name])
        assert client.call("result", futures[name]) == name
    assert all(client.call("show", futures[name])["why"]["code"] == "no_pool" for name in POOLS)
    more = client.call("open_pool", {"like": "native", "workers": 1})
    assert client.call("call", more, "echo", [2]) == 2


BY_HAND = {"no pool": "pool = ''", "pool with NUL": "pool = cast(x'6f6e650062' AS TEXT)", "a blob": "pool = x'6f6e65'", "pool not UTF-8": "pool = cast(x'ff' AS TEXT)", "long": "pool = printf('%.400c', 'x')"}


@pytest.mark.parametrize("change", list(BY_HAND.values()), ids=list(BY_HAND))
def test_what_was_done_by_hand_to_no_pool_goes(daemon, client, damage, change):
    """Not to the pool whose name that is up to a NUL."""
    client.call("pause", "shell")
    client.call("pause", "one")
    daemon = damage(daemon, ("UPDATE by_hand SET %s WHERE pool = 'shell'" % change,))
    client = daemon.client()
    assert {pool["name"]: pool["paused"] for pool in client.call("pools")} == {"shell": False, "one": True, "native": False}
    client.call("resume", "one")
    assert client.call("result", client.call("submit", "one", *sh("true")))["exit"] == 0
    daemon.kill()
    assert rows(daemon, "SELECT pool FROM by_hand") == []


@pytest.mark.parametrize("change", ["workers = -1", "workers = 5000", "workers = %d" % (2 ** 32 + 5), "workers = 'x'", "configured = %d" % (2 ** 32 + 2), "configured = NULL"])
def test_a_number_of_workers_that_none_can_have_asked_for_is_forgotten(daemon, client, damage, change):
    pool = client.call("open_pool", {"like": "native", "workers": 1})
    client.call("resize", "shell", 5)
    client.call("resize", pool, 5)
    client = damage(daemon, ("UPDATE by_hand SET %s" % change,)).client()
    workers = {p["name"]: p["workers"] for p in client.call("pools")}
    assert workers["shell"] == 2 and (workers[pool] == 1 or "configured" in change)


@pytest.mark.parametrize("change", ["paused_us = -1", "paused_us = %d" % MOST, "paused_us = %d" % LEAST, "paused_by = NULL", "paused_by = x'ff'", "paused_by = printf('%.400c', 'x')"])
def test_a_damaged_pause_is_one(daemon, client, damage, change):
    client.call("pause", "shell")
    client = damage(daemon, ("UPDATE by_hand SET %s" % change,)).client()
    look_at_all(client)
    future = client.call("submit", "shell", *sh("true"))
    assert client.call("show", future)["why"]["code"] == "paused"
    client.call("resume", "shell")
    assert client.call("result", future)["exit"] == 0


@pytest.mark.parametrize("change", ["value = NULL", "value = ''", "value = substr(value, 1, instr(value, ' '))", "value = value || 'x'", "value = value || x'00'", "value = substr(value, 1, instr(value, ' ')) || '%d'" % MOST,
                                    "value = substr(value, 1, instr(value, ' ')) || '%d'" % LEAST, "value = substr(value, 1, instr(value, ' ')) || '-4611686018427387904'", "value = 7"])
def test_a_clock_that_was_none_is_not_gone_by(daemon, client, damage, change):
    """Then it is the wall clock's time."""
    done = client.call("submit", "shell", *sh("true"))
    client.call("wait", [done])
    client.call("pause", "shell")
    future = client.call("submit", "shell", *sh("true"), {"delay": 0.01})
    before = client.call("show", done)
    client = damage(daemon, ("UPDATE daemon SET %s WHERE name = 'clock'" % change,)).client()
    after = client.call("show", done)
    assert all(abs(after[time] - before[time]) < 60 for time in ("submitted", "started", "finished"))
    client.call("resume", "shell")
    assert client.call("result", future, 10)["exit"] == 0


def test_rows_that_count_on_from_nonsense_stop_no_commit(daemon, client, damage):
    """The next spec would have been row 0, and the one after that a row that is there."""
    future = client.call("submit", "shell", *sh("true"))
    client.call("wait", [future])
    columns = "pool, kind, owner, fn, name, tags, kwargs, run, opened, run_pairs, env, stdin, stdin_kind, stdin_future, priority, retries, timeout_us, deadline_us, delay_us, retry_delay_us, retain_us, sum"
    daemon = damage(daemon, ("INSERT INTO specs SELECT -1, %s FROM specs LIMIT 1" % columns,), ("INSERT INTO tasks (id, spec) VALUES (?, -1)", future + 1), ("INSERT INTO gates (id, ids) VALUES (-1, '[1]')",))
    client = daemon.client()
    for n in range(3):
        assert client.call("result", client.call("submit", "shell", *sh("true"), {"name": str(n), "after": [future]}))["exit"] == 0
    assert not client.call("stats")["store"].get("failing")


def test_what_cannot_be_recognized_does_not_stand_in_the_way_for_ever(daemon, client, damage):
    """Its row stayed, and who was given its id could not be stored: nor could anybody from then on."""
    future = client.call("submit", "shell", *sh("true"))
    client.call("wait", [future])
    daemon = damage(daemon, ("UPDATE daemon SET value = ? WHERE name = 'next_id'", future + 1), ("INSERT INTO tasks (id, spec) VALUES (?, 999)", future + 2))
    client = daemon.client()
    for _ in range(4):
        assert client.call("result", client.call("submit", "shell", *sh("true")))["exit"] == 0
