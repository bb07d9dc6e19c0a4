"""Corners of the durable store: what is refused after it came to its end already, what was let go and is still needed, answers to a peer that is slow."""
import errno
import os
import select
import shutil
import signal
import sqlite3
import sys

import pytest

import helpers
import kinds
from helpers import HERE, eventually, refused, sh
from rpc import ref, request

sys.path.append(os.path.join(os.path.dirname(HERE), "soak"))
import shims   # noqa: E402

FAULTY = os.path.join(helpers.ROOT, "build-faults", "bin", "futured")
CONFIG = {"store": "sqlite", "pools": {"shell": {"kind": "command", "workers": 2}, "one": {"kind": "command", "workers": 1},
                                        "native": {"kind": "process", "runtime": "native", "workers": 2,
                                                   "modules": [os.path.join(helpers.ROOT, helpers.BUILD, "modules", "work.so")]}}}


@pytest.fixture
def reborn(launch):
    def again(daemon, **config):
        daemon.kill()
        daemon.clients.clear()
        return launch(config, directory=daemon.directory)
    return again


@pytest.fixture
def on_disk(launch, tmp_path):
    """A daemon whose store's disk the test rules."""
    path = os.path.join(str(tmp_path), "store.db")
    disk = shims.disk(str(tmp_path), path)
    return launch({"store": "sqlite:" + path}, env=disk.env), disk


def payload_files(daemon):
    top = daemon.path("state")
    return sorted(f for name in os.listdir(top) if name.startswith("payload-") for f in os.listdir(os.path.join(top, name)))


def accepted(client, *task):
    try:
        return client.call("submit", *task)
    except helpers.RpcError as error:
        assert error.type == "StoreError", error.error
        return None


@pytest.mark.parametrize("end", ["dependency", "map", "deadline"])
def test_what_has_failed_already_can_still_be_refused(on_disk, end):
    daemon, disk = on_disk
    client = daemon.client(patience=20)
    failed = client.call("submit", "shell", *sh("exit 1"))
    client.call("wait", [failed])
    before = client.call("stats")["futures"]
    shims.fail(disk, shims.SYNC, errno.EIO)
    if end == "dependency":
        refused("StoreError", client.call, "submit", "shell", *sh("true"), {"after": [failed]})
    elif end == "map":
        refused("StoreError", client.call, "map", "shell", "/bin/true", [[], [], []], {"after": [failed], "key": "k", "watch": True})
    else:
        refused("StoreError", client.call, "submit", "shell", *sh("true"), {"deadline": 0, "delay": 1})
    shims.heal(disk)
    fine = eventually(lambda: accepted(client, "shell", *sh("true")), 10)
    client.call("wait", [fine])
    assert [f["id"] for f in client.call("list")] == [failed, fine]
    assert client.call("stats")["futures"].get("unseen") == before.get("unseen")


def test_arguments_of_what_was_refused_leave_no_file(on_disk):
    daemon, disk = on_disk
    client = daemon.client(patience=20)
    client.call("pause", "native")
    shims.fail(disk, shims.SYNC, errno.EIO)
    refused("StoreError", client.call, "submit", "native", "echo", [b"x" * 1000000])
    shims.heal(disk)
    eventually(lambda: accepted(client, "shell", *sh("true")), 10)
    eventually(lambda: payload_files(daemon) == [], what="no file of what was refused")


def test_who_waits_for_what_was_let_go_and_is_lost_fails_with_it(daemon, client, reborn):
    out, gate = daemon.path("ran"), daemon.gate()
    first = client.call("submit", "one", *gate.task())
    after = client.call("submit", "shell", *sh('echo ran >"$1"', out), {"after": [first]})
    piped = client.call("submit", "shell", "/bin/cat", [], {"stdin": ref(first)})
    gate.await_start()
    assert client.call("release", [first]) == 1
    again = reborn(daemon).client()
    refused("DependencyError", again.call, "result", after)
    refused("DependencyError", again.call, "result", piped)
    assert not os.path.exists(out)


def test_a_large_value_that_was_let_go_outlives_two_restarts(daemon, client, reborn):
    big, gate = os.urandom(1 << 20), daemon.gate()
    blocks = client.call("submit", "one", *gate.task(), {"retries": 9})
    first = client.call("submit", "native", "echo", [big])
    client.call("wait", [first])
    needs = client.call("submit", "native", "echo", [ref(first)], {"after": [blocks]})
    client.call("release", [first])
    client.call("submit", "shell", *sh("true"))
    daemon = reborn(daemon)
    eventually(lambda: daemon.client().call("state", [blocks]) == ["RUNNING"])
    assert "%d.value" % first in payload_files(daemon)
    daemon = reborn(daemon)
    gate.open(3)
    assert daemon.client().call("result", needs) == big


def test_large_arguments_are_tried_again_as_they_were(daemon, client):
    big = os.urandom(100000)
    first = client.call("submit", "native", "echo", [big])
    client.call("wait", [first])
    again, = client.call("retry", [first])
    assert client.call("result", again) == big


def test_what_had_begun_runs_again_with_what_it_refers_to(daemon, client, reborn):
    gate = daemon.gate()
    printed = client.call("submit", "shell", *sh("echo printed"))
    client.call("wait", [printed])
    piped = client.call("submit", "one", *gate.task(then="cat"), {"stdin": ref(printed), "retries": 3})
    gate.await_start()
    client.call("release", [printed])
    again = reborn(daemon)
    gate.open(2)
    assert again.client().call("result", piped)["stdout"] == b"printed\n"


@pytest.mark.skipif(not os.path.exists(FAULTY), reason="no build with faults: make FAULTS=1 all")
def test_a_slow_reader_hears_nothing_before_its_commit(launch):
    """Its socket has room again in the very turn in which what it waits for is noted."""
    daemon = launch(start=False, env={"FUTURED_FAULT": "commit_late"})
    daemon.program = FAULTY
    daemon.start()
    client, slow = daemon.client(), daemon.client()
    big = client.call("submit", "native", "echo", [b"x" * (4 << 20)])
    client.call("wait", [big])
    future = client.call("submit", "one", "/bin/true", [], {"delay": 100})
    for _ in range(3):
        slow.request("result", big)
    asked = slow.request("result", future)
    assert select.select([slow.socket], [], [], 10)[0]
    client.call("ping")
    os.kill(daemon.pid, signal.SIGSTOP)
    client.request("cancel", [future])
    slow._read()
    slow._read()
    os.kill(daemon.pid, signal.SIGCONT)
    with pytest.raises(helpers.RpcError):
        slow.answer(asked)
    daemon.kill()
    daemon.clients.clear()
    assert launch(directory=daemon.directory).client().call("state", [future]) == ["CANCELLED"]


def test_a_copy_is_whole_or_not_there_when_the_daemon_ends(daemon, client):
    big = os.urandom(250000)
    run = client.call("map", "native", "echo", [[big]] * 200)
    client.call("wait", [run])
    copy = daemon.path("copy.db")
    client.request("backup", copy)
    eventually(lambda: os.path.exists(copy))
    daemon.stop()
    if os.path.exists(copy):
        with sqlite3.connect(copy) as db:
            assert db.execute("select count(*) from futures").fetchone() == (200,)
        db.close()


def test_a_protocol_error_is_the_last_thing_said_although_a_submit_waits_for_its_commit(daemon, client):
    """The connection stays until that is answered; what else it had asked for was answered, too, behind the error."""
    client.call("pause", "one")
    for _ in range(20):
        future = client.call("submit", "one", "true")
        other = daemon.client()
        other.request("result", future)
        other.call("ping")
        other.expect(901)
        other.send(request(901, "submit", "shell", "true") + b"\xc1")
        client.call("cancel", [future])
        other.await_protocol_error()
        assert other.answer(901), "it was whole, and before the error"
        other.close()


def tables(daemon, client, question):
    """What a copy of the store says."""
    copy = daemon.path("copy.%d.db" % len(os.listdir(daemon.directory)))
    client.call("backup", copy)
    with sqlite3.connect(copy) as db:
        rows = db.execute(question).fetchall()
    db.close()
    return rows


def test_what_tasks_waited_for_goes_from_the_store_with_them(daemon, client):
    """A row of each was left until the daemon started anew."""
    client.call("pause", "one")
    first = client.call("submit", "one", *sh("true"))
    after = [client.call("submit", "shell", *sh("true"), {"after": [first]}) for _ in range(3)]
    run = client.call("map", "shell", "/bin/true", [[]] * 5, {"after": [first, after[0]]})
    assert tables(daemon, client, "select count(*), count(passed_us) from gates") == [(4, 0)]
    client.call("resume", "one")
    client.call("wait", [*after, run])
    assert tables(daemon, client, "select count(*), count(passed_us) from gates") == [(4, 4)]
    client.call("release", [first, *after[:2], run])
    assert tables(daemon, client, "select count(*) from gates") == [(1,)]
    client.call("release", after)
    assert tables(daemon, client, "select count(*) from gates") == [(0,)]


@pytest.mark.parametrize("how", ["after", "map", "value", "both"])
def test_who_waits_for_one_that_was_bound_fails_after_a_crash(daemon, client, reborn, how):
    """It had not ended, and was taken for one that ended well and was forgotten."""
    out, gate = daemon.path("ran"), daemon.gate()
    bound = client.call("submit", "one", *gate.task(), {"bound": True})
    task, after = sh('echo ran >>"$1"', out), {"after": [bound]}
    if how == "map":
        waits, _ = client.call("map", "shell", task[0], [task[1]] * 2, after)
    else:
        waits = client.call("submit", "shell", *task, {**(after if how != "value" else {}), **({"stdin": ref(bound)} if how != "after" else {})})
    gate.await_start()
    again = reborn(daemon).client()
    error = refused("DependencyError", again.call, "result", waits)
    assert error["cause"]["type"] == "ExpiredFutureError" and error["cause"]["future"] == bound
    assert not os.path.exists(out)


def test_who_had_waited_for_one_that_was_bound_runs_after_a_crash(daemon, client, reborn):
    bound = client.call("submit", "shell", *sh("true"), {"bound": True})
    client.call("pause", "one")
    waits = client.call("submit", "one", *sh("echo ran"), {"after": [bound]})
    client.call("wait", [bound])
    eventually(lambda: client.call("show", waits)["why"]["code"] == "paused")
    again = reborn(daemon).client()
    again.call("resume", "one")
    assert again.call("result", waits)["stdout"] == b"ran\n"


def test_a_store_that_lacks_what_came_later_is_given_it(daemon, client, launch):
    client.call("pause", "one")
    first = client.call("submit", "one", *sh("echo first"))
    after = client.call("submit", "one", *sh("echo after"), {"after": [first]})
    daemon.stop()
    with sqlite3.connect(daemon.path("state/futured.db")) as db:
        db.execute("alter table gates drop column passed_us")
        db.execute("drop table by_hand")
        db.execute("alter table outputs drop column cut")
        db.execute("alter table results drop column sum")
        db.execute("alter table tasks drop column fed")
    db.close()
    again = launch(directory=daemon.directory).client()
    assert again.call("result", after)["stdout"] == b"after\n"
    again.call("pause", "one")


def as_they_become_ready(daemon, client):
    """A queue in which each task got its place in another way: that of pool one, paused. The names, in the order of their places."""
    out, gate, held = daemon.path("order"), daemon.gate("first"), daemon.gate("second")
    mark, names = 'echo "$1" >>"$2"', {}

    def submit(name, script=mark, **options):
        future = client.call("submit", "one", *sh(script, name, out), options)
        names[future] = name
        return future

    def submit_map(name, **options):
        first, count = client.call("map", "one", "/bin/sh", [sh(mark, "%s%d" % (name, n), out)[1] for n in range(3)], options)
        names.update({first + n: "%s%d" % (name, n) for n in range(count)})
        return range(first, first + count)

    def place(future):
        return client.call("show", future)["position"]

    def until_queued(*ids):
        for future in ids:
            eventually(lambda: place(future) is not None)
    tried = submit("tried", '[ $FUTURED_ATTEMPT = 1 ] && exit 1; ' + mark, retries=1, retry_delay=0.5)
    eventually(lambda: (client.call("show", tried)["why"] or {}).get("code") == "retry")
    client.call("pause", "one")
    dependency, value = client.call("submit", "shell", *gate.task()), client.call("submit", "shell", *held.task(then="echo x"))
    gate.await_start()
    held.await_start()
    after = submit_map("after", after=[dependency])
    piped = submit("piped", stdin=ref(value))
    both = submit("both", stdin=ref(value), after=[dependency])
    late = submit("late", delay=1)
    submit("plain")
    delayed = submit_map("delayed", delay=0.7)
    until_queued(tried)
    submit("behind")
    until_queued(*delayed)
    submit("between")
    client.call("release", [dependency, value])
    held.open()
    until_queued(piped, late)
    gate.open()
    until_queued(*after, both)
    submit("last")
    assert not os.path.exists(out)
    order = sorted(names, key=place)
    assert order != sorted(names) and len(set(map(place, names))) == len(names)
    return out, [names[future] for future in order]


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_the_order_is_the_same_after_a_restart(daemon, client, reborn, restarts):
    """It was that of ids."""
    out, order = as_they_become_ready(daemon, client)
    for _ in range(restarts):
        daemon = reborn(daemon)
    client = daemon.client()
    client.call("resume", "one")
    eventually(lambda: len(helpers.lines(out)) == len(order), 20)
    assert helpers.lines(out) == order


def test_the_order_is_the_same_though_the_clock_was_set_back(launch, tmp_path):
    clock = shims.Shim("clock", str(tmp_path))
    daemon, words = launch(env=clock.env), []
    out = daemon.path("order")
    for life in range(3):
        client = daemon.client()
        client.call("pause", "one")
        for n in range(2):
            words.append("%d.%d" % (life, n))
            client.call("submit", "one", *sh('echo "$1" >>"$2"', words[-1], out))
        clock.wrong_us -= 3600 * 1000000
        daemon.kill()
        daemon.clients.clear()
        with sqlite3.connect(daemon.path("state/futured.db")) as db:
            db.execute("delete from daemon where name = 'clock'")   # as after a start of the machine: then the wall clock is all there is
        db.close()
        daemon = launch(directory=daemon.directory, env=clock.env)
    daemon.client().call("resume", "one")
    eventually(lambda: len(helpers.lines(out)) == len(words))
    assert helpers.lines(out) == words


def test_spilled_output_that_was_let_go_is_kept_for_whoever_needs_it(daemon, client, reborn):
    """Its file was removed at the restart, and the task that it was piped into got the first MiB for all of it."""
    first = client.call("submit", "shell", *sh("head -c 3000000 /dev/zero"))
    client.call("wait", [first])
    client.call("pause", "one")
    needs = client.call("submit", "one", *sh("wc -c"), {"stdin": ref(first)})
    client.call("release", [first])
    again = reborn(daemon)
    client = again.client()
    refused("ExpiredFutureError", client.call, "output", first)
    client.call("resume", "one")
    assert client.call("result", needs)["stdout"] == b"3000000\n"
    spilled = next(again.path(os.path.join("state", n)) for n in os.listdir(again.path("state")) if n.startswith("output-"))
    eventually(lambda: os.listdir(spilled) == [], what="and goes then")


@pytest.mark.config(pools={"small": {"kind": "command", "workers": 1, "output": "1KiB", "spill": "10KiB"}})
@pytest.mark.parametrize("printed", [["head -c 30000 /dev/zero"], ["head -c 6000 /dev/zero"] * 2, ["head -c 11000 /dev/zero", "echo short"],
                                     ["head -c 3000 /dev/zero", "head -c 4000 /dev/zero"]], ids=["cut", "cut in the end", "cut before", "whole"])
def test_what_was_cut_is_not_taken_for_the_whole_after_a_restart(daemon, client, reborn, printed):
    """Nor is what was printed before the last attempt taken for a part of its output."""
    script = " && exit 1; ".join("[ $FUTURED_ATTEMPT = %d ] && %s" % (n + 1, what) for n, what in enumerate(printed))
    first = client.call("submit", "small", *sh(script), {"retries": len(printed) - 1})
    assert client.call("exception", first) is None
    for life in range(2):
        piped = client.call("submit", "shell", *sh("wc -c"), {"stdin": ref(first)})
        if "short" in script or "4000" in script:
            assert client.call("result", piped)["stdout"] == (b"6\n" if "short" in script else b"4000\n")
        else:
            refused("ValueError", client.call, "result", piped)
        client = reborn(daemon).client() if life == 0 else client


def test_references_are_not_shown_after_a_restart_either(daemon, client, reborn):
    """What the daemon itself says has no ext type in it."""
    first = client.call("submit", "native", "echo", ["x"])
    second, plain = client.call("submit", "native", "echo", [ref(first)]), client.call("submit", "native", "echo", [b"\xd7 plain"])
    client.call("wait", [first, second, plain])
    for life in range(2):
        assert client.call("show", second)["args"] is None and client.call("show", plain)["args"] == [b"\xd7 plain"]
        assert [f["args"] for f in client.call("list")] == [["x"], None, [b"\xd7 plain"]]
        client = reborn(daemon).client() if life == 0 else client


@pytest.mark.parametrize("what", ["value", "error", "state", "rusage"])
def test_an_outcome_that_is_damaged_is_told_to_nobody_and_given_to_no_task(daemon, client, launch, what):
    """It was told as it stood, and the task that it is an argument of ran with it."""
    first = client.call("submit", "shell", *sh("echo harmless; exit %d" % (what == "error")))
    fine = client.call("submit", "shell", *sh("echo fine"))
    client.call("wait", [first, fine])
    client.call("pause", "one")
    needs = client.call("submit", "one", "/bin/echo", [ref(first)]) if what != "error" else None
    daemon.stop()
    with sqlite3.connect(daemon.path("state/futured.db")) as db:
        change = {"state": "state = 'CANCELLED'", "rusage": "rusage = x'c1'"}.get(what, "value = replace(hex(value), hex('harmless'), hex('harmfull'))")
        db.execute("update results set %s where id = ?" % change, [first])
        if what in ("value", "error"):
            text, = db.execute("select value from results where id = ?", [first]).fetchone()
            db.execute("update results set value = ? where id = ?", [bytes.fromhex(text), first])
    db.close()
    again = launch(directory=daemon.directory).client()
    again.call("resume", "one")
    assert "damaged" in refused("StoreError", again.call, "result", first)["message"]
    assert needs is None or refused("DependencyError", again.call, "result", needs)["cause"]["type"] == "StoreError"
    assert again.call("result", fine)["stdout"] == b"fine\n" and len(again.call("list")) >= 2


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_the_directory_of_large_payloads_is_not_lost_sight_of(daemon, client, reborn, how):
    """What was written into one that had been moved was acknowledged, and not there after a restart."""
    first = client.call("submit", "native", "echo", [b"x" * 300000])
    client.call("wait", [first])
    place = next(daemon.path(os.path.join("state", n)) for n in os.listdir(daemon.path("state")) if n.startswith("payload-"))
    if how == "deleted":
        shutil.rmtree(place)
    else:
        os.rename(place, place + ".kept")
        if how == "replaced":
            os.mkdir(place)
        error = refused("StoreError", client.call, "submit", "native", "echo", [b"y" * 300000])
        assert place in error["message"], error
        if how == "replaced":
            os.rmdir(place)
        os.rename(place + ".kept", place)
    second = eventually(lambda: accepted(client, "native", "echo", [b"z" * 300000]), 10)
    client.call("wait", [second])
    again = reborn(daemon).client()
    assert again.call("result", second) == b"z" * 300000
    if how == "deleted":
        refused("StoreError", again.call, "result", first)
    else:
        assert again.call("result", first) == b"x" * 300000


def test_what_was_fed_and_is_gone_is_not_left_out(daemon, client, reborn):
    """The task ran after a restart with nothing in its stdin, whose end nobody could say any more."""
    client.call("pause", "shell")
    fed, half, fresh = [client.call("submit", "shell", "cat", [], {"stdin": True}) for _ in range(3)]
    client.call("input", fed, b"all of it", {"eof": True})
    client.call("input", half, b"a part")
    daemon = reborn(daemon)
    client = daemon.client()
    client.call("resume", "shell")
    for future in (fed, half):
        assert "fed" in refused("StoreError", client.call, "result", future)["message"]
        refused("InvalidStateError", client.call, "input", future, b"more")
    client.call("input", fresh, b"its own", {"eof": True})
    assert client.call("result", fresh)["stdout"] == b"its own"


def late_committer(launch, **pool):
    """A daemon whose commits take 300 ms, with one worker that takes short tasks ahead."""
    daemon = launch({"pools": {"cpu": {**kinds.PROCESS, "workers": 1, **pool}}}, start=False, env={"FUTURED_FAULT": "commit_late"})
    daemon.program = FAULTY
    daemon.start()
    client = daemon.client()
    client.call("wait", [client.call("map", "cpu", "noop", [[]] * 500)])  # it knows now that they are short
    client.call("pause", "cpu")
    return daemon, client


def none_is_lost(client, first, count):
    client.call("resume", "cpu")
    client.call("wait", [[first, count]])
    assert [client.call("exception", n) for n in range(first, first + count)] == [None] * count


@pytest.mark.skipif(not os.path.exists(FAULTY), reason="no build with faults: make FAULTS=1 all")
def test_what_a_dead_worker_had_not_begun_has_not_begun_for_the_next_daemon_either(launch):
    """Its board was removed before it was committed that nothing rests on that any more, and all that was sent to it counted as begun."""
    daemon, client = late_committer(launch)
    fatal, run = client.request("submit", "cpu", "crash"), client.request("map", "cpu", "noop", [[]] * 20)
    fatal, (first, count) = client.answer(fatal), client.answer(run)
    client.call("resume", "cpu")
    eventually(lambda: "died (signal" in daemon.log())
    select.select([], [], [], 0.02)   # the turn in which it is buried is over, the commit is not
    client.request("pause", "cpu")
    daemon.kill()
    daemon.clients.clear()
    daemon = launch({"pools": {"cpu": {**kinds.PROCESS, "workers": 1}}}, directory=daemon.directory)
    refused("WorkerLostError", daemon.client().call, "result", fatal)
    none_is_lost(daemon.client(), first, count)
    files = [os.listdir(daemon.path(name)) for name in os.listdir(daemon.directory) if name.startswith("boards-")]
    assert [len(f) for f in files] == [1], "and goes later"


@pytest.mark.skipif(not os.path.exists(FAULTY), reason="no build with faults: make FAULTS=1 all")
def test_a_place_on_the_board_is_not_used_again_before_it_is_committed_who_left_it(launch):
    """Tasks were taken back from behind a long one, and their places given to others: for the next daemon they had begun."""
    daemon, client = late_committer(launch)
    go = daemon.path("go")
    long, run = client.request("submit", "cpu", "until_file", [go]), client.request("map", "cpu", "noop", [[]] * 600)
    long, (first, count) = client.answer(long), client.answer(run)
    client.call("resume", "cpu")
    eventually(lambda: client.call("state", [long]) == ["RUNNING"])
    select.select([], [], [], 0.03)   # after 5 ms it is a long one, and what was sent behind it is taken back
    open(go, "w").close()
    select.select([], [], [], 0.05)
    daemon.kill()
    daemon.clients.clear()
    client = launch({"pools": {"cpu": {**kinds.PROCESS, "workers": 1}}}, directory=daemon.directory).client()
    none_is_lost(client, first, count)
