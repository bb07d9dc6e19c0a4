"""The thread that runs the callbacks of what the reader thread has settled, one after the other. The reader must read on: so a callback
may wait for whatever it likes, and holds up nothing but the callbacks after it."""
import contextlib
import logging
import os
import queue
import threading

log = logging.getLogger("concurrent.futures")  # as the standard library's
_lock = threading.Lock()
_futures = None  # a queue, once there is a thread
_local = threading.local()


def are_run_here():
    """Whether this thread is in a callback."""
    return getattr(_local, "depth", 0) > 0


@contextlib.contextmanager
def running():
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1


def run_later(future):
    """Has future._run_callbacks() called."""
    global _futures
    with _lock:
        if _futures is None:
            _futures = queue.SimpleQueue()
            threading.Thread(target=_run, args=[_futures], name="futured-callbacks", daemon=True).start()
    _futures.put(future)


def _run(futures):
    while True:
        future = futures.get()
        try:
            future._run_callbacks()
        except BaseException:  # SystemExit, for one: it ends what it was raised in, and that is all
            log.exception("exception calling callback for %r", future)
        finally:
            future._leave()
        del future


def _forget():
    """After a fork: the thread is the parent's."""
    global _lock, _futures
    _lock, _futures = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
