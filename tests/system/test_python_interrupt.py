"""^C, or whatever else a signal's handler raises, in the middle of anything: the executor stays good."""
import concurrent.futures
import itertools
import sys

import pytest

from helpers import eventually
from python_helper import CONFIG, futured, pool, processes  # noqa: F401


class Interrupt(BaseException):
    pass


def in_finalizer(frame):
    """What is raised there goes nowhere."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def interrupted(call, n):
    """Whether it was: before its n-th function call, or after its n-th call of C, whichever; there Python runs handlers."""
    left = n

    def profile(frame, event, arg):
        nonlocal left
        if event in ("call", "c_return") and "/futured/" in frame.f_code.co_filename and not in_finalizer(frame):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise Interrupt
    sys.setprofile(profile)
    try:
        call()
    except Interrupt:
        return True
    finally:
        sys.setprofile(None)
    return left <= 0


@pytest.mark.parametrize("what", [
    lambda pool: [pool.submit(abs, -n) for n in range(8)],
    lambda pool: pool.submit(len, bytes(1 << 20)),
    lambda pool: list(pool.map(abs, range(6), chunksize=2)),
    lambda pool: pool.submit(abs, -1).id,
    lambda pool: pool.submit(abs, -1).running(),
    lambda pool: [f.cancel() for f in [pool.submit(abs, -1) for _ in range(3)]],
    lambda pool: pool.options(priority=1).submit(abs, -1)])
def test_what_is_interrupted_anywhere_harms_nothing_else(processes, what):
    """What had been taken to be sent was lost, or the right to send was never given back; then everything waited for ever. And shutdown
    waited for what had never been sent."""
    for n in itertools.count(1):
        again = interrupted(lambda: what(processes), n)
        assert processes.submit(abs, -n).result(20) == n
        if not again:
            break
    assert n > 10


def test_a_cancel_that_is_interrupted_anywhere_is_one_or_none(processes):
    """Its future was nobody's, and waited for by shutdown."""
    for n in itertools.count(1):
        f, told = processes.options(delay=600).submit(abs, -n), []
        f.add_done_callback(told.append)
        assert f.id
        again = interrupted(f.cancel, n)
        assert f.cancel() and concurrent.futures.wait([f], 20).done == {f}
        eventually(lambda: f not in processes._group)
        assert len(told) <= 1  # the callback itself may have been what was interrupted
        if not again:
            break
    assert n > 10
