"""Every verb, by every kind of principal, on every kind of object: each cell is what the table says, no more and no less.

The principals are real users of the machine: ANN owns the object, BOB is another user, MONITOR is read-only, BOSS an admin. The table's
columns are in that order: boss, ann, bob, monitor."""
import os

import pytest

import rpc
from helpers import refused, sh
from people import ANN, BOB, BOSS, GUESTS, MONITOR, STAFF, connect, launch_shared, needs_root

pytestmark = needs_root

CONFIG = {
    "pools": {
        "shell": {"kind": "command", "workers": 2},
        "held": {"kind": "command", "workers": 1},
        "team": {"kind": "command", "workers": 2, "shared": True},
        "bobs": {"kind": "command", "workers": 1, "allow": [BOB, MONITOR]},
    },
}
PEOPLE = (BOSS, ANN, BOB, MONITOR)

# Outcomes: ok; a type of error, shortened; or a value.
OK, GONE, NO, ROLE, UNKNOWN, NO_POOL, VALUE, STATE, HOLDS = "ok", "Expired", "Permission", "Permission", "UnknownFuture", "UnknownPool", "Value", "InvalidState", "ok"

LOOK = {  # each applies to one future
    "result": lambda f: ("result", f, 0),
    "exception": lambda f: ("exception", f, 0),
    "state": lambda f: ("state", [f]),
    "wait": lambda f: ("wait", [f], "ALL_COMPLETED", 0),
    "watch": lambda f: ("watch", [f]),
    "unwatch": lambda f: ("unwatch", [f]),
    "show": lambda f: ("show", f),
    "output": lambda f: ("output", f),
}
USE = {  # a submit that names it
    "submit after": lambda f: ("submit", "shell", "true", [], {"after": [f]}),
    "submit args": lambda f: ("submit", "shell", "true", [rpc.ref(f)]),
    "submit stdin": lambda f: ("submit", "shell", "true", [], {"stdin": rpc.ref(f)}),
    "map after": lambda f: ("map", "shell", "true", [[]], {"after": [f]}),
    "map args": lambda f: ("map", "shell", "true", [[rpc.ref(f)]]),
    "call args": lambda f: ("call", "shell", "true", [rpc.ref(f)]),
}
CHANGE = {
    "cancel": lambda f: ("cancel", [f]),
    "retry": lambda f: ("retry", [f]),
    "result release": lambda f: ("result", f, 0, {"release": True}),
}
FUTURES = [
    # verbs, object, and what each principal gets
    (LOOK, "private", (OK, OK, GONE, GONE)),
    (USE, "private", (OK, OK, GONE, ROLE)),
    (CHANGE, "private", (OK, OK, GONE, {"cancel": ROLE, "retry": ROLE, "result release": GONE})),
    (LOOK, "shared", (OK, OK, OK, OK)),
    (USE, "shared", (OK, OK, OK, ROLE)),
    (CHANGE, "shared", (OK, OK, NO, NO)),
    (LOOK, "expired", (GONE, GONE, GONE, GONE)),
    (USE, "expired", (GONE, GONE, GONE, ROLE)),
    (CHANGE, "expired", (GONE, GONE, GONE, {"cancel": ROLE, "retry": ROLE, "result release": GONE})),
    (LOOK, "unknown", (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)),
    (USE, "unknown", (UNKNOWN, UNKNOWN, UNKNOWN, ROLE)),
    (CHANGE, "unknown", (UNKNOWN, UNKNOWN, UNKNOWN, {"cancel": ROLE, "retry": ROLE, "result release": UNKNOWN})),
    ({"release": lambda f: ("release", [f])}, "private", (1, 1, 0, ROLE)),
    ({"release": lambda f: ("release", [f])}, "shared", (1, 1, NO, ROLE)),
    ({"release": lambda f: ("release", [f])}, "expired", (0, 0, 0, ROLE)),
    ({"release": lambda f: ("release", [f])}, "unknown", (UNKNOWN, UNKNOWN, UNKNOWN, ROLE)),
    ({"cancel": lambda f: ("cancel", [f])}, "pending", ([True], [True], GONE, ROLE)),
    ({"input": lambda f: ("input", f, b"", {"eof": True})}, "fed", (OK, OK, GONE, ROLE)),
]
POOLS = {
    "submit": lambda p: ("submit", p, "true"),
    "map": lambda p: ("map", p, "true", [[], []]),
    "map of nothing": lambda p: ("map", p, "true", []),
    "call": lambda p: ("call", p, "true"),
    "open_pool": lambda p: ("open_pool", {"like": p}),
    "events": lambda p: ("events", {"pool": p}),
    "pause": lambda p: ("pause", p),
    "resume": lambda p: ("resume", p),
    "resize": lambda p: ("resize", p, 2),
    "drain": lambda p: ("drain", 5, {"pool": p}),
    "close_pool": lambda p: ("close_pool", p),
}
SUBMITS = ("submit", "map", "map of nothing", "call", "open_pool")
MANAGES = ("pause", "resume", "resize", "drain")
ON_POOLS = [
    (SUBMITS, "shell", (OK, OK, OK, ROLE)),
    (SUBMITS, "bobs", (OK, NO, OK, ROLE)),
    (SUBMITS, "anns", (OK, OK, NO_POOL, ROLE)),
    (SUBMITS, "nosuch", (NO_POOL, NO_POOL, NO_POOL, ROLE)),
    (MANAGES, "shell", (OK, NO, NO, ROLE)),
    (MANAGES, "bobs", (OK, NO, NO, ROLE)),
    (MANAGES, "anns", (OK, OK, NO_POOL, ROLE)),
    (MANAGES, "nosuch", (NO_POOL, NO_POOL, NO_POOL, ROLE)),
    (("events",), "shell", (OK, OK, OK, OK)),
    (("events",), "anns", (OK, OK, NO_POOL, NO_POOL)),
    (("close_pool",), "shell", (VALUE, VALUE, VALUE, ROLE)),
    (("close_pool",), "anns", (OK, OK, NO_POOL, ROLE)),
]
DAEMON = {  # the daemon itself; reload and shutdown in this order, last
    "ping": (("ping",), (OK, OK, OK, OK)),
    "hello": (("hello", {"protocol": 1}), (OK, OK, OK, OK)),
    "pools": (("pools",), (OK, OK, OK, OK)),
    "list": (("list",), (OK, OK, OK, OK)),
    "failures": (("failures",), (OK, OK, OK, OK)),
    "failures seen": (("failures", {"seen": True}), (OK, OK, OK, OK)),
    "stats": (("stats",), (OK, OK, OK, OK)),
    "events": (("events",), (OK, OK, OK, OK)),
    "state of none": (("state", []), (OK, OK, OK, OK)),
    "drain all": (("drain", 5), (OK, NO, NO, ROLE)),
    "backup": (("backup", "/nonexistent/x"), (("Unsupported", "Value", "Store"), ROLE, ROLE, ROLE)),
    "reload": (("reload",), (OK, ROLE, ROLE, ROLE)),
    "config": (("config",), (OK, ROLE, ROLE, ROLE)),
}


@pytest.fixture(scope="module")
def house():
    from conftest import FLEET
    started = []

    def launch(*layers, **keys):
        started.append(FLEET.launch(*layers, **keys))
        return started[-1]
    daemon = launch_shared(launch, CONFIG)
    yield daemon
    wrong = FLEET.land(started)
    assert not wrong, "; ".join(wrong)


@pytest.fixture(scope="module")
def people(house):
    clients = {uid: connect(house, uid) for uid in PEOPLE}
    clients[BOSS].call("pause", "held")
    return clients


def made(people, what):
    """A fresh object of that kind, ANN's where it has an owner."""
    ann = people[ANN]
    if what == "unknown":
        return 2**50
    if what == "pending":
        return ann.call("submit", "held", "true")
    if what == "fed":
        return ann.call("submit", "shell", "cat", [], {"stdin": True})
    if what == "anns":
        return ann.call("open_pool", {"like": "shell", "workers": 1})
    if what in ("shell", "bobs", "nosuch"):
        return what
    future = ann.call("submit", "team" if what == "shared" else "shell", "true")
    ann.call("wait", [future])
    if what == "expired":
        ann.call("release", [future])
    return future


def outcome(client, call):
    try:
        return client.call(*call)
    except rpc.RpcError as error:
        return error


def check(got, expected):
    if isinstance(expected, tuple):
        assert isinstance(got, rpc.RpcError) and got.type in [e + "Error" for e in expected], got
    elif isinstance(expected, str) and expected != OK:
        assert isinstance(got, rpc.RpcError) and got.type in (expected + "Error", expected + "FutureError"), got
    elif expected == OK:
        assert not isinstance(got, rpc.RpcError), got.error
    else:
        assert got == expected


def future_cells():
    for verbs, what, row in FUTURES:
        for verb, call in verbs.items():
            for uid, expected in zip(PEOPLE, row):
                yield pytest.param(call, what, uid, expected[verb] if isinstance(expected, dict) else expected, id="%s-%s-%d" % (verb, what, uid))


@pytest.mark.parametrize("call, what, uid, expected", future_cells())
def test_verbs_on_futures(people, call, what, uid, expected):
    future = made(people, what)
    check(outcome(people[uid], call(future)), expected)
    if what == "fed":
        people[ANN].call("cancel", [future], {"running": "kill", "grace": 0})


def pool_cells():
    for verbs, what, row in ON_POOLS:
        for verb in verbs:
            for uid, expected in zip(PEOPLE, row):
                yield pytest.param(POOLS[verb], what, uid, expected, id="%s-%s-%d" % (verb, what, uid))


@pytest.mark.parametrize("call, what, uid, expected", pool_cells())
def test_verbs_on_pools(people, call, what, uid, expected):
    pool = made(people, what)
    got = outcome(people[uid], call(pool))
    check(got, expected)
    boss = people[BOSS]
    if isinstance(got, str):  # an opened one
        boss.call("close_pool", got)
    if what == "anns" and any(p["name"] == pool for p in boss.call("pools")):
        boss.call("close_pool", pool, {"cancel_futures": True})
    elif what in ("shell", "bobs"):
        boss.call("resume", pool)
        boss.call("resize", pool, 2)


@pytest.mark.parametrize("verb, uid", [(v, uid) for v in DAEMON for uid in PEOPLE])
def test_verbs_on_the_daemon(people, verb, uid):
    call, row = DAEMON[verb]
    check(outcome(people[uid], call), row[PEOPLE.index(uid)])


@pytest.mark.parametrize("uid", [ANN, BOB, MONITOR])
def test_nobody_but_an_admin_ends_the_daemon(people, uid):
    check(outcome(people[uid], ("shutdown", {"wait": False})), ROLE)
    check(outcome(people[BOSS], ("ping",)), OK)


def test_no_verb_is_left_out(people):
    said = set(people[BOSS].call("hello", {"protocol": 1})["methods"])
    calls = [call(1)[0] for verbs, _, _ in FUTURES for call in verbs.values()]
    calls += [POOLS[v]("x")[0] for verbs, _, _ in ON_POOLS for v in verbs] + [call[0] for call, _ in DAEMON.values()] + ["shutdown"]
    assert said == set(calls)


def test_control_a_wrong_table_is_caught():
    """The same check, told that everybody may do everything, as was once so."""
    for got in (rpc.RpcError({"type": "ExpiredFutureError", "message": "x"}), rpc.RpcError({"type": "PermissionError", "message": "x"})):
        with pytest.raises(AssertionError):
            check(got, OK)
    for expected in (GONE, NO, UNKNOWN, NO_POOL, ("Unsupported", "Value"), 0):
        with pytest.raises(AssertionError):
            check(1, expected)
    with pytest.raises(AssertionError):
        check(rpc.RpcError({"type": "PermissionError", "message": "x"}), GONE)


# ---- lists ----

def test_pools_that_may_not_be_used_are_not_listed(people):
    def names(uid):
        return {p["name"] for p in people[uid].call("pools")}
    assert names(BOSS) == {"shell", "held", "team", "bobs", "one"} == names(BOB) == names(MONITOR)
    assert names(ANN) == {"shell", "held", "team", "one"}


def test_the_shared_pools_futures_are_in_everybodys_lists(people):
    future = made(people, "shared")
    private = made(people, "private")
    for uid in PEOPLE:
        ids = [m["id"] for m in people[uid].call("list", {"pool": "team"})]
        assert future in ids
    for uid in (BOB, MONITOR):
        assert private not in [m["id"] for m in people[uid].call("list")]


def test_environment_and_key_are_shown_to_nobody_else(people):
    """A shared pool's futures may be looked at; what their submits brought beside their arguments is mostly secret."""
    ann, bob, boss, monitor = (people[uid] for uid in (ANN, BOB, BOSS, MONITOR))
    future = ann.call("submit", "team", "true", [], {"env": {"TOKEN": "secret"}, "key": "hers"})
    for who in (ann, boss):
        shown = who.call("show", future)
        assert (shown["env"], shown["key"]) == ({"TOKEN": "secret"}, "hers")
    for who in (bob, monitor):
        shown = who.call("show", future)
        assert (shown["env"], shown["key"], shown["cwd"]) == (None, None, "/")
        assert "secret" not in repr(shown)


def test_whoever_may_not_use_a_shared_pool_does_not_see_into_it(launch):
    daemon = launch_shared(launch, {"pools": {"team": {"kind": "command", "shared": True, "allow": ["group:%d" % STAFF]}}})
    ann, bob, guest = connect(daemon, ANN, [STAFF]), connect(daemon, BOB, [STAFF]), connect(daemon, BOB, [GUESTS])
    future = ann.call("submit", "team", "true")
    assert bob.call("wait", [future])["done"] == [future]
    refused("ExpiredFutureError", guest.call, "wait", [future])
    assert guest.call("list") == [] and len(bob.call("list")) == 1
    refused("PermissionError", guest.call, "submit", "team", "true")
    assert "team" in [p["name"] for p in bob.call("pools")] and "team" not in [p["name"] for p in guest.call("pools")]


# ---- allowances ----

def test_command_pools_exec_and_open_pool_have_allowances_of_their_own(launch):
    daemon = launch_shared(launch, {
        "allow": {"commands": [ANN], "exec": [BOB], "open_pool": [BOB]},
        "pools": {"lua": {"kind": "interpreter", "workers": 1}, "shell": {"kind": "command", "workers": 1}},
    })
    ann, bob, root = connect(daemon, ANN), connect(daemon, BOB), connect(daemon, 0)
    ann.call("call", "shell", "true")
    assert "allow.commands" in refused("PermissionError", bob.call, "call", "shell", "true")["message"]
    assert bob.call("call", "lua", "eval", ["6 * 7"]) == 42
    assert "allow.exec" in refused("PermissionError", ann.call, "call", "lua", "eval", ["6 * 7"])["message"]
    assert "allow.open_pool" in refused("PermissionError", ann.call, "open_pool", {"like": "shell"})["message"]
    refused("PermissionError", bob.call, "open_pool", {"like": "shell"})
    pool = bob.call("open_pool", {"like": "lua"})
    assert bob.call("call", pool, "eval", ["1"]) == 1
    for call in (("call", "shell", "true"), ("call", "lua", "eval", ["1"]), ("open_pool", {"like": "shell"})):
        root.call(*call)


def test_an_allowance_taken_away_by_a_reload_holds_for_connections_that_are_there(launch):
    daemon = launch_shared(launch, {"pools": {"shell": {"kind": "command", "allow": [ANN]}}})
    ann, root = connect(daemon, ANN), connect(daemon, 0)
    future = ann.call("submit", "shell", "true")
    ann.call("wait", [future])
    text = open(daemon.config_path).read()
    with open(daemon.config_path, "w") as f:
        f.write(text.replace("allow: [%d]" % ANN, "allow: [%d]" % BOB))
    root.call("reload")
    refused("PermissionError", ann.call, "submit", "shell", "true")
    refused("PermissionError", ann.call, "retry", [future])
    assert ann.call("result", future)["exit"] == 0
    connect(daemon, BOB).call("submit", "shell", "true")


# ---- options that would escape a pool's settings ----

OPTIONS = {"cwd": "/tmp", "env": {"A": "1"}, "umask": 0o77, "nice": 5, "limits": {"files": 20}, "stdin": b"x"}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("verb", ["submit", "map", "call"])
def test_a_locked_option_is_refused_to_all(launch, verb, option):
    daemon = launch_shared(launch, {"pools": {"shell": {"kind": "command", "lock": [option], "env": {"A": "pool"}, "cwd": "/usr"}}})
    for uid in (0, ANN):
        client = connect(daemon, uid)
        args = [[]] if verb == "map" else []
        assert option in refused("PermissionError", client.call, verb, "shell", "true", args, {option: OPTIONS[option]})["message"]
        client.call(verb, "shell", "true", args, {o: v for o, v in OPTIONS.items() if o != option})
        assert client.call("call", "shell", *sh("pwd; echo $A"))["stdout"] == b"/usr\npool\n"
        pool = client.call("open_pool", {"like": "shell"})
        refused("PermissionError", client.call, "submit", pool, "true", [], {option: OPTIONS[option]})
        client.call("close_pool", pool)


def test_a_priority_above_the_pools_is_for_admins(launch):
    daemon = launch_shared(launch, {"pools": {"shell": {"kind": "command", "workers": 1, "max_priority": 5}}})
    ann, root = connect(daemon, ANN), connect(daemon, 0)
    for priority in (-32768, 4, 5):
        ann.call("submit", "shell", "true", [], {"priority": priority})
    for verb, args in (("submit", []), ("map", [[]]), ("call", [])):
        assert "5" in refused("PermissionError", ann.call, verb, "shell", "true", args, {"priority": 6})["message"]
    pool = ann.call("open_pool", {"like": "shell"})
    refused("PermissionError", ann.call, "submit", pool, "true", [], {"priority": 6})
    root.call("submit", "shell", "true", [], {"priority": 32767})


# ---- what a pool's settings say after a reload ----

STRICT = {"kind": "command", "workers": 1, "lock": ["cwd", "env", "stdin"], "cwd": "/tmp", "env": {"A": "pool"}, "limits": {"files": 100}, "umask": "0077",
          "nice": 5, "max_priority": 0}
LOOK = sh("pwd; echo $A; ulimit -n; umask; nice; cat")
FREE = {"cwd": "/usr", "env": {"A": "mine"}, "priority": 9, "limits": {"files": 500}}


def reload_strict(daemon):
    daemon.config["pools"]["shell"] = STRICT
    daemon.write_config()
    os.chown(daemon.config_path, os.stat(daemon.directory).st_uid, -1)
    assert connect(daemon, 0).call("reload") == []


def said(value):
    return value["stdout"].decode().split()


@pytest.mark.parametrize("options", [{}, {"watch": True}])
def test_a_retry_is_within_what_its_pool_says_now(launch, options):
    daemon = launch_shared(launch, {"pools": {"shell": {"kind": "command", "workers": 1}}})
    ann = connect(daemon, ANN)
    ids = [ann.call("submit", "shell", *LOOK, {**own, **options}) for own in ({}, FREE)]
    fed = ann.call("submit", "shell", *LOOK, {"stdin": b"x", **options})
    assert [said(ann.call("result", i)) for i in ids] == [["/", "1024", "0022", "0"], ["/usr", "mine", "500", "0022", "0"]]
    ann.call("result", fed)
    reload_strict(daemon)
    again = ann.call("retry", ids)
    for i in again + ann.call("retry", [ann.call("wait", again) and again[1]]):
        assert said(ann.call("result", i)) == ["/tmp", "pool", "100", "0077", "5"]
        assert ann.call("show", i)["priority"] == 0
    assert "stdin" in refused("PermissionError", ann.call, "retry", [ids[0], fed])["message"]
    daemon.config["pools"]["shell"] = {"kind": "command", "workers": 1, "limits": {"files": 300}, "umask": "0027"}
    daemon.write_config()
    os.chown(daemon.config_path, os.stat(daemon.directory).st_uid, -1)
    connect(daemon, 0).call("reload")
    assert said(ann.call("result", ann.call("retry", [ids[1]])[0])) == ["/usr", "mine", "300", "0027", "0"]


def test_an_opened_pool_has_the_bounds_of_the_one_that_it_is_like_after_a_reload(launch):
    daemon = launch_shared(launch, {"pools": {"shell": {"kind": "command", "workers": 1}}})
    ann = connect(daemon, ANN)
    pool = ann.call("open_pool", {"like": "shell"})
    nested = ann.call("open_pool", {"like": pool})
    for name in (pool, nested):
        assert said(ann.call("call", name, *LOOK, FREE)) == ["/usr", "mine", "500", "0022", "0"]
        assert said(ann.call("call", name, *LOOK)) == ["/", "1024", "0022", "0"]
    reload_strict(daemon)
    for name in ("shell", pool, nested):
        for option, value in FREE.items():
            assert option in refused("PermissionError", ann.call, "submit", name, *LOOK, {option: value})["message"]
        assert said(ann.call("call", name, *LOOK)) == ["/tmp", "pool", "100", "0077", "5"]
