"""The wall clock jumps by a day, forwards and back, and the daemon is stopped for five seconds: what waits goes by the monotonic clock, and delays
that survive a restart are never longer than was asked for."""
import os
import signal
import sys
import time

import pytest

from helpers import HERE, eventually, lines, refused, sh

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import shims   # noqa: E402

CONFIG = {"pools": {"shell": {"kind": "command", "workers": 2}}}
DAY = 86400 * 1000000


@pytest.fixture
def clock(tmp_path):
    return shims.Shim("clock", str(tmp_path))


@pytest.fixture(params=["memory", "sqlite"])
def daemon(request, launch, clock):
    return launch({"store": request.param}, env=clock.env)


@pytest.mark.parametrize("jump", [DAY, -DAY, 40 * 365 * DAY], ids=["a day on", "a day back", "forty years on"])
def test_a_jump_hurts_nothing_that_waits(daemon, clock, jump):
    """Delay, run limit, deadline, wait and retention, all begun before the jump."""
    client, out = daemon.client(), daemon.path("out")
    kept = client.call("submit", "shell", "echo", ["kept"], {"retain": 3600})
    client.call("wait", [kept])
    long = client.call("submit", "shell", *sh("echo no >>%s" % out), {"delay": 3600})
    short = client.call("submit", "shell", "echo", ["short"], {"delay": 0.3})
    limited = client.call("submit", "shell", "sleep", ["100"], {"timeout": 0.3})
    dead = client.call("submit", "shell", "sleep", ["100"], {"deadline": 0.4, "delay": 100})
    alive = client.call("submit", "shell", "sleep", ["0.6"], {"timeout": 500, "deadline": 500})
    clock.wrong_us = jump
    refused("TimeoutError", client.call, "result", long, 0.2)
    assert client.call("result", short)["stdout"] == b"short\n"
    assert refused("TaskTimeoutError", client.call, "result", limited)
    assert refused("TaskTimeoutError", client.call, "result", dead)["deadline"] is True
    assert client.call("result", alive)["exit"] == 0
    assert client.call("result", kept)["stdout"] == b"kept\n", "its retention is not over"
    assert client.call("state", [long]) == ["PENDING"] and not lines(out)
    again = client.call("submit", "shell", "echo", ["after"], {"delay": 0.1, "retain": 0.2})
    assert client.call("result", again)["stdout"] == b"after\n"
    eventually(lambda: expired(client, again), 10)


def expired(client, future):
    try:
        client.call("state", [future])
        return False
    except Exception as error:
        return error.type == "ExpiredFutureError"


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["a day on", "a day back"])
def test_a_jump_over_a_restart_makes_no_delay_longer_and_loses_no_pending_task(launch, clock, jump):
    daemon = launch({"store": "sqlite"}, env=clock.env)
    client, out = daemon.client(), daemon.path("out")
    done = client.call("submit", "shell", "echo", ["done"], {"retain": 10 * 86400})
    client.call("wait", [done])
    short = client.call("submit", "shell", *sh("echo short >>%s" % out), {"delay": 1})
    tried = client.call("submit", "shell", *sh("echo tried >>%s; exit 1" % out), {"retries": 1, "retry_delay": 1})
    eventually(lambda: lines(out) == ["tried"])
    eventually(lambda: client.call("show", tried)["state"] == "PENDING")
    client.call("submit", "shell", "true", [])   # answered after the commit of that
    daemon.kill()
    daemon.clients.clear()
    clock.wrong_us = jump
    begun = time.monotonic()
    again = launch({"store": "sqlite"}, directory=daemon.directory, env=clock.env).client(patience=20)
    again.call("wait", [short, tried])
    assert time.monotonic() - begun < 8, "a delay of one second did not become a day"
    assert sorted(lines(out)) == ["short", "tried", "tried"]
    assert again.call("result", done)["stdout"] == b"done\n"
    shown = again.call("show", short)
    assert shown["started"] <= shown["finished"]


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["a day on", "a day back"])
def test_a_jump_over_a_restart_hurts_nothing_that_waits(launch, clock, jump):
    """A result was forgotten before its time, a delay was over, and a deadline passed in the queue, by the length of the jump."""
    daemon = launch({"store": "sqlite"}, env=clock.env)
    client = daemon.client()
    done = client.call("submit", "shell", "echo", ["done"], {"retain": 3600})
    client.call("wait", [done])
    delayed = client.call("submit", "shell", "true", [], {"delay": 3600})
    limited = client.call("submit", "shell", "true", [], {"delay": 1800, "deadline": 3600})
    for life in range(3):
        before = client.call("show", done)["finished"]
        clock.wrong_us += jump
        daemon.kill()
        daemon.clients.clear()
        daemon = launch({"store": "sqlite"}, directory=daemon.directory, env=clock.env)
        client = daemon.client()
        assert client.call("result", done)["stdout"] == b"done\n"
        assert client.call("state", [delayed, limited]) == ["PENDING", "PENDING"]
        assert 3500 < client.call("show", delayed)["why"]["seconds"] <= 3600
        assert abs(client.call("show", done)["finished"] - before - jump / 1e6) < 5, "shown by the clock as it is now"


@pytest.mark.long
@pytest.mark.parametrize("round", range(5))
def test_waits_are_exact_to_fifty_milliseconds_while_the_clock_jumps(daemon, clock, round):
    """Of the ten best: the machine may be busy."""
    client, late = daemon.client(), []
    for n in range(20):
        clock.wrong_us = (-1) ** n * DAY * n
        future = client.call("submit", "shell", "sleep", ["100"], {"delay": 50})
        begun = time.monotonic()
        refused("TimeoutError", client.call, "result", future, 0.1)
        late.append(time.monotonic() - begun - 0.1)
        client.call("cancel", [future])
    assert min(late) >= 0 and sorted(late)[9] < 0.05, late


@pytest.mark.long
def test_five_seconds_of_sleep_cost_five_seconds(daemon):
    """SIGSTOP: deadlines pass meanwhile and are told at once; nothing is lost, and workers are not taken for dead."""
    client, out = daemon.client(patience=20), daemon.path("out")
    running = client.call("submit", "shell", *sh("sleep 1; echo ran >>%s" % out))
    dead = client.call("submit", "shell", "sleep", ["100"], {"deadline": 1})
    behind = [client.call("submit", "shell", *sh("echo ran >>%s" % out)) for _ in range(20)]
    eventually(lambda: client.call("state", [running]) == ["RUNNING"])
    os.kill(daemon.pid, signal.SIGSTOP)
    asked = client.request("result", running)
    time.sleep(5)
    os.kill(daemon.pid, signal.SIGCONT)
    assert client.answer(asked)["exit"] == 0
    assert refused("TaskTimeoutError", client.call, "result", dead, 1)["deadline"] is True
    client.call("wait", behind)
    assert lines(out) == ["ran"] * 21


def shown(client):
    future = client.call("submit", "shell", "true")
    client.call("wait", [future])
    return client.call("show", future)["submitted"]


def test_the_shim_moves_the_wall_clock(daemon, clock):
    """The control: what people are shown is the wall clock of the moment, or of the start; a new daemon shows the new one."""
    client = daemon.client()
    before = shown(client)
    assert abs(before - time.time()) < 60
    clock.wrong_us = DAY
    daemon.stop()
    daemon.clients.clear()
    daemon.start()
    client = daemon.client()
    after = shown(client)
    assert abs(after - before - 86400) < 120
