"""concurrent.futures as a service: the Python client of futured, and the worker that runs its tasks.

    from futured import ThreadPoolExecutor, ProcessPoolExecutor, Executor

These are concurrent.futures executors whose workers belong to a daemon. Memory is never shared with the caller, not even by
ThreadPoolExecutor: arguments and results are copies. docs/python.md says the rest."""

_HOME = {
    "Executor": "executor", "ThreadPoolExecutor": "executor", "ProcessPoolExecutor": "executor",
    "InterpreterPoolExecutor": "executor", "attach": "executor", "Future": "future", "progress": "worker",
    "interpreters": None,
    "Error": "errors", "RemoteError": "errors", "WorkerLostError": "errors", "TransferError": "errors",
    "TaskTimeoutError": "errors", "BrokenPoolError": "errors", "DependencyError": "errors",
    "CancelledError": "concurrent.futures", "TimeoutError": "concurrent.futures", "InvalidStateError": "concurrent.futures",
    "BrokenExecutor": "concurrent.futures", "wait": "concurrent.futures", "as_completed": "concurrent.futures",
    "ALL_COMPLETED": "concurrent.futures", "FIRST_COMPLETED": "concurrent.futures", "FIRST_EXCEPTION": "concurrent.futures",
}
__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name):
    """Loaded when first named: a worker needs little of this, and starts faster without."""
    from importlib import import_module
    if name not in _HOME:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    home = _HOME[name]
    if home is None:
        value = import_module("futured." + name)
    else:
        value = getattr(import_module(home if "." in home else "futured." + home), name)
    globals()[name] = value
    return value
