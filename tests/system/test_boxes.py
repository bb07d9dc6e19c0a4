"""What a pool's settings allow its tasks: limits, nice, umask, no_new_privs. A task may ask for less, never for more."""
import os
import signal
import subprocess

import pytest

from conftest import yaml
from helpers import BUILD, children, eventually, is_alive, parent_of, refused, sh

MIB = 1 << 20

CONFIG = {"store": "memory", "pools": {  # whose lock is beside the socket
    "strict": {"kind": "command", "workers": 1, "umask": "027", "nice": 3, "no_new_privs": True,
               "limits": {"files": 200, "core": 0, "cpu": "100s", "file_size": "1MiB", "stack": "4MiB"}},
    "small": {"kind": "command", "workers": 1, "limits": {"memory": "300MiB"}},
}}

SAY = "umask; nice; ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -St; ulimit -Sf; ulimit -Ss; grep NoNewPrivs /proc/self/status | cut -f2"


def said(client, pool, **options):
    return client.call("call", pool, *sh(SAY), options)["stdout"].decode().split()


def rewrite(daemon, pools):
    """Other pools in its configuration, for a reload."""
    with open(daemon.config_path, "w") as f:
        for key, value in {**daemon.config, "pools": {**daemon.config["pools"], **pools}}.items():
            f.write("%s: %s\n" % (key, yaml(value)))


# ---- limits of each process, nice, umask, no_new_privs ----

def test_a_pools_settings_hold_for_its_tasks(shared):
    assert said(shared, "strict") == ["0027", "3", "200", "200", "0", "100", "2048", "4096", "1"]


def test_other_pools_have_none_of_them(shared):
    """The positive control: the same task where nothing is set."""
    found = said(shared, "shell")
    assert found[:3] == ["0022", "0", "1024"] and found[-1] == "0" and found[5] == "unlimited"


def test_a_task_may_ask_for_less(shared):
    asked = {"limits": {"files": 100, "cpu": 5, "file_size": 512}, "nice": 7, "umask": 0o077}
    assert said(shared, "strict", **asked) == ["0077", "7", "100", "100", "0", "5", "1", "4096", "1"]


def test_a_task_gets_exactly_what_the_pool_has_if_it_asks_for_that(shared):
    asked = {"limits": {"files": 200, "core": 0, "cpu": 100, "file_size": MIB, "stack": 4 * MIB}, "nice": 3, "umask": 0o027}
    assert said(shared, "strict", **asked) == said(shared, "strict")


@pytest.mark.parametrize("limit,bound,beyond", [("files", 200, 201), ("core", 0, 1), ("cpu", 100, 101), ("file_size", MIB, MIB + 1),
                                                ("stack", 4 * MIB, 4 * MIB + 1)])
def test_a_task_that_asks_for_more_is_refused_with_the_bound(shared, limit, bound, beyond):
    error = refused("PermissionError", shared.call, "submit", "strict", "true", [], {"limits": {limit: beyond}})
    assert "limits." + limit in error["message"] and str(bound) in error["message"] and str(beyond) in error["message"]
    assert "strict" in error["message"]


def test_a_task_cannot_ask_for_a_better_place_than_its_pool(shared):
    assert "nice" in refused("PermissionError", shared.call, "submit", "strict", "true", [], {"nice": 2})["message"]
    refused("PermissionError", shared.call, "submit", "shell", "true", [], {"nice": -1})


def test_the_pools_umask_is_added_to_the_tasks(shared):
    assert said(shared, "strict", umask=0)[0] == "0027"
    assert said(shared, "strict", umask=0o100)[0] == "0127"
    assert said(shared, "shell", umask=0)[0] == "0000"


def test_map_and_call_are_held_to_it_too(shared):
    refused("PermissionError", shared.call, "call", "strict", "true", [], {"limits": {"files": 300}})
    refused("PermissionError", shared.call, "map", "strict", "true", [[], []], {"limits": {"files": 300}})


def test_a_task_cannot_raise_what_it_was_given(shared):
    script = "ulimit -n 201 2>/dev/null && echo raised; ulimit -Hc 1 2>/dev/null && echo raised; echo end"
    if os.geteuid() == 0:
        script = "setpriv --reuid 65534 --clear-groups sh -c '%s'" % script
    assert shared.call("call", "strict", *sh(script))["stdout"] == b"end\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a set-user-ID program")
def test_no_new_privs_takes_the_effect_from_set_user_id_programs(daemon, client):
    """The positive control is the pool without it, where the same program becomes another user."""
    program = daemon.path("whoami")
    os.chmod(daemon.directory, 0o755)
    with open("/usr/bin/id", "rb") as f, open(program, "wb") as to:
        to.write(f.read())
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    assert client.call("call", "shell", program, ["-u"])["stdout"] == b"65534\n"
    assert client.call("call", "strict", program, ["-u"])["stdout"] == b"0\n"


def test_a_reload_that_tightens_a_pool_holds_for_the_next_submit(daemon, client):
    """A connection keeps what it last read for the next submit: that must not outlive the settings."""
    def submit():
        return client.call("call", "shell", *sh("ulimit -n"), {"limits": {"files": 500}})["stdout"]
    assert submit() == submit() == b"500\n"
    rewrite(daemon, {"shell": {"kind": "command", "workers": 2, "umask": "077", "limits": {"files": 400}}})
    client.call("reload")
    refused("PermissionError", submit)
    assert client.call("call", "shell", *sh("ulimit -n; umask"))["stdout"] == b"400\n0077\n"


def test_what_cannot_be_held_is_refused(launch):
    client = launch({"cgroup": "none"}).client()
    assert "cgroup" in refused("UnsupportedError", client.call, "submit", "shell", "true", [], {"limits": {"cpus": 1}})["message"]


@pytest.mark.parametrize("cpus", [0, -1, 0.001, 5000, "1", True, None, [1]], ids=repr)
def test_cpus_of_a_wrong_shape_is_a_value_error(shared, cpus):
    assert "limits.cpus" in refused("ValueError", shared.call, "submit", "shell", "true", [], {"limits": {"cpus": cpus}})["message"]


def test_a_pool_of_python_processes_is_held_to_its_limits(launch):
    daemon = launch({"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1, "umask": "077", "nice": 4, "no_new_privs": True,
                                      "limits": {"files": 100, "core": 0}}}})
    client = daemon.client()
    assert client.call("call", "py", "resource.getrlimit", [7]) == [100, 100]
    assert client.call("call", "py", "resource.getrlimit", [4]) == [0, 0]
    assert client.call("call", "py", "os.umask", [0o077]) == 0o077
    assert client.call("call", "py", "os.nice", [0]) == 4


# ---- cgroups ----

UNIFIED = next((line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup2 " in line), None)


def own_cgroup():
    with open("/proc/self/cgroup") as f:
        return UNIFIED + next(line.rstrip("\n")[3:] for line in f if line.startswith("0::")).rstrip("/")


def can_make_cgroups():
    if UNIFIED is None:
        return False
    path = own_cgroup() + "/futured-test-%d" % os.getpid()
    try:
        os.mkdir(path)
        kill = os.access(path + "/cgroup.kill", os.W_OK)
        os.rmdir(path)
        return kill
    except OSError:
        return False


needs_cgroups = pytest.mark.skipif(not can_make_cgroups(), reason="no cgroups (version 2) may be made here")


def cgroup_of(pid="self"):
    return "awk -F: '$1 == 0 {print $3}' /proc/%s/cgroup" % pid


def of_process(pid):
    with open("/proc/%d/cgroup" % pid) as f:
        return next(line.rstrip("\n")[3:] for line in f if line.startswith("0::"))


def where(client, pool="shell", **options):
    return client.call("call", pool, *sh(cgroup_of()), options)["stdout"].decode().rstrip("\n")


def members(cgroup):
    with open(UNIFIED + cgroup + "/cgroup.procs") as f:
        return f.read().split()


@needs_cgroups
def test_a_task_has_a_cgroup_apart_from_its_hosts(daemon, client, gate):
    client.call("submit", "shell", *gate.task())
    pid = gate.await_start()
    box = of_process(pid)
    assert "/futured-" in box and box.endswith("/task")
    host = next(p for p in children(daemon.pid))
    assert of_process(host) == box[:-len("task")] + "host" and of_process(daemon.pid) != of_process(host)
    assert str(pid) in members(box)
    gate.open()


@needs_cgroups
@pytest.mark.config(cgroup="none")
def test_without_cgroups_there_are_none_and_the_log_says_so_once(daemon, client):
    """The positive control of the test before."""
    assert "/futured-" not in where(client)
    assert daemon.log().count("no cgroup of our own") == 1


@needs_cgroups
def test_tasks_one_after_the_other_have_the_same_cgroup(client):
    assert len({where(client, "one") for _ in range(5)}) == 1


@needs_cgroups
def test_what_a_task_leaves_is_killed_and_the_next_one_runs(client):
    """A cgroup that was killed once must still be good for tasks: the kernel was seen to kill what is born there."""
    for _ in range(3):
        assert client.call("call", "one", *sh("setsid sleep 1000 & setsid sh -c 'sleep 1000 & sleep 1000' & echo x"))["stdout"] == b"x\n"
        box = where(client, "one")
        assert client.call("call", "one", *sh("cat %s%s/cgroup.procs | wc -l" % (UNIFIED, box)))["stdout"].split() in ([b"2"], [b"3"]), "sh, cat and (if it is there yet) wc"


@needs_cgroups
def test_a_killed_tree_is_gone_and_its_worker_goes_on(daemon, client, gate):
    future = client.call("submit", "one", *gate.task(before="for i in 1 2 3 4 5; do setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' & done"))
    pid = gate.await_start()
    box = of_process(pid)
    assert client.call("cancel", [future], {"running": "kill", "grace": 0}) == [True]
    refused("CancelledError", client.call, "result", future)
    assert members(box) == []
    assert where(client, "one") == box


@needs_cgroups
def test_cgroups_of_workers_that_died_are_used_again(daemon, client):
    """A new worker may be there before the old one's cgroup is empty, so one more than workers is fine, but never more and more."""
    boxes = {where(client, "one")}
    for _ in range(4):
        box = where(client, "one")
        host = next(p for p in children(daemon.pid) if of_process(p) == box[:-len("task")] + "host")
        os.kill(host, signal.SIGKILL)
        eventually(lambda: not is_alive(host))
        boxes |= {where(client, "one"), where(client, "one")}
    assert len(boxes) <= 2


@needs_cgroups
def test_a_worker_costs_the_daemon_few_descriptors(launch):
    """Its sockets, its pidfd, its stderr and its cgroup: what only the worker needs is not kept."""
    def count(workers):
        daemon = launch({"pools": {"shell": {"kind": "command", "workers": workers}}})
        client = daemon.client()
        first, _ = client.call("map", "shell", "sleep", [["0.3"]] * workers)
        client.call("wait", [[first, workers]])
        assert len(children(daemon.pid)) == workers
        return len(os.listdir("/proc/%d/fd" % daemon.pid))
    assert count(12) - count(2) == 10 * 5


@needs_cgroups
def test_strays_of_a_killed_host_die_with_its_cgroup(daemon, client, gate):
    client.call("submit", "one", *gate.task(before="setsid sleep 1000 & echo $! >%s" % daemon.path("stray")))
    pid = gate.await_start()
    with open(daemon.path("stray")) as f:
        stray = int(f.read())
    os.kill(parent_of(pid), signal.SIGKILL)
    eventually(lambda: not is_alive(stray) and not is_alive(pid))


@needs_cgroups
def test_workers_of_functions_are_in_cgroups_too(launch):
    daemon = launch({"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1}}})
    pid = daemon.client().call("call", "py", "os.getpid")
    assert "/futured-" in of_process(pid) and of_process(pid).endswith("/host")


@needs_cgroups
def test_nothing_is_left_of_the_cgroups_when_the_daemon_ends(launch):
    daemon = launch()
    top = where(daemon.client()).rsplit("/", 2)[0]
    assert os.path.isdir(UNIFIED + top)
    assert daemon.stop() == 0
    assert not os.path.exists(UNIFIED + top)


@needs_cgroups
def test_a_daemon_that_was_killed_with_its_hosts_leaves_a_cgroup_that_the_next_one_ends(launch):
    """Its tasks have cleared their environment, so that only the cgroup knows them."""
    daemon = launch()
    client, gate = daemon.client(), daemon.gate()
    client.call("submit", "one", "/usr/bin/env", ["-i", "/bin/sh", "-c", "setsid sh -c 'echo $$ >\"$0\"; exec sleep 1000' \"$0\" & wait", gate.started])
    pid = gate.await_start()
    hosts = children(daemon.pid)
    os.kill(daemon.pid, signal.SIGSTOP)
    for host in hosts:
        os.kill(host, signal.SIGKILL)
    daemon.kill()
    assert is_alive(pid)
    again = launch(start=False)
    again.directory, again.address, again.config_path, again.log_path = daemon.directory, daemon.address, daemon.config_path, daemon.log_path
    again.config = daemon.config
    again.start()
    assert not is_alive(pid)


# ---- limits that only a cgroup can hold, where the kernel has its controllers in version 2 ----

def has_controllers():
    try:
        with open(UNIFIED + "/cgroup.controllers") as f:
            return os.geteuid() == 0 and {"memory", "pids", "cpu"} <= set(f.read().split())
    except (OSError, TypeError):
        return False


needs_controllers = pytest.mark.skipif(not has_controllers(), reason="no controllers memory, pids and cpu (version 2) are to be had here")


@pytest.fixture
def handed_over(launch):
    """A cgroup that was made for the daemon."""
    path = "%s/futured-handed-%d" % (UNIFIED, os.getpid())
    for controller in ("memory", "pids", "cpu"):
        with open(UNIFIED + "/cgroup.subtree_control", "w") as f:
            f.write("+" + controller)
    os.makedirs(path, exist_ok=True)
    daemons = []

    def start(*layers):
        daemons.append(launch({"cgroup": path}, *layers))
        return daemons[-1]
    yield start
    for daemon in daemons:
        daemon.stop()
    eventually(lambda: remove(path))


def remove(path):
    """The daemon may still be ending."""
    try:
        os.rmdir(path)
        return True
    except OSError:
        return not os.path.exists(path)


# Without a share of the processors: a slow machine would be slower still.
BOUNDED = {"pools": {"one": {"kind": "command", "workers": 1, "limits": {"memory": "64MiB", "processes": 20}}}}
EAT = ["-c", "x = bytearray(200 << 20); print('ate')"]
PARENT = "/usr/bin/python3 -c 'x = bytearray(200 << 20)'; echo went on"


@needs_controllers
def test_a_task_that_needs_more_memory_than_its_pool_has_is_killed_as_a_whole(handed_over):
    """The positive control is the pool without the limit."""
    daemon = handed_over(BOUNDED)
    client = daemon.client()
    hosts = set()
    for _ in range(3):
        error = refused("ExitError", client.call, "call", "one", *sh(PARENT))
        assert error["signal"] == 9 and error["oom"] is True and not error.get("stdout")
        hosts.add(client.call("call", "one", *sh("echo $PPID"))["stdout"])
    assert len(hosts) == 1, "the worker lives on"
    assert client.call("call", "shell", "/usr/bin/python3", EAT)["stdout"] == b"ate\n"
    assert "oom" not in refused("ExitError", client.call, "call", "one", *sh("kill -KILL $$"))


@needs_controllers
def test_a_tasks_own_memory_limit_holds_for_it_alone(handed_over):
    client = handed_over({"pools": {"one": {"kind": "command", "workers": 1}}}).client()
    error = refused("ExitError", client.call, "call", "one", "/usr/bin/python3", EAT, {"limits": {"memory": 64 * MIB}})
    assert error["signal"] == 9 and error["oom"] is True
    assert client.call("call", "one", "/usr/bin/python3", EAT)["stdout"] == b"ate\n"


@needs_controllers
def test_processes_are_counted_for_the_task_alone_and_bind_root_too(handed_over):
    client = handed_over(BOUNDED).client()
    script = "import os\nn = 0\ntry:\n    while n < 40:\n        if os.fork() == 0: os.execv('/bin/sleep', ['sleep', '100'])\n        n += 1\n" \
             "except BlockingIOError: pass\nprint(n)"
    assert client.call("call", "one", "/usr/bin/python3", ["-c", script])["stdout"] == b"19\n"
    assert client.call("call", "one", "/usr/bin/python3", ["-c", script], {"limits": {"processes": 7}})["stdout"] == b"6\n"
    assert client.call("call", "one", "/usr/bin/python3", ["-c", script])["stdout"] == b"19\n"
    assert client.call("call", "shell", "/usr/bin/python3", ["-c", script])["stdout"] == b"40\n"


@needs_controllers
def test_processor_time_is_shared_out(handed_over):
    """By the kernel's own account of it, not by a clock."""
    client = handed_over(LIMITED).client()
    stat = "%s$(%s)/cpu.stat" % (UNIFIED, cgroup_of())
    until = "f=%s; i=0; while [ $i -lt %s ] && grep -q 'nr_throttled 0' $f; do i=$((i+1)); done; grep nr_throttled $f"
    few = client.call("call", "one", *sh(until % (stat, 10**9)), {"limits": {"cpus": 0.1}})["stdout"].split()
    assert int(few[1]) > 0
    assert int(client.call("call", "shell", *sh(until % (stat, 30)))["stdout"].split()[1]) == 0


@needs_controllers
def test_a_worker_of_functions_that_needs_too_much_memory_is_lost_and_replaced(handed_over):
    client = handed_over({"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1, "limits": {"memory": "100MiB"}}}}).client()
    error = refused("WorkerLostError", client.call, "call", "py", "os.system", ["/usr/bin/python3 -c 'x = bytearray(200 << 20)'"])
    assert error["signal"] == 9 and error["oom"] is True
    assert client.call("call", "py", "math.sqrt", [4]) == 2


# ---- a made-up cgroup: which files are written ----

class MadeUp:
    """A directory that looks like a cgroup handed to the daemon. Its children cannot come by themselves, so they are there before."""
    FILES = {"cgroup.procs": "", "cgroup.kill": "", "cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "cpu memory pids\n",
             "cgroup.events": "populated 0\n", "memory.max": "max\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n",
             "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n", "pids.max": "max\n", "cpu.max": "max 100000\n"}

    def __init__(self, path, lock, without=()):
        self.path, self.without = str(path), without
        digest = 0xcbf29ce484222325
        for c in os.path.realpath(lock).encode():
            digest = (digest ^ c) * 0x100000001b3 & (1 << 64) - 1
        self.top = os.path.join(self.path, "futured-%016x" % digest)
        for directory in [self.path, self.top] + [os.path.join(self.top, str(n), below) for n in range(4) for below in ("", "host", "task")]:
            os.makedirs(directory, exist_ok=True)
            for name, text in self.FILES.items():
                if name.split(".")[0] not in without:
                    if name in ("cgroup.controllers", "cgroup.subtree_control"):
                        text = " ".join(word for word in text.split() if word not in without) + "\n"
                    with open(os.path.join(directory, name), "w") as f:
                        f.write(text)

    def read(self, name):
        """What was written last: a write to a file that is none of the kernel's leaves the end of a longer one."""
        with open(os.path.join(self.top, name)) as f:
            return f.read()


@pytest.fixture
def made_up(launch, tmp_path):
    def start(*layers, **keys):
        daemon = launch(*layers, start=False)
        fake = MadeUp(tmp_path / "cgroup", daemon.address + ".lock", **keys)
        daemon.config["cgroup"] = fake.path
        return daemon.start(), fake
    return start


LIMITED = {"pools": {"one": {"kind": "command", "workers": 1, "limits": {"memory": "64MiB", "processes": 20, "cpus": 0.5}}}}
TASK = "for f in memory.max memory.swap.max pids.max cpu.max; do echo $(cat %s/0/task/$f); done"


def test_a_pools_limits_are_written_to_its_workers_cgroup(made_up):
    daemon, fake = made_up(LIMITED)
    daemon.client().call("call", "one", "true")
    assert fake.read("0/memory.max") == "67108864" and fake.read("0/memory.swap.max").startswith("0")
    assert fake.read("0/pids.max").startswith("21") and fake.read("0/cpu.max") == "50000 100000"
    assert fake.read("0/memory.oom.group").startswith("0") and fake.read("0/task/memory.oom.group").startswith("1")
    assert fake.read("0/host/cgroup.procs") == "0" and fake.read("0/task/cgroup.procs") == "0"
    assert "memory is held, processes are held, cpus are held" in daemon.log()


def test_a_tasks_own_limits_are_written_for_its_time(made_up):
    daemon, fake = made_up(LIMITED)
    asked = {"limits": {"memory": 1 << 25, "processes": 5, "cpus": 0.25}}
    text = daemon.client().call("call", "one", *sh(TASK % fake.top), asked)["stdout"].decode().split()
    assert text == ["33554432", "0ax", "5ax", "25000", "100000"], "the ends of what was there stay in a made-up file"
    assert fake.read("0/task/memory.max").startswith("max") and fake.read("0/task/pids.max").startswith("max")
    assert fake.read("0/memory.max") == "67108864", "the pool's are not touched"
    text = daemon.client().call("call", "one", *sh(TASK % fake.top))["stdout"].decode().split()
    assert [t[:3] for t in text] == ["max", "max", "max", "max", "100"]


def test_limits_that_a_cgroup_holds_are_no_resource_limits_too(made_up, launch):
    """The positive control: without a cgroup they are."""
    daemon, _ = made_up(LIMITED)
    assert daemon.client().call("call", "one", *sh("ulimit -v"), {"limits": {"memory": 1 << 25}})["stdout"] == b"unlimited\n"
    bare = launch(LIMITED, {"cgroup": "none"})
    assert bare.client().call("call", "one", *sh("ulimit -v"))["stdout"] == b"65536\n"
    assert bare.client().call("call", "one", *sh("ulimit -v"), {"limits": {"memory": 1 << 25}})["stdout"] == b"32768\n"


def test_a_task_cannot_ask_for_more_than_the_cgroup_of_its_pool(made_up):
    client = made_up(LIMITED)[0].client()
    for asked in ({"memory": 1 << 27}, {"processes": 21}, {"cpus": 0.6}):
        refused("PermissionError", client.call, "submit", "one", "true", [], {"limits": asked})


def test_a_controller_that_is_not_there_is_done_without(made_up):
    daemon, fake = made_up(LIMITED, without=("cpu", "memory"))
    client = daemon.client()
    assert client.call("call", "one", *sh("ulimit -v"))["stdout"] == b"65536\n"
    assert fake.read("0/pids.max").startswith("21")
    assert "memory is not, processes are held, cpus are not" in daemon.log()
    refused("UnsupportedError", client.call, "submit", "one", "true", [], {"limits": {"cpus": 0.1}})


@pytest.mark.parametrize("counted", [True, False])
def test_oom_is_told_from_other_kills_by_the_cgroups_own_count(made_up, counted):
    """The second half is the positive control: the same death, not counted."""
    daemon, fake = made_up(LIMITED)
    script = "echo 'oom_kill 1' >%s/0/task/memory.events; kill -KILL $$" if counted else ": %s; kill -KILL $$"
    client = daemon.client()
    error = refused("ExitError", client.call, "call", "one", *sh(script % fake.top))
    assert error["signal"] == 9 and error.get("oom", False) is counted
    assert "oom" not in refused("ExitError", client.call, "call", "one", *sh("kill -KILL $$")), "it was counted once"


def test_fut_says_that_memory_ran_out(made_up):
    daemon, fake = made_up(LIMITED)
    fut = [os.path.join(BUILD, "bin", "fut"), "--address", "unix:" + daemon.address, "run", "-p", "one", "--", "sh", "-c"]
    script = "echo 'oom_kill 1' >%s/0/task/memory.events; kill -KILL $$" % fake.top
    run = subprocess.run(fut + [script], capture_output=True, text=True, timeout=20)
    assert (run.returncode, run.stderr) == (137, "fut: ended by signal 9 (memory ran out)\n")
    run = subprocess.run(fut + ["kill -KILL $$"], capture_output=True, text=True, timeout=20)
    assert (run.returncode, run.stderr) == (137, "fut: ended by signal 9 (Killed)\n")


@pytest.mark.parametrize("counted", [True, False])
def test_a_worker_of_functions_that_the_oom_killer_ended_says_so(made_up, counted):
    daemon, fake = made_up({"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1, "limits": {"memory": "1GiB"}}}})
    script = "echo 'oom_kill 1' >%s/0/memory.events; kill -KILL $PPID" if counted else ": %s; kill -KILL $PPID"
    error = refused("WorkerLostError", daemon.client().call, "call", "py", "os.system", [script % fake.top])
    assert error["oom"] is counted


def test_a_worker_of_functions_is_limited_as_a_whole(made_up):
    daemon, fake = made_up({"pools": {"py": {"kind": "process", "runtime": "python", "workers": 1, "limits": {"memory": "1GiB", "processes": 9}}}})
    assert daemon.client().call("call", "py", "resource.getrlimit", [9]) == [-1, -1]
    assert fake.read("0/memory.max") == str(1 << 30) and fake.read("0/pids.max").startswith("9") and fake.read("0/memory.oom.group").startswith("1")


def test_a_reload_changes_the_limits_of_workers_that_are_there(made_up):
    daemon, fake = made_up(LIMITED)
    client = daemon.client()
    client.call("call", "one", "true")
    rewrite(daemon, {"one": {"kind": "command", "workers": 1, "limits": {"memory": "32MiB"}}})
    client.call("reload")
    assert fake.read("0/memory.max") == "33554432" and fake.read("0/pids.max").startswith("max")


def test_a_cgroup_that_cannot_be_made_is_named_in_the_log_and_done_without(launch, tmp_path):
    daemon = launch({"cgroup": str(tmp_path / "nowhere")})
    assert daemon.client().call("call", "shell", "true")["exit"] == 0
    assert "nowhere" in daemon.log() and "no cgroup of our own" in daemon.log()
