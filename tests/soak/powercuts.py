#!/usr/bin/python3
"""Power cuts: what a real daemon writes and syncs is recorded (shim_disk.c), and what clients are told, with its place in that order. Then the power is
cut at every moment: what was synced is on the disk, of the rest whatever chance decides, down to single sectors; a failed sync may have lost for ever
what it was to make durable. On each disk SQLite must find a whole database with everything that had been told; some are given to a real daemon.

    tests/soak/powercuts.py 20000 --seed 7
    tests/soak/powercuts.py 5000 --sync normal             loses, and must be found out"""
import argparse
import os
import random
import shutil
import sqlite3
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True

import conftest   # noqa: E402
import helpers    # noqa: E402
import rpc        # noqa: E402
import shims      # noqa: E402

OPEN, WRITE, SYNC, TRUNCATE, UNLINK, SYNC_FAILED = 1, 2, 4, 8, 16, 64
SECTOR = 512
FAULTS = "small_log"      # what the recorded daemon does differently
PROGRAM = os.path.join(helpers.BUILD, "tests", "programs", "mark")


# ---- recording ----

class Recording:
    """What was written, and (number, fact) for what was told: ("there", id), ("over", id, state), ("gone", id), ("going", id)."""

    def __init__(self, rng, sync, program, acts, failing):
        self.rng, self.failing = rng, failing
        self.directory = tempfile.mkdtemp(prefix="futured-power-")
        self.path = os.path.join(self.directory, "store.db")
        self.record = os.path.join(self.directory, "record")
        self.disk = shims.disk(self.directory, self.path, self.record)
        self.facts, self.known, self.over = [], [], set()
        pools = {"shell": {"kind": "command", "workers": 2},
                 "cpu": {"kind": "process", "workers": 2, "modules": [os.path.join(helpers.BUILD, "modules", "soak.so")]}}
        self.daemon = conftest.Daemon({"store": "sqlite:" + self.path, "sync": sync, "pools": pools, "stop_timeout": "100ms"}, directory=self.directory,
                                      env={**self.disk.env, "FUTURED_FAULT": FAULTS})
        self.daemon.program = os.path.abspath(program)
        self.disk.recording = 1
        self.daemon.start()
        self.client = self.daemon.client(patience=60)
        try:
            for n in range(acts):
                self.act(n)
        finally:
            self.daemon.kill()
            self.client.close()
        with open(self.record, "rb") as f:
            self.operations = list(read(f.read()))

    def tell(self, *fact):
        self.facts.append((self.disk.number, fact))

    def act(self, n):
        rng, call = self.rng, self.client.call
        what = rng.choice(["submit", "submit", "map", "result", "result", "cancel", "release"])
        if self.failing and rng.random() < 0.02:
            shims.fail(self.disk, rng.choice([shims.SYNC, shims.SYNC, shims.WRITE]), 5, times=rng.choice([1, 1, 2, 5]))
        try:
            if what == "submit":
                self.known.append(call("submit", "cpu", "mark", [self.directory + "/ledger", "w%d" % n, 0, 0, rng.choice([10, 10, 9000]), 0]))
                self.tell("there", self.known[-1])
            elif what == "map":
                first, count = call("map", "cpu", "mark", [[self.directory + "/ledger", "m%d.%d" % (n, i), 0, 0, 10, 0] for i in range(rng.choice([3, 30]))])
                self.known += range(first, first + count)
                for future in range(first, first + count):
                    self.tell("there", future)
            elif what == "cancel":
                call("pause", "shell")
                future = call("submit", "shell", PROGRAM, [])
                if call("cancel", [future]) == [True]:
                    self.tell("over", future, "CANCELLED")
                call("resume", "shell")
            elif what == "result" and self.known:
                future = rng.choice(self.known)
                try:
                    call("result", future)
                except rpc.RpcError as error:
                    if error.type != "WorkerLostError":
                        raise
                self.over.add(future)
                self.tell("over", future, "FINISHED")
            elif what == "release" and self.over:
                future = rng.choice(sorted(self.over))
                self.over.remove(future)
                self.known.remove(future)
                self.tell("going", future)
                call("release", [future])
                self.tell("gone", future)
        except rpc.RpcError as error:
            if error.type != "StoreError":
                raise

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def read(data):
    """(kind, file, offset, bytes) of a record."""
    at = 0
    while at < len(data):
        kind, file, offset, length, number = struct.unpack_from("5q", data, at)
        at += 40
        content = b""
        if kind in (OPEN, WRITE, UNLINK):
            content = data[at:at + length]
            at += length
        yield number, kind, file, offset, content


# ---- disks ----

class File:
    """What is on the disk for sure, and what was written since, in order: (offset, bytes), or (size, None) for a truncation."""

    def __init__(self):
        self.safe, self.since = bytearray(), []

    @staticmethod
    def apply(content, change):
        offset, data = change
        if data is None:
            if offset < len(content):
                del content[offset:]
            else:
                content.extend(bytes(offset - len(content)))
            return
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset:offset + len(data)] = data

    def sync(self):
        for change in self.since:
            self.apply(self.safe, change)
        self.since = []

    def sync_failed(self, rng):
        """Each change is on the disk, or lost for ever."""
        for change in self.since:
            if rng.random() < 0.5:
                self.apply(self.safe, change)
        self.since = []

    def after_cut(self, rng, how):
        content = bytearray(self.safe)
        if how == "nothing":
            return content
        for change in self.since:
            if how == "everything":
                self.apply(content, change)
            elif how == "some":
                if rng.random() < 0.5:
                    self.apply(content, change)
            elif change[1] is None:
                if rng.random() < 0.5:
                    self.apply(content, change)
            else:   # sectors
                offset, data = change
                at = 0
                while at < len(data):
                    end = min(len(data), ((offset + at) // SECTOR + 1) * SECTOR - offset)
                    if rng.random() < 0.7:
                        self.apply(content, (offset + at, data[at:end]))
                    at = end
        return content


def paths(recording):
    """file number -> "" or "-wal"; other files are not looked at."""
    found = {}
    for _, kind, file, _, content in recording.operations:
        if kind == OPEN:
            suffix = content.decode()[len(recording.path):]
            if suffix in ("", "-wal"):
                found[file] = suffix
    return found


def disks(recording, rng, count):
    """Yields (number, {suffix: content}) for `count` cuts, spread over all moments from the first commit on."""
    names = paths(recording)
    files = {"": File(), "-wal": File()}
    operations = [op for op in recording.operations if op[1] == UNLINK or op[2] in names]
    first = next((number for number, _ in recording.facts), 0)
    moments = [i for i, op in enumerate(operations) if op[0] >= first]
    each = max(1, -(-count // max(len(moments), 1)))
    for number, kind, file, offset, content in operations:
        if kind == UNLINK:
            continue
        f = files[names[file]]
        if kind == WRITE:
            f.since.append((offset, content))
        elif kind == TRUNCATE:
            f.since.append((offset, None))
        elif kind == SYNC:
            f.sync()
        elif kind == SYNC_FAILED:
            f.sync_failed(rng)
        if number < first:
            continue
        for _ in range(each):
            how = rng.choice(["nothing", "everything", "some", "sectors", "sectors"])
            yield number, how, {suffix: f.after_cut(rng, how) for suffix, f in files.items()}


# ---- judging ----

class Lost(AssertionError):
    pass


def expected(recording):
    """Yields, for rising numbers, what must hold: call with a number to move on."""
    facts = sorted(recording.facts, key=lambda f: f[0])
    state = {"there": set(), "over": {}, "gone": set(), "going": set()}
    at = 0
    number = yield state
    while True:
        while at < len(facts) and facts[at][0] <= number:
            kind, future = facts[at][1][:2]
            if kind == "over":
                state["over"][future] = facts[at][1][2]
            else:
                state[kind].add(future)
            at += 1
        number = yield state


def judge(directory, content, state, going):
    path = os.path.join(directory, "cut.db")
    for suffix, data in content.items():
        with open(path + suffix, "wb") as f:
            f.write(data)
    db = sqlite3.connect(path)
    try:
        broken = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if broken != "ok":
            raise Lost("corrupt: " + broken)
        rows = dict(db.execute("SELECT t.id, coalesce(r.state, 'PENDING') || CASE WHEN t.let_go THEN '!' ELSE '' END "
                               "FROM tasks t LEFT JOIN results r ON r.id = t.id"))
    except sqlite3.DatabaseError as error:
        raise Lost("not to be read: %s" % error) from None
    finally:
        db.close()
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.unlink(path + suffix)
    for future in state["there"] - going - set(rows):
        raise Lost("future %d was acknowledged, and is not there" % future)
    for future, wanted in state["over"].items():
        if future not in going and rows.get(future, "").rstrip("!") != wanted:
            raise Lost("future %d was %s, and is %s" % (future, wanted, rows.get(future)))
    for future in state["gone"] & set(rows):
        if not rows[future].endswith("!"):
            raise Lost("future %d was released, and is %s" % (future, rows[future]))


def start_on(recording, content, state, going):
    """A real daemon on that disk has all of it, too."""
    directory = tempfile.mkdtemp(prefix="futured-power-")
    path = os.path.join(directory, "store.db")
    for suffix, data in content.items():
        with open(path + suffix, "wb") as f:
            f.write(data)
        os.chmod(path + suffix, 0o600)
    daemon = conftest.Daemon({**recording.daemon.config, "listen": ["unix:" + directory + "/futured.sock"], "state_dir": directory + "/state",
                              "store": "sqlite:" + path}, directory=directory)
    daemon.start()
    try:
        with daemon.client(patience=60) as client:
            there = state["there"] - going
            if there:
                client.call("wait", sorted(there), "ALL_COMPLETED", 30)
            for future, wanted in state["over"].items():
                if future not in going and client.call("state", [future]) != [wanted]:
                    raise Lost("the next daemon says that %d is %s" % (future, client.call("state", [future])))
            for future in state["gone"]:
                try:
                    raise Lost("%d was released, and the next daemon says %s" % (future, client.call("state", [future])))
                except rpc.RpcError:
                    pass
    except rpc.RpcError as error:
        raise Lost("the next daemon: %s" % error) from None
    finally:
        daemon.stop()
        daemon.remove()


def check(cuts, seed, sync="full", program="build-faults/bin/futured", acts=300, failing=False, starts=400, say=print):
    """None, or what was lost. `starts`: every so many-th disk is given to a daemon."""
    rng = random.Random(seed)
    recording = Recording(rng, sync, program, acts, failing)
    place = tempfile.mkdtemp(prefix="futured-cut-", dir="/dev/shm")
    done, kinds = 0, {}
    try:
        facts = expected(recording)
        next(facts)
        all_going = sorted((n, fact[1]) for n, fact in recording.facts if fact[0] == "going")
        for number, how, content in disks(recording, rng, cuts):
            state = facts.send(number)
            # A release that had been asked for by then may be on the disk: asked for is a moment before its number.
            going = {future for n, future in all_going if n <= number + 1}
            done += 1
            kinds[how] = kinds.get(how, 0) + 1
            try:
                judge(place, content, state, going)
                if starts and done % starts == 0:
                    start_on(recording, content, state, going)
            except Lost as error:
                say("seed %s, sync %s: cut %d, at operation %d, %s: %s" % (seed, sync, done, number, how, error))
                return str(error)
        say("seed %s, sync %s%s: %d operations, %d facts; %d cuts, nothing lost: %s" % (
            seed, sync, ", failing" if failing else "", len(recording.operations), len(recording.facts), done, kinds))
        return None
    finally:
        recording.remove()
        shutil.rmtree(place)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cuts", type=int, nargs="?", default=5000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--sync", default="full")
    parser.add_argument("--acts", type=int, default=300)
    parser.add_argument("--failing", action="store_true", help="writes and syncs fail now and then")
    parser.add_argument("--program", default="build-faults/bin/futured")
    a = parser.parse_args()
    sys.exit(1 if check(a.cuts, a.seed, a.sync, a.program, a.acts, a.failing) else 0)


if __name__ == "__main__":
    main()
