#!/usr/bin/python3
"""The soak: clients at work on a daemon that is killed again and again, and an independent checker of what it promises.

    scripts/soak 20                                        so many kills, with the durable store
    scripts/soak 200 --seed 7                              the same chance again
    scripts/soak 50 --store memory                         hosts and tasks die, the daemon does not
    scripts/soak 5 --program build-faults/bin/futured --fault run_twice       it must find this

Each life of the daemon: the loads (load.py) work, the killer strikes (killer.py), the daemon is started again, the checker looks while the loads
are held (checker.py), and on it goes. The end: everything finishes, agrees with the account and the ledger (account.py), and no process is left."""
import argparse
import os
import random
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True

import conftest   # noqa: E402  (the tests' own way to start a daemon)
import helpers    # noqa: E402
import rpc        # noqa: E402
from account import Account   # noqa: E402
from checker import Checker   # noqa: E402
from killer import Killer     # noqa: E402
from load import Load         # noqa: E402


def configuration(store, directory, **more):
    native = {"modules": [os.path.join(helpers.BUILD, "modules", "soak.so")], "workers": 2}
    stored = {} if store == "memory" else {"sync": store.partition("+")[2] or "full"}
    return {
        "store": "memory" if store == "memory" else "sqlite:" + os.path.join(directory, "futured.db"),
        **stored,
        "stop_timeout": "100ms",
        "pools": {
            "shell": {"kind": "command", "workers": 3, "grace": "100ms"},
            "cpu": {"kind": "process", "runtime": "native", **native},
            "io": {"kind": "thread", "runtime": "native", **native},
        },
        **more,
    }


class Soak:
    """Keys: store ("sqlite", "sqlite+normal", "memory"), seed, loads, program, env."""

    def __init__(self, store="sqlite", seed=None, loads=4, program=None, env=None, say=print, config=None, mean=0.6):
        self.seed = seed if seed is not None else int.from_bytes(os.urandom(3), "big")
        self.rng = random.Random(self.seed)
        self.mean = mean          # seconds of work between two kills
        self.say = say
        self.durable = store != "memory"
        self.directory = tempfile.mkdtemp(prefix="futured-soak-")
        self.book = Account(os.path.join(self.directory, "ledger"))
        self.daemon = conftest.Daemon(configuration(store, self.directory, **(config or {})), directory=self.directory, env=env)
        if program:
            self.daemon.program = os.path.abspath(program)
        self.stop = threading.Event()
        self.loads = [Load("c%d" % n, self.daemon.address, self.book, self.seed, self.stop, self.durable) for n in range(loads)]
        self.killer = Killer(self.rng, self.daemon, self.book, daemons=self.durable)
        self.checker = Checker(self.daemon, self.book)
        self.slowest_start = 0.0

    def start(self):
        """A life begins."""
        began = time.monotonic()
        self.book.note_life()
        self.daemon.spawn()

        def is_up():
            if self.daemon.process.poll() is not None:
                raise AssertionError("futured ended with %s at start:\n%s" % (self.daemon.process.returncode, self.daemon.log()[-3000:]))
            try:
                rpc.open_socket(self.daemon.address).close()
                return True
            except OSError:
                return False
        helpers.eventually(is_up, 60, "futured listens")
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    def hold_loads(self):
        for load in self.loads:
            load.held.set()
        for load in self.loads:
            if not load.idle.wait(90):
                self.book.complain("%s hangs: it neither ended nor was refused", load.name)

    def one_kill(self):
        time.sleep(min(self.rng.expovariate(1 / self.mean), 4 * self.mean))
        if self.daemon.process.poll() is not None:
            self.book.complain("the daemon ended by itself with %s", self.daemon.process.returncode)
            what = "itself"
        else:
            what = self.killer.strike()
        if what in ("daemon", "all", "itself"):
            self.daemon.process.wait(10)
            self.hold_loads()
            self.start()
            self.checker.after_start()
            for load in self.loads:
                load.idle.clear()
                load.held.clear()
        return what

    def finish(self):
        """Everything ends; returns what was wrong."""
        self.hold_loads()
        self.stop.set()
        for load in self.loads:
            if load.is_alive():
                load.join(10)
        self.checker.settle(120)
        status = self.daemon.stop(30)
        if status != 0:
            self.book.complain("the daemon ended with %s", status)
        try:
            helpers.eventually(lambda: not self.left(), 3)
        except rpc.Hang:
            self.book.complain("left behind: %s", self.left())
        return self.book.wrong

    def left(self):
        from checker import of_this, what_is
        return [(pid, what_is(pid)) for pid in of_this(self.directory) - {os.getpid()}]

    def run(self, kills):
        """Kills so many times; returns what was wrong."""
        began = time.monotonic()
        self.start()
        for load in self.loads:
            load.start()
        for n in range(1, kills + 1):
            try:
                what = self.one_kill()
            except (AssertionError, rpc.Hang, rpc.Closed) as error:
                self.book.complain("after kill %d: %s", n, error)
                break
            self.book.read_ledger()
            self.say("kill %3d: %-6s  acknowledged %6d, outcomes heard %6d, marks %6d, wrong %d" % (
                n, what, self.book.counts.get("acknowledged", 0), self.book.counts.get("outcomes", 0), self.book.lines, len(self.book.wrong)))
            if self.book.wrong:
                break
        try:
            wrong = self.finish()
        except (AssertionError, rpc.Hang, rpc.Closed, OSError, rpc.RpcError) as error:
            self.book.complain("at the end: %r", error)
            wrong = self.book.wrong
        finally:
            self.stop.set()
            self.end_hard()
        self.say("seed %d: %s; %d acknowledged, %d outcomes, %d marks; slowest start %.2f s; %.0f s: %s" % (
            self.seed, self.killer.counts, self.book.counts.get("acknowledged", 0), self.book.counts.get("outcomes", 0), self.book.lines,
            self.slowest_start, time.monotonic() - began, "%d wrong" % len(wrong) if wrong else "clean"))
        return wrong

    def end_hard(self):
        from checker import of_this
        if self.daemon.process and self.daemon.process.poll() is None:
            self.daemon.process.kill()
            self.daemon.process.wait()
            time.sleep(0.2)
        for pid in of_this(self.directory) - {os.getpid()}:
            os.kill(pid, 9)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--store", default="sqlite", help="sqlite, sqlite+normal, sqlite+off or memory")
    parser.add_argument("--program", help="another futured")
    parser.add_argument("--fault", help="of a program built with FAULTS=1")
    parser.add_argument("--mean", type=float, default=0.6, help="seconds of work between two kills")
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    a = parser.parse_args()
    soak = Soak(a.store, a.seed, program=a.program, env={"FUTURED_FAULT": a.fault} if a.fault else None, mean=a.mean)
    print("seed %d, in %s" % (soak.seed, soak.directory), flush=True)
    wrong = soak.run(a.kills)
    for text in wrong:
        print("WRONG: " + text)
    if not (wrong or a.keep):
        soak.daemon.remove()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
