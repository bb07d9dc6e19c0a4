"""Samples of the soak, the histories and the races (tests/soak). The long ones are larger, with a seed of their own each time, which they
print; and the controls show that a daemon that does one thing wrong (make FAULTS=1) is found out."""
import os
import sys

import pytest

from helpers import HERE, ROOT, chance

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import histories   # noqa: E402
import races       # noqa: E402
import soak        # noqa: E402

FAULTY = os.path.join(ROOT, "build-faults", "bin", "futured")


def soaked(kills, **keys):
    wrong = soak.Soak(seed=chance(), **keys).run(kills)
    assert not wrong, "\n".join(wrong)


def with_fault(fault):
    assert os.path.exists(FAULTY), "make FAULTS=1 all programs makes the daemon for the controls"
    return {"program": FAULTY, "env": {"FUTURED_FAULT": fault}}


# Samples

def test_hosts_and_tasks_die():
    soaked(6, store="memory", mean=0.3)


def test_the_daemon_dies_and_nothing_is_lost():
    soaked(6, mean=0.3)


def test_histories_agree_with_the_model():
    assert histories.check(20, chance(), store="memory") is None


def test_histories_with_kills_in_between_agree_with_the_model():
    assert histories.check(8, chance(), store="sqlite") is None


def test_races_have_one_end_each():
    assert races.Races(chance()).run(3000) == []


# More of them

@pytest.mark.long
def test_twenty_kills():
    soaked(20)


@pytest.mark.long
def test_twenty_kills_with_sync_normal():
    """kill -9 of the daemon is no power cut: what the kernel has is there."""
    soaked(20, store="sqlite+normal")


@pytest.mark.long
def test_many_kills_of_hosts_and_tasks():
    soaked(40, store="memory")


@pytest.mark.long
def test_many_histories():
    assert histories.check(200, chance(), store="memory") is None
    assert histories.check(100, chance(), store="sqlite") is None


@pytest.mark.long
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_many_races(store):
    assert races.Races(chance(), store).run(20000) == []


# The controls: each finds what it is there to find

@pytest.mark.long
@pytest.mark.parametrize("fault", ["run_twice", "retried_once_more", "lost_on_the_way", "after_ignored"])
def test_the_soak_finds(fault):
    assert soak.Soak("memory", 5, mean=0.3, **with_fault(fault)).run(20)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["result_not_stored", "release_not_stored", "hand_over_not_stored", "task_not_stored",
                                   "attempt_not_counted"])
def test_the_soak_with_kills_of_the_daemon_finds(fault):
    assert soak.Soak("sqlite", 5, mean=0.3, **with_fault(fault)).run(40)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["key_ignored", "priority_ignored", "after_ignored", "retried_once_more"])
def test_histories_find(fault):
    assert histories.check(100, 5, store="memory", **with_fault(fault)) is not None


@pytest.mark.long
@pytest.mark.parametrize("fault", ["ids_not_reserved", "key_not_stored", "release_not_stored", "result_not_stored"])
def test_histories_with_kills_find(fault):
    assert histories.check(100, 5, store="sqlite", **with_fault(fault)) is not None


@pytest.mark.long
def test_races_find_a_cancel_that_comes_too_late():
    assert races.Races(3, **with_fault("cancel_too_late")).run(5000)
