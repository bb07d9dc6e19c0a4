"""What a task printed arrives, or it is said that it did not: a stdout that takes no more, and output that was not kept."""
import json
import os

import pytest


CONFIG = {"pools": {"small": {"kind": "command", "workers": 2, "output": "1KiB", "spill": "10KiB"}}}


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


# Output that was not kept

CUT = b"stdout of %d was cut: 38,654 of 48,894 bytes were not kept\n"
KEPT = b"".join(b"%d\n" % n for n in range(1, 10001))[:10240]


@pytest.mark.parametrize("args, status", [(["run", "-p", "small", "seq", "10000"], 125), (["map", "-p", "small", "seq", ":::", "10000"], 1)], ids=lambda v: v[0] if isinstance(v, list) else None)
def test_output_beyond_what_is_kept_is_told_by_who_waits(fut, daemon, args, status):
    done = fut.run(*args)
    assert (done.returncode, done.stdout, done.stderr) == (status, KEPT, b"fut: " + CUT % 1)


def test_a_failure_stays_the_tasks_own(fut, daemon):
    done = fut.run("run", "-p", "small", "sh", "-c", "seq 10000 >&2; exit 3")
    assert done.returncode == 3 and b"stderr of 1 was cut: 38,654 of 48,894 bytes" in done.stderr


@pytest.mark.parametrize("script, result", [("seq 10000", 125), ("seq 10000; exit 3", 3)])
def test_output_beyond_what_is_kept_is_told_later(fut, daemon, script, result):
    future = fut.submit("-p", "small", "sh", "-c", script)
    fut.run("wait", future)
    told = CUT % int(future)
    for args, status, out in ((["logs"], 1, KEPT), (["result"], result, KEPT), (["logs", "-f"], 1, KEPT), (["logs", "-n", "1"], 1, KEPT[KEPT.rindex(b"\n") + 1:]),
                              (["logs", "--stdout"], 1, KEPT), (["logs", "--stderr"], 0, b"")):
        done = fut.run(*args, future)
        assert (done.returncode, done.stdout) == (status, out) and (told in done.stderr) == (status > 0), args
    done = fut.run("--json", "logs", future)
    assert done.returncode == 1 and told in done.stderr and "".join(json.loads(line)["data"] for line in done.stdout.splitlines()).encode() == KEPT
    assert b"38,654 of 48,894 bytes of stdout were not kept" in fut.ok("show", future)


def test_output_that_was_kept_is_not_called_cut(fut, daemon):
    future = fut.submit("-p", "small", "seq", "1000")
    assert fut.run("wait", future).returncode == 0
    for args in (["logs", future], ["result", future], ["show", future], ["run", "-p", "small", "seq", "1000"], ["map", "-p", "small", "seq", ":::", "1000"]):
        assert b"not kept" not in (lambda done: done.stdout + done.stderr)(fut.run(*args))
