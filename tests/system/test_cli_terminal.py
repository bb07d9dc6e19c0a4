"""fut in a terminal: ^C, colours, progress, and what must not reach a screen."""
import fcntl
import os
import struct
import termios

import pytest

from cli_helper import FUT, Screen, Terminal
from helpers import eventually
from kinds import THREAD


def test_interrupt_key_cancels_and_waits(fut, daemon, client):
    screen = fut.terminal("run", "sh", "-c", "echo on; sleep 100").until(b"on")
    screen.type(b"\x03")
    assert screen.wait() == 130 and b"is cancelled" in screen.plain()
    assert [m["state"] for m in client.call("list")] == ["CANCELLED"]


@pytest.mark.parametrize("quiet", [[], ["-q"]], ids=["", "quiet"])
def test_interrupt_key_twice_leaves_it_and_tells_its_id(fut, daemon, client, quiet):
    screen = fut.terminal(*quiet, "run", "sh", "-c", "trap 'echo asked' TERM; echo on; while :; do sleep 0.1; done").until(b"on")
    screen.type(b"\x03")
    if not quiet:
        screen.until(b"^C again")
    screen.until(b"asked").type(b"\x03")
    assert screen.wait(4) == 130
    (running,) = client.call("list", {"state": "RUNNING"})
    assert b"fut: %d is still ending; `fut wait %d` waits for it" % (running["id"], running["id"]) in screen.plain()
    client.call("cancel", [running["id"]], {"running": "kill", "grace": 0})
    client.call("wait", [running["id"]])


def test_interrupt_key_twice_in_map_tells_the_ids(fut, daemon, client):
    screen = fut.terminal("-q", "map", "sh", "-c", "trap '' TERM; echo on >&2; while :; do sleep 0.1; done", "sh", ":::", "1", "2", "3")
    eventually(lambda: len(client.call("list", {"state": "RUNNING"})) == 2)
    eventually(lambda: fut.ok("logs", "--stderr", "1") and fut.ok("logs", "--stderr", "2"))
    screen.type(b"\x03")
    eventually(lambda: client.call("state", [3]) == ["CANCELLED"])
    screen.type(b"\x03")
    assert screen.wait(4) == 130 and b"fut: 1-2 are still ending; `fut wait 1-2` waits for them" in screen.plain(), screen.plain()
    client.call("cancel", [1, 2], {"running": "kill", "grace": 0})
    client.call("wait", [1, 2])


def test_run_tells_why_it_does_not_begin(fut, daemon, gate):
    fut.ok("pool", "pause", "one")
    screen = fut.terminal("run", "-p", "one", "echo", "ran").until(b"(paused)")
    fut.submit("-p", "one", "--priority", "9", *gate.task()[:1], *gate.task()[1])
    fut.ok("pool", "resume", "one")
    gate.await_start()
    screen.until(b"(workers)")
    gate.open()
    assert screen.wait() == 0 and screen.plain().endswith(b"ran\r\n") and screen.plain().count(b"\nfut: 1: ") + screen.plain().startswith(b"fut: 1: ") == 2, screen.plain()
    fut.ok("pool", "pause", "one")
    quiet = fut.terminal("-q", "run", "-p", "one", "echo", "ran")
    piped = fut.start("run", "-p", "one", "echo", "ran")
    fut.terminal("run", "-p", "one", "echo", "ran").until(b"(paused)").type(b"\x03").wait()
    fut.ok("pool", "resume", "one")
    assert quiet.wait() == 0 and quiet.seen == b"ran\r\n" and piped.communicate(timeout=40) == (b"ran\n", b"")


@pytest.mark.config(pools={"few": {"kind": "command", "workers": 1, "queue": 1}})
def test_run_tells_that_it_waits_for_room(fut, daemon, client):
    client.call("pause", "few")
    client.call("submit", "few", "true")
    screen = fut.terminal("run", "-p", "few", "--block", "echo", "ran").until(b"waiting for room in pool few")
    client.call("resume", "few")
    assert screen.wait() == 0 and b"ran" in screen.plain()


def test_a_terminal_is_not_the_tasks_stdin(sf):
    screen = sf.terminal("run", "readlink", "/proc/self/fd/0").until(b"/dev/null")
    assert screen.wait() == 0


def test_a_terminal_is_fed_when_asked(sf):
    screen = sf.terminal("run", "-i", "-", "tr", "a", "b")
    screen.type(b"banana\n\x04").until(b"bbnbnb")
    assert screen.wait() == 0


def test_progress_is_shown_on_a_terminal(sf):
    screen = sf.terminal("map", "sh", "-c", "sleep 0.0{}", ":::", *"123456789")
    assert screen.wait() == 0
    assert b"/9" in screen.plain() and b"%" in screen.plain() and b"/s" in screen.plain()
    assert screen.seen.endswith(b"\r\x1b[K")  # it leaves nothing behind


def test_progress_is_for_terminals_only(sf):
    assert sf.run("map", "true", ":::", "a", "b").stderr == b""
    screen = sf.terminal("-q", "map", "true", ":::", "a", "b")
    assert screen.wait() == 0 and screen.seen == b""


def test_results_and_progress_do_not_mix(sf):
    screen = sf.terminal("map", "sh", "-c", "sleep 0.1; echo line {}", ":::", *"12345")
    assert screen.wait() == 0
    lines = [line.rsplit(b"\r", 1)[-1] for line in screen.plain().replace(b"\r\n", b"\n").split(b"\n")]
    assert lines[:5] == [b"line %d" % n for n in range(1, 6)]


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_progress_keeps_clear_of_lines_that_do_not_end(sf, stream):
    screen = Screen(sf.terminal("map", "-j", "1", "sh", "-c", "printf %s $0" + stream + "; sleep 0.3; [ $0 != dd ]", ":::", "aa", "bb", "cc", "dd", env={"TERM": "vt100"}))
    assert screen.terminal.wait() == 1
    lines = screen.text().split("\n")
    assert [line for line in lines if len(line) == 2] == ["aa", "bb", "cc", "dd"] and any(line.startswith("fut: 1 of 4 failed") for line in lines), lines


def test_progress_knows_the_number_of_items_once_their_end_is_read(fut, daemon, gate):
    """They are read ahead: it does not take until the last one begins."""
    script, args = gate.task()
    words = " ".join("'%s'" % word.replace("'", "'\\''") for word in (script, *args))
    shell = "(seq 30; read x <'%s.more'; seq 20) | fut map -j 1 %s" % (gate.go, words)
    os.mkfifo(gate.go + ".more")
    screen = Terminal(["/bin/sh", "-c", shell], {**fut.env, "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}, fut.directory)
    gate.await_start()
    screen.until(b"0 done")
    with open(gate.go + ".more", "w") as more:
        more.write("on\n")
    screen.until(b"0/50  0%")
    gate.open(50)
    assert screen.wait() == 0


def test_progress_takes_nothing_from_a_pipe(sf):
    """stderr is a terminal, stdout is not; and where its reader writes to the same terminal, the line waits until it is a line's end."""
    read, write = os.pipe()
    screen = sf.terminal("map", "sh", "-c", "printf %s $0; sleep 0.2", ":::", "aa", "bb", "cc", "dd", stdout=write)
    os.close(write)
    with os.fdopen(read, "rb") as out:
        assert out.read() == b"aabbccdd"
    assert screen.wait() == 0 and b"4/4" not in screen.plain()
    shell = Terminal(["/bin/sh", "-c", "fut map sh -c 'printf %s $0; sleep 0.2' ::: aa bb cc dd | cat"], {**sf.env, "TERM": "vt100", "PATH": os.path.dirname(FUT) + ":" + sf.env["PATH"]}, sf.directory)
    assert shell.wait() == 0 and "aabbccdd" in Screen(shell).text()


@pytest.mark.parametrize("env, args, painted", [({}, [], True), ({"NO_COLOR": "1"}, [], False), ({"TERM": "dumb"}, [], False),
                                                ({}, ["--color=never"], False), ({"NO_COLOR": "1"}, ["--color=always"], True),
                                                ({"NO_COLOR": ""}, [], True)], ids=repr)
def test_colours_in_a_terminal(sf, env, args, painted):
    sf.submit("true")
    screen = sf.terminal(*args, "ls", env=env)
    assert screen.wait() == 0 and (b"\x1b[" in screen.seen) == painted


def test_no_colours_without_a_terminal(sf):
    sf.submit("true")
    assert b"\x1b" not in sf.ok("ls")
    assert b"\x1b[" in sf.ok("--color=always", "ls")


EVIL = "x\x1b]0;owned\x07\x1b[2Jy\x9b31mz\u202eq"


def test_control_characters_in_names_are_made_visible(fut, daemon):
    fut.submit("-n", EVIL, "true")
    screen = fut.terminal("ls", "--color=never")
    assert screen.wait() == 0
    for bad in (b"\x1b", b"\x07", b"\x9b", "\u202e".encode()):
        assert bad not in screen.seen
    assert b"\\x1b]0;owned\\x07" in screen.seen


def test_control_characters_in_errors_are_made_visible(sf):
    screen = sf.terminal("--color=never", "run", EVIL.replace("\u202e", ""))
    assert screen.wait() == 127
    assert b"\x1b" not in screen.seen and b"\\x1b" in screen.seen


def test_output_of_run_is_raw(sf):
    screen = sf.terminal("run", "printf", "\\033[1mbold")
    assert screen.wait() == 0 and b"\x1b[1mbold" in screen.seen


def test_binary_results_get_a_hint(sf):
    future = sf.submit("head", "-c", "5000", "/dev/zero")
    sf.ok("wait", future)
    screen = sf.terminal("result", future)
    assert screen.wait() == 0 and b"\0" not in screen.seen
    assert b"4.9 KiB of binary data; -o FILE saves it, `fut logs %s` shows it as it is" % future.encode() in screen.plain()
    assert sf.ok("result", future) == b"\0" * 5000


@pytest.mark.parametrize("text, binary", [(b"\x1b[31mred\x1b[0m\r\n", False), ("caf\u00e9 ol\u00e9, na\u00efve\n".encode("latin-1"), False), (b"a\0b", True), (bytes(range(128, 200)), True), (b"", False)], ids=repr)
def test_text_is_no_binary_data(sf, text, binary):
    path = os.path.join(sf.directory, "text")
    with open(path, "wb") as f:
        f.write(text)
    future = sf.submit("cat", path)
    sf.ok("wait", future)
    screen = sf.terminal("result", future)
    assert screen.wait() == 0 and (b"binary" in screen.plain()) == binary and (text in screen.seen.replace(b"\r\n", b"\n") or binary or b"red" in screen.seen)


def test_a_table_fits_the_terminal(fut, daemon):
    fut.submit("-n", "long " * 60, "true")
    screen = fut.terminal("ls", columns=60)
    assert screen.wait() == 0
    assert all(len(line) <= 60 for line in screen.plain().decode().replace("\r", "").split("\n"))
    assert "…" in screen.plain().decode()


@pytest.mark.parametrize("columns", [30, 12, 5])
def test_a_table_gives_up_columns_where_it_is_narrow(fut, daemon, columns):
    fut.submit("-n", "name", "true")
    screen = fut.terminal("ls", columns=columns)
    assert screen.wait() == 0
    lines = screen.plain().decode().replace("\r", "").split("\n")
    assert lines[0].lstrip().startswith("ID") and all(len(line) <= max(columns, 16) for line in lines), lines


def test_ls_watch_shows_what_runs_what_waits_and_what_ended_last(fut, daemon, client, gate):
    """It had the highest ids: what ran was not on the screen when enough was pending behind it."""
    client.call("wait", list(range(1, sum(client.call("map", "shell", "true", [[]] * 40)))))
    client.call("submit", "one", *gate.task())
    gate.await_start()
    client.call("map", "one", "true", [[]] * 40)
    screen = Screen(fut.terminal("ls", "--watch", rows=13, env={"TERM": "vt100"}), 13, 80)
    ids = lambda shown: [int(line.split()[0]) for line in shown.split("\n")[2:] if line]  # noqa: E731
    shown = screen.until(lambda s: "1 running  10+ pending" in s and len(ids(s)) == 10)
    assert ids(shown) == [41, 42, 43, 44, 45, 46, 47, 48, 40, 39]
    gate.open()
    screen.until(lambda s: "nothing runs and nothing waits" in s and ids(s) == list(range(81, 71, -1)))
    screen.terminal.type(b"\x03")
    assert screen.terminal.wait() == 130


@pytest.mark.parametrize("columns, pools, tasks", [(80, "POOL KIND BUSY PENDING MEAN STATE", "ID STATE POOL AGE TIME TASK"), (35, "POOL BUSY PENDING STATE", "ID STATE TIME TASK")])
def test_what_matters_least_goes_first_where_it_is_narrow(fut, daemon, columns, pools, tasks):
    """The state of a pool went first, as the last column; and what others had left was not used for the task's name."""
    fut.run("run", "-n", "a-name-that-is-longer-than-forty-columns-have-room-for", "true")
    for verb, head in (("ls", tasks), ("pool", pools)):
        screen = fut.terminal(*([verb] if verb == "ls" else [verb, "ls"]), columns=columns)
        assert screen.wait() == 0
        lines = screen.plain().decode().replace("\r", "").rstrip("\n").split("\n")
        assert lines[0].split() == head.split() and all(len(line) <= columns for line in lines), lines
        assert verb == "pool" or len(lines[1]) == columns, lines


@pytest.mark.config(pools={"io": THREAD})
def test_ls_limit_has_the_newest(fut, daemon, client):
    assert fut.json("ls", "--limit", "3") == []
    client.call("map", "io", "noop", [[]] * 3000)
    client.call("map", "io", "fail", [["as it should"]] * 10)
    client.call("wait", [[1, 3010]])
    ids = lambda *args: [int(n) for n in fut.ok("ls", "--ids", *args).split()]  # noqa: E731
    assert ids("--limit", "3") == [3008, 3009, 3010] and ids("--limit", "1") == [3010]
    assert ids("-s", "succeeded", "--limit", "2") == [2999, 3000] and ids("--limit", "5000") == list(range(1, 3011))
    client.call("release", [[2, 2998], [3002, 9]])
    assert ids("--limit", "3") == [1, 3000, 3001] and fut.ok("ls", "--limit", "2", "--count") == b"2\n"


def test_ls_watch_follows(fut, daemon, client):
    screen = fut.terminal("ls", "--watch")
    screen.until(b"no futures")
    fut.submit("-n", "fresh", "true")
    screen.until(b"fresh").type(b"\x03")
    assert screen.wait() == 130


def test_a_task_goes_on_when_the_terminal_hangs_up(fut, daemon, client):
    screen = fut.terminal("run", "sh", "-c", "echo on; sleep 100").until(b"on")
    os.close(screen.fd)
    screen.fd = os.open("/dev/null", os.O_RDONLY)
    screen.wait()
    (running,) = client.call("list", {"state": "RUNNING"})
    client.call("cancel", [running["id"]], {"running": "kill"})
    eventually(lambda: client.call("state", [running["id"]]) == ["CANCELLED"])


@pytest.mark.parametrize("columns", [80, 50, 44])
@pytest.mark.parametrize("verb", ["map", "run", "daemon", "ls"])
def test_help_fits_the_terminal(sf, verb, columns):
    screen = sf.terminal(verb, "-h", columns=columns)
    assert screen.wait() == 0
    text = screen.plain().decode().replace("\r", "")
    words = [line for line in text.split("\n") if line.startswith("      ")]
    assert words and all(len(line) <= columns for line in words), words


@pytest.mark.parametrize("columns", [100, 60, 30, 20])
def test_progress_fits_the_terminal(sf, columns):
    screen = sf.terminal("map", "sh", "-c", "sleep 0.0{}; [ {} != 3 ]", ":::", *"1234567", columns=columns)
    assert screen.wait() == 1
    drawn = [part.decode() for line in screen.plain().split(b"\n") for part in line.split(b"\r") if b"/7" in part]
    assert drawn and all(len(part) < columns for part in drawn), drawn


def test_progress_follows_the_terminals_width(fut, daemon, gate):
    screen = fut.terminal("map", "-j", "1", *gate.task()[:1], *gate.task()[1], ":::", *"abc", columns=100)
    gate.await_start()
    screen.until(b"0/3")
    fcntl.ioctl(screen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    gate.open()
    gate.await_start()
    at = len(screen.plain().rstrip(b"\r"))
    screen.until(b"1/3")
    gate.open(2)
    assert screen.wait() == 0
    drawn = [part.decode() for part in screen.plain()[at:].split(b"\r") if b"2/3" in part]
    assert all(len(part) < 40 for part in drawn), drawn


@pytest.mark.parametrize("env, painted", [({}, True), ({"NO_COLOR": "1"}, False)], ids=str)
def test_progress_has_colours_where_they_are_wanted(sf, env, painted):
    screen = sf.terminal("map", "sh", "-c", "sleep 0.2; : {}", ":::", *"12", env=env)
    assert screen.wait() == 0 and b"/2" in screen.plain() and (b"\x1b[32m" in screen.seen) == painted


def test_stopped_and_continued_run_ends_as_its_task_does(fut, daemon, gate):
    script, args = gate.task(then="echo later; exit 9")
    quoted = " ".join("'%s'" % word.replace("'", "'\\''") for word in (script, *args))
    shell = Terminal(["/bin/bash", "--norc", "-i"], {**fut.env, "PS1": "ready> ", "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}, fut.directory)
    shell.until(b"ready>").type(b"fut run %s\r" % quoted.encode())
    gate.await_start()
    shell.type(b"\x1a").until(b"Stopped", 30)
    gate.open()
    fut.ok("ls")
    shell.type(b"fg; echo status $?\r").until(b"later").until(b"status 9")
    shell.type(b"exit\r")
    assert shell.wait() == 0


@pytest.mark.parametrize("args", [["run", "yes"], ["map", "seq", ":::", "300000", "300000"], ["ls", "--watch"], ["events"], ["logs", "-f", "1"], ["--json", "logs", "-f", "1"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_error(fut, daemon, args):
    fut.submit("yes")
    shell = "fut %s | head -n 1" % " ".join(args)
    screen = Terminal(["/bin/bash", "-c", shell + "; echo ${PIPESTATUS[0]} quiet"], {**fut.env, "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}, fut.directory)
    while args[0] == "events" and b"{" not in screen.seen:
        fut.submit("true")
        screen.read(0.1)
    screen.until(b" quiet")
    assert screen.wait() == 0 and b"fut:" not in screen.plain(), screen.plain()
    fut.run("cancel", "--kill", "--grace", "0s", "--pool", "shell")
