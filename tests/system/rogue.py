"""A host that keeps the worker contract until a task's name tells it to break it, in that way."""
import os
import signal
import socket
import sys
import threading

import msgpack

CONTROL, BOARD, SLOT = 3, 4, 5


def messages(fd):
    unpacker = msgpack.Unpacker()
    while data := os.read(fd, 1 << 16):
        unpacker.feed(data)
        yield from unpacker


def send(fd, data):
    while data:
        data = data[os.write(fd, data):]


def say(fd, *message):
    send(fd, msgpack.packb(message))


def listen():
    """Told to end, or alone: it ends."""
    for verb, *_ in messages(CONTROL):
        if verb == "end":
            break
    os._exit(0)


def wait_for_the_end():
    while True:
        signal.pause()


def do(wrong, future):
    """Anything the daemon must not be hurt by."""
    if wrong == "garbage":
        send(SLOT, b"\xc1" * 100)
    elif wrong == "half":
        send(SLOT, msgpack.packb(["ok", future, "x" * 1000])[:500])
        os.close(SLOT)
    elif wrong == "half_then_exit":
        send(SLOT, msgpack.packb(["ok", future, "x" * 1000])[:500])
        os._exit(0)
    elif wrong == "unknown":
        say(SLOT, "hurray", future, 1)
    elif wrong == "other_id":
        say(SLOT, "ok", future + 1, 1)
    elif wrong == "twice":
        say(SLOT, "ok", future, "well")
        say(SLOT, "ok", future, "again")
    elif wrong == "no_id":
        say(SLOT, "ok", "one", 1)
    elif wrong == "map":
        send(SLOT, msgpack.packb({"ok": future}))
    elif wrong == "deep":
        send(SLOT, b"\x91" * 200)
    elif wrong == "huge":
        send(SLOT, b"\x93\xa2ok" + msgpack.packb(future) + b"\xc6\xff\xff\xff\xff")
    elif wrong == "bad_error":
        say(SLOT, "error", future, "no map")
    elif wrong == "control_garbage":
        send(CONTROL, b"\xc1" * 10)
    elif wrong == "control_unknown":
        say(CONTROL, "hurray")
    elif wrong == "close_slot":
        os.close(SLOT)
    elif wrong == "close_control":
        socket.socket(fileno=CONTROL).shutdown(socket.SHUT_WR)
    elif wrong == "exit":
        os._exit(3)
    elif wrong == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif wrong == "board":
        os.pwrite(BOARD, b"\xff" * 1024, 0)
        os._exit(1)
    wait_for_the_end()


def main():
    next(messages(CONTROL))
    threading.Thread(target=listen, daemon=True).start()
    say(CONTROL, "ready", {"name": "rogue"})
    for _, _, future, _, fn, args, *_ in messages(SLOT):
        if fn in ("well", "close_later"):
            say(SLOT, "ok", future, "well")
            if fn == "close_later":
                os.close(SLOT)
                wait_for_the_end()
        elif fn == "pid":
            say(SLOT, "ok", future, os.getpid())
        else:
            do(fn, future)
    sys.exit(0)


main()
