"""System calls of the daemon's loop fail (strace -e inject), each with the errors it may have, at the nth time: the daemon does not crash, does not
hang, and serves whoever comes next. Where it cannot start, it says why."""
import os
import random
import shutil
import time

import pytest

from helpers import Closed, Hang, RpcError
from kinds import PROCESS

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(STRACE is None, reason="no strace")
CONFIG = {"pools": {"shell": {"kind": "command", "workers": 1, "output": "1KiB"}, "cpu": {**PROCESS, "workers": 1}}}

# What comes again and again is failed once; what a loop may repeat for ever is left out (EINTR at every read would be no life).
CALLS = {
    "accept4": ["EMFILE", "ENFILE", "ENOBUFS", "ECONNABORTED", "EINTR"], "recvfrom": ["ECONNRESET", "EINTR", "EAGAIN", "ENOMEM"],
    "sendto": ["EPIPE", "EAGAIN", "ENOBUFS", "EINTR"], "sendmsg": ["EPIPE", "EAGAIN", "ENOBUFS"], "epoll_ctl": ["ENOMEM", "ENOSPC", "EPERM"],
    "epoll_wait": ["EINTR"], "socketpair": ["EMFILE", "ENFILE", "ENOMEM"], "memfd_create": ["EMFILE", "ENOMEM"], "mmap": ["ENOMEM"],
    "vfork": ["EAGAIN", "ENOMEM"], "clone": ["EAGAIN"], "pipe2": ["EMFILE"], "pidfd_open": ["EMFILE", "ENOMEM"], "pidfd_send_signal": ["ESRCH", "EPERM"],
    "openat": ["EMFILE", "EACCES", "ENOSPC"], "write": ["EIO", "ENOSPC", "EAGAIN"], "writev": ["EIO"], "read": ["EIO", "EINTR"], "fcntl": ["EINVAL"],
    "ftruncate": ["EIO", "ENOSPC"], "close": ["EIO", "EINTR"], "unlink": ["EBUSY"], "wait4": ["EINTR"], "getrandom": ["EINTR"], "newfstatat": ["EACCES"],
    "poll": ["EINTR"], "mkdir": ["EACCES", "ENOSPC"], "socket": ["EMFILE"], "bind": ["EADDRINUSE"], "listen": ["EADDRINUSE"], "rename": ["EACCES"],
}


def flow(client):
    """A bit of everything; returns at the first error."""
    client.call("hello", {"protocol": 1})
    future = client.call("submit", "shell", "/bin/sh", ["-c", "head -c 5000 /dev/zero; echo end >&2"], {"watch": True})
    client.call("call", "cpu", "add", [1, 2])
    client.call("result", future)
    client.call("output", future, {"stream": "both"})
    running = client.call("submit", "shell", "/bin/sleep", ["100"])
    until = time.monotonic() + 5
    while client.call("state", [running]) != ["RUNNING"] and time.monotonic() < until:
        time.sleep(0.001)
    client.call("cancel", [running], {"running": "kill", "grace": 0})
    client.call("wait", [running])
    client.call("release", [running, future])
    client.call("list")


def inject(launch, call, what, when):
    """One run; "started", "refused" (at its start, with a reason), or "not loaded"."""
    daemon = launch({"store": random.choice(["memory", "sqlite"])}, start=False,
                    prefix=[STRACE, "-D", "-q", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=%s:%s:when=%d" % (call, what, when)])
    daemon.must_end_well = False
    try:
        daemon.start()
    except AssertionError:
        status = daemon.process.returncode
        if status == 127 and "shared" in daemon.log():
            daemon.process = None
            return "not loaded"       # the dynamic linker's call
        assert status == 1, "it ended with %s at its start:\n%s" % (status, daemon.log()[-2000:])
        assert daemon.log().strip(), "it said nothing"
        daemon.process = None
        return "refused"
    try:
        flow(daemon.client(patience=20))
    except (Closed, RpcError, OSError):
        pass
    for attempt in range(3):       # the one that fails may be the next connection's
        try:
            client = daemon.client(patience=5)
            assert client.call("ping", attempt) == attempt
            client.call("call", "cpu", "add", [1, attempt], timeout=15)
            break
        except (Closed, RpcError, OSError):
            assert attempt < 2 and daemon.is_running(), "it serves nobody:\n" + daemon.log()[-2000:]
    status = daemon.stop(25)
    assert status in (0, 1), "it ended with %s:\n%s" % (status, daemon.log()[-2000:])
    return "started"


def some(count, seed):
    """Which of the many."""
    rng = random.Random(seed)
    for _ in range(count):
        call = rng.choice(sorted(CALLS))
        yield call, "error=" + rng.choice(CALLS[call]), rng.choice([1, 2, 3, 4, 5, 7, 9, 12, 16, 20, 30, 40, 60, 100])


def run_some(launch, count, seed):
    seen = {"started": 0, "refused": 0, "not loaded": 0}
    for n, (call, what, when) in enumerate(some(count, seed)):
        random.seed("%s/%d" % (seed, n))
        try:
            seen[inject(launch, call, what, when)] += 1
        except (AssertionError, Hang) as error:
            raise AssertionError("seed %s, %d: %s %s, the %dth: %s" % (seed, n, call, what, when, error)) from None
    print("seed", seed, seen)
    return seen


def test_some_calls_fail(launch):
    run_some(launch, 8, int.from_bytes(os.urandom(3), "big"))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_many_calls_fail(launch, seed):
    seen = run_some(launch, 60, seed)
    assert seen["refused"], "the control: some of them kept it from starting"


@pytest.mark.long
def test_a_daemon_that_dies_of_it_is_noticed(launch):
    """The control: a signal in place of an error."""
    with pytest.raises(AssertionError, match="-11|serves nobody"):
        inject(launch, "sendto", "signal=SEGV", 5)
