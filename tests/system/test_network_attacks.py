"""What strangers do to network listeners: slow ones, silent ones, wrong ones, too many of them, and messages in pieces. Each of these looks for
something that must not be; with a daemon that does it (FUTURED_FAULT, in a build of its own) it must find it."""
import os
import resource
import select
import socket
import ssl
import time

import pytest

import helpers
import rpc
import test_partial_frames as partial
from helpers import eventually, sh
from rpc import request
from tls_helper import V12, V13, Network, authority, context, free_port, hello, issued

FAULTY = os.path.join(helpers.ROOT, "build-faults", "bin", "futured")
WITH_FAULTS = pytest.mark.skipif(not os.path.exists(FAULTY), reason="no build with faults (make FAULTS=1 all)")


def faulty(launch, fault, **keys):
    return Network(launch, program=FAULTY, env={"FUTURED_FAULT": fault}, **keys)


@pytest.fixture(autouse=True, scope="module")
def descriptors():
    """Our own ends need some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 30000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(net, listener="tcp", source=None):
    s = socket.create_connection(("127.0.0.1", net.ports[listener]), 30, source and (source, 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def crowd(net, count, greeting, listener="tcp"):
    """So many plain connections that have said this."""
    made = []
    for _ in range(count):
        s = connect(net, listener)
        s.sendall(greeting)
        made.append(s)
    return made


def wants_nothing_more(s):
    """Whether the other side has closed."""
    s.setblocking(False)
    try:
        return s.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def all_closed(sockets, seconds, feed=None):
    """Whether all are closed in that time. `feed` is called for those that are not, again and again."""
    until, left = time.monotonic() + seconds, list(sockets)
    while left and time.monotonic() < until:
        left = [s for s in left if not wants_nothing_more(s)]
        for s in left:
            if feed:
                try:
                    feed(s)
                except OSError:
                    pass
        select.select([], [], [], 0.05)
    return not left


# ---- S3: idle ones and slow ones ----

def many_idle_and_slow(net, idle, slow):
    """(bytes for each idle one, whether the slow ones were closed in time, whether a polite one was served meanwhile)"""
    token = net.tokens.add("ci")
    net.reload()
    polite = net.tcp(token)
    greeting = request(1, "hello", {"protocol": 1, "token": token})
    warm = crowd(net, 50, greeting)
    polite.call("ping")
    before = net.daemon.rss()
    quiet = crowd(net, idle, greeting)
    eventually(lambda: polite.call("stats")["connections"] >= idle + len(warm) + 1, 60)
    each = (net.daemon.rss() - before) / idle
    loris = []
    for i in range(slow):
        s = connect(net)
        s.sendall(greeting[:5])
        loris.append((s, iter(greeting[5:-1])))
    drip = dict(loris)
    closed = all_closed(drip, 15, lambda s: s.sendall(bytes([next(drip[s], 0)])))
    served = polite.call("ping", "still") == "still" and not any(map(wants_nothing_more, quiet[::10]))
    for s in warm + quiet + list(drip):
        s.close()
    return each, closed, served


def test_idle_ones_cost_little_and_slow_ones_are_closed(launch):
    net = Network(launch, listeners=("tcp",), limits={"hello_timeout": "2s", "unauthenticated": 5000})
    each, closed, served = many_idle_and_slow(net, 300, 100)
    assert closed and served and each < 20 * 1024, each


@WITH_FAULTS
def test_control_a_daemon_that_waits_for_ever_is_found(launch):
    net = faulty(launch, "hello_without_deadline", listeners=("tcp",), limits={"hello_timeout": "1s", "unauthenticated": 5000})
    net.reload()
    loris = crowd(net, 10, b"\x94")
    assert not all_closed(loris, 3)


@pytest.mark.long
def test_ten_thousand_idle_and_a_thousand_slow(launch):
    net = Network(launch, listeners=("tcp",), limits={"hello_timeout": "10s", "unauthenticated": 5000, "connections": 30000})
    each, closed, served = many_idle_and_slow(net, 10000, 1000)
    print("%.1f KiB each" % (each / 1024))
    assert closed and served and each < 20 * 1024, each


@pytest.mark.long
@pytest.mark.parametrize("listener", ["tcp", "tls"])
def test_five_thousand_connections_of_which_nearly_all_are_idle(launch, listener):
    """Under 20 KiB each, in the daemon."""
    net = Network(launch, listeners=(listener,), limits={"connections": 20000, "unauthenticated": 5000, "hello_timeout": "60s"})
    token = net.tokens.add("ci")
    net.reload()
    greeting, tls = request(1, "hello", {"protocol": 1, "token": token}), context()

    def known():
        s = connect(net, listener)
        if listener == "tls":
            s = tls.wrap_socket(s, server_hostname="localhost")
        s.sendall(greeting)
        assert s.recv(65536)
        return s
    warm = [known() for _ in range(100)]
    before = net.daemon.rss()
    quiet = [known() for _ in range(4900)]
    each = (net.daemon.rss() - before) / len(quiet)
    print("%s: %.1f KiB each" % (listener, each / 1024))
    for s in warm:
        s.sendall(request(2, "ping", 1))
    for s in warm:
        assert s.recv(65536)
    for s in warm + quiet:
        s.close()
    assert each < 20 * 1024


# ---- S7: sixty ways not to get in ----

def raw(net, listener, data):
    """Whether anything that is ours comes back for these bytes."""
    with connect(net, listener) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            said = b""
            while chunk := s.recv(65536):
                said += chunk
        except (ConnectionError, TimeoutError):
            return False
        return b"server" in said or b"futured/" in said


def by_token(net, listener, token, source, **options):
    client = net.tcp(source=source) if listener == "tcp" else net.tls(source=source)
    try:
        hello(client, token, **options)
        return True
    except (rpc.RpcError, rpc.Closed):
        return False
    finally:
        client.close()


def by_tls(net, listener, make):
    try:
        client = net.tls(listener=listener, tls=make())
        hello(client)
        return True
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError, rpc.Closed, rpc.RpcError):
        return False


def wrong_tokens(net):
    right = net.tokens.add("right")
    gone = net.tokens.add("gone")
    wrong = {"expired by a date": net.tokens.add("a", expires="2020-01-01"), "expired by a moment": net.tokens.add("b", expires="2021-05-05T10:00:00Z"),
             "too short, though known": net.tokens.add("c", secret="short"), "of 31, though known": net.tokens.add("d", secret="y" * 31)}
    net.reload()
    net.tokens.remove(gone)
    net.reload()
    flipped = right[:-1] + ("0" if right[-1] != "0" else "1")
    wrong.update({"revoked": gone, "none": None, "empty": "", "shorter": right[:-1], "longer": right + "0", "last digit": flipped, "upper case": right.upper(),
                  "a space": right + " ", "a line": right + "\n", "a NUL": right + "\0", "the name": "right", "its hash": net.tokens.lines[right].split()[3],
                  "the file's line": net.tokens.lines[right], "long": "x" * 4096})
    return right, wrong


def test_sixty_ways_do_not_get_in(launch):
    net = Network(launch, listeners=("tcp", "tls", "cert"), limits={"hello_timeout": "1s"})
    right, wrong = wrong_tokens(net)
    other, alice = authority("other"), issued("alice")
    got_in, tried = [], 0

    def attempt(name, outcome):
        nonlocal tried
        tried += 1
        if outcome:
            got_in.append(name)
    for listener in "tcp", "tls":
        for i, (name, token) in enumerate(wrong.items(), 1):
            attempt((listener, name), by_token(net, listener, token, "127.1.%d.%d" % (len(listener) + (listener == "tls"), i)))
    attempt("an expired one", by_tls(net, "cert", lambda: context(cert=authority().issue("late", days=-1))))
    attempt("another's", by_tls(net, "cert", lambda: context(cert=other.issue("alice"))))
    attempt("one's own root", by_tls(net, "cert", lambda: context(cert=(other.cert, other.key))))
    attempt("a server's", by_tls(net, "cert", lambda: context(cert=authority().issue("websrv", purpose="serverAuth"))))
    attempt("none", by_tls(net, "cert", context))
    attempt("a certificate for a token", by_tls(net, "tls", lambda: context(cert=alice)))
    for name, version in (("1.2", V12), ("1.1", ssl.TLSVersion.TLSv1_1), ("1.0", ssl.TLSVersion.TLSv1)):
        for listener in "tls", "cert":
            attempt((listener, name), by_tls(net, listener, lambda: context(version=version, cert=alice)))
    greeting = request(1, "hello", {"protocol": 1, "token": right})
    for name, data in {"a hello": greeting, "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "zeros": b"\0" * 64, "ssl 2": b"\x80\x2e\x01\x00\x02" + b"\0" * 43,
                       "a record too long": b"\x16\x03\x01\xff\xff" + b"x" * 64, "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
                       "data first": b"\x17\x03\x03\x00\x20" + b"x" * 32, "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32}.items():
        for listener in "tls", "cert":
            attempt((listener, name), raw(net, listener, data))
    assert tried >= 60 and not got_in, (tried, got_in)
    # The controls: what is right gets in by each of these ways, and a hello in plain bytes is answered where it may be.
    assert by_token(net, "tcp", right, None) and by_token(net, "tls", right, None) and by_tls(net, "cert", lambda: context(cert=alice))
    assert raw(net, "tcp", greeting)
    assert net.daemon.is_running()


@WITH_FAULTS
def test_control_a_daemon_that_does_not_look_at_the_date_is_found(launch):
    net = faulty(launch, "expiry_ignored", listeners=("tcp",))
    _, wrong = wrong_tokens(net)
    assert [name for i, (name, token) in enumerate(wrong.items(), 1) if by_token(net, "tcp", token, "127.1.9.%d" % i)] == ["expired by a date", "expired by a moment"]


# ---- S11: a beginning, and then silence ----

def beginnings(net, listener, seconds):
    """The processor time that the daemon takes, as a share, while connections stay silent behind each beginning of a message."""
    token = net.tokens.add("ci")
    net.reload()
    greeting = request(1, "hello", {"protocol": 1, "token": token})
    made, tls = [], context()
    for cut in range(0, len(greeting), max(1, len(greeting) // 40)):
        made += crowd(net, 1, greeting[:cut], listener)
        if listener == "tcp":
            made += crowd(net, 1, greeting + request(2, "ping", "x" * 100)[:1 + cut % 80])
        else:
            made.append(tls.wrap_socket(connect(net, listener), server_hostname="localhost"))
            made[-1].sendall(greeting + request(2, "ping", "x" * 100)[:1 + cut % 80])
    assert net.admin().call("ping", 1) == 1
    before = net.daemon.cpu()
    select.select([], [], [], seconds)
    share = (net.daemon.cpu() - before) / seconds
    for s in made:
        s.close()
    return share


@pytest.mark.parametrize("listener", ["tcp", "tls"])
def test_silence_costs_no_time(launch, listener):
    net = Network(launch, listeners=(listener,), limits={"hello_timeout": "60s"})
    assert beginnings(net, listener, 3) < 0.02


@WITH_FAULTS
def test_control_a_daemon_that_spins_is_found(launch):
    net = faulty(launch, "partial_spins", listeners=("tcp",), limits={"hello_timeout": "60s"})
    assert beginnings(net, "tcp", 1) > 0.04


# ---- R9: no descriptors ----

def no_descriptors_left(net, rounds):
    """(share of processor time, whether tasks run meanwhile, whether it is as before afterwards)"""
    token = net.tokens.add("ci")
    net.reload()
    polite = net.tcp(token)
    assert polite.call("call", "shell", "true", [])["exit"] == 0
    share, works = 0, True
    for _ in range(rounds):
        crowd_of_120 = []
        for _ in range(120):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", net.ports["tcp"]))
            crowd_of_120.append(s)
        before = net.daemon.cpu()
        select.select([], [], [], 1)
        share = max(share, net.daemon.cpu() - before)
        try:
            pool = polite.call("open_pool", {"like": "shell", "workers": 1}, timeout=20)  # needs a worker, which needs descriptors
            works = works and polite.call("call", pool, "true", [], timeout=20)["exit"] == 0
            polite.call("close_pool", pool)
        except (rpc.RpcError, rpc.Hang):
            works = False
        for s in crowd_of_120:
            s.close()
    try:
        eventually(lambda: by_token(net, "tcp", token, None), 10)
        again = net.admin().call("ping", 1) == 1
    except (rpc.Hang, rpc.Closed):
        again = False
    return share, works, again


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))


def test_without_descriptors_it_neither_spins_nor_stops_working(launch):
    net = Network(launch, listeners=("tcp",), limits={"unauthenticated": 1000}, preexec=few_descriptors)
    share, works, again = no_descriptors_left(net, 3)
    assert share < 0.05 and works and again, (share, works, again)


@pytest.mark.long
def test_without_descriptors_a_hundred_times(launch):
    net = Network(launch, listeners=("tcp",), limits={"unauthenticated": 1000}, preexec=few_descriptors)
    share, works, again = no_descriptors_left(net, 100)
    assert share < 0.05 and works and again, (share, works, again)


@WITH_FAULTS
def test_control_a_daemon_that_gives_all_descriptors_away_is_found(launch):
    net = faulty(launch, "no_reserve", listeners=("tcp",), limits={"unauthenticated": 1000}, preexec=few_descriptors)
    net.daemon.must_end_well = False
    assert not no_descriptors_left(net, 1)[1]


# ---- R12: messages in pieces ----

@pytest.mark.parametrize("listener, step", [("tcp", 1), ("tls", 7)])
def test_a_request_cut_anywhere_has_no_effect(launch, listener, step):
    net = Network(launch, listeners=(listener,), limits={"unauthenticated": 5000})
    token = net.tokens.add("ci", role="admin")
    net.reload()
    client = net.tcp(token) if listener == "tcp" else net.tls(token)
    done, pending = partial.world(client)
    before = partial.picture(client)
    greeting, tls, slowest = request(1, "hello", {"protocol": 1, "token": token}), context(), 0
    for name, call in partial.golden(done, pending).items():
        data = request(7, *call)
        for cut in range(1, len(data), step):
            s = connect(net, listener)
            if listener == "tls":
                s = tls.wrap_socket(s, server_hostname="localhost")
            s.sendall(greeting + data[:cut])
            s.close()
        begun = time.monotonic()
        client.call("ping")
        slowest = max(slowest, time.monotonic() - begun)
        assert partial.picture(client) == before, name
    assert slowest < 2


@pytest.mark.parametrize("name", ["pause", "resize", "cancel", "release", "map", "submit"])
def test_control_a_whole_request_is_seen(launch, name):
    """The same picture is another one once the last byte has come."""
    net = Network(launch, listeners=("tcp",))
    token = net.tokens.add("ci", role="admin")
    net.reload()
    client = net.tcp(token)
    done, pending = partial.world(client)
    call = partial.golden(done, pending)[name]
    before = partial.picture(client)
    s = crowd(net, 1, request(1, "hello", {"protocol": 1, "token": token}) + request(7, *call))[0]

    def differs():
        try:
            return partial.picture(client) != before
        except rpc.RpcError:
            return True
    eventually(differs)
    s.close()


@pytest.mark.parametrize("listener", ["tcp", "tls"])
def test_messages_in_two_pieces_and_in_drops_are_whole(launch, listener):
    net = Network(launch, listeners=(listener,))
    token = net.tokens.add("ci")
    net.reload()
    client = net.tcp() if listener == "tcp" else net.tls()
    greeting = request(1, "hello", {"protocol": 1, "token": token})
    client.expect(1)
    for byte in greeting:
        client.send(bytes([byte]))
    assert client.answer(1)["identity"] == "token:ci"
    data = request(2, "ping", ["x" * 40, {"a": 1}])
    for cut in range(1, len(data)):
        client.expect(2)
        client.send(data[:cut])
        client.send(data[cut:])
        assert client.answer(2) == ["x" * 40, {"a": 1}]


# ---- and what a crowd may not do to others ----

def test_full_is_told_and_whoever_is_slow_goes_first(launch):
    net = Network(launch, listeners=("tcp",), limits={"connections": 10})
    token, other = net.tokens.add("ci"), net.tokens.add("other")
    net.reload()
    client = net.tcp(token)
    for c in net.daemon.clients:
        if c is not client:
            c.close()
    eventually(lambda: client.call("stats")["connections"] == 1)
    rest = [net.tcp(token if i < 4 else other) for i in range(9)]
    with connect(net) as s:
        said = b""
        try:
            while chunk := s.recv(4096):
                said += chunk
        except ConnectionResetError:
            pass
    assert b"LimitError" in said and b"limits.connections" in said
    rest.pop().close()
    eventually(lambda: by_token(net, "tcp", other, None))
    assert client.call("ping", 1) == 1


def test_handshakes_do_not_keep_others_waiting(launch):
    """400 at once; a polite one is answered all along, and all of them in the end."""
    net = Network(launch, listeners=("tls",), limits={"unauthenticated": 1000, "hello_timeout": "60s"})
    token = net.tokens.add("ci")
    net.reload()
    polite, tls = net.admin(), context()
    made = []
    for _ in range(400):
        s = connect(net, "tls")
        s.setblocking(False)
        made.append(tls.wrap_socket(s, server_hostname="localhost", do_handshake_on_connect=False))
    left, answered = list(made), 0
    until = time.monotonic() + 60
    while left and time.monotonic() < until:
        still = []
        for s in left:
            try:
                s.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                still.append(s)
        left = still
        assert polite.call("ping", 1) == 1
        answered += 1
    for s in made:
        s.close()
    assert not left and answered >= 2


def test_strangers_do_not_fill_the_log(launch):
    """900 from one address: a line a second."""
    net = Network(launch, listeners=("tcp", "tls"))
    begun = time.monotonic()
    for listener, garbage in (("tcp", b"GET / HTTP/1.1\r\n\r\n"), ("tcp", b"\xc1"), ("tls", b"GET / HTTP/1.1\r\n\r\n")):
        for s in crowd(net, 300, garbage, listener):
            eventually(lambda: wants_nothing_more(s))
            s.close()
    log = net.daemon.log()
    assert 1 <= log.count("refused: ") <= 2 + time.monotonic() - begun and len(log.splitlines()) < 40, log


def test_a_stranger_has_few_attempts_of_any_kind(launch):
    net = Network(launch, listeners=("tcp",))
    client = net.tcp()
    with pytest.raises((rpc.Closed, rpc.RpcError)):
        for _ in range(100):
            with pytest.raises(rpc.RpcError) as caught:
                client.call("hello", {"protocol": 2})
            assert caught.value.type == "ValueError"
    token = net.tokens.add("ci")
    net.reload()
    client = net.tcp()
    for _ in range(5):
        with pytest.raises(rpc.RpcError):
            client.call("hello", {"protocol": 2})
    assert hello(client, token)["identity"] == "token:ci"


@pytest.mark.long
def test_a_message_that_never_ends_makes_way_for_others(launch):
    """While there is room it may take its time; when there is none, it goes after ten seconds."""
    net = Network(launch, listeners=("tcp",), limits={"connections": 4, "user": {"connections": 4}})
    token = net.tokens.add("ci")
    net.reload()
    for c in list(net.daemon.clients):
        c.close()
    known = [net.tcp(token) for _ in range(4)]
    known[0].send(rpc.request(7, "ping", "x" * 1000)[:-1])
    eventually(lambda: known[1].call("stats")["connections"] == 4)
    assert not by_token(net, "tcp", token, None)
    select.select([], [], [], 10.5)
    assert known[1].call("ping", 1) == 1
    with connect(net):
        known[0].await_close()
    assert known[2].call("ping", 1) == 1
    assert "a message has not come to its end" in net.daemon.log()
