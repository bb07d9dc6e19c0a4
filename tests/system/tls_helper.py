"""What tests of network listeners share: certificates made by openssl, tokens, free ports, and a client that speaks TLS."""
import errno
import functools
import hashlib
import os
import random
import secrets
import socket
import ssl
import subprocess
import tempfile
import warnings

import rpc

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def run(*argv, **keys):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, **keys)


class Authority:
    """Who signs: a directory with a root certificate, and what it has signed."""

    def __init__(self, directory, name="root"):
        self.directory = directory
        self.name = name
        self.key, self.cert = self.path(name + ".key"), self.path(name + ".crt")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-keyout", self.key, "-out", self.cert, "-subj", "/CN=test " + name,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, name, subject=None, san="DNS:localhost,IP:127.0.0.1,IP:::1", days=30, start=None, purpose="serverAuth,clientAuth"):
        """(certificate, key) files for a subject. `days` may be negative: it has expired then."""
        key, cert, request = self.path(name + ".key"), self.path(name + ".crt"), self.path(name + ".csr")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-utf8", "-keyout", key, "-out", request,
            "-subj", subject or "/CN=" + name)
        extensions = self.path(name + ".ext")
        with open(extensions, "w") as f:
            f.write("basicConstraints=CA:FALSE\nsubjectAltName=%s\nextendedKeyUsage=%s\n" % (san, purpose))
        if days > 0:
            run("openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", str(days), "-out", cert,
                "-extfile", extensions, "-set_serial", str(secrets.randbits(64)))
        else:
            self.issue_by_ca(request, cert, extensions, "20200101000000Z", "20200102000000Z")
        os.chmod(key, 0o600)
        return cert, key

    def database(self):
        """A directory for `openssl ca`, which alone can sign with dates of one's own, and revoke."""
        if not os.path.exists(self.path("ca.cnf")):
            with open(self.path("ca.cnf"), "w") as f:
                f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nnew_certs_dir=%s\nserial=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                        "default_crl_days=30\nunique_subject=no\n[p]\ncommonName=supplied\n" % (self.path("index"), self.directory, self.path("serial")))
            open(self.path("index"), "w").close()
        return self.path("ca.cnf")

    def issue_by_ca(self, request, cert, extensions, start, end):
        run("openssl", "ca", "-batch", "-config", self.database(), "-cert", self.cert, "-keyfile", self.key, "-in", request, "-out", cert,
            "-notext", "-extfile", extensions, "-startdate", start, "-enddate", end)

    def revoke(self, *certs):
        """The text of a list that revokes them."""
        for cert in certs:
            run("openssl", "ca", "-config", self.database(), "-cert", self.cert, "-keyfile", self.key, "-revoke", cert)
        crl = self.path("crl.pem")
        run("openssl", "ca", "-config", self.database(), "-cert", self.cert, "-keyfile", self.key, "-gencrl", "-out", crl)
        with open(crl) as f:
            return f.read()


@functools.lru_cache(None)
def authority(name="root"):
    """One for the whole run."""
    directory = tempfile.TemporaryDirectory(prefix="futured-ca-")
    made = Authority(directory.name, name)
    made.keep = directory
    return made


@functools.lru_cache(None)
def issued(name, *args, **keys):
    return authority().issue(name, *args, **keys)


def free_port(host="127.0.0.1"):
    """Drawn from below the range that the kernel gives to connections, so that two tests at once hardly ever draw the same."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket(family) as s:
            try:
                s.bind((host, port))
                return port
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise


class Tokens:
    """The file of tokens."""

    def __init__(self, path):
        self.path = path
        self.lines = {}
        self.write()

    def add(self, name, role="user", expires="never", secret=None):
        secret = secret or secrets.token_hex(32)
        self.lines[secret] = "%s %s %s sha256:%s" % (name, role, expires, hashlib.sha256(secret.encode()).hexdigest())
        self.write()
        return secret

    def remove(self, secret):
        del self.lines[secret]
        self.write()

    def write(self, mode=0o600):
        with open(self.path, "w") as f:
            f.write("# tokens\n\n" + "".join(line + "\n" for line in self.lines.values()))
        os.chmod(self.path, mode)


def context(ca=None, cert=None, version=None, verify=True):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify:
        c.load_verify_locations(ca or authority().cert)
    else:
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE
    if cert:
        c.load_cert_chain(*cert)
    if version:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old ones are tried on purpose
            c.minimum_version = c.maximum_version = version
    return c


class TlsClient(rpc.Client):
    """rpc.Client over TLS. The handshake is done when it is made."""

    def __init__(self, port, tls=None, host="127.0.0.1", **keys):
        self.tls = tls or context()
        self.where = (host, port)
        super().__init__(None, **keys)

    def _open(self, address):
        plain = socket.create_connection(self.where, rpc.PATIENCE, self.source and (self.source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(plain, server_hostname="localhost")

    def _read(self):
        try:
            super()._read()
            while not self.is_closed and self.socket.pending():
                super()._read()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except ssl.SSLError:
            self.is_closed = True

    def send(self, data):
        self.socket.setblocking(True)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            raise rpc.Closed("while writing") from None
        finally:
            self.socket.setblocking(False)


def hello(client, token=None, **more):
    options = {"protocol": 1, **more}
    if token is not None:
        options["token"] = token
    return client.call("hello", options)


class Network:
    """A daemon with listeners in the network: `tcp` and `tls` with tokens, `cert` with certificates."""

    def __init__(self, launch, listeners=("tcp", "tls"), limits=None, tls=None, program=None, env=None, preexec=None, **config):
        self.directory = tempfile.mkdtemp(prefix="futured-net-")
        self.tokens = Tokens(os.path.join(self.directory, "tokens"))
        cert, key = issued("server")
        entries = ["unix:" + os.path.join(self.directory, "futured.sock")]
        self.ports = {}
        for name in listeners:
            port = self.ports[name] = free_port()
            entry = {"address": "%s:127.0.0.1:%d" % ("tcp" if name == "tcp" else "tls", port)}
            if name != "tcp":
                entry.update(cert=cert, key=key)
            if name == "cert":
                entry.update(client_ca=authority().cert)
            if name != "tcp":
                entry.update((tls or {}).get(name, {}))
            entries.append(entry)
        self.daemon = launch({"listen": entries, "tokens": self.tokens.path, "shared_uid": True, "limits": limits or {"hello_timeout": "10s"}, **config},
                             directory=self.directory, env=env, preexec=preexec, start=False)
        self.daemon.program = program or self.daemon.program
        self.daemon.start()

    def admin(self):
        return self.daemon.client()

    def reload(self):
        return self.admin().call("reload")

    def tcp(self, token=None, **keys):
        client = rpc.Client("tcp:127.0.0.1:%d" % self.ports["tcp"], **keys)
        self.daemon.clients.append(client)
        if token:
            hello(client, token)
        return client

    def tls(self, token=None, listener="tls", **keys):
        client = TlsClient(self.ports[listener], **keys)
        self.daemon.clients.append(client)
        if token:
            hello(client, token)
        return client
