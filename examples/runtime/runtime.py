#!/usr/bin/env python3
"""A runtime for futured, as a stranger might write it in an afternoon: it serves the functions of a Python file.

    toy: {kind: process, runtime: [/usr/bin/python3, /path/to/runtime.py, /path/to/FILE.py]}

This is the worker contract (docs/worker-contract.md) at its simplest: one slot, and no claim board, so the daemon sends
one task at a time. Beside the standard library it needs a MessagePack (python3-msgpack)."""
import contextlib
import io
import os
import runpy
import socket
import sys
import threading
import traceback

import msgpack

CONTROL, BOARDS, SLOT = 3, 4, 5  # descriptors


def messages(fd):
    """Whole messages from a socket, until the daemon closes it."""
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=1 << 30, unicode_errors="surrogateescape")
    while data := os.read(fd, 1 << 16):
        unpacker.feed(data)
        yield from unpacker


def send(fd, *message):
    data = memoryview(msgpack.packb(message))
    while data:
        data = data[os.write(fd, data):]


def listen(control):
    """What else comes on the control socket: `end`, after the tasks that were sent; or the end of the daemon, and so of us."""
    for verb, *_ in control:
        if verb == "end":
            socket.socket(fileno=os.dup(SLOT)).shutdown(socket.SHUT_RD)
    os._exit(0)


class Output(io.TextIOBase):
    """What a task prints goes to the daemon at once."""

    def write(self, text):
        for at in range(0, len(text), 16384):
            send(SLOT, "output", self.id, "stdout", text[at:at + 16384].encode(errors="replace"))
        return len(text)


def answer(fn, args, kwargs):
    try:
        answer = ["ok", fn(*args, **kwargs)]
        msgpack.packb(answer)  # a value that cannot be sent is an error of the task, too
    except BaseException as e:
        answer = ["error", {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc()}]
    return answer


def main():
    os.close(BOARDS)
    for fd in CONTROL, SLOT, int(os.environ.get("FUTURED_LOCK_FD", SLOT)):
        os.set_inheritable(fd, False)  # what a task starts must hold none of these
    control, output = messages(CONTROL), Output()
    _, hello = next(control)
    functions = runpy.run_path(sys.argv[1])
    if hello["initializer"]:
        outcome, error = answer(lambda: functions[hello["initializer"]](*hello["initargs"]), [], {})
        if outcome == "error":
            send(CONTROL, "failed", error)
            sys.exit(1)
    threading.Thread(target=listen, args=[control], daemon=True).start()
    send(CONTROL, "ready", {"name": "example"})
    for _, _, output.id, _, fn, args, options, *_ in messages(SLOT):
        with contextlib.redirect_stdout(output):
            outcome, value = answer(lambda *a, **k: functions[fn](*a, **k), args, options.get("kwargs", {}))
            send(SLOT, outcome, output.id, value)


main()
