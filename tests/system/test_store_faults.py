"""The disk under the store fails: what is submitted meanwhile is refused, what runs goes on, what was acknowledged is there, and all goes on when the
fault ends. A preloaded shim (tests/soak/shim_disk.c) does the failing; damage is done to the files by hand."""
import errno
import os
import random
import sqlite3
import sys

import pytest

import helpers
from helpers import HERE, Closed, Hang, RpcError, eventually, refused, sh
from rpc import request

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import shims   # noqa: E402

CONFIG = {"pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1}}}
FAULTS = {
    "full": (shims.WRITE, errno.ENOSPC), "unwritable": (shims.WRITE, errno.EIO), "unsynced": (shims.SYNC, errno.EIO),
    "read-only": (shims.WRITE | shims.TRUNCATE | shims.SYNC | shims.OPEN, errno.EROFS), "quota": (shims.WRITE, errno.EDQUOT),
    "all": (shims.WRITE | shims.SYNC | shims.TRUNCATE | shims.OPEN | shims.READ, errno.EIO),
}


class Stage:
    """A daemon whose store lies on a disk that the test rules."""

    def __init__(self, launch, tmp_path, program=None, fault=None):
        self.launch, self.directory = launch, str(tmp_path)
        self.path = os.path.join(self.directory, "store.db")
        self.disk = shims.disk(self.directory, self.path)
        self.ledger = os.path.join(self.directory, "ledger")
        self.daemon = launch({"store": "sqlite:" + self.path}, env={**self.disk.env, **({"FUTURED_FAULT": fault} if fault else {})}, start=False)
        if program:
            self.daemon.program = program
        self.daemon.start()
        self.client = self.daemon.client(patience=20)

    def mark(self, word):
        """fn and args of a task that leaves a mark."""
        return sh('echo "$1" >>"$2"; echo "$1"', word, self.ledger)

    def marks(self):
        return helpers.lines(self.ledger)

    def restart(self):
        self.daemon.kill()
        self.daemon.clients.clear()
        shims.heal(self.disk)
        self.daemon = self.launch({"store": "sqlite:" + self.path}, directory=self.daemon.directory)
        self.client = self.daemon.client(patience=20)


@pytest.fixture
def stage(launch, tmp_path):
    return Stage(launch, tmp_path)


def refusals(stage, word):
    """Submits until one is refused (a small one may fit); returns the ids of those that were not, and the words that were."""
    accepted, client = {}, stage.client
    for n in range(200):
        name = "%s-%d" % (word, n)
        try:
            accepted[client.call("submit", "shell", *stage.mark(name))] = name
        except RpcError as error:
            assert error.type == "StoreError", error.error
            return accepted, name
    raise AssertionError("nothing was refused")


def test_clients_that_come_and_go_while_the_disk_is_full_leave_nothing(stage):
    """What they had asked waited for the store, and their descriptors with it, after they had gone."""
    shims.fail(stage.disk, shims.WRITE, errno.ENOSPC)
    refusals(stage, "x")
    open_files = lambda: len(os.listdir("/proc/%d/fd" % stage.daemon.pid))
    before = open_files()
    for _ in range(50):
        other = stage.daemon.client()
        other.request("pools")
        other.call("ping")
        other.close()
    eventually(lambda: open_files() <= before + 2)
    shims.heal(stage.disk)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_refuses_submits_and_loses_nothing(stage, fault):
    client = stage.client
    gate = stage.daemon.gate()
    before = client.call("submit", "shell", *stage.mark("before"))
    assert client.call("result", before)["stdout"] == b"before\n"
    running = client.call("submit", "one", *gate.task(then="echo went on"))
    behind = client.call("submit", "one", *stage.mark("behind"))
    gate.await_start()

    shims.fail(stage.disk, *FAULTS[fault])
    accepted, word = refusals(stage, "during")
    asked = client.request("state", [before, running, behind])   # answered when the store can be written again: it may say what is not durable
    assert client.call("stats")["store"]["failing"]
    other = stage.daemon.client(patience=5)
    assert other.call("hello", {"protocol": 1, "client": "an admin's"})["role"] == "admin", "who introduces itself gets in, too"
    assert other.call("stats")["store"]["failing"]
    refused("StoreError", client.call, "map", "shell", *[stage.mark(word)[0], [stage.mark(word)[1]]])
    refused("StoreError", client.call, "retry", [before])
    gate.open()
    outcome = client.request("result", running)

    shims.heal(stage.disk)
    assert client.answer(asked)[0] == "FINISHED"
    assert client.answer(outcome)["stdout"] == b"went on\n"
    after = eventually(lambda: submitted(stage, "after"), 10)
    accepted[after] = "after"
    accepted[behind] = "behind"
    client.call("wait", list(accepted))
    stage.restart()
    for future, name in accepted.items():
        assert stage.client.call("result", future)["stdout"].decode() == name + "\n"
    assert stage.client.call("result", running)["stdout"] == b"went on\n"
    assert sorted(stage.marks()) == sorted(["before"] + list(accepted.values())), "each ran once, and what was refused never"


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_committed_before_is_told_while_the_disk_fails(stage, fault):
    """It waited with the words that rest on what could not be committed."""
    client, gate = stage.client, stage.daemon.gate()
    done = client.call("submit", "shell", *stage.mark("done"))
    large = client.call("submit", "shell", *sh("head -c 500000 /dev/zero"))
    wrong = client.call("submit", "shell", *sh("exit 3"))
    waits = client.call("submit", "shell", *sh("true"), {"delay": 1000})
    cancelled = client.call("submit", "shell", *sh("true"), {"delay": 1000})
    client.call("cancel", [cancelled])
    running = client.call("submit", "one", *gate.task(then="echo over"))
    gate.await_start()
    client.call("wait", [done, large, wrong])
    shims.fail(stage.disk, *FAULTS[fault])
    refusals(stage, "during")
    gated = [client.request("state", [done, waits]), client.request("result", running), client.request("cancel", [waits])]
    gate.open()
    eventually(lambda: client.call("stats")["futures"]["RUNNING"] == 0)
    for _ in range(2):
        assert client.call("result", done)["stdout"] == b"done\n"
        assert client.call("result", large)["stdout"] == bytes(500000)
        assert refused("ExitError", client.call, "result", wrong)["exit"] == 3
        assert client.call("exception", wrong)["exit"] == 3 and client.call("exception", done) is None
        assert client.call("state", [done, wrong, cancelled]) == ["FINISHED", "FINISHED", "CANCELLED"]
        assert client.call("show", done)["state"] == "FINISHED"
        refused("CancelledError", client.call, "result", cancelled)
    late = client.request("state", [running])
    client.call("ping")
    assert not any(client.is_answered(msgid) for msgid in [*gated, late]), "these rest on what is not committed"
    shims.heal(stage.disk)
    assert client.answer(gated[0]) == ["FINISHED", "PENDING"] and client.answer(gated[1])["stdout"] == b"over\n"
    assert client.answer(gated[2]) == [True] and client.answer(late) == ["FINISHED"]


def test_while_the_disk_fails_who_looks_is_heard_however_much_is_noted(stage):
    """What expired meanwhile was more than is noted at once, and nobody was listened to until the disk was well."""
    client, other = stage.client, stage.daemon.client(patience=2)
    run = client.call("map", "shell", "/bin/true", [[]] * 25000, {"delay": 1000, "retain": 2})
    client.call("cancel", [run])
    shims.fail(stage.disk, *FAULTS["full"])
    refusals(stage, "during")
    eventually(lambda: client.call("stats")["futures"]["CANCELLED"] == 0, 10)
    for _ in range(3):
        refused("StoreError", client.call, "submit", "shell", *sh("true"))
        assert client.call("stats")["store"]["failing"] and client.call("ping", 7) == 7
    with pytest.raises(Hang):   # who has more noted than clients may is not listened to
        for _ in range(100000):
            other.request("pause", "one")
            other.request("resume", "one")
    refused("StoreError", client.call, "submit", "shell", *sh("true"))
    shims.heal(stage.disk)
    client.call("wait", [eventually(lambda: submitted(stage, "after"), 20)])


def submitted(stage, word):
    try:
        return stage.client.call("submit", "shell", *stage.mark(word))
    except RpcError as error:
        assert error.type == "StoreError", error.error
        return None


@pytest.mark.parametrize("fault, times", [(fault, times) for fault in FAULTS for times in (1, -1) if (fault, times) != ("full", 1)])
def test_what_was_refused_does_not_run_after_a_crash(stage, fault, times):
    """The commit failed when its bytes were in the log already: the next daemon must not take them for one that did not."""
    client = stage.client
    client.call("pause", "shell")
    first = client.call("submit", "shell", *stage.mark("first"))
    shims.fail(stage.disk, *FAULTS[fault], times=times)
    accepted, word = refusals(stage, "during")
    accepted[first] = "first"
    stage.restart()
    stage.client.call("resume", "shell")
    stage.client.call("wait", list(accepted))
    assert sorted(f["id"] for f in stage.client.call("list")) == sorted(accepted)
    helpers.eventually(lambda: not stage.client.call("list", {"state": "PENDING"}))
    assert sorted(stage.marks()) == sorted(accepted.values())


def test_one_who_was_not_listened_to_while_the_store_was_behind_is_refused_too(stage):
    """More than it may be behind by came while one commit lasted, and that failed: the rest was not read until the disk was well again."""
    client, ids = stage.client, range(1000, 41000)
    client.call("pause", "one")
    stage.disk.delay_us = 1000000
    shims.fail(stage.disk, shims.SYNC, errno.EIO)
    for msgid in ids:
        client.expect(msgid)
    client.send(b"".join(request(msgid, "submit", "one", "true") for msgid in ids))
    assert {refused("StoreError", client.answer, msgid)["type"] for msgid in ids} == {"StoreError"}
    stage.disk.delay_us = 0
    shims.heal(stage.disk)
    eventually(lambda: refused_or(client, "submit", "one", "true"), 10)


def refused_or(client, *call):
    try:
        return client.call(*call)
    except RpcError as error:
        assert error.type == "StoreError", error.error


@pytest.mark.parametrize("how", ["unlinked", "renamed", "replaced"])
def test_a_store_that_is_taken_away_is_noticed(stage, how):
    """What is written into a file that nobody finds again is not durable."""
    client = stage.client
    first = client.call("submit", "shell", *stage.mark("first"))
    client.call("wait", [first])
    kept = stage.path + ".kept"
    if how == "unlinked":
        os.link(stage.path, kept)
        os.unlink(stage.path)
    else:
        os.rename(stage.path, kept)
        if how == "replaced":
            open(stage.path, "w").close()
    error = refused("StoreError", client.call, "submit", "shell", *stage.mark("during"))
    assert stage.path in error["message"], error
    os.rename(kept, stage.path)
    after = eventually(lambda: submitted(stage, "after"), 10)
    client.call("wait", [after])
    stage.restart()
    assert stage.client.call("result", first)["stdout"] == b"first\n"
    assert stage.client.call("result", after)["stdout"] == b"after\n"
    assert stage.marks() == ["first", "after"]


def reveals(stage):
    """What a client, or one that watches all events, hears before the sync that it rests on, while that takes 200 ms. Nothing runs meanwhile."""
    client, watcher, early = stage.client, stage.daemon.client(patience=20), []
    client.call("pause", "one")
    old = [client.call("submit", "one", *stage.mark("old%d" % n)) for n in range(4)]
    done = client.call("submit", "shell", *stage.mark("done"))
    client.call("wait", [done])
    watcher.call("events")
    asks = {"submit": ("submit", "one", *stage.mark("new")), "map": ("map", "one", "/bin/sh", [stage.mark("m")[1]] * 3),
            "keyed": ("submit", "one", *stage.mark("keyed"), {"key": "k", "watch": True}), "cancel": ("cancel", old[:2]), "release": ("release", [done]),
            "retry": ("retry", old[:1]), "open_pool": ("open_pool", {"like": "one", "workers": 1}),
            "pause": ("pause", "shell"), "resume": ("resume", "shell"), "resize": ("resize", "shell", 3)}
    for what, params in asks.items():
        eventually(lambda: quiet(client, stage.disk))
        watcher.pending_notifications()
        watcher.notes.clear()
        stage.disk.delay_us, before = 200000, stage.disk.syncs
        msgid = client.request(*params)
        while stage.disk.syncs == before and not client.answers[msgid] and not watcher.notes:
            client.pump(0)
            watcher.pump(0)
        if stage.disk.syncs == before:
            early.append(what)
        stage.disk.delay_us = 0
        client.answer(msgid)
    return early


def quiet(client, disk):
    """Nothing is being committed any more."""
    before = disk.number
    client.call("ping")
    os.sched_yield()
    return disk.number == before and client.call("stats")["store"]["kind"] == "sqlite" and disk.number == before


def test_nobody_hears_of_anything_before_it_is_on_the_disk(stage):
    assert reveals(stage) == []


@pytest.mark.long
def test_a_daemon_without_the_gate_says_it_too_early(launch, tmp_path):
    """The control."""
    stage = Stage(launch, tmp_path, program=os.path.join(helpers.ROOT, "build-faults", "bin", "futured"), fault="gate_off")
    assert len(reveals(stage)) >= 3


# Damage

def fill(stage):
    """A store with a bit of everything; returns id -> word of what is to run."""
    client = stage.client
    for pool in ("shell", "one"):
        client.call("pause", pool)
    words = {}
    for n in range(12):
        words[client.call("submit", "shell", *stage.mark("w%d" % n), {"priority": n % 3, "key": "k%d" % n, "tags": ["t"], "env": {"A": str(n)}})] = "w%d" % n
    first, count = client.call("map", "one", "/bin/sh", [stage.mark("m%d" % n)[1] for n in range(10)])
    words.update({first + n: "m%d" % n for n in range(count)})
    done = client.call("submit", "shell", *stage.mark("after"), {"after": [first]})
    words[done] = "after"
    client.call("cancel", [client.call("submit", "shell", *stage.mark("never"))])   # may run where the log lost its tail
    words[0] = "never"
    stage.daemon.kill()
    stage.daemon.clients.clear()
    return words


def mutants(content, rng, count):
    """(what, changed content), as a disk damages files: one bit, 512 bytes, the tail."""
    for _ in range(count):
        what = rng.choice(["bit", "bit", "bit", "sector", "zero sector", "tail"])
        data = bytearray(content)
        at = rng.randrange(len(data))
        if what == "bit":
            data[at] ^= 1 << rng.randrange(8)
        elif what == "tail":
            del data[at:]
        else:
            at -= at % 512
            data[at:at + 512] = bytes(512) if what == "zero sector" else rng.randbytes(512)
        yield "%s at %d of %d" % (what, at, len(content)), bytes(data)


def damaged_stores(stage, launch, count, seed):
    """Starts a daemon on each mutant. It ends with a reason, or serves; what runs is a task that was submitted, and never twice."""
    words = fill(stage)
    rng = random.Random(seed)
    files = {}
    for suffix in ("", "-wal"):
        if os.path.exists(stage.path + suffix) and os.path.getsize(stage.path + suffix):
            with open(stage.path + suffix, "rb") as f:
                files[suffix] = f.read()
    seen = {"refused": 0, "served": 0, "lost": 0}
    for n in range(count):
        suffix = rng.choice(sorted(files))
        what, content = next(mutants(files[suffix], rng, 1))
        for other, bytes_ in files.items():
            with open(stage.path + other, "wb") as f:
                f.write(content if other == suffix else bytes_)
        if os.path.exists(stage.ledger):
            os.unlink(stage.ledger)
        one_mutant(stage, "seed %d, mutant %d, %s: %s" % (seed, n, suffix or "db", what), words, seen)
    return seen


def one_mutant(stage, name, words, seen):
    daemon = stage.daemon
    daemon.expected_status = 0
    daemon.spawn()
    client = None
    while client is None:
        status = daemon.process.poll()
        if status is not None:
            assert status == 1, "%s: ended with %s:\n%s" % (name, status, daemon.log()[-2000:])
            assert "cannot start: " in daemon.log(), name
            seen["refused"] += 1
            daemon.expected_status = 1   # if it was the last one
            return
        try:
            client = daemon.client(patience=20)
        except OSError:
            pass
    try:
        for pool in ("shell", "one"):
            client.call("resume", pool)
        helpers.eventually(lambda: all(p["busy"] == p["pending"] == 0 for p in client.call("pools")), 20, name + ": all runs")
        there = client.call("list")
    except (Hang, Closed) as error:
        raise AssertionError("%s: %s; it ended with %s:\n%s" % (name, error, daemon.process.poll(), daemon.log()[-2000:])) from None
    client.close()
    daemon.clients.clear()
    ran = stage.marks()
    assert len(set(ran)) == len(ran) and set(ran) <= set(words.values()), "%s: ran %s" % (name, ran)
    seen["served"] += 1
    seen["lost"] += len(ran) < len(words) - 1
    assert there is not None
    assert daemon.stop() == 0, name


def test_damaged_stores_crash_nothing_and_run_nothing_else(stage, launch):
    seen = damaged_stores(stage, launch, 25, helpers.chance())
    assert sum(seen.values()) >= 25, seen


@pytest.mark.long
def test_hundreds_of_damaged_stores(stage, launch):
    seen = damaged_stores(stage, launch, 500, 7)
    assert seen["refused"] + seen["served"] == 500 and seen["lost"] > 20, "the control: damage is done: %s" % seen


def test_damage_to_the_very_words_of_a_task_is_noticed(stage, launch):
    """The control of the damage: a store whose checksums are right again runs the other command."""
    words = fill(stage)
    db = sqlite3.connect(stage.path)
    future, args = db.execute("select id, args from tasks where instr(args, x'a27733') > 0").fetchone()  # the word itself, not a path with it
    db.execute("update tasks set args = ? where id = ?", (args.replace(b"\xa2w3", b"\xa2x3"), future))
    db.commit()
    db.close()
    seen = {"refused": 0, "served": 0, "lost": 0}
    one_mutant(stage, "w3 became x3", words, seen)
    assert seen["lost"] == 1 and "x3" not in stage.marks() and "w3" not in stage.marks()


def test_a_daemon_starts_on_a_full_disk(launch, tmp_path):
    """And has all that was acknowledged; what is pending runs when there is room."""
    stage = Stage(launch, tmp_path)
    client = stage.client
    client.call("pause", "one")
    done = client.call("submit", "shell", *stage.mark("done"))
    client.call("wait", [done])
    waits = client.call("submit", "one", *stage.mark("waits"))
    shims.fail(stage.disk, *FAULTS["full"])
    accepted, _ = refusals(stage, "during")
    stage.daemon.kill()
    stage.daemon.clients.clear()
    daemon = launch({"store": "sqlite:" + stage.path}, directory=stage.daemon.directory, env=stage.disk.env)
    client = daemon.client(patience=20)
    assert client.call("stats")["store"]["failing"]
    refused("StoreError", client.call, "submit", "shell", *stage.mark("after"))
    shims.heal(stage.disk)
    client.call("resume", "one")
    assert client.call("result", done)["stdout"] == b"done\n"
    assert client.call("result", waits)["stdout"] == b"waits\n"
    for future, name in accepted.items():
        assert client.call("result", future)["stdout"].decode() == name + "\n"
    assert sorted(stage.marks()) == sorted(["done", "waits"] + list(accepted.values()))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_first_commit_that_fails_costs_nothing_of_what_was_there(launch, tmp_path, fault):
    """What the last daemon had committed lies in the log still, and is not cut off with what this one could not commit."""
    stage = Stage(launch, tmp_path)
    client = stage.client
    done = [client.call("submit", "shell", *stage.mark("done%d" % n)) for n in range(5)]
    client.call("wait", done)
    stage.daemon.kill()
    stage.daemon.clients.clear()
    shims.fail(stage.disk, FAULTS[fault][0] & ~(shims.OPEN | shims.READ), FAULTS[fault][1])
    daemon = launch({"store": "sqlite:" + stage.path}, directory=stage.daemon.directory, env=stage.disk.env, start=False)
    daemon.spawn()
    eventually(lambda: "cannot" in daemon.log() or daemon.process.poll() is not None, 10)
    daemon.kill()
    stage.daemon = daemon
    stage.restart()
    assert [stage.client.call("result", f)["stdout"] for f in done] == [b"done%d\n" % n for n in range(5)]
    assert len(stage.marks()) == 5
