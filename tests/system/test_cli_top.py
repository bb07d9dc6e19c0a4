"""fut top, on the screen of a terminal: what it shows, its keys, resizing, and the terminal afterwards."""
import fcntl
import os
import re
import signal
import struct
import termios

import pytest

from cli_helper import FUT, Screen, Terminal


class Top:
    def __init__(self, fut, rows=24, columns=80, **env):
        self.terminal = fut.terminal("top", rows=rows, columns=columns, env={"TERM": "vt100", **env})
        self.screen = Screen(self.terminal, rows, columns)
        self.modes = termios.tcgetattr(self.terminal.fd)

    def until(self, condition):
        return self.screen.until(condition)

    def press(self, *keys):
        for key in keys:
            self.terminal.type({"down": b"\x1bOB", "up": b"\x1bOA"}.get(key, key.encode()))
        return self

    def resize(self, rows, columns):
        self.screen.text()
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self, status=0):
        fd = os.dup(self.terminal.fd)
        assert self.terminal.wait() == status
        local = termios.tcgetattr(fd)[3]
        os.close(fd)
        assert local & termios.ICANON and local & termios.ECHO


def row(shown, start):
    (line,) = [line for line in shown.split("\n") if line.startswith(start)]
    return line


def slow(gate, name):
    return ["-n", name, "sh", "-c", "echo $$ >%s; echo said by %s; echo warned >&2; read x <%s" % (gate.started, name, gate.go)]


def test_it_shows_pools_and_tasks_and_quits(fut, daemon, gate):
    fut.submit(*slow(gate, "eager"))
    gate.await_start()
    fut.submit("-p", "one", *slow(gate, "lonely"))
    gate.await_start()
    fut.submit("-p", "one", "-n", "waiting", "true")
    top = Top(fut)
    shown = top.until(lambda s: "waiting" in s and "ready" in s)
    assert "1/2" in row(shown, "shell") and "1/1" in row(shown, "one")
    assert re.search(r"one +command +\S+ +1/1 +1 +\S", row(shown, "one"))  # one is pending, for some time
    tasks = shown.split("TASK")[1]
    assert re.search(r"1 +shell +running.*MiB +eager\n +2 +one +running.*lonely\n +3 +one +pending.*waiting", tasks)
    assert "2 running   1 pending" in shown
    assert all(len(line) <= 80 for line in shown.split("\n"))
    top.press("q").end()


def test_it_follows_what_happens(fut, daemon):
    top = Top(fut)
    top.until("nothing runs and nothing waits")
    fut.submit("-n", "newcomer", "sleep", "100")
    top.until("newcomer")
    fut.ok("cancel", "--kill", "1")
    top.until("nothing runs and nothing waits")
    top.press("q").end()


def test_a_pool_is_paused_resumed_and_resized(fut, daemon, client):
    top = Top(fut)
    top.until("POOL")
    top.press("\t", "p").until("shell is paused")
    assert client.call("pools")[0]["paused"]
    top.until(lambda s: "paused" in row(s, "shell  "))
    top.press("p").until("shell is resumed")
    top.press("+").until(lambda s: "0/3" in row(s, "shell  "))
    top.press("-").until(lambda s: "0/2" in row(s, "shell  "))
    top.press("r").until("how many workers for shell?")
    top.press("7", "\r").until(lambda s: "0/7" in row(s, "shell  "))
    top.press("down", "r").until("workers for one?")
    top.press("x").until("left as it is")
    assert [p["workers"] for p in client.call("pools")[:2]] == [7, 1]
    top.press("q").end()


def test_a_task_is_cancelled_or_killed(fut, daemon, client, gate):
    fut.submit("-p", "one", *slow(gate, "runs"))
    gate.await_start()
    fut.submit("-p", "one", "-n", "waits", "true")
    top = Top(fut)
    top.until("waits")
    top.press("c").until("1 is not pending any more; k kills")
    top.press("k").until("kill 1 with all its processes?")
    top.press("n").until("left as it is")
    top.press("down", "w").until("2: ")
    top.press("c").until("2 is cancelled")
    top.press("up", "k").until("kill 1")
    top.press("y").until("1 is being stopped")
    top.until("nothing runs")
    assert client.call("state", [1, 2]) == ["CANCELLED", "CANCELLED"]
    top.press("q").end()


def test_the_output_of_a_task_is_shown_as_it_comes(fut, daemon, gate):
    fut.submit("-n", "talker", "sh", "-c", "seq 100; echo $$ >%s; read x <%s; printf 'last \\033[31m\\007words\\n'; sleep 100" % (gate.started, gate.go))
    gate.await_start()
    top = Top(fut)
    top.until("talker")
    shown = top.press("\r").until(lambda s: re.search(r"^100$", s, re.M))
    assert "1 stdout  RUNNING" in shown and "\n80\n" in shown and "\n9\n" not in shown
    gate.open()
    top.until("last \\x1b[31m\\x07words")
    top.press("\t").until("nothing yet")
    top.press("\t").until("words")
    top.press("up").until("scrolled back")
    top.press("q").until("talker")
    top.press("q").end()
    fut.ok("cancel", "--kill", "1")


WORDS = [r"\d+ running", r"\d+ pending", r"\d+ finished", r"\d+ cancelled", r"\d+\.\d/s", r"[\d.]+ MiB", r"up [\d.]+ \w+"]


@pytest.mark.parametrize("rows, columns, pools, tasks", [
    (24, 80, "POOL KIND BUSY PENDING OLDEST RATE MEAN STATE", "ID POOL STATE AGE CPU MEMORY TASK"),
    (20, 60, "POOL KIND BUSY PENDING OLDEST STATE", "ID POOL STATE AGE CPU TASK"),
    (12, 40, "POOL BUSY PENDING STATE", "ID STATE AGE TASK"),
    (50, 200, "POOL KIND BUSY PENDING OLDEST RATE MEAN STATE", "ID POOL STATE AGE CPU MEMORY TASK"),
])
def test_what_a_narrow_screen_has_no_room_for_goes_as_a_whole(fut, daemon, gate, rows, columns, pools, tasks):
    """Counts ran into the failures beside them, and columns ended in the middle, the state of the pools before all others."""
    fut.submit("false")
    fut.submit(*slow(gate, "a-name-of-some-length"))
    gate.await_start()
    top = Top(fut, rows, columns)
    lines = top.until(lambda s: "a-name" in s and "failed unseen" in s and "? help" in s).split("\n")
    assert all(len(line) <= columns for line in lines)
    counts, failures = re.fullmatch(r"(.*?)   +(\d+ failed unseen)", lines[1]).groups()
    assert all(re.fullmatch(word, part) for word, part in zip(WORDS, counts.split("   "))), counts
    heads = [" ".join(line.split()) for line in lines if "STATE" in line.split()]
    assert heads == [pools, tasks]
    assert row("\n".join(lines), "shell").endswith("ready") and lines[rows - 1].endswith("? help"), lines
    top.press("q").end()
    gate.open()


def test_it_survives_being_resized(fut, daemon):
    fut.submit("-n", "x" * 300, "sleep", "100")
    top = Top(fut)
    top.until("xxx")
    for rows, columns in ((12, 50), (5, 20), (1, 1), (40, 132), (24, 80)):
        top.resize(rows, columns)
        if columns >= 50:
            shown = top.until(lambda s: "xxx" in s if columns > 60 else "ID" in s)
            assert all(len(line) <= columns for line in shown.split("\n"))
    top.press("q").end()
    fut.ok("cancel", "--kill", "1")


def test_chosen_rows_stay_on_the_screen(fut, daemon, client):
    fut.ok("pool", "pause", "shell")
    for n in range(60):
        client.call("submit", "shell", "true", [], {"name": "task-%d-" % n})
    top = Top(fut)
    top.until("task-0-")
    top.press(*["down"] * 40)
    shown = top.until("task-40-")
    assert "task-0-" not in shown
    top.press("q").end()


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131), (signal.SIGINT, 0)])
def test_a_signal_leaves_the_terminal_as_it_was(fut, daemon, number, status):
    top = Top(fut)
    top.until("POOL")
    os.kill(top.terminal.pid, number)
    top.end(status)


def test_the_interrupt_key_quits(fut, daemon):
    top = Top(fut)
    top.until("POOL")
    top.press("\x03").end()


def test_the_alternate_screen_is_left(fut, daemon):
    terminal = fut.terminal("top").until(b"POOL")
    terminal.type(b"q")
    assert terminal.wait() == 0
    assert terminal.seen.count(b"\x1b[?1049h") == 1 and terminal.seen.rstrip().rfind(b"\x1b[?1049l") > terminal.seen.rfind(b"POOL")


def test_stopped_and_continued_it_draws_again(fut, daemon):
    shell = Terminal(["/bin/bash", "--norc", "-i"], {**fut.env, "PS1": "ready> ", "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]}, fut.directory)
    shell.until(b"ready>", 30).type(b"fut top\r").until(b"POOL", 30)
    for _ in range(5):   # each time while it draws: that was when ncurses' own handler was away
        shell.type(b"\x1a").until(b"Stopped", 30)
        assert shell.seen.rfind(b"\x1b[?1049l") > shell.seen.rfind(b"\x1b[?1049h")
        shell.seen = b""
        shell.type(b"fg\r").until(b"POOL", 30)
        assert b"\x1b[?1049h" in shell.seen
    shell.type(b"q").until(b"ready>").type(b"exit 7\r")
    assert shell.wait() == 7


def test_a_size_that_changed_while_it_was_stopped_is_seen(fut, daemon):
    shell = Terminal(["/bin/bash", "--norc", "-i"], {**fut.env, "TERM": "vt100", "PS1": "ready> ", "PATH": os.path.dirname(FUT) + ":" + fut.env["PATH"]},
                     fut.directory)
    shell.until(b"ready>", 30).type(b"fut top\r").until(b"POOL", 30).type(b"\x1a").until(b"Stopped", 30)
    fcntl.ioctl(shell.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    shell.seen = b""
    shell.type(b"fg\r").until(b"POOL", 30)
    Screen(shell, 10, 60).until(lambda s: s.rstrip().split("\n")[-1].startswith("q quit") and s.count("\n") == 9)
    shell.type(b"q").until(b"ready>").type(b"exit 7\r")
    assert shell.wait() == 7


def test_a_question_survives_being_resized(fut, daemon, client):
    top = Top(fut)
    top.until("POOL")
    top.press("\t", "r").until("how many workers for shell?")
    top.resize(20, 70)
    top.until("how many workers for shell?")
    top.press("7", "\r").until(lambda s: "0/7" in row(s, "shell  "))
    top.press("q").end()


def test_a_daemon_that_goes_is_told_on_a_restored_terminal(fut, daemon):
    daemon.must_end_well = False
    top = Top(fut)
    top.until("POOL")
    daemon.process.kill()
    daemon.process.wait()
    fd = os.dup(top.terminal.fd)
    assert top.terminal.wait() == 1
    assert termios.tcgetattr(fd)[3] & termios.ICANON
    os.close(fd)
    assert b"fut:" in top.terminal.seen.split(b"POOL")[-1]


def test_no_color_is_honoured(fut, daemon):
    terminal = fut.terminal("top", env={"NO_COLOR": "1"}).until(b"POOL")
    terminal.type(b"q")
    assert terminal.wait() == 0 and not re.search(rb"\x1b\[3[0-7]m", terminal.seen)
    painted = fut.terminal("top").until(b"POOL")
    painted.type(b"q")
    assert painted.wait() == 0 and re.search(rb"\x1b\[3[0-7]m", painted.seen)


@pytest.mark.parametrize("env, args, stdout", [({"TERM": "dumb"}, [], None), ({"TERM": None}, [], None), ({"TERM": "nosuchterm"}, [], None),
                                               ({}, ["--json"], None)], ids=str)
def test_where_it_cannot_draw_it_says_so(fut, daemon, env, args, stdout):
    terminal = fut.terminal(*args, "top", env=env)
    assert terminal.wait() in (1, 2) and b"fut:" in terminal.plain()


def test_in_a_pipe_it_names_the_verbs_for_programs(fut, daemon):
    done = fut.run("top")
    assert done.returncode == 2 and b"fut --json ls" in done.stderr and done.stdout == b""
