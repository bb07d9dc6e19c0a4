"""The daemon dies at every named point (make FAULTS=1), the first time and the nth, in the middle of every verb; the next one has all that was
acknowledged, and nothing that was not said to be, unless it was about to be."""
import os
import signal
import subprocess

import pytest

from helpers import ROOT, Closed, RpcError, eventually, lines, sh


FAULTY = os.path.join(ROOT, "build-faults", "bin", "futured")
pytestmark = pytest.mark.long


def points():
    if not os.path.exists(FAULTY):
        return ["build-faults is not there"]
    found = subprocess.run([os.path.join(ROOT, "scripts", "points"), FAULTY, "crash_points"], stdout=subprocess.PIPE, check=True)
    return found.stdout.decode().split()


class Scene:
    """A daemon that will die, a scenario that notes what it was told, and the daemon after it."""

    def __init__(self, launch, tmp_path, point, n):
        self.launch, self.point = launch, point
        self.ledger = str(tmp_path / ("ledger.%s.%d" % (point, n)))
        self.config = {"store": "sqlite", "limits": {"message": "8MiB"},
                       "pools": {"shell": {"kind": "command", "workers": 1, "output": "4KiB"}, "held": {"kind": "command", "workers": 1}}}
        self.daemon = launch(self.config, start=False, env={"FUTURED_CRASH": "%s:%d" % (point, n)})
        self.daemon.program = FAULTY
        self.told = {}           # id -> (word, retries)
        self.over = {}           # id -> its state, as told
        self.gone = []           # released, as told
        self.maybe_gone = []
        self.words = 0

    def task(self, printed=0):
        self.words += 1
        word = "w%d" % self.words
        return word, sh('echo "$1" >>"$2"; head -c %d /dev/zero; echo "$1"' % printed, word, self.ledger)

    def submit(self, client, pool="shell", printed=0, **options):
        word, task = self.task(printed)
        future = client.call("submit", pool, *task, options)
        self.told[future] = word, options.get("retries", 0)
        return future


def do_submit(scene, client):
    for _ in range(4):
        scene.submit(client)


def do_map(scene, client):
    tasks = [scene.task() for _ in range(20)]
    first, count = client.call("map", "held", "/bin/sh", [t[1][1] for t in tasks])
    scene.told.update({first + n: (tasks[n][0], 0) for n in range(count)})


def do_result(scene, client):
    for retries in (0, 2):
        future = scene.submit(client, retries=retries)
        client.call("result", future)
        scene.over[future] = "FINISHED"


def do_spill(scene, client):
    future = scene.submit(client, printed=100000)
    client.call("result", future)
    scene.over[future] = "FINISHED"
    scene.maybe_gone.append(future)
    client.call("release", [future])
    scene.gone.append(future)
    do_submit(scene, client)


def do_cancel(scene, client):
    client.call("pause", "held")
    futures = [scene.submit(client, "held") for _ in range(3)]
    assert client.call("cancel", futures[:2]) == [True, True]
    scene.over.update(dict.fromkeys(futures[:2], "CANCELLED"))
    client.call("resume", "held")


def do_kill(scene, client):
    future = client.call("submit", "held", "/bin/sleep", ["1000"])
    eventually(lambda: client.call("state", [future]) == ["RUNNING"])
    if client.call("cancel", [future], {"running": "kill", "grace": 0}) == [True]:
        scene.over[future] = "CANCELLED"
        scene.told[future] = None, 0
    client.call("wait", [future])


def do_release(scene, client):
    future = scene.submit(client)
    client.call("wait", [future])
    scene.over[future] = "FINISHED"
    scene.maybe_gone.append(future)
    client.call("release", [future])
    scene.gone.append(future)
    scene.submit(client)


def do_retry(scene, client):
    future = scene.submit(client)
    client.call("wait", [future])
    scene.told[future] = scene.told[future][0], 1   # its word may run once more, under an id that nobody was told
    again, = client.call("retry", [future])
    scene.told[again] = scene.told[future][0], 0
    client.call("wait", [again])
    scene.over[future] = scene.over[again] = "FINISHED"


def do_after(scene, client):
    first = scene.submit(client, delay=0.05)
    second = scene.submit(client, after=[first], key="k")
    client.call("wait", [second])
    scene.over[first] = scene.over[second] = "FINISHED"


def do_open_pool(scene, client):
    name = client.call("open_pool", {"like": "shell", "workers": 1})
    future = scene.submit(client, name)
    client.call("wait", [future])
    scene.over[future] = "FINISHED"
    client.call("close_pool", name)


VERBS = [do_submit, do_map, do_result, do_spill, do_cancel, do_kill, do_release, do_retry, do_after, do_open_pool]


def play(launch, tmp_path, point, verb, n):
    """Whether the point was reached n times. The next daemon must have what was told."""
    scene = Scene(launch, tmp_path, point, n)
    try:
        scene.daemon.start()
    except AssertionError:
        assert scene.daemon.process.returncode == -signal.SIGKILL, scene.daemon.log()
        scene.daemon.process = None     # it died while it started, and its successor must come up
    else:
        try:
            verb(scene, scene.daemon.client())
        except (Closed, OSError):
            pass
        if scene.daemon.is_running():
            reached = False
            try:
                scene.daemon.process.wait(0.05)
                reached = True
            except subprocess.TimeoutExpired:
                scene.daemon.kill()
            if not reached:
                verify(scene)
                return False
        assert scene.daemon.await_end() == -signal.SIGKILL
        scene.daemon.expected_status = -signal.SIGKILL
    verify(scene)
    return True


def verify(scene):
    scene.daemon.clients.clear()
    after = scene.launch(scene.config, directory=scene.daemon.directory)
    client = after.client()
    client.call("resume", "held")   # may have been paused
    for future in scene.gone:
        try:
            raise AssertionError("%d was released, and is %s" % (future, client.call("state", [future])))
        except RpcError as error:
            assert error.type == "ExpiredFutureError"
            del scene.told[future]
    for future in set(scene.maybe_gone) - set(scene.gone):
        scene.told.pop(future, None)
    client.call("wait", list(scene.told), "ALL_COMPLETED", 30)
    states = dict(zip(scene.told, client.call("state", list(scene.told))))
    assert all(states[f] == state for f, state in scene.over.items() if f in states), (states, scene.over)
    assert set(states.values()) <= {"FINISHED", "CANCELLED"}, states
    ran = lines(scene.ledger)
    for future, (word, retries) in scene.told.items():
        if word is None:
            continue
        runs = ran.count(word) if [w for w, _ in scene.told.values()].count(word) == 1 else 1
        assert runs <= retries + 1, "%d ran %d times" % (future, runs)
        if states[future] == "CANCELLED":
            assert runs == 0, "%d was cancelled, and ran" % future
            continue
        error = client.call("exception", future)
        if error and error["type"] == "DependencyError":
            error = error["cause"]
        assert error is None or (error["type"] == "WorkerLostError" and future not in scene.over), error
        assert error or runs >= 1, "%d has a value, and did not run" % future
    fresh = client.call("submit", "shell", "true")
    assert not scene.told or fresh > max(scene.told), "ids go on"
    assert after.stop() == 0


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.__name__[3:])
@pytest.mark.parametrize("point", points())
def test_a_daemon_that_dies_there_loses_nothing(launch, tmp_path, point, verb):
    for n in (1, 2, 3, 5, 8, 13):
        if not play(launch, tmp_path, point, verb, n):
            break


def test_every_point_is_passed_by_some_verb(launch, tmp_path):
    """The control: a point that nothing passes proves nothing."""
    passed = tmp_path / "points"
    for n, verb in enumerate(VERBS):
        scene = Scene(launch, tmp_path, "none", n)
        scene.daemon.env["FUTURED_POINTS"] = str(passed)
        scene.daemon.start()
        verb(scene, scene.daemon.client())
        assert scene.daemon.stop() == 0
    assert sorted(set(lines(str(passed)))) == points()


def test_a_crash_is_noticed_where_a_store_forgets(launch, tmp_path):
    """The control of the checks: a store that leaves something out is found."""
    scene = Scene(launch, tmp_path, "before_send", 30)
    scene.daemon.env["FUTURED_FAULT"] = "result_not_stored"
    scene.daemon.start()
    with pytest.raises((Closed, OSError)):
        for _ in range(99):
            do_result(scene, scene.daemon.client())
    scene.daemon.expected_status = -signal.SIGKILL
    scene.daemon.await_end()
    with pytest.raises(AssertionError):
        verify(scene)
