"""The command host, spoken to as the daemon speaks to it: docs/worker-contract.md, without a daemon."""
import array
import fcntl
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import msgpack
import pytest

import helpers
from helpers import BUILD, ROOT, sh

ENTRIES = 256
EMPTY, SENT, CLAIMED, REVOKED, STOP = range(5)
MIB = 1024 * 1024
PATIENCE = 30
ENV = ["PATH=/usr/bin:/bin"]
SANITIZED = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}


def program(name):
    path = os.path.join(BUILD, "tests", "programs", name)
    subprocess.check_call(["make", "-s", "-C", ROOT, "B=" + BUILD, path], stdout=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="session")
def nasty():
    return program("nasty")


@pytest.fixture(scope="session")
def dump():
    return program("dump")


class Ended(Exception):
    """The host closed a socket."""


class Wire:
    """One socket of the contract, from the daemon's side."""

    def __init__(self, sock):
        self.sock = sock
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)

    def send(self, *message):
        self.send_raw(msgpack.packb(list(message)))

    def send_raw(self, data):
        """Sends all of it, although the host may wait for us to read meanwhile."""
        self.sock.setblocking(False)
        view = memoryview(data)
        while len(view):
            readable, writable, _ = select.select([self.sock], [self.sock], [], PATIENCE)
            if not readable and not writable:
                raise helpers.Hang("the host does not read")
            if readable:
                self.receive()
            if writable:
                view = view[self.sock.send(view):]

    def receive(self):
        data = self.sock.recv(256 * 1024)
        if not data:
            raise Ended
        self.unpacker.feed(data)

    def next(self, timeout=PATIENCE):
        """The next message; Ended at the end of file."""
        until = time.monotonic() + timeout
        while True:
            for message in self.unpacker:
                return message
            if not select.select([self.sock], [], [], max(0, until - time.monotonic()))[0]:
                raise helpers.Hang("the host says nothing")
            try:
                self.receive()
            except ConnectionResetError:
                raise Ended from None

    def is_silent(self, seconds=0.0):
        """Nothing has come, nor does within some time."""
        for message in self.unpacker:
            raise AssertionError("the host said %r" % (message,))
        return not select.select([self.sock], [], [], seconds)[0]


class Host:
    """A futured-worker that we started and whose daemon we are."""

    def __init__(self, hello=None, prefix=(), board_size=4096, slots="1", greet=True):
        control, theirs_control = socket.socketpair()
        slot, theirs_slot = socket.socketpair()
        board = os.memfd_create("board")
        os.ftruncate(board, board_size)
        self.board = mmap.mmap(board, board_size)
        self.log = tempfile.TemporaryFile()
        inherited = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
                     for fd in (theirs_control.fileno(), board, theirs_slot.fileno(), self.log.fileno())]
        worker = os.path.join(BUILD, "libexec", "futured-worker")
        argv = list(prefix) + [worker]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_DUP2, inherited[3], 1), (os.POSIX_SPAWN_DUP2, inherited[3], 2),
                   (os.POSIX_SPAWN_DUP2, inherited[0], 3), (os.POSIX_SPAWN_DUP2, inherited[1], 4),
                   (os.POSIX_SPAWN_DUP2, inherited[2], 5)]
        self.pid = os.posix_spawn(argv[0], argv, {"FUTURED_SLOTS": slots, "SECRET": "not for tasks", **SANITIZED},
                                  file_actions=actions)
        self.pidfd = os.pidfd_open(self.pid)
        for fd in inherited + [board]:
            os.close(fd)
        theirs_control.close()
        theirs_slot.close()
        self.control, self.slot = Wire(control), Wire(slot)
        self.status = None
        self.last_id = 0
        self.entry = 0
        self.ready = None
        if greet:
            self.greet(hello)
            verb, self.ready = self.control.next()
            assert verb == "ready", self.ready

    @staticmethod
    def hello(**more):
        return {"protocol": 1, "pool": "shell", "kind": "command", "slots": 1, "board": ENTRIES, "message": 64 * MIB, "address": "unix:/nowhere",
                "options": {}, "initializer": None, "initargs": [], "a later key": 1, **more}

    def greet(self, hello=None):
        self.control.send("hello", self.hello(**(hello or {})))

    # the board

    def word(self, entry):
        return struct.unpack_from("=Q", self.board, 16 * entry + 8)[0]

    def state(self, entry):
        return self.word(entry) & 7

    def put(self, entry, task, word):
        struct.pack_into("=QQ", self.board, 16 * entry, task, task << 3 | SENT if word == SENT else word)

    # tasks

    def encode(self, fn, args=(), state=SENT, **options):
        """Puts a task on the board; returns its id and its run message."""
        self.last_id += 1
        entry, self.entry = self.entry, (self.entry + 1) % ENTRIES
        self.put(entry, self.last_id, state)
        options.setdefault("env", ENV)
        return self.last_id, msgpack.packb(["run", entry, self.last_id, 1, fn, list(args), options])

    def run(self, fn, args=(), **options):
        task, message = self.encode(fn, args, **options)
        self.slot.send_raw(message)
        return task

    def sh(self, script, *args, **options):
        return self.run(*sh(script, *args), **options)

    def answer(self, task):
        """The task's answer as [verb, value], with all its outputs in order: stdout and stderr are whole."""
        text = {"stdout": bytearray(), "stderr": bytearray()}
        while True:
            message = self.slot.next()
            assert message[1] == task, message
            if message[0] == "output":
                assert 0 < len(message[3]) <= 65536
                text[message[2]] += message[3]
                continue
            verb, _, value = message
            if verb == "exit":
                value = {**value, **{k: bytes(v + value.get(k, b"")) for k, v in text.items()}}
            return verb, value

    def result(self, task):
        """The map of its `exit`."""
        verb, value = self.answer(task)
        assert verb == "exit", value
        return value

    def do(self, fn, args=(), **options):
        return self.result(self.run(fn, args, **options))

    def do_sh(self, script, *args, **options):
        return self.result(self.sh(script, *args, **options))

    def await_output(self, task, text):
        """Reads until the running task has printed exactly that."""
        seen = b""
        while len(seen) < len(text):
            message = self.slot.next()
            assert message[:3] == ["output", task, "stdout"], message
            seen += message[3]
        assert seen == text

    # the host itself

    def children(self):
        with open("/proc/%d/task/%d/children" % (self.pid, self.pid)) as f:
            return f.read().split()

    def await_end(self, timeout=PATIENCE):
        """Its exit status."""
        if self.status is None:
            if not select.select([self.pidfd], [], [], timeout)[0]:
                raise helpers.Hang("the host does not end")
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def is_running(self):
        return self.status is None and not select.select([self.pidfd], [], [], 0)[0]

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def close(self):
        self.control.sock.close()
        self.slot.sock.close()
        try:
            self.await_end()
        finally:
            if self.status is None:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            os.close(self.pidfd)


@pytest.fixture
def hosts():
    """Starts hosts; each must end with status 0 when its daemon goes, unless the test saw it end."""
    started = []

    def start(**keys):
        started.append(Host(**keys))
        return started[-1]
    yield start
    for host in started:
        seen = host.status is not None
        host.close()
        assert "Sanitizer" not in host.said() and "runtime error" not in host.said(), host.said()
        assert seen or host.status == 0, host.said()


@pytest.fixture
def host(hosts):
    host = hosts()
    yield host
    if host.status is None:
        assert host.do("/bin/echo", ["still", "here"])["stdout"] == b"still here\n"
        assert host.children() == []


class Fifo:
    """Its reader sees end of file exactly when every process that holds it is dead."""

    def __init__(self, directory):
        self.path = str(directory / "fifo")
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def is_held(self):
        try:
            return os.read(self.fd, 1) != b""
        except BlockingIOError:
            return True


@pytest.fixture
def fifo(tmp_path):
    fifo = Fifo(tmp_path)
    yield fifo
    os.close(fifo.fd)


# ---- hello and ready ----

def test_ready_says_what_the_host_can_do(host):
    assert (host.ready["depth"], host.ready["stop"], host.ready["board"], host.ready["grow"]) == (ENTRIES, True, True, False)
    assert host.ready["name"] == "futured-worker" and host.ready["functions"] is None


@pytest.mark.parametrize("hello", [{"protocol": 2}, {"kind": "dance"}, {"slots": 2}, {"board": ENTRIES + 1}, {"message": 100},
                                   {"message": "large"}, {"options": []}, {"kind": 7}, {"rings": 8}])
def test_a_hello_that_cannot_be_served_fails_with_a_reason(hosts, hello):
    host = hosts(greet=False)
    host.greet(hello)
    verb, error = host.control.next()
    assert verb == "failed" and error["type"] and len(error["message"]) > 10
    assert host.await_end() == 1


@pytest.mark.parametrize("message", [b"\xc1", msgpack.packb({"hello": 1}), msgpack.packb([]), msgpack.packb([7]),
                                     msgpack.packb(["hi", {}]), msgpack.packb(["hello", [1]]), b"\xdd\x7f\xff\xff\xff"])
def test_a_first_message_that_is_no_hello_fails(hosts, message):
    host = hosts(greet=False)
    host.control.send_raw(message)
    assert host.control.next()[0] == "failed"
    assert host.await_end() == 1


def test_a_board_that_is_too_small_fails(hosts):
    host = hosts(greet=False, board_size=512)
    assert host.control.next()[0] == "failed"
    assert host.await_end() == 1


def test_a_host_that_was_not_started_by_a_daemon_says_so(hosts):
    host = hosts(greet=False, slots="many")
    assert host.await_end() == 1
    assert "not started by futured" in host.said()


# ---- exit ----

@pytest.mark.parametrize("status", [0, 1, 3, 127, 255])
def test_the_exit_status_is_told(host, status):
    value = host.do_sh("exit %d" % status)
    assert value["exit"] == status and "signal" not in value and "failed" not in value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN + 3])
def test_the_signal_that_ended_it_is_told(host, number):
    value = host.do_sh("kill -%d $$" % number)
    assert value["signal"] == number and "exit" not in value and "oom" not in value


def test_stdout_and_stderr_are_kept_apart(host):
    value = host.do_sh("echo out; echo err >&2; printf 'more\\0\\377'")
    assert (value["stdout"], value["stderr"]) == (b"out\nmore\0\xff", b"err\n")


def test_nothing_printed_is_not_mentioned(host):
    task = host.run("/bin/true")
    assert sorted(host.slot.next()[2]) == ["exit", "rusage"]
    assert task == host.last_id


def test_small_output_comes_with_the_answer(host):
    def alone():
        """It may come by itself where the shell takes its time."""
        task = host.sh("echo a; echo b >&2")
        messages = [host.slot.next()]
        while messages[-1][0] != "exit":
            messages.append(host.slot.next())
        assert all(message[1] == task for message in messages)
        return len(messages) == 1 and (messages[0][2]["stdout"], messages[0][2]["stderr"]) == (b"a\n", b"b\n")
    helpers.eventually(alone)


def test_argv_stays_argv(host):
    awkward = [b"", b"a b", b"\xff\xfe", b"$HOME", b"'\"\\", "ä".encode(), b"-n", b"*"]
    value = host.run("/usr/bin/printf", ["[%s]"] + awkward)
    assert host.result(value)["stdout"] == b"".join(b"[%s]" % a for a in awkward)


def test_rusage_is_the_leaders(host):
    value = host.do(sys.executable, ["-c", "x = bytearray(50 << 20)\nfor i in range(10**6): pass"])
    assert value["rusage"]["maxrss"] > 50 * MIB
    assert value["rusage"]["utime"] + value["rusage"]["stime"] > 0.005
    assert host.do("/bin/true")["rusage"]["maxrss"] < 50 * MIB


def test_output_of_a_running_task_comes_before_its_end(host):
    task = host.sh("echo first; read x; echo second", stdin=True)
    host.await_output(task, b"first\n")
    host.control.send("input", task, b"go\n", True)
    assert host.result(task)["stdout"] == b"second\n"


def test_ten_megabytes_on_both_outputs_at_once(host):
    script = "head -c %d /dev/zero & head -c %d /dev/zero | tr '\\0' x >&2; wait" % (10 * MIB, 10 * MIB)
    value = host.do_sh(script)
    assert value["stdout"] == b"\0" * (10 * MIB) and value["stderr"] == b"x" * (10 * MIB)


def test_a_pipe_that_the_task_enlarged_is_read_to_its_end(host):
    """The rest in the pipe is then more than an output message may hold, when nobody writes any more."""
    script = "import fcntl, os\nfcntl.fcntl(1, 1031, 1 << 20)\nos.write(1, b'x' * (1 << 20))"
    value = host.do("/usr/bin/python3", ["-c", script])
    assert value["exit"] == 0 and value["stdout"] == b"x" * MIB


# ---- stdin ----

def test_without_stdin_it_is_empty(host):
    assert host.do("/bin/cat")["stdout"] == b""


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 10 * MIB])
def test_stdin_bytes_are_fed_and_closed(host, size):
    data = os.urandom(size)
    assert host.do("/bin/cat", stdin=data)["stdout"] == data


@pytest.mark.parametrize("script", ["exit 0", "exec 0<&-; echo on", "head -c 1 >/dev/null; exec 0<&-; echo on; exit 0"])
def test_a_task_need_not_read_its_stdin(host, script):
    assert host.do_sh(script, stdin=b"x" * (4 * MIB))["exit"] == 0


def test_a_task_that_closed_its_stdin_can_go_on_for_long(host):
    task = host.sh("exec 0<&-; echo closed; kill -STOP $$; echo on", stdin=b"x" * MIB)
    host.await_output(task, b"closed\n")
    host.control.send("stop", task, "kill", 0)
    assert host.result(task)["signal"] == signal.SIGKILL


def test_input_is_fed_until_its_end(host):
    task = host.run("/bin/cat", stdin=True)
    for part in (b"one ", b"two ", b""):
        host.control.send("input", task, part, False)
    host.await_output(task, b"one two ")
    host.control.send("input", task, b"three", True)
    assert host.result(task)["stdout"] == b"three"


def taken(host, task, total):
    """Reads `taken` until so much was."""
    while total > 0:
        verb, of, n = host.control.next()
        assert (verb, of) == ("taken", task) and 0 < n <= total
        total -= n


def test_input_is_acknowledged_when_the_task_has_room(host, tmp_path):
    gate = helpers.Gate(str(tmp_path))
    task = host.run(*gate.task("wc -c"), stdin=True)
    gate.await_start()
    host.control.send("input", task, b"x" * 300000, False)
    verb, of, n = host.control.next()
    assert (verb, of, n) == ("taken", task, 65536), "what the pipe holds"
    assert host.control.is_silent(0.05)
    gate.open()
    taken(host, task, 300000 - n)
    host.control.send("input", task, b"", True)
    assert int(host.result(task)["stdout"]) == 300000
    gate.close()


def test_input_to_a_task_that_closed_its_stdin_counts_as_taken(host):
    task = host.sh("exec 0<&-; echo closed; sleep 1000", stdin=True)
    host.await_output(task, b"closed\n")
    host.control.send("input", task, b"x" * 200000, False)
    taken(host, task, 200000)
    host.control.send("stop", task, "kill", 0)
    assert host.result(task)["signal"] == signal.SIGKILL


def test_input_that_comes_before_its_task_is_kept(host):
    host.control.send("input", host.last_id + 1, b"early", True)
    assert host.do("/bin/cat", stdin=True)["stdout"] == b"early"


def test_input_for_a_task_that_waits_behind_another_is_kept(host):
    first = host.run("/bin/cat", stdin=True)
    second = host.run("/bin/cat", stdin=True)
    host.control.send("input", second, b"for the second", True)
    host.control.send("input", first, b"for the first", True)
    assert host.result(first)["stdout"] == b"for the first"
    assert host.result(second)["stdout"] == b"for the second"
    taken(host, first, len(b"for the first"))
    taken(host, second, len(b"for the second"))


def test_input_for_a_task_that_is_over_is_dropped(host):
    tasks = [host.run("/bin/true", stdin=True) for _ in range(3)]
    for task in tasks:
        host.result(task)
    for _ in range(100):
        for task in tasks:
            host.control.send("input", task, b"x" * MIB, False)
    assert host.do("/bin/cat")["stdout"] == b""


def test_more_input_than_the_message_limit_ends_the_host(hosts):
    host = hosts(hello={"message": 100000})
    task = host.sh("echo on; sleep 1000", stdin=True)
    host.await_output(task, b"on\n")
    try:
        for _ in range(4):
            host.control.send("input", task, b"x" * 60000, False)
    except (Ended, BrokenPipeError):
        pass  # it ended before the last
    assert host.await_end() == 1
    assert "more input" in host.said()


# ---- settings ----

def test_the_environment_is_the_tasks_alone(host):
    assert host.do("/usr/bin/env", env=["A=1", b"B=\xff", "EMPTY="])["stdout"] == b"A=1\nB=\xff\nEMPTY=\n"
    assert host.do("/usr/bin/env", env=[])["stdout"] == b""


def test_programs_are_looked_up_in_the_tasks_path(host, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text("#!/bin/sh\necho %s \"$@\"\n" % name)
        (tmp_path / name / "tool").chmod(0o755)
    path = "PATH=/nonexistent:%s:%s/a:%s/b" % (tmp_path / "a/tool", tmp_path, tmp_path)
    assert host.do("tool", ["x"], env=[path])["stdout"] == b"a x\n"
    (tmp_path / "a" / "tool").chmod(0o644)
    assert host.do("tool", ["x"], env=[path])["stdout"] == b"b x\n"
    (tmp_path / "b" / "tool").unlink()
    value = host.do("tool", env=[path])
    assert value["exit"] == 126 and "Permission denied" in value["failed"]


def test_an_empty_entry_of_path_is_the_working_directory(host, tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\necho here\n")
    (tmp_path / "tool").chmod(0o755)
    assert host.do("tool", env=["PATH=:/bin"], cwd=str(tmp_path))["stdout"] == b"here\n"


def test_without_path_the_usual_directories_are_searched(host):
    assert host.do("echo", ["x"], env=[])["stdout"] == b"x\n"


def test_cwd_holds_for_the_program_too(host, tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "tool").chmod(0o755)
    assert host.do("./tool", cwd=str(tmp_path))["stdout"].decode() == str(tmp_path) + "\n"


@pytest.mark.parametrize("cwd,reason", [("/nonexistent/place", "No such file"), ("/etc/passwd", "Not a directory")])
def test_a_cwd_that_is_none_is_named(host, cwd, reason):
    value = host.do("/bin/true", cwd=cwd)
    assert value["exit"] == 126 and cwd in value["failed"] and reason in value["failed"]
    assert value["rusage"] == {"utime": 0, "stime": 0, "maxrss": 0}


def test_umask_nice_and_limits_are_set(host, dump):
    limits = {"memory": 1 << 30, "cpu": 7, "files": 50, "file_size": 1000, "core": 0, "stack": 1 << 20, "processes": 500}
    lines = host.do(dump, umask=0o027, nice=5, limits=limits)["stdout"].decode().splitlines()
    for name, soft, hard in ((resource.RLIMIT_AS, 1 << 30, 1 << 30), (resource.RLIMIT_CPU, 7, 8), (resource.RLIMIT_NOFILE, 50, 50),
                             (resource.RLIMIT_FSIZE, 1000, 1000), (resource.RLIMIT_CORE, 0, 0),
                             (resource.RLIMIT_STACK, 1 << 20, 1 << 20), (resource.RLIMIT_NPROC, 500, 500)):
        assert "limit %d\t%d %d" % (name, soft, hard) in lines
    assert "umask\t27" in lines and "nice\t5" in lines
    lines = host.do(dump)["stdout"].decode().splitlines()
    assert "umask\t22" in lines and "nice\t0" in lines


def test_settings_that_are_nil_are_the_default(host):
    assert host.do("/bin/echo", ["x"], cwd=None, umask=None, nice=None, limits=None, stdin=None)["stdout"] == b"x\n"


def test_a_limit_that_cannot_be_set_is_named(host):
    value = host.do("/bin/true", limits={"files": 1 << 40})
    assert value["exit"] == 126 and "files" in value["failed"]


def test_the_memory_limit_holds(host):
    assert host.do("/usr/bin/python3", ["-c", "bytearray(1 << 30)"], limits={"memory": 256 * MIB})["exit"] == 1


# ---- what cannot be started ----

def test_a_program_that_is_not_there_is_127(host):
    value = host.do("/nonexistent/program")
    assert value["exit"] == 127 and "/nonexistent/program" in value["failed"]
    value = host.do("surely-nowhere")
    assert value["exit"] == 127 and "surely-nowhere" in value["failed"] and "/usr/bin:/bin" in value["failed"]


def test_a_file_that_cannot_be_executed_is_126(host, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo no shell, please\n")
    value = host.do(str(script))
    assert value["exit"] == 126 and str(script) in value["failed"]
    script.chmod(0o755)
    value = host.do(str(script))
    assert value["exit"] == 126 and "#!" in value["failed"], "no shell runs what is no program"
    assert host.do(str(tmp_path))["exit"] == 126


def test_a_missing_interpreter_is_told_from_a_missing_program(host, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    value = host.do(str(script))
    assert value["exit"] == 127 and "interpreter" in value["failed"]


def test_arguments_that_are_too_long_together_are_126(host):
    value = host.do("/bin/true", ["x" * 100000] * 80)
    assert value["exit"] == 126 and "too long" in value["failed"]


@pytest.mark.parametrize("fn,args,options,word", [
    ("", [], {}, "fn"),
    ("a\0b", [], {}, "fn"),
    ("/bin/true", ["ok", "a\0b"], {}, "argument 1"),
    ("/bin/true", [7], {}, "argument 0"),
    ("/bin/true", ["x" * 131072], {}, "128 KiB"),
    ("/bin/true", [], {"env": "A=1"}, "env"),
    ("/bin/true", [], {"env": ["A=1", "B"]}, "env 1"),
    ("/bin/true", [], {"env": ["=1"]}, "env 0"),
    ("/bin/true", [], {"env": ["A=\0"]}, "env 0"),
    ("/bin/true", [], {"env": [None]}, "env 0"),
    ("/bin/true", [], {"cwd": ""}, "cwd"),
    ("/bin/true", [], {"cwd": 1}, "cwd"),
    ("/bin/true", [], {"umask": 512}, "umask"),
    ("/bin/true", [], {"umask": -1}, "umask"),
    ("/bin/true", [], {"nice": "low"}, "nice"),
    ("/bin/true", [], {"limits": [1]}, "limits"),
    ("/bin/true", [], {"limits": {"wishes": 3}}, "wishes"),
    ("/bin/true", [], {"limits": {"cpu": -1}}, "cpu"),
    ("/bin/true", [], {"limits": {"cpu": float("nan")}}, "cpu"),
    ("/bin/true", [], {"limits": {"cpu": 1e300}}, "cpu"),
    ("/bin/true", [], {"stdin": 5}, "stdin"),
])
def test_a_task_that_makes_no_sense_is_a_value_error(host, fn, args, options, word):
    verb, error = host.answer(host.run(fn, args, **options))
    assert verb == "error" and error["type"] == "ValueError" and word in error["message"], error


# ---- the board ----

def test_a_task_is_claimed_with_its_start(host):
    before = time.monotonic_ns() // 1000
    entry = host.entry
    host.do("/bin/true")
    assert host.state(entry) == CLAIMED
    assert before <= host.word(entry) >> 3 <= time.monotonic_ns() // 1000


def test_a_revoked_task_is_passed_over_in_silence(host):
    first, m1 = host.encode("/bin/true")
    second, m2 = host.encode("/bin/touch", ["/nonexistent/x"], state=REVOKED)
    third, m3 = host.encode("/bin/true")
    host.slot.send_raw(m1 + m2 + m3)
    host.result(first)
    host.result(third)
    assert host.state(1) == REVOKED and second == 2


def test_an_entry_that_stands_for_another_task_is_passed_over(host):
    _, message = host.encode("/bin/true")
    host.put(0, 999, SENT)
    host.slot.send_raw(message)
    host.do("/bin/true")
    assert host.state(0) == SENT


def test_a_running_task_holds_back_those_behind_it(host):
    """What is not claimed can still be revoked, although it was sent."""
    first = host.sh("echo on; read x", stdin=True)
    second = host.run("/bin/true")
    host.await_output(first, b"on\n")
    assert host.state(1) == SENT
    host.put(1, second, REVOKED)
    host.control.send("input", first, b"\n", True)
    host.result(first)


def test_sixty_four_tasks_ahead_are_answered_in_order(host):
    for _ in range(3):
        tasks = [host.encode("/bin/echo", [str(n)]) for n in range(ENTRIES)]
        host.slot.send_raw(b"".join(message for _, message in tasks))
        for n, (task, _) in enumerate(tasks):
            assert host.result(task)["stdout"] == b"%d\n" % n


def test_messages_may_come_in_any_pieces(host):
    task, message = host.encode("/bin/cat", stdin=b"x" * 500)
    for at in range(0, len(message), 7):
        host.slot.send_raw(message[at:at + 7])
    assert host.result(task)["stdout"] == b"x" * 500


# ---- stopping ----

def test_ask_is_one_term_to_the_whole_tree(host):
    script = "trap 'echo leader; exit 7' TERM; (trap 'echo child >&2; exit 0' TERM; echo r; while :; do sleep 1; done) & " \
             "wait; wait"
    task = host.sh(script)
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "ask", None)
    value = host.result(task)
    assert value["exit"] == 7 and value["stdout"] == b"leader\n"


@pytest.mark.parametrize("how", ["ask", "kill"])
@pytest.mark.parametrize("modes", [["daemon"], ["thread"], ["subreaper"], ["clearenv", "FIFO", "daemon", "thread", "subreaper", "tree=1"]],
                         ids=" ".join)
def test_term_reaches_every_descendant(host, nasty, fifo, modes, how):
    """They die of it, while the leader, which does not, lives on: so it was no KILL."""
    task = host.run("/bin/sh", ["-c", 'trap : TERM; "$@" & while :; do wait; done', "sh", nasty] + worst(fifo, modes, "say=done"))
    host.await_output(task, b"done\n")
    leader = host.children()[0]
    assert fifo.is_held()
    host.control.send("stop", task, how, 1000)
    helpers.eventually(lambda: not fifo.is_held(), what="all but the leader have ended")
    assert leader in host.children()
    host.control.send("stop", task, "kill", 0)
    assert host.result(task)["signal"] == signal.SIGKILL


def test_a_task_may_go_on_after_it_was_asked(host):
    task = host.sh("trap 'echo no' TERM; echo r; until read x; do :; done; echo $x", stdin=True)
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "ask", None)
    host.await_output(task, b"no\n")
    host.control.send("input", task, b"done\n", True)
    assert host.result(task)["stdout"] == b"done\n"


def test_kill_gives_time_to_end(host):
    task = host.sh("trap 'echo bye; exit 5' TERM; echo r; while :; do sleep 0.01; done")
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "kill", 1000)
    value = host.result(task)
    assert value["exit"] == 5 and value["stdout"] == b"bye\n"


def test_kill_after_grace(host):
    task = host.sh("trap '' TERM; echo r; while :; do sleep 1000; done")
    host.await_output(task, b"r\n")
    begin = time.monotonic()
    host.control.send("stop", task, "kill", 0.2)
    value = host.result(task)
    assert value["signal"] == signal.SIGKILL and "oom" not in value
    assert time.monotonic() - begin >= 0.2


def test_kill_without_grace_is_at_once(host):
    task = host.sh("trap 'echo bye' TERM; echo r; sleep 1000")
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "kill", 0)
    value = host.result(task)
    assert value["signal"] == signal.SIGKILL and value["stdout"] == b""


def test_a_second_kill_can_shorten_the_grace(host):
    task = host.sh("trap '' TERM; echo r; while :; do sleep 1000; done")
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "kill", 1000)
    host.control.send("stop", task, "kill", 0.05)
    assert host.result(task)["signal"] == signal.SIGKILL


def test_a_stopped_task_hears_term(host):
    task = host.sh("echo r; kill -STOP $$")
    host.await_output(task, b"r\n")
    child = int(host.children()[0])
    helpers.eventually(lambda: helpers.process_state(child) == "T")
    host.control.send("stop", task, "kill", 1000)
    assert host.result(task)["signal"] == signal.SIGTERM


def test_a_stop_for_another_task_is_ignored(host):
    first = host.sh("echo r; read x", stdin=True)
    second = host.run("/bin/true")
    host.await_output(first, b"r\n")
    for task in (second, 0, 12345):
        host.control.send("stop", task, "kill", 0)
    host.control.send("input", first, b"\n", True)
    assert host.result(first)["exit"] == 0
    assert host.result(second)["exit"] == 0
    host.control.send("stop", second, "kill", 0)


def test_an_end_that_comes_with_the_hello_is_heard(hosts):
    """It lay in the host's buffer, and poll knew nothing of it: a daemon that was stopped while a host started waited for its grace to run out."""
    host = hosts(greet=False)
    host.control.send_raw(msgpack.packb(["hello", host.hello()]) + msgpack.packb(["end"]))
    assert host.control.next()[0] == "ready"
    assert host.await_end() == 0


def test_a_stop_for_another_attempt_is_ignored(host):
    """A task that timed out just as it ended runs again, maybe here: the stop that comes late is not for this attempt."""
    task = host.sh("echo r; read x", stdin=True)
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "kill", 0, 2)
    host.control.send("input", task, b"\n", True)
    assert host.result(task)["exit"] == 0
    task = host.sh("echo r; read x", stdin=True)
    host.await_output(task, b"r\n")
    host.control.send("stop", task, "kill", 0, 1)
    assert host.result(task)["signal"] == signal.SIGKILL


# ---- nothing survives ----

NASTY = {
    "daemon": ["daemon"],
    "holds stdout": ["holdout"],
    "ignores and blocks": ["ignore", "block", "daemon", "holdout", "tree=3"],
    "no environment": ["clearenv", "FIFO", "daemon", "tree=7"],
    "no descriptors": ["closefds", "daemon", "tree=7"],
    "thread": ["thread"],
    "stopped": ["stopped", "daemon"],
    "subreaper": ["subreaper", "subreaper"],
    "tree": ["tree=60"],
    "chain": ["chain=50"],
    "bomb": ["bomb=150"],
    "bomb of sessions": ["sbomb=150"],
    "everything": ["ignore", "daemon", "thread", "subreaper", "stopped", "tree=12", "chain=10", "holdout"],
}


def worst(fifo, modes, *more):
    """The modes with the FIFO first, or where they say FIFO."""
    opened = "fifo=" + fifo.path
    modes = [opened if m == "FIFO" else m for m in modes]
    return (modes if opened in modes else [opened] + modes) + list(more)


def begin_nasty(host, nasty, fifo, modes):
    """Runs it until it says that it has done its worst."""
    ready = ["say=done"] if "closefds" not in modes else []
    task = host.run(nasty, worst(fifo, modes, *ready))
    if ready:
        host.await_output(task, b"done\n")
    else:
        helpers.eventually(lambda: len(helpers.descendants(host.pid)) >= 8)
    assert fifo.is_held(), "the program has begun, so somebody holds it"
    return task


@pytest.mark.parametrize("modes", NASTY.values(), ids=NASTY.keys())
def test_what_a_task_leaves_is_gone_when_it_is_answered(host, nasty, fifo, tmp_path, modes):
    pids = tmp_path / "pids"
    value = host.do(nasty, ["pids=%s" % pids] + worst(fifo, modes, "exit=3"))
    assert not fifo.is_held(), "somebody lives on"
    assert host.children() == []
    assert value["exit"] == 3
    if "clearenv" not in modes:
        assert pids.read_text(), "the program has made no process: the test shows nothing"


@pytest.mark.parametrize("grace", [0, 0.05])
@pytest.mark.parametrize("modes", NASTY.values(), ids=NASTY.keys())
def test_nothing_survives_a_kill(host, nasty, fifo, modes, grace):
    task = begin_nasty(host, nasty, fifo, modes)
    host.control.send("stop", task, "kill", grace)
    value = host.result(task)
    assert not fifo.is_held(), "somebody lives on"
    assert host.children() == [] and "signal" in value


@pytest.mark.parametrize("modes", NASTY.values(), ids=NASTY.keys())
def test_nothing_survives_the_daemon(host, nasty, fifo, modes):
    begin_nasty(host, nasty, fifo, modes)
    host.control.sock.close()
    assert host.await_end() == 0
    assert not fifo.is_held(), "somebody lives on"


def test_nothing_survives_a_host_that_is_told_to_end(host, nasty, fifo):
    begin_nasty(host, nasty, fifo, NASTY["everything"])
    os.kill(host.pid, signal.SIGTERM)
    assert host.await_end() == 0
    assert not fifo.is_held(), "somebody lives on"


@pytest.mark.parametrize("mode", ["chain=1000000", "bomb=3000", "sbomb=3000"])
def test_a_fork_bomb_in_full_flight_is_ended(host, nasty, fifo, mode):
    value = host.do(nasty, worst(fifo, [mode], "exit=0"), limits={"processes": 1000})
    assert not fifo.is_held(), "somebody lives on"
    assert host.children() == [] and value["exit"] == 0


def test_orphans_of_a_long_task_are_reaped_while_it_runs(host):
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do (true & ) ; done; echo made; read x"
    task = host.sh(script, stdin=True)
    host.await_output(task, b"made\n")
    helpers.eventually(lambda: len(host.children()) == 1, what="only the leader is left")
    host.control.send("input", task, b"\n", True)
    host.result(task)


def test_a_task_cannot_hurt_its_host_by_signals_to_its_group_or_session(host):
    assert host.do_sh("kill -TERM 0")["signal"] == signal.SIGTERM
    assert os.getsid(host.pid) == host.pid
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTSTP, signal.SIGUSR1):
        os.kill(host.pid, number)
    assert host.do("/bin/true")["exit"] == 0


# ---- the ends of a host ----

def test_end_lets_the_running_task_finish(host):
    first = host.sh("echo r; read x; echo x", stdin=True)
    second = host.run("/bin/true")
    host.await_output(first, b"r\n")
    host.control.send("end")
    host.control.send("input", first, b"\n", True)
    assert host.result(first)["stdout"] == b"x\n"
    assert host.await_end() == 0
    assert host.state(1) == SENT and second == 2, "what had not begun is left to the daemon"


def test_end_of_an_idle_host(host):
    host.control.send("end")
    assert host.await_end() == 0


def test_the_end_of_the_slot_lets_the_running_task_finish(host, tmp_path):
    first = host.sh("echo r; read x; echo x > %s" % (tmp_path / "made"), stdin=True)
    host.run("/bin/true")
    host.await_output(first, b"r\n")
    host.slot.sock.shutdown(socket.SHUT_WR)
    host.control.send("input", first, b"\n", True)
    assert host.result(first)["exit"] == 0
    assert host.await_end() == 0
    assert (tmp_path / "made").exists() and host.state(1) == SENT


def test_a_slot_that_is_closed_altogether(host, tmp_path):
    first = host.sh("echo r; read x; head -c 1000000 /dev/zero; echo x > %s" % (tmp_path / "made"), stdin=True)
    host.await_output(first, b"r\n")
    host.slot.sock.close()
    host.control.send("input", first, b"\n", True)
    assert host.await_end() == 0
    assert (tmp_path / "made").exists()


def test_the_end_of_an_idle_slot(host):
    host.slot.sock.shutdown(socket.SHUT_WR)
    assert host.await_end() == 0


@pytest.mark.parametrize("where", ["control", "slot"])
@pytest.mark.parametrize("message", [b"\xc1", b"\x01", msgpack.packb([]), msgpack.packb(["dance"]), msgpack.packb([1, 2]),
                                     b"\xc6\xff\xff\xff\xff", b"\x91" * 40], ids=lambda m: m[:6].hex())
def test_a_message_that_is_none_ends_the_host_and_its_task(hosts, nasty, fifo, where, message):
    host = hosts()
    if where == "control":
        begin_nasty(host, nasty, fifo, ["daemon"])
    getattr(host, where).send_raw(message)
    assert host.await_end() == 1
    assert "worker contract" in host.said()
    assert not fifo.is_held()


@pytest.mark.parametrize("message", [["stop", 1], ["stop", -1, "ask", None], ["stop", 1, "tickle", 0], ["stop", 1, "kill", -1],
                                     ["stop", 1, "kill", float("inf")], ["input", 1, 5, True], ["input", 1, b"", 7],
                                     ["slot", 0]])
def test_control_messages_are_checked(hosts, message):
    host = hosts()
    host.control.send(*message)
    assert host.await_end() == 1


@pytest.mark.parametrize("message", [["run", 0, 1, 1, "/bin/true", []], ["run", ENTRIES, 1, 1, "/bin/true", [], {}],
                                     ["run", -1, 1, 1, "/bin/true", [], {}], ["run", 0, 1, 1, b"/bin/true", [], {}],
                                     ["run", 0, 1, 1, "/bin/true", {}, {}], ["run", 0, 1, 1, "/bin/true", [], []],
                                     ["run", 0, "1", 1, "/bin/true", [], {}]])
def test_run_messages_are_checked(hosts, message):
    host = hosts()
    host.put(0, 1, SENT)
    host.slot.send(*message)
    assert host.await_end() == 1


def test_what_later_versions_add_is_passed_over(host):
    task, message = host.encode("/bin/true", shape="round", secret="s", kwargs={})
    host.slot.send(*(msgpack.unpackb(message) + ["more", {"and": "more"}]))
    host.control.send("stop", 0, "ask", None, 1, "more")
    assert host.result(task)["exit"] == 0


# ---- back-pressure ----

def test_a_reader_that_stalls_costs_no_memory_and_loses_nothing(host):
    total = 60 * MIB
    before = helpers.rss(host.pid)
    task = host.sh("head -c %d /dev/zero; echo done >&2" % total)
    helpers.eventually(lambda: [p for p in helpers.descendants(host.pid) if is_stuck_writing(p)], what="back-pressure")
    assert helpers.rss(host.pid) - before < 4 * MIB
    value = host.result(task)
    assert len(value["stdout"]) == total and value["stderr"] == b"done\n"


def is_stuck_writing(pid):
    try:
        with open("/proc/%d/wchan" % pid) as f:
            return "pipe_write" in f.read()
    except OSError:
        return False  # it is gone


def test_a_task_whose_output_nobody_reads_can_be_killed(host, nasty, fifo):
    task = host.run("/bin/sh", ["-c", '"$1" "fifo=$2" daemon exit=0; cat /dev/zero', "sh", nasty, fifo.path])
    child = helpers.eventually(lambda: [p for p in helpers.descendants(host.pid) if is_stuck_writing(p)])
    assert child
    host.control.send("stop", task, "kill", 0)
    helpers.eventually(lambda: host.children() == [], what="all dead although the answer cannot be written")
    assert not fifo.is_held()
    assert host.result(task)["signal"] == signal.SIGKILL


def test_the_daemon_may_go_while_the_host_waits_to_answer(host):
    task = host.run("/bin/cat", ["/dev/zero"])
    helpers.eventually(lambda: [p for p in helpers.descendants(host.pid) if is_stuck_writing(p)])
    host.control.send("stop", task, "kill", 0)
    helpers.eventually(lambda: host.children() == [])
    host.control.sock.close()
    assert host.await_end() == 0


# ---- pipes in strange hands ----

def test_a_stranger_who_was_given_stdout_delays_nothing(host, tmp_path):
    """No end of file ever comes then: the pipe is open in a process that is not the task's."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        script = "import socket, array\ns = socket.socket(socket.AF_UNIX)\ns.connect(%r)\n" \
                 "s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1]))])\nprint('given')" % path
        task = host.run("/usr/bin/python3", ["-c", script])
        conn, _ = listener.accept()
        with conn:
            _, ancillary, _, _ = conn.recvmsg(1, socket.CMSG_SPACE(4))
            stdout = array.array("i", ancillary[0][2])[0]
            assert host.result(task)["stdout"] == b"given\n"
            with pytest.raises(BrokenPipeError):
                os.write(stdout, b"into the next task's output?")
            os.close(stdout)


def test_a_task_that_reads_its_own_output_cannot_block_the_host(host):
    script = "import os\nr = os.open('/proc/self/fd/1', os.O_RDONLY | os.O_NONBLOCK)\nfor i in range(20000):\n" \
             "    os.write(1, b'x')\n    try: os.read(r, 100)\n    except BlockingIOError: pass\n"
    assert host.do("/usr/bin/python3", ["-c", script])["exit"] == 0


# ---- what a task finds ----

GOLDEN_LIMITS = {resource.RLIMIT_NOFILE: 1024}


def golden(host, dump, **options):
    value = host.do(dump, ["a", "b"], **options)
    assert value["exit"] == 0, value
    found = {}
    for line in value["stdout"].decode().splitlines():
        key, _, text = line.partition("\t")
        found.setdefault(key, []).append(text)
    return found


def check_golden(host, dump, cwd, stdin_is="/dev/null flags=100000", **options):
    found = golden(host, dump, env=["B=2", "A=1"], **options)
    assert {k: v for k, v in found.items() if k.startswith("fd")} == {
        "fd 0": [stdin_is], "fd 1": ["pipe flags=1"], "fd 2": ["pipe flags=1"]}
    assert found["env"] == ["B=2", "A=1"]
    assert [found["argv %d" % n] for n in range(3)] == [[dump], ["a"], ["b"]]
    for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"):
        assert found[name] == ["0" * 16], name
    assert (found["umask"], found["cwd"], found["nice"], found["oom"]) == (["22"], [cwd], ["0"], ["0"])
    assert (found["session"], found["group"]) == (["own"], ["own"])
    assert (found["reaper"], found["parent_death"]) == (["0"], ["0"])
    assert found["tty"] != ["yes"]
    for number in range(16):
        soft, hard = resource.getrlimit(number)
        assert found["limit %d" % number] == ["%d %d" % (GOLDEN_LIMITS.get(number, soft), hard)]


def test_a_task_finds_what_is_its_own_and_nothing_else(host, dump):
    for _ in range(20):
        check_golden(host, dump, os.getcwd())
        check_golden(host, dump, os.getcwd(), stdin_is="pipe flags=0", stdin=b"x")


def test_a_task_finds_the_same_whatever_the_host_inherited(hosts, dump, tmp_path):
    """The positive control is the prefix itself: it shows up in a program started in the host's place."""
    spoil = ["/usr/bin/python3", "-c",
             "import os, signal, sys\nos.umask(0o077)\nfor n in (1, 2, 13, 10, 34): signal.signal(n, signal.SIG_IGN)\n"
             "signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 32)) | set(range(34, 65)))\nos.set_inheritable(os.open('/etc/passwd', 0), True)\n"
             "open('/proc/self/oom_score_adj', 'w').write('300')\nos.chdir(%r)\nos.execv(sys.argv[1], sys.argv[1:])" % str(tmp_path)]
    control = subprocess.run(spoil + [dump], stdout=subprocess.PIPE, check=True, close_fds=True).stdout.decode()
    assert "umask\t77" in control and "oom\t300" in control and "SigBlk\t0000000000000000" not in control
    check_golden(hosts(prefix=spoil), dump, str(tmp_path))


def test_what_one_task_does_to_its_descriptors_is_not_found_by_the_next(host, dump):
    script = "import fcntl, os\nfor n in (0, 1, 2): fcntl.fcntl(n, fcntl.F_SETFL, os.O_NONBLOCK)\nos.umask(0)\nos.chdir('/')\nos.nice(3)"
    for _ in range(3):
        host.do("/usr/bin/python3", ["-c", script])
        check_golden(host, dump, os.getcwd())


def test_descriptors_of_the_host_do_not_grow(host, nasty, fifo):
    def count():
        return sorted(os.listdir("/proc/%d/fd" % host.pid), key=int)
    before = count()
    for _ in range(10):
        host.do("/bin/cat", stdin=b"x")
        host.do("/nonexistent", stdin=True)
        host.do("/bin/true", cwd="/nonexistent")
        host.answer(host.run(""))
        host.do(nasty, worst(fifo, ["tree=5"], "exit=0"))
    assert count() == before


# ---- OOM ----

@pytest.fixture
def small_cgroup():
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    parent, limit = ("", "memory.max") if unified else ("/memory", "memory.limit_in_bytes")
    path = "/sys/fs/cgroup%s/futured-test-%d" % (parent, os.getpid())
    if not os.path.exists("/sys/fs/cgroup%s/cgroup.procs" % parent) or not os.access(os.path.dirname(path), os.W_OK):
        pytest.skip("no cgroup to be had")
    os.mkdir(path)
    try:
        if not os.path.exists(path + "/" + limit):
            pytest.skip("no memory limit to be had")
        with open(path + "/" + limit, "w") as f:
            f.write(str(32 * MIB))
        yield path
    finally:
        os.rmdir(path)


def test_a_task_that_the_oom_killer_ended_says_so(host, small_cgroup):
    script = "echo $$ >%s/cgroup.procs; exec /usr/bin/python3 -c 'x = bytearray(200 << 20)'" % small_cgroup
    value = host.do_sh(script)
    assert value["signal"] == signal.SIGKILL and value["oom"] is True
    # the counter is the machine's: that another test's task was hit just now must not count
    assert any("oom" not in host.do_sh("kill -KILL $$") for _ in range(10)), "it is compared with what it was"
