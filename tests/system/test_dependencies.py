"""The option after: ids that must finish without error first."""
from helpers import lines, refused, sh


def test_a_task_starts_after_those_it_names(daemon, client, gate):
    log = daemon.path("log")
    first = client.call("submit", "one", *gate.task('echo first >>%s' % log))
    second = client.call("submit", "shell", *sh('echo second >>"$1"', log), {"after": [first]})
    gate.await_start()
    assert client.call("state", [second]) == ["PENDING"]
    gate.open()
    assert client.call("result", second)["exit"] == 0
    assert lines(log) == ["first", "second"]


def test_it_waits_for_all_of_them(daemon, client):
    one, two = daemon.gate("one"), daemon.gate("two")
    ids = [client.call("submit", "shell", *one.task()), client.call("submit", "shell", *two.task())]
    last = client.call("submit", "one", "true", [], {"after": ids})
    one.open()
    client.call("result", ids[0])
    assert client.call("state", [last]) == ["PENDING"]
    two.open()
    assert client.call("result", last)["exit"] == 0


def test_after_a_finished_future_it_starts_at_once(shared):
    first = shared.call("submit", "shell", "true")
    shared.call("wait", [first])
    assert shared.call("call", "shell", "true", [], {"after": [first]})["exit"] == 0


def test_after_takes_runs_of_ids(shared):
    first, count = shared.call("map", "shell", "true", [[]] * 5)
    assert shared.call("call", "shell", "true", [], {"after": [[first, count]]})["exit"] == 0


def test_after_nothing_is_no_condition(shared):
    assert shared.call("call", "shell", "true", [], {"after": []})["exit"] == 0


def test_the_same_id_twice_is_once(shared):
    first = shared.call("submit", "shell", "true")
    assert shared.call("call", "shell", "true", [], {"after": [first, first]})["exit"] == 0


def test_a_failure_fails_those_behind_it_with_its_error_as_cause(daemon, client):
    log = daemon.path("log")
    bad = client.call("submit", "shell", *sh("exit 7"))
    behind = client.call("submit", "shell", *sh('echo ran >>"$1"', log), {"after": [bad]})
    error = refused("DependencyError", client.call, "result", behind)
    assert error["future"] == behind
    assert (error["cause"]["type"], error["cause"]["exit"], error["cause"]["future"]) == ("ExitError", 7, bad)
    assert lines(log) == []


def test_the_cause_is_what_failed_first_wherever_it_stands(shared):
    ids = []
    for _ in range(3):
        ids.append(shared.call("submit", "shell", "false"))
        shared.call("wait", ids)
    for after in ids, ids[::-1], [ids[1], ids[0], ids[2]]:
        assert refused("DependencyError", shared.call, "call", "shell", "true", [], {"after": after})["cause"]["future"] == ids[0]


def test_after_one_that_had_already_failed(shared):
    bad = shared.call("submit", "shell", "false")
    shared.call("wait", [bad])
    error = refused("DependencyError", shared.call, "call", "shell", "true", [], {"after": [bad]})
    assert error["cause"]["future"] == bad


def test_a_chain_names_the_first_cause_never_a_dependency_error(shared):
    bad = shared.call("submit", "shell", *sh("exit 3"))
    chain = [bad]
    for _ in range(5):
        chain.append(shared.call("submit", "shell", "true", [], {"after": [chain[-1]]}))
    error = refused("DependencyError", shared.call, "result", chain[-1])
    assert (error["cause"]["type"], error["cause"]["exit"], error["cause"]["future"]) == ("ExitError", 3, bad)


def test_a_long_chain_that_fails_at_its_head(daemon, client, gate):
    last = client.call("submit", "shell", *gate.task("exit 1"))
    head = last
    for _ in range(2000):
        last = client.call("submit", "shell", "true", [], {"after": [last]})
    gate.open()
    assert refused("DependencyError", client.call, "result", last)["cause"]["future"] == head


def test_one_that_fails_first_is_the_cause(daemon, client):
    one, two = daemon.gate("one"), daemon.gate("two")
    ids = [client.call("submit", "shell", *one.task("exit 1")), client.call("submit", "shell", *two.task("exit 2"))]
    behind = client.call("submit", "one", "true", [], {"after": ids})
    two.open()
    client.call("wait", [ids[1]])
    assert refused("DependencyError", client.call, "result", behind)["cause"]["future"] == ids[1]
    one.open()


def test_a_failure_is_told_without_waiting_for_the_others(daemon, client, gate):
    slow = client.call("submit", "shell", *gate.task())
    bad = client.call("submit", "shell", "false")
    refused("DependencyError", client.call, "call", "one", "true", [], {"after": [slow, bad]})
    gate.open()


def test_a_cancelled_one_is_a_cause_too(daemon, client):
    client.call("pause", "one")
    victim = client.call("submit", "one", "true")
    behind = client.call("submit", "shell", "true", [], {"after": [victim]})
    client.call("cancel", [victim])
    error = refused("DependencyError", client.call, "result", behind)
    assert (error["cause"]["type"], error["cause"]["future"]) == ("CancelledError", victim)


def test_one_that_waits_can_be_cancelled(daemon, client, gate):
    first = client.call("submit", "shell", *gate.task())
    behind = client.call("submit", "shell", "true", [], {"after": [first]})
    assert client.call("cancel", [behind]) == [True]
    gate.open()
    client.call("wait", [first])
    assert client.call("state", [first, behind]) == ["FINISHED", "CANCELLED"]


def test_after_an_unknown_future_is_refused(shared):
    first = shared.call("map", "shell", "true", [])[0]
    assert refused("UnknownFutureError", shared.call, "submit", "shell", "true", [], {"after": [first + 5]})["future"] == first + 5
    assert shared.call("map", "shell", "true", [])[0] == first


def test_after_itself_is_refused(shared):
    """The id that the submit itself would get is not known yet, so no cycle can be made."""
    first = shared.call("map", "shell", "true", [])[0]
    refused("UnknownFutureError", shared.call, "submit", "shell", "true", [], {"after": [first]})


def test_after_a_released_future_is_refused(shared):
    first = shared.call("submit", "shell", "true")
    shared.call("wait", [first])
    shared.call("release", [first])
    assert refused("ExpiredFutureError", shared.call, "submit", "shell", "true", [], {"after": [first]})["future"] == first


def test_every_element_of_a_map_waits(daemon, client, gate):
    first = client.call("submit", "one", *gate.task())
    run, count = client.call("map", "shell", "true", [[]] * 10, {"after": [first]})
    gate.await_start()
    assert client.call("state", [[run, count]]) == ["PENDING"] * 10
    gate.open()
    client.call("wait", [[run, count]])
    assert client.call("state", [[run, count]]) == ["FINISHED"] * 10


def test_after_takes_at_most_a_hundred_thousand(shared):
    first = shared.call("submit", "shell", "true")
    refused("ValueError", shared.call, "submit", "shell", "true", [], {"after": [[first, 100001]]})


def test_an_unknown_one_far_from_the_others_is_unknown(shared):
    """It was said that the daemon had no memory."""
    future = shared.call("submit", "shell", "true")
    assert refused("UnknownFutureError", shared.call, "submit", "shell", "true", [], {"after": [2**53 - 1, future]})["future"] == 2**53 - 1


def test_one_that_is_named_twice_is_waited_for_once(shared):
    future = shared.call("submit", "shell", "true")
    assert shared.call("call", "shell", "true", [], {"after": [future, future, [future, 1]]})["exit"] == 0
    failed = shared.call("submit", "shell", "false")
    refused("DependencyError", shared.call, "call", "shell", "true", [], {"after": [future, failed, future, failed]})


def test_a_waiting_task_does_not_hold_a_worker(daemon, client, gate):
    first = client.call("submit", "shell", *gate.task())
    client.call("submit", "one", "true", [], {"after": [first]})
    assert client.call("call", "one", "true")["exit"] == 0
    gate.open()
