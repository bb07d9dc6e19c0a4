"""The runtime `python`: a host of futured that runs Python functions. It speaks docs/worker-contract.md.

    python3 -m futured.worker [--unpickle]

fn is the import path of a function ("math.sqrt", "os.path.join", or a builtin), args and kwargs are MessagePack. With --unpickle a
host also takes calls that were pickled: fn "futured.call", args [bin]; whoever may submit to it may then run any code in it, which
import paths come close to anyway.

Every slot is a thread that reads a task, claims it, runs it and writes the answer. Python has no atomics: the claim is a function of
claim.so, which is built and installed with futured. Where it is not found the daemon sends one task at a time. What tasks print
through sys.stdout and sys.stderr goes to the daemon as `output`; in kind process also what they write to the descriptors 1 and 2
past Python (capture.py). In kind thread that goes to the daemon's log, since nobody can say whose it is."""
import builtins
import collections
import importlib
import io
import mmap
import os
import pickle
import socket
import sys
import threading
import traceback

import msgpack

CONTROL, BOARDS, SLOT = 3, 4, 5  # descriptors
DEPTH, ENTRY = 64, 16            # tasks taken ahead, at most; bytes of a claim board's entry
PIECE = 48 * 1024                # of output in one message, at most
NESTED = 24                      # levels of a value
TEXT = 256 * 1024                # characters of an error's texts, where they are too long
ENVELOPE = 65536                 # what may stand around arguments
PRINTED = "\0printed"            # the note of a progress message that says: there is output to be fetched
CALL, INITIALIZE = "futured.call", "futured.initialize"

here = threading.local()  # .slot: of the task that this thread runs
only = None               # the slot of a host that has one: what any thread prints is its task's


def find_claim():
    """futured_claim(address, id) of claim.so, beside this package where it is installed, or in the build tree."""
    import ctypes
    here = os.path.dirname(os.path.abspath(__file__))
    for place in "../../claim.so", "../../../build/lib/futured/claim.so":
        try:
            claim = ctypes.PyDLL(os.path.normpath(os.path.join(here, place))).futured_claim
        except (OSError, AttributeError):
            continue
        claim.argtypes, claim.restype = (ctypes.c_void_p, ctypes.c_uint64), ctypes.c_int
        return claim
    return None


class Boards:
    """The claim boards of this host."""

    def __init__(self):
        self.claim = find_claim()
        if self.claim is not None:
            import ctypes
            self.memory = mmap.mmap(BOARDS, os.fstat(BOARDS).st_size)
            self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        os.close(BOARDS)

    def of(self, number, entries):
        """A function of (entry, id) for that slot: whether the task may run now. `entries`: of a board, as the daemon says."""
        if self.claim is None:
            return lambda entry, id: True
        claim, board = self.claim, self.address + number * entries * ENTRY
        return lambda entry, id: claim(board + entry * ENTRY, id)


def current():
    return getattr(here, "slot", None) or only


def dumps(what, by_value=None):
    """Pickled; by cloudpickle where pickle cannot and it is there. `by_value`: an error, to be raised where it is not there;
    pickle would send a mere name."""
    try:
        if by_value is None:
            return pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    except Exception as e:
        by_value = e
    try:
        import cloudpickle
    except ImportError:
        raise by_value
    return cloudpickle.dumps(what, pickle.HIGHEST_PROTOCOL)


class NotSent(Exception):
    """A pickled call that cannot be loaded here."""


class Slot:
    """One worker: a socket, and the thread that serves it."""

    def __init__(self, sock, unpickle, claim):
        self.sock, self.unpickle, self.claim = sock, unpickle, claim
        self.ending = False  # nothing more is begun
        self.task = None     # the id of what runs
        self.secret = None   # what a client in the task shows the daemon
        self.wants = False   # its client wants to be told of output
        self.printed = False
        self.text = {"stdout": [], "stderr": []}
        self.lock = threading.RLock()
        self.capture = None  # of the descriptors 1 and 2
        self.pack = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape").pack

    def send(self, message):
        self.sock.sendall(message)

    def serve(self, limit):
        here.slot = self
        self.limit = limit
        for _, entry, task, _, fn, args, options, *_ in self.messages():
            if self.ending:
                return
            if self.claim(entry, task):
                self.task = task
                self.run(fn, args, options)
            del args, options

    def unpacker(self):
        return msgpack.Unpacker(strict_map_key=False, max_buffer_size=max(self.limit, 1 << 16) + 2 * ENVELOPE, unicode_errors="surrogateescape")

    def messages(self):
        """What the daemon says. What was received is kept until it is decoded: a client may say what no Python object can be (a map with
        an array for a key), and the task after that is another's."""
        unpacker, kept, first, at = self.unpacker(), collections.deque(), 0, 0  # where the first byte kept, and the next message, are
        while data := self.sock.recv(ENVELOPE):
            unpacker.feed(data)
            kept.append(data)
            while True:
                try:
                    message = next(unpacker)
                    at = unpacker.tell()
                except StopIteration:
                    break
                except Exception as e:
                    message, rest = self.pass_over(b"".join(kept)[at - first:], e)
                    unpacker, kept, first, at = self.unpacker(), collections.deque([rest]), 0, 0
                    unpacker.feed(rest)
                yield message
                message = None
            while kept and first + len(kept[0]) <= at:
                first += len(kept.popleft())

    def pass_over(self, data, why):
        """A message that cannot be decoded, and what has come behind it: instead of its function one that says why."""
        unpacker = self.unpacker()
        unpacker.feed(data)
        while True:
            try:
                unpacker.skip()
                break
            except msgpack.OutOfData:
                more = self.sock.recv(ENVELOPE)
                if not more:
                    raise
                unpacker.feed(more)
                data += more
        end = unpacker.tell()
        head = self.unpacker()
        head.feed(data[:end])
        head.read_array_header()
        return [*(head.unpack() for _ in range(3)), 0, undecodable, [why], {}], data[end:]

    def run(self, fn, args, options):
        self.secret, self.printed, self.wants = options.get("secret"), False, fn == CALL
        try:
            if self.wants:
                answer = self.call_pickled(args)
            else:
                value = (fn if fn is undecodable else find(fn))(*args, **options.get("kwargs", {}))
                self.settle()
                answer = self.pack(["ok", self.task, shallow(value)])
            if len(answer) > self.limit:
                raise ValueError("the result has %d bytes; the daemon takes %d (limits.message)" % (len(answer), self.limit))
        except BaseException as e:
            self.settle()
            answer = self.failure(e)
        with self.lock:
            self.flush()
            task, self.task = self.task, None
            self.send(answer)

    def call_pickled(self, args):
        if not self.unpickle:
            raise PermissionError("this pool's workers were not started with --unpickle, so they take import paths only")
        try:
            fn, arguments, kwargs = pickle.loads(args[0])
        except BaseException as e:
            raise NotSent("the call cannot be unpickled in the worker: %s: %s" % (type(e).__name__, e)) from e
        value = fn(*arguments, **kwargs)
        answer = dumps(value)
        self.settle()
        return self.pack(["ok", self.task, [answer, True] if self.printed else answer])

    def failure(self, e):
        error = error_map(e, self.wants)
        answer = self.pack(["error", self.task, error])
        if len(answer) > self.limit:
            error = {"type": error["type"], "message": error["message"][:TEXT], "traceback": error["traceback"][-TEXT:]}
            answer = self.pack(["error", self.task, error])
        return answer

    def settle(self):
        """The task is over: sends what it printed."""
        if self.capture is not None:
            self.capture.settle()
        self.flush()

    def write(self, stream, text):
        with self.lock:
            if self.task is None:
                return False
            if self.capture is not None:
                self.capture.drain()
            self.text[stream].append(text)
            if "\n" in text or len(text) > PIECE:
                self.flush(stream)
        return True

    def flush(self, *streams):
        if not self.text["stdout"] and not self.text["stderr"]:
            return
        with self.lock:
            for stream in streams or ("stdout", "stderr"):
                data = "".join(self.text[stream]).encode("utf-8", "surrogateescape")
                self.text[stream].clear()
                for at in range(0, len(data) if self.task is not None else 0, PIECE):
                    self.output(stream, data[at:at + PIECE])

    def output(self, stream, data):
        self.send(self.pack_output_head(stream, len(data)) + data)

    def pack_output_head(self, stream, size):
        """An output message but for its last `size` bytes; before a task's first one, the note that there is some."""
        note = self.pack(["progress", self.task, 0, None, PRINTED]) if self.wants and not self.printed else b""
        self.printed = True
        return note + b"\x94" + self.pack("output") + self.pack(self.task) + self.pack(stream) + b"\xc6" + size.to_bytes(4, "big")

    def progress(self, done, total, note):
        with self.lock:
            if self.task is not None:
                self.send(self.pack(["progress", self.task, done, total, note]))


def number(n):
    return n if type(n) is float or type(n) is int and abs(n) < 1 << 53 else float(n)


def progress(done, total=None, note=""):
    """Says, in a task, how far it is; whoever watches its future is told. Elsewhere it does nothing."""
    done, total, note = number(done), None if total is None else number(total), str(note)
    slot = current()
    if slot is not None:
        slot.progress(done, total, note)


def undecodable(why):
    raise ValueError("the arguments cannot be decoded in Python: %s: %s" % (type(why).__name__, why)) from None


def find(path):
    """The callable of an import path."""
    names = path.split(".")
    if len(names) == 1:
        thing = getattr(builtins, path, None)
        if callable(thing):
            return thing
        raise LookupError("no such function: %s (expected module.function, or a builtin)" % path)
    for split in range(len(names) - 1, 0, -1):
        module = ".".join(names[:split])
        try:
            thing = importlib.import_module(module)
        except ModuleNotFoundError as e:
            if e.name is not None and (module + ".").startswith(e.name + "."):
                continue
            raise
        try:
            for name in names[split:]:
                thing = getattr(thing, name)
        except AttributeError:
            break
        if callable(thing):
            return thing
        raise TypeError("%s is not callable" % path)
    raise LookupError("no such function: %s" % path)


def shallow(value, depth=NESTED):
    """The value, if it is not nested too deep."""
    if isinstance(value, (list, tuple, dict)):
        if not depth:
            raise ValueError("the result is nested deeper than %d" % NESTED)
        for inner in value.values() if isinstance(value, dict) else value:
            shallow(inner, depth - 1)
    return value


def text_of(e):
    try:
        return str(e)
    except BaseException:
        return "an exception that cannot be shown"


def traceback_of(e):
    """As concurrent.futures shows it, without the frames of this file."""
    tb = e.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    try:
        return "".join(traceback.format_exception(type(e), e, tb))
    except BaseException:
        return type(e).__name__


def error_map(e, pickled=True):
    error = {"type": type(e).__name__, "message": text_of(e), "traceback": traceback_of(e)}
    if pickled:
        error["data"] = pickled_exception(e)
    return error


def pickled_exception(e):
    """None where it cannot be: the client then has its text."""
    e.__traceback__ = None
    if isinstance(e, NotSent):
        return {"not_sent": True}
    try:
        return dumps(e)
    except BaseException:
        return None


class Forked:
    """Stands for the slot in a process that the task forked: the slot's socket is not ours."""

    def __init__(self, secret):
        self.secret = secret

    def write(self, stream, text):
        return False

    def flush(self, *streams):
        pass

    def progress(self, done, total, note):
        pass


def _forget():
    global only
    slot, here.slot = current(), None
    only = slot and Forked(slot.secret)


class Bytes(io.RawIOBase):
    """sys.stdout.buffer"""

    def __init__(self, stream):
        self.stream = stream

    def writable(self):
        return True

    def write(self, data):
        self.stream.write(bytes(data).decode("utf-8", "surrogateescape"))
        return len(data)


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr: of the task that runs; without one, the real one (the daemon's log)."""
    encoding, errors, line_buffering = "utf-8", "surrogateescape", True

    def __init__(self, name, real):
        self.name, self.real, self.buffer = name, real, Bytes(self)

    def write(self, text):
        slot = current()
        if slot is None or not slot.write(self.name, text):
            self.real.write(text)
        return len(text)

    def flush(self):
        slot = current()
        if slot is not None:
            slot.flush(self.name)
        self.real.flush()

    def fileno(self):
        return self.real.fileno()

    def writable(self):
        return True


class Host:
    """This process: its control socket and its slots."""

    def __init__(self, unpickle):
        self.unpickle = unpickle
        self.boards = Boards()
        self.control = socket.socket(fileno=CONTROL)
        self.lock = threading.Lock()
        self.descriptors = []
        self.slots, self.threads = [], []
        self.prefix = "slot"
        self.assumed = False
        self.failed = self.is_ready = False

    def messages(self):
        unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=1 << 30, unicode_errors="surrogateescape")
        while True:
            for message in unpacker:
                yield message
            data, descriptors, _, _ = socket.recv_fds(self.control, 1 << 16, 16)
            self.descriptors += descriptors
            if not data:
                return
            unpacker.feed(data)

    def tell(self, *message):
        with self.lock:
            self.control.sendall(msgpack.packb(message, unicode_errors="surrogateescape"))

    def initialize(self):
        """Calls the pool's initializer; once in each slot's thread."""
        name, args = self.hello["initializer"], self.hello["initargs"]
        if not name:
            return
        if name != INITIALIZE:
            find(name)(*args)
            return
        if not self.unpickle:
            raise PermissionError("this pool's workers were not started with --unpickle, so they take import paths only")
        with self.lock:
            about = pickle.loads(args[0])
            if not self.assumed:
                self.assumed = True
                from futured import mainmodule
                mainmodule.assume(about["caller"])
                self.prefix = about["prefix"] or self.prefix
        if about["initializer"] is not None:
            fn, arguments = pickle.loads(about["initializer"])
            fn(*arguments)

    def start_slot(self, sock, index):
        slot = Slot(sock, self.unpickle, self.boards.of(index, self.hello["board"]))
        self.slots.append(slot)
        begun = threading.Event()

        def body():
            try:
                self.initialize()
                threading.current_thread().name = "%s_%d" % (self.prefix, index)
            except BaseException as e:
                self.refuse(e)
                if self.is_ready:  # a slot that came later: nobody would ever serve it
                    os._exit(1)
                return
            finally:
                begun.set()
            try:
                slot.serve(self.hello["message"])
            except OSError:
                pass  # the daemon has closed it
            except BaseException:  # what is sent to it would never be answered
                traceback.print_exc(file=sys.__stderr__)
                os._exit(1)
            self.slots.remove(slot)
            self.threads.remove(thread)
            sock.close()
        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()
        return begun

    def refuse(self, e):
        with self.lock:
            first, self.failed = not self.failed, True
        if first:
            self.tell("failed", {"type": type(e).__name__, "message": "%s: %s" % (type(e).__name__, text_of(e)), "traceback": traceback_of(e)})

    def listen(self, messages):
        for verb, *rest in messages:
            if verb == "end":
                for slot in list(self.slots):
                    slot.ending = self.boards.claim is not None
                    try:
                        slot.sock.shutdown(socket.SHUT_RD)
                    except OSError:
                        pass
            elif verb == "slot":
                self.start_slot(socket.socket(fileno=self.descriptors.pop(0)), rest[0])
        os._exit(0)  # the daemon is gone

    def run(self):
        global only
        messages = self.messages()
        self.hello = next(messages)[1]
        if self.hello.get("options", {}).get("cwd"):
            os.chdir(self.hello["options"]["cwd"])
        sockets = [socket.socket(fileno=SLOT + i) for i in range(self.hello["slots"])]
        sys.stdout, sys.stderr = Stream("stdout", sys.stdout), Stream("stderr", sys.stderr)
        if self.hello["kind"] != "thread":
            self.run_one(sockets[0], messages)
            return
        for begun in [self.start_slot(s, i) for i, s in enumerate(sockets)]:
            begun.wait()
        if self.failed:
            sys.exit(1)
        self.is_ready = True
        self.ready(True)
        threading.Thread(target=self.listen, args=[messages], daemon=True).start()
        while thread := next(iter(self.threads), None):  # they come and go
            thread.join()

    def run_one(self, sock, messages):
        """One slot: in the main thread, where signal handlers and some libraries want to be."""
        global only
        slot = only = Slot(sock, self.unpickle, self.boards.of(0, self.hello["board"]))
        self.slots.append(slot)
        try:
            self.initialize()
        except BaseException as e:
            self.refuse(e)
            sys.exit(1)
        threading.Thread(target=self.listen, args=[messages], daemon=True).start()
        from futured import capture
        slot.capture = capture.begin(slot, self.tell)
        self.ready(False, slot.capture is not None)
        slot.serve(self.hello["message"])

    def ready(self, grow, stderr=False):
        board = self.boards.claim is not None
        depth = min(DEPTH, self.hello["board"]) if board else 1
        self.tell("ready", {"depth": depth, "stop": False, "grow": grow, "board": board, "stderr": stderr, "name": "futured.worker",
                            "version": "Python %d.%d.%d" % sys.version_info[:3]})


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if [a for a in arguments if a != "--unpickle"] or "FUTURED_SLOTS" not in os.environ:
        sys.exit("futured.worker is started by futured: pools: {py: {kind: process, runtime: python}}")
    slots = int(os.environ["FUTURED_SLOTS"])
    for fd in (CONTROL, *range(SLOT, SLOT + slots), int(os.environ.get("FUTURED_LOCK_FD", SLOT))):
        os.set_inheritable(fd, False)  # what a task starts must hold none of these
    os.register_at_fork(after_in_child=_forget)
    Host("--unpickle" in arguments).run()


if __name__ == "__main__":
    from futured.worker import main as begin  # the module under its own name: one copy of its state
    begin()
