"""The controls of the suites about who may do what: a daemon that does one thing wrong (make FAULTS=1) is found out by them."""
import os
import subprocess
import sys

import pytest

from helpers import HERE, ROOT
from people import needs_root

pytestmark = [needs_root, pytest.mark.long]
FAULTY = os.path.join(ROOT, "build-faults")


def run_suite(fault, suite, which):
    assert os.path.exists(os.path.join(FAULTY, "bin", "futured")), "make FAULTS=1 all programs makes the daemon for the controls"
    env = {**os.environ, "FUTURED_BUILD": FAULTY, "FUTURED_FAULT": fault}
    env.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.run([sys.executable, "-m", "pytest", "-c", os.path.join(HERE, "pytest.ini"), "-q", "-x", "-m", "not long", "-p", "no:xdist",
                           "-k", which, os.path.join(HERE, suite)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


SUITES = [("test_access.py", "verbs"), ("test_roles.py", "not signal"), ("test_quota.py", "not greedy")]


@pytest.mark.parametrize("suite, which", SUITES)
def test_a_daemon_without_faults_passes(suite, which):
    done = run_suite("", suite, which)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("fault, suite, which", [
    ("anothers_seen", "test_access.py", "verbs_on_futures"),
    ("anothers_changed", "test_access.py", "verbs_on_futures"),
    ("role_ignored", "test_access.py", "verbs_on_daemon or verbs_on_futures"),
    ("allow_ignored", "test_access.py", "verbs_on_pools"),
    ("pools_for_all", "test_access.py", "verbs_on_pools"),
    ("anothers_seen", "test_roles.py", "byte_for_byte"),
    ("anothers_seen", "test_roles.py", "leave_out"),
    ("role_ignored", "test_roles.py", "roles_in_a_shared_daemon"),
    ("quota_ignored", "test_quota.py", "pending_futures_at"),
    ("quota_ignored", "test_quota.py", "bytes_held_at"),
    ("quota_ignored", "test_quota.py", "connections_at"),
    ("turns_not_taken", "test_quota.py", "owners_take_turns"),
])
def test_a_faulty_one_is_found_out(fault, suite, which):
    done = run_suite(fault, suite, which)
    assert done.returncode == 1 and " failed" in done.stdout, done.stdout[-3000:]
