"""CPython's own test/test_concurrent_futures.py, untouched, against futured's executors; and docs/cpython-tests.md says of each
test what came of it."""
import os
import re
import subprocess

import pytest

import helpers

CONFIG = {"pools": {"py": {"kind": "process", "runtime": "python"}, "pythread": {"kind": "thread", "runtime": "python"}}}
ADAPTER = os.path.join(helpers.ROOT, "tests", "python", "adapter.py")
TABLE = os.path.join(helpers.ROOT, "docs", "cpython-tests.md")


def outcomes(text):
    """Class.test -> "pass", or why it was skipped; from unittest's verbose report."""
    found = {}
    for test, outcome in re.findall(r"(test_\w+ \(__main__\.\w+\.test_\w+\))(?:\n.*?)? \.\.\. (?:[\d.]+s )?(ok|skipped .*|FAIL|ERROR)$", text, re.M):
        name = re.search(r"__main__\.(\w+\.test_\w+)", test).group(1)
        found[name] = "pass" if outcome == "ok" else re.sub(r"^skipped ['\"](not applicable: )?|['\"]$", "", outcome)
    return found


def published():
    with open(TABLE) as f:
        return {name: outcome for name, outcome in re.findall(r"^\| `([\w.]+)` \| (.*?) \|$", f.read(), re.M)}


@pytest.mark.long
def test_each_of_cpythons_tests_comes_out_as_published(daemon):
    if not os.path.exists("/usr/lib/python3.11/test/test_concurrent_futures.py"):
        pytest.skip("needs libpython3.11-testsuite")
    env = {**os.environ, "FUTURED_ADDRESS": "unix:" + daemon.address, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(["/usr/bin/python3", ADAPTER, "-v"], env=env, cwd=daemon.directory, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=550)
    assert ended.returncode == 0, ended.stdout[-5000:]
    found = outcomes(ended.stdout)
    assert len(found) == int(re.search(r"^Ran (\d+) tests", ended.stdout, re.M).group(1))
    assert found == published()
