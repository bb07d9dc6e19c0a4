"""Callbacks of the Python client: whatever one does, results still come, and everything may be waited for in one."""
import concurrent.futures
import sys
import threading

import pytest

from helpers import eventually
from python_helper import CONFIG, futured, pool, processes, run_script, touch, until_file  # noqa: F401


def call_back(pool, path, callback):
    """What the callback of a task returns, or raises; it is added while the task runs."""
    outcome = concurrent.futures.Future()

    def settle(f):
        try:
            outcome.set_result(callback(f))
        except BaseException as e:
            outcome.set_exception(e)
    f = pool.submit(until_file, path)
    f.add_done_callback(settle)
    touch(path)
    return outcome.result(40)


def raise_lookup_error():
    raise LookupError("of a task")


@pytest.mark.parametrize("ask, expected", [
    (lambda pool: pool.submit(pow, 2, 3).result(30), 8),
    (lambda pool: repr(pool.submit(raise_lookup_error).exception(30)), "LookupError('of a task')"),
    (lambda pool: len(concurrent.futures.wait([pool.submit(pow, 2, n) for n in range(5)], 30).done), 5),
    (lambda pool: sorted(f.result() for f in concurrent.futures.as_completed([pool.submit(abs, n) for n in range(5)], 30)), [0, 1, 2, 3, 4]),
    (lambda pool: list(pool.map(abs, range(5), chunksize=2)), [0, 1, 2, 3, 4]),
    (lambda pool: type(pool.submit(pow, 2, 2).running()), bool)])
def test_a_callback_may_wait_for_other_tasks(pool, tmp_path, ask, expected):
    """It ran in the thread that reads what the daemon says, so what it waited for never came."""
    assert call_back(pool, str(tmp_path / "go"), lambda f: ask(pool)) == expected


def test_many_callbacks_wait_one_after_the_other(pool, tmp_path):
    """Each waited inside the one before it would be too deep."""
    seen, path = [], str(tmp_path / "go")
    futures = [pool.submit(until_file, path) for _ in range(2000)]
    for f in futures:
        f.add_done_callback(lambda f: seen.append(pool.submit(abs, len(seen)).result(30)))
    touch(path)
    eventually(lambda: len(seen) == 2000, 60)
    assert seen == list(range(2000))


def test_a_callback_that_blocks_holds_up_no_result(pool, tmp_path):
    go, path = threading.Event(), str(tmp_path / "go")
    f = pool.submit(until_file, path)
    f.add_done_callback(lambda f: go.wait(60))
    touch(path)
    assert f.result(20) == path and pool.submit(pow, 2, 3).result(20) == 8
    go.set()


@pytest.mark.parametrize("wait", [True, False])
def test_shutdown_in_a_callback_returns(shared_daemon, tmp_path, wait):
    """It waited for its own future's callbacks, for ever."""
    pool = futured.ThreadPoolExecutor(2, address="unix:" + shared_daemon.address)
    others = []

    def end(f):
        others.extend(pool.submit(pow, 2, n) for n in range(3))
        pool.shutdown(wait=wait)
        return [o.done() for o in others]
    done = call_back(pool, str(tmp_path / "go"), end)
    assert done == [True] * 3 or not wait
    assert [o.result(20) for o in others] == [1, 2, 4]


def test_so_it_does_where_a_cancel_called_back(shared_daemon, tmp_path):
    pool, path, over = futured.ProcessPoolExecutor(1, address="unix:" + shared_daemon.address), str(tmp_path / "go"), []
    first, second = pool.submit(until_file, path), pool.submit(pow, 2, 2)

    def end(f):
        touch(path)
        pool.shutdown()
        over.append(first.done())
    second.add_done_callback(end)
    eventually(first.running)
    assert second.cancel() and over == [True]


def test_the_last_callback_may_end_the_executor_of_a_script(shared_daemon):
    assert run_script(shared_daemon, """
from futured import ThreadPoolExecutor
left = 3
def done(f):
    global left
    left -= 1
    if not left:
        e.shutdown()
        print("ended")
def work(n):
    return n
if __name__ == "__main__":
    e = ThreadPoolExecutor(2)
    for n in range(3):
        e.submit(work, n).add_done_callback(done)
""") == "ended\n"


def test_what_a_callback_lets_through_is_logged_and_ends_nothing(pool, tmp_path, caplog):
    """SystemExit ended the thread that reads, and with it every executor of the process."""
    path, skipped = str(tmp_path / "go"), []
    f = pool.submit(until_file, path)
    f.add_done_callback(lambda f: sys.exit("from a callback"))
    f.add_done_callback(skipped.append)
    touch(path)
    assert f.result(20) == path
    eventually(lambda: "from a callback" in caplog.text)
    assert pool.submit(pow, 2, 3).result(20) == 8 and skipped == []


def test_cancel_lets_it_through_and_the_pool_lives(processes, tmp_path):
    """As in the standard library; the future stayed among those that shutdown waits for."""
    path = str(tmp_path / "go")
    running = [processes.submit(until_file, path) for _ in range(2)]
    waiting, told = [processes.submit(pow, 2, n) for n in range(3)], []
    eventually(lambda: all(f.running() for f in running))
    waiting[0].add_done_callback(lambda f: sys.exit("from a callback"))
    waiting[1].add_done_callback(told.append)
    with pytest.raises(SystemExit):
        processes._connection.cancel([f.id for f in waiting])
    assert told == [waiting[1]] and all(f.cancelled() for f in waiting)
    touch(path)
    processes.shutdown()


class Falsy(Exception):
    def __bool__(self):
        return False


def raise_falsy():
    raise Falsy("false")


def test_an_exception_that_is_false_is_raised(pool):
    """Up to CPython 3.14.1 result() returned None."""
    f = pool.submit(raise_falsy)
    with pytest.raises(Falsy):
        f.result(20)
    assert isinstance(f.exception(), Falsy)


def test_a_future_of_ones_own_is_as_the_standard_librarys():
    made, told = futured.Future(), []
    made.add_done_callback(told.append)
    assert made.set_running_or_notify_cancel() and made.running() and not made.cancel()
    made.set_result(5)
    assert made.result() == 5 and told == [made] and made.id is None
    with pytest.raises(concurrent.futures.InvalidStateError):
        made.set_result(6)
    cancelled = futured.Future()
    assert cancelled.cancel() and cancelled.cancelled() and not cancelled.running()


def test_an_executor_of_ones_own_may_be_made_of_executor_and_future():
    class Here(concurrent.futures.Executor):
        def submit(self, fn, /, *args, **kwargs):
            f = futured.Future()
            f.set_result(fn(*args, **kwargs))
            return f
    assert list(Here().map(abs, [-1, 2])) == [1, 2]
