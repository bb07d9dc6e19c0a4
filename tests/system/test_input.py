"""The option stdin, and input [id, bin, {eof}]: bytes for a command, with flow control."""
import pytest

from helpers import eventually, refused, sh
from rpc import ref, request

MIB = 1 << 20


def test_feeding_several_in_turn_for_long_holds_no_more(daemon, client):
    client.call("pause", "shell")
    fed = [client.call("submit", "shell", "cat", [], {"stdin": True}) for _ in range(3)][::2]

    def feed(rounds):
        for _ in range(rounds):
            for k in range(20000):
                client.expect(1000 + k)
            client.send(b"".join(request(1000 + k, "input", fed[k % 2], b"") for k in range(20000)))
            for k in range(20000):
                client.answer(1000 + k)
    feed(2)
    before = daemon.rss()
    feed(20)
    assert daemon.rss() - before < 3 << 20
    client.close()
    other = daemon.client()
    for future in fed:
        refused("InvalidStateError", other.call, "input", future, b"x")


def test_stdin_is_dev_null_without_the_option(shared):
    assert shared.call("call", "shell", "readlink", ["/proc/self/fd/0"])["stdout"] == b"/dev/null\n"
    assert shared.call("call", "shell", "cat")["stdout"] == b""


def test_stdin_bytes_are_fed_and_end(shared):
    assert shared.call("call", "shell", "cat", [], {"stdin": b"a\0b\xff"})["stdout"] == b"a\0b\xff"


def test_empty_stdin_ends_at_once(shared):
    assert shared.call("call", "shell", "cat", [], {"stdin": b""})["stdout"] == b""


def test_stdin_larger_than_any_pipe(shared):
    data = bytes(range(256)) * 2000
    assert shared.call("call", "shell", "cat", [], {"stdin": data})["stdout"] == data


def test_a_task_need_not_read_its_stdin(shared):
    assert shared.call("call", "shell", "true", [], {"stdin": b"x" * MIB})["exit"] == 0


def test_open_stdin_is_fed_by_input_and_ended_by_eof(shared):
    future = shared.call("submit", "shell", "cat", [], {"stdin": True})
    assert shared.call("input", future, b"one ") is None
    assert shared.call("input", future, b"two", {"eof": False}) is None
    assert shared.call("input", future, b"!", {"eof": True}) is None
    assert shared.call("result", future)["stdout"] == b"one two!"


def test_eof_may_come_alone(shared):
    future = shared.call("submit", "shell", "cat", [], {"stdin": True})
    shared.call("input", future, b"", {"eof": True})
    assert shared.call("result", future)["stdout"] == b""


def test_a_conversation(shared):
    """What one has answered decides what the other says."""
    future = shared.call("submit", "shell", *sh("while read x; do echo got $x; done"), {"stdin": True})
    shared.call("output", future, {"follow": True})
    for word in (b"a", b"b"):
        shared.call("input", future, word + b"\n")
        assert shared.notification("output")[3] == b"got %s\n" % word
    shared.call("input", future, b"", {"eof": True})
    assert shared.call("result", future)["stdout"] == b"got a\ngot b\n"


def test_input_before_the_task_runs_is_kept(daemon, client):
    client.call("pause", "shell")
    future = client.call("submit", "shell", "cat", [], {"stdin": True})
    assert client.call("input", future, b"early ") is None
    client.call("resume", "shell")
    client.call("input", future, b"late", {"eof": True})
    assert client.call("result", future)["stdout"] == b"early late"


def test_input_answers_when_there_is_room(daemon, client, gate):
    """A task that does not read: the feeder is told to wait, not the daemon to grow."""
    future = client.call("submit", "shell", *gate.task("cat | wc -c"), {"stdin": True})
    gate.await_start()
    before = daemon.rss()
    asked = [client.request("input", future, b"x" * MIB) for _ in range(24)]
    client.call("ping")
    assert not client.is_answered(asked[-1])
    gate.open()
    for msgid in asked:
        assert client.answer(msgid) is None
    client.call("input", future, b"", {"eof": True})
    assert client.call("result", future)["stdout"].strip() == b"%d" % (24 * MIB)
    assert daemon.rss() - before < 96 * MIB


def test_much_input_arrives_whole_and_in_order(shared):
    future = shared.call("submit", "shell", "sha256sum", [], {"stdin": True})
    import hashlib
    digest = hashlib.sha256()
    for n in range(40):
        part = (b"%08d" % n) * 12500
        digest.update(part)
        shared.call("input", future, part, {"eof": n == 39})
    assert shared.call("result", future)["stdout"].split()[0].decode() == digest.hexdigest()


def test_the_feeders_disconnect_ends_the_input(daemon, client):
    future = client.call("submit", "shell", "cat", [], {"stdin": True})
    with daemon.client() as feeder:
        feeder.call("input", future, b"last words")
    assert client.call("result", future)["stdout"] == b"last words"


def test_input_to_a_task_without_open_stdin_is_refused(daemon, client, gate):
    plain = client.call("submit", "shell", *gate.task())
    given = client.call("submit", "shell", *gate.task(), {"stdin": b"x"})
    for future in (plain, given):
        refused("InvalidStateError", client.call, "input", future, b"x")
    gate.open(2)


def test_input_after_eof_is_refused(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("cat"), {"stdin": True})
    client.call("input", future, b"", {"eof": True})
    refused("InvalidStateError", client.call, "input", future, b"more")
    gate.open()


def test_input_to_a_finished_task_is_refused(shared):
    future = shared.call("submit", "shell", "true", [], {"stdin": True})
    shared.call("wait", [future])
    refused("InvalidStateError", shared.call, "input", future, b"x")


def test_input_to_a_task_that_ends_without_reading_is_answered(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("exit 0"), {"stdin": True})
    gate.await_start()
    asked = [client.request("input", future, b"x" * MIB) for _ in range(16)]
    client.call("ping")
    gate.open()
    assert client.call("result", future)["exit"] == 0
    for msgid in asked:
        try:
            client.answer(msgid)
        except Exception as error:
            assert error.type == "InvalidStateError"


def test_closing_stdin_early_does_not_hurt(shared):
    future = shared.call("submit", "shell", *sh("exec 0<&-; echo ok"), {"stdin": True})
    assert shared.call("result", future)["stdout"] == b"ok\n"


@pytest.mark.parametrize("stdin", [False, 1, "text", 1.5, [], {}], ids=repr)
def test_stdin_that_is_neither_bytes_nor_true_is_a_value_error(shared, stdin):
    refused("ValueError", shared.call, "submit", "shell", "cat", [], {"stdin": stdin})


def test_open_stdin_is_refused_together_with_retries(shared):
    refused("ValueError", shared.call, "submit", "shell", "cat", [], {"stdin": True, "retries": 1})


def test_stdin_bytes_are_given_to_every_attempt(shared):
    counter = "/bin/sh", ["-c", "cat; exit 1"]
    future = shared.call("submit", "shell", *counter, {"stdin": b"x", "retries": 2, "retry_delay": 0})
    shared.call("wait", [future])
    assert shared.call("output", future) == b"xxx"


@pytest.mark.parametrize("params", [[], [1], [None, b""], ["1", b""], [1, "text"], [1, 7], [1, None], [1, []], [1, b"", 7],
                                    [1, b"", {"eof": 1}], [1, b"", {"nosuch": True}], [1, b"", {}, 1], [ref(1), b""]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    shared.call("submit", "shell", "true")
    refused("ValueError", shared.call, "input", *params)


def test_input_to_an_unknown_future(shared):
    future = shared.call("submit", "shell", "true")
    refused("UnknownFutureError", shared.call, "input", future + 1, b"")


def test_cancelling_a_task_answers_its_feeder(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(), {"stdin": True})
    gate.await_start()
    asked = [client.request("input", future, b"x" * MIB) for _ in range(16)]
    client.call("ping")
    client.call("cancel", [future], {"running": "kill"})
    refused("CancelledError", client.call, "result", future)
    for msgid in asked:
        try:
            client.answer(msgid)
        except Exception as error:
            assert error.type in ("InvalidStateError", "CancelledError")
    eventually(lambda: client.call("ping", 1) == 1)
