"""Tokens and certificates as principals, beside each other and beside users; and what a store remembers of all of them."""
import pytest

import rpc
from helpers import eventually, refused, sh
from people import ANN, BOB, connect, launch_shared, needs_root
from tls_helper import Network, context, hello, issued

ALLOWED = {"pools": {
    "shell": {"kind": "command", "workers": 2},
    "builds": {"kind": "command", "workers": 1, "allow": ["token:ci"]},
    "renders": {"kind": "command", "workers": 1, "allow": ["cert:alice"]},
    "team": {"kind": "command", "workers": 1, "shared": True, "allow": ["token:ci", "token:viewer"]},
}}


@pytest.fixture
def net(launch):
    net = Network(launch, listeners=("tcp", "cert"), **ALLOWED)
    net.secrets = {name: net.tokens.add(name, role) for name, role in (
        ("ci", "user"), ("other", "user"), ("viewer", "read-only"), ("boss", "admin"), ("alice", "user"), ("root", "user"))}
    net.reload()
    return net


def pools(client):
    return {p["name"] for p in client.call("pools")}


def test_each_token_is_a_principal_of_its_own(net):
    ci, again, other, boss, root = (net.tcp(net.secrets[n]) for n in ("ci", "ci", "other", "boss", "ci"))
    future = ci.call("submit", "shell", "true")
    assert again.call("wait", [future])["done"] == [future], "another connection with the same token"
    assert refused("ExpiredFutureError", other.call, "show", future)["future"] == future
    assert boss.call("show", future)["owner"] == "token:ci"
    assert other.call("list") == []
    assert net.admin().call("show", future)["owner"] == "token:ci"


def test_a_token_and_a_certificate_of_one_name_are_two_principals(net):
    token = net.tcp(net.secrets["alice"])
    cert = net.tls(listener="cert", tls=context(cert=issued("alice")))
    hello(cert)
    mine = cert.call("submit", "shell", "true")
    refused("ExpiredFutureError", token.call, "show", mine)
    assert pools(cert) == {"shell", "one", "renders"} and pools(token) == {"shell", "one"}
    cert.call("call", "renders", "true")
    refused("PermissionError", token.call, "call", "renders", "true")


def test_a_token_that_is_called_like_a_user_is_none(net):
    """Names of principals say how they were known."""
    client = net.tcp(net.secrets["root"])
    assert hello(client, net.secrets["root"])["identity"] == "token:root"
    refused("PermissionError", client.call, "reload")
    root = net.admin()
    refused("ExpiredFutureError", client.call, "show", root.call("submit", "shell", "true"))


def test_pools_allow_tokens(net):
    ci, other, boss = (net.tcp(net.secrets[n]) for n in ("ci", "other", "boss"))
    ci.call("call", "builds", "true")
    refused("PermissionError", other.call, "submit", "builds", "true")
    assert "builds" not in pools(other) and "builds" in pools(ci) and "builds" in pools(boss)
    boss.call("call", "renders", "true")


def test_a_stolen_read_only_token_gets_what_is_shared_and_nothing_else(net):
    ci, viewer = net.tcp(net.secrets["ci"]), net.tcp(net.secrets["viewer"])
    private, shared = ci.call("submit", "shell", "true"), ci.call("submit", "team", "echo", ["x"])
    ci.call("wait", [private, shared])
    assert viewer.call("result", shared)["stdout"] == b"x\n"
    assert [m["id"] for m in viewer.call("list")] == [shared]
    refused("ExpiredFutureError", viewer.call, "show", private)
    for call in (("submit", "team", "true"), ("map", "team", "true", [[]]), ("call", "team", "true"), ("cancel", [shared]), ("release", [shared]), ("retry", [shared]),
                 ("input", shared, b""), ("open_pool", {"like": "team"}), ("close_pool", "team"), ("pause", "team"), ("resume", "team"), ("resize", "team", 1),
                 ("drain",), ("shutdown",), ("reload",), ("backup", "/tmp/x"), ("result", shared, 0, {"release": True})):
        refused("PermissionError", viewer.call, *call)
    assert ci.call("state", [private, shared]) == ["FINISHED", "FINISHED"]


def test_lists_of_the_configuration_name_tokens_and_certificates(launch):
    net = Network(launch, listeners=("tcp", "cert"), admins=["token:lifted", "cert:alice"], read_only=["token:lowered"])
    secrets = {name: net.tokens.add(name) for name in ("lifted", "lowered", "plain")}
    net.reload()
    net.tcp(secrets["lifted"]).call("reload")
    alice = net.tls(listener="cert", tls=context(cert=issued("alice")))
    hello(alice)
    alice.call("reload")
    assert "read-only" in refused("PermissionError", net.tcp(secrets["lowered"]).call, "submit", "shell", "true")["message"]
    refused("PermissionError", net.tcp(secrets["plain"]).call, "reload")


def test_a_token_has_its_own_bound_of_connections(launch):
    net = Network(launch, listeners=("tcp",), limits={"user": {"connections": 2}})
    first, second = net.tokens.add("first"), net.tokens.add("second")
    net.reload()
    crowd = [net.tcp(first) for _ in range(2)]
    above = net.tcp()
    assert "limits.user.connections" in refused("LimitError", hello, above, first)["message"]
    above.await_close()
    net.tcp(second).call("ping")
    assert hello(crowd[0], first)["identity"] == "token:first", "a second hello is no further connection"
    crowd.pop().close()

    def another():
        try:
            return net.tcp(first).call("ping", 1) == 1
        except (rpc.RpcError, rpc.Closed):
            return False
    eventually(another)


def test_a_task_of_a_tokens_speaks_for_it(net):
    ci = net.tcp(net.secrets["ci"])
    task = ci.call("submit", "shell", *sh("echo $FUTURED_TASK; read x"), {"stdin": True})
    secret = eventually(lambda: ci.call("output", task)).decode().strip()
    inside = net.daemon.client()
    assert inside.call("hello", {"protocol": 1, "task": secret})["identity"] == "token:ci"
    assert pools(inside) == pools(ci)
    refused("PermissionError", inside.call, "reload")
    ci.call("cancel", [task], {"running": "kill", "grace": 0})


@needs_root
def test_whose_a_future_is_outlives_the_daemon(launch):
    daemon = launch_shared(launch, {"store": "sqlite", "limits": {"user": {"pending": 3}}})
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    root.call("pause", "one")
    done = ann.call("submit", "shell", "echo", ["x"])
    ann.call("wait", [done])
    waiting = [ann.call("submit", "one", "sleep", ["1000"], {"key": "a"}), ann.call("submit", "one", "sleep", ["1000"]), ann.call("submit", "one", "sleep", ["1000"])]
    theirs = bob.call("submit", "one", "true", [], {"key": "a"})
    for c in daemon.clients:
        c.close()
    daemon.kill()
    daemon.expected_status = 0
    daemon.start()
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    root.call("pause", "one")
    assert ann.call("result", done)["stdout"] == b"x\n"
    refused("ExpiredFutureError", bob.call, "result", done)
    assert refused("ExpiredFutureError", bob.call, "cancel", [[done, 4]])["future"] == done
    assert {m["id"] for m in ann.call("list")} == {done, *waiting}
    assert {m["id"] for m in bob.call("list")} == {theirs}
    assert bob.call("submit", "one", "true", [], {"key": "a"}) == theirs
    assert ann.call("submit", "one", "true", [], {"key": "a"}) == waiting[0]
    held = ann.call("stats")
    assert sum(held["futures"].values()) == 4 and held["bytes"] > 0 and bob.call("stats")["futures"]["FINISHED"] + bob.call("stats")["futures"]["PENDING"] >= 1
    ann.call("cancel", waiting, {"running": "kill", "grace": 0})
