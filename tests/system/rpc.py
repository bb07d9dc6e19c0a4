"""A raw MessagePack-RPC client over a socket: what a stranger would write who has read only PROTOCOL.md.

It shows the frames themselves (pipelining, bytes that are no frame, notifications in the order in which they came) and
holds the daemon to what it promises about every frame: exactly 4 or 3 elements, no answer to a msgid that is owed none,
error maps with str keys and a known type. Nothing here waits for ever: a daemon that does not answer is a Hang.
"""
import collections
import select
import socket
import struct
import time

import msgpack

PATIENCE = 40.0   # s; a machine may be very busy, and only what hangs waits for so long
ID_MAX = 2**53 - 1

ERROR_TYPES = {
    "TimeoutError", "CancelledError", "InvalidStateError", "BrokenPoolError", "WorkerLostError", "TaskTimeoutError",
    "DependencyError", "ExitError", "UnknownFutureError", "ExpiredFutureError", "UnknownPoolError", "UnknownMethodError",
    "QueueFullError", "LimitError", "ShutdownError", "PermissionError", "AuthenticationError", "ValueError",
    "UnsupportedError", "ProtocolError", "StoreError",
}
NOTIFICATIONS = {"done", "output", "progress", "event"}


class RpcError(Exception):
    """The error of a response."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error.get("type"), error.get("message")))
        self.error = error
        self.type = error["type"]


class Hang(AssertionError):
    """Something that the daemon owes did not come in time."""


class Closed(Exception):
    """The daemon closed the connection."""


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def request(msgid, method, *params):
    return pack([0, msgid, method, list(params)])


def notification(method, *params):
    return pack([2, method, list(params)])


def ref(future):
    """An argument that stands for the value of a future."""
    return msgpack.ExtType(1, future.to_bytes(8, "big"))


def unpacker():
    return msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape",
                            max_buffer_size=2**30)


def check_error(error):
    assert isinstance(error, dict), "an error is a map, not %r" % (error,)
    assert all(isinstance(key, str) for key in error), error
    assert isinstance(error.get("type"), str) and error["type"], error
    assert isinstance(error.get("message"), str) and error["message"], error
    assert error["type"] in ERROR_TYPES or error.get("task") is True, error
    if "future" in error:
        assert type(error["future"]) is int and 1 <= error["future"] <= ID_MAX, error
    if "cause" in error:
        check_error(error["cause"])
        assert error["cause"]["type"] != "DependencyError", error


def open_socket(address, source=None):
    if address.startswith("tcp:"):
        host, port = address[4:].rsplit(":", 1)
        return socket.create_connection((host, int(port)), PATIENCE, source and (source, 0))
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A blocking connect waits while the listener's queue is full; a Python timeout would make it fail with EAGAIN.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(PATIENCE), 0))
        s.connect(address[5:] if address.startswith("unix:") else address)
        s.settimeout(PATIENCE)
    except BaseException:
        s.close()
        raise
    return s


class Client:
    def __init__(self, address, patience=PATIENCE, source=None):
        self.patience = patience
        self.source = source
        self.socket = self._open(address)
        self.socket.setblocking(False)
        self.unpacker = unpacker()
        self.next_msgid = 1
        self.owed = collections.Counter()                       # msgid -> answers that have not come
        self.answers = collections.defaultdict(collections.deque)
        self.notes = collections.deque()                        # (method, params) not asked for yet
        self.protocol_error = self.refusal = None
        self.trace = None                                       # set to []: every frame, in the order it came
        self.is_closed = False

    def _open(self, address):
        return open_socket(address, self.source)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # Bytes

    def send(self, data):
        """Writes all of it, reading meanwhile, so that two full pipes cannot block each other."""
        view = memoryview(data)
        until = time.monotonic() + self.patience
        while view:
            readable, writable, _ = select.select([] if self.is_closed else [self.socket], [self.socket], [],
                                                  max(0, until - time.monotonic()))
            if readable:
                self._read()
            if writable:
                try:
                    view = view[self.socket.send(view):]
                except BlockingIOError:
                    pass
                except (BrokenPipeError, ConnectionResetError):
                    raise Closed("while writing") from None
                until = time.monotonic() + self.patience
            elif not readable:
                raise Hang("the daemon does not take our bytes")

    def end(self):
        """Says end of input, and goes on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def _read(self):
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.is_closed = True
            return
        self.unpacker.feed(data)
        for frame in self.unpacker:
            self._take(frame)

    def _take(self, frame):
        assert isinstance(frame, list) and frame, "not a frame: %r" % (frame,)
        assert self.protocol_error is None, "said after a ProtocolError: %r" % (frame,)
        if frame[0] == 1:
            assert len(frame) == 4, frame
            _, msgid, error, result = frame
            if error is not None:
                check_error(error)
                assert result is None, frame
                if error["type"] == "ProtocolError":
                    assert msgid == 0, frame
                    self.protocol_error = error
                    return
                if error["type"] == "LimitError" and msgid == 0 and not self.owed[0]:
                    self.refusal = error  # of the connection itself
                    return
            assert self.owed[msgid] > 0, "an answer that nobody asked for: %r" % (frame,)
            self.owed[msgid] -= 1
            self.answers[msgid].append((error, result))
        else:
            assert frame[0] == 2 and len(frame) == 3, frame
            assert frame[1] in NOTIFICATIONS and isinstance(frame[2], list), frame
            self.notes.append((frame[1], frame[2]))
        if self.trace is not None:
            self.trace.append(frame)

    def pump(self, until):
        """Reads once; false when the time has come or the connection has ended."""
        if self.is_closed:
            return False
        readable, _, _ = select.select([self.socket], [], [], max(0, until - time.monotonic()))
        if readable:
            self._read()
        return bool(readable)

    def _await(self, is_there, what, timeout):
        until = time.monotonic() + (self.patience if timeout is None else timeout)
        while not is_there():
            if not self.pump(until):
                if self.is_closed and not is_there():
                    raise Closed("%s; %s" % (what, self.protocol_error))
                if not is_there():
                    raise Hang(what)

    # Calls

    def request(self, method, *params):
        """Sends a request; returns its msgid."""
        msgid = self.next_msgid
        self.next_msgid += 1
        self.expect(msgid)
        self.send(request(msgid, method, *params))
        return msgid

    def expect(self, msgid):
        """One more answer to this msgid is owed: for requests sent as bytes."""
        self.owed[msgid] += 1

    def answer(self, msgid, timeout=None):
        """The result of a request, awaited; raises its error."""
        self._await(lambda: self.answers[msgid], "no answer to msgid %d" % msgid, timeout)
        error, result = self.answers[msgid].popleft()
        if error is not None:
            raise RpcError(error)
        return result

    def is_answered(self, msgid):
        """Whether the answer has come by now."""
        while self.pump(0):
            pass
        return bool(self.answers[msgid])

    def call(self, method, *params, timeout=None):
        return self.answer(self.request(method, *params), timeout)

    def notify(self, method, *params):
        self.send(notification(method, *params))

    # Notifications

    def notification(self, method, timeout=None):
        """The parameters of the next notification `method`, awaited; others stay."""
        found = lambda: next((n for n in self.notes if n[0] == method), None)
        self._await(found, "no notification '%s'" % method, timeout)
        note = found()
        self.notes.remove(note)
        return note[1]

    def pending_notifications(self, method=None):
        """What has been said up to an answer asked for now."""
        self.call("ping")
        return [params for name, params in self.notes if method in (None, name)]

    # Ends

    def await_close(self, timeout=None):
        self._await(lambda: self.is_closed, "the connection stays open", timeout)

    def await_protocol_error(self, timeout=None):
        """The connection ends with a ProtocolError, which is returned."""
        self.await_close(timeout)
        assert self.protocol_error is not None, "closed without a ProtocolError"
        return self.protocol_error
