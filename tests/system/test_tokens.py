"""Tokens: who may come over the network, and what becomes of those who may not."""
import os
import secrets
import time

import pytest

import rpc
from helpers import refused, sh
from rpc import RpcError
from tls_helper import Network, hello

NOT_ACCEPTED = "hello: token: not accepted (none, wrong, expired or revoked)"


@pytest.fixture
def net(launch):
    return Network(launch, listeners=("tcp",))


def turned_away(client, token):
    """Its hello is refused, and it is closed; the sentence."""
    error = refused("AuthenticationError", hello, client, token)
    client.await_close()
    return error["message"]


def test_a_right_token_is_its_name(net):
    token = net.tokens.add("ci")
    assert net.reload() == []
    client = net.tcp()
    greeting = hello(client, token)
    assert greeting["identity"] == "token:ci"
    future = client.call("submit", "shell", "echo", ["hi"])
    assert client.call("result", future)["stdout"] == b"hi\n"
    assert client.call("show", future)["owner"] == "token:ci"


def test_wrong_expired_revoked_and_absent_are_refused_in_the_same_words(net):
    right = net.tokens.add("right")
    expired = net.tokens.add("old", expires="2020-01-01")
    expired_moment = net.tokens.add("older", expires="2020-01-01T10:00:00Z")
    revoked = net.tokens.add("gone")
    net.reload()
    hello(net.tcp(), revoked)
    net.tokens.remove(revoked)
    net.reload()
    assert hello(net.tcp(), right)["identity"] == "token:right"  # the control: what is right is let in
    wrong = (secrets.token_hex(32), expired, expired_moment, revoked, None, "", right[:-1], right + "x", right.upper(), "x" * 4096)
    said = {turned_away(net.tcp(source="127.0.1.%d" % i), token) for i, token in enumerate(wrong, 1)}  # else each waits longer
    assert said == {NOT_ACCEPTED}


def test_a_call_before_hello_is_refused(net):
    for i, (method, params) in enumerate((("ping", [1]), ("submit", ["shell", "true"]), ("no such method", []), ("stats", [])), 1):
        client = net.tcp(source="127.0.1.%d" % i)
        error = refused("AuthenticationError", client.call, method, *params)
        assert error["message"] == "say hello first, and who you are"
        client.await_close()
    token = net.tokens.add("polite")
    net.reload()
    client = net.tcp()
    client.notify("introduced", "somebody")  # a notification is ignored, as ever
    hello(client, token)


def test_what_follows_a_refused_hello_is_not_done(net, tmp_path):
    mark = tmp_path / "mark"
    client = net.tcp()
    client.expect(1)
    client.send(rpc.request(1, "hello", {"protocol": 1, "token": "x" * 40}) + rpc.request(2, "submit", "shell", *sh("touch %s" % mark)))
    with pytest.raises(RpcError):
        client.answer(1)
    client.await_close()
    token = net.tokens.add("after")
    net.reload()
    with net.tcp(token) as later:
        assert later.call("call", "shell", *sh("echo done"))["stdout"] == b"done\n"
        assert later.call("list", {}) == []
    assert not mark.exists()


def test_a_revoked_token_loses_its_connections(net):
    kept, gone = net.tokens.add("kept"), net.tokens.add("gone")
    net.reload()
    stays, goes = net.tcp(kept), net.tcp(gone)
    net.tokens.remove(gone)
    net.reload()
    goes.await_close()
    assert stays.call("ping", 1) == 1


def test_a_token_that_expires_loses_its_connections(net):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    token = net.tokens.add("soon", expires=soon)
    net.reload()
    client = net.tcp(token)
    assert client.call("ping", 1) == 1
    client.await_close()
    assert "the token of token:soon has expired" in net.daemon.log()


def test_two_tokens_of_one_name_are_one_principal(net):
    old, new = net.tokens.add("ci"), net.tokens.add("ci")
    net.reload()
    with net.tcp(old) as client:
        future = client.call("submit", "shell", "true", [])
    net.tokens.remove(old)
    net.reload()
    with net.tcp(new) as client:
        assert client.call("result", future)["exit"] == 0


def test_nobody_turns_into_somebody_else(net):
    one, two = net.tokens.add("one"), net.tokens.add("two")
    net.reload()
    client = net.tcp(one)
    assert hello(client, one)["identity"] == "token:one"
    assert turned_away(client, two) == NOT_ACCEPTED


@pytest.mark.parametrize("line, why", [
    ("ci user never sha256:" + "0" * 63, "expected a hash"),
    ("ci user never md5:" + "0" * 64, "expected a hash"),
    ("ci user never " + "a" * 64, "expected a hash"),
    ("ci root never sha256:" + "0" * 64, "expected a role"),
    ("ci user tomorrow sha256:" + "0" * 64, "expected an expiry"),
    ("ci user never", "expected NAME ROLE EXPIRES HASH"),
    ("ci user never sha256:%s more" % ("0" * 64), "expected NAME ROLE EXPIRES HASH"),
    ("c;i user never sha256:" + "0" * 64, "expected a name"),
    ("x" * 65 + " user never sha256:" + "0" * 64, "expected a name"),
    ("a user never sha256:%s\nb user never sha256:%s" % ("0" * 64, "0" * 64), "expected each hash once"),
    ("a user never sha256:%s\na admin never sha256:%s" % ("0" * 64, "1" * 64), "expected the same role"),
    ("a\0b", "expected text"),
])
def test_a_mistake_in_the_file_changes_nothing(net, line, why):
    token = net.tokens.add("ci")
    net.reload()
    with open(net.tokens.path, "w") as f:
        f.write("\n" + line + "\n")
    message = refused("ValueError", net.reload)["message"]
    assert why in message and net.tokens.path in message
    assert hello(net.tcp(), token)["identity"] == "token:ci"


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(net, mode):
    os.chmod(net.tokens.path, mode)
    assert "expected a file that" in refused("ValueError", net.reload)["message"]


def test_a_secret_is_never_logged(launch):
    net = Network(launch, listeners=("tcp",), log={"level": "debug"})
    right, wrong = net.tokens.add("ci"), secrets.token_hex(32)
    net.reload()
    hello(net.tcp(), right)
    turned_away(net.tcp(), wrong)
    log = net.daemon.log()
    assert "is token:ci, user" in log and "refused: a token that is none of ours" in log
    assert right not in log and wrong not in log


def test_whoever_fails_again_waits_longer(net):
    """Nothing is timed but what must have taken long: the third answer waits 800 ms."""
    for _ in range(2):
        turned_away(net.tcp(), "x" * 40)
    before = time.monotonic()
    turned_away(net.tcp(), "x" * 40)
    assert time.monotonic() - before >= 0.75
    token = net.tokens.add("ci")
    net.reload()
    before = time.monotonic()
    hello(net.tcp(), token)  # and who is right does not wait
    assert "refused: a token that is none of ours" in net.daemon.log()
    lines = net.daemon.log().count("refused: ")
    assert 1 <= lines <= 3


def test_a_unix_socket_needs_no_token(net):
    with net.admin() as client:
        assert client.call("ping", 1) == 1
        assert hello(client, "whatever")["identity"] == "uid:%d" % os.getuid()


def test_who_says_nothing_is_closed_in_time(launch):
    net = Network(launch, listeners=("tcp",), limits={"hello_timeout": "300ms"})
    token = net.tokens.add("ci")
    net.reload()
    known, silent, slow = net.tcp(token), net.tcp(), net.tcp()
    slow.send(rpc.request(1, "hello", {"protocol": 1, "token": token})[:-1])
    silent.await_close()
    slow.await_close()
    assert known.call("ping", 1) == 1
    assert "limits.hello_timeout" in net.daemon.log()


def test_too_many_unknown_ones_end_the_oldest(launch):
    net = Network(launch, listeners=("tcp",), limits={"unauthenticated": 3})
    token = net.tokens.add("ci")
    net.reload()
    known = [net.tcp(token) for _ in range(5)]
    unknown = [net.tcp() for _ in range(3)]
    unknown.append(net.tcp())
    unknown[0].await_close()
    for client in known:
        assert client.call("ping", 1) == 1
    hello(unknown[1], token)
    hello(unknown[3], token)
    assert "limits.unauthenticated" in net.daemon.log()


def test_a_flood_from_one_address_leaves_those_of_others_alone(launch):
    net = Network(launch, listeners=("tcp",), limits={"unauthenticated": 8})
    token = net.tokens.add("ci")
    net.reload()
    first = net.tcp(source="127.0.0.1")
    flood = [net.tcp(source="127.0.0.9") for _ in range(50)]
    flood[0].await_close()
    flood[40].await_close()
    assert hello(first, token)["identity"] == "token:ci"


def test_an_idle_connection_is_closed_unless_it_waits(launch, tmp_path):
    net = Network(launch, listeners=("tcp",), limits={"idle_timeout": "100ms"})
    token = net.tokens.add("ci")
    net.reload()
    gate = net.daemon.gate()
    idle, waits = net.tcp(token), net.tcp(token)
    future = waits.call("submit", "shell", *gate.task())
    asked = waits.request("result", future)
    idle.await_close()
    gate.open()
    assert waits.answer(asked)["exit"] == 0


def test_a_stranger_cannot_make_us_keep_much(net):
    """Before hello, a message has 16 KiB."""
    client = net.tcp()
    client.send(rpc.request(1, "hello", {"protocol": 1, "token": "x" * 20000}))
    assert client.await_protocol_error()["message"]
