"""An argument that is ext type 1 stands for the value of that future."""
import itertools

import msgpack
import pytest

from helpers import refused, sh
from kinds import LUA
from rpc import ref


def test_an_argument_is_replaced_by_the_stdout_of_a_command(shared):
    source = shared.call("submit", "shell", "printf", ["hello"])
    assert shared.call("call", "shell", "echo", ["<", ref(source), ">"])["stdout"] == b"< hello >\n"


def test_stdin_is_fed_from_a_future(shared):
    source = shared.call("submit", "shell", *sh("seq 1000"))
    assert shared.call("call", "shell", *sh("wc -l"), {"stdin": ref(source)})["stdout"].strip() == b"1000"


def test_commands_pipe_into_commands(shared):
    a = shared.call("submit", "shell", *sh("printf 'b\\na\\nc\\n'"))
    b = shared.call("submit", "one", "sort", [], {"stdin": ref(a)})
    c = shared.call("submit", "shell", "head", ["-n", "1"], {"stdin": ref(b)})
    assert shared.call("result", c)["stdout"] == b"a\n"


def test_the_task_waits_for_the_value(daemon, client, gate):
    source = client.call("submit", "one", *gate.task("printf late"))
    reader = client.call("submit", "shell", "echo", [ref(source)])
    gate.await_start()
    assert client.call("state", [reader]) == ["PENDING"]
    gate.open()
    assert client.call("result", reader)["stdout"] == b"late\n"


def test_several_values_and_the_same_twice(shared):
    a, b = (shared.call("submit", "shell", "printf", [x]) for x in "ab")
    assert shared.call("call", "shell", "echo", [ref(a), ref(b), ref(a)])["stdout"] == b"a b a\n"


@pytest.mark.parametrize("refs", ["ab", "ba", "aba", "aab", "abc"])
def test_values_come_in_any_order(daemon, client, refs):
    """Every split into those that are done before the submit and those that are awaited, in every order."""
    for round, order in enumerate(itertools.permutations(sorted(set(refs)))):
        for done in range(len(order) + 1):
            client.call("resize", "shell", 3)
            gates = {x: daemon.gate("%s%d%d" % (x, round, done)) for x in order}
            futures = {x: client.call("submit", "shell", *gates[x].task("printf " + x)) for x in order}

            def finish(names):
                for x in names:
                    gates[x].open()
                    client.call("wait", [futures[x]])
            finish(order[:done])
            reader = client.call("submit", "one", "echo", [ref(futures[x]) for x in refs])
            finish(order[done:])
            text = client.call("result", reader)["stdout"].decode()
            assert text == " ".join(refs) + "\n", "done before: %s, then: %s" % (order[:done], order[done:])


def test_bytes_pass_as_they_are(shared):
    source = shared.call("submit", "shell", "printf", ["\\377\\001\\n"])
    assert shared.call("call", "shell", "cat", [], {"stdin": ref(source)})["stdout"] == b"\xff\x01\n"


def test_each_element_of_a_map_may_have_its_own(shared):
    a, b = (shared.call("submit", "shell", "printf", [x]) for x in "ab")
    first, _ = shared.call("map", "shell", "echo", [[ref(a)], ["x"], [ref(b), ref(a)]])
    assert [shared.call("result", first + n)["stdout"] for n in range(3)] == [b"a\n", b"x\n", b"b a\n"]


def test_the_failure_of_the_source_is_a_dependency_error(shared):
    bad = shared.call("submit", "shell", *sh("echo half; exit 4"))
    for error in (refused("DependencyError", shared.call, "call", "shell", "echo", [ref(bad)]),
                  refused("DependencyError", shared.call, "call", "shell", "cat", [], {"stdin": ref(bad)})):
        assert (error["cause"]["type"], error["cause"]["exit"], error["cause"]["future"]) == ("ExitError", 4, bad)


def test_an_unknown_source_is_refused_at_submit(shared):
    first = shared.call("map", "shell", "true", [])[0]
    assert refused("UnknownFutureError", shared.call, "submit", "shell", "echo", [ref(first + 9)])["future"] == first + 9
    refused("UnknownFutureError", shared.call, "submit", "shell", "cat", [], {"stdin": ref(first + 9)})
    assert shared.call("map", "shell", "true", [])[0] == first


def test_a_released_source_is_refused_at_submit(shared):
    source = shared.call("submit", "shell", "true")
    shared.call("wait", [source])
    shared.call("release", [source])
    refused("ExpiredFutureError", shared.call, "submit", "shell", "echo", [ref(source)])


def test_a_bad_source_in_a_map_refuses_all(shared):
    source = shared.call("submit", "shell", "true")
    before = shared.call("map", "shell", "true", [])[0]
    refused("UnknownFutureError", shared.call, "map", "shell", "echo", [[ref(source)], [ref(before + 99)]])
    assert shared.call("map", "shell", "true", [])[0] == before


@pytest.mark.parametrize("ext", [msgpack.ExtType(1, b""), msgpack.ExtType(1, b"\0" * 7), msgpack.ExtType(1, b"\0" * 9),
                                 msgpack.ExtType(1, b"\0" * 16), msgpack.ExtType(2, b"\0" * 7 + b"\1"), msgpack.ExtType(0, b"\0" * 8),
                                 msgpack.ExtType(127, b"x")], ids=repr)
def test_another_ext_type_or_size_is_a_value_error(shared, ext):
    refused("ValueError", shared.call, "call", "shell", "echo", [ext])


@pytest.mark.parametrize("number", [0, 2**53, 2**63, 2**64 - 1])
def test_a_reference_to_what_is_no_id_is_refused(shared, number):
    refused("ValueError", shared.call, "submit", "shell", "echo", [ref(number)])


def test_a_reference_inside_an_argument_is_none(shared):
    """Only an element of args itself counts; a command cannot take an array."""
    source = shared.call("submit", "shell", "true")
    refused("ValueError", shared.call, "call", "shell", "echo", [[ref(source)]])


def test_a_value_with_nul_fails_as_an_argument_before_the_task_starts(daemon, client):
    from helpers import lines
    log = daemon.path("log")
    source = client.call("submit", "shell", "printf", ["a\\000b"])
    future = client.call("submit", "shell", *_append(log, ref(source)))
    assert "task" not in refused("ValueError", client.call, "result", future)
    assert lines(log) == []
    assert client.call("show", future)["attempt"] == 0


@pytest.mark.config(pools={"lua": LUA})
def test_a_value_with_nul_of_a_function_fails_as_an_argument_too(daemon, client):
    source = client.call("submit", "lua", "echo", ["a\0b"])
    future = client.call("submit", "shell", "echo", [ref(source)], {"retries": 2})
    assert "NUL" in refused("ValueError", client.call, "result", future)["message"]
    assert client.call("show", future)["attempt"] == 0


def test_an_argument_that_no_program_can_have_is_not_tried_again(shared):
    """What the worker said of it counted as an exception that the task raised, and was retried."""
    future = shared.call("submit", "shell", "echo", ["x" * (128 << 10)], {"retries": 2})
    error = refused("ValueError", shared.call, "result", future)
    assert "task" not in error and shared.call("show", future)["attempt"] == 1


def test_a_value_too_long_for_an_argument_fails_the_task_not_the_pool(shared):
    source = shared.call("submit", "shell", *sh("head -c 500000 /dev/zero | tr '\\0' x"))
    refused(("ValueError", "ExitError"), shared.call, "call", "shell", "echo", [ref(source)])
    assert shared.call("call", "shell", "echo", ["ok"])["stdout"] == b"ok\n"


def test_the_source_may_be_cancelled_meanwhile(daemon, client):
    client.call("pause", "one")
    source = client.call("submit", "one", "true")
    reader = client.call("submit", "shell", "echo", [ref(source)])
    client.call("cancel", [source])
    assert refused("DependencyError", client.call, "result", reader)["cause"]["type"] == "CancelledError"


def test_data_flow_and_after_hold_together(daemon, client, gate):
    source = client.call("submit", "shell", "printf", ["v"])
    other = client.call("submit", "one", *gate.task())
    reader = client.call("submit", "shell", "echo", [ref(source)], {"after": [other]})
    client.call("wait", [source])
    assert client.call("state", [reader]) == ["PENDING"]
    gate.open()
    assert client.call("result", reader)["stdout"] == b"v\n"


@pytest.mark.config(pools={"tiny": {"kind": "command", "workers": 1, "output": 100, "spill": "64KiB"}})
@pytest.mark.parametrize("pool, repeat", [("shell", 1), ("tiny", 1), ("tiny", 200)])
def test_what_flows_is_what_the_last_attempt_printed(daemon, client, pool, repeat):
    """As in its value; what earlier attempts had printed flowed with it."""
    script = 'w=first; [ -e "$1" ] && w=second; i=0; while [ $i -lt $2 ]; do echo $w; i=$((i+1)); done; [ -e "$1" ] || { touch "$1"; exit 1; }'
    source = client.call("submit", pool, *sh(script, daemon.path("m"), repeat), {"retries": 1})
    client.call("result", source)
    assert client.call("call", "shell", "cat", [], {"stdin": ref(source)})["stdout"] == b"second\n" * repeat
    assert client.call("call", "shell", "printf", ["%s", ref(source)])["stdout"] == b"second\n" * repeat
    assert client.call("output", source) == b"first\n" * repeat + b"second\n" * repeat


@pytest.mark.config(pools={"small": {"kind": "command", "workers": 1, "output": "16KiB"}})
def test_spilled_output_flows_whole(daemon, client):
    source = client.call("submit", "small", *sh("seq 100000"))
    reader = client.call("submit", "shell", "sha256sum", [], {"stdin": ref(source)})
    import hashlib
    whole = b"".join(b"%d\n" % n for n in range(1, 100001))
    try:
        assert client.call("result", reader)["stdout"].split()[0].decode() == hashlib.sha256(whole).hexdigest()
    except Exception as error:
        # What was cut from the value cannot flow; then the task must say so, never run on half of it.
        assert error.type == "ValueError"


def _append(log, value):
    fn, args = sh('echo ran >>"$1"', log)
    return fn, args + [value]


def test_the_output_of_a_command_that_was_tried_again_is_that_of_its_last_attempt(shared):
    """As its value has it; what the failed ones had printed came first."""
    first = shared.call("submit", "shell", *sh("echo $FUTURED_ATTEMPT; [ $FUTURED_ATTEMPT = 3 ]"), {"retries": 2})
    assert shared.call("call", "shell", *sh("cat"), {"stdin": ref(first)})["stdout"] == b"3\n"
    assert shared.call("call", "shell", "echo", ["-n", ref(first)])["stdout"] == b"3\n"
