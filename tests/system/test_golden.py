"""What a task is given is the same to the last descriptor, signal, variable, limit and id, whoever it runs as and whatever the daemon was started
with: 200 tasks, each compared with what it must be."""
import grp
import os
import pwd
import resource
import signal
import socket
import subprocess

import pytest

import helpers
from helpers import sh  # noqa: F401

DUMP = os.path.join(helpers.BUILD, "tests", "programs", "dump")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
FILES = 300
POOLS = {
    "shell": {"kind": "command", "workers": 2},
    "strict": {"kind": "command", "workers": 1, "umask": "077", "nice": 3, "no_new_privs": True, "env": {"OF_POOL": "x"}, "cwd": "/usr",
               "limits": {"files": FILES, "core": 0}},
}
OTHER = {"other": {"kind": "command", "workers": 2, "user": "nobody"},
         "member": {"kind": "command", "workers": 1, "user": "daemon", "group": "games", "umask": "027", "limits": {"files": FILES}}}

NOTIFIED = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
NOTIFIED.bind("\0futured-test-golden-%d" % os.getpid())
POISON = {"NOTIFY_SOCKET": "@futured-test-golden-%d" % os.getpid(), "LISTEN_PID": "1", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c",
          "WATCHDOG_PID": "1", "WATCHDOG_USEC": "1", "CREDENTIALS_DIRECTORY": "/run/credentials/x", "LD_BIND_NOW": "1", "SECRET": "of the daemon",
          "FUTURED_TOKEN_FILE": "/etc/futured/token"}


def poison():
    """Everything that a careless parent leaves behind."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGCHLD} | {34, 64})
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGXFSZ, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o177)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(9000, hard), hard))
    for number in (3, 9, 63, 500):
        os.dup2(0, number, inheritable=True)
    with open("/proc/self/oom_score_adj", "w") as f:
        f.write("77")
    if os.geteuid() == 0:
        os.setgroups([0, grp.getgrnam("adm").gr_gid, grp.getgrnam("games").gr_gid])


def parsed(text):
    found = {}
    for line in text.decode().splitlines():
        key, _, value = line.partition("\t")
        found.setdefault(key, []).append(value)
    return found


def base(user):
    return {"PATH": "/usr/local/%sbin:/usr/bin:/bin" % "" if user.pw_uid else "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell or "/bin/sh", "LANG": "C.UTF-8"}


def check(daemon, found, pool, user, gid, groups, stdin="/dev/null flags=100000"):
    settings = daemon.config["pools"][pool]
    strict = "limits" in settings
    assert {k: v for k, v in found.items() if k.startswith("fd")} == {"fd 0": [stdin], "fd 1": ["pipe flags=1"], "fd 2": ["pipe flags=1"]}
    env = dict(line.split("=", 1) for line in found["env"])
    assert len(env) == len(found["env"]), "no name twice"
    changing = {name: env.pop(name) for name in ("FUTURED_ID", "FUTURED_TASK", "FUTURED_MARK")}
    assert all(changing.values()) and len(changing["FUTURED_TASK"]) == 32
    assert env == {**base(user), **settings.get("env", {}), "FUTURED_ADDRESS": "unix:" + daemon.address, "FUTURED_ATTEMPT": "1"}
    for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"):
        assert found[name] == ["0" * 16], name
    assert found["umask"] == [settings.get("umask", "022").lstrip("0")] and found["cwd"] == [settings.get("cwd", "/")]
    assert found["nice"] == [str(settings.get("nice", 0))] and found["oom"] == ["0"]
    assert (found["session"], found["group"], found["reaper"], found["parent_death"], found["Threads"]) == (["own"], ["own"], ["0"], ["0"], ["1"])
    assert found["tty"] != ["yes"] and found["Seccomp"] == ["0"]
    assert found["uid"] == ["%d %d %d" % ((user.pw_uid,) * 3)] and found["gid"] == ["%d %d %d" % ((gid,) * 3)]
    assert sorted(map(int, found["groups"][0].split())) == sorted(groups)
    assert found["NoNewPrivs"] == [str(int(settings.get("no_new_privs", "user" in settings)))]
    assert found["CapInh"] == found["CapAmb"] == ["0" * 16]
    if user.pw_uid:
        assert found["CapPrm"] == found["CapEff"] == ["0" * 16]
    for number in range(16):
        soft, hard = resource.getrlimit(number)
        if number == resource.RLIMIT_NOFILE:
            soft, hard = (FILES, FILES) if strict else (1024, hard)
        if number == resource.RLIMIT_CORE and settings.get("limits", {}).get("core") == 0:
            soft = hard = 0
        assert found["limit %d" % number] == ["%d %d" % (soft, hard)], number


def dumps(client, pool, count, **options):
    first, count = client.call("map", pool, DUMP, [[]] * count, options)
    return [parsed(client.call("result", first + n)["stdout"]) for n in range(count)]


@pytest.fixture(params=["clean", "poisoned"])
def daemons(request, launch):
    def start(pools):
        if request.param == "clean":
            return launch({"pools": pools}, preexec=None), os.getgroups()
        daemon = launch({"pools": pools}, env=POISON, preexec=poison)
        return daemon, [0, grp.getgrnam("adm").gr_gid, grp.getgrnam("games").gr_gid] if os.geteuid() == 0 else os.getgroups()
    return start


def test_fifty_tasks_of_each_pool_of_the_daemons_own_user(daemons):
    daemon, groups = daemons(POOLS)
    user = pwd.getpwuid(os.geteuid())
    for pool in POOLS:
        for found in dumps(daemon.client(), pool, 50):
            check(daemon, found, pool, user, os.getegid(), groups)


@ROOT_ONLY
def test_fifty_tasks_of_each_pool_of_another_user(daemons):
    daemon, _ = daemons(OTHER)
    os.chmod(daemon.directory, 0o755)
    for pool, name, group in (("other", "nobody", None), ("member", "daemon", "games")):
        user = pwd.getpwnam(name)
        gid = grp.getgrnam(group).gr_gid if group else user.pw_gid
        for found in dumps(daemon.client(), pool, 50):
            check(daemon, found, pool, user, gid, set(os.getgrouplist(name, gid)))


@pytest.mark.parametrize("stdin", [b"x" * 10, True], ids=["bytes", "open"])
def test_a_task_that_is_fed_has_one_pipe_more_and_nothing_else(daemons, stdin):
    daemon, groups = daemons(POOLS)
    client = daemon.client()
    for _ in range(10):
        future = client.call("submit", "shell", DUMP, [], {"stdin": stdin})
        check(daemon, parsed(client.call("result", future)["stdout"]), "shell", pwd.getpwuid(os.geteuid()), os.getegid(), groups, "pipe flags=0")


def test_a_task_after_one_that_spoilt_all_it_could(daemons):
    daemon, groups = daemons({"strict": POOLS["strict"]})
    client = daemon.client()
    spoil = "umask 0; cd /tmp; ulimit -n 20; ulimit -c 0; renice -n 19 $$ >/dev/null 2>&1; trap '' HUP INT TERM PIPE; exec 5</etc/passwd; setsid sleep 1000 & exit 0"
    for _ in range(5):
        client.call("call", "strict", "/bin/sh", ["-c", spoil], {"env": {"LEFT": "over"}, "umask": 0o077, "nice": 10, "limits": {"files": 50}})
        check(daemon, dumps(client, "strict", 1)[0], "strict", pwd.getpwuid(os.geteuid()), os.getegid(), groups)


def test_the_poison_shows_in_what_is_not_started_by_a_daemon():
    """The positive control: each thing that a task must not have is there when the same program is started by the same parent."""
    text = subprocess.run([DUMP], stdout=subprocess.PIPE, env={**POISON, "PATH": "/bin"}, preexec_fn=poison, close_fds=False, check=True).stdout
    found = parsed(text)
    assert {"fd 9", "fd 63", "fd 500"} <= set(found)
    assert set(POISON) <= {line.split("=", 1)[0] for line in found["env"]}
    assert int(found["SigBlk"][0], 16) and int(found["SigIgn"][0], 16)
    assert found["umask"] == ["177"] and found["oom"] == ["77"]
    assert found["limit %d" % resource.RLIMIT_NOFILE][0].split()[0] == str(min(9000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    assert found["session"] == ["inherited"] and found["cwd"] != ["/"]
    if os.geteuid() == 0:
        assert len(found["groups"][0].split()) == 3


def test_the_comparison_finds_what_is_different(launch):
    """The other positive control: a task of one pool is not what one of another must be."""
    daemon = launch({"pools": POOLS})
    found = dumps(daemon.client(), "strict", 1)[0]
    with pytest.raises(AssertionError):
        check(daemon, found, "shell", pwd.getpwuid(os.geteuid()), os.getegid(), os.getgroups())
