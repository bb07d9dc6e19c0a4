"""Options of submit, map and call that say how a task is run and queued."""
import os
import time

import pytest

from helpers import eventually, lines, refused, sh
from rpc import ref

NAN, INF = float("nan"), float("inf")


def run(client, *task, **options):
    return client.call("call", "shell", *task, options)["stdout"].decode()


# cwd, env, umask, nice, limits

def test_cwd(shared):
    assert run(shared, "pwd", [], cwd="/usr/lib") == "/usr/lib\n"


def test_cwd_may_be_bytes(shared):
    assert run(shared, "pwd", [], cwd=b"/usr/lib") == "/usr/lib\n"


@pytest.mark.parametrize("cwd", ["relative", "", ".", "/a\0b"], ids=repr)
def test_cwd_is_absolute(shared, cwd):
    refused("ValueError", run, shared, "pwd", [], cwd=cwd)


def test_a_command_finds_who_it_is_in_its_environment(daemon, client):
    future = client.call("submit", "shell", "env")
    text = client.call("result", future)["stdout"].decode().splitlines()
    found = dict(line.split("=", 1) for line in text if "=" in line)
    assert found["FUTURED_ID"] == str(future) and found["FUTURED_ATTEMPT"] == "1"
    assert found["FUTURED_ADDRESS"] == "unix:" + daemon.address and found["FUTURED_TASK"]


def test_a_value_in_env_may_be_bytes(shared):
    value = shared.call("call", "shell", *sh('printf %s "$X"'), {"env": {"X": b"\xff\xfe"}})
    assert value["stdout"] == b"\xff\xfe"


def test_a_cwd_that_is_not_there_fails_the_task_not_the_daemon(shared):
    error = refused(("ExitError", "ValueError"), run, shared, "pwd", [], cwd="/nosuch/directory")
    assert "/nosuch/directory" in error["message"]


def test_env_adds_to_the_environment(shared):
    text = run(shared, "env", [], env={"ADDED": "a value", "EMPTY": ""})
    assert "ADDED=a value\n" in text and "EMPTY=\n" in text and "PATH=" in text


@pytest.mark.config(pools={"envy": {"kind": "command", "workers": 1, "env": {"KEEP": "1", "REPLACE": "old", "GO": "away"}}})
def test_env_is_added_to_the_pools_and_nil_unsets(client):
    text = client.call("call", "envy", "env", [], {"env": {"REPLACE": "new", "GO": None}})["stdout"].decode().splitlines()
    assert "KEEP=1" in text and "REPLACE=new" in text
    assert not any(line.startswith(("GO=", "REPLACE=old")) for line in text)


def test_nil_unsets_what_a_task_would_inherit(shared):
    assert "PATH=" not in run(shared, "/usr/bin/env", [], env={"PATH": None})


def test_a_value_in_env_may_hold_anything_but_nul(shared):
    assert run(shared, *sh('printf %s "$X"'), env={"X": "a=b\nc ü"}) == "a=b\nc ü"
    refused("ValueError", run, shared, "env", [], env={"X": "a\0b"})


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A": 1}, {"A": True}, {"A": []}, {1: "x"}, ["A=1"], "A=1", 7, {"A\0": "x"}],
                         ids=repr)
def test_env_of_a_wrong_shape_is_a_value_error(shared, env):
    refused("ValueError", run, shared, "env", [], env=env)


def test_umask(daemon, client):
    for umask, mode in ((0o022, 0o644), (0o077, 0o600), (0, 0o666)):
        path = daemon.path("f%o" % umask)
        client.call("call", "shell", "touch", [path], {"umask": umask})
        assert os.stat(path).st_mode & 0o777 == mode


def test_nice(shared):
    plain = int(run(shared, "nice", []))
    assert int(run(shared, "nice", [], nice=plain + 7)) == plain + 7


@pytest.mark.parametrize("name,ulimit,value,shown", [("files", "-n", 77, "77"), ("core", "-c", 0, "0"), ("cpu", "-t", 1234, "1234")])
def test_limits(shared, name, ulimit, value, shown):
    assert run(shared, *sh("ulimit -S %s" % ulimit), limits={name: value}).strip() == shown


def test_the_memory_limit_holds(shared):
    refused("ExitError", run, shared, "/usr/bin/python3", ["-c", "x = bytearray(10**9)"], limits={"memory": 200 << 20})


def test_the_file_size_limit_holds(daemon, client):
    path = daemon.path("big")
    error = refused("ExitError", client.call, "call", "shell", "dd", ["if=/dev/zero", "of=" + path, "bs=65536", "count=4"],
                    {"limits": {"file_size": 65536}})
    assert os.path.getsize(path) == 65536 and error


def test_the_cpu_limit_ends_a_task_that_spins(shared):
    error = refused("ExitError", shared.call, "call", "shell", *sh("while :; do :; done"), {"limits": {"cpu": 1}}, timeout=20)
    assert error["signal"] in (9, 24)


@pytest.mark.parametrize("limits", [{"nosuch": 1}, {"files": "many"}, {"files": -1}, {"files": True}, {"files": NAN}, ["files"], 7, "x"],
                         ids=repr)
def test_limits_of_a_wrong_shape_are_a_value_error(shared, limits):
    refused("ValueError", run, shared, "true", [], limits=limits)


# Every option's type

WRONG = {
    "name": [1, True, b"x", [], {}, 1.5, ref(1), "cut\0here"],
    "tags": [1, "x", {}, [1], ["cut\0here"], ["a", b"b"], [None], [["a"]], ref(1)],
    "priority": [1.5, "1", True, -32769, 32768, 2**63, [], {}, NAN],
    "timeout": ["1", True, -1, NAN, INF, 2e9, [], {}, b"1"],
    "deadline": ["1", True, -1, NAN, INF, 2e9, [], {}, b"1"],
    "delay": ["1", True, -1, NAN, INF, -INF, 2e9, [], {}, b"1"],
    "after": [True, "1", {}, 1.5, ["1"], [1.5], [-1], [True], [[]], NAN],
    "retries": [1.5, "1", True, -1, [], {}, NAN],
    "retry_delay": ["1", True, -1, NAN, INF, 2e9, [], {}],
    "key": [1, True, b"x", [], {}, 1.5],
    "block": [1, 0, "yes", [], {}, 1.5],
    "bound": [1, 0, "yes", [], {}, 1.5],
    "watch": [1, 0, "yes", [], {}, 1.5],
    "retain": ["1", True, -1, NAN, INF, 2e9, [], {}],
    "cwd": [1, True, [], {}, 1.5],
    "umask": ["022", True, -1, 0o1000, 1.5, [], {}],
    "nice": ["1", True, 1.5, 100, -100, [], {}],
}


@pytest.mark.parametrize("option,wrong", [(o, w) for o, ws in WRONG.items() for w in ws], ids=repr)
def test_an_option_of_a_wrong_type_is_a_value_error_that_names_it(shared, option, wrong):
    before = shared.call("map", "shell", "true", [])
    assert option in refused("ValueError", shared.call, "submit", "shell", "true", [], {option: wrong})["message"]
    assert shared.call("map", "shell", "true", []) == before


@pytest.mark.parametrize("option", ["name", "key", "cwd"])
def test_invalid_utf8_in_an_option_is_a_value_error(shared, option):
    from rpc import pack
    shared.expect(500)
    shared.send(b"\x94\x00" + pack(500) + pack("submit") + b"\x94" + pack("shell") + pack("true") + b"\x90\x81" + pack(option) + b"\xa2\xff\xfe")
    refused("ValueError", shared.answer, 500)


def test_invalid_utf8_in_a_variable_is_a_value_error_that_names_it(shared):
    from rpc import pack
    shared.expect(500)
    shared.send(b"\x94\x00" + pack(500) + pack("submit") + b"\x94" + pack("shell") + pack("true") + b"\x90\x81" + pack("env") + b"\x81" + pack("X") + b"\xa2\xff\xfe")
    assert "X: expected a str in UTF-8, or bin" in refused("ValueError", shared.answer, 500)["message"]


def test_kwargs_are_refused_where_there_are_none(shared):
    refused("UnsupportedError", shared.call, "submit", "shell", "true", [], {"kwargs": {"a": 1}})


def test_a_nil_option_means_its_default(shared):
    options = {o: None for o in WRONG}
    options.pop("after"), options.pop("tags")
    assert run(shared, "echo", ["x"], **options) == "x\n"


@pytest.mark.parametrize("options", [{"name": "x" * 1025}, {"key": "x" * 1025}, {"tags": ["x" * 1025]}, {"tags": ["t"] * 65},
                                     {"name": "ü" * 513}], ids=lambda o: next(iter(o)))
def test_what_is_too_long_is_a_value_error(shared, options):
    refused("ValueError", shared.call, "submit", "shell", "true", [], options)


def test_sixty_four_tags_of_a_kilobyte_are_fine(shared):
    tags = ["%064d" % n + "x" * 960 for n in range(64)]
    assert shared.call("show", shared.call("submit", "shell", "true", [], {"tags": tags}))["tags"] == tags


# name, tags, priority

def test_a_name_may_be_any_text(shared):
    for name in ("", "ü", "a\nb", "x" * 1024, "\x1b[31m"):
        future = shared.call("submit", "shell", "true", [], {"name": name})
        assert shared.call("show", future)["name"] == name


def order(daemon, client, jobs):
    """Submits (word, options) to a held pool, lets them run one by one, and tells in which order they did."""
    log = daemon.path("order")
    client.call("pause", "one")
    ids = [client.call("submit", "one", *sh('echo $1 >>"$2"', word, log), options) for word, options in jobs]
    client.call("resume", "one")
    assert client.call("wait", ids)["not_done"] == []
    return " ".join(lines(log))


def test_higher_priority_runs_first(daemon, client):
    assert order(daemon, client, [("low", {"priority": -5}), ("mid", {}), ("high", {"priority": 5})]) == "high mid low"


def test_within_a_priority_first_come_first_served(daemon, client):
    jobs = [("%s%d" % (p, n), {"priority": p}) for n in range(4) for p in (1, 2)]
    assert order(daemon, client, jobs) == "20 21 22 23 10 11 12 13"


def test_the_ends_of_the_range(daemon, client):
    jobs = [("a", {"priority": -32768}), ("b", {"priority": 32767}), ("c", {"priority": 0})]
    assert order(daemon, client, jobs) == "b c a"


def test_a_late_high_priority_overtakes_what_waits(daemon, client, gate):
    log = daemon.path("log")
    client.call("submit", "one", *gate.task())
    gate.await_start()
    ids = [client.call("submit", "one", *sh('echo $1 >>"$2"', n, log)) for n in range(5)]
    ids.append(client.call("submit", "one", *sh('echo urgent >>"$1"', log), {"priority": 1}))
    gate.open()
    client.call("wait", ids)
    assert lines(log) == ["urgent", "0", "1", "2", "3", "4"]


# delay

def test_a_delayed_task_does_not_start_earlier(shared):
    begun = time.monotonic()
    future = shared.call("submit", "shell", "true", [], {"delay": 0.3})
    assert shared.call("state", [future]) == ["PENDING"]
    assert shared.call("result", future)["exit"] == 0
    assert 0.29 < time.monotonic() - begun < 5


def test_a_delayed_task_does_not_hold_up_others(daemon, client):
    client.call("submit", "one", "true", [], {"delay": 1000, "priority": 100})
    assert client.call("call", "one", "true")["exit"] == 0


def test_delays_run_out_in_their_own_order(daemon, client):
    log = daemon.path("log")
    ids = [client.call("submit", "one", *sh('echo $1 >>"$2"', d, log), {"delay": d}) for d in (0.4, 0.1, 0.25)]
    client.call("wait", ids)
    assert lines(log) == ["0.1", "0.25", "0.4"]


def test_a_delayed_task_can_be_cancelled(shared):
    future = shared.call("submit", "shell", "true", [], {"delay": 1000})
    assert shared.call("cancel", [future]) == [True]


def test_zero_delay_is_none(shared):
    assert run(shared, "echo", ["x"], delay=0) == "x\n"


# timeout

def test_a_task_that_runs_too_long_is_stopped_with_task_timeout_error(shared):
    begun = time.monotonic()
    error = refused("TaskTimeoutError", shared.call, "call", "shell", "sleep", ["1000"], {"timeout": 0.2})
    assert 0.15 < time.monotonic() - begun < 5
    assert not error.get("deadline")


def test_the_timeout_counts_from_the_start_of_the_run(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    gate.await_start()
    future = client.call("submit", "one", "echo", ["x"], {"timeout": 0.3})
    client.call("call", "shell", "sleep", ["0.5"])
    gate.open()
    assert client.call("result", future)["stdout"] == b"x\n"


@pytest.mark.config(pools={"shell": {"kind": "command", "workers": 2, "grace": "200ms"}})
def test_a_timeout_kills_the_whole_tree_after_grace(daemon, client):
    import uuid
    from helpers import marked
    mark = uuid.uuid4().hex
    future = client.call("submit", "shell", *sh("trap '' TERM; setsid sleep 1000 & sleep 1000; sleep 1000"),
                         {"timeout": 0.2, "env": {"MARK": mark}})
    refused("TaskTimeoutError", client.call, "result", future)
    assert marked(mark) == []


@pytest.mark.config(pools={"brief": {"kind": "command", "workers": 1, "timeout": "200ms"}})
def test_a_pool_may_have_a_timeout_of_its_own(client):
    refused("TaskTimeoutError", client.call, "call", "brief", "sleep", ["1000"])
    assert client.call("call", "brief", *sh("sleep 0.5; echo x"), {"timeout": 30})["stdout"] == b"x\n"


def test_a_task_within_its_timeout_is_left_alone(shared):
    assert run(shared, "echo", ["x"], timeout=30) == "x\n"


def test_a_task_timeout_is_not_a_wait_that_ran_out(shared):
    future = shared.call("submit", "shell", "sleep", ["1000"], {"timeout": 0.1})
    assert refused("TaskTimeoutError", shared.call, "result", future, 9)["future"] == future
    assert shared.call("state", [future]) == ["FINISHED"]


# retain

def test_a_finished_future_expires_after_retain(shared):
    future = shared.call("submit", "shell", "true", [], {"retain": 0.1})

    def has_expired():
        try:
            shared.call("state", [future])
        except Exception as error:
            return error.type == "ExpiredFutureError"
    eventually(has_expired)


@pytest.mark.config(retain="100ms", pools={"keeps": {"kind": "command", "workers": 1, "retain": "1h"}})
def test_retain_defaults_to_the_pools_then_the_daemons(client):
    kept = client.call("submit", "keeps", "true")
    gone = client.call("submit", "shell", "true")
    longer = client.call("submit", "shell", "true", [], {"retain": 1000})
    eventually(lambda: [m["id"] for m in client.call("list")] == [kept, longer])
    refused("ExpiredFutureError", client.call, "state", [gone])


def test_retain_counts_from_the_finish(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo x"), {"retain": 0.1})
    gate.await_start()
    client.call("call", "shell", "sleep", ["0.3"])
    waiting = client.request("result", future)
    gate.open()
    assert client.answer(waiting)["stdout"] == b"x\n"


def test_expired_and_released_say_the_same_words(shared):
    released, expired = shared.call("submit", "shell", "true"), shared.call("submit", "shell", "true", [], {"retain": 0})
    shared.call("wait", [released])
    shared.call("release", [released])
    eventually(lambda: expired not in [m["id"] for m in shared.call("list")])
    a = refused("ExpiredFutureError", shared.call, "result", released)
    b = refused("ExpiredFutureError", shared.call, "result", expired)
    assert a["message"].replace(str(released), "N") == b["message"].replace(str(expired), "N")
    assert a.keys() == b.keys()
