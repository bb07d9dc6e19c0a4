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

    def run(self, *args, input=None, timeout=20, **keys):
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
            os.execve(argv[0], argv, {k: v for k, v in env.items() if v is not None})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
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

    def until(self, text, timeout=10):
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

    def wait(self, timeout=15):
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
