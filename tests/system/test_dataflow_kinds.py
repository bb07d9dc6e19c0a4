"""A value goes from a pool of one kind to a pool of another without passing through the client."""
import pytest

from helpers import refused, sh
from kinds import POOLS
from rpc import ref

CONFIG = {"pools": POOLS}
PAIRS = [(a, b) for a in ("cpu", "io", "lua", "toy") for b in ("cpu", "io", "lua", "toy")]
VALUES = [7, 2.5, "text", b"\0\xff", [1, [2, "x"]], {"a": 1}, None, "x" * 200000]


@pytest.mark.parametrize("source, target", PAIRS, ids=["%s-%s" % pair for pair in PAIRS])
def test_a_value_flows_from_kind_to_kind(shared, source, target):
    for value in VALUES:
        if isinstance(value, bytes) and "lua" in (source, target):
            continue  # Lua's strings are text or bytes by what they hold
        one = shared.call("submit", source, "echo", [value])
        two = shared.call("submit", target, "echo", [ref(one)])
        assert shared.call("result", two) == value


def test_a_chain_through_all_kinds(shared):
    at = shared.call("submit", "shell", "printf", ["4"])
    at = shared.call("submit", "lua", "eval", ["tonumber(...) + 1", ref(at)])
    at = shared.call("submit", "cpu", "add", [ref(at), 10])
    at = shared.call("submit", "io", "add", [100, ref(at)])
    at = shared.call("submit", "toy", "add", [ref(at), 0])
    assert shared.call("result", at) == 115


@pytest.mark.parametrize("source", ["cpu", "io", "lua", "toy"])
def test_text_flows_into_a_commands_argv_and_stdin(shared, source):
    one = shared.call("submit", source, "echo", ["a value"])
    assert shared.call("call", "shell", "echo", ["<", ref(one), ">"])["stdout"] == b"< a value >\n"
    assert shared.call("call", "shell", "cat", [], {"stdin": ref(one)})["stdout"] == b"a value"


@pytest.mark.parametrize("value", [7, None, [1], {"a": 1}], ids=repr)
def test_what_a_command_cannot_take_fails_it_before_it_starts(shared, value):
    one = shared.call("submit", "cpu", "echo", [value])
    for call in [("echo", [ref(one)]), ("cat", [], {"stdin": ref(one)})]:
        future = shared.call("submit", "shell", *call)
        error = refused("ValueError", shared.call, "result", future)
        assert str(one) in error["message"] and "task" not in error
        assert shared.call("show", future)["started"] is None


@pytest.mark.parametrize("target", ["cpu", "io", "lua", "toy"])
def test_what_a_command_printed_flows_into_functions(shared, target):
    one = shared.call("submit", "shell", *sh("printf hello"))
    got = shared.call("call", target, "echo", [ref(one)])
    assert got == ("hello" if target == "lua" and isinstance(got, str) else b"hello")


@pytest.mark.parametrize("target", ["cpu", "io", "lua"])
def test_the_error_of_a_function_is_the_cause(shared, target):
    bad = shared.call("submit", "io", "fail", [{"why": 1}])
    error = refused("DependencyError", shared.call, "call", target, "echo", [ref(bad)])
    assert error["cause"]["type"] == "CustomError" and error["cause"]["data"] == {"why": 1} and error["cause"]["future"] == bad


def test_many_readers_of_one_value(shared):
    one = shared.call("submit", "io", "bytes", [300000])
    first, count = shared.call("map", "cpu", "types", [[ref(one), n] for n in range(300)])
    shared.call("release", [one])
    assert {tuple(shared.call("result", first + n)) for n in range(count)} == {("bin", "int")}
