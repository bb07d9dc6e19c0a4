"""The Lua runtime, driven as the daemon drives it."""
import os

import msgpack
import pytest

import helpers
from worker_host import CLAIMED, ENTRIES, REVOKED, Host

EXAMPLE = os.path.join(helpers.ROOT, "examples", "lua", "tasks.lua")
SCRIPT = """
function noop() end
function echo(...) return ... end
function spin() while true do end end
function catch_all() while true do pcall(spin) end end
function catch_deep() while true do pcall(pcall, pcall, catch_all) end end
function in_coroutines() while true do coroutine.wrap(spin)() end end
function in_old_coroutine()
	old = old or coroutine.create(function() while true do pcall(spin) end end)
	coroutine.resume(old)
	return "caught"
end
function closer()
	local x <close> = setmetatable({}, {__close = function() print("closed") end})
	spin()
end
function catch_and_return() return pcall(spin), "went on" end
function catch_and_raise() pcall(spin) error("another error") end
function mark(path) local f = io.open(path, "a") f:write(futured.id, "\\n") f:close() end
function until_file(path) while not io.open(path) do end end
function meet(dir, me, others)
	io.open(dir .. "/" .. me, "w"):close()
	for _, other in ipairs(others) do until_file(dir .. "/" .. other) end
	return me
end
function warm(n) if n < 0 then error{type = "ColdError", message = "too cold", data = n} end warmth = n end
deep = {er = {add = function(a, b) return a + b end, callable = setmetatable({}, {__call = function(_, x) return x end}), n = 5}}
"""


@pytest.fixture
def start(tmp_path):
    """Starts hosts with a script; they must end by themselves."""
    hosts = []

    def start(script=SCRIPT, slots=1, ready=True, options=None, **keys):
        directory = tmp_path / str(len(hosts))
        directory.mkdir()
        path = directory / "script.lua"
        path.write_text(script)
        hosts.append(Host(str(directory), "interpreter", slots, options={"script": str(path), **(options or {})}, **keys))
        if ready:
            hosts[-1].ready()
        return hosts[-1]
    yield start
    for host in hosts:
        host.finish()


@pytest.fixture
def slot(start):
    return start().slot


# ---- loading ----

def test_ready_says_what_the_host_can_do(start):
    ready = start(ready=False).ready()
    assert (ready["depth"], ready["stop"], ready["grow"], ready["board"], ready["name"]) == (ENTRIES, False, True, True, "lua")


def test_pool_without_a_script_has_exec_and_eval(tmp_path):
    host = Host(str(tmp_path), "interpreter", options={"script": None, "memory": 0})
    host.ready()
    assert host.slot.call("eval", "1 + 1") == 2
    host.finish()


def test_script_that_does_not_load_is_the_reason(start):
    error = start("x = = 1", ready=False).failed()
    assert error["type"] == "ImportError" and "script.lua:1:" in error["message"]
    error = start("local function inner() error('no luck') end\ninner()", ready=False).failed()
    assert error["message"].endswith("script.lua:1: no luck") and "in upvalue 'inner'" in error["traceback"] or \
        "in local 'inner'" in error["traceback"]
    error = start(ready=False, options={"script": "/nowhere/tasks.lua"}).failed()
    assert "/nowhere/tasks.lua" in error["message"]
    error = start("error{type = 'LicenseError', message = 'expired', data = {2020}}", ready=False).failed()
    assert (error["type"], error["message"], error["data"]) == ("LicenseError", "expired", [2020])


def test_require_looks_beside_the_script(start, tmp_path):
    (tmp_path / "0").mkdir(exist_ok=True)
    (tmp_path / "0" / "beside.lua").write_text("return {answer = 42}")
    (tmp_path / "0").rename(tmp_path / "lib")
    host = start("package.path = '%s/?.lua;' .. package.path\nlocal b = require 'beside'\nfunction f() return b.answer end"
                 % (tmp_path / "lib"))
    assert host.slot.call("f") == 42


# ---- values ----

SAME = [None, True, False, 0, -1, 2**63 - 1, -2**63, 1.5, 1.0, -0.0, float("inf"), 1e300, "", "häß", "x" * 70000, b"\xff\0",
        [], [1, [2, []]], [None, 1, None], {"a": 1}, {}, {"a": {}}, {"n": None}, {1: "a", 3: "b"}, {0: 1}, {1.5: True},
        {True: 1}, {-7: 1}]


@pytest.mark.parametrize("value", SAME, ids=lambda v: repr(v)[:20])
def test_value_comes_back_as_it_went(slot, value):
    back = slot.call("echo", value)
    assert back == value and type(back) is type(value) and repr(back) == repr(value)


def test_values_that_lua_cannot_tell_apart(slot):
    assert slot.call("echo", b"text") == "text"
    assert slot.call("echo", {1: "a", 2: "b"}) == ["a", "b"]
    assert slot.call("echo", {2.0: 1, 1.0: 0}) == [0, 1]


def test_nan_crosses(slot):
    back = slot.call("echo", float("nan"))
    assert isinstance(back, float) and back != back


def test_values_made_in_lua(slot):
    assert slot.call("eval", "math.type(...)", 1) == "integer"
    assert slot.call("eval", "math.type(...)", 1.0) == "float"
    assert slot.call("eval", "7 // 2") == 3 and isinstance(slot.call("eval", "7 / 7"), float)
    assert slot.call("eval", "{}") == []
    assert slot.call("eval", "futured.map{}") == {}
    assert slot.call("eval", "futured.bin('text')") == b"text"
    assert slot.call("eval", "{1, 2, nil, 4}") == {1: 1, 2: 2, 4: 4}
    assert slot.call("eval", "{1, 2, futured.null, 4}") == [1, 2, None, 4]
    assert slot.call("eval", "(...)[1] == futured.null, (...)[2] == nil", [None]) == [True, True]
    assert slot.call("eval", "'\\xff'") == b"\xff"


def test_number_of_values_decides(slot):
    assert slot.call("noop") is None
    assert slot.call("echo") is None
    assert slot.call("echo", 1) == 1
    assert slot.call("echo", 1, None, 3) == [1, None, 3]
    assert slot.call("echo", None) is None


@pytest.mark.parametrize("source, message", [
    ("print", "result: a function cannot leave Lua"),
    ("{a = {1, {b = print}}}", "result.a[2].b: a function cannot leave Lua"),
    ("1, {2, print}", "result[2][2]: a function cannot leave Lua"),
    ("{[{}] = 1}", "result: a table cannot be a key"),
    ("coroutine.create(print)", "result: a thread cannot leave Lua"),
    ("io.stdout", "result: a userdata cannot leave Lua"),
    ("(function() local t = {} t[1] = t return t end)()", "nested deeper than 24 tables (or a cycle)"),
    ("('x'):rep(2000000)", "the result has 20000"),
    ("(function() local s, t = ('x'):rep(1000), {} for i = 1, 5000 do t[i] = s end return t end)()", "larger than a message"),
])
def test_value_that_cannot_cross_is_refused_with_its_path(slot, source, message):
    error = slot.error("eval", source)
    assert message in error["message"]
    assert error["type"] == ("TypeError" if "leave" in message or "key" in message else "ValueError")


def nest(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_up_to_24_crosses(slot):
    assert slot.call("echo", nest(24)) == nest(24)
    assert slot.error("echo", nest(25))["type"] == "ValueError"


@pytest.mark.parametrize("value, message", [
    (2**63, "argument 2: an integer above 2^63-1"),
    ([1, {"k": 2**64 - 1}], "argument 2[2].k: an integer above 2^63-1"),
    ({None: 1}, "argument 2: a map's key is nil"),
    ({float("nan"): 1}, "argument 2: a map's key is NaN"),
])
def test_argument_that_lua_cannot_hold_is_refused_with_its_path(slot, value, message):
    error = slot.error("echo", 0, value)
    assert error["type"] == "ValueError" and message in error["message"]


def test_extension_types_are_refused(slot):
    assert "argument 1[1]: ext" in slot.error("echo", [msgpack.ExtType(5, b"x")])["message"]


# ---- names, errors ----

def test_names_may_be_dotted(slot):
    assert slot.call("deep.er.add", 1, 2) == 3
    assert slot.call("deep.er.callable", 7) == 7
    assert slot.call("string.upper", "a") == "A"
    for name in ("nope", "deep.nope", "deep.er.add.x", "deep.er.n", "deep..add", "", ".", "nope.nope", "deep.er"):
        assert slot.error(name)["type"] == "NameError", name


def test_errors_have_a_traceback(slot):
    slot.call("exec", "function outer() inner() end function inner() error('boom') end")
    error = slot.error("outer")
    assert error["type"] == "LuaError" and error["message"].endswith("exec:1: boom")
    assert "stack traceback:" in error["traceback"] and "in function 'inner'" in error["traceback"] \
        and "in function 'outer'" in error["traceback"]
    assert "attempt to index a nil value" in slot.error("eval", "nothing.x")["message"]


def test_error_objects_are_typed_errors(slot):
    def raised(source):
        error = slot.error("exec", "error(%s)" % source)
        error.pop("traceback", None)  # there is none when the error object itself fails
        return error
    assert raised("{type = 'MyError', message = 'm', data = {1, x = 2}}") == {
        "type": "MyError", "message": "m", "data": {1: 1, "x": 2}}
    assert raised("{message = 'm'}") == {"type": "LuaError", "message": "m"}
    assert raised("{type = 'T', data = {print}}")["data"] == "(data[1]: a function cannot leave Lua)"
    assert raised("setmetatable({}, {__tostring = function() return 'shown' end})") == {"type": "LuaError", "message": "shown"}
    assert raised("nil") == {"type": "LuaError", "message": "nil"}
    assert raised("setmetatable({}, {__tostring = function() error('again') end})")["message"].startswith("the error object")
    assert raised("setmetatable({}, {__index = function() error('again') end})")["message"].startswith("the error object")
    assert raised("('x'):rep(10000), 0")["message"] == "x" * 4096
    assert slot.call("noop") is None


def test_syntax_error_is_said(slot):
    assert slot.error("exec", "x = = 1")["type"] == "SyntaxError"
    assert slot.error("eval", "1 +")["type"] == "SyntaxError"


def test_endless_recursion_is_an_error(slot):
    error = slot.error("exec", "local function f() return 1 + f() end f()")
    assert "stack overflow" in error["message"]
    assert slot.error("exec", "string.rep = nil local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) "
                              "return t[k] end return t.x")["type"] == "LuaError"
    assert slot.call("noop") is None


def test_keyword_arguments_are_refused(slot):
    assert slot.error("noop", options={"kwargs": {"a": 1}})["type"] == "UnsupportedError"


# ---- exec, eval, state ----

def test_state_persists_in_a_worker_and_is_not_shared(start):
    a, b = start(slots=2).slots
    assert a.call("exec", "x = 1") is None
    assert a.call("exec", "x = x + 41 return 7") is None
    assert a.call("eval", "x") == 42
    assert b.call("eval", "x") is None
    assert b.call("exec", "string.upper = nil") is None
    assert a.call("string.upper", "a") == "A"
    assert a.call("eval", "local y = x * 2 return y") == 84
    assert a.call("eval", "... + 1", 1) == 2


def test_script_may_take_exec_away(start):
    slot = start("exec, eval = nil").slot
    assert slot.error("exec", "x = 1")["type"] == "NameError"


def test_what_would_disturb_the_process_is_gone(slot):
    assert "os.exit is not available" in slot.error("exec", "os.exit(1)")["message"]
    assert slot.call("eval", "{os.setlocale == nil, package.loadlib == nil, debug.sethook == nil, debug.getregistry == nil}") == [True] * 4
    assert slot.call("eval", "type(debug.traceback()) .. type(debug.getinfo(1))") == "stringtable"
    assert "attempt to load a binary chunk" in slot.call("eval", "select(2, load(string.dump(function() end)))")
    assert "attempt to load a binary chunk" in slot.call("eval", "select(2, load(string.dump(function() end), 'x', 'bt'))")
    assert slot.call("eval", "load('return x', 'c', 't', {x = 5})()") == 5
    assert slot.call("eval", "load('return 6')()") == 6


# ---- stopping ----

@pytest.mark.parametrize("fn", ["spin", "catch_all", "catch_deep", "in_coroutines", "catch_and_raise"])
def test_runaway_loop_is_stopped(slot, fn):
    id, entry = slot.run(fn)
    slot.stop(entry)
    assert slot.receive() == ["cancelled", id]
    assert slot.call("eval", "1") == 1


def test_stop_may_be_caught_for_a_while(slot):
    id, entry = slot.run("catch_and_return")
    slot.stop(entry)
    assert slot.receive() == ["ok", id, [False, "went on"]]
    id, entry = slot.run("closer")
    slot.stop(entry)
    assert slot.answer(id) == ["cancelled"] and slot.printed() == b"closed\n"


def test_coroutine_of_an_earlier_task_can_be_stopped_again(slot):
    for _ in range(3):
        id, entry = slot.run("in_old_coroutine")
        slot.stop(entry)
        answer = slot.answer(id)
        assert answer in (["cancelled"], ["ok", "caught"])
    assert slot.call("eval", "#('x'):rep(10)") == 10


def test_task_may_ask_and_give_up(slot):
    slot.call("exec", "function patient() while not futured.stopped() do end futured.give_up() end")
    id, entry = slot.run("patient")
    slot.stop(entry)
    assert slot.receive() == ["cancelled", id]
    assert slot.error("futured.give_up")["type"] == "CancelledError"


def test_revoked_task_never_runs(slot, tmp_path):
    go, ran = str(tmp_path / "go"), str(tmp_path / "ran")
    front, _ = slot.run("until_file", go)
    sent = [slot.run("mark", ran) for _ in range(10)]
    for id, entry in sent[::2]:
        slot.set_state(entry, REVOKED)
    open(go, "w").close()
    assert slot.receive() == ["ok", front, None]
    for id, _ in sent[1::2]:
        assert slot.receive() == ["ok", id, None]
    assert slot.silent(0.05)
    assert [int(line) for line in helpers.lines(ran)] == [id for id, _ in sent[1::2]]


# ---- what a task says ----

def test_print_reaches_the_task_by_every_road(slot):
    assert slot.ask("exec", "print(1, nil, 'x') io.write('a', 2) io.stdout:write('b\\n') io.output():write('c') "
                            "io.stderr:write('err\\n') warn('careful')") == ["ok", None]
    assert slot.printed() == b"1\tnil\tx\na2b\nc"
    assert slot.printed("stderr") == b"err\nLua warning: careful\n" or slot.printed("stderr") == b"err\ncareful\n"
    assert slot.ask("exec", "print(('y'):rep(200000))") == ["ok", None]
    assert slot.printed() == b"y" * 200000 + b"\n"
    assert slot.call("eval", "io.stdout:close()") == [None, "cannot close a standard stream"]
    assert slot.ask("exec", "print('still here')") == ["ok", None] and slot.printed() == b"still here\n"


def test_print_while_loading_goes_to_the_log(start):
    host = start("print('hello from the script')\n" + SCRIPT)
    assert host.slot.call("noop") is None
    assert "hello from the script" in host.stderr()


def test_progress_log_and_context(slot):
    id, _ = slot.run("exec", "futured.progress(1, 2, 'half') futured.progress(3) futured.log('warn', 'w') futured.log('plain')")
    assert slot.receive() == ["progress", id, 1, 2, "half"]
    assert slot.receive() == ["progress", id, 3, None, ""]
    assert slot.receive() == ["ok", id, None]
    assert slot.host.hear("log") == ["log", "warn", "w"] and slot.host.hear("log") == ["log", "info", "plain"]
    id, _ = slot.run("eval", "futured.id, futured.attempt, futured.pool, futured.address, futured.secret", attempt=2,
                     options={"secret": "abc"})
    assert slot.answer(id) == ["ok", [id, 2, "test", "unix:/nowhere", "abc"]]


# ---- memory, slots, endings ----

def test_memory_is_bounded_per_state(start):
    host = start(slots=2, options={"memory": 4 << 20}, message=8 << 20)
    a, b = host.slots
    error = a.error("exec", "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end")
    assert error["type"] == "MemoryError"
    assert a.error("exec", "x = ('x'):rep(1 << 30)")["type"] == "MemoryError"
    for slot in (a, b):
        assert slot.call("eval", "#('x'):rep(1 << 20)") == 1 << 20
    assert a.error("echo", "x" * 900000, "y" * 900000, "z" * 900000, "z" * 900000, "u" * 900000)["type"] == "MemoryError"
    assert a.call("noop") is None


def test_bound_below_what_the_libraries_need_is_said(start):
    assert start(ready=False, options={"memory": 10000}).failed()["type"] == "MemoryError"
    assert start("t = {} for i = 1, 1e9 do t[i] = i end", ready=False, options={"memory": 1 << 20}).failed()["type"] == "MemoryError"


def test_workers_run_at_the_same_time(start, tmp_path):
    host = start(slots=3)
    names = ["a", "b", "c"]
    ids = [slot.run("meet", str(tmp_path), name, names)[0] for slot, name in zip(host.slots, names)]
    assert [slot.answer(id)[1] for slot, id in zip(host.slots, ids)] == names


def test_initializer_runs_in_every_worker(start):
    host = start(slots=2, initializer="warm", initargs=[21])
    for slot in [*host.slots, host.add_slot(2)]:
        assert slot.call("eval", "warmth") == 21
    error = start(slots=2, initializer="warm", initargs=[-1], ready=False).failed()
    assert (error["type"], error["message"], error["data"]) == ("ColdError", "too cold", -1)
    assert "traceback" in start(initializer="deep.er.add", initargs=[None, 1], ready=False).failed()


def test_worker_that_comes_again_has_a_fresh_state(start):
    host = start(slots=2)
    host.slots[1].call("exec", "x = 1")
    host.slots[1].sock.shutdown(1)
    assert host.slots[1].receive() is None
    assert host.add_slot(1).call("eval", "x") is None
    assert host.end() == 0


def test_end_of_the_control_socket_ends_a_runaway_loop(start):
    host = start()
    _, entry = host.slot.run("spin")
    helpers.eventually(lambda: host.slot.state(entry)[0] == CLAIMED)
    host.control.close()
    assert host.await_end() == 0


# ---- the example ----

def test_example_script(tmp_path):
    host = Host(str(tmp_path), "interpreter", options={"script": EXAMPLE}, initializer="warm_up")
    host.ready()
    slot = host.slot
    assert host.logged == [["info", "a worker of pool test is warm"]]
    text = tmp_path / "text"
    text.write_text("one two\n three\n")
    assert slot.call("count_words", str(text)) == {"lines": 2, "words": 3, "bytes": 15}
    assert slot.error("count_words", "/nowhere")["data"] == {"errno": 2, "path": "/nowhere"}
    assert slot.call("count_primes", 100) == 25
    assert slot.call("add", 1, 2) == 3 and slot.call("noop") is None and slot.call("echo", "x") == "x"
    assert slot.call("text.words", "a b  c") == ["a", "b", "c"]
    assert slot.call("wait", 0.01) == 0.05
    assert [slot.call("counter") for _ in range(3)] == [1, 2, 3]
    id, entry = slot.run("wait", 1000)
    slot.stop(entry)
    assert slot.receive() == ["cancelled", id]
    id, entry = slot.run("count_primes", 10**9)
    slot.stop(entry)
    assert slot.answer(id) == ["cancelled"]
    host.finish()
