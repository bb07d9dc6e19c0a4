"""Future: a concurrent.futures.Future that belongs to the daemon."""
import concurrent.futures
import threading
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING

from futured import callbacks

DONE = (CANCELLED_AND_NOTIFIED, FINISHED)


class Group(set):
    """The futures of an executor that are not done. `left` is called when the last one has gone and somebody waits."""
    bound = False
    __hash__, __eq__ = object.__hash__, object.__eq__  # itself, whatever it holds
    awaited = None  # an Event
    served = False  # one of them was done: there are workers

    def leave(self, future):
        self.discard(future)
        self.served = True
        if self.awaited is not None and not self:
            self.awaited.set()


class Future(concurrent.futures.Future):
    """As in the standard library, and: `id`, `kill()`, `progress`."""
    progress = None  # (done, total, note) as the task said last
    _twins = ()      # other objects for the same future
    _count = None    # of a chunk: its calls
    _large = False   # its result takes much of the daemon's memory

    def __init__(self, connection=None, group=None, pickled=False, executor=None):
        """Without arguments it is nobody's, and whoever made it settles it: as one of the standard library."""
        super().__init__()
        self._connection, self._group, self._pickled = connection, group, pickled
        self._id = None
        self._kept = False     # somebody knows its id: it is not released with this object
        self._doomed = False   # to be cancelled as soon as its id is known
        self._follow = None    # what it prints, while it comes
        self._held = None      # its outcome, until all that it printed is here
        self._calls_later = False  # its callbacks are left to their thread
        self._executor = executor  # to be told that the pool is broken; not there once it is done

    @property
    def id(self):
        """The daemon's id: good for futured.attach and for fut, from any process. Waits for the daemon's answer to the submit."""
        if self._id is None and self._connection is not None and not self.done():
            self._connection.await_that(lambda: self._id is not None or self.done())
        if self._id is not None:
            self._kept = True
        return self._id

    def _known(self):
        """Whether the daemon has it and it is not done, as far as we know."""
        if self._id is None and self._connection is not None and not self.done():
            self._connection.await_that(lambda: self._id is not None or self.done())
        return self._id is not None and not self.done()

    def cancel(self):
        """Cancels it if it has not begun; the daemon decides. What runs goes on: see kill."""
        return self._cancel({})

    def kill(self, grace=None):
        """Cancels it though it runs: its worker is terminated, and killed after `grace` seconds. Not in kind thread."""
        return self._cancel({"running": "kill", **({} if grace is None else {"grace": grace})})

    def _cancel(self, options):
        if self._connection is None:
            return super().cancel()
        if not self._known():
            return self.cancelled()
        if not (self._connection.call("cancel", [self._id], options) if options else self._connection.cancel([self._id]))[0]:
            return False
        self._connection.await_that(self.done)
        return self.cancelled()

    def running(self):
        """Whether it has begun and is not over; asked of the daemon."""
        if self._connection is None:
            return super().running()
        if not self._known():
            return False
        return self._connection.call("state", [self._id])[0] == "RUNNING" and not self.done()

    def result(self, timeout=None):
        try:
            value = super().result(timeout)
            if self._exception is None:
                return value
            raise self._exception  # it says that it is false: up to 3.14.1 the standard library takes it for none
        finally:
            self = None  # no cycle through the traceback

    def _invoke_callbacks(self):
        if not self._done_callbacks:
            return
        if self._connection is not None and threading.get_ident() == self._connection.reader.ident:
            self._calls_later = True
            callbacks.run_later(self)
        else:
            self._run_callbacks()

    def _run_callbacks(self):
        with callbacks.running():
            super()._invoke_callbacks()

    def _leave(self):
        """It is done, and its callbacks have run."""
        if self._group is not None:
            self._group.leave(self)

    def _settle_cancelled(self):
        with self._condition:
            if self._state in DONE:
                return
            if self._state != CANCELLED:  # else it was begun, and interrupted
                self._state = PENDING
        super().cancel()
        self.set_running_or_notify_cancel()

    def __del__(self):
        try:
            if self._id is not None and not self._kept:
                self._connection.forget(self._id, self._large)
        except Exception:
            pass  # it was never made; or nothing works any more, at the end of the interpreter
