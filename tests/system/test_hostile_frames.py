"""Bytes that are no MessagePack-RPC, and MessagePack-RPC as odd clients write it.

A protocol error is answered once, with msgid 0, and ends the connection; it never costs the daemon its life or its memory, nor
another client its turn."""
import socket
import time

import pytest

import rpc
from helpers import refused
from rpc import pack, request

CONFIG = {"limits": {"message": "1MiB"}}

PING = request(7, "ping", 1)


def said(daemon, data):
    """The ProtocolError with which a fresh connection ends after these bytes."""
    client = daemon.client()
    try:
        client.send(data)
        return client.await_protocol_error()
    except rpc.Closed:
        return client.await_protocol_error()
    finally:
        client.close()
        daemon.clients.remove(client)


def nested(depth, inner=b"\x90"):
    """Arrays in arrays, `depth` levels in all, the innermost being `inner`."""
    return b"\x91" * (depth - 1) + inner


def raw(type=b"\x00", msgid=b"\x07", method=b"\xa4ping", params=b"\x90", head=b"\x94"):
    return head + type + msgid + method + params


# One byte is enough to see that it is no array of 3 or 4.
FIRST_BYTES = {"first byte %02x" % n: bytes([n]) for n in range(256) if n not in (0x93, 0x94, 0xdc, 0xdd)}

FRAMES = {
    "array16 of 0": b"\xdc\x00\x00", "array16 of 2": b"\xdc\x00\x02", "array16 of 5": b"\xdc\x00\x05", "array16 of 65535": b"\xdc\xff\xff",
    "array32 of 0": b"\xdd\x00\x00\x00\x00", "array32 of 5": b"\xdd\x00\x00\x00\x05", "array32 of 2^31-1": b"\xdd\x7f\xff\xff\xff",
    "array32 of 2^32-1": b"\xdd\xff\xff\xff\xff", "array32 of 50 million": b"\xdd\x03\x00\x00\x00",
    "request of 3": b"\x93\x00\x07\xa4ping", "notification of 4": b"\x94\x02\xa4ping\x90\x90", "response of 3": b"\x93\x01\x07\xc0",
    "a response": b"\x94\x01\x07\xc0\xc0", "a response with an error": b"\x94\x01\x07\x80\xc0", "a response to nothing": b"\x94\x01\x00\xc0\xc0",
    "type 3": raw(b"\x03"), "type 4": raw(b"\x04"), "type 127": raw(b"\x7f"), "type -1": raw(b"\xff"), "type 255": raw(b"\xcc\xff"),
    "type 2^32": raw(b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), "type 2^64-1": raw(b"\xcf" + b"\xff" * 8),
    "type nil": raw(b"\xc0"), "type false": raw(b"\xc2"), "type true": raw(b"\xc3"), "type 0.0": raw(b"\xca" + b"\0" * 4),
    "type 0.0 double": raw(b"\xcb" + b"\0" * 8), "type str": raw(b"\xa10"), "type bin": raw(b"\xc4\x01\x00"), "type array": raw(b"\x90"),
    "type map": raw(b"\x80"), "type ext": raw(b"\xd4\x01\x00"), "type c1": raw(b"\xc1"),
    "msgid -1": raw(msgid=b"\xff"), "msgid -2^31": raw(msgid=b"\xd2\x80\x00\x00\x00"), "msgid 2^32": raw(msgid=b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
    "msgid 2^64-1": raw(msgid=b"\xcf" + b"\xff" * 8), "msgid nil": raw(msgid=b"\xc0"), "msgid true": raw(msgid=b"\xc3"),
    "msgid float": raw(msgid=b"\xca\x3f\x80\x00\x00"), "msgid str": raw(msgid=b"\xa17"), "msgid bin": raw(msgid=b"\xc4\x017"),
    "msgid array": raw(msgid=b"\x90"), "msgid map": raw(msgid=b"\x80"), "msgid ext": raw(msgid=b"\xd4\x01\x00"), "msgid c1": raw(msgid=b"\xc1"),
    "method nil": raw(method=b"\xc0"), "method true": raw(method=b"\xc3"), "method int": raw(method=b"\x05"), "method float": raw(method=b"\xca" + b"\0" * 4),
    "method array": raw(method=b"\x91\xa4ping"), "method map": raw(method=b"\x80"), "method ext": raw(method=b"\xd4\x01\x00"), "method c1": raw(method=b"\xc1"),
    "method str32 of 4 GiB": raw(method=b"\xdb\xff\xff\xff\xff"), "method bin32 of 4 GiB": raw(method=b"\xc6\xff\xff\xff\xff"),
    "method str32 of 2 MiB": raw(method=b"\xdb\x00\x20\x00\x00"),
    "params nil": raw(params=b"\xc0"), "params true": raw(params=b"\xc3"), "params int": raw(params=b"\x05"), "params float": raw(params=b"\xca" + b"\0" * 4),
    "params str": raw(params=b"\xa1x"), "params bin": raw(params=b"\xc4\x01x"), "params map": raw(params=b"\x80"), "params ext": raw(params=b"\xd4\x01\x00"),
    "params c1": raw(params=b"\xc1"), "params array32 of 2^32-1": raw(params=b"\xdd\xff\xff\xff\xff"), "params array32 of 2 million": raw(params=b"\xdd\x00\x20\x00\x00"),
    "a param c1": raw(params=b"\x91\xc1"), "the second param c1": raw(params=b"\x92\x01\xc1"), "c1 as a map key": raw(params=b"\x91\x81\xc1\x01"),
    "c1 as a map value": raw(params=b"\x91\x81\x01\xc1"), "c1 deep inside": raw(params=b"\x91" * 10 + b"\xc1"),
    "a param map32 of 2^32-1": raw(params=b"\x91\xdf\xff\xff\xff\xff"), "a param map32 of 600 thousand": raw(params=b"\x91\xdf\x00\x09\x27\xc0"),
    "a param str32 of 4 GiB": raw(params=b"\x91\xdb\xff\xff\xff\xff"), "a param bin32 of 4 GiB": raw(params=b"\x91\xc6\xff\xff\xff\xff"),
    "a param ext32 of 4 GiB": raw(params=b"\x91\xc9\xff\xff\xff\xff\x01"), "a param bin32 just over the limit": raw(params=b"\x91\xc6\x00\x10\x00\x00"),
    "large headers in large headers": raw(params=b"\x91" + b"\xdd\x00\x0f\xff\xf0" * 20),
    "large maps in large maps": raw(params=b"\x91" + b"\xdf\x00\x07\xff\xf0\x01" * 20),
    "33 levels": raw(params=nested(32)), "33 levels of maps": raw(params=b"\x91" + b"\x81\x01" * 30 + b"\x80"),
    "1,000 levels": raw(params=nested(1000)), "100,000 levels": raw(params=nested(100000)),
    "33 levels in a notification": b"\x93\x02\xa1x" + nested(32),
    "notification with params nil": b"\x93\x02\xa4ping\xc0", "notification with params map": b"\x93\x02\xa4ping\x80",
    "notification with method int": b"\x93\x02\x05\x90", "notification with method nil": b"\x93\x02\xc0\x90", "notification with c1": b"\x93\x02\xa4ping\x91\xc1",
    "type 0 in an array of 3": b"\x93\x00\xa4ping\x90", "type 1 in an array of 3": b"\x93\x01\xa4ping\x90", "type 3 in an array of 3": b"\x93\x03\xa4ping\x90",
    "type -1 in an array of 3": b"\x93\xff", "type nil in an array of 3": b"\x93\xc0", "a request after junk": b"\n" + PING,
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "JSON": b'[0,7,"ping",[]]',
    "a text": b"ping\n", "zeros": b"\0" * 64, "ones": b"\xff" * 64, "an SSH greeting": b"SSH-2.0-OpenSSH_9.2\r\n",
}


def test_three_hundred_bad_frames_each_end_their_connection_and_nothing_else(shared_daemon, shared):
    frames = {**FIRST_BYTES, **FRAMES}
    assert len(frames) >= 300
    for data in frames.values():
        said(shared_daemon, data)
    before, wrong = shared_daemon.rss(), []
    for name, data in frames.items():
        try:
            said(shared_daemon, data)
            assert shared.call("ping", name) == name
        except (AssertionError, rpc.Closed) as error:
            wrong.append("%s: %s" % (name, error))
    assert not wrong, "\n".join(wrong)
    assert shared_daemon.rss() - before < 2 << 20


def test_a_bad_frame_is_refused_as_soon_as_its_bytes_prove_it(shared_daemon):
    """Not a byte more is sent, and the connection stays open on our side."""
    for data in (b"\xc1", b"\x95", b"\x94\x03", b"\x94\x00\xc0", b"\x94\x00\x07\x05", b"\x94\x00\x07\xa4ping\x80", b"\xdd\x7f\xff\xff\xff",
                 b"\x94\x01", b"\x94\x00\x07\xa4ping\x91\xc6\x00\x20\x00\x00", b"\x94\x00\x07\xa4ping" + b"\x91" * 32):
        said(shared_daemon, data)


def test_five_bytes_that_claim_a_billion_values_cost_nothing(shared_daemon, shared):
    before = shared_daemon.rss()
    for _ in range(50):
        said(shared_daemon, b"\xdd\x7f\xff\xff\xff")
        said(shared_daemon, raw(params=b"\xdd\x00\x0f\xff\x00" * 10 + b"\xc1"))
    assert shared_daemon.rss() - before < 4 << 20


def test_headers_that_claim_much_within_the_limit_cost_nothing_until_it_comes(shared_daemon, shared):
    idle = [shared_daemon.client() for _ in range(40)]
    before = shared_daemon.rss()
    for client in idle:
        client.send(raw(params=b"\x91\xc6\x00\x0f\x00\x00"))
    shared.call("ping")
    assert shared_daemon.rss() - before < 8 << 20
    for client in idle:
        client.close()


def test_the_answers_to_whole_requests_come_before_the_protocol_error(shared_daemon):
    client = shared_daemon.client()
    for n in range(5):
        client.expect(n)
    client.send(b"".join(request(n, "ping", n) for n in range(5)) + b"\xc1" + request(9, "ping"))
    assert sorted(client.answer(n) for n in range(5)) == list(range(5))
    client.await_protocol_error()


@pytest.mark.parametrize("end", [b"\xc1", b""], ids=["an error", "the end"])
def test_what_was_asked_of_many_futures_is_done_whole_and_answered_whatever_comes_behind_it(daemon, client, end):
    """It takes turns; the end of the connection came in the middle of it, and a half of them was cancelled."""
    client.call("pause", "one")
    first, count = client.call("map", "one", "true", [[]] * 60000)
    asking = daemon.client()
    for msgid in range(3):
        asking.expect(msgid)
    asking.send(request(0, "state", [[first, count]]) + request(1, "cancel", [[first, count]]) + request(2, "release", [[first, count - 1]]) + end)
    if not end:
        asking.socket.shutdown(socket.SHUT_WR)
    assert len(asking.answer(0)) == count
    assert asking.answer(1) == [True] * count
    assert asking.answer(2) == count - 1
    asking.await_close()
    assert [f["id"] for f in client.call("list", {"pool": "one"})] == [first + count - 1]


def test_an_answer_that_is_not_ready_does_not_hold_the_protocol_error_back(daemon, gate):
    client = daemon.client()
    client.request("call", "shell", *gate.task())
    gate.await_start()
    client.send(b"\xc1")
    client.await_protocol_error(5)


def test_nothing_behind_a_bad_frame_is_done(shared_daemon, shared):
    before = shared.call("map", "shell", "true", [])[0]
    said(shared_daemon, b"\xc1" + request(1, "submit", "shell", "true"))
    assert shared.call("map", "shell", "true", [])[0] == before


# What is allowed

INTEGERS = [b"\xcc\x00", b"\xcd\x00\x00", b"\xce" + b"\0" * 4, b"\xcf" + b"\0" * 8, b"\xd0\x00", b"\xd1\x00\x00", b"\xd2" + b"\0" * 4, b"\xd3" + b"\0" * 8]


@pytest.mark.parametrize("zero", [b"\x00"] + INTEGERS, ids=lambda b: b.hex())
def test_every_encoding_of_the_type_counts(shared, zero):
    shared.expect(7)
    shared.send(raw(type=zero, params=b"\x91\x05"))
    assert shared.answer(7) == 5


@pytest.mark.parametrize("encoding", INTEGERS, ids=lambda b: b.hex())
def test_every_encoding_of_the_msgid_counts(shared, encoding):
    shared.expect(7)
    shared.send(raw(msgid=encoding[:-1] + b"\x07", params=b"\x91\x05"))
    assert shared.answer(7) == 5


@pytest.mark.parametrize("msgid", [0, 1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1])
def test_every_uint32_is_a_msgid(shared, msgid):
    shared.expect(msgid)
    shared.send(request(msgid, "ping", "x"))
    assert shared.answer(msgid) == "x"


@pytest.mark.parametrize("head", [b"\x94", b"\xdc\x00\x04", b"\xdd\x00\x00\x00\x04"], ids=lambda b: b.hex())
def test_every_encoding_of_the_frames_array_counts(shared, head):
    shared.expect(7)
    shared.send(raw(head=head, params=b"\x91\x05"))
    assert shared.answer(7) == 5


@pytest.mark.parametrize("method", [b"\xa4ping", b"\xd9\x04ping", b"\xda\x00\x04ping", b"\xdb\x00\x00\x00\x04ping", b"\xc4\x04ping",
                                    b"\xc5\x00\x04ping", b"\xc6\x00\x00\x00\x04ping"], ids=lambda b: b.hex())
def test_a_method_may_be_str_or_bin_of_any_encoding(shared, method):
    shared.expect(7)
    shared.send(raw(method=method, params=b"\x91\x05"))
    assert shared.answer(7) == 5


@pytest.mark.parametrize("params", [b"\x91\x05", b"\xdc\x00\x01\x05", b"\xdd\x00\x00\x00\x01\x05"], ids=lambda b: b.hex())
def test_every_encoding_of_params_counts(shared, params):
    shared.expect(7)
    shared.send(raw(params=params))
    assert shared.answer(7) == 5


def test_a_method_that_is_no_utf8_is_an_unknown_method(shared):
    shared.expect(7)
    shared.send(raw(method=b"\xa2\xff\xfe"))
    error = refused("UnknownMethodError", shared.answer, 7)
    error["message"].encode("utf-8")


def test_a_very_long_method_is_an_unknown_method(shared):
    shared.expect(7)
    shared.send(raw(method=b"\xdb\x00\x08\x00\x00" + b"x" * (512 << 10)))
    assert len(refused("UnknownMethodError", shared.answer, 7)["message"]) < 5000


def test_thirty_two_levels_are_allowed(shared):
    """The frame is level 1, params 2: a value of 30 levels makes 32."""
    shared.expect(7)
    shared.send(raw(params=b"\x91" + nested(30)))
    try:
        assert shared.answer(7) is not None
    except rpc.RpcError as error:
        assert error.type == "ValueError"
    assert shared.call("ping", 1) == 1


def test_thirty_three_levels_are_refused(shared_daemon):
    said(shared_daemon, raw(params=b"\x91" + nested(31)))


def test_a_frame_of_the_limit_is_allowed_and_one_byte_more_is_not(shared_daemon, shared):
    limit = 1 << 20
    room = limit - len(raw(params=b"\x91\xc6\x00\x00\x00\x00"))

    def ping(size):
        return raw(params=b"\x91\xc6" + size.to_bytes(4, "big") + b"x" * size)
    assert len(ping(room)) == limit
    shared.expect(7)
    shared.send(ping(room))
    assert shared.answer(7) == b"x" * room
    said(shared_daemon, ping(room + 1))


def test_an_unknown_notification_is_ignored(shared):
    shared.notify("hello_i_am_a_client", {"name": "x"}, 1, 2, 3)
    shared.send(b"\x93\x02\xc4\x03bin\x90" + b"\xdc\x00\x03\x02\xa0\x90")
    assert shared.call("ping", 1) == 1
    assert shared.pending_notifications() == []


def test_no_method_runs_as_a_notification(shared_daemon, shared):
    before = shared.call("map", "shell", "true", [])[0]
    shared.notify("submit", "shell", "true")
    shared.notify("pause", "shell")
    shared.notify("shutdown")
    assert shared.call("map", "shell", "true", [])[0] == before
    assert [p["paused"] for p in shared.call("pools")] == [False, False]
    assert shared_daemon.is_running()


def test_a_msgid_used_again_while_in_flight_is_answered_once_per_request(daemon, client, gate):
    future = client.call("submit", "shell", *gate.task("echo x"))
    for _ in range(3):
        client.expect(99)
        client.send(request(99, "result", future))
    client.expect(99)
    client.send(request(99, "ping", "quick"))
    assert client.answer(99) == "quick"
    gate.open()
    assert [client.answer(99)["stdout"] for _ in range(3)] == [b"x\n"] * 3


def test_a_msgid_may_be_used_again_later(shared):
    for n in range(5):
        shared.expect(1000)
        shared.send(request(1000, "ping", n))
        assert shared.answer(1000) == n


# Many and large

def test_ten_thousand_submits_in_one_write(daemon, client):
    client.call("pause", "shell")
    data = b"".join(request(n, "submit", "shell", "true") for n in range(100, 10100))
    for n in range(100, 10100):
        client.expect(n)
    client.send(data)
    ids = [client.answer(n) for n in range(100, 10100)]
    assert len(set(ids)) == 10000
    assert ids == sorted(ids), "requests of one connection are taken in their order"
    assert client.call("cancel", [[ids[0], 10000]]) == [True] * 10000


def test_a_client_that_writes_all_before_it_reads_does_not_hang_itself(shared_daemon):
    """Full pipes both ways: 30,000 pings with 100 bytes each, read only when all are written, in a time."""
    import threading
    sock = rpc.open_socket(shared_daemon.address)
    data = b"".join(request(n, "ping", "x" * 100) for n in range(30000))
    writer = threading.Thread(target=sock.sendall, args=(data,))
    writer.start()
    unpacker, count = rpc.unpacker(), 0
    while count < 30000:
        more = sock.recv(65536)
        assert more
        unpacker.feed(more)
        count += sum(1 for _ in unpacker)
    writer.join(10)
    sock.close()


def test_a_client_that_never_reads_costs_bounded_memory_and_no_one_else(launch):
    daemon = launch({"limits": {"message": "1MiB", "output": "1MiB"}})
    client, lazy = daemon.client(), daemon.client()
    before = daemon.rss()
    lazy.socket.setblocking(False)
    data, sent, refusals = request(1, "ping", b"x" * 500000), 0, 0
    while sent < 100 << 20 and refusals < 200:
        try:
            sent += lazy.socket.send(data[sent % len(data):])
            refusals = 0
        except BlockingIOError:
            refusals += 1
            assert client.call("ping", 1) == 1
        except (BrokenPipeError, ConnectionResetError):
            break
    assert daemon.rss() - before < 24 << 20
    assert client.call("call", "shell", "true")["exit"] == 0


def test_one_large_frame_does_not_hold_up_the_others(shared_daemon, shared):
    slow = shared_daemon.client()
    frame = request(3, "ping", b"x" * 1000000)
    slow.expect(3)
    slow.send(frame[:900000])
    for n in range(50):
        assert shared.call("ping", n) == n
    slow.send(frame[900000:])
    assert slow.answer(3) == b"x" * 1000000
    slow.close()


def test_a_thousand_connections_come_and_go(shared_daemon, shared):
    for _ in range(10):
        crowd = [rpc.open_socket(shared_daemon.address) for _ in range(100)]
        for n, sock in enumerate(crowd):
            sock.sendall([PING, PING[:5], b"", b"\xc1"][n % 4])
        for sock in crowd:
            sock.close()
    assert shared.call("ping", 1) == 1


def test_nan_is_a_value_error(shared):
    for call in (("result", 1, float("nan")), ("submit", "shell", "true", [], {"delay": float("nan")}),
                 ("wait", [], "ALL_COMPLETED", float("nan")), ("drain", float("nan"))):
        refused("ValueError", shared.call, *call)


def test_a_duration_may_be_an_int_or_a_float_of_any_size(shared):
    future = shared.call("submit", "shell", "true")
    shared.call("wait", [future])
    for encoding in (b"\x01", b"\xcc\x01", b"\xcf" + b"\0" * 7 + b"\x01", b"\xd0\x01", b"\xca\x3f\x80\x00\x00", b"\xcb\x3f\xf0" + b"\0" * 6):
        shared.expect(7)
        shared.send(raw(method=b"\xa6result", params=b"\x92" + pack(future) + encoding))
        assert shared.answer(7)["exit"] == 0
