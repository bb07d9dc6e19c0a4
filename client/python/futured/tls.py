"""Over the network: TLS, and the token that says who we are. Files are named by the same variables as for `fut`."""
import ipaddress
import os
import select
import socket
import ssl
import stat
import threading
import time

from futured import errors


def variable(name):
    return os.environ.get(name) or None


def connect_tls(sock, host):
    """The handshake, with the daemon's certificate checked, and that it is for this host."""
    context = ssl.create_default_context(cafile=variable("FUTURED_TLS_CA"))
    if variable("FUTURED_TLS_CERT"):
        context.load_cert_chain(variable("FUTURED_TLS_CERT"), variable("FUTURED_TLS_KEY"), password=lambda: b"")
    return TlsSocket(context.wrap_socket(sock, server_hostname=host))


class TlsSocket:
    """What we use of a socket. A thread may receive while others send: an SSL object is used by one at a time, and nobody waits with it."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock, self.lock, self.timeout = sock, threading.Lock(), None

    def retry(self, step):
        until = None if self.timeout is None else time.monotonic() + self.timeout
        while True:
            try:
                with self.lock:
                    return step()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            poll = select.poll()
            poll.register(self.sock, event)
            if not poll.poll(None if until is None else max(0, until - time.monotonic()) * 1000):
                raise TimeoutError("timed out")

    def recv(self, size):
        return self.retry(lambda: self.sock.recv(size))

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self.retry(lambda: self.sock.send(view)):]

    def send(self, data, flags):
        """All of it. If a signal's handler raises meanwhile nobody knows how much has gone: so the connection ends, and is taken up again."""
        try:
            self.sendall(data)
        except BaseException:
            self.shutdown(socket.SHUT_RDWR)
            raise
        return len(data)

    def settimeout(self, seconds):
        self.timeout = seconds

    def shutdown(self, how):
        socket.socket.shutdown(self.sock, how)  # ssl's own would take the SSL object from whoever waits

    def close(self):
        self.sock.close()


def stays_here(sock):
    peer = sock.getpeername()[0]
    return ipaddress.ip_address(peer.partition("%")[0]).is_loopback


def token(sock, address):
    """The token for a daemon in the network; None for a Unix socket, or if there is none."""
    path = variable("FUTURED_TOKEN_FILE")
    if path is None or address.startswith("unix:"):
        return None
    if address.startswith("tcp:") and not stays_here(sock) and os.environ.get("FUTURED_PLAINTEXT") != "1":
        raise errors.AuthenticationError("%s: the token of %s could be read on the way: use tls:, or set FUTURED_PLAINTEXT=1" % (address, path))
    with open(path, "rb") as f:
        st = os.fstat(f.fileno())
        if not stat.S_ISREG(st.st_mode) or st.st_uid not in (0, os.geteuid()):
            raise errors.AuthenticationError("%s: expected a file of your own with a token" % path)
        if st.st_mode & 0o077:
            raise errors.AuthenticationError("%s: expected a file that only you can read, got mode %04o (chmod 600)" % (path, stat.S_IMODE(st.st_mode)))
        text = f.read(4097).strip()
    if not text or len(text) > 4096 or not all(0x20 < c < 0x7f for c in text):
        raise errors.AuthenticationError("%s: expected a token, one line without spaces" % path)
    return text.decode("ascii")
