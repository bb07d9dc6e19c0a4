"""Executors: concurrent.futures.Executor over a pool of the daemon."""
import concurrent.futures
import functools
import itertools
import logging
import os
import pickle
import subprocess
import sys
import threading
import weakref

import msgpack

from futured import callbacks, chunk, errors, mainmodule
from futured.connection import UINT32, connection, flush_all
from futured.future import Future, Group
from futured.results import Results
from futured.worker import CALL, INITIALIZE, dumps

log = logging.getLogger("concurrent.futures")  # where its users look
NAMES = 1000  # whose packed options are kept
_groups = weakref.WeakSet()
_exiting = False
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MSGPACK = os.path.dirname(os.path.dirname(os.path.abspath(msgpack.__file__)))  # where a worker that is run with -S does not look
_WORKER = "import sys; sys.path.insert(0, %r); sys.path.append(%r); from futured.worker import main; main(['--unpickle'])" % (_HERE, _MSGPACK)
_OPTIONS = ("name", "tags", "priority", "timeout", "deadline", "delay", "after", "retries", "retry_delay", "key", "block", "bound", "retain")


def _cpus():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Executor(concurrent.futures.Executor):
    """Runs calls in workers of futured.

    Without `pool` it opens a pool of its own in the user's own daemon, which is started if need be: workers run this interpreter,
    with this environment, directory and sys.path, and functions cross by pickle. With `pool` it uses one that the daemon's
    configuration names: functions cross by import path with MessagePack values, or by pickle with `pickled=True` where the
    administrator allowed it (--unpickle). `address` says which daemon."""
    _kind = "process"
    _inert = False  # made while a worker runs the caller's script again

    def __init__(self, max_workers=None, *, pool=None, address=None, pickled=None, initializer=None, initargs=(),
                 max_tasks_per_child=None, thread_name_prefix=""):
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
        if pool is not None and (max_workers, initializer, max_tasks_per_child) != (None, None, None):
            raise ValueError("max_workers, initializer and max_tasks_per_child are the configuration's for a pool that it names")
        self._max_workers = max_workers or self._default_workers()
        self._broken = False
        self._lost = False  # the pool of our own, with its connection
        self._shutdown = False
        self._owned = pool is None
        self._pickled = self._owned if pickled is None else pickled
        self._options = {}
        self._group = Group()
        self._group.bound = self._owned
        self._inert = mainmodule.running
        if self._inert:
            return
        self._address, self._connection = address, connection(address)
        if self._owned:
            pool = self._open(initializer, initargs, max_tasks_per_child, thread_name_prefix)
            self._finalizer = weakref.finalize(self, _close, self._connection, pool)
            self._finalizer.atexit = False
            self._connection.executors.add(self)
        self._pool = pool
        self._head = _pack("submit", [pool, CALL, [b""], {}])[:-3] + b"\xc6"  # of a pickled call: its length and bytes follow, then options
        self._tails = {}
        _groups.add(self._group)

    def _default_workers(self):
        return min(32, _cpus() + 4) if self._kind == "thread" else _cpus()

    def _tail(self, name):
        """The options of a pickled call that has none of its own."""
        if len(self._tails) >= NAMES:
            self._tails.clear()
        tail = self._tails[name] = msgpack.packb({"watch": True, "name": name, **({"bound": True} if self._owned else {})})
        return tail

    def _open(self, initializer, initargs, max_tasks, prefix):
        about = {"caller": mainmodule.describe(), "prefix": prefix, "initializer": None}
        if initializer is not None:
            about["initializer"] = _dumps((initializer, tuple(initargs)), initializer)
        options = {
            "like": "pythread" if self._kind == "thread" else "py", "workers": self._max_workers, "bound": True,
            "command": [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", _WORKER], "env": {os.fsdecode(k): v for k, v in os.environb.items()},
            "initializer": INITIALIZE, "initargs": [pickle.dumps(about, pickle.HIGHEST_PROTOCOL)],
        }
        if max_tasks is not None:
            options["max_tasks_per_worker"] = max_tasks
        c = self._connection
        try:
            return c.call("open_pool", options)
        except errors.BrokenPoolError:
            if c.lost is None and not c.held:
                raise
        c.await_that(lambda: not c.held)  # it was lost meanwhile, with whatever pool it had opened; now it has been taken up again, or given up
        self._connection = connection(self._address)
        return self._connection.call("open_pool", options)

    # ---- submitting ----

    def options(self, **options):
        """This executor with options for what is submitted through it: executor.options(timeout=5, retries=2).submit(fn).

        name, tags, priority, timeout, deadline, delay, after (futures or ids), retries, retry_delay, key, retain."""
        for name in options:
            if name not in _OPTIONS:
                raise TypeError("options() got an unexpected keyword argument %r" % name)
        if "after" in options:
            after = options["after"]
            after = [after] if isinstance(after, (int, concurrent.futures.Future)) else after
            options["after"] = [f.id if isinstance(f, Future) else f for f in after]
        view = object.__new__(_View)
        view._executor, view._options = self, {**self._options, **options}
        return view

    def submit(self, fn, /, *args, **kwargs):
        return self._submit(fn, args, kwargs, None)

    def _check(self):
        """Whether more may be submitted, and by which connection: in a task, by one that says whose it is."""
        if self._inert:
            raise mainmodule.Reached
        if self._broken:
            raise errors.BrokenPoolError(str(self._broken)) from self._broken.__cause__
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self._connection.lost is not None and self._owned:  # after a fork
            raise errors.BrokenPoolError(str(self._connection.lost))
        if self._connection.lost is not None:  # the pool is the daemon's, and may be there
            try:
                self._connection = connection(self._address)
            except OSError as e:
                raise errors.BrokenPoolError("no daemon for pool %s: %s" % (self._pool, e)) from e
        c = self._connection
        if c.slot is None:
            return c
        if not self._owned:
            return connection(self._address)
        c.introduce_again()
        return c

    def _submit(self, fn, args, kwargs, options):
        future = Future(self._check(), self._group, self._pickled, self)
        try:
            self._send(future, fn, args, kwargs, options, fn)
        except BaseException as e:
            self._group.discard(future)
            if not isinstance(e, Exception):
                raise  # ^C: nobody has it, and nobody is to wait for it
            future._executor = None
            future.set_exception(e)
        return future

    def _submit_chunk(self, fn, calls, options):
        """If it cannot be sent, its calls go one by one: the one that cannot fails alone."""
        future = Future(self._check(), self._group, True, self)
        future._count = len(calls)
        try:
            self._send(future, chunk.run, (fn, calls), {}, options, fn)
            return [future]
        except BaseException as e:
            self._group.discard(future)
            if not isinstance(e, Exception):
                raise
            return [self._submit(fn, args, {}, options) for args in calls]

    def _send(self, future, fn, args, kwargs, options, shown):
        """Raises what is wrong with the call. `shown`: the function that it is for, and goes by the name of."""
        c = future._connection
        if not self._pickled:
            path = fn if isinstance(fn, str) else import_path(fn)
            params = [self._pool, path, args, {**(options or {}), "watch": True, **({"kwargs": kwargs} if kwargs else {})}]
            self._bind(params[3])
            parts = _pack("submit", params),
            size = len(parts[0])
        else:
            blob = _dumps((fn, args, kwargs), shown)
            name, size = name_of(shown), len(blob)
            if options:
                params = [self._pool, CALL, [blob], {"name": name, **options, "watch": True}]
                self._bind(params[3])
            else:
                parts = self._head, UINT32(size), blob, self._tails.get(name) or self._tail(name)
        if size > c.limit - 65536:
            raise ValueError("a call of %d bytes is more than the daemon takes (limits.message: %d)" % (size, c.limit))
        self._group.add(future)
        if options:
            c.request(functools.partial(c.accept, future), "submit", params)
        else:
            c.submit(future, parts, size)

    def _bind(self, options):
        if self._owned and "key" not in options:
            options.setdefault("bound", True)

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None):
        return self._map(fn, iterables, timeout, chunksize, buffersize, None)

    def _map(self, fn, iterables, timeout, chunksize, buffersize, options):
        if self._inert:
            raise mainmodule.Reached
        if chunksize < 1:
            self._refuse_chunksize()
            chunksize = 1
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        items = zip(*iterables)
        if chunksize == 1 or not self._pickled:
            if options is None:
                calls = (self.submit(fn, *args) for args in items)  # a subclass may have one of its own
            else:
                calls = (self._submit(fn, args, {}, options) for args in items)
        else:
            chunks = iter(lambda: list(itertools.islice(items, chunksize)), [])
            calls = itertools.chain.from_iterable(self._submit_chunk(fn, part, options) for part in chunks)
        return Results(self, calls, buffersize, timeout)

    def _refuse_chunksize(self):
        raise ValueError("chunksize must be >= 1.")

    # ---- the end ----

    def shutdown(self, wait=True, *, cancel_futures=False):
        first, self._shutdown = not self._shutdown, True
        if self._inert:
            return
        if cancel_futures:
            self._cancel_waiting()
        if self._owned and first:
            self._finalizer.detach()
        if self._owned and first and not self._lost:
            self._connection.tell("close_pool", self._pool, {"wait": False})
        if wait:
            _await_group(self._group, self._connection)
            if not self._lost:
                self._connection.release()
            if self._owned and not self._lost:
                self._await_gone()

    def _cancel_waiting(self):
        """Where the first workers are still being started, what they are to begin with counts as begun: the standard library's
        workers are there at once, and its users rely on it."""
        waiting = list(self._group)
        if self._owned and not self._group.served:
            self._connection.await_that(lambda: all(f._id is not None or f.done() for f in waiting))
            waiting = sorted((f for f in waiting if f._id is not None), key=lambda f: f._id)[self._max_workers:]
        self._connection.cancel_all(waiting)

    def _await_gone(self):
        """Its workers are no more."""
        try:
            self._connection.call("close_pool", self._pool, {"wait": True})
        except errors.Error:
            pass  # gone already

    def terminate_workers(self):
        """Ends the workers at once: what runs fails with BrokenPoolError, what waits is cancelled."""
        self._end({"terminate": True})

    def kill_workers(self):
        """As terminate_workers, by SIGKILL."""
        self._end({"kill": True})

    def _end(self, how):
        first, self._shutdown = not self._shutdown, True
        if self._inert:
            return
        if not self._owned:
            raise ValueError("pool %s is not this executor's own" % self._pool)
        self._finalizer.detach()
        try:
            self._connection.call("close_pool", self._pool, {"wait": False, **how})
        except errors.Error:
            if first:
                raise

    def _note_broken(self, e):
        """By the first future that fails with it; an end that was asked for is none."""
        if not self._owned or self._broken or self._shutdown or e.error.get("type") != "BrokenPoolError":
            return
        self._broken = e
        log.critical("the pool is broken: %s%s", e, e.__cause__ or "")

    def _lose(self, e):
        """Its connection was lost, and with that the pool."""
        if not self._lost:
            self._lost = True
            self._note_broken(e)


class _View(Executor):
    """An executor with options; it shares everything else with the one it is of."""

    def __init__(self):
        raise TypeError("made by Executor.options")

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "_executor"), name)

    def submit(self, fn, /, *args, **kwargs):
        return self._executor._submit(fn, args, kwargs, self._options)

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None):
        return self._executor._map(fn, iterables, timeout, chunksize, buffersize, self._options)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._executor.shutdown(wait, cancel_futures=cancel_futures)

    def terminate_workers(self):
        self._executor.terminate_workers()

    def kill_workers(self):
        self._executor.kill_workers()


class ProcessPoolExecutor(Executor):
    """Shaped like concurrent.futures.ProcessPoolExecutor. `mp_context` is taken and means nothing: workers start afresh, as spawn's do."""

    def __init__(self, max_workers=None, mp_context=None, initializer=None, initargs=(), *, max_tasks_per_child=None, address=None):
        if max_tasks_per_child is not None and mp_context is not None and mp_context.get_start_method(allow_none=False) == "fork":
            raise ValueError("max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; supply a different mp_context.")
        super().__init__(max_workers, address=address, initializer=initializer, initargs=initargs, max_tasks_per_child=max_tasks_per_child)


class ThreadPoolExecutor(Executor):
    """Shaped like concurrent.futures.ThreadPoolExecutor. Its threads share memory with each other, never with the caller."""
    _kind = "thread"

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), *, address=None):
        super().__init__(max_workers, address=address, initializer=initializer, initargs=initargs, thread_name_prefix=thread_name_prefix)

    def _refuse_chunksize(self):
        pass  # as the standard library's: it ignores it


class InterpreterPoolExecutor(Executor):
    """Shaped like concurrent.futures.InterpreterPoolExecutor. Each interpreter is a process of its own."""

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), *, address=None):
        super().__init__(max_workers, address=address, initializer=initializer, initargs=initargs)

    def _default_workers(self):
        return min(32, _cpus() + 4)

    def _submit(self, fn, args, kwargs, options):
        if isinstance(fn, str):
            raise TypeError("scripts not supported")
        return super()._submit(fn, args, kwargs, options)

    def _refuse_chunksize(self):
        pass


def _pack(*elements):
    """They, without the array around them."""
    return msgpack.packb(elements, unicode_errors="surrogateescape")[1:]


def name_of(fn):
    """For people: what `fut ls` shows of a pickled call."""
    name = getattr(fn, "__qualname__", None)
    name = name if isinstance(name, str) else type(fn).__qualname__
    return name[:100].encode("utf-8", "replace").decode()


def import_path(fn):
    """"module.function" of a callable that can be found by that everywhere."""
    path = "%s.%s" % (getattr(fn, "__module__", None), getattr(fn, "__qualname__", None))
    if path.startswith("builtins."):
        return path[len("builtins."):]
    if path.startswith(("__main__.", "None.")) or "<" in path or path.endswith(".None"):
        raise ValueError("%r has no import path: this pool takes functions of modules that its workers can import "
                         "(or pickled=True, where its administrator allows that)" % (fn,))
    return path


def _dumps(what, fn):
    """Pickled, for a worker; `fn` is what is called in the end."""
    if getattr(fn, "__module__", None) == "__main__" and not mainmodule.is_script():
        return dumps(what, _unreachable(fn))
    try:
        return dumps(what)
    except Exception as e:
        raise _explained(fn, e) from e.__cause__


def _unreachable(fn):
    return pickle.PicklingError("cannot send %s: it was defined where workers cannot find it, for this program is no script but typed in or "
                                "piped in; put it into a module, or install cloudpickle" % getattr(fn, "__qualname__", fn))


def _explained(fn, e):
    name = getattr(fn, "__qualname__", "")
    if sys.modules.get("cloudpickle") or "<lambda>" not in name and "<locals>" not in name:
        return e
    return pickle.PicklingError("cannot pickle %s: a lambda, or a function that is defined inside another, can be sent only where "
                                "cloudpickle is installed (%s)" % (name, e))


def _await_group(group, c):
    """Until all are done and their callbacks have run. In a callback only the former: it cannot wait for itself."""
    if callbacks.are_run_here():
        for f in list(group):
            f._connection.await_that(f.done)
        return
    if threading.current_thread() is c.reader:
        c.await_that(lambda: not group)
        return
    while group:
        group.awaited = group.awaited or threading.Event()
        group.awaited.clear()
        if group:
            group.awaited.wait(1)


def _close(c, pool):
    """The executor was dropped: what it was given still runs."""
    if c.lost is None:
        c.tell("close_pool", pool, {"wait": False})


def _at_exit():
    """As in the standard library, the interpreter's end waits for what was submitted, here to pools of our own."""
    global _exiting
    _exiting = True
    flush_all()
    for group in list(_groups):
        if group.bound:
            for f in list(group)[:1]:
                _await_group(group, f._connection)


threading._register_atexit(_at_exit)
os.register_at_fork(after_in_child=_groups.clear)  # they are the parent's


def attach(id, *, address=None, pickled=True):
    """The future of that id, from whatever process it was submitted. `pickled=False`: never unpickle what it holds."""
    c = connection(address)
    future = Future(c, None, False)
    future._id, future._kept = id, True
    answer = []

    def shown(error, about):
        if error is None:
            future._pickled = pickled and about.get("fn") == CALL
            c.enter(id, future)
        answer.append(error)
    c.request(shown, "show", [id])
    c.await_that(lambda: answer)
    if answer[0] is not None:
        raise errors.rebuild(answer[0], False)
    if c.call("watch", [id], {"result": True})["done"]:
        c.fetch(id)
        c.await_that(future.done)
    return future
