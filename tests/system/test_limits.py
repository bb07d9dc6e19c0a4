"""Limits: the named error at limit + 1, and room again afterwards."""
import os

import pytest

import rpc
from helpers import Closed, eventually, refused, sh
from kinds import LUA, POOLS
from rpc import ref, request


@pytest.mark.config(limits={"connections": 5})
def test_connections(daemon):
    eventually(lambda: daemon.client().call("stats")["connections"] <= 2)
    for c in daemon.clients:
        c.close()
    crowd = []

    def five():
        while len(crowd) < 5:
            c = daemon.client()
            try:
                c.call("ping")
            except (Closed, rpc.RpcError):
                return False
            crowd.append(c)
        return True
    eventually(five)
    sixth = rpc.open_socket(daemon.address)
    try:
        sixth.sendall(rpc.request(1, "ping", "answered"))
        data = sixth.recv(4096)
        while data:
            assert b"answered" not in data
            data = sixth.recv(4096)
    except (BrokenPipeError, ConnectionResetError):
        pass
    sixth.close()
    for c in crowd:
        assert c.call("ping", 1) == 1
    crowd.pop().close()
    eventually(five)


@pytest.mark.config(limits={"requests": 10})
def test_unfinished_requests_of_a_connection(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo x"))
    asked = [client.request("result", future) for _ in range(10)]
    refused("LimitError", client.call, "result", future)
    assert daemon.client().call("ping", 1) == 1
    gate.open()
    assert [client.answer(m)["stdout"] for m in asked] == [b"x\n"] * 10
    assert client.call("result", future)["stdout"] == b"x\n"


@pytest.mark.config(limits={"requests": 10})
def test_outputs_that_a_connection_follows(daemon, client, gate):
    """One may follow an output twice, and so any number of times."""
    future = client.call("submit", "shell", *gate.task("echo x"))
    for _ in range(10):
        client.call("output", future, {"follow": True, "stream": "both"})
    assert "limits.requests" in refused("LimitError", client.call, "output", future, {"follow": True})["message"]
    assert client.call("output", future) == b"" and daemon.client().call("output", future, {"follow": True}) == b""
    gate.open()
    ends = 0
    while ends < 20:  # of both streams
        ends += client.notification("output")[4]
    client.call("output", future, {"follow": True})


@pytest.mark.config(limits={"requests": 1})
@pytest.mark.parametrize("options", [{"bound": False}, {"key": "k"}, {}], ids=repr)
def test_a_call_too_many_does_nothing(daemon, client, gate, options):
    """It was refused, and the task ran all the same, for nobody."""
    other, log = daemon.client(), daemon.path("log")
    client.request("result", client.call("submit", "one", *gate.task()))
    refused("LimitError", client.call, "call", "shell", *sh("echo ran >>%s" % log), {"name": "too many", **options})
    assert other.call("call", "shell", "true")["exit"] == 0
    assert not os.path.exists(log) and other.call("list", {"name": "too many"}) == []
    gate.open()


@pytest.mark.config(limits={"memory": "2MiB"})
def test_bytes_held(daemon, client):
    client.call("pause", "shell")

    def fill():
        for _ in range(100):
            client.call("submit", "shell", "true", [b"x" * 100000])
    error = refused(("LimitError", "QueueFullError"), fill)
    assert error["message"]
    ids = [m["id"] for m in client.call("list")]
    assert 10 <= len(ids) <= 25
    client.call("cancel", ids)
    client.call("release", ids)
    assert client.call("submit", "shell", "true", [b"x" * 100000])


@pytest.mark.config(limits={"message": "64KiB"})
def test_a_result_beyond_the_largest_message_fails_the_task(daemon, client):
    future = client.call("submit", "shell", *sh("head -c 100000 /dev/zero"))
    refused("ValueError", client.call, "result", future)
    assert client.call("call", "shell", *sh("head -c 1000 /dev/zero"))["stdout"] == b"\0" * 1000


@pytest.mark.parametrize("message", ["1KiB", "4KiB"])
def test_a_small_message_is_enough_for_workers(launch, message):
    """They were told of it, found it too small, and their pool was broken."""
    client = launch({"limits": {"message": message}, "pools": {"lua": {**LUA, "workers": 1}}}).client()
    assert client.call("call", "shell", "echo", ["x"])["stdout"] == b"x\n"
    assert client.call("call", "lua", "add", [1, 2]) == 3


@pytest.mark.config(limits={"message": "64KiB"}, pools=POOLS)
@pytest.mark.parametrize("pool, fn", [("shell", "true"), ("cpu", "noop"), ("io", "noop"), ("lua", "noop"), ("toy", "len")])
def test_what_a_client_may_send_a_worker_takes(daemon, client, pool, fn):
    """A worker for commands ended at a run message longer than that, the next one too, and so on for ever: nothing else ran in the pool."""
    def asked(size, field):
        return (pool, fn, [b"x" * size]) if field == "args" else (pool, fn, [], {field: b"x" * size})
    for field in ("args", "stdin") if pool == "shell" else ("args",):
        around = len(request(1000, "submit", *asked(SMALL - 1000, field))) - (SMALL - 1000)
        for less in (0, 1, 100):
            client.next_msgid = 1000
            future = client.call("submit", *asked(SMALL - around - less, field))
            assert client.call("wait", [future], "ALL_COMPLETED", 5)["done"] == [future]
            assert client.call("show", future)["attempt"] == 1
    assert client.call("show", client.call("submit", pool, fn, [b"x"]))


@pytest.mark.config(limits={"message": "64KiB"})
def test_references_that_add_up_beyond_what_a_worker_takes_fail_the_task(daemon, client):
    source = client.call("submit", "shell", *sh("head -c 65300 /dev/zero | tr '\\0' x"))
    client.call("wait", [source])
    error = refused("ValueError", client.call, "call", "shell", "true", [ref(source)], {"stdin": ref(source)})
    assert "65536" in error["message"]
    assert client.call("call", "shell", *sh("wc -c"), {"stdin": ref(source)})["stdout"] == b"65300\n"


@pytest.mark.config(limits={"message": "64KiB"})
@pytest.mark.parametrize("reads", [True, False])
def test_input_of_any_length_is_taken(daemon, client, gate, reads):
    """What came before the task ran was given to the worker in pieces too large for it, or more than it may have waiting."""
    client.call("pause", "one")
    future = client.call("submit", "one", *sh("wc -c") if reads else gate.task("echo well"), {"stdin": True})
    asked = [client.request("input", future, b"x" * 60000, {"eof": n == 9}) for n in range(10)]
    client.call("resume", "one")
    if not reads:
        gate.await_start()
        gate.open()
    assert client.call("result", future)["stdout"] == (b"600000\n" if reads else b"well\n")
    assert client.call("show", future)["attempt"] == 1
    for msgid in asked:
        client.answer(msgid)


SMALL = 65536


def fits(value):
    assert len(rpc.pack([1, 2**32 - 1, value, None])) <= SMALL
    return value


@pytest.mark.config(limits={"message": "64KiB"})
def test_what_a_failed_command_printed_is_cut_where_it_does_not_fit_a_message(daemon, client):
    """The error was said whole, in a message larger than any may be, at which clients hang up."""
    future = client.call("submit", "shell", *sh("head -c 100000 /dev/zero; echo oops >&2; exit 3"))
    client.call("wait", [future])
    error = fits(refused("ExitError", client.call, "result", future))
    assert (error["exit"], error["stdout"], error["stdout_cut"], error["stderr"], error["stderr_cut"]) == (3, b"", 100000, b"", 5)
    assert client.call("output", future) == b"\0" * 100000
    assert client.call("output", future, {"stream": "stderr"}) == b"oops\n"
    for size in range(65000, 65600, 50):
        fits(refused("ExitError", client.call, "call", "shell", *sh("head -c %d /dev/zero; exit 3" % size)))


@pytest.mark.config(limits={"message": "64KiB"}, pools={"lua": {**LUA, "workers": 1}})
def test_an_error_around_the_largest_message_fits_one_wherever_it_is_said(daemon, client):
    kinds = set()
    for size in list(range(65300, 65480, 12)) + [20000, 30000]:
        source = client.call("submit", "lua", "fail", ["x" * size])
        waits = client.call("submit", "lua", "add", [1, 2], {"after": [source]})
        client.call("wait", [source, waits])
        error = fits(refused(("CustomError", "ValueError"), client.call, "result", source))
        kinds.add(error["type"])
        cause = fits(refused("DependencyError", client.call, "result", waits))["cause"]
        assert [cause[key] for key in ("type", "message", "future")] == [error[key] for key in ("type", "message", "future")]
        assert fits(client.call("show", source))["error"]["type"] == error["type"]
        assert client.call("result", client.call("submit", "lua", "add", [1, 2])) == 3
    assert kinds == {"CustomError", "ValueError"}


@pytest.mark.config(limits={"message": "64KiB"}, pools={"lua": {**LUA, "workers": 1}})
def test_failures_with_long_errors_fit_a_message(daemon, client):
    ids = [client.call("submit", "lua", "fail", ["x" * size]) for size in (20000, 10000, 64000, 15000, 16000)]
    client.call("wait", ids)
    listed = fits(client.call("failures"))
    assert [m["id"] for m in listed] == ids[:len(listed)] and len(listed) >= 3
    assert all(m["error"]["message"] == "it was me" for m in listed)


def test_an_error_names_the_limit_and_its_value(launch):
    client = launch({"limits": {"requests": 3}}).client()
    client.call("pause", "shell")
    future = client.call("submit", "shell", "true")
    for _ in range(3):
        client.request("result", future)
    assert "3" in refused("LimitError", client.call, "result", future)["message"]


@pytest.mark.config(limits={"message": "4KiB"})
def test_large_answers_do_not_break_a_small_message_limit(daemon, client):
    """list and state may say more than one message holds: then it is an error that says so, or fewer entries."""
    client.call("pause", "shell")
    first, count = client.call("map", "shell", "true", [[]] * 1000)
    for call in (("list",), ("state", [[first, count]]), ("wait", [[first, count]], None, 0)):
        try:
            client.call(*call)
        except rpc.RpcError as error:
            assert error.type in ("ValueError", "LimitError")
    assert client.call("ping", 1) == 1
