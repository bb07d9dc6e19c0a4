"""fut, libfutured under it, and the Python package over the network: tokens from files, certificates, and what they refuse to do."""
import os
import re
import stat
import subprocess
import sys

import pytest

import cli_helper
import helpers
from helpers import eventually
from tls_helper import Network, authority, free_port, issued

CONFIG = {"pools": {"shell": {"kind": "command", "workers": 2}, "py": {"kind": "process", "runtime": "python", "workers": 1}}}


@pytest.fixture
def net(launch):
    return Network(launch, listeners=("tcp", "tls", "cert"))


@pytest.fixture
def token_file(net):
    path = os.path.join(net.directory, "ci.token")
    with open(path, "w") as f:
        f.write(net.tokens.add("ci") + "\n")
    os.chmod(path, 0o600)
    assert net.reload() == []
    return path


def fut(net, listener="tls", **env):
    scheme = "tcp" if listener == "tcp" else "tls"
    return cli_helper.Fut(net.directory, None, FUTURED_ADDRESS="%s:127.0.0.1:%d" % (scheme, net.ports[listener]), **env)


def failed(done, *parts):
    assert done.returncode not in (0, None) and done.returncode > 0, done
    for part in parts:
        assert part.encode() in done.stderr, done.stderr


def test_fut_with_a_token_over_tls(net, token_file):
    by_env = fut(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert)
    assert by_env.ok("run", "--", "echo", "hi") == b"hi\n"
    by_option = fut(net)
    assert by_option.ok("run", "--token-file", token_file, "--tls-ca", authority().cert, "--", "cat", input=b"typed") == b"typed"
    blob = os.urandom(3 << 20)
    assert by_env.ok("run", "--", "cat", input=blob, timeout=60) == blob
    id = by_env.submit("--", "true")
    assert by_env.json("show", id)[0]["owner"] == "token:ci"


def test_a_daemon_elsewhere_is_told_to_end_and_not_said_to_have_ended(net):
    path = os.path.join(net.directory, "boss.token")
    with open(path, "w") as f:
        f.write(net.tokens.add("boss", role="admin") + "\n")
    os.chmod(path, 0o600)
    assert net.reload() == []
    boss = fut(net, "tcp", FUTURED_TOKEN_FILE=path)
    running = boss.submit("sleep", "1")
    done = boss.run("daemon", "stop")
    assert (done.returncode, done.stderr) == (0, b"fut: told to end, which it does once all tasks are done\n")
    assert net.daemon.is_running() and boss.run("wait", running).returncode == 0
    assert net.daemon.await_end() == 0


def test_fut_over_tcp_on_loopback(net, token_file):
    assert fut(net, "tcp", FUTURED_TOKEN_FILE=token_file).ok("run", "--", "echo", "hi") == b"hi\n"


def test_fut_with_a_certificate(net):
    cert, key = issued("alice")
    asked = fut(net, "cert", FUTURED_TLS_CA=authority().cert)
    id = asked.ok("submit", "--tls-cert", cert, "--tls-key", key, "--", "true").decode().strip()
    both = os.path.join(net.directory, "both.pem")
    with open(both, "w") as f:
        f.write(open(cert).read() + open(key).read())
    assert asked.json("--tls-cert", both, "show", id)[0]["owner"] == "cert:alice"
    failed(asked.run("ls"), "cannot connect")


def test_many_over_one_connection(net, token_file):
    asked = fut(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert)
    out = asked.ok("map", "echo", "{}", input=b"".join(b"%d\n" % i for i in range(300)), timeout=60)
    assert out.split() == [b"%d" % i for i in range(300)]


def test_a_daemon_that_nobody_vouches_for_is_not_told_the_token(net, token_file):
    failed(fut(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority("other").cert).run("ls"), "certificate is not accepted")
    failed(fut(net, FUTURED_TOKEN_FILE=token_file).run("ls"), "certificate is not accepted")
    assert "is token:ci" not in net.daemon.log()


def test_the_host_must_be_the_certificates(launch):
    """A good certificate of somebody else."""
    cert, key = authority().issue("elsewhere", san="DNS:elsewhere.example,IP:192.0.2.1")
    net = Network(launch, listeners=("tls",), tls={"tls": {"cert": cert, "key": key}})
    failed(fut(net, FUTURED_TLS_CA=authority().cert).run("ls"), "certificate is not accepted")
    by_name = cli_helper.Fut(net.directory, None, FUTURED_ADDRESS="tls:localhost:%d" % net.ports["tls"], FUTURED_TLS_CA=authority().cert)
    failed(by_name.run("ls"), "certificate is not accepted")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_token_file_that_others_can_read_is_refused(net, token_file, mode):
    os.chmod(token_file, mode)
    failed(fut(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert).run("ls"), "only you can read", "%04o" % mode)
    assert "is token:ci" not in net.daemon.log()


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "two\nlines\n", "x" * 5000, "\x1b[31m"])
def test_a_token_file_that_holds_no_token_is_refused(net, token_file, text):
    with open(token_file, "w") as f:
        f.write(text)
    done = fut(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert).run("ls")
    failed(done, "expected a token")
    assert b"\x1b" not in done.stderr


def test_no_token_and_a_wrong_one_are_told(net, token_file):
    asked = fut(net, FUTURED_TLS_CA=authority().cert)
    failed(asked.run("run", "--", "echo", "hi"), "not accepted (none, wrong, expired or revoked)")
    with open(token_file, "w") as f:
        f.write("x" * 40)
    failed(asked.run("ls", env={"FUTURED_TOKEN_FILE": token_file}), "not accepted (none, wrong, expired or revoked)")


def test_a_token_is_not_sent_in_plain_text(launch, token_file, net):
    """Beyond loopback, that is: there is an address of our own that is none."""
    with open("/proc/net/fib_trie") as f:
        hosts = [a for a in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", f.read()) if not a.startswith("127.")]
    if not hosts:
        pytest.skip("this machine has no address beyond loopback")
    port = free_port(hosts[0])
    daemon = launch({"listen": ["unix:" + os.path.join(net.directory, "other.sock"), {"address": "tcp:%s:%d" % (hosts[0], port), "plaintext": True}],
                     "tokens": net.tokens.path, "shared_uid": True}, start=False)
    daemon.address = os.path.join(net.directory, "other.sock")
    daemon.start()
    asked = cli_helper.Fut(net.directory, None, FUTURED_ADDRESS="tcp:%s:%d" % (hosts[0], port), FUTURED_TOKEN_FILE=token_file)
    failed(asked.run("ls"), "could be read on the way")
    assert asked.run("ls", env={"FUTURED_PLAINTEXT": "1"}).returncode == 0


def test_a_unix_socket_is_never_told_the_token(net, token_file):
    """Not even its file is looked at."""
    os.chmod(token_file, 0o644)
    asked = cli_helper.Fut(net.directory, net.daemon.address, FUTURED_TOKEN_FILE=token_file)
    assert asked.ok("run", "--", "echo", "hi") == b"hi\n"


def test_ipv6_and_a_name(launch, net, token_file):
    """[::1] and localhost, which may be both."""
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    cert, key = issued("server")
    own = os.path.join(net.directory, "six.sock")
    named = free_port()
    daemon = launch({"listen": ["unix:" + own, {"address": "tls:[::1]:%d" % port, "cert": cert, "key": key}, "tcp:localhost:%d" % named],
                     "tokens": net.tokens.path, "shared_uid": True}, start=False)
    daemon.address = own
    daemon.start()
    asked = cli_helper.Fut(net.directory, None, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert)
    assert asked.ok("-a", "tls:[::1]:%d" % port, "run", "--", "echo", "six") == b"six\n"
    assert asked.ok("-a", "tcp:localhost:%d" % named, "run", "--", "echo", "name") == b"name\n"
    done = python(net, program=PROGRAM, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert, address="tls:[::1]:%d" % port)
    assert done.stdout == b"1024 1000.0 3000000\n", done.stderr


# ---- fut daemon token ----

def test_a_drawn_token_is_let_in_and_is_secret(net):
    asked = fut(net, FUTURED_TLS_CA=authority().cert)
    tokens = net.tokens.path
    done = asked.run("daemon", "token", "deploy", "--role", "read-only", "--expires", "90d", "--tokens", tokens)
    assert done.returncode == 0
    secret = done.stdout.decode().strip()
    assert re.fullmatch(r"fut_[A-Za-z0-9_-]{43}", secret)
    with open(tokens) as f:
        text = f.read()
    assert re.search(r"^deploy read-only 20\d\d-\d\d-\d\dT[0-9:]{8}Z sha256:[0-9a-f]{64}$", text, re.M) and secret not in text
    path = os.path.join(net.directory, "t")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(secret)
    assert net.reload() == []
    assert asked.run("ls", env={"FUTURED_TOKEN_FILE": path}).returncode == 0
    failed(asked.run("submit", "--", "true", env={"FUTURED_TOKEN_FILE": path}), "submit")  # it may only look
    assert "is token:deploy, read-only" in net.daemon.log() and secret not in net.daemon.log()


def test_a_new_file_of_tokens_is_its_owners_alone(tmp_path):
    path = tmp_path / "tokens"
    asked = cli_helper.Fut(str(tmp_path))
    one = asked.ok("daemon", "token", "a", "--tokens", str(path))
    path.write_text(path.read_text().rstrip("\n"))  # an editor that leaves no end of line
    two = asked.ok("daemon", "token", "a", "--tokens", str(path), "--expires", "2030-01-31")
    assert one != two and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split()[:3] for line in path.read_text().splitlines()] == [["a", "user", "never"], ["a", "user", "2030-01-31"]]


def test_the_line_is_told_on_stderr(tmp_path):
    done = cli_helper.Fut(str(tmp_path)).run("daemon", "token", "ci")
    assert done.returncode == 0 and re.fullmatch(rb"ci user never sha256:[0-9a-f]{64}\n", done.stderr)
    assert len(done.stdout.split()) == 1


@pytest.mark.parametrize("args", [[], ["a b"], ["-x"], ["x" * 65], ["a", "--role", "root"], ["a", "--expires", "soon"], ["a", "b"]])
def test_a_token_that_cannot_be_is_a_mistake_of_use(tmp_path, args):
    done = cli_helper.Fut(str(tmp_path)).run("daemon", "token", *args)
    assert done.returncode == 2 and not done.stdout, done


# ---- Python ----

PROGRAM = """
import futured, math, sys
with futured.Executor(pool="py") as e:
    print(e.submit(pow, 2, 10).result(), sum(e.map(math.sqrt, [4] * 500)), len(e.submit(bytes, 3000000).result()))
"""


def python(net, listener="tls", program=PROGRAM, address=None, **env):
    scheme = "tcp" if listener == "tcp" else "tls"
    env = cli_helper.environment(net.directory, PYTHONPATH=os.path.join(helpers.ROOT, "client", "python"), PYTHONDONTWRITEBYTECODE="1",
                                 FUTURED_ADDRESS=address or "%s:127.0.0.1:%d" % (scheme, net.ports[listener]), **env)
    return subprocess.run([sys.executable, "-c", program], env=env, cwd=net.directory, capture_output=True, timeout=60)


@pytest.mark.parametrize("listener", ["tls", "tcp"])
def test_python_with_a_token(net, token_file, listener):
    done = python(net, listener, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert)
    assert done.stdout == b"1024 1000.0 3000000\n", done.stderr


def test_python_with_a_certificate(net):
    cert, key = issued("alice")
    done = python(net, "cert", FUTURED_TLS_CA=authority().cert, FUTURED_TLS_CERT=cert, FUTURED_TLS_KEY=key)
    assert done.stdout == b"1024 1000.0 3000000\n", done.stderr
    assert "is cert:alice" in net.daemon.log()


def test_python_from_many_threads(net, token_file):
    program = """
import concurrent.futures, futured, threading
with futured.Executor(pool="py") as e, concurrent.futures.ThreadPoolExecutor(8) as threads:
    print(sum(threads.map(lambda i: sum(f.result() for f in [e.submit(abs, -1) for _ in range(100)]), range(8))))
"""
    done = python(net, program=program, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert)
    assert done.stdout == b"800\n", done.stderr


def test_python_refuses_what_fut_refuses(net, token_file):
    done = python(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority("other").cert)
    assert b"CERTIFICATE_VERIFY_FAILED" in done.stderr
    os.chmod(token_file, 0o644)
    done = python(net, FUTURED_TOKEN_FILE=token_file, FUTURED_TLS_CA=authority().cert)
    assert b"only you can read" in done.stderr and b"AuthenticationError" in done.stderr
    done = python(net, FUTURED_TLS_CA=authority().cert)
    assert b"not accepted (none, wrong, expired or revoked)" in done.stderr
    assert "is token:ci" not in net.daemon.log()
