#!/usr/bin/python3
"""Random histories, said to a real daemon and to the model (model.py), which must agree on every answer, on what ran, how often and in which order.
A history that fails is shrunk to the commands that matter, and printed.

    tests/soak/histories.py 200 --store memory --seed 7
    tests/soak/histories.py 200                            with the durable store: the daemon is killed in between"""
import argparse
import os
import random
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True

import conftest   # noqa: E402
import helpers    # noqa: E402
import rpc        # noqa: E402
from model import POOLS, Model, Refused   # noqa: E402

PROGRAM = os.path.join(helpers.BUILD, "tests", "programs", "mark")
PATIENCE = 20


class Differs(AssertionError):
    pass


# ---- histories: lists of commands; futures are named by the command that made them, and which of its futures ----

def random_history(rng, length, durable):
    """Commands (name, parameters); a name of a future is (number of the command that made it, index)."""
    history, made = [], []

    def some(most):
        return [rng.choice(made) for _ in range(rng.randint(0 if most > 1 else 1, most))] if made else []

    def options():
        found = {}
        if rng.random() < 0.5:
            found["priority"] = rng.choice([-3, 0, 5])
        if rng.random() < 0.4:
            found["retries"] = rng.randint(1, 2)
        if rng.random() < 0.4:
            found["fail_until"] = rng.randint(1, 4)
        if rng.random() < 0.3:
            found["after"] = some(2)
        return found

    for n in range(length):
        name = rng.choices(["submit", "map", "cancel", "release", "retry", "result", "state", "wait", "failures", "list", "run", "kill"],
                           [12, 3, 4, 4, 2, 5, 3, 3, 1, 2, 4, 2 if durable else 0])[0]
        if name == "submit":
            o = options()
            if rng.random() < 0.2:
                o["key"] = "k%d" % rng.randint(0, 3)
            history.append((n, name, (rng.choice(POOLS), o)))
            made.append((n, 0))
        elif name == "map":
            count = rng.randint(1, 5)
            history.append((n, name, (rng.choice(POOLS), count, options())))
            made += [(n, i) for i in range(count)]
        elif name == "retry":
            history.append((n, name, (some(1),)))
            made.append((n, 0))
        elif name in ("cancel", "release", "state", "wait"):
            history.append((n, name, (some(4),)))
        elif name == "result":
            history.append((n, name, (some(1),)))
        elif name == "list":
            history.append((n, name, (rng.choice([None, "PENDING", "CANCELLED", "FINISHED"]),)))
        else:
            history.append((n, name, ()))
    return history


# ---- saying one ----

class Stage:
    """A daemon for many histories, one after the other."""

    def __init__(self, store="memory", program=None, env=None):
        self.directory = tempfile.mkdtemp(prefix="futured-histories-")
        pools = {"shell": {"kind": "command", "workers": 1},
                 "cpu": {"kind": "process", "workers": 1, "modules": [os.path.join(helpers.BUILD, "modules", "soak.so")]}}
        self.durable = store != "memory"
        self.daemon = conftest.Daemon({"store": "memory" if not self.durable else "sqlite:" + self.directory + "/futured.db",
                                       **({"sync": "off"} if self.durable else {}), "stop_timeout": "100ms", "pools": pools},
                                      directory=self.directory, env=env)
        if program:
            self.daemon.program = os.path.abspath(program)
        self.histories = 0
        self.daemon.start()
        self.client = self.daemon.client(patience=PATIENCE)

    def close(self):
        wrong = self.daemon.finish()
        self.daemon.remove()
        return wrong

    def restart(self):
        self.daemon.kill()
        self.client.close()
        self.daemon.start()
        self.daemon.expected_status = 0
        self.client = self.daemon.client(patience=PATIENCE)


class Telling:
    """One history being said."""

    def __init__(self, stage):
        self.stage, self.number = stage, stage.histories
        stage.histories += 1
        self.ledger = os.path.join(stage.directory, "ledger.%d" % self.number)
        self.made = {}       # (command, index) -> id
        self.top = self.call("map", "shell", "true", [])[0]
        self.model = Model(self.top)
        self.pause()

    def call(self, *params):
        return self.stage.client.call(*params)

    def pause(self):
        for pool in POOLS:
            self.call("pause", pool)

    def same(self, what, theirs, ours):
        if theirs != ours:
            raise Differs("%s: the daemon says %r, the model %r" % (what, theirs, ours))

    def try_both(self, what, say, think):
        """Both sides' answers, or both sides' refusals; returns the answer."""
        try:
            ours, refusal = think(), None
        except Refused as error:
            ours, refusal = None, str(error)
        try:
            theirs, refused = say(), None
        except rpc.RpcError as error:
            theirs, refused = None, error.type
        self.same(what, (refused, theirs), (refusal, ours))
        return theirs

    def ids(self, names):
        return [self.made[name] for name in names if name in self.made]

    def request(self, pool, word, options):
        args = [self.ledger, word, 0, options.get("fail_until", 0), len(word), 0]
        return args if pool == "cpu" else [str(a) for a in args]

    def options(self, options):
        found = {k: v for k, v in options.items() if k in ("priority", "retries", "after")}
        if "key" in options:
            found["key"] = "%d.%s" % (self.number, options["key"])
        return found

    def say(self, command):
        n, name, params = command
        what = "%d: %s %r" % (n, name, params)
        fn = {"shell": PROGRAM, "cpu": "mark"}
        if name in ("submit", "map"):
            pool, options = params[0], {**params[-1], "after": self.ids(params[-1].get("after", []))}
            words = ["%d.%d.%d" % (self.number, n, i) for i in range(params[1] if name == "map" else 1)]
            args = [self.request(pool, word, options) for word in words]
            if name == "submit":
                first = self.try_both(what, lambda: self.call("submit", pool, fn[pool], args[0], self.options(options)),
                                      lambda: self.model.submit(pool, words[0], options))
                run = [first, 1] if first else [0, 0]
            else:
                run = self.try_both(what, lambda: self.call("map", pool, fn[pool], args, self.options(options)),
                                    lambda: self.model.map(pool, words, options)) or [0, 0]
            self.made.update({(n, i): run[0] + i for i in range(run[1])})
        elif name == "retry":
            found = self.try_both(what, lambda: self.call("retry", self.ids(params[0])), lambda: self.model.retry(self.ids(params[0])))
            if found:
                self.made[n, 0] = found[0]
        elif name in ("cancel", "release"):
            ids = list(dict.fromkeys(self.ids(params[0])))   # one that was let go is gone when it is named again
            self.settle(what)
            self.try_both(what, lambda: self.call(name, ids), lambda: getattr(self.model, name)(ids))
        elif name == "state":
            self.settle(what)
            self.try_both(what, lambda: self.call("state", self.ids(params[0])), lambda: self.model.state(self.ids(params[0])))
        elif name == "wait":
            self.settle(what)
            self.try_both(what, lambda: self.call("wait", self.ids(params[0]), "ALL_COMPLETED", 0), lambda: self.model.wait(self.ids(params[0])))
        elif name == "result":
            for future in self.ids(params[0]):
                self.settle(what)
                self.result(what, future)
        elif name == "failures":
            self.settle(what)
            self.same(what, [f["id"] for f in self.call("failures") if f["id"] >= self.top], self.model.failures())
        elif name == "list":
            self.settle(what)
            filters = {"state": params[0]} if params[0] else {}
            self.same(what, [f["id"] for f in self.call("list", {**filters, "after": self.top - 1})], self.model.list(params[0]))
        elif name == "run":
            self.run(what)
        elif name == "kill":
            self.settle(what)
            self.stage.restart()
            following = self.call("map", "shell", "true", [])[0]
            if following < self.model.next_id:
                raise Differs("%s: ids begin at %d again, %d was next" % (what, following, self.model.next_id))
            self.model.restart(following)
            self.run(what)

    def result(self, what, future):
        def say():
            try:
                value = self.call("result", future, 0)
                value = value["stdout"].decode() if isinstance(value, dict) else value
                self.same(what + ", its value", value, self.model.futures[future].word)
                return None
            except rpc.RpcError as error:
                if error.type in ("ExpiredFutureError", "UnknownFutureError"):
                    raise
                return error.type
        self.try_both(what, say, lambda: self.model.result(future))

    def settle(self, what):
        """What a cancel or a failure has set off takes the daemon some turns."""
        alive = [f for f in self.model.alive() if f.final]
        until = time.monotonic() + PATIENCE
        while alive:
            try:
                states = self.call("state", [f.id for f in alive])
            except rpc.RpcError as error:
                raise Differs("%s: %s" % (what, error)) from None
            if states == [f.state for f in alive]:
                break
            if time.monotonic() > until:
                self.same(what + ", settled", states, [f.state for f in alive])

    def run(self, what):
        orders = self.model.run()
        for pool in POOLS:
            self.call("resume", pool)
        self.settle(what)
        helpers.eventually(lambda: all(p["busy"] == p["pending"] == 0 for p in self.call("pools") if p["name"] in POOLS), 10, what + ": all is quiet")
        self.pause()
        ran = []
        if os.path.exists(self.ledger):
            with open(self.ledger) as f:
                ran = [(int(l[1]), int(l[2])) for l in map(str.split, f) if l[0] == "B"]
        self.same(what + ", what ran", sorted(ran), sorted(self.model.ran))
        for pool, ids in orders.items():
            wanted = set(ids)
            self.same(what + ", the order in " + pool, [i for i, attempt in ran if attempt == 1 and i in wanted], ids)

    def end(self):
        """All runs, all is as the model says; then all is released."""
        self.run("the end")
        alive = self.model.list(None)
        self.same("the end, list", [f["id"] for f in self.call("list", {"after": self.top - 1})], alive)
        for future in alive:
            self.result("the end, result of %d" % future, future)
        self.same("the end, counts", self.call("stats")["futures"], self.model.counts())
        self.same("the end, release", self.call("release", alive), len(alive))

    def tell(self, history):
        for command in history:
            self.say(command)
        self.end()


def fails(history, **keys):
    """What is wrong when a daemon of its own is told this; None: nothing."""
    stage = Stage(**keys)
    try:
        Telling(stage).tell(history)
        return None
    except (Differs, rpc.Hang, rpc.Closed, rpc.RpcError, OSError) as error:
        stage.daemon.must_end_well = False
        return error
    finally:
        stage.close()


def shrunk(history, budget=120, **keys):
    """The shortest history found, by leaving out ever smaller parts, that still fails."""
    size, tries = max(len(history) // 2, 1), 0
    while size >= 1 and tries < budget:
        at, shorter = 0, False
        while at < len(history) and tries < budget:
            tries += 1
            less = history[:at] + history[at + size:]
            if fails(less, **keys):
                history, shorter = less, True
            else:
                at += size
        size = size // 2 if not shorter or size > 1 else (1 if shorter else 0)
    return history


def check(count, seed, length=50, say=print, **keys):
    """Tells so many; None, or the shrunk history that fails and why."""
    stage = Stage(**keys)
    coverage = {}
    try:
        for n in range(count):
            history = random_history(random.Random("%s/%d" % (seed, n)), length, stage.durable)
            try:
                Telling(stage).tell(history)
            except (Differs, rpc.Hang, rpc.Closed, rpc.RpcError, OSError) as error:
                say("seed %s, history %d: %s" % (seed, n, error))
                stage.daemon.must_end_well = False
                short = shrunk(history, **keys)
                again = fails(short, **keys)
                say("shrunk to %d commands: %s" % (len(short), again))
                for command in short:
                    say("    %d: %s %r" % command)
                return short
            for _, name, _ in history:
                coverage[name] = coverage.get(name, 0) + 1
    finally:
        stage.close()
    say("seed %s: %d histories agree: %s" % (seed, count, coverage))
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--store", default="sqlite")
    parser.add_argument("--program")
    parser.add_argument("--fault")
    a = parser.parse_args()
    seed = a.seed if a.seed is not None else int.from_bytes(os.urandom(3), "big")
    env = {"FUTURED_FAULT": a.fault} if a.fault else None
    sys.exit(1 if check(a.count, seed, a.length, store=a.store, program=a.program, env=env) else 0)


if __name__ == "__main__":
    main()
