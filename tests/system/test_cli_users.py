"""fut, run by users of a shared daemon."""
import pytest

from cli_helper import FUT, Fut, Terminal
from people import ANN, BOB, BOSS, MONITOR, connect, launch_shared, needs_root

pytestmark = needs_root


@pytest.fixture
def house(launch):
    return launch_shared(launch, {"pools": {"shell": {"kind": "command", "workers": 2}, "team": {"kind": "command", "workers": 1, "shared": True}}})


class As:
    """fut as one of them."""

    def __init__(self, house, uid):
        self.fut, self.keys = Fut(house.directory, house.address), {"user": uid, "group": uid, "extra_groups": []}

    def __call__(self, *args, **keys):
        done = self.fut.run(*args, **self.keys, **keys)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def ok(self, *args):
        status, out, err = self(*args)
        assert status == 0, (args, status, out, err)
        return out


def test_each_works_as_if_alone(house):
    ann, bob = As(house, ANN), As(house, BOB)
    assert ann.ok("run", "--", "echo", "hello") == "hello\n"
    assert bob.ok("map", "echo", "{}", ":::", "a", "b") == "a\nb\n"
    id = ann.ok("submit", "-n", "mine", "--", "sh", "-c", "echo out; exit 3").strip()
    connect(house, ANN).call("wait", [int(id)])
    assert "mine" in ann.ok("failures") and "mine" not in bob.ok("failures")
    assert ann("wait", id)[0] == 3
    for verb in ("show", "result", "logs", "why", "wait"):
        status, out, err = bob(verb, id)
        assert status != 0 and "not to be had" in err and "mine" not in out + err, (verb, out, err)
    assert bob("cancel", id)[0] != 0 and bob("retry", id)[0] != 0
    assert "mine" in ann.ok("ls") and "mine" not in bob.ok("ls")
    ann.ok("release", id)


def test_what_is_for_admins_is_refused_with_a_sentence(house):
    ann = As(house, ANN)
    for args in (("pool", "pause", "shell"), ("pool", "resize", "shell", "3"), ("pool", "drain", "shell"), ("daemon", "reload"), ("daemon", "stop", "--wait"), ("daemon", "stop")):
        status, out, err = ann(*args)
        assert status == 1 and "PermissionError" in err, (args, status, out, err)
    assert connect(house, ANN).call("ping", 1) == 1


def test_an_admin_who_cannot_send_signals_asks_the_daemon_to_end(launch):
    """It could not be stopped by anybody but root and its own user: the signal was not permitted, and that was all."""
    daemon = launch_shared(launch)
    done = As(daemon, BOSS)("daemon", "stop")
    assert done == (0, "", "fut: told to end, which it does once all tasks are done\n"), done
    assert daemon.await_end() == 0


@pytest.mark.parametrize("uid", [ANN, MONITOR])
def test_looking_works_for_everybody(house, uid):
    who = As(house, uid)
    for args in (("ls",), ("pool", "ls"), ("pool", "show", "shell"), ("failures",), ("daemon", "stats"), ("daemon", "ping"), ("--json", "ls"), ("--json", "daemon", "stats")):
        who.ok(*args)


def test_a_monitor_reads_what_a_team_shares(house):
    ann, monitor = As(house, ANN), As(house, MONITOR)
    id = ann.ok("submit", "-p", "team", "--", "echo", "done").strip()
    ann.ok("wait", id)
    assert monitor.ok("logs", id) == "done\n" and monitor.ok("result", id) == "done\n"
    for args in (("cancel", id), ("release", id), ("retry", id), ("run", "--", "true"), ("submit", "--", "true")):
        status, _, err = monitor(*args)
        assert status != 0 and "read-only" in err, (args, err)


def test_top_as_a_user(house):
    ann = connect(house, ANN)
    ann.call("submit", "shell", "sleep", ["1000"], {"name": "of-ann"})
    other = connect(house, BOB)
    other.call("submit", "shell", "sleep", ["1000"], {"name": "of-bob"})
    fut = Fut(house.directory, house.address)
    argv = ["/usr/bin/setpriv", "--reuid=%d" % ANN, "--regid=%d" % ANN, "--clear-groups", FUT, "top"]
    screen = Terminal(argv, {**fut.env, "TERM": "vt100"}, house.directory).until(b"of-ann")
    screen.type(b"q")
    assert screen.wait() == 0
    assert b"of-bob" not in screen.seen
    for c in (ann, other):
        c.call("cancel", [m["id"] for m in c.call("list")], {"running": "kill", "grace": 0})
