"""Plays the daemon to one host of the worker contract (docs/worker-contract.md), with nothing between: socketpairs, a claim
board in a file, and python3-msgpack, an implementation of the messages that is not ours.

Everything waits for a message, for at most TIMEOUT seconds."""
import array
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import time

import msgpack

import helpers

TIMEOUT = 20
WORKER = os.path.join(helpers.BUILD, "libexec", "futured-worker")
MODULES = os.path.join(helpers.BUILD, "modules")
BOARD_SIZE, ENTRIES, BOARDS = 4096, 256, 64
RINGS, RING_SIZE, RING_BYTES, RING_HEADER = BOARDS * BOARD_SIZE, 16512, 16384, 128
EMPTY, SENT, CLAIMED, REVOKED, STOP = range(5)


def module(name):
    return os.path.join(MODULES, name + ".so")


class Hang(AssertionError):
    """Something did not come in time."""


class Stream:
    """One socket: messages out, messages in."""

    def __init__(self, sock):
        self.sock = sock
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 28, unicode_errors="surrogateescape")
        self.ended = False

    def send(self, *messages, fds=()):
        data = b"".join(msgpack.packb(m, use_bin_type=True) for m in messages)
        self.send_bytes(data, fds)

    def send_bytes(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], ancillary)
        while sent < len(data):
            sent += self.sock.send(data[sent:])

    def receive(self, timeout=TIMEOUT):
        """The next message; None at the end of file."""
        until = time.monotonic() + timeout
        while True:
            for message in self.unpacker:
                return message
            if self.ended:
                return None
            if not select.select([self.sock], [], [], max(0, until - time.monotonic()))[0]:
                raise Hang("no message in %s s" % timeout)
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            self.ended = not data
            self.unpacker.feed(data)

    def silent(self, seconds=0.2):
        """Whether nothing comes for a while: for what must not happen."""
        try:
            return self.receive(seconds) is None
        except Hang:
            return True

    def close(self):
        self.sock.close()


class Slot(Stream):
    def __init__(self, host, number, sock):
        super().__init__(sock)
        self.host, self.number, self.entry = host, number, 0

    def offset(self, entry):
        return self.number * BOARD_SIZE + entry * 16

    def state(self, entry):
        """Of an entry: (state, start in µs)."""
        word = struct.unpack_from("=Q", self.host.board, self.offset(entry) + 8)[0]
        return word & 7, word >> 3

    def set_state(self, entry, state):
        """As the daemon does it, but without an exchange: for moments when the host cannot be claiming."""
        word = struct.unpack_from("=Q", self.host.board, self.offset(entry) + 8)[0]
        struct.pack_into("=Q", self.host.board, self.offset(entry) + 8, word & ~7 | state)

    def place(self, id, state=SENT):
        """Puts a task on the board; returns its entry."""
        entry, self.entry = self.entry, (self.entry + 1) % ENTRIES
        struct.pack_into("=QQ", self.host.board, self.offset(entry), id, id << 3 | state if state == SENT else state)
        return entry

    def message(self, fn, args=(), attempt=1, options=None, state=SENT):
        self.host.last_id += 1
        id = self.host.last_id
        entry = self.place(id, state)
        return id, entry, ["run", entry, id, attempt, fn, list(args), options or {}]

    def run(self, fn, *args, **keys):
        """Sends one task; returns its id and entry."""
        id, entry, message = self.message(fn, args, **keys)
        self.send(message)
        return id, entry

    def ring_field(self, name, value=None):
        form, offset = {"put": ("=Q", 0), "taken": ("=Q", 64), "heard": ("=Q", 72), "asleep": ("=I", 80)}[name]
        at = RINGS + self.number * RING_SIZE + offset
        if value is not None:
            struct.pack_into(form, self.host.board, at, value)
        return struct.unpack_from(form, self.host.board, at)[0]

    def ring(self):
        """Takes the messages that are in the ring."""
        first, put = self.ring_field("taken"), self.ring_field("put")
        at = RINGS + self.number * RING_SIZE + RING_HEADER
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        unpacker.feed(bytes(self.host.board[at + n % RING_BYTES] for n in range(first, put)))
        self.ring_field("taken", put)
        return list(unpacker)

    def await_ring(self, count):
        """The next `count` messages from the ring."""
        came = []

        def enough():
            came.extend(self.ring())
            return len(came) >= count
        helpers.eventually(enough, TIMEOUT, "%d messages are in the ring" % count)
        return came

    def stop(self, entry):
        """Asks a claimed task to stop."""
        helpers.eventually(lambda: self.state(entry)[0] == CLAIMED, TIMEOUT, "the task is claimed")
        self.set_state(entry, STOP)

    def answer(self, id):
        """Passes over what the task says before; returns the answer without its id."""
        said = []
        while True:
            message = self.receive()
            assert message is not None, "the host closed the slot instead of an answer"
            assert message[1] == id, (message, id)
            if message[0] not in ("output", "progress"):
                self.said = said
                return [message[0], *message[2:]]
            said.append(message)

    def ask(self, fn, *args, **keys):
        return self.answer(self.run(fn, *args, **keys)[0])

    def call(self, fn, *args, **keys):
        answer = self.ask(fn, *args, **keys)
        assert answer[0] == "ok", answer
        return answer[1]

    def error(self, fn, *args, **keys):
        answer = self.ask(fn, *args, **keys)
        assert answer[0] == "error", answer
        return answer[1]

    def printed(self, stream="stdout"):
        """What the last answered task printed."""
        return b"".join(m[3] for m in self.said if m[0] == "output" and m[2] == stream)


class Host:
    """A host process. hello=… overrides what the hello says; program=[…] runs another one than futured-worker. It uses rings where
    the hello says rings=RINGS."""

    def __init__(self, directory, kind, slots=1, program=None, env=None, **hello):
        self.directory, self.last_id, self.status, self.logged = directory, 0, None, []
        self.stderr_path = os.path.join(directory, "stderr")
        board = os.open(os.path.join(directory, "boards"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        size = RINGS + BOARDS * RING_SIZE
        os.ftruncate(board, size)
        self.board = mmap.mmap(board, size)
        pairs = [socket.socketpair() for _ in range(slots + 1)]
        theirs = [pairs[0][1].fileno(), board, *(pair[1].fileno() for pair in pairs[1:])]
        self.spawn(program or [WORKER], theirs, slots, env or {})
        os.close(board)
        for pair in pairs:
            pair[1].close()
        self.control = Stream(pairs[0][0])
        self.slots = [Slot(self, n, pair[0]) for n, pair in enumerate(pairs[1:])]
        self.control.send(["hello", {
            "protocol": 1, "pool": "test", "kind": kind, "slots": slots, "board": ENTRIES, "message": 1 << 20,
            "address": "unix:/nowhere", "options": {}, "initializer": None, "initargs": [], **hello}])

    def spawn(self, program, theirs, slots, env):
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200) for fd in theirs]  # clear of where they will go
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, self.stderr_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                   (os.POSIX_SPAWN_DUP2, 1, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + i) for i, fd in enumerate(high)]
        keep = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        # a host whose daemon is gone ends at once, with its threads as they are: that is no leak
        keep["TSAN_OPTIONS"] = keep.get("TSAN_OPTIONS", "") + " report_thread_leaks=0 atexit_sleep_ms=0"
        keep.update({"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "FUTURED_SLOTS": str(slots)}, **env)
        self.pid = os.posix_spawn(program[0], program, keep, file_actions=actions)
        for fd in high:
            os.close(fd)

    @property
    def slot(self):
        return self.slots[0]

    def hear(self, verb):
        """The next control message of this verb; log lines are kept on the way."""
        while True:
            message = self.control.receive()
            if message is None:
                raise Hang("the host ended without saying %s: %s" % (verb, self.stderr()))
            if message[0] == verb:
                return message
            assert message[0] == "log", message
            self.logged.append(message[1:])

    def ready(self):
        return self.hear("ready")[1]

    def failed(self):
        """The error it failed with; it must then end by itself."""
        error = self.hear("failed")[1]
        assert self.await_end() > 0
        return error

    def add_slot(self, number):
        ours, theirs = socket.socketpair()
        self.control.send(["slot", number], fds=[theirs.fileno()])
        theirs.close()
        self.slots.append(Slot(self, number, ours))
        return self.slots[-1]

    def end(self):
        self.control.send(["end"])
        return self.await_end()

    def await_end(self, timeout=TIMEOUT):
        """Its exit status; negative: the signal."""
        def has_ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.status = os.waitstatus_to_exitcode(status)
            return pid != 0
        if self.status is None:
            helpers.eventually(has_ended, timeout, "the host ends")
        return self.status

    def stderr(self):
        with open(self.stderr_path, errors="replace") as f:
            return f.read()

    def finish(self):
        """Closes all sockets, upon which a host must end, without a word from a sanitizer."""
        for stream in [self.control, *self.slots]:
            stream.close()
        try:
            self.await_end()
        except AssertionError:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        finally:
            self.board.close()
        text = self.stderr()
        assert "Sanitizer" not in text or self.status == -signal.SIGSEGV, text
