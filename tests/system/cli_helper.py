"""fut, as a user meets it: through pipes, and in a pseudo-terminal."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import helpers

FUT = os.path.join(helpers.BUILD, "bin", "fut")
PLAIN = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def environment(directory, **more):
    env = {"PATH": os.environ["PATH"], "HOME": directory, "XDG_RUNTIME_DIR": directory, "XDG_STATE_HOME": directory, "LANG": "C.UTF-8",
           "TERM": "xterm", "FUTURED_NO_START": "1"}
    env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


class Fut:
    """fut, asking one daemon."""

    def __init__(self, directory, address=None, **env):
        self.directory = directory
        self.env = environment(directory, **({"FUTURED_ADDRESS": "unix:" + address} if address else {}), **env)

    def start(self, *args, **keys):
        keys = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.directory, **keys}
        env = {**self.env, **keys.pop("env", {})}
        return subprocess.Popen([FUT, *args], env={k: v for k, v in env.items() if v is not None}, **keys)

    def run(self, *args, input=None, timeout=60, **keys):
        if input is not None:
            keys["stdin"] = subprocess.PIPE
        process = self.start(*args, **keys)
        try:
            out, err = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise helpers.Hang("fut %s hangs; so far %r %r" % (" ".join(args), out, err)) from None
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def ok(self, *args, **keys):
        """Its stdout; it must have gone well."""
        done = self.run(*args, **keys)
        assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def json(self, *args, **keys):
        """Its answer, one object a line."""
        done = self.run("--json", *args, **keys)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def submit(self, *args):
        return self.ok("submit", *args).decode().strip()

    def terminal(self, *args, **keys):
        return Terminal([FUT, *args], {**self.env, **keys.pop("env", {})}, self.directory, **keys)


class Terminal:
    """A program in a terminal of its own, as its session's leader."""

    def __init__(self, argv, env, cwd, rows=24, columns=80, stdout=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            if stdout is not None:
                os.dup2(stdout, 1)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))   # here: the program asks as soon as it runs
            os.execve(argv[0], argv, {k: v for k, v in env.items() if v is not None})
        self.seen = b""
        self.status = None

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += data
        return bool(data)

    def until(self, text, timeout=40):
        """Reads until this was on the screen."""
        end = time.monotonic() + timeout
        while text not in self.plain():
            if not self.read(max(0, end - time.monotonic())):
                raise helpers.Hang("%r did not appear; seen: %r" % (text, self.seen))
        return self

    def plain(self):
        return PLAIN.sub(b"", self.seen)

    def type(self, data):
        os.write(self.fd, data)
        return self

    def wait(self, timeout=40):
        """Its exit status, as a shell would show it."""
        end = time.monotonic() + timeout
        while self.read(max(0, end - time.monotonic())):
            pass
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise helpers.Hang("still runs; seen: %r" % self.seen)
            time.sleep(0.01)
        os.close(self.fd)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def await_full(pipe):
    """Until a pipe that nobody reads holds all that it can."""
    def waiting():
        return struct.unpack("i", fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0" * 4))[0]
    helpers.eventually(lambda: waiting() > 60000)


class Screen:
    """What a vt100 shows: as much of one as full-screen programs ask of it with TERM=vt100."""

    TOKEN = re.compile(rb"\x1b\[([?0-9;]*)([A-Za-z])|\x1b([()].|[78=>DEM])|([\x00-\x1f])|([^\x00-\x1f]+)")

    def __init__(self, terminal, rows=24, columns=80):
        self.terminal = terminal
        self.at = 0
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [[" "] * columns for _ in range(rows)]
        self.y = self.x = 0
        self.top, self.bottom = 0, rows - 1

    def write(self, text):
        for c in text:
            if self.x >= self.columns:
                self.x = 0
                self.down()
            self.lines[self.y][self.x] = c
            self.x += 1

    def down(self):
        if self.y == self.bottom:
            del self.lines[self.top]
            self.lines.insert(self.bottom, [" "] * self.columns)
        else:
            self.y = min(self.y + 1, self.rows - 1)

    def up(self):
        if self.y == self.top:
            del self.lines[self.bottom]
            self.lines.insert(self.top, [" "] * self.columns)
        else:
            self.y = max(self.y - 1, 0)

    def blank(self, y, begin, end):
        self.lines[y][begin:end] = [" "] * (end - begin)

    def sequence(self, numbers, letter):
        n = [int(part) if part.isdigit() else 0 for part in numbers.split(b";")] + [0]
        if letter == b"H":
            self.y, self.x = min(max(n[0], 1), self.rows) - 1, min(max(n[1], 1), self.columns) - 1
        elif letter in b"ABCD":
            step = max(n[0], 1)
            self.y = max(0, min(self.rows - 1, self.y + {b"A": -step, b"B": step}.get(letter, 0)))
            self.x = max(0, min(self.columns - 1, self.x + {b"C": step, b"D": -step}.get(letter, 0)))
        elif letter == b"K":
            self.blank(self.y, 0 if n[0] else self.x, self.x + 1 if n[0] == 1 else self.columns)
        elif letter == b"J":
            self.blank(self.y, 0 if n[0] == 2 else self.x, self.columns)
            for y in range(0 if n[0] == 2 else self.y + 1, self.rows):
                self.blank(y, 0, self.columns)
        elif letter == b"r":
            self.top, self.bottom = max(n[0], 1) - 1, (n[1] or self.rows) - 1
            self.y = self.x = 0
        else:
            assert letter in b"mhl", (numbers, letter)

    def text(self):
        seen = re.sub(rb"\$<\d+[*/]*>", b"", self.terminal.seen[self.at:])
        for token in self.TOKEN.finditer(seen):
            numbers, letter, other, control, text = token.groups()
            if letter:
                self.sequence(numbers, letter)
            elif other == b"M":
                self.up()
            elif other in (b"D", b"E"):
                self.x *= other == b"D"
                self.down()
            elif control == b"\r":
                self.x = 0
            elif control == b"\n":
                self.down()
            elif control == b"\b":
                self.x = max(0, min(self.x, self.columns - 1) - 1)
            elif text:
                self.write(text.decode("utf-8", "replace"))
        self.at = len(self.terminal.seen)
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def until(self, condition, timeout=40):
        """The screen once it shows this: a text, or a function of the screen."""
        end = time.monotonic() + timeout
        test = condition if callable(condition) else lambda shown: condition in shown
        while True:
            shown = self.text()
            if test(shown):
                return shown
            if not self.terminal.read(max(0, end - time.monotonic())):
                raise helpers.Hang("%r did not appear; the screen:\n%s" % (condition, shown))
