"""Text that would do something to a terminal or to a log: every byte, and known attacks, through names, tags, arguments, output and errors,
in every view of fut and in the log."""
import re

import pytest

from cli_helper import Fut
from helpers import eventually

ATTACKS = {
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "reset": "\x1bc",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4K\x07",
    "hyperlink": "\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "device control": "\x1bP$q\"p\x1b\\",
    "overwrite": "\rFINISHED             ",
    "line above": "\x1b[1A\x1b[2Kall is well",
    "report": "\x1b[6n",
    "C1": "\x9b2J\x9d0;owned\x9c",
    "backspace": "rm -rf /\b\b\b\b\b\b\b\bls      ",
    "bidi": "safe\u202egnp.exe\u202c",
    "separator": "one\u2028two",
    "forged line": "x\n2026-01-01T00:00:00.000Z info  server: all is well",
}
EVERY_BYTE = "".join(map(chr, range(1, 256)))
TEXTS = {**ATTACKS, "every byte": EVERY_BYTE}


def each(texts, *samples):
    """All of them, of which but a few are for every check: a view of each costs some programs."""
    return [what if what in samples else pytest.param(what, marks=pytest.mark.long) for what in texts]


CONFIG = {
    "log": {"level": "debug", "tasks": "all"},
    "pools": {"shell": {"kind": "command", "workers": 2}, "lua": {"kind": "interpreter", "workers": 1}, "one": {"kind": "command", "workers": 1}},
}

HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def is_harmless(seen, text):
    """What a terminal was sent: lines, and nothing that it would act on."""
    shown = seen.decode("utf-8", "strict").replace("\r\n", "\n")
    assert "\r" not in shown and not HIDDEN.search(shown), repr(HIDDEN.findall(shown)) + repr(shown[:2000])
    if text in ATTACKS.values() and "\n" not in text:  # an error's message may have lines
        assert text not in shown


@pytest.fixture(scope="module")
def crowd(shared_daemon):
    """A future of each sort for each text, all finished but the last sort: name -> {sort: id}."""
    client = shared_daemon.client()
    client.call("pause", "one")
    made = {}
    for what, text in TEXTS.items():
        raw = text.encode()
        made[what] = {
            "fine": client.call("submit", "shell", "true", [raw], {"name": text, "tags": [text, "t"]}),
            "failed": client.call("submit", "shell", "/bin/sh", [b"-c", b'printf %s "$1" >&2; printf %s "$1"; exit 3', b"sh", raw], {"name": text}),
            "not there": client.call("submit", "shell", "/nonexistent/" + text, [], {"name": "n"}),
            "raised": client.call("submit", "lua", "eval", ["error(...)", text], {"name": text}),
            "pending": client.call("submit", "one", text, [text], {"name": text, "tags": [text]}),
        }
        client.call("wait", [id for sort, id in made[what].items() if sort != "pending"])
    yield made
    client.call("cancel", [sorts["pending"] for sorts in made.values()])


@pytest.fixture
def fut(shared_daemon):
    return Fut(shared_daemon.directory, shared_daemon.address)


VIEWS = [("ls",), ("ls", "--tag", "t"), ("failures",), ("--json", "ls"), ("--json", "failures"), ("pool", "ls"), ("pool", "show", "shell"), ("daemon", "stats")]


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_lists_on_a_terminal(fut, crowd, view):
    screen = fut.terminal("--color=never", *view)
    screen.wait()
    assert screen.seen
    is_harmless(screen.seen, "")
    for text in ATTACKS.values():
        assert text.encode() not in screen.seen


@pytest.mark.parametrize("sort", ["fine", "failed", "not there", "raised", "pending"])
@pytest.mark.parametrize("what", each(TEXTS, "every byte", "bidi", "forged line"))
def test_one_future_on_a_terminal(fut, crowd, what, sort):
    id = str(crowd[what][sort])
    views = [("show", id), ("why", id), ("--json", "show", id)]
    if sort == "not there" or sort == "raised":
        views += [("wait", id), ("result", id)]
    for view in views:
        screen = fut.terminal("--color=never", *view)
        screen.wait()
        is_harmless(screen.seen, TEXTS[what])


@pytest.mark.parametrize("what", each(ATTACKS, "title", "C1", "separator"))
def test_what_fut_itself_repeats(fut, crowd, what):
    """Mistakes on the command line, and what the daemon says to them."""
    text = TEXTS[what]
    for args in (("call", text, "f"), ("pool", "show", text), ("show", text), (text,), ("ls", "--state", text), ("run", "-p", text, "true"), ("daemon", text)):
        screen = fut.terminal("--color=never", *args)
        assert screen.wait() != 0 and screen.seen
        is_harmless(screen.seen, text)


def test_events_on_a_terminal(fut, crowd, shared):
    screen = fut.terminal("--color=never", "events")
    eventually(lambda: shared.call("submit", "shell", "true", [], {"name": "first"}) and (screen.read(0.1) or b"first" in screen.seen))
    for text in TEXTS.values():
        shared.call("wait", [shared.call("submit", "shell", "true", [], {"name": text})])
    last = shared.call("submit", "shell", "true", [], {"name": "the last one"})
    shared.call("wait", [last])
    screen.until(b"the last one").type(b"\x03")
    screen.wait()
    is_harmless(screen.seen.replace(b"^C", b""), "")


def test_control_what_is_passed_on_raw_is_caught(fut, crowd):
    """logs shows a task's output as it is, as the manual says: the check must not like it."""
    for what in ("title", "clear", "C1", "overwrite", "bidi"):
        screen = fut.terminal("--color=never", "logs", str(crowd[what]["failed"]))
        screen.wait()
        with pytest.raises(AssertionError):
            is_harmless(screen.seen, TEXTS[what])


# ---- the log ----

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) [a-z_]+: ")


def test_one_event_is_one_line_of_the_log(launch):
    """Each task that ends is an event, and so is each error that nobody looked at."""
    daemon = launch(CONFIG)
    client = daemon.client()
    client.call("hello", {"protocol": 1, "client": EVERY_BYTE})
    ids = []
    for text in TEXTS.values():
        client.call("hello", {"protocol": 1, "client": text})
        ids.append(client.call("submit", "lua", "eval", ["error(...)", text], {"name": text, "retain": 0}))
        ids.append(client.call("submit", "shell", "/nonexistent/" + text, [], {"name": text, "retain": 0}))
        ids.append(client.call("submit", "shell", "/bin/sh", [b"-c", b'printf %s "$1" >&2; exit 1', b"sh", text.encode()], {"name": text, "retain": 0}))
    eventually(lambda: client.call("list") == [], 20)
    eventually(lambda: daemon.log().count("before anybody looked at its error") == len(ids))
    lines = daemon.log().split("\n")
    assert lines.pop() == ""
    wrong = [line for line in lines if not LINE.match(line) or re.search("[\x00-\x1f\x7f-\x9f]", line)]
    assert not wrong, wrong[:5]
    assert not [line for line in lines if line.startswith("2026-01-01T00:00:00.000Z")]
    assert sum("before anybody looked at its error" in line for line in lines) == len(ids)


def test_control_a_forged_line_is_caught():
    assert not LINE.match("all is well") and not LINE.match("\x1b[2J2026-01-01T00:00:00.000Z info  server: x")
    assert LINE.match("2026-01-01T00:00:00.000Z info  server: all is well"), "that is what a forged one would look like"


def test_top(fut, crowd, shared):
    """A full-screen program has sequences of its own, but not these."""
    gate = shared.call("submit", "shell", "sleep", ["1000"], {"name": "".join(ATTACKS[w] for w in ("title", "report", "C1", "clipboard"))})
    screen = fut.terminal("top", env={"TERM": "vt100"})
    screen.until(b"owned").type(b"q")
    screen.wait()
    for what in ("title", "clipboard", "hyperlink", "device control", "report", "C1", "bidi"):
        assert ATTACKS[what].encode() not in screen.seen
    assert not HIDDEN.search(screen.seen.decode().translate({0x1b: None, 0x0e: None, 0x0f: None, 0x08: None, 0x0d: None}))
    shared.call("cancel", [gate], {"running": "kill", "grace": 0})
