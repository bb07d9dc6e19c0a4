"""A daemon in 200 lines, for clients: enough of the protocol to run commands, in one thread, without pools worth the name.

    fake_daemon.py SOCKET [WORKERS]"""
import os
import selectors
import signal
import socket
import subprocess
import sys
import time

import msgpack


class Task:
    def __init__(self, number, conn, fn, args, options):
        self.id, self.conn, self.fn, self.args, self.options = number, conn, fn, args, options
        self.state, self.process, self.outcome, self.error = "PENDING", None, None, None
        self.text = {"stdout": b"", "stderr": b""}
        self.open = {"stdout", "stderr"}
        self.followers, self.watchers, self.waiting = [], [], []
        self.times = {"submitted": time.time()}
        self.killed = False

    def map(self):
        return {"id": self.id, "pool": "shell", "fn": self.fn, "args": self.args, "state": self.state, "name": self.options.get("name"),
                "tags": self.options.get("tags", []), **self.times, **({"error": self.error} if self.error else {})}


class Error(Exception):
    def __init__(self, kind, message, **keys):
        super().__init__(kind)
        self.map = {"type": kind, "message": message, **keys}


class Daemon:
    def __init__(self, path, workers):
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ, self.on_accept)
        self.tasks, self.queue, self.running, self.workers, self.last = {}, [], 0, workers, 0

    def on_accept(self):
        conn, _ = self.listener.accept()
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 30, unicode_errors="surrogateescape")
        self.selector.register(conn, selectors.EVENT_READ, lambda: self.on_bytes(conn, unpacker))

    def on_bytes(self, conn, unpacker):
        data = conn.recv(1 << 20)
        if not data:
            self.selector.unregister(conn)
            conn.close()
            for t in self.tasks.values():
                t.watchers = [c for c in t.watchers if c is not conn]
                t.followers = [(c, s) for c, s in t.followers if c is not conn]
            return
        unpacker.feed(data)
        for _, msgid, method, params in unpacker:
            try:
                result = getattr(self, "do_" + method)(conn, msgid, *params)
                if result is not NotImplemented:
                    self.say(conn, [1, msgid, None, result])
            except Error as e:
                self.say(conn, [1, msgid, e.map, None])
            self.dispatch()

    def say(self, conn, message):
        try:
            conn.sendall(msgpack.packb(message, use_bin_type=True))
        except OSError:
            pass

    def find(self, number):
        if number > self.last:
            raise Error("UnknownFutureError", "no future has the id %d" % number, future=number)
        if number not in self.tasks:
            raise Error("ExpiredFutureError", "future %d is not to be had any more" % number, future=number)
        return self.tasks[number]

    def ids(self, ids):
        for i in ids:
            yield from (range(i[0], i[0] + i[1]) if isinstance(i, list) else [i])

    # methods

    def do_ping(self, conn, msgid, value=None):
        return value

    def do_hello(self, conn, msgid, options):
        return {"protocol": 1, "server": "fake/0"}

    def do_submit(self, conn, msgid, pool, fn, args=(), options=None):
        if pool != "shell":
            raise Error("UnknownPoolError", "there is no pool %r" % pool)
        self.last += 1
        task = self.tasks[self.last] = Task(self.last, conn, fn, args, options or {})
        if task.options.get("watch"):
            task.watchers.append(conn)
        self.queue.append(task)
        return task.id

    def do_map(self, conn, msgid, pool, fn, items, options=None):
        first = self.last + 1
        for args in items:
            self.do_submit(conn, msgid, pool, fn, args, options)
        return [first, len(items)]

    def do_result(self, conn, msgid, number, timeout=None, options=None):
        task = self.find(number)
        if task.state in ("PENDING", "RUNNING"):
            if timeout == 0:
                raise Error("TimeoutError", "the wait ran out")
            task.waiting.append(lambda: self.say(conn, [1, msgid, task.error, task.outcome]))
            return NotImplemented
        if task.error:
            raise Error(task.error["type"], "", **{k: v for k, v in task.error.items() if k != "type"}) if False else self.failed(task)
        return task.outcome

    def failed(self, task):
        e = Error("", "")
        e.map = task.error
        return e

    def do_exception(self, conn, msgid, number, timeout=None):
        task = self.find(number)
        if task.state in ("PENDING", "RUNNING"):
            if timeout == 0:
                raise Error("TimeoutError", "the wait ran out")
            task.waiting.append(lambda: self.say(conn, [1, msgid, task.error, None] if task.state == "CANCELLED" else
                                                 [1, msgid, None, task.error]))
            return NotImplemented
        if task.state == "CANCELLED":
            raise self.failed(task)
        return task.error

    def do_state(self, conn, msgid, ids):
        return [self.find(i).state for i in self.ids(ids)]

    def do_wait(self, conn, msgid, ids, when="ALL_COMPLETED", timeout=None):
        tasks = [self.find(i) for i in self.ids(ids)]

        def check():
            done = [t.id for t in tasks if t.state in ("CANCELLED", "FINISHED")]
            if len(done) == len(tasks) or timeout == 0 or (when != "ALL_COMPLETED" and done):
                if check not in told:
                    told.append(check)
                    self.say(conn, [1, msgid, None, {"done": done, "not_done": [t.id for t in tasks if t.id not in done]}])
        told = []
        for t in tasks:
            t.waiting.append(check)
        check()
        return NotImplemented

    def do_watch(self, conn, msgid, ids, options=None):
        done = []
        for task in [self.find(i) for i in self.ids(ids)]:
            if task.state in ("CANCELLED", "FINISHED"):
                done.append(task.id)
            elif conn not in task.watchers:
                task.watchers.append(conn)
        return {"done": done}

    def do_cancel(self, conn, msgid, ids, options=None):
        how = (options or {}).get("running", "no")
        answer = []
        for task in [self.find(i) for i in self.ids(ids)]:
            if task.state == "PENDING":
                self.queue.remove(task)
                self.finish(task, "CANCELLED")
            elif task.state == "RUNNING" and how == "kill":
                task.killed = True
                os.killpg(task.process.pid, signal.SIGTERM)
            answer.append(task.state == "CANCELLED" or task.killed)
        return answer

    def do_release(self, conn, msgid, ids):
        return sum(self.tasks.pop(i, None) is not None for i in self.ids(ids))

    def do_retry(self, conn, msgid, ids):
        return [self.do_submit(conn, msgid, "shell", t.fn, t.args, t.options) for t in [self.find(i) for i in self.ids(ids)]]

    def do_list(self, conn, msgid, options=None):
        o = options or {}
        found = [t.map() for t in self.tasks.values() if t.id > o.get("after", 0) and o.get("state") in (None, t.state) and
                 o.get("name") in (None, t.options.get("name")) and (o.get("tag") is None or o["tag"] in t.options.get("tags", []))]
        return found[:o.get("limit", 10000)]

    def do_show(self, conn, msgid, number):
        task = self.find(number)
        return {**task.map(), **({"why": {"code": "queued", "message": "behind others"}} if task.state == "PENDING" else {})}

    def do_failures(self, conn, msgid, options=None):
        return [t.map() for t in self.tasks.values() if t.error]

    def do_pools(self, conn, msgid):
        return [{"name": "shell", "kind": "command", "runtime": "command", "workers": self.workers, "busy": self.running,
                 "pending": len(self.queue), "paused": False, "broken": None}]

    def do_stats(self, conn, msgid):
        return {"version": "fake", "futures": {"PENDING": len(self.queue)}}

    def do_output(self, conn, msgid, number, options=None):
        task, o = self.find(number), options or {}
        streams = ["stdout", "stderr"] if o.get("stream") == "both" else [o.get("stream", "stdout")]
        so_far = {s: task.text[s][o.get("offset", 0):][:1 << 20] for s in streams}
        self.say(conn, [1, msgid, None, so_far if len(streams) > 1 else so_far[streams[0]]])
        if o.get("follow"):
            for s in streams:
                rest = task.text[s][o.get("offset", 0) + len(so_far[s]):]
                self.say(conn, [2, "output", [number, s, o.get("offset", 0) + len(so_far[s]), rest, s not in task.open]])
                if s in task.open:
                    task.followers.append((conn, s))
        return NotImplemented

    def do_input(self, conn, msgid, number, data, options=None):
        task = self.find(number)
        if task.state == "PENDING":
            task.options["stdin"] = (b"" if task.options["stdin"] is True else task.options["stdin"]) + data
            return None
        if task.process is None or task.process.stdin is None or task.process.stdin.closed:
            raise Error("InvalidStateError", "it reads no more")
        try:
            task.process.stdin.write(data)
            task.process.stdin.flush()
            if (options or {}).get("eof"):
                task.process.stdin.close()
        except BrokenPipeError:
            raise Error("InvalidStateError", "it reads no more")

    # running

    def dispatch(self):
        while self.queue and self.running < self.workers:
            self.start(self.queue.pop(0))

    def start(self, task):
        o = task.options
        env = {**os.environ, **{k: v for k, v in o.get("env", {}).items() if v is not None}}
        task.state, task.times["started"] = "RUNNING", time.time()
        self.running += 1
        try:
            task.process = subprocess.Popen(
                [task.fn] + list(task.args), cwd=o.get("cwd"), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                stdin=subprocess.PIPE if "stdin" in o else subprocess.DEVNULL, start_new_session=True)
        except OSError as e:
            task.open.clear()
            task.error = {"type": "ExitError", "message": "%s: %s" % (task.fn, e.strerror), "exit": 127, "stdout": b"", "stderr": b""}
            self.running -= 1
            self.finish(task, "FINISHED")
            return
        if isinstance(o.get("stdin"), bytes):
            task.process.stdin.write(o["stdin"])
            task.process.stdin.close()
        for name in ("stdout", "stderr"):
            pipe = getattr(task.process, name)
            self.selector.register(pipe, selectors.EVENT_READ, lambda n=name, p=pipe: self.on_output(task, n, p))

    def on_output(self, task, name, pipe):
        data = os.read(pipe.fileno(), 65536)
        offset = len(task.text[name])
        task.text[name] += data
        if not data:
            task.open.discard(name)
            self.selector.unregister(pipe)
        for conn, stream in task.followers:
            if stream == name:
                self.say(conn, [2, "output", [task.id, name, offset, data, not data]])
        if not task.open:
            self.running -= 1
            self.reap(task)
            self.dispatch()

    def reap(self, task):
        status = task.process.wait()
        out = {"stdout": task.text["stdout"][:1 << 20], "stderr": task.text["stderr"][:1 << 20]}
        for s in ("stdout", "stderr"):
            if len(task.text[s]) > 1 << 20:
                out[s + "_cut"] = len(task.text[s]) - (1 << 20)
        if task.killed:
            self.finish(task, "CANCELLED")
            return
        if status == 0:
            task.outcome = {"exit": 0, **out}
        else:
            task.error = {"type": "ExitError", "message": "it failed", **({"exit": status} if status > 0 else {"signal": -status}), **out}
        self.finish(task, "FINISHED")

    def finish(self, task, state):
        task.state, task.times["finished"] = state, time.time()
        if state == "CANCELLED":
            task.error = {"type": "CancelledError", "message": "the future was cancelled"}
            for conn, stream in task.followers:
                if stream in task.open:
                    self.say(conn, [2, "output", [task.id, stream, 0, b"", True]])
        for conn in task.watchers:
            self.say(conn, [2, "done", [task.id, state, task.error, task.outcome]])
        for wake in task.waiting:
            wake()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                key.data()


if __name__ == "__main__":
    Daemon(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2).serve()
