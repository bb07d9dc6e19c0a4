#!/usr/bin/python3
"""Cancel, finish and timeout at the same moment, thousands of times: each future has one end, which all who ask agree on, and a task that was
reported cancelled before it began has left no mark.

    tests/soak/races.py 5000 --seed 7 [--store memory] [--program build-faults/bin/futured --fault cancel_too_late]"""
import argparse
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True

import helpers    # noqa: E402
import rpc        # noqa: E402
from account import Task   # noqa: E402
from load import PROGRAM   # noqa: E402
from soak import Soak      # noqa: E402


class Races:
    def __init__(self, seed, store="memory", program=None, env=None):
        self.rng = random.Random(seed)
        self.soak = Soak(store, seed, loads=0, program=program, env=env)
        self.book = self.soak.book
        self.ends = {}           # id -> how often `done` came
        self.words = 0

    def round(self, client, count):
        """A crowd of tasks of about a millisecond, cancelled and timing out at about the time they end."""
        rng, tasks = self.rng, []
        pool = rng.choice(["cpu", "cpu", "io", "shell"])
        count = count if pool != "shell" else max(count // 10, 5)
        timeout = rng.choice([None, None, 0.001, 0.003]) if pool != "io" else None
        retries = rng.choice([0, 0, 1])
        for _ in range(count):
            self.words += 1
            task = Task("r%d" % self.words, pool, retries, timeout=timeout, size=10)
            tasks.append((task, self.book.submitting(task)))
        sleep = rng.choice([0, 300, 1000, 2000])
        options = {"retries": retries, "watch": True, **({"timeout": timeout} if timeout else {})}
        args = [[self.book.ledger_path, t.word, sleep, 0, t.size, 0] for t, _ in tasks]
        if pool == "shell":
            args = [[str(a) for a in some] for some in args]
        first, _ = client.call("map", pool, PROGRAM if pool == "shell" else "mark", args, options)
        for n, (task, floor) in enumerate(tasks):
            self.book.acknowledged(task, first + n, floor)
        asked = []
        for task in rng.sample([t for t, _ in tasks], count // 2):
            mode = rng.choice(["no", "no", "kill"]) if pool != "io" else "no"
            self.book.cancelling(task)
            asked.append((task, mode, client.request("cancel", [task.id], {"running": mode, "grace": 0})))
            if rng.random() < 0.3:
                client.pump(0)
        promised = set()
        for task, mode, msgid in asked:
            yes = client.answer(msgid)[0]
            self.book.cancel_answered(task, mode, yes)
            if yes and mode == "no":
                promised.add(task)
        client.call("wait", [[first, count]], timeout=60)
        self.take_notes(client)
        self.compare(client, [t for t, _ in tasks], promised)
        client.call("release", [[first, count]])

    def take_notes(self, client):
        client.call("ping")
        while client.notes:
            _, (future, state, error, result) = client.notes.popleft()
            self.ends[future] = self.ends.get(future, 0) + 1
            self.book.heard(self.book.tasks[future], error, result)

    def compare(self, client, tasks, promised):
        self.book.read_ledger()
        for task, state in zip(tasks, client.call("state", [t.id for t in tasks])):
            self.book.heard_state(task, state)
            if self.ends.get(task.id) != 1:
                self.book.complain("future %d is %s, and done was told %d times", task.id, state, self.ends.get(task.id, 0))
            marks = self.book.marks.get(task.id)
            if task in promised and not task.retries and marks and marks.begun:
                self.book.complain("future %d was cancelled before it began, and began", task.id)
        self.soak.checker.outcomes(client, tasks)
        for task in tasks:
            self.book.check_marks(task)
        with self.book.lock:
            for task in tasks:
                del self.book.tasks[task.id]

    def run(self, total, say=print):
        """Races so many futures; returns what was wrong."""
        self.soak.say = say
        self.soak.start()
        done = 0
        try:
            with rpc.Client(self.soak.daemon.address, patience=60) as client:
                while done < total and not self.book.wrong:
                    self.round(client, 50)
                    done = len(self.ends)
            for pid in helpers.children(self.soak.daemon.pid):
                if not helpers.is_alive(pid):
                    helpers.eventually(lambda: pid not in helpers.children(self.soak.daemon.pid), 5, "zombie %d is reaped" % pid)
        except (AssertionError, rpc.Hang, rpc.Closed, rpc.RpcError) as error:
            self.book.complain("after %d: %r", done, error)
        finally:
            if self.soak.daemon.stop(30) != 0:
                self.book.complain("the daemon ended with %s", self.soak.daemon.process.returncode)
            self.soak.end_hard()
            if not self.book.wrong:
                self.soak.daemon.remove()
        say("seed %s: %d futures raced: %s" % (self.soak.seed, done, "%d wrong" % len(self.book.wrong) if self.book.wrong else "clean"))
        return self.book.wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=5000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--store", default="memory")
    parser.add_argument("--program")
    parser.add_argument("--fault")
    a = parser.parse_args()
    wrong = Races(a.seed, a.store, a.program, {"FUTURED_FAULT": a.fault} if a.fault else None).run(a.count)
    for text in wrong:
        print("WRONG: " + text)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
