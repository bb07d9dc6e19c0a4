"""What several tests share: tasks that wait to be told, processes found by a mark, and things that come true in time."""
import functools
import os
import select
import time

import pytest

from rpc import Closed, Hang, RpcError  # noqa: F401  (tests import them from here too)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.path.join(ROOT, "tests", "programs")
BUILD = os.path.join(ROOT, os.environ.get("FUTURED_BUILD", "build"))


def chance():
    """What a test seeds its random numbers with: make check says which, so that it tells what a change did and not what the day brought."""
    return int(os.environ.get("FUTURED_SEED") or int.from_bytes(os.urandom(3), "big"))


def sh(script, *args):
    """fn and args of a task that is a shell script."""
    return "/bin/sh", ["-c", script, "sh", *[str(a) for a in args]]


def refused(kind, call, *params, **keys):
    """The call must fail with an error of this type (or one of these); returns the error map."""
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    with pytest.raises(RpcError) as caught:
        result = call(*params, **keys)
        pytest.fail("expected %s, got the result %r" % ("/".join(kinds), result))
    assert caught.value.type in kinds, caught.value.error
    return caught.value.error


def eventually(question, timeout=30.0, what=None):
    """Asks until the answer is true; returns it. For things that nobody announces."""
    until, pause = time.monotonic() + timeout, 0.001
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > until:
            raise Hang("never came true: %s" % (what or question))
        select.select([], [], [], pause)
        pause = min(2 * pause, 0.02)


class Gate:
    """A task that says when it has begun, and goes on when it is told.

    Two FIFOs that the test holds open, so nobody blocks in open(); any number of tasks may share a gate."""

    def __init__(self, directory, name="gate"):
        self.started = os.path.join(directory, name + ".started")
        self.go = os.path.join(directory, name + ".go")
        for path in (self.started, self.go):
            os.mkfifo(path)
        self.started_fd = os.open(self.started, os.O_RDWR | os.O_NONBLOCK)
        self.go_fd = os.open(self.go, os.O_RDWR | os.O_NONBLOCK)
        self.text = b""

    def task(self, then=":", before=":"):
        """fn and args: runs `before`, says its pid, waits to be told, runs `then`."""
        return sh('%s\necho $$ >"$1"\nread answer <"$2"\n%s' % (before, then), self.started, self.go)

    def await_start(self, timeout=40.0):
        """The pid of the next task that began."""
        until = time.monotonic() + timeout
        while b"\n" not in self.text:
            readable, _, _ = select.select([self.started_fd], [], [], max(0, until - time.monotonic()))
            if not readable:
                raise Hang("no task began at the gate")
            self.text += os.read(self.started_fd, 4096)
        line, _, self.text = self.text.partition(b"\n")
        return int(line)

    def nobody_started(self):
        return not self.text and not select.select([self.started_fd], [], [], 0)[0]

    def open(self, tasks=1):
        """Lets so many tasks go on. One line each, and `read` of a shell takes a byte at a time, so no line is lost."""
        os.write(self.go_fd, b"go\n" * tasks)

    def close(self):
        os.close(self.started_fd)
        os.close(self.go_fd)


def process_state(pid):
    """'R', 'S', … of a process; None if it is gone, or dead and only not reaped yet."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            state = f.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else state


def is_alive(pid):
    return process_state(pid) is not None


def parent_of(pid):
    with open("/proc/%d/stat" % pid, "rb") as f:
        return int(f.read().rpartition(b")")[2].split()[1])


def all_processes():
    """pid -> parent's pid, of all that are not zombies."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and is_alive(int(name)):
            try:
                found[int(name)] = parent_of(int(name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def children(pid):
    """Its children, dead ones too."""
    found = []
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/children" % (pid, thread)) as f:
                found += map(int, f.read().split())
        except FileNotFoundError:   # this thread has ended
            pass
    return found


def descendants(pid):
    parents = all_processes()
    tree, fresh = set(), {pid}
    while fresh:
        fresh = {p for p, parent in parents.items() if parent in fresh} - tree
        tree |= fresh
    return tree


def marked(mark):
    """Living processes whose environment holds MARK=mark: what a task leaves, wherever it went."""
    found, needle = [], ("MARK=" + mark).encode()
    for pid in all_processes():
        try:
            with open("/proc/%d/environ" % pid, "rb") as f:
                if needle in f.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    """User and system time of all its threads so far, to the nanosecond."""
    total = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as f:
            total += int(f.read().split()[0])
    return total / 1e9


@functools.lru_cache(None)
def is_sanitized(program):
    """Whether it was built with AddressSanitizer, which keeps what was freed: then its memory proves nothing."""
    with open(program, "rb") as f:
        return b"__asan_init" in f.read()


def rss(pid):
    """Resident bytes."""
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise Hang("process %d has no memory" % pid)


def lines(path):
    """The lines of a file that tasks append to; none if there is no file."""
    try:
        with open(path) as f:
            return f.read().split()
    except FileNotFoundError:
        return []
