"""Several calls of one function in one task. In a worker.

Each has an outcome: a value that anybody can load, as it is; [bytes] for another value, pickled by itself; or an error map."""
from futured.worker import dumps, error_map

PLAIN = frozenset((int, float, bool, bytes, str, type(None)))


def run(fn, calls):
    outcomes = []
    for args in calls:
        try:
            value = fn(*args)
            outcomes.append(value if type(value) in PLAIN else [dumps(value)])
        except BaseException as e:
            outcomes.append(error_map(e))
    return outcomes
