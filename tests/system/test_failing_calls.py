"""System calls of the daemon's loop fail (strace -e inject), each with the errors it may have, at the nth time: the daemon does not crash, does not
hang, and serves whoever comes next. Where it cannot start, it says why."""
import random
import shutil
import subprocess
import time

import pytest

from cli_helper import FUT
from helpers import Closed, Hang, RpcError, chance, eventually
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


def refused(daemon, call):
    """It ended at its start: with a reason, unless the dynamic linker's call was the one."""
    status, log = daemon.process.returncode, daemon.log()
    daemon.process = None
    if (status == 127 and "shared" in log) or (status == -11 and call == "mmap" and not log):
        return "not loaded"
    assert status == 1, "it ended with %s at its start:\n%s" % (status, log[-2000:])
    assert log.strip(), "it said nothing"
    return "refused"


def is_served(daemon):
    """A new client, or the next one: what fails may be in the way of one."""
    for attempt in range(3):
        try:
            client = daemon.client(patience=5)
            assert client.call("ping", attempt) == attempt
            client.call("call", "cpu", "add", [1, attempt], timeout=15)
            return True
        except (Closed, RpcError, OSError):
            pass
    return False


def stopped(daemon, call):
    """Its status. By a byte that it writes, libevent tells its loop of a signal; where that fails, the signal is sent again."""
    if call == "write":
        try:
            return daemon.stop(3)
        except Hang:
            pass
    return daemon.stop(25)


def inject(launch, call, what, when, store="memory"):
    """One run; "started", "refused" (at its start, with a reason), or "not loaded"."""
    daemon = launch({"store": store}, start=False,
                    prefix=[STRACE, "-D", "-q", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=%s:%s:when=%d" % (call, what, when)])
    daemon.must_end_well = False
    try:
        daemon.start()
    except AssertionError:
        return refused(daemon, call)
    try:
        flow(daemon.client(patience=20))
    except (Closed, RpcError, OSError):
        pass
    if not is_served(daemon):
        assert daemon.await_end(5) == 1 and "cannot start" in daemon.log(), "it serves nobody:\n" + daemon.log()[-2000:]
        return refused(daemon, call)       # it listened already when that failed
    status = stopped(daemon, call)
    assert status in (0, 1), "it ended with %s:\n%s" % (status, daemon.log()[-2000:])
    return "started"


def some(count, seed):
    """Which of the many."""
    rng = random.Random(seed)
    for _ in range(count):
        call = rng.choice(sorted(CALLS))
        yield (call, "error=" + rng.choice(CALLS[call]), rng.choice([1, 2, 3, 4, 5, 7, 9, 12, 16, 20, 30, 40, 60, 100]),
               rng.choice(["memory", "sqlite"]))


def run_some(launch, count, seed):
    seen = {"started": 0, "refused": 0, "not loaded": 0}
    for n, failing in enumerate(some(count, seed)):
        try:
            seen[inject(launch, *failing)] += 1
        except (AssertionError, Hang) as error:
            raise AssertionError("seed %s, %d: %s %s, the %dth, %s: %s" % (seed, n, *failing, error)) from None
    print("seed", seed, seen)
    return seen


@pytest.mark.parametrize("n", [2, 4])
def test_what_the_kernel_does_not_take_costs_the_connection(launch, n):
    """Its peer is told by the end of it, and does not wait for what was lost."""
    inject(launch, "sendmsg", "error=ENOBUFS", n, store="sqlite")


@pytest.mark.parametrize("n", [1, 2])
def test_and_so_it_does_in_a_client(daemon, fut, n):
    """fut says hello and submits in its first writes: it does not wait for an answer to what was lost."""
    done = subprocess.run([STRACE, "-q", "-o", "/dev/null", "-e", "trace=sendto", "-e", "inject=sendto:error=ENOBUFS:when=%d" % n, FUT, "run", "true"],
                          env={**fut.env, "ASAN_OPTIONS": "detect_leaks=0"}, stdin=subprocess.DEVNULL, capture_output=True, timeout=40)
    assert done.returncode == 125 and b"lost the daemon" in done.stderr


def test_some_calls_fail(launch):
    run_some(launch, 8, chance())


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_many_calls_fail(launch, seed):
    assert run_some(launch, 60, seed)["started"]


def test_who_asks_again_to_stop_does_not_cut_the_end_short(launch):
    """After its last words, which take long here, it had no use for signals any more, and one killed it: status -15 instead of 0."""
    daemon = launch({}, prefix=[STRACE, "-D", "-q", "-o", "/dev/null", "-e", "trace=write", "-e", "inject=write:delay_exit=200000"])
    daemon.process.terminate()
    eventually(lambda: "server: ended" in daemon.log())
    daemon.process.terminate()
    assert daemon.await_end() == 0


def test_one_that_keeps_it_from_starting_is_told(launch):
    """The control: what is injected arrives."""
    assert inject(launch, "listen", "error=EADDRINUSE", 1) == "refused"


@pytest.mark.long
def test_a_daemon_that_dies_of_it_is_noticed(launch):
    """The control: a signal in place of an error."""
    with pytest.raises(AssertionError, match="-11|serves nobody"):
        inject(launch, "sendto", "signal=SEGV", 5)
