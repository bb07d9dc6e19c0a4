"""The connection of this process to a daemon: one socket, one reader thread.

Requests are sent without waiting for answers. The reader thread dispatches what comes: answers go to who asked, `done` settles a
future; its callbacks are left to another thread (callbacks.py). What a finalizer waits for in the reader thread, it reads on for.

When the connection is lost the reader thread takes it up again, if that can be done: resume.py.

Sending never waits for a lock: what is to be sent goes into a queue, and whoever has the lock sends all of it. So it may be done
from a finalizer, in whatever thread the garbage is collected."""
import codecs
import collections
import functools
import io
import itertools
import logging
import os
import pickle
import select
import socket
import struct
import sys
import threading
import time
import weakref

import msgpack

from futured import errors
from futured.resume import is_safe, resume
from futured.worker import PRINTED, current

log = logging.getLogger("concurrent.futures")
RELEASE_AT = 256  # forgotten futures are released so many at a time; one whose result is LARGE, with it
LARGE = 65536
AHEAD, HELD, SMALL = 4, 32, 4096  # see Connection.submit
UINT32 = struct.Struct(">I").pack
NAME = "futured-python/0.1.0"


class Lost(errors.BrokenPoolError):
    """The daemon closed the connection."""


class Follow:
    """The output of one task, on its way to our own stdout and stderr."""

    def __init__(self):
        self.at = {"stdout": 0, "stderr": 0}  # of the streams that have not ended: how far we are


class Connection:
    def __init__(self, sock, address):
        self.sock, self.address = sock, address
        self.out = collections.deque()  # (frame, 1 if it is a `submit`, number)
        self.sending = threading.Lock()
        self.batch, self.sent = [], []  # what was taken from out and is being sent; how many bytes of it each send took
        self.held = False     # nothing is sent until the connection is taken up again
        self.numbers = itertools.count(1)
        self.submitted = self.accepted = 0  # by submit: sent, and answered
        self.asked = {}       # msgid -> Future (of `submit`) or (function of (error, result), frame if it may be said again)
        self.futures = {}     # id -> Future that is not done
        self.forgotten = collections.deque()  # ids to be released
        self.changed = threading.Condition()
        self.waiting = 0
        self.lost = None
        self.secret = None
        self.hello = None
        self.executors = weakref.WeakSet()  # with pools that are bound to us
        self.slot = current()  # whose tasks we speak for, one after the other
        self.unpacker = self.new_unpacker()
        self.reader = threading.Thread(target=self.read, name="futured-reader", daemon=True)
        self.reader.start()
        self.hello = self.introduce()
        self.limit = self.hello["limits"]["message"]

    def new_unpacker(self):
        return msgpack.Unpacker(strict_map_key=False, max_buffer_size=(1 << 31) - 1, unicode_errors="surrogateescape")

    def introduce(self):
        """Says hello; in a task, whose it is: so the daemon sees when tasks wait for each other."""
        self.secret = self.slot.secret if self.slot is not None else None
        return self.call("hello", self.introduction(self.sock))

    def introduction(self, sock):
        told = {"protocol": 1, "client": NAME, "task": self.secret}
        if not self.address.startswith("unix:"):
            from futured.tls import token
            told["token"] = token(sock, self.address)
        return told

    def introduce_again(self):
        if self.slot is None or self.slot.secret == self.secret:
            return
        try:
            self.introduce()
        except errors.AuthenticationError:
            pass  # that task is over: who asks is a thread that it left behind

    # ---- sending ----

    def flush(self):
        """A signal's handler may raise at any moment (^C): then another thread, where none does, ends what was begun here."""
        try:
            self.send_all()
        except BaseException:
            threading.Thread(target=self.send_all, daemon=True).start()
            raise

    def send_all(self):
        while (self.out or self.batch) and not self.held:
            mine = []
            try:
                mine.extend(map(self.sending.acquire, (False,)))
                if not mine[0]:
                    return  # whoever has it sends ours
                self.send_batches()
            except OSError:
                self.held = True  # the reader finds out, and sees to it
            finally:
                if mine and mine[0]:
                    self.sending.release()

    def send_batches(self):
        """With the lock. What a handler raises comes between two calls, never within one of C: so the call that takes, or sends, is the one
        that writes down what."""
        while (self.out or self.batch) and not self.held:
            if not self.batch:
                self.sent.clear()
                self.batch.extend(itertools.starmap(self.out.popleft, itertools.repeat((), len(self.out))))
            data = self.batch[0][0] if len(self.batch) == 1 else b"".join([frame for frame, _, _ in self.batch])
            submits = sum([submit for _, submit, _ in self.batch])
            while (at := sum(self.sent)) < len(data):
                try:
                    self.sent.extend(map(self.sock.send, (memoryview(data)[at:],), (socket.MSG_DONTWAIT,)))
                except BlockingIOError:
                    poll = select.poll()
                    poll.register(self.sock, select.POLLOUT)
                    poll.poll()
            self.batch.clear()
            self.submitted += submits

    def request(self, handler, method, params):
        number = next(self.numbers) & 0xffffffff
        frame = msgpack.packb([0, number, method, params], unicode_errors="surrogateescape")
        self.asked[number] = handler, frame if is_safe(method, params) else None
        self.out.append((frame, 0, number))
        self.flush()
        if self.lost is not None and self.asked.pop(number, None) is not None:
            handler({"type": "BrokenPoolError", "message": str(self.lost)}, None)

    def call(self, method, *params):
        """Asks and waits."""
        answer = []
        self.request(lambda error, result: answer.append((error, result)), method, list(params))
        self.await_that(lambda: answer)
        error, result = answer[0]
        if error is not None:
            raise errors.rebuild(error, False)
        return result

    def tell(self, method, *params):
        """Asks and does not wait; whatever the answer."""
        self.request(lambda error, result: None, method, list(params))

    def submit(self, future, parts, size):
        """A call without options, put together by hand (the method, and what follows it): this is what must be fast.

        Small ones travel together while answers to AHEAD others are awaited: the reader sends what was held when one has come.
        Such a submit is answered soon, whatever else is under way."""
        number = next(self.numbers) & 0xffffffff
        self.asked[number] = future
        self.out.append((b"".join((b"\x94\x00\xce", UINT32(number), *parts)), 1, number))
        if self.submitted - self.accepted < AHEAD or len(self.out) >= HELD or size >= SMALL:
            self.flush()
        if self.lost is not None:
            self.fail_all()

    def forget(self, id, large):
        """Nobody can name it any more. From a finalizer."""
        self.forgotten.append(id)
        if large or len(self.forgotten) >= RELEASE_AT:
            self.release()

    def release(self):
        while self.forgotten and self.lost is None:
            ids = []
            try:
                while len(ids) < 10000:
                    ids.append(self.forgotten.popleft())
            except IndexError:
                pass
            self.tell("release", ids)

    def cancel_later(self, futures):
        """From a finalizer: nothing is waited for."""
        ids = []
        for f in futures:
            f._doomed = True
            if f._id is not None:
                ids.append(f._id)
        if ids and self.lost is None:
            self.tell("cancel", ids)

    def cancel_all(self, futures):
        """Cancels those that have not begun, in one call."""
        self.await_that(lambda: all(f._id is not None or f.done() for f in futures))
        ids = [f._id for f in futures if f._id is not None and not f.done()]
        if not ids or self.lost is not None:
            return
        self.cancel(ids)

    def cancel(self, ids):
        """Cancels what has not begun; True for each that is. Callbacks run here, not in the reader: it leaves them to us, unless a signal's
        handler raised here."""
        taken, answer, left = [], [], []

        def answered(error, result):
            if error is None:
                taken.extend(self.futures.pop(id, None) for id, gone in zip(ids, result) if gone)
            answer.append((error, result))
            if left:
                finish()

        def finish():
            self.finish_all((future, "CANCELLED", None, None) for future in taken if future is not None)
        try:
            self.request(answered, "cancel", [ids])
            self.await_that(lambda: answer)
            finish()
        except BaseException:
            left.append(True)
            if answer:
                threading.Thread(target=finish, daemon=True).start()
            raise
        error, result = answer[0]
        if error is not None:
            raise errors.rebuild(error, False)
        return result

    # ---- receiving ----

    def read(self):
        while self.lost is None:
            try:
                self.step()
            except BaseException as e:  # no memory, or a defect of ours: nobody may wait for what nobody reads
                log.critical("what the daemon at %s said could not be handled", self.address, exc_info=True)
                self.end("the connection to the daemon at %s is given up: %s: %s" % (self.address, type(e).__name__, e))

    def step(self):
        """Handles one message; waits for it."""
        try:
            message = next(self.unpacker, None)
            if message is None:
                if self.out or self.batch:
                    self.flush()
                data = self.sock.recv(1 << 18)
                if not data:
                    raise EOFError("it closed it")
                self.unpacker.feed(data)
                return
        except (OSError, EOFError) as e:
            resume(self, e)
        except (ValueError, msgpack.UnpackException) as e:
            self.end("what the daemon at %s says is no MessagePack: %s" % (self.address, e))
        else:
            self.handle(message)

    def end(self, why):
        self.lost = Lost(why)
        self.sock.close()
        self.fail_all()

    def await_that(self, question):
        """Waits until it is so, or the connection is lost. In the reader thread by reading on."""
        if threading.current_thread() is self.reader:
            while not question() and self.lost is None:
                self.step()
            return
        with self.changed:
            self.waiting += 1
            try:
                while not question() and (self.lost is None or self.asked or self.futures):
                    self.changed.wait(1)
            finally:
                self.waiting -= 1

    def wake(self):
        if self.waiting:
            with self.changed:
                self.changed.notify_all()

    def handle(self, message):
        if message[0] == 1:
            handler = self.asked.pop(message[1], None)
            if handler is None:
                if message[1] == 0 and message[2]:
                    self.end("the daemon at %s ended the connection: %s" % (self.address, message[2].get("message")))
            elif type(handler) is tuple:
                handler[0](message[2], message[3])
            else:
                self.accepted += 1
                self.accept(handler, message[2], message[3])
            self.wake()
        elif message[1] == "done":
            self.settle(*message[2][:4])
        elif message[1] == "progress":
            self.on_progress(*message[2][:4])
        elif message[1] == "output":
            self.on_output(*message[2][:5])

    def accept(self, future, error, id):
        if error is not None:
            self.finish(future, "FINISHED", error, None)
            return
        future._id = id
        self.enter(id, future)
        if future._doomed:
            self.tell("cancel", [id])

    def enter(self, id, future):
        """In the reader thread. Two objects may stand for one future: `key`, or attach."""
        other = self.futures.setdefault(id, future)
        if other is not future:
            other._twins = other._twins + (future,)
            if other.done():
                self.futures[id] = future

    def settle(self, id, state, error, result):
        """The future is final. Told by the daemon, or by who cancelled it: the first one counts."""
        future = self.futures.pop(id, None)
        if future is None:
            return
        if type(result) is list and future._pickled:
            result = result[0]
            if future._follow is None and state == "FINISHED":
                self.follow(future, id)
        elif future._pickled and future._follow is None and error and error.get("stderr") and error.get("type") == "WorkerLostError":
            self.follow(future, id)  # last words
        if future._follow is not None and future._follow.at:
            self.futures[id] = future
            future._held = (state, error, result)
            return
        self.finish(future, state, error, result)

    def finish(self, future, state, error, result):
        """Settles the object, with its callbacks, and lets it go."""
        executor, future._executor = future._executor, None
        try:
            if state == "CANCELLED":
                future._settle_cancelled()
            elif error is not None:
                e = errors.rebuild(error, future._pickled)
                if executor is not None and isinstance(e, errors.BrokenPoolError):
                    executor._note_broken(e)
                future.set_exception(e)
            else:
                self.set_result(future, result)
        except Exception:
            pass  # whoever holds it may have settled it already: then that counts
        finally:
            if not future._calls_later:
                future._leave()
            self.wake()
        for twin in future._twins:
            self.finish(twin, state, error, result)

    def finish_all(self, outcomes):
        """Where callbacks run in this thread: one that raises SystemExit does not keep the next from being told."""
        raised = None
        for outcome in outcomes:
            try:
                self.finish(*outcome)
            except BaseException as e:
                raised = e
        if raised is not None:
            raise raised

    def set_result(self, future, result):
        if future._pickled:
            future._large = len(result) >= LARGE
            try:
                result = pickle.loads(result)
            except BaseException as e:
                future.set_exception(errors.not_loaded(e))
                return
        future.set_result(result)

    # ---- what tasks say ----

    def on_progress(self, id, done, total, note):
        future = self.futures.get(id)
        if future is None:
            return
        if note != PRINTED:
            future.progress = (done, total, note)
        elif future._follow is None:
            self.follow(future, id)

    def follow(self, future, id):
        future._follow = Follow()
        self.follow_on(future, id)

    def follow_on(self, future, id):
        """From where we are; the order of what both streams say at first is the daemon's."""
        for stream, at in list(future._follow.at.items()):
            self.request(functools.partial(self.on_first_output, id, stream), "output", [id, {"stream": stream, "offset": at, "follow": True}])

    def on_first_output(self, id, stream, error, result):
        if error is None:
            self.on_output(id, stream, None, result, False)
        elif not error.get("lost"):
            self.end_output(id, stream)

    def on_output(self, id, stream, offset, data, eof):
        show(stream, data)
        future = self.futures.get(id)
        if future is not None and future._follow is not None and stream in future._follow.at:
            future._follow.at[stream] += len(data)
        if eof:
            self.end_output(id, stream)

    def end_output(self, id, stream):
        future = self.futures.get(id)
        if future is None or future._follow is None:
            return
        future._follow.at.pop(stream, None)
        if not future._follow.at and future._held is not None:
            del self.futures[id]
            self.finish(future, *future._held)

    def fetch(self, id):
        """It was done already: its outcome by asking."""
        def answered(error, result):
            if error is not None and error.get("lost"):
                return
            if error is not None and error.get("type") == "CancelledError" and not error.get("task"):
                self.settle(id, "CANCELLED", None, None)
            else:
                self.settle(id, "FINISHED", error, result)
        self.request(answered, "result", [id, 0])

    def fail_all(self):
        """Everybody is told that it is lost."""
        error = {"type": "BrokenPoolError", "message": str(self.lost)}

        def outcomes():
            for handler in taken_from(self.asked):
                if type(handler) is tuple:
                    handler[0](error, None)
                else:
                    yield handler, "FINISHED", error, None
            for future in taken_from(self.futures):
                yield future, *(future._held or ("FINISHED", error, None))
        try:
            self.finish_all(outcomes())
        finally:
            for executor in list(self.executors):
                executor._lose(self.lost)
            with self.changed:
                self.changed.notify_all()


def taken_from(things):
    """The values of a dict, each taken out; others may do the same meanwhile."""
    while things:
        try:
            yield things.popitem()[1]
        except KeyError:
            return


def show(stream, data):
    """What a task printed, where the caller prints."""
    if not data:
        return
    try:
        out = getattr(sys, stream)
        if type(out) is io.TextIOWrapper and codecs.lookup(out.encoding).name == "utf-8":
            out.flush()
            out.buffer.write(data)  # as it is: it may be no text, or end within a character
        else:
            out.write(data.decode("utf-8", "replace"))
        out.flush()
    except Exception:
        pass  # no stdout, or one that is closed: not the task's fault


_lock = threading.Lock()
_all = {}  # (address wanted, slot or None) -> Connection


def connection(address=None):
    """This process's connection to that daemon (None: the usual one, which is started if need be); in a worker, this slot's: what its
    task waits for is not what another's does."""
    with _lock:
        address = address or os.environ.get("FUTURED_ADDRESS") or None
        place = address, current()
        found = _all.get(place)
        if found is None or found.lost is not None:
            from futured.reach import reach
            try:
                found = _all[place] = Connection(*reach(address))
            except errors.BrokenPoolError:  # one that was ending had still let us in
                found = _all[place] = Connection(*reach(address))
    found.introduce_again()  # not with the lock: a callback in the reader thread may want that, too
    return found


def flush_all():
    """At the end of the interpreter: what was submitted and is still held is sent."""
    for c in list(_all.values()):
        c.release()
        while (c.out or c.batch) and not c.held and c.lost is None:
            c.flush()
            time.sleep(0.001)  # or somebody else is sending it
        if c.sending.acquire(timeout=5):
            c.sending.release()


def _forget():
    """After a fork: the parent's connections are not ours."""
    global _lock
    _lock = threading.Lock()
    for c in _all.values():
        c.lost = Lost("this process was forked from the one whose executor it was")
        c.sock.close()
    _all.clear()


os.register_at_fork(after_in_child=_forget)
