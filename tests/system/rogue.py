"""A host that keeps the worker contract until a task's name tells it to break it, in that way. With the argument "ring" it
answers through the ring; with "shy" it ends when it is given a task, before it has begun; other arguments name what it does wrong before
it has begun any task (WRONG_FROM_THE_START)."""
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time

import msgpack

CONTROL, BOARD, SLOT = 3, 4, 5
RING_BYTES, HEADER = 16384, 128
ring = None


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


class Ring:
    def __init__(self, at):
        self.map = mmap.mmap(BOARD, 0)
        self.at, self.count = at, 0

    def write(self, data):
        for byte in data:
            self.map[self.at + HEADER + self.count % RING_BYTES] = byte
            self.count += 1

    def publish(self, count):
        struct.pack_into("=Q", self.map, self.at, count)

    def put(self, data):
        self.write(data)
        self.publish(self.count)


def answer(*message):
    if ring is None:
        say(SLOT, *message)
    else:
        ring.put(msgpack.packb(message))
        say(SLOT, "wake")  # it may be asleep


def listen():
    """Told to end, or alone: it ends."""
    for verb, *_ in messages(CONTROL):
        if verb == "end":
            break
    os._exit(0)


def wait_for_the_end():
    while True:
        signal.pause()


def do_to_ring(wrong, future):
    if wrong == "ring_count":
        ring.publish(ring.count + RING_BYTES + 1)
    elif wrong == "ring_back":
        ring.publish(ring.count - 1)
    elif wrong == "ring_garbage":
        ring.put(b"\xc1" * 100)
    elif wrong == "ring_half":
        ring.put(msgpack.packb(["ok", future, "x" * 1000])[:500])
    elif wrong == "ring_large":
        ring.put(msgpack.packb(["ok", future, "x" * 5000]))
    elif wrong == "ring_no_answer":
        ring.put(msgpack.packb(["hurray", future]))
    elif wrong == "ring_other_id":
        ring.put(msgpack.packb(["ok", future + 1, 1]))
    elif wrong == "ring_twice":
        ring.put(msgpack.packb(["ok", future, "well"]) + msgpack.packb(["ok", future, "again"]))
    elif wrong == "ring_all":
        for i in range(0, len(ring.map), 4096):
            ring.map[i:i + 4096] = b"\xff" * len(ring.map[i:i + 4096])


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
    elif wrong == "bad_output":
        say(SLOT, "output", future, "stdout", "no bin")
    elif wrong == "other_stream":
        say(SLOT, "output", future, "stdother", b"x")
    elif wrong == "bad_done":
        say(SLOT, "progress", future, "half", 2, "")
    elif wrong == "bad_total":
        say(SLOT, "progress", future, 1, {"x": 2}, "")
    elif wrong == "bad_note":
        note = 1
        for _ in range(28):
            note = [note]
        say(SLOT, "progress", future, 1, 2, note)
    elif wrong == "odd_progress":
        say(SLOT, "progress", future, 2**64 - 1, 0.5, "x" * 70000)
        send(SLOT, b"\x95" + msgpack.packb("progress") + msgpack.packb(future) + b"\x01\xc0\xa3a\xffb")
        answer("ok", future, "well")
        return
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
    elif wrong == "wakes":
        for _ in range(10000):
            say(SLOT, "wake")
        answer("ok", future, "well")
        return
    elif wrong == "answer_and_die":
        ring.put(msgpack.packb(["ok", future, "well"]))
        os.kill(os.getpid(), signal.SIGKILL)
    elif wrong.startswith("ring_"):
        do_to_ring(wrong, future)
        say(SLOT, "wake")
    elif wrong == "board":
        os.pwrite(BOARD, b"\xff" * 1024, 0)
        os._exit(1)
    wait_for_the_end()


def die_of_a_task():
    say(CONTROL, "ready", {"board": True})
    next(messages(SLOT))
    os._exit(3)


def close_after_ready():
    say(CONTROL, "ready", {"board": True})
    os.close(SLOT)


def close_before_ready():
    os.close(SLOT)
    time.sleep(0.03)
    say(CONTROL, "ready", {"board": True})


def close_an_idle_slot():
    say(CONTROL, "ready", {"board": True, "grow": True})
    time.sleep(0.1)
    os.close(SLOT)


def claim_without_answering():
    """Of the tasks that are not named well, each is claimed and none answered."""
    board = mmap.mmap(BOARD, 0)
    say(CONTROL, "ready", {"board": True, "depth": 8})
    for _, entry, future, _, fn, *_ in messages(SLOT):
        struct.pack_into("=Q", board, entry * 16 + 8, int(time.monotonic() * 1e6) << 3 | 2)
        if fn == "well":
            say(SLOT, "ok", future, "well")


WRONG_FROM_THE_START = {f.__name__: f for f in (die_of_a_task, close_after_ready, close_before_ready, close_an_idle_slot,
                                                  claim_without_answering)}


def main():
    global ring
    hello = next(messages(CONTROL))[1]
    threading.Thread(target=listen, daemon=True).start()
    if sys.argv[1:] and sys.argv[1] in WRONG_FROM_THE_START:
        WRONG_FROM_THE_START[sys.argv[1]]()
        wait_for_the_end()
    if sys.argv[1:] == ["ring"]:
        ring = Ring(hello["rings"])
    shy = sys.argv[1:] == ["shy"]
    say(CONTROL, "ready", {"name": "rogue", "ring": ring is not None, "board": shy, "depth": 4})
    if shy:
        next(messages(SLOT))
        os._exit(3)
    for _, _, future, _, fn, args, *_ in messages(SLOT):
        if fn in ("well", "close_later"):
            answer("ok", future, "well")
            if fn == "close_later":
                os.close(SLOT)
                wait_for_the_end()
        elif fn == "pid":
            answer("ok", future, os.getpid())
        else:
            do(fn, future)
    sys.exit(0)


main()
