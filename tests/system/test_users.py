"""Pools with a user: workers that run as somebody else, started and killed by the launcher."""
import array
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

import helpers
from conftest import yaml
from helpers import children, eventually, is_alive, parent_of, refused, sh
from test_boxes import UNIFIED, can_make_cgroups

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")

NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")
KEEPER = pwd.getpwnam("games")  # whom a daemon that is not root runs as
LAUNCHER = os.path.join(helpers.BUILD, "libexec", "futured-launch")
POOLS = {"pools": {
    "other": {"kind": "command", "workers": 1, "user": "nobody"},
    "grouped": {"kind": "command", "workers": 1, "user": "nobody", "group": "daemon", "no_new_privs": False},
    "py": {"kind": "process", "runtime": "python", "workers": 1, "user": "daemon", "grace": "100ms"},
}}
CAPABILITIES = ["--inh-caps", "+setuid,+setgid", "--ambient-caps", "+setuid,+setgid"]


def as_keeper(*capabilities):
    return ["/usr/bin/setpriv", "--reuid", str(KEEPER.pw_uid), "--regid", str(KEEPER.pw_gid), "--clear-groups", *capabilities]


def handed_over():
    """A cgroup that belongs to that user, as a service manager delegates one; None where none may be made."""
    if not can_make_cgroups():
        return None
    path = "%s/futured-kept-%d-%d" % (UNIFIED, os.getpid(), time.monotonic_ns())
    os.mkdir(path)
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
        os.chown(os.path.join(path, name), KEEPER.pw_uid, KEEPER.pw_gid)
    return path


@pytest.fixture
def kept(launch):
    """Starts a daemon that is not root, with the capabilities that the launcher needs, in a cgroup that was handed to it."""
    mine = []

    def start(*layers, capabilities=CAPABILITIES, run=True):
        cgroup = handed_over()
        join = ["/bin/sh", "-c", 'echo $$ >%s/cgroup.procs; exec "$@"' % cgroup, "sh"] if cgroup else []
        daemon = launch(*layers, prefix=join + as_keeper(*capabilities), start=False)
        mine.append((daemon, cgroup))
        os.chown(daemon.directory, KEEPER.pw_uid, KEEPER.pw_gid)
        spawn = daemon.spawn

        def spawn_readable():
            with open(daemon.config_path, "w") as f:
                for key, value in daemon.config.items():
                    f.write("%s: %s\n" % (key, yaml(value)))
            os.chown(daemon.config_path, KEEPER.pw_uid, KEEPER.pw_gid)
            return spawn()
        daemon.spawn = spawn_readable
        return daemon.start() if run else daemon
    yield start
    for daemon, cgroup in mine:
        if daemon.process is not None:
            daemon.stop()
        if cgroup:
            eventually(lambda: remove(cgroup), 15)


def remove(cgroup):
    """With all that the daemon made in it, which a killed one leaves for the next; the last of its hosts may still be ending."""
    try:
        for path, _, _ in os.walk(cgroup, topdown=False):
            os.rmdir(path)
        return True
    except OSError:
        return not os.path.exists(cgroup)


def out(client, pool, *task, **options):
    return client.call("call", pool, *task, options)["stdout"].decode()


def status(pid):
    with open("/proc/%s/status" % pid) as f:
        return dict((line.split(":", 1)[0], line.split(":", 1)[1].split()) for line in f if ":" in line)


def launcher_of(daemon):
    """The kernel promises a whole list of children only of a process that stands still."""
    return eventually(lambda: next((p for p in children(daemon.pid) if os.readlink("/proc/%d/exe" % p) == os.path.realpath(LAUNCHER)), None))


def hosts_of(daemon):
    return [p for p in children(daemon.pid) if is_alive(p) and os.readlink("/proc/%d/exe" % p) != os.path.realpath(LAUNCHER)]


@pytest.fixture(params=["root", "capabilities", "capabilities, no cgroups"])
def users(request, launch, kept):
    """A daemon with these pools, as root and as somebody who is not."""
    def start(*layers):
        if request.param == "root":
            return launch(POOLS, *layers)
        return kept(POOLS, {"cgroup": "none"} if "no" in request.param else {}, *layers)
    return start


# ---- who a task is ----

def test_a_task_is_the_pools_user_and_nothing_else(users):
    client = users().client()
    found = out(client, "other", *sh("grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status"))
    found = dict((line.split(":")[0], line.split(":")[1].split()) for line in found.splitlines())
    groups = [str(g) for g in sorted(os.getgrouplist("nobody", NOBODY.pw_gid))]
    assert found["Uid"] == [str(NOBODY.pw_uid)] * 4 and found["Gid"] == [str(NOBODY.pw_gid)] * 4 and found["Groups"] == groups
    assert {found[name] and found[name][0] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert found["NoNewPrivs"] == ["1"]


def test_a_pool_without_a_user_is_the_daemons(users):
    """The positive control."""
    daemon = users()
    assert int(out(daemon.client(), "shell", "id", ["-u"])) == int(status(daemon.pid)["Uid"][0])


def test_a_group_may_be_another(users):
    client = users().client()
    assert int(out(client, "grouped", "id", ["-g"])) == DAEMON.pw_gid
    assert int(out(client, "grouped", "id", ["-u"])) == NOBODY.pw_uid
    assert "NoNewPrivs:\t0" in out(client, "grouped", "cat", ["/proc/self/status"])


def test_the_environment_is_the_users(users):
    client = users().client()
    found = dict(line.split("=", 1) for line in out(client, "other", "env", []).splitlines())
    assert (found["USER"], found["LOGNAME"], found["HOME"], found["SHELL"]) == ("nobody", "nobody", NOBODY.pw_dir, NOBODY.pw_shell)
    assert found["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert set(found) <= {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "FUTURED_MARK", "FUTURED_ADDRESS", "FUTURED_ID", "FUTURED_ATTEMPT",
                          "FUTURED_TASK", "PWD", "SHLVL", "_"}


def test_descriptors_are_exactly_0_1_and_2_and_the_session_is_its_own(users):
    client = users().client()
    text = out(client, "other", "/usr/bin/python3", ["-Sc", "import os\nprint(sorted(os.listdir('/proc/self/fd'))[:-1], os.getsid(0) == os.getpid())"])
    assert text == "['0', '1', '2'] True\n"


def test_workers_of_functions_are_the_user_too(users):
    client = users().client()
    assert client.call("call", "py", "os.getresuid") == [DAEMON.pw_uid] * 3
    assert client.call("call", "py", "os.getresgid") == [DAEMON.pw_gid] * 3
    assert client.call("call", "py", "os.getgroups") == sorted(os.getgrouplist("daemon", DAEMON.pw_gid))


def test_what_a_worker_says_on_1_is_not_the_daemons_log_unmarked(users):
    """A worker of another user has no descriptor that is the daemon's: what it writes goes through the daemon."""
    daemon = users()
    client = daemon.client()
    client.call("call", "py", "os.system", ["echo forged >&1; echo forged >&2"])
    eventually(lambda: "forged" in daemon.log())
    assert all("warn  host: pool py" in line for line in daemon.log().splitlines() if "forged" in line and not line.startswith("forged"))
    assert os.readlink("/proc/%d/fd/1" % client.call("call", "py", "os.getpid")).startswith("pipe:")


def test_as_many_slots_as_a_host_may_have(users):
    """Their descriptors travel in several messages."""
    daemon = users({"pools": {"many": {"kind": "thread", "runtime": "python", "workers": 400, "user": "nobody"}}})
    assert daemon.client().call("call", "many", "os.getuid", timeout=30) == NOBODY.pw_uid


def test_limits_nice_and_umask_hold_there_too(users):
    daemon = users({"pools": {"strict": {"kind": "command", "workers": 1, "user": "nobody", "umask": "077", "nice": 5, "limits": {"files": 99}},
                              "strictpy": {"kind": "process", "runtime": "python", "workers": 1, "user": "nobody", "nice": 5, "limits": {"files": 99}}}})
    assert out(daemon.client(), "strict", *sh("umask; nice; ulimit -Hn")).split() == ["0077", "5", "99"]
    assert daemon.client().call("call", "strictpy", "resource.getrlimit", [7]) == [99, 99]
    assert daemon.client().call("call", "strictpy", "os.nice", [0]) == 5


def test_input_output_and_status_pass_as_ever(users):
    client = users().client()
    assert client.call("call", "other", "cat", [], {"stdin": b"x" * 100000})["stdout"] == b"x" * 100000
    assert refused("ExitError", client.call, "call", "other", *sh("exit 3"))["exit"] == 3
    assert refused("ExitError", client.call, "call", "other", "/nosuch")["exit"] == 127


def test_pools_say_whom_they_run_as(users):
    found = {p["name"]: p["user"] for p in users().client().call("pools")}
    assert found["other"] == "nobody" and found["py"] == "daemon" and found["shell"] is None


# ---- killing across users ----

def test_a_task_of_another_user_is_killed_with_its_tree(users):
    daemon = users()
    client = daemon.client()
    future = client.call("submit", "other", *sh("trap '' TERM; for i in 1 2 3; do setsid sleep 1000 & done; echo ready; sleep 1000"))
    eventually(lambda: b"ready" in str(client.call("output", future)).encode())
    host = next(p for p in hosts_of(daemon) if helpers.descendants(p))
    tree = helpers.descendants(host)
    assert len(tree) >= 4
    assert client.call("cancel", [future], {"running": "kill", "grace": 0}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert not any(is_alive(p) for p in tree)
    assert is_alive(host)


def test_a_worker_of_functions_that_does_not_end_is_killed(users):
    daemon = users()
    client = daemon.client()
    future = client.call("submit", "py", "time.sleep", [1000])
    eventually(lambda: client.call("state", [future]) == ["RUNNING"])
    assert client.call("cancel", [future], {"running": "kill", "grace": 0}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert client.call("call", "py", "os.getuid") == DAEMON.pw_uid


def test_what_a_host_that_died_left_behind_is_killed(users):
    daemon = users()
    client = daemon.client()
    future = client.call("submit", "other", *sh("setsid sleep 1000 & sleep 1000"))
    eventually(lambda: client.call("state", [future]) == ["RUNNING"])
    host = next(iter(hosts_of(daemon)))
    tree = eventually(lambda: len(helpers.descendants(host)) >= 3 and helpers.descendants(host))
    os.kill(host, signal.SIGKILL)
    refused("WorkerLostError", client.call, "result", future)
    eventually(lambda: not any(is_alive(p) for p in tree))
    assert out(client, "other", "id", ["-u"]).strip() == str(NOBODY.pw_uid)


def test_nothing_is_left_when_the_daemon_ends_or_is_killed(users):
    for end in ("stop", "kill"):
        daemon = users()
        client = daemon.client()
        client.call("submit", "other", *sh("trap '' TERM; setsid sleep 1000 & sleep 1000"))
        client.call("call", "py", "os.getpid")
        eventually(lambda: len(helpers.descendants(daemon.pid)) >= 5)
        all_of_it = helpers.descendants(daemon.pid)
        getattr(daemon, end)()
        eventually(lambda: not any(is_alive(p) for p in all_of_it), 15)


# ---- what is refused ----

def fails_to_start(daemon):
    daemon.spawn()
    assert daemon.await_end() == 1
    daemon.process = None
    return daemon.log()


def test_without_the_capabilities_a_user_is_refused_at_start(kept):
    log = fails_to_start(kept(POOLS, capabilities=(), run=False))
    assert re.search(r"pools\.(other|grouped|py)\.user: expected a daemon that is started as root, or with the capabilities", log), log


def test_ones_own_user_needs_nothing(kept):
    daemon = kept({"pools": {"mine": {"kind": "command", "workers": 1, "user": KEEPER.pw_name}}}, capabilities=())
    assert int(out(daemon.client(), "mine", "id", ["-u"])) == KEEPER.pw_uid
    assert not [p for p in children(daemon.pid) if os.readlink("/proc/%d/exe" % p) == os.path.realpath(LAUNCHER)]


@pytest.mark.parametrize("keys,what", [({"user": "nosuchuser"}, "expected a user of this machine, got 'nosuchuser'"),
                                       ({"user": "nobody", "group": "nosuchgroup"}, "expected a group of this machine, got 'nosuchgroup'"),
                                       ({"user": "4000000000"}, "expected a user of this machine"),
                                       ({"user": "nobody", "group": "root"}, "not root and not in its group")], ids=lambda v: v if isinstance(v, str) else "")
def test_a_user_that_cannot_be_is_refused_with_the_key(launch, keys, what):
    log = fails_to_start(launch({"pools": {"bad": {"kind": "command", **keys}}}, start=False))
    assert "pools.bad." in log and what in log


def test_root_is_nobody_to_become(kept):
    log = fails_to_start(kept({"pools": {"bad": {"kind": "command", "user": "root"}}}, run=False))
    assert "pools.bad.user: expected a user who is not root" in log


def test_a_reload_says_that_a_new_user_needs_a_restart(launch):
    daemon = launch(POOLS)
    client = daemon.client()
    pools = {**daemon.config["pools"], "other": {**POOLS["pools"]["other"], "user": "daemon"}, "new": {"kind": "command", "user": "games"},
             "known": {"kind": "command", "workers": 1, "user": "nobody"}}
    with open(daemon.config_path, "w") as f:
        for key, value in {**daemon.config, "pools": pools}.items():
            f.write("%s: %s\n" % (key, yaml(value)))
    told = "\n".join(client.call("reload"))
    assert "pools.other: its user and group need a restart" in told and "pools.new.user: needs a restart" in told and "known" not in told
    assert out(client, "other", "id", ["-un"]) == "nobody\n" and out(client, "known", "id", ["-un"]) == "nobody\n"
    refused("UnknownPoolError", client.call, "submit", "new", "true")


def test_tasks_that_waited_for_their_pool_never_run_as_another_user(launch):
    """A stored task whose pool has gone comes back with a user whom the launcher cannot become: it must wait, not run as the daemon."""
    store = {"store": "sqlite:state/futured.db"}
    daemon = launch(store, POOLS)
    client = daemon.client()
    mark = daemon.path("ran")
    busy = [client.call("submit", "shell", "sleep", ["1000"]) for _ in range(2)]
    eventually(lambda: client.call("state", busy) == ["RUNNING"] * 2)
    future = client.call("submit", "shell", "touch", [mark])
    assert daemon.stop() == 0
    daemon.config["pools"] = {"one": {"kind": "command", "workers": 1}, "two": {"kind": "command", "workers": 1, "user": "nobody"}}
    daemon.start()
    client = daemon.client()
    assert client.call("state", [future]) == ["PENDING"]
    with open(daemon.config_path, "w") as f:
        for key, value in {**daemon.config, "pools": {**daemon.config["pools"], "shell": {"kind": "command", "workers": 1, "user": "games"}}}.items():
            f.write("%s: %s\n" % (key, yaml(value)))
    assert "pools.shell.user: needs a restart" in client.call("reload")
    assert client.call("call", "one", "true")["exit"] == 0
    assert client.call("state", [future]) == ["PENDING"] and not os.path.exists(mark)
    with open(daemon.config_path, "w") as f:
        for key, value in {**daemon.config, "pools": {**daemon.config["pools"], "shell": {"kind": "command", "workers": 1, "user": "nobody"}}}.items():
            f.write("%s: %s\n" % (key, yaml(value)))
    os.chmod(daemon.directory, 0o777)
    assert client.call("reload") == []
    assert client.call("result", future)["exit"] == 0
    assert os.stat(mark).st_uid == NOBODY.pw_uid


def test_nobody_but_the_configuration_says_what_such_a_pool_runs(launch):
    """Else whoever may open pools would be that user with any program. The positive control is a pool without a user."""
    client = launch(POOLS, {"pools": {"plain": {"kind": "process", "runtime": "python", "workers": 1}}}).client()
    said = {"workers": 1, "env": {"A": "b"}, "bound": True}
    assert "user of its own" in refused("PermissionError", client.call, "open_pool", {"like": "py", **said})["message"]
    assert client.call("open_pool", {"like": "plain", **said})
    assert client.call("call", client.call("open_pool", {"like": "py", "workers": 1, "bound": True}), "os.getuid") == DAEMON.pw_uid


# ---- what the daemon keeps, and what its tasks can reach ----

def test_the_daemon_gives_its_capabilities_up_and_the_launcher_keeps_two(kept):
    daemon = kept(POOLS)
    daemon.client().call("ping")
    for name in ("CapPrm", "CapEff", "CapAmb"):
        assert status(daemon.pid)[name] == ["0" * 16]
    assert int(status(launcher_of(daemon))["CapPrm"][0], 16) == 1 << 6 | 1 << 7
    assert "CapEff:\t" + "0" * 16 in out(daemon.client(), "shell", "cat", ["/proc/self/status"])


LOOK = "cat /proc/%d/environ >/dev/null 2>&1 && echo seen; ls /proc/%d/fd >/dev/null 2>&1 && echo seen; echo end"


def test_a_task_of_the_daemons_own_user_cannot_look_into_it_or_the_launcher(kept):
    """It could use the launcher through them. The positive control is a daemon without one."""
    daemon, plain = kept(POOLS), kept(capabilities=())
    for pid in (daemon.pid, launcher_of(daemon)):
        assert out(daemon.client(), "shell", *sh(LOOK % (pid, pid))) == "end\n"
    assert out(plain.client(), "shell", *sh(LOOK % (plain.pid, plain.pid))) == "seen\nseen\nend\n"


def test_a_task_cannot_look_into_its_worker(users):
    """It holds descriptors of its cgroup that its user could not open: with them any process could be put there and killed. The positive control is a
    worker of functions, which holds none, and which its tasks are in anyway."""
    daemon = users()
    client = daemon.client()
    script = "ls /proc/%s/fd 2>/dev/null; cat /proc/%s/environ 2>/dev/null; cat /proc/%s/maps 2>/dev/null; echo end"
    attach = "import ctypes; print(ctypes.CDLL(None).ptrace(16, %s, 0, 0))"
    boxed = "/task" in out(client, "other", "cat", ["/proc/self/cgroup"])
    assert boxed == (can_make_cgroups() and daemon.config.get("cgroup") != "none") and "unreadable copy" not in daemon.log()
    if boxed:
        assert out(client, "other", *sh(script.replace("%s", "$PPID"))) == "end\n"
        assert out(client, "other", "/usr/bin/python3", ["-c", "import os; " + attach.replace("%s", "os.getppid()")]) == "-1\n"
    assert client.call("call", "py", "os.system", ["ls /proc/$PPID/fd >/dev/null"]) == 0


def test_a_host_of_another_user_cannot_write_what_the_next_daemon_believes(users):
    """The lock's descriptor, which every host holds."""
    daemon = users()
    daemon.client().call("call", "py", "os.getpid")
    lock = daemon.address + ".lock" if daemon.config["store"] == "memory" else daemon.path("state/futured.db.lock")
    for host in hosts_of(daemon):
        held = [n for n in os.listdir("/proc/%d/fd" % host) if os.path.realpath("/proc/%d/fd/%s" % (host, n)) == os.path.realpath(lock)]
        assert len(held) == 1
        with open("/proc/%d/fdinfo/%s" % (host, held[0])) as f:
            assert int(re.search(r"flags:\s*(\d+)", f.read()).group(1), 8) & os.O_ACCMODE == os.O_RDONLY


def test_a_host_that_lets_go_of_the_lock_does_not_let_another_daemon_in(users, launch):
    daemon = users()
    unlock = "import fcntl, os\nfor n in os.listdir('/proc/self/fd'):\n  try:\n    fcntl.flock(int(n), fcntl.LOCK_UN)\n  except OSError: pass\n"
    daemon.client().call("call", "py", "builtins.exec", [unlock])
    second = subprocess.run([*daemon.prefix, daemon.program, "-c", daemon.config_path], capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "another daemon has it" in second.stderr


def test_a_launcher_that_ended_costs_these_pools_only(users):
    daemon = users()
    client = daemon.client()
    os.kill(launcher_of(daemon), signal.SIGKILL)
    eventually(lambda: "launcher: it has ended" in daemon.log())
    refused("BrokenPoolError", client.call, "call", "other", "true")
    assert client.call("call", "shell", "true")["exit"] == 0


# ---- the launcher itself, under somebody who is not the daemon ----

MAGIC, BECOME = 0x6c617531, struct.Struct("=6I" + "2IQ" * 8)
START, SIGNAL = 0, 1


def become(fds=0, limits=0):
    return BECOME.pack(fds, 0o22, 0, 0, 1024, limits, *[0] * 24)


def a_list(*identities, magic=MAGIC, count=None):
    packed = b"".join(struct.pack("=3I64I", uid, gid, len(groups), *groups, *[0] * (64 - len(groups))) for uid, gid, groups in identities)
    return struct.pack("=2I", magic, len(identities) if count is None else count) + packed.ljust(64 * 268, b"\0")


def an_order(verb=START, identity=0, signal=0, fds=4, has_cgroup=0, magic=MAGIC, plan=None):
    """As C lays it out: eight numbers, then the struct become."""
    return struct.pack("=8I", magic, verb, identity, signal, fds, has_cgroup, 0, 0) + (become() if plan is None else plan)


class Launcher:
    def __init__(self, listed, prefix=()):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10)
        memory = os.memfd_create("list")
        os.write(memory, listed)
        os.lseek(memory, 0, 0)

        def places():
            a, b = os.dup(theirs.fileno()), os.dup(memory)
            a, b = os.dup2(a, 100), os.dup2(b, 101)
            os.dup2(a, 3), os.dup2(b, 4)
        self.process = subprocess.Popen([*prefix, LAUNCHER], stderr=subprocess.PIPE, preexec_fn=places, close_fds=False)
        theirs.close()
        os.close(memory)

    def say(self, data, fds=()):
        self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def answer(self):
        return struct.unpack("=2i", self.sock.recv(100))

    def ended(self):
        """Its status and what it said."""
        status = self.process.wait(40)
        return status, self.process.stderr.read().decode()

    def close(self):
        self.sock.close()
        self.process.wait(40)
        self.process.stderr.close()


@pytest.fixture
def launcher():
    mine = []

    def start(listed=None, **keys):
        mine.append(Launcher(a_list((NOBODY.pw_uid, NOBODY.pw_gid, [NOBODY.pw_gid])) if listed is None else listed, **keys))
        return mine[-1]
    yield start
    for one in mine:
        one.close()


def plan(*argv, env=("A=1",)):
    memory = os.memfd_create("plan")
    os.write(memory, struct.pack("=3I", MAGIC, len(argv), len(env)) + b"".join(s.encode() + b"\0" for s in [*argv, *env]))
    return memory


def started(launcher, *argv, order=None):
    read, write = os.pipe()
    launcher.say(order or an_order(), [plan(*argv), write, write, write])
    os.close(write)
    pid, error = launcher.answer()
    if pid > 0:
        os.waitpid(pid, 0)
    with os.fdopen(read) as f:
        return error, f.read()


def test_the_launcher_starts_a_child_of_ours_as_the_user(launcher):
    error, text = started(launcher(), "/bin/sh", "-c", "id -u; echo $PPID")
    assert error == 0 and text.split() == [str(NOBODY.pw_uid), str(os.getpid())]


def test_what_is_executed_may_be_a_descriptor_and_the_places_of_the_others_do_not_matter(launcher):
    """With descriptors of its own the program's is in the way of theirs."""
    one = launcher()
    program, text = os.open("/bin/sh", os.O_RDONLY), os.memfd_create("text")
    os.write(text, b"passed on")
    for count in (0, 1, 4, 30):
        read, write = os.pipe()
        order = struct.pack("=8I", MAGIC, START, 0, 0, 4 + count, 0, 1, 0) + become(fds=count)
        one.say(order, [plan("sh", "-c", "ls /proc/self/fd | wc -l; [ %d -eq 0 ] || cat /proc/self/fd/%d" % (count, 2 + count)),
                        write, write, program, *[text] * count])
        os.close(write)
        pid, error = one.answer()
        assert error == 0
        os.waitpid(pid, 0)
        with os.fdopen(read) as f:
            assert f.read().split(None, 1) == [str(4 + count)] + (["passed on"] if count else [])


def test_a_program_that_cannot_be_started_is_told(launcher):
    one = launcher()
    assert started(one, "/nosuch/program")[0] == 2
    assert started(one, "/bin/echo", "x") == (0, "x\n")


@pytest.mark.parametrize("listed", [a_list((0, 100, [])), a_list((100, 0, [])), a_list((100, 100, [5, 0])), a_list((100, 100, []), magic=1),
                                    a_list((100, 100, []), count=65), a_list()[:-1], b""],
                         ids=["root", "root's group", "root's group among others", "magic", "too many", "short", "empty"])
def test_a_list_that_it_must_not_take_ends_it(launcher, listed):
    assert launcher(listed).ended()[0] == 1


@pytest.mark.parametrize("order", [an_order(identity=1), an_order(identity=2**32 - 1), an_order(verb=2), an_order(magic=0), an_order(fds=3), an_order(fds=5),
                                   an_order(fds=1101, plan=become(fds=1097)), an_order(fds=3, plan=become(fds=2**32 - 1)), an_order(plan=become(limits=9)),
                                   an_order(verb=SIGNAL, fds=3), an_order(verb=SIGNAL, fds=1, signal=65), an_order()[:-1], an_order() + b"x", b"x"],
                         ids=lambda o: None)
def test_an_order_that_makes_no_sense_ends_it(launcher, order):
    """Nothing is done, and nothing more can be asked."""
    one = launcher()
    read, write = os.pipe()
    one.say(order, [plan("/bin/echo", "done"), write, write, write])
    os.close(write)
    assert one.ended()[0] == 1
    assert os.read(read, 10) == b""
    os.close(read)


def test_more_descriptors_than_announced_end_it(launcher):
    one = launcher()
    one.say(an_order(), [0, 0, 0, 0, 0])
    assert one.ended()[0] == 1


@pytest.mark.parametrize("bytes_", [b"", b"x" * 12, struct.pack("=3I", MAGIC, 0, 0) + b"\0", struct.pack("=3I", MAGIC, 1, 0) + b"/bin/true",
                                    struct.pack("=3I", MAGIC, 5, 0) + b"/bin/true\0", struct.pack("=3I", MAGIC, 2**32 - 1, 2) + b"/bin/true\0",
                                    struct.pack("=3I", MAGIC, 1, 8192) + b"/bin/true\0"], ids=lambda b: None)
def test_a_plan_that_makes_no_sense_harms_only_who_is_the_user_already(launcher, bytes_):
    one = launcher()
    memory = os.memfd_create("plan")
    os.write(memory, bytes_)
    one.say(an_order(), [memory, 2, 2, 2])
    pid, error = one.answer()
    assert error != 0
    os.waitpid(pid, 0)
    assert started(one, "/bin/echo", "x") == (0, "x\n")


def test_it_signals_as_the_user_and_so_only_the_users_processes(launcher):
    one = launcher()
    mine = subprocess.Popen(["sleep", "1000"])
    theirs = subprocess.Popen(["setpriv", "--reuid", "nobody", "--clear-groups", "sleep", "1000"])
    eventually(lambda: status(theirs.pid)["Uid"][0] == str(NOBODY.pw_uid))
    one.say(an_order(verb=SIGNAL, fds=1, signal=9), [os.pidfd_open(mine.pid)])
    assert one.answer()[1] == 1, "EPERM"
    one.say(an_order(verb=SIGNAL, fds=1, signal=9), [os.pidfd_open(theirs.pid)])
    assert one.answer()[1] == 0 and theirs.wait(40) == -9
    assert mine.poll() is None
    mine.kill()
    mine.wait()


def test_it_is_of_no_use_to_who_has_no_privileges(launcher):
    code, text = launcher(prefix=as_keeper()).ended()
    assert code == 1 and "may not change users" in text


def test_it_refuses_to_be_installed_set_user_id(tmp_path):
    copy = str(tmp_path / "futured-launch")
    with open(LAUNCHER, "rb") as f, open(copy, "wb") as to:
        to.write(f.read())
    os.chmod(copy, 0o4755)
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent, tmp_path.parent.parent.parent):
        os.chmod(directory, os.stat(directory).st_mode | 0o55)
    run = subprocess.run([*as_keeper(), copy], capture_output=True, text=True, timeout=10)
    assert run.returncode == 1 and "set-user-ID" in run.stderr


def test_the_launcher_ends_with_its_daemon(launcher):
    one = launcher()
    one.sock.close()
    assert one.process.wait(40) == 0


def test_parent_of_a_host_is_the_daemon(users):
    daemon = users()
    pid = daemon.client().call("call", "py", "os.getpid")
    assert parent_of(pid) == daemon.pid
