"""libfutured over TLS, from Python by ctypes: a connection that is cut is taken up again, with a new handshake and the token as it is then."""
import ctypes
import os
import socket
import threading

import pytest

import helpers
from tls_helper import Network, authority

LIBRARY = os.path.join(helpers.BUILD, "lib", "libfutured.so")
pytestmark = pytest.mark.skipif("address" in helpers.BUILD or "thread" in helpers.BUILD, reason="Python itself is without sanitizers")
OK = 0


class Cable(threading.Thread):
    """Between the client and a port. It can be cut."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.ends = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port))
            self.ends += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    def carry(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in a, b:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for s in self.ends:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.cut()


@pytest.fixture
def library():
    lib = ctypes.CDLL(LIBRARY)
    lib.futured_new.restype = ctypes.c_void_p
    lib.futured_error_text.restype = lib.futured_status_name.restype = ctypes.c_char_p
    for f in (lib.futured_free, lib.futured_connect, lib.futured_error_text):
        f.argtypes = [ctypes.c_void_p]
    for f in (lib.futured_set_address, lib.futured_set_token_file):
        f.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.futured_set_tls.argtypes = [ctypes.c_void_p] + 3 * [ctypes.c_char_p]
    lib.futured_set_reconnect.argtypes = [ctypes.c_void_p, ctypes.c_double]
    return lib


@pytest.fixture
def world(launch):
    net = Network(launch, listeners=("tls",))
    cable = Cable(net.ports["tls"])
    yield net, cable
    cable.end()


def write_token(net, secret):
    path = os.path.join(net.directory, "t")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(secret + "\n")
    return path.encode()


def connected(lib, net, cable, path):
    c = lib.futured_new()
    assert lib.futured_set_address(c, b"tls:127.0.0.1:%d" % cable.place) == OK
    assert lib.futured_set_token_file(c, path) == OK
    assert lib.futured_set_tls(c, authority().cert.encode(), None, None) == OK
    assert lib.futured_set_reconnect(c, 20) == OK
    assert lib.futured_connect(c) == OK, lib.futured_error_text(c)
    return c


def ping(lib, c):
    """The name of the status."""
    reply = ctypes.c_void_p()
    status = lib.futured_callf(ctypes.c_void_p(c), ctypes.byref(reply), b"ping", b"i", 1)
    lib.futured_reply_free(reply)
    return lib.futured_status_name(status)


def test_a_cut_connection_is_taken_up_again(library, world):
    net, cable = world
    path = write_token(net, net.tokens.add("ci"))
    net.reload()
    c = connected(library, net, cable, path)
    for _ in range(5):
        assert ping(library, c) == b""
        cable.cut()
    assert ping(library, c) == b""
    library.futured_free(c)
    assert net.daemon.log().count("is token:ci") == 6


def test_a_child_that_frees_its_copy_does_not_end_the_connection(library, world):
    """The farewell of TLS would have been said on the parent's socket."""
    net, cable = world
    path = write_token(net, net.tokens.add("ci"))
    net.reload()
    c = connected(library, net, cable, path)
    child = os.fork()
    if child == 0:
        library.futured_free(c)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for _ in range(3):
        assert ping(library, c) == b""
    library.futured_free(c)
    assert net.daemon.log().count("is token:ci") == 1


def test_a_token_that_was_replaced_meanwhile_is_read_anew(library, world):
    net, cable = world
    old = net.tokens.add("ci")
    path = write_token(net, old)
    net.reload()
    c = connected(library, net, cable, path)
    assert ping(library, c) == b""
    new = net.tokens.add("ci")
    write_token(net, new)
    net.tokens.remove(old)
    net.reload()  # closes the connection
    assert ping(library, c) == b""
    library.futured_free(c)


def test_a_token_that_was_revoked_ends_it(library, world):
    net, cable = world
    secret = net.tokens.add("ci")
    path = write_token(net, secret)
    net.reload()
    c = connected(library, net, cable, path)
    assert ping(library, c) == b""
    net.tokens.remove(secret)
    net.reload()
    assert ping(library, c) == b"AuthenticationError"
    library.futured_free(c)
