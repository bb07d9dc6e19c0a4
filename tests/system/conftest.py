"""Fixtures: a daemon of one's own, in a directory of its own, which must end well.

`daemon` is started for one test, with `@pytest.mark.config(…)` on top of the usual configuration; `shared` serves all
tests of a file that only look, or clean up after themselves. `launch` starts any number. A file may define CONFIG.
This process is a subreaper: what a daemon leaves behind becomes our child, and fails the test."""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

import cli_helper
import helpers
import rpc

sys.dont_write_bytecode = True
PR_SET_CHILD_SUBREAPER = 36

USUAL = {
    "store": os.environ.get("FUTURED_TEST_STORE", "memory"),
    "stop_timeout": "100ms",
    "pools": {
        "shell": {"kind": "command", "workers": 2},
        "one": {"kind": "command", "workers": 1},
    },
}


def pytest_configure(config):
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def yaml(value):
    """Enough YAML for a configuration, in flow style."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join("%s: %s" % (k, yaml(v)) for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml(v) for v in value) + "]"
    text = str(value)
    if re.fullmatch(r"[A-Za-z0-9_./-][A-Za-z0-9_./:%+-]*", text):
        return text
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def merged(*layers):
    """Later layers win; maps at the top level are merged key by key, and a value None takes a key away."""
    result = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, dict) and isinstance(result.get(key), dict):
                value = {**result[key], **value}
            result[key] = value
    return {k: v for k, v in result.items() if v is not None}


class Daemon:
    """A futured in the foreground. `config` is the top level of its YAML."""

    def __init__(self, config, directory=None, env=None, prefix=(), preexec=None):
        self.directory = directory or tempfile.mkdtemp(prefix="futured-")
        self.address = os.path.join(self.directory, "futured.sock")
        self.config_path = os.path.join(self.directory, "futured.yaml")
        self.log_path = os.path.join(self.directory, "futured.log")
        self.config = {"listen": ["unix:" + self.address], "state_dir": self.directory + "/state", **config}
        self.program = os.path.join(helpers.BUILD, "bin", "futured")
        self.env = env
        self.prefix = list(prefix)
        self.preexec = preexec
        self.process = None
        self.clients = []
        self.gates = []
        self.expected_status = 0
        self.must_end_well = True

    def write_config(self):
        with open(self.config_path, "w") as f:
            for key, value in self.config.items():
                f.write("%s: %s\n" % (key, yaml(value)))
        os.chmod(self.config_path, 0o600)

    def spawn(self):
        self.write_config()
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.directory, "XDG_RUNTIME_DIR": self.directory,
               "XDG_STATE_HOME": self.directory, "LANG": "C.UTF-8", "TMPDIR": self.directory}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS") or k == "FUTURED_FAULT"})
        if self.env is not None:
            env.update(self.env)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.prefix + [self.program, "-c", self.config_path],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.directory, preexec_fn=self.preexec,
                close_fds=self.preexec is None)
        return self

    def start(self):
        self.spawn()

        def is_up():
            assert self.process.poll() is None, "futured ended with %s at start:\n%s" % (self.process.returncode, self.log())
            try:
                rpc.open_socket(self.address).close()
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        helpers.eventually(is_up, 40, "futured listens")
        return self

    @property
    def pid(self):
        return self.process.pid

    def client(self, **keys):
        client = rpc.Client(self.address, **keys)
        self.clients.append(client)
        return client

    def gate(self, name="gate"):
        gate = helpers.Gate(self.directory, name)
        self.gates.append(gate)
        return gate

    def path(self, name):
        return os.path.join(self.directory, name)

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def rss(self):
        """Resident bytes; under a sanitizer always 0."""
        return 0 if helpers.is_sanitized(self.program) else helpers.rss(self.pid)

    def cpu(self):
        return helpers.cpu_seconds(self.pid)

    def is_running(self):
        return self.process.poll() is None

    def await_end(self, timeout=40):
        """Its exit status (negative: the signal)."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise helpers.Hang("futured does not end") from None

    def stop(self, timeout=40):
        """As an operator stops it: SIGTERM."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        return self.await_end(timeout)

    def kill(self):
        """As nobody should: SIGKILL. What it leaves must go by itself, soon."""
        self.expected_status = -signal.SIGKILL
        self.process.kill()
        self.await_end()

    def finish(self):
        """Ends it however it stands; returns what was wrong about its end."""
        wrong = []
        for client in self.clients:
            client.close()
        if self.process is not None:
            try:
                status = self.stop()
                if status != self.expected_status and self.must_end_well:
                    wrong.append("futured ended with status %s instead of %s" % (status, self.expected_status))
            except helpers.Hang as hang:
                wrong.append(str(hang))
                self.process.kill()
                self.process.wait()
        for gate in self.gates:
            gate.close()
        return wrong

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Fleet:
    """The daemons that run now, so that what is nobody's can be told from what is theirs."""

    def __init__(self):
        self.daemons = []

    def launch(self, *layers, start=True, **keys):
        daemon = Daemon(merged(USUAL, *layers), **keys)
        self.daemons.append(daemon)
        return daemon.start() if start else daemon

    def strays(self):
        """Our living children that nobody of us started."""
        return [pid for pid in self._orphans() if helpers.is_alive(pid)]

    def _orphans(self):
        ours = {d.process.pid for d in self.daemons if d.process is not None} | KNOWN
        return [pid for pid in helpers.children(os.getpid()) if pid not in ours]

    def land(self, daemons):
        """Ends these daemons; returns what was wrong."""
        wrong = []
        for daemon in daemons:
            wrong += daemon.finish()
        killed = any(d.expected_status == -signal.SIGKILL for d in daemons)
        until = time.monotonic() + (10 if killed else 0.5)
        left = self.strays()
        while left and time.monotonic() < until:
            time.sleep(0.02)
            left = self.strays()
        for pid in left:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                wrong.append("left behind: %d %s" % (pid, f.read().replace(b"\0", b" ").decode(errors="replace")))
            os.kill(pid, signal.SIGKILL)
        for pid in self._orphans():
            os.waitpid(pid, os.WNOHANG)
        for daemon in daemons:
            self.daemons.remove(daemon)
            daemon.remove()
        return wrong


FLEET = Fleet()
KNOWN = set()  # pids of children that a test started itself and will reap itself


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for daemon in FLEET.daemons:
            log = daemon.log()
            if log:
                report.sections.append(("futured's log, " + daemon.directory, log[-8000:]))


@pytest.fixture
def launch(request):
    """Starts daemons: launch({…config}, …). Those of this test end with it."""
    mine = []

    def start(*layers, **keys):
        daemon = FLEET.launch(getattr(request.module, "CONFIG", {}), *layers, **keys)
        mine.append(daemon)
        return daemon
    yield start
    wrong = FLEET.land(mine)
    assert not wrong, "; ".join(wrong)


@pytest.fixture
def daemon(request, launch):
    """A daemon for this test alone."""
    return launch(*[m.kwargs for m in reversed(list(request.node.iter_markers("config")))])


@pytest.fixture
def client(daemon):
    return daemon.client()


@pytest.fixture(scope="module")
def shared_daemon(request):
    """One daemon for all tests of a file."""
    daemon = FLEET.launch(getattr(request.module, "CONFIG", {}))
    yield daemon
    wrong = FLEET.land([daemon])
    assert not wrong, "; ".join(wrong)


@pytest.fixture
def shared(shared_daemon):
    """A connection of one's own to the file's daemon, which must be alive before and after."""
    assert shared_daemon.is_running(), "the daemon died in an earlier test"
    client = shared_daemon.client()
    yield client
    client.close()
    shared_daemon.clients.remove(client)
    assert shared_daemon.is_running(), "the daemon died"


@pytest.fixture
def fut(daemon):
    """fut, asking this test's own daemon."""
    return cli_helper.Fut(daemon.directory, daemon.address)


@pytest.fixture
def sf(shared_daemon):
    """fut at the file's daemon, for tests that only look or clean up after themselves."""
    return cli_helper.Fut(shared_daemon.directory, shared_daemon.address)


@pytest.fixture
def gate(daemon):
    """A gate for tasks of this test's own daemon."""
    return daemon.gate()
