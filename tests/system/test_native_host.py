"""The native runtime, driven as the daemon drives it."""
import http.server
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import zlib

import msgpack
import pytest

import helpers
import worker_host
from worker_host import CLAIMED, ENTRIES, REVOKED, RINGS, SENT, Host, module


@pytest.fixture
def start(tmp_path):
    """Starts hosts of the modules `testing` and `work`; they must end by themselves."""
    hosts = []

    def start(kind="process", slots=1, modules=("testing", "work"), ready=True, **keys):
        directory = tmp_path / str(len(hosts))
        directory.mkdir()
        paths = [m if "/" in m else module(m) for m in modules]
        hosts.append(Host(str(directory), kind, slots, options={"modules": paths}, **keys))
        if ready:
            hosts[-1].ready()
        return hosts[-1]
    yield start
    for host in hosts:
        host.finish()


@pytest.fixture(params=["process", "thread"])
def slot(request, start):
    return start(request.param).slot


@pytest.fixture(params=["process", "thread"])
def ringed(request, start):
    return start(request.param, 1 if request.param == "process" else 2, rings=RINGS).slots[-1]   # a process has one, and its stdout is that one's


# ---- loading ----

def test_ready_says_what_the_host_can_do(start):
    for kind, grow in (("process", False), ("thread", True)):
        ready = start(kind, ready=False).ready()
        assert (ready["depth"], ready["stop"], ready["grow"], ready["board"], ready["name"]) == (ENTRIES, False, grow, True, "native")
        assert "add" in ready["functions"] and "types" in ready["functions"]


@pytest.mark.parametrize("name, words", [
    ("wrong_abi", "ABI 8"),
    ("no_symbol", "futured_module"),
    ("no_functions", "no functions"),
    ("from_the_future", "futured_from_the_future"),
    ("second_noop", '"noop" is already in'),
    ("/nowhere/nothing.so", "nothing.so"),
    ("/etc/passwd", "/etc/passwd"),
])
def test_module_that_cannot_be_used_is_refused_by_name(start, name, words):
    host = start(modules=["work", name], ready=False)
    error = host.failed()
    assert error["type"] == "ImportError"
    assert words in error["message"] and name in error["message"]
    assert words in host.stderr()


def test_module_whose_init_refuses_gives_the_reason(start):
    error = start(ready=False, env={"TESTING_REFUSES": "not on a Monday"}).failed()
    assert "testing.so: not on a Monday" in error["message"]


@pytest.mark.parametrize("modules", [None, [], "work.so", [1], [""]])
def test_pool_without_usable_modules_is_refused(tmp_path, modules):
    host = Host(str(tmp_path), "process", options={} if modules is None else {"modules": modules})
    assert "modules" in host.failed()["message"]
    host.finish()


def test_module_that_crashes_at_load_leaves_its_last_words(start):
    host = start(modules=["crash_at_load"], ready=False)
    assert host.control.receive() is None
    assert host.await_end() == -signal.SIGSEGV
    assert "crash_at_load: here it comes" in host.stderr()


MODULE_IN_TWO_LANGUAGES = """
#include <futured_task.h>
static int call(struct futured_task *t) { futured_put_cstr(t, "hello"); return FUTURED_OK; }
static const struct futured_function functions[] = {{"call", call, "call()"}, {NULL, NULL, NULL}};
FUTURED_MODULE("tiny", functions, NULL, NULL);
"""


@pytest.mark.parametrize("compiler", [["cc", "-std=c99", "-x", "c"], ["c++", "-std=c++11", "-x", "c++"]], ids=["c99", "c++"])
def test_header_is_c99_and_cplusplus(start, tmp_path, compiler):
    if shutil.which(compiler[0]) is None:
        pytest.skip("no " + compiler[0])
    subprocess.run([*compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", os.path.join(helpers.ROOT, "worker"), "-shared",
                    "-fPIC", "-fvisibility=hidden", "-o", str(tmp_path / "tiny.so"), "-"],
                   input=MODULE_IN_TWO_LANGUAGES.encode(), check=True)
    assert start(modules=[str(tmp_path / "tiny.so")]).slot.call("call") == "hello"


# ---- arguments, values, errors ----

VALUES = [None, True, False, 0, -1, 2**63 - 1, -2**63, 2**64 - 1, 1.5, float("inf"), "", "häß", "x" * 70000, b"\0\xff", [], [1, [2]],
          {}, {"a": {1: None}}]


def test_values_come_back_as_they_went(slot):
    for value in VALUES:
        back = slot.call("echo", value)
        assert back == value and type(back) is type(value)
    assert slot.call("reverse", *VALUES) == VALUES[::-1]
    assert slot.call("types", None, True, 1, 1.0, "s", b"b", [], {}) == [
        "nil", "bool", "int", "double", "str", "bin", "array", "map"]
    assert slot.call("noop") is None
    assert slot.call("add", 2, 3) == 5
    assert slot.call("add", 2, 0.5) == 2.5
    assert slot.call("bad_text") == "a\ufffd z"


@pytest.mark.parametrize("kind, value, expected", [
    ("int", 7, 7), ("int", "7", "TypeError: want: argument 2: expected int, got str"),
    ("int", 2**63, "ValueError: want: argument 2 does not fit into 64 bits with a sign"),
    ("double", 7, 7.0), ("double", None, "TypeError: want: argument 2: expected float, got nil"),
    ("bool", True, True), ("bool", 1, "TypeError: want: argument 2: expected bool, got int"),
    ("str", "s", "s"), ("str", b"s", "TypeError: want: argument 2: expected str, got bin"),
    ("cstr", b"1234567", "1234567"), ("cstr", "12345678", "ValueError: want: argument 2 has 8 bytes, expected less than 8"),
    ("cstr", "a\0b", "ValueError: want: argument 2 has a NUL inside"),
])
def test_arguments_are_checked(slot, kind, value, expected):
    answer = slot.ask("want", kind, value)
    if answer[0] == "ok":
        assert answer[1] == expected and type(answer[1]) is type(expected)
    else:
        assert "%(type)s: %(message)s" % answer[1] == expected


def test_number_of_arguments_is_checked(slot):
    assert slot.error("add", 1) == {"type": "TypeError", "message": "add takes 2 arguments, 1 came"}
    assert slot.call("or_ten") == 10 and slot.call("or_ten", 3) == 3


def test_errors_are_typed_and_carry_data(slot):
    assert slot.error("fail") == {"type": "CustomError", "message": "it was me"}
    assert slot.error("fail", {"a": [1]}) == {"type": "CustomError", "message": "it was me", "data": {"a": [1]}}
    assert slot.error("add", 2**63 - 1, 1)["type"] == "OverflowError"
    assert slot.error("count_words", "/nowhere")["data"] == {"errno": 2, "path": "/nowhere"}
    assert slot.error("fail_in_silence") == {"type": "RuntimeError", "message": "fail_in_silence returned 1 and no error"}
    assert slot.error("return_seven")["message"] == "return_seven returned 7 and no error"
    assert slot.error("no_such")["type"] == "NameError"
    assert slot.error("noop", options={"kwargs": {"a": 1}})["type"] == "UnsupportedError"
    assert slot.call("noop", options={"kwargs": {}}) is None


def test_what_is_not_one_value_is_refused(slot):
    assert slot.error("two_values")["type"] == "ValueError"
    assert slot.error("half_an_array")["type"] == "ValueError"
    assert slot.error("nested", 25)["type"] == "ValueError"
    value = slot.call("nested", 24)
    for _ in range(23):
        value, = value
    assert value == []


def test_value_larger_than_a_message_is_refused(slot):
    limit = 1 << 20
    envelope = 1 + 3 + 9 + 5
    assert len(slot.call("bytes", limit - envelope)) == limit - envelope
    assert slot.error("bytes", limit)["type"] == "ValueError"
    assert slot.call("noop") is None


# ---- the slot ----

def test_tasks_sent_ahead_are_answered_in_order(slot):
    sent = [slot.message("add", (n, 1)) for n in range(64)]
    slot.send(*(message for _, _, message in sent))
    for n, (id, entry, _) in enumerate(sent):
        assert slot.receive() == ["ok", id, n + 1]
        state, start = slot.state(entry)
        assert state == CLAIMED and 0 <= time.monotonic() - start / 1e6 < 60


def test_message_in_pieces_is_one_message(slot):
    id, _, message = slot.message("echo", ["x" * 300000])
    data = msgpack.packb(message)
    cuts = [0, 1, 2, 30, 100000, 299999, len(data)]
    for a, b in zip(cuts, cuts[1:]):
        slot.send_bytes(data[a:b])
        if b < len(data):
            assert slot.silent(0.02)
    assert slot.receive() == ["ok", id, "x" * 300000]


def test_revoked_task_never_runs(slot, tmp_path):
    go, ran = str(tmp_path / "go"), str(tmp_path / "ran")
    front, _ = slot.run("until_file", go)
    sent = [slot.run("mark", ran) for _ in range(10)]
    for id, entry in sent[::2]:
        slot.set_state(entry, REVOKED)
    open(go, "w").close()
    assert slot.receive() == ["ok", front, None]
    for id, _ in sent[1::2]:
        assert slot.receive() == ["ok", id, None]
    assert slot.silent(0.05)
    assert [int(line) for line in helpers.lines(ran)] == [id for id, _ in sent[1::2]]


def test_task_whose_entry_stands_for_another_is_passed_over(slot, tmp_path):
    id, entry, message = slot.message("noop")
    message[2] = id + 1000
    slot.send(message)
    assert slot.call("noop") is None
    assert slot.state(entry)[0] == SENT


def test_stop_is_seen_and_answered_either_way(slot):
    id, entry = slot.run("until_stopped", True)
    slot.stop(entry)
    assert slot.receive() == ["cancelled", id]
    id, entry = slot.run("until_stopped", False)
    slot.stop(entry)
    assert slot.receive() == ["ok", id, "went on"]
    id, entry = slot.run("count_primes", 10**9)
    slot.stop(entry)
    assert slot.answer(id) == ["cancelled"]
    id, entry = slot.run("wait", 1000)
    slot.stop(entry)
    assert slot.receive() == ["cancelled", id]


def test_giving_up_unasked_is_an_error(slot):
    assert slot.error("give_up")["type"] == "CancelledError"


def test_progress_comes_before_the_answer(slot):
    id, _ = slot.run("progress")
    assert slot.receive() == ["progress", id, 1, 4, "begun"]
    assert slot.receive() == ["progress", id, 2.5, None, ""]
    assert slot.receive() == ["ok", id, None]


def test_task_knows_its_context(slot):
    id, _ = slot.run("context", attempt=3, options={"other": [1], "secret": "s3cret"})
    assert slot.answer(id) == ["ok", [id, 3, "test", "unix:/nowhere", "s3cret"]]
    assert slot.call("context")[4] == ""


def test_log_goes_to_the_control_socket(slot):
    id, _ = slot.run("log_line")
    assert slot.answer(id) == ["ok", None]
    assert slot.host.hear("log") == ["log", "warn", "from task %d" % id]


def test_garbage_on_a_slot_ends_the_host(slot):
    slot.send(["walk", 1, 2])
    assert slot.host.await_end() == 1
    assert "not a run message" in slot.host.stderr()


# ---- output ----

def test_print_reaches_the_task(slot):
    for _ in range(3):
        assert slot.ask("print_all") == ["ok", None]
        assert slot.printed() == b"printf\nfutured_print 1\nno newline"
        assert slot.printed("stderr") == b"to stderr\n"
    assert slot.ask("noop") == ["ok", None]
    assert slot.printed() == b""


def test_descriptor_1_and_children_are_captured_in_a_process(start):
    slot = start("process").slot
    assert slot.ask("print_by_descriptor") == ["ok", None]
    assert slot.printed() == b"write\nchild\n"


def test_descriptor_2_stays_the_log(slot):
    assert slot.ask("complain") == ["ok", None]
    assert slot.printed() == b"" == slot.printed("stderr")
    assert "a line for the log" in slot.host.stderr()


def test_much_output_arrives_whole_and_in_order(slot):
    assert slot.ask("print_lines", 20000) == ["ok", None]
    assert slot.printed() == b"".join(b"%d\n" % n for n in range(20000))
    assert slot.ask("print_many", 200000) == ["ok", None]
    assert slot.printed() == b"x" * 200000
    assert all(len(m[3]) <= 65536 for m in slot.said)


def test_output_is_seen_while_the_task_runs(slot, tmp_path):
    id, entry = slot.run("print_lines", 1)
    assert slot.answer(id) == ["ok", None]
    slot.run("print_all")
    wait, _ = slot.run("until_file", str(tmp_path / "go"))
    while slot.receive()[0] != "ok":
        pass
    open(tmp_path / "go", "w").close()
    assert slot.receive() == ["ok", wait, None]


# ---- initializer, slots, endings ----

def test_initializer_runs_once_per_slot(start):
    host = start("thread", 3, initializer="set_warmth", initargs=[42])
    for slot in [*host.slots, host.add_slot(3)]:
        assert slot.call("get_warmth") == 42


def test_initializer_that_fails_breaks_the_pool(start):
    error = start("thread", 2, initializer="set_warmth", initargs=[-3], ready=False).failed()
    assert error == {"type": "ColdError", "message": "it is -3 degrees"}
    assert start(initializer="none_such", ready=False).failed()["type"] == "NameError"


def test_threads_run_at_the_same_time(start):
    host = start("thread", 3)
    ids = [slot.run("meet", 3)[0] for slot in host.slots]
    threads = [slot.answer(id)[1] for slot, id in zip(host.slots, ids)]
    assert len(set(threads)) == 3


def test_threads_print_to_their_own_tasks(start):
    host = start("thread", 3)
    sent = [slot.run("print_lines", 3000 + n)[0] for n, slot in enumerate(host.slots)]
    for n, (slot, id) in enumerate(zip(host.slots, sent)):
        assert slot.answer(id) == ["ok", None]
        assert slot.printed() == b"".join(b"%d\n" % i for i in range(3000 + n))


def test_host_grows_by_slots(start):
    host = start("thread")
    for number in range(1, 20):
        host.add_slot(number)
    for slot in host.slots:
        assert slot.call("add", slot.number, 1) == slot.number + 1
    assert host.end() == 0


def test_slot_that_is_closed_ends_after_its_task_and_may_come_again(start, tmp_path):
    host = start("thread", 2)
    id, _ = host.slots[1].run("until_file", str(tmp_path / "go"))
    host.slots[1].sock.shutdown(socket.SHUT_WR)
    assert host.slots[0].call("noop") is None
    open(tmp_path / "go", "w").close()
    assert host.slots[1].receive() == ["ok", id, None]
    assert host.slots[1].receive() is None
    assert host.add_slot(1).call("add", 1, 2) == 3


def test_end_lets_the_running_task_finish_and_claims_no_other(start, tmp_path):
    host = start("thread", 2)
    id, _ = host.slots[0].run("until_file", str(tmp_path / "go"))
    _, ahead = host.slots[0].run("mark", str(tmp_path / "ran"))
    helpers.eventually(lambda: host.slots[0].state(0)[0] == CLAIMED)
    host.control.send(["end"])
    assert host.slots[1].receive() is None
    open(tmp_path / "go", "w").close()
    assert host.slots[0].receive() == ["ok", id, None]
    assert host.slots[0].receive() is None
    assert host.await_end() == 0
    assert host.slots[0].state(ahead)[0] == SENT and not os.path.exists(tmp_path / "ran")
    assert "testing: fini" in host.stderr()


def test_end_of_the_control_socket_ends_the_host_at_once(start):
    host = start("thread", 2)
    _, entry = host.slots[0].run("until_stopped", True)
    helpers.eventually(lambda: host.slots[0].state(entry)[0] == CLAIMED)
    host.control.close()
    assert host.await_end() == 0


def test_crash_loses_no_earlier_answer_and_the_board_tells_who_did_it(slot):
    sent = [slot.message("add", (n, n)) for n in range(5)] + [slot.message("crash"), slot.message("noop")]
    slot.send(*(message for _, _, message in sent))
    for n in range(5):
        assert slot.receive() == ["ok", sent[n][0], 2 * n]
    assert slot.receive() is None
    assert slot.host.await_end() == -signal.SIGSEGV
    assert slot.state(sent[5][1])[0] == CLAIMED and slot.state(sent[6][1])[0] == SENT
    assert "about to crash" in slot.host.stderr()


def test_task_that_leaves_takes_the_host_with_it(slot):
    slot.run("leave", 7)
    assert slot.receive() is None
    assert slot.host.await_end() == 7


def test_task_that_ends_its_thread_is_a_crash_and_no_hang(slot):
    slot.run("end_thread")
    assert slot.receive() is None
    assert slot.host.await_end() == 1
    assert "ended the thread" in slot.host.stderr()


def test_tasks_children_hold_none_of_the_sockets(start):
    """So that a stray cannot keep a slot open, or speak in its name."""
    slot = start("process").slot
    assert slot.ask("shell", "exec ls -l /proc/self/fd") == ["ok", 0]
    assert b"pipe:" in slot.printed() and b"socket:" not in slot.printed() and b"boards" not in slot.printed()


def test_memory_of_large_messages_is_kept_for_the_next_one_and_goes_when_none_comes(start):
    slot = start("process", message=64 << 20).slot
    text = b"x" * (20 << 20)
    for _ in range(2):
        assert slot.call("echo", text) == text
    assert slot.call("echo", b"small") == b"small"
    helpers.eventually(lambda: helpers.is_sanitized(worker_host.WORKER) or helpers.rss(slot.host.pid) < 16 << 20)   # what comes next is small
    assert slot.call("echo", text) == text
    helpers.eventually(lambda: helpers.is_sanitized(worker_host.WORKER) or helpers.rss(slot.host.pid) < 16 << 20)   # … or does not come


# ---- the example modules ----

def test_example_functions(start, tmp_path):
    slot = start(modules=["work"]).slot
    text = tmp_path / "text"
    text.write_text("one two\n three\n")
    assert slot.call("count_words", str(text)) == {"lines": 2, "words": 3, "bytes": 15}
    assert slot.call("crc32", str(text)) == zlib.crc32(text.read_bytes())
    assert slot.call("count_primes", 100) == 25
    assert slot.call("wait", 0.02) >= 0.02
    assert slot.error("count_primes", -1)["type"] == "ValueError"


@pytest.fixture
def web():
    """A small HTTP server on the loopback; /slow never answers."""
    stuck = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                stuck.wait(30)
            self.send_response(200 if self.path == "/yes" else 404)
            self.end_headers()
            self.wfile.write(b"hello\0" * 10000)

        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_port
    stuck.set()
    server.shutdown()
    server.server_close()


def test_fetch_reads_a_url(start, web):
    slot = start("thread", modules=["fetch"]).slot
    assert slot.call("fetch", web + "/yes") == {"status": 200, "body": b"hello\0" * 10000}
    assert slot.call("fetch", web + "/no")["status"] == 404
    assert slot.error("fetch", "ftp://x")["type"] == "ValueError"
    assert slot.error("fetch", "http://127.0.0.1:1/")["type"] == "ConnectionError"
    assert slot.error("fetch", web + "/slow", 0.05)["type"] == "TimeoutError"
    id, entry = slot.run("fetch", web + "/slow", 1000)
    slot.stop(entry)
    assert slot.receive() == ["cancelled", id]


# ---- the answer ring ----

def test_a_ring_is_used_only_where_there_is_one(start):
    assert start("thread", ready=False).ready()["ring"] is False
    assert start("thread", ready=False, rings=RINGS).ready()["ring"] is True


@pytest.mark.parametrize("rings", [RINGS + 4, 1 << 40])
def test_rings_that_cannot_be_there_are_refused(start, rings):
    assert "rings" in start("process", ready=False, rings=rings).failed()["message"]


def test_small_answers_are_put_into_the_ring(ringed):
    ids = [ringed.run("add", n, n)[0] for n in range(50)]
    assert ringed.await_ring(50) == [["ok", ids[n], 2 * n] for n in range(50)]
    assert ringed.silent()


def test_a_sleeping_daemon_is_woken_once(ringed):
    ringed.ring_field("asleep", 1)
    sent = [ringed.message("add", (n, n)) for n in range(50)]
    ringed.send(*(message for _, _, message in sent))
    assert ringed.receive() == ["wake"]
    assert ringed.ring_field("asleep") == 0
    assert len(ringed.await_ring(50)) == 50
    assert ringed.silent()


def test_nothing_overtakes_a_large_answer(ringed):
    first, _ = ringed.run("add", 1, 1)
    assert ringed.await_ring(1) == [["ok", first, 2]]
    large, _ = ringed.run("bytes", 5000)
    second, _ = ringed.run("add", 2, 2)
    assert ringed.receive()[:2] == ["ok", large]
    assert ringed.receive() == ["ok", second, 4], "while the daemon has not heard the large one"
    assert ringed.ring() == []
    ringed.ring_field("heard", 2)
    third, _ = ringed.run("add", 3, 3)
    assert ringed.await_ring(1) == [["ok", third, 6]]


def test_a_ring_that_nobody_reads_is_not_overrun(ringed):
    ids = [ringed.run("bytes", 1000)[0] for _ in range(40)]
    assert [ringed.receive()[1] for _ in ids[16:]] == ids[16:]
    assert [m[1] for m in ringed.ring()] == ids[:16]


def test_an_answer_in_the_ring_outlives_a_crash(ringed):
    sent = [ringed.message("add", (n, n)) for n in range(5)] + [ringed.message("crash"), ringed.message("noop")]
    ringed.send(*(message for _, _, message in sent))
    assert ringed.receive() is None
    assert ringed.host.await_end() == -signal.SIGSEGV
    assert ringed.ring() == [["ok", sent[n][0], 2 * n] for n in range(5)]
    assert ringed.state(sent[5][1])[0] == CLAIMED and ringed.state(sent[6][1])[0] == SENT


def test_what_a_task_prints_comes_before_its_answer(ringed):
    id, _ = ringed.run("print_lines", 3)
    assert ringed.answer(id)[0] == "ok"
    assert ringed.printed() != b"" and ringed.ring() == []
