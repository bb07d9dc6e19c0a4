"""/metrics, /healthz and /readyz: what is served by HTTP, to whom, and that it is true."""
import http.client
import os
import re
import resource
import signal
import socket
import stat
import time

import pytest

import helpers
from helpers import eventually, refused
from test_service import listening, passing

EXPORTED = {
    "futured_info": "gauge", "futured_uptime_seconds": "gauge", "futured_ready": "gauge", "futured_submitted_total": "counter",
    "futured_finished": "gauge", "futured_failures_unseen": "gauge", "futured_connections": "gauge", "futured_connections_total": "counter",
    "futured_connections_refused_total": "counter", "futured_received_bytes_total": "counter", "futured_sent_bytes_total": "counter",
    "futured_payload_bytes": "gauge", "futured_spilled_bytes": "gauge", "futured_resident_bytes": "gauge", "futured_turns_total": "counter",
    "futured_loop_lag_seconds": "histogram", "futured_store_commit_seconds": "histogram", "futured_store_batches_total": "counter", "futured_store_failures_total": "counter", "futured_store_bytes": "gauge",
    "futured_tasks_total": "counter", "futured_retries_total": "counter", "futured_pending": "gauge", "futured_running": "gauge",
    "futured_queue_age_seconds": "gauge", "futured_workers": "gauge", "futured_pool_broken": "gauge", "futured_pool_paused": "gauge",
    "futured_wait_seconds": "histogram", "futured_run_seconds": "histogram",
}


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=40)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Watched:
    """A daemon with an HTTP socket."""

    def __init__(self, daemon, path):
        self.daemon = daemon
        self.path = path

    def get(self, what, method="GET", headers=None):
        connection = Unix(self.path)
        try:
            connection.request(method, what, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """{'name{labels}': value}, after a look at the form of every line."""
        status, text = self.get("/metrics")
        assert status == 200 and text.endswith("\n")
        return parse(text)


def parse(text):
    found, family, types = {}, None, {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, what, family, rest = line.split(" ", 3)
            assert what in ("HELP", "TYPE") and rest
            if what == "TYPE":
                assert family not in types, "a family comes once, in one piece"
                types[family] = rest
            continue
        match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="[^"\\\n]*",?)*\})? (\S+)', line)
        assert match, line
        name, labels, value = match.groups()
        assert name in (family, family + "_bucket", family + "_sum", family + "_count"), line
        assert name + (labels or "") not in found
        found[name + (labels or "")] = float(value)
    assert types.items() >= EXPORTED.items()
    return found


@pytest.fixture
def watched(launch, tmp_path):
    path = str(tmp_path / "http.sock")
    daemon = launch({"http": "unix:" + path})
    return Watched(daemon, path)


# ---- the metrics ----

def test_every_metric_is_there_and_well_formed(watched):
    assert watched.metrics()["futured_ready"] == 1


def test_tasks_are_counted_by_pool_and_outcome(watched):
    client, gate = watched.daemon.client(), watched.daemon.gate()
    client.call("wait", [client.call("submit", "shell", "true") for _ in range(3)])
    client.call("wait", [client.call("submit", "shell", "false", [], {"retries": 2})])
    client.call("submit", "one", *gate.task())
    gate.await_start()
    first, count = client.call("map", "one", "true", [[]] * 5)
    client.call("cancel", [[first, 2]])
    found = watched.metrics()
    assert found['futured_tasks_total{pool="shell",outcome="succeeded"}'] == 3
    assert found['futured_tasks_total{pool="shell",outcome="failed"}'] == 1
    assert found['futured_retries_total{pool="shell"}'] == 2
    assert found['futured_tasks_total{pool="one",outcome="cancelled"}'] == 2
    assert found['futured_pending{pool="one"}'] == 3 and found['futured_running{pool="one"}'] == 1
    assert found['futured_workers{pool="one",state="busy"}'] == 1 and found['futured_workers{pool="one",state="wanted"}'] == 1
    assert found["futured_submitted_total"] == 10 and found["futured_failures_unseen"] == 1
    assert found['futured_run_seconds_count{pool="shell"}'] == 6, "each attempt counts"
    assert found['futured_wait_seconds_count{pool="shell"}'] == 4, "each task counts"
    client.call("release", [[first, count]])
    assert watched.metrics()['futured_tasks_total{pool="one",outcome="cancelled"}'] >= 2, "a counter does not go back"
    gate.open()


def test_times_fall_into_their_buckets(watched):
    client, gate = watched.daemon.client(), watched.daemon.gate()
    client.call("submit", "one", *gate.task())
    gate.await_start()
    behind = client.call("submit", "one", "sleep", ["0.15"])
    eventually(lambda: watched.metrics()['futured_queue_age_seconds{pool="one"}'] > 0.12)
    gate.open()
    client.call("wait", [behind])
    found = watched.metrics()
    assert found['futured_queue_age_seconds{pool="one"}'] == 0
    assert found['futured_run_seconds_sum{pool="one"}'] > 0.25 and found['futured_wait_seconds_sum{pool="one"}'] > 0.1
    for name in ("wait", "run"):
        buckets = [(float(re.search('le="([^"]*)"', key)[1]), value) for key, value in found.items()
                   if key.startswith('futured_%s_seconds_bucket{pool="one"' % name)]
        assert buckets == sorted(buckets), "cumulative, in order"
        assert buckets[-1] == (float("inf"), found['futured_%s_seconds_count{pool="one"}' % name])
    assert found['futured_run_seconds_bucket{pool="one",le="0.1"}'] == 0


def test_connections_and_their_bytes_are_counted(watched):
    before = watched.metrics()
    client = watched.daemon.client()
    client.call("ping", "x" * 100000)
    after = watched.metrics()
    assert after["futured_connections"] == before["futured_connections"] + 1
    assert after["futured_connections_total"] == before["futured_connections_total"] + 1
    assert 100000 < after["futured_received_bytes_total"] - before["futured_received_bytes_total"] < 101000
    assert 100000 < after["futured_sent_bytes_total"] - before["futured_sent_bytes_total"] < 101000


def test_a_refused_connection_is_counted(launch, tmp_path):
    daemon = launch({"http": "unix:%s/http" % tmp_path, "limits": {"connections": 1}})
    watched = Watched(daemon, str(tmp_path / "http"))
    eventually(lambda: watched.metrics()["futured_connections"] == 0)  # that of who looked whether it is up
    before = watched.metrics()["futured_connections_refused_total"]
    daemon.client().call("ping")
    with socket.socket(socket.AF_UNIX) as second:
        second.connect(daemon.address)
        while second.recv(4096):
            pass
    assert watched.metrics()["futured_connections_refused_total"] == before + 1


def test_commits_are_timed_where_the_store_is_durable(launch, tmp_path):
    daemon = launch({"http": "unix:%s/http" % tmp_path, "store": "sqlite"})
    watched, client = Watched(daemon, str(tmp_path / "http")), daemon.client()
    client.call("call", "shell", "true")
    found = watched.metrics()
    assert found["futured_store_commit_seconds_count"] >= 1 and found["futured_store_commit_seconds_sum"] > 0
    assert found["futured_store_bytes"] > 0 and found["futured_store_failures_total"] == 0
    assert found['futured_info{version="0.1.0",store="sqlite"}'] == 1


def test_an_opened_pool_counts_for_the_one_it_is_like(watched):
    client = watched.daemon.client()
    name = client.call("open_pool", {"like": "shell"})
    client.call("call", name, "true")
    found = watched.metrics()
    assert found['futured_tasks_total{pool="shell",outcome="succeeded"}'] == 1
    assert not [key for key in found if name in key and name != "shell"]
    client.call("close_pool", name)
    assert watched.metrics()['futured_tasks_total{pool="shell",outcome="succeeded"}'] == 1


def test_a_busy_loop_is_seen_in_its_lag(watched):
    os.kill(watched.daemon.pid, signal.SIGSTOP)
    try:
        eventually(lambda: helpers.process_state(watched.daemon.pid) == "T")
        time.sleep(2)
    finally:
        os.kill(watched.daemon.pid, signal.SIGCONT)
    eventually(lambda: watched.metrics()["futured_loop_lag_seconds_sum"] > 0.5)


# ---- health ----

def test_healthz_and_readyz_say_so_in_words(watched):
    assert watched.get("/healthz") == (200, "ok\n")
    assert watched.get("/readyz") == (200, "ready\n")


def test_a_daemon_that_drains_is_healthy_and_not_ready(launch, tmp_path):
    daemon = launch({"http": "unix:%s/http" % tmp_path, "stop_timeout": "60s"})
    watched, client, gate = Watched(daemon, str(tmp_path / "http")), daemon.client(), daemon.gate()
    client.call("submit", "one", *gate.task())
    gate.await_start()
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: watched.get("/readyz") == (503, "the daemon is ending\n"))
    assert watched.get("/healthz") == (200, "ok\n") and watched.metrics()["futured_ready"] == 0
    gate.open()


def test_a_broken_pool_is_not_ready_until_it_is_healed(launch, tmp_path):
    runtime = tmp_path / "runtime"
    daemon = launch({"http": "unix:%s/http" % tmp_path, "pools": {"own": {"kind": "process", "runtime": [str(runtime)]}}})
    watched, client = Watched(daemon, str(tmp_path / "http")), daemon.client()
    assert watched.get("/readyz")[0] == 200, "nobody has asked for a worker yet"
    client.call("submit", "own", "f")
    eventually(lambda: watched.get("/readyz") == (503, "pool own is broken: its workers cannot start\n"), 15)
    assert watched.metrics()['futured_pool_broken{pool="own"}'] == 1


def test_a_client_cannot_make_the_daemon_unready_by_a_pool_of_its_own(launch, tmp_path):
    daemon = launch({"http": "unix:%s/http" % tmp_path, "pools": {"lua": {"kind": "interpreter"}}})
    watched, client = Watched(daemon, str(tmp_path / "http")), daemon.client()
    name = client.call("open_pool", {"like": "lua", "initializer": "nosuch"})
    refused("BrokenPoolError", client.call, "call", name, "f")
    assert [p for p in client.call("pools") if p["name"] == name][0]["broken"]
    assert watched.get("/readyz")[0] == 200


# ---- who is answered, and what a peer can do ----

def test_the_socket_is_the_daemons_own_and_goes_with_it(watched):
    assert stat.S_IMODE(os.stat(watched.path).st_mode) == 0o600
    assert watched.daemon.stop() == 0
    assert not os.path.exists(watched.path)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_is_served_under_loopbacks_names_only(launch, host):
    port = free_port()
    try:
        launch({"http": "tcp:%s:%d" % (host, port)})
    except AssertionError as error:
        if host == "[::1]" and "Cannot assign requested address" in str(error):
            pytest.skip("no IPv6 here")
        raise

    def status(name):
        connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=40)
        connection.putrequest("GET", "/healthz", skip_host=True)
        connection.putheader("Host", name)
        connection.endheaders()
        try:
            return connection.getresponse().status
        finally:
            connection.close()
    assert [status(name) for name in ("localhost", "localhost:%d" % port, "127.0.0.1:1", "[::1]:80")] == [200] * 4
    assert [status(name) for name in ("example.com", "localhost.example.com", "127.0.0.1.example.com", "[::2]", "127.x")] == [421] * 5


def test_a_socket_from_the_service_manager_is_taken_by_its_name(launch, tmp_path):
    path = str(tmp_path / "watch.sock")
    with listening(path) as s:
        daemon = launch(start=False, **passing([s], ["http"]))
        daemon.start()
        assert Watched(daemon, path).get("/readyz") == (200, "ready\n")
        assert daemon.stop() == 0 and os.path.exists(path)


def test_a_passed_socket_that_others_can_reach_is_refused(launch):
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        s.listen()
        daemon = launch(start=False, **passing([s], ["http"]))
        daemon.expected_status = 1
        daemon.spawn()
        assert daemon.await_end() == 1
        assert "http: the socket from the service manager is not of this machine alone" in daemon.log()


@pytest.mark.parametrize("what", ["/", "/metrics/", "/metricsx", "/../metrics", "//metrics", "*", "/%6detrics"])
def test_what_is_not_there_is_not_found(watched, what):
    assert watched.get(what)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
def test_nothing_can_be_changed(watched, method):
    assert watched.get("/metrics", method)[0] >= 400


GARBAGE = [b"\0" * 100, b"GET\n\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 100000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10000 + b"\r\n",
           b"GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", b"GET / HTTP/1.1\r\n: \r\n\r\n", b"\x93\x00\x01\xa4ping"]


def test_garbage_costs_its_connection_and_nothing_else(watched):
    for garbage in GARBAGE:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(watched.path)
            s.settimeout(10)
            try:
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert watched.get("/readyz") == (200, "ready\n")


@pytest.mark.long
def test_silent_and_dripping_peers_are_few_and_go(watched):
    peers = []
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(watched.path)
        except BlockingIOError:
            break
        peers.append(s)
    descriptors = lambda: len(os.listdir("/proc/%d/fd" % watched.daemon.pid))  # noqa: E731
    eventually(lambda: descriptors() >= 64)
    assert descriptors() < 64 + 40
    assert watched.daemon.client().call("ping", 1) == 1
    for s in peers:
        s.setblocking(True)
    dripper = peers[0]
    try:
        while True:
            dripper.sendall(b"G")
            helpers.select.select([], [], [], 0.5)
            if helpers.select.select([dripper], [], [], 0)[0] and dripper.recv(1) == b"":
                break
    except (BrokenPipeError, ConnectionResetError):
        pass
    for s in peers:
        s.close()
    eventually(lambda: watched.get("/readyz") == (200, "ready\n"), 30)
    eventually(lambda: descriptors() < 40, 30)


@pytest.mark.long
def test_without_a_descriptor_left_it_waits_for_one_and_does_not_spin(watched):
    assert watched.get("/healthz")[0] == 200
    pid, (soft, hard) = watched.daemon.pid, resource.prlimit(watched.daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/%d/fd" % pid))) + 1, hard))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(watched.path)
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        eventually(lambda: "http: cannot accept: Too many open files" in watched.daemon.log())
        before = watched.daemon.cpu()
        time.sleep(3)
        assert watched.daemon.cpu() - before < 0.3
        assert watched.daemon.log().count("http: cannot accept") < 8
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert s.recv(4096).startswith(b"HTTP/1.0 200")


def test_many_one_after_the_other_leave_nothing(watched):
    before = len(os.listdir("/proc/%d/fd" % watched.daemon.pid))
    for _ in range(200):
        assert watched.get("/healthz")[0] == 200
    eventually(lambda: len(os.listdir("/proc/%d/fd" % watched.daemon.pid)) <= before)
