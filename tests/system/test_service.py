"""The daemon under a service manager: notifications, a watchdog, sockets passed by name. (In a real systemd: test_systemd.py.)"""
import os
import signal
import socket
import ssl
import tempfile
import time

import pytest

import rpc
import tls_helper
from helpers import eventually

# LISTEN_PID must name the daemon itself, whose pid nobody knows before it is there; a shell that becomes it does.
AS_ACTIVATED = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"']


class Manager:
    """The end of NOTIFY_SOCKET at which a service manager listens."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind("\0" + path[1:] if path[0] == "@" else path)
        self.seen = []

    def hear(self, timeout=10):
        """The lines of the next datagram."""
        self.socket.settimeout(timeout)
        try:
            lines = self.socket.recv(65536).decode().split("\n")
        except socket.timeout:
            raise rpc.Hang("the manager heard nothing; before: %r" % self.seen) from None
        self.seen.append(lines)
        return lines

    def await_line(self, start):
        """The first line from now on that begins so."""
        while True:
            for line in self.hear():
                if line.startswith(start):
                    return line

    def hears_nothing_more_of(self, start):
        self.socket.settimeout(0.001)
        while True:
            try:
                lines = self.socket.recv(65536).decode().split("\n")
            except socket.timeout:
                return
            assert not [line for line in lines if line.startswith(start)]


@pytest.fixture
def manager(tmp_path):
    m = Manager(str(tmp_path / "notify"))
    yield m
    m.socket.close()


def listening(path, backlog=64):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    s.bind(path)
    s.listen(backlog)
    return s


def passing(sockets, names, **variables):
    """Keys for launch: these sockets as descriptors 3, 4, …"""
    def preexec():
        high = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate(sockets)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        os.closerange(3 + len(sockets), 300)
    env = {"LISTEN_FDS": str(len(sockets)), **variables}
    if names is not None:
        env["LISTEN_FDNAMES"] = ":".join(names)
    return {"prefix": AS_ACTIVATED, "preexec": preexec, "env": env}


# ---- what the manager hears ----

def test_ready_is_said_when_clients_can_connect(launch, manager):
    daemon = launch(start=False, env={"NOTIFY_SOCKET": manager.path})
    daemon.spawn()
    manager.await_line("READY=1")
    assert daemon.client().call("ping", 1) == 1


def test_an_abstract_notify_socket_will_do(launch):
    manager = Manager("@futured-test-%d-%d" % (os.getpid(), time.monotonic_ns()))
    launch(env={"NOTIFY_SOCKET": manager.path})
    assert manager.await_line("READY=1")


def test_a_notify_socket_that_is_not_there_is_said_and_ends_the_start(launch, tmp_path):
    daemon = launch(start=False, env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    daemon.expected_status = 1
    daemon.spawn()
    assert daemon.await_end() == 1
    assert "NOTIFY_SOCKET: %s/nobody: No such file or directory" % tmp_path in daemon.log()


def test_the_status_tells_what_is_queued_and_what_runs(launch, manager):
    daemon = launch(env={"NOTIFY_SOCKET": manager.path})
    client, gate = daemon.client(), daemon.gate()
    client.call("submit", "one", *gate.task())
    gate.await_start()
    client.call("map", "one", "true", [[]] * 3)
    while manager.await_line("STATUS=") != "STATUS=3 queued, 1 running":
        pass
    gate.open()
    while manager.await_line("STATUS=") != "STATUS=0 queued, 0 running":
        pass


def test_a_reload_is_announced_with_its_time_and_its_end(launch, manager):
    daemon = launch(env={"NOTIFY_SOCKET": manager.path})
    manager.await_line("READY=1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.client().call("reload")
    while "RELOADING=1" not in manager.hear():
        pass
    (when,) = [line for line in manager.seen[-1] if line.startswith("MONOTONIC_USEC=")]
    assert before <= int(when.partition("=")[2]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.await_line("READY=1")


def test_a_reload_that_fails_ends_too(launch, manager):
    daemon = launch(env={"NOTIFY_SOCKET": manager.path})
    manager.await_line("READY=1")
    with open(daemon.config_path, "a") as f:
        f.write("nosuch: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    manager.await_line("RELOADING=1")
    manager.await_line("READY=1")


def test_while_it_drains_the_manager_is_asked_for_time(launch, manager):
    daemon = launch({"stop_timeout": "60s"}, env={"NOTIFY_SOCKET": manager.path})
    client, gate = daemon.client(), daemon.gate()
    client.call("submit", "one", *gate.task())
    gate.await_start()
    daemon.process.send_signal(signal.SIGTERM)
    while "STOPPING=1" not in manager.hear():
        pass
    assert int(manager.await_line("EXTEND_TIMEOUT_USEC=").partition("=")[2]) >= 2000000
    assert daemon.is_running()
    gate.open()
    assert daemon.await_end() == 0


def test_nothing_of_the_manager_reaches_a_task(launch, manager):
    here = tempfile.gettempdir()
    daemon = launch(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "60000000", "JOURNAL_STREAM": "1:2", "CREDENTIALS_DIRECTORY": here})
    text = daemon.client().call("call", "shell", "env")["stdout"].decode()
    assert "PATH=" in text
    assert not [name for name in ("NOTIFY", "WATCHDOG", "JOURNAL", "CREDENTIALS", "LISTEN_") if name in text]


# ---- the watchdog ----

def test_the_watchdog_is_fed(launch, manager):
    launch(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"})
    for _ in range(5):
        assert manager.await_line("WATCHDOG=1")


def test_a_loop_that_does_not_turn_does_not_feed_it(launch, manager):
    daemon = launch(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000"})
    manager.await_line("WATCHDOG=1")
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        eventually(lambda: open("/proc/%d/stat" % daemon.pid).read().rpartition(")")[2].split()[0] == "T")
        manager.hears_nothing_more_of("nothing")  # what was said before
        time.sleep(0.2)
        manager.hears_nothing_more_of("WATCHDOG=1")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    manager.await_line("WATCHDOG=1")


def test_the_watchdog_of_another_process_is_not_ours(launch, manager):
    daemon = launch(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    client = daemon.client()
    client.call("call", "shell", "sleep", ["0.1"])
    while manager.await_line("STATUS=") != "STATUS=0 queued, 0 running":
        pass
    assert not [lines for lines in manager.seen if "WATCHDOG=1" in lines]


# ---- sockets that were passed ----

def test_a_passed_socket_is_served_and_stays_when_the_daemon_ends(launch, tmp_path):
    path = str(tmp_path / "passed.sock")
    with listening(path) as s:
        early = socket.socket(socket.AF_UNIX)
        early.connect(path)  # before anybody is there
        daemon = launch({"listen": None}, start=False, **passing([s], ["unix"]))
        daemon.config.pop("listen", None)
        daemon.spawn()
        client = rpc.Client(path)
        assert client.call("ping", 1) == 1
        assert client.call("call", "shell", "sh", ["-c", "echo $FUTURED_ADDRESS"])["stdout"] == b"unix:%s\n" % path.encode()
        client.close()
        early.close()
        assert daemon.stop() == 0
        assert os.path.exists(path)


def test_the_address_of_the_configuration_is_taken_over_not_bound_again(launch, tmp_path):
    path = str(tmp_path / "passed.sock")
    with listening(path) as s:
        inode = os.stat(path).st_ino
        daemon = launch({"listen": ["unix:" + path]}, start=False, **passing([s], ["futured.socket"]))
        daemon.spawn()
        client = rpc.Client(path)
        assert client.call("ping", 1) == 1
        client.close()
        assert os.stat(path).st_ino == inode


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_several_sockets_in_any_order(launch, tmp_path, order):
    paths = [str(tmp_path / ("passed%d.sock" % i)) for i in range(3)]
    sockets = [listening(path) for path in paths]
    daemon = launch({"listen": ["unix:" + paths[0], "unix:%s/own.sock" % tmp_path]}, start=False,
                    **passing([sockets[i] for i in order], ["unix"] * 3))
    daemon.spawn()
    for path in paths:
        with rpc.Client(path) as client:
            assert client.call("ping", path) == path
    eventually(lambda: os.path.exists(str(tmp_path / "own.sock")))
    with rpc.Client(str(tmp_path / "own.sock")) as client:
        assert client.call("ping", 1) == 1
    for s in sockets:
        s.close()
    assert daemon.stop() == 0
    assert all(map(os.path.exists, paths)) and not os.path.exists(str(tmp_path / "own.sock"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_network_sockets_are_known_by_their_ports(launch, tmp_path, order):
    (tmp_path / "tokens").touch(0o600)
    authority, listen, sockets, certificates = tls_helper.Authority(str(tmp_path)), ["unix:%s/s" % tmp_path], [], []
    for name in ("first", "second"):
        sockets.append(socket.create_server(("127.0.0.1", 0)))
        cert, key = authority.issue(name)
        certificates.append(open(cert).read())
        listen.append({"address": "tls:127.0.0.1:%d" % sockets[-1].getsockname()[1], "cert": cert, "key": key})
    daemon = launch({"listen": listen, "tokens": str(tmp_path / "tokens"), "shared_uid": True}, start=False,
                    **passing([sockets[i] for i in order], ["tls", "tls"]))
    daemon.spawn()
    served = [ssl.get_server_certificate(s.getsockname(), timeout=10) for s in sockets]
    for s in sockets:
        s.close()
    assert served == certificates


def test_a_network_socket_that_the_configuration_does_not_have_ends_the_start(launch, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        assert "of a port that no tcp: or tls: address in `listen` has" in refused_start(launch, **passing([s], ["tcp"]))


def test_variables_meant_for_another_process_are_ignored(launch):
    daemon = launch(env={"LISTEN_FDS": "3", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b:c"})
    assert daemon.client().call("ping", 1) == 1


def refused_start(launch, **keys):
    daemon = launch(start=False, **keys)
    daemon.expected_status = 1
    daemon.spawn()
    assert daemon.await_end() == 1
    return daemon.log()


def test_a_name_that_means_nothing_ends_the_start(launch, tmp_path):
    with listening(str(tmp_path / "s")) as s:
        log = refused_start(launch, **passing([s], ["nosuch"]))
    assert "expected the name unix, tcp, tls or http (FileDescriptorName=), got 'nosuch'" in log


def test_a_socket_that_is_not_what_its_name_says_ends_the_start(launch, tmp_path):
    with listening(str(tmp_path / "s")) as s:
        assert "is named 'tls', and is a Unix socket" in refused_start(launch, **passing([s], ["tls"]))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        assert "is named 'unix', and is no Unix socket" in refused_start(launch, **passing([s], ["unix"]))


def test_a_socket_that_does_not_listen_ends_the_start(launch):
    a, b = socket.socketpair()
    assert "is no listening stream socket" in refused_start(launch, **passing([a], ["unix"]))
    a.close()
    b.close()


@pytest.mark.parametrize("count", ["-1", "x", "65", "1x"])
def test_a_count_that_is_none_ends_the_start(launch, count):
    assert "LISTEN_FDS: expected 0 to 64" in refused_start(launch, prefix=AS_ACTIVATED, env={"LISTEN_FDS": count})
