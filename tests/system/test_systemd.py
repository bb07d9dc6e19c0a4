"""futured as `make install` leaves it, in a systemd that was really booted."""
import json
import os
import shutil
import subprocess
import tempfile
import time

import pytest

import helpers
import tls_helper
from helpers import eventually
from machine import Machine, Unable
from test_install import make

SOCKET = "/run/futured/futured.sock"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """An installation under /usr, to lie over /."""
    stage = tmp_path_factory.mktemp("stage")
    make("install", "PREFIX=/usr", "DESTDIR=%s" % stage)
    stage.chmod(0o755)
    return stage


# ---- what can be seen without booting ----

def analyze(units, *arguments):
    """systemd-analyze, which looks for units here only, and not for manual pages."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    with tempfile.TemporaryDirectory() as runtime:  # short: a socket's path must fit
        return subprocess.run(["systemd-analyze", *arguments], env={**os.environ, "SYSTEMD_UNIT_PATH": "%s:" % units, "XDG_RUNTIME_DIR": runtime},
                              cwd=units, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


@pytest.mark.parametrize("kind", ["system", "user"])
def test_the_units_have_no_mistakes(tmp_path, kind):
    prefix = tmp_path / "prefix"
    make("install", "PREFIX=%s" % prefix)
    units = prefix / "lib/systemd" / kind
    names = sorted(name for name in os.listdir(units))
    assert len(names) == {"system": 5, "user": 2}[kind]
    said = analyze(units, "--" + kind, "--man=no", "verify", *["./" + name for name in names])
    mine = [line for line in said.splitlines() if "futured" in line]
    assert not mine
    (units / "futured.service").open("a").write("[Service]\nNoSuchKey=1\n")  # it would have told
    assert "NoSuchKey" in analyze(units, "--" + kind, "--man=no", "verify", "./futured.service")


def exposure(units):
    last = analyze(units, "security", "--offline=true", "futured.service").strip().splitlines()[-1]
    return float(last.partition("service: ")[2].split()[0])


def test_the_exposure_is_what_the_manual_says(stage, tmp_path):
    shutil.copytree(stage / "usr/lib/systemd/system", tmp_path / "units")
    units = tmp_path / "units"
    base = exposure(units)
    (units / "futured.service.d").mkdir()
    shutil.copy(stage / "usr/share/doc/futured/systemd/hardened.conf", units / "futured.service.d")
    hardened = exposure(units)
    assert hardened < 2.5 < base
    manual = open(os.path.join(helpers.ROOT, "docs", "systemd.md")).read()
    assert "%.1f as installed" % base in manual and "%.1f with `hardened.conf`" % hardened in manual


# ---- a booted one ----

class Box(Machine):
    """With what an administrator does after `make install`."""

    def systemctl(self, *arguments, check=True):
        return self.run("systemctl", *arguments, check=check)

    def show(self, name, unit="futured.service"):
        return self.systemctl("show", "-P", name, unit).stdout.strip()

    def fut(self, *arguments, user="alice", check=True, **keys):
        return self.run("runuser", "-u", user, "--", "fut", *arguments, check=check, **keys)

    def journal(self, *arguments):
        """Entries of the journal, oldest first."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "-o", "json", "--no-pager", *arguments).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def read(self, path):
        return self.run("cat", path).stdout

    def write(self, path, text):
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', "sh", path, text)

    def cgroup_processes(self):
        path = self.show("ControlGroup")
        return self.run("sh", "-c", "find /sys/fs/cgroup%s -name cgroup.procs -exec cat {} + 2>/dev/null" % path, check=False).stdout.split() if path else []


@pytest.fixture(scope="module")
def box(stage):
    box = Box(stage)
    try:
        box.start()
    except Unable as why:
        box.stop()
        pytest.skip("no systemd can be booted here: %s" % why)
    try:
        box.run("systemd-sysusers")
        box.run("systemd-tmpfiles", "--create", "futured.conf")
        for user in ("alice", "bob", "carol"):
            box.run("useradd", "-m", user)
        box.run("usermod", "-aG", "futured", "alice")
        box.systemctl("daemon-reload")
        yield box
    finally:
        box.stop()


@pytest.fixture
def service(box):
    """Enabled, not yet started, and as installed; at the end nothing of it is left."""
    config = box.read("/etc/futured/futured.yaml")
    box.systemctl("start", "futured.socket")
    yield box
    box.systemctl("stop", "futured.service", "futured.socket")
    box.systemctl("reset-failed", check=False)
    box.write("/etc/futured/futured.yaml", config)
    box.run("rm", "-rf", "/etc/systemd/system/futured.service.d")
    box.systemctl("daemon-reload")
    assert not box.cgroup_processes()


long = pytest.mark.long


@long
def test_nothing_is_enabled_by_installing_and_a_service_brings_its_socket(box):
    def enabled(*units):
        return box.systemctl("is-enabled", *units, check=False).stdout.split()
    units = ["futured.service", "futured.socket", "futured@build.service", "futured@build.socket", "futured-tcp.socket"]
    assert enabled(*units) == ["disabled"] * 5
    box.systemctl("enable", "futured.service", "futured@build.service")
    assert enabled(*units) == ["enabled"] * 4 + ["disabled"]
    box.systemctl("disable", *units[:4])
    assert enabled(*units) == ["disabled"] * 5


@long
def test_the_first_client_starts_the_daemon_through_its_socket(service):
    assert service.run("stat", "-c", "%a %G", SOCKET).stdout == "660 futured\n"
    assert service.show("ActiveState") == "inactive"
    assert service.fut("run", "--", "echo", "hello").stdout == "hello\n"
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText").endswith("queued, 0 running")


@long
def test_tasks_run_as_the_services_user_for_those_of_its_group_only(service):
    assert service.fut("run", "--", "id", "-un").stdout == "futured\n"
    done = service.fut("daemon", "ping", "--no-start", "--address", "unix:" + SOCKET, user="bob", check=False)
    assert done.returncode != 0 and "Permission denied" in done.stderr


@long
def test_a_pool_with_a_user_runs_its_tasks_as_that_user(service):
    service.write("/etc/systemd/system/futured.service.d/users.conf", "[Service]\nAmbientCapabilities=CAP_SETUID CAP_SETGID\n")
    service.systemctl("daemon-reload")
    text = service.read("/etc/futured/futured.yaml")
    service.write("/etc/futured/futured.yaml", text + "  theirs: {kind: command, user: carol}\n")
    said = service.fut("run", "-p", "theirs", "--", "sh", "-c", "id -un; id -Gn; cd; pwd; grep CapEff /proc/self/status").stdout
    assert said == "carol\ncarol\n/home/carol\nCapEff:\t0000000000000000\n"
    assert service.fut("run", "--", "sh", "-c", "id -un; grep CapEff /proc/self/status").stdout == "futured\nCapEff:\t0000000000000000\n"
    daemon = service.run("sh", "-c", "grep CapEff /proc/$1/status", "sh", service.show("MainPID")).stdout
    assert daemon == "CapEff:\t0000000000000000\n", "it has given them to its launcher"


@long
def test_a_client_comes_through_the_network_socket_with_what_only_root_can_read(service, tmp_path):
    cert, key = tls_helper.Authority(str(tmp_path)).issue("server")
    for name, path in (("tls.crt", cert), ("tls.key", key), ("ca.crt", tmp_path / "root.crt")):
        service.write("/etc/futured/" + name, open(path).read())
    service.run("chmod", "600", "/etc/futured/tls.key")
    service.run("sh", "-c", "cd /etc/futured; umask 077; fut daemon token ci --tokens /etc/futured/tokens >/root/ci.token")
    service.write("/etc/systemd/system/futured.service.d/keys.conf", "[Service]\n" + "".join(
        "LoadCredential=%s:/etc/futured/%s\n" % (name, name) for name in ("tls.crt", "tls.key", "tokens")))
    text = service.read("/etc/futured/futured.yaml").replace("listen: unix:/run/futured/futured.sock", """listen:
  - unix:/run/futured/futured.sock
  - {address: "tls:0.0.0.0:7712", cert: "credential:tls.crt", key: "credential:tls.key"}
tokens: credential:tokens""")
    service.write("/etc/futured/futured.yaml", text)
    service.systemctl("daemon-reload")
    service.systemctl("start", "futured-tcp.socket")
    try:
        remote = ["fut", "run", "-a", "tls:localhost:7712", "--tls-ca", "/etc/futured/ca.crt"]
        assert service.run(*remote, "--token-file", "/root/ci.token", "--", "echo", "from far").stdout == "from far\n"
        assert service.run(*remote, "--", "echo", "from far", check=False).returncode != 0
        assert service.fut("run", "--", "cat", "/etc/futured/tls.key", check=False).returncode != 0
    finally:
        service.systemctl("stop", "futured.service", "futured-tcp.socket")


@long
def test_nothing_of_the_manager_is_seen_by_a_task(service):
    said = service.fut("run", "--", "sh", "-c", "env; ls -l /proc/self/fd").stdout
    assert "PATH=" in said
    assert not [name for name in ("NOTIFY_SOCKET", "WATCHDOG", "LISTEN_", "JOURNAL_STREAM", "INVOCATION_ID", "CREDENTIALS") if name in said]


@long
def test_a_reload_applies_what_can_be_applied_and_says_what_cannot(service):
    service.fut("daemon", "ping")
    before = service.show("MainPID")
    text = service.read("/etc/futured/futured.yaml")
    service.write("/etc/futured/futured.yaml", text + "  two: {kind: command, workers: 2}\n")
    service.systemctl("reload", "futured")
    assert service.fut("run", "-p", "two", "--", "echo", "there").stdout == "there\n"
    assert service.show("MainPID") == before and service.show("ActiveState") == "active"
    service.write("/etc/futured/futured.yaml", text + "nosuch: 1\n")
    assert service.systemctl("reload", "futured", check=False).returncode != 0
    assert service.show("MainPID") == before and service.show("ActiveState") == "active"
    assert any("nosuch" in entry["MESSAGE"] for entry in service.journal("-u", "futured"))
    assert service.fut("run", "-p", "two", "--", "echo", "still").stdout == "still\n"


@long
def test_the_journal_has_the_ids_as_fields(service):
    text = service.read("/etc/futured/futured.yaml")
    service.write("/etc/futured/futured.yaml", text + "log: {tasks: all}\n")
    done = service.fut("submit", "--", "sh", "-c", "exit 7").stdout.strip()
    service.fut("wait", done, check=False)
    (entry,) = service.journal("-u", "futured", "FUTURE_ID=" + done, "FUTURE_STATE=FINISHED")
    assert entry["FUTURE_POOL"] == "shell" and entry["EXIT_CODE"] == "7" and int(entry["DURATION_USEC"]) >= 0
    assert entry["CLIENT_UID"] == service.run("id", "-u", "alice").stdout.strip()
    assert entry["PRIORITY"] == "4" and entry["SYSLOG_IDENTIFIER"] == "futured"
    assert entry["MESSAGE"].startswith("future: %s (pool shell" % done) and "ExitError" in entry["MESSAGE"]


@long
def test_metrics_come_through_a_socket_of_the_manager(service):
    service.write("/etc/systemd/system/futured-http.socket", "[Socket]\nListenStream=/run/futured/http.sock\nFileDescriptorName=http\n"
                  "Service=futured.service\nSocketMode=0666\n")
    service.systemctl("daemon-reload")
    service.systemctl("start", "futured-http.socket")
    try:
        script = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/futured/http.sock'); s.send(b'GET /readyz HTTP/1.0\\r\\n\\r\\n');"
                  "print(s.makefile().read())")
        assert "\nready\n" in service.run("runuser", "-u", "bob", "--", "python3", "-c", script).stdout
        assert service.fut("run", "--", "echo", "both").stdout == "both\n"
    finally:
        service.systemctl("stop", "futured.service", "futured-http.socket")
        service.run("rm", "/etc/systemd/system/futured-http.socket")


@long
def test_a_daemon_that_hangs_is_killed_by_the_watchdog_and_replaced(service):
    service.write("/etc/systemd/system/futured.service.d/fast.conf", "[Service]\nWatchdogSec=1s\n")
    service.systemctl("daemon-reload")
    service.fut("daemon", "ping")
    first = service.show("MainPID")
    time.sleep(2.5)
    assert service.show("MainPID") == first, "a daemon that does nothing is healthy"
    task = service.fut("submit", "--", "sleep", "1000").stdout.strip()
    eventually(lambda: "sleep" in service.run("ps", "-eo", "comm").stdout)
    service.run("kill", "-STOP", first)
    eventually(lambda: service.show("MainPID") not in ("0", first), 30, "another daemon")
    eventually(lambda: service.fut("daemon", "ping", check=False).returncode == 0, 30, "it answers")
    assert service.show("NRestarts") == "1"
    assert "sleep" not in service.run("ps", "-eo", "comm").stdout, "the task of the first one, %s, is over" % task
    assert service.fut("run", "--", "echo", "again").stdout == "again\n"


@long
def test_a_daemon_that_is_killed_is_replaced_and_its_tasks_end(service):
    service.fut("submit", "--", "sh", "-c", "setsid sleep 1000 & wait")
    eventually(lambda: "sleep" in service.run("ps", "-eo", "comm").stdout)
    first = service.show("MainPID")
    service.run("kill", "-KILL", first)
    eventually(lambda: service.show("MainPID") not in ("0", first), 30, "another daemon")
    eventually(lambda: "sleep" not in service.run("ps", "-eo", "comm").stdout, 30, "nothing is left")
    assert service.fut("run", "--", "echo", "again").stdout == "again\n"


@long
def test_a_stop_waits_for_what_runs_and_keeps_the_socket(service):
    waiting = service.popen("runuser", "-u", "alice", "--", "fut", "run", "--", "sh", "-c", "sleep 2; echo whole", stdout=subprocess.PIPE, text=True)
    eventually(lambda: "sleep" in service.run("ps", "-eo", "comm").stdout)
    service.systemctl("stop", "futured.service")
    said, _ = waiting.communicate(timeout=30)
    assert said == "whole\n"
    assert service.show("Result") == "success" and service.show("ExecMainStatus") == "0"
    assert service.run("test", "-S", SOCKET).returncode == 0
    assert service.fut("run", "--", "echo", "on demand").stdout == "on demand\n"


@long
def test_what_waits_runs_after_a_restart(service):
    text = service.read("/etc/futured/futured.yaml")
    service.write("/etc/futured/futured.yaml", text + "  one: {kind: command, workers: 1}\n")
    service.fut("submit", "-p", "one", "--", "sleep", "1")
    future = service.fut("submit", "-p", "one", "--", "echo", "later").stdout.strip()
    service.systemctl("restart", "futured.service")
    assert service.fut("result", future).stdout == "later\n"


@long
def test_a_stop_has_a_bound(service):
    text = service.read("/etc/futured/futured.yaml").replace("stop_timeout: 30s", "stop_timeout: 2s")
    service.write("/etc/futured/futured.yaml", text)
    service.fut("submit", "--", "sh", "-c", "trap '' TERM; sleep 1000; sleep 1000")
    eventually(lambda: "sleep" in service.run("ps", "-eo", "comm").stdout)
    service.systemctl("stop", "futured.service")
    assert service.show("Result") == "success" and service.show("ExecMainStatus") == "0"
    assert "sleep" not in service.run("ps", "-eo", "comm").stdout


@long
def test_the_hardened_drop_in_runs_ordinary_tasks(service):
    service.run("install", "-D", "/usr/share/doc/futured/systemd/hardened.conf", "/etc/systemd/system/futured.service.d/hardened.conf")
    service.systemctl("daemon-reload")
    assert service.fut("run", "--", "sh", "-c", "echo a | sed s/a/b/; grep NoNewPrivs /proc/self/status").stdout == "b\nNoNewPrivs:\t1\n"
    assert service.fut("run", "--", "python3", "-c", "import socket; print(socket.getaddrinfo('127.0.0.1', 80)[0][4])").stdout == "('127.0.0.1', 80)\n"
    assert service.fut("run", "--", "sh", "-c", "cat /home/alice/.profile", check=False).returncode != 0


@long
def test_a_further_instance_has_its_own_configuration_and_socket(box):
    box.write("/etc/futured/build.yaml", "shared_uid: true\npools: {make: {kind: command, workers: 1}}\n")
    box.systemctl("start", "futured@build.socket")
    try:
        done = box.fut("run", "--address", "unix:/run/futured-build/futured.sock", "-p", "make", "--", "echo", "built")
        assert done.stdout == "built\n"
        box.systemctl("reload", "futured@build")
    finally:
        box.systemctl("stop", "futured@build.service", "futured@build.socket")


@long
def test_a_user_has_one_of_their_own(box):
    uid = box.run("id", "-u", "bob").stdout.strip()
    runtime = "/run/user/" + uid
    box.run("install", "-d", "-m", "0700", "-o", "bob", runtime)
    box.systemctl("start", "user@%s.service" % uid)
    as_bob = ["runuser", "-u", "bob", "--", "env", "XDG_RUNTIME_DIR=" + runtime]
    try:
        box.run(*as_bob, "systemctl", "--user", "start", "futured.socket")
        assert box.run(*as_bob, "fut", "run", "--no-start", "--", "id", "-un").stdout == "bob\n"
        box.run(*as_bob, "systemctl", "--user", "reload", "futured")
        assert box.run(*as_bob, "systemctl", "--user", "is-active", "futured").stdout == "active\n"
        box.run(*as_bob, "systemctl", "--user", "stop", "futured.service", "futured.socket")
    finally:
        box.systemctl("stop", "user@%s.service" % uid)


@long
def test_credentials_are_found_by_name_and_not_by_tasks(service):
    service.write("/etc/futured/secret", "very")
    service.write("/etc/systemd/system/futured.service.d/secret.conf", "[Service]\nLoadCredential=secret.lua:/etc/futured/secret\n")
    text = service.read("/etc/futured/futured.yaml")
    service.write("/etc/futured/secret", "function answer() return 42 end\n")
    service.write("/etc/futured/futured.yaml", text + "  lua: {kind: interpreter, script: credential:secret.lua}\n")
    service.systemctl("daemon-reload")
    assert service.fut("call", "lua", "answer").stdout == "42\n"
