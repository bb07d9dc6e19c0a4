"""map in chunks: an outcome per item, always."""
import gc
import os
import threading

import pytest

from helpers import eventually
from python_helper import CONFIG, futured, pool, processes, touch, until_file  # noqa: F401


def outcomes(results):
    """Each a value, or the name of an error's class."""
    seen = []
    while True:
        try:
            seen.append(next(results))
        except StopIteration:
            return seen
        except Exception as e:
            seen.append(type(e).__name__)


def fail(*args):
    raise LookupError(*args)


class NotSent:
    def __reduce__(self):
        raise TypeError("it does not want to be sent")


class NotLoaded:
    def __reduce__(self):
        return fail, ("when it is loaded",)


def die_at_two(n):
    return os._exit(3) if n == 2 else n


def wait_at_two(path, n):
    return until_file(path) if n == 2 else n


kept = []


def give(n):
    if n == 8:
        kept.append(n)
        return kept
    return {1: NotSent(), 3: NotLoaded(), 5: {"a": [n]}, 6: (n, "six"), 7: None}.get(n, n)


@pytest.mark.parametrize("size", [1, 4, 8])
def test_a_result_that_cannot_be_sent_or_loaded_costs_its_item_alone(pool, size):
    """One that could not be loaded was one error for its chunk."""
    assert outcomes(pool.map(give, range(8), chunksize=size)) == [0, "TypeError", 2, "TransferError", 4, {"a": [5]}, (6, "six"), None]


def test_a_result_is_as_it_was_when_its_call_returned(processes):
    assert list(processes.map(give, [8, 8, 8], chunksize=3)) == [[8], [8, 8], [8, 8, 8]]


@pytest.mark.parametrize("size", [1, 4, 8])
def test_an_argument_that_cannot_be_sent_costs_its_item_alone(pool, size):
    """It was one error for its chunk."""
    assert outcomes(pool.map(type, [0, 1, NotSent(), 3, 4, 5, NotSent(), 7], chunksize=size)) == [int, int, "TypeError", int, int, int, "TypeError", int]


def test_so_does_one_that_is_too_large(launch):
    sizes = [400000, 400000, 400000, 3000000, 5]
    with futured.ProcessPoolExecutor(1, address="unix:" + launch({"limits": {"message": "1MiB"}}).address) as pool:
        assert outcomes(pool.map(len, [bytes(n) for n in sizes], chunksize=5)) == [400000, 400000, 400000, "ValueError", 5]
        assert outcomes(pool.map(bytes, sizes, chunksize=5)) == ["ValueError"] * 5


@pytest.mark.parametrize("size", [1, 3])
def test_a_function_that_cannot_be_sent_is_an_error_per_item(pool, size):
    assert outcomes(pool.map(threading.Lock().acquire, range(5), chunksize=size)) == ["TypeError"] * 5


@pytest.mark.parametrize("map, error", [
    (lambda pool: pool.map(type, [0, NotLoaded(), 2, 3, 4], chunksize=4), "TransferError"),
    (lambda pool: pool.map(die_at_two, range(1, 6), chunksize=4), "WorkerLostError"),
    (lambda pool: pool.options(timeout=0.5).map(wait_at_two, ["/nonexistent/never"] * 5, range(1, 6), chunksize=4), "TaskTimeoutError")])
def test_what_costs_a_chunk_is_an_error_for_each_of_its_items(processes, map, error):
    """It was one for all: the results after it were taken for those of other items."""
    assert outcomes(map(processes))[:4] == [error] * 4


def test_a_chunk_that_is_cancelled_is_that_many_cancelled_items(shared_daemon, tmp_path):
    pool, path = futured.ProcessPoolExecutor(1, address="unix:" + shared_daemon.address), str(tmp_path / "go")
    first = pool.submit(until_file, path)
    eventually(first.running)
    results = pool.map(abs, range(10), chunksize=4)
    pool.shutdown(wait=False, cancel_futures=True)
    touch(path)
    assert outcomes(results) == ["CancelledError"] * 10 and first.result(20) == path


def test_options_that_cannot_be_sent_are_an_error_and_hold_nothing_up(processes):
    """What was not sent was still waited for, by shutdown."""
    assert type(processes.options(tags={object()}).submit(abs, 1).exception(20)) is TypeError


@pytest.mark.parametrize("size", [1, 3])
def test_map_is_closed_when_it_is_dropped_after_an_error(shared_daemon, tmp_path, size):
    path = str(tmp_path / "go")
    with futured.ProcessPoolExecutor(1, address="unix:" + shared_daemon.address) as pool:
        results = pool.map(until_file_or_fail, [path] * 12, [n // size for n in range(12)], chunksize=size)
        for _ in range(size):
            with pytest.raises(LookupError):
                next(results)
        left = list(pool._group)
        eventually(lambda: any(f.running() for f in left))
        gc.disable()
        try:
            del results
            eventually(lambda: sum(f.cancelled() for f in left) == 12 // size - 2)
        finally:
            gc.enable()
            touch(path)


def until_file_or_fail(path, n):
    return until_file(path) if n else fail(n)
