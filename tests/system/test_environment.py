"""What a task finds: descriptors, environment, signals, limits. Whatever the daemon was started with, it is always the same."""
import os
import re
import resource
import signal
import socket
import subprocess

import pytest

from helpers import ROOT, eventually, sh

# Says all that it was given, and waits to be looked at.
DUMP = """
echo umask $(umask)
echo cwd $(pwd)
grep -E '^(SigBlk|SigIgn|SigCgt|SigQ|CapEff|NoNewPrivs|Seccomp|Uid|Gid|Groups|Threads):' /proc/self/status | grep -v SigQ
cat /proc/self/oom_score_adj
cat /proc/self/limits
nice
"""

# A daemon that is told to notify somebody does so: it must be there.
NOTIFIED = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
NOTIFIED.bind("\0futured-test-environment-%d" % os.getpid())

POISON = {"NOTIFY_SOCKET": "@futured-test-environment-%d" % os.getpid(), "LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b", "WATCHDOG_USEC": "1",
          "WATCHDOG_PID": "1", "CREDENTIALS_DIRECTORY": "/run/credentials", "INVOCATION_ID": "x", "JOURNAL_STREAM": "1:2",
          "MAINPID": "1", "MANAGERPID": "1"}
MUST_NOT_BE_SEEN = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY")


def poisoned():
    """Everything that a careless parent leaves behind."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD})
    for number in (signal.SIGUSR1, signal.SIGPIPE, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o177)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    for number in (63, 64, 200, 1000):
        os.dup2(0, number, inheritable=True)
    with open("/proc/self/oom_score_adj", "w") as f:
        f.write("77")


def descriptors(pid):
    found = {}
    for n in os.listdir("/proc/%d/fd" % pid):
        try:
            found[int(n)] = os.readlink("/proc/%d/fd/%s" % (pid, n))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def waiting(client, gate, *options):
    """The pid of a task that has replaced its shell and sleeps."""
    future = client.call("submit", "shell", *sh('echo $$ >"$1"; exec sleep 1000', gate.started), *options)
    pid = gate.await_start()

    def is_settled():
        """It has replaced its shell and sleeps, so its loader is through: what is open now was given to it."""
        with open("/proc/%d/comm" % pid) as comm, open("/proc/%d/wchan" % pid) as wchan:
            return comm.read() == "sleep\n" and "nanosleep" in wchan.read()
    eventually(is_settled)
    return future, pid


def dump(client):
    text = client.call("call", "shell", *sh(DUMP))["stdout"].decode()
    return re.sub(r"\d+ +processes", "N processes", text)


def environment(client):
    text = client.call("call", "shell", "env", ["-0"])["stdout"].decode()
    return dict(line.split("=", 1) for line in text.split("\0") if line)


def test_a_task_has_exactly_descriptors_0_1_and_2(daemon, client, gate):
    _, pid = waiting(client, gate)
    found = descriptors(pid)
    assert sorted(found) == [0, 1, 2]
    assert found[0] == "/dev/null" and found[1].startswith("pipe:") and found[2].startswith("pipe:") and found[1] != found[2]


@pytest.mark.parametrize("stdin", [b"x", True], ids=["bytes", "open"])
def test_a_task_that_is_fed_has_no_more(daemon, client, gate, stdin):
    _, pid = waiting(client, gate, {"stdin": stdin})
    assert sorted(descriptors(pid)) == [0, 1, 2]


def test_two_tasks_share_no_pipe(daemon, client, gate):
    _, one = waiting(client, gate)
    _, two = waiting(client, gate)
    pipes = [target for pid in (one, two) for target in descriptors(pid).values() if target.startswith("pipe:")]
    assert len(set(pipes)) == 4


def test_a_task_leads_a_session_of_its_own(daemon, client, gate):
    _, pid = waiting(client, gate)
    assert os.getsid(pid) == pid and os.getpgid(pid) == pid


def test_no_signal_is_blocked_or_ignored(daemon, client, gate):
    _, pid = waiting(client, gate)
    with open("/proc/%d/status" % pid) as f:
        status = dict(line.split(":", 1) for line in f)
    assert int(status["SigBlk"], 16) == 0 and int(status["SigIgn"], 16) == 0


def test_the_soft_limit_of_files_is_1024(shared):
    assert shared.call("call", "shell", *sh("ulimit -Sn"))["stdout"] == b"1024\n"


def test_a_poisoned_daemon_gives_its_tasks_a_clean_start(launch):
    clean, poison = launch(), launch(env=POISON, preexec=poisoned)
    one, two = clean.client(), poison.client()
    assert dump(two).splitlines() == dump(one).splitlines()
    gate = poison.gate()
    _, pid = waiting(two, gate)
    assert sorted(descriptors(pid)) == [0, 1, 2]


WORKERS = {"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1}}}
LOOK = r"""
import os, re, resource

def look():
    with open("/proc/self/status") as f:
        status = f.read()
    with open("/proc/self/oom_score_adj") as f:
        oom = f.read()
    found = [re.search(n + r":\s*(\S+)", status).group(1) for n in ("SigBlk", "SigIgn", "NoNewPrivs")]
    return found + [os.umask(0o22), resource.getrlimit(resource.RLIMIT_NOFILE)[0], oom, os.nice(0), os.getsid(0) == os.getpid()]
"""


def worker(daemon):
    """What a worker process of Python functions says of itself. (SIGPIPE and SIGXFSZ are ignored by Python itself.)"""
    with open(daemon.path("look.py"), "w") as f:
        f.write(LOOK)
    return daemon.client().call("call", "py", "look.look")


def test_a_worker_of_functions_has_a_clean_start_too(launch):
    """The positive control is the daemon itself, in which what was inherited shows."""
    clean = launch(WORKERS, start=False)
    poison = launch(WORKERS, env=POISON, preexec=poisoned, start=False)
    for daemon in (clean, poison):
        path = os.path.join(ROOT, "client", "python") + ":" + daemon.directory
        daemon.config["pools"] = {"py": {**WORKERS["pools"]["py"], "env": {"PYTHONPATH": path}}}
        daemon.start()
    expected = ["0" * 16, "0000000001001000", "0", 0o22, 1024, "0\n", 0, True]
    assert worker(clean) == expected and worker(poison) == expected
    with open("/proc/%d/oom_score_adj" % poison.pid) as f:
        assert f.read() == "77\n"
    assert resource.prlimit(poison.pid, resource.RLIMIT_NOFILE)[0] > 1024


def test_what_was_meant_for_the_daemon_is_not_in_the_tasks_environment(launch):
    clean, poison = launch(), launch(env=POISON, preexec=poisoned)
    expected, found = environment(clean.client()), environment(poison.client())
    assert not set(found) & set(MUST_NOT_BE_SEEN)
    own = re.compile("FUTURED_|INVOCATION_ID|JOURNAL_STREAM|MAINPID|MANAGERPID|HOME|XDG_|TMPDIR|PWD|OLDPWD")
    assert {k: v for k, v in found.items() if not own.match(k)} == {k: v for k, v in expected.items() if not own.match(k)}


def test_one_task_leaves_nothing_for_the_next(daemon, client):
    """The same worker, before and after a task that spoilt all it could."""
    def look():
        return client.call("call", "one", *sh(DUMP))["stdout"]
    before = look()
    client.call("call", "one", *sh("umask 0; cd /usr; ulimit -n 50; ulimit -c 0; renice -n 5 $$ >/dev/null; trap '' TERM INT; exit 0"),
                {"umask": 0o77, "nice": 5, "cwd": "/tmp", "limits": {"files": 99, "cpu": 100}, "env": {"LEFT": "over"}})
    assert look() == before
    assert b"LEFT" not in client.call("call", "one", "env")["stdout"]


def warm(client):
    """Every worker has been started."""
    for pool in ("shell", "one"):
        client.call("wait", [client.call("map", pool, "sleep", [["0.05"]] * 6)])


def test_the_daemon_itself_keeps_no_descriptor_per_task(daemon, client):
    warm(client)
    before = len(descriptors(daemon.pid))
    first, count = client.call("map", "shell", "true", [[]] * 200)
    client.call("wait", [[first, count]])
    assert len(descriptors(daemon.pid)) <= before


def test_the_daemon_keeps_no_descriptor_per_connection(daemon, client):
    warm(client)
    before = len(descriptors(daemon.pid))
    for _ in range(100):
        with daemon.client() as other:
            other.call("ping")
    eventually(lambda: len(descriptors(daemon.pid)) <= before)


# The socket

def test_the_socket_belongs_to_its_user_alone(daemon):
    assert os.stat(daemon.address).st_mode & 0o777 == 0o600


def test_the_socket_is_never_visible_with_another_mode(launch, tmp_path):
    """A shim around bind() looks at the name that appears, before anybody else can."""
    shim, seen = str(tmp_path / "bindmode.so"), str(tmp_path / "seen")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "programs", "bindmode.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", shim, source, "-ldl"], check=True)
    env = {"LD_PRELOAD": shim, "BINDMODE_FILE": seen, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    daemon = launch(env=env, preexec=lambda: os.umask(0))
    assert daemon.client().call("ping", 1) == 1
    modes = [line.split() for line in open(seen).read().splitlines()]
    assert modes, "the shim saw no bind"
    for mode, path in modes:
        if path == daemon.address:
            assert int(mode, 8) & 0o777 == 0o600
    assert os.stat(daemon.address).st_mode & 0o777 == 0o600
