"""futured.Executor against a daemon: what holds beyond CPython's own tests (see test_python_cpython.py)."""
import collections
import concurrent.futures
import ctypes
import fractions
import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref

import msgpack
import pytest

import helpers
from helpers import eventually
from python_helper import CONFIG, PACKAGE, SHAPES, futured, pool, processes, run_script, touch, until_file  # noqa: F401
from futured import errors, worker

@pytest.fixture
def no_cloudpickle(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


# Tasks; workers import this module as pytest does.

def say(*lines):
    for line in lines:
        print(line)
    print("warning", file=sys.stderr)
    return len(lines)


def fail_third(n):
    if n % 3 == 2:
        raise LookupError(n)
    return n


def stop_iteration():
    raise StopIteration


class Odd(Exception):
    """Its unpickling fails: __init__ wants what args does not have."""

    def __init__(self, one, two):
        super().__init__("odd")


def raise_odd():
    raise Odd(1, 2)


def steps():
    futured.progress(1, 2, "half")


def odd_steps():
    for done in "half", None:
        try:
            futured.progress(done)
        except (TypeError, ValueError):
            pass
        else:
            return "taken"
    futured.progress(True, fractions.Fraction(1, 2), None)
    futured.progress(2**70)


def state_of(executor, future):
    return executor._connection.call("state", [future.id])[0]


def test_results_are_futures_of_the_standard_library(pool):
    f = pool.submit(pow, 2, 10)
    assert isinstance(f, concurrent.futures.Future)
    assert concurrent.futures.wait([f]).done == {f}
    assert f.result() == 1024 and isinstance(f.id, int)


def test_a_running_one_is_running_and_not_cancelled(pool, tmp_path):
    path = str(tmp_path / "go")
    f = pool.submit(until_file, path)
    eventually(f.running)
    assert f.cancel() is False and f.running()
    touch(path)
    assert f.result(10) == path and not f.running()


def test_a_pending_one_is_cancelled_and_told_at_once(pool, tmp_path):
    path = str(tmp_path / "go")
    busy = [pool.submit(until_file, path) for _ in range(2)]
    eventually(lambda: all(f.running() for f in busy))
    f, told = pool.submit(pow, 2, 2), []
    f.add_done_callback(lambda f: told.append(threading.get_ident()))
    assert f.cancel() is True and told == [threading.get_ident()]
    assert concurrent.futures.wait([f], timeout=0).done == {f}
    assert f.cancel() is True and len(told) == 1
    with pytest.raises(concurrent.futures.CancelledError):
        f.result()
    touch(path)
    assert [b.result(10) for b in busy] == [path, path]


def test_kill_ends_a_running_one(processes):
    f = processes.submit(until_file, "/nonexistent/never")
    eventually(f.running)
    assert f.kill() is True and f.cancelled()
    assert processes.submit(pow, 2, 2).result() == 4


def test_a_thread_cannot_be_killed(shared_daemon, tmp_path):
    path = str(tmp_path / "go")
    with futured.ThreadPoolExecutor(1, address="unix:" + shared_daemon.address) as pool:
        f = pool.submit(until_file, path)
        eventually(f.running)
        with pytest.raises(errors.UnsupportedError):
            f.kill()
        touch(path)
        assert f.result(10) == path


def test_the_death_of_a_worker_costs_one_task(processes, tmp_path):
    path = str(tmp_path / "go")
    spared = processes.submit(until_file, path)
    victim = processes.submit(until_file, "/nonexistent/never")
    eventually(lambda: victim.running() and spared.running())
    os.kill(processes._connection.call("show", victim.id)["pid"], signal.SIGKILL)
    with pytest.raises(concurrent.futures.process.BrokenProcessPool) as caught:
        victim.result(10)
    assert isinstance(caught.value, futured.WorkerLostError) and caught.value.signal == signal.SIGKILL
    touch(path)
    assert spared.result(10) == path and processes.submit(pow, 2, 3).result() == 8


def ask(pool, n):
    with futured.Executor(pool=pool, pickled=True) as executor:
        return executor.submit(pow, 2, n).result(20)


kept = {}


def ask_with_kept(pool, n):
    if pool not in kept:
        kept[pool] = futured.Executor(pool=pool, pickled=True)
    return kept[pool].submit(pow, 2, n).result(20)


@pytest.mark.parametrize("how", [ask, ask_with_kept])
def test_all_workers_may_wait_for_tasks_of_their_own_pool(pool, how):
    """Threads had one connection, which spoke for the last of their tasks only; an executor that was kept spoke for the first. So the daemon
    did not see that the others waited, too, and lent no worker."""
    for _ in range(2):
        futures = [pool.submit(how, pool._pool, n) for n in (2, 3)]
        assert [f.result(30) for f in futures] == [4, 8]


SURVIVES = """
import os, signal, sys
from futured import ProcessPoolExecutor, as_completed
def work(n):
    if n == 20:
        with open(sys.argv[1], "w") as f:
            print(os.getpid(), file=f, flush=True)
        signal.pause()
    return n
with ProcessPoolExecutor(2) as pool:
    futures = {pool.submit(work, n): n for n in range(200)}
    good, bad = [], []
    for f in as_completed(futures):
        (good if f.exception() is None else bad).append(f)
    print(len(good), [(futures[f], type(f.exception()).__name__) for f in bad])
    print(pool.submit(work, 7).result())
"""


def test_a_script_survives_a_kill_9_of_a_worker_with_one_failed_future(shared_daemon, tmp_path):
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    (tmp_path / "script.py").write_text(SURVIVES)
    (tmp_path / "pid").touch()
    script = subprocess.Popen(["/usr/bin/python3", str(tmp_path / "script.py"), str(tmp_path / "pid")], env=env, text=True, stdout=subprocess.PIPE)
    eventually(lambda: (tmp_path / "pid").read_text().endswith("\n"), 30)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert script.communicate(timeout=30)[0] == "199 [(20, 'WorkerLostError')]\n7\n"


def test_what_a_task_prints_appears_here_in_order_and_in_its_log(pool, capfd):
    lines = ["line %d" % i for i in range(2000)]
    f = pool.submit(say, *lines)
    assert f.result(10) == 2000
    out, err = capfd.readouterr()
    assert out.splitlines() == lines and err == "warning\n"
    assert pool._connection.call("output", f.id).decode().splitlines() == lines


def say_past_python():
    print("one")
    os.write(1, b"two\n")
    print("three")
    subprocess.run(["sh", "-c", "echo four; echo a >&2"], check=True)
    print("five")
    ctypes.CDLL(None).puts(b"six")
    ctypes.CDLL(None).printf(b"seven\n")
    print("b", file=sys.stderr)
    os.write(2, b"c\n")


def test_what_goes_past_python_to_1_and_2_is_the_tasks_too_in_order(processes, capfd):
    futures = [processes.submit(say_past_python) for _ in range(3)]
    for f in futures:
        f.result(10)
        assert processes._connection.call("output", f.id, {"stream": "both"}) == {
            "stdout": b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n", "stderr": b"a\nb\nc\n"}
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 21 and sorted(err.splitlines()) == sorted("abc" * 3)


def count(n):
    subprocess.run(["seq", str(n)], check=True)


def test_more_than_a_pipe_holds_is_read_while_the_task_waits(processes):
    f = processes.submit(count, 100000)
    f.result(30)
    assert processes._connection.call("output", f.id).startswith(b"1\n2\n")
    assert processes._connection.call("output", f.id, {"offset": 588895 - 7}) == b"100000\n"


def close_both():
    os.close(1)
    os.close(2)


def test_a_task_that_closes_1_and_2_hurts_only_its_own_output(shared_daemon, capfd):
    with futured.ProcessPoolExecutor(1, address="unix:" + shared_daemon.address) as pool:
        pool.submit(close_both).result(10)
        assert pool.submit(say, "still here").result(10) == 1
    assert capfd.readouterr() == ("still here\n", "warning\n")


def say_and_die(how):
    os.write(2, b"last ")
    print("words", file=sys.stderr, flush=True)
    os.write(2, b"of all\n")
    how(*(() if how is os.abort else (3,)))


@pytest.mark.parametrize("how", [os.abort, os._exit])
def test_last_words_are_heard(processes, capfd, how):
    processes.submit(say, "before").result(10)
    error = processes.submit(say_and_die, how).exception(10)
    assert isinstance(error, futured.WorkerLostError) and error.stderr == b"last words\nof all\n"
    assert capfd.readouterr().err.replace("warning\n", "") == "last words\nof all\n"


def fork_and_print():
    child = os.fork()
    if not child:
        print("child", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("parent")


def test_a_process_that_a_task_forks_prints_to_the_same_place(processes, capfd):
    for _ in range(20):
        processes.submit(fork_and_print).result(10)
    assert capfd.readouterr().out == "child\nparent\n" * 20


def test_map_goes_on_after_an_error_and_loses_nothing_of_a_chunk(pool):
    results, seen = pool.map(fail_third, range(7), chunksize=4), []
    while True:
        try:
            seen.append(next(results))
        except LookupError as e:
            assert "raise LookupError(n)" in str(e.__cause__)
            seen.append(e.args)
        except StopIteration:
            break
    assert seen == [0, 1, (2,), 3, 4, (5,), 6]


@pytest.mark.parametrize("chunksize", [1, 3])
def test_map_holds_no_result_that_it_has_returned(pool, chunksize):
    """As test_free_reference of CPython's own tests has it."""
    for result in pool.map(collections.Counter, ["ab"] * 7, chunksize=chunksize):
        seen = weakref.ref(result)
        del result
        assert seen() is None


def test_map_pulls_its_input_as_it_goes(pool):
    pulled = []

    def numbers():
        for i in range(10):
            pulled.append(i)
            yield i
    results = pool.map(abs, numbers(), buffersize=3)
    assert pulled == [0, 1, 2]
    assert next(results) == 0 and pulled == [0, 1, 2, 3]
    assert list(results) == list(range(1, 10))


@pytest.mark.parametrize("buffersize, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_map_refuses_a_bad_buffersize(pool, buffersize, error):
    with pytest.raises(error):
        pool.map(abs, [1], buffersize=buffersize)


def test_closing_map_cancels_what_has_not_begun(pool, tmp_path):
    path = str(tmp_path / "go")
    results = pool.map(until_file, [path] * 6, timeout=0)
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    touch(path)
    assert all(f.cancelled() or f.result(10) == path for f in list(pool._group))


def test_stop_iteration_of_a_task_does_not_end_the_loop(pool):
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        list(pool.map(lambda_free_stop, [1]))


def lambda_free_stop(_):
    stop_iteration()


def test_an_exception_that_cannot_be_made_again_breaks_nothing(pool):
    with pytest.raises(futured.RemoteError) as caught:
        pool.submit(raise_odd).result(10)
    assert caught.value.type == "Odd" and "raise Odd(1, 2)" in caught.value.traceback
    assert pool.submit(pow, 2, 2).result() == 4


@pytest.mark.parametrize("what", [lambda: 1, threading.Lock().acquire])
def test_what_cannot_be_pickled_fails_its_future_alone(pool, what, no_cloudpickle):
    f = pool.submit(what)
    assert isinstance(f.exception(), Exception)
    assert pool.submit(pow, 2, 2).result() == 4


def test_a_lambda_says_that_it_wants_cloudpickle(pool, no_cloudpickle):
    assert "only where cloudpickle is installed" in str(pool.submit(lambda: 1).exception())


def test_lambdas_and_closures_cross_by_cloudpickle(pool):
    pytest.importorskip("cloudpickle")
    three = 3
    assert pool.submit(lambda n: n * three, 5).result(10) == 15
    assert list(pool.map(lambda n: n + three, range(5), chunksize=2)) == [3, 4, 5, 6, 7]
    assert pool.submit(lambda: lambda: three).result(10)() == 3  # and back
    assert isinstance(pool.submit(lambda: threading.Lock()).exception(10), TypeError)


def test_exceptions_of_a_local_class_cross_by_cloudpickle(pool):
    pytest.importorskip("cloudpickle")

    def raises():
        class Local(Exception):
            pass
        raise Local("one", 2)
    error = pool.submit(raises).exception(10)
    assert type(error).__name__ == "Local" and error.args == ("one", 2) and "raise Local" in str(error.__cause__)


def test_an_initializer_may_be_a_closure(shared_daemon):
    pytest.importorskip("cloudpickle")
    where = "FUTURED_TEST_CLOSURE"
    with futured.ProcessPoolExecutor(1, initializer=lambda: os.environ.update({where: "1"}), address="unix:" + shared_daemon.address) as pool:
        assert pool.submit(os.getenv, where).result(10) == "1"


TYPED = """
import sys
sys.modules.update({modules})
import futured
def double(n):
    return 2 * n
with futured.Executor(1) as pool:
    print(pool.submit(double, 21).exception(10) or pool.submit(double, 21).result())
"""


@pytest.mark.parametrize("modules, expected", [("", "42"), ("cloudpickle=None", "install cloudpickle")])
def test_functions_that_were_typed_in_cross_by_value_or_say_what_they_want(shared_daemon, modules, expected):
    if not modules:
        pytest.importorskip("cloudpickle")
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    said = subprocess.check_output(["/usr/bin/python3", "-"], input=TYPED.format(modules=modules), env=env, text=True, timeout=60)
    assert expected in said


def lock_or_number(n):
    return threading.Lock() if n == 1 else n


def test_a_result_that_cannot_be_pickled_costs_its_item_alone(pool):
    results, seen = pool.map(lock_or_number, range(4), chunksize=4), []
    for _ in range(4):
        try:
            seen.append(next(results))
        except TypeError:
            seen.append(None)
    assert seen == [0, None, 2, 3]


def append(path, n, pause=0):
    time.sleep(pause)
    with open(path, "ab", buffering=0) as f:
        f.write(b"%d\n" % n)
    return n


def test_what_was_sent_ahead_and_cancelled_never_runs_and_the_rest_runs_once(pool, tmp_path):
    """Workers have many tasks at once, and the cancels meet them."""
    assert worker.find_claim() is not None  # else nothing is sent ahead
    path = str(tmp_path / "ledger")
    (tmp_path / "ledger").touch()
    futures = [pool.submit(append, path, n, 0.001 * (n >= 2000)) for n in range(3000)]   # the last ones take their time: the cancels come before
    cancelled = {n for n in range(2999, 0, -3) if futures[n].cancel()}
    done = {f.result(30) for n, f in enumerate(futures) if n not in cancelled}
    ran = [int(line) for line in open(path)]
    assert cancelled and sorted(ran) == sorted(done) and done == set(range(3000)) - cancelled


def append_and_maybe_die(path, n):
    append(path, n)
    if n % 50 == 0:
        print("printed", n)
    if n % 500 == 499:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def test_workers_that_die_with_tasks_ahead_lose_the_one_that_ran(processes, tmp_path, capfd):
    path = str(tmp_path / "ledger")
    futures = [processes.submit(append_and_maybe_die, path, n) for n in range(3000)]
    assert [n for n, f in enumerate(futures) if f.exception(60)] == list(range(499, 3000, 500))
    with open(path) as ran:
        assert sorted(map(int, ran)) == list(range(3000))
    assert len(capfd.readouterr().out.splitlines()) == 60


def test_the_package_alone_works_one_task_at_a_time(shared_daemon, tmp_path):
    """Without the library for claims."""
    shutil.copytree(os.path.join(helpers.ROOT, "client", "python", "futured"), str(tmp_path / "a" / "b" / "c" / "futured"))
    script = """
import futured, futured.worker
print(futured.worker.find_claim())
with futured.ProcessPoolExecutor(2) as pool:
    print(sum(pool.map(abs, range(300))))
"""
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "a" / "b" / "c"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    assert subprocess.check_output(["/usr/bin/python3", "-c", script], env=env, text=True, timeout=60) == "None\n44850\n"


def test_callbacks_may_use_the_executor(pool):
    seen, over = [], threading.Event()

    def then(f):
        seen.append(pool.submit(pow, f.result(), 2).id)
        later = pool.submit(until_file, "/")
        later.cancel(), later.running()
        over.set()
    pool.submit(pow, 2, 2).add_done_callback(then)
    assert over.wait(40) and isinstance(seen[0], int)


def test_attach_finds_a_future_from_another_process(pool, shared_daemon):
    f = pool.submit(divmod, 7, 2)
    id = f.id
    script = "import futured; print(futured.attach(%d).result(10))" % id
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    assert subprocess.check_output(["/usr/bin/python3", "-c", script], env=env, text=True) == "(3, 1)\n"


def test_attach_to_what_is_not_done_is_told_later(pool, shared_daemon, tmp_path):
    path = str(tmp_path / "go")
    first = pool.submit(until_file, path)
    again = futured.attach(pool.options(key="again" + path).submit(until_file, path).id, address="unix:" + shared_daemon.address)
    assert not again.done()
    touch(path)
    assert again.result(10) == first.result(10) == path


def finished(pool):
    return pool._connection.call("stats")["futures"]["FINISHED"]


def test_a_large_one_that_nobody_can_name_is_released_at_once(pool):
    before = finished(pool)
    for _ in range(3):
        assert len(pool.submit(bytes, 100000).result(20)) == 100000
    eventually(lambda: finished(pool) == before)


def test_what_nobody_can_name_is_released_at_the_interpreters_end(processes, shared_daemon):
    """Without a shutdown the last ones were kept."""
    before = finished(processes)
    script = "import futured\nif __name__ == '__main__':\n    pool = futured.ProcessPoolExecutor(1)\n    print(sum(pool.map(abs, range(10))))\n"
    assert run_script(shared_daemon, script) == "45\n"
    eventually(lambda: finished(processes) == before)


def test_futures_that_nobody_can_name_are_released(pool):
    """They waited for the next submits."""
    before = finished(pool)
    assert list(pool.map(abs, range(3000))) == list(range(3000))
    eventually(lambda: finished(pool) - before < 300)


def test_options_travel_with_the_task(processes):
    f = processes.options(name="slow", tags=["a"], priority=7, timeout=0.05).submit(until_file, "/nonexistent/never")
    shown = processes._connection.call("show", f.id)
    assert (shown["name"], shown["tags"], shown["priority"]) == ("slow", ["a"], 7)
    assert isinstance(f.exception(10), futured.TaskTimeoutError)
    with pytest.raises(TypeError):
        processes.options(prioritty=1)


def test_tasks_are_shown_by_the_name_of_their_function(processes):
    shown = [processes._connection.call("show", f.id)["name"] for f in (
        processes.submit(until_file, "/"), processes.options(priority=1).submit(pow, 2, 2), processes.options(name="mine").submit(pow, 2, 2),
        processes.submit(functools.partial(pow, 2), 2))]
    assert shown == ["until_file", "pow", "mine", "partial"]
    list(processes.map(touch_nothing, range(4), chunksize=2))
    assert "touch_nothing" in [f.get("name") for f in processes._connection.call("list", {"pool": processes._pool, "limit": 100})]


def touch_nothing(n):
    return n


def test_a_plain_call_that_is_too_large_costs_only_itself(launch):
    daemon = launch({"limits": {"message": "1MiB"}})
    with futured.Executor(pool="py", address="unix:" + daemon.address) as pool:
        first = pool.submit("time.sleep", 0.01)
        assert isinstance(pool.submit("len", bytes(2 << 20)).exception(10), ValueError)
        assert first.exception(10) is None and pool.submit("len", b"123").result(10) == 3


def test_a_dependency_that_failed_is_the_cause(processes):
    first = processes.submit(divmod, 1, 0)
    error = processes.options(after=first).submit(pow, 2, 2).exception(10)
    assert isinstance(error, futured.DependencyError) and isinstance(error.__cause__, Exception)


def test_progress_is_told(pool):
    f = pool.submit(steps)
    f.result(10)
    assert f.progress == (1, 2, "half")


def test_progress_that_is_no_number_is_the_tasks_error(pool):
    f = pool.submit(odd_steps)
    assert f.result(10) is None
    assert f.progress == (2.0**70, None, "")


def test_a_failing_initializer_breaks_the_pool_and_says_why(shared_daemon, caplog):
    with caplog.at_level(logging.CRITICAL, "concurrent.futures"):
        with futured.ProcessPoolExecutor(1, initializer=divmod, initargs=(1, 0), address="unix:" + shared_daemon.address) as pool:
            assert isinstance(pool.submit(pow, 2, 2).exception(10), futured.BrokenPoolError)
            with pytest.raises(concurrent.futures.BrokenExecutor):
                pool.submit(pow, 2, 2)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("shape", SHAPES.values())
@pytest.mark.parametrize("arguments, error", [
    ({"max_workers": 0}, ValueError), ({"max_workers": -1}, ValueError), ({"initializer": 5}, TypeError), ({"max_workers": "2"}, TypeError)])
def test_wrong_arguments_are_refused_as_the_standard_library_does(shape, arguments, error):
    theirs = getattr(concurrent.futures, shape.__name__)
    with pytest.raises(error) as expected:
        theirs(**arguments)
    with pytest.raises(error) as got:
        shape(**arguments)
    assert str(got.value) == str(expected.value)


@pytest.mark.parametrize("value, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_wrong_max_tasks_per_child_too(value, error):
    with pytest.raises(error):
        futured.ProcessPoolExecutor(1, max_tasks_per_child=value)


def test_a_worker_is_replaced_after_its_tasks(shared_daemon):
    with futured.ProcessPoolExecutor(1, max_tasks_per_child=2, address="unix:" + shared_daemon.address) as pool:
        pids = [pool.submit(os.getpid).result(10) for _ in range(4)]
    assert pids[0] == pids[1] and pids[2] == pids[3] and pids[1] != pids[2]


def test_terminate_workers_breaks_what_runs_and_cancels_what_waits(shared_daemon):
    pool = futured.ProcessPoolExecutor(1, address="unix:" + shared_daemon.address)
    running, waiting = pool.submit(until_file, "/nonexistent/never"), pool.submit(pow, 2, 2)
    eventually(running.running)
    pool.terminate_workers()
    pool.terminate_workers()
    assert isinstance(running.exception(10), concurrent.futures.process.BrokenProcessPool)
    with pytest.raises(concurrent.futures.CancelledError):
        waiting.result(10)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(pow, 2, 2)


def test_a_configured_pool_takes_import_paths_and_plain_values(shared_daemon):
    with futured.Executor(pool="py", address="unix:" + shared_daemon.address) as pool:
        assert pool.submit(os.path.join, "a", "b").result(10) == "a/b"
        assert pool.submit("math.sqrt", 2).result(10) == 2 ** 0.5
        assert pool.submit(int, "12", base=8).result(10) == 10
        assert isinstance(pool.submit(divmod, 1, 0).exception(10), ZeroDivisionError)
        assert isinstance(pool.submit(lambda: 1).exception(10), ValueError)


def test_workers_that_were_not_allowed_to_unpickle_do_not(shared_daemon):
    with futured.Executor(pool="py", pickled=True, address="unix:" + shared_daemon.address) as pool:
        with pytest.raises(Exception, match="--unpickle"):
            pool.submit(pow, 2, 2).result(10)


def test_a_daemon_that_dies_fails_what_it_had(launch):
    daemon = launch()
    pool = futured.ProcessPoolExecutor(1, address="unix:" + daemon.address)
    f = pool.submit(until_file, "/nonexistent/never")
    eventually(f.running)
    daemon.kill()
    assert isinstance(f.exception(10), futured.BrokenPoolError)
    with pytest.raises(futured.BrokenPoolError, match="connection"):
        pool.submit(pow, 2, 2)
    pool.shutdown()


def test_the_users_daemon_is_started_on_first_use(tmp_path):
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONDONTWRITEBYTECODE": "1",
           "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python")}
    env.pop("FUTURED_ADDRESS", None)
    script = tmp_path / "script.py"
    script.write_text("""
import futured
def double(n):
    return 2 * n
pool = futured.Executor(1)
print(pool.submit(double, 21).result())
pool.shutdown()
pool._connection.call("shutdown")
""")
    refused = subprocess.run(["/usr/bin/python3", str(script)], env={**env, "FUTURED_NO_START": "1"}, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "FUTURED_NO_START" in refused.stderr
    ended = subprocess.run(["/usr/bin/python3", str(script)], env=env, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("42\n", "")
    eventually(lambda: not os.path.exists(str(tmp_path / "futured" / "futured.sock")), 10)


def test_a_daemon_that_cannot_start_is_quoted(tmp_path):
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"),
           "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python")}
    env.pop("FUTURED_ADDRESS", None)
    (tmp_path / "state" / "futured").mkdir(parents=True)
    (tmp_path / "state" / "futured" / "futured.db").write_text("This is no database. " * 100)
    ended = subprocess.run(["/usr/bin/python3", "-c", "import futured; futured.Executor(1)"], env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "futured.db: " in ended.stderr.splitlines()[-1]


def test_what_make_install_installs_works_from_there(tmp_path):
    prefix, run = tmp_path / "installed", tmp_path / "run"
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "FUTURED_ADDRESS")}
    build = "B=" + os.path.relpath(helpers.BUILD, helpers.ROOT)
    subprocess.run(["make", "-s", "-C", helpers.ROOT, build, "install", "PREFIX=%s" % prefix], env=env, check=True, stdout=subprocess.DEVNULL)
    run.mkdir(0o700)
    env.update(XDG_RUNTIME_DIR=str(run), XDG_STATE_HOME=str(run), PYTHONDONTWRITEBYTECODE="1",
               PYTHONPATH=str(prefix / "lib" / "futured" / "python"))
    script = "import futured\nwith futured.Executor(1) as pool: print(pool.submit(pow, 2, 3).result())\n"
    assert subprocess.check_output(["/usr/bin/python3", "-c", script], env=env, text=True, timeout=60) == "8\n"
    fut = [str(prefix / "bin" / "fut")]
    assert subprocess.check_output(fut + ["call", "py", "math.sqrt", "4"], env=env, timeout=60) == b"2.0\n"
    subprocess.run(fut + ["daemon", "stop"], env=env, check=True, timeout=60)


def test_a_script_without_a_main_guard_works(shared_daemon, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
import futured
pool = futured.ThreadPoolExecutor(2)
one = futured.interpreters.create()
one.exec("kept = 1")
def double(n):
    return 2 * n
print(list(pool.map(double, [1, 2])), one.call(double, 4))
one.exec("print(kept)")
pool.shutdown(), one.close()
""")
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    ended = subprocess.run(["/usr/bin/python3", str(script)], env=env, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("[2, 4] 8\n1\n", "")


def test_what_a_script_defines_below_its_first_submit_is_there_too(shared_daemon, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
from futured import ProcessPoolExecutor
with ProcessPoolExecutor(1) as pool:
    print(pool.submit(abs, -1).result())
    import math
    def root(n):
        return math.sqrt(n) * FACTOR
FACTOR: int = 3
computed = [FACTOR] * 2
def later(n, default=[FACTOR]):
    return n, default, Kind.name
def never(x=computed):
    pass
class Kind:
    name = "kind"
with ProcessPoolExecutor(2) as pool:
    print(pool.submit(root, 4).result(), pool.submit(later, 5).result())
    print(type(pool.submit(never).exception()).__name__)
""")
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    ended = subprocess.run(["/usr/bin/python3", str(script)], env=env, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("1\n6.0 (5, [3], 'kind')\nTransferError\n", "")


def raise_long(n):
    raise LookupError("x" * n)


def test_results_and_errors_beyond_the_limit_cost_their_task_alone(launch):
    daemon = launch({"limits": {"message": "1MiB"}})
    with futured.ProcessPoolExecutor(1, address="unix:" + daemon.address) as pool:
        pid = pool.submit(os.getpid).result(10)
        assert "limits.message" in str(pool.submit(bytes, 2 << 20).exception(10))
        error = pool.submit(raise_long, 2 << 20).exception(10)
        assert isinstance(error, futured.RemoteError) and error.type == "LookupError"
        assert isinstance(pool.submit(len, bytes(2 << 20)).exception(10), ValueError)
        assert len(pool.submit(bytes, 1000000).result(10)) == 1000000 and pool.submit(os.getpid).result(10) == pid


def test_plain_values_nest_24_deep_and_no_deeper(shared_daemon):
    with futured.Executor(pool="py", address="unix:" + shared_daemon.address) as pool:
        assert pool.submit("json.loads", "[" * 24 + "]" * 24).exception(10) is None
        assert "nested deeper than 24" in str(pool.submit("json.loads", "[" * 25 + "]" * 25).exception(10))


def test_a_forked_child_has_no_executors_but_may_make_new_ones(shared_daemon, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
import os, sys, time
import futured
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.01)
if __name__ == "__main__":
    pool, path = futured.ProcessPoolExecutor(1), sys.argv[1]
    pending = [pool.submit(wait, path), pool.submit(pow, 2, 5)]
    if os.fork() == 0:
        try:
            pool.submit(pow, 2, 2)
        except futured.BrokenPoolError as e:
            print(e)
        with futured.ProcessPoolExecutor(1) as mine:
            print("the child's:", mine.submit(pow, 2, 3).result(), flush=True)
        sys.exit(7)  # waits for nothing of its parent
    print(os.waitstatus_to_exitcode(os.wait()[1]))
    open(path, "w").close()
    print("the parent's:", pending[1].result())
""")
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    ended = subprocess.run(["/usr/bin/python3", str(script), str(tmp_path / "go")], env=env, capture_output=True, text=True, timeout=60)
    assert (ended.stdout.splitlines(), ended.stderr) == (
        ["this process was forked from the one whose executor it was", "the child's: 8", "7", "the parent's: 32"], "")


def test_a_script_that_ends_right_after_its_submits_has_made_them(shared_daemon, tmp_path):
    """Those that were to travel together, too; the pool is not the script's own, so nothing waits for them."""
    script = """
import futured, sys
pool = futured.Executor(pool="py")
pool.submit("time.sleep", 0.01)
for n in range(20):
    pool.submit("os.mkdir", "%s/%d" % (sys.argv[1], n))
"""
    env = {**os.environ, "PYTHONPATH": os.path.join(helpers.ROOT, "client", "python"), "FUTURED_ADDRESS": "unix:" + shared_daemon.address}
    for attempt in range(5):
        (tmp_path / str(attempt)).mkdir()
        subprocess.run(["/usr/bin/python3", "-c", script, str(tmp_path / str(attempt))], env=env, check=True, timeout=60)
        eventually(lambda: len(os.listdir(tmp_path / str(attempt))) == 20, 10)


AS_THE_CALLER = """
import os, sys
sys.path[:0] = sys.argv[1:]
from futured import ProcessPoolExecutor, ThreadPoolExecutor
def flags():
    return __debug__, sys.flags.dev_mode, sys.flags.isolated, "error" in sys.warnoptions, oct(os.umask(0o077))
if __name__ == "__main__":
    os.umask(0o077)
    for kind in ProcessPoolExecutor, ThreadPoolExecutor:
        with kind(1) as pool:
            print(pool.submit(flags).result())
"""


def test_workers_run_with_the_callers_options_and_umask(shared_daemon):
    """Assertions that -O takes out were there, and a private program's files could be read by all."""
    places = PACKAGE, os.path.dirname(os.path.dirname(msgpack.__file__))
    flags = ["-I", "-S", "-O", "-X", "dev", "-W", "error"]
    assert run_script(shared_daemon, AS_THE_CALLER, *places, flags=flags) == "(False, True, 1, True, '0o77')\n" * 2


def test_an_interpreter_whose_process_dies_is_dead(shared_daemon, monkeypatch):
    """What came next ran in a new and empty one, and nothing said so."""
    monkeypatch.setenv("FUTURED_ADDRESS", "unix:" + shared_daemon.address)
    one = futured.interpreters.create()
    one.exec("x = 1")
    for code in "import os; os._exit(4)", "y = 2":
        with pytest.raises(futured.interpreters.ExecutionFailed, match="WorkerLostError: .*status 4"):
            one.exec(code)
    with pytest.raises(futured.WorkerLostError):
        one.prepare_main(y=2)
    one.close()


def test_what_a_task_prints_comes_as_it_is(shared_daemon):
    """What is no UTF-8 came as question marks, and so did a character that was cut in two on the way."""
    code = """
import os, sys
from futured import ThreadPoolExecutor, ProcessPoolExecutor
def say(how):
    how(b"x" + 100000 * b"\\xc3\\xa9" + b"\\xff\\x00\\n")
def past(data):
    while data:
        data = data[os.write(1, data):]
def through(data):
    sys.stdout.buffer.write(data)
if __name__ == "__main__":
    print("begin")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(say, through).result()
    with ProcessPoolExecutor(1) as pool:
        pool.submit(say, through).result()
        pool.submit(say, past).result()
    print("end")
"""
    said = b"x" + 100000 * b"\xc3\xa9" + b"\xff\x00\n"
    path = shared_daemon.path("say.py")
    with open(path, "w") as f:
        f.write(code)
    env = {**os.environ, "PYTHONPATH": PACKAGE, "FUTURED_ADDRESS": "unix:" + shared_daemon.address, "PYTHONUTF8": "1"}
    assert subprocess.check_output(["/usr/bin/python3", path], env=env, timeout=60) == b"begin\n" + 3 * said + b"end\n"


def test_map_submits_by_the_submit_of_a_subclass(shared_daemon):
    """It went past it."""
    class Squares(futured.ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            return super().submit(pow, *args, 2)
    with Squares(1, address="unix:" + shared_daemon.address) as pool:
        assert list(pool.map(abs, range(3))) == [0, 1, 4]
