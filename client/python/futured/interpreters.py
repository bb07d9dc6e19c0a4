"""Shaped like concurrent.interpreters of Python 3.14: create, exec, call. Each interpreter is a process of its own, whose state is
kept from one call to the next. One whose process has died is dead: a new process would know nothing."""
import sys
import types

from futured import errors, mainmodule
from futured.executor import Executor


class ExecutionFailed(Exception):
    """What was run in an interpreter raised; the cause has its traceback."""


class Interpreter:
    def __init__(self):
        self._executor = Executor(1)
        self._lost = None  # its process is no more, and with it its state

    def _run(self, fn, args, kwargs):
        if self._lost is not None:
            raise self._lost
        try:
            return self._executor.submit(fn, *args, **kwargs).result()
        except errors.WorkerLostError as e:
            self._lost = e
            self._executor.shutdown(wait=False)
            raise

    def exec(self, code):
        """Runs source text in the interpreter's __main__. Its names stay there."""
        if not mainmodule.running:
            self.call(_exec, code)

    def call(self, fn, /, *args, **kwargs):
        try:
            return self._run(fn, args, kwargs)
        except Exception as e:
            raise ExecutionFailed("%s: %s" % (type(e).__name__, e)) from e

    def prepare_main(self, ns=None, /, **kwargs):
        """Puts names into its __main__."""
        if not mainmodule.running:
            self._run(_bind, [{**(ns or {}), **kwargs}], {})

    def close(self):
        self._executor.shutdown()


def create():
    return Interpreter()


def _namespace():
    main = sys.modules.setdefault("__main__", types.ModuleType("__main__"))
    return main.__dict__


def _exec(code):
    exec(compile(code, "<string>", "exec"), _namespace())


def _bind(names):
    _namespace().update(names)
