"""The load: clients that do everything at once, and tell the account what they hear. A connection that ends is made anew; what was not answered
by then may have been done or not, and the account is told so."""
import os
import random
import threading
import time

import account
import rpc
from helpers import BUILD

PROGRAM = os.path.join(BUILD, "tests", "programs", "mark")
ENOUGH = 400       # unfinished futures: then none are added
PATIENCE = 60.0


class Load(threading.Thread):
    """One client, in a thread of its own, with its own share of chance."""

    def __init__(self, name, address, book, seed, stop, durable=True):
        super().__init__(name=name, daemon=True)
        self.address, self.book, self.stop, self.durable = address, book, stop, durable
        self.rng = random.Random("%s/%s" % (seed, name))
        self.words = 0
        self.unanswered = []     # tasks with a key whose submit was not answered: to be submitted again
        self.client = None
        self.idle = threading.Event()   # it has no connection, and makes none: see hold
        self.held = threading.Event()
        self.failure = None

    # ---- the tasks ----

    def word(self):
        self.words += 1
        return "%s.%d" % (self.name, self.words)

    def task(self, pool=None, **more):
        rng = self.rng
        pool = pool or rng.choice(["shell", "shell", "cpu", "cpu", "io"])
        retries = rng.choice([0, 0, 0, 1, 3])
        size = rng.choice([10, 10, 100, 100, 5000, rng.choice([100000, 300000]) if rng.random() < 0.1 else 10])
        return account.Task(self.word(), pool, retries, rng.choice([0, 0, 0, 1, 2, 2, 3]), size, **more)

    def request(self, task, extra=None):
        """fn, args and options of a submit."""
        rng = self.rng
        sleep = rng.choice([0, 0, 1000, 10000, 50000])
        stray = 1 if task.pool == "shell" and rng.random() < 0.2 else 0
        args = [self.book.ledger_path, task.word, sleep, task.fail_until, task.size, stray]
        options = {"retries": task.retries, **(extra or {})}
        if rng.random() < 0.3:
            options["priority"] = rng.randint(-5, 5)
        if rng.random() < 0.1:
            options["delay"] = rng.choice([0.01, 0.2, 1])
        if task.retries and rng.random() < 0.3:
            options["retry_delay"] = 0.05
        if task.after:
            options["after"] = task.after
        if task.bound:
            options["bound"] = True
        if task.key:
            options["key"] = task.key
        if task.pool == "shell":
            return PROGRAM, [str(a) for a in args], options
        return "mark", args, options

    # ---- what a client does ----

    def submit_some(self):
        """Several submits in one write. Those that were answered before the connection ended were accepted."""
        tasks, sent = self.unanswered, []
        self.unanswered = []
        for _ in range(self.rng.randint(1, 8)):
            task = self.task()
            if self.rng.random() < 0.15:
                task.key = "key." + task.word
            elif self.rng.random() < 0.1 and self.durable:
                task.bound = True
            elif self.rng.random() < 0.25:
                task.after = [t.id for t in self.book.pick(self.rng, 2, lambda t: not t.bound and t.outcome is None)]
            tasks.append(task)
        for task in tasks:
            fn, args, options = self.request(task)
            floor = self.book.submitting(task)
            try:
                sent.append((task, floor, self.client.request("submit", task.pool, fn, args, options)))
            except (rpc.Closed, OSError):
                sent.append((task, floor, None))
        ended = None
        for task, floor, msgid in sent:
            try:
                if msgid is None:
                    raise rpc.Closed("before it was sent")
                self.book.acknowledged(task, self.client.answer(msgid), floor)
            except (rpc.Closed, OSError) as error:
                ended = error
                if task.key:
                    self.unanswered.append(task)
            except rpc.RpcError as error:
                self.refused(error, task)
        if ended:
            raise ended

    def refused(self, error, task):
        """A submit may be refused because what it waits for was released meanwhile, or because there is no room."""
        if error.type == "ExpiredFutureError" and task.after:
            return
        if error.type in ("QueueFullError", "StoreError"):
            self.book.count(error.type)
            return
        self.book.complain("submit of %s was refused: %s", task.word, error)

    def map_some(self):
        pool = self.rng.choice(["cpu", "io"])
        shared = self.task(pool)
        tasks = [account.Task(self.word(), pool, shared.retries, shared.fail_until, 10) for _ in range(self.rng.choice([1, 10, 100, 100]))]
        floors = [self.book.submitting(task) for task in tasks]
        args = [[self.book.ledger_path, t.word, 0, t.fail_until, t.size, 0] for t in tasks]
        try:
            first, count = self.client.call("map", pool, "mark", args, {"retries": shared.retries})
        except rpc.RpcError as error:
            return self.refused(error, shared)
        if count != len(tasks):
            self.book.complain("map of %d gave %d", len(tasks), count)
        for n, task in enumerate(tasks):
            self.book.acknowledged(task, first + n, floors[n])

    def cancel_some(self):
        mode = self.rng.choice(["no", "no", "kill"])
        tasks = self.book.pick(self.rng, 3, lambda t: t.outcome is None and (mode == "no" or t.pool != "io"))
        if not tasks:
            return
        for task in tasks:
            self.book.cancelling(task)
        try:
            answers = self.client.call("cancel", [t.id for t in tasks], {"running": mode, "grace": 0.05})
        except rpc.RpcError as error:
            return self.lost(error, tasks)
        for task, yes in zip(tasks, answers):
            self.book.cancel_answered(task, mode, yes)

    def lost(self, error, tasks):
        """A call that names futures failed: legal only where one was being released, or was bound to a connection of a life before."""
        if error.type == "ExpiredFutureError" and any(t.releasing or t.bound for t in tasks):
            return
        self.book.complain("%s, asking for %s", error, [(t.id, t.word) for t in tasks])

    def look_at_some(self):
        tasks = self.book.pick(self.rng, 5, lambda t: True)
        asked = [(t, self.client.request("result", t.id, self.rng.choice([0, 0, 0.05]))) for t in tasks]
        for task, msgid in asked:
            try:
                self.book.heard(task, None, self.client.answer(msgid))
            except rpc.RpcError as error:
                self.book.heard(task, error.error, None)

    def ask_states(self):
        tasks = self.book.pick(self.rng, 20, lambda t: True)
        if not tasks:
            return
        try:
            over = [t.outcome is not None for t in tasks]
            for task, state, was_over in zip(tasks, self.client.call("state", [t.id for t in tasks]), over):
                self.book.heard_state(task, state, was_over)
        except rpc.RpcError as error:
            self.lost(error, tasks)

    def wait_for_some(self):
        tasks = self.book.pick(self.rng, 20, lambda t: t.outcome is None)
        try:
            answer = self.client.call("wait", [t.id for t in tasks], self.rng.choice(["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"]), 0.2)
        except rpc.RpcError as error:
            return self.lost(error, tasks)
        if set(answer["done"]) | set(answer["not_done"]) != {t.id for t in tasks}:
            self.book.complain("wait for %s answered %r", [t.id for t in tasks], answer)

    def watch_some(self):
        tasks = {t.id: t for t in self.book.pick(self.rng, 5, lambda t: t.outcome is None)}
        try:
            self.client.call("watch", list(tasks), {"result": True})
        except rpc.RpcError as error:
            return self.lost(error, list(tasks.values()))

    def take_notes(self):
        """What watches have told."""
        while self.client.notes:
            _, (future, state, error, result) = self.client.notes.popleft()
            task = self.book.tasks.get(future)
            if task is None:
                continue
            if state == "CANCELLED" and error is None:
                self.book.complain("done of %d: CANCELLED without an error", future)
            self.book.heard(task, error, result)

    def release_some(self):
        tasks = self.book.pick(self.rng, 30, lambda t: t.outcome is not None)
        for task in tasks:
            task.releasing = True
        self.client.call("release", [t.id for t in tasks])
        self.book.release_answered(tasks)

    def retry_some(self):
        tasks = self.book.pick(self.rng, 1, lambda t: t.outcome is not None and not t.bound and not t.key and not t.after)
        for task in tasks:
            again = task.again()
            self.book.words[task.word].copies = task.copies = again.copies = True
            floor = self.book.submitting(again)
            try:
                self.book.acknowledged(again, self.client.call("retry", [task.id])[0], floor)
            except rpc.RpcError as error:
                self.lost(error, [task])

    ACTS = [(submit_some, 8), (map_some, 2), (cancel_some, 3), (look_at_some, 6), (ask_states, 3), (wait_for_some, 3), (watch_some, 2),
            (release_some, 2), (retry_some, 1)]
    QUIET = [(look_at_some, 6), (ask_states, 2), (wait_for_some, 4), (release_some, 2), (cancel_some, 1)]

    def act(self):
        acts = self.ACTS if len(self.book.unfinished()) < ENOUGH else self.QUIET
        act = self.rng.choices([a for a, _ in acts], [w for _, w in acts])[0]
        act(self)
        self.take_notes()

    # ---- connections ----

    def connect(self):
        while not self.stop.is_set():
            if self.held.is_set():
                self.idle.set()
                time.sleep(0.002)
                continue
            try:
                self.idle.clear()
                return rpc.Client(self.address, patience=PATIENCE)
            except OSError:
                time.sleep(0.005)
        return None

    def run(self):
        while not self.stop.is_set():
            self.client = self.connect()
            if self.client is None:
                break
            try:
                while not self.stop.is_set() and not self.held.is_set():
                    self.act()
            except (rpc.Closed, OSError):
                pass
            except AssertionError as error:   # a Hang, or an answer that breaks the protocol
                self.book.complain("%s: %s", self.name, error)
            except Exception as error:        # this program's own mistake must not look like silence
                self.failure = error
                self.book.complain("%s: the load itself failed: %r", self.name, error)
                raise
            finally:
                self.client.close()
        self.idle.set()
