"""`futured` before it serves: checking a configuration, what it refuses to start with, and what it serves without one."""
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

import conftest
import helpers
import rpc
from helpers import eventually, sh

BROKEN = os.path.join(helpers.ROOT, "tests", "data", "config", "broken.txt")
HANDFUL = ("limits", "listen", "store", "runtime", "workers", "modules", "env")  # of each key the first case that names it

GOOD = """
listen: [unix:%s/s]
store: memory
retain: 10m
limits: {message: 1MiB, queue: 10}
pools:
  shell: {kind: command, workers: 2, grace: 1s}
"""


def futured(*arguments, **keys):
    """Runs it to its end, which must come by itself."""
    keys.setdefault("timeout", 20)
    return subprocess.run([os.path.join(helpers.BUILD, "bin", "futured"), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", **keys)


@pytest.fixture
def write(tmp_path):
    """Writes a file that only we may write; returns its path."""
    def write(text, mode=0o600):
        path = tmp_path / "futured.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return str(path)
    return write


# ---- -t ----

def test_a_good_configuration_is_good(write, tmp_path):
    path = write(GOOD % tmp_path)
    run = futured("-t", "-c", path)
    assert (run.returncode, run.stderr) == (0, "")
    assert path in run.stdout
    assert not (tmp_path / "s").exists(), "checking started something"


def test_the_built_in_configuration_is_good():
    run = futured("-t")
    assert (run.returncode, run.stderr) == (0, "")


def test_each_mistake_is_a_line_with_its_place(write):
    path = write("retain: soon\nlimits: {message: 1MiB, quueue: 5}\npools:\n  shell:\n    kind: comand\n")
    run = futured("-t", "-c", path)
    assert run.returncode == 1
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == 3, run.stderr
    assert lines[0].startswith("%s:1:9: retain: expected a duration" % path)
    assert lines[1].startswith("%s:2:25: limits.quueue: expected a known key" % path)
    assert "did you mean 'queue'?" in lines[1]
    assert lines[2].startswith("%s:5:11: pools.shell.kind: expected" % path)


def test_nothing_starts_with_a_mistake(write, tmp_path):
    run = futured("-c", write(GOOD % tmp_path + "retainn: 5s\n"))
    assert run.returncode == 1
    assert "retainn: expected a known key" in run.stderr
    assert not (tmp_path / "s").exists()


# ---- the table of broken ones, through the program ----

def broken():
    """(what is expected, the text) of every case; both as in the unit test that runs all of them in the library."""
    cases, expected, text = [], [], ""
    with open(BROKEN, encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            if line.startswith("### "):
                if text:
                    cases.append((expected, text))
                    expected, text = [], ""
                expected = expected + [line[4:].rstrip("\n")]
            elif expected and line != "\n":
                text += line
    return cases + [(expected, text)]


CASES = broken()


def chosen():
    """Every tenth, and for each of a handful of keys the first case that is about it."""
    found = dict.fromkeys(range(0, len(CASES), 10))
    for key in HANDFUL:
        found[next(i for i, (expected, _) in enumerate(CASES) if re.search(r"\b%s\b" % key, expected[0].split(" ")[1]))] = None
    return sorted(n for n in found if "expected an absolute path" not in CASES[n][0][0])  # a file has a directory, a text has not


def is_as_expected(line, expected, path):
    place, _, text = expected.partition(" ")
    start, _, rest = text.partition(" ... ")
    start = "%s:%s: %s" % (path, place, start)
    return line.startswith(start) and rest in line[len(start):]


def test_the_example_of_a_shared_daemon_is_good_and_each_pools_user_is_why(write):
    with open(os.path.join(helpers.ROOT, "examples", "team.yaml")) as f:
        text = f.read()
    path = write(text.encode())
    assert futured("-t", "-c", path).returncode == 0
    for pool in re.findall(r" user: \w+,", text):
        run = futured("-t", "-c", write(text.replace(pool, "", 1).encode()))
        assert run.returncode == 1 and "shared_uid: expected true" in run.stderr


def test_the_table_is_there():
    assert len(CASES) >= 200
    assert all(expected and text for expected, text in CASES)


@pytest.mark.parametrize("number", chosen(), ids=lambda n: CASES[n][0][0][:60])
def test_a_broken_configuration_is_refused_at_its_place(number, write):
    expected, text = CASES[number]
    path = write(text.encode("utf-8", "surrogateescape"))
    run = futured("-t", "-c", path)
    assert run.returncode == 1, run.stdout
    lines = run.stderr.splitlines()
    assert len(lines) == len(expected), run.stderr
    for line, what in zip(lines, expected):
        assert is_as_expected(line, what, path), (line, what)


# ---- files ----

@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_file_that_others_may_write_is_refused(write, tmp_path, mode):
    path = write(GOOD % tmp_path, mode)
    for check in (["-t"], []):
        run = futured(*check, "-c", path)
        assert run.returncode == 1
        assert path in run.stderr and "writ" in run.stderr, run.stderr
    assert not (tmp_path / "s").exists()


def test_a_missing_file_is_named(tmp_path):
    path = str(tmp_path / "nowhere.yaml")
    run = futured("-t", "-c", path)
    assert run.returncode == 1
    assert path in run.stderr and "No such file" in run.stderr


def test_a_directory_is_no_configuration(tmp_path):
    run = futured("-t", "-c", str(tmp_path))
    assert run.returncode == 1
    assert str(tmp_path) in run.stderr


def test_a_fifo_does_not_hang_it(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    run = futured("-t", "-c", str(tmp_path / "fifo"), timeout=10)
    assert run.returncode == 1
    assert "fifo" in run.stderr


def test_an_empty_file_holds_the_defaults(write):
    run = futured("-t", "-c", write(""))
    assert (run.returncode, run.stderr) == (0, "")


# ---- options ----

def test_help_and_version_go_to_stdout():
    run = futured("-h")
    assert (run.returncode, run.stderr) == (0, "")
    for option in ("-c FILE", "-t", "-V", "-h"):
        assert option in run.stdout
    run = futured("-V")
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"futured \d+\.\d+\.\d+\n", run.stdout)


@pytest.mark.parametrize("arguments", [["-x"], ["-c"], ["file.yaml"], ["-t", "file.yaml"], ["--nonsense"], [""]], ids=" ".join)
def test_wrong_usage_is_status_2(arguments):
    run = futured(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert "usage: futured" in run.stderr


# ---- beside another one ----

def test_a_second_daemon_on_the_same_socket_does_not_start(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task(then="echo unhurt"))
    gate.await_start()
    run = futured("-c", daemon.config_path, timeout=40)
    assert run.returncode == 1
    named = daemon.address if daemon.config["store"] == "memory" else "futured.db"
    assert named in run.stderr and "another daemon" in run.stderr
    assert client.call("ping", 1) == 1
    again = daemon.client()  # its socket is still where it was
    gate.open()
    assert again.call("result", future)["stdout"] == b"unhurt\n"


def test_a_socket_that_a_dead_daemon_left_is_taken_over(launch):
    first = launch()
    path = first.address
    first.kill()
    assert os.path.exists(path)
    second = launch(directory=first.directory)
    assert second.client().call("ping", 1) == 1
    assert second.stop() == 0
    assert not os.path.exists(path), "its own socket file stays behind"


def test_a_file_that_is_no_socket_is_left_alone(launch):
    daemon = launch(start=False)
    with open(daemon.address, "w") as f:
        f.write("precious")
    daemon.spawn()
    daemon.expected_status = 1
    assert daemon.await_end() == 1
    assert daemon.address in daemon.log() and "socket" in daemon.log()
    with open(daemon.address) as f:
        assert f.read() == "precious"


def test_a_start_that_fails_leaves_no_socket_behind(launch):
    daemon = launch(start=False)
    second = daemon.path("file")
    open(second, "w").close()
    daemon.config["listen"] = ["unix:" + daemon.address, "unix:" + second]
    daemon.spawn()
    daemon.expected_status = 1
    assert daemon.await_end() == 1
    assert not os.path.exists(daemon.address)


def test_it_listens_at_every_address(launch):
    daemon = launch(start=False)
    second = daemon.path("second.sock")
    daemon.config["listen"] = ["unix:" + daemon.address, "unix:" + second]
    daemon.start()
    for path in (daemon.address, second):
        client = rpc.Client(path)
        assert client.call("ping", path) == path
        client.close()
        assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600


def test_a_path_that_is_too_long_is_refused(write):
    path = "/" + "x" * 108
    run = futured("-t", "-c", write("listen: [unix:%s]\n" % path))
    assert run.returncode == 1
    assert ":1:10: listen" in run.stderr, run.stderr


def test_the_longest_path_is_served_or_refused_by_name(write, tmp_path):
    """The last lengths before 107: a name of its own while it is being bound must fit too."""
    for length in (100, 104, 107):
        directory = str(tmp_path)
        path = directory + "/" + "x" * (length - len(directory) - 1)
        if len(directory) > 90:
            pytest.skip("the directory's own name is too long")
        config = write("listen: [unix:%s]\nstore: memory\nstate_dir: %s/state\npools: {shell: {kind: command, workers: 1}}\n" % (path, directory))
        process = subprocess.Popen([os.path.join(helpers.BUILD, "bin", "futured"), "-c", config], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        conftest.KNOWN.add(process.pid)
        try:
            eventually(lambda: process.poll() is not None or os.path.exists(path), 10, "it starts or ends")
            if process.poll() is None:
                client = rpc.Client(path)
                assert client.call("ping", 1) == 1
                client.close()
                process.send_signal(signal.SIGTERM)
                assert process.wait(40) == 0
                process.stderr.read()
            else:
                assert process.returncode == 1
                assert "too long" in process.stderr.read().decode()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
            conftest.KNOWN.discard(process.pid)


# ---- without any configuration ----

class Own:
    """The user's own daemon, started without a configuration, in directories of its own."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.runtime = os.path.join(self.directory, "run")
        self.socket_directory = os.path.join(self.runtime, "futured")
        self.address = os.path.join(self.socket_directory, "futured.sock")
        self.process = None
        os.mkdir(self.runtime, 0o700)
        os.mkdir(os.path.join(self.directory, "state"), 0o700)

    def environment(self):
        env = {"PATH": os.environ["PATH"], "HOME": self.directory, "XDG_RUNTIME_DIR": self.runtime,
               "XDG_STATE_HOME": os.path.join(self.directory, "state")}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        return env

    def start(self, umask=0o022):
        log_path = os.path.join(self.directory, "futured.log")
        with open(os.open(log_path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as log:
            self.process = subprocess.Popen([os.path.join(helpers.BUILD, "bin", "futured")], stdin=subprocess.DEVNULL, stderr=log,
                                            env=self.environment(), cwd=self.directory, preexec_fn=lambda: os.umask(umask))
        conftest.KNOWN.add(self.process.pid)
        eventually(lambda: os.path.exists(self.address) or self.process.poll() is not None, 10, "futured listens")
        if self.process.poll() is not None:
            self.end()
            with open(log_path) as log:
                pytest.fail("it did not start: " + log.read())
        return rpc.Client(self.address)

    def refused(self):
        """It must not start; what it says."""
        run = futured(env=self.environment(), cwd=self.directory)
        assert run.returncode == 1, run.stderr
        return run.stderr

    def end(self):
        process, self.process = self.process, None
        if process is None:
            return
        started = process.poll() is None
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(40) == 0 or not started
        finally:
            process.kill()
            process.wait()
            conftest.KNOWN.discard(process.pid)


@pytest.fixture
def own(tmp_path):
    own = Own(tmp_path)
    if len(own.address) > 90:
        pytest.skip("the directory's own name is too long for a socket")
    yield own
    own.end()


def test_without_a_configuration_the_user_is_served_at_the_users_own_socket(own):
    client = own.start()
    pools = {p["name"]: p for p in client.call("pools")}
    assert pools["shell"]["kind"] == "command"
    assert pools["shell"]["workers"] == len(os.sched_getaffinity(0))
    assert client.call("call", "shell", *sh("echo served"))["stdout"] == b"served\n"
    assert client.call("open_pool", {"like": "shell", "workers": 1}) != "shell"
    client.close()
    own.end()
    assert not os.path.exists(own.address)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_directory_and_socket_are_the_users_alone_whatever_the_umask(own, umask):
    own.start(umask).close()
    directory, address = os.lstat(own.socket_directory), os.lstat(own.address)
    assert stat.S_IMODE(directory.st_mode) == 0o700
    assert stat.S_ISSOCK(address.st_mode)
    assert stat.S_IMODE(address.st_mode) == 0o600
    for root, directories, files in os.walk(own.directory):
        for name in directories + files:
            path = os.path.join(root, name)
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            assert not mode & 0o077, "%s has mode %o" % (path, mode)


def test_a_umask_that_takes_from_the_user_does_not_spoil_the_directory_it_makes(own):
    own.start(0o177).close()
    assert stat.S_IMODE(os.lstat(own.socket_directory).st_mode) == 0o700


def test_a_second_one_of_the_users_own_does_not_start(own):
    client = own.start()
    said = own.refused()
    assert own.address in said and "another daemon" in said
    assert client.call("ping", 1) == 1
    client.close()


def test_a_directory_that_is_a_symlink_is_refused(own):
    elsewhere = os.path.join(own.directory, "elsewhere")
    os.mkdir(elsewhere, 0o700)
    os.symlink(elsewhere, own.socket_directory)
    assert own.socket_directory in own.refused()
    assert os.listdir(elsewhere) == []


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o711])
def test_a_directory_that_others_may_enter_is_refused(own, mode):
    os.mkdir(own.socket_directory)
    os.chmod(own.socket_directory, mode)
    said = own.refused()
    assert own.socket_directory in said and "%o" % mode in said
    assert os.listdir(own.socket_directory) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(own):
    os.mkdir(own.socket_directory, 0o700)
    os.chown(own.socket_directory, 65534, 65534)
    said = own.refused()
    assert own.socket_directory in said and "another user" in said
    assert os.listdir(own.socket_directory) == []


def test_a_file_in_place_of_the_directory_is_refused(own):
    with open(own.socket_directory, "w") as f:
        f.write("precious")
    assert own.socket_directory in own.refused()
    with open(own.socket_directory) as f:
        assert f.read() == "precious"


def test_a_runtime_directory_that_is_not_there_is_named(own):
    os.rmdir(own.runtime)
    assert own.socket_directory in own.refused()


def test_a_runtime_directory_that_is_too_long_is_refused(own):
    own.runtime = "/" + "x" * 120
    assert "too long" in own.refused()


# ---- state ----

def test_a_state_directory_that_cannot_be_used_is_named(launch):
    daemon = launch({"state_dir": "/proc/nothing"}, start=False)
    daemon.spawn()
    daemon.expected_status = 1
    assert daemon.await_end() == 1
    assert "state_dir" in daemon.log()
    assert not os.path.exists(daemon.address)
