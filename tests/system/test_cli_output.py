"""What a task printed arrives, or it is said that it did not: a stdout that takes no more, and output that was not kept."""
import json
import os

import pytest

from cli_helper import Fut

CONFIG = {"pools": {"small": {"kind": "command", "workers": 2, "output": "1KiB", "spill": "10KiB"}}}


@pytest.fixture
def fut(daemon):
    return Fut(daemon.directory, daemon.address)


@pytest.fixture
def sf(shared_daemon):
    return Fut(shared_daemon.directory, shared_daemon.address)


# A stdout that takes no more

@pytest.mark.parametrize("args, status", [
    (["run", "echo", "hi"], 125), (["run", "seq", "300000"], 125), (["map", "echo", ":::", "1", "2"], 1), (["map", "seq", ":::", "300000", "2"], 1),
    (["submit", "true"], 1), (["logs", "1"], 1), (["result", "1"], 125), (["ls"], 1), (["--json", "run", "true"], 125), (["--json", "map", "true", ":::", "1"], 1),
], ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_what_cannot_be_written_is_told(sf, args, status):
    sf.ok("run", "seq", "300000")  # 1
    with open("/dev/full", "wb") as full:
        done = sf.run(*args, stdout=full)
    assert done.returncode == status and b"cannot write to stdout: No space left on device" in done.stderr
    done = sf.run(*args, stdout=None, preexec_fn=lambda: os.close(1))
    assert done.returncode == status and b"cannot write to stdout: Bad file descriptor" in done.stderr


def test_a_closed_stdout_that_nothing_is_written_to_is_no_error(sf):
    assert sf.run("run", "true", stdout=None, preexec_fn=lambda: os.close(1)).returncode == 0


def test_a_stdout_that_takes_no_more_ends_the_task(fut, daemon, client):
    for args, status in ((["run", "yes"], 125), (["map", "--as-completed", "sh", "-c", "[ $0 = 0 ] && { echo; exit; }; exec sleep 1000", ":::", "0", "1", "2"], 1)):
        with open("/dev/full", "wb") as full:
            assert fut.run(*args, stdout=full).returncode == status
        assert client.call("list", {"state": "RUNNING"}) == [] == client.call("list", {"state": "PENDING"})


def test_an_id_is_told_where_it_cannot_be_written(sf):
    with open("/dev/full", "wb") as full:
        told = sf.run("submit", "true", stdout=full).stderr
    assert b"%d is submitted" % sf.json("ls")[-1]["id"] in told


def test_a_file_that_cannot_be_written_is_named(sf):
    future = sf.submit("echo", "x")
    done = sf.run("result", "-o", "/dev/full", future)
    assert done.returncode == 125 and b"cannot write to /dev/full: No space" in done.stderr
    assert sf.ok("result", "-o", "-", future) == b"x\n"
