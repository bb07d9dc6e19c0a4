"""Writes seeds for the fuzz targets: seeds.py DIRECTORY. Each target has its own below; what they know of the formats, the fuzzer need not find out.

seeds.py --history FILE DIRECTORY writes the inputs that a target kept ($FUTURED_FUZZ_HISTORY), under names in their order: given to it as
`fuzz_session DIRECTORY/*`, they happen again."""
import os
import re
import struct
import sys

import msgpack

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SAY, LEAVE, HEAR, TURN, SERVE, ANSWER, CONTROL, RING, BOARD, STDERR, DIE = range(11)
ROW, FILE, BOARDS, DAMAGE, KILL, LOOSE = range(11, 17)
NOT_READY, NO_BOARD, FAIL, OUTPUT, ONE, CANCELLED, LARGE, CLAIM_ONLY = (1 << bit for bit in range(8))


def young(n=0):
    """An id: of the nth youngest future."""
    return 0xffffffffffffff00 | n


def running(n=0):
    """An id: of a task that the worker has."""
    return 0xffffffffffffff80 | n


def step(what, who=0, data=b""):
    return struct.pack("<BBH", what, who, len(data)) + data


def pack(*messages):
    return b"".join(msgpack.packb(m, use_bin_type=True) for m in messages)


def say(method, *params, who=0):
    return step(SAY, who, pack([0, 7, method, list(params)]))


def serve(how=0):
    return step(SERVE, how)


def hear(who=0):
    return step(HEAR, who)


def turns(n=3):
    return step(TURN, n)


START = serve() + turns() + serve() + turns()  # ready, and a task answered
IDS = [young()]


def sessions():
    run = say("submit", "shell", "echo", ["x"])
    yield "submit", run + START + say("result", young()) + turns() + hear()
    yield "call", say("call", "fn", "f", [1, {"a": b"b"}]) + START + hear()
    yield "map", say("map", "thr", "f", [[1], [2], [3]] * 20) + START + say("wait", [[young(59), 60]], "ALL_COMPLETED", 1.0) + START + hear()
    yield "fail", say("submit", "fn", "f", [], {"retries": 2, "retry_delay": 0.001}) + (serve(FAIL) + turns()) * 6 + say("exception", young()) + hear()
    yield "watch", say("watch", IDS, {"result": True}) + run + say("watch", IDS) + START + hear() + say("unwatch", IDS)
    yield "cancel", run + say("cancel", IDS) + run + serve() + turns() + serve(CLAIM_ONLY) + say("cancel", IDS, {"running": "kill", "grace": 0}) + turns() + serve() + hear()
    yield "ask", say("submit", "thr", "f", []) + serve() + turns() + serve(CLAIM_ONLY) + say("cancel", IDS, {"running": "ask"}) + serve(CANCELLED) + hear()
    yield "release", run + START + say("release", IDS) + say("state", IDS) + hear()
    yield "retry", run + serve(FAIL) + turns() + serve(FAIL) + say("retry", IDS) + START + hear()
    yield "list", run * 3 + START + say("list", {"state": "FINISHED", "limit": 2}) + say("list", {}) + say("failures") + say("show", young()) + turns() + hear()
    yield "output", run + say("output", young(), {"follow": True}) + serve() + turns() + serve(OUTPUT | LARGE) + turns() + say("output", young(), {"follow": False}) + hear()
    yield "input", say("submit", "shell", "cat", [], {"stdin": True}) + serve() + turns() + serve(CLAIM_ONLY) + say("input", young(), b"abc", {"eof": True}) + turns() + serve() + hear()
    yield "pools", say("pools") + say("pause", "shell") + run + say("resume", "shell") + say("resize", "thr", 5) + say("resize", "thr", 1) + START + hear()
    yield "open", say("open_pool", {"like": "fn", "workers": 2, "initializer": "f", "initargs": [1], "bound": True}) + say("call", "fn-1", "f", []) + START + hear()
    yield "close", say("open_pool", {"like": "shell"}) + say("submit", "shell-1", "f", []) + say("close_pool", "shell-1", {"kill": True}) + START + hear()
    yield "events", say("events", {"pool": "shell"}) + run + START + say("events") + say("stats") + hear()
    yield "after", run + say("submit", "fn", "f", [msgpack.ExtType(1, struct.pack(">Q", young()))], {"after": IDS}) + START * 2 + say("result", young()) + hear()
    yield "drain", run + say("drain", 0.01, {"pool": "shell"}) + START + say("drain", None) + turns() + hear()
    yield "hello", say("hello", {"protocol": 1, "client": "seed", "token": "x", "task": "0" * 32}) + say("ping", [1, 2]) + say("reload") + hear()
    token = "fuzz" * 8
    yield "stranger", say("ping", 1, who=2) + turns(9) + hear(2) + say("hello", {"protocol": 1, "token": token}, who=2) + say("submit", "fn", "f", [], who=2) + START + hear(2)
    yield "refused", say("hello", {"protocol": 1, "token": "x" * 40}, who=2) + say("stats", who=2) + turns(9) * 30 + hear(2) + step(LEAVE, 2)
    yield "twice", (say("hello", {"protocol": 2}, who=2) * 3 + say("hello", {"protocol": 1, "token": token}, who=2)) * 2 + say("hello", {"protocol": 1, "token": "y" * 32}, who=2) + turns() + hear(2)
    yield "options", say("submit", "shell", "sh", ["-c", "x"], {
        "name": "n", "tags": ["a", "b"], "priority": -3, "timeout": 1.5, "deadline": 2, "delay": 0.001, "retain": 0, "bound": True, "key": "k", "cwd": "/", "env": {"A": "b", "C": None},
        "stdin": b"in", "watch": True, "block": True, "nice": 1, "umask": 0o77, "limits": {"memory": 1 << 20}}) + START + hear() + step(LEAVE)
    yield "deadline", say("submit", "one", "sleep", [], {"deadline": 0.01}) + say("submit", "one", "sleep", [], {"timeout": 0.01}) + serve() + turns() + serve(CLAIM_ONLY) + turns(7) * 20
    yield "bound", say("submit", "shell", "x", [], {"bound": True}) + serve() + turns() + serve(CLAIM_ONLY) + step(LEAVE) + turns() + serve()
    yield "two", say("submit", "shell", "x", [], who=3) + say("state", IDS) + say("cancel", IDS) + say("submit", "shell", "x", [], who=0) + say("state", IDS, who=3) + hear(3) + hear(0)
    yield "lost", run + serve() + turns() + serve(CLAIM_ONLY) + step(DIE, 0, b"\x09") + turns() + say("result", young()) + turns() + hear()
    yield "pieces", b"".join(step(SAY, 0, bytes([b])) for b in pack([0, 1, "ping", [1]])) + hear()
    yield "broken", step(SAY, 0, pack([1, 2, 3]) + b"\xc1") + turns() + hear()
    yield "notification", step(SAY, 0, pack([2, "ping", []])) + turns() + hear()
    page = open(os.path.join(ROOT, "proto", "PROTOCOL.md")).read()
    for n, example in enumerate(re.findall(r"(?m)^C: .*\n((?:   (?: [0-9a-f]{2})+\n)+)", page)):
        yield "example%d" % n, step(SAY, 0, bytes.fromhex("".join(example.split()))) + START + hear()


def workers():
    begun = say("submit", "fn", "f", [1]) + say("submit", "shell", "x", []) + serve() + turns() + serve(CLAIM_ONLY) + turns(1)
    for name, message in (
            ("ok", ["ok", running(), {"a": [1, b"x"]}]), ("error", ["error", running(), {"type": "E", "message": "m", "traceback": "t", "data": 1}]),
            ("cancelled", ["cancelled", running()]), ("progress", ["progress", running(), 1, None, "note"]), ("output", ["output", running(), "stdout", b"x" * 100]),
            ("exit", ["exit", running(), {"exit": 0, "stdout": b"x", "stderr": b"y", "rusage": {"utime": 0.1, "stime": 0, "maxrss": 1}}]),
            ("signal", ["exit", running(), {"signal": 9, "oom": True, "rusage": {}}]), ("notfound", ["exit", running(), {"exit": 127, "failed": "no such file", "rusage": {}}]),
            ("stranger", ["ok", 1, None]), ("nonsense", ["what", running()])):
        for who in (0, 1):
            yield name + str(who), begun + step(ANSWER, who, pack(message)) + turns() + hear()
            yield "ring-" + name + str(who), begun + step(RING, who, pack(message)) + turns() + hear()
    deep = 1
    for _ in range(31):
        deep = [deep]
    yield "progress-deep", begun + say("watch", [young(0), young(1)]) + turns() + step(ANSWER, 0, pack(["progress", running(), deep, deep, deep])) + turns() + hear()
    spawn = say("submit", "lua", "f", [1])
    for name, message in (
            ("ready", ["ready", {"depth": 64, "stop": True, "grow": True, "board": True, "ring": True, "functions": ["f", "g"], "more": [1]}]), ("failed", ["failed", {"type": "E", "message": "m"}]),
            ("log", ["log", "warn", "text \x1b[2J"]), ("taken", ["taken", running(), 5]), ("twice", ["ready", {}])):
        yield name, spawn + step(CONTROL, 0, pack(message)) + turns() + hear() + step(CONTROL, 0, pack(message)) + turns()
        yield name + "-later", begun + step(CONTROL, 0, pack(message)) + turns() + hear()
    for status in (0, 1, 9, 11, 0x80):
        yield "die%d" % status, begun + step(STDERR, 0, b"last words\n") + step(DIE, 0, bytes([status])) + turns() + say("result", young(1)) + hear()
        yield "early%d" % status, spawn + step(DIE, 0, bytes([status])) + turns() + say("result", young()) + hear()
    for place in (0, 1, 2, 128, 130, 136, 137):
        yield "board%d" % place, begun + step(BOARD, 0, struct.pack(">H", place) + b"\xff" * 16) + turns() + serve() + turns()
        yield "count%d" % place, begun + step(BOARD, 1, struct.pack(">H", place) + struct.pack("<QQ", 1 << 40, 3)) + turns() + serve() + turns()
    yield "flood", begun + step(RING, 0, pack(["output", running(), "stdout", b"x" * 4000]) * 5) + turns() + step(STDERR, 0, b"e" * 60000) + turns()


TABLES = {
    "specs": "id pool kind owner fn name tags kwargs run opened run_pairs env stdin stdin_kind stdin_future priority retries timeout_us deadline_us delay_us retry_delay_us retain_us sum",
    "tasks": "id spec submitted_us args args_file gate attempt not_before_us let_go killed sum fed",
    "results": "id state attempt started_us finished_us failed seen value value_file rusage sum",
    "outputs": "id stream bytes cut", "gates": "id ids passed_us", "keys": "first count owner key", "pools": "id name what", "sent": "host slot tasks", "daemon": "name value",
    "by_hand": "pool paused_us paused_by workers configured"}
NULL, SMALL, WORD, EDGE, TEXT, BLOB, SAMPLE, LONG, TIME, REAL = range(10)
SHELL_VALUE = {"exit": 0, "stdout": b"hi\n", "stderr": b""}


def sample(n):
    """One of the values that rows.c knows for a column."""
    return bytes([SAMPLE, n])


def value(v):
    if v is None:
        return bytes([NULL])
    if isinstance(v, int):
        return bytes([WORD]) + struct.pack("<q", v)
    if isinstance(v, str):
        return bytes([TEXT, len(v.encode())]) + v.encode()
    return bytes([BLOB, len(v)]) + v


def row(table, how={}, **columns):
    """`how`: raw values, by column."""
    names = TABLES[table].split()
    return step(ROW, list(TABLES).index(table), b"".join(
        [bytes([names.index(name)]) + value(v) for name, v in columns.items()] + [bytes([names.index(name)]) + v for name, v in how.items()]))


def reference(future):
    return msgpack.ExtType(1, struct.pack(">Q", future))


def spec(pool="shell", **columns):
    kinds = {"shell": "command", "one": "command", "thr": "thread", "lua": "interpreter"}
    return row("specs", pool=pool, kind=kinds.get(pool, "process"), **columns)


def task(*args, **columns):
    return row("tasks", args=pack(list(args)), **columns)


def result(v=SHELL_VALUE, **columns):
    return row("results", value=pack(v), **columns)


def sent(*tasks):
    return row("sent", tasks=b"".join(struct.pack("<QII", *t) for t in tasks))


def boards(*entries):
    return step(BOARDS, 0, b"\0" + b"".join(bytes(e) for e in entries))


def ask(*futures):
    return b"".join(say("show", f) + say("result", f, 0) for f in futures) + say("list", {}) + say("failures") + turns() + hear()


def stores():
    one = spec() + task("x")
    go = say("ping", 1) + START
    yield "pending", one + go + ask(1)
    yield "finished", one + result() + ask(1) + say("release", [1]) + turns()
    yield "failed", one + result({"type": "ValueError", "message": "m", "future": 1}, failed=1) + ask(1) + say("retry", [1]) + START + ask(1, 2)
    yield "cancelled", one + row("results", state="CANCELLED", value=b"") + ask(1)
    yield "kinds", b"".join(spec(pool) + task(1) + task({"a": b"b"}) for pool in ("fn", "thr", "lua", "one")) + go + ask(1, 8)
    yield "absent", spec("gone") + task("x") + task("y") + result() + ask(1, 2) + say("cancel", [1]) + turns()
    yield "options", spec(name="n", tags=pack(["a", "b"]), run=pack("cwd", "/"), run_pairs=1, env=pack(["A=b"]), stdin=b"in", stdin_kind=1, priority=-3, retries=2, timeout_us=50000,
                          deadline_us=10 ** 9, retain_us=10 ** 6) + task("x") + go + ask(1)
    yield "kwargs", spec("fn", kwargs=pack({"k": 1})) + task() + go + ask(1)
    yield "delayed", spec(delay_us=1000) + task("x") + task("y", not_before_us=1) + row("tasks", {"not_before_us": bytes([TIME, 1])}) + go + turns(7) * 3 + ask(1, 2)
    yield "retried", spec(retries=3, retry_delay_us=1000) + task("x", attempt=2) + say("ping", 1) + (serve(FAIL) + turns()) * 4 + ask(1)
    yield "gate", one + row("gates", ids="[1]") + task("y", gate=1) + task("z", gate=1) + go + START + ask(1, 2, 3)
    yield "gate-passed", one + row("gates", ids="[1]", passed_us=1) + task("y", gate=1) + task("z", gate=1) + go + START + ask(1, 2, 3)
    yield "gate-of-other", one + row("gates", ids="[1]") + task("y", gate=1) + spec() + task("z", gate=1) + go + START + ask(1, 2, 3)
    yield "gates-of-one", one + row("gates", ids="[1]") + row("gates", ids="[1]") + task("y", gate=1) + task("z", gate=2) + go + START + ask(1, 2, 3)
    yield "gate-not-stored", one + row("gates", ids="[1,-9]") + task("y", gate=1) + go + START + ask(1, 2)
    yield "fed", spec(stdin_kind=2) + task("x") + task("y", fed=1) + go + START + ask(1, 2)
    yield "unsummed", one + result(sum=b"") + task("y") + row("results", value=b"\xc1", sum=b"") + task("z") + result(sum=7) + ask(1, 2, 3)
    yield "paused", row("by_hand", pool="shell", paused_by="uid:1") + row("by_hand", pool="fn", paused_us=0, workers=3, configured=2) + row("by_hand", pool="gone", workers=1, configured=1) + one + \
        spec("gone") + task("y") + say("pools") + ask(1, 2) + say("resume", "shell") + START + ask(1)
    yield "paused-killed", say("pause", "fn") + say("resize", "shell", 1) + say("open_pool", {"like": "fn", "workers": 2}) + turns() + say("resize", "fn-1", 3) + say("pause", "fn-1") + turns() + step(KILL, 1) + say("pools") + ask(1)
    for n in range(12):
        yield "paused%d" % n, row("by_hand", {"pool": sample(n)}) + row("by_hand", {"workers": sample(n), "configured": sample(2)}, pool="shell") + row("pools") + row("by_hand", {"workers": sample(2), "configured": sample(n)}, pool="shell-1") + \
            one + say("pools") + ask(1)
    for n in range(16):
        yield "clock%d" % n, row("daemon", {"name": sample(4), "value": sample(n)}) + spec(delay_us=1000) + task("x") + task("y", not_before_us=1) + spec() + task("z") + result() + go + turns(7) * 2 + ask(1, 2, 3)
    for n in range(7):
        yield "cut%d" % n, spec("fn") + task() + row("outputs", {"cut": sample(n)}, bytes=b"printed") + row("outputs", {"cut": sample(n)}, stream=1, bytes=b"") + result(1) + say("output", 1, {}) + turns() + ask(1)
    yield "gated-by-failure", one + result({"type": "E", "message": "m"}, failed=1) + row("gates", ids="[1]") + task("y", gate=1) + go + ask(1, 2)
    yield "references", spec("fn") + task(1) + task(reference(1), [reference(1)]) + task(reference(2)) + go + START * 2 + ask(1, 2, 3)
    yield "stdin", one + spec(stdin_kind=3, stdin_future=1) + task("y") + go + START + ask(1, 2)
    yield "key", one + task("y") + row("keys", first=1, count=2) + say("submit", "shell", "echo", [], {"key": "k"}) + go + ask(1, 2) + say("release", [[1, 2]]) + turns()
    yield "begun", one + sent((1, 1, 0)) + boards((0, 1, 2, 5)) + ask(1) + go
    yield "begun-again", spec(retries=1) + task("x") + sent((1, 1, 0)) + boards((0, 1, 2, 5)) + ask(1) + go + ask(1)
    yield "not-begun", one + task("y") + sent((1, 1, 0), (2, 1, 1)) + boards((0, 1, 1, 1), (1, 2, 3, 0)) + go + ask(1, 2)
    yield "board-gone", one + sent((1, 1, 0)) + ask(1) + go
    yield "let-go", one + result() + row("tasks", id=1, let_go=1) + task("y", let_go=1) + task("z", killed=1) + go + ask(1, 2, 3)
    yield "output", spec("fn") + task() + row("outputs", bytes=b"printed") + row("outputs", stream=1, bytes=b"too") + result(1) + say("output", 1, {}) + turns() + ask(1)
    yield "spilled", one + result() + step(FILE, 2, b"\1" + b"long" * 50) + step(FILE, 3, b"\2stray") + say("output", 1, {}) + turns() + ask(1)
    yield "filed", spec("fn") + step(FILE, 0, b"\1" + pack(["a" * 300])) + row("tasks", args=None, args_file=0) + step(FILE, 1, b"\1" + pack("v" * 300)) + go + ask(1)
    yield "filed-value", one + step(FILE, 1, b"\1" + b"pad" + pack("v" * 300)) + row("results", value=None, value_file=3) + ask(1)
    yield "filed-gone", one + row("results", value=None, value_file=3) + row("tasks", args=None, args_file=0) + ask(1, 2)
    yield "opened", row("pools") + spec("shell-1", opened=1) + task("x") + go + say("pools") + ask(1) + say("close_pool", "shell-1", {"kill": True}) + turns()
    yield "bound-pool", spec("fn-9", opened=2) + task() + ask(1)
    for n in range(23):
        yield "opened%d" % n, row("pools", {"what": sample(n)}, name="p") + spec("p", opened=1) + task("x") + go + say("pools") + ask(1)
    yield "damaged", one + row("tasks", sum=7) + row("tasks") + spec("fn", sum=7) + row("tasks") + go + ask(1, 2, 3, 4)
    yield "spec-gone", one + task("y", spec=9) + go + ask(1, 2)
    yield "cycle", spec("fn") + task(reference(2)) + task(reference(1)) + task(reference(3)) + ask(1, 2, 3) + say("cancel", [1, 3]) + turns()
    yield "gate-cycle", one + row("gates", ids="[2]") + task("y", gate=1) + ask(1, 2) + say("cancel", [2]) + turns()
    yield "gate-gone", one + task("y", gate=5) + go + ask(1, 2)
    for table, columns in (("tasks", {"id": (0, -1, 2 ** 40, 2 ** 53 - 1, 2 ** 53, 2 ** 63 - 1, -2 ** 63), "submitted_us": (-1, 2 ** 63 - 1, -2 ** 63), "gate": (-1, 2 ** 63 - 1),
                                     "attempt": (-1, 65535, 65536, 2 ** 32), "not_before_us": (-1, 2 ** 63 - 1, -2 ** 63), "spec": (-1,), "args_file": (-1, 5000)}),
                           ("specs", {"id": (0, -1, 2 ** 63 - 1), "run_pairs": (-1, 2 ** 32), "stdin_kind": (-1, 2, 7), "stdin_future": (-1, 2 ** 53), "priority": (2 ** 31, -2 ** 31),
                                      "retries": (-1, 2 ** 32), "opened": (-1, 7), **{time: (-1, -2, 2 ** 63 - 1, 10 ** 15) for time in ("timeout_us", "deadline_us", "delay_us", "retry_delay_us", "retain_us")}}),
                           ("keys", {"first": (0, -1, 2 ** 63 - 1), "count": (0, -1, 2 ** 40, 2 ** 63 - 1)}), ("gates", {"id": (0, -1, 2 ** 63 - 1), "passed_us": (-1, 2 ** 63 - 1, -2 ** 63)}), ("by_hand", {"paused_us": (0, -1, 2 ** 63 - 1, -2 ** 63), "workers": (-1, 2 ** 32 + 1)}),
                           ("results", {"attempt": (-1, 65536), "started_us": (-1, 2 ** 63 - 1), "finished_us": (-1, 2 ** 63 - 1, -2 ** 63), "failed": (2, 256), "seen": (256,)})):
        for column, numbers in columns.items():
            for n, number in enumerate(numbers):
                first = spec(**({column: number} if table == "specs" else {})) + task("x", **({column: number} if table == "tasks" else {}))
                rest = row(table, **{column: number}) if table not in ("specs", "tasks") else b""
                yield "%s-%s%d" % (table, column, n), first + rest + task("y") + go + ask(1, 2)
    for n in range(23):
        yield "gates%d" % n, one + task("y") + task("z") + row("gates", {"ids": sample(n)}) + task("gated", gate=1) + go + START + ask(4)
    for n in range(18):
        yield "args%d" % n, spec("fn") + row("tasks", {"args": sample(n)}) + spec() + row("tasks", {"args": sample(n)}) + go + ask(1, 2)
        yield "value%d" % n, spec("fn") + task() + row("results", {"value": sample(n)}) + task(reference(1)) + spec() + task() + row("results", {"value": sample(n)}, failed=1) + task(reference(3)) + go + ask(1, 2, 3, 4)
        yield "value%d-unsummed" % n, spec("fn") + task() + row("results", {"value": sample(n)}, sum=b"") + task(reference(1)) + row("results", {"rusage": sample(n)}, failed=1, sum=b"") + go + ask(1, 2)
    for column in ("pool", "kind", "owner", "fn", "name", "tags", "kwargs", "run", "env", "stdin"):
        for n in range(1, 11):
            yield "specs-%s%d" % (column, n), row("specs", {column: sample(n)}) + task("x") + row("specs", {column: sample(n)}, pool="fn", kind="process") + task("x") + result() + go + ask(1, 2)
            yield "specs-%s%d-pairs" % (column, n), row("specs", {column: sample(n)}, run_pairs=1, stdin_kind=1) + task("x") + go + ask(1)
    for n in range(5):
        yield "instance%d" % n, row("daemon", {"name": sample(1), "value": sample(n)}) + one + say("hello", {"protocol": 1}) + hear() + go
    for n, number in enumerate((None, 0, -1, "x", 2 ** 53, 2 ** 63 - 1, 3)):
        yield "next%d" % n, row("daemon", name="next_id", value=number) + one * 3 + say("submit", "shell", "echo", []) + go + ask(1, 2, 3)
    yield "no-next", step(LOOSE) + row("daemon", name="other", value=3) + one + go + ask(1)
    yield "twice", step(LOOSE) + one * 2 + row("tasks", id=1) + row("tasks", id=1) + result() + result() + row("outputs", id=1) * 2 + row("keys") * 2 + row("gates", id=1) * 2 + go + ask(1)
    yield "disorder", step(LOOSE) + spec() + task("a", id=700) + task("b", id=3) + task("c", id=300) + spec(id=1) + go + ask(3, 300, 700)
    yield "types", step(LOOSE) + row("specs", id="x", retries="many", sum=b"s") + row("tasks", {"submitted_us": bytes([REAL, 3])}, id=None, spec=None, gate="g", attempt=b"1") + row("results", id=None, state=None) + go
    yield "lives", one + go + say("submit", "shell", "sleep", []) + serve() + turns() + serve(CLAIM_ONLY) + step(KILL, 1) + ask(1, 2) + say("submit", "fn", "f", [1], {"retries": 1}) + serve() + turns() + \
        serve(CLAIM_ONLY) + step(KILL, 0) + START + ask(1, 2)
    kill = step(KILL, 1) + turns() + START + ask(1, 2)
    yield "opened-killed", say("open_pool", {"like": "fn", "workers": 2, "initializer": "f", "initargs": [1]}) + say("open_pool", {"like": "thr", "command": ["/bin/x", b"y"], "env": {"A": "b"}, "cwd": "/"}) + \
        say("open_pool", {"like": "fn", "bound": True}) + turns() + kill + say("pools") + turns() + hear()
    for n, how in enumerate(({}, {"cancel_futures": True}, {"terminate": True})):
        yield "closed%d-killed" % n, say("open_pool", {"like": "fn", "workers": 1}) + turns() + say("submit", "fn-1", "f", [1]) + say("submit", "fn-1", "f", [2]) + turns() + serve() + turns() + serve(CLAIM_ONLY) + \
            say("close_pool", "fn-1", how) + turns() + step(KILL, 1) + say("pools") + turns() + START + ask(1, 2)
    yield "after-killed", say("pause", "fn") + say("submit", "fn", "f", []) + say("submit", "fn", "f", [], {"after": [1]}) + say("map", "fn", "f", [[reference(1)], [2]], {"after": [1, 2]}) + turns() + kill + START * 2 + ask(3, 4)
    yield "cancel-killed", say("submit", "shell", "sleep", []) + say("submit", "shell", "sleep", [], {"name": "n", "tags": ["t"]}) + serve() + turns() + serve(CLAIM_ONLY) + \
        say("cancel", [1], {"running": "kill", "grace": 100}) + say("release", [2]) + turns() + kill
    yield "retry-killed", say("submit", "fn", "f", [], {"retries": 3, "retry_delay": 100}) + serve() + turns() + serve(FAIL | OUTPUT) + turns() + kill
    yield "output-killed", say("submit", "fn", "f", []) + serve() + turns() + serve(OUTPUT) + say("submit", "shell", "f", []) + serve() + turns() + serve(OUTPUT | LARGE) + turns() + kill + say("output", 1) + say("output", 2) + turns() + hear()
    yield "undone-gate", one + row("gates", ids="[1]") + task(reference(1), gate=1) + go + START + ask(1, 2)
    yield "later-row", one + go + task("y", id=9) + START + ask(1, 9)
    yield "map-killed", say("map", "fn", "f", [[1], [2], [3]], {"after": [], "key": "m"}) + turns() + step(KILL, 1) + say("map", "fn", "f", [[1]], {"key": "m"}) + START + hear()
    for where in (0, 16, 24, 28, 56, 60, 68, 96, 100, 4096, 4100, 8192, 3 * 4096, 5 * 4096, 7 * 4096 + 100, 8 * 4096 - 20, 9 * 4096 - 40):
        for how in (0, 1, 2, 3):
            yield "db%d-%d" % (where, how), step(KILL, 2) + one + result() + task("y") + step(DAMAGE, 2 * how, struct.pack("<I", where)[:3] + b"\xff\x01") + go + ask(1, 2)
            yield "log%d-%d" % (where, how), one + result() + task("y") + step(DAMAGE, 2 * how + 1, struct.pack("<I", where)[:3] + b"\xff\x01") + go + ask(1, 2)
    yield "damaged-later", one + go + step(KILL, 1) + step(DAMAGE, 1, b"\0\x10\0\xff") + START + ask(1)


def frames():
    values = [None, True, 1, -1, 2 ** 63, 1.5, "text", b"bytes", [1, [2, [3]]], {"a": {"b": [None]}}, msgpack.ExtType(1, b"12345678"), "x" * 300, list(range(20))]
    for n, value in enumerate(values):
        for limit in (10, 255):
            yield "value%d-%d" % (n, limit), bytes([limit, n]) + pack(value)
    for name, message in (("request", [0, 1, "ping", []]), ("response", [1, 1, None, 2]), ("error", [1, 1, {"type": "E", "message": "m", "future": 3}, None]), ("notification", [2, "done", [1, "FINISHED"]])):
        yield name, b"\xff\x03" + pack(message)
    for name, raw in (("claims", "dd7fffffff"), ("reserves", "dd03000000"), ("never", "c1"), ("deep", "91" * 200), ("str32", "dbffffffff"), ("map32", "dfffffffff")):
        yield name, b"\xff\x00" + bytes.fromhex(raw)


def configurations():
    yield "sample", open(os.path.join(ROOT, "config", "futured.yaml"), "rb").read()
    yield "system", open(os.path.join(ROOT, "systemd", "futured.yaml"), "rb").read()
    text = open(os.path.join(ROOT, "tests", "data", "config", "broken.txt"), encoding="utf-8", errors="surrogateescape").read()
    for n, case in enumerate(re.split(r"(?m)^### .*\n", text)[1:]):
        if case.strip():
            yield "case%d" % n, case.encode(errors="surrogateescape")


TARGETS = {"session": sessions, "worker": workers, "frame": frames, "config": configurations, "store": stores}


def history(path, directory):
    os.makedirs(directory, exist_ok=True)
    kept = open(path, "rb").read()
    for at in range(0, len(kept), 16 + 4096):
        number, size = struct.unpack_from("<QQ", kept, at)
        if number:
            with open(os.path.join(directory, "%012d" % number), "wb") as f:
                f.write(kept[at + 16:at + 16 + size])


def main():
    if sys.argv[1] == "--history":
        history(*sys.argv[2:])
        return
    for target, seeds in TARGETS.items():
        directory = os.path.join(sys.argv[1], "fuzz_%s.seeds" % target)
        os.makedirs(directory, exist_ok=True)
        for name, data in seeds():
            with open(os.path.join(directory, name), "wb") as f:
                f.write(data)


main()
