"""A host that dies at a named point of a task's way: before it claims it, when it has, when the task has begun (and says so in a ledger), when it is
done, and when its answer is out. It takes tasks ahead and uses the claim board; nobody else writes an entry that is SENT but the daemon, which
does so only for tasks it takes back, and the tests take none back: so a plain write serves for the exchange."""
import mmap
import os
import struct
import sys
import threading
import time

import msgpack

CONTROL, BOARD, SLOT = 3, 4, 5
SENT, CLAIMED = 1, 2


def frames(fd):
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
    while True:
        data = os.read(fd, 1 << 16)
        if not data:
            return
        unpacker.feed(data)
        yield from unpacker


def die_once(marker, here, wanted):
    """At this point, if it is the one, and only the first time."""
    if here == wanted and not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), 9)


def claim(board, entry, task):
    at = entry * 16
    if struct.unpack_from("QQ", board, at) != (task, task << 3 | SENT):
        return False
    struct.pack_into("Q", board, at + 8, time.monotonic_ns() // 1000 << 3 | CLAIMED)
    return True


def serve(board):
    for _, entry, task, attempt, fn, args, _ in frames(SLOT):
        ledger, point, marker = args
        die_once(marker, "sent", point)
        if not claim(board, entry, task):
            continue
        die_once(marker, "claimed", point)
        fd = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b"%d %d\n" % (task, attempt))
        os.close(fd)
        die_once(marker, "begun", point)
        answer = msgpack.packb(["ok", task, attempt])
        die_once(marker, "done", point)
        os.write(SLOT, answer)
        die_once(marker, "answered", point)


def listen(control):
    for verb, *_ in control:
        if verb == "end":
            break
    os._exit(0)


def main():
    control = frames(CONTROL)
    next(control)
    threading.Thread(target=listen, args=(control,), daemon=True).start()
    os.write(CONTROL, msgpack.packb(["ready", {"depth": 8, "board": True, "name": "points"}]))
    serve(mmap.mmap(BOARD, 1024))


sys.exit(main())
