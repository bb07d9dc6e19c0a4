"""What Executor.map returns: an iterator over results in the order of the inputs.

It goes on after an item's error, as CPython's does from 3.16 on. Closing it, or dropping it once it has begun, cancels what has
not started; dropping one that was never begun cancels nothing."""
import collections
import concurrent.futures
import itertools
import pickle
import time

from futured import errors


class Results:
    def __init__(self, executor, calls, buffersize, timeout):
        self.executor, self.connection = executor, executor._connection
        self.calls = calls            # an iterator of futures, each submitted when it is asked for
        self.end = None if timeout is None else time.monotonic() + timeout
        self.buffered = buffersize is not None
        self.begun = self.closed = False
        self.ready = iter(())         # of what was taken last: next() is an item's value, or raises its error
        self.futures = collections.deque(itertools.islice(calls, buffersize) if self.buffered else calls)

    def __iter__(self):
        return self

    def __next__(self):
        self.begun = True
        while True:
            for value in self.ready:
                return value
            self.ready = self._take()

    def _take(self):
        if self.closed or not self.futures:
            self.closed = True
            raise StopIteration
        if self.buffered:
            try:
                self.futures.extend(itertools.islice(self.calls, 1))
            except BaseException:
                self.close()
                raise
        future = self.futures[0]
        try:
            error = future.exception(None if self.end is None else self.end - time.monotonic())
        except concurrent.futures.CancelledError as e:
            error = e
        except BaseException:  # our time is up, or we were interrupted
            self.close()
            raise
        self.futures.popleft()
        if error is not None:
            left = [None] + [error] * (future._count or 1)
            return map(_raise, iter(left.pop, None))  # what is raised is not held here, too: no cycle through the traceback
        return _once([future.result()]) if future._count is None else map(_loaded, future.result())

    def close(self):
        if self.closed or not self.begun:
            self.closed = True
            return
        self.closed = True
        self.connection.cancel_all(self.futures)
        self.futures.clear()

    def __del__(self):
        if getattr(self, "begun", False) and not self.closed:
            self.connection.cancel_later(f for f in self.futures if not f.done())


def _once(value):
    yield value.pop()  # which is held nowhere here then


def _loaded(outcome):
    """As in chunk.py."""
    kind = type(outcome)
    if kind is list:
        try:
            return pickle.loads(outcome[0])
        except Exception as e:
            raise errors.not_loaded(e)
    if kind is dict:
        _raise(errors.rebuild({**outcome, "task": True}, True))
    return outcome


def _raise(e):
    """A StopIteration from a task must not end our caller's loop."""
    try:
        if isinstance(e, StopIteration):
            raise RuntimeError("generator raised StopIteration") from e
        raise e from e.__cause__
    finally:
        e = None  # no cycle through the traceback
