"""hello and ping: who is there."""
import time

import pytest

from helpers import refused
from rpc import ref

METHODS = {"hello", "ping", "submit", "map", "call", "result", "exception", "state", "wait", "watch", "unwatch", "cancel",
           "release", "list", "show", "output", "input", "pools", "pause", "resume", "resize", "open_pool", "close_pool",
           "retry", "events", "reload", "backup", "stats", "failures", "drain", "shutdown"}


def hello(client, **more):
    return client.call("hello", {"protocol": 1, "client": "test", **more})


def test_hello_tells_who_the_daemon_is(shared):
    answer = hello(shared)
    assert answer["protocol"] == 1
    assert isinstance(answer["server"], str) and answer["server"].startswith("futured/")
    assert isinstance(answer["instance"], str) and answer["instance"]
    assert "identity" in answer
    assert answer["limits"]["message"] == 64 << 20


def test_hello_lists_the_methods(shared):
    methods = hello(shared)["methods"]
    assert set(methods) >= METHODS - {"reload", "backup"}


def test_every_listed_method_is_one(shared):
    for method in hello(shared)["methods"]:
        if method != "shutdown":
            try:
                shared.call(method, 1, 2, 3, 4, 5, 6, 7)
            except Exception as error:
                assert error.type != "UnknownMethodError", method


def test_the_instance_stays_while_the_daemon_lives(shared_daemon, shared):
    assert hello(shared)["instance"] == hello(shared_daemon.client())["instance"]


def test_hello_is_optional_on_a_unix_socket(shared):
    assert shared.call("submit", "shell", "true") > 0


def test_hello_may_come_late_and_again(shared):
    shared.call("ping")
    assert hello(shared) == hello(shared)


def test_another_protocol_is_refused(shared):
    refused("ValueError", shared.call, "hello", {"protocol": 2, "client": "test"})


@pytest.mark.parametrize("params", [[7], ["x"], [[]], [{"protocol": "1", "client": "x"}], [{"protocol": 1.5, "client": "x"}],
                                    [{"protocol": 1, "client": 7}], [{"protocol": 1, "client": "x", "nosuch": 1}],
                                    [{"protocol": 1, "client": "x", "token": 7}], [{"protocol": 1, "client": "x", "task": 7}],
                                    [{"protocol": 1, "client": "x"}, 1]], ids=repr)
def test_a_bad_parameter_is_a_value_error(shared, params):
    refused("ValueError", shared.call, "hello", *params)


@pytest.mark.parametrize("value", [
    None, True, False, 0, 1, 127, 128, -1, -32, -33, 2**32, 2**53, 2**63, 2**64 - 1, -2**63, 0.5, -1e300, "", "text", "ü" * 100,
    "x" * 70000, b"", b"\0\xff" * 50, [], [1, [2, [3]]], list(range(40)), {}, {"a": {"b": [1]}}, {1: 2, None: 3, b"k": "v"},
    ref(7)], ids=lambda v: repr(v)[:30])
def test_ping_gives_back_the_same_value(shared, value):
    answer = shared.call("ping", value)
    assert answer == value and type(answer) is type(value)


def test_ping_of_nothing_is_nil(shared):
    assert shared.call("ping") is None


def test_the_client_may_stay_nameless(shared):
    assert shared.call("hello", {"protocol": 1})["protocol"] == 1


def test_protocol_is_required(shared):
    refused("ValueError", shared.call, "hello", {"client": "x"})
    refused("ValueError", shared.call, "hello")


def test_a_task_that_nobody_runs_is_an_authentication_error(shared):
    refused("AuthenticationError", shared.call, "hello", {"protocol": 1, "task": "nobody's secret"})


def test_a_running_task_introduces_itself_with_its_secret(daemon, client):
    future = client.call("submit", "shell", "/bin/sh", ["-c", "echo $FUTURED_TASK; read x"], {"stdin": True})
    client.call("output", future, {"follow": True})
    secret = client.notification("output")[3].decode().strip()
    assert secret
    assert hello(daemon.client(), task=secret)["protocol"] == 1
    client.call("input", future, b"go\n", {"eof": True})
    client.call("wait", [future])
    refused("AuthenticationError", hello, daemon.client(), task=secret)


def test_ping_takes_one_value(shared):
    refused("ValueError", shared.call, "ping", 1, 2)


def test_ping_gives_back_the_very_bytes(shared_daemon):
    """Odd encodings pass through as they came."""
    import rpc
    client = shared_daemon.client()
    odd = b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05"
    sock = rpc.open_socket(shared_daemon.address)
    sock.sendall(b"\x94\x00\x07\xa4ping\x91" + odd)
    data = b""
    while len(data) < 13:
        data += sock.recv(100)
    assert data.endswith(odd)
    sock.close()
    client.close()


def test_a_thousand_pings_take_no_time(shared):
    begun = time.monotonic()
    for n in range(1000):
        assert shared.call("ping", n) == n
    assert time.monotonic() - begun < 10


def test_an_unknown_method_is_named(shared):
    assert "nosuch" in refused("UnknownMethodError", shared.call, "nosuch")["message"]
    assert shared.call("ping", 1) == 1


def test_a_method_that_begins_like_another_is_unknown(shared):
    for method in ("", "pin", "pingg", "PING", "ping ", "p\0ing"):
        refused("UnknownMethodError", shared.call, method)
