"""output [id, {stream, offset, follow}]: what a task printed, so far and as it comes."""
import os

import pytest

from helpers import eventually, refused, sh

CONFIG = {"pools": {"small": {"kind": "command", "workers": 2, "output": "64KiB", "spill": "4MiB"}}}
MIB = 1 << 20


def read_all(client, future, stream="stdout"):
    """As a client pages: until an answer is empty."""
    text = b""
    while True:
        more = client.call("output", future, {"stream": stream, "offset": len(text)})
        assert len(more) <= MIB
        if not more:
            return text
        text += more


def follow(client, streams):
    """Gathers `output` notifications until each stream has ended; checks that offsets leave no gap."""
    text, ended = {s: b"" for s in streams}, set()
    begin = {}
    while ended != set(streams):
        future, stream, offset, data, eof = client.notification("output")
        assert stream in streams and stream not in ended and isinstance(data, bytes) and isinstance(eof, bool)
        begin.setdefault(stream, offset)
        assert offset == begin[stream] + len(text[stream])
        text[stream] += data
        if eof:
            ended.add(stream)
    return text


def test_output_of_a_finished_task_is_its_stdout(shared):
    future = shared.call("submit", "shell", *sh("echo out; echo err >&2"))
    shared.call("wait", [future])
    assert shared.call("output", future) == b"out\n"
    assert shared.call("output", future, {"stream": "stdout"}) == b"out\n"


def test_output_of_stderr(shared):
    future = shared.call("submit", "shell", *sh("echo out; echo err >&2"))
    shared.call("wait", [future])
    assert shared.call("output", future, {"stream": "stderr"}) == b"err\n"


def test_output_of_both_is_a_map(shared):
    future = shared.call("submit", "shell", *sh("echo out; echo err >&2"))
    shared.call("wait", [future])
    assert shared.call("output", future, {"stream": "both"}) == {"stdout": b"out\n", "stderr": b"err\n"}


def test_output_is_there_while_the_task_runs(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo late", before="echo early"))
    gate.await_start()
    eventually(lambda: client.call("output", future) == b"early\n")
    gate.open()
    client.call("wait", [future])
    assert client.call("output", future) == b"early\nlate\n"


def test_output_of_a_pending_task_is_empty(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "echo", ["x"])
    assert client.call("output", future) == b""


def test_output_of_a_silent_task_is_empty(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    assert shared.call("output", future) == b""
    assert shared.call("output", future, {"stream": "both"}) == {"stdout": b"", "stderr": b""}


def test_offset_skips_what_was_read(shared):
    future = shared.call("submit", "shell", "printf", ["0123456789"])
    shared.call("wait", [future])
    assert shared.call("output", future, {"offset": 4}) == b"456789"
    assert shared.call("output", future, {"offset": 10}) == b""


def test_an_offset_beyond_the_end_is_empty(shared):
    future = shared.call("submit", "shell", "printf", ["x"])
    shared.call("wait", [future])
    assert shared.call("output", future, {"offset": 2**53 - 1, "follow": True}) == b""
    assert shared.notification("output") == [future, "stdout", 2**53 - 1, b"", True]


def test_an_answer_has_at_most_a_mebibyte(shared):
    future = shared.call("submit", "shell", *sh("head -c 2500000 /dev/zero | tr '\\0' x"))
    shared.call("wait", [future])
    assert len(shared.call("output", future)) == MIB
    assert read_all(shared, future) == b"x" * 2500000


def test_output_of_a_failed_task_stays_readable(shared):
    future = shared.call("submit", "shell", *sh("echo last words; exit 1"))
    shared.call("wait", [future])
    assert shared.call("output", future) == b"last words\n"


def test_looking_at_output_is_not_looking_at_the_error(shared):
    future = shared.call("submit", "shell", *sh("echo x; exit 1"))
    shared.call("wait", [future])
    shared.call("output", future)
    assert future in [m["id"] for m in shared.call("failures")]


# follow

def test_follow_tells_what_comes_and_the_end(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo two", before="echo one"))
    gate.await_start()
    so_far = client.call("output", future, {"follow": True})
    gate.open()
    assert so_far + follow(client, ["stdout"])["stdout"] == b"one\ntwo\n"


def test_follow_starts_where_the_answer_ended(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo two", before="echo one"))
    gate.await_start()
    eventually(lambda: client.call("output", future) == b"one\n")
    assert client.call("output", future, {"follow": True, "offset": 2}) == b"e\n"
    gate.open()
    assert client.notification("output")[:4] == [future, "stdout", 4, b"two\n"]


def test_a_line_arrives_while_the_task_runs_on(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(before="echo now"))
    client.call("output", future, {"follow": True}) or client.notification("output")
    assert client.call("state", [future]) == ["RUNNING"]
    gate.open()


def test_the_answer_precedes_what_follows(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo x"))
    client.trace = []
    client.call("output", future, {"follow": True})
    gate.open()
    follow(client, ["stdout"])
    assert client.trace[0][0] == 1


def test_follow_of_both_keeps_the_streams_apart(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo out; echo err >&2"))
    assert client.call("output", future, {"follow": True, "stream": "both"}) == {"stdout": b"", "stderr": b""}
    gate.open()
    assert follow(client, ["stdout", "stderr"]) == {"stdout": b"out\n", "stderr": b"err\n"}


def test_follow_of_stderr_tells_nothing_of_stdout(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo out; echo err >&2"))
    client.call("output", future, {"follow": True, "stream": "stderr"})
    gate.open()
    assert follow(client, ["stderr"]) == {"stderr": b"err\n"}
    client.call("wait", [future])
    assert client.pending_notifications("output") == []


def test_follow_of_a_pending_task_waits_for_it(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "echo", ["x"])
    assert client.call("output", future, {"follow": True}) == b""
    client.call("resume", "shell")
    assert follow(client, ["stdout"]) == {"stdout": b"x\n"}


def test_follow_of_a_finished_task_ends_at_once(shared):
    future = shared.call("submit", "shell", "echo", ["x"])
    shared.call("wait", [future])
    so_far = shared.call("output", future, {"follow": True})
    assert so_far + follow(shared, ["stdout"])["stdout"] == b"x\n"


def test_follow_of_a_cancelled_task_ends(daemon, client, gate):
    client.call("submit", "one", *gate.task())
    future = client.call("submit", "one", "echo", ["x"])
    client.call("output", future, {"follow": True})
    client.call("cancel", [future])
    assert follow(client, ["stdout"]) == {"stdout": b""}
    gate.open()


def test_two_may_follow_one_task(daemon, client, gate):
    other = daemon.client()
    future = client.call("submit", "shell", *gate.task("echo x"))
    client.call("output", future, {"follow": True})
    other.call("output", future, {"follow": True})
    gate.open()
    assert follow(client, ["stdout"]) == follow(other, ["stdout"]) == {"stdout": b"x\n"}


def test_large_output_is_followed_whole(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("head -c 5000000 /dev/zero | tr '\\0' y"))
    client.call("output", future, {"follow": True})
    gate.open()
    assert follow(client, ["stdout"])["stdout"] == b"y" * 5000000


def test_output_and_done_agree(daemon, client, gate):
    """All that was printed has been told by the time that a future is done and its streams have ended."""
    future = client.call("submit", "shell", *gate.task("echo last"), {"watch": True})
    client.call("output", future, {"follow": True})
    gate.open()
    assert follow(client, ["stdout"])["stdout"] == b"last\n"
    assert client.notification("done")[3]["stdout"] == b"last\n"


def test_a_background_process_does_not_hold_the_streams_open(shared):
    """A task is over when its leader is: what it left is killed, so its pipes end."""
    future = shared.call("submit", "shell", *sh("echo x; sleep 1000 & exit 0"))
    assert shared.call("result", future, 8)["stdout"] == b"x\n"


# Spilling and cutting

def test_output_beyond_memory_spills_and_stays_readable(daemon, client):
    future = client.call("submit", "small", *sh("i=0; while [ $i -lt 40000 ]; do echo $i; i=$((i+1)); done"))
    client.call("wait", [future])
    whole = b"".join(b"%d\n" % n for n in range(40000))
    assert read_all(client, future) == whole
    assert client.call("output", future, {"offset": len(whole) - 6}) == b"39999\n"


def test_the_value_says_how_much_of_spilled_output_was_cut(shared):
    future = shared.call("submit", "small", *sh("head -c 1000000 /dev/zero; head -c 500000 /dev/zero >&2"))
    value = shared.call("result", future)
    assert len(value["stdout"]) + value["stdout_cut"] == 1000000
    assert len(value["stderr"]) + value["stderr_cut"] == 500000
    assert len(value["stdout"]) <= 65536 and len(value["stderr"]) <= 65536


def test_a_value_that_was_not_cut_does_not_say_so(shared):
    value = shared.call("result", shared.call("submit", "small", *sh("head -c 1000 /dev/zero")))
    assert len(value["stdout"]) == 1000 and not value.get("stdout_cut")


def test_an_error_says_how_much_was_cut(shared):
    future = shared.call("submit", "small", *sh("head -c 1000000 /dev/zero >&2; exit 1"))
    error = refused("ExitError", shared.call, "result", future)
    assert len(error["stderr"]) + error["stderr_cut"] == 1000000


def test_output_beyond_the_disk_bound_is_cut_and_the_task_goes_on(shared):
    future = shared.call("submit", "small", *sh("head -c 20000000 /dev/zero && echo done >&2"))
    value = shared.call("result", future)
    assert value["stderr"] == b"done\n"
    assert len(value["stdout"]) + value["stdout_cut"] == 20000000
    assert len(read_all(shared, future)) <= 4 * MIB + 65536


def test_spilled_output_goes_with_its_future(daemon, client):
    def files():
        return sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(daemon.path("state")) for name in names if "output-" in top)
    before = files()
    future = client.call("submit", "small", *sh("head -c 3000000 /dev/zero"))
    client.call("wait", [future])
    assert files() >= before + 2900000
    client.call("release", [future])
    eventually(lambda: files() < before + 100000)


@pytest.mark.long
@pytest.mark.config(pools={"huge": {"kind": "command", "workers": 1}})
def test_three_hundred_megabytes_of_output_do_not_fill_the_daemon(daemon, client):
    before = daemon.rss()
    size, most = 300 * 1000 * 1000, 0
    future = client.call("submit", "huge", "head", ["-c", str(size), "/dev/zero"])
    asked = client.request("result", future)
    while not client.is_answered(asked):
        most = max(most, daemon.rss())
        client.call("wait", [future], "ALL_COMPLETED", 0.1)
    value = client.answer(asked)
    assert len(value["stdout"]) + value["stdout_cut"] == size
    assert most - before < 32 * MIB
    read = 0
    while True:
        more = client.call("output", future, {"offset": read})
        if not more:
            break
        read += len(more)
        most = max(most, daemon.rss())
    assert read == size
    assert most - before < 32 * MIB


@pytest.mark.long
def test_a_follower_that_does_not_read_costs_bounded_memory(daemon, client):
    before = daemon.rss()
    future = client.call("submit", "shell", "head", ["-c", "200000000", "/dev/zero"])
    lazy = [daemon.client() for _ in range(4)]
    for c in lazy:
        c.call("output", future, {"follow": True})
    client.call("result", future, timeout=60)
    assert daemon.rss() - before < 128 * MIB
    assert client.call("ping", 1) == 1


@pytest.mark.parametrize("options", [7, "stdout", [], {"stream": "stdin"}, {"stream": 1}, {"stream": b"stdout"}, {"offset": "0"},
                                     {"offset": -1}, {"offset": 2**53}, {"offset": 2**64 - 1, "follow": True}, {"offset": 1.5}, {"offset": True}, {"follow": 1}, {"follow": "yes"},
                                     {"nosuch": 1}], ids=repr)
def test_wrong_options_are_a_value_error(shared, options):
    future = shared.call("submit", "shell", "true")
    refused("ValueError", shared.call, "output", future, options)


@pytest.mark.parametrize("params", [[], [None], ["1"], [[1]], [1, {}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "output", *params)


def test_output_of_an_unknown_future(shared):
    future = shared.call("submit", "shell", "true")
    refused("UnknownFutureError", shared.call, "output", future + 1)
