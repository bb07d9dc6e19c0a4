"""submit [pool, fn, args=[], options={}]: gives an id at once; the task runs in its own time."""
import pytest

from helpers import refused, sh
from rpc import ID_MAX, pack, ref

WRONG_FOR_STR = [None, True, 7, -1, 1.5, [], ["shell"], {}, ref(1)]


def test_submit_gives_a_positive_id(shared):
    future = shared.call("submit", "shell", "true")
    assert type(future) is int and 1 <= future <= ID_MAX


def test_ids_are_given_in_increasing_order(shared):
    ids = [shared.call("submit", "shell", "true") for _ in range(20)]
    assert ids == sorted(set(ids))


def test_ids_increase_over_connections(shared_daemon, shared):
    other = shared_daemon.client()
    first = shared.call("submit", "shell", "true")
    second = other.call("submit", "shell", "true")
    assert second > first


def test_the_value_of_a_command_has_exit_stdout_and_stderr(shared):
    future = shared.call("submit", "shell", *sh("echo out; echo err >&2"))
    assert shared.call("result", future) == {"exit": 0, "stdout": b"out\n", "stderr": b"err\n"}


def test_args_default_to_none(shared):
    future = shared.call("submit", "shell", "pwd")
    assert shared.call("result", future)["exit"] == 0


def test_nil_stands_for_default_args_and_default_options(shared):
    assert shared.call("result", shared.call("submit", "shell", "echo", None, {}))["stdout"] == b"\n"
    assert shared.call("result", shared.call("submit", "shell", "echo", ["x"], None))["stdout"] == b"x\n"


def test_options_keep_their_own_place(shared):
    """An options map in the place of args is not taken for options."""
    refused("ValueError", shared.call, "submit", "shell", "true", {"name": "x"})


def test_the_program_is_looked_up_in_path(shared):
    assert shared.call("result", shared.call("submit", "shell", "echo", ["hello"]))["stdout"] == b"hello\n"


def test_argv_stays_argv_without_a_shell(shared):
    words = ["a b", "$HOME", "*", "", "'", '"', ";", "\n", "-n"]
    future = shared.call("submit", "shell", "printf", ["[%s]"] + words)
    assert shared.call("result", future)["stdout"].decode() == "".join("[%s]" % w for w in words)


def test_an_argument_may_be_bytes(shared):
    future = shared.call("submit", "shell", "printf", ["%s", b"\xff\xfe\x01"])
    assert shared.call("result", future)["stdout"] == b"\xff\xfe\x01"


def test_invalid_utf8_inside_args_passes_through(shared):
    shared.expect(77)
    shared.send(pack([0, 77, "submit", ["shell", "printf", []]])[:-1] + b"\x92\xa2%s\xa2\xff\xfe")
    assert shared.call("result", shared.answer(77))["stdout"] == b"\xff\xfe"


@pytest.mark.parametrize("index,name", [(0, "pool"), (1, "fn")])
def test_invalid_utf8_in_pool_or_fn_is_a_value_error(shared, index, name):
    params = [b"\xa5shell", b"\xa4true"]
    params[index] = b"\xa2\xff\xfe"
    shared.expect(78)
    shared.send(b"\x94\x00" + pack(78) + pack("submit") + b"\x92" + b"".join(params))
    refused("ValueError", shared.answer, 78)


@pytest.mark.parametrize("wrong", WRONG_FOR_STR, ids=repr)
def test_a_pool_that_is_no_str_is_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "submit", wrong, "true")


@pytest.mark.parametrize("wrong", WRONG_FOR_STR, ids=repr)
def test_a_function_that_is_no_str_is_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "submit", "shell", wrong)


@pytest.mark.parametrize("wrong", [True, 7, "x", b"x", 1.5, {"a": 1}, ref(1)], ids=repr)
def test_args_that_are_no_array_are_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "submit", "shell", "true", wrong)


@pytest.mark.parametrize("wrong", [True, 7, "x", b"x", 1.5, [], ref(1)], ids=repr)
def test_options_that_are_no_map_are_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "submit", "shell", "true", [], wrong)


@pytest.mark.parametrize("wrong", [None, True, 7, 1.5, [], {}, ["x"]], ids=repr)
def test_an_argument_that_cannot_be_argv_is_a_value_error(shared, wrong):
    refused("ValueError", shared.call, "call", "shell", "echo", [wrong])


def test_a_nul_inside_argv_is_a_value_error(shared):
    refused("ValueError", shared.call, "call", "shell", "echo", ["a\0b"])
    refused("ValueError", shared.call, "call", "shell", "echo\0x")


def test_an_empty_function_is_a_value_error(shared):
    refused("ValueError", shared.call, "call", "shell", "")


@pytest.mark.parametrize("params", [[], ["shell"]], ids=["no pool", "no fn"])
def test_pool_and_function_have_no_default(shared, params):
    refused("ValueError", shared.call, "submit", *params)


def test_too_many_parameters_are_a_value_error(shared):
    refused("ValueError", shared.call, "submit", "shell", "true", [], {}, 1)


def test_an_unknown_pool_is_named(shared):
    assert "nosuch" in refused("UnknownPoolError", shared.call, "submit", "nosuch", "true")["message"]


def test_an_unknown_option_is_named(shared):
    assert "prioritty" in refused("ValueError", shared.call, "submit", "shell", "true", [], {"prioritty": 1})["message"]


def test_an_option_key_that_is_no_str_is_a_value_error(shared):
    refused("ValueError", shared.call, "submit", "shell", "true", [], {1: 1})


def test_of_an_option_given_twice_the_last_one_counts(shared):
    shared.expect(79)
    shared.send(b"\x94\x00\x4f\xa6submit\x94\xa5shell\xa4true\x90\x82\xa8priority\x01\xa8priority\x02")
    assert shared.call("show", shared.answer(79))["priority"] == 2


def test_a_value_error_says_which_parameter_what_was_expected_and_what_came(shared):
    message = refused("ValueError", shared.call, "submit", "shell", "true", [], {"priority": "high"})["message"]
    assert "priority" in message and "int" in message and "str" in message


def test_a_refused_submit_uses_no_id(shared):
    before = shared.call("map", "shell", "true", [])[0]
    refused("ValueError", shared.call, "submit", "shell", "true", [], {"nosuch": 1})
    assert shared.call("map", "shell", "true", [])[0] == before


def test_futures_outlive_the_client_that_submitted_them(daemon):
    with daemon.client() as first:
        future = first.call("submit", "shell", *sh("echo kept"))
    assert daemon.client().call("result", future)["stdout"] == b"kept\n"


def test_a_closed_client_does_not_stop_its_running_task(daemon, gate):
    with daemon.client() as first:
        future = first.call("submit", "shell", *gate.task("echo went on"))
        gate.await_start()
    client = daemon.client()
    client.call("ping")
    gate.open()
    assert client.call("result", future)["stdout"] == b"went on\n"


def test_a_pool_runs_as_many_tasks_at_once_as_it_has_workers(daemon, client, gate):
    ids = [client.call("submit", "shell", *gate.task()) for _ in range(4)]
    gate.await_start(), gate.await_start()
    assert sorted(client.call("state", ids)) == ["PENDING", "PENDING", "RUNNING", "RUNNING"]
    assert gate.nobody_started()
    gate.open(4)
    assert client.call("wait", ids)["not_done"] == []


def test_one_worker_runs_tasks_in_the_order_submitted(daemon, client):
    log = daemon.path("order")
    ids = [client.call("submit", "one", *sh('echo $1 >>"$2"', n, log)) for n in range(30)]
    client.call("wait", ids)
    with open(log) as f:
        assert f.read().split() == [str(n) for n in range(30)]


def test_a_task_runs_exactly_once(daemon, client):
    log = daemon.path("runs")
    first, count = client.call("map", "shell", *[sh('echo x >>"$0"')[0]], [["-c", 'echo $1 >>"$0"', log, str(n)] for n in range(200)])
    client.call("wait", [[first, count]])
    with open(log) as f:
        assert sorted(map(int, f.read().split())) == list(range(200))
