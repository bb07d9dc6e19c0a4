"""Every method × every parameter × twelve types: what is not accepted is a ValueError, and nothing else happens."""
import rpc
from helpers import eventually
from rpc import ref

NAN = float("nan")
TYPES = {"nil": None, "bool": True, "int": 5, "negative": -5, "huge": 2**64 - 1, "float": 1.5, "nan": NAN, "str": "text", "bin": b"bytes",
         "array": [], "map": {"nosuch": 1}, "ext": ref(5)}

# What a parameter may be. A type that is not named must be a ValueError; one that is may have any outcome but a hang.
STR, ID, IDS, TIMEOUT, OPTIONS = {"str"}, {"int"}, {"array"}, {"nil", "int", "negative", "float"}, {"nil"}
ARGS, NOTHING, ANY = {"nil", "array"}, set(), set(TYPES)

# method: good parameters, and what each may be; one more than these is always too many.
METHODS = {
    "hello": [({"protocol": 1, "client": "x"}, NOTHING)],
    "ping": [(1, ANY)],
    "submit": [("one", STR), ("true", STR), ([], ARGS), ({}, OPTIONS)],
    "map": [("one", STR), ("true", STR), ([[]], {"array"}), ({}, OPTIONS)],
    "call": [("one", STR), ("true", STR), ([], ARGS), ({}, OPTIONS)],
    "result": [(1, ID), (0, TIMEOUT), ({}, OPTIONS)],
    "exception": [(1, ID), (0, TIMEOUT)],
    "state": [([], IDS)],
    "wait": [([], IDS), ("ALL_COMPLETED", {"nil"}), (0, TIMEOUT)],
    "watch": [([], IDS), ({}, OPTIONS)],
    "unwatch": [([], IDS)],
    "cancel": [([], IDS), ({}, OPTIONS)],
    "release": [([], IDS)],
    "list": [({}, OPTIONS)],
    "show": [(1, ID)],
    "output": [(1, ID), ({}, OPTIONS)],
    "input": [(1, ID), (b"", {"bin"}), ({}, OPTIONS)],
    "pools": [],
    "pause": [("nosuch", STR)],
    "resume": [("nosuch", STR)],
    "resize": [("one", STR), (1, {"int"})],
    "open_pool": [({"like": "nosuch"}, NOTHING)],
    "close_pool": [("nosuch", STR), ({}, OPTIONS)],
    "retry": [([], IDS)],
    "events": [({}, OPTIONS)],
    "reload": [],
    "config": [],
    "stats": [],
    "failures": [({}, OPTIONS)],
    "drain": [(0, TIMEOUT), ({}, OPTIONS)],
    "shutdown": [({}, NOTHING)],
}


def cases():
    for method, parameters in METHODS.items():
        good = [value for value, _ in parameters]
        for index, (_, accepted) in enumerate(parameters):
            for name, value in TYPES.items():
                if method == "shutdown" and name == "nil":
                    continue
                yield method, index, name, good[:index] + [value] + good[index + 1:], name in accepted
        for name, value in TYPES.items():
            yield method, len(good), name, good + [value], False


def test_the_table_has_every_method_but_backup(shared):
    listed = set(shared.call("hello", {"protocol": 1, "client": "x"})["methods"])
    assert listed - {"backup"} == set(METHODS)


def test_every_method_times_every_parameter_times_twelve_types(daemon, client):
    for _ in range(6):
        client.call("call", "one", "true", [], {"bound": False, "key": "k"})
    wrong = []
    for method, index, name, params, accepted in cases():
        try:
            client.call(method, *params, timeout=5)
            if not accepted:
                wrong.append("%s, parameter %d = %s: accepted" % (method, index, name))
        except rpc.RpcError as error:
            if not accepted and error.type != "ValueError":
                wrong.append("%s, parameter %d = %s: %s" % (method, index, name, error))
        assert daemon.is_running(), "%s, parameter %d = %s ended the daemon" % (method, index, name)
    assert not wrong, "\n".join(wrong)


def test_refusals_cost_no_memory(daemon, client):
    refusals = [rpc.request(n, method, *params) for n, (method, _, _, params, accepted) in enumerate(cases()) if not accepted]

    def round_of_them():
        for n, data in enumerate(refusals):
            msgid = rpc.msgpack.unpackb(data, strict_map_key=False)[1]
            client.expect(msgid)
            client.send(data)
            try:
                client.answer(msgid)
            except rpc.RpcError:
                pass
    round_of_them()
    before = daemon.rss()
    for _ in range(4):
        round_of_them()
    assert daemon.rss() - before < 1 << 20


def test_missing_parameters_without_a_default_are_a_value_error(shared):
    required = {"submit": 2, "map": 3, "call": 2, "result": 1, "exception": 1, "state": 1, "wait": 1, "watch": 1, "unwatch": 1, "cancel": 1,
                "release": 1, "show": 1, "output": 1, "input": 2, "pause": 1, "resume": 1, "resize": 2, "open_pool": 1, "close_pool": 1, "retry": 1}
    wrong = []
    for method, count in required.items():
        good = [value for value, _ in METHODS[method]]
        for given in range(count):
            try:
                shared.call(method, *good[:given])
                wrong.append("%s with %d parameters: accepted" % (method, given))
            except rpc.RpcError as error:
                if error.type != "ValueError":
                    wrong.append("%s with %d parameters: %s" % (method, given, error))
    assert not wrong, "\n".join(wrong)


def test_a_wrong_parameter_leaves_the_daemon_as_it_was(daemon, client):
    """Nothing of the refused calls is left: no future, no paused pool, no watch."""
    def picture():
        pools = [{k: p[k] for k in ("name", "workers", "busy", "pending", "paused")} for p in client.call("pools")]
        return client.call("map", "one", "true", []), client.call("list"), pools
    before = eventually(picture)
    for method, _, _, params, accepted in cases():
        if not accepted:
            try:
                client.call(method, *params)
            except rpc.RpcError:
                pass
    assert picture() == before
