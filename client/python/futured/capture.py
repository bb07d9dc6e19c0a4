"""What a task writes to the descriptors 1 and 2 past Python (os.write, C libraries, what it starts) as the task's output; kind process.

1 becomes a pipe of ours. 2 is a pipe of the daemon's, and stays that; we read it from this side, and the daemon stops to, until we
are dead: then it reads what is left. Both are read at three times: by a thread, as it comes; before something that was printed
through Python is sent, so that the order is right; at the end of the task. What comes without a task goes to the daemon's log.

The task may end this process at any moment, so bytes are never in our hands: the message's head, which says how many come, is sent, and
then they move from the pipe into the socket. If we die in between, the daemon has a head without bytes, which is nothing, and
finds them in the pipe."""
import ctypes
import fcntl
import os
import stat
import struct
import termios
import threading

from futured.worker import PIECE

LOGGED = 900  # bytes in a line of the log


class Pollfd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


class Capture:
    def __init__(self, slot, tell, descriptors, kept):
        self.slot, self.tell = slot, tell
        self.kept = kept  # other ends, so that there is no end of file though a task closes 1 and 2
        self.streams = tuple(zip(("stdout", "stderr"), descriptors))
        self.waiting = (Pollfd * 2)(*(Pollfd(fd, 1, 0) for fd in descriptors))
        self.looking = (Pollfd * 2)(*self.waiting)
        c = ctypes.CDLL(None)
        self.wait, self.look = c.poll, ctypes.PyDLL(None).poll  # the latter does not let go of the interpreter's lock
        self.fflush, self.splice = c.fflush, c.splice
        self.fflush.argtypes = (ctypes.c_void_p,)
        self.splice.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
        self.splice.restype = ctypes.c_ssize_t
        try:
            c.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
            c.setvbuf(ctypes.c_void_p.in_dll(c, "stdout"), None, 1, 0)  # C's: by lines
        except ValueError:
            pass  # it is called otherwise here
        threading.Thread(target=self.carry, name="futured-capture", daemon=True).start()

    def carry(self):
        while True:
            if self.wait(self.waiting, 2, -1) > 0:
                with self.slot.lock:
                    self.drain()

    def settle(self):
        self.fflush(None)
        if self.look(self.looking, 2, 0):
            with self.slot.lock:
                self.drain()

    def drain(self):
        """Sends what is there now. Under the slot's lock."""
        more = True
        while more and self.look(self.looking, 2, 0) > 0:
            more = False
            for stream, fd in self.streams:
                n = min(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0], PIECE)
                if n:
                    more = True
                    self.pass_on(stream, fd, n)

    def pass_on(self, stream, fd, n):
        if self.slot.task is None:
            data = os.read(fd, LOGGED)
            self.tell("log", "warn", data.decode("utf-8", "replace"))
            return
        self.slot.send(self.slot.pack_output_head(stream, n))
        while n:
            moved = self.splice(fd, None, self.slot.sock.fileno(), None, n, 0)
            if moved <= 0:  # not here: by hand
                data = os.read(fd, n)
                self.slot.send(data)
                moved = len(data)
            n -= moved


def begin(slot, tell):
    """None where it cannot be had: the descriptors then lead to the daemon's log."""
    try:
        if not stat.S_ISFIFO(os.fstat(2).st_mode):
            return None
        err = os.open("/proc/self/fd/2", os.O_RDONLY | os.O_CLOEXEC)
        out, to = os.pipe()
        os.dup2(to, 1)
        kept = to, os.dup(2)
    except OSError:
        return None
    return Capture(slot, tell, (out, err), kept)
