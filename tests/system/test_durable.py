"""The durable store: what was said holds, whatever becomes of the daemon."""
import os
import sqlite3
import subprocess

import pytest

import helpers
from rpc import ref
from helpers import eventually, refused, sh
from kinds import PROCESS

CONFIG = {"store": "sqlite", "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1},
                                        "cpu": {**PROCESS, "workers": 1},
                                        "native": {"kind": "process", "runtime": "native", "workers": 2,
                                                   "modules": [os.path.join(helpers.ROOT, helpers.BUILD, "modules", "work.so")]}}}


@pytest.fixture
def reborn(launch):
    """Kills a daemon as nobody should, and starts the next one on what it left."""
    def again(daemon, **config):
        daemon.kill()
        daemon.clients.clear()
        return launch(config, directory=daemon.directory)
    return again


def marks(path):
    try:
        return open(path).read().split()
    except FileNotFoundError:
        return []


def test_a_result_is_there_after_a_crash(daemon, client, reborn):
    future = client.call("submit", "shell", *sh("echo kept; echo too >&2"))
    value = client.call("result", future)
    again = reborn(daemon).client()
    assert again.call("result", future) == value
    assert again.call("state", [future]) == ["FINISHED"]


def test_an_error_nobody_looked_at_is_still_one_of_the_failures(daemon, client, reborn):
    future = client.call("submit", "shell", *sh("exit 3"))
    client.call("wait", [future])
    again = reborn(daemon).client()
    assert [f["id"] for f in again.call("failures")] == [future]
    assert refused("ExitError", again.call, "result", future)["exit"] == 3


def test_one_that_was_looked_at_is_not(daemon, client, reborn):
    future = client.call("submit", "shell", *sh("exit 3"))
    refused("ExitError", client.call, "result", future)
    client.call("ping")
    client.call("submit", "shell", *sh("true"))  # whose answer comes after the commit of what was seen
    assert future not in [f["id"] for f in reborn(daemon).client().call("failures")]


def test_ids_go_on_without_a_gap_after_an_end_in_order(launch, daemon, client):
    """Ids are kept ahead, so that none is given twice after a crash; what was kept and not given goes back."""
    last = client.call("submit", "shell", *sh("true"))
    client.call("call", "shell", "true", [])  # has an id, too, though it is not stored
    daemon.stop()
    again = launch(directory=daemon.directory)
    assert again.client().call("submit", "shell", *sh("true")) == last + 2
    again.stop()
    third = launch(directory=daemon.directory)
    assert third.client().call("submit", "shell", *sh("true")) == last + 3


def test_no_id_is_given_twice_whether_a_daemon_was_stopped_or_killed(launch, daemon, client, reborn):
    """Nothing of them is left in the store but the bound below which they may have been given."""
    def give(client):
        ids = [client.call("submit", "shell", *sh("true")) for n in range(3)]
        client.call("wait", ids)
        client.call("release", ids)
        client.call("submit", "shell", *sh("true"))  # whose answer comes after the commit of that
        return ids
    given = give(client)
    for _ in range(2):
        daemon.stop()
        daemon = launch(directory=daemon.directory)
        given += give(daemon.client())
        daemon = reborn(daemon)
        given += give(daemon.client())
    assert given == sorted(set(given))


def test_pending_tasks_run_in_their_order_after_a_crash(daemon, client, reborn):
    out = daemon.path("order")
    client.call("submit", "one", *daemon.gate().task())
    daemon.gates[-1].await_start()
    client.call("pause", "one")
    ids = [client.call("submit", "one", *sh('echo "$1" >> "$2"', name, out), {"priority": priority})
           for name, priority in (("c", 0), ("a", 9), ("d", 0), ("b", 5))]
    run = client.call("map", "one", "/bin/sh", [["-c", 'echo "$1" >> "$2"', "sh", name, out] for name in "efg"])
    again = reborn(daemon).client()
    again.call("resume", "one")
    again.call("wait", ids + [run])
    assert marks(out) == list("abcdefg")


def test_what_ran_is_lost_unless_it_may_run_again(daemon, client, reborn):
    ledger = daemon.path("ledger")
    script = 'echo "$1" >> "$2"; [ $FUTURED_ATTEMPT = 2 ] || sleep 1000'
    once = client.call("submit", "shell", *sh(script, "once", ledger))
    twice = client.call("submit", "shell", *sh(script, "twice", ledger), {"retries": 1})
    eventually(lambda: len(marks(ledger)) == 2)
    again = reborn(daemon).client()
    error = refused("WorkerLostError", again.call, "result", once)
    assert "daemon restarted" in error["message"] and error["future"] == once
    assert again.call("result", twice)["exit"] == 0
    assert sorted(marks(ledger)) == ["once", "twice", "twice"]
    assert again.call("show", twice)["attempt"] == 2


def test_what_was_sent_ahead_and_had_not_begun_goes_back_to_its_place(daemon, client, reborn):
    """Handed over, as the store knows, but not claimed, as the board says: it has no attempt behind it."""
    ledger = daemon.path("ledger")
    client.call("call", "native", "noop", [])  # workers are there, and short tasks are expected
    fast = [client.call("submit", "native", "noop", []) for n in range(40)]
    client.call("wait", fast)
    slow = [client.call("submit", "one", *sh('echo "$1" >> "$2"; sleep 1000', n, ledger)) for n in range(6)]
    eventually(lambda: marks(ledger))
    again = reborn(daemon).client()
    refused("WorkerLostError", again.call, "result", slow[0])
    eventually(lambda: len(marks(ledger)) == 2)
    assert again.call("state", slow) == ["FINISHED", "RUNNING"] + ["PENDING"] * 4
    assert again.call("show", slow[1])["attempt"] == 1
    again.call("cancel", slow, {"running": "kill", "grace": 0})


def test_boards_that_are_gone_count_all_that_was_handed_over_as_begun(launch, daemon, client):
    """As after a power cut: nobody knows what had begun."""
    future = client.call("submit", "one", *daemon.gate().task())
    daemon.gates[-1].await_start()
    daemon.kill()
    daemon.clients.clear()
    boards = [os.path.join(daemon.directory, name) for name in os.listdir(daemon.directory) if name.startswith("boards-")]
    assert len(boards) == 1 and os.listdir(boards[0])
    for name in os.listdir(boards[0]):
        os.unlink(os.path.join(boards[0], name))
    refused("WorkerLostError", launch(directory=daemon.directory).client().call, "result", future)


def test_show_has_the_options_of_a_submit_after_a_crash(daemon, client, reborn):
    first = client.call("submit", "shell", "true", [], {"delay": 1000})
    options = {"timeout": 1.5, "deadline": 5000, "delay": 100, "retry_delay": 2, "retries": 3, "retain": 77, "after": [first], "key": "once", "cwd": "/tmp", "umask": 0o77,
               "nice": 3, "limits": {"files": 99}, "env": {"MINE": "x y"}}
    future = client.call("submit", "shell", "true", [], options)
    shown = reborn(daemon).client().call("show", future)
    assert {name: shown[name] for name in options} == options


def test_delays_dependencies_and_keys_survive(daemon, client, reborn):
    delayed, later = (client.call("submit", "shell", *sh("echo late"), {"delay": n}) for n in (1, 1000))
    first = client.call("submit", "one", *sh("sleep 0.2; echo first"), {"retries": 2})
    after = client.call("submit", "shell", *sh("echo after"), {"after": [first]})
    piped = client.call("submit", "shell", "/bin/cat", [], {"stdin": ref(first)})
    keyed = client.call("submit", "shell", *sh("echo keyed"), {"key": "k", "delay": 1})
    run = client.call("map", "shell", "/bin/echo", [["x"], ["y"]], {"key": "m", "delay": 1, "after": [first]})
    again = reborn(daemon).client()
    assert again.call("submit", "shell", *sh("echo other"), {"key": "k"}) == keyed
    assert again.call("map", "shell", "/bin/echo", [["z"]], {"key": "m"}) == run
    assert again.call("show", later)["why"]["code"] == "delay"
    assert again.call("result", piped)["stdout"] == b"first\n"
    assert again.call("result", after)["stdout"] == b"after\n"
    assert again.call("result", delayed)["stdout"] == b"late\n"
    assert again.call("result", run[0] + 1)["stdout"] == b"y\n"


def test_a_dependency_that_was_forgotten_was_fulfilled(daemon, client, reborn):
    first = client.call("submit", "shell", *sh("true"))
    client.call("wait", [first])
    after = client.call("submit", "shell", *sh("echo ran"), {"after": [first], "delay": 0.5})
    assert client.call("release", [first]) == 1
    again = reborn(daemon).client()
    refused("ExpiredFutureError", again.call, "result", first)
    assert again.call("result", after)["stdout"] == b"ran\n"


def test_a_released_value_is_kept_for_whoever_needs_it(daemon, client, reborn):
    first = client.call("submit", "shell", *sh("echo precious"))
    client.call("wait", [first])
    client.call("pause", "shell")
    needs = client.call("submit", "shell", "/bin/cat", [], {"stdin": ref(first)})
    client.call("release", [first])
    again = reborn(daemon).client()
    refused("ExpiredFutureError", again.call, "result", first)
    again.call("resume", "shell")
    assert again.call("result", needs)["stdout"] == b"precious\n"


def test_ids_are_never_given_twice(daemon, client, reborn):
    highest = client.call("submit", "shell", *sh("true"))
    for _ in range(3):
        bound = [client.call("submit", "shell", *sh("true"), {"bound": True}) for _ in range(3)]
        assert min(bound) > highest
        highest = max(bound)
        daemon = reborn(daemon)
        client = daemon.client()
        refused("ExpiredFutureError", client.call, "result", highest)
        first = client.call("submit", "shell", *sh("true"))
        assert first > highest
        highest = first


def test_the_instance_stays_the_same(daemon, client, reborn):
    def instance(c):
        return c.call("hello", {"protocol": 1, "client": "test"})["instance"]
    assert instance(client) == instance(reborn(daemon).client())


def test_released_and_cancelled_futures_stay_so(daemon, client, reborn):
    client.call("pause", "one")
    released, cancelled = [client.call("submit", "one", *sh("true")) for _ in range(2)]
    done = client.call("submit", "shell", *sh("true"))
    client.call("wait", [done])
    assert client.call("cancel", [cancelled]) == [True]
    assert client.call("release", [released, done]) == 2
    again = reborn(daemon).client()
    assert again.call("state", [cancelled]) == ["CANCELLED"]
    refused("ExpiredFutureError", again.call, "result", done)
    again.call("resume", "one")
    eventually(lambda: again.call("stats")["futures"]["PENDING"] + again.call("stats")["futures"]["RUNNING"] == 0)
    refused("ExpiredFutureError", again.call, "result", released)


def test_a_kill_that_was_promised_is_kept(daemon, client, reborn):
    """True said that it will be CANCELLED: it was WorkerLostError when the daemon ended first, and ran again where it had retries."""
    gate = daemon.gate()
    futures = [client.call("submit", "shell", *gate.task(before="trap '' TERM"), {"retries": n}) for n in (0, 3)]
    for _ in futures:
        gate.await_start()
    assert client.call("cancel", futures, {"running": "kill", "grace": 1000}) == [True, True]
    assert client.call("state", futures) == ["RUNNING", "RUNNING"]
    again = reborn(daemon).client()
    assert again.call("state", futures) == ["CANCELLED", "CANCELLED"]
    assert gate.nobody_started()


def test_spilled_output_is_there_after_a_crash(daemon, client, reborn):
    future = client.call("submit", "shell", *sh("head -c 3000000 /dev/zero | tr '\\0' x"))
    client.call("wait", [future])
    again = reborn(daemon).client()
    got = b""
    while len(got) < 3000000:
        part = again.call("output", future, {"stream": "stdout", "offset": len(got)})
        assert part
        got += part
    assert got == b"x" * 3000000
    again.call("release", [future])


def rss(daemon):
    with open("/proc/%d/status" % daemon.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:")) * 1024


def payload_files(daemon):
    top = next(os.path.join(daemon.path("state"), name) for name in os.listdir(daemon.path("state")) if name.startswith("payload-"))
    return sorted(os.listdir(top))


def test_large_payloads_are_in_the_store_and_not_in_memory(daemon, client, reborn):
    big = os.urandom(1 << 20) * 8
    client.call("pause", "native")
    before = daemon.rss() and rss(daemon)
    ids = [client.call("submit", "native", "echo", [big]) for _ in range(4)]
    run = client.call("map", "native", "echo", [[big], ["small"], [big[1:]]])
    if before:
        assert rss(daemon) - before < 20 << 20  # of 48 MiB
    assert client.call("stats")["bytes"] < 8 << 20
    assert payload_files(daemon) == sorted(["%d.args" % id for id in ids + [run[0], run[0] + 2]])
    client.call("resume", "native")
    assert all(client.call("result", id) == big for id in ids)
    assert client.call("result", run[0] + 2) == big[1:]
    if before:
        assert rss(daemon) - before < 40 << 20  # of 96 MiB
    copy = daemon.path("copy.db")
    client.call("backup", copy)
    with sqlite3.connect(copy) as db:
        assert db.execute("select length(args), length(value) from futures where id = ?", [ids[0]]).fetchone() == (len(big) + 6, len(big) + 5)
    db.close()
    again = reborn(daemon)
    client = again.client()
    assert all(client.call("result", id) == big for id in ids[:2])
    assert client.call("result", run[0]) == big and client.call("result", run[0] + 1) == "small"
    client.call("release", ids + [run])
    client.call("submit", "native", "noop", [])
    eventually(lambda: payload_files(again) == [])


def test_a_large_argument_that_is_damaged_is_not_run(daemon, client, launch):
    client.call("pause", "native")
    future = client.call("submit", "native", "echo", [b"x" * 1000000])
    daemon.kill()
    daemon.clients.clear()
    name, = payload_files(daemon)
    path = os.path.join(daemon.path("state"), next(n for n in os.listdir(daemon.path("state")) if n.startswith("payload-")), name)
    with open(path, "r+b") as f:
        f.seek(500000)
        f.write(b"y")
    refused("StoreError", launch(directory=daemon.directory).client().call, "result", future)


def test_a_pool_that_a_client_opened_is_there_with_its_tasks(daemon, client, reborn):
    pool = client.call("open_pool", {"like": "native", "workers": 1})
    client.call("pause", pool)
    future = client.call("submit", pool, "echo", [42])
    second = reborn(daemon)
    again = second.client()
    again.call("resume", pool)
    assert again.call("result", future) == 42
    again.call("close_pool", pool)
    assert pool not in [p["name"] for p in reborn(second).client().call("pools")]


@pytest.mark.config(stop_timeout="100ms")
@pytest.mark.parametrize("pool", ["shell", "cpu"])
def test_what_a_stop_had_to_kill_runs_again_if_it_has_tries_left(daemon, client, launch, pool):
    """After a crash it did; a stop, for an upgrade say, was the end of it."""
    task = ("sleep", ["1000"]) if pool == "shell" else ("until_file", [daemon.path("go")])
    future = client.call("submit", pool, *task, {"retries": 1})
    for attempt in 1, 2:
        eventually(lambda: client.call("show", future)["attempt"] == attempt and client.call("state", [future]) == ["RUNNING"])
        assert daemon.stop() == 0
        daemon.clients.clear()
        daemon = launch(directory=daemon.directory)
        client = daemon.client()
    assert "stop_timeout" in refused("BrokenPoolError", client.call, "result", future)["message"]


@pytest.mark.parametrize("options", [{}, {"cancel_futures": True}], ids=repr)
def test_a_pool_that_was_being_closed_goes_on_closing(daemon, client, reborn, gate, options):
    """It was open again, and stayed in the table for ever."""
    pool = client.call("open_pool", {"like": "shell", "workers": 1})
    running = client.call("submit", pool, *gate.task("exit 3"), {"retries": 0})
    gate.await_start()
    pending = client.call("submit", pool, "echo", ["x"])
    assert client.call("close_pool", pool, {"wait": False, **options}) is None
    again = reborn(daemon).client()
    refused("ShutdownError" if pool in [p["name"] for p in again.call("pools")] else "UnknownPoolError", again.call, "submit", pool, "true")
    again.call("wait", [running, pending])
    assert again.call("state", [pending]) == ["CANCELLED" if options else "FINISHED"]
    eventually(lambda: pool not in [p["name"] for p in again.call("pools")])


def test_a_long_queue_that_was_being_cancelled_is_cancelled_to_its_end(daemon, client, reborn):
    pool = client.call("open_pool", {"like": "shell", "workers": 1})
    client.call("pause", pool)
    run = client.call("map", pool, "sleep", [["100"]] * 30000)
    assert client.call("close_pool", pool, {"wait": False, "cancel_futures": True}) is None
    again = reborn(daemon).client()
    assert again.call("wait", [run], "ALL_COMPLETED", 20)["not_done"] == []
    assert set(again.call("state", [run])) == {"CANCELLED"}


def test_a_pool_like_one_that_was_opened_outlives_it(daemon, client, reborn):
    """After a restart it could not be opened again, and its tasks waited for ever."""
    first = client.call("open_pool", {"like": "cpu", "workers": 1, "initializer": "set_warmth", "initargs": [7]})
    second = client.call("open_pool", {"like": first, "workers": 1})
    assert client.call("call", second, "get_warmth") == 7
    client.call("close_pool", first)
    client.call("pause", second)
    future = client.call("submit", second, "get_warmth")
    again = reborn(daemon).client()
    again.call("resume", second)
    assert again.call("result", future) == 7
    assert again.call("call", second, "get_warmth") == 7


def pool_of(client, name):
    return next(p for p in client.call("pools") if p["name"] == name)


def test_a_pool_that_was_paused_by_hand_is_paused_until_it_is_resumed(daemon, client, reborn):
    opened = client.call("open_pool", {"like": "one", "workers": 1})
    for name in ("one", opened):
        client.call("pause", name)
    future = client.call("submit", "one", *sh("echo ran"))
    before = client.call("show", future)["why"]
    daemon = reborn(reborn(daemon))
    client = daemon.client()
    why = client.call("show", future)["why"]
    assert why["code"] == "paused" and why["by"] == before["by"] and abs(why["since"] - before["since"]) < 0.001
    assert [p["name"] for p in client.call("pools") if p["paused"]] == ["one", opened]
    for name in ("one", opened):
        client.call("resume", name)
    assert client.call("result", future)["stdout"] == b"ran\n"
    assert not any(p["paused"] for p in reborn(daemon).client().call("pools"))


def test_a_number_of_workers_set_by_hand_holds_until_the_configuration_has_another(daemon, client, reborn):
    opened = client.call("open_pool", {"like": "one", "workers": 2})
    client.call("resize", "shell", 5)
    client.call("resize", opened, 3)
    client.call("resize", "one", 4)
    client.call("resize", "one", 1)  # as configured: nothing is left by hand
    daemon = reborn(daemon)
    client = daemon.client()
    assert [pool_of(client, name)["workers"] for name in ("shell", opened, "one")] == [5, 3, 1]
    other = {"pools": {**CONFIG["pools"], "shell": {"kind": "command", "workers": 3}, "one": {"kind": "command", "workers": 6}}}
    daemon = reborn(daemon, **other)
    client = daemon.client()
    assert [pool_of(client, name)["workers"] for name in ("shell", opened, "one")] == [3, 3, 6], "the configuration has another number"
    client = reborn(daemon).client()
    assert [pool_of(client, name)["workers"] for name in ("shell", "one")] == [2, 1], "and what was by hand is forgotten"


def test_a_number_of_workers_set_by_hand_is_forgotten_by_a_reload_with_another(daemon, client, reborn):
    client.call("resize", "shell", 5)
    client.call("pause", "shell")
    pools = daemon.config["pools"]
    for workers in (3, 2):
        daemon.config["pools"] = {**pools, "shell": {"kind": "command", "workers": workers}}
        daemon.write_config()
        client.call("reload")
    shell = pool_of(reborn(daemon).client(), "shell")
    assert shell["workers"] == 2 and shell["paused"]


def test_what_was_done_by_hand_is_forgotten_with_the_pool(daemon, client, launch):
    opened = client.call("open_pool", {"like": "one", "workers": 2})
    for name in ("one", "shell", opened):
        client.call("pause", name)
    waits = client.call("submit", "shell", *sh("true"))
    client.call("close_pool", opened)
    pools = daemon.config["pools"]
    daemon.config["pools"] = {"native": pools["native"]}
    daemon.write_config()
    client.call("reload")
    daemon.kill()
    daemon.clients.clear()
    again = launch(directory=daemon.directory)
    client = again.client()
    assert {p["name"]: p["paused"] for p in client.call("pools")} == {"shell": True, "one": False, "native": False, "cpu": False}, "a task of shell was left"
    assert client.call("state", [waits]) == ["PENDING"]
    client.call("resume", "shell")
    client.call("wait", [waits])
    copy = again.path("copy.db")
    client.call("backup", copy)
    with sqlite3.connect(copy) as db:
        assert db.execute("select * from by_hand").fetchall() == []
    db.close()


def test_a_shutdown_ends_a_pause_for_the_life_of_the_daemon_only(daemon, client, launch):
    client.call("pause", "one")
    future = client.call("submit", "one", *sh("echo ran"))
    client.call("shutdown")
    daemon.await_end()
    daemon.clients.clear()
    client = launch(directory=daemon.directory).client()
    assert client.call("result", future)["stdout"] == b"ran\n"
    assert pool_of(client, "one")["paused"]


@pytest.mark.parametrize("cancel", [False, True], ids=["to run", "to be cancelled"])
@pytest.mark.parametrize("wait", [False, True], ids=["told", "not told"])
def test_a_pool_that_was_being_closed_is_closed_by_the_next_daemon(daemon, client, reborn, wait, cancel):
    """It was open again, for ever, and what was to be cancelled ran."""
    pool, out, go = client.call("open_pool", {"like": "one", "workers": 1}), daemon.path("ran"), daemon.path("go")
    waits = [client.call("submit", pool, *sh('until [ -e "$2" ]; do sleep 0.01; done; echo ran >>"$1"', out, go), {"retries": 2}) for _ in range(3)]
    client.request("close_pool", pool, {"wait": wait, "cancel_futures": cancel})
    client.call("submit", "shell", *sh("true"))
    daemon = reborn(daemon)
    client = daemon.client()
    refused(("ShutdownError", "UnknownPoolError"), client.call, "submit", pool, *sh("true"))
    open(go, "w").close()
    client.call("wait", waits)
    assert client.call("state", waits) == ["CANCELLED" if cancel else "FINISHED"] * 3
    assert len(marks(out)) == (0 if cancel else 3)
    eventually(lambda: pool not in [p["name"] for p in client.call("pools")])
    assert pool not in [p["name"] for p in reborn(daemon).client().call("pools")]


def test_what_was_to_be_cancelled_with_a_large_pool_does_not_run_after_a_crash(daemon, client, reborn):
    """The cancelling takes turns, and the answer does not wait for the last of them."""
    pool = client.call("open_pool", {"like": "native", "workers": 1})
    client.call("pause", pool)
    first, count = client.call("map", pool, "echo", [[1]] * 30000)
    client.call("close_pool", pool, {"wait": False, "cancel_futures": True})
    client = reborn(daemon).client()
    client.call("wait", [[first, count]])
    assert set(client.call("state", [[first, count]])) == {"CANCELLED"}


def test_a_pool_bound_to_a_connection_is_gone_and_its_tasks_are_cancelled(daemon, client, reborn):
    pool = client.call("open_pool", {"like": "native", "workers": 1, "bound": True})
    client.call("pause", pool)
    future = client.call("submit", pool, "echo", [42])
    again = reborn(daemon).client()
    assert again.call("state", [future]) == ["CANCELLED"]


def test_tasks_of_a_pool_that_is_gone_wait_for_its_return(daemon, client, launch):
    client.call("pause", "one")
    future = client.call("submit", "one", *sh("echo back"))
    daemon.kill()
    daemon.clients.clear()
    without = launch(directory=daemon.directory, start=False)
    del without.config["pools"]["one"]
    without.start()
    again = without.client()
    assert again.call("show", future)["why"]["code"] == "no_pool"
    without.config["pools"] = CONFIG["pools"]
    without.write_config()
    again.call("reload")
    assert again.call("show", future)["why"]["code"] == "paused", "as it was"
    again.call("resume", "one")
    assert again.call("result", future)["stdout"] == b"back\n"


def test_a_newer_store_is_refused_with_a_reason(daemon, launch):
    path = daemon.path("state/futured.db")
    daemon.stop()
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    late = launch(directory=daemon.directory, start=False)
    late.expected_status = late.spawn().await_end()
    assert late.expected_status == 1
    assert "99" in late.log() and "newer" in late.log()


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_store_is_refused_and_left_alone(launch, content):
    daemon = launch(start=False)
    os.makedirs(daemon.path("state"))
    with open(daemon.path("state/futured.db"), "wb") as f:
        f.write(content)
    os.chmod(f.name, 0o600)
    daemon.expected_status = daemon.spawn().await_end()
    assert daemon.expected_status == 1 and "futured.db" in daemon.log()
    assert open(f.name, "rb").read() == content


def test_a_damaged_record_is_not_run(daemon, client, launch):
    client.call("pause", "one")
    good = client.call("submit", "one", *sh("echo good"))
    bad = client.call("submit", "one", "/bin/echo", ["harmless"])
    daemon.stop()
    path = daemon.path("state/futured.db")
    data = open(path, "rb").read()
    assert data.count(b"harmless") == 1
    with open(path, "wb") as f:
        f.write(data.replace(b"harmless", b"harmfull"))
    again = launch(directory=daemon.directory).client()
    again.call("resume", "one")
    assert "damaged" in refused("StoreError", again.call, "result", bad)["message"]
    assert again.call("result", good)["stdout"] == b"good\n"


def test_a_copy_of_a_running_store_can_be_queried_by_hand(daemon, client):
    done = client.call("submit", "shell", "/bin/echo", ["hello"])
    client.call("wait", [done])
    client.call("pause", "one")
    client.call("submit", "one", "/bin/true", [])
    copy = daemon.path("copy.db")
    fut = os.path.join(helpers.BUILD, "bin", "fut")
    assert subprocess.run([fut, "-a", daemon.address, "daemon", "backup", copy]).returncode == 0
    assert os.stat(copy).st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as db:
        rows = db.execute("select id, pool, fn, state, failed from futures order by id").fetchall()
    db.close()
    assert rows == [(done, "shell", "/bin/echo", "FINISHED", 0), (done + 1, "one", "/bin/true", "PENDING", 0)]
    refused("ValueError", client.call, "backup", copy)
    assert "backup" in refused("StoreError", client.call, "backup", daemon.path("no/such/place"))["message"]


@pytest.fixture
def small_disk(launch):
    """A daemon whose state directory is a file system of 3 MiB."""
    daemon = launch(start=False)
    os.makedirs(daemon.path("state"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", daemon.path("state")], stderr=subprocess.PIPE)
    if mounted.returncode:
        pytest.skip("cannot mount a file system here: " + mounted.stderr.decode())
    yield daemon.start()
    if daemon.is_running():
        daemon.stop()
    subprocess.run(["umount", "-l", daemon.path("state")], check=True)


def test_a_full_disk_refuses_submits_and_loses_nothing(small_disk, launch):
    client = small_disk.client()
    gate = small_disk.gate()
    running = client.call("submit", "one", *gate.task(then="echo went on"))
    gate.await_start()
    accepted, error = [], None
    while error is None and len(accepted) < 100:
        try:
            accepted.append(client.call("submit", "native", "echo", [b"x" * 100000]))
        except helpers.RpcError as e:
            error = e.error
    assert error["type"] == "StoreError" and "full" in error["message"], error
    assert "full" in refused("StoreError", client.call, "submit", "native", "noop", [])["message"]
    assert "full" in client.call("stats")["store"]["failing"] and client.call("ping", 1) == 1
    gate.open()
    outcome = client.request("result", running)
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk.path("state")], check=True)
    assert client.answer(outcome)["stdout"] == b"went on\n"
    eventually(lambda: "failing" not in client.call("stats")["store"])
    more = client.call("submit", "native", "echo", ["again"])
    client.call("wait", accepted + [more])
    small_disk.kill()
    small_disk.clients.clear()
    again = launch(directory=small_disk.directory)
    client = again.client()
    for future in accepted:
        assert client.call("result", future) == b"x" * 100000
    assert client.call("result", more) == "again" and client.call("failures") == []
    assert [f["id"] for f in client.call("list")] == [running, *accepted, more]
    again.stop()


def test_stats_say_how_the_store_does(daemon, client):
    client.call("submit", "shell", *sh("true"))
    store = client.call("stats")["store"]
    assert store["kind"] == "sqlite" and store["durable"] is True
    assert store["batches"] >= 1 and store["bytes"] > 0 and "failing" not in store


def test_answers_already_made_are_sent_though_the_client_has_finished_talking(daemon):
    """End of input comes before the commit that the answers wait for."""
    client = daemon.client()
    asked = [client.request("submit", "shell", "/bin/true", []) for _ in range(5)]
    client.end()
    ids = [client.answer(msgid) for msgid in asked]
    assert ids == list(range(ids[0], ids[0] + 5))
    client.await_close()


def test_short_tasks_share_their_commits(daemon, client):
    """What is sent ahead lasts for two commits: else each would wait for one of its own."""
    client.call("wait", [client.call("map", "native", "noop", [[]] * 500)])  # it knows now that they are short
    before = client.call("stats")["store"]["batches"]
    client.call("wait", [client.call("map", "native", "noop", [[]] * 4000)])
    assert client.call("stats")["store"]["batches"] - before < 1000


@pytest.mark.config(limits={"store": "4MiB"})
def test_at_its_bound_the_store_forgets_what_is_finished_and_seen_and_then_refuses(daemon, client):
    def fill(how_many, **options):
        return [client.call("submit", "native", "echo", [os.urandom(200000)], options) for _ in range(how_many)]
    old = fill(5)
    client.call("wait", old)
    for n in range(30):  # more than fits: the oldest go
        last = fill(1)
        client.call("wait", last)
    refused("ExpiredFutureError", client.call, "result", old[0])
    assert client.call("state", last) == ["FINISHED"]
    client.call("pause", "native")
    kept = []
    with pytest.raises(helpers.RpcError) as caught:
        for n in range(200):
            kept += fill(1)
    assert caught.value.type == "StoreError" and "limits.store" in caught.value.error["message"]
    assert client.call("state", kept) == ["PENDING"] * len(kept)  # never a pending one
    client.call("cancel", kept)
    client.call("release", kept)

    def again():
        try:
            return fill(1)
        except helpers.RpcError:
            return None
    eventually(again)


def test_totals_begin_anew_with_what_is_pending(daemon, client, reborn):
    """What was done by the daemon before counted as submitted to this one, and as cancelled by it, though not as succeeded."""
    client.call("call", "one", "true", [], {"bound": False})
    ids = [client.call("submit", "one", "true", [], {"delay": 1000}) for _ in range(3)]
    client.call("result", client.call("submit", "one", "true"))
    client.call("cancel", ids[:1])
    again = reborn(daemon).client()
    expected = {"submitted": 2, "succeeded": 0, "failed": 0, "cancelled": 0}
    assert next(p for p in again.call("pools") if p["name"] == "one")["totals"] == expected
    assert again.call("stats")["totals"] == {**expected, "retried": 0}
    assert again.call("stats")["futures"] == {"PENDING": 2, "RUNNING": 0, "CANCELLED": 1, "FINISHED": 1}
