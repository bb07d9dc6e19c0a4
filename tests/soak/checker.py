"""The checker: asks the daemon, after each of its starts and at the end, whether all is there that it acknowledged, and compares with the
account and the ledger."""
import os
import time

import helpers
import rpc
from load import PATIENCE


def of_this(directory):
    """Living processes that were started for the daemon in this directory, by what their environment says."""
    found, needle = set(), os.path.basename(directory).encode()
    for pid in helpers.all_processes():
        try:
            with open("/proc/%d/environ" % pid, "rb") as f:
                if needle in f.read():
                    found.add(pid)
        except OSError:
            pass
    return found


def what_is(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")[:100]
    except OSError:
        return "gone"


class Checker:
    def __init__(self, daemon, book):
        self.daemon, self.book = daemon, book

    def client(self):
        return rpc.Client(self.daemon.address, patience=PATIENCE)

    def no_strays(self, when):
        found = of_this(self.daemon.directory)
        ours = {os.getpid(), self.daemon.pid} | helpers.descendants(self.daemon.pid)   # asked later: those found may be younger
        for pid in found - ours:
            if helpers.is_alive(pid):
                self.book.complain("%s: process %d is left: %s", when, pid, what_is(pid))

    def states(self, client, tasks):
        """Asks for the state of all of them; complains of those that are lost. Yields (task, state)."""
        tasks = sorted(tasks, key=lambda t: t.id)
        for at in range(0, len(tasks), 500):
            some = tasks[at:at + 500]
            while some:
                try:
                    yield from zip(some, client.call("state", [t.id for t in some]))
                    break
                except rpc.RpcError as error:
                    missing = next(t for t in some if t.id == error.error.get("future"))
                    self.book.heard(missing, error.error, None)
                    some.remove(missing)

    def forget_bound(self):
        """The bound ones went with the connections of the life before."""
        with self.book.lock:
            for task in [t for t in self.book.tasks.values() if t.bound and t.life != self.book.life]:
                self.book.gone[task.id] = self.book.tasks.pop(task.id)

    def after_start(self):
        """The loads are held: nobody else asks for anything."""
        self.no_strays("after a start")
        with self.client() as client:
            self.book.read_ledger()
            waiting = []
            for task, state in self.states(client, self.book.tasks.values()):
                if task.bound and task.life != self.book.life:
                    self.book.complain("bound future %d of an earlier life is %s", task.id, state)
                self.book.heard_state(task, state)
                if state == "PENDING":
                    waiting.append(task)
            for task in waiting:
                self.book.check_waiting(task)
            self.released_are_gone(client)
            self.outcomes(client, [t for t in self.book.tasks.values() if t.outcome is not None][-200:])
        self.forget_bound()

    def released_are_gone(self, client):
        for task in list(self.book.gone.values())[-50:]:
            if not task.released:
                continue
            try:
                state = client.call("state", [task.id])
                self.book.complain("future %d was released, and is %s", task.id, state)
            except rpc.RpcError as error:
                if error.type != "ExpiredFutureError":
                    self.book.complain("future %d was released, and asking for it says %s", task.id, error)

    def outcomes(self, client, tasks):
        """The result of each, pipelined."""
        asked = [(t, client.request("result", t.id, 0)) for t in tasks]
        for task, msgid in asked:
            try:
                self.book.heard(task, None, client.answer(msgid))
            except rpc.RpcError as error:
                self.book.heard(task, error.error, None)

    def settle(self, timeout):
        """Everything that was acknowledged comes to its end, in time, and agrees with the ledger."""
        with self.client() as client:
            self.forget_bound()
            until = time.monotonic() + timeout
            left = list(self.book.tasks.values())
            while left and time.monotonic() < until:
                left = [t for t, state in self.states(client, left) if state in ("PENDING", "RUNNING")]
                if left:
                    client.call("wait", [t.id for t in left[:1000]], "ALL_COMPLETED", 0.5)
            for task in left[:10]:
                shown = client.call("show", task.id)
                self.book.complain("future %d (%s) hangs: %s", task.id, task.word, {k: shown.get(k) for k in ("pool", "state", "attempt", "why", "pid")})
            left = {t.id for t in left}
            over = [t for t in self.book.tasks.values() if t.id not in left]
            for at in range(0, len(over), 200):
                self.outcomes(client, over[at:at + 200])
            self.book.read_ledger()
            for task in over:
                self.book.check_marks(task)
            self.listed(client)

    def listed(self, client):
        """What the daemon lists was submitted by somebody."""
        after = 0
        while True:
            page = client.call("list", {"after": after, "limit": 1000})
            for shown in page:
                args = shown.get("args")
                if args and len(args) > 1 and args[1] not in self.book.words:
                    self.book.complain("future %d is listed, and nobody submitted %s", shown["id"], args[1])
                if args and shown["id"] in self.book.gone and self.book.gone[shown["id"]].released:
                    self.book.complain("future %d was released, and is listed", shown["id"])
            if len(page) < 1000:
                return
            after = page[-1]["id"]
