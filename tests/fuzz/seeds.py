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


TARGETS = {"session": sessions, "worker": workers, "frame": frames, "config": configurations}


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
