"""The errors of futured as Python exceptions, and exceptions of tasks made again."""
import builtins
import concurrent.futures
import pickle
from concurrent.futures.process import BrokenProcessPool, _RemoteTraceback
from concurrent.futures.thread import BrokenThreadPool


class Error(Exception):
    """What the daemon says. `.error` is its map."""

    def __init__(self, message="", error=None):
        super().__init__(message)
        self.error = error or {}

    def __reduce__(self):
        return type(self), (str(self), self.error)


class RemoteError(Error):
    """A task's exception that cannot be made again here: its `.type`, message and `.traceback` as text."""

    def __init__(self, message="", error=None):
        super().__init__(message, error)
        self.type, self.traceback = self.error.get("type"), self.error.get("traceback")


class WorkerLostError(Error, BrokenProcessPool):
    """The worker of this task died, and nothing else was hurt: `.pid`, `.exit` or `.signal`, `.oom`, `.stderr`."""

    def __init__(self, message="", error=None):
        super().__init__(message, error)
        for name in "pid", "exit", "signal", "oom", "stderr":
            setattr(self, name, self.error.get(name))


class BrokenPoolError(Error, BrokenProcessPool, BrokenThreadPool):
    """The pool's initializer failed, its workers keep dying, it was terminated, or the daemon is gone."""


class TransferError(Error, BrokenProcessPool):
    """A call that its worker could not unpickle, or a result that could not be unpickled here. Only this task is lost."""


class TaskTimeoutError(Error):
    """The task's own limit, `timeout` or `deadline`; not a wait that ran out."""


class DependencyError(Error):
    """A future that this one waits for failed; its error is the cause."""


class ExitError(Error):
    """A command failed: `.error` has exit or signal, stdout and stderr."""


class AuthenticationError(Error, PermissionError):
    """A token or certificate is not accepted, or its file cannot be used."""


class ShutdownError(Error, RuntimeError):
    pass


class LimitError(Error, RuntimeError):
    pass


class QueueFullError(LimitError):
    pass


class UnknownPoolError(Error, LookupError):
    pass


class UnknownFutureError(Error, LookupError):
    pass


class ExpiredFutureError(UnknownFutureError):
    pass


class UnsupportedError(Error, ValueError):
    pass


DAEMONS = {c.__name__: c for c in (WorkerLostError, BrokenPoolError, TaskTimeoutError, DependencyError, ExitError, AuthenticationError, ShutdownError,
                                   LimitError, QueueFullError, UnknownPoolError, UnknownFutureError, ExpiredFutureError,
                                   UnsupportedError)}
NATIVE = {"ValueError": ValueError, "PermissionError": PermissionError, "CancelledError": concurrent.futures.CancelledError,
          "InvalidStateError": concurrent.futures.InvalidStateError, "TimeoutError": concurrent.futures.TimeoutError}


def rebuild(error, pickled):
    """The exception for an error map. `pickled`: its data comes from a worker that we asked to pickle."""
    if error.get("task"):
        return _of_task(error, pickled)
    kind, message = error.get("type"), error.get("message", "")
    if kind in NATIVE:
        return NATIVE[kind](message)
    e = DAEMONS.get(kind, Error)(message, error)
    if isinstance(error.get("cause"), dict):
        e.__cause__ = rebuild(error["cause"], pickled)
    elif error.get("traceback"):
        e.__cause__ = remote_traceback(error)
    return e


def not_loaded(e):
    """What a result is whose unpickling raised `e`."""
    wrong = TransferError("the result cannot be unpickled: %s: %s" % (type(e).__name__, e))
    wrong.__cause__ = e
    return wrong


def remote_traceback(error):
    return _RemoteTraceback('\n"""\n%s"""' % (error.get("traceback") or error.get("type")))


def _of_task(error, pickled):
    e = None
    data = error.get("data")
    if pickled and isinstance(data, dict) and data.get("not_sent"):
        e = TransferError(error.get("message", ""), error)
    elif pickled and isinstance(data, bytes):
        try:
            e = pickle.loads(data)
        except BaseException:
            pass  # whatever an exception does when it is made again: it becomes text
    elif not pickled:
        e = _builtin(error)
    if not isinstance(e, BaseException):
        e = RemoteError("%s: %s" % (error.get("type"), error.get("message")), error)
    e.__cause__ = remote_traceback(error)
    return e


def _builtin(error):
    """A function called by its import path raised a builtin exception: the same type, with its text."""
    cls = getattr(builtins, str(error.get("type")), None)
    if not isinstance(cls, type) or not issubclass(cls, Exception):
        return None
    try:
        return cls(error.get("message", ""))
    except TypeError:
        return None
