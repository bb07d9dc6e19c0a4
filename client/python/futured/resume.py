"""Taking up a connection that was lost.

While the same daemon may come back (RECONNECT seconds), what is to be sent is held. If it does, with the same `instance`, ids are what
they were: requests that may be said twice are said again, futures are watched again, outputs followed from where they stood. If
another instance answers, or none does, everybody is told. What is bound to the connection does not survive, and is told at once."""
import functools
import socket
import threading
import time

import msgpack

from futured import errors
from futured.reach import connect

RECONNECT = 10            # seconds; 0: everybody is told at once
PAUSE, PAUSE_MOST = 0.02, 1
IDS = 100000              # in one call
SAFE = {"ping", "result", "exception", "state", "wait", "watch", "unwatch", "cancel", "release", "list", "show", "pools", "pause",
        "resume", "resize", "stats"}


def is_safe(method, params):
    """Whether it may be said twice."""
    return method in SAFE or method == "submit" and "key" in params[3]


def resume(c, why):
    """In the reader thread, which waits here."""
    why = "the connection to the daemon at %s is lost: %s" % (c.address, why)
    hang_up(c)
    if c.hello is None or not RECONNECT:
        c.end(why)
        return
    fail_bound(c, why)
    again = fail_unsafe(c, why)
    if c.executors and not (c.futures or c.asked):  # nothing is left; whoever makes the next executor need not wait for a daemon that he would start
        c.end(why)
        return
    until, pause = time.monotonic() + RECONNECT, PAUSE
    while True:
        try:
            sock, unpacker, hello = greet(c)
            break
        except errors.Error as e:
            c.end("%s; then: %s" % (why, e))
            return
        except (OSError, EOFError):
            if time.monotonic() + pause > until:
                c.end(why)
                return
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_MOST)
    if hello["instance"] != c.hello["instance"]:
        sock.close()
        c.end("%s; another daemon answers now: its ids begin anew" % why)
        return
    with c.sending:
        c.sock, c.unpacker = sock, unpacker
        c.submitted = c.accepted = 0
        c.out.extendleft((frame, 0, number) for number, frame in reversed(again))
        c.held = False
    watch_again(c, sorted(id for id, f in c.futures.items() if f._held is None))
    for id, f in list(c.futures.items()):
        if f._follow is not None:
            c.follow_on(f, id)
    c.flush()


def hang_up(c):
    try:
        c.sock.shutdown(socket.SHUT_RDWR)  # whoever is sending stops
    except OSError:
        pass
    with c.sending:
        c.held = True
        c.batch.clear()
    c.sock.close()


def fail_bound(c, why):
    """What belongs to the connection is gone with it: pools of our own, and what they ran."""
    error = {"type": "BrokenPoolError", "message": why}
    for executor in list(c.executors):
        executor._lose(errors.BrokenPoolError(why, error))
    for id, future in list(c.futures.items()):
        if future._group is not None and future._group.bound and c.futures.pop(id, None) is not None:
            c.finish(future, *(future._held or ("FINISHED", error, None)))


def fail_unsafe(c, why):
    """What may have been heard and may not be said twice fails. What may: (number, frame) of each."""
    error = {"type": "BrokenPoolError", "message": why + "; whether the daemon did what was asked is not known", "lost": True}
    waiting, again = {}, []
    while c.out:
        frame = c.out.popleft()
        waiting[frame[2]] = frame
    for number, handler in list(c.asked.items()):
        future, frame = (handler, None) if type(handler) is not tuple else (None, handler[1])
        if number in waiting and (future is None or not future._group.bound):
            continue
        waiting.pop(number, None)
        if frame is not None:
            again.append((number, frame))
        elif c.asked.pop(number, None) is None:
            pass
        elif future is not None:
            c.finish(future, "FINISHED", error, None)
        else:
            handler[0](error, None)
    c.out.extendleft(reversed(list(waiting.values())))
    return again


def greet(c):
    """A new connection to the same place: socket, unpacker and what hello answers."""
    sock = connect(c.address)
    try:
        unpacker = c.new_unpacker()
        sock.settimeout(RECONNECT)
        sock.sendall(msgpack.packb([0, 0, "hello", [c.introduction(sock)]]))
        while True:
            data = sock.recv(1 << 16)
            if not data:
                raise EOFError
            unpacker.feed(data)
            for message in unpacker:
                if message[2] is not None:
                    raise errors.rebuild(message[2], False)
                sock.settimeout(None)
                return sock, unpacker, message[3]
    except BaseException:
        sock.close()
        raise


def watch_again(c, ids):
    for at in range(0, len(ids), IDS):
        some = ids[at:at + IDS]
        c.request(functools.partial(watched, c, some), "watch", [some, {"result": True}])


def watched(c, ids, error, result):
    if error is None:
        for id in result["done"]:
            c.fetch(id)
        return
    gone = [error["future"]] if error.get("future") in ids else ids
    for id in gone:
        c.settle(id, "FINISHED", error, None)
    watch_again(c, [id for id in ids if id not in gone] if gone is not ids else [])
