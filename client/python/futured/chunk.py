"""Several calls of one function in one task, with one outcome each."""
from futured.worker import dumps, pickled_exception, text_of, traceback_of


class Outcomes(list):
    """(True, value) or (False, error map) per item."""

    def make_sendable(self):
        """After an attempt to pickle them failed: what cannot be pickled becomes an error of its item."""
        for i, (good, value) in enumerate(self):
            try:
                dumps(value)
            except BaseException as e:
                self[i] = (False, error_of(e))


def error_of(e):
    error = {"type": type(e).__name__, "message": text_of(e), "traceback": traceback_of(e), "task": True}
    error["data"] = pickled_exception(e)
    return error


def run(fn, items):
    outcomes = Outcomes()
    for args in items:
        try:
            outcomes.append((True, fn(*args)))
        except BaseException as e:
            outcomes.append((False, error_of(e)))
    return outcomes
