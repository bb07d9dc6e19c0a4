"""What Executor.map returns: an iterator over results in the order of the inputs.

It goes on after an item's error, as CPython's does from 3.16 on. Closing it, or dropping it once it has begun, cancels what has
not started; dropping one that was never begun cancels nothing."""
import collections
import concurrent.futures
import itertools
import time

from futured import chunk, errors


class Results:
    def __init__(self, executor, calls, buffersize, timeout):
        self.executor, self.connection = executor, executor._connection
        self.calls = calls            # an iterator of futures, each submitted when it is asked for
        self.end = None if timeout is None else time.monotonic() + timeout
        self.buffered = buffersize is not None
        self.begun = self.closed = False
        self.ready = collections.deque()  # outcomes of a chunk
        self.futures = collections.deque(itertools.islice(calls, buffersize) if self.buffered else calls)

    def __iter__(self):
        return self

    def __next__(self):
        self.begun = True
        while not self.ready:
            self._take()
        good, value = self.ready.popleft()
        if good:
            return value
        raise _not_stop(errors.rebuild(value, True))

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
        future = self.futures.popleft()
        try:
            value = future.result(None if self.end is None else self.end - time.monotonic())
        except BaseException as e:
            if e is not future._exception and not future.cancelled():  # our time is up, or we were interrupted
                self.futures.appendleft(future)
                self.close()
                raise
            future = None
            raise _not_stop(e) from e.__cause__
        future = None
        if type(value) is chunk.Outcomes:
            self.ready.extend(value)
        else:
            self.ready.append((True, value))

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


def _not_stop(e):
    """A StopIteration from a task must not end our caller's loop."""
    if not isinstance(e, StopIteration):
        return e
    wrong = RuntimeError("generator raised StopIteration")
    wrong.__cause__ = e
    return wrong
