"""CPython's own test/test_concurrent_futures.py, untouched, against futured's executors.

    python3 tests/python/adapter.py [-v] [Class[.test_method] …]

The tests come as mixins that want executor_type, worker_count, executor_kwargs and get_context. Those of Debian's
libpython3.11-testsuite are given futured's executors here. Where a test runs a script of its own, the script is given them too.
docs/cpython-tests.md says which tests cannot apply and why; NOT_APPLICABLE is its source."""
import concurrent.futures
import multiprocessing
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "client", "python")
sys.path.insert(0, PACKAGE)

import futured  # noqa: E402
import test.test_concurrent_futures as theirs  # noqa: E402

SHARED = "passes a lock, a semaphore or a closure over the caller's memory, which no other process tree can share"
INSIDE = "looks at the standard executor's own threads, processes or queues"
ONE_DEATH = "wants the whole pool broken by one worker's death; here only that task fails and the pool heals"
NOT_APPLICABLE = {
    "ThreadPoolShutdownTest.test_threads_terminate": SHARED,
    "ThreadPoolShutdownTest.test_context_manager_shutdown": INSIDE,
    "ThreadPoolShutdownTest.test_del_shutdown": INSIDE,
    "ThreadPoolShutdownTest.test_shutdown_no_wait": INSIDE,
    "ThreadPoolShutdownTest.test_thread_names_assigned": INSIDE,
    "ThreadPoolShutdownTest.test_thread_names_default": INSIDE,
    "ProcessPoolShutdownTest.test_processes_terminate": SHARED,
    "ProcessPoolShutdownTest.test_context_manager_shutdown": INSIDE,
    "ProcessPoolShutdownTest.test_del_shutdown": INSIDE,
    "ProcessPoolShutdownTest.test_shutdown_no_wait": INSIDE,
    "ThreadPoolWaitTests.test_pending_calls_race": SHARED,
    "ThreadPoolExecutorTest.test_map_submits_without_iteration": SHARED,
    "ThreadPoolExecutorTest.test_saturation": SHARED,
    "ThreadPoolExecutorTest.test_idle_thread_reuse": INSIDE,
    "ThreadPoolExecutorTest.test_hang_global_shutdown_lock": "tests the standard library's own lock across fork",
    "ThreadPoolExecutorTest.test_executor_map_current_future_cancel": SHARED,
    "ProcessPoolExecutorTest.test_max_workers_too_large": "Windows only",
    "ProcessPoolExecutorTest.test_killed_child": ONE_DEATH,
    "ProcessPoolExecutorTest.test_saturation": SHARED,
    "ProcessPoolExecutorTest.test_idle_process_reuse_one": INSIDE,
    "ProcessPoolExecutorTest.test_idle_process_reuse_multiple": INSIDE,
    "ProcessPoolExecutorTest.test_max_tasks_per_child": INSIDE,
    "ProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context": INSIDE,
}


class Ended:
    """Stands for the thread that the standard executor has, where a test joins it."""

    def __init__(self, executor):
        self.executor = executor

    def join(self):
        self.executor.shutdown(wait=True)


class ProcessPoolExecutor(futured.ProcessPoolExecutor):
    _processes = {}

    @property
    def _executor_manager_thread(self):
        return Ended(self)


class ThreadPoolExecutor(futured.ThreadPoolExecutor):
    pass


concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor
concurrent.futures.ProcessPoolExecutor = ProcessPoolExecutor
PRELUDE = "import sys; sys.path.insert(0, %r); import concurrent.futures, futured\n" % PACKAGE + "\n".join(
    "concurrent.futures.%s = futured.%s" % (name, name) for name in ("ThreadPoolExecutor", "ProcessPoolExecutor")) + "\n"
run_script = theirs.assert_python_ok


def assert_python_ok(*args, **keys):
    args = list(args)
    args[args.index("-c") + 1] = PRELUDE + args[args.index("-c") + 1]
    return run_script(*args, **{k: v for k, v in os.environ.items() if k.startswith(("XDG_", "FUTURED_", "HOME"))}, __isolated=False, **keys)


theirs.assert_python_ok = assert_python_ok


class ThreadPool(theirs.ExecutorMixin):
    executor_type = ThreadPoolExecutor


class ProcessPool(theirs.ExecutorMixin):
    """Without `ctx`: there is no start method to choose. Those tests that ask get spawn, which is what ours is like."""
    executor_type = ProcessPoolExecutor

    def get_context(self):
        return multiprocessing.get_context("spawn")


def classes():
    """A test class per mixin and executor, named as CPython names them."""
    generic = [theirs.InitializerMixin, theirs.FailingInitializerMixin, theirs.AsCompletedTests]
    both = [("ThreadPool", m, ThreadPool) for m in generic] + [("ProcessPool", m, ProcessPool) for m in generic]
    for prefix, mixin, executor in both:
        name = mixin.__name__.replace("Mixin", "").replace("Tests", "")
        yield prefix + name + "Test", (mixin, executor, theirs.BaseTestCase)
    yield "ThreadPoolShutdownTest", (ThreadPool, theirs.ThreadPoolShutdownTest)
    yield "ThreadPoolWaitTests", (ThreadPool, theirs.ThreadPoolWaitTests)
    yield "ThreadPoolExecutorTest", (ThreadPool, theirs.ThreadPoolExecutorTest)
    yield "ProcessPoolShutdownTest", (ProcessPool, theirs.ProcessPoolShutdownTest, theirs.BaseTestCase)
    yield "ProcessPoolWaitTests", (ProcessPool, theirs.WaitTests, theirs.BaseTestCase)
    yield "ProcessPoolExecutorTest", (ProcessPool, theirs.ProcessPoolExecutorTest, theirs.BaseTestCase)
    yield "ProcessPoolDeadlockTest", (ProcessPool, theirs.ExecutorDeadlockTest, theirs.BaseTestCase)
    yield "FutureTests", (theirs.FutureTests,)


def skipping(case, name):
    """The class without what does not apply: each such test is skipped, with its reason."""
    for method in unittest.defaultTestLoader.getTestCaseNames(case):
        why = NOT_APPLICABLE.get("%s.%s" % (name, method))
        if why:
            setattr(case, method, unittest.skip("not applicable: " + why)(lambda self: None))
    return case


for name, bases in classes():  # in workers, too: some tests send methods of their class
    globals()[name] = skipping(type(name, bases, {"__module__": "__main__"}), name)


def main():
    with futured.ProcessPoolExecutor(1) as first:  # the connection's thread is there before theirs are counted
        first.submit(len, ()).result()
    unittest.main()


if __name__ == "__main__":
    main()
