"""The reference model: what a futured with one client and two pools of one worker each must say, in as few lines as will do.

A pool is held (paused) except during the command `run`, in which everything that can end does; so what the model predicts is exact. The only
thing left open is the order in which tasks run: `ready` says which were in the queue when it began, whose order is fixed."""

POOLS = ("shell", "cpu")


class Refused(Exception):
    """The daemon must refuse with this type of error."""


class Future:
    def __init__(self, id, pool, word, options):
        self.id, self.pool, self.word = id, pool, word
        self.priority, self.retries = options.get("priority", 0), options.get("retries", 0)
        self.fail_until, self.key, self.waits = options.get("fail_until", 0), options.get("key"), []
        self.state, self.error, self.seen = "PENDING", None, False   # error: the type
        self.let_go = self.gone = False
        self.attempts = 0
        self.first_order = None

    @property
    def final(self):
        return self.state in ("CANCELLED", "FINISHED")

    @property
    def good(self):
        return self.state == "FINISHED" and self.error is None


class Model:
    def __init__(self, next_id=1):
        self.next_id = next_id
        self.futures = {}        # id -> Future, gone or not
        self.keys = {}           # key -> id
        self.order = 0           # who is in the queue is numbered
        self.ran = []            # (id, attempt) of what has begun

    # ---- helpers ----

    def known(self, future):
        if future >= self.next_id:
            raise Refused("UnknownFutureError")
        f = self.futures.get(future)
        if f is None or f.gone:
            raise Refused("ExpiredFutureError")
        return f

    def alive(self):
        return [f for f in self.futures.values() if not f.gone]

    def _forget(self, f):
        f.gone = True
        if f.key and self.keys.get(f.key) == f.id:
            del self.keys[f.key]

    def _end(self, f, state, error=None):
        f.state, f.error = state, error
        self._tell_others(f)

    def _tell_others(self, f):
        for other in list(self.futures.values()):
            if not other.final and f.id in other.waits:
                self._settle(other)
        if f.let_go and not f.gone:
            self._forget(f)

    def _settle(self, f):
        """A pending one that waits for others: fails with the first of them that failed, or is queued when all are good."""
        waits = [self.futures[i] for i in f.waits]
        if any(w.final and not w.good for w in waits):
            self._end(f, "FINISHED", "DependencyError")
        elif all(w.good for w in waits) and f.first_order is None:
            self.order += 1
            f.first_order = self.order

    # ---- commands: each as the method of the same name ----

    def submit(self, pool, word, options):
        key = options.get("key")
        if key in self.keys:
            return self.keys[key]
        waits = [self.known(i) for i in options.get("after", [])]
        f = Future(self.next_id, pool, word, options)
        self.next_id += 1
        self.futures[f.id] = f
        if key:
            self.keys[key] = f.id
        f.waits = [w.id for w in waits]
        self._settle(f)
        return f.id

    def map(self, pool, words, options):
        first = self.next_id
        for word in words:
            self.submit(pool, word, options)
        return [first, len(words)]

    def cancel(self, ids):
        """What waits for one of them hears of it when all have been."""
        found, answers, fresh = [self.known(i) for i in ids], [], []
        for f in found:
            if not f.final:
                f.state = "CANCELLED"
                fresh.append(f)
            answers.append(f.state == "CANCELLED")
        for f in fresh:
            self._tell_others(f)
        return answers

    def release(self, ids):
        if any(i >= self.next_id for i in ids):
            raise Refused("UnknownFutureError")
        count = 0
        for i in ids:
            f = self.futures.get(i)
            if f is None or f.gone or f.let_go:
                continue
            count += 1
            if f.final:
                self._forget(f)
            else:
                f.let_go = True
        return count

    def retry(self, ids):
        found = [self.known(i) for i in dict.fromkeys(ids)]
        if any(not f.final for f in found):
            raise Refused("InvalidStateError")
        return [self.submit(f.pool, f.word, {"priority": f.priority, "retries": f.retries, "fail_until": f.fail_until}) for f in found]

    def result(self, future):
        """None, or the type of the error."""
        f = self.known(future)
        if not f.final:
            return "TimeoutError"
        if f.state == "CANCELLED":
            return "CancelledError"
        if f.error:
            f.seen = True
        return f.error

    def state(self, ids):
        return [self.known(i).state for i in ids]

    def wait(self, ids):
        found = [self.known(i) for i in dict.fromkeys(ids)]
        return {"done": [f.id for f in found if f.final], "not_done": [f.id for f in found if not f.final]}

    def failures(self):
        return [f.id for f in self.alive() if f.error and not f.seen]

    def list(self, state):
        return sorted(f.id for f in self.alive() if state in (None, f.state))

    def counts(self):
        totals = dict.fromkeys(("PENDING", "RUNNING", "CANCELLED", "FINISHED"), 0)
        for f in self.alive():
            totals[f.state] += 1
        return totals

    # ---- everything that can end ends ----

    def ready(self, pool):
        """Those in the pool's queue, in the order in which they begin."""
        return sorted((f for f in self.futures.values() if not f.final and f.first_order is not None and f.pool == pool),
                      key=lambda f: (-f.priority, f.first_order))

    def restart(self, next_id):
        """A block of ids was set aside, and is passed over; who is queued stands where it stood."""
        self.next_id = next_id

    def run(self):
        """Returns for each pool the ids that were in its queue, in order."""
        orders = {pool: [f.id for f in self.ready(pool)] for pool in POOLS}
        while True:
            f = next((f for pool in POOLS for f in self.ready(pool)), None)
            if f is None:
                return orders
            f.attempts = min(max(f.fail_until, 1), f.retries + 1)
            self.ran += [(f.id, n) for n in range(1, f.attempts + 1)]
            self._end(f, "FINISHED", None if f.attempts >= f.fail_until else "ExitError" if f.pool == "shell" else "TryAgain")
