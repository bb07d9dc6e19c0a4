"""Whose daemon it is, who has which role there, and that nobody sees what is another's."""
import os

import pytest

import rpc
from helpers import eventually, refused, sh
from test_service import listening, passing
from people import ANN, BOB, BOSS, DAEMON, MONITOR, STAFF, acting_as, connect, launch_shared, needs_root

pytestmark = needs_root


@pytest.fixture
def house(launch):
    return launch_shared(launch)


def role(client):
    """By what it may do."""
    try:
        client.call("reload")
        return "admin"
    except rpc.RpcError as error:
        assert error.type == "PermissionError", error.error
    try:
        client.call("release", [])
        return "user"
    except rpc.RpcError as error:
        assert error.type == "PermissionError" and "read-only" in error.error["message"], error.error
        return "read-only"


@pytest.mark.parametrize("uid, expected", [(0, "admin"), (BOSS, "admin"), (ANN, "user"), (MONITOR, "read-only"), (DAEMON, "user")],
                         ids=["root", "one named in admins", "anybody", "one named in read_only", "the daemon's own user"])
def test_roles_in_a_shared_daemon(house, uid, expected):
    client = connect(house, uid)
    assert client.call("hello", {"protocol": 1})["role"] == expected == role(client)


def test_its_own_user_is_an_admin_in_a_personal_daemon(launch):
    daemon = launch_shared(launch, {"socket_mode": "0600"})
    assert role(connect(daemon, DAEMON)) == "admin"
    assert role(connect(daemon, 0)) == "admin"
    with pytest.raises(PermissionError):
        connect(daemon, ANN)


def refused_start(daemon, sentence):
    daemon.expected_status = 1
    daemon.spawn()
    assert daemon.await_end() == 1 and sentence in daemon.log(), daemon.log()


def test_a_shared_daemon_is_refused_unless_shared_uid_says_so(launch):
    refused_start(launch({"socket_mode": "0666"}, start=False), "shared_uid: expected true")
    refused_start(launch({"socket_mode": "0620"}, start=False), "shared_uid: expected true")
    launch({"socket_mode": "0644"})  # to connect is to write
    apart = {"kind": "command", "user": 65534}
    refused_start(launch({"socket_mode": "0666", "pools": {"shell": {"kind": "command", "user": 0}, "one": apart}}, start=False), "")
    assert launch({"socket_mode": "0666", "pools": {"shell": apart, "one": apart}}).client().call("call", "shell", "id", ["-u"])["stdout"] == b"65534\n"
    launch({"socket_mode": "0666", "shared_uid": True})


@pytest.mark.parametrize("mode, shared_uid, starts", [(0o600, False, True), (0o644, False, True), (0o666, True, True), (0o660, False, False),
                                                      (0o602, False, False)])
def test_a_shared_socket_that_was_handed_to_us_needs_shared_uid_too(launch, tmp_path, mode, shared_uid, starts):
    path = str(tmp_path / "s")
    with listening(path) as s:
        os.chmod(path, mode)
        daemon = launch({"listen": None, "shared_uid": shared_uid}, start=False, **passing([s], ["unix"]))
        if not starts:
            refused_start(daemon, "shared_uid: expected true")
            return
        daemon.address = path
        daemon.start()
        assert daemon.client().call("ping", 1) == 1


def test_shared_uid_cannot_be_taken_away_while_others_can_connect(launch):
    daemon = launch_shared(launch)
    text = open(daemon.config_path).read()
    with open(daemon.config_path, "w") as f:
        f.write(text.replace("shared_uid: true", "shared_uid: false"))
    refused("ValueError", connect(daemon, 0).call, "reload")
    assert connect(daemon, ANN).call("call", "shell", "true")["exit"] == 0


def test_a_daemon_that_runs_everybodys_tasks_as_root_says_so(launch):
    assert "run as root" in launch_shared(launch, uid=0).log()
    assert "run as root" not in launch_shared(launch).log()


def test_a_socket_is_made_with_the_mode_and_group_of_the_configuration(launch):
    daemon = launch_shared(launch, {"socket_mode": "0660", "socket_group": STAFF}, uid=0)
    info = os.stat(daemon.address)
    assert info.st_mode & 0o777 == 0o660 and info.st_gid == STAFF
    connect(daemon, ANN, [STAFF]).call("ping")
    with pytest.raises(PermissionError):
        connect(daemon, ANN)


def test_a_group_can_be_named(launch):
    daemon = launch_shared(launch, {"admins": ["group:%d" % STAFF]})
    inside, outside = connect(daemon, ANN, [7, STAFF, 8]), connect(daemon, ANN)
    assert (role(inside), role(outside)) == ("admin", "user"), "groups are the connection's"
    with acting_as(ANN, range(20000, 21000)):
        many = daemon.client()
    assert role(many) == "user"
    with acting_as(ANN, [*range(20000, 21000), STAFF]):
        many = daemon.client()
    assert role(many) == "admin"


def test_a_reload_changes_the_roles_of_those_who_are_connected(house):
    ann = connect(house, ANN)
    assert role(ann) == "user"
    text = open(house.config_path).read().replace("admins: [%d]" % BOSS, "admins: [%d]" % ANN)
    with open(house.config_path, "w") as f:
        f.write(text)
    connect(house, 0).call("reload")
    assert role(ann) == "admin"
    assert role(connect(house, BOSS)) == "user"


def test_a_task_has_the_rights_of_whoever_submitted_it(house):
    """It runs as the daemon's user, and finds its secret in its environment."""
    ann, bob = connect(house, ANN), connect(house, BOB)
    other = bob.call("call", "shell", "true") and bob.call("submit", "shell", "true")
    task = ann.call("submit", "shell", *sh("echo $FUTURED_TASK; read x"), {"stdin": True})
    secret = eventually(lambda: ann.call("output", task)).decode().strip()
    inside = connect(house, DAEMON)
    refused("ExpiredFutureError", inside.call, "show", task)
    assert inside.call("hello", {"protocol": 1, "task": secret})["identity"] == "uid:%d" % ANN
    assert inside.call("show", task)["owner"] == "uid:%d" % ANN
    refused("ExpiredFutureError", inside.call, "show", other)
    assert role(inside) == "user"
    ann.call("cancel", [task], {"running": "kill", "grace": 0})


@pytest.mark.parametrize("mode, expected", [("0666", "user"), ("0600", "admin")])
def test_an_admins_task_is_an_admin_only_where_nobody_elses_could_be_in_its_place(launch, mode, expected):
    daemon = launch_shared(launch, {"socket_mode": mode})
    root = connect(daemon, 0)
    task = root.call("submit", "shell", *sh("echo $FUTURED_TASK; read x"), {"stdin": True})
    secret = eventually(lambda: root.call("output", task)).decode().strip()
    inside = connect(daemon, DAEMON)
    inside.call("hello", {"protocol": 1, "task": secret})
    assert role(inside) == expected and inside.call("show", task)["id"] == task
    root.call("cancel", [task], {"running": "kill", "grace": 0})


def answer_bytes(client, method, *params):
    """The whole response, as it came."""
    client.unpacker = rpc.unpacker()
    client.send(rpc.request(77, method, *params))
    client.socket.setblocking(True)
    client.socket.settimeout(10)
    data = client.socket.recv(1 << 16)
    client.socket.setblocking(False)
    return data


NAMING = [("result", 0), ("exception", 0), ("show", 0), ("output", 0), ("input", 0, b"x"), ("state", [0]), ("wait", [0], None, 0),
          ("watch", [0]), ("unwatch", [0]), ("cancel", [0]), ("release", [0]), ("retry", [0]), ("submit", "shell", "true", [], {"after": [0]}),
          ("submit", "shell", "cat", [], {"stdin": 0}), ("submit", "shell", "echo", [0])]


def naming(params, future):
    """The call, with the future's id where 0 stands."""
    if params[0] == "submit":
        ref = rpc.ref(future)
        return [p if p != [0] else [ref] for p in params[:3]] + [[ref] if params[3] == [0] else params[3]] + [
            {"after": [future]} if "after" in options else {"stdin": ref} for options in params[4:]]
    return [future if p == 0 and p is not None and p is not False and i == 1 else [future] if p == [0] else p for i, p in enumerate(params)]


@pytest.mark.parametrize("call", NAMING, ids=lambda c: c[0] + ("-" + next(iter(c[4]), "args") if c[0] == "submit" and c[4:] else ""))
def test_anothers_and_expired_are_the_same_answer_byte_for_byte(house, call):
    ann, bob = connect(house, ANN), connect(house, BOB)
    theirs = ann.call("submit", "shell", "true")
    ann.call("wait", [theirs])
    before = answer_bytes(bob, *naming(call, theirs))
    assert ann.call("release", [theirs]) == 1
    after = answer_bytes(bob, *naming(call, theirs))
    assert before == after
    if call[0] != "release":
        assert b"ExpiredFutureError" in before


def test_control_the_owner_gets_another_answer(house):
    ann = connect(house, ANN)
    own = ann.call("submit", "shell", "true")
    ann.call("wait", [own])
    before = answer_bytes(ann, "result", own)
    ann.call("release", [own])
    assert before != answer_bytes(ann, "result", own)


def test_ids_above_the_last_one_are_unknown_to_everybody(house):
    connect(house, ANN).call("submit", "shell", "true")
    for uid in (0, ANN, BOB, MONITOR):
        refused("UnknownFutureError", connect(house, uid).call, "state", [2**40])


def test_a_run_of_ids_is_judged_by_whose_each_is(house):
    """Pages of the registry that belong to one user, to several, and in part."""
    ann, bob, root = connect(house, ANN), connect(house, BOB), connect(house, 0)
    for c in (ann, bob):
        c.call("release", [])
    root.call("pause", "shell")
    first, _ = ann.call("map", "shell", "true", [[]] * 700)
    theirs, _ = bob.call("map", "shell", "true", [[]] * 700)
    mixed = [c.call("submit", "shell", "true") for c in (ann, bob, ann, bob)]
    assert ann.call("state", [[first, 700]]) == ["PENDING"] * 700
    assert bob.call("state", [[theirs, 700]]) == ["PENDING"] * 700
    assert refused("ExpiredFutureError", ann.call, "state", [[first, 701]])["future"] == theirs
    assert refused("ExpiredFutureError", bob.call, "state", [[theirs, 702]])["future"] == theirs + 700
    assert refused("ExpiredFutureError", bob.call, "cancel", [[first + 699, 2]])["future"] == first + 699
    assert bob.call("cancel", [[theirs, 700], mixed[1], mixed[3]]) == [True] * 702
    assert bob.call("release", [[first, 1404]]) == 702
    assert len(ann.call("list")) == 702 and bob.call("list") == []
    assert ann.call("cancel", [[first, 700], mixed[0], mixed[2]]) == [True] * 702
    assert root.call("release", [[first, 1404]]) == 702
    assert ann.call("list") == []


def test_lists_events_and_failures_leave_out_what_is_anothers(house):
    ann, bob, root, monitor = (connect(house, uid) for uid in (ANN, BOB, 0, MONITOR))
    for c in (ann, bob, root, monitor):
        c.call("events")
    mine = ann.call("submit", "shell", "false")
    ann.call("wait", [mine])
    theirs = bob.call("submit", "shell", "false")
    bob.call("wait", [theirs])

    def seen(client):
        return [[m["id"] for m in client.call(verb)] for verb in ("list", "failures")] + [
            sorted({params[0]["id"] for params in client.pending_notifications("event")})]
    eventually(lambda: seen(root) == [[mine, theirs]] * 3)
    assert seen(ann) == [[mine]] * 3
    assert seen(bob) == [[theirs]] * 3
    assert seen(monitor) == [[]] * 3


def test_what_an_admin_looks_at_counts_as_seen_and_what_a_monitor_looks_at_does_not(house):
    ann = connect(house, ANN)
    future = ann.call("submit", "shell", "false")
    ann.call("wait", [future])
    connect(house, MONITOR).call("failures", {"seen": True})
    assert [m["id"] for m in ann.call("failures")] == [future]
    connect(house, 0).call("failures", {"seen": True})
    assert ann.call("failures") == []


def test_an_opened_pool_is_its_owners(house):
    ann, bob, root = connect(house, ANN), connect(house, BOB), connect(house, 0)
    pool = ann.call("open_pool", {"like": "shell", "workers": 1})

    def names(client):
        return {p["name"] for p in client.call("pools")}
    assert pool in names(ann) and pool in names(root) and pool not in names(bob)
    unknown = refused("UnknownPoolError", bob.call, "submit", "nosuch", "true")["message"]
    for call in (("submit", pool, "true"), ("map", pool, "true", [[]]), ("call", pool, "true"), ("pause", pool), ("resume", pool), ("resize", pool, 2),
                 ("close_pool", pool), ("open_pool", {"like": pool}), ("events", {"pool": pool}), ("drain", 0, {"pool": pool})):
        assert refused("UnknownPoolError", bob.call, *call)["message"] == unknown.replace("nosuch", pool)
    for call in (("pause", pool), ("resume", pool), ("resize", pool, 2), ("drain", 5, {"pool": pool})):
        ann.call(*call)
        root.call(*call)
        refused("PermissionError", ann.call, call[0], *[p if p != pool else "shell" for p in call[1:] if not isinstance(p, dict)],
                *[{"pool": "shell"} for p in call[1:] if isinstance(p, dict)])
    ann.call("close_pool", pool)
    assert pool not in names(root)


def test_only_the_own_user_of_a_personal_daemon_says_what_an_opened_pools_workers_are(house):
    for uid in (DAEMON, ANN, BOSS):
        refused("PermissionError", connect(house, uid).call, "open_pool", {"like": "shell", "command": ["/bin/true"]})
