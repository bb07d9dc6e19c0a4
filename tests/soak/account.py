"""The account: what was acknowledged to clients, kept outside of the daemon, and what may follow from it.

Everything that a client hears goes through here, from any thread, and is compared with what was heard before; `read_ledger` adds the
marks that tasks left (mark.h). What is wrong is collected in `wrong`, one sentence each; nothing here asks the daemon anything."""
import os
import threading

WRONG_KEPT = 50


class Task:
    """One acknowledged future."""

    __slots__ = ("id", "word", "pool", "retries", "fail_until", "size", "after", "bound", "key", "copies", "asked", "promised", "releasing",
                 "released", "outcome", "timeout", "life", "kills")

    def __init__(self, word, pool, retries=0, fail_until=0, size=20, after=(), bound=False, key=None, timeout=None):
        self.id = None
        self.word, self.pool, self.retries, self.fail_until, self.size = word, pool, retries, fail_until, size
        self.after, self.bound, self.key = list(after), bound, key
        self.timeout = timeout
        self.copies = False      # `retry` may have accepted it again: its word has several ids
        self.asked = 0           # cancels that may have worked
        self.promised = False    # a cancel said true
        self.releasing = self.released = False
        self.outcome = None      # as first heard
        self.life = None         # the daemon's life in which it was submitted
        self.kills = 0           # how many kills were over then

    def value(self):
        text = self.word * (self.size // len(self.word) + 1)
        return text[:self.size]

    def again(self):
        """What `retry` accepts."""
        return Task(self.word, self.pool, self.retries, self.fail_until, self.size)


class Marks:
    """What one future's tasks wrote."""

    __slots__ = ("begun", "ended", "failed", "words")

    def __init__(self):
        self.begun, self.ended, self.failed, self.words = [], [], [], set()


def outcome_of(error, result):
    """An answer to `result` as something to compare: ("value", v) or ("error", type, rest)."""
    if error is None:
        return ("value", repr(result))
    return ("error", error["type"], repr(sorted((k, v) for k, v in error.items())))


class Account:
    def __init__(self, ledger):
        self.lock = threading.RLock()
        self.ledger_path = ledger
        self.ledger_at = 0
        self.tasks = {}          # id -> Task, until released
        self.gone = {}           # … after that
        self.words = {}          # word -> Task as submitted, acknowledged or not
        self.marks = {}          # id -> Marks
        self.order = {}          # id -> position in the ledger of the first E
        self.runs_as = {}        # word -> id, of words that have one
        self.lines = 0
        self.wrong = []
        self.life = 0            # how often the daemon was started
        self.kills = 0           # how many have begun
        self.striking = False    # the last of them is not over: it may yet meet what is submitted now
        self.top = 0             # the largest id acknowledged
        self.counts = {}

    def complain(self, text, *args):
        with self.lock:
            if len(self.wrong) < WRONG_KEPT:
                self.wrong.append(text % args)

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + n

    # ---- what clients do and hear ----

    def submitting(self, task):
        """Before it is sent: from here on its marks may appear. Returns the floor for its id."""
        with self.lock:
            self.words.setdefault(task.word, task)
            if task.life is None:
                task.life, task.kills = self.life, self.kills - self.striking
            return self.top

    def acknowledged(self, task, future, floor):
        with self.lock:
            known = self.tasks.get(future)
            if known is not None and known is task:
                return
            if task.id is not None:
                self.complain("key %s: was future %d, is now %d", task.key, task.id, future)
            if task.key is None and future <= floor:
                self.complain("id %d was given after %d had been: ids must rise", future, floor)
            if known is not None or future in self.gone:
                self.complain("id %d was given twice: to %s and to %s", future, (known or self.gone[future]).word, task.word)
            task.id = future
            self.tasks[future] = task
            self.top = max(self.top, future)
            self.count("acknowledged")

    def pick(self, rng, count, suits):
        """Some tasks of those to be had."""
        with self.lock:
            ids = list(self.tasks)
        found = []
        for _ in range(4 * count):
            if not ids or len(found) == count:
                break
            task = self.tasks.get(rng.choice(ids))
            if task is not None and task not in found and not task.releasing and suits(task):
                found.append(task)
        return found

    def unfinished(self):
        with self.lock:
            return [t for t in self.tasks.values() if t.outcome is None and not t.releasing]

    def cancelling(self, task):
        with self.lock:
            task.asked += 1

    def cancel_answered(self, task, mode, yes):
        with self.lock:
            if yes:
                task.promised = True
                if task.outcome and task.outcome[:2] != ("error", "CancelledError"):
                    self.complain("future %d: cancel said true after it was heard to end otherwise", task.id)
            elif mode == "no":
                task.asked -= 1

    def release_answered(self, tasks):
        with self.lock:
            for task in tasks:
                task.released = True
                self.gone[task.id] = self.tasks.pop(task.id)

    def heard(self, task, error, result):
        """The answer to `result` for it, or what `done` said."""
        if error is not None and error["type"] == "TimeoutError" and not error.get("task"):
            return
        if error is not None and error["type"] == "ExpiredFutureError":
            if not task.releasing and not (task.bound and task.life != self.life):
                self.complain("future %d (%s) was acknowledged and is lost: %s", task.id, task.word, error["message"])
            return
        if isinstance(result, dict) and "stdout" in result:
            result = result["stdout"].decode()
        outcome = outcome_of(error, result)
        with self.lock:
            self.count("outcomes")
            if task.outcome is None:
                task.outcome = outcome
                self._judge(task, error, result)
            elif task.outcome != outcome:
                self.complain("future %d: its outcome changed from %.300s to %.300s", task.id, task.outcome, outcome)

    def heard_state(self, task, state, was_over=True):
        """`was_over`: its outcome was heard before this was asked, not while the answer was under way."""
        with self.lock:
            if task.outcome is not None and (was_over or state in ("CANCELLED", "FINISHED")):
                wanted = "CANCELLED" if task.outcome[:2] == ("error", "CancelledError") else "FINISHED"
                if state != wanted:
                    self.complain("future %d: was heard to be %s and is %s", task.id, wanted, state)
            if task.promised and state == "FINISHED":
                self.complain("future %d: cancel said true, and it is FINISHED", task.id)

    def _judge(self, task, error, result):
        """Whether it may have ended like that."""
        name = task.id, task.word
        if error is None:
            if result != task.value():
                self.complain("future %d (%s): its value is not what its task gives: %.100r", *name, result)
            if task.fail_until > task.retries + 1:
                self.complain("future %d (%s) succeeded with too few attempts", *name)
            if task.promised:
                self.complain("future %d (%s): cancel said true, and it has a value", *name)
            return
        kind, legal = error["type"], False
        if kind == "CancelledError":
            legal = task.asked > 0 or task.promised or task.bound
        elif kind == "DependencyError":
            legal = bool(task.after)
        elif kind == "TaskTimeoutError":
            legal = task.timeout is not None
        elif kind == "WorkerLostError" or (kind == "ExitError" and "signal" in error):
            legal = self.kills > task.kills
        elif kind in ("TryAgain", "ExitError"):
            legal = task.fail_until > task.retries + 1
        if not legal:
            self.complain("future %d (%s) may not end so: %.300r", *name, error)
        if task.promised and kind != "CancelledError":
            self.complain("future %d (%s): cancel said true, and it ended with %s", *name, kind)

    # ---- what tasks wrote ----

    def read_ledger(self):
        """Reads on from where it was; a line that is not whole yet waits."""
        with self.lock:
            try:
                with open(self.ledger_path, "rb") as f:
                    f.seek(self.ledger_at)
                    text = f.read()
            except FileNotFoundError:
                return
            whole = text.rfind(b"\n") + 1
            self.ledger_at += whole
            for line in text[:whole].decode().splitlines():
                self.lines += 1
                what, future, attempt, word = line.split()
                self._take_mark(what, int(future), int(attempt), word)

    def _task(self, future):
        return self.tasks.get(future) or self.gone.get(future)

    def _take_mark(self, what, future, attempt, word):
        marks = self.marks.setdefault(future, Marks())
        if what == "O":
            self.complain("future %d (%s): two copies of it were alive at once", future, word)
            return
        if word not in self.words:
            self.complain("future %d ran with the word %s, which nobody submitted", future, word)
            return
        task, sent = self._task(future), self.words[word]
        if task is not None and task.word != word:
            self.complain("future %d was acknowledged for %s and ran %s", future, task.word, word)
        marks.words.add(word)
        if len(marks.words) > 1:
            self.complain("id %d ran two tasks: %s", future, sorted(marks.words))
        if what == "B":
            if marks.begun and attempt <= marks.begun[-1]:
                self.complain("future %d (%s) began attempt %d after attempt %d", future, word, attempt, marks.begun[-1])
            marks.begun.append(attempt)
            if len(marks.begun) > sent.retries + 1 or attempt > sent.retries + 1:
                self.complain("future %d (%s) ran %d times (attempt %d) with %d retries", future, word, len(marks.begun), attempt, sent.retries)
            for needed in sent.after:
                if needed not in self.order:
                    self.complain("future %d (%s) ran before future %d, which it waits for, had ended well", future, word, needed)
            if not sent.copies:
                if self.runs_as.setdefault(word, future) != future:
                    self.complain("%s was submitted once and ran as %d and as %d", word, self.runs_as[word], future)
        elif what == "E":
            marks.ended.append(attempt)
            self.order.setdefault(future, self.lines)
            if len(marks.ended) > 1 and not sent.retries:   # with some: it was killed between its mark and its answer
                self.complain("future %d (%s) ended well %d times", future, word, len(marks.ended))
        else:
            marks.failed.append(attempt)

    def check_marks(self, task):
        """A task that is over, or is known to be waiting: whether its marks agree. Call read_ledger before."""
        marks = self.marks.get(task.id) or Marks()
        with self.lock:
            if task.outcome is None:
                return
            if task.outcome[0] == "value" and (not marks.ended or marks.ended[-1] != marks.begun[-1]):
                self.complain("future %d (%s) has a value, and its task began %s and ended %s", task.id, task.word, marks.begun, marks.ended)
            by_signal = task.outcome[0] == "error" and "'signal'" in task.outcome[2]   # killed before it could say that it had begun
            if task.outcome[1] in ("TryAgain", "ExitError") and not marks.begun and not by_signal:
                self.complain("future %d (%s) failed by itself and never began", task.id, task.word)

    def check_waiting(self, task):
        """It is PENDING, after a restart: it must not have begun if it may not be run again."""
        marks = self.marks.get(task.id)
        if marks and marks.begun and len(marks.begun) > task.retries and task.outcome is None:
            self.complain("future %d (%s) has begun %s with %d retries, and is PENDING again", task.id, task.word, marks.begun, task.retries)
        if marks and marks.ended and not task.retries:
            self.complain("future %d (%s) had ended, and is PENDING again", task.id, task.word)

    def note_life(self):
        with self.lock:
            self.life += 1

    def kill_begins(self):
        with self.lock:
            self.kills += 1
            self.striking = True

    def kill_is_over(self):
        with self.lock:
            self.striking = False

    def size(self):
        return os.path.getsize(self.ledger_path) if os.path.exists(self.ledger_path) else 0
