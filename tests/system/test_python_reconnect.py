"""A Python client whose connection is cut goes on with the same daemon; what was bound to the connection is told at once."""
import concurrent.futures
import io
import os
import queue
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import helpers
from helpers import eventually

PACKAGE = os.path.join(helpers.ROOT, "client", "python")
sys.path.insert(0, PACKAGE)
import futured  # noqa: E402
from futured import resume  # noqa: E402

RUNTIME = ["/usr/bin/python3", "-m", "futured.worker", "--unpickle"]
CONFIG = {"pools": {"py": {"kind": "process", "runtime": "python", "workers": 2},
                    "pickles": {"kind": "process", "runtime": RUNTIME, "workers": 1, "env": {"PYTHONPATH": PACKAGE + ":" + os.path.dirname(__file__)}}}}


class Cable:
    """Between the client and a daemon. It can be cut, and mended; or be deaf: what the client says is swallowed. One thread has
    all the sockets; what it is to do comes to it through `wake`."""

    def __init__(self, directory, to):
        self.path, self.to, self.deaf, self.over = os.path.join(directory, "cable"), to, False, False
        self.pairs, self.listener = {}, None
        self.tasks, (self.wake, self.waker) = queue.Queue(), socket.socketpair()
        self._mend()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def do(self, *tasks):
        done = threading.Event()
        for task in (*tasks, done.set):
            self.tasks.put(task)
        self.waker.send(b"x")
        assert done.wait(40)

    def mend(self):
        self.do(self._mend)

    def cut(self, mend=True):
        self.do(self._cut, *([self._mend] if mend else []))

    def end(self):
        self.do(self._cut, self._end)
        self.thread.join()

    def _end(self):
        self.over = True

    def _mend(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()

    def _cut(self):
        if self.listener is not None:
            self.listener.close()
            os.unlink(self.path)
        for s in self.pairs:
            s.close()
        self.pairs, self.listener = {}, None

    def carry(self):
        while not self.over:
            ready = select.select([self.wake, *self.pairs, *([self.listener] if self.listener else [])], [], [])[0]
            if self.wake in ready:
                self.wake.recv(1)
                while not self.tasks.empty():
                    self.tasks.get()()
            elif self.listener in ready:
                self.accept()
            else:
                self.pass_on(ready[0], *self.pairs[ready[0]])

    def accept(self):
        client, daemon = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
        if daemon.connect_ex(self.to):
            client.close()  # that daemon is gone
            return
        self.pairs[client], self.pairs[daemon] = (daemon, True), (client, False)

    def pass_on(self, s, other, from_client):
        data = s.recv(1 << 16)
        if not data:
            for end in s, other:
                del self.pairs[end]
                end.close()
        elif not (self.deaf and from_client):
            other.sendall(data)


@pytest.fixture
def cable(shared_daemon):
    directory = tempfile.mkdtemp(prefix="futured-")
    cable = Cable(directory, shared_daemon.address)
    yield cable
    cable.end()
    shutil.rmtree(directory)


@pytest.fixture
def pool(cable):
    return futured.Executor(pool="py", address="unix:" + cable.path)


def until_file(path):
    eventually(lambda: os.path.exists(path), 20)
    return path


def say_around(path):
    print("before")
    print("a warning", file=sys.stderr)
    until_file(path)
    print("after")


@pytest.fixture
def pickles(cable):
    return futured.Executor(pool="pickles", pickled=True, address="unix:" + cable.path)


def test_futures_go_on_after_a_cut(pickles, cable, tmp_path):
    path = str(tmp_path / "go")
    running, waiting = pickles.submit(until_file, path), pickles.submit(pow, 2, 10)
    eventually(running.running)
    for _ in range(3):
        cable.cut()
        assert running.running()
    (tmp_path / "go").touch()
    assert running.result(10) == path and waiting.result(10) == 1024
    assert pickles.submit(pow, 2, 3).result(10) == 8


def test_what_ended_meanwhile_is_told(pickles, cable, shared_daemon, tmp_path):
    path = str(tmp_path / "go")
    futures = [pickles.submit(until_file, path), pickles.submit(divmod, 1, 0), pickles.submit(pow, 2, 2)]
    cancelled = pickles.submit(pow, 2, 3)
    ids = [f.id for f in futures + [cancelled]]
    cable.cut(mend=False)
    other = shared_daemon.client()
    other.call("cancel", ids[3:])
    (tmp_path / "go").touch()
    other.call("wait", ids, "ALL_COMPLETED", 20)
    assert not any(f.done() for f in futures)
    cable.mend()
    assert futures[0].result(10) == path and futures[2].result(10) == 4
    assert isinstance(futures[1].exception(10), ZeroDivisionError)
    assert concurrent.futures.wait([cancelled], 10).done and cancelled.cancelled()


def test_one_that_was_released_meanwhile_fails_alone(pickles, cable, shared_daemon, tmp_path):
    path = str(tmp_path / "go")
    first, second = pickles.submit(until_file, path), pickles.submit(pow, 2, 2)
    ids = [first.id, second.id]
    cable.cut(mend=False)
    (tmp_path / "go").touch()
    other = shared_daemon.client()
    other.call("wait", ids, "ALL_COMPLETED", 20)
    other.call("release", [ids[0]])
    cable.mend()
    with pytest.raises(futured.Error):
        first.result(10)
    assert second.result(10) == 4


def test_output_goes_on_from_where_it_stood(pickles, cable, tmp_path, monkeypatch):
    path, out, err = str(tmp_path / "go"), io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out), monkeypatch.setattr(sys, "stderr", err)
    f = pickles.submit(say_around, path)
    eventually(lambda: out.getvalue() == "before\n", 10)
    cable.cut()
    (tmp_path / "go").touch()
    f.result(10)
    assert (out.getvalue(), err.getvalue()) == ("before\nafter\n", "a warning\n")


def test_what_may_not_be_said_twice_is_told_and_a_key_is_said_again(pool, cable):
    assert pool.submit(pow, 2, 2).result(10) == 4
    cable.deaf = True
    plain, keyed = pool.submit(pow, 2, 3), pool.options(key="the same").submit(pow, 2, 4)
    asked = threading.Thread(target=lambda: states.extend(pool._connection.call("state", [])))
    states = []
    asked.start()
    eventually(lambda: len(pool._connection.asked) == 3 and not pool._connection.out)
    cable.do(lambda: None)
    cable.cut(mend=False)
    cable.deaf = False
    cable.mend()
    with pytest.raises(futured.BrokenPoolError, match="is not known"):
        plain.result(10)
    assert keyed.result(10) == 16
    asked.join(10)
    assert not asked.is_alive()


def test_an_executors_own_pool_is_gone_with_the_connection_and_said_to_be(cable, tmp_path):
    first = futured.ProcessPoolExecutor(1, address="unix:" + cable.path)
    futures = [first.submit(until_file, "/nonexistent/never"), first.submit(pow, 2, 2)]
    eventually(futures[0].running)
    cable.cut()
    for f in futures:
        assert isinstance(f.exception(10), concurrent.futures.process.BrokenProcessPool)
    with pytest.raises(futured.BrokenPoolError, match="is lost"):
        first.submit(pow, 2, 2)
    first.shutdown()
    with futured.ProcessPoolExecutor(1, address="unix:" + cable.path) as second:
        assert second.submit(pow, 2, 3).result(10) == 8


@pytest.fixture
def sleeping(shared_daemon):
    """A function that begins a long task; it is ended after the test."""
    ids = []

    def begin(pool):
        f = pool.submit("time.sleep", 60)
        ids.append(f.id)
        eventually(f.running)
        return f
    yield begin
    shared_daemon.client().call("cancel", ids, {"running": "kill"})


def test_another_daemon_is_not_taken_for_the_first(pool, cable, launch, sleeping):
    f = sleeping(pool)
    cable.to = launch().address
    cable.cut()
    with pytest.raises(futured.BrokenPoolError, match="another daemon"):
        f.result(10)
    assert pool.submit(pow, 2, 5).result(10) == 32  # that one has such a pool, too


def test_a_daemon_that_is_killed_and_started_again_with_its_store_goes_on(launch, tmp_path):
    daemon = launch({"store": "sqlite", "pools": {"py": {"kind": "process", "runtime": "python", "workers": 1}}})
    pool = futured.Executor(pool="py", address="unix:" + daemon.address)
    done, running = pool.submit(pow, 2, 5), pool.submit("time.sleep", 60)
    assert done.result(10) == 32
    waiting = [pool.submit(pow, 2, n) for n in range(10)]
    ids = [f.id for f in waiting]
    eventually(running.running)
    daemon.kill()
    daemon.expected_status = 0
    daemon.start()
    assert isinstance(running.exception(20), futured.WorkerLostError)
    assert [f.result(20) for f in waiting] == [2 ** n for n in range(10)] and [f.id for f in waiting] == ids
    assert futured.attach(done.id, address="unix:" + daemon.address).result(10) == 32


def test_when_nobody_answers_all_are_told(pool, cable, monkeypatch, sleeping):
    monkeypatch.setattr(resume, "RECONNECT", 0.2)
    f = sleeping(pool)
    cable.cut(mend=False)
    assert isinstance(f.exception(10), futured.BrokenPoolError)
    with pytest.raises(futured.BrokenPoolError, match="no daemon"):
        pool.submit(pow, 2, 2)
    cable.mend()
    assert pool.submit(pow, 2, 2).result(10) == 4


def test_submits_while_it_is_cut_are_sent_later(pickles, cable):
    assert pickles.submit(pow, 2, 2).result(10) == 4
    cable.cut(mend=False)
    eventually(lambda: pickles._connection.held)
    futures = [pickles.submit(abs, n) for n in range(200)]
    cable.mend()
    assert [f.result(10) for f in futures] == list(range(200))


@pytest.mark.long
def test_many_cuts_under_load_lose_nothing_silently(pickles, cable):
    """Each future is either right, or says that nobody knows whether it was accepted."""
    over, outcomes = time.monotonic() + 10, []

    def load(seed):
        dice = random.Random(seed)
        while time.monotonic() < over:
            futures = [pickles.submit(abs, -n) for n in range(dice.randrange(1, 200))]
            assert not concurrent.futures.wait(futures, 30).not_done
            for n, f in enumerate(futures):
                e = f.exception()
                assert isinstance(e, futured.BrokenPoolError) and "is not known" in str(e) if e else f.result() == n
                outcomes.append(e is None)
    pickles.submit(abs, 1).result(20)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(load, seed) for seed in range(4)]
        while time.monotonic() < over:
            time.sleep(random.random() * 0.3)
            cable.cut(mend=False)
            time.sleep(random.random() * 0.05)
            cable.mend()
        for each in loads:
            each.result(60)
    assert outcomes.count(True) > 1000


NEXT_EXECUTOR = """
import os, signal, socket, struct, sys
from futured import ProcessPoolExecutor, resume
resume.RECONNECT = 1000
def ask():
    pool = ProcessPoolExecutor(1)
    print(pool.submit(abs, -1).result(), flush=True)
    return pool, struct.unpack("iII", pool._connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
if __name__ == "__main__":
    for _ in range(3):
        pool, daemon = ask()
        os.kill(daemon, signal.SIGKILL)
    ask()[0].shutdown()
"""


def test_an_executor_that_is_made_when_the_daemon_has_died_starts_another(tmp_path):
    """It was refused: whether its pool had been opened was not known. And then it waited ten seconds for a daemon that it starts itself."""
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": PACKAGE}
    env.pop("FUTURED_ADDRESS", None)
    tmp_path.chmod(0o700)
    (tmp_path / "script.py").write_text(NEXT_EXECUTOR)
    ended = subprocess.run(["/usr/bin/python3", str(tmp_path / "script.py")], env=env, capture_output=True, text=True, timeout=100)
    subprocess.run([os.path.join(helpers.BUILD, "bin", "fut"), "daemon", "stop"], env=env, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "1\n" * 4), ended.stderr
