"""TLS listeners: certificates on both sides, versions, and what is no TLS at all."""
import os
import socket
import ssl
import subprocess
import time

import pytest

import rpc
from helpers import eventually, refused, sh
from tls_helper import V12, Authority, Network, TlsClient, authority, context, free_port, hello, issued


@pytest.fixture
def net(launch):
    return Network(launch, listeners=("tls", "cert"))


def no_handshake(net, listener="tls", **keys):
    """The handshake, or the first word after it, fails: with TLS 1.3 a client hears late that its certificate was not liked."""
    with pytest.raises((ssl.SSLError, ConnectionError, rpc.Closed, rpc.Hang)) as caught:
        client = net.tls(listener=listener, patience=10, **keys)
        client.call("hello", {"protocol": 1})
    assert not isinstance(caught.value, (rpc.Hang, ConnectionRefusedError))


def test_a_token_inside_tls(net):
    token = net.tokens.add("ci")
    net.reload()
    client = net.tls(token)
    assert client.socket.version() == "TLSv1.3"
    assert client.call("call", "shell", *sh("echo hi"))["stdout"] == b"hi\n"


def test_large_values_pass_both_ways(net):
    token = net.tokens.add("ci")
    net.reload()
    client = net.tls(token, patience=60)
    blob = os.urandom(1 << 20) * 8
    assert client.call("ping", blob) == blob
    many = [client.request("ping", i) for i in range(20000)]
    assert [client.answer(m) for m in many] == list(range(20000))


def test_output_and_notifications_come_through(net):
    token = net.tokens.add("ci")
    net.reload()
    client = net.tls(token)
    future = client.call("submit", "shell", *sh("head -c 3000000 /dev/zero"), {"watch": True})
    note = client.notification("done")
    assert note[0] == future and 900000 < len(note[3]["stdout"]) <= 1 << 20  # what is kept in memory, in whole reads


def test_a_certificate_is_its_common_name(net):
    client = net.tls(listener="cert", tls=context(cert=issued("alice")))
    assert hello(client)["identity"] == "cert:alice"
    assert client.call("ping", 1) == 1


def test_hello_comes_first_with_a_certificate_too(net):
    client = net.tls(listener="cert", tls=context(cert=issued("alice")))
    refused("AuthenticationError", client.call, "ping", 1)
    client.await_close()


def test_a_token_is_nothing_where_certificates_are_asked_for(net):
    """The listener fixes how clients are known: a token does not make them somebody else."""
    token = net.tokens.add("ci", role="admin")
    net.reload()
    client = net.tls(listener="cert", tls=context(cert=issued("alice")))
    assert hello(client, token)["identity"] == "cert:alice"


def test_a_certificate_is_nothing_where_tokens_are_asked_for(net):
    client = net.tls(tls=context(cert=issued("alice")))
    refused("AuthenticationError", hello, client)
    client.await_close()


@pytest.mark.parametrize("subject", ["/O=nobody", "/CN=a/CN=b", "/CN=" + "x" * 10 + "\u00e9", "/CN=semi;colon", "/CN= space"])
def test_a_certificate_without_a_usable_name_is_refused(net, subject):
    cert = authority().issue("odd%d" % abs(hash(subject)), subject=subject)
    client = net.tls(listener="cert", tls=context(cert=cert))
    refused("AuthenticationError", hello, client)
    client.await_close()


def test_no_certificate_and_those_of_others_are_refused(net):
    hello(net.tls(listener="cert", tls=context(cert=issued("alice"))))  # the control
    no_handshake(net, "cert")
    no_handshake(net, "cert", tls=context(cert=authority("other").issue("alice")))
    no_handshake(net, "cert", tls=context(cert=authority().issue("past", days=-1)))
    no_handshake(net, "cert", tls=context(cert=authority().issue("onlyserver", purpose="serverAuth")))
    eventually(lambda: "the TLS handshake failed" in net.daemon.log())


def test_tls_1_2_is_spoken_only_where_it_is_allowed(launch):
    net = Network(launch, listeners=("tls", "cert"), tls={"cert": {"min_version": "1.2"}})
    no_handshake(net, tls=context(version=V12))
    client = net.tls(listener="cert", tls=context(version=V12, cert=issued("alice")))
    assert client.socket.version() == "TLSv1.2" and hello(client)["identity"] == "cert:alice"


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1", "-tls1_2"])
def test_old_versions_are_refused(net, version):
    control = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % net.ports["tls"], "-tls1_3"],
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert b"New, TLSv1.3" in control.stdout
    old = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % net.ports["tls"], version, "-cipher", "ALL:@SECLEVEL=0"],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert old.returncode != 0 and b"New, TLSv1.3" not in old.stdout


def plain(port):
    s = socket.create_connection(("127.0.0.1", port), 10)
    return s


def test_plain_bytes_at_a_tls_port_are_closed(launch):
    net = Network(launch, listeners=("tls",), limits={"hello_timeout": "1s"})
    token = net.tokens.add("ci")
    net.reload()
    for data in (rpc.request(1, "hello", {"protocol": 1, "token": token}), b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 100,
                 os.urandom(4096)):
        with plain(net.ports["tls"]) as s:
            s.sendall(data)
            said = b""
            try:
                while chunk := s.recv(4096):
                    said += chunk
            except ConnectionResetError:
                pass
            assert b"token" not in said and b"protocol" not in said
    assert hello(net.tls(), token)


def test_tls_at_a_tcp_port_is_a_protocol_error(launch):
    net = Network(launch, listeners=("tcp",))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        TlsClient(net.ports["tcp"])


def test_the_client_checks_whom_it_speaks_to(net):
    with pytest.raises(ssl.SSLCertVerificationError):
        net.tls(tls=context(ca=authority("other").cert))


def test_a_certificate_is_replaced_without_dropping_anyone(launch, tmp_path):
    net = Network(launch, listeners=("tls",))
    token = net.tokens.add("ci")
    net.reload()
    entry = net.daemon.config["listen"][1]
    before = net.tls(token)
    old = before.socket.getpeercert()["serialNumber"]
    cert, key = authority().issue("replaced")
    for source, target in ((cert, "live.crt"), (key, "live.key")):
        with open(source) as f, open(os.path.join(net.directory, target), "w") as g:
            g.write(f.read())
        os.chmod(os.path.join(net.directory, target), 0o600)
    text = open(net.daemon.config_path).read()
    with open(net.daemon.config_path, "w") as f:
        f.write(text.replace(entry["cert"], os.path.join(net.directory, "live.crt")).replace(entry["key"], os.path.join(net.directory, "live.key")))
    assert net.reload() == []
    after = net.tls(token)
    assert after.socket.getpeercert()["serialNumber"] != old
    assert before.call("ping", 1) == 1 and after.call("ping", 2) == 2
    # Files that are no good change nothing.
    with open(os.path.join(net.directory, "live.key"), "w") as f:
        f.write("no key")
    assert "live.key: expected a private key" in refused("ValueError", net.reload)["message"]
    assert hello(net.tls(), token) and before.call("ping", 3) == 3


def test_a_revoked_certificate_is_refused_and_loses_its_connections(launch, tmp_path):
    ca = Authority(str(tmp_path), "revoking")
    alice, bob = ca.issue("alice"), ca.issue("bob")
    file = tmp_path / "client-ca.pem"
    file.write_text(open(ca.cert).read())
    net = Network(launch, listeners=("cert",), tls={"cert": {"client_ca": str(file)}})
    a, b = (net.tls(listener="cert", tls=context(cert=c)) for c in (alice, bob))
    assert hello(a)["identity"] == "cert:alice" and hello(b)["identity"] == "cert:bob"
    file.write_text(open(ca.cert).read() + ca.revoke(bob[0]))
    assert net.reload() == []
    b.await_close()
    assert a.call("ping", 1) == 1
    no_handshake(net, "cert", tls=context(cert=bob))
    assert hello(net.tls(listener="cert", tls=context(cert=alice)))["identity"] == "cert:alice"


@pytest.mark.parametrize("role", ["read-only", "user", "admin"])
def test_a_listeners_role_is_that_of_its_certificates(launch, role):
    net = Network(launch, listeners=("cert",), tls={"cert": {"role": role}})
    hello(net.tls(listener="cert", tls=context(cert=issued("alice"))))
    assert "is cert:alice, " + role in net.daemon.log()


def test_one_certificate_at_two_listeners_has_the_role_of_each_after_a_reload_too(launch):
    cert, key = issued("server")
    ports = {role: free_port() for role in ("read-only", "admin", "user")}
    daemon = launch({"shared_uid": True}, start=False)
    daemon.config["listen"] = daemon.config["listen"] + [
        {"address": "tls:127.0.0.1:%d" % port, "cert": cert, "key": key, "client_ca": authority().cert, "role": role}
        for role, port in ports.items()]
    daemon.start()
    clients = {role: TlsClient(port, tls=context(cert=issued("alice"))) for role, port in ports.items()}
    daemon.clients += clients.values()

    def roles():
        return {role: hello(client)["role"] for role, client in clients.items()}
    assert roles() == {role: role for role in ports}
    daemon.client().call("reload")
    refused("PermissionError", clients["read-only"].call, "submit", "shell", "true")
    refused("PermissionError", clients["user"].call, "config")
    assert clients["admin"].call("config")
    assert roles() == {role: role for role in ports}


@pytest.mark.parametrize("what, why", [
    ("cert", "expected a certificate in PEM"), ("key", "expected a private key in PEM"), ("client_ca", "expected certificates in PEM"),
])
def test_files_that_are_no_good_are_named_at_start(launch, tmp_path, what, why):
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN NONSENSE-----\n")
    bad.chmod(0o600)
    entry = {"address": "tls:127.0.0.1:%d" % free_port(), "cert": issued("server")[0], "key": issued("server")[1], what: str(bad)}
    tokens = tmp_path / "tokens"
    tokens.touch(0o600)
    daemon = launch({"listen": ["unix:" + str(tmp_path / "s"), entry], "tokens": str(tokens), "shared_uid": True}, start=False)
    daemon.expected_status = 1
    daemon.spawn()
    assert daemon.await_end() == 1
    assert why in daemon.log() and "bad.pem" in daemon.log()


def test_a_key_that_others_may_read_is_refused(launch, tmp_path):
    key = tmp_path / "k.pem"
    key.write_text(open(issued("server")[1]).read())
    key.chmod(0o644)
    tokens = tmp_path / "tokens"
    tokens.touch(0o600)
    daemon = launch({"listen": ["unix:" + str(tmp_path / "s"), {"address": "tls:127.0.0.1:%d" % free_port(), "cert": issued("server")[0], "key": str(key)}],
                     "tokens": str(tokens), "shared_uid": True}, start=False)
    daemon.expected_status = 1
    daemon.spawn()
    assert daemon.await_end() == 1
    assert "others may not read" in daemon.log()


def test_one_who_reads_late_gets_every_byte(launch):
    """What the socket did not take is offered again, while more comes behind it."""
    net = Network(launch, listeners=("tls",), limits={"output": "1MiB"})
    token = net.tokens.add("ci")
    net.reload()
    client = net.tls(token, patience=60)
    blobs = {msgid: bytes([msgid % 251]) * (40000 + 7919 * msgid) for msgid in range(2, 100)}
    data = memoryview(b"".join(rpc.request(msgid, "ping", blob) for msgid, blob in blobs.items()))
    for msgid in blobs:
        client.expect(msgid)
    stuck = 0
    while data:  # more than both buffers take: the daemon stops reading, and goes on when there is room
        try:
            data = data[client.socket.send(data[:16384]):]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            stuck += 1
            client.pump(time.monotonic() + 1)
    for msgid, blob in blobs.items():
        assert client.answer(msgid) == blob
    assert stuck
    polite = net.tls(token)
    assert polite.call("ping", 1) == 1


def test_many_who_never_read_are_bounded(launch):
    """What they are owed stays within limits.output each, and others are served."""
    net = Network(launch, listeners=("tls",), limits={"output": "256KiB"})
    token = net.tokens.add("ci")
    net.reload()
    polite = net.tls(token)
    before = net.daemon.rss()
    deaf = [net.tls(token) for _ in range(10)]
    data = b"".join(rpc.request(i, "ping", b"x" * 60000) for i in range(1, 200))
    for client in deaf:
        client.socket.setblocking(False)
        view = memoryview(data)
        try:
            while view:
                view = view[client.socket.send(view[:16384]):]
        except (ssl.SSLWantWriteError, BlockingIOError):
            pass  # it is read from no more
        assert len(view) > 0
        assert polite.call("ping", 1) == 1
    assert net.daemon.rss() - before < 10 * 4 * 2**20
