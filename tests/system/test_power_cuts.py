"""Power cuts at every moment of a recorded run: see tests/soak/powercuts.py. The controls lose something, and it is noticed."""
import os
import sys

import pytest

from helpers import HERE, ROOT, chance

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import powercuts   # noqa: E402

FAULTY = os.path.join(ROOT, "build-faults", "bin", "futured")
pytestmark = pytest.mark.long


def cut(count, seed=None, **keys):
    assert os.path.exists(FAULTY), "make FAULTS=1 all programs makes the daemon, whose log is small so that there are many checkpoints"
    return powercuts.check(count, chance() if seed is None else seed, program=FAULTY, **keys)


def test_nothing_is_lost():
    assert cut(10000) is None


def test_nothing_is_lost_while_writes_and_syncs_fail():
    assert cut(10000, failing=True) is None


def test_sync_normal_loses():
    assert cut(3000, 1, sync="normal") is not None


def test_a_failed_commit_that_is_taken_for_a_good_one_loses(monkeypatch):
    monkeypatch.setattr(powercuts, "FAULTS", "small_log,failure_ignored")
    assert any(cut(3000, seed, failing=True, starts=0) for seed in range(1, 5))
